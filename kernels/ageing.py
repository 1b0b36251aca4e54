"""Step 1: tenure advances every period, ages once a year (MODEL section 1).

Law: nobody is lost. Members who pass their plan's `max_age` leave as `aged_out`, or leave as
`moved` and join their plan's successor with the same number.
"""

import numpy as np

from kernels.compiling import borrowing_kernel, inlined_kernel
from kernels.draws import Purpose, stream
from kernels.parameters import Parameters
from kernels.state import (
    AGED_OUT,
    MOVED,
    State,
    add_to_balance,
    block_address,
    draw_cells,
    group_members,
    pay_deposits,
    remove,
    stage_members,
    write_off,
)


@borrowing_kernel
def merge_stage(state: State, plan: int, source: int, target: int) -> None:
    """Move a whole stage of tenure into another one, which may hold members.

    What is known of a stage as a whole (wear of selection, who has been billed, what was charged
    this year) becomes the mean over both, weighted by members.

    Parameters
    ----------
    state : State, changed; the source is left empty
    plan, source, target : int64
    """
    moving = stage_members(state.members[plan, source])
    if moving == 0:
        # an empty stage is charged like the others; who enters it next has not been
        state.charged_year[plan, source] = 0.0
        state.balance[plan, source] = 0.0
        return
    part = moving / (moving + stage_members(state.members[plan, target]))
    average(state.stage[plan, target], state.stage[plan, source], part)
    merge_accounts(state, plan, source, target)
    _, _, arrears, motives, groups = state.members.shape
    for late in range(arrears):
        for motive in range(motives):
            for group in range(groups):
                members = state.members[plan, source, late, motive, group]
                state.members[plan, target, late, motive, group] += members
                state.members[plan, source, late, motive, group] = 0
                if late > 0:
                    debt = state.debt[plan, source, late - 1, motive, group]
                    state.debt[plan, target, late - 1, motive, group] += debt
                    state.debt[plan, source, late - 1, motive, group] = 0.0


@inlined_kernel
def average(target: np.void, source: np.void, part: float) -> None:
    """Average what is known of two stages as a whole.

    Parameters
    ----------
    target, source : STAGE_STATE, the target changed
    part : float64, 0..1, share of the members who come from the source
    """
    target["wear"] += part * (source["wear"] - target["wear"])
    target["unbilled"] += part * (source["unbilled"] - target["unbilled"])
    target["free"] += part * (source["free"] - target["free"])
    target["loyalty"] += part * (source["loyalty"] - target["loyalty"])


@inlined_kernel
def merge_accounts(state: State, plan: int, source: int, target: int) -> None:
    """Average what members of two stages were charged this year and have on their balance.

    Parameters
    ----------
    state : State, changed; called before the members move
    plan, source, target : int64
    """
    charged, balance = state.charged_year[plan], state.balance[plan]
    for group in range(charged.shape[1]):
        gap = charged[source, group] - charged[target, group]
        difference = balance[source, group] - balance[target, group]
        if gap != 0.0 or difference != 0.0:
            moving = group_members(state.members[plan, source], group)
            staying = group_members(state.members[plan, target], group)
            if moving > 0:
                part = moving / (moving + staying)
                charged[target, group] += gap * part
                balance[target, group] += difference * part
        charged[source, group] = 0.0
        balance[source, group] = 0.0


@inlined_kernel
def advance_tenure(parameters: Parameters, state: State, plan: int, period: int) -> None:
    """Let a period of tenure pass for every member of a plan.

    Waiting periods move one stage on. Past them, selection wears off, and every
    `band_periods` periods the bands move one on, the last one keeping who is there.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    plan, period : int64
    """
    market = parameters.market[0]
    first = parameters.plans[plan]["wait"]
    last = first + market["bands"] - 1
    for stage in range(last + 1):
        if stage >= first:
            state.stage[plan, stage]["wear"] *= market["selection_decay"]
        state.stage[plan, stage]["loyalty"] *= market["loyalty_decay"]
    if period % market["band_periods"] == 0:
        for stage in range(last - 1, first - 1, -1):
            merge_stage(state, plan, stage, stage + 1)
    for stage in range(first - 1, -1, -1):
        merge_stage(state, plan, stage, stage + 1)


@borrowing_kernel
def advance_age(
    parameters: Parameters, state: State, seed: int, path: int, plan: int, period: int
) -> None:
    """Let a year of age pass for every member of a plan, claimants aside.

    In a band of w years, birth years are taken as evenly filled, so that each member passes into
    the next band with probability 1/w; bands of one year are exact.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    seed, path, plan, period : int64
    """
    wait = parameters.plans[plan]["wait"]
    place = stream(seed, path, Purpose.AGEING, period)
    _, stages, arrears, motives, groups = state.members.shape
    for motive in range(motives):
        for group in range(groups):
            state.chance[motive, group] = 1.0 / parameters.groups[group]["band_years"]
    for stage in range(stages):
        for late in range(arrears):
            block = block_address(plan, stage, late, wait)
            members = state.members[plan, stage, late]
            if draw_cells(place, block, parameters.groups, members, state.chance, state.drawn):
                age_block(parameters, state, plan, stage, late)


@inlined_kernel
def age_block(parameters: Parameters, state: State, plan: int, stage: int, late: int) -> None:
    """Send the drawn members of a block into the next age band of their sex, or away.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed; `drawn` says who
    plan, stage, late : int64, the block
    """
    _, _, _, motives, groups = state.members.shape
    heir = parameters.plans[plan]["successor"]
    last = parameters.plans[plan]["last_band"]
    for motive in range(motives):
        # from the oldest down, so that who arrives is not among those who go
        for group in range(groups - 1, -1, -1):
            older = state.drawn[motive, group]
            if older == 0:
                continue
            debt = remove(state, (plan, stage, late, motive, group), older)
            if parameters.groups[group]["band"] < last:
                if parameters.plans[plan]["deposit"] >= 0.0:
                    account = state.balance[plan, stage, group]
                    add_to_balance(state, plan, stage, group + 2, older, account)
                state.members[plan, stage, late, motive, group + 2] += older
                if late > 0:
                    state.debt[plan, stage, late - 1, motive, group + 2] += debt
            else:
                write_off(state, plan, debt)
                state.left[plan, AGED_OUT if heir < 0 else MOVED] += older
                if heir >= 0:
                    move_in(parameters, state, plan, stage, motive, group, older)


@inlined_kernel
def move_in(
    parameters: Parameters,
    state: State,
    plan: int,
    stage: int,
    motive: int,
    group: int,
    count: int,
) -> None:
    """Let the successor plan take over members past their plan's oldest age.

    They enter its last stage, their waiting period served and their earlier bills settled; a
    prepaid balance is paid back and a new one paid in.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    plan, stage, motive, group : int64, the cell they leave
    count : int64, persons, > 0
    """
    heir = parameters.plans[plan]["successor"]
    last = parameters.plans[heir]["wait"] + parameters.market[0]["bands"] - 1
    part = count / (count + stage_members(state.members[heir, last]))
    arriving = state.stage[heir, last]
    arriving["wear"] += part * (state.stage[plan, stage]["wear"] - arriving["wear"])
    arriving["unbilled"] += part * (1.0 - arriving["unbilled"])
    free = state.stage[plan, stage]["free"] if parameters.plans[heir]["first_bill_free"] else 0.0
    arriving["free"] += part * (free - arriving["free"])
    arriving["loyalty"] += part * (state.stage[plan, stage]["loyalty"] - arriving["loyalty"])
    pay_deposits(parameters, state, heir, last, group + 2, count)
    state.members[heir, last, 0, motive, group + 2] += count
    state.plan[heir]["moved_in"] += count


@inlined_kernel
def begin_year(state: State) -> None:
    """Forget what was charged towards the annual caps."""
    state.charged_year[:] = 0.0
