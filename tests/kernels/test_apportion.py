"""A period's cost is split among those who owe it: no fen is lost, no cap is passed."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import ageing, apportion, claims
from kernels.state import ACCEPTED
from tests import oracles, oracles_sharing
from tests.kernels.pools import (
    BANDS,
    BARGAIN,
    FEMALE,
    IMPAIRED,
    MALE,
    OLD,
    PADDING,
    STAGES,
    STANDARD,
    STEADY,
    WAIT,
    YOUNG,
    Pool,
    group,
    pool,
    row,
)

EXAMPLES = settings(max_examples=150, deadline=None, derandomize=True, database=None)
FEW = settings(max_examples=60, deadline=None, derandomize=True, database=None)

# A sum over G <= 12 groups takes about 3 G roundings of 2**-53 relative to the cost: below 4e-15;
# a level that takes G rounds to find, G times that.
ROUNDING = 1e-12

counts = st.integers(0, 10**6)
weights = st.one_of(st.just(0.0), st.floats(1e-6, 1e3))
caps = st.one_of(st.just(math.inf), st.floats(0.0, 1e4))
debtors = st.lists(st.tuples(counts, weights, caps), min_size=1, max_size=12)
# below a millionth of a yuan the doubles themselves run out of digits, near 1e-308
yuan = st.one_of(st.just(0.0), st.floats(1e-6, 1e8))

M0, M1 = group(STANDARD, YOUNG, MALE), group(STANDARD, OLD, MALE)
F0, F1 = group(STANDARD, YOUNG, FEMALE), group(STANDARD, OLD, FEMALE)


def split(people: list[tuple[int, float, float]], cost: float) -> tuple[list[float], float]:
    """Charge a cost; give the charges and the excess."""
    payers = np.array([count for count, _, _ in people], np.int64)
    weight = np.array([w for _, w, _ in people])
    cap = np.array([c for _, _, c in people])
    charge = np.full(len(people), -1.0)
    excess = apportion.charge_within_caps(payers, weight, cap, cost, charge)
    return [float(c) for c in charge], float(excess)


def exactly(people: list[tuple[int, float, float]], cost: float) -> tuple[list[Fraction], Fraction]:
    slow = [
        oracles.Debtors(count, Fraction(weight), None if cap == math.inf else Fraction(cap))
        for count, weight, cap in people
    ]
    return oracles.split(slow, Fraction(cost))


# Water-filling


@EXAMPLES
@given(people=debtors, cost=yuan)
def test_charges_are_those_of_the_sorted_split_in_fractions(
    people: list[tuple[int, float, float]], cost: float
) -> None:
    charges, excess = split(people, cost)
    slow_charges, slow_excess = exactly(people, cost)
    for (count, _, _), charge, slow in zip(people, charges, slow_charges, strict=True):
        assert abs(count * Fraction(charge) - count * slow) <= ROUNDING * cost
    assert abs(Fraction(excess) - slow_excess) <= ROUNDING * cost


@EXAMPLES
@given(people=debtors, cost=yuan)
def test_charges_and_excess_add_up_to_the_cost_and_no_charge_passes_its_cap(
    people: list[tuple[int, float, float]], cost: float
) -> None:
    charges, excess = split(people, cost)
    total = Fraction(excess)
    for (count, _, cap), charge in zip(people, charges, strict=True):
        assert 0.0 <= charge <= cap
        total += count * Fraction(charge)
    assert abs(total - Fraction(cost)) <= ROUNDING * cost


def test_what_a_cap_keeps_off_one_group_falls_on_the_others_by_weight() -> None:
    # 10 = 1 + level (1 + 3), level 2.25
    charges, excess = split([(1, 1.0, 1.0), (1, 1.0, math.inf), (1, 3.0, math.inf)], 10.0)
    assert charges == [1.0, 2.25, 6.75]
    assert excess == 0.0


def test_a_cap_that_binds_only_after_another_one_has_is_kept() -> None:
    # level 3 fills the first cap, then (9 - 1) / 2 = 4 fills the second, then 9 - 1 - 3.5
    charges, excess = split([(1, 1.0, 1.0), (1, 1.0, 3.5), (1, 1.0, math.inf)], 9.0)
    assert charges == [1.0, 3.5, 4.5]
    assert excess == 0.0


def test_a_cost_above_all_caps_leaves_exactly_the_difference() -> None:
    charges, excess = split([(3, 1.0, 2.0)], 7.25)
    assert charges == [2.0]
    assert excess == 1.25


def test_payers_who_weigh_nothing_are_charged_alike_where_all_do() -> None:
    charges, excess = split([(3, 0.0, math.inf), (2, 0.0, math.inf)], 10.0)
    assert charges == [2.0, 2.0]
    assert excess == 0.0


def test_who_weighs_nothing_is_charged_nothing_where_others_weigh() -> None:
    assert split([(3, 0.0, math.inf), (2, 1.0, 4.0)], 10.0) == ([0.0, 4.0], 2.0)


def test_without_payers_the_whole_cost_is_left() -> None:
    assert split([(0, 1.0, math.inf), (0, 0.0, 5.0)], 10.0)[1] == 10.0


@pytest.mark.parametrize("cost", [0.0, -3.0])
def test_no_cost_charges_nobody(cost: float) -> None:
    assert split([(3, 1.0, math.inf)], cost) == ([0.0], 0.0)


# Rounding

fen_counts = st.lists(st.tuples(st.integers(0, 40), st.floats(0.0, 50.0)), min_size=1, max_size=8)


@EXAMPLES
@given(people=fen_counts)
def test_next_fen_is_the_least_whole_fen_not_below_the_charge(
    people: list[tuple[int, float]],
) -> None:
    payers = np.array([count for count, _ in people], np.int64)
    charge = np.array([charge for _, charge in people])
    fen = [oracles.next_fen(value) for _, value in people]
    billed = apportion.round_up_to_fen(payers, charge)
    assert [round(100 * value) for value in charge] == fen
    assert list(charge) == [value / 100 for value in fen]
    assert billed == sum(n * f for n, f in zip(payers.tolist(), fen, strict=True)) / 100


def test_a_charge_that_is_a_whole_fen_but_for_its_last_digit_is_not_rounded_up() -> None:
    charge = np.array([0.07, 0.29, 1.1])  # 0.07 * 100 is 7.000000000000001
    apportion.round_up_to_fen(np.ones(3, np.int64), charge)
    assert list(charge) == [0.07, 0.29, 1.1]


def by_largest_remainder(people: list[tuple[int, float]]) -> tuple[list[float], float]:
    payers = np.array([count for count, _ in people], np.int64)
    charge = np.array([charge for _, charge in people])
    total = float(payers @ charge)
    billed = float(apportion.round_by_largest_remainder(payers, charge, total))
    return [float(value) for value in charge], billed


@EXAMPLES
@given(people=fen_counts)
def test_largest_remainders_take_the_fen_that_are_left_one_by_one(
    people: list[tuple[int, float]],
) -> None:
    charges, billed = by_largest_remainder(people)
    counts = [count for count, _ in people]
    fen = oracles.largest_remainder(counts, [charge for _, charge in people])
    assert round(100 * billed) == sum(fen)
    for count, charge, paid in zip(counts, charges, fen, strict=True):
        # a mean over a group: one division and one sum of doubles below 1e4 fen
        assert 100 * count * charge == pytest.approx(paid, rel=1e-13, abs=1e-9)


@EXAMPLES
@given(people=fen_counts)
def test_nobody_is_charged_a_fen_more_or_less_than_the_exact_charge(
    people: list[tuple[int, float]],
) -> None:
    charges, _ = by_largest_remainder(people)
    for (count, exact), charge in zip(people, charges, strict=True):
        if count:
            # up to the fen and the millionth of one that is taken for rounding
            assert abs(charge - exact) <= 0.01 * (1 + 2e-6)


def test_ten_yuan_among_three_leave_one_fen_to_one_of_them() -> None:
    charges, billed = by_largest_remainder([(1, 10 / 3), (1, 10 / 3), (1, 10 / 3)])
    assert sorted(charges) == [3.33, 3.33, 3.34]
    assert billed == 10.0


# The step of a plan


def placed(changes: dict[str, Any], people: dict[tuple[int, int], int]) -> Pool:
    """Set up a pool with so many steady members by stage and group."""
    small = pool(changes)
    for (stage, number), count in people.items():
        small.state.members[0, stage, 0, STEADY, number] = count
    claims.set_incidence(small.parameters, small.state.stage[0], 1.0, small.state.incidence[0])
    return small


def settle(small: Pool, cost: float = 0.0, cases: int = 0, platform_share: float = 0.0) -> np.void:
    """Settle a period whose cost is carried in, first bills included; give its row."""
    out = row()
    out["cases"] = cases
    small.state.plan["carried"][0] = cost
    members = int(small.state.members.sum() + small.state.pending_members.sum())
    out["custody"] = small.parameters.plans[0]["custody"] * members
    apportion.settle(small.parameters, small.state, out, 0, platform_share)
    apportion.set_gift(small.parameters, small.state, 0)
    given = apportion.free_bills(small.state, 0)
    apportion.give_first_bills(small.parameters, small.state, out, 0, given)
    return out


def accept(small: Pool, number: int, count: int = 1) -> None:
    """Let claims of a group be due and accepted in the period at hand."""
    small.state.accepted[0, number, 0] = count
    small.state.pending_members[0, number] += count


def test_cost_is_benefits_with_fee_and_custody_and_what_was_carried() -> None:
    small = placed(
        {"plans.main.fee_rate": 0.08, "plans.main.custody_yuan_per_member_year": 2.0},
        {(WAIT, M0): 90, (0, M0): 9},
    )
    accept(small, M0)
    out = settle(small, cost=5.0, cases=1)
    # 300 * 1.08 + 100 members * 2 / 4 + 5
    assert out["cost"] == pytest.approx(379.0, rel=1e-15)
    assert out["benefits"] == 300.0
    assert out["fee"] == 24.0
    assert out["custody"] == 50.0
    assert out["payers"] == 91  # past waiting, the claimant among them
    assert out["billed"] == pytest.approx(379.0, rel=1e-14)
    assert out["share"] == pytest.approx(379.0 / 91, rel=1e-14)
    assert small.state.plan["carried"][0] == pytest.approx(0.0, abs=1e-12)


def test_members_who_wait_are_charged_only_where_the_plan_says_so() -> None:
    people = {(0, M0): 3, (1, F0): 2, (WAIT, M0): 5}
    without = placed({}, people)
    assert settle(without, 10.0)["payers"] == 5
    assert without.state.charge[0, WAIT, M0] == 2.0
    assert not without.state.charge[0, :WAIT].any()
    assert not without.state.charged_year[0, :WAIT].any()
    everybody = placed({"plans.main.waiting_members_pay": True}, people)
    assert settle(everybody, 10.0)["payers"] == 10
    assert everybody.state.charge[0, 0, M0] == 1.0
    assert everybody.state.payers[0].sum() == 10


@pytest.mark.parametrize(("claimants_pay", "payers"), [(True, 6), (False, 4)])
def test_the_periods_claimants_owe_where_the_plan_says_so_and_later_ones_always(
    claimants_pay: bool, payers: int
) -> None:
    small = placed({"plans.main.claimants_pay": claimants_pay}, {(WAIT, M0): 3})
    accept(small, M0, 2)
    small.state.pending_members[0, F1] += 1  # assessed in a later period
    assert settle(small, cases=2)["payers"] == payers


def test_padding_and_members_in_arrears_are_billed_like_others() -> None:
    small = pool({"plans.main.grace_failures": 3, "channels.hollow": _hollow()})
    small.state.members[0, WAIT, 0, STEADY, M0] = 1
    small.state.members[0, WAIT, 2, BARGAIN, M0] = 1
    small.state.members[0, STAGES - 1, 0, BARGAIN, group(PADDING, OLD, FEMALE)] = 2
    assert settle(small, 8.0)["payers"] == 4
    assert small.state.charge[0, WAIT, M0] == 2.0


def _hollow() -> dict[str, Any]:
    return {
        "ages": [{"from_age": 0, "to_age": 59, "male": 0.5, "female": 0.5}],
        "motives": {"steady": 1.0},
        "health": {"standard": 1.0},
        "padding": 0.5,
    }


def test_the_rule_table_charges_by_its_weights() -> None:
    table = [{"from_age": 0, "male": 1.0, "female": 2.0}, {"from_age": 30, "male": 3.0}]
    small = placed(
        {"plans.main.rule": "table", "plans.main.weights": table},
        {(WAIT, M0): 1, (WAIT, F0): 1, (STAGES - 1, M1): 2, (WAIT, F1): 1},
    )
    assert settle(small, 20.0)["billed"] == 20.0
    charge = small.state.charge[0]
    assert (charge[WAIT, M0], charge[WAIT, F0]) == (2.0, 4.0)
    assert (charge[STAGES - 1, M1], charge[WAIT, F1]) == (6.0, 2.0)


def test_the_rule_expected_charges_in_proportion_to_the_expected_benefit() -> None:
    impaired = group(IMPAIRED, YOUNG, MALE)
    small = placed(
        {
            "plans.main.rule": "expected",
            "claims.selection_start": 0.25,
            "health.impaired.acceptance": 0.5,
            "claims.severity": {
                "severe": {"probability": 0.75, "benefit_fraction": 1.0},
                "mild": {"probability": 0.25, "benefit_fraction": 0.2},
            },
        },
        {(WAIT, M0): 4, (WAIT, F1): 3, (WAIT, impaired): 2, (STAGES - 1, M0): 1},
    )
    small.state.stage["wear"][0, STAGES - 1] = 0.5
    claims.set_incidence(small.parameters, small.state.stage[0], 1.0, small.state.incidence[0])
    settle(small, 100.0)
    mu = {
        (WAIT, M0): oracles.diagnosis_probability(0.04, 4, 0.25, 1.0) * 300,
        (WAIT, F1): oracles.diagnosis_probability(0.02, 4, 0.25, 1.0) * 100,
        (WAIT, impaired): oracles.diagnosis_probability(0.12, 4, 0.25, 1.0) * 300 * 0.5,
        (STAGES - 1, M0): oracles.diagnosis_probability(0.04, 4, 0.25, 0.5) * 300,
    }
    total = 4 * mu[WAIT, M0] + 3 * mu[WAIT, F1] + 2 * mu[WAIT, impaired] + mu[STAGES - 1, M0]
    for (stage, number), expected in mu.items():
        # a dozen roundings of 2**-53
        charge = small.state.charge[0, stage, number]
        assert charge == pytest.approx(100 * expected / total, rel=1e-14)


def test_the_rule_expected_charges_members_who_wait_nothing_while_others_are_there() -> None:
    rule = {"plans.main.rule": "expected", "plans.main.waiting_members_pay": True}
    small = placed(rule, {(0, M0): 4, (WAIT, M0): 5})
    settle(small, 10.0)
    assert small.state.charge[0, 0, M0] == 0.0
    alone = placed(rule, {(0, M0): 4})
    settle(alone, 10.0)
    assert alone.state.charge[0, 0, M0] == 2.5


# Caps and who bears what exceeds them


def capped(bearer: str, **caps: float) -> dict[str, Any]:
    return {"plans.main.caps": {**caps, "excess_to": bearer}}


def test_the_platform_bears_what_a_cap_cuts_off() -> None:
    small = placed(capped("platform", per_period_yuan=0.5), {(WAIT, M0): 10})
    out = settle(small, 8.0)
    assert (out["billed"], out["subsidy"]) == (5.0, 3.0)
    assert small.state.plan["carried"][0] == 0.0


def test_the_next_period_bears_what_a_cap_cuts_off() -> None:
    small = placed(capped("next_period", per_period_yuan=0.5), {(WAIT, M0): 10})
    out = settle(small, 8.0)
    assert (out["billed"], out["subsidy"]) == (5.0, 0.0)
    assert small.state.plan["carried"][0] == 3.0


def test_claimants_bear_what_a_cap_cuts_off_and_its_fee() -> None:
    changes = capped("benefits", per_period_yuan=10.0) | {"plans.main.fee_rate": 0.08}
    small = placed(changes, {(WAIT, M0): 10})
    accept(small, M0)
    out = settle(small, cases=1)
    # 11 payers of 10 yuan pay 110 = 1.08 * benefits
    assert out["billed"] == 110.0
    assert out["benefits"] == pytest.approx(110 / 1.08, rel=1e-14)
    assert out["unfunded"] == pytest.approx(300 - 110 / 1.08, rel=1e-14)
    assert out["cost"] == pytest.approx(110.0, rel=1e-14)
    assert out["fee"] == pytest.approx(0.08 * 110 / 1.08, rel=1e-14)
    # 324 - 214 - 110: three roundings of numbers below 512
    assert small.state.plan["carried"][0] == pytest.approx(0.0, abs=2e-13)


def test_benefits_are_not_cut_below_nothing_and_the_rest_is_carried() -> None:
    changes = capped("benefits", per_period_yuan=1.0)
    small = placed(changes, {(WAIT, M0): 9})
    accept(small, M0)
    out = settle(small, cost=100.0, cases=1)
    assert (out["benefits"], out["unfunded"], out["billed"]) == (0.0, 300.0, 10.0)
    assert small.state.plan["carried"][0] == 90.0


@pytest.mark.parametrize(("members", "binds"), [(323, True), (324, False), (400, False)])
def test_a_cap_per_case_binds_only_in_plans_too_small_for_the_benefit(
    members: int, binds: bool
) -> None:
    # 300 yuan and a fee of 8 % among members who pay 1 yuan a case at most: 324 members
    changes = capped("platform", per_case_yuan=1.0) | {"plans.main.fee_rate": 0.08}
    small = placed(changes, {(WAIT, M0): members - 2})
    accept(small, M0, 2)
    out = settle(small, cases=2)
    assert out["cost"] == 648.0
    # 2 yuan a member at most; a rounding of 648 is 1e-13
    assert out["subsidy"] == pytest.approx(2.0 if binds else 0.0, abs=1e-12)
    assert bool(small.state.charge[0, WAIT, M0] == 2.0) is (members <= 324)


def test_a_cap_per_case_allows_no_charge_without_cases() -> None:
    small = placed(capped("next_period", per_case_yuan=1.0), {(WAIT, M0): 10})
    assert settle(small, 8.0)["billed"] == 0.0
    assert small.state.plan["carried"][0] == 8.0


def test_the_lowest_of_the_caps_holds() -> None:
    caps = {"per_case_yuan": 3.0, "per_period_yuan": 2.0, "per_year_yuan": 5.0}
    small = placed(capped("platform", **caps), {(WAIT, M0): 1})
    charged = []
    for _ in range(4):
        settle(small, 100.0, cases=1)
        charged.append(float(small.state.charge[0, WAIT, M0]))
    assert charged == [2.0, 2.0, 1.0, 0.0]


def test_an_annual_cap_follows_each_join_cohort() -> None:
    """With bands of one period, each stage is the cohort of a period."""
    cap = Fraction(10)
    changes = capped("platform", per_year_yuan=10.0) | {
        "tenure.bands": 8,
        "plans.main.waiting_members_pay": True,
    }
    small = placed(changes, {})
    cohorts: list[oracles.Cohort] = []
    joins_and_costs = [(4, 8), (0, 10), (6, 20), (2, 30), (1, 50), (3, 40)]
    for period, (joining, cost) in enumerate(joins_and_costs):
        if period > 0:
            ageing.advance_tenure(small.parameters, small.state, 0, period)
        small.state.members[0, 0, 0, STEADY, M0] = joining
        cohorts.append(oracles.Cohort(joining))
        out = settle(small, float(cost))
        slow = [oracles.Debtors(c.count, Fraction(1), c.room(cap)) for c in cohorts]
        charges, excess = oracles.split(slow, Fraction(cost))
        assert out["subsidy"] == pytest.approx(float(excess), abs=1e-12)
        for joined, (cohort, charge) in enumerate(zip(cohorts, charges, strict=True)):
            cohort.paid += charge
            if cohort.count:
                fast = small.state.charge[0, period - joined, M0]
                assert fast == pytest.approx(float(charge), rel=1e-12)
    assert [cohort.paid == cap for cohort in cohorts] == [True, False, True, True, True, False]


@pytest.mark.parametrize(("rounding", "most"), [("exact", 0.105), ("next_fen", 0.10)])
def test_a_cap_between_two_fen_is_the_lower_one_where_charges_are_in_fen(
    rounding: str, most: float
) -> None:
    changes = capped("platform", per_period_yuan=0.105) | {"plans.main.rounding": rounding}
    small = placed(changes, {(WAIT, M0): 10})
    out = settle(small, 5.0)
    assert small.state.charge[0, WAIT, M0] == most
    assert out["subsidy"] == pytest.approx(5.0 - 10 * most, rel=1e-14)


def test_the_surplus_of_rounding_up_lowers_the_next_bill() -> None:
    small = placed({"plans.main.rounding": "next_fen"}, {(WAIT, M0): 300})
    first = settle(small, 10.0)
    assert first["billed"] == 12.0  # 300 times 4 fen
    surplus = float(small.state.plan["carried"][0])
    assert surplus == -2.0
    accept(small, M0)
    second = settle(small, surplus, cases=1)
    assert second["cost"] == 298.0


def test_a_surplus_above_the_cost_bills_nobody_and_stays() -> None:
    small = placed({"plans.main.rounding": "largest_remainder"}, {(WAIT, M0): 300})
    out = settle(small, -2.0)
    assert (out["billed"], out["share"], out["payers"]) == (0.0, 0.0, 300)
    assert small.state.plan["carried"][0] == -2.0


def test_without_payers_the_cost_falls_on_who_bears_the_excess() -> None:
    small = placed(capped("platform"), {(0, M0): 7})
    out = settle(small, 12.0)
    assert (out["payers"], out["billed"], out["share"], out["subsidy"]) == (0, 0.0, 0.0, 12.0)


def test_less_than_a_fen_that_nobody_can_be_charged_is_carried() -> None:
    small = placed({"plans.main.rounding": "largest_remainder"}, {(WAIT, M0): 3})
    assert settle(small, 1.006)["billed"] == 1.0
    assert small.state.plan["carried"][0] == pytest.approx(0.006, rel=1e-12)


settlements = st.fixed_dictionaries(
    {
        "rule": st.sampled_from(["equal", "table", "expected"]),
        "rounding": st.sampled_from(["exact", "next_fen", "largest_remainder"]),
        "waiting_members_pay": st.booleans(),
        "claimants_pay": st.booleans(),
        "fee_rate": st.floats(0, 0.5),
        "custody_yuan_per_member_year": st.floats(0, 10),
        "benefit_limit_yuan_per_payer": st.none() | st.floats(0.01, 10),
    }
)
some_caps = st.fixed_dictionaries(
    {
        "per_case_yuan": st.none() | st.floats(0.01, 50),
        "per_period_yuan": st.none() | st.floats(0.01, 50),
        "per_year_yuan": st.none() | st.floats(0.01, 50),
        "excess_to": st.sampled_from(["platform", "next_period", "benefits"]),
    }
)


@FEW
@given(
    plan=settlements,
    caps=some_caps,
    people=st.lists(st.integers(0, 500), min_size=STAGES * 12, max_size=STAGES * 12),
    cases=st.lists(st.integers(0, 3), min_size=12, max_size=12),
    carried=st.floats(-1e3, 1e3),
)
def test_bill_subsidy_and_carry_make_up_the_cost_in_any_plan(
    plan: dict[str, Any],
    caps: dict[str, Any],
    people: list[int],
    cases: list[int],
    carried: float,
) -> None:
    table = [{"from_age": 0, "male": 0.5}, {"from_age": 30, "male": 0.0, "female": 7.0}]
    changes = {f"plans.main.{field}": value for field, value in plan.items()}
    if plan["rule"] == "table":
        changes["plans.main.weights"] = table
    small = placed(changes | {"plans.main.caps": caps}, {})
    small.state.members[0, :, 0, STEADY, :] = np.array(people, np.int64).reshape(STAGES, 12)
    for number, count in enumerate(cases):
        accept(small, number, count)
    out = settle(small, carried, cases=sum(cases))
    billed = Fraction(float(out["billed"]))
    carry = Fraction(float(small.state.plan["carried"][0]))
    size = abs(out["cost"]) + abs(carried) + billed
    gap = abs(billed + Fraction(float(out["subsidy"])) + carry - Fraction(float(out["cost"])))
    assert gap <= ROUNDING * size
    charge, cap = small.state.charge[0], small.state.cap[0]
    assert (charge >= 0).all()
    assert (charge <= cap).all()
    owed = sum(
        (
            int(n) * Fraction(float(c))
            for n, c in zip(small.state.payers[0].flat, charge.flat, strict=True)
        ),
        Fraction(0),
    )
    assert abs(owed - billed) <= ROUNDING * size
    if plan["rounding"] != "exact":
        assert float(out["billed"]) == round(float(out["billed"]), 2)
    if plan["rounding"] == "next_fen":
        assert (charge == np.round(charge, 2)).all()


def test_axes_of_the_small_pool_are_those_the_tests_reckon_with() -> None:
    small = pool()
    assert small.state.members.shape == (1, WAIT + BANDS, 1, 2, 12)
    assert small.state.accepted.shape == (1, 12, 1)
    assert small.state.pending[:, :, ACCEPTED].shape == (1, 1, 12)
    assert list(small.parameters.groups["band"][[M0, F0, M1, F1]]) == [0, 0, 1, 1]


# Credits


@EXAMPLES
@given(
    people=debtors,
    credits=st.lists(st.tuples(counts, st.floats(0.01, 100.0)), min_size=1, max_size=4),
    cost=st.floats(-1e4, 1e8),
)
def test_the_others_pay_what_is_credited_to_some_on_top_of_the_cost(
    people: list[tuple[int, float, float]], credits: list[tuple[int, float]], cost: float
) -> None:
    credited = [(count, -yuan, math.inf) for count, yuan in credits]
    charges, excess = split(credited + people, cost)
    given_back = sum(count * Fraction(yuan) for count, yuan in credits)
    rest = Fraction(cost) + given_back
    if rest <= 0:
        assert not any(charges)
        assert excess == 0.0
        return
    own, others = charges[: len(credits)], charges[len(credits) :]
    close = ROUNDING * (abs(cost) + float(given_back))
    if given_back > 0:
        assert own == [-yuan for _, yuan in credits]
    if given_back > 0 and not any(count and weight for count, weight, _ in people):
        assert not any(others)
        assert excess == pytest.approx(max(0.0, float(rest)), abs=close)
        return
    slow, slow_excess = exactly(people, float(rest))
    for (count, _, _), charge, exact in zip(people, others, slow, strict=True):
        assert abs(count * Fraction(charge) - count * exact) <= close
    assert abs(Fraction(excess) - slow_excess) <= close


def test_two_members_pay_the_cost_and_the_credit_of_a_third() -> None:
    # 10 + 4 = 2 level, level 7
    assert split([(1, -4.0, math.inf), (2, 1.0, math.inf)], 10.0) == ([-4.0, 7.0], 0.0)
    assert split([(1, -4.0, math.inf), (2, 1.0, 5.0)], 10.0) == ([-4.0, 5.0], 4.0)
    assert split([(1, -4.0, math.inf), (2, 0.0, math.inf)], 10.0) == ([-4.0, 0.0], 14.0)


# What the platform pays


def test_the_platform_pays_its_part_of_the_cost_and_members_the_rest() -> None:
    small = placed({}, {(WAIT, M0): 10})
    out = settle(small, 100.0, platform_share=0.25)
    assert (out["cost"], out["billed"], out["subsidy"]) == (100.0, 75.0, 25.0)
    assert small.state.plan["carried"][0] == 0.0
    assert small.state.charge[0, WAIT, M0] == 7.5


def test_the_platform_has_no_part_in_a_surplus() -> None:
    small = placed({}, {(WAIT, M0): 10})
    out = settle(small, -8.0, platform_share=0.25)
    assert (out["cost"], out["billed"], out["subsidy"]) == (-8.0, 0.0, 0.0)
    assert small.state.plan["carried"][0] == -8.0


def test_custody_that_the_platform_pays_is_no_cost_of_the_members() -> None:
    custody = {"plans.main.custody_yuan_per_member_year": 4.0}
    members = placed(custody, {(WAIT, M0): 10})
    assert settle(members, 5.0)["billed"] == 15.0
    platform = placed(custody | {"platform.custody_from": "platform"}, {(WAIT, M0): 10})
    out = settle(platform, 5.0)
    assert (out["billed"], out["cost"], out["custody"]) == (5.0, 5.0, 10.0)


# First bills

FREE = {"plans.main.first_bill_free": True}


def test_the_platform_pays_first_bills_of_those_it_has_promised_them_to() -> None:
    small = placed(FREE | {"plans.main.trivial_share_yuan": 1.0}, {(WAIT, M0): 8, (3, F1): 2})
    small.state.stage["free"][0, WAIT] = 0.25
    out = settle(small, 20.0)
    # two of the eight owe two yuan each that they do not pay
    assert (out["billed"], out["subsidy"], out["free_bills"]) == (16.0, 4.0, 4.0)
    assert out["share"] == 2.0, "what members see is the whole charge"
    assert small.state.charged_year[0, WAIT, M0] == 1.5
    assert small.state.charged_year[0, 3, F1] == 2.0
    assert small.state.cells["paid"][0, [M0, F1]].tolist() == [12.0, 4.0]
    assert small.state.plan["carried"][0] == 0.0


def test_a_trivial_bill_is_paid_by_members_and_leaves_the_promise_for_later() -> None:
    small = placed(FREE | {"plans.main.trivial_share_yuan": 2.0}, {(WAIT, M0): 8, (3, F1): 2})
    small.state.stage["free"][0, WAIT] = 0.25
    out = settle(small, 20.0)
    assert (out["billed"], out["free_bills"]) == (20.0, 0.0)
    assert small.state.charged_year[0, WAIT, M0] == 2.0
    assert small.state.stage["free"][0, WAIT] == 0.25
    assert settle(small, 20.5)["free_bills"] > 0.0


# Reserves


def smoothing(persistence: float, loading: float = 0.0) -> dict[str, Any]:
    fields = {"persistence": persistence, "loading_yuan": loading}
    return {"plans.main.smoothing": fields}


def put_by(small: Pool, out: np.void) -> float:
    """Put into the reserve what the period has for it; give what is held then."""
    small.state.plan["reserve"][0] += out["to_reserve"]
    return float(small.state.plan["reserve"][0])


def test_a_smoothed_charge_follows_the_cost_slowly_and_the_reserve_takes_the_difference() -> None:
    small = placed(smoothing(0.5, 0.25) | {"plans.main.reserve_yuan": 40.0}, {(WAIT, M0): 10})
    # 1 was advertised: 1/2 + 3/2 + 1/4, then 9/8 + 2 + 1/4
    first = settle(small, 30.0)
    assert (first["share"], first["billed"], first["to_reserve"]) == (2.25, 22.5, -7.5)
    assert put_by(small, first) == 32.5
    second = settle(small, 40.0)
    assert (second["share"], second["to_reserve"]) == (3.375, -6.25)
    assert put_by(small, second) == 26.25
    # and of a period without cost the charge goes into the reserve
    third = settle(small, 0.0)
    assert (third["billed"], third["to_reserve"]) == (19.375, 19.375)
    assert small.state.plan["carried"][0] == 0.0


def test_the_charge_rises_to_what_the_cost_needs_where_the_reserve_would_be_overdrawn() -> None:
    small = placed(smoothing(0.5) | {"plans.main.reserve_yuan": 5.0}, {(WAIT, M0): 10})
    out = settle(small, 30.0)
    assert (out["billed"], out["to_reserve"]) == (25.0, -5.0)
    assert put_by(small, out) == 0.0
    # the next charge follows what was charged, not what would have been: 2.5 / 2 + 3 / 2
    assert settle(small, 30.0)["share"] == 3.0, "no reserve is left"
    assert small.state.plan["smoothed"][0] == 3.0


@FEW
@given(
    persistence=st.sampled_from([0.0, 0.5, 0.9]),
    loading=st.sampled_from([0.0, 0.125]),
    reserve=st.floats(0.0, 200.0),
    costs=st.lists(st.floats(-50.0, 500.0), min_size=1, max_size=8),
)
def test_smoothed_charges_are_those_of_the_twin_and_never_overdraw_the_reserve(
    persistence: float, loading: float, reserve: float, costs: list[float]
) -> None:
    small = placed(
        smoothing(persistence, loading) | {"plans.main.reserve_yuan": reserve}, {(WAIT, M0): 7}
    )
    slow = oracles.Reserve(Fraction(reserve), Fraction(1))
    for cost in costs:
        out = settle(small, cost)
        total = slow.settle(Fraction(cost), 7, Fraction(persistence), Fraction(loading))
        # a few roundings a period of sums up to 5000
        assert out["billed"] == pytest.approx(float(total), abs=1e-10)
        held = put_by(small, out)
        assert held == pytest.approx(float(slow.held), abs=1e-10)
        assert held >= -1e-10
        assert small.state.plan["carried"][0] == pytest.approx(0.0, abs=1e-10)


def test_a_reserve_pays_the_cost_where_there_is_nobody_to_charge() -> None:
    small = placed(smoothing(0.5) | {"plans.main.reserve_yuan": 9.0}, {(0, M0): 4})
    out = settle(small, 12.0)
    assert (out["billed"], out["to_reserve"], out["subsidy"]) == (0.0, -9.0, 3.0)
    assert small.state.plan["smoothed"][0] == 1.0
    cheap = placed(smoothing(0.5) | {"plans.main.reserve_yuan": 9.0}, {(0, M0): 4})
    assert settle(cheap, 5.0)["to_reserve"] == -5.0


@pytest.mark.parametrize("cost", [0.0, 30.0, 900.0])
def test_a_fixed_price_is_charged_whatever_the_cost_and_the_fund_takes_the_difference(
    cost: float,
) -> None:
    small = placed({"plans.main.fixed_price_yuan_per_year": 12.0}, {(WAIT, M0): 10})
    out = settle(small, cost)
    # twelve yuan a year in four periods
    assert (out["share"], out["billed"], out["to_reserve"]) == (3.0, 30.0, 30.0 - cost)
    assert (out["subsidy"], small.state.plan["carried"][0]) == (0.0, 0.0)
    assert put_by(small, out) == 30.0 - cost


def test_a_fixed_price_is_split_by_the_plans_rule() -> None:
    table = [{"from_age": 0, "male": 1.0, "female": 2.0}]
    small = placed(
        {
            "plans.main.fixed_price_yuan_per_year": 12.0,
            "plans.main.rule": "table",
            "plans.main.weights": table,
        },
        {(WAIT, M0): 1, (WAIT, F0): 1},
    )
    settle(small, 77.0)
    assert small.state.charge[0, WAIT, [M0, F0]].tolist() == [2.0, 4.0]


# Rules that know the period's losses

QUARTER = Fraction(1, 4)
YOUNG_LAW = oracles_sharing.law(QUARTER, 300, {Fraction(1): Fraction(1)})
OLD_LAW = oracles_sharing.law(QUARTER, 100, {Fraction(1): Fraction(1)})
FIVE = [YOUNG_LAW] * 3 + [OLD_LAW] * 2


def knowing(rule: str, claim: bool, **plan: Any) -> Pool:
    """Three of 30 to gain 300 yuan and two to gain 100, each ill with 1/4; one of the three is."""
    fields = {"rule": rule, "custody_yuan_per_member_year": 2.0, "fee_rate": 0.08} | plan
    changes = {f"plans.main.{name}": value for name, value in fields.items()}
    small = placed(changes, {(WAIT, M0): 3 - claim, (3, M1): 2})
    if claim:
        accept(small, M0)
    small.state.incidence[0] = 0.25
    return small


def by_minimum_variance(losses: list[int]) -> list[Fraction]:
    matrix = oracles_sharing.minimum_variance_matrix(FIVE)
    return [sum((a * x for a, x in zip(line, losses, strict=True)), Fraction(0)) for line in matrix]


BY_RULE = {
    "linear": oracles_sharing.linear(FIVE, Fraction(300)),
    "minimum_variance": by_minimum_variance([300, 0, 0, 0, 0]),
    "conditional_mean": oracles_sharing.conditional_mean(FIVE, 300),
}


@pytest.mark.parametrize("platform_share", [0.0, 0.25])
@pytest.mark.parametrize("rule", BY_RULE)
def test_fee_follows_the_benefits_that_a_rule_shares_and_heads_share_the_rest(
    rule: str, platform_share: float
) -> None:
    small = knowing(rule, claim=True)
    out = settle(small, cost=5.0, cases=1, platform_share=platform_share)
    part = 1.0 - platform_share
    # half a yuan of custody a member, and five that were carried in
    rest = part * (5 * 0.5 + 5.0) / 5
    young, old = BY_RULE[rule][0], BY_RULE[rule][-1]
    # a handful of roundings; the inversion of the conditional mean loses three digits more
    assert small.state.charge[0, WAIT, M0] == pytest.approx(part * 1.08 * young + rest, rel=1e-10)
    assert small.state.charge[0, 3, M1] == pytest.approx(part * 1.08 * old + rest, rel=1e-10)
    assert out["billed"] == pytest.approx(part * (324.0 + 7.5), rel=1e-12)
    assert out["subsidy"] == pytest.approx(platform_share * 331.5, rel=1e-12)
    assert out["credited"] == 0.0


def test_bands_reinsure_each_other_with_their_quota() -> None:
    bands = {"from_ages": [0, 30], "quota": 0.5, "rule": "equal"}
    small = knowing("pooled_bands", claim=True, pooled_bands=bands, fee_rate=0.0)
    settle(small, cases=1)
    # half of 300 stays in the band; the other half goes by the expected cost of 225 and 50
    young, old = 150 / 3 + 150 * 225 / 275 / 3, 150 * 50 / 275 / 2
    assert small.state.charge[0, WAIT, M0] == pytest.approx(young + 0.5, rel=1e-13)
    assert small.state.charge[0, 3, M1] == pytest.approx(old + 0.5, rel=1e-13)


def test_a_very_good_period_credits_those_whose_loss_was_uncertain() -> None:
    small = knowing("linear", claim=False, custody_yuan_per_member_year=0.0)
    out = settle(small)
    by_member = oracles_sharing.linear(FIVE, Fraction(0))
    assert by_member[0] < 0 < by_member[-1]
    assert small.state.charge[0, WAIT, M0] == pytest.approx(1.08 * float(by_member[0]), rel=1e-13)
    assert small.state.charge[0, 3, M1] == pytest.approx(1.08 * float(by_member[-1]), rel=1e-13)
    assert out["credited"] == pytest.approx(-3 * 1.08 * float(by_member[0]), rel=1e-13)
    assert out["billed"] == pytest.approx(0.0, abs=1e-12)


def test_members_who_wait_bear_no_risk_where_a_rule_asks_for_it() -> None:
    small = knowing("linear", claim=False, waiting_members_pay=True, fee_rate=0.0)
    small.state.members[0, 0, 0, STEADY, M0] = 5
    settle(small)
    assert small.state.charge[0, 0, M0] == pytest.approx(0.5, rel=1e-13), "custody alone"


def test_a_plan_without_payers_is_charged_to_the_bearer_under_any_rule() -> None:
    small = placed({"plans.main.rule": "linear", "plans.main.claimants_pay": False}, {})
    accept(small, M0)
    small.state.incidence[0] = 0.25
    out = settle(small, cases=1)
    assert (out["payers"], out["billed"], out["subsidy"]) == (0, 0.0, 300.0)


def test_claims_of_a_group_are_spread_over_its_stages_as_its_payers_are() -> None:
    small = placed({}, {})
    small.state.payers[0, WAIT, M0], small.state.payers[0, STAGES - 1, M0] = 3, 1
    small.state.accepted[0, M0, 0], small.state.accepted[0, F1, 0] = 2, 1
    by_cell = np.full((STAGES, 12), -1.0)
    apportion.claims_by_cell(small.parameters, small.state, 0, by_cell)
    expected = np.zeros((STAGES, 12))
    expected[WAIT, M0], expected[STAGES - 1, M0] = 450.0, 150.0
    expected[STAGES - 1, F1] = 100.0  # of whom nobody pays
    assert (by_cell == expected).all()


# Cells


def test_each_group_is_booked_what_it_pays_and_receives() -> None:
    small = placed(
        {"plans.main.fee_rate": 0.25, "plans.main.benefit_limit_yuan_per_payer": 20.0},
        {(WAIT, M0): 6, (3, F1): 2, (0, F1): 5},
    )
    accept(small, M0)
    accept(small, F1)
    for period in (1, 2):
        settle(small, cases=2)
        cells = small.state.cells[0]
        assert cells["cases"][[M0, F1]].tolist() == [period, period]
        # ten payers: 200 of the 300, and 100 in full, spread over both as they were due
        assert cells["received"][M0] == pytest.approx(period * 300 * 0.75, rel=1e-14)
        assert cells["received"][F1] == pytest.approx(period * 100 * 0.75, rel=1e-14)
        assert cells["paid"][M0] == pytest.approx(period * 375 * 0.7, rel=1e-14)
        assert cells["paid"][F1] == pytest.approx(period * 375 * 0.3, rel=1e-14)
    assert np.count_nonzero(small.state.cells["cases"]) == 2
