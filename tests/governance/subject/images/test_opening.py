import hashlib
import io
import os
import re
import tracemalloc
import zipfile

import numpy as np
import pytest
from hostile import arrays as packed
from hostile import png, sparse
from PIL import Image, ImageFile, PngImagePlugin

from governance.errors import SubjectError
from governance.subject.images import open_validation


def picture(seed=0, size=(12, 10), mode="RGB"):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).convert(
        mode
    )


@pytest.fixture
def folder(tmp_path):
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for index in range(3):
            picture(10 * label + index).save(tmp_path / name / f"{index}.png")
    return tmp_path


def arrays(**changes):
    rng = np.random.default_rng(0)
    return {
        "images": rng.integers(0, 256, (6, 8, 9, 3), dtype=np.uint8),
        "labels": np.array([0, 1, 2, 0, 1, 2]),
        "class_names": np.array(["a", "b", "c"]),
    } | changes


def stored(path, **changes):
    file = path / "set.npz"
    kept = {name: value for name, value in arrays(**changes).items() if value is not None}
    np.savez(file, **kept)
    return file


def problems(path):
    with pytest.raises(SubjectError) as caught:
        open_validation(path, "here")
    return "\n".join(caught.value.problems)


def test_a_folder_gives_images_labels_names_and_hashes_in_sorted_order(folder):
    (folder / "cat" / ".DS_Store").write_bytes(b"hidden")
    (folder / ".cache").mkdir()

    found = open_validation(folder, "here")

    assert found.class_names == ("cat", "dog")
    assert found.ids == tuple(f"{name}/{i}.png" for name in ("cat", "dog") for i in range(3))
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.location == "here"
    content = (folder / "dog" / "1.png").read_bytes()
    assert found.hashes[4] == hashlib.sha256(content).hexdigest()
    np.testing.assert_array_equal(found.images[4], np.asarray(picture(11)))
    assert [image.shape for image in found.images[1:3]] == [(10, 12, 3)] * 2


def test_every_named_suffix_is_read_whatever_its_case(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    suffixes = (
        "PNG", "jpg", "jpeg", "jfif", "bmp", "webp", "gif", "tif", "tiff", "ppm", "pgm", "avif",
    )  # fmt: skip
    for suffix in suffixes:
        picture().save(tmp_path / "a" / f"x.{suffix}", format="ppm" if suffix == "pgm" else None)
        picture(1).save(tmp_path / "b" / f"x.{suffix}", format="ppm" if suffix == "pgm" else None)

    found = open_validation(tmp_path, "here")

    assert len(found) == 2 * len(suffixes)
    assert all(image.shape == (10, 12, 3) and image.dtype == np.uint8 for image in found.images)


def test_the_digest_changes_with_a_pixel_a_label_and_a_class_name_but_not_with_the_place(tmp_path):
    changed = arrays()["images"].copy()
    changed[0, 0, 0, 0] ^= 1
    variants = [
        {},
        {"images": changed},
        {"labels": np.array([1, 1, 2, 0, 1, 2])},
        {"class_names": np.array(["a", "b", "d"])},
        {"class_names": np.array(["a", "b c", "d"]), "labels": np.array([0, 1, 2, 0, 1, 2])},
        {"images": arrays()["images"].reshape(6, 9, 8, 3)},
    ]

    digests = [open_validation(stored(tmp_path, **item), "x").digest for item in variants]

    assert len(set(digests)) == len(variants)
    assert open_validation(stored(tmp_path), "elsewhere").digest == digests[0]


def test_opening_a_large_folder_and_reading_all_of_it_needs_the_memory_of_a_few_images(tmp_path):
    side, count = 128, 200
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    for index in range(count):
        picture(index, (side, side)).save(tmp_path / "ab"[index % 2] / f"{index}.bmp")
    open_validation(tmp_path, "warm").images[0]

    tracemalloc.start()
    found = open_validation(tmp_path, "here")
    total = sum(int(image[0, 0, 0]) for image in found.images)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert total > 0
    assert peak < 10 * side * side * 3  # of 200 images


def test_orientation_tags_are_applied(tmp_path):
    upright = np.zeros((4, 6, 3), dtype=np.uint8)
    upright[0, 0] = 255
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    for tag in range(1, 9):
        # The oracle: a viewer undoes the transposition named by the tag.
        undo = {5: 5, 6: 8, 7: 7, 8: 6}.get(tag, tag)
        turn = {
            2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_90,
        }.get(undo)  # fmt: skip
        image = Image.fromarray(upright)
        exif = Image.Exif()
        exif[0x0112] = tag
        (image.transpose(turn) if turn is not None else image).save(
            tmp_path / "ab"[tag % 2] / f"{tag}.png", exif=exif
        )

    for image in open_validation(tmp_path, "here").images:
        np.testing.assert_array_equal(image, upright)


@pytest.mark.parametrize(
    ("mode", "shape"),
    [("L", (10, 12)), ("1", (10, 12)), ("LA", (10, 12)), ("P", (10, 12, 3)), ("RGBA", (10, 12, 3)),
     ("CMYK", (10, 12, 3))],
)  # fmt: skip
def test_other_modes_become_grey_or_rgb(tmp_path, mode, shape):
    suffix = "tiff" if mode == "CMYK" else "png"
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        picture(mode="RGB").convert(mode).save(tmp_path / name / f"x.{suffix}")

    assert open_validation(tmp_path, "here").images[0].shape == shape


def test_transparency_is_dropped_and_the_first_frame_taken(tmp_path):
    colours = np.full((4, 4, 4), (200, 10, 30, 0), dtype=np.uint8)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    Image.fromarray(colours).save(tmp_path / "a" / "x.png")
    frames = [Image.new("L", (4, 4), level) for level in (50, 250)]
    frames[0].save(tmp_path / "b" / "x.gif", save_all=True, append_images=frames[1:])

    found = open_validation(tmp_path, "here")

    assert (found.images[0] == (200, 10, 30)).all()
    assert (found.images[1] == 50).all()


def test_grey_deeper_than_8_bits_is_refused_by_name(folder):
    deep = np.arange(100, dtype=np.uint16).reshape(10, 10) * 600
    Image.fromarray(deep).save(folder / "cat" / "0.png")

    assert "here: cat/0.png: grey deeper than 8 bits" in problems(folder)


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "gif", "tiff"])
def test_damaged_files_are_named_when_they_are_decoded(folder, suffix, lenient, monkeypatch):
    # WeasyPrint sets this for the whole process when it is imported.
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    buffer = io.BytesIO()
    picture(size=(64, 64)).save(buffer, {"jpg": "jpeg"}.get(suffix, suffix))
    (folder / "cat" / f"9.{suffix}").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])

    # Of a WebP file the whole is needed to know what the header says.
    with pytest.raises(SubjectError, match=rf"here: ...\/9\.{suffix}: cannot be decoded"):
        open_validation(folder, "here").images[3]
    (folder / "cat" / f"9.{suffix}").unlink()
    found = open_validation(folder, "here")
    assert found.images[0].shape == (10, 12, 3)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is lenient


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "gif", "tiff"])
@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_image_is_named_when_the_folder_is_opened(folder, suffix, content):
    (folder / "cat" / f"9.{suffix}").write_bytes(content)

    problem = problems(folder)

    assert problem.startswith(f"validation images here: cat/9.{suffix}: cannot be decoded: ")
    assert ("an empty file" in problem) == (content == b"")
    assert "object at 0x" not in problem


def test_a_folder_with_the_name_of_an_archive_is_looked_at_as_a_folder(tmp_path):
    (tmp_path / "set.npz").mkdir()

    assert problems(tmp_path / "set.npz").startswith("validation images here: no images")


def test_a_picture_that_would_not_fit_in_memory_is_refused(folder):
    header = Image.new("1", (20_000, 10_000))
    header.save(folder / "cat" / "0.png")

    assert re.search(r"cat/0\.png: cannot be decoded.*bomb", problems(folder))


def test_a_file_that_changes_or_goes_after_opening_is_refused(folder):
    found = open_validation(folder, "here")
    picture(99).save(folder / "cat" / "0.png")
    (folder / "cat" / "1.png").unlink()

    with pytest.raises(SubjectError, match=r"cat/0\.png: changed since"):
        found.images[0]
    with pytest.raises(SubjectError, match=r"cat/1\.png: cannot be read: No such file"):
        found.images[1]


def test_all_problems_of_a_folder_are_reported_at_once(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    picture().save(outside / "x.png")
    (folder / "notes.txt").write_text("x")
    (folder / "cat" / "labels.csv").write_text("x")
    (folder / "empty").mkdir()
    (folder / "dog" / "link.png").symlink_to(outside / "x.png")
    (folder / "dog" / "loop.png").symlink_to(folder / "dog" / "loop.png")
    (folder / "away").symlink_to(outside)
    (folder / "dog" / "line\nbreak.png").write_bytes(b"")
    (folder / "dog" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    os.mkfifo(folder / "dog" / "pipe.png")

    text = problems(folder)

    for part in (
        "notes.txt: not an image", "cat/labels.csv: not an image",
        "empty: a class folder without images", "dog/link.png: a link that leaves",
        "dog/loop.png: a link", "away: a link that leaves", r"'dog/line\nbreak.png': a name",
        r"'dog/\udcff.png': a name", "dog/pipe.png: not an image",
    ):  # fmt: skip
        assert f"validation images here: {part}" in text


def test_a_link_within_the_folder_is_followed(folder):
    (folder / "dog" / "9.png").symlink_to(folder / "cat" / "0.png")

    assert open_validation(folder, "here").hashes[0] == open_validation(folder, "here").hashes[-1]


def test_many_class_folders_without_images_are_counted_in_one_line(folder):
    for index in range(30):
        (folder / f"{index:02}").mkdir()

    assert problems(folder) == (
        "validation images here: 00, 01, 02, 03, 04 and 25 more: 30 class folders without images; "
        "remove or fill them"
    )


def test_at_most_twenty_problems_are_printed(folder):
    for index in range(30):
        (folder / f"{index}.txt").write_text("x")

    with pytest.raises(SubjectError) as caught:
        open_validation(folder, "here")

    assert str(caught.value).endswith("and 10 more problems")
    assert len(str(caught.value).split("\n")) == 21


def test_a_place_with_no_validation_set_says_what_would_be_one(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "single").mkdir()
    (tmp_path / "single" / "cat").mkdir()
    picture().save(tmp_path / "single" / "cat" / "0.png")
    (tmp_path / "nothing").mkdir()

    assert "here: does not exist" in problems(tmp_path / "absent")
    assert "here: is neither" in problems(tmp_path / "notes.txt")
    assert "no images" in problems(tmp_path / "nothing")
    assert "one class, cat" in problems(tmp_path / "single")


@pytest.mark.parametrize(
    "labels",
    [
        np.array([0, 1, 2, 0, 1, 2]),
        np.array([[0], [1], [2], [0], [1], [2]], dtype=np.uint8),
        np.array(list("abcabc")),
        np.array(list("abcabc"))[:, None],
        np.eye(3)[[0, 1, 2, 0, 1, 2]],
        np.eye(3, dtype=bool)[[0, 1, 2, 0, 1, 2]],
    ],
    ids=["numbers", "column", "names", "column of names", "one-hot", "one-hot of truth values"],
)
def test_labels_are_taken_in_the_forms_that_people_store_them_in(tmp_path, labels):
    usual = open_validation(stored(tmp_path), "here")

    found = open_validation(stored(tmp_path, labels=labels), "here")

    assert found.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.labels.dtype == np.int64
    assert found.digest == usual.digest


def test_labels_that_are_names_need_no_list_of_names(tmp_path):
    found = open_validation(
        stored(tmp_path, labels=np.array(list("ba98ab")), class_names=None), "here"
    )
    numbers = open_validation(
        stored(tmp_path, labels=np.array(["10", "9", "2", "10", "9", "2"]), class_names=None),
        "here",
    )

    assert found.class_names == ("8", "9", "a", "b")
    assert found.labels.tolist() == [3, 2, 1, 0, 2, 3]
    assert numbers.class_names == ("2", "9", "10")


@pytest.mark.parametrize("shape", [(6, 8, 9), (6, 8, 9, 1), (6, 8, 9, 3)])
def test_an_npz_gives_its_images_grey_or_rgb(tmp_path, shape):
    images = np.arange(np.prod(shape), dtype=np.int64).reshape(shape).astype(np.uint8)

    found = open_validation(stored(tmp_path, images=images), "here")

    assert found.class_names == ("a", "b", "c")
    assert found.ids == ("0", "1", "2", "3", "4", "5")
    assert found.labels.dtype == np.int64
    np.testing.assert_array_equal(found.images[5], images[5].squeeze())
    assert len(set(found.hashes)) == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": None}, "images: missing"),
        ({"labels": None}, "labels: missing"),
        ({"class_names": None}, "class_names: missing"),
        ({"images": np.zeros((6, 3, 8, 9), dtype=np.uint8)}, "channels last"),
        ({"images": np.zeros((6, 8), dtype=np.uint8)}, r"images: shape \(6, 8\)"),
        ({"images": np.zeros((0, 8, 9), dtype=np.uint8), "labels": np.zeros(0, dtype=int)},
         "holds no pixel"),
        ({"images": np.zeros((6, 8, 9))}, "images: float64; uint8"),
        ({"labels": np.zeros(6)}, "labels: float64"),
        ({"labels": np.array([True, False] * 3)}, "labels: bool"),
        ({"labels": np.array([[0, 1, 2, 0, 1, 2]])}, "labels: 1 for 6 images"),
        ({"labels": np.zeros((6, 2, 1), dtype=int)}, "labels: int64 of shape"),
        ({"labels": np.ones((6, 2))}, r"labels: float64 of shape \(6, 2\) for 3 classes"),
        ({"labels": np.full((6, 3), 0.5)}, "holds other numbers than 0 and 1"),
        ({"labels": np.eye(6, 3)}, r"3 images have no class or several \(the first at 3\)"),
        ({"labels": np.array(list("abcdab"))}, "'d' are none of class_names"),
        ({"labels": np.array([0x7FFFFFFF] * 6, dtype="<u4").view("<U1")}, "no letter"),
        ({"labels": np.array([0x7FFFFFFF] * 6, dtype="<u4").view("<U1"), "class_names": None},
         "no letter"),
        ({"labels": np.array([0, 1])}, "labels: 2 for 6 images"),
        ({"labels": np.array([0, 1, 2, 3, -1, 0])}, r"labels: 2 out of range \(3 at 3, -1 at 4\)"),
        ({"labels": np.zeros(6, dtype=int)}, "all images are of class 0"),
        ({"class_names": np.array(["a", "b", "a"])}, "'a' repeat"),
        ({"class_names": np.array(["a", "b", " "])}, "cannot be printed"),
        ({"class_names": np.array([b"a", b"b", b"c"])}, r"class_names: \|S1"),
        ({"class_names": np.array(["a", "b", "c"], dtype=object)},
         r"class_names: Object arrays.*dtype=str"),
    ],
)  # fmt: skip
def test_an_npz_that_cannot_be_a_validation_set_is_refused(tmp_path, changes, message):
    with pytest.raises(SubjectError, match=rf"validation images here: .*{message}"):
        open_validation(stored(tmp_path, **changes), "here")


def test_all_problems_of_an_npz_are_reported_at_once(tmp_path):
    file = stored(
        tmp_path, images=np.zeros((6, 3, 8, 8)), labels=np.arange(7), class_names=np.array(["a"])
    )

    text = problems(file)

    assert len(text.split("\n")) == 4


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("not an archive")
    whole = stored(tmp_path).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with (tmp_path / "one.npz").open("wb") as stream:
        np.save(stream, np.zeros(3))

    (tmp_path / "empty.npz").write_bytes(b"")

    assert "cannot be read as an .npz: an empty file" in problems(tmp_path / "empty.npz")
    for name in ("text", "cut", "one"):
        assert problems(tmp_path / f"{name}.npz") == (
            "validation images here: cannot be read as an .npz: not a whole archive; a file of "
            "np.savez is accepted"
        )


def test_an_npz_whose_content_is_damaged_is_refused(tmp_path):
    file = stored(tmp_path)
    content = bytearray(file.read_bytes())
    middle = content.find(b"labels.npy") + 150
    content[middle : middle + 8] = b"\xff" * 8
    file.write_bytes(bytes(content))

    assert "here:" in problems(file)


# Small files that would cost much -----------------------------------------------------------------


def test_an_array_that_is_packed_too_tightly_is_refused_by_its_header(tmp_path):
    # as a file of 1.9 MB that took 1.9 GB and 18 seconds
    path = packed(tmp_path / "set.npz", images=(80, 1000, 1000))
    assert "80000128 bytes are packed into" in problems(path)


def test_an_array_whose_header_promises_more_than_is_stored_is_refused(tmp_path):
    path = packed(tmp_path / "set.npz", promised=(2000, 2000, 1000))
    assert "(2000, 2000, 1000) of uint8 is not what the 48 stored bytes hold" in problems(path)


def test_more_images_than_there_may_be_are_refused(tmp_path):
    path = packed(tmp_path / "set.npz", images=(200_001, 1, 1))
    assert "200001 entries; at most 200000" in problems(path)


@pytest.mark.parametrize("kind", ["npz", "image", "pipe"])
def test_a_file_of_holes_or_without_end_is_refused(folder, kind):
    if kind == "npz":
        found = problems(sparse(folder / "set.npz", 2**42))
    elif kind == "image":
        sparse(folder / "cat" / "3.png", 2**42)
        found = problems(folder)
    else:
        os.mkfifo(folder / "cat" / "3.png")
        found = problems(folder)
    assert "at most" in found or "not an image" in found


def test_a_picture_of_many_pixels_is_refused_before_they_are_made(folder):
    # 52 million in 50 kB, which Pillow alone would make
    (folder / "cat" / "0.png").write_bytes(png(8000, 6500))
    assert "8000 x 6500 pixels; at most 50000000" in problems(folder)


def test_a_picture_with_more_metadata_than_picture_is_refused(folder):
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * 1_000_000)
    for number in range(2):
        text.add_text(f"comment {number}", "x" * 600_000, zip=True)
    picture().save(folder / "cat" / "0.png", pnginfo=text, icc_profile=os.urandom(1_100_000))
    with pytest.raises(SubjectError, match="cannot be decoded"):
        open_validation(folder, "here").images[0]


def test_a_name_of_a_class_that_fits_on_no_page_is_refused(tmp_path):
    found = problems(stored(tmp_path, class_names=np.array(["a", "b", "c" * 201])))
    assert "have over 200 characters; shorten them" in found


@pytest.mark.parametrize("order", "<>")
def test_a_name_of_what_is_no_letter_is_refused(tmp_path, order):
    names = np.array([97, 2**31, 98], dtype=f"{order}u4").view(f"{order}U1")
    assert "holds what is no letter" in problems(stored(tmp_path, class_names=names))


def test_a_header_that_numpy_cannot_read_is_refused(tmp_path):
    path = stored(tmp_path)
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in kept.items():
            archive.writestr(name, content.replace(b"'shape': (", b"'shape'((("))
    assert "its header cannot be read" in problems(path)
