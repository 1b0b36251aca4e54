"""What a vintage has in common moves on as its cells do; its accounts add up to what was billed."""

from typing import Any

import numpy as np
import pytest

from kernels import vintages
from tests.kernels.members import (
    A_YUAN,
    QUIET,
    RELATIVE,
    SMALL,
    assert_agree,
    assert_rows_add_up,
    market,
    members_of,
    newcomers,
    people,
    simulate,
    simulate_members,
    unfold,
)
from tests.kernels.pools import DOOMED, scenario

# Everything that a charge or a stage depends on differs between members.
MIXED: dict[str, Any] = {
    **newcomers(25, motives={"steady": 0.5, "bargain": 0.5}),
    "channels.all.ages": [{"from_age": 28, "to_age": 31, "male": 0.5, "female": 0.5}],
    "channels.all.health": {"standard": 0.6, "impaired": 0.4},
    "initial_members": [
        people(20, tenure_periods=tenure, age=age) for tenure, age in ((0, 28), (1, 30), (7, 29))
    ],
    "plans.main.wait_periods": 2,
    "tenure": {"bands": 3, "band_periods": 2},
    "loyalty_per_year": 0.5,
    "claims.selection_years": 0.7,
    "health.impaired.lapse_ratio": 0.5,
    "motives.steady.lapse.base": 0.03,
    "periods": 11,
}


# Tenure


@pytest.mark.parametrize(("bands", "width"), [(1, 1), (3, 1), (3, 2), (4, 5)])
def test_a_vintage_stands_in_the_stage_of_its_members(bands: int, width: int) -> None:
    changes = QUIET | MIXED | {"tenure": {"bands": bands, "band_periods": width}}
    for period, parameters, pools, full in unfold(scenario(changes, SMALL)):
        assert_agree(parameters, pools, full, period)
        for vintage in full.vintages[: full.size[0]["vintages"]]:
            waited = period - vintage["joined"]
            if vintage["joined"] >= 0 and waited <= 2:
                assert vintage["stage"] == waited


def test_wear_and_loyalty_are_those_of_the_vintage_s_own_tenure() -> None:
    for period, _, _, full in unfold(scenario(QUIET | MIXED, SMALL)):
        for vintage in full.vintages[: full.size[0]["vintages"]]:
            tenure = period - vintage["joined"]
            # a quarter each: loyalty fades from the joining on, selection from the end of waiting
            assert vintage["loyalty"] == pytest.approx(np.exp(-0.5 * tenure / 4), rel=1e-12)
            covered = max(0, tenure - 2)
            assert vintage["wear"] == pytest.approx(np.exp(-covered / 4 / 0.7), rel=1e-12)


def test_ages_are_counted_in_birthdays_of_the_year() -> None:
    for period, _, _, full in unfold(scenario(QUIET | MIXED, SMALL)):
        for vintage in full.vintages[: full.size[0]["vintages"]]:
            entered = max(0, vintage["joined"])
            assert vintage["years"] == period // 4 - entered // 4


# What cells know of their stages


def test_stages_know_the_means_over_their_members() -> None:
    """Means over vintages as `survey` took them: before the period's lapses."""
    small = market(MIXED | A_YUAN)
    full, pools = small.roster, small.state
    # both of the vintages that wait are put in one stage
    full.vintages["stage"][:2] = 1
    full.vintages["free"][:3] = [0.0, 1.0, 0.0]
    full.vintages["unbilled"][:3] = [0.5, 1.0, 0.0]
    vintages.survey(small.parameters, pools, full)
    here = members_of(full)
    for stage in (1, int(full.vintages["stage"][2])):
        of = full.vintages[here.vintage]
        of = of[of["stage"] == stage]
        for name in ("wear", "loyalty", "free", "unbilled"):
            mean = of[name].mean()
            assert pools.stage[name][0, stage] == pytest.approx(mean, rel=RELATIVE)


def test_bounds_of_hazards_are_the_highest_of_the_groups_that_are_there() -> None:
    small = market(MIXED | {"health.impaired.lapse_ratio": 1.5})
    vintages.survey(small.parameters, small.state, small.roster)
    groups = small.parameters.groups
    first = small.roster.vintages[0]
    assert first["hazard"] == groups["hazard"][0]
    assert first["lapse_ratio"] == 1.0
    # the groups that come last are not those with the highest hazard
    healthier = {"health.impaired.incidence_factor": 0.1}
    for _, parameters, _, full in unfold(scenario(A_YUAN | MIXED | healthier, SMALL)):
        here = members_of(full)
        for number, vintage in enumerate(full.vintages[: full.size[0]["vintages"]]):
            now = here.group[here.vintage == number] + 2 * vintage["years"]
            for name in ("hazard", "mortality", "lapse_ratio"):
                assert (parameters.groups[name][now] <= vintage[name]).all()


# Accounts


def test_accounts_are_opened_empty_whatever_stood_there() -> None:
    prepaid = {"deposit_yuan": 4.0, "low_balance_yuan": 1.0, "top_up": 0.5}
    small = market({"plans.main.prepaid": prepaid, "learns_from": "own_bills"})
    full, pools = small.roster, small.state
    for account in (full.people, full.charged, full.bills, full.recent):
        account[:] = 7
    full.balance[:] = 7.0
    full.expected[:] = 7.0
    full.vintages["people"] = 7
    pools.expectation[0] = 2.0, 3.0
    number = vintages.open_vintage(small.parameters, pools, full, 0, 5, 6)
    assert number == 0
    assert full.size[0]["vintages"] == 1
    assert full.vintages[0]["people"] == 0
    for account in (full.people, full.charged, full.bills, full.recent):
        assert not account[0].any()
    assert (full.balance[0] == 4.0).all()
    assert full.expected[0].T.tolist() == [[2.0, 3.0]] * full.expected.shape[2]
    assert (full.vintages[0]["joined"], full.vintages[0]["covered_from"]) == (5, 6)


def test_accounts_add_up_the_charges_of_each_period() -> None:
    """Read off the cells period by period; a bill of zero is none, and cannot fail."""
    platform = [{"from_period": t, "value": float(t == 3)} for t in (0, 3, 4)]
    changes = (
        MIXED
        | A_YUAN
        | {
            "plans.main.rule": "table",
            "plans.main.weights": [
                {"from_age": 0, "male": 1.0, "female": 0.0},
                {"from_age": 30, "male": 2.0, "female": 3.0},
            ],
            "plans.main.platform_pays": platform,
            "plans.main.grace_failures": 3,
            "motives.bargain.payment_failure": 0.4,
        }
    )
    chosen = scenario(changes, SMALL)
    charged: dict[tuple[int, int], list[float]] = {}
    for _, _, pools, full in unfold(chosen):
        for number, vintage in enumerate(full.vintages[: full.size[0]["vintages"]]):
            for group in full.people[number].nonzero()[0].tolist():
                bills = charged.setdefault((number, group), [])
                bills.append(float(pools.charge[0, vintage["stage"], group + 2 * vintage["years"]]))
                paid = [bill for bill in bills if bill]
                assert full.charged[number, group] == pytest.approx(sum(paid), rel=1e-12)
                assert full.bills[number, group] == len(paid)
                latest = [*paid[::-1], 0.0, 0.0, 0.0][:3]
                assert full.recent[number, group].tolist() == latest
    assert_rows_add_up(chosen, simulate_members(chosen))


def test_claimants_are_billed_on_an_account_of_their_group() -> None:
    """Newcomers of a period are diagnosed in it, and assessed four periods later."""
    changes = (
        QUIET
        | DOOMED
        | newcomers(5)
        | {
            "claims.report_delay": [0.0] * 4 + [1.0],
            "periods": 8,
        }
    )
    chosen = scenario(changes, SMALL)
    path = simulate_members(chosen)
    claimed = path.rows[path.rows["cause"] == 12]
    assert set((claimed["left"] - claimed["joined"]).tolist()) == {4}
    assert (claimed["bills"] == 5).all()
    assert_rows_add_up(chosen, path)


def test_credits_are_booked_as_bills_that_cannot_fail() -> None:
    changes = (
        MIXED
        | A_YUAN
        | {
            "plans.main.rule": "linear",
            "motives.bargain.payment_failure": 0.5,
            "plans.main.grace_failures": 3,
            "claims.level": 3.0,
        }
    )
    chosen = scenario(changes, SMALL)
    for period, parameters, pools, full in unfold(chosen):
        assert_agree(parameters, pools, full, period)
    path = simulate_members(chosen)
    assert sum(path.column("credited")) > 0.0
    assert_rows_add_up(chosen, path)


# First bills


@pytest.mark.parametrize("claimants_pay", [True, False])
def test_first_bills_are_free_once_for_each(claimants_pay: bool) -> None:
    changes = (
        MIXED
        | A_YUAN
        | {
            "plans.main.first_bill_free": True,
            "plans.main.claimants_pay": claimants_pay,
            "claims.level": 5.0,
            "claims.report_delay": [0.5, 0.5],
            "tenure": {"bands": 1, "band_periods": 1},
            "plans.main.wait_periods": 0,
        }
    )
    chosen = scenario(changes, SMALL)
    path = simulate_members(chosen)
    free = np.array(path.column("free_bills"))
    share = np.array(path.column("share"))
    # newcomers of the period, and no others; with one stage claimants are billed its mean
    assert (free > 0.0).all()
    assert free == pytest.approx(25 * share, rel=0.25)
    assert_rows_add_up(chosen, path)


def test_a_trivial_bill_is_not_the_first() -> None:
    changes = QUIET | newcomers(2) | {"plans.main.first_bill_free": True}
    path = simulate(changes | {"plans.main.trivial_share_yuan": 5.0, "periods": 3})
    assert path.column("free_bills") == [0.0, 0.0, 0.0]
    assert sorted(path.rows["bills"].tolist()) == [1, 1, 2, 2, 3, 3]


def test_who_waits_and_is_billed_has_had_his_first_bill() -> None:
    changes = (
        QUIET
        | newcomers(2)
        | {
            "plans.main.first_bill_free": True,
            "plans.main.waiting_members_pay": True,
            "plans.main.wait_periods": 3,
            "periods": 3,
        }
    )
    path = simulate(changes)
    assert path.column("free_bills") == [2.0, 2.0, 2.0]
    waiting = changes | {"plans.main.waiting_members_pay": False, "periods": 5}
    assert simulate(waiting).column("free_bills")[:3] == [0.0, 0.0, 0.0]
    assert simulate(waiting).column("free_bills")[3] == pytest.approx(8.0)


# Expectations and balances


def test_nobody_learns_from_a_period_without_payers() -> None:
    changes = (
        QUIET
        | newcomers(3)
        | {
            "learns_from": "own_bills",
            "plans.main.wait_periods": 2,
            "motives.steady.education_speed": 1.0,
            "plans.main.custody_yuan_per_member_year": 8.0,
        }
    )
    moments = unfold(scenario(changes, SMALL))
    found = [float(moment.roster.expected[0, 0, 0]) for moment in moments]
    # 6 persons' custody for 3 payers in the third period; who waits is not billed
    assert found[:3] == [1.0, 1.0, 6.0]


def test_newcomers_expect_what_the_motive_has_learnt() -> None:
    changes = (
        QUIET
        | newcomers(3)
        | {
            "learns_from": "own_bills",
            "motives.steady.education_speed": 0.5,
            "plans.main.advertised_share_yuan": 9.0,
        }
    )
    before = 9.0
    for period, _, pools, full in unfold(scenario(changes, SMALL)):
        own = before + 0.5 * (1.0 - before)
        assert full.expected[period, 0, 0] == pytest.approx(own, rel=1e-12)
        before = float(pools.expectation[0, 0])


def test_cells_know_the_mean_balance_of_their_members() -> None:
    prepaid = {"deposit_yuan": 4.0, "low_balance_yuan": 1.0, "top_up": 0.5}
    changes = (
        MIXED
        | A_YUAN
        | {
            "plans.main.prepaid": prepaid,
            "platform.interest_rate": 0.2,
            "claims.level": 0.01,
        }
    )
    for period, parameters, pools, full in unfold(scenario(changes, SMALL)):
        here = members_of(full)
        of = full.vintages[here.vintage]
        balance = full.balance[here.vintage, here.group]
        total = 0.0
        for stage, group in {*zip(of["stage"], here.group + 2 * of["years"], strict=True)}:
            alike = (of["stage"] == stage) & (here.group + 2 * of["years"] == group)
            mean = balance[alike].mean()
            assert pools.balance[0, stage, group] == pytest.approx(mean, rel=1e-12)
            total += balance[alike].sum()
        assert pools.plan["balances"][0] == pytest.approx(total, rel=1e-12)
        assert_agree(parameters, pools, full, period)
