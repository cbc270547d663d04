"""A list of images becomes a data set of MLflow's that knows the contents of its files."""

import json

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from PIL import Image

from governance.subject.images import open_validation


@pytest.fixture
def manifest(tmp_path):
    """A CSV file beside the images that it lists."""
    rng = np.random.default_rng(0)
    rows = []
    for label in ("cat", "dog"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for index in range(2):
            name = f"images/{label}/{index}.png"
            pixels = rng.integers(0, 256, (6, 5), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name)
            rows.append((name, label))
    pd.DataFrame(rows, columns=["path", "label"]).to_csv(tmp_path / "list.csv", index=False)
    return tmp_path / "list.csv"


def test_mlflow_has_the_constructor(manifest):
    # act
    found = mlflow.data.from_image_manifest(manifest, name="photos")
    # assert
    digest = open_validation(manifest.parent / "images", "").digest
    assert found.profile == {"images": 4, "digest": digest}
    assert found.digest == digest.removeprefix("sha256:")[:36]
    assert found.targets == "label"
    assert list(found.df["path"]) == [
        str(manifest.parent / "images" / label / f"{index}.png")
        for label in ("cat", "dog")
        for index in range(2)
    ]


def test_another_image_under_the_same_name_is_another_data_set(manifest):
    before = mlflow.data.from_image_manifest(manifest).digest
    Image.new("L", (6, 5)).save(manifest.parent / "images" / "cat" / "0.png")
    assert mlflow.data.from_image_manifest(manifest).digest != before


def test_it_is_logged_with_a_run(mlflow_store, manifest):
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_image_manifest(manifest, name="photos"), "validation")
    (item,) = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    assert item.dataset.name == "photos"
    assert json.loads(item.dataset.profile)["images"] == 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_mark_that_windows_puts_before_utf8_is_not_part_of_the_first_column(manifest, encoding):
    manifest.write_text(manifest.read_text(), encoding=encoding)
    marked = pd.read_csv(manifest, encoding="utf-8").rename(columns={"path": "\ufeffpath"})

    one = mlflow.data.from_image_manifest(manifest)
    two = mlflow.data.from_image_manifest(marked, root=manifest.parent)

    assert one.profile["images"] == two.profile["images"] == 4
    assert one.digest == two.digest


def test_a_class_may_be_called_na(manifest):
    manifest.write_text(manifest.read_text().replace(",dog", ",NA").replace(",cat", ",null"))

    assert set(mlflow.data.from_image_manifest(manifest).df["label"]) == {"NA", "null"}


@pytest.mark.parametrize("content", [b"\xff\xfep\x00", b"\x89PNG\r\n", None])
def test_what_is_no_text_or_no_file_is_refused_by_name(tmp_path, content):
    file = tmp_path / "list.csv"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)

    with pytest.raises(MlflowException, match=r"list\.csv: cannot be read as CSV: .*UTF-8 with"):
        mlflow.data.from_image_manifest(file)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("path,kind\na.png,cat\n", "path and label are needed"),
        ("path,label\na.png,\n", "with a value in every row"),
        ("path,label\na.png,cat\nb.png,dog\n", "a.png: no such file"),
        ("", r"list\.csv: cannot be read as CSV: No columns"),
        ("\ufeff", r"list\.csv: cannot be read as CSV: No columns"),
        ('path,label\n"a.png,cat\n', r"list\.csv: cannot be read as CSV"),
        ("path,label\na.png,cat,dog,cow\n", r"list\.csv: cannot be read as CSV"),
    ],
)
def test_a_list_that_is_none_is_refused_with_400(tmp_path, content, wanted):
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(MlflowException, match=wanted) as caught:
        mlflow.data.from_image_manifest(tmp_path / "list.csv")
    assert caught.value.get_http_status_code() == 400
