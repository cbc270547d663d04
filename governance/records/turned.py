"""Turned: images whose answer differs between two versions, and whether that is more than luck."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Answers", "ByClass", "Turned", "TurnedImage", "answers_in", "sign_test", "turned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Class and answer of every validation image, in the order of the set.

    Attributes:
        labels: Class of each image.
        given: What the model answered to it.
        confidence: Probability of that answer; None where it is not recorded.
        images: Name of each image; empty in records of before they were kept.
    """

    labels: tuple[str, ...]
    given: tuple[str, ...]
    confidence: tuple[float | None, ...]
    images: tuple[str, ...] = ()

    def name(self, place: int) -> str:
        """Name of an image: its own, or else its place in the set."""
        return self.images[place] if self.images else str(place)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedImage:
    """An image to which two versions give different answers.

    Attributes:
        place: Place in the validation set.
        name: Name of the image.
        label: Its class.
        before: Answer of the older version.
        now: Answer of the newer version.
    """

    place: int
    name: str
    label: str
    before: str
    now: str

    @property
    def kind(self) -> str:
        """`newly wrong`, `newly right`, or `wrong in another way`."""
        if self.before == self.label:
            return "newly wrong"
        return "newly right" if self.now == self.label else "wrong in another way"


@dataclass(frozen=True, slots=True, kw_only=True)
class ByClass:
    """Images of a class, and how many of them turned.

    Attributes:
        label: The class.
        n: Its images.
        both: Those that both versions answer rightly.
        wrong: Those that turned wrong.
        right: Those that turned right.
        p: P-value of McNemar's exact test that neither version is right more often.
        p_holm: The same, adjusted for all classes by Holm's method.
    """

    label: str
    n: int
    both: int
    wrong: int
    right: int
    p: float
    p_holm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """What became of the answers to the same images from one version to another.

    Attributes:
        n: Number of images.
        images: Images whose answer differs, in the order of the set.
        classes: Every class that has images, in the order of the first image of each.
        p: P-value of McNemar's exact test over all images.
    """

    n: int
    images: tuple[TurnedImage, ...]
    classes: tuple[ByClass, ...]
    p: float

    def of_kind(self, kind: str) -> tuple[TurnedImage, ...]:
        """The images that turned in one of the three ways."""
        return tuple(item for item in self.images if item.kind == kind)

    @property
    def wrong(self) -> tuple[TurnedImage, ...]:
        """Images that the older version answered rightly and the newer one does not."""
        return self.of_kind("newly wrong")

    @property
    def right(self) -> tuple[TurnedImage, ...]:
        """Images that the newer version answers rightly and the older one did not."""
        return self.of_kind("newly right")

    @property
    def confusions(self) -> tuple[tuple[str, str, str, int], ...]:
        """Class, answer before, answer now and number of images, the most frequent first."""
        counted = Counter((item.label, item.before, item.now) for item in self.images)
        return tuple((*names, images) for names, images in counted.most_common())


def answers_in(columns: Mapping[str, Sequence[object]]) -> Answers | None:
    """The answers in the columns of the table `answers`; None where a column is missing."""
    if not {"class", "answer"} <= set(columns):
        return None
    labels, given = (tuple(map(str, columns[name])) for name in ("class", "answer"))
    sure = columns.get("confidence", (None,) * len(labels))
    return Answers(
        labels=labels, given=given,
        confidence=tuple(item if isinstance(item, float) else None for item in sure),
        images=tuple(map(str, columns.get("image", ()))),
    )  # fmt: skip


def turned(before: Answers, now: Answers) -> Turned | None:
    """Images whose answer differs between two versions; None where they saw other images.

    The test asks of each image that one version alone answers rightly which of the two it is. If
    neither is better, both are equally likely.

    Source:
        McNemar 1947, "Note on the sampling error of the difference between correlated proportions
        or percentages"; exact by the binomial distribution.
    """
    if before.labels != now.labels or not before.labels:
        return None
    rows = zip(before.labels, before.given, now.given, strict=True)
    images = tuple(
        TurnedImage(place=place, name=now.name(place), label=label, before=old, now=new)
        for place, (label, old, new) in enumerate(rows)
        if old != new
    )
    lost, won = (
        Counter(item.label for item in images if item.kind == kind)
        for kind in ("newly wrong", "newly right")
    )
    every = zip(before.labels, before.given, now.given, strict=True)
    kept = Counter(label for label, old, new in every if label == old == new)
    return Turned(
        n=len(now.labels),
        images=images,
        classes=tuple(_by_class(Counter(now.labels), kept, lost, won)),
        p=sign_test(lost.total(), won.total()),
    )


def _by_class(
    counts: Counter[str], kept: Counter[str], lost: Counter[str], won: Counter[str]
) -> Iterator[ByClass]:
    p = {label: sign_test(lost[label], won[label]) for label in counts}
    adjusted, least = {}, 0.0
    for place, label in enumerate(sorted(p, key=p.__getitem__)):
        least = max(least, min(1.0, p[label] * (len(p) - place)))
        adjusted[label] = least
    for label, n in counts.items():
        yield ByClass(
            label=label, n=n, both=kept[label], wrong=lost[label], right=won[label], p=p[label],
            p_holm=adjusted[label],
        )  # fmt: skip


def sign_test(first: int, second: int) -> float:
    """Two-sided p-value that two counts of disagreements come from a fair coin, exact."""
    n, fewer = first + second, min(first, second)
    if first == second:
        return 1.0
    term = tail = 1
    for k in range(1, fewer + 1):
        term = term * (n - k + 1) // k
        tail += term
    return float(2 * tail / 2**n)
