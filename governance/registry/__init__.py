"""Registry: where the model versions are and where their assessments are kept, in MLflow.

```
resolve(uri) -> ModelVersion       which model is meant, pinned to a version
open_subject(version, policy)      its files and validation images, live
marked_running(version)            its status while it is assessed
record(version, assessment, ...)   the assessment as a run, and the version's tags
waive, waivers, revoke             what people sign about a version
awaited(version)                   why it has no verdict yet
log_signs(signs, step)             what training shows, epoch by epoch, kept with its run
fetch, mismatches, recorded        the record read back and held against model, tags and digests
lineage(version, policy)           the versions and references that a version is compared with
ask(uri, workspace) -> Answer      whether a version may be used, with the files that were checked
promote(answer, alias), load_model the alias for what passed, and the model of what passed
```

Only this package, the command line and the plugins know MLflow. Everything read from the registry
(tags, descriptions, names) may have been written by someone else and is treated as text.
"""

from governance.registry.gate import Answer, ask, load_model, promote
from governance.registry.lineage import all_versions, lineage, recorded, training_data
from governance.registry.opening import open_subject, try_out
from governance.registry.recording import record
from governance.registry.references import (
    RecordedKind,
    Reference,
    listed,
    record_reference,
    references,
)
from governance.registry.signing import revoke, waive, waivers
from governance.registry.status import marked_running
from governance.registry.training_curves import log_signs
from governance.registry.verifying import awaited, fetch, mismatches
from governance.registry.version_metrics import log_versions
from governance.registry.versions import RESERVED, ModelVersion, resolve

__all__ = [
    "RESERVED",
    "Answer",
    "ModelVersion",
    "RecordedKind",
    "Reference",
    "all_versions",
    "ask",
    "awaited",
    "fetch",
    "lineage",
    "listed",
    "load_model",
    "log_signs",
    "log_versions",
    "marked_running",
    "mismatches",
    "open_subject",
    "promote",
    "record",
    "record_reference",
    "recorded",
    "references",
    "resolve",
    "revoke",
    "training_data",
    "try_out",
    "waive",
    "waivers",
]
