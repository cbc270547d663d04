"""Setup: a worker's files read and checked before it touches the registry."""

import time
from datetime import UTC, datetime
from pathlib import Path

from governance.approval import Keyring, PrivateKey
from governance.errors import ApprovalError, PolicyError
from governance.registry import listing
from governance.worker.host import check_host
from governance.worker.job import Tools
from governance.worker.ledger import Ledger
from governance.worker.terms import Terms
from governance.workflows import orchestration

__all__ = ["prepare"]


def prepare(policies: Path, signing_key: Path, keys: Path | None, ledger: str) -> Tools:
    """What a worker works with.

    Args:
        policies: Its TOML file.
        signing_key: Of an assessor.
        keys: Ring of public keys; the worker's own alone where none is given, so that nobody
            else's verdicts and no waivers count.
        ledger: URL of a database.

    Raises:
        PolicyError: If the file or a policy that it names is wrong; all problems at once.
        HostError: If this machine cannot run an assessment as the file asks.
        ApprovalError: If the key cannot be read, or does not count by the ring.
        RegistryError: If the ledger cannot be opened.
    """
    terms = Terms.load(policies)
    problems: list[str] = []
    for rule in terms.rules:
        try:
            orchestration.read_policy(rule.policy)
        except PolicyError as error:
            problems += error.problems
    if problems:
        raise PolicyError(dict.fromkeys(problems))
    check_host(terms)
    key = PrivateKey.load(signing_key)
    ring = _ring(key, keys)
    return Tools(
        ledger=Ledger(ledger, terms.registry or listing.place(), listing.workspace()),
        terms=terms,
        key=key,
        ring=ring,
    )


def _ring(key: PrivateKey, keys: Path | None) -> Keyring:
    """The ring, in which the worker's key counts: else it would do everything again and again."""
    if keys is None:
        start = datetime.fromtimestamp(0, UTC)
        return Keyring((key.public(owner="this worker", role="assessor", not_before=start),))
    ring = Keyring.load(keys)
    known = ring.signer(key.id, int(time.time()), f"{keys}: the worker's key")
    if known.role != "assessor":
        raise ApprovalError(
            f"{keys}: the worker's key {key.id} is an {known.role}'s; one of the role assessor is "
            "accepted"
        )
    return ring
