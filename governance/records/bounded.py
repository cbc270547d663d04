"""Bounded: files, JSON and TOML that are measured before anything is made of them.

A few bytes can ask for gigabytes or for hours: a file of holes, a number of a million digits, lists
a thousand deep. Size, depth, numbers and the count of values are looked at first, by passes over
the bytes that cost no more than reading them. `docs/reference/limits.md` lists all maxima.
"""

import hashlib
import io
import json
import math
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from governance.errors import GovernanceError

__all__ = [
    "LARGEST_TOML",
    "LONGEST_NUMBER",
    "MOST_DEPTH",
    "MOST_VALUES",
    "content_of",
    "digest_of",
    "files_of",
    "json_data",
    "opened",
    "toml_data",
]

#: Lists and tables inside one another, in JSON and TOML.
MOST_DEPTH = 32
#: Values of a JSON text, those in lists and tables included.
MOST_VALUES = 1_000_000
#: Characters of a number, in JSON and TOML.
LONGEST_NUMBER = 64
#: Bytes of a TOML file.
LARGEST_TOML = 2**20

NUMBER = re.compile(rf"(?<![\w.-])[-+]?\d[\w.+-]{{{LONGEST_NUMBER},}}")
BRACKET = re.compile(r"[\[\]{}]")
# The groups take what they can and give nothing back, so that no text makes them try twice. A text
# without an end is taken, too, where its reader stops: else each quote in it would be tried.
JSON_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
TOML_TEXT = re.compile(
    r'"""(?:[^"\\]++|\\.|"{1,2}(?!"))*+(?:"{3,5})?'
    r"|'''(?:[^']++|'{1,2}(?!'))*+(?:'{3,5})?"
    r'|"(?:[^"\\\n]++|\\.)*+"?'
    r"|'[^'\n]*+'?"
    r"|#[^\n]*+",
    re.DOTALL,
)
#: A key of more parts than there may be tables inside one another; texts stand as T.
DOTTED = re.compile(rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{MOST_DEPTH}}}")


@contextmanager
def opened(path: Path, most: int, error: type[GovernanceError]) -> Iterator[io.BufferedReader]:
    """A plain file of at most so many bytes, holes included, to be read.

    Raises:
        GovernanceError: Of the class `error`, if it is no plain file or a longer one.
        OSError: If it cannot be opened.
    """
    # A pipe would keep whoever opens it waiting.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise error(f"{path}: is no plain file; one is accepted")
        if found.st_size > most:
            raise error(f"{path}: {found.st_size} bytes; at most {most} are accepted")
        yield stream


def content_of(path: Path, most: int, error: type[GovernanceError]) -> bytes:
    """All bytes of a plain file that has at most so many.

    Raises:
        GovernanceError: Of the class `error`, if it is no plain file or a longer one.
        OSError: If it cannot be read.
    """
    with opened(path, most, error) as stream:
        # Not `most`: so much memory would be set aside for the shortest file.
        size = os.fstat(stream.fileno()).st_size
        content = stream.read(size + 1)
    if len(content) > size:
        raise error(f"{path}: grows while it is read; a file that stays as it is is accepted")
    return content


def digest_of(path: Path, most: int, error: type[GovernanceError]) -> str:
    """sha256 of a plain file of at most so many bytes, hexadecimal.

    Raises:
        GovernanceError: Of the class `error`, if it is no plain file or a longer one.
        OSError: If it cannot be read.
    """
    with opened(path, most, error) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_of(
    folder: Path, *, most: int, largest: int, error: type[GovernanceError]
) -> dict[str, int]:
    """Bytes of each file in a folder by its path from there, in the order of the paths.

    Args:
        folder: Folder whose files are listed, those in its folders included.
        most: Number of files and folders that are accepted.
        largest: Bytes of all files together that are accepted, holes included.
        error: Class of the error.

    Raises:
        GovernanceError: Of the class `error`, if there are more, or links, pipes and the like.
        OSError: If a folder cannot be listed.
    """
    sizes: dict[str, int] = {}
    waiting, entries, total = [""], 0, 0
    while waiting:
        home = waiting.pop()
        with os.scandir(folder / home) as found:
            for entry in found:
                entries += 1
                name = f"{home}{entry.name}"
                if entries > most:
                    raise error(f"{folder}: more than {most} files and folders are in it")
                if entry.is_symlink():
                    raise error(f"{folder}: {name} is a link; plain files are accepted")
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                    continue
                if not entry.is_file(follow_symlinks=False):
                    raise error(f"{folder}: {name} is no plain file; plain files are accepted")
                sizes[name] = entry.stat(follow_symlinks=False).st_size
                total += sizes[name]
    if total > largest:
        raise error(f"{folder}: its files have {total} bytes; at most {largest} are accepted")
    return dict(sorted(sizes.items()))


def json_data(
    content: bytes,
    where: str,
    error: type[GovernanceError],
    *,
    depth: int = MOST_DEPTH,
    digits: int = LONGEST_NUMBER,
) -> Any:
    """Plain data of JSON in UTF-8, every number of it finite.

    Args:
        content: Untrusted.
        where: Name of the text in messages.
        error: Class of the error.
        depth: Number of lists and tables inside one another that are accepted.
        digits: Number of digits in a row that are accepted outside of texts.

    Raises:
        GovernanceError: Of the class `error`, if it is no JSON, or beyond a limit.
    """
    try:
        text = content.decode()
        _measure(JSON_STRING.sub("T", text), depth, digits)
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except ValueError as problem:
        raise error(f"{where}: cannot be read: {problem}") from problem


def toml_data(text: str, where: str, error: type[GovernanceError]) -> dict[str, Any]:
    """Plain data of TOML.

    Raises:
        GovernanceError: Of the class `error`, if it is no TOML, or beyond a limit.
    """
    if len(text) > LARGEST_TOML:
        raise error(f"{where}: {len(text)} characters; at most {LARGEST_TOML} are accepted")
    try:
        _measure(bare := TOML_TEXT.sub("T", text), MOST_DEPTH, LONGEST_NUMBER)
        _refuse_dotted(bare)
        data = tomllib.loads(text)
        _refuse_deep(data)
    except ValueError as problem:
        raise error(f"{where}: not valid TOML: {problem}") from problem
    return data


def _measure(bare: str, most_depth: int, digits: int) -> None:
    """Refuse a text, without its strings, of too many values, too deep or of long numbers."""
    if NUMBER.search(bare):
        raise ValueError(f"a number of more than {LONGEST_NUMBER} characters")
    if re.search(rf"\d{{{digits + 1}}}", bare):
        raise ValueError(f"a number of more than {digits} digits")
    depth = 0
    brackets = BRACKET.findall(bare)
    if len(brackets) // 2 + bare.count(",") + 1 > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES} values")
    for bracket in brackets:
        depth += 1 if bracket in "[{" else -1
        if depth > most_depth:
            raise ValueError(f"more than {most_depth} lists or tables inside one another")


def _refuse_dotted(bare: str) -> None:
    if DOTTED.search(bare):
        raise ValueError(f"a key of more than {MOST_DEPTH} parts; shorter ones are accepted")


def _refuse_deep(data: Any) -> None:
    """Refuse tables that dotted keys and brackets together made too deep."""
    level = [data]
    for _ in range(MOST_DEPTH + 1):
        inner = (item.values() if isinstance(item, dict) else item for item in level)
        level = [value for items in inner for value in items if isinstance(value, dict | list)]
        if not level:
            return
    raise ValueError(f"more than {MOST_DEPTH} lists or tables inside one another")


def _refuse(constant: str) -> None:
    raise ValueError(f"holds {constant}; finite numbers are accepted")


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        _refuse(number)
    return value
