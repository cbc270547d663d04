"""Answers: what a comparison of two versions says, as plain frozen data.

Three questions are asked and answered apart, since no single p-value answers them. *Identity*: is
anything different beyond the explainer's own noise? *Exchangeability*: could the new version be one
more harmless run? *Equivalence*: is the change inside what is tolerated? The last one gates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from governance.records.drift_terms import ReferenceKind
from governance.records.evidence import Interval, ModelIdentity, Table

__all__ = [
    "Answer",
    "Change",
    "Comparable",
    "Comparison",
    "Matching",
    "Outcome",
    "Question",
    "SelfTest",
    "Verdict",
]

Question = Literal["identity", "exchangeability", "equivalence"]
Verdict = Literal["DRIFT", "EQUIVALENT", "INCONCLUSIVE"]
Outcome = Literal["yes", "no", "advisory", "open"]
Comparable = Literal["comparable", "weak", "not_comparable", "not_recorded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one of the three questions.

    Attributes:
        question: Which.
        outcome: `yes` or `no` to the question as worded in `words`; `advisory` where too few
            references stand behind it; `open` where nothing can be said.
        statistic: What was measured; None where it could not be.
        interval: Of the statistic, where there is one.
        p: Of the test, where there is one.
        p_floor: The smallest p that this number of references can give.
        n: Images behind it.
        m: References behind it.
        words: The answer as one sentence.
    """

    question: Question
    outcome: Outcome
    statistic: float | None
    interval: Interval | None = None
    p: float | None = None
    p_floor: float | None = None
    n: int
    m: int
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One statistic of how far the new version is from its peers, beside the references'.

    Attributes:
        name: Such as `rank` or `region:corner`.
        meaning: One sentence.
        value: Mean distance of the new version to the old one and the references.
        benign: The same of every reference, in their order; what harmless runs show.
        score: `value` less the mean of `benign`, in standard deviations over the references; None
            with fewer than two.
        p: Rank of `value` among the references, as a share, differences up to `least` counting as
            none; None with fewer than 4 references.
        p_holm: The same, adjusted for all statistics (Holm).
        least: Differences up to this count as none.
        drives: Whether it lies beyond the references (`p` at most alpha) and beyond `least`; None
            where so few references cannot tell.
    """

    name: str
    meaning: str
    value: float
    benign: tuple[float, ...] = ()
    score: float | None = None
    p: float | None = None
    p_holm: float | None = None
    least: float = 0.0
    drives: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Which filters of two versions are the same, by what they answer to the same images.

    Attributes:
        status: `comparable` from a median matched correlation of 0.8 (fine-tunes of one another),
            `weak` from 0.6, else `not_comparable`: then only statistics of whole layers mean
            anything. `not_recorded` where a version has no signatures.
        correlation: Median over all matched filters; None where nothing could be matched.
        identical: Share of the filters matched with the one of their own number.
        born: Filters of the new version that resemble none of the old.
        died: Filters of the old version that resemble none of the new, or went constant.
        split: Old filters that two or more new ones resemble.
        merged: New filters that resemble two or more old ones.
        filters: Compared.
        images: Behind each signature.
    """

    status: Comparable
    correlation: float | None = None
    identical: float | None = None
    born: int = 0
    died: int = 0
    split: int = 0
    merged: int = 0
    filters: int = 0
    images: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """How often a detector alarmed where it must not, or where it must.

    Attributes:
        name: `aa` (same weights, disjoint images), `leave_one_out` (every reference in turn as if
            it were the new version) or `planted` (a fault that must alarm).
        trials: How often it was asked.
        alarms: How often it alarmed.
        nominal: The rate it promises; None for `planted`.
        interval: 95 % Clopper-Pearson of the rate; None without trials.
        passed: Whether it did what it must; None where there were too few trials to say.
        words: The result as one sentence.
    """

    name: Literal["aa", "leave_one_out", "planted"]
    trials: int
    alarms: int
    nominal: float | None
    interval: Interval | None
    passed: bool | None
    words: str

    @property
    def rate(self) -> float | None:
        """Alarms among trials; None without trials."""
        return self.alarms / self.trials if self.trials else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What changed from one version to another in how it decides.

    Attributes:
        old: The version compared with.
        new: The version in question.
        references: URIs of the harmless runs, in order.
        kind: How these were made.
        verdict: DRIFT, EQUIVALENT or INCONCLUSIVE.
        testable: Whether drift would have been found: against a declared tolerance, or by a rank
            test over enough references.
        reasons: Why, one sentence each.
        identity: Is anything different beyond the explainer's own noise?
        exchangeability: Could the new version be one more harmless run?
        equivalence: Is the change inside the tolerance?
        to_first: Equivalence with the version that was approved first; None where none was given.
        distance: Mean map distance (1 - rank correlation) of the new version to the old one and
            the references; to the old one alone without references.
        upper: Upper end of its one-sided 95 % interval.
        lower: Lower end of its one-sided 95 % interval.
        tolerance: What `upper` was held against; None where there is nothing to hold it against.
        reason_share: Among images both answer rightly, the share whose map moved beyond the noise
            band: same answer, different reason. With its interval.
        reason_interval: Of `reason_share`.
        band: Map distance beyond which an image counts as moved.
        changes: Every statistic.
        unmeasured: Statistics that the terms name and the records do not hold.
        null: The combined score of each reference, in order.
        observed: The combined score of the new version.
        matching: Of filters.
        rules_held: Share of the recorded rules that still hold; None where nobody asked.
        rules_interval: Of `rules_held`.
        false_alarms: The leave-one-out self-test on the references.
        beside: Changes of accuracy and of the data, by name: old, new.
        tables: `statistics`, `classes`, `filters`, `images`, `beside`, `maps` where they exist.
        notes: What was left out and why.
    """

    old: ModelIdentity
    new: ModelIdentity
    references: tuple[str, ...]
    kind: ReferenceKind
    verdict: Verdict
    testable: bool
    reasons: tuple[str, ...]
    identity: Answer
    exchangeability: Answer
    equivalence: Answer
    to_first: Answer | None = None
    distance: float
    upper: float
    lower: float
    tolerance: float | None
    reason_share: float | None
    reason_interval: Interval | None
    band: float | None
    changes: tuple[Change, ...]
    null: tuple[float, ...]
    observed: float | None
    matching: Matching
    rules_held: float | None = None
    rules_interval: Interval | None = None
    false_alarms: SelfTest
    unmeasured: tuple[str, ...] = ()
    beside: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "beside", MappingProxyType(dict(self.beside)))

    def table(self, name: str) -> Table | None:
        """The table of that name, if the records held what it needs."""
        return next((table for table in self.tables if table.name == name), None)
