"""Class order: do a model's outputs stand in the order of the classes that they are held against?

A model whose outputs stand in another order than the class folders answers below chance, and raises
no error. Here the order that fits best is found on some images and tested on others.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from governance.methods.statistics.confusion import confusion
from governance.methods.statistics.proportions import Paired

__all__ = ["Reordering", "best_order", "reordered"]

#: Largest p-value at which another order counts as shown; it decides whether a policy is written.
SURE = 0.01
MOST = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reordering:
    """Another order of a model's outputs, held against the one that is given.

    Attributes:
        order: Output that stands for each class: (K,), as a tuple.
        given: Accuracy in the given order, on the images of the test.
        found: Accuracy in the order found.
        moved_right: Accuracy in the order found on images of classes whose output stands elsewhere.
        p: Exact McNemar test that neither is right more often.
    """

    order: tuple[int, ...]
    given: float
    found: float
    moved_right: float
    p: float

    @property
    def moved(self) -> tuple[int, ...]:
        """Classes whose output stands elsewhere."""
        return tuple(place for place, output in enumerate(self.order) if place != output)

    @property
    def shown(self) -> bool:
        """Whether the outputs are shown to stand in this other order.

        An untrained network too answers classes of its own choice more often than others, so that
        most images of the classes in question must be right in the order found.
        """
        return self.found > self.given and self.p < SURE and self.moved_right > MOST


def best_order(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The one-to-one assignment of outputs to classes with most right answers: (K,).

    Args:
        counts: (K, K) images by true class (row) and output (column).
    """
    # Half an image for the given order, which then wins where nothing speaks against it.
    favoured = counts + 0.5 * np.eye(len(counts))
    return np.asarray(linear_sum_assignment(favoured, maximize=True)[1], dtype=np.int64)


def reordered(
    named: NDArray[np.int64], labels: NDArray[np.int64], chosen: NDArray[np.bool_], classes: int
) -> Reordering:
    """The order that fits some images best, tested on the others.

    Args:
        named: (n,) answered class of each image.
        labels: (n,) its label.
        chosen: (n,) which images find the order; the others test it.
        classes: Number of classes, K.
    """
    order = best_order(confusion(labels[chosen], named[chosen], classes))
    asked, answer = labels[~chosen], named[~chosen]
    pair = Paired.of(answer == order[asked], answer == asked)
    elsewhere = order[asked] != asked
    moved_right = float((answer == order[asked])[elsewhere].mean()) if elsewhere.any() else 0.0
    return Reordering(
        order=tuple(int(output) for output in order),
        given=float((answer == asked).mean()),
        found=float((answer == order[asked]).mean()),
        moved_right=moved_right,
        p=pair.p_value(),
    )
