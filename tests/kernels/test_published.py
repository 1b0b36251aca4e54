"""Figures are sums of a path's rows over plans and periods."""

import numpy as np

from kernels.dtypes import PERIOD_ROW
from kernels.published import window_sums


def test_a_figure_sums_its_column_over_plans_and_periods() -> None:
    rows = np.zeros((4, 2), PERIOD_ROW)
    rows["members"] = [[1, 10], [2, 20], [3, 30], [4, 40]]
    rows["share"] = [[0.5, 9], [0.25, 9], [0.125, 9], [1, 9]]
    plans = np.array([[True, True], [True, False], [False, True]])
    windows = np.array([[1, 1], [0, 2], [2, 3]])
    found = window_sums(rows, ("members", "share", "members"), plans, windows)
    np.testing.assert_array_equal(found, [22, 0.875, 70])
