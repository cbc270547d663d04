"""Rules: regions of feature space, bounded by the network's own linear decision boundaries.

```
interpretation.py  the rules of a model and images, for use by themselves
study.py           the rules of every class, found on one half of the images
boundaries.py      linear pieces of the decision boundary behind a cut, by bisection
cover.py           which boundaries make a rule, which rules make a class
baselines.py       plain ways to group images, at matched coverage
summary.py         coverage and precision on the unseen half, beside the baselines
pictures.py        the images of a rule
recorded.py        rules as plain tables, and what a later version says to them
```
"""

from governance.methods.decision_rules.interpretation import Interpretation, representative_rules
from governance.methods.decision_rules.recorded import Answer, ask, ask_in_order, places
from governance.methods.decision_rules.study import Rule, Study, find_cut, study

__all__ = [
    "Answer",
    "Interpretation",
    "Rule",
    "Study",
    "ask",
    "ask_in_order",
    "find_cut",
    "places",
    "representative_rules",
    "study",
]
