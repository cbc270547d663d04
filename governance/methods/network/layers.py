"""Layers: the filters, the depths and the head that a list of operations holds, and their names.

A layer of *filters* is the output of a convolution after its normalisation and activation. It is
found by walking on from the convolution as long as one such step alone reads it. A linear layer
that is put to every token is a 1 x 1 convolution over them. Where an activation follows, its
outputs are filters too: the hidden units of a transformer's or a mixer's block. A *stage* is a
depth of the network: maps or tokens through which everything later sees the image. The *head* is
the final linear layer.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from governance.errors import AnalysisError, InapplicableError
from governance.methods.network.layouts import MAPS, Layout, layouts
from governance.methods.network.operations import Operation
from governance.records.numbers import percent
from governance.records.wording import first_few

__all__ = ["CHANNELWISE", "HEAD", "Layers", "Unit", "layers"]

HEAD = "head input"
MOST_STAGES = 8
# Share of the work at places of the image that the layers of filters must do: the patch embedding
# of a transformer whose blocks cannot be read does about a hundredth.
LEAST_WORK = 0.1
# Share of that work that may lie behind the last layer or depth that can be seen.
MOST_BEHIND = 0.25
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A layer of filters: the channels of one convolution after normalisation and activation.

    The hidden units behind a linear layer that is put to every token are such a layer, too.

    Attributes:
        layer: Module path of the convolution or linear layer, with `#k` if it is used more than
            once.
        channels: Number of filters.
        size: Height and width of the channels for the example's input.
        cost: What a forward pass resumed from here costs, as a share of a whole one (by
            multiply-accumulate operations; 1 where nothing can be resumed).
        closed: Whether silencing has a closed form: only channel-wise steps and one linear layer
            follow, so that all filters are silenced at once without another forward pass.
    """

    layer: str
    channels: int
    size: tuple[int, int]
    cost: float
    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layers:
    """What the operations of a network are called, and which of them are filters and head.

    Attributes:
        operations: In order of execution.
        users: Operations that read each operation.
        modules: Operation that gives a module's output, by module path; with `#k` where the module
            is called more than once.
        cuts: Operation that gives the output of a layer of filters, by the name of its convolution
            or linear layer, in order.
        layouts: Where the output of each operation has its channels and places; None where that is
            not known.
        work: Share of the work at places of the image that the layers of filters do.
        head: The final linear operation; None where the network ends otherwise.
    """

    operations: tuple[Operation, ...]
    users: tuple[tuple[int, ...], ...]
    modules: Mapping[str, int]
    cuts: Mapping[str, int]
    layouts: tuple[Layout | None, ...]
    work: float
    head: int | None

    def place(self, layer: str) -> int:
        """The operation whose output a name stands for; a convolution's stands for its filters.

        Raises:
            InapplicableError: If there is no head where its input is asked for.
            AnalysisError: If there is no such layer.
        """
        if layer == HEAD:
            if self.head is None:
                raise InapplicableError(
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

    def layout(self, place: int) -> Layout:
        """Layout of an operation's output; that of maps where it is not known."""
        return self.layouts[place] or MAPS

    def channels(self, place: int) -> int:
        """Number of channels of an operation's output; 0 where it has none."""
        shape, axis = self.shape(place), self.layout(place).axis
        return shape[axis] if axis < len(shape) else 0

    def check_sets(self, sets: Mapping[str, Sequence[Sequence[int]]]) -> None:
        """Refuse sets of filters, by layer, of which one does not exist.

        Raises:
            AnalysisError: If a layer is no layer of filters, or has no such channel.
        """
        for layer, groups in sets.items():
            if layer not in self.cuts:
                raise AnalysisError(
                    f"layer {layer!r} is no layer of filters; accepted are {', '.join(self.cuts)}"
                )
            channels = self.channels(self.cuts[layer])
            wrong = {j for group in groups for j in group if not 0 <= j < channels}
            if wrong:
                raise AnalysisError(
                    f"layer {layer!r} has no channel {min(wrong)}; 0 to {channels - 1} are accepted"
                )

    def filters(self) -> Mapping[str, int]:
        """The cuts, if they are what the network works with.

        Raises:
            InapplicableError: If there are none, or only such as hardly do any of its work, or such
                that most of it lies behind them.
        """
        accepted = (
            "a network of convolutions, or of blocks whose linear layers are put to every token "
            "before an activation, is accepted"
        )
        if not self.cuts:
            raise InapplicableError(f"no layer of filters can be seen in the network; {accepted}")
        seen = f"the layers of filters that can be seen ({first_few(list(self.cuts))})"
        if self.work < LEAST_WORK:
            raise InapplicableError(
                f"{seen} do {percent(self.work)} of the network's work, and numbers about them "
                f"would say nothing about the network; {accepted}"
            )
        self._check_behind(max(self.cuts.values()), seen, accepted)
        return self.cuts

    def _check_behind(self, last: int, seen: str, accepted: str) -> None:
        """Refuse to speak of layers behind which the network goes on out of sight."""
        behind = _work(self.operations[last + 1 :]) / max(1, _work(self.operations))
        if behind > MOST_BEHIND:
            raise InapplicableError(
                f"behind {seen} lies {percent(behind)} of the network's work, and numbers about "
                f"them would say nothing about the network; {accepted}"
            )

    def stages(self) -> tuple[str, ...]:
        """Names of at most 8 depths, in order.

        Always the last before each loss of resolution and the last of all; others evenly between.

        Raises:
            InapplicableError: If no depth can be seen at which the image is laid out in places, or
                much of the network's work lies behind the last one.
        """
        names = self._best_names()
        found = {
            place: layout
            for place in self._bottlenecks()
            if place in names and (layout := self.layouts[place]) is not None
        }
        if not found:
            return (list(self.filters())[-1],)
        places, sizes = list(found), [layout.grid for layout in found.values()]
        self._check_behind(
            places[-1],
            f"the last depth that can be seen ({names[places[-1]]})",
            "a network whose blocks give maps, or tokens in the order of places of the image, is "
            "accepted",
        )
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
            layout = self.layouts[index]
            spatial = layout is not None and layout.grid != (1, 1)
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
    """Find filters, depths and head.

    Args:
        operations: In order of execution.
        calls: Operation that gives a module call's output, by `path#k`.
        output: The operation that gives the network's output.
        suffix: Whether operations behind the head can be run by themselves.
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
        layouts=layouts(operations),
        work=0.0,
        head=_head(operations, output, suffix=suffix),
    )
    sources = [index for index in range(len(operations)) if _is_filter(bare, index)]
    done = _work([operations[index] for index in sources])
    return replace(bare, cuts=_cuts(bare, sources), work=done / max(1, _work(operations)))


def _work(operations: Sequence[Operation]) -> int:
    """Multiply-accumulate operations at places of the image: no feature vectors."""
    return sum(item.macs for item in operations if len(item.shape or ()) > VECTORS)


def _is_filter(found: Layers, index: int) -> bool:
    """Whether an operation is a convolution, or one of tokens with an activation behind it."""
    operation, layout = found.operations[index], found.layouts[index]
    if layout is None or operation.kind not in {"conv2d", "linear"}:
        return False
    if operation.kind == "conv2d":
        return True
    chain = [index]
    while (step := _next_in_chain(found, chain[-1])) is not None:
        chain.append(step)
    activated = any(found.operations[step].kind in ACTIVATION for step in chain)
    return activated and layout.axis == len(operation.shape or ()) - 1


def _cuts(found: Layers, sources: Sequence[int]) -> dict[str, int]:
    uses = Counter(found.operations[index].module for index in sources)
    seen: Counter[str] = Counter()
    cuts = {}
    for index in sources:
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
