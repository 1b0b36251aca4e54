"""`conditional_mean` charges E[X | S]."""

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.saddle_point import saddle_point
from tests import oracles_sharing as oracles
from tests.kernels.sharers import (
    INVERSION,
    RULES,
    at_saddle_point,
    cells,
    firsts,
    inverted,
    share,
    small_pool,
    two_ages,
)

EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True, database=None)


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
    theta = saddle_point(pool, total)
    done, _ = inverted(pool, total, theta)
    assert not done
    assert list(share("conditional_mean", pool, total)) == list(at_saddle_point(pool, total))


def test_many_cells_with_many_frequencies_are_shared_at_the_saddle_point() -> None:
    benefit = [1000.0 + cell for cell in range(100)]
    pool = cells([1000] * 100, [0.01] * 100, benefit)
    total = 1_049_500.0
    assert not inverted(pool, total, saddle_point(pool, total))[0]
    assert pool.count @ share("conditional_mean", pool, total) == pytest.approx(total, rel=1e-12)


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
