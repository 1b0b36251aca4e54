"""From a scenario to the arrays and numbers that the kernels run on.

Everything a year-based field says is turned into periods here, every name into a position, every
band into its mean rate; nothing is drawn and nothing is decided. Group and field names are those
of the kernels' parameters.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from configs.scenario import (
    MAX_DELAY_PERIODS,
    SEXES,
    AgeShare,
    BenefitStep,
    Channel,
    Claims,
    Plan,
    Pool,
    PooledBands,
    Scenario,
    Step,
    WeightStep,
    pool_of,
    pools_of,
    spill_matrix,
)

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

RULES = (
    "equal",
    "table",
    "expected",
    "linear",
    "minimum_variance",
    "conditional_mean",
    "pooled_bands",
)
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
FRAILTY_LAWS = ("none", "gamma", "discrete")
NO_LIMIT = 2**62
NONE = -1.0
DELAY_LEFT = 1e-4  # probability of longer delays, below which they are left out
PADDING_CODE = 7
PADDING = "padding"
BANDS_IN_CODE = 64  # more, of one year each in the member engine, take a bit of their own
HIGH_BAND_BIT = 28


def parameters(scenario: Scenario) -> dict[str, Any]:
    """Turn a scenario into the kernels' parameters.

    Parameters
    ----------
    scenario : Scenario

    Returns
    -------
    dict
        By field of the kernels' parameters: float64 and int64 arrays, and for each structured
        array a dict of its columns. Intensities per period, money in yuan. For the engine `member`
        age bands are of one year.
    """
    scenario = _at_its_ages(scenario)
    risks = 2 * _bands(scenario)
    channels = list(scenario.channels.values())
    severities = scenario.claims.severity.values()
    motives = scenario.motives.values()
    members, wear, loyalty = _initial(scenario)
    return {
        "market": _market(scenario),
        "pool": _columns([_pool(scenario, pool) for pool in pools_of(scenario)]),
        "plans": _plans(scenario),
        "groups": _groups(scenario),
        "channels": _channels(scenario),
        "motives": {
            "education": np.array([m.education_speed for m in motives], np.float64),
            "attention": np.array([m.attention for m in motives], np.float64),
        },
        "periods": _periods(scenario),
        "pool_periods": _columns([_pool_periods(scenario, pool) for pool in pools_of(scenario)]),
        "push": _rows([_push(scenario, channel) for channel in channels], scenario.periods),
        "channel_motives": _rows(
            [_shares(c.motives, scenario.motives) for c in channels], len(motives)
        ),
        "channel_groups": _rows(
            [_channel_groups(scenario, c) for c in channels], _health_classes(scenario) * risks
        ),
        "delay": _delay(scenario.claims),
        "severity": np.array([s.probability for s in severities], np.float64),
        "fraction": np.array([s.benefit_fraction for s in severities], np.float64),
        "benefit": np.array([_by_group(scenario, p.benefit) for p in scenario.plans.values()]),
        "weights": np.array([_by_group(scenario, p.weights) for p in scenario.plans.values()]),
        "share_band": _share_bands(scenario),
        "platform_share": np.array(
            [_schedule(p.platform_pays, scenario.periods) for p in scenario.plans.values()]
        ),
        "spill": np.array(spill_matrix(scenario, scenario.industry.spill_over)),
        "migration": np.array(spill_matrix(scenario, scenario.industry.migration)),
        "failure": _failure(scenario),
        "grace": _grace(scenario),
        "lapse": np.array(
            [[getattr(m.lapse, cause) for cause in LAPSE_CAUSES] for m in motives], np.float64
        ),
        "initial_members": members,
        "initial_wear": wear,
        "initial_loyalty": loyalty,
    }


def individuals(scenario: Scenario, sample: float) -> dict[str, Any]:
    """Turn what only individuals have into the kernels' fields.

    Parameters
    ----------
    scenario : Scenario
        Of the engine `member`.
    sample : float
        Part of the members who get a row, 0 to 1.

    Returns
    -------
    dict
        By field of the kernels' individuals: float64 and int64 arrays, and for `settings` and
        `vintages` a dict of its columns. A vintage is the initial members of one plan and tenure.
    """
    scenario = _at_its_ages(scenario)
    frailty = scenario.claims.frailty
    people = list(_initial_people(scenario))
    first_of = {(one.cell[0], one.tenure): one for one in people}
    vintages = sorted(first_of)
    past = np.array([first_of[vintage].past_waiting for vintage in vintages], np.int64)
    tenures = np.array([tenure for _, tenure in vintages], np.int64)
    members = np.zeros((len(vintages), *_cells(scenario)[2:]), np.int64)
    for one in people:
        members[(vintages.index((one.cell[0], one.tenure)), *one.cell[2:])] += one.members
    return {
        "settings": {
            "frailty_law": FRAILTY_LAWS.index("none" if frailty is None else frailty.law),
            "frailty_variance": (frailty and frailty.variance) or 0.0,
            "own_bills": scenario.learns_from == "own_bills",
            "sample": sample,
        },
        "frailty": np.array(frailty.values if frailty else (), np.float64),
        "frailty_chance": np.array(frailty.probabilities if frailty else (), np.float64),
        "vintages": {
            "plan": np.array([plan for plan, _ in vintages], np.int64),
            "stage": np.array([first_of[v].cell[1] for v in vintages], np.int64),
            "tenure": tenures,
            "wear": _selection_decay(scenario) ** past,
            "loyalty": _loyalty_decay(scenario) ** tenures,
        },
        "vintage_members": members.reshape(*members.shape[:2], members.shape[2] * members.shape[3]),
    }


def with_exact_ages(scenario: Scenario) -> Scenario:
    """Return a scenario with age bands of one year, from its youngest to its oldest age."""
    edges = tuple(range(scenario.age_edges[0], scenario.age_edges[-1] + 1))
    return scenario.model_copy(update={"age_edges": edges})


def _at_its_ages(scenario: Scenario) -> Scenario:
    """Return a scenario with the age bands that its engine works with."""
    return with_exact_ages(scenario) if scenario.engine == "member" else scenario


class Group(NamedTuple):
    """Members of one health class, age band and sex; the ages are both included."""

    health: str
    from_age: int
    to_age: int
    sex: str


def groups(scenario: Scenario) -> tuple[Group, ...]:
    """Return the groups in the order of the kernels; where there is padding it comes last."""
    scenario = _at_its_ages(scenario)
    classes = [*scenario.health, *([PADDING] if has_padding(scenario) else [])]
    return tuple(
        Group(health, first, end - 1, sex)
        for health in classes
        for first, end in pairwise(scenario.age_edges)
        for sex in SEXES
    )


def pool_numbers(scenario: Scenario) -> tuple[int, ...]:
    """Return the number of the pool that each plan belongs to."""
    pools = list(scenario.pools)
    return tuple(
        pools.index(name) if (name := pool_of(scenario, plan)) is not None else 0
        for plan in scenario.plans.values()
    )


def has_padding(scenario: Scenario) -> bool:
    """Tell whether a channel of the scenario signs up people who are nobody."""
    return any(channel.padding > 0 for channel in scenario.channels.values())


def _health_classes(scenario: Scenario) -> int:
    return len(scenario.health) + has_padding(scenario)


def _bands(scenario: Scenario) -> int:
    return len(scenario.age_edges) - 1


def _outer(by_health: Float64, by_risk: Float64) -> Float64:
    """Multiply what depends on health with what depends on age band and sex: float64[G]."""
    return np.outer(by_health, by_risk).ravel()


def _group_codes(scenario: Scenario) -> Int64:
    """Give each group a number that does not depend on how many there are: int64[G].

    Health takes 3 bits (the padding the highest number), age band 6, sex 1; a seventh bit of the
    age band stands above all that an address is made of, so that the codes of others stay.
    """
    health = np.arange(_health_classes(scenario))
    if has_padding(scenario):
        health[-1] = PADDING_CODE
    risks = np.arange(2 * _bands(scenario))
    high, low = np.divmod(risks, 2 * BANDS_IN_CODE)
    return (high << HIGH_BAND_BIT | health[:, None] << 7 | low).ravel().astype(np.int64)


def _group_bands(scenario: Scenario) -> Int64:
    band = np.repeat(np.arange(_bands(scenario)), 2)
    return np.tile(band, _health_classes(scenario)).astype(np.int64)


def _schedule(steps: Sequence[Step], periods: int) -> Float64:
    values = np.zeros(periods)
    for step in steps:
        values[step.from_period :] = step.value
    return values


def _values(step: BenefitStep | WeightStep) -> tuple[float, float]:
    if isinstance(step, BenefitStep):
        return step.benefit_yuan, step.benefit_yuan
    return step.male, step.female


def _by_group(scenario: Scenario, steps: Sequence[BenefitStep] | Sequence[WeightStep]) -> Float64:
    """Spread steps by age over the groups, alike for every health class: float64[G].

    Without steps every value is 1.
    """
    values = np.ones((_bands(scenario), 2))
    for band, first_age in enumerate(scenario.age_edges[:-1]):
        # the last step up to the band's first age holds throughout the band: edges are checked
        for step in steps:
            if step.from_age <= first_age:
                values[band] = _values(step)
    return np.tile(values.ravel(), _health_classes(scenario))


def _age_shares(edges: Sequence[int], shares: Sequence[AgeShare]) -> Float64:
    """Spread a distribution over ages over risks: float64[R], sums to 1."""
    by_risk: Float64 = np.zeros((len(edges) - 1, 2))
    for share in shares:
        ages = share.to_age - share.from_age + 1
        for band, (first, end) in enumerate(pairwise(edges)):
            inside = max(0, min(end, share.to_age + 1) - max(first, share.from_age))
            by_risk[band] += np.array([share.male, share.female]) * inside / ages
    by_risk /= by_risk.sum()
    return by_risk.ravel()


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None else value


def _delay(claims: Claims) -> Float64:
    """Return the probabilities of a delay of 0, 1, 2, ... periods: float64[D], sums to 1."""
    law = claims.delay_law
    if law is None:
        return np.array(claims.report_delay, np.float64)
    return rounded_gamma(law.mean_periods, law.sd_periods)


def rounded_gamma(mean: float, sd: float) -> Float64:
    """Return the probabilities of a gamma law rounded to whole numbers.

    Parameters
    ----------
    mean, sd : float
        Of the law before it is rounded, > 0.

    Returns
    -------
    float64[n]
        Of 0, 1, 2, ...: cut where less than `DELAY_LEFT` is beyond, at most `MAX_DELAY_PERIODS`,
        and normalised.
    """
    from scipy.special import gammainc  # a worker whose scenarios have no such law imports none

    shape, scale = (mean / sd) ** 2, sd * sd / mean
    edges = np.arange(MAX_DELAY_PERIODS) + 0.5
    up_to = gammainc(shape, edges / scale)
    found = np.diff(up_to, prepend=0.0)[: int(np.searchsorted(up_to, 1.0 - DELAY_LEFT)) + 1]
    return np.asarray(found / found.sum())


def _selection_decay(scenario: Scenario) -> float:
    return math.exp(-1.0 / (scenario.claims.selection_years * scenario.periods_per_year))


def _market(scenario: Scenario) -> dict[str, Any]:
    claims = scenario.claims
    return {
        "periods_per_year": scenario.periods_per_year,
        "market": scenario.market_members,
        "income_year": scenario.income_yuan_per_year,
        "bands": scenario.tenure.bands,
        "band_periods": scenario.tenure.band_periods,
        "selection_decay": _selection_decay(scenario),
        "selection_start": claims.selection_start,
        "dispute": claims.dispute_probability,
        "shock_volatility": claims.common_shock.volatility,
        "shock_persistence": claims.common_shock.persistence,
        "shock_cap": scenario.shock_cap,
        "dead_zone": scenario.dead_zone,
        "attention_slope": scenario.attention_slope,
        "loyalty_decay": _loyalty_decay(scenario),
        "mortal": claims.mortality is not None,
        "selective": len(set(_lapse_ratios(scenario))) > 1,
        "closure_jump": scenario.industry.closure_jump,
    }


def _lapse_ratios(scenario: Scenario) -> list[float]:
    """Give the lapse ratio of each health class; people who are nobody leave like a motive's."""
    return [h.lapse_ratio for h in scenario.health.values()] + [1.0] * has_padding(scenario)


def _loyalty_decay(scenario: Scenario) -> float:
    return math.exp(-scenario.loyalty_per_year / scenario.periods_per_year)


def _pool(scenario: Scenario, pool: Pool) -> dict[str, Any]:
    joining, news = pool.joining or scenario.joining, pool.news or scenario.news
    return {
        "price_sensitivity": joining.price_sensitivity,
        "news_sensitivity": joining.news_sensitivity,
        "max_growth": _or_infinite(joining.max_growth),
        "max_joins": NO_LIMIT if joining.max_joins is None else joining.max_joins,
        "news_persistence": news.persistence,
        "news_size": news.size,
        "news_base": news.base,
        "news_per_dispute": news.per_dispute,
        "news_per_share_jump": news.per_share_jump,
        "news_per_market_share": news.per_market_share,
        "news_echo": news.echo,
        **_ledger(scenario, pool),
        **_closure(scenario, pool),
    }


def _ledger(scenario: Scenario, pool: Pool) -> dict[str, Any]:
    platform, a_year = pool.platform or scenario.platform, scenario.periods_per_year
    return {
        "funding": platform.funding_yuan,
        "parent": platform.parent,
        "sales_year": platform.sales_yuan_per_member_year * platform.commission_rate,
        "cannibalisation": platform.cannibalisation,
        "interest": platform.interest_rate / a_year,
        "keeps_interest": platform.interest_to == "platform",
        "custody_from_platform": platform.custody_from == "platform",
        "funds_in_custody": platform.funds_in_custody,
        "investigation": platform.investigation_yuan_per_claim,
        "operating": platform.operating_yuan_per_year / a_year,
        "operating_member": platform.operating_yuan_per_member_year / a_year,
    }


def _closure(scenario: Scenario, pool: Pool) -> dict[str, Any]:
    closure = pool.closure or scenario.closure
    deadline = closure.profit_deadline_period
    return {
        "floor_members": closure.floor_members,
        "floor_from": closure.floor_from_period,
        "share_limit": _or_infinite(closure.share_limit_yuan),
        "share_limit_periods": closure.share_limit_periods,
        "profit_deadline": NO_LIMIT if deadline is None else deadline,
        "wind_down": closure.wind_down_periods,
        "platform_winds_down": closure.wind_down_by == "platform",
        "returned_share": closure.returned_contributions,
    }


def _columns(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Turn records with the same fields into one array a field, a row a record."""
    return {name: np.array([record[name] for record in records]) for name in records[0]}


def _plans(scenario: Scenario) -> dict[str, Any]:
    columns = _columns([_plan(scenario, plan) for plan in scenario.plans.values()])
    return columns | {"pool": np.array(pool_numbers(scenario), np.int64)}


def _plan(scenario: Scenario, plan: Plan) -> dict[str, Any]:
    edges, names = scenario.age_edges, list(scenario.plans)
    pooled = _bands_of(plan)
    return {
        "wait": plan.wait_periods,
        "last_band": edges.index(plan.max_age + 1) - 1,
        "successor": -1 if plan.successor is None else names.index(plan.successor),
        "benefit_limit": _or_infinite(plan.benefit_limit_yuan_per_payer),
        "rule": RULES.index(plan.rule),
        "inner_rule": RULES.index(plan.rule if pooled is None else pooled.rule),
        "quota": 0.0 if pooled is None else pooled.quota,
        "rounding": ROUNDINGS.index(plan.rounding),
        "excess_to": EXCESS_BEARERS.index(plan.caps.excess_to),
        "uncollected_to": UNCOLLECTED_BEARERS.index(plan.uncollected_to),
        "fee_rate": plan.fee_rate,
        "custody": plan.custody_yuan_per_member_year / scenario.periods_per_year,
        "cap_case": _or_infinite(plan.caps.per_case_yuan),
        "cap_period": _or_infinite(plan.caps.per_period_yuan),
        "cap_year": _or_infinite(plan.caps.per_year_yuan),
        "waiting_members_pay": plan.waiting_members_pay,
        "claimants_pay": plan.claimants_pay,
        "first_bill_free": plan.first_bill_free,
        **_reserves(scenario, plan),
        "trivial_share": plan.trivial_share_yuan,
        "advertised_share": plan.advertised_share_yuan,
    }


def _reserves(scenario: Scenario, plan: Plan) -> dict[str, Any]:
    smoothing, prepaid, price = plan.smoothing, plan.prepaid, plan.fixed_price_yuan_per_year
    return {
        "smooths": smoothing is not None,
        "smoothing": 0.0 if smoothing is None else smoothing.persistence,
        "loading": 0.0 if smoothing is None else smoothing.loading_yuan,
        "reserve": plan.reserve_yuan,
        "premium": NONE if price is None else price / scenario.periods_per_year,
        "deposit": NONE if prepaid is None else prepaid.deposit_yuan,
        "low_balance": 0.0 if prepaid is None else prepaid.low_balance_yuan,
        "top_up": 0.0 if prepaid is None else prepaid.top_up,
    }


def _groups(scenario: Scenario) -> dict[str, Any]:
    claims, classes = scenario.claims, list(scenario.health.values())
    padding = int(has_padding(scenario))
    rates = claims.incidence.band_means(scenario.age_edges).ravel()
    factors = np.array([h.incidence_factor for h in classes] + [0.0] * padding)
    acceptance = np.array([h.acceptance for h in classes] + [1.0] * padding)
    leaves = np.array([h.leaves_on_rejection for h in classes] + [False] * padding)
    is_padding = np.array([False] * len(classes) + [True] * padding)
    return {
        "code": _group_codes(scenario),
        "band": _group_bands(scenario),
        "band_years": np.diff(np.array(scenario.age_edges, np.int64))[_group_bands(scenario)],
        "is_padding": np.repeat(is_padding, rates.size),
        "hazard": _outer(factors, rates) * claims.level / scenario.periods_per_year,
        "acceptance": np.repeat(acceptance, rates.size),
        "leaves_on_rejection": np.repeat(leaves, rates.size),
        "lapse_ratio": np.repeat(_lapse_ratios(scenario), rates.size),
        "mortality": _deaths(scenario) / scenario.periods_per_year,
    }


def _channels(scenario: Scenario) -> dict[str, Any]:
    plans, channels = list(scenario.plans), scenario.channels.values()
    numbers = [0 if c.plan is None else plans.index(c.plan) for c in channels]
    return {
        "plan": np.array(numbers, np.int64),
        "word_of_mouth": np.array([c.word_of_mouth for c in channels], np.float64),
        "acquisition": np.array([c.acquisition_yuan_per_join for c in channels], np.float64),
        "red_packet": np.array([c.red_packet_yuan for c in channels], np.float64),
    }


def _push(scenario: Scenario, channel: Channel) -> Float64:
    """Give a channel's push by period, crowdfunding included: float64[T], share of the market."""
    push = _schedule(channel.push, scenario.periods)
    if channel.funnel is None:
        return push
    funnel = channel.funnel
    appeals = _schedule(funnel.appeals, scenario.periods)
    joins = appeals * funnel.donors_per_appeal * funnel.conversion
    return push + joins / max(scenario.market_members, 1)


def _periods(scenario: Scenario) -> dict[str, Any]:
    periods = scenario.periods
    announcement = np.zeros(periods)
    announcement[[t for t in scenario.regulator_announcements if t < periods]] = 1.0
    years = np.arange(periods) / scenario.periods_per_year
    return {
        "competitor": _schedule(scenario.competitor_pull, periods),
        "announcement": announcement,
        "trend": (1.0 + scenario.claims.trend_per_year) ** years,
    }


def _pool_periods(scenario: Scenario, pool: Pool) -> dict[str, Any]:
    periods = scenario.periods
    outside = np.zeros(periods)
    for jump in (pool.news or scenario.news).jumps:
        if jump.period < periods:
            outside[jump.period] += jump.size
    hazard = _schedule((pool.closure or scenario.closure).regulation_hazard, periods)
    return {"outside_news": outside, "closure_hazard": hazard / scenario.periods_per_year}


def _bands_of(plan: Plan) -> PooledBands | None:
    return plan.pooled_bands if plan.rule == "pooled_bands" else None


def _share_bands(scenario: Scenario) -> Int64:
    """Give the band of the rule `pooled_bands` that each group is in: int64[P, G]."""
    bands = []
    for plan in scenario.plans.values():
        pooled = _bands_of(plan)
        first_ages = (0,) if pooled is None else pooled.from_ages
        places = np.searchsorted(first_ages, scenario.age_edges[:-1], side="right") - 1
        bands.append(np.tile(np.repeat(places, 2), _health_classes(scenario)))
    return np.array(bands, np.int64)


def _rows(rows: list[Float64], width: int) -> Float64:
    return np.array(rows, np.float64).reshape(len(rows), width)


def _shares(shares: dict[str, float], names: Any) -> Float64:
    return np.array([shares.get(name, 0.0) for name in names], np.float64)


def _channel_groups(scenario: Scenario, channel: Channel) -> Float64:
    health = _channel_health(scenario, channel)
    return _outer(health, _age_shares(scenario.age_edges, channel.ages))


def _channel_health(scenario: Scenario, channel: Channel) -> Float64:
    shares = _shares(channel.health, scenario.health)
    if not has_padding(scenario):
        return shares
    return np.append(shares * (1 - channel.padding), channel.padding)


def _failure(scenario: Scenario) -> Float64:
    """Probability that a bill fails, float64[C, G]: padding never pays."""
    failure = np.ones((len(scenario.motives), _health_classes(scenario)))
    for number, motive in enumerate(scenario.motives.values()):
        failure[number, : len(scenario.health)] = motive.payment_failure
    return np.repeat(failure, 2 * _bands(scenario), axis=1)


def _grace(scenario: Scenario) -> Int64:
    """Failures that end a membership, int64[P, G]: padding goes at the first."""
    grace = np.ones((len(scenario.plans), _health_classes(scenario)), np.int64)
    for number, plan in enumerate(scenario.plans.values()):
        grace[number, : len(scenario.health)] = plan.grace_failures
    return np.repeat(grace, 2 * _bands(scenario), axis=1)


def _deaths(scenario: Scenario) -> Float64:
    """Spread the mortality table over the groups; nobody dies of padding: float64[G]."""
    rates = np.zeros((_bands(scenario), 2))
    if scenario.claims.mortality is not None:
        rates = scenario.claims.mortality.band_means(scenario.age_edges)
    alive = np.zeros(_health_classes(scenario))
    alive[: len(scenario.health)] = 1.0
    return _outer(alive, rates)


class _People(NamedTuple):
    """Initial members of one kind: plan, stage, motive, health, risk; tenure; how many."""

    cell: tuple[int, int, int, int, int]
    tenure: int
    past_waiting: int
    members: int


def _cells(scenario: Scenario) -> tuple[int, int, int, int, int]:
    """Give how many plans, stages, motives, health classes and risks there are."""
    plans = scenario.plans.values()
    stages = max(plan.wait_periods for plan in plans) + scenario.tenure.bands
    classes = _health_classes(scenario)
    return len(plans), stages, len(scenario.motives), classes, 2 * _bands(scenario)


def _initial_people(scenario: Scenario) -> Iterator[_People]:
    """Place the initial members among the cells."""
    names, plans = list(scenario.plans), list(scenario.plans.values())
    for people in scenario.initial_members:
        plan = 0 if people.plan is None else names.index(people.plan)
        past = people.tenure_periods - plans[plan].wait_periods
        band = max(0, min(past // scenario.tenure.band_periods, scenario.tenure.bands - 1))
        age_band = int(np.searchsorted(scenario.age_edges, people.age, side="right")) - 1
        cell = (
            plan,
            people.tenure_periods if past < 0 else plans[plan].wait_periods + band,
            list(scenario.motives).index(people.motive),
            list(scenario.health).index(people.health),
            2 * age_band + (people.sex == "female"),
        )
        yield _People(cell, people.tenure_periods, max(0, past), people.members)


def _initial(scenario: Scenario) -> tuple[Int64, Float64, Float64]:
    """Place the initial members, int64[P, S, C, G]; wear and loyalty of stages, float64[P, S]."""
    shape = _cells(scenario)
    members = np.zeros(shape, np.int64)
    worn, loyal = np.zeros(shape[:2]), np.zeros(shape[:2])
    decay, fading = _selection_decay(scenario), _loyalty_decay(scenario)
    for people in _initial_people(scenario):
        members[people.cell] += people.members
        worn[people.cell[:2]] += people.members * decay**people.past_waiting
        loyal[people.cell[:2]] += people.members * fading**people.tenure
    count = members.sum((2, 3, 4))
    wear, loyalty = (
        np.divide(total, count, out=np.ones_like(total), where=count > 0) for total in (worn, loyal)
    )
    return members.reshape(*shape[:3], -1), wear, loyalty
