"""Version metrics: one run for a registered model, its steps the versions' numbers."""

from mlflow import MlflowClient

from governance.records.evidence import Interval
from governance.registry import log_versions

ENDS = Interval(low=0.8, high=0.95, n=60)


def steps(run_id, key):
    found = MlflowClient().get_metric_history(run_id, key)
    return sorted((point.step, point.value) for point in found)


def test_values_and_ends_of_intervals_are_logged_by_version(mlflow_store):
    versions = {
        "1": {"performance.accuracy": (0.9, ENDS), "recall.a/b": (0.5, None), "gone": (None, None)},
        "12": {"performance.accuracy": (0.8, None)},
    }
    run_id = log_versions("m", versions, {"1": "sha256:1", "12": "sha256:12"})
    assert steps(run_id, "performance.accuracy") == [(1, 0.9), (12, 0.8)]
    assert steps(run_id, "performance.accuracy.low") == [(1, 0.8)]
    data = MlflowClient().get_run(run_id).data.metrics
    assert len(data) == 4  # the accuracy, its two ends, and the recall under a name MLflow takes
    run = MlflowClient().get_run(run_id)
    assert MlflowClient().get_experiment(run.info.experiment_id).name == "governance/m"


def test_a_record_is_logged_once_and_a_new_record_of_a_version_again(mlflow_store):
    versions = {"1": {"x": (0.1, None)}}
    run_id = log_versions("m", versions, {"1": "sha256:1"})
    assert log_versions("m", versions, {"1": "sha256:1"}) == run_id
    assert steps(run_id, "x") == [(1, 0.1)]
    log_versions("m", {"1": {"x": (0.2, None)}}, {"1": "sha256:2"})
    assert steps(run_id, "x") == [(1, 0.1), (1, 0.2)]
