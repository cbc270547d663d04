"""The folder of `governance up`: made whole or not at all, and found as it was left."""

import os
import socket
import stat
from contextlib import contextmanager
from pathlib import Path

import pytest
import servers
from sqlalchemy import make_url

from governance.approval import Keyring, PrivateKey
from governance.approval.protection import Protection
from governance.cli.arguments import login
from governance.cli.laptop import folder
from governance.cli.policies import starter
from governance.errors import PolicyError, SubjectError
from governance.records.configuration import configuration, read_text
from governance.worker.config import WorkerConfig


@pytest.fixture(autouse=True)
def port(monkeypatch):
    """A free port in the place of 5000, on which another MLflow may listen."""
    found = servers.free_port()
    monkeypatch.setattr(folder, "PORT", found)
    return found


def state(home):
    """Every file with its content."""
    return {path: path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}


def test_a_new_folder_holds_all_that_server_worker_and_commands_read(tmp_path, port):
    # act
    home = folder.laptop(tmp_path / "deep" / "governed", None)
    # assert
    assert home.new
    assert home.address == f"http://127.0.0.1:{port}"
    assert Protection.at(home.folder / "governance.toml").problem is None
    (rule,) = WorkerConfig.load(home.folder / "governance.toml").rules
    assert (rule.models, rule.policy) == ("*", home.folder / "policy.toml")
    assert rule.policy.read_bytes() == starter()
    rules = home.folder / "governance.toml"
    client = configuration(read_text(rules), rules, "client")
    assert client.tracking_uri == home.address
    assert client.own.text("audit", None) == f"sqlite:///{home.folder}/mlflow.db"
    ring = Keyring.load(home.folder / "keyring.toml")
    keys = {PrivateKey.load(home.folder / f"{role}.pem").id: role for role in
            ("assessor", "approver")}  # fmt: skip
    assert {key.id: key.role for key in ring.keys} == keys
    assert {key.owner for key in ring.keys} == {"worker", login()}


def test_nobody_else_reads_what_is_secret(tmp_path):
    home = folder.laptop(tmp_path / "governed", None).folder
    for name in ("assessor.pem", "approver.pem", "fernet.key"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_an_empty_folder_is_filled_and_a_second_call_changes_nothing(tmp_path):
    (tmp_path / "governed").mkdir()
    other = servers.free_port()
    first = folder.laptop(tmp_path / "governed", other)
    before = state(first.folder)
    second = folder.laptop(tmp_path / "governed", None)
    assert (second.new, second.port, state(first.folder)) == (False, other, before)
    assert [path.name for path in tmp_path.iterdir()] == ["governed"]


def test_another_port_is_written_down_and_nothing_else_is_changed(tmp_path, port):
    home = folder.laptop(tmp_path / "governed", None).folder
    before = state(home)
    other = servers.free_port()
    folder.take_port(folder.laptop(home, other))
    assert folder.laptop(home, None).port == other
    changed = {path.name for path, text in state(home).items() if before[path] != text}
    assert changed == {"governance.toml"}
    text = (home / "governance.toml").read_text()
    assert text.replace(f":{other}", f":{port}").encode() == before[home / "governance.toml"]


def test_a_second_up_on_another_port_leaves_the_rules_of_the_server_that_runs(governance, tmp_path):
    home = folder.laptop(tmp_path / "governed", None)
    with folder.locked(home):
        before = state(home.folder)
        answer = governance("up", "--dir", home.folder, "--port", servers.free_port())
        assert state(home.folder) == before
    assert answer.code == 2
    assert "`governance up` runs here already" in answer.err


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine").write_text("mine")
    for place in (tmp_path, tmp_path / "mine"):
        with pytest.raises(SubjectError, match="was not made by `governance up`"):
            folder.laptop(place, None)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_working_directory_is_not_replaced_under_whoever_stands_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SubjectError, match="is the working directory"):
        folder.laptop(Path(), None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["/proc/governed", "/dev/null/governed"])
def test_a_place_where_no_folder_can_be_made_is_named(place):
    with pytest.raises(SubjectError, match=f"--dir {place}: cannot be used: .*; a folder in which"):
        folder.laptop(Path(place), None)


@pytest.mark.parametrize("character", ['"', "\\", "?", "#", "%", "\n"])
def test_a_path_that_no_address_of_the_rules_can_hold_is_refused(tmp_path, character):
    with pytest.raises(SubjectError, match="cannot stand in its path"):
        folder.laptop(tmp_path / f"a{character}41" / "governed", None)
    assert list(tmp_path.iterdir()) == []


def test_a_path_with_spaces_and_letters_of_any_script_is_that_of_the_database(tmp_path):
    home = folder.laptop(tmp_path / "Gemeinsame Prüfung's {1}" / "猫", None).folder
    rules = home / "governance.toml"
    audit = configuration(read_text(rules), rules, "client").own.text("audit", None)
    assert make_url(audit).database == f"{home}/mlflow.db"


def test_nothing_is_left_of_a_folder_that_could_not_be_made_whole(tmp_path, monkeypatch):
    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "starter", full)
    with pytest.raises(SubjectError, match="No space left on device"):
        folder.laptop(tmp_path / "governed", None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layout = 2", "has layout 2, and this version of mlflow-governance accepts 1"),
        ("layout = 'one'", "layout"),
        ("", "layout"),
        ("layout = [", "up.toml"),
    ],
)
def test_a_folder_of_another_version_is_refused_and_left_alone(tmp_path, text, words):
    home = folder.laptop(tmp_path / "governed", None).folder
    (home / "up.toml").write_text(text)
    before = state(home)
    with pytest.raises((SubjectError, PolicyError), match=words):
        folder.laptop(home, servers.free_port())
    assert state(home) == before


def test_all_that_is_missing_is_named_at_once(tmp_path):
    home = folder.laptop(tmp_path / "governed", None).folder
    for name in ("keyring.toml", "fernet.key"):
        (home / name).unlink()
    with pytest.raises(SubjectError, match=r"keyring.toml, fernet.key: missing"):
        folder.laptop(home, None)


@pytest.mark.parametrize("elsewhere", ["example.org:5000", "127.0.0.1:99999", "127.0.0.1:0"])
def test_rules_that_name_a_server_elsewhere_are_refused(tmp_path, port, elsewhere):
    home = folder.laptop(tmp_path / "governed", None).folder
    rules = home / "governance.toml"
    rules.write_text(rules.read_text().replace(f"127.0.0.1:{port}", elsewhere))
    with pytest.raises(SubjectError, match=r"http://127.0.0.1:PORT is accepted"):
        folder.laptop(home, None)


@contextmanager
def listening():
    """A port on which something listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize("given", [True, False])
def test_a_port_in_use_is_refused_before_anything_is_made(governance, tmp_path, monkeypatch, given):
    with listening() as port:
        monkeypatch.setattr(folder, "PORT", port)
        options = ("--port", port) if given else ()
        answer = governance("up", "--dir", tmp_path / "governed", *options)
    assert answer.code == 2
    assert f"--port {port}: cannot be had on 127.0.0.1: Address already in use" in answer.err
    assert list(tmp_path.iterdir()) == []
    assert folder.laptop(tmp_path / "governed", port).new  # as soon as the port is free


def test_a_port_in_use_is_not_written_down(governance, tmp_path):
    home = folder.laptop(tmp_path / "governed", servers.free_port()).folder
    rules = (home / "governance.toml").read_bytes()
    with listening() as port:
        answer = governance("up", "--dir", home, "--port", port)
    assert answer.code == 2
    assert "Address already in use" in answer.err
    assert (home / "governance.toml").read_bytes() == rules


def test_a_second_up_in_one_folder_is_refused_and_says_where_the_first_is(tmp_path):
    home = folder.laptop(tmp_path / "governed", None)
    with (
        folder.locked(home),
        pytest.raises(SubjectError, match=rf"process {os.getpid()}, {home.address}"),
        folder.locked(home),
    ):
        pass
    with folder.locked(home):  # as soon as the first has ended
        pass
