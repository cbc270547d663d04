"""What changed between two recorded versions of a model, and whether harmless training explains it.

```
answers        the records of a comparison: three answers, a verdict, self-tests
comparison     two records and reference runs become answers; its text is printed in the report
version        what a record holds, and when two records cannot be compared
distances      how far apart two versions are, statistic by statistic
ranks          the exact rank test of one run among several
judging        bounds, tolerance and verdict
questions      the three answers in words
identity       whether anything differs beyond the explainer's own noise
matching       which filters of two versions are the same
moved          images with the same answer and another reason
flips          images with another answer: newly wrong, newly right, exact tests, and their reasons
tables         the tables of a comparison
measurement    a comparison as a measurement with the metrics of drift
selftest       the detector tried on no change and on a test fault
expectations   what a policy may say and expect of drift
evidence       the comparison as evidence, with its self-tests and the allowed changes
envelope       whether a version changed only where and as far as a policy allows
rules_asked    the decision rules of the version before, put to the new one
pictures       the comparison drawn from its tables
```

A comparison reads records alone. The live model is asked one thing: whether the rules recorded for
the version before still hold. Its answer is kept, so that a later comparison needs no model.
"""

from governance.drift.answers import Change, Comparison, DriftAnswer, FilterMatching, SelfTest
from governance.drift.comparison import compare
from governance.drift.evidence import compared, measured, self_tests
from governance.drift.expectations import METRICS, about, problems, standing, unanswerable
from governance.drift.measurement import to_measurement
from governance.drift.rules_asked import asked_before
from governance.drift.selftest import aa_trials, planted
from governance.records.topics import CHANGE

__all__ = [
    "COVERS",
    "METRICS",
    "Change",
    "Comparison",
    "DriftAnswer",
    "FilterMatching",
    "SelfTest",
    "aa_trials",
    "about",
    "asked_before",
    "compare",
    "compared",
    "measured",
    "planted",
    "problems",
    "self_tests",
    "standing",
    "to_measurement",
    "unanswerable",
]

#: Topics that a comparison covers.
COVERS = (CHANGE,)
