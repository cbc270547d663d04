"""Explanation: which part of an image a prediction rests on, found by an evolved search.

```
explanation.py    evolve: one image or several, and what is reported of the region found
evolution.py      the search within a budget: starts, descent, breeding, checks
breeding.py       crossover and moves on independent islands
descent.py        from a subset to smaller ones, by what a regression foretells
subsets.py        what a subset of superpixels is worth to a goal; growing and shrinking one
maps.py           evolve_map: a heat map of one image
cross_entropy.py  its engine cem: a distribution over soft masks, evolved, beside a regression
differential.py   its engine de: differential evolution
soft_masks.py     soft masks over a coarse grid, composed on the device and counted
selection.py      which validation images are looked at, by rule and never by hand
```
"""

from governance.methods.evolved.explanation import (
    Explanation,
    Point,
    Profile,
    Status,
    evolve,
    evolve_many,
)
from governance.methods.evolved.maps import ENGINES, Engine, EvolvedMap, MapStatus, evolve_map

__all__ = [
    "ENGINES",
    "Engine",
    "EvolvedMap",
    "Explanation",
    "MapStatus",
    "Point",
    "Profile",
    "Status",
    "evolve",
    "evolve_many",
    "evolve_map",
]
