"""What must always hold, on any pool: people, money and claims are conserved (MODEL section 10).

Money is compared with a tolerance of 1e-9 of all money that has flowed so far, or stood anywhere:
the rows are sums of at most some 10**5 float64 terms, each rounded by 2**-53 relative. Each plan is
looked at while its pool ran; afterwards its rows are zero.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from hypothesis import given

from configs import arrays
from configs.scenario import Closure, Plan, Platform, Scenario, pools_of
from kernels.dtypes import LAPSE_CAUSES
from kernels.platform import CLOSURE_CAUSES
from tests.scenarios import (
    Moment,
    Rows,
    a_scenario,
    anything,
    changed,
    channel,
    flat_table,
    parameters,
    path_numbers,
    people,
    scenarios,
    simulate,
    steep_table,
    unfold,
)

Float64 = npt.NDArray[np.float64]

SEED = 20_190_901
RELATIVE = 1e-9
COUNTS = ["members", "payers", "joins", "moved_in", "lapses", "diagnoses", "cases", "rejections"]
COUNTS += ["disputes", *(f"lapses_{cause}" for cause in LAPSE_CAUSES)]
FLOWS = ["benefits", "unfunded", "defaulted", "fee", "custody", "outstanding", "written_off"]
FLOWS += ["paid_in", "paid_back", "balances", "interest", "cross_selling", "acquisition"]
FLOWS += ["red_packets", "investigation", "operating"]
MONEY = [*FLOWS, "billed", "collected", "carried", "cost", "subsidy", "to_reserve", "reserve"]
# Rules by which a charge, and so a bill, can be a credit.
SIGNED = ("linear", "minimum_variance")
# Those that split by heads what there is to pay besides the period's benefits: a credit where this
# is less than nothing.
BY_HEADS = ("conditional_mean", "pooled_bands")


class PlanHistory(NamedTuple):
    """One plan while its pool ran.

    number, plan : its place among the plans, its settings
    rows : PERIOD_ROW[periods run]
    slack : float64[periods run], yuan that rounding can have lost so far
    platform_share : float64[periods run], part of the cost that the platform pays
    """

    number: int
    plan: Plan
    rows: Rows
    slack: Float64
    platform_share: Float64


class PoolHistory(NamedTuple):
    """One pool while it ran.

    number : its place among the pools
    platform, closure : its settings
    plans : PlanHistory of each of its plans
    end : POOL_ROW
    """

    number: int
    platform: Platform
    closure: Closure
    plans: list[PlanHistory]
    end: np.void

    def total(self, name: str) -> Float64:
        """Sum a column over the pool's plans: float64[periods run]."""
        return np.asarray(sum(plan.rows[name] for plan in self.plans))

    @property
    def slack(self) -> Float64:
        return self.plans[0].slack


def pools_in(scenario: Scenario, path: int) -> list[PoolHistory]:
    """Simulate a path and look at each of its pools while it ran."""
    history = simulate(scenario, SEED, [path])
    rows, ends = history.rows[0], history.pools[0]
    numbers = arrays.pool_numbers(scenario)
    slack = RELATIVE * money_so_far(scenario, rows)
    pools = []
    for pool, (settings, end) in enumerate(zip(pools_of(scenario), ends, strict=True)):
        run = end["periods_run"]
        homes = [number for number, home in enumerate(numbers) if home == pool]
        closure = settings.closure or scenario.closure
        plans = [
            PlanHistory(
                number,
                list(scenario.plans.values())[number],
                rows[:run, number],
                slack[:run],
                platform_share(scenario, number, closure, end)[:run],
            )
            for number in homes
        ]
        pools.append(PoolHistory(pool, settings.platform or scenario.platform, closure, plans, end))
    return pools


def plans_in(scenario: Scenario, path: int) -> list[PlanHistory]:
    return [plan for pool in pools_in(scenario, path) for plan in pool.plans]


def platform_share(scenario: Scenario, plan: int, closure: Closure, end: np.void) -> Float64:
    """Part of the cost that the platform pays: all of it where it pays for the wind-down."""
    share = np.array(arrays.parameters(scenario)["platform_share"][plan])
    if closure.wind_down_by == "platform" and end["closure_period"] >= 0:
        share[end["closure_period"] + 1 :] = 1.0
    return share


def money_so_far(scenario: Scenario, rows: Rows) -> Float64:
    """All money that has flowed or stood anywhere up to each period: float64[periods]."""
    at_first = 1.0 + sum(plan.reserve_yuan for plan in scenario.plans.values())
    at_first += sum((p.platform or scenario.platform).funding_yuan for p in pools_of(scenario))
    flows = sum(np.abs(rows[name]) for name in MONEY)
    return np.asarray(np.cumsum(np.sum(flows, axis=1))) + at_first


def before(values: Float64, at_first: float = 0.0) -> Float64:
    """What stood at the end of the period before: `at_first` before the first."""
    return np.concatenate([[at_first], values[:-1]])


def assert_alike(found: Float64, expected: Float64, slack: Float64) -> None:
    np.testing.assert_array_less(np.abs(found - expected), slack)


def initial_members(scenario: Scenario) -> list[int]:
    first = next(iter(scenario.plans))
    return [
        sum(g.members for g in scenario.initial_members if (g.plan or first) == name)
        for name in scenario.plans
    ]


@given(scenarios(), path_numbers)
@anything
def test_members_change_by_joins_and_lapses_alone(scenario: Scenario, path: int) -> None:
    for number, _, rows, *_ in plans_in(scenario, path):
        causes = sum(rows[f"lapses_{cause}"] for cause in LAPSE_CAUSES)
        np.testing.assert_array_equal(rows["lapses"], causes)
        at_first = before(rows["members"], initial_members(scenario)[number])
        np.testing.assert_array_equal(rows["members"], at_first + rows["joins"] - rows["lapses"])
        for name in COUNTS:
            assert (rows[name] >= 0).all()


@given(scenarios(), path_numbers)
@anything
def test_whoever_moves_arrives_in_the_same_period(scenario: Scenario, path: int) -> None:
    """Into the successor at once; into another pool in the period after the own one ended."""
    pools = pools_in(scenario, path)
    migration = arrays.parameters(scenario)["migration"]
    for pool in pools:
        migrants = pool.total("moved_in") - pool.total("lapses_moved")
        most = np.zeros(len(migrants))
        for other in pools:
            after = other.end["periods_run"]
            closed = other.end["closure_period"] >= 0
            open_yet = not 0 <= pool.end["closure_period"] < after
            if closed and open_yet and after < len(most) and migration[other.number, pool.number]:
                most[after] += other.end["members_end"]
        assert (migrants >= 0).all()
        assert (migrants <= most).all()
        heirs = {plan.plan.successor for plan in pool.plans}
        for number, plan, rows, *_ in pool.plans:
            if plan.successor is None:
                assert not rows["lapses_moved"].any()
            else:
                assert not rows["lapses_aged_out"].any()
            if list(scenario.plans)[number] not in heirs:
                assert not rows["moved_in"][most == 0].any()


@given(scenarios(), path_numbers)
@anything
def test_a_claim_is_decided_once(scenario: Scenario, path: int) -> None:
    """Cases and rejections never outrun diagnoses; who is rejected cannot dispute twice."""
    for _, _, rows, *_ in plans_in(scenario, path):
        claims = rows["diagnoses"] - rows["lapses_early_diagnosis"]
        decided = np.cumsum(rows["cases"] + rows["rejections"])
        assert (decided <= np.cumsum(claims)).all()
        assert (rows["disputes"] <= rows["rejections"]).all()
        assert (rows["lapses_claimed"] == rows["cases"]).all()
        assert (rows["lapses_rejected"] <= rows["rejections"]).all()
        longest = len(scenario.claims.report_delay) - 1
        due = np.cumsum(claims)[: max(0, len(rows) - longest)]
        assert (decided[longest:] >= due).all()


@given(scenarios(), path_numbers)
@anything
def test_nobody_is_diagnosed_or_joins_while_a_pool_winds_down(
    scenario: Scenario, path: int
) -> None:
    """Members of another pool apart, who came while this one was open, or do not come at all."""
    for pool in pools_in(scenario, path):
        if pool.end["closure_period"] >= 0:
            after = slice(pool.end["closure_period"] + 1, None)
            assert not pool.total("diagnoses")[after].any()
            joined = pool.total("joins") - pool.total("lapses_moved")
            assert not joined[after].any()


@given(scenarios(), path_numbers)
@anything
def test_every_bill_is_collected_outstanding_or_written_off(scenario: Scenario, path: int) -> None:
    for _, plan, rows, slack, _ in plans_in(scenario, path):
        for name in FLOWS:
            assert (rows[name] >= -slack).all(), name
        if not can_credit(plan):
            assert not rows["credited"].any()
            assert (rows["billed"] >= -slack).all()
            assert (rows["free_bills"] >= -slack).all()
        assert (rows["credited"] >= 0.0).all()
        change = rows["outstanding"] - before(rows["outstanding"])
        found = rows["collected"] + change + rows["written_off"]
        assert_alike(found, rows["billed"], slack)


@given(scenarios(), path_numbers)
@anything
def test_a_cost_is_the_period_s_benefits_fee_and_custody_and_what_was_carried(
    scenario: Scenario, path: int
) -> None:
    """Fee and cost are those of benefits as charged, before the last of them were defaulted on."""
    for pool in pools_in(scenario, path):
        for _, plan, rows, slack, _ in pool.plans:
            charged = rows["benefits"] + rows["defaulted"]
            assert_alike(rows["fee"], charged * plan.fee_rate, slack)
            custody = rows["custody"] * float(pool.platform.custody_from == "members")
            cost = charged + rows["fee"] + custody + before(rows["carried"])
            assert_alike(rows["cost"], cost, slack)
            last_open = pool.end["closure_period"]
            assert not np.delete(rows["defaulted"], [last_open] if last_open >= 0 else []).any()


def not_funded(history: PlanHistory) -> Float64:
    """Defaulted benefits that the fund of a fixed price could not pay: float64[periods run].

    In the closing period a fund below zero defaults, and what goes to the reserve is as much more,
    up to zero or to all benefits; it is found as what is billed, borne or carried too little.
    """
    rows = history.rows
    spread = history.plan.uncollected_to == "next_period"
    found = rows["billed"] + rows["subsidy"] + rows["carried"]
    # written off either way: to the next period's cost, or to the platform's subsidy
    surplus = rows["cost"] + rows["to_reserve"] + rows["written_off"] - found
    assert spread or (rows["subsidy"] >= rows["written_off"] - history.slack).all()
    return np.asarray(np.where(np.abs(surplus) < history.slack, 0.0, surplus))


@given(scenarios(), path_numbers)
@anything
def test_cost_and_reserve_are_billed_carried_or_borne_by_the_platform(
    scenario: Scenario, path: int
) -> None:
    for pool in pools_in(scenario, path):
        for history in pool.plans:
            _, plan, rows, slack, share = history
            missing = not_funded(history)
            assert (missing >= 0.0).all()
            assert (missing <= rows["defaulted"] + slack).all()
            if missing.any():
                assert plan.fixed_price_yuan_per_year is not None
                assert missing.nonzero()[0].tolist() == [pool.end["closure_period"]]
                at = pool.end["closure_period"]
                assert min(abs(rows["reserve"][at]), rows["benefits"][at]) <= slack[at]
            assert_alike(rows["share"] * rows["payers"], rows["billed"] + rows["free_bills"], slack)
            borne = rows["subsidy"] - rows["free_bills"]
            if plan.uncollected_to == "platform":
                borne = borne - rows["written_off"]
            assert (borne >= -slack).all()
            if capless(plan):
                some = rows["payers"] > 0
                planned = share * np.maximum(0.0, rows["cost"])
                assert_alike(borne[some], planned[some], slack[some])


@given(scenarios(), path_numbers)
@anything
def test_benefits_are_defaulted_on_as_far_as_there_is_no_money_for_them(
    scenario: Scenario, path: int
) -> None:
    for pool in pools_in(scenario, path):
        at = pool.end["closure_period"]
        missing = sum(not_funded(history) for history in pool.plans)
        unpaid = pool.total("defaulted") - missing
        slack = pool.slack
        if pool.platform.parent or at < 0:
            assert (np.abs(unpaid) <= slack).all()
            continue
        cash = pool.plans[0].rows["platform_cash"][at]
        if unpaid[at] > slack[at]:
            # either all is paid that there was cash for, or there was none for anything
            assert abs(cash) <= slack[at] or pool.total("benefits")[at] <= slack[at]
        else:
            assert cash >= -slack[at] or pool.total("benefits")[at] <= slack[at]


@given(scenarios(), path_numbers)
@anything
def test_a_reserve_changes_by_what_goes_into_it_and_its_interest(
    scenario: Scenario, path: int
) -> None:
    for pool in pools_in(scenario, path):
        rate = pool.platform.interest_rate / scenario.periods_per_year
        kept = pool.platform.interest_to == "platform"
        for _, plan, rows, slack, _ in pool.plans:
            at_first = before(rows["reserve"], plan.reserve_yuan)
            interest = rate * np.maximum(0.0, at_first)
            grown = at_first + (0.0 if kept else interest)
            assert_alike(rows["reserve"], grown + rows["to_reserve"], slack)
            left = rows["balances"] / (1.0 if kept else 1.0 + rate)
            assert_alike(rows["interest"], interest + rate * left, slack)
            if plan.smoothing is not None:
                assert (rows["reserve"] >= -slack).all()
            elif plan.fixed_price_yuan_per_year is None:
                assert not rows["reserve"].any()
                assert not rows["to_reserve"].any()
            else:
                open_yet = slice(
                    None if pool.end["closure_period"] < 0 else pool.end["closure_period"]
                )
                assert (rows["reserve"][open_yet] >= 0.0).all()


@given(scenarios(), path_numbers)
@anything
def test_balances_change_by_what_is_paid_in_drawn_and_paid_back(
    scenario: Scenario, path: int
) -> None:
    """Nobody is paid back what he does not have, and no more is drawn than was collected.

    What is collected besides are the bills of those who wait for their assessment and of nobody.
    """
    pool = parameters(scenario)
    stood = initial_balances(scenario)
    for state, rows in unfold(scenario, SEED, path):
        for number, plan in enumerate(scenario.plans.values()):
            if state.pool["closed"][pool.plans["pool"][number]]:
                continue
            row, money = rows[number], state.plan[number]
            members = state.members[number].sum((1, 2))
            slack = RELATIVE * (1.0 + stood[number] + row["paid_in"] + abs(row["billed"]))
            if plan.prepaid is None:
                assert (row["paid_in"], row["paid_back"], row["balances"]) == (0.0, 0.0, 0.0)
                continue
            left = stood[number] + row["paid_in"] - money["drawn"] - row["paid_back"]
            settings = pool.pool[pool.plans["pool"][number]]
            growth = 0.0 if settings["keeps_interest"] else settings["interest"]
            assert abs(row["balances"] - left * (1.0 + growth)) <= slack
            here = members * ~pool.groups["is_padding"] * state.balance[number]
            assert abs(row["balances"] - here.sum()) <= slack
            occupied = (members > 0) & ~pool.groups["is_padding"]
            lowest = plan.prepaid.low_balance_yuan - slack
            assert (state.balance[number][occupied] >= lowest).all()
            assert row["paid_back"] >= -slack
            if not can_credit(plan):
                assert money["drawn"] <= row["collected"] + slack
            if not (has_other_bills(scenario) or row["cases"] + row["rejections"] > 0):
                assert abs(money["drawn"] - row["collected"]) <= slack
            stood[number] = row["balances"]


def initial_balances(scenario: Scenario) -> list[float]:
    members = initial_members(scenario)
    return [
        0.0 if plan.prepaid is None else count * plan.prepaid.deposit_yuan
        for plan, count in zip(scenario.plans.values(), members, strict=True)
    ]


def has_other_bills(scenario: Scenario) -> bool:
    padded = any(channel.padding > 0 for channel in scenario.channels.values())
    return padded or len(scenario.claims.report_delay) > 1


def ledger(pool: PoolHistory) -> Float64:
    """What the platform earns less what it spends, apart from members' money: [periods run]."""
    kept = pool.total("interest") * float(pool.platform.interest_to == "platform")
    spent = sum(pool.total(n) for n in ("acquisition", "red_packets", "investigation", "operating"))
    return np.asarray(pool.total("cross_selling") + kept - spent)


def returned(pool: PoolHistory) -> Float64:
    """Contributions given back so far, from the closing period on: float64[periods run]."""
    later = np.arange(pool.end["periods_run"]) >= pool.end["closure_period"]
    given = pool.end["closure_period"] >= 0
    return np.asarray(np.where(later & given, pool.end["returned_contributions"], 0.0))


@given(scenarios(), path_numbers)
@anything
def test_the_platform_s_cash_follows_its_ledger(scenario: Scenario, path: int) -> None:
    for pool in pools_in(scenario, path):
        cash = pool.plans[0].rows["platform_cash"]
        for plan in pool.plans:
            assert (plan.rows["platform_cash"] == cash).all()
        names = ("benefits", "custody", "to_reserve")
        flows = pool.total("collected") - sum(pool.total(name) for name in names) + ledger(pool)
        expected = pool.platform.funding_yuan + np.cumsum(flows) - returned(pool)
        slack = pool.slack + RELATIVE * pool.end["returned_contributions"]
        assert_alike(cash, expected, slack)
        given = pool.end["returned_contributions"]
        if pool.end["closure_period"] >= 0:
            part = pool.closure.returned_contributions
            at = pool.end["closure_period"]
            most = part * pool.total("collected")[: at + 1].sum()
            if not pool.platform.parent:
                most = min(most, max(0.0, cash[at] + given))
            assert abs(given - most) <= slack[at]
        assert pool.end["platform_cash_end"] == cash[-1]


@given(scenarios(), path_numbers)
@anything
def test_without_fee_and_platform_money_in_is_money_out(scenario: Scenario, path: int) -> None:
    """What was billed and not yet spent, or spent and not yet billed, stands in the rows."""
    mutual = {
        "fee_rate": 0.0,
        "uncollected_to": "next_period",
        "caps": {"excess_to": "next_period"},
        "smoothing": None,
        "fixed_price_yuan_per_year": None,
        "reserve_yuan": 0.0,
        "first_bill_free": False,
        "platform_pays": (),
    }
    pool = changed(
        scenario,
        plans=dict.fromkeys(scenario.plans, mutual),
        pools={name: {"platform": None, "closure": None} for name in scenario.pools},
        platform={"parent": True, "custody_from": "members"},
        closure={"wind_down_by": "members"},
    )
    for _, _, rows, slack, _ in plans_in(pool, path):
        paid_in, paid_out = rows["collected"], rows["benefits"] + rows["custody"]
        open_items = rows["outstanding"] + rows["carried"]
        assert_alike(np.cumsum(paid_in - paid_out) + open_items, np.zeros(len(rows)), slack)


@given(scenarios(), path_numbers)
@anything
def test_what_the_platform_gains_is_fees_and_earnings_less_subsidies(
    scenario: Scenario, path: int
) -> None:
    for pool in pools_in(scenario, path):
        saved = pool.total("defaulted") - sum(not_funded(history) for history in pool.plans)
        custodian = pool.total("custody") * float(pool.platform.custody_from == "platform")
        gains = pool.total("fee") + saved - pool.total("subsidy") - custodian + ledger(pool)
        still_to_come = pool.total("outstanding") + pool.total("carried")
        expected = pool.platform.funding_yuan + np.cumsum(gains) - returned(pool)
        slack = 10 * pool.slack + RELATIVE * pool.end["returned_contributions"]
        assert_alike(pool.plans[0].rows["platform_cash"] + still_to_come, expected, slack)


@given(scenarios(), path_numbers)
@anything
def test_bills_in_fen_are_whole_fen(scenario: Scenario, path: int) -> None:
    for history in plans_in(scenario, path):
        rows, plan = history.rows, history.plan
        fen = (rows["billed"] + rows["free_bills"]) * 100.0
        if plan.rounding == "exact":
            continue
        # a whole number of fen divided by 100 and multiplied again: two roundings, and two more
        # where the platform's part of it was taken away and added again
        assert (np.abs(fen - np.round(fen)) <= 1e-15 * np.maximum(np.abs(fen), 1.0)).all()
        if capless(plan) and (rows["payers"] > 0).all():
            assert_little_is_carried(history)


def capless(plan: Plan) -> bool:
    caps = plan.caps
    return (caps.per_case_yuan, caps.per_period_yuan, caps.per_year_yuan) == (None, None, None)


def can_credit(plan: Plan) -> bool:
    """Tell whether a charge may be negative: by the rule, or as charges lag behind benefits."""
    lags = plan.smoothing is not None or plan.fixed_price_yuan_per_year is not None
    return plan.rule in SIGNED or (plan.rule in BY_HEADS and (lags or plan.rounding == "next_fen"))


def assert_little_is_carried(history: PlanHistory) -> None:
    """Rounding leaves less than a fen a payer to the next period, or one fen in all."""
    rows, plan = history.rows, history.plan
    spread = rows["written_off"] if plan.uncollected_to == "next_period" else 0.0
    left = rows["carried"] - spread
    slack = 1e-6 * rows["payers"] + history.slack  # FEN_TOLERANCE, in yuan and more than enough
    if plan.rounding == "next_fen":
        # a surplus, of which a cost below zero is only charged when it is used up
        surplus = np.minimum(0.0, before(rows["carried"]) + rows["benefits"] + rows["defaulted"])
        assert (left <= slack).all()
        assert (left >= surplus - 0.01 * rows["payers"] - slack).all()
    elif (rows["cost"] >= 0.0).all():
        assert (left >= -slack).all()
        assert (left <= 0.01 + slack).all()


@given(scenarios(), path_numbers)
@anything
def test_a_path_s_own_rows_sum_up_its_periods(scenario: Scenario, path: int) -> None:
    history = simulate(scenario, SEED, [path])
    summary, pools = history.paths[0], pools_in(scenario, path)
    rows = history.rows[0, : summary["periods_run"]]
    assert summary["periods_run"] == max(pool.end["periods_run"] for pool in pools)
    for number, _, own, *_ in (plan for pool in pools for plan in pool.plans):
        after = history.rows[0, len(own) :, number]
        assert after.tobytes() == bytes(after.nbytes)
    assert_sums_up(summary, rows, summary["periods_run"])
    for pool in pools:
        numbers = [plan.number for plan in pool.plans]
        assert_sums_up(pool.end, rows[:, numbers], pool.end["periods_run"])
        assert_ended_rightly(pool, scenario.periods)
    ends = history.pools[0]
    for name in ("uncovered_members", "lost_deposits", "returned_contributions"):
        np.testing.assert_allclose(summary[name], ends[name].sum(), rtol=1e-12)
    np.testing.assert_allclose(
        summary["unfunded_benefits"], ends["unfunded_benefits"].sum(), rtol=1e-12
    )
    closed = (ends["closure_period"] >= 0).all()
    assert summary["closure_period"] == (ends["closure_period"].max() if closed else -1)
    last = ends[ends["closure_period"].argmax()]
    assert summary["closure_cause"] == (last["closure_cause"] if closed else 0)


def assert_sums_up(summary: np.void, rows: Rows, run: int) -> None:
    """Compare a POOL_ROW or PATH_ROW with the PERIOD_ROW[T, P] of its plans."""
    members = rows["members"].sum(1)[:run]
    assert summary["members_end"] == members[-1]
    assert summary["peak_members"] == members.max()
    assert members.max() == 0 or summary["peak_period"] == members.argmax()
    assert summary["share_max"] == max(0.0, rows["share"].max())
    assert summary["cases"] == rows["cases"].sum()
    assert summary["price_slope_max"] == rows["price_slope"].max()
    # the total of shares is that of the first plan alone
    sums = {"benefits": rows["benefits"].sum(), "share_total": rows["share"][:, 0].sum()}
    for name, total in sums.items():
        np.testing.assert_allclose(summary[name], total, rtol=1e-12, atol=1e-6)
    unfunded = rows["unfunded"].sum()
    assert summary["unfunded_benefits"] >= unfunded * (1 - 1e-12) - 1e-6


def assert_ended_rightly(pool: PoolHistory, periods: int) -> None:
    end, closure, closed = pool.end, pool.closure, pool.end["closure_period"]
    cause = CLOSURE_CAUSES[end["closure_cause"]]
    if cause == "none":
        assert (end["periods_run"], closed) == (periods, -1)
        nothing = ("uncovered_members", "lost_deposits", "returned_contributions")
        assert [end[name] for name in nothing] == [0, 0.0, 0.0]
        unfunded = pool.total("unfunded").sum()
        np.testing.assert_allclose(end["unfunded_benefits"], unfunded, rtol=1e-12, atol=1e-6)
        return
    # without money there is nothing to wind down with
    winding = 0 if cause in ("insolvent", "ruin") else closure.wind_down_periods
    planned = closed + winding + 1
    ran = end["periods_run"]
    assert ran <= min(periods, planned)
    if ran < min(periods, planned):
        money = [plan.rows["reserve"][ran - 1] for plan in pool.plans]
        assert pool.total("defaulted")[ran - 1] > 0.0 or min([*money, end["platform_cash_end"]]) < 0
    members = pool.total("members")[closed]
    assert end["uncovered_members"] == members
    if cause == "too_small":
        assert members < closure.floor_members
        assert closed >= closure.floor_from_period
    if cause == "share_limit":
        limit = closure.share_limit_yuan
        assert limit is not None
        late = slice(max(0, closed + 1 - closure.share_limit_periods), closed + 1)
        assert any((plan.rows["share"][late] > limit).all() for plan in pool.plans)
    if cause == "insolvent":
        assert not pool.platform.parent
    if cause == "ruin":
        assert any(plan.plan.fixed_price_yuan_per_year is not None for plan in pool.plans)
    if cause == "no_profit":
        deadline = closure.profit_deadline_period
        assert deadline is not None
        assert closed >= deadline
    holds = pool.platform.funds_in_custody or pool.platform.parent
    money = pool.total("balances") + sum(np.maximum(0.0, p.rows["reserve"]) for p in pool.plans)
    # a wind-down that the horizon cuts short has lost nothing yet
    lost = 0.0 if holds or ran == periods < planned else money[ran - 1]
    np.testing.assert_allclose(end["lost_deposits"], lost, rtol=1e-12, atol=1e-6)


@given(scenarios(), path_numbers)
@anything
def test_the_cells_of_a_plan_sum_up_to_what_it_paid_and_received(
    scenario: Scenario, path: int
) -> None:
    """What a cell received is what was due to it, before the last benefits were defaulted on."""
    cells = simulate(scenario, SEED, [path]).cells[0]
    for number, _, rows, slack, _ in plans_in(scenario, path):
        cell = cells[number]
        assert cell["cases"].sum() == rows["cases"].sum()
        assert (cell["exposure"] >= cell["cases"]).all()
        assert abs(cell["paid"].sum() - rows["billed"].sum()) <= slack[-1]
        received = (rows["benefits"] + rows["defaulted"]).sum()
        assert abs(cell["received"].sum() - received) <= slack[-1]
        for name in ("received", "expected"):
            assert (cell[name] >= 0.0).all()


@given(scenarios(), path_numbers)
@anything
def test_those_left_uncovered_are_the_members_of_each_group_as_their_pool_closes(
    scenario: Scenario, path: int
) -> None:
    members = [
        moment.state.members.sum((1, 2, 3)) + moment.state.pending_members
        for moment in unfold(scenario, SEED, path)
    ]
    history = simulate(scenario, SEED, [path])
    for number, pool in enumerate(arrays.pool_numbers(scenario)):
        closed = history.pools[0, pool]["closure_period"]
        expected = members[closed][number] if closed >= 0 else np.zeros_like(members[0][number])
        np.testing.assert_array_equal(history.cells[0, number]["uncovered"], expected)


@given(scenarios(), path_numbers)
@anything
def test_the_state_behind_the_rows_is_sound_in_every_cell(scenario: Scenario, path: int) -> None:
    pool = parameters(scenario)
    padded = any(channel.padding > 0 for channel in scenario.channels.values())
    joined = 0
    for moment in unfold(scenario, SEED, path):
        state, rows = moment
        joined += int((rows["joins"] - rows["moved_in"]).sum())
        gone = scenario.market_members - sum(initial_members(scenario))
        gone -= int(state.market[0]["market_left"])
        assert 0 <= gone <= joined
        assert padded or gone == joined
        running = ~state.pool["closed"][pool.plans["pool"]]
        assert_cells_are_sound(moment, running)
        full = (state.accepted * pool.fraction * pool.benefit[:, :, None]).sum((1, 2))
        due = (rows["benefits"] + rows["unfunded"])[running]
        np.testing.assert_allclose(due, full[running], rtol=RELATIVE)
        for number, plan in enumerate(scenario.plans.values()):
            if running[number]:
                assert_charges_are_fair(moment, number, plan)


def assert_cells_are_sound(moment: Moment, running: npt.NDArray[np.bool_]) -> None:
    state, rows = moment
    for counts in (state.members, state.pending, state.pending_members, state.payers):
        assert (counts >= 0).all()
    stage = state.stage
    parts = (stage["wear"], stage["unbilled"], stage["free"], stage["loyalty"], state.incidence)
    for part in parts:
        assert (part >= 0.0).all()
        assert (part <= 1.0).all()
    members = state.members.sum((1, 2, 3, 4)) + state.pending_members.sum(1)
    np.testing.assert_array_equal(members[running], rows["members"][running])
    scale = RELATIVE * (1.0 + np.abs(state.charge).max() * members.max())
    owed = state.debt.sum((1, 2, 3, 4))
    assert (np.abs(owed - rows["outstanding"])[running] <= 1e3 * scale).all()
    assert (state.debt >= -scale).all()
    assert not state.debt[running][state.members[running][:, :, 1:] == 0].any()


def assert_charges_are_fair(moment: Moment, number: int, plan: Plan) -> None:
    """No charge is above its cap, none negative where no rule makes it so; they are the bill."""
    state, rows = moment
    charge, payers = state.charge[number], state.payers[number]
    owed = payers * charge
    assert can_credit(plan) or (charge >= 0.0).all()
    assert (charge <= state.cap[number] * (1 + RELATIVE) + RELATIVE).all()
    slack = RELATIVE * (1.0 + np.abs(owed).sum())
    assert abs(owed.sum() - rows[number]["billed"] - rows[number]["free_bills"]) <= slack
    assert abs(-owed[owed < 0].sum() - rows[number]["credited"]) <= slack
    np.testing.assert_array_equal(payers.sum(), rows[number]["payers"])


def test_padding_never_leaves_the_market_and_goes_at_the_first_bill() -> None:
    pool = a_scenario(
        market_members=10_000,
        plans={"main": {"wait_periods": 2, "custody_yuan_per_member_year": 12.0}},
        motives={"member": {}},
        channels={"inflated": channel(push=[{"from_period": 0, "value": 0.1}], padding=1.0)},
        initial_members=[people(100, tenure_periods=2)],
    )
    moments = [
        (m.rows.copy(), int(m.state.market[0]["market_left"])) for m in unfold(pool, SEED, 0)
    ]
    rows = np.array([row for row, _ in moments])[:, 0]
    assert {left for _, left in moments} == {10_000 - 100}
    assert (rows["joins"] > 0).all()
    assert not rows["lapses_arrears"][:2].any()
    np.testing.assert_array_equal(rows["lapses_arrears"][2:], rows["joins"][:-2])
    assert (rows["members"] - rows["joins"])[-1] == 100 + rows["joins"][-2]


def test_who_is_not_billed_owes_nothing() -> None:
    """In the waiting period a bill that others get cannot fail."""
    pool = a_scenario(
        plans={"main": {"wait_periods": 6, "custody_yuan_per_member_year": 12.0}},
        motives={"member": {"payment_failure": 1.0}, "payer": {}},
        initial_members=[
            people(50, tenure_periods=0),
            people(50, motive="payer", tenure_periods=9),
        ],
    )
    rows = simulate(pool, SEED).rows[0, :, 0]
    assert not rows["lapses_arrears"][:6].any()
    assert not rows["outstanding"][:6].any()
    assert rows["lapses_arrears"][6] == 50


def test_a_newcomer_has_a_whole_year_s_cap_before_him() -> None:
    """The annual cap counts what a member was charged, not what his empty stage would have been."""
    pool = a_scenario(
        periods=3,
        market_members=101,
        plans={
            "main": {
                "wait_periods": 2,
                "waiting_members_pay": True,
                "custody_yuan_per_member_year": 12.0,
                "caps": {"per_year_yuan": 2.5},
            }
        },
        channels={"late": channel(push=[{"from_period": 2, "value": 1000.0}])},
        initial_members=[people(1, tenure_periods=9)],
    )
    moments = [(m.state.charge.copy(), m.rows.copy()) for m in unfold(pool, SEED, 0)]
    charge, rows = moments[-1]
    assert rows["joins"][0] == 100
    assert charge[0, 0].max() > 1.0  # what old members, near their cap, no longer pay
    assert charge[0, 2].max() == 0.5
    np.testing.assert_allclose(rows["billed"], 101.0, rtol=1e-12)


def test_a_ruined_fund_pays_no_benefits_while_it_winds_down() -> None:
    pool = a_scenario(
        periods=5,
        plans={"main": {"fixed_price_yuan_per_year": 12.0}},
        closure={"wind_down_periods": 2},
        claims={"incidence": flat_table(0.5), "report_delay": (0.5, 0.25, 0.25)},
        initial_members=[people(1_000)],
    )
    history = simulate(pool, SEED)
    assert CLOSURE_CAUSES[history.paths["closure_cause"][0]] == "ruin"
    assert history.rows["reserve"].min() >= 0.0


def test_an_insolvent_platform_pays_no_benefits_while_it_winds_down() -> None:
    pool = a_scenario(
        periods=5,
        plans={"main": {"platform_pays": [{"from_period": 0, "value": 1.0}]}},
        platform={"parent": False},
        closure={"wind_down_periods": 2, "wind_down_by": "platform"},
        claims={"incidence": flat_table(0.5), "report_delay": (0.5, 0.25, 0.25)},
        initial_members=[people(1_000)],
    )
    history = simulate(pool, SEED)
    assert CLOSURE_CAUSES[history.paths["closure_cause"][0]] == "insolvent"
    assert history.rows["platform_cash"].min() >= 0.0


def test_an_insolvent_platform_gives_back_no_more_than_it_has() -> None:
    pool = a_scenario(
        plans={"main": {"custody_yuan_per_member_year": 12.0}},
        platform={"parent": False, "funding_yuan": 25.0, "operating_yuan_per_year": 240.0},
        closure={"returned_contributions": 1.0},
        initial_members=[people(1_000)],
    )
    summary = simulate(pool, SEED).pools[0, 0]
    assert CLOSURE_CAUSES[summary["closure_cause"]] == "insolvent"
    # the operating cost it could not pay, and no more
    np.testing.assert_allclose(summary["platform_cash_end"], -15.0)


def test_nobody_is_expected_to_cost_anything_who_is_not_covered_any_more() -> None:
    pool = a_scenario(
        periods=6,
        closure={"floor_members": 10**6, "wind_down_periods": 4},
        claims={"incidence": flat_table(0.2), "report_delay": (0.0, 0.0, 1.0)},
        initial_members=[people(1_000)],
    )
    history = simulate(pool, SEED)
    assert history.cells["exposure"].sum() == 1_000
    # of the one period of cover, whose claimants pay no more
    cost = 1_000 * 1_000 * -np.expm1(-0.2 / 12)
    np.testing.assert_allclose(history.cells["expected"].sum(), cost, rtol=0.05)


def test_who_is_still_waiting_is_neither_charged_nor_credited() -> None:
    pool = a_scenario(
        periods=1,
        plans={
            "main": {
                "rule": "linear",
                "wait_periods": 6,
                "smoothing": {"persistence": 0.9},
                "reserve_yuan": 1e6,
                "prepaid": {"deposit_yuan": 100.0},
            }
        },
        claims={"incidence": flat_table(0.2)},
        initial_members=[people(1_000, tenure_periods=9), people(50)],
    )
    state, _ = next(iter(unfold(pool, SEED, 0)))
    assert not state.charge[0, :6].any()
    assert (state.balance[0, :6] == 100.0).all()


def test_nobody_is_charged_where_the_platform_pays_all() -> None:
    pool = a_scenario(
        periods=1,
        age_edges=(30, 45, 60),
        plans={"main": {"rule": "linear", "platform_pays": [{"from_period": 0, "value": 1.0}]}},
        claims={"incidence": steep_table([0.001 if a < 45 else 0.05 for a in range(106)])},
        initial_members=[people(10, age=40), people(5, age=50)],
    )
    state, rows = next(iter(unfold(pool, SEED, 0)))
    assert rows["cases"][0] == 0
    assert not state.charge.any()


def test_a_fund_that_is_used_up_in_a_wind_down_pays_no_more() -> None:
    pool = a_scenario(
        periods=8,
        plans={"main": {"fixed_price_yuan_per_year": 12.0, "reserve_yuan": 30_000.0}},
        closure={"floor_members": 10**6, "wind_down_periods": 3},
        claims={"incidence": flat_table(0.5), "report_delay": (0.1, 0.3, 0.6)},
        initial_members=[people(1_000)],
    )
    history = simulate(pool, SEED)
    rows, end = history.rows[0, :, 0], history.paths[0]
    assert rows["reserve"].min() >= 0.0
    assert rows["defaulted"].sum() > 0.0
    assert end["unfunded_benefits"] >= rows["unfunded"].sum() > 0.0
    assert end["periods_run"] < 4
