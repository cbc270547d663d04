"""Artifacts: a folder of artifacts in which a file, once written, stays as it is.

`mlflow server --artifacts-destination worm:///var/lib/mlflow/artifacts` keeps what was assessed: a
file that exists is neither overwritten nor deleted over MLflow, whoever asks and by whichever of
MLflow's ways. A new file may still be put beside it, which the gate finds by the digest of the
model's files. Whoever may write to the folder itself is not held up: that takes permissions of the
file system, and on S3 its Object Lock.
"""

import os
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager
from filecmp import cmp
from pathlib import Path
from shutil import copyfileobj
from typing import Any, BinaryIO
from uuid import uuid4

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.store.artifact.artifact_repo import verify_artifact_path
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.utils.uri import validate_path_within_directory

__all__ = ["WriteOnceRepo"]

SCHEME = "worm:"


class WriteOnceRepo(LocalArtifactRepository):  # type: ignore[misc] # MLflow has no types
    """Artifacts in a local folder, each written once and whole.

    The same bytes under the same name are accepted again, so that a client that did not hear the
    answer may repeat its request.
    """

    def __init__(self, artifact_uri: str, *arguments: Any, **options: Any) -> None:
        super().__init__(f"file:{artifact_uri.removeprefix(SCHEME)}", *arguments, **options)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Keep a file.

        Raises:
            MlflowException: `PERMISSION_DENIED`, 403, if there is another one of that name.
        """
        with Path(local_file).open("rb") as content:
            self.log_artifact_from_stream(content, Path(local_file).name, artifact_path)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Keep every file of a folder; those before a refused one stay.

        Raises:
            MlflowException: `PERMISSION_DENIED`, 403, if there is another file of a name.
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
            MlflowException: `PERMISSION_DENIED`, 403, if there is another file of that name.
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
            MlflowException: `PERMISSION_DENIED`, 403, if there is another file of that name.
        """
        with self._written(artifact_file_name, artifact_path) as file:
            async for chunk in chunks:
                file.write(chunk)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Refuse.

        Raises:
            MlflowException: `PERMISSION_DENIED`, 403, always.
        """
        raise MlflowException(
            f"{artifact_path or 'all artifacts'}: kept for good, since artifacts here are written "
            "once; delete the run or the model and leave its files",
            error_code=PERMISSION_DENIED,
        )

    @contextmanager
    def _written(self, name: str, within: str | None) -> Iterator[BinaryIO]:
        """A new file to write to, in its place under its name once it is whole."""
        verify_artifact_path(within)
        folder = Path(self.artifact_dir, within or "")
        validate_path_within_directory(self.artifact_dir, str(folder))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise MlflowException(
                f"{within}: a file is there, which stays; another folder is accepted",
                error_code=PERMISSION_DENIED,
            ) from None
        target = folder / Path(name).name
        partial = folder / f".artifact.uploading.{uuid4().hex}"  # MLflow lists no such names
        try:
            with partial.open("xb") as file:
                yield file
            self._name(partial, target)
        finally:
            partial.unlink(missing_ok=True)

    def _name(self, partial: Path, target: Path) -> None:
        try:
            # Not a rename, which would put it in the place of another file without a word.
            os.link(partial, target)
        except FileExistsError:
            if target.is_file() and cmp(partial, target, shallow=False):
                return
            raise MlflowException(
                f"{target.relative_to(self.artifact_dir)}: exists, and artifacts here are written "
                "once; log it under another name, or register a new version of the model",
                error_code=PERMISSION_DENIED,
            ) from None
