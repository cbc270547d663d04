"""What is said where there was nothing to measure."""

import numpy as np

from governance.methods.missing import missing, one_answer


def test_a_note_names_every_missing_metric_and_the_reason():
    assert missing(["a"], "there is no b") == "Missing: a, since there is no b."
    assert missing(["a", "b", "c"], "d") == "Missing: a, b and c, since d."


def test_one_answer_for_all_images_is_told_from_several():
    names = ("cat", "dog")

    assert one_answer(np.array([1, 1, 1]), names) == "all 3 images are answered with class dog"
    assert one_answer(np.array([0]), names) == "the only image is answered with class cat"
    assert one_answer(np.array([0, 1]), names) is None
