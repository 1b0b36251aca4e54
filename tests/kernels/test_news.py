"""What members expect, and what they hear."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import events, news
from kernels.draws import Purpose
from kernels.dtypes import PERIOD_ROW
from tests import oracles_draws
from tests.kernels.pools import (
    BARGAIN,
    MALE,
    SEED,
    STANDARD,
    STEADY,
    TWO_POOLS,
    WAIT,
    YOUNG,
    Pool,
    group,
    pool,
)

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True, database=None)

M0 = group(STANDARD, YOUNG, MALE)
PATH = 8
LOUD = {"news.persistence": 0.5, "news.size": 0.25}


def level(small: Pool) -> float:
    return float(small.state.pool["news"][0])


def spread(small: Pool, period: int = 0, disputes: int = 0, rise: float = 0.0) -> float:
    told = np.array([disputes], np.int64), np.array([rise])
    news.spread_news(small.parameters, small.state, SEED, PATH, period, *told)
    return level(small)


# Expectation


@EXAMPLES
@given(
    speeds=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    expected=st.tuples(st.floats(0, 100), st.floats(0, 100)),
    share=st.floats(0, 100),
)
def test_expectations_close_their_part_of_the_gap_to_the_share(
    speeds: tuple[float, float], expected: tuple[float, float], share: float
) -> None:
    small = pool()
    small.parameters.motives["education"][:] = speeds
    small.state.expectation[0] = expected
    small.state.plan["share"][0] = share
    news.learn(small.parameters, small.state, 0, 1)
    for motive in (STEADY, BARGAIN):
        gap = Fraction(share) - Fraction(expected[motive])
        exact = Fraction(expected[motive]) + Fraction(speeds[motive]) * gap
        # three roundings of numbers up to 100
        learnt = small.state.expectation[0, motive]
        assert learnt == pytest.approx(float(exact), abs=4e-14)


def test_nobody_learns_while_nobody_is_billed() -> None:
    small = pool({"motives.steady.education_speed": 1.0})
    small.state.plan["share"][0] = 9.0
    news.learn(small.parameters, small.state, 0, 0)
    assert list(small.state.expectation[0]) == [1.0, 1.0]


def test_expectations_start_at_the_advertised_share_and_are_the_plans_own() -> None:
    plan = {"max_age": 59, "benefit": [{"from_age": 0, "benefit_yuan": 1.0}]}
    small = pool({"plans.other": plan | {"advertised_share_yuan": 4.0}})
    assert small.state.expectation.tolist() == [[1.0, 1.0], [4.0, 4.0]]
    small.state.plan["share"][:] = 9.0
    small.parameters.motives["education"][:] = 0.5
    news.learn(small.parameters, small.state, 1, 1)
    assert small.state.expectation.tolist() == [[1.0, 1.0], [6.5, 6.5]]


def test_the_mean_expectation_weighs_motives_by_their_members() -> None:
    small = pool({"plans.main.grace_failures": 2})
    small.state.expectation[0] = (1.0, 5.0)
    assert news.mean_expectation(small.state, 0) == 3.0
    small.state.members[0, 0, 1, STEADY, M0] = 2
    small.state.members[0, WAIT, 0, STEADY, M0 + 3] = 1
    small.state.members[0, WAIT, 0, BARGAIN, M0] = 1
    assert news.mean_expectation(small.state, 0) == 2.0


# News


def test_events_come_from_everything_that_is_told_of_the_pool() -> None:
    small = pool(
        {
            "news.base": 0.1,
            "news.per_dispute": 0.2,
            "news.per_share_jump": 0.3,
            "news.per_market_share": 0.7,
            "news.echo": 0.11,
        }
    )
    events = news.event_intensity(small.parameters, 0, 2.0, 3, 0.5, 0.25)
    assert events == pytest.approx(0.1 + 0.2 * 3 + 0.3 * 0.5 + 0.7 * 0.25 + 0.11 * 2, rel=1e-14)


@pytest.mark.parametrize(
    ("field", "before", "disputes", "rise", "members", "mean"),
    [
        ("base", 0.0, 0, 0.0, 0, 40.0),
        ("per_dispute", 0.0, 3, 0.0, 0, 120.0),
        ("per_share_jump", 0.0, 0, 0.5, 0, 20.0),
        ("per_market_share", 0.0, 0, 0.0, 2_500, 10.0),
    ],
)
def test_each_source_breaks_out_as_the_twins_poisson_draw(
    field: str, before: float, disputes: int, rise: float, members: int, mean: float
) -> None:
    small = pool(LOUD | {f"news.{field}": 40.0})
    small.state.pool["news"][0] = before
    small.state.pool["members"][0] = members
    where = oracles_draws.Address(int(SEED), PATH, Purpose.NEWS, 5, 0)
    events = oracles_draws.poisson(where, mean)
    assert events > 0
    assert spread(small, 5, disputes, rise) == pytest.approx(0.25 * events, rel=1e-14)


def test_news_provokes_news() -> None:
    small = pool(LOUD | {"news.echo": 1.5})
    small.state.pool["news"][0] = 40.0
    where = oracles_draws.Address(int(SEED), PATH, Purpose.NEWS, 5, 0)
    events = oracles_draws.poisson(where, 60.0)
    assert spread(small, 5) == pytest.approx(20.0 + 0.25 * events, rel=1e-14)


def test_news_fades_and_jumps_from_outside_where_the_calendar_says_so() -> None:
    small = pool(LOUD | {"news.jumps": [{"period": 1, "size": 3.0}, {"period": 1, "size": 1.0}]})
    small.state.pool["news"][0] = 2.0
    assert [spread(small, period) for period in range(4)] == [1.0, 4.5, 2.25, 1.125]


@pytest.mark.statistical
def test_news_that_echoes_settles_at_its_stationary_mean() -> None:
    """E = size * base / (1 - persistence - echo * size); false alarm below 1e-6 at 5 errors."""
    small = pool({"news.persistence": 0.3, "news.size": 0.5, "news.base": 2.0, "news.echo": 0.4})
    quiet = np.zeros(1, np.int64), np.zeros(1)
    total = squares = 0.0
    paths, last = 1_500, 11
    for path in range(paths):
        small.state.pool["news"][0] = 2.0
        for period in range(last):
            news.spread_news(small.parameters, small.state, SEED, path, period, *quiet)
        total += level(small)
        squares += level(small) ** 2
    mean = total / paths
    error = math.sqrt((squares / paths - mean**2) / paths)
    assert mean == pytest.approx(0.5 * 2.0 / (1 - 0.3 - 0.2), abs=5 * error)


# What is told of a period


def test_newcomers_hear_of_the_mean_share_of_all_plans_in_a_year() -> None:
    plan = {"max_age": 59, "benefit": [{"from_age": 0, "benefit_yuan": 1.0}]}
    small = pool({"plans.other": plan | {"advertised_share_yuan": 4.0}})
    rows = np.zeros((1, 2), PERIOD_ROW)
    rows["payers"][0] = (10, 5)
    rows["share"][0] = (3.0, 2.0)
    events.spread_word(small.parameters, small.state, rows, SEED, PATH, 0)
    assert small.state.pool["share_year"][0] == 4 * 40.0 / 15
    rows["payers"][0] = 0
    events.spread_word(small.parameters, small.state, rows, SEED, PATH, 0)
    assert small.state.pool["share_year"][0] == 0.0


@pytest.mark.parametrize(("before", "rise"), [(0.0, 0.0), (8.0, 0.25), (20.0, 0.0), (0.1, 5.0)])
def test_news_hears_of_the_rise_of_the_share_up_to_the_largest_that_is_noticed(
    before: float, rise: float
) -> None:
    small = pool({"news.per_share_jump": 40.0, "shock_cap": 5.0})
    rows = np.zeros((1, 1), PERIOD_ROW)
    rows["share"][0], rows["payers"][0], rows["disputes"][0] = 2.5, 10, 0
    small.state.pool["share_year"][0] = before
    events.spread_word(small.parameters, small.state, rows, SEED, PATH, 0)
    where = oracles_draws.Address(int(SEED), PATH, Purpose.NEWS, 0, 0)
    assert level(small) == oracles_draws.poisson(where, 40.0 * rise)


# Several pools

CONNECTED = {
    "news": {"persistence": 0.5, "size": 0.25, "base": 40.0},
    "industry.spill_over": {"one": {"two": 0.5}},
    "industry.closure_jump": 3.0,
}


def spread_among_pools(small: Pool, disputes: tuple[int, int] = (0, 0)) -> list[float]:
    told = np.array(disputes, np.int64), np.zeros(2)
    news.spread_news(small.parameters, small.state, SEED, PATH, 5, *told)
    return [float(value) for value in small.state.pool["news"]]


def events_of(number: int, mean: float) -> int:
    return oracles_draws.poisson(
        oracles_draws.Address(int(SEED), PATH, Purpose.NEWS, 5, number), mean
    )


def test_each_pool_has_news_of_its_own_and_hears_part_of_what_is_fresh_elsewhere() -> None:
    small = pool(CONNECTED, base=TWO_POOLS)
    small.state.pool["news"][:] = (8.0, 2.0)
    own = [0.25 * events_of(number, 40.0) for number in (0, 1)]
    assert own[0] != own[1] != 0.0
    found = spread_among_pools(small)
    # the first hears nothing of the second; what is old does not spill over
    assert found == pytest.approx([4.0 + own[0], 1.0 + own[1] + 0.5 * own[0]], rel=1e-14)


def test_news_from_outside_spill_over_like_others() -> None:
    jumps = {"pools.one.news": {"jumps": [{"period": 5, "size": 6.0}]}, "news": {}}
    small = pool(CONNECTED | jumps, base=TWO_POOLS)
    assert spread_among_pools(small) == [6.0, 3.0]


def test_disputes_and_members_are_the_pools_own() -> None:
    sources = {"news": {"per_dispute": 10.0, "per_market_share": 100.0}, "industry.spill_over": {}}
    small = pool(CONNECTED | sources, base=TWO_POOLS)
    small.state.pool["members"][:] = (0, 5_000)
    assert spread_among_pools(small, (4, 0)) == [events_of(0, 40.0), events_of(1, 50.0)]


def test_a_pool_that_has_ended_is_silent() -> None:
    small = pool(CONNECTED, base=TWO_POOLS)
    small.state.pool["closed"][0] = True
    assert spread_among_pools(small) == pytest.approx([0.0, 0.25 * events_of(1, 40.0)], rel=1e-14)


def test_the_closure_of_a_pool_is_news_to_the_others_as_far_as_its_news_spill_over() -> None:
    small = pool(CONNECTED, base=TWO_POOLS)
    small.state.pool["news"][:] = 1.0
    news.frighten_others(small.parameters, small.state, 0)
    assert small.state.pool["news"].tolist() == [1.0, 2.5]
    news.frighten_others(small.parameters, small.state, 1)
    assert small.state.pool["news"].tolist() == [1.0, 2.5]


def test_shares_of_a_year_and_their_rise_are_those_of_each_pool() -> None:
    rise = {"news": {"per_share_jump": 40.0}, "industry.spill_over": {}}
    small = pool(CONNECTED | rise, base=TWO_POOLS)
    rows = np.zeros((6, 2), PERIOD_ROW)
    rows["payers"][5], rows["share"][5] = (10, 4), (2.5, 6.0)
    small.state.pool["share_year"][:] = (8.0, 30.0)
    events.spread_word(small.parameters, small.state, rows, SEED, PATH, 5)
    assert small.state.pool["share_year"].tolist() == [10.0, 24.0]
    assert small.state.pool["news"].tolist() == [events_of(0, 10.0), 0.0]
    assert events_of(0, 10.0) > 0


def test_nothing_is_learnt_or_told_of_a_pool_that_has_ended() -> None:
    small = pool(CONNECTED | {"news": {}, "motives.steady.education_speed": 1.0}, base=TWO_POOLS)
    small.state.pool["closed"][1] = True
    rows = np.zeros((6, 2), PERIOD_ROW)
    rows["payers"][5], rows["share"][5] = (10, 4), (2.5, 6.0)
    small.state.plan["share"][:] = (2.5, 6.0)
    events.spread_word(small.parameters, small.state, rows, SEED, PATH, 5)
    assert small.state.pool["share_year"].tolist() == [10.0, 0.0]
    assert small.state.expectation[:, STEADY].tolist() == [2.5, 1.0]
