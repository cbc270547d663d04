"""Explanation maps: what does the model look at on a fixed set of images?

Purpose
    A later version of the model may be as accurate and decide for other reasons. This analysis
    records how each version decides on the same validation images, so that two versions can be
    compared from their records alone. It keeps a coarse heat map of where the evidence for the true
    class lies, the answer, and the response of each filter.

Method
    The explainer is integrated gradients (Sundararajan, Taly, Yan 2017) of the true class's score
    above the mean score of all classes. Its path runs straight from the image's own mean colour to
    the image, at points drawn at random within equal steps. Absolute values are summed over
    channels, pooled to a coarse grid and scaled to sum to one. Some images are explained twice with
    other points. The difference is the explainer's own noise, and smaller differences between
    versions mean nothing.

    The control is the agreement of heat maps of different images. Heat maps that look alike on
    every image explain none. The response profile of a filter, or of a hidden unit of a
    transformer's or a mixer's block, is its mean activation on each of at most 256 images. Images
    are drawn evenly over the classes, and every version with the same validation set and seed gets
    the same images. Images with an empty heat map count in no metric. If all heat maps are empty,
    the metrics are missing.

Signs of risk
    Much of the heat map lies at the border of the image, where few objects are. The repeated heat
    map agrees hardly more than heat maps of different images: the heat maps are then noise, and no
    comparison can be built on them. After retraining, heat maps moved although the answers stayed.

Limits
    A gradient heat map shows where the score is sensitive along one path and not what the model
    means by it. Another start of the path or another explainer gives other heat maps. Coarse cells
    hide anything smaller than a cell. Absolute values hide evidence against the class. Distances of
    heat maps depend on the explainer, so read them only beside the distances of harmless
    retraining.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from governance.errors import AnalysisError
from governance.methods import figures
from governance.methods.coarse_maps import Maps, mass_in, pack, rank_distance, ranked
from governance.methods.network import backward_batch, trace
from governance.methods.statistics import intervals
from governance.records.evidence import Cell, Figure, Interval, Measurement, Metric, Table
from governance.records.wording import missing
from governance.subject.images.validation_set import evenly
from governance.subject.subject import Needs, Subject

__all__ = ["ExplanationMaps"]

MOST = 500
SIGNED = 256  # images behind the response profile of a filter
LEVELS = 255
ACROSS = 10  # pictures in a row
DRAWN = 24  # classes in the picture
BORDER = 0.125  # of height and width, on every side
SMALL = 1e-6  # score that counts as none


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationMaps:
    """Coarse heat maps, answers and filter response profiles on a fixed set of images.

    Attributes:
        samples: Number of images, drawn evenly over the classes; at most 500.
        steps: Number of points on the path; each costs a forward and a backward pass of an image.
        grid: Number of cells along each side of a heat map.
        repeated: Number of images explained a second time to measure the explainer's own noise.
    """

    samples: int = 300
    steps: int = 16
    grid: int = 8
    repeated: int = 48

    needs: ClassVar[Needs] = "network"
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            "self_agreement": Metric(
                meaning="Mean rank correlation of the two heat maps of an image from different "
                "points of the path; 1 is an explainer without noise.",
                better="higher",
                lowest=-1.0,
            ),
            "distinctness": Metric(
                meaning="Metric self_agreement minus the mean rank correlation of heat maps of "
                "different images; near 0, heat maps tell images apart no better than noise.",
                better="higher",
                lowest=-2.0,
                highest=2.0,
            ),
            "border_mass": Metric(
                meaning="Mean share of the heat map within an eighth of the image's border; a heat "
                "map without preference has 0.4375.",
                better="lower",
            ),
            "completeness_gap": Metric(
                meaning="Median difference between the sum of a heat map and the change of score "
                "that it should add up to, as a share of that change.",
                better="lower",
                highest=None,
            ),
        }
    )

    def __post_init__(self) -> None:
        least = {"samples": 2, "steps": 2, "grid": 2, "repeated": 2}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} = {getattr(self, name)}: {lowest} and more are accepted")
        if self.samples > MOST:
            raise ValueError(f"samples = {self.samples}: at most {MOST} are accepted")

    def run(self, subject: Subject, seed: int) -> Measurement:
        """Measure heat maps and filter response profiles on a sample of the validation images."""
        order = evenly(subject.validation.labels, np.random.default_rng(seed))[: self.samples]
        chosen = np.sort(order)
        labels = subject.validation.labels[chosen]
        twice = np.flatnonzero(np.isin(chosen, order[: self.repeated]))
        signed = np.flatnonzero(np.isin(chosen, order[:SIGNED]))
        pixels = subject.pixels(chosen)
        if self.grid > min(pixels.shape[2:]):
            raise AnalysisError(
                f"grid = {self.grid} on images of {pixels.shape[2]} x {pixels.shape[3]} pixels; at "
                f"most {min(pixels.shape[2:])} is accepted"
            )
        subject.meter.plan(images=len(chosen) + len(twice))
        maps, gaps = self._explained(subject, pixels, labels, np.random.default_rng([seed, 1]))
        again, _ = self._explained(
            subject, pixels[twice], labels[twice], np.random.default_rng([seed, 2])
        )
        units, notes = _units(subject, pixels[signed])
        predicted = subject.predictions()[chosen]
        values, spread, about = _metrics(maps, again, twice, gaps, seed)
        rows = _map_rows(subject, chosen, predicted, maps, dict(zip(twice, again, strict=True)))
        return Measurement(
            metrics=values,
            intervals=spread,
            figures=(_picture(maps, labels, pixels.cpu().numpy(), subject.validation.class_names),),
            tables=(_map_table(rows, self.grid, signed), _unit_table(units, len(signed))),
            notes=(
                (
                    f"Measured on {len(chosen)} of {len(subject.validation)} validation images, "
                    f"drawn evenly over the classes, with {self.steps} points on each path. "
                    f"{len(twice)} images were explained twice."
                ),
                *about,
                *notes,
            ),
        )

    def _explained(
        self, subject: Subject, pixels: Tensor, labels: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Maps, NDArray[np.float64]]:
        """Heat maps, (N, cells), and the gap of each to the score it should add up to, (N,).

        The gap is a share of that score, and NaN where the score does not change.
        """
        drawn = (np.arange(self.steps) + rng.random((len(pixels), self.steps))) / self.steps
        points = torch.from_numpy(drawn.astype(np.float32))
        truth = torch.from_numpy(labels)
        size = max(1, subject.batch_size // self.steps)
        maps, shorts, changes = [], [], []
        for part in torch.split(torch.arange(len(pixels)), size):
            inputs = subject.network.inputs(pixels[part])
            heat, change = _integrated(
                subject, inputs, truth[part].to(inputs.device), points[part].to(inputs.device)
            )
            maps.append(_coarse(heat, self.grid))
            shorts.append((heat.sum((1, 2, 3)) - change).abs())
            changes.append(change.abs())
            subject.meter.count(images=len(part))
        heats, short, scale = (
            torch.cat(parts).cpu().double().numpy() for parts in (maps, shorts, changes)
        )
        if not all(np.isfinite(numbers).all() for numbers in (heats, short, scale)):
            raise AnalysisError(
                "a gradient or a score is NaN or infinite; a model that is differentiable along "
                "the path from an image's mean colour to the image is accepted"
            )
        gaps = np.divide(short, scale, out=np.full(len(short), np.nan), where=scale > SMALL)
        return heats, gaps


def _integrated(
    subject: Subject, inputs: Tensor, truth: Tensor, points: Tensor
) -> tuple[Tensor, Tensor]:
    # From the mean colour, so that dark and bright pixels alike can carry evidence.
    start = inputs.mean((2, 3), keepdim=True).expand_as(inputs)
    away = inputs - start
    steps = points.shape[1]
    path = (start[:, None] + points[:, :, None, None, None] * away[:, None]).flatten(0, 1)
    slope = _slopes(subject, path, truth.repeat_interleave(steps))
    heat = away * slope.view(len(inputs), steps, *inputs.shape[1:]).mean(1)
    with torch.no_grad():
        change = _score(subject, inputs, truth) - _score(subject, start, truth)
    return heat, change


def _slopes(subject: Subject, path: Tensor, truth: Tensor) -> Tensor:
    gradients = []
    size = backward_batch(
        subject.network.model, lambda images: _score(subject, images, truth[:2]), path[:2],
        subject.batch_size,
    )  # fmt: skip
    for rows in torch.split(torch.arange(len(path)), size):
        with torch.enable_grad():
            leaf = path[rows].detach().requires_grad_()
            score = _score(subject, leaf, truth[rows])
            if not score.requires_grad:
                raise AnalysisError(
                    "the model passes no gradient to its input; a model that torch can "
                    "differentiate is accepted"
                )
            # To the input alone, so that no parameter is left with a gradient.
            gradients.append(torch.autograd.grad(score.sum(), leaf)[0])
        subject.meter.count(passes=len(leaf))
    return torch.cat(gradients)


def _score(subject: Subject, inputs: Tensor, truth: Tensor) -> Tensor:
    output: Tensor = subject.network.model(inputs)
    if subject.network.returns == "probabilities":
        output = output.clamp_min(1e-30).log()
    # Above the mean of all classes: what is added to every class means nothing.
    centred = output - output.mean(1, keepdim=True)
    return centred.gather(1, truth[:, None])[:, 0]


def _coarse(heat: Tensor, grid: int) -> Tensor:
    pooled = functional.adaptive_avg_pool2d(heat.abs().sum(1, keepdim=True), grid).flatten(1)
    return pooled / pooled.sum(1, keepdim=True).clamp_min(torch.finfo(pooled.dtype).tiny)


def _units(subject: Subject, pixels: Tensor) -> tuple[list[tuple[Cell, ...]], tuple[str, ...]]:
    """One row per filter: layer, channel, and its mean activation per image in 255 levels."""
    inputs = subject.network.inputs(pixels)
    try:
        network = trace(
            subject.network.model,
            inputs[:2],
            batch_size=subject.batch_size,
            meter=subject.meter,
        )
        layers = [unit.layer for unit in network.units()]
    except AnalysisError as error:
        return [], (f"No filter response profiles: {error}",)
    means: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    for _, _, features in network.features(inputs, layers):
        for layer, value in features.items():
            means[layer].append(value.mean((2, 3)))
    rows: list[tuple[Cell, ...]] = []
    for layer in layers:
        signatures = torch.cat(means[layer]).cpu().double().numpy().T
        low, high = signatures.min(1), signatures.max(1)
        reach = np.where(high > low, high - low, 1.0)
        levels = np.rint((signatures - low[:, None]) / reach[:, None] * LEVELS).astype(np.uint8)
        rows += [
            (layer, channel, float(low[channel]), float(high[channel]), pack(levels[channel]))
            for channel in range(len(levels))
        ]
    return rows, (f"The network was read by {network.path} for the filter response profiles.",)


def _metrics(
    maps: Maps, again: Maps, twice: NDArray[np.int64], gaps: NDArray[np.float64], seed: int
) -> tuple[dict[str, float | None], dict[str, Interval], tuple[str, ...]]:
    """Values, intervals, and notes on images and metrics without a value."""
    first, second = ranked(maps[twice]), ranked(again)
    ordered = first.any(1) | second.any(1)
    first, second = first[ordered], second[ordered]
    agreement = 1 - rank_distance(first, second)
    # Each image beside the next one that was explained twice; one alone has none beside it.
    beside = 1 - rank_distance(first, np.roll(first, 1, axis=0)) if len(first) > 1 else first[:0, 0]
    seen = maps[maps.any(1)]
    border = 1 - mass_in(seen, (BORDER, BORDER, 1 - BORDER, 1 - BORDER))
    data = {
        "self_agreement": agreement,
        "distinctness": agreement[: len(beside)] - beside,
        "border_mass": np.clip(border, 0.0, 1.0),
        "completeness_gap": gaps[np.isfinite(gaps)],
    }
    values: dict[str, float | None] = {
        name: float(numbers.mean()) if len(numbers) else None for name, numbers in data.items()
    }
    short = data["completeness_gap"]
    if len(short):
        values["completeness_gap"] = float(np.median(short))
    spread = {
        "self_agreement": intervals.mean(agreement, lowest=-1, highest=1),
        "distinctness": intervals.mean(data["distinctness"], lowest=-2, highest=2),
        "border_mass": intervals.mean(data["border_mass"], lowest=0, highest=1),
        "completeness_gap": intervals.bootstrap(np.median, short, seed),
    }
    kept = {name: item for name, item in spread.items() if item}
    return values, kept, _empty(values, len(seen), len(maps))


def _empty(values: Mapping[str, float | None], seen: int, images: int) -> tuple[str, ...]:
    """Notes on images whose heat map is empty, and on missing metrics."""
    notes = []
    if seen < images:
        notes.append(
            f"The heat map of {images - seen} of {images} images is empty, since no pixel changes "
            "the score of their class. They count in no metric."
        )
    unknown = [name for name, value in values.items() if value is None]
    if unknown:
        notes.append(
            missing(unknown, "too few images have a heat map, or a score that changes at all")
        )
    return tuple(notes)


def _map_rows(
    subject: Subject,
    chosen: NDArray[np.int64],
    predicted: NDArray[np.float32],
    maps: Maps,
    again: Mapping[int, Maps],
) -> list[tuple[Cell, ...]]:
    validation = subject.validation
    return [
        (
            int(image), validation.ids[image], validation.hashes[image],
            int(validation.labels[image]), int(predicted[row].argmax()),
            float(predicted[row, validation.labels[image]]), pack(maps[row].astype(np.float16)),
            pack(again[row].astype(np.float16)) if row in again else None,
        )
        for row, image in enumerate(chosen)
    ]  # fmt: skip


def _map_table(rows: Sequence[tuple[Cell, ...]], grid: int, signed: NDArray[np.int64]) -> Table:
    marked = set(signed.tolist())
    return Table(
        name="maps",
        caption=(
            f"Each row is an image (n = {len(rows)}). It gives the place in the validation set, "
            "true class and answer by number, the probability of the true class, and the heat map: "
            f"{grid} x {grid} half-precision numbers row by row in base64. Some images have a "
            "second heat map from other points of the path (again). The last column says whether "
            "filters were read on the image."
        ),
        columns=("place", "image", "sha256", "label", "answer", "p_true", "map", "again", "signed"),
        rows=tuple((*row, place in marked) for place, row in enumerate(rows)),
        shown=0,
    )


def _unit_table(rows: Sequence[tuple[Cell, ...]], images: int) -> Table:
    return Table(
        name="units",
        caption=(
            "Response profile of every filter: its mean activation on each of "
            f"{images} images, as bytes from 0 (`low`) to {LEVELS} (`high`) in base64."
        ),
        columns=("layer", "unit", "low", "high", "signature"),
        rows=tuple(rows),
        shown=0,
    )


def _picture(
    maps: Maps, labels: NDArray[np.int64], pixels: NDArray[np.float32], names: Sequence[str]
) -> Figure:
    grid, cells = round(maps.shape[1] ** 0.5), []
    rows = np.arange(pixels.shape[2]) * grid // pixels.shape[2]
    columns = np.arange(pixels.shape[3]) * grid // pixels.shape[3]
    for label in np.unique(labels)[:DRAWN]:
        members = labels == label
        mean = maps[members].mean(0).reshape(grid, grid)
        heat = (mean / max(float(mean.max()), SMALL))[np.ix_(rows, columns)]
        picture = figures.overlay(pixels[members].mean(0), heat=heat.astype(np.float32))
        cells.append((f"class {names[label]}\nn = {int(members.sum())}", picture))
    return Figure(
        name="class_maps",
        caption=(
            f"The mean heat map of each class over its mean image, for {len(cells)} of "
            f"{len(names)} classes. Bright parts hold the evidence for the class. Each class has "
            "its own scale."
        ),
        seen=f"Mean heat maps of {', '.join(title.replace(chr(10), ', ') for title, _ in cells)}.",
        image=figures.gallery(cells, columns=min(len(cells), ACROSS)),
    )
