"""What is exported is accepted by the schema of its format, and says what the record says."""

import dataclasses
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from lxml import etree
from markdown_it import MarkdownIt

from governance.records.card import Card
from governance.records.decision import judge
from governance.records.evidence import Measurement
from governance.records.policy import Expectation
from reports import chai, cyclonedx, model_card, oscal

SCHEMAS = Path(__file__).parents[1] / "schemas"
FORMATS = (chai, cyclonedx, model_card, oscal)
NAMESPACE = "{https://mc.chai.org/v0.2/schema.xsd}"
CARD = Card(
    purpose="Reads <digits> & letters", users="Clerks", out_of_scope="Cheques", owner="Ann",
    risk_tier="low", training_data="MNIST", monitoring="Weekly",
)  # fmt: skip


def with_card(assessment, card=CARD):
    return dataclasses.replace(assessment, policy=dataclasses.replace(assessment.policy, card=card))


class NoSignature(etree.Resolver):
    """The schema of XML signatures, reduced to the element that our cards never hold."""

    def resolve(self, url, _, context):
        text = (
            '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" '
            'targetNamespace="http://www.w3.org/2000/09/xmldsig#"><xs:element name="Signature"/>'
            "</xs:schema>"
        )
        return self.resolve_string(text, context) if "xmldsig" in url else None


@pytest.fixture(scope="module")
def chai_schema():
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(NoSignature())
    return etree.XMLSchema(etree.parse(str(SCHEMAS / "chai-applied-model-card-0.2.xsd"), parser))


@pytest.fixture(scope="module")
def oscal_schema():
    text = (SCHEMAS / "oscal-assessment-results-1.0.6.json").read_text(encoding="utf-8")
    # Python's regular expressions know no classes of Unicode by these names.
    text = text.replace("\\\\p{L}", "[^\\\\W\\\\d_]").replace("\\\\p{N}", "\\\\d")
    return Draft7Validator(json.loads(text))


@pytest.fixture(scope="module")
def errors(chai_schema, oscal_schema):
    """What the schemas of all formats complain about."""

    def found(assessment):
        document = etree.fromstring(chai.render(assessment).encode())
        yield from () if chai_schema.validate(document) else map(str, chai_schema.error_log)
        for error in oscal_schema.iter_errors(json.loads(oscal.render(assessment))):
            yield f"{error.json_path}: {error.message}"
        validator = JsonStrictValidator(SchemaVersion.V1_7)
        wrong = validator.validate_str(cyclonedx.render(assessment))
        yield from () if wrong is None else [str(wrong)]

    return found


def metadata(assessment):
    _, head, _ = model_card.render(assessment).split("---\n", 2)
    return yaml.safe_load(head)


@pytest.mark.parametrize("card", [None, CARD, Card()])
def test_the_schema_of_each_format_accepts_it(assessment, withdrawn, make_brief, errors, card):
    for record in (assessment, withdrawn, make_brief()):
        assert list(errors(with_card(record, card))) == []


def test_a_schema_refuses_what_is_wrong(assessment, oscal_schema, chai_schema):
    results = json.loads(oscal.render(assessment))
    results["assessment-results"]["results"][0]["findings"][0]["target"]["target-id"] = "7 x"
    card = chai.render(assessment).replace("ModelName>", "Name>")

    assert list(oscal_schema.iter_errors(results))
    assert not chai_schema.validate(etree.fromstring(card.encode()))


@settings(deadline=None, max_examples=12)
@given(text=st.text(min_size=1, max_size=30))
def test_any_text_is_accepted(assessment, errors, text):
    evidence = dataclasses.replace(
        assessment.evidence[3], measurement=Measurement(metrics={text: 0.1, "accuracy": 0.5})
    )
    policy = dataclasses.replace(
        assessment.policy,
        title=text,
        card=Card(purpose=text, owner=text),
        expectations=(Expectation(metric=f"performance.{text}", at_least=0.5, rationale=text),),
    )
    changed = dataclasses.replace(
        assessment, evidence=(evidence,), policy=policy, decision=judge(policy, (evidence,))
    )

    assert list(errors(changed)) == []
    assert metadata(changed)["pipeline_tag"] == "image-classification"


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.__name__)
def test_equal_assessments_give_equal_texts_with_verdict_and_digest(make_sample, form):
    text = form.render(make_sample())

    assert text == form.render(make_sample())
    assert make_sample().digest in text
    assert "ejected" in text
    assert "complian" not in text.lower()


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.__name__)
def test_statements_of_the_owner_are_in_it_and_nothing_stands_in_for_them(assessment, form):
    assert "not stated" in form.render(assessment) or form is oscal
    text = form.render(with_card(assessment))
    assert form is oscal or all(word in text for word in ("MNIST", "Clerks", "Cheques", "Ann"))


def test_figures_are_those_of_the_record(assessment):
    bom = json.loads(cyclonedx.render(assessment))
    told = bom["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]

    found = {item["type"]: float(item["value"]) for item in told}

    measured = {name: value for name, value in assessment.metrics.items() if value is not None}
    assert found
    assert {name: measured[name] for name in found if name in measured} == {
        name: value for name, value in found.items() if name in measured
    }
    accuracy = next(item for item in told if item["type"] == "performance.accuracy")
    interval = assessment.intervals["performance.accuracy"]
    assert float(accuracy["confidenceInterval"]["lowerBound"]) == interval.low
    card = {
        item["type"]: item["value"]
        for item in metadata(assessment)["model-index"][0]["results"][0]["metrics"]
    }
    assert card["accuracy"] == measured["performance.accuracy"]


def test_withdrawn_evidence_gives_no_figure(withdrawn):
    bom = json.loads(cyclonedx.render(withdrawn))
    told = bom["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]

    assert not [item for item in told if item["type"].startswith("genetic_explanation.")]


def test_an_expectation_is_satisfied_in_oscal_only_where_it_is_met(assessment):
    (result,) = json.loads(oscal.render(assessment))["assessment-results"]["results"]

    states = [item["target"]["status"]["state"] for item in result["findings"]]

    met = sum(item.outcome == "met" for item in assessment.decision.findings)
    assert states.count("satisfied") == met
    assert states.count("not-satisfied") == len(assessment.decision.findings) - met
    observed = {item["uuid"] for item in result["observations"]}
    assert all(
        item["related-observations"][0]["observation-uuid"] in observed
        for item in result["findings"]
    )


def test_what_does_not_apply_is_no_finding_of_oscal(assessment):
    first, *_ = assessment.decision.findings
    first = dataclasses.replace(first, outcome="inapplicable", observed=None, reason="a first one")
    decision = dataclasses.replace(assessment.decision, findings=(first,))

    (result,) = json.loads(oscal.render(dataclasses.replace(assessment, decision=decision)))[
        "assessment-results"
    ]["results"]

    assert "findings" not in result
    assert "not applicable" in result["observations"][0]["description"]


def test_markdown_of_the_card_does_nothing(assessment):
    harmful = with_card(
        assessment, Card(purpose="<script>x</script> [a](javascript:b)", owner="@me")
    )
    _, _, body = model_card.render(harmful).split("---\n", 2)

    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(body)

    assert not re.search(r"<script|<a |<img", page)
    assert page.count("<h1>") == 1


def test_a_block_of_chai_without_a_measurement_says_so(make_brief):
    root = ET.fromstring(chai.render(make_brief()))  # noqa: S314 - written here
    block = root.find(f".//{NAMESPACE}SafetyReliability")

    assert block.find(f".//{NAMESPACE}Label").text == "not measured"
    assert block.find(f".//{NAMESPACE}ValueJson").text == "null"
