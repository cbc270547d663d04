"""Terms: what a worker's TOML file says about policies, limits and what may be done.

`docs/worker.md` describes the file. All of it is the operator's; what people write into the
registry chooses among what the file allows, and nothing else.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from governance.errors import PolicyError
from governance.records.toml_reader import Reader, parse

__all__ = ["UNPROTECTED", "Rule", "Terms"]

#: Aliases that promise nothing, so that no approval is asked for.
UNPROTECTED = ("candidate", "challenger", "archived")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which policy applies to registered models whose name fits a pattern."""

    models: str
    policy: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a worker goes by.

    Attributes:
        registry: Its name in the ledger; empty takes the address of the registry.
        rules: The first one that fits a model's name counts.
        places: Folders, and beginnings of URIs, that the tag `governance.policy_uri` may name.
        device: Where models are run.
        minutes: An assessment may take, by the clock; its processor time is limited to as much on
            each core.
        memory_gib: Of address space that an assessment may have; not on a GPU, whose driver maps
            more than there is.
        network: Whether an assessment may reach it: `none` fails where that cannot be ensured,
            `none if possible` goes on and says so.
        user: As whom an assessment runs, where the worker is root; empty keeps the worker's own.
        attempts: After which a version is undetermined.
        retry_seconds: Before the second attempt; four times as long before each further one.
        lease_seconds: That a lease lasts unless it is renewed.
        sweep_minutes: Between looks at all versions, not only at what is new.
        again_seconds: Since a version was done before it is done again.
        unprotected: Aliases that need no approval.
        remove_aliases: Whether a protected alias that nothing covers is removed, or only reported.
    """

    registry: str = ""
    rules: tuple[Rule, ...] = ()
    places: tuple[str, ...] = ()
    device: Literal["cpu", "cuda"] = "cpu"
    minutes: float = 60.0
    memory_gib: float = 16.0
    network: Literal["none", "none if possible", "as the worker"] = "none if possible"
    user: str = ""
    attempts: int = 3
    retry_seconds: float = 30.0
    lease_seconds: float = 60.0
    sweep_minutes: float = 60.0
    again_seconds: float = 600.0
    unprotected: tuple[str, ...] = UNPROTECTED
    remove_aliases: bool = False

    def rule(self, name: str) -> Rule | None:
        """The one for a registered model; None where none fits. Letter case counts."""
        return next((item for item in self.rules if fnmatchcase(name, item.models)), None)

    @classmethod
    def load(cls, path: Path) -> "Terms":
        """The terms in a file; paths start at its folder.

        Raises:
            PolicyError: All problems at once.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(f"{path}: cannot be read: {error}") from error
        reader = parse(text, path.name)
        terms = _terms(reader, path.parent.resolve())
        if reader.problems:
            raise PolicyError(reader.problems)
        return terms


def _terms(reader: Reader, home: Path) -> Terms:
    known = Terms()

    def number(key: str, default: float, *, whole: bool = False) -> float:
        return reader.number(key, default, whole=whole, above=0) or default

    rules = tuple(_rule(item, home) for item in reader.tables("policies"))
    for rule in rules:
        if not rule.policy.is_file():
            reader.problem("policies", f"{rule.policy} is no file; a policy is accepted")
    places = reader.texts("policy_places", ()) or ()
    terms = Terms(
        registry=reader.text("registry", known.registry),
        rules=rules,
        places=tuple(item if ":/" in item else str((home / item).resolve()) for item in places),
        device=reader.choice("device", known.device, ("cpu", "cuda")),  # type: ignore[arg-type]
        minutes=number("minutes", known.minutes),
        memory_gib=number("memory_gib", known.memory_gib),
        network=reader.choice(  # type: ignore[arg-type]
            "network", known.network, ("none", "none if possible", "as the worker")
        ),
        user=reader.text("user", known.user),
        attempts=int(number("attempts", known.attempts, whole=True)),
        retry_seconds=number("retry_seconds", known.retry_seconds),
        lease_seconds=number("lease_seconds", known.lease_seconds),
        sweep_minutes=number("sweep_minutes", known.sweep_minutes),
        again_seconds=number("again_seconds", known.again_seconds),
        unprotected=reader.texts("unprotected_aliases", known.unprotected) or (),
        remove_aliases=reader.flag("remove_aliases", default=known.remove_aliases),
    )
    reader.done()
    if not rules and not places:
        reader.problem(
            "policies", "missing, and no policy_places either; one [[policies]] with models and "
            "policy is needed, since without any every version would be undetermined",
        )  # fmt: skip
    return terms


def _rule(reader: Reader, home: Path) -> Rule:
    rule = Rule(models=reader.text("models", None), policy=home / reader.text("policy", None))
    reader.done()
    return rule
