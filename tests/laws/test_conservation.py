"""What must always hold, on any pool: people, money and claims are conserved (MODEL section 10).

Money is compared with a tolerance of 1e-9 of all money that has flowed so far: the rows are sums
of at most some 10**5 float64 terms, each rounded by 2**-53 relative.
"""

import numpy as np
import numpy.typing as npt
from hypothesis import given

from configs.scenario import Plan, Scenario
from kernels.dtypes import LAPSE_CAUSES
from kernels.platform import CLOSURE_CAUSES
from tests.scenarios import (
    Moment,
    Rows,
    a_scenario,
    anything,
    changed,
    channel,
    parameters,
    path_numbers,
    people,
    rows_of,
    scenarios,
    simulate,
    unfold,
)

Float64 = npt.NDArray[np.float64]

SEED = 20_190_901
RELATIVE = 1e-9
COUNTS = ["members", "payers", "joins", "moved_in", "lapses", "diagnoses", "cases", "rejections"]
COUNTS += ["disputes", *(f"lapses_{cause}" for cause in LAPSE_CAUSES)]
FLOWS = ["benefits", "unfunded", "fee", "custody", "billed", "outstanding", "written_off"]


def before(values: Float64) -> Float64:
    """What stood at the end of the period before, zero before the first."""
    return np.concatenate([np.zeros_like(values[:1]), values[:-1]])


def money_so_far(rows: Rows) -> Float64:
    """All money that has flowed up to each period, the scale of rounding: float64[periods]."""
    flows = sum(np.abs(rows[name]) for name in ("billed", "benefits", "custody", "carried", "cost"))
    return np.asarray(np.cumsum(np.sum(flows, axis=1))) + 1.0


def assert_alike(rows: Rows, found: Float64, expected: Float64) -> None:
    """Compare money by period, or by period and plan."""
    scale = money_so_far(rows)
    error = np.abs(found - expected)
    limit = RELATIVE * (scale if error.ndim == 1 else scale[:, None])
    assert (error <= limit).all()


def initial_members(scenario: Scenario) -> list[int]:
    first = next(iter(scenario.plans))
    return [
        sum(g.members for g in scenario.initial_members if (g.plan or first) == name)
        for name in scenario.plans
    ]


@given(scenarios(), path_numbers)
@anything
def test_members_change_by_joins_and_lapses_alone(scenario: Scenario, path: int) -> None:
    rows = rows_of(scenario, SEED, path)
    causes = sum(rows[f"lapses_{cause}"] for cause in LAPSE_CAUSES)
    np.testing.assert_array_equal(rows["lapses"], causes)
    start = np.array([initial_members(scenario)])
    at_first = np.concatenate([start, rows["members"][:-1]])
    np.testing.assert_array_equal(rows["members"], at_first + rows["joins"] - rows["lapses"])
    for name in COUNTS:
        assert (rows[name] >= 0).all()


@given(scenarios(), path_numbers)
@anything
def test_whoever_moves_arrives_in_the_same_period(scenario: Scenario, path: int) -> None:
    rows = rows_of(scenario, SEED, path)
    np.testing.assert_array_equal(rows["moved_in"].sum(1), rows["lapses_moved"].sum(1))
    heirs = {plan.successor for plan in scenario.plans.values()}
    for number, (name, plan) in enumerate(scenario.plans.items()):
        if plan.successor is None:
            assert not rows["lapses_moved"][:, number].any()
        else:
            assert not rows["lapses_aged_out"][:, number].any()
        if name not in heirs:
            assert not rows["moved_in"][:, number].any()


@given(scenarios(), path_numbers)
@anything
def test_a_claim_is_decided_once(scenario: Scenario, path: int) -> None:
    """Cases and rejections never outrun diagnoses; who is rejected cannot dispute twice."""
    rows = rows_of(scenario, SEED, path)
    claims = rows["diagnoses"] - rows["lapses_early_diagnosis"]
    assert (np.cumsum(rows["cases"] + rows["rejections"], 0) <= np.cumsum(claims, 0)).all()
    assert (rows["disputes"] <= rows["rejections"]).all()
    assert (rows["lapses_claimed"] == rows["cases"]).all()
    assert (rows["lapses_rejected"] <= rows["rejections"]).all()
    longest = len(scenario.claims.report_delay) - 1
    due = np.cumsum(claims, 0)[: max(0, len(rows) - longest)]
    assert (np.cumsum(rows["cases"] + rows["rejections"], 0)[longest:] >= due).all()


@given(scenarios(), path_numbers)
@anything
def test_every_bill_is_collected_outstanding_or_written_off(scenario: Scenario, path: int) -> None:
    rows = rows_of(scenario, SEED, path)
    for name in FLOWS:
        assert (rows[name] >= -RELATIVE * money_so_far(rows)[:, None]).all()
    change = rows["outstanding"] - before(rows["outstanding"])
    assert_alike(rows, rows["collected"] + change + rows["written_off"], rows["billed"])


@given(scenarios(), path_numbers)
@anything
def test_cost_is_billed_carried_or_borne_by_the_platform(scenario: Scenario, path: int) -> None:
    rows = rows_of(scenario, SEED, path)
    cost = rows["benefits"] + rows["fee"] + rows["custody"] + before(rows["carried"])
    assert_alike(rows, rows["cost"], cost)
    spread = np.array([p.uncollected_to == "next_period" for p in scenario.plans.values()])
    borne_later = np.where(spread, rows["written_off"], 0.0)
    borne_by_platform = rows["subsidy"] - np.where(spread, 0.0, rows["written_off"])
    assert (borne_by_platform >= -RELATIVE * money_so_far(rows)[:, None]).all()
    assert_alike(rows, rows["billed"] + borne_by_platform + rows["carried"] - borne_later, cost)
    rates = np.array([plan.fee_rate for plan in scenario.plans.values()])
    assert_alike(rows, rows["fee"], rows["benefits"] * rates)
    assert_alike(rows, rows["share"] * rows["payers"], rows["billed"])


@given(scenarios(), path_numbers)
@anything
def test_the_platform_s_cash_follows_its_ledger(scenario: Scenario, path: int) -> None:
    rows = rows_of(scenario, SEED, path)
    cash = rows["platform_cash"][:, 0]
    assert (rows["platform_cash"] == cash[:, None]).all()
    flows = (rows["collected"] - rows["benefits"] - rows["custody"]).sum(1)
    assert_alike(rows, cash - before(cash), flows)


@given(scenarios(), path_numbers)
@anything
def test_without_fee_and_platform_money_in_is_money_out(scenario: Scenario, path: int) -> None:
    """What was billed and not yet spent, or spent and not yet billed, stands in the rows."""
    mutual = {
        "fee_rate": 0.0,
        "uncollected_to": "next_period",
        "caps": {"excess_to": "next_period"},
    }
    pool = changed(scenario, plans=dict.fromkeys(scenario.plans, mutual))
    rows = rows_of(pool, SEED, path)
    paid_in, paid_out = rows["collected"], rows["benefits"] + rows["custody"]
    open_items = rows["outstanding"] + rows["carried"]
    assert_alike(rows, np.cumsum(paid_in - paid_out, 0) + open_items, np.zeros(rows.shape))


@given(scenarios(), path_numbers)
@anything
def test_what_the_platform_gains_is_fees_less_subsidies(scenario: Scenario, path: int) -> None:
    rows = rows_of(scenario, SEED, path)
    gained = np.cumsum((rows["fee"] - rows["subsidy"]).sum(1))
    still_to_come = (rows["outstanding"] + rows["carried"]).sum(1)
    assert_alike(rows, rows["platform_cash"][:, 0] + still_to_come, gained)


@given(scenarios(), path_numbers)
@anything
def test_bills_in_fen_are_whole_fen(scenario: Scenario, path: int) -> None:
    rows = rows_of(scenario, SEED, path)
    for number, plan in enumerate(scenario.plans.values()):
        fen = rows["billed"][:, number] * 100.0
        if plan.rounding == "exact":
            continue
        # a whole number of fen divided by 100 and multiplied again: two roundings
        assert (np.abs(fen - np.round(fen)) <= 4e-16 * np.maximum(fen, 1.0)).all()
        if capless(plan) and (rows["payers"][:, number] > 0).all():
            assert_little_is_carried(plan, rows[:, number])


def capless(plan: Plan) -> bool:
    caps = plan.caps
    return (caps.per_case_yuan, caps.per_period_yuan, caps.per_year_yuan) == (None, None, None)


def assert_little_is_carried(plan: Plan, rows: Rows) -> None:
    """Rounding leaves less than a fen a payer to the next period, or one fen in all."""
    spread = rows["written_off"] if plan.uncollected_to == "next_period" else 0.0
    left = rows["carried"] - spread
    slack = 1e-6 * rows["payers"]  # FEN_TOLERANCE, in yuan and more than enough
    if plan.rounding == "next_fen":
        # a surplus, of which a cost below zero is only charged when it is used up
        surplus = np.minimum(0.0, before(rows["carried"]) + rows["benefits"])
        assert (left <= slack).all()
        assert (left >= surplus - 0.01 * rows["payers"] - slack).all()
    elif (rows["cost"] >= 0.0).all():
        assert (left >= -slack).all()
        assert (left <= 0.01 + slack).all()


@given(scenarios(), path_numbers)
@anything
def test_the_path_s_own_row_sums_up_its_periods(scenario: Scenario, path: int) -> None:
    history = simulate(scenario, SEED, [path])
    summary = history.paths[0]
    run = summary["periods_run"]
    rows, after = history.rows[0, :run], history.rows[0, run:]
    assert after.tobytes() == bytes(after.nbytes)
    members = rows["members"].sum(1)
    assert summary["members_end"] == members[-1]
    assert summary["peak_members"] == members.max()
    assert members.max() == 0 or summary["peak_period"] == members.argmax()
    assert summary["share_max"] == rows["share"].max()
    assert summary["cases"] == rows["cases"].sum()
    assert summary["platform_cash_end"] == rows["platform_cash"][-1, 0]
    sums = {"share_total": rows["share"][:, 0], "benefits": rows["benefits"]}
    for name, values in sums.items():
        np.testing.assert_allclose(summary[name], values.sum(), rtol=1e-12, atol=0.0)
    assert_ended_rightly(scenario, summary, rows)


def assert_ended_rightly(scenario: Scenario, summary: np.void, rows: Rows) -> None:
    cause = CLOSURE_CAUSES[summary["closure_cause"]]
    unfunded = rows["unfunded"].sum()
    if cause == "none":
        assert (summary["periods_run"], summary["closure_period"]) == (scenario.periods, -1)
        assert summary["uncovered_members"] == 0
        np.testing.assert_allclose(summary["unfunded_benefits"], unfunded, rtol=1e-12)
        return
    assert summary["closure_period"] == summary["periods_run"] - 1
    assert summary["uncovered_members"] == summary["members_end"]
    assert summary["unfunded_benefits"] >= unfunded * (1 - 1e-12)
    if cause == "too_small":
        assert summary["members_end"] < scenario.closure.floor_members
        assert summary["closure_period"] >= scenario.closure.floor_from_period
    if cause == "share_limit":
        limit = scenario.closure.share_limit_yuan
        assert limit is not None
        late = rows["share"][-scenario.closure.share_limit_periods :]
        assert (late > limit).all(axis=0).any()


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
        gone -= int(state.pool[0]["market_left"])
        assert 0 <= gone <= joined
        assert padded or gone == joined
        assert_cells_are_sound(moment)
        assert_charges_are_fair(moment)
        full = (state.accepted * pool.fraction * pool.benefit[:, :, None]).sum((1, 2))
        np.testing.assert_allclose(rows["benefits"] + rows["unfunded"], full, rtol=RELATIVE)


def assert_cells_are_sound(moment: Moment) -> None:
    state, rows = moment
    for counts in (state.members, state.pending, state.pending_members, state.payers):
        assert (counts >= 0).all()
    for part in (state.wear, state.unbilled, state.incidence):
        assert (part >= 0.0).all()
        assert (part <= 1.0).all()
    members = state.members.sum((1, 2, 3, 4)) + state.pending_members.sum(1)
    np.testing.assert_array_equal(members, rows["members"])
    assert (state.expectation > 0.0).all() or (rows["share"] == 0.0).any()
    scale = RELATIVE * (1.0 + np.abs(state.charge).max() * members.max())
    owed = state.debt.sum((1, 2, 3, 4))
    assert (np.abs(owed - rows["outstanding"]) <= 1e3 * scale).all()
    assert (state.debt >= -scale).all()
    assert not state.debt[state.members[:, :, 1:] == 0].any()


def assert_charges_are_fair(moment: Moment) -> None:
    """No charge is negative or above its cap, and together they are the bill."""
    state, rows = moment
    assert (state.charge >= 0.0).all()
    assert (state.charge <= state.cap * (1 + RELATIVE) + RELATIVE).all()
    billed = (state.payers * state.charge).sum((1, 2))
    np.testing.assert_allclose(billed, rows["billed"], rtol=RELATIVE, atol=RELATIVE)
    np.testing.assert_array_equal(state.payers.sum((1, 2)), rows["payers"])


def test_padding_never_leaves_the_market_and_goes_at_the_first_bill() -> None:
    pool = a_scenario(
        market_members=10_000,
        plans={"main": {"wait_periods": 2, "custody_yuan_per_member_year": 12.0}},
        motives={"member": {}},
        channels={"inflated": channel(push=[{"from_period": 0, "value": 0.1}], padding=1.0)},
        initial_members=[people(100, tenure_periods=2)],
    )
    moments = [(m.rows.copy(), int(m.state.pool[0]["market_left"])) for m in unfold(pool, SEED, 0)]
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
