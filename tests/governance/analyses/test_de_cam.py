"""Evolved maps as an analysis, on a subject whose answer is known."""

import numpy as np
import pytest
import torch
from torch import nn

from governance import analyses
from governance.analyses.de_cam import DeCam, evolve_map
from governance.errors import PolicyError
from governance.methods.evolved import evolve_map as below
from governance.records.identity import ModelIdentity
from governance.subject.images.validation_set import ValidationSet
from governance.subject.network import Network, tensor_digest
from governance.subject.preprocessing import Preprocessing
from governance.subject.subject import Subject

SMALL = {"images": 6, "budget": 120, "repeated": 3, "seeds": 2}


class Corner(nn.Module):
    """Answers the second class where the upper left 12 x 12 pixels are bright."""

    def __init__(self, gain=40.0):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, x):
        odds = self.gain * (x[:, 0, :12, :12].mean((1, 2)) - 0.6)
        return torch.stack([-odds, odds], 1)


def corner_subject(model):
    """Forty images, bright in that corner and dark elsewhere; half of them said to be dark."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 100, (40, 32, 32)).astype(np.uint8)
    images[:, :12, :12] = 250
    labels = np.arange(40) % 2
    return Subject(
        identity=ModelIdentity(
            uri="models:/corner/1", digest=tensor_digest(model), artifact_digest="sha256:0",
            format="pt2", parameters=1,
        ),
        classifier=Network(
            model=model.eval(),
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


@pytest.fixture(scope="module")
def measured():
    return DeCam(**SMALL, baseline="black").run(corner_subject(Corner()), 0)


def test_what_is_measured_is_what_the_tables_hold(measured):
    images, seeds, curves, _ = measured.tables
    assert column(images, "status") == ["mapped"] * 6
    assert set(column(images, "rule")) == {"worst", "borderline", "best", "random"}
    assert measured.metrics["evaluations"] == 120
    assert measured.metrics["share_undefined"] == 0
    assert measured.metrics["stability"] == pytest.approx(np.mean(column(seeds, "seeds agree")))
    for place, name in enumerate(
        f"{kind}_{baseline}"
        for kind, baseline in zip(
            column(curves, "curve"), column(curves, "removed pixels become"), strict=True
        )
    ):
        own = column(images, name.replace("_", " "))
        assert measured.metrics[name] == pytest.approx(np.mean(own))
        assert column(curves, "area")[place] == pytest.approx(np.mean(own))


def test_maps_of_a_model_that_reads_one_corner_beat_the_centre(measured):
    assert measured.metrics["gain_mean"] > 0.2
    assert measured.metrics["gain_mean"] == pytest.approx(
        sum(
            sign * (area - centre)
            for kind, baseline, area, centre in zip(
                *(
                    column(measured.tables[2], name)
                    for name in ("curve", "removed pixels become", "area", "centre map")
                ),
                strict=True,
            )
            if baseline == "mean"
            for sign in [1 if kind == "insertion" else -1]
        )
    )


def test_where_the_baseline_already_decides_nothing_is_mapped_and_evidence_is_withdrawn():
    # arrange: a model that answers the same whatever it sees
    subject = corner_subject(Corner(gain=0.0))
    # act
    result = DeCam(**SMALL).run(subject, 0)
    # assert
    assert result.metrics["share_undefined"] == 1
    assert result.withdrawn
    for name in ("insertion_blur", "deletion_mean", "gain_blur", "stability", "likeness_shuffled"):
        assert result.metrics[name] is None
    assert column(result.tables[0], "status") == ["undefined_baseline"] * 6


def test_both_engines_serve_and_the_figure_is_a_picture(tiny_subject):
    result = DeCam(engine="de", images=3, budget=60, repeated=2, seeds=2).run(tiny_subject, 0)
    assert set(result.metrics) == set(DeCam.metrics)
    assert result.figures[0].image.startswith(b"\x89PNG")


def test_a_policy_can_set_its_parameters_and_is_told_what_is_impossible():
    assert analyses.load("de_cam", {"budget": 50}) == DeCam(budget=50)
    for key, value in (("budget", 3), ("grid", 1), ("grid", 33), ("engine", "ga"), ("seeds", 1)):
        with pytest.raises(PolicyError, match=key):
            analyses.load("de_cam", {key: value})


def test_evolve_map_is_offered_here_and_made_below():
    assert evolve_map is below
