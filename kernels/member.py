"""The member engine: every individual, at the price of their events (MODEL section 9).

The order of events, and everything that works on public state and on counts by cell, is that of the
cohort engine (`kernels.events`, and each step's own kernels). What differs is who is drawn: the
engine meets the members to whom something may happen, one by one, and keeps for each what a cell
cannot hold, in the roster. The counts by cell follow the roster, so both engines charge, learn,
report and close alike.

What a path costs follows its events: who joins, falls ill, fails to pay or leaves. Nothing is added
up member by member and period by period.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from kernels.apportion import give_first_bills, set_gift, settle
from kernels.claims import release_claimants, set_incidence
from kernels.compiling import borrowing_kernel, inlined_kernel, kernel
from kernels.draws import Purpose, stream
from kernels.dtypes import MEMBER_ROW, POOL_CLOSED, STILL_MEMBER
from kernels.enrolment import (
    count_travellers,
    enrol_initial,
    enrol_newcomers,
    migrate_members,
    retire,
)
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
from kernels.individuals import Individuals
from kernels.joining import join
from kernels.lapse import price_slope
from kernels.member_claims import (
    assess_individually,
    diagnose_individually,
    release_individually,
)
from kernels.member_lapse import lapse_individually
from kernels.member_payment import collect_individually
from kernels.parameters import Int64, Parameters, Records
from kernels.payment import bear_written_off, close_balances
from kernels.roster import (
    Roster,
    arrears_of,
    balance_of,
    debt_of,
    group_of,
    new_roster,
    note,
    note_claimant,
    whole,
    with_room,
)
from kernels.state import CLAIMED, NOBODY, State, new_state, plan_members
from kernels.vintages import (
    add_bills,
    add_interest,
    advance_vintages,
    first_bills,
    learn_from_own_bills,
    note_first_bills,
    set_mean_balances,
    survey,
)

ROWS_AT_A_TIME = 1 << 17


@kernel
def begin(
    parameters: Parameters, individuals: Individuals, state: State, roster: Roster, when: Any
) -> None:
    """Enrol the members before the first period.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, read
    roster : Roster, empty, with room; changed
    when : seed, path, 0
    """
    frail = stream(when[0], when[1], Purpose.FRAILTY, 0)
    enrol_initial(parameters, individuals, state, roster, frail)


@kernel
def begin_period(
    parameters: Parameters, state: State, roster: Roster, when: tuple[int, int, int]
) -> tuple[int, int]:
    """Let time pass (step 1), for cells and vintages.

    Parameters
    ----------
    parameters : Parameters
    state : State, changed
    roster : Roster, changed
    when : seed, path, period

    Returns
    -------
    (persons, vintages) : int64, who may enter another plan, see `enrolment.count_travellers`
    """
    seed, path, period = when
    open_period(state)
    pass_time(parameters, state, seed, path, period)
    if period == 0:
        return NOBODY, NOBODY
    advance_vintages(parameters, state, roster, period)
    return count_travellers(parameters, state, roster, period)


@kernel
def let_join(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    when: tuple[int, int, int],
    newcomers: Int64,
) -> None:
    """Let members move between plans and pools, and draw who joins (step 2).

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, changed
    roster : Roster, changed; newcomers are not in it yet
    when : seed, path, period
    newcomers : int64[J, C, G], zeros; filled, persons
    """
    seed, path, period = when
    lottery = stream(seed, path, Purpose.SAMPLE, 0)
    if period > 0:
        if period % parameters.market[0]["periods_per_year"] == 0:
            retire(parameters, individuals, state, roster, lottery, period)
        place = stream(seed, path, Purpose.MIGRATION, period)
        migrate_members(parameters, state, roster, place, period)
    join(parameters, state, seed, path, period, newcomers)


@inlined_kernel
def settle_members(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    row: np.void,
    when: tuple[int, int, int],
    plan: int,
) -> Records:
    """Take one plan through steps 3 to 6: diagnoses, reports, bill, payment and lapses.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, changed
    roster : Roster, changed
    row : PERIOD_ROW, filled
    when : seed, path, period
    plan : int64

    Returns
    -------
    PENDING_ROW[], in place of the roster's
    """
    period = when[2]
    pool = parameters.plans[plan]["pool"]
    platform_share = parameters.platform_share[plan, period]
    pending = roster.pending
    if state.pool[pool]["closure_period"] < 0:
        weather = state.market[0]["shock"] * parameters.periods[period]["trend"]
        set_incidence(parameters, state.stage[plan], weather, state.incidence[plan])
        row["diagnoses"], pending = diagnose_individually(
            parameters, individuals, state, roster, when, plan, weather
        )
        roster = with_pending(roster, pending)
    elif parameters.pool[pool]["platform_winds_down"]:
        platform_share = 1.0
    cases, rejections, disputes = assess_individually(
        parameters, individuals, state, roster, when, plan
    )
    row["cases"] = cases
    row["rejections"] = rejections
    row["disputes"] = disputes
    members = plan_members(state.members[plan], state.pending_members[plan])
    row["custody"] = parameters.plans[plan]["custody"] * members
    settle(parameters, state, row, plan, platform_share)
    set_gift(parameters, state, plan)
    given = first_bills(parameters, state, roster, plan)
    give_first_bills(parameters, state, row, plan, given)
    add_bills(parameters, state, roster, plan)
    collect_individually(parameters, individuals, state, roster, when, plan, row["billed"])
    release_individually(parameters, individuals, state, roster, row, when, plan)
    release_claimants(state, plan)
    if state.pool[pool]["closure_period"] < 0:
        row["expected_cost"], row["price_slope"] = price_slope(parameters, state, plan)
    lapse_individually(parameters, individuals, state, roster, when, plan)
    note_first_bills(parameters, state, roster, plan)
    learn_from_own_bills(parameters, state, roster, plan, row["payers"])
    row["subsidy"] += bear_written_off(parameters, state, plan)
    set_mean_balances(parameters, state, roster, plan)
    close_balances(parameters, state, row, plan)
    add_interest(parameters, roster, plan)
    return pending


@inlined_kernel
def with_pending(roster: Roster, pending: Records) -> Roster:
    """Put another array in the place of the roster's `pending`."""
    return Roster(
        roster.slots, roster.classes, roster.vintages,
        roster.people, roster.charged, roster.bills, roster.recent, roster.balance,
        roster.expected, roster.claim_charged, roster.claim_bills, pending, roster.rows,
        roster.size,
    )  # fmt: skip


@kernel
def live(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    when: tuple[int, int, int],
    newcomers: Int64,
    outcome: Outcome,
) -> tuple[int, Records]:
    """Take all plans through a period, from the newcomers to the closure test (steps 2 to 8).

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, changed
    roster : Roster, changed; has room for the newcomers
    when : seed, path, period
    newcomers : int64[J, C, G], persons
    outcome : Outcome, changed

    Returns
    -------
    (running, pending) : int64, pools that have not ended; PENDING_ROW[], in place of the roster's
    """
    seed, path, period = when
    rows = outcome.periods
    frail = stream(seed, path, Purpose.FRAILTY, 0)
    enrol_newcomers(parameters, individuals, state, roster, frail, newcomers, period)
    survey(parameters, state, roster)
    for plan in range(state.plan.size):
        if is_running(parameters, state, plan):
            row = rows[period, plan]
            pending = settle_members(parameters, individuals, state, roster, row, when, plan)
            roster = with_pending(roster, pending)
    spread_word(parameters, state, rows, seed, path, period)
    write_rows(parameters, state, rows, period)
    end_period(parameters, state, rows, outcome.pools, when)
    add_period(parameters, state, rows, outcome.path[0], -1, period)
    return close_ended(state), roster.pending


@borrowing_kernel
def note_rest(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    when: tuple[int, int, int],
    span: tuple[int, int],
    closed: bool,
) -> None:
    """Write rows of members who are still there when a pool, or the path, has ended.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, read
    roster : Roster, rows added; its rows have room for the span
    when : seed, path, period
    span : first and end of the slots; claimants are written with the slot 0
    closed : bool, write members of the pools that ended in this period, or else of those that run
    """
    seed, path, period = when
    lottery = stream(seed, path, Purpose.SAMPLE, 0)
    end = (period, POOL_CLOSED) if closed else (-1, STILL_MEMBER)
    for place in range(roster.size[0]["classes"]):
        here = roster.classes[place]
        number = here["vintage"]
        plan = roster.vintages[number]["plan"]
        first = max(here["start"], span[0])
        last = min(here["start"] + here["members"], span[1])
        if first < last and is_wanted(parameters, state, plan, period, closed):
            settings = parameters.pool[parameters.plans[plan]["pool"]]
            kept = closed and (settings["funds_in_custody"] or settings["parent"])
            for slot in range(first, last):
                group = group_of(roster.slots[slot]["traits"])
                debt = debt_of(roster, number, group, arrears_of(roster.slots[slot]["traits"]))
                balance = balance_of(roster, number, group) if kept else 0.0
                note(individuals, roster, lottery, (place, slot), end, (debt, balance))
    if span[0] > 0:
        return
    for i in range(roster.size[0]["pending"]):
        claim = roster.pending[i]
        plan = whole(claim["plan"])
        if is_wanted(parameters, state, plan, period, closed):
            group = whole(claim["group"])
            charged = (roster.claim_charged[plan, group], roster.claim_bills[plan, group], 0.0)
            note_claimant(individuals, roster, lottery, claim, end, charged)


@inlined_kernel
def is_wanted(parameters: Parameters, state: State, plan: int, period: int, closed: bool) -> bool:
    """Tell whether a plan's pool ended in this period (`closed`), or has not ended."""
    pool = state.pool[parameters.plans[plan]["pool"]]
    return pool["closed"] and pool["ended"] == period if closed else not pool["closed"]


@kernel
def finish(state: State, outcome: Outcome) -> None:
    """Sum up a path that has ended.

    Parameters
    ----------
    state : State, read
    outcome : Outcome, changed
    """
    sum_up(outcome.pools, outcome.path[0])
    for plan in range(outcome.cells.shape[0]):
        for group in range(outcome.cells.shape[1]):
            outcome.cells[plan, group] = state.cells[plan, group]


def simulate_path(
    parameters: Parameters, individuals: Individuals, seed: Any, path: int, outcome: Outcome
) -> Iterator[Rows]:
    """Simulate one path of the market, and hand out the rows of its members as they leave.

    Memory follows the members who are there, not those who were: rows are handed out as soon as
    there are many, those of who is left at the end a few at a time.

    Parameters
    ----------
    parameters : Parameters
        With age bands of one year.
    individuals : Individuals
        What individuals have besides.
    seed : uint64
        Seed.
    path : int
        0..2**32 - 1.
    outcome : Outcome
        Zeros; filled when the last rows have been handed out, closure_period -1 while open.

    Yields
    ------
    MEMBER_ROW[]
        In the order in which members left; none where no member is of the sample.
    """
    state, roster = _begin(parameters, individuals, seed, path)
    outcome.pools["closure_period"] = -1
    newcomers = np.zeros((parameters.channels.size, *parameters.failure.shape), np.int64)
    plans, motives = parameters.plans.size, parameters.motives.size
    period = 0
    for period in range(parameters.periods.size):
        when = (seed, path, period)
        travellers, vintages = begin_period(parameters, state, roster, when)
        if travellers:
            roster = with_room(roster, travellers, vintages, motives)
        newcomers[:] = 0
        let_join(parameters, individuals, state, roster, when, newcomers)
        roster = with_room(roster, int(newcomers.sum()), plans, motives)
        before = int(roster.size[0]["rows"])
        running, pending = live(parameters, individuals, state, roster, when, newcomers, outcome)
        roster = roster._replace(pending=pending)
        _take_back_defaults(outcome.periods[period], roster, before)
        if roster.size[0]["rows"] >= ROWS_AT_A_TIME:
            yield _handed_out(roster)
        if (state.pool["closed"] & (state.pool["ended"] == period)).any():
            yield from _rest(parameters, individuals, state, roster, when, True)
        if running == 0:
            break
    finish(state, outcome)
    yield from _rest(parameters, individuals, state, roster, (seed, path, period), False)
    if roster.size[0]["rows"]:
        yield _handed_out(roster)


def _begin(
    parameters: Parameters, individuals: Individuals, seed: Any, path: int
) -> tuple[State, Roster]:
    """Return the pools before the first period, with their initial members enrolled."""
    roster = new_roster(parameters, individuals)
    if individuals.settings[0]["sample"] > 0.0:
        roster = roster._replace(rows=np.zeros(1, MEMBER_ROW))
    members, vintages = int(individuals.vintage_members.sum()), individuals.vintages.size
    roster = with_room(roster, members, vintages, parameters.motives.size)
    state = new_state(parameters)
    begin(parameters, individuals, state, roster, (seed, path, 0))
    return state, roster


def _handed_out(roster: Roster) -> Rows:
    """Return a copy of the rows written so far, and make room for others."""
    rows = roster.rows[: roster.size[0]["rows"]].copy()
    roster.size[0]["rows"] = 0
    return rows


def _rest(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    when: tuple[Any, int, int],
    closed: bool,
) -> Iterator[Rows]:
    """Yield the rows of who is still there, some slots at a time."""
    if individuals.settings[0]["sample"] == 0.0:
        return
    for first in range(0, max(int(roster.size[0]["slots"]), 1), ROWS_AT_A_TIME):
        span = (first, first + ROWS_AT_A_TIME)
        note_rest(parameters, individuals, state, roster, when, span, closed)
        if roster.size[0]["rows"] >= ROWS_AT_A_TIME:
            yield _handed_out(roster)


def _take_back_defaults(rows: Rows, roster: Roster, before: int) -> None:
    """Take back of the benefits of a pool's last period what there was no money for."""
    for plan in np.flatnonzero(rows["defaulted"] > 0.0):
        promised = rows["benefits"][plan] + rows["defaulted"][plan]
        new = roster.rows[before : roster.size[0]["rows"]]
        claimed = (new["plan"] == plan) & (new["cause"] == CLAIMED)
        new["received"][claimed] *= rows["benefits"][plan] / promised
