"""What silencing filters costs: exact where it says so, sampled where it says so."""

import numpy as np
import pandas as pd
import pytest
import torch
from subjects import with_network
from torch import nn

from governance import analyses
from governance.analyses.filter_importance import FilterImportance, filter_importance
from governance.errors import AnalysisError
from governance.subject.network import tensor_digest

FIRST = ["layer", "unit", "class", "metric", "estimate", "ci_lo", "ci_hi", "n_exact", "method"]


@pytest.fixture(scope="module")
def known(tiny_subject):
    """The tiny model, its inputs and labels."""
    indices = np.arange(len(tiny_subject.validation))
    inputs = tiny_subject.network.inputs(tiny_subject.pixels(indices))
    return tiny_subject.network.model, inputs, tiny_subject.validation.labels


@pytest.fixture(scope="module")
def full(known):
    return filter_importance(*known, tier="full")


def single(table, metric="dloss", label="all"):
    rows = table[(table["metric"] == metric) & (table["class"] == label) & table["unit"].notna()]
    return rows.set_index(["layer", "unit"])


def by_hand(model, inputs, labels, layer, units):
    """Loss and probability with units held at their mean, written out for the tiny network."""
    target = torch.from_numpy(labels)
    with torch.no_grad():
        x = torch.relu(model.stem_norm(model.stem(inputs)))
        mean = x.mean((0, 2, 3))
        if layer == "stem":
            x[:, units] = mean[units].view(1, -1, 1, 1)
        y = model.branch_norm(model.branch(x))
        if layer == "branch":
            y[:, units] = y.mean((0, 2, 3))[units].view(1, -1, 1, 1)
        logits = model.head(torch.relu(x + y).mean((2, 3)))
    loss = nn.functional.cross_entropy(logits, target, reduction="none")
    return loss.numpy(), logits.argmax(1).numpy()


def test_the_full_tier_is_what_the_definition_gives_for_every_filter(known, full):
    base, predicted = by_hand(*known, "none", [])
    assert full.columns.tolist()[: len(FIRST)] == FIRST
    dloss, flip = single(full), single(full, "flip")
    for layer in ("stem", "branch"):
        for unit in range(6):
            loss, changed = by_hand(*known, layer, [unit])
            row = dloss.loc[layer, unit]
            assert row["estimate"] == pytest.approx((loss - base).mean(), abs=1e-5)
            assert row["method"] == ("closed" if layer == "branch" else "exact")
            assert row["n_exact"] == 120
            assert flip.loc[layer, unit]["estimate"] == pytest.approx((changed != predicted).mean())
            for label in range(3):
                mine = known[2] == label
                expected = (np.exp(-base[mine]) - np.exp(-loss[mine])).mean()
                row = single(full, "dp_true", label).loc[layer, unit]
                assert row["estimate"] == pytest.approx(expected, abs=1e-5)
                assert row["n_exact"] == 40


def test_intervals_hold_their_estimates_and_q_values_are_no_smaller_than_p(full):
    known_rows = full.dropna(subset="estimate")
    assert (known_rows["ci_lo"] <= known_rows["estimate"]).all()
    assert (known_rows["estimate"] <= known_rows["ci_hi"]).all()
    tested = known_rows.dropna(subset="p_value")
    assert (tested["q_value"] >= tested["p_value"]).all()


def test_the_same_seed_gives_the_same_table_and_leaves_the_model_as_found(known):
    model, inputs, labels = known
    digest, state = tensor_digest(model), torch.random.get_rng_state()
    one = filter_importance(model, inputs, labels, tier="standard", seed=4, top=1)
    other = filter_importance(model, inputs, labels, tier="standard", seed=4, top=1)
    pd.testing.assert_frame_equal(one, other)
    assert tensor_digest(model) == digest
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


class Wide(nn.Module):
    """Random filters in plenty, so that a sampled tier has something to leave out."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(1, 40, 3, padding=1)
        self.two = nn.Conv2d(40, 60, 3, padding=1)
        self.three = nn.Conv2d(60, 8, 3, padding=1)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.one(x)), 2)
        x = torch.relu(self.three(torch.relu(self.two(x))))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def wide():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Wide().eval()
        images = torch.randn(200, 1, 8, 8)
    with torch.no_grad():
        model.head.weight *= 20
        labels = model(images).argmax(1).numpy()
    labels[::5] = (labels[::5] + 1) % 3
    return model, images, labels


@pytest.mark.slow
def test_sampled_tiers_agree_with_the_full_tier_within_their_intervals(wide):
    # arrange
    truth = single(filter_importance(*wide, tier="full"))
    # act
    for tier in ("smoke", "standard"):
        table = filter_importance(*wide, tier=tier, seed=1, top=5)
        rows = single(table)
        # assert
        exact = rows[rows["method"].isin(["exact", "closed"])]
        expected = truth.loc[exact.index, "estimate"]
        np.testing.assert_allclose(exact["estimate"], expected, atol=1e-5)
        sampled = rows[rows["method"] == "cv"]
        inside = (sampled["ci_lo"] <= truth.loc[sampled.index, "estimate"]) & (
            truth.loc[sampled.index, "estimate"] <= sampled["ci_hi"]
        )
        assert inside.mean() >= 0.9
        assert sampled["n_exact"].ge(128).all()


def test_filters_that_were_only_screened_have_a_rank_and_no_estimate(wide):
    table = filter_importance(*wide, tier="smoke", seed=0)
    rows = single(table)
    assert len(rows) == 108
    screened = rows[rows["method"] == "taylor"]
    assert len(screened) == 100 - 16
    assert screened[["estimate", "ci_lo", "ci_hi", "q_value"]].isna().all(axis=None)
    assert screened["rank"].notna().all()
    assert screened["n_exact"].eq(0).all()


def test_a_duplicated_filter_is_found_by_its_group_and_hidden_from_single_silencing(known):
    # arrange: filter 5 of the stem becomes a copy of filter 4, each with half of its effect
    model, inputs, labels = known
    table = single(filter_importance(model, inputs, labels, tier="full"))
    whole = table.loc["stem", 4]["estimate"]
    doubled = copied(model)
    # act
    after = filter_importance(doubled, inputs, labels, tier="full")
    groups = after[after["unit"].isna() & (after["metric"] == "dloss") & (after["class"] == "all")]
    group = groups[(groups["layer"] == "stem") & (groups["members"] == "4+5")]
    # assert
    base, _ = by_hand(doubled, inputs, labels, "none", [])
    loss, _ = by_hand(doubled, inputs, labels, "stem", [4, 5])
    assert group["estimate"].item() == pytest.approx((loss - base).mean(), abs=1e-5)
    alone = single(after).loc["stem", 4]["estimate"]
    assert group["estimate"].item() > 2 * alone
    assert whole > 0


def copied(model):
    """The tiny model with stem filter 5 a copy of 4, both read at half weight by the branch."""
    twin = type(model)()
    twin.load_state_dict(model.state_dict())
    with torch.no_grad():
        twin.stem.weight[5] = twin.stem.weight[4]
        for name in ("weight", "bias", "running_mean", "running_var"):
            values = getattr(twin.stem_norm, name)
            values[5] = values[4]
        half = twin.branch.weight[:, 4] / 2
        twin.branch.weight[:, 4] = half
        twin.branch.weight[:, 5] = half
    return twin.eval()


def test_a_dead_filter_counts_as_dead_and_costs_nothing(tiny_subject):
    # arrange
    twin = copied(tiny_subject.network.model)
    with torch.no_grad():
        twin.stem_norm.weight[0] = 0.0
        twin.stem_norm.bias[0] = -1.0
    subject = with_network(tiny_subject, model=twin)
    # act
    found = FilterImportance(tier="full", images=60).run(subject, 0)
    # assert
    assert found.metrics["dead_filters"] == pytest.approx(1 / 12)
    table = next(item for item in found.tables if item.name == "filters")
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    (dead,) = (
        row for row in rows
        if (row["layer"], row["unit"], row["class"], row["metric"]) == ("stem", 0, "all", "dloss")
    )  # fmt: skip
    assert dead["estimate"] == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("tier", ["smoke", "standard", "full"])
def test_the_analysis_declares_what_it_measures_and_prints_its_controls(tiny_subject, tier):
    found = FilterImportance(tier=tier, images=120, top=3).run(tiny_subject, 0)
    assert set(found.metrics) == set(FilterImportance.metrics)
    assert 0 < found.metrics["concentration"] <= 1
    assert found.intervals["concentration"].low <= found.metrics["concentration"]
    dependence = found.intervals["top_class_dependence"]
    assert dependence.low <= found.metrics["top_class_dependence"] <= dependence.high
    assert dependence.n == 40
    top = next(table for table in found.tables if table.name == "top_filters")
    assert top.rows[-1][0] == "control: random signs"
    assert len(top.rows) == 4
    assert any("silencing nothing changed an output by at most 0" in note for note in found.notes)
    assert {figure.name for figure in found.figures} == {"top", "mass", "excited"}


@pytest.mark.slow
def test_classes_with_too_few_images_enter_no_metric(tiny_subject):
    found = FilterImportance(tier="full", images=60).run(tiny_subject, 0)
    assert found.metrics["top_class_dependence"] is None


def test_every_heading_of_the_description_is_there():
    text = analyses.about("filter_importance")
    for heading in ("Purpose", "Method", "Signs of risk", "Limits"):
        assert f"\n{heading}\n" in text


def test_probabilities_and_logits_give_the_same_losses(known, full):
    model, inputs, labels = known
    soft = nn.Sequential(model, nn.Softmax(1))
    table = filter_importance(soft, inputs, labels, tier="full", outputs="probabilities")
    ours, theirs = single(table), single(full)
    for (layer, unit), row in theirs.iterrows():
        assert ours.loc[f"0.{layer}", unit]["estimate"] == pytest.approx(row["estimate"], abs=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, x, y: (m, x[:4], y[:4]), "4 images were given; at least 8"),
        (lambda m, x, y: (m, x, y[:-1]), "labels of shape"),
        (lambda m, x, y: (m, x, y + 1), "labels from 1 to 3; 0 to 2 are accepted"),
        (lambda m, x, y: (m, x, y / 2), "one whole number per image"),
    ],
)
def test_images_and_labels_that_do_not_fit_are_refused(known, change, message):
    with pytest.raises(AnalysisError, match=message):
        filter_importance(*change(*known))


@pytest.mark.parametrize("parameters", [{"images": 3}, {"top": 0}, {"tier": "huge"}])
def test_impossible_parameters_are_refused(parameters):
    with pytest.raises(analyses.PolicyError, match=str(next(iter(parameters)))):
        analyses.load("filter_importance", parameters)
