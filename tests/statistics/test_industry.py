"""Several pools in one market: who joins which, what is heard of the others, who moves on.

The false-alarm rate that a docstring states is the chance that a correct program would have
failed under the seed chosen; see `checks`.
"""

import math
from typing import Any

import numpy as np
import pytest

from configs.scenario import Scenario
from kernels.platform import CLOSURE_CAUSES
from tests.scenarios import Fields, a_scenario, channel, flat_table, people, simulate
from tests.statistics.checks import assert_binomial, assert_counts, assert_has_mean

pytestmark = pytest.mark.statistical


def another_plan(pool: str, **changes: Any) -> Fields:
    benefit = ({"from_age": 0, "benefit_yuan": 1000.0},)
    plan = {"max_age": 59, "benefit": benefit, "advertised_share_yuan": 1.0, "pool": pool}
    return {**plan, **changes}


def two_pools(**changes: Any) -> Scenario:
    """The quiet scenario's plan in one pool, one like it in another."""
    plans = {"main": {"pool": "here"}, "other": another_plan("there")}
    return a_scenario(**{"plans": plans, "pools": {"here": {}, "there": {}}, **changes})


def test_pools_draw_on_one_market() -> None:
    """False alarm: a chi-square of 4 000 people and a z-test in the second period, 2e-6.

    Intensities add up: of those who never joined 1 - exp(-a - b) join, the part a / (a + b) of them
    here; in the second period a channel there has doubled.
    """
    a, b, market, paths = 0.1, 0.2, 1_000, 1_000
    pool = two_pools(
        periods=2,
        market_members=market,
        channels={
            "here": channel(plan="main", push=[{"from_period": 0, "value": a}]),
            "there": channel(
                plan="other",
                push=[{"from_period": 0, "value": b}, {"from_period": 1, "value": 2 * b}],
            ),
        },
    )
    joins = simulate(pool, 71, paths).rows["joins"]
    assert_binomial(joins[:, 0].sum(1)[:, None].ravel(), market, -math.expm1(-a - b))
    first = joins[:, 0].sum(0)
    assert_counts(first, [a / (a + b), b / (a + b)])
    left = market - joins[:, 0].sum(1)
    both = -math.expm1(-a - 2 * b)
    expected = left[:, None] * both * np.array([a, 2 * b]) / (a + 2 * b)
    assert_has_mean(joins[:, 1] - expected, 0.0)


def test_news_spill_over_as_their_linear_recursion_says() -> None:
    """False alarm: 2 z-tests in each of 4 periods, 5e-6 together.

    Fresh news of pool i have the mean s (m_i + e x_i), of which pool j hears the part w_ij:
    x' = r x + (1 + w)^T s (m + e x), a linear recursion whose fixed point solves it for x' = x.
    """
    r, s, m, e = 0.4, 0.5, np.array([0.6, 0.1]), 0.3
    spill = np.array([[0.0, 0.7], [0.2, 0.0]])
    news = {"persistence": r, "size": s, "echo": e}
    pool = two_pools(
        periods=40,
        pools={
            "here": {"news": {**news, "base": m[0]}},
            "there": {"news": {**news, "base": m[1]}},
        },
        industry={"spill_over": {"here": {"there": 0.7}, "there": {"here": 0.2}}},
    )
    found = simulate(pool, 72, 2_500).rows["news"]
    hear = (np.eye(2) + spill).T * s
    mean = np.zeros(2)
    for period in range(40):
        mean = r * mean + hear @ (m + e * mean)
        if period in (0, 1, 5, 39):
            assert_has_mean(found[:, period], mean)
    fixed = np.linalg.solve(np.eye(2) * (1 - r) - hear * e, hear @ m)
    np.testing.assert_allclose(mean, fixed, rtol=1e-3)


def closing_pools(**changes: Any) -> Scenario:
    """A pool that closes at the end of period 1, and winds down for `wind_down_periods`."""
    closing = {"floor_members": 10**6, "floor_from_period": 1}
    pools = {"here": {"closure": {**closing, **changes.pop("closure", {})}}, "there": {}}
    return two_pools(pools=pools, periods=8, **changes)


@pytest.mark.parametrize("wind_down", [0, 2])
def test_a_part_of_a_closed_pool_s_members_begins_anew_in_another(wind_down: int) -> None:
    """False alarm: a chi-square of each of 2 pools, 2e-6.

    Each member of the pool that has ended moves with the probability that is configured, once; all
    of them stood without cover when it closed, and the market stays as it was.
    """
    members, part, paths = 50, 0.3, 3_000
    pool = closing_pools(
        closure={"wind_down_periods": wind_down},
        industry={"migration": {"here": {"there": part}}},
        initial_members=[people(members), people(7, plan="other")],
    )
    history = simulate(pool, 73 + wind_down, paths)
    moved = history.rows["moved_in"]
    when = 2 + wind_down
    assert not np.delete(moved[:, :, 1], when, axis=1).any()
    assert not moved[:, :, 0].any()
    assert_binomial(moved[:, when, 1], members, part)
    np.testing.assert_array_equal(history.rows["members"][:, -1, 1], 7 + moved[:, when, 1])
    assert (history.pools["uncovered_members"] == [members, 0]).all()
    assert (history.pools["periods_run"] == [2 + wind_down, 8]).all()
    cause = {CLOSURE_CAUSES[code] for code in history.pools["closure_cause"][:, 0]}
    assert cause == {"too_small"}
    # of the market not every pool has closed
    assert (history.paths["closure_period"] == -1).all()


def test_members_of_a_closed_pool_spread_over_the_others_by_their_parts() -> None:
    """False alarm: a chi-square over where 150 000 members are, 1e-6."""
    members, parts, paths = 100, {"there": 0.2, "yonder": 0.5}, 1_500
    plans = {
        "main": {"pool": "here"},
        "other": another_plan("there"),
        "third": another_plan("yonder"),
    }
    pool = a_scenario(
        periods=2,
        plans=plans,
        pools={"here": {"closure": {"floor_members": 10**6}}, "there": {}, "yonder": {}},
        industry={"migration": {"here": parts}},
        initial_members=[people(members)],
    )
    moved = simulate(pool, 76, paths).rows["moved_in"][:, 1, 1:].sum(0)
    assert_counts([*moved, members * paths - moved.sum()], [0.2, 0.5, 0.3])


def test_migrants_serve_the_waiting_period_of_the_pool_they_join() -> None:
    """No false alarm: who has moved is billed once he has waited, however long he was a member."""
    plans = {
        "main": {"pool": "here"},
        "other": another_plan("there", wait_periods=3, custody_yuan_per_member_year=12.0),
    }
    pool = closing_pools(
        plans=plans,
        industry={"migration": {"here": {"there": 1.0}}},
        initial_members=[people(50, tenure_periods=20), people(5, plan="other", tenure_periods=9)],
    )
    payers = simulate(pool, 77).rows["payers"][0, :, 1]
    assert payers.tolist() == [5, 5, 5, 5, 5, 55, 55, 55]


def test_a_closure_is_news_to_the_others_as_far_as_it_spills_over() -> None:
    """No false alarm: a jump of 4 spills over by half and fades by a tenth a period."""
    pool = closing_pools(
        news={"persistence": 0.9},
        industry={"spill_over": {"here": {"there": 0.5}}, "closure_jump": 4.0},
        initial_members=[people(50), people(7, plan="other")],
    )
    news = simulate(pool, 78).rows["news"][0, :, 1]
    np.testing.assert_allclose(news, [0.0, 0.0, *(2.0 * 0.9 ** np.arange(1, 7))], rtol=1e-12)


def test_a_pool_s_money_is_its_own() -> None:
    """No false alarm: a pool's cash is what it was funded with less its own cost of operating."""
    pool = two_pools(
        periods=3,
        pools={
            "here": {"platform": {"funding_yuan": 100.0, "operating_yuan_per_year": 120.0}},
            "there": {"platform": {"funding_yuan": 50.0, "operating_yuan_per_member_year": 12.0}},
        },
        initial_members=[people(2), people(3, plan="other")],
    )
    cash = simulate(pool, 79).rows["platform_cash"][0]
    np.testing.assert_allclose(cash, [[90, 47], [80, 44], [70, 41]], rtol=1e-12)


def test_pools_that_do_not_meet_are_as_if_alone() -> None:
    """No false alarm: without joins and spill-over a pool beside another has the rows it has alone.

    Bit for bit: draws of a cell have the address of its plan.
    """
    busy = {
        "motives": {"member": {"lapse": {"base": 0.05, "burden": 1.0}}},
        "claims": {"incidence": flat_table(0.2)},
        "news": {"base": 0.5},
    }
    together = two_pools(**busy, initial_members=[people(300), people(200, plan="other")])
    alone = a_scenario(**busy, initial_members=[people(300)])
    here, there = simulate(together, 80, 3).rows[:, :, 0], simulate(alone, 80, 3).rows[:, :, 0]
    assert here["cases"].sum() > 50
    assert here.tobytes() == there.tobytes()


def test_who_is_too_old_for_one_pool_moves_to_another_with_its_own_part() -> None:
    """False alarm: a chi-square, 1e-6: those whom the first pool would not take stay for it."""
    plans = {
        "main": {"pool": "here"},
        "young": another_plan("there", max_age=44),
        "all": another_plan("yonder"),
    }
    pool = a_scenario(
        periods=2,
        age_edges=(30, 45, 60),
        plans=plans,
        pools={"here": {"closure": {"floor_members": 10**6}}, "there": {}, "yonder": {}},
        industry={"migration": {"here": {"there": 0.5, "yonder": 0.4}}},
        initial_members=[people(50, age=50)],
    )
    moved = simulate(pool, 81, 2_000).rows["moved_in"][:, 1]
    assert not moved[:, 1].any()
    assert_binomial(moved[:, 2], 50, 0.4)
