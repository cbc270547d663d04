"""Job database: versions that wait, are in work and are done, shared by workers.

A version is held by a lease that its worker renews; every change names the lease's token, so that a
worker that was slow, paused or cut off cannot change what another one has taken over. The registry
stays the truth about verdicts: a lost job database is recreated from it.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Double,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    and_,
    create_engine,
    extract,
    func,
    insert,
    make_url,
    or_,
    select,
    update,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from governance.errors import RegistryError
from governance.records.version_ref import VersionRef

__all__ = ["DONE", "LEASED", "WAITING", "Job", "JobDatabase", "Lease"]

WAITING, LEASED, DONE = "waiting", "leased", "done"

ERROR_LENGTH = 2000
SQLITE_PATIENCE = 30.0  # seconds that a statement waits for those of other processes
LOOKED_AT = 20  # rows that a claim tries before it says there is none; others take them meanwhile

METADATA = MetaData()
JOBS = Table(
    "governance_jobs",
    METADATA,
    Column("registry", String(200), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("version", String(20), primary_key=True),
    # A model that is deleted and made anew has the same name and number and another time.
    Column("created", BigInteger, primary_key=True, autoincrement=False),
    Column("state", String(10), nullable=False, index=True),
    Column("reason", String(200), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("token", String(32)),
    Column("owner", String(200)),
    Column("expires", Double),
    Column("not_before", Double, nullable=False),
    Column("seen", Double, nullable=False),
    Column("finished", Double),
    Column("error", Text),
    Column("verdict", String(20)),
    Column("run_id", String(32)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A version that this worker alone may work on, until it expires.

    Attributes:
        key: The version, with the registry and the workspace of the ledger.
        token: Random token of this lease; every change of the job names it.
        attempts: Number of attempts that failed before, lost leases included.
        reason: Why the version was queued.
        error: Error message of the last failed attempt.
    """

    key: VersionRef
    token: str
    attempts: int
    reason: str
    error: str | None


#: The signed rings that workers of a registry started with.
RINGS = Table(
    "governance_rings",
    METADATA,
    Column("registry", String(200), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """State of a version in the job database."""

    state: str
    reason: str
    attempts: int
    owner: str | None
    error: str | None
    verdict: str | None
    run_id: str | None


class JobDatabase:
    """The table of jobs of one registry.

    Args:
        url: Address of the database, as SQLAlchemy takes it; SQLite and PostgreSQL are tested.
        registry: Name of the registry, so that several may share a database.
        workspace: MLflow workspace that the worker works in; empty where the registry has none.

    Raises:
        RegistryError: If the database cannot be opened; so do all methods if it refuses.
    """

    def __init__(self, url: str, registry: str, workspace: str = "") -> None:
        self._key = {"registry": registry, "workspace": workspace}
        # In one column: a table of before, which knew no workspaces, is read as it is.
        self._registry = (f"{workspace}@{registry}" if workspace else registry)[:200]
        try:
            place = make_url(url)
            self._engine = create_engine(
                place,
                # Each statement stands alone: who may change a row is decided by the row itself.
                isolation_level="AUTOCOMMIT",
                pool_pre_ping=True,
                connect_args={"timeout": SQLITE_PATIENCE} if _is_file(place) else {},
            )
        except (ArgumentError, SQLAlchemyError, ImportError, ValueError) as error:
            raise RegistryError(
                f"--ledger: not a database that can be opened ({type(error).__name__}); a URL such "
                "as sqlite:////var/lib/governance/ledger.db or postgresql://host/name is accepted"
            ) from error
        self.place = self._engine.url.render_as_string(hide_password=True)
        with self._refusals("opening"):
            self._prepare()

    def _prepare(self) -> None:
        if _is_file(self._engine.url):
            with self._engine.connect() as connection:
                # Who writes waits for other writers, and never for readers.
                connection.exec_driver_sql("PRAGMA journal_mode=WAL").close()
        try:
            METADATA.create_all(self._engine)
        except DBAPIError:
            # Another worker was making the same table.
            METADATA.create_all(self._engine)

    def close(self) -> None:
        """Let the database go."""
        self._engine.dispose()

    def newest_ring(self) -> tuple[int, str] | None:
        """Version and sha256 of the newest signed ring that a worker started with."""
        rows = select(RINGS.c.version, RINGS.c.digest).where(RINGS.c.registry == self._registry)
        with self._refusals("reading the keyring's version"), self._engine.connect() as connection:
            seen = [(int(row.version), str(row.digest)) for row in connection.execute(rows)]
        return max(seen, default=None)

    def saw_ring(self, version: int, digest: str) -> None:
        """Remember a signed ring; nothing changes where one of the version is known."""
        row = {"registry": self._registry, "version": version, "digest": digest}
        with (
            self._refusals("keeping the keyring's version"),
            self._engine.connect() as connection,
            suppress(IntegrityError),
        ):
            connection.execute(insert(RINGS).values(row))

    def offer(self, key: VersionRef, reason: str, *, again_after: float = 0.0) -> bool:
        """Queue a version; nothing changes where it waits or is in work already.

        Args:
            key: The version, of the ledger's registry and workspace.
            reason: Why.
            again_after: Seconds since it was last done before it is worked on again.

        Returns:
            Whether it was queued by this call.
        """
        with self._refusals("queueing"), self._engine.connect() as connection:
            now = _now(connection)
            found = connection.execute(select(JOBS.c.state).where(self._is(key))).scalar()
            if found is None:
                row = {"registry": self._registry, "name": key.name, "version": key.version,
                       "created": key.created, "state": WAITING, "reason": reason[:200],
                       "attempts": 0, "not_before": now, "seen": now}  # fmt: skip
                try:
                    connection.execute(insert(JOBS).values(row))
                except IntegrityError:
                    return False  # another worker was faster
                return True
            if found != DONE:
                return False
            values = {"state": WAITING, "reason": reason[:200], "attempts": 0, "error": None,
                      "not_before": JOBS.c.finished + again_after, "seen": now}  # fmt: skip
            return self._changed(connection, and_(self._is(key), JOBS.c.state == DONE), values)

    def claim(self, owner: str, seconds: float) -> Lease | None:
        """Take the version that has waited longest, for so many seconds; None if none is due.

        A lease that ran out counts as a failed attempt: its worker was killed or cut off.
        """
        with self._refusals("claiming"), self._engine.connect() as connection:
            now = _now(connection)
            due = or_(
                and_(JOBS.c.state == WAITING, JOBS.c.not_before <= now),
                and_(JOBS.c.state == LEASED, JOBS.c.expires < now),
            )
            rows = connection.execute(
                select(JOBS)
                .where(JOBS.c.registry == self._registry, due)
                .order_by(JOBS.c.not_before, JOBS.c.created)
                .limit(LOOKED_AT)
            ).all()
            leases = (self._take(connection, row, owner, now, seconds) for row in rows)
            return next((lease for lease in leases if lease is not None), None)

    def _take(
        self, connection: Connection, row: Row[Any], owner: str, now: float, seconds: float
    ) -> Lease | None:
        """A lease on a row, unless it is no longer as it was read."""
        lost = row.state == LEASED
        lease = Lease(
            key=VersionRef(name=row.name, version=row.version, created=row.created, **self._key),
            token=uuid4().hex,
            attempts=row.attempts + lost,
            reason=row.reason,
            error=f"the worker {row.owner} was lost" if lost else row.error,
        )
        unchanged = [
            self._is(lease.key),
            JOBS.c.state == row.state,
            JOBS.c.token.is_not_distinct_from(row.token),
        ]
        if lost:
            unchanged.append(JOBS.c.expires < now)  # its worker may have renewed it meanwhile
        values = {"state": LEASED, "token": lease.token, "owner": owner[:200],
                  "expires": now + seconds, "attempts": lease.attempts,
                  "error": lease.error}  # fmt: skip
        return lease if self._changed(connection, and_(*unchanged), values) else None

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold a lease for so many more seconds; False where another worker has taken over."""
        with self._refusals("renewing a lease"), self._engine.connect() as connection:
            values = {"expires": _now(connection) + seconds}
            return self._changed(connection, self._held(lease), values)

    def hand_back(self, lease: Lease, *, delay: float = 0.0) -> bool:
        """Let a version wait again, as if it had not been taken."""
        with self._refusals("handing back a lease"), self._engine.connect() as connection:
            values = {"state": WAITING, "token": None, "owner": None, "expires": None,
                      "not_before": _now(connection) + delay}  # fmt: skip
            return self._changed(connection, self._held(lease), values)

    def fail(self, lease: Lease, error: str, *, delay: float = 0.0) -> bool:
        """Let a version wait again after a failed attempt."""
        with self._refusals("noting a failure"), self._engine.connect() as connection:
            values = {"state": WAITING, "token": None, "owner": None, "expires": None,
                      "attempts": JOBS.c.attempts + 1, "error": _kept(error),
                      "not_before": _now(connection) + delay}  # fmt: skip
            return self._changed(connection, self._held(lease), values)

    def finish(
        self,
        lease: Lease,
        verdict: str | None,
        *,
        run_id: str | None = None,
        error: str | None = None,
    ) -> bool:
        """Close a version; False where another worker has taken over."""
        with self._refusals("closing"), self._engine.connect() as connection:
            values = {"state": DONE, "token": None, "expires": None, "verdict": verdict,
                      "run_id": run_id, "error": _kept(error),
                      "finished": _now(connection)}  # fmt: skip
            return self._changed(connection, self._held(lease), values)

    def find(self, key: VersionRef) -> Job | None:
        """What is known of a version."""
        with self._refusals("reading"), self._engine.connect() as connection:
            row = connection.execute(select(JOBS).where(self._is(key))).one_or_none()
        if row is None:
            return None
        return Job(
            state=row.state, reason=row.reason, attempts=row.attempts, owner=row.owner,
            error=row.error, verdict=row.verdict, run_id=row.run_id,
        )  # fmt: skip

    def states(self) -> Mapping[str, int]:
        """Number of versions by state."""
        with self._refusals("counting"), self._engine.connect() as connection:
            rows = connection.execute(
                select(JOBS.c.state, func.count())
                .where(JOBS.c.registry == self._registry)
                .group_by(JOBS.c.state)
            ).all()
        return {WAITING: 0, LEASED: 0, DONE: 0, **{state: int(count) for state, count in rows}}

    def oldest(self) -> float:
        """Seconds since the version that waits longest was queued; 0 where none waits."""
        with self._refusals("looking for the oldest"), self._engine.connect() as connection:
            first = connection.execute(
                select(func.min(JOBS.c.seen)).where(
                    JOBS.c.registry == self._registry, JOBS.c.state != DONE
                )
            ).scalar()
            return 0.0 if first is None else max(0.0, _now(connection) - first)

    def _is(self, key: VersionRef) -> ColumnElement[bool]:
        return and_(
            JOBS.c.registry == self._registry,
            JOBS.c.name == key.name,
            JOBS.c.version == key.version,
            JOBS.c.created == key.created,
        )

    def _held(self, lease: Lease) -> ColumnElement[bool]:
        return and_(self._is(lease.key), JOBS.c.state == LEASED, JOBS.c.token == lease.token)

    @staticmethod
    def _changed(
        connection: Connection, where: ColumnElement[bool], values: Mapping[str, Any]
    ) -> bool:
        return connection.execute(update(JOBS).where(where).values(**values)).rowcount == 1

    @contextmanager
    def _refusals(self, doing: str) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            # The cause alone: SQLAlchemy's own text repeats the statement and its values.
            why = str(getattr(error, "orig", None) or type(error).__name__).partition("\n")[0]
            raise RegistryError(f"job database {self.place}: {doing}: {why[:300]}") from error


def _is_file(place: URL) -> bool:
    return place.get_backend_name() == "sqlite"


def _now(connection: Connection) -> float:
    """Seconds since 1970, by the one clock that all workers share where there is one."""
    if connection.dialect.name == "postgresql":
        return float(
            connection.execute(select(extract("epoch", func.clock_timestamp()))).scalar_one()
        )
    return time.time()


def _kept(error: str | None) -> str | None:
    # PostgreSQL holds no NUL, and no database a lone surrogate, which names of files may hold.
    if error is None:
        return None
    return error.encode("utf-8", "replace").decode().replace("\0", "�")[:ERROR_LENGTH]
