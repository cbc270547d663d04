"""Explanation: which part of an image a prediction rests on, found by an evolved search.

```
explanation.py  evolve: one image or several, and what is reported of the region found
evolution.py    the search within a budget: seeds, breeding, islands
subsets.py      what a subset of superpixels is worth to a goal; growing and shrinking one
selection.py    which validation images are looked at, by rule and never by hand
```
"""

from governance.explanation.explanation import Explanation, Point, Status, evolve, evolve_many

__all__ = ["Explanation", "Point", "Status", "evolve", "evolve_many"]
