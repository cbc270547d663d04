"""A batch gets to a model in the order that its signature says, or else the policy."""

import json

import numpy as np
import pytest

from governance.errors import SubjectError
from governance.subject.flavours.arranging import arrangement


def signature(*sizes, dtype="float32", **more):
    tensor = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1, *sizes]}, **more}
    return {"inputs": json.dumps([tensor])}


def batch(channels):
    return np.arange(2 * channels * 2 * 3, dtype=np.float32).reshape(2, channels, 2, 3)


@pytest.mark.parametrize(
    ("sizes", "layout", "shape"),
    [
        ((3, 2, 3), "channels_first", (3, 2, 3)),
        ((3, -1, -1), "channels_first", (3, None, None)),
        ((5, 7, 3), "channels_last", (3, 5, 7)),
        ((28, 28, 1), "channels_last", (1, 28, 28)),
        ((28, 28), "no_channels", (1, 28, 28)),
        ((64,), "flat", (None, None, None)),
    ],
)
def test_the_signature_says_the_layout(sizes, layout, shape):
    found = arrangement(signature(*sizes), None, "MLmodel")
    assert (found.layout, found.shape) == (layout, shape)


def test_without_a_signature_the_policy_says_it_and_else_the_channels_come_first():
    assert arrangement(None, None, "MLmodel").layout == "channels_first"
    assert arrangement({"inputs": ""}, "channels_last", "MLmodel").layout == "channels_last"


@pytest.mark.parametrize("channels", [1, 3])
def test_every_layout_holds_the_same_numbers(channels):
    images = batch(channels)
    for layout in ("channels_first", "channels_last", "flat"):
        found = arrangement(None, layout, "MLmodel").arranged(images).reshape(2, -1)
        for image in range(2):
            expected = [
                images[image, channel, row, column]
                for row in range(2)
                for column in range(3)
                for channel in range(channels)
            ]
            if layout == "channels_first":
                expected = images[image].ravel().tolist()
            assert found[image].tolist() == expected


def test_images_without_channels_are_grey():
    found = arrangement(signature(2, 3), None, "MLmodel")
    assert np.array_equal(found.arranged(batch(1)), batch(1)[:, 0])
    with pytest.raises(SubjectError, match="channels = 'grey'"):
        found.arranged(batch(3))


def test_columns_of_numbers_are_a_table():
    columns = [{"type": "double", "name": f"p{index}", "required": True} for index in range(6)]
    found = arrangement({"inputs": json.dumps(columns)}, None, "MLmodel")
    assert found.columns == ("p0", "p1", "p2", "p3", "p4", "p5")
    assert found.arranged(batch(1)).shape == (2, 6)
    with pytest.raises(SubjectError, match="takes 6 numbers per image, and an image of 3"):
        found.arranged(batch(3))


@pytest.mark.parametrize(
    "inputs",
    [
        "[]x", "{}", "7", '[{"type": "string", "name": "text"}]', '[{"tensor-spec": {}}]',
        signature(5, 7, 9)["inputs"], signature(3, 2, 3, dtype="str")["inputs"],
        signature(1, 2, 3, 4)["inputs"], '[{"type": "tensor", "tensor-spec": {"shape": "x"}}]',
    ],
)  # fmt: skip
def test_a_signature_of_no_images_is_refused(inputs):
    with pytest.raises(SubjectError, match="MLmodel"):
        arrangement({"inputs": inputs}, None, "MLmodel")


def test_a_layout_against_the_signature_is_refused():
    with pytest.raises(SubjectError, match="channels_first images, and the policy says layout"):
        arrangement(signature(3, 2, 2), "channels_last", "MLmodel")
    # Where a shape can be either, the policy decides.
    assert arrangement(signature(3, 9, 3), "channels_last", "MLmodel").shape == (3, 3, 9)
