"""Certificates: bounds and attacks brought together into claims about patches.

Every box is attacked, whatever the bounds say. One attack below a proven bound means that the
bounds are wrong, and then everything is withdrawn. The published score (verified adversarial
overlap, Fel et al. 2023) is the `drop` map: how much further the proven margin falls when a patch
moves with everything else. As a difference of two bounds it orders patches but proves nothing; the
claims beside it do.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from governance.errors import AnalysisError
from governance.methods.bounds.attack import Attack, attack
from governance.methods.bounds.bounds import Method, margin_rows, margins
from governance.methods.bounds.cases import Case, Mode, boxes, case_of, deployed, patches
from governance.methods.bounds.claims import Bracket, Decided, Explanation
from governance.methods.bounds.locality import Window, localised
from governance.methods.bounds.program import read
from governance.methods.image_tensors import Images, image_tensor
from governance.records.numbers import number, precise
from governance.subject.preprocessing import Preprocessing

__all__ = [
    "Effort",
    "Question",
    "decide",
    "explain",
    "proven",
    "verified_explain",
    "verified_radii",
]

# A bound that falls this far of what it falls when pixels may take any value tells nothing.
VACUOUS = 0.9
# Patches in a row that `auto` tightens in vain before it leaves the others of the image.
PATIENCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How hard to try.

    Attributes:
        method: Of the bounds; `auto` tightens where the simpler ones leave a patch undecided, and
            only where the patch alone moves: elsewhere there is too much to tighten.
        neurons: Maximum number of values per box that `tightened` bounds one by one.
        steps: Gradient steps of the attack.
        restarts: Starts of the attack: the first at the image, the others at random.
        batch: Boxes per forward pass of the attack.
    """

    method: Method | Literal["auto"] = "auto"
    neurons: int = 5_000
    steps: int = 20
    restarts: int = 2
    batch: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of every patch.

    Attributes:
        eps: Radius in pixel values.
        grid: Rows and columns of patches.
        sign: 1 for brighter only, -1 for darker only, None for both.
    """

    eps: float
    grid: tuple[int, int]
    sign: int | None = None


def proven(
    case: Case,
    windows: Sequence[Window],
    low: Tensor,
    high: Tensor,
    mode: Mode,
    method: Method,
    *,
    neurons: int = 0,
) -> NDArray[np.float64]:
    """Lower bounds of the decision's margin over each box, without slack; NaN where unknown."""
    if case.program is None or case.slack is None:
        return np.full(len(low), np.nan)
    classes = case.program.classes
    rivals = [case.rival] if case.rival is not None else [*range(classes)]
    rows = margin_rows(
        classes, case.decided, [r for r in rivals if r != case.decided], case.clean[-1]
    )
    if mode == "drop" or len(windows) == 0:
        found = margins(case.program, low, high, rows, method, neurons=neurons)
    else:
        parts = []
        for window, one_low, one_high in zip(windows, low, high, strict=True):
            with torch.no_grad():
                local = localised(case.program, case.clean, window)
            ends = window.of(one_low)[None], window.of(one_high)[None]
            parts.append(margins(local, *ends, rows, method, neurons=neurons))
        found = torch.cat(parts)
    # amin keeps a NaN: a margin is known only if all its rivals are.
    return found.amin(1).cpu().numpy()


def decide(
    case: Case,
    windows: Sequence[Window],
    radii: Sequence[float],
    mode: Mode,
    effort: Effort,
    generator: torch.Generator,
    *,
    sign: int | None = None,
) -> Decided:
    """Attack and bound one box a patch, and say what is known of each.

    Args:
        case: The image.
        windows: N patches.
        radii: Radius of each patch, in pixel values.
        mode: Which pixels move, as in `boxes`.
        effort: How hard to try.
        generator: Source of the attack's random starts.
        sign: Direction in which pixels move, as in `boxes`.

    Raises:
        AnalysisError: If an attack goes below a proven bound: the run is invalid.
    """
    low, high = boxes(case.image, windows, radii, mode, sign)
    tried = _attacked(case, low, high, effort, generator)
    flipped = tried.flipped.cpu().numpy()
    found, methods = _best(case, windows, low, high, mode, effort, flipped)
    slack = case.slack.value if case.slack else np.nan
    _refuse_escapes(case, found, tried, slack)
    held = np.isfinite(found) & (found > slack)
    vacuity = _vacuity(case, windows, found, ~held & ~flipped, mode, sign)
    return Decided(
        status=tuple(
            "REFUTED" if flip
            # Infinity and NaN prove nothing, whichever sign they have.
            else "VERIFIED" if hold
            else "VACUOUS" if empty > VACUOUS
            else "UNKNOWN"
            for flip, hold, empty in zip(flipped, held, vacuity, strict=True)
        ),
        bounds=tuple(
            Bracket(low=float(a), high=float(b), method=m if np.isfinite(a) else None)
            for a, b, m in zip(found, tried.margins.cpu().numpy(), methods, strict=True)
        ),
        vacuity=tuple(float(value) for value in vacuity),
        witnesses={int(i): tried.images[int(i)].cpu() for i in np.flatnonzero(flipped)},
    )  # fmt: skip


def _attacked(
    case: Case, low: Tensor, high: Tensor, effort: Effort, generator: torch.Generator
) -> Attack:
    return attack(
        case.model, case.image, low, high, case.decided, generator,
        rival=case.rival, steps=effort.steps, restarts=effort.restarts, batch=effort.batch,
    )  # fmt: skip


def _best(
    case: Case,
    windows: Sequence[Window],
    low: Tensor,
    high: Tensor,
    mode: Mode,
    effort: Effort,
    flipped: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], list[Method]]:
    """Bounds by the cheap method for all boxes, by the dear one where it can still decide."""
    cheap: Method = "interval" if effort.method == "interval" else "crown"
    found = proven(case, windows, low, high, mode, cheap)
    methods: list[Method] = [cheap] * len(windows)
    auto = effort.method == "auto" and mode == "solo"
    if case.slack is None or not (auto or effort.method == "tightened"):
        return found, methods
    wanted = ~flipped if effort.method == "tightened" else ~flipped & ~(found > case.slack.value)
    failures = 0
    for index in np.flatnonzero(wanted):
        if auto and failures == PATIENCE:
            break
        some = slice(int(index), int(index) + 1)
        (better,) = proven(
            case, windows[some], low[some], high[some], mode, "tightened", neurons=effort.neurons
        )
        # A NaN replaces a number: nothing may be claimed where two ways contradict each other.
        if not better <= found[index]:
            found[index], methods[index] = better, "tightened"
        # Where a network is too deep for one patch it is for the next; a success starts anew.
        failures = 0 if better > case.slack.value else failures + 1
    return found, methods


def _refuse_escapes(case: Case, found: NDArray[np.float64], tried: Attack, slack: float) -> None:
    attained = tried.margins.double().cpu().numpy()
    escaped = np.flatnonzero(np.isfinite(found) & (attained < found - slack))
    if len(escaped):
        worst = int(escaped[np.argmin(attained[escaped] - found[escaped])])
        raise AnalysisError(
            f"INVALID: {len(escaped)} of {len(found)} attacks went below a proven bound, for "
            f"instance margin {precise(attained[worst])} in box {worst} where "
            f"{precise(found[worst])} was "
            f"proven for class {case.decided} (slack {number(slack)}); every claim is withdrawn"
        )


def _vacuity(
    case: Case,
    windows: Sequence[Window],
    found: NDArray[np.float64],
    undecided: NDArray[np.bool_],
    mode: Mode,
    sign: int | None,
) -> NDArray[np.float64]:
    """Fall of the bound in each undecided box as a share of its fall over all pixel values."""
    vacuity = np.full(len(found), np.nan)
    places = np.flatnonzero(undecided & np.isfinite(found))
    if len(places):
        some = [windows[int(index)] for index in places]
        domain = proven(case, some, *boxes(case.image, some, [1.0] * len(some), mode, sign),
                        mode, "crown")  # fmt: skip
        fall = case.margin - found[places]
        with np.errstate(divide="ignore", invalid="ignore"):
            vacuity[places] = np.where(np.isfinite(domain), fall / (case.margin - domain), 1.0)
    return vacuity


def verified_radii(
    case: Case,
    windows: Sequence[Window],
    start: Sequence[float],
    stop: Sequence[float],
    mode: Mode,
    effort: Effort,
    generator: torch.Generator,
    *,
    sign: int | None = None,
    halvings: int = 5,
) -> NDArray[np.float64]:
    """The largest radius that bisection with `crown` verifies for each patch, attacked as well.

    Args:
        case: The image.
        windows: N patches.
        start: Radius already verified for each; 0 where none is.
        stop: Largest radius to try; it is tried first.
        mode: Which pixels move, as in `boxes`.
        effort: How hard the attack tries.
        generator: Source of the attack's random starts.
        sign: Direction in which pixels move, as in `boxes`.
        halvings: Number of halvings of the bracket between `start` and `stop`.

    Raises:
        AnalysisError: If an attack goes below a proven bound.
    """
    low, high = np.array(start, dtype=np.float64), np.array(stop, dtype=np.float64)
    if case.slack is None or not len(windows):
        return low
    for attempt in range(halvings + 1):
        middle = (low + high) / 2 if attempt else high
        ends = boxes(case.image, windows, middle.tolist(), mode, sign)
        found = proven(case, windows, *ends, mode, "crown")
        held = np.isfinite(found) & (found > case.slack.value)
        low, high = np.where(held, middle, low), np.where(held, high, middle)
    grown = np.flatnonzero(low > np.array(start))
    if len(grown):
        some = [windows[int(index)] for index in grown]
        ends = boxes(case.image, some, low[grown].tolist(), mode, sign)
        found = proven(case, some, *ends, mode, "crown")
        _refuse_escapes(case, found, _attacked(case, *ends, effort, generator), case.slack.value)
    return low


def explain(
    case: Case,
    question: Question,
    mode: Mode,
    effort: Effort,
    generator: torch.Generator,
    *,
    bisect: bool = False,
) -> Explanation:
    """All patches of one image, with the map of what each can do."""
    windows = patches(case.image.shape[2], case.image.shape[3], question.grid)
    eps = [question.eps] * len(windows)
    found = decide(case, windows, eps, mode, effort, generator, sign=question.sign)
    bounds = np.array([bound.low for bound in found.bounds])
    heights = case.margin - bounds
    if mode == "drop":
        heights = bounds - _everything(case, question)
    verified = [question.eps if item == "VERIFIED" else 0.0 for item in found.status]
    if bisect:
        stop = [1.0 if radius else question.eps for radius in verified]
        verified = verified_radii(
            case, windows, verified, stop, mode, effort, generator, sign=question.sign
        ).tolist()
    return Explanation(
        mode=mode,
        eps=question.eps,
        decided=case.decided,
        target=case.rival,
        sign=question.sign,
        grid=question.grid,
        map=np.maximum(heights, 0.0).reshape(question.grid),
        status=found.status,
        bounds=found.bounds,
        max_verified_eps=tuple(verified),
        vacuity=found.vacuity,
        slack=case.slack,
        op_coverage=case.program.coverage if case.program else {},
        model_hash=case.digest,
        margin=case.margin,
        clipped=int((heights < 0).sum()),
        witnesses=found.witnesses,
        refusal=case.refusal,
    )


def _everything(case: Case, question: Question) -> float:
    """The proven margin when the whole image moves."""
    whole = patches(case.image.shape[2], case.image.shape[3], (1, 1))
    ends = boxes(case.image, whole, [question.eps], "solo", question.sign)
    return float(proven(case, whole, *ends, "solo", "crown")[0])


def verified_explain(
    model: nn.Module,
    image: Images,
    target: int | None = None,
    *,
    eps: float,
    grid: tuple[int, int] = (8, 8),
    mode: Literal["solo", "drop", "both"] = "solo",
    preprocess: Preprocessing | Callable[[Tensor], Tensor] | None = None,
    sign: int | None = None,
    method: Method | Literal["auto"] = "auto",
    neurons: int = 5_000,
    steps: int = 20,
    restarts: int = 2,
    bisect: bool = False,
    seed: int = 0,
) -> Explanation:
    """What provably cannot change a decision, patch by patch, and what provably can.

    Args:
        model: In evaluation mode, float32; maps normalised (N, C, H, W) to (N, classes).
        image: (C, H, W) in [0, 1].
        target: The only class to hold the decision against; None for every other.
        eps: Radius in pixel values, above 0 and at most 1.
        grid: Rows and columns of patches.
        mode: `solo`, `drop`, or `both` (then `drop` is a field of the result).
        preprocess: Normalisation that stands before the model.
        sign: 1 for brighter only, -1 for darker only, None for both.
        method: How hard to try; `auto` tightens where the simpler bounds leave a patch undecided.
        neurons: Maximum number of values per patch that `tightened` bounds one by one.
        steps: Gradient steps of the attack.
        restarts: Starts of the attack: the first at the image, the others at random.
        bisect: Whether to search the largest verified radius of each patch.
        seed: Seed of the attack's random starts.

    Raises:
        AnalysisError: For a model or image that cannot be asked about, an operator that cannot be
            bounded, or an attack below a proven bound.
    """
    image = image_tensor(image, "image", dimensions=3)
    whole = deployed(model, image.shape[0], preprocess, image.device)
    boxes(image[None], [], [eps], "solo", sign)
    program = read(whole, image.shape)
    case = case_of(whole, program, image, target, eps)
    generator = torch.Generator().manual_seed(seed)
    effort = Effort(method=method, neurons=neurons, steps=steps, restarts=restarts)
    question = Question(eps=eps, grid=grid, sign=sign)
    if mode != "both":
        return explain(case, question, mode, effort, generator, bisect=bisect)
    drop = explain(case, question, "drop", effort, generator, bisect=bisect)
    solo = explain(case, question, "solo", effort, generator, bisect=bisect)
    return dataclasses.replace(solo, drop=drop)
