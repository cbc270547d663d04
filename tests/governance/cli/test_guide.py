"""The guide: every command has a panel, two examples that can be typed, and its exit codes."""

import shlex

import pytest
import typer

from governance.cli import app
from governance.cli.guide import FIRST_STEPS, GUIDE

PROGRAM = typer.main.get_command(app)
PANELS = 5


def commands(group=PROGRAM, path=""):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


COMMANDS = dict(commands())


def test_every_command_is_in_the_guide_and_nothing_else_is():
    assert set(GUIDE) == set(COMMANDS)
    assert len({guide.panel for guide in GUIDE.values()}) == PANELS


@pytest.mark.parametrize("name", GUIDE)
def test_the_examples_of_a_command_name_options_that_it_has(name):
    for example in GUIDE[name].examples:
        words = shlex.split(example)
        assert " ".join(words).startswith(f"governance {name}")
        options = [word for word in words if word.startswith("-")]
        known = {
            option
            for item in COMMANDS[name].params
            for option in (*item.opts, *item.secondary_opts)
        }
        assert set(options) <= known
    assert len(set(GUIDE[name].examples)) == 2


@pytest.mark.parametrize("name", GUIDE)
def test_the_examples_of_a_command_give_what_it_needs(name):
    for example in GUIDE[name].examples:
        given = shlex.split(example)[1 + len(name.split()) :]
        for item in COMMANDS[name].params:
            if item.required and item.param_type_name == "option":
                assert set(item.opts) & set(given), item.name
            if item.required and item.param_type_name == "argument":
                assert not given[0].startswith("-")


@pytest.mark.parametrize("name", GUIDE)
def test_a_shell_reads_the_help_of_a_command_as_its_examples(name):
    shown, _, codes = COMMANDS[name].epilog.partition("Exit codes:")
    assert max(map(len, shown.splitlines())) <= 78
    typed = shown.removeprefix("Examples:").replace("\\\n", " ").strip().split("$ ")[1:]
    assert tuple(map(shlex.split, typed)) == tuple(map(shlex.split, GUIDE[name].examples))
    assert {"0", "2", "3"} <= set(codes.split())


def test_the_first_steps_are_commands_of_the_program():
    typed = [line.split()[2] for line in FIRST_STEPS.splitlines() if line.startswith("  $ ")]
    assert set(typed) <= set(PROGRAM.commands)
    assert PROGRAM.epilog == FIRST_STEPS


def test_help_lists_what_a_beginner_needs_first():
    listed = PROGRAM.list_commands(None)
    assert listed[: listed.index("gate") + 1] == [
        name for name in ("demo", "up", "policy", "assess", "gate") if name in listed
    ]
    assert set(listed) == set(PROGRAM.commands)
