"""A governed server as those see it who use it: the gate, the doctor, what was tampered with."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import assessed
import pytest

from governance.errors import EvidenceError, SubjectError
from governance.registry import ask, promote
from governance.registry.doctor import examine, healthy

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def ring(office):
    """Its public keys."""
    return office.folder / "keyring.toml"


def found(about, observations):
    """What was found about one thing, and its state."""
    (item,) = (item for item in observations if item.about == about)
    return item.state, item.found


def test_what_was_tampered_with_after_the_approval_is_not_promoted(
    office, ring, tiny_subject, tmp_path
):
    # arrange
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    name = "tampered"
    logged = assessed.log(tiny_subject.network.model, name)
    uri = f"models:/{name}/1"
    assessed.recorded(uri, tiny_subject.validation, office.assessor, tmp_path)
    answer = ask(uri, tmp_path / "before", keys=ring)
    assert (answer.verdict, answer.signed_by) == ("approved", (office.assessor.id,))
    promote(answer, "champion")
    # act: by someone who may write to the folder itself
    location = mlflow.get_logged_model(logged.model_id).artifact_location
    path = location.removeprefix("mlflow-artifacts:/").lstrip("/")
    with (office.folder / "artifacts" / path / "MLmodel").open("a") as file:
        file.write("# changed\n")
    # assert
    with pytest.raises(EvidenceError, match="its files have the digest"):
        ask(f"models:/{name}@champion", tmp_path / "after", keys=ring)


def test_a_version_nobody_assessed_is_not_promoted_by_the_server_either(
    office, tiny_subject, tmp_path
):
    # arrange
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    assessed.log(tiny_subject.network.model, "early")
    # act
    answer = ask("models:/early/1", tmp_path / "asked")
    # assert
    assert answer.exit_code == 30
    with pytest.raises(MlflowException, match="governance assess models:/early/1"):
        MlflowClient().set_registered_model_alias("early", "champion", "1")


def test_the_doctor_finds_a_governed_server_in_order(office, ring, governed_server):
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    # act
    observations = examine(governed_server[0], keys=ring)
    # assert
    for about in (
        "server", "stamp", "forged verdict", "forged approval", "look-alike", "description",
        "alias", "stage",
    ):  # fmt: skip
        state, said = found(about, observations)
        assert state == "ok", said
    assert "protected alias 'champion' is refused" in found("alias", observations)[1]
    names = [item.name for item in MlflowClient().search_registered_models(max_results=1000)]
    assert not [name for name in names if name.startswith("governance-doctor-")]


def test_the_doctor_finds_an_alias_that_was_set_past_the_server(
    office, ring, governed_server, tiny_subject
):
    # arrange: whoever has the database's credentials can do this
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    assessed.log(tiny_subject.network.model, "bypassed")
    plain = f"sqlite:///{office.folder}/mlflow.db"
    MlflowClient(plain, plain).set_registered_model_alias("bypassed", "champion", "1")
    # act
    observations = examine(governed_server[0], keys=ring)
    # assert
    state, said = found("aliases in use", observations)
    assert state == "problem"
    assert "models:/bypassed@champion (version 1)" in said
    assert not healthy(observations)
    assert "models:/bypassed/1" in found("assessments", observations)[1]
    MlflowClient().delete_registered_model("bypassed")


@pytest.fixture
def past(office):
    """A client that goes past the server, to its database."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    plain = f"sqlite:///{office.folder}/mlflow.db"
    return MlflowClient(plain, plain)


@pytest.fixture
def version(office, governed_server, new_registry):
    """An approved version on the server, whose model is deleted at the end."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    address, _ = governed_server
    registry = new_registry(MlflowClient(address, address), office, address)
    made = registry.register()
    registry.approve(made, issued=made.creation_timestamp // 1000 - 60)
    yield registry, made
    for name in (made.name, f"{made.name} b"):
        if registry.client.search_registered_models(f"name = '{name}'"):
            registry.client.delete_registered_model(name)


def test_the_doctor_finds_a_status_that_does_not_follow_from_the_statement(
    version, ring, past, governed_server
):
    registry, made = version
    registry.approve(made, verdict="rejected")
    assert found("tags", examine(governed_server[0], keys=ring))[0] == "ok"

    past.set_model_version_tag(made.name, "1", "governance.status", "approved")

    state, said = found("tags", examine(governed_server[0], keys=ring))
    assert state == "problem"
    assert "governance.status is 'approved' and its statement says 'rejected'" in said


def test_the_doctor_finds_a_statement_that_was_put_back_past_the_server(
    version, ring, past, governed_server, office
):
    def problems():
        """What is wrong, by what was looked at; other versions of the server may be warned of."""
        observations = examine(governed_server[0], keys=ring, audit=audit)
        return {item.about: item.found for item in observations if item.state == "problem"}

    registry, made = version
    first = registry.tags(made)["governance.approval"]
    audit = f"sqlite:///{office.folder}/mlflow.db"
    revocation = office.revocation(made)
    registry.client.set_model_version_tag(made.name, "1", "governance.approval", revocation)
    assert made.name not in str(problems())

    past.set_model_version_tag(made.name, "1", "governance.approval", first)
    past.set_model_version_tag(made.name, "1", "governance.status", "approved")

    found = problems()
    assert all(made.name in found[about] for about in ("tags", "signatures", "audit"))
    assert "another statement than was accepted last" in found["audit"]

    # Whoever takes all traces away is told by the audit alone.
    for key in registry.tags(made):
        if key.startswith("governance.replaced."):
            past.delete_model_version_tag(made.name, "1", key)
    found = problems()
    assert made.name in found["audit"]
    assert made.name not in found.get("tags", "")


def test_the_doctor_finds_a_name_that_came_back_in_a_release_without_marks(
    version, ring, past, governed_server
):
    registry, made = version
    registry.client.rename_registered_model(made.name, f"{made.name} b")
    observations = examine(governed_server[0], keys=ring)
    assert found("tags", observations)[0] == "ok"
    assert "problem" not in {item.state for item in observations if item.about == "signatures"}
    registry.client.rename_registered_model(f"{made.name} b", made.name)
    (mark,) = (key for key in registry.tags(made) if key.startswith("governance.replaced."))

    past.delete_model_version_tag(made.name, "1", mark)

    state, said = found("tags", examine(governed_server[0], keys=ring))
    assert state == "problem"
    assert "governance.status is 'pending' and its statement says 'approved'" in said


def test_the_doctor_says_why_an_alias_rests_on_nothing(version, ring, past, governed_server):
    _, made = version
    past.set_registered_model_alias(made.name, "champion", "1")
    past.rename_registered_model(made.name, f"{made.name} b")

    state, said = found("aliases in use", examine(governed_server[0], keys=ring))

    assert state == "problem"
    assert f"{made.name} b@champion (version 1): its name is" in said


def test_an_audit_that_cannot_be_read_is_a_warning_without_its_password(ring, governed_server):
    for audit in ("sqlite:////nowhere/at/all.db", "nonsense", "postgresql+pg8000://u:secret@h:1/d"):
        state, said = found("audit", examine(governed_server[0], keys=ring, audit=audit))
        assert state == "warning"
        assert "secret" not in said


class Receiver(BaseHTTPRequestHandler):
    """Takes whatever is delivered."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        """Nothing."""


@pytest.fixture
def webhook(office):
    """A webhook for new versions and its receiver."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{receiver.server_address[1]}/webhook"
    made = MlflowClient().create_webhook("worker", url, ["model_version.created"])
    yield url, receiver
    MlflowClient().delete_webhook(made.webhook_id)
    receiver.server_close()


def test_the_doctor_has_the_server_deliver_to_the_receiver(webhook, governed_server):
    # arrange
    url, receiver = webhook
    # act
    up = examine(governed_server[0], webhook_url=url)
    other = examine(governed_server[0], webhook_url="http://127.0.0.1:9/else")
    receiver.shutdown()
    receiver.server_close()
    down = examine(governed_server[0])
    # assert
    assert found("webhook", up) == (
        "ok", f"worker to {url} is delivered by the server, and answered with 200"
    )  # fmt: skip
    assert found("webhook secrets", up)[0] == "ok"
    assert found("webhook", other)[0] == "warning"
    assert found("webhook", down)[0] == "problem"
    assert "is not taken" in found("webhook", down)[1]


def test_a_database_is_no_server():
    with pytest.raises(SubjectError, match="no address of a server"):
        examine("sqlite:///mlflow.db")
