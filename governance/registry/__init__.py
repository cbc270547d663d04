"""Registry: where the model versions are and where their assessments are kept, in MLflow.

```
resolve(uri) -> ModelVersion       which model is meant, pinned to a version
open_subject(version, policy)      its files and validation images, live
assessing(version)                 its status while it is assessed
record(version, assessment, ...)   the assessment as a run, and the version's tags
awaited(version)                   why it has no verdict yet
log_signs(signs, step)             what training shows, epoch by epoch, kept with its run
fetch, mismatches, baseline        the record read back and held against model, tags and digests
```

Only this package, the command line and the plugins know MLflow. Everything read from the registry
(tags, descriptions, names) may have been written by someone else and is treated as text.
"""

from governance.registry.history import log_signs
from governance.registry.opening import open_subject
from governance.registry.recording import record
from governance.registry.status import assessing
from governance.registry.verifying import awaited, baseline, fetch, mismatches
from governance.registry.versions import RESERVED, ModelVersion, resolve

__all__ = [
    "RESERVED",
    "ModelVersion",
    "assessing",
    "awaited",
    "baseline",
    "fetch",
    "log_signs",
    "mismatches",
    "open_subject",
    "record",
    "resolve",
]
