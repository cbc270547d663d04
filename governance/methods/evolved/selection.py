"""Selection: which validation images are looked at one by one, by rule and never by hand."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["RULES", "Choice", "choose"]

RULES = ("worst", "borderline", "best", "random")


class Choice(NamedTuple):
    """A validation image and the rule that chose it."""

    image: int
    rule: str


def choose(
    predictions: NDArray[np.float32],
    labels: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
) -> list[Choice]:
    """Images by four rules in turn, one true class after the other, none twice.

    Worst is the lowest probability of the true class, borderline the smallest lead of the first
    class over the second, best the highest probability of the true class, random by `rng`.

    Args:
        predictions: (N, K) probabilities.
        labels: (N,) true classes.
        count: Images wanted; fewer where there are fewer.
        rng: Source of the random rule and of the order of the classes.
    """
    true = predictions[np.arange(len(labels)), labels]
    top = np.sort(predictions, axis=1)
    merit = {
        "worst": true,
        "borderline": top[:, -1] - top[:, -2],
        "best": -true,
        "random": rng.random(len(labels)),
    }
    classes = rng.permutation(np.unique(labels))
    chosen: list[Choice] = []
    free = np.ones(len(labels), dtype=np.bool_)
    turn = 0
    while len(chosen) < min(count, len(labels)):
        rule = RULES[turn % len(RULES)]
        # Every rule goes through all classes, each from a start of its own: even over both.
        start = turn % len(RULES) * -(-len(classes) // len(RULES))
        label = classes[(start + turn // len(RULES)) % len(classes)]
        turn += 1
        members = np.flatnonzero(free & (labels == label))
        if len(members):
            image = int(members[merit[rule][members].argmin()])
            free[image] = False
            chosen.append(Choice(image, rule))
    return chosen
