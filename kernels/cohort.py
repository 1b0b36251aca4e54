"""The cohort engine: integer counts per cell, one binomial or multinomial a decision.

`simulate_period` is the order of events of MODEL section 1, step by step; `simulate_path` repeats
it until the end or the closure of the pool. Exact in distribution wherever intensities depend on
the cell and on public state only (MODEL section 9). What it costs follows cells, not members.

Not here yet: common shock and trend (section 3); the rules beyond equal, table and expected, the
smoothing reserve and prepaid plans (4); attention, loyalty and selective lapse (6); several pools
in one market (7); the ledger beyond fee, subsidies and custody, and wind-down (8).
"""

import numpy as np
import numpy.typing as npt

from kernels.ageing import advance_age, advance_tenure, begin_year
from kernels.apportion import settle
from kernels.claims import assess, diagnose, release_claimants, report_later, set_incidence
from kernels.compiling import inlined_kernel, kernel
from kernels.joining import join
from kernels.lapse import lapse_members
from kernels.news import learn, mean_expectation, spread_news
from kernels.parameters import Parameters
from kernels.payment import bear_written_off, collect
from kernels.platform import OPEN, claims_left_unpaid, closure_cause
from kernels.state import CAUSES, NOBODY, State, new_state, plan_members

Rows = npt.NDArray[np.void]


@kernel
def open_period(state: State) -> None:
    """Set the period's own counts and sums back to zero."""
    for plan in range(state.plan.size):
        state.left[plan] = 0
        state.joined[plan] = 0
        state.moved_in[plan] = 0
        state.plan[plan]["collected"] = 0.0
        state.plan[plan]["written_off"] = 0.0
        state.plan[plan]["share_before"] = state.plan[plan]["share"]


@kernel
def pass_time(parameters: Parameters, state: State, seed: int, path: int, period: int) -> None:
    """Do step 1: a period of tenure, and every P-th period a year of age, for everybody."""
    if period == 0:
        return
    for plan in range(state.plan.size):
        advance_tenure(parameters, state, plan, period)
    if period % parameters.pool[0]["periods_per_year"] == 0:
        begin_year(state)
        # the oldest plans first: who moves into a successor has had his birthday
        for band in range(parameters.groups.size - 1, -1, -1):
            for plan in range(state.plan.size):
                if parameters.plans[plan]["last_band"] == band:
                    advance_age(parameters, state, seed, path, plan, period)
        state.pool[0]["members"] = pool_members(state)


@kernel
def pool_members(state: State) -> int:
    """Count the members of all plans (int64, persons)."""
    members = 0
    for plan in range(state.plan.size):
        members += plan_members(state.members[plan], state.pending_members[plan])
    return members


@kernel
def settle_plan(
    parameters: Parameters, state: State, rows: Rows, seed: int, path: int, plan: int, period: int
) -> None:
    """Take one plan through steps 3 to 6: diagnoses, reports, bill, payment and lapses."""
    row = rows[period, plan]
    set_incidence(parameters, state.wear[plan], state.incidence[plan])
    row["diagnoses"] = diagnose(parameters, state, seed, path, plan, period)
    report_later(parameters, state, seed, path, plan, period)
    cases, rejections, disputes = assess(parameters, state, seed, path, plan, period)
    row["cases"] = cases
    row["rejections"] = rejections
    row["disputes"] = disputes
    members = plan_members(state.members[plan], state.pending_members[plan])
    settle(parameters, state, row, plan, members)
    collect(parameters, state, seed, path, plan, period, row["billed"])
    release_claimants(state, plan)
    lapse_members(parameters, state, seed, path, plan, period)
    row["subsidy"] += bear_written_off(parameters, state, plan)


@kernel
def spread_word(
    parameters: Parameters, state: State, rows: Rows, seed: int, path: int, period: int
) -> None:
    """Do step 7: expectations and news, and the share that newcomers will have heard of."""
    billed = 0.0
    payers = NOBODY
    disputes = NOBODY
    for plan in range(state.plan.size):
        row = rows[period, plan]
        billed += row["billed"]
        payers += row["payers"]
        disputes += row["disputes"]
        learn(parameters, state, plan, row["payers"])
    pool = state.pool[0]
    share_year = billed / payers * parameters.pool[0]["periods_per_year"] if payers > 0 else 0.0
    rise = 0.0
    if pool["share_year"] > 0.0:
        rise = min(max(0.0, share_year / pool["share_year"] - 1.0), parameters.pool[0]["shock_cap"])
    pool["share_year"] = share_year
    pool["members"] = pool_members(state)
    spread_news(parameters, state, seed, path, period, disputes, rise)


@kernel
def write_rows(state: State, rows: Rows, period: int) -> None:
    """Fill in what the steps left open of the period's rows."""
    for plan in range(state.plan.size):
        row = rows[period, plan]
        money = state.plan[plan]
        state.pool[0]["cash"] += money["collected"] - row["benefits"] - row["custody"]
        row["members"] = plan_members(state.members[plan], state.pending_members[plan])
        row["joins"] = state.joined[plan] + state.moved_in[plan]
        row["moved_in"] = state.moved_in[plan]
        row["lapses"] = 0
        for cause in range(CAUSES):
            row["lapses"] += state.left[plan, cause]
        row["collected"] = money["collected"]
        row["outstanding"] = money["outstanding"]
        row["written_off"] = money["written_off"]
        row["carried"] = money["carried"]
        row["expectation"] = mean_expectation(state, plan)
        row["news"] = state.pool[0]["news"]
        write_causes(row, state.left[plan])
    for plan in range(state.plan.size):
        rows[period, plan]["platform_cash"] = state.pool[0]["cash"]


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


@kernel
def add_to_path(state: State, rows: Rows, path_row: np.void, period: int) -> None:
    """Bring the path's own row up to date with a period that has ended."""
    members = state.pool[0]["members"]
    path_row["periods_run"] = period + 1
    path_row["members_end"] = members
    path_row["platform_cash_end"] = state.pool[0]["cash"]
    if members > path_row["peak_members"]:
        path_row["peak_members"] = members
        path_row["peak_period"] = period
    path_row["share_total"] += rows[period, 0]["share"]
    for plan in range(state.plan.size):
        row = rows[period, plan]
        path_row["share_max"] = max(path_row["share_max"], row["share"])
        path_row["cases"] += row["cases"]
        path_row["benefits"] += row["benefits"]
        path_row["unfunded_benefits"] += row["unfunded"]


@kernel
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
    join(parameters, state, seed, path, period)
    for plan in range(state.plan.size):
        settle_plan(parameters, state, rows, seed, path, plan, period)
    spread_word(parameters, state, rows, seed, path, period)
    write_rows(state, rows, period)


@kernel
def close(
    parameters: Parameters, state: State, path_row: np.void, seed: int, path: int, period: int
) -> None:
    """Record the end of the pool: who is left without cover, what is left unpaid."""
    path_row["closure_cause"] = state.pool[0]["closure_cause"]
    path_row["closure_period"] = period
    path_row["uncovered_members"] = state.pool[0]["members"]
    for plan in range(state.plan.size):
        path_row["unfunded_benefits"] += claims_left_unpaid(
            parameters, state, seed, path, plan, period
        )


@kernel
def simulate_path(parameters: Parameters, seed: int, path: int, rows: Rows, path_row: Rows) -> None:
    """Simulate one path of the pool.

    Parameters
    ----------
    parameters : Parameters
    seed : uint64
    path : int64, 0..2**32 - 1
    rows : PERIOD_ROW[T, P], zeros; filled up to the period in which the pool closes
    path_row : PATH_ROW[1], zeros; filled, closure_period -1 while the pool is open
    """
    state = new_state(parameters)
    summary = path_row[0]
    summary["closure_period"] = -1
    for period in range(parameters.periods.size):
        simulate_period(parameters, state, rows, seed, path, period)
        add_to_path(state, rows, summary, period)
        cause = closure_cause(parameters, state, seed, path, period)
        if cause != OPEN:
            state.pool[0]["closure_cause"] = cause
            close(parameters, state, summary, seed, path, period)
            break
