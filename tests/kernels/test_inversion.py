"""The inversion at one point of the lattice is exact, however unlikely the total."""

from fractions import Fraction

import numpy as np
import pytest

from kernels.inversion import is_smooth, set_factor
from kernels.saddle_point import saddle_point
from tests import oracles_sharing as oracles
from tests.kernels.sharers import INVERSION, ROUNDING, UNIT, away, cells, exact, inverted, two_ages


def test_the_inversion_at_one_point_is_numpys_fft_of_the_whole_law() -> None:
    count, probability, benefit = [400, 300, 200], [0.01, 0.03, 0.02], [1.0, 3.0, 2.0]
    laws = [[1 - p, *([0.0] * (int(b) - 1)), p] for p, b in zip(probability, benefit, strict=True)]
    for total in (20, 39, 60):
        slow = oracles.conditional_mean_by_fft(count, laws, 2048, total)
        for theta in (0.0, saddle_point(cells(count, probability, benefit), total)):
            done, got = inverted(cells(count, probability, benefit), float(total), theta)
            assert done
            # the FFT of the oracle keeps 1e-16 beside a law whose mass here is 1e-4 or more
            assert got == pytest.approx(slow, rel=1e-10)


@pytest.mark.parametrize("deviations", [-5, -2, 0, 2, 7, 12, 30])
def test_the_tilted_inversion_loses_no_digits_however_unlikely_the_total(deviations: int) -> None:
    total = away(deviations)
    theta = saddle_point(two_ages(), total * UNIT)
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


def test_a_zero_of_a_characteristic_function_can_be_divided_out() -> None:
    # a fair coin at frequency pi: 1/2 - 1/2; its modulus is made small instead
    wave = np.array([[0.0, 0.0], [0.0, 2.0]])
    factor = np.empty(6)
    set_factor(np.array([1]), np.array([0.5]), wave, 1, factor)
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


def test_without_any_benefit_there_is_no_lattice() -> None:
    assert not inverted(cells([2], [0.5], [0.0]), 1.0, 0.0)[0]


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
def test_what_is_on_no_small_lattice_is_not_inverted(benefit: list[float], total: float) -> None:
    pool = cells([4000, 2000], [0.01, 0.005], benefit)
    assert not inverted(pool, total, saddle_point(pool, total))[0]


def test_many_cells_with_many_frequencies_are_not_inverted() -> None:
    pool = cells([1000] * 100, [0.01] * 100, [1000.0 + cell for cell in range(100)])
    assert not inverted(pool, 1_049_500.0, saddle_point(pool, 1_049_500.0))[0]


@pytest.mark.parametrize(
    ("benefit", "total", "smooth"),
    [
        ([100_000.0, 300_000.0], 16_000_000.0, True),
        ([100_000.0, 300_000.0], 16_050_000.0, False),  # between two points
        ([100_000.001, 300_000.0], 16_000_000.0, False),  # not in whole fen
        ([100_001.0, 300_000.0], 16_000_000.0, False),  # more frequencies than there may be
        ([100.0, 151.0], 16_000.0, False),  # whose claims are the second ones can be told
    ],
)
def test_a_law_of_many_cases_on_a_coarse_lattice_is_smooth(
    benefit: list[float], total: float, smooth: bool
) -> None:
    pool = cells([40_000, 20_000], [0.00175, 0.0015], benefit)
    assert is_smooth(pool, total, saddle_point(pool, total)) == smooth
