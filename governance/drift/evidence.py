"""Measured: the comparison with the version before as evidence, and what vouches for it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from governance.drift import envelope
from governance.drift.answers import Comparison, SelfTest
from governance.drift.comparison import compare
from governance.drift.judging import FEWEST
from governance.drift.measurement import to_measurement
from governance.drift.rules_asked import frame_of, rules_asked
from governance.drift.selftest import aa_trials, planted
from governance.drift.version import refuse
from governance.errors import AnalysisError, EvidenceError
from governance.records.assessment import Assessment
from governance.records.drift_terms import DriftTerms
from governance.records.evidence import Figure, Measurement, Table
from governance.records.lineage import Lineage
from governance.records.numbers import number

if TYPE_CHECKING:
    from governance.subject.subject import Subject

__all__ = ["compared", "measured", "self_tests"]

#: Finds the images of a comparison's gallery, (C, H, W) in [0, 1] each, by their place.
Pixels = Callable[[Comparison], Mapping[int, NDArray[np.float32]]]


def measured(subject: "Subject", new: Assessment, lineage: Lineage) -> Measurement:
    """What changed since the version before.

    Args:
        subject: Live; left as found.
        new: Its assessment so far.
        lineage: With a previous version.

    Raises:
        EvidenceError: If the records cannot be compared; all reasons at once.
        AnalysisError: If there is no version before, or no terms to compare under.
    """
    previous, terms = lineage.previous, new.policy.drift
    if previous is None or terms is None:
        raise AnalysisError("no version before, or no [drift] in the policy; both are needed")
    asked, unasked = rules_asked(subject, previous)
    _, found = compared(
        new,
        replace(lineage, first=lineage.first or previous),
        terms,
        asked=frame_of(asked[0]) if asked else None,
        pixels=lambda comparison: _pixels(subject, comparison),
    )
    return replace(found, tables=(*found.tables, *asked), notes=(*found.notes, *unasked))


def compared(
    new: Assessment,
    lineage: Lineage,
    terms: DriftTerms,
    *,
    asked: pd.DataFrame | None = None,
    pixels: Pixels = lambda _comparison: {},
    drawn: bool = True,
) -> tuple[Comparison, Measurement]:
    """A version held against the one before, from records alone.

    Args:
        new: The version.
        lineage: With a previous version.
        terms: What counts as drift.
        asked: What the version says to the rules of the one before, where it was asked.
        pixels: Finds the images of the gallery, by their place.
        drawn: Whether the measurement shall hold pictures.

    Raises:
        EvidenceError: If the records cannot be compared; all reasons at once.
        AnalysisError: If there is no version before.
    """
    previous = lineage.previous
    if previous is None:
        raise AnalysisError("there is no version before to compare with")
    first, unread = (None, ()) if lineage.first is None else _comparable(lineage.first, new)
    comparison = compare(
        previous,
        new,
        lineage.references,
        terms=terms,
        first=first,
        asked=asked,
        seed=new.policy.seed,
    )
    tested = self_tests(new, previous, lineage, terms)
    found = to_measurement(
        comparison,
        _pictures(comparison, pixels) if drawn else (),
        withdrawn=tuple(item.words for item in tested if item.passed is not True),
    )
    notes = [*found.notes, *(item.words for item in tested), *unread]
    tables = (_answer_table(comparison), *found.tables, _test_table(tested))
    open_ones = (*found.unanswered, *_unanswered(comparison, lineage, terms))
    kept = replace(found, tables=tables, notes=tuple(notes), unanswered=open_ones)
    return comparison, _with_envelope(kept, terms, previous, new, lineage)


def _unanswered(comparison: Comparison, lineage: Lineage, terms: DriftTerms) -> Iterator[str]:
    """What the first page must say is not known."""
    count = len(lineage.references)
    if count < FEWEST:
        yield (
            f"how much harmless training changes: {count} references are recorded and {FEWEST} are "
            "needed (governance references make)"
        )
    elif 1 / (count + 1) > terms.alpha:
        yield (
            f"whether the version is like harmless runs: with {count} references no p-value is "
            f"below {number(1 / (count + 1), 2)}, and alpha is {terms.alpha:g}"
        )
    if comparison.unmeasured:
        yield (
            "whether what the policy names changed: not measured in every record are "
            f"{', '.join(comparison.unmeasured)}"
        )
    if comparison.tolerance is None:
        yield "whether the change is tolerable: no tolerance is declared and no references show one"
    if lineage.planted is None:
        yield (
            "whether a planted fault would be found: none was recorded for the version before "
            "(governance drift selftest)"
        )


def self_tests(
    new: Assessment, previous: Assessment, lineage: Lineage, terms: DriftTerms
) -> tuple[SelfTest, ...]:
    """The detector put to the proof on these very records.

    Args:
        new: Whose maps are held against each other, the same weights on disjoint images.
        previous: The version before.
        lineage: With a planted fault, if one was recorded.
        terms: Of the policy.
    """
    seed = new.policy.seed
    tests = [aa_trials(new, seed=seed, alpha=terms.alpha)]
    if lineage.planted is not None:
        tests.append(planted(previous, lineage.planted, lineage.references, terms=terms, seed=seed))
    return tuple(tests)


def _answer_table(found: Comparison) -> Table:
    """The verdict and the answers to the three questions, in words."""
    named = {
        "identity": found.identity,
        "exchangeability": found.exchangeability,
        "equivalence": found.equivalence,
        "to_first": found.to_first,
    }
    rows = [
        (name, item.outcome, item.words, item.statistic, item.p, item.p_floor, item.n, item.m)
        for name, item in named.items()
        if item is not None
    ]
    verdict = ("verdict", found.verdict, " ".join(found.reasons), None, None, None, None, None)
    return Table(
        name="answers",
        caption="Three questions and their answers; n images, m references.",
        columns=("question", "outcome", "words", "statistic", "p", "p_floor", "n", "m"),
        rows=(verdict, *rows),
    )


def _test_table(tests: Sequence[SelfTest]) -> Table:
    return Table(
        name="self_tests",
        caption=(
            "The detector put to the proof: how often it alarmed on the same weights and disjoint "
            "images (`aa`), and on a fault planted on purpose (`planted`). 95 % Clopper-Pearson."
        ),
        columns=("test", "alarms", "trials", "low", "high", "nominal", "passed"),
        rows=tuple(
            (
                item.name, item.alarms, item.trials,
                item.interval.low if item.interval else None,
                item.interval.high if item.interval else None,
                item.nominal, item.passed,
            )
            for item in tests
        ),
    )  # fmt: skip


def _pictures(comparison: Comparison, pixels: Pixels) -> tuple[Figure, ...]:
    from governance.drift.pictures import pictures

    return pictures(comparison, pixels(comparison))


def _pixels(subject: "Subject", comparison: Comparison) -> dict[int, NDArray[np.float32]]:
    """The images of the gallery, by their place in the validation set."""
    table = comparison.table("maps")
    places = [] if table is None else [row[table.columns.index("place")] for row in table.rows]
    shown = sorted({place for place in places if isinstance(place, int)})
    if not shown:
        return {}
    return dict(zip(shown, subject.pixels(shown).cpu().numpy(), strict=True))


def _comparable(first: Assessment, new: Assessment) -> tuple[Assessment | None, tuple[str, ...]]:
    """The version approved first, unless its record is about other images or another explainer."""
    try:
        refuse({"first": first, "new": new})
    except EvidenceError as error:
        problems = "; ".join(error.problems)
        return None, (f"Not compared with the version approved first: {problems}.",)
    return first, ()


def _with_envelope(
    found: Measurement, terms: DriftTerms, previous: Assessment, new: Assessment, lineage: Lineage
) -> Measurement:
    if terms.envelope is None:
        return found
    metrics, upper = dict(found.metrics), found.metrics["upper"]
    sides = envelope.sides(terms.envelope, previous.identity, new.identity, lineage.data, upper)
    metrics["outside_envelope"] = envelope.outside(sides)
    return replace(found, metrics=metrics, tables=(*found.tables, envelope.table(sides)))
