"""Step 5, first half: splitting a period's cost among those who owe it (MODEL section 4).

Groups are members who are charged alike. The rules, each a set of weights w:

    equal      charge = C / n
    table      charge = C w / sum(n w), w by age and sex
    expected   charge = C mu / sum(n mu), mu the expected benefit of a member this period

and those of `kernels.sharing` (linear, minimum_variance, conditional_mean, pooled_bands), which say
what each member contributes to the period's benefits: the fee follows the benefits, what else there
is to pay (custody, what was carried, what a reserve takes or gives) is split by heads. These
contributions are weights in yuan that add up to the charge; a negative one is a credit.

What is charged is the cost, or less by what the platform pays, or what a smoothing reserve makes of
it, or the fixed price of a prepaid plan; reserves take the difference.

Laws: sum(n charge) + excess = charged total to the last digits of a float sum, or to the fen where
charges are rounded; no charge is above its cap, and none negative unless the rule can be; the
excess is zero unless every payer who can be charged is charged his cap. Cost + to the reserve =
billed + subsidy + carried.
"""

import math

import numpy as np

from kernels.cells import Cells
from kernels.claims import benefits_due, expected_benefit
from kernels.compiling import borrowing_kernel, inlined_kernel, kernel
from kernels.parameters import Float64, Int64, Parameters
from kernels.sharing import EQUAL, LINEAR, POOLED_BANDS, TABLE, contributions
from kernels.state import State, own_part

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
def total_credit(payers: Int64, weight: Float64) -> float:
    """Sum what is credited to payers: int64[groups] persons, float64[groups] yuan; >= 0."""
    total = 0.0
    for group in range(payers.size):
        total -= payers[group] * min(0.0, weight[group])
    return total


@inlined_kernel
def charge_within_caps(
    payers: Int64, weight: Float64, cap: Float64, cost: float, charge: Float64
) -> float:
    """Split a cost in proportion to weights, nobody above his cap (water-filling).

    Charge = min(cap, level * weight), with the level that makes up the cost. Where all payers
    weigh nothing, they weigh the same. A negative weight is a credit in yuan, which the others pay
    on top of the cost.

    Parameters
    ----------
    payers : int64[groups], persons
    weight : float64[groups]; all set to 1 where no payer weighs anything
    cap : float64[groups], yuan a member, inf for none
    cost : float64, yuan; nothing is charged for a cost of zero or less
    charge : float64[groups], filled, yuan a member

    Returns
    -------
    float64, yuan, what the caps leave uncharged of a positive cost
    """
    charge[:] = 0.0
    credit = total_credit(payers, weight)
    if cost + credit <= 0.0:
        return 0.0
    if credit == 0.0 and total_weight(payers, weight) <= 0.0:
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
            if weight[group] < 0.0:
                capped += payers[group] * weight[group]
            elif level * weight[group] >= cap[group]:
                capped += payers[group] * cap[group]
            else:
                open_weight += payers[group] * weight[group]
        if open_weight > 0.0:
            next_level = (cost - capped) / open_weight
    charged = 0.0
    for group in range(payers.size):
        scale = level if weight[group] > 0.0 else 1.0
        charge[group] = min(cap[group], scale * weight[group])
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
    last = settings["wait"] + parameters.market[0]["bands"] - 1
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
def set_weights(parameters: Parameters, state: State, plan: int, rule: int) -> None:
    """Fill in each group's weight under one of the rules equal, table and expected.

    Parameters
    ----------
    parameters : Parameters
    state : State, `weight` changed
    plan, rule : int64
    """
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
def claims_by_cell(parameters: Parameters, state: State, plan: int, claims: Float64) -> None:
    """Fill in the benefits of the period by stage and group, before any limit.

    At what tenure a case was diagnosed is not known any more when it is paid: the cases of a group
    are spread over its stages as its payers are.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    plan : int64
    claims : float64[S, G], filled, yuan
    """
    stages, groups = claims.shape
    for group in range(groups):
        due = 0.0
        for severity in range(parameters.severity.size):
            due += state.accepted[plan, group, severity] * parameters.fraction[severity]
        due *= parameters.benefit[plan, group]
        payers = 0
        for stage in range(stages):
            payers += state.payers[plan, stage, group]
        for stage in range(stages):
            if payers > 0:
                claims[stage, group] = due * state.payers[plan, stage, group] / payers
            else:
                claims[stage, group] = due if stage == stages - 1 else 0.0


@inlined_kernel
def set_contributions(
    parameters: Parameters,
    state: State,
    plan: int,
    bill: tuple[float, float, float],
    part: float,
    total: float,
) -> None:
    """Fill in each group's charge under a rule of `kernels.sharing`, caps aside, as its weight.

    Parameters
    ----------
    parameters : Parameters
    state : State, `weight` changed
    plan : int64
    bill : yuan of benefits in full; yuan of what is paid of them; payers
    part : float64, what members bear of a yuan of benefits, fee included
    total : float64, yuan, to be charged
    """
    full, benefits, payers = bill
    settings = parameters.plans[plan]
    stages, groups = state.weight[plan].shape
    if settings["rule"] == POOLED_BANDS:
        set_weights(parameters, state, plan, settings["inner_rule"])
    probability = np.zeros((stages, groups), np.float64)
    benefit = np.zeros((stages, groups), np.float64)
    band = np.zeros((stages, groups), np.int64)
    claims = np.zeros((stages, groups), np.float64)
    claims_by_cell(parameters, state, plan, claims)
    for stage in range(stages):
        for group in range(groups):
            band[stage, group] = parameters.share_band[plan, group]
            benefit[stage, group] = parameters.benefit[plan, group]
            if stage >= settings["wait"]:
                acceptance = parameters.groups[group]["acceptance"]
                probability[stage, group] = state.incidence[plan, stage, group] * acceptance
    cells = Cells(
        state.payers[plan].reshape(-1),
        probability.reshape(-1),
        benefit.reshape(-1),
        state.weight[plan].reshape(-1).copy(),
        band.reshape(-1),
        claims.reshape(-1),
        parameters.severity,
        parameters.fraction,
    )
    contribution = state.weight[plan].reshape(-1)
    contributions(settings["rule"], cells, settings["quota"], full, contribution)
    scale = part * benefits / full if full > 0.0 else part
    rest = (total - part * benefits) / payers if payers > 0.0 else 0.0
    for cell in range(contribution.size):
        # who is not billed is credited nothing either
        here = rest if cells.count[cell] > 0 else 0.0
        contribution[cell] = scale * contribution[cell] + here


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
def add_to_year(state: State, plan: int) -> None:
    """Count the period's charges towards the annual caps, as far as members pay them.

    Parameters
    ----------
    state : State, `charged_year` changed
    plan : int64
    """
    for stage in range(state.charge.shape[1]):
        paid = own_part(state, plan, stage)
        for group in range(state.charge.shape[2]):
            charge = state.charge[plan, stage, group]
            state.charged_year[plan, stage, group] += paid * charge


@inlined_kernel
def to_be_charged(
    parameters: Parameters, state: State, plan: int, cost: float, payers: int
) -> float:
    """Say what a period's members are charged together: the cost, unless there is a reserve.

    A fixed price is charged whatever the cost. With a smoothing reserve a member is charged
    phi (charge before) + (1 - phi) (cost a member) + loading, and more where the reserve would be
    overdrawn (MODEL section 4). While a pool winds down its reserve or fund is used up, and nobody
    is charged for cover that he has no longer.

    Parameters
    ----------
    parameters : Parameters
    state : State, the smoothed charge changed
    plan : int64
    cost : float64, yuan, what members have to bear
    payers : int64, persons

    Returns
    -------
    float64, yuan
    """
    settings = parameters.plans[plan]
    money = state.plan[plan]
    closing = state.pool[settings["pool"]]["closure_period"] >= 0
    if settings["premium"] >= 0.0:
        return 0.0 if closing else settings["premium"] * payers
    if not settings["smooths"]:
        return cost
    if closing or payers == 0:
        return max(0.0, cost - money["reserve"])
    phi = settings["smoothing"]
    smoothed = phi * money["smoothed"] + (1.0 - phi) * cost / payers + settings["loading"]
    total = max(0.0, smoothed * payers, cost - money["reserve"])
    money["smoothed"] = total / payers
    return total


@inlined_kernel
def free_bills(state: State, plan: int) -> float:
    """Sum the charges of members whose first non-trivial bill the platform pays (float64, yuan)."""
    total = 0.0
    for stage in range(state.payers.shape[1]):
        free = 1.0 - own_part(state, plan, stage)
        if free > 0.0:
            for group in range(state.payers.shape[2]):
                total += free * state.payers[plan, stage, group] * state.charge[plan, stage, group]
    return total


@inlined_kernel
def book_cells(parameters: Parameters, state: State, plan: int, paid_part: float) -> None:
    """Book what each group was charged and received (cells' rows).

    Parameters
    ----------
    parameters : Parameters
    state : State, `cells` changed
    plan : int64
    paid_part : float64, 0..1, part of the full benefits that is paid
    """
    for group in range(parameters.groups.size):
        cell = state.cells[plan, group]
        for severity in range(parameters.severity.size):
            cases = state.accepted[plan, group, severity]
            benefit = parameters.fraction[severity] * parameters.benefit[plan, group]
            cell["cases"] += cases
            cell["received"] += paid_part * cases * benefit
        for stage in range(state.payers.shape[1]):
            payers = state.payers[plan, stage, group]
            paid = own_part(state, plan, stage)
            cell["paid"] += paid * payers * state.charge[plan, stage, group]


@kernel
def settle(
    parameters: Parameters, state: State, row: np.void, plan: int, platform_share: float
) -> None:
    """Work out a plan's cost of the period, charge it, and say who bears what is left.

    Cost = benefits (1 + fee) + custody + carried. The platform pays its share of it; what caps
    leave uncharged of the rest is borne by the platform, carried forward or cut from benefits;
    surpluses of rounding are carried.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: payers, weights, caps, charges, share, carry
    row : PERIOD_ROW, money columns filled; its custody and cases are read
    plan : int64
    platform_share : float64, 0..1, part of the cost that the platform pays
    """
    settings = parameters.plans[plan]
    payers = set_payers(parameters, state, plan)
    benefits, full = benefits_due(parameters, state.accepted[plan], plan, payers)
    fee_factor = 1.0 + settings["fee_rate"]
    custody = row["custody"]
    if parameters.pool[settings["pool"]]["custody_from_platform"]:
        custody = 0.0
    cost = benefits * fee_factor + custody + state.plan[plan]["carried"]
    subsidy = platform_share * max(0.0, cost)
    total = to_be_charged(parameters, state, plan, cost - subsidy, payers)
    to_reserve = total - (cost - subsidy)
    if settings["rule"] < LINEAR:
        set_weights(parameters, state, plan, settings["rule"])
    else:
        part = (1.0 - platform_share) * fee_factor
        set_contributions(parameters, state, plan, (full, benefits, float(payers)), part, total)
    set_caps(parameters, state, plan, row["cases"])
    billed, excess = charge_groups(parameters, state, plan, total)
    if settings["excess_to"] == PLATFORM:
        subsidy += excess
    elif settings["excess_to"] == BENEFITS:
        cut = min(benefits, excess / fee_factor)
        benefits -= cut
        cost -= cut * fee_factor
    state.plan[plan]["share"] = billed / payers if payers > 0 else 0.0
    row["credited"] = total_credit(state.payers[plan].reshape(-1), state.charge[plan].reshape(-1))
    state.plan[plan]["carried"] = cost + to_reserve - billed - subsidy
    row["to_reserve"] = to_reserve
    row["payers"] = payers
    row["benefits"] = benefits
    row["unfunded"] = full - benefits
    row["cost"] = cost
    row["fee"] = benefits * settings["fee_rate"]
    row["billed"] = billed
    row["subsidy"] = subsidy
    row["share"] = state.plan[plan]["share"]


@inlined_kernel
def set_gift(parameters: Parameters, state: State, plan: int) -> None:
    """Note whether the platform pays this period's first bills: it does where they are noticed.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: `gives`
    plan : int64
    """
    noticed = state.plan[plan]["share"] > parameters.plans[plan]["trivial_share"]
    state.plan[plan]["gives"] = 1.0 if noticed else 0.0


@borrowing_kernel
def give_first_bills(
    parameters: Parameters, state: State, row: np.void, plan: int, given: float
) -> None:
    """Let the platform pay first bills where it does, and book what members and groups pay.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: charges of the year, cells
    row : PERIOD_ROW, billed and subsidy changed, free_bills filled
    plan : int64
    given : float64, yuan, the first bills that the platform pays
    """
    row["free_bills"] = given
    row["billed"] -= given
    if given > 0.0 and row["credited"] == 0.0:
        row["billed"] = max(0.0, row["billed"])  # where all bills are free, but for rounding
    row["subsidy"] += given
    add_to_year(state, plan)
    full = row["benefits"] + row["unfunded"]
    paid_part = row["benefits"] / full if full > 0.0 else 0.0
    book_cells(parameters, state, plan, paid_part)
