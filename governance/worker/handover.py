"""Handover: what a confined process hands back to its worker, through one pipe.

```
ready filtered            once it is shut in, before anything of a model is opened
{"kind": ..., "problems": [...], "files": [[path, bytes], ...]}
                          once it is done, followed by the contents of the files
```

By then the process may be whatever a model made of it. So the worker opens nothing by a name that
the process could have put something else under: it reads the pipe, takes so many bytes and no more,
and writes files of its own. Problems are sentences of a bounded length and count, and without
markup; they say whose they are.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from governance.errors import EvidenceError
from governance.records.serialisation import parse

__all__ = ["LARGEST", "Handover", "as_said", "read", "ready", "write"]

LARGEST = 2**30  # bytes of all that is handed back
MOST_FILES, MOST_PROBLEMS, LONGEST = 10_000, 10, 300
LARGEST_HEADER = 4 * 2**20  # bytes of the line before the files
CHUNK = 2**20
READY = {b"ready filtered\n": True, b"ready unfiltered\n": False}
#: Files of an assessment, as `records.assessment` names them.
PATH = re.compile(
    r"(evidence/[a-z][a-z0-9_]{0,99}/)?[a-z][a-z0-9_]{0,99}\.(json|toml|parquet|csv|png)"
)
#: What markup is made of, and what stands for it; addresses are no links any more.
PLAIN = str.maketrans(
    {"`": "'", "<": "(", ">": ")", "[": "(", "]": ")", "{": "(", "}": ")", "|": "/", "\\": "/"}
    | dict.fromkeys("*#~!^$@", " ")
)
ADDRESS = re.compile(r"://|www\.", flags=re.IGNORECASE)

Kind = Literal["assessed", "refused", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What a process handed back; all but `ready` and `filtered` is a stranger's.

    Attributes:
        ready: Whether it was shut in. Until then nothing but our own code ran.
        filtered: Whether the kernel filters its calls.
        kind: `assessed`, `refused` or `failed`, as it says; None if it handed nothing back that can
            be read.
        problems: One sentence each, fit to be published.
    """

    ready: bool = False
    filtered: bool = False
    kind: Kind | None = None
    problems: tuple[str, ...] = ()


def ready(stream: BinaryIO, *, filtered: bool) -> None:
    """Say that the process is shut in."""
    (line,) = (line for line, said in READY.items() if said == filtered)
    stream.write(line)
    stream.flush()


def write(
    stream: BinaryIO, kind: Kind, *, problems: Sequence[str] = (), folder: Path | None = None
) -> None:
    """Hand back how an assessment ended, with all files of its folder."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()] if folder else []
    files = [[path.relative_to(folder).as_posix(), path.stat().st_size] for path in paths]  # type: ignore[arg-type]  # no folder, no paths
    header = {"kind": kind, "problems": [*problems], "files": files}
    stream.write(json.dumps(header).encode() + b"\n")
    stream.writelines(path.read_bytes() for path in paths)
    stream.flush()


def read(stream: BinaryIO, into: Path) -> Handover:
    """Read what a process handed back, and write its files into a new folder.

    Args:
        stream: All bytes that came, from their beginning.
        into: Folder to make if there are files.

    Raises:
        OSError: If the disk refuses.
    """
    filtered = READY.get(stream.readline(100))
    if filtered is None:
        return Handover()
    line = stream.readline(LARGEST_HEADER)
    if not line:
        return Handover(ready=True, filtered=filtered)
    try:
        kind, problems, files = _header(line)
        if kind == "assessed":
            _copy(stream, files, into)
    except EvidenceError as error:
        return Handover(ready=True, filtered=filtered, problems=error.problems)
    return Handover(ready=True, filtered=filtered, kind=kind, problems=as_said(problems))


def as_said(
    problems: Iterable[object], *, source: str = "the confined process says"
) -> tuple[str, ...]:
    """Problems in which a stranger chose words, as sentences that can be published.

    Each is one line of at most 300 printable characters without markup after the words that say
    whose it is, and there are ten at most.
    """
    texts = [item for item in problems if isinstance(item, str)]
    said = [f"{source}: {_plain(item)}" for item in texts[:MOST_PROBLEMS]]
    more = len(texts) - MOST_PROBLEMS
    return (*said, f"and {more} more problems") if more > 0 else tuple(said)


def _plain(text: str) -> str:
    # Controls, what turns the direction of writing, lone surrogates, and separators of lines.
    printable = "".join(
        " " if unicodedata.category(character)[0] in "CZ" else character
        for character in unicodedata.normalize("NFC", text[: 4 * LONGEST])
    )
    return " ".join(ADDRESS.sub(" ", printable.translate(PLAIN)).split())[:LONGEST]


def _header(line: bytes) -> tuple[Kind, list[object], list[tuple[str, int]]]:
    """Kind, problems and files, if the line is one of ours.

    Raises:
        EvidenceError: If it is not; the message holds nothing of what came.
    """
    try:
        data = parse(line, "handover") if line.endswith(b"\n") else None
    except EvidenceError:
        data = None
    match data:
        case {"kind": ("assessed" | "refused" | "failed") as kind, "problems": list(problems),
              "files": list(files)}:  # fmt: skip
            return kind, problems, [_file(item) for item in files]
    raise EvidenceError("what the confined process handed back cannot be read")


def _file(item: object) -> tuple[str, int]:
    match item:
        case [str(path), int(size)] if PATH.fullmatch(path) and size >= 0 and size is not True:
            return path, size
    raise EvidenceError(
        "the confined process handed back something else than files of an assessment"
    )


def _copy(stream: BinaryIO, files: Sequence[tuple[str, int]], into: Path) -> None:
    """Write the files that follow in the stream, which has to hold exactly those."""
    if len(files) > MOST_FILES or sum(size for _, size in files) > LARGEST:
        raise EvidenceError(
            f"the confined process handed back more than {MOST_FILES} files or {LARGEST} bytes"
        )
    if len({path for path, _ in files}) != len(files):
        raise EvidenceError("the confined process handed back one file twice")
    try:
        into.mkdir()
    except FileExistsError as error:  # by the process, where there are no namespaces
        raise EvidenceError(
            "the confined process made something where what it hands back is written"
        ) from error
    for path, size in files:
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            left = size
            while left and (chunk := stream.read(min(left, CHUNK))):
                file.write(chunk)
                left -= len(chunk)
        if left:
            raise EvidenceError("what the confined process handed back ends too early")
    if stream.read(1):
        raise EvidenceError("the confined process handed back more than it announced")
