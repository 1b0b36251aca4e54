"""A mechanism at the setting at which it does nothing changes no bit of a path.

Neutral are the settings at which a formula of the model reduces to the one without the mechanism,
written out rather than left to the defaults.
"""

from typing import Any

import pytest

from configs.scenario import Scenario
from tests.scenarios import (
    Fields,
    History,
    a_scenario,
    changed,
    channel,
    people,
    simulate,
    steep_table,
)

SEED = 90

WHOLE = [{"from_period": 0, "value": 0.0}]


def a_lively_pool(**changes: Any) -> Scenario:
    """A pool in which shares move, members fail to pay, read, grow loyal and leave."""
    lively = {
        "periods": 30,
        "age_edges": (30, 40, 60),
        "market_members": 200_000,
        "plans": {
            "main": {
                "wait_periods": 2,
                "fee_rate": 0.08,
                "custody_yuan_per_member_year": 0.3,
                "grace_failures": 2,
                "advertised_share_yuan": 0.5,
            }
        },
        "motives": {
            "member": {
                "payment_failure": 0.1,
                "lapse": {
                    "base": 0.01,
                    "first_bill": 0.05,
                    "bill_shock": 0.01,
                    "growth": 0.05,
                    "news": 0.02,
                    "burden": 1.0,
                },
            }
        },
        "health": {"standard": {"acceptance": 0.7}, "impaired": {"incidence_factor": 3.0}},
        "claims": {
            "incidence": steep_table([0.001 * age for age in range(106)]),
            "report_delay": (0.2, 0.5, 0.3),
            "dispute_probability": 0.5,
        },
        "channels": {
            "organic": channel(push=[{"from_period": 0, "value": 0.01}], word_of_mouth=0.2)
        },
        "news": {"persistence": 0.5, "base": 0.3, "per_dispute": 0.05, "size": 0.2},
        "initial_members": [
            people(3_000, tenure_periods=8),
            people(500, age=35, health="impaired"),
        ],
    }
    return changed(a_scenario(**lively), **changes)


NEUTRAL: dict[str, Fields] = {
    "everybody reads every bill": {
        "attention_slope": 3.0,
        "motives": {"member": {"attention": 1.0}},
    },
    "no dead zone": {"dead_zone": 0.0},
    "no loyalty": {"loyalty_per_year": 0.0},
    "all classes of health leave alike": {
        "health": {"standard": {"lapse_ratio": 1.0}, "impaired": {"lapse_ratio": 1.0}}
    },
    "a common shock without volatility": {
        "claims": {"common_shock": {"volatility": 0.0, "persistence": 0.9}}
    },
    "no trend": {"claims": {"trend_per_year": 0.0}},
    "a platform that pays nothing of the cost": {"plans": {"main": {"platform_pays": WHOLE}}},
    "a platform whose losses a parent covers": {"platform": {"parent": True}},
    "sales without commission": {
        "platform": {"sales_yuan_per_member_year": 10.0, "cannibalisation": 0.5}
    },
    "interest on no money": {"platform": {"interest_rate": 0.05, "interest_to": "platform"}},
    "custody of no money that could be lost": {"platform": {"funds_in_custody": False}},
    "a wind-down that never comes": {
        "closure": {"wind_down_periods": 4, "wind_down_by": "platform"}
    },
    "contributions given back at a closure that never comes": {
        "closure": {"returned_contributions": 1.0}
    },
    "a deadline for profits after the end": {"closure": {"profit_deadline_period": 30}},
    "appeals that move nobody": {
        "channels": {
            "organic": {"funnel": {"appeals": WHOLE, "donors_per_appeal": 9.0, "conversion": 0.5}}
        }
    },
    "one pool by name": {"pools": {"only": {}}},
    "one pool by name with all its settings": {
        "plans": {"main": {"pool": "only"}},
        "pools": {
            "only": {
                "joining": {},
                "news": {"persistence": 0.5, "base": 0.3, "per_dispute": 0.05, "size": 0.2},
                "platform": {},
                "closure": {},
            }
        },
        "industry": {"closure_jump": 5.0},
    },
}


def assert_same(here: History, there: History) -> None:
    for name in History._fields:
        assert getattr(here, name).tobytes() == getattr(there, name).tobytes(), name


@pytest.mark.parametrize("setting", NEUTRAL)
def test_a_mechanism_at_its_neutral_setting_changes_no_bit(setting: str) -> None:
    here = simulate(a_lively_pool(), SEED, 2)
    assert here.rows["lapses_growth"].sum() > 100
    assert_same(here, simulate(a_lively_pool(**NEUTRAL[setting]), SEED, 2))


def test_a_pool_that_nobody_is_in_changes_no_bit_of_the_other() -> None:
    empty = {
        "max_age": 59,
        "benefit": [{"from_age": 0, "benefit_yuan": 500.0}],
        "advertised_share_yuan": 1.0,
        "pool": "empty",
    }
    beside = a_lively_pool(
        plans={"main": {"pool": "only"}, "empty": empty}, pools={"only": {}, "empty": {}}
    )
    here, there = simulate(a_lively_pool(), SEED, 2), simulate(beside, SEED, 2)
    assert here.rows[:, :, 0].tobytes() == there.rows[:, :, 0].tobytes()
    assert here.pools[:, 0].tobytes() == there.pools[:, 0].tobytes()


@pytest.mark.parametrize("rule", ["equal", "table", "expected"])
def test_bands_that_pool_nothing_are_one_band(rule: str) -> None:
    """One band that keeps or cedes all it costs shares it by the rule inside, to rounding."""
    weights = [{"from_age": 0, "male": 1.0, "female": 0.8}, {"from_age": 40, "female": 2.0}]
    own = {"weights": weights} if rule == "table" else {}
    plain = simulate(a_lively_pool(plans={"main": {"rule": rule, **own}}), SEED)
    for quota in (0.0, 1.0):
        bands = {"from_ages": [0], "quota": quota, "rule": rule}
        plan = {"rule": "pooled_bands", "pooled_bands": bands, **own}
        pooled = simulate(a_lively_pool(plans={"main": plan}), SEED)
        first = plain.rows["cases"].nonzero()[1][0]
        for name in ("share", "billed"):
            here, there = pooled.rows[name][0, first, 0], plain.rows[name][0, first, 0]
            assert abs(here - there) <= 1e-12 * there
    assert plain.rows["cases"].sum() > 50


def test_a_reserve_that_forgets_at_once_charges_what_it_costs() -> None:
    """Smoothing with persistence 0 and no loading leaves its reserve as it is, to rounding."""
    smooth = {"smoothing": {"persistence": 0.0}, "reserve_yuan": 1e6}
    here = simulate(a_lively_pool(), SEED, 2).rows
    there = simulate(a_lively_pool(plans={"main": smooth}), SEED, 2).rows
    for name in ("billed", "share", "subsidy", "platform_cash"):
        assert abs(here[name] - there[name]).max() <= 1e-9 * (1.0 + abs(here[name]).max()), name
    assert abs(there["reserve"] - 1e6).max() <= 1e-3
