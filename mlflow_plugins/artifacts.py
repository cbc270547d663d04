"""Artifacts: a folder of artifacts in which a file, once written, stays as it is.

`mlflow server --artifacts-destination worm:///var/lib/mlflow/artifacts` keeps what was assessed: a
file that exists is neither overwritten nor deleted over MLflow, whoever asks and by whichever of
MLflow's ways. A folder that is sealed takes no new file either; a governed registry seals the
folder of each registered model. Whoever may write to the folder itself is not held up: that takes
permissions of the file system.
"""

import os
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from filecmp import cmp
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from typing import Any, BinaryIO
from uuid import uuid4

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, PERMISSION_DENIED
from mlflow.store.artifact.artifact_repo import verify_artifact_path
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.utils.uri import validate_path_within_directory

from governance.approval.tags import folded

__all__ = ["SEALS", "WriteOnceRepo", "check_path", "kept", "listed", "refusal", "seal_text"]

SCHEME = "worm:"
#: Lies beside a sealed folder, holds a file of the folder's name, and is never listed.
SEALS = ".governance-sealed"
#: Begins the names of files that are being written; MLflow lists no such names.
PARTIAL = ".artifact.uploading."


def refusal(text: str) -> MlflowException:
    """A refusal, 403."""
    return MlflowException(text, error_code=PERMISSION_DENIED)


def kept(artifact_path: str | None) -> MlflowException:
    """The refusal to delete."""
    return refusal(
        f"{artifact_path or 'all artifacts'}: kept for good, since artifacts here are written "
        "once; delete the run or the model and leave its files"
    )


def another(path: str) -> MlflowException:
    """The refusal to put another file in the place of one."""
    return refusal(
        f"{path}: exists, and artifacts here are written once; log it under another name, or "
        "register a new version of the model"
    )


def sealed(path: str) -> MlflowException:
    """The refusal to add a file to a sealed folder."""
    return refusal(
        f"{path}: its folder is sealed, since it holds a registered model or the record of one; "
        "log a new model and register that"
    )


def check_path(path: str) -> None:
    """Refuse a path that only this store itself writes to.

    Raises:
        MlflowException: `PERMISSION_DENIED`, 403.
    """
    parts = PurePosixPath(path).parts
    if any(folded(part) == SEALS or folded(part).startswith(PARTIAL) for part in parts):
        raise refusal(f"{path}: names of this store itself; another name is accepted")


def listed(infos: list[FileInfo]) -> list[FileInfo]:
    """A listing without what only this store itself writes."""
    return [info for info in infos if PurePosixPath(info.path).name != SEALS]


def seal_text() -> str:
    """What the file of a seal says to a person."""
    return f"sealed at {datetime.now(UTC).isoformat(timespec='seconds')}\n"


class WriteOnceRepo(LocalArtifactRepository):  # type: ignore[misc] # MLflow has no types
    """Artifacts in a local folder, each written once and whole.

    The same bytes under the same name are accepted again, so that a client that did not hear the
    answer may repeat its request.
    """

    def __init__(self, artifact_uri: str, *arguments: Any, **options: Any) -> None:
        super().__init__(f"file:{artifact_uri.removeprefix(SCHEME)}", *arguments, **options)

    def seal(self, artifact_path: str | None = None) -> None:
        """Add nothing to a folder from now on, and to no folder in it.

        Raises:
            MlflowException: If the path leads out of this store, or the file system refuses.
        """
        folder = self._folder(artifact_path)
        if _sealed(folder):
            return
        seal = _seal(folder)
        try:
            seal.parent.mkdir(exist_ok=True)
            seal.write_text(seal_text(), encoding="utf-8")
        except OSError as error:
            text = f"{artifact_path or folder}: cannot be sealed: {error.strerror}"
            raise MlflowException(text, error_code=INTERNAL_ERROR) from error

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """The artifacts in a folder, without our seals."""
        return listed(super().list_artifacts(path))

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Keep a file.

        Raises:
            MlflowException: `PERMISSION_DENIED`, 403, if there is another one of that name, or the
                folder is sealed.
        """
        with Path(local_file).open("rb") as content:
            self.log_artifact_from_stream(content, Path(local_file).name, artifact_path)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Keep every file of a folder; those before a refused one stay.

        Raises:
            MlflowException: `PERMISSION_DENIED`, 403, if there is another file of a name, or the
                folder is sealed.
        """
        root = Path(local_dir)
        for file in sorted(path for path in root.rglob("*") if path.is_file()):
            within = file.parent.relative_to(root).as_posix()
            parts = [part for part in (artifact_path, within) if part and part != "."]
            self.log_artifact(str(file), "/".join(parts) or None)

    def log_artifact_from_stream(
        self, stream: BinaryIO, artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        """Keep what a stream gives.

        Raises:
            MlflowException: `PERMISSION_DENIED`, 403, if there is another file of that name, or the
                folder is sealed.
        """
        with self._written(artifact_file_name, artifact_path) as file:
            copyfileobj(stream, file)

    async def log_artifact_from_async_stream(
        self,
        chunks: AsyncIterable[bytes],
        artifact_file_name: str,
        artifact_path: str | None = None,
    ) -> None:
        """Keep what a stream gives; this is how MLflow's server writes what is uploaded.

        Raises:
            MlflowException: `PERMISSION_DENIED`, 403, if there is another file of that name, or the
                folder is sealed.
        """
        with self._written(artifact_file_name, artifact_path) as file:
            async for chunk in chunks:
                file.write(chunk)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Refuse.

        Raises:
            MlflowException: `PERMISSION_DENIED`, 403, always.
        """
        raise kept(artifact_path)

    def _folder(self, within: str | None) -> Path:
        verify_artifact_path(within)
        folder = Path(self.artifact_dir, within or "")
        validate_path_within_directory(self.artifact_dir, str(folder))
        return folder

    @contextmanager
    def _written(self, name: str, within: str | None) -> Iterator[BinaryIO]:
        """A new file to write to, in its place under its name once it is whole."""
        folder = self._folder(within)
        target = folder / Path(name).name
        check_path(self._shown(target))
        self._check_open(target)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise refusal(
                f"{within}: a file is there, which stays; another folder is accepted"
            ) from None
        partial = folder / f"{PARTIAL}{uuid4().hex}"
        try:
            with partial.open("xb") as file:
                yield file
            self._name(partial, target)
        finally:
            partial.unlink(missing_ok=True)

    def _name(self, partial: Path, target: Path) -> None:
        self._check_open(target)
        try:
            # Not a rename, which would put it in the place of another file without a word.
            os.link(partial, target)
        except FileExistsError:
            if target.is_file() and cmp(partial, target, shallow=False):
                return
            raise another(self._shown(target)) from None
        try:
            # The seal may have come in between; what is sealed was complete without this file.
            self._check_open(target)
        except MlflowException:
            target.unlink()
            raise

    def _check_open(self, target: Path) -> None:
        if _sealed(target.parent):
            raise sealed(self._shown(target))

    def _shown(self, target: Path) -> str:
        return target.relative_to(self.artifact_dir).as_posix()


def _seal(folder: Path) -> Path:
    """The file that seals a folder, under the folder's name so that the file system folds both."""
    return folder.parent / SEALS / folder.name


def _sealed(folder: Path) -> bool:
    """Whether a folder, or one that it lies in, is sealed, under whatever name it is reached."""
    place = folder.resolve()
    return any(_seal(item).exists() for item in (place, *place.parents) if item.name)
