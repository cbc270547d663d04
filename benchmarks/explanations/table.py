"""Records to Markdown: a row for each method, and the plot."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.explanations.found import unpacked
from governance.methods.statistics import intervals

__all__ = ["Rows", "listed", "main_table", "median", "plot", "stability"]

Rows = list[dict[str, Any]]
SEEDS = 5
CONTROLS = {"random", "centre"}
HEAD = (
    "method", "n", "area at sufficiency", "insertion, blur", "deletion, blur", "insertion, mean",
    "deletion, mean", "evaluations", "CPU s", "wall s", "of it forward",
    "stability over seeds", "p kept under noise", "null class: raised; surviving",
)  # fmt: skip


def listed(rows: Rows, *, seed: int = 0) -> dict[str, dict[str, dict[str, Any]]]:
    """Records of the true class by method and image."""
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        if not row["null_job"] and row["seed"] == seed:
            found[row["method"]][row["image"]] = row
    return found


def median(values: Sequence[float], digits: int = 3) -> str:
    """Median with its bootstrap interval."""
    if not values:
        return ""
    span = intervals.bootstrap(lambda data: float(np.median(data)), values, 0)
    middle = f"{np.median(values):.{digits}f}"
    return f"{middle} [{span.low:.{digits}f}, {span.high:.{digits}f}]" if span else middle


def stability(rows: Rows, method: str) -> list[float]:
    """Mean Jaccard index over all pairs of seeds, for each image run with five seeds.

    A run without a sufficient region stands for the whole image, as its area does; images where all
    do are left out.
    """
    by_image: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        if row["method"] == method and not row["null_job"]:
            by_image[row["image"]].append(unpacked(row["region"]) if "region" in row else None)
    found = []
    for regions in by_image.values():
        whole = next((np.ones_like(region) for region in regions if region is not None), None)
        if len(regions) == SEEDS and whole is not None:
            filled = [whole if region is None else region for region in regions]
            if not all(region.all() for region in filled):
                found.append(float(np.mean([
                    (a & b).sum() / (a | b).sum() for a, b in combinations(filled, 2)
                ])))  # fmt: skip
    return found


def null_cell(rows: Rows, method: str) -> str:
    """How many wrong classes were raised above 0.5, and how many of them under two baselines."""
    tried = [row for row in rows if row["method"] == method and "null" in row and row["seed"] == 0]
    if not tried:
        return ""
    raised, survived = (sum(row[key] for row in tried) for key in ("null_raised", "null_survives"))
    return f"{raised}/{len(tried)}; {survived}/{len(tried)}"


def main_table(rows: Rows, order: Iterable[str]) -> list[str]:
    """A row for each method that has any record."""
    found = listed(rows)
    names = [*order, *(name for name in found if name not in set(order))]
    lines = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    for name in names:
        some = list(found.get(name, {}).values())
        null = null_cell(rows, name)
        if not some and not null:
            continue
        get = _getter(some)
        agreed = stability(rows, name)
        cells = [
            name, str(len(some)), median(get("area")), median(get("insertion_blur")),
            median(get("deletion_blur")), median(get("insertion_mean")),
            median(get("deletion_mean")), median(get("passes"), 0), median(get("cpu"), 2),
            f"{np.median(get('wall')):.2f}" if get("wall") else "",
            share(some), f"{np.mean(agreed):.2f} (n = {len(agreed)})" if agreed else "",
            median(get("transfer_noise"), 2), null,
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def share(rows: Rows) -> str:
    """Median share of the CPU time that the model's forward passes took."""
    shares = [row["forward"] / row["cpu"] for row in rows if row.get("forward")]
    return f"{np.median(shares):.0%}" if shares else ""


def _getter(rows: Rows) -> Callable[[str], list[float]]:
    return lambda key: [float(row[key]) for row in rows if row.get(key) is not None]


def plot(rows: Rows, title: str, path: Path) -> None:
    """Area against evaluations, and insertion against deletion: medians with intervals."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, by_image in listed(rows).items():
        some = _getter(list(by_image.values()))
        mine, control = name.startswith("evolve"), name in CONTROLS
        style: dict[str, Any] = {
            "marker": "o", "markersize": 5, "capsize": 2, "linewidth": 0.8,
            "color": "tab:red" if mine else "tab:gray" if control else "tab:blue",
        }  # fmt: skip
        if some("passes") and np.median(some("passes")) > 0:
            _point(left, name, some("passes"), some("area"), style)
        if some("insertion_blur"):
            _point(right, name, some("deletion_blur"), some("insertion_blur"), style)
    left.set(xscale="log", xlabel="evaluations", ylabel="area at sufficiency (lower is better)")
    right.set(
        xlabel="deletion, blur (lower is better)", ylabel="insertion, blur (higher is better)"
    )
    figure.suptitle(f"{title}: medians with 95 % bootstrap intervals", fontsize=10)
    figure.savefig(path, dpi=130)


def _point(axes: Any, name: str, x: list[float], y: list[float], style: dict[str, Any]) -> None:
    middle = float(np.median(y))
    span = intervals.bootstrap(lambda data: float(np.median(data)), y, 0)
    error = [[middle - span.low], [span.high - middle]] if span else None
    axes.errorbar(np.median(x), middle, yerr=error, **style)
    axes.annotate(
        name, (np.median(x), middle), fontsize=6, xytext=(4, 3), textcoords="offset points"
    )
