"""Evaluating: what an assessment would say, where MLflow's evaluate is called."""

import json
from pathlib import Path

import assessed
import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import MetricThreshold
from PIL import Image
from precisions import FULL, seen_by_models

from governance.workflows import printing
from mlflow_plugins.evaluator import GovernanceEvaluator

# MLflow's evaluate asks pandas 3 so.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")

POLICY = assessed.POLICY + "[analyses.performance]\n"


@pytest.fixture
def logged(mlflow_store, tiny_subject):
    """A logged model, not registered."""
    import numpy as np  # noqa: PLC0415 - for this fixture alone

    with mlflow.start_run():
        return mlflow.pytorch.log_model(
            tiny_subject.network.model, name="model", pip_requirements=["torch"],
            input_example=np.zeros((2, 1, 16, 16), dtype=np.float32),
        )  # fmt: skip


@pytest.fixture
def manifest(tmp_path, tiny_subject):
    """The validation images as files, and the list of them."""
    validation = tiny_subject.validation
    lines = ["path,label"]
    for index, (image, label) in enumerate(zip(validation.images, validation.labels, strict=True)):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
        lines.append(f"{index}.png,{label} {validation.class_names[label]}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    (tmp_path / "policy.toml").write_text(POLICY)
    return tmp_path / "list.csv"


def evaluated(model, manifest, **config):
    """What MLflow's evaluate answers."""
    return mlflow.models.evaluate(
        model, mlflow.data.from_image_manifest(manifest), model_type="image-classifier",
        evaluators="governance",
        evaluator_config={"policy": str(manifest.with_name("policy.toml")), **config},
    )  # fmt: skip


@pytest.mark.slow
def test_a_logged_model_is_evaluated_and_the_record_kept_with_the_run(
    logged, manifest, tiny_subject
):
    # act
    with mlflow.start_run() as run, seen_by_models() as seen:
        result = evaluated(logged.model_uri, manifest)
    # assert
    assert seen == {FULL}
    right = (tiny_subject.predictions().argmax(1) == tiny_subject.validation.labels).mean()
    assert result.metrics["performance.accuracy"] == pytest.approx(right)
    tags = mlflow.get_run(run.info.run_id).data.tags
    assert tags["governance.verdict"] == "approved"
    record = result.artifacts["governance"]
    assert record.content["validation"]["images"] == len(tiny_subject.validation)
    kept = Path(mlflow.artifacts.download_artifacts(record.uri))
    assert json.loads(kept.read_bytes()) == record.content
    metrics = {item.key: item for item in mlflow.get_logged_model(logged.model_id).metrics}
    assert metrics["performance.accuracy"].run_id == run.info.run_id
    mlflow.validate_evaluation_results(
        {"performance.accuracy": MetricThreshold(threshold=0.5, greater_is_better=True)}, result
    )


@pytest.mark.slow
def test_where_printing_fails_the_record_is_kept_and_the_run_says_so(logged, manifest, monkeypatch):
    monkeypatch.setattr(printing, "MEMORY", 2**24)

    with mlflow.start_run() as run:
        result = evaluated(logged.model_uri, manifest)

    tags = mlflow.get_run(run.info.run_id).data.tags
    assert tags["governance.verdict"] == "approved"
    assert tags["governance.unprinted"].startswith("printing the report failed")
    record = Path(mlflow.artifacts.download_artifacts(result.artifacts["governance"].uri))
    assert json.loads(record.read_bytes())["decision"]["verdict"] == "approved"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"tpyo": 1}, "tpyo; policy, model_uri, root, class_names, device are accepted"),
        ({"model_uri": "models:/none/1"}, "no registered model 'none'"),
        ({"class_names": ["a", "b", "c"]}, "are none of the classes a, b, c"),
    ],
)
def test_what_does_not_go_together_is_refused_with_400(logged, manifest, config, wanted):
    with mlflow.start_run(), pytest.raises(MlflowException, match=wanted) as caught:
        evaluated(logged.model_uri, manifest, **config)
    assert caught.value.get_http_status_code() == 400


def test_it_is_for_its_own_kind_of_model_alone():
    def asked(kind):
        return GovernanceEvaluator.can_evaluate(model_type=kind, evaluator_config={})

    assert asked("image-classifier")
    assert not any(asked(kind) for kind in ("classifier", "regressor", "question-answering", None))
