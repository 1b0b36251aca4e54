"""Step 6: who leaves, and why (MODEL section 6).

Causes compete: their intensities add up to L, a member leaves with probability 1 - exp(-L), and
given that he leaves, the cause is i with probability L_i / L. Only who is billed reacts to bills.

Law: lapses = sum over causes; no cause without intensity takes anybody.
"""

import math

import numpy as np

from kernels.compiling import inlined_kernel, kernel
from kernels.draws import Purpose, Stream, multinomial, stream
from kernels.parameters import Float64, Int64, Parameters
from kernels.state import (
    BASE,
    BILL_SHOCK,
    BURDEN,
    COMPETITOR,
    DIED,
    FIRST_BILL,
    GROWTH,
    NEWS,
    NOBODY,
    REGULATION,
    State,
    block_address,
    cell_address,
    draw_cells,
    leave,
)

# Causes that compete here are the first nine; the others are decided in their own steps.
COMPETING = DIED + 1


@inlined_kernel
def bill_gap(share: float, expectation: float, shock_cap: float) -> float:
    """Compute by how much a bill exceeds what was expected, relative to it.

    Parameters
    ----------
    share, expectation : float64, yuan, >= 0
    shock_cap : float64, the largest gap that members react to

    Returns
    -------
    float64, 0..shock_cap
    """
    if share <= expectation:
        return 0.0
    if share - expectation >= shock_cap * expectation:
        return shock_cap
    return (share - expectation) / expectation


@inlined_kernel
def log_growth(share: float, share_before: float, shock_cap: float) -> float:
    """Compute the growth of the log share, zero where it fell or there was none before.

    Parameters
    ----------
    share, share_before : float64, yuan, >= 0
    shock_cap : float64, the largest growth that members react to

    Returns
    -------
    float64, 0..shock_cap
    """
    if share_before <= 0.0 or share <= share_before:
        return 0.0
    return min(math.log(share / share_before), shock_cap)


@inlined_kernel
def set_intensities(
    parameters: Parameters,
    state: State,
    plan: int,
    motive: int,
    period: int,
    intensity: Float64,
) -> None:
    """Fill in the intensity of each competing cause for a motive, as if its members were billed.

    Burden and death are left at zero: they are not the same for all members of the motive, see
    `set_own_intensities`.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    plan, motive, period : int64
    intensity : float64[9], filled, per period
    """
    factor = parameters.lapse[motive]
    pool, now = parameters.pool[0], parameters.periods[period]
    share = state.plan[plan]["share"]
    gap = bill_gap(share, state.expectation[plan, motive], pool["shock_cap"])
    growth = log_growth(share, state.plan[plan]["share_before"], pool["shock_cap"])
    intensity[BASE] = factor[BASE]
    intensity[FIRST_BILL] = (
        factor[FIRST_BILL] if share > parameters.plans[plan]["trivial_share"] else 0.0
    )
    intensity[BILL_SHOCK] = factor[BILL_SHOCK] * gap
    intensity[GROWTH] = factor[GROWTH] * growth
    intensity[BURDEN] = 0.0
    intensity[NEWS] = factor[NEWS] * state.pool[0]["news"]
    intensity[COMPETITOR] = factor[COMPETITOR] * now["competitor"]
    intensity[REGULATION] = factor[REGULATION] * now["announcement"]
    intensity[DIED] = 0.0


@inlined_kernel
def forget_bills(intensity: Float64) -> None:
    """Leave only the causes that act on members who are not billed.

    Parameters
    ----------
    intensity : float64[C, 9], changed
    """
    for motive in range(intensity.shape[0]):
        intensity[motive, FIRST_BILL] = 0.0
        intensity[motive, BILL_SHOCK] = 0.0
        intensity[motive, GROWTH] = 0.0
        intensity[motive, BURDEN] = 0.0


@kernel
def leaving_probability(intensity: Float64, unbilled: float, mix: Float64) -> float:
    """Compute the probability of leaving, and of each cause given that one leaves.

    The intensity of a first bill acts on the unbilled part of the members only.

    Parameters
    ----------
    intensity : float64[9], per period
    unbilled : float64, 0..1
    mix : float64[9], filled, sums to 1 where the result is positive

    Returns
    -------
    float64, 0..1
    """
    common = 0.0
    for cause in range(COMPETING):
        if cause != FIRST_BILL:
            common += intensity[cause]
    first = common + intensity[FIRST_BILL]
    # leaving per unit of intensity, among those billed before and those billed first
    before_rate = -math.expm1(-common) / common if common > 0.0 else 1.0
    first_rate = -math.expm1(-first) / first if first > 0.0 else 1.0
    rate = before_rate + unbilled * (first_rate - before_rate)
    new = unbilled * first_rate * intensity[FIRST_BILL]
    leaving = min(1.0, rate * common + new)  # rounding can pass 1
    if leaving > 0.0:
        for cause in range(COMPETING):
            mix[cause] = rate * intensity[cause] / leaving
        mix[FIRST_BILL] = new / leaving
    return leaving


@kernel
def lapse_members(
    parameters: Parameters,
    state: State,
    seed: int,
    path: int,
    plan: int,
    period: int,
) -> None:
    """Draw the lapses of one plan, stage by stage.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    seed, path, plan, period : int64
    """
    settings = parameters.plans[plan]
    wait = settings["wait"]
    first_billed = 0 if settings["waiting_members_pay"] else wait
    place = stream(seed, path, Purpose.LAPSE, period)
    split = stream(seed, path, Purpose.LAPSE_CAUSE, period)
    intensity = np.zeros((state.members.shape[3], COMPETING), np.float64)
    for motive in range(intensity.shape[0]):
        set_intensities(parameters, state, plan, motive, period, intensity[motive])
    # billed stages first: forgetting the bills cannot be undone
    for stage in range(wait + parameters.pool[0]["bands"] - 1, -1, -1):
        if stage < first_billed:
            forget_bills(intensity)
        billed = stage >= first_billed
        if parameters.pool[0]["mortal"] or charges_differ(state.charge[plan, stage]):
            own = stream(seed, path, Purpose.OWN_LAPSE_CAUSE, period)
            lapse_by_cell(parameters, state, (place, own, split), plan, stage, intensity)
        else:
            lapse_together(parameters, state, place, split, plan, stage, intensity)
        if billed and state.plan[plan]["share"] > settings["trivial_share"]:
            state.unbilled[plan, stage] = 0.0


@inlined_kernel
def lapse_together(
    parameters: Parameters,
    state: State,
    place: Stream,
    split: Stream,
    plan: int,
    stage: int,
    intensity: Float64,
) -> None:
    """Draw the lapses of a stage in which members of one motive have the same intensities.

    Numbers are drawn cell by cell, causes once a motive: given that somebody leaves, the cause
    does not depend on the cell.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    place, split : Stream of lapses, of their causes
    plan, stage : int64
    intensity : float64[C, 9], per period
    """
    _, _, arrears, motives, groups = state.members.shape
    wait = parameters.plans[plan]["wait"]
    mix = np.zeros((motives, COMPETING), np.float64)
    gone = np.zeros(motives, np.int64)
    unbilled = state.unbilled[plan, stage]
    for motive in range(motives):
        # charged alike, so the burden of the first group is that of all
        set_own_intensities(parameters, state, plan, stage, motive, 0, intensity)
        state.chance[motive, :] = leaving_probability(intensity[motive], unbilled, mix[motive])
    # the last block is that of no arrears, where causes are drawn for all
    block = NOBODY
    for late in range(arrears - 1, -1, -1):
        block = block_address(plan, stage, late, wait)
        members = state.members[plan, stage, late]
        draw_cells(place, block, parameters.groups, members, state.chance, state.drawn)
        leave(state, plan, stage, late)
        for motive in range(motives):
            for group in range(groups):
                gone[motive] += state.drawn[motive, group]
    for motive in range(motives):
        where = cell_address(block, motive, NOBODY)
        name_causes(state.left[plan], split, where, gone[motive], mix[motive])


@inlined_kernel
def charges_differ(charge: Float64) -> bool:
    """Tell whether the charges of a stage, float64[G], yuan a member, are not all the same."""
    for group in range(1, charge.size):
        if charge[group] != charge[0]:
            return True
    return False


@inlined_kernel
def lapse_by_cell(
    parameters: Parameters,
    state: State,
    streams: tuple[Stream, Stream, Stream],
    plan: int,
    stage: int,
    intensity: Float64,
) -> None:
    """Draw the lapses of a stage in which members differ in charge or mortality.

    Burden, death and a first bill weigh differently from cell to cell, so that these causes are
    drawn cell by cell; among the others a cause does not depend on the cell.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    streams : Stream of lapses, of causes drawn cell by cell, of causes drawn together
    plan, stage : int64
    intensity : float64[C, 9], per period; burden and deaths are set here
    """
    place, own, split = streams
    _, _, arrears, motives, groups = state.members.shape
    wait = parameters.plans[plan]["wait"]
    mix = np.zeros((motives, groups, COMPETING), np.float64)
    for motive in range(motives):
        for group in range(groups):
            set_own_intensities(parameters, state, plan, stage, motive, group, intensity)
            state.chance[motive, group] = leaving_probability(
                intensity[motive], state.unbilled[plan, stage], mix[motive, group]
            )
    others = np.zeros(motives, np.int64)
    block = NOBODY
    for late in range(arrears - 1, -1, -1):
        block = block_address(plan, stage, late, wait)
        members = state.members[plan, stage, late]
        if draw_cells(place, block, parameters.groups, members, state.chance, state.drawn) > 0:
            leave(state, plan, stage, late)
            name_own_causes(parameters, state, own, block, plan, mix, others)
    for motive in range(motives):
        keep_common(intensity[motive], mix[motive, 0])
        where = cell_address(block, motive, NOBODY)
        name_causes(state.left[plan], split, where, others[motive], mix[motive, 0])


@inlined_kernel
def name_own_causes(
    parameters: Parameters,
    state: State,
    own: Stream,
    block: int,
    plan: int,
    mix: Float64,
    others: Int64,
) -> None:
    """Draw who of a block's lapses left for a cause that weighs differently from cell to cell.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: lapses by cause; `drawn` says who left
    own : Stream of these causes
    block : a `block_address`
    plan : int64
    mix : float64[C, G, 9], probability of each cause, sums to 1
    others : int64[C], persons, increased by those who left for another cause
    """
    chance = np.zeros(4, np.float64)
    by_cause = np.zeros(4, np.int64)
    for motive in range(mix.shape[0]):
        for group in range(mix.shape[1]):
            lapses = state.drawn[motive, group]
            if lapses == 0:
                continue
            chance[0] = mix[motive, group, FIRST_BILL]
            chance[1] = mix[motive, group, BURDEN]
            chance[2] = mix[motive, group, DIED]
            chance[3] = 0.0
            for cause in range(COMPETING):
                if cause not in (FIRST_BILL, BURDEN, DIED):
                    chance[3] += mix[motive, group, cause]
            where = cell_address(block, motive, parameters.groups[group]["code"])
            multinomial(own, where, lapses, chance, by_cause)
            state.left[plan, FIRST_BILL] += by_cause[0]
            state.left[plan, BURDEN] += by_cause[1]
            state.left[plan, DIED] += by_cause[2]
            others[motive] += by_cause[3]


@inlined_kernel
def keep_common(intensity: Float64, mix: Float64) -> None:
    """Fill in the probability of each cause that weighs alike in all cells of a motive.

    Parameters
    ----------
    intensity : float64[9], per period
    mix : float64[9], filled, sums to 1 unless there is no such cause
    """
    total = 0.0
    for cause in range(COMPETING):
        if cause in (FIRST_BILL, BURDEN, DIED):
            mix[cause] = 0.0
        else:
            mix[cause] = intensity[cause]
            total += intensity[cause]
    if total > 0.0:
        for cause in range(COMPETING):
            mix[cause] /= total


@inlined_kernel
def set_own_intensities(
    parameters: Parameters,
    state: State,
    plan: int,
    stage: int,
    motive: int,
    group: int,
    intensity: Float64,
) -> None:
    """Set what differs between the cells of one motive: the burden of the own charge, and deaths.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    plan, stage, motive, group : int64
    intensity : float64[C, 9], changed, per period
    """
    pool = parameters.pool[0]
    charge_year = state.charge[plan, stage, group] * pool["periods_per_year"]
    burden = parameters.lapse[motive, BURDEN]
    intensity[motive, BURDEN] = burden * charge_year / pool["income_year"]
    intensity[motive, DIED] = parameters.groups[group]["mortality"]


@kernel
def name_causes(left: Int64, split: Stream, where: int, lapses: int, mix: Float64) -> None:
    """Draw the causes of lapses that have happened.

    Parameters
    ----------
    left : int64[causes], persons, increased
    split : Stream of causes
    where : int64, the address
    lapses : int64, persons
    mix : float64[9], probability of each cause, sums to 1
    """
    if lapses > 0:
        by_cause = np.zeros(COMPETING, np.int64)
        multinomial(split, where, lapses, mix, by_cause)
        for cause in range(COMPETING):
            left[cause] += by_cause[cause]
