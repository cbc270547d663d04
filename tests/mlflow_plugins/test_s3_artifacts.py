"""Objects that are written once, in a bucket of a server that speaks S3 (moto's)."""

import threading
from itertools import count

import boto3
import pytest
import requests
import servers
from botocore.exceptions import ClientError
from mlflow.exceptions import MlflowException
from mlflow.server import handlers
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from moto.server import ThreadedMotoServer

from mlflow_plugins import s3_artifacts
from mlflow_plugins.artifacts import SEALS
from mlflow_plugins.s3_artifacts import WriteOnceS3Repo

NAMES = (f"bucket{number}" for number in count())


@pytest.fixture(scope="module")
def storage():
    """The address of an S3."""
    port = servers.free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def s3(storage, monkeypatch):
    """Its owner's client, who is asked for nothing."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", storage)
    return boto3.client("s3", endpoint_url=storage)


LOCKED = {
    "Bucket": None,
    "ObjectLockConfiguration": {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}},
    },
}


@pytest.fixture(params=["plain", "locked", "retained"])
def bucket(request, s3):
    """A bucket without Object Lock, with it, and with retention by itself."""
    name = next(NAMES)
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=request.param != "plain")
    if request.param == "retained":
        s3.put_object_lock_configuration(**{**LOCKED, "Bucket": name})
    return name


@pytest.fixture
def repo(bucket, tmp_path):
    """A store with one artifact in it."""
    repo = get_artifact_repository(f"worm+s3://{bucket}/kept/here")
    assert isinstance(repo, WriteOnceS3Repo)
    log(repo, tmp_path, b"first", "MLmodel")
    return repo


def log(repo, folder, content, name, within="1/model"):
    """Log a file as MLflow's server does."""
    (folder / name).write_bytes(content)
    repo.log_artifact(str(folder / name), within)


def content(s3, bucket):
    """What a reader finds, by key, seals apart."""
    found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    keys = [item["Key"] for item in found if SEALS not in item["Key"]]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


FIRST = {"kept/here/1/model/MLmodel": b"first"}


@pytest.fixture
def unchanged(s3, bucket, repo):
    """Expects that nothing changed meanwhile."""
    yield
    assert content(s3, bucket) == FIRST


def refused(words, call, *arguments):
    """Expects 403 with words."""
    with pytest.raises(MlflowException, match=words) as caught:
        call(*arguments)
    assert caught.value.get_http_status_code() == 403


def test_a_new_file_is_kept_and_read_as_ever(repo, s3, bucket, tmp_path):
    (tmp_path / "up" / "deep").mkdir(parents=True)
    (tmp_path / "up" / "deep" / "a.txt").write_bytes(b"a")

    repo.log_artifacts(str(tmp_path / "up"), "2")

    assert content(s3, bucket) == FIRST | {"kept/here/2/deep/a.txt": b"a"}
    assert [item.path for item in repo.list_artifacts("1/model")] == ["1/model/MLmodel"]
    (tmp_path / "down").mkdir()
    assert sorted(item.path for item in repo.list_artifacts()) == ["1", "2"]
    place = repo.download_artifacts("1/model", str(tmp_path / "down"))
    assert (tmp_path / "down" / "1" / "model" / "MLmodel").read_bytes() == b"first", place


@pytest.mark.usefixtures("unchanged")
def test_nothing_is_overwritten_and_nothing_deleted(repo, tmp_path):
    refused("MLmodel: exists", log, repo, tmp_path, b"better", "MLmodel")
    refused("MLmodel: exists", log, repo, tmp_path, b"first, longer", "MLmodel")
    refused("MLmodel: exists", repo.create_multipart_upload, "MLmodel", 1, "1/model")
    refused("by a presigned URL", repo.create_presigned_upload_url, "1/model/MLmodel")
    for path in ("1/model/MLmodel", "1", None):
        refused("written once", repo.delete_artifacts, path)
    log(repo, tmp_path, b"first", "MLmodel")


@pytest.mark.usefixtures("unchanged")
def test_a_sealed_folder_takes_nothing(repo, bucket, tmp_path):
    # arrange: begun before the seal
    begun = repo.create_multipart_upload("late", 1, "1/model/data")
    part = requests.put(begun.credentials[0].url, data=b"late", timeout=30)
    assert part.status_code == 200
    # act
    repo.seal("1/model")
    repo.seal("1/model")
    # assert
    parts = [Part(part.headers["ETag"])]
    finish = repo.complete_multipart_upload
    refused("is sealed", finish, "late", begun.upload_id, parts, "1/model/data")
    for within in ("1/model", "1/model/data", "1/model/a/b"):
        refused("is sealed", log, repo, tmp_path, b"more", "MODEL.PT2", within)
        refused("is sealed", repo.create_multipart_upload, "MODEL.PT2", 1, within)
    inner = WriteOnceS3Repo(f"worm+s3://{bucket}/kept/here/1/model/data")
    refused("is sealed", log, inner, tmp_path, b"more", "MODEL.PT2", None)
    refused("names of this store itself", log, repo, tmp_path, b"", "other", f"1/{SEALS}")
    for within in ("1//model", "1/other/../model", "../here/1/model", "/kept/here/1/model"):
        with pytest.raises(MlflowException):
            log(repo, tmp_path, b"more", "MODEL.PT2", within)
    assert [item.path for item in repo.list_artifacts("1")] == ["1/model"]


def test_what_lies_beside_a_sealed_folder_stays_open(repo, tmp_path):
    repo.seal("1/model")

    for within in ("1", "1/other", "1/models", "1/Model", None):
        log(repo, tmp_path, b"more", "more", within)


class Part:
    """As MLflow's client says which part it uploaded."""

    part_number = 1

    def __init__(self, etag):
        self.etag = etag


def test_what_is_uploaded_in_parts_is_there_once(repo, s3, bucket, tmp_path):
    # arrange: two begin, the first to end is kept
    begun = [repo.create_multipart_upload("weights", 1, "1/model") for _ in range(2)]
    parts = []
    for number, upload in enumerate(begun):
        answer = requests.put(upload.credentials[0].url, data=b"%d" % number, timeout=30)
        parts.append([Part(answer.headers["ETag"])])
    # act
    repo.complete_multipart_upload("weights", begun[0].upload_id, parts[0], "1/model")
    # assert
    finish = repo.complete_multipart_upload
    refused("weights: exists", finish, "weights", begun[1].upload_id, parts[1], "1/model")
    refused("weights: exists", log, repo, tmp_path, b"2", "weights")
    assert content(s3, bucket)["kept/here/1/model/weights"] == b"0"


def test_a_file_longer_than_one_request_goes_in_parts(repo, s3, bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(s3_artifacts, "SINGLE", 3)

    log(repo, tmp_path, b"long enough", "weights")

    assert content(s3, bucket)["kept/here/1/model/weights"] == b"long enough"
    log(repo, tmp_path, b"long enough", "weights")
    refused("weights: exists", log, repo, tmp_path, b"another one", "weights")
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


@pytest.mark.parametrize("single", [s3_artifacts.SINGLE, 0])
def test_of_two_uploads_at_once_the_storage_refuses_one(
    repo, s3, bucket, tmp_path, monkeypatch, single
):
    # arrange: another server's upload comes between our look and our write
    monkeypatch.setattr(s3_artifacts, "SINGLE", single)
    key = "kept/here/1/model/raced"
    (tmp_path / "raced").write_bytes(b"second")
    looked = repo._exists

    def between(asked):
        found = looked(asked)
        if asked == key:
            s3.put_object(Bucket=bucket, Key=key, Body=b"first")
        return found

    monkeypatch.setattr(repo, "_exists", between)
    # act
    refused("raced: exists", repo.log_artifact, str(tmp_path / "raced"), "1/model")
    # assert
    assert content(s3, bucket)[key] == b"first"


def test_threads_that_upload_at_once_leave_one_whole_file(repo, s3, bucket, tmp_path):
    start, outcomes = threading.Barrier(8), []

    def upload(number):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "raced").write_bytes(b"%d" % number)
        start.wait()
        try:
            repo.log_artifact(str(tmp_path / str(number) / "raced"), "1/model")
        except MlflowException as error:
            outcomes.append(error.error_code)
        else:
            outcomes.append(number)

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    kept = [outcome for outcome in outcomes if outcome != "PERMISSION_DENIED"]
    assert len(outcomes) == 8
    assert [b"%d" % number for number in kept] == [content(s3, bucket)["kept/here/1/model/raced"]]


def test_a_seal_that_comes_while_a_file_is_written_holds(repo, s3, bucket, tmp_path, monkeypatch):
    wrote = repo._put

    def sealed_meanwhile(*arguments):
        repo.seal("1/model")
        return wrote(*arguments)

    monkeypatch.setattr(repo, "_put", sealed_meanwhile)

    refused("is sealed", log, repo, tmp_path, b"late", "late")
    assert content(s3, bucket) == FIRST


def test_a_storage_that_ignores_the_condition_is_said_to(bucket, s3, tmp_path, monkeypatch, caplog):
    repo = WriteOnceS3Repo(f"worm+s3://{bucket}/kept/here")
    client = repo._get_s3_client()

    class Ignores:
        """An S3 that takes no notice of the condition, as older ones do."""

        def __getattr__(self, name):
            def call(**request):
                return getattr(client, name)(
                    **{k: v for k, v in request.items() if k != "IfNoneMatch"}
                )

            return (
                call
                if name in {"put_object", "complete_multipart_upload"}
                else getattr(client, name)
            )

    monkeypatch.setattr(repo, "_get_s3_client", Ignores)
    monkeypatch.setattr(s3_artifacts.logger, "propagate", True)

    log(repo, tmp_path, b"first", "MLmodel")

    assert "ignores If-None-Match" in caplog.text
    refused("MLmodel: exists", log, repo, tmp_path, b"better", "MLmodel")
    assert content(s3, bucket) == FIRST


def test_with_object_lock_not_even_the_owner_removes_a_version(s3, tmp_path):
    # arrange
    bucket, key = next(NAMES), "kept/model/MLmodel"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    repo = WriteOnceS3Repo(f"worm+s3://{bucket}/kept")
    log(repo, tmp_path, b"first", "MLmodel", "model")
    begun = repo.create_multipart_upload("weights", 1, "model")
    part = requests.put(begun.credentials[0].url, data=b"parts", timeout=30)
    repo.complete_multipart_upload(
        "weights", begun.upload_id, [Part(part.headers["ETag"])], "model"
    )
    # act: past MLflow
    versions = {
        item["Key"]: item["VersionId"]
        for item in s3.list_object_versions(Bucket=bucket)["Versions"]
    }
    for name in ("MLmodel", "weights"):
        place = {"Bucket": bucket, "Key": f"kept/model/{name}"}
        assert s3.get_object_legal_hold(**place)["LegalHold"]["Status"] == "ON"
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.delete_object(**place, VersionId=versions[place["Key"]])
    # assert: a copy over it gets a version of its own, and the first stays
    source = {"Bucket": bucket, "Key": "kept/model/weights"}
    s3.copy_object(Bucket=bucket, Key=key, CopySource=source)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"parts"
    first = s3.get_object(Bucket=bucket, Key=key, VersionId=versions[key])["Body"].read()
    assert first == b"first"


def test_a_storage_that_does_not_answer_is_no_place_to_write(s3, monkeypatch, tmp_path):
    assert s3
    repo = WriteOnceS3Repo("worm+s3://nobody/kept")

    with pytest.raises(MlflowException, match=r"is refused with (NoSuchBucket|404)"):
        log(repo, tmp_path, b"first", "MLmodel", "model")


def test_a_governed_server_seals_in_a_bucket(served, s3, monkeypatch):
    # arrange
    bucket, api = next(NAMES), "/api/2.0/mlflow-artifacts"
    s3.create_bucket(Bucket=bucket)
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_DESTINATION", f"worm+s3://{bucket}/kept")
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", "mlflow-artifacts:/")
    monkeypatch.setenv("_MLFLOW_SERVER_SERVE_ARTIFACTS", "true")
    monkeypatch.setattr(handlers, "_artifact_repo", None)
    client, store = served(), handlers._get_tracking_store()
    logged = store.create_logged_model(store.create_experiment("in S3"))
    place = logged.artifact_location.removeprefix("mlflow-artifacts:/")
    for name in ("MLmodel", "data/model.pt2"):
        assert client.put(f"{api}/artifacts/{place}/{name}", data=b"first").status_code == 200
    client.post("/api/2.0/mlflow/registered-models/create", json={"name": "in S3"})
    about = {"name": "in S3", "source": f"models:/{logged.model_id}", "model_id": logged.model_id}
    before = content(s3, bucket)
    # act
    made = client.post("/api/2.0/mlflow/model-versions/create", json=about)
    # assert
    assert made.status_code == 200, made.json
    parts = {"path": "data/MODEL.PT2", "num_parts": 1}
    for answer in (
        client.put(f"{api}/artifacts/{place}/data/MODEL.PT2", data=b"more"),
        client.put(f"{api}/artifacts/{place}/MLmodel", data=b"better"),
        client.delete(f"{api}/artifacts/{place}/MLmodel"),
        client.post(f"{api}/mpu/create/{place}", json=parts),
    ):
        assert answer.status_code == 403, answer.text
    assert content(s3, bucket) == before
    assert set(before) == {f"kept/{place}/MLmodel", f"kept/{place}/data/model.pt2"}
