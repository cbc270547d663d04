"""Folders and files of images.

`data` in `[validation]` of the policy names them. What is skipped is counted in the record.
"""

import io
import tarfile

import numpy as np
from case_table import ByBrightness, Happened, assessed, case, refused


def told(happened):
    """What happened, with what the record says was skipped."""
    skipped = happened.assessment.validation.skipped
    listed = ", ".join(f"{kind}: {number}" for kind, number in skipped.items())
    return Happened(assessment=happened.assessment, said=listed)


@case(
    "Files that systems leave behind, and papers beside the class folders",
    assessed("desktop.ini: 1, readme.md: 1, thumbs.db: 1"),
)
def test_junk(bench):
    images = bench.images()
    (images / "Thumbs.db").write_bytes(b"x")
    (images / "README.md").write_bytes(b"x")
    (images / "a dark" / "desktop.ini").write_bytes(b"x")
    return told(bench.assess(ByBrightness(), images))


@case("Class folders that hold folders", assessed())
def test_nested_folders(bench):
    images = bench.images()
    (images / "a dark" / "monday").mkdir()
    (images / "a dark" / "0.png").rename(images / "a dark" / "monday" / "0.png")
    return bench.assess(ByBrightness(), images)


@case(
    "Folders `train` and `test` without `split`",
    refused("test, train are parts of a data set ... split = 'test'"),
)
def test_parts_of_a_data_set(bench):
    images = bench.images()
    for part in ("train", "test"):
        (images.parent / "set" / part).mkdir(parents=True)
        (images.parent / "set" / part / "a dark").symlink_to(images / "a dark")
    lines = "follow_links = true"
    return bench.assess(ByBrightness(), images.parent / "set", validation=lines)


@case("Folders `train` and `test`, and `split` names one", assessed())
def test_a_part_of_a_data_set(bench):
    images = bench.images()
    (images.parent / "set" / "train").mkdir(parents=True)
    images.rename(images.parent / "set" / "test")
    return bench.assess(ByBrightness(), images.parent / "set", validation='split = "test"')


@case(
    "A link to a class folder elsewhere",
    refused("a link that leaves the folder; copy the file, or set follow_links = true"),
)
def test_a_link(bench):
    images = bench.images()
    (images / "a dark").rename(images.parent / "elsewhere")
    (images / "a dark").symlink_to(images.parent / "elsewhere")
    return bench.assess(ByBrightness(), images)


@case("A link to a class folder elsewhere, with `follow_links`", assessed())
def test_a_link_that_is_followed(bench):
    images = bench.images()
    (images / "a dark").rename(images.parent / "elsewhere")
    (images / "a dark").symlink_to(images.parent / "elsewhere")
    return bench.assess(ByBrightness(), images, validation="follow_links = true")


@case("A photo in HEIC", refused("a dark/x.heic: not an image; HEIC is not read; store it as"))
def test_heic(bench):
    images = bench.images()
    (images / "a dark" / "x.heic").write_bytes(b"x")
    return bench.assess(ByBrightness(), images)


def listed(bench, columns="file,label,split,scanner"):
    """A CSV file beside the images that names half of them for testing."""
    images = bench.images()
    files = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))
    rows = [f"{path},{path[:1]},{'train' if '1' in path else 'test'},A" for path in files]
    (images / "list.csv").write_text("\n".join([columns, *rows]))
    return images / "list.csv"


@case("A CSV list with the column `split`, and `split` names one", assessed("rows of other splits"))
def test_a_list(bench):
    return told(bench.assess(ByBrightness(), listed(bench), validation='split = "test"'))


@case(
    "A CSV list with rows for training and testing, without `split`",
    refused("rows of the splits test, train; split = 'test' in [validation]"),
)
def test_a_list_without_split(bench):
    return bench.assess(ByBrightness(), listed(bench))


@case(
    "A CSV list without the column `label`",
    refused("columns file, class, split, scanner; a column label with the class is needed"),
)
def test_a_list_without_labels(bench):
    return bench.assess(ByBrightness(), listed(bench, "file,class,split,scanner"))


@case(
    "A folder with `metadata.csv`, as Hugging Face's `imagefolder`", assessed("metadata: scanner")
)
def test_imagefolder(bench):
    images = bench.images()
    files = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))
    rows = ["file_name,scanner", *(f"{path},A" for path in files)]
    (images / "metadata.csv").write_text("\n".join(rows))
    happened = bench.assess(ByBrightness(), images)
    columns = ", ".join(happened.assessment.validation.metadata)
    return Happened(assessment=happened.assessment, said=f"metadata: {columns}")


def archive(bench, suffix=".tar"):
    """The images of the bench in a tar archive, with labels that are numbers."""
    images = bench.images()
    with tarfile.open(images.parent / f"set{suffix}", "w:gz" if "gz" in suffix else "w") as tar:
        for number, folder in enumerate(sorted(images.iterdir())):
            for file in sorted(folder.iterdir()):
                tar.add(file, f"{number}{file.name}")
                label = tarfile.TarInfo(f"{number}{file.stem}.cls")
                label.size = 1
                tar.addfile(label, io.BytesIO(b"%d" % number))
    return images.parent / f"set{suffix}"


@case("A tar archive of WebDataset", assessed())
def test_webdataset(bench):
    return bench.assess(ByBrightness(), archive(bench))


@case(
    "A packed tar archive",
    refused("a folder of class folders, a list ... a .tar or an .npz ... is accepted"),
)
def test_a_packed_archive(bench):
    return bench.assess(ByBrightness(), archive(bench, ".tar.gz"))


def arrays(bench, labels, **more):
    """An npz of twelve images a class, from dark to bright."""
    drawn = np.random.default_rng(0).integers(-30, 30, (36, 16, 16, 3))
    levels = np.repeat([40, 120, 200], 12)[:, None, None, None]
    path = bench.folder / "set.npz"
    np.savez(path, images=(levels + drawn).astype(np.uint8), labels=labels, **more)
    return path


@case("An `.npz` whose labels are class names, without `class_names`", assessed())
def test_labels_that_are_names(bench):
    return bench.assess(ByBrightness(), arrays(bench, np.repeat(["a", "b", "c"], 12)))


@case("An `.npz` with one-hot labels", assessed())
def test_one_hot_labels(bench):
    labels = np.eye(3)[np.repeat([0, 1, 2], 12)]
    return bench.assess(ByBrightness(), arrays(bench, labels, class_names=np.array(list("abc"))))


@case("An `.npz` with labels of shape (N, 1)", assessed())
def test_a_column_of_labels(bench):
    labels = np.repeat([0, 1, 2], 12)[:, None]
    return bench.assess(ByBrightness(), arrays(bench, labels, class_names=np.array(list("abc"))))


@case(
    "A file that is no image, before the model is loaded",
    refused("a dark/0.png: cannot be decoded"),
)
def test_a_damaged_image(bench):
    images = bench.images()
    (images / "a dark" / "0.png").write_bytes(b"no picture")
    model = bench.model(ByBrightness())
    (model / "data" / "model.pth").write_bytes(b"no model either")
    return bench.assess(model, images)
