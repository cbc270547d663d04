"""Model files: what lies in a folder that MLflow wrote, looked at without running any of it.

```
reading      the content of the folder and its digests
mlmodel      what MLflow says about the model, as plain values
described    what its metadata say about preprocessing and classes
archive      whether an exported model can be opened without running code that came with it
expressions  sizes of an export as arithmetic that is evaluated in no time
batch        an export frozen at one batch size, made to take any
trial        whether the model classifies images at all, tried on a few
```

What is re-exported here needs no torch.
"""

from governance.subject.model_files.described import Description, describe
from governance.subject.model_files.reading import (
    DOWNLOAD_NOTE,
    UNKNOWN,
    ModelFiles,
    Shape,
    artifact_digest,
    file_digests,
    read,
    signature_shape,
)

__all__ = [
    "DOWNLOAD_NOTE",
    "UNKNOWN",
    "Description",
    "ModelFiles",
    "Shape",
    "artifact_digest",
    "describe",
    "file_digests",
    "read",
    "signature_shape",
]
