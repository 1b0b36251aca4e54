"""Whole paths against laws that are known exactly, all through the path a run takes.

The false-alarm rate that a docstring states is the chance that a correct program would have
failed under the seed chosen; see `checks`.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from configs.scenario import Scenario
from tests.scenarios import a_scenario, channel, flat_table, people, simulate, steep_table
from tests.statistics.checks import (
    assert_binomial,
    assert_counts,
    assert_follows,
    assert_has_mean,
)
from tests.statistics.enumeration import End, Kind, SmallPool, in_fen, law_of_the_end

pytestmark = pytest.mark.statistical

Floats = npt.NDArray[np.float64]

MARKET = 1_000_000
PUSH, WORD_OF_MOUTH, YEARS = 0.01, 0.35, 22


def bass_recursion(steps: int) -> Floats:
    """Share of the market after each year, in steps of 1/steps year, of the mean path."""
    share, by_year = 0.0, []
    for _ in range(YEARS):
        for _ in range(steps):
            intensity = (PUSH + WORD_OF_MOUTH * share) / steps
            share += (1.0 - share) * (1.0 - math.exp(-intensity))
        by_year.append(share)
    return np.array(by_year)


def bass_curve() -> Floats:
    """Bass 1969: F(t) = (1 - e^-(p+q)t) / (1 + q/p e^-(p+q)t)."""
    decay = np.exp(-(PUSH + WORD_OF_MOUTH) * np.arange(1, YEARS + 1))
    return np.asarray((1.0 - decay) / (1.0 + WORD_OF_MOUTH / PUSH * decay))


def bass_pool(steps: int) -> Scenario:
    return a_scenario(
        periods=YEARS * steps,
        periods_per_year=366,  # more than there are: nobody ages
        market_members=MARKET,
        channels={
            "organic": channel(
                push=[{"from_period": 0, "value": PUSH / steps}],
                word_of_mouth=WORD_OF_MOUTH / steps,
            )
        },
    )


@pytest.mark.parametrize("steps", [1, 4])
def test_members_follow_the_bass_recursion(steps: int) -> None:
    """False alarm: 22 z-tests, 2e-5 together, for each of 2 step widths.

    The mean of the paths is not the path of the mean: with a relative noise of 1/sqrt(p M) = 1 %
    the second-order term is below 1e-4 of the market, which is allowed for.
    """
    members = simulate(bass_pool(steps), 1, 150).rows["members"][:, steps - 1 :: steps, 0]
    assert_has_mean(members / MARKET, bass_recursion(steps), slack=1e-4)


def test_members_follow_the_bass_curve() -> None:
    """False alarm: 22 z-tests, 2e-5 together.

    A step of h years is of first order: its distance from the closed form halves with h, and twice
    the finer less the coarser leaves the second order, below 5e-4 of the market at h = 1/8, 1/16.
    """
    coarse, fine, exact = bass_recursion(8), bass_recursion(16), bass_curve()
    assert 1.8 < np.abs(coarse - exact).max() / np.abs(fine - exact).max() < 2.2
    assert np.abs(2 * fine - coarse - exact).max() < 5e-4
    by_year = [
        simulate(bass_pool(k), k, 100).rows["members"][:, k - 1 :: k, 0] / MARKET for k in (8, 16)
    ]
    assert_has_mean(2 * by_year[1] - by_year[0], exact, slack=5e-4 + 3e-4)


WAIT, DELAY = 3, (0.0, 0.5, 0.2, 0.3)


def ramp_law(periods: int) -> Floats:
    """Probability that a member becomes a case in each period, then that of an early diagnosis."""
    hazard, start, accepted, decay = 0.05, 0.3, 0.6, math.exp(-1.0 / 6.0)
    early = 1.0 - math.exp(-hazard * start)
    present, diagnosed = (1.0 - early) ** WAIT, np.zeros(periods)
    law = np.zeros(periods + 1)
    law[-1] = 1.0 - present
    for period in range(WAIT, periods):
        sigma = start + (1.0 - start) * (1.0 - decay ** (period - WAIT))
        diagnosed[period] = present * (1.0 - math.exp(-hazard * sigma)) * accepted
        present -= diagnosed[period]
    for later, chance in enumerate(DELAY):
        law[later:-1] += chance * diagnosed[: periods - later]
    return law


def test_cases_ramp_up_after_wait_delay_and_selection() -> None:
    """False alarm: a chi-square over what becomes of 120 000 members, 1e-6.

    Nobody joins or lapses, so each member's fate is independent of all others'.
    """
    periods, members, paths = 18, 60, 2_000
    pool = a_scenario(
        periods=periods,
        periods_per_year=24,
        plans={"main": {"wait_periods": WAIT}},
        health={"standard": {"acceptance": 0.6}},
        claims={
            "incidence": flat_table(0.6),
            "level": 2.0,
            "selection_start": 0.3,
            "selection_years": 0.25,
            "report_delay": DELAY,
        },
        initial_members=[people(members)],
    )
    rows = simulate(pool, 3, paths).rows[:, :, 0]
    assert not rows["payers"][:, :WAIT].any()
    assert not rows["share"][:, : WAIT + 1].any()
    law = ramp_law(periods)
    seen = [*rows["cases"].sum(0), rows["lapses_early_diagnosis"].sum()]
    assert_counts([*seen, members * paths - sum(seen)], [*law, 1.0 - law.sum()])


def test_survivors_follow_the_life_table() -> None:
    """False alarm: seven chi-squares, 7e-6."""
    members, paths, per_year = 60, 4_000, 2
    deaths = [0.02 * 1.3 ** (age - 60) for age in range(60, 66)]
    pool = a_scenario(
        periods=5 * per_year,
        periods_per_year=per_year,
        age_edges=tuple(range(60, 66)),
        plans={"main": {"max_age": 64}},
        claims={"mortality": steep_table(deaths, 60), "incidence": steep_table([0.0] * 6, 60)},
        initial_members=[people(members, age=61)],
    )
    rows = simulate(pool, 4, paths).rows[:, :, 0]
    alive = 1.0
    for period in range(4 * per_year):
        alive *= math.exp(-deaths[1 + period // per_year] / per_year)
        if period > 0:
            assert_binomial(rows["members"][:, period], members, alive)
    end = 4 * per_year
    np.testing.assert_array_equal(rows["lapses_aged_out"][:, end], rows["members"][:, end - 1])
    assert not rows["members"][:, end:].any()
    assert not rows["lapses_aged_out"][:, :end].any()


POOL_OF_SIX = SmallPool(
    kinds=(
        Kind(4, 0.02, 0.15, 0.10, 0.20, 0.30, education_speed=0.5),
        Kind(2, 0.10, 0.00, 0.30, 0.00, 0.10, education_speed=0.1),
    ),
    hazard=0.4,
    selection_start=0.5,
    selection_periods=3.0,
    acceptance=0.8,
    severe=0.7,
    mild_fraction=0.25,
    benefit=120.0,
    fee_rate=0.08,
    advertised=20.0,
    shock_cap=3.0,
    income_period=200.0,
)


def as_scenario(pool: SmallPool, periods: int) -> Scenario:
    """Write a pool for enumeration as a configuration of the simulator."""
    causes = ("base", "first_bill", "bill_shock", "growth", "burden")
    return a_scenario(
        periods=periods,
        periods_per_year=12,
        income_yuan_per_year=12 * pool.income_period,
        plans={
            "main": {
                "benefit": ({"from_age": 0, "benefit_yuan": pool.benefit},),
                "fee_rate": pool.fee_rate,
                "advertised_share_yuan": pool.advertised,
            }
        },
        motives={
            "member": None,
            **{
                f"kind{i}": {
                    "education_speed": kind.education_speed,
                    "lapse": {cause: getattr(kind, cause) for cause in causes},
                }
                for i, kind in enumerate(pool.kinds)
            },
        },
        health={"standard": {"acceptance": pool.acceptance}},
        claims={
            "incidence": flat_table(0.5),
            "level": 24.0 * pool.hazard,
            "selection_start": pool.selection_start,
            "selection_years": pool.selection_periods / 12.0,
            "severity": {
                "severe": {"probability": pool.severe, "benefit_fraction": 1.0},
                "mild": {"probability": 1 - pool.severe, "benefit_fraction": pool.mild_fraction},
            },
        },
        shock_cap=pool.shock_cap,
        initial_members=[
            people(kind.members, motive=f"kind{i}") for i, kind in enumerate(pool.kinds)
        ],
    )


def ends(scenario: Scenario, seed: int, paths: int) -> Sequence[End]:
    rows = simulate(scenario, seed, paths).rows[:, :, 0]
    columns = rows["members"][:, -1], rows["cases"].sum(1), rows["share"][:, -1]
    return [End(int(m), int(c), in_fen(float(s))) for m, c, s in zip(*columns, strict=True)]


@pytest.mark.parametrize("periods", [1, 2, 3])
def test_a_pool_of_six_ends_as_enumerated(periods: int) -> None:
    """False alarm: a chi-square of 40 000 paths over members, cases and share, 1e-6, thrice."""
    law = law_of_the_end(POOL_OF_SIX, periods)
    assert math.isclose(sum(law.values()), 1.0, rel_tol=1e-12)
    assert_follows(ends(as_scenario(POOL_OF_SIX, periods), 5 + periods, 40_000), law)
