"""The saddle point makes a total the expected one, and is near E[X | S] in large pools."""

import numpy as np
import pytest

from kernels.saddle_point import saddle_point, tilt
from tests.kernels.sharers import MEAN, ROUNDING, UNIT, at_saddle_point, away, exact, two_ages


def test_the_saddle_point_is_the_tilt_under_which_the_total_is_expected() -> None:
    pool = two_ages()
    tilted, mean = np.empty((2, 1)), np.empty(2)
    assert abs(saddle_point(pool, MEAN * UNIT)) < 1e-15
    for total in (1.0, 0.5 * UNIT, 40 * UNIT, 1000 * UNIT, 50_000 * UNIT, 99_999.5 * UNIT):
        theta = saddle_point(pool, total)
        reached, _ = tilt(pool, theta, tilted, mean)
        assert reached == pytest.approx(total, rel=1e-11)
        assert pool.count @ at_saddle_point(pool, total) == pytest.approx(total, rel=ROUNDING)


@pytest.mark.parametrize("deviations", [-3, 2, 8])
def test_the_saddle_point_is_near_the_exact_answer_in_a_large_pool(deviations: int) -> None:
    # its relative error is of the order of 1 / cases
    got = at_saddle_point(two_ages(), away(deviations) * UNIT)
    assert got == pytest.approx(exact(away(deviations)), rel=0.01)
