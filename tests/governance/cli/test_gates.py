"""The gate with and without signatures, and the alias for what passes it."""

import json
import os
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime

import mlflow
import pytest
from mlflow import MlflowClient

from governance.approval import PrivateKey, sign
from governance.records import assessment as records
from governance.records.assessment import Assessment
from governance.records.policy import Expectation
from governance.registry import resolve
from governance.registry.recording import manifest_digest, record_digest
from governance.registry.signing import verdict_of

MET = Expectation(metric="performance.accuracy", at_least=0.5)
UNMET = Expectation(metric="performance.nll", at_most=0.0)


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    """A ring with one assessor."""
    home = tmp_path_factory.mktemp("keys")
    key = PrivateKey.new(home / "key.pem")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    public = key.public(owner="worker", role="assessor", not_before=start)
    (home / "ring.toml").write_text(public.toml())
    return key, home / "ring.toml"


@pytest.fixture
def signed(recorded, ring, tmp_path):
    """A version that passes and is signed for."""
    uri = recorded(MET)
    version = resolve(uri)
    tags = MlflowClient().get_model_version("stripes", version.ref.version).tags
    folder = tmp_path / f"record of {version.ref.version}"
    said = verdict_of(
        version,
        Assessment.load(folder),
        run_id=tags["governance.run_id"],
        record=record_digest(folder),
        manifest=manifest_digest(folder),
        now=time.time(),
    )
    MlflowClient().set_model_version_tag(
        "stripes", version.ref.version, "governance.approval", sign(said, ring[0])
    )
    return uri


def bearer(alias):
    """Number of the version that has an alias."""
    return MlflowClient().get_registered_model("stripes").aliases.get(alias)


def test_without_a_ring_the_gate_says_that_no_signature_was_checked(governance, recorded):
    uri = recorded(MET)
    shown, asked = governance("gate", uri), governance("gate", uri, "--json")
    assert shown.code == asked.code == 0
    assert "Signature: none was checked; --keys KEYRING checks it" in shown.out
    assert json.loads(asked.out)["signature_checked"] is False


def test_a_signed_version_passes_and_the_gate_names_the_key(governance, signed, ring):
    key, path = ring
    shown = governance("gate", signed, "--keys", path)
    asked = governance("gate", signed, "--keys", path, "--json")
    assert shown.code == asked.code == 0
    assert f"Signature: by key {key.id}, until 20" in shown.out
    assert json.loads(asked.out)["signature"]["keys"] == [key.id]


def test_a_report_says_who_signed_until_when_and_a_folder_has_nobody_to_ask(
    governance, signed, recorded, ring, tmp_path
):
    page, plain = tmp_path / "signed.html", tmp_path / "plain.html"

    assert governance("report", signed, "--html", page, "--keys", ring[1]).code == 0
    assert governance("report", recorded(MET), "--html", plain, "--keys", ring[1]).code == 0
    refused = governance("report", tmp_path, "--html", page, "--keys", ring[1])

    assert "<dd>counts: approved</dd>" in page.read_text()
    assert "<dd>worker</dd>" in page.read_text()
    assert "<strong>UNSIGNED</strong>" in plain.read_text()
    assert refused.code == 2
    assert "a folder is in none" in refused.err


def test_an_unsigned_version_leaves_no_green_findings(governance, recorded, ring, tmp_path):
    # arrange
    uri, (_, path) = recorded(MET), ring
    files = tmp_path / "findings.xml", tmp_path / "summary.md"
    options = ("--junit", files[0], "--markdown", files[1])
    assert governance("gate", uri, *options).code == 0
    assert 'errors="0"' in files[0].read_text()
    # act
    answer = governance("gate", uri, "--keys", path, *options)
    # assert
    assert answer.code == 30
    assert "carries no signed statement" in answer.out
    assert "Signature: none stands" in answer.out
    assert "carries no signed statement" in files[0].read_text()
    assert 'errors="1"' in files[0].read_text()
    assert files[1].read_text().startswith("## Undetermined")


def test_a_ring_that_cannot_be_read_is_no_pass(governance, recorded, tmp_path):
    answer = governance("gate", recorded(MET), "--keys", tmp_path / "absent.toml")
    assert answer.code == 40
    assert "cannot be read as a keyring" in answer.err


def test_a_version_that_passes_is_promoted(governance, signed, ring):
    answer = governance("promote", signed, "--alias", "best", "--keys", ring[1])
    assert (answer.code, answer.err) == (0, "")
    assert f"{signed} is best now" in answer.out
    assert str(bearer("best")) == signed.rpartition("/")[2]


def test_a_promotion_says_that_no_signature_was_checked(governance, recorded):
    uri = recorded(MET)
    answer = governance("promote", uri, "--alias", "unsigned")
    assert answer.code == 0
    assert "Signature: none was checked" in answer.out


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [False, True])
def test_a_version_that_does_not_pass_gets_no_alias(governance, recorded, as_json):
    # arrange
    uri = recorded(MET, UNMET)
    # act
    answer = governance("promote", uri, "--alias", "worst", *(["--json"] if as_json else []))
    # assert
    assert answer.code == 10
    assert bearer("worst") is None
    if as_json:
        data = json.loads(answer.out)
        assert (data["alias"], data["verdict"]) == (None, "rejected")
        assert any("performance.nll" in reason for reason in data["reasons"])
    else:
        assert "performance.nll at most 0: unmet" in answer.err
        assert "the alias worst is not set" in answer.out


def test_a_pending_version_and_a_forged_one_get_no_alias(governance, new_version):
    uri = new_version()
    assert governance("promote", uri, "--alias", "early").code == 30
    number = uri.rpartition("/")[2]
    MlflowClient().set_model_version_tag("stripes", number, "governance.status", "approved")
    assert governance("promote", uri, "--alias", "early").code == 40
    assert bearer("early") is None


# what it costs, held without a clock


def test_the_gate_decodes_a_record_once_and_opens_no_file_of_the_model(
    governance, recorded, monkeypatch
):
    # arrange
    uri, decoded = recorded(MET), []
    real = records.from_data
    monkeypatch.setattr(
        records, "from_data", lambda kind, *rest: decoded.append(kind) or real(kind, *rest)
    )
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("opened a model"))
    # act / assert: the digest that --json prints takes no other pass
    assert governance("gate", uri, "--json").code == 0
    assert decoded == [records.Assessment]


@pytest.mark.slow
def test_commands_that_read_records_load_no_library_that_takes_seconds(signed, ring, tmp_path):
    # arrange
    (_, keys), heavy = ring, sorted(
        {"torch", "torchvision", "matplotlib", "weasyprint", "great_expectations", "skimage"}
    )  # fmt: skip
    files = ("--junit", tmp_path / "findings.xml", "--markdown", tmp_path / "summary.md")
    asked = [
        ("gate", signed, *files), ("gate", signed, "--keys", keys, "--json"),
        ("promote", signed, "--alias", "champion", "--keys", keys), ("history", "stripes"),
        ("inventory",), ("report", signed, "--html", tmp_path / "report.html"),
        ("revoke", signed, "--reason", "withdrawn", "--key", keys.with_name("key.pem")),
    ]  # fmt: skip
    program = (
        "import sys; from governance.cli import app\n"
        f"for words in {[list(map(str, words)) for words in asked]!r}:\n"
        "    try: code = app(words, standalone_mode=False)\n"
        "    except BaseException as error: code = error\n"
        f"    print(words[0], code, [name for name in {heavy!r} if name in sys.modules])\n"
    )
    environment = os.environ | {"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
    # act
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    # assert
    said = [line for line in told.stdout.splitlines() if line.endswith("]")]
    assert [line for line in said if line.partition(" ")[0] in {words[0] for words in asked}] == [
        f"{words[0]} {'0' if words[0] in {'gate', 'promote'} else 'None'} []" for words in asked
    ], told.stdout + told.stderr
