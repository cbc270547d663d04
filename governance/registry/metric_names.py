"""Metric names: names of ours as MLflow takes them."""

import hashlib
import re

__all__ = ["metric_name"]

NAME_LENGTH = 250


def metric_name(name: str) -> str:
    """A name that MLflow takes, the same for the same name and different for different ones.

    None ends as the names of interval ends do: a class may be called `seven.low`.
    """
    plain = re.sub(r"[^A-Za-z0-9_.\- ]", "_", name)
    room = NAME_LENGTH - len(".high")
    if plain == name and len(name) <= room and not name.endswith((".low", ".high")):
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain[: room - len(mark) - 1]}-{mark}"
