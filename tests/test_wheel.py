"""The wheel holds four packages with all that they read, and prints reports wherever it is."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from governance.methods.figures import bars
from governance.records.assessment import Assessment
from governance.records.decision import judge
from governance.records.evidence import Evidence, Figure, Interval, Measurement, Table
from governance.records.identity import ModelIdentity, ValidationIdentity
from governance.records.policy import Policy
from governance.records.version_ref import VersionRef

ROOT = Path(__file__).parents[1]
PACKAGES = {"governance", "reports", "templates", "mlflow_plugins"}


def run(*command, cwd, **environment):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built without network."""
    folder = tmp_path_factory.mktemp("wheel")
    found = run(
        "-m", "build", "--wheel", "--no-isolation", "--skip-dependency-check", "--outdir", folder,
        ROOT, cwd=folder,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with nothing but what the wheel holds."""
    target = tmp_path_factory.mktemp("site")
    found = run(
        "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile",
        "--disable-pip-version-check", "--target", target, wheel, cwd=target,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return target


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A user's project that has packages of the same names, which must not be imported."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("reports", "templates"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('the wrong package')\n")
    return folder


@pytest.fixture(scope="module")
def assessment(tmp_path_factory):
    """A small assessment on disk."""
    measurement = Measurement(
        metrics={"x": 0.75},
        intervals={"x": Interval(low=0.5, high=0.9, n=40)},
        figures=(Figure(name="bars", caption="Bars.", image=bars(["a"], [1.0], axis="x")),),
        tables=(Table(name="rows", caption="Rows.", columns=("class",), rows=(("a",),)),),
    )
    body = (
        Evidence(
            analysis="alpha", about="Alpha.\n\nPurpose\n    To test.", parameters={}, seed=0,
            seconds=1.0, device="cpu", measurement=measurement,
        ),
    )  # fmt: skip
    policy = Policy.loads(
        """
        title = "The policy of this test"
        validation.data = "v"
        model = {channels = "grey", mean = [0.5], std = [0.5]}
        [[expectations]]
        metric = "alpha.x"
        at_least = 0.5
        """,
        where="policy.toml",
    )
    folder = tmp_path_factory.mktemp("assessment") / "kept"
    Assessment(
        identity=ModelIdentity(
            uri="models:/m/1", digest="sha256:1", artifact_digest="sha256:2", format="pt2",
            parameters=3, ref=VersionRef(name="m", version="1", created=1),
        ),
        validation=ValidationIdentity(
            location="v", digest="sha256:3", images=2, class_names=("a", "b"), class_counts=(1, 1)
        ),
        policy=policy,
        evidence=body,
        decision=judge(policy, body),
        environment={"torch": "2"},
        created="2026-11-22T12:00:00+00:00",
    ).save(folder)  # fmt: skip
    return folder


def test_the_top_level_is_exactly_our_four_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        top = {name.split("/")[0] for name in archive.namelist()}

    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES
    assert len(top) == len(PACKAGES) + 1


def test_every_file_of_the_packages_is_inside_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    present = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert inside == present
    assert "governance/py.typed" in inside
    assert {"templates/report.html.j2", "templates/report.css", "templates/policy.toml"} <= inside
    assert any(name.startswith("templates/fonts/") and name.endswith(".woff2") for name in inside)
    assert any(name.startswith("templates/parts/") for name in inside)


def test_the_metadata_carries_licences_and_the_command(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "governance = governance.cli:main" in archive.read(entry).decode()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()

    assert "Name: mlflow-governance" in text
    assert "License-Expression: Apache-2.0" in text
    assert sum("/licenses/" in name for name in names) >= 2  # ours and that of the fonts


@pytest.mark.slow
def test_a_report_is_printed_from_the_wheel_in_a_project_with_packages_of_the_same_names(
    installed, elsewhere, assessment, tmp_path
):
    # arrange
    html, pdf = tmp_path / "report.html", tmp_path / "report.pdf"
    environment = {"PYTHONPATH": str(installed), "SOURCE_DATE_EPOCH": "1700000000"}
    where = run(
        "-P", "-c", "import governance, reports; print(governance.__file__, reports.__file__)",
        cwd=elsewhere, **environment,
    )  # fmt: skip
    assert where.stdout.split() == [
        str(installed / "governance/__init__.py"),
        str(installed / "reports/__init__.py"),
    ]

    # act
    found = run(
        "-P", "-m", "governance", "report", assessment, "--html", html, "--pdf", pdf,
        cwd=elsewhere, **environment,
    )  # fmt: skip

    # assert
    assert found.returncode == 0, found.stderr
    assert "The policy of this test" in html.read_text(encoding="utf-8")
    assert Assessment.load(assessment).digest in html.read_text(encoding="utf-8")
    assert pdf.read_bytes().startswith(b"%PDF-")


@pytest.mark.slow
def test_the_starter_policy_is_written_from_the_wheel(installed, elsewhere, tmp_path):
    found = run(
        "-P", "-m", "governance", "policy", "new", tmp_path / "policy.toml",
        cwd=elsewhere, PYTHONPATH=str(installed),
    )  # fmt: skip

    assert found.returncode == 0, found.stderr
    assert Policy.load(tmp_path / "policy.toml").expectations


def test_without_p_the_project_would_have_been_asked(installed, elsewhere):
    # That the folder above is hostile indeed.
    found = run("-c", "import reports", cwd=elsewhere, PYTHONPATH=str(installed))

    assert found.stderr.strip() == "the wrong package"


#: What a server is installed without: the registry store must do without it.
ONLY_FOR_ASSESSING = {
    "great_expectations",
    "matplotlib",
    "skimage",
    "torch",
    "torchvision",
    "weasyprint",
}

#: Opens a governed registry on SQLite without those packages, and asks for a protected alias.
STORE_ALONE = """
import sys
from datetime import UTC, datetime
from pathlib import Path


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in set(sys.argv[1:]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())

from mlflow.exceptions import MlflowException

from governance.approval import PrivateKey
from mlflow_plugins.registry_store import build

public = PrivateKey.new(Path("assessor.pem")).public(
    owner="worker", role="assessor", not_before=datetime(2026, 1, 1, tzinfo=UTC)
)
Path("keyring.toml").write_text(public.toml())
Path("governance.toml").write_text('keyring = "keyring.toml"\\n')
store = build("governed+sqlite:///mlflow.db")
store.create_registered_model("m")
version = store.create_model_version("m", "somewhere")
store.set_registered_model_alias("m", "candidate", version.version)
try:
    store.set_registered_model_alias("m", "champion", version.version)
except MlflowException as refusal:
    print(refusal)
"""


@pytest.mark.slow
def test_the_registry_store_refuses_an_alias_without_what_only_assessing_needs(
    migrated_store, tmp_path
):
    shutil.copy(migrated_store, tmp_path / "mlflow.db")

    found = run(
        "-c", STORE_ALONE, *sorted(ONLY_FOR_ASSESSING), cwd=tmp_path, PYTHONPATH=str(ROOT),
        MLFLOW_DISABLE_TELEMETRY="true",
    )  # fmt: skip

    assert found.returncode == 0, found.stderr
    assert "the protected alias 'champion' is refused: carries no signed statement" in found.stdout


def test_the_servers_list_leaves_out_what_only_assessing_needs():
    text = (ROOT / "requirements-server.lock").read_text(encoding="utf-8")
    names = {
        name.lower().replace("-", "_") for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)
    }

    # MLflow itself asks for matplotlib.
    absent = ONLY_FOR_ASSESSING - {"matplotlib", "skimage"} | {"scikit_image"}
    assert len(names) > 50
    assert names & absent == set()


def test_the_extras_server_and_assess_are_what_is_installed_without_naming_any():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    assert {*extras["server"], *extras["assess"]} == set(project["dependencies"])
    assert set(extras["server"]) < set(extras["assess"])
