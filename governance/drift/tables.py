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
    """One row per statistic."""
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
            "Mean distance of the new version to the old one and the reference runs, beside the "
            f"mean and the largest of the same distance over the {references} reference runs. The "
            "score is in their standard deviations. The p value is the rank among them, alone and "
            "adjusted for all rows (Holm). Differences up to the column least count as none. "
            "The column beyond tells whether the version lies farther than that and than the "
            "reference runs, if these are enough to tell."
        ),
        columns=("statistic", "new", "benign_mean", "benign_most", "score", "p", "p_holm", "least",
                 "beyond", "meaning"),
        rows=tuple(rows),
    )  # fmt: skip


def class_table(versions: Sequence[Version], by_image: Array, moved: Moved) -> Table:
    """One row per class, the largest change first."""
    old, new = versions[:2]
    members, m = tuple(range(1, len(versions))), len(versions) - 2
    lens = lens_change(old, new)
    rows: list[list[Cell]] = []
    for label, name in enumerate(old.class_names):
        inside = old.labels == label
        n = int(inside.sum())
        if n == 0:
            continue
        drifts = reach(by_image[:, :, inside].mean(2), members, (OLD,))
        both = inside & moved.both
        hits = int((moved.moved & both).sum())
        mass = [None if item.importance is None else item.importance[label] for item in (old, new)]
        rows.append([
            name, n, float(drifts[0]), float(drifts[1:].mean()) if m else None,
            share_reached(drifts, 0) if m >= FEWEST else None, None,
            int(both.sum()), hits / both.sum() if both.any() else None,
            *ends(wilson(hits, int(both.sum()))),
            float(old.right[inside].mean()), float(new.right[inside].mean()),
            float(lens[label]), *mass,
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
            "Each row is a class, largest distance first. It gives the number of images, the mean "
            "heat map distance of the new version and of the reference runs, p of the rank test "
            f"(at least {number(1 / (m + 1), 3)} with {m} reference runs) and q "
            "(Benjamini-Hochberg). The column moved is the share of the images that both versions "
            "answer rightly whose heat map moved, with 95 % Wilson interval. Then follow the share "
            "answered rightly before and now, the largest change of lens recall, and the mass of "
            "filter importance before and now."
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
    """One row per image, the farthest moved first."""
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
            f"Each row is an image (n = {len(rows)}), farthest moved first. It gives the place in "
            "the validation set, the true class, both versions' answers and probabilities of the "
            "true class, and the heat map distance between them. It says whether this distance "
            f"exceeds the noise limit ({number(moved.band)}, from {moved.rests_on}) and whether "
            "both versions are right."
        ),
        columns=("image", "place", "true", "old", "new", "p_old", "p_new", "distance", "moved",
                 "both_right"),
        rows=rows,
        shown=GALLERY,
    )  # fmt: skip


def map_table(old: Version, new: Version, moved: Moved) -> Table:
    """Both heat maps of the images that moved farthest while both versions are right."""
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
            "rightly by both versions whose heat maps moved farthest beyond the noise limit, with "
            "both heat maps (half-precision numbers row by row in base64)."
        ),
        columns=("image", "place", "class", "distance", "old_map", "new_map"),
        rows=rows,
        shown=0,
    )


def lens_table(old: Version, new: Version) -> Table | None:
    """Lens recall by layer of both versions, class by class; None if they share no layer."""
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
            "Lens recall of both versions by layer and class. The lens tells what the model would "
            "answer from the features of that depth."
        ),
        columns=("layer", "class", "old", "new", "change"),
        rows=rows,
        shown=0,
    )


def beside_table(
    old: Version, new: Version, beside: Mapping[str, tuple[float | None, float | None]]
) -> Table:
    """Accuracy and data quality of both versions, to be read beside drift."""
    pair = Paired.of(new.right, old.right)
    rows: list[tuple[Cell, ...]] = [
        (
            "accuracy on the images compared", float(old.right.mean()), float(new.right.mean()),
            pair.difference, *ends(pair.interval()), pair.n,
        )
    ]  # fmt: skip
    paired = _paired(old, new)
    for name, (before, now) in beside.items():
        change = None if before is None or now is None else now - before
        rows.append(paired.pop(name, (name, before, now, change, None, None, None)))
    rows += paired.values()
    return Table(
        name="beside",
        caption=(
            "Metrics of both records to be read beside the drift. A change of a share of right "
            "answers has Newcombe's paired 95 % interval where both records hold the answer to "
            "every image; that of a class is for the class alone. Both versions were assessed on "
            "the same validation images, so no difference is due to other inputs."
        ),
        columns=("measure", "old", "new", "change", "low", "high", "n"),
        rows=tuple(rows),
        shown=len(beside) + 1,
    )


def _paired(old: Version, new: Version) -> dict[str, tuple[Cell, ...]]:
    """Accuracy and the recall of each class on all images, with the interval of their change."""
    before, now = old.whole, new.whole
    if before is None or now is None or before.labels != now.labels:
        return {}
    labels = np.array(now.labels)
    right = [np.array(item.given) == labels for item in (before, now)]
    everyone = np.ones(len(labels), dtype=bool)
    groups = {"performance.accuracy": everyone} | {
        f"performance.recall.{name}": labels == name for name in new.class_names
    }
    rows: dict[str, tuple[Cell, ...]] = {}
    for name, members in groups.items():
        first, second = (hits[members] for hits in right)
        pair = Paired.of(second, first)
        if pair.n:
            rows[name] = (
                name, float(first.mean()), float(second.mean()), pair.difference,
                *ends(pair.interval()), pair.n,
            )  # fmt: skip
    return rows
