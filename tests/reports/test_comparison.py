"""The page of a comparison: the answers in words, safe to open, and refused where there is none."""

from dataclasses import replace

import pytest
import versions
from versions import record

from governance.drift import about, compared
from governance.errors import EvidenceError
from governance.records.drift_terms import DriftTerms
from governance.records.evidence import Evidence
from governance.records.lineage import Lineage
from governance.records.version_ref import VersionRef
from reports.comparison import to_html


@pytest.fixture(scope="module")
def assessment():
    """Version 2 held against version 1 and nine harmless runs."""
    lineage = Lineage(previous=record("1", seed=1), references=tuple(versions.harmless(9)))
    new = record("2", seed=2, classes=versions.CLASSES)
    _, found = compared(new, lineage, DriftTerms())
    evidence = Evidence(
        analysis="drift", about=about(), parameters={}, seed=0, seconds=1.0, device="records",
        measurement=found,
    )  # fmt: skip
    return replace(new, evidence=(*new.evidence, evidence), baseline=lineage.baseline)


def test_the_answers_stand_in_words_beside_what_they_rest_on(assessment):
    page = to_html(assessment)
    for text in (
        "Is anything different?", "Like one more harmless run?", "Inside what is tolerated?",
        "models:/tiny/1", "among the 9 reference runs", "Self-tests of the detector",
    ):  # fmt: skip
        assert text in page, text


def test_every_answer_is_printed_once(assessment):
    page = to_html(assessment)
    assert page.count("Equivalence: ") == 1
    assert page.count("Exchangeability with harmless runs: ") == 1


def test_names_of_models_are_text(assessment):
    ref = VersionRef(name="<b>x</b>", version="1", created=1)
    hostile = replace(assessment.identity, uri="<script>alert(1)</script>", ref=ref)
    page = to_html(replace(assessment, identity=hostile))
    assert "<script>" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page


def test_a_withdrawn_comparison_says_so_first(assessment):
    last = assessment.evidence[-1]
    gone = replace(last, measurement=replace(last.measurement, withdrawn=("A/A failed.",)))
    page = to_html(replace(assessment, evidence=(*assessment.evidence[:-1], gone)))
    assert "This evidence is withdrawn" in page
    assert "A/A failed." in page


def test_without_a_comparison_there_is_no_page(assessment):
    with pytest.raises(EvidenceError, match="holds no comparison"):
        to_html(replace(assessment, evidence=assessment.evidence[:-1]))
