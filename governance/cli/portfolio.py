"""Command that writes a static site over all registered models: `portfolio`."""

import hashlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from governance.cli.arguments import Keys
from governance.cli.configuration import MaybeConfig
from governance.cli.console import misuse, out, text
from governance.errors import SubjectError
from governance.records.bounded import content_of

if TYPE_CHECKING:
    from governance.records.portfolio import Picture, Portfolio

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

    protection = Protection() if config is None else Protection.at(config)
    if protection.problem is not None:
        raise PolicyError(protection.problem)
    earlier = _earlier(out_dir)
    ring = None if keys is None else load_ring(keys)
    found = read_portfolio(protection, ring, int(time.time()))
    _write(out_dir, found, earlier)
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
    return (
        isinstance(name, str)
        and Path(name).name == name
        and name.endswith((".html", ".css", ".png"))
    )


def _write(folder: Path, found: "Portfolio", earlier: tuple[str, ...]) -> None:
    """Write a site, each file whole or not at all, and remove what only an earlier one had."""
    from reports.portfolio import pages

    drawn = {item.file: item for item in found.pictures}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # First what may lie there, so that an interrupted site is one that can be made again.
        _replace(folder / LIST, _list({*drawn, *earlier}))
        there = {file for file, item in drawn.items() if _written(folder / file, item)}
        site = pages(found, there)
        _replace(folder / LIST, _list({*site, *drawn, *earlier}))
        for name, content in site.items():
            _replace(folder / name, content.encode(errors="replace"))
        for name in {*drawn, *earlier} - {*site, *there}:
            (folder / name).unlink(missing_ok=True)
        _replace(folder / LIST, _list({*site, *there}))
    except OSError as error:
        misuse(f"--out {folder}: cannot be written: {error.strerror}; another folder is accepted")


def _list(names: set[str]) -> bytes:
    return json.dumps(sorted(names)).encode()


def _written(path: Path, shown: "Picture") -> bool:
    """Whether a picture lies beside the pages: from before, or fetched now."""
    from governance.workflows.portfolio import picture_of
    from reports.html import is_picture

    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == shown.sha256:
        return True
    content = picture_of(shown)
    if content is None or not is_picture(content):
        return False
    _replace(path, content)
    return True


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
