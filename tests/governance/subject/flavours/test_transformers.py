"""Models of transformers: networks from plain weights, images as their processor prepares them."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml

from governance.errors import SubjectError
from governance.records.model_terms import ModelTerms
from governance.records.resizing import Resize
from governance.subject import flavours, model_files
from governance.subject.flavours.fitting import check_processor, fitted
from governance.subject.network import Network

transformers = pytest.importorskip("transformers")

CPU = torch.device("cpu")
PHOTO = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """A folder of a tiny vision transformer, as `mlflow.transformers.save_model` writes it."""
    folder = tmp_path_factory.mktemp("vit")
    config = transformers.ViTConfig(
        image_size=16, patch_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, num_labels=3,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.ViTForImageClassification(config)
    model.save_pretrained(folder / "model")
    processor = transformers.ViTImageProcessor(size={"height": 16, "width": 16})
    processor.save_pretrained(folder / "components" / "image_processor")
    table = {
        "task": "image-classification", "model_binary": "model", "components": ["image_processor"],
    }  # fmt: skip
    described(folder, table)
    return folder


def described(folder, table):
    text = {"flavors": {"transformers": table, "python_function": {}}}
    (folder / "MLmodel").write_text(yaml.safe_dump(text))


@pytest.fixture
def copy(vit, tmp_path):
    """A copy of that folder, to be changed."""
    return shutil.copytree(vit, tmp_path / "copy")


def edited(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def load(folder):
    return flavours.load(model_files.read(folder), ModelTerms(), CPU)


def refusal(folder):
    with pytest.raises(SubjectError) as caught:
        load(folder)
    return str(caught.value)


def test_a_classifier_is_a_network_that_answers_with_its_logits(vit):
    # arrange
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    model = transformers.ViTForImageClassification.from_pretrained(vit / "model").eval()
    before = torch.get_rng_state()
    # act
    loaded = load(vit)
    classifier = loaded.classifier(preprocessing=fitted(ModelTerms(), loaded, "m"))
    # assert
    assert isinstance(classifier, Network)
    with torch.no_grad():
        expected = model(pixel_values=images).logits
    torch.testing.assert_close(classifier.answers(images), expected)
    assert (loaded.format, loaded.shape) == ("safetensors", (3, 16, 16))
    assert loaded.parameters == sum(item.numel() for item in model.parameters())
    assert torch.equal(before, torch.get_rng_state())


def test_a_policy_that_prepares_images_otherwise_than_the_processor_is_refused(vit):
    # arrange
    loaded = load(vit)
    like = Resize(to=(16, 16), interpolation="bilinear", like="transformers")
    same = fitted(ModelTerms(mean=(0.5,), std=(0.5,), resize=like), loaded, "m")
    # act / assert
    check_processor(loaded.processor, same, PHOTO, "m")
    for terms in (
        ModelTerms(resize=like),
        ModelTerms(mean=(0.5,), std=(0.5,), resize="crop"),
        ModelTerms(mean=(0.5,), std=(0.5,), resize=like, channels="bgr"),
    ):
        with pytest.raises(SubjectError, match="of 255 levels apart; images are prepared") as found:
            check_processor(loaded.processor, fitted(terms, loaded, "m"), PHOTO, "m")
    lines = (
        'resize = {to = [16, 16], interpolation = "bilinear", like = "transformers"}, '
        "mean = [0.5, 0.5, 0.5], std = [0.5, 0.5, 0.5]"
    )
    assert str(found.value).endswith(lines)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"auto_map": {"AutoConfig": "code.Config"}}, "auto_map asks for code from the folder"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "asks for quantised weights"),
        ({"model_type": "unheard-of"}, "transformers cannot load this model"),
        ({"hidden_size": 16}, "the weights lack|transformers cannot load this model"),
        ({"num_hidden_layers": 2}, "the weights lack .* drawn at random"),
    ],
    ids=["code", "quantised", "unknown", "sizes", "layers"],
)
def test_a_configuration_that_asks_for_more_than_these_weights_is_refused(copy, changes, wanted):
    edited(copy / "model" / "config.json", **changes)

    with pytest.raises(SubjectError, match=wanted):
        load(copy)


def test_weights_that_are_pickled_missing_or_elsewhere_are_refused(copy):
    # arrange
    model, listed = copy / "model", copy / "model" / "model.safetensors.index.json"
    elsewhere = json.dumps({"weight_map": {"x": "../model.safetensors", "y": "b.safetensors"}})
    # act / assert
    listed.write_text(elsewhere)
    message = refusal(copy)
    assert "weights in '../model.safetensors' are missing" in message
    assert "weights in 'b.safetensors' are missing" in message
    listed.unlink()
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    assert "weights in 'model.safetensors' are missing" in refusal(copy)
    (model / "model.safetensors").write_bytes(b"x" * 100)
    assert "transformers cannot load this model" in refusal(copy)


def test_another_task_and_a_processor_with_code_are_refused(copy):
    edited(copy / "components" / "image_processor" / "preprocessor_config.json", auto_map={"x": ""})
    assert "image_processor: auto_map asks for code" in refusal(copy)
    described(copy, {"task": "object-detection"})
    assert "the task of this pipeline is 'object-detection'" in refusal(copy)


def test_a_model_without_a_processor_is_prepared_as_the_policy_says(copy):
    described(copy, {"task": "image-classification"})

    assert load(copy).processor is None
