"""Protection: which aliases and stages are kept for approved versions, and whose approval counts.

One TOML file, `governance.toml` in the working directory of the server; `docs/registry-store.md`
describes it:

    keyring = "keyring.toml"              # public keys; a relative path starts at this file
    policies = ["sha256:..."]             # optional: digests or titles that an approval may rest on

    [protected]
    aliases = ["*"]                       # shell patterns; letter case does not count
    except = ["candidate", "challenger", "archived"]
    stages = ["Staging", "Production"]

    [audit]
    database = "sqlite:///audit.db"       # optional: the registry's own database otherwise

A file that is missing or wrong opens nothing: every alias and stage is protected then, and refused.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from governance.approval import Keyring
from governance.approval.lookalikes import skeleton
from governance.approval.tags import folded
from governance.errors import ApprovalError, PolicyError
from governance.records.toml_reader import parse

__all__ = ["FILE", "Protection"]

FILE = "governance.toml"
#: Stages that say nothing about use.
IDLE = ("none", "archived")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Settings of a governed server from its `governance.toml`.

    Attributes:
        keyring: Path of the keyring of public keys.
        policies: Digests or titles of accepted policies; None accepts every policy.
        aliases: Patterns of protected aliases.
        excepted: Aliases that anyone may set.
        stages: Protected stages.
        audit: URL of the audit's database; None for the registry's own.
        problem: Reason why the file does not count; then everything is protected and refused.
    """

    keyring: Path | None = None
    policies: tuple[str, ...] | None = None
    aliases: tuple[str, ...] = ("*",)
    excepted: tuple[str, ...] = ("candidate", "challenger", "archived")
    stages: tuple[str, ...] = ("Staging", "Production")
    audit: str | None = None
    problem: str | None = None

    @classmethod
    def at(cls, path: Path) -> "Protection":
        """The settings in the file now; it is read again only after a change."""
        try:
            return _read(path, _stamp(path))
        except OSError as error:
            return cls(problem=f"{path}: cannot be read: {error.strerror}")
        except (PolicyError, UnicodeDecodeError) as error:
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
        try:
            return _ring(self.keyring, _stamp(self.keyring))
        except OSError as error:
            raise ApprovalError(f"{self.keyring}: cannot be read: {error.strerror}") from error


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return (status.st_mtime_ns, status.st_size, status.st_ino)


@lru_cache(maxsize=8)
def _ring(path: Path, _stamp: tuple[int, ...]) -> Keyring:
    return Keyring.load(path)


@lru_cache(maxsize=8)
def _read(path: Path, _stamp: tuple[int, ...]) -> Protection:
    reader = parse(path.read_text(encoding="utf-8"), path.name)
    protected, audit = reader.table("protected"), reader.table("audit")
    default = Protection()
    policies = reader.texts("policies", None)
    if policies == ():
        reader.problem("policies", "is empty; one or more, or no such key, are accepted")
    aliases = protected.texts("aliases", default.aliases)
    if aliases == ():
        protected.problem("aliases", "is empty, which protects nothing; ['*'] protects all")
    protection = Protection(
        keyring=path.parent / reader.text("keyring", None),
        policies=policies,
        aliases=aliases or default.aliases,
        excepted=protected.texts("except", default.excepted) or (),
        stages=protected.texts("stages", default.stages) or (),
        audit=audit.text("database", "") or None,
    )
    for table in (protected, audit, reader):
        table.done()
    if reader.problems:
        raise PolicyError(reader.problems)
    return protection
