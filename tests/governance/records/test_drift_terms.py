"""Drift terms: the table [drift] of a policy, its defaults and all its problems at once."""

import pytest

from governance.records.drift_terms import DriftTerms, Envelope, read_drift
from governance.records.toml_reader import parse

FULL = """
[drift]
tolerance = 0.05
alpha = 0.2
statistics = ["rank", "region:corner"]
references = "lineage"
budget = 0.3
[drift.regions]
corner = [0, 0.0, 0.25, 0.25]
[drift.envelope]
allowed_layers = []
data = ["digits"]
drift = 0.1
"""


def read(text):
    reader = parse(text, "policy.toml")
    terms = read_drift(reader)
    return terms, reader.problems


def test_a_policy_without_the_table_looks_for_no_drift():
    assert read("title = 'x'") == (None, [])


def test_an_empty_table_takes_the_defaults():
    assert read("[drift]") == (DriftTerms(), [])


def test_everything_written_is_read():
    terms, problems = read(FULL)
    assert problems == []
    assert terms == DriftTerms(
        tolerance=0.05,
        alpha=0.2,
        statistics=("rank", "region:corner"),
        regions={"corner": (0.0, 0.0, 0.25, 0.25)},
        references="lineage",
        budget=0.3,
        envelope=Envelope(allowed_layers=(), data=("digits",), drift=0.1),
    )


def test_all_problems_are_reported_at_once_with_their_places():
    text = """
    [drift]
    tolerance = 0
    alpha = 1.5
    statistics = "rank"
    references = "others"
    budget = "much"
    stray = 1
    [drift.regions]
    "Top Left" = [0, 0, 1, 1]
    upside = [0.5, 0, 0.25, 1]
    outside = [0, 0, 1, 2]
    three = [0, 0, 1]
    [drift.envelope]
    allowed = 1
    """
    _, problems = read(text)
    places = [problem.split(": ")[1] for problem in problems]
    assert sorted(places) == sorted(
        ["drift.alpha", "drift.tolerance", "drift.statistics", "drift.references", "drift.budget",
         "drift.stray", "drift.regions.Top Left", "drift.regions.upside", "drift.regions.outside",
         "drift.regions.three", "drift.envelope.drift", "drift.envelope.allowed"]
    )  # fmt: skip


@pytest.mark.parametrize("table", ["drift = 1", "[drift]\nregions = 1", "[drift]\nenvelope = 1"])
def test_something_else_than_a_table_is_refused(table):
    _, problems = read(table)
    assert any("a table is accepted" in problem for problem in problems)
