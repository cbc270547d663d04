"""Workflows: one module per user action, for command line, worker and plug-ins alike.

```
assessing        from a model's URI to a printed and recorded assessment, in five steps
orchestration    from a subject and a policy to an assessment
progress         what a workflow tells the person who waits
environment      versions, device, processor and threads that an assessment was made with
class_counts     expectations about classes with too few images
policy_chances   how often good and bad models meet the expectations of a policy
drafting         a policy for one model, from trying it on labelled images
printing         an assessment's folder as HTML and PDF, printed in a process of its own
bundling         all that an auditor needs about a version, in one file
replaying        a part of an assessment measured again, and held against the record
comparing        two versions compared from their records
portfolio        the standing of all registered models, and what a person has to decide
version_history  what was measured of each version of a model, and how far versions moved
references       reference runs: harmless training, assessed and recorded
planting         a test fault trained into a model on purpose
selftest         the drift detector tested on one version with a test fault
```
"""
