"""`--config FILE`: what a file gives as a default, and what comes before it."""

import os

import pytest
import typer
from typer.testing import CliRunner

from governance.cli import app
from governance.cli.configuration import CLIENT, configured
from governance.cli.worker import sweep, worker
from governance.worker.config import OPTIONS


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What a command gets that takes some options, and how it ends."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.setenv(name, "")  # put back afterwards
        monkeypatch.delenv(name)
    given = []

    def command(
        keys: str | None = None, policy: str = "none", key: str | None = None
    ) -> None:  # options as the real ones spell them
        given.append((keys, policy, key))

    program = typer.Typer()
    program.command()(configured(command))

    def ask(text, *arguments):
        (tmp_path / "g.toml").write_text(text)
        given.clear()
        answer = CliRunner().invoke(program, ["--config", str(tmp_path / "g.toml"), *arguments])
        return (*given, answer)

    return ask


def test_a_file_gives_what_the_command_line_leaves_open(asked, tmp_path):
    text = 'keyring = "k.toml"\ntracking_uri = "http://here"\n[client]\npolicy = "p.toml"\n'

    given, _ = asked(text)

    assert given == (f"{tmp_path}/k.toml", f"{tmp_path}/p.toml", None)
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://here"


def test_the_command_line_comes_first_then_mlflows_variables(asked, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    text = 'keyring = "k.toml"\ntracking_uri = "http://here"\n[client]\npolicy = "p.toml"\n'

    given, _ = asked(text, "--keys", "mine.toml")

    assert given[0] == "mine.toml"
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://there"


@pytest.mark.parametrize(
    "text",
    ["kerying = 1", "[client]\npolicies = 1", "[client]\nkey = 3", "[clients]", "[", "keyring = 1"],
)
def test_a_file_with_a_mistake_starts_nothing(asked, text):
    (answer,) = asked(text)

    assert "g.toml" in str(answer.exception)


def test_what_the_others_read_is_theirs_to_check(asked):
    given, _ = asked('[registry]\nnonsense = 1\n[worker]\nnonsense = 1\n[client]\nkey = "k"')

    assert given[2].endswith("/k")


def test_a_file_that_is_missing_or_far_too_large_is_refused(asked, governance, tmp_path):
    (answer,) = asked("#" * (1 << 20) + "\n")
    assert "larger than 1 MiB" in str(answer.exception)

    absent = governance("gate", "models:/m/1", "--config", tmp_path / "absent.toml")
    assert absent.code == 2
    assert "absent.toml: cannot be read" in absent.err


def options(command):
    program = typer.Typer(add_completion=False)
    program.command()(configured(command))
    return {item.name for item in typer.main.get_command(program).params}


def test_every_option_of_the_worker_but_the_shared_ones_stands_in_its_table():
    assert options(worker) - {"keys", "config"} == set(OPTIONS)
    assert options(sweep) - {"keys", "config", "as_json"} <= set(OPTIONS)


def test_every_key_of_a_client_is_an_option_of_some_command():
    def names(group):
        for command in group.commands.values():
            if hasattr(command, "commands"):
                yield from names(command)
            else:
                yield from (item.name for item in command.params)

    assert set(CLIENT) <= set(names(typer.main.get_command(app)))
