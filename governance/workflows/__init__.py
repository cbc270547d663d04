"""What people do: one module a user action, for command line, worker and plug-ins alike.

```
assessing      a model's URI becomes a printed and recorded assessment
orchestration  a subject and a policy become an assessment
class_counts   expectations on classes that an assessment has too few images of
printing       an assessment's folder becomes HTML and PDF, in a process of its own
comparing      two models held against each other from their records
history        what was measured of each version, and how far versions moved
references     harmless training runs, trained or named by the user, assessed and recorded
planting       a test fault put into a model on purpose
selftest       the drift detector tried on one version with a test fault in it
```
"""
