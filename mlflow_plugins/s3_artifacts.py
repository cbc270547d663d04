"""S3 artifacts: a bucket in which an object, once written, stays as it is.

`mlflow server --artifacts-destination worm+s3://bucket/path` refuses over MLflow to overwrite, to
delete, and to add to a sealed folder. New objects are put with `If-None-Match: *`, so that of two
uploads at once the storage itself refuses one. Where the storage ignores that condition we look
first and write then, which two uploads at the same moment get past; the log says so. In a bucket
with Object Lock and no default retention each object gets a legal hold. Credentials of the bucket
go past all this: they are held up by Object Lock and by the bucket's policy alone.
"""

import logging
import posixpath
from collections.abc import Mapping
from functools import cached_property
from mimetypes import guess_type
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, NoReturn
from urllib.parse import urlsplit

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from mlflow.store.artifact.artifact_repo import verify_artifact_path
from mlflow.store.artifact.s3_artifact_repo import BOTO_TO_MLFLOW_ERROR, S3ArtifactRepository

from mlflow_plugins.artifacts import (
    SEALS,
    another,
    check_path,
    kept,
    listed,
    refusal,
    seal_text,
    sealed,
)

__all__ = ["WriteOnceS3Repo"]

SCHEME = "worm+"
#: Bytes that S3 takes in one request, and of one part of what is longer.
SINGLE, PART = 5 * 1024**3, 64 * 1024**2
#: Codes of S3, and of what imitates it: a condition is not met, a request not known, nothing there.
EXISTS = frozenset({"PreconditionFailed", "412"})
UNKNOWN = frozenset({"NotImplemented", "501", "MethodNotAllowed", "405"})
UNLOCKED = frozenset({"ObjectLockConfigurationNotFoundError"}) | UNKNOWN
MISSING = frozenset({"404", "NoSuchKey", "NotFound"})

logger = logging.getLogger(__name__)


class WriteOnceS3Repo(S3ArtifactRepository):  # type: ignore[misc] # MLflow has no types
    """Artifacts in a bucket, each written once and whole.

    The same bytes under the same name are accepted again, so that a client that did not hear the
    answer may repeat its request.
    """

    def __init__(self, artifact_uri: str, *arguments: Any, **options: Any) -> None:
        super().__init__(artifact_uri.removeprefix(SCHEME), *arguments, **options)
        place = urlsplit(self.artifact_uri)
        self._bucket, self._root = place.netloc, place.path.strip("/")

    def seal(self, artifact_path: str | None = None) -> None:
        """Add nothing to a folder from now on, and to no folder in it.

        Raises:
            MlflowException: If the storage refuses, or the folder is the whole bucket.
        """
        folder = self._key(artifact_path)
        if not folder:
            raise refusal(f"{self.artifact_uri}: a whole bucket; a folder in it can be sealed")
        if not self._sealed(folder):
            seal = _seals(folder)[0]
            self._ask("put_object", Key=seal, Body=seal_text().encode(), **self._hold)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """The artifacts in a folder, without our seals."""
        return listed(super().list_artifacts(path))

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Refuse.

        Raises:
            MlflowException: `PERMISSION_DENIED`, 403, always.
        """
        raise kept(artifact_path)

    def create_presigned_upload_url(self, artifact_path: str, expiration: int = 900) -> NoReturn:
        """Refuse, since such a URL could still be used after its folder was sealed.

        Raises:
            MlflowException: `PERMISSION_DENIED`, 403, always.
        """
        del expiration
        raise refusal(f"{artifact_path}: is taken through the server, and not by a presigned URL")

    def upload_archived_trace_data_bytes(self, data: bytes) -> None:
        """Keep an archived trace.

        Raises:
            MlflowException: `PERMISSION_DENIED`, 403, if there is another one.
        """
        from mlflow.tracing.otel.otel_archival import TRACE_ARCHIVAL_FILENAME

        with TemporaryDirectory(prefix="governance-") as scratch:
            file = Path(scratch, TRACE_ARCHIVAL_FILENAME)
            file.write_bytes(data)
            self.log_artifact(str(file))

    def create_multipart_upload(
        self, local_file: str, num_parts: int = 1, artifact_path: str | None = None
    ) -> Any:
        """Begin an upload in parts; nothing is there before it is completed.

        Raises:
            MlflowException: `PERMISSION_DENIED`, 403, if there is a file of that name, or the
                folder is sealed.
        """
        self._check_new(self._key(artifact_path, posixpath.basename(local_file)))
        return super().create_multipart_upload(local_file, num_parts, artifact_path)

    def complete_multipart_upload(
        self, local_file: str, upload_id: str, parts: Any = None, artifact_path: str | None = None
    ) -> None:
        """Put together what was uploaded in parts.

        Raises:
            MlflowException: `PERMISSION_DENIED`, 403, if there is a file of that name by now, or
                the folder is sealed.
        """
        key = self._key(artifact_path, posixpath.basename(local_file))
        self._check_new(key)
        if not self._complete(key, upload_id, {part.part_number: part.etag for part in parts}):
            raise another(key)
        self._confirm(key)

    def _upload_file(self, s3_client: Any, local_file: str, bucket: str, key: str) -> None:
        """Keep a file; MLflow's ways to log artifacts all come here."""
        del s3_client, bucket
        _check(key)
        self._check_open(key)
        with Path(local_file).open("rb") as file:
            if not self._exists(key) and self._put(key, file, self._options(local_file)):
                self._confirm(key)
            elif not self._holds(key, file):
                raise another(key)

    def _options(self, local_file: str) -> dict[str, Any]:
        """What MLflow says of a file that it uploads."""
        kind, encoding = guess_type(local_file)
        known = {"ContentType": kind, "ContentEncoding": encoding}
        set_by_user = self.get_s3_file_upload_extra_args() or {}
        return {**{key: value for key, value in known.items() if value}, **set_by_user}

    def _put(self, key: str, file: BinaryIO, options: Mapping[str, Any]) -> bool:
        """Write a new object; whether there was none."""
        options = {**self._hold, **options}
        if Path(file.name).stat().st_size <= SINGLE:
            return self._wrote("put_object", Key=key, Body=file, **options)
        upload = self._ask("create_multipart_upload", Key=key, **options)["UploadId"]
        about = {"Key": key, "UploadId": upload}
        try:
            chunks = enumerate(iter(lambda: file.read(PART), b""), start=1)
            parts = {
                number: self._ask("upload_part", **about, PartNumber=number, Body=chunk)["ETag"]
                for number, chunk in chunks
            }
            done = self._complete(key, upload, parts)
        except MlflowException:
            self._ask("abort_multipart_upload", **about)
            raise
        if not done:
            self._ask("abort_multipart_upload", **about)
        return done

    def _complete(self, key: str, upload: str, parts: Mapping[int, str]) -> bool:
        """Put an object together from its parts; whether there was none."""
        listing = [{"PartNumber": number, "ETag": etag} for number, etag in parts.items()]
        about = {"Key": key, "UploadId": upload, "MultipartUpload": {"Parts": listing}}
        done = self._wrote("complete_multipart_upload", **about)
        if done and self._hold:
            self._ask("put_object_legal_hold", Key=key, LegalHold={"Status": "ON"})
        return done

    def _wrote(self, operation: str, **request: Any) -> bool:
        """Ask for a write on the condition that there is nothing; whether that was so."""
        request |= self._condition
        return self._answer(operation, EXISTS, **request) is not None

    def _holds(self, key: str, file: BinaryIO) -> bool:
        """Whether an object has the content of a file."""
        answer = self._ask("get_object", Key=key)
        if answer["ContentLength"] != Path(file.name).stat().st_size:
            return False
        file.seek(0)
        chunks = answer["Body"].iter_chunks(PART)
        return all(chunk == file.read(len(chunk)) for chunk in chunks)

    def _key(self, within: str | None, name: str = "") -> str:
        """Where an artifact lies in the bucket.

        Raises:
            MlflowException: If the path is none of ours.
        """
        path = posixpath.join(within or "", name).rstrip("/")
        if path:
            _check(path)
        return posixpath.join(self._root, path).strip("/")

    def _exists(self, key: str) -> bool:
        return self._answer("head_object", MISSING, Key=key) is not None

    def _sealed(self, folder: str) -> bool:
        """Whether a folder, or one that it lies in, is sealed."""
        return any(self.thread_pool.map(self._exists, _seals(folder)))

    def _check_new(self, key: str) -> None:
        self._check_open(key)
        if self._exists(key):
            raise another(key)

    def _check_open(self, key: str) -> None:
        if self._sealed(posixpath.dirname(key)):
            raise sealed(key)

    def _confirm(self, key: str) -> None:
        """Take away a new object whose folder was sealed while it was written."""
        try:
            self._check_open(key)
        except MlflowException:
            self._ask("delete_object", Key=key)  # on a bucket with versions this hides it
            raise

    @cached_property
    def _condition(self) -> Mapping[str, str]:
        """What makes the storage refuse to overwrite; empty where it takes no notice."""
        condition = {"IfNoneMatch": "*"}
        key, known = posixpath.join(self._root, SEALS, ""), EXISTS | UNKNOWN
        probe = {"Key": key, "Body": b"", **condition}
        refused = [self._answer("put_object", known, **probe) is None for _ in range(2)]
        # Known and obeyed: the object is there, and could not be put twice.
        conditional = any(refused) and self._exists(key)
        if conditional:
            return condition
        logger.warning(
            "The storage at %s ignores If-None-Match: two uploads of one name at the same moment "
            "overwrite each other", self.artifact_uri
        )  # fmt: skip
        return {}

    @cached_property
    def _hold(self) -> Mapping[str, str]:
        """What locks a new object where the bucket has Object Lock and no retention by itself."""
        answer = self._answer("get_object_lock_configuration", UNLOCKED) or {}
        configuration = answer.get("ObjectLockConfiguration", {})
        if configuration.get("ObjectLockEnabled") != "Enabled" or configuration.get("Rule"):
            return {}
        return {"ObjectLockLegalHoldStatus": "ON"}

    def _ask(self, operation: str, **request: Any) -> Any:
        """What S3 answers.

        Raises:
            MlflowException: If it refuses or does not answer.
        """
        return self._answer(operation, frozenset(), **request)

    def _answer(self, operation: str, unless: frozenset[str], **request: Any) -> Any:
        """What S3 answers; None for the errors named.

        Raises:
            MlflowException: If it refuses for another reason or does not answer.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        call = getattr(self._get_s3_client(), operation)
        where = f"s3://{self._bucket}/{request.get('Key', '')}: {operation}"
        try:
            return call(Bucket=self._bucket, **request, **self._bucket_owner_params)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in unless:
                return None
            kind = BOTO_TO_MLFLOW_ERROR.get(code, TEMPORARILY_UNAVAILABLE)
            raise MlflowException(f"{where} is refused with {code}", error_code=kind) from error
        except BotoCoreError as error:
            text = f"{where} has no answer: {error}"
            raise MlflowException(text, error_code=TEMPORARILY_UNAVAILABLE) from error


def _check(path: str) -> None:
    verify_artifact_path(path)
    check_path(path)


def _seals(folder: str) -> list[str]:
    """The objects that would seal a folder: one beside it, and beside each that it lies in."""
    path = PurePosixPath(folder)
    return [str(item.parent / SEALS / item.name) for item in (path, *path.parents) if item.name]
