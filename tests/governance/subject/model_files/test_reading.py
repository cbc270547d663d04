"""Model files: what an MLmodel file may say, and that a digest follows every file."""

import shutil

import pytest
import yaml
from hostile import laughs, sparse

from governance.errors import SubjectError
from governance.subject import model_files


def folder_of(folder):
    """A folder with a description and one file that nobody loads."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "model.pth").write_bytes(b"weights")
    return described(folder)


def described(folder, signature=None):
    text = {"flavors": {"pytorch": {"model_data": "data"}}}
    if signature:
        tensor = f'{{"dtype": "float32", "shape": {list(signature)}}}'
        text["signature"] = {"inputs": f'[{{"type": "tensor", "tensor-spec": {tensor}}}]'}
    (folder / "MLmodel").write_text(yaml.safe_dump(text))
    return folder


@pytest.mark.parametrize("text", ["", "[]", "flavors: 3", "flavors: {pytorch: 1}", "a: [", "\x00"])
def test_a_damaged_description_is_refused(tmp_path, text):
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(SubjectError, match="MLmodel"):
        model_files.read(tmp_path)


def test_a_folder_without_description_is_refused(tmp_path):
    with pytest.raises(SubjectError, match="no MLmodel"):
        model_files.read(tmp_path)


def test_free_sizes_of_a_signature_are_unknown(tmp_path):
    files = model_files.read(described(tmp_path, signature=(-1, 3, -1, -1)))
    assert model_files.signature_shape(files) == (3, None, None)


def test_a_path_that_leads_out_of_the_folder_is_refused(tmp_path):
    files = model_files.read(folder_of(tmp_path / "m"))
    (tmp_path / "m" / "link").symlink_to(tmp_path)

    assert files.inside("data") == tmp_path / "m" / "data"
    for path in ("..", "/etc", "data/../../x", "link/x"):
        with pytest.raises(SubjectError, match="outside the folder"):
            files.inside(path)


def test_the_artifact_digest_follows_every_file_but_the_note_of_a_download(tmp_path):
    # arrange
    folder = folder_of(tmp_path / "m")
    before = model_files.artifact_digest(folder)
    # act
    (folder / "registered_model_meta").write_text("model_name: x\n")
    noted = model_files.artifact_digest(folder)
    shutil.copytree(folder, tmp_path / "copy")
    copied = model_files.artifact_digest(tmp_path / "copy")
    (folder / "requirements.txt").write_text("torch\n")
    extended = model_files.artifact_digest(folder)
    (folder / "requirements.txt").rename(folder / "data" / "requirements.txt")
    # assert
    assert before == noted == copied
    assert len({before, extended, model_files.artifact_digest(folder)}) == 3


def test_the_artifact_digest_refuses_links(tmp_path):
    folder = folder_of(tmp_path / "m")
    (folder / "link").symlink_to("/etc/hostname")
    with pytest.raises(SubjectError, match="link is a link"):
        model_files.artifact_digest(folder)


# Small files that would cost much -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (laughs(), "an alias"),  # half a kilobyte that took 5.5 GB and 54 seconds
        ("a: &a {b: 1}\nc: {<<: [*a, *a]}", "an alias"),
        ("[" * 40 + "]" * 40, "more than 32 lists or tables"),
        ("a: " + "1:" * 2000 + "1", "describes no model|flavour"),
        ("a: 2026-99-99", "cannot be read: month must be"),
        ("a: " + "9" * 10**4, "cannot be read: Exceeds the limit"),
        ("#" * (129 * 2**10), "bytes; at most 131072"),
        ("? [a, b]\n: c", "cannot be read|flavour"),
    ],
    ids=range(8),
)
def test_an_mlmodel_file_that_would_cost_much_is_refused(tmp_path, text, wanted):
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(SubjectError, match=wanted):
        model_files.read(tmp_path)


def test_a_model_of_holes_is_not_read(tmp_path):
    folder_of(tmp_path / "m")
    sparse(tmp_path / "m" / "extra", 2**42)
    with pytest.raises(SubjectError, match="bytes; at most"):
        model_files.artifact_digest(tmp_path / "m")


def test_a_model_of_many_files_is_not_read(tmp_path):
    for number in range(101):
        (tmp_path / f"{number}").mkdir()
        for other in range(100):
            (tmp_path / f"{number}" / f"{other}").touch()
    with pytest.raises(SubjectError, match="more than 10000 files and folders"):
        model_files.artifact_digest(tmp_path)
