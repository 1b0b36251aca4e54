"""What members who entered a plan together have in common: tenure, and what they were billed.

Tenure moves on every period and age every P-th, for a whole vintage at once. Charges are added up
by vintage and group, so that what a member paid is read off when he leaves and never added member
by member.
"""

import numpy as np

from kernels.compiling import borrowing_kernel, inlined_kernel, kernel
from kernels.parameters import Parameters
from kernels.roster import Roster, group_now
from kernels.state import NOBODY, State, own_part


@kernel
def open_vintage(
    parameters: Parameters, state: State, roster: Roster, plan: int, joined: int, period: int
) -> int:
    """Open the accounts of people who enter a plan anew.

    Parameters
    ----------
    parameters : Parameters
    state : State, read: what they have heard a share costs
    roster : Roster, changed; has room for a vintage
    plan, joined, period : int64, when they joined and when they enter the plan

    Returns
    -------
    int64, the vintage
    """
    number = roster.size[0]["vintages"]
    roster.size[0]["vintages"] += 1
    settings = parameters.plans[plan]
    vintage = roster.vintages[number]
    vintage["plan"] = plan
    vintage["joined"] = joined
    vintage["covered_from"] = period + settings["wait"]
    vintage["first_band"] = 0
    vintage["year"] = period // parameters.market[0]["periods_per_year"]
    vintage["years"] = 0
    vintage["stage"] = 0
    vintage["people"] = 0
    vintage["wear"] = 1.0
    vintage["loyalty"] = 1.0
    vintage["unbilled"] = 1.0
    vintage["free"] = 1.0 if settings["first_bill_free"] else 0.0
    roster.people[number] = 0
    roster.charged[number] = 0.0
    roster.bills[number] = 0
    roster.recent[number] = 0.0
    if roster.balance.size > 0:
        for group in range(parameters.groups.size):
            paid_in = settings["deposit"] >= 0.0 and not parameters.groups[group]["is_padding"]
            roster.balance[number, group] = settings["deposit"] if paid_in else 0.0
    if roster.expected.size > 0:
        for motive in range(parameters.motives.size):
            roster.expected[number, motive] = state.expectation[plan, motive]
    return number


@inlined_kernel
def set_stage(parameters: Parameters, vintage: np.void, period: int) -> None:
    """Say in which stage of tenure a vintage is, as `ageing.advance_tenure` moves the cells.

    Parameters
    ----------
    parameters : Parameters
    vintage : VINTAGE_STATE, its stage changed
    period : int64
    """
    wait = parameters.plans[vintage["plan"]]["wait"]
    width, covered = parameters.market[0]["band_periods"], vintage["covered_from"]
    if period < covered:
        vintage["stage"] = wait - (covered - period)
        return
    band = vintage["first_band"] + period // width - covered // width
    vintage["stage"] = wait + min(band, parameters.market[0]["bands"] - 1)


@inlined_kernel
def advance_vintages(parameters: Parameters, state: State, roster: Roster, period: int) -> None:
    """Let a period of tenure, and every P-th a year of age, pass for every vintage.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    roster : Roster, vintages changed
    period : int64
    """
    market = parameters.market[0]
    year = period // market["periods_per_year"]
    for number in range(roster.size[0]["vintages"]):
        vintage = roster.vintages[number]
        if vintage["stage"] >= parameters.plans[vintage["plan"]]["wait"]:
            vintage["wear"] *= market["selection_decay"]
        vintage["loyalty"] *= market["loyalty_decay"]
        if not state.pool[parameters.plans[vintage["plan"]]["pool"]]["closed"]:
            vintage["years"] = year - vintage["year"]
        set_stage(parameters, vintage, period)


@inlined_kernel
def survey(parameters: Parameters, state: State, roster: Roster) -> None:
    """Find what bounds the hazards of each vintage, and the means over stages that cells know.

    Parameters
    ----------
    parameters : Parameters
    state : State, `stage` changed: exact means over its members
    roster : Roster, vintages changed
    """
    plans, stages = state.stage.shape
    total = np.zeros((plans, stages, 5), np.float64)
    for number in range(roster.size[0]["vintages"]):
        vintage = roster.vintages[number]
        if vintage["people"] == 0:
            continue
        bound_vintage(parameters, roster, number)
        sums = total[vintage["plan"], vintage["stage"]]
        people = vintage["people"]
        sums[0] += people
        sums[1] += people * vintage["wear"]
        sums[2] += people * vintage["unbilled"]
        sums[3] += people * vintage["free"]
        sums[4] += people * vintage["loyalty"]
    for plan in range(plans):
        for stage in range(stages):
            sums = total[plan, stage]
            if sums[0] > 0.0:
                state.stage[plan, stage]["wear"] = sums[1] / sums[0]
                state.stage[plan, stage]["unbilled"] = sums[2] / sums[0]
                state.stage[plan, stage]["free"] = sums[3] / sums[0]
                state.stage[plan, stage]["loyalty"] = sums[4] / sums[0]


@borrowing_kernel
def bound_vintage(parameters: Parameters, roster: Roster, number: int) -> None:
    """Find the highest hazards of the groups that are in a vintage.

    Parameters
    ----------
    parameters : Parameters
    roster : Roster, the vintage changed
    number : int64
    """
    vintage = roster.vintages[number]
    hazard, mortality, lapse_ratio = 0.0, 0.0, 0.0
    for group in range(parameters.groups.size - 2 * vintage["years"]):
        if roster.people[number, group] > 0:
            here = parameters.groups[group_now(vintage, group)]
            hazard = max(hazard, here["hazard"])
            mortality = max(mortality, here["mortality"])
            lapse_ratio = max(lapse_ratio, here["lapse_ratio"])
    vintage["hazard"], vintage["mortality"] = hazard, mortality
    vintage["lapse_ratio"] = lapse_ratio


@inlined_kernel
def first_bills(parameters: Parameters, state: State, roster: Roster, plan: int) -> float:
    """Sum the first bills that the platform pays for members of a plan (float64, yuan).

    Parameters
    ----------
    parameters : Parameters
    state : State, read, as charged
    roster : Roster, read
    plan : int64
    """
    given = 0.0
    if state.plan[plan]["gives"] == 0.0:
        return given
    for number in range(roster.size[0]["vintages"]):
        vintage = roster.vintages[number]
        if vintage["plan"] == plan and vintage["people"] > 0 and vintage["free"] > 0.0:
            for group in range(parameters.groups.size - 2 * vintage["years"]):
                charge = state.charge[plan, vintage["stage"], group_now(vintage, group)]
                given += roster.people[number, group] * charge
    settings = parameters.plans[plan]
    last = settings["wait"] + parameters.market[0]["bands"] - 1
    free = 1.0 - own_part(state, plan, last)
    for group in range(parameters.groups.size):
        claimants = state.pending_members[plan, group]
        if not settings["claimants_pay"]:
            for severity in range(state.accepted.shape[2]):
                claimants -= state.accepted[plan, group, severity]
        given += free * claimants * state.charge[plan, last, group]
    return given


@borrowing_kernel
def add_bills(parameters: Parameters, state: State, roster: Roster, plan: int) -> None:
    """Book the period's charges on the accounts of a plan's members and claimants.

    Parameters
    ----------
    parameters : Parameters
    state : State, read, as charged
    roster : Roster, accounts changed
    plan : int64
    """
    gives = state.plan[plan]["gives"]
    for number in range(roster.size[0]["vintages"]):
        vintage = roster.vintages[number]
        if vintage["plan"] != plan or vintage["people"] == 0:
            continue
        own = 1.0 - gives * vintage["free"]
        highest, lowest = -np.inf, np.inf
        for group in range(parameters.groups.size - 2 * vintage["years"]):
            if roster.people[number, group] > 0:
                charge = state.charge[plan, vintage["stage"], group_now(vintage, group)]
                highest, lowest = max(highest, charge), min(lowest, charge)
                add_bill(roster, number, group, charge, own)
        vintage["charge"], vintage["lowest_charge"] = highest, lowest
    last = parameters.plans[plan]["wait"] + parameters.market[0]["bands"] - 1
    own = own_part(state, plan, last)
    for group in range(parameters.groups.size):
        bill = own * state.charge[plan, last, group]
        roster.claim_charged[plan, group] += bill
        roster.claim_bills[plan, group] += 1 if bill != 0.0 else 0


@inlined_kernel
def add_bill(roster: Roster, vintage: int, group: int, charge: float, own: float) -> None:
    """Book a charge on one account.

    Parameters
    ----------
    roster : Roster, accounts changed
    vintage, group : int64, the account
    charge : float64, yuan a member
    own : float64, 0..1, part of it that members pay themselves
    """
    if charge > 0.0:
        for bill in range(roster.recent.shape[2] - 1, 0, -1):
            roster.recent[vintage, group, bill] = roster.recent[vintage, group, bill - 1]
        roster.recent[vintage, group, 0] = own * charge
    if own * charge != 0.0:
        roster.charged[vintage, group] += own * charge
        roster.bills[vintage, group] += 1


@inlined_kernel
def learn_from_own_bills(
    parameters: Parameters, state: State, roster: Roster, plan: int, payers: int
) -> None:
    """Move what members expect towards their own bills, E <- E + e (x - E).

    Parameters
    ----------
    parameters : Parameters
    state : State, read, as charged
    roster : Roster, expectations changed
    plan, payers : int64; without payers nobody saw a bill
    """
    if roster.expected.size == 0 or payers == 0:
        return
    settings = parameters.plans[plan]
    first = 0 if settings["waiting_members_pay"] else settings["wait"]
    for number in range(roster.size[0]["vintages"]):
        vintage = roster.vintages[number]
        if vintage["plan"] == plan and vintage["people"] > 0 and vintage["stage"] >= first:
            for motive in range(parameters.motives.size):
                education = parameters.motives[motive]["education"]
                expected = roster.expected[number, motive]
                for group in range(parameters.groups.size - 2 * vintage["years"]):
                    charge = state.charge[plan, vintage["stage"], group_now(vintage, group)]
                    expected[group] += education * (charge - expected[group])


@inlined_kernel
def note_first_bills(parameters: Parameters, state: State, roster: Roster, plan: int) -> None:
    """Note who has had his first non-trivial bill, at the end of a period.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    roster : Roster, vintages changed
    plan : int64
    """
    settings = parameters.plans[plan]
    if state.plan[plan]["share"] <= settings["trivial_share"]:
        return
    first = 0 if settings["waiting_members_pay"] else settings["wait"]
    for number in range(roster.size[0]["vintages"]):
        vintage = roster.vintages[number]
        if vintage["plan"] == plan and vintage["stage"] >= first:
            vintage["unbilled"] = vintage["free"]
            vintage["free"] = 0.0


@inlined_kernel
def set_mean_balances(parameters: Parameters, state: State, roster: Roster, plan: int) -> None:
    """Tell the cells of a plan with prepaid balances what their members have on average.

    Parameters
    ----------
    parameters : Parameters
    state : State, `balance` changed
    roster : Roster, read
    plan : int64
    """
    if parameters.plans[plan]["deposit"] < 0.0:
        return
    stages, groups = state.balance[plan].shape
    people = np.zeros((stages, groups), np.int64)
    state.balance[plan] = 0.0
    for number in range(roster.size[0]["vintages"]):
        vintage = roster.vintages[number]
        if vintage["plan"] == plan and vintage["people"] > 0:
            for group in range(groups - 2 * vintage["years"]):
                count = roster.people[number, group]
                cell = (vintage["stage"], group_now(vintage, group))
                people[cell] += count
                state.balance[plan, cell[0], cell[1]] += count * roster.balance[number, group]
    for stage in range(stages):
        for group in range(groups):
            if people[stage, group] > NOBODY:
                state.balance[plan, stage, group] /= people[stage, group]


@inlined_kernel
def add_interest(parameters: Parameters, roster: Roster, plan: int) -> None:
    """Let balances grow where members have the interest, as `payment.close_balances` does.

    Parameters
    ----------
    parameters : Parameters
    roster : Roster, balances changed
    plan : int64
    """
    settings = parameters.pool[parameters.plans[plan]["pool"]]
    if parameters.plans[plan]["deposit"] < 0.0 or settings["keeps_interest"]:
        return
    for number in range(roster.size[0]["vintages"]):
        if roster.vintages[number]["plan"] == plan:
            roster.balance[number] *= 1.0 + settings["interest"]
