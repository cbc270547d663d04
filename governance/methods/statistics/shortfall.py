"""Shortfall: classes shown to be recognised less often than they are meant to be.

The lowest of K measured recalls lies below the lowest true one, the further the more classes there
are, so a bound on it rejects good models. Here a class counts only if its images show that it falls
short. The test is the exact binomial one, corrected for the number of classes (Bonferroni): of a
model whose classes all hold what is asked, no class counts in at least 95 of 100 validation sets.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from governance.methods.statistics.intervals import LEVEL
from governance.methods.statistics.proportions import ClassShare

__all__ = ["cannot_fall_short", "critical_hits", "falls_short"]


def critical_hits(n: ArrayLike, asked: float, classes: int) -> NDArray[np.int64]:
    """Largest number of recognised images that shows a recall below `asked`; -1 where none does.

    Args:
        n: Images of each class, of any shape.
        asked: Recall that each class is meant to have.
        classes: Number of classes that are tested together.
    """
    count, error = np.asarray(n), (1 - LEVEL) / classes
    found = stats.binom.ppf(error, count, asked)
    # The quantile is the first number whose chance reaches `error`, and may go beyond it.
    beyond = stats.binom.cdf(found, count, asked) > error
    return np.asarray(found - beyond, dtype=np.int64)


def falls_short(shares: Sequence[ClassShare], asked: float) -> NDArray[np.bool_]:
    """Whether each class is shown to have a recall below `asked`: (K,)."""
    critical = critical_hits([item.n for item in shares], asked, len(shares))
    return np.array([item.hits for item in shares]) <= critical


def cannot_fall_short(counts: Sequence[int], asked: float) -> NDArray[np.bool_]:
    """Whether each class has too few images to fall short, were none of them recognised: (K,)."""
    return critical_hits(counts, asked, len(counts)) < 0
