"""The documentation mentions all there is, its examples run, and it quotes what the code says."""

import ast
import dataclasses
import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

from governance import analyses, errors
from governance.cli import app
from governance.errors import PolicyError
from governance.records.assessment import Assessment, Baseline
from governance.records.decision import EXIT_CODES, Finding
from governance.records.evidence import Evidence, Interval, Measurement
from governance.records.identity import ModelIdentity, ValidationIdentity
from governance.records.policy import Policy
from governance.records.serialisation import UNWRITTEN

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = [
    *PAGES[1:],
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def blocks(path, language):
    return re.findall(
        rf"^```{language}\n(.*?)^```", path.read_text(), flags=re.DOTALL | re.MULTILINE
    )


def commands(group=None, path=("governance",)):
    """Every command as typed, with its options."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            flags = [(*item.opts, *item.secondary_opts) for item in command.params]
            yield " ".join((*path, name)), [names for names in flags if names[0].startswith("--")]


def test_every_page_stands_in_the_folder_of_its_kind_of_question():
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= {"index.md"}


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_every_page_opens_with_whom_it_is_for(path):
    title, _, opening = path.read_text(encoding="utf-8").partition("\n\n")

    assert title.startswith("# ")
    assert "\n" not in title
    assert opening.startswith("This page is for ")


@pytest.mark.parametrize("path", [ROOT / "README.md", *WRITTEN], ids=lambda path: path.name)
def test_prose_is_in_short_lines(path):
    prose = re.sub(
        r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )

    # A row of a table cannot be broken.
    long = [line for line in prose.splitlines() if len(line) > 120 and not line.startswith("|")]
    assert long == []


@pytest.mark.parametrize(("command", "options"), list(commands()), ids=lambda item: str(item)[:30])
def test_every_command_and_option_is_documented(command, options):
    assert command in TEXT
    # Of a flag that can be denied, one form suffices.
    assert [
        names for names in options if not any(re.search(rf"{name}\b", TEXT) for name in names)
    ] == []


def test_every_command_and_option_has_a_help_text():
    def silent(group, path=""):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from silent(command, f"{path} {name}")
            elif not command.help:
                yield f"{path} {name}"
            else:
                for item in command.params:
                    if item.param_type_name == "option" and not item.help:
                        yield f"{path} {name} {item.opts}"

    assert list(silent(typer.main.get_command(app))) == []


@pytest.mark.parametrize("name", analyses.names())
def test_every_analysis_and_metric_is_documented(name):
    assert f"`{name}`" in TEXT
    assert [metric for metric in analyses.metrics(name) if f"{name}.{metric}" not in TEXT] == []


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_has_its_cause_and_cure(name):
    assert f"`{name}`" in page("how-to/messages.md")


def text_of(node):
    """The text that an expression makes, with `…` for what is filled in when it runs."""
    match node:
        case ast.Constant(value=str()):
            return node.value
        case ast.JoinedStr():
            return "".join(map(text_of, node.values))
        case ast.BinOp(op=ast.Add()):
            return text_of(node.left) + text_of(node.right)
        case _:
            return "…"


def message_templates():
    """Every text in the source that is no docstring, with `…` for what is filled in."""
    for path in sorted(
        path
        for package in ("governance", "reports", "mlflow_plugins")
        for path in (ROOT / package).rglob("*.py")
    ):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        # Docstrings are statements of their own; pieces of a longer text are part of it.
        parts = {
            id(child)
            for node in nodes
            if isinstance(node, ast.Expr | ast.JoinedStr | ast.BinOp)
            for child in ast.iter_child_nodes(node)
        }
        for node in nodes:
            if id(node) not in parts and isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
                yield re.sub("…+", "…", text_of(node))


def quoted_messages():
    """The first column of every table of messages."""
    table = False
    for line in page("how-to/messages.md").splitlines():
        table = line.startswith("|") and (table or line.startswith("| message |"))
        if table and not line.startswith(("|---", "| message |")):
            (message,) = re.findall(r"`([^`]+)`", line.split(" | ")[0])
            yield message


def test_every_message_that_the_documentation_quotes_is_one_of_the_source():
    templates = "\n".join(message_templates())

    assert [text for text in quoted_messages() if text.strip("… ") not in templates] == []


def test_every_message_has_one_entry():
    entries = list(quoted_messages())

    assert len(entries) > 50
    assert sorted(entries) == sorted(set(entries))


@pytest.mark.parametrize(("verdict", "code"), EXIT_CODES.items())
def test_every_verdict_and_exit_code_is_in_the_glossary(verdict, code):
    assert f"`{verdict}` {code}" in page("reference/glossary.md")


@pytest.mark.parametrize("record", [Assessment, Baseline, Evidence, Finding, Interval, Measurement,
                                    ModelIdentity, ValidationIdentity])  # fmt: skip
def test_every_field_of_a_record_is_in_the_description_of_its_format(record):
    text = page("reference/evidence-format.md")
    fields = [item.name for item in dataclasses.fields(record) if item.metadata != UNWRITTEN]
    if "ref" in fields:  # written flat
        fields.remove("ref")
        fields += ["name", "version", "created"]

    # The baseline's fields are described in words.
    told = {Baseline: {"identity", "metrics", "intervals", "verdict"}}.get(record, set(fields))
    assert [name for name in told if not re.search(rf"\b{name}\b", text, re.IGNORECASE)] == []


@pytest.mark.parametrize("table", ["", "[model]", "[validation]", "[[expectations]]"])
def test_every_key_of_a_policy_is_documented(table):
    with pytest.raises(PolicyError) as caught:
        Policy.loads(f"{table}\nnonsense = 1\n", where="p")

    (problem,) = (item for item in caught.value.problems if "nonsense: unknown key" in item)
    keys = problem.partition("accepted are ")[2].split(", ")
    text = page("reference/policy.md")
    part = f"policy {table.strip('[]')}".strip()
    rows = text.partition(f"<!-- reference: {part} -->")[2]
    told = re.findall(r"^\| `(\w+)` \|", rows.partition("<!-- end -->")[0], flags=re.MULTILINE)
    assert [key for key in keys if key not in told and not re.search(rf"\[{key}[.\]]", text)] == []


def policies():
    yield ROOT / "templates" / "policy.toml", (ROOT / "templates" / "policy.toml").read_text()
    for path in PAGES:
        for text in blocks(path, "toml"):
            if "[[expectations]]" in text:
                yield path, text


@pytest.mark.parametrize(("path", "text"), list(policies()), ids=lambda item: str(item)[-20:])
def test_every_policy_shown_passes_the_check(path, text, tmp_path):
    (tmp_path / path.with_suffix(".toml").name).write_text(text)
    names = np.array(["seven", "others"])
    np.savez(
        tmp_path / "images.npz", images=np.zeros((80, 2, 2), dtype=np.uint8),
        labels=np.arange(80) % 2, class_names=names,
    )  # fmt: skip
    policy = str(tmp_path / path.with_suffix(".toml").name)

    found = CliRunner().invoke(
        app, ["policy", "check", policy, "--data", str(tmp_path / "images.npz")]
    )

    assert found.exception is None, found.exception
    assert found.exit_code == 0
    assert "expectations" in found.stdout


def test_the_starter_policy_is_what_the_command_writes(tmp_path):
    found = CliRunner().invoke(app, ["policy", "new", str(tmp_path / "mine.toml")])

    assert found.exit_code == 0
    assert (tmp_path / "mine.toml").read_text() == (ROOT / "templates/policy.toml").read_text()


def test_the_analysis_that_the_documentation_writes_can_be_imported(tmp_path):
    found = blocks(ROOT / "docs" / "how-to" / "add-an-analysis.md", "python")
    assert found

    for index, source in enumerate(found):
        path = tmp_path / f"documented_{index}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        sys.modules[path.stem] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.__doc__
        del sys.modules[path.stem]


@pytest.mark.parametrize("path", sorted({*PAGES, *WRITTEN}), ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(path):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]

    assert [link for link in local if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", sorted({*PAGES, *WRITTEN}), ids=lambda path: path.name)
def test_no_page_promises_compliance(path):
    assert "compliant" not in path.read_text(encoding="utf-8").lower()


def promises():
    """Each promise of SECURITY.md, by its first words."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    section = text.partition("## What is promised")[2].partition("\n## ")[0]
    for item in re.split(r"^\d+\. ", section, flags=re.MULTILINE)[1:]:
        yield pytest.param(item, id=item[2:40])


@pytest.mark.parametrize("promise", list(promises()))
def test_every_promise_names_the_tests_that_hold_it(promise):
    files = re.findall(r"`(tests/[\w/]+\.py)`", promise)

    assert files
    assert [file for file in files if not (ROOT / file).is_file()] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_yaml_shown_can_be_read(path):
    for text in blocks(path, "yaml"):
        assert all(isinstance(item, dict) for item in yaml.safe_load_all(text))
