"""Portfolio: all registered models at a glance, and what a person has to decide about them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from governance.records.assessment import Assessment
from governance.records.lineage import HistoryEntry
from governance.records.policy import DRIFT
from governance.records.turned import Answers, Turned, turned
from governance.records.waiver import Waiver

__all__ = [
    "GALLERIES",
    "SHARED",
    "Gallery",
    "Picture",
    "Portfolio",
    "PortfolioModel",
    "PortfolioPair",
    "PortfolioVersion",
    "Question",
]

#: Figures that show explanations of single images or classes, as (analysis, figure).
GALLERIES = (
    ("explanation_maps", "class_maps"),
    ("genetic_explanation", "regions"),
    ("de_cam", "maps"),
    ("layer_prediction", "strips"),
    ("verified_perturbation", "patch_map"),
)
#: Figures of a comparison, which show both versions at once.
SHARED = ((DRIFT, "newly_wrong"), (DRIFT, "newly_right"), (DRIFT, "gallery"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of a record, which is fetched for the pages that show it.

    Attributes:
        analysis: The analysis that drew it.
        name: Name of the figure.
        caption: Caption of the figure, untrusted.
        seen: What is seen in it, for those who cannot see it; untrusted.
        home: Artifact URI of the folder of the record.
        sha256: Digest of the picture, as the record has it.
    """

    analysis: str
    name: str
    caption: str
    seen: str
    home: str
    sha256: str

    @property
    def path(self) -> str:
        """Path of the picture in the folder of the record."""
        return f"evidence/{self.analysis}/{self.name}.png"

    @property
    def file(self) -> str:
        """Name of its copy beside the pages. Equal pictures share one."""
        return f"picture-{self.sha256[:32]}.png"


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
        answers: The answer to every image; None where the record has none.
        pictures: Pictures of its explanations, by analysis and figure.
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
    answers: Answers | None = None
    pictures: tuple[Picture, ...] = ()

    def picture(self, analysis: str, name: str) -> Picture | None:
        """Its picture of that name; None where there is none."""
        wanted = (analysis, name)
        return next((item for item in self.pictures if (item.analysis, item.name) == wanted), None)

    @property
    def number(self) -> str:
        """Number of the version."""
        return self.entry.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """The same figure of two versions, or one of their comparison.

    Attributes:
        old: That of the older version; None for a figure of both.
        new: That of the newer version.
    """

    old: Picture | None
    new: Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioPair:
    """Two versions of a model that are shown side by side, both with a record.

    Attributes:
        old: The older version.
        new: The newer version.
    """

    old: PortfolioVersion
    new: PortfolioVersion

    @property
    def turned(self) -> Turned | None:
        """Images whose answer differs; None where the records do not tell."""
        old, new = self.old.record, self.new.record
        before, now = self.old.answers, self.new.answers
        if old is None or new is None or before is None or now is None:
            return None
        return turned(before, now) if old.validation.digest == new.validation.digest else None

    @property
    def galleries(self) -> tuple[Gallery, ...]:
        """Explanations of both versions; of a comparison only where it is one of these two."""
        return tuple(self._galleries())

    def _galleries(self) -> Iterator[Gallery]:
        old, new = self.old.record, self.new.record
        if old and new and new.baseline and new.baseline.identity.ref == old.identity.ref:
            found = (self.new.picture(*where) for where in SHARED)
            yield from (Gallery(old=None, new=item) for item in found if item)
        for where in GALLERIES:
            before, now = self.old.picture(*where), self.new.picture(*where)
            if before and now:
                yield Gallery(old=before, new=now)


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
    def pairs(self) -> tuple[PortfolioPair, ...]:
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
        return tuple(PortfolioPair(old=by_number[old], new=by_number[new]) for old, new in pairs)


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

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures that pages of two versions show, each once."""
        shown = {
            item.file: item
            for model in self.models
            for pair in model.pairs
            for gallery in pair.galleries
            for item in (gallery.old, gallery.new)
            if item is not None
        }
        return tuple(shown.values())
