"""Training on bounds: what is certified afterwards, and that nothing else is touched."""

import itertools
import logging

import pytest
import torch
from torch import nn

from governance.errors import AnalysisError
from governance.training import certified_finetune

logging.getLogger("torch.__trace").disabled = True


def task(n=96, seed=0):
    """Grey 6 x 6 images with a brighter left or right half."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    images = 0.4 + 0.2 * torch.rand(n, 1, 6, 6, generator=generator)
    for image, label in zip(images, labels, strict=True):
        image[:, :, 3 * int(label) : 3 * int(label) + 3] += 0.2
    return images, labels


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
            nn.Conv2d(4, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2),
        ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def finetuned():
    model = network()
    before = {name: item.clone() for name, item in model.state_dict().items()}
    state = torch.random.get_rng_state()
    found = certified_finetune(model, *task(), eps=0.05, epochs=25, rate=1e-2, preprocess=centred)
    return model, before, state, found


def centred(x):
    return (x - 0.5) / 0.25


def test_decisions_are_certified_afterwards(finetuned):
    found = finetuned[3]
    assert found.accuracy_after == 1.0
    assert found.certified > 0.9
    assert len(found.losses) == 25
    assert not found.model.training


def test_no_corner_of_a_certified_box_changes_the_decision(finetuned):
    found = finetuned[3]
    images, labels = task()
    right = []
    for signs in itertools.product((-1, 1), repeat=2):
        moved = images.clone()
        moved[..., :3] += 0.05 * signs[0]
        moved[..., 3:] += 0.05 * signs[1]
        right.append(found.model(centred(moved)).argmax(1) == labels)
    assert torch.stack(right).all(0).float().mean() >= found.certified


def test_the_given_model_is_left_as_found(finetuned):
    model, before, state, _ = finetuned
    assert all(torch.equal(before[name], item) for name, item in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(state, torch.random.get_rng_state())


def test_normalisation_is_not_trained(finetuned):
    model, _, _, found = finetuned
    for one, two in zip(model[1].parameters(), found.model[1].parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.slow
def test_the_same_seed_trains_the_same():
    images, labels = task(32)
    results = [certified_finetune(network(), images, labels, eps=0.02, epochs=2) for _ in range(2)]
    for one, two in zip(*(r.model.parameters() for r in results), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": 0.0}, "eps"),
        ({"eps": 2.0}, "eps"),
        ({"eps": 0.1, "warm_up": 0.9}, "shares"),
        ({"eps": 0.1, "labels": torch.zeros(3, dtype=torch.int64)}, "labels"),
        ({"eps": 0.1, "images": 3 * torch.ones(96, 1, 6, 6)}, r"\[0, 1\]"),
    ],
)
def test_impossible_requests_are_refused(options, message):
    images, labels = task()
    given = {"images": images, "labels": labels} | options
    with pytest.raises(AnalysisError, match=message):
        certified_finetune(network(), **given)


def test_a_network_without_weights_to_train_is_refused():
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    with pytest.raises(AnalysisError, match="holds at least one of them is accepted"):
        certified_finetune(model, *task(), eps=0.1)
