"""Run page: what MLflow's page of a run shows of an assessment besides its files.

The page is for people: ten metrics, the terms and versions as parameters, and two tables. The
record, which has everything, lies beside it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from governance.records.assessment import Assessment
from governance.records.evidence import Cell
from governance.registry.metric_names import metric_name

__all__ = ["HEADLINES", "begun", "headlines", "log_page"]

Row = Sequence[Cell]

#: Metrics of a run; a page with hundreds is read by nobody.
HEADLINES = 10
#: Shown where the policy expects less than that many.
USUAL = ("performance.accuracy", "performance.balanced_accuracy", "performance.recall_worst")
#: Parameters of a run, of which MLflow takes 100 at once, and their length.
PARAMETERS, LONGEST = 100, 500
#: Rows of a table that a page can show.
ROWS = 10_000
#: Tag by which MLflow's page knows the tables of a run.
TABLES = "mlflow.loggedArtifacts"
ANSWERS = ("performance", "answers")


def begun(assessment: Assessment) -> int:
    """When the measuring began, in milliseconds since 1970."""
    seconds = sum(item.seconds for item in assessment.evidence)
    return int((assessment.moment.timestamp() - seconds) * 1000)


def headlines(assessment: Assessment) -> dict[str, float]:
    """The metrics that a run shows: those that decide first, then the others that are expected."""
    expected = sorted(assessment.policy.expectations, key=lambda item: not item.decides)
    names = dict.fromkeys((*(item.metric for item in expected), *USUAL))
    values = {name: assessment.metrics.get(name) for name in names}
    known = {name: value for name, value in values.items() if value is not None}
    return dict(list(known.items())[:HEADLINES])


def log_page(
    client: MlflowClient, run_id: str, assessment: Assessment, about: Mapping[str, object]
) -> None:
    """Log metrics, parameters and tables of an assessment.

    Args:
        client: Of the server that holds the run.
        run_id: The run.
        assessment: As judged.
        about: What every metric belongs to: time, model and dataset.

    Raises:
        MlflowException: If MLflow refuses.
    """
    client.log_batch(
        run_id,
        metrics=[
            Metric(metric_name(name), value, **about)
            for name, value in headlines(assessment).items()
        ],
        params=[Param(key, value[:LONGEST]) for key, value in _parameters(assessment)][:PARAMETERS],
    )
    files = []
    for name, columns, rows in _tables(assessment):
        # As `log_table` writes it, without a frame of pandas in between.
        client.log_dict(run_id, {"columns": columns, "data": rows[:ROWS]}, f"{name}.json")
        files.append({"path": f"{name}.json", "type": "table"})
    if files:
        client.set_tag(run_id, TABLES, json.dumps(files))


def _parameters(assessment: Assessment) -> Iterator[tuple[str, str]]:
    """Terms of the policy and versions of what measured."""
    policy = assessment.policy
    yield "policy", policy.title or "untitled"
    yield "seed", str(policy.seed)
    yield "images", str(assessment.validation.images)
    for name, version in sorted(assessment.environment.items()):
        yield metric_name(f"environment.{name}"), version
    expected: dict[str, list[str]] = {}
    for item in policy.expectations:
        expected.setdefault(item.metric, []).append(f"{item.bound} ({item.severity})")
    for name, bounds in expected.items():
        yield metric_name(f"expected.{name}"), "; ".join(bounds)  # MLflow refuses a second value


def _tables(assessment: Assessment) -> Iterator[tuple[str, Row, Sequence[Row]]]:
    """All metrics with their intervals, and the answer to each image: name, columns and rows."""
    intervals, rows = assessment.intervals, []
    for name, value in assessment.metrics.items():
        span = intervals.get(name)
        ends = (None, None, None) if span is None else (span.low, span.high, span.n)
        rows.append((name, value, *ends))
    if rows:
        yield "metrics", ("metric", "value", "low", "high", "n"), rows
    for evidence in assessment.evidence:
        for table in evidence.measurement.tables if evidence.measurement else ():
            if (evidence.analysis, table.name) == ANSWERS and table.rows:
                yield table.name, table.columns, table.rows
