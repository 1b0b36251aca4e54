"""Two points of a sweep see the same weather on the same path, so that their difference is sharp.

The ratio is the variance of the paired difference over that of independent runs; it is what a
sweep saves: a ratio of 0.01 is worth a hundred times the paths.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from configs.scenario import Scenario
from tests.scenarios import a_scenario, channel, merged, people, simulate, steep_table

pytestmark = pytest.mark.statistical

Floats = npt.NDArray[np.float64]

PATHS, RESAMPLES, GOAL = 400, 1_000, 0.1


def a_pool(members: int, fee_rate: float, **changes: Any) -> Scenario:
    """A pool as a sweep over the fee has it: all rules, price feedback, news."""
    fields = {
        "periods": 48,
        "periods_per_year": 24,
        "market_members": 20 * members,
        "age_edges": (20, 40, 60),
        "plans": {
            "main": {
                "wait_periods": 6,
                "benefit": (
                    {"from_age": 0, "benefit_yuan": 300_000.0},
                    {"from_age": 40, "benefit_yuan": 100_000.0},
                ),
                "fee_rate": fee_rate,
                "grace_failures": 2,
                "advertised_share_yuan": 10.0,
            }
        },
        "motives": {
            "member": {
                "education_speed": 0.1,
                "payment_failure": 0.02,
                "lapse": {
                    **{"base": 0.002, "first_bill": 0.02, "bill_shock": 0.005},
                    **{"growth": 0.005, "burden": 0.3, "news": 0.002},
                },
            },
            "altruist": {"education_speed": 0.02, "lapse": {"base": 0.001, "burden": 0.1}},
        },
        "health": {
            "standard": {"acceptance": 0.95},
            "impaired": {"incidence_factor": 3.0, "acceptance": 0.7},
        },
        "claims": {
            "incidence": steep_table([0.0003 * 1.08 ** (age - 20) for age in range(106)]),
            "selection_start": 0.3,
            "report_delay": (0.3, 0.3, 0.2, 0.2),
            "dispute_probability": 0.2,
        },
        "joining": {"price_sensitivity": 20.0, "news_sensitivity": 0.05},
        "channels": {
            "organic": channel(
                push=[{"from_period": 0, "value": 0.001}],
                word_of_mouth=0.05,
                ages=({"from_age": 20, "to_age": 59, "male": 0.5, "female": 0.5},),
                motives={"member": 0.7, "altruist": 0.3},
                health={"standard": 0.9, "impaired": 0.1},
            )
        },
        "news": {"persistence": 0.6, "base": 0.2, "per_dispute": 0.02, "size": 0.5},
        "initial_members": [
            people(members // 2, age=30, tenure_periods=20),
            people(members // 2, age=50, tenure_periods=20),
        ],
    }
    return a_scenario(**merged(fields, changes))


def outcomes(pool: Scenario, seed: int) -> Floats:
    """What someone who sweeps the fee looks at: members at the end, total share."""
    paths = simulate(pool, seed, PATHS).paths
    return np.column_stack([paths["members_end"], paths["share_total"]]).astype(np.float64)


def variance_ratios(one: Floats, other: Floats) -> Floats:
    """Variance of the paired difference over that of independent runs: float64[outcomes]."""
    independent = one.var(0, ddof=1) + other.var(0, ddof=1)
    return np.asarray((one - other).var(0, ddof=1) / independent)


def upper_bound(one: Floats, other: Floats) -> Floats:
    """Largest ratio over resamples of the paths: a one-sided bound of about 99.9 %."""
    choices = np.random.default_rng(7).integers(0, len(one), (RESAMPLES, len(one)))
    return np.asarray(np.max([variance_ratios(one[pick], other[pick]) for pick in choices], axis=0))


@pytest.mark.parametrize("members", [3_000, 100_000, 3_000_000])
def test_two_fees_on_one_path_differ_a_tenth_as_much_as_independent_runs(members: int) -> None:
    """False alarm: none by a bound of 99.9 %; a ratio just at the goal would fail."""
    low, high = outcomes(a_pool(members, 0.08), 51), outcomes(a_pool(members, 0.12), 51)
    assert (upper_bound(low, high) <= GOAL).all(), variance_ratios(low, high)


def test_different_paths_are_no_help() -> None:
    """False alarm: below 1e-6; the ratio of independent runs is 1 within 5 standard errors."""
    low, other = outcomes(a_pool(3_000, 0.08), 51), outcomes(a_pool(3_000, 0.12), 52)
    # a correlation of n pairs has a standard error of 1/sqrt(n)
    assert (np.abs(variance_ratios(low, other) - 1.0) < 5.0 / np.sqrt(PATHS)).all()
