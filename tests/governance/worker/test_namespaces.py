"""What a confined process is shown, as bubblewrap's arguments."""

import os
import sys
from pathlib import Path

from governance.worker import namespaces
from governance.worker.namespaces import command, shown_code

ROOT = Path(__file__).parents[3]


def shown(words):
    """Places that are shown, and how."""
    return {
        words[at + 2]: word
        for at, word in enumerate(words)
        if word in {"--bind", "--ro-bind", "--ro-bind-try", "--dev-bind"}
    }


def test_inputs_and_programs_are_shown_and_may_not_be_changed(tmp_path):
    room, model = tmp_path / "room", tmp_path / "elsewhere" / "model"
    room.mkdir()
    model.mkdir(parents=True)

    words = command("/usr/bin/bwrap", [room, model, room / "inside"], {}, device="cpu")

    found = shown(words)
    assert {str(room), str(model), "/usr"} <= {*found}
    assert str(room / "inside") not in found
    assert str(tmp_path) not in found
    assert "/" not in found
    assert set(found.values()) <= {"--ro-bind", "--ro-bind-try"}
    for word in ("--unshare-user", "--unshare-all", "--die-with-parent", "--new-session"):
        assert word in words
    assert words[-1] == "--"


def test_of_a_checkout_only_our_packages_are_shown():
    code = shown_code(dict(os.environ))

    assert ROOT / "governance" in code
    assert ROOT not in code
    assert Path.cwd() not in code
    assert Path(sys.base_prefix) in code


def test_a_folder_of_modules_or_libraries_is_shown(tmp_path):
    modules, libraries = tmp_path / "modules", tmp_path / "libraries"
    modules.mkdir()
    libraries.mkdir()

    code = shown_code({"PYTHONPATH": str(modules), "LD_LIBRARY_PATH": f"{libraries}:/absent"})

    assert {modules, libraries} <= {*code}


def test_the_whole_machine_is_never_shown(tmp_path):
    assert "/" not in shown([*namespaces._shown([Path("/"), tmp_path, tmp_path / "absent"])])
