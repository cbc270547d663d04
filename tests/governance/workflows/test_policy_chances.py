"""Chances as `policy check` says them: of the right images, with the right good and bad models."""

import pytest

from governance.methods.statistics.acceptance import none_short, share_passes, worst_passes
from governance.records.identity import ValidationIdentity
from governance.records.policy import Policy
from governance.workflows.orchestration import judged_by
from governance.workflows.policy_chances import chances, often


def policy(*expectations, extra=""):
    head = f'title = "T"\n[validation]\ndata = "x"\n{extra}\n'
    return judged_by(
        Policy.loads(head + "".join(f"[[expectations]]\n{item}\n" for item in expectations),
                     where="p")
    )  # fmt: skip


def images(*counts):
    names = tuple(f"c{place}" for place in range(len(counts)))
    return ValidationIdentity(
        location="x", digest="", images=sum(counts), class_names=names, class_counts=counts
    )


def of(metric, found):
    (chance,) = [item for item in found if item.expectation.metric == metric]
    return chance


def test_accuracy_is_reckoned_on_all_images_with_three_quarters_and_half_more_of_the_errors():
    asked = policy('metric = "performance.accuracy"\nat_least = 0.8\non = "interval"')

    found = of("performance.accuracy", chances(asked, images(100, 400)))

    assert found.passes == pytest.approx(share_passes(500, 0.85, 0.8, "interval"))
    assert found.slips == pytest.approx(share_passes(500, 0.7, 0.8, "interval"))
    assert "on the interval, 500 images: a model right on 0.850 of all images passes" in str(found)


def test_the_recall_of_a_class_is_reckoned_on_its_own_images():
    asked = policy('metric = "performance.recall.c1"\nat_least = 0.8')

    found = of("performance.recall.c1", chances(asked, images(100, 40)))

    assert found.passes == pytest.approx(share_passes(40, 0.85, 0.8))
    assert "40 images: a model right on 0.850 of class c1" in str(found)


def test_the_worst_class_is_reckoned_with_every_class_good_and_with_the_rarest_bad():
    asked = policy('metric = "performance.recall_worst"\nat_least = 0.8')

    found = of("performance.recall_worst", chances(asked, images(50, 40, 60)))

    assert found.passes == pytest.approx(worst_passes([50, 40, 60], [0.85] * 3, 0.8))
    assert found.slips == pytest.approx(worst_passes([50, 40, 60], [0.85, 0.7, 0.85], 0.8))
    assert "3 classes of 40 to 60 images" in str(found)


def test_the_figures_of_the_issue_are_said():
    asked = policy('metric = "performance.recall_worst"\nat_least = 0.8')

    said = str(of("performance.recall_worst", chances(asked, images(*[50] * 10))))

    assert said == (
        "performance.recall_worst at least 0.8, 10 classes of 50 images: a model with a recall of "
        "0.850 in every class passes 27.9 % of the time, one with 0.700 in one class 2.5 % of the "
        "time. It takes 280 images of each class for the first to pass 90 % of the time."
    )


def test_classes_that_fall_short_are_reckoned_at_the_recall_that_the_policy_asks():
    asked = policy(
        'metric = "performance.classes_short"\nat_most = 0',
        extra="[analyses.performance]\nclass_recall = 0.85",
    )

    found = of("performance.classes_short", chances(asked, images(*[50] * 10)))

    assert found.passes == none_short([50] * 10, [0.85] * 10, 0.85) > 0.95
    assert found.slips == pytest.approx(none_short([50] * 10, [0.7, *[0.85] * 9], 0.85))
    assert found.needed == (
        "It takes 120 images of each class for the second to be refused 90 % of the time."
    )


def test_no_model_passes_where_the_images_could_not_show_that_a_class_falls_short():
    # Of 0.05 even 30 wrong answers are no proof: the metric is missing, and no verdict approves.
    asked = policy(
        'metric = "performance.classes_short"\nat_most = 0',
        extra="[analyses.performance]\nclass_recall = 0.05",
    )

    found = of("performance.classes_short", chances(asked, images(30, 30)))

    assert (found.passes, found.slips) == (0.0, 0.0)
    assert "of each class for the second to be refused" in found.needed


def test_balanced_accuracy_and_the_gain_of_other_preprocessings_are_reckoned_too():
    asked = policy(
        'metric = "performance.balanced_accuracy"\nat_least = 0.8',
        'metric = "preprocessing_check.best_alternative_gain"\nat_most = 0.05',
    )

    found = chances(asked, images(*[50] * 10))

    assert of("performance.balanced_accuracy", found).passes > 0.99
    assert 0 < of("preprocessing_check.best_alternative_gain", found).passes < 1
    # It comes with the analysis: a false alarm once in twenty at most.
    assert of("preprocessing_check.better_alternatives", found).passes > 0.95


def test_what_is_no_share_of_images_is_left_out():
    asked = policy('metric = "performance.nll"\nat_most = 1.0')

    assert {item.expectation.metric for item in chances(asked, images(50, 50))} == {
        "preprocessing_check.better_alternatives"
    }


def test_a_class_without_images_leaves_what_is_said_of_all_classes_out():
    asked = policy('metric = "performance.recall_worst"\nat_least = 0.8')

    found = chances(asked, images(50, 0))

    assert "performance.recall_worst" not in {item.expectation.metric for item in found}


def test_a_bound_that_no_number_of_images_helps_is_said():
    asked = policy('metric = "performance.accuracy"\nat_least = 1.0\non = "interval"')

    said = str(chances(asked, images(50, 50))[0])

    assert "A million images are not enough for the first to pass 90 % of the time." in said


@pytest.mark.parametrize(
    ("chance", "said"),
    [(0.0, "less than 0.1 %"), (0.5, "50 %"), (0.99999, "more than 99.9 %")],
)
def test_chances_are_no_finer_than_a_reader_can_use(chance, said):
    assert often(chance) == f"{said} of the time"
