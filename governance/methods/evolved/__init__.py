"""Explanation: which part of an image a prediction rests on, found by an evolved search.

```
explanation    evolve: the region of one image or of several, and what is reported of it
evolution      the search within a budget: starts, descent, breeding, checks
breeding       crossover and moves on independent islands
descent        from a subset to smaller ones, by what a regression foretells
subsets        what a subset of superpixels is worth to a goal; growing and shrinking one
maps           evolve_map: a heat map of one image
cross_entropy  engine cem of evolve_map: a distribution over smooth masks, beside a regression
differential   engine de of evolve_map: differential evolution
soft_masks     smooth masks over a coarse grid, composed on the device and counted
selection      which validation images are looked at, by rule and never by hand
tables         regions as rows and sentences
pictures       regions on their images
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
