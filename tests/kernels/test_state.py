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
    SEED,
    STAGES,
    STANDARD,
    STEADY,
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
    assert state.pool["market_left"][0] == 10_000 - 15


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
    assert small.state.wear[0, STAGES - 1] == pytest.approx(mean, rel=1e-14)
    assert list(small.state.wear[0, : WAIT + 2]) == [1.0] * (WAIT + 2)
    small.state.wear[:] = 0.0
    assert small.parameters.initial_wear.all(), "a path must not change its parameters"


def test_a_pool_has_room_for_the_longest_grace_and_wait_of_its_plans() -> None:
    other = BASE["plans"]["main"] | {"grace_failures": 4, "wait_periods": 7}
    state = pool({"plans.other": other}).state
    assert state.members.shape == (2, 7 + 3, 4, 2, 12)
    assert state.debt.shape == (2, 7 + 3, 3, 2, 12)
    assert (state.unbilled == 1.0).all()


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
