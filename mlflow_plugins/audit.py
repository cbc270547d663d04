"""Audit: what the registry let pass and what it refused, in a table that only grows."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

import sqlalchemy
from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.schema import CreateTable

from governance.approval import Keyring

__all__ = [
    "TABLE",
    "AuditEntry",
    "Outcome",
    "append",
    "insert",
    "line",
    "newest_ring",
    "of_ring",
    "prepare",
]

#: `reported` is what a registry in mode `report` let pass and would refuse in mode `enforce`.
Outcome = Literal["allowed", "refused", "reported"]

#: Maximum number of characters of one field in a line of the server's log.
LONGEST = 500

#: Of PostgreSQL's advisory locks: several servers may start at once.
LOCK = 7_236_461

TABLE = Table(
    "governance_audit",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("time", String(32), nullable=False),
    Column("user", String(255)),
    Column("action", String(64), nullable=False),
    Column("model", String(256), nullable=False),
    Column("version", String(32)),
    Column("created", BigInteger),
    Column("alias", String(256)),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(2000), nullable=False),
    Column("token", String(64)),
    sqlite_autoincrement=True,
)

SQLITE = tuple(
    f"CREATE TRIGGER IF NOT EXISTS governance_audit_no_{verb.lower()} BEFORE {verb} ON "
    "governance_audit BEGIN SELECT RAISE(ABORT, 'governance_audit is append-only'); END"
    for verb in ("UPDATE", "DELETE")
)
POSTGRESQL = (
    """CREATE OR REPLACE FUNCTION governance_audit_only_grows() RETURNS trigger AS $$
    BEGIN RAISE EXCEPTION 'governance_audit is append-only'; END $$ LANGUAGE plpgsql""",
    "DROP TRIGGER IF EXISTS governance_audit_only_grows ON governance_audit",
    """CREATE TRIGGER governance_audit_only_grows
    BEFORE UPDATE OR DELETE OR TRUNCATE ON governance_audit
    FOR EACH STATEMENT EXECUTE FUNCTION governance_audit_only_grows()""",
)
GUARDS = {"sqlite": SQLITE, "postgresql": POSTGRESQL}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One decision of the governed registry.

    Attributes:
        action: Requested action, such as `set_registered_model_alias`.
        model: Name of the registered model.
        outcome: Outcome of the request: `allowed`, `refused` or `reported`.
        reason: Reason for the outcome.
        user: User name known to the server; None without a login.
        version: Number of the version.
        created: Creation time of the version in milliseconds since 1970.
        alias: Alias, stage or tag that the request names.
        token: sha256 of the signed statement that the request is about.
    """

    action: str
    model: str
    outcome: Outcome
    reason: str
    user: str | None = None
    version: str | None = None
    created: int | None = None
    alias: str | None = None
    token: str | None = None


def prepare(engine: Engine) -> None:
    """Make the table and what keeps it append-only, unless they are there.

    SQLite and PostgreSQL refuse changes and deletions by triggers; whoever owns the database can
    remove those. On other databases the table is only never written to in another way by us.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: If the database refuses.
    """
    dialect = engine.dialect.name
    with engine.begin() as connection:
        if dialect == "postgresql":
            connection.execute(sqlalchemy.text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        if not sqlalchemy.inspect(connection).has_table(TABLE.name):
            # Another server may be making it: all databases but one have a way to say so.
            connection.execute(CreateTable(TABLE, if_not_exists=dialect != "mssql"))
        for statement in GUARDS.get(dialect, ()):
            connection.execute(sqlalchemy.text(statement))


def append(engine: Engine, entry: AuditEntry) -> None:
    """Write one decision down, for good, in a transaction of its own.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: If the database refuses.
    """
    with engine.begin() as connection:
        insert(connection, entry)


def insert(connection: Connection, entry: AuditEntry) -> None:
    """Write one decision down in the transaction of a connection.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: If the database refuses.
    """
    row = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "user": _cut(entry.user, 255),
        "action": entry.action,
        "model": _cut(entry.model, 256),
        "version": _cut(entry.version, 32),
        "created": entry.created,
        "alias": _cut(entry.alias, 256),
        "outcome": entry.outcome,
        "reason": _cut(entry.reason, 2000),
        "token": entry.token,
    }
    connection.execute(TABLE.insert().values(row))


#: Action of the entries that name the versions of the signed ring.
RING = "keyring"


def newest_ring(engine: Engine) -> tuple[int, str] | None:
    """Version and sha256 of the newest signed ring that any server saw; None where none was seen.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: If the database refuses.
    """
    rows = sqlalchemy.select(TABLE.c.version, TABLE.c.token).where(TABLE.c.action == RING)
    with engine.connect() as connection:
        seen = [(int(row.version), str(row.token)) for row in connection.execute(rows)]
    return max(seen, default=None)


def of_ring(ring: Keyring) -> AuditEntry:
    """The entry that a signed ring was seen."""
    return AuditEntry(
        action=RING,
        model="",
        outcome="allowed",
        reason=f"version {ring.version} of the ring",
        version=str(ring.version),
        token=ring.digest,
    )


def line(entry: AuditEntry) -> str:
    """One decision as one line of JSON for the server's log, whatever the request named."""
    kept = {name: value for name, value in asdict(entry).items() if value is not None}
    return json.dumps(
        {
            name: _cut(item, LONGEST) if isinstance(item, str) else item
            for name, item in kept.items()
        }
    )


def _cut(text: str | None, length: int) -> str | None:
    # PostgreSQL keeps no NUL in a text.
    return None if text is None else text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:length]
