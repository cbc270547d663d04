import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from governance.errors import SubjectError
from governance.subject.images.table import DEVIATIONS, classes, survey
from governance.subject.images.validation_set import ValidationSet


def validation_of(images, labels, class_names=("a", "b"), hashes=None):
    return ValidationSet(
        location="memory",
        images=images,
        labels=np.asarray(labels, dtype=np.int64),
        class_names=class_names,
        ids=tuple(f"i{index}" for index in range(len(labels))),
        hashes=hashes or tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in images),
        digest="sha256:0",
    )


def noise(n, side=16, seed=0, low=40, high=200):
    return list(np.random.default_rng(seed).integers(low, high, (n, side, side), dtype=np.uint8))


@given(image=arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
@settings(max_examples=40, deadline=None)
def test_a_row_holds_what_the_formulas_say(image):
    row = survey(validation_of([image, image], [0, 1])).iloc[0]

    height, width = image.shape
    luma = image.astype(float)
    padded = np.pad(luma, 1, mode="symmetric")
    laplacian = np.array(
        [
            [
                padded[y, x + 1] + padded[y + 2, x + 1] + padded[y + 1, x] + padded[y + 1, x + 2]
                - 4 * padded[y + 1, x + 1]
                for x in range(width)
            ]
            for y in range(height)
        ]
    )  # fmt: skip
    shares = [np.mean(image == level) for level in np.unique(image)]
    assert (row["height"], row["width"], row["mode"]) == (height, width, "grey")
    assert row["mean"] == pytest.approx(luma.mean() / 255)
    assert row["std"] == pytest.approx(luma.std() / 255)
    assert row["entropy"] == pytest.approx(-sum(p * np.log2(p) for p in shares), abs=1e-9)
    if len(np.unique(image)) == 1:
        assert np.isnan(row["sharpness"])
    else:
        assert row["sharpness"] == pytest.approx(laplacian.var() / luma.var())


def test_brightness_of_colour_is_what_the_eye_weighs():
    green = np.zeros((4, 4, 3), dtype=np.uint8)
    green[..., 1] = 255

    table = survey(validation_of([green, green[..., ::-1]], [0, 1]))

    assert table["mean"].tolist() == pytest.approx([0.587, 0.587], abs=0.003)
    assert table["mode"].tolist() == ["rgb", "rgb"]


def test_every_image_is_decoded_once_and_in_turn():
    class Counted(list):
        asked = ()

        def __getitem__(self, index):
            self.asked = (*self.asked, index)
            return super().__getitem__(index)

    images = Counted(noise(5))
    validation = validation_of(images, [0, 1, 0, 1, 0], hashes=tuple("abcde"))

    survey(validation)

    assert images.asked == (0, 1, 2, 3, 4)


def test_all_undecodable_images_are_named_after_the_last_was_tried():
    class Damaged(list):
        def __getitem__(self, index):
            if index % 2:
                raise SubjectError(f"image {index} is damaged")
            return super().__getitem__(index)

    images = Damaged(noise(60))
    validation = validation_of(images, [0, 1] * 30, hashes=tuple(map(str, range(60))))

    with pytest.raises(SubjectError) as caught:
        survey(validation)

    assert caught.value.problems[0] == "image 1 is damaged"
    assert len(caught.value.problems) == 30
    assert caught.value.printed[-1] == "and 10 more problems"


def test_copies_are_counted_with_their_labels():
    images = noise(6)
    images[3] = images[0]
    images[5] = images[0]
    images[4] = images[1]

    table = survey(validation_of(images, [0, 0, 1, 0, 0, 1]))

    assert table["copies"].tolist() == [3, 2, 1, 3, 2, 3]
    assert table["copy_labels"].tolist() == [2, 1, 1, 2, 1, 2]


def test_near_duplicates_are_counted_by_content_and_label():
    images = [np.kron(image, np.ones((4, 4), np.uint8)) for image in noise(40, side=8)]
    images[7] = np.clip(images[2].astype(int) + 9, 0, 255).astype(np.uint8)
    images[9] = images[2]  # a copy is no content of its own
    labels = [0] * 40
    labels[7] = 1

    table = survey(validation_of(images, labels))

    group = table[table["near_contents"] > 1]
    assert group.index.tolist() == [2, 7, 9]
    assert group["near_contents"].tolist() == [2, 2, 2]
    assert group["near_labels"].tolist() == [2, 2, 2]
    assert len(set(group["near_group"])) == 1
    assert (table["near_labels"] == 1).sum() == 37


def test_what_is_usual_in_the_set_is_not_unusual():
    images = noise(60)
    images[0] = np.asarray(Image.fromarray(images[0]).resize((4, 4)).resize((16, 16)))
    images[1] = images[1] // 20
    images[2] = 255 - images[2] // 20
    images[3] = np.tile(images[3], (4, 4))

    table = survey(validation_of(images, [0, 1] * 30))

    def beyond(column):
        return table.index[table[column].abs() > DEVIATIONS].tolist()

    assert beyond("sharpness_deviation") == [0]
    assert beyond("brightness_deviation") == [1, 2]
    assert beyond("pixels_deviation") == [3]


def test_a_set_too_small_to_know_what_is_usual_has_no_deviations():
    table = survey(validation_of(noise(29), [0, 1] * 14 + [0]))

    assert table[["sharpness_deviation", "brightness_deviation"]].isna().all(axis=None)


def test_a_label_out_of_range_has_no_class():
    table = survey(validation_of(noise(3), [0, 5, -1]))

    assert table["class"].tolist() == ["a", None, None]


def test_absent_classes_have_a_row_of_their_own():
    table = pd.DataFrame({"class": ["a", "a", "b", "a"]})

    found = classes(table, ("a", "b", "c"))

    assert found["id"].tolist() == ["a", "b", "c"]
    assert found["images"].tolist() == [3, 1, 0]
    assert found["share"].tolist() == [0.75, 0.25, 0.0]
    assert found["of_even_share"].tolist() == pytest.approx([2.25, 0.75, 0.0])
