"""Replaying: what a seed picks is measured again and compared, and nothing is passed unseen."""

import json
from dataclasses import replace

import numpy as np
import pytest
from mlflow import MlflowClient
from subjects import with_network

from governance.errors import EvidenceError
from governance.records.assessment import Assessment
from governance.records.evidence import Failure
from governance.records.policy import Expectation, ModelTerms, Policy
from governance.workflows import orchestration, replaying
from governance.workflows.orchestration import assess
from governance.workflows.replaying import replay, sampled

NAMES = tuple(f"analysis_{number}" for number in range(10))
DRAWN = """
    __all__ = ["Drawn"]

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Drawn:
        count: int = 3

        needs = "probabilities"
        metrics = {"x": Metric(meaning="m", better="higher")}

        def run(self, subject, seed):
            import os
            if os.environ.get("CRASHES"):
                raise MemoryError("no memory left")
            import numpy as np
            value = float(np.random.default_rng(seed).random(self.count).mean())
            drawn = value + float(os.environ.get("SHIFT", "0"))
            rows = ((float(subject.predictions()[0, 0]),),)
            return Measurement(
                metrics={"x": drawn},
                tables=(Table(name="rows", caption="c", columns=("p",), rows=rows),),
            )
"""


@pytest.fixture
def made(install, tiny_subject, monkeypatch):
    """An assessment by two analyses whose numbers are drawn from the seed."""
    monkeypatch.setattr(orchestration, "STANDING", ())
    install("alpha", DRAWN, about="Alpha.")
    install("beta", DRAWN, about="Beta.")
    policy = Policy(
        title="T", validation="v", model=ModelTerms(), analyses={"alpha": {"count": 5}, "beta": {}},
        expectations=(Expectation(metric="alpha.x", at_least=0.0),), text="text", seed=7,
    )  # fmt: skip
    return assess(tiny_subject, policy)


def edited(assessment, name, **changed):
    """The record with something else in one measurement, as a forger would have it."""
    evidence = tuple(
        replace(item, measurement=replace(item.measurement, **changed))
        if item.analysis == name
        else item
        for item in assessment.evidence
    )
    return replace(assessment, evidence=evidence)


def elsewhere(assessment, **changed):
    """The record as if it had been made on another stack."""
    return replace(assessment, environment={**assessment.environment, **changed})


def test_everything_is_reproduced_bit_for_bit_on_the_same_stack(made, tiny_subject):
    found = replay(made, tiny_subject, share=1, seed=1)

    assert [(part.analysis, part.outcome) for part in found.parts] == [
        ("alpha", "reproduced"),
        ("beta", "reproduced"),
    ]
    assert (found.outcome, found.stack, found.of) == ("reproduced", {}, 2)


@pytest.mark.parametrize("changed", [{"metrics": {"x": 0.999}}, {"tables": ()}])
def test_a_number_or_a_table_that_was_not_measured_differs(made, tiny_subject, changed):
    found = replay(edited(made, "beta", **changed), tiny_subject, share=1, seed=1)

    assert [part.outcome for part in found.parts] == ["reproduced", "differs"]
    assert found.outcome == "differs"


@pytest.mark.parametrize(("shift", "outcome"), [("5e-5", "reproduced"), ("5e-4", "differs")])
def test_on_another_stack_the_declared_tolerance_decides(
    made, tiny_subject, monkeypatch, shift, outcome
):
    monkeypatch.setenv("SHIFT", shift)

    assert replay(made, tiny_subject, share=1, seed=1).outcome == "differs"
    found = replay(elsewhere(made, torch="0.1"), tiny_subject, share=1, seed=1)

    assert found.outcome == outcome
    assert found.stack["torch"][0] == "0.1"


def test_what_another_release_measured_otherwise_tells_nothing(made, tiny_subject, monkeypatch):
    monkeypatch.setenv("SHIFT", "0.1")

    earlier = elsewhere(made, **{"mlflow-governance": "0.0.1"})
    found = replay(earlier, tiny_subject, share=1, seed=1)

    assert found.outcome == "untold"
    assert found.parts[0].reasons[-1].endswith("install 0.0.1 to tell")


def test_a_crash_of_ours_tells_nothing_about_the_record(made, tiny_subject, monkeypatch):
    monkeypatch.setenv("CRASHES", "yes")

    found = replay(made, tiny_subject, share=1, seed=1)

    assert found.outcome == "untold"
    assert found.parts[0].reasons[-1] == "alpha failed here: no memory left"


def test_a_crash_on_record_that_does_not_happen_here_differs(made, tiny_subject):
    crashed = [
        replace(item, measurement=None, failure=Failure(kind="MemoryError", message="m"))
        for item in made.evidence
    ]

    found = replay(replace(made, evidence=tuple(crashed)), tiny_subject, share=1, seed=1)

    assert found.outcome == "differs"


def test_an_analysis_that_is_not_installed_tells_nothing(made, tiny_subject):
    unknown = [replace(item, analysis=f"{item.analysis}_gone") for item in made.evidence]

    found = replay(replace(made, evidence=tuple(unknown)), tiny_subject, share=1, seed=1)

    assert found.outcome == "untold"
    assert "does not exist" in found.parts[0].reasons[0]


def test_a_record_with_nothing_to_measure_again_tells_nothing(made, tiny_subject):
    late = [
        replace(item, measurement=None, failure=Failure(kind="not run", message="no time left"))
        for item in made.evidence
    ]

    found = replay(replace(made, evidence=tuple(late)), tiny_subject, share=1, seed=1)

    assert (found.outcome, found.of) == ("untold", 0)
    assert found.left_out == {"alpha": "no time left", "beta": "no time left"}


def test_a_record_about_another_model_is_refused_before_anything_is_measured(
    made, tiny_subject, make_trained
):
    other = with_network(tiny_subject, model=make_trained(5))
    other = replace(other, identity=replace(other.identity, digest="sha256:other"))

    with pytest.raises(EvidenceError, match="the model's tensors have the digest sha256:other"):
        replay(made, other, share=1, seed=1)


def test_the_seed_picks_a_share_that_is_rounded_up_and_never_empty():
    assert len(sampled(NAMES, "sha256:a", share=0.1, seed=1)) == 1
    assert len(sampled(NAMES, "sha256:a", share=0.11, seed=1)) == 2
    assert sampled(NAMES, "sha256:a", share=1, seed=1) == NAMES


def test_every_analysis_is_picked_by_some_seed_and_another_record_is_picked_otherwise():
    picked = [sampled(NAMES, "sha256:a", share=0.1, seed=seed) for seed in range(100)]
    other = [sampled(NAMES, "sha256:b", share=0.1, seed=seed) for seed in range(100)]

    assert {name for names in picked for name in names} == set(NAMES)
    assert picked != other
    assert picked == [sampled(NAMES, "sha256:a", share=0.1, seed=seed) for seed in range(100)]


# the command


@pytest.mark.slow
def test_a_real_record_is_reproduced_from_its_model_and_images(governance, assessed, store):
    answer = governance("replay", assessed.folder, "--sample", "100%", "--seed", "1", "--json")

    found = json.loads(answer.out)
    assert (answer.code, found["exit_code"], found["outcome"]) == (0, 0, "reproduced")
    assert found["same_stack"] is True
    assert [part["analysis"] for part in found["parts"]] == list(orchestration.STANDING)


def test_a_record_with_a_better_number_is_found_out(
    governance, assessed, store, saved_model, images_file, tmp_path, monkeypatch
):
    # arrange: a whole, consistent record, whose accuracy nobody measured
    monkeypatch.setattr(replaying, "sampled", lambda *_names, **_how: ("performance",))
    recorded = Assessment.load(assessed.folder)
    (found,) = (item for item in recorded.evidence if item.analysis == "performance")
    better = {**found.measurement.metrics, "accuracy": 0.75}
    edited(recorded, "performance", metrics=better).save(tmp_path / "forged")
    # act
    answer = governance(
        *("replay", tmp_path / "forged", "--seed", "1"),
        *("--model", saved_model, "--images", images_file),
    )
    # assert
    assert answer.code == 40
    assert "performance: differs" in answer.out
    assert "accuracy is 0.75 on record and 1 here" in answer.out


def test_a_record_in_mlflow_is_made_again_by_its_address(governance, recorded):
    uri = recorded(Expectation(metric="performance.accuracy", at_least=0.5))

    answer = governance("replay", uri, "--seed", "3")

    assert answer.code == 0
    assert "Measured 1 of 3 analyses again" in answer.out


def test_a_record_that_the_version_does_not_name_is_not_made_again(governance, recorded):
    uri = recorded(Expectation(metric="performance.accuracy", at_least=0.5))
    number = uri.rpartition("/")[2]
    MlflowClient().set_model_version_tag("stripes", number, "governance.digest", "sha256:0")

    answer = governance("replay", uri, "--seed", "3")

    assert (answer.code, answer.out) == (40, "")
    assert "tag governance.digest is" in answer.err


def test_other_images_than_those_on_record_are_refused(
    governance, assessed, store, images_file, tmp_path
):
    # arrange: one pixel of one image is another
    with np.load(images_file) as arrays:
        content = dict(arrays)
    content["images"][3, 0, 0] ^= 1
    np.savez(tmp_path / "other.npz", **content)
    # act
    images = tmp_path / "other.npz"
    answer = governance("replay", assessed.folder, "--seed", "1", "--images", images)
    # assert
    assert (answer.code, answer.out) == (40, "")
    assert "the validation images have the digest sha256:" in answer.err


@pytest.mark.parametrize("sample", ["0%", "101%", "10", "ten%", "nan%", "-5%", "10%%"])
def test_a_sample_that_is_no_share_is_misuse(governance, sample):
    answer = governance("replay", "nowhere", "--seed", "1", "--sample", sample)

    assert answer.code == 2
    assert "a percentage above 0% and up to 100% is accepted" in answer.err


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("replay", ("--seed", "1")),
        ("report", ("--html", "report.html")),
        ("export", ("--format", "oscal")),
    ],
)
def test_an_address_that_is_longer_than_a_path_may_be_is_misuse(governance, command, options):
    answer = governance(command, "a" * 300, *options)

    assert answer.code == 2
    assert "no model" in answer.err
