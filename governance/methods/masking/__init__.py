"""Masking: what a model says when only part of an image is left.

```
masking      masked images composed on the device, asked once and kept; insertion and deletion
superpixels  the regions an image is cut into, and the fill images for removed pixels
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
