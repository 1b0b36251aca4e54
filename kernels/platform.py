"""Step 8: the platform's cash, and whether the pool closes (MODEL section 8).

All money passes through the platform: it collects bills, pays benefits and the custodian, and
keeps or advances the difference. Its other income and costs are not modelled yet.

Law: cash changes by collected - benefits - custody, and by nothing else.
"""

import math

import numpy as np

from kernels.claims import benefits_due, claim_address
from kernels.compiling import inlined_kernel, kernel
from kernels.draws import Purpose, multinomial, stream, uniforms
from kernels.parameters import Parameters
from kernels.state import ACCEPTED, NOBODY, WHOLE_POOL, State

CLOSURE_CAUSES = ("none", "too_small", "share_limit", "regulation")
OPEN = 0
TOO_SMALL = 1
SHARE_LIMIT = 2
ORDERED = 3


@inlined_kernel
def exceeds_share_limit(parameters: Parameters, state: State) -> bool:
    """Tell whether a plan's share has been above the limit for too many periods in succession.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: periods above the limit

    Returns
    -------
    bool
    """
    pool = parameters.pool[0]
    exceeded = False
    for plan in range(state.plan.size):
        if state.plan[plan]["share"] > pool["share_limit"]:
            state.plan[plan]["periods_above_limit"] += 1
        else:
            state.plan[plan]["periods_above_limit"] = 0
        if state.plan[plan]["periods_above_limit"] >= pool["share_limit_periods"]:
            exceeded = True
    return exceeded


@kernel
def closure_cause(parameters: Parameters, state: State, seed: int, path: int, period: int) -> int:
    """Test the causes of closure in the order of the model; the first that holds is the cause.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: periods above the limit
    seed, path, period : int64

    Returns
    -------
    int64, position in `CLOSURE_CAUSES`
    """
    too_expensive = exceeds_share_limit(parameters, state)
    pool = parameters.pool[0]
    if period >= pool["floor_from"] and state.pool[0]["members"] < pool["floor_members"]:
        return TOO_SMALL
    if too_expensive:
        return SHARE_LIMIT
    chance = -math.expm1(-parameters.periods[period]["closure_hazard"])
    if uniforms(stream(seed, path, Purpose.CLOSURE, period), WHOLE_POOL, WHOLE_POOL)[0] < chance:
        return ORDERED
    return OPEN


@kernel
def claims_left_unpaid(
    parameters: Parameters, state: State, seed: int, path: int, plan: int, period: int
) -> float:
    """Sum the benefits of the accepted claims that were still to come when the pool closed.

    Severities are drawn where they would have been drawn had the pool gone on.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    seed, path, plan, period : int64

    Returns
    -------
    float64, yuan
    """
    delays = parameters.delay.size
    accepted = np.zeros(state.accepted.shape[1:], np.int64)
    payers = NOBODY
    for stage in range(state.payers.shape[1]):
        for group in range(state.payers.shape[2]):
            payers += state.payers[plan, stage, group]
    unpaid = 0.0
    for due in range(period + 1, period + delays):
        severity = stream(seed, path, Purpose.SEVERITY, due)
        for group in range(parameters.groups.size):
            count = state.pending[plan, due % delays, ACCEPTED, group]
            where = claim_address(plan, ACCEPTED, parameters.groups[group]["code"])
            multinomial(severity, where, count, parameters.severity, accepted[group])
        unpaid += benefits_due(parameters, accepted, plan, payers)[0]
    return unpaid
