"""Images: validation images on disk, and what can be said of them without a model.

```
validation.py       a folder of class folders, or an .npz, as a validation set read lazily
manifest.py         a list of files with their labels, as such a set
table.py            one row per image: size, brightness, sharpness, duplicates
near_duplicates.py  which pictures show the same thing
```
"""

from governance.subject.images.manifest import open_manifest
from governance.subject.images.validation import open_validation

__all__ = ["open_manifest", "open_validation"]
