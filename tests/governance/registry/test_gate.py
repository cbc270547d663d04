"""Passing: a version is used only if its record, its files and its signature are in order."""

import dataclasses
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from mlflow import MlflowClient

import governance
from governance.approval import Keyring, PrivateKey, sign
from governance.errors import ApprovalError, EvidenceError, RegistryError, SubjectError
from governance.records.assessment import Assessment
from governance.records.model_terms import ModelTerms
from governance.registry import ask, load_model, promote, record, resolve, revoke
from governance.registry.recording import manifest_digest, record_digest
from governance.registry.signing import verdict_of
from governance.subject import flavours, model_files

DAY = 24 * 3600
NOUGHT = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Keys of an assessor, an approver and a stranger, and the ring that knows the first two."""
    home = tmp_path_factory.mktemp("keys")
    made = {name: PrivateKey.new(home / name) for name in ("assessor", "approver", "stranger")}
    start = datetime(2026, 1, 1, tzinfo=UTC)
    tables = [
        made[name].public(owner=name, role=name, not_before=start).toml()
        for name in ("assessor", "approver")
    ]
    (home / "ring.toml").write_text("".join(tables))
    Keyring.load(home / "ring.toml")
    return made | {"ring": home / "ring.toml"}


@pytest.fixture(scope="module")
def opened(saved_model):
    """The identity of the model, opened once."""
    files = model_files.read(saved_model)
    loaded = flavours.load(files, ModelTerms(), torch.device("cpu"))
    return loaded.identity(files, uri="")


@pytest.fixture
def register(mlflow_store, saved_model, tmp_path, opened, make_assessment):
    """Registers the next version of `stripes`, of files the test may change, and records it."""
    MlflowClient().create_registered_model("stripes")

    def make(*, key=None, assessed=True, **options):
        source = tmp_path / f"source {len(list(tmp_path.glob('source *')))}"
        shutil.copytree(saved_model, source)
        number = MlflowClient().create_model_version("stripes", str(source)).version
        version = resolve(f"models:/stripes/{number}")
        place = {field: getattr(version, field) for field in ("uri", "ref")}
        if assessed:
            identity = dataclasses.replace(opened, **place)
            made = make_assessment(identity, folder=f"record {number}", **options)
            record(version, *made, key=key)
        return version, source

    return make


@pytest.fixture
def asked(tmp_path):
    """Asks with a workspace of its own each time."""
    places = iter(range(9))
    return lambda uri="models:/stripes/1", **options: ask(
        uri, tmp_path / f"workspace {next(places)}", **options
    )


def aliases():
    return dict(MlflowClient().get_registered_model("stripes").aliases)


def test_an_approved_version_passes_with_the_files_that_were_checked(register, asked, opened):
    # arrange
    version, source = register()
    MlflowClient().set_registered_model_alias("stripes", "candidate", "1")
    # act
    answer = asked("models:/stripes@candidate")
    (source / "MLmodel").write_text("changed after the check")
    # assert
    assert (answer.verdict, answer.exit_code, answer.reasons) == ("approved", 0, ())
    assert answer.version == version
    assert answer.statement is None
    assert model_files.artifact_digest(answer.model) == opened.artifact_digest


def test_a_version_that_passed_gets_the_alias(register, asked):
    register()
    promote(asked(), "champion")
    assert aliases() == {"champion": 1}


def test_a_version_made_anew_since_it_passed_gets_no_alias(register, asked, saved_model):
    # arrange
    register()
    answer = asked()
    MlflowClient().delete_registered_model("stripes")
    MlflowClient().create_registered_model("stripes")
    MlflowClient().create_model_version("stripes", str(saved_model))
    # act / assert
    with pytest.raises(RegistryError, match="created anew"):
        promote(answer, "champion")
    assert aliases() == {}


def test_a_rejected_version_does_not_pass_and_says_why(register, asked):
    # arrange
    register(accuracy=0.2)
    # act
    answer = asked()
    # assert
    assert (answer.verdict, answer.exit_code) == ("rejected", 10)
    assert "its verdict is rejected" in answer.reasons[0]
    assert "performance.accuracy at least 0.5: unmet" in answer.reasons[1]
    for use in (lambda: promote(answer, "champion"), lambda: load_model("models:/stripes/1")):
        with pytest.raises(EvidenceError, match="its verdict is rejected"):
            use()
    assert aliases() == {}


def test_a_version_without_a_verdict_does_not_pass(register, asked):
    register(assessed=False)
    answer = asked()
    assert (answer.verdict, answer.exit_code, answer.model) == ("undetermined", 30, None)
    with pytest.raises(EvidenceError, match="assess it first"):
        governance.load_model("models:/stripes/1")


@pytest.mark.slow
@pytest.mark.parametrize("signed", [False, True])
def test_a_model_that_passes_is_loaded_and_answers_like_itself(
    register, tiny_subject, keys, signed
):
    # arrange
    register(key=keys["assessor"])
    # act
    model = governance.load_model("models:/stripes/1", keys=keys["ring"] if signed else None)
    # assert
    pixels = tiny_subject.network.inputs(tiny_subject.pixels(range(5)))
    with torch.no_grad():
        np.testing.assert_allclose(model(pixels), tiny_subject.network.model(pixels), atol=1e-6)
    assert not model.training


def test_changed_files_do_not_pass(register, asked):
    _, source = register()
    (source / "requirements.txt").write_text("other\n")
    for use in (asked, lambda: load_model("models:/stripes/1")):
        with pytest.raises(EvidenceError, match="its files have the digest"):
            use()


@pytest.mark.usefixtures("mlflow_store")
def test_what_is_not_registered_is_refused(asked, saved_model, keys):
    for options in ({}, {"keys": keys["ring"]}):
        with pytest.raises(SubjectError, match="not registered"):
            asked(str(saved_model), **options)


def test_a_signed_version_passes_by_its_signature(register, asked, keys):
    register(key=keys["assessor"])
    answer = asked(keys=keys["ring"])
    assert (answer.verdict, answer.reasons) == ("approved", ())
    assert answer.signed_by == (keys["assessor"].id,)


def test_an_unsigned_version_is_undetermined_where_a_signature_is_asked_for(register, asked, keys):
    register()
    answer = asked(keys=keys["ring"])
    assert (answer.verdict, answer.exit_code) == ("undetermined", 30)
    assert "carries no signed statement" in answer.reasons[0]
    with pytest.raises(EvidenceError, match="carries no signed statement"):
        promote(answer, "champion")


def test_a_signature_of_a_stranger_does_not_pass(register, asked, keys):
    register(key=keys["stranger"])
    assert asked().verdict == "approved"
    with pytest.raises(ApprovalError, match=r"models:/stripes/1: .* not in the keyring"):
        asked(keys=keys["ring"])


def test_an_expired_approval_does_not_pass(register, asked, keys):
    register(key=keys["assessor"])
    answer = asked(keys=keys["ring"], now=datetime.now(UTC).timestamp() + 400 * DAY)
    assert (answer.verdict, answer.exit_code) == ("undetermined", 30)
    assert "expired at" in answer.reasons[0]


def test_an_expired_forgery_is_a_forgery(register, asked, keys):
    register(key=keys["stranger"])
    with pytest.raises(ApprovalError, match="not in the keyring"):
        asked(keys=keys["ring"], now=datetime.now(UTC).timestamp() + 400 * DAY)


def test_a_revoked_version_is_rejected_with_the_reason(register, asked, keys):
    version, _ = register(key=keys["assessor"])
    revoke(version, "wrong labels", keys["approver"])
    answer = asked(keys=keys["ring"])
    assert (answer.verdict, answer.exit_code) == ("rejected", 10)
    assert "was revoked: wrong labels" in answer.reasons[0]


def test_an_approval_that_is_put_back_over_a_revocation_does_not_pass(register, asked, keys):
    # A plain registry lets anyone write tags; the approval can be read there.
    version, _ = register(key=keys["assessor"])
    before = MlflowClient().get_model_version("stripes", "1").tags
    revoke(version, "wrong labels", keys["approver"])
    for key in ("governance.approval", "governance.status"):
        MlflowClient().set_model_version_tag("stripes", "1", key, before[key])

    answer = asked(keys=keys["ring"])

    assert (answer.verdict, answer.exit_code) == ("undetermined", 30)
    assert "its signed statement was replaced by the one with sha256" in answer.reasons[0]


def test_the_approval_of_another_version_does_not_pass(register, asked, keys):
    # arrange
    register(key=keys["assessor"])
    register()
    token = MlflowClient().get_model_version("stripes", "1").tags["governance.approval"]
    MlflowClient().set_model_version_tag("stripes", "2", "governance.approval", token)
    # act / assert
    with pytest.raises(ApprovalError, match="its version is '2' and the statement is about '1'"):
        asked("models:/stripes/2", keys=keys["ring"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("artifact_digest", NOUGHT),
        ("model_digest", NOUGHT),
        ("policy_digest", NOUGHT),
        ("validation_digest", NOUGHT),
        ("assessment_digest", NOUGHT),
        ("manifest", NOUGHT),
        ("run_id", "0" * 32),
    ],
)
def test_a_signature_for_something_else_does_not_pass(
    register, asked, keys, tmp_path, claim, value
):
    # arrange: signed by the right key, about this version, for other digests
    version, _ = register()
    folder = tmp_path / "record 1"
    run_id = MlflowClient().get_model_version("stripes", "1").tags["governance.run_id"]
    said = verdict_of(
        version,
        Assessment.load(folder),
        run_id=run_id,
        record=record_digest(folder),
        manifest=manifest_digest(folder),
        now=datetime.now(UTC).timestamp(),
    )
    token = sign(dataclasses.replace(said, **{claim: value}), keys["assessor"])
    MlflowClient().set_model_version_tag("stripes", "1", "governance.approval", token)
    # act / assert
    with pytest.raises(EvidenceError, match=f"the {claim.replace('_', ' ')} that was signed is"):
        asked(keys=keys["ring"])
