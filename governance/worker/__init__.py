"""Worker: what is registered gets assessed, whatever is lost, killed or sent twice on the way.

The registry is the queue; a webhook only says that looking is worth while now.

```
terms     worker.toml: which policy applies to which model, limits, what may be done
choice    which policy applies to a registered model
setup     a worker's files read and checked before it touches the registry
ledger    which versions wait, are in work and are done; shared by workers on several hosts
webhook   MLflow's deliveries, verified; wakes the loop; /healthz and /metrics
host      whether this machine can run assessments at all
sandbox   one assessment in a process of its own that holds no credential
request   what that process is told, as files in the folder that it is given
confined  what runs in that process
job       one version from its lease to a signed record, or a failed attempt
sweep     what the registry holds that needs work, and aliases that nothing covers
loop      look, lease, work, look again; until told to end
ending    SIGTERM and SIGINT let a worker finish or hand back what it holds
counts    what /metrics says
```

Nothing here is imported by this file: the confined process must shut itself in before it imports
anything that starts a thread.
"""
