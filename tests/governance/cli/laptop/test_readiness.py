"""Whether the policy of a laptop can be used, by the check that everyone can run."""

import pytest
import servers

from governance.cli.laptop import telling
from governance.cli.laptop.folder import laptop
from governance.cli.laptop.readiness import Answer, Policy, marked_lines
from governance.cli.policies import starter


@pytest.fixture
def home(tmp_path):
    """A new folder."""
    return laptop(tmp_path / "governed", servers.free_port())


def test_the_lines_to_edit_are_those_with_the_mark():
    lines = starter().decode().splitlines()
    named = {lines[place - 1].partition(" ")[0] for place in marked_lines()}
    assert {"title", "channels", "mean", "std", "data", "class_recall", "at_least"} <= named
    unmarked = [line for place, line in enumerate(lines, 1) if place not in marked_lines()]
    assert not any("# <-" in line for line in unmarked)


def test_a_starter_policy_is_said_to_be_one_once(home):
    policy = Policy(home)
    assert policy.look() == Answer(ready=False, edited=False)
    assert [policy.look() for _ in range(3)] == [None] * 3


@pytest.mark.slow
def test_an_edited_policy_is_checked_and_checked_again_when_its_images_come(
    home, policy_text, images_file
):
    # arrange
    policy, file = Policy(home), home.folder / "policy.toml"
    policy.look()
    file.write_text(policy_text.replace(str(images_file), "images.npz"))
    # act
    at_once, problems = policy.look(), policy.look()
    (home.folder / "images.npz").write_bytes(images_file.read_bytes())
    policy.look()
    # assert
    assert at_once is None  # it may still be written
    assert not problems.ready
    assert "images.npz" in problems.problems
    assert policy.look() == Answer(ready=True, edited=True)


def test_a_policy_that_is_gone_is_named(home):
    policy = Policy(home)
    (home.folder / "policy.toml").unlink()
    assert policy.look() == Answer(
        ready=False, edited=True, problems=f"{home.folder}/policy.toml: is missing"
    )


def test_the_newcomer_is_told_which_lines_to_edit_or_what_drafts_a_policy(home):
    said = "\n".join(telling.of_policy(home, Answer(ready=False, edited=False)))
    *lines, last = map(str, marked_lines())
    assert f"lines {', '.join(lines)} and {last}, which are marked <-" in said
    assert "governance policy draft models:/NAME/1 --data FOLDER --out " in said
    assert str(home.folder / "policy.toml") in said


def test_events_of_the_worker_are_told_with_their_version_and_others_are_not():
    done = {"event": "done", "version": "models:/m/1", "verdict": "undetermined", "why": "no {x}"}
    assert list(telling.of_event(done)) == ["models:/m/1: undetermined", "  no {x}"]
    assert list(telling.of_event({"event": "found", "version": "models:/m/1"})) == []
