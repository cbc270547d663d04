"""Adapting: a torch model that returns something else, made to return its class scores alone.

The class scores are taken out of a dictionary or the like, and one number for two classes becomes
two columns. What does so are plain torch functions after the model, so that its forward pass can
still be traced. Paths of modules, tensors and their digests stay those of the model.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from governance.errors import SubjectError
from governance.records.model_terms import ModelTerms
from governance.subject.answers import Entry, chosen, entries
from governance.subject.outputs import Outputs, column_maker

__all__ = ["adapted", "adapted_program"]

Step = Callable[[Any], Any]
ROWS = 2  # dimensions of (B, K)


class Adapted(nn.Module):
    """A model with steps after it, which has the model's own modules and tensors under their names.

    Attributes:
        model: The model as it was.
        steps: What makes its class scores of what it returns.
    """

    model: nn.Module
    steps: tuple[Step, ...]

    def __init__(self, model: nn.Module, steps: tuple[Step, ...]) -> None:
        super().__init__()
        # Past nn.Module, which would put the model's modules under another path.
        self.__dict__.update(
            model=model,
            steps=steps,
            training=model.training,
            _modules=model._modules,  # noqa: SLF001 - shared on purpose
            _parameters=model._parameters,  # noqa: SLF001
            _buffers=model._buffers,  # noqa: SLF001
        )

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (B, K) of images (B, C, H, W)."""
        # Its forward alone: torch.fx does not trace the call of a module that it finds under no
        # path. Hooks on the model itself need the call.
        hooked = self.model._forward_hooks or self.model._forward_pre_hooks  # noqa: SLF001
        value = self.model(images) if hooked else type(self.model).forward(self.model, images)
        for step in self.steps:
            value = step(value)
        scores: Tensor = value
        return scores

    def train(self, mode: bool = True) -> "Adapted":  # noqa: FBT001, FBT002 - as nn.Module has it
        """Switch the model as well: its forward pass may ask for its mode."""
        self.model.train(mode)
        return super().train(mode)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Tensors of the model, as it gives them itself."""
        return self.model.state_dict(*args, **kwargs)


def adapted(model: nn.Module, images: Tensor, terms: ModelTerms) -> nn.Module:
    """A model that returns one tensor with a column for each class; `model` itself if it does so.

    Args:
        model: Module in evaluation mode.
        images: (B, C, H, W), as the model takes them.
        terms: What the policy says about the outputs.

    Raises:
        SubjectError: If no class scores are found in what the model returns.
    """
    with torch.no_grad():
        entry = _scores(model(images), terms)
    steps = (*entry.getters, *_arranging(entry.tensor, terms.outputs))
    return Adapted(model, steps) if steps else model


def adapted_program(
    program: torch.export.ExportedProgram, terms: ModelTerms, name: str
) -> torch.export.ExportedProgram:
    """The same of an exported program, exported again with one output.

    Args:
        program: Export with one input (B, C, H, W); it is used up.
        terms: What the policy says about the outputs.
        name: Name of the export in messages.

    Raises:
        SubjectError: If no class scores are found among its outputs, or torch cannot export it
            again.
    """
    module = program.module(check_guards=False)
    output = module.graph.output_node()
    nodes = pytree.tree_leaves(output.args[0])
    values = [node.meta.get("val") if isinstance(node, torch.fx.Node) else None for node in nodes]
    answer = pytree.tree_unflatten(values, program.call_spec.out_spec)
    try:
        entry = _scores(answer, terms)
        steps = tuple(_arranging(entry.tensor, terms.outputs))
    except SubjectError as error:
        raise SubjectError(f"{name}: {problem}" for problem in error.problems) from error
    if not steps and not entry.getters:
        return program
    place = next(i for i, value in enumerate(values) if value is entry.tensor)
    with module.graph.inserting_before(output):
        value = torch.fx.Proxy(nodes[place])
        for step in steps:
            value = step(value)
    output.args = (value.node,)
    # What unpacks inputs and packs outputs is not needed for one of each.
    module.graph.set_codegen(torch.fx.graph.CodeGen())
    module.graph.eliminate_dead_code()
    module.recompile()
    return _again(module, program, name)


def _again(
    module: torch.fx.GraphModule, program: torch.export.ExportedProgram, name: str
) -> torch.export.ExportedProgram:
    images = next(node for node in program.graph.nodes if node.op == "placeholder"
                  and node.name == program.graph_signature.user_inputs[0])  # fmt: skip
    sizes = images.meta["val"].shape
    free = {
        place: torch.export.Dim.DYNAMIC
        for place, size in enumerate(sizes)
        if not isinstance(size, int)
    }
    # A size of one is frozen when it is exported.
    example = torch.zeros(
        [max(2, int(size)) if place in free else int(size) for place, size in enumerate(sizes)],
        dtype=images.meta["val"].dtype,
    )
    try:
        return torch.export.export(module, (example,), dynamic_shapes=(free,))
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        raise SubjectError(
            f"{name}: its class scores cannot be separated from its other outputs "
            f"({str(error).partition(chr(10))[0]}); wrap the model so that it returns its class "
            "scores alone, and log it again"
        ) from error


def _scores(answer: object, terms: ModelTerms) -> Entry:
    found = entries(answer)
    shapes = {name: tuple(entry.tensor.shape) for name, entry in found.items()}
    return found[chosen(shapes, terms.output_name)]


def _arranging(scores: Tensor, kind: Outputs) -> Iterator[Step]:
    """Steps from the class scores as a model returns them to a column for each class."""
    if scores.dim() < ROWS:
        yield _as_column
    elif scores.dim() > ROWS:
        yield _flattened
    if scores.dtype not in {torch.float32, torch.float64}:
        yield _in_single
    make = column_maker(math.prod(map(int, scores.shape[1:])), kind)
    if make is not None:
        yield make


def _as_column(scores: Tensor) -> Tensor:
    return scores.unsqueeze(1)


def _flattened(scores: Tensor) -> Tensor:
    return scores.flatten(1)


def _in_single(scores: Tensor) -> Tensor:
    return scores.float()
