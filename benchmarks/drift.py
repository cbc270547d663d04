"""False alarms and power of the drift gate beside the tests in common use, on the same runs.

`python benchmarks/drift_runs.py ...` makes the runs; `python benchmarks/drift.py --cache FOLDER`
prints the tables of `benchmarks/results/drift.md` from their records. One thread, no model run but
for the permuted network and the timing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from drift_runs import Net, Plan, assessed, fashion, plans, subject_of
from numpy.typing import NDArray
from scipy import stats
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from governance.analyses.explanation_maps import ExplanationMaps
from governance.drift import aa_trials, compare, planted
from governance.drift.distances import Distances, distances
from governance.drift.judging import OLD, judge
from governance.drift.version import Version, version_of
from governance.records.assessment import Assessment
from governance.records.drift_terms import DriftTerms

DRAWS = 200
REFERENCES = 9
TERMS = DriftTerms(regions={"corner": (0.75, 0.75, 1.0, 1.0)})
SETTINGS = {
    "lineage": "Fashion-MNIST, trained on from the old version",
    "fashion": "Fashion-MNIST, trained from scratch",
    "cifar": "CIFAR-10 ResNet-20, trained on from the published weights",
}
FAULTS = {
    "none": "none (false alarms)",
    "mark": "learnt corner mark",
    "noise": "20 % label noise, one class",
    "half": "half the data",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """All runs of a setting: the old version first."""

    plans: tuple[Plan, ...]
    records: tuple[Assessment, ...]
    versions: tuple[Version, ...]
    found: Distances
    learnt: tuple[dict[str, float], ...]

    def places(self, fault: str) -> list[int]:
        """Where the runs with a fault stand; `none` without the old version."""
        return [k for k, plan in enumerate(self.plans) if plan.fault == fault and k != OLD]


def read(cache: Path, setting: str) -> Runs | None:
    """The runs of a setting that are in the cache."""
    old = Plan(setting="cifar" if setting == "cifar" else "fashion", fault="none", seed=0)
    listed = [plan for plan in plans() if plan.setting == setting and plan.seed]
    kept = [plan for plan in (old, *listed) if (cache / f"{plan.name}.json").exists()]
    if len(kept) < REFERENCES + 2:
        return None
    records = tuple(Assessment.load(cache / plan.name) for plan in kept)
    versions = tuple(version_of(record) for record in records)
    return Runs(
        plans=tuple(kept), records=records, versions=versions,
        found=distances(versions, TERMS, {})[0],
        learnt=tuple(json.loads((cache / f"{plan.name}.json").read_text()) for plan in kept),
    )  # fmt: skip


def wilcoxon(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether distances to the old version are larger than others', image by image, at 5 %."""
    return bool(stats.wilcoxon(one, other, alternative="greater").pvalue <= 0.05)  # noqa: PLR2004


def c2st(one: NDArray[np.float64], other: NDArray[np.float64], seed: int) -> bool:
    """Whether a linear discriminant tells the maps of two versions apart, at 5 %."""
    order = np.random.default_rng(seed).permutation(len(one))
    right = 0
    for test, train in ((order[::2], order[1::2]), (order[1::2], order[::2])):
        x = np.concatenate([one[train], other[train]])
        y = np.repeat([-1.0, 1.0], len(train))
        centre, scale = x.mean(0), x.std(0) + 1e-9
        z = (x - centre) / scale
        weight = np.linalg.solve(z.T @ z + len(z) * 0.1 * np.eye(z.shape[1]), z.T @ y)
        right += int(((one[test] - centre) / scale @ weight < 0).sum())
        right += int(((other[test] - centre) / scale @ weight > 0).sum())
    return bool(stats.binomtest(right, 2 * len(one), alternative="greater").pvalue <= 0.05)  # noqa: PLR2004


def cells(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether any cell is distributed otherwise (KS, Bonferroni), at 5 %."""
    p = [stats.ks_2samp(one[:, k], other[:, k]).pvalue for k in range(one.shape[1])]
    return bool(min(p) * len(p) <= 0.05)  # noqa: PLR2004


def ssim(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether the mean structural similarity of the maps is below 0.8."""
    grid = round(one.shape[1] ** 0.5)
    values = [
        structural_similarity(
            a.reshape(grid, grid) / a.max(), b.reshape(grid, grid) / b.max(), data_range=1.0
        )
        for a, b in zip(one, other, strict=True)
    ]
    return bool(np.mean(values) < 0.8)  # noqa: PLR2004


def accuracy(record: Assessment) -> float:
    """On the images looked at."""
    return float(record.metrics["performance.accuracy"] or 0.0)


def ranks(runs: Runs, candidate: int, references: list[int], names: Iterable[str]) -> bool:
    """Whether the rank test over some statistics rejects."""
    members = (candidate, *references)
    between = {name: runs.found.between[name] for name in names}
    found = replace(runs.found, between=between)
    return (judge(found, members[0], members[1:], TERMS, 0).p or 1.0) <= TERMS.alpha


def alarms(runs: Runs, fault: str) -> dict[str, float]:
    """How often each detector alarms on runs with a fault, each held against nine references."""
    rng = np.random.default_rng(0)
    benign, faulty = runs.places("none"), runs.places(fault)
    # What does not look at references is asked once a run.
    old = runs.versions[OLD].maps
    alone = {
        place: {
            "C2ST on maps": c2st(old, runs.versions[place].maps, place),
            "per-cell KS": cells(old, runs.versions[place].maps),
            "SSIM below 0.8": ssim(old, runs.versions[place].maps),
            "accuracy gate": accuracy(runs.records[place]) < accuracy(runs.records[OLD]) - 0.01,
        }
        for place in faulty
    }
    counted: dict[str, list[float]] = {}
    for draw in range(DRAWS):
        candidate = int(rng.choice(faulty))
        others = [place for place in benign if place != candidate]
        references = [int(place) for place in rng.choice(others, REFERENCES, replace=False)]
        ours = judge(runs.found, candidate, references, TERMS, draw)
        more = [int(place) for place in rng.permutation(others)[: 2 * REFERENCES + 1]]
        mine = runs.found.by_image[OLD, candidate]
        theirs = runs.found.by_image[OLD, references]
        said = {
            "**verdict DRIFT**, 9 references": ours.verdict == "DRIFT",
            "verdict EQUIVALENT": ours.verdict == "EQUIVALENT",
            "rank test, 9 references": (ours.p or 1.0) <= TERMS.alpha,
            "rank test, no region declared": ranks(runs, candidate, references, ("rank", "top")),
            "rank test, 19 references": ranks(runs, candidate, more, runs.found.between),
            "Wilcoxon, 1 reference": wilcoxon(mine, theirs[0]),
            "Wilcoxon, 9 references": wilcoxon(mine, theirs.mean(0)),
            **alone[candidate],
        }
        for name, alarm in said.items():
            counted.setdefault(name, []).append(float(alarm))
    return {name: float(np.mean(values)) for name, values in counted.items()}


def table(runs: Runs, setting: str) -> None:
    """All detectors on all faults of a setting."""
    present = [fault for fault in FAULTS if runs.places(fault)]
    found = {fault: alarms(runs, fault) for fault in present}
    print(f"\n## {SETTINGS[setting]}\n")
    print("| | " + " | ".join(f"{FAULTS[f]} (n = {len(runs.places(f))})" for f in present) + " |")
    print("|---|" + "---|" * len(present))
    marked = ("learnt: marked images answered with the mark's class (unmarked)", _learnt)
    for name, read_one in (marked, ("accuracy, mean", _accuracies)):
        print(f"| {name} | " + " | ".join(read_one(runs, fault) for fault in present) + " |")
    reach = [np.mean(runs.found.by_image[OLD][runs.places(fault)]) for fault in present]
    print("| map distance to the old version | " + " | ".join(f"{v:.4f}" for v in reach) + " |")
    for name in found["none"]:
        print(f"| {name} | " + " | ".join(f"{found[f][name]:.2f}" for f in present) + " |")


def _learnt(runs: Runs, fault: str) -> str:
    mine = [runs.learnt[place] for place in runs.places(fault)]
    return f"{np.mean([m['marked'] for m in mine]):.2f} ({np.mean([m['clean'] for m in mine]):.2f})"


def _accuracies(runs: Runs, fault: str) -> str:
    return f"{np.mean([accuracy(runs.records[place]) for place in runs.places(fault)]):.3f}"


def self_tests(runs: Runs) -> None:
    """What the product's own self-tests say of these runs."""
    references = [runs.records[place] for place in runs.places("none")][:REFERENCES]
    print(f"\n- {aa_trials(runs.records[OLD]).words}")
    for fault in ("mark", "noise"):
        places = runs.places(fault)
        tests = [
            planted(runs.records[OLD], runs.records[k], references, terms=TERMS) for k in places
        ]
        passed = sum(bool(test.passed) for test in tests)
        print(
            f"- planted {FAULTS[fault]}: {passed} of {len(places)} found, {REFERENCES} references"
        )


def permuted(model: nn.Module) -> tuple[nn.Module, dict[str, Tensor]]:
    """The same network with its channels in another order, and by layer which stands where."""
    rng = np.random.default_rng(0)
    orders: dict[str, Tensor] = {}
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def outputs(order: Tensor, *layers: str) -> None:
        for layer in layers:
            orders[layer] = order
            mine = {name: t for name, t in state.items() if name.startswith(f"{layer}.")}
            state.update({name: tensor[order] for name, tensor in mine.items() if tensor.ndim})

    def inputs(order: Tensor, *layers: str) -> None:
        for layer in layers:
            state[f"{layer}.weight"] = state[f"{layer}.weight"][:, order]

    steps: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
        (("stem", "norm"), ("one.conv1", "one.short")),
        (("one.conv1", "one.bn1"), ("one.conv2",)),
        (("one.conv2", "one.bn2", "one.short"), ("two.conv1", "two.short")),
        (("two.conv1", "two.bn1"), ("two.conv2",)),
        (("two.conv2", "two.bn2", "two.short"), ("head",)),
    ]
    for givers, takers in steps:
        order = torch.from_numpy(rng.permutation(len(state[f"{givers[0]}.weight"])))
        outputs(order, *givers)
        inputs(order, *takers)
    other = Net()
    other.load_state_dict(state)
    return other.eval(), orders


def seconds(run: Callable[[], object]) -> float:
    """Wall clock."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


TIMED = """
import sys, time
from pathlib import Path
from governance.drift import compare
from governance.records.assessment import Assessment
began = time.perf_counter()
found = compare(*(Assessment.load(Path(folder)) for folder in sys.argv[1:]))
took = time.perf_counter() - began
print(f"{took:.2f} s, torch loaded: {'torch' in sys.modules}")
"""


def permutation_and_time(cache: Path, folder: Path) -> None:
    """A permuted network is the same; how long a comparison of 500 images takes."""
    images = fashion(folder)
    model = Net()
    model.load_state_dict(torch.load(cache / "fashion-none-0.pt"))
    maps = ExplanationMaps(samples=500)
    taken = seconds(lambda: assessed(subject_of("same", model.eval(), images), maps))
    old = assessed(subject_of("old", model.eval(), images), maps)
    other, orders = permuted(model)
    new = assessed(subject_of("new", other, images), maps)
    same = compare(old, new)
    print(f"- permuted channels: {same.matching.filters} filters, {same.matching.status}, median "
          f"matched correlation {same.matching.correlation:.6f}, map distance {same.distance:.2g} "
          f"(largest of an image {same.table('images').rows[0][7]:.2g}), born/died/split/merged "
          f"{same.matching.born}/{same.matching.died}/{same.matching.split}/"
          f"{same.matching.merged}; identity: {same.identity.outcome}")  # fmt: skip
    pairs = [row[:3] for row in same.table("filters").rows if row[3] is not None]
    exact = sum(int(orders[layer][now]) == before for layer, before, now in pairs)
    print(f"- filters that answer to anything matched with themselves: {exact} of {len(pairs)}; "
          f"taking the maps of 500 images: {taken:.1f} s")  # fmt: skip
    with tempfile.TemporaryDirectory() as home:
        for name, record in (("old", old), ("new", new)):
            record.save(Path(home) / name)
        said = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-c", TIMED, f"{home}/old", f"{home}/new"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    print(f"- reading and comparing two assessed versions, 500 images: {said.strip()}")


def main() -> None:
    """Print the figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="where runs are kept")
    parser.add_argument("--fashion", type=Path, required=True, help="Fashion-MNIST's four files")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for setting, title in SETTINGS.items():
        runs = read(options.cache, setting)
        if runs is None:
            print(f"\n## {title}\n\nNot measured: too few runs.")
            continue
        table(runs, setting)
        self_tests(runs)
    print("\n## The same network, and time\n")
    permutation_and_time(options.cache, options.fashion)


if __name__ == "__main__":
    main()
