"""Worker: the service that assesses every registered version and signs the verdict.

The registry is its queue. A version needs work unless it carries a valid signed statement, so
nothing is missed where a webhook is lost, sent twice or forged, or a worker is killed.

```
config         table [worker]: policies by model name, limits, and what the worker may do
policy_choice  the policy that applies to a registered model
setup          files and machine checked before the worker starts
host           whether this machine can run assessments at all
job_database   versions that wait, are in work and are done, shared by workers on several hosts
listener       a small HTTP application at an address, with deadlines and bounds
webhook        MLflow's deliveries, verified; wakes the loop
monitoring     /livez, /healthz and /metrics, at a port of their own
portfolio_site the static site over all models, made again after each verdict
sweep          versions that need work, and protected aliases without an approval
loop           looks into the registry, takes leases and works on them until it is told to end
job            one version, from its lease to a signed record or a failed attempt
relay          the one way from a confined process to a scoring server
serving        the scoring server of a version, named by its policy or started here, shut in
confined_server  what becomes such a server, once it has shut itself in
measuring      a version assessed in a confined process, and the result checked
request        what a confined process is asked for, as files in its folder
sandbox        one assessment in a process that is shut in, and what is open on this machine
launch         such a process started, listened to, watched, and ended with all that it started
namespaces     what it is shown of the machine
system_calls   what it may not ask of the kernel
handover       what it hands back, through a pipe
confined       what runs in that process
log            what the operator is told, one line of JSON each
counts         numbers for /metrics
shutdown       signals that end the worker, and the time it has to end
```

Nothing here is imported by this file: the confined process must shut itself in before it imports
anything that starts a thread.
"""
