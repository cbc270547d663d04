"""Printing: in a process of its own, that is given no secrets, little room and little time."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from walls import namespaces_work

from governance.errors import EvidenceError, RegistryError
from governance.records.assessment import Assessment
from governance.worker.sandbox import printing_wall
from governance.workflows import printing
from governance.workflows.printing import _environment, _run, print_reports


@pytest.mark.slow
def test_the_same_assessment_gives_the_same_bytes_whatever_lies_in_the_working_directory(
    assessed, tmp_path, monkeypatch
):
    # arrange: packages of a user with the names of ours
    for name in ("reports", "templates", "governance"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    # act
    again = print_reports(assessed.folder)
    # assert: the command line printed them at another time, from another place
    assert again == {
        name: (assessed.folder / name).read_bytes() for name in ("report.html", "report.pdf")
    }


def test_no_secret_of_the_parent_reaches_the_process(assessed, tmp_path, monkeypatch):
    # arrange
    secrets = {
        "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_URI",
        "DATABASE_URL", "PYTHONPATH", "LD_PRELOAD",
    }  # fmt: skip
    for name in secrets - {"LD_PRELOAD"}:
        monkeypatch.setenv(name, "secret")
    seen = tmp_path / "seen"
    program = f"import os; open({str(seen)!r}, 'w').write(repr(dict(os.environ)))"
    # act: what it sees is what it was given, and nothing is added on the way
    _run([sys.executable, "-c", program], str(tmp_path), _environment(assessed.folder))
    # assert
    text = seen.read_text()
    assert "SOURCE_DATE_EPOCH" in text
    assert "secret" not in text
    assert not any(name in text for name in secrets)


def test_a_link_in_the_place_of_a_report_is_not_followed(assessed, tmp_path, monkeypatch):
    (tmp_path / "key.pem").write_text("sesame")
    program = (
        "import os, sys; os.symlink(sys.argv[1], sys.argv[-1]); "
        "open(sys.argv[-3], 'w').write('html')"
    )

    def taken_over(folder, into, variables):
        return [sys.executable, "-c", program, str(tmp_path / "key.pem")]

    with pytest.raises(RegistryError, match=r"left no report\.pdf"):
        print_reports(assessed.folder, taken_over)


@pytest.mark.worker
def test_behind_the_wall_the_same_report_is_printed(assessed):
    if not namespaces_work():
        pytest.skip("bubblewrap makes no namespaces here")
    seen = []

    def wall(folder, into, variables):
        seen.extend(printing_wall(folder, into, variables))
        return seen

    found = print_reports(assessed.folder, wall)

    assert "--unshare-all" in seen
    assert found == {name: (assessed.folder / name).read_bytes() for name in printing.REPORTS}


def test_the_time_printed_is_that_of_the_assessment(assessed):
    moment = datetime.fromtimestamp(int(_environment(assessed.folder)["SOURCE_DATE_EPOCH"]), UTC)
    assert moment == datetime.fromisoformat(Assessment.load(assessed.folder).created)


def children():
    """Processes that this one has started and that are still there."""
    return {
        child
        for task in Path("/proc/self/task").iterdir()
        for child in (task / "children").read_text().split()
    }


def test_too_much_memory_ends_the_process(tmp_path, monkeypatch):
    # arrange
    monkeypatch.setattr(printing, "MEMORY", 2**28)
    before = children()
    program = "held = [bytearray(2**24) for _ in range(256)]"
    # act / assert
    with pytest.raises(RegistryError, match=r"(?s)printing the report failed.*MemoryError"):
        _run([sys.executable, "-c", program], str(tmp_path), {})
    assert children() == before


def test_too_much_time_ends_the_process(tmp_path, monkeypatch):
    # arrange
    monkeypatch.setattr(printing, "SECONDS", 0.3)
    before = children()
    program = "import threading; threading.Event().wait(120)"
    # act / assert
    with pytest.raises(RegistryError, match=r"printing the report took over 0\.3 s"):
        _run([sys.executable, "-c", program], str(tmp_path), {})
    assert children() == before


def test_a_failure_is_told_with_its_reason(tmp_path):
    with pytest.raises(RegistryError, match="failed with code 7: no fonts") as caught:
        _run(
            [sys.executable, "-c", "import sys; sys.stderr.write('no fonts\\n'); sys.exit(7)"],
            str(tmp_path), {},
        )  # fmt: skip
    assert len(caught.value.problems) == 1


def test_a_damaged_assessment_is_not_printed(assessed, tmp_path):
    (tmp_path / "assessment.json").write_bytes((assessed.folder / "assessment.json").read_bytes())
    with pytest.raises(EvidenceError, match="no manifest"):
        print_reports(tmp_path)
