"""Small scenarios for tests: a quiet one to change, random ones, and the path through the kernels.

`a_scenario` starts from a pool in which nothing happens; what a test is about, it switches on.
`scenarios` is a Hypothesis strategy over pools in which everything may happen at once.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from configs import arrays
from configs.scenario import Scenario
from kernels import cohort, platform
from kernels.dtypes import PATH_ROW, PERIOD_ROW
from kernels.parameters import Parameters, from_fields
from kernels.state import State, new_state

Rows = npt.NDArray[np.void]
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
    """

    rows: Rows
    paths: Rows


def parameters(scenario: Scenario) -> Parameters:
    """Take a scenario to the kernels' parameters the way a run does."""
    return from_fields(arrays.parameters(scenario))


def simulate(scenario: Scenario, seed: int, paths: int | Iterable[int] = 1) -> History:
    """Simulate paths (the first so many, or those named) the way a run does."""
    numbers = list(range(paths) if isinstance(paths, int) else paths)
    pool = parameters(scenario)
    history = History(
        np.zeros((len(numbers), scenario.periods, len(scenario.plans)), PERIOD_ROW),
        np.zeros(len(numbers), PATH_ROW),
    )
    for i, path in enumerate(numbers):
        row = history.paths[i : i + 1]
        cohort.simulate_path(pool, as_seed(seed), path, history.rows[i], row)
    return history


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
    for period in range(scenario.periods):
        cohort.simulate_period(pool, state, rows, as_seed(seed), path, period)
        yield Moment(state, rows[period])
        if platform.closure_cause(pool, state, as_seed(seed), path, period) != platform.OPEN:
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
def _plan(draw: st.DrawFn, edges: list[int], max_age: int) -> Fields:
    rule = draw(_some("equal", "equal", "table", "expected"))
    plan = {
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
        "rule": rule,
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
    if rule == "table":
        plan["weights"] = [
            {"from_age": 0, "male": 1.0, "female": draw(_some(0.0, 0.8))},
            {"from_age": edges[1], "male": 2.5, "female": 2.0},
        ]
    return plan


@st.composite
def _plans(draw: st.DrawFn, edges: list[int]) -> dict[str, Fields]:
    """One to three plans, each with a successor or none; edges [0] and [1] are first ages."""
    oldest = draw(st.lists(_some(*[e - 1 for e in edges[1:]]), min_size=1, max_size=3, unique=True))
    oldest.sort()
    plans = {f"plan{i}": draw(_plan(edges, age)) for i, age in enumerate(oldest)}
    for i in range(len(oldest) - 1):
        plans[f"plan{i}"]["successor"] = draw(
            _some(None, *[f"plan{j}" for j in range(i + 1, len(oldest))])
        )
    return plans


@st.composite
def _channel(draw: st.DrawFn, fields: Fields) -> Fields:
    plan = draw(_some(*fields["plans"]))
    lowest, highest = fields["age_edges"][0], fields["plans"][plan]["max_age"]
    men = draw(_some(0.0, 0.5, 0.7))
    start = draw(st.integers(0, 3))
    return {
        "plan": plan,
        "push": [
            {"from_period": start, "value": draw(_some(0.0, 0.05))},
            {"from_period": start + 3, "value": draw(_some(0.0, 0.3))},
        ],
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
        "members": draw(_some(0, 1, 6, 250, 4000)),
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
        "payment_failure": draw(_some(0.0, 0.0, 0.1, 0.6, 1.0)),
        "lapse": {cause: draw(strength) for cause, strength in lapse.items()},
    }


@st.composite
def _health(draw: st.DrawFn) -> Fields:
    return {
        "incidence_factor": draw(_some(0.0, 1.0, 4.0)),
        "acceptance": draw(_some(0.0, 0.3, 1.0)),
        "leaves_on_rejection": draw(st.booleans()),
    }


@st.composite
def _claims(draw: st.DrawFn) -> Fields:
    return {
        "incidence": steep_table([0.005 * (1 + age % 7) for age in range(OLDEST + 1)]),
        "level": draw(_some(0.0, 1.0, 10.0)),
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
        "floor_members": _some(0, 0, 50),
        "floor_from_period": _some(0, 4),
        "share_limit_yuan": _some(None, None, 30.0),
        "share_limit_periods": _some(1, 3),
        "regulation_hazard": _some([], [], [{"from_period": 3, "value": 0.5}]),
    }
)


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Draw a pool with one to three plans, and everything the cohort engine knows on or off."""
    widths = draw(st.lists(_some(1, 1, 2, 5), min_size=2, max_size=4))
    edges = [20, *(20 + sum(widths[: i + 1]) for i in range(len(widths)))]
    fields: Fields = {
        "title": "anything",
        "periods": draw(st.integers(1, 14)),
        "periods_per_year": draw(_some(1, 3, 6)),
        "market_members": draw(_some(20_000, 1_000_000)),
        "income_yuan_per_year": draw(_some(3_000.0, 30_000.0)),
        "age_edges": edges,
        "tenure": {"bands": draw(_some(1, 2, 4)), "band_periods": draw(_some(1, 2, 5))},
        "plans": draw(_plans(edges)),
        "motives": {f"motive{i}": draw(_motive()) for i in range(draw(st.integers(1, 3)))},
        "health": {f"health{i}": draw(_health()) for i in range(draw(st.integers(1, 3)))},
        "joining": {
            "price_sensitivity": draw(_some(0.0, 20.0)),
            "news_sensitivity": draw(_some(0.0, 0.1)),
            "max_growth": draw(_some(None, None, 0.5)),
            "max_joins": draw(_some(None, 3000)),
        },
        "claims": draw(_claims()),
        "competitor_pull": draw(_some([], [{"from_period": 2, "value": 1.0}])),
        "regulator_announcements": draw(_some([], [1, 5])),
        "news": draw(_news),
        "closure": draw(_closure),
    }
    channels = range(draw(_some(0, 1, 2)))
    fields["channels"] = {f"channel{i}": draw(_channel(fields)) for i in channels}
    count = draw(st.integers(0, 3)) if fields["channels"] else 2
    fields["initial_members"] = [draw(_initial(fields)) for _ in range(count)]
    return Scenario.model_validate(fields)
