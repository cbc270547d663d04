"""Markdown: a short account for pull requests and registry pages.

Names and messages come from models and data, so what Markdown would read as its own is written as
character references: nothing can become a link, a table border, HTML or a mention of someone.
"""

import re
from collections import Counter
from collections.abc import Iterator

from governance.records import numbers
from governance.records.assessment import Assessment
from governance.records.decision import OUTCOMES, Finding
from reports.gaps import uncovered, unmeasured, withdrawn
from reports.prose import printable
from reports.view import MEANINGS, one_answer, ordered

__all__ = ["LONGEST", "to_markdown"]

#: A comment on a pull request may hold 65,536 characters.
LONGEST = 60_000

LONGEST_TEXT = 300
MOST_GAPS = 50
# What Markdown could read as its own: emphasis, code, links, tables, HTML, mentions, lists, emoji.
SPECIAL = re.compile(
    r"[!\"#$&()*<>@\[\\\]^`{|}~]|^[-+]|(?<![^\W_])_|_(?![^\W_])"
    r"|:(?=/|[\w+-]+:)|(?<=www)\.|(?<=\d)\.(?=\s|$)",
    re.IGNORECASE,
)
# Read in the finished page, where the reference is the character again: mention and issue.
LATE = re.compile(r"&#(?:64|35);")
#: Outcomes that are told even where there is none of them.
ALWAYS = ("met", "unmet", "missing")
HEADER = "| Outcome | Metric | Expected | Observed | Severity |\n|---|---|---|---|---|"


def to_markdown(assessment: Assessment) -> str:
    """Verdict, findings and digests in at most `LONGEST` characters, the gravest findings first."""
    head = "\n".join(_head(assessment))
    tail = "\n".join(_tail(assessment))
    rows = [_row(item) for item in ordered(assessment.decision.findings)]
    return head + _table(rows, LONGEST - len(head) - len(tail)) + tail


def _head(assessment: Assessment) -> Iterator[str]:
    identity, decision = assessment.identity, assessment.decision
    version = f", version {_plain(identity.version)}" if identity.version else ""
    tallies = Counter[str](item.outcome for item in decision.findings)
    counts = ", ".join(
        f"{tallies[outcome]} {name}"
        for outcome, name in OUTCOMES.items()
        if tallies[outcome] or outcome in ALWAYS
    )
    yield f"## {decision.verdict.capitalize()}: {_plain(identity.name or identity.uri)}{version}"
    yield ""
    yield f"{MEANINGS[decision.verdict]} Of {len(decision.findings)} expectations: {counts}."
    alike = one_answer(assessment)
    if alike:
        yield ""
        yield f"**{_plain(alike)}**"
    yield ""
    yield f"Policy: {_plain(assessment.policy.title)}"
    yield ""
    yield ""


def _row(finding: Finding) -> str:
    expectation = finding.expectation
    bounds = (expectation.at_least, expectation.at_most)
    observed = numbers.number(finding.observed, apart=bounds)
    if finding.outcome in {"missing", "inapplicable"}:
        observed = finding.reason
    elif finding.interval is not None:
        observed = f"{observed} {numbers.interval(finding.interval)}"
    cells = (
        OUTCOMES[finding.outcome]
        if finding.outcome in {"missing", "inapplicable"}
        else finding.outcome,
        _code(expectation.metric),
        _plain(expectation.bound),
        _plain(observed),
        expectation.severity,
    )
    return f"| {' | '.join(cells)} |".replace("| unmet |", "| **not met** |", 1)


def _table(rows: list[str], room: int) -> str:
    """As many rows as there is room for, and how many are left out."""
    if not rows:
        return "The policy expects nothing.\n"
    lines = [HEADER]
    used = len(HEADER) + 100
    for row in rows:
        used += len(row) + 1
        if used > room:
            break
        lines.append(row)
    left = len(rows) + 1 - len(lines)
    rest = f"\n\n{left} more findings are in the report." if left else ""
    return "\n".join(lines) + rest + "\n"


def _tail(assessment: Assessment) -> Iterator[str]:
    failed, subjects = unmeasured(assessment), uncovered(assessment)
    kept_back = withdrawn(assessment)
    if kept_back:
        yield ""
        yield "**Withdrawn evidence**, which failed its self-test; nothing on it counts as met:"
        yield ""
        for gap in kept_back[:MOST_GAPS]:
            yield f"- {_plain(gap.subject)}: {_plain(gap.reason)}"
    if assessment.waivers:
        yield ""
        yield "Waived, each by a named person, within a bound and for a time:"
        yield ""
        for waiver in assessment.waivers[:MOST_GAPS]:
            yield (
                f"- {_code(waiver.metric)} up to {waiver.bound:.15g}, by {_plain(waiver.approver)} "
                f"until {waiver.until}: {_plain(waiver.reason)}"
            )
    yield ""
    yield "Not assessed:"
    yield ""
    for gap in (*failed[:MOST_GAPS], *subjects):
        yield f"- {_plain(gap.subject)}: {_plain(gap.reason)}"
    if len(failed) > MOST_GAPS:
        yield f"- {len(failed) - MOST_GAPS} more analyses, listed in the report"
    yield ""
    for name, digest in (
        ("assessment", assessment.digest),
        ("weights", assessment.identity.digest),
        ("model files", assessment.identity.artifact_digest),
        ("validation images", assessment.validation.digest),
        ("policy", assessment.policy.digest),
    ):
        yield f"- {name} {_code(digest)}"
    yield ""


def _code(text: str) -> str:
    return f"<code>{_plain(text)}</code>"


def _plain(text: str) -> str:
    """One line of text that means nothing but itself."""
    flat = " ".join(printable(text).split())
    if len(flat) > LONGEST_TEXT:
        flat = f"{flat[: LONGEST_TEXT - 1]}…"
    escaped = SPECIAL.sub(lambda found: f"&#{ord(found[0])};", flat)
    return LATE.sub(lambda found: f"{found[0]}&#8203;", escaped)
