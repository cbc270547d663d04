"""Bounds: what provably cannot change a decision, and what provably can.

```
program       what a network computes, step by step, from any module that can be exported
aten          which kind of step each operator of the export is
affine        steps that bounds pass through exactly
operators     the other kinds: sums, curves, maxima, products
relaxations   straight lines around curved functions
bounds        interval, CROWN and tightened bounds on margins; slack for rounding
locality      the part of a network that one patch can reach
attack        projected gradient descent, the other side of every claim
cases         an image, its decision, its patches and boxes
claims        statuses and the sentences that may be printed
certificates  verified_explain: bounds and attacks brought together
tables        claims about many images as rows
pictures      claims about many images as figures
```
"""

from governance.methods.bounds.certificates import verified_explain
from governance.methods.bounds.claims import Bracket, Explanation, Status

__all__ = ["Bracket", "Explanation", "Status", "verified_explain"]
