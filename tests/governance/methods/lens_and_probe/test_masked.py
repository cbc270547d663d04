"""What is left of an answer when only what a layer looked at is seen."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from governance.errors import AnalysisError
from governance.methods.lens_and_probe.masked import ELSEWHERE, KEPT, MASK, mask_readings, seen_by
from governance.methods.network import trace

SIZE = 16


class Spot(nn.Module):
    """Class 1 by the brightest place of the first channel, class 0 otherwise."""

    def __init__(self):
        super().__init__()
        self.look = nn.Conv2d(2, 2, 1, bias=False)
        self.relu = nn.ReLU()
        self.head = nn.Linear(2, 2)
        with torch.no_grad():
            self.look.weight.copy_(torch.eye(2).view(2, 2, 1, 1))
            self.head.weight.copy_(torch.tensor([[0.0, 0.0], [12.0, 0.0]]))
            self.head.bias.copy_(torch.tensor([16.0, 0.0]))
        self.eval()

    def forward(self, x):
        return self.head(self.relu(self.look(x)).amax((2, 3)))


def spotted(place=(3, 4), side=4):
    """One image with a bright square in its first channel and nothing in the second."""
    image = torch.zeros(1, 2, SIZE, SIZE)
    image[0, 0, place[0] : place[0] + side, place[1] : place[1] + side] = 1.0
    # One pixel of it is the brightest, so that the maximum has one place.
    image[0, 0, place[0] + 1, place[1] + 1] = 1.5
    return image


def test_the_mask_keeps_what_the_answer_rests_on():
    # arrange
    model, image = Spot(), spotted()
    network = trace(model, image.expand(2, -1, -1, -1))

    # act
    seen = seen_by(network, image, np.array([1]), ["look"], rng=np.random.default_rng(0))

    # assert: the gradient of a maximum lies at its place alone
    assert np.argwhere(seen.heat[0, 0] == 1).tolist() == [[4, 5]]
    assert seen.answers[0, 0, 1] > 0.8
    assert seen.elsewhere[0, 0, 1] < 0.1
    assert 0 < seen.kept[0, 0] <= KEPT


def test_masked_answers_are_what_composing_by_hand_gives(tiny_subject):
    # arrange
    pixels = tiny_subject.pixels(range(5))
    inputs = tiny_subject.network.inputs(pixels)
    network = trace(tiny_subject.network.model, inputs[:2])
    targets = network.logits(inputs).argmax(1).numpy()

    # act
    seen = seen_by(network, inputs, targets, ["stem"], rng=np.random.default_rng(0))

    # assert
    model = tiny_subject.network.model
    for row in range(5):
        x = inputs[row : row + 1]
        stem = torch.relu(model.stem_norm(model.stem(x))).detach().requires_grad_()
        z = torch.relu(stem + model.branch_norm(model.branch(stem)))
        model.head(z.mean((2, 3)))[0, targets[row]].backward()
        model.zero_grad()
        heat = (stem * stem.grad).sum(1).clamp_min(0)[0].detach()
        limit = heat.flatten().sort(descending=True).values[round(KEPT * 256) - 1]
        keep = (heat >= limit) & (heat > 0)
        soft = ndimage.gaussian_filter(x.numpy(), (0, 0, 16 / 12, 16 / 12), mode="nearest")
        with torch.no_grad():
            said = model(torch.where(keep, x, torch.from_numpy(soft))).softmax(1)[0]
        assert seen.answers[row, 0] == pytest.approx(said.numpy(), abs=1e-5)
        assert seen.kept[row, 0] == pytest.approx(float(keep.double().mean()))


def test_a_layer_without_evidence_keeps_nothing():
    # arrange: nothing speaks for class 0
    model, image = Spot(), spotted()
    network = trace(model, image.expand(2, -1, -1, -1))

    # act
    seen = seen_by(network, image, np.array([0]), ["look"], rng=np.random.default_rng(0))

    # assert
    assert seen.kept[0, 0] == 0
    assert not seen.heat.any()
    assert np.isfinite(seen.answers).all()


def test_what_gives_no_maps_cannot_be_looked_through(tiny_subject):
    inputs = tiny_subject.network.inputs(tiny_subject.pixels(range(2)))
    network = trace(tiny_subject.network.model, inputs)
    with pytest.raises(AnalysisError, match="feature maps"):
        seen_by(network, inputs, np.array([0, 0]), ["head"], rng=np.random.default_rng(0))


def test_readings_of_masks_stand_beside_their_control(tiny_subject):
    # arrange
    labels = tiny_subject.validation.labels[:30]
    inputs = tiny_subject.network.inputs(tiny_subject.pixels(range(30)))
    network = trace(tiny_subject.network.model, inputs[:2])

    # act
    found = mask_readings(
        network, torch.split(inputs, 7), labels, layers=(*network.stages(), "head input")
    )

    # assert: one reading and one control for each stage, none for the head's input
    assert set(found) == {
        (layer, method) for layer in network.stages() for method in (MASK, ELSEWHERE)
    }
    for reading in found.values():
        assert reading.probabilities.sum(1) == pytest.approx(np.ones(30))
        assert 0 < reading.depth < 1
