"""Lists of images, by themselves and in folders as Hugging Face has them."""

import csv
import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from hostile import sparse
from PIL import Image

from governance.errors import SubjectError
from governance.records.image_terms import ImageTerms
from governance.subject.images import list_files, open_validation
from governance.subject.images.opening import shown

ROWS = [
    {"file": f"{part}/{index}.png", "label": ("cat", "dog", "owl")[index % 3], "split": part,
     "age": None if index == 0 else index, "scanner": "A" if index % 2 else "B  b"}
    for part in ("train", "test") for index in range(6)
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Pictures of different content, and nothing that says what they show."""
    for number, row in enumerate(ROWS):
        file = tmp_path / row["file"]
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((6, 5, 3), number, dtype=np.uint8)).save(file)
    return tmp_path


def written(file, rows, /, **renamed):
    """A list in the form that its ending names; columns may be renamed, or left out by None."""
    names = {name: renamed.get(name, name) for name in rows[0]}
    rows = [{new: row[name] for name, new in names.items() if new is not None} for row in rows]
    if file.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(file)
    elif file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        with file.open("w", newline="", encoding="utf-8-sig") as stream:
            writer = csv.DictWriter(stream, rows[0], delimiter=";" if "semi" in file.stem else ",")
            writer.writeheader()
            writer.writerows(rows)
    return file


def problems(path, **terms):
    with pytest.raises(SubjectError) as caught:
        open_validation(path, "here", ImageTerms(**terms))
    return "\n".join(caught.value.problems)


@pytest.mark.parametrize("name", ["list.csv", "semicolons.csv", "list.jsonl", "list.parquet"])
def test_a_list_gives_the_rows_of_a_split_with_what_else_it_says_of_them(folder, name):
    found = open_validation(written(folder / name, ROWS), "here", ImageTerms(split="test"))

    assert found.class_names == ("cat", "dog", "owl")
    assert found.ids == tuple(f"test/{index}.png" for index in range(6))
    assert found.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert [int(image[0, 0, 0]) for image in found.images] == list(range(6, 12))
    assert found.metadata == {
        "age": (None, "1", "2", "3", "4", "5"), "scanner": ("B b", "A") * 3,
    }  # fmt: skip
    assert found.identity.skipped == {"rows of other splits": 6}
    values = json.dumps(list(found.metadata["scanner"])).encode()
    assert found.identity.metadata["scanner"] == f"sha256:{hashlib.sha256(values).hexdigest()}"
    assert list(found.identity.metadata) == ["age", "scanner"]


def test_the_classes_are_those_of_all_rows_and_numbers_stand_in_their_order(folder):
    labels = [0, 1, 2, 10, 11, 2, 0, 1, 10, 10, 1, 0]
    rows = [{**row, "label": label} for row, label in zip(ROWS, labels, strict=True)]

    found = open_validation(written(folder / "l.csv", rows), "here", ImageTerms(split="test"))

    assert found.class_names == ("0", "1", "2", "10", "11")
    assert found.labels.tolist() == [0, 1, 3, 3, 1, 0]
    assert found.identity.class_counts == (2, 2, 0, 2, 0)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_folder_of_hugging_face_is_read_by_its_list(folder, ending):
    written(folder / f"metadata.{ending}", ROWS, file="file_name", split=None)

    found = open_validation(folder, "here", ImageTerms(split="test"))

    assert found.ids == tuple(f"test/{index}.png" for index in range(6))
    assert found.class_names == ("cat", "dog", "owl")
    assert sorted(found.metadata) == ["age", "scanner"]
    assert "split = 'test' in [validation] of the policy names one" in problems(folder)


def test_a_list_in_the_folder_of_a_part_is_about_that_part(folder):
    rows = [{**row, "file": row["file"].removeprefix("test/")} for row in ROWS[6:10]]
    written(folder / "test" / "metadata.csv", rows, file="file_name", split=None)
    (folder / "test" / "Thumbs.db").write_bytes(b"x")

    found = open_validation(folder, "here", ImageTerms(split="test"))

    assert found.ids == ("0.png", "1.png", "2.png", "3.png")
    assert found.skipped == {"images that the list does not name": 2, "thumbs.db": 1}


def test_without_a_column_of_labels_the_folder_of_a_file_is_its_class(folder):
    for name in ("cat", "dog"):
        (folder / "test" / name).mkdir()
        (folder / "test" / f"{int(name == 'dog')}.png").rename(folder / "test" / name / "0.png")
    rows = [{"file_name": f"test/{name}/0.png", "age": 3} for name in ("cat", "dog")]
    written(folder / "metadata.csv", rows)

    found = open_validation(folder, "here", ImageTerms(split="test"))

    assert found.class_names == ("cat", "dog")
    assert found.metadata == {"age": ("3", "3")}
    rows.append({"file_name": "test/2.png", "age": 4})
    written(folder / "metadata.csv", rows)
    assert "test/2.png: neither in the folder of a class" in problems(folder, split="test")
    assert "a column label with the class is needed" in problems(folder / "metadata.csv")


def test_splits_that_are_not_named_or_not_there_are_refused(folder):
    file = written(folder / "list.csv", ROWS)

    assert "rows of the splits test, train; split = 'test'" in problems(file)
    assert "no row of the split 'val'; there are test, train" in problems(file, split="val")
    written(file, ROWS, split=None)
    assert "there is no column split" in problems(file, split="test")


def test_links_of_a_list_are_followed_if_the_policy_says_so(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    Image.new("RGB", (4, 4)).save(outside / "x.png")
    (folder / "test" / "0.png").unlink()
    (folder / "test" / "0.png").symlink_to(outside / "x.png")
    file = written(folder / "list.csv", ROWS)

    assert "test/0.png: lies outside of the folder" in problems(file, split="test")
    found = open_validation(file, "here", ImageTerms(split="test", follow_links=True))
    assert found.ids[0] == "test/0.png"
    written(file, [{**ROWS[0], "file": str(outside / "x.png")}, *ROWS[1:]], split=None)
    assert "x.png: lies outside of the folder" in problems(file, follow_links=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it names no columns"),
        ("file,label\nx.png\n", "row 1 has 1 values and the first line names 2 columns"),
        ("file,label,label\n", "names of columns repeat"),
        ("file,label,\n", "a column has no name"),
        ("name,label\n", "columns name, label; exactly one of file, file_name, path is needed"),
        ("file,path,label\n", "exactly one of file, file_name, path is needed"),
        ("file,label\ntest/0.png,\n", "column label: empty in row 1; a value is needed"),
        ("file,label\ntest/0.png,cat\ntest/1.png,\x07\n", r"'\x07' cannot be printed"),
        ("file,label,a\ntest/0.png,cat,\x07\n", r"column a: '\x07' cannot be printed or"),
        ("file,label\ntest/0.png,cat\n", "1 class has images"),
        ("file,label\ntest/0.png,cat\n../x.png,dog\n", "../x.png: no such file"),
        ('file,label\n"test/0.png,cat\n', "cannot be read as a list: unexpected end of data"),
        ("file,label\n" + "x" * 4097 + ",cat\n", "a value of 4097 characters"),
        (f"file,{'x' * 201}\n", "more than 200 characters"),
        (",".join(f"c{i}" for i in range(201)), "201 columns; at most 200"),
    ],
)  # fmt: skip
def test_a_csv_file_that_is_no_list_is_refused(folder, content, message):
    (folder / "list.csv").write_text(content)

    assert message in problems(folder / "list.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1]", "line 1 is no object"),
        (b'{"file": "x", "objects": [1]}', "line 1: objects hold lists or objects"),
        (b'{"file": "x"', "line 1: cannot be read"),
        (b'{"file": ' + b"[" * 40 + b"]" * 40 + b"}", "more than 32 lists"),
        (b'{"file": "\\ud800", "label": "a"}', "cannot be printed"),
        (b"\xff", "cannot be read as a list"),
    ],
)
def test_json_lines_that_are_no_list_are_refused(folder, content, message):
    (folder / "list.jsonl").write_bytes(content)

    assert message in problems(folder / "list.jsonl")


def test_parquet_of_other_columns_and_of_no_footer_is_refused(folder):
    pd.DataFrame({"file": ["test/0.png"], "label": [["cat"]]}).to_parquet(folder / "deep.parquet")
    pd.DataFrame({"file": ["a"], "label": ["b"]}).to_parquet(
        folder / "zstd.parquet", compression="zstd"
    )
    (folder / "none.parquet").write_bytes(b"PAR1")

    assert "plain columns are accepted" in problems(folder / "deep.parquet")
    assert "ZSTD compression; SNAPPY, UNCOMPRESSED is accepted" in problems(folder / "zstd.parquet")
    assert "no Parquet file" in problems(folder / "none.parquet")


def test_parquet_of_every_plain_kind_is_read_as_text(folder):
    frame = pd.DataFrame(ROWS[:3]).assign(
        label=[0, 1, 2], few=np.array([1.5, np.nan, 2], dtype="float32"), yes=[True, False, None],
        day=pd.to_datetime(["2026-01-01"] * 3), kind=pd.Categorical([7, 8, 7]), none=[None] * 3,
    )  # fmt: skip
    frame.to_parquet(folder / "list.parquet")

    found = open_validation(folder / "list.parquet", "here")

    assert found.class_names == ("0", "1", "2")
    assert found.metadata["few"] == ("1.5", None, "2")
    assert found.metadata["yes"] == ("true", "false", None)
    assert found.metadata["day"][0].startswith("2026-01-01 00:00:00")
    assert found.metadata["kind"] == ("7", "8", "7")
    assert found.metadata["none"] == (None, None, None)


def test_lists_beyond_a_limit_are_refused_before_they_are_read(folder, monkeypatch):
    sparse(folder / "list.csv", 2**40)
    assert "at most 67108864 are accepted" in problems(folder / "list.csv")
    monkeypatch.setattr(list_files, "MOST_CELLS", 20)
    assert "more than 20 values" in problems(written(folder / "list.csv", ROWS))
    assert "more than 20 values" in problems(written(folder / "list.jsonl", ROWS))


def test_two_lists_in_a_folder_are_refused(folder):
    written(folder / "metadata.csv", ROWS)
    written(folder / "metadata.jsonl", ROWS)

    assert "metadata.csv, metadata.jsonl lie side by side; keep one" in problems(folder)


def test_a_process_that_opens_a_list_has_to_see_the_folder_around_it(folder):
    assert shown(written(folder / "list.csv", ROWS)) == folder
    assert shown(folder) == folder
    assert shown(folder / "gone.csv") == folder / "gone.csv"
