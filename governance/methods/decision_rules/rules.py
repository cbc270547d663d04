"""DecisionRules: the rules of every class, and what they are worth on images they have not seen.

Half of the images makes the rules and the other half tests them. The class of an image is what the
model answers; no labels are needed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from governance.errors import AnalysisError, InapplicableError
from governance.methods.decision_rules.boundaries import Boundaries, Suffix, is_linear, sample
from governance.methods.decision_rules.cover import choose, cover, prune, tighten
from governance.methods.image_tensors import Images
from governance.methods.lens_and_probe.readout import folds
from governance.methods.network import MAPS, Layout, TracedNetwork

__all__ = [
    "LEAST",
    "DecisionRule",
    "DecisionRules",
    "Outputs",
    "Status",
    "features_at",
    "find_cut",
    "find_rules",
]

Outputs = Literal["logits", "probabilities"]
Status = Literal["measured", "too few images", "never predicted", "no rule"]

LEAST = 30  # reference images of a class below which its rules mean nothing
LARGEST = 24  # boundaries in a rule by tightening
SUPPORT = 0.05  # share of its class that a rule must newly cover, and its seed alone is not enough
BARREN = 3  # seeds in a row without a rule, after which no more are tried
MEMORY = 512 * 2**20  # bytes of features held at once
MAP = 4  # dimensions of a batch of feature maps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecisionRule:
    """A region of feature space around a seed image in which one class is answered.

    Attributes:
        label: The class.
        number: Number of the rule within its class, from 1; the first covers most.
        seed: Index of the seed image.
        boundaries: Those that bound the region; the seed is on the positive side of each.
        covered: (N,) which images are in the region.
        again: (N,) which would be, had other boundaries been sampled.
    """

    label: int
    number: int
    seed: int
    boundaries: Boundaries
    covered: NDArray[np.bool_]
    again: NDArray[np.bool_]

    def name(self, names: Sequence[str]) -> str:
        """What the rule is called: its class and its number."""
        return f"{names[self.label]} {self.number}"

    @property
    def stability(self) -> float:
        """Jaccard index of the images covered with either sample of boundaries."""
        # The seed is in both.
        return float((self.covered & self.again).sum() / (self.covered | self.again).sum())

    def distances(self, features: Tensor, seed: Tensor) -> NDArray[np.float64]:
        """Semantic distance (N,) of features to the seed's: differences of heights, summed."""
        values = self.boundaries.values(torch.cat([seed[None], features]))
        return (values[1:] - values[:1]).abs().sum(1).double().cpu().numpy()

    def heat(self, features: Tensor, layout: Layout = MAPS) -> NDArray[np.float32]:
        """Where in each image the rule's boundaries are held at a distance: (N, H, W) in [0, 1].

        For each boundary the part of its height that a place contributes, if positive, scaled to
        one at most; then the mean over the boundaries.

        Args:
            features: (N, C, H, W).
            layout: Layout of the cut, where some of its tokens have no place in the image.
        """
        total = torch.zeros(1, dtype=features.dtype, device=features.device)
        for normal in self.boundaries.normals:
            part = (features * normal.view(1, *features.shape[1:])).sum(1, keepdim=True)
            part = layout.on_image(part)[:, 0].clamp_min(0)
            total = total + part / part.amax((1, 2), keepdim=True).clamp_min(1e-12)
        return (total / max(1, len(self.boundaries))).float().cpu().numpy()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecisionRules:
    """Rules of every class and the images they were made and tested on.

    Attributes:
        cut: The layer whose output the rules speak of.
        features: (N, C, H, W) activations of the images there.
        predicted: (N,) what the model answers.
        unseen: (N,) true for the half that tests, false for the reference half.
        classes: K.
        statuses: Whether each class could be measured.
        rules: Rules of all classes, in the order of the classes.
    """

    cut: str
    features: Tensor
    predicted: NDArray[np.int64]
    unseen: NDArray[np.bool_]
    classes: int
    statuses: tuple[Status, ...]
    rules: tuple[DecisionRule, ...]

    def of(self, label: int) -> tuple[DecisionRule, ...]:
        """The rules of a class."""
        return tuple(rule for rule in self.rules if rule.label == label)

    def covered(self, label: int) -> NDArray[np.bool_]:
        """Images (N,) that any rule of a class covers."""
        found = np.zeros(len(self.predicted), dtype=bool)
        for rule in self.of(label):
            found |= rule.covered
        return found

    @property
    def measured(self) -> tuple[int, ...]:
        """Classes with rules."""
        return tuple(k for k, status in enumerate(self.statuses) if status == "measured")


def find_rules(
    network: TracedNetwork,
    batches: Iterable[Images],
    cut: str,
    *,
    boundaries: int = 100,
    max_rules: int = 10,
    seed: int = 0,
    outputs: Outputs = "logits",
) -> DecisionRules:
    """Find the rules of every class.

    Args:
        network: The classifier, cut open.
        batches: Images in the model's input space, (B, C, H, W) each.
        cut: The layer, as `find_cut` gives it.
        boundaries: Sampled for a rule.
        max_rules: Seeds tried for a class, hence its most rules.
        seed: Seed of the halves and of the boundaries.
        outputs: Whether the network returns logits or probabilities.

    Raises:
        AnalysisError: If features do not fit in memory, or all images are answered alike.
    """
    features, logits = features_at(network, batches, cut, outputs)
    predicted = logits.argmax(1).cpu().numpy()
    if len(np.unique(predicted)) < 2:  # noqa: PLR2004 - no boundary without a second class
        raise AnalysisError(
            f"all {len(predicted)} images are answered with class {predicted[0]}; images of at "
            "least two answers are accepted"
        )
    unseen = folds(predicted, 2, seed) == 1
    suffix = _suffix(network, cut, outputs)
    statuses: list[Status] = []
    rules: list[DecisionRule] = []
    for label in range(network.classes):
        status = _status(predicted, unseen, label)
        if status == "measured":
            task = _Class(suffix, features, predicted == label, ~unseen, label, boundaries, seed)
            found = _rules(task, _lead(logits, label), max_rules)
            status = "measured" if found else "no rule"
            rules += found
        statuses.append(status)
    return DecisionRules(
        cut=cut, features=features, predicted=predicted, unseen=unseen, classes=network.classes,
        statuses=tuple(statuses), rules=tuple(rules),
    )  # fmt: skip


def find_cut(
    network: TracedNetwork, example: Images, cut: str = "auto", outputs: Outputs = "logits"
) -> tuple[str, int]:
    """The layer whose output rules shall speak of, and how many images fit in memory there.

    Args:
        network: The classifier, cut open.
        example: (N, C, H, W) some images as different as possible, at least two.
        cut: A layer, or `auto` for the last stage behind which the network is not linear and still
            reads places of the image. Behind the last block of a network with a class token, only
            that token is read.
        outputs: Whether the network returns logits or probabilities.

    Raises:
        InapplicableError: If there is no cut behind which the network is not linear, or it cannot
            be resumed at one.
        AnalysisError: If the cut asked for does not exist, is no feature map or has nothing but a
            linear map behind it.
    """
    if len(example) < 2:  # noqa: PLR2004 - a pair
        raise AnalysisError(f"{len(example)} images were given; at least 2 are accepted")
    for layer in reversed(network.stages()) if cut == "auto" else (cut,):
        features, _ = features_at(network, [example], layer, outputs)
        if features.ndim != MAP:
            raise AnalysisError(
                f"cut {layer!r} gives {tuple(features.shape[1:])} numbers an image; a feature map "
                "(channels, height, width) is accepted, such as the stages "
                f"{', '.join(network.stages())}"
            )
        suffix = _suffix(network, layer, outputs)
        if is_linear(suffix, features):
            continue
        if cut != "auto" or _reads_places(network, layer, suffix, features):
            return layer, MEMORY // (features[0].numel() * features.element_size())
    tried = f"cut {cut!r}" if cut != "auto" else f"the stages {', '.join(network.stages())}"
    kind = InapplicableError if cut == "auto" else AnalysisError
    raise kind(
        f"behind {tried} the network is linear: every class is one region, and the only rule of a "
        "class is the class itself; a cut further to the front, or 'auto', is accepted"
    )


def _reads_places(network: TracedNetwork, layer: str, suffix: Suffix, features: Tensor) -> bool:
    """Whether what lies behind a cut reads anything but tokens without a place in the image."""
    if not network.layout(layer).placeless(features).numel():
        return True
    with torch.enable_grad():
        at = features[:2].detach().requires_grad_()
        (slope,) = torch.autograd.grad(suffix(at).amax(1).sum(), at)
    return bool(network.layout(layer).on_image(slope).any())


def features_at(
    network: TracedNetwork, batches: Iterable[Images], layer: str, outputs: Outputs = "logits"
) -> tuple[Tensor, Tensor]:
    """Activations (N, C, H, W) at a cut and logits (N, K) of all images.

    Raises:
        AnalysisError: If the cut does not exist, or they are more than is held or not finite.
    """
    features: list[Tensor] = []
    logits: list[Tensor] = []
    held = 0
    for batch in batches:
        for _, output, found in network.features(batch, [layer]):
            features.append(found[layer])
            logits.append(_logits(output, outputs))
            held += found[layer].numel() * found[layer].element_size()
            if held > MEMORY:
                size = features[0][0].numel() * features[0].element_size()
                raise AnalysisError(
                    f"features at {layer!r} take {size} bytes an image; at most {MEMORY // size} "
                    "images are accepted there"
                )
    together = torch.cat(features)
    if not torch.isfinite(together).all():
        raise AnalysisError(
            f"features at {layer!r} are NaN or infinite; finite numbers are accepted"
        )
    return together, torch.cat(logits)


def _suffix(network: TracedNetwork, layer: str, outputs: Outputs) -> Suffix:
    resumed = partial(network.resumed, layer)
    return lambda features: _logits(resumed(features), outputs)


def _logits(output: Tensor, outputs: Outputs) -> Tensor:
    return output if outputs == "logits" else output.clamp_min(1e-30).log()


def _lead(logits: Tensor, label: int) -> NDArray[np.float64]:
    rivals = logits.clone()
    rivals[:, label] = -torch.inf
    return (logits[:, label] - rivals.amax(1)).double().cpu().numpy()


def _status(predicted: NDArray[np.int64], unseen: NDArray[np.bool_], label: int) -> Status:
    own = predicted == label
    if not own.any():
        return "never predicted"
    return "too few images" if (own & ~unseen).sum() < LEAST else "measured"


@dataclass(frozen=True, slots=True)
class _Class:
    # What the rules of one class are made from.
    suffix: Suffix
    features: Tensor
    own: NDArray[np.bool_]
    reference: NDArray[np.bool_]
    label: int
    boundaries: int
    seed: int

    def around(self, image: int, sampling: int) -> tuple[Boundaries, NDArray[np.bool_]]:
        """The boundaries of a rule around an image, and all images it covers."""
        others = np.flatnonzero(self.reference & ~self.own)
        rng = np.random.default_rng([self.seed, self.label, image, sampling])
        picked = rng.permutation(others)[: self.boundaries]
        sampled = sample(self.suffix, self.features[image], self.features[picked], self.label)
        inside = sampled.inside(self.features)
        known, own = inside[self.reference], self.own[self.reference]
        places = tighten(known, own, choose(known, own), LARGEST)
        return sampled.chosen(places), cover(inside, places)


def _rules(task: _Class, lead: NDArray[np.float64], most: int) -> list[DecisionRule]:
    """Rules peeled off one after the other, the most confidently answered image left as seed."""
    left = task.own & task.reference
    enough = max(2, round(SUPPORT * int(left.sum())))
    barren = 0
    found: list[tuple[int, Boundaries, NDArray[np.bool_]]] = []
    for _ in range(most):
        if left.sum() < enough or barren == BARREN:
            break
        seed = int(np.where(left, lead, -np.inf).argmax())
        boundaries, covered = task.around(seed, 0)
        barren += 1
        if (covered & left).sum() >= enough:
            found.append((seed, boundaries, covered))
            barren = 0
        left &= ~covered
        left[seed] = False
    kept = prune([covered & task.own & task.reference for _, _, covered in found])
    return [
        DecisionRule(
            label=task.label, number=number, seed=found[place][0], boundaries=found[place][1],
            covered=found[place][2], again=task.around(found[place][0], 1)[1],
        )
        for number, place in enumerate(kept, 1)
    ]  # fmt: skip
