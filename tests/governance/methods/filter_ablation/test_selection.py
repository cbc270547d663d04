"""Which filters are silenced together."""

import numpy as np

from governance.methods.filter_ablation.selection import correlated


def test_correlated_filters_form_groups_within_their_layer():
    matrix = np.eye(5)
    matrix[0, 3] = matrix[3, 0] = 0.95
    matrix[3, 4] = matrix[4, 3] = -0.92
    matrix[1, 2] = matrix[2, 1] = 0.5
    assert correlated([("a", matrix), ("b", np.eye(2))], 0.9) == [("a", (0, 3, 4))]
