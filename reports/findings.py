"""Findings in words: a title, a sentence, the rule, the cause and the remedy of every requirement.

Everything is generated from the record and the standing texts of `metrics.toml`. Nothing is
measured or judged here. Class names, reasons and rationales are untrusted: they are made printable
here and must be escaped by whoever prints them.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from governance.records.assessment import Assessment
from governance.records.decision import OUTCOMES, Finding, Outcome
from governance.records.policy import Expectation
from governance.records.severities import SEVERITIES, Severity
from reports.amounts import amount, bound, share, span
from reports.causes import cause
from reports.class_names import class_of, named, noun_of
from reports.metric_texts import MetricTexts, metric_texts
from reports.prose import printable

__all__ = ["OPEN", "FindingText", "by_metric", "findings"]

#: Outcomes that leave something to do.
OPEN = frozenset({"unmet", "missing"})
#: Letters of a remedy in a table, about.
TODO = 110
#: The order in which findings are told.
ORDER: tuple[Outcome, ...] = ("unmet", "missing", "waived", "inapplicable", "met")
#: The value of what does not apply, and of what was not measured.
NOTHING, NOT_MEASURED = "\N{EN DASH}", "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingText:
    """A finding in words.

    Attributes:
        number: Place in the order of the report, from 1.
        metric: Full name of the metric.
        name: Human name of the metric, with its class.
        class_name: Class that the metric is about, as recorded (untrusted); None for none.
        outcome: As recorded.
        word: The outcome as a reader calls it.
        severity: What a miss does.
        title: What is wrong, or the name where nothing is.
        sentence: The whole finding in one or two sentences.
        value: The measured value with its unit; a dash where the requirement does not apply.
        interval: Its 95 % interval, as "A to B"; empty where there is none.
        requirement: The bound, such as "at least 80 %".
        rationale: The policy's reason for the requirement; may be empty.
        rule: Which number is held against the bound, and whether the interval agrees.
        cause: What the evidence points to; empty where nothing is wrong.
        remedy: What to do; empty where nothing is wrong.
        consequence: What remains a risk if the version is released as it is.
        baseline: What the version before had, in a sentence; may be empty.
        before: What it had, as recorded, of the same class; None where it is not known.
        waiver: Who waived it, until when and why; empty where nobody did.
        margin: Room between the interval's worse end and the bound, as a share of bound to ideal;
            below 0 where the interval crosses the bound; None where there is no such number.
        crosses: Whether the interval of a value that meets the bound reaches beyond it.
        record: The finding as recorded.
    """

    number: int
    metric: str
    name: str
    class_name: str | None
    outcome: Outcome
    word: str
    severity: Severity
    title: str
    sentence: str
    value: str
    interval: str
    requirement: str
    rationale: str
    rule: str
    cause: str
    remedy: str
    consequence: str
    baseline: str
    before: float | None
    waiver: str
    margin: float | None
    crosses: bool
    record: Finding

    @property
    def open(self) -> bool:
        """Whether it leaves something to do."""
        return self.outcome in OPEN

    @property
    def reason(self) -> str:
        """Why nothing was measured, in a sentence; empty where something was."""
        return _capital(self.sentence.partition(": ")[2]) if self.outcome == "missing" else ""

    @property
    def todo(self) -> str:
        """The first sentences of the remedy, for a table."""
        told = ""
        for sentence in self.remedy.split(". "):
            if len(told) > TODO / 3 and len(told) + len(sentence) > TODO:
                break
            told = f"{told}{sentence.rstrip('.')}. "
        return told.strip() or "The analysis states no remedy."


def findings(assessment: Assessment) -> tuple[FindingText, ...]:
    """All findings in words: open ones first, then waived, not applicable and met ones.

    Open findings are ordered by severity, then not met before not measured, then those that the
    whole interval shows before those that it leaves open, then by margin, the worst first. All
    others keep the order of the policy.
    """
    noun = noun_of(assessment)
    told = [_told(assessment, item, noun) for item in assessment.decision.findings]
    told.sort(key=_place)
    return tuple(dataclasses.replace(item, number=place) for place, item in enumerate(told, 1))


def by_metric(told: Iterable[FindingText]) -> dict[str, FindingText]:
    """Findings by metric, in their order; of several on one metric the first, which is gravest.

    Args:
        told: As `findings` orders them.
    """
    first: dict[str, FindingText] = {}
    for item in told:
        first.setdefault(item.metric, item)
    return first


def _place(item: FindingText) -> tuple[int, int, int, bool, float]:
    if not item.open:
        return (1, ORDER.index(item.outcome), 0, False, 0.0)
    grave, interval = tuple(SEVERITIES).index(item.severity), item.record.interval
    limit = _limit(item.record.expectation)
    unsure = interval is not None and interval.low <= limit <= interval.high
    margin = math.inf if item.margin is None else item.margin
    return (0, grave, ORDER.index(item.outcome), unsure, margin)


def _told(assessment: Assessment, finding: Finding, noun: str) -> FindingText:
    expectation, texts = finding.expectation, metric_texts(finding.expectation.metric)
    name = class_of(assessment, expectation.metric, texts)
    words = {
        **_slots(assessment, finding, texts, named(name, noun)),
        **(_class_slots(assessment, finding, name) if texts.lowest_of_class else {}),
    }
    wrong = finding.outcome in OPEN
    return FindingText(
        number=0,
        metric=expectation.metric,
        name=_filled(texts.name, words),
        class_name=name,
        outcome=finding.outcome,
        word=OUTCOMES[finding.outcome],
        severity=expectation.severity,
        title=_title(finding, texts, words),
        sentence=_sentence(assessment, finding, texts, words, name),
        value=words["value"],
        interval="" if finding.interval is None else _span(finding, texts),
        requirement=_requirement(expectation, texts),
        rationale=printable(expectation.rationale),
        rule=_rule(finding, texts),
        cause=printable(cause(assessment, finding, texts, name, noun)) if wrong else "",
        remedy=_filled(texts.remedy, words) if wrong else "",
        consequence=_filled(texts.consequence, words) if finding.outcome != "met" else "",
        baseline=_baseline(assessment, finding, texts, name),
        before=_before(assessment, finding, texts, name),
        waiver=_waiver(assessment, finding),
        margin=_margin(finding),
        crosses=_crosses(finding),
        record=finding,
    )


def _slots(
    assessment: Assessment, finding: Finding, texts: MetricTexts, class_words: str
) -> Mapping[str, str]:
    """What stands in the place of each slot of a text."""
    value, unit = finding.observed, texts.unit
    if value is None:
        nothing = NOTHING if finding.outcome == "inapplicable" else NOT_MEASURED
        return {"class": class_words, "value": nothing, "hits": "images", "misses": "some images"}
    apart = _limits(finding.expectation)
    n = assessment.validation.images if finding.interval is None else finding.interval.n
    rest = tuple(None if item is None else 1 - item for item in apart)
    shares = unit == "percent"
    return MappingProxyType(
        {
            "class": class_words,
            "value": amount(value, unit, apart),
            "hits": share(value, n, "images", apart) if shares else "images",
            "misses": share(1 - value, n, "images", rest) if shares else "some images",
        }
    )


def _class_slots(assessment: Assessment, finding: Finding, name: str | None) -> Mapping[str, str]:
    """What stands in the place of the slots about the class of a metric that counts classes."""
    analysis = finding.expectation.metric.partition(".")[0]
    asked = next(
        (item.parameters.get("class_recall") for item in assessment.evidence
         if item.analysis == analysis), None
    )  # fmt: skip
    value = assessment.metrics.get(f"{analysis}.recall.{name}")
    interval = assessment.intervals.get(f"{analysis}.recall.{name}")
    told = amount(asked, "percent") if isinstance(asked, int | float) else "recall"
    total = None if finding.observed is None else round(finding.observed)
    n = None if interval is None else interval.n
    apart = (asked,) if isinstance(asked, int | float) else ()
    return {
        "classes": f"{total or 'no'} {'class is' if total in {0, 1} else 'classes are'}",
        "asked": told,
        "of_class": "too few" if value is None else amount(value, "percent", apart),
        "class_misses": "some images" if value is None else share(1 - value, n, "images"),
    }


def _filled(text: str, words: Mapping[str, str]) -> str:
    """A standing text with its slots filled, its first letter a capital one."""
    # In one pass: what is filled in may itself look like a slot.
    return _capital(text.format(**words))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _limits(expectation: Expectation) -> tuple[float | None, ...]:
    return (expectation.at_least, expectation.at_most)


def _limit(expectation: Expectation) -> float:
    lower = expectation.at_least
    return float(expectation.at_most or 0.0) if lower is None else lower


def _requirement(expectation: Expectation, texts: MetricTexts) -> str:
    side = "at most" if expectation.at_least is None else "at least"
    if texts.unit == "flag":
        return bound(_limit(expectation), texts.unit)
    return f"{side} {bound(_limit(expectation), texts.unit)}"


def _demand(expectation: Expectation, texts: MetricTexts) -> str:
    """The requirement as a clause of its own."""
    plural = texts.unit in {"percent", "points"}
    if expectation.at_least is not None:
        return f"{_requirement(expectation, texts)} {'are' if plural else 'is'} required"
    if _limit(expectation) == 0 and texts.unit in {"percent", "count", "flag"}:
        return "none is allowed"
    return f"{_requirement(expectation, texts)} {'are' if plural else 'is'} allowed"


def _span(finding: Finding, texts: MetricTexts) -> str:
    if finding.interval is None:
        return ""
    return span(finding.interval, texts.unit, _limits(finding.expectation))


def _title(finding: Finding, texts: MetricTexts, words: Mapping[str, str]) -> str:
    if finding.outcome == "missing":
        return f"Whether {_inner(texts.whether, words)}"
    if finding.outcome != "unmet" or finding.observed is None:
        return _filled(texts.name, words)
    if finding.expectation.met_by(finding.observed):
        return f"{_filled(texts.name, words)}: the interval reaches beyond the bound"
    return _filled(texts.title, words)


def _inner(text: str, words: Mapping[str, str]) -> str:
    """A clause within a sentence: its first letter stays as it is."""
    filled = _filled(f"-{text}", words)
    return filled[1:]


def _sentence(
    assessment: Assessment,
    finding: Finding,
    texts: MetricTexts,
    words: Mapping[str, str],
    name: str | None,
) -> str:
    whether = _inner(texts.whether, words)
    if finding.outcome == "missing":
        return f"Whether {whether} was not measured: {_reason(finding)}."
    if finding.outcome == "inapplicable":
        return f"Whether {whether} is not applicable: {_reason(finding)}."
    ends = _span(finding, texts)
    level = "" if finding.interval is None else f"{round(100 * finding.interval.level)}\u202f% "
    interval = f" ({level}interval {ends})" if ends else ""
    told = f"{_filled(texts.says, words)}; {_demand(finding.expectation, texts)}{interval}."
    later = (_baseline(assessment, finding, texts, name), _waived(_waiver(assessment, finding)))
    return " ".join([told, *(item for item in later if item)])


def _reason(finding: Finding) -> str:
    """The reason as recorded, without what the sentence already says."""
    analysis, _, name = finding.expectation.metric.partition(".")
    reason = printable(finding.reason).strip().rstrip(".")
    start = f"{analysis} ran but gave no finite {name}"
    if reason == start:
        return "the analysis gave no value"
    return reason.removeprefix(f"{start}: ").removeprefix("not applicable: ")


def _before(
    assessment: Assessment, finding: Finding, texts: MetricTexts, name: str | None
) -> float | None:
    """The value of the baseline, of the same class; None where it is not known."""
    metric = finding.expectation.metric
    if name is not None and "{class}" in texts.found_at and not texts.lowest_of_class:
        metric = f"{metric.partition('.')[0]}.{texts.found_at.replace('{class}', name)}"
    if assessment.baseline is None or finding.observed is None:
        return None
    return assessment.baseline.metrics.get(metric)


def _baseline(
    assessment: Assessment, finding: Finding, texts: MetricTexts, name: str | None
) -> str:
    """What the baseline had, in a sentence; empty where it is not known."""
    baseline, value = assessment.baseline, _before(assessment, finding, texts, name)
    unit = texts.unit
    if baseline is not None and texts.lowest_of_class and name is not None:
        # The sentence speaks of the class, so what it had before is told and not the count.
        unit, value = "percent", baseline.metrics.get(f"performance.recall.{name}")
    if baseline is None or value is None or texts.unit == "flag":
        return ""
    version = baseline.identity.version
    who = f"Version {printable(version)}" if version else "The baseline"
    same = baseline.validation_digest == assessment.validation.digest
    where = "" if same else " on other images"
    return f"{who} had {amount(value, unit, _limits(finding.expectation))}{where}."


def _waiver(assessment: Assessment, finding: Finding) -> str:
    if finding.outcome != "waived":
        return ""
    for waiver in assessment.waivers:
        if waiver.metric == finding.expectation.metric:
            who, why = printable(waiver.approver), printable(waiver.reason).strip().rstrip(".")
            return f"waived until {waiver.until} by {who}: {why}"
    return "waived; by whom is not recorded"


def _waived(text: str) -> str:
    return f"{_capital(text)}." if text else ""


def _worse_end(finding: Finding) -> float | None:
    """The interval's end nearer to failing, or the estimate where there is no interval."""
    if finding.interval is None:
        return finding.observed
    low, high = finding.interval.low, finding.interval.high
    return low if finding.expectation.at_least is not None else high


def _rule(finding: Finding, texts: MetricTexts) -> str:
    """Which number was held against the bound, and what the interval says."""
    expectation, interval = finding.expectation, finding.interval
    if finding.observed is None:
        return "Nothing is held against the bound; a missing value never counts as met."
    ends, limit = _span(finding, texts), bound(_limit(expectation), texts.unit)
    if expectation.on == "interval":
        which = "lower" if expectation.at_least is not None else "upper"
        end = _worse_end(finding)
        text = NOT_MEASURED if end is None else amount(end, texts.unit, _limits(expectation))
        return f"The {which} end of the interval, {text}, is held against the bound."
    told = "The estimate is held against the bound."
    if interval is None:
        return f"{told} It has no interval."
    if interval.low <= _limit(expectation) <= interval.high:
        return f"{told} By the interval it cannot be told: {ends} lies on both sides of {limit}."
    side = "below" if interval.high < _limit(expectation) else "above"
    return f"{told} The interval agrees: it lies wholly {side} {limit}."


def _crosses(finding: Finding) -> bool:
    end = _worse_end(finding)
    return finding.outcome == "met" and end is not None and not finding.expectation.met_by(end)


def _margin(finding: Finding) -> float | None:
    end, expectation = _worse_end(finding), finding.expectation
    texts, limit = metric_texts(expectation.metric), _limit(expectation)
    ideal = 1.0 if texts.unit == "percent" and expectation.at_least is not None else 0.0
    if expectation.at_least is not None and texts.unit != "percent":
        return None  # no ideal is known: more is always better
    if end is None or limit == ideal:
        return None
    room = end - limit if expectation.at_least is not None else limit - end
    return room / abs(ideal - limit)
