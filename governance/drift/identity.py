"""Identity: whether heat maps of two versions differ by more than the explainer's own noise."""

import numpy as np
from numpy.typing import NDArray

from governance.drift.answers import DriftAnswer, Outcome
from governance.drift.version import Version
from governance.methods.coarse_maps import rank_distance, ranked
from governance.methods.statistics.intervals import mean
from governance.records.numbers import number, signed

__all__ = ["identity"]

DRAWS = 9999
LEVEL = 0.05

Array = NDArray[np.float64]


def identity(old: Version, new: Version, seed: int) -> DriftAnswer:
    """Do two versions differ by more than the explainer's own noise?

    The test uses images that were explained twice under both versions. If the weights were the
    same, all four heat maps would be draws of one explainer, and exchanging the second ones between
    the versions would change nothing. The statistic is the mean distance between versions minus
    that within them. The p-value is the share of random exchanges, image by image, that reach it.

    Args:
        old: One version.
        new: The other version, on the same images.
        seed: Seed of the exchanges.
    """
    excess = _excess(old, new)
    n = len(excess)
    observed = float(excess.mean())
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (DRAWS, n))
    # Draws that only rounding keeps below the observed value reach it.
    slack = 1e-12 * float(np.abs(excess).max(initial=0.0))
    reached = int(((signs @ excess) / n >= observed - slack).sum())
    p = (1 + reached) / (DRAWS + 1)
    different = p <= LEVEL and observed > 0
    floor = max(1 / (DRAWS + 1), 0.5**n)
    if floor > LEVEL:
        # So few images can never reach the level, so a miss says nothing.
        outcome: Outcome = "open"
        verb = f"cannot be told from the explainer's own noise on {n} images"
    else:
        outcome = "yes" if different else "no"
        verb = f"differ {'beyond' if different else 'not beyond'} the explainer's own noise"
    return DriftAnswer(
        question="identity",
        outcome=outcome,
        statistic=observed,
        interval=mean(excess, lowest=-2, highest=2),
        p=p,
        p_floor=floor,
        n=n,
        m=0,
        words=(
            f"Identity: the heat maps {verb} (mean distance between "
            f"versions minus that within them {signed(observed)}, p = {number(p)}, n = {n} images "
            "explained twice)."
        ),
    )


def _excess(old: Version, new: Version) -> Array:
    one, other = ranked(old.maps[old.twice]), ranked(new.maps[new.twice])
    again, anew = ranked(old.again), ranked(new.again)
    # Crosswise: first maps share the points of their path over versions, and second maps theirs.
    between = rank_distance(one, anew) + rank_distance(other, again)
    within = rank_distance(one, again) + rank_distance(other, anew)
    return (between - within) / 2
