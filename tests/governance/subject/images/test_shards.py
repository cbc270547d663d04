"""Tar archives as WebDataset writes them; Python's own tarfile writes them and is the oracle."""

import io
import json
import tarfile

import numpy as np
import pytest
from hostile import sparse
from PIL import Image

from governance.errors import SubjectError
from governance.records.image_terms import ImageTerms
from governance.subject.images import open_validation
from governance.subject.images.tar_members import members_of


def png(level):
    buffer = io.BytesIO()
    Image.fromarray(np.full((6, 5, 3), level, dtype=np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def archive(path, members, form=tarfile.PAX_FORMAT):
    with tarfile.open(path, "w", format=form) as stream:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            stream.addfile(info, io.BytesIO(content))
    return path


def samples(first, count=4, **said):
    """Members of samples whose label is their number modulo three."""
    for number in range(first, first + count):
        yield f"{number:04}.png", png(number)
        yield f"{number:04}.cls", b"%d\n" % (number % 3)
        if said:
            yield f"{number:04}.json", json.dumps(said).encode()


def problems(path, **terms):
    with pytest.raises(SubjectError) as caught:
        open_validation(path, "here", ImageTerms(**terms))
    return "\n".join(caught.value.problems)


def test_images_labels_and_what_else_is_said_are_read_from_the_archives_of_a_split(tmp_path):
    archive(tmp_path / "test-0000.tar", samples(0, age=3, exif={"a": 1}, note="a\n b"))
    archive(tmp_path / "test-0001.tar", [*samples(4), ("._0004.png", b"x"), ("0004.txt", b"hi")])
    archive(tmp_path / "train-0000.tar", samples(8))
    (tmp_path / "sizes.txt").write_text("x")

    found = open_validation(tmp_path, "here", ImageTerms(split="test"))

    assert found.class_names == ("0", "1", "2")
    assert found.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert found.ids[:2] == ("test-0000.tar/0000.png", "test-0000.tar/0001.png")
    assert [int(image[0, 0, 0]) for image in found.images] == list(range(8))
    assert found.metadata == {"age": ("3",) * 4 + (None,) * 4, "note": ("a b",) * 4 + (None,) * 4}
    assert found.identity.skipped == {
        "._*": 1, "archives of other splits": 1, "files beside the archives": 1, "members .txt": 1,
    }  # fmt: skip
    assert "test, train are parts of a data set and no classes; split = 'test'" in problems(
        tmp_path
    )
    assert "no archive of the split 'val'; their names begin with test, train" in problems(
        tmp_path, split="val"
    )


def test_the_digest_is_that_of_the_same_images_in_folders(tmp_path):
    (tmp_path / "tar").mkdir()
    members = [("a/x.png", png(1)), ("a/x.cls", b"cat"), ("b.y.png", png(2)), ("b.cls", b"dog")]
    archive(tmp_path / "tar" / "0.tar", members)
    for name, level in (("cat", 1), ("dog", 2)):
        (tmp_path / "folders" / name).mkdir(parents=True)
        (tmp_path / "folders" / name / "0.png").write_bytes(png(level))

    found = open_validation(tmp_path / "tar" / "0.tar", "here")

    assert found.digest == open_validation(tmp_path / "folders", "here").digest
    assert found.ids == ("0.tar/a/x.png", "0.tar/b.png")


def test_a_part_may_be_a_folder_of_archives(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        archive(tmp_path / part / "0.tar", samples(0))

    assert len(open_validation(tmp_path, "here", ImageTerms(split="test"))) == 4


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_those_that_tarfile_finds(tmp_path, form):
    names = ["a.png", "b/" * 60 + "c.png", "ä/ö.png", "d" * 90 + ".png"]
    path = archive(tmp_path / "x.tar", [(name, name.encode()) for name in names], form)
    with tarfile.open(path) as stream:
        expected = [(item.name, item.offset_data, item.size) for item in stream]

    with path.open("rb") as stream:
        found = [(member.name, member.start, member.size) for member in members_of(stream)]

    assert found == expected
    assert [name for name, _, _ in found] == names


def test_what_a_sample_may_not_be_is_refused_all_at_once(tmp_path):
    path = archive(
        tmp_path / "x.tar",
        [("a.png", png(1)), ("b.cls", b"1"), ("c.png", png(1)), ("c.jpg", png(1)), ("c.cls", b"1"),
         ("d.png", b"no picture"), ("d.cls", b"2"), ("e.png", png(1)), ("e.json", b"[1"),
         ("f.png", png(1)), ("f.cls", b"x" * 1025), ("g.png", png(1)), ("g.json", b"[1]")],
    )  # fmt: skip

    text = problems(path)

    for part in (
        "x.tar/a: no label", "x.tar/b: .cls; exactly one image", "x.tar/c: .cls, .jpg, .png;",
        "x.tar/d.png: cannot be decoded", "x.tar/e.json: cannot be read",
        "x.tar/f.cls: 1025 bytes; at most 1024", "x.tar/g: no label",
    ):  # fmt: skip
        assert f"validation images here: {part}" in text


def test_packed_archives_and_images_beside_archives_are_refused(tmp_path):
    archive(tmp_path / "0.tar", samples(0))
    (tmp_path / "1.tar.gz").write_bytes(b"x")
    (tmp_path / "loose.png").write_bytes(png(0))

    assert "1.tar.gz: packed; .tar as it is is accepted" in problems(tmp_path)
    assert "loose.png: beside archives" in problems(tmp_path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "x.tar", "w") as stream:
        info = tarfile.TarInfo("0.png")
        info.type, info.linkname = kind, "/etc/passwd"
        stream.addfile(info)

    assert "'0.png' is a link or a device" in problems(tmp_path / "x.tar")


def test_headers_that_promise_much_are_refused(tmp_path):
    long = tmp_path / "long.tar"
    with tarfile.open(long, "w", format=tarfile.GNU_FORMAT) as stream:
        stream.addfile(tarfile.TarInfo("x" * 70_000))
    huge = archive(tmp_path / "huge.tar", samples(0), tarfile.GNU_FORMAT)
    content = bytearray(huge.read_bytes())
    content[124:136] = b"\x80" + (2**60).to_bytes(11, "big")
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    huge.write_bytes(content)

    assert "a header of 70001 bytes; at most 65536" in problems(long)
    assert "ends within the member at byte 0" in problems(huge)
    assert "at most" in problems(sparse(tmp_path / "holes.tar", 2**40))


def test_a_damaged_archive_is_refused_or_read_and_nothing_else_happens(tmp_path):
    whole = archive(tmp_path / "whole.tar", samples(0, age=1)).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "x.tar"
    for _ in range(150):
        content = bytearray(whole[: int(rng.integers(1, len(whole)))])
        for place in rng.integers(0, len(content), 3):
            content[place] = int(rng.integers(0, 256))
        path.write_bytes(content)
        try:
            found = open_validation(path, "here")
            list(found.images)
        except SubjectError:
            continue


def test_an_archive_that_changes_after_opening_is_refused(tmp_path):
    path = archive(tmp_path / "x.tar", samples(0))
    found = open_validation(path, "here")
    archive(path, samples(4))

    with pytest.raises(SubjectError, match=r"x\.tar/0001\.png: changed since"):
        found.images[1]


def test_one_archive_is_held_against_the_split(tmp_path):
    path = archive(tmp_path / "train-0.tar", samples(0))
    assert "is not of the split 'test'" in problems(path, split="test")
    assert len(open_validation(path, "here", ImageTerms(split="train"))) == 4


def test_labels_that_are_no_utf8_are_refused_and_not_merged(tmp_path):
    members = [("0.png", png(0)), ("0.cls", b"K\xe4se"), ("1.png", png(1)), ("1.cls", b"K\xf6se")]
    assert "0.cls: cannot be read as text; UTF-8" in problems(archive(tmp_path / "0.tar", members))


def test_a_linked_archive_is_read_where_the_policy_follows_links(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "data").mkdir()
    target = archive(tmp_path / "store" / "abc.tar", samples(0))
    archive(tmp_path / "store" / "val.tar", samples(4))
    link = tmp_path / "data" / "val.tar"
    link.symlink_to(target)
    assert "follow_links" in problems(link.parent)
    for place in (link, link.parent):
        found = open_validation(place, "here", ImageTerms(follow_links=True))
        assert [int(image[0, 0, 0]) for image in found.images] == [0, 1, 2, 3]


def test_all_archives_together_hold_no_more_images_than_a_set(tmp_path, monkeypatch):
    monkeypatch.setattr("governance.subject.images.shards.MOST_IMAGES", 5)
    archive(tmp_path / "0.tar", samples(0))
    archive(tmp_path / "1.tar", samples(4))
    assert "more than 5 images" in problems(tmp_path)
