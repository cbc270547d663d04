"""Self-test: does the detector stay silent without a change and alarm at a test fault?

A detector that alarms without a change, or misses a test fault, must not gate. Both tests use the
functions that judge versions.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from governance.drift.answers import SelfTest
from governance.drift.comparison import compare
from governance.drift.ranks import combined, reach, share_reached
from governance.drift.version import Version, version_of
from governance.methods.coarse_maps import mass_in, ranked
from governance.methods.statistics.intervals import clopper_pearson
from governance.records.assessment import Assessment
from governance.records.drift_terms import DriftTerms
from governance.records.numbers import number

__all__ = ["aa_trials", "planted"]

BLOCKS = 10  # disjoint parts of the images, one of which plays the new version
BORDER = (0.125, 0.125, 0.875, 0.875)
PROMISED = 40  # alarms, that the upper end of a sound test stays below the limit
LIMIT = 2.0  # times the nominal rate, for the upper end of the interval

Array = NDArray[np.float64]


def aa_trials(
    assessment: Assessment,
    trials: int | None = None,
    *,
    seed: int = 0,
    alpha: float = DriftTerms().alpha,
) -> SelfTest:
    """How often the rank test alarms on the same weights and disjoint images.

    In each trial the images are split at random into ten parts or more, as evenly over the classes
    as possible. The mean heat map of each part stands for a version, and one part plays the new
    version. The parts are exchangeable by construction, so this tests the rank test and not the
    reference runs.

    Args:
        assessment: Assessment with heat maps.
        trials: Number of trials. By default it is so large that 40 alarms are expected, whatever
            alpha is. With fewer the interval would exceed its limit although nothing is wrong.
        seed: Seed of the parts.
        alpha: Share of trials that may alarm.

    Returns:
        A self-test that passed if the upper end of the 95 % interval of the rate is below twice
        alpha. With fewer than two images for each part, `passed` is None.
    """
    version = version_of(assessment)
    # As many parts as it takes for a p of alpha.
    blocks = max(BLOCKS, math.ceil(1 / alpha))
    if len(version.labels) < 2 * blocks:
        return SelfTest(
            name="aa", trials=0, alarms=0, nominal=alpha, interval=None, passed=None,
            words=f"A/A: {len(version.labels)} images are too few for {blocks} parts.",
        )  # fmt: skip
    if not ranked(version.maps).any():
        return SelfTest(
            name="aa", trials=0, alarms=0, nominal=alpha, interval=None, passed=None,
            words="A/A: no image has a heat map, so there is nothing to try the test on.",
        )  # fmt: skip
    trials = math.ceil(PROMISED / alpha) if trials is None else trials
    rng = np.random.default_rng(seed)
    p_values = [_aa(version, blocks, rng) for _ in range(trials)]
    alarms = sum(p <= alpha for p in p_values)
    interval = clopper_pearson(alarms, trials)
    passed = interval is not None and interval.high < LIMIT * alpha
    span = f"{number(interval.low, 3)} to {number(interval.high, 3)}" if interval else "unknown"
    return SelfTest(
        name="aa", trials=trials, alarms=alarms, nominal=alpha, interval=interval, passed=passed,
        words=(
            f"A/A {'passed' if passed else 'failed'}: {alarms} alarms in {trials} trials on the "
            f"same weights and disjoint images (95 % interval {span}; nominal {alpha:g}, the upper "
            f"end must stay below {LIMIT * alpha:g}). This checks the test. It does not tell "
            "whether reference runs are like harmless training."
        ),
    )  # fmt: skip


def planted(
    old: Assessment,
    faulty: Assessment,
    references: Sequence[Assessment],
    *,
    terms: DriftTerms | None = None,
    seed: int = 0,
) -> SelfTest:
    """Whether a version with a test fault is called drifted.

    Args:
        old: Version from which the faulty one was made.
        faulty: Version that is shown to have learnt the test fault.
        references: Reference runs, which are harmless.
        terms: Terms of the policy's `[drift]`.
        seed: Seed of the resampling.
    """
    comparison = compare(old, faulty, references, terms=terms, seed=seed)
    alarmed = comparison.verdict == "DRIFT"
    return SelfTest(
        name="planted", trials=1, alarms=int(alarmed), nominal=None,
        interval=clopper_pearson(int(alarmed), 1), passed=alarmed,
        words=(
            f"Test fault {'found' if alarmed else 'missed'}: {comparison.verdict}. "
            f"{' '.join(comparison.reasons)}"
        ),
    )  # fmt: skip


def _aa(version: Version, blocks: int, rng: np.random.Generator) -> float:
    parts = _parts(version.labels, blocks, rng)
    means = np.stack([version.maps[part].mean(0) for part in parts])
    order = ranked(means)
    inside = mass_in(means, BORDER)
    distances = {
        "rank": 1 - order @ order.T,
        "region": np.abs(np.subtract.outer(inside, inside)),
    }
    members = range(blocks)
    totals = {name: reach(matrix, members) for name, matrix in distances.items()}
    return share_reached(combined(totals), int(rng.integers(blocks)))


def _parts(
    labels: NDArray[np.int64], blocks: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    # Sorted by class after a shuffle, dealt out like cards: every part gets its share of each.
    shuffled = rng.permutation(len(labels))
    dealt = shuffled[np.argsort(labels[shuffled], kind="stable")]
    seats = rng.permutation(blocks)
    return [dealt[place::blocks] for place in seats]
