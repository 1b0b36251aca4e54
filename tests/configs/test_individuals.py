"""What the member engine is given: ages in years, vintages, frailty; nothing lost on the way."""

from typing import Any

import numpy as np
import pytest

from configs import arrays
from configs.scenario import Scenario
from kernels.individuals import individuals_from_fields
from kernels.parameters import from_fields
from tests.kernels.pools import BASE, scenario, with_changes
from tests.kernels.rich_pool import RICH

MEMBERS = with_changes(RICH, {"engine": "member"})
PEOPLE = {"age": 20, "sex": "male", "motive": "steady", "health": "standard", "members": 10}
WAIT, BANDS = 2, 3  # of the plan `main` of the rich pool; bands of two periods


def individuals(changes: dict[str, Any] | None = None, sample: float = 1.0) -> Any:
    """Give what the kernels get of the rich pool, changed at some dotted paths."""
    return individuals_from_fields(arrays.individuals(scenario(changes, MEMBERS), sample))


def people(*groups: dict[str, Any]) -> dict[str, Any]:
    return {"initial_members": [PEOPLE | group for group in groups]}


# Ages


def test_bands_of_the_member_engine_are_of_one_year_over_the_same_ages() -> None:
    small = scenario({"engine": "member", "age_edges": [3, 30, 60]})
    assert arrays.with_exact_ages(small).age_edges == tuple(range(3, 61))
    groups = arrays.groups(small)
    packed = from_fields(arrays.parameters(small))
    assert len(groups) == packed.groups.size == 3 * 57 * 2
    assert {group.to_age - group.from_age for group in groups} == {0}
    assert (packed.groups["band_years"] == 1).all()
    # group = (health * ages + age - youngest) * 2 + sex
    assert groups[(1 * 57 + 40 - 3) * 2 + 1] == ("impaired", 40, 40, "female")


def test_bands_of_the_cohort_engine_stay() -> None:
    assert len(arrays.groups(scenario({"age_edges": [0, 30, 60]}))) == 3 * 2 * 2


@pytest.mark.parametrize("health", range(3))
def test_an_age_has_the_code_of_its_band_of_one_year(health: int) -> None:
    def codes(**changes: Any) -> Any:
        return arrays.parameters(scenario(changes))["groups"]["code"].reshape(3, 60, 2)[health]

    exact = codes(age_edges=list(range(61)))
    np.testing.assert_array_equal(codes(engine="member"), exact)
    assert exact.max() < 2**10


def test_codes_of_ages_beyond_those_of_an_address_have_a_bit_above_it() -> None:
    rates = {"first_age": 0, "male": [0.0] * 128, "female": [0.0] * 128}
    wide = scenario(
        {
            "engine": "member",
            "age_edges": [0, 30, 60, 128],
            "claims.incidence": {"name": "none"} | rates,
        }
    )
    codes = arrays.parameters(wide)["groups"]["code"]
    assert len(set(codes.tolist())) == codes.size == 3 * 128 * 2
    by_age = codes.reshape(3, 128, 2)
    np.testing.assert_array_equal(by_age[:, 64:], by_age[:, :64] | 2**28)
    assert (by_age[:, :64] < 2**10).all()


def test_rates_are_those_of_each_year_of_age() -> None:
    rates = [0.001 * age for age in range(60)]
    table = {"name": "rising", "first_age": 0, "male": rates, "female": rates}
    groups = arrays.parameters(scenario({"engine": "member", "claims.incidence": table}))["groups"]
    np.testing.assert_allclose(groups["hazard"][:120:2] * 4, rates, rtol=1e-12)


# Vintages


def test_vintages_by_stage_are_the_initial_members() -> None:
    """Also with members of one stage and several tenures, in several plans."""
    changed = scenario(
        people(
            {"tenure_periods": 9},
            {"tenure_periods": 3},
            {"tenure_periods": 2, "sex": "female"},
            {"tenure_periods": 3, "age": 35, "motive": "bargain"},
            {"tenure_periods": 0, "plan": "deposit", "age": 50},
        ),
        MEMBERS,
    )
    packed = from_fields(arrays.parameters(changed))
    found = individuals_from_fields(arrays.individuals(changed, 1.0))
    totals = np.zeros_like(packed.initial_members)
    for vintage, members in zip(found.vintages, found.vintage_members, strict=True):
        totals[vintage["plan"], vintage["stage"]] += members
    np.testing.assert_array_equal(totals, packed.initial_members)
    assert totals.sum() == 50
    rows = list(zip(found.vintages["plan"], found.vintages["tenure"], strict=True))
    assert rows == sorted(set(rows)) == [(0, 2), (0, 3), (0, 9), (5, 0)]


@pytest.mark.parametrize(
    ("tenure", "stage"),
    [(0, 0), (1, 1), (2, WAIT), (3, WAIT), (4, WAIT + 1), (6, WAIT + 2), (99, WAIT + BANDS - 1)],
)
def test_a_vintage_wears_and_is_loyal_by_its_own_tenure(tenure: int, stage: int) -> None:
    found = individuals(people({"tenure_periods": tenure}))
    (vintage,) = found.vintages
    assert (vintage["plan"], vintage["stage"], vintage["tenure"]) == (0, stage, tenure)
    a_year, years, loyalty = 6, RICH["claims"]["selection_years"], RICH["loyalty_per_year"]
    past = max(0, tenure - WAIT)
    assert vintage["wear"] == pytest.approx(np.exp(-past / (years * a_year)))
    assert vintage["loyalty"] == pytest.approx(np.exp(-loyalty * tenure / a_year))


def test_there_may_be_no_initial_members() -> None:
    found = individuals({"initial_members": []})
    assert found.vintages.shape == (0,)
    # three health classes and the padding, of 42 ages
    assert found.vintage_members.shape == (0, 2, 4 * 42 * 2)


# Settings


@pytest.mark.parametrize(
    ("frailty", "law", "variance", "values", "chances"),
    [
        (None, "none", 0.0, [], []),
        ({"law": "gamma", "variance": 0.7}, "gamma", 0.7, [], []),
        (
            {"law": "discrete", "values": [0.5, 3.0], "probabilities": [0.8, 0.2]},
            "discrete",
            0.0,
            [0.5, 3.0],
            [0.8, 0.2],
        ),
    ],
)
def test_frailty_is_law_variance_values_and_chances(
    frailty: Any, law: str, variance: float, values: list[float], chances: list[float]
) -> None:
    found = individuals({"claims.frailty": frailty})
    (settings,) = found.settings
    assert arrays.FRAILTY_LAWS[settings["frailty_law"]] == law
    assert settings["frailty_variance"] == variance
    assert (found.frailty.tolist(), found.frailty_chance.tolist()) == (values, chances)
    assert found.frailty.dtype == found.frailty_chance.dtype == np.float64


@pytest.mark.parametrize(("learns_from", "own"), [("share", False), ("own_bills", True)])
def test_members_learn_from_the_share_or_their_own_bills(learns_from: str, own: bool) -> None:
    (settings,) = individuals({"learns_from": learns_from}, sample=0.25).settings
    assert bool(settings["own_bills"]) is own
    assert settings["sample"] == 0.25


def test_the_smallest_scenario_needs_none_of_it() -> None:
    plain = Scenario.model_validate(BASE | {"engine": "member"})
    found = individuals_from_fields(arrays.individuals(plain, 1.0))
    assert found.settings.tolist() == [(0, 0.0, False, 1.0)]
