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
from governance.records.evidence import Interval, Table
from governance.records.identity import ModelIdentity
from governance.records.turned import Answers, Turned

__all__ = [
    "Change",
    "Comparable",
    "Comparison",
    "DriftAnswer",
    "FilterMatching",
    "Flips",
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
class DriftAnswer:
    """The answer of a comparison to one of the three questions.

    Attributes:
        question: Name of the question.
        outcome: `yes` or `no` to the question as worded in `words`; `advisory` where too few
            reference runs stand behind it; `open` where nothing can be said.
        statistic: Number that was measured; None where it could not be.
        interval: Confidence interval of the statistic, where there is one.
        p: P-value of the test, where there is one.
        p_floor: Smallest p-value that this number of reference runs can give.
        n: Number of images behind the answer.
        m: Number of reference runs behind the answer.
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
    """One statistic of how far the new version is from the old one and the reference runs.

    Attributes:
        name: Name of the statistic, such as `rank` or `region:corner`.
        meaning: One sentence that says what the statistic measures.
        value: Mean distance of the new version to the old one and the reference runs.
        benign: The same mean distance of every reference run, in their order.
        score: `value` less the mean of `benign`, in standard deviations over the reference runs;
            None with fewer than two.
        p: Rank of `value` among the reference runs, as a share; differences up to `least` count as
            none. None with fewer than 4 reference runs.
        p_holm: `p` adjusted for all statistics (Holm).
        least: Largest difference that counts as none.
        drives: Whether the statistic lies beyond the reference runs (`p` at most alpha) and beyond
            `least`; None where so few reference runs cannot tell.
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
class FilterMatching:
    """Which filters of two versions are the same, by what they answer to the same images.

    Attributes:
        status: `comparable` from a median matched correlation of 0.8 (fine-tunes of one another),
            `weak` from 0.6, else `not_comparable`: then only statistics of whole layers mean
            anything. `not_recorded` where a version has no filter response profiles.
        correlation: Median over all matched filters; None where nothing could be matched.
        identical: Share of the filters matched with the one of their own number.
        born: Filters of the new version that resemble none of the old.
        died: Filters of the old version that resemble none of the new, or went constant.
        split: Old filters that two or more new ones resemble.
        merged: New filters that resemble two or more old ones.
        filters: Number of filters compared.
        images: Number of images behind each response profile.
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
            it were the new version) or `planted` (a test fault, which must alarm).
        trials: Number of times that the detector was asked.
        alarms: Number of times that it alarmed.
        nominal: Rate of alarms that it promises; None for `planted`.
        interval: 95 % Clopper-Pearson interval of the rate; None without trials.
        passed: Whether the detector did what it must; None where too few trials cannot say.
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
class Flips:
    """What became of the answers to the same images.

    Attributes:
        turned: Images whose answer changed, overall and by class, with exact tests.
        before: Answers of the old version.
        now: Answers of the new version.
        worse: Classes that are shown to be worse, over all classes together.
        everything: Whether these are all validation images; else those with heat maps.
        wrong: Confidence interval of the share of images that turned wrong.
        right: Confidence interval of the share of images that turned right.
        words: The result in two or three sentences.
    """

    turned: Turned
    before: Answers
    now: Answers
    worse: tuple[str, ...]
    everything: bool
    wrong: Interval | None
    right: Interval | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What changed from one version to another in how it decides.

    Attributes:
        old: The version compared with.
        new: The version in question.
        references: URIs of the reference runs, in order.
        kind: How the reference runs were made.
        verdict: DRIFT, EQUIVALENT or INCONCLUSIVE.
        testable: Whether drift would have been found: against a declared tolerance, or by a rank
            test over enough references.
        reasons: Reasons for the verdict, one sentence each.
        identity: Is anything different beyond the explainer's own noise?
        exchangeability: Could the new version be one more harmless run?
        equivalence: Is the change inside the tolerance?
        to_first: Equivalence with the version that was approved first; None where none was given.
        distance: Mean heat map distance (1 - rank correlation) of the new version to the old one
            and the reference runs; to the old one alone without reference runs.
        upper: Upper end of the one-sided 95 % interval of `distance`.
        lower: Lower end of the one-sided 95 % interval of `distance`.
        tolerance: Tolerance that `upper` is compared with; None without one.
        reason_share: Share of the images that both versions answer rightly whose heat map moved
            beyond the noise limit: same answer, different reason.
        reason_interval: Confidence interval of `reason_share`.
        band: Noise limit: heat map distance beyond which an image counts as moved.
        changes: All statistics of how far the new version is from the others.
        unmeasured: Statistics that the terms name and the records do not hold.
        null: The combined score of each reference run, in order.
        observed: The combined score of the new version.
        matching: Which filters of the two versions are the same.
        rules_held: Share of the recorded rules that still hold; None where nobody asked.
        rules_interval: Confidence interval of `rules_held`.
        false_alarms: The leave-one-out self-test on the references.
        flips: What became of the answers; None where the records do not tell.
        beside: Changes of accuracy and of the data, by name: old, new.
        tables: `flips` and what belongs to it, `statistics`, `classes`, `filters`, `images`,
            `beside`, `maps` where they exist.
        notes: Sentences on what was left out, and why.
    """

    old: ModelIdentity
    new: ModelIdentity
    references: tuple[str, ...]
    kind: ReferenceKind
    verdict: Verdict
    testable: bool
    reasons: tuple[str, ...]
    identity: DriftAnswer
    exchangeability: DriftAnswer
    equivalence: DriftAnswer
    to_first: DriftAnswer | None = None
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
    matching: FilterMatching
    rules_held: float | None = None
    rules_interval: Interval | None = None
    false_alarms: SelfTest
    unmeasured: tuple[str, ...] = ()
    flips: Flips | None = None
    beside: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "beside", MappingProxyType(dict(self.beside)))

    def table(self, name: str) -> Table | None:
        """The table of that name, if the records held what it needs."""
        return next((table for table in self.tables if table.name == name), None)
