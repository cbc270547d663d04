"""The page "Your first model" works as it stands: its script, its commands, and what they print."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from governance import registry
from governance.cli import app
from governance.records.policy import ModelTerms
from governance.registry.materials import model_folder
from governance.subject import flavours, model_files

PAGE = Path(__file__).parents[1] / "docs" / "start" / "your-first-model.md"


def section(title):
    """The part of the page below a heading."""
    return PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(title, language):
    return re.findall(rf"^```{language}\n(.*?)^```", section(title), flags=re.DOTALL | re.MULTILINE)


def form(text):
    """A text without its line breaks, and with # for every number."""
    return re.sub(r"[\N{MINUS SIGN}+]?\d[\d.,]*", "#", " ".join(text.split()))


def quoted(block):
    """The passages of a quotation that leaves lines out."""
    return [form(part) for part in re.split(r"^…$", block, flags=re.MULTILINE) if part.strip()]


def typed(title):
    """What the page's one command for `governance` below a heading prints."""
    (command,) = (line for block in blocks(title, "sh") for line in block.splitlines())
    found = CliRunner().invoke(app, shlex.split(command)[1:], env={"COLUMNS": "100"})
    assert found.exit_code == 0, found.output
    return form(found.output)


@pytest.mark.slow
def test_the_script_logs_a_model_for_which_the_page_drafts_and_checks_a_policy(
    mlflow_store, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (script,) = blocks("1. Log the model", "python")
    exec(compile(script, "log_model.py", "exec"), {})  # noqa: S102 - the page's own script

    (shown, excerpt) = blocks("2. Draft a policy", "text")
    drafted = typed("2. Draft a policy")
    written = form((tmp_path / "policy.toml").read_text(encoding="utf-8"))
    assert [part for part in quoted(shown) if part not in drafted] == []
    assert [part for part in quoted(excerpt) if part not in written] == []

    (shown,) = blocks("3. Check it", "text")
    checked = typed("3. Check it")
    assert [part for part in quoted(shown) if part not in checked] == []


@pytest.mark.slow
def test_the_script_of_log_a_model_logs_one_that_is_accepted(mlflow_store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (PAGE.parents[1] / "how-to" / "log-a-model.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    exec(compile(script, "log_a_model.py", "exec"), {})  # noqa: S102 - the page's own script

    files = model_files.read(model_folder(registry.resolve("models:/retina/1"), tmp_path / "model"))
    loaded = flavours.load(files, ModelTerms(), torch.device("cpu"))
    assert loaded.shape == (3, 32, 32)
    assert model_files.describe(files.folder).classes
