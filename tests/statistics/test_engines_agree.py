"""Both engines, one mechanism at a time: what they leave behind has one law.

Each case is a small pool that both engines can run, with age bands of one year and, past waiting,
stages of one period, so that the cohort engine is exact too. Means and variances of all columns of
all periods are compared, over as many paths of the one as of the other and under other seeds.

How often a correct program would fail: a case makes 150 to 600 comparisons, each beyond 4.5
standard errors with 6.8e-6 under a normal law: 1e-3 to 4e-3 a case. All 81 make 21 000 together, so
that one choice of seeds in seven would raise a false alarm, fewer since columns hang together.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import pytest

from configs.scenario import Scenario
from tests.scenarios import (
    Fields,
    History,
    a_scenario,
    changed,
    channel,
    merged,
    people,
    simulate,
    steep_table,
)
from tests.statistics.engines import compare, simulate_members

pytestmark = pytest.mark.statistical

PATHS = 600
SEED_OF_COHORTS, SEED_OF_MEMBERS, SEED_OF_OTHERS = 301, 302, 303

# 60 members of two ages and a cost of some five yuan each and period: everything happens often.
SMALL: Fields = {
    "periods": 5,
    "market_members": 2_000,
    "income_yuan_per_year": 600.0,
    "age_edges": (40, 41, 42, 43),
    "tenure": {"bands": 12},
    "plans": {
        "main": {
            "max_age": 42,
            "benefit": (
                {"from_age": 0, "benefit_yuan": 100.0},
                {"from_age": 42, "benefit_yuan": 60.0},
            ),
            "advertised_share_yuan": 4.0,
        }
    },
    "claims": {"incidence": steep_table([0.2, 0.3, 0.6], 40), "level": 2.0},
    "initial_members": [
        # apart from newcomers, with whom they would share a stage
        people(40, tenure_periods=1),
        people(20, age=42, sex="male", tenure_periods=1),
    ],
}


class Case(NamedTuple):
    """A mechanism.

    here : changes to the small pool that switch it on
    stronger : further changes by which the comparison must notice that an engine errs: a third
        more of something where there is a number, else without the mechanism
    paths : int
    """

    here: Mapping[str, Any]
    stronger: Mapping[str, Any]
    paths: int = PATHS


def plan(**changes: Any) -> Fields:
    return {"plans": {"main": changes}}


def motive(**changes: Any) -> Fields:
    return {"motives": {"member": changes}}


def lapse(**strength: float) -> Fields:
    return motive(lapse=strength)


def claims(**changes: Any) -> Fields:
    return {"claims": changes}


def all_of(*parts: Mapping[str, Any]) -> Fields:
    together: Fields = {}
    for part in parts:
        together = merged(together, part)
    return together


def push(value: float, **changes: Any) -> Fields:
    """Let newcomers of all three ages and both sexes in."""
    ages = ({"from_age": 40, "to_age": 42, "male": 0.4, "female": 0.6},)
    return channel(push=[{"from_period": 0, "value": value}], ages=ages, **changes)


def joining(value: float, **changes: Any) -> Fields:
    return {"channels": {"push": push(value, **changes)}}


CUSTODY = plan(custody_yuan_per_member_year=12.0)
BURDENED = lapse(burden=0.5)
FAILING = motive(payment_failure=0.25)
FEE = plan(fee_rate=0.08)


def causes_of_lapse() -> Iterator[tuple[str, Case]]:
    def case(cause: str, strength: float, *others: Mapping[str, Any]) -> tuple[str, Case]:
        third = lapse(**{cause: strength * 4 / 3})
        return f"lapse: {cause}", Case(all_of(lapse(**{cause: strength}), *others), third)

    competitor = {"competitor_pull": [{"from_period": 1, "value": 1.5}]}
    news = {"news": {"base": 1.0, "persistence": 0.5}}
    trivial = plan(wait_periods=1, trivial_share_yuan=3.0)
    yield case("base", 0.06)
    yield case("first_bill", 0.3, trivial, joining(0.02))
    yield case("bill_shock", 0.2)
    yield case("growth", 0.3)
    yield case("burden", 0.6, plan(rule="expected"))
    yield case("news", 0.05, news)
    yield case("competitor", 0.06, competitor)
    yield case("regulation", 0.2, {"regulator_announcements": [1, 3]})
    alone = [people(60, age=40, tenure_periods=1)]  # of three ages with charges of their own
    deaths = claims(mortality=steep_table([0.2, 0.2, 0.2], 40))
    of_one_age = all_of(plan(rule="expected"), lapse(base=0.04), deaths)
    yield (
        "lapse: burden of one age",
        Case(
            all_of(case("burden", 0.6)[1].here, of_one_age, {"initial_members": alone}),
            lapse(burden=0.8),
        ),
    )
    everything = lapse(
        base=0.02, first_bill=0.1, bill_shock=0.05, growth=0.1, burden=0.2, news=0.03,
        competitor=0.03, regulation=0.1,
    )  # fmt: skip
    together = all_of(
        everything, competitor, news, {"regulator_announcements": [1, 3]}, trivial, joining(0.02)
    )
    yield "lapse: all causes", Case(together, lapse(base=0.04))
    inattentive = all_of(motive(attention=0.3), {"attention_slope": 0.5})
    read = all_of(inattentive, lapse(base=0.02, bill_shock=0.3, burden=2.0))
    yield "lapse: attention", Case(read, motive(attention=0.4))
    alarmed = all_of(motive(attention=0.0), {"attention_slope": 0.3}, news)
    dear = plan(custody_yuan_per_member_year=60.0)
    read = all_of(alarmed, lapse(bill_shock=0.3, burden=2.0), dear)
    yield "lapse: alarm", Case(read, {"attention_slope": 0.4})
    tenured = {"initial_members": [people(30), people(30, tenure_periods=6)]}
    loyal = all_of(lapse(base=0.15), tenured, joining(0.01), {"loyalty_per_year": 3.0})
    yield "lapse: loyalty", Case(loyal, {"loyalty_per_year": 4.0})
    dead = all_of(lapse(bill_shock=0.6, growth=0.6), {"dead_zone": 0.6})
    yield "lapse: dead zone", Case(dead, {"dead_zone": 0.8})


def ways_to_share() -> Iterator[tuple[str, Case]]:
    weights = (
        {"from_age": 0, "male": 1.0, "female": 0.9},
        {"from_age": 42, "male": 3.0, "female": 2.0},
    )
    common = all_of(BURDENED, FEE, joining(0.01))
    equal = plan(rule="equal")
    yield "rule: equal", Case(all_of(common, equal), plan(rule="expected"))
    for rule in ("expected", "linear", "minimum_variance", "conditional_mean"):
        yield f"rule: {rule}", Case(all_of(common, plan(rule=rule)), equal)
    heavier = ({"from_age": 0, "male": 1.0, "female": 0.9}, {"from_age": 42, "male": 4.0})
    tabled = all_of(common, plan(rule="table", weights=weights))
    yield "rule: table", Case(tabled, plan(weights=heavier))
    bands = {"from_ages": [0, 42], "quota": 0.6, "rule": "equal"}
    banded = all_of(common, plan(rule="pooled_bands", pooled_bands=bands))
    yield "rule: pooled bands", Case(banded, plan(pooled_bands={"quota": 0.8}))
    signed = all_of(common, plan(rule="linear", grace_failures=2), FAILING)
    yield "rule: linear, bills fail", Case(signed, motive(payment_failure=1 / 3))
    little = plan(benefit=({"from_age": 0, "benefit_yuan": 0.77},))
    for rounding in ("next_fen", "largest_remainder"):
        rounded = all_of(little, FEE, plan(rounding=rounding))
        yield f"rounding: {rounding}", Case(rounded, plan(rounding="exact"))
    for bearer in ("platform", "next_period", "benefits"):
        for cap, yuan in (("per_case_yuan", 1.2), ("per_period_yuan", 4.0), ("per_year_yuan", 12)):
            capped = all_of(common, plan(caps={cap: yuan, "excess_to": bearer}))
            more = plan(caps={cap: yuan * 4 / 3})
            yield f"cap: {cap}, {bearer}", Case(capped, more)
    limited = all_of(BURDENED, plan(benefit_limit_yuan_per_payer=1.2))
    yield "benefit limit", Case(limited, plan(benefit_limit_yuan_per_payer=1.6))
    idle = all_of(common, plan(claimants_pay=False), claims(report_delay=(0.5, 0.5)))
    yield "claimants pay nothing", Case(idle, plan(claimants_pay=True))
    waiting = all_of(common, plan(waiting_members_pay=True, wait_periods=2), CUSTODY)
    yield "waiting members pay", Case(waiting, plan(waiting_members_pay=False))


def ways_to_pay() -> Iterator[tuple[str, Case]]:
    interest = {"platform": {"interest_rate": 0.5, "interest_to": "members"}}
    smoothing = {"persistence": 0.6, "loading_yuan": 0.3}
    smoothed = plan(smoothing=smoothing, reserve_yuan=200.0)
    case = all_of(smoothed, BURDENED, FEE, interest, joining(0.01))
    yield "smoothing reserve", Case(case, plan(smoothing={"persistence": 0.8}))
    fund = plan(fixed_price_yuan_per_year=60.0, reserve_yuan=300.0)
    case = all_of(fund, lapse(burden=0.4), joining(0.01), interest)
    yield "fixed price", Case(case, plan(fixed_price_yuan_per_year=80.0))
    account = {"deposit_yuan": 14.0, "low_balance_yuan": 4.0, "top_up": 0.6}
    prepaid = all_of(plan(prepaid=account), joining(0.01), interest, lapse(base=0.02))
    yield "prepaid balances", Case(prepaid, plan(prepaid={"top_up": 0.8}))
    free = all_of(plan(prepaid=account, first_bill_free=True, wait_periods=1), joining(0.02))
    yield "prepaid balances, first bill free", Case(free, plan(prepaid={"top_up": 0.8}))
    gift = all_of(
        plan(first_bill_free=True, wait_periods=1), joining(0.02), lapse(first_bill=0.3), FAILING
    )
    yield "first bill free", Case(gift, lapse(first_bill=0.4))
    idle = all_of(gift, plan(claimants_pay=False), claims(report_delay=(0.5, 0.5)))
    yield "first bill free, claimants pay nothing", Case(idle, plan(claimants_pay=True))
    for grace in (1, 3):
        for bearer in ("platform", "next_period"):
            late = plan(grace_failures=grace, uncollected_to=bearer)
            failing = all_of(late, FAILING, lapse(base=0.02), joining(0.01))
            yield (
                f"failure: grace {grace}, {bearer}",
                Case(failing, motive(payment_failure=1 / 3)),
            )
    helped = plan(
        platform_pays=[{"from_period": 0, "value": 0.6}, {"from_period": 3, "value": 0.3}]
    )
    more = plan(platform_pays=[{"from_period": 0, "value": 0.8}, {"from_period": 3, "value": 0.3}])
    yield "platform pays a part", Case(all_of(helped, BURDENED), more)
    ledger = {
        "platform": {
            "funding_yuan": 1_000.0,
            "sales_yuan_per_member_year": 40.0,
            "commission_rate": 0.3,
            "cannibalisation": 0.2,
            "interest_rate": 0.3,
            "interest_to": "platform",
            "custody_from": "platform",
            "investigation_yuan_per_claim": 6.0,
            "operating_yuan_per_year": 100.0,
            "operating_yuan_per_member_year": 3.0,
        }
    }
    spending = joining(0.02, acquisition_yuan_per_join=3.0, red_packet_yuan=0.5)
    account["deposit_yuan"] = 20.0
    case = all_of(ledger, spending, CUSTODY, FEE, plan(prepaid=account))
    yield "ledger", Case(case, {"platform": {"investigation_yuan_per_claim": 8.0}})


def ways_to_join() -> Iterator[tuple[str, Case]]:
    kinds: Fields = {
        "motives": {"member": {}, "saver": {"lapse": {"base": 0.2}}},
        "health": {"standard": {}, "impaired": {"incidence_factor": 3.0}},
    }
    funnel = {
        "appeals": [{"from_period": 1, "value": 20.0}],
        "donors_per_appeal": 5.0,
        "conversion": 0.2,
    }
    word = channel(
        word_of_mouth=0.3,
        motives={"saver": 1.0, "member": 0.0},
        health={"standard": 0.0, "impaired": 1.0},
    )
    channels = {"push": push(0.01), "word": word, "funnel": push(0.0, funnel=funnel)}
    several = all_of(kinds, {"channels": channels})
    yield "channels", Case(several, {"channels": {"word": {"word_of_mouth": 0.4}}})
    deterred = {
        "joining": {"price_sensitivity": 4.0, "news_sensitivity": 0.15},
        "news": {"base": 1.0, "persistence": 0.5},
    }
    case = all_of(several, deterred)
    yield "channels, price and news", Case(case, {"joining": {"price_sensitivity": 16 / 3}})
    for pace, limit, other in (("max_growth", 0.3, 0.4), ("max_joins", 15, 20)):
        paced = all_of(several, {"joining": {pace: limit}}, lapse(base=0.1))
        yield f"pacing: {pace}", Case(paced, {"joining": {pace: other}})
    padded = all_of(
        joining(0.02, padding=0.4), CUSTODY, lapse(base=0.05), plan(grace_failures=2), FAILING
    )
    yield "padding", Case(padded, {"channels": {"push": {"padding": 0.4 * 4 / 3}}})
    tenures = [people(30, tenure_periods=t, age=a) for t, a in ((0, 40), (2, 41), (6, 42))]
    known = all_of(
        plan(wait_periods=3),
        claims(selection_start=0.2, selection_years=0.4),
        lapse(base=0.1),
        {"loyalty_per_year": 2.0, "initial_members": tenures},
    )
    fewer = [{**tenures[0], "tenure_periods": 1}, *tenures[1:]]
    yield "initial members with tenure", Case(known, {"initial_members": fewer})


def ways_to_fall_ill() -> Iterator[tuple[str, Case]]:
    early = all_of(plan(wait_periods=2), joining(0.03), BURDENED)
    yield "waiting and early diagnosis", Case(early, claims(level=8 / 3))
    wearing = claims(selection_start=0.2, selection_years=0.3)
    case = all_of(plan(wait_periods=1), joining(0.03), wearing)
    yield "selection", Case(case, claims(selection_start=0.8 / 3))
    adverse = all_of(joining(0.03), claims(selection_start=3.0, selection_years=0.3))
    yield "adverse selection", Case(adverse, claims(selection_start=4.0))
    two: Fields = {
        "health": {
            "standard": {"acceptance": 0.75},
            "impaired": {"incidence_factor": 2.0, "acceptance": 0.4},
        },
        "claims": {"dispute_probability": 0.5},
        "initial_members": [people(40), people(20, age=42), people(20, health="impaired")],
    }
    yield "health: acceptance", Case(two, {"health": {"standard": {"acceptance": 1.0}}})
    thrown_out = {"health": {"impaired": {"leaves_on_rejection": True}}}
    delayed = claims(report_delay=(0.4, 0.3, 0.3))
    case = all_of(two, thrown_out, delayed)
    yield "health: rejected leave", Case(case, {"health": {"impaired": {"acceptance": 1.6 / 3}}})
    loyal = all_of(
        two, lapse(base=0.1, bill_shock=0.1), {"health": {"impaired": {"lapse_ratio": 0.3}}}
    )
    yield "health: lapse ratio", Case(loyal, {"health": {"impaired": {"lapse_ratio": 0.9}}})
    severity = {
        "severe": {"probability": 0.6, "benefit_fraction": 1.0},
        "mild": {"probability": 0.4, "benefit_fraction": 0.2},
    }
    less = {
        "severe": {"probability": 0.8, "benefit_fraction": 1.0},
        "mild": {"probability": 0.2, "benefit_fraction": 0.2},
    }
    yield "severity", Case(claims(severity=severity), claims(severity=less))
    later = claims(report_delay=(0.6, 0.2, 0.2))
    case = all_of(delayed, FAILING, plan(grace_failures=2), joining(0.01))
    yield "reporting delay", Case(case, later)
    shock = claims(common_shock={"volatility": 0.6, "persistence": 0.6})
    yield "common shock", Case(shock, claims(common_shock={"volatility": 0.8}))
    yield "trend", Case(claims(trend_per_year=8.0), claims(trend_per_year=11.0))
    deaths = [0.6, 0.7, 0.75]
    mortal = all_of(claims(mortality=steep_table(deaths, 40)), lapse(base=0.04), BURDENED)
    more = claims(mortality=steep_table([rate * 4 / 3 for rate in deaths], 40))
    yield "mortality", Case(mortal, more)


def ways_to_grow_old() -> Iterator[tuple[str, Case]]:
    ages = [people(15, age=age) for age in (40, 41, 42)]
    rates = [0.05, 0.1, 0.2, 0.3, 0.4]
    years: Fields = {
        "periods": 7,
        "periods_per_year": 2,
        "initial_members": ages,
        "claims": {"incidence": steep_table(rates[:3], 40)},
    }
    late = all_of(FAILING, plan(grace_failures=3), joining(0.01))
    steeper = claims(incidence=steep_table([0.05, 0.1, 0.2 * 4 / 3], 40))
    yield "ageing", Case(all_of(years, late), steeper)
    deaths = steep_table([0.1, 0.2, 0.6], 40)
    mortal = all_of(years, claims(mortality=deaths), plan(rule="expected"), BURDENED)
    yield "ageing: mortality", Case(mortal, steeper)
    older = {
        "max_age": 44,
        "wait_periods": 1,
        "benefit": ({"from_age": 0, "benefit_yuan": 50.0},),
        "advertised_share_yuan": 3.0,
        "custody_yuan_per_member_year": 3.0,
    }
    heirs = all_of(
        years,
        late,
        {"age_edges": (40, 41, 42, 43, 44, 45), "plans": {"older": older}},
        plan(successor="older"),
        claims(incidence=steep_table(rates, 40)),
    )
    rates = [*rates[:3], 0.4, 0.4 * 4 / 3]
    yield "ageing: successor", Case(heirs, claims(incidence=steep_table(rates, 40)))
    account = {"deposit_yuan": 60.0, "low_balance_yuan": 10.0, "top_up": 0.6}
    paying = {"plans": {"main": {"prepaid": account}, "older": {"prepaid": account}}}
    more = {"plans": {"older": {"prepaid": {"top_up": 0.8}}}}
    yield "ageing: successor, prepaid", Case(all_of(heirs, paying), more)
    gift = {"plans": {"main": {"first_bill_free": True}, "older": {"first_bill_free": True}}}
    case = all_of(heirs, gift, plan(wait_periods=1))
    yield "ageing: successor, first bill free", Case(case, {"plans": {"older": {"fee_rate": 0.1}}})


def ways_to_end() -> Iterator[tuple[str, Case]]:
    excited = {
        "news": {
            "persistence": 0.4,
            "size": 0.8,
            "base": 0.3,
            "per_dispute": 1.2,
            "per_share_jump": 0.5,
            "per_market_share": 10.0,
            "echo": 0.3,
            "jumps": [{"period": 2, "size": 2.0}],
        },
        "claims": {"dispute_probability": 0.6},
        "health": {"standard": {"acceptance": 0.6}},
    }
    case = all_of(excited, lapse(news=0.05))
    yield "news", Case(case, {"news": {"per_dispute": 1.6}})

    def closing(**how: Any) -> Fields:
        common = all_of(
            lapse(base=0.05), claims(report_delay=(0.4, 0.3, 0.3)), FAILING, plan(grace_failures=3)
        )
        return all_of(common, {"closure": how})

    small = closing(floor_members=40)
    yield "closure: too small", Case(small, {"closure": {"floor_members": 36}})
    dear = closing(share_limit_yuan=4.5, share_limit_periods=2)
    yield "closure: share limit", Case(dear, {"closure": {"share_limit_yuan": 6.0}})
    ordered = closing(regulation_hazard=[{"from_period": 1, "value": 3.0}])
    more = {"closure": {"regulation_hazard": [{"from_period": 1, "value": 4.0}]}}
    yield "closure: regulation", Case(ordered, more, 3 * PATHS)
    earning = all_of(
        closing(profit_deadline_period=2),
        FEE,
        {"platform": {"operating_yuan_per_year": 12.0, "investigation_yuan_per_claim": 2.0}},
        {"periods_per_year": 3},
        {"claims": {"incidence": steep_table([0.05, 0.075, 0.15], 40)}},
    )
    yield "closure: no profit", Case(earning, plan(fee_rate=0.08 * 4 / 3))
    broke = {"platform": {"parent": False, "funding_yuan": 90.0, "funds_in_custody": False}}
    account = plan(prepaid={"deposit_yuan": 30.0, "low_balance_yuan": 5.0, "top_up": 0.7})
    risky = all_of(closing(), {"platform": {"investigation_yuan_per_claim": 6.0}}, broke, account)
    yield "closure: insolvent", Case(risky, {"platform": {"funding_yuan": 120.0}})
    ruined = all_of(
        closing(wind_down_periods=1),
        plan(fixed_price_yuan_per_year=66.0, reserve_yuan=60.0),
    )
    yield "closure: ruin", Case(ruined, plan(fixed_price_yuan_per_year=88.0))
    for bearer in ("members", "platform"):
        slow = closing(floor_members=47, wind_down_periods=2, wind_down_by=bearer)
        slow = all_of(slow, {"closure": {"returned_contributions": 0.25}})
        yield f"wind-down by {bearer}", Case(slow, {"closure": {"returned_contributions": 1 / 3}})


def another_plan(pool: str, **changes: Any) -> Fields:
    base = {
        "pool": pool,
        "max_age": 42,
        "benefit": ({"from_age": 0, "benefit_yuan": 80.0},),
        "advertised_share_yuan": 4.0,
    }
    return {**base, **changes}


def industries() -> Iterator[tuple[str, Case]]:
    later = another_plan("there", wait_periods=1, custody_yuan_per_member_year=12.0)
    two = all_of(
        plan(pool="here", grace_failures=3),
        {
            "plans": {"other": later},
            "periods": 6,
            "pools": {
                "here": {
                    "news": {"base": 2.0},
                    "closure": {"floor_members": 57, "wind_down_periods": 1},
                },
                "there": {},
            },
            "news": {"persistence": 0.5, "size": 0.7, "base": 0.2, "echo": 0.2},
            "industry": {
                "spill_over": {"here": {"there": 0.6}, "there": {"here": 0.2}},
                "closure_jump": 3.0,
                "migration": {"here": {"there": 0.6}},
            },
            "channels": {"push": push(0.005), "there": push(0.005, plan="other")},
            "initial_members": [
                *(people(15, age=39 + t, tenure_periods=t) for t in (1, 2, 3)),
                people(15, age=40, tenure_periods=4),
                people(20, plan="other", tenure_periods=1),
            ],
        },
        lapse(base=0.2, news=0.03),
        FAILING,
    )
    more = {"industry": {"migration": {"here": {"there": 0.8}}}}
    yield "two pools: migration", Case(two, more)
    more = {"industry": {"spill_over": {"here": {"there": 0.8}}}}
    yield "two pools: spill-over", Case(two, more)


GROUPS = (
    causes_of_lapse, ways_to_share, ways_to_pay, ways_to_join, ways_to_fall_ill,
    ways_to_grow_old, ways_to_end, industries,
)  # fmt: skip
CASES = {name: case for group in GROUPS for name, case in group()}


def scenario_of(name: str) -> Scenario:
    return a_scenario(**all_of(SMALL, CASES[name].here))


@cache
def paths_of_members(name: str) -> History:
    return simulate_members(scenario_of(name), SEED_OF_MEMBERS, CASES[name].paths).history


@pytest.mark.parametrize("name", CASES)
def test_engines_agree(name: str) -> None:
    """False alarm: 150 to 600 comparisons beyond 4.5 standard errors, 1e-3 to 4e-3 a case."""
    cohorts = simulate(scenario_of(name), SEED_OF_COHORTS, CASES[name].paths)
    comparison = compare(cohorts, paths_of_members(name))
    assert len(comparison.z) > 100
    assert not comparison.beyond()


@pytest.mark.parametrize("name", CASES)
def test_it_would_be_noticed_if_an_engine_erred(name: str) -> None:
    """No false alarm: a third more of something, in one engine alone, is far beyond the limit."""
    case = CASES[name]
    other = simulate(changed(scenario_of(name), **case.stronger), SEED_OF_OTHERS, case.paths)
    assert compare(other, paths_of_members(name)).beyond()
