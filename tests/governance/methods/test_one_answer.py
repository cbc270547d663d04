"""Whether a model tells its images apart."""

import numpy as np

from governance.methods.one_answer import one_answer


def test_one_answer_for_all_images_is_told_from_several():
    names = ("cat", "dog")

    assert one_answer(np.array([1, 1, 1]), names) == "all 3 images are answered with class dog"
    assert one_answer(np.array([0]), names) == "the only image is answered with class cat"
    assert one_answer(np.array([0, 1]), names) is None
