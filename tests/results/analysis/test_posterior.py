"""What a sample says of a parameter: nothing, where it may be a sample of its prior."""

import numpy as np
import pytest
from numpy.typing import NDArray

from results.analysis.posterior import (
    FALSE_ALARM,
    LEAST_CONTRACTION,
    LEAST_SHIFT,
    could_be_chance,
    parameter_columns,
)

Bools = NDArray[np.bool_]


def identified(z: NDArray[np.float64], draws: int | None = None) -> Bools:
    """Return of which columns of z, draws of independent parameters, something is learnt."""
    prior = np.zeros((2, z.shape[1]))
    effective = np.full(z.shape[1], float(draws or len(z)))
    found: Bools = parameter_columns(prior, z, z, effective)["identified"]
    return found


@pytest.mark.statistical
@pytest.mark.parametrize("draws", [8, 25, 80, 400])
def test_draws_of_the_prior_seldom_pass_for_something_learnt(draws: int) -> None:
    """Binomial of 4000 tries at 1 %, where draws are few; false alarm 1e-5, a fixed seed."""
    tries = 4000
    found = identified(np.random.default_rng(draws).standard_normal((draws, tries))).sum()
    sd = np.sqrt(tries * FALSE_ALARM * (1 - FALSE_ALARM))
    assert found <= tries * FALSE_ALARM + 4.3 * sd
    if draws <= 25:  # with more draws what counts is the least that can be seen
        assert found >= tries * FALSE_ALARM / 2 - 4.3 * sd


def test_with_many_draws_the_least_that_can_be_seen_decides() -> None:
    contraction, shift = could_be_chance(np.array([1000.0]))
    assert contraction[0] < LEAST_CONTRACTION
    assert shift[0] < LEAST_SHIFT
    even = np.linspace(-1, 1, 1001)[:, None]
    even /= even.std(ddof=1)
    assert not identified(even * np.sqrt(0.81))[0]
    assert identified(even * np.sqrt(0.79))[0]
    assert not identified(even + 0.49)[0]
    assert identified(even - 0.51)[0]


def test_what_is_narrow_is_learnt_from_few_draws_and_what_is_half_as_wide_is_not() -> None:
    even = np.linspace(-1, 1, 1001)[:, None]
    even /= even.std(ddof=1)
    assert identified(even / 3, draws=20)[0]
    assert not identified(even * np.sqrt(0.5), draws=20)[0]
    assert identified(even * np.sqrt(0.5), draws=200)[0]


@pytest.mark.parametrize("draws", [0.0, 1.0])
def test_of_a_single_draw_there_is_an_answer(draws: float) -> None:
    told = parameter_columns(
        np.zeros((2, 1)), np.array([[0.1], [0.1]]), np.array([[0.1], [0.1]]), np.array([draws])
    )
    assert np.isfinite(np.concatenate(could_be_chance(np.array([draws])))).all()
    assert told["identified"].dtype == bool
