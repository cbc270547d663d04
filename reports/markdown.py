"""Markdown: a short account for pull requests and registry pages.

Names and messages come from models and data, so what Markdown would read as its own is written as
character references: nothing can become a link, a table border, HTML or a mention of someone.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from governance.records import numbers
from governance.records.assessment import Assessment
from governance.records.decision import OUTCOMES, Outcome
from reports.gaps import uncovered, unmeasured, withdrawn
from reports.gate_view import GateView, Requirement
from reports.prose import printable
from reports.view import one_answer

__all__ = ["LONGEST", "render"]

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
ALWAYS: tuple[Outcome, ...] = ("met", "unmet", "missing")
#: What an address may hold beside letters and digits and still be the target of a link.
IN_ADDRESS = ":/#?&=%@+,;~.-_"
HEADER = "| Outcome | Metric | Expected | Observed | Severity |\n|---|---|---|---|---|"


def render(view: GateView) -> str:
    """An answer of the gate in at most `LONGEST` characters: what is open, then the rest folded."""
    head = _joined(_head(view))
    if view.assessment is None:
        return head
    tail = _joined(_tail(view.assessment))
    room = LONGEST - len(head) - len(tail)
    opened = _table([_row(item) for item in view.open], room)
    rest = _table([_row(item) for item in view.settled], room - len(opened))
    folded = f"<details><summary>{_settled(view)}</summary>\n\n{rest}\n</details>\n"
    return head + opened + (f"\n{folded}" if view.settled else "") + tail


def _joined(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _head(view: GateView) -> Iterator[str]:
    identity = view.assessment.identity if view.assessment else None
    version = f", version {_plain(identity.version)}" if identity and identity.version else ""
    yield f"## {_plain(view.verdict.capitalize())}: {_plain(view.model)}{version}"
    yield ""
    yield f"{view.meaning}{_counted(view)}"
    yield ""
    for problem in view.problems[:MOST_GAPS]:
        yield f"- {_plain(problem)}"
    if view.problems:
        yield ""
    if view.assessment is None:
        return
    alike = one_answer(view.assessment)
    if alike:
        yield f"**{_plain(alike)}**"
        yield ""
    place = f" [Report]({quote(view.report, safe=IN_ADDRESS)})" if view.report else ""
    yield f"Policy: {_plain(view.assessment.policy.title)}.{place}"
    yield ""


def _counted(view: GateView) -> str:
    if view.assessment is None:
        return ""
    if not view.requirements:
        return " The policy expects nothing."
    return f" Of {len(view.requirements)} expectations: {_tallied(view.requirements, ALWAYS)}."


def _settled(view: GateView) -> str:
    return _tallied(view.settled, ())


def _tallied(requirements: Iterable[Requirement], always: Iterable[Outcome]) -> str:
    tallies = Counter[str](item.finding.outcome for item in requirements)
    told = frozenset(always)
    return ", ".join(
        f"{tallies[outcome]} {name}"
        for outcome, name in OUTCOMES.items()
        if tallies[outcome] or outcome in told
    )


def _row(item: Requirement) -> str:
    finding, expectation = item.finding, item.finding.expectation
    observed = numbers.number(finding.observed, apart=(expectation.at_least, expectation.at_most))
    if finding.outcome in {"missing", "inapplicable"}:
        observed = finding.reason
    elif finding.interval is not None:
        observed = f"{observed} {numbers.interval(finding.interval)}"
    outcome = OUTCOMES[finding.outcome]
    cells = (
        f"**{outcome}**" if finding.outcome == "unmet" else outcome,
        _code(expectation.metric),
        _plain(expectation.bound),
        _plain(observed),
        expectation.severity,
    )
    return f"| {' | '.join(cells)} |"


def _table(rows: list[str], room: int) -> str:
    """As many rows as there is room for, and how many are left out; nothing for no rows."""
    if not rows:
        return ""
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
    yield from _withdrawn(assessment)
    yield from _waived(assessment)
    failed, subjects = unmeasured(assessment), uncovered(assessment)
    yield ""
    yield f"<details><summary>{len(failed) + len(subjects)} not assessed</summary>"
    yield ""
    for gap in (*failed[:MOST_GAPS], *subjects):
        yield f"- {_plain(gap.subject)}: {_plain(gap.reason)}"
    if len(failed) > MOST_GAPS:
        yield f"- {len(failed) - MOST_GAPS} more analyses, listed in the report"
    yield ""
    yield "</details>"
    yield "<details><summary>Digests</summary>"
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
    yield "</details>"


def _withdrawn(assessment: Assessment) -> Iterator[str]:
    kept_back = withdrawn(assessment)
    if kept_back:
        yield ""
        yield "**Withdrawn evidence**, which failed its self-test; nothing on it counts as met:"
        yield ""
        for gap in kept_back[:MOST_GAPS]:
            yield f"- {_plain(gap.subject)}: {_plain(gap.reason)}"


def _waived(assessment: Assessment) -> Iterator[str]:
    if assessment.waivers:
        yield ""
        yield "Waived, each by a named person, within a bound and for a time:"
        yield ""
        for waiver in assessment.waivers[:MOST_GAPS]:
            yield (
                f"- {_code(waiver.metric)} up to {waiver.bound:.15g}, by {_plain(waiver.approver)} "
                f"until {waiver.until}: {_plain(waiver.reason)}"
            )


def _code(text: str) -> str:
    return f"<code>{_plain(text)}</code>"


def _plain(text: str) -> str:
    """One line of text that means nothing but itself."""
    flat = " ".join(printable(text).split())
    if len(flat) > LONGEST_TEXT:
        flat = f"{flat[: LONGEST_TEXT - 1]}…"
    escaped = SPECIAL.sub(lambda found: f"&#{ord(found[0])};", flat)
    return LATE.sub(lambda found: f"{found[0]}&#8203;", escaped)
