"""Step 8: the platform's ledger, and whether a pool closes (MODEL section 8).

All money passes through the platform: it collects bills, pays benefits and the custodian, and
keeps or advances the difference. Of its own it earns by cross-selling and interest, and pays for
those who join, for investigating claims and for operating. Members' reserves and prepaid balances
are theirs: they stand beside the platform's cash.

Laws: cash changes by collected - benefits - custody - to the reserve + cross-selling + interest
kept - acquisition - red packets - investigation - operating, and by nothing else but contributions
given back at the closure. Benefits due = paid + unfunded.
"""

import math

import numpy as np

from kernels.claims import benefits_due, claim_address
from kernels.compiling import borrowing_kernel, inlined_kernel, kernel
from kernels.draws import Purpose, multinomial, stream, uniforms
from kernels.parameters import Parameters, Records
from kernels.state import ACCEPTED, NOBODY, WHOLE_MARKET, State

CLOSURE_CAUSES = (
    "none",
    "too_small",
    "share_limit",
    "insolvent",
    "ruin",
    "no_profit",
    "regulation",
)
OPEN = 0
TOO_SMALL = 1
SHARE_LIMIT = 2
INSOLVENT = 3
RUIN = 4
NO_PROFIT = 5
ORDERED = 6


@inlined_kernel
def keep_ledger(parameters: Parameters, state: State, row: np.void, plan: int) -> None:
    """Book what the platform earns and pays for one plan this period, and its cash.

    Parameters
    ----------
    parameters : Parameters
    state : State, the pool's cash and the plan's reserve changed
    row : PERIOD_ROW, ledger columns filled; its other columns of money are read
    plan : int64
    """
    settings = parameters.pool[parameters.plans[plan]["pool"]]
    pool = state.pool[parameters.plans[plan]["pool"]]
    money = state.plan[plan]
    buyers = row["members"] * (1.0 - settings["cannibalisation"])
    a_year = parameters.market[0]["periods_per_year"]
    row["cross_selling"] = buyers * settings["sales_year"] / a_year
    row["acquisition"] = money["acquisition"]
    row["red_packets"] = money["red_packets"]
    row["investigation"] = (row["cases"] + row["rejections"]) * settings["investigation"]
    row["operating"] = row["members"] * settings["operating_member"]
    if is_first_of_pool(parameters, plan):
        row["operating"] += settings["operating"]
    money["reserve"] += row["to_reserve"]
    row["reserve"] = money["reserve"]
    kept = row["interest"] if settings["keeps_interest"] else 0.0
    pool["contributions"] += row["collected"]
    pool["cash"] += row["collected"] - row["benefits"] - row["custody"] - row["to_reserve"]
    pool["cash"] += row["cross_selling"] + kept - row["acquisition"] - row["red_packets"]
    pool["cash"] -= row["investigation"] + row["operating"]


@inlined_kernel
def is_first_of_pool(parameters: Parameters, plan: int) -> bool:
    """Tell whether a plan is the one in whose rows its pool's fixed costs are booked."""
    for other in range(plan):
        if parameters.plans[other]["pool"] == parameters.plans[plan]["pool"]:
            return False
    return True


@inlined_kernel
def result_of_year(parameters: Parameters, rows: Records, pool: int, period: int) -> float:
    """Sum what the platform earned less what it spent on a pool in the last P periods.

    Bills and benefits are members' money and do not count; subsidies do.

    Parameters
    ----------
    parameters : Parameters
    rows : PERIOD_ROW[T, P], filled up to the period
    pool, period : int64

    Returns
    -------
    float64, yuan
    """
    settings = parameters.pool[pool]
    result = 0.0
    for then in range(max(0, period + 1 - parameters.market[0]["periods_per_year"]), period + 1):
        for plan in range(parameters.plans.size):
            if parameters.plans[plan]["pool"] != pool:
                continue
            row = rows[then, plan]
            result += row["fee"] + row["cross_selling"] - row["acquisition"] - row["red_packets"]
            result -= row["investigation"] + row["operating"] + row["subsidy"]
            if settings["keeps_interest"]:
                result += row["interest"]
            if settings["custody_from_platform"]:
                result -= row["custody"]
    return result


@inlined_kernel
def is_unprofitable(parameters: Parameters, rows: Records, pool: int, period: int) -> bool:
    """Tell whether the deadline has passed and the last P periods brought no profit."""
    if period < parameters.pool[pool]["profit_deadline"]:
        return False
    return result_of_year(parameters, rows, pool, period) <= 0.0


@inlined_kernel
def exceeds_share_limit(parameters: Parameters, state: State, pool: int) -> bool:
    """Tell whether a plan's share has been above the limit for too many periods in succession.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: periods above the limit
    pool : int64

    Returns
    -------
    bool
    """
    settings = parameters.pool[pool]
    exceeded = False
    for plan in range(state.plan.size):
        if parameters.plans[plan]["pool"] != pool:
            continue
        if state.plan[plan]["share"] > settings["share_limit"]:
            state.plan[plan]["periods_above_limit"] += 1
        else:
            state.plan[plan]["periods_above_limit"] = 0
        if state.plan[plan]["periods_above_limit"] >= settings["share_limit_periods"]:
            exceeded = True
    return exceeded


@inlined_kernel
def is_ruined(parameters: Parameters, state: State, pool: int) -> bool:
    """Tell whether the fund of a fixed-price plan of the pool is below zero."""
    for plan in range(state.plan.size):
        settings = parameters.plans[plan]
        is_fund = settings["pool"] == pool and settings["premium"] >= 0.0
        if is_fund and state.plan[plan]["reserve"] < 0.0:
            return True
    return False


@borrowing_kernel
def is_broke(parameters: Parameters, state: State, pool: int) -> bool:
    """Tell whether a fund is below zero, or the cash where no parent stands behind it."""
    short = state.pool[pool]["cash"] < 0.0 and not parameters.pool[pool]["parent"]
    return short or is_ruined(parameters, state, pool)


@borrowing_kernel
def closure_cause(
    parameters: Parameters,
    state: State,
    rows: Records,
    when: tuple[int, int, int],
    pool: int,
) -> int:
    """Test the causes of closure in the order of the model; the first that holds is the cause.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: periods above the limit
    rows : PERIOD_ROW[T, P], filled up to the period
    when : seed, path, period
    pool : int64

    Returns
    -------
    int64, position in `CLOSURE_CAUSES`
    """
    seed, path, period = when
    too_expensive = exceeds_share_limit(parameters, state, pool)
    settings = parameters.pool[pool]
    cash, members = state.pool[pool]["cash"], state.pool[pool]["members"]
    chance = -math.expm1(-parameters.pool_periods[pool, period]["closure_hazard"])
    place = stream(seed, path, Purpose.CLOSURE, period)
    cause = OPEN
    if period >= settings["floor_from"] and members < settings["floor_members"]:
        cause = TOO_SMALL
    elif too_expensive:
        cause = SHARE_LIMIT
    elif cash < 0.0 and not settings["parent"]:
        cause = INSOLVENT
    elif is_ruined(parameters, state, pool):
        cause = RUIN
    elif is_unprofitable(parameters, rows, pool, period):
        cause = NO_PROFIT
    elif uniforms(place, pool, WHOLE_MARKET)[0] < chance:
        cause = ORDERED
    return cause


@borrowing_kernel
def default_on_benefits(
    parameters: Parameters, state: State, rows: Records, pool: int, period: int
) -> None:
    """Leave those benefits of a pool's last period unpaid that there was no money for.

    Parameters
    ----------
    parameters : Parameters
    state : State, cash and reserves changed
    rows : PERIOD_ROW[T, P], the period's rows changed: benefits, unfunded, defaulted
    pool, period : int64
    """
    due = 0.0
    for plan in range(state.plan.size):
        if parameters.plans[plan]["pool"] == pool:
            row = rows[period, plan]
            missing = 0.0
            if parameters.plans[plan]["premium"] >= 0.0:
                missing = min(row["benefits"], max(0.0, -state.plan[plan]["reserve"]))
            default(row, missing)
            row["to_reserve"] += missing
            row["reserve"] += missing
            state.plan[plan]["reserve"] += missing
            due += row["benefits"]
    short = min(due, max(0.0, -state.pool[pool]["cash"]))
    if parameters.pool[pool]["parent"] or short == 0.0:
        return
    state.pool[pool]["cash"] += short
    for plan in range(state.plan.size):
        if parameters.plans[plan]["pool"] == pool:
            default(rows[period, plan], short * rows[period, plan]["benefits"] / due)


@inlined_kernel
def default(row: np.void, missing: float) -> None:
    """Move benefits of a PERIOD_ROW from what is paid to what is not; float64, yuan."""
    row["benefits"] -= missing
    row["unfunded"] += missing
    row["defaulted"] += missing


@inlined_kernel
def deposits_lost(parameters: Parameters, state: State, pool: int) -> float:
    """Sum the members' money that goes down with a pool (float64, yuan).

    None where a custodian holds it, or a parent stands behind the platform.
    """
    settings = parameters.pool[pool]
    lost = 0.0
    if settings["funds_in_custody"] or settings["parent"]:
        return lost
    for plan in range(state.plan.size):
        if parameters.plans[plan]["pool"] == pool:
            lost += state.plan[plan]["balances"] + max(0.0, state.plan[plan]["reserve"])
    return lost


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
