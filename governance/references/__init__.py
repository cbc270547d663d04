"""References: the harmless and the faulty runs that drift between versions is judged by.

```
making.py    harmless runs, trained or named by the user, and a faulty one, assessed and recorded
planting.py  a fault put into a model on purpose
```
"""
