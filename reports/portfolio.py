"""Portfolio: a static site over all registered models. It holds no script, and needs no server."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from jinja2 import Environment

from governance.records.assessment import Assessment
from governance.records.portfolio import Portfolio, PortfolioModel, PortfolioVersion
from reports.findings import FindingText, by_metric, findings
from reports.html import environment, style
from reports.metric_texts import metric_texts
from reports.verdicts import verdict

__all__ = ["pages"]

#: Images that are listed of those whose answer turned wrong or right.
MOST_IMAGES = 50
#: Metrics of a model's history beside those that decide.
COLUMNS = ("performance.accuracy", "performance.recall_worst")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A requirement over the versions of a model.

    Attributes:
        name: Human name of the metric.
        metric: Full name of the metric.
        requirement: The bound of the newest version that has it.
        cells: The finding on it in each version; None where there is none.
    """

    name: str
    metric: str
    requirement: str
    cells: tuple[FindingText | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Images whose answer differs between two versions.

    Attributes:
        n: Number of images.
        wrong: Those that turned wrong, as (place, class, answer before, answer now).
        right: Those that turned right.
        classes: Numbers of both by class.
    """

    n: int
    wrong: tuple[tuple[int, str, str, str], ...]
    right: tuple[tuple[int, str, str, str], ...]
    classes: tuple[tuple[str, int, int], ...]


def pages(portfolio: Portfolio) -> Mapping[str, str]:
    """Contents of the files of the site, by name."""
    made = _environment()
    models = made.get_template("portfolio/model.html.j2")
    pair = made.get_template("portfolio/pair.html.j2")
    index = made.get_template("portfolio/index.html.j2").render(portfolio=portfolio)
    site = {"index.html": index, "style.css": str(style())}
    for model in portfolio.models:
        told = {item.number: findings(item.record) for item in model.versions if item.record}
        site[file_of(model)] = models.render(
            portfolio=portfolio, model=model, kept=tuple(_kept(model, told)), columns=COLUMNS
        )
        for old, new in model.pairs:
            site[file_of(model, old, new)] = pair.render(
                portfolio=portfolio, model=model, answers=_answers(old, new),
                pair=tuple((item, _sentence(item, told[item.number])) for item in (old, new)),
                rows=tuple(_beside(told[old.number], told[new.number])),
            )  # fmt: skip
    return site


def _environment() -> Environment:
    made = environment()
    made.filters.update(day=_day, human=_human)
    made.globals.update(file_of=file_of, waiting=_waiting, most=MOST_IMAGES)
    return made


def file_of(model: PortfolioModel, *versions: PortfolioVersion) -> str:
    """Name of a model's page, or of the page that shows two of its versions."""
    readable = re.sub(r"[^a-z0-9]+", "-", model.name.lower())[:40].strip("-")
    digest = hashlib.sha256(model.name.encode(errors="backslashreplace")).hexdigest()[:8]
    numbers = "-".join(item.number for item in versions)
    return f"{readable}-{digest}{f'-{numbers}' if numbers else ''}.html"


def _sentence(item: PortfolioVersion, told: Sequence[FindingText]) -> str:
    """The verdict on a version and what decided it."""
    if item.record is None:
        return ""
    found = verdict(item.record, told)
    return f"{found.word}: {found.says}"


def _human(metric: str) -> str:
    return metric_texts(metric).name


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def _waiting(model: PortfolioModel) -> PortfolioVersion | None:
    """The version that has waited longest for an assessment."""
    waiting = [item for item in model.versions if item.waits]
    return min(waiting, key=lambda item: item.created, default=None)


def _kept(model: PortfolioModel, told: Mapping[str, Sequence[FindingText]]) -> Iterator[Kept]:
    """Each requirement that decides, over the versions, the newest first."""
    by_number = {
        number: by_metric(item for item in items if item.severity != "warn")
        for number, items in told.items()
    }
    known = dict.fromkeys(metric for items in by_number.values() for metric in items)
    for metric in known:
        cells = tuple(by_number.get(item.number, {}).get(metric) for item in model.versions)
        newest = next(cell for cell in cells if cell is not None)
        yield Kept(name=newest.name, metric=metric, requirement=newest.requirement, cells=cells)


def _beside(
    old: Sequence[FindingText], new: Sequence[FindingText]
) -> Iterator[tuple[FindingText | None, FindingText | None]]:
    """Findings of two versions on the same metric: what changed first, then what is open."""
    before, now = map(by_metric, (old, new))
    pairs = [(before.get(name), now.get(name)) for name in dict.fromkeys((*now, *before))]

    def place(pair: tuple[FindingText | None, FindingText | None]) -> tuple[bool, bool]:
        outcomes = [item.outcome if item else None for item in pair]
        return outcomes[0] == outcomes[1], not any(item is not None and item.open for item in pair)

    yield from sorted(pairs, key=place)


def _answers(old: PortfolioVersion, new: PortfolioVersion) -> Answers | None:
    """Images that turned wrong or right; None where the records do not tell."""
    if old.record is None or new.record is None:
        return None
    before, now = _rows(old.record), _rows(new.record)
    same = old.record.validation.digest == new.record.validation.digest
    if not same or not before or len(before) != len(now):
        return None
    wrong, right = [], []
    for place, ((true, was), (_, given)) in enumerate(zip(before, now, strict=True)):
        turned = (place, true, was, given)
        if was == true != given:
            wrong.append(turned)
        elif was != true == given:
            right.append(turned)
    lost, won = (Counter(item[1] for item in items) for items in (wrong, right))
    names = [name for name in new.record.validation.class_names if lost[name] or won[name]]
    return Answers(
        n=len(now), wrong=tuple(wrong), right=tuple(right),
        classes=tuple((name, lost[name], won[name]) for name in names),
    )  # fmt: skip


def _rows(record: Assessment) -> list[tuple[str, str]]:
    """Class and answer of every image, in the order of the set; empty where none are kept."""
    for evidence in record.evidence:
        for table in evidence.measurement.tables if evidence.measurement else ():
            found = (evidence.analysis, table.name) == ("performance", "answers")
            if found and {"class", "answer"} <= set(table.columns):
                places = [table.columns.index(name) for name in ("class", "answer")]
                return [(str(row[places[0]]), str(row[places[1]])) for row in table.rows]
    return []
