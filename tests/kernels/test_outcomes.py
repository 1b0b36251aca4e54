"""What cases can cost: all outcomes of a kind, and the sums that meet the total."""

import itertools
import math

import numpy as np
import pytest

from kernels.claim_counts import Kinds, find_kinds
from kernels.outcomes import (
    MOST_OUTCOMES,
    Outcomes,
    Sums,
    count_outcomes,
    enumerate_outcomes,
    grow_sums,
    match_on_lattice,
    match_sums,
    middle_kind,
    set_outcomes,
    sort_order,
)
from tests.kernels.sharers import ROUNDING, cells


def outcomes(*kinds: list[tuple[int, float, float]]) -> Outcomes:
    """Set up outcomes: by kind, (cases, loss, chance) of each."""
    every = list(itertools.chain(*kinds))
    return Outcomes(
        np.cumsum([0, *map(len, kinds)]),
        np.array([cases for cases, _, _ in every]),
        np.array([loss for _, loss, _ in every]),
        np.array([chance for _, _, chance in every]),
    )


def sums(losses: list[float], chances: list[float]) -> Sums:
    """Set up sums of a single kind."""
    size = len(losses) + 1
    return Sums(
        np.array([0, 1, size]),
        np.array([0.0, *losses]),
        np.array([1.0, *chances]),
        np.zeros(size, np.int64),
        np.arange(size),
        np.empty(size),
    )


# Three kinds: two cases of 5 at most, one of 3, one of 2
THREE = outcomes(
    [(0, 0.0, 0.5), (1, 5.0, 0.3), (2, 10.0, 0.2)],
    [(0, 0.0, 0.9), (1, 3.0, 0.1)],
    [(0, 0.0, 0.6), (1, 2.0, 0.4)],
)


def categories(most: list[int]) -> Kinds:
    """Give two kinds, of 12 and 6 yuan, with two categories of case."""
    pool = cells([9, 9], [0.5, 0.5], [12.0, 6.0], {1.0: 0.75, 0.5: 0.25})
    kinds = find_kinds(pool)
    kinds.most[:] = most
    kinds.severity[:] = [0.75, 0.25]
    return kinds


def test_outcomes_are_all_numbers_of_cases_by_category_with_multinomial_chances() -> None:
    pool = cells([9, 9], [0.5, 0.5], [12.0, 6.0], {1.0: 0.75, 0.5: 0.25})
    kinds = categories([2, 1])
    law = np.array([[0.2, 0.3, 0.5], [0.4, 0.6, 0.0]])
    first = np.zeros(3, np.int64)
    assert count_outcomes(kinds, first) == 9
    assert list(first) == [0, 6, 9]
    found = Outcomes(first, np.empty(9, np.int64), np.empty(9), np.empty(9))
    set_outcomes(pool, kinds, law, found)
    listed = sorted(zip(*(column.tolist() for column in found[1:]), strict=True))
    by_hand = sorted(
        [
            (0, 0.0, 0.2),
            (1, 12.0, 0.3 * 0.75),
            (1, 6.0, 0.3 * 0.25),
            (2, 24.0, 0.5 * 0.75**2),
            (2, 18.0, 0.5 * 2 * 0.75 * 0.25),
            (2, 12.0, 0.5 * 0.25**2),
            (0, 0.0, 0.4),
            (1, 6.0, 0.6 * 0.75),
            (1, 3.0, 0.6 * 0.25),
        ]
    )
    assert np.array(listed) == pytest.approx(np.array(by_hand), rel=1e-13)


def test_more_outcomes_than_there_may_be_are_counted_as_too_many() -> None:
    first = np.zeros(3, np.int64)
    assert count_outcomes(categories([10**6, 10**6]), first) > MOST_OUTCOMES


def test_values_are_put_in_order() -> None:
    value = np.random.default_rng(1).integers(0, 50, 101).astype(float)
    assert list(value[sort_order(value)]) == sorted(value)
    assert list(sort_order(np.array([2.0]))) == [0]
    assert list(sort_order(np.empty(0))) == []


def test_halves_have_about_as_many_sums() -> None:
    assert middle_kind(THREE) == 2
    assert middle_kind(outcomes([(0, 0.0, 1.0)])) == 0


def test_all_outcomes_that_add_up_are_gone_through() -> None:
    burden = np.full((3, 3), np.nan)
    for total in (0.0, 2.0, 3.0, 5.0, 7.0, 8.0, 10.0, 15.0):
        mass, slow = 0.0, np.zeros((3, 3))
        for a, b, c in itertools.product(range(3), range(3, 5), range(5, 7)):
            if THREE.loss[[a, b, c]].sum() == total:
                chance = math.prod(THREE.chance[[a, b, c]])
                mass += chance
                for kind, outcome in enumerate((a, b, c)):
                    cases = THREE.cases[outcome]
                    slow[kind, cases] += chance * THREE.loss[outcome] / max(1, cases)
        assert enumerate_outcomes(THREE, total, 0.1, burden) == pytest.approx(mass, rel=ROUNDING)
        assert burden == pytest.approx(slow, rel=ROUNDING)
    # nothing adds up to 4; 4.95 is 5 but for the tolerance
    assert enumerate_outcomes(THREE, 4.0, 0.1, burden) == 0.0
    assert enumerate_outcomes(THREE, 4.95, 0.1, burden) == pytest.approx(
        enumerate_outcomes(THREE, 5.0, 0.1, np.empty((3, 3)))
    )


def test_sums_that_find_no_room_or_have_too_many_partners_are_too_much() -> None:
    room = Sums(
        np.zeros(3, np.int64),
        np.empty(2),
        np.empty(2),
        np.empty(2, np.int64),
        np.empty(2, np.int64),
        np.empty(2),
    )
    assert grow_sums(THREE, 0, np.zeros(2), 99.0, room) == -1
    alike = sums([4.0] * 3, [0.25] * 3)
    assert match_sums(alike, sums([1.0] * 3, [0.5] * 3), (5.0, 0.1), 8) == -1.0
    assert match_sums(alike, sums([1.0] * 3, [0.5] * 3), (5.0, 0.1), 9) == 9 / 8


def test_too_many_sums_for_both_halves_are_not_enumerated() -> None:
    one = [(0, 0.0, 0.5), (1, 1.0, 0.5)]
    many = outcomes(*[one] * 38)
    assert enumerate_outcomes(many, 19.0, 0.1, np.empty((38, 2))) == -1.0


def test_on_a_lattice_that_holds_all_losses_matching_is_enumeration() -> None:
    exact, moved = np.empty((3, 3)), np.empty((3, 3))
    for total in (2.0, 5.0, 8.0, 15.0):
        mass = enumerate_outcomes(THREE, total, 0.1, exact)
        got = match_on_lattice(THREE, total, int(total), moved)
        assert got == pytest.approx(mass, rel=ROUNDING)
        assert moved[:, 1:] == pytest.approx(exact[:, 1:], rel=ROUNDING)


def test_a_loss_between_two_points_goes_to_either_with_itself_as_the_mean() -> None:
    # a step is 2: a total of 4 is 5 moved down, or 3 moved up, or 3 moved down and 2
    moved = np.empty((3, 3))
    down, up = 0.3 * 0.5 * 0.9 * 0.6, 0.5 * (0.1 * 0.5) * 0.6
    both = 0.5 * (0.1 * 0.5) * 0.4
    mass = match_on_lattice(THREE, 4.0, 2, moved)
    assert mass == pytest.approx(down + up + both, rel=ROUNDING)
    assert moved[:, 1] == pytest.approx([5 * down, 3 * (up + both), 2 * both], rel=ROUNDING)
