"""The cohort engine: integer counts per cell, one binomial or multinomial a decision.

`simulate_period` is the order of events of MODEL section 1, step by step; `simulate_path` repeats
it until the end, or until every pool of the market has closed. Exact in distribution wherever
intensities depend on the cell and on public state only (MODEL section 9). What it costs follows
cells, not members.
"""

import numpy as np

from kernels.apportion import free_bills, give_first_bills, set_gift, settle
from kernels.claims import assess, diagnose, release_claimants, report_later, set_incidence
from kernels.compiling import inlined_kernel, kernel
from kernels.events import (
    Outcome,
    Rows,
    add_period,
    close_ended,
    end_period,
    is_running,
    open_period,
    pass_time,
    spread_word,
    sum_up,
    write_rows,
)
from kernels.joining import join, migrate
from kernels.lapse import lapse_members, price_slope
from kernels.parameters import Parameters
from kernels.payment import bear_written_off, close_balances, collect
from kernels.state import State, new_state, plan_members


@inlined_kernel
def settle_plan(
    parameters: Parameters, state: State, rows: Rows, seed: int, path: int, plan: int, period: int
) -> None:
    """Take one plan through steps 3 to 6: diagnoses, reports, bill, payment and lapses.

    While its pool winds down nobody is covered against new diagnoses; reported cases are settled,
    by the members or by the platform.
    """
    row = rows[period, plan]
    pool = parameters.plans[plan]["pool"]
    platform_share = parameters.platform_share[plan, period]
    if state.pool[pool]["closure_period"] < 0:
        weather = state.market[0]["shock"] * parameters.periods[period]["trend"]
        set_incidence(parameters, state.stage[plan], weather, state.incidence[plan])
        row["diagnoses"] = diagnose(parameters, state, seed, path, plan, period)
        report_later(parameters, state, seed, path, plan, period)
    elif parameters.pool[pool]["platform_winds_down"]:
        platform_share = 1.0
    cases, rejections, disputes = assess(parameters, state, seed, path, plan, period)
    row["cases"] = cases
    row["rejections"] = rejections
    row["disputes"] = disputes
    members = plan_members(state.members[plan], state.pending_members[plan])
    row["custody"] = parameters.plans[plan]["custody"] * members
    settle(parameters, state, row, plan, platform_share)
    set_gift(parameters, state, plan)
    give_first_bills(parameters, state, row, plan, free_bills(state, plan))
    collect(parameters, state, seed, path, plan, period, row["billed"])
    release_claimants(state, plan)
    if state.pool[pool]["closure_period"] < 0:
        row["expected_cost"], row["price_slope"] = price_slope(parameters, state, plan)
    lapse_members(parameters, state, seed, path, plan, period)
    row["subsidy"] += bear_written_off(parameters, state, plan)
    close_balances(parameters, state, row, plan)


@inlined_kernel
def simulate_period(
    parameters: Parameters, state: State, rows: Rows, seed: int, path: int, period: int
) -> None:
    """Simulate one period up to the platform's ledger, in the order of MODEL section 1.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    rows : PERIOD_ROW[T, P], the period's rows filled
    seed : uint64
    path, period : int64
    """
    open_period(state)
    pass_time(parameters, state, seed, path, period)
    migrate(parameters, state, seed, path, period)
    newcomers = np.zeros((parameters.channels.size, *state.drawn.shape), np.int64)
    join(parameters, state, seed, path, period, newcomers)
    for plan in range(state.plan.size):
        if is_running(parameters, state, plan):
            settle_plan(parameters, state, rows, seed, path, plan, period)
    spread_word(parameters, state, rows, seed, path, period)
    write_rows(parameters, state, rows, period)


@kernel
def simulate_path(parameters: Parameters, seed: int, path: int, outcome: Outcome) -> None:
    """Simulate one path of the market.

    Parameters
    ----------
    parameters : Parameters
    seed : uint64
    path : int64, 0..2**32 - 1
    outcome : Outcome, zeros; filled, closure_period -1 while open
    """
    rows, path_row, pool_rows, cell_rows = outcome
    state = new_state(parameters)
    for pool in range(pool_rows.size):
        pool_rows[pool]["closure_period"] = -1
    for period in range(parameters.periods.size):
        simulate_period(parameters, state, rows, seed, path, period)
        end_period(parameters, state, rows, pool_rows, (seed, path, period))
        add_period(parameters, state, rows, path_row[0], -1, period)
        if close_ended(state) == 0:
            break
    sum_up(pool_rows, path_row[0])
    for plan in range(cell_rows.shape[0]):
        for group in range(cell_rows.shape[1]):
            cell_rows[plan, group] = state.cells[plan, group]
