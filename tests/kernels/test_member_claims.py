"""Who falls ill leaves in the end, each once, with what the period's cases are paid."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kernels import member_claims
from kernels.member_claims import draw_delay
from tests.kernels.members import (
    A_YUAN,
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
from tests.kernels.pools import DOOMED, scenario
from tests.statistics.checks import assert_counts, assert_is_zero

FIVE: dict[str, Any] = {"initial_members": [people(5)], "periods": 6}
MANY: dict[str, Any] = {"market_members": 10**6}
LATE = {"claims.report_delay": [0.0, 0.0, 1.0]}


def refusing(leaves: bool) -> dict[str, Any]:
    """Let the assessment refuse everybody."""
    return DOOMED | {
        "health.standard": {"acceptance": 0.0, "leaves_on_rejection": leaves},
    }


# By hand


def test_who_falls_ill_pays_his_share_of_the_cases_and_leaves_with_the_benefit() -> None:
    path = simulate(DOOMED | FIVE)
    assert path.causes() == {"claimed": 5}
    assert path.distinct("left", "bills", "paid", "received") == [(0, 1, 300.0, 300.0)]


def test_who_does_not_pay_for_his_own_case_is_not_billed_for_it() -> None:
    path = simulate(DOOMED | FIVE | A_YUAN | {"plans.main.claimants_pay": False})
    assert path.distinct("left", "bills", "paid", "received") == [(0, 0, 0.0, 300.0)]


def test_a_diagnosis_in_the_waiting_period_ends_the_membership_without_a_benefit() -> None:
    waiting = {"initial_members": [people(5, tenure_periods=0)], "plans.main.wait_periods": 3}
    path = simulate(DOOMED | A_YUAN | waiting | {"plans.main.waiting_members_pay": True})
    assert path.column("diagnoses")[0] == path.column("lapses_early_diagnosis")[0] == 5
    assert path.distinct("left", "bills", "received") == [(0, 0, 0.0)]


def test_the_debt_and_the_balance_of_who_falls_ill_while_he_waits() -> None:
    """He falls ill in the second year, his first bill unpaid, or his balance drawn on once."""
    changes = (
        A_YUAN
        | DOOMED
        | {
            "initial_members": [people(5, tenure_periods=0)],
            "plans.main.wait_periods": 9,
            "plans.main.waiting_members_pay": True,
            "periods": 4,
            "claims.level": 0.5,
        }
    )
    owing = {"motives.steady.payment_failure": 1.0, "plans.main.grace_failures": 5}
    chosen = scenario(changes | owing | {"initial_members.0.members": 90}, SMALL)
    path = simulate_members(chosen)
    later = path.rows[(path.rows["cause"] == 11) & (path.rows["left"] > 0)]
    assert later.size > 5
    assert not later["paid"].any()
    assert (later["bills"] == later["left"]).all()
    assert_rows_add_up(chosen, path)
    saved = {"plans.main.prepaid": {"deposit_yuan": 9.0, "low_balance_yuan": 1.0, "top_up": 1.0}}
    chosen = scenario(changes | saved | {"initial_members.0.members": 90}, SMALL)
    path = simulate_members(chosen)
    early = path.rows[path.rows["cause"] == 11]
    assert (early["returned"] == 9.0 - early["left"]).all()
    assert_rows_add_up(chosen, path)


def test_a_case_is_paid_when_its_delay_is_over_and_bills_come_until_then() -> None:
    path = simulate(DOOMED | FIVE | LATE | A_YUAN)
    assert path.column("members")[:4] == [5, 5, 0, 0]
    assert path.distinct("left", "bills", "paid", "received") == [(2, 3, 303.0, 300.0)]


def test_claims_are_settled_with_the_debt_and_the_balance_is_paid_back() -> None:
    """The bill of the first period failed; the claims of the second settle it."""
    chosen = scenario(
        A_YUAN
        | LATE
        | DOOMED
        | {
            "claims.trend_per_year": 1e9,  # certain after a while, and not before
            "claims.level": 1e-3,
            "initial_members": [people(60)],
            "motives.steady.payment_failure": 0.5,
            "plans.main.grace_failures": 8,
            "plans.main.caps": {"per_case_yuan": 1.0, "excess_to": "platform"},
            "periods": 7,
        },
        SMALL,
    )
    path = simulate_members(chosen)
    assert path.causes()["claimed"] > 50
    assert_rows_add_up(chosen, path)
    prepaid = {"deposit_yuan": 1_000.0, "low_balance_yuan": 0.0, "top_up": 1.0}
    path = simulate(DOOMED | FIVE | LATE | {"plans.main.prepaid": prepaid})
    assert path.distinct("left", "returned", "received") == [(2, 1_000.0, 300.0)]


def test_who_is_refused_leaves_where_he_must() -> None:
    path = simulate(refusing(leaves=True) | FIVE | LATE | A_YUAN)
    assert path.column("rejections") == [0, 0, 5, 0, 0, 0]
    # the period's bills come after the assessment
    assert path.distinct("left", "bills", "paid", "received") == [(2, 2, 2.0, 0.0)]
    assert path.causes() == {"rejected": 5}


def test_who_is_refused_stays_where_he_may_and_claims_again() -> None:
    path = simulate(refusing(leaves=False) | FIVE | LATE | A_YUAN)
    assert path.column("rejections") == [0, 0, 5, 5, 5, 5]
    assert path.column("diagnoses") == [5] * 6
    assert path.causes() == {"still": 5}
    assert path.distinct("left", "bills", "paid", "received") == [(-1, 6, 6.0, 0.0)]


def test_claims_of_a_path_that_ends_before_they_are_assessed() -> None:
    path = simulate(DOOMED | FIVE | LATE | A_YUAN | {"periods": 2})
    assert path.causes() == {"still": 5}
    assert path.distinct("left", "bills", "paid", "received") == [(-1, 2, 2.0, 0.0)]


def test_there_is_room_for_more_claims_than_were_ever_there() -> None:
    chosen = scenario(DOOMED | LATE | {"initial_members": [people(200)]}, SMALL)
    moment = next(unfold(chosen))
    assert moment.roster.size[0]["pending"] == 200 < moment.roster.pending.size
    assert_agree(moment.parameters, moment.state, moment.roster, moment.period)
    assert simulate_members(chosen).causes() == {"claimed": 200}


def test_each_severity_pays_its_part_and_no_more_than_the_limit() -> None:
    severity = {
        "severe": {"probability": 0.5, "benefit_fraction": 1.0},
        "mild": {"probability": 0.5, "benefit_fraction": 0.3},
    }
    changes = DOOMED | {"initial_members": [people(40)], "claims.severity": severity}
    path = simulate(changes)
    assert path.distinct("received") == [(90.0,), (300.0,)]
    path = simulate(changes | {"plans.main.benefit_limit_yuan_per_payer": 2.5})
    assert path.distinct("received") == [(90.0,), (100.0,)]
    assert path.rows["received"].sum() == pytest.approx(path.column("benefits")[0], rel=1e-12)


def test_caps_that_cut_benefits_cut_all_of_them_alike() -> None:
    caps = {"per_period_yuan": 30.0, "excess_to": "benefits"}
    path = simulate(DOOMED | FIVE | {"plans.main.caps": caps})
    assert path.distinct("paid", "received") == [(30.0, 30.0)]


def test_of_the_last_benefits_only_those_are_received_for_which_there_was_money() -> None:
    """No bill is paid by who is well, and there is no parent: the pool is broke at once."""
    changes = FIVE | {
        "claims.level": 8.0,
        "initial_members": [people(50)],
        "motives.steady.payment_failure": 1.0,
        "platform.funding_yuan": 150.0,
        "platform.parent": False,
    }
    chosen = scenario(changes, SMALL)
    path = simulate_members(chosen)
    assert path.column("defaulted")[-1] > 0.0
    received = path.rows["received"][path.rows["cause"] == 12]
    assert received.sum() == pytest.approx(path.column("benefits")[-1], rel=1e-12)
    assert 0.0 < received[0] < 300.0
    assert (received == received[0]).all()
    assert_rows_add_up(chosen, path)


# Frailty


def test_who_has_no_frailty_never_falls_ill() -> None:
    frailty = {"law": "discrete", "values": [0.0, 2.0], "probabilities": [0.5, 0.5]}
    changes = DOOMED | {"claims.frailty": frailty, "initial_members": [people(50)], "periods": 2}
    chosen = scenario(changes, SMALL)
    moment = next(unfold(chosen))
    full = moment.roster
    classes = full.classes[: full.size[0]["classes"]]
    assert sorted(zip(classes["kind"], classes["frailty"], strict=True)) == [(0, 0.0), (1, 2.0)]
    assert set(members_of(full).frailty) == {0.0}
    assert simulate_members(chosen).distinct("cause", "frailty") == [(-1, 0.0), (12, 2.0)]


@pytest.mark.statistical
@pytest.mark.parametrize("law", ["none", "discrete", "gamma"])
def test_each_falls_ill_with_a_probability_of_his_own(law: str) -> None:
    """Counts by band of frailty and sex: z-tests; false alarm under 1e-5 for each law."""
    laws: dict[str, Any] = {
        "none": None,
        "discrete": {"law": "discrete", "values": [0.5, 3.0], "probabilities": [0.8, 0.2]},
        "gamma": {"law": "gamma", "variance": 0.8},
    }
    both = [people(10_000), people(10_000, sex="female", health="impaired")]
    chosen = scenario(
        MANY | LATE | {"claims.frailty": laws[law], "initial_members": both, "periods": 1}, SMALL
    )
    rows = simulate_members(chosen).rows
    moment = next(unfold(chosen))
    assert moment.parameters.groups["hazard"][0] == pytest.approx(0.01)
    ill = np.isin(
        rows["member"], moment.roster.pending["number"][: moment.roster.size[0]["pending"]]
    )
    hazard = moment.parameters.groups["hazard"][rows["group"]] * rows["frailty"]
    # who has been a member for 50 periods has nearly the ultimate incidence
    wear = moment.parameters.initial_wear.min()
    start = moment.parameters.market[0]["selection_start"]
    chance = -np.expm1(-hazard * (1.0 - (1.0 - start) * wear))
    for group in set(rows["group"].tolist()):
        edges = np.quantile(rows["frailty"], [0.3, 0.6, 0.8])
        for band in range(4):
            here = (rows["group"] == group) & (np.searchsorted(edges, rows["frailty"]) == band)
            assert_is_zero((ill - chance)[here].sum(), (chance * (1 - chance))[here].sum() + 1e-9)


# Delays and severities


@pytest.mark.parametrize(
    ("delay", "v", "periods"),
    [
        ([1.0], 0.999, 0),
        ([0.5, 0.5], 0.499, 0),
        ([0.5, 0.5], 0.501, 1),
        ([0.0, 0.2, 0.0, 0.8], 0.1, 1),
        ([0.0, 0.2, 0.0, 0.8], 0.3, 3),
        ([0.7, 0.3, 0.0], 1.0 - 2.0**-53, 1),
        ([1.0, 0.0], 1.0 - 2.0**-53, 0),
    ],
)
def test_a_delay_is_found_by_inversion_and_an_impossible_one_never(
    delay: list[float], v: float, periods: int
) -> None:
    assert draw_delay(np.array(delay), v) == periods


@pytest.mark.statistical
def test_outcome_delay_and_severity_have_their_probabilities() -> None:
    """Three chi-squares at 1e-6: false alarm under 3e-6."""
    severity = {
        "severe": {"probability": 0.6, "benefit_fraction": 1.0},
        "mild": {"probability": 0.4, "benefit_fraction": 0.3},
    }
    delay = [0.2, 0.5, 0.3]
    changes = DOOMED | {
        "claims.severity": severity,
        "claims.report_delay": delay,
        "health.standard": {"acceptance": 0.7, "leaves_on_rejection": True},
        "market_members": 10**6,
        "initial_members": [people(20_000)],
        "periods": 3,
    }
    path = simulate(changes)
    rows = path.rows
    assert_counts(np.bincount(rows["left"], minlength=3), delay)
    assert_counts([(rows["cause"] == cause).sum() for cause in (12, 13)], [0.7, 0.3])
    received = rows["received"][rows["cause"] == 12]
    assert_counts([(received > 200).sum(), (received < 200).sum()], [0.6, 0.4])
    by_outcome = [
        np.bincount(rows["left"][rows["cause"] == cause], minlength=3) for cause in (12, 13)
    ]
    for counts in by_outcome:
        assert_counts(counts, delay)


# The first bill


def test_the_free_bill_of_a_newcomer_who_claims() -> None:
    """Newcomers are doomed, so each is billed once, as a claimant: nothing, as it is his first."""
    chosen = scenario(
        DOOMED
        | newcomers(10)
        | {"plans.main.first_bill_free": True, "tenure.bands": 1, "periods": 3},
        SMALL,
    )
    path = simulate_members(chosen)
    assert_rows_add_up(chosen, path)
    assert path.causes() == {"claimed": 30}


def test_a_claim_is_forgotten_and_the_last_takes_its_place() -> None:
    chosen = scenario(DOOMED | LATE | {"initial_members": [people(4)], "periods": 1}, SMALL)
    full = next(unfold(chosen)).roster
    numbers = full.pending["number"][:4].tolist()
    forget: Callable[..., None] = member_claims.forget_claim
    forget(full, 1)
    assert full.pending["number"][:3].tolist() == [numbers[0], numbers[3], numbers[2]]
    assert full.size[0]["pending"] == 3


def test_quiet_markets_have_no_claims() -> None:
    path = simulate(QUIET | FIVE)
    assert path.causes() == {"still": 5}
