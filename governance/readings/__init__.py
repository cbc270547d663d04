"""Readings: what each depth of a network would already answer, image by image.

```
readings.py   lens and probe at each depth
readout.py    cross-fitted linear maps
emergence.py  pictures of how an answer takes shape
```
"""

from governance.readings.readings import METHODS, PERMUTED, Method, Reading, Readings, read

__all__ = ["METHODS", "PERMUTED", "Method", "Reading", "Readings", "read"]
