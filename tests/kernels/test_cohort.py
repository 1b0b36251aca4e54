"""A path is its periods, in the order of the model; its rows account for people and money."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest

from configs import arrays
from kernels import cohort, platform
from kernels.compiling import SETTINGS
from kernels.dtypes import LAPSE_CAUSES
from kernels.parameters import from_fields
from tests.kernels.pools import (
    CHANNEL,
    LAST_AGE,
    SEED,
    TWO_POOLS,
    Path,
    scenario,
    simulate,
    with_changes,
)
from tests.kernels.rich_pool import RICH

ROOT = FilePath(__file__).parents[2]
NAMES = tuple(RICH["plans"])
PLANS = range(len(NAMES))
HOME, RIVAL = 0, 1
POOL_OF = [("home", "rival").index(RICH["plans"][name].get("pool", "home")) for name in NAMES]
FIXED, DEPOSIT = NAMES.index("fixed"), NAMES.index("deposit")
# A period's money passes a few dozen additions of numbers below 1e4.
FEN = 1e-7


def rates(rate: float) -> dict[str, Any]:
    return {"name": "flat", "first_age": 0, "male": [rate] * LAST_AGE, "female": [rate] * LAST_AGE}


def people(members: int, **more: Any) -> dict[str, Any]:
    kind = {"age": 20, "sex": "male", "motive": "steady", "health": "standard"}
    return kind | {"tenure_periods": 50, "members": members} | more


HEALTHY = {"claims.incidence": rates(0.0)}
# A rate of 1 a year, a thousand times over: certain within a quarter.
DOOMED = {"claims.incidence": rates(1.0), "claims.level": 1e3}
TEN_A_PERIOD: dict[str, Any] = {
    "channels.all": CHANNEL
    | {
        "push": [{"from_period": 0, "value": 1e9}],
        "ages": [{"from_age": 0, "to_age": 29, "male": 0.5, "female": 0.5}],
        "health": {"standard": 1.0},
    },
    "joining.max_joins": 10,
}


@pytest.fixture(scope="module")
def rich() -> Path:
    return simulate(base=RICH)


# By hand


def test_a_path_without_chance_is_the_one_reckoned_by_hand() -> None:
    """Ten join a period and wait for two; a yuan of custody a member is all it costs."""
    changes = (
        HEALTHY
        | TEN_A_PERIOD
        | {
            "periods": 6,
            "plans.main.custody_yuan_per_member_year": 4.0,
            "motives.steady.education_speed": 0.5,
            "motives.bargain.education_speed": 0.5,
        }
    )
    path = simulate(changes)
    assert path.column("members") == [10, 20, 30, 40, 50, 60]
    assert path.column("joins") == [10] * 6
    assert path.column("payers") == [0, 0, 10, 20, 30, 40]
    assert path.column("cost") == path.column("custody") == [10, 20, 30, 40, 50, 60]
    assert path.column("subsidy") == [10, 20, 0, 0, 0, 0]
    assert path.column("billed") == pytest.approx([0, 0, 30, 40, 50, 60], rel=1e-14)
    assert path.column("collected") == pytest.approx([0, 0, 30, 40, 50, 60], rel=1e-14)
    shares = [0, 0, 3, 2, 50 / 30, 1.5]
    assert path.column("share") == pytest.approx(shares, rel=1e-14)
    assert path.column("platform_cash") == pytest.approx([-10, -30, -30, -30, -30, -30], rel=1e-13)
    expectation, expected = 1.0, []
    for share in shares:
        expectation += 0.5 * (share - expectation) if share else 0.0
        expected.append(expectation)
    assert path.column("expectation") == pytest.approx(expected, rel=1e-13)
    summary = path.path_row[0]
    assert (summary["peak_members"], summary["peak_period"], summary["members_end"]) == (60, 5, 60)
    assert summary["share_max"] == pytest.approx(3.0, rel=1e-14)
    assert summary["share_total"] == pytest.approx(sum(shares), rel=1e-14)
    assert summary["closure_period"] == -1
    assert platform.CLOSURE_CAUSES[summary["closure_cause"]] == "none"


def test_claimants_of_a_period_pay_their_share_of_it_and_then_leave() -> None:
    path = simulate(DOOMED | {"periods": 2, "initial_members": [people(5)]})
    row = path.rows[0, 0]
    assert (row["diagnoses"], row["cases"], row["payers"]) == (5, 5, 5)
    assert (row["benefits"], row["billed"], row["share"]) == (1500.0, 1500.0, 300.0)
    assert (row["members"], row["lapses_claimed"], row["lapses"]) == (0, 5, 5)
    assert path.column("members") == [0, 0]
    assert path.column("platform_cash") == [0.0, 0.0]


def test_a_claim_is_settled_by_the_payers_of_the_period_it_is_revealed_in() -> None:
    delayed = {"claims.report_delay": [0.0, 0.0, 1.0], "periods": 4}
    path = simulate(DOOMED | delayed | {"initial_members": [people(5)]})
    assert path.column("diagnoses") == [5, 0, 0, 0]
    assert path.column("cases") == [0, 0, 5, 0]
    assert path.column("payers") == [5, 5, 5, 0]
    assert path.column("members") == [5, 5, 0, 0]


# The order of events


def test_newcomers_without_a_waiting_period_are_at_risk_and_billed_at_once() -> None:
    path = simulate(DOOMED | TEN_A_PERIOD | {"periods": 1, "plans.main.wait_periods": 0})
    row = path.rows[0, 0]
    assert (row["joins"], row["diagnoses"], row["payers"]) == (10, 10, 10)


def test_who_passes_the_oldest_age_pays_no_more_and_newcomers_do_not_age() -> None:
    changes = (
        HEALTHY
        | TEN_A_PERIOD
        | {
            "age_edges": [0, 30, 58, 59, 60],
            "plans.main.wait_periods": 0,
            "initial_members": [people(7, age=59)],
            "channels.all.ages": [{"from_age": 59, "to_age": 59, "male": 1.0, "female": 0.0}],
        }
    )
    path = simulate(changes)
    # after a year those who were there are gone, and ten newcomers of 59 are there
    assert path.column("lapses_aged_out")[:5] == [0, 0, 0, 0, 7 + 40]
    assert path.column("payers")[:5] == [17, 27, 37, 47, 10]


def test_who_leaves_has_been_billed_first() -> None:
    changes = HEALTHY | {"motives.steady.lapse.base": 1e6, "initial_members": [people(9)]}
    path = simulate(changes | {"plans.main.custody_yuan_per_member_year": 4.0})
    row = path.rows[0, 0]
    assert (row["payers"], row["billed"], row["lapses_base"], row["members"]) == (9, 9.0, 9, 0)


def test_who_does_not_pay_is_removed_before_he_can_lapse() -> None:
    changes = HEALTHY | {
        "motives.steady.lapse.base": 1e6,
        "motives.steady.payment_failure": 1.0,
        "plans.main.custody_yuan_per_member_year": 4.0,
        "initial_members": [people(9)],
    }
    row = simulate(changes).rows[0, 0]
    assert (row["lapses_arrears"], row["lapses_base"], row["written_off"]) == (9, 0, 9.0)


def test_news_of_a_period_moves_members_in_the_next() -> None:
    changes = HEALTHY | {
        "motives.steady.lapse.news": 1e6,
        "news.jumps": [{"period": 2, "size": 1.0}],
        "initial_members": [people(9)],
    }
    path = simulate(changes | {"periods": 5})
    assert path.column("news") == [0.0, 0.0, 1.0, 0.0, 0.0]
    assert path.column("lapses_news") == [0, 0, 0, 9, 0]


def test_a_bill_is_compared_with_what_was_expected_before_it() -> None:
    """Everybody learns at once, and still all are shocked by a bill of two yuan."""
    changes = HEALTHY | {
        "motives.steady.lapse.bill_shock": 1e6,
        "motives.steady.education_speed": 1.0,
        "plans.main.custody_yuan_per_member_year": 8.0,
        "initial_members": [people(9)],
    }
    path = simulate(changes)
    assert path.rows[0, 0]["lapses_bill_shock"] == 9


def test_newcomers_are_put_off_by_the_share_of_the_period_before() -> None:
    changes = (
        HEALTHY
        | TEN_A_PERIOD
        | {
            "joining.price_sensitivity": 1e6,
            "channels.all.push": [{"from_period": 0, "value": 100.0}],
            "plans.main.custody_yuan_per_member_year": 4.0,
            "initial_members": [people(9)],
            "periods": 3,
        }
    )
    assert simulate(changes).column("joins") == [10, 0, 0]


def test_growth_compares_the_bills_of_two_periods() -> None:
    """Custody of 9, then of 19 yuan falls on the nine who do not wait."""
    changes = (
        HEALTHY
        | TEN_A_PERIOD
        | {
            "motives.steady.lapse.growth": 1e6,
            "plans.main.custody_yuan_per_member_year": 4.0,
            "initial_members": [people(9)],
            "channels.all.push": [{"from_period": 1, "value": 1e9}],
            "channels.all.motives": {"bargain": 1.0},
            "periods": 2,
        }
    )
    path = simulate(changes)
    assert path.column("share") == pytest.approx([1.0, 19 / 9], rel=1e-14)
    assert path.column("lapses_growth") == [0, 9]


# What rows must add up to


def test_members_are_those_before_and_who_joined_without_who_left(rich: Path) -> None:
    for plan in PLANS:
        run = rich.pool_rows[POOL_OF[plan]]["periods_run"]
        members = [150, *rich.column("members", plan)]
        moves = zip(rich.column("joins", plan), rich.column("lapses", plan), strict=True)
        for period, (joins, lapses) in enumerate(list(moves)[:run]):
            assert members[period + 1] == members[period] + joins - lapses
    joins, moved_in = rich.rows["joins"], rich.rows["moved_in"]
    assert (joins >= moved_in).all()
    # in the period after the rival's end its members come as well
    come = rich.rows["lapses_moved"].sum(1)
    after = int(rich.pool_rows[RIVAL]["periods_run"])
    assert moved_in[after].sum() > come[after]
    assert (np.delete(moved_in.sum(1), after) == np.delete(come, after)).all()
    assert come.sum() > 0


def test_lapses_are_the_sum_over_causes_and_every_cause_occurs(rich: Path) -> None:
    by_cause = np.array([rich.rows[f"lapses_{cause}"] for cause in LAPSE_CAUSES])
    assert (rich.rows["lapses"] == by_cause.sum(0)).all()
    assert (by_cause >= 0).all()
    assert by_cause.sum((1, 2)).all()


@pytest.mark.parametrize("pool", [HOME, RIVAL])
@pytest.mark.parametrize("interest_to", ["members", "platform"])
def test_cash_changes_by_the_rows_of_the_ledger(pool: int, interest_to: str) -> None:
    place = {HOME: "", RIVAL: "pools.rival."}[pool]
    path = simulate({f"{place}platform.interest_to": interest_to}, base=RICH)
    summary = path.pool_rows[pool]
    rows = path.rows[: summary["periods_run"], [plan for plan in PLANS if POOL_OF[plan] == pool]]
    flow = rows["collected"] - rows["benefits"] - rows["custody"] - rows["to_reserve"]
    flow += rows["cross_selling"] - rows["acquisition"] - rows["red_packets"]
    flow -= rows["investigation"] + rows["operating"]
    if interest_to == "platform":
        flow += rows["interest"]
    change = flow.sum(1)
    change[summary["closure_period"]] -= summary["returned_contributions"]
    cash = np.concatenate([[1_000.0], rows["platform_cash"][:, 0]])
    assert np.diff(cash) == pytest.approx(change, abs=FEN)
    assert (rows["platform_cash"] == rows["platform_cash"][:, :1]).all()
    for name in ("to_reserve", "cross_selling", "investigation", "operating", "interest"):
        assert rows[name].any(), name
    returned = {HOME: 0.1, RIVAL: 0.2}[pool]
    given = rows["collected"][: summary["closure_period"] + 1].sum()
    assert summary["returned_contributions"] == pytest.approx(returned * given, rel=1e-12)


@pytest.mark.parametrize("place", ["level", "fixed"])
def test_a_reserve_changes_by_what_is_put_into_it_and_its_interest(rich: Path, place: str) -> None:
    plan = NAMES.index(place)
    rows = rich.rows[: rich.pool_rows[POOL_OF[plan]]["periods_run"], plan]
    reserve = np.concatenate([[RICH["plans"][place]["reserve_yuan"]], rows["reserve"]])
    assert np.diff(reserve) == pytest.approx(rows["to_reserve"] + rows["interest"], abs=FEN)
    assert rows["interest"] == pytest.approx(0.06 / 6 * reserve[:-1], rel=1e-12)
    assert rows["to_reserve"].min() < 0.0 < rows["to_reserve"].max()


def test_balances_change_by_what_is_paid_in_interest_and_what_is_drawn_and_paid_back() -> None:
    # claimants settle their bills as they fall due, so that without any all is drawn from balances
    nobody_ill = {f"claims.incidence.{sex}": [0.0] * LAST_AGE for sex in ("male", "female")}
    path = simulate(nobody_ill | {"plans.deposit.custody_yuan_per_member_year": 9.0}, base=RICH)
    rows = path.rows[: path.pool_rows[RIVAL]["periods_run"], DEPOSIT]
    balances = np.concatenate([[150 * 9.0], rows["balances"]])
    drawn = rows["paid_in"] + rows["interest"] - rows["paid_back"] - np.diff(balances)
    assert drawn == pytest.approx(rows["collected"], abs=FEN)
    for name in ("paid_in", "paid_back", "interest", "collected", "lapses_balance_exhausted"):
        assert rows[name].sum() > 0, name
    assert (rows["paid_back"] >= -FEN).all()


def test_bills_are_collected_outstanding_or_written_off(rich: Path) -> None:
    for plan in PLANS:
        rows = rich.rows[: rich.pool_rows[POOL_OF[plan]]["periods_run"], plan]
        before = np.concatenate([[0.0], rows["outstanding"][:-1]])
        after = rows["collected"] + rows["outstanding"] + rows["written_off"]
        assert rows["billed"] + before == pytest.approx(after, abs=FEN)
        assert (rows["outstanding"] >= -FEN).all()


def test_costs_are_billed_subsidised_or_carried(rich: Path) -> None:
    for plan in PLANS:
        rows = rich.rows[:, plan]
        borne = rows["billed"] + rows["subsidy"] + rows["carried"]
        # what was written off is borne in its own period, by the platform or by carrying it on
        due = rows["cost"] + rows["written_off"] + rows["to_reserve"]
        assert due == pytest.approx(borne, abs=FEN)
        carried_in = np.concatenate([[0.0], rows["carried"][:-1]])
        own = rows["benefits"] + rows["fee"] + rows["custody"] + carried_in
        own[rich.pool_rows[POOL_OF[plan]]["periods_run"] :] = 0.0  # there are no rows any more
        assert rows["cost"] == pytest.approx(own, abs=FEN)
        assert rows["fee"] == pytest.approx(0.08 * rows["benefits"], abs=FEN)


def test_every_diagnosis_past_waiting_is_a_case_or_a_rejection_in_time(rich: Path) -> None:
    for plan in PLANS:
        rows = rich.rows[: rich.pool_rows[POOL_OF[plan]]["periods_run"], plan]
        claims = np.cumsum(rows["diagnoses"] - rows["lapses_early_diagnosis"])
        decided = np.cumsum(rows["cases"] + rows["rejections"])
        assert (decided <= claims).all()
        assert (decided[2:] >= claims[:-2]).all(), "delays are of two periods at most"
        assert (rows["lapses_claimed"] == rows["cases"]).all()
        assert (rows["disputes"] <= rows["rejections"]).all()


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


def test_rows_of_cells_add_up_to_the_rows_of_periods(rich: Path) -> None:
    for plan in PLANS:
        rows, cells = rich.rows[:, plan], rich.cells[plan]
        assert cells["cases"].sum() == rows["cases"].sum() > 0
        assert cells["paid"].sum() == pytest.approx(rows["billed"].sum(), rel=1e-9)
        assert cells["received"].sum() == pytest.approx(rows["benefits"].sum(), rel=1e-9)
        assert (cells["exposure"] >= 0).all()
        assert cells["exposure"].sum() > 0


# Closure


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


# Money held for members


def test_balances_are_drawn_period_by_period_and_what_is_left_of_them_is_paid_back() -> None:
    """A yuan of custody a period, five paid in: below two, after four bills, they leave."""
    changes = HEALTHY | {
        "plans.main.prepaid": {"deposit_yuan": 5.0, "low_balance_yuan": 2.0, "top_up": 0.0},
        "plans.main.custody_yuan_per_member_year": 4.0,
        "initial_members": [people(9)],
        "periods": 5,
    }
    path = simulate(changes)
    assert path.column("balances") == [36.0, 27.0, 18.0, 0.0, 0.0]
    assert path.column("paid_back") == [0.0, 0.0, 0.0, 9.0, 0.0]
    assert path.column("collected") == [9.0, 9.0, 9.0, 9.0, 0.0]
    assert path.column("lapses_balance_exhausted") == [0, 0, 0, 9, 0]
    assert path.column("platform_cash") == [0.0] * 5
    loyal = simulate(changes | {"plans.main.prepaid.top_up": 1.0})
    assert loyal.column("paid_in") == [0.0, 0.0, 0.0, 36.0, 0.0]
    assert loyal.column("balances") == [36.0, 27.0, 18.0, 45.0, 36.0]


def test_who_leaves_for_another_cause_has_his_balance_back_to_the_fen() -> None:
    changes = (
        HEALTHY
        | TEN_A_PERIOD
        | {
            "motives.steady.lapse.base": 1e6,
            "channels.all.motives": {"steady": 1.0},
            "plans.main.prepaid": {"deposit_yuan": 5.11},
            "plans.main.custody_yuan_per_member_year": 4.0,
            "initial_members": [people(9)],
            "periods": 3,
        }
    )
    path = simulate(changes)
    # nineteen yuan fall on the nine who do not wait; the ten who do are charged nothing
    assert path.column("paid_in") == pytest.approx([51.1, 51.1, 51.1], rel=1e-12)
    drawn = path.column("collected")
    assert drawn[0] == pytest.approx(19.0, rel=1e-14)
    expected = [9 * 5.11 + 51.1 - 19.0, 51.1, 51.1]
    assert path.column("paid_back") == pytest.approx(expected, rel=1e-12)
    assert path.column("balances") == pytest.approx([0.0] * 3, abs=1e-12)


def test_a_claimant_has_his_balance_back_and_pays_his_bills_himself() -> None:
    prepaid = {"plans.main.prepaid": {"deposit_yuan": 5.0}, "initial_members": [people(4)]}
    path = simulate(DOOMED | prepaid | {"claims.report_delay": [0.0, 1.0], "periods": 2})
    assert path.column("paid_back") == [20.0, 0.0]
    assert path.column("collected") == [0.0, 1200.0]


def test_the_platform_pays_the_first_bills_of_newcomers_and_they_the_later_ones() -> None:
    changes = (
        HEALTHY
        | TEN_A_PERIOD
        | {
            "plans.main.wait_periods": 0,
            "plans.main.first_bill_free": True,
            "plans.main.custody_yuan_per_member_year": 4.0,
            "initial_members": [people(9)],
            "periods": 4,
        }
    )
    path = simulate(changes)
    assert path.column("share") == pytest.approx([1.0] * 4, rel=1e-14)
    assert path.column("free_bills") == pytest.approx([10.0] * 4, rel=1e-13)
    assert path.column("billed") == pytest.approx([9.0, 19.0, 29.0, 39.0], rel=1e-13)
    assert path.column("subsidy") == path.column("free_bills")
    cash = [-10.0, -20.0, -30.0, -40.0]
    assert path.column("platform_cash") == pytest.approx(cash, rel=1e-13)


def test_who_was_given_his_first_bill_is_shocked_by_the_second() -> None:
    changes = HEALTHY | {
        "channels.all": CHANNEL | {"push": [{"from_period": 0, "value": 1e9}]},
        "channels.all.motives": {"steady": 1.0},
        "joining.max_joins": 10_000,
        "plans.main.wait_periods": 0,
        "plans.main.first_bill_free": True,
        "plans.main.custody_yuan_per_member_year": 4.0,
        "motives.steady.lapse.first_bill": 1e6,
        "periods": 2,
    }
    assert simulate(changes).column("lapses_first_bill") == [0, 10_000]
    unpaid = simulate(changes | {"plans.main.first_bill_free": False})
    assert unpaid.column("lapses_first_bill") == [10_000, 0]


def test_the_platform_pays_its_part_by_the_calendar() -> None:
    changes = HEALTHY | {
        "plans.main.custody_yuan_per_member_year": 4.0,
        "plans.main.platform_pays": [
            {"from_period": 1, "value": 0.5},
            {"from_period": 2, "value": 1.0},
        ],
        "initial_members": [people(8)],
        "periods": 3,
    }
    path = simulate(changes)
    assert path.column("billed") == [8.0, 4.0, 0.0]
    assert path.column("subsidy") == [0.0, 4.0, 8.0]
    assert path.column("cost") == [8.0, 8.0, 8.0]


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


def test_two_pools_apart_are_each_like_a_pool_alone() -> None:
    """Draws are made at addresses that know the plan, so that the first pool is the same alone."""
    alone = {"channels.all": CHANNEL, "market_members": 400, "initial_members": [people(90)]}
    together = alone | {
        "pools": {"one": {}, "two": {}},
        "plans.other": {**TWO_POOLS["plans"]["other"], "custody_yuan_per_member_year": 4.0},
    }
    one, both = simulate(alone), simulate(together)
    assert one.rows[:, 0].tobytes() == both.rows[:, 0].tobytes()
    assert one.pool_rows[0] == both.pool_rows[0]
    assert both.column("members", 1) == [0] * 12


# Addresses


def test_a_path_is_the_same_alone_and_after_others() -> None:
    paths = [simulate(base=RICH, path=path).rows.tobytes() for path in (0, 1, 2)]
    assert simulate(base=RICH, path=2).rows.tobytes() == paths[2]
    assert len(set(paths)) == 3
    assert simulate(base=RICH, seed=np.uint64(1)).rows.tobytes() != paths[0]


def test_a_path_leaves_its_parameters_as_they_were() -> None:
    fields = arrays.parameters(scenario(base=RICH))
    parameters, untouched = from_fields(fields), from_fields(arrays.parameters(scenario(base=RICH)))
    cohort.simulate_path(parameters, SEED, 0, cohort.new_outcome(parameters))
    for used, clean in zip(parameters, untouched, strict=True):
        assert used.tobytes() == clean.tobytes()


def digest() -> str:
    """Hash everything that three paths of the rich pool leave behind."""
    found = hashlib.sha256()
    for number in range(3):
        path = simulate(base=RICH, path=number)
        for rows in path:
            found.update(rows.tobytes())
    return found.hexdigest()


@pytest.mark.skipif(
    bool(SETTINGS.DISABLE_JIT), reason="nothing is compiled where NUMBA_DISABLE_JIT=1"
)
def test_compiled_and_interpreted_paths_are_the_same_to_the_byte() -> None:
    interpreted = subprocess.run(
        [sys.executable, "-c", "from tests.kernels.test_cohort import digest; print(digest())"],
        cwd=ROOT,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert interpreted.stdout.strip() == digest()
