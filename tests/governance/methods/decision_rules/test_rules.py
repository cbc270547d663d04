"""Rules of a network that are known by hand, and cuts that cannot be used."""

import sys

import numpy as np
import pytest
import torch
import torchvision
from bent import Bent, coloured, inputs
from torch import nn

from governance.errors import AnalysisError
from governance.methods.decision_rules import find_cut, find_rules
from governance.methods.decision_rules.estimates import estimate_rules
from governance.methods.network import trace


@pytest.fixture(scope="module")
def found():
    pixels, _ = coloured()
    images = inputs(pixels)
    network = trace(Bent(), images[:2])
    return find_rules(network, torch.split(images, 50), "stem", boundaries=30)


def with_head(*layers):
    """Convolution, activation and then what is given, with weights of their own seed."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), *layers).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) / 2)
    return model


def noise(n=8, size=8):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_the_class_between_two_hyperplanes_is_one_rule_and_the_class_outside_two(found):
    assert [len(found.of(label)) for label in range(3)] == [1, 2, 0]
    assert found.statuses == ("measured", "measured", "never predicted")
    (near,) = found.of(0)
    # Two different directions among its boundaries; each rule of `far` has one.
    for rule, directions in zip((near, *found.of(1)), (2, 1, 1), strict=True):
        signs = rule.boundaries.normals.sign()
        assert len(torch.unique(signs, dim=0)) == directions
    assert (found.covered(0) == (found.predicted == 0)).all()
    assert (found.covered(1) == (found.predicted == 1)).all()
    assert all(rule.stability > 0.98 for rule in found.rules)


def test_what_is_covered_is_what_lies_on_the_right_side_of_every_hyperplane(found):
    flat = found.features.flatten(1).double().numpy()
    for rule in found.rules:
        normals = (rule.boundaries.normals * rule.boundaries.scales[:, None]).double().numpy()
        heights = flat @ normals.T + rule.boundaries.offsets.double().numpy()
        clear = (np.abs(heights) > 1e-4).all(1)
        assert ((heights >= 0).all(1) == rule.covered)[clear].all()
        # Semantic distance: heights that differ from the seed's, summed.
        ours = rule.distances(found.features, found.features[rule.seed])
        naive = np.abs(heights - heights[rule.seed]).sum(1)
        np.testing.assert_allclose(ours, naive, atol=1e-3)


def test_halves_are_even_over_the_answers(found):
    for label in (0, 1):
        mine = found.unseen[found.predicted == label]
        assert abs(int(mine.sum()) - int((~mine).sum())) <= 1


def test_rules_beat_the_linear_surrogate_where_a_class_lies_on_two_sides(found):
    summary = estimate_rules(found, 0)

    assert summary.coverage(1).share == 1
    assert summary.precision(1).share == 1
    assert summary.against("linear", 1).share < 0.9
    value, interval = summary.edge()
    assert interval.low > 0
    naive = summary.total("precision").share - summary.total("linear").share
    assert value == pytest.approx(naive)


def test_heat_is_where_the_image_keeps_away_from_the_boundary():
    # arrange: the gap is on the left half only
    pixels, _ = coloured()
    images = inputs(pixels)
    network = trace(Bent(), images[:2])
    found = find_rules(network, [images], "stem", boundaries=30)
    rule = found.of(1)[0]
    sign = 1 if pixels[rule.seed, ..., 0].mean() > pixels[rule.seed, ..., 1].mean() else -1
    features = torch.full((1, 2, 8, 8), 0.5)
    features[0, :, :, :4] += torch.tensor([0.4, -0.4]).view(2, 1, 1) * sign

    # act
    (heat,) = rule.heat(features)

    # assert
    assert heat[:, :4].min() > 0.99
    assert heat[:, 4:].max() < 0.05


def test_a_class_with_few_reference_images_is_not_measured():
    pixels, labels = coloured()
    keep = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:40]])
    images = inputs(pixels[keep])

    found = find_rules(trace(Bent(), images[:2]), [images], "stem", boundaries=20)

    assert found.statuses == ("measured", "too few images", "never predicted")
    assert found.of(1) == ()


def test_images_that_are_all_answered_alike_are_refused():
    images = torch.full((80, 3, 4, 4), 0.5)

    with pytest.raises(AnalysisError, match="all 80 images are answered with class 0"):
        find_rules(trace(Bent(), images[:2]), [images], "stem")


def test_auto_is_the_last_cut_behind_which_the_network_is_not_linear():
    images = inputs(coloured(12)[0])

    assert find_cut(trace(Bent(), images[:2]), images[:32])[0] == "stem"
    deep = with_head(
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)
    )
    assert find_cut(trace(deep, noise()), noise())[0] == "1"


@pytest.mark.parametrize("outputs", ["logits", "probabilities"])
def test_a_linear_suffix_is_refused_by_name(outputs):
    last = [nn.Softmax(1)] if outputs == "probabilities" else []
    shallow = with_head(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3), *last)
    network = trace(shallow, noise())

    with pytest.raises(AnalysisError, match="behind cut '1' the network is linear"):
        find_cut(network, noise(), "1", outputs)
    with pytest.raises(AnalysisError, match=r"behind the stages .* the network is linear"):
        find_cut(network, noise(), "auto", outputs)


def test_cuts_that_cannot_be_used_are_refused_by_name():
    network = trace(with_head(nn.Flatten(), nn.Linear(256, 8), nn.ReLU(), nn.Linear(8, 3)), noise())

    with pytest.raises(AnalysisError, match="layer 'nowhere' does not exist"):
        find_cut(network, noise(), "nowhere")
    with pytest.raises(AnalysisError, match="cut '3' gives \\(8,\\) numbers"):
        find_cut(network, noise(), "3")
    with pytest.raises(AnalysisError, match="at least 2 are accepted"):
        find_cut(network, noise(1))


def test_a_network_that_cannot_be_resumed_is_refused():
    class Branching(Bent):
        def forward(self, x):
            if float(x.sum()) > 1e9:
                x = x * 0
            return super().forward(x)

    with pytest.raises(AnalysisError, match="could not be traced"):
        find_cut(trace(Branching(), noise()), noise(), "stem")
    resnet = torchvision.models.resnet18(weights=None, num_classes=4).eval()
    with pytest.raises(AnalysisError, match="other activations pass by it"):
        find_cut(trace(resnet, noise(2, 32)), noise(2, 32), "layer2.0.conv1")


def test_features_that_do_not_fit_or_are_not_finite_are_refused(monkeypatch):
    network = trace(Bent(), noise())
    with pytest.raises(AnalysisError, match="NaN or infinite"):
        find_rules(network, [noise() * torch.inf], "stem")

    monkeypatch.setattr(sys.modules[find_rules.__module__], "MEMORY", 2048)
    assert find_cut(network, noise(4)) == ("stem", 4)
    with pytest.raises(AnalysisError, match="at most 4 images are accepted"):
        find_rules(network, [noise(5)], "stem")


def test_a_network_that_reads_the_batch_size_off_its_images_can_be_resumed():
    class Sized(Bent):
        def forward(self, x):
            count = x.size(0)
            x = torch.relu(self.bend(torch.relu(self.stem(x))))
            return self.head(x.mean((2, 3)).view(count, -1))

    model = Sized()
    network = trace(model, noise(2))
    ((_, logits, found),) = network.features(noise(5), ["stem"])

    torch.testing.assert_close(network.resumed("stem", found["stem"]).detach(), logits)


def test_an_image_that_passes_by_the_cut_is_seen():
    class Skipping(Bent):
        def forward(self, x):
            y = torch.relu(self.bend(torch.relu(self.stem(x))))
            return self.head((y + x[:, :2]).mean((2, 3)))

    with pytest.raises(AnalysisError, match="other activations pass by it"):
        trace(Skipping(), noise(2)).resumed("bend", torch.zeros(2, 2, 8, 8))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_0", "exported"])
def test_resumed_behind_a_stage_a_network_gives_its_own_logits_and_gradients(name):
    # arrange
    images = noise(2, 64)
    kind = "resnet18" if name == "exported" else name
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torchvision.models.get_model(kind, weights=None, num_classes=5).eval()
    if name == "exported":
        shapes = ({0: torch.export.Dim.AUTO},)
        program = torch.export.export(model, (images,), dynamic_shapes=shapes)
        model = torch.export.unflatten(program)
    network = trace(model, images)
    stage = network.stages()[-1]
    ((_, logits, found),) = network.features(images, [stage])
    objective = lambda output, _: output[:, 1].sum()  # noqa: E731 - two lines of it say less
    ((_, _, slopes),) = network.gradients(images, [stage], objective)

    # act: another number of images than the example had
    features = torch.cat([found[stage]] * 2).requires_grad_()
    resumed = network.resumed(stage, features)
    (slope,) = torch.autograd.grad(resumed[:, 1].sum(), features)

    # assert
    torch.testing.assert_close(resumed[2:].detach(), logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(slope[:2], slopes[stage][1], atol=1e-4, rtol=1e-4)
