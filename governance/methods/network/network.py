"""Network: a classifier cut open between its layers, without changing it.

A *layer* is named by its module path (`layer1.0.conv1`), with `#k` appended where the same module
is used more than once (`layer1.0.relu#1`). The name of a convolution stands for its *filters*:
the channels after their normalisation and activation, which is where filters are silenced. Because
the cut is there, depthwise and grouped convolutions, concatenations and squeeze-excitation need no
rules of their own. The name of a linear layer that is put to every token stands for its hidden
units, which are filters in the same sense.

Activations of all kinds are given as maps (B, C, H, W). Only where some tokens have no place in the
image, such as a class token, they are given as (B, C, T, 1) in the order of the tokens.

The forward pass is traced (`fx`), or joined from an exported program (`export`), so that the part
before a cut is computed once and only the part after it again. A model whose forward pass can be
neither is watched while it runs (`hooks`): the same numbers, a whole forward pass each. The model
is always left as found.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from governance.errors import AnalysisError, InapplicableError
from governance.methods.image_tensors import Images, image_tensor
from governance.methods.network.batches import batches
from governance.methods.network.layers import CHANNELWISE, HEAD, Layers, Unit, layers
from governance.methods.network.layouts import Layout
from governance.methods.network.paths import (
    Path,
    as_the_model_takes,
    check_precision,
    evaluating,
    same,
    way_to_run,
)
from governance.methods.network.replay import Replay
from governance.methods.network.rerun import Rerun
from governance.subject.meter import Meter

__all__ = ["HEAD", "Path", "TracedNetwork", "trace"]


class TracedNetwork:
    """A classifier with its layers of filters, its stages and its head; made by `trace`.

    Attributes:
        path: How it is run: `fx`, `export` or `hooks`.
        classes: Number of outputs, K.
    """

    def __init__(
        self,
        model: nn.Module,
        steps: Replay | Rerun,
        path: Path,
        example: Tensor,
        batch_size: int,
        meter: Meter,
    ) -> None:
        self.path = path
        self.classes = _classes(steps)
        self._model = model
        self._steps = steps
        self._batch_size = batch_size
        self._meter = meter
        self._example = example[:0]
        self._layers: Layers = layers(
            steps.operations, steps.names, steps.output, suffix=isinstance(steps, Replay)
        )
        self._units = tuple(self._unit(*item, example) for item in self._layers.cuts.items())

    def units(self) -> tuple[Unit, ...]:
        """The layers of filters, in order of execution.

        Raises:
            InapplicableError: If there are none, or only such as hardly do any of the network's
                work, like the patch embedding of a transformer whose blocks cannot be read.
        """
        self._layers.filters()
        return self._units

    def stages(self) -> tuple[str, ...]:
        """Names of at most 8 depths of the network, in order, at which its prediction can be read.

        These are the feature maps or tokens through which all information passes: the stem, block
        outputs, and always the last before each loss of resolution and the last of all.

        Raises:
            InapplicableError: If no depth can be seen at which the image is laid out in places.
        """
        return self._layers.stages()

    def layout(self, layer: str) -> Layout:
        """Where activations of a layer have their places, to tell those of tokens without one.

        Raises:
            AnalysisError: If the layer does not exist.
        """
        return self._layers.layout(self._layers.place(layer))

    def size(self, layer: str) -> tuple[int, int]:
        """Channels of a layer, and bytes of its activation for one image.

        Raises:
            AnalysisError: If the layer does not exist.
        """
        place = self._layers.place(layer)
        return self._layers.channels(place), self._layers.operations[place].bytes

    def logits(self, inputs: Images) -> Tensor:
        """The model's outputs without gradients, (N, K), batch by batch."""
        return torch.cat([output for _, output, _ in self.features(inputs, ())])

    def features(
        self, inputs: Images, layers: Sequence[str]
    ) -> Iterator[tuple[slice, Tensor, dict[str, Tensor]]]:
        """Activations of layers, one batch after the other.

        Args:
            inputs: (N, C, H, W), preprocessed.
            layers: Names of layers of filters, of stages, of any module that the forward pass
                calls, or `HEAD`.

        Yields:
            Which images, the model's outputs (B, K), and by layer the activation: maps, or (B, D)
            for `HEAD`. None has a gradient.

        Raises:
            AnalysisError: If a layer does not exist.
        """
        places = {layer: self._layers.place(layer) for layer in layers}
        keep = {*places.values(), self._steps.output}
        held = sum(self._layers.operations[place].bytes for place in keep)
        for part, images in batches(inputs, self._example, self._batch_size, held):
            with self._evaluating(), torch.no_grad():
                values = self._steps.run(images, keep)
            self._meter.count(passes=len(images))
            found = {
                layer: self._layers.layout(place).opened(_given(values, place, layer))
                for layer, place in places.items()
            }
            yield part, values[self._steps.output], found

    def head(self, features: Tensor) -> Tensor:
        """What the model answers, (B, K), for given features at the head's input, (B, D).

        Raises:
            AnalysisError: If the network does not end in a linear layer.
        """
        source = self._layers.place(HEAD)
        with self._evaluating(), torch.no_grad():
            return self._steps.finish(source, features)

    def resumed(self, layer: str, features: Tensor) -> Tensor:
        """What the model answers, (B, K), for given activations of a layer, without any image.

        Gradients flow back to `features` where these ask for them.

        Args:
            layer: A layer through which all information passes, such as a stage.
            features: Maps, one batch, as `features` gives them.

        Raises:
            InapplicableError: If the network cannot be run from a layer, since it is not traced.
            AnalysisError: If the layer does not exist, or the network cannot be run from it alone.
        """
        place = self._layers.place(layer)
        if not isinstance(self._steps, Replay):
            raise InapplicableError(
                f"the network cannot be resumed at {layer!r}: its forward pass could not be traced;"
                " a module that torch.fx traces, or an exported program, is accepted"
            )
        if not self._steps.alone(place):
            raise AnalysisError(
                f"the network cannot be resumed at {layer!r} alone: other activations pass by it; "
                f"accepted are the stages {', '.join(self.stages())}"
            )
        with self._evaluating():
            return self._steps.finish(place, self._layers.layout(place).closed(features))

    def gradients(
        self, inputs: Images, layers: Sequence[str], objective: Callable[[Tensor, slice], Tensor]
    ) -> Iterator[tuple[slice, Tensor, dict[str, tuple[Tensor, Tensor]]]]:
        """Activations of layers and the gradient of an objective there, batch by batch.

        Args:
            inputs: (N, C, H, W).
            layers: Names of layers, as `features` takes them.
            objective: From outputs (B, K) and which images they are to one number, a sum over
                images; its gradient is then each image's own.

        Yields:
            Which images, outputs, and by layer (activation, gradient), both maps.
        """
        places = {layer: self._layers.place(layer) for layer in layers}
        keep = {*places.values(), self._steps.output}
        held = sum(operation.bytes for operation in self._layers.operations)
        for part, images in batches(inputs, self._example, self._batch_size, held):
            with self._evaluating(), torch.enable_grad():
                values = self._steps.run(images, keep, _differentiable)
                output = values[self._steps.output]
                made = [_given(values, place, layer) for layer, place in places.items()]
                slopes = torch.autograd.grad(objective(output, part), made, allow_unused=True)
            self._meter.count(passes=len(images))
            found = {}
            for (layer, place), value, slope in zip(places.items(), made, slopes, strict=True):
                opened = self._layers.layout(place).opened
                found[layer] = (
                    opened(value.detach()),
                    opened(torch.zeros_like(value) if slope is None else slope),
                )
            yield part, output.detach(), found

    def ablate(
        self,
        inputs: Images,
        sets: Mapping[str, Sequence[Sequence[int]]],
        reference: Mapping[str, Tensor],
        *,
        closed_form: bool = True,
    ) -> Iterator[tuple[str, int, slice, Tensor]]:
        """The model's outputs with filters of a layer held at a reference value.

        Args:
            inputs: (N, C, H, W).
            sets: By layer, the sets of channels to silence; each set is silenced by itself, its
                channels together. The empty set silences nothing.
            reference: Value that each channel is held at, (channels,), by layer.
            closed_form: Whether to use the closed form where there is one.

        Yields:
            Layer, number of the set, which images, outputs (B, K).

        Raises:
            AnalysisError: If a layer is no layer of filters or a filter does not exist.
        """
        self._layers.check_sets(sets)
        closed = {unit.layer for unit in self._units if unit.closed and closed_form}
        cuts = {layer: self._layers.cuts[layer] for layer in sets}
        asked = sum(len(groups) for layer, groups in sets.items() if layer not in closed)
        self._meter.plan(passes=len(inputs) * asked)
        held = self._held(cuts.values())
        for part, images in batches(inputs, self._example, self._batch_size, held):
            with self._evaluating(), torch.no_grad():
                prefix = self._steps.prefix(images, cuts.values())
            for layer, groups in sets.items():
                run = self._at_once if layer in closed else self._one_by_one
                for number, output in run(prefix, cuts[layer], groups, reference[layer]):
                    yield layer, number, part, output

    def _one_by_one(
        self, prefix: Mapping[int, Tensor], cut: int, groups: Sequence[Sequence[int]],
        reference: Tensor,
    ) -> Iterator[tuple[int, Tensor]]:  # fmt: skip
        for number, group in enumerate(groups):
            with self._evaluating(), torch.no_grad():
                layout, chosen = self._layers.layout(cut), list(group)
                value = layout.opened(prefix[cut].clone())
                value[:, chosen] = reference[chosen].to(value).view(1, -1, 1, 1)
                output = self._steps.resume(prefix, cut, layout.closed(value))
            self._meter.count(passes=len(value))
            yield number, output

    def _at_once(
        self, prefix: Mapping[int, Tensor], cut: int, groups: Sequence[Sequence[int]],
        reference: Tensor,
    ) -> Iterator[tuple[int, Tensor]]:  # fmt: skip
        # Only channel-wise steps lie between the cut and the head: channel j moves only its own
        # features there, so one pass with every channel silenced holds all single effects.
        assert isinstance(self._steps, Replay)  # noqa: S101 - tells mypy what `closed` implies
        source = self._layers.place(HEAD)
        with self._evaluating(), torch.no_grad():
            layout = self._layers.layout(cut)
            value = layout.opened(prefix[cut])
            silenced = reference.to(value).view(1, -1, 1, 1).expand_as(value)
            intact = self._steps.resume(prefix, cut, prefix[cut], source)
            moved = self._steps.resume(prefix, cut, layout.closed(silenced), source) - intact
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

    def _unit(self, layer: str, cut: int, example: Tensor) -> Unit:
        total = max(1, sum(operation.macs for operation in self._layers.operations))
        rest = total
        if isinstance(self._steps, Replay):
            rest = sum(self._layers.operations[index].macs for index in self._steps.later(cut))
        return Unit(
            layer=layer,
            channels=self._layers.channels(cut),
            size=self._layers.layout(cut).grid,
            cost=rest / total,
            closed=self._is_closed(cut, example),
        )

    def _is_closed(self, cut: int, example: Tensor) -> bool:
        head = self._layers.head
        if not isinstance(self._steps, Replay) or head is None or head != self._steps.output:
            return False
        between = [index for index in self._steps.later(cut) if index != head]
        source = self._layers.place(HEAD)
        tensors = [self._layers.operations[index] for index in between]
        if any(step.bytes and step.kind not in CHANNELWISE for step in tensors):
            return False
        channels = self._layers.channels(cut)
        if self._layers.shape(source)[1] % channels or source not in {cut, *between}:
            return False
        # The names promise it; the numbers must agree.
        sets = [(0,), (channels - 1,)]
        reference = torch.ones(channels, device=example.device)
        with self._evaluating(), torch.no_grad():
            prefix = self._steps.prefix(example, [cut])
        fast = dict(self._at_once(prefix, cut, sets, reference))
        slow = dict(self._one_by_one(prefix, cut, sets, reference))
        return all(same(fast[number], slow[number]) for number in fast)

    def _held(self, cuts: Collection[int]) -> int:
        needed = set(cuts)
        if isinstance(self._steps, Replay):
            needed = needed.union(*(self._steps.live(cut) for cut in cuts))
        return sum(self._layers.operations[index].bytes for index in needed)

    def _evaluating(self) -> AbstractContextManager[None]:
        return evaluating(self._model)


def trace(
    model: nn.Module,
    example: Images,
    *,
    batch_size: int = 64,
    path: Path | None = None,
    meter: Meter | None = None,
) -> TracedNetwork:
    """Cut a classifier open.

    Args:
        model: Maps (B, C, H, W) to (B, K), in single or double precision.
        example: A few preprocessed images, (B, C, H, W); two are best, since programs may be
            special about one.
        batch_size: Maximum number of images in a forward pass.
        path: How to run it; by default the fastest way that gives the model's own numbers.
        meter: Counts the forward passes, those that begin in the middle included.

    Raises:
        InapplicableError: If the model is in half precision.
        AnalysisError: If the model has several outputs, or `path` was asked for and is not
            possible.
    """
    check_precision(model)
    images = image_tensor(example, "example")
    if not len(images):
        raise AnalysisError("the example holds no image; at least one is accepted, better two")
    images = as_the_model_takes(model, images)
    with evaluating(model), torch.no_grad():
        steps, taken = way_to_run(model, images, path)
    return TracedNetwork(model, steps, taken, images, batch_size, meter or Meter())


def _classes(steps: Replay | Rerun) -> int:
    shape = steps.operations[steps.output].shape
    if steps.output < 0 or shape is None:
        raise AnalysisError("the model's output is not made by a step that can be seen")
    return shape[1]


def _given(values: Mapping[int, Tensor], place: int, layer: str) -> Tensor:
    if place not in values:
        raise AnalysisError(
            f"layer {layer!r} was not reached for some images; a layer that every forward pass "
            "runs through is accepted"
        )
    return values[place]


def _differentiable(_: int, value: Tensor) -> Tensor:
    return value if value.requires_grad else value.detach().requires_grad_()
