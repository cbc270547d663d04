"""Decision page: what was decided and why, what is open, what risk remains, who answers for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from governance.records.assessment import Assessment
from governance.records.wording import first_few
from reports.amounts import amount, share
from reports.approvals import Approvals, Person, people
from reports.class_names import class_of, named, noun_of
from reports.findings import FindingText
from reports.gaps import inapplicable, uncovered, withdrawn
from reports.metric_texts import all_metric_texts, metric_texts
from reports.prose import printable
from reports.scales import Scale, cell_scale
from reports.tiles import Tile, tiles
from reports.verdicts import VerdictText, verdict

__all__ = ["DecisionPage", "Nearest", "Risk", "decision_page"]

MOST_OPEN, MOST_NEAREST, LEAST_NEAREST, MOST_RISKS = 5, 3, 2, 3
#: Lines of text that the page has for its two tables and the risks, with 25 mm to spare.
LINES = 25.0
#: What the frame of a row, and the heading of a table, take beside the text, in lines.
ROW, HEADING, DRAWN = 0.5, 2.6, 3.3
#: Letters in a line of a finding's title, id and remedy, of a risk, and of the verdict.
TITLE, IDENTIFIER, REMEDY, RISK, VERDICT = 34, 30, 40, 112, 66


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """A met requirement with the room that is left."""

    finding: FindingText
    scale: Scale
    words: str
    strong: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """A remaining risk: the part in bold, the rest, and the number of the card it leads to."""

    strong: str
    rest: str = ""
    card: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPage:
    """Part A of the report.

    Attributes:
        verdict: The verdict in words.
        tiles: The three headline numbers.
        open: The open findings that are listed.
        open_left: Number of open findings that are not.
        nearest: Of an approved version, the met requirements with least room.
        risks: The largest remaining risks.
        inapplicable: Analyses that cannot be put to a model of this kind.
        unassessed: Topics on which nothing was measured.
        people: Who answers for what.
    """

    verdict: VerdictText
    tiles: tuple[Tile, ...]
    open: tuple[FindingText, ...]
    open_left: int
    nearest: tuple[Nearest, ...]
    risks: tuple[Risk, ...]
    inapplicable: tuple[str, ...]
    unassessed: tuple[str, ...]
    people: tuple[Person, ...]


def decision_page(
    assessment: Assessment, told: Sequence[FindingText], approvals: Approvals | None
) -> DecisionPage:
    """Part A of the report.

    Args:
        assessment: The assessment as recorded.
        told: Its findings in words, in the order of the report.
        approvals: What was signed about the version; None where nobody was asked.
    """
    approved = assessment.decision.verdict == "approved"
    crowded = approved and any(item.open for item in told)
    risks = tuple(_risks(assessment, told))[: MOST_RISKS - crowded]
    said = verdict(assessment, told)
    said = replace(said, says=_within(said.says, 5 * VERDICT), rest=_within(said.rest, 5 * VERDICT))
    topics = tuple(gap.subject for gap in uncovered(assessment))
    kinds = tuple(name.replace("_", " ") for name in inapplicable(assessment))
    name = assessment.identity.name or assessment.identity.uri
    room = (
        LINES
        - _lines(", ".join(topics), RISK)
        - _lines(", ".join(kinds), RISK)
        - sum(_lines(f"{item.strong} {item.rest} (finding 1, page 1)", RISK) for item in risks)
    )
    room -= _lines(said.says, VERDICT) + _lines(said.rest, VERDICT) - 4 + _lines(name, TITLE) - 1
    kept = HEADING + LEAST_NEAREST * DRAWN if approved else 0.0
    shown = _fitting([item for item in told if item.open], room - kept)
    room -= sum(_height(item) for item in shown) + (HEADING if shown else 0)
    nearest: tuple[Nearest, ...] = ()
    if approved:
        nearest = tuple(_nearest(told, int(max(0.0, room - HEADING) / DRAWN)))
    return DecisionPage(
        verdict=said,
        tiles=tiles(assessment, told),
        open=shown,
        open_left=sum(item.open for item in told) - len(shown),
        nearest=nearest,
        risks=risks,
        inapplicable=kinds,
        unassessed=topics,
        people=people(assessment, approvals),
    )


def _fitting(items: Sequence[FindingText], room: float) -> tuple[FindingText, ...]:
    """The first findings that fit into the room, in lines; one at least."""
    shown: list[FindingText] = []
    left = room - HEADING
    for item in items[:MOST_OPEN]:
        left -= _height(item)
        if shown and left < 0:
            break
        shown.append(item)
    return tuple(shown)


def _height(item: FindingText) -> float:
    """Lines that a finding takes in the table."""
    left = _lines(f"{item.number} {item.title}", TITLE) + _lines(item.metric, IDENTIFIER)
    return max(left, _lines(item.todo, REMEDY), 2) + ROW


def _lines(text: str, width: int) -> int:
    return -(-len(text) // width)


def _within(text: str, letters: int) -> str:
    """A text of at most so many letters, or the words of it that fit and where the rest stands."""
    if len(text) <= letters:
        return text
    return f"{text[:letters].rpartition(' ')[0]} [in full in part B]"


def _nearest(told: Sequence[FindingText], most: int) -> Iterator[Nearest]:
    known = [item for item in told if item.outcome == "met" and item.margin is not None]
    known.sort(key=lambda item: item.margin or 0.0)
    for item in known[: min(most, MOST_NEAREST)]:
        words = f"{item.value}, interval {item.interval}." if item.interval else f"{item.value}."
        if item.crosses:
            strong = "Interval crosses the bound: cannot tell for further images."
        else:
            strong = f"{_room(item)} left."
        yield Nearest(finding=item, scale=cell_scale(item), words=words, strong=strong)


def _room(item: FindingText) -> str:
    expectation, interval = item.record.expectation, item.record.interval
    unit = metric_texts(item.metric).unit
    value = item.record.observed or 0.0
    if expectation.at_least is not None:
        room = (value if interval is None else interval.low) - expectation.at_least
    else:
        room = (expectation.at_most or 0.0) - (value if interval is None else interval.high)
    return amount(room, "points" if unit == "percent" else unit)


def _risks(assessment: Assessment, told: Sequence[FindingText]) -> Iterator[Risk]:
    """Remaining risks, the largest first."""
    served = assessment.identity.served
    if served is not None and served.address is not None:
        yield Risk(
            strong="Another model may have answered.",
            rest=f"{_within(printable(served.address), RISK)} answered, and nothing shows that it "
            "serves the files of this version: a server elsewhere gives no digest.",
        )
    failed = withdrawn(assessment)
    if failed:
        names = first_few([_within(printable(gap.subject), TITLE) for gap in failed], 3)
        yield Risk(
            strong=f"Withdrawn evidence: {names}.",
            rest="It failed its own self-test, and no requirement on it counts as met (part C).",
        )
    for item in told:
        decides = item.record.expectation.decides
        if item.consequence and decides and item.outcome in {"unmet", "waived"}:
            card = item.number if item.open else None
            yield Risk(strong=item.consequence, rest=_within(item.waiver, RISK), card=card)
    for item in told:
        if item.outcome == "missing" and item.record.expectation.decides and item.consequence:
            yield Risk(
                strong=f"{item.title} is not known.", rest=item.consequence, card=item.number
            )
    yield from _weak(assessment, told)
    for item in told:
        if item.crosses:
            yield Risk(
                strong=f"{item.name}: the interval crosses its bound,",
                rest=f"{item.interval} beside {item.requirement}.",
            )


def _weak(assessment: Assessment, told: Sequence[FindingText]) -> Iterator[Risk]:
    """Evidence that is weak by itself, the weakest first, whatever the policy asks."""
    bounded = {item.metric for item in told}
    spoken = {item.metric for item in told if item.open}
    found = []
    for metric, texts in all_metric_texts().items():
        value = assessment.metrics.get(metric)
        if texts.weak is None or value is None or metric in spoken:
            continue
        short = texts.weak - value if texts.better == "higher" else value - texts.weak
        if short > 0:
            found.append((short / max(abs(texts.weak), 0.1), metric, value))
    for _, metric, value in sorted(found, key=lambda item: (-item[0], item[1])):
        texts, interval = metric_texts(metric), assessment.intervals.get(metric)
        n = assessment.validation.images if interval is None else interval.n
        name = named(class_of(assessment, metric, texts), noun_of(assessment))
        words = {"class": name, "value": amount(value, texts.unit)}
        said = texts.says.format(hits=_share(value, n), misses=_share(1 - value, n), **words)
        unbound = "" if metric in bounded else " No bound is set on this."
        rest = texts.consequence.format(hits="", misses="", **words)
        yield Risk(strong=f"{said[:1].upper()}{said[1:]}.", rest=f"{rest}{unbound}")


def _share(value: float, n: int) -> str:
    return share(value, n, "images") if 0 <= value <= 1 else amount(value, "number")
