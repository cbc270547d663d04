"""Machines with and without namespaces, and code that takes a confined process over at once."""

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryFile

import lanes

from governance.worker import handover, sandbox
from governance.worker.launch import launch


def namespaces_work():
    """Whether bubblewrap by itself makes namespaces here."""
    command = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def forbid_namespaces(folder, monkeypatch):
    """A bubblewrap that is refused what it asks for, as containers refuse it."""
    programs = folder / "programs"
    programs.mkdir()
    refused = "echo 'bwrap: No permissions to create new namespace' >&2; exit 1"
    (programs / "bwrap").write_text(f"#!/bin/sh\n{refused}\n")
    (programs / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")


def hostile(
    source, folder, room, monkeypatch, *, device="cpu", seconds=60, interrupted=lambda: False,
    **limits,
):  # fmt: skip
    """Run code in a confined process in the place of torch, which it imports once it is shut in.

    Returns:
        How it ended, and what it handed back.
    """
    lanes.allow("worker")
    modules = Path(folder, "hostile")
    modules.mkdir(exist_ok=True)
    (modules / "torch.py").write_text(source)
    found = [str(modules), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(dict.fromkeys(found)))
    with TemporaryFile() as received:
        ending = launch(
            {"device": "cuda"}, (Path(room),), received, device=device, limits=limits,
            bubblewrap=sandbox.confinement().bubblewrap, seconds=seconds, interrupted=interrupted,
        )  # fmt: skip
        received.seek(0)
        return ending, handover.read(received, Path(room) / "assessment")
