"""How fast, how sure and how complete filter importance is beside Captum and Torch-Pruning.

`python benchmarks/filters.py --data FOLDER --keep FOLDER` prints the table of
`benchmarks/results/filters.md`. One torch thread. Peers (not dependencies of the package) are
`captum` and `torch-pruning`. The exhaustive measurement of every filter on every image takes
minutes; it is kept in the folder of `--keep` and read from there in later runs.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torchvision
from captum.attr import LayerFeatureAblation
from cifar import images_of, network_of
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn

from governance.methods.filter_ablation import filter_estimates, measure_filters
from governance.methods.filter_ablation.measurement import ROUNDS, SOUND
from governance.methods.filter_ablation.regression import estimated
from governance.methods.filter_ablation.sampling import drawn, likely
from governance.methods.filter_ablation.selection import KEPT, SCREENED
from governance.methods.filter_ablation.silencing import silence
from governance.methods.filter_ablation.survey import survey_filters
from governance.methods.network import TracedNetwork, trace

TOP = 20
REPEATS = 200
Array = NDArray[np.float64]


def clocks() -> Array:
    """Wall clock and CPU time of this process: on a shared machine the second is the fairer."""
    return np.array([time.perf_counter(), time.process_time()])


def speed(model: nn.Module, x: Tensor, y: NDArray[np.int64], every: int) -> str:
    """Exact ablation of filters by Captum and by us: seconds, and the largest difference."""
    network = trace(model, x[:2], batch_size=len(x))
    seen = survey_filters(network, x, y)
    modules = dict(model.named_modules())
    outputs = _unit_modules(network, model, x)
    chosen = [filters for i, filters in enumerate(seen.filters) if i % every == 0]
    began = clocks()
    ours = silence(network, x, y, seen, chosen, np.arange(len(x)))
    mine = clocks() - began

    target = torch.from_numpy(y)

    def loss(images: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model(images), target, reduction="none")

    began, theirs = clocks(), np.zeros_like(ours.dloss)
    shapes = {unit.layer: (unit.channels, *unit.size) for unit in network.units()}
    with torch.no_grad():
        for layer in dict.fromkeys(name for name, _ in chosen):
            places = [i for i, (name, _) in enumerate(chosen) if name == layer]
            mask = torch.full(shapes[layer], len(places), dtype=torch.long)
            for number, i in enumerate(places):
                mask[chosen[i][1][0]] = number
            reference = seen.means[layer].view(1, -1, 1, 1).expand(1, *shapes[layer])
            rest = (mask == len(places))[None]
            ablation = LayerFeatureAblation(loss, modules[outputs[layer]])
            if bool(rest.any()):
                theirs[:, places] = _captum_some(ablation, x, reference, mask, chosen, places)
            else:
                found = ablation.attribute(x, layer_baselines=reference, layer_mask=mask[None])
                for i in places:
                    theirs[:, i] = -found[:, chosen[i][1][0], 0, 0].numpy()
    took = clocks() - began
    gap = np.abs(theirs - ours.dloss).max()
    return (
        f"{len(chosen)} filters, {len(x)} images: Captum {took[0]:.1f} s wall / {took[1]:.1f} s "
        f"CPU, ours {mine[0]:.1f} / {mine[1]:.1f} s: **{took[0] / mine[0]:.1f} times** faster by "
        f"the wall clock, {took[1] / mine[1]:.1f} by CPU time; {took[1] / len(x):.2f} s of CPU an "
        f"image for Captum; largest difference {gap:.1g}"
    )


def _captum_some(
    ablation: LayerFeatureAblation, x: Tensor, reference: Tensor, mask: Tensor,
    chosen: list[tuple[str, tuple[int, ...]]], places: list[int],
) -> Array:  # fmt: skip
    # Captum ablates every group of the mask; the group of filters not asked for is one more pass,
    # a share of 1 / (asked for + 1) that is in its time.
    found = ablation.attribute(x, layer_baselines=reference, layer_mask=mask[None])
    return np.stack([-found[:, chosen[i][1][0], 0, 0].numpy() for i in places], 1)


def _unit_modules(network: TracedNetwork, model: nn.Module, x: Tensor) -> dict[str, str]:
    """The module that gives a unit's output, by the name of its convolution."""
    units = {unit.layer: None for unit in network.units()}
    values = {}
    for _, _, found in network.features(x[:2], list(units)):
        values = found
    made: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(
            lambda _, __, value, name=name: made.setdefault(name, value.clone())
        )
        for name, module in model.named_modules()
        if not list(module.children())
    ]
    with torch.no_grad():
        model(x[:2])
    for hook in hooks:
        hook.remove()
    found_in = {}
    for layer, value in values.items():
        same = [name for name, other in made.items() if other.shape == value.shape
                and torch.equal(other, value)]  # fmt: skip
        found_in[layer] = same[0]
    return found_in


def exhaustive(
    depth: int, network: TracedNetwork, x: Tensor, y: NDArray[np.int64], keep: Path
) -> dict[str, Array]:
    """Every filter on every image, from the folder if it was measured before."""
    file = keep / f"full{depth}.npz"
    if file.exists():
        found = dict(np.load(file))
        if len(found["e"]) == len(x):
            return found
    seen = survey_filters(network, x, y)
    effects = silence(network, x, y, seen, seen.filters, np.arange(len(x)))
    cost = {unit.layer: 0.0 if unit.closed else unit.cost for unit in network.units()}
    found = {
        "e": effects.dloss, "p": effects.dp_true, "t": seen.taylor, "ptrue": seen.p_true,
        "cost": np.array([cost[layer] for layer, _ in seen.filters]),
    }  # fmt: skip
    np.savez(file, **found)
    return found


def resamples(found: dict[str, Array], n: int, images: int) -> Iterator[tuple[Array, ...]]:
    """Coverage and width of intervals, for each of the resamples and screened filters.

    The images measured here stand for all images there are: a resample draws `images` of them with
    replacement, as a validation set would be drawn, and measures n of those exactly.
    """
    screen = np.maximum(found["t"], 0).mean(0)
    screen[found["cost"] == 0] = -1
    chosen = np.argsort(-screen)[: SCREENED * TOP]
    truth = found["e"][:, chosen].mean(0)
    rng = np.random.default_rng(0)
    for _ in range(REPEATS):
        sample = rng.integers(0, len(found["e"]), images)
        exact, near = found["e"][np.ix_(sample, chosen)], found["t"][np.ix_(sample, chosen)]
        chance = likely(np.abs(near).mean(1), n)
        took = drawn(chance, rng.random(images))
        plain_took = rng.permutation(images)[:n]
        ours = estimated(exact[took], near[took], near, chance=chance[took])
        cv = estimated(exact[plain_took], near[plain_took], near)
        plain = estimated(exact[plain_took], near[plain_took], near[plain_took])
        row = []
        for item in (ours, cv, plain):
            low, high = item.low, item.high
            row += [(low <= truth) & (truth <= high), high - low]
        yield tuple(row)


def race(found: dict[str, Array], rng: np.random.Generator) -> tuple[float, float]:
    """Recall of the top 20 and cost as a share of exhaustive, as the standard tier finds it."""
    exact, near, cost = found["e"], found["t"], found["cost"]
    n = len(exact)
    closed, truth = cost == 0, exact.mean(0)
    order = np.argsort(-np.maximum(near, 0).mean(0), kind="stable")
    filters = order[~closed[order]][: SCREENED * TOP]
    ticket, size = rng.random(n), np.abs(near[:, filters]).mean(1)
    spent, before = 3.0 * n, 0
    for share in ROUNDS:
        chance = likely(size, min(n, max(SOUND, round(share * n))))
        took = drawn(chance, ticket)
        spent += (len(took) - before) * (1 + cost[filters].sum())
        mean = estimated(exact[np.ix_(took, filters)], near[np.ix_(took, filters)],
                         near[:, filters], chance=chance[took]).mean  # fmt: skip
        value = np.where(closed, truth, -np.inf)
        value[filters] = mean
        filters, before = filters[np.argsort(-mean)[: round(KEPT * TOP)]], len(took)
    top = set(np.argsort(-truth)[:TOP])
    recall = len(top & set(np.argsort(-value)[:TOP])) / TOP
    return recall, spent / (n * (1 + cost.sum()))


def pruning(model: nn.Module, x: Tensor, y: NDArray[np.int64], found: dict[str, Array]) -> str:
    """Torch-Pruning's Taylor importance as a list of the most important filters."""
    import torch_pruning  # noqa: PLC0415 - prints a warning of its own when imported

    network = trace(model, x[:2])
    graph = torch_pruning.DependencyGraph().build_dependency(model, x[:2])
    nn.functional.cross_entropy(model(x), torch.from_numpy(y)).backward()
    modules, scores, inner = dict(model.named_modules()), [], []
    score = torch_pruning.importance.GroupTaylorImportance(normalizer=None)
    for unit in network.units():
        # Its graph cannot follow the zero-padded shortcuts: filters inside blocks only.
        inside = unit.layer.startswith("layer") and unit.layer.endswith("conv1")
        inner += [inside] * unit.channels
        if inside:
            group = graph.get_pruning_group(
                modules[unit.layer], torch_pruning.prune_conv_out_channels,
                idxs=list(range(unit.channels)),
            )  # fmt: skip
            scores.append(score(group).detach().numpy())
    model.zero_grad()
    theirs, truth = np.concatenate(scores), found["e"].mean(0)[inner]
    ours = np.maximum(found["t"], 0).mean(0)[inner]
    top = set(np.argsort(-truth)[:TOP])
    lines = []
    for name, value in (("Torch-Pruning GroupTaylor", theirs), ("our screen", ours)):
        rho = stats.spearmanr(value, truth).statistic
        shares = [len(top & set(np.argsort(-value)[:k])) / TOP for k in (TOP, SCREENED * TOP)]
        lines.append(f"{name}: rank correlation with exact loss {rho:.2f}, true top 20 in its "
                     f"first 20 / 80: {shares[0]:.2f} / {shares[1]:.2f}")  # fmt: skip
    return f"{len(truth)} filters inside blocks: " + "; ".join(lines)


def whole(network: TracedNetwork, x: Tensor, y: NDArray[np.int64], found: dict[str, Array]) -> str:
    """The standard tier as it is run: seconds, cost and recall."""
    began = clocks()
    result = measure_filters(network, x, y, tier="standard", seed=0, top=TOP)
    took = clocks() - began
    table = filter_estimates(result, y)
    rows = table[(table["metric"] == "dloss") & (table["class"] == "all") & table["unit"].notna()]
    place = {filters: i for i, filters in enumerate(result.survey.filters)}
    value = np.full(len(place), -np.inf)
    for row in rows.dropna(subset="estimate").itertuples():
        value[place[row.layer, (int(row.unit),)]] = row.estimate
    top = set(np.argsort(-found["e"].mean(0))[:TOP])
    recall = len(top & set(np.argsort(-value)[:TOP])) / TOP
    return (
        f"whole standard tier (list, class candidates, audit, groups): {took[0]:.1f} s wall / "
        f"{took[1]:.1f} s CPU for {len(x)} images, "
        f"{result.passes / result.exhaustive:.1%} of exhaustive, recall {recall:.2f}"
    )


def cifar(options: argparse.Namespace, depth: int, images: int, say: Callable[[str], None]) -> None:
    """All figures of one network."""
    model = network_of(options.data, depth)
    x, y = images_of(options.data, images)
    network = trace(model, x[:2])
    say(f"\n## ResNet-{depth}, {images} CIFAR-10 test images\n")
    if options.peers:
        say(f"- exact ablation: {speed(model, x[: options.batch], y[: options.batch], 1)}")
    found = exhaustive(depth, network, x, y, options.keep)
    rng = np.random.default_rng(0)
    lists = np.array([race(found, rng) for _ in range(REPEATS)])
    say(f"- top 20 of {len(found['cost'])}: recall {lists[:, 0].mean():.3f} on average over "
        f"{REPEATS} seeds (lowest {lists[:, 0].min():.2f}) for {lists[:, 1].mean():.1%} of "
        "exhaustive forward-equivalents")  # fmt: skip
    if options.peers:
        say(f"- {whole(network, x, y, found)}")
        say(f"- {pruning(model, x[:400], y[:400], found)}")
    for n, size in ((128, 400), (128, 600), (128, 1000), (250, 1000), (667, 1000)):
        rows = list(resamples(found, n, size))
        covered = [np.mean([row[k] for row in rows]) for k in (0, 2, 4)]
        width = [np.mean([row[k] for row in rows], axis=0) for k in (1, 3, 5)]
        live = width[2] > 0
        ratio = [float(np.median(width[k][live] / width[2][live])) for k in (0, 1)]
        say(f"- intervals, n = {n} of {size} ({REPEATS} resamples, {SCREENED * TOP} filters): "
            f"coverage {covered[0]:.3f} (control variate alone {covered[1]:.3f}, plain mean "
            f"{covered[2]:.3f}); width {ratio[0]:.2f} of plain (control variate alone "
            f"{ratio[1]:.2f})")  # fmt: skip


def main() -> None:
    """Print the figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="weights and images")
    parser.add_argument("--keep", type=Path, required=True, help="for exhaustive measurements")
    parser.add_argument("--batch", type=int, default=32, help="images of the speed comparison")
    parser.add_argument("--images", type=int, nargs=2, default=(1000, 600))
    parser.add_argument("--depths", type=int, nargs="*", default=(20, 32))
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for depth, images in zip((20, 32), options.images, strict=True):
        if depth in options.depths:
            cifar(options, depth, images, lambda line: print(line, flush=True))
    if options.peers:
        torch.manual_seed(0)
        model = torchvision.models.vgg11_bn(weights=None).eval()
        for module in model.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False  # Captum's hooks would see values overwritten
        x, y = torch.randn(4, 3, 224, 224), np.arange(4)
        print("\n## VGG-11 (batch-normalised), seeded weights, 224 x 224: speed alone\n")
        print(f"- every 32nd filter: {speed(model, x, y, 32)}", flush=True)


if __name__ == "__main__":
    main()
