"""Correlation: which features of a network move together, within a layer and across layers.

```
estimates  sums over batches of images, and the correlations that follow from them
pictures   block heat maps and bars
```
"""

from governance.methods.correlation.estimates import (
    LABELS,
    LEAST,
    Channels,
    Correlations,
    Match,
    correlate,
    fisher,
)

__all__ = ["LABELS", "LEAST", "Channels", "Correlations", "Match", "correlate", "fisher"]
