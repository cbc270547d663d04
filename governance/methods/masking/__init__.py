"""Masking: what a model says when only part of an image is left.

```
masking.py      masked images composed on the device, asked once and kept; insertion and deletion
superpixels.py  the regions an image is cut into, and what takes the place of their pixels
```
"""

from governance.methods.masking.masking import (
    Archive,
    Ask,
    Bits,
    Curve,
    Forward,
    Predict,
    Scene,
    answer,
    curve,
)

__all__ = ["Archive", "Ask", "Bits", "Curve", "Forward", "Predict", "Scene", "answer", "curve"]
