"""The network cut open gives the model's own numbers, whichever way it is run."""

import copy

import pytest
import torch
import torchvision
from torch import nn

from governance.errors import AnalysisError, InapplicableError
from governance.methods.network import HEAD, backward_batch, trace
from governance.subject.network import tensor_digest

CLOSE = 1e-4
SMALL = {"inception_v3": 75}
PLAIN_INIT = {"googlenet", "inception_v3"}
FAMILIES = (
    "resnet18", "mobilenet_v3_small", "squeezenet1_0", "shufflenet_v2_x0_5", "regnet_y_400mf",
    "googlenet",
)  # fmt: skip
MORE_FAMILIES = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "inception_v3", "mnasnet0_5",
    "mobilenet_v2", "vgg11_bn",
)  # fmt: skip


def family(name):
    """A torchvision classifier for ten classes with seeded weights, and two images for it."""
    options = {"init_weights": False} if name in PLAIN_INIT else {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torchvision.models.get_model(name, weights=None, num_classes=10, **options).eval()
        size = SMALL.get(name, 64)
        # Inputs of uneven brightness, or fresh weights answer nearly the same to everything.
        return model, torch.randn(2, 3, size, size) * 2 + 1


def silenced(network, images, layer, sets, value=0.3, **options):
    """Outputs by set of silenced channels, all images together."""
    (unit,) = (unit for unit in network.units() if unit.layer == layer)
    reference = {layer: torch.full((unit.channels,), value)}
    parts = {}
    for _, number, _, output in network.ablate(images, {layer: sets}, reference, **options):
        parts.setdefault(number, []).append(output)
    return [torch.cat(parts[number]) for number in range(len(sets))]


class Reused(nn.Module):
    """One in-place activation used twice, an in-place sum, and a linear head."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = self.relu(self.norm(self.conv1(x)))
        y = self.conv2(x)
        y += x
        self.relu(y)  # its result is thrown away: the sum itself has changed
        return self.head(y.mean((2, 3)))


class Branching(Reused):
    """The same computation with control flow that no tracer follows."""

    def forward(self, x):
        if float(x.sum()) > 1e9:
            x = x * 0
        return super().forward(x)


@pytest.fixture
def images():
    return torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def seeded(kind, *args):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return kind(*args).eval()


def check_family(name):
    model, images = family(name)
    digest = tensor_digest(model)
    resumed, rerun = trace(model, images), trace(model, images, path="hooks")
    assert resumed.path == "fx"
    assert rerun.path == "hooks"
    named = [(unit.layer, unit.channels, unit.size) for unit in resumed.units()]
    assert named == [(unit.layer, unit.channels, unit.size) for unit in rerun.units()]
    assert resumed.stages() == rerun.stages()
    for unit in (resumed.units()[0], resumed.units()[-1]):
        sets = [(), (0,), tuple(range(unit.channels))]
        ours = silenced(resumed, images, unit.layer, sets, value=1.0)
        theirs = silenced(rerun, images, unit.layer, sets, value=1.0)
        for one, other in zip(ours, theirs, strict=True):
            assert (one - other).abs().max() < CLOSE
        with torch.no_grad():
            assert (ours[0] - model(images)).abs().max() < CLOSE
        assert (ours[0] - ours[2]).abs().max() > 0
    assert tensor_digest(model) == digest


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_resumed_ablation_equals_a_whole_rerun_for_torchvision_families(name):
    check_family(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE_FAMILIES)
def test_resumed_ablation_equals_a_whole_rerun_for_more_torchvision_families(name):
    check_family(name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["resnet18", "mobilenet_v3_small", Reused])
def test_an_exported_program_gives_the_layers_and_numbers_of_its_module(kind, images):
    # arrange
    model, x = family(kind) if isinstance(kind, str) else (seeded(kind), images)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    module = torch.export.unflatten(program)
    # act
    ours, theirs = trace(module, x), trace(model, x)
    # assert
    assert ours.path == "export"
    assert ours.units() == theirs.units()
    assert ours.stages() == theirs.stages()
    for unit in (ours.units()[0], ours.units()[-1]):
        for one, other in zip(
            silenced(ours, x, unit.layer, [(0,), (1, 2)]),
            silenced(theirs, x, unit.layer, [(0,), (1, 2)]),
            strict=True,
        ):
            assert (one - other).abs().max() < CLOSE


@pytest.mark.parametrize("path", ["fx", "hooks"])
def test_silencing_is_what_replacing_channels_by_hand_gives(path, images):
    # arrange
    model = seeded(Reused)
    network = trace(model, images[:2], path=path)
    # act
    (first,) = silenced(network, images, "conv1", [(1, 3)])
    (second,) = silenced(network, images, "conv2", [(0,)], closed_form=False)
    # assert
    with torch.no_grad():
        x = torch.relu(model.norm(model.conv1(images)))
        y = model.conv2(x)
        changed_x, changed_y = x.clone(), y.clone()
        changed_x[:, [1, 3]] = 0.3
        changed_y[:, 0] = 0.3
        again = model.conv2(changed_x)
        expected_first = model.head(torch.relu(again + changed_x).mean((2, 3)))
        expected_second = model.head(torch.relu(changed_y + x).mean((2, 3)))
    torch.testing.assert_close(first, expected_first)
    torch.testing.assert_close(second, expected_second)


def test_closed_form_equals_resuming_where_only_channelwise_steps_follow(images):
    model = seeded(Reused)
    network = trace(model, images[:2])
    assert {unit.layer: unit.closed for unit in network.units()} == {"conv1": False, "conv2": True}
    sets = [(), (0,), (1, 3)]
    for fast, slow in zip(
        silenced(network, images, "conv2", sets),
        silenced(network, images, "conv2", sets, closed_form=False),
        strict=True,
    ):
        torch.testing.assert_close(fast, slow)


def test_a_reused_module_is_named_by_its_calls_and_its_outputs_are_kept_apart(images):
    network = trace(seeded(Reused), images[:2])
    layers = ["relu#0", "relu#1", "conv1"]
    (_, _, found), *_ = network.features(images, layers)
    assert torch.equal(found["relu#0"], found["conv1"])
    assert not torch.equal(found["relu#0"], found["relu#1"])
    assert (found["relu#1"] >= 0).all()


def test_a_forward_pass_with_control_flow_is_watched_and_gives_the_same_numbers(images):
    # arrange
    plain, branching = seeded(Reused), seeded(Branching)
    # act
    traced, watched = trace(plain, images[:2]), trace(branching, images[:2])
    # assert
    assert watched.path == "hooks"
    assert all(unit.cost == 1.0 for unit in watched.units())
    for layer in ("conv1", "conv2"):
        for one, other in zip(
            silenced(traced, images, layer, [(), (0, 2)]),
            silenced(watched, images, layer, [(), (0, 2)]),
            strict=True,
        ):
            assert (one - other).abs().max() < CLOSE


@pytest.mark.parametrize("path", ["fx", "hooks"])
def test_the_head_on_its_input_is_the_model(path, images):
    model = seeded(Reused)
    network = trace(model, images[:2], path=path)
    for part, output, found in network.features(images, [HEAD]):
        assert found[HEAD].shape[1] == 4
        torch.testing.assert_close(network.head(found[HEAD]), output)
        with torch.no_grad():
            torch.testing.assert_close(output, model(images[part]))


@pytest.mark.parametrize("path", ["fx", "hooks"])
def test_gradients_are_those_of_the_objective_at_the_unit(path, images):
    # arrange
    model = seeded(Reused)
    for parameter in model.parameters():
        parameter.requires_grad = False
    network = trace(model, images[:2], path=path)
    # act
    ((_, _, found),) = network.gradients(images, ["conv1"], lambda out, _: out[:, 0].sum())
    value, slope = found["conv1"]
    # assert: a small step along one entry
    step = torch.zeros_like(value)
    step[2, 1, 3, 3] = 1e-2
    with torch.no_grad():

        def rest(x):
            return model.head(torch.relu(model.conv2(x) + x).mean((2, 3)))[2, 0]

        difference = (rest(value + step) - rest(value - step)) / 2e-2
    assert float(slope[2, 1, 3, 3]) == pytest.approx(float(difference), abs=1e-3)


@pytest.mark.parametrize("kind", [Reused, Branching])
def test_the_model_is_left_as_found(kind, images):
    # arrange
    model = seeded(kind).train()
    model.norm.eval()
    flags = [module.training for module in model.modules()]
    digest, attributes, kept = tensor_digest(model), set(vars(model)), images.clone()
    state = torch.random.get_rng_state()
    # act
    network = trace(model, images[:2])
    list(network.features(images, network.stages()))
    list(network.gradients(images, ["conv1"], lambda out, _: out.sum()))
    silenced(network, images, "conv1", [(0,)])
    # assert
    assert [module.training for module in model.modules()] == flags
    assert tensor_digest(model) == digest
    assert set(vars(model)) == attributes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.equal(images, kept)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_batches_do_not_change_the_numbers(images):
    model = seeded(Reused)
    whole, single = trace(model, images[:2]), trace(model, images[:2], batch_size=2)
    (one,), (other,) = (silenced(n, images, "conv1", [(0,)]) for n in (whole, single))
    torch.testing.assert_close(one, other)
    assert [part for part, _, _ in single.features(images, ())] == [
        slice(0, 1), slice(1, 3), slice(3, 5),
    ]  # fmt: skip


def test_stages_end_with_the_last_convolutional_output_and_hold_each_resolution():
    model, images = family("resnet18")
    network = trace(model, images)
    stages = network.stages()
    assert stages[-1] == "layer4"
    assert {"relu", "layer1", "layer2", "layer3"} <= set(stages)
    assert len(stages) <= 8
    (_, _, found), *_ = network.features(images, stages)
    sizes = [found[stage].shape[2] for stage in stages]
    assert sizes == sorted(sizes, reverse=True)


class Two(Reused):
    def forward(self, x):
        scores = super().forward(x)
        return scores, scores


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (seeded(Two), "several outputs"),
        (seeded(Reused).half(), "half precision"),
        (seeded(Reused).bfloat16(), "double precision"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)), r"\(2, K\) is accepted"),
    ],
)
def test_models_that_cannot_be_cut_open_are_refused_with_a_reason(model, message, images):
    with pytest.raises(AnalysisError, match=message):
        trace(model, images[:2])


def test_a_network_that_sees_no_places_has_neither_filters_nor_depths(images):
    network = trace(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), images[:2])
    for asked in (network.units, network.stages):
        with pytest.raises(InapplicableError, match="no layer of filters can be seen"):
            asked()


def test_a_layer_that_does_not_exist_is_refused_by_name(images):
    network = trace(seeded(Reused), images[:2])
    with pytest.raises(
        AnalysisError, match=r"layer 'conv9' does not exist; layers of filters are conv1, conv2"
    ):
        next(network.features(images, ["conv9"]))
    with pytest.raises(AnalysisError, match="has no channel 7; 0 to 3 are accepted"):
        silenced(network, images, "conv1", [(7,)])
    with pytest.raises(AnalysisError, match="'relu#0' is no layer of filters"):
        list(network.ablate(images, {"relu#0": [(0,)]}, {"relu#0": torch.zeros(4)}))


def test_a_network_without_a_linear_end_has_units_but_no_head(images):
    ending = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = trace(ending.eval(), images[:2])
    assert [unit.layer for unit in network.units()] == ["0"]
    with pytest.raises(AnalysisError, match="does not end in a linear layer"):
        network.head(torch.zeros(1, 4))


def test_a_path_that_is_not_possible_is_refused(images):
    with pytest.raises(AnalysisError, match="cannot be run by way of 'fx'"):
        trace(seeded(Branching), images[:2], path="fx")


def test_a_shared_convolution_is_one_unit_for_each_use(images):
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            return self.head(self.conv(torch.relu(self.conv(x))).mean((2, 3)))

    model = seeded(Shared)
    for path in ("fx", "hooks"):
        network = trace(copy.deepcopy(model), images[:2], path=path)
        assert [unit.layer for unit in network.units()] == ["conv#0", "conv#1"]
        one, other = (silenced(network, images, layer, [(0,)])[0] for layer in ("conv#0", "conv#1"))
        assert not torch.allclose(one, other)


def test_a_backward_pass_is_taken_of_as_many_images_as_fit_into_memory(images, monkeypatch):
    # arrange: what is kept for it is the input, and the result of the first convolution
    model = nn.Sequential(nn.Conv2d(3, 16, 1, bias=False), nn.Conv2d(16, 1, 1, bias=False))
    kept = (3 + 16) * 8 * 8 * 4

    def size(memory, most=100):
        monkeypatch.setattr("governance.methods.network.batches.MEMORY", memory)
        return backward_batch(model, lambda inputs: model(inputs).sum(), images[:2], most)

    # act / assert
    assert size(7 * kept) == 7
    assert size(7 * kept, most=4) == 4
    assert size(1) == 1
