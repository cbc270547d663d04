"""The mapping to controls says what supports them, what a person stated, and what is not here."""

import dataclasses
import re
from importlib.resources import files

import pytest

from governance import analyses
from governance.records.card import STATEMENTS, Card
from governance.records.decision import judge
from governance.records.policy import declared
from reports.controls import catalogue, controls
from reports.html import to_html


def rows_of(assessment, policy_fixed=None):
    found = controls(assessment, policy_fixed)
    return {row.control.id: row for _, rows in found.rows for row in rows}


def stated(assessment, **statements):
    policy = dataclasses.replace(assessment.policy, card=Card(**statements))
    return dataclasses.replace(assessment, policy=policy)


def test_every_entry_names_what_there_is():
    known = {name: analyses.metrics(name) for name in analyses.names()}
    frameworks = catalogue().frameworks

    ids = [framework.id for framework in frameworks]
    assert len(set(ids)) == len(ids)
    for framework in frameworks:
        assert framework.superseded_by in {"", *ids}
        assert framework.source.startswith("https://")
        assert framework.effective_from is not None
        assert framework.checked_on >= framework.effective_from or framework.id.startswith("eu-ai")
        assert framework.checked in {"source", "secondary", "knowledge"}
        # A reader must know what was not looked up in the document itself.
        assert framework.checked == "source" or framework.note
        named = [control.id for control in framework.controls]
        assert len(set(named)) == len(named)
        for control in framework.controls:
            assert set(control.card) <= set(STATEMENTS)
            for name in control.evidence:
                analysis, _, metric = name.partition(".")
                assert analysis == "drift" or analysis in known
                assert not metric or declared(metric, known[analysis]) is not None


def test_no_clause_is_copied_and_nothing_is_called_fulfilled():
    text = files("reports").joinpath("controls.toml").read_text(encoding="utf-8")

    assert "complian" not in text.lower()
    assert "shall" not in text.lower()
    assert all(len(heading) < 80 for heading in re.findall(r'heading = "(.*)"', text))


def test_a_superseded_framework_is_not_printed(assessment):
    assert "sr-11-7" not in {framework.id for framework, _ in controls(assessment).rows}


def test_readings_follow_from_evidence_and_statements(assessment):
    row = rows_of(assessment)

    assert row["Article 12"].reading == "not by this tool"
    assert row["Article 14"].reading == "no evidence"
    assert row["Article 15"].reading == "partly"
    assert row["MEASURE 2.1"].reading == "supported"
    assert row["MEASURE 2.7"].reading == "no evidence"  # nothing was verified here
    assert rows_of(stated(assessment, users="Clerks"))["Article 14"].reading == "stated"


def test_figures_say_whether_the_requirement_on_them_is_met(assessment):
    supported = rows_of(assessment)["Article 15"].supported

    assert any(re.search(r"Recall of the lowest class .* \(not met\)", item) for item in supported)


def test_withdrawn_evidence_supports_nothing(withdrawn):
    row = rows_of(withdrawn)["MEASURE 2.9"]

    assert not any("ufficient" in item for item in row.supported)
    assert "genetic explanation" in row.missing


def test_no_measurement_supports_nothing(assessment):
    bare = dataclasses.replace(assessment, evidence=(), decision=judge(assessment.policy, ()))

    assert {row.reading for row in rows_of(bare).values()} <= {
        "not by this tool", "no evidence", "partly", "supported",
    }  # fmt: skip
    assert rows_of(bare)["Article 15"].reading == "no evidence"
    assert rows_of(bare)["MEASURE 2.1"].reading == "partly"  # the record alone


@pytest.mark.parametrize("fixed", [None, "2026-11-21T08:00:00+00:00"])
def test_both_times_are_told_where_they_are_known(assessment, fixed):
    times = controls(assessment, fixed).times

    assert "assessed at 2026-11-22 01:45:00 UTC" in times
    assert ("fixed at 2026-11-21 08:00:00 UTC, before anything was measured" in times) == bool(
        fixed
    )
    assert ("not asked for" in times) == (fixed is None)


def test_the_report_prints_the_mapping_with_statements_escaped(assessment):
    page = to_html(stated(assessment, owner="<b>Ann</b>", risk_tier="high", training_data="own"))

    assert "stated by &lt;b&gt;Ann&lt;/b&gt;" in page
    assert "Data and data governance" in page
    assert "<b>Ann" not in page
