"""Claims: what is known of each patch, and the sentences that may be printed about it.

- VERIFIED: proven for every image of the box, in exact arithmetic, with room for rounding.
- REFUTED: an image of the box that changes the decision is kept.
- UNKNOWN: neither.
- VACUOUS: UNKNOWN, and the bound is no better than for arbitrary pixel values.

A map without these statuses beside it says nothing about what was certified.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from governance.errors import AnalysisError
from governance.methods.bounds.bounds import Method, Slack
from governance.methods.bounds.cases import Mode
from governance.records.numbers import number, precise

__all__ = ["Bracket", "Decided", "Explanation", "Status", "sentence"]

Status = Literal["VERIFIED", "REFUTED", "UNKNOWN", "VACUOUS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """What is known of the worst margin in a box: proven from below, attained from above.

    Attributes:
        low: Proven, slack not yet taken off; NaN where nothing is known.
        high: Attained by the attack in the deployed model.
        method: Method that gave `low`; None where there is none.
    """

    low: float
    high: float
    method: Method | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decided:
    """Claims about N boxes of one image."""

    status: tuple[Status, ...]
    bounds: tuple[Bracket, ...]
    vacuity: tuple[float, ...]
    witnesses: Mapping[int, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """Patches of one image with what is known of each, in row order.

    Attributes:
        mode: `solo` or `drop`.
        eps: Radius in pixel values.
        decided: Class of the image.
        target: The only rival class; None for every other.
        sign: 1 brighter only, -1 darker only, None both.
        grid: Rows and columns of patches.
        map: (rows, columns): `solo` the clean margin less the proven worst margin, `drop` the fall
            of the proven margin when the patch moves with everything else, both 0 where negative.
        status: Status of each patch's claim.
        bounds: Bracket of each patch's worst margin.
        attained: The attack's margin for each patch.
        gap: Distance between proof and attack, for each patch.
        max_verified_eps: Largest radius verified, where asked for; else the radius or 0.
        vacuity: Vacuity of undecided patches: 1 means that the bound tells nothing.
        slack: Taken off every bound.
        op_coverage: How often each operator occurs in the bounded network.
        model_hash: Sha256 of the weights.
        margin: Clean margin.
        clipped: Patches of a `drop` map that would have been negative.
        witnesses: Images that change the decision, by patch.
        refusal: Reason why nothing could be bounded; None where something could.
        escapes: Attacks below a proven bound; any raises, so this is 0.
        drop: The `drop` explanation beside a `solo` one, if both were asked for.
    """

    mode: Mode
    eps: float
    decided: int
    target: int | None
    sign: int | None
    grid: tuple[int, int]
    map: NDArray[np.float64]
    status: tuple[Status, ...]
    bounds: tuple[Bracket, ...]
    max_verified_eps: tuple[float, ...]
    vacuity: tuple[float, ...]
    slack: Slack | None
    op_coverage: Mapping[str, int]
    model_hash: str
    margin: float
    clipped: int
    witnesses: Mapping[int, Tensor]
    refusal: str | None
    escapes: int = 0
    drop: "Explanation | None" = None

    @property
    def attained(self) -> tuple[float, ...]:
        """Margins that the attack reached."""
        return tuple(bound.high for bound in self.bounds)

    @property
    def gap(self) -> tuple[float, ...]:
        """Attained less proven margins."""
        return tuple(bound.high - bound.low for bound in self.bounds)

    def statement(self, patch: int) -> str:
        """The claim about a patch in words that may be printed."""
        inside = f"patch {patch}" if self.mode == "solo" else f"all but patch {patch}"
        return sentence(
            self.status[patch],
            self.bounds[patch],
            inside=f"inside {inside} of a {self.grid[0]} x {self.grid[1]} grid",
            eps=self.eps,
            decided=self.decided,
            target=self.target,
            slack=self.slack,
            digest=self.model_hash,
            refusal=self.refusal,
        )


def sentence(
    status: Status,
    bound: Bracket,
    *,
    inside: str,
    eps: float,
    decided: int,
    target: int | None,
    slack: Slack | None,
    digest: str,
    refusal: str | None,
) -> str:
    """The fixed sentence of a claim: radius, norm, place, weights, method and slack are all in it.

    Raises:
        AnalysisError: For a VERIFIED claim without a bound behind it.
    """
    against = "" if target is None else f" against class {target}"
    where = (
        f"image x' in [0, 1] with |x' - x| <= {precise(eps)} in every pixel value before "
        f"normalisation {inside} and equal elsewhere"
    )
    if status == "VERIFIED":
        if slack is None or bound.method is None:
            raise AnalysisError("a VERIFIED claim without bound or slack cannot be stated")
        return (
            f"VERIFIED: For every {where}, the network as defined by weights {digest} in exact "
            f"arithmetic keeps class {decided}{against} (margin at least "
            f"{precise(bound.low - slack.value)}). Method {bound.method}, float64, slack "
            f"{number(slack.value)} ({slack.kind}); the attack attained {precise(bound.high)}."
        )
    if status == "REFUTED":
        return (
            f"REFUTED: An {where}, is kept that changes class {decided}{against} (margin "
            f"{precise(bound.high)}); it was run again alone through the deployed float32 model."
        )
    tail = " The bound is no better than for arbitrary pixel values." if status == "VACUOUS" else ""
    reason = f" Not bounded: {refusal}." if refusal else ""
    return (
        f"{status}: For {where}, neither a proof that class {decided} is kept{against} nor a "
        f"counterexample was found (the attack attained {precise(bound.high)}).{tail}{reason}"
    )
