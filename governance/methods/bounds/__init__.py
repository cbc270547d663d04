"""Verification: what provably cannot change a decision, and what provably can.

```
program.py       what a network computes, step by step, from any module that can be exported
aten.py          which kind of step each operator of the export is
affine.py        steps that bounds pass through exactly
operators.py     the other kinds: sums, curves, maxima, products
relaxations.py   straight lines around curved functions
bounds.py        interval, CROWN and tightened bounds on margins; slack for rounding
locality.py      the part of a network that one patch can reach
attack.py        projected gradient descent, the other side of every claim
cases.py         an image, its decision, its patches and boxes
certificates.py  bounds and attacks brought together: `verified_explain`
claims.py        statuses and the sentences that may be printed
tables.py pictures.py   claims about many images as rows and figures
```
"""

from governance.methods.bounds.certificates import verified_explain
from governance.methods.bounds.claims import Bracket, Explanation, Status

__all__ = ["Bracket", "Explanation", "Status", "verified_explain"]
