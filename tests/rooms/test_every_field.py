"""Every field of a scenario reaches the kernels, and moves what they compute."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest

from configs import arrays
from configs.record import Record
from configs.scenario import Scenario
from flows import simulation
from kernels.events import new_outcome
from tests.kernels.pools import LAST_AGE, SEED, scenario, with_changes
from tests.kernels.rich_pool import RICH

# Words about a scenario, which nothing is computed from.
WORDS = {
    "title": "names the scenario in reports",
    "system": "names the real system",
    "sources": "says where figures come from",
    "start_date": "labels period 0",
    "claims.incidence.name": "names a table",
    "claims.mortality.name": "names a table",
}


NOTHING: Mapping[str, Any] = MappingProxyType({})


class Change(NamedTuple):
    """Another value of a field; `given` holds what else is so, before and after."""

    value: Any
    given: Mapping[str, Any] = NOTHING
    also: Mapping[str, Any] = NOTHING


# A platform that has to live on its own cash, and has little of it.
ALONE = {
    f"{place}platform.{field}": value
    for place in ("", "pools.rival.")
    for field, value in {"parent": False, "funding_yuan": 1.0}.items()
}
# What only individuals have.
MEMBERS = {"engine": "member"}
DELAY_LAW = {"claims.delay_law": {"mean_periods": 2.0, "sd_periods": 1.5}}
GAMMA = MEMBERS | {"claims.frailty": {"law": "gamma", "variance": 0.5}}
DISCRETE = MEMBERS | {
    "claims.frailty": {
        "law": "discrete",
        "values": [0.0, 1.0, 2.0],
        "probabilities": [0.2, 0.6, 0.2],
    }
}
# What every pool has: its own where it is given one, and otherwise that of the scenario.
OF_A_POOL: dict[str, Change] = {
    "joining.price_sensitivity": Change(20.0),
    "joining.news_sensitivity": Change(0.3),
    "joining.max_growth": Change(0.1),
    "joining.max_joins": Change(50),
    "news.persistence": Change(0.2),
    "news.size": Change(0.6),
    "news.base": Change(2.0),
    "news.per_dispute": Change(3.0),
    "news.per_share_jump": Change(4.0),
    "news.per_market_share": Change(4.0),
    "news.echo": Change(0.8),
    "news.jumps.0.period": Change(3),
    "news.jumps.0.size": Change(4.0),
    "platform.funding_yuan": Change(500.0),
    "platform.parent": Change(True, ALONE),
    "platform.sales_yuan_per_member_year": Change(6.0),
    "platform.commission_rate": Change(0.5),
    "platform.cannibalisation": Change(0.5),
    "platform.interest_rate": Change(0.2),
    "platform.interest_to": Change("platform"),
    "platform.custody_from": Change("platform"),
    "platform.funds_in_custody": Change(False, ALONE),
    "platform.investigation_yuan_per_claim": Change(5.0),
    "platform.operating_yuan_per_year": Change(300.0),
    "platform.operating_yuan_per_member_year": Change(1.0),
    "closure.floor_members": Change(0),
    "closure.floor_from_period": Change(10),
    "closure.share_limit_yuan": Change(0.1),
    # presents so dear that the year's result is a loss in both pools
    "closure.profit_deadline_period": Change(
        8, {"channels.funnel.red_packet_yuan": 90.0, "channels.fixed.red_packet_yuan": 90.0}
    ),
    "closure.wind_down_periods": Change(1),
    "closure.returned_contributions": Change(0.5),
}
CHANGES: dict[str, Change] = {
    "engine": Change("member"),
    "learns_from": Change("own_bills", MEMBERS),
    "claims.frailty.law": Change(
        "gamma",
        DISCRETE,
        {
            "claims.frailty.variance": 0.4,
            "claims.frailty.values": [],
            "claims.frailty.probabilities": [],
        },
    ),
    "claims.frailty.variance": Change(3.0, GAMMA),
    "claims.frailty.values": Change([0.5, 1.0, 1.5], DISCRETE),
    "claims.frailty.probabilities": Change([0.4, 0.2, 0.4], DISCRETE),
    "periods": Change(20),
    "periods_per_year": Change(8),
    "market_members": Change(3_000),
    "income_yuan_per_year": Change(500.0),
    "age_edges": Change([18, 30, 35, 40, 60]),
    "tenure.bands": Change(4),
    "tenure.band_periods": Change(3),
    "plans.elder.max_age": Change(39, {"plans.main.successor": None, "initial_members.1.age": 38}),
    "plans.main.successor": Change(None),
    "plans.main.wait_periods": Change(3),
    "plans.main.waiting_members_pay": Change(True),
    "plans.main.claimants_pay": Change(False),
    "plans.main.benefit.1.from_age": Change(
        40, {"plans.main.max_age": 59, "plans.main.successor": None}
    ),
    "plans.main.benefit.1.benefit_yuan": Change(200.0),
    "plans.main.benefit_limit_yuan_per_payer": Change(0.6),
    "plans.main.fee_rate": Change(0.1),
    "plans.main.custody_yuan_per_member_year": Change(1.2),
    "plans.main.rule": Change("equal"),
    "plans.fair.weights.1.from_age": Change(30),
    "plans.fair.weights.1.male": Change(3.0),
    "plans.fair.weights.1.female": Change(3.0),
    "plans.fair.caps.per_case_yuan": Change(0.5),
    "plans.fair.caps.per_period_yuan": Change(1.0),
    "plans.fair.caps.per_year_yuan": Change(4.0),
    "plans.elder.caps.excess_to": Change("platform"),
    "plans.main.rounding": Change("exact"),
    "plans.main.trivial_share_yuan": Change(1.2),
    "plans.main.advertised_share_yuan": Change(0.5),
    "plans.main.grace_failures": Change(1),
    "plans.main.uncollected_to": Change("platform"),
    "plans.fair.first_bill_free": Change(False),
    "plans.level.smoothing.persistence": Change(0.9),
    "plans.level.smoothing.loading_yuan": Change(0.5),
    "plans.level.reserve_yuan": Change(10.0),
    "plans.level.platform_pays.0.from_period": Change(2),
    "plans.level.platform_pays.0.value": Change(0.6),
    "plans.fixed.fixed_price_yuan_per_year": Change(25.0),
    "plans.deposit.pool": Change("home"),
    "plans.deposit.pooled_bands.from_ages": Change([0, 30]),
    "plans.deposit.pooled_bands.quota": Change(0.8),
    "plans.deposit.pooled_bands.rule": Change("equal"),
    "plans.deposit.prepaid.deposit_yuan": Change(15.0),
    "plans.deposit.prepaid.low_balance_yuan": Change(6.0),
    "plans.deposit.prepaid.top_up": Change(0.2),
    "channels.web.plan": Change("fair"),
    "channels.web.push.1.from_period": Change(5),
    "channels.web.push.1.value": Change(0.04),
    "channels.web.word_of_mouth": Change(0.3),
    "channels.web.ages.1.from_age": Change(25),
    "channels.web.ages.0.to_age": Change(25),
    "channels.web.ages.1.male": Change(0.2, also={"channels.web.ages.1.female": 0.1}),
    "channels.web.ages.1.female": Change(0.1, also={"channels.web.ages.0.female": 0.4}),
    "channels.web.motives": Change({"steady": 0.9, "bargain": 0.1}),
    "channels.web.health": Change({"standard": 0.5, "impaired": 0.5}),
    "channels.web.padding": Change(0.3),
    "channels.funnel.funnel.appeals.1.from_period": Change(5),
    "channels.funnel.funnel.appeals.1.value": Change(8.0),
    "channels.funnel.funnel.donors_per_appeal": Change(80.0),
    "channels.funnel.funnel.conversion": Change(1.0),
    "channels.funnel.acquisition_yuan_per_join": Change(1.0),
    "channels.funnel.red_packet_yuan": Change(1.0),
    "motives.steady.education_speed": Change(0.6),
    "motives.steady.payment_failure": Change(0.3),
    "motives.steady.attention": Change(0.1),
    **{f"motives.steady.lapse.{cause}": Change(0.2) for cause in arrays.LAPSE_CAUSES},
    "motives.steady.lapse.burden": Change(5.0),
    "health.impaired.incidence_factor": Change(6.0),
    "health.standard.acceptance": Change(0.5),
    "health.standard.leaves_on_rejection": Change(True),
    "health.standard.lapse_ratio": Change(3.0),
    "initial_members.0.plan": Change("fair"),
    "initial_members.0.age": Change(25),
    "initial_members.0.sex": Change("female"),
    "initial_members.0.motive": Change("bargain"),
    "initial_members.0.health": Change("impaired"),
    "initial_members.0.tenure_periods": Change(1),
    "initial_members.0.members": Change(170),
    "claims.incidence.first_age": Change(5),
    "claims.incidence.male": Change([0.05] * LAST_AGE),
    "claims.incidence.female": Change([0.06] * LAST_AGE),
    "claims.level": Change(1.5),
    "claims.trend_per_year": Change(0.6),
    "claims.common_shock.volatility": Change(0.8),
    "claims.common_shock.persistence": Change(0.9),
    "claims.selection_start": Change(1.0),
    "claims.selection_years": Change(3.0),
    "claims.severity.severe.probability": Change(
        0.4, also={"claims.severity.mild.probability": 0.6}
    ),
    "claims.severity.mild.benefit_fraction": Change(0.5),
    "claims.report_delay": Change([0.0, 0.5, 0.5]),
    "claims.delay_law.mean_periods": Change(4.0, DELAY_LAW),
    "claims.delay_law.sd_periods": Change(0.2, DELAY_LAW),
    "claims.dispute_probability": Change(1.0, {"news.per_dispute": 5.0, "news.base": 0.0}),
    "claims.mortality.first_age": Change(5),
    "claims.mortality.male": Change([0.05] * LAST_AGE),
    "claims.mortality.female": Change([0.06] * LAST_AGE),
    "shock_cap": Change(0.2),
    "dead_zone": Change(0.4),
    "attention_slope": Change(3.0),
    "loyalty_per_year": Change(2.0),
    "competitor_pull.0.from_period": Change(4),
    "competitor_pull.0.value": Change(1.0),
    "regulator_announcements": Change([5]),
    **OF_A_POOL,
    **{f"pools.rival.{path}": change for path, change in OF_A_POOL.items()},
    **{
        f"{place}closure.{field}": change
        for place in ("", "pools.rival.")
        for field, change in {
            "share_limit_periods": Change(1, {f"{place}closure.share_limit_yuan": 0.1}),
            "regulation_hazard.0.from_period": Change(
                3, {f"{place}closure.regulation_hazard.0": {"from_period": 9, "value": 90.0}}
            ),
            "regulation_hazard.0.value": Change(
                1e6, {f"{place}closure.regulation_hazard.0.from_period": 5}
            ),
        }.items()
    },
    "closure.wind_down_by": Change("platform"),
    "pools.rival.closure.wind_down_by": Change("members"),
    "industry.spill_over": Change({"home": {"rival": 0.8}}),
    "industry.closure_jump": Change(4.0),
    "industry.migration": Change({"rival": {"home": 0.9}}),
}
each_change = pytest.mark.parametrize(("path", "change"), CHANGES.items(), ids=list(CHANGES))


def both(path: str, change: Change) -> tuple[Scenario, Scenario]:
    """The scenario before and after a change of one field."""
    given = with_changes(RICH, change.given)
    return scenario(base=given), scenario({path: change.value, **change.also}, base=given)


def flat(tree: Any, path: str = "") -> Iterator[tuple[str, bytes, tuple[int, ...]]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{name}.")
        else:
            array = np.asarray(value)
            yield f"{path}{name}", array.tobytes(), array.shape


def given_to_kernels(chosen: Scenario) -> set[tuple[str, bytes, tuple[int, ...]]]:
    """Give all arrays of a scenario, those of individuals where its engine has any."""
    given = set(flat(arrays.parameters(chosen)))
    if chosen.engine == "member":
        given |= set(flat(arrays.individuals(chosen, 1.0)))
    return given


def simulated(chosen: Scenario) -> list[bytes]:
    """Simulate one path the way a run does: everything that it leaves behind."""
    parameters = simulation.parameters(chosen)
    outcome = new_outcome(parameters)
    members = [rows.tobytes() for rows in simulation.engine(chosen, parameters)(SEED, 0, outcome)]
    return [*(rows.tobytes() for rows in outcome), *members]


def records(annotation: Any) -> Iterator[type[Record]]:
    """Walk over the models in an annotation, however deep in unions and containers."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        yield annotation
    for inner in get_args(annotation):
        yield from records(inner)


def is_container(annotation: Any) -> bool:
    origin = getattr(annotation, "__origin__", None)
    return origin in (dict, tuple) or any(is_container(a) for a in get_args(annotation))


def fields(model: type[Record], path: str = "") -> Iterator[str]:
    """Walk over the fields of a model and the models in it; `*` for a name or a number."""
    for name, info in model.model_fields.items():
        inner = list(records(info.annotation))
        if not inner:
            yield path + name
        star = "*." if is_container(info.annotation) else ""
        for record in inner:
            yield from fields(record, f"{path}{name}.{star}")


def pattern(path: str) -> str:
    """Write `*` for the names and numbers in a path."""
    named = ("plans", "channels", "motives", "health", "severity", "pools")
    steps = path.split(".")
    starred = [
        "*" if step.isdigit() or (i and steps[i - 1] in named and i < len(steps) - 1) else step
        for i, step in enumerate(steps)
    ]
    return ".".join(starred)


def test_every_field_of_a_scenario_is_changed_here_or_is_only_words() -> None:
    every = set(fields(Scenario))
    assert len(every) > 90
    assert every == {pattern(path) for path in CHANGES} | set(WORDS)


@each_change
def test_a_changed_field_changes_what_the_kernels_are_given(path: str, change: Change) -> None:
    before, after = both(path, change)
    assert given_to_kernels(before) != given_to_kernels(after)


@pytest.mark.parametrize("path", WORDS)
def test_words_change_nothing_that_is_computed(path: str) -> None:
    value = {"sources": ["elsewhere"], "start_date": "2021-02-03"}.get(path, "other")
    before, after = both(path, Change(value))
    assert before != after
    assert set(flat(arrays.parameters(before))) == set(flat(arrays.parameters(after)))


@each_change
def test_a_changed_field_moves_the_result(path: str, change: Change) -> None:
    before, after = both(path, change)
    assert simulated(before) != simulated(after)


def test_the_plan_of_a_channel_and_of_initial_members_is_the_first_one_where_it_is_left_out() -> (
    None
):
    named = {"channels.web.plan": "main", "initial_members.0.plan": "main"}
    unnamed = dict.fromkeys(named)
    first, left_out = scenario(named, base=RICH), scenario(unnamed, base=RICH)
    assert set(flat(arrays.parameters(first))) == set(flat(arrays.parameters(left_out)))
