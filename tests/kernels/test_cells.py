"""What the sharing rules have in common: moments of losses, and amounts split by weight."""

import numpy as np
import pytest

from kernels.cells import set_moments, split_in_proportion
from tests.kernels.sharers import ROUNDING, cells


def test_moments_are_those_of_a_loss_with_two_categories() -> None:
    pool = cells([1, 1], [0.5, 1.0], [4.0, 10.0], {1.0: 0.25, 0.5: 0.75})
    mean, variance = np.empty(2), np.empty(2)
    set_moments(pool, mean, variance)
    # 4 or 2 with 1/8 and 3/8: E = 1.25, E of squares = 3.5; 10 or 5 with 1/4 and 3/4
    assert mean == pytest.approx([1.25, 6.25], rel=ROUNDING)
    assert variance == pytest.approx([3.5 - 1.25**2, 43.75 - 6.25**2], rel=ROUNDING)


def test_a_certain_loss_has_no_variance_at_all() -> None:
    mean, variance = np.empty(2), np.empty(2)
    set_moments(cells([1, 1], [1.0, 1.0 - 2.0**-53], [7.0, 7.0]), mean, variance)
    assert variance[0] == 0.0
    assert variance[1] == pytest.approx(7.0**2 * 2.0**-53, rel=ROUNDING)


def test_an_amount_is_split_by_weight_and_by_heads_where_nobody_weighs_anything() -> None:
    count, split = np.array([2, 0, 3]), np.empty(3)
    split_in_proportion(count, np.array([1.0, 5.0, 2.0]), 16.0, split)
    assert list(split) == [2.0, 0.0, 4.0]
    split_in_proportion(count, np.zeros(3), 10.0, split)
    assert list(split) == [2.0, 0.0, 2.0]
