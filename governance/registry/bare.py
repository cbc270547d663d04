"""Bare: the record of a version without its pictures, held against the version's tags.

One or two small files are read instead of a whole record. That is enough to show what was said of a
version, and not enough to use it: its other files, and those of the model, are the gate's business.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage
from mlflow.utils.uri import append_to_uri_path

from governance.errors import EvidenceError
from governance.records.assessment import RECORD, Assessment
from governance.records.bare_records import BareRecord, columns_of, from_record
from governance.records.consistency import contradictions
from governance.records.manifest import LARGEST_RECORD
from governance.records.record_files import LARGEST_FIGURE
from governance.records.table_files import LARGEST_PARQUET
from governance.records.turned import Answers, answers_in
from governance.registry.listing import ListedVersion
from governance.registry.pages import report_page
from governance.registry.recording import FOLDER, REPORT
from governance.registry.versions import DIGEST, RUN, STATUS, Room, download, refusals

__all__ = ["ANSWERS", "ShownRecord", "bare_record", "picture"]

#: The table with the answer to every image.
ANSWERS = "evidence/performance/answers.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRecord:
    """What is read of the record of a version in order to show it.

    Attributes:
        assessment: The record without pictures and rows.
        answers: The answer to every image; None where the record has none.
        report: Address of the report: in MLflow's pages or as a file, else empty.
        home: Artifact URI of the folder of the record.
        digests: sha256 of every picture by its path in that folder.
    """

    assessment: Assessment
    answers: Answers | None
    report: str
    home: str
    digests: Mapping[str, str]


def bare_record(entry: ListedVersion) -> ShownRecord:
    """The record of a version, with the answer to every image where it has them.

    Raises:
        EvidenceError: If there is none, or it is not the one that the version's tags name.
        RegistryError: If MLflow refuses.
    """
    uri, run_id = entry.version.uri, entry.tags.get(RUN, "")
    if not re.fullmatch(r"[0-9a-f]{32}", run_id):
        raise EvidenceError(f"{uri}: its tag {RUN} names no run")
    with refusals(f"{uri}: looking up its record"):
        run = MlflowClient().get_run(run_id)
    if run.info.lifecycle_stage != LifecycleStage.ACTIVE:
        raise EvidenceError(f"{uri}: run {run_id}, its record, was deleted")
    home = append_to_uri_path(run.info.artifact_uri, FOLDER)
    content = _content(home, RECORD, LARGEST_RECORD)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if digest != entry.tags.get(DIGEST):
        raise EvidenceError(f"{uri}: its record has the digest {digest}, which no tag names")
    found = from_record(content)
    if problems := tuple(_problems(entry, found.assessment)):
        raise EvidenceError(problems)
    file = append_to_uri_path(home, REPORT) if home.startswith("file:") else ""
    return ShownRecord(
        assessment=found.assessment,
        answers=_answers(home, found),
        report=report_page(run) or file,
        home=home,
        digests=found.digests,
    )


def picture(home: str, path: str, digest: str) -> bytes:
    """A picture of a record.

    Args:
        home: Artifact URI of the folder of the record.
        path: Path of the picture from there.
        digest: sha256 of the picture, as the record has it.

    Raises:
        EvidenceError: If it is another one.
        RegistryError: If it cannot be had.
    """
    content = _content(home, path, LARGEST_FIGURE)
    if hashlib.sha256(content).hexdigest() != digest:
        raise EvidenceError(f"{RECORD}: {path} is not the file it was written with")
    return content


def _answers(home: str, found: BareRecord) -> Answers | None:
    """The answer to every image; None in a record of before there were answers."""
    for evidence in found.assessment.evidence:
        for table in evidence.measurement.tables if evidence.measurement else ():
            if f"evidence/{evidence.analysis}/{table.name}.parquet" == ANSWERS:
                content = _content(home, ANSWERS, LARGEST_PARQUET)
                return answers_in(
                    columns_of(content, table.columns, found.digests.get(ANSWERS, ""))
                )
    return None


def _content(home: str, path: str, most: int) -> bytes:
    with TemporaryDirectory(prefix="governance-") as into:
        place = append_to_uri_path(home, path)
        return download(place, Path(into), Room(1, most, EvidenceError)).read_bytes()


def _problems(entry: ListedVersion, found: Assessment) -> Iterator[str]:
    """Where a record contradicts the version that names it."""
    ref, verdict = entry.version.registered_as, found.decision.verdict
    for name in ref.differences(found.identity.ref):
        yield f"{ref.uri}: its record is about another {name}"
    if entry.tags.get(STATUS) != verdict:
        yield f"{ref.uri}: its tag {STATUS} is not {verdict}, as its record says"
    yield from (f"{ref.uri}: {problem}" for problem in contradictions(found))
