"""PyTorch: the module that `mlflow.pytorch.log_model` wrote, ready to be examined.

An export (`data/model.pt2`) is unflattened, so that its modules have names and hooks work. Only a
policy that allows it has a pickle (`data/model.pth`) loaded, since that runs code from the file.
Either way the model is tried before anything is measured on it: it must be in evaluation mode and
give an image the same answer alone and in a batch. What cannot be looked into becomes a black box.
"""

import logging
import pickle
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from governance.errors import SubjectError
from governance.records.identity import ModelFormat
from governance.records.model_terms import ModelTerms
from governance.records.wording import first_few
from governance.subject.flavours.adapting import adapted, adapted_program
from governance.subject.flavours.closed import closed_model, input_type, is_empty, why_closed
from governance.subject.flavours.loaded import LoadedModel
from governance.subject.flavours.unwrapping import unwrapped
from governance.subject.model_files import ModelFiles, Shape, signature_shape
from governance.subject.model_files.archive import LARGEST_MODEL, open_archive
from governance.subject.model_files.batch import free_batch
from governance.subject.model_files.reading import IMAGES
from governance.subject.model_files.trial import FAILURES
from governance.subject.network import Network, layer_digests, not_plain, tensor_digest
from governance.subject.outputs import Outputs
from governance.subject.preprocessing import Preprocessing

__all__ = ["load", "module_at_hand"]

TRIED = 2  # images that show in which form a model answers

#: What torch raises on exports that are damaged in ways that the archive does not show.
DAMAGE = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NameError, RuntimeError,
    SyntaxError, TypeError, ValueError, EOFError, OSError, MemoryError, ImportError,
)  # fmt: skip


def load(files: ModelFiles, terms: ModelTerms, device: torch.device) -> LoadedModel:
    """Load a module in evaluation mode.

    Args:
        files: Folder of the model, as read.
        terms: What the policy says about the model; it may allow pickles.
        device: Device of the module.

    Raises:
        SubjectError: If it cannot be loaded, or not without running code from the file and that is
            not allowed; if it was exported in training mode, takes anything but images, or holds
            NaN or infinite weights.
    """
    weights, kind = _weights(files)
    signed = signature_shape(files)
    if kind == "pt2":
        model, shape, precision = _load_export(weights, terms, device)
        terms = replace(terms, output_name=None)  # the one output is left
    elif not terms.allow_pickle:
        raise SubjectError(
            f"{weights.name}: a pickled model, and loading it runs whatever code is in the "
            "file (mlflow.pytorch.autolog pickles); log it again with "
            "mlflow.pytorch.log_model(..., input_example=images), which exports as pt2, or trust "
            "its author and set allow_pickle = true in [model] of the policy"
        )
    else:
        model, shape = _load_pickle(weights), signed
        _entries(model, weights.name)
        model = unwrapped(model)
        precision = input_type(model)
    tensors = _entries(model, weights.name)
    _check_weights(tensors, weights.name)
    why = why_closed(model, tensors, precision)
    if why is not None:
        return closed_model(
            model, files, terms, device,
            why=why, precision=precision, kind=kind, shape=shape, signed=signed,
        )  # fmt: skip
    return module_at_hand(model, terms, device, kind=kind, shape=shape, signed=signed)


def module_at_hand(
    model: nn.Module,
    terms: ModelTerms,
    device: torch.device,
    *,
    kind: ModelFormat,
    shape: Shape,
    signed: Shape,
) -> LoadedModel:
    """A module as a loaded model, in evaluation mode on its device.

    Args:
        model: Module on any device.
        terms: What the policy says about the model.
        device: Device that it is put on.
        kind: How it is stored.
        shape: Input shape that it takes.
        signed: Input shape of the signature.
    """
    placed = model.eval().to(device)
    return LoadedModel(
        # The columns of an export are made in its graph.
        classifier=partial(_network, placed, None if kind == "pt2" else terms, device),
        format=kind,
        digest=tensor_digest(placed),
        shape=shape,
        signed=signed,
        parameters=sum(parameter.numel() for parameter in placed.parameters()),
        layers=layer_digests(placed),
        module=placed,
    )


def _network(
    model: nn.Module,
    terms: ModelTerms | None,
    device: torch.device,
    *,
    preprocessing: Preprocessing,
    outputs: Outputs = "logits",
) -> Network:
    """A network whose module returns a column for each class, whatever it returned before.

    Without terms it does so already.
    """
    if terms is None:
        return Network(model=model, device=device, preprocessing=preprocessing, outputs=outputs)
    pixels = torch.rand(
        (TRIED, preprocessing.depth, *preprocessing.size),
        generator=torch.Generator().manual_seed(0),
    )
    try:
        inputs = preprocessing.inputs(pixels.to(device))
        model = adapted(model, inputs, replace(terms, outputs=outputs))
    except FAILURES:
        # It is tried on the real images next, and refused with what it said.
        pass
    return Network(model=model, device=device, preprocessing=preprocessing, outputs=outputs)


def _weights(files: ModelFiles) -> tuple[Path, Literal["pt2", "pickle"]]:
    """The one file with the model in it, and its storage format."""
    data = files.inside(str(files.flavours["pytorch"].get("model_data", "data")))
    candidates: dict[Literal["pt2", "pickle"], Path] = {
        "pt2": data / "model.pt2",
        "pickle": data / "model.pth",
    }
    present = [kind for kind, path in candidates.items() if path.is_file()]
    if len(present) != 1:
        raise SubjectError(
            f"{files.folder}: {len(present)} of {data.name}/model.pt2 and {data.name}/model.pth; "
            "exactly one is accepted"
        )
    return candidates[present[0]], present[0]


def _program(path: Path) -> torch.export.ExportedProgram:
    _refuse_empty(path)
    archive = open_archive(path)
    try:
        with _without_log():
            return torch.export.load(archive)
    except DAMAGE as error:
        raise SubjectError(
            f"{path.name}: torch {torch.__version__} cannot load this export: {error}; one that "
            "a torch of about this version logged is accepted, and from the CPU (model.cpu()) if "
            "there is no GPU here"
        ) from error


@contextmanager
def _without_log() -> Iterator[None]:
    """Torch logs a traceback of what it raises anyway."""
    log = logging.getLogger("torch.export")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _load_export(
    path: Path, terms: ModelTerms, device: torch.device
) -> tuple[nn.Module, Shape, torch.dtype]:
    """The module of an export, with the shape and the precision of its input."""
    # It takes a second, and pickles need none of it.
    from torch.export.passes import move_to_device_pass

    program = _program(path)
    problems = [f"{path.name}: {problem}" for problem in _export_problems(program)]
    if problems:
        raise SubjectError(problems)
    kinds = {_input(program).meta["val"].dtype, *(item.dtype for item in program.parameters())}
    # A black box makes the columns itself: numbers of labels are taken as they are.
    form = terms if kinds == {torch.float32} else replace(terms, outputs="multilabel")
    program = adapted_program(move_to_device_pass(program, "cpu"), form, path.name)
    program = free_batch(program, path.name)
    images = _input(program).meta["val"]
    channels, height, width = (size if isinstance(size, int) else None for size in images.shape[1:])
    model = torch.export.unflatten(move_to_device_pass(program, device))
    return model, (channels, height, width), images.dtype


def _input(program: torch.export.ExportedProgram) -> torch.fx.Node:
    name = program.graph_signature.user_inputs[0]
    node: torch.fx.Node = next(node for node in program.graph.nodes if node.name == name)
    return node


def _export_problems(program: torch.export.ExportedProgram) -> Iterator[str]:
    inputs = program.graph_signature.user_inputs
    if len(inputs) != 1:
        yield f"{len(inputs)} inputs; one is accepted"
        return
    value = _input(program).meta.get("val")
    images = isinstance(value, Tensor) and value.dim() == IMAGES and value.is_floating_point()
    if not images:
        kind = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value)
        yield f"the input is {kind}; floating-point images (B, C, H, W) are accepted"
    training = list(dict.fromkeys(_training_steps(program.graph)))
    if training:
        yield (
            f"exported in training mode ({', '.join(training[:5])}), which cannot be undone; call "
            "model.eval() before mlflow.pytorch.log_model"
        )


def _training_steps(graph: torch.fx.Graph) -> Iterator[str]:
    """Steps of a graph that behave as in training: batch statistics, dropout."""
    for node in graph.nodes:
        schema = getattr(node.target, "_schema", None)
        for place, argument in enumerate(schema.arguments if schema else ()):
            if argument.name in {"train", "training"}:
                value = node.args[place] if place < len(node.args) else None
                if node.kwargs.get(argument.name, value) is True:
                    stack = list(node.meta.get("nn_module_stack", {}).values())
                    yield stack[-1][0] if stack and stack[-1][0] else node.name


def _load_pickle(path: Path) -> nn.Module:
    _refuse_empty(path)
    if path.stat().st_size > LARGEST_MODEL:
        raise SubjectError(
            f"{path.name}: {path.stat().st_size} bytes; at most {LARGEST_MODEL} are accepted"
        )
    try:
        # Torch warns that TorchScript is opened by another of its functions, and is deprecated.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = torch.load(path, map_location="cpu", weights_only=False)
    except (
        pickle.UnpicklingError, ImportError, AttributeError, RuntimeError, EOFError, TypeError,
        ValueError, KeyError, IndexError, OSError,
    ) as error:  # fmt: skip
        raise SubjectError(
            f"{path.name}: cannot be unpickled: {_first_line(error)}; a whole file is accepted: "
            "install what the model's code imports, or log it again as pt2, which needs no code"
        ) from error
    if not isinstance(model, nn.Module):
        raise SubjectError(
            f"{path.name}: holds {type(model).__name__}; a torch.nn.Module is accepted"
        )
    return model


def _refuse_empty(path: Path) -> None:
    if path.stat().st_size == 0:
        raise SubjectError(
            f"{path.name}: an empty file; one that mlflow.pytorch.log_model wrote is accepted"
        )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _check_weights(tensors: Mapping[str, object], name: str) -> None:
    """Refuse weights that are not there, or are no numbers."""
    empty = [key for key, value in tensors.items() if is_empty(value)]
    if empty:
        raise SubjectError(
            f"{name}: {len(empty)} of {len(tensors)} entries of the state dict have no numbers "
            f"yet: {first_few(empty)}; a model that has seen an image, with its weights loaded, is "
            "accepted"
        )
    broken = [f"{key} holds {count}" for key, count in _not_finite(tensors).items()]
    if broken:
        raise SubjectError(
            f"{name}: NaN or infinite numbers in {len(broken)} of {len(tensors)} tensors: "
            f"{first_few(broken)}; finite weights are accepted"
        )


def _entries(model: nn.Module, name: str) -> dict[str, object]:
    """Everything in a module's state dict, and its buffers that are not kept there."""
    try:
        return {**dict(model.named_buffers()), **model.state_dict(keep_vars=True)}
    except (AttributeError, RuntimeError, TypeError, ValueError, KeyError) as error:
        # Quantised convolutions of torch come back from a pickle without their attributes.
        raise SubjectError(
            f"{name}: its tensors cannot be listed: {_first_line(error)}; log a quantised model "
            "as it was before, or as TorchScript (torch.jit.script), whose answers are assessed"
        ) from error


def _not_finite(tensors: Mapping[str, object]) -> dict[str, str]:
    """How many numbers of each tensor are NaN or infinite, for those that have any."""
    strange, counts = not_plain(tensors), {}
    for key, tensor in tensors.items():
        if key in strange or not isinstance(tensor, Tensor):
            continue
        if tensor.is_floating_point() or tensor.is_complex():
            # torch has no isfinite for numbers of eight bits.
            numbers = tensor.float() if tensor.dtype.itemsize == 1 else tensor
            count = int((~torch.isfinite(numbers)).sum())
            if count:
                counts[key] = f"{count} of {tensor.numel()}"
    return counts
