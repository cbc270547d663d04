"""Worker: what is registered gets assessed, whatever is lost, killed or sent twice on the way.

The registry is the queue; a webhook only says that looking is worth while now.

```
terms.py       worker.toml: which policy applies to which model, limits, what may be done
ledger.py      which versions wait, are in work and are done; shared by workers on several hosts
webhook.py     MLflow's deliveries, verified; wakes the loop; /healthz and /metrics
host.py        whether this machine can run assessments at all
sandbox.py     one assessment in a process of its own that holds no credential
confined.py    what runs in that process
job.py         one version from its lease to a signed record, or a failed attempt
sweep.py       what the registry holds that needs work, and aliases that nothing covers
loop.py        look, lease, work, look again; until told to end
counts.py      what /metrics says
```

Nothing here is imported by this file: the confined process must shut itself in before it imports
anything that starts a thread.
"""
