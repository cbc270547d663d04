"""Claim tables: claims about many images as rows that can be kept and counted.

Shares of whole images carry Clopper-Pearson intervals; claims are kept as their fixed sentences;
images that change a decision are kept exactly, so that anyone can run them again.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from governance.methods.bounds.cases import Case, Mode
from governance.methods.bounds.claims import Bracket, Status, sentence
from governance.methods.bounds.locality import Window
from governance.methods.statistics.intervals import clopper_pearson
from governance.records.evidence import Cell, Table

__all__ = ["Row", "claims", "encoded", "patch_rows", "shares", "witnesses"]

LEVELS = 255.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One claim and what is known of it.

    Attributes:
        image: Position among the images asked about.
        patch: Position in the grid.
        patches: Number of patches of the grid; 1 for a whole image.
        mode: Which pixels move.
        radius: In 255ths.
        status: Status of the claim.
        bound: Bracket of the worst margin.
        vacuity: Vacuity of an undecided claim; NaN for any other.
        witness: The pixels that change the decision, encoded; None where there are none or where
            those of a smaller radius serve.
    """

    image: int
    patch: int
    patches: int
    mode: Mode
    radius: float
    status: Status
    bound: Bracket
    vacuity: float
    witness: str | None


def encoded(picture: Tensor, window: Window, mode: Mode) -> str:
    """What moved, as base64 of little-endian float32 in the order (C, H, W)."""
    moved = window.of(picture) if mode == "solo" else picture
    return base64.b64encode(moved.contiguous().numpy().astype("<f4").tobytes()).decode()


def shares(rows: Sequence[Row], labels: Sequence[str]) -> Table:
    """Certified, attacked and unknown share of whole images, per radius and class.

    Args:
        rows: One per image and radius.
        labels: True class of each image.
    """
    cells = []
    for radius in sorted({row.radius for row in rows}):
        at = [row for row in rows if row.radius == radius]
        for name in ("all", *sorted(set(labels))):
            some = [row for row in at if name == "all" or labels[row.image] == name]
            cell: list[Cell] = [radius, name, len(some)]
            for statuses in ({"VERIFIED"}, {"REFUTED"}, {"UNKNOWN", "VACUOUS"}):
                count = sum(row.status in statuses for row in some)
                found = clopper_pearson(count, len(some))
                cell += [
                    count / len(some),
                    found.low if found else None,
                    found.high if found else None,
                ]
            cells.append(tuple(cell))
    return Table(
        name="robustness",
        caption=(
            "Share of whole images per radius (255ths) and true class whose decision is proven to "
            "hold, was changed by an attack, or is neither, with 95 % Clopper-Pearson intervals "
            "and n. The robust share lies between certified and 1 - attacked."
        ),
        columns=(
            "radius",
            "class",
            "n",
            "certified",
            "certified_low",
            "certified_high",
            "attacked",
            "attacked_low",
            "attacked_high",
            "unknown",
            "unknown_low",
            "unknown_high",
        ),
        rows=tuple(cells),
        shown=20,
    )


def patch_rows(rows: Sequence[Row], ids: Sequence[str]) -> Table:
    """Every patch's claim at every radius."""
    return Table(
        name="patches",
        caption=(
            "Claims about patches, in row order of the grid: proven and attained margin, and how "
            "little the bound tells (vacuity 1: nothing; only of undecided patches). Radius in "
            "255ths."
        ),
        columns=(
            "image",
            "patch",
            "moves",
            "radius",
            "status",
            "proven",
            "attained",
            "method",
            "vacuity",
        ),
        rows=tuple(
            (
                ids[row.image],
                row.patch,
                "patch" if row.mode == "solo" else "all else",
                row.radius,
                row.status,
                row.bound.low,
                row.bound.high,
                row.bound.method,
                row.vacuity,
            )
            for row in rows
        ),
        shown=0,
    )


def claims(rows: Sequence[Row], cases: Sequence[Case], ids: Sequence[str]) -> Table:
    """The claims in words, patches with the same status together under their weakest margin."""
    groups: dict[tuple[int, str, Mode, float, Status], list[Row]] = {}
    for row in rows:
        what = "image" if row.patches == 1 else "patch"
        groups.setdefault((row.image, what, row.mode, row.radius, row.status), []).append(row)
    cells = []
    for (image, what, mode, radius, status), some in groups.items():
        case = cases[image]
        weakest = min(some, key=lambda row: (row.bound.low, row.bound.high))
        names = ", ".join(str(row.patch) for row in some)
        inside = "anywhere"
        if what == "patch":
            inside = f"inside any one of the patches {names}"
            inside = inside if mode == "solo" else f"outside any one of the patches {names}"
        said = sentence(
            status,
            weakest.bound,
            inside=inside,
            eps=radius / LEVELS,
            decided=case.decided,
            target=case.rival,
            slack=case.slack,
            digest=case.digest,
            refusal=case.refusal,
        )
        cells.append((ids[image], radius, status, len(some), said))
    return Table(
        name="claims",
        caption="Claims in full, with the weakest margin of the patches they are about.",
        columns=("image", "radius", "status", "boxes", "claim"),
        rows=tuple(cells),
        shown=4,
    )


def witnesses(rows: Sequence[Row], ids: Sequence[str]) -> Table:
    """Images that change a decision, each at the smallest radius it was found at."""
    return Table(
        name="witnesses",
        caption=(
            "Images that change the decision: the moved pixels (the patch, or the whole image) as "
            "base64 of little-endian float32 in the order (channel, row, column), in [0, 1]."
        ),
        columns=("image", "patch", "moves", "radius", "margin", "pixels"),
        rows=tuple(
            (
                ids[row.image],
                None if row.patches == 1 else row.patch,
                row.mode,
                row.radius,
                row.bound.high,
                row.witness,
            )
            for row in rows
            if row.witness is not None
        ),
        shown=0,
    )
