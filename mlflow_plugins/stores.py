"""Stores: which of MLflow's registry stores is governed for which URI."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import sqlalchemy
from mlflow.entities.model_registry import ModelVersionTag
from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.store.model_registry.dbmodels.models import SqlModelVersionTag
from mlflow.store.model_registry.rest_store import RestStore
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.utils.credentials import get_default_host_creds
from sqlalchemy.engine import Engine

from governance.approval.standing import RegisteredVersion
from mlflow_plugins.governed import Governed

__all__ = ["GovernedRestStore", "GovernedSqlStore", "GovernedWorkspaceStore", "open_store"]

SCHEME = "governed+"
#: Where a registry behind HTTP keeps its audit, having no database of its own.
AUDIT_FILE = "governance-audit.db"


def open_store(store_uri: str) -> Governed:
    """The registry at a URI that begins with `governed+`; rules stand in the working directory.

    A read replica, if MLflow has one, is not used here: a decision needs what is written now.

    Raises:
        MlflowException: If MLflow cannot open the registry, or we its audit.
    """
    inner = store_uri.removeprefix(SCHEME)
    store: Governed
    if inner.startswith(("http:", "https:")):
        store = GovernedRestStore(partial(get_default_host_creds, inner))
    elif MLFLOW_ENABLE_WORKSPACES.get():
        store = GovernedWorkspaceStore(inner)
    else:
        store = GovernedSqlStore(inner)
    store.govern(Path.cwd())
    return store


class GovernedSqlStore(Governed, SqlAlchemyStore):  # type: ignore[misc] # MLflow is not typed
    """A registry in a database, which holds the audit as well."""

    def _audit_engine(self, url: str | None, folder: Path) -> Engine:
        del folder
        return self.engine if url is None else sqlalchemy.create_engine(url)

    def _mark(self, registered: RegisteredVersion, tags: Mapping[str, str | None]) -> None:
        """All in one transaction, so that no verdict stands beside another one's record."""
        ref, number = registered.ref, int(registered.ref.version)
        with self.ManagedSessionMaker(read_only=False) as session:
            row = self._get_sql_model_version(session, ref.name, number)
            if row.creation_time != ref.created:
                raise MlflowException(
                    f"{ref.uri}: was deleted and created anew meanwhile",
                    error_code=PERMISSION_DENIED,
                )
            for key, value in tags.items():
                if value is not None:
                    session.merge(
                        SqlModelVersionTag(
                            workspace=row.workspace,
                            name=ref.name,
                            version=number,
                            key=key,
                            value=value,
                        )
                    )
                elif found := self._get_model_version_tag(session, ref.name, number, key):
                    session.delete(found)


class GovernedWorkspaceStore(GovernedSqlStore, WorkspaceAwareSqlAlchemyStore):  # type: ignore[misc] # as above
    """The same with MLflow's workspaces."""


class GovernedRestStore(Governed, RestStore):  # type: ignore[misc] # MLflow is not typed
    """A registry behind another MLflow server; the audit is a file beside the rules."""

    def _audit_engine(self, url: str | None, folder: Path) -> Engine:
        return sqlalchemy.create_engine(url or f"sqlite:///{folder / AUDIT_FILE}")

    def _mark(self, registered: RegisteredVersion, tags: Mapping[str, str | None]) -> None:
        # One after the other, the signed statement first: all conditions ask for that one alone.
        ref = registered.ref
        for key, value in tags.items():
            if value is not None:
                tag = ModelVersionTag(key, value)
                RestStore.set_model_version_tag(self, ref.name, ref.version, tag)
            elif key in registered.tags:
                RestStore.delete_model_version_tag(self, ref.name, ref.version, key)
