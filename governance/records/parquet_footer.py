"""Parquet footer: what a Parquet file promises, read without the library that may end the process.

Arrow reads a damaged footer as an error. Its Python side asks single columns in a way that lets no
error through: a kilobyte ends the process that looks at how a column is compressed. The footer is
Thrift's compact protocol, which is plain enough to be read here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Column", "Footer", "footer_of"]

#: Bytes of a footer.
LARGEST_FOOTER = 4 * 2**20
#: Structures inside one another in a footer.
MOST_NESTED = 16

MARK = b"PAR1"
END = len(MARK) + 4
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
NUMBERS = (4, 5, 6)
LONG_LIST = 15
VARINT_BYTES = 10
REPEATED = 2
CODECS = ("UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW")

# Numbers of the fields in parquet.thrift.
SCHEMA, GROUPS = 2, 4
KIND, REPETITION, NAME, CHILDREN = 1, 3, 4, 5
COLUMNS, ROWS = 1, 3
ABOUT, CODEC, SIZE = 3, 4, 6


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a row group: kind of its compression, and its bytes before that."""

    compression: str
    size: int


@dataclass(frozen=True, slots=True)
class Footer:
    """What a Parquet file says of itself.

    Attributes:
        names: Names of the columns.
        flat: Whether each column holds one value a row.
        rows: Number of rows of each row group.
        columns: Columns of each row group.
    """

    names: tuple[str, ...]
    flat: bool
    rows: tuple[int, ...]
    columns: tuple[tuple[Column, ...], ...]


def footer_of(content: bytes) -> Footer:
    """The footer of a Parquet file.

    Raises:
        ValueError: If there is none that can be read.
    """
    size = int.from_bytes(content[-END : -len(MARK)], "little")
    if len(content) < END + size or not content.startswith(MARK) or not content.endswith(MARK):
        raise ValueError("no Parquet file")
    if size > LARGEST_FOOTER:
        raise ValueError(f"a footer of {size} bytes; at most {LARGEST_FOOTER} are accepted")
    try:
        data = _Reader(content[-END - size : -END]).struct(0)
        root, *leaves = data[SCHEMA]
        groups = data[GROUPS]
        return Footer(
            names=tuple(leaf[NAME].decode() for leaf in leaves),
            flat=root[CHILDREN] == len(leaves) and not any(map(_nested, leaves)),
            rows=tuple(int(group[ROWS]) for group in groups),
            columns=tuple(tuple(_columns(group[COLUMNS])) for group in groups),
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"its footer cannot be read: {error!r}") from error


def _nested(leaf: dict[int, Any]) -> bool:
    return bool(leaf.get(CHILDREN) or leaf.get(REPETITION) == REPEATED or KIND not in leaf)


def _columns(chunks: list[dict[int, Any]]) -> Iterator[Column]:
    for chunk in chunks:
        about = chunk[ABOUT]
        yield Column(compression=CODECS[about[CODEC]], size=int(about[SIZE]))


class _Reader:
    """Reads Thrift's compact protocol: structures as values by the number of their field."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def byte(self) -> int:
        value = self.content[self.at]
        self.at += 1
        return value

    def bytes(self, size: int) -> bytes:
        if size > len(self.content) - self.at:
            raise ValueError("its footer ends early")
        self.at += size
        return self.content[self.at - size : self.at]

    def varint(self) -> int:
        value = 0
        for place in range(VARINT_BYTES):
            byte = self.byte()
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:  # noqa: PLR2004 - the last byte
                return value
        raise ValueError("its footer holds a number of no end")

    def number(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def struct(self, depth: int) -> dict[int, Any]:
        found: dict[int, Any] = {}
        field = 0
        while head := self.byte():
            field = field + (head >> 4) if head >> 4 else self.number()
            found[field] = self.value(head & 0x0F, depth + 1)
        return found

    def value(self, kind: int, depth: int) -> Any:
        if kind in {TRUE, FALSE}:
            return kind == TRUE
        return self.item(kind, depth)

    def item(self, kind: int, depth: int) -> Any:
        if kind in {TRUE, FALSE, BYTE}:
            return self.byte()
        if kind in NUMBERS:
            return self.number()
        if kind in {DOUBLE, BINARY}:
            return self.bytes(8 if kind == DOUBLE else self.varint())
        return self.several(kind, depth)

    def several(self, kind: int, depth: int) -> Any:
        if depth > MOST_NESTED:
            raise ValueError("its footer is too deep")
        if kind in {LIST, SET}:
            head = self.byte()
            size = self.varint() if head >> 4 == LONG_LIST else head >> 4
            return [self.item(head & 0x0F, depth + 1) for _ in range(self.bounded(size))]
        if kind == MAP:
            size = self.varint()
            kinds = self.byte() if size else 0
            pair = (kinds >> 4, kinds & 0x0F)
            return [[self.item(one, depth + 1) for one in pair] for _ in range(self.bounded(size))]
        if kind == STRUCT:
            return self.struct(depth)
        raise ValueError(f"its footer holds a value of kind {kind}")

    def bounded(self, size: int) -> int:
        """A number of items, if there are as many bytes left."""
        if size > len(self.content) - self.at:
            raise ValueError("its footer ends early")
        return size
