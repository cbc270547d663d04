"""A manifest of images is opened whole, or refused with every problem."""

import numpy as np
import pytest
from PIL import Image

from governance.errors import SubjectError
from governance.subject.images import open_image_list, open_validation


@pytest.fixture
def folder(tmp_path):
    """Two classes of three pictures in folders of their names."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for index in range(3):
            pixels = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    return tmp_path


def listed(folder):
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    return names, [name.partition("/")[0] for name in names]


def test_a_manifest_of_a_folder_is_that_folder(folder):
    paths, labels = listed(folder)

    found = open_image_list(paths, labels, root=folder, location="list")

    expected = open_validation(folder, "list")
    assert found.digest == expected.digest
    assert found.class_names == expected.class_names
    assert found.ids == expected.ids
    np.testing.assert_array_equal(found.images[4], expected.images[4])


def test_paths_may_be_absolute_and_classes_may_have_no_images(folder):
    paths, labels = listed(folder)

    found = open_image_list(
        [str(folder / path) for path in paths], labels,
        root=folder, location="list", class_names=("dog", "owl", "cat"),
    )  # fmt: skip

    assert found.class_names == ("dog", "owl", "cat")
    assert found.labels.tolist() == [2, 2, 2, 0, 0, 0]
    assert found.ids == tuple(paths)


def test_all_problems_are_told_at_once(folder):
    # arrange
    (folder / "notes.txt").write_text("no image")
    outside = folder.parent / "outside.png"
    Image.new("L", (4, 4)).save(outside)
    (folder / "link.png").symlink_to(outside)
    paths = ["gone.png", "notes.txt", "link.png", "../outside.png", "cat/0.png"]
    # act
    with pytest.raises(SubjectError) as caught:
        open_image_list(
            paths, ["cat", "cat", "cat", "dog", "owl"],
            root=folder, location="list", class_names=("cat", "dog"),
        )  # fmt: skip
    # assert
    told = "\n".join(caught.value.problems)
    for wanted in (
        "owl are none of the classes cat, dog", "gone.png: no such file",
        "notes.txt: not an image", "link.png: lies outside", "../outside.png: lies outside",
    ):  # fmt: skip
        assert wanted in told
    outside.unlink()


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        (["cat", "cat"], "images of two classes are needed"),
        (["cat", "all"], "tables call the rows over all classes so"),
        (["cat", "\x1b[2J"], "cannot be printed"),
    ],
)
def test_labels_that_make_no_classes_are_refused(folder, labels, wanted):
    with pytest.raises(SubjectError, match=wanted):
        open_image_list(["cat/0.png", "dog/0.png"], labels, root=folder, location="list")


def test_an_image_that_stands_twice_is_refused(folder):
    with pytest.raises(SubjectError, match=r"cat/0\.png: listed 2 times"):
        open_image_list(
            ["cat/0.png", "./cat/0.png", "dog/0.png"], ["cat", "cat", "dog"],
            root=folder, location="list",
        )  # fmt: skip
