"""The figures aimed at, beside what was measured: met, missed, or not measured."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.explanations.table import Rows, listed, median, stability
from governance.methods.statistics import intervals

__all__ = ["targets_table"]

LIME, RISE, MAP = "lime, 1000", "RISE, 2000", "evolve_map, 520"
NULL = "evolve, confidence, 600"
ASKED = 50  # images that the targets are set for


class Aim(NamedTuple):
    """A figure with its target and what was measured.

    Attributes:
        figure: What is measured.
        target: As the project set it.
        measured: With interval and number; empty if nothing was.
        met: Whether the measured figure reaches the target.
        n: Images behind it; None where they do not matter.
    """

    figure: str
    target: str
    measured: str
    met: bool | None
    n: int | None = None

    @property
    def verdict(self) -> str:
        """Met or missed, and whether of as many images as the targets ask for."""
        if self.met is None:
            return "not measured"
        few = "" if self.n is None or self.n >= ASKED else " so far"
        return f"met{few}" if self.met else f"**missed**{few}"


def targets_table(rows: Rows, memory: dict[str, float] | None) -> list[str]:
    """One row for each figure aimed at."""
    lines = ["| figure | target | measured | |", "|---|---|---|---|"]
    return lines + [
        f"| {aim.figure} | {aim.target} | {aim.measured} | {aim.verdict} |"
        for aim in _aims(rows, memory)
    ]


def _aims(rows: Rows, memory: dict[str, float] | None) -> list[Aim]:
    found = listed(rows)
    aims = []
    for name, times, area in (("evolve, 50", 20, 1.0), ("evolve, 100", 10, 0.85)):
        faster = _paired(found, LIME, name, lambda a, b: a["cpu"] / b["cpu"])
        aims.append(_aim(f"times faster than {LIME}, CPU, `{name}`", f">= {times}", faster,
                         lambda m, limit=times: m >= limit, 1))  # fmt: skip
        aims.append(_areas(found, name, area))
    aims.append(_areas(found, "evolve, 600", 0.6))
    aims.append(_no_larger(found))
    for name in ("evolve, 50", "evolve, 100", "evolve, 600"):
        shares = [row["forward"] / row["cpu"] for row in found.get(name, {}).values()]
        aims.append(_aim(f"share of CPU time in the forward pass, `{name}`", ">= 0.90", shares,
                         lambda m: m >= 0.9))  # noqa: PLR2004  # fmt: skip
    aims += [_stable(stability(rows, name), name) for name in ("evolve, 100", "evolve, 600")]
    for kind, target, good in (
        ("insertion", ">= 0", lambda m: m >= 0),
        ("deletion", "<= 0.02", lambda m: m <= 0.02),  # noqa: PLR2004
    ):
        key = f"{kind}_blur"
        less = _paired(found, MAP, RISE, lambda a, b, key=key: a[key] - b[key])
        aims.append(_aim(f"{kind} (blur) of `{MAP}` less that of {RISE}", target, less, good))
    aims.append(_null(rows))
    aims.append(_memory(memory))
    return aims


def _paired(
    found: dict[str, Any], one: str, two: str, figure: Callable[[Any, Any], float]
) -> list[float]:
    first, second = found.get(one, {}), found.get(two, {})
    return [figure(first[image], second[image]) for image in first if image in second]


def _aim(
    figure: str, target: str, values: list[float], good: Callable[[float], bool], digits: int = 3
) -> Aim:
    if not values:
        return Aim(figure, target, "", None)
    text = f"median {median(values, digits)}, n = {len(values)}"
    return Aim(figure, target, text, good(float(np.median(values))), len(values))


def _areas(found: dict[str, Any], name: str, limit: float) -> Aim:
    pairs = _paired(found, name, LIME, lambda a, b: a["area"] / b["area"])
    aim = _aim(f"area of `{name}` over that of {LIME}'s best prefix", f"<= {limit}", pairs,
               lambda m: m <= limit, 2)  # fmt: skip
    if not pairs:
        return aim
    ours, theirs = (_paired(found, name, LIME, lambda a, b, i=i: (a, b)[i]["area"]) for i in (0, 1))
    of_medians = np.median(ours) / np.median(theirs)
    return aim._replace(measured=f"{aim.measured}; ratio of medians {of_medians:.2f}")


def _no_larger(found: dict[str, Any]) -> Aim:
    pairs = _paired(found, "evolve, 600", "greedy", lambda a, b: a["area"] <= b["area"])
    return _counted("images where `evolve, 600` is no larger than greedy", ">= 0.95", pairs,
                    lambda share: share >= 0.95)  # noqa: PLR2004  # fmt: skip


def _counted(figure: str, target: str, hits: list[Any], good: Callable[[float], bool]) -> Aim:
    if not hits:
        return Aim(figure, target, "", None)
    span = intervals.wilson(sum(hits), len(hits))
    around = f" [{span.low:.3f}, {span.high:.3f}]" if span else ""
    share = sum(hits) / len(hits)
    return Aim(
        figure, target, f"{sum(hits)}/{len(hits)} = {share:.3f}{around}", good(share), len(hits)
    )


def _stable(values: list[float], name: str) -> Aim:
    figure, target = f"mean Jaccard index over 5 seeds, `{name}`", ">= 0.90"
    if not values:
        return Aim(figure, target, "", None)
    span = intervals.mean(values)
    around = f" [{span.low:.2f}, {span.high:.2f}]" if span else ""
    mean = float(np.mean(values))
    text = f"mean {mean:.2f}{around}, n = {len(values)}"
    return Aim(figure, target, text, mean >= 0.9, len(values))  # noqa: PLR2004


def _null(rows: Rows) -> Aim:
    hits = [row["null_survives"] for row in rows if row["method"] == NULL and "null" in row]
    return _counted(
        f"wrong classes raised above 0.5 under blur and mean colour, `{NULL}`", "<= 0.02", hits,
        lambda share: share <= 0.02,  # noqa: PLR2004
    )  # fmt: skip


def _memory(memory: dict[str, float] | None) -> Aim:
    figure, target = "MB above the forward pass alone at 224 x 224, batch 10", "<= 200"
    if memory is None:
        return Aim(figure, target, "", None)
    more = memory["evolve"] - memory["forward"]
    return Aim(figure, target, f"{more:.0f} (peak resident {memory['evolve']:.0f} against "
               f"{memory['forward']:.0f})", more <= 200)  # noqa: PLR2004  # fmt: skip
