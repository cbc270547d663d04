"""Assessing through the command line: the whole way, and everything that ends it early."""

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from mlflow import MlflowClient
from PIL import Image
from torch import nn

from governance.approval import PrivateKey
from governance.approval.model_signatures import SIGNATURE
from governance.records.assessment import Assessment
from governance.records.identity import ModelSignature
from governance.workflows import assessing, printing

BROKEN = """
    __all__ = ["Broken"]

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Broken:
        needs = "probabilities"
        metrics = {"x": Metric(meaning="m", better="higher")}

        def run(self, subject, seed):
            raise ValueError("no such layer")
"""
WAITING = """
    import sys, threading
    __all__ = ["Waiting"]

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Waiting:
        needs = "probabilities"
        metrics = {"x": Metric(meaning="m", better="higher")}

        @property
        def standing(self):  # asked for before anything is measured, which saves the test seconds
            print("waiting", file=sys.stderr, flush=True)
            threading.Event().wait(120)

        def run(self, subject, seed):
            return Measurement(metrics={"x": 1.0})
"""


def without_steps(said):
    """What a command said besides its steps, which it tells a line each off a terminal."""
    return re.sub(r"^\[\d+:\d\d\] .*\n", "", said, flags=re.MULTILINE)


@pytest.fixture
def policy(tmp_path, policy_text):
    """Writes the policy with a line replaced or something added; its path."""

    def write(added="", **replaced):
        text = policy_text
        for key, value in replaced.items():
            (line,) = (line for line in text.splitlines() if line.startswith(f"{key} = "))
            text = text.replace(line, f"{key} = {value}")
        path = tmp_path / "policy.toml"
        path.write_text(text + added)
        return path

    return write


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """The folder for temporary files, empty at first."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def standing():
    """Tags and descriptions of all versions but for a pending status, and all runs that assess."""
    client = MlflowClient()
    versions = client.search_model_versions("name = 'stripes'")
    tags = {
        (item.version, key): value
        for item in versions
        for key, value in item.tags.items()
        if (key, value) != ("governance.status", "pending")
    }
    experiment = client.get_experiment_by_name("governance/stripes")
    runs = client.search_runs([experiment.experiment_id])
    described = {item.version: item.description for item in versions}
    return tags, described, {(run.info.run_id, run.info.status) for run in runs}


@contextlib.contextmanager
def nothing_recorded(scratch, *, out="kept"):
    """Versions, runs, the folder asked for and the temporary one are afterwards as before."""
    before = standing()
    yield
    assert standing() == before
    assert not Path(out).exists()
    assert not list(Path(out).parent.glob(".*partial"))
    assert not list(scratch.iterdir())


# the whole way


@pytest.mark.slow
def test_a_crash_leaves_an_undetermined_assessment_that_tells_of_it(
    governance, store, policy, saved_model, install, scratch
):
    # arrange: the files of a run, which is no registered version
    install("broken", BROKEN, about="Broken: it crashes.")
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(saved_model), "model")
    asked = policy('[[expectations]]\nmetric = "broken.x"\nat_least = 0.5\n[analyses.broken]\n')
    before = standing()
    # act
    answer = governance(
        "assess", f"runs:/{run.info.run_id}/model", "--policy", asked, "--out", "kept"
    )
    # assert
    kept = Assessment.load(Path("kept"))
    assert (answer.code, without_steps(answer.err)) == (30, "")
    assert kept.decision.verdict == "undetermined"
    assert kept.identity.run_id == run.info.run_id
    assert "not measured: broken failed: no such layer" in " ".join(answer.out.split())
    assert "Record: folder kept, not in MLflow\n" in answer.out
    assert {"report.html", "report.pdf"} <= {path.name for path in Path("kept").iterdir()}
    assert standing() == before
    assert not list(scratch.iterdir())


@pytest.mark.parametrize("kind", ["folder", "run", "logged model", "not to be recorded"])
def test_what_is_neither_recorded_nor_kept_is_not_even_begun(
    governance, store, policy, saved_model, scratch, kind
):
    # arrange
    client = MlflowClient()
    options, why = [], "it is not registered"
    if kind == "folder":
        uri = str(saved_model)
    elif kind == "run":
        uri = f"runs:/{client.create_run('0').info.run_id}/model"
    elif kind == "logged model":
        uri = f"models:/{client.create_logged_model('0', name='m').model_id}"
    else:
        uri, options, why = "models:/stripes/1", ["--no-record"], "--no-record"
    # act
    with nothing_recorded(scratch):
        answer = governance("assess", uri, "--policy", policy(), *options)
    # assert
    assert (answer.code, answer.out) == (2, "")
    assert f"error: {uri}: is not recorded in MLflow ({why})" in answer.err
    assert "--out FOLDER is needed" in answer.err


def test_a_folder_that_holds_something_is_refused_before_anything_runs(governance, store, policy):
    # arrange
    Path("kept").mkdir()
    Path("kept/mine").write_text("mine")
    before = standing()
    # act / assert
    for place in ("kept", "kept/mine"):
        answer = governance("assess", "models:/nobody/1", "--policy", policy(), "--out", place)
        assert answer.code == 2
        assert f"--out {place}: exists and is not empty; a new or empty" in answer.err
    assert Path("kept/mine").read_text() == "mine"
    assert standing() == before


@pytest.mark.slow
def test_a_disk_that_refuses_ends_with_3_and_records_nothing(
    governance, new_version, policy, scratch
):
    # arrange: no folder can be made below a file
    Path("file").touch()
    uri = new_version()
    # act
    with nothing_recorded(scratch, out="file/kept"):
        answer = governance("assess", uri, "--policy", policy(), "--out", "file/kept")
    # assert
    assert (answer.code, answer.out) == (3, "")
    said = without_steps(answer.err)
    assert said.startswith("error: file/kept: writing the assessment: refused: ")


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [False, True])
def test_where_printing_fails_the_assessment_is_kept_recorded_and_printed_later(
    governance, new_version, policy, monkeypatch, as_json
):
    # arrange: too little memory for any program
    monkeypatch.setattr(printing, "MEMORY", 2**24)
    uri = new_version()
    options = ["--json"] if as_json else []
    # act
    answer = governance("assess", uri, "--policy", policy(), "--out", "kept", *options)
    later = governance("report", "kept", "--pdf", "later.pdf", "--html", "later.html")
    from_record = governance("report", uri, "--html", "recorded.html")
    # assert: the verdict stands, and what failed is said
    assert answer.code == 0
    assert "error: the reports were not printed: printing the report failed" in answer.err
    assert "`governance report kept --pdf FILE` prints it" in answer.err
    kept = Assessment.load(Path("kept"))
    assert kept.decision.verdict == status(uri) == "approved"
    assert not {"report.html", "report.pdf"} & {path.name for path in Path("kept").iterdir()}
    if as_json:
        assert json.loads(answer.out)["unprinted"].startswith("printing the report failed")
    version = MlflowClient().get_model_version("stripes", uri.rpartition("/")[2])
    run = MlflowClient().get_run(version.tags["governance.run_id"])
    assert run.data.tags["governance.unprinted"].startswith("printing the report failed")
    assert governance("gate", uri).code == 0
    assert (later.code, from_record.code) == (0, 0)
    assert Path("later.pdf").read_bytes().startswith(b"%PDF-")
    assert Path("recorded.html").read_bytes() == Path("later.html").read_bytes()


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_leaves_the_version_as_it_was(
    store, new_version, policy, install, scratch, tmp_path
):
    # arrange
    install("waiting", WAITING, about="Waiting: it takes long.")
    uri = new_version()
    command = [
        *(sys.executable, "-m", "governance", "assess", uri, "--out", "kept", "--json"),
        *("--policy", policy("[analyses.waiting]\n")),
    ]
    environment = {
        **os.environ, "MLFLOW_TRACKING_URI": store, "PYTHONPATH": str(tmp_path / "site-packages"),
        "OMP_NUM_THREADS": "1", "TMPDIR": str(scratch),
    }  # fmt: skip
    # act
    with (
        nothing_recorded(scratch),
        subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
    ):
        said = list(itertools.takewhile(lambda line: line != "waiting\n", process.stderr))
        running = status(uri)
        process.send_signal(signal.SIGINT)
        out, rest = process.communicate(timeout=120)
    # assert
    assert without_steps("".join([*said, rest])) == out == ""
    assert process.returncode == 130
    assert running == "running"
    assert status(uri) == "pending"


def status(uri):
    version = MlflowClient().get_model_version("stripes", uri.rpartition("/")[2])
    return version.tags.get("governance.status")


# bad input: policies


def test_everything_that_is_wrong_with_a_policy_is_said_at_once(
    governance, new_version, policy, scratch
):
    # arrange
    uri = new_version()
    asked = policy(
        """
        [[expectations]]
        metric = "performance.acuracy"
        at_least = 0.5
        [[expectations]]
        metric = "performance.recall_worst"
        at_most = 0.5
        [analyses.telepathy]
        [analyses.layer_prediction]
        depth = 3
        """
    )
    # act
    with nothing_recorded(scratch):
        answer = governance("assess", uri, "--policy", asked, "--out", "kept")
    # assert: place, thing, what is accepted
    assert answer.code == 2
    for place, thing, accepted in (
        ("[analyses.telepathy]", "no such analysis", "installed are data_quality"),
        ("expectations[1].metric", "performance has no metric 'acuracy'", "it has accuracy"),
        ("expectations[2].at_most", "is better when higher", "at_least is"),
        ("layer_prediction", "depth", "samples"),
    ):
        assert any(
            place in line and thing in line and accepted in line for line in answer.err.splitlines()
        ), (place, answer.err)
    assert status(uri) is None


def test_an_expectation_about_a_class_that_is_not_there_is_refused(
    governance, new_version, policy, scratch
):
    uri = new_version()
    asked = policy('[[expectations]]\nmetric = "performance.recall.spots"\nat_least = 0.5\n')
    with nothing_recorded(scratch):
        answer = governance("assess", uri, "--policy", asked, "--out", "kept")
    assert answer.code == 2
    assert "no such class; it has horizontal, vertical, diagonal" in answer.err
    assert status(uri) == "pending"


# bad input: images


def arrays(path, *, images=None, labels=None, names=("horizontal", "vertical", "diagonal")):
    """An `.npz` of 120 grey images of 16 x 16, 40 a class, unless told otherwise."""
    images = np.random.default_rng(0).integers(0, 256, (120, 16, 16)) if images is None else images
    labels = np.arange(len(images)) % len(names) if labels is None else labels
    np.savez(path, images=np.asarray(images, np.uint8), labels=labels, class_names=np.array(names))


def few_of_a_class(path):
    arrays(path, labels=np.array([0] * 80 + [1] * 29 + [2] * 11))


def truncated(path):
    for label in ("horizontal", "vertical", "diagonal"):
        (path / label).mkdir(parents=True)
        for number in range(2):
            noise = np.random.default_rng(number).integers(0, 256, (16, 16), np.uint8)
            Image.fromarray(noise).save(path / label / f"{number}.png")
    whole = (path / "vertical" / "1.png").read_bytes()
    (path / "vertical" / "1.png").write_bytes(whole[: len(whole) // 2])


IMAGES = {
    "nothing there": (lambda _path: None, "does not exist"),
    "no images": (
        lambda path: arrays(path, images=np.zeros((0, 16, 16))), "(0, 16, 16) holds no pixel",
    ),
    "an empty folder": (lambda path: path.mkdir(), "no images; class folders with "),
    "one class": (lambda path: arrays(path, names=("horizontal",)), "all images are of class 0"),
    "a truncated file": (truncated, "vertical/1.png: cannot be decoded"),
    "labels out of range": (
        lambda path: arrays(path, labels=np.arange(120) % 4), "3 at 3, 3 at 7",
    ),
    "wrong size": (
        lambda path: arrays(path, images=np.zeros((120, 20, 16))),
        "of 20 x 16 pixels where the model takes 16 x 16",
    ),
    "wrong channels": (
        lambda path: arrays(path, images=np.zeros((120, 16, 16, 5))), "5",
    ),
    "another number of classes": (
        lambda path: arrays(path, names=("a", "b", "c", "d")), "there are 4 classes",
    ),
    "few of a gated class": (
        few_of_a_class, "class 'diagonal' has 11 images; the expectation on",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", IMAGES)
def test_images_that_cannot_carry_a_judgement_are_refused(
    governance, new_version, policy, scratch, tmp_path, case
):
    # arrange
    build, message = IMAGES[case]
    data = tmp_path / ("images" if case in {"an empty folder", "a truncated file"} else "x.npz")
    build(data)
    worst = '[[expectations]]\nmetric = "performance.recall_worst"\nat_least = 0.1\n'
    uri = new_version()
    # act
    with nothing_recorded(scratch):
        asked = policy(worst, data=f'"{data}"')
        answer = governance("assess", uri, "--policy", asked, "--out", "kept")
    # assert
    assert (answer.code, answer.out) == (2, "")
    assert data.name in answer.err or uri in answer.err
    assert message in answer.err
    assert any(word in answer.err for word in ("accepted", "needed", "needs"))
    assert status(uri) == "pending"


def test_channels_that_the_model_does_not_take_are_refused(
    governance, new_version, policy, scratch
):
    uri = new_version()
    with nothing_recorded(scratch):
        asked = policy(channels='"rgb"')
        answer = governance("assess", uri, "--policy", asked, "--out", "kept")
    assert answer.code == 2
    assert f"{uri}: takes 1 channels and the policy says rgb, which is 3" in answer.err


# bad input: models


class Answers(nn.Module):
    """Logits of a pooled image that a function turns into what is returned."""

    def __init__(self, turn):
        super().__init__()
        self.turn = turn
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.turn(self.head(x.mean((1, 2))))


def exported(path, turn):
    example = np.zeros((2, 1, 16, 16), dtype=np.float32)
    mlflow.pytorch.save_model(
        Answers(turn).eval(), path, input_example=example, pip_requirements=["torch"]
    )


@pytest.fixture
def signed_model(saved_model, tmp_path):
    """A model's folder that Bob signed with OpenSSF's tool, and the ring with his key."""
    pytest.importorskip("model_signing")
    from model_signing import hashing, signing  # noqa: PLC0415 - an extra

    folder, key = tmp_path / "signed", PrivateKey(generate_private_key(SECP256R1()))
    shutil.copytree(saved_model, folder)
    content = key.secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "bob.pem").write_bytes(content)
    how = hashing.Config().set_ignored_paths(paths=[folder / SIGNATURE], ignore_git_paths=False)
    config = signing.Config().use_elliptic_key_signer(private_key=tmp_path / "bob.pem")
    config.set_hashing_config(how).sign(folder, folder / SIGNATURE)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    public = key.public(owner="Bob", role="signer", not_before=start)
    (tmp_path / "signers.toml").write_text(public.toml())
    return folder, tmp_path / "signers.toml", public


def test_the_signer_of_a_models_files_is_in_its_record(
    governance, signed_model, policy, scratch, monkeypatch, assessed
):
    # arrange: what takes half a minute, measuring and printing, was done before
    folder, ring, public = signed_model
    measured = Assessment.load(assessed.folder)
    monkeypatch.setattr(assessing, "measure", lambda *_args, **_how: measured)
    monkeypatch.setattr(assessing, "keep", lambda assessment, folder: assessment.save(folder))
    where = ("--policy", policy(), "--out", scratch / "kept")
    # act
    answer = governance("assess", folder, *where, "--keys", ring)
    # assert
    assert measured.identity.signature is None
    assert answer.code == 0, answer.err
    assert "signed by Bob" in answer.out
    recorded = Assessment.load(scratch / "kept").identity.signature
    assert recorded == ModelSignature(signer="Bob", key=public.id)


def test_a_model_with_a_bad_signature_is_refused_before_it_is_opened(
    governance, signed_model, policy, scratch, monkeypatch
):
    folder, ring, _ = signed_model
    monkeypatch.setattr(assessing, "open_materials", lambda *_args, **_how: pytest.fail("opened"))
    with (folder / "MLmodel").open("a") as stream:
        stream.write("\n")
    where = ("--policy", policy(), "--out", scratch / "kept")

    answer = governance("assess", folder, *where, "--keys", ring)

    assert answer.code == 40
    assert "model.sig: is not the signature of Bob on these files" in answer.err
    assert not (scratch / "kept").exists()


def with_nan_weight(path, saved_model):
    shutil.copytree(saved_model, path)
    weights = path / "data" / "model.pt2"
    program = torch.export.load(weights)
    with torch.no_grad():
        program.state_dict["head.bias"][0] = torch.nan
    torch.export.save(program, weights)


def of_scikit_learn(path):
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415 - one test alone

    fitted = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    mlflow.sklearn.save_model(fitted, path, pip_requirements=["scikit-learn"])


MODELS = {
    "no PyTorch model": (
        lambda path, _saved: of_scikit_learn(path), "the flavour of this model is sklearn",
        "pytorch, transformers, onnx are accepted",
    ),
    "no image classifier": (
        lambda path, _saved: exported(path, lambda y: y[:, :, None].repeat(1, 1, 4)),
        "returns a tensor of shape", "one tensor (B, K) is accepted",
    ),
    "NaN output": (
        lambda path, _saved: exported(path, lambda y: (y * 0 - 1).sqrt()),
        "an output is NaN or infinite", "finite numbers",
    ),
    "NaN weights": (with_nan_weight, "head.bias", "finite"),
    "no files": (lambda path, _saved: path.mkdir(), "no MLmodel file", "mlflow.pytorch.log_model"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_cannot_be_assessed_is_refused(
    governance, new_version, policy, scratch, saved_model, tmp_path, case
):
    # arrange
    build, thing, accepted = MODELS[case]
    build(tmp_path / "model", saved_model)
    uri = new_version(tmp_path / "model")
    # act
    with nothing_recorded(scratch):
        answer = governance("assess", uri, "--policy", policy(), "--out", "kept")
    # assert
    assert (answer.code, answer.out) == (2, "")
    assert thing in answer.err
    assert accepted in answer.err
    assert status(uri) == "pending"


def test_a_refusal_leaves_an_earlier_verdict_as_it_was(governance, store, policy, scratch):
    with nothing_recorded(scratch):
        answer = governance("assess", "models:/stripes/1", "--policy", policy(channels='"rgb"'))
    assert answer.code == 2
    assert status("models:/stripes/1") == "approved"
