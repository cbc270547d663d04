"""Bundles: all that an auditor needs about one version, in one file, and its verification.

```
bundle.json        which version it is, who made it, and its other tags of ours
statements.jsonl   the signed statements that count here, a DSSE envelope a line
attestations.jsonl the same assessment for tools of others, likewise
record/            the folder of the assessment, reports included
model/files.json   path and sha256 of every file of the model
model/...          its small text files
ring/              the keyring that the bundle was made with, and the signed one that it names
```

Nothing in it is trusted. The ring that counts is the auditor's own. A bundle shows a version as it
stood when the bundle was made: a later revocation is not in it, and whoever made it can have left
one out.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from governance.approval.agreement import disagreements
from governance.approval.attestations import disagreeing
from governance.approval.keyring import Keyring
from governance.approval.signed_rings import RingFiles, ring_in
from governance.approval.signed_statements import decode
from governance.approval.standing import RegisteredVersion, Standing, standing
from governance.approval.tags import APPROVAL, PREFIX, RUN, WAIVER
from governance.approval.waivers import waiver_tag
from governance.errors import ApprovalError, EvidenceError
from governance.records.assessment import MANIFEST, RECORD, Assessment
from governance.records.bundle_files import combined, packed, unpacked
from governance.records.consistency import contradictions
from governance.records.decision import EXIT_CODES, Verdict
from governance.records.serialisation import FLAT, canonical, from_data, parse, to_data
from governance.records.version_ref import VersionRef

__all__ = ["Bundle", "Check", "Verification", "opened_bundle", "recorded", "verified_bundle"]

INDEX, STATEMENTS, ATTESTATIONS = "bundle.json", "statements.jsonl", "attestations.jsonl"
RECORDS, MODEL, MODEL_FILES = "record/", "model/", "model/files.json"
RING, SIGNED_RING = "ring/keyring.toml", "ring/signed.json"
SCHEMA = 1

State = Literal["ok", "doubt", "differs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What `bundle.json` holds.

    Attributes:
        ref: The version, as its registry names it.
        workspace: MLflow workspace of the version.
        source: What was registered.
        made: When the bundle was made: UTC, ISO 8601.
        authors: Names under which the version's maker is known.
        tags: The version's tags of ours, without those that hold signed statements.
        schema: Version of the format of bundles.
    """

    ref: VersionRef = field(metadata=FLAT)
    workspace: str
    source: str
    made: str
    authors: tuple[str, ...]
    tags: Mapping[str, str]
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What an auditor gets about one version.

    Attributes:
        version: The version as its registry held it, with all tags of ours.
        made: When the bundle was made: UTC, ISO 8601.
        record: Contents of the files of the assessment's folder, by path.
        model_files: sha256 of every file of the model, by path.
        model: Contents of its small text files, by path.
        attestations: The run's statements for tools of others, a line each; empty where there are
            none.
        ring: Files of the ring; None where none was given.
    """

    version: RegisteredVersion
    made: str
    record: Mapping[str, bytes]
    model_files: Mapping[str, str]
    model: Mapping[str, bytes] = field(default_factory=dict)
    attestations: str = ""
    ring: RingFiles | None = None

    def packed(self) -> bytes:
        """The bundle's bytes; the same for the same contents.

        Raises:
            EvidenceError: If there is more of it than a bundle may hold.
        """
        tags = {name: text for name, text in self.version.tags.items() if name.startswith(PREFIX)}
        signed = [text for name, text in sorted(tags.items()) if _holds_statement(name)]
        index = Index(
            ref=self.version.ref,
            workspace=self.version.ref.workspace,
            source=self.version.source,
            made=self.made,
            authors=self.version.authors,
            tags={name: text for name, text in tags.items() if not _holds_statement(name)},
        )
        files = {
            INDEX: canonical(to_data(index)),
            STATEMENTS: "".join(f"{text}\n" for text in signed).encode(),
            MODEL_FILES: canonical(dict(self.model_files)),
            **{f"{RECORDS}{path}": content for path, content in self.record.items()},
            **{f"{MODEL}{path}": content for path, content in self.model.items()},
        }
        if self.attestations:
            files[ATTESTATIONS] = self.attestations.encode()
        if self.ring is not None:
            files[RING] = self.ring.keys
            files |= {} if self.ring.signed is None else {SIGNED_RING: self.ring.signed}
        return packed(files)


def _holds_statement(tag: str) -> bool:
    return tag == APPROVAL or tag.startswith(WAIVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at, and a sentence about what was found."""

    about: str
    state: State
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a bundle proves.

    Attributes:
        version: The version that it is about.
        verdict: The verdict that may be relied on, as the gate would give it.
        checks: What was looked at.
        assessment: The record; None where it cannot be relied on.
        standing: The signed statement and why it does not count.
    """

    version: VersionRef
    verdict: Verdict
    checks: tuple[Check, ...]
    assessment: Assessment | None
    standing: Standing

    @property
    def differs(self) -> bool:
        """Whether anything in the bundle contradicts its digests, signatures or itself."""
        return any(check.state == "differs" for check in self.checks)

    def exit_code(self, mismatch: int) -> int:
        """Exit code of a command that found this: the verdict's, or the one for a mismatch."""
        return mismatch if self.differs else EXIT_CODES[self.verdict]


def opened_bundle(path: Path) -> Bundle:
    """The bundle in a file, as untrusted as the file is.

    Raises:
        EvidenceError: If it is no bundle.
    """
    files = unpacked(path)
    if missing := [name for name in (INDEX, STATEMENTS, MODEL_FILES) if name not in files]:
        raise EvidenceError(f"{path}: holds no {', '.join(missing)}, so it is no bundle")
    index = from_data(Index, parse(files.pop(INDEX), f"{path}: {INDEX}"), f"{path}: {INDEX}")
    if index.schema != SCHEMA:
        raise EvidenceError(f"{path}: {INDEX}: schema {index.schema}; {SCHEMA} is accepted")
    hashes = parse(files.pop(MODEL_FILES), f"{path}: {MODEL_FILES}")
    if not isinstance(hashes, dict) or not all(map(_is_hash, hashes.values())):
        raise EvidenceError(f"{path}: {MODEL_FILES}: paths with their sha256 are accepted")
    ref = VersionRef(
        name=index.ref.name,
        version=index.ref.version,
        created=index.ref.created,
        workspace=index.workspace,
    )
    tags = {**index.tags, **_signed_tags(files.pop(STATEMENTS), f"{path}: {STATEMENTS}")}
    keys, signed = files.pop(RING, None), files.pop(SIGNED_RING, None)
    ring = None if keys is None else RingFiles(where=RING, keys=keys, signed=signed)
    attestations = _ascii(files.pop(ATTESTATIONS, b""), f"{path}: {ATTESTATIONS}")
    known = (RECORDS, MODEL)
    if stray := sorted(name for name in files if not name.startswith(known)):
        raise EvidenceError(f"{path}: holds {stray[0]!r}, which is no part of a bundle")
    return Bundle(
        version=RegisteredVersion(ref=ref, source=index.source, tags=tags, authors=index.authors),
        made=index.made,
        record=_under(RECORDS, files),
        model_files=hashes,
        model=_under(MODEL, files),
        attestations=attestations,
        ring=ring,
    )


def _is_hash(text: object) -> bool:
    return isinstance(text, str) and re.fullmatch(r"[0-9a-f]{64}", text) is not None


def _under(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {
        name.removeprefix(folder): content
        for name, content in files.items()
        if name.startswith(folder)
    }


def _ascii(content: bytes, where: str) -> str:
    try:
        return content.decode("ascii")
    except UnicodeDecodeError as error:
        raise EvidenceError(f"{where}: is no list of envelopes: {error}") from error


def _signed_tags(content: bytes, where: str) -> dict[str, str]:
    """The signed statements under the names of the tags that hold them."""
    tags: dict[str, str] = {}
    for number, line in enumerate(_ascii(content, where).splitlines(), 1):
        try:
            waiver = decode(line).kind == "waiver"
        except ApprovalError as error:
            place = f"{where}, line {number}"
            raise EvidenceError(f"{place}: {text}" for text in error.problems) from error
        tag = waiver_tag(line) if waiver else APPROVAL
        if tag in tags:
            raise EvidenceError(f"{where}, line {number}: one statement of a kind is accepted")
        tags[tag] = line
    return tags


def verified_bundle(bundle: Bundle, ring: Keyring, at: float) -> Verification:
    """What a bundle proves to someone who trusts a ring, at a time.

    Nothing is measured and nothing fetched: every digest and signature is checked and the verdict
    judged again from evidence and policy.

    Args:
        bundle: As opened, untrusted.
        ring: Whose signatures count.
        at: Seconds since 1970.
    """
    found = standing(bundle.version, ring, at)
    checks = [*_about_statement(found), *_about_ring(bundle, ring)]
    assessment = None
    try:
        assessment = recorded(bundle)
    except EvidenceError as error:
        checks += [Check(about="record", state="differs", text=text) for text in error.problems]
    if assessment is not None:
        checks += _about_record(bundle, assessment)
        checks += _about_model(bundle, assessment)
        checks += _about_agreement(bundle, found, assessment)
        checks += _about_attestations(bundle, found, assessment, ring)
    return Verification(
        version=bundle.version.ref,
        verdict=_verdict(found, assessment),
        checks=tuple(checks),
        assessment=assessment,
        standing=found,
    )


def recorded(bundle: Bundle) -> Assessment:
    """The record in a bundle, whose files are what its digests say. No signature is looked at.

    Raises:
        EvidenceError: If they are not.
    """
    with TemporaryDirectory(prefix="governance-") as scratch:
        folder = Path(scratch) / "record"
        for path, content in bundle.record.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        try:
            return Assessment.load(folder)
        except EvidenceError as error:
            # The folder is nowhere that a reader could look.
            texts = (text.replace(str(folder), "record") for text in error.problems)
            raise EvidenceError(texts) from error


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _about_statement(found: Standing) -> Iterator[Check]:
    said = found.statement
    if said is not None and found.counts:
        yield Check(about="statement", state="ok", text=f"{said.kind} signed, counts at that time")
    for doubt in found.doubts:
        state: State = "differs" if doubt.cause == "invalid" else "doubt"
        yield Check(about="statement", state=state, text=doubt.text)


def _about_ring(bundle: Bundle, ring: Keyring) -> Iterator[Check]:
    """Whether the ring in the bundle is the auditor's; it proves nothing by itself."""
    if bundle.ring is None:
        return
    try:
        enclosed = ring_in(bundle.ring)
    except ApprovalError as error:
        yield from (Check(about="ring", state="differs", text=text) for text in error.problems)
        return
    theirs, ours = ({key.id: key for key in item.keys} for item in (enclosed, ring))
    unlike = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
    if unlike:
        names = ", ".join(name[:16] for name in unlike)
        text = f"the ring in the bundle and yours differ in the keys {names}; yours was used"
        yield Check(about="ring", state="ok", text=text)


def _about_record(bundle: Bundle, assessment: Assessment) -> Iterator[Check]:
    wrong = [*contradictions(assessment)]
    ref, recorded = bundle.version.ref, assessment.identity.ref
    for name in ref.differences(recorded):
        here, there = getattr(ref, name), getattr(recorded, name, None)
        wrong.append(f"its {name} is {here} and the record is about {there}")
    yield from (Check(about="record", state="differs", text=text) for text in wrong)
    if not wrong:
        files, verdict = len(bundle.record), assessment.decision.verdict
        text = f"{files} files have their digests; judged again from its evidence: {verdict}"
        yield Check(about="record", state="ok", text=text)


def _about_model(bundle: Bundle, assessment: Assessment) -> Iterator[Check]:
    """Whether the list of the model's files is the one assessed, and the files in it."""
    named, assessed = combined(bundle.model_files), assessment.identity.artifact_digest
    if named != assessed:
        text = f"the files listed have the digest {named} and those assessed had {assessed}"
        yield Check(about="model", state="differs", text=text)
    unlike = [
        path
        for path, content in sorted(bundle.model.items())
        if hashlib.sha256(content).hexdigest() != bundle.model_files.get(path)
    ]
    for path in unlike:
        text = f"{path} is not the file that was assessed"
        yield Check(about="model", state="differs", text=text)
    if named == assessed and not unlike:
        text = f"{len(bundle.model_files)} files listed are those assessed"
        yield Check(about="model", state="ok", text=text)


def _about_agreement(bundle: Bundle, found: Standing, assessment: Assessment) -> Iterator[Check]:
    """Whether the signed verdict is about this record."""
    said = found.statement
    if said is None or said.kind != "verdict" or said.run_id is None:
        return
    wrong = [
        *disagreements(
            said,
            assessment,
            run_id=bundle.version.tags.get(RUN),
            record=_digest(bundle.record[RECORD]),
            manifest=_digest(bundle.record[MANIFEST]),
        )
    ]
    yield from (Check(about="agreement", state="differs", text=text) for text in wrong)
    if not wrong:
        text = "what was signed is this record"
        yield Check(about="agreement", state="ok", text=text)


def _about_attestations(
    bundle: Bundle, found: Standing, assessment: Assessment, ring: Keyring
) -> Iterator[Check]:
    """Whether the statements for tools of others follow from the record, and are signed."""
    said, text = found.statement, bundle.attestations
    if not text or said is None or said.kind != "verdict" or said.run_id is None:
        return
    wrong = [*disagreeing(text, assessment, said, ring)]
    yield from (Check(about="attestations", state="differs", text=item) for item in wrong)
    if not wrong:
        count = len(text.splitlines())
        yield Check(
            about="attestations", state="ok", text=f"{count} are signed and follow from the record"
        )


def _verdict(found: Standing, assessment: Assessment | None) -> Verdict:
    """The verdict that the gate would give: doubt never approves."""
    said = found.statement
    if said is not None and said.kind == "revocation":
        return "rejected"
    if assessment is None or said is None or said.run_id is None:
        return "undetermined"
    verdict = assessment.decision.verdict
    return "undetermined" if found.doubts and verdict == "approved" else verdict
