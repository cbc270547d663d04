"""Verdicts: what is open comes first, in words; a verdict alone has a colour."""

import io
import sys
from dataclasses import replace

import pytest

from governance.cli import console, verdicts
from governance.records.decision import judge
from governance.records.evidence import Evidence, Interval, Measurement
from governance.records.identity import ValidationIdentity
from governance.records.policy import Expectation, ModelTerms, Policy


@pytest.fixture
def make(tiny_subject):
    """An assessment of one metric under one expectation."""
    from governance.records.assessment import Assessment  # noqa: PLC0415 - as the console does

    def made(name, value, *, interval=None, also=(), **bound):
        others = dict(also)
        policy = Policy(
            title="T", validation="v", model=ModelTerms(), analyses={},
            expectations=(
                Expectation(metric=f"performance.{name}", **bound),
                *(Expectation(metric=f"performance.{key}", **asked)
                  for key, (_, asked) in others.items()),
            ),
        )  # fmt: skip
        measurement = Measurement(
            metrics={name: value, **{key: item for key, (item, _) in others.items()}},
            intervals={name: interval} if interval else {},
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


def shown(assessment, capsys, **options):
    verdicts.show(assessment, **options)
    return capsys.readouterr().out


def test_a_long_name_stays_on_one_line_where_there_is_no_terminal(make, capsys):
    name = "recall." + "very long name " * 20 + "end"
    said = shown(make(name, 0.05, at_least=0.1), capsys)
    assert any(f"performance.{name} at least 0.1" in line for line in said.splitlines())


def test_what_is_open_is_said_first_and_in_words_and_what_is_met_only_if_asked(make, capsys):
    both = make("accuracy", 0.5, at_least=0.9, also={"nll": (0.1, {"at_most": 1.0})})
    few = shown(both, capsys)
    everything = shown(both, capsys, everything=True)
    assert few.startswith("models:/[red]tiny[/red]/1: \u2717 rejected\n")
    assert "at least 90\u202f% are required" in few
    assert (
        few.index("1. ")
        < few.index("   performance.accuracy at least 0.9\n")
        < few.index("To do: ")
    )
    assert "1 of 2 requirements are open; --all lists the others too." in few
    assert "performance.nll" not in few
    assert any(
        line.split() == ["met", "block", "performance.nll", "at", "most", "1", "0.1000"]
        for line in everything.splitlines()
    )


@pytest.mark.parametrize(
    ("value", "colour", "words"),
    [
        (0.95, "32", "\u2713 approved"),
        (0.5, "31", "\u2717 rejected"),
        (None, "33", "? undetermined"),
    ],
)
def test_the_verdict_alone_has_a_colour(make, monkeypatch, value, colour, words):
    # arrange
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for module in (console, verdicts):
        monkeypatch.setattr(module, "out", console._console(terminal))
    # act
    verdicts.show(make("accuracy", value, at_least=0.9))
    # assert
    said = terminal.getvalue()
    assert f"\x1b[1;{colour}m{words}\x1b[0m" in said
    assert said.count("\x1b") == 2


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
    said = shown(make("accuracy", value, **bound), capsys, everything=True)
    row = next(
        line for line in said.splitlines() if "performance.accuracy at" in line and line[:1] != " "
    )
    assert text in row.split()


def test_a_value_stands_with_its_interval_and_n(make, capsys):
    interval = Interval(low=0.25, high=0.99999, n=1200)
    made = make("accuracy", 0.5, interval=interval, at_least=0.1)
    said = shown(made, capsys, everything=True)
    assert "performance.accuracy at least 0.1  0.5000 [0.2500, 0.99999], n=1,200\n" in said


def test_text_from_elsewhere_is_neither_markup_nor_emoji_nor_steers_a_terminal(make, capsys):
    name = "recall.[bold]cat[/bold] :warning: \x1b[31m\x1b]0;title\x07\u202e"
    said = shown(make(name, None, at_least=0.1), capsys)
    assert "[bold]cat[/bold] :warning: \ufffd[31m\ufffd]0;title\ufffd\ufffd" in said
    assert "models:/[red]tiny[/red]/1: ? undetermined" in said
    assert "\x1b" not in said
