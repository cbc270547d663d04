"""Bundle files: many small files as one, so that the same files always give the same bytes.

A bundle is a ZIP file that any tool opens. Its entries are plain files in order of name, stored
without compression and without a date. `unpacked` takes a file only if packing what is in it again
gives the very same bytes. Links, folders, duplicates, comments, hidden bytes and compressed
entries, which could grow without bounds, are therefore all refused.
"""

import hashlib
import io
import json
import os
import re
import stat
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from governance.errors import EvidenceError
from governance.records.zip_files import open_zip

__all__ = ["LARGEST", "LONGEST_NAME", "MOST_FILES", "combined", "packed", "unpacked"]

#: Maximum size of a bundle in bytes, maximum number of its files, maximum length of a name.
LARGEST = 256 * 1024**2
MOST_FILES = 5_000
LONGEST_NAME = 200

NAME = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
#: The earliest date that a ZIP file can state.
DATE = (1980, 1, 1, 0, 0, 0)
PLAIN_FILE = (stat.S_IFREG | 0o644) << 16
UNIX = 3


def combined(digests: Mapping[str, str]) -> str:
    """The digest of a model's files: sha256 over the path and sha256 of each, in order of path.

    Args:
        digests: Hexadecimal sha256 of each file, by path.
    """
    digest = hashlib.sha256()
    for path, content in sorted(digests.items()):
        # JSON, so that no file name can pass for two.
        digest.update(f"{json.dumps([path, content])}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def packed(files: Mapping[str, bytes]) -> bytes:
    """The bytes of a bundle of these files.

    Raises:
        EvidenceError: If they are more, larger or otherwise named than `unpacked` takes.
    """
    if problems := tuple(_unacceptable({name: len(content) for name, content in files.items()})):
        raise EvidenceError(problems)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, DATE)
            entry.create_system, entry.external_attr = UNIX, PLAIN_FILE
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def unpacked(path: Path) -> dict[str, bytes]:
    """The files in a bundle, by name; nothing is written anywhere.

    Args:
        path: Of the bundle, untrusted.

    Raises:
        EvidenceError: If it cannot be read, or is not what `packed` writes.
    """
    content = _content(path)
    try:
        with open_zip(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if problems := tuple(_strange(entries)):
                raise EvidenceError(f"{path}: {problem}" for problem in problems)
            files = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError) as error:
        raise EvidenceError(f"{path}: is no bundle: {error}") from error
    except (struct.error, OSError, OverflowError, KeyError) as error:
        raise EvidenceError(f"{path}: is no bundle: {error}") from error
    if packed(files) != content:
        raise EvidenceError(
            f"{path}: holds bytes beside its files, or is not packed as `governance bundle` packs"
        )
    return files


def _content(path: Path) -> bytes:
    """The bytes of a plain file that is not too large; a pipe, say, is never waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_size > LARGEST:
                raise EvidenceError(
                    f"{path}: is no plain file of up to {LARGEST // 1024**2} MiB; the file that "
                    "`governance bundle` wrote is accepted"
                )
            return stream.read(LARGEST + 1)
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error.strerror}") from error


def _strange(entries: list[zipfile.ZipInfo]) -> Iterator[str]:
    """What `packed` would not have written; asked before anything is read."""
    names = [entry.filename for entry in entries]
    if len({name.casefold() for name in names}) != len(names):
        yield "holds two files of one name"
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            yield f"{entry.filename[:LONGEST_NAME]!r} is compressed; stored files are accepted"
            return
    yield from _unacceptable({entry.filename: entry.file_size for entry in entries})


def _unacceptable(sizes: Mapping[str, int]) -> Iterator[str]:
    """What is wrong with files of these names and sizes in bytes."""
    if len(sizes) > MOST_FILES:
        yield f"holds {len(sizes)} files; {MOST_FILES} are accepted"
    # Each file stands in two headers with its name.
    whole = sum(size + 2 * len(name) + 128 for name, size in sizes.items())
    if whole > LARGEST:
        yield f"holds {whole} bytes; {LARGEST} are accepted"
    folders = {str(folder) for name in sizes for folder in PurePosixPath(name).parents}
    if both := sorted(folders & set(sizes)):
        yield f"{both[0][:LONGEST_NAME]!r} is a file and a folder"
    for name in sizes:
        if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
            yield (
                f"{name[:LONGEST_NAME]!r} is no name of a file in a bundle; letters, digits, _, . "
                f"and -, in folders, up to {LONGEST_NAME} characters, are accepted"
            )
            return
