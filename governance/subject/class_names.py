"""Class names: which class each output of a model stands for, and images brought into that order.

The names travel with the model: in its metadata, in the configuration of a `transformers` model, or
in a tag of its version. A policy may state them instead. Labels then follow their names, so that
class folders may be sorted in any way. Without names, outputs are taken in the order of the images.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.errors import SubjectError
from governance.records.bounded import content_of, json_data
from governance.records.model_terms import ModelTerms
from governance.records.numbers import count
from governance.records.wording import first_few
from governance.subject.images.problems import class_name_problems
from governance.subject.images.validation_set import ValidationSet

__all__ = [
    "LARGEST_NAMES",
    "POLICY",
    "TAG",
    "ClassNames",
    "in_order",
    "matched",
    "names_in",
    "of_tag",
    "other_number",
    "read_names",
]

#: Bytes of a file of class names.
LARGEST_NAMES = 16 * 2**20
#: What is said of names that the policy states.
POLICY = "the policy"
#: Tag of a version with the names of its outputs.
TAG = "class_names"
#: Names that `transformers` makes up for classes that nobody named.
MADE_UP = "LABEL_"
CURE = (
    "class_names = [...] in [model] of the policy, in the order of the outputs, as the images name "
    "them"
)
SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassNames:
    """Names of a model's outputs, and who says so.

    Attributes:
        names: A name for each output, in order.
        source: Who names them, such as `the model's metadata`.
    """

    names: tuple[str, ...]
    source: str


def names_in(value: Any) -> tuple[str, ...] | None:
    """Class names in the order of the outputs, of a list or of an object from number to name.

    Args:
        value: Plain data of any shape.

    Returns:
        None if it is no such list, or if `transformers` made the names up.
    """
    if isinstance(value, dict):
        try:
            places = sorted(value, key=int)
            whole = [int(place) for place in places] == list(range(len(places)))
        except (TypeError, ValueError):
            return None
        if not whole:
            return None
        value = [value[place] for place in places]
    if not isinstance(value, list | tuple) or not value:
        return None
    if not all(isinstance(item, str | int) and not isinstance(item, bool) for item in value):
        return None
    names = [str(item) for item in value]
    if names == [f"{MADE_UP}{place}" for place in range(len(names))]:
        return None
    repeated = {name for name, times in Counter(names).items() if times > 1}
    # ImageNet has two cranes.
    return tuple(
        f"{name} [{place}]" if name in repeated else name for place, name in enumerate(names)
    )


def read_names(path: Path, location: str) -> tuple[str, ...]:
    """The class names in a file: a line each, or JSON with a list or an object by number.

    Args:
        path: File of text in UTF-8.
        location: Path as the policy names it, for messages.

    Raises:
        SubjectError: If it cannot be read, or holds no names.
    """
    try:
        text = content_of(path, LARGEST_NAMES, SubjectError).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SubjectError(f"class_names {location}: cannot be read: {error}") from error
    if path.suffix.lower() == ".json":
        found = names_in(json_data(text.encode(), f"class_names {location}", SubjectError))
    else:
        found = tuple(line.strip() for line in text.splitlines() if line.strip()) or None
    if found is None:
        raise SubjectError(
            f"class_names {location}: holds no names; a text with a name in each line is accepted, "
            "or a .json with a list, or with an object from number to name"
        )
    return found


def of_tag(text: str | None) -> tuple[ClassNames, ...]:
    """The class names in the tag of a version: a JSON list, or names with commas between them.

    Raises:
        SubjectError: If the tag holds JSON that names no classes.
    """
    if text is None or not text.strip():
        return ()
    if text.lstrip()[:1] not in {"[", "{"}:
        found = names_in([name.strip() for name in text.split(",")])
    else:
        try:
            found = names_in(json.loads(text))
        except (ValueError, RecursionError):
            found = None
    if found is None:
        raise SubjectError(
            f"tag {TAG}: holds no list of names; a JSON list of texts is accepted, such as "
            '["cat", "dog"]'
        )
    return (ClassNames(names=found, source=f"the tag {TAG} of the version"),)


def _agreed(
    policy: Sequence[str] | None, said: Sequence[ClassNames], where: str
) -> ClassNames | None:
    """The class names that count, of all that were found; None where nobody names the classes.

    Args:
        policy: What the policy states; it counts alone, since the images may have other names.
        said: What the model's files and tags say.
        where: Name of the model in messages.

    Raises:
        SubjectError: If two of them contradict each other, or a name is none.
    """
    stated = () if policy is None else (ClassNames(names=tuple(policy), source=POLICY),)
    found: tuple[ClassNames, ...] = (*stated, *said)
    if not found:
        return None
    first = found[0]
    problems = [f"{where}: {problem}" for problem in class_name_problems(first.names, first.source)]
    for other in said:
        contradicts = (
            sorted(other.names) == sorted(first.names) and other.names != first.names
            if stated
            else other.names != first.names
        )
        if contradicts:
            problems.append(
                f"{where}: {first.source} names the classes {first_few(first.names, SHOWN)}, and "
                f"{other.source} {first_few(other.names, SHOWN)}; the same names in the same order "
                "are accepted"
            )
    if problems:
        raise SubjectError(problems)
    return first


def in_order(validation: ValidationSet, terms: ModelTerms) -> ValidationSet:
    """Images as a policy alone orders their classes, before there is a model.

    Names in a file that lies in MLflow, or that only the model says, are not known yet.

    Raises:
        SubjectError: If the policy names other classes than the images.
    """
    names = terms.class_names
    if isinstance(names, str):
        names = read_names(Path(names), names) if Path(names).exists() else None
    if names is None and terms.absent is not None:
        return validation
    return matched(validation, names, terms.absent, where="the policy")


def matched(
    validation: ValidationSet,
    policy: Sequence[str] | None,
    absent: Sequence[str] | None = None,
    *,
    said: Sequence[ClassNames] = (),
    outputs: int | None = None,
    where: str,
) -> ValidationSet:
    """The same images with their labels in the order of the model's outputs.

    Args:
        validation: Images as they were opened.
        policy: Names of the outputs that the policy states; None where it states none.
        absent: Classes of the model that the policy says to have no images.
        said: Names that the model's files and tags give.
        outputs: Number of outputs of the model, where its files tell it.
        where: Name of the model in messages.

    Raises:
        SubjectError: If images and model name other classes, or classes lack images of which the
            policy does not say so, or two who name the classes contradict each other.
    """
    stated = _agreed(policy, said, where)
    found = _moved(validation, stated, absent, where)
    # One number may stand for two classes.
    if outputs not in {None, len(found.class_names)} and (outputs, len(found.class_names)) != (
        1,
        2,
    ):
        raise SubjectError(other_number(int(outputs or 0), found, where))
    return found


def _moved(
    validation: ValidationSet,
    stated: ClassNames | None,
    absent: Sequence[str] | None,
    where: str,
) -> ValidationSet:
    """The same images in the order of the names that count; as they are where there are none."""
    ours = validation.class_names
    if stated is None:
        if absent is None:
            return validation
        if list(ours) != sorted(ours):
            raise SubjectError(
                f"{where}: absent stands in the policy, nobody names the model's classes, and the "
                f"images name them in an order of their own; {CURE} is needed"
            )
        # Where their folders would stand, were they there.
        names = tuple(sorted({*ours, *absent}))
        stated = ClassNames(names=names, source="the images, and absent in the policy")
    counts = dict(zip(ours, validation.identity.class_counts, strict=True))
    lacking = tuple(name for name in stated.names if not counts.get(name))
    problems = [
        f"{where}: {problem}" for problem in _differences(ours, counts, stated, absent, lacking)
    ]
    if problems:
        raise SubjectError(problems)
    known = absent is not None or stated.source == POLICY
    return validation.with_classes(
        stated.names, absent=lacking if known else (), named_by=stated.source
    )


def other_number(outputs: int, validation: ValidationSet, where: str) -> str:
    """That a model has another number of outputs than there are classes, with the cure."""
    names, by = validation.class_names, validation.named_by or "the images"
    return (
        f"{where}: returns ({outputs},) numbers per image, and there are {count(len(names))} "
        f"classes, named by {by} ({first_few(names)}); as many outputs as classes are accepted: "
        f"{CURE}, names classes without images too"
    )


def _differences(
    ours: Sequence[str],
    counts: dict[str, int],
    stated: ClassNames,
    absent: Sequence[str] | None,
    lacking: Sequence[str],
) -> Iterator[str]:
    """How the classes of images and model differ, beyond what the policy allows."""
    further = sorted(set(ours) - set(stated.names))
    unnamed = [name for name in stated.names if name not in counts]
    if further:
        yield (
            f"{stated.source} names {count(len(stated.names))} classes and the images "
            f"{count(len(ours))}; only the images have {first_few(further, SHOWN)}, only the "
            f"former has {first_few(unnamed, SHOWN) or 'none'}; the same names are accepted: {CURE}"
        )
        return
    if absent is None:
        if unnamed and stated.source != POLICY:
            yield (
                f"{stated.source} names {count(len(unnamed))} classes without images: "
                f"{first_few(unnamed, SHOWN)}; images of all classes are accepted, or absent = "
                f"[...] in [model] of the policy with these names, or {CURE}"
            )
        return
    present = [name for name in absent if name not in lacking]
    if present:
        yield (
            f"absent names {first_few(present, SHOWN)}, which have images or are no classes of the "
            "model; classes without images are accepted"
        )
    undeclared = [name for name in lacking if name not in absent]
    if undeclared:
        yield (
            f"{count(len(undeclared))} classes have no images and absent does not name them: "
            f"{first_few(undeclared, SHOWN)}; images of them are accepted, or their names in absent"
        )
