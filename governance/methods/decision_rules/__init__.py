"""Decision rules: regions of feature space, bounded by linear decision boundaries.

```
interpretation  representative_rules: the rules of a model on images, for use by themselves
boundaries      linear pieces of the decision boundary behind a cut, by bisection
cover           which boundaries make a rule, which rules make a class
rules           find_rules: the rules of every class, found on one half of the images
baselines       plain ways to group images, at matched coverage
estimates       coverage and precision on the unseen half, beside the baselines
recorded        ask: which recorded rules hold for a later version
tables          rules and the images they cover, as they are recorded
pictures        the images of a rule
```
"""

from governance.methods.decision_rules.interpretation import Interpretation, representative_rules
from governance.methods.decision_rules.recorded import RuleAgreement, ask, ask_in_order, places
from governance.methods.decision_rules.rules import (
    DecisionRule,
    DecisionRules,
    find_cut,
    find_rules,
)

__all__ = [
    "DecisionRule",
    "DecisionRules",
    "Interpretation",
    "RuleAgreement",
    "ask",
    "ask_in_order",
    "find_cut",
    "find_rules",
    "places",
    "representative_rules",
]
