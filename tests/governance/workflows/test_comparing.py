"""Comparing: two folders of assessments; models and references are tried on the command line."""

import subprocess
import sys

import pytest
import versions
from versions import record

from governance.errors import EvidenceError
from governance.workflows.comparing import compare_models


@pytest.fixture
def folders(tmp_path):
    """Records kept as folders, by name."""

    def keep(**records):
        for name, found in records.items():
            found.save(tmp_path / name)
        return [str(tmp_path / name) for name in records]

    return keep


def test_folders_are_compared_without_any_model(folders):
    harmless = {f"r{place}": item for place, item in enumerate(versions.harmless(9))}
    old, new, *references = folders(old=record("1", seed=1), new=record("2", seed=2), **harmless)
    found = compare_models(old, new, references=references)
    assert found.comparison.verdict in {"EQUIVALENT", "INCONCLUSIVE"}
    assert len(found.comparison.references) == 9
    assert found.withdrawn == ()
    assert found.new.baseline.identity.uri == "models:/tiny/1"
    assert found.new.evidence[-1] == found.evidence


@pytest.mark.slow
def test_a_loud_change_is_drift(folders):
    harmless = {f"r{place}": item for place, item in enumerate(versions.harmless(9))}
    loud = record("2", seed=2, noise=1.5)
    old, new, *references = folders(old=record("1", seed=1), new=loud, **harmless)
    assert compare_models(old, new, references=references).comparison.verdict == "DRIFT"


def test_the_old_record_is_compared_once_and_not_with_itself(folders):
    old, _ = folders(old=record("1", seed=1), new=record("2", seed=2))
    with pytest.raises(EvidenceError, match="itself"):
        compare_models(old, old)


def test_what_too_few_references_cannot_tell_is_left_unanswered(folders):
    harmless = {f"r{place}": item for place, item in enumerate(versions.harmless(5))}
    old, new, *references = folders(old=record("1", seed=1), new=record("2", seed=2), **harmless)

    measurement = compare_models(old, new, references=references, drawn=False).evidence.measurement

    assert any("no p-value is below 0.17" in sentence for sentence in measurement.unanswered)
    assert measurement.figures == ()


@pytest.mark.slow
def test_records_in_folders_are_compared_without_torch_mlflow_or_matplotlib(folders):
    old, new = folders(old=record("1", seed=1), new=record("2", seed=2))
    program = (
        "import sys; from governance.workflows.comparing import compare_models; "
        f"compare_models({old!r}, {new!r}, drawn=False); "
        "print(sorted({'torch', 'mlflow', 'matplotlib'} & set(sys.modules)))"
    )

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert told.stdout.decode().strip() == "[]"
