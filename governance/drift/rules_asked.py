"""The decision rules recorded for the baseline version, put to the new version."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from governance.errors import AnalysisError
from governance.records.assessment import Assessment
from governance.records.evidence import Table
from governance.records.policy import DRIFT

if TYPE_CHECKING:
    from torch import Tensor

    from governance.subject.subject import Subject

__all__ = ["asked_before", "frame_of", "rules_asked"]

RULES = "representative_interpretation"
ASKED, MOVED = "rules_asked", "rules_moved"


def rules_asked(
    subject: "Subject", previous: Assessment
) -> tuple[tuple[Table, ...], tuple[str, ...]]:
    """Tables of how this version answers the baseline version's rules, and notes if it cannot."""
    recorded = _recorded_rules(previous)
    if recorded is None:
        return (), ()
    from governance.methods.decision_rules import ask_in_order, places

    boundaries, images = recorded
    try:
        order = places([str(row[0]) for row in images.rows], subject.validation.hashes)
        answer = ask_in_order(
            boundaries, images, subject.network.model, _batches(subject, order),
            outputs=subject.network.returns, batch_size=subject.batch_size,
        )  # fmt: skip
    except AnalysisError as error:
        return (), (f"The recorded rules could not be asked: {error}.",)
    tables = []
    for name, frame, caption in (
        (ASKED, answer.rules, "Rules recorded for the previous version, and this one's answers."),
        (MOVED, answer.images, "Images that moved from one rule to another."),
    ):
        rows = tuple(frame.replace({np.nan: None}).itertuples(index=False, name=None))
        columns = tuple(str(column) for column in frame.columns)
        # As many as a page holds: of the images of a rule, those of now.
        printed = tuple(column for column in columns if column != "n_then")
        tables.append(
            Table(
                name=name, caption=caption, columns=columns, rows=rows, shown=25, printed=printed
            )
        )  # fmt: skip
    return tuple(tables), ()


def _recorded_rules(previous: Assessment) -> tuple[Table, Table] | None:
    for evidence in previous.evidence:
        if evidence.analysis != RULES or evidence.measurement is None:
            continue
        tables = {table.name: table for table in evidence.measurement.tables}
        if {"boundaries", "images"} <= tables.keys() and tables["boundaries"].rows:
            return tables["boundaries"], tables["images"]
    return None


def _batches(subject: "Subject", order: list[int]) -> Iterator["Tensor"]:
    for start in range(0, len(order), subject.batch_size):
        yield subject.network.inputs(subject.pixels(order[start : start + subject.batch_size]))


def asked_before(old: Assessment, new: Assessment) -> pd.DataFrame | None:
    """A version's recorded answers to the rules of another version; None if it was not asked."""
    if new.baseline is None or new.baseline.identity != old.identity:
        return None
    measurements = [item.measurement for item in new.evidence if item.analysis == DRIFT]
    tables = [table for measurement in measurements if measurement for table in measurement.tables]
    return next((frame_of(table) for table in tables if table.name == ASKED), None)


def frame_of(table: Table) -> pd.DataFrame:
    """The rows of a table under its columns."""
    return pd.DataFrame(list(table.rows), columns=list(table.columns))
