"""Other flavours of MLflow.

A black box answers and is not looked into. Every analysis that does so does not apply.
"""

import numpy as np
import pytest
import yaml
from case_table import assessed, case, refused

LEVELS = np.float32([40, 120, 200]) / 255
INSIDE = "[analyses.layer_prediction]"


def onnx_model(folder, *, sizes=("n", 3, 16, 16), axes=(1, 2, 3), outputs=1):
    """`ByBrightness` as a graph in a folder as `mlflow.onnx.save_model` writes it."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, tensor = onnx.helper, onnx.numpy_helper.from_array
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
            helper.make_node("Unsqueeze", ["mean", "last"], ["column"]),
            helper.make_node("MatMul", ["column", "weight"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["likely"]),
        ],
        "g",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, sizes)],
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (sizes[0], 3))
            for name in ("logits", "likely")[:outputs]
        ],
        [
            tensor(np.array(axes, np.int64), "axes"),
            tensor(np.array([1], np.int64), "last"),
            tensor(200 * LEVELS[None], "weight"),
            tensor(-100 * LEVELS**2, "bias"),
        ],
    )
    place = folder / "model"
    place.mkdir()
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), place / "model.onnx")
    text = {"flavors": {"onnx": {"data": "model.onnx"}, "python_function": {}}}
    (place / "MLmodel").write_text(yaml.safe_dump(text))
    return place


@case("A graph of ONNX with free batches", assessed(without=("layer_prediction",)))
def test_a_graph(bench):
    happened = bench.assess(onnx_model(bench.folder), analyses=INSIDE)

    assert happened.metric("performance.accuracy") == 1
    return happened


@case("A graph of ONNX that was exported for one image", assessed())
def test_a_graph_of_one_image(bench):
    happened = bench.assess(onnx_model(bench.folder, sizes=(1, 3, 16, 16)))

    assert happened.metric("performance.accuracy") == 1
    return happened


@case("A graph of ONNX whose channels stand last", assessed())
def test_channels_last(bench):
    happened = bench.assess(onnx_model(bench.folder, sizes=("n", 16, 16, 3)))

    assert happened.metric("performance.accuracy") == 1
    return happened


@case("A graph of ONNX with the outputs `logits` and `likely`", assessed())
def test_two_outputs(bench):
    return bench.assess(onnx_model(bench.folder, outputs=2))


@case(
    "A model of which MLflow keeps no form that is opened",
    refused("the flavour of this model is spacy"),
)
def test_another_flavour(bench):
    place = bench.folder / "model"
    place.mkdir()
    (place / "MLmodel").write_text("flavors: {spacy: {model_data: model.spacy}}")
    return bench.assess(place)
