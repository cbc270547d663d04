"""Portfolio: a static site over all registered models. It holds no script, and needs no server."""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from jinja2 import Environment

from governance.records.portfolio import Portfolio, PortfolioModel, PortfolioVersion
from reports.amounts import chance
from reports.findings import FindingText, by_metric, findings
from reports.html import environment, style
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


def pages(portfolio: Portfolio, pictures: Collection[str] = ()) -> Mapping[str, str]:
    """Contents of the files of the site, by name.

    Args:
        portfolio: As read.
        pictures: Files of pictures that lie beside the pages.
    """
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
        for item in model.pairs:
            site[file_of(model, item.old, item.new)] = pair.render(
                portfolio=portfolio, model=model, turned=item.turned, galleries=item.galleries,
                there=frozenset(pictures),
                pair=[(one, _sentence(one, told[one.number])) for one in (item.old, item.new)],
                rows=tuple(_beside(told[item.old.number], told[item.new.number])),
            )  # fmt: skip
    return site


def _environment() -> Environment:
    made = environment()
    made.filters.update(day=_day, chance=chance, title=_title)
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


def _title(analysis: str) -> str:
    """Name of an analysis for a reader."""
    return analysis.replace("_", " ").capitalize()


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
