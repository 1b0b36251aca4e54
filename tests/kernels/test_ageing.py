"""Tenure advances every period and ages once a year; nobody is lost on the way."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import ageing, events, payment
from kernels.draws import Purpose
from tests import oracles, oracles_draws
from tests.kernels.pools import (
    BARGAIN,
    BASE,
    FEMALE,
    IMPAIRED,
    MALE,
    OLD,
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
    with_changes,
)

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True, database=None)

M0, M1 = group(STANDARD, YOUNG, MALE), group(STANDARD, OLD, MALE)
F1 = group(STANDARD, OLD, FEMALE)
PATH = 4
# Ages 28, 29, 30, 31 one by one: whoever has a birthday passes into the next band for certain.
BY_YEAR = [28, 29, 30, 31, 32]
TWO_PLANS = with_changes(
    BASE,
    {
        "age_edges": BY_YEAR,
        "plans.main.max_age": 29,
        "plans.main.successor": "heir",
        "plans.main.grace_failures": 2,
        "plans.heir": BASE["plans"]["main"] | {"max_age": 31, "wait_periods": 1},
    },
)
LAST_OF_HEIR = 1 + 3 - 1


def pass_tenure(small: Pool, period: int) -> None:
    ageing.advance_tenure(small.parameters, small.state, 0, period)


def pass_year(small: Pool, period: int = 4, plan: int = 0) -> None:
    ageing.advance_age(small.parameters, small.state, SEED, PATH, plan, period)


def by_year(health: int, age: int, sex: int) -> int:
    return (health * 4 + age - 28) * 2 + sex


def stages_of(small: Pool) -> list[int]:
    return [int(count) for count in small.state.members[0].sum((1, 2, 3))]


# Tenure


def test_the_waiting_period_is_served_to_the_period_and_the_last_stage_keeps_its_members() -> None:
    small = pool({"plans.main.grace_failures": 2})
    small.state.members[0, 0, 1, BARGAIN, F1] = 6
    small.state.debt[0, 0, 0, BARGAIN, F1] = 9.0
    for period in range(1, 7):
        pass_tenure(small, period)
        stage = min(period, STAGES - 1)
        assert stages_of(small) == [6 * (s == stage) for s in range(STAGES)]
        assert small.state.members[0, stage, 1, BARGAIN, F1] == 6
        assert small.state.debt[0, stage, 0, BARGAIN, F1] == small.state.debt.sum() == 9.0


def test_bands_of_several_periods_move_on_together_and_waiting_stages_every_period() -> None:
    small = pool({"tenure.band_periods": 3})
    small.state.members[0, :, 0, STEADY, M0] = (1, 2, 4, 8, 16)
    pass_tenure(small, 1)
    assert stages_of(small) == [0, 1, 6, 8, 16]
    pass_tenure(small, 2)
    assert stages_of(small) == [0, 0, 7, 8, 16]
    pass_tenure(small, 3)
    assert stages_of(small) == [0, 0, 0, 7, 24]


@pytest.mark.parametrize("years", [0.5, 2.0])
def test_selection_wears_off_from_the_end_of_the_waiting_period(years: float) -> None:
    small = pool({"claims.selection_years": years, "tenure.bands": 6})
    small.state.members[0, 0, 0, STEADY, M0] = 1
    for period in range(1, 12):
        pass_tenure(small, period)
        stage = min(period, WAIT + 5)
        past = max(0, period - WAIT)
        # one product a period
        wear = oracles.wear(past, years, 4)
        assert small.state.stage["wear"][0, stage] == pytest.approx(wear, rel=1e-14)


stages = st.builds(
    oracles.Stage,
    members=st.integers(0, 1000),
    wear=st.fractions(0, 1, max_denominator=64),
    unbilled=st.fractions(0, 1, max_denominator=64),
)


@EXAMPLES
@given(source=stages, target=stages, charged=st.tuples(st.floats(0, 90), st.floats(0, 90)))
def test_merged_stages_know_the_mean_over_their_members(
    source: oracles.Stage, target: oracles.Stage, charged: tuple[float, float]
) -> None:
    small = pool()
    state = small.state
    for stage, known in ((2, source), (3, target)):
        state.members[0, stage, 0, STEADY, M0] = known.members // 3
        state.members[0, stage, 0, BARGAIN, F1] = known.members - known.members // 3
        state.stage["wear"][0, stage] = float(known.wear)
        state.stage["unbilled"][0, stage] = float(known.unbilled)
        state.charged_year[0, stage] = charged[stage - 2]
    ageing.merge_stage(state, 0, 2, 3)
    assert stages_of(small) == [0, 0, 0, source.members + target.members, 0]
    if source.members == 0:
        assert state.stage["wear"][0, 3] == float(target.wear)
        assert state.charged_year[0, 3, M0] == charged[1]
        return
    both = oracles.merged([source, target])
    # three roundings of numbers up to 1, then up to 90
    assert state.stage["wear"][0, 3] == pytest.approx(float(both.wear), abs=1e-15)
    assert state.stage["unbilled"][0, 3] == pytest.approx(float(both.unbilled), abs=1e-15)
    moving, staying = source.members // 3, target.members // 3
    if moving:
        mean = moving * Fraction(charged[0]) + staying * Fraction(charged[1])
        mean /= moving + staying
        assert state.charged_year[0, 3, M0] == pytest.approx(float(mean), abs=1e-13)


def test_charges_are_averaged_group_by_group() -> None:
    small = pool()
    state = small.state
    state.members[0, 2, 0, STEADY, M0], state.members[0, 3, 0, STEADY, M0] = 1, 3
    state.members[0, 2, 0, STEADY, F1], state.members[0, 3, 0, STEADY, F1] = 5, 0
    state.charged_year[0, 2], state.charged_year[0, 3] = 8.0, 4.0
    ageing.merge_stage(state, 0, 2, 3)
    assert state.charged_year[0, 3, M0] == 5.0
    assert state.charged_year[0, 3, F1] == 8.0


@pytest.mark.parametrize("people", [0, 4])
def test_who_enters_a_stage_next_has_not_been_charged_what_the_last_there_were(people: int) -> None:
    small = pool()
    small.state.members[0, 0, 0, STEADY, M0] = people
    small.state.charged_year[0, 0] = 7.0
    pass_tenure(small, 1)
    assert not small.state.charged_year[0, 0].any()
    assert small.state.charged_year[0, 1, M0] == (7.0 if people else 0.0)


def test_a_new_year_forgets_what_was_charged() -> None:
    small = pool()
    small.state.charged_year[0] = 7.0
    ageing.begin_year(small.state)
    assert not small.state.charged_year.any()


# Age


def test_bands_of_one_year_pass_everybody_on_with_sex_health_and_debt() -> None:
    small = pool(base=TWO_PLANS)
    where = (0, WAIT, 1, BARGAIN)
    impaired = by_year(IMPAIRED, 28, FEMALE)
    small.state.members[(*where, impaired)] = 5
    small.state.debt[0, WAIT, 0, BARGAIN, impaired] = 7.0
    pass_year(small)
    older = by_year(IMPAIRED, 29, FEMALE)
    assert small.state.members[(*where, older)] == small.state.members.sum() == 5
    assert small.state.debt[0, WAIT, 0, BARGAIN, older] == small.state.debt.sum() == 7.0
    assert left(small.state) == {}


def test_nobody_ages_twice_in_a_year() -> None:
    small = pool(base=TWO_PLANS)
    for age in (28, 29):
        small.state.members[0, WAIT, 0, STEADY, by_year(STANDARD, age, MALE)] = age
    pass_year(small)
    assert small.state.members[0, WAIT, 0, STEADY, by_year(STANDARD, 29, MALE)] == 28
    assert small.state.members[0].sum() == 28


def test_who_ages_takes_along_his_own_debt_and_nobody_elses() -> None:
    small = pool({"age_edges": BY_YEAR, "plans.main.max_age": 31, "plans.main.grace_failures": 2})
    members, debt = small.state.members[0, WAIT, 1, STEADY], small.state.debt[0, WAIT, 0, STEADY]
    for age, people, owed in ((28, 2, 4.0), (29, 1, 9.0)):
        members[by_year(STANDARD, age, MALE)] = people
        debt[by_year(STANDARD, age, MALE)] = owed
    pass_year(small)
    for age, people, owed in ((28, 0, 0.0), (29, 2, 4.0), (30, 1, 9.0)):
        assert members[by_year(STANDARD, age, MALE)] == people
        assert debt[by_year(STANDARD, age, MALE)] == owed


def test_wide_bands_pass_members_on_with_the_twins_draw_of_one_in_their_years() -> None:
    small = pool()
    small.state.members[0, STAGES - 1, 0, BARGAIN, M0] = 200
    pass_year(small, period=8)
    code = int(small.parameters.groups["code"][M0])
    cell = oracles.cell_number(0, STAGES - 1, WAIT, 0, BARGAIN, code)
    where = oracles_draws.Address(int(SEED), PATH, Purpose.AGEING, 8, cell)
    older = oracles_draws.binomial(where, 200, 1 / 30)
    assert 0 < older < 20
    assert small.state.members[0, STAGES - 1, 0, BARGAIN, M1] == older
    assert small.state.members.sum() == 200


def test_who_passes_the_oldest_age_leaves_and_his_debt_is_written_off() -> None:
    small = pool({"age_edges": BY_YEAR, "plans.main.max_age": 29, "plans.main.grace_failures": 2})
    small.state.members[0, WAIT, 1, STEADY, by_year(STANDARD, 29, MALE)] = 3
    small.state.debt[0, WAIT, 0, STEADY, by_year(STANDARD, 29, MALE)] = 4.5
    small.state.plan["outstanding"][0] = 4.5
    pass_year(small)
    assert left(small.state) == {"aged_out": 3}
    assert small.state.members.sum() == 0
    assert (small.state.plan["outstanding"][0], small.state.plan["written_off"][0]) == (0.0, 4.5)
    assert small.state.debt.sum() == 0.0


def test_a_successor_takes_over_as_many_as_move_into_its_last_stage() -> None:
    small = pool(base=TWO_PLANS)
    state = small.state
    state.members[0, 0, 1, BARGAIN, by_year(IMPAIRED, 29, FEMALE)] = 3
    state.debt[0, 0, 0, BARGAIN, by_year(IMPAIRED, 29, FEMALE)] = 4.5
    state.plan["outstanding"][0] = 4.5
    pass_year(small)
    assert left(state, plan=0) == {"moved": 3}
    assert list(state.plan["moved_in"]) == [0, 3]
    moved = state.members[1, LAST_OF_HEIR, 0, BARGAIN, by_year(IMPAIRED, 30, FEMALE)]
    assert moved == state.members.sum() == 3
    assert list(state.plan["written_off"]) == [4.5, 0.0]
    assert state.plan["outstanding"][1] == 0.0


def test_the_successors_stage_knows_the_mean_wear_and_who_was_never_billed_by_it() -> None:
    small = pool(base=TWO_PLANS)
    state = small.state
    state.members[0, WAIT, 0, STEADY, by_year(STANDARD, 29, MALE)] = 2
    state.members[0, WAIT, 0, BARGAIN, by_year(STANDARD, 29, MALE)] = 4
    state.stage["wear"][0, WAIT], state.stage["unbilled"][0, WAIT] = 0.25, 0.0
    state.members[1, LAST_OF_HEIR, 0, STEADY, by_year(STANDARD, 31, MALE)] = 4
    state.stage["wear"][1, LAST_OF_HEIR], state.stage["unbilled"][1, LAST_OF_HEIR] = 0.5, 0.0
    pass_year(small)
    both = oracles.merged(
        [
            oracles.Stage(6, Fraction(1, 4), Fraction(1)),
            oracles.Stage(4, Fraction(1, 2), Fraction(0)),
        ]
    )
    assert state.stage["wear"][1, LAST_OF_HEIR] == pytest.approx(float(both.wear), rel=1e-15)
    assert state.stage["unbilled"][1, LAST_OF_HEIR] == pytest.approx(
        float(both.unbilled), rel=1e-15
    )


@pytest.mark.parametrize("order", [("main", "heir"), ("heir", "main")])
def test_who_moves_to_a_successor_has_one_birthday_that_year_in_any_order_of_plans(
    order: tuple[str, str],
) -> None:
    plans = {name: TWO_PLANS["plans"][name] for name in order}
    small = pool({"plans": plans}, base=TWO_PLANS)
    main, heir = order.index("main"), order.index("heir")
    small.state.members[main, 2, 0, STEADY, by_year(STANDARD, 29, MALE)] = 3
    small.state.members[heir, 2, 0, STEADY, by_year(STANDARD, 30, MALE)] = 5
    events.open_period(small.state)
    events.pass_time(small.parameters, small.state, SEED, PATH, 4)
    ages = small.state.members[heir].sum((0, 1, 2))
    assert ages[by_year(STANDARD, 30, MALE)] == 3
    assert ages[by_year(STANDARD, 31, MALE)] == 5
    assert small.state.members[main].sum() == 0
    assert small.state.pool["members"][0] == 8


@pytest.mark.parametrize(("period", "aged"), [(0, False), (3, False), (4, True), (8, True)])
def test_ages_advance_at_the_end_of_each_year_only(period: int, aged: bool) -> None:
    small = pool(base=TWO_PLANS)
    small.state.members[1, 2, 0, STEADY, by_year(STANDARD, 30, MALE)] = 3
    small.state.charged_year[1] = 2.0
    events.pass_time(small.parameters, small.state, SEED, PATH, period)
    ages = small.state.members[1].sum((0, 1, 2))
    assert ages[by_year(STANDARD, 31 if aged else 30, MALE)] == 3
    assert bool(small.state.charged_year[1].any()) is not aged


def test_time_does_not_pass_before_the_first_period() -> None:
    small = pool()
    small.state.members[0, 0, 0, STEADY, M0] = 3
    events.pass_time(small.parameters, small.state, SEED, PATH, 0)
    assert small.state.members[0, 0, 0, STEADY, M0] == 3


@EXAMPLES
@given(
    people=st.lists(st.integers(0, 300), min_size=24, max_size=24),
    years=st.integers(1, 4),
    seed=st.integers(0, 2**32),
)
def test_nobody_is_lost_when_ages_advance(people: list[int], years: int, seed: int) -> None:
    changes: dict[str, Any] = {"age_edges": [28, 30, 31, 32]}
    small = pool(changes, base=TWO_PLANS)
    state = small.state
    shares = np.random.default_rng(seed)
    state.members[0, 0, 0, STEADY, [0, 1]] = people[:2]
    state.members[0, WAIT, 1, BARGAIN, [0, 7]] = people[2:4]
    state.members[1, 1, 0, STEADY, :18] = people[4:22]
    state.debt[0, WAIT, 0, BARGAIN, [0, 7]] = shares.uniform(1, 9, 2)
    state.plan["outstanding"][0] = state.debt.sum()
    owed = float(state.debt.sum())
    before = int(state.members.sum())
    for year in range(1, years + 1):
        for plan in (1, 0):
            ageing.advance_age(small.parameters, state, SEED, PATH, plan, 4 * year)
    assert (state.members >= 0).all()
    gone = left(state, 0), left(state, 1)
    assert gone[0].get("moved", 0) == state.plan["moved_in"][1]
    assert before == state.members.sum() + gone[1].get("aged_out", 0) + gone[0].get("aged_out", 0)
    assert math.isclose(
        state.plan["outstanding"][0] + state.plan["written_off"][0], owed, rel_tol=1e-12
    )
    assert state.debt.sum() == pytest.approx(state.plan["outstanding"][0], rel=1e-12, abs=1e-12)


# Prepaid balances, loyalty and promises of first bills

PREPAID = {"deposit_yuan": 10.0, "low_balance_yuan": 2.0}


def test_members_of_merged_stages_have_the_mean_of_their_balances_group_by_group() -> None:
    small = pool({"plans.main.prepaid": PREPAID})
    state = small.state
    state.balance[0] = 0.0
    state.members[0, 2, 0, STEADY, M0], state.members[0, 3, 0, STEADY, M0] = 1, 3
    state.members[0, 2, 0, BARGAIN, F1], state.members[0, 3, 0, STEADY, F1] = 5, 0
    state.balance[0, 2, [M0, F1]], state.balance[0, 3, M0] = 8.0, 4.0
    ageing.merge_stage(state, 0, 2, 3)
    assert state.balance[0, 3, [M0, F1]].tolist() == [5.0, 8.0]
    assert not state.balance[0, 2].any()


def test_who_is_not_there_takes_no_balance_along() -> None:
    small = pool({"plans.main.prepaid": PREPAID})
    state = small.state
    state.balance[0, 2], state.balance[0, 3] = 10.0, 6.0
    ageing.merge_stage(state, 0, 2, 3)
    assert not state.balance[0, 2].any()
    assert (state.balance[0, 3] == 6.0).all()


def test_who_has_a_birthday_takes_his_balance_into_the_mean_of_the_older() -> None:
    small = pool({"age_edges": BY_YEAR, "plans.main.max_age": 31, "plans.main.prepaid": PREPAID})
    state = small.state
    for age, people, balance in ((28, 2, 9.0), (29, 1, 3.0), (30, 4, 6.0)):
        state.members[0, WAIT, 0, STEADY, by_year(STANDARD, age, MALE)] = people
        state.balance[0, WAIT, by_year(STANDARD, age, MALE)] = balance
    pass_year(small)
    ages = {age: state.balance[0, WAIT, by_year(STANDARD, age, MALE)] for age in (29, 30, 31)}
    assert ages == {29: 9.0, 30: 3.0, 31: 6.0}


def test_who_moves_to_a_successor_has_his_balance_back_and_pays_a_new_deposit() -> None:
    small = pool(
        {"plans.main.prepaid": PREPAID, "plans.heir.prepaid": {"deposit_yuan": 16.0}},
        base=TWO_PLANS,
    )
    state = small.state
    state.members[0, WAIT, 0, STEADY, by_year(STANDARD, 29, MALE)] = 3
    state.balance[0, WAIT, by_year(STANDARD, 29, MALE)] = 7.0
    state.plan["balances"][0] = 21.0
    state.members[1, LAST_OF_HEIR, 0, STEADY, by_year(STANDARD, 30, MALE)] = 1
    state.balance[1, LAST_OF_HEIR, by_year(STANDARD, 30, MALE)] = 8.0
    state.plan["balances"][1] = 8.0
    for plan in (1, 0):  # the older plan first: its member of 30 has turned 31
        pass_year(small, plan=plan)
    out = [row(), row()]
    for plan in (0, 1):
        payment.close_balances(small.parameters, state, out[plan], plan)
    assert (out[0]["paid_back"], out[0]["balances"]) == (21.0, 0.0)
    assert (out[1]["paid_in"], out[1]["balances"], out[1]["paid_back"]) == (48.0, 56.0, 0.0)
    assert state.balance[1, LAST_OF_HEIR, by_year(STANDARD, 30, MALE)] == 16.0
    assert state.balance[1, LAST_OF_HEIR, by_year(STANDARD, 31, MALE)] == 8.0


def test_loyalty_grows_from_the_day_of_joining() -> None:
    small = pool({"loyalty_per_year": 0.5})
    small.state.members[0, 0, 0, STEADY, M0] = 1
    for period in range(1, 9):
        pass_tenure(small, period)
        stage = min(period, STAGES - 1)
        # one product a period
        loyal = math.exp(-0.5 * period / 4)
        assert small.state.stage["loyalty"][0, stage] == pytest.approx(loyal, rel=1e-14)


def test_merged_stages_are_as_loyal_and_as_free_as_their_members_on_average() -> None:
    small = pool()
    state = small.state
    state.members[0, 2, 0, STEADY, M0], state.members[0, 3, 0, STEADY, F1] = 1, 3
    state.stage["loyalty"][0, 2], state.stage["loyalty"][0, 3] = 0.5, 0.25
    state.stage["free"][0, 2], state.stage["free"][0, 3] = 1.0, 0.0
    ageing.merge_stage(state, 0, 2, 3)
    assert state.stage["loyalty"][0, 3] == 0.3125
    assert state.stage["free"][0, 3] == 0.25


@pytest.mark.parametrize(("promises", "free"), [(True, 0.25), (False, 0.0)])
def test_the_successor_takes_over_loyalty_and_its_own_promises(promises: bool, free: float) -> None:
    small = pool({"plans.heir.first_bill_free": promises}, base=TWO_PLANS)
    state = small.state
    state.members[0, WAIT, 0, STEADY, by_year(STANDARD, 29, MALE)] = 2
    state.stage["loyalty"][0, WAIT], state.stage["free"][0, WAIT] = 0.5, 1.0
    state.members[1, LAST_OF_HEIR, 0, STEADY, by_year(STANDARD, 31, MALE)] = 6
    state.stage["loyalty"][1, LAST_OF_HEIR] = 0.25
    pass_year(small)
    assert state.stage["loyalty"][1, LAST_OF_HEIR] == 0.3125
    assert state.stage["free"][1, LAST_OF_HEIR] == free
