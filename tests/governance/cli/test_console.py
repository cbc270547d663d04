"""The console: names stay whole, lines fit the terminal, and text from elsewhere stays text."""

import io
import json
import sys

import pytest

from governance.cli import console

NAMES = ("conflicting_near_duplicates", "preprocessing_check.better_alternatives", "z" * 100)


class Terminal(io.StringIO):
    """A terminal of 80 columns."""

    def isatty(self):
        return True


def on_a_terminal(monkeypatch, kind="dumb"):
    """Show what follows on a terminal; by default one that knows no colours."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", kind)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(console, "out", console._console(terminal))
    return terminal


def test_a_paragraph_is_broken_between_words_on_a_terminal_and_no_name_is(monkeypatch):
    terminal = on_a_terminal(monkeypatch)
    console.paragraph(" ".join([*NAMES, *("word" for _ in range(40))]), start="1. ", indent=2)
    lines = terminal.getvalue().splitlines()
    assert all(name in terminal.getvalue() for name in NAMES)
    assert lines[0].startswith("  1. ")
    assert all(line.startswith("     ") for line in lines[1:])
    assert max(len(line) for line in lines if "z" not in line) <= 80


def test_a_paragraph_is_one_line_where_there_is_no_terminal(capsys):
    console.paragraph("word " * 500 + "end")
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("under", [None, 1])
def test_a_table_that_is_too_wide_breaks_no_name(monkeypatch, under):
    terminal = on_a_terminal(monkeypatch)
    rows = [("1", *NAMES), ("2", "b", "c", "")]
    console.table(("id", "first", "second", "third"), rows, under=under)
    said = terminal.getvalue()
    assert all(name in said for name in NAMES)
    assert max(len(line) for line in said.splitlines() if "z" not in line) <= 80


def test_a_table_that_fits_has_one_line_a_row(monkeypatch):
    terminal = on_a_terminal(monkeypatch)
    console.table(("id", "name"), [("1", "a"), ("22", "\u732b")])
    assert terminal.getvalue() == "id  name\n1   a\n22  \u732b\n"


def test_a_long_table_has_one_line_a_row_where_there_is_no_terminal(capsys):
    console.table(("id", "first", "second", "third"), [("1", *NAMES)] * 3)
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_the_cells_of_a_table_are_neither_markup_nor_steer_a_terminal(capsys):
    console.table(("name",), [("[bold]x[/bold] :warning:\x1b[2J\u202e",)])
    assert capsys.readouterr().out == "name\n[bold]x[/bold] :warning:\ufffd[2J\ufffd\n"


def test_numbers_and_paths_have_no_colour(monkeypatch):
    made = on_a_terminal(monkeypatch, "xterm-256color")
    console.paragraph("models:/digits/3 has 0.92 in /tmp/x, True")
    console.print_json({"a": 1})
    assert "\x1b" not in made.getvalue()


def test_a_problem_is_one_line_on_standard_error(capsys):
    console.complain("place: [red]thing[/red] " + "what is accepted " * 30 + "\x1b[2J")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: place: [red]thing[/red] ")
    assert len(said.err.splitlines()) == 1
    assert "\x1b" not in said.err


def test_json_is_printed_whole_and_never_with_nan(capsys):
    console.print_json({"name": "[red]x :warning: é" * 50})
    assert json.loads(capsys.readouterr().out) == {"name": "[red]x :warning: é" * 50}
    with pytest.raises(ValueError, match="JSON"):
        console.print_json({"x": float("nan")})
