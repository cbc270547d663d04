"""The console: names stay whole, numbers stay true, and text from elsewhere stays text."""

import io
import json
import sys
from dataclasses import replace

import pytest

from governance.cli import console
from governance.records.decision import judge
from governance.records.evidence import Evidence, Interval, Measurement, ValidationIdentity
from governance.records.policy import Expectation, ModelTerms, Policy


@pytest.fixture
def make(tiny_subject):
    """An assessment of one metric under one expectation."""
    from governance.records.assessment import Assessment  # noqa: PLC0415 - as the console does

    def made(name, value, *, interval=None, **bound):
        policy = Policy(
            title="T", validation="v", model=ModelTerms(), analyses={},
            expectations=(Expectation(metric=f"performance.{name}", **bound),),
        )  # fmt: skip
        measurement = Measurement(
            metrics={name: value}, intervals={name: interval} if interval else {}
        )
        evidence = Evidence(
            analysis="performance", about="P.", parameters={}, seed=0, seconds=1.0, device="cpu",
            measurement=measurement,
        )  # fmt: skip
        return Assessment(
            identity=replace(tiny_subject.identity, uri="models:/[red]tiny[/red]/1"),
            validation=ValidationIdentity(
                location="v", digest="sha256:0", images=1, class_names=("a",), class_counts=(1,)
            ),
            policy=policy,
            evidence=(evidence,),
            decision=judge(policy, [evidence]),
            environment={},
            created="2026-01-02T03:04:05+00:00",
        )

    return made


def shown(assessment, capsys):
    console.show(assessment)
    return capsys.readouterr().out


def test_a_long_name_stays_on_one_line_where_there_is_no_terminal(make, capsys):
    name = "recall." + "very long name " * 20 + "end"
    said = shown(make(name, 0.5, at_least=0.1), capsys)
    assert any(f"performance.{name} at least 0.1" in line for line in said.splitlines())


def test_a_narrow_terminal_breaks_a_long_name_and_cuts_nothing(make, monkeypatch):
    # arrange
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "dumb")  # 80 columns, no colours
    monkeypatch.setattr(console, "out", console._console(terminal))
    # act
    console.show(make("recall." + "z" * 100, 0.5, at_least=0.1))
    # assert
    said = terminal.getvalue()
    assert said.count("z") == 100
    assert max(map(len, said.splitlines())) <= 80
    assert "…" not in said


@pytest.mark.parametrize(
    ("value", "bound", "text"),
    [
        (0.89996, {"at_least": 0.9}, "0.89996"),
        (0.99996, {"at_least": 0.5}, "0.99996"),
        (1.0, {"at_least": 0.5}, "1"),
        (0.00004, {"at_most": 0.5}, "0.00004"),
        (0.9, {"at_least": 0.9}, "0.9000"),
        (None, {"at_least": 0.9}, "missing"),
    ],
)
def test_a_value_is_never_rounded_to_one_that_it_does_not_have(make, capsys, value, bound, text):
    said = shown(make("accuracy", value, **bound), capsys)
    row = next(line for line in said.splitlines() if "performance.accuracy at" in line)
    assert text in row.split()


def test_a_value_stands_with_its_interval_and_n(make, capsys):
    interval = Interval(low=0.25, high=0.99999, n=1200)
    said = shown(make("accuracy", 0.5, interval=interval, at_least=0.1), capsys)
    assert "0.5000 [0.2500, 0.99999], n=1,200  met" in said


def test_text_from_elsewhere_is_neither_markup_nor_emoji_nor_steers_a_terminal(make, capsys):
    name = "recall.[bold]cat[/bold] :warning: \x1b[31m\x1b]0;title\x07\u202e"
    said = shown(make(name, None, at_least=0.1), capsys)
    assert "[bold]cat[/bold] :warning: \ufffd[31m\ufffd]0;title\ufffd\ufffd" in said
    assert "models:/[red]tiny[/red]/1: undetermined" in said
    assert "\x1b" not in said


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
