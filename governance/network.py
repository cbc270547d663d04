"""Network: a convolutional classifier cut open between its layers, without changing it.

A *layer* is named by its module path (`layer1.0.conv1`), with `#k` appended where the same module
is used more than once (`layer1.0.relu#1`). The name of a convolution stands for its *unit output*:
the channels after their normalisation and activation, which is where filters are silenced. Because
the cut is there, depthwise and grouped convolutions, concatenations and squeeze-excitation need no
rules of their own.

The forward pass is traced (`fx`), or joined from an exported program (`export`), so that the part
before a cut is computed once and only the part after it again. A model whose forward pass can be
neither is watched while it runs (`hooks`): the same numbers, a whole forward pass each. The model
is always left as found.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.export import UnflattenedModule

from governance.errors import AnalysisError
from governance.operations import Operation, Replay, Rerun, exported, traced, watched

__all__ = ["HEAD", "Network", "Path", "Unit", "trace"]

Path = Literal["fx", "export", "hooks"]

HEAD = "head input"
TOLERANCE = 1e-4
MEMORY = 256 * 2**20
MOST_STAGES = 8
IMAGES = 4  # dimensions of a batch of images or of feature maps

IDENTITY = {"identity", "dropout", "dropout2d", "featuredropout", "stochasticdepth", "contiguous"}
CHANNEL_NORM = {"batchnorm2d", "batchnorm", "nativebatchnormlegitnotraining", "syncbatchnorm"}
NORM = CHANNEL_NORM | {"groupnorm", "instancenorm", "instancenorm2d"}
ACTIVATION = {
    "celu", "clamp", "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leakyrelu", "mish",
    "prelu", "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "tanh",
}  # fmt: skip
POOL = {
    "adaptiveavgpool2d", "adaptivemaxpool2d", "avgpool2d", "maxpool2d", "mean",
}  # fmt: skip
RESHAPE = {"flatten", "view", "reshape", "squeeze"}
CHANNELWISE = IDENTITY | CHANNEL_NORM | (ACTIVATION - {"prelu"}) | POOL | RESHAPE | {"add"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A layer of filters: the channels of one convolution after normalisation and activation.

    Attributes:
        layer: Module path of the convolution, with `#k` if it is used more than once.
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


class Network:
    """A classifier with its units, its stages and its head; made by `trace`.

    Attributes:
        path: How it is run: `fx`, `export` or `hooks`.
        classes: Number of outputs, K.
        bytes: Size of the feature maps of one image, all steps together.
    """

    def __init__(
        self, model: nn.Module, steps: Replay | Rerun, path: Path, classes: int, batch_size: int
    ) -> None:
        self.path = path
        self.classes = classes
        self._model = model
        self._steps = steps
        self._batch_size = batch_size
        self._users = _users(steps.operations)
        self._names = _module_names(steps.names)
        self._cuts = self._unit_outputs()
        self._head = self._head_operation()
        self._units: tuple[Unit, ...] = tuple(
            self._unit(layer, cut) for layer, cut in self._cuts.items()
        )

    def units(self) -> tuple[Unit, ...]:
        """The layers of filters, in order of execution."""
        return self._units

    def stages(self) -> tuple[str, ...]:
        """Names of at most 8 depths of the network, in order, at which its prediction can be read.

        These are the feature maps through which all information passes: the stem, block outputs,
        and always the last before each loss of resolution and the last of all.
        """
        places = self._bottlenecks()
        if not places:
            return (self._units[-1].layer,)
        names = self._best_names()
        sizes = [self._operations[place].shape[2:] for place in places]  # type: ignore[index]
        needed = [i for i in range(len(places)) if i + 1 == len(places) or sizes[i] != sizes[i + 1]]
        free = [i for i in range(len(places)) if i not in needed]
        room = max(0, MOST_STAGES - len(needed))
        if len(free) > room:
            free = [free[round(k * (len(free) - 1) / max(1, room - 1))] for k in range(room)]
        chosen = sorted({*needed[-MOST_STAGES:], *free})
        return tuple(names[places[i]] for i in chosen)

    def logits(self, inputs: Tensor) -> Tensor:
        """The model's outputs without gradients, (N, K), batch by batch."""
        return torch.cat([output for _, output, _ in self.features(inputs, ())])

    def features(
        self, inputs: Tensor, layers: Sequence[str]
    ) -> Iterator[tuple[slice, Tensor, dict[str, Tensor]]]:
        """Activations of layers, one batch after the other.

        Args:
            inputs: (N, C, H, W), preprocessed.
            layers: Names of units, of stages, of any module the forward pass calls, or `HEAD`.

        Yields:
            Which images, the model's outputs (B, K), and by layer the activation: (B, C, H, W),
            or (B, D) for `HEAD`. None has a gradient.

        Raises:
            AnalysisError: If a layer does not exist.
        """
        places = {layer: self._place(layer) for layer in layers}
        keep = {*places.values(), self._steps.output}
        held = sum(self._operations[place].bytes for place in keep)
        for part in self._parts(len(inputs), held):
            with self._evaluating(), torch.no_grad():
                values = self._steps.run(inputs[part], keep)
            found = {layer: _given(values, place, layer) for layer, place in places.items()}
            yield part, values[self._steps.output], found

    def head(self, features: Tensor) -> Tensor:
        """What the model answers, (B, K), for given features at the head's input, (B, D).

        Raises:
            AnalysisError: If the network does not end in a linear layer.
        """
        source = self._place(HEAD)
        with self._evaluating(), torch.no_grad():
            if isinstance(self._steps, Replay):
                return self._steps.resume(self._steps.constants(source), source, features)
            return self._linear(features)

    def gradients(
        self, inputs: Tensor, layers: Sequence[str], objective: Callable[[Tensor, slice], Tensor]
    ) -> Iterator[tuple[slice, Tensor, dict[str, tuple[Tensor, Tensor]]]]:
        """Activations of layers and the gradient of an objective there, batch by batch.

        Args:
            inputs: (N, C, H, W).
            layers: As for `features`.
            objective: From outputs (B, K) and which images they are to one number, a sum over
                images; its gradient is then each image's own.

        Yields:
            Which images, outputs, and by layer (activation, gradient), both (B, C, H, W).
        """
        places = {layer: self._place(layer) for layer in layers}
        keep = {*places.values(), self._steps.output}
        held = sum(operation.bytes for operation in self._operations)
        for part in self._parts(len(inputs), held):
            with self._evaluating(), torch.enable_grad():
                values = self._steps.run(inputs[part].detach(), keep, _differentiable)
                output = values[self._steps.output]
                made = [_given(values, place, layer) for layer, place in places.items()]
                slopes = torch.autograd.grad(objective(output, part), made, allow_unused=True)
            pairs = zip(places, made, slopes, strict=True)
            yield part, output.detach(), {
                layer: (value.detach(), torch.zeros_like(value) if slope is None else slope)
                for layer, value, slope in pairs
            }

    def ablate(
        self,
        inputs: Tensor,
        sets: Mapping[str, Sequence[Sequence[int]]],
        reference: Mapping[str, Tensor],
        *,
        closed_form: bool = True,
    ) -> Iterator[tuple[str, int, slice, Tensor]]:
        """The model's outputs with channels of a unit held at a reference value.

        Args:
            inputs: (N, C, H, W).
            sets: By layer, the sets of channels to silence; each set is silenced by itself, its
                channels together. The empty set silences nothing.
            reference: By layer, the value each channel is held at, (channels,).
            closed_form: Whether to use the closed form where there is one.

        Yields:
            Layer, number of the set, which images, outputs (B, K).

        Raises:
            AnalysisError: If a layer is not a unit or a channel does not exist.
        """
        self._check_sets(sets)
        closed = {unit.layer for unit in self._units if unit.closed and closed_form}
        cuts = {layer: self._cuts[layer] for layer in sets}
        for part in self._parts(len(inputs), self._held(cuts.values())):
            with self._evaluating(), torch.no_grad():
                prefix = self._steps.prefix(inputs[part], cuts.values())
            for layer, groups in sets.items():
                run = self._at_once if layer in closed else self._one_by_one
                for number, output in run(prefix, cuts[layer], groups, reference[layer]):
                    yield layer, number, part, output

    @property
    def _operations(self) -> tuple[Operation, ...]:
        return self._steps.operations

    def _one_by_one(
        self, prefix: Mapping[int, Tensor], cut: int, groups: Sequence[Sequence[int]],
        reference: Tensor,
    ) -> Iterator[tuple[int, Tensor]]:  # fmt: skip
        for number, group in enumerate(groups):
            with self._evaluating(), torch.no_grad():
                value = prefix[cut].clone()
                chosen = list(group)
                value[:, chosen] = reference[chosen].to(value).view(1, -1, 1, 1)
                output = self._steps.resume(prefix, cut, value)
            yield number, output

    def _at_once(
        self, prefix: Mapping[int, Tensor], cut: int, groups: Sequence[Sequence[int]],
        reference: Tensor,
    ) -> Iterator[tuple[int, Tensor]]:  # fmt: skip
        # Only channel-wise steps lie between the cut and the head: channel j moves only its own
        # features there, so one pass with every channel silenced holds all single effects.
        assert isinstance(self._steps, Replay)  # noqa: S101 - tells mypy what `closed` implies
        source = self._place(HEAD)
        with self._evaluating(), torch.no_grad():
            value = prefix[cut]
            silenced = reference.to(value).view(1, -1, 1, 1).expand_as(value)
            intact = self._steps.resume(prefix, cut, value, source)
            moved = self._steps.resume(prefix, cut, silenced, source) - intact
            weight = self._weight(intact)
        per_channel = weight.shape[0] // value.shape[1]
        for number, group in enumerate(groups):
            with torch.no_grad():
                places = [j * per_channel + k for j in group for k in range(per_channel)]
                output = prefix[self._steps.output] + moved[:, places] @ weight[places]
            yield number, output

    def _weight(self, features: Tensor) -> Tensor:
        # The head is linear: its answers to unit vectors are its weights, (D, K).
        unit = torch.eye(features.shape[1], dtype=features.dtype, device=features.device)
        return self.head(unit) - self.head(torch.zeros_like(unit[:1]))

    def _linear(self, features: Tensor) -> Tensor:
        raise NotImplementedError

    def _place(self, layer: str) -> int:
        if layer == HEAD:
            if self._head is None:
                raise AnalysisError(
                    "the network does not end in a linear layer on features of one vector per "
                    "image; a head cannot be separated from it"
                )
            return self._operations[self._head].inputs[0]
        if layer in self._cuts:
            return self._cuts[layer]
        if layer in self._names:
            return self._names[layer]
        raise AnalysisError(
            f"layer {layer!r} does not exist; units are {', '.join(self._cuts)}; names of other "
            "modules the forward pass calls, and with #k those it calls repeatedly, are accepted"
        )
