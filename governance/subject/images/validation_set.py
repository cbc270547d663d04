"""Validation set: labelled images, read when asked for."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from governance.records.identity import ValidationIdentity
from governance.records.reading import FileReading
from governance.subject.images.decoding import Picture

__all__ = ["ImageFiles", "ValidationSet", "evenly"]


@runtime_checkable
class ImageFiles(Protocol):
    """Images that are decoded from files, which can be read in more than one way."""

    @property
    def reading(self) -> FileReading:
        """What is declared of orientation, transparency and deep grey."""
        ...

    def picture(self, index: int) -> Picture:
        """An image with what its file holds beside it."""
        ...

    def read_as(self, reading: FileReading) -> Sequence[NDArray[np.uint8]]:
        """The same files, read in another way."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValidationSet:
    """Labelled images, read when asked for.

    Attributes:
        location: Path or URI as the policy names it.
        images: Decoded images, (H, W) or (H, W, 3) uint8 each; slow to read, not kept.
        labels: (N,) index into `class_names`.
        class_names: Names in the order of the model's outputs.
        ids: Name of each image for the reader: its path inside the folder, or its number.
        hashes: sha256 of each image as stored, hexadecimal.
        digest: sha256 over class names and every image's label and hash.
        absent: Classes that the policy says to have no images; nothing is expected of them.
        named_by: Who named the classes, where it was not the images alone.
        skipped: Files and folders that were left out, by what they were skipped as.
        metadata: (N,) what else a list says of each image, by the name of its column; None for a
            value that is missing.
    """

    location: str
    images: Sequence[NDArray[np.uint8]]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    ids: tuple[str, ...]
    hashes: tuple[str, ...]
    digest: str
    absent: tuple[str, ...] = ()
    named_by: str | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        images: Sequence[NDArray[np.uint8]],
        labels: NDArray[np.int64],
        class_names: Sequence[str],
        ids: Sequence[str],
        hashes: Sequence[str],
        location: str,
        *,
        skipped: Mapping[str, int] | None = None,
        metadata: Mapping[str, Sequence[str | None]] | None = None,
    ) -> Self:
        """Images and labels with the digest that is taken over them."""
        return cls(
            location=location,
            images=images,
            labels=labels,
            class_names=tuple(class_names),
            ids=tuple(ids),
            hashes=tuple(hashes),
            digest=_digest(class_names, labels, hashes),
            skipped={kind: n for kind, n in sorted((skipped or {}).items()) if n},
            metadata={name: tuple(values) for name, values in (metadata or {}).items()},
        )

    def with_classes(
        self, class_names: Sequence[str], *, absent: Sequence[str], named_by: str
    ) -> Self:
        """The same images under the same names, in another order and among more of them.

        Args:
            class_names: All names of this set, and perhaps others, in the order of the outputs.
            absent: Those that the policy says to have no images.
            named_by: Who named them.
        """
        place = {name: index for index, name in enumerate(class_names)}
        moved = np.array([place[name] for name in self.class_names], dtype=np.int64)
        labels = moved[self.labels]
        return replace(
            self,
            labels=labels,
            class_names=tuple(class_names),
            digest=_digest(class_names, labels, self.hashes),
            absent=tuple(absent),
            named_by=named_by,
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def identity(self) -> ValidationIdentity:
        """What a record keeps of this set."""
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        return ValidationIdentity(
            location=self.location,
            digest=self.digest,
            images=len(self),
            class_names=self.class_names,
            class_counts=tuple(int(count) for count in counts),
            absent=self.absent or None,
            named_by=self.named_by,
            skipped=self.skipped or None,
            metadata={name: _column_digest(values) for name, values in self.metadata.items()}
            or None,
        )

    def picture(self, index: int) -> Picture:
        """An image with what its file holds beside it; nothing, where it is no file.

        Raises:
            SubjectError: If it cannot be read.
        """
        if isinstance(self.images, ImageFiles):
            return self.images.picture(index)
        return Picture(self.images[index])

    @property
    def reading(self) -> FileReading | None:
        """The way that image files are read in; None where the images are no files."""
        return self.images.reading if isinstance(self.images, ImageFiles) else None

    def read_as(self, reading: FileReading) -> Self:
        """The same images, their files read in another way."""
        if not isinstance(self.images, ImageFiles):
            return self
        return replace(self, images=self.images.read_as(reading))

    def sample(self, n: int, seed: int) -> NDArray[np.int64]:
        """Indices of at most `n` images, as even over the classes as the set allows, ascending."""
        return np.sort(evenly(self.labels, np.random.default_rng(seed))[:n])


def _digest(class_names: Sequence[str], labels: NDArray[np.int64], hashes: Sequence[str]) -> str:
    # JSON, so that no class name can pass for two.
    digest = hashlib.sha256(json.dumps(list(class_names)).encode())
    for label, content in zip(labels, hashes, strict=True):
        digest.update(f"\n{label} {content}".encode())
    return f"sha256:{digest.hexdigest()}"


def _column_digest(values: Sequence[str | None]) -> str:
    return f"sha256:{hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()}"


def evenly(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """All images in a random order of which every beginning is as even over the classes as can be.

    Args:
        labels: (N,) class of each image.
        rng: Generator of the order within and between the classes.

    Returns:
        (N,) indices.
    """
    order = rng.permutation(len(labels))
    # Rank of each image within its class, in random order: taking ranks in turn is even.
    rank = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = np.arange(len(members))
    return order[np.argsort(rank[order], kind="stable")]
