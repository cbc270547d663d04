"""Claims about patches and images, from a linear model known by hand to the whole analysis."""

import base64
import itertools
import logging

import numpy as np
import pytest
import torch
from subjects import with_network
from torch import nn

from governance.analyses.verified_perturbation import VerifiedPerturbation
from governance.errors import AnalysisError
from governance.methods.bounds import certificates
from governance.methods.bounds.certificates import verified_explain
from governance.subject.preprocessing import Preprocessing

logging.getLogger("torch.__trace").disabled = True


class TwoPixels(nn.Module):
    """Class 0 leads by 10 * (first pixel - last pixel) + 1 on a 2 x 2 image."""

    def __init__(self):
        super().__init__()
        self.flat = nn.Flatten()
        self.fc = nn.Linear(4, 2)
        self.fc.weight.data = torch.tensor([[10.0, 0.0, 0.0, -10.0], [0.0, 0.0, 0.0, 0.0]])
        self.fc.bias.data = torch.tensor([1.0, 0.0])

    def forward(self, x):
        return self.fc(self.flat(x))


LINEAR = TwoPixels().eval()
IMAGE = torch.tensor([[[0.5, 0.5], [0.5, 0.5]]])


def explain(eps=0.05, **options):
    return verified_explain(LINEAR, IMAGE, eps=eps, grid=(2, 2), **options)


def test_a_linear_model_is_decided_exactly():
    # the margin 1 falls by 10 eps in the first and the last patch and never in the others
    found = explain(0.05)
    assert found.status == ("VERIFIED",) * 4
    np.testing.assert_allclose(found.map, [[0.5, 0.0], [0.0, 0.5]], atol=1e-6)
    np.testing.assert_allclose([bound.low for bound in found.bounds], [0.5, 1, 1, 0.5], atol=1e-9)
    np.testing.assert_allclose(found.attained, [0.5, 1, 1, 0.5], atol=1e-5)
    assert max(found.gap) < 1e-5
    assert set(found.status) == {"VERIFIED"}
    assert found.escapes == 0


def test_what_flips_is_refuted_with_a_witness_inside_the_box():
    found = explain(0.2)
    assert found.status == ("REFUTED", "VERIFIED", "VERIFIED", "REFUTED")
    witness = found.witnesses[0]
    assert LINEAR(witness[None])[0].diff() > 0
    assert (witness - IMAGE).abs().max() <= 0.2 + 1e-7
    assert torch.equal(witness.flatten()[1:], IMAGE.flatten()[1:])


def test_the_largest_radius_is_found_by_bisection():
    # the lead of patch 0 is lost at eps = 0.1, the others' beyond any pixel value
    found = explain(0.05, bisect=True)
    assert 0.07 < found.max_verified_eps[0] < 0.1
    assert found.max_verified_eps[1] > 0.9


def test_signs_ask_about_one_direction():
    brighter, darker = explain(0.2, sign=1), explain(0.2, sign=-1)
    assert brighter.status == ("VERIFIED", "VERIFIED", "VERIFIED", "REFUTED")
    assert darker.status == ("REFUTED", "VERIFIED", "VERIFIED", "VERIFIED")


def test_drop_holds_the_patch_and_moves_the_rest():
    # all four patches together lose 20 eps = 1.6, without the first or the last 0.8
    found = explain(0.08, mode="drop")
    assert found.status == ("VERIFIED", "REFUTED", "REFUTED", "VERIFIED")
    np.testing.assert_allclose(found.map, [[0.8, 0.0], [0.0, 0.8]], atol=1e-6)
    both = explain(0.08, mode="both")
    assert both.mode == "solo"
    assert both.drop is not None
    np.testing.assert_allclose(both.drop.map, found.map)


def test_a_target_is_the_only_rival():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval()
    model[1].weight.data[2] = model[1].weight.data[0]
    model[1].bias.data = torch.tensor([2.0, 0.0, 1.9])
    found = verified_explain(model, IMAGE, 2, eps=0.5, grid=(2, 2))
    assert found.status == ("VERIFIED",) * 4
    np.testing.assert_allclose(found.map, 0.0, atol=1e-6)


@pytest.mark.slow
def test_normalisation_is_part_of_the_claim():
    prepared = Preprocessing(size=(2, 2), channels="grey", mean=(0.5,), std=(0.1,))
    with_record = explain(0.05, preprocess=prepared)
    with_function = explain(0.05, preprocess=lambda x: (x - 0.5) / 0.1)
    # ten times steeper: 100 eps = 5 > 1
    assert with_record.status == ("REFUTED", "VERIFIED", "VERIFIED", "REFUTED")
    assert with_function.status == with_record.status


@pytest.mark.slow
def test_probabilities_are_decided_like_the_outputs_before_the_softmax():
    for last in (nn.Softmax(dim=1), nn.LogSoftmax(dim=1)):
        model = nn.Sequential(LINEAR, last).eval()
        for eps in (0.05, 0.2):
            found = verified_explain(model, IMAGE, eps=eps, grid=(2, 2))
            assert found.status == explain(eps).status
            np.testing.assert_allclose(found.attained, explain(eps).attained, atol=1e-4)


def test_sentences_name_radius_norm_weights_method_and_slack():
    found = explain(0.2)
    verified, refuted = found.statement(1), found.statement(0)
    for part in ("VERIFIED", "|x' - x| <= 0.2", "patch 1", "sha256:", "float64", "slack", "margin"):
        assert part in verified
    assert "REFUTED" in refuted
    assert "deployed float32" in refuted


def test_a_bound_that_says_nothing_is_vacuous():
    """Two equal steps cancel, but their bounds saturate at once and never learn of each other."""
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Hardtanh(), nn.Flatten(), nn.Linear(8, 2)).eval()
    with torch.no_grad():
        model[0].weight.fill_(1e6)
        model[0].bias.fill_(-5e5)
        model[3].weight.zero_()
        model[3].weight[0, 0], model[3].weight[0, 4] = 1.0, -1.0
        model[3].bias.copy_(torch.tensor([0.5, 0.0]))
    found = verified_explain(model, IMAGE, eps=0.01, grid=(2, 2), method="crown")
    assert found.status == ("VACUOUS", "VERIFIED", "VERIFIED", "VERIFIED")
    assert found.vacuity[0] > 0.9
    assert "no better than for arbitrary pixel values" in found.statement(0)


def test_an_attack_below_a_bound_makes_the_run_invalid(monkeypatch):
    right = certificates.proven
    monkeypatch.setattr(certificates, "proven", lambda *args, **named: right(*args, **named) + 1)
    with pytest.raises(AnalysisError, match="INVALID"):
        explain(0.2)


def test_bounds_that_are_not_finite_prove_nothing(monkeypatch):
    for value in (np.nan, np.inf, -np.inf):
        monkeypatch.setattr(
            certificates,
            "proven",
            lambda _, windows, *rest, v=value, **named: np.full(len(windows), v),  # noqa: ARG005 - as called
        )
        assert explain(0.01).status == ("UNKNOWN",) * 4


@pytest.mark.parametrize("eps", [0.0, -0.1, 1.5, float("nan")])
def test_radii_outside_zero_to_one_are_refused(eps):
    with pytest.raises(AnalysisError, match="radius"):
        explain(eps)


def test_bad_questions_are_refused():
    with pytest.raises(AnalysisError, match=r"in \[0, 1\] is accepted"):
        verified_explain(LINEAR, IMAGE * 3, eps=0.1, grid=(2, 2))
    with pytest.raises(AnalysisError, match="grid"):
        verified_explain(LINEAR, IMAGE, eps=0.1, grid=(3, 2))
    with pytest.raises(AnalysisError, match="target"):
        explain(target=0)
    with pytest.raises(AnalysisError, match="sign"):
        explain(sign=2)
    with pytest.raises(AnalysisError, match="affine per channel"):
        explain(preprocess=lambda x: x**2)
    with pytest.raises(AnalysisError, match="training mode"):
        verified_explain(TwoPixels().train(), IMAGE, eps=0.1, grid=(2, 2))


# --- the analysis ---------------------------------------------------------------------------------

QUICK = {"images": 6, "patch_images": 1, "grid": 3, "steps": 3, "restarts": 1, "radii": (1.0, 8.0),
         "radius": 1.0}  # fmt: skip


@pytest.fixture(scope="module")
def measured(tiny_subject):
    return VerifiedPerturbation(**QUICK).run(tiny_subject, 0)


@pytest.mark.slow
def test_the_robust_share_is_bracketed_and_the_shares_add_up(measured):
    metrics = measured.metrics
    assert metrics["certified_share"] <= metrics["surviving_share"]
    assert metrics["surviving_share"] == pytest.approx(
        metrics["certified_share"] + metrics["undecided_share"]
    )
    assert measured.intervals["certified_share"].method == "Clopper-Pearson"
    assert measured.intervals["certified_share"].n == 6


@pytest.mark.slow
def test_the_certified_share_is_recomputed_naively(tiny_subject, measured):
    held = 0
    chosen = tiny_subject.validation.sample(6, 0)
    for image in tiny_subject.pixels(chosen):
        found = verified_explain(
            tiny_subject.network.model, image, eps=1 / 255, grid=(1, 1), method="crown",
            preprocess=tiny_subject.preprocessing, steps=3, restarts=1,
        )  # fmt: skip
        held += found.status == ("VERIFIED",)
    assert measured.metrics["certified_share"] == held / 6


def test_every_patch_has_a_claim_at_every_radius(measured):
    (patches,) = [table for table in measured.tables if table.name == "patches"]
    assert len(patches.rows) == 2 * 9
    (claims,) = [table for table in measured.tables if table.name == "claims"]
    assert all(row[4].startswith(row[2]) for row in claims.rows)


@pytest.mark.slow
def test_the_same_seed_measures_the_same(tiny_subject, measured):
    again = VerifiedPerturbation(**QUICK).run(tiny_subject, 0)
    assert again.metrics == measured.metrics
    assert again.tables == measured.tables


def test_witnesses_in_the_table_flip_the_decision(tiny_subject):
    options = QUICK | {"radii": (120.0,), "radius": 120.0, "patch_images": 0, "steps": 10}
    found = VerifiedPerturbation(**options).run(tiny_subject, 0)
    (table,) = [table for table in found.tables if table.name == "witnesses"]
    assert found.metrics["surviving_share"] < 1
    assert found.metrics["certified_patch_fraction"] is None
    ids = tiny_subject.validation.ids
    for image, _, _, _, _, text in table.rows:
        number = ids.index(image)
        pixels = np.frombuffer(base64.b64decode(text), dtype="<f4").reshape(1, 1, 16, 16)
        moved = tiny_subject.network.logits(torch.from_numpy(pixels.copy())).argmax(1)
        assert moved != tiny_subject.network.logits(tiny_subject.pixels([number])).argmax(1)


def test_a_network_beyond_the_operators_is_attacked_and_says_so(tiny_subject):

    model = nn.Sequential(tiny_subject.network.model, nn.LayerNorm(3)).eval()
    other = with_network(tiny_subject, model=model)
    found = VerifiedPerturbation(**QUICK).run(other, 0)
    assert found.metrics["certified_share"] == 0.0
    assert found.metrics["certified_patch_fraction"] == 0.0
    assert found.metrics["undecided_patch_fraction"] == 1.0
    assert found.notes[0].startswith("NOTHING WAS PROVEN")
    assert found.unanswered[0].startswith("nothing was proven")
    assert "layer_norm" in found.notes[0]


def test_a_network_beyond_the_size_limit_is_attacked_and_says_so(tiny_subject):
    found = VerifiedPerturbation(**QUICK, activations=10).run(tiny_subject, 0)
    assert found.metrics["certified_share"] == 0.0
    assert "numbers enter its curved steps" in found.notes[0]


@pytest.mark.parametrize(
    "options",
    [{"radii": ()}, {"radii": (2.0, 1.0)}, {"radii": (0.0, 2.0)}, {"radius": 3.0}, {"images": 0},
     {"grid": -1}, {"steps": 0}, {"restarts": 0}, {"attack_budget": 0.0}, {"radii": (2.0, 300.0)}],
)  # fmt: skip
def test_impossible_parameters_are_refused(options):
    with pytest.raises(ValueError, match="accepted"):
        VerifiedPerturbation(**options)


def test_radii_grow_with_what_is_proven(measured):
    (patches,) = [table for table in measured.tables if table.name == "patches"]
    proven = {}
    for row in patches.rows:
        proven.setdefault(row[1], []).append(row[5])
    for bounds in proven.values():
        assert all(a >= b - 1e-9 for a, b in itertools.pairwise(bounds))
