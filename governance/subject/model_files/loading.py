"""Loading: the module in a model's files, ready to be examined.

An export (`data/model.pt2`) is unflattened, so that its modules have names and hooks work. Only a
policy that allows it has a pickle (`data/model.pth`) loaded, since that runs code from the file.
Either way the model is tried before anything is measured on it: it must be in evaluation mode and
give an image the same answer alone and in a batch.
"""

import logging
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from governance.errors import SubjectError
from governance.records.evidence import ModelIdentity
from governance.records.wording import first_few
from governance.subject.model_files.archive import LARGEST_MODEL, open_archive
from governance.subject.model_files.batch import free_batch
from governance.subject.model_files.reading import IMAGES, ModelFiles, Shape, artifact_digest
from governance.subject.network import layer_digests, not_plain, tensor_digest

__all__ = ["LoadedModel", "load"]

#: What torch raises on exports that are damaged in ways that the archive does not show.
DAMAGE = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NameError, RuntimeError,
    SyntaxError, TypeError, ValueError, EOFError, OSError, MemoryError, ImportError,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedModel:
    """A model in evaluation mode.

    Attributes:
        model: Module on the device asked for.
        shape: Input shape, of the export where there is one, else of the signature.
        digest: sha256 over the model's tensors.
        parameters: Number of trainable numbers.
    """

    model: nn.Module
    shape: Shape
    digest: str
    parameters: int

    def identity(self, files: ModelFiles, **place: Any) -> ModelIdentity:
        """Identity for the record; `place` names the model in MLflow."""
        return ModelIdentity(
            digest=self.digest,
            artifact_digest=artifact_digest(files.folder),
            format=files.format,
            parameters=self.parameters,
            layers=layer_digests(self.model),
            **place,
        )


def load(files: ModelFiles, *, allow_pickle: bool, device: torch.device) -> LoadedModel:
    """Load a model in evaluation mode.

    Raises:
        SubjectError: If it cannot be loaded, or not without running code from the file and that is
            not allowed; if it was exported in training mode, takes or holds anything but float32,
            or holds NaN or infinite weights.
    """
    if files.format == "pt2":
        model, shape = _load_export(files.weights, device)
    elif not allow_pickle:
        raise SubjectError(
            f"{files.weights.name}: a pickled model, and loading it runs whatever code is in the "
            "file; log it again with mlflow.pytorch.log_model(..., input_example=images), which "
            "exports as pt2, or trust its author and set allow_pickle = true in [model] of the "
            "policy"
        )
    else:
        model, shape = _load_pickle(files.weights), files.shape
    _check_weights(model, files.weights.name)
    return LoadedModel(
        model=model.eval().to(device),
        shape=shape,
        digest=tensor_digest(model),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


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


def _load_export(path: Path, device: torch.device) -> tuple[nn.Module, Shape]:
    # It takes a second, and pickles need none of it.
    from torch.export.passes import move_to_device_pass  # noqa: PLC0415

    program = _program(path)
    problems = [f"{path.name}: {problem}" for problem in _export_problems(program)]
    if problems:
        raise SubjectError(problems)
    program = free_batch(move_to_device_pass(program, "cpu"), path.name)
    sizes = _input(program).meta["val"].shape[1:]
    channels, height, width = (size if isinstance(size, int) else None for size in sizes)
    model = torch.export.unflatten(move_to_device_pass(program, device))
    return model, (channels, height, width)


def _input(program: torch.export.ExportedProgram) -> torch.fx.Node:
    name = program.graph_signature.user_inputs[0]
    node: torch.fx.Node = next(node for node in program.graph.nodes if node.name == name)
    return node


def _export_problems(program: torch.export.ExportedProgram) -> Iterator[str]:
    inputs, outputs = program.graph_signature.user_inputs, program.graph_signature.user_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        yield f"{len(inputs)} inputs and {len(outputs)} outputs; one of each is accepted"
        return
    value = _input(program).meta.get("val")
    if not isinstance(value, Tensor) or value.dtype != torch.float32 or value.dim() != IMAGES:
        kind = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value)
        yield f"the input is {kind}; float32 images (B, C, H, W) are accepted"
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
        model = torch.load(path, map_location="cpu", weights_only=False)
    except (
        pickle.UnpicklingError, ImportError, AttributeError, RuntimeError, EOFError, TypeError,
        ValueError, KeyError, IndexError, OSError,
    ) as error:  # fmt: skip
        raise SubjectError(
            f"{path.name}: cannot be unpickled: {_first_line(error)}; a whole file is accepted: "
            "install what the model's code imports, or log it again as pt2, which needs no code"
        ) from error
    if not isinstance(model, nn.Module) or isinstance(model, torch.jit.ScriptModule):
        raise SubjectError(
            f"{path.name}: holds {type(model).__name__}; a torch.nn.Module that is not TorchScript "
            "is accepted"
        )
    return model


def _refuse_empty(path: Path) -> None:
    if path.stat().st_size == 0:
        raise SubjectError(
            f"{path.name}: an empty file; one that mlflow.pytorch.log_model wrote is accepted"
        )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _check_weights(model: nn.Module, name: str) -> None:
    entries = _entries(model, name)
    strange = [f"{key} ({kind})" for key, kind in not_plain(entries).items()]
    if strange:
        raise SubjectError(
            f"{name}: {len(strange)} of {len(entries)} entries of the state dict are no plain "
            f"tensors: {first_few(strange)}; float32 weights are accepted: log a quantised or "
            "sparse model as it was before"
        )
    weights = {key: entries[key] for key, _ in model.named_parameters()}
    others = [
        f"{key} ({weight.dtype})"
        for key, weight in weights.items()
        if weight.dtype != torch.float32
    ]
    problems = []
    if others:
        problems.append(
            f"{name}: {len(others)} of {len(weights)} weights are not float32: "
            f"{first_few(others)}; float32 weights are accepted"
        )
    broken = [f"{key} holds {count}" for key, count in _not_finite(entries).items()]
    if broken:
        problems.append(
            f"{name}: NaN or infinite numbers in {len(broken)} of {len(entries)} tensors: "
            f"{first_few(broken)}; finite weights are accepted"
        )
    if problems:
        raise SubjectError(problems)


def _entries(model: nn.Module, name: str) -> dict[str, Tensor]:
    """Everything in a module's state dict, and its buffers that are not kept there."""
    try:
        return {**dict(model.named_buffers()), **model.state_dict(keep_vars=True)}
    except (AttributeError, RuntimeError, TypeError, ValueError, KeyError) as error:
        # Quantised convolutions of torch come back from a pickle without their attributes.
        raise SubjectError(
            f"{name}: its tensors cannot be listed: {_first_line(error)}; float32 weights are "
            "accepted: log a quantised model as it was before"
        ) from error


def _not_finite(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """How many numbers of each tensor are NaN or infinite, for those that have any."""
    counts = {}
    for key, tensor in tensors.items():
        if tensor.is_floating_point() or tensor.is_complex():
            # torch has no isfinite for numbers of eight bits.
            numbers = tensor.float() if tensor.dtype.itemsize == 1 else tensor
            count = int((~torch.isfinite(numbers)).sum())
            if count:
                counts[key] = f"{count} of {tensor.numel()}"
    return counts
