"""Command that writes a static site over all registered models: `portfolio`."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from governance.cli.arguments import Keys
from governance.cli.configuration import MaybeConfig
from governance.cli.console import misuse, out, text
from governance.errors import SubjectError
from governance.records.bounded import content_of

__all__ = ["portfolio"]

#: Lists the files of a site, so that a later one takes its place and that of nothing else.
LIST = "portfolio.json"
#: Bytes of that list.
LARGEST_LIST = 64 * 2**20


def portfolio(
    *,
    out_dir: Annotated[
        Path,
        typer.Option("--out", help="Folder of the site: a new one, or that of an earlier site."),
    ],
    config: MaybeConfig = None,
    keys: Keys = None,
) -> None:
    """Write a static site over all registered models: standing, history, and what to decide.

    It needs no server and holds no script. Nothing is measured, and the registry is not changed.
    """
    from governance.approval import load_ring
    from governance.approval.protection import Protection
    from governance.errors import PolicyError
    from governance.workflows.portfolio import read_portfolio
    from reports.portfolio import pages

    protection = Protection() if config is None else Protection.at(config)
    if protection.problem is not None:
        raise PolicyError(protection.problem)
    earlier = _earlier(out_dir)
    ring = None if keys is None else load_ring(keys)
    found = read_portfolio(protection, ring, int(time.time()))
    _write(out_dir, pages(found), earlier)
    told = f"models: {len(found.models)}, decisions for a person: {len(found.questions)}"
    out.print(text(f"{out_dir / 'index.html'}: {told}"), soft_wrap=True)


def _earlier(folder: Path) -> tuple[str, ...]:
    """The files of an earlier site in a folder; ends with misuse where it holds anything else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return ()
    names = _listed(folder / LIST)
    if names is None:
        misuse(
            f"--out {folder}: exists and is no earlier portfolio; a new or empty folder is "
            "accepted, or one that `governance portfolio` wrote"
        )
    return names


def _listed(path: Path) -> tuple[str, ...] | None:
    """The files that a site lists as its own; None where none are listed."""
    try:
        names = json.loads(content_of(path, LARGEST_LIST, SubjectError))
    except (OSError, ValueError, SubjectError):
        return None
    good = isinstance(names, list) and all(map(_is_plain, names))
    return tuple(names) if good else None


def _is_plain(name: object) -> bool:
    """Whether a name is that of a file of a site, in its folder."""
    return isinstance(name, str) and Path(name).name == name and name.endswith((".html", ".css"))


def _write(folder: Path, site: Mapping[str, str], earlier: tuple[str, ...]) -> None:
    """Write a site, each file whole or not at all, and remove what only an earlier one had."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # First what may lie there, so that an interrupted site is one that can be made again.
        _replace(folder / LIST, json.dumps(sorted({*site, *earlier})))
        for name, content in site.items():
            _replace(folder / name, content)
        for name in set(earlier) - set(site):
            (folder / name).unlink(missing_ok=True)
        _replace(folder / LIST, json.dumps(sorted(site)))
    except OSError as error:
        misuse(f"--out {folder}: cannot be written: {error.strerror}; another folder is accepted")


def _replace(path: Path, content: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(content, encoding="utf-8", errors="replace")
    partial.replace(path)
