"""Log: what a worker tells its operator, one line of JSON each."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

__all__ = ["log"]

logger = logging.getLogger("governance.worker")


def log(event: str, **about: Any) -> None:
    """Write one line; names and errors come from elsewhere, and JSON keeps them in their line."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    logger.info("%s", json.dumps({"time": moment, "event": event, **about}, default=str))
