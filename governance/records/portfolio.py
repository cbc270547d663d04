"""Portfolio: all registered models at a glance, and what a person has to decide about them."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from governance.records.assessment import Assessment
from governance.records.lineage import HistoryEntry
from governance.records.waiver import Waiver

__all__ = ["Portfolio", "PortfolioModel", "PortfolioVersion", "Question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioVersion:
    """A version of a registered model, as the registry and its record describe it.

    Attributes:
        uri: Address of the version.
        created: Time of its registration, in seconds since 1970.
        aliases: Its aliases.
        state: State by its signed statement, as `governance inventory` tells it.
        why: Reason why no approval of it counts; empty where one does.
        expires: Time until which its signed statement counts, in seconds since 1970; None without.
        waits: Whether it needs an assessment.
        waivers: Waivers on it that count now.
        entry: Its place in the history of the model.
        record: Its record without pictures; None where there is none to be relied on.
        report: Address of its report; empty where it is not known.
    """

    uri: str
    created: int
    aliases: tuple[str, ...]
    state: str
    why: str
    expires: int | None
    waits: bool
    waivers: tuple[Waiver, ...]
    entry: HistoryEntry
    record: Assessment | None = None
    report: str = ""

    @property
    def number(self) -> str:
        """Number of the version."""
        return self.entry.version


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioModel:
    """A registered model.

    Attributes:
        name: Name of the registered model, untrusted.
        versions: The newest version first.
        left: Number of older versions that are not listed.
        champion: The alias of the version in service.
    """

    name: str
    versions: tuple[PortfolioVersion, ...]
    left: int = 0
    champion: str = "champion"

    @property
    def in_service(self) -> PortfolioVersion | None:
        """The version that has the champion's alias; None where none has."""
        return next((item for item in self.versions if self.champion in item.aliases), None)

    @property
    def pairs(self) -> tuple[tuple[PortfolioVersion, PortfolioVersion], ...]:
        """Versions to be shown side by side, the older one first.

        Each version with the one before, and each version after the champion with it.
        """
        known = [item for item in self.versions if item.record is not None]
        pairs = dict.fromkeys((old.number, new.number) for new, old in pairwise(known))
        champion = self.in_service
        if champion is not None and champion.record is not None:
            place = known.index(champion)
            pairs |= dict.fromkeys((champion.number, new.number) for new in known[:place])
        by_number = {item.number: item for item in known}
        return tuple((by_number[old], by_number[new]) for old, new in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person has to decide about a version, and the command that records the answer.

    Attributes:
        urgency: 1 for what is in service without an approval, 2 for what ends soon, 3 for what
            waits for a person, 4 for what waits for an assessment.
        uri: Address of the version.
        model: Name of its registered model.
        says: What is to be decided, in a sentence or two.
        commands: Commands, one of which records the decision.
        until: Time by which it has to be decided, in seconds since 1970; None where none is set.
    """

    urgency: Literal[1, 2, 3, 4]
    uri: str
    model: str
    says: str
    commands: tuple[str, ...]
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """All registered models.

    Attributes:
        made: Time at which the registry was read, in seconds since 1970.
        signed: Whether signatures were checked.
        models: By name.
        questions: The most urgent first.
    """

    made: int
    signed: bool
    models: tuple[PortfolioModel, ...]
    questions: tuple[Question, ...]
