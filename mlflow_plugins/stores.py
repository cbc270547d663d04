"""Stores: which of MLflow's registry stores is governed for which URI."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy
from mlflow.entities.model_registry import ModelVersionTag
from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE
from mlflow.store.model_registry.dbmodels.models import SqlModelVersionTag, SqlRegisteredModel
from mlflow.store.model_registry.rest_store import RestStore
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.utils.credentials import get_default_host_creds
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.orm import Session

from governance.approval.standing import RegisteredVersion
from mlflow_plugins.audit import AuditEntry, append, insert
from mlflow_plugins.governed import Governed

__all__ = ["GovernedRestStore", "GovernedSqlStore", "GovernedWorkspaceStore", "open_store"]

SCHEME = "governed+"
#: Where a registry behind HTTP keeps its audit, having no database of its own.
AUDIT_FILE = "governance-audit.db"
#: Milliseconds that a request waits for a locked SQLite; MLflow's clients give up after 120,000.
BUSY = 60_000

#: Opens one of MLflow's sessions, which is a transaction.
SessionMaker = Callable[..., AbstractContextManager[Session]]


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
    """A registry in a database, which holds the audit as well.

    MLflow opens a session, and with it a transaction, in each of its methods. Within a step of ours
    they all get the session of the step, so that the whole step is one transaction.
    """

    ManagedSessionMaker: SessionMaker

    def govern(self, folder: Path) -> None:
        """Take the rules from a folder, open the audit, and stand between MLflow and its sessions.

        Raises:
            MlflowException: If the audit cannot be opened.
        """
        self._mlflow_session = self.ManagedSessionMaker
        self._step, self._turns = threading.local(), threading.Lock()
        self.ManagedSessionMaker = self._session
        super().govern(folder)

    @contextmanager
    def _session(self, read_only: bool = True) -> Iterator[Session]:  # noqa: FBT001, FBT002 - MLflow's
        """The session of the step that this thread is in, or one of MLflow's own."""
        step = getattr(self._step, "session", None)
        if step is None:
            with self._opened(read_only) as session:
                yield session
            return
        yield step
        # As if it had been a transaction: what comes next reads what was written.
        step.flush()
        step.expire_all()

    @contextmanager
    def _opened(self, read_only: bool) -> Iterator[Session]:  # noqa: FBT001 - MLflow's
        """A session of MLflow's, which waits longer for a locked SQLite than MLflow does."""
        with self._mlflow_session(read_only=read_only) as session:
            if self.engine.dialect.name == "sqlite":
                session.execute(sqlalchemy.text(f"PRAGMA busy_timeout = {BUSY}"))
            try:
                yield session
            except OverflowError as error:
                raise MlflowException(
                    "a number in the request is larger than the database holds, such as a version "
                    "of 20 digits",
                    error_code=INVALID_PARAMETER_VALUE,
                ) from error

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """One transaction, which holds the row of the model: others wait, reading or not.

        SQLite has no locks of rows. There the transaction takes the place of the one writer before
        it reads anything.
        """
        if getattr(self._step, "session", None) is not None:
            yield  # within a step of this thread already
            return
        with self._turn(), self._opened(read_only=False) as session:
            if self.engine.dialect.name == "sqlite":
                session.execute(sqlalchemy.text("BEGIN IMMEDIATE"))
            row = sqlalchemy.select(SqlRegisteredModel.name).where(
                SqlRegisteredModel.name == name, *self._get_workspace_clauses(SqlRegisteredModel)
            )
            hint = "WITH (UPDLOCK, HOLDLOCK)"  # what SQL Server has for it
            session.execute(
                row.with_for_update().with_hint(SqlRegisteredModel, hint, "mssql")
            ).all()
            self._step.session = session
            try:
                yield
            finally:
                self._step.session = None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The steps of this process take turns on SQLite, before they take a connection.

        Waiting in the database each would hold one, of which there are 15 in a process.
        """
        if self.engine.dialect.name != "sqlite":
            yield
            return
        if not self._turns.acquire(timeout=BUSY / 1000):
            text = "the database is busy; send the request again"
            raise MlflowException(text, error_code=TEMPORARILY_UNAVAILABLE)
        try:
            yield
        finally:
            self._turns.release()

    def search_model_versions(self, *arguments: Any, **options: Any) -> Any:
        """Search as MLflow does, and say so where a number in the filter is too long for it."""
        try:
            return super().search_model_versions(*arguments, **options)
        except ValueError as error:
            text = f"the filter cannot be read: {str(error)[:200]}"
            raise MlflowException(text, error_code=INVALID_PARAMETER_VALUE) from error

    def _names(self) -> Iterator[str]:
        """The names of all registered models, prompts among them."""
        names = sqlalchemy.select(SqlRegisteredModel.name).where(
            *self._get_workspace_clauses(SqlRegisteredModel)
        )
        with self.ManagedSessionMaker() as session:
            yield from session.scalars(names).all()

    def _confirm(self, check: Callable[[], object], undo: Callable[[], object]) -> None:
        """Nothing comes in between here."""

    def _audit_engine(self, url: str | None, folder: Path) -> Engine:
        del folder
        # One database is one engine: two would wait for each other's transactions.
        if url is None or _same(make_url(url), self.engine.url):
            engine: Engine = self.engine
            return engine
        return sqlalchemy.create_engine(url)

    def _append(self, entry: AuditEntry) -> None:
        session = getattr(self._step, "session", None)
        if session is not None and self._audit is self.engine:
            insert(session.connection(), entry)  # it stands if, and only if, the change does
        else:
            append(self._audit, entry)

    def _mark(self, registered: RegisteredVersion, tags: Mapping[str, str | None]) -> None:
        ref, number = registered.ref, int(registered.ref.version)
        with self.ManagedSessionMaker(read_only=False) as session:
            row = self._get_sql_model_version(session, ref.name, number)
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
                elif tag_row := self._get_model_version_tag(session, ref.name, number, key):
                    session.delete(tag_row)


def _same(url: URL, other: URL) -> bool:
    """Whether two addresses mean one database."""
    if url.get_backend_name() == other.get_backend_name() == "sqlite":
        return Path(url.database or "").resolve() == Path(other.database or "").resolve()
    return url == other


class GovernedWorkspaceStore(GovernedSqlStore, WorkspaceAwareSqlAlchemyStore):  # type: ignore[misc] # as above
    """The same with MLflow's workspaces."""


class GovernedRestStore(Governed, RestStore):  # type: ignore[misc] # MLflow is not typed
    """A registry behind another MLflow server; the audit is a file beside the rules."""

    def govern(self, folder: Path) -> None:
        """Take the rules from a folder, and open the audit.

        Raises:
            MlflowException: If the audit cannot be opened.
        """
        self._folder = folder
        super().govern(folder)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Whoever comes through this folder waits; the server behind waits for nobody."""
        del name
        # The folder itself, since its files may be for reading alone.
        place = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(place, fcntl.LOCK_EX)
            yield
        finally:
            os.close(place)

    def _confirm(self, check: Callable[[], object], undo: Callable[[], object]) -> None:
        try:
            check()
        except MlflowException:
            undo()
            raise

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
