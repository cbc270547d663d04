"""Batch: an export that was frozen at one batch size, made to take any.

`torch.export` freezes a batch of one, and `log_model` is most often given one image. The graph then
holds that size as a number; it is taken out, torch exports the graph again with a free batch (so
torch itself proves that no step depends on it), and the outcome is held against the frozen model.
"""

import torch
from torch import Tensor

from governance.errors import SubjectError
from governance.subject.model_files.trial import TOLERANCE, difference

__all__ = ["free_batch"]


aten = torch.ops.aten
#: Steps that arrange what they are given: the first size follows from the others.
ARRANGING = {aten.view.default, aten.reshape.default, aten._unsafe_view.default}  # noqa: SLF001 - the operator's name
#: Steps that make something of a stated size: the first size is the batch.
MAKING = {
    aten.expand.default: 1,
    aten.repeat.default: 1,
    aten.new_zeros.default: 1,
    aten.new_ones.default: 1,
    aten.new_full.default: 1,
    aten.new_empty.default: 1,
    aten.zeros.default: 0,
    aten.ones.default: 0,
    aten.full.default: 0,
}


def free_batch(program: torch.export.ExportedProgram, name: str) -> torch.export.ExportedProgram:
    """The same model for any batch size; `program` itself where its batch is free already.

    Args:
        program: Export with one input (B, C, H, W) and one output; it is used up.
        name: Name of the export in messages.

    Raises:
        SubjectError: If a step depends on the batch size in a way that cannot be taken out.
    """
    input_name = program.graph_signature.user_inputs[0]
    images = next(node for node in program.graph.nodes if node.name == input_name)
    sizes = images.meta["val"].shape
    if not isinstance(sizes[0], int):
        return program
    cure = (
        f"{name}: was exported for a batch of {sizes[0]} and cannot be freed from that ({{}}); log "
        "the model again with an input_example of at least 2 images"
    )
    free = {
        place: torch.export.Dim.AUTO
        for place, size in enumerate(sizes)
        if not isinstance(size, int)
    }
    try:
        inputs = _trial(program, sizes)
        expected = _answers(program, inputs, batch=sizes[0])
        _take_out(program.graph, images, sizes[0])
        program.graph_module.recompile()
        widened = torch.export.export(
            program.module(check_guards=False),
            (inputs,),
            dynamic_shapes=({**free, 0: torch.export.Dim.DYNAMIC},),
        )
        together = _answers(widened, inputs, batch=len(inputs))
        alone = _answers(widened, inputs, batch=1)
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        raise SubjectError(cure.format(str(error).partition("\n")[0])) from error
    if max(difference(expected, together), difference(expected, alone)) > TOLERANCE:
        raise SubjectError(cure.format("its answers would change"))
    return widened


def _trial(program: torch.export.ExportedProgram, sizes: torch.Size) -> Tensor:
    """Random images for a whole number of frozen batches, more than one."""
    given = program.example_inputs[0][0].shape if program.example_inputs else sizes
    count = 3 if sizes[0] == 1 else 2 * sizes[0]
    generator = torch.Generator().manual_seed(0)
    return torch.randn((count, *(int(size) for size in given[1:])), generator=generator)


def _answers(program: torch.export.ExportedProgram, inputs: Tensor, batch: int) -> Tensor:
    # Without guards: they are source text from the file, and the sizes are what is tried here.
    model = program.module(check_guards=False)
    with torch.no_grad():
        return torch.cat([model(part) for part in torch.split(inputs, batch)])


def _take_out(graph: torch.fx.Graph, images: torch.fx.Node, frozen: int) -> None:
    """Replace the frozen batch size in a graph by what it is at run time."""
    last = [node for node in graph.nodes if node.op == "placeholder"][-1]
    with graph.inserting_after(last):
        batch = graph.call_function(aten.sym_size.int, (images, 0))
    for node in graph.nodes:
        place = 1 if node.target in ARRANGING else MAKING.get(node.target)
        if place is None or not node.args[place]:
            continue
        first, *rest = node.args[place]
        if node.target in MAKING and first == frozen:
            node.update_arg(place, [batch, *rest])
        elif node.target in ARRANGING and isinstance(first, int) and first > 0:
            # The others as numbers, since one of them may have been written as -1.
            node.update_arg(place, [-1, *node.meta["val"].shape[1:]])
    if not batch.users:
        graph.erase_node(batch)
