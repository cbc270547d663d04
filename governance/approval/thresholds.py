"""Thresholds: how many people have to have signed an approval for what it is used for."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from governance.approval.keyring import PublicKey, Role
from governance.approval.tags import folded
from governance.approval.waivers import made_by, one_owner

__all__ = ["Threshold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Signatures that an approval needs for some aliases and stages.

    Attributes:
        names: Shell patterns of aliases and stages; letter case does not count.
        threshold: Number of owners of keys who have to have signed.
        roles: Roles of their keys; of each role one at least.
    """

    names: tuple[str, ...]
    threshold: int
    roles: tuple[Role, ...] = ("assessor",)

    def covers(self, name: str) -> bool:
        """Whether an alias or a stage needs these signatures."""
        return any(fnmatchcase(folded(name), folded(pattern)) for pattern in self.names)

    def lacking(self, signers: Iterable[PublicKey], authors: Collection[str]) -> str | None:
        """What an approval lacks; None where it was signed by enough people.

        Args:
            signers: Keys that signed the approval and count.
            authors: Names under which the version's maker is known, who does not count.
        """
        counting = [key for key in signers if key.role in self.roles and not made_by(key, authors)]
        owners = {one_owner(key.owner) for key in counting}
        roles = {key.role for key in counting}
        if len(owners) >= self.threshold and roles >= set(self.roles):
            return None
        names = ", ".join(sorted({key.owner for key in counting})) or "nobody"
        who = " and ".join(self.roles)
        return (
            f"is signed by {names}, and {self.threshold} owners of keys are needed, {who}, none of "
            "whom made the version; have another one sign: governance countersign"
        )
