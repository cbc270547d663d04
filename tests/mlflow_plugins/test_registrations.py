"""Requests to register that fail halfway on a locked SQLite, and what becomes of their repeats."""

import json
import sqlite3
import threading

import pytest
import sqlalchemy
from mlflow.server import handlers

CREATE = "/api/2.0/mlflow/model-versions/create"
NAME = "registered"


@pytest.fixture
def model(served):
    """The id of a logged model, and a registered one without versions."""
    client = served()
    client.post("/api/2.0/mlflow/registered-models/create", json={"name": NAME})
    store = handlers._get_tracking_store()
    return store.create_logged_model(store.create_experiment("training")).model_id


def request_for(model, **more):
    """What MLflow's client sends to register a logged model."""
    return {"name": NAME, "source": f"models:/{model}", "model_id": model, **more}


def number_of(answer):
    """The version that an answer names."""
    assert answer.status_code == 200, answer.json
    return answer.json["model_version"]["version"]


def versions(served):
    """All numbers that there are."""
    answer = served().get(
        "/api/2.0/mlflow/model-versions/search", query_string={"filter": f"name='{NAME}'"}
    )
    return sorted(item["version"] for item in answer.json["model_versions"])


@pytest.fixture
def locked(registry, model, monkeypatch):
    """Somebody writes for long, from when a version was written and before MLflow notes it.

    MLflow's wait of 20 seconds is cut to a tenth of one. Called with None, it ends that writing.
    """
    assert model
    other = sqlite3.connect(
        registry.office.folder / "mlflow.db", isolation_level=None, check_same_thread=False
    )
    store, tracking = handlers._get_model_registry_store(), handlers._get_tracking_store()
    real, answers = store.create_model_version, []

    def impatient(connection, cursor, statement, *rest):
        del connection, cursor
        return statement.replace("busy_timeout = 20000", "busy_timeout = 100"), rest[0]

    def locking(*arguments, **options):
        made = real(*arguments, **options)
        other.execute("BEGIN IMMEDIATE")
        answers.append(made)
        return made

    sqlalchemy.event.listen(tracking.engine, "before_cursor_execute", impatient, retval=True)
    monkeypatch.setattr(store, "create_model_version", locking)

    def release():
        monkeypatch.setattr(store, "create_model_version", real)
        other.execute("ROLLBACK")

    yield release
    sqlalchemy.event.remove(tracking.engine, "before_cursor_execute", impatient)
    other.close()


def test_a_repeat_after_a_locked_database_gets_the_version_that_there_is(served, model, locked):
    # arrange
    client = served()
    first = client.post(CREATE, json=request_for(model))
    assert first.status_code == 503
    assert "locked" in first.json["message"]
    locked()
    # act: MLflow's client does this by itself
    again = client.post(CREATE, json=request_for(model))
    # assert
    assert number_of(again) == "1"
    assert versions(served) == ["1"]
    noted = handlers._get_tracking_store().get_logged_model(model).tags["mlflow.modelVersions"]
    assert [str(item["version"]) for item in json.loads(noted)] == ["1"]
    # what is sent once more after that is meant
    assert number_of(client.post(CREATE, json=request_for(model))) == "2"


def test_what_others_register_meanwhile_does_not_hide_the_version(served, model, locked):
    client = served()
    assert client.post(CREATE, json=request_for(model)).status_code == 503
    locked()
    other = request_for(model, tags=[{"key": "a", "value": "b"}])
    assert number_of(client.post(CREATE, json=other)) == "2"

    assert number_of(client.post(CREATE, json=request_for(model))) == "1"
    assert versions(served) == ["1", "2"]


CHANGES = {
    "tags": {"tags": [{"key": "a", "value": "b"}]},
    "description": {"description": "another"},
    "run": {"run_id": "0" * 32},
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_request_gets_a_version_of_its_own(served, model, locked, change):
    client = served()
    assert client.post(CREATE, json=request_for(model)).status_code == 503
    locked()

    answer = client.post(CREATE, json=request_for(model, **CHANGES[change]))

    assert number_of(answer) == "2"


TOUCHES = {
    "tag": ("set_model_version_tag", "a", "b"),
    "alias": ("set_registered_model_alias", "candidate", "1"),
    "description": ("update_model_version", "1", "mine"),
    "gone": ("delete_model_version", "1"),
}


@pytest.mark.parametrize("touch", TOUCHES)
def test_a_version_that_somebody_changed_meanwhile_is_theirs(
    served, registry, model, locked, touch
):
    client = served()
    assert client.post(CREATE, json=request_for(model)).status_code == 503
    locked()
    method, *arguments = TOUCHES[touch]
    if touch == "tag":
        arguments = ["1", *arguments]
    getattr(registry.client, method)(NAME, *arguments)

    assert number_of(client.post(CREATE, json=request_for(model))) == "2"
    assert versions(served) == (["2"] if touch == "gone" else ["1", "2"])


@pytest.mark.parametrize(
    ("seconds", "number"), [(1, "2"), (119, "2"), (121, "1"), (599, "1"), (601, "2")]
)
def test_another_process_knows_a_failed_request_by_its_age(
    served, model, locked, monkeypatch, seconds, number
):
    # arrange: the server that failed is gone, or another one gets the repeat
    client = served()
    assert client.post(CREATE, json=request_for(model)).status_code == 503
    locked()
    handlers._get_model_registry_store()._registrations._failed.clear()
    now = registered_at() + 1000 * seconds
    # act
    monkeypatch.setattr("mlflow_plugins.governed._now", lambda: now)
    # assert
    assert number_of(client.post(CREATE, json=request_for(model))) == number


def registered_at():
    """When version 1 was made, in milliseconds since 1970."""
    return handlers._get_model_registry_store().get_model_version(NAME, "1").creation_timestamp


def test_what_was_finished_is_registered_again_when_that_is_asked(served, model, monkeypatch):
    client = served()
    assert number_of(client.post(CREATE, json=request_for(model))) == "1"
    now = registered_at() + 180_000
    monkeypatch.setattr("mlflow_plugins.governed._now", lambda: now)

    assert number_of(client.post(CREATE, json=request_for(model))) == "2"


def test_a_burst_of_registrations_leaves_as_many_versions(served, model):
    count, start, answers = 12, threading.Barrier(12), []

    def register():
        client = served()
        start.wait()
        answers.append(client.post(CREATE, json=request_for(model)))

    threads = [threading.Thread(target=register) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    numbers = sorted(int(number_of(answer)) for answer in answers)
    assert numbers == list(range(1, count + 1))
    assert len(versions(served)) == count
