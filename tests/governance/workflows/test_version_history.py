"""Histories: the plots of one; reading it from MLflow is tried on the command line."""

from governance.records.evidence import Interval
from governance.records.lineage import History, HistoryEntry
from governance.workflows.version_history import plots


def entry(number, accuracy=None, drift=None):
    ends = None if drift is None else Interval(low=drift / 2, high=2 * drift, n=60)
    metrics = {} if accuracy is None else {"performance.accuracy": accuracy}
    return HistoryEntry(
        version=str(number), verdict="approved", metrics=metrics, to_previous=(drift, ends),
        to_first=(drift, ends),
    )  # fmt: skip


def drawn(*entries):
    return [figure.name for figure in plots(History(name="m", entries=entries))]


def test_what_two_versions_have_is_drawn():
    entries = entry(1, 0.9), entry(2, 0.8, 0.1), entry(3), entry(4, 0.7, 0.2)
    assert drawn(*entries) == ["drift", "performance_accuracy"]


def test_one_point_is_no_history():
    assert drawn(entry(1, 0.9)) == []
    assert drawn(entry(1, 0.9), entry(2, None, 0.1)) == []
