"""What both engines do in a period besides drawing who falls ill, pays and leaves.

The order of events is that of MODEL section 1: `open_period`, `pass_time`, then each engine's own
steps plan by plan, `spread_word`, `write_rows`, `end_period`. Everything here works on counts by
cell and on public state; it does not know how the counts were drawn.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.ageing import advance_age, advance_tenure, begin_year
from kernels.claims import draw_shock
from kernels.compiling import borrowing_kernel, inlined_kernel, kernel
from kernels.dtypes import CELL_ROW, PATH_ROW, PERIOD_ROW, POOL_ROW
from kernels.news import frighten_others, learn, mean_expectation, spread_news
from kernels.parameters import Parameters
from kernels.platform import (
    OPEN,
    claims_left_unpaid,
    closure_cause,
    default_on_benefits,
    deposits_lost,
    is_broke,
    keep_ledger,
)
from kernels.state import CAUSES, NOBODY, State, plan_members, pool_members

Rows = npt.NDArray[np.void]


class Outcome(NamedTuple):
    """What one path leaves behind.

    periods : PERIOD_ROW[T, P], filled up to the period in which the plan's pool ends
    path : PATH_ROW[1]
    pools : POOL_ROW[Q]
    cells : CELL_ROW[P, G]
    """

    periods: Rows
    path: Rows
    pools: Rows
    cells: Rows


def new_outcome(parameters: Parameters) -> Outcome:
    """Make the empty rows of a path, for `simulate_path` to fill.

    Parameters
    ----------
    parameters : Parameters
    """
    plans = parameters.plans.size
    return Outcome(
        np.zeros((parameters.periods.size, plans), PERIOD_ROW),
        np.zeros(1, PATH_ROW),
        np.zeros(parameters.pool.size, POOL_ROW),
        np.zeros((plans, parameters.groups.size), CELL_ROW),
    )


@borrowing_kernel
def open_period(state: State) -> None:
    """Set the period's own counts and sums back to zero."""
    for plan in range(state.plan.size):
        state.left[plan] = 0
        money = state.plan[plan]
        money["joined"] = 0
        money["moved_in"] = 0
        money["collected"] = 0.0
        money["written_off"] = 0.0
        money["paid_in"] = 0.0
        money["drawn"] = 0.0
        money["acquisition"] = 0.0
        money["red_packets"] = 0.0
        money["share_before"] = money["share"]


@inlined_kernel
def pass_time(parameters: Parameters, state: State, seed: int, path: int, period: int) -> None:
    """Do step 1: a period of tenure, and every P-th period a year of age, for everybody."""
    draw_shock(parameters, state, seed, path, period)
    if period == 0:
        return
    for plan in range(state.plan.size):
        advance_tenure(parameters, state, plan, period)
    if period % parameters.market[0]["periods_per_year"] == 0:
        begin_year(state)
        # the oldest plans first: who moves into a successor has had his birthday
        for band in range(parameters.groups.size - 1, -1, -1):
            for plan in range(state.plan.size):
                if parameters.plans[plan]["last_band"] == band and is_running(
                    parameters, state, plan
                ):
                    advance_age(parameters, state, seed, path, plan, period)
        for pool in range(state.pool.size):
            state.pool[pool]["members"] = pool_members(parameters, state, pool)


@borrowing_kernel
def is_running(parameters: Parameters, state: State, plan: int) -> bool:
    """Tell whether a plan's pool has not ended."""
    return not state.pool[parameters.plans[plan]["pool"]]["closed"]


@kernel
def spread_word(
    parameters: Parameters, state: State, rows: Rows, seed: int, path: int, period: int
) -> None:
    """Do step 7: expectations and news, and the share that newcomers will have heard of."""
    pools = state.pool.size
    billed = np.zeros(pools, np.float64)
    payers = np.zeros(pools, np.int64)
    disputes = np.zeros(pools, np.int64)
    rise = np.zeros(pools, np.float64)
    for plan in range(state.plan.size):
        if is_running(parameters, state, plan):
            row = rows[period, plan]
            pool = parameters.plans[plan]["pool"]
            # what members see is the whole charge, also where the platform pays their first
            billed[pool] += row["share"] * row["payers"]
            payers[pool] += row["payers"]
            disputes[pool] += row["disputes"]
            learn(parameters, state, plan, row["payers"])
    for pool in range(pools):
        place = state.pool[pool]
        share_year = 0.0
        if payers[pool] > 0:
            share_year = billed[pool] / payers[pool] * parameters.market[0]["periods_per_year"]
        if place["share_year"] > 0.0:
            higher = max(0.0, share_year / place["share_year"] - 1.0)
            rise[pool] = min(higher, parameters.market[0]["shock_cap"])
        place["share_year"] = share_year
        place["members"] = pool_members(parameters, state, pool)
    spread_news(parameters, state, seed, path, period, disputes, rise)


@borrowing_kernel
def write_rows(parameters: Parameters, state: State, rows: Rows, period: int) -> None:
    """Do step 8: keep the ledger, and fill in what the steps left open of the period's rows."""
    for plan in range(state.plan.size):
        if not is_running(parameters, state, plan):
            continue
        row = rows[period, plan]
        money = state.plan[plan]
        row["members"] = plan_members(state.members[plan], state.pending_members[plan])
        row["joins"] = money["joined"] + money["moved_in"]
        row["moved_in"] = money["moved_in"]
        row["lapses"] = 0
        for cause in range(CAUSES):
            row["lapses"] += state.left[plan, cause]
        row["collected"] = money["collected"]
        row["outstanding"] = money["outstanding"]
        row["written_off"] = money["written_off"]
        row["carried"] = money["carried"]
        row["expectation"] = mean_expectation(state, plan)
        row["news"] = state.pool[parameters.plans[plan]["pool"]]["news"]
        row["shock"] = state.market[0]["shock"]
        write_causes(row, state.left[plan])
        keep_ledger(parameters, state, row, plan)
    for plan in range(state.plan.size):
        if is_running(parameters, state, plan):
            place = parameters.plans[plan]["pool"]
            rows[period, plan]["platform_cash"] = state.pool[place]["cash"]


@inlined_kernel
def write_causes(row: np.void, left: npt.NDArray[np.int64]) -> None:
    """Fill in a row's lapses by cause; `left` is in the order of `LAPSE_CAUSES`."""
    row["lapses_base"] = left[0]
    row["lapses_first_bill"] = left[1]
    row["lapses_bill_shock"] = left[2]
    row["lapses_growth"] = left[3]
    row["lapses_burden"] = left[4]
    row["lapses_news"] = left[5]
    row["lapses_competitor"] = left[6]
    row["lapses_regulation"] = left[7]
    row["lapses_died"] = left[8]
    row["lapses_aged_out"] = left[9]
    row["lapses_moved"] = left[10]
    row["lapses_early_diagnosis"] = left[11]
    row["lapses_claimed"] = left[12]
    row["lapses_rejected"] = left[13]
    row["lapses_arrears"] = left[14]
    row["lapses_balance_exhausted"] = left[15]


@borrowing_kernel
def add_period(
    parameters: Parameters, state: State, rows: Rows, out: np.void, pool: int, period: int
) -> None:
    """Bring the row of a pool, or of the path, up to date with a period that has ended.

    Parameters
    ----------
    parameters : Parameters
    state : State, read
    rows : PERIOD_ROW[T, P], filled up to the period
    out : POOL_ROW or PATH_ROW, changed
    pool : int64, -1 for the path, which is all pools together
    period : int64
    """
    members = NOBODY
    cash = 0.0
    first = True
    # the slope has a sign, so its largest value may be below the 0 that the row begins with
    is_first_slope = out["periods_run"] == 0
    for plan in range(state.plan.size):
        place = parameters.plans[plan]["pool"]
        if pool >= 0 and place != pool:
            continue
        # the total is that of the first plan alone, also when its pool has ended
        if first and not state.pool[place]["closed"]:
            out["share_total"] += rows[period, plan]["share"]
        first = False
        if state.pool[place]["closed"]:
            continue
        row = rows[period, plan]
        members += row["members"]
        out["share_max"] = max(out["share_max"], row["share"])
        out["cases"] += row["cases"]
        out["benefits"] += row["benefits"]
        out["unfunded_benefits"] += row["unfunded"]
        if is_first_slope or row["price_slope"] > out["price_slope_max"]:
            out["price_slope_max"] = row["price_slope"]
        is_first_slope = False
    for place in range(state.pool.size):
        if pool < 0 or place == pool:
            cash += state.pool[place]["cash"]
    if out["periods_run"] == 0:
        out["platform_cash_min"] = cash
    out["periods_run"] = period + 1
    out["members_end"] = members
    out["platform_cash_end"] = cash
    out["platform_cash_min"] = min(out["platform_cash_min"], cash)
    if members > out["peak_members"]:
        out["peak_members"] = members
        out["peak_period"] = period


@inlined_kernel
def try_closure(
    parameters: Parameters, state: State, rows: Rows, when: tuple[int, int, int], pool: int
) -> None:
    """Test whether a pool closes, or, where it has, whether its wind-down is over.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    rows : PERIOD_ROW[T, P]; the period's are changed where benefits could not be paid
    when : seed, path, period
    pool : int64
    """
    place, period = state.pool[pool], when[2]
    # without money there is nothing to wind down with
    broke = is_broke(parameters, state, pool)
    if place["closure_period"] < 0:
        cause = closure_cause(parameters, state, rows, when, pool)
        if cause == OPEN:
            return
        place["closure_cause"] = cause
        place["closure_period"] = period
        place["winding"] = 0 if broke else parameters.pool[pool]["wind_down"]
        frighten_others(parameters, state, pool)
    else:
        place["winding"] = 0 if broke else place["winding"] - 1
    default_on_benefits(parameters, state, rows, pool, period)
    if place["winding"] == 0:
        place["ended"] = period


@inlined_kernel
def leave_uncovered(state: State, plan: int) -> None:
    """Record who of a plan is left without cover as its pool closes, by group.

    Parameters
    ----------
    state : State, `cells` changed
    plan : int64
    """
    stages, arrears, motives, groups = state.members[plan].shape
    for group in range(groups):
        count = state.pending_members[plan, group]
        for stage in range(stages):
            for behind in range(arrears):
                for motive in range(motives):
                    count += state.members[plan, stage, behind, motive, group]
        state.cells[plan, group]["uncovered"] = count


@inlined_kernel
def write_closure(
    parameters: Parameters,
    state: State,
    rows: Rows,
    out: np.void,
    when: tuple[int, int, int],
    pool: int,
) -> None:
    """Record the end of a pool: who is left without cover, what is left unpaid or given back.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed: cash where contributions are given back, cells
    rows : PERIOD_ROW[T, P], the period's cash changed likewise
    out : POOL_ROW, changed
    when : seed, path, period
    pool : int64
    """
    seed, path, period = when
    place = state.pool[pool]
    if place["closure_period"] == period:
        out["closure_cause"] = place["closure_cause"]
        out["closure_period"] = period
        out["uncovered_members"] = place["members"]
        for plan in range(state.plan.size):
            if parameters.plans[plan]["pool"] == pool:
                leave_uncovered(state, plan)
        returned = parameters.pool[pool]["returned_share"] * place["contributions"]
        if not parameters.pool[pool]["parent"]:
            returned = min(returned, max(0.0, place["cash"]))
        place["cash"] -= returned
        out["returned_contributions"] = returned
    if place["winding"] == 0:
        out["lost_deposits"] = deposits_lost(parameters, state, pool)
        for plan in range(state.plan.size):
            if parameters.plans[plan]["pool"] == pool:
                out["unfunded_benefits"] += claims_left_unpaid(
                    parameters, state, seed, path, plan, period
                )
    for plan in range(state.plan.size):
        if parameters.plans[plan]["pool"] == pool:
            rows[period, plan]["platform_cash"] = place["cash"]


@inlined_kernel
def end_period(
    parameters: Parameters, state: State, rows: Rows, pool_rows: Rows, when: tuple[int, int, int]
) -> None:
    """Test the closure of every pool, and bring the rows of the pools up to date.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    rows : PERIOD_ROW[T, P], filled up to the period
    pool_rows : POOL_ROW[Q], changed
    when : seed, path, period
    """
    for pool in range(state.pool.size):
        if state.pool[pool]["closed"]:
            continue
        try_closure(parameters, state, rows, when, pool)
        out = pool_rows[pool]
        if state.pool[pool]["closure_period"] >= 0:
            write_closure(parameters, state, rows, out, when, pool)
        add_period(parameters, state, rows, out, pool, when[2])


@borrowing_kernel
def sum_up(pool_rows: Rows, path_row: np.void) -> None:
    """Fill in of the path's row what is known once its pools have ended.

    Closure is that of the pool that closed last, if every pool closed.

    Parameters
    ----------
    pool_rows : POOL_ROW[Q]
    path_row : PATH_ROW, changed
    """
    last = NOBODY
    everywhere = True
    path_row["unfunded_benefits"] = 0.0
    for pool in range(pool_rows.size):
        row = pool_rows[pool]
        everywhere = everywhere and row["closure_period"] >= 0
        if row["closure_period"] > pool_rows[last]["closure_period"]:
            last = pool
        path_row["unfunded_benefits"] += row["unfunded_benefits"]
        path_row["uncovered_members"] += row["uncovered_members"]
        path_row["lost_deposits"] += row["lost_deposits"]
        path_row["returned_contributions"] += row["returned_contributions"]
    path_row["closure_period"] = -1
    if everywhere:
        path_row["closure_cause"] = pool_rows[last]["closure_cause"]
        path_row["closure_period"] = pool_rows[last]["closure_period"]


@inlined_kernel
def close_ended(state: State) -> int:
    """Mark the pools that have ended in this period, and count those that have not (int64)."""
    running = 0
    for pool in range(state.pool.size):
        place = state.pool[pool]
        if place["closure_period"] >= 0 and place["winding"] == 0:
            place["closed"] = True
        if not place["closed"]:
            running += 1
    return running
