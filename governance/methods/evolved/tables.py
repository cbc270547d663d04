"""Tables: evolved regions as rows and sentences of a report."""

from collections.abc import Sequence

from governance.methods.evolved.explanation import FOUND, Explanation
from governance.methods.evolved.selection import Choice
from governance.records.evidence import Cell, Table
from governance.subject.subject import Subject

__all__ = [
    "SURE",
    "images_table",
    "notes",
    "seeds_table",
    "survives",
    "survives_all",
    "wrong_table",
]

SURE = 0.5  # probability from which a wrong class counts as explained


def survives(item: Explanation) -> bool:
    """Whether a wrong class counts as explained: above one half under this and a second baseline.

    Where the baseline image alone already shows that class nothing is found, so nothing counts.
    """
    return item.p_subset > SURE and item.cross_baseline.get(item.second_baseline, 0.0) > SURE


def survives_all(item: Explanation) -> bool:
    """The same under every baseline that was checked."""
    return survives(item) and min(item.cross_baseline.values()) > SURE


def images_table(subject: Subject, choices: list[Choice], found: list[Explanation]) -> Table:
    """One row an image that was explained."""
    names = subject.validation.class_names
    rows: list[tuple[Cell, ...]] = [
        (
            subject.validation.ids[choice.image],
            names[int(subject.validation.labels[choice.image])],
            names[item.label],
            choice.rule,
            item.status,
            f"{int(item.selected.sum())}/{len(item.selected)}",
            item.area,
            item.p_full,
            item.p_subset,
            item.p_baseline,
            item.cross_baseline.get(item.second_baseline),
            item.random_percentile,
            item.p_rest,
            item.seed_area,
            len(item.alternatives),
            item.evaluations,
        )
        for choice, item in zip(choices, found, strict=True)
    ]
    second = found[0].second_baseline
    return Table(
        name="images",
        caption=f"One row an image, n = {len(rows)}: the rule that chose it, the region found, and "
        "the probability of the predicted class for the full image, the region alone, the rest, "
        f"the baseline alone and the region under a second baseline ({second}). Probabilities are "
        "the model's own.",
        columns=(
            "image", "true", "predicted", "rule", "status", "segments", "area",
            "p full", "p region", "p baseline", "p second baseline", "random regions beaten",
            "p rest", "area unbred", "further regions", "evaluations",
        ),
        printed=(
            "image", "true", "predicted", "rule", "status", "segments", "area", "p full",
            "p region", "p rest", "p second baseline", "random regions beaten",
        ),
        rows=tuple(rows),
    )  # fmt: skip


def seeds_table(
    subject: Subject,
    repeated: Sequence[tuple[Choice, Explanation]],
    agreed: Sequence[float | None],
    seeds: int,
) -> Table:
    """One row an image that was explained with several seeds."""
    rows = tuple(
        (subject.validation.ids[choice.image], item.status, seeds, share)
        for (choice, item), share in zip(repeated, agreed, strict=True)
    )
    return Table(
        name="seeds",
        caption=f"Mean Jaccard index of the regions found with {seeds} seeds, over all pairs, for "
        f"n = {len(rows)} images; empty where a seed found no region.",
        columns=("image", "status", "seeds", "Jaccard"),
        rows=rows,
    )


def wrong_table(subject: Subject, choices: list[Choice], wrong: list[Explanation]) -> Table:
    """One row a wrong class."""
    names = subject.validation.class_names
    rows = tuple(
        (
            subject.validation.ids[choice.image], names[item.label], names[item.target], item.area,
            item.p_full, item.p_baseline, item.p_subset,
            item.cross_baseline.get(item.second_baseline), survives(item),
        )
        for choice, item in zip(choices, wrong, strict=False)
    )  # fmt: skip
    return Table(
        name="wrong_classes",
        caption="Control: the region that most raises the probability of a random class other than "
        f"the predicted one, n = {len(rows)}. It counts as explained where that probability is "
        "above 0.5 under the baseline of the search and under a second one; an empty region means "
        "that the baseline alone already shows that class, which explains nothing.",
        columns=(
            "image", "predicted", "wrong class", "area", "p full", "p baseline", "p region",
            "p second baseline", "explained",
        ),
        rows=rows,
    )  # fmt: skip


def notes(
    choices: list[Choice], found: list[Explanation], wrong: list[Explanation]
) -> tuple[str, ...]:
    """What the numbers do not say."""
    bred = sum(item.seed_area is not None and item.area < item.seed_area for item in found)
    several = sum(bool(item.alternatives) for item in found)
    minimal = sum(item.one_minimal for item in found)
    states = {status: sum(item.status == status for item in found) for status in FOUND}
    undefined = sum(item.status == "undefined_baseline" for item in found)
    raised = (
        f"Of {len(wrong)} random wrong classes {sum(map(survives, wrong))} could be raised above "
        f"{SURE} under two baselines, {sum(map(survives_all, wrong))} under all that were checked: "
        "as far may a region that a search has found be mistaken for a reason."
    )
    return (
        (
            f"{len(found)} images by {len({choice.rule for choice in choices})} rules: "
            f"{states['sufficient']} sufficient, {states['fragile']} fragile, {undefined} "
            "undefined (the baseline image alone already has the label and probability). "
            "What followed the starts (exchange, breeding and shrinking) made the region smaller "
            f"than ranking and greedy growth had on {bred} of {len(found)} images."
        ),
        (
            f"On {minimal} images every superpixel of the region was tried and none can be spared; "
            f"on {several} at least one more region, disjoint from it, is sufficient too."
        ),
        *((raised,) if wrong else ()),
    )
