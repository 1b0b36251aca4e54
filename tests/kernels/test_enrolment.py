"""Who enters gets a slot and a number; who moves keeps his number, motive and frailty."""

from typing import Any

import numpy as np
import pytest

from kernels import enrolment
from kernels.draws import Purpose, Stream, stream
from kernels.individuals import Individuals
from kernels.roster import NO_CHANNEL, PADDING_KIND
from tests import oracles_draws as oracle
from tests.kernels.members import (
    DISCRETE_LAW,
    GAMMA_LAW,
    QUIET,
    SMALL,
    assert_agree,
    assert_orderly,
    assert_rows_add_up,
    group,
    inputs,
    market,
    members_of,
    newcomers,
    people,
    simulate,
    simulate_members,
    unfold,
)
from tests.kernels.pools import FEMALE, IMPAIRED, MALE, SEED, STANDARD, scenario, with_changes
from tests.statistics.checks import assert_counts, assert_has_mean

PATH = 3
# A year of four periods; who turns 30 is too old for the plan.
UNTIL_29 = QUIET | {"plans.main.max_age": 29, "periods": 9, "age_edges": [28, 30, 32]}
HEIR: dict[str, Any] = SMALL["plans"]["main"] | {
    "max_age": 31,
    "wait_periods": 1,
    "custody_yuan_per_member_year": 8.0,
}
WITH_HEIR = UNTIL_29 | {"plans.heir": HEIR, "plans.main.successor": "heir"}


def frail(law: dict[str, Any] | None) -> Individuals:
    _, individuals = inputs(scenario({"claims.frailty": law}, SMALL))
    return individuals


def frailties_of(law: dict[str, Any] | None, count: int) -> list[float]:
    individuals = frail(law)
    return [enrolment.draw_frailty(individuals, place(), number) for number in range(count)]


def place() -> Stream:
    return stream(SEED, PATH, Purpose.FRAILTY, 0)


# Frailty


def test_a_discrete_frailty_is_found_by_inversion() -> None:
    values, edges = DISCRETE_LAW["values"], np.cumsum(DISCRETE_LAW["probabilities"])
    for number, frailty in enumerate(frailties_of(DISCRETE_LAW, 200)):
        u, _ = oracle.uniforms(oracle.Address(int(SEED), PATH, Purpose.FRAILTY, 0, number))
        assert frailty == values[int(np.searchsorted(edges, u))]


def test_rounding_leaves_nobody_without_a_frailty() -> None:
    law = {"law": "discrete", "values": [1.0, 1.0], "probabilities": [0.0, 1.0]}
    assert set(frailties_of(law, 50)) == {1.0}


@pytest.mark.statistical
@pytest.mark.parametrize("law", [DISCRETE_LAW, GAMMA_LAW])
def test_frailty_has_mean_one_and_its_variance(law: dict[str, Any]) -> None:
    """Two z-tests of five standard errors: false alarm under 1e-5 for each law."""
    sample = np.array(frailties_of(law, 20_000))
    variance = law.get("variance", 0.4 * 0.25 + 0.4 * 1.0 + 0.2 * 9.0 - 0.0)
    if law is DISCRETE_LAW:
        values, chances = np.array(law["values"]), np.array(law["probabilities"])
        variance = float(((values - 1.0) ** 2 * chances).sum())
        assert_counts([(sample == value).sum() for value in values], chances)
    assert_has_mean(sample, 1.0)
    assert_has_mean((sample - 1.0) ** 2, variance)


@pytest.mark.parametrize(
    ("frailty", "band"),
    [(0.0, 0), (0.5, 0), (0.51, 1), (1.0, 1), (1.01, 2), (2.0, 2), (9.0, 5), (31.0, 6), (99.0, 7)],
)
def test_bands_of_a_gamma_frailty_double(frailty: float, band: int) -> None:
    assert enrolment.frailty_band(frail(GAMMA_LAW), frailty) == band


def test_each_value_of_a_discrete_frailty_is_a_band() -> None:
    values = [1 / 3, 0.0, 5 / 3]
    individuals = frail({"law": "discrete", "values": values, "probabilities": [0.5, 0.0, 0.5]})
    slots = [float(np.float32(value)) for value in values]
    assert [enrolment.frailty_band(individuals, frailty) for frailty in slots] == [0, 1, 2]


@pytest.mark.parametrize("law", [None, DISCRETE_LAW, {**GAMMA_LAW, "variance": 4.0}])
def test_a_class_holds_one_band_and_knows_its_highest_frailty(law: dict[str, Any] | None) -> None:
    kinds = [people(200), people(150, motive="bargain", sex="female", tenure_periods=0)]
    small = market({"claims.frailty": law, "initial_members": kinds})
    assert_orderly(small.roster)
    here, classes = members_of(small.roster), small.roster.classes
    assert here.number.size == 350
    for place in range(small.roster.size[0]["classes"]):
        members = here.frailty[here.place == place]
        assert classes["frailty"][place] == pytest.approx(members.max(), rel=1e-7)
        if law is not None:
            bands = {enrolment.frailty_band(small.individuals, one) for one in members}
            assert bands == {int(classes["kind"][place])}
    kinds_seen = {int(kind) for kind in classes["kind"][: small.roster.size[0]["classes"]]}
    assert kinds_seen == {0} if law is None else len(kinds_seen) > 2


def test_a_frailty_belongs_to_the_person() -> None:
    """It is drawn at his number, and stays while he is a member."""
    changes = newcomers(20) | {"claims.frailty": GAMMA_LAW, "periods": 6}
    individuals = frail(GAMMA_LAW)
    frailties = stream(SEED, 0, Purpose.FRAILTY, 0)
    for moment in unfold(scenario(QUIET | changes, SMALL)):
        here = members_of(moment.roster)
        for number, frailty in zip(here.number.tolist(), here.frailty.tolist(), strict=True):
            drawn = enrolment.draw_frailty(individuals, frailties, number)
            assert frailty == np.float32(drawn)


# Enrolment


def test_initial_members_are_enrolled_by_plan_and_tenure() -> None:
    kinds = [
        people(3, tenure_periods=1),
        people(4, tenure_periods=1, age=30, sex="female", health="impaired"),
        people(5, tenure_periods=9, motive="bargain"),
    ]
    changes = {"initial_members": kinds, "plans.main.wait_periods": 2, "loyalty_per_year": 0.4}
    small = market(changes)
    full = small.roster
    assert full.size[0]["vintages"] == 2
    new, old = full.vintages[:2]
    assert (new["joined"], new["stage"], new["covered_from"], new["people"]) == (-1, 1, 1, 7)
    assert (old["joined"], old["stage"], old["covered_from"], old["people"]) == (-9, 4, 0, 5)
    assert new["loyalty"] == pytest.approx(np.exp(-0.1))
    assert old["loyalty"] == pytest.approx(np.exp(-0.9))
    # seven periods past waiting
    tau = small.parameters.market[0]["selection_decay"]
    assert (new["wear"], old["wear"]) == (1.0, pytest.approx(tau**7))
    assert full.people[0, group(STANDARD, 28, MALE)] == 3
    assert full.people[0, group(IMPAIRED, 30, FEMALE)] == 4
    assert set(members_of(full).channel) == {NO_CHANNEL}
    assert_agree(small.parameters, small.state, full, 0)


def test_newcomers_are_a_vintage_a_plan_with_their_channels() -> None:
    changes = newcomers(30, padding=0.5)
    changes["channels.more"] = changes["channels.all"] | {"motives": {"bargain": 1.0}}
    moments = list(unfold(scenario(QUIET | changes | {"plans.main.wait_periods": 9}, SMALL)))
    full = moments[-1].roster
    assert full.vintages["joined"][: full.size[0]["vintages"]].tolist() == list(range(6))
    here = members_of(full)
    assert here.number.size == full.size[0]["numbers"] == 180
    assert sorted(here.number.tolist()) == list(range(180))
    assert (here.channel == full.classes["motive"][here.place]).all()
    padding = moments[-1].parameters.groups["is_padding"][here.group]
    assert 40 < padding.sum() < 140
    assert ((full.classes["kind"][here.place] == PADDING_KIND) == padding).all()


def test_a_plan_without_newcomers_opens_no_vintage() -> None:
    full = list(unfold(scenario(QUIET | {"initial_members": [people(2)]}, SMALL)))[-1].roster
    assert full.size[0]["vintages"] == 1


# Age


def test_who_is_too_old_leaves_with_his_debts_unpaid() -> None:
    changes = UNTIL_29 | {
        "initial_members": [people(6, age=29), people(5), people(4, age=29, sex="female")],
        "motives.steady.payment_failure": 1.0,
        "plans.main.grace_failures": 8,
        "periods": 6,
    }
    chosen = scenario(changes, SMALL)
    path = simulate_members(chosen)
    assert path.column("lapses_aged_out") == [0, 0, 0, 0, 10, 0]
    old = path.rows[path.rows["left"] == 4]
    assert (old["cause"] == 9).all()
    assert set(old["bills"].tolist()) == {4}
    assert not old["paid"].any()
    assert_rows_add_up(chosen, path)


def test_who_moves_into_the_successor_has_two_rows_under_one_number() -> None:
    chosen = scenario(WITH_HEIR | {"initial_members": [people(6, age=29), people(5)]}, SMALL)
    path = simulate_members(chosen)
    first, second = (path.rows[path.rows["plan"] == plan] for plan in (0, 1))
    moved = first[first["left"] == 4]
    assert path.causes(0) == {"moved": 11}
    assert path.causes(1) == {"still": 11}
    # billed a yuan in four periods and then, without waiting, two yuan in the other five
    assert set(moved["paid"].tolist()) == {4.0}
    older = second[np.isin(second["member"], moved["member"])]
    assert older.size == 6
    assert set(older["paid"].tolist()) == {10.0}
    assert set(older["group"].tolist()) == {group(STANDARD, 30, MALE)}
    assert set(older["joined"].tolist()) == {-50}
    assert path.column("moved_in", 1) == [0, 0, 0, 0, 6, 0, 0, 0, 5]
    assert_rows_add_up(chosen, path)


@pytest.mark.parametrize("free", [True, False])
def test_who_has_not_been_billed_brings_his_free_bill_along(free: bool) -> None:
    """He waits until he is too old for his plan; its successor has no waiting for him."""
    ages = [{"from_age": 29, "to_age": 29, "male": 1.0, "female": 0.0}]
    changes = WITH_HEIR | {
        "plans.main.wait_periods": 9,
        "plans.main.first_bill_free": free,
        "plans.heir.first_bill_free": True,
        "periods": 6,
    }
    path = simulate(changes | newcomers(3, ages=ages))
    assert path.column("moved_in", 1) == [0, 0, 0, 0, 12, 0]
    assert path.column("free_bills", 1) == [0.0, 0.0, 0.0, 0.0, 24.0 * free, 0.0]
    second = path.rows[path.rows["plan"] == 1]
    assert second["paid"].tolist() == [2.0 if free else 4.0] * 12


def test_tenure_goes_on_in_the_successor() -> None:
    changes = WITH_HEIR | {
        "initial_members": [people(6, age=29, tenure_periods=5)],
        "loyalty_per_year": 0.4,
        "claims.selection_years": 2.0,
    }
    for period, _, _, full in unfold(scenario(changes, SMALL)):
        vintage = full.vintages[full.size[0]["vintages"] - 1]
        assert vintage["joined"] == -5
        assert vintage["plan"] == int(period >= 4)
        assert vintage["loyalty"] == pytest.approx(np.exp(-0.1 * (5 + period)), rel=1e-12)
        assert vintage["wear"] == pytest.approx(np.exp(-(5 + period) / 8), rel=1e-12)


@pytest.mark.parametrize("law", [None, DISCRETE_LAW])
def test_moving_keeps_all_laws(law: dict[str, Any] | None) -> None:
    """Deposits are paid back and in anew; who moves has had his birthday, and moves once a year."""
    prepaid = {"deposit_yuan": 6.0, "low_balance_yuan": 1.0, "top_up": 0.8}
    changes = WITH_HEIR | {
        "claims.frailty": law,
        "plans.heir.prepaid": prepaid,
        "plans.heir.max_age": 30,
        "plans.heir.successor": "last",
        "plans.heir.first_bill_free": True,
        "plans.last": HEIR | {"prepaid": prepaid},
        "age_edges": [28, 30, 31, 32],
        "motives.steady.payment_failure": 0.3,
        "motives.steady.lapse.base": 0.05,
        "plans.main.grace_failures": 3,
        "plans.main.first_bill_free": True,
        "periods": 13,
        "initial_members": [people(20, age=29), people(20, motive="bargain")],
    }
    ages = [{"from_age": 28, "to_age": 29, "male": 0.5, "female": 0.5}]
    base = with_changes(SMALL, newcomers(15, ages=ages, padding=0.2))
    chosen = scenario(changes, base)
    for period, parameters, pools, full in unfold(chosen):
        assert_agree(parameters, pools, full, period)
    path = simulate_members(chosen)
    assert_rows_add_up(chosen, path)
    assert path.causes(0)["moved"] > 10
    assert path.causes(1)["moved"] > 10
    assert path.causes(2)["aged_out"] > 5


# Other pools


def test_a_member_of_a_pool_that_ended_goes_where_his_uniform_says() -> None:
    base = with_changes(
        SMALL,
        {
            "pools": {"one": {}, "two": {}, "three": {}},
            "plans.other": SMALL["plans"]["main"] | {"pool": "two", "max_age": 29},
            "plans.third": SMALL["plans"]["main"] | {"pool": "three"},
            "industry.migration": {"one": {"two": 0.25, "three": 0.5}},
        },
    )
    small = market(base=base)

    def goes(u: float, age: int = 28) -> int:
        cell = group(STANDARD, age, MALE)
        return int(enrolment.new_plan(small.parameters, small.state, 0, cell, u))

    assert [goes(u) for u in (0.0, 0.2, 0.3, 0.7, 0.8)] == [1, 1, 2, 2, -1]
    # who is too old for the second pool does not go there, nor elsewhere instead
    assert [goes(u, 30) for u in (0.0, 0.4, 0.6)] == [2, 2, -1]
    small.state.pool["closure_period"][2] = 0
    assert [goes(u) for u in (0.2, 0.3)] == [1, -1]


def test_people_who_are_nobody_go_nowhere() -> None:
    base = with_changes(
        SMALL,
        {
            "pools": {"one": {}, "two": {}},
            "plans.other": SMALL["plans"]["main"] | {"pool": "two"},
            "plans.main.wait_periods": 9,
            "industry.migration": {"one": {"two": 1.0}},
            "pools.one.closure": {"floor_members": 10**6, "floor_from_period": 2},
            **QUIET,
            **newcomers(20, padding=0.5),
            "claims.frailty": DISCRETE_LAW,
            "periods": 5,
        },
    )
    chosen = scenario(base=base)
    path = simulate_members(chosen)
    first, second = (path.rows[path.rows["plan"] == plan] for plan in (0, 1))
    somebody = first["group"] < 3 * 8
    np.testing.assert_array_equal(np.sort(first["member"][somebody]), np.sort(second["member"]))
    assert 10 < somebody.sum() < 50
    assert_rows_add_up(chosen, path)


def test_initial_members_of_none_are_no_vintages() -> None:
    assert simulate({"periods": 1}).rows.size == 0
    assert market().roster.size[0]["vintages"] == 0
