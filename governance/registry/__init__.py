"""Registry: registered model versions, and the records that MLflow keeps about them.

```
versions         which model a URI means, pinned to one version
materials        a version's files and validation images, copied to this machine
image_download   validation images behind an artifact URI, no more than are needed
opening          a version and its images as a live subject
recording        an assessment as an MLflow run, and the tags of its version
run_page         metrics, parameters and tables on MLflow's page of a run
metric_names     names of metrics as MLflow takes them
bare             the record of a version without its pictures, held against its tags
verifying        a record read back and checked against its model, tags and digests
status           status tag and description of a version while it is assessed, and after a failure
signing          statements about a version: made, signed, and written on it
approvals        the signed statement on a version, and where it contradicts the record
gate             whether a version may be used, asked of the very files that would be used
pages            where a browser finds the record of a version
lineage          the earlier versions and reference runs that a version is compared with
permissions      what a login lacks to give verdicts, on a server with logins
references       harmless runs of a model, recorded once and read again
description      the summary in a version's description
listing          registered models and versions as MLflow lists them
inventory        what is in a registry, what rests on an approval, and what to assess first
audit            the decisions of a governed server, read from its database
training_curves  metrics of training, epoch by epoch, logged with their run
version_metrics  a model's history as MLflow metrics, one step per version
doctor           what is wrong with a running MLflow server, and the cure
```

Only this room, the worker, the command line and the plug-ins know MLflow. Tags, descriptions and
names may have been written by anyone, and are treated as text. What is re-exported here opens no
model and needs no torch; `opening` does.
"""

from governance.registry.gate import GateAnswer, ask, load_model, promote
from governance.registry.lineage import all_versions, lineage, recorded, training_data
from governance.registry.pages import record_page
from governance.registry.recording import record
from governance.registry.references import (
    RecordedKind,
    Reference,
    listed,
    record_reference,
    references,
)
from governance.registry.signing import countersign_approval, revoke, waive, waivers
from governance.registry.status import marked_running
from governance.registry.training_curves import log_signs
from governance.registry.verifying import awaited, fetch, mismatches, named
from governance.registry.version_metrics import log_versions
from governance.registry.versions import RESERVED, ModelVersion, resolve

__all__ = [
    "RESERVED",
    "GateAnswer",
    "ModelVersion",
    "RecordedKind",
    "Reference",
    "all_versions",
    "ask",
    "awaited",
    "countersign_approval",
    "fetch",
    "lineage",
    "listed",
    "load_model",
    "log_signs",
    "log_versions",
    "marked_running",
    "mismatches",
    "named",
    "promote",
    "record",
    "record_page",
    "record_reference",
    "recorded",
    "references",
    "resolve",
    "revoke",
    "training_data",
    "waive",
    "waivers",
]
