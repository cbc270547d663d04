"""Data quality: a Great Expectations suite over the table of validation images.

`validate` holds a table of `image_table.py` against checks. This is the one place that knows Great
Expectations, which takes seconds to import and is imported when first used. Its results carry
random ids and times; only counts and offending rows are taken from them. A check that could not be
evaluated has no share: it is missing, never 0.
"""

import importlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pandas as pd

from governance.methods.statistics.intervals import wilson
from governance.records.evidence import Interval
from governance.records.severities import Severity
from governance.subject.images.table import DEVIATIONS

__all__ = ["CLASS_CHECKS", "IMAGE_CHECKS", "Check", "Outcome", "validate"]

# Great Expectations has no severity between these.
GX_SEVERITIES = MappingProxyType({"block": "critical", "review": "warning", "warn": "warning"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What is expected of every row of a table, and how many may offend.

    Attributes:
        metric: Name of the share of offending rows.
        meaning: Of that share, in one sentence.
        expectation: Class of `great_expectations.expectations`.
        column: That it looks at.
        options: Its further arguments.
        allowed: Largest share of offending rows that is accepted.
        severity: Of more than that; `block` is critical to Great Expectations, the others warnings.
        rationale: Why, for the reader of the report.
        nullable: Whether rows without a value are left out; else one makes the check unanswerable.
        sampled: Whether offending is a property of single images, so that the share has an
            interval; a duplicate is one only beside others, and classes are no sample.
        order_by: Column that puts the worst offenders first; the checked one if empty.
        descending: Whether the largest value is the worst.
    """

    metric: str
    meaning: str
    expectation: str
    column: str
    options: Mapping[str, Any] = field(default_factory=dict)
    allowed: float = 0.0
    severity: Severity
    rationale: str
    nullable: bool = False
    sampled: bool = True
    order_by: str = ""
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A check held against a table.

    Attributes:
        check: What was expected.
        n: Rows that the check looked at.
        offenders: Keys of the rows that offend; None if the check could not be evaluated.
        success: Whether no more than the allowed share offends; None if not evaluated.
        problem: Why it could not be evaluated, else empty.
    """

    check: Check
    n: int
    offenders: tuple[str, ...] | None
    success: bool | None
    problem: str = ""

    @property
    def share(self) -> float | None:
        """Offending rows among those looked at; None if not evaluated, never 0 for that."""
        return None if self.offenders is None else len(self.offenders) / self.n

    @property
    def interval(self) -> Interval | None:
        """Wilson's, where images offend one by one."""
        if self.offenders is None or not self.check.sampled:
            return None
        return wilson(len(self.offenders), self.n)


IMAGE_CHECKS = (
    Check(
        metric="undecodable",
        meaning="Share of images that cannot be decoded.",
        expectation="ExpectColumnValuesToBeInSet",
        column="decodes",
        options={"value_set": [True]},
        severity="block",
        rationale="An image that cannot be read cannot be answered.",
    ),
    Check(
        metric="invalid_labels",
        meaning="Share of images whose label names no class.",
        expectation="ExpectColumnValuesToNotBeNull",
        column="class",
        severity="block",
        rationale="An image without a class can be answered neither rightly nor wrongly.",
    ),
    Check(
        metric="conflicting_duplicates",
        meaning="Share of images whose exact copy stands under another label.",
        expectation="ExpectColumnValuesToBeInSet",
        column="copy_labels",
        options={"value_set": [1]},
        allowed=0.001,
        severity="block",
        rationale=(
            "The same picture under two labels: one of them is wrong, whatever the model says. "
            "Above 1 in 1,000 images, labels as such are in doubt and no figure that rests on them "
            "can carry a decision."
        ),
        sampled=False,
        order_by="sha256",
    ),
    Check(
        metric="duplicates",
        meaning="Share of images of which the set holds an exact copy.",
        expectation="ExpectColumnValuesToBeUnique",
        column="sha256",
        severity="warn",
        rationale="Copies count more than once: intervals are narrower than the evidence is.",
        sampled=False,
    ),
    Check(
        metric="conflicting_near_duplicates",
        meaning="Share of images that look like an image under another label.",
        expectation="ExpectColumnValuesToBeInSet",
        column="near_labels",
        options={"value_set": [1]},
        severity="review",
        rationale=(
            "Nearly the same picture under two labels: either a label is wrong or the classes "
            "overlap. A person has to look at the pictures."
        ),
        sampled=False,
        order_by="near_group",
    ),
    Check(
        metric="near_duplicates",
        meaning="Share of images that look like another one of the set, exact copies left out.",
        expectation="ExpectColumnValuesToBeBetween",
        column="near_contents",
        options={"max_value": 1},
        allowed=0.01,
        severity="warn",
        rationale=(
            "Pictures taken or saved twice count more than once. A few look alike by chance; above "
            "1 in 100 images the set holds less evidence than its size says."
        ),
        sampled=False,
        order_by="near_group",
    ),
    Check(
        metric="constant",
        meaning="Share of images of one brightness throughout, which show nothing.",
        expectation="ExpectColumnValuesToBeBetween",
        column="std",
        options={"min_value": 0, "strict_min": True},
        allowed=0.001,
        severity="block",
        rationale=(
            "A picture of nothing has no right answer. Above 1 in 1,000 images the set was damaged "
            "on its way here."
        ),
    ),
    Check(
        metric="blurred",
        meaning="Share of images far less sharp than is usual in the set.",
        expectation="ExpectColumnValuesToBeBetween",
        column="sharpness_deviation",
        options={"min_value": -DEVIATIONS},
        allowed=0.01,
        severity="warn",
        rationale="Blurred pictures measure the camera; their labels are less reliable.",
        nullable=True,
    ),
    Check(
        metric="dark",
        meaning="Share of images far darker than is usual in the set.",
        expectation="ExpectColumnValuesToBeBetween",
        column="brightness_deviation",
        options={"min_value": -DEVIATIONS},
        allowed=0.01,
        severity="warn",
        rationale="Underexposed pictures, or black ones after a fault.",
        nullable=True,
    ),
    Check(
        metric="bright",
        meaning="Share of images far brighter than is usual in the set.",
        expectation="ExpectColumnValuesToBeBetween",
        column="brightness_deviation",
        options={"max_value": DEVIATIONS},
        allowed=0.01,
        severity="warn",
        rationale="Overexposed pictures, or white ones after a fault.",
        nullable=True,
        descending=True,
    ),
    Check(
        metric="odd_sizes",
        meaning="Share of images far larger or smaller than is usual in the set.",
        expectation="ExpectColumnValuesToBeBetween",
        column="pixels_deviation",
        options={"min_value": -DEVIATIONS, "max_value": DEVIATIONS},
        allowed=0.01,
        severity="warn",
        rationale="Thumbnails among photos, or pictures of another source.",
        nullable=True,
    ),
    Check(
        metric="odd_modes",
        meaning="Share of images in a mode (grey, colour) that less than half of the images have.",
        expectation="ExpectColumnValuesToBeBetween",
        column="mode_share",
        options={"min_value": 0.5},
        allowed=0.05,
        severity="warn",
        rationale="Grey pictures among colour ones, or the reverse, can give a class away.",
        order_by="mode",
    ),
)

CLASS_CHECKS = (
    Check(
        metric="small_classes",
        meaning="Share of classes with fewer than 30 images.",
        expectation="ExpectColumnValuesToBeBetween",
        column="images",
        options={"min_value": 30},
        severity="warn",
        rationale="What is said about a class with fewer than 30 images is hardly known.",
        sampled=False,
    ),
    Check(
        metric="rare_classes",
        meaning="Share of classes with less than a fifth of the images of an even share.",
        expectation="ExpectColumnValuesToBeBetween",
        column="of_even_share",
        options={"min_value": 0.2},
        severity="warn",
        rationale="Overall accuracy hardly notices such a class: read its recall.",
        sampled=False,
    ),
)


def validate(table: pd.DataFrame, checks: Sequence[Check]) -> tuple[Outcome, ...]:
    """Hold a table against checks with Great Expectations, in a context that leaves no trace.

    Args:
        table: With a column `id` that names its rows.
        checks: Each with a metric of its own.

    Returns:
        One outcome per check, in their order; one that could not be evaluated says why.
    """
    with warnings.catch_warnings():
        # It imports modules of the standard library that are deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        gx = importlib.import_module("great_expectations")
        settings = importlib.import_module("great_expectations.data_context.types.base")
    config = settings.DataContextConfig(
        # Its default for short-lived contexts makes a folder for a documentation site.
        store_backend_defaults=settings.InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        analytics_enabled=False,
        progress_bars=settings.ProgressBarsConfig(globally=False),
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    asset = context.data_sources.add_pandas("governance").add_dataframe_asset("table")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": table})
    expectations = [
        getattr(gx.expectations, check.expectation)(
            column=check.column,
            mostly=1 - check.allowed,
            severity=GX_SEVERITIES[check.severity],
            meta={"metric": check.metric},
            **check.options,
        )
        for check in checks
    ]
    suite = gx.ExpectationSuite(name="data_quality", expectations=expectations)
    wanted = {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]}
    results = batch.validate(suite, result_format=wanted).results
    # Results do not come in the order of the suite.
    found = {result.expectation_config.meta["metric"]: result for result in results}
    return tuple(_outcome(check, found.get(check.metric), len(table)) for check in checks)


def _outcome(check: Check, result: Any, rows: int) -> Outcome:
    problem = _problem(check, result, rows)
    if problem:
        return Outcome(check=check, n=0, offenders=None, success=None, problem=problem)
    counts = result.result
    return Outcome(
        check=check,
        n=rows - counts.get("missing_count", 0),
        offenders=tuple(str(row["id"]) for row in counts["unexpected_index_list"]),
        success=bool(result.success),
    )


def _problem(check: Check, result: Any, rows: int) -> str:
    """Why a result says nothing about the table; empty if it does."""
    if result is None:
        return "Great Expectations gave no result"
    info = result.exception_info or {}
    # One record, or one for each number that was asked for.
    records = [info] if "raised_exception" in info else list(info.values())
    raised = [str(item["exception_message"]) for item in records if item["raised_exception"]]
    counts = result.result
    looked, missing = counts.get("element_count"), counts.get("missing_count", 0)
    listed = len(counts.get("unexpected_index_list") or ())
    problems = {
        "; ".join(raised): bool(raised),
        f"{looked} of {rows} rows were looked at": looked != rows,
        f"no row has a {check.column}": missing == rows,
        f"{missing} of {rows} rows have no {check.column}": missing > 0 and not check.nullable,
        "offending rows and their count disagree": listed != counts.get("unexpected_count"),
    }
    return next((text for text, holds in problems.items() if holds), "")
