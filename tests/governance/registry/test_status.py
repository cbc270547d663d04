"""Status: whatever ends an assessment, `running` does not stay."""

import mlflow
import pytest
from mlflow import MlflowClient

from governance.errors import RegistryError
from governance.registry import marked_running, resolve


@pytest.fixture
def version(mlflow_store, saved_model):
    client = MlflowClient()
    client.create_registered_model("stripes")
    client.create_model_version("stripes", str(saved_model))
    return resolve("models:/stripes/1")


def status():
    return MlflowClient().get_model_version("stripes", "1").tags.get("governance.status")


def set_status(value):
    MlflowClient().set_model_version_tag("stripes", "1", "governance.status", value)


@pytest.mark.slow
@pytest.mark.parametrize("end", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize(
    ("before", "after"),
    [(None, "pending"), ("approved", "approved"), ("running", "pending"), ("pending", "pending")],
)
def test_an_assessment_that_ends_early_leaves_the_status_as_it_was(version, end, before, after):
    # arrange
    if before:
        set_status(before)
    # act
    with pytest.raises(end), marked_running(version):  # noqa: PT012 - what is seen inside is the point
        assert status() == "running"
        raise end
    # assert
    assert status() == after


def test_an_assessment_that_records_nothing_leaves_the_status_as_it_was(version):
    with marked_running(version):
        pass
    assert status() == "pending"


def test_a_verdict_that_was_recorded_stays_even_if_something_fails_later(version):
    with pytest.raises(ValueError, match="later"), marked_running(version):  # noqa: PT012 - as above
        set_status("rejected")
        raise ValueError("later")
    assert status() == "rejected"


def test_a_model_without_a_version_has_no_status(saved_model):
    with (
        pytest.raises(RegistryError, match="not registered"),
        marked_running(resolve(str(saved_model))),
    ):
        pytest.fail("must not begin")


def test_an_error_is_told_even_if_mlflow_has_gone_meanwhile(version):
    store = mlflow.get_tracking_uri()
    try:
        with pytest.raises(ValueError, match="first") as caught, marked_running(version):  # noqa: PT012
            mlflow.set_tracking_uri("http://127.0.0.1:9")
            raise ValueError("first")
    finally:
        mlflow.set_tracking_uri(store)
    assert "putting its status back to pending" in caught.value.__notes__[0]
