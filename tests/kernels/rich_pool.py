"""Two small pools in one market in which every mechanism of the model is at work at once."""

from typing import Any

from tests.kernels.pools import LAST_AGE

BY_CAUSE = {
    "base": 0.004,
    "first_bill": 0.05,
    "bill_shock": 0.03,
    "growth": 0.02,
    "burden": 0.4,
    "news": 0.02,
    "competitor": 0.03,
    "regulation": 0.05,
}
PLAN: dict[str, Any] = {
    "max_age": 59,
    "successor": None,
    "wait_periods": 1,
    "waiting_members_pay": False,
    "claimants_pay": True,
    "benefit": [
        {"from_age": 0, "benefit_yuan": 400.0},
        {"from_age": 30, "benefit_yuan": 250.0},
    ],
    "benefit_limit_yuan_per_payer": 1.1,
    "fee_rate": 0.08,
    "custody_yuan_per_member_year": 0.6,
    "rule": "expected",
    "caps": {
        "per_case_yuan": 1.5,
        "per_period_yuan": 6.0,
        "per_year_yuan": 20.0,
        "excess_to": "platform",
    },
    "rounding": "largest_remainder",
    "trivial_share_yuan": 0.5,
    "advertised_share_yuan": 1.0,
    "grace_failures": 2,
    "uncollected_to": "next_period",
}
JOINING: dict[str, Any] = {
    "price_sensitivity": 2.0,
    "news_sensitivity": 0.05,
    "max_growth": 0.3,
    "max_joins": 150,
}
NEWS: dict[str, Any] = {
    "persistence": 0.5,
    "size": 0.4,
    "base": 0.3,
    "per_dispute": 0.2,
    "per_share_jump": 0.5,
    "per_market_share": 0.5,
    "echo": 0.3,
    "jumps": [{"period": 6, "size": 2.0}],
}
PLATFORM: dict[str, Any] = {
    "funding_yuan": 1_000.0,
    "parent": True,
    "sales_yuan_per_member_year": 4.0,
    "commission_rate": 0.2,
    "cannibalisation": 0.25,
    "interest_rate": 0.06,
    "interest_to": "members",
    "custody_from": "members",
    "funds_in_custody": True,
    "investigation_yuan_per_claim": 3.0,
    "operating_yuan_per_year": 90.0,
    "operating_yuan_per_member_year": 0.3,
}
CLOSURE: dict[str, Any] = {
    "floor_members": 5_900,
    "floor_from_period": 21,
    "share_limit_yuan": 500.0,
    "share_limit_periods": 4,
    "regulation_hazard": [{"from_period": 20, "value": 0.01}],
    "profit_deadline_period": 40,
    "wind_down_periods": 2,
    "wind_down_by": "members",
    "returned_contributions": 0.1,
}
RICH: dict[str, Any] = {
    "title": "Everything at once",
    "system": "none",
    "sources": ["made up"],
    "start_date": "2020-01-01",
    "periods": 24,
    "periods_per_year": 6,
    "market_members": 6_000,
    "income_yuan_per_year": 1_000.0,
    "age_edges": [18, 30, 40, 60],
    "tenure": {"bands": 3, "band_periods": 2},
    "plans": {
        "main": PLAN | {"max_age": 39, "successor": "elder", "wait_periods": 2},
        "elder": PLAN
        | {
            "rule": "equal",
            "rounding": "next_fen",
            "waiting_members_pay": True,
            "claimants_pay": False,
            "caps": PLAN["caps"] | {"excess_to": "benefits"},
        },
        "fair": PLAN
        | {
            "rule": "table",
            "weights": [
                {"from_age": 0, "male": 1.0, "female": 0.8},
                {"from_age": 40, "male": 2.0, "female": 1.5},
            ],
            "rounding": "exact",
            "caps": PLAN["caps"] | {"excess_to": "next_period"},
            "uncollected_to": "platform",
            "first_bill_free": True,
        },
        "level": PLAN
        | {
            "rule": "linear",
            "rounding": "exact",
            "smoothing": {"persistence": 0.6, "loading_yuan": 0.05},
            "reserve_yuan": 30.0,
            "platform_pays": [{"from_period": 4, "value": 0.3}],
            "caps": {},
        },
        "fixed": PLAN
        | {
            "pool": "rival",
            "rule": "conditional_mean",
            "rounding": "exact",
            "benefit": [{"from_age": 0, "benefit_yuan": 300.0}],
            "fixed_price_yuan_per_year": 15.0,
            "reserve_yuan": 8_000.0,
            "caps": {},
        },
        "deposit": PLAN
        | {
            "pool": "rival",
            "rule": "pooled_bands",
            "pooled_bands": {"from_ages": [0, 40], "quota": 0.3, "rule": "expected"},
            "rounding": "exact",
            "prepaid": {"deposit_yuan": 9.0, "low_balance_yuan": 4.0, "top_up": 0.7},
            "caps": {},
        },
    },
    "joining": JOINING,
    "channels": {
        "web": {
            "plan": "main",
            "push": [
                {"from_period": 0, "value": 0.02},
                {"from_period": 12, "value": 0.01},
            ],
            "word_of_mouth": 0.05,
            "ages": [
                {"from_age": 18, "to_age": 34, "male": 0.4, "female": 0.3},
                {"from_age": 35, "to_age": 39, "male": 0.1, "female": 0.2},
            ],
            "motives": {"steady": 0.5, "bargain": 0.5},
            "health": {"standard": 0.8, "impaired": 0.1, "ineligible": 0.1},
            "padding": 0.1,
        },
        "funnel": {
            "plan": "fair",
            "push": [{"from_period": 0, "value": 0.02}],
            "word_of_mouth": 0.02,
            "ages": [{"from_age": 18, "to_age": 59, "male": 0.5, "female": 0.5}],
            "motives": {"bargain": 1.0},
            "health": {"standard": 1.0},
            "funnel": {
                "appeals": [
                    {"from_period": 0, "value": 2.0},
                    {"from_period": 9, "value": 1.0},
                ],
                "donors_per_appeal": 40.0,
                "conversion": 0.5,
            },
            "acquisition_yuan_per_join": 0.4,
            "red_packet_yuan": 0.2,
        },
        **{
            plan: {
                "plan": plan,
                "push": [{"from_period": 0, "value": 0.01}],
                "ages": [{"from_age": 18, "to_age": 59, "male": 0.5, "female": 0.5}],
                "motives": {"steady": 0.5, "bargain": 0.5},
                "health": {"standard": 0.9, "impaired": 0.1},
            }
            for plan in ("level", "fixed", "deposit")
        },
    },
    "motives": {
        "steady": {
            "education_speed": 0.2,
            "attention": 0.6,
            "payment_failure": 0.1,
            "lapse": BY_CAUSE,
        },
        "bargain": {
            "education_speed": 0.1,
            "attention": 0.9,
            "payment_failure": 0.2,
            "lapse": {cause: 2 * value for cause, value in BY_CAUSE.items()},
        },
    },
    "health": {
        "standard": {"incidence_factor": 1.0, "acceptance": 0.9, "leaves_on_rejection": False},
        "impaired": {
            "incidence_factor": 3.0,
            "acceptance": 0.7,
            "lapse_ratio": 0.5,
            "leaves_on_rejection": False,
        },
        "ineligible": {"incidence_factor": 2.0, "acceptance": 0.2, "leaves_on_rejection": True},
    },
    "initial_members": [
        {
            "plan": plan,
            "age": age,
            "sex": sex,
            "motive": "steady",
            "health": "standard",
            "tenure_periods": 4,
            "members": 150,
        }
        for plan, age, sex in (
            ("main", 38, "male"),
            ("elder", 50, "female"),
            ("fair", 25, "male"),
            ("level", 45, "female"),
            ("fixed", 33, "male"),
            ("deposit", 52, "female"),
        )
    ],
    "claims": {
        "incidence": {
            "name": "rising",
            "first_age": 0,
            "male": [0.002 * age for age in range(LAST_AGE)],
            "female": [0.0015 * age for age in range(LAST_AGE)],
        },
        "level": 0.9,
        "trend_per_year": 0.1,
        "common_shock": {"volatility": 0.3, "persistence": 0.5},
        "selection_start": 0.4,
        "selection_years": 1.0,
        "severity": {
            "severe": {"probability": 0.7, "benefit_fraction": 1.0},
            "mild": {"probability": 0.3, "benefit_fraction": 0.3},
        },
        "report_delay": [0.4, 0.3, 0.3],
        "dispute_probability": 0.4,
        "mortality": {
            "name": "rising deaths",
            "first_age": 0,
            "male": [0.0004 * age for age in range(LAST_AGE)],
            "female": [0.0003 * age for age in range(LAST_AGE)],
        },
    },
    "shock_cap": 0.8,
    "dead_zone": 0.05,
    "attention_slope": 0.6,
    "loyalty_per_year": 0.3,
    "competitor_pull": [{"from_period": 8, "value": 0.5}],
    "regulator_announcements": [10],
    "news": NEWS,
    "platform": PLATFORM,
    "closure": CLOSURE,
    "pools": {
        "home": {},
        "rival": {
            "joining": JOINING,
            "news": NEWS | {"jumps": [{"period": 4, "size": 1.0}]},
            "platform": PLATFORM | {"operating_yuan_per_year": 120.0},
            # it closes in the middle of the path, and is gone some periods before the end
            "closure": CLOSURE
            | {"floor_from_period": 12, "wind_down_by": "platform", "returned_contributions": 0.2},
        },
    },
    "industry": {
        "spill_over": {"home": {"rival": 0.2}, "rival": {"home": 0.3}},
        "closure_jump": 1.5,
        "migration": {"rival": {"home": 0.4}},
    },
}

NAMES = tuple(RICH["plans"])
PLANS = range(len(NAMES))
HOME, RIVAL = 0, 1
POOL_OF = [("home", "rival").index(RICH["plans"][name].get("pool", "home")) for name in NAMES]
FIXED, DEPOSIT = NAMES.index("fixed"), NAMES.index("deposit")
