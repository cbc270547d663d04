"""An assessment in the formats of other tools, from its folder or the registry."""

import json
import subprocess
import sys

import pytest

from governance.cli.exports import Format
from governance.records.policy import Expectation


@pytest.mark.parametrize("form", list(Format))
def test_a_record_is_exported_from_its_folder_and_from_the_registry(
    governance, recorded, tmp_path, form
):
    uri = recorded(Expectation(metric="performance.accuracy", at_least=0.5))
    folder = tmp_path / f"record of {uri.rpartition('/')[2]}"

    printed = governance("export", folder, "--format", form)
    written = governance("export", uri, "--format", form, "--out", tmp_path / "out")

    assert (printed.code, printed.err, written.code) == (0, "", 0)
    assert printed.out == (tmp_path / "out").read_text(encoding="utf-8")


def test_a_record_that_contradicts_itself_is_not_exported(governance, recorded, tmp_path):
    uri = recorded(Expectation(metric="performance.accuracy", at_least=0.5))
    folder = tmp_path / f"record of {uri.rpartition('/')[2]}"
    record = json.loads((folder / "assessment.json").read_text())
    record["decision"]["verdict"] = "rejected"
    (folder / "assessment.json").write_text(json.dumps(record))

    answer = governance("export", folder, "--format", "oscal", "--out", tmp_path / "out")

    assert answer.code == 40
    assert not (tmp_path / "out").exists()


def test_an_export_of_a_folder_needs_neither_torch_nor_mlflow(assessed, tmp_path):
    code = (
        "import sys; sys.argv = ['governance', 'export', sys.argv[1], '--format', 'cyclonedx', "
        "'--out', sys.argv[2]]\n"
        "from governance.cli import app\n"
        "try:\n    app()\n"
        "finally:\n    print([name for name in ('torch', 'mlflow', 'matplotlib') "
        "if name in sys.modules])"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code, str(assessed.folder), str(tmp_path / "out")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "[]"), ended.stderr
    assert json.loads((tmp_path / "out").read_text())["specVersion"] == "1.7"
