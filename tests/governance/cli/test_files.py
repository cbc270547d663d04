"""Files that a command writes: devices, pipes and links are written to, and none is removed."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import typer

from governance.approval import Keyring
from governance.cli.files import remove, write


@pytest.fixture
def pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_a_file_of_an_earlier_run_is_removed(tmp_path):
    earlier = tmp_path / "findings.xml"
    earlier.write_text("an older answer")
    remove(earlier)
    remove(earlier)
    assert not earlier.exists()


def test_a_device_is_written_to_and_stays():
    device = Path("/dev/null")
    remove(device)
    write(device, b"findings")
    assert device.is_char_device()


def test_a_pipe_is_written_to_and_stays(pipe):
    # arrange
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    remove(pipe)
    reader.start()
    # act
    write(pipe, b"findings")
    reader.join(timeout=30)
    # assert
    assert read == [b"findings"]
    assert pipe.is_fifo()


def test_a_link_stays_and_the_older_answer_behind_it_does_not(tmp_path):
    # arrange
    earlier, link = tmp_path / "earlier.xml", tmp_path / "findings.xml"
    earlier.write_text("an older answer")
    link.symlink_to(earlier)
    # act / assert
    remove(link)
    assert (link.is_symlink(), earlier.read_text()) == (True, "")
    write(link, b"findings")
    assert (link.is_symlink(), earlier.read_text()) == (True, "findings")


def test_a_link_that_leads_nowhere_yet_is_followed(tmp_path):
    link = tmp_path / "findings.xml"
    link.symlink_to(tmp_path / "new.xml")
    remove(link)
    write(link, b"findings")
    assert (tmp_path / "new.xml").read_text() == "findings"


def test_a_folder_is_refused_before_anything_is_done(tmp_path, capsys):
    for folder in (tmp_path, tmp_path / "link"):
        if not folder.exists():
            folder.symlink_to(tmp_path)
        with pytest.raises(typer.Exit):
            remove(folder)
    assert capsys.readouterr().err.count("cannot be written: Is a directory") == 2


def test_standard_output_keeps_what_was_written_to_it_before(tmp_path):
    log = tmp_path / "log"
    log.write_text("earlier\n")
    program = (
        "from pathlib import Path; from governance.cli.files import remove, write; "
        "remove(Path('/proc/self/fd/1')); write(Path('/proc/self/fd/1'), b'findings')"
    )
    with log.open("a") as out:
        subprocess.run([sys.executable, "-c", program], stdout=out, check=True)
    assert log.read_text() == "earlier\nfindings"


@pytest.mark.parametrize("command", ["keys new", "keys sign"])
def test_no_command_about_keys_takes_the_place_of_a_device(governance, tmp_path, pipe, command):
    # arrange
    key, ring = tmp_path / "key.pem", tmp_path / "ring.toml"
    governance("keys", "new", key, "--owner", "ann", "--role", "root", "--keys", ring)
    named = ("--owner", "ann", "--role", "approver")
    asked = {
        "keys new": (tmp_path / "other.pem", *named, "--keys", pipe),
        "keys sign": (ring, "--key", key, "--out", pipe),
    }
    # act
    answer = governance(*command.split(), *asked[command])
    # assert
    assert answer.code != 0
    assert pipe.is_fifo()
    assert Keyring.load(ring).keys
