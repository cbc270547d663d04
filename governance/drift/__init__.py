"""Drift: whether a new version of a model still decides for the same reasons.

Purpose
    A version may be as accurate as the one before and decide for other reasons. Two recorded
    versions, and harmless runs beside them, are put to three questions that are answered apart:
    is anything different beyond the explainer's own noise (identity); could the new version be
    one more harmless run (exchangeability); is the change inside what is tolerated (equivalence)?

Method
    Everything is read from the records of explanation_maps, and of the other analyses where both
    versions hold them; no model runs. The drift of a version is the mean distance of its maps (1 -
    rank correlation, on the same images, for the same class) to those of the old version and of
    all references, which are harmless runs. Its rank among the references' own drifts is the
    p-value, since the replicate is the training run and not the image; all statistics share one
    rank test through the largest of their standardised values. The upper end of a bootstrap over
    runs and images at once is held against the tolerance: the declared one, or the 95 % point of
    the references. Filters are matched by what they answer to the same images (Hungarian method).
    Controls: every reference judged as if it were the new version; the same weights on disjoint
    images; a planted fault.

Signs of risk
    DRIFT. A large share of images answered rightly by both versions whose maps moved. A change of
    one class alone. An equivalence that rests on references which differ widely themselves.

Limits
    What harmless runs vary in is not seen as drift, and a change that maps on these images do not
    show is not seen at all: a learnt mark shows best on images that carry it. With m references no
    p-value is below 1/(m + 1). References that are checkpoints of one run vary too little, so that
    drift is found too often. EQUIVALENT speaks of these images, this explainer and this tolerance.
"""

# The report prints the above; where what is:
#   answers.py      what is said: three answers, a verdict, self-tests
#   comparison.py   two records and references -> answers
#   questions.py    the answers in words
#   version.py      what a record holds, and when records cannot be compared
#   distances.py    how far apart versions are, statistic by statistic
#   ranks.py        whether one run stands out among several
#   judging.py      bounds, tolerance and verdict
#   identity.py     beyond the explainer's own noise?
#   matching.py     which filters are the same
#   moved.py        same answer, different reason
#   selftest.py     the detector put to the proof
#   measurement.py  a comparison as evidence

from governance.drift.answers import Answer, Change, Comparison, Matching, SelfTest
from governance.drift.comparison import compare
from governance.drift.measurement import METRICS, to_measurement
from governance.drift.selftest import aa_trials, planted

__all__ = [
    "METRICS",
    "Answer",
    "Change",
    "Comparison",
    "Matching",
    "SelfTest",
    "aa_trials",
    "compare",
    "planted",
    "to_measurement",
]
