"""Readings: what each depth of a network would already answer, image by image.

```
readings.py   lens and probe at each depth
readout.py    cross-fitted linear maps
masked.py     what is left of an answer when only what a layer looked at is seen
emergence.py  pictures of how an answer takes shape
strips.py     single images: heat map and answers at each depth
tables.py     rows by class and by layer
```
"""

from governance.methods.lens_and_probe.readings import (
    METHODS,
    PERMUTED,
    Method,
    Reading,
    Readings,
    read,
)

__all__ = ["METHODS", "PERMUTED", "Method", "Reading", "Readings", "read"]
