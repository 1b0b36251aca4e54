"""Rules whose outcome is certain: caps, limits, pacing, successors, closure."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from configs import arrays
from configs.scenario import Scenario, pools_of
from kernels.platform import CLOSURE_CAUSES
from tests.scenarios import (
    a_scenario,
    anything,
    channel,
    flat_table,
    path_numbers,
    people,
    rows_of,
    scenarios,
    simulate,
    unfold,
)

SEED = 77
# rounding up to the fen, and of the division
SLACK = 1e-9


def a_pool_with_custody(**changes: Any) -> Scenario:
    """A hundred members, past waiting, who owe one yuan a period for custody.

    Their one birthday, in period 4, takes all of them into the next age band and nobody away.
    """
    return a_scenario(
        **{
            "periods": 8,
            "periods_per_year": 4,
            "age_edges": (30, 31, 60),
            "initial_members": [people(100, age=30, tenure_periods=50)],
            **changes,
            "plans": {"main": {"custody_yuan_per_member_year": 4.0, **changes.get("plans", {})}},
        }
    )


@given(scenarios(), path_numbers)
@anything
def test_shares_and_benefits_keep_within_caps_and_limits(scenario: Scenario, path: int) -> None:
    rows = rows_of(scenario, SEED, path)
    for number, plan in enumerate(scenario.plans.values()):
        row, caps = rows[:, number], plan.caps
        if caps.per_period_yuan is not None:
            assert (row["share"] <= caps.per_period_yuan + SLACK).all()
        if caps.per_case_yuan is not None:
            assert (row["share"] <= caps.per_case_yuan * row["cases"] + SLACK).all()
        if plan.benefit_limit_yuan_per_payer is not None:
            most = plan.benefit_limit_yuan_per_payer * row["payers"] * row["cases"]
            assert (row["benefits"] <= most * (1 + SLACK)).all()
        if caps.excess_to != "benefits" and plan.benefit_limit_yuan_per_payer is None:
            # what is cut is at most the rounding of a sum; only a pool that closes may default
            assert (row["unfunded"] - row["defaulted"] <= SLACK * (1.0 + row["benefits"])).all()


@given(scenarios(), path_numbers)
@anything
def test_joins_keep_to_the_pace(scenario: Scenario, path: int) -> None:
    every = rows_of(scenario, SEED, path)
    home = np.array(arrays.pool_numbers(scenario))
    for number, pool in enumerate(pools_of(scenario)):
        rows, pace = every[:, home == number], pool.joining or scenario.joining
        joins = (rows["joins"] - rows["moved_in"]).sum(1)
        if pace.max_joins is not None:
            assert (joins <= pace.max_joins).all()
        if pace.max_growth is not None:
            members = rows["members"].sum(1)[:-1] - rows["lapses_aged_out"].sum(1)[1:]
            followers = joins[1:][members > 0]
            assert (followers <= pace.max_growth * members[members > 0]).all()


def test_a_pool_grows_no_faster_than_its_pace_and_whoever_has_to_wait_stays_in_the_market() -> None:
    eager = {"channels": {"eager": channel(push=[{"from_period": 0, "value": 1e3}])}}
    paced = {**eager, "market_members": 1_000, "initial_members": [people(100)]}
    growing = simulate(a_scenario(periods=3, joining={"max_growth": 0.25}, **paced), SEED)
    assert growing.rows["joins"][0, :, 0].tolist() == [25, 31, 39]
    steady = simulate(a_scenario(periods=3, joining={"max_joins": 400}, **paced), SEED)
    assert steady.rows["joins"][0, :, 0].tolist() == [400, 400, 100]
    empty = {**paced, "initial_members": []}
    first = simulate(a_scenario(periods=2, joining={"max_growth": 0.25}, **empty), SEED)
    assert first.rows["joins"][0, :, 0].tolist() == [1_000, 0]


@given(scenarios(), path_numbers)
@anything
def test_nobody_is_charged_more_than_the_annual_cap_in_a_year(
    scenario: Scenario, path: int
) -> None:
    for state, _ in unfold(scenario, SEED, path):
        for number, plan in enumerate(scenario.plans.values()):
            if plan.caps.per_year_yuan is not None:
                charged = state.charged_year[number]
                assert (charged <= plan.caps.per_year_yuan * (1 + SLACK)).all()


def test_an_annual_cap_is_used_up_and_renewed() -> None:
    pool = a_pool_with_custody(plans={"caps": {"per_year_yuan": 2.5}})
    rows = simulate(pool, SEED).rows[0, :, 0]
    np.testing.assert_allclose(rows["share"], [1.0, 1.0, 0.5, 0.0] * 2, rtol=1e-12)
    np.testing.assert_allclose(rows["subsidy"], [0.0, 0.0, 50.0, 100.0] * 2, rtol=1e-12)


def test_the_annual_cap_goes_with_a_member_from_stage_to_stage() -> None:
    pool = a_pool_with_custody(
        plans={"caps": {"per_year_yuan": 2.5}, "wait_periods": 3, "waiting_members_pay": True},
        initial_members=[people(100, age=30)],
    )
    rows = simulate(pool, SEED).rows[0, :, 0]
    np.testing.assert_allclose(rows["share"], [1.0, 1.0, 0.5, 0.0] * 2, rtol=1e-12)


@pytest.mark.parametrize(
    ("excess_to", "billed", "unfunded"),
    [
        ("platform", [500.0, 0.0, 0.0], 0.0),
        ("next_period", [500.0, 0.0, 0.0], 0.0),
        ("benefits", [500.0, 0.0, 0.0], 10_000 - 500.0),
    ],
)
def test_a_cap_per_case_leaves_the_rest_to_its_bearer(
    excess_to: str, billed: list[float], unfunded: float
) -> None:
    """Ten cases of 1000 yuan, ten payers, five yuan a case: 500 yuan, and then nobody is left."""
    pool = a_scenario(
        periods=3,
        plans={"main": {"caps": {"per_case_yuan": 5.0, "excess_to": excess_to}}},
        claims={"incidence": flat_table(1.0), "level": 1e4},
        initial_members=[people(10)],
    )
    rows = simulate(pool, SEED).rows[0, :, 0]
    np.testing.assert_allclose(rows["billed"], billed, rtol=1e-12)
    np.testing.assert_allclose(rows["unfunded"].sum(), unfunded, rtol=1e-12)
    rest = {"platform": (9_500.0, 0.0), "next_period": (0.0, 9_500.0), "benefits": (0.0, 0.0)}
    found = rows["subsidy"].sum(), rows["carried"][-1]
    np.testing.assert_allclose(found, rest[excess_to], rtol=1e-12, atol=1e-9)


def test_claimants_pay_unless_they_need_not() -> None:
    """A case a member, all in one period, when half of the members are not at risk."""
    for claimants_pay, payers in ((True, 20), (False, 10)):
        pool = a_scenario(
            periods=1,
            plans={"main": {"claimants_pay": claimants_pay}},
            claims={"incidence": flat_table(1.0), "level": 1e4},
            health={"standard": {}, "immune": {"incidence_factor": 0.0}},
            initial_members=[people(10), people(10, health="immune")],
        )
        row = simulate(pool, SEED).rows[0, 0, 0]
        assert (row["cases"], row["payers"]) == (10, payers)
        np.testing.assert_allclose(row["share"], 10_000.0 / payers, rtol=1e-12)


def test_charges_by_table_are_in_proportion_to_the_weights_of_age_and_sex() -> None:
    weights = (
        {"from_age": 0, "male": 2.0, "female": 1.0},
        {"from_age": 45, "male": 6.0, "female": 3.0},
    )
    pool = a_pool_with_custody(
        plans={"rule": "table", "weights": weights},
        age_edges=(30, 45, 60),
        initial_members=[
            people(10, age=age, sex=sex) for age in (40, 50) for sex in ("male", "female")
        ],
    )
    state, _ = next(iter(unfold(pool, SEED, 0)))
    np.testing.assert_allclose(state.charge[0, 0], np.array([2, 1, 6, 3]) * 40 / 120, rtol=1e-12)


def test_who_outgrows_a_plan_is_the_same_person_in_the_next() -> None:
    """Motive, sex and health go along, selection stays worn off, and the waiting period served."""
    plan = {"benefit": [{"from_age": 0, "benefit_yuan": 10.0}], "advertised_share_yuan": 1.0}
    pool = a_scenario(
        periods=5,
        periods_per_year=4,
        age_edges=(30, 31, 60),
        plans={
            "main": {"max_age": 30, "successor": "elder"},
            "elder": {**plan, "max_age": 59, "wait_periods": 9},
        },
        motives={"member": {}, "other": {}},
        health={"standard": {}, "immune": {"incidence_factor": 0.0}},
        claims={"selection_start": 0.0, "selection_years": 1.0},
        initial_members=[
            people(7, age=30, tenure_periods=20),
            people(5, age=30, sex="male", motive="other", health="immune", tenure_periods=20),
        ],
    )
    *_, (state, rows) = unfold(pool, SEED, 0)
    elders = state.members[1, 9, 0]
    bands, standard, immune = 2, 0, 1
    assert elders[0, (standard * bands + 1) * 2 + 1] == 7
    assert elders[1, (immune * bands + 1) * 2 + 0] == 5
    assert elders.sum() == 12
    # six years past waiting; a stage nobody was in has worn off for one only
    np.testing.assert_allclose(state.stage["wear"][1, 9], np.exp(-24 / 4), rtol=1e-12)
    assert rows["lapses_moved"].tolist() == [12, 0]
    assert rows["joins"].tolist() == [0, 12]


def test_who_has_moved_feels_the_first_bill_of_the_new_plan() -> None:
    """Nobody is billed in the first plan; in the next one the others have been billed before."""
    plan = {"benefit": [{"from_age": 0, "benefit_yuan": 10.0}], "advertised_share_yuan": 1.0}
    custody = {"custody_yuan_per_member_year": 4.0}
    pool = a_scenario(
        periods=6,
        periods_per_year=4,
        age_edges=(30, 31, 60),
        plans={
            "main": {"max_age": 30, "successor": "elder"},
            "elder": {**plan, **custody, "max_age": 59},
        },
        motives={"member": {"lapse": {"first_bill": 1e3}}, "other": {}},
        initial_members=[
            people(500, age=30),
            people(1, plan="elder", age=30, motive="other"),
        ],
    )
    elders = simulate(pool, SEED).rows[0, :, 1]
    # known for a stage as a whole: one in 501 is taken for billed
    assert 480 <= elders["lapses_first_bill"][4] <= 500
    assert elders["lapses_first_bill"].sum() == elders["lapses_first_bill"][4]


def test_claims_still_to_come_are_unfunded_at_closure() -> None:
    pool = a_scenario(
        plans={"main": {"benefit": ({"from_age": 0, "benefit_yuan": 70.0},)}},
        claims={"incidence": flat_table(1.0), "level": 1e4, "report_delay": (0.0, 0.5, 0.5)},
        closure={"regulation_hazard": [{"from_period": 0, "value": 1e6}]},
        initial_members=[people(30)],
    )
    summary = simulate(pool, SEED).paths[0]
    assert CLOSURE_CAUSES[summary["closure_cause"]] == "regulation"
    assert (summary["periods_run"], summary["closure_period"]) == (1, 0)
    assert summary["uncovered_members"] == 30
    np.testing.assert_allclose(summary["unfunded_benefits"], 30 * 70.0, rtol=1e-12)


@pytest.mark.parametrize(("tolerated", "end"), [(1, 1), (2, 2), (3, -1)])
def test_only_successive_periods_above_the_share_limit_close_the_pool(
    tolerated: int, end: int
) -> None:
    """Who joins in periods 1 and 4 waits twice, and the others pay his custody meanwhile."""
    pool = a_pool_with_custody(
        plans={"wait_periods": 2},
        market_members=1_000,
        channels={
            "waves": channel(
                push=[{"from_period": t, "value": 0.5 * (t in (1, 4))} for t in range(8)]
            )
        },
        closure={"share_limit_yuan": 1.3, "share_limit_periods": tolerated},
    )
    history = simulate(pool, SEED)
    above = history.rows[0, :, 0]["share"] > 1.3
    if end < 0:
        assert above.tolist() == [False, True, True, False, True, True, False, False]
    assert history.paths[0]["closure_period"] == end


def test_the_floor_is_tested_from_its_period_on() -> None:
    pool = a_pool_with_custody(closure={"floor_members": 101, "floor_from_period": 3})
    summary = simulate(pool, SEED).paths[0]
    assert CLOSURE_CAUSES[summary["closure_cause"]] == "too_small"
    assert summary["closure_period"] == 3
