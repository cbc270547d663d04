"""Statistics that several analyses share.

```
intervals    confidence intervals of means, proportions and counts
proportions  proportions of filters and images, alone and paired
shortfall    classes shown to be recognised less often than they are meant to be
acceptance   how often a model of a known quality meets a bound on a share of images
calibration  whether probabilities are what they say
confusion    which class is taken for which
```
"""
