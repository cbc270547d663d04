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
cli, demo                                           what people call
```

What is re-exported here is plain data: importing this package loads neither torch nor mlflow.
"""

from governance.errors import (
    AnalysisError,
    EvidenceError,
    GovernanceError,
    PolicyError,
    RegistryError,
    SubjectError,
)
from governance.evidence import Evidence, Interval, Measurement, Metric
from governance.policy import Decision, Expectation, Finding, Policy, judge

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
]
