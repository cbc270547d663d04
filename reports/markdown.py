"""Markdown: a short account for pull requests and registry pages.

Names and messages come from models and data, so what Markdown would read as its own is written as
character references: nothing can become a link, a table border, HTML or a mention of someone.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from governance.records.assessment import Assessment
from governance.records.decision import OUTCOMES
from reports.gaps import uncovered, unmeasured, withdrawn
from reports.gate_view import GateView, Requirement
from reports.prose import printable
from reports.view import one_answer

__all__ = ["LONGEST", "plain", "render"]

#: A comment on a pull request may hold 65,536 characters.
LONGEST = 60_000

LONGEST_TEXT = 300
LONGEST_CELL = 1000
MOST_GAPS = 50
# What Markdown could read as its own: emphasis, code, links, tables, HTML, mentions, lists, emoji.
SPECIAL = re.compile(
    r"[!\"#$&()*<>@\[\\\]^`{|}~]|^[-+]|(?<![^\W_])_|_(?![^\W_])"
    r"|:(?=/|[\w+-]+:)|(?<=www)\.|(?<=\d)\.(?=\s|$)",
    re.IGNORECASE,
)
# Read in the finished page, where the reference is the character again: mention and issue.
LATE = re.compile(r"&#(?:64|35);")
#: What an address may hold beside letters and digits and still be the target of a link.
IN_ADDRESS = ":/#?&=%@+,;~.-_"
OPENED = "| Outcome | Finding | What to do | Severity |\n|---|---|---|---|"
SETTLED = "| Outcome | Requirement | Bound | Measured | Severity |\n|---|---|---|---|---|"


def render(view: GateView) -> str:
    """An answer of the gate in at most `LONGEST` characters: what is open, then the rest folded."""
    head = _joined(_head(view))
    if view.assessment is None:
        return head
    tail = _joined(_tail(view.assessment))
    room = LONGEST - len(head) - len(tail)
    opened = _table(OPENED, map(_opened, view.open), room)
    rest = _table(SETTLED, map(_settled, view.settled), room - len(opened))
    folded = f"<details><summary>{_tallied(view.settled)}</summary>\n\n{rest}\n</details>\n"
    return head + opened + (f"\n{folded}" if view.settled else "") + tail


def _joined(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _head(view: GateView) -> Iterator[str]:
    identity = view.assessment.identity if view.assessment else None
    version = f", version {plain(identity.version)}" if identity and identity.version else ""
    yield f"## {plain(view.verdict.capitalize())}: {plain(view.model)}{version}"
    yield ""
    yield plain(view.meaning, LONGEST_CELL)
    yield ""
    for problem in view.problems[:MOST_GAPS]:
        yield f"- {plain(problem)}"
    if view.problems:
        yield ""
    if view.assessment is None:
        return
    alike = one_answer(view.assessment)
    if alike:
        yield f"**{plain(alike)}**"
        yield ""
    place = f" [Report]({quote(printable(view.report), safe=IN_ADDRESS)})" if view.report else ""
    yield f"Policy: {plain(view.assessment.policy.title)}.{place}"
    yield ""


def _tallied(requirements: Iterable[Requirement]) -> str:
    tallies = Counter[str](item.text.outcome for item in requirements)
    named = OUTCOMES.items()
    return ", ".join(f"{tallies[key]} {name}" for key, name in named if tallies[key])


def _opened(item: Requirement) -> str:
    outcome = item.text.word
    return _line(
        f"**{outcome}**" if item.text.outcome == "unmet" else outcome,
        f"{plain(item.text.sentence, LONGEST_CELL)} {_code(item.text.metric)}",
        plain(item.text.remedy, LONGEST_CELL),
        item.text.severity,
    )


def _settled(item: Requirement) -> str:
    interval = f" ({item.text.interval})" if item.text.interval else ""
    return _line(
        item.text.word,
        f"{plain(item.text.name)} {_code(item.text.metric)}",
        plain(item.text.requirement),
        plain(item.text.value + interval),
        item.text.severity,
    )


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _table(header: str, cells: Iterable[str], room: int) -> str:
    """As many rows as there is room for, and how many are left out; nothing for no rows."""
    rows = list(cells)
    if not rows:
        return ""
    lines = [header]
    used = len(header) + 100
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
        yield f"- {plain(gap.subject)}: {plain(gap.reason)}"
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
            yield f"- {plain(gap.subject)}: {plain(gap.reason)}"


def _waived(assessment: Assessment) -> Iterator[str]:
    if assessment.waivers:
        yield ""
        yield "Waived, each by a named person, within a bound and for a time:"
        yield ""
        for waiver in assessment.waivers[:MOST_GAPS]:
            yield (
                f"- {_code(waiver.metric)} up to {waiver.bound:.15g}, by {plain(waiver.approver)} "
                f"until {waiver.until}: {plain(waiver.reason)}"
            )


def _code(text: str) -> str:
    return f"<code>{plain(text)}</code>"


def plain(text: str, longest: int = LONGEST_TEXT) -> str:
    """One line of text that means nothing but itself."""
    flat = " ".join(printable(text).split())
    if len(flat) > longest:
        flat = f"{flat[: longest - 1]}…"
    escaped = SPECIAL.sub(lambda found: f"&#{ord(found[0])};", flat)
    return LATE.sub(lambda found: f"{found[0]}&#8203;", escaped)
