"""Step 5, second half: collecting the bills (MODEL section 5).

A bill that fails is owed on top of the next one; after `grace` failures in succession the member
is removed and what he owes is written off.

In a plan with prepaid balances charges are drawn from the balance. Who falls below the plan's low
balance tops it up to the deposit, or leaves and has the rest of it back (MODEL section 4).

Laws: billed + outstanding before = collected + outstanding after + written off; balances change by
what is paid in and interest, less what is drawn and paid back.
"""

import numpy as np

from kernels.compiling import borrowing_kernel, inlined_kernel
from kernels.draws import Purpose, Stream, binomial, stream
from kernels.parameters import Parameters
from kernels.state import (
    ARREARS,
    BALANCE_EXHAUSTED,
    NOBODY,
    State,
    block_address,
    cell_address,
    group_members,
    own_part,
    remove,
    write_off,
)

TO_PLATFORM = 0
TO_NEXT_PERIOD = 1


@borrowing_kernel
def collect(
    parameters: Parameters,
    state: State,
    seed: int,
    path: int,
    plan: int,
    period: int,
    billed: float,
) -> None:
    """Collect a plan's bills of the period.

    Claimants who wait for their assessment always pay.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: arrears, debts, collected and outstanding money
    seed, path, plan, period : int64
    billed : float64, yuan
    """
    place = stream(seed, path, Purpose.PAYMENT, period)
    top_ups = stream(seed, path, Purpose.TOP_UP, period)
    failure = parameters.failure
    prepaid = parameters.plans[plan]["deposit"] >= 0.0
    _, stages, _, motives, groups = state.members.shape
    failed = 0.0
    for stage in range(stages):
        for group in range(groups):
            if prepaid and not parameters.groups[group]["is_padding"]:
                failed += draw_balances(parameters, state, top_ups, plan, stage, group)
                continue
            for motive in range(motives):
                # without failures nobody is ever in arrears; who is not billed is charged nothing
                if failure[motive, group] > 0.0 and state.charge[plan, stage, group] > 0.0:
                    failed += collect_cell(parameters, state, place, (plan, stage, motive, group))
    state.plan[plan]["collected"] += billed - failed


@inlined_kernel
def draw_balances(
    parameters: Parameters, state: State, place: Stream, plan: int, stage: int, group: int
) -> float:
    """Draw the charge of one group in one stage from its balances, and let members top them up.

    Members of a stage who joined in the same period have the same balance, so they reach the low
    balance together; where a stage holds several joining periods its mean balance decides.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    place : Stream of top-ups
    plan, stage, group : int64

    Returns
    -------
    float64, yuan charged that the balances of those who leave did not cover
    """
    settings = parameters.plans[plan]
    members = group_members(state.members[plan, stage], group)
    charge = state.charge[plan, stage, group] * own_part(state, plan, stage)
    if members == 0 or charge == 0.0:
        return 0.0
    balance = state.balance[plan, stage, group] - charge
    state.balance[plan, stage, group] = balance
    state.plan[plan]["drawn"] += members * charge
    if balance >= settings["low_balance"]:
        return 0.0
    block = block_address(plan, stage, NOBODY, settings["wait"])
    gone = 0
    for motive in range(state.members.shape[3]):
        here = state.members[plan, stage, 0, motive, group]
        where = cell_address(block, motive, parameters.groups[group]["code"])
        staying = binomial(place, where, here, settings["top_up"])
        state.members[plan, stage, 0, motive, group] = staying
        gone += here - staying
    state.left[plan, BALANCE_EXHAUSTED] += gone
    state.balance[plan, stage, group] = settings["deposit"]
    state.plan[plan]["paid_in"] += (members - gone) * (settings["deposit"] - balance)
    missing = gone * max(0.0, -balance)
    state.plan[plan]["drawn"] -= missing
    state.plan[plan]["written_off"] += missing
    return missing


@inlined_kernel
def close_balances(parameters: Parameters, state: State, row: np.void, plan: int) -> None:
    """Reckon the balances at the end of a period, and what was paid back to those who left.

    Parameters
    ----------
    parameters : Parameters
    state : State, balances changed by interest
    row : PERIOD_ROW, paid_in, paid_back, balances and interest filled
    plan : int64
    """
    settings = parameters.pool[parameters.plans[plan]["pool"]]
    money = state.plan[plan]
    interest = settings["interest"] * max(0.0, money["reserve"])
    if not settings["keeps_interest"]:
        money["reserve"] += interest
    row["interest"] = interest
    if parameters.plans[plan]["deposit"] < 0.0:
        return
    left = 0.0
    for stage in range(state.balance.shape[1]):
        for group in range(state.balance.shape[2]):
            members = group_members(state.members[plan, stage], group)
            left += members * state.balance[plan, stage, group]
    row["paid_in"] = money["paid_in"]
    row["paid_back"] = money["balances"] + money["paid_in"] - money["drawn"] - left
    growth = 0.0 if settings["keeps_interest"] else settings["interest"]
    for stage in range(state.balance.shape[1]):
        for group in range(state.balance.shape[2]):
            state.balance[plan, stage, group] *= 1.0 + growth
    row["interest"] += settings["interest"] * left
    money["balances"] = left * (1.0 + growth)
    row["balances"] = money["balances"]


@inlined_kernel
def collect_cell(
    parameters: Parameters, state: State, place: Stream, cell: tuple[int, int, int, int]
) -> float:
    """Collect the bills of one cell's members, whatever their arrears.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    place : Stream of payments
    cell : plan, stage, motive, group

    Returns
    -------
    float64, yuan, this period's bills that failed
    """
    plan, stage, motive, group = cell
    charge = state.charge[plan, stage, group] * own_part(state, plan, stage)
    failure = parameters.failure[motive, group]
    back = 0
    failed_bills = 0.0
    # the longest in arrears first, so that nobody fails twice in a period
    for late in range(state.members.shape[2] - 1, -1, -1):
        members = state.members[plan, stage, late, motive, group]
        if members == 0:
            continue
        block = block_address(plan, stage, late, parameters.plans[plan]["wait"])
        where = cell_address(block, motive, parameters.groups[group]["code"])
        failed = binomial(place, where, members, failure)
        bills = failed * charge
        failed_bills += bills
        state.plan[plan]["outstanding"] += bills
        if late > 0:
            recovered = remove(state, (plan, stage, late, motive, group), members - failed)
            state.plan[plan]["outstanding"] -= recovered
            state.plan[plan]["collected"] += recovered
            back += members - failed
        debt = remove(state, (plan, stage, late, motive, group), failed)
        if late + 1 >= parameters.grace[plan, group]:
            state.left[plan, ARREARS] += failed
            write_off(state, plan, debt + bills)
        else:
            state.members[plan, stage, late + 1, motive, group] += failed
            state.debt[plan, stage, late, motive, group] += debt + bills
    state.members[plan, stage, 0, motive, group] += back
    return failed_bills


@inlined_kernel
def bear_written_off(parameters: Parameters, state: State, plan: int) -> float:
    """Put what was written off this period on whoever bears it.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: carried
    plan : int64

    Returns
    -------
    float64, yuan, borne by the platform
    """
    written_off = state.plan[plan]["written_off"]
    if parameters.plans[plan]["uncollected_to"] == TO_NEXT_PERIOD:
        state.plan[plan]["carried"] += written_off
        return 0.0
    return written_off
