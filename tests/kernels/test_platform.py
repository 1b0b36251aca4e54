"""The pool closes for the first cause that holds, and says what it leaves unpaid."""

from typing import Any

import numpy as np
import pytest

from kernels import claims, platform
from kernels.draws import Purpose
from kernels.state import ACCEPTED, REFUSED
from tests import oracles_draws
from tests.kernels.pools import (
    BASE,
    FEMALE,
    MALE,
    OLD,
    SEED,
    STANDARD,
    STEADY,
    WAIT,
    YOUNG,
    Pool,
    group,
    pool,
)

M0, F1 = group(STANDARD, YOUNG, MALE), group(STANDARD, OLD, FEMALE)
PATH = 9
FLOOR = {"closure.floor_members": 100, "closure.floor_from_period": 3}
LIMIT = {"closure.share_limit_yuan": 5.0, "closure.share_limit_periods": 3}
ORDER = {"closure.regulation_hazard": [{"from_period": 3, "value": 1e6}]}


def cause(small: Pool, period: int, share: float = 0.0, members: int = 1_000) -> str:
    small.state.pool["members"][0] = members
    small.state.plan["share"][:] = share
    code = platform.closure_cause(small.parameters, small.state, SEED, PATH, period)
    return platform.CLOSURE_CAUSES[code]


def causes(small: Pool, shares: list[float]) -> list[str]:
    return [cause(small, period, share) for period, share in enumerate(shares)]


@pytest.mark.parametrize(
    ("period", "members", "expected"),
    [(2, 99, "none"), (3, 99, "too_small"), (3, 100, "none"), (7, 0, "too_small")],
)
def test_a_pool_below_its_floor_closes_once_the_floor_is_tested(
    period: int, members: int, expected: str
) -> None:
    assert cause(pool(FLOOR), period, members=members) == expected


def test_without_causes_even_an_empty_pool_goes_on() -> None:
    assert cause(pool(), 11, share=1e9, members=0) == "none"


def test_only_successive_shares_above_the_limit_close_the_pool() -> None:
    shares = [6.0, 6.0, 5.0, 5.1, 9.0, 5.1]
    assert causes(pool(LIMIT), shares) == ["none"] * 5 + ["share_limit"]


def test_each_plan_counts_its_own_periods_above_the_limit() -> None:
    small = pool(LIMIT | {"plans.other": BASE["plans"]["main"]})
    found = []
    for period, shares in enumerate([(6.0, 0.0), (0.0, 6.0), (6.0, 6.0), (0.0, 6.0)]):
        small.state.pool["members"][0] = 1_000
        small.state.plan["share"][:] = shares
        found.append(platform.closure_cause(small.parameters, small.state, SEED, PATH, period))
    assert [platform.CLOSURE_CAUSES[code] for code in found] == ["none"] * 3 + ["share_limit"]


def test_an_order_comes_when_its_hazard_is_above_the_draw() -> None:
    assert [cause(pool(ORDER), period) for period in (2, 3)] == ["none", "regulation"]


@pytest.mark.parametrize("hazard", [0.05, 0.8, 4.0])
def test_orders_come_in_the_periods_of_the_twins_draws(hazard: float) -> None:
    small = pool({"closure.regulation_hazard": [{"from_period": 0, "value": hazard}]})
    chance = oracles_chance(hazard / 4)
    expected = []
    for period in range(12):
        where = oracles_draws.Address(int(SEED), PATH, Purpose.CLOSURE, period, 0)
        drawn = oracles_draws.uniforms(where)[0]
        expected.append("regulation" if drawn < chance else "none")
    assert causes(small, [0.0] * 12) == expected


def oracles_chance(hazard: float) -> float:
    return float(1 - np.exp(-hazard))


def test_an_endless_hazard_closes_the_pool_and_none_does_not() -> None:
    small = pool(ORDER)
    small.parameters.periods["closure_hazard"][:] = (0.0,) * 6 + (np.inf,) * 6
    assert causes(small, [0.0] * 7) == ["none"] * 6 + ["regulation"]


def test_causes_are_tested_in_the_order_of_the_model() -> None:
    every: dict[str, Any] = FLOOR | LIMIT | ORDER | {"closure.share_limit_periods": 1}
    assert cause(pool(every), 3, share=6.0, members=99) == "too_small"
    assert cause(pool(every), 3, share=6.0, members=100) == "share_limit"
    assert cause(pool(every), 3, share=5.0, members=100) == "regulation"
    assert cause(pool(every), 2, share=5.0, members=99) == "none"


# What is left unpaid

DELAYS = {
    "claims.report_delay": [0.25, 0.25, 0.25, 0.25],
    "plans.main.benefit_limit_yuan_per_payer": 2.0,
    "claims.severity": {
        "severe": {"probability": 0.5, "benefit_fraction": 1.0},
        "mild": {"probability": 0.5, "benefit_fraction": 0.5},
    },
}


def test_claims_unpaid_at_closure_are_what_would_have_been_paid_had_it_gone_on() -> None:
    small = pool(DELAYS)
    state, period = small.state, 6
    state.payers[0, WAIT, M0] = 100  # a case pays at most 200
    for later in (1, 2, 3):
        state.pending[0, (period + later) % 4, ACCEPTED, M0] = 3 * later
        state.pending[0, (period + later) % 4, ACCEPTED, F1] = 4
        state.pending[0, (period + later) % 4, REFUSED, F1] = 5
    before = state.pending.copy()
    unpaid = platform.claims_left_unpaid(small.parameters, state, SEED, PATH, 0, period)
    assert (state.pending == before).all(), "a look ahead changes nothing"
    paid = 0.0
    for later in (1, 2, 3):
        claims.assess(small.parameters, state, SEED, PATH, 0, period + later)
        paid += claims.benefits_due(small.parameters, state.accepted[0], 0, 100)[0]
    assert unpaid == paid > 0.0


def test_nothing_is_left_unpaid_of_claims_that_were_settled_or_will_be_refused() -> None:
    small = pool(DELAYS)
    small.state.payers[0, WAIT, M0] = 100
    small.state.members[0, WAIT, 0, STEADY, M0] = 100
    small.state.pending[0, :, REFUSED, M0] = 7
    small.state.pending[0, 6 % 4, ACCEPTED, M0] = 2  # due in the period of the closure itself
    assert platform.claims_left_unpaid(small.parameters, small.state, SEED, PATH, 0, 6) == 0.0


def test_a_plan_that_settles_at_once_leaves_no_claim_unpaid() -> None:
    small = pool()
    small.state.pending[0, 0, ACCEPTED, M0] = 2
    assert platform.claims_left_unpaid(small.parameters, small.state, SEED, PATH, 0, 6) == 0.0
