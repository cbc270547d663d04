"""Listed: a list of images on disk as a validation set, by itself or in a folder of Hugging Face.

A list is a CSV, JSON lines or Parquet file with a column for the file, one for the label, perhaps
one for the part of the data set, and any others, which are kept for analyses of groups. The classes
are those of all rows, so that a part may lack one.
"""

import posixpath
from collections.abc import Sequence
from pathlib import Path

from governance.records.image_terms import ImageTerms
from governance.records.wording import first_few
from governance.subject.images.folders import parts_problem
from governance.subject.images.image_list import open_image_list
from governance.subject.images.list_files import LIST_SUFFIXES, Columns, plain, read_list
from governance.subject.images.problems import in_order, refuse
from governance.subject.images.validation_set import ValidationSet
from governance.subject.images.walking import Walk

__all__ = ["list_in", "open_list"]

#: Names of the column with the files: ours, that of Hugging Face, and that of the data set in
#: `mlflow_plugins`.
FILE = ("file", "file_name", "path")
LABEL, SPLIT = "label", "split"
#: What rows and images that are left out are counted as.
OTHERS, UNNAMED = "rows of other splits", "images that the list does not name"


def list_in(folder: Path, split: str | None) -> Path | None:
    """The list `metadata` of a folder, or of the folder of its part; None if there is none."""
    for home in (folder, folder / split if split else folder):
        found = [home / f"metadata{end}" for end in LIST_SUFFIXES]
        there = [file for file in found if file.is_file()]
        if len(there) > 1:
            names = first_few([file.name for file in there])
            refuse([f"{names} lie side by side; keep one of them"], str(folder))
        if there:
            return there[0]
    return None


def open_list(
    file: Path, location: str, terms: ImageTerms, *, folder: Path | None = None
) -> ValidationSet:
    """The images that a list names, from the folder that it lies in.

    Args:
        file: The list.
        location: Name of the set, for the record and for messages.
        terms: What the policy says about reading it.
        folder: Folder that the policy names, where the list was found in it. Without a column for
            them, labels and parts are then those of the folders, as in Hugging Face's
            `imagefolder`, and images that the list does not name are counted.

    Raises:
        SubjectError: All problems at once.
    """
    problems: list[str] = []
    columns = dict(read_list(file, problems))
    refuse(problems, location)
    # A list that lies in the folder of a part is about that part alone.
    split = terms.split if folder is None or file.parent == folder else None
    paths = _files(columns, problems)
    parts = _parts(columns, paths, split, problems, by_folder=folder is not None)
    within = 1 if folder is not None and split and SPLIT not in columns else 0
    labels = _labels(columns, paths, problems, within if folder is not None else None)
    refuse(problems, location)
    rows = [row for row, part in enumerate(parts) if split in {None, part}]
    kept = {
        name: plain(name, [values[row] for row in rows], problems)
        for name, values in columns.items()
        if name not in {*FILE, LABEL, SPLIT}
    }
    refuse(problems, location)
    skipped = {OTHERS: len(paths) - len(rows)} if len(rows) < len(paths) else {}
    if folder is not None:
        skipped |= _unnamed(file.parent, paths, terms)
    return open_image_list(
        [paths[row] for row in rows],
        [labels[row] for row in rows],
        root=file.parent,
        location=location,
        class_names=in_order(labels),
        terms=terms,
        metadata=kept,
        skipped=skipped,
    )


def _files(columns: Columns, problems: list[str]) -> list[str]:
    """The path in each row."""
    found = [name for name in FILE if name in columns]
    if len(found) != 1:
        problems.append(
            f"columns {first_few(list(columns), 10)}; exactly one of {', '.join(FILE)} is needed"
        )
        return []
    return _filled(found[0], columns[found[0]], problems)


def _parts(
    columns: Columns, paths: list[str], split: str | None, problems: list[str], *, by_folder: bool
) -> list[str | None]:
    """The part of the data set that each row is of."""
    stated = list(columns.get(SPLIT, ()))
    if not stated:
        tops = [path.partition("/")[0] for path in paths]
        stated = [*tops] if by_folder else [None] * len(paths)
        if split is None and by_folder and (problem := parts_problem(set(tops))):
            problems.append(problem)
    named = sorted({part for part in stated if part is not None})
    if split is not None and split not in named:
        there = f"there are {first_few(named)}" if named else f"there is no column {SPLIT}"
        problems.append(f"no row of the split {split!r}; {there}")
    if split is None and SPLIT in columns and named and len(set(stated)) > 1:
        others = " and rows of none" if None in stated else ""
        problems.append(
            f"rows of the splits {first_few(named)}{others}; split = {named[0]!r} in [validation] "
            "of the policy names one"
        )
    return stated


def _labels(
    columns: Columns, paths: list[str], problems: list[str], place: int | None
) -> list[str]:
    """The class of each row: its label, or the folder at a place in its path."""
    if LABEL in columns:
        return _filled(LABEL, columns[LABEL], problems)
    if place is None:
        problems.append(
            f"columns {first_few(list(columns), 10)}; a column {LABEL} with the class is needed"
        )
        return []
    folders = [path.split("/")[place:-1] for path in paths]
    bare = [path for path, above in zip(paths, folders, strict=True) if not above]
    if bare:
        problems.append(
            f"{first_few(bare)}: neither in the folder of a class nor beside a column {LABEL}"
        )
    return [above[0] if above else "" for above in folders]


def _filled(name: str, values: Sequence[str | None], problems: list[str]) -> list[str]:
    """The values of a column that may have no empty one."""
    empty = [str(row) for row, value in enumerate(values, 1) if value is None]
    if empty:
        problems.append(f"column {name}: empty in row {first_few(empty)}; a value is needed")
    return [value or "" for value in values]


def _unnamed(root: Path, paths: list[str], terms: ImageTerms) -> dict[str, int]:
    """Number of images in a folder that its list does not name, and what else is skipped there."""
    walk = Walk(root=root.resolve(), follow_links=terms.follow_links)
    named = {posixpath.normpath(path) for path in paths}
    count = sum(name not in named for name in walk.images(walk.root))
    return {**walk.skipped, **({UNNAMED: count} if count else {})}
