"""Any registry: odd names, many versions, deleted experiments, and artifacts wherever they lie."""

import shutil
import sqlite3

import mlflow
import pytest
from mlflow import MlflowClient

from governance.errors import RegistryError, SubjectError
from governance.registry import all_versions, listing, resolve
from governance.registry.materials import class_tag, model_folder
from governance.registry.recording import check_home
from governance.workflows.version_history import read_history

#: Names that MLflow takes, and that an address could read as something else.
NAMES = (
    "team@stripes", "a@1", "@lead", "two words", "日本", "e\u0301", "per%20cent", "%2F", "q?x",
    "h#sh", "a+b", "a&b=c", "it's", "m-0123", "tab\there", "1", "latest",
)  # fmt: skip


@pytest.fixture
def named(mlflow_store, saved_model):
    """Register two versions of a model under a name, of which aliases are those of the first."""

    def register(name, *aliases):
        client = MlflowClient()
        client.create_registered_model(name)
        for _ in range(2):
            client.create_model_version(name, str(saved_model))
        for alias in aliases:
            client.set_registered_model_alias(name, alias, "1")
        return client

    return register


@pytest.mark.parametrize("name", NAMES)
def test_a_version_of_any_name_is_found_with_its_files(named, tmp_path, name):
    named(name, "champion")

    for uri in (f"models:/{name}/1", f"models:/{name}@champion"):
        version = resolve(uri)
        assert (version.uri, version.ref.name) == (f"models:/{name}/1", name)
    assert (model_folder(version, tmp_path / "model") / "MLmodel").is_file()


def test_an_alias_that_looks_like_a_number_is_no_version(named):
    named("stripes", "2", "007")

    assert resolve("models:/stripes@2").ref.version == "1"
    assert resolve("models:/stripes@007").ref.version == "1"
    assert resolve("models:/stripes/2").ref.version == "2"
    with pytest.raises(SubjectError, match="has no version 007; it has 1, 2"):
        resolve("models:/stripes/007")


def test_the_latest_version_is_the_one_with_the_highest_number(named, saved_model):
    client = named("stripes")
    client.create_model_version("stripes", str(saved_model))

    assert resolve("models:/stripes/latest").uri == "models:/stripes/3"
    client.delete_model_version("stripes", "3")
    assert resolve("models:/stripes/Latest").uri == "models:/stripes/2"


def test_a_model_without_versions_has_no_latest(mlflow_store):
    MlflowClient().create_registered_model("empty")

    with pytest.raises(SubjectError, match="empty has no version"):
        resolve("models:/empty/latest")


def test_the_tag_of_a_version_names_its_outputs(named):
    client = named("stripes")
    client.set_model_version_tag("stripes", "2", "class_names", '["b", "a"]')

    assert class_tag(resolve("models:/stripes/2")) == '["b", "a"]'
    assert class_tag(resolve("models:/stripes/1")) is None


def test_the_files_of_a_version_outlive_its_experiment(mlflow_store, log_model, tmp_path):
    log_model("orphan")
    client = MlflowClient()
    client.delete_experiment(client.get_experiment_by_name("training").experiment_id)

    version = resolve("models:/orphan/1")

    assert (model_folder(version, tmp_path / "model") / "MLmodel").is_file()
    home = client.create_experiment("governance/orphan")
    client.delete_experiment(home)
    with pytest.raises(RegistryError, match=f"restore it with: .* --experiment-id {home}"):
        check_home(version)


def test_a_registry_apart_from_the_tracking_server(
    mlflow_store, migrated_store, log_model, tmp_path, monkeypatch
):
    # A registry of its own, whose versions have their files where the runs are.
    (tmp_path / "apart").mkdir()
    shutil.copy(migrated_store, tmp_path / "apart" / "registry.db")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{tmp_path}/apart/registry.db")

    logged = log_model("apart")

    version = resolve("models:/apart/latest")
    assert version.model_id == logged.model_id
    assert (model_folder(version, tmp_path / "model") / "MLmodel").is_file()
    check_home(version)
    assert [item.version.ref.name for item in listing.newest()] == ["apart"]
    assert "apart" in listing.place()


def test_the_files_of_a_version_lie_in_s3(mlflow_store, log_model, tmp_path, monkeypatch):
    import boto3  # noqa: PLC0415 - as heavy as the next
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - seconds

    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1",
        "MLFLOW_S3_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    try:
        boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="models")
        MlflowClient().create_experiment("s3", artifact_location="s3://models/here")
        mlflow.set_experiment("s3")
        log_model("in s3")
        version = resolve("models:/in s3/1")
        assert version.source.startswith("models:/")
        assert (model_folder(version, tmp_path / "model") / "MLmodel").is_file()
    finally:
        server.stop()


MANY = 450


def test_hundreds_of_versions_are_listed_page_by_page(named, mlflow_store, monkeypatch):
    # arrange
    named("stripes")
    with sqlite3.connect(mlflow_store / "mlflow.db") as database:
        database.row_factory = sqlite3.Row
        row = dict(database.execute("SELECT * FROM model_versions WHERE version = 2").fetchone())
        for number in range(3, MANY + 1):
            row |= {"version": number, "creation_time": row["creation_time"] + 1}
            database.execute(
                f"INSERT INTO model_versions ({', '.join(row)}) "  # noqa: S608 - MLflow's columns
                f"VALUES ({', '.join('?' * len(row))})",
                list(row.values()),
            )
    asked = []
    search = MlflowClient.search_model_versions
    monkeypatch.setattr(
        MlflowClient,
        "search_model_versions",
        lambda self, *given, **options: asked.append(given) or search(self, *given, **options),
    )

    # act
    found = [item.version.ref.version for item in listing.newest()]
    pages, asked[:] = len(asked), []
    history = [version.ref.version for version, _ in all_versions("stripes")]
    lists, asked[:] = len(asked), []
    latest = resolve("models:/stripes/latest")
    latest_asked = len(asked)
    told = read_history("stripes", last=20)

    # assert
    newest = [str(number) for number in range(MANY - 19, MANY + 1)]
    assert [entry.version for entry in told.entries] == ["1", *newest]
    assert told.left_out == MANY - 21
    assert read_history("stripes", last=MANY).left_out == 0
    assert sorted(map(int, found)) == list(range(1, MANY + 1))
    assert history == [str(number) for number in range(1, MANY + 1)]
    assert latest.uri == f"models:/stripes/{MANY}"
    assert (pages, lists, latest_asked) == (3, 1, 1)
