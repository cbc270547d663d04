"""Version metrics: a registered model's history as metrics whose step is the version's number.

One run per registered model holds them, so that MLflow's own charts draw the history.
"""

import time
from collections.abc import Iterator, Mapping

from mlflow import MlflowClient
from mlflow.entities import Metric

from governance.records.lineage import Measured
from governance.registry.metric_names import metric_name
from governance.registry.recording import experiment
from governance.registry.versions import refusals

__all__ = ["log_versions"]

METRICS_AT_ONCE = 500  # MLflow takes 1,000 and a request of 1 MB
#: Of the run: that it is the history; and for each version which record its metrics are from.
HISTORY = "governance.history"


def log_versions(
    name: str, versions: Mapping[str, Mapping[str, Measured]], digests: Mapping[str, str]
) -> str:
    """Log metrics by version; what was logged of a record before is not logged again.

    Args:
        name: Of the registered model.
        versions: Value and interval by metric, by number of the version.
        digests: Of what the metrics of a version are taken from; others are logged anew.

    Returns:
        The id of the run.

    Raises:
        RegistryError: If MLflow refuses.
    """
    client = MlflowClient()
    with refusals(f"{name}: logging its history"):
        place = experiment(client, f"governance/{name}")
        found = client.search_runs([place], f"tags.`{HISTORY}` = 'versions'", max_results=1)
        run = found[0] if found else client.create_run(
            place, run_name="history", tags={HISTORY: "versions"}
        )  # fmt: skip
        for number, values in versions.items():
            tag, digest = f"{HISTORY}.{number}", digests[number]
            if run.data.tags.get(tag) == digest:
                continue
            now = int(time.time() * 1000)
            metrics = [Metric(key, value, now, int(number)) for key, value in _numbers(values)]
            for start in range(0, len(metrics), METRICS_AT_ONCE):
                chunk = metrics[start : start + METRICS_AT_ONCE]
                client.log_batch(run.info.run_id, metrics=chunk)
            client.set_tag(run.info.run_id, tag, digest)
    return str(run.info.run_id)


def _numbers(values: Mapping[str, Measured]) -> Iterator[tuple[str, float]]:
    for name, (value, interval) in values.items():
        if value is not None:
            yield metric_name(name), value
        if interval is not None:
            yield f"{metric_name(name)}.low", interval.low
            yield f"{metric_name(name)}.high", interval.high
