"""Image download: the validation images behind an artifact URI, no more of them than are needed.

Files are fetched before an assessment begins and not while it runs: a confined process has no
network and no credential, and every analysis reads the images again. What a store lists is looked
at first: with a split, the other parts of a data set stay where they are.
"""

from pathlib import Path, PurePosixPath

from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from governance.errors import SubjectError
from governance.registry.versions import Room, download, refusals
from governance.subject.images.list_files import LIST_SUFFIXES
from governance.subject.images.problems import LARGEST_SET, MOST_CLASSES, MOST_IMAGES
from governance.subject.images.shards import ENDINGS, part_of

__all__ = ["fetch_images"]

ROOM = Room(MOST_IMAGES + MOST_CLASSES, LARGEST_SET, SubjectError)


def fetch_images(location: str, split: str | None, into: Path) -> Path:
    """The place on this machine of validation images that are copied there.

    Args:
        location: Artifact URI of a folder, a list or a file of images.
        split: Part of the data set that is taken; None for all of it.
        into: New folder.

    Raises:
        SubjectError: If there is more than there may be of a validation set.
        RegistryError: If something cannot be downloaded.
    """
    home, _, name = location.rpartition("/")
    if Path(name).suffix.lower() in LIST_SUFFIXES:
        # The images that a list names lie in its folder.
        return download(home, into, ROOM) / name
    wanted = _of_split(location, split) if split is not None else []
    if not wanted:
        return download(location, into, ROOM)
    places = [download(f"{location}/{item}", into, ROOM) for item in wanted]
    return places[0].parent


def _of_split(location: str, split: str) -> list[str]:
    """What a folder holds of a split, with its lists; nothing if it is not divided by names."""
    with refusals(f"{location}: listing"):
        found = get_artifact_repository(location).list_artifacts()
    names = {PurePosixPath(item.path).name: item.is_dir for item in found}
    part = [
        name
        for name, is_folder in names.items()
        if (
            name == split
            if is_folder
            else name.lower().endswith(ENDINGS) and part_of(name) == split
        )
    ]
    lists = [name for name in names if name in {f"metadata{end}" for end in LIST_SUFFIXES}]
    return [*part, *lists] if part else []
