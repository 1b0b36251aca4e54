"""Rules share a period's benefits to the last digit, each as its formula says."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.cells import Cells
from tests import oracles_sharing as oracles
from tests.kernels.sharers import (
    LOSSES,
    ROUNDING,
    RULES,
    UNIT,
    Array,
    away,
    cells,
    firsts,
    share,
    small_pool,
    two_ages,
)

each_rule = pytest.mark.parametrize("rule", RULES)
EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def means(pool: Cells) -> Array:
    expected = float(np.sum(pool.severity * pool.fraction))
    return np.array(pool.probability * pool.benefit * expected)


# The law of all rules

sixteenths = st.integers(0, 16).map(lambda k: k / 16)
parts = st.sampled_from([{1.0: 1.0}, {1.0: 0.75, 0.5: 0.25}, {0.0: 0.5, 1.0: 0.5}])


@st.composite
def pools(draw: st.DrawFn) -> Cells:
    size = draw(st.integers(1, 5))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=size, max_size=size))

    thousands = st.sampled_from([0.0, 1000.0, 2000.0, 5000.0, 1234.567, 3e5 / 7])
    count = column(st.integers(0, 12))
    return cells(
        [max(count[0], 1), *count[1:]],
        column(st.one_of(sixteenths, st.floats(1e-7, 1.0))),
        column(thousands),
        draw(parts),
        weight=column(st.one_of(st.just(0.0), st.floats(0.1, 10.0))),
        band=column(st.integers(0, 3)),
        claims=column(st.integers(0, 3).map(lambda k: 1000.0 * k)),
    )


@each_rule
@EXAMPLES
@given(pool=pools(), quota=st.floats(0.0, 1.0), more=st.sampled_from([0.0, 0.0, 1234.5, 1e6]))
def test_contributions_add_up_to_the_total(
    rule: str, pool: Cells, quota: float, more: float
) -> None:
    total = float(pool.claims.sum()) + more
    contribution = share(rule, pool, total, quota)
    assert not contribution[pool.count == 0].any()
    # a rule that adds and takes away means rounds beside them, not beside the total
    scale = total + float(pool.count @ means(pool))
    if rule == "minimum_variance":
        scale += float(pool.count @ abs(contribution))
    assert abs(pool.count @ contribution - total) <= 1e-9 * scale
    if rule not in ("linear", "minimum_variance", "pooled_bands"):
        assert (contribution >= 0).all()


@each_rule
def test_nobody_is_charged_where_nobody_is(rule: str) -> None:
    nobody = cells([0, 0], [0.1, 0.2], [1.0, 2.0])
    assert list(share(rule, nobody, 0.0)) == [0.0, 0.0]


@each_rule
def test_members_who_are_all_alike_are_charged_alike(rule: str) -> None:
    alike = cells([30, 50, 20], [0.01] * 3, [300.0] * 3, claims=[600.0, 0.0, 300.0])
    assert share(rule, alike, 900.0, quota=1.0) == pytest.approx([9.0] * 3, rel=ROUNDING)


# Shares in proportion


def test_equal_charges_everybody_the_same() -> None:
    assert list(share("equal", cells([3, 1], [0.1, 0.9], [1.0, 9.0]), 10.0)) == [2.5, 2.5]


def test_table_charges_by_weight() -> None:
    assert list(share("table", cells([3, 1], [0, 0], [0, 0], weight=[1, 2]), 10.0)) == [2.0, 4.0]
    assert list(share("table", cells([3, 1], [0, 0], [0, 0], weight=[0, 0]), 10.0)) == [2.5, 2.5]


def test_expected_charges_by_mean_loss() -> None:
    pool = cells([3, 1], [0.1, 0.2], [10.0, 10.0], {1.0: 0.5, 0.5: 0.5})
    assert share("expected", pool, 10.0) == pytest.approx([2.0, 4.0], rel=ROUNDING)
    assert list(share("expected", cells([3, 1], [0, 0], [1, 1]), 10.0)) == [2.5, 2.5]


# Linear and minimum-variance rules, member by member


@pytest.mark.parametrize("total", [0, 1, 11, 40])
def test_linear_is_the_mean_and_a_part_of_the_surprise(total: int) -> None:
    pool, members = small_pool()
    slow = firsts(oracles.linear(members, Fraction(total)))
    assert share("linear", pool, total) == pytest.approx(slow, rel=ROUNDING, abs=ROUNDING)


def test_linear_is_negative_in_a_very_good_period_and_left_so() -> None:
    assert share("linear", small_pool()[0], 0.0).min() < 0


def test_linear_splits_the_surprise_equally_where_no_loss_is_uncertain() -> None:
    assert list(share("linear", cells([1, 1], [1.0, 0.0], [4.0, 5.0]), 6.0)) == [5.0, 1.0]


def test_minimum_variance_is_the_matrix_of_the_members_times_their_losses() -> None:
    pool, members = small_pool()
    losses = [loss for cell in LOSSES for loss in cell]
    matrix = oracles.minimum_variance_matrix(members)
    slow = [
        sum((part * loss for part, loss in zip(row, losses, strict=True)), Fraction(0))
        for row in matrix
    ]
    got = share("minimum_variance", pool, float(sum(losses)))
    assert got == pytest.approx(firsts(slow), rel=ROUNDING)


def test_the_minimum_variance_matrix_is_fair_and_shares_every_loss() -> None:
    _, members = small_pool()
    matrix = oracles.minimum_variance_matrix(members)
    for row, member in zip(matrix, members, strict=True):
        assert sum(a * oracles.mean(b) for a, b in zip(row, members, strict=True)) == oracles.mean(
            member
        )
    assert {sum(column) for column in zip(*matrix, strict=True)} == {1}


def test_minimum_variance_leaves_certain_losses_out_and_is_equal_without_others() -> None:
    sure = cells([1, 2], [1.0, 0.0], [6.0, 1.0], claims=[6.0, 0.0])
    assert list(share("minimum_variance", sure, 6.0)) == [2.0, 2.0]
    odd = cells([1, 1], [1.0, 0.5], [6.0, 2.0], claims=[6.0, 2.0])
    # T / k = X_2 / mu_2 = 2: 8 / 2 + (6 - 3.5) 2 and 8 / 2 + (1 - 3.5) 2
    assert list(share("minimum_variance", odd, 8.0)) == [9.0, -1.0]


# How the rules differ


def test_with_one_common_benefit_the_rules_that_know_the_risk_nearly_coincide() -> None:
    pool = cells([3000, 2000, 1000], [0.001, 0.002, 0.004], [300.0] * 3)
    total = 300.0 * 20  # 11 cases expected, 2.7 standard deviations fewer
    expected = share("expected", pool, total)
    # they differ by the order of p, times the surprise
    assert share("conditional_mean", pool, total) == pytest.approx(expected, rel=0.005)
    assert share("linear", pool, total) == pytest.approx(expected, rel=0.005)


def test_with_benefits_by_age_expected_is_far_off_at_two_deviations_and_linear_is_near() -> None:
    # three cases of the large benefit in ten, as in MODEL section 4
    total = away(2) * UNIT
    fair = share("conditional_mean", two_ages(), total)
    off = abs(share("expected", two_ages(), total) / fair - 1).max()
    near = abs(share("linear", two_ages(), total) / fair - 1).max()
    assert 0.08 < off < 0.20
    assert near < 0.03


# Bands

FOUR: dict[str, Any] = {
    "band": [0, 0, 1, 1],
    "weight": [1.0, 3.0, 1.0, 1.0],
    "claims": [90.0, 10.0, 0.0, 40.0],
}


def test_with_quota_zero_every_band_pays_its_own_claims_by_weight() -> None:
    pool = cells([2, 1, 1, 3], [0.1] * 4, [10.0] * 4, **FOUR)
    assert list(share("pooled_bands", pool, 140.0, 0.0)) == [20.0, 60.0, 10.0, 10.0]


def test_with_quota_one_bands_pay_by_expected_cost() -> None:
    pool = cells([2, 1, 1, 3], [0.1, 0.1, 0.1, 0.1], [10.0, 10.0, 10.0, 10.0], **FOUR)
    # 140 by 3 : 4
    got = share("pooled_bands", pool, 140.0, 1.0)
    assert got == pytest.approx([12.0, 36.0, 20.0, 20.0], rel=ROUNDING)


def test_with_a_quota_between_bands_pay_a_part_of_both() -> None:
    pool = cells([2, 1, 1, 3], [0.1] * 4, [10.0] * 4, **FOUR)
    got = share("pooled_bands", pool, 140.0, 0.25)
    # 0.75 * 100 + 0.25 * 60 = 90 and 0.75 * 40 + 0.25 * 80 = 50
    assert got == pytest.approx([18.0, 54.0, 12.5, 12.5], rel=ROUNDING)


def test_bands_share_by_heads_where_nothing_is_expected_and_by_head_without_weights() -> None:
    still = {**FOUR, "weight": [0.0, 0.0, 1.0, 1.0]}
    pool = cells([2, 1, 1, 3], [0.0] * 4, [10.0] * 4, **still)
    assert share("pooled_bands", pool, 140.0, 1.0) == pytest.approx([20.0] * 4, rel=ROUNDING)


def test_what_a_band_without_members_would_pay_goes_to_the_pool() -> None:
    pool = cells([2, 1, 0, 0], [0.1] * 4, [10.0] * 4, **FOUR)
    assert share("pooled_bands", pool, 140.0, 0.0) == pytest.approx([28.0, 84.0, 0.0, 0.0])
