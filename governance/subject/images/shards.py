"""Shards: tar archives of images with labels, as WebDataset writes them, as a validation set.

A sample is what has one name up to the first dot: `0001.jpg` with `0001.cls` or `0001.json`. The
label is the text of `.cls`, or `label` in `.json`, whose other plain values are kept with the
image. Nothing is unpacked: an image is read from its archive when asked for.
"""

import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from governance.errors import SubjectError
from governance.records.bounded import json_data, opened
from governance.records.image_terms import ImageTerms
from governance.records.reading import FileReading
from governance.records.wording import first_few
from governance.subject.images.decoding import LARGEST_IMAGE, SUFFIXES, check_header
from governance.subject.images.files import Files, Span
from governance.subject.images.folders import parts_problem
from governance.subject.images.list_files import MOST_CELLS, column_problems, flat, plain
from governance.subject.images.problems import (
    LARGEST_SET,
    MOST_IMAGES,
    class_name_problems,
    in_order,
    refuse,
)
from governance.subject.images.skipping import skipped_as
from governance.subject.images.tar_members import Member, members_of
from governance.subject.images.validation_set import ValidationSet
from governance.subject.images.walking import Walk

__all__ = ["ENDINGS", "has_shards", "open_shards", "part_of"]

#: Endings of archives; those that are packed are refused, since no image in them can be sought.
ENDINGS = (".tar", ".tgz", *(f".tar.{kind}" for kind in ("gz", "bz2", "xz", "zst", "lz4")))
#: What is left out is counted as.
BESIDE, OTHERS = "files beside the archives", "archives of other splits"

#: Bytes of a label, and of what else is said of an image.
LONGEST_LABEL = 1024
LARGEST_JSON = 2**20
#: Kinds of further members that are left out, such as `.txt`.
MOST_KINDS = 100

LABEL = "label"


@dataclass(frozen=True, slots=True)
class Sample:
    """An image of a shard: where it lies, its digest, its label and what else is said of it."""

    place: Span
    digest: str
    label: str
    said: Mapping[str, str | None]


def has_shards(folder: Path, split: str | None) -> bool:
    """Whether a folder, or the folder of its part, holds tar archives."""
    return any(_is_archive(entry) for home in _homes(folder, split) for entry in home.glob("*"))


def open_shards(path: Path, location: str, terms: ImageTerms) -> ValidationSet:
    """The images of tar archives, in the order of the archives and of their members.

    Args:
        path: An archive, or a folder of archives.
        location: Name of the set, for the record and for messages.
        terms: What the policy says about reading it; a split is the word that the name of an
            archive begins with, as in `test-0000.tar`, or the folder that it lies in.

    Raises:
        SubjectError: All problems at once.
    """
    root = path.resolve() if path.is_dir() else path.parent.resolve()
    walk = Walk(root=root, follow_links=terms.follow_links)
    problems, skipped = walk.problems, walk.skipped
    shards = _shards(path, walk, terms.split)
    refuse(problems, location)
    found = (
        sample for shard in shards for sample in _samples(shard, terms.reading, skipped, problems)
    )
    samples = list(islice(found, MOST_IMAGES + 1))
    if len(samples) > MOST_IMAGES:
        problems.append(f"more than {MOST_IMAGES} images; fewer are accepted")
    names = in_order(sample.label for sample in samples)
    problems += class_name_problems(names, "labels")
    if len(names) == 1:
        problems.append(f"one class, {names[0]}; images of two classes are needed")
    if not samples:
        problems.append("no images; samples such as 0.jpg with 0.cls are accepted")
    refuse(problems, location)
    metadata = _metadata(samples, problems)
    refuse(problems, location)
    index = {name: place for place, name in enumerate(names)}
    ids = tuple(sample.place.name for sample in samples)
    hashes = tuple(sample.digest for sample in samples)
    spans = tuple(sample.place for sample in samples)
    return ValidationSet.of(
        Files(shards[0].parent, ids, hashes, location, terms.reading, spans),
        np.array([index[sample.label] for sample in samples], dtype=np.int64),
        names,
        ids,
        hashes,
        location,
        skipped=skipped,
        metadata=metadata,
    )


def _homes(folder: Path, split: str | None) -> tuple[Path, ...]:
    return (folder, folder / split) if split else (folder,)


def _is_archive(entry: Path) -> bool:
    return entry.name.lower().endswith(ENDINGS) and entry.is_file()


def _shards(path: Path, walk: Walk, split: str | None) -> list[Path]:
    """The archives of the part that is taken, or all of them without one."""
    if path.is_file():
        if split is not None and part_of(path.name) != split:
            walk.problems.append(
                f"{path.name}: is not of the split {split!r}, by its name; an archive of it is "
                "accepted, or no split"
            )
        return [walk.root / path.name]
    home = next(home for home in _homes(walk.root, split) if has_shards(home, None))
    entries = walk.entries(home, papers=True)
    found = [entry for entry in entries if _is_archive(entry)]
    beside = [entry for entry in entries if entry not in set(found)]
    loose = [entry.name for entry in beside if entry.suffix.lower() in SUFFIXES or entry.is_dir()]
    if loose:
        walk.problems.append(f"{first_few(loose)}: beside archives; archives alone are accepted")
    walk.skipped[BESIDE] += len(beside) - len(loose)
    packed = [entry.name for entry in found if not entry.name.lower().endswith(".tar")]
    if packed:
        walk.problems.append(f"{first_few(packed)}: packed; .tar as it is is accepted")
    if split is None or home != walk.root:
        return _all_of_one_part(found, walk)
    taken = [shard for shard in found if part_of(shard.name) == split]
    if not taken:
        there = first_few(sorted({part_of(shard.name) for shard in found}))
        walk.problems.append(f"no archive of the split {split!r}; their names begin with {there}")
    walk.skipped[OTHERS] += len(found) - len(taken)
    return taken


def _all_of_one_part(found: list[Path], walk: Walk) -> list[Path]:
    """All archives, unless some are for training and others for testing."""
    parts = {part_of(shard.name) for shard in found}
    if len(parts) > 1 and (problem := parts_problem(parts)):
        walk.problems.append(problem)
    return found


def part_of(name: str) -> str:
    """The word that the name of an archive begins with, such as `train`."""
    found = re.match(r"[^\W\d_]+", name)
    return found[0] if found else ""


def _samples(
    shard: Path, reading: FileReading, skipped: Counter[str], problems: list[str]
) -> Iterator[Sample]:
    """The samples of an archive; what is wrong with it is added to `problems`."""
    try:
        with opened(shard, LARGEST_SET, SubjectError) as stream:
            for key, members in _grouped(stream, skipped).items():
                try:
                    yield _sample(stream, f"{shard.name}/{key}", members, reading)
                except SubjectError as error:
                    problems += error.problems
    except OSError as error:
        problems.append(f"{shard.name}: cannot be read: {error.strerror}")
    except ValueError as error:
        problems.append(f"{shard.name}: cannot be read as a tar archive: {error}")
    except SubjectError as error:
        problems += error.problems


def _grouped(stream: BinaryIO, skipped: Counter[str]) -> dict[str, dict[str, Member]]:
    """Members by the name of their sample and their ending; what is left out is counted.

    Raises:
        ValueError: If the archive is damaged or beyond a limit, or names cannot be printed.
    """
    samples: dict[str, dict[str, Member]] = {}
    for member in members_of(stream):
        path = PurePosixPath(member.name)
        if not member.name.isprintable():
            raise ValueError(f"a name that cannot be printed: {member.name!r}")
        if kind := skipped_as(path.name):
            skipped[kind] += 1
            continue
        stem, dot, ending = path.name.partition(".")
        suffix = f".{ending.lower().rpartition('.')[2]}" if dot else ""
        if suffix not in {*SUFFIXES, ".cls", ".json"}:
            skipped[f"members {suffix[:20] or 'without an ending'}"] += 1
            if len(skipped) > MOST_KINDS:
                raise ValueError(f"members of more than {MOST_KINDS} kinds; fewer are accepted")
            continue
        members = samples.setdefault((path.parent / stem).as_posix(), {})
        if suffix in members:
            raise ValueError(f"{member.name!r}: a second {suffix} of one sample; one is accepted")
        members[suffix] = member
        if len(samples) > MOST_IMAGES:
            raise ValueError(f"more than {MOST_IMAGES} images; fewer are accepted")
    return samples


def _sample(
    stream: BinaryIO, where: str, members: Mapping[str, Member], reading: FileReading
) -> Sample:
    """A sample with its image looked at and hashed.

    Raises:
        SubjectError: If it has no image, more than one, no label, or what cannot be read.
    """
    images = [suffix for suffix in members if suffix in SUFFIXES]
    if len(images) != 1:
        found = first_few(sorted(members))
        raise SubjectError(f"{where}: {found}; exactly one image a sample is accepted")
    image = members[images[0]]
    content = _content(stream, image, LARGEST_IMAGE, f"{where}{images[0]}")
    check_header(io.BytesIO(content), f"{where}{images[0]}", reading)
    said: dict[str, str | None] = {}
    if ".json" in members:
        data = _content(stream, members[".json"], LARGEST_JSON, f"{where}.json")
        found = json_data(data, f"{where}.json", SubjectError)
        said = flat(found) if isinstance(found, dict) else {}
    label = said.pop(LABEL, None)
    if ".cls" in members:
        raw = _content(stream, members[".cls"], LONGEST_LABEL, f"{where}.cls")
        try:
            label = raw.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise SubjectError(f"{where}.cls: cannot be read as text; UTF-8 is accepted") from error
    if not label:
        raise SubjectError(f"{where}: no label; a .cls, or a .json with a label, is needed")
    place = Span(f"{where}{images[0]}", where.partition("/")[0], image.start, image.size)
    return Sample(place, hashlib.sha256(content).hexdigest(), label, said)


def _content(stream: BinaryIO, member: Member, most: int, where: str) -> bytes:
    if member.size > most:
        raise SubjectError(f"{where}: {member.size} bytes; at most {most} are accepted")
    stream.seek(member.start)
    return stream.read(member.size)


def _metadata(samples: list[Sample], problems: list[str]) -> dict[str, list[str | None]]:
    """What is said of the images besides their labels, by its name."""
    names = list(dict.fromkeys(name for sample in samples for name in sample.said))
    problems += column_problems(names) if names else []
    if len(names) * len(samples) > MOST_CELLS:
        problems.append(f"more than {MOST_CELLS} values beside the images; fewer are accepted")
        return {}
    return {
        name: plain(name, [sample.said.get(name) for sample in samples], problems) for name in names
    }
