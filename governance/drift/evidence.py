"""The comparison with the baseline version as evidence, with self-tests and allowed changes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from governance.drift import envelope
from governance.drift.answers import Comparison, SelfTest
from governance.drift.comparison import compare
from governance.drift.flips import SHOWN, surest
from governance.drift.judging import FEWEST
from governance.drift.measurement import to_measurement
from governance.drift.rules_asked import frame_of, rules_asked
from governance.drift.selftest import aa_trials, planted
from governance.drift.version import refuse
from governance.errors import AnalysisError, EvidenceError
from governance.records.assessment import Assessment
from governance.records.drift_terms import DriftTerms
from governance.records.evidence import Cell, Figure, Measurement, Table
from governance.records.lineage import Lineage
from governance.records.numbers import number

if TYPE_CHECKING:
    from governance.subject.subject import Subject

__all__ = ["compared", "measured", "self_tests"]

#: Finds the images of a comparison's gallery, (C, H, W) in [0, 1] each, by their place.
Pixels = Callable[[Comparison], Mapping[int, NDArray[np.float32]]]


def measured(subject: "Subject", new: Assessment, lineage: Lineage) -> Measurement:
    """Change of a version under assessment since the baseline version.

    Args:
        subject: The model under assessment; left as found.
        new: The assessment of the model so far.
        lineage: Version history with a previous version.

    Raises:
        EvidenceError: If the records cannot be compared; all reasons at once.
        AnalysisError: If there is no previous version, or the policy has no terms of drift.
    """
    previous, terms = lineage.previous, new.policy.drift
    if previous is None or terms is None:
        raise AnalysisError("no version before, or no [drift] in the policy; both are needed")
    asked, unasked = rules_asked(subject, previous)
    _, measurement = compared(
        new,
        replace(lineage, first=lineage.first or previous),
        terms,
        asked=frame_of(asked[0]) if asked else None,
        pixels=lambda comparison: _pixels(subject, comparison),
    )
    return replace(
        measurement, tables=(*measurement.tables, *asked), notes=(*measurement.notes, *unasked)
    )


def compared(
    new: Assessment,
    lineage: Lineage,
    terms: DriftTerms,
    *,
    asked: pd.DataFrame | None = None,
    pixels: Pixels = lambda _comparison: {},
    drawn: bool = True,
) -> tuple[Comparison, Measurement]:
    """A version compared with the baseline version, from records alone.

    Args:
        new: Assessment of the version in question.
        lineage: Version history with a previous version.
        terms: Terms that define drift.
        asked: Answers of the version to the rules of the baseline version, where it was asked.
        pixels: Function that finds the images of the gallery by their place.
        drawn: Whether the measurement holds pictures.

    Raises:
        EvidenceError: If the records cannot be compared; all reasons at once.
        AnalysisError: If there is no previous version.
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
    measurement = to_measurement(
        comparison,
        _pictures(comparison, pixels) if drawn else (),
        withdrawn=tuple(item.words for item in tested if item.passed is not True),
    )
    notes = [*measurement.notes, *(item.words for item in tested), *unread]
    tables = (_answer_table(comparison), *measurement.tables, _test_table(tested))
    open_ones = (*measurement.unanswered, *_unanswered(comparison, lineage, terms))
    kept = replace(measurement, tables=tables, notes=tuple(notes), unanswered=open_ones)
    return comparison, _with_envelope(kept, terms, previous, new, lineage)


def _unanswered(comparison: Comparison, lineage: Lineage, terms: DriftTerms) -> Iterator[str]:
    """Open questions for the first page of the report."""
    count = len(lineage.references)
    if count < FEWEST:
        yield (
            f"how much harmless training changes: {count} reference runs are recorded and {FEWEST} "
            "are needed (governance references make)"
        )
    elif 1 / (count + 1) > terms.alpha:
        yield (
            f"whether the version is like harmless runs: with {count} reference runs no p-value is "
            f"below {number(1 / (count + 1), 2)}, and alpha is {terms.alpha:g}"
        )
    if comparison.unmeasured:
        yield (
            "whether statistics that the policy names changed: some records lack "
            f"{', '.join(comparison.unmeasured)}"
        )
    if comparison.tolerance is None:
        yield (
            "whether the change is tolerable: no tolerance is declared and no reference runs "
            "show one"
        )
    if lineage.planted is None:
        yield (
            "whether a test fault would be found: none was recorded for the baseline version "
            "(governance drift selftest)"
        )


def self_tests(
    new: Assessment, previous: Assessment, lineage: Lineage, terms: DriftTerms
) -> tuple[SelfTest, ...]:
    """Self-tests of the detector on the records of this comparison.

    Args:
        new: Assessment whose heat maps on disjoint images are compared with each other.
        previous: Assessment of the baseline version.
        lineage: Version history with the test fault, if one was recorded.
        terms: Terms of drift in the policy.
    """
    seed = new.policy.seed
    tests = [aa_trials(new, seed=seed, alpha=terms.alpha)]
    if lineage.planted is not None:
        tests.append(planted(previous, lineage.planted, lineage.references, terms=terms, seed=seed))
    return tuple(tests)


def _answer_table(measurement: Comparison) -> Table:
    """The verdict and the answers to the three questions, in words."""
    named = {
        "identity": measurement.identity,
        "exchangeability": measurement.exchangeability,
        "equivalence": measurement.equivalence,
        "to_first": measurement.to_first,
    }
    rows: list[tuple[Cell, ...]] = [
        (name, item.outcome, item.words, item.statistic, item.p, item.p_floor, item.n, item.m)
        for name, item in named.items()
        if item is not None
    ]
    verdict = (
        "verdict",
        measurement.verdict,
        " ".join(measurement.reasons),
        None,
        None,
        None,
        None,
        None,
    )
    found = measurement.flips
    if found is not None:
        turned = f"{len(found.turned.wrong)} newly wrong, {len(found.turned.right)} newly right"
        p, n = found.turned.p, found.turned.n
        rows.insert(0, ("flips", turned, found.words, None, p, None, n, None))
    return Table(
        name="answers",
        caption="The verdict, what became of the answers, and the answers to three questions, from "
        "n images and m reference runs.",
        columns=("question", "outcome", "words", "statistic", "p", "p_floor", "n", "m"),
        rows=(verdict, *rows),
    )


def _test_table(tests: Sequence[SelfTest]) -> Table:
    return Table(
        name="self_tests",
        caption=(
            "Self-tests of the detector: how often it alarmed on the same weights and disjoint "
            "images (`aa`) and on a test fault (`planted`), with 95 % Clopper-Pearson intervals."
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
    table, found = comparison.table("maps"), comparison.flips
    places = [] if table is None else [row[table.columns.index("place")] for row in table.rows]
    if found is not None and found.everything:
        for kind in ("newly wrong", "newly right"):
            places += [item.place for item in surest(found, kind)[:SHOWN]]
    shown = sorted({place for place in places if isinstance(place, int)})
    if not shown:
        return {}
    return dict(zip(shown, subject.pixels(shown).cpu().numpy(), strict=True))


def _comparable(first: Assessment, new: Assessment) -> tuple[Assessment | None, tuple[str, ...]]:
    """The version approved first, unless its record has other images or another explainer."""
    try:
        refuse({"first": first, "new": new})
    except EvidenceError as error:
        problems = "; ".join(error.problems)
        return None, (f"The version approved first was not compared: {problems}.",)
    return first, ()


def _with_envelope(
    measurement: Measurement,
    terms: DriftTerms,
    previous: Assessment,
    new: Assessment,
    lineage: Lineage,
) -> Measurement:
    if terms.envelope is None:
        return measurement
    metrics, upper = dict(measurement.metrics), measurement.metrics["upper"]
    sides = envelope.sides(terms.envelope, previous.identity, new.identity, lineage.data, upper)
    metrics["outside_envelope"] = envelope.outside(sides)
    return replace(
        measurement, metrics=metrics, tables=(*measurement.tables, envelope.table(sides))
    )
