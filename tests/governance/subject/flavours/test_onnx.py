"""ONNX models: what is computed, what is refused, and that a digest follows every number."""

import numpy as np
import pytest
import torch
import yaml

from governance.errors import SubjectError
from governance.records.model_terms import ModelTerms
from governance.subject import flavours, model_files
from governance.subject.flavours.fitting import fitted
from governance.subject.preprocessing import Preprocessing

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper, numpy_helper, kinds = onnx.helper, onnx.numpy_helper, onnx.TensorProto

CPU = torch.device("cpu")
WEIGHTS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
IMAGES = np.random.default_rng(1).random((5, 3, 8, 8)).astype(np.float32)


def graph(
    *, sizes=("n", 3, 8, 8), kind=kinds.FLOAT, axes=(2, 3), weights=WEIGHTS, nodes=(), outputs=()
):
    """A model that weights the means of the channels: logits (B, 4)."""
    cast = helper.make_node("Cast", ["image"], ["numbers"], to=kinds.FLOAT)
    mean = helper.make_node("ReduceMean", ["numbers", "axes"], ["means"], keepdims=0)
    head = helper.make_node("MatMul", ["means", "head.weight"], ["logits"])
    made = helper.make_graph(
        [cast, mean, head, *nodes], "g",
        [helper.make_tensor_value_info("image", kind, sizes)],
        [helper.make_tensor_value_info("logits", kinds.FLOAT, (sizes[0], 4)), *outputs],
        [
            numpy_helper.from_array(weights, "head.weight"),
            numpy_helper.from_array(np.array(axes, np.int64), "axes"),
        ],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def saved(model, folder, **options):
    folder.mkdir(parents=True)
    onnx.save(model, folder / "model.onnx", **options)
    text = {"flavors": {"onnx": {"data": "model.onnx"}, "python_function": {}}}
    (folder / "MLmodel").write_text(yaml.safe_dump(text))
    return folder


def load(folder, **terms):
    return flavours.load(model_files.read(folder), ModelTerms(**terms), CPU)


def refusal(folder):
    with pytest.raises(SubjectError) as caught:
        load(folder)
    return str(caught.value)


def answers(folder, pixels=IMAGES, **terms):
    preprocessing = Preprocessing(size=(8, 8), **terms)
    classifier = load(folder).classifier(preprocessing=preprocessing, outputs="logits")
    return classifier.answers(torch.from_numpy(pixels)).numpy()


def expected(images=IMAGES):
    return images.mean((2, 3)) @ WEIGHTS


@pytest.mark.parametrize("batch", ["n", 1, 2, 5, 8])
def test_a_graph_of_any_batch_answers_for_every_image(tmp_path, batch):
    folder = saved(graph(sizes=(batch, 3, 8, 8)), tmp_path / "m")

    np.testing.assert_allclose(answers(folder), expected(), atol=1e-6)


def test_channels_may_stand_last(tmp_path):
    folder = saved(graph(sizes=("n", 8, 8, 3), axes=(1, 2)), tmp_path / "m")

    np.testing.assert_allclose(answers(folder), expected(), atol=1e-6)
    assert load(folder).shape == (3, 8, 8)


def test_pixels_from_0_to_255_are_given_where_the_graph_takes_them(tmp_path):
    folder = saved(graph(kind=kinds.UINT8), tmp_path / "m")
    levels = np.random.default_rng(2).integers(0, 256, (5, 3, 8, 8)).astype(np.float32)

    found = answers(folder, levels / 255, std=(1 / 255,))

    np.testing.assert_allclose(found, expected(levels), rtol=1e-5, atol=1e-3)
    with pytest.raises(SubjectError, match="takes whole numbers from 0 to 255; mean = "):
        fitted(ModelTerms(), load(folder), "m")
    assert fitted(ModelTerms(std=(0.00392157,)), load(folder), "m").size == (8, 8)


def test_half_precision_is_given_where_the_graph_takes_it(tmp_path):
    folder = saved(graph(kind=kinds.FLOAT16), tmp_path / "m")

    np.testing.assert_allclose(answers(folder), expected(), atol=1e-2)


def test_free_sizes_are_unknown_and_the_black_box_has_no_layers(tmp_path):
    loaded = load(saved(graph(sizes=("n", 3, "h", "w")), tmp_path / "m"))

    assert loaded.shape == (3, None, None)
    assert loaded.module is None
    assert (loaded.format, loaded.parameters) == ("onnx", 12)


def test_the_digest_follows_every_number_and_not_the_file_it_lies_in(tmp_path):
    # arrange
    changed = WEIGHTS.copy()
    changed[0, 0] += 1e-6
    constant = helper.make_node(
        "Constant", [], ["c"], value=numpy_helper.from_array(np.float32([1]))
    )
    listed = helper.make_node("Constant", [], ["c"], value_floats=[2.0])
    beside = {"save_as_external_data": True, "size_threshold": 60, "location": "numbers"}
    # act
    plain = load(saved(graph(), tmp_path / "plain"))
    apart = load(saved(graph(), tmp_path / "apart", **beside))
    others = [
        load(saved(model, tmp_path / f"{index}")).digest
        for index, model in enumerate(
            [graph(weights=changed), graph(nodes=[constant]), graph(nodes=[listed])]
        )
    ]
    # assert
    assert apart.digest == plain.digest
    assert plain.layers == apart.layers
    assert len({plain.digest, *others}) == 4


@pytest.mark.parametrize("place", ["../numbers", "/etc/hostname", "link", "nowhere"])
def test_numbers_outside_the_folder_of_the_graph_are_not_read(tmp_path, place):
    # arrange
    folder = saved(
        graph(), tmp_path / "m", save_as_external_data=True, size_threshold=60, location="numbers"
    )
    (tmp_path / "numbers").write_bytes((folder / "numbers").read_bytes())
    (folder / "link").symlink_to(tmp_path / "numbers")
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = place if entry.key == "location" else entry.value
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    # act / assert
    assert "a file in the folder of the graph is accepted" in refusal(folder)


def test_the_one_output_with_rows_is_taken(tmp_path):
    label = helper.make_node("ArgMax", ["logits"], ["label"], axis=1, keepdims=0)
    output = helper.make_tensor_value_info("label", kinds.INT64, ("n",))
    folder = saved(graph(nodes=[label], outputs=[output]), tmp_path / "m")

    np.testing.assert_allclose(answers(folder), expected(), atol=1e-6)


def test_of_two_outputs_with_rows_the_logits_are_taken_or_the_one_that_the_policy_names(tmp_path):
    more = helper.make_node("Softmax", ["logits"], ["likely"])
    output = helper.make_tensor_value_info("likely", kinds.FLOAT, ("n", 4))
    folder = saved(graph(nodes=[more], outputs=[output]), tmp_path / "m")

    np.testing.assert_allclose(answers(folder), expected(), atol=1e-6)
    loaded = load(folder, output_name="likely", outputs="probabilities")
    box = loaded.classifier(preprocessing=Preprocessing(size=(8, 8)), outputs="probabilities")
    likely = torch.from_numpy(expected()).softmax(1).float()
    torch.testing.assert_close(box.answers(torch.from_numpy(IMAGES)), likely)
    with pytest.raises(SubjectError, match=r"onnx: returns 'logits' .*, and output_name = 'other'"):
        load(folder, output_name="other")


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (graph(sizes=("n", 3, 8), axes=(1, 2)), "the input is float32 of any x 3 x 8"),
        (graph(kind=kinds.INT64), "the input is int64"),
        (graph(nodes=[helper.make_node("Nothing", ["logits"], ["x"])]), "cannot load this graph"),
    ],
    ids=["sizes", "numbers", "operator"],
)
def test_a_graph_that_takes_no_images_is_refused(tmp_path, model, wanted):
    assert wanted in refusal(saved(model, tmp_path / "m"))


def test_a_damaged_or_missing_file_is_refused(tmp_path):
    folder = saved(graph(), tmp_path / "m")
    content = (folder / "model.onnx").read_bytes()

    (folder / "model.onnx").write_bytes(content[:-7])
    assert "model.onnx: cannot be read as a model of ONNX" in refusal(folder)
    (folder / "model.onnx").unlink()
    assert "no such file" in refusal(folder)
    (folder / "MLmodel").write_text("flavors: {onnx: {data: ../model.onnx}}")
    assert "outside the folder" in refusal(folder)


def test_a_graph_that_fails_on_images_says_where(tmp_path):
    folder = saved(graph(sizes=("n", "c", "h", "w"), weights=WEIGHTS[:2]), tmp_path / "m")

    with pytest.raises(SubjectError, match=r"onnxruntime fails on images of shape \(5, 3, 8, 8\)"):
        answers(folder)


def test_answers_that_are_not_one_row_for_each_image_are_refused_and_not_cut(tmp_path):
    flat = helper.make_node("Reshape", ["logits", "all"], ["flat"])
    model = graph(sizes=(1, 3, 8, 8), nodes=[flat])
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), "all"))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("flat", kinds.FLOAT, (4,)))
    with pytest.raises(SubjectError, match=r"returns \(4,\) for 1 images"):
        answers(saved(model, tmp_path / "m"), IMAGES[:2])
