"""What a path may not depend on, bit for bit: what was simulated before, beside or later.

Random numbers are addressed by what they decide (MODEL section 9), so that a path is the same
alone, in a thread, under a longer horizon, and next to classes that hold nobody.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import assume, given, settings

from configs.scenario import Scenario
from kernels.dtypes import LAPSE_CAUSES, PERIOD_ROW
from tests.scenarios import (
    Fields,
    History,
    Rows,
    a_scenario,
    anything,
    changed,
    channel,
    path_numbers,
    people,
    scenarios,
    simulate,
    steep_table,
)

SEED = 42
LONGER = 7


def a_busy_pool(**changes: Any) -> Scenario:
    """A pool in which every step has something to draw."""
    busy = {
        "periods": 30,
        "age_edges": (30, 40, 60),
        "market_members": 200_000,
        "plans": {
            "main": {
                "wait_periods": 3,
                "waiting_members_pay": True,
                "fee_rate": 0.08,
                "grace_failures": 2,
                "advertised_share_yuan": 0.5,
            }
        },
        "motives": {
            "member": {
                "payment_failure": 0.1,
                "lapse": {"base": 0.01, "bill_shock": 0.01, "news": 0.02, "burden": 1.0},
            }
        },
        "health": {"standard": {"acceptance": 0.7}},
        "claims": {
            "incidence": steep_table([0.001 * age for age in range(106)]),
            "report_delay": (0.2, 0.5, 0.3),
            "dispute_probability": 0.5,
        },
        "channels": {
            "organic": channel(push=[{"from_period": 0, "value": 0.01}], word_of_mouth=0.2)
        },
        "news": {"persistence": 0.5, "base": 0.3, "per_dispute": 0.05, "size": 0.2},
        "initial_members": [people(3_000, tenure_periods=8), people(500, age=35)],
    }
    return changed(a_scenario(**busy), **changes)


def assert_same(here: History, there: History) -> None:
    assert here.rows.tobytes() == there.rows.tobytes()
    assert here.paths.tobytes() == there.paths.tobytes()


def assert_same_rows(here: Rows, there: Rows, *, but: tuple[str, ...] = ()) -> None:
    """Compare rows bit for bit, some columns left out."""
    for name in PERIOD_ROW.names or ():
        if name not in but:
            assert here[name].tobytes() == there[name].tobytes(), name


@given(scenarios(), path_numbers)
@anything
def test_a_path_is_the_same_alone_and_after_others(scenario: Scenario, path: int) -> None:
    alone = simulate(scenario, SEED, [path])
    later = simulate(scenario, SEED, [3, path ^ 1, path])
    assert later.rows[2].tobytes() == alone.rows[0].tobytes()
    assert later.paths[2].tobytes() == alone.paths[0].tobytes()


@given(scenarios(), path_numbers)
@anything
def test_a_longer_horizon_leaves_earlier_periods_alone(scenario: Scenario, path: int) -> None:
    longer = changed(scenario, periods=scenario.periods + LONGER)
    here, there = simulate(scenario, SEED, [path]), simulate(longer, SEED, [path])
    assert here.rows.tobytes() == there.rows[:, : scenario.periods].tobytes()


@given(scenarios(), path_numbers)
@anything
def test_classes_that_hold_nobody_change_nothing(scenario: Scenario, path: int) -> None:
    """A motive, a plan and a channel more, the last ones, that nobody comes by.

    Expectation aside: that of a plan with nobody but claimants is a mean over all motives.
    """
    first = next(iter(scenario.plans.values()))
    wider = changed(
        scenario,
        motives={"nobody": {"payment_failure": 0.3, "lapse": {"base": 0.5}}},
        plans={
            "empty": {
                **first.model_dump(),
                "wait_periods": 9,
                "grace_failures": 5,
                "reserve_yuan": 0.0,  # it would bear interest
            }
        },
        channels={
            "unused": {
                "ages": [{"from_age": 20, "to_age": 20, "male": 0.5, "female": 0.5}],
                "motives": {"nobody": 1.0},
                "health": {"health0": 1.0},
            }
        },
    )
    here = simulate(scenario, SEED, [path]).rows
    there = simulate(wider, SEED, [path]).rows[:, :, : len(scenario.plans)]
    assert_same_rows(here, there, but=("expectation",))


@given(scenarios(), path_numbers)
@anything
def test_a_health_class_that_holds_nobody_changes_nothing(scenario: Scenario, path: int) -> None:
    """Without padding, which stands behind the last class and would be placed by other draws."""
    real = changed(scenario, channels={name: {"padding": 0.0} for name in scenario.channels})
    last = list(scenario.health.values())[-1]
    wider = changed(real, health={"nobody": {**last.model_dump(), "acceptance": 0.5}})
    assert_same(simulate(real, SEED, [path]), simulate(wider, SEED, [path]))


IDLE: dict[str, Fields] = {
    "the pull of a competitor nobody hears": {
        "competitor_pull": [{"from_period": 0, "value": 3.0}]
    },
    "a regulator nobody hears": {"regulator_announcements": [2, 5]},
    "a limit of benefits out of reach": {"plans": {"main": {"benefit_limit_yuan_per_payer": 1e9}}},
    "caps out of reach": {
        "plans": {
            "main": {"caps": {"per_case_yuan": 1e9, "per_period_yuan": 1e9, "per_year_yuan": 1e9}}
        }
    },
    "pacing out of reach": {"joining": {"max_growth": 1e9, "max_joins": 1_000_000}},
    "a floor below zero": {"closure": {"floor_members": 0, "floor_from_period": 5}},
    "a share limit out of reach": {"closure": {"share_limit_yuan": 1e9}},
    "an order that never comes": {
        "closure": {"regulation_hazard": [{"from_period": 0, "value": 0.0}]}
    },
    "a severity that never happens": {
        "claims": {"severity": {"never": {"probability": 0.0, "benefit_fraction": 0.5}}}
    },
    "a delay that never happens": {"claims": {"report_delay": (0.2, 0.5, 0.3, 0.0, 0.0)}},
    "a channel that draws nobody": {
        "channels": {"silent": channel(push=[{"from_period": 0, "value": 0.0}])}
    },
    "initial members who are nobody": {
        "initial_members": [people(3_000, tenure_periods=8), people(500, age=35), people(0, age=50)]
    },
    "news of size zero from elsewhere": {"news": {"per_share_jump": 0.0, "per_market_share": 0.0}},
}


@pytest.mark.parametrize("mechanism", IDLE)
def test_a_mechanism_of_no_strength_changes_nothing(mechanism: str) -> None:
    here = simulate(a_busy_pool(), SEED, 3)
    there = simulate(a_busy_pool(**IDLE[mechanism]), SEED, 3)
    if mechanism == "a severity that never happens":
        assert_same_rows(here.rows, there.rows)
    else:
        assert_same(here, there)


def test_deaths_at_no_rate_change_no_count_of_members() -> None:
    """The causes of lapse are then drawn by cell, so their split may differ."""
    still = a_busy_pool(claims={"mortality": steep_table([0.0] * 106)})
    here, there = simulate(a_busy_pool(), SEED, 3), simulate(still, SEED, 3)
    causes = tuple(f"lapses_{cause}" for cause in LAPSE_CAUSES)
    assert_same_rows(here.rows, there.rows, but=causes)
    assert not there.rows["lapses_died"].any()


def test_a_longer_wait_leaves_the_draws_of_those_past_it_alone() -> None:
    """Their stage is counted from the end of the waiting period, however long it was."""
    old = {"initial_members": [people(5_000, tenure_periods=60)], "channels": {}}
    pools = [a_busy_pool(**old, plans={"main": {"wait_periods": wait}}) for wait in (1, 3, 50)]
    pools = [pool.model_copy(update={"channels": {}}) for pool in pools]
    first, *others = [simulate(pool, SEED, 2) for pool in pools]
    assert first.rows["cases"].sum() > 100
    for other in others:
        assert_same(first, other)


def test_a_longer_wait_of_one_plan_leaves_another_plan_alone() -> None:
    def pool(wait: int) -> Scenario:
        plan = {"max_age": 59, "benefit": [{"from_age": 0, "benefit_yuan": 500.0}]}
        other = {**plan, "wait_periods": wait, "advertised_share_yuan": 1.0}
        members = [people(2_000, tenure_periods=5), people(2_000, plan="other", tenure_periods=2)]
        news = {"base": 0.5, "per_dispute": 0.0, "per_share_jump": 0.0, "per_market_share": 0.0}
        busy = a_busy_pool(plans={"other": other}, initial_members=members, news=news)
        return busy.model_copy(update={"channels": {}})

    short, long = simulate(pool(1), SEED, 2).rows, simulate(pool(6), SEED, 2).rows
    assert (short[:, :, 1] != long[:, :, 1]).any()
    assert_same_rows(short[:, :, 0], long[:, :, 0], but=("platform_cash",))


@given(scenarios())
@settings(anything, max_examples=30)
def test_paths_and_seeds_differ(scenario: Scenario) -> None:
    rows = simulate(scenario, SEED, 3).rows
    assume(rows["diagnoses"].sum() > 100)
    assert rows[0].tobytes() != rows[1].tobytes()
    assert rows[1].tobytes() != rows[2].tobytes()
    assert rows.tobytes() != simulate(scenario, SEED + 1, 3).rows.tobytes()


def test_threads_at_once_give_the_same_bytes() -> None:
    pools = [a_busy_pool(), a_busy_pool(periods=40), a_busy_pool(joining={"max_joins": 100})]
    work = [(pool, path) for path in range(8) for pool in pools]

    def one(task: tuple[Scenario, int]) -> History:
        return simulate(task[0], SEED, [task[1]])

    alone = [one(task) for task in work]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(one, work * 3))
    for here, there in zip(alone * 3, together, strict=True):
        assert_same(here, there)
