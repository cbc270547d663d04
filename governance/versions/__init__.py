"""Versions: what people ask about the recorded versions of a model, two or all of them.

```
comparing.py    two models held against each other from their records
histories.py    what was measured of each version, and how far they moved
selftesting.py  the drift detector put to the proof on one version
```
"""
