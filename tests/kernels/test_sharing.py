"""Rules share a period's benefits to the last digit, each as its formula says."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import sharing
from kernels.sharing import Cells
from tests import oracles_sharing as oracles

RULES = {
    "equal": sharing.EQUAL,
    "table": sharing.TABLE,
    "expected": sharing.EXPECTED,
    "linear": sharing.LINEAR,
    "minimum_variance": sharing.MINIMUM_VARIANCE,
    "conditional_mean": sharing.CONDITIONAL_MEAN,
    "pooled_bands": sharing.POOLED_BANDS,
}
each_rule = pytest.mark.parametrize("rule", RULES)
EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True, database=None)

# Sums over at most 10 members or cells of doubles: some 100 roundings of 2**-53.
ROUNDING = 1e-13
# An inversion adds up to about 1000 frequencies of modulus 1 and divides by a probability that is
# 0.01 or more under the tilted law: 1000 * 1e-16 / 0.01.
INVERSION = 1e-11

Array = npt.NDArray[Any]


def cells(
    count: Sequence[int],
    probability: Sequence[float],
    benefit: Sequence[float],
    severity: dict[float, float] | None = None,
    **more: Sequence[float],
) -> Cells:
    """Set up cells; `severity` is fraction -> probability."""
    size = len(count)
    severity = severity or {1.0: 1.0}
    return Cells(
        count=np.array(count, np.int64),
        probability=np.array(probability, np.float64),
        benefit=np.array(benefit, np.float64),
        weight=np.array(more.get("weight", np.ones(size)), np.float64),
        band=np.array(more.get("band", np.zeros(size)), np.int64),
        claims=np.array(more.get("claims", np.zeros(size)), np.float64),
        severity=np.array(list(severity.values()), np.float64),
        fraction=np.array(list(severity), np.float64),
    )


def share(rule: str, pool: Cells, total: float, quota: float = 0.0) -> Array:
    contribution = np.full(pool.count.size, np.nan)
    sharing.contributions(RULES[rule], pool, quota, total, contribution)
    return contribution


def inverted(pool: Cells, total: float, theta: float) -> tuple[bool, Array]:
    contribution = np.full(pool.count.size, np.nan)
    done = sharing.conditional_mean_by_inversion(pool, total, theta, contribution)
    return bool(done), contribution


def at_saddle_point(pool: Cells, total: float) -> Array:
    contribution = np.full(pool.count.size, np.nan)
    theta = sharing.saddle_point(pool, total)
    sharing.conditional_mean_by_saddle_point(pool, total, theta, contribution)
    return contribution


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

SEVERITY = {Fraction(1): Fraction(3, 4), Fraction(1, 2): Fraction(1, 4)}
PEOPLE = [(3, Fraction(1, 16), 2), (2, Fraction(1, 4), 4), (2, Fraction(1, 2), 10)]
LOSSES = [[0, 0, 2], [4, 0], [0, 5]]


def small_pool() -> tuple[Cells, list[oracles.Law]]:
    """Give seven members as three cells and as a law each."""
    pool = cells(
        [count for count, _, _ in PEOPLE],
        [float(p) for _, p, _ in PEOPLE],
        [benefit for _, _, benefit in PEOPLE],
        {float(part): float(chance) for part, chance in SEVERITY.items()},
        claims=[float(sum(losses)) for losses in LOSSES],
    )
    members = [
        oracles.law(p, benefit, SEVERITY) for count, p, benefit in PEOPLE for _ in range(count)
    ]
    return pool, members


def firsts(members: Sequence[Fraction]) -> list[float]:
    """Pick one member of each cell; all of a cell must be alike."""
    found, start = [], 0
    for count, _, _ in PEOPLE:
        assert len(set(members[start : start + count])) == 1
        found.append(float(members[start]))
        start += count
    return found


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


# Conditional mean


def attainable(members: Sequence[oracles.Law]) -> list[int]:
    return [total for total, chance in oracles.sum_of(members).items() if chance > 0]


def test_conditional_mean_is_that_of_all_that_can_happen() -> None:
    pool, members = small_pool()
    for total in sorted(attainable(members)):
        slow = firsts(oracles.conditional_mean(members, total))
        got = share("conditional_mean", pool, float(total))
        assert got == pytest.approx(slow, rel=INVERSION, abs=INVERSION), total


def test_the_convolution_of_the_oracle_is_the_enumeration() -> None:
    _, members = small_pool()
    assert oracles.conditional_mean(members, 11) == oracles.conditional_mean_by_enumeration(
        members, 11
    )


laws = st.tuples(st.integers(0, 3), st.integers(0, 16), st.sampled_from([0, 1, 2, 3, 5]))


@EXAMPLES
@given(people=st.lists(laws, min_size=1, max_size=4), data=st.data())
def test_conditional_mean_is_exact_in_any_small_pool(
    people: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    severity = {Fraction(1): Fraction(1)}
    each = [oracles.law(Fraction(p, 16), benefit, severity) for _, p, benefit in people]
    members = [one for (n, _, _), one in zip(people, each, strict=True) for _ in range(n)]
    total = data.draw(st.sampled_from(sorted(attainable(members))))
    slow = iter(oracles.conditional_mean(members, total))
    columns = zip(*people, strict=True)
    count, probability, benefit = (list(column) for column in columns)
    pool = cells(count, [p / 16 for p in probability], benefit)
    got = share("conditional_mean", pool, float(total))
    for (n, _, _), charge in zip(people, got, strict=True):
        for _ in range(n):
            assert charge == pytest.approx(float(next(slow)), rel=1e-9, abs=1e-9)


# Denuit 2019, "Size-biased transform and conditional mean risk sharing, with application to P2P
# insurance and tontines", example 6.1: four participants with compound Poisson losses, as restated
# in the documentation of the package `aggregate`. The parameters are the example's; the answers
# are not quoted, they come from the paper's formula by Panjer's recursion.
RATES = [0.08, 0.08, 0.10, 0.10]
LIGHT, HEAVY = [0.0, 0.1, 0.2, 0.4, 0.3], [0.0, 0.15, 0.25, 0.3, 0.3]
SEVERITIES = [LIGHT, HEAVY, LIGHT, HEAVY]


@pytest.mark.parametrize("total", [1, 2, 3, 4, 7, 12, 15])
def test_conditional_mean_of_denuits_compound_poisson_participants(total: int) -> None:
    # a participant is, for each size of claim, a million members who have it with rate / 10**6:
    # Poisson but for rate / 10**6 relative, and so are ratios of probabilities of <= 15 claims
    many = 10**6
    pool = cells(
        [many] * 16,
        [
            rate * f[k] / many
            for rate, f in zip(RATES, SEVERITIES, strict=True)
            for k in range(1, 5)
        ],
        [float(k) for _ in RATES for k in range(1, 5)],
    )
    got = many * share("conditional_mean", pool, float(total)).reshape(4, 4).sum(axis=1)
    slow = oracles.compound_poisson_mean(RATES, SEVERITIES, total)
    assert sum(slow) == pytest.approx(total, rel=1e-12)
    assert got == pytest.approx(slow, rel=1e-4)


def test_panjers_recursion_of_the_oracle_sums_to_one() -> None:
    assert sum(oracles.panjer(0.36, LIGHT, 60)) == pytest.approx(1, rel=1e-14)


def test_the_inversion_at_one_point_is_numpys_fft_of_the_whole_law() -> None:
    count, probability, benefit = [400, 300, 200], [0.01, 0.03, 0.02], [1.0, 3.0, 2.0]
    laws = [[1 - p, *([0.0] * (int(b) - 1)), p] for p, b in zip(probability, benefit, strict=True)]
    for total in (20, 39, 60):
        slow = oracles.conditional_mean_by_fft(count, laws, 2048, total)
        for theta in (0.0, sharing.saddle_point(cells(count, probability, benefit), total)):
            done, got = inverted(cells(count, probability, benefit), float(total), theta)
            assert done
            # the FFT of the oracle keeps 1e-16 beside a law whose mass here is 1e-4 or more
            assert got == pytest.approx(slow, rel=1e-10)


# 40 000 members for 100 000 yuan and 20 000 for 300 000 by age: 100 cases of 160 000 on average
YOUNG, OLD = (20_000, 0.0015), (40_000, 0.00175)
UNIT = 100_000.0
MEAN, DEVIATION = 160.0, np.sqrt(30 * 9 + 70)


def two_ages() -> Cells:
    return cells([OLD[0], YOUNG[0]], [OLD[1], YOUNG[1]], [UNIT, 3 * UNIT])


def exact(total: int) -> list[float]:
    """Give the contributions of the two ages, in yuan."""
    cases = oracles.two_kinds(OLD, YOUNG, 3, total)
    return [UNIT * cases / OLD[0], UNIT * (total - cases) / YOUNG[0]]


def away(deviations: float) -> int:
    return round(MEAN + deviations * float(DEVIATION))


@pytest.mark.parametrize("deviations", [-5, -2, 0, 2, 7, 12, 30])
def test_the_tilted_inversion_loses_no_digits_however_unlikely_the_total(deviations: int) -> None:
    total = away(deviations)
    theta = sharing.saddle_point(two_ages(), total * UNIT)
    done, got = inverted(two_ages(), total * UNIT, theta)
    assert done
    assert got == pytest.approx(exact(total), rel=INVERSION)


def test_the_untilted_inversion_loses_its_digits_beyond_seven_standard_deviations() -> None:
    done, near = inverted(two_ages(), away(2) * UNIT, 0.0)
    assert done
    assert near == pytest.approx(exact(away(2)), rel=INVERSION)
    done, far = inverted(two_ages(), away(10) * UNIT, 0.0)
    assert not done
    assert far != pytest.approx(exact(away(10)), rel=1e-3)


def test_the_saddle_point_is_the_tilt_under_which_the_total_is_expected() -> None:
    pool = two_ages()
    tilted, mean = np.empty((2, 1)), np.empty(2)
    assert abs(sharing.saddle_point(pool, MEAN * UNIT)) < 1e-15
    for total in (1.0, 0.5 * UNIT, 40 * UNIT, 1000 * UNIT, 50_000 * UNIT, 99_999.5 * UNIT):
        theta = sharing.saddle_point(pool, total)
        reached, _ = sharing.tilt(pool, theta, tilted, mean)
        assert reached == pytest.approx(total, rel=1e-11)
        assert pool.count @ at_saddle_point(pool, total) == pytest.approx(total, rel=ROUNDING)


@pytest.mark.parametrize("deviations", [-3, 2, 8])
def test_the_saddle_point_is_near_the_exact_answer_in_a_large_pool(deviations: int) -> None:
    # its relative error is of the order of 1 / cases
    got = at_saddle_point(two_ages(), away(deviations) * UNIT)
    assert got == pytest.approx(exact(away(deviations)), rel=0.01)


def test_a_zero_of_a_characteristic_function_can_be_divided_out() -> None:
    # a fair coin at frequency pi: 1/2 - 1/2; its modulus is made small instead
    wave = np.array([[0.0, 0.0], [0.0, 2.0]])
    factor = np.empty(6)
    sharing.set_factor(np.array([1]), np.array([0.5]), wave, 1, factor)
    assert factor[1] == 0.0
    assert np.exp(factor[0]) * factor[4] == pytest.approx(1.0, rel=ROUNDING)
    assert np.exp(factor[0]) < 1e-29


def test_coins_whose_characteristic_functions_nearly_vanish_are_shared_exactly() -> None:
    pool = cells([1, 2], [0.5, 0.25], [1.0, 1.0])
    severity = {Fraction(1): Fraction(1)}
    members = [oracles.law(Fraction(1, d), 1, severity) for d in (2, 4, 4)]
    slow = [float(x) for x in oracles.conditional_mean(members, 1)[:2]]
    done, got = inverted(pool, 1.0, 0.0)
    assert done
    assert got == pytest.approx(slow, rel=INVERSION)


@pytest.mark.parametrize(
    ("benefit", "total"),
    [
        ([1000.001, 3000.0], 3000.0),  # not in whole fen
        ([1e15, 3000.0], 3000.0),  # beyond whole doubles
        ([1000.0, 3000.0], 1500.0),  # between two points of the lattice
        ([3000.0, 5000.0], 4000.0),  # no claims add up to it
        ([100_000.01, 300_000.0], 3_000_000.0),  # too many frequencies
    ],
)
def test_what_cannot_be_inverted_is_shared_at_the_saddle_point(
    benefit: list[float], total: float
) -> None:
    pool = cells([4000, 2000], [0.01, 0.005], benefit)
    theta = sharing.saddle_point(pool, total)
    done, _ = inverted(pool, total, theta)
    assert not done
    assert list(share("conditional_mean", pool, total)) == list(at_saddle_point(pool, total))


def test_many_cells_with_many_frequencies_are_shared_at_the_saddle_point() -> None:
    benefit = [1000.0 + cell for cell in range(100)]
    pool = cells([1000] * 100, [0.01] * 100, benefit)
    total = 1_049_500.0
    assert not inverted(pool, total, sharing.saddle_point(pool, total))[0]
    assert pool.count @ share("conditional_mean", pool, total) == pytest.approx(total, rel=1e-12)


def test_without_any_benefit_there_is_no_lattice() -> None:
    assert not inverted(cells([2], [0.5], [0.0]), 1.0, 0.0)[0]


def test_a_good_period_without_claims_costs_nobody_anything() -> None:
    assert list(share("conditional_mean", two_ages(), 0.0)) == [0.0, 0.0]


def test_a_total_at_the_end_of_the_range_is_shared_like_it() -> None:
    pool = cells([2, 1, 1], [1.0, 0.5, 0.0], [1.0, 4.0, 9.0], {1.0: 0.5, 0.5: 0.5})
    # at least 2 * 0.5, at most 2 * 1 + 4
    assert list(share("conditional_mean", pool, 1.0)) == [0.5, 0.0, 0.0]
    assert list(share("conditional_mean", pool, 0.5)) == [0.25, 0.0, 0.0]
    assert list(share("conditional_mean", pool, 6.0)) == [1.0, 4.0, 0.0]
    assert list(share("conditional_mean", pool, 9.0)) == [1.5, 6.0, 0.0]


def test_a_bill_where_no_loss_is_possible_is_split_equally() -> None:
    assert list(share("conditional_mean", cells([1, 3], [0, 0], [1, 1]), 8.0)) == [2.0, 2.0]


def test_categories_that_cannot_happen_change_nothing() -> None:
    plain = cells([4, 3], [0.25, 1.0], [2.0, 1.0])
    padded = cells([4, 3], [0.25, 1.0], [2.0, 1.0], {1.0: 1.0, 0.7: 0.0})
    for rule in RULES:
        assert list(share(rule, padded, 7.0)) == list(share(rule, plain, 7.0))


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
