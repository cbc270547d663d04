"""Bare: the record of a version without its pictures, held against the version's tags.

One or two small files are read instead of a whole record. That is enough to show what was said of a
version, and not enough to use it: its other files, and those of the model, are the gate's business.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage
from mlflow.utils.uri import append_to_uri_path

from governance.errors import EvidenceError
from governance.records.assessment import RECORD, Assessment
from governance.records.bare_records import from_record
from governance.records.consistency import contradictions
from governance.records.manifest import LARGEST_RECORD
from governance.records.table_files import LARGEST_PARQUET
from governance.registry.listing import ListedVersion
from governance.registry.pages import report_page
from governance.registry.recording import FOLDER, REPORT
from governance.registry.versions import DIGEST, RUN, STATUS, Room, download, refusals

__all__ = ["ANSWERS", "bare_record"]

#: The table with the answer to every image.
ANSWERS = "evidence/performance/answers.parquet"


def bare_record(entry: ListedVersion) -> tuple[Assessment, str]:
    """The record of a version, with the answer to every image where it has them.

    Returns:
        The record, and the address of its report: in MLflow's pages or as a file, else empty.

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
    with TemporaryDirectory(prefix="governance-") as scratch:
        content = _content(home, RECORD, Path(scratch), LARGEST_RECORD)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if digest != entry.tags.get(DIGEST):
            raise EvidenceError(f"{uri}: its record has the digest {digest}, which no tag names")
        # A record of before there were answers names no such table.
        named = ANSWERS.encode() in content
        tables = {ANSWERS: _content(home, ANSWERS, Path(scratch), LARGEST_PARQUET)} if named else {}
        found = from_record(content, tables)
    if problems := tuple(_problems(entry, found)):
        raise EvidenceError(problems)
    file = append_to_uri_path(home, REPORT) if home.startswith("file:") else ""
    return found, report_page(run) or file


def _content(home: str, path: str, into: Path, most: int) -> bytes:
    return download(append_to_uri_path(home, path), into, Room(1, most, EvidenceError)).read_bytes()


def _problems(entry: ListedVersion, found: Assessment) -> Iterator[str]:
    """Where a record contradicts the version that names it."""
    ref, verdict = entry.version.registered_as, found.decision.verdict
    for name in ref.differences(found.identity.ref):
        yield f"{ref.uri}: its record is about another {name}"
    if entry.tags.get(STATUS) != verdict:
        yield f"{ref.uri}: its tag {STATUS} is not {verdict}, as its record says"
    yield from (f"{ref.uri}: {problem}" for problem in contradictions(found))
