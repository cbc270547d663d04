"""Verdicts in words: one sentence that says what decided, and one that counts the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

from governance.records.assessment import Assessment
from governance.records.decision import OUTCOMES, Outcome
from governance.records.numbers import count
from governance.records.severities import SEVERITIES, Severity
from reports.findings import FindingText, findings

__all__ = ["VerdictText", "verdict", "verdict_sentence"]

#: Metrics that an approval is told by, the first that the policy has a requirement on.
TELLING = ("performance.recall_worst", "performance.classes_short", "performance.accuracy")
NOTHING_DECIDES = "No requirement that decides applies, so nothing supports a verdict."
FIRST_TEN = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictText:
    """A verdict in words.

    Attributes:
        word: The verdict, such as "Rejected".
        says: What decided, in a sentence or two.
        rest: What else is open, and how many requirements are met.
        finding: The finding that decided; None where the version is approved or nothing decides.
    """

    word: str
    says: str
    rest: str
    finding: FindingText | None


def verdict_sentence(assessment: Assessment) -> str:
    """The verdict and what decided it, such as "Rejected: class 8 is recognised in 70 % of …"."""
    told = verdict(assessment, findings(assessment))
    return f"{told.word}: {told.says[:1].lower()}{told.says[1:]}"


def verdict(assessment: Assessment, told: Sequence[FindingText]) -> VerdictText:
    """The verdict in words.

    Args:
        assessment: The assessment as recorded.
        told: Its findings in words.
    """
    given = assessment.decision.verdict
    deciding = None if given == "approved" else _deciding(given, told)
    if given == "approved":
        says = _approved(told)
    else:
        says = NOTHING_DECIDES if deciding is None else deciding.sentence
    return VerdictText(
        word=given.capitalize(), says=says, rest=_rest(told, deciding), finding=deciding
    )


def _deciding(given: str, told: Sequence[FindingText]) -> FindingText | None:
    """The first finding from which the verdict follows."""
    for item in told:
        consequence = SEVERITIES[item.severity]
        follows = {"unmet": consequence.unmet, "missing": consequence.missing}
        if follows.get(item.outcome) == given:
            return item
    return None


def _approved(told: Sequence[FindingText]) -> str:
    applicable = [item for item in told if item.outcome != "inapplicable"]
    met = [item for item in applicable if item.outcome == "met"]
    if len(met) == len(applicable):
        many = f"All {count(len(met))} applicable requirements are met."
        says = many if len(met) > 1 else "The one applicable requirement is met."
    else:
        waived = any(item.outcome == "waived" for item in applicable)
        says = f"Every requirement that decides is met{' or waived' if waived else ''}."
    telling = {item.metric: item for item in met}
    chosen = next((telling[name] for name in TELLING if name in telling), None)
    return says if chosen is None else f"{says} {chosen.sentence}"


def _rest(told: Sequence[FindingText], deciding: FindingText | None) -> str:
    others = [item for item in told if item is not deciding]
    open_ones = [
        _counted(
            sum((item.severity, item.outcome) == (severity, outcome) for item in others),
            severity,
            outcome,
            further=deciding is not None and deciding.severity == severity,
        )
        for severity in SEVERITIES
        for outcome in ("unmet", "missing")
    ]
    listed = [item for item in open_ones if item]
    sentences = [f"{item[:1].upper()}{item[1:]}." for item in (_joined(listed),) if item]
    met = sum(item.outcome == "met" for item in told)
    tail = [
        f"{_number(total)} {'is' if total == 1 else 'are'} {OUTCOMES[outcome]}"
        for outcome in ("waived", "inapplicable")
        if (total := sum(item.outcome == outcome for item in told))
    ]
    sentences.append(_joined([f"{count(met)} of {count(len(told))} are met", *tail]) + ".")
    return " ".join(sentences)


def _counted(total: int, severity: Severity, outcome: Outcome, *, further: bool) -> str:
    """How many requirements are open in one way; empty for none."""
    if not total:
        return ""
    kind = {"block": "blocking ", "review": "review "}.get(severity, "")
    of = "" if kind else f" of severity “{severity}”"
    more = "more " if further else ""
    plural = "" if total == 1 else "s"
    verb = {"unmet": ("is", "are"), "missing": ("was", "were")}[outcome][total != 1]
    return f"{_number(total)} {more}{kind}requirement{plural}{of} {verb} {OUTCOMES[outcome]}"


def _number(value: int) -> str:
    return FIRST_TEN[value] if value < len(FIRST_TEN) else count(value)


def _joined(parts: Sequence[str]) -> str:
    if not parts:
        return ""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
