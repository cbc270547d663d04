"""Verified perturbation: which changes of an image provably cannot change the decision?

Purpose
    Tests try some disturbed images, and a proof covers all of them. For every patch of an image and
    every radius, this analysis tells whether any change of the patch's pixels can change the
    decision. For whole images it bounds the share of robust decisions from both sides: a proof
    gives the lower bound and an attack the upper bound.

Method
    The network is read operator by operator. Lower bounds of the decided class's lead over every
    other class are computed in float64 over a box of images. A box holds every image whose pixels,
    in [0, 1] before normalisation, differ by at most the radius. Bounds come from interval
    propagation and from linear bounds pulled back to the image (CROWN-IBP; Zhang et al. 2020). For
    undecided patches, the ranges of the numbers within the patch's reach are bounded in the same
    way. A claim needs the bound to exceed a stated slack for rounding.

    Mode `solo` moves one patch of a grid (8 x 8 up to 64 pixels, 12 x 12 above). Mode `drop` moves
    everything but the patch, after the explanation method of Fel et al. 2023. Every box is also
    attacked by projected gradient descent. A single attack below a proven bound withdraws the whole
    run.

    - VERIFIED: proven in exact arithmetic.
    - REFUTED: an image that changes the decision is known and was confirmed in the deployed float32
      model.
    - UNKNOWN: neither proven nor refuted.
    - VACUOUS: unknown, and the bound is no better than for arbitrary pixel values.

    Shares carry 95 % Clopper-Pearson intervals. The attack printed beside the bound is the control.

Signs of risk
    Patches far from the object are REFUTED at a small radius. The upper end of the share of robust
    decisions is already too low. A large share is UNKNOWN: nothing is known about it, which does
    not mean that the model is safe. Metrics are missing if the model answers every image alike,
    since a decision that never changes tells nothing about robustness.

Limits
    Claims hold for the sampled images, the l-infinity norm, this normalisation and these weights.
    They do not hold for rotations, other lighting or other cameras. Proofs reach small networks and
    those trained to be certified. Deep networks come out UNKNOWN or VACUOUS. Networks with
    operators that have no sound bound are only attacked. TF32, bfloat16, Winograd convolutions and
    quantised exports are not covered. A share over a sample of images is an estimate with an
    interval and not a guarantee.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from governance.errors import AnalysisError
from governance.methods.bounds.cases import Case, Deployed, Mode, case_of, deployed, patches
from governance.methods.bounds.certificates import Effort, decide, verified_radii
from governance.methods.bounds.locality import Window
from governance.methods.bounds.pictures import pictures
from governance.methods.bounds.program import Program, read, refuse_unsuitable
from governance.methods.bounds.tables import Row, claims, encoded, patch_rows, shares, witnesses
from governance.methods.one_answer import one_answer
from governance.methods.statistics.intervals import bootstrap, clopper_pearson
from governance.records.evidence import Interval, Measurement, Metric
from governance.records.numbers import number
from governance.records.topics import ADVERSARIAL
from governance.records.wording import missing
from governance.subject.meter import Meter
from governance.subject.subject import Needs, Subject

__all__ = ["VerifiedPerturbation"]

LEVELS = 255.0
LARGE = 64  # pixels a side above which patches are smaller
TERA = 1e12
# A backward pass costs about twice a forward pass.
PASSES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPerturbation:
    """Certified, refuted and unknown shares of patches and images per radius.

    Attributes:
        radii: Radii of the claims in 255ths of the range of pixel values, ascending.
        radius: Radius for the metrics; one of `radii`.
        images: Number of whole images for the share of robust decisions.
        patch_images: Number of these images, from the first, whose every patch gets a claim.
        mode: Pixels that may change: `solo` the patch, `drop` everything else, `both` first one
            and then the other.
        grid: Number of patches along each side; 0 means 8 up to 64 pixels and 12 above.
        steps: Number of steps of the attack.
        restarts: Number of restarts of the attack.
        neurons: Largest number of values per patch whose ranges are tightened one by one.
        activations: Largest number of values per image that enter a curved step; larger networks
            are only attacked.
        attack_budget: Largest cost of the attack in 10^12 operations, for networks that are only
            attacked.
    """

    radii: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    radius: float = 2.0
    images: int = 20
    patch_images: int = 2
    mode: Literal["solo", "drop", "both"] = "solo"
    grid: int = 0
    steps: int = 20
    restarts: int = 2
    neurons: int = 2_000
    activations: int = 250_000
    attack_budget: float = 1.0

    needs: ClassVar[Needs] = "network"
    covers: ClassVar[tuple[str, ...]] = (ADVERSARIAL,)
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            "certified_share": Metric(
                meaning="Share of decisions proven to hold under any change up to the radius.",
                better="higher",
            ),
            "surviving_share": Metric(
                meaning="Share of decisions that no attack up to the radius changed, which is an "
                "upper bound of the robust share.",
                better="higher",
            ),
            "undecided_share": Metric(
                meaning="Share of images neither proven nor refuted at the radius.", better="lower"
            ),
            "certified_patch_fraction": Metric(
                meaning="Share of patches proven unable to change the decision at the radius.",
                better="higher",
            ),
            "undecided_patch_fraction": Metric(
                meaning="Share of patches neither proven nor refuted at the radius.",
                better="lower",
            ),
            "median_verified_radius": Metric(
                meaning="Median over patches of the largest verified radius, in 255ths.",
                better="higher",
                highest=LEVELS,
            ),
        }
    )

    def __post_init__(self) -> None:
        if not self.radii or sorted(set(self.radii)) != list(self.radii):
            raise ValueError(f"radii = {self.radii}: different numbers, ascending, are accepted")
        if not self.radii[0] > 0 or self.radii[-1] > LEVELS:
            raise ValueError(f"radii = {self.radii}: above 0 and at most 255 is accepted")
        if self.radius not in self.radii:
            raise ValueError(f"radius = {self.radius}: one of radii {self.radii} is accepted")
        for name, least in (("images", 1), ("patch_images", 0), ("grid", 0), ("steps", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} = {getattr(self, name)}: at least {least} is accepted")
        if self.restarts < 1 or self.neurons < 0 or self.attack_budget <= 0:
            raise ValueError("restarts >= 1, neurons >= 0 and attack_budget > 0 are accepted")

    def run(self, subject: Subject, seed: int) -> Measurement:
        """Prove or refute the decisions on a sample of the validation images."""
        refuse_unsuitable(subject.network.model)
        chosen = subject.validation.sample(self.images, seed)
        pixels = subject.pixels(chosen)
        model = deployed(
            subject.network.model, pixels.shape[1], subject.preprocessing, subject.device
        )
        program = self._program(model, pixels)
        generator = torch.Generator().manual_seed(seed)
        effort = Effort(
            method="crown", neurons=self.neurons, steps=self.steps, restarts=self.restarts,
            batch=subject.batch_size,
        )  # fmt: skip
        if isinstance(program, str):
            chosen, effort = self._affordable(model, pixels[:1], chosen, effort)
            pixels = pixels[: len(chosen)]
        reach = self.radii[-1] / LEVELS
        cases = [case_of(model, program, image, None, reach) for image in pixels]
        asked = cases[: self.patch_images] if isinstance(program, Program) else []
        subject.meter.plan(images=len(cases) + len(asked))
        whole = []
        for which, case in enumerate(cases):
            whole += _asked(which, case, _all(case), "solo", self.radii, effort, generator)
            subject.meter.count(images=1)
        local, radii = self._patches(asked, effort, generator, subject.meter)
        measurement = _measurement(self, subject, chosen, cases, whole, local, radii, program)
        alike = one_answer(subject.predictions().argmax(1), subject.validation.class_names)
        return _without_meaning(measurement, alike) if alike else measurement

    def _program(self, model: Deployed, pixels: Tensor) -> Program | str:
        """The network's steps, or the reason why it can only be attacked."""
        try:
            program = read(model, pixels.shape[1:])
        except AnalysisError as error:
            return str(error)
        if program.activations > self.activations:
            return (
                f"{program.activations} numbers enter its curved steps; up to {self.activations} "
                "(activations) are bounded"
            )
        return program

    def _affordable(
        self, model: Deployed, image: Tensor, chosen: NDArray[np.int64], effort: Effort
    ) -> tuple[NDArray[np.int64], Effort]:
        """Fewer images and a shorter attack for a network that is only attacked."""
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(image)
        short = Effort(method="interval", steps=10, restarts=1, batch=effort.batch)
        each = PASSES * max(1, counter.get_total_flops()) * (short.steps + 1) * len(self.radii)
        return chosen[: max(1, int(self.attack_budget * TERA / each))], short

    def _patches(
        self, cases: Sequence[Case], effort: Effort, generator: torch.Generator, meter: Meter
    ) -> tuple[list[Row], dict[int, NDArray[np.float64]]]:
        """Claims about every patch, and the largest verified radius of each by image."""
        auto = Effort(
            method="auto", neurons=effort.neurons, steps=effort.steps, restarts=effort.restarts,
            batch=effort.batch,
        )  # fmt: skip
        modes: tuple[Mode, ...] = ("solo", "drop") if self.mode == "both" else (self.mode,)
        rows, radii = [], {}
        for which, case in enumerate(cases):
            side = self.grid or (8 if max(case.image.shape[2:]) <= LARGE else 12)
            windows = patches(case.image.shape[2], case.image.shape[3], (side, side))
            for mode in modes:
                asked_rows = _asked(which, case, windows, mode, self.radii, auto, generator)
                rows += asked_rows
                if mode == modes[0]:
                    radii[which] = _largest(
                        case, windows, asked_rows, mode, self.radii, auto, generator
                    )
            meter.count(images=1)
        return rows, radii


def _without_meaning(measurement: Measurement, alike: str) -> Measurement:
    """The measurement of a model that answers all images alike, without its metrics.

    Its claims hold. That nothing changes its decision is no sign of robustness.
    """
    note = missing(
        sorted(measurement.metrics),
        f"{alike}, so that a decision that holds tells nothing from one that never changes",
    )
    return dataclasses.replace(
        measurement,
        metrics=dict.fromkeys(measurement.metrics),
        intervals={},
        notes=(note, *measurement.notes),
        unanswered=(*measurement.unanswered, f"whether decisions are robust: {alike}"),
    )


def _all(case: Case) -> tuple[Window, ...]:
    return patches(case.image.shape[2], case.image.shape[3], (1, 1))


def _asked(
    which: int,
    case: Case,
    windows: Sequence[Window],
    mode: Mode,
    radii: Sequence[float],
    effort: Effort,
    generator: torch.Generator,
) -> list[Row]:
    """Claims about all windows at all radii, from small to large."""
    rows: list[Row] = []
    refuted: dict[int, Row] = {}
    for radius in radii:
        asked = [index for index in range(len(windows)) if index not in refuted]
        if not asked:
            rows += [
                dataclasses.replace(row, radius=radius, witness=None) for row in refuted.values()
            ]
            continue
        some = [windows[index] for index in asked]
        decisions = decide(case, some, [radius / LEVELS] * len(some), mode, effort, generator)
        for place, index in enumerate(asked):
            picture = decisions.witnesses.get(place)
            row = Row(
                image=which,
                patch=index,
                patches=len(windows),
                mode=mode,
                radius=radius,
                status=decisions.status[place],
                bound=decisions.bounds[place],
                vacuity=decisions.vacuity[place],
                witness=None if picture is None else encoded(picture, windows[index], mode),
            )
            rows.append(row)
            if picture is not None:
                refuted[index] = row
        # A witness stays one in every larger box.
        rows += [
            dataclasses.replace(row, radius=radius, witness=None)
            for row in refuted.values()
            if row.radius < radius
        ]
    return sorted(rows, key=lambda row: (row.radius, row.patch))


def _largest(
    case: Case,
    windows: Sequence[Window],
    rows: Sequence[Row],
    mode: Mode,
    radii: Sequence[float],
    effort: Effort,
    generator: torch.Generator,
) -> NDArray[np.float64]:
    """Largest verified radius of each patch in 255ths: of those asked, then by bisection."""
    start = np.zeros(len(windows))
    for row in rows:
        if row.status == "VERIFIED":
            start[row.patch] = max(start[row.patch], row.radius)
    above = np.array([min([r for r in radii if r > value], default=LEVELS) for value in start])
    verified = verified_radii(
        case,
        windows,
        (start / LEVELS).tolist(),
        (above / LEVELS).tolist(),
        mode,
        effort,
        generator,
    )
    largest: NDArray[np.float64] = verified * LEVELS
    return largest


def _measurement(
    asked: VerifiedPerturbation,
    subject: Subject,
    chosen: NDArray[np.int64],
    cases: Sequence[Case],
    whole: Sequence[Row],
    local: Sequence[Row],
    radii: Mapping[int, NDArray[np.float64]],
    program: Program | str,
) -> Measurement:
    at = [row for row in whole if row.radius == asked.radius]
    n = len(at)
    metrics: dict[str, float | None] = {}
    intervals: dict[str, Interval] = {}
    for name, statuses in (
        ("certified_share", {"VERIFIED"}),
        ("surviving_share", {"VERIFIED", "UNKNOWN", "VACUOUS"}),
        ("undecided_share", {"UNKNOWN", "VACUOUS"}),
    ):
        count = sum(row.status in statuses for row in at)
        metrics[name] = count / n
        interval = clopper_pearson(count, n)
        if interval:
            intervals[name] = interval
    if isinstance(program, Program):
        _patch_metrics(asked, local, radii, metrics, intervals)
    else:
        # Nothing was proven of any patch, and none was refuted: that much is known.
        metrics |= {
            "certified_patch_fraction": 0.0,
            "undecided_patch_fraction": 1.0,
            "median_verified_radius": 0.0,
        }
    ids = [subject.validation.ids[int(index)] for index in chosen]
    labels = [subject.validation.class_names[subject.validation.labels[i]] for i in chosen]
    tables = [shares(whole, labels), claims([*whole, *local], cases, ids)]
    if local:
        tables.append(patch_rows(local, ids))
    kept = witnesses([*whole, *local], ids)
    if kept.rows:
        tables.append(kept)
    return Measurement(
        metrics=metrics,
        intervals=intervals,
        figures=pictures(cases, whole, local, radii, ids),
        tables=tuple(tables),
        notes=(*_notes(asked, cases, program, n), *_undefined(metrics)),
        unanswered=_unanswered(program),
    )


def _undefined(metrics: Mapping[str, float | None]) -> Iterator[str]:
    """Reason for missing metrics of patches, one note for all of them."""
    absent = [name for name, value in metrics.items() if value is None]
    if absent:
        yield missing(absent, "no patch has a claim (patch_images = 0)")


def _patch_metrics(
    asked: VerifiedPerturbation,
    local: Sequence[Row],
    radii: Mapping[int, NDArray[np.float64]],
    metrics: dict[str, float | None],
    intervals: dict[str, Interval],
) -> None:
    mode = "drop" if asked.mode == "drop" else "solo"
    at = [row for row in local if row.radius == asked.radius and row.mode == mode]
    for name, statuses in (
        ("certified_patch_fraction", {"VERIFIED"}),
        ("undecided_patch_fraction", {"UNKNOWN", "VACUOUS"}),
    ):
        by_image = defaultdict(list)
        for row in at:
            by_image[row.image].append(row.status in statuses)
        shares = [float(np.mean(held)) for held in by_image.values()]
        _over_images(name, shares, lambda rows: float(rows.mean()), metrics, intervals)
    medians = [float(np.median(values)) for values in radii.values()]
    _over_images(
        "median_verified_radius", medians, lambda rows: float(np.median(rows)), metrics, intervals
    )


def _over_images(
    name: str,
    values: Sequence[float],
    statistic: Callable[[NDArray[np.float64]], float],
    metrics: dict[str, float | None],
    intervals: dict[str, Interval],
) -> None:
    # Patches of one image hang together: images are what is resampled.
    metrics[name] = statistic(np.array(values)) if values else None
    interval = bootstrap(statistic, values, seed=0) if values else None
    if interval:
        intervals[name] = interval


def _unanswered(program: Program | str) -> tuple[str, ...]:
    if isinstance(program, str):
        return ("nothing was proven: the network cannot be bounded and was only attacked",)
    return ()


def _notes(
    asked: VerifiedPerturbation, cases: Sequence[Case], program: Program | str, n: int
) -> tuple[str, ...]:
    if isinstance(program, str):
        only_attacked = (
            f"NOTHING WAS PROVEN: the network cannot be bounded ({program}). It was only attacked, "
            f"on {n} whole images with 10 steps; every image and patch that no attack changed "
            "counts as unknown, which does not mean that it is robust."
        )
        return (only_attacked,)
    kinds = sorted({case.slack.kind for case in cases if case.slack})
    worst = max((case.slack.value for case in cases if case.slack), default=0.0)
    gap = max((case.slack.observed for case in cases if case.slack), default=0.0)
    operators = ", ".join(f"{name} {count}" for name, count in program.coverage.items())
    scope = (
        f"Metrics hold for radius {asked.radius:g}/255 in the l-infinity norm, in pixel values "
        "before normalisation, clipped to [0, 1]."
    )
    rounding = (
        f"Every bound is computed in float64. A slack of up to {number(worst)} "
        f"({', '.join(kinds)}) is subtracted for rounding in float32. The largest observed "
        f"difference is {number(gap)}. A 'measured' slack is a hundred times the observed "
        "difference and no proof about rounding."
    )
    attacked = (
        f"Every claim was attacked ({asked.steps} steps, {asked.restarts} restarts). No attack "
        "went below a proven bound."
    )
    return (scope, rounding, f"Weights {cases[0].digest}; operators: {operators}.", attacked)
