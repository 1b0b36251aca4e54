"""Who joins: by which channel, at what pace, and into which cells."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import joining
from kernels.draws import Purpose
from tests import oracles_draws
from tests.kernels.pools import (
    BARGAIN,
    BASE,
    CHANNEL,
    FEMALE,
    IMPAIRED,
    MALE,
    OLD,
    PADDING,
    SEED,
    STANDARD,
    STEADY,
    YOUNG,
    Pool,
    group,
    pool,
)

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True, database=None)

M0 = group(STANDARD, YOUNG, MALE)
PATH = 6
CERTAIN = [{"from_period": 0, "value": 1e9}]
OF_ONE_KIND = {
    "push": CERTAIN,
    "ages": [{"from_age": 30, "to_age": 59, "male": 0.0, "female": 1.0}],
    "motives": {"bargain": 1.0},
    "health": {"impaired": 1.0},
}


def join(small: Pool, period: int = 0) -> int:
    joining.join(small.parameters, small.state, SEED, PATH, period)
    return int(small.state.joined.sum())


def market_left(small: Pool) -> int:
    return int(small.state.pool["market_left"][0])


def with_members(small: Pool, members: int) -> Pool:
    small.state.members[0, 3, 0, STEADY, M0] = members
    small.state.pool["members"][0] = members
    small.state.pool["market_left"][0] -= members
    return small


# Attraction


@EXAMPLES
@given(share_year=st.floats(0, 500), news=st.floats(0, 3), eta=st.floats(0, 20), nu=st.floats(0, 2))
def test_attraction_falls_with_price_and_news(
    share_year: float, news: float, eta: float, nu: float
) -> None:
    small = pool({"joining.price_sensitivity": eta, "joining.news_sensitivity": nu})
    attraction = joining.attractiveness(small.parameters, share_year, news)
    expected = math.exp(-eta * share_year / 1000) * max(0.0, 1 - nu * news)
    assert attraction == pytest.approx(expected, rel=1e-14)
    assert 0.0 <= attraction <= 1.0


def test_intensities_are_push_and_word_of_mouth_times_attraction() -> None:
    word = {"channels.word": CHANNEL | {"push": [], "word_of_mouth": 0.4}}
    steps = [{"from_period": 2, "value": 0.05}, {"from_period": 4, "value": 0.01}]
    push = {"channels.push": CHANNEL | {"push": steps, "word_of_mouth": 0.1}}
    small = with_members(pool(word | push | {"joining.news_sensitivity": 0.5}), 2_500)
    small.state.pool["news"][0] = 1.0
    intensity = np.zeros(2)
    for period, pushed in ((0, 0.0), (2, 0.05), (3, 0.05), (5, 0.01)):
        total = joining.channel_intensities(small.parameters, small.state, period, intensity)
        # A = 1/2, a quarter of the market are members
        assert intensity == pytest.approx([0.05, (pushed + 0.025) / 2], rel=1e-14)
        assert total == pytest.approx(0.05 + (pushed + 0.025) / 2, rel=1e-14)


# Sign-ups


def test_signups_of_one_channel_are_the_twins_binomial_of_the_market() -> None:
    small = with_members(pool({"channels.push": CHANNEL, "market_members": 300}), 100)
    where = oracles_draws.Address(int(SEED), PATH, Purpose.JOIN, 3, 0)
    signups = oracles_draws.binomial(where, 200, 1 - math.exp(-0.05))
    assert 0 < signups < 30
    assert join(small, period=3) == signups
    assert market_left(small) == 200 - signups
    assert small.state.members.sum() == 100 + signups


@EXAMPLES
@given(
    growth=st.none() | st.floats(0.001, 2),
    most=st.none() | st.integers(1, 500),
    members=st.integers(0, 1000),
    signups=st.integers(0, 1000),
)
def test_pacing_holds_joins_to_a_share_of_members_and_to_a_number(
    growth: float | None, most: int | None, members: int, signups: int
) -> None:
    small = pool({"joining.max_growth": growth, "joining.max_joins": most})
    joins = int(joining.paced(small.parameters, signups, members))
    limits = [signups]
    if growth is not None and members > 0:
        limits.append(math.floor(growth * members))
    if most is not None:
        limits.append(most)
    assert joins == min(limits)


def test_an_empty_pool_has_no_relative_limit() -> None:
    small = pool({"joining.max_growth": 0.1})
    assert joining.paced(small.parameters, 70, 0) == 70
    assert joining.paced(small.parameters, 70, 9) == 0


def test_who_is_held_back_stays_in_the_market() -> None:
    small = with_members(
        pool({"channels.all": CHANNEL | {"push": CERTAIN}, "joining.max_growth": 0.1}), 1_000
    )
    assert join(small) == 100
    assert market_left(small) == 10_000 - 1_000 - 100


def test_nobody_joins_where_nothing_draws_or_nobody_is_left() -> None:
    assert join(pool()) == 0
    assert join(pool({"channels.idle": CHANNEL | {"push": []}})) == 0
    full = pool({"channels.all": CHANNEL | {"push": CERTAIN}, "market_members": 500})
    assert join(full) == 500
    assert join(full, period=1) == 500
    repelled = pool({"channels.all": CHANNEL | {"push": CERTAIN}, "joining.news_sensitivity": 1.0})
    repelled.state.pool["news"][0] = 1.0
    assert join(repelled) == 0


def test_channels_share_the_signups_by_their_intensities() -> None:
    three_to_one = {
        "channels.loud": CHANNEL | {"push": [{"from_period": 0, "value": 3.0}], "plan": "main"},
        "channels.soft": CHANNEL | {"push": [{"from_period": 0, "value": 1.0}], "plan": "other"},
        "plans.other": BASE["plans"]["main"],
    }
    small = pool(three_to_one)
    joins = join(small)
    loud = int(small.state.joined[0])
    where = oracles_draws.Address(int(SEED), PATH, Purpose.CHANNEL, 0, 0)
    assert [loud, joins - loud] == oracles_draws.multinomial(where, joins, [0.75, 0.25])
    # 5 standard deviations of a binomial of 9817 with 3/4
    assert loud / joins == pytest.approx(0.75, abs=5 * math.sqrt(0.75 * 0.25 / joins))
    for plan in (0, 1):
        assert small.state.members[plan].sum() == small.state.joined[plan]


# Places


def test_members_join_only_the_cells_that_their_channel_draws_from() -> None:
    small = pool({"channels.one": OF_ONE_KIND, "plans.main.grace_failures": 3})
    assert join(small) == 10_000
    cell = small.state.members[0, 0, 0, BARGAIN, group(IMPAIRED, OLD, FEMALE)]
    assert cell == small.state.members.sum() == 10_000


def test_motives_and_groups_of_each_channel_are_the_twins_draws_at_their_own_addresses() -> None:
    names = ("loud", "soft")
    small = pool({f"channels.{name}": CHANNEL for name in names} | {"market_members": 500})
    join(small, period=2)
    expected = np.zeros((2, 12), np.int64)
    where = oracles_draws.Address(int(SEED), PATH, Purpose.JOIN_PLACE, 2, 0)
    of_the_market = oracles_draws.Address(int(SEED), PATH, Purpose.JOIN, 2, 0)
    signups = oracles_draws.binomial(of_the_market, 500, 1 - math.exp(-0.1))
    split = oracles_draws.Address(int(SEED), PATH, Purpose.CHANNEL, 2, 0)
    for channel, count in enumerate(oracles_draws.multinomial(split, signups, [0.5, 0.5])):
        own = where._replace(cell=16 * channel)
        for motive, people in enumerate(oracles_draws.multinomial(own, count, [0.5, 0.5])):
            place = where._replace(cell=16 * channel + 1 + motive)
            shares = [float(share) for share in small.parameters.channel_groups[channel]]
            expected[motive] += oracles_draws.multinomial(place, people, shares)
    assert (small.state.members[0, 0, 0] == expected).all()
    assert expected.sum() == signups > 20


@EXAMPLES
@given(
    motive=st.floats(0, 1),
    health=st.floats(0, 1),
    men=st.floats(0, 1),
    padding=st.just(0.0) | st.floats(0.01, 0.99),
)
def test_members_are_spread_as_their_channel_says(
    motive: float, health: float, men: float, padding: float
) -> None:
    channel: dict[str, Any] = {
        "push": CERTAIN,
        "ages": [
            {"from_age": 0, "to_age": 44, "male": men, "female": 0.0},
            {"from_age": 30, "to_age": 59, "male": 0.0, "female": 1 - men},
        ],
        "motives": {"steady": motive, "bargain": 1 - motive},
        "health": {"standard": health, "ineligible": 1 - health},
        "padding": padding,
    }
    small = pool({"channels.one": channel, "market_members": 40_000})
    joins = join(small)
    assert joins == 40_000
    placed = small.state.members[0, 0, 0].reshape(2, -1, 2, 2)  # motive, health, band, sex
    expected = np.zeros(placed.shape)
    by_health = [health * (1 - padding), 0.0, (1 - health) * (1 - padding)]
    by_health += [padding] if padding else []
    by_risk = np.array([[men * 2 / 3, 0.0], [men / 3, 1 - men]])
    for number, share in enumerate(by_health):
        expected[STEADY, number] = motive * share * by_risk
        expected[BARGAIN, number] = (1 - motive) * share * by_risk
    # 6 standard deviations of each cell; an impossible cell is empty
    assert (abs(placed / joins - expected) <= 6 * np.sqrt(expected / joins) + 1e-12).all()
    assert (placed[expected == 0] == 0).all()
    nobody = int(placed[:, PADDING:].sum())
    assert market_left(small) == nobody


def test_padding_is_counted_as_joined_but_leaves_the_market_alone() -> None:
    small = pool({"channels.hollow": CHANNEL | {"push": CERTAIN, "padding": 1.0}})
    assert join(small) == 10_000
    assert market_left(small) == 10_000
    assert small.state.members[0, 0, 0, :, group(PADDING, YOUNG, MALE) :].sum() == 10_000


@pytest.mark.parametrize("wait", [0, 2])
def test_newcomers_have_had_no_bill_no_charge_and_no_wear(wait: int) -> None:
    small = pool({"channels.one": OF_ONE_KIND, "plans.main.wait_periods": wait})
    state = small.state
    state.members[0, 0, 0, STEADY, M0] = 10_000 if wait == 0 else 0
    state.wear[0, 0] = state.unbilled[0, 0] = 0.0
    state.charged_year[0, 0] = 8.0 if wait == 0 else 0.0
    assert join(small) == 10_000
    mean = 0.5 if wait == 0 else 1.0
    assert state.wear[0, 0] == state.unbilled[0, 0] == mean
    assert state.charged_year[0, 0, M0] == 8.0 * (1 - mean)
