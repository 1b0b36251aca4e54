"""Step 5, first half: splitting a period's cost among those who owe it (MODEL section 4).

Groups are members who are charged alike. The rules, each a set of weights w:

    equal      charge = C / n
    table      charge = C w / sum(n w), w by age and sex
    expected   charge = C mu / sum(n mu), mu the expected benefit of a member this period

Laws: sum(n charge) + excess = C to the last digits of a float sum, or to the fen where charges are
rounded; no charge is negative or above its cap; the excess is zero unless every payer who can be
charged is charged his cap. Bill, excess and carry account for all of C.
"""

import math

import numpy as np

from kernels.claims import benefits_due, expected_benefit
from kernels.compiling import inlined_kernel, kernel
from kernels.parameters import Float64, Int64, Parameters
from kernels.state import State

EQUAL = 0
TABLE = 1
EXPECTED = 2

EXACT = 0
NEXT_FEN = 1
LARGEST_REMAINDER = 2

PLATFORM = 0
NEXT_PERIOD = 1
BENEFITS = 2

FEN = 0.01
FEN_PER_YUAN = 100.0
# A charge this close above a whole fen is that fen: it is rounding of the division, 2**-53
# relative on charges below 10**6 yuan, not money.
FEN_TOLERANCE = 1e-6


@inlined_kernel
def total_weight(payers: Int64, weight: Float64) -> float:
    """Sum the weights of all payers: int64[groups] persons, float64[groups]."""
    total = 0.0
    for group in range(payers.size):
        total += payers[group] * weight[group]
    return total


@inlined_kernel
def charge_within_caps(
    payers: Int64, weight: Float64, cap: Float64, cost: float, charge: Float64
) -> float:
    """Split a cost in proportion to weights, nobody above his cap (water-filling).

    Charge = min(cap, level * weight), with the level that makes up the cost. Where all payers
    weigh nothing, they weigh the same.

    Parameters
    ----------
    payers : int64[groups], persons
    weight : float64[groups], >= 0; all set to 1 where no payer weighs anything
    cap : float64[groups], yuan a member, inf for none
    cost : float64, yuan; nothing is charged for a cost of zero or less
    charge : float64[groups], filled, yuan a member

    Returns
    -------
    float64, yuan, what the caps leave uncharged of a positive cost
    """
    charge[:] = 0.0
    if cost <= 0.0:
        return 0.0
    if total_weight(payers, weight) <= 0.0:
        weight[:] = 1.0
    level = -1.0
    next_level = 0.0
    open_weight = 1.0
    # each round caps a group more than the one before, or is the last
    while open_weight > 0.0 and next_level > level:
        level = next_level
        capped = 0.0
        open_weight = 0.0
        for group in range(payers.size):
            if level * weight[group] >= cap[group]:
                capped += payers[group] * cap[group]
            else:
                open_weight += payers[group] * weight[group]
        if open_weight > 0.0:
            next_level = (cost - capped) / open_weight
    charged = 0.0
    for group in range(payers.size):
        charge[group] = min(cap[group], level * weight[group])
        charged += payers[group] * charge[group]
    if open_weight > 0.0:
        return 0.0
    return max(0.0, cost - charged)


@inlined_kernel
def round_up_to_fen(payers: Int64, charge: Float64) -> float:
    """Round each charge up to the next fen and give the bill.

    Parameters
    ----------
    payers : int64[groups], persons
    charge : float64[groups], yuan a member, changed

    Returns
    -------
    float64, yuan, billed; summed in whole fen
    """
    billed = 0
    for group in range(payers.size):
        fen = np.int64(math.ceil(charge[group] * FEN_PER_YUAN - FEN_TOLERANCE))
        charge[group] = fen / FEN_PER_YUAN
        billed += payers[group] * fen
    return billed / FEN_PER_YUAN


@inlined_kernel
def round_by_largest_remainder(payers: Int64, charge: Float64, total: float) -> float:
    """Round charges to whole fen that add up to the total's whole fen.

    Everybody is charged the whole fen of his charge; the fen that are left go one each to members
    of the groups with the largest remainders. A group may be split: its charge is then the mean.

    Parameters
    ----------
    payers : int64[groups], persons
    charge : float64[groups], yuan a member, changed
    total : float64, yuan, sum(payers * charge)

    Returns
    -------
    float64, yuan, billed: the total rounded down to the fen
    """
    remainder = np.zeros(payers.size, np.float64)
    left = np.int64(math.floor(total * FEN_PER_YUAN + FEN_TOLERANCE))
    billed = left
    for group in range(payers.size):
        fen = np.int64(math.floor(charge[group] * FEN_PER_YUAN + FEN_TOLERANCE))
        remainder[group] = max(0.0, charge[group] * FEN_PER_YUAN - fen)
        charge[group] = fen / FEN_PER_YUAN
        left -= payers[group] * fen
    for _ in range(payers.size):
        if left <= 0:
            break
        group = int(np.argmax(remainder))
        if payers[group] > 0:
            extra = min(left, payers[group])
            charge[group] += extra / (payers[group] * FEN_PER_YUAN)
            left -= extra
        remainder[group] = -1.0
    return (billed - left) / FEN_PER_YUAN


@inlined_kernel
def set_payers(parameters: Parameters, state: State, plan: int) -> int:
    """Count who is billed, by stage and group.

    Claimants who wait for their assessment are billed in the last stage; those settled this
    period are left out where the plan says so.

    Parameters
    ----------
    parameters : Parameters
    state : State, `payers` changed
    plan : int64

    Returns
    -------
    int64, persons billed
    """
    settings = parameters.plans[plan]
    first = 0 if settings["waiting_members_pay"] else settings["wait"]
    last = settings["wait"] + parameters.pool[0]["bands"] - 1
    _, _, arrears, motives, groups = state.members.shape
    payers = state.payers[plan]
    payers[:] = 0
    for stage in range(first, last + 1):
        for late in range(arrears):
            for motive in range(motives):
                for group in range(groups):
                    payers[stage, group] += state.members[plan, stage, late, motive, group]
    for group in range(groups):
        payers[last, group] += state.pending_members[plan, group]
        if not settings["claimants_pay"]:
            for severity in range(state.accepted.shape[2]):
                payers[last, group] -= state.accepted[plan, group, severity]
    total = 0
    for stage in range(first, last + 1):
        for group in range(groups):
            total += payers[stage, group]
    return total


@inlined_kernel
def set_weights(parameters: Parameters, state: State, plan: int) -> None:
    """Fill in each group's weight under the plan's rule.

    Parameters
    ----------
    parameters : Parameters
    state : State, `weight` changed
    plan : int64
    """
    rule = parameters.plans[plan]["rule"]
    wait = parameters.plans[plan]["wait"]
    weight = state.weight[plan]
    for group in range(weight.shape[1]):
        expected = expected_benefit(parameters, plan, group)
        for stage in range(weight.shape[0]):
            if rule == EQUAL:
                weight[stage, group] = 1.0
            elif rule == TABLE:
                weight[stage, group] = parameters.weights[plan, group]
            elif stage < wait:
                weight[stage, group] = 0.0
            else:
                weight[stage, group] = state.incidence[plan, stage, group] * expected


@inlined_kernel
def set_caps(parameters: Parameters, state: State, plan: int, cases: int) -> None:
    """Fill in the most that a member of each group can be charged this period.

    Where charges are in fen, so are caps; who is still waiting and not billed is charged nothing.

    Parameters
    ----------
    parameters : Parameters
    state : State, `cap` changed
    plan, cases : int64
    """
    settings = parameters.plans[plan]
    limit = settings["cap_period"]
    if settings["cap_case"] < math.inf:
        limit = min(limit, settings["cap_case"] * cases)
    year = settings["cap_year"]
    first = 0 if settings["waiting_members_pay"] else settings["wait"]
    cap = state.cap[plan]
    for stage in range(cap.shape[0]):
        for group in range(cap.shape[1]):
            most = min(limit, max(0.0, year - state.charged_year[plan, stage, group]))
            if settings["rounding"] != EXACT and most < math.inf:
                most = math.floor(most * FEN_PER_YUAN + FEN_TOLERANCE) / FEN_PER_YUAN
            cap[stage, group] = most if stage >= first else 0.0


@inlined_kernel
def charge_groups(
    parameters: Parameters, state: State, plan: int, cost: float
) -> tuple[float, float]:
    """Charge a cost to the plan's payers by its weights, caps and rounding.

    Parameters
    ----------
    parameters : Parameters
    state : State, `charge` changed
    plan : int64
    cost : float64, yuan

    Returns
    -------
    (billed, excess) : float64, yuan; the excess is what the caps left uncharged
    """
    rounding = parameters.plans[plan]["rounding"]
    payers = state.payers[plan].reshape(-1)
    charge = state.charge[plan].reshape(-1)
    weight = state.weight[plan].reshape(-1)
    excess = charge_within_caps(payers, weight, state.cap[plan].reshape(-1), cost, charge)
    total = max(0.0, cost) - excess
    if rounding == NEXT_FEN:
        return round_up_to_fen(payers, charge), excess
    if rounding == LARGEST_REMAINDER:
        return round_by_largest_remainder(payers, charge, total), excess
    billed = 0.0
    for group in range(payers.size):
        billed += payers[group] * charge[group]
    return billed, excess


@inlined_kernel
def add_to_year(charge: Float64, charged_year: Float64) -> None:
    """Count the period's charges, float64[S, G], towards the annual caps, float64[S, G]; yuan."""
    for stage in range(charge.shape[0]):
        for group in range(charge.shape[1]):
            charged_year[stage, group] += charge[stage, group]


@kernel
def settle(parameters: Parameters, state: State, row: np.void, plan: int, members: int) -> None:
    """Work out a plan's cost of the period, charge it, and say who bears what is left.

    Cost = benefits (1 + fee) + custody + carried. What caps leave uncharged is borne by the
    platform, carried forward or cut from benefits; surpluses of rounding are carried.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: payers, weights, caps, charges, share, carry
    row : PERIOD_ROW, money columns filled
    plan, members : int64
    """
    settings = parameters.plans[plan]
    payers = set_payers(parameters, state, plan)
    benefits, full = benefits_due(parameters, state.accepted[plan], plan, payers)
    fee_rate = settings["fee_rate"]
    custody = settings["custody"] * members
    cost = benefits * (1.0 + fee_rate) + custody + state.plan[plan]["carried"]
    set_weights(parameters, state, plan)
    set_caps(parameters, state, plan, row["cases"])
    billed, excess = charge_groups(parameters, state, plan, cost)
    if settings["excess_to"] == PLATFORM:
        row["subsidy"] = excess
    elif settings["excess_to"] == BENEFITS:
        cut = min(benefits, excess / (1.0 + fee_rate))
        benefits -= cut
        cost -= cut * (1.0 + fee_rate)
    state.plan[plan]["carried"] = cost - billed - row["subsidy"]
    state.plan[plan]["share"] = billed / payers if payers > 0 else 0.0
    add_to_year(state.charge[plan], state.charged_year[plan])
    row["payers"] = payers
    row["benefits"] = benefits
    row["unfunded"] = full - benefits
    row["cost"] = cost
    row["fee"] = benefits * fee_rate
    row["custody"] = custody
    row["billed"] = billed
    row["share"] = state.plan[plan]["share"]
