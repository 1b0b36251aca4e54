"""Small scenarios for tests: a quiet one to change, random ones, and the path through the kernels.

`a_scenario` starts from a pool in which nothing happens; what a test is about, it switches on.
`scenarios` is a Hypothesis strategy over pools in which everything may happen at once.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from configs import arrays
from configs.scenario import Scenario
from kernels import cohort, events
from kernels.dtypes import PERIOD_ROW
from kernels.parameters import Parameters, from_fields
from kernels.state import State, new_state

Rows = Any
"""A structured array. What type a column has NumPy's annotations do not know; told of arrays of
unknown type, a type checker tries every operator on every type, which took it a minute."""
Fields = dict[str, Any]

OLDEST = 105

# For tests over `scenarios`: the same examples every time, and none too slow to be drawn.
anything = settings(
    deadline=None,
    max_examples=150,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
path_numbers = st.integers(0, 2**32 - 1)


def flat_table(rate: float) -> Fields:
    """Make a table with one rate per person-year for all ages and both sexes."""
    return steep_table([rate] * (OLDEST + 1))


def steep_table(rates: Iterable[float], first_age: int = 0) -> Fields:
    """Make a table from rates per person-year by age, alike for both sexes."""
    by_age = tuple(rates)
    return {"name": "made", "first_age": first_age, "male": by_age, "female": by_age}


QUIET: Fields = {
    "title": "a pool in which nothing happens",
    "periods": 12,
    "periods_per_year": 12,
    "market_members": 1_000_000,
    "age_edges": (30, 60),
    "plans": {
        "main": {
            "max_age": 59,
            "benefit": ({"from_age": 0, "benefit_yuan": 1000.0},),
            "advertised_share_yuan": 1.0,
        }
    },
    "motives": {"member": {}},
    "claims": {"incidence": flat_table(0.0)},
}


def a_scenario(**changes: Any) -> Scenario:
    """Build the quiet scenario with changes, mappings merged deeply; None takes a key away."""
    return Scenario.model_validate(merged(QUIET, changes))


def changed(scenario: Scenario, **changes: Any) -> Scenario:
    """Build a scenario anew with changes, mappings merged deeply; None takes a key away."""
    return Scenario.model_validate(merged(scenario.model_dump(), changes))


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Fields:
    """Merge mappings deeply; what is no mapping replaces, None takes away."""
    result = dict(base)
    for key, value in changes.items():
        here = result.get(key)
        if isinstance(value, Mapping) and isinstance(here, Mapping):
            result[key] = merged(here, value)
        else:
            result[key] = value
    return {key: value for key, value in result.items() if value is not None}


def people(members: int, **where: Any) -> Fields:
    """Give initial members of the quiet scenario's one kind, unless said otherwise."""
    kind = {"age": 40, "sex": "female", "motive": "member", "health": "standard"}
    return {**kind, "members": members, **where}


def channel(**changes: Any) -> Fields:
    """Give a channel to the quiet scenario's one kind of people; it draws nobody yet."""
    base = {
        "ages": ({"from_age": 40, "to_age": 40, "male": 0.0, "female": 1.0},),
        "motives": {"member": 1.0},
        "health": {"standard": 1.0},
    }
    return merged(base, changes)


class History(NamedTuple):
    """What simulated paths left behind.

    rows : PERIOD_ROW[paths, T, P]
    paths : PATH_ROW[paths]
    pools : POOL_ROW[paths, Q]
    cells : CELL_ROW[paths, P, G]
    """

    rows: Rows
    paths: Rows
    pools: Rows
    cells: Rows


def parameters(scenario: Scenario) -> Parameters:
    """Take a scenario to the kernels' parameters the way a run does."""
    return from_fields(arrays.parameters(scenario))


def simulate(scenario: Scenario, seed: int, paths: int | Iterable[int] = 1) -> History:
    """Simulate paths (the first so many, or those named) the way a run does."""
    numbers = list(range(paths) if isinstance(paths, int) else paths)
    pool = parameters(scenario)
    outcomes = [events.new_outcome(pool) for _ in numbers]
    for path, outcome in zip(numbers, outcomes, strict=True):
        cohort.simulate_path(pool, as_seed(seed), path, outcome)
    rows, paths, pools, cells = (np.array(rows) for rows in zip(*outcomes, strict=True))
    return History(rows, paths[:, 0], pools, cells)


def rows_of(scenario: Scenario, seed: int, path: int) -> Rows:
    """Give the rows of a path while it ran: PERIOD_ROW[periods run, P]."""
    history = simulate(scenario, seed, [path])
    return history.rows[0, : history.paths[0]["periods_run"]]


def as_seed(seed: int) -> Any:
    """Give a seed the type that a run gives it."""
    return np.uint64(seed)


class Moment(NamedTuple):
    """A path at the end of a period.

    state : State, as the period left it
    rows : PERIOD_ROW[P], of the period
    """

    state: State
    rows: Rows


def unfold(scenario: Scenario, seed: int, path: int) -> Iterator[Moment]:
    """Go through a path period by period, as `simulate_path` does, to look at its state."""
    pool = parameters(scenario)
    state = new_state(pool)
    rows = np.zeros((scenario.periods, len(scenario.plans)), PERIOD_ROW)
    outcome = events.new_outcome(pool)
    for period in range(scenario.periods):
        cohort.simulate_period(pool, state, rows, as_seed(seed), path, period)
        yield Moment(state, rows[period])
        events.end_period(pool, state, rows, outcome.pools, (as_seed(seed), path, period))
        if events.close_ended(state) == 0:
            break


def _some(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def _fractions(names: list[str]) -> st.SearchStrategy[dict[str, float]]:
    """Distributions over names, some of them empty."""
    weights = st.lists(st.integers(0, 4), min_size=len(names), max_size=len(names))
    return weights.filter(any).map(
        lambda counts: {
            name: count / sum(counts) for name, count in zip(names, counts, strict=True)
        }
    )


@st.composite
def _rule(draw: st.DrawFn, edges: list[int]) -> Fields:
    """A rule of apportionment with what it needs: bands, weights inside them or not."""
    signed = ("linear", "minimum_variance")
    rule = draw(_some("equal", "equal", "table", "expected", *signed, "conditional_mean", "bands"))
    inner = rule
    fields: Fields = {"rule": rule}
    if rule == "bands":
        inner = draw(_some("equal", "table", "expected"))
        quota, ages = draw(_some(0.0, 0.4, 1.0)), draw(_some([0], [0, edges[1]]))
        bands = {"from_ages": ages, "quota": quota, "rule": inner}
        fields = {"rule": "pooled_bands", "pooled_bands": bands}
    if inner == "table":
        fields["weights"] = [
            {"from_age": 0, "male": 1.0, "female": draw(_some(0.0, 0.8))},
            {"from_age": edges[1], "male": 2.5, "female": 2.0},
        ]
    return fields


@st.composite
def _payment(draw: st.DrawFn) -> Fields:
    """How costs are paid: as they come, smoothed by a reserve, from balances, at a fixed price."""
    fields: Fields = {}
    kind = draw(_some("bills", "bills", "smoothed", "prepaid", "both", "fixed price"))
    if kind == "fixed price":
        fields["fixed_price_yuan_per_year"] = draw(_some(0.5, 3_000.0))
    if kind in ("smoothed", "both"):
        persistence, loading = draw(_some(0.0, 0.5, 0.9)), draw(_some(0.0, 2.0))
        fields["smoothing"] = {"persistence": persistence, "loading_yuan": loading}
    if kind in ("fixed price", "smoothed", "both"):
        fields["reserve_yuan"] = draw(_some(0.0, 1e4, 1e7))
    if kind in ("prepaid", "both"):
        fields["prepaid"] = {
            "deposit_yuan": draw(_some(9.0, 200.0)),
            "low_balance_yuan": draw(_some(0.0, 3.0)),
            "top_up": draw(_some(0.0, 0.6, 1.0)),
        }
    return fields


@st.composite
def _plan(draw: st.DrawFn, edges: list[int], max_age: int) -> Fields:
    return {
        "max_age": max_age,
        "wait_periods": draw(_some(0, 0, 1, 3)),
        "waiting_members_pay": draw(st.booleans()),
        "claimants_pay": draw(st.booleans()),
        "benefit": [
            {"from_age": 0, "benefit_yuan": 300_000.0},
            {"from_age": edges[1], "benefit_yuan": draw(_some(100_000.0, 7.77))},
        ],
        "benefit_limit_yuan_per_payer": draw(_some(None, None, 50.0)),
        "fee_rate": draw(_some(0.0, 0.08)),
        "custody_yuan_per_member_year": draw(_some(0.0, 0.3)),
        **draw(_rule(edges)),
        **draw(_payment()),
        "first_bill_free": draw(_some(False, False, True)),
        "platform_pays": draw(
            _some([], [], [{"from_period": 0, "value": 1.0}, {"from_period": 3, "value": 0.3}])
        ),
        "caps": {
            "per_case_yuan": draw(_some(None, None, 3.0)),
            "per_period_yuan": draw(_some(None, None, 20.005)),
            "per_year_yuan": draw(_some(None, 40.0)),
            "excess_to": draw(_some("platform", "next_period", "benefits")),
        },
        "rounding": draw(_some("exact", "next_fen", "largest_remainder")),
        "trivial_share_yuan": draw(_some(0.0, 1.0)),
        "advertised_share_yuan": draw(_some(0.05, 5.0)),
        "grace_failures": draw(st.integers(1, 3)),
        "uncollected_to": draw(_some("next_period", "platform")),
    }


@st.composite
def _plans(draw: st.DrawFn, edges: list[int]) -> dict[str, Fields]:
    """One to three plans, of one pool or several; edges [0] and [1] are first ages.

    Who outgrows a plan may move to an older one of the same pool.
    """
    oldest = draw(_some(*combinations([e - 1 for e in edges[1:]], draw(_some(1, 2, 2, 3)))))
    plans = {f"plan{i}": draw(_plan(edges, age)) for i, age in enumerate(oldest)}
    pools = draw(_some(0, *range(len(plans) + 1), len(plans)))
    for i, plan in enumerate(plans.values()):
        if pools > 0:
            plan["pool"] = f"pool{i if i < pools else draw(st.integers(0, pools - 1))}"
    for i, plan in enumerate(plans.values()):
        older = [
            name for name, p in list(plans.items())[i + 1 :] if p.get("pool") == plan.get("pool")
        ]
        plan["successor"] = draw(_some(None, *older))
    return plans


@st.composite
def _channel(draw: st.DrawFn, fields: Fields) -> Fields:
    plan = draw(_some(*fields["plans"]))
    lowest, highest = fields["age_edges"][0], fields["plans"][plan]["max_age"]
    men = draw(_some(0.0, 0.5, 0.7))
    start = draw(st.integers(0, 3))
    appeals = [{"from_period": start, "value": 50.0}]
    funnel = {"appeals": appeals, "donors_per_appeal": 40.0, "conversion": 0.25}
    return {
        "plan": plan,
        "push": [
            {"from_period": start, "value": draw(_some(0.0, 0.05))},
            {"from_period": start + 3, "value": draw(_some(0.0, 0.3))},
        ],
        "funnel": draw(_some(None, None, funnel)),
        "acquisition_yuan_per_join": draw(_some(0.0, 12.5)),
        "red_packet_yuan": draw(_some(0.0, 0.3)),
        "word_of_mouth": draw(_some(0.0, 0.5)),
        "ages": [
            {"from_age": lowest, "to_age": highest, "male": men, "female": 0.7 - men},
            {"from_age": highest, "to_age": highest, "male": 0.2, "female": 0.1},
        ],
        "motives": draw(_fractions(list(fields["motives"]))),
        "health": draw(_fractions(list(fields["health"]))),
        "padding": draw(_some(0.0, 0.0, 0.2, 1.0)),
    }


@st.composite
def _initial(draw: st.DrawFn, fields: Fields) -> Fields:
    plan = draw(_some(*fields["plans"]))
    oldest = fields["plans"][plan]["max_age"]
    return {
        "plan": plan,
        "age": draw(st.integers(fields["age_edges"][0], oldest)),
        "sex": draw(_some("male", "female")),
        "motive": draw(_some(*fields["motives"])),
        "health": draw(_some(*fields["health"])),
        "tenure_periods": draw(st.integers(0, 8)),
        "members": draw(_some(4000, 250, 4000, 6, 1, 0)),
    }


@st.composite
def _motive(draw: st.DrawFn) -> Fields:
    lapse = {
        "base": _some(0.0, 0.02),
        "first_bill": _some(0.0, 0.3),
        "bill_shock": _some(0.0, 0.1),
        "growth": _some(0.0, 0.3),
        "burden": _some(0.0, 30.0),
        "news": _some(0.0, 0.05),
        "competitor": _some(0.0, 0.1),
        "regulation": _some(0.0, 0.4),
    }
    return {
        "education_speed": draw(_some(0.0, 0.3, 1.0)),
        "attention": draw(_some(1.0, 1.0, 0.4, 0.0)),
        "payment_failure": draw(_some(0.0, 0.0, 0.1, 0.6, 1.0)),
        "lapse": {cause: draw(strength) for cause, strength in lapse.items()},
    }


@st.composite
def _health(draw: st.DrawFn) -> Fields:
    return {
        "incidence_factor": draw(_some(1.0, 4.0, 0.0)),
        "acceptance": draw(_some(1.0, 0.3, 0.0)),
        "lapse_ratio": draw(_some(1.0, 1.0, 0.2, 0.0)),
        "leaves_on_rejection": draw(st.booleans()),
    }


@st.composite
def _claims(draw: st.DrawFn) -> Fields:
    return {
        "incidence": steep_table([0.005 * (1 + age % 7) for age in range(OLDEST + 1)]),
        "level": draw(_some(1.0, 10.0, 0.0)),
        "trend_per_year": draw(_some(0.0, 0.0, 0.2, -0.3)),
        "common_shock": draw(
            _some({}, {"volatility": 0.3}, {"volatility": 0.8, "persistence": 0.7})
        ),
        "selection_start": draw(_some(0.2, 1.0, 2.0)),
        "selection_years": draw(_some(0.3, 2.0)),
        "severity": {
            "severe": {"probability": 0.7, "benefit_fraction": 1.0},
            "mild": {"probability": 0.3, "benefit_fraction": 0.2},
        },
        "report_delay": draw(_some([1.0], [0.5, 0.5], [0.0, 0.2, 0.0, 0.8])),
        "dispute_probability": draw(_some(0.0, 0.5)),
        "mortality": draw(_some(None, flat_table(0.03), flat_table(1.0))),
    }


_news = st.fixed_dictionaries(
    {
        "persistence": _some(0.0, 0.6),
        "size": _some(0.0, 0.5),
        "base": _some(0.0, 0.5),
        "per_dispute": _some(0.0, 1.0),
        "per_share_jump": _some(0.0, 0.5),
        "per_market_share": _some(0.0, 1.0),
        "echo": _some(0.0, 0.5),
        "jumps": _some([], [{"period": 2, "size": 3.0}]),
    }
)

_closure = st.fixed_dictionaries(
    {
        "floor_members": _some(0, 0, 0, 50),
        "floor_from_period": _some(0, 4),
        "share_limit_yuan": _some(None, None, 30.0),
        "share_limit_periods": _some(1, 3),
        "regulation_hazard": _some([], [], [{"from_period": 3, "value": 2.0}]),
        "profit_deadline_period": _some(None, None, None, 4),
        "wind_down_periods": _some(0, 0, 1, 4),
        "wind_down_by": _some("members", "platform"),
        "returned_contributions": _some(0.0, 0.25, 1.0),
    }
)

_platform = st.fixed_dictionaries(
    {
        "funding_yuan": _some(0.0, 1e4, 1e7),
        "parent": _some(True, True, False),
        "sales_yuan_per_member_year": _some(0.0, 100.0),
        "commission_rate": _some(0.0, 0.3),
        "cannibalisation": _some(0.0, 0.25),
        "interest_rate": _some(0.0, 0.04),
        "interest_to": _some("members", "platform"),
        "custody_from": _some("members", "platform"),
        "funds_in_custody": st.booleans(),
        "investigation_yuan_per_claim": _some(0.0, 250.0),
        "operating_yuan_per_year": _some(0.0, 5_000.0),
        "operating_yuan_per_member_year": _some(0.0, 0.5),
    }
)

_joining = st.fixed_dictionaries(
    {
        "price_sensitivity": _some(0.0, 20.0),
        "news_sensitivity": _some(0.0, 0.1),
        "max_growth": _some(None, None, 0.5),
        "max_joins": _some(None, 3000),
    }
)

_pool = st.fixed_dictionaries(
    {
        "joining": st.none() | _joining,
        "news": st.none() | _news,
        "platform": st.none() | _platform,
        "closure": st.none() | _closure,
    }
)


@st.composite
def _industry(draw: st.DrawFn, pools: list[str]) -> Fields:
    """What pools are to each other; spill-over weak enough for any `_news` to fade."""
    others = {one: [other for other in pools if other != one] for one in pools}
    spill = {one: {other: draw(_some(0.0, 0.2)) for other in others[one]} for one in pools}
    # a part stays: that of the pool's own name
    parts = {one: draw(_fractions(pools)) for one in pools}
    migration = {one: {other: parts[one][other] for other in others[one]} for one in pools}
    return {"spill_over": spill, "closure_jump": draw(_some(0.0, 4.0)), "migration": migration}


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Draw one to three plans in one to three pools, with everything in the model on or off."""
    widths = draw(st.lists(_some(1, 1, 2, 5), min_size=3, max_size=4))
    edges = [20, *(20 + sum(widths[: i + 1]) for i in range(len(widths)))]
    fields: Fields = {
        "title": "anything",
        "periods": draw(_some(1, 3, 8, 14, 14)),
        "periods_per_year": draw(_some(1, 3, 6)),
        "market_members": draw(_some(20_000, 1_000_000)),
        "income_yuan_per_year": draw(_some(3_000.0, 30_000.0)),
        "age_edges": edges,
        "tenure": {"bands": draw(_some(1, 2, 4)), "band_periods": draw(_some(1, 2, 5))},
        "plans": draw(_plans(edges)),
        "motives": {f"motive{i}": draw(_motive()) for i in range(draw(st.integers(1, 3)))},
        "health": {f"health{i}": draw(_health()) for i in range(draw(st.integers(1, 3)))},
        "joining": draw(_joining),
        "claims": draw(_claims()),
        "dead_zone": draw(_some(0.0, 0.0, 0.3)),
        "attention_slope": draw(_some(0.0, 2.0)),
        "loyalty_per_year": draw(_some(0.0, 0.0, 0.5)),
        "competitor_pull": draw(_some([], [{"from_period": 2, "value": 1.0}])),
        "regulator_announcements": draw(_some([], [1, 5])),
        "news": draw(_news),
        "platform": draw(_platform),
        "closure": draw(_closure),
    }
    pools = sorted({plan["pool"] for plan in fields["plans"].values() if "pool" in plan})
    fields["pools"] = {name: draw(_pool) for name in pools}
    fields["industry"] = draw(_industry(pools))
    channels = range(draw(_some(0, 1, 2)))
    fields["channels"] = {f"channel{i}": draw(_channel(fields)) for i in channels}
    count = draw(_some(2, 3, 1, 0)) if fields["channels"] else 2
    fields["initial_members"] = [draw(_initial(fields)) for _ in range(count)]
    return Scenario.model_validate(fields)
