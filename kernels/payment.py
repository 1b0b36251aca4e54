"""Step 5, second half: collecting the bills (MODEL section 5).

A bill that fails is owed on top of the next one; after `grace` failures in succession the member
is removed and what he owes is written off.

Law: billed + outstanding before = collected + outstanding after + written off.
"""

from kernels.compiling import inlined_kernel, kernel
from kernels.draws import Purpose, Stream, binomial, stream
from kernels.parameters import Parameters
from kernels.state import ARREARS, State, block_address, cell_address, remove, write_off

TO_PLATFORM = 0
TO_NEXT_PERIOD = 1


@kernel
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
    failure = parameters.failure
    _, stages, _, motives, groups = state.members.shape
    failed = 0.0
    for stage in range(stages):
        for motive in range(motives):
            for group in range(groups):
                # without failures nobody is ever in arrears; who is not billed is charged nothing
                if failure[motive, group] > 0.0 and state.charge[plan, stage, group] > 0.0:
                    failed += collect_cell(parameters, state, place, (plan, stage, motive, group))
    state.plan[plan]["collected"] += billed - failed


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
    charge = state.charge[plan, stage, group]
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
