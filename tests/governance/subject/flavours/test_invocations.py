"""Requests hold the numbers they were made of; answers count as rows of finite numbers alone."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import SubjectError
from governance.subject.flavours.arranging import Arrangement
from governance.subject.flavours.invocations import (
    LARGEST_REQUEST,
    MOST_IMAGES,
    answered,
    per_request,
    request,
)

FLAT = Arrangement(layout="flat")
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
DATA = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=20,
)


def images(count=3):
    return np.random.default_rng(0).random((count, 3, 2, 4), dtype=np.float32)


def test_a_request_holds_every_number_exactly():
    given_ = images()
    body = json.loads(request(given_, FLAT))
    found = np.asarray(body["inputs"]).astype(np.float32)
    assert np.array_equal(found, given_.transpose(0, 2, 3, 1).reshape(3, 24))


def test_a_tensor_with_a_name_and_a_table_are_asked_as_their_signature_says():
    named = Arrangement(layout="channels_first", tensor="image")
    assert list(json.loads(request(images(), named))["inputs"]) == ["image"]
    names = tuple(f"p{index}" for index in range(24))
    table = Arrangement(layout="flat", numbers=24, columns=names)
    body = json.loads(request(images(), table))["dataframe_split"]
    assert body["columns"] == list(names)
    assert np.shape(body["data"]) == (3, 24)


def test_whole_numbers_are_asked_where_the_model_takes_no_others():
    whole = Arrangement(layout="channels_first", whole=True)
    body = json.loads(request(images() * 255, whole))
    assert body["inputs"] == np.rint(images() * 255).astype(int).tolist()


@pytest.mark.parametrize("layout", ["channels_last", "flat"])
def test_no_request_is_longer_than_the_limit(layout):
    widest = np.float32(-1.1754944e-38 / 3)
    assert len(repr(float(widest))) >= 22
    count = per_request(100 * 100)
    assert 1 < count < MOST_IMAGES
    one = request(np.full((1, 1, 100, 100), widest), Arrangement(layout=layout))
    assert LARGEST_REQUEST / 2 < count * len(one) <= LARGEST_REQUEST
    assert per_request(1) == MOST_IMAGES


def test_an_image_that_fits_into_no_request_is_refused_with_the_limit():
    with pytest.raises(SubjectError, match=f"more than {LARGEST_REQUEST} bytes"):
        per_request(3 * 2000 * 2000)


@pytest.mark.parametrize(
    "predictions",
    [
        [[0.25, 0.75], [1, 0]],
        {"dense_1": [[0.25, 0.75], [1, 0]]},
        [{"0": 0.25, "1": 0.75}, {"1": 0, "0": 1}],
    ],
)
def test_rows_are_read_in_each_of_their_forms(predictions):
    found = answered(json.dumps({"predictions": predictions}).encode(), 2)
    assert found.dtype == np.float32
    assert found.tolist() == [[0.25, 0.75], [1, 0]]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<html>", "cannot be read"),
        (b"[[0.5, 0.5]]", "without predictions"),
        (b'{"predictions": [7, 3]}', "predict_proba"),
        (b'{"predictions": ["cat", "dog"]}', "predict_proba"),
        (b'{"predictions": [["cat"], ["dog"]]}', "rows of no numbers"),
        (b'{"predictions": [[true], [false]]}', "rows of no numbers"),
        (b'{"predictions": [[0.5, 0.5]]}', "1 rows for 2 images"),
        (b'{"predictions": [[0.5, 0.5], [1]]}', "rows of 1 to 2 numbers"),
        (b'{"predictions": [[], []]}', "rows of 0 to 0 numbers"),
        (b'{"predictions": [[NaN], [1]]}', "NaN"),
        (b'{"predictions": [[1e999], [1]]}', "finite numbers"),
        (b'{"predictions": {"a": [[1], [1]], "b": []}}', "2 outputs by name"),
        (b'{"predictions": [{"cat": 1, "dog": 0}, {"cat": 1, "dog": 0}]}', "cat, dog"),
        (b'{"predictions": [{"0": 1}, {"1": 0}]}', "different columns"),
        (b'{"predictions": null}', "NoneType"),
    ],
)
def test_anything_else_is_refused_with_what_is_accepted(body, problem):
    with pytest.raises(SubjectError, match=problem):
        answered(body, 2)


@given(DATA, st.integers(1, 4))
def test_no_answer_is_taken_for_numbers_that_are_not_there(predictions, count):
    try:
        body = json.dumps({"predictions": predictions}).encode()
        found = answered(body, count)
    except SubjectError:
        return
    assert found.shape[0] == count
    numbers = [value for row in found.tolist() for value in row]
    assert all(math.isfinite(value) or abs(value) == math.inf for value in numbers)
