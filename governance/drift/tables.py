"""Tables of a comparison: by statistic, class, image and layer, and what stands beside them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from governance.drift.answers import Change
from governance.drift.distances import lens_change
from governance.drift.judging import FEWEST, OLD
from governance.drift.moved import Moved
from governance.drift.ranks import reach, share_reached
from governance.drift.version import Version
from governance.methods.coarse_maps import pack
from governance.methods.statistics.intervals import wilson
from governance.methods.statistics.proportions import Paired, ends
from governance.records.evidence import Cell, Table
from governance.records.numbers import number

__all__ = [
    "beside_table",
    "class_table",
    "image_table",
    "lens_table",
    "map_table",
    "statistics_table",
]

PRINTED = 25
BEYOND = {True: "yes", False: "no", None: "cannot tell"}
GALLERY = 12  # images whose maps are kept to be drawn

Array = NDArray[np.float64]


def statistics_table(changes: Sequence[Change], references: int) -> Table:
    """One row a statistic."""
    rows: list[tuple[Cell, ...]] = [
        (
            item.name, item.value, float(np.mean(item.benign)) if item.benign else None,
            max(item.benign, default=None), item.score, item.p, item.p_holm, item.least,
            BEYOND[item.drives], item.meaning,
        )
        for item in changes
    ]  # fmt: skip
    return Table(
        name="statistics",
        caption=(
            "How far the new version is from the old one and the references, beside the mean and "
            f"the largest of the same number over the {references} references; score: in standard "
            "deviations over these; p: rank among them, alone and adjusted for all rows (Holm); "
            "least: differences up to this count as none; beyond: whether it is farther than that "
            "and than the references, where so many can tell."
        ),
        columns=("statistic", "new", "benign_mean", "benign_most", "score", "p", "p_holm", "least",
                 "beyond", "meaning"),
        rows=tuple(rows),
    )  # fmt: skip


def class_table(versions: Sequence[Version], by_image: Array, moved: Moved) -> Table:
    """One row a class, the largest change first."""
    old, new = versions[:2]
    members, m = tuple(range(1, len(versions))), len(versions) - 2
    lens = lens_change(old, new)
    rows: list[list[Cell]] = []
    for label, name in enumerate(old.class_names):
        mine = old.labels == label
        n = int(mine.sum())
        if n == 0:
            continue
        drifts = reach(by_image[:, :, mine].mean(2), members, (OLD,))
        both = mine & moved.both
        hits = int((moved.moved & both).sum())
        mass = [None if item.importance is None else item.importance[label] for item in (old, new)]
        rows.append([
            name, n, float(drifts[0]), float(drifts[1:].mean()) if m else None,
            share_reached(drifts, 0) if m >= FEWEST else None, None,
            int(both.sum()), hits / both.sum() if both.any() else None,
            *ends(wilson(hits, int(both.sum()))),
            float(old.right[mine].mean()), float(new.right[mine].mean()), float(lens[label]), *mass,
        ])  # fmt: skip
    known = [row for row in rows if row[4] is not None]
    if known:
        adjusted = stats.false_discovery_control([float(row[4] or 0.0) for row in known])
        for row, q in zip(known, adjusted, strict=True):
            row[5] = float(q)
    rows.sort(key=lambda row: -float(row[2] or 0.0))
    return Table(
        name="classes",
        caption=(
            "Per class: images, mean map distance of the new version and of the references, p of "
            f"the rank test (at least {number(1 / (m + 1), 3)} with {m} references) and q "
            "(Benjamini-Hochberg); among images that both versions answer rightly the share whose "
            "map moved, with 95 % Wilson interval; share answered rightly before and now; largest "
            "change of lens recall; filter-importance mass before and now. Largest distance first."
        ),
        columns=("class", "n", "distance", "benign", "p", "q", "both_right", "moved", "moved_low",
                 "moved_high", "right_old", "right_new", "lens_change", "importance_old",
                 "importance_new"),
        printed=("class", "n", "distance", "benign", "p", "q", "moved", "moved_low", "moved_high",
                 "right_old", "right_new", "lens_change"),
        rows=tuple(tuple(row) for row in rows),
        shown=PRINTED,
    )  # fmt: skip


def image_table(old: Version, new: Version, moved: Moved) -> Table:
    """One row an image, the farthest moved first."""
    names = old.class_names
    rows = tuple(
        (
            old.images[row], int(old.places[row]), names[old.labels[row]], names[old.answers[row]],
            names[new.answers[row]], float(old.p_true[row]), float(new.p_true[row]),
            float(moved.distance[row]), bool(moved.moved[row]), bool(moved.both[row]),
        )
        for row in np.argsort(-moved.distance, kind="stable")
    )  # fmt: skip
    return Table(
        name="images",
        caption=(
            f"Every image, n = {len(rows)}: its place in the validation set, true class, answers "
            "and probability of the true class of both versions, map distance between them, "
            f"whether it lies beyond the noise band ({number(moved.band)}, from {moved.rests_on}) "
            "and whether both versions are right. Farthest first."
        ),
        columns=("image", "place", "true", "old", "new", "p_old", "p_new", "distance", "moved",
                 "both_right"),
        rows=rows,
        shown=GALLERY,
    )  # fmt: skip


def map_table(old: Version, new: Version, moved: Moved) -> Table:
    """Both maps of the images that moved farthest while both versions are right."""
    order = [
        row for row in np.argsort(-moved.distance, kind="stable") if (moved.moved & moved.both)[row]
    ]
    rows = tuple(
        (
            old.images[row], int(old.places[row]), old.class_names[old.labels[row]],
            float(moved.distance[row]), pack(old.maps[row].astype(np.float16)),
            pack(new.maps[row].astype(np.float16)),
        )
        for row in order[:GALLERY]
    )  # fmt: skip
    return Table(
        name="maps",
        caption=(
            f"Same answer, different reason: the {len(rows)} of {len(order)} images answered "
            "rightly by both versions whose maps moved farthest beyond the noise band, with both "
            "maps (half-precision numbers row by row in base64)."
        ),
        columns=("image", "place", "class", "distance", "old_map", "new_map"),
        rows=rows,
        shown=0,
    )


def lens_table(old: Version, new: Version) -> Table | None:
    """Lens recall by layer of both versions, class by class; None where they share no layer."""
    shared = [layer for layer in old.lens if layer in new.lens]
    if not shared:
        return None
    rows = tuple(
        (layer, name, float(before), float(now), float(now - before))
        for layer in shared
        for name, before, now in zip(old.class_names, old.lens[layer], new.lens[layer], strict=True)
    )
    return Table(
        name="lens",
        caption=(
            "Lens recall of both versions by layer and class: what the model would answer from "
            "the features of that depth."
        ),
        columns=("layer", "class", "old", "new", "change"),
        rows=rows,
        shown=0,
    )


def beside_table(
    old: Version, new: Version, beside: Mapping[str, tuple[float | None, float | None]]
) -> Table:
    """What must be read beside drift: accuracy and the data."""
    pair = Paired.of(new.right, old.right)
    rows: list[tuple[Cell, ...]] = [
        (
            "accuracy on the images compared", float(old.right.mean()), float(new.right.mean()),
            pair.difference, *ends(pair.interval()), pair.n,
        )
    ]  # fmt: skip
    for name, (before, now) in beside.items():
        change = None if before is None or now is None else now - before
        rows.append((name, before, now, change, None, None, None))
    return Table(
        name="beside",
        caption=(
            "What stands beside the drift: numbers of both records; the change of accuracy on the "
            "images compared with Newcombe's paired 95 % interval. Both versions were assessed on "
            "the same validation images, so that nothing in this comparison is due to other inputs."
        ),
        columns=("measure", "old", "new", "change", "low", "high", "n"),
        rows=tuple(rows),
    )
