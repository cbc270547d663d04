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
