"""Model card: an assessment as Hugging Face's model card, Markdown with a head of metadata.

Source: Hugging Face Hub documentation, "Model Cards" and the metadata specification in it.
"""

import json
from collections.abc import Iterator
from typing import Any

from governance.records.assessment import Assessment
from governance.records.numbers import moment
from reports.card_view import CardView, Figure, card_view
from reports.markdown import plain
from reports.prose import printable

__all__ = ["render"]

#: Metrics that the Hub knows, by ours.
TYPES = {"performance.accuracy": "accuracy", "performance.brier": "brier_score"}
PLAIN = "performance."
LONGEST = 2000


def render(assessment: Assessment) -> str:
    """A model card in Markdown; equal assessments give equal texts."""
    view = card_view(assessment)
    # JSON is YAML, and no text in it can end its line.
    head = "\n".join(f"{key}: {json.dumps(value)}" for key, value in _metadata(view).items())
    return f"---\n{head}\n---\n" + "".join(f"{line}\n" for line in _body(view))


def _metadata(view: CardView) -> dict[str, Any]:
    images = {"name": "validation images", "type": "private"}
    return {
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "mlflow-governance"],
        "model-index": [
            {
                "name": view.name,
                "results": [
                    {
                        "task": {"type": "image-classification"},
                        "dataset": images,
                        "metrics": [
                            _metric(item) for item in view.figures if item.metric.startswith(PLAIN)
                        ],
                    }
                ],
            }
        ],
    }


def _metric(figure: Figure) -> dict[str, Any]:
    name = figure.name if figure.interval is None else f"{figure.name}, {figure.text}"
    return {"type": TYPES.get(figure.metric, figure.metric), "value": figure.value, "name": name}


def _body(view: CardView) -> Iterator[str]:
    stated = {key: plain(text, LONGEST) for key, text in view.statements.items()}
    yield f"# {plain(view.name)}, version {plain(view.version)}"
    yield ""
    yield plain(view.sentence, LONGEST)
    for title, text in (
        ("Model details", f"Owner: {stated['owner']}. Risk tier: {stated['risk_tier']}."),
        ("Uses", f"Intended purpose: {stated['purpose']}. Users: {stated['users']}."),
        ("Out-of-scope uses", stated["out_of_scope"]),
        ("Training data", stated["training_data"]),
        ("Monitoring", stated["monitoring"]),
    ):
        yield from ("", f"## {title}", "", text)
    yield from ("", "## Evaluation", "")
    yield from _evaluation(view)
    yield from ("", "## Risks and limitations", "")
    for item in view.findings:
        if item.open:
            yield f"- **{item.word}** ({item.severity}): {plain(item.sentence, LONGEST)}"
    for gap in view.limits:
        yield f"- not assessed: {plain(gap.subject)}: {plain(gap.reason)}"


def _evaluation(view: CardView) -> Iterator[str]:
    assessment = view.assessment
    validation = assessment.validation
    yield (
        f"Assessed {moment(assessment.created)} on {validation.images} images of "
        f"{len(validation.class_names)} classes under the policy "
        f"{plain(printable(assessment.policy.title))}. Record {assessment.digest}, weights "
        f"{assessment.identity.digest}."
    )
    yield ""
    yield "| Requirement | Bound | Measured | Outcome |"
    yield "|---|---|---|---|"
    for item in view.findings:
        span = f" ({item.interval})" if item.interval else ""
        cells = (item.name, item.requirement, f"{item.value}{span}", item.word)
        yield f"| {' | '.join(map(plain, cells))} |"
