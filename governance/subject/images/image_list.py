"""Image list: a list of image files with their labels, as a validation set."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from governance.records.image_terms import ImageTerms
from governance.records.wording import first_few
from governance.subject.images.decoding import SUFFIXES
from governance.subject.images.files import Files, checked_hash
from governance.subject.images.problems import MOST_IMAGES, class_name_problems, refuse
from governance.subject.images.validation_set import ValidationSet
from governance.subject.images.walking import not_an_image

__all__ = ["open_image_list"]


def open_image_list(
    paths: Sequence[str],
    labels: Sequence[str],
    *,
    root: Path,
    location: str,
    class_names: Sequence[str] | None = None,
    terms: ImageTerms | None = None,
    metadata: Mapping[str, Sequence[str | None]] | None = None,
    skipped: Mapping[str, int] | None = None,
) -> ValidationSet:
    """The listed images, hashed now and decoded when asked for.

    Args:
        paths: (N,) files, absolute or from `root`; none may lie outside of it.
        labels: (N,) class name of each image.
        root: Folder of the images.
        location: Name of the list, for the record and for messages.
        class_names: Class names in the order of the model's outputs; the sorted labels if not
            given.
        terms: What the policy says about reading them; no link may leave the folder if not given.
        metadata: (N,) what else is known of each image, by its name.
        skipped: Number of files and rows that were left out, by what they were skipped as.

    Raises:
        SubjectError: All problems at once.
    """
    root = root.resolve()
    terms = terms or ImageTerms()
    follow = terms.follow_links
    if len(paths) > MOST_IMAGES:
        refuse([f"{len(paths)} images; at most {MOST_IMAGES} are accepted"], location)
    names = list(class_names) if class_names is not None else sorted(set(labels))
    problems = [
        *class_name_problems(names, "class names"),
        *_label_problems(names, labels),
        *_path_problems(paths, root, follow=follow),
    ]
    refuse(problems, location)
    within = [_home(root / path, follow=follow).relative_to(root).as_posix() for path in paths]
    problems += [
        f"{name}: listed {count} times; once is accepted"
        for name, count in Counter(within).items()
        if count > 1
    ]
    hashes = [checked_hash(root / name, name, terms.reading, problems) for name in within]
    refuse(problems, location)
    index = {name: place for place, name in enumerate(names)}
    return ValidationSet.of(
        Files(root, tuple(within), tuple(hashes), location, terms.reading),
        np.array([index[label] for label in labels], dtype=np.int64),
        names,
        within,
        hashes,
        location,
        skipped=skipped,
        metadata=metadata,
    )


def _home(file: Path, *, follow: bool) -> Path:
    """Where a file lies, by its name; resolved, if no link may lead elsewhere unseen."""
    return Path(os.path.normpath(file)) if follow else file.resolve()


def _label_problems(names: Sequence[str], labels: Sequence[str]) -> Iterator[str]:
    if len(set(labels)) < 2:  # noqa: PLR2004 - there is nothing to tell apart
        yield f"labels: {len(set(labels))} class has images; images of two classes are needed"
    unknown = sorted(set(labels) - set(names))
    if unknown:
        yield f"labels: {first_few(unknown)} are none of the classes {first_few(names)}"


def _path_problems(paths: Sequence[str], root: Path, *, follow: bool) -> Iterator[str]:
    for path in paths:
        file = root / path
        if not path.isprintable():
            yield f"{path!r}: a name that cannot be printed; rename it"
        elif not os.path.isfile(file):  # noqa: PTH113 - a name may be longer than a path
            yield f"{path}: no such file; paths start at {root.name} or are absolute"
        elif not _home(file, follow=follow).is_relative_to(root):
            yield f"{path}: lies outside of the folder {root.name}; name another root"
        elif file.suffix.lower() not in SUFFIXES:
            yield not_an_image(path)
