"""The generated parts of the reference, from the program itself: `make docs` writes, CI compares.

A page says where a part stands, between two comments that no reader sees:

    <!-- reference: policy -->
    <!-- end -->

What stands between them is replaced. Options come from the program, keys from the records that hold
them, metrics from the analyses; their meanings are the help texts and the docstrings.
"""

import dataclasses
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import typer

from governance import analyses
from governance.approval.keyring import Keyring, PublicKey
from governance.approval.protection import ModelMode, Protection
from governance.approval.thresholds import Threshold
from governance.cli import app
from governance.cli.configuration import CLIENT, WORKERS
from governance.cli.guide import GUIDE
from governance.records.card import Card
from governance.records.configuration import Configuration
from governance.records.drift_terms import DriftTerms, Envelope
from governance.records.image_terms import ImageTerms
from governance.records.policy import Expectation, ModelTerms, Policy
from governance.records.reading import FileReading
from governance.records.resizing import Resize
from governance.records.served_terms import ServedTerms
from governance.subject.subject import NEEDS
from governance.worker.config import OPTIONS, PolicyRule, WorkerConfig

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from case_table import Outcome, sections  # noqa: E402 - the tests are no package

Row = tuple[str, ...]

DOCS = ROOT / "docs"
PART = re.compile(r"(<!-- reference: ([a-z ]+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
#: Letters outside code that Markdown would take for tags.
LETTERS = re.compile(r"<(?![^`]*`(?:[^`]*`[^`]*`)*[^`]*$)")
#: Types of TOML in words.
WORDS = {bool: "true or false", datetime: "time with zone", float: "number",
         int: "whole number", str: "text", Path: "file"}  # fmt: skip


def keys(kind: type, *only: str, named: Mapping[str, str] | None = None) -> list[Row]:
    """The keys of a TOML table, from the fields of the record that it is read into.

    Args:
        kind: The record, whose docstring says what its attributes mean.
        only: Fields that are keys; all if none is named.
        named: Keys by field, where the file spells them otherwise.
    """
    hints, meanings = typing.get_type_hints(kind), attributes(kind)
    return [
        (
            (named or {}).get(item.name, item.name), in_words(hints[item.name]), default(item),
            meanings[item.name],
        )
        for item in dataclasses.fields(kind) if not only or item.name in only
    ]  # fmt: skip


def attributes(kind: type) -> dict[str, str]:
    """What the docstring of a record says of each attribute, in one line."""
    section = inspect.getdoc(kind).partition("\nAttributes:\n")[2]  # type: ignore[union-attr]
    found = re.findall(r"^    (\w+): (.*(?:\n     .*)*)", section, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def in_words(hint: Any) -> str:
    """A type as a reader of TOML would say it."""
    kind, arguments = typing.get_origin(hint), typing.get_args(hint)
    if kind is Literal:
        return " or ".join(f"`{item}`" for item in arguments)
    if kind in {typing.Union, types.UnionType}:
        one, *more = (item for item in arguments if item is not type(None))
        if more and (one in WORDS or typing.get_origin(one) in {Literal, tuple}):
            return " or ".join(map(in_words, (one, *more)))
        return "text" if more else in_words(one)  # one of several classes is read from a text
    if kind is tuple and arguments[-1] is not ...:
        return f"{len(arguments)} {in_words(arguments[0])}s"
    if kind is tuple:
        inner = in_words(arguments[0])
        return f"list of {inner}" if " or " in inner else f"list of {inner}s"
    return WORDS.get(hint, "table")


def default(item: dataclasses.Field[Any]) -> str:
    """The default of a field as TOML; nothing where there is none, or an empty one."""
    if item.default is dataclasses.MISSING:
        return "required" if item.default_factory is dataclasses.MISSING else ""
    return value(item.default)


def value(found: Any) -> str:
    """A value as TOML in code; nothing for none and for an empty one."""
    if isinstance(found, bool):
        return f"`{str(found).lower()}`"
    if isinstance(found, tuple):
        return ", ".join(map(value, found))
    if found is None or found == "":
        return ""
    return f"`{found:g}`" if isinstance(found, float) else f"`{found}`"


def options(part: Mapping[str, str]) -> list[Row]:
    """Keys of the configuration that are options of commands as well."""
    rows = []
    for key, kind in sorted(part.items()):
        uses = [
            (path.removeprefix("governance "), item)
            for path, command in commands() if _reads(part, path, command)
            for item in command.params if item.name == key
        ]  # fmt: skip
        names = ", ".join(f"`{path}`" for path, _ in uses)
        first = uses[0][1]
        meaning = f"{sentence(first.help)} As `{first.opts[0]}` of {names}."
        rows.append((key, kind, value(first.default), meaning))
    return rows


def _reads(part: Mapping[str, str], path: str, command: Any) -> bool:
    """Whether a command takes the defaults of its options from a part of the configuration."""
    asked = any(item.name == "config" for item in command.params)
    return asked and (part is OPTIONS) == (path.rpartition(" ")[2] in WORKERS)


def commands(group: Any = None, path: str = "governance") -> Iterator[tuple[str, Any]]:
    """Every command by what is typed, in the order of the program."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def all_commands() -> str:
    """Every command in the groups and the order of help, with all that its own help says."""
    grouped: dict[str, list[str]] = {}
    known = dict(commands())
    for name, guide in GUIDE.items():
        path = f"governance {name}"
        grouped.setdefault(guide.panel, []).append(one_command(path, known[path]))
    parts = [[f"## {panel}", *(f"#{text}" for text in texts)]
             for panel, texts in grouped.items()]  # fmt: skip
    return "\n\n".join("\n\n".join(part) for part in parts)


def one_command(path: str, command: Any) -> str:
    """One command: a heading, its help, a table of what it takes, and the end of its help."""
    taken = [item for item in command.params if not item.hidden]
    hints = typing.get_type_hints(command.callback)
    rows = [(spelt(item, hints[item.name]), default_of(item), help_of(item))
            for item in sorted(taken, key=lambda item: item.param_type_name)]  # fmt: skip
    arguments = [spelt(item, str) for item in taken if item.param_type_name == "argument"]
    parts = [f"## `{path}`", cleaned(command.help),
             f"```text\n{' '.join([path, *arguments, '[OPTIONS]'])}\n```"]  # fmt: skip
    if rows:
        parts.append(table(("argument or option", "default", "meaning"), rows))
    if command.epilog:
        parts.append(f"```text\n{inspect.cleandoc(command.epilog)}\n```")
    return "\n\n".join(parts)


def spelt(item: Any, hint: Any) -> str:
    """An argument or option as it is typed."""
    kinds = {"file": "FILE", "number": "N", "whole number": "N"}
    shown = item.metavar or kinds.get(in_words(hint), item.opts[-1].strip("-").upper())
    if item.param_type_name == "argument":
        return shown.strip("{}").upper() + ("..." if item.nargs == -1 else "")
    names = ", ".join([*item.opts, *item.secondary_opts])
    return names if item.is_flag else f"{names} {shown}"


def default_of(item: Any) -> str:
    """The default of an argument or option; of a flag that can be denied, the form it has."""
    if item.required:
        return "required"
    if getattr(item, "is_flag", False):
        names = item.opts if item.default else item.secondary_opts
        return f"`{names[0]}`" if names and item.secondary_opts else ""
    return value(item.default)


def help_of(item: Any) -> str:
    """The help of an argument or option, with its smallest value."""
    low = f" At least {item.min:g}." if getattr(item, "min", None) is not None else ""
    return sentence(item.help) + low


def sentence(text: str) -> str:
    """A help text in one line, with a full stop."""
    line = " ".join(text.split())
    return line if line.endswith((".", "?")) else f"{line}."


def cleaned(text: str) -> str:
    """A docstring as Markdown: what a terminal is told of lines is none of it."""
    return inspect.cleandoc(text).replace("\b\n", "").replace("\b", "")


def all_analyses() -> str:
    """Every analysis: what it says of itself, its parameters and its metrics."""
    return "\n".join(map(_analysis, analyses.names())).rstrip()


def _analysis(name: str) -> str:
    kind = analyses.find(name)
    title, _, rest = analyses.about(name).partition("\n")
    lines = [f"## `{name}`", "", title, "", "```text", rest.strip(), "```", "",
             f"It asks for {NEEDS[kind.needs]}.", ""]  # fmt: skip
    if fields := dataclasses.fields(kind):  # type: ignore[arg-type]
        rows = [(item.name, f"`{item.default!r}`") for item in fields]
        lines += [table(("parameter", "default"), rows), ""]
    standing = {item.metric: item for item in getattr(kind, "standing", ())}
    rows = []
    for metric, declared in analyses.metrics(name).items():
        item = standing.get(f"{name}.{metric}")
        bound = f"{item.bound} ({item.severity})" if item else ""
        cells = (declared.meaning, declared.better, f"{declared.tolerance:g}", bound)
        rows.append((f"{name}.{metric}", *cells))
    head = ("metric", "meaning", "better", "tolerance", "built-in expectation")
    return "\n".join([*lines, table(head, rows), ""])


def all_cases() -> str:
    """Every case that the tests run, and what becomes of it, in the order of their files."""
    parts = []
    for title, about, rows in sections(ROOT / "tests" / "cases"):
        lines = [plain_table(("given", "outcome", "what is said"), map(_case, rows))]
        parts.append("\n\n".join([f"## {title}", *([about] if about else []), *lines]))
    return "\n\n".join(parts)


def _case(row: tuple[str, Outcome]) -> Row:
    given, outcome = row
    without = ", ".join(f"`{name}`" for name in outcome.without)
    kind = f"assessed; not applicable: {without}" if without else outcome.kind
    return given, kind, "; ".join(f'"{words}"' for words in outcome.says)


def toml(*rows: Row) -> str:
    """A table of keys."""
    return table(("key", "type", "default", "meaning"), list(rows))


def table(head: Row, rows: list[Row]) -> str:
    """A table whose first column is code."""
    return plain_table(head, ((f"`{first}`", *rest) for first, *rest in rows))


def plain_table(head: Row, rows: Iterable[Row]) -> str:
    """A table in Markdown; angle brackets are text outside code."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [LETTERS.sub(r"\\\g<0>", cell.replace("|", "\\|")) for cell in row]
        lines.append("|".join(["", *(f" {cell} " if cell else " " for cell in cells), ""]))
    return "\n".join(lines)


#: Fields of the worker that are tables of their own.
WORKER = [item.name for item in dataclasses.fields(WorkerConfig) if item.name != "rules"]
SERVER = ("mode", "policies", "aliases", "excepted", "stages", "audit")
DRIFT = ("tolerance", "alpha", "statistics", "references", "budget")

#: What a page can ask for, by name.
PARTS: Mapping[str, Callable[[], str]] = {
    "analyses": all_analyses,
    "cases": all_cases,
    "commands": all_commands,
    "policy": lambda: toml(*keys(Policy, "title", "seed", "baseline", "budget_minutes")),
    "policy model": lambda: toml(*keys(ModelTerms)),
    "policy model resize": lambda: toml(*keys(Resize)),
    "policy model served": lambda: toml(*keys(ServedTerms)),
    "policy validation": lambda: toml(
        *keys(Policy, "validation", named={"validation": "data"}),
        *keys(ImageTerms, "split", "follow_links"),
        *keys(FileReading),
    ),
    "policy expectations": lambda: toml(*keys(Expectation)),
    "policy card": lambda: toml(*keys(Card)),
    "policy drift": lambda: toml(*keys(DriftTerms, *DRIFT)),
    "policy drift envelope": lambda: toml(*keys(Envelope)),
    "configuration": lambda: toml(*keys(Configuration, "keyring", "tracking_uri", "registry_uri")),
    "configuration registry": lambda: toml(
        *keys(Protection, *SERVER, named={"excepted": "except"})
    ),
    "configuration registry models": lambda: toml(*keys(ModelMode)),
    "configuration registry signatures": lambda: toml(*keys(Threshold, named={"names": "for"})),
    "configuration worker": lambda: toml(*options(OPTIONS), *keys(
        WorkerConfig, *WORKER,
        named={"places": "policy_places", "unprotected": "unprotected_aliases"},
    )),
    "configuration worker policies": lambda: toml(*keys(PolicyRule)),
    "configuration client": lambda: toml(*options(CLIENT)),
    "keyring": lambda: toml(*keys(Keyring, "registry", "version", "ring", "threshold")),
    "keyring keys": lambda: toml(*keys(PublicKey)),
}  # fmt: skip


def filled(text: str) -> str:
    """A page with its generated parts as they must be now."""
    return PART.sub(lambda part: f"{part[1]}{PARTS[part[2]]()}\n{part[3]}", text)


def main(arguments: list[str]) -> None:
    """Write the parts of all pages, or say which page is out of date."""
    stale = []
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if (new := filled(text)) != text:
            stale.append(str(page.relative_to(DOCS.parent)))
            if arguments != ["--check"]:
                page.write_text(new, encoding="utf-8")
    if stale and arguments == ["--check"]:
        sys.exit(f"not what the program says: {', '.join(stale)}; run: make docs")


if __name__ == "__main__":
    main(sys.argv[1:])
