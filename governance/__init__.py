"""Governance of image classifiers registered in MLflow.

A *subject* (a registered model version, live, with its validation set) is put through *analyses*;
each leaves *evidence*; a *policy* holds *expectations* against the evidence, giving *findings* and
a *decision*; all of it together is an *assessment*, kept in MLflow, printed as a report, and asked
at the gate.

```
cli        the command line
worker     the service that assesses every registered version and signs its verdict
workflows  one module a user action: assessing, comparing, planting, printing
training   what a training loop calls to record its epochs
registry   everything that speaks to MLflow: resolve, open, record, read back, gate
drift      what changed between two versions of a model
analyses   one question to a model a file
approval   keys, signed statements, waivers, and whether a statement counts
methods    how things are measured, without policy or records
subject    what is assessed: a model, its preprocessing and its images
records    what is kept, as plain data, and the judgement of it
errors     what can go wrong, as one tree
__main__   `python -m governance` is the command line
```

What is re-exported here is plain data: importing this package loads neither torch nor mlflow. Only
who calls `load_model`, which gives a registered model if it passes the gate, loads both.
"""

from typing import TYPE_CHECKING, Any

from governance.errors import (
    AnalysisError,
    EvidenceError,
    GovernanceError,
    PolicyError,
    RegistryError,
    SubjectError,
)
from governance.records.decision import Decision, Finding, judge
from governance.records.evidence import Evidence, Interval, Measurement, Metric
from governance.records.policy import Expectation, Policy

if TYPE_CHECKING:
    from governance.registry import load_model

__all__ = [
    "AnalysisError",
    "Decision",
    "Evidence",
    "EvidenceError",
    "Expectation",
    "Finding",
    "GovernanceError",
    "Interval",
    "Measurement",
    "Metric",
    "Policy",
    "PolicyError",
    "RegistryError",
    "SubjectError",
    "judge",
    "load_model",
]


def __getattr__(name: str) -> Any:
    if name == "load_model":
        from governance.registry import load_model  # noqa: PLC0415 - loads torch and mlflow

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
