"""`conditional_mean` charges E[X | S]."""

import os
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.cells import Cells
from kernels.conditional_mean import (
    ABOVE,
    BELOW,
    BETWEEN,
    EXACT,
    LATTICE,
    SADDLE_POINT,
    largest_error,
    share_by_conditional_mean,
)
from kernels.saddle_point import saddle_point
from tests import oracles_sharing as oracles
from tests.kernels.sharers import (
    INVERSION,
    MEAN,
    RULES,
    UNIT,
    Array,
    at_saddle_point,
    cells,
    exact,
    firsts,
    share,
    small_pool,
    two_ages,
)

sixteenths = st.integers(0, 16).map(lambda k: k / 16)
EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def shared(pool: Cells, total: float) -> tuple[int, Array]:
    """Give the method that answered and the charges."""
    contribution = np.full(pool.count.size, np.nan)
    return int(share_by_conditional_mean(pool, total, contribution)), contribution


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


# Any benefits: against all sets of members who can have had a case

amounts = st.one_of(
    st.integers(1, 300_000).map(float),
    st.floats(1.0, 3e5),  # fractions of a fen
    st.sampled_from([50_021.0, 30_011.0, 100_000 / 3, 1e5]),
)
people = st.lists(
    st.tuples(st.one_of(sixteenths, st.floats(1e-7, 0.5)), amounts, st.booleans()),
    min_size=1,
    max_size=11,
).filter(lambda them: any(p > 0 for p, _, _ in them))


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(them=people)
def test_with_any_benefits_it_is_that_of_all_sets_of_members_who_can_have_had_a_case(
    them: list[tuple[float, float, bool]],
) -> None:
    claimed = [b for p, b, had in them if (had and p > 0) or p == 1]
    probability, benefit = [p for p, _, _ in them], [b for _, b, _ in them]
    pool = cells([1] * len(them), probability, benefit)
    method, got = shared(pool, sum(claimed))
    slow = oracles.conditional_mean_by_subsets(probability, benefit, sum(claimed))
    assert method == EXACT
    assert got == pytest.approx(slow, rel=1e-9, abs=1e-9 * max(benefit))


def test_twenty_members_with_benefits_of_their_own_are_enumerated() -> None:
    rng = np.random.default_rng(20)
    benefit = rng.integers(10_000, 300_000, 20) / 1.0
    probability = rng.uniform(0.01, 0.4, 20)
    total = float(benefit[[2, 3, 7, 11, 13]].sum())
    method, got = shared(cells([1] * 20, list(probability), list(benefit)), total)
    slow = oracles.conditional_mean_by_subsets(list(probability), list(benefit), total)
    assert method == EXACT
    assert got == pytest.approx(slow, rel=1e-10, abs=1e-6)


def test_only_the_one_who_can_have_had_the_claim_is_charged() -> None:
    pool = cells([1, 1], [0.02, 0.10], [50_021.0, 30_011.0])
    assert list(share("conditional_mean", pool, 30_011.0)) == [0.0, 30_011.0]
    assert list(share("conditional_mean", pool, 50_021.0)) == [50_021.0, 0.0]
    assert list(share("conditional_mean", pool, 80_032.0)) == [50_021.0, 30_011.0]


def test_claims_of_two_categories_in_fractions_of_a_fen_are_told_apart() -> None:
    # 7 for certain; 3 in three parts of a third, or one of 1: 1 + 3 sets of categories
    pool = cells([1, 3], [1.0, 0.25], [7.0, 1.0], {1.0: 0.5, 1 / 3: 0.5})
    severity = {Fraction(1): Fraction(1, 2), Fraction(1, 3): Fraction(1, 2)}
    members = [oracles.law(Fraction(1), 21, severity)] + [
        oracles.law(Fraction(1, 4), 3, severity) for _ in range(3)
    ]
    for thirds in (7, 9, 10, 24, 30):
        slow = [float(x) / 3 for x in oracles.conditional_mean(members, thirds)[:2]]
        method, got = shared(pool, thirds / 3)
        assert method == EXACT
        assert got == pytest.approx(slow, rel=1e-12, abs=1e-12)


def test_a_bill_rounded_to_the_fen_is_that_of_the_unrounded_claims() -> None:
    pool = cells([3, 4], [0.1, 0.2], [100_000 / 3, 200_000 / 7])
    assert shared(pool, 33_333.33)[0] == EXACT
    assert share("conditional_mean", pool, 33_333.33) == pytest.approx([33_333.33 / 3, 0.0])
    assert shared(pool, 33_333.32)[0] == BETWEEN


# Bills that no claims add up to


@pytest.mark.parametrize(
    ("total", "method"),
    [
        (0.0, BELOW),
        (4.9, BELOW),
        (4.996, EXACT),  # 5 is certain
        (5.0, EXACT),
        (6.0, BETWEEN),
        (12.0, EXACT),
        (15.0, EXACT),
        (18.5, BETWEEN),
        (22.0, EXACT),
        (22.004, EXACT),
        (22.1, ABOVE),
    ],
)
def test_an_impossible_bill_is_said_to_be_one(total: float, method: int) -> None:
    # sums: 5, 5 + 7, 5 + 10, 5 + 7 + 10
    pool = cells([1, 1, 1], [1.0, 0.5, 0.25], [5.0, 7.0, 10.0])
    got, charge = shared(pool, total)
    assert got == method
    assert charge.sum() == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(
    ("benefit", "total"),
    [
        ([1000.0, 3000.0], 1500.0),  # between two points of the lattice
        ([3000.0, 5000.0], 4000.0),  # on a point that no claims add up to
    ],
)
def test_a_bill_between_possible_ones_is_shared_at_the_saddle_point(
    benefit: list[float], total: float
) -> None:
    pool = cells([4000, 2000], [0.01, 0.005], benefit)
    method, got = shared(pool, total)
    assert method == BETWEEN
    assert list(got) == list(at_saddle_point(pool, total))


# Approximations, against Fourier inversion of the whole lattice in whole yuan

compiled = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="minutes, where kernels are interpreted"
)


def dense(members: int, kinds: int, cases: float) -> Cells:
    """Give a pool of so many members of each kind; benefits and their halves are whole yuan."""
    rng = np.random.default_rng(kinds)
    benefit = 2.0 * rng.integers(200, 600, kinds)
    probability = rng.uniform(0.2, 1.0, kinds)
    probability *= cases / (members * probability.sum())
    return cells([members] * kinds, list(probability), list(benefit), {1.0: 0.5, 0.5: 0.5})


def a_bill(pool: Cells, seed: int) -> float:
    """Draw what the members claim."""
    rng = np.random.default_rng(seed)
    cases = rng.binomial(pool.count, pool.probability)
    return float((cases - 0.5 * rng.binomial(cases, 0.5)) @ pool.benefit)


def whole_lattice(pool: Cells, total: float) -> Array:
    """Give E[X | S] by Fourier inversion with NumPy, tilted so that the total is likely."""
    tilt = np.exp(saddle_point(pool, total) * np.outer(pool.benefit, pool.fraction))
    chance = pool.probability[:, None] * pool.severity * tilt
    chance /= (1 - pool.probability + chance.sum(axis=1))[:, None]
    size = 2 ** int(np.ceil(np.log2(4 * total + 30_000)))
    frequency = -2j * np.pi * np.arange(size) / size
    law, means = -frequency * total, []
    for people, odds, losses in zip(
        pool.count, chance, np.outer(pool.benefit, pool.fraction), strict=True
    ):
        turns = np.exp(np.outer(losses, frequency))
        own = 1 - odds.sum() + odds @ turns
        law = law + people * np.log(own)
        means.append((odds * losses) @ turns / own)
    law = np.exp(law)
    return np.array([(law * mean).sum().real / law.sum().real for mean in means])


def error_of(pool: Cells, total: float, method: int, charge: Array) -> float:
    # the inversion of the oracle is exact but for its rounding
    return 1e-8 * total if method == EXACT else float(largest_error(pool, total, method, charge))


@compiled
@pytest.mark.parametrize(
    ("pool", "method"),
    [
        (dense(50, 24, 6.0), LATTICE),
        (dense(50, 24, 10.0), LATTICE),
        (dense(400, 24, 40.0), SADDLE_POINT),
        (dense(1000, 3, 100.0), SADDLE_POINT),
    ],
    ids=["6 cases", "10 cases", "40 cases", "100 cases"],
)
def test_an_approximation_is_within_the_error_that_it_states(pool: Cells, method: int) -> None:
    # two standard deviations of an estimate that errs on the safe side; these bills are fixed
    found = set()
    for seed in range(2):
        total = a_bill(pool, seed)
        by, got = shared(pool, total)
        found.add(by)
        off = abs(got - whole_lattice(pool, total)).max()
        assert off <= error_of(pool, total, by, got)
        assert pool.count @ got == pytest.approx(total, rel=1e-12)
    assert method in found


@compiled
def test_where_methods_switch_the_charge_moves_by_no_more_than_the_error_that_is_stated() -> None:
    # ever more members, until the exact methods give way to the approximations
    methods = set()
    for members in (10, 40, 100, 200, 400):
        pool = dense(members, 12, 0.1 * members)
        total = a_bill(pool, 1)
        method, got = shared(pool, total)
        methods.add(method)
        off = abs(got - whole_lattice(pool, total)).max()
        assert off <= error_of(pool, total, method, got), members
    assert methods == {EXACT, LATTICE, SADDLE_POINT}


def test_where_sums_are_too_many_they_are_matched_on_a_lattice() -> None:
    # 45 members alike but for a fen: half of them claim, as many as in a pool without the fen
    pool = cells([1] * 45, [0.5] * 45, [100.0 + 0.01 * member for member in range(45)])
    total = float(pool.benefit[::2].sum())
    method, got = shared(pool, total)
    assert method == LATTICE
    assert got == pytest.approx(total / 45, rel=0.02)


def test_many_cells_with_a_smooth_law_are_shared_at_the_saddle_point() -> None:
    # 100 cases of two ages, in so many cells that inversion would take too long
    ages = np.repeat([0, 1], 1000)
    count, probability, benefit = np.array([[40, 20], [0.00175, 0.0015], [1e5, 3e5]])[:, ages]
    pool = cells(list(count), list(probability), list(benefit))
    method, got = shared(pool, MEAN * UNIT)
    assert method == SADDLE_POINT
    error = largest_error(pool, MEAN * UNIT, method, got)
    assert error == pytest.approx(got.max() / 100**2, rel=1e-3)
    assert abs(got[[0, -1]] - exact(round(MEAN))).max() <= error


def test_where_outcomes_are_too_many_the_saddle_point_answers() -> None:
    pool = cells([10**6] * 3, [1e-4] * 3, [50_021.0, 30_011.0, 20_003.0], {1.0: 0.5, 0.7: 0.5})
    total = a_bill(pool, 1)
    method, charge = shared(pool, total)
    assert method == SADDLE_POINT
    # odd amounts: a bill known to the fen tells much more than the saddle point does
    assert largest_error(pool, total, method, charge) > 0.05 * charge.max()


def test_a_pool_with_too_many_cases_to_count_is_shared_at_the_saddle_point() -> None:
    pool = cells([10**7] * 3, [0.001] * 3, [50_021.0, 30_011.0, 20_003.0])
    total = a_bill(pool, 1)
    method, got = shared(pool, total)
    assert method == SADDLE_POINT
    assert list(got) == list(at_saddle_point(pool, total))


def test_an_error_that_is_stated_is_nothing_where_one_kind_has_all_losses() -> None:
    # S is then the loss of the kind: what is left is the 1 / cases^2 of the saddle point
    pool = cells([1000, 1000], [0.02, 0.06], [30_011.0, 30_011.0])
    total = 80 * 30_011.0
    charge = np.array([20 * 30.011, 60 * 30.011])
    assert largest_error(pool, total, LATTICE, charge) == 0.0
    error = largest_error(pool, total, SADDLE_POINT, charge)
    assert error == pytest.approx(charge[1] / 80**2, rel=1e-9)


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
