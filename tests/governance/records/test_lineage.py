"""Lineage: the previous version as a baseline, and entries of a history as plain data."""

import json

from versions import record

from governance.records.evidence import Interval
from governance.records.lineage import History, HistoryEntry, Lineage


def test_without_a_previous_version_there_is_no_baseline():
    assert Lineage().baseline is None


def test_the_baseline_is_what_the_previous_version_recorded():
    previous = record("1", seed=1)
    found = Lineage(previous=previous).baseline
    assert found.identity == previous.identity
    assert found.assessment_digest == previous.digest
    assert found.validation_digest == previous.validation.digest
    assert (found.verdict, found.metrics) == (previous.decision.verdict, previous.metrics)


def test_a_history_is_plain_data():
    ends = Interval(low=0.1, high=0.3, n=60)
    entry = HistoryEntry(
        version="1", verdict="approved", metrics={"performance.accuracy": 0.9},
        to_previous=(0.2, ends),
    )  # fmt: skip
    data = json.loads(json.dumps(History(name="m", entries=(entry,)).summary()))
    assert data["entries"][0]["to_previous"][0] == 0.2
    assert data["entries"][0]["to_previous"][1]["high"] == 0.3
    assert entry.accuracy == (0.9, None)
    assert entry.measured("absent") == (None, None)
