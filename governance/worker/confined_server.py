"""Confined server: shuts itself in, then becomes the scoring server of a model.

`python -P -m governance.worker.confined_server JSON` limits itself, gives up the right to new
privileges, takes most of the kernel away from itself, and runs the command that it was given in its
own place. What it took away stays away: the server opens no connection and starts no process.
"""

import ctypes
import json
import os
import resource
import sys
from typing import NoReturn

from governance.worker import system_calls
from governance.worker.confined import NO_NEW_PRIVILEGES

__all__ = ["main"]

UNFILTERED = 4


def main() -> NoReturn:
    """Become the server.

    Command line: one JSON object with `limits` (by name of the `resource` module), `command` and
    `variables`, its environment.

    Raises:
        SystemExit: With code 4, if the kernel filters no calls.
    """
    asked = json.loads(sys.argv[1])
    for name, limit in asked["limits"].items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    ctypes.CDLL(None).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if not system_calls.deny():
        sys.exit(UNFILTERED)
    os.execve(asked["command"][0], asked["command"], asked["variables"])  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
