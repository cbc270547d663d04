"""Skipping: files that systems and people leave beside images, told by their names.

What is skipped is counted and recorded. A file of any other name that is no image is refused, since
it may be an image that somebody expects to be assessed.
"""

from fnmatch import fnmatchcase

__all__ = ["skipped_as"]

#: Left by systems, archives, notebooks and network drives; in small letters.
LEFT = (
    "thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", ".ds_store", "._*",
    ".ipynb_checkpoints", "@eadir", "icon\r", "$recycle.bin", "system volume information",
    "lost+found", "__pycache__",
)  # fmt: skip
#: Written for people, beside the class folders only: a class folder may be called so.
PAPERS = ("readme", "license", "licence", "citation", "changelog", "dataset_info", "dataset_infos")
#: Endings of such a paper; of others it is refused as any file.
PAPER_ENDINGS = ("", "cff", "json", "md", "rst", "txt")


def skipped_as(name: str, *, paper: bool = False) -> str | None:
    """What a file or a folder is skipped as; None where it is not skipped.

    Args:
        name: Its name, without the folder that it lies in.
        paper: Whether it is a file beside the class folders, where papers lie.

    Returns:
        A pattern or a name of the lists above, `hidden` for any other name with a dot in front, or
        the name of a paper in small letters.
    """
    small = name.lower()
    for pattern in LEFT:
        if fnmatchcase(small, pattern):
            return pattern.strip()
    if name.startswith("."):
        return "hidden"
    stem, _, ending = small.partition(".")
    if paper and stem in PAPERS and ending in PAPER_ENDINGS:
        return small
    return None
