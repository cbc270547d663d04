"""Audit: the decisions of a governed server, read from its database and never written to it.

The table is `governance_audit`; the server writes it, see `mlflow_plugins/audit.py`.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import ColumnElement, column, create_engine, func, select, table
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import SQLAlchemyError

from governance.errors import RegistryError, SubjectError

__all__ = ["FIELDS", "Wanted", "counts", "entries", "reading"]

#: Columns of the table, in the order of its rows.
FIELDS = (
    "id", "time", "user", "action", "model", "version", "created", "alias", "outcome", "reason",
    "token",
)  # fmt: skip
TABLE = table("governance_audit", *map(column, FIELDS))
#: Number of rows that are held in memory at once.
ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which decisions are asked for; None stands for all.

    Attributes:
        model: Name of the registered model.
        version: Number of the version.
        user: User name known to the server.
        action: Requested action, such as `set_registered_model_alias`.
        outcome: `allowed`, `refused` or `reported`.
        since: Earliest time.
        until: Latest time.
    """

    model: str | None = None
    version: str | None = None
    user: str | None = None
    action: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """The conditions of the query."""
        for name in ("model", "version", "user", "action", "outcome"):
            value = getattr(self, name)
            if value is not None:
                yield TABLE.c[name] == value
        # Times are kept as text in one form, which sorts as time does.
        if self.since is not None:
            yield TABLE.c.time >= _text(self.since)
        if self.until is not None:
            yield TABLE.c.time <= _text(self.until)


def entries(database: str, wanted: Wanted, last: int | None = None) -> Iterator[Mapping[str, Any]]:
    """The decisions that are asked for, oldest first, each as its columns by name.

    Args:
        database: URL of the database that holds the audit.
        wanted: Which decisions.
        last: Maximum number of decisions, of which the last ones are taken; None takes all.

    Raises:
        RegistryError: If the audit cannot be read.
        SubjectError: If the URL is none.
    """
    chosen = select(TABLE).where(*wanted.conditions)
    if last is not None:
        newest = chosen.order_by(TABLE.c.id.desc()).limit(last).subquery()
        chosen = select(newest)
        order: ColumnElement[Any] = newest.c.id
    else:
        order = TABLE.c.id
    with reading(database) as connection:
        found = connection.execution_options(yield_per=ROWS).execute(chosen.order_by(order))
        yield from (dict(row) for row in found.mappings())


def counts(database: str, wanted: Wanted) -> tuple[Mapping[str, Any], ...]:
    """Number of decisions by model, action and outcome, the largest numbers first.

    Raises:
        RegistryError: If the audit cannot be read.
        SubjectError: If the URL is none.
    """
    kind = (TABLE.c.model, TABLE.c.action, TABLE.c.outcome)
    number = func.count().label("number")
    query = select(*kind, number).where(*wanted.conditions).group_by(*kind)
    with reading(database) as connection:
        rows = connection.execute(query.order_by(number.desc(), *kind)).mappings()
        return tuple(dict(row) for row in rows)


@contextmanager
def reading(database: str) -> Iterator[Connection]:
    """A connection that cannot write, on SQLite and PostgreSQL; no file is made on SQLite.

    Raises:
        RegistryError: If the database cannot be read. The text names no password.
        SubjectError: If the URL is none.
    """
    try:
        url = make_url(database.removeprefix("governed+"))
    except SQLAlchemyError as error:
        raise SubjectError(
            "the audit's database: no URL; one such as sqlite:///mlflow.db is accepted"
        ) from error
    place = url.render_as_string(hide_password=True)
    try:
        if url.get_backend_name() == "sqlite":
            file = f"file:{quote(url.database or '')}?mode=ro"
            engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(file, uri=True))
        else:
            engine = create_engine(url)
        try:
            with engine.connect() as connection:
                if engine.dialect.name == "postgresql":
                    connection.execute(sqlalchemy.text("SET TRANSACTION READ ONLY"))
                yield connection
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        # The cause alone: SQLAlchemy's own text repeats the statement and its values.
        why = str(getattr(error, "orig", None) or type(error).__name__).partition("\n")[0]
        raise RegistryError(f"{place}: the audit cannot be read: {why[:300]}") from error


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
