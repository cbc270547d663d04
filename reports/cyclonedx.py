"""CycloneDX: a bill of materials of a model version, with its model card.

Source: CycloneDX 1.7, JSON (ECMA-424), `component.modelCard`.
"""

import json
from collections.abc import Iterator
from typing import Any

from governance.records.assessment import Assessment
from reports.card_view import NOT_STATED, CardView, Figure, card_view
from reports.prose import printable

__all__ = ["render"]

SCHEMA = "http://cyclonedx.org/schema/bom-1.7.schema.json"
MODEL, IMAGES = "model", "validation-images"
#: Family of names of our own properties.
OURS = "mlflow-governance"


def render(assessment: Assessment) -> str:
    """A bill of materials in JSON; equal assessments give equal texts."""
    view = card_view(assessment)
    bom = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{view.identifier('cyclonedx')}",
        "version": 1,
        "metadata": {
            "timestamp": assessment.created,
            "tools": {"components": [_tool(view)]},
            "component": _model(view),
        },
        "components": [_images(view)],
        "dependencies": [{"ref": MODEL, "dependsOn": [IMAGES]}, {"ref": IMAGES}],
    }
    return f"{json.dumps(bom, indent=2, allow_nan=False)}\n"


def _tool(view: CardView) -> dict[str, Any]:
    tool = {"type": "application", "name": OURS}
    return {**tool, "version": view.tool} if view.tool else tool


def _model(view: CardView) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": view.name,
        "version": view.version,
        "description": view.sentence,
        "modelCard": {
            "modelParameters": {
                "task": "image classification",
                "datasets": [{"ref": IMAGES}],
                "inputs": [{"format": "image"}],
                "outputs": [{"format": "class"}],
            },
            "quantitativeAnalysis": {
                "performanceMetrics": [_metric(item) for item in view.figures]
            },
            "considerations": dict(_considerations(view)),
        },
        "properties": list(_properties(view)),
    }


def _metric(figure: Figure) -> dict[str, Any]:
    told: dict[str, Any] = {"type": figure.metric, "value": repr(figure.value)}
    if figure.class_name is not None:
        told["slice"] = f"class {figure.class_name}"
    if figure.interval is not None:
        told["confidenceInterval"] = {
            "lowerBound": repr(figure.interval.low),
            "upperBound": repr(figure.interval.high),
        }
    return told


def _considerations(view: CardView) -> Iterator[tuple[str, Any]]:
    stated = {key: text for key, text in view.statements.items() if text != NOT_STATED}
    if "users" in stated:
        yield "users", [stated["users"]]
    if "purpose" in stated:
        yield "useCases", [stated["purpose"]]
    out_of_scope = [f"Out of scope: {stated['out_of_scope']}"] if "out_of_scope" in stated else []
    gaps = [printable(f"Not assessed: {item.subject}: {item.reason}") for item in view.limits]
    yield "technicalLimitations", [*out_of_scope, *gaps]


def _images(view: CardView) -> dict[str, Any]:
    validation = view.assessment.validation
    return {
        "type": "data",
        "bom-ref": IMAGES,
        "name": "validation images",
        "description": f"{validation.images} images of {len(validation.class_names)} classes",
        "data": [{"type": "dataset", "name": "validation images"}],
        "properties": [_property("digest", validation.digest)],
    }


def _properties(view: CardView) -> Iterator[dict[str, str]]:
    assessment = view.assessment
    yield _property("verdict", assessment.decision.verdict)
    # Digests over tensors and over lists of files: no hashes of one file, as `hashes` asks for.
    yield _property("weights-digest", assessment.identity.digest)
    yield _property("model-files-digest", assessment.identity.artifact_digest)
    yield _property("assessment-digest", assessment.digest)
    yield _property("policy-digest", assessment.policy.digest)
    yield _property("policy-title", assessment.policy.title)
    for key in ("owner", "risk_tier", "training_data", "monitoring"):
        yield _property(key.replace("_", "-"), view.statements[key])
    for item in view.findings:
        name = f"finding:{item.number}:{item.metric}"
        yield _property(name, f"{item.word}, {item.severity}: {item.sentence}")


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": printable(f"{OURS}:{name}"), "value": printable(value)}
