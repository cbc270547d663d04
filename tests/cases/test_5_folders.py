"""Folders and files of images.

`data` in `[validation]` of the policy names them. What is skipped is counted in the record.
"""

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
    refused("the folders test, train are parts of a data set ... split = 'test'"),
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
