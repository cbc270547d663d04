"""How far the numbers of each analysis differ between two machines: the tolerances of `replay`.

`governance assess` the same model under the same policy on both machines. Then
`python benchmarks/stacks.py ONE OTHER` prints, from the two folders, the largest difference of each
analysis as a row of the table of `benchmarks/results/stacks.md`.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from governance.records.assessment import Assessment
from governance.records.evidence import Cell, Measurement


def apart(one: Cell, other: Cell) -> float:
    """Difference of two numbers, absolute or as a share of the larger one; 1 for anything else."""
    if one == other:
        return 0.0
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) / max(1.0, abs(one), abs(other))
    return 1.0


def metrics(one: Measurement, other: Measurement) -> Iterator[float]:
    """Differences of all metrics and ends of intervals."""
    for name in {*one.metrics, *other.metrics}:
        yield apart(one.metrics.get(name), other.metrics.get(name))
    for name in {*one.intervals} & {*other.intervals}:
        ends = [(item.low, item.high) for item in (one.intervals[name], other.intervals[name])]
        yield from map(apart, *ends)


def cells(one: Measurement, other: Measurement) -> Iterator[float]:
    """Differences of all cells of tables that have as many rows."""
    for before, now in zip(one.tables, other.tables, strict=True):
        for rows in zip(before.rows, now.rows, strict=False):
            yield from map(apart, *rows)


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("one", type=Path)
    parser.add_argument("other", type=Path)
    options = parser.parse_args()
    one, other = Assessment.load(options.one), Assessment.load(options.other)
    print("| analysis | metrics and intervals | numbers in tables | other cells that differ |")
    print("|---|---|---|---|")
    for before, now in zip(one.evidence, other.evidence, strict=True):
        if before.measurement is None or now.measurement is None:
            continue
        pair = (before.measurement, now.measurement)
        found = list(cells(*pair))
        numbers = max((item for item in found if item < 1), default=0.0)
        most = max(metrics(*pair), default=0.0)
        print(f"| {before.analysis} | {most:.1e} | {numbers:.1e} | {found.count(1.0)} |")


if __name__ == "__main__":
    main()
