"""The state of the pools of one market, and the one way in which numbers are drawn for its cells.

A cell holds members who are exchangeable: same plan, tenure stage, arrears, motive, health, age
band and sex. Health, age band and sex make the group, the last axis; a block is all cells of one
plan, stage and arrears. Claimants waiting for their assessment are members, but stand apart: they
are past being at risk.
"""

from typing import NamedTuple, cast

import numpy as np

from kernels.compiling import borrowing_kernel, inlined_kernel, kernel
from kernels.draws import Stream, binomial
from kernels.dtypes import (
    CELL_ROW,
    LAPSE_CAUSES,
    MARKET_STATE,
    PLAN_STATE,
    POOL_STATE,
    STAGE_STATE,
)
from kernels.parameters import Float64, Int64, Parameters, Records

BASE = 0
FIRST_BILL = 1
BILL_SHOCK = 2
GROWTH = 3
BURDEN = 4
NEWS = 5
COMPETITOR = 6
REGULATION = 7
DIED = 8
AGED_OUT = 9
MOVED = 10
EARLY_DIAGNOSIS = 11
CLAIMED = 12
REJECTED = 13
ARREARS = 14
BALANCE_EXHAUSTED = 15
CAUSES = len(LAPSE_CAUSES)

# Address of a draw that concerns the market as a whole. Of this type because Numba would compile a
# kernel once more for the literal 0.
WHOLE_MARKET = cast(int, np.int64(0))
ENTRY = cast(int, np.int64(0))  # the stage of newcomers
NOBODY = cast(int, np.int64(0))

# Outcomes of an assessment, the axis of `pending` and `diagnosed`.
ACCEPTED = 0
REFUSED = 1

# In a cell's address tenure takes 8 bits: waiting periods below 128, bands past them above, so
# that a longer waiting period leaves the addresses of everybody else where they were.
FIRST_BAND_CODE = 128


class State(NamedTuple):
    """The pools as they stand; axes as in `kernels.parameters`.

    members : int64[P, S, K, C, G], persons
    debt : float64[P, S, K - 1, C, G], yuan, what the members with failed bills owe together
    stage : STAGE_STATE[P, S]
    charged_year : float64[P, S, G], yuan, charged to a member since the cap year began
    balance : float64[P, S, G], yuan, a member's prepaid balance
    pending : int64[P, D, 2, G], claims due by slot (period modulo D) and outcome
    pending_members : int64[P, G], persons who are members and wait for their assessment
    diagnosed : int64[P, 2, G], claims of this period by outcome
    accepted : int64[P, G, V], cases of this period
    incidence : float64[P, S, G], probability of a diagnosis this period
    payers : int64[P, S, G], persons billed this period
    weight, cap, charge : float64[P, S, G], apportionment weight; yuan a member
    expectation : float64[P, C], yuan a period
    left : int64[P, causes], persons who left this period
    chance : float64[C, G], probabilities of the block at hand
    drawn : int64[C, G], persons drawn from the block at hand
    cells : CELL_ROW[P, G], what each group paid and received so far, who was left at the closure
    plan : PLAN_STATE[P]
    pool : POOL_STATE[Q]
    market : MARKET_STATE[1]
    """

    members: Int64
    debt: Float64
    stage: Records
    charged_year: Float64
    balance: Float64
    pending: Int64
    pending_members: Int64
    diagnosed: Int64
    accepted: Int64
    incidence: Float64
    payers: Int64
    weight: Float64
    cap: Float64
    charge: Float64
    expectation: Float64
    left: Int64
    chance: Float64
    drawn: Int64
    cells: Records
    plan: Records
    pool: Records
    market: Records


@kernel
def new_state(parameters: Parameters) -> State:
    """Set up the pools as they stand before period 0.

    Parameters
    ----------
    parameters : Parameters

    Returns
    -------
    State
        Freshly allocated; holds the initial members, who are taken out of the market.
    """
    plans, stages, motives, groups = parameters.initial_members.shape
    arrears = most(parameters.grace)
    state = State(
        members=np.zeros((plans, stages, arrears, motives, groups), np.int64),
        debt=np.zeros((plans, stages, arrears - 1, motives, groups), np.float64),
        stage=np.zeros((plans, stages), STAGE_STATE),
        charged_year=np.zeros((plans, stages, groups), np.float64),
        balance=np.zeros((plans, stages, groups), np.float64),
        pending=np.zeros((plans, parameters.delay.size, 2, groups), np.int64),
        pending_members=np.zeros((plans, groups), np.int64),
        diagnosed=np.zeros((plans, 2, groups), np.int64),
        accepted=np.zeros((plans, groups, parameters.severity.size), np.int64),
        incidence=np.zeros((plans, stages, groups), np.float64),
        payers=np.zeros((plans, stages, groups), np.int64),
        weight=np.zeros((plans, stages, groups), np.float64),
        cap=np.zeros((plans, stages, groups), np.float64),
        charge=np.zeros((plans, stages, groups), np.float64),
        expectation=np.zeros((plans, motives), np.float64),
        left=np.zeros((plans, CAUSES), np.int64),
        chance=np.zeros((motives, groups), np.float64),
        drawn=np.zeros((motives, groups), np.int64),
        cells=np.zeros((plans, groups), CELL_ROW),
        plan=np.zeros(plans, PLAN_STATE),
        pool=np.zeros(parameters.pool.size, POOL_STATE),
        market=np.zeros(1, MARKET_STATE),
    )
    for plan in range(plans):
        open_plan(parameters, state, plan)
    for pool in range(parameters.pool.size):
        state.pool[pool]["cash"] = parameters.pool[pool]["funding"]
        state.pool[pool]["closure_period"] = -1
        state.pool[pool]["members"] = pool_members(parameters, state, pool)
    count = market_members(state)
    state.market[0]["market_left"] = parameters.market[0]["market"] - count
    return state


@inlined_kernel
def open_plan(parameters: Parameters, state: State, plan: int) -> None:
    """Put a plan's initial members in their cells, with what they expect and have paid in.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    plan : int64
    """
    settings = parameters.plans[plan]
    initial = parameters.initial_members[plan]
    state.plan[plan]["smoothed"] = settings["advertised_share"]
    state.plan[plan]["reserve"] = settings["reserve"]
    for motive in range(initial.shape[1]):
        state.expectation[plan, motive] = settings["advertised_share"]
    for stage in range(initial.shape[0]):
        state.stage[plan, stage]["wear"] = parameters.initial_wear[plan, stage]
        state.stage[plan, stage]["unbilled"] = 1.0
        state.stage[plan, stage]["loyalty"] = parameters.initial_loyalty[plan, stage]
        for group in range(initial.shape[2]):
            members = NOBODY
            for motive in range(initial.shape[1]):
                count = initial[stage, motive, group]
                state.members[plan, stage, 0, motive, group] = count
                members += count
            if settings["deposit"] >= 0.0 and not parameters.groups[group]["is_padding"]:
                state.balance[plan, stage, group] = settings["deposit"]
                state.plan[plan]["balances"] += members * settings["deposit"]


@inlined_kernel
def most(counts: Int64) -> int:
    """Find the largest of int64[P, G] counts."""
    largest = counts[0, 0]
    for plan in range(counts.shape[0]):
        for group in range(counts.shape[1]):
            largest = max(largest, counts[plan, group])
    return largest


@kernel
def block_address(plan: int, stage: int, arrears: int, wait: int) -> int:
    """Give the address of a block, to which a cell adds its motive and its group's code.

    An address depends on what a cell is, not on how many cells there are, so that two points of a
    sweep that differ in waiting period, classes or bands still share their random numbers.

    Parameters
    ----------
    plan, stage, arrears : int64, < 16, < 256, < 8
    wait : periods of waiting of the plan, 0..128

    Returns
    -------
    int64, below 2**28, its lowest 13 bits zero
    """
    code = stage if stage < wait else FIRST_BAND_CODE + stage - wait
    return (((plan << 8) | code) << 16) | (arrears << 13)


@kernel
def cell_address(block: int, motive: int, group_code: int) -> int:
    """Give the number under which a cell's random numbers are drawn, below 2**28.

    Parameters
    ----------
    block : a `block_address`
    motive : int64, < 8
    group_code : int64, < 2**10, the `code` of its group
    """
    return block | (motive << 10) | group_code


@borrowing_kernel
def draw_cells(
    place: Stream,
    block: int,
    groups: Records,
    members: Int64,
    chance: Float64,
    drawn: Int64,
) -> int:
    """Draw, for each cell of a block, how many of its members something happens to.

    This is the inner loop of everything: a binomial for each cell that is not empty.

    Parameters
    ----------
    place : Stream
    block : a `block_address`
    groups : GROUP_PARAMETERS[G]
    members : int64[C, G], persons
    chance : float64[C, G], probability
    drawn : int64[C, G], filled, persons

    Returns
    -------
    int64, persons in all
    """
    total = 0
    for motive in range(members.shape[0]):
        for group in range(members.shape[1]):
            count = 0
            if members[motive, group] > 0:
                where = cell_address(block, motive, groups[group]["code"])
                count = binomial(place, where, members[motive, group], chance[motive, group])
            drawn[motive, group] = count
            total += count
    return total


@borrowing_kernel
def remove(state: State, cell: tuple[int, int, int, int, int], count: int) -> float:
    """Take members out of one cell, each with an equal part of what the cell owes.

    Parameters
    ----------
    state : State, changed
    cell : plan, stage, arrears, motive, group
    count : int64, persons, 0 .. members of the cell

    Returns
    -------
    float64, yuan they owed, no longer in the state's debt but still outstanding
    """
    members = state.members[cell]
    state.members[cell] = members - count
    plan, stage, arrears, motive, group = cell
    if arrears == 0 or count == 0:
        return 0.0
    owing = (plan, stage, arrears - 1, motive, group)
    here = state.debt[owing]
    debt = here if count == members else here * count / members
    state.debt[owing] = here - debt
    return debt


@borrowing_kernel
def leave(state: State, plan: int, stage: int, arrears: int) -> None:
    """Take the drawn members out of their block; what they owe is written off.

    Parameters
    ----------
    state : State, changed
    plan, stage, arrears : int64, the block; `state.drawn` says who
    """
    members = state.members[plan, stage, arrears]
    if arrears == 0:
        for motive in range(members.shape[0]):
            for group in range(members.shape[1]):
                members[motive, group] -= state.drawn[motive, group]
        return
    for motive in range(members.shape[0]):
        for group in range(members.shape[1]):
            count = state.drawn[motive, group]
            write_off(state, plan, remove(state, (plan, stage, arrears, motive, group), count))


@borrowing_kernel
def write_off(state: State, plan: int, debt: float) -> None:
    """Move money from what is outstanding to what is written off this period.

    Parameters
    ----------
    state : State, changed
    plan : int64
    debt : float64, yuan
    """
    state.plan[plan]["outstanding"] -= debt
    state.plan[plan]["written_off"] += debt


@borrowing_kernel
def block_members(members: Int64) -> int:
    """Count the members (int64, persons) of one block, int64[C, G]."""
    count = 0
    for motive in range(members.shape[0]):
        for group in range(members.shape[1]):
            count += members[motive, group]
    return count


@borrowing_kernel
def stage_members(members: Int64) -> int:
    """Count the members (int64, persons) of one stage, int64[K, C, G]; claimants are aside."""
    count = 0
    for arrears in range(members.shape[0]):
        count += block_members(members[arrears])
    return count


@borrowing_kernel
def plan_members(members: Int64, pending_members: Int64) -> int:
    """Count the members of one plan, claimants included.

    Parameters
    ----------
    members : int64[S, K, C, G], persons
    pending_members : int64[G], persons

    Returns
    -------
    int64, persons
    """
    count = 0
    for stage in range(members.shape[0]):
        count += stage_members(members[stage])
    for group in range(pending_members.size):
        count += pending_members[group]
    return count


@borrowing_kernel
def pool_members(parameters: Parameters, state: State, pool: int) -> int:
    """Count the members of all plans of a pool (int64, persons)."""
    members = NOBODY
    for plan in range(state.plan.size):
        if parameters.plans[plan]["pool"] == pool:
            members += plan_members(state.members[plan], state.pending_members[plan])
    return members


@borrowing_kernel
def market_members(state: State) -> int:
    """Count the members of all pools that have not ended (int64, persons), as last counted."""
    members = NOBODY
    for pool in range(state.pool.size):
        if not state.pool[pool]["closed"]:
            members += state.pool[pool]["members"]
    return members


@inlined_kernel
def group_members(members: Int64, group: int) -> int:
    """Count the members (int64, persons) of one group in a stage, int64[K, C, G]."""
    count = 0
    for arrears in range(members.shape[0]):
        for motive in range(members.shape[1]):
            count += members[arrears, motive, group]
    return count


@inlined_kernel
def add_to_balance(
    state: State, plan: int, stage: int, group: int, count: int, balance: float
) -> None:
    """Average a member's balance with that of people about to enter his stage and group.

    Parameters
    ----------
    state : State, changed
    plan, stage, group : int64
    count : int64, persons, > 0
    balance : float64, yuan, of each of them
    """
    here = state.balance[plan, stage, group]
    if balance != here:
        part = count / (count + group_members(state.members[plan, stage], group))
        state.balance[plan, stage, group] = here + part * (balance - here)


@borrowing_kernel
def pay_deposits(
    parameters: Parameters, state: State, plan: int, stage: int, group: int, count: int
) -> None:
    """Take the deposits of people about to enter a cell of a plan with prepaid balances.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    plan, stage, group : int64
    count : int64, persons; people who are nobody pay nothing
    """
    deposit = parameters.plans[plan]["deposit"]
    if count > 0 and deposit >= 0.0 and not parameters.groups[group]["is_padding"]:
        add_to_balance(state, plan, stage, group, count, deposit)
        state.plan[plan]["paid_in"] += count * deposit


@inlined_kernel
def own_part(state: State, plan: int, stage: int) -> float:
    """Give the part of a stage's charges that its members pay themselves (float64, 0..1).

    The platform may pay the first non-trivial bill of those who have had none.
    """
    return 1.0 - state.plan[plan]["gives"] * state.stage[plan, stage]["free"]
