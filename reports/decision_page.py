"""Decision page: what was decided and why, what is open, what risk remains, who answers for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from governance.records.assessment import Assessment
from governance.records.evidence import Interval
from governance.records.wording import first_few
from reports.amounts import amount, change, share, span
from reports.approvals import Approvals, Person, people
from reports.class_names import class_of, named, noun_of
from reports.findings import FindingText
from reports.gaps import uncovered, withdrawn
from reports.metric_texts import all_metric_texts, metric_texts
from reports.prose import printable
from reports.scales import Arrow, Scale, arrow, cell_scale, lowest_share, tile_scale
from reports.verdicts import VerdictText, verdict

__all__ = ["DecisionPage", "Nearest", "Risk", "Tile", "decision_page"]

#: Letters of a name that fits above a mark.
SHORT = 12
MOST_OPEN, MOST_NEAREST, MOST_RISKS = 5, 3, 3
#: Lines of text that the page has for its two tables and the risks, with 25 mm to spare.
LINES = 24.0
#: What the frame of a row, and the heading of a table, take beside the text, in lines.
ROW, HEADING, DRAWN = 0.5, 2.6, 3.3
#: Letters in a line of a finding's title, id and remedy, of a risk, and of the verdict.
TITLE, IDENTIFIER, REMEDY, RISK, VERDICT = 34, 30, 40, 112, 66
ACCURACY, WORST = "performance.accuracy", "performance.recall_worst"
RECALL = "performance.recall."


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One of the three headline numbers.

    Attributes:
        title: Name of the number, with its class.
        outcome: Outcome of the requirement on it; empty where there is none.
        word: The outcome in words.
        value: The number with its unit.
        scale: The number on its scale; None where there is no requirement.
        arrow: The change on its scale; None on the other tiles.
        notes: At most two lines below.
    """

    title: str
    outcome: str
    word: str
    value: str
    scale: Scale | None = None
    arrow: Arrow | None = None
    notes: tuple[str, ...] = ()


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
        unassessed: Topics on which nothing was measured.
        people: Who answers for what.
    """

    verdict: VerdictText
    tiles: tuple[Tile, ...]
    open: tuple[FindingText, ...]
    open_left: int
    nearest: tuple[Nearest, ...]
    risks: tuple[Risk, ...]
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
    risks = tuple(_risks(assessment, told))[:MOST_RISKS]
    said = verdict(assessment, told)
    said = replace(said, says=_within(said.says, 5 * VERDICT), rest=_within(said.rest, 5 * VERDICT))
    topics = tuple(gap.subject for gap in uncovered(assessment))
    name = assessment.identity.name or assessment.identity.uri
    room = (
        LINES
        - _lines(", ".join(topics), RISK)
        - sum(_lines(f"{item.strong} {item.rest} (finding 1, page 1)", RISK) for item in risks)
    )
    room -= _lines(said.says, VERDICT) + _lines(said.rest, VERDICT) - 4 + _lines(name, TITLE) - 1
    shown = _fitting([item for item in told if item.open], room)
    room -= sum(_height(item) for item in shown) + (HEADING if shown else 0)
    nearest: tuple[Nearest, ...] = ()
    if assessment.decision.verdict == "approved":
        nearest = tuple(_nearest(told, int(max(0.0, room - HEADING) / DRAWN)))
    return DecisionPage(
        verdict=said,
        tiles=_tiles(assessment, told),
        open=shown,
        open_left=sum(item.open for item in told) - len(shown),
        nearest=nearest,
        risks=risks,
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


def _tiles(assessment: Assessment, told: Sequence[FindingText]) -> tuple[Tile, ...]:
    by_metric = {item.metric: item for item in told}
    worst = class_of(assessment, WORST, metric_texts(WORST))
    shares = [assessment.metrics.get(name) for name in (ACCURACY, WORST)]
    for name in (ACCURACY, WORST):
        item, interval = by_metric.get(name), assessment.intervals.get(name)
        shares += [] if interval is None else [interval.low]
        shares += [] if item is None else [item.record.expectation.at_least, item.before]
    lowest = lowest_share(shares)
    noun = noun_of(assessment)
    name = "Lowest class" if worst is None else f"Lowest: {named(worst, noun)}"
    return (
        _tile(assessment, by_metric.get(ACCURACY), ACCURACY, "All images right", lowest),
        _tile(assessment, by_metric.get(WORST), WORST, name, lowest),
        _change(assessment, worst, lowest),
    )


def _tile(
    assessment: Assessment, item: FindingText | None, metric: str, title: str, lowest: float
) -> Tile:
    value, interval = assessment.metrics.get(metric), assessment.intervals.get(metric)
    if value is None:
        return Tile(title=title, outcome="missing", word="not measured", value="not measured")
    apart = () if item is None else _limits(item)
    notes = [] if interval is None else [_of_images(interval, apart)]
    if item is not None and item.baseline:
        notes.append(item.baseline.rstrip(".").replace(" had ", ": "))
    return Tile(
        title=title,
        outcome="" if item is None else item.outcome,
        word="no bound set" if item is None else item.word,
        value=amount(value, "percent", apart, decimals=1),
        scale=None if item is None else tile_scale(item, lowest, item.before),
        notes=tuple(notes),
    )


def _limits(item: FindingText) -> tuple[float | None, ...]:
    return (item.record.expectation.at_least, item.record.expectation.at_most)


def _of_images(interval: Interval, apart: Sequence[float | None]) -> str:
    return f"{span(interval, 'percent', apart)} of {interval.n:,} images"


def _change(assessment: Assessment, worst: str | None, lowest: float) -> Tile:
    """What changed since the baseline in the lowest class, or in all images."""
    baseline = assessment.baseline
    if baseline is None:
        return Tile(
            title="Change", outcome="inapplicable", word="not applicable", value="\N{EN DASH}",
            arrow=arrow(None, None, lowest), notes=("No version to compare with",),
        )  # fmt: skip
    noun = noun_of(assessment)
    choices = [(ACCURACY, "Change: all images")]
    if worst is not None:
        choices.insert(0, (f"{RECALL}{worst}", f"Change: {named(worst, noun)}"))
    for metric, title in choices:
        old, new = baseline.metrics.get(metric), assessment.metrics.get(metric)
        if old is not None and new is not None:
            notes = [f"From {amount(old, 'percent')} to {amount(new, 'percent')}"]
            if baseline.validation_digest != assessment.validation.digest:
                notes.append("Measured on other images")
            elif metric != ACCURACY:
                notes.append(_whole_change(assessment))
            return Tile(
                title=title,
                outcome="",
                word="no bound set",
                value=change(new - old, "percent"),
                arrow=arrow(old, new, lowest, _versions(assessment)),
                notes=tuple(item for item in notes if item),
            )
    return Tile(title="Change", outcome="missing", word="not measured", value="not measured")


def _versions(assessment: Assessment) -> tuple[str, str]:
    """Names of the baseline and of this version, where they are short."""
    old = assessment.baseline.identity.version if assessment.baseline else None
    names = [
        f"version {printable(item)}" if item else "" for item in (old, assessment.identity.version)
    ]
    return (names[0], names[1]) if all(len(item) <= SHORT for item in names) else ("", "")


def _whole_change(assessment: Assessment) -> str:
    old = assessment.baseline.metrics.get(ACCURACY) if assessment.baseline else None
    new = assessment.metrics.get(ACCURACY)
    return "" if old is None or new is None else f"All images: {change(new - old, 'percent')}"


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
