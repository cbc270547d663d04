"""Other flavours of MLflow.

A black box answers and is not looked into. Every analysis that does so does not apply.
"""

import numpy as np
import pytest
import torch
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


def transformers_model(folder):
    """A tiny vision transformer in a folder as `mlflow.transformers.save_model` writes it."""
    library = pytest.importorskip("transformers")
    config = library.ViTConfig(
        image_size=16, patch_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8,
        id2label=dict(enumerate(("a dark", "b grey", "c bright"))),
    )  # fmt: skip
    place = folder / "model"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        library.ViTForImageClassification(config).save_pretrained(place / "model")
    processor = library.ViTImageProcessor(size={"height": 16, "width": 16})
    processor.save_pretrained(place / "components" / "image_processor")
    table = {"task": "image-classification", "components": ["image_processor"]}
    text = {"flavors": {"transformers": table, "python_function": {}}}
    (place / "MLmodel").write_text(yaml.safe_dump(text))
    return place


@case("An image classifier of transformers, prepared as by its image processor", assessed())
def test_a_transformers_classifier(bench):
    place = transformers_model(bench.folder)
    return bench.assess(place, model="mean = [0.5]\nstd = [0.5]")


@case(
    "An image classifier of transformers, prepared in another way than by its image processor",
    refused("of 255 levels apart", "is accepted in [model] of the policy: resize = "),
)
def test_another_preparation(bench):
    return bench.assess(transformers_model(bench.folder))
