"""Assessment: identity, policy, evidence and decision of one model version, kept in a folder.

```
<folder>/
  assessment.json             everything but pixels and rows, with the sha256 of those
  policy.toml                 the policy as read
  evidence/<analysis>/<table>.parquet and .csv, <figure>.png
  report.html  report.pdf     printed from the above, added by `attach`
  manifest.json               sha256 of every file; written last
```

A folder without its manifest is not an assessment. The sha256 of `assessment.json` is *the digest
of the assessment*: it covers all evidence, and the reports print it. The files are
specified apart from the code in `docs/reference/evidence-format.md`.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from governance.errors import EvidenceError
from governance.records import table_files
from governance.records.decision import Decision
from governance.records.evidence import MOST_PRINTED, Evidence, Interval
from governance.records.identity import ModelIdentity, ValidationIdentity
from governance.records.manifest import (
    MANIFEST,
    Difference,
    compared,
    content,
    parsed,
    write_manifest,
)
from governance.records.policy import DRIFT, INAPPLICABLE, Policy
from governance.records.record_files import RecordFiles, fill
from governance.records.serialisation import UNWRITTEN, canonical, from_data, to_data
from governance.records.waiver import Waiver

__all__ = [
    "MANIFEST",
    "RECORD",
    "SCHEMA",
    "Assessment",
    "Baseline",
    "Difference",
    "attach",
]

#: 1: first layout. 2: withdrawn evidence, waivers, drift.
SCHEMA = 2

RECORD = "assessment.json"
POLICY = "policy.toml"

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\+00:00|Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The version a model is compared with, as its own assessment recorded it.

    Attributes:
        identity: Identity of the other version.
        assessment_digest: Digest of the record that the numbers are taken from.
        validation_digest: Digest of its validation images. Two versions can be compared image by
            image only if their digests are equal.
        verdict: Verdict on the other version.
        metrics: Metrics by full name, `<analysis>.<metric>`.
        intervals: Interval of each metric that has one, by full name.
    """

    identity: ModelIdentity
    assessment_digest: str
    validation_digest: str
    verdict: str
    metrics: Mapping[str, float | None]
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """All that is known about one model version under one policy.

    Attributes:
        identity: Identity of the model.
        validation: Identity of the validation images.
        policy: The policy as judged, built-in expectations included.
        evidence: One item per analysis, failures included, in the order they ran.
        decision: Verdict and findings.
        environment: Versions, device and thread count under which the assessment was made.
        created: Time of the assessment: UTC, ISO 8601 to the second.
        baseline: The version that this one is compared with; None if there is none.
        waivers: Waivers that were considered, whether a finding needed them or not.
        schema: Version of the record format.
    """

    identity: ModelIdentity
    validation: ValidationIdentity
    policy: Policy
    evidence: tuple[Evidence, ...]
    decision: Decision
    environment: Mapping[str, str]
    created: str
    baseline: Baseline | None = None
    waivers: tuple[Waiver, ...] = ()
    schema: int = SCHEMA
    #: Its digest, once it is known. A changed copy starts without.
    _digest: str | None = field(
        default=None, init=False, compare=False, repr=False, metadata=UNWRITTEN
    )

    def __post_init__(self) -> None:
        names = [item.analysis for item in self.evidence]
        if len(set(names)) != len(names):
            raise EvidenceError(f"evidence of one analysis stands twice: {names}")
        excused = any(
            item.analysis == DRIFT and item.failure and item.failure.kind == INAPPLICABLE
            for item in self.evidence
        )
        if excused and self.baseline is not None:
            raise EvidenceError(
                "drift is said not to apply beside a baseline that it could be compared with"
            )
        _ = self.moment
        object.__setattr__(self, "environment", MappingProxyType(dict(self.environment)))

    @property
    def moment(self) -> datetime:
        """Time of the assessment.

        Raises:
            EvidenceError: If it is not written as one.
        """
        try:
            if TIME.fullmatch(self.created):
                return datetime.fromisoformat(self.created)
        except ValueError:  # such as the thirteenth month
            pass
        raise EvidenceError(
            f"created: is {self.created[:40]!r}; a time such as 2026-11-22T12:00:00+00:00 is "
            "accepted"
        )

    @property
    def metrics(self) -> dict[str, float | None]:
        """Every metric by its full name, without those of withdrawn evidence."""
        return {
            f"{item.analysis}.{name}": value
            for item in self.evidence
            if item.measurement is not None and not item.measurement.withdrawn
            for name, value in item.measurement.metrics.items()
        }

    @property
    def intervals(self) -> dict[str, Interval]:
        """Every interval by the full name of its metric, without those of withdrawn evidence."""
        return {
            f"{item.analysis}.{name}": interval
            for item in self.evidence
            if item.measurement is not None and not item.measurement.withdrawn
            for name, interval in item.measurement.intervals.items()
        }

    @property
    def record(self) -> bytes:
        """Contents of `assessment.json`."""
        return _record(self)

    @property
    def digest(self) -> str:
        """sha256 of `assessment.json`; covers all evidence."""
        return self._digest or _named(self, self.record)

    def save(self, folder: Path) -> None:
        """Write the assessment as a new folder, whole or not at all.

        Raises:
            EvidenceError: If the folder exists and is not empty.
            OSError: If the disk refuses; nothing is left behind.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise EvidenceError(
                f"{folder}: exists and is not empty; a new or empty folder is accepted"
            )
        files = _files(self)
        with _aside(folder.absolute()) as partial:
            for path, content in files.items():
                target = partial / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            write_manifest(partial, SCHEMA)
            partial.rename(folder.absolute())

    @classmethod
    def load(cls, folder: Path) -> "Assessment":
        """Read an assessment whose files are what the manifest says.

        Raises:
            EvidenceError: If the folder is no assessment, differs from its manifest, or was
                written under another schema.
        """
        digests, differences = compared(folder)
        if differences:
            raise EvidenceError([f"{folder}: {difference}" for difference in differences])
        written = content(folder, RECORD)
        data = parsed(written, f"{folder}/{RECORD}")
        if data.get("schema") != SCHEMA:
            raise EvidenceError(
                f"{folder}/{RECORD}: schema {data.get('schema')!r}; {SCHEMA} is accepted"
            )
        try:
            fill(data, RecordFiles(folder, frozenset(digests)))
        except (KeyError, TypeError, AttributeError) as error:
            raise EvidenceError(f"{folder}/{RECORD}: evidence is damaged: {error!r}") from error
        loaded = from_data(cls, data, RECORD)
        if content(folder, POLICY) != _utf8(loaded.policy.text):
            raise EvidenceError(f"{folder}: {POLICY} is not the policy in {RECORD}")
        if written != _content(loaded, to_data(_bare(loaded))):
            # Its digest, recomputed, would not be the one that was recorded.
            raise EvidenceError(
                f"{folder}/{RECORD}: is not written as a record of schema {SCHEMA} is; the bytes "
                "of `governance assess` are accepted"
            )
        _named(loaded, written)
        return loaded

    @staticmethod
    def verify(folder: Path) -> tuple[Difference, ...]:
        """How the files of a folder differ from its manifest; empty if they do not.

        Raises:
            EvidenceError: If there is no manifest that can be read.
        """
        return compared(folder)[1]


def attach(folder: Path, files: Mapping[str, bytes]) -> None:
    """Add printed files (reports) to a saved assessment and its manifest.

    Raises:
        EvidenceError: If the folder is not an intact assessment, or a name belongs to the record.
    """
    differences = Assessment.verify(folder)
    if differences:
        raise EvidenceError([f"{folder}: {difference}" for difference in differences])
    taken = [name for name in files if name in {RECORD, MANIFEST, POLICY} or "/" in name]
    if taken:
        raise EvidenceError(f"{folder}: {taken} cannot be attached; other names are accepted")
    with _aside(folder.absolute()) as partial:
        for name, content in files.items():
            (partial / name).write_bytes(content)
        for name in files:
            (partial / name).replace(folder / name)
    write_manifest(folder, SCHEMA)


def _files(assessment: Assessment) -> dict[str, bytes]:
    """Contents of all files but the manifest, by path."""
    files = {POLICY: assessment.policy.text.encode(), RECORD: _record(assessment)}
    for item in assessment.evidence:
        measurement, home = item.measurement, f"evidence/{item.analysis}"
        for figure in measurement.figures if measurement else ():
            files[f"{home}/{figure.name}.png"] = figure.image
        for table in measurement.tables if measurement else ():
            files[f"{home}/{table.name}.parquet"] = table_files.parquet(table)
            files[f"{home}/{table.name}.csv"] = table_files.csv(table)
    return files


def _record(assessment: Assessment) -> bytes:
    """Contents of the record of an assessment that may not come from one."""
    # As it will be read: 1 where a fraction is meant becomes 1.0; what cannot be read is refused.
    bare = from_data(Assessment, to_data(_bare(assessment)), RECORD)
    return _content(assessment, to_data(bare))


def _named(assessment: Assessment, written: bytes) -> str:
    """The digest of an assessment, of which the contents of its record are known."""
    digest = f"sha256:{_sha256(written)}"
    object.__setattr__(assessment, "_digest", digest)
    return digest


def _content(assessment: Assessment, data: dict[str, Any]) -> bytes:
    """Contents of the record, in which pictures and tables stand by their digests.

    Args:
        assessment: With pictures and rows.
        data: Plain data of the same without them.
    """
    for item, record in zip(assessment.evidence, data["evidence"], strict=True):
        if not item.covers:
            del record["covers"]  # as records had it before there was one
        if item.measurement is None:
            continue
        home, kept = f"evidence/{item.analysis}", record["measurement"]
        for figure, entry in zip(item.measurement.figures, kept["figures"], strict=True):
            del entry["image"]
            if not figure.seen:
                del entry["seen"]  # as records had it before there was one
            entry.update(path=f"{home}/{figure.name}.png", sha256=_sha256(figure.image))
        for table, entry in zip(item.measurement.tables, kept["tables"], strict=True):
            del entry["rows"]
            if table.printed == table.columns[:MOST_PRINTED]:
                del entry["printed"]  # what `_fill` takes where there is none
            # Of the rows themselves: another pyarrow writes the same rows in other bytes, and the
            # digest of an assessment must not change with it.
            entry.update(
                path=f"{home}/{table.name}.parquet",
                sha256=_sha256(canonical(table.rows)),
                csv_sha256=_sha256(table_files.csv(table)),
                row_count=len(table.rows),
            )
    return canonical(data)


def _bare(assessment: Assessment) -> Assessment:
    """An assessment without pixels and rows."""
    return replace(assessment, evidence=tuple(map(_without_files, assessment.evidence)))


def _without_files(evidence: Evidence) -> Evidence:
    """Evidence without pixels and rows."""
    measurement = evidence.measurement
    if measurement is None:
        return evidence
    figures = tuple(replace(figure, image=b"") for figure in measurement.figures)
    tables = tuple(replace(table, rows=()) for table in measurement.tables)
    return replace(evidence, measurement=replace(measurement, figures=figures, tables=tables))


def _utf8(text: str) -> bytes | None:
    """A text as a file holds it; None if none can, for a lone surrogate in it."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A neighbouring folder that is gone afterwards, unless it was renamed to its place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.parent / f".{folder.name}.{uuid4().hex}.partial"
    partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
