"""Description: the short summary of an assessment on the pages of its version and its model."""

import re
import shlex
from collections.abc import Sequence
from urllib.parse import quote

from governance.approval.tags import BEGIN, END, without_summary
from governance.records.assessment import Assessment
from governance.records.decision import OUTCOMES, Finding
from governance.records.numbers import interval, number
from governance.records.version_ref import VersionRef

__all__ = ["about_model", "merged", "summary", "unassessed"]

LIMIT = 5000  # characters that MLflow takes
ORDER = {"unmet": 0, "missing": 1, "waived": 2, "inapplicable": 3, "met": 4}


def summary(assessment: Assessment, link: str, rows: int = 12) -> str:
    """Verdict, findings (failed ones first) and a link to the report, as Markdown.

    The first line is a plain sentence, since lists of versions show the beginning as it is.

    Args:
        assessment: As judged.
        link: Of the report, in MLflow's pages.
        rows: Findings shown at most.
    """
    decision = assessment.decision
    findings = sorted(decision.findings, key=lambda item: ORDER[item.outcome])
    policy = _escaped(assessment.policy.title)
    lines = [
        f"Governance: {decision.verdict}. {_why(findings)}",
        f"By the policy {policy}: [report]({link})",
        "",
        "| expectation | severity | observed | outcome |",
        "|---|---|---|---|",
        *(_row(item) for item in findings[:rows]),
    ]
    if len(findings) > rows:
        lines += ["", f"and {len(findings) - rows} more findings in the report."]
    lines += ["", f"{assessment.created}, record `{record_of(assessment)}`"]
    return "\n".join(lines)


def about_model(ref: VersionRef, assessment: Assessment) -> str:
    """What governs a registered model and where its last verdict stands, as Markdown.

    The verdict itself is left out: a registered model has none of its own, and one that is revoked
    or expires on a version must not stay here.

    Args:
        ref: Version that was assessed last.
        assessment: Its assessment.
    """
    number, policy = ref.version, _shown(assessment.policy.title)
    page = f"#/models/{quote(ref.name, safe='')}/versions/{number}"
    command = _code(f"governance gate {shlex.quote(ref.uri)} --keys KEYRING")
    lines = [
        f"Governance: version {number} was assessed last, by the policy {policy}.",
        f"Its verdict and its report: [version {number}]({page})",
        "",
        f"Whether its verdict counts: {command}",
    ]
    return "\n".join(lines)


def unassessed(why: str) -> str:
    """That a version could not be assessed, as Markdown."""
    return f"Governance: undetermined. It could not be assessed: {_escaped(why)}"


def record_of(assessment: Assessment) -> str:
    """The start of the digest, enough for a person to compare."""
    return assessment.digest[:23]


def merged(text: str, ours: str) -> str:
    """A description with our summary in its place, and everything else as it was.

    What someone else wrote is never cut: where there is no room for the summary it becomes one
    line, and where there is none for that either it is left out.
    """
    others = without_summary(text)
    first, _, rest = ours.partition("\n")
    for below in (rest, ""):
        block = f"{first}\n{BEGIN}\n{below}\n{END}"
        whole = f"{others}\n\n{block}" if others else block
        if len(whole) <= LIMIT:
            return whole
    return others if len(others) <= LIMIT else text


def _why(findings: Sequence[Finding]) -> str:
    """What is open, in a sentence that needs no markup."""
    open_ones = [item for item in findings if item.outcome in {"unmet", "missing"}]
    if not open_ones:
        return f"None of {len(findings)} requirements is open."
    deciding = next((item for item in open_ones if item.expectation.decides), open_ones[0])
    others = len(open_ones) - 1
    more = f", and {others} more {'are' if others > 1 else 'is'} open" if others else ""
    required = f"{_shown(deciding.expectation.metric)} {deciding.expectation.bound}"
    state = "was not measured"
    if deciding.outcome == "unmet":
        state = f"is not met, with {_observed(deciding)}"
    return f"The requirement {required} {state}{more}."


def _observed(finding: Finding) -> str:
    expectation = finding.expectation
    return number(finding.observed, apart=(expectation.at_least, expectation.at_most))


def _row(finding: Finding) -> str:
    expectation = finding.expectation
    observed = "\N{EN DASH}" if finding.observed is None else _observed(finding)
    if finding.interval is not None:
        observed += f" {interval(finding.interval, n=False)}"
    expected = f"{_escaped(expectation.metric)} {expectation.bound}"
    return f"| {expected} | {expectation.severity} | {observed} | {OUTCOMES[finding.outcome]} |"


def _code(text: str) -> str:
    """Text that someone else chose as code in Markdown, whatever backticks are in it."""
    plain = " ".join(text.split())
    ticks = "`" * (1 + max(map(len, re.findall("`+", plain)), default=0))
    return f"{ticks} {plain} {ticks}" if "`" in plain else f"`{plain}`"


def _shown(text: str) -> str:
    """A text for the first sentence, which lists show as it is: an underscore within a word stays.

    It is no markup there.
    """
    return re.sub(r"(?<=\w)\\_(?=\w)", "_", _escaped(text))


def _escaped(text: str) -> str:
    """Text that someone else chose, such as a class name, as Markdown that says just that."""
    plain = " ".join(text.split())[:120]
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&])", r"\\\1", plain)
