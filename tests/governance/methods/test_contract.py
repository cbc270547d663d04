"""What every public function of methods, training and analyses promises about images given to it.

The cases are held against the `__all__` of every package, and against the functions of the analyses
that take a model: a new public function without a case fails here.
"""

import dataclasses
import importlib
import inspect
import logging
import pkgutil
from functools import cache

import mlflow
import numpy as np
import pytest
import torch
from torch import nn

import governance.analyses
import governance.methods
from governance.analyses.feature_correlation import feature_correlation
from governance.analyses.filter_importance import filter_importance
from governance.analyses.layer_prediction import layer_predictions
from governance.errors import AnalysisError
from governance.methods import (
    bounds,
    correlation,
    decision_rules,
    evolved,
    faithfulness,
    filter_ablation,
    lens_and_probe,
    masking,
)
from governance.methods.network import TracedNetwork, trace
from governance.training import certified_finetune, record_epoch

logging.getLogger("torch.__trace").disabled = True

SIDE, CLASSES = 16, 3

#: The same images in other forms that callers hold them in.
FORMS = {
    "double": lambda x: x.double(),
    "every second column": lambda x: x.repeat_interleave(2, dim=-1)[..., ::2],
    "rows last, seen rows first": lambda x: x.movedim(-3, -1).contiguous().movedim(-1, -3),
    "numpy": lambda x: x.numpy(),
    "numpy, double, mirrored": lambda x: mirrored(x.double().numpy()),
    "numpy, read-only": lambda x: read_only(x.numpy()),
    "with a gradient": lambda x: x.clone().requires_grad_(),
}


def mirrored(array):
    return np.ascontiguousarray(array[..., ::-1])[..., ::-1]


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


class Net(nn.Module):
    """Two layers of filters, of which the second is read by a linear layer."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 8, 3, padding=1)
        self.two = nn.Conv2d(8, 6, 3, padding=1)
        self.head = nn.Linear(6 * 4, CLASSES)

    def forward(self, x):
        x = torch.relu(self.two(torch.max_pool2d(torch.relu(self.one(x)), 2)))
        x = torch.max_pool2d(x, 4)
        # A layout that is not contiguous reaches this line and fails there.
        return self.head(x.view(x.shape[0], -1))


def seeded(seed=0, rows=240):
    """A network, and images that it answers in three ways."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, images = Net().eval(), torch.rand(rows, 3, SIDE, SIDE)
        images *= torch.rand(rows, 3, 1, 1)
    with torch.no_grad():
        model.head.weight *= 30
        # No class is ahead for all images.
        model.head.bias -= model(images).median(0).values
    return model, images


MODEL, IMAGES = seeded()
with torch.no_grad():
    LABELS = MODEL(IMAGES).argmax(1).numpy()
FEW, SOME = IMAGES[:2], IMAGES[:24]


def predict(x):
    """Probabilities; as much as promised, and no more, is taken: float32."""
    assert x.dtype == torch.float32
    return MODEL(x).softmax(1)


def network(batch_size=64):
    return trace(MODEL, FEW, batch_size=batch_size)


def brightness(images, targets, seed):
    """An explainer."""
    noise = np.random.default_rng([seed, *targets]).random(images.shape[2:])
    return images.mean(1).numpy() + 1e-3 * noise


def scene(image):
    labels = torch.arange(SIDE * SIDE) // 32
    return masking.Scene(image=image(FEW[0]), labels=labels, replacements={"other": image(FEW[1])})


def asked():
    keep = np.eye(8, dtype=bool)
    return (yield masking.Ask(keep, "other"))


@cache
def recorded_rules():
    found = decision_rules.representative_rules(MODEL, IMAGES, boundaries=20, max_rules=2)
    return found.boundaries, found.images


def epoch(images):
    with mlflow.start_run():
        return sorted(record_epoch(MODEL, (images(SOME), LABELS[:24]), 0).items())


#: By package and function, from a form of images to what the function says of them.
CASES = {
    "network.trace": lambda form: trace(MODEL, form(FEW)).units(),
    "network.TracedNetwork.logits": lambda form: network().logits(form(SOME)),
    "network.TracedNetwork.features": lambda form: [
        values for *_, values in network().features(form(SOME), ["one", "two"])
    ],
    "network.TracedNetwork.gradients": lambda form: [
        values
        for *_, values in network().gradients(form(SOME), ["two"], lambda out, _: out[:, 0].sum())
    ],
    "network.TracedNetwork.ablate": lambda form: [
        output
        for *_, output in network().ablate(form(SOME), {"one": [[0, 1]]}, {"one": torch.zeros(8)})
    ],
    "masking.answer": lambda form: masking.answer(
        masking.Forward(predict, None, FEW[0]), [asked()], [scene(form)]
    ),
    "masking.curve": lambda form: masking.curve(
        predict, form(FEW[0]), form(FEW[1]), FEW[0].mean(0).numpy(), 0, kind="deletion", steps=4
    ),
    "evolved.evolve": lambda form: evolved.evolve(predict, form(FEW[0]), budget=60),
    "evolved.evolve_many": lambda form: evolved.evolve_many(predict, form(FEW), budget=60),
    "evolved.evolve_map": lambda form: evolved.evolve_map(predict, form(FEW[0]), budget=60, grid=3),
    "filter_ablation.measure_filters": lambda form: filter_ablation.measure_filters(
        network(), form(SOME), LABELS[:24], tier="smoke", seed=0
    ),
    "lens_and_probe.read": lambda form: lens_and_probe.read(
        network(), [form(IMAGES[:99]), form(IMAGES[99:])], LABELS, layers=["two"]
    ),
    "correlation.correlate": lambda form: correlation.correlate(
        network(), form(SOME), layers=["one"], depths=["one", "two"], labels=LABELS[:24]
    ),
    "decision_rules.find_cut": lambda form: decision_rules.find_cut(network(), form(SOME)),
    "decision_rules.find_rules": lambda form: decision_rules.find_rules(
        network(), [form(IMAGES)], "one", boundaries=20, max_rules=2
    ),
    "decision_rules.representative_rules": lambda form: decision_rules.representative_rules(
        MODEL, form(IMAGES), LABELS, boundaries=20, max_rules=2
    ),
    "decision_rules.ask": lambda form: decision_rules.ask(*recorded_rules(), MODEL, form(IMAGES)),
    "decision_rules.ask_in_order": lambda form: decision_rules.ask_in_order(
        *recorded_rules(), MODEL, [form(IMAGES[:99]), form(IMAGES[99:])]
    ),
    "bounds.verified_explain": lambda form: bounds.verified_explain(
        MODEL, form(FEW[0]), eps=0.002, grid=(2, 2), steps=2
    ),
    "faithfulness.evaluate": lambda form: dataclasses.replace(
        faithfulness.evaluate(
            brightness, predict, form(FEW), model=MODEL, steps=2, subsets=10, samples=1, stages=1
        ),
        seconds=0.0,
    ),
    "faithfulness.self_test": lambda form: faithfulness.self_test(
        brightness, predict, MODEL, form(FEW), [0, 1], brightness(FEW, [0, 1], 0), steps=2
    ),
    "training.certified_finetune": lambda form: (
        certified_finetune(
            MODEL, form(SOME), torch.from_numpy(LABELS[:24]), eps=0.001, epochs=1
        ).losses
    ),
    "training.record_epoch": epoch,
    "analyses.feature_correlation": lambda form: feature_correlation(
        MODEL, form(SOME), LABELS[:24], layers=["one"], depths=["one", "two"]
    ),
    "analyses.filter_importance": lambda form: filter_importance(
        MODEL, form(SOME), LABELS[:24], tier="smoke"
    ),
    "analyses.layer_predictions": lambda form: layer_predictions(
        MODEL, form(IMAGES), LABELS, layers=["two"], methods=["lens", "probe", "mask"]
    ),
}
#: Functions that no images are given to, and what stands for these.
WITHOUT_IMAGES = {
    "network.TracedNetwork.units": "takes nothing",
    "network.TracedNetwork.stages": "takes nothing",
    "network.TracedNetwork.layout": "takes the name of a layer",
    "network.TracedNetwork.size": "takes the name of a layer",
    "network.together": "takes sizes",
    "network.backward_batch": "takes inputs of the model as they are",
    "network.TracedNetwork.head": "takes activations of this network",
    "network.TracedNetwork.resumed": "takes activations of this network",
    "correlation.fisher": "takes correlations",
    "decision_rules.places": "takes names",
    "filter_ablation.filter_estimates": "takes measurements",
    "faithfulness.agreement": "takes numbers",
}
SLOW_STORE = "training.record_epoch"  # needs an MLflow


def public():
    """Every function that is to be called with images, by its package and name."""
    packages = [
        *(f"governance.methods.{item.name}" for item in pkgutil.iter_modules(
            governance.methods.__path__) if item.ispkg),
        "governance.training",
    ]  # fmt: skip
    for package in packages:
        module = importlib.import_module(package)
        short = package.rpartition(".")[2]
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if thing is TracedNetwork:
                methods = inspect.getmembers(thing, inspect.isfunction)
                yield from (f"{short}.{name}.{m}" for m, _ in methods if not m.startswith("_"))
            elif inspect.isfunction(thing):
                yield f"{short}.{name}"
    for item in pkgutil.iter_modules(governance.analyses.__path__):
        module = importlib.import_module(f"governance.analyses.{item.name}")
        for name, thing in inspect.getmembers(module, inspect.isfunction):
            own = thing.__module__ == module.__name__ and not name.startswith("_")
            if own and "model" in inspect.signature(thing).parameters:
                yield f"analyses.{name}"


def plain(value):
    """Whatever a function returned as nested lists, with arrays of numbers at their ends."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return np.asarray(value, dtype=float)
    if hasattr(value, "to_dict"):  # a table of pandas
        value = value.to_dict("list")
    if dataclasses.is_dataclass(value):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if hasattr(value, "items"):
        value = [[str(key), item] for key, item in value.items()]
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def same(one, two):
    """Whether two of them are the same, numbers up to rounding."""
    if isinstance(one, list):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, float | np.ndarray):
        return np.allclose(one, two, rtol=1e-4, atol=1e-4, equal_nan=True)
    return one == two


@pytest.fixture
def said(request):
    """What each function says of the images as they are, asked once."""
    return request.config.stash.setdefault(KEPT, {})


KEPT = pytest.StashKey()


@pytest.fixture(autouse=True)
def store(request):
    """An MLflow, for the one function that writes into one."""
    if SLOW_STORE in request.node.name:
        request.getfixturevalue("mlflow_store")


def test_every_public_function_has_a_case():
    assert sorted(public()) == sorted({**CASES, **WITHOUT_IMAGES})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CASES)
def test_a_function_says_the_same_of_the_same_images_in_another_form(name, form, said):
    if name not in said:
        said[name] = plain(CASES[name](lambda x: x))

    assert same(said[name], plain(CASES[name](FORMS[form])))


@pytest.mark.parametrize("name", CASES)
def test_whole_numbers_are_refused_with_what_is_accepted(name):
    with pytest.raises(AnalysisError, match=r"uint8.* accepted"):
        CASES[name](lambda x: (x * 255).to(torch.uint8))


@pytest.mark.parametrize("name", CASES)
def test_images_with_their_channels_last_are_refused_with_what_is_accepted(name):
    with pytest.raises(AnalysisError, match="accepted"):
        CASES[name](lambda x: x.movedim(-3, -1).contiguous())


@pytest.mark.parametrize("name", CASES)
def test_what_is_no_image_is_refused_with_what_is_accepted(name):
    with pytest.raises(AnalysisError, match="accepted"):
        CASES[name](lambda _: "an image")
