"""Verified perturbation: what provably cannot change the decision, and what provably can.

Purpose
    Tests try some disturbed images; a proof covers all of them. For every patch of an image and
    every radius this analysis says whether any change of the pixels in it, however chosen, can
    change the decision. For whole images it brackets the share of robust decisions from both sides:
    proven from below, attacked from above.

Method
    The network is read operator by operator, and lower bounds of the decided class's lead over
    every other class are computed over a box of images in float64: by interval propagation, by
    linear bounds pulled back to the image (CROWN-IBP; Zhang et al. 2020), and for undecided patches
    with the ranges of the numbers inside the patch's reach bounded in the same way. A claim needs
    the bound to exceed a stated slack for rounding. Boxes hold every image whose pixels, in [0, 1]
    before normalisation, differ by at most the radius; `solo` moves one patch of a grid (8 x 8 up
    to 64 pixels, 12 x 12 above), `drop` everything but the patch, after the explanation method of
    Fel et al. 2023. Every box is attacked as well (projected gradient descent); one attack below a
    proven bound withdraws the whole run. VERIFIED: proven in exact arithmetic. REFUTED: an image
    that changes the decision is known, confirmed in the deployed float32 model. UNKNOWN: neither.
    VACUOUS: unknown, and the bound is no better than for arbitrary pixel values. Shares carry 95 %
    Clopper-Pearson intervals. The control of a map is the attack beside the bound.

Signs of risk
    Patches far from the object that are REFUTED at a small radius; a share of robust decisions whose
    upper end is already too low; a large share of UNKNOWN, which means that nothing is known, not
    that the model is safe.

Limits
    Claims hold for the sampled images, the l-infinity norm, this normalisation and these weights,
    not for rotations, other lighting or other cameras. Proofs reach small and certifiably trained
    networks; deep networks come out UNKNOWN or VACUOUS, and networks with operators that have no
    sound bound are only attacked. TF32, bfloat16, Winograd convolutions and quantised exports are
    not covered. A share over a sample of images is an estimate with an interval, not a guarantee.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from governance.cases import Case, Deployed, Mode, case_of, deployed, patches
from governance.certificates import Effort, decide, verified_radii
from governance.claims import Decided
from governance.errors import AnalysisError
from governance.evidence import Figure, Interval, Measurement, Metric, Table
from governance.figures import COLOURS, curves, gallery, overlay
from governance.intervals import bootstrap, clopper_pearson
from governance.program import Program, read, refuse_unsuitable
from governance.subject import Subject

__all__ = ["VerifiedPerturbation"]

LEVELS = 255.0
LARGE = 64  # pixels a side above which patches are smaller
ORDER = ("VERIFIED", "UNKNOWN", "VACUOUS", "REFUTED")
