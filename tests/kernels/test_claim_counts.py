"""Numbers of cases by kind: members whose cases pay the same, their odds and their cases."""

import math

import numpy as np
import pytest
from scipy import stats

from kernels.cells import Cells
from kernels.claim_counts import (
    CaseCounts,
    Kinds,
    bound_cases,
    charge_by_cases,
    count_cases,
    find_kinds,
    set_case_weights,
    tilt_kinds,
)
from tests.kernels.sharers import ROUNDING, Array, cells


def counted(pool: Cells, theta: float, most: int) -> tuple[Kinds, CaseCounts]:
    """Give the kinds of a pool and the laws of their cases, up to so many."""
    kinds = find_kinds(pool)
    tilt_kinds(pool, kinds, theta)
    kinds.most[:] = most
    people, size = kinds.kind.size, most + 1
    counts = CaseCounts(
        np.empty((kinds.benefit.size, size)),
        np.empty((people, size)),
        np.empty((people, size)),
        np.empty(people, np.int64),
    )
    count_cases(pool, kinds, counts)
    return kinds, counts


def weights(count: int, odds: float, most: int) -> tuple[int, Array]:
    weight = np.full(most + 1, np.nan)
    return int(set_case_weights(count, odds, weight)), weight


def test_kinds_are_benefits_that_differ_and_who_cannot_have_a_loss_has_none() -> None:
    pool = cells([1, 2, 0, 3, 4, 5], [0.5, 0.0, 0.5, 0.5, 0.5, 0.5], [3, 9, 8, 7, 3, 0])
    kinds = find_kinds(pool)
    assert list(kinds.benefit) == [7.0, 3.0]
    assert list(kinds.member_cells) == [0, 3, 4]
    assert list(kinds.kind) == [1, 0, 1]


def test_odds_and_severities_are_tilted_and_a_category_without_pay_is_no_case() -> None:
    pool = cells([1, 1, 1], [0.5, 1.0, 1.0], [2.0, 2.0, 4.0], {1.0: 0.25, 0.5: 0.25, 0.0: 0.5})
    kinds = find_kinds(pool)
    tilt_kinds(pool, kinds, math.log(2.0))
    # a case of 2 weighs 4, one of 1 weighs 2; one of 4 weighs 16: p / 4 (4 + 2) over 1 - p / 2
    odds = [0.5 * 0.25 * 6 / 0.75, 0.25 * 6 / 0.5, 0.25 * 20 / 0.5]
    assert kinds.odds == pytest.approx(odds, rel=ROUNDING)
    assert kinds.severity == pytest.approx(
        np.array([[0.8, 0.2, 0.0], [2 / 3, 1 / 3, 0.0]]), rel=ROUNDING
    )


def test_a_certain_case_has_infinite_odds_and_one_beyond_the_doubles_large_ones() -> None:
    pool = cells([1, 1], [1.0, 0.5], [1.0, 2.0])
    kinds = find_kinds(pool)
    tilt_kinds(pool, kinds, 1e4)
    assert list(kinds.odds) == [math.inf, math.exp(700.0)]


def test_a_kind_has_no_more_cases_than_members_money_or_chance_allow() -> None:
    pool = cells([4, 10**6, 1, 10**9], [0.5, 0.5, 1.0, 1e-9], [10.0, 5.0, 5.0, 0.01])
    kinds = find_kinds(pool)
    tilt_kinds(pool, kinds, 0.0)
    cases, steps = bound_cases(pool, kinds, 100.0)
    assert cases == pytest.approx(4 * 0.5 + 10**6 * 0.5 + 1 + 1, rel=1e-9)
    # 4 members; 100 yuan / 5; one case expected: 1 + 12 + 30
    assert list(kinds.most) == [4, 20, 43]
    assert steps == 5 * 5 + 21 * 21 + 21 * 2 + 44 * 44


@pytest.mark.parametrize(
    ("count", "p", "most"), [(5, 0.3, 5), (5, 0.9, 9), (10**6, 1e-5, 60), (3000, 0.5, 3000)]
)
def test_the_cases_of_a_cell_are_binomial(count: int, p: float, most: int) -> None:
    last, weight = weights(count, p / (1 - p), most)
    law = stats.binom.pmf(np.arange(most + 1), count, p)
    # SciPy's own error is some 1e-12 with a million members
    assert weight == pytest.approx(law, rel=1e-9, abs=1e-24)
    assert weight[last] > 0
    assert not weight[last + 1 :].any()


def test_a_law_that_is_cut_is_that_given_the_cut() -> None:
    _, weight = weights(10, 1.0, 3)
    assert weight == pytest.approx(np.array([1, 10, 45, 120]) / 176, rel=ROUNDING)


def test_certain_cases_are_as_many_as_members_or_impossible() -> None:
    last, weight = weights(2, math.inf, 3)
    assert (last, list(weight)) == (2, [0.0, 0.0, 1.0, 0.0])
    last, weight = weights(4, math.inf, 3)
    assert (last, list(weight)) == (-1, [0.0] * 4)


def test_the_cases_of_a_kind_are_those_of_its_cells_together() -> None:
    pool = cells([3, 2, 4], [0.1, 0.5, 0.2], [7.0, 7.0, 9.0])
    kinds, counts = counted(pool, 0.0, 5)
    three, two, four = (
        stats.binom.pmf(np.arange(6), n, p) for n, p in ((3, 0.1), (2, 0.5), (4, 0.2))
    )
    assert counts.law[1] == pytest.approx(np.convolve(three, two)[:6], rel=1e-12)
    assert counts.law[0] == pytest.approx(four, rel=1e-12)
    assert counts.before[1] == pytest.approx(three, rel=1e-12)
    assert list(kinds.benefit) == [9.0, 7.0]


def test_members_are_charged_their_expected_cases_given_those_of_the_kind() -> None:
    pool = cells([1, 2, 1], [0.2, 0.5, 0.25], [6.0, 6.0, 4.0])
    kinds, counts = counted(pool, 0.0, 3)
    charge = np.full(3, np.nan)
    burden = np.zeros((2, 4))
    # one case of the first kind, for certain, at 6 yuan; none of the second
    burden[0, 1] = 6.0
    charge_by_cases(pool, kinds, counts, burden, 1.0, charge)
    one = 0.2 * 0.25
    other = 0.8 * 0.5
    assert charge == pytest.approx(
        [6 * one / (one + other), 3 * other / (one + other), 0.0], rel=1e-12
    )
