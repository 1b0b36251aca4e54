"""Who joins: by which channel, at what pace, and into which cells."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import joining
from kernels.draws import Purpose
from tests import oracles, oracles_draws
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
    TWO_POOLS,
    YOUNG,
    Pool,
    group,
    pool,
    with_changes,
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
    shape = (small.parameters.channels.size, *small.state.drawn.shape)
    newcomers, before = np.zeros(shape, np.int64), small.state.plan["joined"].sum()
    joining.join(small.parameters, small.state, SEED, PATH, period, newcomers)
    joined = int(small.state.plan["joined"].sum())
    assert newcomers.sum() == joined - before
    return joined


def market_left(small: Pool) -> int:
    return int(small.state.market["market_left"][0])


def with_members(small: Pool, members: int) -> Pool:
    small.state.members[0, 3, 0, STEADY, M0] = members
    small.state.pool["members"][0] = members
    small.state.market["market_left"][0] -= members
    return small


# Attraction


@EXAMPLES
@given(share_year=st.floats(0, 500), news=st.floats(0, 3), eta=st.floats(0, 20), nu=st.floats(0, 2))
def test_attraction_falls_with_price_and_news(
    share_year: float, news: float, eta: float, nu: float
) -> None:
    small = pool({"joining.price_sensitivity": eta, "joining.news_sensitivity": nu})
    attraction = joining.attractiveness(small.parameters, 0, share_year, news)
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
    joins = int(joining.paced(small.parameters, 0, signups, members))
    limits = [signups]
    if growth is not None and members > 0:
        limits.append(math.floor(growth * members))
    if most is not None:
        limits.append(most)
    assert joins == min(limits)


def test_an_empty_pool_has_no_relative_limit() -> None:
    small = pool({"joining.max_growth": 0.1})
    assert joining.paced(small.parameters, 0, 70, 0) == 70
    assert joining.paced(small.parameters, 0, 70, 9) == 0


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
    loud = int(small.state.plan["joined"][0])
    where = oracles_draws.Address(int(SEED), PATH, Purpose.CHANNEL, 0, 0)
    assert [loud, joins - loud] == oracles_draws.multinomial(where, joins, [0.75, 0.25])
    # 5 standard deviations of a binomial of 9817 with 3/4
    assert loud / joins == pytest.approx(0.75, abs=5 * math.sqrt(0.75 * 0.25 / joins))
    for plan in (0, 1):
        assert small.state.members[plan].sum() == small.state.plan["joined"][plan]


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
    state.stage["wear"][0, 0] = state.stage["unbilled"][0, 0] = 0.0
    state.charged_year[0, 0] = 8.0 if wait == 0 else 0.0
    assert join(small) == 10_000
    mean = 0.5 if wait == 0 else 1.0
    assert state.stage["wear"][0, 0] == state.stage["unbilled"][0, 0] == mean
    assert state.charged_year[0, 0, M0] == 8.0 * (1 - mean)


# What joining costs, and what newcomers begin with


def test_sign_ups_cost_the_platform_what_their_channel_costs() -> None:
    costs = {"acquisition_yuan_per_join": 3.0, "red_packet_yuan": 0.5, "padding": 0.5}
    small = pool({"channels.one": OF_ONE_KIND | costs})
    assert join(small) == 10_000
    assert small.state.plan["acquisition"][0] == 30_000.0, "for those too who are nobody"
    assert small.state.plan["red_packets"][0] == 5_000.0


@pytest.mark.parametrize("wait", [0, 2])
def test_newcomers_pay_their_deposits(wait: int) -> None:
    small = pool(
        {
            "channels.one": OF_ONE_KIND | {"padding": 0.5},
            "plans.main.prepaid": {"deposit_yuan": 10.0},
            "plans.main.wait_periods": wait,
        }
    )
    number = group(IMPAIRED, OLD, FEMALE)
    small.state.members[0, 0, 0, STEADY, number] = 100
    small.state.balance[0, 0, number] = 4.0
    assert join(small) == 10_000
    real = 10_000 - int(small.state.members[0, 0, 0, :, group(PADDING, YOUNG, MALE) :].sum())
    assert 4_000 < real < 6_000
    assert small.state.plan["paid_in"][0] == 10.0 * real
    mean = (100 * 4.0 + real * 10.0) / (100 + real)
    assert small.state.balance[0, 0, number] == pytest.approx(mean, rel=1e-14)


@pytest.mark.parametrize(("free", "promised"), [(True, 0.5), (False, 0.0)])
def test_newcomers_are_not_loyal_yet_and_are_promised_what_their_plan_promises(
    free: bool, promised: float
) -> None:
    small = pool(
        {
            "channels.one": OF_ONE_KIND,
            "plans.main.wait_periods": 0,
            "plans.main.first_bill_free": free,
        }
    )
    small.state.members[0, 0, 0, STEADY, M0] = 10_000
    small.state.stage["loyalty"][0, 0] = 0.5
    assert join(small) == 10_000
    assert small.state.stage["loyalty"][0, 0] == 0.75
    assert small.state.stage["free"][0, 0] == promised


# Several pools

OF_TWO = {
    "channels.one": CHANNEL | {"push": [{"from_period": 0, "value": 0.3}], "plan": "main"},
    "channels.two": CHANNEL | {"push": [{"from_period": 0, "value": 0.1}], "plan": "other"},
    "channels.more": CHANNEL | {"push": [{"from_period": 0, "value": 0.1}], "plan": "other"},
}


def twins_signups(period: int, market: int, intensities: tuple[float, ...]) -> list[int]:
    """How many join each pool, by the intensities of the pools."""
    total = sum(intensities)
    everywhere = oracles_draws.Address(int(SEED), PATH, Purpose.JOIN, period, 0)
    signups = oracles_draws.binomial(everywhere, market, 1 - math.exp(-total))
    split = oracles_draws.Address(int(SEED), PATH, Purpose.POOL, period, 0)
    return oracles_draws.multinomial(split, signups, [value / total for value in intensities])


def test_pools_share_the_market_by_the_intensities_of_their_channels() -> None:
    small = pool(OF_TWO | {"market_members": 600}, base=TWO_POOLS)
    joins = join(small, period=2)
    by_pool = twins_signups(2, 600, (0.3, 0.2))
    assert small.state.plan["joined"].tolist() == by_pool
    assert sum(by_pool) == joins == 600 - market_left(small)
    assert min(by_pool) > 0


def test_each_pool_has_a_pace_of_its_own_and_whom_it_holds_back_stays_in_the_market() -> None:
    paces = {"pools.one.joining": {"max_joins": 7}, "pools.two.joining": {"max_growth": 0.25}}
    small = pool(OF_TWO | paces, base=TWO_POOLS)
    small.state.pool["members"][:] = (1_000, 40)
    assert join(small) == 17
    assert small.state.plan["joined"].tolist() == [7, 10]
    assert market_left(small) == 10_000 - 17


def test_price_news_and_word_of_mouth_are_the_pools_own() -> None:
    word = {"push": [], "word_of_mouth": 0.4}
    small = pool(
        {
            "channels.one": CHANNEL | word | {"plan": "main"},
            "channels.two": CHANNEL | word | {"plan": "other"},
            "pools.one.joining": {"news_sensitivity": 0.5},
            "pools.two.joining": {"price_sensitivity": 2.0},
        },
        base=TWO_POOLS,
    )
    for name, values in {
        "members": (2_500, 5_000),
        "news": (1.0, 1.0),
        "share_year": (500.0, 500.0),
    }.items():
        small.state.pool[name][:] = values
    intensity = np.zeros(2)
    total = joining.channel_intensities(small.parameters, small.state, 0, intensity)
    # half of the attraction is left by news, 1/e by a price of half an income
    assert intensity == pytest.approx([0.05, 0.2 / math.e], rel=1e-14)
    assert total == pytest.approx(intensity.sum(), rel=1e-14)


def test_a_pool_that_is_closing_draws_nobody() -> None:
    certain = {name: channel | {"push": CERTAIN} for name, channel in OF_TWO.items()}
    small = pool(certain, base=TWO_POOLS)
    small.state.pool["closure_period"][0] = 3
    assert join(small, period=4) == 10_000
    assert small.state.plan["joined"].tolist() == [0, 10_000]
    small = pool(certain, base=TWO_POOLS)
    small.state.pool["closure_period"][:] = 3
    assert join(small, period=4) == 0


# Migration

THREE_POOLS = with_changes(
    TWO_POOLS,
    {
        "pools.three": {},
        "plans.main.max_age": 59,
        "plans.young": BASE["plans"]["main"] | {"pool": "three", "max_age": 29},
        "plans.whole": BASE["plans"]["main"] | {"pool": "three"},
    },
)
MAIN, OTHER, YOUNG_PLAN, WHOLE_PLAN = range(4)


def ended(changes: dict[str, Any], period: int = 4) -> Pool:
    """Let the first pool end in a period, with members of all kinds."""
    small = pool({"plans.main.grace_failures": 2} | changes, base=THREE_POOLS)
    state = small.state
    state.members[MAIN, 1, 0, STEADY, M0] = 40
    state.members[MAIN, 4, 1, BARGAIN, group(IMPAIRED, OLD, FEMALE)] = 60
    state.pool["closure_period"][0] = period - 1
    state.pool["ended"][0], state.pool["closed"][0] = period, True
    return small


def migrate(small: Pool, period: int = 5) -> list[int]:
    """Let members migrate; give how many have come to each plan."""
    joining.migrate(small.parameters, small.state, SEED, PATH, period)
    return [int(count) for count in small.state.plan["moved_in"]]


def test_members_of_a_pool_that_has_ended_begin_anew_in_another() -> None:
    deposit = {"plans.other.prepaid": {"deposit_yuan": 10.0}, "plans.other.first_bill_free": True}
    small = ended(deposit | {"industry.migration": {"one": {"two": 1.0}}})
    assert migrate(small) == [0, 100, 0, 0]
    assert small.state.members[OTHER, 0, 0, STEADY, M0] == 40
    assert small.state.members[OTHER, 0, 0, BARGAIN, group(IMPAIRED, OLD, FEMALE)] == 60
    assert small.state.members.sum() == 100
    assert small.state.plan["paid_in"][OTHER] == 1_000.0
    entry = small.state.stage[OTHER, 0]
    known = [float(entry[name]) for name in ("wear", "unbilled", "loyalty", "free")]
    assert known == [1.0, 1.0, 1.0, 1.0]
    assert market_left(small) == 10_000, "who has ever joined is no more in the market"


@pytest.mark.parametrize("period", [4, 6])
def test_members_migrate_once_in_the_period_after_the_end(period: int) -> None:
    small = ended({"industry.migration": {"one": {"two": 1.0}}})
    assert migrate(small, period) == [0, 0, 0, 0]
    assert migrate(small, 5)[OTHER] == 100
    assert migrate(small, 6)[OTHER] == 100


def test_nobody_leaves_a_pool_that_winds_down_or_joins_one_that_is_closing() -> None:
    to_both = {"industry.migration": {"one": {"two": 0.5, "three": 0.5}}}
    winding = ended(to_both)
    winding.state.pool["closed"][0] = False
    assert migrate(winding) == [0, 0, 0, 0]
    closing = ended(to_both)
    closing.state.pool["closure_period"][1] = 3
    assert migrate(closing)[OTHER] == 0
    assert 0 < sum(migrate(closing)) < 100, "the other half stays without cover"


def test_migrants_enter_the_first_plan_that_takes_their_age() -> None:
    small = ended({"industry.migration": {"one": {"three": 1.0}}})
    assert migrate(small) == [0, 0, 40, 60]
    assert small.state.members[YOUNG_PLAN, 0, 0, STEADY, M0] == 40
    assert joining.plan_for(small.parameters, 2, M0) == YOUNG_PLAN
    assert joining.plan_for(small.parameters, 2, group(IMPAIRED, OLD, FEMALE)) == WHOLE_PLAN
    assert joining.plan_for(small.parameters, 1, M0) == OTHER


def test_who_is_too_old_for_every_plan_or_is_nobody_stays_behind() -> None:
    small = ended(
        {
            "industry.migration": {"one": {"two": 1.0}},
            "plans.other.max_age": 29,
            "channels.hollow": CHANNEL | {"padding": 0.5},
        }
    )
    small.state.members[MAIN, 3, 0, STEADY, group(PADDING, YOUNG, MALE)] = 9
    small.state.pending_members[MAIN, M0] = 5
    assert migrate(small) == [0, 40, 0, 0]
    assert small.state.members[MAIN].sum() == 69
    assert small.state.pending_members[MAIN, M0] == 5
    assert joining.plan_for(small.parameters, 1, group(PADDING, YOUNG, MALE)) == -1


def test_migrants_are_the_twins_draws_and_who_has_gone_to_one_pool_does_not_come_to_the_next() -> (
    None
):
    small = ended({"industry.migration": {"one": {"two": 0.25, "three": 0.3}}})
    code = int(small.parameters.groups["code"][M0])
    cell = oracles.cell_number(MAIN, 1, 2, 0, STEADY, code)
    here, come = 40, []
    # a quarter go to the second pool, and 0.3 / 0.75 of the others to the third
    for target, part in ((1, 0.25), (2, 0.4)):
        where = oracles_draws.Address(int(SEED), PATH, Purpose.MIGRATION, 5 + target * 4096, cell)
        come.append(oracles_draws.binomial(where, here, part))
        here -= come[-1]
    migrate(small)
    assert small.state.members[[OTHER, YOUNG_PLAN], 0, 0, STEADY, M0].tolist() == come
    assert small.state.members[MAIN, 1, 0, STEADY, M0] == here > 0
    assert min(come) > 0


def test_all_may_go_even_where_the_parts_add_up_to_one_by_rounding_only() -> None:
    # 0.1 / (1 - 0.9) is a little more than 1
    small = ended({"industry.migration": {"one": {"two": 0.9, "three": 0.1}}})
    assert sum(migrate(small)) == 100


@pytest.mark.statistical
def test_who_is_too_old_for_one_pool_does_not_come_to_the_next_more_often() -> None:
    """Of 60 too old for the first target a quarter comes to the second: z bound 5, 6e-7."""
    total, paths = 0, 300
    changes = {
        "industry.migration": {"one": {"two": 0.5, "three": 0.25}},
        "plans.other.max_age": 29,
    }
    for path in range(paths):
        small = ended(changes)
        joining.migrate(small.parameters, small.state, SEED, path, 5)
        total += int(small.state.members[WHOLE_PLAN].sum())
    people = 60 * paths
    error = math.sqrt(0.25 * 0.75 / people)
    assert total / people == pytest.approx(0.25, abs=5 * error)
