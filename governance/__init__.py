"""Governance of image classifiers registered in MLflow.

A *subject* (a registered model version, live, with its validation set) is put through *analyses*;
each leaves *evidence*; a *policy* holds *expectations* against the evidence, giving *findings* and
a *decision*; all of it together is an *assessment*, kept in MLflow, printed as a report, and asked
at the gate.

Each room imports only rooms below it:

```
cli        the command line
worker     whatever is registered gets assessed and signed
workflows  what people do: one module a user action
training   what a training loop calls to be governed later
registry   registered versions in MLflow, and the records kept about them
drift      what changed between two versions
analyses   one question to a model per file
approval   signed statements about versions, and when they count
methods    how things are measured
subject    the live side: a model and its images
records    what is kept, as plain data, and the judgement of it
errors     what can go wrong, in words
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
