"""The pool as it stands: cells have addresses of their own, and who leaves is counted."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import state as kernel_state
from kernels.draws import Purpose, stream
from kernels.dtypes import LAPSE_CAUSES
from kernels.state import block_address, cell_address
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
    STAGES,
    STANDARD,
    STEADY,
    TWO_POOLS,
    WAIT,
    YOUNG,
    group,
    pool,
)

EXAMPLES = settings(max_examples=100, deadline=None, derandomize=True, database=None)

M0, F1 = group(STANDARD, YOUNG, MALE), group(STANDARD, OLD, FEMALE)


# Addresses


@EXAMPLES
@given(
    plan=st.integers(0, 15),
    wait=st.integers(0, 128),
    past=st.integers(-128, 127),
    arrears=st.integers(0, 7),
    motive=st.integers(0, 7),
    code=st.integers(0, 1023),
)
def test_a_cells_address_holds_its_plan_tenure_arrears_motive_and_group_side_by_side(
    plan: int, wait: int, past: int, arrears: int, motive: int, code: int
) -> None:
    stage = max(0, wait + past)
    fast = cell_address(block_address(plan, stage, arrears, wait), motive, code)
    assert fast == oracles.cell_number(plan, stage, wait, arrears, motive, code)
    assert 0 <= fast < 2**28


def test_a_longer_waiting_period_leaves_the_addresses_of_everybody_past_it() -> None:
    assert block_address(1, 6 + 3, 2, 6) == block_address(1, 12 + 3, 2, 12)
    assert block_address(1, 3, 2, 6) == block_address(1, 3, 2, 12)


def test_the_largest_pool_that_a_scenario_may_have_shares_no_address_between_blocks() -> None:
    wait, bands = 128, 128
    blocks = {
        int(block_address(plan, stage, arrears, wait))
        for plan, stage, arrears in itertools.product(range(16), range(wait + bands), range(8))
    }
    assert len(blocks) == 16 * (wait + bands) * 8
    assert all(block % 2**13 == 0 for block in blocks)


def test_names_of_causes_are_those_of_the_columns() -> None:
    for code, cause in enumerate(LAPSE_CAUSES):
        assert getattr(kernel_state, cause.upper()) == code
    assert len(LAPSE_CAUSES) == kernel_state.CAUSES


# A new pool


def initial(age: int, sex: str, **more: Any) -> dict[str, Any]:
    return {"age": age, "sex": sex, "motive": "steady", "health": "standard", "members": 1} | more


def test_initial_members_stand_in_their_cells_and_are_taken_out_of_the_market() -> None:
    people = [
        initial(29, "male", tenure_periods=1, members=4),
        initial(30, "female", tenure_periods=3, members=5, motive="bargain", health="impaired"),
        initial(59, "female", tenure_periods=40, members=6),
    ]
    state = pool({"initial_members": people, "plans.main.grace_failures": 2}).state
    assert state.members[0, 1, 0, STEADY, M0] == 4
    assert state.members[0, WAIT + 1, 0, BARGAIN, group(IMPAIRED, OLD, FEMALE)] == 5
    assert state.members[0, STAGES - 1, 0, STEADY, F1] == 6
    assert state.members.sum() == state.pool["members"][0] == 15
    assert state.market["market_left"][0] == 10_000 - 15


@pytest.mark.parametrize(("past", "band"), [(0, 0), (2, 0), (3, 1), (5, 1), (6, 2), (99, 2)])
def test_initial_members_stand_in_the_band_of_their_tenure(past: int, band: int) -> None:
    people = [initial(29, "male", tenure_periods=WAIT + past)]
    state = pool({"initial_members": people, "tenure.band_periods": 3}).state
    assert state.members[0, WAIT + band, 0, STEADY, M0] == 1


@pytest.mark.parametrize("classes", [1, 3])
def test_groups_keep_their_addresses_whatever_classes_there_are_besides(classes: int) -> None:
    names = ["standard", "impaired", "ineligible"][:classes]
    hollow = CHANNEL | {"padding": 0.5, "health": {"standard": 1.0}}
    small = pool({"health": {name: {} for name in names}, "channels.hollow": hollow})
    codes = small.parameters.groups["code"].reshape(classes + 1, 4).tolist()
    assert codes[0] == [0, 1, 2, 3]
    assert codes[-1] == [7 * 128 + risk for risk in range(4)]


def test_initial_members_bring_the_wear_of_their_tenure() -> None:
    people = [
        initial(29, "male", tenure_periods=WAIT + 5, members=1),
        initial(30, "female", tenure_periods=WAIT + 9, members=3),
        initial(30, "female", tenure_periods=WAIT, members=3),
    ]
    small = pool({"initial_members": people, "claims.selection_years": 2.0})
    mean = (oracles.wear(5, 2.0, 4) + 3 * oracles.wear(9, 2.0, 4)) / 4
    assert small.state.stage["wear"][0, STAGES - 1] == pytest.approx(mean, rel=1e-14)
    assert list(small.state.stage["wear"][0, : WAIT + 2]) == [1.0] * (WAIT + 2)
    small.state.stage["wear"][:] = 0.0
    assert small.parameters.initial_wear.all(), "a path must not change its parameters"


def test_a_pool_has_room_for_the_longest_grace_and_wait_of_its_plans() -> None:
    other = BASE["plans"]["main"] | {"grace_failures": 4, "wait_periods": 7}
    state = pool({"plans.other": other}).state
    assert state.members.shape == (2, 7 + 3, 4, 2, 12)
    assert state.debt.shape == (2, 7 + 3, 3, 2, 12)
    assert (state.stage["unbilled"] == 1.0).all()


# Draws and departures


def test_draws_of_a_block_are_those_of_the_twin_at_each_cells_address() -> None:
    small = pool()
    members = np.arange(24, dtype=np.int64).reshape(2, 12)
    chance = np.linspace(0.0, 1.0, 24).reshape(2, 12)
    drawn = np.full((2, 12), -1, np.int64)
    place = stream(SEED, 3, Purpose.LAPSE, 7)
    block = block_address(0, 1, 0, WAIT)
    groups = small.parameters.groups
    total = kernel_state.draw_cells(place, block, groups, members, chance, drawn)
    for motive, number in itertools.product(range(2), range(12)):
        cell = oracles.cell_number(0, 1, WAIT, 0, motive, int(groups["code"][number]))
        where = oracles_draws.Address(int(SEED), 3, Purpose.LAPSE, 7, cell)
        count = oracles_draws.binomial(
            where, int(members[motive, number]), float(chance[motive, number])
        )
        assert drawn[motive, number] == count
    assert total == drawn.sum() > 0


@EXAMPLES
@given(
    members=st.integers(1, 10**6),
    part=st.floats(0, 1),
    debt=st.floats(0, 1e7),
    arrears=st.integers(0, 2),
)
def test_who_leaves_a_cell_takes_an_equal_part_of_what_it_owes(
    members: int, part: float, debt: float, arrears: int
) -> None:
    small = pool({"plans.main.grace_failures": 3})
    count = round(part * members)
    small.state.members[0, WAIT, arrears, STEADY, M0] = members
    if arrears:
        small.state.debt[0, WAIT, arrears - 1, STEADY, M0] = debt
    taken = kernel_state.remove(small.state, (0, WAIT, arrears, STEADY, M0), count)
    assert small.state.members[0, WAIT, arrears, STEADY, M0] == members - count
    if arrears == 0:
        assert taken == small.state.debt.sum() == 0.0
        return
    assert taken == pytest.approx(debt * count / members, rel=1e-14)
    assert taken + small.state.debt.sum() == pytest.approx(debt, rel=1e-14)
    if count == members:
        assert small.state.debt.sum() == 0.0


@pytest.mark.parametrize("arrears", [0, 1])
def test_the_debt_of_who_leaves_is_written_off(arrears: int) -> None:
    small = pool({"plans.main.grace_failures": 2})
    state = small.state
    state.members[0, WAIT, arrears] = 4
    state.debt[0, WAIT, 0] = 2.0 * arrears
    state.plan["outstanding"][0] = state.debt.sum()
    state.drawn[:] = 1
    kernel_state.leave(state, 0, WAIT, arrears)
    assert (state.members[0, WAIT, arrears] == 3).all()
    assert state.plan["written_off"][0] == 24 * 0.5 * arrears
    assert state.plan["outstanding"][0] == state.debt.sum() == 24 * 1.5 * arrears


def test_members_are_counted_with_those_in_arrears_and_claimants() -> None:
    small = pool({"plans.main.grace_failures": 2})
    small.state.members[0, :, 1, BARGAIN, F1] = 2
    small.state.members[0, WAIT, 0, STEADY, M0] = 3
    small.state.pending_members[0, M0] = 7
    assert kernel_state.stage_members(small.state.members[0, WAIT]) == 5
    assert kernel_state.plan_members(small.state.members[0], small.state.pending_members[0]) == 20


# Money that members hold

PREPAID = {"plans.main.prepaid": {"deposit_yuan": 10.0}}


def test_initial_members_have_paid_in_their_deposits() -> None:
    people = [initial(29, "male", tenure_periods=9, members=4), initial(30, "female", members=3)]
    state = pool(PREPAID | {"initial_members": people}).state
    assert state.plan["balances"][0] == 70.0
    assert state.balance[0, STAGES - 1, M0] == state.balance[0, 0, F1] == 10.0
    assert state.plan["paid_in"][0] == 0.0, "that was before the first period"
    assert not pool({"initial_members": people}).state.balance.any()


def test_a_plan_starts_with_its_reserve_and_the_advertised_share() -> None:
    fund = {"plans.main.fixed_price_yuan_per_year": 4.0, "plans.main.reserve_yuan": 55.0}
    state = pool(fund | {"plans.main.advertised_share_yuan": 2.5}).state
    assert (state.plan["reserve"][0], state.plan["smoothed"][0]) == (55.0, 2.5)


def test_a_deposit_is_averaged_with_the_balances_of_those_who_are_there() -> None:
    small = pool(PREPAID | {"channels.hollow": CHANNEL | {"padding": 0.5}})
    state = small.state
    state.balance[0] = 2.0
    state.members[0, 0, 0, BARGAIN, M0] = 3
    kernel_state.pay_deposits(small.parameters, state, 0, 0, M0, 1)
    assert (state.balance[0, 0, M0], state.plan["paid_in"][0]) == (4.0, 10.0)
    kernel_state.pay_deposits(small.parameters, state, 0, 0, F1, 2)
    assert (state.balance[0, 0, F1], state.plan["paid_in"][0]) == (10.0, 30.0)
    kernel_state.pay_deposits(small.parameters, state, 0, 0, group(PADDING, OLD, MALE), 2)
    kernel_state.pay_deposits(small.parameters, state, 0, 0, M0, 0)
    assert state.plan["paid_in"][0] == 30.0, "nobody pays for nobody"
    plain = pool()
    kernel_state.pay_deposits(plain.parameters, plain.state, 0, 0, M0, 4)
    assert plain.state.plan["paid_in"][0] == plain.state.balance.sum() == 0.0


@pytest.mark.parametrize(("gives", "free", "own"), [(0, 1.0, 1.0), (1, 0.25, 0.75), (1, 1.0, 0.0)])
def test_members_pay_the_part_of_their_charges_that_is_not_a_first_bill_of_the_platforms(
    gives: int, free: float, own: float
) -> None:
    small = pool()
    small.state.plan["gives"][0] = gives
    small.state.stage["free"][0, WAIT] = free
    assert kernel_state.own_part(small.state, 0, WAIT) == own


# Several pools


def test_members_of_a_pool_are_those_of_its_plans_and_the_market_counts_open_pools() -> None:
    third = {"plans.third": BASE["plans"]["main"] | {"pool": "two"}}
    people = [
        initial(29, "male", plan=plan, members=members)
        for plan, members in (("main", 4), ("other", 5), ("third", 6))
    ]
    small = pool(third | {"initial_members": people}, base=TWO_POOLS)
    state = small.state
    assert state.pool["members"].tolist() == [4, 11]
    assert state.market["market_left"][0] == 10_000 - 15
    state.pending_members[2, M0] = 2
    members = [int(kernel_state.pool_members(small.parameters, state, q)) for q in (0, 1)]
    assert members == [4, 13]
    assert kernel_state.market_members(state) == 15, "as last counted"
    state.pool["closed"][0] = True
    assert kernel_state.market_members(state) == 11


def test_every_pool_starts_open_with_its_funding() -> None:
    funding = {"pools.two.platform": {"funding_yuan": 70.0}, "platform.funding_yuan": 20.0}
    state = pool(funding, base=TWO_POOLS).state
    assert state.pool["cash"].tolist() == [20.0, 70.0]
    assert state.pool["closure_period"].tolist() == [-1, -1]
    assert not state.pool["closed"].any()
