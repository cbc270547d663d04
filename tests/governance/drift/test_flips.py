"""Images whose answer changed: counted one by one, joined with reasons, drawn where they can be."""

from dataclasses import replace

import numpy as np
import pytest
import versions
from scipy import stats
from versions import CLASSES, IMAGES, record

from governance.drift import compare, to_measurement
from governance.drift.flips import SHOWN, showable
from governance.drift.pictures import pictures
from governance.errors import EvidenceError
from governance.methods.statistics.proportions import Paired
from governance.records.turned import Answers, turned

N = 90
PNG = b"\x89PNG"


def labels():
    """The first images are those that have maps."""
    return [CLASSES[place % len(CLASSES)] for place in range(N)]


def answered(wrong):
    """Class and answer of every image, wrong at some places in one of two ways."""
    return [
        (true, CLASSES[(CLASSES.index(true) + wrong.get(place, 0)) % len(CLASSES)])
        for place, true in enumerate(labels())
    ]


# Owls (every third place from 2) become worse; one image is wrong in another way.
BEFORE = {0: 1, 3: 1, 80: 1}
NOW = dict.fromkeys(range(2, N, 6), 1) | {80: 2, 4: 1}


def maps_on(answers):
    """Places among those with maps that are answered wrongly by one class."""
    return [place for place, step in answers.items() if place < IMAGES and step == 1]


@pytest.fixture(scope="module")
def comparison():
    old = record("1", seed=1, wrong=maps_on(BEFORE), whole=answered(BEFORE))
    new = record("2", seed=2, wrong=maps_on(NOW), whole=answered(NOW))
    return compare(old, new, versions.harmless(5))


def rows(comparison, name):
    table = comparison.table(name)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_every_class_has_its_newly_wrong_and_right_images_with_an_exact_test(comparison):
    # arrange: counted one by one
    before, now = answered(BEFORE), answered(NOW)
    expected = {}
    for name in ("all", *CLASSES):
        own = [place for place in range(N) if name in ("all", labels()[place])]
        old, new = (
            np.array([given == true for true, given in (one[p] for p in own)])
            for one in (before, now)
        )
        lost, won = int((old & ~new).sum()), int((~old & new).sum())
        p = stats.binomtest(lost, lost + won).pvalue if lost + won else 1.0
        expected[name] = (len(own), lost, won, new.mean() - old.mean(), p, Paired.of(new, old))
    # act
    found = {row["class"]: row for row in rows(comparison, "flips")}
    # assert
    assert list(found)[:2] == ["all", "owl"]
    for name, (n, lost, won, change, p, pair) in expected.items():
        row = found[name]
        assert (row["n"], row["newly_wrong"], row["newly_right"]) == (n, lost, won)
        assert row["change"] == pytest.approx(change)
        assert row["p"] == pytest.approx(p)
        assert (row["low"], row["high"]) == (pair.interval().low, pair.interval().high)
    assert found["owl"]["p_holm"] == pytest.approx(3 * expected["owl"][4])


def test_the_metrics_are_shares_of_all_images_with_intervals(comparison):
    measured = to_measurement(comparison)

    assert measured.metrics["newly_wrong_share"] == 15 / N
    assert measured.metrics["newly_right_share"] == 2 / N
    assert measured.metrics["classes_worse"] == 1
    assert measured.intervals["newly_wrong_share"].n == N
    assert any("Shown to be worse: class owl." in note for note in measured.notes)


def test_every_change_of_an_answer_is_listed_with_what_became_of_its_reason(comparison):
    # act
    listed = rows(comparison, "flipped_images")
    # assert
    before, now = answered(BEFORE), answered(NOW)
    places = [place for place in range(N) if before[place] != now[place]]
    assert sorted(row["place"] for row in listed) == places
    assert [row["kind"] for row in listed] == (
        ["newly wrong"] * 15 + ["newly right"] * 2 + ["wrong in another way"]
    )
    explained = {row["place"]: row for row in rows(comparison, "images")}
    for row in listed:
        place = row["place"]
        assert (row["class"], row["old"], row["new"]) == (*before[place], now[place][1])
        assert (row["image"], row["p_new"]) == (f"{place}.png", 0.5 + place / 1000)
        other = explained.get(place, {"distance": None, "moved": None})
        assert (row["distance"], row["moved"]) == (other["distance"], other["moved"])


def test_answers_and_reasons_are_crossed(comparison):
    # act
    crossed = {row["answer"]: row for row in rows(comparison, "flips_and_reasons")}
    # assert
    assert sum(row["images"] for row in crossed.values()) == N
    assert sum(row["with_maps"] for row in crossed.values()) == IMAGES
    right = [row for row in rows(comparison, "images") if row["both_right"]]
    assert crossed["right in both"]["with_maps"] == len(right)
    assert crossed["right in both"]["moved"] == sum(row["moved"] for row in right)
    assert crossed["newly wrong"]["images"] == 15


def test_confusions_are_counted_by_both_answers(comparison):
    found = rows(comparison, "flipped_confusions")
    assert found[0] == {"class": "owl", "old": "owl", "new": "cat", "images": 14}
    assert sum(row["images"] for row in found) == 18


@pytest.mark.slow
def test_images_that_turned_are_drawn_where_their_pixels_are_known(comparison):
    pixels = {place: np.full((1, 8, 8), 0.5, dtype=np.float32) for place in (2, 4, 8, 0, 50)}

    drawn = {figure.name: figure for figure in pictures(comparison, pixels)}

    assert drawn["newly_wrong"].image.startswith(PNG)
    assert "4 of 15 images" in drawn["newly_wrong"].caption
    assert "image 50.png of class owl, owl before and cat now" in drawn["newly_wrong"].seen
    assert "1 of 2 images" in drawn["newly_right"].caption
    assert "newly_wrong" not in {figure.name for figure in pictures(comparison)}
    assert SHOWN == 12


def test_without_the_answer_to_every_image_the_metrics_are_missing_and_say_why():
    # arrange: a record of before there were answers
    old = record("1", seed=1, wrong=(0, 3))
    new = record("2", seed=2, wrong=(4,), whole=answered({4: 1}))
    # act
    found = compare(old, new)
    measured = to_measurement(found)
    # assert
    assert [measured.metrics[name] for name in ("newly_wrong_share", "classes_worse")] == [None] * 2
    assert any("does not hold the answer to every image" in note for note in measured.notes)
    assert "Of 60 images with heat maps, 1 turned wrong and 2 turned right" in found.flips.words
    assert {row["kind"] for row in rows(found, "flipped_images")} == {"newly wrong", "newly right"}


def test_a_damaged_table_of_answers_is_refused():
    old = record("1", seed=1, whole=answered({}))
    broken = record("2", seed=2, whole=answered({}))
    table = broken.evidence[0].measurement.tables[0]
    first, *others = broken.evidence
    odd = replace(table, columns=("a", "b", "c", "d"), printed=())
    changed = replace(first, measurement=replace(first.measurement, tables=(odd,)))
    odd = replace(broken, evidence=(changed, *others))
    with pytest.raises(EvidenceError, match="damaged"):
        compare(old, odd)


def test_answers_to_other_images_are_told_of_no_image():
    other = [("cat", "cat")] * N
    found = compare(record("1", seed=1, whole=answered({})), record("2", seed=2, whole=other))
    assert found.flips is None
    assert to_measurement(found).metrics["classes_worse"] is None


@pytest.mark.parametrize(("images", "known"), [(5, False), (12, True)])
def test_classes_too_small_to_be_shown_worse_are_not_said_to_be_no_worse(images, known):
    labels = tuple(str(place // images) for place in range(100 * images))
    before, now = (
        Answers(labels=labels, given=given, confidence=(None,) * len(labels))
        for given in (labels, ("1",) * images + labels[images:])
    )

    found = turned(before, now)

    # All images of one class turned wrong: the strongest that there can be.
    assert any(item.p_holm <= 0.05 for item in found.classes) is known
    assert showable(found) is known
