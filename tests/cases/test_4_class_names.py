"""Names of the classes.

The outputs of a model have names: those of the key `class_names` in `[model]` of the policy, of the
model's metadata, of the `id2label` of a `transformers` model, or of the tag `class_names` of the
version. Labels follow their names. Without names, outputs are taken in the order of the images.
"""

import json

import numpy as np
import pytest
import torch
import yaml
from case_table import ByBrightness, assessed, case, refused
from torch import nn

NAMES = ("a dark", "b grey", "c bright")


class Reordered(nn.Module):
    """The outputs of `ByBrightness` in another order, and among others that never win."""

    def __init__(self, outputs=(2, 1, 0), size=3):
        super().__init__()
        self.net, self.size = ByBrightness(), size
        self.register_buffer("outputs", torch.tensor(outputs))

    def forward(self, x):
        found = self.net(x)
        unused = found.new_full((len(x), self.size), -1e4)
        return unused.index_copy(1, self.outputs, found)


def described(bench, module, metadata):
    """The folder of a model whose author wrote something about it."""
    folder = bench.model(module)
    written = yaml.safe_load((folder / "MLmodel").read_text())
    (folder / "MLmodel").write_text(yaml.safe_dump({**written, "metadata": metadata}))
    return folder


def right(happened):
    """The case, of which every answer is right."""
    if happened.refusal is None:
        assert happened.metric("performance.accuracy") == 1
    return happened


@case("Class names in the model's metadata, in another order than the folders", assessed())
def test_metadata(bench):
    names = {"class_names": ["c bright", "b grey", "a dark"]}
    happened = right(bench.assess(described(bench, Reordered(), names)))

    assert happened.assessment.validation.class_names == ("c bright", "b grey", "a dark")
    assert happened.assessment.validation.named_by == "the model's metadata"
    assert happened.metric("performance.classes_exchanged") == 0
    return happened


@case("`id2label` in the configuration of a `transformers` model", assessed())
def test_configuration(bench):
    folder = bench.model(Reordered())
    (folder / "model").mkdir()
    labels = {"0": "c bright", "1": "b grey", "2": "a dark"}
    (folder / "model" / "config.json").write_text(json.dumps({"id2label": labels}))
    return right(bench.assess(folder))


@case("`class_names = [...]` in the policy", assessed())
def test_a_list_in_the_policy(bench):
    return right(bench.assess(Reordered(), model='class_names = ["c bright", "b grey", "a dark"]'))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.txt", "\ufeffc bright\r\nb grey\r\na dark\r\n"),
        ("names.json", '{"0": "c bright", "1": "b grey", "2": "a dark"}'),
    ],
)
@case("`class_names` with the name of a file: a line for each name, or JSON", assessed())
def test_a_file_beside_the_policy(bench, name, text):
    (bench.folder / name).write_bytes(text.encode())
    return right(bench.assess(Reordered(), model=f'class_names = "{name}"'))


@case(
    "A file of class names that is not there",
    refused("class_names ... none.txt: cannot be read"),
)
def test_no_file(bench):
    return bench.assess(Reordered(), model='class_names = "none.txt"')


@case(
    "Metadata that name other classes, as many as there are folders",
    refused("the model's metadata names 3 classes ... only the images have a dark, b grey, c brig"),
)
def test_other_names(bench):
    return bench.assess(described(bench, ByBrightness(), {"class_names": ["cat", "dog", "owl"]}))


@case("Metadata in other words, and `class_names` in those of the folders", assessed())
def test_names_in_other_words(bench):
    folder = described(bench, ByBrightness(), {"class_names": ["dunkel", "grau", "hell"]})
    return right(bench.assess(folder, model=f"class_names = {json.dumps(NAMES)}"))


@case(
    "`class_names` with the names of the metadata in another order",
    refused("the policy names the classes ... and the model's metadata ... the same order"),
)
def test_a_contradiction(bench):
    folder = described(bench, Reordered(), {"class_names": ["c bright", "b grey", "a dark"]})
    return bench.assess(folder, model=f"class_names = {json.dumps(NAMES)}")


@case(
    "More outputs than class folders, and nobody names them",
    refused("(5,) numbers per image ... class_names"),
)
def test_more_outputs(bench):
    return bench.assess(Reordered((0, 1, 2), 5))


@case("More outputs than class folders, all named by `class_names`", assessed())
def test_more_outputs_named(bench):
    names = json.dumps(["x", *NAMES, "y"])
    happened = bench.assess(Reordered((1, 2, 3), 5), model=f"class_names = {names}")

    assert happened.assessment.validation.absent == ("x", "y")
    assert happened.metric("performance.balanced_accuracy") == 1
    assert happened.metric("performance.recall_worst") == 1
    return right(happened)


@case("More outputs than class folders, the others in `absent`", assessed())
def test_absent(bench):
    return right(bench.assess(Reordered((0, 2, 3), 4), model='absent = ["b"]'))


@case(
    "Metadata that name classes without images",
    refused("names 2 classes without images: x, y ... absent"),
)
def test_metadata_with_more_classes(bench):
    folder = described(bench, Reordered((1, 2, 3), 5), {"class_names": ["x", *NAMES, "y"]})
    return bench.assess(folder)


@case("Metadata that name classes without images, and `absent` with their names", assessed())
def test_metadata_with_absent_classes(bench):
    folder = described(bench, Reordered((1, 2, 3), 5), {"class_names": ["x", *NAMES, "y"]})
    return right(bench.assess(folder, model='absent = ["y", "x"]'))


@case(
    "`absent` with a class that has images",
    refused("absent names b grey, which have images"),
)
def test_absent_with_images(bench):
    return bench.assess(ByBrightness(), model='absent = ["b grey"]')


@case(
    "A model whose outputs stand in another order than the folders, and nobody names them",
    assessed("output 2 answers a dark, output 0 answers c bright ... accuracy is 1"),
)
def test_another_order(bench):
    happened = bench.assess(Reordered())

    assert happened.metric("performance.classes_exchanged") == 2
    # Whoever trained it in another order has a model that is right, and no verdict yet.
    assert happened.assessment.decision.verdict == "review"
    return happened


def numbered(bench, classes=12, per_class=8):
    """Images of twelve levels of brightness, of which folders would be called 0 to 11."""
    labels = np.repeat(np.arange(classes), per_class)
    images = np.broadcast_to((labels * 20 + 10)[:, None, None], (len(labels), 16, 16))
    sorted_names = sorted(map(str, range(classes)))
    given = np.array([sorted_names.index(str(label)) for label in labels])
    path = bench.folder / "numbered.npz"
    np.savez(path, images=images.astype(np.uint8), labels=given, class_names=np.array(sorted_names))
    return path


class Levels(nn.Module):
    """The level of brightness among twelve, in the order of numbers."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 1, 1, bias=False), nn.Linear(1, 12)
        levels = (torch.arange(12.0) * 20 + 10) / 255
        with torch.no_grad():
            self.conv.weight.fill_(1)
            self.head.weight.copy_(2000 * levels[:, None])
            self.head.bias.copy_(-1000 * levels**2)

    def forward(self, x):
        return self.head(self.conv(x).mean((2, 3)))


@case(
    "Classes `0` to `11`, in the order of text for the images and of numbers for the model",
    assessed("output 2 answers 2 ... That is the natural order of the names"),
)
def test_numbers_as_names(bench):
    return bench.assess(Levels(), numbered(bench), model='channels = "grey"')
