"""Zip files: archives whose list of members is measured before it is read."""

import zipfile
from typing import BinaryIO

__all__ = ["LARGEST_DIRECTORY", "open_zip"]

#: Bytes of the list of members at the end of an archive.
LARGEST_DIRECTORY = 4 * 2**20
# Where zipfile keeps the length of that list in what it reads of the end of an archive.
SIZE_OF_DIRECTORY = 5


def open_zip(stream: BinaryIO) -> zipfile.ZipFile:
    """An archive to read from, if its list of members is short.

    A member is no longer than the list says, since `zipfile` reads no further.

    Raises:
        BadZipFile: If it is no archive, or its list of members is too long.
    """
    # What zipfile itself goes by, so that no archive looks different to the two.
    end = zipfile._EndRecData(stream)  # type: ignore[attr-defined] # noqa: SLF001 - not public
    if end and end[SIZE_OF_DIRECTORY] > LARGEST_DIRECTORY:
        raise zipfile.BadZipFile(
            f"a list of members of {end[SIZE_OF_DIRECTORY]} bytes; at most {LARGEST_DIRECTORY} are "
            "accepted"
        )
    stream.seek(0)
    return zipfile.ZipFile(stream)
