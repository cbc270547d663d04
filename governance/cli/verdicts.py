"""Verdicts: an assessment on the terminal, what is open first.

A verdict has a colour and a symbol. Nothing else on the terminal is coloured.
"""

from typing import TYPE_CHECKING, Literal

from governance.cli.console import headline, out, paragraph, table, text
from governance.records.numbers import interval, number

if TYPE_CHECKING:
    from governance.records.assessment import Assessment
    from governance.records.decision import Finding
    from reports.findings import FindingText

__all__ = ["Leaning", "answer", "leaning", "mark", "show"]

#: What a verdict of any kind means for the reader: to go on, to stop, or to look.
Leaning = Literal["good", "bad", "open"]
LEANINGS: dict[str, Leaning] = {"approved": "good", "rejected": "bad"}
COLOURS = {"good": "green", "bad": "red", "open": "yellow"}
SYMBOLS = {"good": "\N{CHECK MARK}", "bad": "\N{BALLOT X}", "open": "?"}


def leaning(verdict: str) -> Leaning:
    """What the verdict on a version means for the reader."""
    return LEANINGS.get(verdict, "open")


def mark(words: str, which: Leaning) -> str:
    """Words of a verdict with its symbol and colour, as markup."""
    return f"[bold {COLOURS[which]}]{SYMBOLS[which]} {text(words)}[/]"


def answer(words: str, which: Leaning, foreign: str) -> None:
    """Print a line that begins with the words of a verdict."""
    headline(f"{SYMBOLS[which]} {words}", mark(words, which), foreign)


def show(assessment: "Assessment", *, everything: bool = False) -> None:
    """The verdict and why, then each open finding in words.

    Args:
        assessment: As recorded.
        everything: Whether all findings are listed, the met ones too.
    """
    from reports.findings import findings
    from reports.verdicts import verdict

    told = findings(assessment)
    given = verdict(assessment, told)
    decided = assessment.decision.verdict
    out.print(f"{text(assessment.identity.uri)}: {mark(decided, leaning(decided))}", soft_wrap=True)
    paragraph(given.says)
    open_ones = [item for item in told if item.open]
    for item in open_ones:
        _open(item, said=item is given.finding)
    if everything:
        out.print()
        _list(told)
    out.print()
    closed = len(told) - len(open_ones)
    rest = "" if everything or not closed else "; --all lists the others too"
    paragraph(f"{len(open_ones)} of {len(told)} requirements are open{rest}.")
    paragraph(f"Model files: {_signer(assessment)}")


def _open(item: "FindingText", *, said: bool) -> None:
    """One open finding: what is wrong, which requirement, and what to do."""
    out.print()
    paragraph(f"{item.title} ({item.severity}, {item.word})", start=f"{item.number}. ")
    paragraph(_requirement(item.record), indent=3)
    if not said:
        paragraph(item.sentence, indent=3)
    if item.remedy:
        paragraph(f"To do: {item.remedy}", indent=3)


def _list(told: "tuple[FindingText, ...]") -> None:
    """All findings, one a row, with the numbers on record."""
    rows = [
        (item.word, item.severity, _requirement(item.record), _observed(item.record))
        for item in told
    ]
    table(("outcome", "severity", "requirement", "measured"), rows, under=3)


def _requirement(finding: "Finding") -> str:
    return f"{finding.expectation.metric} {finding.expectation.bound}"


def _observed(finding: "Finding") -> str:
    """What was measured, in digits that cannot be read as the bound where it is not."""
    bounds = (finding.expectation.at_least, finding.expectation.at_most)
    value = number(finding.observed, apart=bounds)
    return f"{value} {interval(finding.interval)}".rstrip()


def _signer(assessment: "Assessment") -> str:
    signature = assessment.identity.signature
    if signature is None:
        return "not signed"
    if signature.signer is None:
        return "signed, and the signature was not checked; --keys KEYRING checks it"
    return f"signed by {signature.signer} (key {str(signature.key)[:16]})"
