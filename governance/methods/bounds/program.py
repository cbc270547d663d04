"""Program: what a network computes, step by step, so that each step can be bounded.

The model is exported (`torch.export`) to its aten operators, with in-place writes resolved and
control flow that depends on the image refused; eager modules and modules unflattened from a stored
`pt2` program take the same way. Each operator becomes one of the kinds of `operators.py`. One that
is not known is refused by name: a bound that passes over a step it does not understand proves
nothing. What was read is then compared with the model itself on the images that are asked about.
"""

import math
import typing
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.fx.node import map_arg

from governance.errors import AnalysisError
from governance.methods.bounds.aten import READERS, Source
from governance.methods.bounds.operators import Operator

__all__ = ["Program", "Step", "read"]

# In the example: one image alone would hide a step that mixes images.
IMAGES = 2
FLOATS = (torch.float32, torch.float64)
PARTS = ("split", "split_with_sizes", "chunk")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One operator applied to earlier steps.

    Attributes:
        name: Name in the exported graph.
        aten: Name of the aten operator.
        operator: Operation of the step; None for the image.
        sources: Positions of the steps it reads.
        shape: Shape of its output, without the leading dimension.
    """

    name: str
    aten: str
    operator: Operator | None
    sources: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """A classifier as steps in order; the first is the image, the last gives one number a class.

    Attributes:
        steps: In an order in which every source comes first.
        dtype: Type of all constants.
        softmax: Whether a final softmax was left away: it never changes which class is greatest.
    """

    steps: tuple[Step, ...]
    dtype: torch.dtype
    softmax: bool

    @property
    def classes(self) -> int:
        """Number of outputs."""
        return self.steps[-1].shape[0]

    @property
    def coverage(self) -> dict[str, int]:
        """How often each aten operator occurs."""
        return dict(sorted(Counter(step.aten for step in self.steps[1:]).items()))

    @property
    def activations(self) -> int:
        """Numbers per image that enter a step whose bound is a relaxation."""
        return sum(
            math.prod(self.steps[source].shape)
            for step in self.steps
            if hasattr(step.operator, "loose")
            for source in step.sources
        )

    def values(self, images: Tensor) -> list[Tensor]:
        """Outputs of all steps for images (N, *shape)."""
        found = [images.to(self.dtype)]
        for step in self.steps:
            if step.operator is not None:
                found.append(step.operator.value([found[source] for source in step.sources]))
        return found


def read(
    model: nn.Module,
    shape: Sequence[int],
    *,
    dtype: torch.dtype = torch.float64,
    live: bool = False,
) -> Program:
    """The steps of a classifier in evaluation mode.

    Args:
        model: Maps (N, *shape) to (N, classes).
        shape: Shape of one image, (C, H, W).
        dtype: Type of the constants; float64 where claims are made.
        live: Whether convolutions and linear layers use the model's own parameters, so that bounds
            have gradients. Normalisation is always a constant.

    Raises:
        AnalysisError: For a model in training mode, in half precision or quantised, for operators
            that cannot be bounded (all of them, by name), and for control flow that depends on the
            image.
    """
    refuse_unsuitable(model)
    tensors = model.state_dict(keep_vars=True)
    device = next((item.device for item in tensors.values()), torch.device("cpu"))
    exported = _exported(model, torch.zeros(IMAGES, *shape, device=device))
    signature = exported.graph_signature
    constants: dict[str, Any] = {}
    for name, key in {**signature.inputs_to_parameters, **signature.inputs_to_buffers}.items():
        tensor = tensors[key] if key in tensors else exported.constants[key]
        constants[name] = _constant(tensor if live else tensor.detach(), dtype)
    for name, key in signature.inputs_to_lifted_tensor_constants.items():
        constants[name] = _constant(exported.constants[key], dtype)
    example = torch.zeros((), dtype=dtype, device=device)
    return _Reading(constants, example).program(exported.graph_module.graph.nodes)


def refuse_unsuitable(model: nn.Module) -> None:
    """Raise for a model that computes something else than float32 evaluation.

    Raises:
        AnalysisError: For training mode, half precision, quantised or non-finite weights.
    """
    training = [name or "the model" for name, part in model.named_modules() if part.training]
    if training:
        raise AnalysisError(
            f"in training mode: {', '.join(training[:3])}; a model in evaluation mode is accepted"
        )
    for name, tensor in model.state_dict().items():
        if not isinstance(tensor, Tensor) or tensor.is_quantized:
            raise AnalysisError(f"{name} is quantised; a model with float32 weights is accepted")
        if tensor.is_floating_point() and tensor.dtype not in FLOATS:
            raise AnalysisError(f"{name} is {tensor.dtype}; a model in float32 is accepted")
        if not torch.isfinite(tensor).all():
            raise AnalysisError(f"{name} holds NaN or infinity; finite weights are accepted")


def _exported(model: nn.Module, example: Tensor) -> Any:
    errors = (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError)
    try:
        with torch.no_grad():
            exported = torch.export.export(model, (example,), strict=False)
            return exported.run_decompositions({})
    except errors as error:
        lines = str(error).strip().splitlines()
        raise AnalysisError(
            f"the model's steps cannot be read ({lines[0] if lines else type(error).__name__}); "
            "a model that takes one image and whose steps do not depend on its values is accepted"
        ) from error


def _constant(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


class _Reading:
    """The steps found so far, while a graph is walked from its input to its output."""

    def __init__(self, constants: dict[str, Any], example: Tensor) -> None:
        self.constants = constants
        self.example = example
        self.places: dict[str, int] = {}
        self.steps: list[Step] = []
        self.unknown: Counter[str] = Counter()
        self.softmax: set[str] = set()

    def program(self, nodes: Iterable[Node]) -> Program:
        for node in nodes:
            if node.op == "placeholder" and node.name not in self.constants:
                if self.steps:
                    raise AnalysisError("the model takes several inputs; one image is accepted")
                self._append(node, "input", None, [])
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                return self._finished(node)
        raise AnalysisError("the exported graph has no output")

    def _call(self, node: Node) -> None:
        name = str(node.target).removeprefix("aten.").split(".")[0]
        name = "getitem" if "getitem" in name else name
        varying = [item for item in node.all_input_nodes if item.name not in self.constants]
        if not varying:
            args, kwargs = map_arg((node.args, node.kwargs), lambda n: self.constants[n.name])
            result = node.target(*args, **kwargs)  # type: ignore[operator]
            whole = not isinstance(result, Tensor)
            self.constants[node.name] = result if whole else _constant(result, self.example.dtype)
        elif all(item.name in self.places for item in varying):
            self._read(node, name, varying)
        # Otherwise it stands behind an operator that is already counted as unknown.

    def _read(self, node: Node, name: str, varying: Sequence[Node]) -> None:
        users = list(node.users)
        if name in {"softmax", "_softmax", "log_softmax", "_log_softmax"} and all(
            user.op == "output" for user in users
        ):
            # The order of the classes, which every claim is about, is that of its argument.
            self.places[node.name] = self.places[varying[0].name]
            self.softmax.add(node.name)
            return
        if name == "getitem" and node.args[1] == 0 and "batch_norm" in str(varying[0].target):
            # Normalisation returns its statistics beside the result; the result is the step.
            self.places[node.name] = self.places[varying[0].name]
            return
        if name in PARTS and all("getitem" in str(user.target) for user in users):
            self._parts(node)
            return
        reader = READERS.get(name)
        args, kwargs = map_arg((node.args, node.kwargs), self._resolved)
        made = reader(_shape(node), *args, **kwargs) if reader and _images_apart(node) else None
        if made is None:
            self.unknown[name] += 1
        elif isinstance(made, Source):
            self.places[node.name] = made.place
        else:
            sources = [n for n in node.all_input_nodes if n.name in self.places]
            if name in {"add", "sub", "mul", "cat"}:
                sources = [n for n in _flat(node.args) if n.name in self.places]
            self._append(node, name, made, sources)

    def _parts(self, node: Node) -> None:
        """Pieces of a split: each is a slice of its own."""
        (source,) = (item for item in node.all_input_nodes if item.name in self.places)
        dim: Any = node.args[2] if len(node.args) > 2 else node.kwargs.get("dim", 0)  # noqa: PLR2004 - its position
        starts = [0]
        for part in node.meta["val"]:
            starts.append(starts[-1] + part.shape[dim])
        for user in node.users:
            index: Any = user.args[1]
            made = READERS["slice"](
                tuple(node.meta["val"][index].shape[1:]),
                self._resolved(source), dim, starts[index], starts[index + 1],
            )  # fmt: skip
            if made is None:
                self.unknown[str(node.target)] += 1
            else:
                self._append(user, "slice", typing.cast("Operator", made), [source])

    def _resolved(self, node: Node) -> Any:
        if node.name in self.places:
            place = self.places[node.name]
            return Source(place=place, shape=self.steps[place].shape, example=self.example)
        return self.constants[node.name]

    def _append(
        self, node: Node, aten: str, made: Operator | None, sources: Sequence[Node]
    ) -> None:
        places = tuple(self.places[source.name] for source in sources)
        self.places[node.name] = len(self.steps)
        shape = _shape(node)
        self.steps.append(
            Step(name=node.name, aten=aten, operator=made, sources=places, shape=shape)
        )

    def _finished(self, node: Node) -> Program:
        if self.unknown:
            listed = ", ".join(f"{name} ({n} times)" for name, n in sorted(self.unknown.items()))
            raise AnalysisError(
                f"no sound bound is known for {listed}; accepted are {', '.join(sorted(READERS))}"
            )
        results = _flat(node.args)
        if len(results) != 1 or results[0].name not in self.places:
            raise AnalysisError(
                f"the model returns {len(results)} tensors that depend on the image; one with a "
                "number for each class is accepted"
            )
        last = self.places[results[0].name]
        if len(self.steps[last].shape) != 1:
            raise AnalysisError(
                f"the model returns shape {self.steps[last].shape} per image; one number for each "
                "class is accepted"
            )
        # Steps after the last one that counts are dead branches.
        return Program(
            steps=tuple(self.steps[: last + 1]),
            dtype=self.example.dtype,
            softmax=results[0].name in self.softmax,
        )


def _shape(node: Node) -> tuple[int, ...]:
    value = node.meta["val"]
    first = value[0] if isinstance(value, tuple | list) else value
    return tuple(int(size) for size in first.shape[1:])


def _images_apart(node: Node) -> bool:
    value = node.meta["val"]
    first = value[0] if isinstance(value, tuple | list) else value
    return bool(first.ndim > 0 and first.shape[0] == IMAGES)


def _flat(arguments: Any) -> list[Node]:
    found: list[Node] = []

    def keep(node: Node) -> Node:
        found.append(node)
        return node

    map_arg(arguments, keep)
    return found
