"""Each member leaves with a probability of his own, for a cause that has an intensity."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import member_lapse
from kernels.dtypes import LAPSE_CAUSES
from kernels.lapse import COMPETING
from tests.kernels.members import (
    A_YUAN,
    QUIET,
    SMALL,
    Path,
    assert_agree,
    assert_rows_add_up,
    members_of,
    newcomers,
    people,
    simulate,
    simulate_members,
    unfold,
)
from tests.kernels.pools import rates, scenario
from tests.statistics.checks import assert_is_zero

EXAMPLES = settings(max_examples=100, deadline=None, derandomize=True, database=None)

CERTAIN = 1e6
MEN_AND_WOMEN = {"initial_members": [people(30), people(20, sex="female")]}
# Men are charged a half of what women are; the mean is a yuan.
UNEVEN: dict[str, Any] = {
    "plans.main.rule": "table",
    "plans.main.weights": [{"from_age": 0, "male": 1.0, "female": 3.0}],
    "initial_members": [people(20), people(20, sex="female")],
}
OWN_BILLS = {"learns_from": "own_bills"}


def who_left(path: Path, cause: str) -> list[tuple[int, int]]:
    """Give period and sex of who left for a cause."""
    rows = path.rows[path.rows["cause"] == LAPSE_CAUSES.index(cause)]
    return sorted({(int(row["left"]), int(row["group"]) % 2) for row in rows})


# Certain causes


@pytest.mark.parametrize(
    ("cause", "period"),
    [
        ("base", 0),
        ("first_bill", 0),
        ("bill_shock", 0),
        ("growth", 2),
        ("burden", 0),
        ("news", 2),
        ("competitor", 3),
        ("regulation", 4),
    ],
)
def test_a_cause_takes_everybody_when_it_has_an_intensity(cause: str, period: int) -> None:
    changes = (
        QUIET
        | MEN_AND_WOMEN
        | {
            f"motives.steady.lapse.{cause}": CERTAIN,
            "competitor_pull": [{"from_period": 3, "value": 1.0}],
            "regulator_announcements": [4],
            "news.jumps": [{"period": 1, "size": 1.0}],
            "plans.main.advertised_share_yuan": 0.5 if cause == "bill_shock" else 1.0,
            # the platform pays nothing from the third period on, so a share doubles
            "plans.main.platform_pays": [
                {"from_period": 0, "value": 0.5 if cause == "growth" else 0.0},
                {"from_period": 2, "value": 0.0},
            ],
        }
    )
    path = simulate(changes)
    assert who_left(path, cause) == [(period, 0), (period, 1)]
    assert path.causes() == {cause: 50}
    assert path.column("lapses")[period] == 50
    bills = {int(row["bills"]) for row in path.rows}
    assert bills == {period + 1}


def test_nobody_leaves_without_intensity() -> None:
    assert simulate(QUIET | MEN_AND_WOMEN).causes() == {"still": 50}


def test_who_is_not_billed_does_not_react_to_bills() -> None:
    changes = (
        QUIET
        | newcomers(10)
        | {
            "initial_members": [people(1, motive="bargain")],
            "plans.main.wait_periods": 2,
            "motives.steady.lapse.first_bill": CERTAIN,
            "motives.steady.lapse.burden": CERTAIN,
        }
    )
    path = simulate(changes)
    assert path.column("lapses") == [0, 0, 10, 10, 10, 10]


def test_only_who_can_die_dies() -> None:
    deaths = rates(0.0) | {"male": rates(1.0)["male"]}
    path = simulate(QUIET | MEN_AND_WOMEN | {"claims.mortality": deaths})
    assert {sex for _, sex in who_left(path, "died")} == {0}
    assert path.causes().keys() == {"still", "died"}
    assert path.causes()["still"] > 20


def test_health_tells_who_leaves() -> None:
    kinds = [people(30), people(20, health="impaired")]
    changes = {"initial_members": kinds, "health.impaired.lapse_ratio": 0.0}
    path = simulate(QUIET | changes | {"motives.steady.lapse.base": CERTAIN})
    assert path.causes() == {"still": 20, "base": 30}


def test_a_charge_burdens_who_is_charged_it() -> None:
    weights = [{"from_age": 0, "male": 0.0, "female": 1.0}]
    changes = UNEVEN | {"plans.main.weights": weights, "motives.steady.lapse.burden": CERTAIN}
    path = simulate(QUIET | changes | {"periods": 1})
    assert who_left(path, "burden") == [(0, 1)]
    assert path.causes() == {"still": 20, "burden": 20}


def test_who_has_had_his_first_bill_does_not_leave_for_it() -> None:
    """The platform pays the first; so the second is the first that a member notices."""
    changes = (
        QUIET
        | newcomers(5)
        | {
            "motives.steady.lapse.first_bill": CERTAIN,
            "plans.main.first_bill_free": True,
        }
    )
    path = simulate(changes)
    assert path.column("lapses_first_bill") == [0, 5, 5, 5, 5, 5]
    assert {(int(r["left"] - r["joined"]), int(r["bills"])) for r in path.rows} == {(1, 1), (-6, 0)}


# Own bills


def test_members_are_shocked_by_their_own_bills_where_they_learn_from_them() -> None:
    """A share of a yuan, as expected; but women are billed one and a half."""
    shock = QUIET | UNEVEN | {"motives.steady.lapse.bill_shock": CERTAIN}
    assert simulate(shock).causes() == {"still": 40}
    path = simulate(shock | OWN_BILLS | {"periods": 1})
    assert who_left(path, "bill_shock") == [(0, 1)]
    assert path.causes() == {"still": 20, "bill_shock": 20}


def test_expectations_move_towards_own_bills() -> None:
    changes = QUIET | UNEVEN | OWN_BILLS | {"motives.steady.education_speed": 0.5}
    changes |= {"motives.bargain.education_speed": 0.1}
    for period, _, _, full in unfold(scenario(changes, SMALL)):
        rest = 0.5 ** (period + 1)
        assert full.expected[0, 0, 0] == pytest.approx(0.5 + 0.5 * rest, rel=1e-12)
        assert full.expected[0, 0, 1] == pytest.approx(1.5 - 0.5 * rest, rel=1e-12)
        slowly = 1.5 - 0.5 * 0.9 ** (period + 1)
        assert full.expected[0, 1, 1] == pytest.approx(slowly, rel=1e-12)


def test_a_path_of_own_bills_obeys_the_laws() -> None:
    lapse = {"base": 0.02, "bill_shock": 0.5, "burden": 5.0}
    chosen = scenario(
        A_YUAN
        | OWN_BILLS
        | UNEVEN
        | newcomers(20)
        | {"motives.steady.lapse": lapse, "motives.steady.education_speed": 0.3}
        | {"plans.main.wait_periods": 1, "motives.steady.payment_failure": 0.3}
        | {"plans.main.grace_failures": 3, "periods": 8},
        SMALL,
    )
    for period, parameters, pools, full in unfold(chosen):
        assert_agree(parameters, pools, full, period)
    assert_rows_add_up(chosen, simulate_members(chosen))


# Debts


def test_who_leaves_in_arrears_has_not_paid_what_he_owed() -> None:
    changes = QUIET | {
        "initial_members": [people(60)],
        "motives.steady.payment_failure": 0.5,
        "plans.main.grace_failures": 6,
        "plans.main.uncollected_to": "platform",
        "motives.steady.lapse.regulation": CERTAIN,
        "regulator_announcements": [2],
    }
    chosen = scenario(changes, SMALL)
    moments = unfold(chosen)
    next(moments)
    full = next(moments).roster
    late = dict(zip(members_of(full).number.tolist(), members_of(full).late.tolist(), strict=True))
    path = simulate_members(chosen)
    assert path.causes() == {"regulation": 60}
    owed = {int(row["member"]): round(3 - row["paid"]) for row in path.rows}
    assert all(owed[one] in (0, late[one] + 1) for one in owed)
    assert set(owed.values()) == {0, 1, 2, 3}
    assert path.column("written_off")[2] == pytest.approx(sum(owed.values()), rel=1e-12)
    assert path.column("outstanding")[2] == pytest.approx(0.0, abs=1e-12)


# Chance


@EXAMPLES
@given(
    weights=st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=9, max_size=9).filter(any),
    v=st.floats(0.0, 1.0, exclude_max=True),
)
def test_the_cause_of_a_uniform_is_found_by_inversion(weights: list[float], v: float) -> None:
    mix = np.array(weights) / sum(weights)
    cause = member_lapse.pick_cause(mix, v)
    assert mix[cause] > 0.0
    below = mix[:cause].sum()
    assert below - 1e-12 <= v <= below + mix[cause] + 1e-12


def test_rounding_gives_nobody_an_impossible_cause() -> None:
    mix = np.zeros(COMPETING)
    mix[[0, 1, 2]] = 0.1, 0.2, 0.7
    assert member_lapse.pick_cause(mix, 1.0) == 2


@pytest.mark.statistical
@pytest.mark.parametrize("alike", [True, False])
def test_members_of_a_class_leave_with_their_own_probabilities(alike: bool) -> None:
    """Counts by group and cause: eight z-tests, false alarm under 1e-5 in all."""
    kinds = [people(9_000), people(6_000, health="impaired"), people(5_000, sex="female", age=30)]
    ratio = {} if alike else {"health.impaired.lapse_ratio": 0.25}
    changes = (
        QUIET
        | ratio
        | {
            "market_members": 10**6,
            "initial_members": kinds,
            "motives.steady.lapse.base": 0.06,
            "motives.steady.lapse.news": 0.03,
            "news.jumps": [{"period": 0, "size": 1.0}],
            "news.persistence": 0.0,
            "periods": 2,
        }
    )
    rows = simulate(changes).rows
    rows = rows[rows["left"] != 0]
    for group in sorted(set(rows["group"].tolist())):
        here = rows[rows["group"] == group]
        part = 0.25 if not alike and group // 8 == 1 else 1.0
        chance = -np.expm1(-0.09 * part)
        for cause, share in ((0, 2 / 3), (5, 1 / 3)):
            left = (here["cause"] == cause).sum()
            p = chance * share
            assert_is_zero(left - here.size * p, here.size * p * (1 - p))
