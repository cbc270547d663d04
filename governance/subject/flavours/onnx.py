"""ONNX: a graph that `mlflow.onnx.log_model` wrote, computed by onnxruntime on the CPU.

An ONNX file holds operators and numbers, and no code. Its tensors are read for the digest, and the
files that it refers to must lie in the model's folder. Needs the extra `onnx`.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from governance.errors import SubjectError
from governance.records.model_terms import ModelTerms
from governance.records.wording import first_few
from governance.subject.answers import chosen
from governance.subject.black_box import BlackBox
from governance.subject.flavours.arrays import ArrayInput, array_input
from governance.subject.flavours.loaded import LoadedModel
from governance.subject.model_files import ModelFiles, artifact_digest
from governance.subject.model_files.archive import LARGEST_MODEL
from governance.subject.network import layer_digests, tensor_digest

__all__ = ["load"]

#: What onnxruntime calls the types of numbers, and what numpy calls them.
NUMBERS = {"float": "float32", "double": "float64"}
SILENT = 4  # onnxruntime logs nothing that it does not raise


def load(files: ModelFiles, terms: ModelTerms, device: torch.device) -> LoadedModel:  # noqa: ARG001 - every flavour is given these
    """Load a graph as a black box.

    Args:
        files: Folder of the model, as read.
        terms: What the policy says about the model.
        device: Not used: the graph is computed on the CPU, so that its numbers do not depend on
            the machine's other devices.

    Raises:
        SubjectError: If onnxruntime is not installed, the graph cannot be read, or it is none from
            one batch of images to one row of numbers for each.
    """
    path = files.inside(str(files.flavours["onnx"].get("data", "model.onnx")))
    tensors = _tensors(_graph(path))
    session = _session(path)
    given, output = _input(session, path.name), _output(session, terms, path.name)
    ask = given.asking(partial(_run, session, session.get_inputs()[0].name, output))
    floating = [tensor for tensor in tensors.values() if tensor.is_floating_point()]
    return LoadedModel(
        classifier=partial(BlackBox, ask=ask),
        format="onnx",
        digest=tensor_digest(tensors) if tensors else artifact_digest(files.folder),
        shape=given.shape,
        levels=given.levels,
        parameters=sum(tensor.numel() for tensor in floating),
        layers=layer_digests(tensors),
    )


def _missing(error: ImportError) -> SubjectError:
    return SubjectError(
        f"a model of the flavour onnx is opened by onnx and onnxruntime, and {error.name} is not "
        "installed: pip install 'mlflow-governance[onnx]'"
    )


def _graph(path: Path) -> Any:
    """The model in a file and in the files beside it, as protocol buffers."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise _missing(error) from error
    if not path.is_file():
        raise SubjectError(f"{path.name}: no such file in the model's folder; one is accepted")
    if path.stat().st_size > LARGEST_MODEL:
        raise SubjectError(
            f"{path.name}: {path.stat().st_size} bytes; at most {LARGEST_MODEL} are accepted"
        )
    try:
        model = onnx.load(path, load_external_data=False)
        _refuse_outside(model, path)
        onnx.load_external_data_for_model(model, str(path.parent))
    except (DecodeError, onnx.checker.ValidationError, ValueError, OSError) as error:
        raise SubjectError(
            f"{path.name}: cannot be read as a model of ONNX: {_first_line(error)}; a file that "
            "mlflow.onnx.log_model wrote is accepted"
        ) from error
    return model


def _refuse_outside(model: Any, path: Path) -> None:
    """Refuse tensors in files beside the graph that do not lie in its own folder."""
    folder = path.parent.resolve()
    for name, tensor in _protos(model):
        for entry in tensor.external_data:
            if entry.key != "location":
                continue
            place = (folder / entry.value).resolve()
            if place.parent != folder or not place.is_file() or (folder / entry.value).is_symlink():
                raise SubjectError(
                    f"{path.name}: the tensor {name[:80]!r} lies in {entry.value[:80]!r}; a file "
                    "in the folder of the graph is accepted"
                )


def _tensors(model: Any) -> dict[str, Tensor]:
    """All numbers in a graph by name: its tensors, and lists of numbers such as trees have."""
    from onnx import numpy_helper

    found = {name: _tensor(numpy_helper.to_array(proto)) for name, proto in _protos(model)}
    for node in _nodes(model):
        for attribute in node.attribute:
            name = f"{next(iter(node.output), node.name)}.{attribute.name}"
            if attribute.floats:
                found[name] = torch.tensor(list(attribute.floats))
            elif attribute.ints:
                found[name] = torch.tensor(list(attribute.ints))
    return found


def _tensor(array: NDArray[Any]) -> Tensor:
    if array.dtype == object:  # texts
        text = "\0".join(str(item) for item in array.reshape(-1)).encode()
        array = np.frombuffer(text, dtype=np.uint8)
    try:
        return torch.from_numpy(np.array(array))
    except TypeError:  # numbers of a kind that numpy borrows, such as bfloat16
        return torch.from_numpy(np.array(array).reshape(-1).view(np.uint8))


def _protos(model: Any) -> Iterator[tuple[str, Any]]:
    """Every tensor of a model with a name: initialisers, and those inside nodes."""
    for graph in _graphs(model.graph):
        for tensor in graph.initializer:
            yield tensor.name, tensor
        for sparse in graph.sparse_initializer:
            yield f"{sparse.values.name}.values", sparse.values
            yield f"{sparse.values.name}.indices", sparse.indices
    for node in _nodes(model):
        for attribute in node.attribute:
            name = f"{next(iter(node.output), node.name)}.{attribute.name}"
            for index, tensor in enumerate((attribute.t, *attribute.tensors)):
                if tensor.dims or tensor.ByteSize():
                    yield (f"{name}.{index}" if index else name), tensor


def _nodes(model: Any) -> Iterator[Any]:
    for graph in _graphs(model.graph):
        yield from graph.node
    for function in model.functions:
        for node in function.node:
            yield node
            for inner in _graphs_of(node):
                yield from inner.node


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph, and all graphs inside its nodes."""
    yield graph
    for node in graph.node:
        yield from _graphs_of(node)


def _graphs_of(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            if inner.node:
                yield from _graphs(inner)


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise _missing(error) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.log_severity_level = SILENT
    options.use_deterministic_compute = True
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except _failures() as error:
        raise SubjectError(
            f"{path.name}: onnxruntime {onnxruntime.__version__} cannot load this graph: "
            f"{_first_line(error)}; operators of ONNX that it knows are accepted"
        ) from error


def _failures() -> tuple[type[Exception], ...]:
    """Everything that onnxruntime raises: kinds without a common parent."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kinds = [item for item in vars(state).values() if isinstance(item, type)]
    return (RuntimeError, ValueError, *(kind for kind in kinds if issubclass(kind, Exception)))


def _input(session: Any, where: str) -> ArrayInput:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = first_few([item.name for item in inputs])
        raise SubjectError(f"{where}: has the inputs {names}; one batch of images is accepted")
    sizes = tuple(size if isinstance(size, int) else None for size in inputs[0].shape)
    return array_input(sizes, _dtype(inputs[0].type), where)


def _output(session: Any, terms: ModelTerms, where: str) -> str:
    """Name of the output with the class scores."""
    shapes = {
        item.name: tuple(item.shape)
        for item in session.get_outputs()
        if _dtype(item.type).startswith("float")
    }
    try:
        return chosen(shapes, terms.output_name)
    except SubjectError as error:
        raise SubjectError(f"{where}: {problem}" for problem in error.problems) from error


def _dtype(kind: str) -> str:
    """Numpy's name of a type such as `tensor(float)`; the type itself where it is no tensor."""
    found = re.fullmatch(r"tensor\((\w+)\)", kind)
    return NUMBERS.get(found[1], found[1]) if found else kind


def _run(session: Any, name: str, output: str, images: NDArray[np.generic]) -> NDArray[np.generic]:
    try:
        answer: NDArray[np.generic] = session.run([output], {name: images})[0]
    except _failures() as error:
        raise SubjectError(
            f"onnxruntime fails on images of shape {images.shape}: {_first_line(error)}; a graph "
            "that takes any number of images is accepted"
        ) from error
    return answer


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
