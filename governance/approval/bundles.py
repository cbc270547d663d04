"""Bundles: all that an auditor needs about one version, in one file.

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

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from governance.approval.signed_rings import RingFiles
from governance.approval.signed_statements import decode
from governance.approval.standing import RegisteredVersion
from governance.approval.tags import APPROVAL, PREFIX, WAIVER
from governance.approval.waivers import waiver_tag
from governance.errors import ApprovalError, EvidenceError
from governance.records.assessment import Assessment
from governance.records.bundle_files import packed, unpacked
from governance.records.serialisation import FLAT, canonical, from_data, parse, to_data
from governance.records.version_ref import VersionRef

__all__ = ["Bundle", "opened_bundle", "recorded"]

INDEX, STATEMENTS, ATTESTATIONS = "bundle.json", "statements.jsonl", "attestations.jsonl"
RECORDS, MODEL, MODEL_FILES = "record/", "model/", "model/files.json"
RING, SIGNED_RING = "ring/keyring.toml", "ring/signed.json"
SCHEMA = 1


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
