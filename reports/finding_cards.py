"""Finding cards: every open finding with its scale, reason, cause, remedy and owner."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from governance.records.assessment import Assessment
from governance.records.evidence import Table
from reports.causes import ABOUT_RECALL
from reports.class_names import table_of
from reports.findings import FindingText
from reports.metric_texts import metric_texts
from reports.prose import describe, printable
from reports.scales import Scale, card_scale, cell_scale
from reports.tiles import asked_of_each

__all__ = ["SEVERITY", "FindingCard", "Picture", "Topic", "finding_cards", "topics"]

#: Pictures on a card, and cards; further findings stand in the annex.
MOST_PICTURES, MOST_CARDS = 6, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A misread image: its pixels, what it was taken for, and its id."""

    image: bytes
    words: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingCard:
    """An open or waived finding on its card.

    Attributes:
        finding: The finding in words.
        scale: The value on its scale; None where there is no scale.
        narrow: The same for a phone.
        cause: What the evidence points to, or which card says so already.
        pictures: Misread images that the record holds.
        pictures_note: What the pictures are, and how many there are in all.
        requirement: The requirement in words.
        severity: What a miss does.
        owner: To whom it is assigned; empty for nobody.
        due: Day by which it is to be dealt with; empty for none.
        analysis: Analysis whose evidence it rests on.
        evidence: Title of that analysis.
    """

    finding: FindingText
    scale: Scale | None
    narrow: Scale | None
    cause: str
    pictures: tuple[Picture, ...]
    pictures_note: str
    requirement: str
    severity: str
    owner: str
    due: str
    analysis: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """The requirements on one analysis at a glance: its open ones, and its met ones."""

    title: str
    met: int
    total: int
    others: tuple[FindingText, ...]
    kept: tuple[FindingText, ...]


SEVERITY = {"block": "blocks release", "review": "asks a person", "warn": "warns"}


def finding_cards(
    assessment: Assessment, told: Sequence[FindingText]
) -> tuple[tuple[FindingCard, ...], int]:
    """The cards, and the number of open findings that have none.

    Args:
        assessment: The assessment as recorded.
        told: Its findings in words, in the order of the report.
    """
    chosen = [item for item in told if item.open or item.outcome == "waived"]
    titles, cards = _titles(assessment), []
    known: dict[str, int] = {}
    for item in chosen[:MOST_CARDS]:
        first = known.setdefault(item.cause, item.number)
        again = bool(item.cause) and item.outcome == "missing" and first != item.number
        cause = f"For the rest see finding {first}." if again else item.cause
        cards.append(_card(assessment, item, titles, cause))
    return tuple(cards), max(0, len(chosen) - MOST_CARDS)


def topics(assessment: Assessment, told: Sequence[FindingText]) -> tuple[Topic, ...]:
    """All requirements by analysis, those with open ones first."""
    titles = _titles(assessment)
    groups: dict[str, list[FindingText]] = {}
    for item in told:
        groups.setdefault(item.metric.partition(".")[0], []).append(item)
    return tuple(
        Topic(
            title=titles.get(analysis) or analysis.replace("_", " ").capitalize(),
            met=sum(item.outcome == "met" for item in items),
            total=len(items),
            others=tuple(item for item in items if item.outcome != "met"),
            kept=tuple(item for item in items if item.outcome == "met"),
        )
        for analysis, items in groups.items()
    )


def _titles(assessment: Assessment) -> dict[str, str]:
    return {
        item.analysis: describe(item.analysis, item.about).title for item in assessment.evidence
    }


def _card(
    assessment: Assessment, item: FindingText, titles: dict[str, str], cause: str
) -> FindingCard:
    expectation = item.record.expectation
    analysis = item.metric.partition(".")[0]
    version = assessment.baseline.identity.version if assessment.baseline else None
    who = f"version {printable(version)}" if version else "baseline"
    drawn = _drawn(assessment, item)
    pictures, note = _pictures(assessment, item)
    due = ""
    if expectation.due_days is not None:
        due = (assessment.moment + timedelta(days=expectation.due_days)).date().isoformat()
    return FindingCard(
        finding=item,
        scale=None if drawn is None else card_scale(drawn, drawn.before, who),
        narrow=None if drawn is None else cell_scale(drawn, drawn.before),
        cause=cause,
        pictures=pictures,
        pictures_note=note,
        requirement=f"{item.name}: {item.requirement}.",
        severity=SEVERITY[item.severity],
        owner=expectation.owner or "",
        due=due,
        analysis=analysis,
        evidence=titles.get(analysis) or analysis.replace("_", " ").capitalize(),
    )


def _drawn(assessment: Assessment, item: FindingText) -> FindingText | None:
    """The finding whose value is drawn; none for one that only says whether something was found.

    Where classes are counted that fall short, the lowest of them is drawn, since it is told.
    """
    texts = metric_texts(item.metric)
    if texts.unit == "flag":
        return None
    return (asked_of_each(assessment, item) if texts.lowest_of_class else None) or item


def _pictures(assessment: Assessment, item: FindingText) -> tuple[tuple[Picture, ...], str]:
    table = table_of(assessment, "performance", "misread")
    if table is None or item.class_name is None or not item.metric.startswith(ABOUT_RECALL):
        return (), ""
    images = _images(assessment)
    found = tuple(_shown(table, item.class_name, images))[:MOST_PICTURES]
    return found, "The surest wrong answers, one of each kind first." if found else ""


def _images(assessment: Assessment) -> dict[str, bytes]:
    return {
        figure.name: figure.image
        for evidence in assessment.evidence
        if evidence.analysis == "performance" and evidence.measurement is not None
        for figure in evidence.measurement.figures
    }


def _shown(table: Table, name: str, images: dict[str, bytes]) -> Iterator[Picture]:
    if not {"image", "class", "answer", "figure"} <= set(table.columns):
        return
    places = [table.columns.index(column) for column in ("image", "class", "answer", "figure")]
    for row in table.rows:
        image, true, answer, figure = (row[place] for place in places)
        if true == name and figure in images:
            words = f"{printable(str(true))} taken for {printable(str(answer))}"
            yield Picture(
                image=images[str(figure)], words=words, name=f"image {printable(str(image))}"
            )
