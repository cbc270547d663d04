"""Correlation: which features of a network move together, within a layer and across layers.

```
correlation.py  sums over batches, and what follows from them
pictures.py     block heat maps and bars
```
"""

from governance.methods.correlation.correlation import (
    LABELS,
    LEAST,
    Channels,
    Correlations,
    Match,
    correlate,
    fisher,
)

__all__ = ["LABELS", "LEAST", "Channels", "Correlations", "Match", "correlate", "fisher"]
