"""Images: validation images on disk, and what can be said of them without a model.

```
opening          validation images at a place, whatever they lie in
folders          a folder of class folders as a validation set
arrays           an .npz as a validation set
labels           labels of arrays as indices of classes
image_list       a list of files with their labels as a validation set
list_files       the columns of a list in CSV, JSON lines or Parquet, all values as text
listed           such a list as a validation set, by itself or in a folder
shards           tar archives of WebDataset as a validation set
tar_members      where each file lies in a tar archive, without unpacking it
walking          the image files in a folder and in its folders, within bounds
skipping         what systems and people leave beside images, told by its name
files            pictures that are decoded from their files when asked for
decoding         the bytes of an image file as pixels
dicom            images of a clinic's archive
windows          values deeper than 8 bits as black to white
problems         what every reader of validation images refuses
validation_set   labelled images, and even samples of them
table            one row per image: size, brightness, sharpness, duplicates
near_duplicates  pictures that show the same thing
```
"""

from governance.subject.images.image_list import open_image_list
from governance.subject.images.opening import open_validation

__all__ = ["open_image_list", "open_validation"]
