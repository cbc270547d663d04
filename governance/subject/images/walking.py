"""Walking: the image files in a folder and in its folders, within bounds.

What is skipped is counted; everything else that is no image is a problem. A folder is entered once,
however many links lead to it, so that links in a circle or side by side cost no more than the files
behind them.
"""

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from governance.subject.images.decoding import SUFFIXES
from governance.subject.images.problems import MOST_CLASSES, MOST_IMAGES
from governance.subject.images.skipping import skipped_as

__all__ = ["Walk", "not_an_image"]

#: Folders inside one another, from the folder of the set.
MOST_NESTED = 16
#: Files and folders that are looked at, those included that are skipped.
MOST_ENTRIES = 2 * MOST_IMAGES + MOST_CLASSES
#: Endings of images that are not read, and what to do about them.
UNREAD = dict.fromkeys((".heic", ".heif", ".hif"), "HEIC is not read; store it as JPEG or PNG")


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """One walk through the folder of a set; it gathers what it met besides images.

    Attributes:
        root: Folder of the set, resolved; paths are told from there.
        follow_links: Whether links may lead out of it.
        problems: Sentences about what cannot be taken.
        skipped: Files and folders that were skipped, by what they were skipped as.
    """

    root: Path
    follow_links: bool = False
    problems: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    _entered: set[tuple[int, int]] = field(default_factory=set)
    _seen: Counter[str] = field(default_factory=Counter)

    def images(self, folder: Path) -> Iterator[str]:
        """Path from the root of each image in a folder and its folders, in the order of names."""
        for entry in self.entries(folder):
            name = entry.relative_to(self.root).as_posix()
            if entry.is_dir():
                yield from self.images(entry)
            elif entry.is_file() and entry.suffix.lower() in SUFFIXES:
                yield name
            else:
                self.problems.append(not_an_image(name))

    def entries(self, folder: Path, *, papers: bool = False) -> list[Path]:
        """What is in a folder, sorted, without what is skipped and links that are not followed.

        Args:
            folder: The root or a folder in it.
            papers: Whether files such as a README are skipped here.
        """
        where = folder.relative_to(self.root).as_posix()
        try:
            entries = self._listed(folder, where)
        except OSError as error:
            self.problems.append(f"{where}: cannot be listed: {error.strerror}")
            return []
        return [entry for entry in entries if self._taken(entry, papers=papers)]

    def _listed(self, folder: Path, where: str) -> list[Path]:
        if len(folder.relative_to(self.root).parts) > MOST_NESTED:
            self.problems.append(f"{where}: more than {MOST_NESTED} folders inside one another")
            return []
        found = folder.stat()
        if (found.st_dev, found.st_ino) in self._entered:
            self.problems.append(f"{where}: a link to a folder that is read already; remove it")
            return []
        self._entered.add((found.st_dev, found.st_ino))
        left = MOST_ENTRIES - self._seen["entries"]
        entries = sorted(itertools.islice(folder.iterdir(), left + 1))
        self._seen["entries"] += len(entries)
        if len(entries) > left:
            self.problems.append(
                f"{where}: more than {MOST_ENTRIES} files and folders; fewer are accepted"
            )
            return []
        return entries

    def _taken(self, entry: Path, *, papers: bool) -> bool:
        kind = skipped_as(entry.name, paper=papers and not entry.is_dir())
        if kind is not None:
            self.skipped[kind] += 1
            return False
        name = entry.relative_to(self.root).as_posix()
        if not name.isprintable():
            # Also the stand-ins for bytes that are no UTF-8, which no record can hold.
            self.problems.append(f"{name!r}: a name that cannot be printed; rename it")
            return False
        if entry.is_symlink() and (problem := self._misleading(entry)):
            self.problems.append(f"{name}: {problem}")
            return False
        return True

    def _misleading(self, link: Path) -> str | None:
        if not os.path.exists(link):  # noqa: PTH110 - False where pathlib raises
            return "a link that is broken; repair or remove it"
        if self.follow_links or _leads_inside(link, self.root):
            return None
        return (
            "a link that leaves the folder; copy the file, or set follow_links = true in "
            "[validation] of the policy"
        )


def not_an_image(name: str) -> str:
    """The problem with a file that is no image, and what is accepted."""
    suffix = Path(name).suffix.lower()
    accepted = UNREAD.get(suffix, f"{', '.join(SUFFIXES)} are accepted")
    return f"{name}: not an image; {accepted}"


def _leads_inside(link: Path, root: Path) -> bool:
    """Whether a link leads to something within `root`."""
    try:
        return link.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):  # RuntimeError: links in a circle, before Python 3.13
        return False
