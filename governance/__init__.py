"""Governance of image classifiers registered in MLflow.

A *subject* (a registered model version, live, with its validation set) is put through *analyses*;
each leaves *evidence*; a *policy* holds *expectations* against the evidence, giving *findings* and
a *decision*; all of it together is an *assessment*, kept in MLflow, printed as a report, and asked
at the gate.

```
errors, evidence, intervals, policy, assessment     plain records and the pure judgement of them
subject, preprocessing, images, model_files         the live side: a model and its images
analyses                                            one question to a model per file
network, masking, explanation, importance, ...      the instruments analyses measure with
orchestration, registry, printing, assessing        the whole way, and MLflow
drift, succession, references, versions             what changed between versions
cli, demo                                           what people call
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
