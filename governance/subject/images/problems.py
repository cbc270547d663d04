"""Problems: what every reader of validation images refuses, whatever the images lie in."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from governance.errors import SubjectError
from governance.records.wording import first_few

__all__ = [
    "LARGEST_SET",
    "MOST_CLASSES",
    "MOST_IMAGES",
    "class_name_problems",
    "in_order",
    "refuse",
]

#: Images of a validation set.
MOST_IMAGES = 200_000
#: Bytes of a validation set that is downloaded.
LARGEST_SET = 256 * 2**30
#: Classes of a validation set.
MOST_CLASSES = 50_000
#: Characters of the name of a class.
LONGEST_NAME = 200

#: A label that is a number of a class and not a name.
NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")

#: Name of the rows over all classes in the tables of the analyses.
OVERALL = "all"


def class_name_problems(names: Iterable[str], where: str) -> Iterator[str]:
    """Class names that repeat, cannot be printed, or stand for something else in tables.

    Args:
        names: Names of all classes.
        where: Place of the names in messages.
    """
    counts = Counter(names)
    if len(counts) > MOST_CLASSES:
        yield f"{where}: {len(counts)} classes; at most {MOST_CLASSES} are accepted"
    long = [repr(f"{name[:20]}…") for name in counts if len(name) > LONGEST_NAME]
    if long:
        yield f"{where}: {first_few(long)} have over {LONGEST_NAME} characters; shorten them"
    repeated = [repr(name) for name, count in counts.items() if count > 1]
    if repeated:
        yield f"{where}: {first_few(repeated)} repeat; a name for each is needed"
    if OVERALL in counts:
        yield f"class {OVERALL!r}: tables call the rows over all classes so; rename the class"
    unprintable = [repr(name) for name in counts if not name.strip() or not name.isprintable()]
    if unprintable:
        yield f"{where}: {first_few(unprintable)} cannot be printed; rename them"


def in_order(labels: Iterable[str]) -> list[str]:
    """The different labels as class names: whole numbers by their size, others as texts."""
    names = sorted(set(labels))
    if all(NUMBER.fullmatch(name) for name in names):
        return sorted(names, key=int)
    return names


def refuse(problems: Sequence[str], location: str) -> None:
    """Refuse a validation set that has problems, all at once."""
    if problems:
        raise SubjectError(f"validation images {location}: {problem}" for problem in problems)
