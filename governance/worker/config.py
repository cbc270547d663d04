"""Config: policies, limits and permissions of a worker, from the table `[worker]` of its file.

`docs/reference/configuration.md` describes the file. All of it is the operator's; what
people write into the registry chooses among what the file allows, and nothing else.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from governance.approval.protection import UNPROTECTED
from governance.errors import PolicyError
from governance.records.configuration import configuration, read_text
from governance.records.toml_reader import Reader

__all__ = ["OPTIONS", "PolicyRule", "WorkerConfig"]

#: Keys of the table that are options of the command as well, which reads them, and what they hold.
OPTIONS = {
    "ledger": "text",
    "listen": "text",
    "monitoring": "text",
    "patience": "number",
    "poll": "number",
    "signer": "file",
    "signing_key": "file",
    "webhook_secret_file": "file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """The policy of registered models whose name fits a pattern.

    Attributes:
        models: Shell pattern of model names; letter case counts. The first rule that fits counts.
        policy: Policy file of those models.
        server_python: Python of the environment that scoring servers of those models are started
            in, for policies with `flavour = "served"`. It needs MLflow, uvicorn and what the models
            need. Without it they are started in the worker's own environment.
    """

    models: str
    policy: Path
    server_python: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """Policies, limits and permissions of a worker, as its operator wrote them down.

    Attributes:
        registry: Name of the registry in the job database; its address if not given. Workers that
            reach one registry by different addresses need the same name here.
        rules: Policies by model name; the first rule that fits counts.
        places: Folders, and beginnings of MLflow URIs, that the tag `governance.policy_uri` of a
            registered model may name. A tag that names another place makes the version
            undetermined.
        device: Device on which models run.
        minutes: Longest time one assessment may run, in minutes of wall-clock time. Its processor
            time is limited to as much on each core.
        memory_gib: Largest address space of one assessment, in GiB. It is not limited on a GPU,
            whose driver maps more memory than exists.
        confinement: How an assessment is shut in. With `required` the worker does not start if the
            machine cannot do all of it. With `if possible` it starts and says what is open.
        attempts: Number of failed attempts after which a version becomes undetermined.
        retry_seconds: Wait before the second attempt, in seconds. Each further wait is four times
            as long.
        lease_seconds: Time a lease lasts unless it is renewed, in seconds. The worker renews it
            every third of this time.
        sweep_minutes: Time between two full scans of all versions, in minutes. Looks in between
            read only new versions and those that are `pending`.
        again_seconds: Shortest time before a finished version is assessed again, in seconds, even
            if it was changed meanwhile.
        unprotected: Aliases that need no approval.
        remove_aliases: Whether the worker removes a protected alias without an approval. By default
            it only reports it.
        scoring_servers: Shell patterns of the addresses that a policy with `flavour = "served"` may
            name, such as `https://scores.example/*`. A policy that names another address makes the
            version undetermined.
        portfolio: Folder of the static site over all models (`governance portfolio`), which the
            worker makes again after each verdict. Without it there is no site.
    """

    registry: str = ""
    rules: tuple[PolicyRule, ...] = ()
    places: tuple[str, ...] = ()
    device: Literal["cpu", "cuda"] = "cpu"
    minutes: float = 60.0
    memory_gib: float = 16.0
    confinement: Literal["required", "if possible"] = "if possible"
    attempts: int = 3
    retry_seconds: float = 30.0
    lease_seconds: float = 60.0
    sweep_minutes: float = 60.0
    again_seconds: float = 600.0
    unprotected: tuple[str, ...] = UNPROTECTED
    remove_aliases: bool = False
    scoring_servers: tuple[str, ...] = ()
    portfolio: Path | None = None

    def rule(self, name: str) -> PolicyRule | None:
        """The first rule that fits the name of a registered model; None if none fits."""
        return next((item for item in self.rules if fnmatchcase(name, item.models)), None)

    @classmethod
    def load(cls, path: Path) -> "WorkerConfig":
        """Read the table of a configuration file; relative paths start at its folder.

        Raises:
            PolicyError: All problems at once.
        """
        reader = configuration(read_text(path), path, "worker").own
        reader.leave(*OPTIONS)
        config = _config(reader, path.parent.resolve())
        if reader.problems:
            raise PolicyError(reader.problems)
        return config


def _config(reader: Reader, home: Path) -> WorkerConfig:
    known = WorkerConfig()

    def number(key: str, default: float, *, whole: bool = False) -> float:
        return reader.number(key, default, whole=whole, above=0) or default

    for key in ("network", "user"):
        if reader.has(key):
            reader.problem(key, "is gone; confinement = 'required' or 'if possible' is accepted")
    rules = tuple(_rule(item, home) for item in reader.tables("policies"))
    for rule in rules:
        if not rule.policy.is_file():
            reader.problem("policies", f"{rule.policy} is no file; a policy is accepted")
    places = reader.texts("policy_places", ()) or ()
    config = WorkerConfig(
        registry=reader.text("registry", known.registry),
        rules=rules,
        places=tuple(item if ":/" in item else str((home / item).resolve()) for item in places),
        device=reader.choice("device", known.device, ("cpu", "cuda")),  # type: ignore[arg-type]
        minutes=number("minutes", known.minutes),
        memory_gib=number("memory_gib", known.memory_gib),
        confinement=reader.choice(  # type: ignore[arg-type]
            "confinement", known.confinement, ("required", "if possible")
        ),
        attempts=int(number("attempts", known.attempts, whole=True)),
        retry_seconds=number("retry_seconds", known.retry_seconds),
        lease_seconds=number("lease_seconds", known.lease_seconds),
        sweep_minutes=number("sweep_minutes", known.sweep_minutes),
        again_seconds=number("again_seconds", known.again_seconds),
        unprotected=reader.texts("unprotected_aliases", known.unprotected) or (),
        remove_aliases=reader.flag("remove_aliases", default=known.remove_aliases),
        scoring_servers=reader.texts("scoring_servers", known.scoring_servers) or (),
        portfolio=_folder(reader, "portfolio", home),
    )
    reader.done()
    if not rules and not places:
        reader.problem(
            "policies", "missing, and no policy_places either; one [[worker.policies]] with models "
            "and policy is needed, since without any every version would be undetermined",
        )  # fmt: skip
    return config


def _folder(reader: Reader, key: str, home: Path) -> Path | None:
    text = reader.text(key, "")
    return home / text if text else None


def _rule(reader: Reader, home: Path) -> PolicyRule:
    rule = PolicyRule(
        models=reader.text("models", None),
        policy=home / reader.text("policy", None),
        server_python=_folder(reader, "server_python", home),
    )
    reader.done()
    return rule
