"""Opening: the validation images at a place, whatever they lie in."""

from pathlib import Path

from governance.errors import SubjectError
from governance.records.image_terms import ImageTerms
from governance.subject.images.arrays import ARRAYS, open_arrays
from governance.subject.images.folders import open_folder
from governance.subject.images.list_files import LIST_SUFFIXES
from governance.subject.images.listed import list_in, open_list
from governance.subject.images.problems import refuse
from governance.subject.images.shards import has_shards, open_shards
from governance.subject.images.validation_set import ValidationSet

__all__ = ["open_validation", "shown"]


def open_validation(path: Path, location: str, terms: ImageTerms | None = None) -> ValidationSet:
    """The validation images at `path`, hashed now and decoded when asked for.

    Args:
        path: A folder of class folders, whose sorted names are the class names; a list of files
            with labels (`.csv`, `.tsv`, `.jsonl` or `.parquet`), or a folder with one called
            `metadata`; a tar archive of WebDataset, or a folder of them; or an `.npz` with `images`
            (N, H, W) or (N, H, W, C) uint8 with C of 1 or 3, `labels` (N,) and `class_names` (K,).
            An `.npz` may name classes without images, as a model with more outputs needs.
        location: Path or URI as the policy names it, for the record and for messages.
        terms: What the policy says about reading them; all images, and no links that lead out of
            the folder, if not given.

    Raises:
        SubjectError: All problems at once. Item `i` of `images` raises
            it too, if that file is damaged or no longer what was hashed.
    """
    terms = terms or ImageTerms()
    if path.is_dir():
        listing = list_in(path, terms.split)
        if listing is not None:
            return open_list(listing, location, terms, folder=path)
        if has_shards(path, terms.split):
            return open_shards(path, location, terms)
        return open_folder(path, location, terms)
    if path.suffix.lower() == ".npz" and path.is_file():
        if terms.split is not None:
            refuse(["split: an .npz has no parts; leave split out of the policy"], location)
        return open_arrays(path, location)
    if path.suffix.lower() in LIST_SUFFIXES and path.is_file():
        return open_list(path, location, terms)
    if path.suffix.lower() == ".tar" and path.is_file():
        return open_shards(path, location, terms)
    problem = "is neither" if path.exists() else "does not exist"
    raise SubjectError(
        f"validation images {location}: {problem}; a folder of class folders, a list "
        f"({', '.join(LIST_SUFFIXES)}), a .tar or an .npz with {', '.join(ARRAYS)} is accepted"
    )


def shown(path: Path) -> Path:
    """What a process has to see to open the images at a place: of a list, the folder around it."""
    return path.parent if path.suffix.lower() in LIST_SUFFIXES and path.is_file() else path
