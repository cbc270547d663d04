"""Images chosen by rule: even over rules and classes, none twice."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.methods.evolved.selection import RULES, choose


def answers(n, k, seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(k), n).astype(np.float32)
    return p, rng.integers(0, k, n)


def test_each_rule_takes_the_extreme_of_its_class():
    # arrange
    p = np.array([[0.9, 0.1], [0.55, 0.45], [0.2, 0.8], [0.7, 0.3]], dtype=np.float32)
    labels = np.zeros(4, dtype=np.int64)
    # act
    chosen = choose(p, labels, 4, np.random.default_rng(0))
    # assert
    assert [(c.image, c.rule) for c in chosen] == [
        (2, "worst"), (1, "borderline"), (0, "best"), (3, "random"),
    ]  # fmt: skip


def test_rules_and_classes_are_even():
    p, labels = answers(600, 10, 0)
    chosen = choose(p, labels, 40, np.random.default_rng(1))
    pairs = Counter((c.rule, int(labels[c.image])) for c in chosen)
    assert set(pairs.values()) == {1}
    assert len(pairs) == 40


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(2, 7), st.integers(1, 80), st.integers(0, 99))
def test_no_image_is_chosen_twice_and_as_many_as_there_are(n, k, count, seed):
    p, labels = answers(n, k, seed)
    chosen = choose(p, labels, count, np.random.default_rng(seed))
    assert len({c.image for c in chosen}) == len(chosen) == min(n, count)
    assert {c.rule for c in chosen} <= set(RULES)
