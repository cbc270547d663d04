"""Counts, as Prometheus reads them."""

import re

from governance.worker.counts import KNOWN, Counts

LINE = re.compile(r'[a-z_]+(\{[a-z]+="(?:[^"\\\n]|\\[\\"n])*"\})? [0-9.e+-]+')


def test_every_number_has_its_meaning_and_every_line_its_form():
    counts = Counts()
    counts.add("governance_found_total", why='a "quoted"\nreason \\ of two lines')
    counts.add("governance_found_total", why="pending")
    counts.add("governance_found_total", why="pending")
    counts.put("governance_last_poll_seconds", 1.5)

    text = counts.text()

    assert 'governance_found_total{why="pending"} 2\n' in text
    assert "governance_last_poll_seconds 1.5\n" in text
    assert r'{why="a \"quoted\"\nreason \\ of two lines"} 1' in text
    for line in text.splitlines():
        assert line.startswith("# ") or LINE.fullmatch(line), line
    for name, (kind, meaning) in KNOWN.items():
        assert f"# HELP {name} {meaning}\n# TYPE {name} {kind}\n" in text


def test_what_nobody_counted_is_zero():
    assert Counts().value("governance_found_total", why="pending") == 0


def test_durations_are_a_histogram_whose_buckets_add_up():
    counts = Counts()
    for seconds in (3, 45, 45.5, 100_000):
        counts.observe("governance_assessment_seconds", seconds)

    lines = [line for line in counts.text().splitlines() if "assessment_seconds_" in line]
    found = [line.partition("_seconds_")[2] for line in lines]
    assert found[:4] == [
        'bucket{le="10"} 1', 'bucket{le="30"} 1', 'bucket{le="60"} 3', 'bucket{le="120"} 3',
    ]  # fmt: skip
    assert found[-3:] == ['bucket{le="+Inf"} 4', "sum 100093.5", "count 4"]
    assert all(LINE.fullmatch(line) for line in lines)
