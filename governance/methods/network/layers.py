"""Layers: the filters, the depths and the head that a list of operations holds, and their names.

A layer of *filters* is the output of a convolution after its normalisation and activation. It is
found by walking on from the convolution as long as one such step alone reads it. A *stage* is a
depth of the network: a feature map through which everything later sees the image. The *head* is the
final linear layer.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from governance.errors import AnalysisError
from governance.methods.network.operations import Operation

__all__ = ["CHANNELWISE", "HEAD", "IMAGES", "Layers", "layers"]

HEAD = "head input"
MOST_STAGES = 8
IMAGES = 4  # dimensions of a batch of images or of feature maps
VECTORS = 2  # dimensions of a batch of feature vectors

IDENTITY = {"identity", "dropout", "dropout2d", "featuredropout", "stochasticdepth", "contiguous"}
CHANNEL_NORM = {"batchnorm2d", "batchnorm", "nativebatchnormlegitnotraining", "syncbatchnorm"}
NORM = CHANNEL_NORM | {"groupnorm", "instancenorm", "instancenorm2d"}
ACTIVATION = {
    "celu", "clamp", "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leakyrelu", "mish",
    "prelu", "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "tanh",
}  # fmt: skip
CHAIN = NORM | ACTIVATION | IDENTITY
POOL = {"adaptiveavgpool2d", "adaptivemaxpool2d", "avgpool2d", "maxpool2d", "mean"}
RESHAPE = {"flatten", "view", "reshape", "squeeze"}
# Steps from the last linear layer to the answer: also those from one number to two classes.
FINAL = IDENTITY | RESHAPE | {
    "cat", "float", "logsoftmax", "rsub", "sigmoid", "softmax", "sub", "to", "tocopy", "unsqueeze",
    "zeroslike",
}  # fmt: skip
# Steps that give no new depth: they read off, rearrange or normalise over what is there.
READING = POOL | {"placeholder", "permute", "transpose", "layernorm"}
# Steps in which every channel stays by itself.
CHANNELWISE = IDENTITY | CHANNEL_NORM | (ACTIVATION - {"prelu"}) | POOL | RESHAPE | {"add"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layers:
    """What the operations of a network are called, and which of them are filters and head.

    Attributes:
        operations: In order of execution.
        users: Operations that read each operation.
        modules: Operation that gives a module's output, by module path; with `#k` where the module
            is called more than once.
        cuts: Operation that gives the output of a layer of filters, by the name of the convolution,
            in order.
        head: The final linear operation; None where the network ends otherwise.
    """

    operations: tuple[Operation, ...]
    users: tuple[tuple[int, ...], ...]
    modules: Mapping[str, int]
    cuts: Mapping[str, int]
    head: int | None

    def place(self, layer: str) -> int:
        """The operation whose output a name stands for; a convolution's stands for its filters.

        Raises:
            AnalysisError: If there is no such layer, or no head where its input is asked for.
        """
        if layer == HEAD:
            if self.head is None:
                raise AnalysisError(
                    "the network does not end in a linear layer on one feature vector per image; a "
                    "head cannot be separated from it"
                )
            return self.operations[self.head].inputs[0]
        if layer in self.cuts:
            return self.cuts[layer]
        if layer in self.modules:
            return self.modules[layer]
        raise AnalysisError(
            f"layer {layer!r} does not exist; layers of filters are {', '.join(self.cuts)}; names "
            "of other modules the forward pass calls, and with #k those it calls repeatedly, are "
            "accepted"
        )

    def shape(self, place: int) -> tuple[int, ...]:
        """Shape of an operation's output with the example's batch; empty where it is no tensor."""
        return self.operations[place].shape or ()

    def stages(self) -> tuple[str, ...]:
        """Names of at most 8 depths, in order.

        Always the last before each loss of resolution and the last of all; others evenly between.
        """
        names = self._best_names()
        places = [place for place in self._bottlenecks() if place in names]
        if not places:
            return (list(self.cuts)[-1],)
        sizes = [self.shape(place)[2:] for place in places]
        count = len(places)
        needed = [i for i in range(count) if i + 1 == count or sizes[i] != sizes[i + 1]]
        free = [i for i in range(count) if i not in needed]
        room = max(0, MOST_STAGES - len(needed))
        if len(free) > room:
            free = [free[round(k * (len(free) - 1) / max(1, room - 1))] for k in range(room)]
        return tuple(names[places[i]] for i in sorted({*needed[-MOST_STAGES:], *free}))

    def _bottlenecks(self) -> list[int]:
        depends = [False] * len(self.operations)
        found: list[int] = []
        waiting: set[int] = set()  # earlier results that something still to come reads
        for index, operation in enumerate(self.operations):
            first = operation.kind == "placeholder" and index == 0
            depends[index] = first or any(depends[read] for read in operation.inputs)
            waiting = {place for place in waiting if max(self.users[place]) > index}
            if not depends[index] or not operation.bytes or not self.users[index]:
                continue
            shape = self.shape(index)
            spatial = len(shape) == IMAGES and shape[2:] != (1, 1)
            complete = operation.kind not in READING and _next_in_chain(self, index) is None
            if spatial and complete and not waiting:
                found.append(index)
            waiting.add(index)
        return found

    def _best_names(self) -> dict[int, str]:
        # The outermost module that gives an output names it: `layer1`, not `layer1.2.relu#1`.
        outer_last = sorted(self.modules.items(), key=lambda item: -item[0].count("."))
        names = {place: layer for layer, place in outer_last if layer not in self.cuts}
        for layer, cut in self.cuts.items():
            names.setdefault(cut, layer)
        for index, operation in enumerate(self.operations):
            # An activation written as a function has no name: the step before it lends its own.
            if index not in names and operation.kind in CHAIN and operation.inputs[0] in names:
                names[index] = names[operation.inputs[0]]
        return names


def layers(
    operations: tuple[Operation, ...], calls: Mapping[str, int], output: int, *, suffix: bool
) -> Layers:
    """Find filters and head.

    Args:
        operations: In order of execution.
        calls: Operation that gives a module call's output, by `path#k`.
        output: The operation that gives the network's output.
        suffix: Whether operations behind the head can be run by themselves.

    Raises:
        AnalysisError: If there is no convolution.
    """
    users: list[list[int]] = [[] for _ in operations]
    for index, operation in enumerate(operations):
        for read in operation.inputs:
            users[read].append(index)
    bare = Layers(
        operations=operations,
        users=tuple(map(tuple, users)),
        modules=_module_names(calls),
        cuts={},
        head=_head(operations, output, suffix=suffix),
    )
    return Layers(
        operations=operations, users=bare.users, modules=bare.modules, head=bare.head,
        cuts=_cuts(bare),
    )  # fmt: skip


def _cuts(found: Layers) -> dict[str, int]:
    convolutions = [
        index
        for index, operation in enumerate(found.operations)
        if operation.kind == "conv2d" and len(found.shape(index)) == IMAGES
    ]
    if not convolutions:
        raise AnalysisError(
            "the network calls no two-dimensional convolution that can be seen; a convolutional "
            "image classifier written in Python or exported by torch.export is accepted"
        )
    uses = Counter(found.operations[index].module for index in convolutions)
    seen: Counter[str] = Counter()
    cuts = {}
    for index in convolutions:
        module = found.operations[index].module
        layer = module if uses[module] == 1 else f"{module}#{seen[module]}"
        seen[module] += 1
        cuts[layer] = _chain_end(found, index)
    return cuts


def _chain_end(found: Layers, index: int) -> int:
    while (step := _next_in_chain(found, index)) is not None:
        index = step
    return index


def _next_in_chain(found: Layers, index: int) -> int | None:
    # Normalisation and activation belong to the filter as long as nobody else reads between.
    if len(found.users[index]) != 1:
        return None
    (user,) = found.users[index]
    operation = found.operations[user]
    same = operation.shape == found.operations[index].shape
    return user if same and operation.kind in CHAIN else None


def _head(operations: Sequence[Operation], output: int, *, suffix: bool) -> int | None:
    linear = [i for i, operation in enumerate(operations) if operation.kind == "linear"]
    if not linear:
        return None
    last = linear[-1]
    reads = operations[last].inputs
    flat = bool(reads) and len(operations[reads[0]].shape or ()) == VECTORS
    behind = _read_by(operations, output) & set(range(last + 1, output + 1))
    ends = all(
        operations[index].kind in FINAL
        and behind.issuperset(set(operations[index].inputs) - {last})
        for index in behind
    )
    return last if flat and ends and (suffix or last == output) else None


def _read_by(operations: Sequence[Operation], output: int) -> set[int]:
    """An operation and all that it is made from."""
    needed = {output}
    for index in range(output, -1, -1):
        if index in needed:
            needed.update(operations[index].inputs)
    return needed


def _module_names(calls: Mapping[str, int]) -> dict[str, int]:
    uses = Counter(call.rpartition("#")[0] for call in calls)
    return {
        call if uses[call.rpartition("#")[0]] > 1 else call.rpartition("#")[0]: place
        for call, place in calls.items()
        if call.rpartition("#")[0]
    }
