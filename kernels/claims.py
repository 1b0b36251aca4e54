"""Steps 3 and 4: who falls ill, and what becomes of the claim (MODEL section 3).

A diagnosis in the waiting period ends the membership. Past it, the outcome of the assessment is
drawn with the diagnosis and revealed when the delay is over: members whose claim will be accepted
(and those who will be thrown out for it) stand apart until then, no longer at risk and no longer
leaving; a member whose claim will be refused and who may stay goes on as before.

Law: every diagnosis past the waiting period becomes one case or one refusal, `delay` periods later.
"""

import math

import numpy as np

from kernels.compiling import borrowing_kernel, inlined_kernel, kernel
from kernels.draws import Purpose, Stream, binomial, multinomial, normal, stream
from kernels.parameters import Float64, Int64, Parameters, Records
from kernels.state import (
    ACCEPTED,
    CLAIMED,
    EARLY_DIAGNOSIS,
    NOBODY,
    REFUSED,
    REJECTED,
    WHOLE_MARKET,
    State,
    block_address,
    cell_address,
    draw_cells,
    leave,
    remove,
)


@inlined_kernel
def selection(start: float, wear: float) -> float:
    """Compute sigma = s0 + (1 - s0)(1 - wear), the incidence relative to the ultimate one.

    Parameters
    ----------
    start : float64, s0, >= 0
    wear : float64, 0..1, mean of exp(-d/tau) over the stage, d the time past waiting

    Returns
    -------
    float64, >= 0
    """
    return start + (1.0 - start) * (1.0 - wear)


@kernel
def diagnosis_probability(hazard: float, sigma: float, weather: float) -> float:
    """Compute q = 1 - exp(-hazard sigma Z (1+trend)^(t/P)).

    Parameters
    ----------
    hazard : float64, ultimate intensity per period
    sigma : float64, selection
    weather : float64, >= 0, common shock times trend

    Returns
    -------
    float64, 0..1
    """
    return -math.expm1(-hazard * (sigma * weather))


@borrowing_kernel
def set_incidence(
    parameters: Parameters, stages: Records, weather: float, incidence: Float64
) -> None:
    """Fill in each group's probability of a diagnosis this period.

    Parameters
    ----------
    parameters : Parameters
    stages : STAGE_STATE[S], their wear read
    weather : float64, >= 0, common shock times trend
    incidence : float64[S, G], filled
    """
    for stage in range(stages.size):
        sigma = selection(parameters.market[0]["selection_start"], stages[stage]["wear"])
        for group in range(parameters.groups.size):
            hazard = parameters.groups[group]["hazard"]
            incidence[stage, group] = diagnosis_probability(hazard, sigma, weather)


@inlined_kernel
def draw_shock(parameters: Parameters, state: State, seed: int, path: int, period: int) -> None:
    """Draw the period's common shock Z, log-normal with mean 1 and an AR(1) in its logarithm.

    log Z = v x - v^2 / 2 with x <- rho x + sqrt(1 - rho^2) e, e standard normal; x starts in its
    stationary law, so that the mean of Z is 1 in every period (MODEL section 3).

    Parameters
    ----------
    parameters : Parameters
    state : State, the market's shock changed
    seed, path, period : int64
    """
    volatility = parameters.market[0]["shock_volatility"]
    if volatility == 0.0:
        state.market[0]["shock"] = 1.0
        return
    memory = parameters.market[0]["shock_persistence"] if period > 0 else 0.0
    fresh = normal(stream(seed, path, Purpose.SHOCK, period), WHOLE_MARKET)
    deviate = memory * state.market[0]["deviate"] + math.sqrt(1.0 - memory * memory) * fresh
    state.market[0]["deviate"] = deviate
    state.market[0]["shock"] = math.exp(volatility * deviate - 0.5 * volatility * volatility)


@kernel
def diagnose(
    parameters: Parameters, state: State, seed: int, path: int, plan: int, period: int
) -> int:
    """Draw the period's diagnoses of one plan, cell by cell.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: members leave, `diagnosed` holds the claims by outcome
    seed, path, plan, period : int64

    Returns
    -------
    int64, diagnoses, those of the waiting period included
    """
    place = stream(seed, path, Purpose.DIAGNOSIS, period)
    outcome = stream(seed, path, Purpose.OUTCOME, period)
    wait = parameters.plans[plan]["wait"]
    _, stages, arrears, motives, groups = state.members.shape
    diagnoses = 0
    state.diagnosed[plan] = 0
    for stage in range(stages):
        for motive in range(motives):
            for group in range(groups):
                state.chance[motive, group] = state.incidence[plan, stage, group]
        for late in range(arrears):
            block = block_address(plan, stage, late, wait)
            members = state.members[plan, stage, late]
            if stage >= wait:
                count_exposure(parameters, state, plan, stage, members)
            ill = draw_cells(place, block, parameters.groups, members, state.chance, state.drawn)
            diagnoses += ill
            if ill > 0 and stage < wait:
                leave(state, plan, stage, late)
                state.left[plan, EARLY_DIAGNOSIS] += ill
            elif ill > 0:
                claim(parameters, state, outcome, plan, stage, late)
    return diagnoses


@inlined_kernel
def count_exposure(
    parameters: Parameters, state: State, plan: int, stage: int, members: Int64
) -> None:
    """Count the members of a block past the waiting period as at risk, and what they will cost.

    Parameters
    ----------
    parameters : Parameters
    state : State, `cells` changed
    plan, stage : int64
    members : int64[C, G], persons
    """
    fee = 1.0 + parameters.plans[plan]["fee_rate"]
    groups = members.shape[1]
    cost = np.zeros(groups, np.float64)
    for group in range(groups):
        benefit = expected_benefit(parameters, plan, group)
        cost[group] = state.incidence[plan, stage, group] * benefit * fee
    for motive in range(members.shape[0]):
        for group in range(groups):
            count = members[motive, group]
            state.cells[plan, group]["exposure"] += count
            state.cells[plan, group]["expected"] += count * cost[group]


@inlined_kernel
def claim(
    parameters: Parameters, state: State, outcome: Stream, plan: int, stage: int, late: int
) -> None:
    """Take note of a block's claims, and set apart those whose membership they will end.

    Who claims settles the bills that failed: the debt counts as collected. His prepaid balance is
    paid back; bills that come while he waits are collected as they fall due.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed; `drawn` says who was diagnosed
    outcome : Stream of outcomes
    plan, stage, late : int64, the block
    """
    block = block_address(plan, stage, late, parameters.plans[plan]["wait"])
    motives, groups = state.drawn.shape
    for motive in range(motives):
        for group in range(groups):
            ill = state.drawn[motive, group]
            if ill == 0:
                continue
            where = cell_address(block, motive, parameters.groups[group]["code"])
            accepted = binomial(outcome, where, ill, parameters.groups[group]["acceptance"])
            state.diagnosed[plan, ACCEPTED, group] += accepted
            state.diagnosed[plan, REFUSED, group] += ill - accepted
            leaving = ill if parameters.groups[group]["leaves_on_rejection"] else accepted
            settled = remove(state, (plan, stage, late, motive, group), leaving)
            state.plan[plan]["outstanding"] -= settled
            state.plan[plan]["collected"] += settled
            state.pending_members[plan, group] += leaving


@kernel
def claim_address(plan: int, outcome: int, group_code: int) -> int:
    """Give the address of the claims of a plan, outcome and group, below 2**15."""
    return (plan << 11) | (outcome << 10) | group_code


@kernel
def report_later(
    parameters: Parameters, state: State, seed: int, path: int, plan: int, period: int
) -> None:
    """Spread the period's claims over the periods in which they will be reported and assessed.

    Parameters
    ----------
    parameters : Parameters
    state : State, `pending` changed
    seed, path, plan, period : int64
    """
    delay = parameters.delay
    place = stream(seed, path, Purpose.DELAY, period)
    by_delay = np.zeros(delay.size, np.int64)
    for outcome in range(2):
        for group in range(parameters.groups.size):
            count = state.diagnosed[plan, outcome, group]
            if count > 0:
                where = claim_address(plan, outcome, parameters.groups[group]["code"])
                multinomial(place, where, count, delay, by_delay)
                for later in range(delay.size):
                    slot = (period + later) % delay.size
                    state.pending[plan, slot, outcome, group] += by_delay[later]


@kernel
def assess(
    parameters: Parameters, state: State, seed: int, path: int, plan: int, period: int
) -> tuple[int, int, int]:
    """Reveal the outcome of the claims due this period; the refused leave if they must.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: `accepted` holds the cases by severity
    seed, path, plan, period : int64

    Returns
    -------
    (cases, rejections, disputes) : int64
    """
    slot = period % parameters.delay.size
    severity = stream(seed, path, Purpose.SEVERITY, period)
    cases = NOBODY
    rejections = NOBODY
    for group in range(parameters.groups.size):
        accepted = state.pending[plan, slot, ACCEPTED, group]
        refused = state.pending[plan, slot, REFUSED, group]
        where = claim_address(plan, ACCEPTED, parameters.groups[group]["code"])
        multinomial(severity, where, accepted, parameters.severity, state.accepted[plan, group])
        if parameters.groups[group]["leaves_on_rejection"]:
            state.pending_members[plan, group] -= refused
            state.left[plan, REJECTED] += refused
        cases += accepted
        rejections += refused
        state.pending[plan, slot, ACCEPTED, group] = 0
        state.pending[plan, slot, REFUSED, group] = 0
    place = stream(seed, path, Purpose.DISPUTE, period)
    return cases, rejections, binomial(place, plan, rejections, parameters.market[0]["dispute"])


@borrowing_kernel
def benefits_due(
    parameters: Parameters, accepted: Int64, plan: int, payers: int
) -> tuple[float, float]:
    """Sum what a plan's cases pay, and what they would pay without the limit per payer.

    Parameters
    ----------
    parameters : Parameters
    accepted : int64[G, V], cases
    plan, payers : int64

    Returns
    -------
    (payable, full) : float64, yuan
    """
    limit = math.inf
    if parameters.plans[plan]["benefit_limit"] < math.inf:
        limit = parameters.plans[plan]["benefit_limit"] * payers
    payable = 0.0
    full = 0.0
    for group in range(accepted.shape[0]):
        for severity in range(accepted.shape[1]):
            count = accepted[group, severity]
            benefit = parameters.fraction[severity] * parameters.benefit[plan, group]
            full += count * benefit
            payable += count * min(benefit, limit)
    return payable, full


@borrowing_kernel
def release_claimants(state: State, plan: int) -> None:
    """Let the members leave whose cases were settled this period.

    Parameters
    ----------
    state : State, changed
    plan : int64
    """
    for group in range(state.accepted.shape[1]):
        for severity in range(state.accepted.shape[2]):
            paid = state.accepted[plan, group, severity]
            state.pending_members[plan, group] -= paid
            state.left[plan, CLAIMED] += paid


@inlined_kernel
def expected_benefit(parameters: Parameters, plan: int, group: int) -> float:
    """Compute the mean benefit of a diagnosis, before the limit: acceptance times severity.

    Parameters
    ----------
    parameters : Parameters
    plan, group : int64

    Returns
    -------
    float64, yuan a diagnosis
    """
    fraction = 0.0
    for severity in range(parameters.severity.size):
        fraction += parameters.severity[severity] * parameters.fraction[severity]
    return parameters.groups[group]["acceptance"] * fraction * parameters.benefit[plan, group]
