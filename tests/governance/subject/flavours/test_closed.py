"""Closed models: what cannot be looked into answers as it is deployed, and says why."""

import pytest
import torch
from torch import nn

from governance.records.model_terms import ModelTerms
from governance.subject import flavours, model_files
from governance.subject.black_box import BlackBox
from governance.subject.model_files import artifact_digest, trial
from governance.subject.network import tensor_digest
from governance.subject.preprocessing import Preprocessing

CPU = torch.device("cpu")
PIXELS = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
QUIET = pytest.mark.filterwarnings(
    "ignore:(Sparse CSR|The PyTorch API of nested|.*(TypedStorage|[Dd]eprecat|reduce_range))"
)


class Labelled(torch.Tensor):
    """A tensor of a kind of its own."""


class WithState(nn.Sequential):
    """A network that keeps more than tensors in its state."""

    def get_extra_state(self):
        return {"scale": 2}

    def set_extra_state(self, state):
        pass


def network(kind=nn.Sequential):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(
            nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 3)
        ).eval()


def with_buffer(value, *, persistent):
    model = network()
    model.register_buffer("odd", value, persistent=persistent)
    return model


def opened(model, folder, *, export=None):
    """A model saved as MLflow does it, loaded again, with its black box."""
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {pytorch: {model_data: data}}")
    if export is not None:
        program = torch.export.export(model, (PIXELS[:2].to(export),),
                                      dynamic_shapes=({0: torch.export.Dim.AUTO},))  # fmt: skip
        torch.export.save(program, folder / "data" / "model.pt2")
    elif isinstance(model, torch.jit.ScriptModule):
        model.save(folder / "data" / "model.pth")
    else:
        torch.save(model, folder / "data" / "model.pth")
    loaded = flavours.load(model_files.read(folder), ModelTerms(allow_pickle=True), CPU)
    box = loaded.classifier(preprocessing=Preprocessing(size=(8, 8)), outputs="logits")
    assert isinstance(box, BlackBox)
    return loaded, box


@QUIET
@pytest.mark.parametrize("make", [torch.jit.script, lambda model: torch.jit.trace(model, PIXELS)])
def test_torchscript_answers_as_its_module(tmp_path, make):
    model = network()
    loaded, box = opened(make(model), tmp_path)
    torch.testing.assert_close(box.answers(PIXELS), model(PIXELS).detach())
    assert box.closed == "is TorchScript"
    assert loaded.digest == tensor_digest(model)


@QUIET
def test_a_model_that_scales_by_the_batch_is_asked_for_one_image_after_the_other(tmp_path):
    model = torch.ao.quantization.quantize_dynamic(network(), {nn.Linear})
    loaded, box = opened(model, tmp_path)
    singly = torch.cat([model(image[None]) for image in PIXELS])
    assert not torch.equal(model(PIXELS), singly)
    assert torch.equal(box.answers(PIXELS), singly)
    trial.check_batch(box.answers, PIXELS, "m", box.tolerance)
    assert "is quantised or keeps other things than plain tensors: 4._packed_params" in box.closed
    assert loaded.digest == artifact_digest(tmp_path)
    assert loaded.parameters is None


@pytest.mark.parametrize("export", [False, True])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_another_precision_is_computed_in_itself(tmp_path, kind, export):
    model = network().to(kind)
    loaded, box = opened(model, tmp_path, export=kind if export else None)
    answers = box.answers(PIXELS)
    assert answers.dtype in {torch.float32, torch.float64}
    torch.testing.assert_close(answers, model(PIXELS.to(kind)).detach().to(answers.dtype))
    trial.check_batch(box.answers, PIXELS, "m", box.tolerance)
    assert box.closed == f"computes in {str(kind).removeprefix('torch.')} and not in float32"
    assert loaded.digest == tensor_digest(model)
    assert loaded.parameters == sum(weight.numel() for weight in model.parameters())


@QUIET
@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: torch.eye(3).to_sparse(), "odd (torch.sparse_coo tensor)"),
        (lambda: torch.eye(3).to_sparse_csr(), "odd (torch.sparse_csr tensor)"),
        (
            lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8),
            "odd (quantised tensor)",
        ),
        (
            lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
            "odd (nested tensor)",
        ),
        (lambda: torch.ones(3).as_subclass(Labelled), "odd (Labelled)"),
    ],
)
def test_what_has_no_plain_tensors_is_named(tmp_path, make, kind, persistent):
    model = with_buffer(make(), persistent=persistent)
    loaded, box = opened(model, tmp_path)
    torch.testing.assert_close(box.answers(PIXELS), model(PIXELS).detach())
    assert kind in box.closed
    assert (loaded.digest == artifact_digest(tmp_path)) is persistent


def test_objects_in_the_state_are_named(tmp_path):
    _, box = opened(network(WithState), tmp_path)
    assert box.closed.endswith("_extra_state (dict)")


@QUIET
def test_frozen_torchscript_of_other_weights_has_another_digest(tmp_path):
    def frozen(name, change):
        model = network()
        with torch.no_grad():
            model[0].bias += change
        return opened(torch.jit.freeze(torch.jit.script(model)), tmp_path / name)[0]

    first, second = frozen("a", 0.0), frozen("b", 1.0)
    assert first.digest != second.digest
    assert first.parameters is None
