"""What both engines do in a period besides drawing: rows of paths and pools, and how pools end."""

from typing import Any

import pytest

from kernels import platform
from tests.kernels.pools import (
    DOOMED,
    HEALTHY,
    TEN_A_PERIOD,
    TWO_POOLS,
    Path,
    people,
    rates,
    simulate,
    with_changes,
)
from tests.kernels.rich_pool import DEPOSIT, FIXED, HOME, PLANS, POOL_OF, RICH, RIVAL


@pytest.fixture(scope="module")
def rich() -> Path:
    return simulate(base=RICH)


@pytest.mark.parametrize("pool", [None, HOME, RIVAL])
def test_the_row_of_a_path_or_pool_is_what_its_periods_say(rich: Path, pool: int | None) -> None:
    summary = rich.path_row[0] if pool is None else rich.pool_rows[pool]
    plans = [plan for plan in PLANS if pool in (None, POOL_OF[plan])]
    rows = rich.rows[: summary["periods_run"], plans]
    members = rows["members"].sum(1)
    # two periods of wind-down follow the closure
    assert summary["periods_run"] == summary["closure_period"] + 3
    assert platform.CLOSURE_CAUSES[summary["closure_cause"]] == "too_small"
    assert summary["peak_members"] == members.max()
    assert summary["peak_period"] == members.argmax()
    assert summary["members_end"] == members[-1]
    assert summary["share_max"] == rows["share"].max()
    assert summary["share_total"] == pytest.approx(rows["share"][:, 0].sum(), rel=1e-13)
    assert summary["cases"] == rows["cases"].sum()
    assert summary["benefits"] == pytest.approx(rows["benefits"].sum(), rel=1e-13)
    assert summary["unfunded_benefits"] >= rows["unfunded"].sum() * (1 - 1e-13)
    assert summary["price_slope_max"] == rows["price_slope"].max() > 0.0
    if pool is not None:
        assert summary["uncovered_members"] == members[summary["closure_period"]]
        assert summary["platform_cash_end"] == rows["platform_cash"][-1, 0]


def test_the_row_of_a_path_is_that_of_its_pools_together(rich: Path) -> None:
    summary, pools = rich.path_row[0], rich.pool_rows
    assert pools["closure_period"].tolist() == [21, 12]
    assert summary["closure_period"] == 21, "of the pool that closed last"
    for name in ("uncovered_members", "cases"):
        assert summary[name] == pools[name].sum() > 0
    for name in ("benefits", "unfunded_benefits", "lost_deposits", "returned_contributions"):
        assert summary[name] == pytest.approx(pools[name].sum(), rel=1e-13)
    cash = pools["platform_cash_end"].sum()
    assert summary["platform_cash_end"] == pytest.approx(cash, rel=1e-13)


def test_rows_of_a_pool_that_has_ended_stay_empty(rich: Path) -> None:
    run = rich.pool_rows[RIVAL]["periods_run"]
    assert run == 15
    assert not rich.rows[run:, [FIXED, DEPOSIT]].tobytes().strip(b"\0")


def test_a_closed_path_stops_and_leaves_its_later_rows_empty() -> None:
    doomed = DOOMED | {"claims.report_delay": [0.0, 0.5, 0.5], "initial_members": [people(8)]}
    path = simulate(doomed | {"closure.floor_members": 9, "closure.floor_from_period": 1})
    summary = path.path_row[0]
    assert (summary["periods_run"], summary["closure_period"]) == (2, 1)
    assert not path.rows[2:].tobytes().strip(b"\0")
    cases = path.column("cases")
    assert cases[0] == 0
    assert 0 < cases[1] < 8
    assert summary["uncovered_members"] == path.column("members")[1] == 8 - cases[1]
    assert summary["unfunded_benefits"] == 300.0 * (8 - cases[1])


def test_the_peak_is_the_first_period_with_the_most_members() -> None:
    path = simulate(HEALTHY | {"initial_members": [people(8)], "periods": 3})
    assert path.column("members") == [8, 8, 8]
    assert (path.path_row[0]["peak_members"], path.path_row[0]["peak_period"]) == (8, 0)


def test_an_open_path_leaves_nobody_uncovered() -> None:
    summary = simulate({"initial_members": [people(8)]}).path_row[0]
    assert (summary["closure_cause"], summary["closure_period"]) == (0, -1)
    assert summary["uncovered_members"] == 0


# How pools end

FLOOR = {"closure.floor_members": 10_000, "closure.floor_from_period": 1}
# About a fifth of them falls ill in a period, and is paid two periods later.
AILING = {
    "claims.incidence": rates(1.0),
    "claims.report_delay": [0.0, 0.0, 1.0],
    "initial_members": [people(400)],
    "periods": 8,
}


def ending(path: Path, pool: int = 0) -> dict[str, Any]:
    row = path.pool_rows[pool]
    names = ("closure_period", "periods_run", "uncovered_members")
    cause = platform.CLOSURE_CAUSES[row["closure_cause"]]
    return {"cause": cause} | {name: int(row[name]) for name in names}


@pytest.mark.parametrize("payer", ["members", "platform"])
def test_in_a_wind_down_nobody_joins_or_falls_ill_and_reported_cases_are_paid(payer: str) -> None:
    winding = FLOOR | {"closure.wind_down_periods": 3, "closure.wind_down_by": payer}
    path = simulate(AILING | TEN_A_PERIOD | winding)
    members = path.column("members")[1]
    assert ending(path) == {
        "cause": "too_small",
        "closure_period": 1,
        "periods_run": 5,
        "uncovered_members": members,
    }
    assert path.column("joins") == [10, 10, 0, 0, 0]
    diagnoses, cases = path.column("diagnoses"), path.column("cases")
    assert diagnoses[2:] == [0, 0, 0]
    early = path.column("lapses_early_diagnosis")
    assert cases == [0, 0, diagnoses[0] - early[0], diagnoses[1] - early[1], 0]
    assert min(cases[2:4]) > 0
    assert path.column("benefits") == [300.0 * count for count in cases]
    by_members = path.column("billed" if payer == "members" else "subsidy")
    assert by_members == pytest.approx([300.0 * count for count in cases], rel=1e-12, abs=1e-9)
    other = path.column("subsidy" if payer == "members" else "billed")
    assert other == pytest.approx([0.0] * 5, abs=1e-9)
    assert path.pool_rows[0]["unfunded_benefits"] == 0.0
    assert path.cells["exposure"].sum() > 0
    assert not path.rows[5:].tobytes().strip(b"\0")


def test_what_a_wind_down_is_too_short_for_stays_unpaid() -> None:
    path = simulate(AILING | FLOOR | {"closure.wind_down_periods": 1})
    diagnoses, cases = path.column("diagnoses"), path.column("cases")
    assert ending(path)["periods_run"] == 3
    assert cases == [0, 0, diagnoses[0]]
    assert path.pool_rows[0]["unfunded_benefits"] == 300.0 * diagnoses[1] > 0.0


def test_a_fund_that_cannot_pay_its_last_benefits_is_ruined_and_defaults() -> None:
    """Five pay three yuan each, and 1500 are due."""
    price = {"plans.main.fixed_price_yuan_per_year": 12.0, "initial_members": [people(5)]}
    path = simulate(DOOMED | price)
    row, summary = path.rows[0, 0], path.pool_rows[0]
    assert ending(path)["cause"] == "ruin"
    assert (row["billed"], row["benefits"], row["defaulted"]) == (15.0, 15.0, 1485.0)
    assert (row["unfunded"], row["reserve"], row["platform_cash"]) == (1485.0, 0.0, 0.0)
    assert summary["unfunded_benefits"] == 1485.0
    assert summary["benefits"] == 15.0


def test_a_platform_that_runs_out_of_cash_takes_its_members_money_along() -> None:
    changes = HEALTHY | {
        "channels.all": TEN_A_PERIOD["channels.all"] | {"acquisition_yuan_per_join": 4.0},
        "joining.max_joins": 10,
        "platform": {"funding_yuan": 100.0, "parent": False, "funds_in_custody": False},
        "plans.main.prepaid": {"deposit_yuan": 5.0},
    }
    path = simulate(changes)
    assert path.column("platform_cash") == [60.0, 20.0, -20.0]
    assert ending(path) == {
        "cause": "insolvent",
        "closure_period": 2,
        "periods_run": 3,
        "uncovered_members": 30,
    }
    summary = path.pool_rows[0]
    assert summary["lost_deposits"] == 150.0
    assert (summary["platform_cash_min"], summary["platform_cash_end"]) == (-20.0, -20.0)


def test_a_platform_without_a_profit_gives_up() -> None:
    losing = {"platform.operating_yuan_per_year": 4.0, "closure.profit_deadline_period": 5}
    path = simulate(HEALTHY | losing | {"initial_members": [people(9)]})
    assert ending(path)["cause"] == "no_profit"
    assert ending(path)["closure_period"] == 5
    sales = {"platform.sales_yuan_per_member_year": 1.0, "platform.commission_rate": 1.0}
    assert ending(simulate(HEALTHY | losing | sales | {"initial_members": [people(9)]})) == {
        "cause": "none",
        "closure_period": -1,
        "periods_run": 12,
        "uncovered_members": 0,
    }


def test_contributions_are_given_back_at_the_closure() -> None:
    changes = HEALTHY | {
        "plans.main.custody_yuan_per_member_year": 4.0,
        "initial_members": [people(8)],
        "closure.floor_members": 9,
        "closure.floor_from_period": 2,
        "closure.returned_contributions": 0.25,
    }
    summary = simulate(changes).pool_rows[0]
    # eight yuan in each of three periods
    assert summary["returned_contributions"] == 6.0
    assert summary["platform_cash_end"] == summary["platform_cash_min"] == -6.0


# Several pools

APART = with_changes(
    TWO_POOLS,
    HEALTHY
    | {
        "initial_members": [people(40), people(60, plan="other")],
        "pools.one.closure": {"floor_members": 100, "floor_from_period": 2},
        "industry.migration": {"one": {"two": 1.0}},
        "industry.spill_over": {"one": {"two": 0.5}},
        "industry.closure_jump": 4.0,
        "periods": 6,
    },
)


def test_members_of_a_closed_pool_come_to_another_in_the_next_period_and_frighten_it() -> None:
    path = simulate(base=APART)
    assert ending(path, 0) == {
        "cause": "too_small",
        "closure_period": 2,
        "periods_run": 3,
        "uncovered_members": 40,
    }
    assert ending(path, 1)["cause"] == "none"
    assert path.column("members", 0) == [40, 40, 40, 0, 0, 0]
    assert path.column("members", 1) == [60, 60, 60, 100, 100, 100]
    assert path.column("joins", 1) == path.column("moved_in", 1) == [0, 0, 0, 40, 0, 0]
    # the jump of the closure is heard before the news of the next period are
    news = simulate({"news.persistence": 0.5}, base=APART)
    assert news.column("news", 1) == [0.0, 0.0, 0.0, 1.0, 0.5, 0.25]
    summary = path.path_row[0]
    assert (summary["closure_cause"], summary["closure_period"]) == (0, -1), "one goes on"
    assert (summary["periods_run"], summary["uncovered_members"]) == (6, 40)
    assert (summary["members_end"], summary["peak_members"]) == (100, 100)


def test_migrants_wait_again() -> None:
    path = simulate({"plans.other.custody_yuan_per_member_year": 4.0}, base=APART)
    assert path.column("payers", 1) == [60, 60, 60, 60, 60, 100]


def test_a_path_whose_pools_have_all_closed_ends_with_the_last_of_them() -> None:
    later = {"pools.two.closure": {"floor_members": 200, "floor_from_period": 4}}
    path = simulate(later, base=APART)
    assert path.pool_rows["closure_period"].tolist() == [2, 4]
    assert path.pool_rows["periods_run"].tolist() == [3, 5]
    summary = path.path_row[0]
    assert (summary["closure_period"], summary["periods_run"]) == (4, 5)
    assert platform.CLOSURE_CAUSES[summary["closure_cause"]] == "too_small"
    assert summary["uncovered_members"] == 40 + 100
    assert not path.rows[5].tobytes().strip(b"\0")
