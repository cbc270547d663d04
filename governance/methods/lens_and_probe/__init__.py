"""Lens and probe: what each depth of a network would already answer, image by image.

```
estimates  read: the answers of lens and probe at each depth, with intervals
readout    cross-fitted linear maps
masked     what is left of an answer when only what a layer looked at is seen
tables     rows by class, by layer and for single images
pictures   how an answer takes shape over depth, over all images and in some
```
"""

from governance.methods.lens_and_probe.estimates import (
    METHODS,
    PERMUTED,
    Method,
    Reading,
    Readings,
    read,
)

__all__ = ["METHODS", "PERMUTED", "Method", "Reading", "Readings", "read"]
