"""Bundling: all that an auditor needs about a version, fetched from MLflow into one file."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from governance import registry
from governance.approval.bundles import Bundle
from governance.approval.signed_rings import read_files, ring_in
from governance.approval.standing import RegisteredVersion
from governance.registry.approvals import attested
from governance.registry.materials import model_folder
from governance.registry.signing import authors
from governance.registry.versions import RUN, refusals, registered
from governance.subject import model_files

__all__ = ["bundle_of"]

#: Files of a model that say what it is, in text.
TEXTS = ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt")
LARGEST_TEXT = 1024**2


def bundle_of(uri: str, ring: Path | None = None) -> Bundle:
    """The bundle of a registered version with a record, as it is: who verifies it judges it.

    Args:
        uri: Address of the version.
        ring: Keyring to put into the bundle; it is checked to be one, and no signature is.

    Raises:
        SubjectError: If there is no such version, or it is not registered.
        EvidenceError: If it has no record.
        RegistryError: If MLflow refuses.
    """
    files = None if ring is None else read_files(ring)
    version = registry.resolve(uri, "" if files is None else ring_in(files).registry)
    with TemporaryDirectory(prefix="governance-") as scratch:
        folder = registry.fetch(version, Path(scratch) / "record")
        model = model_folder(version, Path(scratch) / "model")
        hashes = model_files.file_digests(model)
        with refusals(f"{version.uri}: reading its tags"):
            tags = dict(registered(version).tags)
        return Bundle(
            version=RegisteredVersion(
                ref=version.registered_as,
                source=version.source or "",
                tags=tags,
                authors=authors(version),
            ),
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            record=_contents(folder),
            model_files=hashes,
            model={
                path: (model / path).read_bytes()
                for path in TEXTS
                if path in hashes and (model / path).stat().st_size <= LARGEST_TEXT
            },
            attestations=attested(version, tags.get(RUN), Path(scratch) / "attestations"),
            ring=files,
        )


def _contents(folder: Path) -> Mapping[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
