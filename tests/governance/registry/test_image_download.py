"""Validation images in MLflow's artifacts: of a split, only its part is copied."""

import mlflow
import numpy as np
import pytest
from PIL import Image

from governance.records.image_terms import ImageTerms
from governance.registry.image_download import fetch_images
from governance.subject.images import open_validation


@pytest.fixture
def folder(tmp_path):
    """Pictures of two classes for training and testing, and a list of those for testing."""
    for part in ("train", "test"):
        for level, name in enumerate(("cat", "dog")):
            (tmp_path / "set" / part / name).mkdir(parents=True)
            pixels = np.full((4, 4, 3), level, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / part / name / "0.png")
    rows = ["file_name,scanner", "test/cat/0.png,A", "test/dog/0.png,B"]
    (tmp_path / "set" / "metadata.csv").write_text("\n".join(rows))
    return tmp_path / "set"


@pytest.fixture(params=["runs", "file"])
def location(request, folder, mlflow_store):
    """The folder as artifacts of a run, by the run and by their own address."""
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(folder), "deep/set")
    if request.param == "runs":
        return f"runs:/{run.info.run_id}/deep/set"
    return f"{run.info.artifact_uri}/deep/set"


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def test_of_a_split_its_folder_and_the_list_are_copied(location, folder, tmp_path):
    found = fetch_images(location, "test", tmp_path / "into")

    assert files(found) == ["metadata.csv", "test/cat/0.png", "test/dog/0.png"]
    terms = ImageTerms(split="test")
    opened = open_validation(found, "here", terms)
    assert opened.digest == open_validation(folder, "here", terms).digest
    assert opened.metadata == {"scanner": ("A", "B")}


def test_without_a_split_or_with_one_that_no_folder_is_called_all_is_copied(location, tmp_path):
    for split in (None, "val"):
        found = fetch_images(location, split, tmp_path / str(split))

        assert len(files(found)) == 5


def test_with_a_list_the_folder_around_it_is_copied(location, tmp_path):
    found = fetch_images(f"{location}/metadata.csv", None, tmp_path / "into")

    assert found.name == "metadata.csv"
    assert len(files(found.parent)) == 5
