"""Estimates: bounds that start from sampled activations, and the attacks that try to refute them.

For networks too deep to be bounded from the image, the range of an intermediate step may be
*sampled* over each box and only the rest of the network bounded (the hybrid of Fel et al. 2023).
Sampling never exhausts a box, so the result is no guarantee, whatever the rest is: it is only ever
called ESTIMATED, and stands beside the margin that an attack attained, which often refutes it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from governance.errors import AnalysisError
from governance.methods.bounds.attack import attack
from governance.methods.bounds.bounds import Ranges, lower, margin_rows
from governance.methods.bounds.cases import boxes, case_of, deployed, patches
from governance.methods.bounds.program import Program, read
from governance.records.numbers import precise
from governance.subject.preprocessing import Preprocessing

__all__ = ["Estimate", "hybrid_explain"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """Estimated worst margins by patch, in row order, none of them proven.

    Attributes:
        status: ESTIMATED for every patch.
        estimates: Margins that the sampled bound suggests.
        attained: Margins that an attack attained; below the estimate it is refuted.
        refuted: Patches whose estimate the attack refuted.
        map: (rows, columns) clean margin less estimate, 0 where negative.
        cut: Step whose range was sampled.
        samples: Images per box.
        seed: Of samples and attack.
        eps: Radius in pixel values.
    """

    status: tuple[Literal["ESTIMATED"], ...]
    estimates: tuple[float, ...]
    attained: tuple[float, ...]
    refuted: tuple[int, ...]
    map: NDArray[np.float64]
    cut: str
    samples: int
    seed: int
    eps: float

    def statement(self, patch: int) -> str:
        """What may be printed about a patch."""
        end = "refuted it" if patch in self.refuted else "did not refute it"
        return (
            f"ESTIMATED, not a proof: worst margin {precise(self.estimates[patch])} of patch "
            f"{patch} at "
            f"radius {precise(self.eps)}, from ranges of {self.cut} over {self.samples} samples "
            f"(seed {self.seed}); an attack attained {precise(self.attained[patch])}, which {end}."
        )


def hybrid_explain(
    model: nn.Module,
    image: Tensor,
    target: int | None = None,
    *,
    eps: float,
    grid: tuple[int, int] = (8, 8),
    preprocess: Preprocessing | Callable[[Tensor], Tensor] | None = None,
    cut: str | None = None,
    samples: int = 64,
    steps: int = 10,
    seed: int = 0,
) -> Estimate:
    """Estimated worst margins when one patch moves, from ranges sampled inside the network.

    Args:
        model: As for `verified_explain`.
        image: (C, H, W) in [0, 1].
        target: The only rival class; None for every other.
        eps: Radius in pixel values.
        grid: Rows and columns of patches.
        preprocess: Normalisation that stands before the model.
        cut: Name of the step to sample; None for the last curved step, which leaves only affine
            steps to be bounded.
        samples: Images per box, half of them corners.
        steps: Of the attack.
        seed: Of samples and attack.

    Raises:
        AnalysisError: As `verified_explain`, and for a step that does not exist or can be bypassed.
    """
    whole = deployed(model, image.shape[0], preprocess, image.device)
    program = read(whole, image.shape)
    case = case_of(whole, program, image, target, eps)
    place = _place(program, cut)
    windows = patches(image.shape[1], image.shape[2], grid)
    low, high = boxes(case.image, windows, [eps] * len(windows), "solo")
    rivals = range(program.classes) if target is None else [target]
    rows = margin_rows(
        program.classes, case.decided, [r for r in rivals if r != case.decided], case.clean[-1]
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        found = [
            float(_estimated(program, place, ends, rows, samples, generator))
            for ends in zip(low, high, strict=True)
        ]
    tried = attack(
        case.model, case.image, low, high, case.decided, generator, rival=target, steps=steps
    )
    attained = tuple(float(value) for value in tried.margins)
    heights = np.maximum(case.margin - np.array(found), 0.0)
    return Estimate(
        status=tuple("ESTIMATED" for _ in windows),
        estimates=tuple(found),
        attained=attained,
        refuted=tuple(i for i, (a, b) in enumerate(zip(attained, found, strict=True)) if a < b),
        map=heights.reshape(grid),
        cut=program.steps[place].name,
        samples=samples,
        seed=seed,
        eps=eps,
    )


def _place(program: Program, cut: str | None) -> int:
    names = [step.name for step in program.steps]
    if cut is None:
        curved = [i for i, step in enumerate(program.steps) if hasattr(step.operator, "loose")]
        return curved[-1] if curved else 0
    if cut not in names:
        raise AnalysisError(f"step {cut!r} does not exist; accepted are {', '.join(names)}")
    return names.index(cut)


def _estimated(
    program: Program,
    place: int,
    ends: tuple[Tensor, Tensor],
    rows: Tensor,
    samples: int,
    generator: torch.Generator,
) -> Tensor:
    low, high = ends
    part = torch.rand(samples, *low.shape, generator=generator, dtype=torch.float64)
    part[samples // 2 :] = part[samples // 2 :].round()
    seen = program.values(low + part.to(low) * (high - low))
    # Only steps behind the cut are asked for their ranges: the sampled one and interval steps on.
    spans = [(item.amin(0, keepdim=True), item.amax(0, keepdim=True)) for item in seen[: place + 1]]
    found = Ranges(program=program, spans=spans)
    for step in program.steps[place + 1 :]:
        if step.operator is not None:
            found.spans.append(step.operator.span([found.spans[at] for at in step.sources]))
    return lower(program, found, len(program.steps) - 1, rows, base=place).amin()
