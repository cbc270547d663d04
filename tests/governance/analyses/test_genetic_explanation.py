"""Genetic explanation on subjects whose answer is known."""

import hashlib

import numpy as np
import pytest
import torch
from subjects import with_network
from torch import nn

from governance import analyses
from governance.analyses.genetic_explanation import GeneticExplanation, evolve
from governance.errors import PolicyError
from governance.methods.evolved import evolve as below
from governance.records.decision import judge
from governance.records.evidence import Evidence
from governance.records.identity import ModelIdentity
from governance.records.policy import Expectation, ModelTerms, Policy
from governance.subject.images.validation_set import ValidationSet
from governance.subject.network import Network, tensor_digest
from governance.subject.preprocessing import Preprocessing
from governance.subject.subject import Subject

SMALL = {"images": 6, "budget": 120, "repeated": 2, "wrong_classes": 4, "wrong_budget": 60}


class Corner(nn.Module):
    """Answers the second class where the upper left 8 x 8 pixels are bright."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(40.0))

    def forward(self, x):
        odds = self.gain * (x[:, 0, :8, :8].mean((1, 2)) - 0.6)
        return torch.stack([-odds, odds], 1)


def corner_subject():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 128, (40, 32, 32)).astype(np.uint8)
    labels = np.arange(40) % 2
    images[labels == 1, :8, :8] = 250
    model = Corner().eval()
    return Subject(
        identity=ModelIdentity(
            uri="models:/corner/1", digest=tensor_digest(model), artifact_digest="sha256:0",
            format="pt2", parameters=1,
        ),
        classifier=Network(
            model=model,
            device=torch.device("cpu"),
            preprocessing=Preprocessing(size=(32, 32), channels="grey"),
        ),
        validation=ValidationSet(
            location="memory", images=images, labels=labels, class_names=("dark", "bright"),
            ids=tuple(map(str, range(40))), hashes=("0",) * 40, digest="sha256:0",
        ),
    )  # fmt: skip


def column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


def test_the_region_of_a_model_that_reads_one_corner_lies_in_that_corner():
    # arrange
    subject = corner_subject()
    bright = int(np.flatnonzero(subject.validation.labels == 1)[0])
    # act
    found = evolve(subject.probabilities, subject.pixels([bright])[0], baseline="black")
    # assert
    assert found.status == "sufficient"
    assert not found.mask[8:].any()
    assert not found.mask[:, 8:].any()


def test_what_is_measured_is_what_the_tables_hold():
    # arrange
    subject = corner_subject()
    # act
    result = GeneticExplanation(**SMALL, baseline="black").run(subject, 0)
    # assert
    images, seeds, wrong, curves, checks = result.tables
    status = column(images, "status")
    assert len(status) == 6
    assert result.metrics["share_sufficient"] == status.count("sufficient") / 6
    assert result.metrics["share_fragile"] == status.count("fragile") / 6
    areas = [
        a
        for a, s in zip(column(images, "area"), status, strict=True)
        if s in {"sufficient", "fragile"}
    ]
    assert result.metrics["area_median"] == pytest.approx(np.median(areas))
    agreed = [share for share in column(seeds, "Jaccard") if share is not None]
    assert result.metrics["stability"] == (pytest.approx(np.mean(agreed)) if agreed else None)
    assert result.metrics["null_class_rate"] == np.mean(column(wrong, "explained"))
    for kind, veil, area in zip(
        *(column(curves, name) for name in curves.columns[:3]), strict=True
    ):
        assert result.metrics[f"{kind}_{veil}"] == area
    assert (column(checks, "outcome").count("failed") == len(result.withdrawn)) or not curves.rows
    assert max(column(images, "evaluations")) <= 120
    assert set(column(images, "rule")) == {"worst", "borderline", "best", "random"}
    for name, item in result.intervals.items():
        assert item.low <= result.metrics[name] <= item.high


@pytest.mark.slow
def test_the_same_seed_gives_the_same_measurement_and_the_model_is_left_as_found(tiny_subject):
    # arrange
    before = hashlib.sha256(str(tiny_subject.network.model.state_dict()).encode()).hexdigest()
    state = torch.get_rng_state()
    # act
    one, two = (GeneticExplanation(**SMALL).run(tiny_subject, 3) for _ in range(2))
    # assert
    assert one == two
    assert (
        hashlib.sha256(str(tiny_subject.network.model.state_dict()).encode()).hexdigest() == before
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert set(one.metrics) == set(GeneticExplanation.metrics)
    assert "forward passes" in one.notes[-1]


def test_evidence_that_nothing_was_shown_of_is_withdrawn(tiny_subject):
    # A budget without room for random regions, and two images explained again.
    result = GeneticExplanation(**SMALL).run(tiny_subject, 0)

    assert "regions are not shown to do better than random ones of the same area" in (
        result.withdrawn
    )
    evidence = Evidence(
        analysis="genetic_explanation", about="", parameters={}, seed=0, seconds=0.0,
        device="cpu", measurement=result,
    )  # fmt: skip
    expectation = Expectation(metric="genetic_explanation.evaluations", at_most=1000)
    policy = Policy(
        title="t", validation="v", model=ModelTerms(), analyses={}, expectations=(expectation,)
    )
    assert result.metrics["evaluations"] <= 120
    assert judge(policy, [evidence]).verdict == "undetermined"


def test_controls_that_are_switched_off_are_missing_not_zero(tiny_subject):
    off = SMALL | {"repeated": 0, "wrong_classes": 0}
    result = GeneticExplanation(**off).run(tiny_subject, 0)
    assert result.metrics["stability"] is None
    assert result.metrics["null_class_rate"] is None
    assert any("other seeds" in reason for reason in result.withdrawn)


def test_where_no_region_means_anything_the_area_is_missing():
    # arrange: a model that answers the same whatever it sees
    subject = corner_subject()
    blind = with_network(subject, model=Corner().eval())
    with torch.no_grad():
        blind.network.model.gain.zero_()
    # act
    result = GeneticExplanation(**SMALL).run(blind, 0)
    # assert
    assert result.metrics["area_median"] is None
    assert result.metrics["share_sufficient"] == 0
    assert set(column(result.tables[0], "status")) == {"undefined_baseline"}
    assert result.withdrawn == ("no image has a map that could be tested",)


def test_the_figure_is_a_picture(tiny_subject):
    (figure,) = GeneticExplanation(**SMALL).run(tiny_subject, 0).figures
    assert figure.image.startswith(b"\x89PNG")


def test_a_policy_can_set_its_parameters_and_is_told_what_is_impossible():
    assert analyses.load("genetic_explanation", {"budget": 50}) == GeneticExplanation(budget=50)
    with pytest.raises(PolicyError, match="budget = 3"):
        analyses.load("genetic_explanation", {"budget": 3})
    with pytest.raises(PolicyError, match="baseline"):
        analyses.load("genetic_explanation", {"baseline": "white"})
    with pytest.raises(PolicyError, match="segments = 4"):
        analyses.load("genetic_explanation", {"segments": 4})


def test_evolve_is_offered_here_and_made_below():
    assert evolve is below
