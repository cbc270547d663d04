"""Inventory: what is in a registry, what rests on an approval, and what to assess first.

It reads any MLflow registry, governed or not, and changes nothing. What it says would be refused is
what a governed server in mode `enforce` refuses with the same configuration.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from governance.approval import Keyring
from governance.approval.lifecycle import state_of
from governance.approval.protection import Protection
from governance.approval.standing import Standing
from governance.approval.tags import STATUS, folded
from governance.records.waiver import Waiver
from governance.registry.approvals import standing_of
from governance.registry.listing import ListedVersion, models, newest

__all__ = ["FIRST", "Inventory", "StockedModel", "StockedVersion", "inventory"]

#: The alias whose versions come first.
FIRST = "champion"


@dataclass(frozen=True, slots=True, kw_only=True)
class StockedVersion:
    """A version, how it is used, and what it rests on.

    Attributes:
        uri: Address of the version.
        model: Name of the registered model.
        created: Creation time in milliseconds since 1970.
        aliases: All aliases of the version.
        uses: Protected aliases and stages of the version.
        state: State by its signed statement; `unsigned` if no statement counts, `unchecked` without
            a keyring.
        status: Plain status tag, untrusted.
        why: Reason why it has no approval that counts; empty if it has one.
        expires: Time until which its signed statement counts, in seconds since 1970; None without
            one.
        waivers: Waivers on the version that count now.
        priority: Place in the order of work: 1 the champion, 2 other protected uses, 3 the newest
            version of its model, 4 the rest.
    """

    uri: str
    model: str
    created: int
    aliases: tuple[str, ...]
    uses: tuple[str, ...]
    state: str
    status: str
    why: str
    priority: int
    expires: int | None = None
    waivers: tuple[Waiver, ...] = ()

    @property
    def refused(self) -> tuple[str, ...]:
        """The uses that rest on no approval."""
        return self.uses if self.why else ()

    @property
    def waits(self) -> bool:
        """Whether it needs an assessment: no final verdict that counts stands on it."""
        return self.state in {"unsigned", "unchecked", "expired", "pending", "running"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StockedModel:
    """A registered model.

    Attributes:
        name: Name of the registered model.
        mode: Mode in which the server treats it: `enforce` or `report`.
        versions: Number of its versions.
        refused: Uses of its versions that rest on no approval.
    """

    name: str
    mode: str
    versions: int
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What is in a registry.

    Attributes:
        models: Registered models by name.
        versions: Their versions, the most urgent first.
    """

    models: tuple[StockedModel, ...]
    versions: tuple[StockedVersion, ...]

    @property
    def backlog(self) -> tuple[StockedVersion, ...]:
        """The versions that need an assessment, the most urgent first.

        Without a keyring these are all, since nobody can tell which verdict counts.
        """
        return tuple(item for item in self.versions if item.waits)

    @property
    def unchecked(self) -> tuple[StockedVersion, ...]:
        """The versions whose signed statement nobody could check."""
        return tuple(item for item in self.versions if item.state == "unchecked")


def inventory(protection: Protection, ring: Keyring | None, now: float) -> Inventory:
    """All models and versions of the registry that MLflow's calls go to.

    Args:
        protection: Which aliases and stages are protected, and in which mode each model is.
        ring: Whose signatures count; with None no signature is checked, and nothing is approved.
        now: Seconds since 1970.

    Raises:
        RegistryError: If MLflow cannot be asked.
    """
    listed = tuple(models())
    aliases = {item.name: item.aliases for item in listed}
    latest: set[str] = set()
    versions = []
    for entry in newest():  # the newest version of a model comes first
        name = entry.version.registered_as.name
        first = name not in latest
        latest.add(name)
        versions.append(_stocked(entry, aliases.get(name, {}), protection, ring, now, first=first))
    versions.sort(key=lambda item: (item.priority, -item.created, item.uri))
    owned: dict[str, list[StockedVersion]] = {item.name: [] for item in listed}
    for item in versions:
        owned.setdefault(item.model, []).append(item)
    return Inventory(
        models=tuple(_model(name, own, protection) for name, own in owned.items()),
        versions=tuple(versions),
    )


def _model(name: str, own: Sequence[StockedVersion], protection: Protection) -> StockedModel:
    return StockedModel(
        name=name,
        mode="enforce" if protection.enforces(name) else "report",
        versions=len(own),
        refused=tuple(f"{use} of {item.uri}" for item in own for use in item.refused),
    )


def _stocked(
    entry: ListedVersion,
    numbers: Mapping[str, str],
    protection: Protection,
    ring: Keyring | None,
    now: float,
    *,
    first: bool,
) -> StockedVersion:
    ref = entry.version.registered_as
    aliases = tuple(sorted(alias for alias, number in numbers.items() if number == ref.version))
    uses = tuple(f"alias {alias}" for alias in aliases if protection.covers_alias(alias))
    if protection.covers_stage(entry.stage):
        uses += (f"stage {entry.stage}",)
    answer = _standing(entry, protection, ring, now)
    state, why = ("unchecked", "no keyring was given") if answer is None else _state(answer)
    statement = None if answer is None else answer.statement
    return StockedVersion(
        uri=ref.uri,
        model=ref.name,
        created=ref.created,
        aliases=aliases,
        uses=uses,
        state=state,
        status=entry.tags.get(STATUS, ""),
        why=why,
        priority=_priority(aliases, uses, first=first),
        expires=None if statement is None else statement.expires,
        waivers=() if answer is None else answer.waivers,
    )


def _priority(aliases: Iterable[str], uses: tuple[str, ...], *, first: bool) -> int:
    if FIRST in map(folded, aliases):
        return 1
    if uses:
        return 2
    return 3 if first else 4


def _standing(
    entry: ListedVersion, protection: Protection, ring: Keyring | None, now: float
) -> Standing | None:
    """Whether the signed statement on a version counts; None where nobody can tell."""
    if ring is None:
        return None
    return standing_of(
        entry.version, ring, now, entry.tags, policy_accepted=protection.accepts,
        expected="approved",
    )  # fmt: skip


def _state(answer: Standing) -> tuple[str, str]:
    """State of a version by its signed statement, and why it is not approved."""
    if answer.statement is None or any(item.cause != "verdict" for item in answer.doubts):
        expired = answer.statement is not None and answer.doubtful("expired")
        return ("expired" if expired else "unsigned"), answer.problems[0]
    state = state_of(answer.statement.kind, answer.statement.verdict)
    return state, answer.problems[0] if answer.problems else ""
