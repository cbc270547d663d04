"""Files that a command was asked to write.

Any of them may be a device, a pipe or a link such as `/dev/null` and `/dev/stdout`: these are
written to, and never removed. A link is left as it is; what it leads to is the file.
"""

import os
import stat
from pathlib import Path

from governance.cli.console import misuse

__all__ = ["remove", "write"]

#: Standard output and standard error.
STREAMS = (1, 2)


def write(path: Path, content: bytes) -> None:
    """Write a file that was asked for, or end with misuse."""
    stream = _stream(path)
    try:
        # Opened by its name, the file behind a stream would lose what stands in it.
        with open(path if stream is None else stream, "wb", closefd=stream is None) as file:
            file.write(content)
    except OSError as error:
        misuse(f"{path}: cannot be written: {error.strerror}; another file is accepted")


def remove(path: Path) -> None:
    """Remove a regular file of an earlier run, or end with misuse.

    The file behind a link is emptied. Devices, pipes and sockets stay.
    """
    try:
        kind = path.lstat().st_mode
        if stat.S_ISDIR(path.stat().st_mode):
            raise IsADirectoryError(None, "Is a directory")
        if stat.S_ISREG(kind):
            path.unlink()
        elif stat.S_ISLNK(kind) and path.is_file() and _stream(path) is None:
            os.truncate(path, 0)
    except FileNotFoundError:
        return
    except OSError as error:
        misuse(f"{path}: cannot be written: {error.strerror}; another file is accepted")


def _stream(path: Path) -> int | None:
    """The standard stream that writes to the very file at a path; None if none does."""
    for stream in STREAMS:
        try:
            if os.path.samestat(path.stat(), os.fstat(stream)):
                return stream
        except OSError:  # no such file, or a stream that is closed
            continue
    return None
