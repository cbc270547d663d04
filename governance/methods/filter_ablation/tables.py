"""Tables: estimates of filters as the report prints them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from governance.methods.filter_ablation.estimates import mass
from governance.methods.filter_ablation.measurement import FilterMeasurements
from governance.methods.network import TracedNetwork
from governance.records.evidence import Cell, Table

__all__ = [
    "class_table",
    "filter_table",
    "group_table",
    "layer_table",
    "overall",
    "top_filters",
    "top_table",
]

PRINTED = 25  # classes in a printed table


def top_filters(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """The measured filters whose silencing adds most cross-entropy, the largest first."""
    return overall(table).dropna(subset="estimate").nlargest(count, "estimate")


def overall(table: pd.DataFrame) -> pd.DataFrame:
    """Cross-entropy added over all images: one row for each single filter."""
    return table[(table["metric"] == "dloss") & (table["class"] == "all") & table["unit"].notna()]


def top_table(table: pd.DataFrame, top: pd.DataFrame, chance: float, compared: int) -> Table:
    """The top of the list, with the class that loses most by each filter, and the control.

    Args:
        table: All estimates, from `filter_estimates`.
        top: The rows of the list's head, from `top_filters`.
        chance: Largest effect to be expected by chance, from `null`.
        compared: Number of filters that this largest one was picked from.
    """
    by_class = table[(table["metric"] == "dp_true") & (table["class"] != "all")]
    lines: list[tuple[Cell, ...]] = []
    for row in top.itertuples():
        of_filter = by_class[(by_class["layer"] == row.layer) & (by_class["unit"] == row.unit)]
        worst = of_filter.nlargest(1, "estimate")
        extra: tuple[Cell, ...] = (None, None, None, None, None)
        if len(worst):
            extra = tuple(
                worst.iloc[0][["class", "estimate", "ci_lo", "ci_hi", "n_exact"]].tolist()
            )
        lines.append(
            (row.layer, int(row.unit), row.estimate, row.ci_lo, row.ci_hi, row.n_exact,
             row.q_value, row.method, *extra)
        )  # fmt: skip
    lines.append(
        ("control: random signs", None, chance, None, None, None, None, f"largest of {compared}",
         None, None, None, None, None)
    )  # fmt: skip
    return Table(
        name="top_filters",
        caption=(
            "The filters whose silencing adds most cross-entropy (nats, with 95 % interval, number "
            "of images and q-value), and for each the class that loses most probability. The last "
            "row is the control: the 95 % quantile of the largest mean if each image's effects had "
            "a random sign."
        ),
        columns=("layer", "unit", "dloss", "low", "high", "n", "q", "method", "class",
                 "class_dp", "class_low", "class_high", "class_n"),
        printed=("layer", "unit", "dloss", "low", "high", "n", "q", "method", "class", "class_dp",
                 "class_low", "class_high"),
        rows=tuple(lines),
    )  # fmt: skip


def layer_table(
    measurements: FilterMeasurements, table: pd.DataFrame, network: TracedNetwork
) -> Table:
    """Importance by layer: one row a layer, in order of execution."""
    share = mass(measurements, table, "dloss").groupby("layer")["mass"].sum()
    total = float(share.sum())
    measured = overall(table).dropna(subset="estimate").groupby("layer").size()
    survey = measurements.survey
    dead = pd.Series(survey.constant, index=[layer for layer, _ in survey.filters])
    dead = dead.groupby(level=0).sum()
    return Table(
        name="layers",
        caption=(
            "Importance by layer: the sum of positive added cross-entropy over its filters as a "
            "share of all. Filters not measured are represented by the random sample, so shares of "
            "layers with few measured filters are rough."
        ),
        columns=("layer", "filters", "measured", "dead", "share"),
        rows=tuple(
            (
                unit.layer, unit.channels, int(measured.get(unit.layer, 0)), int(dead[unit.layer]),
                float(share.get(unit.layer, 0.0)) / total if total > 0 else None,
            )
            for unit in network.units()
        ),
    )  # fmt: skip


def class_table(table: pd.DataFrame, names: Sequence[str]) -> Table:
    """For each class the measured filter that costs it most: one row a class."""
    single = table[(table["metric"] == "dp_true") & table["unit"].notna()]
    lines: list[tuple[Cell, ...]] = []
    for name in names:
        most = single[single["class"] == name].nlargest(1, "estimate")
        if most.empty:
            lines.append((name, None, None, None, None, None, None))
            continue
        row = most.iloc[0]
        lines.append(
            (name, row["layer"], int(row["unit"]), row["estimate"], row["ci_lo"], row["ci_hi"],
             int(row["n_exact"]))
        )  # fmt: skip
    return Table(
        name="classes",
        caption=(
            "For each class the measured filter whose silencing costs it most probability of the "
            "true class (with a 95 % interval that does not allow for its having been picked as "
            "the largest, and number of images). Empty where a class has fewer than 10 images."
        ),
        columns=("class", "layer", "unit", "dp_true", "low", "high", "n"),
        rows=tuple(lines),
        shown=PRINTED,
    )


def group_table(table: pd.DataFrame) -> Table:
    """Groups of correlated filters beside their members alone: one row a group."""
    everyone = table[(table["metric"] == "dloss") & (table["class"] == "all")]
    single = everyone[everyone["unit"].notna()].set_index(["layer", "members"])["estimate"]
    lines: list[tuple[Cell, ...]] = []
    for row in everyone[everyone["unit"].isna()].itertuples():
        members = row.members.split("+")
        alone = [single.get((row.layer, member), np.nan) for member in members]
        measured = [value for value in alone if np.isfinite(value)]
        lines.append(
            (row.layer, row.members, row.estimate, row.ci_lo, row.ci_hi, row.n_exact, row.q_value,
             max(measured, default=None), f"{len(measured)} of {len(members)}")
        )  # fmt: skip
    return Table(
        name="groups",
        caption=(
            "Filters of a layer that are correlated beyond 0.9, silenced together: cross-entropy "
            "added with 95 % interval, and beside it the largest that a measured member adds alone."
        ),
        columns=("layer", "units", "dloss", "low", "high", "n", "q", "largest_alone", "measured"),
        rows=tuple(lines),
    )


def filter_table(table: pd.DataFrame) -> Table:
    """All estimates as a table of the record."""
    plain = table.astype(object).where(table.notna(), None)
    return Table(
        name="filters",
        caption=(
            "Every filter: its rank in the screen and, where it was measured, its estimates by "
            "class and metric with 95 % intervals, number of images and method."
        ),
        columns=tuple(table.columns),
        printed=("layer", "unit", "class", "metric", "estimate", "ci_lo", "ci_hi", "n_exact",
                 "method", "q_value", "rank", "screened"),
        rows=tuple(plain.itertuples(index=False, name=None)),
        shown=5,
    )  # fmt: skip
