"""Tar members: where each file lies in a tar archive, found without unpacking any of it.

Only headers are read, and of extended ones no more than a name needs. A member is a part of the
archive's own bytes: a few kilobytes cannot promise more than they hold. Formats: POSIX 1003.1-2001
(ustar and pax) and GNU's long names.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["Member", "members_of"]

#: Bytes of a header with a long name, or with further fields.
LONGEST_HEADER = 64 * 2**10
#: Members of an archive, folders and headers included.
MOST_MEMBERS = 1_000_000

BLOCK = 512
SIZE, CHECKSUM, KIND, MAGIC, PREFIX = (
    slice(124, 136), slice(148, 156), slice(156, 157), slice(257, 263), slice(345, 500),
)  # fmt: skip
NAME = slice(0, 100)
PLAIN, FOLDER = {b"0", b"\0", b"7"}, b"5"
PAX, PAX_FOR_ALL, LONG_NAME, LONG_LINK = b"x", b"g", b"L", b"K"


@dataclass(frozen=True, slots=True)
class Member:
    """A plain file in an archive: its path there, its first byte and the number of its bytes."""

    name: str
    start: int
    size: int


def members_of(stream: BinaryIO) -> Iterator[Member]:
    """The plain files of an archive, in its order.

    Args:
        stream: The archive; it is left anywhere.

    Raises:
        ValueError: If it is damaged, beyond a limit, or holds links, devices or sparse files.
    """
    end = stream.seek(0, 2)
    at = 0
    named: dict[str, str] = {}
    for _ in range(MOST_MEMBERS):
        stream.seek(at)
        header = stream.read(BLOCK)
        if at >= end or header == bytes(BLOCK):
            return
        kind, size = header[KIND], _size(header, at)
        if "size" in named and kind in PLAIN:
            size = _number(named["size"], at)
        start = at + BLOCK
        if start + size > end:
            raise ValueError(f"ends within the member at byte {at}")
        at = start + -(-size // BLOCK) * BLOCK
        if kind in {PAX, LONG_NAME}:
            named |= _extended(stream.read(size) if size <= LONGEST_HEADER else b"", kind, size)
        elif kind in PLAIN:
            yield Member(named.get("path") or _name(header), start, size)
            named = {}
        elif kind in {FOLDER, PAX_FOR_ALL, LONG_LINK}:
            named = {} if kind == FOLDER else named
        else:
            raise ValueError(f"{_name(header)!r} is a link or a device; plain files are accepted")
    raise ValueError(f"more than {MOST_MEMBERS} members; fewer are accepted")


def _size(header: bytes, at: int) -> int:
    """Bytes of a member by its header, which has to have the right sum."""
    if len(header) < BLOCK:
        raise ValueError(f"ends within the header at byte {at}")
    blank = header[: CHECKSUM.start] + b" " * 8 + header[CHECKSUM.stop :]
    if sum(blank) != _octal(header[CHECKSUM], at):
        raise ValueError(f"no header of a member at byte {at}")
    field = header[SIZE]
    if field[0] == 0x80:  # noqa: PLR2004 - GNU writes sizes from 8 GiB on as a plain number
        return int.from_bytes(field[1:], "big")
    return _octal(field, at)


def _octal(field: bytes, at: int) -> int:
    digits = field.strip(b" \0") or b"0"
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise ValueError(f"a number that cannot be read in the header at byte {at}")
    return int(digits, 8)


def _number(text: str, at: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20):  # noqa: PLR2004 - 64 bits
        raise ValueError(f"a size that cannot be read in the header at byte {at}")
    return int(text)


def _name(header: bytes) -> str:
    name = _text(header[NAME].partition(b"\0")[0])
    prefix = _text(header[PREFIX].partition(b"\0")[0]) if header[MAGIC] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _extended(content: bytes, kind: bytes, size: int) -> dict[str, str]:
    """The path and the size that an extended header gives to the member after it."""
    if size > LONGEST_HEADER:
        raise ValueError(f"a header of {size} bytes; at most {LONGEST_HEADER} are accepted")
    if kind == LONG_NAME:
        return {"path": _text(content.partition(b"\0")[0])}
    fields: dict[str, str] = {}
    while content:
        length, _, _ = content.partition(b" ")
        if not (length.isdigit() and len(length) < 6 and 0 < int(length) <= len(content)):  # noqa: PLR2004 - LONGEST_HEADER
            raise ValueError("an extended header that cannot be read")
        line, content = content[: int(length)], content[int(length) :]
        key, _, value = line.partition(b" ")[2].removesuffix(b"\n").partition(b"=")
        if key.startswith(b"GNU.sparse"):
            raise ValueError("a sparse file; plain files are accepted")
        if key in {b"path", b"size"}:
            fields[key.decode()] = _text(value)
    return fields


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
