"""Adapting: a torch model that returns something else keeps its paths, tensors and tracing."""

import copy

import pytest
import torch
from torch import nn

from governance.errors import SubjectError
from governance.methods.network import trace
from governance.records.model_terms import ModelTerms
from governance.subject import flavours, model_files
from governance.subject.flavours.adapting import adapted, adapted_program
from governance.subject.model_files.batch import free_batch
from governance.subject.network import tensor_digest
from governance.subject.preprocessing import Preprocessing

IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Of(nn.Module):
    """A network with a batch norm, whose answer is a function of its scores and features."""

    def __init__(self, classes, answer):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.fc = nn.Linear(4, classes)
        self.answer = answer

    def forward(self, x):
        features = self.body(x)
        return self.answer(self.fc(features), features)


CASES = {
    "dictionary": (3, lambda y, f: {"logits": y, "features": f}, {}, lambda y: y),
    "tuple": (3, lambda y, f: (f, y), {"output_name": "1"}, lambda y: y),
    "one logit": (1, lambda y, _: y, {}, lambda y: torch.cat([0 * y, y], 1)),
    "flat logit": (1, lambda y, _: y[:, 0], {}, lambda y: torch.cat([0 * y, y], 1)),
    "one sigmoid": (
        1,
        lambda y, _: y.sigmoid(),
        {"outputs": "sigmoid"},
        lambda y: torch.cat([1 - y.sigmoid(), y.sigmoid()], 1),
    ),
    "maps of one pixel": (3, lambda y, _: y[:, :, None, None], {}, lambda y: y),
    "labels": (3, lambda y, _: [y], {"outputs": "multilabel_logits"}, torch.sigmoid),
    "half precision at the end": (3, lambda y, _: y.half(), {}, lambda y: y.half().float()),
}


def network(classes, answer):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Of(classes, answer).eval()


@pytest.mark.parametrize("name", CASES)
def test_a_module_gives_a_column_for_each_class_under_its_own_names(name):
    classes, answer, terms, wanted = CASES[name]
    model = network(classes, answer)
    found = adapted(model, IMAGES[:2], ModelTerms(**terms))
    with torch.no_grad():
        scores = model.fc(model.body(IMAGES))
        torch.testing.assert_close(found(IMAGES), wanted(scores))
    assert tensor_digest(found) == tensor_digest(model)
    assert [name for name, _ in found.named_modules()] == [n for n, _ in model.named_modules()]
    assert "body.0" in {unit.layer for unit in trace(found, IMAGES).units()}


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_an_export_gives_the_same_and_can_still_be_replayed(name, frozen):
    classes, answer, terms, wanted = CASES[name]
    model = network(classes, answer)
    dynamic = None if frozen else ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(model, (IMAGES[: 1 if frozen else 2],), dynamic_shapes=dynamic)
    made = free_batch(adapted_program(program, ModelTerms(**terms), "m"), "m")
    found = torch.export.unflatten(made)
    with torch.no_grad():
        scores = model.fc(model.body(IMAGES))
        torch.testing.assert_close(found(IMAGES), wanted(scores))
    assert tensor_digest(found) == tensor_digest(model)
    traced = trace(found, IMAGES)
    assert traced.path == "export"
    assert [unit.layer for unit in traced.units()] == ["body.0"]


def test_a_model_that_returns_its_class_scores_is_taken_as_it_is():
    model = network(3, lambda y, _: y)
    assert adapted(model, IMAGES, ModelTerms()) is model
    program = torch.export.export(model, (IMAGES,))
    assert adapted_program(program, ModelTerms(), "m") is program


def test_several_outputs_that_could_be_meant_are_refused_by_name():
    model = network(3, lambda y, f: {"a": y, "b": f})
    with pytest.raises(SubjectError, match="output_name = 'a'"):
        adapted(model, IMAGES, ModelTerms())
    program = torch.export.export(model, (IMAGES,))
    with pytest.raises(SubjectError, match=r"m: returns 'a' .* output_name = 'a'"):
        adapted_program(program, ModelTerms(), "m")


def test_an_adapted_model_is_copied_and_switched_as_a_whole():
    model = network(3, lambda y, _: {"logits": y})
    found = copy.deepcopy(adapted(model, IMAGES, ModelTerms()))
    found.train()
    assert found.model.training
    assert found.model.body[1].training
    assert not model.training
    assert found.model.fc is found.fc


def test_hooks_on_the_model_itself_are_called():
    model = network(3, lambda y, _: {"logits": y})
    model.register_forward_pre_hook(lambda _, images: (images[0] * 0,))
    found = adapted(model, IMAGES, ModelTerms())
    torch.testing.assert_close(found(IMAGES), model(IMAGES)["logits"])
    assert trace(found, IMAGES).path == "hooks"


@pytest.mark.parametrize("precision", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", [name for name in CASES if "half" not in name])
def test_an_export_is_loaded_with_a_column_for_each_class(name, precision, tmp_path):
    classes, answer, terms, wanted = CASES[name]
    model = network(classes, answer).to(precision)
    images = IMAGES.to(precision)
    (tmp_path / "data").mkdir()
    (tmp_path / "MLmodel").write_text("flavors: {pytorch: {model_data: data}}")
    program = torch.export.export(model, (images,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    torch.export.save(program, tmp_path / "data" / "model.pt2")

    said = ModelTerms(**terms)
    loaded = flavours.load(model_files.read(tmp_path), said, torch.device("cpu"))
    found = loaded.classifier(preprocessing=Preprocessing(size=(8, 8)), outputs=said.outputs)

    with torch.no_grad():
        scores = model.fc(model.body(images))
    near = 1e-6 if precision == torch.float32 else 2e-3
    torch.testing.assert_close(found.answers(IMAGES), wanted(scores.float()), rtol=0, atol=near)
