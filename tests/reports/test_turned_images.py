"""Images that turned, in part D: counted from the record, drawn where it has pictures, escaped."""

from dataclasses import replace

import pytest

from governance.records.evidence import Figure, Measurement, Table
from reports.html import to_html
from reports.turned_images import turned_images

COLUMNS = ("class", "n", "newly_wrong", "newly_right", "p", "p_holm")
ROWS = (
    ("all", 1500, 72, 8, 5e-14, None),
    ("<b>8</b>", 150, 43, 1, 1e-12, 1e-11),
    ("0", 150, 4, 0, 0.125, 1.0),
)
ANSWERS = Table(
    name="answers", caption="Answers.", columns=("question", "outcome", "words"),
    rows=(("verdict", "INCONCLUSIVE", "Nothing is known."),),
)  # fmt: skip


@pytest.fixture
def compared(assessment):
    """The sample with a comparison, whose figure is as given."""

    def make(figures=(), withdrawn=(), rows=ROWS):
        table = Table(name="flips", caption="Turned.", columns=COLUMNS, rows=rows)
        found = Measurement(
            metrics={}, tables=(table, ANSWERS), figures=figures, withdrawn=withdrawn
        )
        drift = replace(assessment.evidence[0], analysis="drift", measurement=found)
        return replace(assessment, evidence=(*assessment.evidence, drift))

    return make


def test_part_d_says_how_many_turned_whether_it_is_chance_and_of_which_class_most_are(compared):
    found = turned_images(compared(), "class")

    assert found.text.startswith("Of 1,500 images, 72 turned wrong and 8 turned right.")
    assert "probability below 0.001 (McNemar's exact test)" in found.text
    assert "Most were lost by class “<b>8</b>”: 43 of its 150 images turned wrong." in found.text
    assert "<b>8" not in to_html(compared()).partition('id="turned"')[2].partition("</section>")[0]


def test_pictures_stand_in_part_d_and_not_again_in_the_annex(compared, assessment):
    image = assessment.evidence[0].measurement.figures[0].image
    figure = Figure(name="newly_wrong", caption="Newly wrong images.", image=image, seen="8")

    page = to_html(compared((figure,)))

    assert page.count("Newly wrong images.") == 1
    assert page.index("Newly wrong images.") < page.index('id="e"')


def test_without_a_comparison_that_may_be_relied_on_nothing_is_said(compared, assessment):
    assert turned_images(assessment, "class") is None
    assert turned_images(compared(withdrawn=("A/A failed.",)), "class") is None
    assert turned_images(compared(rows=()), "class") is None
