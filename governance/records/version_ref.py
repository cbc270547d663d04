"""Version reference: which registered version is meant, everywhere by the same record."""

from dataclasses import dataclass, field, fields

from governance.records.decoding import UNWRITTEN

__all__ = ["VersionRef"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRef:
    """One version of a registered model, by everything that tells it from others.

    Records and signed statements hold the name, the number and the creation time. Registry and
    workspace are known to those who work on several of them, such as the worker's job database.

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
