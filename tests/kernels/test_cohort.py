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
from kernels.dtypes import LAPSE_CAUSES, PATH_ROW, PERIOD_ROW
from kernels.parameters import from_fields
from tests.kernels.pools import CHANNEL, LAST_AGE, SEED, Path, scenario, simulate
from tests.kernels.rich_pool import RICH

ROOT = FilePath(__file__).parents[2]
PLANS = range(3)
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
TEN_A_PERIOD = {
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
        members = [150, *rich.column("members", plan)]
        moves = zip(rich.column("joins", plan), rich.column("lapses", plan), strict=True)
        for period, (joins, lapses) in enumerate(moves):
            assert members[period + 1] == members[period] + joins - lapses
    joins, moved_in = rich.rows["joins"], rich.rows["moved_in"]
    assert (joins >= moved_in).all()
    assert moved_in.sum() == rich.rows["lapses_moved"].sum() > 0


def test_lapses_are_the_sum_over_causes_and_every_cause_occurs(rich: Path) -> None:
    by_cause = np.array([rich.rows[f"lapses_{cause}"] for cause in LAPSE_CAUSES])
    assert (rich.rows["lapses"] == by_cause.sum(0)).all()
    assert (by_cause >= 0).all()
    assert by_cause.sum((1, 2)).all()


def test_cash_changes_by_collected_less_benefits_and_custody(rich: Path) -> None:
    rows = rich.rows
    flow = (rows["collected"] - rows["benefits"] - rows["custody"]).sum(1)
    cash = np.concatenate([[0.0], rows["platform_cash"][:, 0]])
    assert np.diff(cash) == pytest.approx(flow, abs=FEN)
    assert (rows["platform_cash"] == rows["platform_cash"][:, :1]).all()


def test_bills_are_collected_outstanding_or_written_off(rich: Path) -> None:
    for plan in PLANS:
        rows = rich.rows[:, plan]
        before = np.concatenate([[0.0], rows["outstanding"][:-1]])
        after = rows["collected"] + rows["outstanding"] + rows["written_off"]
        assert rows["billed"] + before == pytest.approx(after, abs=FEN)
        assert (rows["outstanding"] >= -FEN).all()


def test_costs_are_billed_subsidised_or_carried(rich: Path) -> None:
    for plan in PLANS:
        rows = rich.rows[:, plan]
        borne = rows["billed"] + rows["subsidy"] + rows["carried"]
        # what was written off is borne in its own period, by the platform or by carrying it on
        assert rows["cost"] + rows["written_off"] == pytest.approx(borne, abs=FEN)
        carried_in = np.concatenate([[0.0], rows["carried"][:-1]])
        own = rows["benefits"] + rows["fee"] + rows["custody"] + carried_in
        assert rows["cost"] == pytest.approx(own, abs=FEN)
        assert rows["fee"] == pytest.approx(0.08 * rows["benefits"], abs=FEN)


def test_every_diagnosis_past_waiting_is_a_case_or_a_rejection_in_time(rich: Path) -> None:
    for plan in PLANS:
        rows = rich.rows[:, plan]
        claims = np.cumsum(rows["diagnoses"] - rows["lapses_early_diagnosis"])
        decided = np.cumsum(rows["cases"] + rows["rejections"])
        assert (decided <= claims).all()
        assert (decided[2:] >= claims[:-2]).all(), "delays are of two periods at most"
        assert (rows["lapses_claimed"] == rows["cases"]).all()
        assert (rows["disputes"] <= rows["rejections"]).all()


def test_the_paths_row_is_what_its_periods_say(rich: Path) -> None:
    rows, summary = rich.rows, rich.path_row[0]
    members = rows["members"].sum(1)
    assert summary["periods_run"] == summary["closure_period"] + 1 == len(rows)
    assert platform.CLOSURE_CAUSES[summary["closure_cause"]] == "too_small"
    assert summary["peak_members"] == members.max()
    assert summary["peak_period"] == members.argmax()
    assert summary["members_end"] == summary["uncovered_members"] == members[-1]
    assert summary["share_max"] == rows["share"].max()
    assert summary["share_total"] == pytest.approx(rows["share"][:, 0].sum(), rel=1e-13)
    assert summary["cases"] == rows["cases"].sum()
    assert summary["benefits"] == pytest.approx(rows["benefits"].sum(), rel=1e-13)
    assert summary["unfunded_benefits"] > rows["unfunded"].sum(), "claims were still to come"
    assert summary["platform_cash_end"] == rows["platform_cash"][-1, 0]


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


# Addresses


def test_a_path_is_the_same_alone_and_after_others() -> None:
    paths = [simulate(base=RICH, path=path).rows.tobytes() for path in (0, 1, 2)]
    assert simulate(base=RICH, path=2).rows.tobytes() == paths[2]
    assert len(set(paths)) == 3
    assert simulate(base=RICH, seed=np.uint64(1)).rows.tobytes() != paths[0]


def test_a_path_leaves_its_parameters_as_they_were() -> None:
    fields = arrays.parameters(scenario(base=RICH))
    parameters, untouched = from_fields(fields), from_fields(arrays.parameters(scenario(base=RICH)))
    rows, path_row = np.zeros((24, 3), PERIOD_ROW), np.zeros(1, PATH_ROW)
    cohort.simulate_path(parameters, SEED, 0, rows, path_row)
    for used, clean in zip(parameters, untouched, strict=True):
        assert used.tobytes() == clean.tobytes()


def digest() -> str:
    """Hash everything that three paths of the rich pool leave behind."""
    found = hashlib.sha256()
    for number in range(3):
        path = simulate(base=RICH, path=number)
        found.update(path.rows.tobytes() + path.path_row.tobytes())
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
