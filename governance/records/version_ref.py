"""Version reference: which registered version is meant, everywhere by the same record."""

from dataclasses import dataclass, field, fields
from typing import Any

from governance.records.decoding import UNWRITTEN

__all__ = ["VersionRef"]

#: The workspace that MLflow names where its registry has none, or where none was chosen.
NO_WORKSPACE = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRef:
    """One version of a registered model, by everything that tells it from others.

    Records hold the name, the number and the creation time. Signed statements and the worker's job
    database hold registry and workspace, too.

    Attributes:
        name: Name of the registered model.
        version: Number of the version, as text.
        created: Creation time in milliseconds since 1970. A model that is deleted and recreated
            has the same name and number, and another time.
        registry: Name or address of the registry; empty where only one is in question.
        workspace: MLflow workspace; empty where the registry has none.
    """

    name: str
    version: str
    created: int
    registry: str = field(default="", metadata=UNWRITTEN)
    workspace: str = field(default="", metadata=UNWRITTEN)

    @classmethod
    def of(cls, row: Any, registry: str = "") -> "VersionRef":
        """The reference to a version as MLflow lists or returns it.

        Args:
            row: MLflow's own record of the version.
            registry: Name of its registry.
        """
        workspace = str(getattr(row, "workspace", None) or NO_WORKSPACE)
        return cls(
            name=row.name,
            version=str(row.version),
            created=int(row.creation_timestamp),
            registry=registry,
            workspace="" if workspace == NO_WORKSPACE else workspace,
        )

    @property
    def uri(self) -> str:
        """The version's address in its registry, never an alias."""
        return f"models:/{self.name}/{self.version}"

    def __str__(self) -> str:
        return self.uri

    def differences(self, other: "VersionRef | None") -> tuple[str, ...]:
        """Names of the fields in which two references differ; all of them if there is no other.

        Registry and workspace count only where both references name one.
        """
        names = tuple(item.name for item in fields(self) if item.metadata != UNWRITTEN)
        if other is None:
            return names
        places = ("registry", "workspace")
        known = tuple(name for name in places if getattr(self, name) and getattr(other, name))
        return tuple(
            name for name in (*names, *known) if getattr(self, name) != getattr(other, name)
        )
