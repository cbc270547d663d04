"""Effects of silencing add up, in whatever parts they are measured."""

import numpy as np
import pytest

from governance.errors import AnalysisError
from governance.methods.filter_ablation.silencing import Effects, merged


def effects(images, seed):
    rng = np.random.default_rng(seed)
    size = (len(images), 2)
    return Effects(
        filters=(("conv", (0,)), ("conv", (1,))),
        images=np.array(images),
        dloss=rng.normal(size=size),
        dp_true=rng.normal(size=size),
        flip=rng.random(size) < 0.5,
    )


def test_parts_merge_to_the_same_whatever_their_order():
    one, other = effects([0, 4, 7], 0), effects([2, 3], 1)
    for found in (merged([one, other]), merged([other, one])):
        assert found.images.tolist() == [0, 2, 3, 4, 7]
        assert (found.dloss[[0, 3, 4]] == one.dloss).all()
        assert (found.flip[[1, 2]] == other.flip).all()


def test_parts_that_overlap_or_differ_are_refused():
    with pytest.raises(AnalysisError, match="occurs twice"):
        merged([effects([0, 1], 0), effects([1, 2], 1)])
    other = effects([5], 0)
    different = Effects(
        filters=(("conv", (0,)), ("conv", (2,))), images=other.images, dloss=other.dloss,
        dp_true=other.dp_true, flip=other.flip,
    )  # fmt: skip
    with pytest.raises(AnalysisError, match="these differ"):
        merged([effects([0], 0), different])
