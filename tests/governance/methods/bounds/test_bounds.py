"""Soundness and tightness of the bounds, from single operators to whole networks."""

import functools
import itertools
import logging
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from governance.errors import AnalysisError
from governance.methods.bounds import aten, operators, relaxations
from governance.methods.bounds.attack import attack
from governance.methods.bounds.bounds import (
    Ranges,
    interval_ranges,
    lower,
    margin_rows,
    margins,
    rounding_slack,
    tightened_ranges,
)
from governance.methods.bounds.locality import Window, localised
from governance.methods.bounds.program import Program, read
from governance.methods.bounds.relaxations import CURVES, Lines, curve

METHODS = ("interval", "crown", "tightened")
EXAMPLES = settings(max_examples=15, deadline=None, derandomize=True)
FUNCTIONS = {
    "relu": functional.relu,
    "relu6": functional.relu6,
    "hardtanh": functional.hardtanh,
    "leaky_relu": functional.leaky_relu,
    "hardsigmoid": functional.hardsigmoid,
    "hardswish": functional.hardswish,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "silu": functional.silu,
    "gelu": functional.gelu,
}


# The exporter's own trace log is written only where someone listens, as pytest's capture does.
logging.getLogger("torch.__trace").disabled = True


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def double(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def inside(name, low, high):
    """A dense grid between the ends, kinks included: (points, pairs)."""
    grid = low + torch.linspace(0, 1, 4001, dtype=torch.float64)[:, None] * (high - low)
    knots = torch.tensor(curve(name).knots, dtype=torch.float64)[:, None].expand(-1, len(low))
    return torch.cat([grid, knots]).clamp(low, high)


def ends(points=9, most=7.0):
    """All ordered pairs of points: (low, high)."""
    values = torch.linspace(-most, most, points, dtype=torch.float64)
    pairs = [(a, b) for a, b in itertools.product(values, values) if a <= b]
    low, high = (torch.stack(column) for column in zip(*pairs, strict=True))
    return low, high


def settled(model):
    """Random normalisation statistics and signs, as training would leave them."""
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.01, 2.0)
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    return model.eval()


def bounded(model, shape, eps, method="crown", image=None):
    """Margins of the decided class over a box: (bounds, program, low, high, decided)."""
    program = model if isinstance(model, Program) else read(model, shape)
    image = torch.rand(1, *shape) if image is None else image
    image = image.double()
    decided = int(program.values(image)[-1].argmax())
    rivals = [k for k in range(program.classes) if k != decided]
    rows = margin_rows(program.classes, decided, rivals, image)
    low, high = (image - eps).clamp(0, 1), (image + eps).clamp(0, 1)
    return margins(program, low, high, rows, method)[0], program, low, high, decided


def sampled_margins(program, low, high, decided, points=256):
    """Margins over random points and corners of a box, (points, classes - 1)."""
    inner = torch.rand(points, *low.shape[1:], dtype=torch.float64)
    inner[points // 2 :] = inner[points // 2 :].round()
    outputs = program.values(low + inner * (high - low))[-1]
    others = [k for k in range(outputs.shape[1]) if k != decided]
    return outputs[:, [decided]] - outputs[:, others]


# --- one function at a time, on dense grids -----------------------------------------------------


@pytest.mark.parametrize("name", sorted(CURVES))
def test_values_are_those_of_torch(name):
    x = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    torch.testing.assert_close(curve(name).value(x), FUNCTIONS[name](x), rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", sorted(CURVES))
def test_slopes_are_derivatives(name):
    x = torch.linspace(-7.9, 7.9, 996, dtype=torch.float64)
    numeric = (FUNCTIONS[name](x + 1e-6) - FUNCTIONS[name](x - 1e-6)) / 2e-6
    torch.testing.assert_close(curve(name).slope(x), numeric, rtol=1e-6, atol=1e-6)
    assert numeric.abs().max() <= curve(name).steepest + 1e-9


@pytest.mark.parametrize("name", sorted(CURVES))
def test_lines_enclose_and_touch_on_a_dense_grid(name):
    low, high = ends()
    x = inside(name, low, high)
    y = FUNCTIONS[name](x)
    found = relaxations.lines(curve(name), low, high)
    below = y - (found.slope_below * x + found.offset_below)
    above = found.slope_above * x + found.offset_above - y
    assert below.min() >= -1e-12
    assert above.min() >= -1e-12
    # Lines that touch the function cannot be moved: a bound loose by 1 % fails here.
    assert below.amin(0).max() < 1e-5
    assert above.amin(0).max() < 1e-5


@pytest.mark.parametrize("name", sorted(CURVES))
def test_ranges_are_exact_on_a_dense_grid(name):
    low, high = ends()
    x = inside(name, low, high)
    y = FUNCTIONS[name](x)
    least, most = relaxations.span(curve(name), low, high)
    assert (least <= y.amin(0) + 1e-12).all()
    assert (most >= y.amax(0) - 1e-12).all()
    torch.testing.assert_close(least, y.amin(0), rtol=0, atol=1e-5)
    torch.testing.assert_close(most, y.amax(0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["silu", "gelu", "hardswish", "sigmoid", "tanh"])
@given(
    a=st.floats(-30, 30),
    width=st.one_of(st.floats(0, 1e-6), st.floats(0, 10)),
    part=st.floats(0, 1),
)
@EXAMPLES
def test_lines_enclose_between_any_ends(name, a, width, part):
    low, high = double(a), double(a + width)
    x = (low + part * (high - low)).clamp(low, high)
    y = FUNCTIONS[name](x)
    found = relaxations.lines(curve(name), low, high)
    assert found.slope_below * x + found.offset_below <= y + 1e-12
    assert found.slope_above * x + found.offset_above >= y - 1e-12


def test_relu_lines_are_those_of_crown():
    low, high = double(-1.0, -3.0, -4.0, 1.0), double(3.0, 1.0, -1.0, 2.0)
    found = relaxations.lines(curve("relu"), low, high)
    torch.testing.assert_close(found.slope_above, double(0.75, 0.25, 0.0, 1.0))
    torch.testing.assert_close(found.offset_above, double(0.75, 0.75, 0.0, 0.0))
    torch.testing.assert_close(found.slope_below, double(1.0, 0.0, 0.0, 1.0))
    torch.testing.assert_close(found.offset_below, double(0.0, 0.0, 0.0, 0.0))


def test_maximum_lines_enclose_and_touch():
    # (1, 1, 3 entries, 200 windows); a corner grid of each window is tried
    low = torch.rand(1, 1, 3, 200, dtype=torch.float64)
    high = low + torch.rand_like(low) * torch.rand(1, 1, 1, 200, dtype=torch.float64)
    below, above, offset = relaxations.window_lines(low, high)
    least, most = torch.full((200,), torch.inf), torch.full((200,), torch.inf)
    for weights in itertools.product((0.0, 0.5, 1.0), repeat=3):
        part = double(*weights).view(1, 1, 3, 1)
        x = low + part * (high - low)
        y = x.amax(2)[0, 0]
        under = y - (below * x).sum(2)[0, 0]
        over = ((above * x).sum(2) + offset)[0, 0] - y
        assert under.min() >= -1e-12
        assert over.min() >= -1e-12
        least, most = torch.minimum(least, under), torch.minimum(most, over)
    assert least.max() < 1e-12
    assert most.max() < 1e-12


def test_product_planes_enclose_and_touch():
    first = torch.randn(300, dtype=torch.float64)
    second = torch.randn(300, dtype=torch.float64)
    boxes = [(x, x + torch.rand(300, dtype=torch.float64) * 3) for x in (first, second)]
    below, above = relaxations.product_planes(*boxes)
    least = most = torch.full((300,), torch.inf, dtype=torch.float64)
    for u, v in itertools.product((0.0, 0.3, 0.7, 1.0), repeat=2):
        x = boxes[0][0] + u * (boxes[0][1] - boxes[0][0])
        y = boxes[1][0] + v * (boxes[1][1] - boxes[1][0])
        under = x * y - (below[0] * x + below[1] * y + below[2])
        over = above[0] * x + above[1] * y + above[2] - x * y
        assert under.min() >= -1e-12
        assert over.min() >= -1e-12
        least, most = torch.minimum(least, under), torch.minimum(most, over)
    assert least.max() < 1e-12
    assert most.max() < 1e-12


# --- operators as torch.export gives them -------------------------------------------------------


class Odd(nn.Module):
    """Reshapes, slices, constants on both sides, division, products, clamp, pads."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.squeeze = nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(4 * 3 * 3, 3)
        self.register_buffer("shift", torch.randn(4, 1, 1))

    def forward(self, x):
        x = self.conv(1 - x / 0.5) - self.shift
        left, right = torch.chunk(x, 2, dim=1)
        x = torch.cat([right, left * 2.0], 1)
        gate = functional.hardsigmoid(self.squeeze(x.mean((2, 3), keepdim=True)))
        x = functional.pad(x * gate, (1, 0, 0, 1), value=0.3)
        x = x.clamp(-1.0, 2.0).transpose(2, 3)[:, :, ::2, 1:]
        x = functional.adaptive_avg_pool2d(-x, 3)
        return self.fc(x.reshape(x.shape[0], -1))


class InPlace(nn.Module):
    """In-place writes that later steps read, a residual, an unused branch and a softmax."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        y = self.a(x)
        functional.relu_(y)
        z = self.norm(self.b(y))
        z += y
        self.fc(y.mean((2, 3)))
        return functional.relu(z, inplace=True).mean((2, 3)).softmax(1)


NETS = {
    "strided, dilated, grouped": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=2, dilation=2, groups=2), nn.BatchNorm2d(4),
            nn.SiLU(), nn.Conv2d(4, 6, (3, 1), padding="same"), nn.Hardswish(), nn.Dropout(),
            nn.Flatten(), nn.Linear(96, 3),
        ),
        (2, 8, 8),
    ),
    "padded overlapping pools": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.GELU(), nn.MaxPool2d(3, 2, padding=1), nn.LeakyReLU(0.2),
            nn.MaxPool2d(2, ceil_mode=True), nn.AvgPool2d(2, 1, padding=1), nn.Sigmoid(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4),
        ),
        (1, 11, 11),
    ),
    "odd steps": (Odd, (2, 6, 6)),
    "in-place": (InPlace, (1, 6, 6)),
}  # fmt: skip


@functools.cache
def network(name):
    """One of `NETS` with its program: (model, program, shape)."""
    build, shape = NETS[name]
    model = settled(build())
    return model, read(model, shape), shape


@pytest.mark.slow
@pytest.mark.parametrize("exported", [False, True], ids=["eager", "unflattened"])
@pytest.mark.parametrize("name", NETS)
def test_networks_are_read_as_they_compute(name, exported):
    model, program, shape = network(name)
    x = torch.rand(3, *shape)
    expected = model(x).double().detach()
    if exported:
        batch = torch.export.Dim("batch", min=1, max=64)
        stored = torch.export.export(model, (torch.rand(2, *shape),), dynamic_shapes=({0: batch},))
        program = read(torch.export.unflatten(stored).eval(), shape)
    found = program.values(x)[-1]
    if program.softmax:
        found = found.softmax(1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NETS)
def test_no_point_of_the_box_is_below_the_bound(name, method):
    _, program, shape = network(name)
    found, _, low, high, decided = bounded(program, shape, 0.05, method)
    assert (sampled_margins(program, low, high, decided) >= found - 1e-9).all()


@pytest.mark.parametrize("name", NETS)
def test_better_methods_are_never_worse(name):
    _, program, shape = network(name)
    image = torch.rand(1, *shape)
    values = [bounded(program, shape, 0.05, method, image)[0] for method in METHODS]
    assert (values[1] >= values[0] - 1e-9).all()
    assert values[2].min() >= values[1].min() - 1e-6


@pytest.mark.parametrize("name", NETS)
def test_a_box_of_one_point_has_the_margin_itself(name):
    _, program, shape = network(name)
    for method in METHODS:
        found, _, low, high, decided = bounded(program, shape, 0.0, method)
        exact = sampled_margins(program, low, high, decided, points=2)[0]
        torch.testing.assert_close(found, exact, rtol=0, atol=1e-8)


# --- whole networks ------------------------------------------------------------------------------


def drawn_network(kinds, width, seed):
    torch.manual_seed(seed)
    layers = [nn.Conv2d(1, width, 3, padding=1)]
    size = 6
    for kind in kinds:
        if kind == "norm":
            layers.append(nn.BatchNorm2d(width))
        elif kind == "conv":
            layers.append(nn.Conv2d(width, width, 3, padding=1))
        elif kind == "pool" and size > 2:
            layers.append(nn.MaxPool2d(3, 2, padding=1))
            size = (size + 1) // 2
        else:
            layers.append(
                {"relu": nn.ReLU, "silu": nn.SiLU, "hard": nn.Hardswish}.get(kind, nn.ReLU)()
            )
    layers += [nn.Flatten(), nn.Linear(width * size * size, 3)]
    return settled(nn.Sequential(*layers))


@pytest.mark.slow
@given(
    kinds=st.lists(st.sampled_from(["relu", "silu", "hard", "conv", "norm", "pool"]), max_size=5),
    width=st.integers(1, 3),
    seed=st.integers(0, 10_000),
    eps=st.sampled_from([1e-7, 1e-3, 0.03, 0.3]),
    method=st.sampled_from(METHODS),
)
@EXAMPLES
def test_drawn_networks_keep_random_corner_and_attacked_points_inside(
    kinds, width, seed, eps, method
):
    # arrange
    model = drawn_network(kinds, width, seed)
    # act
    found, program, low, high, decided = bounded(model, (1, 6, 6), eps, method)
    # assert
    assert (sampled_margins(program, low, high, decided, 64) >= found - 1e-9).all()
    reached = attack(
        lambda x: program_outputs(program, x), (low + high).float() / 2, low, high, decided,
        torch.Generator().manual_seed(0), steps=5,
    )  # fmt: skip
    assert reached.margins[0] >= found.min() - 1e-5 * (1 + found.abs().max())


def program_outputs(program, x):
    return program.values(x)[-1].float()


def test_a_hundred_thousand_points_of_attacked_boxes_do_not_escape():
    model = settled(drawn_network(["norm", "relu", "pool", "conv", "relu"], 3, 5))
    found, program, low, high, decided = bounded(model, (1, 6, 6), 0.05, "tightened")
    for _ in range(10):
        assert (sampled_margins(program, low, high, decided, 1000) >= found - 1e-9).all()


@pytest.mark.slow
def test_eight_neurons_enumerated_exactly():
    """The exact minimum over all sign patterns of the rectifiers, each a linear program."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(),
                          nn.Linear(4, 2)).eval()  # fmt: skip
    found, program, low, high, decided = bounded(model, (1, 1, 2), 0.2, "tightened")
    exact = _exact_minimum(model, low.flatten(), high.flatten(), decided)
    ends = zip(low.flatten().tolist(), high.flatten().tolist(), strict=True)
    axes = [torch.linspace(a, b, 301, dtype=torch.float64) for a, b in ends]
    dense = torch.cartesian_prod(*axes)
    outputs = program.values(dense.view(-1, 1, 1, 2))[-1]
    assert exact <= (outputs[:, decided] - outputs[:, 1 - decided]).min() + 1e-9
    assert found.item() <= exact + 1e-9
    crown = bounded(model, (1, 1, 2), 0.2, "crown", (low + high).float() / 2)[0].item()
    assert exact - found.item() <= exact - crown + 1e-9


def _exact_minimum(model, low, high, decided):
    from scipy.optimize import linprog  # noqa: PLC0415 - of this oracle alone

    layers = [part for part in model if isinstance(part, nn.Linear)]
    weights = [(part.weight.detach().double(), part.bias.detach().double()) for part in layers]
    best = math.inf
    for pattern in itertools.product((0.0, 1.0), repeat=8):
        a, b = torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
        rows, limits = [], []
        for index, (weight, bias) in enumerate(weights[:2]):
            a, b = weight @ a, weight @ b + bias
            on = double(*pattern[4 * index : 4 * index + 4])
            sign = 1 - 2 * on
            rows += (sign[:, None] * a).tolist()
            limits += (-sign * b).tolist()
            a, b = on[:, None] * a, on * b
        weight, bias = weights[2]
        lead = weight[decided] - weight[1 - decided]
        solved = linprog((lead @ a).numpy(), A_ub=rows, b_ub=limits,
                         bounds=list(zip(low.tolist(), high.tolist(), strict=True)))  # fmt: skip
        if solved.status == 0:
            best = min(best, solved.fun + float(lead @ b + bias[decided] - bias[1 - decided]))
    return best


def test_crown_equals_a_dense_matrix_computation():
    """CROWN with interval ranges, written out with matrices for a two-layer network."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(),
                          nn.Linear(5, 3)).eval()  # fmt: skip
    found, _, low, high, decided = bounded(model, (1, 2, 2), 0.1)
    (w1, b1), (w2, b2), (w3, b3) = [
        (p.weight.detach().double(), p.bias.detach().double())
        for p in model
        if hasattr(p, "weight")
    ]
    centre, radius = (low + high).flatten() / 2, (high - low).flatten() / 2
    l1, u1 = (w1 @ centre + b1 + s * (w1.abs() @ radius) for s in (-1, 1))
    c1, r1 = (l1.relu() + u1.relu()) / 2, (u1.relu() - l1.relu()) / 2
    l2, u2 = (w2 @ c1 + b2 + s * (w2.abs() @ r1) for s in (-1, 1))
    rivals = [k for k in range(3) if k != decided]
    row, total = w3[decided] - w3[rivals], b3[decided] - b3[rivals]
    for (w, b), lo, up in (((w2, b2), l2, u2), ((w1, b1), l1, u1)):
        new = torch.zeros_like(row)
        for i, j in itertools.product(range(row.shape[0]), range(row.shape[1])):
            weight = row[i, j]
            if lo[j] >= 0:
                new[i, j] = weight
            elif up[j] > 0 and weight >= 0:
                new[i, j] = weight if up[j] > -lo[j] else 0.0
            elif up[j] > 0:
                slope = up[j] / (up[j] - lo[j])
                new[i, j] = weight * slope
                total[i] -= weight * slope * lo[j]
        row, total = new @ w, total + new @ b
    expected = total + row @ centre - row.abs() @ radius
    # margins() also takes the interval bound where it is better
    assert (found >= expected - 1e-9).all()
    program = read(model, (1, 2, 2))
    rows = margin_rows(3, decided, rivals, low)
    ranges = interval_ranges(program, low, high)
    torch.testing.assert_close(lower(program, ranges, len(program.steps) - 1, rows)[0], expected)


# --- metamorphic ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_larger_boxes_have_lower_interval_bounds():
    model, image = settled(NETS["padded overlapping pools"][0]()), torch.rand(1, 1, 11, 11)
    values = [
        bounded(model, (1, 11, 11), eps, "interval", image)[0] for eps in (0, 0.01, 0.05, 0.3)
    ]
    for smaller, larger in itertools.pairwise(values):
        assert (larger <= smaller + 1e-12).all()


def test_margins_are_at_least_as_tight_as_separate_outputs():
    _, program, shape = network("strided, dilated, grouped")
    found, _, low, high, decided = bounded(program, shape, 0.05, "interval")
    least, most = interval_ranges(program, low, high).spans[-1]
    separate = least[0, decided] - most[0]
    others = [k for k in range(program.classes) if k != decided]
    assert (found >= separate[others] - 1e-12).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_batch_of_boxes_is_bounded_like_each_alone(method):
    model = settled(drawn_network(["norm", "relu", "pool", "conv", "silu"], 3, 1))
    program = read(model, (1, 6, 6))
    image = torch.rand(5, 1, 6, 6, dtype=torch.float64)
    rows = margin_rows(3, 0, [1, 2], image)
    low, high = (image - 0.02).clamp(0, 1), (image + 0.02).clamp(0, 1)
    together = margins(program, low, high, rows, method)
    for index in range(5):
        alone = margins(program, low[[index]], high[[index]], rows, method)
        torch.testing.assert_close(together[[index]], alone, rtol=0, atol=1e-10)


def test_relabelling_classes_relabels_bounds():
    model = drawn_network(["relu", "conv", "relu"], 2, 4)
    image, order = torch.rand(1, 1, 6, 6, dtype=torch.float64), [2, 0, 1]
    low, high = (image - 0.02).clamp(0, 1), (image + 0.02).clamp(0, 1)
    one = margins(read(model, (1, 6, 6)), low, high, margin_rows(3, 2, [0, 1], image), "crown")
    model[-1].weight.data, model[-1].bias.data = model[-1].weight[order], model[-1].bias[order]
    two = margins(read(model, (1, 6, 6)), low, high, margin_rows(3, 0, [1, 2], image), "crown")
    torch.testing.assert_close(one, two)


def test_scaling_the_last_layer_scales_the_bounds():
    model = drawn_network(["relu", "conv", "relu"], 2, 4)
    image = torch.rand(1, 1, 6, 6)
    one = bounded(model, (1, 6, 6), 0.03, "tightened", image)[0]
    model[-1].weight.data *= 8
    model[-1].bias.data *= 8
    torch.testing.assert_close(bounded(model, (1, 6, 6), 0.03, "tightened", image)[0], 8 * one)


@pytest.mark.parametrize("name", NETS)
def test_a_patch_alone_is_bounded_as_in_the_whole_network(name):
    # arrange
    _, program, shape = network(name)
    image = torch.rand(1, *shape, dtype=torch.float64)
    rows = margin_rows(program.classes, 0, [1, 2], image)
    clean = program.values(image)
    height, width = shape[1:]
    for window in (Window(0, 2, 0, 3), Window(2, 4, 3, 5), Window(height - 1, height, 0, width)):
        low, high = image.clone(), image.clone()
        window.of(low).sub_(0.05).clamp_(0, 1)
        window.of(high).add_(0.05).clamp_(0, 1)
        # act
        local = localised(program, clean, window)
        # assert
        for method in METHODS:
            whole = margins(program, low, high, rows, method)
            part = margins(local, window.of(low), window.of(high), rows, method)
            torch.testing.assert_close(part, whole, rtol=0, atol=1e-8)
        other = image.clone()
        window.of(other).copy_(torch.rand_like(window.of(other)))
        torch.testing.assert_close(
            local.values(window.of(other))[-1], program.values(other)[-1], rtol=0, atol=1e-10
        )


# --- rounding, and bad input ----------------------------------------------------------------------


def test_rigorous_slack_covers_float32_and_is_named():
    model = drawn_network(["relu", "conv", "relu"], 3, 2)
    program, image = read(model, (1, 6, 6)), torch.rand(16, 1, 6, 6)
    ends = image.amin(0, keepdim=True), image.amax(0, keepdim=True)
    slack = rounding_slack(model, program, image, *ends, margin=1.0)
    assert slack.kind == "rigorous"
    gap = (model(image).double() - program.values(image)[-1]).abs().max()
    assert gap <= slack.value / 2
    small = rounding_slack(model, program, image, *ends, margin=1e-9)
    assert small.kind == "measured"
    assert small.value >= 100 * slack.observed


def test_a_program_of_another_network_is_noticed():
    one, two = drawn_network(["relu"], 2, 1), drawn_network(["relu"], 2, 2)
    x = torch.rand(2, 1, 6, 6)
    with pytest.raises(AnalysisError, match="differ from its output"):
        rounding_slack(two, read(one, (1, 6, 6)), x, x[:1], x[:1], margin=1.0)


def test_nan_never_becomes_a_bound():
    model = drawn_network(["relu", "conv", "relu"], 2, 1)
    program, x = read(model, (1, 6, 6)), torch.rand(1, 1, 6, 6, dtype=torch.float64)
    high = x.clone()
    high[0, 0, 0, 0] = torch.nan
    found = margins(program, x, high, margin_rows(3, 0, [1, 2], x), "crown")
    assert found.isnan().all()


class Asks(nn.Module):
    def forward(self, x):
        return x.flatten(1) if x.sum() > 0 else -x.flatten(1)


class Mixes(nn.Module):
    def forward(self, x):
        return (x - x.mean(0, keepdim=True)).flatten(1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).train(), "training mode"),
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).half().eval(), "float16"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2), nn.Flatten()).eval(), "group_norm"),
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.ELU()).eval(), "elu"),
        (nn.Sequential(nn.Conv2d(1, 2, 3)).eval(), "one number for each class"),
        (Asks().eval(), "do not depend on its values"),
        (Mixes().eval(), "mean"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_bounded_is_refused_by_name(model, message):
    with pytest.raises(AnalysisError, match=message):
        read(model, (1, 4, 4))


def test_quantised_and_broken_weights_are_refused():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
    model[1].weight.data[0, 0] = torch.inf
    with pytest.raises(AnalysisError, match="NaN or infinity"):
        read(model, (1, 4, 4))


def test_reading_leaves_the_model_as_found():
    model, _, _ = network("in-place")
    before = {name: item.clone() for name, item in model.state_dict().items()}
    state = torch.random.get_rng_state()
    read(model, (1, 6, 6))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(before[name], item) for name, item in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_ranges_that_are_tightened_lie_inside_the_intervals():
    model = settled(drawn_network(["norm", "relu", "conv", "relu", "conv", "relu"], 3, 8))
    program = read(model, (1, 6, 6))
    low = torch.full((1, 1, 6, 6), 0.4, dtype=torch.float64)
    wide, narrow = (
        interval_ranges(program, low, low + 0.1),
        tightened_ranges(program, low, low + 0.1),
    )
    assert isinstance(narrow, Ranges)
    assert isinstance(program, Program)
    gained = 0.0
    for (a, b), (c, d) in zip(wide.spans, narrow.spans, strict=True):
        assert (c >= a - 1e-9).all()
        assert (d <= b + 1e-9).all()
        gained += float(((b - a) - (d - c)).sum())
    assert gained > 0


# --- seeded faults: each must be caught by a check above ----------------------------------------


def _scaled_offset(factor):
    right = relaxations._kink_lines

    def wrong(function, low, high):
        found = right(function, low, high)
        return found._replace(offset_above=found.offset_above * factor)

    return lambda patch: patch.setattr(relaxations, "_kink_lines", wrong)


def _without_window_offset(patch):
    right = relaxations.window_lines

    def wrong(low, high):
        below, above, offset = right(low, high)
        return below, above, torch.zeros_like(offset)

    patch.setattr(relaxations, "window_lines", wrong)
    patch.setattr(operators, "window_lines", wrong)


def _normalisation_read_as(change):
    name = "_native_batch_norm_legit_no_training"
    right = aten.READERS[name]

    def wrong(out, x, weight, bias, mean, variance, momentum, epsilon):
        return right(out, x, *change(weight, bias, mean, variance, momentum, epsilon))

    return lambda patch: patch.setitem(aten.READERS, name, wrong)


def _swapped_lines(patch):
    right = relaxations.lines

    def wrong(function, low, high):
        found = right(function, low, high)
        return Lines(*found[2:], *found[:2])

    patch.setattr(relaxations, "lines", wrong)
    patch.setattr(operators, "lines", wrong)


FAULTS = {
    "rectifier's offset dropped": _scaled_offset(0.0),
    "rectifier's offset halved": _scaled_offset(0.5),
    "rectifier's offset 5 % too small": _scaled_offset(0.95),
    "rectifier's offset 1 % too small": _scaled_offset(0.99),
    "pooling's offset dropped": _without_window_offset,
    "normalisation without its epsilon": _normalisation_read_as(
        lambda weight, bias, mean, variance, momentum, _: (
            weight, bias, mean, variance, momentum, 0.0,
        )
    ),
    "normalisation's scale without its sign": _normalisation_read_as(
        lambda weight, *rest: (weight.abs(), *rest)
    ),
    "lines above and below exchanged": _swapped_lines,
}  # fmt: skip


def _normalised_values_are_the_models():
    torch.manual_seed(1)
    model = settled(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten()))
    model[1].running_var.fill_(1e-3)
    x = torch.rand(2, 1, 3, 3)
    found = read(model, (1, 3, 3)).values(x)[-1]
    torch.testing.assert_close(found, model(x).double(), rtol=1e-4, atol=1e-4)


CHECKS = (
    lambda: test_lines_enclose_and_touch_on_a_dense_grid("relu"),
    test_maximum_lines_enclose_and_touch,
    _normalised_values_are_the_models,
)


def test_the_checks_pass_without_a_fault():
    for check in CHECKS:
        check()


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_caught(fault, monkeypatch):
    # arrange
    FAULTS[fault](monkeypatch)
    # act
    caught = 0
    for check in CHECKS:
        try:
            check()
        except AssertionError:
            caught += 1
    # assert
    assert caught == 1
