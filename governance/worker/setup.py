"""Setup: files and machine of a worker, checked before it touches the registry."""

import ctypes
import time
from datetime import UTC, datetime
from pathlib import Path

from governance.approval import Keyring, PrivateKey, Signer, load_ring
from governance.approval.protection import Protection
from governance.approval.remote_keys import RemoteKey
from governance.approval.signed_rings import check_not_older
from governance.errors import ApprovalError, HostError, PolicyError, RegistryError, SubjectError
from governance.registry import listing
from governance.registry.permissions import missing_permissions
from governance.worker.config import WorkerConfig
from governance.worker.host import check_host
from governance.worker.job import Resources
from governance.worker.job_database import JobDatabase
from governance.worker.log import log
from governance.worker.portfolio_site import PortfolioSite
from governance.worker.sandbox import check_hidden
from governance.workflows import orchestration

__all__ = ["prepare"]

DUMPABLE = 4  # from <linux/prctl.h>


def prepare(
    file: Path,
    signing_key: Path | None,
    keys: Path | None,
    ledger: str,
    *,
    signer: Path | None = None,
) -> Resources:
    """Read and check everything a worker works with.

    Args:
        file: Configuration file (TOML).
        signing_key: File of an assessor's private key; None where a signer holds it.
        keys: File of the keyring. Without it the worker's own key is the only one, so that no
            verdicts of others and no waivers count.
        ledger: URL of the job database.
        signer: Socket of the process that holds the key; None where the key is in a file.

    Raises:
        SubjectError: If neither or both of key and signer are given.
        PolicyError: If the file or a policy that it names is wrong; all problems at once.
        HostError: If this machine cannot run an assessment as the file asks, or shows it the key.
        ApprovalError: If the key cannot be read, or does not count by the ring.
        RegistryError: If the job database cannot be opened, or the login may not give verdicts.
    """
    config = WorkerConfig.load(file)
    problems: list[str] = []
    pickles: list[Path] = []
    for rule in config.rules:
        try:
            if orchestration.read_policy(rule.policy).model.allow_pickle:
                pickles.append(rule.policy)
        except PolicyError as error:
            problems += error.problems
    if problems:
        raise PolicyError(dict.fromkeys(problems))
    _check_confinement(check_host(config), pickles)
    if signing_key is not None:
        check_hidden(signing_key)
    _close_memory()
    if (missing := missing_permissions()) is not None:
        raise RegistryError(missing)
    key = _key(signing_key, signer)
    ring = _ring(key, keys)
    jobs = JobDatabase(ledger, config.registry or listing.place(), listing.workspace())
    _check_newest(ring, jobs)
    site = None
    if config.portfolio is not None:
        # A worker whose own key alone counts has no keyring, and its file no rules of a server.
        rules = file if Protection.at(file).problem is None else None
        site = PortfolioSite(folder=config.portfolio, config=rules, keys=keys)
    return Resources(jobs=jobs, config=config, key=key, ring=ring, site=site)


def _key(file: Path | None, socket: Path | None) -> Signer:
    """The key to sign with, read here or held by another process."""
    if file is not None and socket is None:
        return PrivateKey.load(file)
    if socket is not None and file is None:
        return RemoteKey.at(socket)
    raise SubjectError(
        "--signing-key, --signer: one of them is needed: the file of an assessor's key, or the "
        "socket of the process that holds it"
    )


def _check_confinement(gaps: tuple[str, ...], pickles: list[Path]) -> None:
    """Say what assessments can reach here; not where they run whatever code a file brings."""
    for gap in gaps:
        log("not confined", what=gap)
    if gaps and pickles:
        refused = (
            f"{pickles[0]}: allow_pickle: loading a pickle runs any code, and this machine cannot "
            "shut it in; one with bubblewrap and user namespaces is accepted. Here is open:"
        )
        raise HostError([refused, *gaps])


def _close_memory() -> None:
    """Let no process of this user read this one's memory and environment; root still can."""
    ctypes.CDLL(None).prctl(DUMPABLE, 0, 0, 0, 0)


def _check_newest(ring: Keyring, jobs: JobDatabase) -> None:
    """Refuse a signed ring that is older than one that a worker of this registry had."""
    if not ring.signed:
        return
    newest = jobs.newest_ring()
    if newest is not None:
        check_not_older(ring, *newest)
    jobs.saw_ring(ring.version, ring.digest)


def _ring(key: Signer, keys: Path | None) -> Keyring:
    """The ring, in which the worker's key counts: else it would do everything again and again."""
    if keys is None:
        start = datetime.fromtimestamp(0, UTC)
        return Keyring((key.public(owner="this worker", role="assessor", not_before=start),))
    ring = load_ring(keys)
    known = ring.signer(key.id, int(time.time()), f"{keys}: the worker's key")
    if known.role != "assessor":
        raise ApprovalError(
            f"{keys}: the worker's key {key.id} is an {known.role}'s; one of the role assessor is "
            "accepted"
        )
    return ring
