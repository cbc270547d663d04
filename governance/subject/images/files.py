"""Files: pictures that are decoded from their files when asked for.

Each file is read once when the set is opened, for its digest and its header, so that a file that is
no image is refused before a model is loaded. One picture at most is in memory.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, overload

import numpy as np
from numpy.typing import NDArray

from governance.errors import SubjectError
from governance.records.bounded import content_of, opened
from governance.records.reading import FileReading
from governance.subject.images.decoding import LARGEST_IMAGE, Picture, check_header, decoded
from governance.subject.images.problems import LARGEST_SET

__all__ = ["Files", "Span", "checked_hash"]


@dataclass(frozen=True, slots=True)
class Span:
    """A picture that is a part of a file: its name, the file, the first byte and their number."""

    name: str
    file: str
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Files(Sequence[NDArray[np.uint8]]):
    """Pictures that are decoded from their files when asked for.

    Attributes:
        root: Folder that the paths start at.
        names: Path of each file.
        hashes: sha256 of each file when the set was opened.
        location: Name of the set in messages.
        reading: What is declared of orientation, transparency and deep grey.
        spans: Where each picture lies in a larger file; None where each has a file of its own.
    """

    root: Path
    names: tuple[str, ...]
    hashes: tuple[str, ...]
    location: str
    reading: FileReading
    spans: tuple[Span, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, index: slice) -> list[NDArray[np.uint8]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.uint8] | list[NDArray[np.uint8]]:
        if isinstance(index, slice):
            return [self[item] for item in range(*index.indices(len(self)))]
        return self.picture(index).pixels

    def read_as(self, reading: FileReading) -> Self:
        """The same files, read in another way."""
        return replace(self, reading=reading)

    def picture(self, index: int) -> Picture:
        """An image with what its file holds beside it.

        Raises:
            SubjectError: If the file is damaged, or no longer what was hashed.
        """
        where = f"validation images {self.location}: {self.names[index]}"
        try:
            content = self._content(index)
        except OSError as error:
            raise SubjectError(f"{where}: cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != self.hashes[index]:
            raise SubjectError(f"{where}: changed since the assessment began; start it again")
        return decoded(content, where, self.reading)

    def _content(self, index: int) -> bytes:
        if self.spans is None:
            return content_of(self.root / self.names[index], LARGEST_IMAGE, SubjectError)
        span = self.spans[index]
        with opened(self.root / span.file, LARGEST_SET, SubjectError) as stream:
            stream.seek(span.start)
            return stream.read(span.size)


def checked_hash(file: Path, name: str, reading: FileReading, problems: list[str]) -> str:
    """sha256 of an image file, hexadecimal, once its header is read.

    Args:
        file: The file.
        name: What to call it in messages.
        reading: What is declared of deep grey.
        problems: Gets what stands in the way; the digest is then empty.
    """
    try:
        with opened(file, LARGEST_IMAGE, SubjectError) as stream:
            check_header(stream, name, reading)
            stream.seek(0)
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        problems.append(f"{name}: cannot be read: {error.strerror}")
    except SubjectError as error:
        problems += error.problems
    return ""
