"""Folders: a folder of class folders as a validation set.

The name of a class folder is the class of all images in it and in its folders, as in torchvision's
`ImageFolder`. The folder is checked whole when it is opened and every problem is reported at once;
only what a picture holds is found when it is decoded.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np

from governance.records.image_terms import ImageTerms
from governance.records.wording import first_few
from governance.subject.images.decoding import SUFFIXES
from governance.subject.images.files import Files, checked_hash
from governance.subject.images.problems import MOST_IMAGES, class_name_problems, refuse
from governance.subject.images.validation_set import ValidationSet
from governance.subject.images.walking import Walk, not_an_image

__all__ = ["open_folder", "parts_problem"]

#: Names of folders that hold a part of a data set and no class.
SPLITS = frozenset(
    {"train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval", "holdout"}
)


def parts_problem(names: Collection[str]) -> str | None:
    """The problem with folders that are parts of a data set, where one was to be named."""
    if not names or not {name.lower() for name in names} <= SPLITS:
        return None
    return (
        f"{first_few(sorted(names))} are parts of a data set and no classes; "
        f"split = {min(names)!r} in [validation] of the policy names one"
    )


def open_folder(path: Path, location: str, terms: ImageTerms) -> ValidationSet:
    """The images of a folder of class folders, whose sorted names are the class names.

    Args:
        path: The folder; with a split, the folder that holds one of that name.
        location: Name of the set, for the record and for messages.
        terms: What the policy says about reading it.

    Raises:
        SubjectError: All problems at once.
    """
    walk = Walk(root=path.resolve(), follow_links=terms.follow_links)
    found = _class_folders(walk, location, terms.split)
    names = [name for images in found.values() for name in images]
    problems = walk.problems
    problems += _layout_problems(found, terms.split)
    problems += class_name_problems(list(found), "class folders")
    if not names:
        problems.append(f"no images; class folders with {', '.join(SUFFIXES)} are accepted")
    elif len(names) > MOST_IMAGES:
        problems.append(f"more than {MOST_IMAGES} images; fewer are accepted")
    hashes = (
        []
        if problems
        else [checked_hash(walk.root / name, name, terms.reading, problems) for name in names]
    )
    refuse(problems, location)
    return ValidationSet.of(
        Files(walk.root, tuple(names), tuple(hashes), location, terms.reading),
        np.repeat(np.arange(len(found)), [len(images) for images in found.values()]),
        tuple(found),
        names,
        hashes,
        location,
        skipped=walk.skipped,
    )


def _class_folders(walk: Walk, location: str, split: str | None) -> dict[str, list[str]]:
    """The images of each class folder, by its name."""
    home = walk.root
    if split is not None:
        home = home / split
        if split not in (entry.name for entry in walk.entries(walk.root, papers=True)):
            refuse([*walk.problems, f"no folder {split}, which split names"], location)
    found: dict[str, list[str]] = {}
    for entry in walk.entries(home, papers=True):
        if not entry.is_dir():
            name = entry.relative_to(walk.root).as_posix()
            beside = "a file beside the class folders; none is accepted"
            image = entry.suffix.lower() in SUFFIXES
            walk.problems.append(f"{name}: {beside}" if image else not_an_image(name))
            continue
        found[entry.name] = list(walk.images(entry))
    return found


def _layout_problems(found: Mapping[str, list[str]], split: str | None) -> Iterator[str]:
    """Signs that another folder was meant, and classes without images."""
    empty = [name for name, images in found.items() if not images]
    if len(empty) == 1:
        yield f"{empty[0]}: a class folder without images; remove it or fill it"
    elif empty:
        yield f"{first_few(empty)}: {len(empty)} class folders without images; remove or fill them"
    depth = 1 if split is None else 2
    inner = {name: _folders_in(images, depth) for name, images in found.items() if images}
    shared = set(inner.values())
    within = next(iter(shared), frozenset())
    parts = parts_problem(found) if split is None and any(inner.values()) else None
    if parts:
        yield parts
    elif len(found) == 1:
        (name,) = found
        deeper = f" that holds the folders {first_few(sorted(within))}" if within else ""
        cure = "name it in the place of this one" if len(within) > 1 else "give a second class"
        yield f"one class, {name}{deeper}; at least two class folders are accepted: {cure}"
    elif len(shared) == 1 and len(within) > 1 and len(inner) > 1:
        yield (
            f"{first_few(sorted(inner))} all hold the folders {first_few(sorted(within))} and no "
            "image beside them; name the one whose folders are the classes, or list files and "
            "labels in a CSV file if these are the classes"
        )


def _folders_in(images: list[str], depth: int) -> frozenset[str]:
    """Folders that all images of a class lie in; none if one lies in the class folder itself."""
    parts = [name.split("/") for name in images]
    if any(len(part) == depth + 1 for part in parts):
        return frozenset()
    return frozenset(part[depth] for part in parts)
