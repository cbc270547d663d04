"""Succession: the evidence on what changed from the version before.

It is taken from records; the live model is asked one thing only, whether the rules recorded for the
version before still hold, and its answer is kept, so that a later comparison needs no model.

```
terms.py      what a policy may say and expect of it
measured.py   the comparison as evidence, with its self-tests and the change envelope
envelope.py   whether a version changed only where and as far as a policy allows
pictures.py   the comparison drawn from its tables
rules.py      the rules of the version before, put to the new one
```
"""

from governance.succession.measured import compared, measured, self_tests
from governance.succession.rules import asked_before
from governance.succession.terms import METRICS, about, problems, standing, unanswerable

__all__ = [
    "METRICS",
    "about",
    "asked_before",
    "compared",
    "measured",
    "problems",
    "self_tests",
    "standing",
    "unanswerable",
]
