"""History: what was recorded of a network while it was trained, as metrics of its training run."""

import time
from collections.abc import Iterable, Mapping

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

from governance.errors import RegistryError
from governance.registry.metric_names import metric_name
from governance.registry.versions import MISSING, refusals

__all__ = ["Curve", "log_signs", "named", "recorded"]

#: Of one sign, as (step, value) in order of steps.
Curve = tuple[tuple[int, float], ...]

PREFIX = "learning."
AT_ONCE = 500  # MLflow takes 1,000 and a request of 1 MB
MOST = 5000  # metrics of one run that are read; each is a request


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


def named(found: Mapping[str, Curve], names: Iterable[str]) -> dict[str, Curve]:
    """Curves by the name of their sign, from curves by the key that MLflow has them under.

    Returns:
        Only signs that were recorded.
    """
    keys = {name: metric_name(f"{PREFIX}{name}") for name in names}
    return {name: found[key] for name, key in keys.items() if key in found}


def recorded(run_id: str | None) -> dict[str, Curve]:
    """The signs that a training run recorded, by key of the metric.

    A step that was recorded twice, as in a run that was resumed, counts as recorded last.

    Args:
        run_id: Of the training run; None where unknown.

    Returns:
        Nothing where the run is unknown or was deleted for good.

    Raises:
        RegistryError: If MLflow cannot be asked, or the run has more than `MOST` such metrics.
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
        keys = [key for key in known if key.startswith(PREFIX)]
        if len(keys) > MOST:
            raise RegistryError(
                f"run {run_id}: has {len(keys)} metrics {PREFIX}*; up to {MOST} are accepted"
            )
        found = {key: client.get_metric_history(run_id, key) for key in keys}
    return {key: _in_order(points) for key, points in found.items()}


def _in_order(points: Iterable[Metric]) -> Curve:
    latest = {
        point.step: float(point.value) for point in sorted(points, key=lambda item: item.timestamp)
    }
    return tuple(sorted(latest.items()))
