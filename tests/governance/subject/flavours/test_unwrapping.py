"""Unwrapping: what trained a model in parallel or compiled it is taken away."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from governance.subject.flavours.unwrapping import unwrapped


def test_wrappers_are_taken_away_outside_and_inside_and_one_in_another():
    bare = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    names = list(bare.state_dict())
    whole = nn.DataParallel(torch.compile(nn.Sequential(nn.DataParallel(bare), nn.Identity())))
    found = unwrapped(whole)
    assert list(found.state_dict()) == [f"0.{name}" for name in names]
    assert found[0] is bare


def test_an_averaged_model_is_its_average():
    average = AveragedModel(nn.Linear(2, 2))
    assert unwrapped(average) is average.module


def test_a_model_of_ones_own_with_such_a_name_is_left_alone():
    class DataParallel(nn.Module):
        """No wrapper of torch: its forward does more than its module."""

        def __init__(self):
            super().__init__()
            self.module = nn.Linear(2, 2)

    model = DataParallel()
    assert unwrapped(model) is model
