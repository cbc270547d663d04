"""Protection: which aliases and stages are kept for approved versions, and whose approval counts.

The table `[registry]` of `governance.toml` in the working directory of the server, with the keyring
that all parts share; `docs/reference/configuration.md` describes it:

    keyring = "root.toml"                 # the root keys that sign the ring, or a ring that nobody
                                          # signed; a relative path starts at this file

    [registry]
    mode = "enforce"                      # or "report": what would be refused is only written down
    policies = ["sha256:..."]             # optional: digests or titles that an approval may rest on
    aliases = ["*"]                       # shell patterns; letter case does not count
    except = ["candidate", "challenger", "archived"]
    stages = ["Staging", "Production"]
    audit = "sqlite:///audit.db"          # optional: the registry's own database otherwise

    [[registry.signatures]]               # optional: who has to have signed, by alias or stage
    for = ["champion", "Production"]      # shell patterns
    threshold = 2                         # so many owners of keys, none of whom made the version
    roles = ["assessor", "approver"]      # optional: one of each at least; otherwise assessors

    [[registry.models]]                   # the first pattern that fits the model's name counts
    models = "retina-*"
    mode = "enforce"

A file that is missing or wrong opens nothing: every alias and stage is protected then, and refused.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

from governance.approval.keyring import Keyring
from governance.approval.lookalikes import skeleton
from governance.approval.signed_rings import RingFiles, read_files, ring_in
from governance.approval.standing import Standing
from governance.approval.tags import folded
from governance.approval.thresholds import Threshold
from governance.errors import ApprovalError, PolicyError
from governance.records.configuration import configuration, read_text
from governance.records.toml_reader import Reader

__all__ = ["UNPROTECTED", "Mode", "ModelMode", "Protection"]

#: Stages that say nothing about use.
IDLE = ("none", "archived")
#: Aliases that promise nothing, so that no approval is asked for unless the file says so.
UNPROTECTED = ("candidate", "challenger", "archived")

#: Whether a use of a version without an approval is refused, or let pass and written down.
Mode = Literal["enforce", "report"]
MODES: tuple[Mode, ...] = ("enforce", "report")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMode:
    """The mode of registered models whose name fits a pattern.

    Attributes:
        models: Shell pattern of model names. The first pattern that fits counts.
        mode: Mode of those models.
    """

    models: str
    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Settings of a governed server from its `governance.toml`.

    Attributes:
        keyring: Path of the keyring of public keys.
        policies: Digests or titles of the policies that an approval may rest on; all if not given.
        aliases: Shell patterns of the protected aliases. Letter case and accents do not count.
        excepted: Aliases that everyone may set.
        stages: Protected stages.
        thresholds: Signatures that approvals need for some aliases and stages.
        audit: URL of the database for the audit; the registry's own if not given.
        mode: Mode of models that no pattern fits. `enforce` refuses a protected use of a version
            without an approval; `report` lets it pass and writes it down.
        models: Modes by model name; the first pattern that fits counts.
        problem: Reason why the file does not count; then everything is protected and refused.
    """

    keyring: Path | None = None
    policies: tuple[str, ...] | None = None
    aliases: tuple[str, ...] = ("*",)
    excepted: tuple[str, ...] = UNPROTECTED
    stages: tuple[str, ...] = ("Staging", "Production")
    thresholds: tuple[Threshold, ...] = ()
    audit: str | None = None
    mode: Mode = "enforce"
    models: tuple[ModelMode, ...] = ()
    problem: str | None = None

    @classmethod
    def at(cls, path: Path) -> "Protection":
        """The settings in the file now; it is read again only after a change."""
        try:
            return _read(path, _stamp(path))
        except OSError as error:
            return cls(problem=f"{path}: cannot be read: {error.strerror}")
        except PolicyError as error:
            return cls(problem=str(error))

    def covers_alias(self, alias: str) -> bool:
        """Whether an alias, or one that looks like it, is kept for approved versions."""
        if self.problem is not None:
            return True
        if alias in self.excepted:
            return False
        # As a database compares it, and as a person does.
        return any(
            fnmatchcase(form(alias), form(pattern))
            for pattern in self.aliases
            for form in (folded, skeleton)
        )

    def covers_stage(self, stage: str) -> bool:
        """Whether a stage is kept for approved versions."""
        if self.problem is not None:
            return folded(stage) not in IDLE
        return folded(stage) in {folded(item) for item in self.stages}

    def lacking(self, name: str, answer: Standing, authors: Collection[str]) -> Iterator[str]:
        """Which signatures an approval lacks for an alias or a stage."""
        for item in self.thresholds:
            if item.covers(name) and (problem := item.lacking(answer.signers, authors)):
                yield problem

    def enforces(self, model: str) -> bool:
        """Whether a use of a model's version without an approval is refused, or only reported.

        Some databases take names in another letter case for the same, so that only a name which is
        in mode `report` in both readings is let pass.
        """
        if self.problem is not None:
            return True
        readings = (model, lambda text: text), (folded(model), folded)
        return any(self._mode(name, reading) == "enforce" for name, reading in readings)

    def _mode(self, name: str, reading: Callable[[str], str]) -> Mode:
        fits = (item.mode for item in self.models if fnmatchcase(name, reading(item.models)))
        return next(fits, self.mode)

    def accepts(self, title: str | None, digest: str | None) -> bool:
        """Whether an approval may rest on this policy."""
        if self.policies is None or digest in self.policies:
            return True
        # Whoever writes a policy chooses its title, another one's digest included.
        return title in self.policies and not str(title).startswith("sha256:")

    def ring(self) -> Keyring:
        """The public keys as they are now.

        Raises:
            ApprovalError: If there are none that can be read.
        """
        if self.problem is not None or self.keyring is None:
            raise ApprovalError(self.problem or "no keyring is named")
        return _ring(read_files(self.keyring))


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return (status.st_mtime_ns, status.st_size, status.st_ino)


@lru_cache(maxsize=8)
def _ring(files: RingFiles) -> Keyring:
    return ring_in(files)


@lru_cache(maxsize=8)
def _read(path: Path, _stamp: tuple[int, ...]) -> Protection:
    found = configuration(read_text(path), path, "registry")
    reader, default = found.own, Protection()
    if found.keyring is None:
        reader.problems.append(f"{path.name}: keyring: missing; a file of public keys is needed")
    policies = reader.texts("policies", None)
    if policies == ():
        reader.problem("policies", "is empty; one or more, or no such key, are accepted")
    aliases = reader.texts("aliases", default.aliases)
    if aliases == ():
        reader.problem("aliases", "is empty, which protects nothing; ['*'] protects all")
    protection = Protection(
        keyring=found.keyring,
        policies=policies,
        aliases=aliases or default.aliases,
        excepted=reader.texts("except", default.excepted) or (),
        stages=reader.texts("stages", default.stages) or (),
        thresholds=tuple(map(_threshold, reader.tables("signatures"))),
        audit=reader.text("audit", "") or None,
        mode=_mode(reader, default.mode),
        models=tuple(_model_mode(item) for item in reader.tables("models")),
    )
    reader.done()
    if reader.problems:
        raise PolicyError(reader.problems)
    return protection


def _mode(reader: Reader, default: Mode) -> Mode:
    return cast("Mode", reader.choice("mode", default, MODES))


def _model_mode(reader: Reader) -> ModelMode:
    found = ModelMode(models=reader.text("models", None), mode=_mode(reader, "enforce"))
    reader.done()
    return found


def _threshold(reader: Reader) -> Threshold:
    roles = reader.texts("roles", ("assessor",)) or ()
    threshold = int(reader.number("threshold", None, whole=True, lowest=1) or 0)
    names = reader.texts("for", ()) or ()
    if not names:
        reader.problem("for", "is missing or empty; patterns of aliases and stages are needed")
    if not roles or set(roles) - {"assessor", "approver"}:
        reader.problem("roles", f"is {list(roles)}; assessor and approver are accepted")
    if threshold < max(len(set(roles)), 1):
        reader.problem("threshold", f"is {threshold}; at least one for each of the roles is needed")
    reader.done()
    return Threshold(names=names, threshold=threshold, roles=roles)  # type: ignore[arg-type] # checked
