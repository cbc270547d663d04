"""Policy chances: how often a good and a bad model would meet each expectation on these images.

Reckoned are the expectations on shares of images and on differences of such shares. A *good* model
makes three quarters of the errors that the bound allows, and a *bad* one makes half as many again
as it allows: of a bound of 0.8 these are 0.85 and 0.7. Where an expectation is about all classes,
every class of the good model is like that, and one class of the bad one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from governance.analyses.performance import Performance
from governance.analyses.preprocessing_check import PreprocessingCheck
from governance.methods.preprocessing_alternatives import alternatives
from governance.methods.statistics import acceptance
from governance.methods.statistics.intervals import LEVEL
from governance.methods.statistics.shortfall import cannot_fall_short
from governance.records.identity import ValidationIdentity
from governance.records.numbers import count, number, percent
from governance.records.policy import Expectation, Policy
from governance.subject.preprocessing import Preprocessing
from governance.workflows.orchestration import build

__all__ = ["WANTED", "Chance", "chances", "often"]

#: Chance to pass that a good model is meant to have.
WANTED = 0.9
GOOD, BAD = 0.75, 1.5
FINEST = 0.001
#: Size of a model's input that the policy does not say; as many ways lead to any other square.
SIZE = (224, 224)
#: Share of images on which a preprocessing that is as good as the declared one differs from it in
#: being right; an assumption, and the sentence says so.
DISCORDANT = 0.1
RECALL = "performance.recall."


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """How often models of a known quality meet one expectation.

    Attributes:
        expectation: The expectation.
        images: Images that it rests on, in words.
        good: A good model, in words.
        passes: Chance that it meets the expectation.
        bad: A bad model, in words; empty where none is reckoned.
        slips: Chance that it meets the expectation.
        needed: Images that it takes for a good model to pass, or a bad one not to, nine times in
            ten; in words.
    """

    expectation: Expectation
    images: str
    good: str
    passes: float
    bad: str = ""
    slips: float = 0.0
    needed: str = ""

    def __str__(self) -> str:
        asked = f"{self.expectation.metric} {self.expectation.bound}"
        where = " on the interval" if self.expectation.on == "interval" else ""
        said = f"{asked}{where}, {self.images}: {self.good} passes {often(self.passes)}"
        if self.bad:
            said += f", {self.bad} {often(self.slips)}"
        return f"{said}. {self.needed}".rstrip()


def often(chance: float) -> str:
    """A chance in words: in percent, and no finer than a reader can use."""
    if chance < FINEST:
        return f"less than {percent(FINEST)} of the time"
    if chance > 1 - FINEST:
        return f"more than {percent(1 - FINEST)} of the time"
    return f"{percent(chance)} of the time"


def chances(policy: Policy, validation: ValidationIdentity) -> tuple[Chance, ...]:
    """The chances of every expectation that they can be reckoned for, in their order.

    Args:
        policy: A policy with the expectations that its analyses bring.
        validation: The images that it would be judged on.
    """
    return tuple(
        chance for item in policy.expectations for chance in _chances(item, policy, validation)
    )


def _chances(item: Expectation, policy: Policy, validation: ValidationIdentity) -> Iterator[Chance]:
    if item.metric.startswith("preprocessing_check.") and item.at_most is not None:
        yield from _preprocessing(item, item.at_most, policy, validation)
    elif item.metric == "performance.accuracy" and item.at_least is not None:
        yield _share(item, item.at_least, validation.images, "all images")
    elif item.metric.startswith(RECALL) and item.at_least is not None:
        name = item.metric.removeprefix(RECALL)
        n = validation.class_counts[validation.class_names.index(name)]
        yield _share(item, item.at_least, n, f"class {name}")
    elif min(validation.counted) > 0:
        yield from _over_classes(item, policy, validation.counted)


def _over_classes(item: Expectation, policy: Policy, counts: Sequence[int]) -> Iterator[Chance]:
    """Chances of an expectation on a number over all classes, each of which has images."""
    bound, on = item.at_least, item.on
    if item.metric == "performance.classes_short" and item.at_most == 0:
        yield _short(item, policy, counts)
    elif item.metric == "performance.recall_worst" and bound is not None:
        yield _classes(
            item, bound, counts, lambda n, shares: acceptance.worst_passes(n, shares, bound, on)
        )
    elif item.metric == "performance.balanced_accuracy" and bound is not None:
        yield _classes(
            item, bound, counts,
            lambda n, shares: acceptance.mean_passes(n, shares, bound, on, seed=policy.seed),
        )  # fmt: skip


def _share(item: Expectation, bound: float, n: int, of: str) -> Chance:
    good, bad = _levels(bound)

    def passes(size: int, share: float) -> float:
        return acceptance.share_passes(size, share, bound, item.on) if size else 0.0

    return Chance(
        expectation=item,
        images=f"{count(n)} images",
        good=f"a model right on {number(good, 3)} of {of}",
        passes=passes(n, good),
        bad=f"one right on {number(bad, 3)}",
        slips=passes(n, bad),
        needed=_takes(passes(n, good), lambda size: passes(size, good), "the first to pass"),
    )


def _classes(
    item: Expectation,
    bound: float,
    counts: Sequence[int],
    passes: Callable[[Sequence[int], Sequence[float]], float],
) -> Chance:
    good, bad = _levels(bound)
    all_good = [good] * len(counts)
    now = passes(counts, all_good)
    return Chance(
        expectation=item,
        images=_spread(counts),
        good=f"a model with a recall of {number(good, 3)} in every class",
        passes=now,
        bad=f"one with {number(bad, 3)} in one class",
        slips=passes(counts, _one(good, bad, counts)),
        needed=_takes(
            now,
            lambda size: passes([size] * len(counts), all_good),
            "the first to pass",
            " of each class",
        ),
    )


def _short(item: Expectation, policy: Policy, counts: Sequence[int]) -> Chance:
    performance = build(policy)["performance"]
    asked = performance.class_recall if isinstance(performance, Performance) else 1.0
    k, bad = len(counts), max(0.0, 1 - 2 * (1 - asked))

    def slips(n: Sequence[int]) -> float:
        return acceptance.none_short(n, _one(asked, bad, n), asked)

    # The metric is missing where the images of a class could not show it, and nothing passes then.
    measured = not cannot_fall_short(counts, asked).any()

    return Chance(
        expectation=item,
        images=_spread(counts),
        good=f"a model with a recall of {number(asked, 3)} in every class",
        passes=acceptance.none_short(counts, [asked] * k, asked) if measured else 0.0,
        bad=f"one with {number(bad, 3)} in one class",
        slips=slips(counts) if measured else 0.0,
        needed=_takes(
            1 - slips(counts),
            lambda size: 1 - slips([size] * k),
            "the second to be refused",
            " of each class",
        ),
    )


def _preprocessing(
    item: Expectation, bound: float, policy: Policy, validation: ValidationIdentity
) -> Iterator[Chance]:
    check = build(policy)["preprocessing_check"]
    if not isinstance(check, PreprocessingCheck):
        return
    terms = policy.model
    tried = alternatives(
        Preprocessing(
            size=terms.input_size or SIZE, channels=terms.channels, mean=terms.mean, std=terms.std,
            resize=terms.resize,
        )
    )  # fmt: skip
    name, pairs = item.metric.partition(".")[2], len(tried)

    def passes(n: int) -> float:
        if name == "better_alternatives":
            return acceptance.not_better(n, pairs, LEVEL, discordant=DISCORDANT)
        return acceptance.gain_passes(
            n, pairs, bound, item.on, discordant=DISCORDANT, seed=policy.seed
        )

    if name == "best_alternative_gain" or (name == "better_alternatives" and bound == 0):
        n = min(check.samples, validation.images)
        yield Chance(
            expectation=item,
            images=f"{count(n)} images",
            good=f"a model that {pairs} other preprocessings serve as well, each with other right "
            f"answers on {percent(DISCORDANT)} of the images,",
            passes=passes(n),
            needed=_takes(passes(n), passes, "it to pass"),
        )


def _levels(bound: float) -> tuple[float, float]:
    """Share of right answers of a good and of a bad model."""
    return 1 - GOOD * (1 - bound), max(0.0, 1 - BAD * (1 - bound))


def _one(others: float, bad: float, counts: Sequence[int]) -> list[float]:
    """One bad class among good ones: the one with fewest images, where it is seen worst."""
    shares = [others] * len(counts)
    shares[min(range(len(counts)), key=counts.__getitem__)] = bad
    return shares


def _spread(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    each = count(low) if low == high else f"{count(low)} to {count(high)}"
    return f"{count(len(counts))} classes of {each} images"


def _takes(now: float, chance: Callable[[int], float], what: str, each: str = "") -> str:
    """The images that it would take, where they are not there."""
    if now >= WANTED:
        return ""
    needed = acceptance.images_needed(chance, WANTED)
    if needed is None:
        return f"A million images{each} are not enough for {what} {percent(WANTED)} of the time."
    return f"It takes {count(needed)} images{each} for {what} {percent(WANTED)} of the time."
