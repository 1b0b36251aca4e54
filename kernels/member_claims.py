"""Steps 3 and 4 for individuals: who falls ill, and what becomes of his claim (MODEL section 3).

A member's probability is that of `kernels.claims`, at his own tenure and with his own frailty. Each
class is walked under a bound that nobody in it exceeds; who is met falls ill with the ratio of his
own probability to it.

Laws: those of `kernels.claims`; `pending` has a row for every member who stands apart.
"""

import numpy as np

from kernels.claims import benefits_due, count_exposure, diagnosis_probability, selection
from kernels.compiling import borrowing_kernel, inlined_kernel
from kernels.draws import Purpose, Stream, binomial, stream, uniforms
from kernels.dtypes import PENDING_ROW
from kernels.individuals import Individuals
from kernels.parameters import Float64, Parameters, Records
from kernels.roster import (
    AHEAD,
    Roster,
    Walk,
    arrears_of,
    balance_of,
    channel_of,
    class_address,
    debt_of,
    group_now,
    group_of,
    log_none,
    new_walk,
    note,
    note_claimant,
    take_out,
    vacate,
    walk_back,
    whole,
)
from kernels.state import (
    ACCEPTED,
    CLAIMED,
    EARLY_DIAGNOSIS,
    NOBODY,
    REFUSED,
    REJECTED,
    State,
    write_off,
)


@inlined_kernel
def diagnose_individually(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    when: tuple[int, int, int],
    plan: int,
    weather: float,
) -> tuple[int, Records]:
    """Draw the period's diagnoses of one plan, member by member among those it may meet.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, changed
    roster : Roster, changed
    when : seed, path, period
    plan : int64
    weather : float64, common shock times trend

    Returns
    -------
    (diagnoses, pending) : int64, those of the waiting period included; PENDING_ROW[], which takes
        the place of the roster's where that was too short
    """
    seed, path, period = when
    place = stream(seed, path, Purpose.DIAGNOSIS, period)
    for stage in range(parameters.plans[plan]["wait"], state.members.shape[1]):
        for late in range(state.members.shape[2]):
            count_exposure(parameters, state, plan, stage, state.members[plan, stage, late])
    pending = roster.pending
    diagnoses = NOBODY
    walk = new_walk()
    for number in range(roster.size[0]["classes"]):
        here = roster.classes[number]
        vintage = roster.vintages[here["vintage"]]
        if vintage["plan"] != plan or here["members"] == 0:
            continue
        sigma = selection(parameters.market[0]["selection_start"], vintage["wear"])
        highest = vintage["hazard"] * here["frailty"]
        bound = diagnosis_probability(highest, sigma, weather)
        turn, found, position = 0, AHEAD if bound > 0.0 else 0, here["members"]
        while found == AHEAD:
            found = walk_back(place, class_address(here), turn, position, log_none(bound), walk)
            position = walk.position[found - 1] if found > 0 else 0
            turn += found
            ill = keep_ill(parameters, roster, number, found, sigma * weather, bound, walk)
            diagnoses += ill
            while roster.size[0]["pending"] + ill > pending.size:
                pending = twice_as_long(pending)
            fall_ill(parameters, individuals, state, roster, pending, when, number, ill, walk)
    return diagnoses, pending


@borrowing_kernel
def keep_ill(
    parameters: Parameters,
    roster: Roster,
    number: int,
    found: int,
    weather: float,
    bound: float,
    walk: Walk,
) -> int:
    """Keep of those found on a walk whoever falls ill, each with his own probability.

    Parameters
    ----------
    parameters : Parameters
    roster : Roster, read
    number, found : int64, the class, how many were found
    weather : float64, selection times common shock times trend
    bound : float64, probability with which they were found
    walk : Walk, positions changed: those who fall ill come first

    Returns
    -------
    int64, how many fall ill
    """
    here = roster.classes[number]
    vintage = roster.vintages[here["vintage"]]
    ill = 0
    for i in range(found):
        slot = roster.slots[here["start"] + walk.position[i]]
        hazard = parameters.groups[group_now(vintage, group_of(slot["traits"]))]["hazard"]
        chance = diagnosis_probability(hazard * slot["frailty"], weather, 1.0)
        if walk.v[i] * bound < chance:
            walk.position[ill] = walk.position[i]
            ill += 1
    return ill


@borrowing_kernel
def fall_ill(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    pending: Records,
    when: tuple[int, int, int],
    number: int,
    ill: int,
    walk: Walk,
) -> None:
    """Let the ill of a class claim, or end their membership where they still wait.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, changed
    roster : Roster, changed
    pending : PENDING_ROW[], with room for them
    when : seed, path, period
    number, ill : int64, the class, how many
    walk : Walk, their positions, falling
    """
    seed, path, period = when
    outcome = stream(seed, path, Purpose.OUTCOME, period)
    lottery = stream(seed, path, Purpose.SAMPLE, 0)
    here = roster.classes[number]
    vintage = roster.vintages[here["vintage"]]
    plan, stage, motive = vintage["plan"], vintage["stage"], here["motive"]
    for i in range(ill):
        slot = here["start"] + walk.position[i]
        traits = roster.slots[slot]["traits"]
        cell = (plan, stage, arrears_of(traits), motive, group_now(vintage, group_of(traits)))
        if stage < parameters.plans[plan]["wait"]:
            end_early(individuals, state, roster, lottery, (number, slot), period, cell)
        else:
            claim(parameters, state, roster, pending, outcome, (number, slot), period, cell)


@inlined_kernel
def end_early(
    individuals: Individuals,
    state: State,
    roster: Roster,
    lottery: Stream,
    where: tuple[int, int],
    period: int,
    cell: tuple[int, int, int, int, int],
) -> None:
    """End the membership of who falls ill while he waits.

    Parameters
    ----------
    individuals : Individuals
    state : State, changed
    roster : Roster, changed
    lottery : Stream of samples
    where : class, slot
    period : int64
    cell : plan, stage, arrears, motive, group now
    """
    number, slot = where
    vintage = roster.classes[number]["vintage"]
    group = group_of(roster.slots[slot]["traits"])
    debt = debt_of(roster, vintage, group, cell[2])
    take_out(state, cell, debt, -1)
    write_off(state, cell[0], debt)
    state.left[cell[0], EARLY_DIAGNOSIS] += 1
    money = (debt, balance_of(roster, vintage, group))
    note(individuals, roster, lottery, where, (period, EARLY_DIAGNOSIS), money)
    vacate(roster, number, slot)


@inlined_kernel
def twice_as_long(pending: Records) -> Records:
    """Copy PENDING_ROW[] into an array with twice the room."""
    longer = np.zeros(2 * pending.size, PENDING_ROW)
    for i in range(pending.size):
        longer[i] = pending[i]
    return longer


@inlined_kernel
def claim(
    parameters: Parameters,
    state: State,
    roster: Roster,
    pending: Records,
    outcome: Stream,
    where: tuple[int, int],
    period: int,
    cell: tuple[int, int, int, int, int],
) -> None:
    """Take note of a claim; set the member apart if it will end his membership.

    Who claims settles the bills that failed; his prepaid balance is paid back.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    roster : Roster, changed
    pending : PENDING_ROW[], with room for one more
    outcome : Stream of outcomes
    where : class, slot
    period : int64
    cell : plan, stage, arrears, motive, group now
    """
    number, slot = where
    plan, _, late, motive, now = cell
    person = whole(roster.slots[slot]["number"])
    u, v = uniforms(outcome, person, 0)
    settings = parameters.groups[now]
    accepted = u < settings["acceptance"]
    due = period + draw_delay(parameters.delay, v)
    result = ACCEPTED if accepted else REFUSED
    state.pending[plan, due % parameters.delay.size, result, now] += 1
    if not accepted and not settings["leaves_on_rejection"]:
        return
    here = roster.classes[number]
    group = group_of(roster.slots[slot]["traits"])
    debt = debt_of(roster, here["vintage"], group, late)
    take_out(state, cell, debt, -1)
    state.plan[plan]["outstanding"] -= debt
    state.plan[plan]["collected"] += debt
    state.pending_members[plan, now] += 1
    row = pending[roster.size[0]["pending"]]
    roster.size[0]["pending"] += 1
    row["number"] = person
    row["joined"] = roster.vintages[here["vintage"]]["joined"]
    row["due"] = due
    row["bills"] = roster.bills[here["vintage"], group] - roster.claim_bills[plan, now]
    row["group"] = now
    row["group_joined"] = group
    row["plan"] = plan
    row["channel"] = channel_of(roster.slots[slot]["traits"])
    row["motive"] = motive
    row["severity"] = -1
    row["accepted"] = accepted
    row["frailty"] = roster.slots[slot]["frailty"]
    row["paid"] = roster.charged[here["vintage"], group] - roster.claim_charged[plan, now]
    row["returned"] = balance_of(roster, here["vintage"], group)
    vacate(roster, number, slot)


@inlined_kernel
def draw_delay(delay: Float64, v: float) -> int:
    """Find the delay (int64, periods) of a uniform v, by inversion of float64[D] probabilities."""
    last = delay.size - 1
    while last > 0 and delay[last] <= 0.0:
        last -= 1
    for periods in range(last):
        v -= delay[periods]
        if v < 0.0:
            return periods
    return last


@inlined_kernel
def assess_individually(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    when: tuple[int, int, int],
    plan: int,
) -> tuple[int, int, int]:
    """Reveal the outcome of the claims due this period; the refused leave if they must.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, changed: `accepted` holds the cases by severity
    roster : Roster, changed
    when : seed, path, period
    plan : int64

    Returns
    -------
    (cases, rejections, disputes) : int64
    """
    seed, path, period = when
    slot = period % parameters.delay.size
    severity = stream(seed, path, Purpose.SEVERITY, period)
    lottery = stream(seed, path, Purpose.SAMPLE, 0)
    state.accepted[plan] = 0
    cases, rejections = NOBODY, NOBODY
    for group in range(parameters.groups.size):
        cases += state.pending[plan, slot, ACCEPTED, group]
        rejections += state.pending[plan, slot, REFUSED, group]
        state.pending[plan, slot, ACCEPTED, group] = 0
        state.pending[plan, slot, REFUSED, group] = 0
    for i in range(roster.size[0]["pending"] - 1, -1, -1):
        due = roster.pending[i]
        if due["plan"] != plan or due["due"] != period:
            continue
        group = whole(due["group"])
        if due["accepted"]:
            u = uniforms(severity, whole(due["number"]), 0)[0]
            due["severity"] = draw_delay(parameters.severity, u)
            state.accepted[plan, group, due["severity"]] += 1
        else:
            state.pending_members[plan, group] -= 1
            state.left[plan, REJECTED] += 1
            charged = (roster.claim_charged[plan, group], roster.claim_bills[plan, group], 0.0)
            note_claimant(individuals, roster, lottery, due, (period, REJECTED), charged)
            forget_claim(roster, i)
    place = stream(seed, path, Purpose.DISPUTE, period)
    return cases, rejections, binomial(place, plan, rejections, parameters.market[0]["dispute"])


@borrowing_kernel
def forget_claim(roster: Roster, claim: int) -> None:
    """Take a claim out of `pending`; the last takes its place."""
    last = roster.size[0]["pending"] - 1
    roster.pending[claim] = roster.pending[last]
    roster.size[0]["pending"] = last


@inlined_kernel
def release_individually(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    row: np.void,
    when: tuple[int, int, int],
    plan: int,
) -> None:
    """Let the members leave whose cases were settled this period, with what they received.

    A case pays its benefit up to the plan's limit per payer; what caps cut is cut from all alike.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, read; the counts by cell are changed by `claims.release_claimants`
    roster : Roster, changed
    row : PERIOD_ROW, read: payers, benefits
    when : seed, path, period
    plan : int64
    """
    seed, path, period = when
    lottery = stream(seed, path, Purpose.SAMPLE, 0)
    settings = parameters.plans[plan]
    payable = benefits_due(parameters, state.accepted[plan], plan, row["payers"])[0]
    paid_part = row["benefits"] / payable if payable > 0.0 else 0.0
    limit = np.inf
    if settings["benefit_limit"] < np.inf:
        limit = settings["benefit_limit"] * row["payers"]
    last = settings["wait"] + parameters.market[0]["bands"] - 1
    own = 1.0 - state.plan[plan]["gives"] * state.stage[plan, last]["free"]
    for i in range(roster.size[0]["pending"] - 1, -1, -1):
        due = roster.pending[i]
        if due["plan"] != plan or due["severity"] < 0:
            continue
        group = whole(due["group"])
        charged, bills = roster.claim_charged[plan, group], roster.claim_bills[plan, group]
        if not settings["claimants_pay"]:
            bill = own * state.charge[plan, last, group]
            charged -= bill
            bills -= 1 if bill != 0.0 else 0
        benefit = parameters.fraction[due["severity"]] * parameters.benefit[plan, group]
        received = paid_part * min(benefit, limit)
        end = (period, CLAIMED)
        note_claimant(individuals, roster, lottery, due, end, (charged, bills, received))
        forget_claim(roster, i)
