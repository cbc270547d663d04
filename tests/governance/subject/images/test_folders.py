"""Folders as people have them: with junk, deeper folders, links and parts for training."""

import numpy as np
import pytest
from PIL import Image

from governance.errors import SubjectError
from governance.records.image_terms import ImageTerms
from governance.subject.images import open_validation


def filled(folder, *names):
    """Pictures of different content at paths in a folder."""
    for index, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((6, 5, 3), index, dtype=np.uint8)
        Image.fromarray(pixels).save(file)
    return folder


@pytest.fixture
def folder(tmp_path):
    return filled(tmp_path / "set", "cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png")


def problems(path, **terms):
    with pytest.raises(SubjectError) as caught:
        open_validation(path, "here", ImageTerms(**terms))
    return "\n".join(caught.value.problems)


def test_what_systems_leave_beside_images_is_skipped_and_counted(folder):
    clean = open_validation(folder, "here")
    for home in (folder, folder / "cat", folder / "dog"):
        for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._0.png", ".gitkeep"):
            (home / name).write_bytes(b"x")
    for home in (folder / "__MACOSX", folder / "cat" / ".ipynb_checkpoints"):
        filled(home, "0.png", "inner/1.png")
    for name in ("README.md", "LICENSE", "dataset_info.json"):
        (folder / name).write_text("x")

    found = open_validation(folder, "here")

    assert found.digest == clean.digest
    assert clean.skipped == {}
    assert clean.identity.skipped is None
    assert found.identity.skipped == {
        "thumbs.db": 3, "desktop.ini": 3, ".ds_store": 3, "._*": 3, "hidden": 3, "__macosx": 1,
        ".ipynb_checkpoints": 1, "readme.md": 1, "license": 1, "dataset_info.json": 1,
    }  # fmt: skip


def test_a_class_may_be_called_as_a_paper_and_a_paper_in_a_class_folder_is_refused(folder):
    filled(folder, "license/0.png")
    (folder / "cat" / "README.md").write_text("x")

    assert problems(folder).startswith("validation images here: cat/README.md: not an image")
    (folder / "cat" / "README.md").unlink()
    assert open_validation(folder, "here").class_names == ("cat", "dog", "license")


def test_images_in_folders_of_a_class_folder_are_of_that_class(folder):
    filled(folder, "cat/monday/left/2.png", "dog/monday/2.png")

    found = open_validation(folder, "here")

    assert found.class_names == ("cat", "dog")
    assert found.ids == (
        "cat/0.png", "cat/1.png", "cat/monday/left/2.png", "dog/0.png", "dog/1.png",
        "dog/monday/2.png",
    )  # fmt: skip
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_split_names_the_folder_whose_folders_are_the_classes(tmp_path):
    names = [f"{part}/{name}/0.png" for part in ("train", "test") for name in ("cat", "dog")]
    filled(tmp_path, *names)
    (tmp_path / "test" / "Thumbs.db").write_bytes(b"x")

    found = open_validation(tmp_path, "here", ImageTerms(split="test"))

    assert found.class_names == ("cat", "dog")
    assert found.ids == ("test/cat/0.png", "test/dog/0.png")
    assert found.images[0].max() == 2
    assert found.skipped == {"thumbs.db": 1}
    assert "test, train are parts of a data set" in problems(tmp_path)
    assert "split = 'test' in [validation]" in problems(tmp_path)
    assert "no folder val, which split names" in problems(tmp_path, split="val")
    assert "no folder .., which split names" in problems(tmp_path, split="..")


def test_the_parent_of_the_folder_that_was_meant_is_refused_with_its_folders(tmp_path):
    filled(tmp_path / "wrapped", "set/cat/0.png", "set/dog/0.png")
    folds = (f"fold{fold}/{name}/0.png" for fold in (1, 2) for name in ("cat", "dog"))
    filled(tmp_path / "folds", *folds)
    # Folders of different names, and images beside them, are folders of a class.
    honest = filled(tmp_path / "honest", "cat/a/0.png", "cat/b/0.png", "dog/b/0.png", "dog/c/0.png")
    filled(tmp_path / "beside", "cat/a/0.png", "cat/b/0.png", "cat/0.png", "dog/a/0.png",
           "dog/b/0.png")  # fmt: skip

    assert "one class, set that holds the folders cat, dog" in problems(tmp_path / "wrapped")
    assert "fold1, fold2 all hold the folders cat, dog" in problems(tmp_path / "folds")
    assert len(open_validation(honest, "here")) == 4
    assert len(open_validation(tmp_path / "beside", "here")) == 5


def test_linked_class_folders_and_files_are_followed_if_the_policy_says_so(folder, tmp_path):
    store = filled(tmp_path / "store", "owl/0.png", "x.png")
    (folder / "owl").symlink_to(store / "owl")
    (folder / "dog" / "2.png").symlink_to(store / "x.png")

    refused = problems(folder)
    found = open_validation(folder, "here", ImageTerms(follow_links=True))

    assert "owl: a link that leaves the folder; copy the file, or set follow_links" in refused
    assert "dog/2.png: a link that leaves the folder" in refused
    assert found.class_names == ("cat", "dog", "owl")
    assert found.ids[-2:] == ("dog/2.png", "owl/0.png")
    assert found.images[5].max() == 0


@pytest.mark.parametrize("follow", [False, True])
def test_links_in_a_circle_and_broken_links_are_refused_at_once(folder, follow):
    (folder / "cat" / "up").symlink_to(folder)
    (folder / "dog" / "cats").symlink_to(folder / "cat")
    (folder / "dog" / "gone.png").symlink_to(folder / "nothing.png")
    (folder / "dog" / "self.png").symlink_to(folder / "dog" / "self.png")

    text = problems(folder, follow_links=follow)

    assert "cat/up: a link to a folder that is read already" in text
    assert "dog/cats: a link to a folder that is read already" in text
    assert "dog/gone.png: a link that is broken" in text
    assert "dog/self.png: a link that is broken" in text


def test_folders_that_are_too_deep_are_refused(folder):
    filled(folder, f"cat/{'a/' * 16}0.png")

    assert "more than 16 folders inside one another" in problems(folder)


def test_an_image_of_a_kind_that_is_not_read_is_refused_with_the_cure(folder):
    (folder / "cat" / "IMG_0001.HEIC").write_bytes(b"x")
    Image.new("L", (4, 4)).save(folder / "loose.png")

    assert "cat/IMG_0001.HEIC: not an image; HEIC is not read; store it as" in problems(folder)
    assert "loose.png: a file beside the class folders" in problems(folder)
