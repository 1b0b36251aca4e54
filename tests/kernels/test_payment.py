"""Bills are collected, owed or written off; nothing else becomes of them."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import payment
from kernels.draws import Purpose
from tests import oracles, oracles_draws
from tests.kernels.pools import (
    BARGAIN,
    CHANNEL,
    FEMALE,
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
    row,
)

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True, database=None)

# Debts are sums of a few bills, split and joined again: some tens of roundings of 2**-53.
ROUNDING = 1e-13

M0, F1 = group(STANDARD, YOUNG, MALE), group(STANDARD, OLD, FEMALE)
NOBODY_AT_HOME = group(PADDING, YOUNG, MALE)
PATH, PERIOD = 3, 5

SOMETIMES = {"motives.steady.payment_failure": 0.3, "motives.bargain.payment_failure": 0.6}
HOLLOW = {"channels.hollow": CHANNEL | {"padding": 0.5}}


def billed(small: Pool, charge: float, only_from: int = WAIT) -> float:
    """Charge every member from a stage on the same; give the bill."""
    state = small.state
    state.charge[0, only_from:] = charge
    return charge * int(state.members[0, only_from:].sum() + state.pending_members[0].sum())


def collect(small: Pool, bill: float) -> None:
    payment.collect(small.parameters, small.state, SEED, PATH, 0, PERIOD, bill)


def money(small: Pool, name: str) -> float:
    return float(small.state.plan[name][0])


def test_bills_that_do_not_fail_are_collected_at_once() -> None:
    small = pool()
    small.state.members[0, WAIT, 0, STEADY, M0] = 7
    small.state.pending_members[0, F1] = 2
    collect(small, billed(small, 1.5))
    assert money(small, "collected") == 13.5
    assert money(small, "outstanding") == money(small, "written_off") == 0.0
    assert left(small.state) == {}


def test_members_are_removed_only_after_so_many_failures_as_grace_allows() -> None:
    small = pool({"plans.main.grace_failures": 3, "motives.steady.payment_failure": 1.0})
    small.state.members[0, WAIT, 0, STEADY, M0] = 4
    for failures in (1, 2):
        collect(small, billed(small, 2.0))
        assert list(small.state.members[0, WAIT, :, STEADY, M0].nonzero()[0]) == [failures]
        assert small.state.debt[0, WAIT, failures - 1, STEADY, M0] == 8.0 * failures
        assert money(small, "outstanding") == 8.0 * failures
    collect(small, billed(small, 2.0))
    assert small.state.members.sum() == 0
    assert small.state.debt.sum() == 0.0
    assert left(small.state) == {"arrears": 4}
    assert (money(small, "outstanding"), money(small, "written_off")) == (0.0, 24.0)
    assert money(small, "collected") == 0.0


def test_who_pays_again_pays_what_he_owed_and_starts_afresh() -> None:
    small = pool({"plans.main.grace_failures": 3} | SOMETIMES)
    state, failure = small.state, small.parameters.failure
    state.members[0, WAIT, 0, STEADY, M0] = 4
    failure[STEADY] = 1.0
    collect(small, billed(small, 2.0))
    failure[STEADY] = 1e-300
    collect(small, billed(small, 2.0))
    assert state.members[0, WAIT, 0, STEADY, M0] == 4
    assert money(small, "collected") == 16.0
    assert money(small, "outstanding") == 0.0


def test_padding_goes_at_its_first_bill_whatever_grace_members_have() -> None:
    small = pool({"plans.main.grace_failures": 3} | HOLLOW)
    small.state.members[0, WAIT, 0, STEADY, NOBODY_AT_HOME] = 5
    small.state.members[0, WAIT, 0, STEADY, M0] = 2
    collect(small, billed(small, 1.0))
    assert left(small.state) == {"arrears": 5}
    assert (money(small, "collected"), money(small, "written_off")) == (2.0, 5.0)
    assert small.state.members.sum() == 2


def test_a_bill_of_nothing_collects_nothing_and_removes_nobody() -> None:
    small = pool({"plans.main.grace_failures": 2} | SOMETIMES | HOLLOW)
    small.state.members[0, WAIT] = 3
    small.state.debt[0, WAIT] = 2.0
    small.state.plan["outstanding"][0] = small.state.debt.sum()
    before = small.state.members.copy()
    collect(small, billed(small, 0.0))
    assert (small.state.members == before).all()
    assert money(small, "collected") == 0.0
    assert money(small, "outstanding") == small.state.debt.sum()


def test_who_is_not_billed_cannot_fail() -> None:
    small = pool({"motives.steady.payment_failure": 1.0})
    small.state.members[0, 0, 0, STEADY, M0] = 3
    small.state.members[0, WAIT, 0, STEADY, M0] = 2
    collect(small, billed(small, 1.0))
    assert left(small.state) == {"arrears": 2}
    assert small.state.members[0, 0, 0, STEADY, M0] == 3


def test_claimants_who_wait_for_their_assessment_always_pay() -> None:
    small = pool({"motives.steady.payment_failure": 1.0, "motives.bargain.payment_failure": 1.0})
    small.state.pending_members[0, M0] = 3
    collect(small, billed(small, 2.0))
    assert money(small, "collected") == 6.0


@pytest.mark.parametrize("motive", [STEADY, BARGAIN])
def test_failures_are_those_of_the_twin_of_the_draws(motive: int) -> None:
    small = pool({"plans.main.grace_failures": 2} | SOMETIMES)
    small.state.members[0, STAGES - 1, :, motive, F1] = (14, 9)
    failure = (0.3, 0.6)[motive]
    collect(small, billed(small, 1.0))
    code = int(small.parameters.groups["code"][F1])
    failed = []
    for late, members in enumerate((14, 9)):
        cell = oracles.cell_number(0, STAGES - 1, WAIT, late, motive, code)
        where = oracles_draws.Address(int(SEED), PATH, Purpose.PAYMENT, PERIOD, cell)
        failed.append(oracles_draws.binomial(where, members, failure))
    assert list(small.state.members[0, STAGES - 1, :, motive, F1]) == [23 - sum(failed), failed[0]]
    assert left(small.state) == {"arrears": failed[1]}


def by_person(
    members: list[int], debts: list[float], failed: list[int], bill: Fraction, grace: int
) -> tuple[list[int], list[Fraction], Fraction, Fraction]:
    """Collect bills from one person after the other; the debt of a class is evenly owed."""
    people = []
    collected = written_off = Fraction(0)
    for late, count in enumerate(members):
        for number in range(count):
            owed = Fraction(debts[late]) / count
            person = oracles.Debtor([owed / late] * late if late else [])
            collected += person.receive(bill, number < failed[late], grace)
            people.append(person)
    after = [0] * grace
    debt = [Fraction(0)] * grace
    for person in people:
        if person.removed:
            written_off += sum(person.unpaid, Fraction(0))
        else:
            after[len(person.unpaid)] += 1
            debt[len(person.unpaid)] += sum(person.unpaid, Fraction(0))
    return after, debt, collected, written_off


@EXAMPLES
@given(
    grace=st.integers(1, 3),
    members=st.lists(st.integers(0, 12), min_size=3, max_size=3),
    debts=st.lists(st.floats(0.01, 50), min_size=3, max_size=3),
    charge=st.floats(0.01, 20),
)
def test_arrears_and_debts_are_those_of_people_followed_one_by_one(
    grace: int, members: list[int], debts: list[float], charge: float
) -> None:
    small = pool({"plans.main.grace_failures": grace} | SOMETIMES)
    state = small.state
    code = int(small.parameters.groups["code"][M0])
    failed = []
    for late in range(grace):
        state.members[0, WAIT, late, STEADY, M0] = members[late]
        if late:
            state.debt[0, WAIT, late - 1, STEADY, M0] = debts[late] if members[late] else 0.0
        cell = oracles.cell_number(0, WAIT, WAIT, late, STEADY, code)
        where = oracles_draws.Address(int(SEED), PATH, Purpose.PAYMENT, PERIOD, cell)
        failed.append(oracles_draws.binomial(where, members[late], 0.3))
    state.plan["outstanding"][0] = state.debt.sum()
    collect(small, billed(small, charge))
    after, debt, collected, written_off = by_person(
        members[:grace], debts, failed, Fraction(charge), grace
    )
    assert list(state.members[0, WAIT, :, STEADY, M0]) == after
    size = charge * 40 + 150
    for late in range(1, grace):
        owed = state.debt[0, WAIT, late - 1, STEADY, M0]
        assert owed == pytest.approx(float(debt[late]), abs=ROUNDING * size)
    assert money(small, "collected") == pytest.approx(float(collected), abs=ROUNDING * size)
    assert money(small, "written_off") == pytest.approx(float(written_off), abs=ROUNDING * size)
    assert left(state).get("arrears", 0) == sum(members[:grace]) - sum(after)


@EXAMPLES
@given(
    grace=st.integers(1, 3),
    padded=st.booleans(),
    charges=st.lists(st.floats(0, 20), min_size=STAGES, max_size=STAGES),
    seed=st.integers(0, 2**32),
)
def test_billed_and_outstanding_before_are_collected_outstanding_after_and_written_off(
    grace: int, padded: bool, charges: list[float], seed: int
) -> None:
    changes: dict[str, Any] = {"plans.main.grace_failures": grace} | SOMETIMES
    small = pool(changes | (HOLLOW if padded else {}))
    state = small.state
    shares = np.random.default_rng(seed)
    state.members[0] = shares.integers(0, 30, state.members[0].shape)
    state.debt[0] = shares.uniform(0, 9, state.debt[0].shape) * (state.members[0, :, 1:] > 0)
    state.charge[0] = np.array(charges)[:, None]
    people = state.members.sum()
    outstanding = float(state.debt.sum())
    bill = float((state.members[0].sum((1, 2)) * state.charge[0]).sum())
    state.plan["outstanding"][0] = outstanding
    collect(small, bill)
    after = money(small, "collected") + money(small, "outstanding") + money(small, "written_off")
    # some 300 cells, each with a few roundings of the running sums
    assert after == pytest.approx(bill + outstanding, rel=1e-11, abs=1e-9)
    owed = float(state.debt.sum())
    assert money(small, "outstanding") == pytest.approx(owed, rel=1e-11, abs=1e-7)
    assert state.members.sum() + state.left[0].sum() == people
    assert (state.members >= 0).all()
    assert (state.debt >= 0).all()


@pytest.mark.parametrize(
    ("bearer", "borne", "carried"), [("platform", 6.0, 1.0), ("next_period", 0.0, 7.0)]
)
def test_what_is_written_off_is_borne_by_the_platform_or_the_next_period(
    bearer: str, borne: float, carried: float
) -> None:
    small = pool({"plans.main.uncollected_to": bearer})
    small.state.plan["written_off"][0] = 6.0
    small.state.plan["carried"][0] = 1.0
    assert payment.bear_written_off(small.parameters, small.state, 0) == borne
    assert money(small, "carried") == carried


# Prepaid balances


def prepaid(top_up: float, low: float = 4.0, more: dict[str, Any] | None = None) -> Pool:
    """A plan with deposits of ten yuan; its members' balances are full."""
    fields = {"deposit_yuan": 10.0, "low_balance_yuan": low, "top_up": top_up}
    return pool({"plans.main.prepaid": fields} | (more or {}))


def hold(small: Pool, stage: int, number: int, members: int, balance: float = 10.0) -> None:
    """Put steady members with a balance each into a cell."""
    small.state.members[0, stage, 0, STEADY, number] = members
    small.state.balance[0, stage, number] = balance
    small.state.plan["balances"][0] += members * balance


def close(small: Pool) -> np.void:
    out = row()
    payment.close_balances(small.parameters, small.state, out, 0)
    return out


def test_charges_are_drawn_from_balances() -> None:
    small = prepaid(0.0)
    hold(small, WAIT, M0, 5)
    small.state.pending_members[0, F1] = 2  # claimants pay as they are billed
    collect(small, billed(small, 1.5))
    assert small.state.balance[0, WAIT, M0] == 8.5
    assert (money(small, "drawn"), money(small, "collected")) == (7.5, 10.5)
    out = close(small)
    assert (out["balances"], out["paid_in"], out["paid_back"]) == (42.5, 0.0, 0.0)
    assert left(small.state) == {}


def test_payment_by_balance_cannot_fail() -> None:
    small = prepaid(0.0, more={"motives.steady.payment_failure": 1.0})
    hold(small, WAIT, M0, 5)
    collect(small, billed(small, 1.5))
    assert (money(small, "collected"), money(small, "outstanding")) == (7.5, 0.0)


@pytest.mark.parametrize(("charge", "low"), [(6.0, False), (6.5, True), (12.0, True)])
def test_who_falls_below_the_low_balance_fills_it_up_to_the_deposit(
    charge: float, low: bool
) -> None:
    small = prepaid(1.0)
    hold(small, WAIT, M0, 5)
    collect(small, billed(small, charge))
    assert small.state.balance[0, WAIT, M0] == (10.0 if low else 4.0)
    out = close(small)
    assert out["paid_in"] == (5 * charge if low else 0.0)
    assert (out["paid_back"], money(small, "collected")) == (0.0, 5 * charge)
    assert left(small.state) == {}


def test_who_does_not_fill_it_up_leaves_and_has_the_rest_back() -> None:
    small = prepaid(0.0)
    hold(small, WAIT, M0, 5)
    hold(small, WAIT, F1, 2, balance=30.0)
    collect(small, billed(small, 7.0))
    assert left(small.state) == {"balance_exhausted": 5}
    assert small.state.members.sum() == 2
    out = close(small)
    assert (out["paid_back"], out["balances"]) == (15.0, 46.0)
    assert (money(small, "collected"), money(small, "written_off")) == (49.0, 0.0)


def test_what_the_balances_of_leavers_did_not_cover_is_written_off() -> None:
    small = prepaid(0.0)
    hold(small, WAIT, M0, 5)
    collect(small, billed(small, 12.0))
    assert left(small.state) == {"balance_exhausted": 5}
    assert (money(small, "collected"), money(small, "written_off")) == (50.0, 10.0)
    assert (money(small, "outstanding"), money(small, "drawn")) == (0.0, 50.0)
    assert close(small)["paid_back"] == 0.0


def test_who_fills_up_is_the_twins_draw_of_each_motive() -> None:
    small = prepaid(0.3)
    hold(small, STAGES - 1, F1, 40)
    small.state.members[0, STAGES - 1, 0, BARGAIN, F1] = 25
    small.state.plan["balances"][0] += 250.0
    collect(small, billed(small, 8.0))
    code = int(small.parameters.groups["code"][F1])
    staying = []
    for motive, members in ((STEADY, 40), (BARGAIN, 25)):
        cell = oracles.cell_number(0, STAGES - 1, WAIT, 0, motive, code)
        where = oracles_draws.Address(int(SEED), PATH, Purpose.TOP_UP, PERIOD, cell)
        staying.append(oracles_draws.binomial(where, members, 0.3))
    assert small.state.members[0, STAGES - 1, 0, :, F1].tolist() == staying
    assert 0 < sum(staying) < 65
    assert left(small.state) == {"balance_exhausted": 65 - sum(staying)}
    out = close(small)
    assert out["paid_in"] == 8.0 * sum(staying)
    assert out["paid_back"] == 2.0 * (65 - sum(staying))


def test_who_is_charged_nothing_keeps_even_a_low_balance() -> None:
    small = prepaid(0.0)
    hold(small, 0, M0, 5, balance=1.0)
    collect(small, billed(small, 8.0))
    assert small.state.balance[0, 0, M0] == 1.0
    assert left(small.state) == {}


def test_a_first_bill_that_the_platform_pays_is_not_drawn() -> None:
    small = prepaid(0.0)
    hold(small, WAIT, M0, 5)
    small.state.plan["gives"][0] = 1.0
    small.state.stage["free"][0, WAIT] = 0.5
    billed(small, 3.0)
    collect(small, 7.5)
    assert small.state.balance[0, WAIT, M0] == 8.5
    assert money(small, "collected") == 7.5


def test_a_free_first_bill_cannot_fail() -> None:
    small = pool({"motives.steady.payment_failure": 1.0, "plans.main.grace_failures": 2})
    small.state.members[0, WAIT, 0, STEADY, M0] = 4
    small.state.plan["gives"][0] = 1.0
    small.state.stage["free"][0, WAIT] = 0.75
    billed(small, 2.0)
    collect(small, 2.0)
    assert small.state.debt[0, WAIT, 0, STEADY, M0] == 2.0
    assert money(small, "collected") == 0.0


def test_padding_has_no_balance_and_goes_at_its_first_bill() -> None:
    small = prepaid(1.0, more=HOLLOW)
    hold(small, WAIT, M0, 5)
    small.state.members[0, WAIT, 0, STEADY, NOBODY_AT_HOME] = 3
    collect(small, billed(small, 2.0))
    assert left(small.state) == {"arrears": 3}
    assert (money(small, "collected"), money(small, "written_off")) == (10.0, 6.0)


@pytest.mark.parametrize(("interest_to", "growth"), [("members", 1.25), ("platform", 1.0)])
def test_interest_on_balances_and_reserve_goes_to_members_or_to_the_platform(
    interest_to: str, growth: float
) -> None:
    rate = {"platform.interest_rate": 1.0, "platform.interest_to": interest_to}
    small = prepaid(1.0, more=rate)
    hold(small, WAIT, M0, 4, balance=8.0)
    small.state.plan["reserve"][0] = 16.0
    out = close(small)
    # a quarter of 16 and of 32
    assert out["interest"] == 12.0
    assert small.state.balance[0, WAIT, M0] == 8.0 * growth
    assert out["balances"] == money(small, "balances") == 32.0 * growth
    assert money(small, "reserve") == 16.0 * growth
    assert out["paid_back"] == 0.0


@pytest.mark.parametrize(("reserve", "interest"), [(16.0, 4.0), (-16.0, 0.0)])
def test_a_plan_without_balances_has_interest_on_its_reserve_and_owes_none(
    reserve: float, interest: float
) -> None:
    small = pool({"platform.interest_rate": 1.0})
    small.state.plan["reserve"][0] = reserve
    out = close(small)
    assert (out["interest"], out["balances"], out["paid_in"]) == (interest, 0.0, 0.0)
    assert money(small, "reserve") == reserve + interest


@EXAMPLES
@given(
    people=st.lists(st.integers(0, 30), min_size=4, max_size=4),
    balances=st.lists(st.floats(0.0, 40.0), min_size=4, max_size=4),
    charge=st.floats(0.0, 30.0),
    top_up=st.sampled_from([0.0, 0.5, 1.0]),
    rate=st.sampled_from([0.0, 0.08]),
)
def test_balances_change_by_what_is_paid_in_and_interest_less_what_is_drawn_and_paid_back(
    people: list[int], balances: list[float], charge: float, top_up: float, rate: float
) -> None:
    small = prepaid(top_up, more={"platform.interest_rate": rate})
    for place, (members, balance) in enumerate(zip(people, balances, strict=True)):
        hold(small, WAIT + place // 2, (M0, F1)[place % 2], members, balance)
    before = money(small, "balances")
    bill = billed(small, charge)
    collect(small, bill)
    out = close(small)
    # sums of four cells below 2000 yuan
    flow = out["paid_in"] + out["interest"] - money(small, "drawn") - out["paid_back"]
    assert out["balances"] == pytest.approx(before + flow, abs=1e-9)
    assert out["paid_back"] >= -1e-9
    assert money(small, "collected") + money(small, "written_off") == pytest.approx(bill, abs=1e-9)
    assert small.state.members.sum() + small.state.left[0].sum() == sum(people)
