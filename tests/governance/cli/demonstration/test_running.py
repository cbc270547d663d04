"""The demo's course on benches that answer at once; the whole takes minutes (`make demo`)."""

from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import numpy as np
import pytest

from governance.cli.demonstration import running
from governance.cli.demonstration.orders import Assessed, Store, Trained
from governance.drift import standing
from governance.workflows.orchestration import judged_by, read_policy


@pytest.fixture
def policy(tmp_path):
    """The demo's policy, read."""
    text = files("templates").joinpath("demo_policy.toml").read_bytes()
    (tmp_path / "policy.toml").write_bytes(text)
    return read_policy(tmp_path / "policy.toml")


def test_the_policy_passes_the_check_and_judges_more_than_accuracy(policy, tmp_path):
    assert policy.validation == str(tmp_path / "validation.npz")
    assert set(policy.analyses) == {
        "performance", "layer_prediction", "learning_process", "filter_importance",
        "genetic_explanation", "explanation_maps",
    }  # fmt: skip
    blocking = {item.metric for item in policy.expectations if item.severity == "block"}
    assert {"performance.accuracy", "layer_prediction.lens_probe_gap"} < blocking
    assert all(item.rationale for item in policy.expectations)
    # Without references nobody knows how much drift is harmless: it is told, and gates nothing.
    drifts = [item for item in policy.expectations if item.metric.startswith("drift.")]
    assert {item.severity for item in drifts} == {"warn"}
    assert {item.metric for item in standing(policy.drift)} <= {item.metric for item in drifts}


def test_the_policy_sets_no_bound_on_the_lowest_of_many_noisy_recalls(policy):
    metrics = {item.metric for item in judged_by(policy).expectations}
    assert "performance.classes_short" in metrics
    assert not any(name.startswith("performance.recall_worst") for name in metrics)


class Bench:
    """Answers each stage at once, and remembers what it was asked."""

    def __init__(self, assessed, verdict):
        self.asked, self._assessed, self._verdict = [], assessed, verdict

    def do(self, stage, *arguments):
        self.asked.append((stage, *(item for item in arguments if isinstance(item, str | int))))
        if stage == "register":
            self.asked[-1] += (arguments[1].start, arguments[1].images.mean())
            return Trained(number=str(arguments[0]), weights={"of": arguments[0]})
        if stage == "assess":
            return Assessed(verdict=self._verdict, run_id="0123", unprinted=None)
        return None


def course(assessed, tmp_path, monkeypatch, verdict="approved"):
    """What each bench was asked, and the versions."""
    one, other = Bench(assessed, verdict), Bench(assessed, verdict)
    monkeypatch.setattr(running._Play, "_folder", lambda _self, _version: assessed.folder)
    images = np.zeros((20, 28, 28), dtype=np.uint8)
    labels = np.arange(20, dtype=np.int64) % 10
    with ThreadPoolExecutor(2) as lanes:
        play = running._Play(
            out=tmp_path, store=Store.embedded(tmp_path), lanes=lanes, one=one, other=other,
            watched=(images, labels),
        )  # fmt: skip
        return one.asked, other.asked, play.run(images, labels)


def test_versions_two_and_three_are_trained_from_the_first_and_assessed_beside_each_other(
    assessed, tmp_path, monkeypatch
):
    one, other, versions = course(assessed, tmp_path, monkeypatch)
    assert one == [
        ("open_store",), ("register", 1, None, 0.0), ("assess", "1"), ("promote", "1"),
        ("assess", "2"),
    ]  # fmt: skip
    assert [stage[:2] for stage in other] == [
        ("open_store",), ("register", 2), ("register", 3), ("assess", "3"),
    ]  # fmt: skip
    (_, _, start, noisy), (_, _, again, marked) = other[1:3]
    assert start == again == {"of": 1}
    assert 0 < noisy < marked  # the mark is white
    assert [version.number for version in versions] == ["1", "2", "3"]
    assert [version.story for version in versions] == list(running.STORIES)
    assert {version.pdf for version in versions} == {assessed.folder / "report.pdf"}


def test_a_first_version_that_is_not_approved_becomes_no_champion(assessed, tmp_path, monkeypatch):
    one, _, _ = course(assessed, tmp_path, monkeypatch, verdict="rejected")
    assert ("promote", "1") not in one
