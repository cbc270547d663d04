"""Statistics that several analyses share.

```
intervals    confidence intervals of means, proportions and counts
proportions  proportions of filters and images, alone and paired
calibration  whether probabilities are what they say
confusion    which class is taken for which
```
"""
