"""Evaluator: assesses a model where `mlflow.models.evaluate` is called.

```
mlflow.models.evaluate(
    model="models:/m-<id>", data=mlflow.data.from_image_manifest("photos.csv"),
    model_type="image-classifier", evaluators="governance",
    evaluator_config={"policy": "policy.toml"},
)
```

It shows before a model is registered what an assessment would say, on images that the caller names.
The gate does not read the result: it relies on records of `governance assess` and the worker alone.
"""

import json
import logging
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from mlflow.models import EvaluationResult
from mlflow.models.evaluation.base import ModelEvaluator

if TYPE_CHECKING:
    from governance.records.assessment import Assessment
    from governance.records.image_terms import ImageTerms

__all__ = ["GovernanceEvaluator"]

MODEL_TYPE = "image-classifier"
FOLDER, RECORD = "governance", "assessment.json"
KEYS = ("policy", "model_uri", "root", "class_names", "device")
TAG_LENGTH = 4000
METRICS_AT_ONCE = 500  # MLflow takes 1,000 and a request of 1 MB


logger = logging.getLogger(__name__)


class GovernanceEvaluator(ModelEvaluator):  # type: ignore[misc] # MLflow has no types
    """Assesses an image classifier on a table of `path` and label.

    `evaluator_config` takes `policy` (a file; needed), `model_uri` where MLflow does not know the
    model's id, `root` (folder that the paths start at), `class_names` in the order of the model's
    outputs, and `device`.
    """

    @classmethod
    def can_evaluate(cls, *, model_type: str, **_others: Any) -> bool:
        """Whether the model type is `image-classifier`; MLflow asks about every model."""
        return model_type == MODEL_TYPE

    def evaluate(
        self,
        *,
        dataset: Any,
        run_id: str,
        evaluator_config: dict[str, Any] | None,
        model_id: str | None = None,
        **_others: Any,
    ) -> EvaluationResult:
        """Assess the model under the policy, and log reports and evidence with the run.

        Returns:
            The measured metrics by their full names, and the record as an artifact.

        Raises:
            MlflowException: 400 with all problems, if policy, model and images do not go together.
        """
        from governance.errors import GovernanceError

        config = dict(evaluator_config or {})
        try:
            with TemporaryDirectory(prefix="governance-") as scratch:
                assessment, unprinted = _assessed(config, dataset, model_id, Path(scratch))
                record = json.loads((Path(scratch) / FOLDER / RECORD).read_bytes())
                client = MlflowClient()
                client.log_artifacts(run_id, str(Path(scratch) / FOLDER), FOLDER)
        except GovernanceError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        client.set_tag(run_id, "governance.verdict", assessment.decision.verdict)
        if unprinted:
            client.set_tag(run_id, "governance.unprinted", unprinted[:TAG_LENGTH])
            logger.warning(
                "the assessment is kept in run %s and its reports are not: %s", run_id, unprinted
            )
        metrics = _metrics(assessment)
        if model_id is None:  # else MLflow logs them, with the model
            _log(client, run_id, metrics)
        # Here, since it loads what draws, and MLflow loads every evaluator.
        from mlflow.models.evaluation.artifacts import JsonEvaluationArtifact

        kept = JsonEvaluationArtifact(uri=f"runs:/{run_id}/{FOLDER}/{RECORD}", content=record)
        return EvaluationResult(metrics=metrics, artifacts={"governance": kept})


def _assessed(
    config: dict[str, Any], dataset: Any, model_id: str | None, scratch: Path
) -> "tuple[Assessment, str | None]":
    """The assessment of the model on the table's images, kept in the folder.

    Returns:
        The assessment, and why its reports could not be printed (None if they are there).
    """
    from dataclasses import replace

    from governance import registry
    from governance.errors import SubjectError
    from governance.registry.materials import gather
    from governance.workflows import orchestration
    from governance.workflows.assessing import keep, measure

    unknown = sorted(set(config) - set(KEYS))
    if unknown or "policy" not in config:
        raise SubjectError(
            f"evaluator_config: {', '.join(unknown) or 'no policy'}; {', '.join(KEYS)} are "
            "accepted, and policy is needed"
        )
    uri = config.get("model_uri") or (f"models:/{model_id}" if model_id else None)
    if uri is None:
        raise SubjectError(
            "the model has no id; model='models:/m-<id>' is accepted, and model_uri in "
            "evaluator_config"
        )
    policy = orchestration.read_policy(Path(config["policy"]))
    validation = _images(dataset, config, policy.images)
    # The images are the table's, whatever the policy names.
    policy = replace(policy, validation=validation.location)
    materials = gather(registry.resolve(uri), policy, scratch / "subject")
    assessment = measure(
        materials, policy, device=config.get("device", "auto"), validation=validation
    )
    return assessment, keep(assessment, scratch / FOLDER)


def _images(dataset: Any, config: dict[str, Any], terms: "ImageTerms | None") -> Any:
    from governance.errors import SubjectError
    from governance.subject.images import open_image_list

    table, labels = dataset.features_data, dataset.labels_data
    if "path" not in getattr(table, "columns", ()) or labels is None:
        raise SubjectError(
            "data: a table with the column path, and targets='label', are needed; "
            "mlflow.data.from_image_manifest makes one"
        )
    paths = [str(path) for path in table["path"]]
    if not (root := config.get("root")):
        absolute = all(Path(path).is_absolute() for path in paths)
        root = os.path.commonpath([Path(path).parent for path in paths]) if absolute else "."
    return open_image_list(
        paths,
        [str(label) for label in labels],
        root=Path(root),
        location=f"manifest {dataset.name}",
        class_names=config.get("class_names"),
        terms=terms,
    )


def _metrics(assessment: "Assessment") -> dict[str, float]:
    from governance.registry.metric_names import metric_name

    return {
        metric_name(name): value for name, value in assessment.metrics.items() if value is not None
    }


def _log(client: MlflowClient, run_id: str, metrics: dict[str, float]) -> None:
    entries = [Metric(name, value, 0, 0) for name, value in metrics.items()]
    for start in range(0, len(entries), METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=entries[start : start + METRICS_AT_ONCE])
