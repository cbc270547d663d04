"""Model files: from a folder that MLflow wrote to a model that can be examined, running none of it.

```
reading      the content of the folder and its digests
loading      the module it holds
mlmodel      what MLflow says about the model, as plain values
described    what its metadata say about preprocessing and classes
archive      whether an exported model can be opened without running code that came with it
expressions  sizes of an export as arithmetic that is evaluated in no time
batch        an export frozen at one batch size, made to take any
trial        whether the model classifies images at all, tried on a few
```

What is re-exported here needs no torch; `loading` does.
"""

from governance.subject.model_files.described import Description, describe
from governance.subject.model_files.reading import (
    DOWNLOAD_NOTE,
    ModelFiles,
    Shape,
    artifact_digest,
    file_digests,
    read,
)

__all__ = [
    "DOWNLOAD_NOTE",
    "Description",
    "ModelFiles",
    "Shape",
    "artifact_digest",
    "describe",
    "file_digests",
    "read",
]
