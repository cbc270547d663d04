"""Rules: the version before is asked about through its record, and the answer is kept."""

from dataclasses import replace

import pandas as pd
import pytest
from bent import NAMES, Bent, coloured, inputs
from versions import record

from governance.drift import asked_before
from governance.drift.rules_asked import frame_of, rules_asked
from governance.methods.decision_rules import find_rules
from governance.methods.decision_rules.tables import boundary_table, image_table
from governance.methods.network import trace
from governance.records.evidence import Evidence, Measurement, Table
from governance.records.lineage import Lineage


class Colours:
    """As much of a subject as asking takes: images by their hash, and the network."""

    def __init__(self, images, model=None):
        self.images, self.model = images, model or Bent()
        self.returns, self.batch_size = "logits", 16
        self.validation = self.network = self
        self.hashes = [f"hash {place}" for place in range(len(images))]

    def pixels(self, places):
        return self.images[list(places)]

    def inputs(self, pixels):
        return pixels


@pytest.fixture(scope="module")
def asked():
    """A version with rules, and what it takes to ask another about them."""
    images = inputs(coloured()[0])
    colours = Colours(images)
    found = find_rules(trace(Bent(), images[:2]), [images], "stem", boundaries=30)
    tables = (boundary_table(found, NAMES), image_table(found, NAMES, colours.hashes))
    return with_rules(record("1"), tables), colours


def with_rules(version, tables, analysis="representative_interpretation"):
    evidence = Evidence(
        analysis=analysis, about="", parameters={}, seed=0, seconds=0.0, device="cpu",
        measurement=Measurement(metrics={}, tables=tables),
    )  # fmt: skip
    return replace(version, evidence=(*version.evidence, evidence))


def test_the_same_model_holds_every_rule(asked):
    previous, colours = asked
    tables, notes = rules_asked(colours, previous)
    assert notes == ()
    frame = frame_of(tables[0])
    assert len(frame) > 0
    assert frame["holds"].all()
    assert tables[1].rows == ()


def test_another_order_of_the_images_changes_no_answer(asked):
    previous, colours = asked
    turned = Colours(colours.images.flip(0))
    turned.hashes = colours.hashes[::-1]
    assert rules_asked(turned, previous) == rules_asked(colours, previous)


def test_images_that_are_missing_are_a_note_and_no_answer(asked):
    previous, colours = asked
    tables, (note,) = rules_asked(Colours(colours.images[:-1]), previous)
    assert tables == ()
    assert "1 of 180 recorded images are missing" in note


def test_a_version_without_rules_is_not_asked_about(asked):
    assert rules_asked(asked[1], record("1")) == ((), ())


def test_the_answer_is_found_again_where_it_was_given_about_that_version():
    # arrange
    old, rows = record("1"), Table(name="rules_asked", caption="", columns=("holds",),
                                   rows=((True,),))  # fmt: skip
    bare = with_rules(record("2"), (rows,), analysis="drift")
    new = replace(bare, baseline=Lineage(previous=old).baseline)
    # act, assert
    pd.testing.assert_frame_equal(asked_before(old, new), pd.DataFrame({"holds": [True]}))
    assert asked_before(record("3"), new) is None
    assert asked_before(old, bare) is None
