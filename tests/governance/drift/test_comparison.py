"""Two recorded versions compared: verdicts, answers, refusals."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from versions import IMAGES, PARAMETERS, harmless, record, scattered, truth

from governance.drift import compare, to_measurement
from governance.drift.version import version_of
from governance.errors import AnalysisError, EvidenceError
from governance.methods.coarse_maps import rank_distance, ranked
from governance.records.drift_terms import DriftTerms
from governance.records.evidence import Failure, Measurement, Table

OLD = record("1", seed=1)
REFERENCES = harmless(9)
# Reasons changed: maps that have nothing to do with the old ones.
OTHER = record("2", maps=scattered(truth()[::-1], 0.2, 5), seed=2)
CORNER = {"corner": (0.75, 0.75, 1.0, 1.0)}


def cornered(share, seed=3, noise=0.2):
    """Harmless maps with a share of their mass moved to the corner."""
    maps = scattered(truth(), noise, [seed, 0]) * (1 - share)
    maps[:, -1] += share
    return maps


def test_other_reasons_are_drift_and_one_more_harmless_run_is_not():
    drifted = compare(OLD, OTHER, REFERENCES)
    same = compare(OLD, record("2", seed=200), REFERENCES)

    assert drifted.verdict == "DRIFT"
    assert drifted.exchangeability.p == drifted.exchangeability.p_floor == pytest.approx(0.1)
    assert drifted.exchangeability.outcome == "no"
    assert {change.name for change in drifted.changes if change.drives} == {"rank", "top"}
    assert same.verdict != "DRIFT"
    assert same.exchangeability.outcome == "yes"


def test_the_distance_is_the_mean_over_the_old_version_and_all_references():
    found = compare(OLD, OTHER, REFERENCES)

    new = ranked(version_of(OTHER).maps)
    naive = [
        np.mean(rank_distance(new, ranked(version_of(peer).maps))) for peer in (OLD, *REFERENCES)
    ]
    assert found.distance == pytest.approx(np.mean(naive))
    assert found.lower < found.distance < found.upper
    assert found.equivalence.interval.level == pytest.approx(0.9)


def test_a_version_inside_a_declared_tolerance_is_equivalent_with_or_without_references():
    quiet = record("2", seed=1, maps=scattered(version_of(OLD).maps, 0.01, 4))

    alone = compare(OLD, quiet, terms=DriftTerms(tolerance=0.1))
    beside = compare(OLD, record("2", seed=200), REFERENCES, terms=DriftTerms(tolerance=0.5))

    assert (alone.verdict, beside.verdict) == ("EQUIVALENT", "EQUIVALENT")
    assert alone.upper <= 0.1


def test_a_version_beyond_a_declared_tolerance_with_confidence_is_drift_without_references():
    found = compare(OLD, OTHER, terms=DriftTerms(tolerance=0.1))

    assert found.verdict == "DRIFT"
    assert found.lower > 0.1
    assert found.exchangeability.outcome == "open"


@pytest.mark.parametrize("m", [0, 1, 2, 3])
def test_too_few_references_give_an_effect_and_no_p_value(m):
    found = compare(OLD, OTHER, REFERENCES[:m])

    assert found.verdict == "INCONCLUSIVE"
    assert found.exchangeability.p is None
    assert found.exchangeability.outcome == ("open" if m == 0 else "advisory")
    assert ("advisory" in found.exchangeability.words) == (m > 0)
    assert found.false_alarms.passed is None


def test_so_few_references_that_alpha_is_out_of_reach_say_so():
    found = compare(OLD, OTHER, REFERENCES[:4])

    assert found.exchangeability.p == pytest.approx(0.2)
    assert found.exchangeability.outcome == "open"
    assert "never reach alpha" in found.exchangeability.words
    assert found.verdict == "INCONCLUSIVE"


def test_a_mark_in_a_declared_region_is_drift_and_a_trace_of_it_is_not():
    terms = DriftTerms(tolerance=0.9, regions=CORNER)

    marked = compare(OLD, record("2", maps=cornered(0.2)), REFERENCES, terms=terms)
    trace = compare(OLD, record("2", maps=cornered(0.012)), REFERENCES, terms=terms)

    assert marked.verdict == "DRIFT"
    assert [change.name for change in marked.changes if change.drives] == ["region:corner"]
    # Farther than every reference, and too little to matter.
    (region,) = [change for change in trace.changes if change.name == "region:corner"]
    assert max(region.benign) < region.value < region.least
    assert (region.p, region.drives) == (1, False)
    assert trace.verdict == "EQUIVALENT"


def test_checkpoints_as_references_are_called_anticonservative():
    found = compare(OLD, OTHER, REFERENCES, terms=DriftTerms(references="checkpoint"))

    assert "anticonservative" in " ".join(found.notes)
    assert "alarms too often" in found.exchangeability.words


def test_identity_sees_any_change_and_none_in_the_same_weights():
    same = replace(OLD, identity=replace(OLD.identity, uri="models:/tiny/7"))

    assert compare(OLD, same).identity.outcome == "no"
    assert compare(OLD, same).distance == 0
    changed = compare(OLD, record("2", seed=2)).identity
    assert (changed.outcome, changed.n) == ("yes", PARAMETERS["repeated"])
    assert changed.p < 0.05


def test_same_answer_different_reason_counts_images_that_both_answer_rightly():
    maps = version_of(OLD).maps.copy()
    maps[:15] = np.roll(maps[:15, ::-1], 3, axis=1)
    new = record("2", seed=2, maps=maps, wrong=range(5))

    found = compare(OLD, new, REFERENCES)

    harmless_ones = [
        rank_distance(ranked(version_of(OLD).maps), ranked(version_of(item).maps))
        for item in REFERENCES
    ]
    band = np.quantile(np.concatenate(harmless_ones), 0.95)
    distance = rank_distance(ranked(version_of(OLD).maps), ranked(version_of(new).maps))
    assert found.band == pytest.approx(band)
    assert found.reason_share == pytest.approx((distance[5:] > band).sum() / (IMAGES - 5))
    assert found.reason_interval.n == IMAGES - 5
    assert found.table("images").rows[0][7] == pytest.approx(distance.max())


def test_the_class_that_changed_stands_first_with_its_rank():
    maps = version_of(record("2", seed=2)).maps.copy()
    owls = np.arange(IMAGES) % 3 == 2
    maps[owls] = maps[owls][:, ::-1]

    rows = compare(OLD, record("2", seed=2, maps=maps), REFERENCES).table("classes").rows

    assert rows[0][0] == "owl"
    assert rows[0][4] == pytest.approx(0.1)
    # Benjamini-Hochberg over three classes.
    p = sorted(row[4] for row in rows)
    assert rows[0][5] == pytest.approx(min(p[k] * 3 / (k + 1) for k in range(3) if p[k] >= 0.1))


def test_the_first_version_is_held_against_the_budget():
    first = record("0", seed=9)

    inside = compare(OLD, OTHER, first=first, terms=DriftTerms(budget=1.9)).to_first
    beyond = compare(OLD, OTHER, first=OLD, terms=DriftTerms(budget=0.1)).to_first
    undeclared = compare(OLD, OTHER, first=first).to_first

    assert (inside.outcome, beyond.outcome, undeclared.outcome) == ("yes", "no", "open")
    assert compare(OLD, OTHER).to_first is None


def test_rules_that_still_hold_are_counted():
    asked = pd.DataFrame({"rule": list("abcd"), "holds": [True, True, False, True]})

    found = compare(OLD, OTHER, asked=asked)

    assert found.rules_held == 0.75
    assert found.rules_interval.n == 4


def lens(recall):
    """A record of layer_prediction with this recall of every class at two layers."""
    rows = tuple((layer, "lens", name, value) for layer in ("a", "b") for name, value in recall)
    table = Table(
        name="classes", caption="c", columns=("layer", "method", "class", "recall"), rows=rows
    )
    return ("layer_prediction", {"samples": 9}, Measurement(metrics={}, tables=(table,)))


def test_what_all_records_hold_is_compared_and_what_some_lack_is_named():
    before = lens([("cat", 0.9), ("dog", 0.8), ("owl", 0.7)])
    after = lens([("cat", 0.9), ("dog", 0.8), ("owl", 0.2)])
    old, new = record("1", seed=1, extra=[before]), record("2", seed=2, extra=[after])
    references = [record(f"r{k}", seed=50 + k, extra=[before]) for k in range(9)]

    found = compare(old, new, references)
    lacking = compare(old, new, REFERENCES)

    (change,) = [item for item in found.changes if item.name == "lens"]
    assert change.value == pytest.approx(0.5)
    assert change.drives
    assert found.verdict == "DRIFT"
    assert ("b", "owl", 0.7, 0.2) in [row[:4] for row in found.table("lens").rows]
    assert "lens" not in [item.name for item in lacking.changes]
    assert "layer_prediction is missing from 9 of 11 records" in " ".join(lacking.notes)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"classes": ("dog", "cat", "owl")}, "classes dog, cat, owl"),
        ({"classes": ("cat", "dog", "bat")}, "classes cat, dog, bat"),
        ({"digest": "sha256:w"}, "validation images sha256:w"),
        ({"parameters": {**PARAMETERS, "steps": 8}}, "'steps': 8"),
        ({"about_maps": False}, "holds no explanation_maps"),
    ],
)
def test_what_cannot_be_compared_is_refused_wherever_it_stands(changed, said):
    odd = record("9", **changed)

    for call in (
        lambda: compare(OLD, odd, REFERENCES),
        lambda: compare(OLD, OTHER, [*REFERENCES, odd]),
        lambda: compare(OLD, OTHER, first=odd),
    ):
        with pytest.raises(EvidenceError, match=re.escape(said)):
            call()


def test_another_seed_another_schema_and_failed_evidence_are_refused():
    (plain, maps) = OTHER.evidence
    seeded = replace(OTHER, evidence=(plain, replace(maps, seed=5)))
    failed = replace(maps, measurement=None, failure=Failure(kind="X", message="no gradient"))

    with pytest.raises(EvidenceError, match="with seed 5"):
        compare(OLD, seeded)
    with pytest.raises(EvidenceError, match="schema 1"):
        compare(OLD, replace(OTHER, schema=1))
    with pytest.raises(EvidenceError, match="no gradient"):
        compare(OLD, replace(OTHER, evidence=(plain, failed)))


def test_a_version_is_not_compared_with_itself_nor_tested_against_itself():
    twin = record("twin", seed=3, weights=OTHER.identity.digest)

    with pytest.raises(EvidenceError, match=r"new .*is old itself"):
        compare(OLD, OLD)
    with pytest.raises(EvidenceError, match=r"reference 2 .*is new itself"):
        compare(OLD, OTHER, [REFERENCES[0], OTHER])
    with pytest.raises(EvidenceError, match=r"reference 1 .*has the weights of new"):
        compare(OLD, OTHER, [twin])


def test_all_reasons_are_told_at_once():
    with pytest.raises(EvidenceError) as refused:
        compare(OLD, record("9", digest="sha256:w", about_maps=False), [OLD])

    assert len(refused.value.problems) == 3


def test_a_damaged_map_is_refused():
    (plain, maps) = OTHER.evidence
    table = maps.measurement.tables[0]
    for wrong, said in (("@@@", "base64"), ("AAAA", "bytes are accepted")):
        rows = ((*table.rows[0][:6], wrong, *table.rows[0][7:]), *table.rows[1:])
        measurement = replace(maps.measurement, tables=(replace(table, rows=rows),))
        broken = replace(OTHER, evidence=(plain, replace(maps, measurement=measurement)))
        with pytest.raises(EvidenceError, match=said):
            compare(OLD, broken)


def test_a_statistic_that_does_not_exist_is_refused():
    with pytest.raises(AnalysisError, match="'ssim' is none; accepted are rank, top"):
        compare(OLD, OTHER, terms=DriftTerms(statistics=("ssim",)))
    with pytest.raises(AnalysisError, match=r"\[drift.regions\] is needed"):
        compare(OLD, OTHER, terms=DriftTerms(statistics=("region",)))


def flat(rows):
    """Maps without any order on some images."""
    maps = version_of(OLD).maps.copy()
    maps[list(rows)] = 0
    return maps


def test_versions_that_no_image_tells_anything_about_are_not_compared():
    empty = flat(range(IMAGES))
    blind = [record(name, maps=empty, again=empty[:12]) for name in ("1", "2")]

    with pytest.raises(EvidenceError, match="has a map on 0 of 60 images"):
        compare(*blind, terms=DriftTerms(tolerance=0.1))
    with pytest.raises(EvidenceError, match="has a map on 1 of 60 images"):
        compare(*(record(name, maps=flat(range(1, IMAGES)), again=empty[:12]) for name in "12"))


def test_images_without_a_map_under_any_version_do_not_dilute_the_distance():
    half = range(30, IMAGES)
    old, new = record("1", maps=flat(half)), record("2", maps=flat(half)[::-1][::-1].copy())
    moved = record("2", maps=np.concatenate([flat(half)[:30, ::-1], flat(half)[30:]]))

    found = compare(old, moved)

    naive = rank_distance(ranked(flat(half)[:30]), ranked(flat(half)[:30, ::-1])).mean()
    assert found.distance == pytest.approx(naive, abs=1e-3)
    assert found.equivalence.n == 30
    assert found.notes[0].startswith("30 of 60 images are left out")
    assert compare(old, new).distance == 0


def test_a_version_that_stopped_looking_is_far_from_one_that_did():
    empty = flat(range(IMAGES))

    found = compare(OLD, record("2", maps=empty, again=empty[:12]), terms=DriftTerms(tolerance=0.5))

    assert found.distance == 1
    assert found.verdict == "DRIFT"


def test_four_images_explained_twice_cannot_tell_identity():
    few = scattered(version_of(OLD).maps, 0.02, [1, 1])[:4]
    one, other = (record(name, seed=1, again=few) for name in "12")

    assert compare(one, other).identity.outcome == "open"


def test_the_same_records_give_the_same_comparison():
    assert compare(OLD, OTHER, REFERENCES) == compare(OLD, OTHER, REFERENCES)


def test_a_statistic_that_the_terms_name_and_nobody_measured_is_never_equivalence():
    quiet = record("2", seed=1, maps=scattered(version_of(OLD).maps, 0.01, 4))
    asked = DriftTerms(tolerance=0.1, statistics=("rank", "lens"))

    found = compare(OLD, quiet, terms=asked)

    assert compare(OLD, quiet, terms=DriftTerms(tolerance=0.1)).verdict == "EQUIVALENT"
    assert (found.verdict, found.unmeasured) == ("INCONCLUSIVE", ("lens",))
    assert "lens" in " ".join(found.reasons)
    assert to_measurement(found).metrics["drifted"] is None
    assert to_measurement(compare(OLD, OTHER, terms=asked)).metrics["drifted"] == 1


def test_maps_of_other_images_of_the_set_are_refused():
    found = record("2", seed=2)
    maps = next(item for item in found.evidence if item.analysis == "explanation_maps")
    first, *others = maps.measurement.tables
    rows = tuple((row[0] + 1, *row[1:]) for row in first.rows)
    shifted = replace(maps.measurement, tables=(replace(first, rows=rows), *others))
    evidence = tuple(
        replace(item, measurement=shifted) if item is maps else item for item in found.evidence
    )

    with pytest.raises(EvidenceError, match="other images of the set"):
        compare(OLD, replace(found, evidence=evidence))
