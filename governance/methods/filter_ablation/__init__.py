"""Filter ablation: what is lost when filters of a network are silenced.

What a module returns goes forward only, from the survey to the pictures:

```
survey       what one forward and one backward pass say of every filter
selection    which filters are worth measuring
sampling     which images are measured, and how many each of them counts for
silencing    what each image loses while filters are held at their mean
regression   means from few images, helped by a covariate known on all
measurement  measure_filters: survey, selection and silencing brought together, within a cost
estimates    filter_estimates and the numbers drawn from them, with intervals
tables       the estimates as the report prints them
pictures     the most important filters, where importance lies, what excites a filter
```
"""

from governance.methods.filter_ablation.estimates import filter_estimates
from governance.methods.filter_ablation.measurement import (
    FilterMeasurements,
    MeasuredFilters,
    measure_filters,
)
from governance.methods.filter_ablation.selection import Tier

__all__ = [
    "FilterMeasurements",
    "MeasuredFilters",
    "Tier",
    "filter_estimates",
    "measure_filters",
]
