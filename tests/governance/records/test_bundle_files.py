"""Bundle files: the same bytes for the same files, and nothing else is taken."""

import io
import os
import random
import stat
import warnings
import zipfile

import pytest

from governance.errors import EvidenceError
from governance.records import bundle_files, zip_files
from governance.records.bundle_files import packed, unpacked

FILES = {"b.txt": b"second", "a/first.bin": bytes(range(256)), "empty": b""}


@pytest.fixture
def kept(tmp_path):
    """Writes bytes to a file; its path."""

    def write(content):
        path = tmp_path / "x.zip"
        path.write_bytes(content)
        return path

    return write


def zipped(*entries, compression=zipfile.ZIP_STORED, comment=b"", attributes=None):
    """A ZIP file as any tool may write it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = (stat.S_IFREG | 0o644) << 16 if attributes is None else attributes
            entry.compress_type = compression
            with warnings.catch_warnings(action="ignore"):  # of two entries of one name
                archive.writestr(entry, content)
        archive.comment = comment
    return buffer.getvalue()


def test_what_was_packed_is_unpacked_whatever_the_order(kept):
    backwards = dict(reversed(FILES.items()))

    assert packed(FILES) == packed(backwards)
    assert unpacked(kept(packed(FILES))) == FILES


def test_any_tool_opens_a_bundle(kept):
    with zipfile.ZipFile(kept(packed(FILES))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(FILES)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped(("a", b"0" * 10_000), compression=zipfile.ZIP_DEFLATED), "is compressed"),
        (zipped(("a", b"1"), ("a", b"2")), "two files of one name"),
        (zipped(("a", b"1"), ("A", b"2")), "two files of one name"),
        (zipped(("../a", b"1")), "is no name of a file"),
        (zipped(("a/../../b", b"1")), "is no name of a file"),
        (zipped(("/etc/a", b"1")), "is no name of a file"),
        (zipped(("a//b", b"1")), "is no name of a file"),
        (zipped(("a/", b"")), "is no name of a file"),
        (zipped(("a\\b", b"1")), "is no name of a file"),
        (zipped(("ä", b"1")), "is no name of a file"),
        (zipped(("x" * 201, b"1")), "is no name of a file"),
        (zipped(("a", b"b"), attributes=(stat.S_IFLNK | 0o777) << 16), "is not packed as"),
        (zipped(("b", b"1"), ("a", b"2")), "is not packed as"),
        (zipped(("a", b"1"), comment=b"hidden"), "holds bytes beside its files"),
        (b"hidden" + zipped(("a", b"1")), "holds bytes beside its files"),
        (packed(FILES)[:-1], "is no bundle"),
        (b"", "is no bundle"),
        (b"PK\x05\x06" + b"\xff" * 18, "is no bundle"),
    ],
)
def test_whatever_else_a_zip_file_may_be_is_refused(kept, content, said):
    with pytest.raises(EvidenceError, match=said):
        unpacked(kept(content))


def test_a_file_that_is_not_there_or_never_ends_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path / "absent", tmp_path / "pipe", tmp_path):
        with pytest.raises(EvidenceError):
            unpacked(path)


def test_a_bundle_beyond_its_bounds_is_neither_packed_nor_unpacked(kept, monkeypatch, tmp_path):
    large = packed({"a": b"0" * 3_000})
    many = packed({str(number): b"" for number in range(20)})
    monkeypatch.setattr(bundle_files, "LARGEST", 2_000)
    monkeypatch.setattr(bundle_files, "MOST_FILES", 10)

    for content, said in ((large, "plain file of up to"), (many, "plain file of|holds 20 files")):
        with pytest.raises(EvidenceError, match=said):
            unpacked(kept(content))
    with pytest.raises(EvidenceError, match="holds 3130 bytes"):
        packed({"a": b"0" * 3_000})
    with pytest.raises(EvidenceError, match="holds 11 files"):
        packed({str(number): b"" for number in range(11)})


def test_a_list_of_members_without_end_is_refused_before_it_is_read(kept, monkeypatch):
    whole = packed({str(number): b"" for number in range(40)})
    monkeypatch.setattr(zip_files, "LARGEST_DIRECTORY", 1_000)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_args: pytest.fail("was read"))

    with pytest.raises(EvidenceError, match="a list of members of 1910 bytes"):
        unpacked(kept(whole))


def test_a_sparse_file_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(2**40)

    with pytest.raises(EvidenceError, match="plain file of up to 256 MiB"):
        unpacked(tmp_path / "sparse")


def test_no_damaged_byte_is_taken_and_none_ends_in_a_traceback(kept):
    whole, chance = packed(FILES), random.Random(0)  # noqa: S311 - of a test
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= chance.randrange(1, 256)
        with pytest.raises(EvidenceError):
            unpacked(kept(bytes(damaged)))
