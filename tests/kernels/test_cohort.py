"""A path is its periods, in the order of the model; its rows account for people and money."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path as FilePath

import numpy as np
import pytest

from configs import arrays
from kernels import cohort, events, platform
from kernels.compiling import SETTINGS
from kernels.dtypes import LAPSE_CAUSES
from kernels.parameters import from_fields
from tests.kernels.pools import (
    CHANNEL,
    DOOMED,
    HEALTHY,
    LAST_AGE,
    SEED,
    TEN_A_PERIOD,
    TWO_POOLS,
    Path,
    people,
    scenario,
    simulate,
)
from tests.kernels.rich_pool import DEPOSIT, HOME, NAMES, PLANS, POOL_OF, RICH, RIVAL

ROOT = FilePath(__file__).parents[2]
# A period's money passes a few dozen additions of numbers below 1e4.
FEN = 1e-7


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


def test_rows_of_cells_add_up_to_the_rows_of_periods(rich: Path) -> None:
    for plan in PLANS:
        rows, cells = rich.rows[:, plan], rich.cells[plan]
        assert cells["cases"].sum() == rows["cases"].sum() > 0
        assert cells["paid"].sum() == pytest.approx(rows["billed"].sum(), rel=1e-9)
        assert cells["received"].sum() == pytest.approx(rows["benefits"].sum(), rel=1e-9)
        assert (cells["exposure"] >= 0).all()
        assert cells["exposure"].sum() > 0


# Closure


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
    short = {"periods": 6}
    paths = [simulate(short, path, RICH).rows.tobytes() for path in (0, 1, 2)]
    assert simulate(short, 2, RICH).rows.tobytes() == paths[2]
    assert len(set(paths)) == 3
    assert simulate(short, 0, RICH, np.uint64(1)).rows.tobytes() != paths[0]


def test_a_path_leaves_its_parameters_as_they_were() -> None:
    fields = arrays.parameters(scenario(base=RICH))
    parameters, untouched = from_fields(fields), from_fields(arrays.parameters(scenario(base=RICH)))
    cohort.simulate_path(parameters, SEED, 0, events.new_outcome(parameters))
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
