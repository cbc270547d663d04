"""Faithfulness: whether heat maps say what a model rests on, and when to withdraw them.

```
controls       heat maps that say nothing: random, constant, centre
measures       insertion, deletion, mu-Fidelity, sparseness of a heat map
randomisation  heat maps while the weights of the model are shuffled, top down
scores         a measure over images with its interval, beside its controls
evaluation     evaluate: every measure of an explainer
selftest       self_test: reasons why evidence must be withdrawn
```
"""

from governance.methods.faithfulness.controls import Explainer, Maps
from governance.methods.faithfulness.evaluation import Evaluation, evaluate
from governance.methods.faithfulness.randomisation import Cascade, Depth
from governance.methods.faithfulness.scores import Score
from governance.methods.faithfulness.selftest import (
    CURVES,
    MAP_METRICS,
    Check,
    SelfTest,
    agreement,
    self_test,
)

__all__ = [
    "CURVES",
    "MAP_METRICS",
    "Cascade",
    "Check",
    "Depth",
    "Evaluation",
    "Explainer",
    "Maps",
    "Score",
    "SelfTest",
    "agreement",
    "evaluate",
    "self_test",
]
