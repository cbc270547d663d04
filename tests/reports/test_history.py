"""The page of a history: every version, what is missing and why, and names as text."""

from governance.records.evidence import Figure, Interval
from governance.records.lineage import History, HistoryEntry
from reports.history import to_html

ENDS = Interval(low=0.1, high=0.4, n=60)
HISTORY = History(
    name="<i>digits</i>",
    entries=(
        HistoryEntry(version="1", verdict="approved", created="2026-11-22T12:00:00+00:00",
              metrics={"performance.accuracy": 0.9}),
        HistoryEntry(version="2", verdict="review", created="2026-11-23T12:00:00+00:00",
              metrics={"performance.accuracy": 0.91}, to_previous=(0.25, ENDS),
              to_first=(0.25, ENDS), drift="INCONCLUSIVE"),
        HistoryEntry(version="3", verdict="approved, not to be relied on",
              problems=("its files <b>differ</b>",)),
    ),
)  # fmt: skip


def test_every_version_stands_with_its_verdict_and_numbers():
    page = to_html(HISTORY)
    for text in ("90\u202f%", "91\u202f%", "All images right", "0.25", "0.100 to 0.400", "n = 60",
                 "INCONCLUSIVE", "2026-11-23 12:00:00 UTC"):  # fmt: skip
        assert text in page, text
    assert "layer_prediction" not in page


def test_what_is_missing_is_said_with_its_reason():
    page = to_html(HISTORY)
    assert "Version 3: what is missing" in page
    assert "its files &lt;b&gt;differ&lt;/b&gt;" in page


def test_names_are_text_and_pictures_are_inside():
    page = to_html(HISTORY, [Figure(name="drift", caption="<u>By version</u>", image=b"PNG")])
    assert "<i>digits" not in page
    assert "<u>By" not in page
    assert "data:image/png;base64," in page
