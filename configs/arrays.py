"""From a scenario to the arrays and numbers that the kernels run on.

Everything a year-based field says is turned into periods here, every name into a position, every
band into its mean rate; nothing is drawn and nothing is decided. Group and field names are those
of the kernels' parameters.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.scenario import (
    AgeShare,
    BenefitStep,
    Channel,
    Plan,
    Scenario,
    Step,
    WeightStep,
)

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

RULES = ("equal", "table", "expected")
ROUNDINGS = ("exact", "next_fen", "largest_remainder")
EXCESS_BEARERS = ("platform", "next_period", "benefits")
UNCOLLECTED_BEARERS = ("platform", "next_period")
LAPSE_CAUSES = (
    "base",
    "first_bill",
    "bill_shock",
    "growth",
    "burden",
    "news",
    "competitor",
    "regulation",
)
NO_LIMIT = 2**62
PADDING_CODE = 7


def parameters(scenario: Scenario) -> dict[str, Any]:
    """Turn a scenario into the kernels' parameters.

    Parameters
    ----------
    scenario : Scenario

    Returns
    -------
    dict
        `periods`, `group_code`, and one dict of float64, int64 and bool arrays and Python numbers a group;
        intensities per period, money in yuan.
    """
    return {
        "periods": scenario.periods,
        "group_code": _group_code(scenario),
        "tenure": _tenure(scenario),
        "joining": _joining(scenario),
        "claims": _claims(scenario),
        "apportionment": _apportionment(scenario),
        "payment": _payment(scenario),
        "lapse": _lapse(scenario),
        "news": _news(scenario),
        "closure": _closure(scenario),
        "initial": _initial(scenario),
    }


def has_padding(scenario: Scenario) -> bool:
    """Tell whether a channel of the scenario signs up people who are nobody."""
    return any(channel.padding > 0 for channel in scenario.channels.values())


def _health_classes(scenario: Scenario) -> int:
    return len(scenario.health) + has_padding(scenario)


def _bands(scenario: Scenario) -> int:
    return len(scenario.age_edges) - 1


def _groups(by_health: Float64, by_risk: Float64) -> Float64:
    """Multiply what depends on health with what depends on age band and sex: float64[G]."""
    return np.outer(by_health, by_risk).ravel()


def _group_code(scenario: Scenario) -> Int64:
    """Number the groups in a way that does not depend on how many there are: int64[G].

    Health takes 3 bits (the padding the highest number), age band 6, sex 1.
    """
    health = np.arange(_health_classes(scenario))
    if has_padding(scenario):
        health[-1] = PADDING_CODE
    risks = np.arange(2 * _bands(scenario))
    return (health[:, None] << 7 | risks).ravel().astype(np.int64)


def _group_bands(scenario: Scenario) -> Int64:
    band = np.repeat(np.arange(_bands(scenario)), 2)
    return np.tile(band, _health_classes(scenario)).astype(np.int64)


def _schedule(steps: Sequence[Step], periods: int) -> Float64:
    values = np.zeros(periods)
    for step in steps:
        values[step.from_period :] = step.value
    return values


def _by_group(
    scenario: Scenario, steps: Sequence[BenefitStep] | Sequence[WeightStep]
) -> Float64:
    """Spread steps by age over the groups, alike for every health class: float64[G]."""
    values = np.zeros((_bands(scenario), 2))
    for band, first_age in enumerate(scenario.age_edges[:-1]):
        # the step that holds at the band's first age holds throughout: edges are checked
        step = [s for s in steps if s.from_age <= first_age][-1]
        if isinstance(step, BenefitStep):
            values[band] = step.benefit_yuan
        else:
            values[band] = step.male, step.female
    return np.tile(values.ravel(), _health_classes(scenario))


def _age_shares(edges: Sequence[int], shares: Sequence[AgeShare]) -> Float64:
    """Spread a distribution over ages over risks: float64[R], sums to 1."""
    by_risk = np.zeros((len(edges) - 1, 2))
    for share in shares:
        ages = share.to_age - share.from_age + 1
        for band, (first, end) in enumerate(pairwise(edges)):
            inside = max(0, min(end, share.to_age + 1) - max(first, share.from_age))
            by_risk[band] += np.array([share.male, share.female]) * inside / ages
    flat = by_risk.ravel()
    return flat / flat.sum()


def _plan_number(scenario: Scenario, name: str | None) -> int:
    return 0 if name is None else list(scenario.plans).index(name)


def _per_plan(scenario: Scenario, value: Any, dtype: Any = np.float64) -> Any:
    return np.array([value(plan) for plan in scenario.plans.values()], dtype)


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None else value


def _tenure(scenario: Scenario) -> dict[str, Any]:
    edges = scenario.age_edges
    names = list(scenario.plans)
    return {
        "wait": _per_plan(scenario, lambda plan: plan.wait_periods, np.int64),
        "bands": scenario.tenure.bands,
        "band_periods": scenario.tenure.band_periods,
        "periods_per_year": scenario.periods_per_year,
        "selection_decay": _selection_decay(scenario),
        "band_years": np.diff(np.array(edges, np.int64))[_group_bands(scenario)],
        "band": _group_bands(scenario),
        "last_band": _per_plan(scenario, lambda plan: edges.index(plan.max_age + 1) - 1, np.int64),
        "successor": _per_plan(
            scenario,
            lambda plan: -1 if plan.successor is None else names.index(plan.successor),
            np.int64,
        ),
    }


def _selection_decay(scenario: Scenario) -> float:
    return math.exp(-1.0 / (scenario.claims.selection_years * scenario.periods_per_year))


def _joining(scenario: Scenario) -> dict[str, Any]:
    channels = list(scenario.channels.values())
    classes = _health_classes(scenario)
    is_padding = np.zeros(classes, np.bool_)
    is_padding[len(scenario.health) :] = True
    joining = scenario.joining
    return {
        "market": scenario.market_members,
        "push": _rows([_schedule(c.push, scenario.periods) for c in channels], scenario.periods),
        "word_of_mouth": np.array([c.word_of_mouth for c in channels], np.float64),
        "motives": _rows(
            [_shares(c.motives, scenario.motives) for c in channels], len(scenario.motives)
        ),
        "groups": _rows(
            [_channel_groups(scenario, c) for c in channels], classes * 2 * _bands(scenario)
        ),
        "plan": np.array([_plan_number(scenario, c.plan) for c in channels], np.int64),
        "price_sensitivity": joining.price_sensitivity,
        "news_sensitivity": joining.news_sensitivity,
        "income": scenario.income_yuan_per_year,
        "max_growth": _or_infinite(joining.max_growth),
        "max_joins": NO_LIMIT if joining.max_joins is None else joining.max_joins,
        "is_padding": np.repeat(is_padding, 2 * _bands(scenario)),
    }


def _rows(rows: list[Float64], width: int) -> Float64:
    return np.array(rows, np.float64).reshape(len(rows), width)


def _shares(shares: dict[str, float], names: Any) -> Float64:
    return np.array([shares.get(name, 0.0) for name in names], np.float64)


def _channel_groups(scenario: Scenario, channel: Channel) -> Float64:
    health = _channel_health(scenario, channel)
    return _groups(health, _age_shares(scenario.age_edges, channel.ages))


def _channel_health(scenario: Scenario, channel: Channel) -> Float64:
    shares = _shares(channel.health, scenario.health)
    if not has_padding(scenario):
        return shares
    return np.append(shares * (1 - channel.padding), channel.padding)


def _claims(scenario: Scenario) -> dict[str, Any]:
    claims = scenario.claims
    classes = list(scenario.health.values())
    rates = claims.incidence.band_means(scenario.age_edges).ravel()
    factors = np.zeros(_health_classes(scenario))
    factors[: len(classes)] = [h.incidence_factor for h in classes]
    acceptance = np.ones(factors.size)
    acceptance[: len(classes)] = [h.acceptance for h in classes]
    leaves = np.zeros(factors.size, np.bool_)
    leaves[: len(classes)] = [h.leaves_on_rejection for h in classes]
    severities = claims.severity.values()
    return {
        "hazard": _groups(factors, rates) * claims.level / scenario.periods_per_year,
        "selection_start": claims.selection_start,
        "acceptance": np.repeat(acceptance, rates.size),
        "leaves_on_rejection": np.repeat(leaves, rates.size),
        "delay": np.array(claims.report_delay, np.float64),
        "severity": np.array([s.probability for s in severities], np.float64),
        "fraction": np.array([s.benefit_fraction for s in severities], np.float64),
        "benefit": _per_plan(scenario, lambda plan: _by_group(scenario, plan.benefit)),
        "benefit_limit": _per_plan(
            scenario, lambda plan: _or_infinite(plan.benefit_limit_yuan_per_payer)
        ),
        "dispute": claims.dispute_probability,
    }


def _apportionment(scenario: Scenario) -> dict[str, Any]:
    def plan_weights(plan: Plan) -> Float64:
        if not plan.weights:
            return np.ones(_health_classes(scenario) * 2 * _bands(scenario))
        return _by_group(scenario, plan.weights)

    return {
        "rule": _per_plan(scenario, lambda plan: RULES.index(plan.rule), np.int64),
        "rounding": _per_plan(scenario, lambda plan: ROUNDINGS.index(plan.rounding), np.int64),
        "excess_to": _per_plan(
            scenario, lambda plan: EXCESS_BEARERS.index(plan.caps.excess_to), np.int64
        ),
        "weights": _per_plan(scenario, plan_weights),
        "fee_rate": _per_plan(scenario, lambda plan: plan.fee_rate),
        "custody": _per_plan(
            scenario, lambda plan: plan.custody_yuan_per_member_year / scenario.periods_per_year
        ),
        "cap_case": _per_plan(scenario, lambda plan: _or_infinite(plan.caps.per_case_yuan)),
        "cap_period": _per_plan(scenario, lambda plan: _or_infinite(plan.caps.per_period_yuan)),
        "cap_year": _per_plan(scenario, lambda plan: _or_infinite(plan.caps.per_year_yuan)),
        "waiting_members_pay": _per_plan(
            scenario, lambda plan: plan.waiting_members_pay, np.bool_
        ),
        "claimants_pay": _per_plan(scenario, lambda plan: plan.claimants_pay, np.bool_),
    }


def _payment(scenario: Scenario) -> dict[str, Any]:
    # padding: the class of people who are nobody never pays and goes at the first failure
    health = len(scenario.health)
    failure = np.ones((len(scenario.motives), _health_classes(scenario)))
    for number, motive in enumerate(scenario.motives.values()):
        failure[number, :health] = motive.payment_failure
    grace = np.ones((len(scenario.plans), _health_classes(scenario)), np.int64)
    for number, plan in enumerate(scenario.plans.values()):
        grace[number, :health] = plan.grace_failures
    risks = 2 * _bands(scenario)
    return {
        "failure": np.repeat(failure, risks, axis=1),
        "grace": np.repeat(grace, risks, axis=1),
        "uncollected_to": _per_plan(
            scenario, lambda plan: UNCOLLECTED_BEARERS.index(plan.uncollected_to), np.int64
        ),
    }


def _lapse(scenario: Scenario) -> dict[str, Any]:
    motives = scenario.motives.values()
    mortality = scenario.claims.mortality
    announcement = np.zeros(scenario.periods)
    announcement[[t for t in scenario.regulator_announcements if t < scenario.periods]] = 1.0
    return {
        "intensity": np.array(
            [[getattr(m.lapse, cause) for cause in LAPSE_CAUSES] for m in motives], np.float64
        ),
        "mortality": _deaths(scenario) / scenario.periods_per_year,
        "shock_cap": scenario.shock_cap,
        "trivial_share": _per_plan(scenario, lambda plan: plan.trivial_share_yuan),
        "income": scenario.income_yuan_per_year / scenario.periods_per_year,
        "competitor": _schedule(scenario.competitor_pull, scenario.periods),
        "announcement": announcement,
        "by_cell": mortality is not None or _charges_differ(scenario),
    }


def _deaths(scenario: Scenario) -> Float64:
    """Spread the mortality table over the groups; nobody dies of padding: float64[G]."""
    rates = np.zeros((_bands(scenario), 2))
    if scenario.claims.mortality is not None:
        rates = scenario.claims.mortality.band_means(scenario.age_edges)
    alive = np.zeros(_health_classes(scenario))
    alive[: len(scenario.health)] = 1.0
    return _groups(alive, rates)


def _charges_differ(scenario: Scenario) -> bool:
    """Tell whether members of one motive can feel different burdens."""
    burdened = any(motive.lapse.burden > 0 for motive in scenario.motives.values())
    return burdened and any(
        plan.rule != "equal" or plan.caps.per_year_yuan is not None
        for plan in scenario.plans.values()
    )


def _news(scenario: Scenario) -> dict[str, Any]:
    news = scenario.news
    outside = np.zeros(scenario.periods)
    for jump in news.jumps:
        if jump.period < scenario.periods:
            outside[jump.period] += jump.size
    return {
        "education": np.array([m.education_speed for m in scenario.motives.values()], np.float64),
        "advertised": _per_plan(scenario, lambda plan: plan.advertised_share_yuan),
        "persistence": news.persistence,
        "size": news.size,
        "base": news.base,
        "per_dispute": news.per_dispute,
        "per_share_jump": news.per_share_jump,
        "per_market_share": news.per_market_share,
        "echo": news.echo,
        "outside": outside,
    }


def _closure(scenario: Scenario) -> dict[str, Any]:
    closure = scenario.closure
    hazard = _schedule(closure.regulation_hazard, scenario.periods)
    return {
        "floor_members": closure.floor_members,
        "floor_from": closure.floor_from_period,
        "share_limit": _or_infinite(closure.share_limit_yuan),
        "share_limit_periods": closure.share_limit_periods,
        "hazard": hazard / scenario.periods_per_year,
    }


def _initial(scenario: Scenario) -> dict[str, Any]:
    plans = list(scenario.plans.values())
    stages = max(plan.wait_periods for plan in plans) + scenario.tenure.bands
    shape = (len(plans), stages, len(scenario.motives), _health_classes(scenario))
    members = np.zeros((*shape, 2 * _bands(scenario)), np.int64)
    worn = np.zeros(shape[:2])
    decay = _selection_decay(scenario)
    for people in scenario.initial_members:
        plan = _plan_number(scenario, people.plan)
        past = people.tenure_periods - plans[plan].wait_periods
        band = max(0, min(past // scenario.tenure.band_periods, scenario.tenure.bands - 1))
        stage = people.tenure_periods if past < 0 else plans[plan].wait_periods + band
        age_band = np.searchsorted(scenario.age_edges, people.age, side="right") - 1
        cell = (
            plan,
            stage,
            list(scenario.motives).index(people.motive),
            list(scenario.health).index(people.health),
            2 * age_band + (people.sex == "female"),
        )
        members[cell] += people.members
        worn[plan, stage] += people.members * decay ** max(0, past)
    count = members.sum((2, 3, 4))
    wear = np.divide(worn, count, out=np.ones_like(worn), where=count > 0)
    members = members.reshape(*shape[:3], -1)
    return {"members": members, "wear": wear}
