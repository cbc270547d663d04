"""Doctor: problems of a running MLflow server, found from outside, each with its cure.

```
observation     one thing that was examined, its state and the cure
server          whether the server answers, and which MLflow it is
canary          forged tags, protected aliases and stages, tried on a test model
webhooks        whether a webhook exists, its secrets can be read and its receiver answers
standing        versions without a verdict, signatures, and aliases without an approval
contradictions  tags and statements that cannot have come about through a governed registry
```

The doctor changes nothing but the test model, a registered model that it creates and deletes.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow

from governance.approval import load_ring
from governance.errors import SubjectError
from governance.registry.doctor.canary import canary
from governance.registry.doctor.observation import Observation, healthy
from governance.registry.doctor.server import answering
from governance.registry.doctor.standing import keyring, standing
from governance.registry.doctor.webhooks import webhooks

__all__ = ["Observation", "examine", "healthy"]

ALIAS, STAGE = "champion", "Production"


def examine(
    address: str | None = None,
    *,
    keys: Path | None = None,
    webhook_url: str | None = None,
    alias: str = ALIAS,
    audit: str | None = None,
) -> tuple[Observation, ...]:
    """Everything that can be found out about a server from outside.

    Args:
        address: Of the server, `http` or `https`; MLflow's own setting if not given.
        keys: Ring of public keys; without one no signature is looked at.
        webhook_url: Of the worker's receiver; any address counts if not given.
        alias: That should be protected.
        audit: URL of the database that holds the server's audit; with None it is not looked at.

    Raises:
        SubjectError: If the address is not that of a server.
        ApprovalError: If the ring cannot be read.
    """
    ring = None if keys is None else load_ring(keys)
    with _pointed_at(address) as server:
        first = answering(server)
        if not healthy(first):
            return first
        return (
            *first,
            *(() if ring is None else (keyring(ring),)),
            *canary(server, alias, STAGE),
            *webhooks(server, webhook_url),
            *standing(ring, time.time(), audit),
        )


@contextmanager
def _pointed_at(address: str | None) -> Iterator[str]:
    """MLflow's calls of this process go to the server meanwhile."""
    before = mlflow.get_tracking_uri()
    server = address or before
    if not server.startswith(("http://", "https://")):
        raise SubjectError(
            f"{server[:200]}: no address of a server; --tracking-uri http://HOST:PORT is accepted"
        )
    mlflow.set_tracking_uri(server)
    try:
        yield server.rstrip("/")
    finally:
        mlflow.set_tracking_uri(before)
