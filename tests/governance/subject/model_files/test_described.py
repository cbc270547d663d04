import json

import pytest
import yaml

from governance.subject.model_files import describe


def folder(tmp_path, metadata):
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": {}, "metadata": metadata}))
    return tmp_path


@pytest.mark.parametrize(
    ("metadata", "scale"),
    [
        ({"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}, ((0.5, 0.4, 0.3), (0.2, 0.2, 0.2))),
        ({"image_mean": 0.5, "image_std": 0.25}, ((0.5,), (0.25,))),
        ({"mean": "[0.5]", "std": "[0.5]"}, ((0.5,), (0.5,))),
        ({"mean": [127.5], "std": [127.5]}, ((0.5,), (0.5,))),
        ({"cfg": {"mean": [0.1], "std": [0.3]}}, ((0.1,), (0.3,))),
        ({"cfg": json.dumps({"mean": [0.1], "std": [0.3]})}, ((0.1,), (0.3,))),
        ({"mean": [0.5]}, None),
        ({"mean": [0.5, 0.5], "std": [0.5]}, None),
        ({"mean": "grey", "std": [0.5]}, None),
        ({"mean": [0.5], "std": [0.0]}, None),
        ({"mean": [float("nan")], "std": [0.5]}, None),
        ({"mean": [-0.5], "std": [0.5]}, None),
        ({"mean": [10**400], "std": [0.5]}, None),
        ({"mean": f"[{10**400}]", "std": [0.5]}, None),
        (None, None),
        ("text", None),
    ],
)
def test_a_scale_is_read_where_the_metadata_hold_a_usable_one(tmp_path, metadata, scale):
    assert describe(folder(tmp_path, metadata)).scale == scale


@pytest.mark.parametrize(
    ("metadata", "names"),
    [
        ({"class_names": ["cat", "dog"]}, ("cat", "dog")),
        (
            {"id2label": {"10": "k", **{str(k): f"c{k}" for k in range(10)}}},
            (*(f"c{k}" for k in range(10)), "k"),
        ),
        ({"id2label": {"10": "owl", "2": "dog", "0": "cat"}}, None),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, None),
        ({"class_names": ["crane", "tench", "crane"]}, ("crane [0]", "tench", "crane [2]")),
        ({"id2label": {0: "cat", 1: "dog"}}, ("cat", "dog")),
        ({"labels": '["cat", "dog"]'}, ("cat", "dog")),
        ({"classes": [3, 1]}, ("3", "1")),
        ({"classes": 10}, None),
        ({"id2label": {"cat": 0}}, None),
        ({}, None),
    ],
)
def test_class_names_are_read_in_the_order_of_the_outputs(tmp_path, metadata, names):
    found = describe(folder(tmp_path, metadata)).classes

    assert [item.names for item in found] == ([] if names is None else [names])


@pytest.mark.parametrize(
    ("outputs", "number"),
    [
        ('[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 10]}}]', 10),
        ('[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, -1]}}]', None),
        ('[{"type": "double"}]', None),
        ("[[[", None),
        (None, None),
    ],
)
def test_the_number_of_outputs_is_read_where_the_signature_says_it(tmp_path, outputs, number):
    described = {"flavors": {}, "signature": {"inputs": "[]", "outputs": outputs}}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(described))

    assert describe(tmp_path).outputs == number


def test_what_is_said_of_sizes_is_kept_for_the_reader(tmp_path):
    found = describe(folder(tmp_path, {"pretrained_cfg": {"crop_pct": 0.875}, "by": "me"}))

    assert found.told == {"crop_pct": "0.875"}
