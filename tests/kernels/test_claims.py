"""Who falls ill, and what becomes of the claim: every diagnosis has one end."""

from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import claims, cohort
from kernels.draws import Purpose
from kernels.dtypes import PERIOD_ROW
from kernels.state import ACCEPTED, REFUSED
from tests import oracles, oracles_draws
from tests.kernels.pools import (
    CHANNEL,
    FEMALE,
    IMPAIRED,
    INELIGIBLE,
    MALE,
    OLD,
    PADDING,
    SEED,
    STAGES,
    STANDARD,
    STEADY,
    WAIT,
    YOUNG,
    Pool,
    group,
    left,
    pool,
)

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True, database=None)

M0, F1 = group(STANDARD, YOUNG, MALE), group(STANDARD, OLD, FEMALE)
SICK = group(INELIGIBLE, YOUNG, MALE)
PATH = 2
DELAYS = {"claims.report_delay": [0.25, 0.25, 0.0, 0.5]}
SEVERITIES = {
    "claims.severity": {
        "severe": {"probability": 0.6, "benefit_fraction": 1.0},
        "mild": {"probability": 0.4, "benefit_fraction": 0.25},
    }
}


def diagnose(small: Pool, period: int = 0) -> int:
    return int(claims.diagnose(small.parameters, small.state, SEED, PATH, 0, period))


def report(small: Pool, period: int = 0) -> None:
    claims.report_later(small.parameters, small.state, SEED, PATH, 0, period)


def assess(small: Pool, period: int = 0) -> tuple[int, int, int]:
    cases, rejections, disputes = claims.assess(
        small.parameters, small.state, SEED, PATH, 0, period
    )
    return int(cases), int(rejections), int(disputes)


def drawn(purpose: Purpose, period: int, cell: int, n: int, p: float) -> int:
    address = oracles_draws.Address(int(SEED), PATH, purpose, period, cell)
    return oracles_draws.binomial(address, n, p)


# Incidence


@EXAMPLES
@given(
    start=st.floats(0, 3),
    past=st.integers(0, 40),
    years=st.floats(0.1, 5),
    yearly=st.floats(1e-6, 1.0),
)
def test_incidence_is_the_formula_to_fifty_digits(
    start: float, past: int, years: float, yearly: float
) -> None:
    rates = {"name": "flat", "first_age": 0, "male": [yearly] * 60, "female": [0.0] * 60}
    small = pool(
        {
            "claims.incidence": rates,
            "claims.level": 0.5,
            "claims.selection_start": start,
            "claims.selection_years": years,
        }
    )
    small.state.stage["wear"][0] = oracles.wear(past, years, 4)
    claims.set_incidence(small.parameters, small.state.stage[0], 1.0, small.state.incidence[0])
    slow = oracles.diagnosis_probability(yearly / 2, 4, start, oracles.wear(past, years, 4))
    # sigma cancels where s0 > 1: 4 roundings of numbers up to 3, relative to sigma >= 2**-52
    sigma_floor = 1e-15 * (1 + start) * yearly
    assert small.state.incidence[0, WAIT, M0] == pytest.approx(slow, rel=1e-13, abs=sigma_floor)
    impaired = oracles.diagnosis_probability(1.5 * yearly, 4, start, oracles.wear(past, years, 4))
    assert small.state.incidence[0, WAIT, group(IMPAIRED, OLD, MALE)] == pytest.approx(
        impaired, rel=1e-13, abs=3 * sigma_floor
    )
    assert not small.state.incidence[0, :, F1].any()


def test_selection_goes_from_its_start_to_the_ultimate_incidence() -> None:
    assert claims.selection(0.25, 1.0) == 0.25
    assert claims.selection(0.25, 0.0) == 1.0
    assert claims.selection(0.25, 0.5) == 0.625
    assert claims.selection(2.0, 1.0) == 2.0


# Diagnoses


def test_a_diagnosis_in_the_waiting_period_ends_membership_without_benefit() -> None:
    small = pool({"plans.main.grace_failures": 2})
    small.state.members[0, 0, 0, STEADY, M0] = 4
    small.state.members[0, WAIT - 1, 1, STEADY, F1] = 3
    small.state.debt[0, WAIT - 1, 0, STEADY, F1] = 6.0
    small.state.plan["outstanding"][0] = 6.0
    small.state.incidence[0] = 1.0
    assert diagnose(small) == 7
    assert left(small.state) == {"early_diagnosis": 7}
    assert small.state.members.sum() == small.state.pending_members.sum() == 0
    assert small.state.diagnosed.sum() == 0
    assert small.state.plan["written_off"][0] == 6.0
    assert small.state.plan["outstanding"][0] == 0.0


def test_who_is_diagnosed_past_waiting_stands_apart_as_a_member_and_settles_his_bills() -> None:
    small = pool({"plans.main.grace_failures": 2})
    small.state.members[0, WAIT, 1, STEADY, M0] = 3
    small.state.debt[0, WAIT, 0, STEADY, M0] = 6.0
    small.state.plan["outstanding"][0] = 6.0
    small.state.incidence[0] = 1.0
    assert diagnose(small) == 3
    assert left(small.state) == {}
    assert small.state.members.sum() == 0
    assert small.state.pending_members[0, M0] == small.state.diagnosed[0, ACCEPTED, M0] == 3
    assert small.state.plan["collected"][0] == 6.0
    assert small.state.plan["outstanding"][0] == small.state.debt.sum() == 0.0
    assert diagnose(small, period=1) == 0, "claimants are no longer at risk"


@pytest.mark.parametrize(("health", "stays"), [(STANDARD, 5), (INELIGIBLE, 0)])
def test_who_will_be_refused_stands_apart_only_where_it_will_end_the_membership(
    health: int, stays: int
) -> None:
    number = group(health, YOUNG, MALE)
    small = pool({"health.standard.acceptance": 0.0})
    small.state.members[0, WAIT, 0, STEADY, number] = 5
    small.state.incidence[0] = 1.0
    assert diagnose(small) == 5
    assert small.state.diagnosed[0, REFUSED, number] == 5
    assert small.state.members.sum() == stays
    assert small.state.pending_members.sum() == 5 - stays


def test_diagnoses_and_outcomes_are_those_of_the_twin_of_the_draws() -> None:
    small = pool({"health.standard.acceptance": 0.7})
    small.state.members[0, STAGES - 1, 0, 1, F1] = 40
    small.state.incidence[0] = 0.2
    code = int(small.parameters.groups["code"][F1])
    cell = oracles.cell_number(0, STAGES - 1, WAIT, 0, 1, code)
    ill = drawn(Purpose.DIAGNOSIS, 6, cell, 40, 0.2)
    accepted = drawn(Purpose.OUTCOME, 6, cell, ill, 0.7)
    assert 0 < accepted < ill < 40
    assert diagnose(small, period=6) == ill
    assert list(small.state.diagnosed[0, :, F1]) == [accepted, ill - accepted]
    assert small.state.members.sum() == 40 - accepted


def test_each_stage_is_at_its_own_risk() -> None:
    small = pool()
    small.state.members[0, :, 0, STEADY, M0] = 8
    small.state.incidence[0] = 0.0
    small.state.incidence[0, STAGES - 1, M0] = 1.0
    assert diagnose(small) == 8
    assert list(small.state.members[0, :, 0, STEADY, M0]) == [8, 8, 8, 8, 0]


def test_yesterdays_diagnoses_are_not_reported_twice() -> None:
    small = pool()
    small.state.diagnosed[0] = 9
    assert diagnose(small) == 0
    assert small.state.diagnosed.sum() == 0


def test_nobody_of_the_padding_is_ever_diagnosed() -> None:
    small = pool({"channels.hollow": CHANNEL | {"padding": 0.5}})
    small.state.members[0, :, 0, :, group(PADDING, YOUNG, MALE) :] = 1000
    claims.set_incidence(small.parameters, small.state.stage[0], 1.0, small.state.incidence[0])
    assert small.state.incidence[0, WAIT, M0] > 0
    assert diagnose(small) == 0


# Reporting and assessment


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_every_claim_is_revealed_exactly_when_its_delay_is_over(delay: int) -> None:
    pmf = [0.0, 0.0, 0.0, 0.0]
    pmf[delay] = 1.0
    small = pool({"claims.report_delay": pmf})
    small.state.members[0, WAIT, 0, STEADY, M0] = 4
    small.state.members[0, WAIT, 0, STEADY, SICK] = 2
    small.state.incidence[0] = 1.0
    revealed = {}
    for period in range(5, 12):
        diagnose(small, period)
        report(small, period)
        cases, rejections, _ = assess(small, period)
        if cases or rejections:
            revealed[period] = (cases, rejections)
        claims.release_claimants(small.state, 0)
    assert revealed == {5 + delay: (4, 2)}
    assert left(small.state) == {"claimed": 4, "rejected": 2}
    assert small.state.pending_members.sum() == 0


@EXAMPLES
@given(people=st.lists(st.integers(0, 40), min_size=6, max_size=6), acceptance=st.floats(0, 1))
def test_every_diagnosis_becomes_one_case_or_one_refusal(
    people: list[int], acceptance: float
) -> None:
    small = pool(DELAYS | {"health.standard.acceptance": acceptance})
    state = small.state
    diagnosed = accepted = refused = 0
    for period in range(10):
        if period < len(people):
            state.members[0, WAIT, 0, STEADY, [M0, SICK, F1]] += people[period]
        state.incidence[0] = 0.5 if period < len(people) else 0.0
        total = state.members.sum() + state.pending_members.sum() + state.left.sum()
        diagnosed += diagnose(small, period)
        report(small, period)
        cases, rejections, _ = assess(small, period)
        accepted += cases
        refused += rejections
        assert state.accepted.sum() == cases
        claims.release_claimants(state, 0)
        assert state.members.sum() + state.pending_members.sum() + state.left.sum() == total
        assert state.pending.sum() == diagnosed - accepted - refused
        assert (state.pending_members >= 0).all()
    assert state.pending.sum() == state.pending_members.sum() == 0
    assert diagnosed == accepted + refused
    assert left(state).get("claimed", 0) == accepted


def test_delays_are_those_of_the_twin_of_the_draws() -> None:
    small = pool(DELAYS)
    small.state.diagnosed[0, ACCEPTED, F1] = 17
    small.state.diagnosed[0, REFUSED, F1] = 11
    report(small, period=6)
    code = int(small.parameters.groups["code"][F1])
    for outcome, count in ((ACCEPTED, 17), (REFUSED, 11)):
        where = outcome * 1024 + code
        address = oracles_draws.Address(int(SEED), PATH, Purpose.DELAY, 6, where)
        by_delay = oracles_draws.multinomial(address, count, [0.25, 0.25, 0.0, 0.5])
        slots = [int(small.state.pending[0, (6 + d) % 4, outcome, F1]) for d in range(4)]
        assert slots == by_delay
        assert by_delay[2] == 0


def test_severities_are_those_of_the_twin_of_the_draws() -> None:
    small = pool(SEVERITIES)
    small.state.pending[0, 0, ACCEPTED, F1] = 15
    small.state.pending_members[0, F1] = 15
    assert assess(small, period=4) == (15, 0, 0)
    code = int(small.parameters.groups["code"][F1])
    address = oracles_draws.Address(int(SEED), PATH, Purpose.SEVERITY, 4, code)
    by_severity = oracles_draws.multinomial(address, 15, [0.6, 0.4])
    assert list(small.state.accepted[0, F1]) == by_severity
    assert min(by_severity) > 0


def test_only_rejected_claims_are_disputed_with_their_probability() -> None:
    small = pool({"claims.dispute_probability": 0.3})
    small.state.pending[0, 0, ACCEPTED, M0] = 20
    small.state.pending[0, 0, REFUSED, F1] = 25
    disputes = drawn(Purpose.DISPUTE, 4, 0, 25, 0.3)
    assert assess(small, period=4) == (20, 25, disputes)
    assert 0 < disputes < 25
    assert left(small.state) == {}, "who may stay is not thrown out"


# Benefits


def cases_of(small: Pool, cases: dict[tuple[int, int], int]) -> list[float]:
    """Let cases be due; list the full benefit of each."""
    full = []
    for (number, severity), count in cases.items():
        small.state.accepted[0, number, severity] = count
        fraction = (1.0, 0.25)[severity]
        full += [fraction * (300.0, 100.0)[number // 2 % 2]] * count
    return full


@pytest.mark.parametrize("limit", [None, 0.5, 2.0, 100.0])
@pytest.mark.parametrize("payers", [0, 37, 150, 601])
def test_a_case_pays_its_fraction_of_the_benefit_and_no_more_than_payers_can_bear(
    limit: float | None, payers: int
) -> None:
    changes: dict[str, Any] = {"plans.main.benefit_limit_yuan_per_payer": limit}
    small = pool(SEVERITIES | changes)
    full = cases_of(small, {(M0, 0): 3, (M0, 1): 2, (F1, 0): 1, (F1, 1): 4})
    paid, due = claims.benefits_due(small.parameters, small.state.accepted[0], 0, payers)
    assert due == sum(full) == 3 * 300 + 2 * 75 + 100 + 4 * 25
    assert Fraction(float(paid)) == oracles.paid_benefits(full, limit, payers)


def test_the_expected_benefit_is_acceptance_times_mean_severity_times_benefit() -> None:
    small = pool(SEVERITIES | {"health.impaired.acceptance": 0.5})
    impaired = group(IMPAIRED, YOUNG, FEMALE)
    # 0.6 * 1 + 0.4 * 0.25 = 0.7
    assert claims.expected_benefit(small.parameters, 0, M0) == pytest.approx(210.0, rel=1e-15)
    assert claims.expected_benefit(small.parameters, 0, F1) == pytest.approx(70.0, rel=1e-15)
    assert claims.expected_benefit(small.parameters, 0, impaired) == pytest.approx(105.0, rel=1e-15)
    assert claims.expected_benefit(small.parameters, 0, SICK) == 0.0


def test_claims_of_plans_outcomes_and_groups_have_addresses_of_their_own() -> None:
    small = pool({"channels.hollow": CHANNEL | {"padding": 0.5}})
    numbers = Counter(
        int(claims.claim_address(plan, outcome, code))
        for plan in range(16)
        for outcome in range(2)
        for code in small.parameters.groups["code"].tolist()
    )
    assert len(numbers) == 16 * 2 * 16
    assert 0 <= min(numbers) <= max(numbers) < 2**15


def test_settled_claimants_leave_and_the_others_wait_on() -> None:
    small = pool(SEVERITIES)
    small.state.accepted[0, M0] = (2, 1)
    small.state.pending_members[0, M0] = 5
    claims.release_claimants(small.state, 0)
    assert left(small.state) == {"claimed": 3}
    assert small.state.pending_members[0, M0] == 2
    assert np.count_nonzero(small.state.pending_members) == 1


# Common shock and trend

SHAKEN = {"claims.common_shock": {"volatility": 0.5, "persistence": 0.75}}


def shocks(changes: dict[str, Any], path: int = PATH, periods: int = 12) -> list[float]:
    small = pool(changes)
    found = []
    for period in range(periods):
        claims.draw_shock(small.parameters, small.state, SEED, path, period)
        found.append(float(small.state.market["shock"][0]))
    return found


@pytest.mark.parametrize("persistence", [0.0, 0.75, 0.99])
def test_shocks_are_a_log_normal_walk_back_to_its_mean(persistence: float) -> None:
    normals = []
    for period in range(12):
        where = oracles_draws.Address(int(SEED), PATH, Purpose.SHOCK, period, 0)
        normals.append(oracles.standard_normal(*oracles_draws.uniforms(where)))
    found = shocks({"claims.common_shock": {"volatility": 0.5, "persistence": persistence}})
    # a dozen roundings of deviates below 9
    assert found == pytest.approx(oracles.common_shocks(normals, 0.5, persistence), rel=1e-12)
    assert len(set(found)) == 12


def test_without_volatility_there_is_no_shock() -> None:
    assert shocks({"claims.common_shock": {"persistence": 0.75}}) == [1.0] * 12


@pytest.mark.statistical
@pytest.mark.parametrize("period", [0, 1, 5])
def test_shocks_have_mean_one_and_the_same_spread_in_every_period(period: int) -> None:
    """Both within 5 standard errors, false alarm below 1e-5: the walk starts in its own law."""
    paths, volatility = 4_000, 0.5
    found = np.array([shocks(SHAKEN, path, period + 1)[period] for path in range(paths)])
    # Var Z = exp(v^2) - 1
    error = np.sqrt((np.exp(volatility**2) - 1) / paths)
    assert found.mean() == pytest.approx(1.0, abs=5 * error)
    spread = np.log(found).var()
    assert spread == pytest.approx(volatility**2, abs=5 * volatility**2 * np.sqrt(2 / paths))


def test_shock_and_trend_multiply_everybodys_incidence() -> None:
    small = pool()
    claims.set_incidence(small.parameters, small.state.stage[0], 2.5, small.state.incidence[0])
    slow = oracles.diagnosis_probability(2.5 * 0.04, 4, 1.0, 1.0)
    assert small.state.incidence[0, WAIT, M0] == pytest.approx(slow, rel=1e-14)
    slow = oracles.diagnosis_probability(2.5 * 3 * 0.02, 4, 1.0, 1.0)
    impaired = group(IMPAIRED, OLD, FEMALE)
    assert small.state.incidence[0, 0, impaired] == pytest.approx(slow, rel=1e-14)


def test_a_period_is_as_risky_as_its_shock_and_its_trend_make_it() -> None:
    small = pool(SHAKEN | {"claims.trend_per_year": 0.2})
    rows = np.zeros((12, 1), PERIOD_ROW)
    for period in range(12):
        cohort.simulate_period(small.parameters, small.state, rows, SEED, PATH, period)
        shock = float(rows["shock"][period, 0])
        slow = oracles.diagnosis_probability(0.04 * shock * 1.2 ** (period / 4), 4, 1.0, 1.0)
        assert small.state.incidence[0, WAIT, M0] == pytest.approx(slow, rel=1e-13)
    assert (np.diff(rows["shock"][:, 0]) != 0).all()
    assert rows["shock"][:, 0].tolist() == shocks(SHAKEN)


def test_exposure_and_expected_cost_count_who_is_at_risk_before_diagnoses() -> None:
    small = pool({"plans.main.grace_failures": 2, "plans.main.fee_rate": 0.25})
    small.state.members[0, WAIT - 1, 0, STEADY, M0] = 3
    small.state.members[0, WAIT, 0, STEADY, M0] = 4
    small.state.members[0, STAGES - 1, 1, 1, M0] = 5
    small.state.members[0, WAIT, 0, STEADY, F1] = 2
    small.state.incidence[0] = 1.0
    diagnose(small)
    diagnose(small, period=1)
    assert small.state.cells["exposure"][0, [M0, F1]].tolist() == [9, 2]
    assert small.state.cells["exposure"].sum() == 11
    # a diagnosis is certain: 300 yuan of the young, 100 of the old, and the fee
    assert small.state.cells["expected"][0, [M0, F1]].tolist() == [9 * 375.0, 2 * 125.0]
