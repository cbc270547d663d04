"""Importance: what is lost when filters are silenced.

```
study.py     which filters are measured, on which images, at what cost
ablation.py  the effect on each image, and what follows for images like them
summary.py   the table of estimates and the numbers drawn from it
figures.py   pictures of it
```
"""

from governance.methods.filter_ablation.study import Block, Study, Tier, study

__all__ = ["Block", "Study", "Tier", "study"]
