"""CHAI: an applied model card of the Coalition for Health AI, in XML.

The card asks for much that no measurement can say. What the owner stated in the policy's `[card]`
is told as that; all else reads "not stated", and what this tool does not assess reads so.

Source: Coalition for Health AI, applied model card, schema v0.2.
"""

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from governance.records.assessment import Assessment
from governance.records.numbers import moment
from reports.card_view import NOT_STATED, CardView, Figure, card_view
from reports.prose import printable

__all__ = ["render"]

NAMESPACE = "https://mc.chai.org/v0.2/schema.xsd"
NOT_ASSESSED = "not assessed by this tool"
FAIRNESS = frozenset({"performance.recall_worst", "performance.classes_short"})
#: Figures of a block of the card.
MOST = 100


def render(assessment: Assessment) -> str:
    """An applied model card in XML; equal assessments give equal texts."""
    view = card_view(assessment)
    root = ET.Element("AppliedModelCard", xmlns=NAMESPACE)
    _texts(root, "BasicInfo", ModelName=view.name, ModelDeveloper=NOT_STATED,
           DeveloperContact=f"owner: {view.statements['owner']}")  # fmt: skip
    _texts(root, "ReleaseInfo", ReleaseStage=f"assessed: {assessment.decision.verdict}",
           ReleaseDate=NOT_STATED, ReleaseVersion=view.version,
           GlobalAvailability=NOT_STATED)  # fmt: skip
    summary = _texts(root, "ModelSummary", Summary=view.sentence)
    _texts(summary, "Keywords", Keyword="image classification")
    _uses(root, view)
    _ingredients(root, view)
    _key_metrics(root, view)
    _texts(root, "Resources", EvaluationReferences=f"assessment {assessment.digest}",
           PeerReviewedPublications=NOT_STATED, PatientConsentOrDisclosure=NOT_STATED)  # fmt: skip
    ET.SubElement(root, "Bibliography").text = NOT_STATED
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _uses(root: ET.Element, view: CardView) -> None:
    stated = view.statements
    _texts(
        root, "UsesAndDirections", IntendedUseAndWorkflow=stated["purpose"],
        PrimaryIntendedUsers=stated["users"], HowToUse=NOT_STATED,
        TargetedPatientPopulation=NOT_STATED, CautionedOutOfScopeSettings=stated["out_of_scope"],
    )  # fmt: skip
    gaps = "; ".join(f"not assessed: {item.subject} ({item.reason})" for item in view.limits)
    risks = [item.consequence for item in view.findings if item.open and item.consequence]
    _texts(
        root, "Warnings", KnownRisksAndLimitations=" ".join([*risks, gaps]).strip(),
        KnownBiasesOrEthicalConsiderations=f"groups of people: {NOT_ASSESSED}",
        ClinicalRiskLevel=stated["risk_tier"],
    )  # fmt: skip


def _ingredients(root: ET.Element, view: CardView) -> None:
    stated, classes = view.statements, view.assessment.validation.class_names
    trust = ET.SubElement(root, "TrustIngredients")
    _texts(
        trust, "AISystemFacts", OutcomesAndOutputs=f"one of {len(classes)} classes",
        ModelType="image classifier", InputDataSource=NOT_STATED,
        OutputAndInputDataTypes="input: image; output: class",
        DevelopmentDataCharacterization=stated["training_data"],
        BiasMitigationApproaches=NOT_STATED, OngoingMaintenance=stated["monitoring"],
        Security=f"model files {view.assessment.identity.artifact_digest}",
    )  # fmt: skip
    _texts(trust, "TransparencyInformation", FundingSource=NOT_STATED,
           StakeholdersConsulted=NOT_STATED)  # fmt: skip


def _key_metrics(root: ET.Element, view: CardView) -> None:
    block = ET.SubElement(root, "KeyMetrics")
    useful = [item for item in view.figures if item.metric.startswith("performance.")]
    fair = [item for item in useful if item.class_name is not None or item.metric in FAIRNESS]
    safe = [item for item in view.figures if item not in useful]
    plain = [item for item in useful if item not in fair]
    goals = {
        "UsefulnessUsabilityEfficacy": ("Whether the images are recognised", plain),
        "FairnessEquity": ("Whether each class is recognised; not groups of people", fair),
        "SafetyReliability": ("Whether data, reasons and changes are as required", safe),
    }
    for name, (goal, figures) in goals.items():
        _metrics(ET.SubElement(block, name), view, goal, figures)


def _metrics(block: ET.Element, view: CardView, goal: str, figures: Sequence[Figure]) -> None:
    assessment = view.assessment
    ET.SubElement(block, "MetricGoal").text = goal
    results = ET.SubElement(block, "Results")
    for figure in figures[:MOST]:
        value = {"kind": "single", "value": figure.value}
        label = f"{figure.name} ({figure.metric})"
        _texts(results, "MetricResult", Label=label, ValueJson=json.dumps(value))
    if not figures:
        _texts(results, "MetricResult", Label="not measured", ValueJson="null")
    told = "; ".join(f"{item.name}: {item.text}" for item in figures[:MOST])
    images = f"{assessment.validation.images} images, {assessment.validation.digest}"
    for name, text in {
        "Interpretation": told or "nothing was measured",
        "TestType": "measured on labelled validation images",
        "TestingDataDescription": images,
        "ValidationProcessAndJustification": f"policy {assessment.policy.title!r}, assessed "
        f"{moment(assessment.created)}",
    }.items():
        ET.SubElement(block, name).text = printable(text)


def _texts(parent: ET.Element, name: str, /, **texts: str) -> ET.Element:
    """An element with an element for each text, in their order."""
    element = ET.SubElement(parent, name)
    for key, text in texts.items():
        ET.SubElement(element, key).text = printable(text)
    return element
