"""Drafting: a policy for one model, from trying it on labelled images.

```
draft       from a model's address and labelled images to the text of a policy
opening     a model and images, before anything is known of how they fit
searching   the preprocessing that a model was trained with, and the order of its classes
references  whose measurements the thresholds are taken from
proposing   the text of a policy, from what was measured
telling     what was tried and found, in sentences
```

Nothing is written for a model that does no better than chance, for outputs that stand for other
classes than the images, or on too few images: a policy drawn from such a model would approve it.
"""

from governance.workflows.drafting.draft import Draft, draft_policy

__all__ = ["Draft", "draft_policy"]
