"""Portfolio site: the static site over all models, made again after each verdict where asked.

A process of its own makes it, so that neither its memory nor a defect of it is the worker's.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SECONDS", "PortfolioSite"]

#: Seconds that the site may take; it has 100 models in a few.
SECONDS = 300
#: Characters of what went wrong.
SHOWN = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioSite:
    """A static site over all registered models.

    Attributes:
        folder: Folder of the site.
        config: Configuration file, which says what is protected; None for what is protected
            by default. Where MLflow is, the process learns from the environment.
        keys: Keyring; None where no signature is checked.
    """

    folder: Path
    config: Path | None
    keys: Path | None

    def renew(self) -> str | None:
        """Make the site again; says why that failed, and None if it did not."""
        command = [
            sys.executable, "-P", "-m", "governance", "portfolio", "--out", str(self.folder),
            *(() if self.config is None else ("--config", str(self.config))),
            *(() if self.keys is None else ("--keys", str(self.keys))),
        ]  # fmt: skip
        try:
            done = subprocess.run(  # noqa: S603 - our own command, no shell
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)[:SHOWN]
        said = done.stderr.decode(errors="replace").strip()
        return said[-SHOWN:] if done.returncode else None
