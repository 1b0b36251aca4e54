"""Who pays, who owes, and whose balance is used up; what each has paid is what he was billed."""

from typing import Any

import pytest

from tests.kernels.members import (
    QUIET,
    SMALL,
    assert_agree,
    assert_rows_add_up,
    members_of,
    newcomers,
    people,
    simulate,
    simulate_members,
    unfold,
)
from tests.kernels.pools import HEALTHY, scenario

NEVER = {"motives.steady.payment_failure": 1.0}
PREPAID: dict[str, Any] = {"deposit_yuan": 3.5, "low_balance_yuan": 1.0, "top_up": 0.0}


def prepaid(**more: Any) -> dict[str, Any]:
    return QUIET | {
        "initial_members": [people(7)],
        "plans.main.prepaid": PREPAID | more,
    }


# Arrears


@pytest.mark.parametrize("grace", [1, 2, 3])
def test_who_never_pays_is_removed_at_the_failure_that_is_one_too_many(grace: int) -> None:
    changes = QUIET | NEVER | {"initial_members": [people(5)]}
    path = simulate(changes | {"plans.main.grace_failures": grace})
    assert path.column("lapses_arrears") == [5 * (period + 1 == grace) for period in range(6)]
    assert path.column("outstanding")[:grace] == [5 * (t + 1) for t in range(grace - 1)] + [0]
    assert path.column("written_off")[grace - 1] == 5 * grace
    assert path.distinct("left", "bills", "paid") == [(grace - 1, grace, 0.0)]
    assert path.causes() == {"arrears": 5}


@pytest.mark.parametrize("grace", [2, 3])
def test_who_pays_after_a_failure_pays_it_all(grace: int) -> None:
    """Every bill is a yuan: who has had n and owes k has paid n - k, and nobody owes for long."""
    changes = QUIET | {
        "initial_members": [people(300)],
        "plans.main.grace_failures": grace,
        "plans.main.uncollected_to": "platform",
        "motives.steady.payment_failure": 0.4,
    }
    chosen = scenario(changes, SMALL)
    late: dict[int, int] = {}
    recovered = 0
    for period, parameters, pools, full in unfold(chosen):
        assert_agree(parameters, pools, full, period)
        before, here = late, members_of(full)
        late = dict(zip(here.number.tolist(), here.late.tolist(), strict=True))
        assert all(late[one] in (0, before.get(one, 0) + 1) for one in late)
        # who is gone was one failure short of it
        assert all(before[one] == grace - 1 for one in before.keys() - late.keys())
        recovered += sum(before.get(one, 0) > 0 and late[one] == 0 for one in late)
        assert pools.plan["outstanding"][0] == pytest.approx(sum(late.values()), rel=1e-12)
    assert recovered > 50
    path = simulate_members(chosen)
    for row in path.rows:
        owes = grace if row["left"] >= 0 else late[int(row["member"])]
        assert row["paid"] == pytest.approx(row["bills"] - owes, rel=1e-12)
    assert set(path.causes()) == {"still", "arrears"}
    assert_rows_add_up(chosen, path)


def test_a_period_without_a_bill_is_no_failure() -> None:
    """Every other bill is paid by the platform: who failed once waits for the next to fail."""
    platform = [{"from_period": t, "value": float(t % 2)} for t in range(6)]
    changes = (
        QUIET
        | NEVER
        | {
            "initial_members": [people(5)],
            "plans.main.grace_failures": 2,
            "plans.main.platform_pays": platform,
        }
    )
    path = simulate(changes)
    assert path.column("lapses_arrears") == [0, 0, 5, 0, 0, 0]
    assert path.distinct("left", "bills", "paid") == [(2, 2, 0.0)]


def test_who_is_not_billed_does_not_fail() -> None:
    changes = QUIET | NEVER | newcomers(3) | {"plans.main.wait_periods": 2}
    path = simulate(changes | {"periods": 4})
    assert path.column("lapses_arrears") == [0, 0, 3, 3]


def test_people_who_are_nobody_leave_at_their_first_bill() -> None:
    changes = QUIET | newcomers(10, padding=1.0) | {"plans.main.wait_periods": 1, "periods": 4}
    path = simulate(changes)
    assert path.column("lapses_arrears") == [0, 10, 10, 10]
    assert path.causes() == {"still": 10, "arrears": 30}
    assert path.distinct("bills", "paid", "frailty") == [(0, 0.0, 1.0), (1, 0.0, 1.0)]


def test_people_who_are_nobody_stand_apart_from_who_is_somebody() -> None:
    frailty = {"law": "discrete", "values": [0.0, 2.0], "probabilities": [0.5, 0.5]}
    changes = QUIET | newcomers(40, padding=0.5) | {"claims.frailty": frailty}
    for moment in unfold(scenario(changes | {"plans.main.wait_periods": 3}, SMALL)):
        here, full = members_of(moment.roster), moment.roster
        padding = moment.parameters.groups["is_padding"][here.group]
        assert ((full.classes["kind"][here.place] == 8) == padding).all()
        assert (here.frailty[padding] == 1.0).all()
        assert set(here.frailty[~padding]) == {0.0, 2.0}


def test_a_first_bill_that_the_platform_pays_cannot_fail_and_is_not_paid() -> None:
    changes = QUIET | newcomers(4) | {"plans.main.first_bill_free": True}
    path = simulate(changes | {"periods": 3})
    assert path.column("free_bills") == [4.0, 4.0, 4.0]
    assert path.column("collected") == [0.0, 4.0, 8.0]
    assert path.distinct("joined", "bills", "paid") == [(0, 2, 2.0), (1, 1, 1.0), (2, 0, 0.0)]


# Prepaid balances


def test_a_balance_is_used_up_and_the_rest_is_paid_back() -> None:
    path = simulate(prepaid())
    assert path.column("lapses_balance_exhausted") == [0, 0, 7, 0, 0, 0]
    assert path.distinct("left", "paid", "returned") == [(2, 3.0, 0.5)]
    assert path.column("paid_back") == [0.0, 0.0, 3.5, 0.0, 0.0, 0.0]


def test_who_leaves_with_less_than_nothing_has_not_paid_it() -> None:
    """Two yuan a period from three: a yuan is missing of the second."""
    changes = prepaid(deposit_yuan=3.0, low_balance_yuan=0.0)
    path = simulate(changes | {"plans.main.custody_yuan_per_member_year": 8.0})
    assert path.column("written_off")[:2] == [0.0, 7.0]
    assert path.distinct("left", "bills", "paid", "returned") == [(1, 2, 3.0, 0.0)]


def test_who_tops_up_stays() -> None:
    """Down to one half after three periods, and up to three and a half."""
    path = simulate(prepaid(top_up=1.0))
    assert path.causes() == {"still": 7}
    assert path.column("paid_in") == [0.0, 0.0, 21.0, 0.0, 0.0, 21.0]
    assert path.column("balances") == pytest.approx([17.5, 10.5, 24.5, 17.5, 10.5, 24.5])
    assert path.distinct("bills", "paid", "returned") == [(6, 6.0, 0.0)]


def test_each_decides_for_himself_and_vintages_keep_balances_of_their_own() -> None:
    changes = prepaid(top_up=0.5) | newcomers(20)
    chosen = scenario(changes | {"initial_members": []}, SMALL)
    for period, parameters, pools, full in unfold(chosen):
        assert_agree(parameters, pools, full, period)
        balances = full.balance[: full.size[0]["vintages"], 0]
        alive = full.vintages["people"][: full.size[0]["vintages"]] > 0
        due = [(3.5, 2.5, 1.5)[(period - joined + 1) % 3] for joined in range(period + 1)]
        assert balances[alive].tolist() == [b for b, some in zip(due, alive, strict=True) if some]
    path = simulate_members(chosen)
    assert 0 < path.causes()["balance_exhausted"] < path.causes()["still"]
    assert_rows_add_up(chosen, path)


@pytest.mark.parametrize("kept", ["members", "platform"])
def test_balances_grow_where_members_have_the_interest(kept: str) -> None:
    changes = prepaid(deposit_yuan=100.0) | {
        "platform.interest_rate": 0.4,
        "platform.interest_to": kept,
        "plans.main.custody_yuan_per_member_year": 0.0,
    }
    growth = 1.1 if kept == "members" else 1.0
    for period, _, pools, full in unfold(scenario(changes, SMALL)):
        grown = 100.0 * growth ** (period + 1)
        assert full.balance[0, 0] == pytest.approx(grown, rel=1e-12)
        assert pools.plan["balances"][0] == pytest.approx(7 * grown, rel=1e-12)


def test_nobody_has_a_balance_who_is_nobody() -> None:
    """Those without incidence are charged nothing, and stay while the others are topped up."""
    changes = {
        "periods": 5,
        "plans.main.rule": "expected",
        "plans.main.prepaid": PREPAID
        | {"deposit_yuan": 8.0, "low_balance_yuan": 5.0, "top_up": 0.5},
        "initial_members": [people(40)],
        "claims.level": 3.0,
    } | newcomers(10, padding=0.5)
    chosen = scenario(changes, SMALL)
    path = simulate_members(chosen)
    assert path.causes()["balance_exhausted"] > 0
    nobody = path.rows["group"] >= 3 * 8
    assert nobody.sum() > 5
    assert not path.rows["returned"][nobody].any()
    assert_rows_add_up(chosen, path)
    for period, parameters, pools, full in unfold(chosen):
        assert_agree(parameters, pools, full, period)
        assert not full.balance[: full.size[0]["vintages"], 3 * 8 :].any()


def test_people_who_are_nobody_fail_to_pay_in_a_plan_of_balances_too() -> None:
    changes = prepaid() | newcomers(10, padding=1.0)
    path = simulate(changes | {"periods": 2})
    assert path.column("lapses_arrears") == [10, 10]
    assert path.causes() == {"still": 7, "arrears": 20}
    assert path.column("paid_in") == [0.0, 0.0]


def test_a_plan_without_a_bill_uses_up_no_balance() -> None:
    path = simulate(
        prepaid(low_balance_yuan=0.0) | HEALTHY | {"plans.main.custody_yuan_per_member_year": 0.0}
    )
    assert path.causes() == {"still": 7}
    assert path.distinct("bills", "paid") == [(0, 0.0)]
