import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd
import pytest

from governance.methods.data_quality import CLASS_CHECKS, IMAGE_CHECKS, validate


def table_of(n=100, **columns):
    """A table of images without a fault, but for the columns given."""
    return pd.DataFrame(
        {
            "id": [f"i{index}" for index in range(n)],
            "decodes": [True] * n,
            "class": ["a", "b"] * (n // 2),
            "sha256": [f"{index:064x}" for index in range(n)],
            "copy_labels": [1] * n,
            "near_labels": [1] * n,
            "near_contents": [1] * n,
            "std": [0.2] * n,
            "sharpness_deviation": [0.0] * n,
            "brightness_deviation": [0.0] * n,
            "pixels_deviation": [0.0] * n,
            "mode_share": [1.0] * n,
        }
        | columns
    )


def outcomes(table, checks=IMAGE_CHECKS):
    return {item.check.metric: item for item in validate(table, checks)}


def with_fault(value, usual, rows, n=100):
    values = [usual] * n
    for row in rows:
        values[row] = value
    return values


def test_a_table_without_a_fault_offends_no_check():
    found = validate(table_of(), IMAGE_CHECKS)

    assert [item.check for item in found] == list(IMAGE_CHECKS)
    for item in found:
        assert (item.share, item.n, item.success, item.problem) == (0.0, 100, True, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "column", "value", "usual"),
    [
        ("undecodable", "decodes", False, True),
        ("invalid_labels", "class", None, "a"),
        ("conflicting_duplicates", "copy_labels", 2, 1),
        ("conflicting_near_duplicates", "near_labels", 3, 1),
        ("near_duplicates", "near_contents", 2, 1),
        ("constant", "std", 0.0, 0.2),
        ("blurred", "sharpness_deviation", -4.1, -3.9),
        ("dark", "brightness_deviation", -4.1, 3.9),
        ("bright", "brightness_deviation", 4.1, -3.9),
        ("odd_sizes", "pixels_deviation", -4.1, 3.9),
        ("odd_sizes", "pixels_deviation", 4.1, -3.9),
    ],
)
def test_each_check_finds_its_fault_and_no_other(metric, column, value, usual):
    table = table_of(**{column: with_fault(value, usual, (3, 8))})

    found = outcomes(table)

    assert found[metric].offenders == ("i3", "i8")
    assert found[metric].share == 0.02
    assert found[metric].success is False
    assert {name for name, item in found.items() if item.share} == {metric}


def test_all_copies_of_a_file_offend_and_a_rare_mode_beyond_its_allowance():
    hashes = [f"{index:064x}" for index in range(100)]
    hashes[5] = hashes[70] = hashes[2]

    found = outcomes(table_of(sha256=hashes, mode_share=with_fault(0.06, 0.94, range(6))))

    assert found["duplicates"].offenders == ("i2", "i5", "i70")
    assert found["odd_modes"].share == 0.06
    assert found["odd_modes"].success is False


def test_as_many_offenders_as_are_allowed_are_a_success():
    one = outcomes(table_of(brightness_deviation=with_fault(9.0, 0.0, (0,))))["bright"]
    two = outcomes(table_of(brightness_deviation=with_fault(9.0, 0.0, (0, 1))))["bright"]

    assert (one.share, one.success) == (0.01, True)
    assert (two.share, two.success) == (0.02, False)


def test_shares_of_single_images_have_an_interval_and_others_none():
    found = outcomes(table_of())

    assert found["constant"].interval.n == 100
    assert found["constant"].interval.low == 0.0
    assert 0.03 < found["constant"].interval.high < 0.04
    assert found["duplicates"].interval is None


def test_rows_without_a_value_are_left_out_only_where_that_is_meant():
    found = outcomes(
        table_of(
            sharpness_deviation=with_fault(np.nan, -5.0, range(60)),
            std=with_fault(np.nan, 0.2, (0,)),
        )
    )

    assert (found["blurred"].n, found["blurred"].share) == (40, 1.0)
    assert found["constant"].share is None
    assert found["constant"].problem == "1 of 100 rows have no std"


@pytest.mark.slow
@pytest.mark.parametrize("metric", [check.metric for check in IMAGE_CHECKS])
def test_a_check_without_its_column_is_missing_and_never_zero(metric):
    check = next(item for item in IMAGE_CHECKS if item.metric == metric)

    item = outcomes(table_of().drop(columns=check.column))[metric]

    assert item.share is None
    assert item.success is None
    assert item.interval is None
    assert check.column in item.problem


def test_a_column_without_any_value_and_a_table_without_rows_are_missing():
    empty = outcomes(table_of(brightness_deviation=[np.nan] * 100))
    none = outcomes(table_of().head(0))

    assert empty["dark"].share is None
    assert empty["dark"].problem == "no row has a brightness_deviation"
    assert empty["blurred"].share == 0.0
    assert all(item.share is None for item in none.values())


def test_small_and_rare_classes_offend():
    table = pd.DataFrame(
        {"id": ["a", "b", "c"], "images": [300, 29, 0], "of_even_share": [2.7, 0.26, 0.0]}
    )

    found = outcomes(table, CLASS_CHECKS)

    assert found["small_classes"].offenders == ("b", "c")
    assert found["rare_classes"].offenders == ("c",)
    assert found["rare_classes"].n == 3


def test_the_same_table_gives_the_same_outcomes():
    table = table_of(near_contents=with_fault(2, 1, (4, 9)))

    assert validate(table, IMAGE_CHECKS) == validate(table, IMAGE_CHECKS)


def test_validating_prints_nothing_and_leaves_no_file(capfd, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    validate(table_of(), IMAGE_CHECKS)

    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_great_expectations_is_not_imported_before_it_is_used():
    code = (
        "import sys, governance.methods.data_quality, governance.analyses.data_quality;"
        "sys.exit('great_expectations' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
