"""A Code Quality report holds what GitLab asks of an entry, and only what is open."""

import json

from reports.gate_view import gate_view
from reports.gitlab import render


def test_an_entry_stands_for_an_open_finding(assessment):
    found = json.loads(render(gate_view("x", assessment, policy_path="ml/policy.toml")))

    assert len(found) == 6
    for item in found:
        assert set(item) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert item["location"] == {"path": "ml/policy.toml", "lines": {"begin": 1}}
        assert item["severity"] in {"info", "minor", "major", "critical", "blocker"}
    assert len({item["fingerprint"] for item in found}) == len(found)
    assert found[0]["check_name"] == "performance.recall_worst"
    assert "at least 75" in found[0]["description"]


def test_nothing_open_is_an_empty_list(make_brief):
    assert json.loads(render(gate_view("x", make_brief()))) == []
