"""History: what was recorded of a network while it was trained, as metrics of its training run."""

import time
from collections.abc import Iterable, Mapping

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

from governance.errors import RegistryError
from governance.registry.recording import metric_name
from governance.registry.versions import MISSING, refusals

__all__ = ["curves", "log_signs"]

PREFIX = "learning."
AT_ONCE = 500  # MLflow takes 1,000 and a request of 1 MB


def log_signs(signs: Mapping[str, float], step: int, run_id: str | None = None) -> None:
    """Log the signs of one epoch as metrics `learning.<sign>` of a training run.

    Args:
        signs: Value by name.
        step: The epoch.
        run_id: The run; the active one if not given.

    Raises:
        RegistryError: If there is no run, or MLflow refuses.
    """
    active = mlflow.active_run()
    if run_id is None and active is None:
        raise RegistryError(
            "no MLflow run is active; recording inside `with mlflow.start_run():`, or with run_id, "
            "is accepted"
        )
    run = run_id or active.info.run_id
    now = int(time.time() * 1000)
    metrics = [
        Metric(metric_name(f"{PREFIX}{name}"), value, now, step) for name, value in signs.items()
    ]
    with refusals(f"run {run}: logging epoch {step}"):
        for start in range(0, len(metrics), AT_ONCE):
            MlflowClient().log_batch(run, metrics=metrics[start : start + AT_ONCE])


def curves(run_id: str | None, names: Iterable[str]) -> dict[str, tuple[tuple[int, float], ...]]:
    """What a training run recorded, as (step, value) in order of steps, by name of the sign.

    A step that was recorded twice, as in a run that was resumed, counts as recorded last.

    Args:
        run_id: Of the training run; None where unknown.
        names: The signs to look for.

    Returns:
        Only signs that were recorded; nothing where the run is unknown or was deleted for good.

    Raises:
        RegistryError: If MLflow cannot be asked.
    """
    if run_id is None:
        return {}
    client = MlflowClient()
    with refusals(f"run {run_id}: reading its history"):
        try:
            known = client.get_run(run_id).data.metrics
        except MlflowException as error:
            if error.error_code != MISSING:
                raise
            return {}
        keys = {name: metric_name(f"{PREFIX}{name}") for name in names}
        found = {
            name: client.get_metric_history(run_id, key)
            for name, key in keys.items()
            if key in known
        }
    return {name: _in_order(points) for name, points in found.items()}


def _in_order(points: Iterable[Metric]) -> tuple[tuple[int, float], ...]:
    latest = {
        point.step: float(point.value) for point in sorted(points, key=lambda item: item.timestamp)
    }
    return tuple(sorted(latest.items()))
