"""Shares of images: per class, the lowest of several, and two measured on the same images.

`intervals.py` bounds one share. What governance asks is mostly about several: the worst class, the
best of some alternatives, the difference of two readings of the same images. Picking the extreme of
noisy numbers is biased towards the extreme, so each interval here pays for the picking.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from governance.methods.statistics.intervals import (
    LEVEL,
    clopper_pearson_ends,
    wilson,
    wilson_ends,
)
from governance.records.evidence import Interval
from governance.records.wording import missing

__all__ = [
    "ClassShare",
    "Paired",
    "by_class",
    "chance",
    "ends",
    "exchanged",
    "largest",
    "lowest",
    "mean_of",
    "span",
    "unknown",
    "whiskers",
]

EXCHANGES = 2000
LISTED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassShare:
    """How many images of a class have a property, such as being recognised.

    Attributes:
        hits: Images that have it.
        n: Images of the class.
    """

    hits: int
    n: int

    @property
    def share(self) -> float | None:
        """`hits` among `n`; None where the class has no images."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> Interval | None:
        """Wilson's, for this class alone; None where the class has no images."""
        return wilson(self.hits, self.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Two readings of the same images, as the four counts of a McNemar table.

    Attributes:
        both: Images that both readings get right.
        first: Images that only the first gets right.
        second: Images that only the second gets right.
        neither: Images that both get wrong.
    """

    both: int
    first: int
    second: int
    neither: int

    @classmethod
    def of(cls, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> "Paired":
        """The counts of two vectors of right and wrong over the same images."""
        return cls(
            both=int((first & second).sum()),
            first=int((first & ~second).sum()),
            second=int((~first & second).sum()),
            neither=int((~first & ~second).sum()),
        )

    @property
    def n(self) -> int:
        """Number of images."""
        return self.both + self.first + self.second + self.neither

    @property
    def difference(self) -> float | None:
        """Share of the first minus share of the second; None without images."""
        return (self.first - self.second) / self.n if self.n else None

    def interval(self, level: float = LEVEL) -> Interval | None:
        """Newcombe's square-and-add interval of the difference, which knows they are paired.

        Returns:
            None without images.

        Source:
            Newcombe 1998, "Improved confidence intervals for the difference between binomial
            proportions based on paired data", method 10.
        """
        one = wilson(self.both + self.first, self.n, level)
        two = wilson(self.both + self.second, self.n, level)
        if one is None or two is None:
            return None
        p, q = (self.both + self.first) / self.n, (self.both + self.second) / self.n
        phi = self._correlation()
        below, above = p - one.low, one.high - p
        under, over = q - two.low, two.high - q
        low = p - q - np.sqrt(max(0.0, below**2 - 2 * phi * below * over + over**2))
        high = p - q + np.sqrt(max(0.0, above**2 - 2 * phi * above * under + under**2))
        return Interval(
            low=float(max(-1.0, low)),
            high=float(min(1.0, high)),
            n=self.n,
            level=level,
            method="Newcombe, paired",
        )

    def p_value(self) -> float:
        """Exact two-sided McNemar test that neither reading is right more often."""
        discordant = self.first + self.second
        return float(stats.binomtest(self.first, discordant).pvalue) if discordant else 1.0

    def _correlation(self) -> float:
        a, b, c, d = self.both, self.first, self.second, self.neither
        margins = float(a + b) * (c + d) * (a + c) * (b + d)
        if margins == 0:
            return 0.0
        product = float(a) * d - float(b) * c
        # Newcombe's continuity correction, for positive association only.
        corrected = max(product - self.n / 2, 0.0) if product > 0 else product
        return corrected / float(np.sqrt(margins))


def by_class(
    hits: NDArray[np.bool_], labels: NDArray[np.int64], classes: int
) -> tuple[ClassShare, ...]:
    """The share of images with `hits`, class by class.

    Args:
        hits: (N,) whether an image has the property.
        labels: (N,) class of each image.
        classes: How many there are, with or without images.
    """
    found = np.bincount(labels[hits], minlength=classes)
    total = np.bincount(labels, minlength=classes)
    return tuple(ClassShare(hits=int(f), n=int(t)) for f, t in zip(found, total, strict=True))


def ends(interval: Interval | None) -> tuple[float, float] | tuple[None, None]:
    """Both ends of an interval as cells of a row; missing where there is none."""
    return (None, None) if interval is None else (interval.low, interval.high)


def whiskers(shares: Iterable[ClassShare]) -> tuple[list[float], list[float]]:
    """Lower and upper interval ends of several shares, for a picture; NaN where there is none."""
    listed = list(shares)
    low, high = wilson_ends([item.hits for item in listed], [item.n for item in listed])
    return low.tolist(), high.tolist()


def span(counts: Iterable[int]) -> str:
    """The range of several counts as a caption states it: `40`, or `38 to 52`."""
    listed = [int(count) for count in counts]
    low, high = min(listed), max(listed)
    return str(low) if low == high else f"{low} to {high}"


def unknown(
    names: Sequence[str], counts: Sequence[int], over_classes: Sequence[str], *by_class: str
) -> str | None:
    """The note that metrics are missing since classes have no images; None where all have some.

    Args:
        names: Of the classes.
        counts: Images of each class.
        over_classes: Metrics that need every class, such as the lowest recall.
        by_class: Metrics of one class, such as `recall`; missing for the classes without images.
    """
    absent = [name for name, count in zip(names, counts, strict=True) if count == 0]
    if not absent:
        return None
    listed = ", ".join(absent[:LISTED]) + (" and more" if len(absent) > LISTED else "")
    each = [f"the {metric} of {'these' if len(absent) > 1 else 'it'}" for metric in by_class]
    why = f"{len(absent)} of {len(names)} classes have no image ({listed})"
    return missing([*over_classes, *each], why)


def chance(labels: NDArray[np.int64]) -> float:
    """Share of the commonest class: the accuracy of a model that always names it."""
    return float(np.bincount(labels).max() / len(labels))


def lowest(shares: Sequence[ClassShare]) -> tuple[float, Interval] | None:
    """The lowest share of several classes, with an interval for the lowest of the true shares.

    The smallest of all lower ends holds as it is: to be too high it must be too high for the class
    that is truly lowest. The smallest of all upper ends may be too low through any class, so those
    are taken at a level that holds for all classes together (Bonferroni). Ends are exact, since
    Wilson's are too tight at such levels.

    Returns:
        None where a class has no images: its share, hence the lowest, is not known.
    """
    if not shares or any(item.n == 0 for item in shares):
        return None
    worst = min(shares, key=lambda item: (item.hits / item.n, -item.n))
    joint = 1 - (1 - LEVEL) / len(shares)
    hits, counts = [item.hits for item in shares], [item.n for item in shares]
    low = float(clopper_pearson_ends(hits, counts)[0].min())
    high = float(clopper_pearson_ends(hits, counts, joint)[1].min())
    method = f"Clopper-Pearson, lowest of {len(shares)} classes"
    return worst.hits / worst.n, Interval(low=low, high=high, n=worst.n, method=method)


def largest(pairs: Sequence[Paired]) -> tuple[float, Interval] | None:
    """The largest difference of several, with an interval for the largest of the true ones.

    The mirror of `lowest`: lower ends hold for all differences together, upper ends for one.

    Returns:
        None without differences, or where one of them rests on no images.
    """
    if not pairs or any(item.n == 0 for item in pairs):
        return None
    top = max(pairs, key=lambda item: ((item.first - item.second) / item.n, item.n))
    joint = 1 - (1 - LEVEL) / len(pairs)
    wide = [item.interval(joint) for item in pairs]
    own = [item.interval() for item in pairs]
    low = max(item.low for item in wide if item)
    high = max(item.high for item in own if item)
    method = f"Newcombe, paired, largest of {len(pairs)}"
    return (top.first - top.second) / top.n, Interval(low=low, high=high, n=top.n, method=method)


def exchanged(pairs: Sequence[Paired], seed: int) -> tuple[float, float]:
    """The largest difference if both readings were exchanged at random: mean and 97.5 % quantile.

    Exchanging them on an image that both get right, or both wrong, changes nothing; every other
    image counts for either with the same probability. The control of `largest`.
    """
    discordant = np.array([pair.first + pair.second for pair in pairs])
    sizes = np.array([pair.n for pair in pairs])
    drawn = np.random.default_rng(seed).binomial(discordant, 0.5, (EXCHANGES, len(pairs)))
    top = ((2 * drawn - discordant) / sizes).max(1)
    return float(top.mean()), float(np.quantile(top, (1 + LEVEL) / 2))


def mean_of(shares: Sequence[ClassShare]) -> tuple[float, Interval] | None:
    """The plain mean of independent shares, its interval recovered from each one's Wilson ends.

    Returns:
        None where a class has no images.

    Source:
        Zou, Donner 2008, "Construction of confidence limits about effect measures" (MOVER).
    """
    ends = [item.interval for item in shares]
    if not shares or any(end is None for end in ends):
        return None
    values = np.array([item.hits / item.n for item in shares])
    low = np.array([end.low for end in ends if end])
    high = np.array([end.high for end in ends if end])
    centre, k = float(values.mean()), len(shares)
    interval = Interval(
        low=max(0.0, centre - float(np.linalg.norm(values - low)) / k),
        high=min(1.0, centre + float(np.linalg.norm(high - values)) / k),
        n=sum(item.n for item in shares),
        method="MOVER of Wilson",
    )
    return centre, interval
