"""Portfolio: the standing of all registered models, and what a person has to decide.

Everything comes from the registry and from the records of versions, of which only the small file is
read that holds verdict, findings and metrics. Nothing is measured and nothing is written.
"""

from collections.abc import Iterator, Sequence
from shlex import quote
from typing import Literal

from governance.approval import Keyring
from governance.approval.protection import Protection
from governance.errors import EvidenceError, RegistryError
from governance.records.assessment import Assessment
from governance.records.lineage import HistoryEntry, Measured
from governance.records.policy import DRIFT
from governance.records.portfolio import (
    GALLERIES,
    SHARED,
    Picture,
    Portfolio,
    PortfolioModel,
    PortfolioVersion,
    Question,
)
from governance.registry import bare
from governance.registry.bare import ShownRecord, bare_record
from governance.registry.inventory import FIRST, StockedVersion, inventory
from governance.registry.listing import ListedVersion, newest

__all__ = ["MOST_VERSIONS", "SOON", "picture_of", "read_portfolio"]

#: Versions of a model that are shown, the newest.
MOST_VERSIONS = 30
#: Seconds before its end from which an approval or a waiver ends soon: 30 days.
SOON = 30 * 24 * 3600
RING = "--keys KEYRING"


def read_portfolio(protection: Protection, ring: Keyring | None, now: int) -> Portfolio:
    """The portfolio of the registry that MLflow's calls go to.

    Args:
        protection: Which aliases and stages are protected.
        ring: Whose signatures count; with None no signature is checked.
        now: Seconds since 1970.

    Raises:
        RegistryError: If MLflow cannot be asked.
    """
    stock = inventory(protection, ring, now)
    listed = {entry.version.uri: entry for entry in newest()}
    owned: dict[str, list[StockedVersion]] = {item.name: [] for item in stock.models}
    for item in stock.versions:
        if item.uri in listed:  # registered between the two looks: the next portfolio has it
            owned.setdefault(item.model, []).append(item)
    models = tuple(_model(name, own, listed) for name, own in sorted(owned.items()))
    found = [
        question for model in models for question in _questions(model, now, signed=ring is not None)
    ]
    found.sort(key=lambda item: (item.urgency, item.until or now, item.uri))
    return Portfolio(made=now, signed=ring is not None, models=models, questions=tuple(found))


def picture_of(shown: Picture) -> bytes | None:
    """A picture that a page shows; None where it cannot be had, or is not the recorded one."""
    try:
        return bare.picture(shown.home, shown.path, shown.sha256)
    except (EvidenceError, RegistryError):
        return None  # the page says so in its place, and all others are made


def _model(
    name: str, own: Sequence[StockedVersion], listed: dict[str, ListedVersion]
) -> PortfolioModel:
    ordered = sorted(own, key=lambda item: int(item.uri.rpartition("/")[2]), reverse=True)
    # The champion is shown however old it is.
    shown = [
        item for place, item in enumerate(ordered) if place < MOST_VERSIONS or FIRST in item.aliases
    ]
    return PortfolioModel(
        name=name,
        versions=tuple(_version(item, listed[item.uri]) for item in shown),
        left=len(ordered) - len(shown),
        champion=FIRST,
    )


def _version(item: StockedVersion, entry: ListedVersion) -> PortfolioVersion:
    number = entry.version.registered_as.version
    shown: ShownRecord | None = None
    told = HistoryEntry(version=number, verdict=item.status or "no assessment")
    if item.status not in {"", "pending", "running"}:
        try:
            shown = bare_record(entry)
            told = _entry(number, shown.assessment, entry)
        except EvidenceError as error:
            verdict = f"{item.status}, not to be relied on"
            told = HistoryEntry(version=number, verdict=verdict, problems=error.problems)
        except RegistryError as error:
            # Anyone may name a run that is not there, and the other versions are still to be shown.
            verdict = f"{item.status}, its record cannot be read"
            told = HistoryEntry(version=number, verdict=verdict, problems=error.problems)
    return PortfolioVersion(
        uri=item.uri, created=item.created // 1000, aliases=item.aliases, state=item.state,
        why=item.why, expires=item.expires, waits=item.waits if item.state != "unchecked" else
        shown is None, waivers=item.waivers, entry=told,
        record=shown.assessment if shown else None, report=shown.report if shown else "",
        answers=shown.answers if shown else None, pictures=tuple(_pictures(shown)) if shown else (),
    )  # fmt: skip


def _pictures(shown: ShownRecord) -> Iterator[Picture]:
    """Pictures of the record that pages of two versions may show."""
    measured = (item for item in shown.assessment.evidence if item.measurement is not None)
    for analysis, found in ((item.analysis, item.measurement) for item in measured):
        for figure in found.figures if found and not found.withdrawn else ():
            path = f"evidence/{analysis}/{figure.name}.png"
            if (analysis, figure.name) in GALLERIES + SHARED and path in shown.digests:
                yield Picture(
                    analysis=analysis, name=figure.name, caption=figure.caption,
                    seen=figure.alternative, home=shown.home, sha256=shown.digests[path],
                )  # fmt: skip


def _entry(number: str, record: Assessment, entry: ListedVersion) -> HistoryEntry:
    """The version's place in the history; drift as its own assessment measured it."""
    metrics, intervals = record.metrics, record.intervals

    def drift(name: str) -> Measured:
        return metrics.get(f"{DRIFT}.{name}"), intervals.get(f"{DRIFT}.{name}")

    return HistoryEntry(
        version=number, verdict=record.decision.verdict, created=record.created,
        digest=entry.tags.get("governance.digest", ""), metrics=metrics, intervals=intervals,
        to_previous=drift("distance"), to_first=drift("to_first"),
    )  # fmt: skip


def _questions(model: PortfolioModel, now: int, *, signed: bool) -> Iterator[Question]:
    """What a person has to decide about the versions of a model."""
    champion = model.in_service
    for item in model.versions:
        newer = champion is None or int(item.number) > int(champion.number)
        if signed and item is champion and item.why:
            says = f"It is in service, and no approval of it counts: {item.why}."
            other = f"governance promote OTHER_VERSION --alias {model.champion} {RING}"
            yield _asked(model, item, 1, says, _assess(item), other)
        yield from _ending(model, item, now, used=newer or item is champion)
        if newer:
            yield from _of_verdict(model, item)


def _ending(
    model: PortfolioModel, item: PortfolioVersion, now: int, *, used: bool
) -> Iterator[Question]:
    """Approvals and waivers of a version that end soon."""
    if used and not item.why and item.expires is not None and item.expires - now < SOON:
        says = "Its approval ends. Assess it again, or replace it."
        yield _asked(model, item, 2, says, _assess(item), until=item.expires)
    for waiver in item.waivers:
        if waiver.expires - now < SOON:
            says = (
                f"The waiver of {waiver.metric} by {waiver.approver} ends. Grant another one, or "
                "let the version lose its approval."
            )
            command = _waive(item, waiver.metric, waiver.bound)
            yield _asked(model, item, 2, says, command, until=waiver.expires)


def _of_verdict(model: PortfolioModel, item: PortfolioVersion) -> Iterator[Question]:
    """What the verdict on a version that is newer than the champion leaves to a person."""
    verdict, champion = item.entry.verdict, model.in_service
    if verdict == "review" and item.record is not None:
        missed = {
            finding.expectation.metric: finding.observed
            for finding in item.record.decision.findings
            if finding.expectation.severity == "review" and finding.outcome in {"unmet", "missing"}
        }
        says = f"A person decides whether it may miss {', '.join(missed)}."
        permit = [_waive(item, metric, observed) for metric, observed in missed.items()]
        refuse = f"governance revoke {quote(item.uri)} --reason REASON --key APPROVER.pem"
        yield _asked(model, item, 3, says, *permit, refuse)
    elif _promotable(item):
        if item is next(filter(_promotable, model.versions)):
            what = f"Version {champion.number} is" if champion else "No version is"
            promote = f"governance promote {quote(item.uri)} --alias {model.champion} {RING}"
            yield _asked(model, item, 3, f"It is approved. {what} in service.", promote)
    elif verdict == "undetermined":
        says = "What decides could not be measured. Repair that, and assess it again."
        yield _asked(model, item, 3, says, _assess(item))
    elif item.waits:
        yield _asked(model, item, 4, "It waits for an assessment.", _assess(item))


def _promotable(item: PortfolioVersion) -> bool:
    """Whether its record says approved, and so does its signature where signatures are checked."""
    return item.entry.verdict == "approved" and item.state in {"approved", "unchecked"}


def _asked(
    model: PortfolioModel,
    item: PortfolioVersion,
    urgency: Literal[1, 2, 3, 4],
    says: str,
    *commands: str,
    until: int | None = None,
) -> Question:
    return Question(
        urgency=urgency, uri=item.uri, model=model.name, says=says, commands=commands, until=until
    )


def _assess(item: PortfolioVersion) -> str:
    return f"governance assess {quote(item.uri)} --policy FILE --signing-key FILE"


def _waive(item: PortfolioVersion, metric: str, bound: float | None) -> str:
    worst = "VALUE" if bound is None else f"{bound:.15g}"
    return (
        f"governance waive {quote(item.uri)} --metric {quote(metric)} --bound {worst} "
        f"--reason REASON --expires YYYY-MM-DD --key APPROVER.pem {RING}"
    )
