"""Table files: rows survive, and no Parquet file ends the process that reads it."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import parquet

from governance.records import table_files
from governance.records.evidence import Table
from governance.records.parquet_footer import footer_of

ROWS = tuple(("text", 3, 0.5, True) if row % 3 else (None,) * 4 for row in range(40))
TABLE = Table(name="t", caption="", columns=("c", "n", "s", "ok"), rows=ROWS)


def test_a_footer_says_what_the_library_says():
    content = parquet({"a": pa.array(["x", None] * 50), "b": pa.nulls(100)}, row_group_size=30)
    known = pq.read_metadata(io.BytesIO(content))

    found = footer_of(content)

    assert found.names == tuple(known.schema.names)
    assert found.rows == tuple(known.row_group(n).num_rows for n in range(known.num_row_groups))
    for number, columns in enumerate(found.columns):
        for place, column in enumerate(columns):
            chunk = known.row_group(number).column(place)
            assert column.compression == chunk.compression
            assert column.size == chunk.total_uncompressed_size
    assert found.flat


@pytest.mark.parametrize("mask", [0x01, 0x40])
def test_no_bit_of_a_footer_ends_the_process(mask):
    # One of them made the library's `metadata.row_group(0).column(0)` abort.
    content = table_files.parquet(TABLE)
    size = int.from_bytes(content[-8:-4], "little")
    for place in range(len(content) - size - 8, len(content)):
        bent = bytearray(content)
        bent[place] ^= mask
        try:
            table_files.rows_of(bytes(bent))
        except ValueError:
            continue


@pytest.mark.parametrize(
    "footer",
    [
        b"\x19" * 3000,
        b"\x1c" * 3000,
        b"\x1b\x01\xbb" * 900,
        b"\x19\xff\xff\xff\xff\x0f",
        b"",
        b"\x00",
    ],
    ids=["lists", "structures", "maps", "many", "nothing", "an end"],
)
def test_a_footer_of_no_end_is_refused(footer):
    content = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    with pytest.raises(ValueError, match=r"footer|Parquet"):
        table_files.rows_of(content)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1", b"x" * 99])
def test_what_is_no_parquet_file_is_refused(content):
    with pytest.raises(ValueError, match=r"no Parquet file|footer"):
        table_files.rows_of(content)
