"""Flips: images whose answer changed between two versions, joined with those whose reason did."""

from collections import Counter
from collections.abc import Iterator

from governance.drift.answers import Flips
from governance.drift.moved import Moved
from governance.drift.version import Version
from governance.methods.statistics.intervals import wilson
from governance.methods.statistics.proportions import Paired, ends
from governance.records.evidence import Cell, Table
from governance.records.numbers import number
from governance.records.turned import Answers, ByClass, Turned, TurnedImage, sign_test, turned
from governance.records.wording import first_few

__all__ = ["ALPHA", "SHOWN", "flip_tables", "flips", "showable", "surest"]

#: Level at which classes are called worse, over all of them together.
ALPHA = 0.05
#: P-values below are not told apart in words.
LEAST_P = 0.001
ALL = "all"
#: Rows that are printed; paper has room for fewer.
PRINTED = 25
MOST_LISTED = 20_000
#: Images of a kind that are drawn.
SHOWN = 12


def flips(old: Version, new: Version) -> Flips | None:
    """What became of the answers to the same images; None where the records do not tell.

    All validation images are compared where both records hold the answer to each of them, and
    otherwise the images that have a heat map in both.
    """
    whole = old.whole is not None and new.whole is not None
    before, now = (
        (old.whole, new.whole) if whole else (_with_maps_alone(old), _with_maps_alone(new))
    )
    found = None if before is None or now is None else turned(before, now)
    if before is None or now is None or found is None:
        return None
    worse = tuple(
        item.label for item in found.classes if item.wrong > item.right and item.p_holm <= ALPHA
    )
    return Flips(
        turned=found, before=before, now=now, worse=worse, everything=whole,
        wrong=wilson(len(found.wrong), found.n), right=wilson(len(found.right), found.n),
        words=_words(found, worse, everything=whole),
    )  # fmt: skip


def showable(found: Turned) -> bool:
    """Whether a class would be shown to be worse if all of its images turned wrong."""
    return any(sign_test(item.n, 0) * len(found.classes) <= ALPHA for item in found.classes)


def _with_maps_alone(version: Version) -> Answers:
    names = version.class_names
    return Answers(
        labels=tuple(names[label] for label in version.labels),
        given=tuple(names[answer] for answer in version.answers),
        confidence=(None,) * len(version.labels),
        images=version.images,
    )


def _words(found: Turned, worse: tuple[str, ...], *, everything: bool) -> str:
    """The result in two or three sentences."""
    wrong, right = len(found.wrong), len(found.right)
    chance = f"below {LEAST_P}" if found.p < LEAST_P else f"= {number(found.p, 3)}"
    which = "images" if everything else "images with heat maps"
    first = (
        f"Of {found.n} {which}, {wrong} turned wrong and {right} turned right "
        f"(exact McNemar test: p {chance})."
    )
    lost = next((item for item in found.confusions if item[0] == item[1]), None)
    if lost is not None:
        images = f"{lost[3]} image{'s' if lost[3] > 1 else ''}"
        first += f" Most often, {lost[0]} is now answered with {lost[2]} ({images})."
    if worse:
        return f"{first} Shown to be worse: {_classes(worse)}."
    return f"{first} No class is shown to be worse (p at most {ALPHA}, adjusted for all classes)."


def _classes(names: tuple[str, ...]) -> str:
    return f"class{'es' if len(names) > 1 else ''} {first_few(names)}"


def surest(found: Flips, kind: str) -> tuple[TurnedImage, ...]:
    """The images of a kind: those of the classes with most of them first, the surest answers first.

    Args:
        found: What became of the answers.
        kind: `newly wrong` or `newly right`.
    """
    images = found.turned.of_kind(kind)
    most = Counter(item.label for item in images)

    def rank(item: TurnedImage) -> tuple[int, str, float, int]:
        return (-most[item.label], item.label, -(found.now.confidence[item.place] or 0), item.place)

    return tuple(sorted(images, key=rank))


def flip_tables(found: Flips, old: Version, moved: Moved) -> tuple[Table, ...]:
    """The tables of `flips`.

    Args:
        found: What became of the answers.
        old: The version before, whose images with heat maps are those of the new one.
        moved: Which of these have a heat map that moved.
    """
    rows = {int(place): row for row, place in enumerate(old.places)}
    if not found.everything:
        rows = {row: row for row in range(len(old.places))}
    return (
        _by_class(found),
        _confusions(found.turned),
        _listed(found, rows, moved),
        _and_reasons(found, rows, moved),
    )


def _by_class(found: Flips) -> Table:
    classes = sorted(
        found.turned.classes, key=lambda item: (item.right - item.wrong, item.p, item.label)
    )
    pairs = [_pair(item) for item in classes]
    whole = Paired(
        both=sum(pair.both for pair in pairs), first=sum(pair.first for pair in pairs),
        second=sum(pair.second for pair in pairs), neither=sum(pair.neither for pair in pairs),
    )  # fmt: skip
    shown = [_row(ALL, whole, found.turned.p, None)]
    shown += [
        _row(item.label, pair, item.p, item.p_holm)
        for item, pair in zip(classes, pairs, strict=True)
    ]
    return Table(
        name="flips",
        caption=(
            "Images that turned wrong and right, over all images and by class, the class that lost "
            "most first. The change of the share of right answers has Newcombe's paired 95 % "
            "interval. The p value is that of McNemar's exact test; p_holm is adjusted for all "
            "classes (Holm)."
        ),
        columns=("class", "n", "newly_wrong", "newly_right", "change", "low", "high", "p",
                 "p_holm"),
        rows=tuple(shown),
        shown=PRINTED,
    )  # fmt: skip


def _pair(item: ByClass) -> Paired:
    """The images of a class by which of the versions, the new one first, answers them rightly."""
    return Paired(
        both=item.both, first=item.right, second=item.wrong,
        neither=item.n - item.both - item.right - item.wrong,
    )  # fmt: skip


def _row(label: str, pair: Paired, p: float, p_holm: float | None) -> tuple[Cell, ...]:
    change = (pair.difference, *ends(pair.interval()))
    return (label, pair.n, pair.second, pair.first, *change, p, p_holm)


def _confusions(found: Turned) -> Table:
    return Table(
        name="flipped_confusions",
        caption=(
            "How answers changed: images of a class, answered with one class before and with "
            "another one now, the most frequent change first."
        ),
        columns=("class", "old", "new", "images"),
        rows=found.confusions,
        shown=PRINTED,
    )


def _listed(found: Flips, rows: dict[int, int], moved: Moved) -> Table:
    def listed(item: TurnedImage) -> tuple[Cell, ...]:
        row = rows.get(item.place)
        return (
            item.name, item.place, item.label, item.before, item.now, item.kind,
            found.before.confidence[item.place], found.now.confidence[item.place],
            None if row is None else float(moved.distance[row]),
            None if row is None else bool(moved.moved[row]),
        )  # fmt: skip

    kinds = ("newly wrong", "newly right", "wrong in another way")
    images = sorted(found.turned.images, key=lambda item: (kinds.index(item.kind), item.place))
    return Table(
        name="flipped_images",
        caption=(
            f"Each row is an image whose answer changed ({len(images)} of {found.turned.n}), those "
            "that turned wrong first. It gives class, both answers with their probabilities, and "
            "the distance between both heat maps where the image has them. It says whether this "
            "distance exceeds the noise limit."
        ),
        columns=("image", "place", "class", "old", "new", "kind", "p_old", "p_new", "distance",
                 "moved"),
        rows=tuple(map(listed, images[:MOST_LISTED])),
        shown=PRINTED,
    )  # fmt: skip


def _and_reasons(found: Flips, rows: dict[int, int], moved: Moved) -> Table:
    return Table(
        name="flips_and_reasons",
        caption=(
            "What became of the answer, and whether the reason moved: images of each kind, those "
            "with heat maps, and the share of these whose heat map moved beyond the noise limit, "
            "with 95 % Wilson interval."
        ),
        columns=("answer", "images", "with_maps", "moved", "share", "low", "high"),
        rows=tuple(_reasons(found, rows, moved)),
    )


def _reasons(found: Flips, rows: dict[int, int], moved: Moved) -> Iterator[tuple[Cell, ...]]:
    kinds = {item.place: item.kind for item in found.turned.images}
    places: dict[str, list[int]] = {
        "right in both": [], "newly wrong": [], "newly right": [],
        "wrong, the same answer": [], "wrong in another way": [],
    }  # fmt: skip
    for place, (label, given) in enumerate(zip(found.now.labels, found.now.given, strict=True)):
        stayed = "right in both" if label == given else "wrong, the same answer"
        places[kinds.get(place, stayed)].append(place)
    for kind, members in places.items():
        mapped = [rows[place] for place in members if place in rows]
        hits = int(moved.moved[mapped].sum())
        share = hits / len(mapped) if mapped else None
        yield (kind, len(members), len(mapped), hits, share, *ends(wilson(hits, len(mapped))))
