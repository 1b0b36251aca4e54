"""The pool closes for the first cause that holds, and says what it leaves unpaid."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kernels import claims, platform
from kernels.draws import Purpose
from kernels.dtypes import PERIOD_ROW
from kernels.state import ACCEPTED, REFUSED
from tests import oracles_draws
from tests.kernels.pools import (
    BASE,
    FEMALE,
    MALE,
    OLD,
    SEED,
    STANDARD,
    STEADY,
    TWO_POOLS,
    WAIT,
    YOUNG,
    Pool,
    group,
    pool,
    row,
)

M0, F1 = group(STANDARD, YOUNG, MALE), group(STANDARD, OLD, FEMALE)
PATH = 9
FLOOR = {"closure.floor_members": 100, "closure.floor_from_period": 3}
LIMIT = {"closure.share_limit_yuan": 5.0, "closure.share_limit_periods": 3}
ORDER = {"closure.regulation_hazard": [{"from_period": 3, "value": 1e6}]}


def rows_of(small: Pool) -> npt.NDArray[np.void]:
    return np.zeros((small.parameters.periods.size, small.parameters.plans.size), PERIOD_ROW)


def cause(small: Pool, period: int, share: float = 0.0, members: int = 1_000) -> str:
    small.state.pool["members"][0] = members
    small.state.plan["share"][:] = share
    code = platform.closure_cause(
        small.parameters, small.state, rows_of(small), (SEED, PATH, period), 0
    )
    return platform.CLOSURE_CAUSES[code]


def causes(small: Pool, shares: list[float]) -> list[str]:
    return [cause(small, period, share) for period, share in enumerate(shares)]


@pytest.mark.parametrize(
    ("period", "members", "expected"),
    [(2, 99, "none"), (3, 99, "too_small"), (3, 100, "none"), (7, 0, "too_small")],
)
def test_a_pool_below_its_floor_closes_once_the_floor_is_tested(
    period: int, members: int, expected: str
) -> None:
    assert cause(pool(FLOOR), period, members=members) == expected


def test_without_causes_even_an_empty_pool_goes_on() -> None:
    assert cause(pool(), 11, share=1e9, members=0) == "none"


def test_only_successive_shares_above_the_limit_close_the_pool() -> None:
    shares = [6.0, 6.0, 5.0, 5.1, 9.0, 5.1]
    assert causes(pool(LIMIT), shares) == ["none"] * 5 + ["share_limit"]


def test_each_plan_counts_its_own_periods_above_the_limit() -> None:
    small = pool(LIMIT | {"plans.other": BASE["plans"]["main"]})
    found = []
    for period, shares in enumerate([(6.0, 0.0), (0.0, 6.0), (6.0, 6.0), (0.0, 6.0)]):
        small.state.pool["members"][0] = 1_000
        small.state.plan["share"][:] = shares
        when = (SEED, PATH, period)
        found.append(platform.closure_cause(small.parameters, small.state, rows_of(small), when, 0))
    assert [platform.CLOSURE_CAUSES[code] for code in found] == ["none"] * 3 + ["share_limit"]


def test_an_order_comes_when_its_hazard_is_above_the_draw() -> None:
    assert [cause(pool(ORDER), period) for period in (2, 3)] == ["none", "regulation"]


@pytest.mark.parametrize("hazard", [0.05, 0.8, 4.0])
def test_orders_come_in_the_periods_of_the_twins_draws(hazard: float) -> None:
    small = pool({"closure.regulation_hazard": [{"from_period": 0, "value": hazard}]})
    chance = oracles_chance(hazard / 4)
    expected = []
    for period in range(12):
        where = oracles_draws.Address(int(SEED), PATH, Purpose.CLOSURE, period, 0)
        drawn = oracles_draws.uniforms(where)[0]
        expected.append("regulation" if drawn < chance else "none")
    assert causes(small, [0.0] * 12) == expected


def oracles_chance(hazard: float) -> float:
    return float(1 - np.exp(-hazard))


def test_an_endless_hazard_closes_the_pool_and_none_does_not() -> None:
    small = pool(ORDER)
    small.parameters.pool_periods["closure_hazard"][0, :] = (0.0,) * 6 + (np.inf,) * 6
    assert causes(small, [0.0] * 7) == ["none"] * 6 + ["regulation"]


def test_causes_are_tested_in_the_order_of_the_model() -> None:
    every: dict[str, Any] = FLOOR | LIMIT | ORDER | {"closure.share_limit_periods": 1}
    assert cause(pool(every), 3, share=6.0, members=99) == "too_small"
    assert cause(pool(every), 3, share=6.0, members=100) == "share_limit"
    assert cause(pool(every), 3, share=5.0, members=100) == "regulation"
    assert cause(pool(every), 2, share=5.0, members=99) == "none"


# What is left unpaid

DELAYS = {
    "claims.report_delay": [0.25, 0.25, 0.25, 0.25],
    "plans.main.benefit_limit_yuan_per_payer": 2.0,
    "claims.severity": {
        "severe": {"probability": 0.5, "benefit_fraction": 1.0},
        "mild": {"probability": 0.5, "benefit_fraction": 0.5},
    },
}


def test_claims_unpaid_at_closure_are_what_would_have_been_paid_had_it_gone_on() -> None:
    small = pool(DELAYS)
    state, period = small.state, 6
    state.payers[0, WAIT, M0] = 100  # a case pays at most 200
    for later in (1, 2, 3):
        state.pending[0, (period + later) % 4, ACCEPTED, M0] = 3 * later
        state.pending[0, (period + later) % 4, ACCEPTED, F1] = 4
        state.pending[0, (period + later) % 4, REFUSED, F1] = 5
    before = state.pending.copy()
    unpaid = platform.claims_left_unpaid(small.parameters, state, SEED, PATH, 0, period)
    assert (state.pending == before).all(), "a look ahead changes nothing"
    paid = 0.0
    for later in (1, 2, 3):
        claims.assess(small.parameters, state, SEED, PATH, 0, period + later)
        paid += claims.benefits_due(small.parameters, state.accepted[0], 0, 100)[0]
    assert unpaid == paid > 0.0


def test_nothing_is_left_unpaid_of_claims_that_were_settled_or_will_be_refused() -> None:
    small = pool(DELAYS)
    small.state.payers[0, WAIT, M0] = 100
    small.state.members[0, WAIT, 0, STEADY, M0] = 100
    small.state.pending[0, :, REFUSED, M0] = 7
    small.state.pending[0, 6 % 4, ACCEPTED, M0] = 2  # due in the period of the closure itself
    assert platform.claims_left_unpaid(small.parameters, small.state, SEED, PATH, 0, 6) == 0.0


def test_a_plan_that_settles_at_once_leaves_no_claim_unpaid() -> None:
    small = pool()
    small.state.pending[0, 0, ACCEPTED, M0] = 2
    assert platform.claims_left_unpaid(small.parameters, small.state, SEED, PATH, 0, 6) == 0.0


# The ledger

LEDGER = {
    "funding_yuan": 100.0,
    "sales_yuan_per_member_year": 40.0,
    "commission_rate": 0.1,
    "cannibalisation": 0.25,
    "investigation_yuan_per_claim": 10.0,
    "operating_yuan_per_year": 8.0,
    "operating_yuan_per_member_year": 0.4,
}
TWO_PLANS = {"plans.other": BASE["plans"]["main"]}
THIRD = {"plans.third": BASE["plans"]["main"] | {"pool": "one"}}


def booked(small: Pool, plan: int = 0) -> np.void:
    """Book a period of fifty members, three claims and some money."""
    out = row()
    out["members"], out["cases"], out["rejections"] = 50, 2, 1
    for name, value in {
        "collected": 200.0,
        "benefits": 120.0,
        "custody": 5.0,
        "to_reserve": 10.0,
        "interest": 3.0,
    }.items():
        out[name] = value
    small.state.plan["acquisition"][plan] = 7.0
    small.state.plan["red_packets"][plan] = 2.0
    small.state.plan["reserve"][plan] = 20.0
    platform.keep_ledger(small.parameters, small.state, out, plan)
    return out


@pytest.mark.parametrize(("interest_to", "kept"), [("members", 0.0), ("platform", 3.0)])
def test_the_ledger_of_a_period_is_the_one_reckoned_by_hand(interest_to: str, kept: float) -> None:
    small = pool({"platform": LEDGER | {"interest_to": interest_to}})
    out = booked(small)
    # 50 members of whom 3/4 buy for 40 yuan a year, of which a tenth is kept, in four periods
    assert out["cross_selling"] == 37.5
    assert (out["acquisition"], out["red_packets"]) == (7.0, 2.0)
    assert out["investigation"] == 30.0
    assert out["operating"] == pytest.approx(2.0 + 5.0, rel=1e-15)
    members_money = 200.0 - 120.0 - 5.0 - 10.0
    cash = 100.0 + members_money + 37.5 + kept - 7.0 - 2.0 - 30.0 - 7.0
    assert small.state.pool["cash"][0] == pytest.approx(cash, rel=1e-15)
    assert out["reserve"] == small.state.plan["reserve"][0] == 30.0
    assert small.state.pool["contributions"][0] == 200.0


def test_what_it_costs_to_operate_whatever_the_size_is_booked_once_a_pool() -> None:
    small = pool({"platform": LEDGER, **TWO_PLANS})
    operating = [float(booked(small, plan)["operating"]) for plan in (0, 1)]
    assert operating == pytest.approx([7.0, 5.0], rel=1e-15)
    apart = pool({"platform": LEDGER}, base=TWO_POOLS)
    operating = [float(booked(apart, plan)["operating"]) for plan in (0, 1)]
    assert operating == pytest.approx([7.0, 7.0], rel=1e-15)
    assert apart.state.pool["cash"].tolist() == pytest.approx([156.5, 156.5], rel=1e-15)


YEAR = {
    "fee": 2.0,
    "cross_selling": 3.0,
    "acquisition": 5.0,
    "red_packets": 7.0,
    "investigation": 11.0,
    "operating": 13.0,
    "subsidy": 17.0,
    "interest": 19.0,
    "custody": 23.0,
    "billed": 1e6,  # members' money
    "benefits": 1e6,
}


@pytest.mark.parametrize(
    ("choices", "more"),
    [
        ({}, 0.0),
        ({"platform.interest_to": "platform"}, 19.0),
        ({"platform.custody_from": "platform"}, -23.0),
    ],
)
def test_the_result_of_a_year_is_what_was_earned_less_what_was_spent(
    choices: dict[str, Any], more: float
) -> None:
    small = pool(choices | TWO_PLANS)
    rows = rows_of(small)
    for name, value in YEAR.items():
        rows[name][:, 0] = value
    a_period = 2 + 3 - 5 - 7 - 11 - 13 - 17 + more
    result = [platform.result_of_year(small.parameters, rows, 0, period) for period in (0, 3, 9)]
    assert result == [a_period, 4 * a_period, 4 * a_period]
    rows[0] = np.zeros(1, PERIOD_ROW)  # is more than a year ago
    assert platform.result_of_year(small.parameters, rows, 0, 4) == 4 * a_period
    rows["fee"][4, 1] = 100.0
    assert platform.result_of_year(small.parameters, rows, 0, 4) == 4 * a_period + 100.0


def test_the_result_is_that_of_the_pools_own_plans() -> None:
    small = pool(base=TWO_POOLS)
    rows = rows_of(small)
    rows["fee"][2] = (30.0, 4.0)
    assert [platform.result_of_year(small.parameters, rows, q, 2) for q in (0, 1)] == [30.0, 4.0]


# Causes that stand in the money


def closes(small: Pool, number: int = 0, period: int = 4, rows: Any = None) -> str:
    small.state.pool["members"][:] = 1_000
    rows = rows_of(small) if rows is None else rows
    code = platform.closure_cause(small.parameters, small.state, rows, (SEED, PATH, period), number)
    return platform.CLOSURE_CAUSES[code]


@pytest.mark.parametrize(
    ("parent", "cash", "expected"),
    [(False, -0.01, "insolvent"), (False, 0.0, "none"), (True, -1e9, "none")],
)
def test_a_platform_without_a_parent_is_insolvent_below_zero(
    parent: bool, cash: float, expected: str
) -> None:
    small = pool({"platform.parent": parent})
    small.state.pool["cash"][0] = cash
    assert closes(small) == expected


@pytest.mark.parametrize(("reserve", "expected"), [(-0.01, "ruin"), (0.0, "none")])
def test_a_fund_below_zero_is_ruin_to_its_own_pool(reserve: float, expected: str) -> None:
    price = {"plans.other.fixed_price_yuan_per_year": 4.0}
    small = pool(price, base=TWO_POOLS)
    small.state.plan["reserve"][1] = reserve
    assert [closes(small, number) for number in (0, 1)] == ["none", expected]


def test_a_pool_without_a_profit_closes_from_its_deadline_on() -> None:
    small = pool({"closure.profit_deadline_period": 4})
    rows = rows_of(small)
    assert [closes(small, period=period, rows=rows) for period in (3, 4)] == ["none", "no_profit"]
    rows["cross_selling"][2] = 1.0
    assert [closes(small, period=period, rows=rows) for period in (5, 6)] == ["none", "no_profit"]


def test_causes_in_the_money_come_after_the_share_and_before_an_order() -> None:
    every: dict[str, Any] = (
        ORDER
        | LIMIT
        | {
            "closure.share_limit_periods": 1,
            "closure.profit_deadline_period": 0,
            "platform.parent": False,
            "plans.main.fixed_price_yuan_per_year": 4.0,
        }
    )
    small = pool(every)
    state, found = small.state, []
    state.plan["share"][0], state.pool["cash"][0], state.plan["reserve"][0] = 6.0, -1.0, -1.0
    rows = rows_of(small)
    for mend in ("share", "cash", "reserve", "profit"):
        found.append(closes(small, rows=rows))
        if mend == "cash":
            state.pool["cash"][0] = 0.0
        elif mend == "profit":
            rows["fee"][4] = 1.0
        else:
            state.plan[mend][0] = 0.0
    found.append(closes(small, rows=rows))
    assert found == ["share_limit", "insolvent", "ruin", "no_profit", "regulation"]


def test_orders_are_drawn_for_each_pool() -> None:
    hazard = {"closure.regulation_hazard": [{"from_period": 0, "value": 2.0}]}
    small = pool(hazard, base=TWO_POOLS)
    for number in (0, 1):
        drawn = [
            oracles_draws.uniforms(
                oracles_draws.Address(int(SEED), PATH, Purpose.CLOSURE, period, number)
            )[0]
            for period in range(12)
        ]
        expected = ["regulation" if u < oracles_chance(0.5) else "none" for u in drawn]
        assert [closes(small, number, period) for period in range(12)] == expected
        assert len(set(expected)) == 2


# What is not paid when a pool closes


def defaults(small: Pool, benefits: tuple[float, float], number: int = 0) -> Any:
    """Close in period 4 with benefits of two plans; give the period's rows."""
    rows = rows_of(small)
    rows["benefits"][4] = benefits
    rows["platform_cash"][4] = small.state.pool["cash"][0]
    platform.default_on_benefits(small.parameters, small.state, rows, number, 4)
    return rows[4]


@pytest.mark.parametrize(
    ("cash", "missing", "after"),
    [(-30.0, (18.0, 12.0), 0.0), (-500.0, (60.0, 40.0), -400.0), (5.0, (0.0, 0.0), 5.0)],
)
def test_benefits_that_there_is_no_cash_for_stay_unpaid_in_proportion(
    cash: float, missing: tuple[float, float], after: float
) -> None:
    small = pool(TWO_PLANS | {"platform.parent": False})
    small.state.pool["cash"][0] = cash
    rows = defaults(small, (60.0, 40.0))
    assert rows["defaulted"] == pytest.approx(missing, rel=1e-14)
    assert rows["unfunded"] == pytest.approx(missing, rel=1e-14)
    assert rows["benefits"] == pytest.approx([60 - missing[0], 40 - missing[1]], rel=1e-14)
    assert small.state.pool["cash"][0] == after


def test_a_parent_pays_what_there_is_no_cash_for() -> None:
    small = pool(TWO_PLANS)
    small.state.pool["cash"][0] = -30.0
    rows = defaults(small, (60.0, 40.0))
    assert not rows["defaulted"].any()
    assert small.state.pool["cash"][0] == -30.0


@pytest.mark.parametrize(
    ("reserve", "missing", "after"), [(-25.0, 25.0, 0.0), (-100.0, 60.0, -40.0), (9.0, 0.0, 9.0)]
)
def test_benefits_that_the_fund_cannot_pay_stay_unpaid_even_with_a_parent(
    reserve: float, missing: float, after: float
) -> None:
    small = pool(TWO_PLANS | {"plans.main.fixed_price_yuan_per_year": 4.0})
    small.state.plan["reserve"][0] = reserve
    rows = defaults(small, (60.0, 40.0))
    assert rows["defaulted"].tolist() == rows["unfunded"].tolist() == [missing, 0.0]
    assert rows["benefits"].tolist() == [60.0 - missing, 40.0]
    # what is not paid stays in the fund
    assert rows["to_reserve"][0] == missing
    assert small.state.plan["reserve"][0] == after


def test_a_smoothing_reserve_below_zero_by_rounding_is_no_ruin_and_no_default() -> None:
    small = pool(TWO_PLANS | {"plans.main.smoothing": {"persistence": 0.5}})
    small.state.plan["reserve"][0] = -1e-13
    assert closes(small) == "none"
    assert not defaults(small, (60.0, 40.0))["defaulted"].any()


def test_only_the_pool_that_closes_defaults() -> None:
    small = pool({"platform.parent": False}, base=TWO_POOLS)
    small.state.pool["cash"][:] = -50.0
    rows = defaults(small, (60.0, 40.0), number=1)
    assert rows["defaulted"].tolist() == [0.0, 40.0]
    assert small.state.pool["cash"].tolist() == [-50.0, -10.0]


@pytest.mark.parametrize(
    ("choices", "lost"),
    [
        ({"funds_in_custody": False, "parent": False}, 47.0),
        ({"funds_in_custody": True, "parent": False}, 0.0),
        ({"funds_in_custody": False, "parent": True}, 0.0),
    ],
)
def test_members_lose_their_money_where_nobody_else_holds_it_and_no_parent_stands_behind_it(
    choices: dict[str, bool], lost: float
) -> None:
    small = pool({"pools.one.platform": choices, **THIRD}, base=TWO_POOLS)
    small.state.plan["balances"][:] = (40.0, 900.0, 0.0)
    small.state.plan["reserve"][:] = (7.0, 900.0, -3.0)
    assert platform.deposits_lost(small.parameters, small.state, 0) == lost
