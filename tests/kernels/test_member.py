"""A path of individuals: its steps keep roster and cells in agreement, its rows account for all."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from configs.scenario import Scenario
from kernels import member
from kernels.compiling import SETTINGS
from kernels.dtypes import LAPSE_CAUSES, MEMBER_ROW, POOL_CLOSED
from kernels.roster import Roster
from kernels.state import State
from tests.kernels.members import (
    A_YUAN,
    QUIET,
    SMALL,
    Path,
    assert_agree,
    assert_rows_add_up,
    individual_scenarios,
    newcomers,
    people,
    simulate,
    simulate_members,
    unfold,
)
from tests.kernels.pools import DOOMED, TWO_POOLS, scenario, with_changes
from tests.kernels.rich_pool import RICH
from tests.scenarios import path_numbers

FEW = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SMALL_MARKETS = individual_scenarios(market=150, each=25)
interpreted = pytest.mark.skipif(
    not SETTINGS.DISABLE_JIT, reason="a compiled period cannot be looked into"
)

FRAIL: dict[str, Any] = {"law": "gamma", "variance": 0.7}
# The rich pools of seven ages: everything in the model, and in individuals, at once.
RICH_IN_YEARS = with_changes(
    RICH,
    {
        "engine": "member",
        "learns_from": "own_bills",
        "claims.frailty": FRAIL,
        "market_members": 700,
        "age_edges": [36, 40, 43],
        "joining.max_joins": 40,
        "closure.floor_members": 150,
        "closure.floor_from_period": 21,
        "periods": 20,
        "pools.rival.closure.floor_members": 400,
        "plans.deposit.prepaid.deposit_yuan": 4.5,
        "pools.rival.closure.floor_from_period": 12,
        **{f"plans.{name}.max_age": 42 for name in RICH["plans"] if name != "main"},
        **{
            f"plans.{name}.benefit": [
                {"from_age": 0, "benefit_yuan": 40.0},
                {"from_age": 40, "benefit_yuan": 25.0},
            ]
            for name in RICH["plans"]
        },
        "channels.web.ages": [{"from_age": 36, "to_age": 39, "male": 0.6, "female": 0.4}],
        **{
            f"channels.{name}.ages": [{"from_age": 36, "to_age": 42, "male": 0.5, "female": 0.5}]
            for name in RICH["channels"]
            if name != "web"
        },
        "initial_members": [
            {**kind, "age": min(42, max(36, kind["age"])), "members": 60}
            for kind in RICH["initial_members"]
        ],
    },
)
YOUNG_POOLS = with_changes(
    TWO_POOLS,
    {
        "engine": "member",
        "age_edges": [28, 30, 32],
        "plans.main.max_age": 31,
        "plans.other.max_age": 31,
        "plans.main.wait_periods": 0,
        "plans.other.wait_periods": 1,
        "plans.other.custody_yuan_per_member_year": 4.0,
        "initial_members": [people(30), people(20, plan="other", age=30)],
        "periods": 6,
        **QUIET,
    },
)


@pytest.fixture(scope="module")
def rich() -> Path:
    return simulate_members(scenario(base=RICH_IN_YEARS))


# Laws


@given(SMALL_MARKETS, path_numbers)
@FEW
def test_the_roster_and_the_cells_agree_after_every_period(chosen: Scenario, path: int) -> None:
    for period, parameters, pools, full in unfold(chosen, path=path):
        assert_agree(parameters, pools, full, period)


@given(SMALL_MARKETS, path_numbers)
@FEW
def test_rows_add_up(chosen: Scenario, path: int) -> None:
    assert_rows_add_up(chosen, simulate_members(chosen, path=path))


def test_a_path_in_which_everything_happens_obeys_the_laws(rich: Path) -> None:
    chosen = scenario(base=RICH_IN_YEARS)
    for period, parameters, pools, full in unfold(chosen):
        assert_agree(parameters, pools, full, period)
    assert_rows_add_up(chosen, rich)
    causes = {cause for plan in range(6) for cause in rich.causes(plan)}
    assert causes >= {"still", "pool_closed", "moved", "aged_out", "claimed", "rejected", "arrears"}
    assert causes >= {"balance_exhausted", "died", "early_diagnosis", *LAPSE_CAUSES[:8]}


STEPS = (
    "enrol_newcomers",
    "diagnose_individually",
    "assess_individually",
    "collect_individually",
    "release_claimants",
    "lapse_individually",
    "close_balances",
)


@interpreted
@pytest.mark.parametrize("name", ["rich", "frail pools that close"])
def test_the_roster_and_the_cells_agree_after_every_step(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing = {
        "claims.frailty": FRAIL,
        "claims.report_delay": [0.3, 0.0, 0.7],
        "closure.floor_members": 45,
        "closure.floor_from_period": 2,
        "closure.wind_down_periods": 2,
        "industry.migration": {"one": {"two": 0.5}, "two": {}},
        "claims.level": 2.0,
        "initial_members.1.members": 60,
    }
    base = RICH_IN_YEARS if name == "rich" else with_changes(YOUNG_POOLS, closing)
    chosen = scenario(base=base)
    seen: list[Any] = [None, None, None]
    count = 0

    def watched(step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            nonlocal count
            result = step(*arguments)
            pools = next(one for one in arguments if isinstance(one, State))
            rosters = [one for one in arguments if isinstance(one, Roster)]
            whens = [one for one in arguments if isinstance(one, tuple) and len(one) == 3]
            if rosters:
                seen[1] = rosters[0]
            if step.__name__ == "diagnose_individually":
                seen[1] = seen[1]._replace(pending=result[1])
            if step.__name__ == "enrol_newcomers":
                seen[0], seen[2] = arguments[0], arguments[-1]
            elif whens:
                seen[2] = whens[-1][2]
            assert_agree(seen[0], pools, seen[1], int(seen[2]))
            count += 1
            return result

        return run

    for step in STEPS:
        monkeypatch.setattr(member, step, watched(getattr(member, step)))
    for _ in unfold(chosen):
        pass
    assert count > 50


# The same rows, whatever else


def test_a_path_is_the_same_when_it_is_simulated_again(rich: Path) -> None:
    again = simulate_members(scenario(base=RICH_IN_YEARS))
    np.testing.assert_array_equal(again.rows, rich.rows)
    for found, expected in zip(again.outcome, rich.outcome, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_another_path_has_other_rows() -> None:
    changes = {"initial_members": [people(200)], "motives.steady.lapse.base": 0.2, "periods": 2}
    here, there = (simulate(changes, path=path).rows for path in (0, 1))
    assert here["member"].tolist() != there["member"].tolist()


def test_rows_are_the_same_however_many_are_handed_out_at_a_time(
    rich: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member, "ROWS_AT_A_TIME", 20)
    path = simulate_members(scenario(base=RICH_IN_YEARS))
    assert len(path.batches) > 10 > len(rich.batches)
    assert all(batch.size for batch in path.batches)
    # those left in the end come span by span, so only their order may differ
    order = ["member", "plan", "joined", "left"]
    np.testing.assert_array_equal(np.sort(path.rows, order=order), np.sort(rich.rows, order=order))
    assert_rows_add_up(scenario(base=RICH_IN_YEARS), path)


@pytest.mark.parametrize("sample", [0.0, 0.3])
def test_a_sample_is_chosen_by_person_and_changes_nothing(rich: Path, sample: float) -> None:
    path = simulate_members(scenario(base=RICH_IN_YEARS), sample)
    for found, expected in zip(path.outcome, rich.outcome, strict=True):
        np.testing.assert_array_equal(found, expected)
    chosen = np.isin(rich.rows["member"], path.rows["member"])
    np.testing.assert_array_equal(path.rows, rich.rows[chosen])
    assert bool(path.batches) == (sample > 0.0)
    people_in = len(set(rich.rows["member"].tolist()))
    part = len(set(path.rows["member"].tolist())) / people_in
    assert part == pytest.approx(sample, abs=5 * np.sqrt(0.25 / people_in))


def test_a_market_of_nobody_has_no_rows() -> None:
    path = simulate({"periods": 3})
    assert path.rows.size == 0
    assert path.rows.dtype == MEMBER_ROW
    assert path.column("members") == [0, 0, 0]


# The end of a pool


def closing(**more: Any) -> dict[str, Any]:
    """Let the pool close in the third period, with its 7 members."""
    return QUIET | {
        "initial_members": [people(7)],
        "closure.floor_members": 100,
        "closure.floor_from_period": 2,
        **more,
    }


def test_members_of_a_pool_that_closes_leave_with_it() -> None:
    path = simulate(closing())
    assert path.causes() == {"pool_closed": 7}
    assert set(path.rows["left"].tolist()) == {2}
    assert set(path.rows["bills"].tolist()) == {3}
    assert set(path.rows["paid"].tolist()) == {3.0}


def test_members_leave_when_the_wind_down_is_over() -> None:
    path = simulate(closing() | {"closure.wind_down_periods": 2})
    assert set(path.rows["left"].tolist()) == {4}
    path = simulate(closing() | {"closure.wind_down_periods": 9})
    assert path.causes() == {"still": 7}


@pytest.mark.parametrize(
    ("custody", "parent", "returned"),
    [(True, False, 7.0), (False, True, 7.0), (False, False, 0.0)],
)
def test_deposits_come_back_where_somebody_holds_or_covers_them(
    custody: bool, parent: bool, returned: float
) -> None:
    changes = closing() | {
        "plans.main.prepaid": {"deposit_yuan": 10.0, "low_balance_yuan": 1.0, "top_up": 1.0},
        "platform.funding_yuan": 100.0,
        "platform.funds_in_custody": custody,
        "platform.parent": parent,
    }
    chosen = scenario(changes, SMALL)
    path = simulate_members(chosen)
    assert set(path.rows["returned"].tolist()) == {returned}
    lost = path.outcome.pools[0]["lost_deposits"]
    assert lost + path.rows["returned"].sum() == pytest.approx(49.0)
    assert_rows_add_up(chosen, path)


def test_claimants_of_a_pool_that_closes_have_rows_of_their_own() -> None:
    late = {"claims.report_delay": [0.0] * 5 + [1.0]}
    path = simulate(DOOMED | A_YUAN | late | closing() | DOOMED)
    assert path.column("diagnoses") == [7, 0, 0]
    assert path.causes() == {"pool_closed": 7}
    assert set(path.rows["paid"].tolist()) == {3.0}
    assert path.outcome.pools[0]["unfunded_benefits"] == 7 * 300.0


def test_a_winding_platform_pays_for_its_members() -> None:
    path = simulate(
        closing()
        | {
            "closure.wind_down_periods": 2,
            "closure.wind_down_by": "platform",
        }
    )
    assert path.column("billed") == [7.0, 7.0, 7.0, 0.0, 0.0]
    assert set(path.rows["bills"].tolist()) == {3}


def test_who_moves_to_another_pool_has_a_row_in_both() -> None:
    base = with_changes(
        YOUNG_POOLS,
        {
            "pools.one.closure": {"floor_members": 100, "floor_from_period": 2},
            "industry.migration": {"one": {"two": 0.5}},
            "periods": 5,
        },
    )
    chosen = scenario(base=base)
    path = simulate_members(chosen)
    first, second = (path.rows[path.rows["plan"] == plan] for plan in (0, 1))
    assert path.causes(0) == {"pool_closed": 30}
    moved = second[second["joined"] == 3]
    assert 5 < moved.size < 25
    assert set(moved["member"].tolist()) <= set(first["member"].tolist())
    assert path.column("moved_in", 1) == [0, 0, 0, moved.size, 0]
    # they wait again, and keep no channel
    assert set(moved["bills"].tolist()) == {1}
    assert set(moved["channel"].tolist()) == {-1}
    assert set(first["cause"].tolist()) == {POOL_CLOSED}
    assert_rows_add_up(chosen, path)


def test_newcomers_are_known_by_the_period_and_the_channel_of_their_joining() -> None:
    chosen = scenario(QUIET | newcomers(3) | {"initial_members": [people(2)]}, SMALL)
    rows = simulate_members(chosen).rows
    initial = rows[rows["joined"] < 0]
    assert initial["joined"].tolist() == [-50, -50]
    assert initial["channel"].tolist() == [-1, -1]
    assert sorted(rows["joined"][rows["joined"] >= 0].tolist()) == sorted([*range(6)] * 3)
    assert set(rows["channel"][rows["joined"] >= 0].tolist()) == {0}
    assert rows["group"].tolist() == [0] * 20
