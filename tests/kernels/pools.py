"""Pools small enough to reckon by hand, built the way a run builds them."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from configs import arrays
from configs.scenario import Scenario
from kernels import cohort, events, state
from kernels.dtypes import LAPSE_CAUSES, PERIOD_ROW
from kernels.parameters import Parameters, from_fields
from kernels.state import State
from tests.scenarios import Rows

# Seeds reach kernels as uint64 everywhere, so that each is compiled for one type.
SEED: Any = np.uint64(20190101)

LAST_AGE = 80
BASE: dict[str, Any] = {
    "title": "A small pool",
    "periods": 12,
    "periods_per_year": 4,
    "market_members": 10_000,
    "income_yuan_per_year": 1_000.0,
    "age_edges": [0, 30, 60],
    "tenure": {"bands": 3, "band_periods": 1},
    "plans": {
        "main": {
            "max_age": 59,
            "wait_periods": 2,
            "benefit": [
                {"from_age": 0, "benefit_yuan": 300.0},
                {"from_age": 30, "benefit_yuan": 100.0},
            ],
            "advertised_share_yuan": 1.0,
        }
    },
    "motives": {"steady": {}, "bargain": {}},
    "health": {
        "standard": {},
        "impaired": {"incidence_factor": 3.0},
        "ineligible": {"acceptance": 0.0, "leaves_on_rejection": True},
    },
    "claims": {
        "incidence": {
            "name": "flat",
            "first_age": 0,
            "male": [0.04] * LAST_AGE,
            "female": [0.02] * LAST_AGE,
        }
    },
}
WAIT, BANDS, STAGES = 2, 3, 5
STEADY, BARGAIN = 0, 1
STANDARD, IMPAIRED, INELIGIBLE, PADDING = 0, 1, 2, 3
YOUNG, OLD = 0, 1
MALE, FEMALE = 0, 1

CHANNEL: dict[str, Any] = {
    "push": [{"from_period": 0, "value": 0.05}],
    "ages": [{"from_age": 0, "to_age": 59, "male": 0.5, "female": 0.5}],
    "motives": {"steady": 0.5, "bargain": 0.5},
    "health": {"standard": 0.8, "impaired": 0.1, "ineligible": 0.1},
}


def with_changes(tree: Any, changes: Mapping[str, Any]) -> Any:
    """Copy a tree of mappings and lists, with other values at some dotted paths."""
    copy = deepcopy(tree)
    for path, value in changes.items():
        *way, last = path.split(".")
        node = copy
        for step in way:
            node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
        node[int(last) if isinstance(node, list) else last] = deepcopy(value)
    return copy


# The small pool and another one like it in the same market.
TWO_POOLS = with_changes(
    BASE,
    {
        "pools": {"one": {}, "two": {}},
        "plans.other": BASE["plans"]["main"] | {"pool": "two"},
    },
)


class Pool(NamedTuple):
    """What a kernel is called with."""

    parameters: Parameters
    state: State


class Path(NamedTuple):
    """What a path leaves behind."""

    rows: Rows
    path_row: Rows
    pool_rows: Rows
    cells: Rows

    def column(self, name: str, plan: int = 0) -> list[Any]:
        """Give one column of a plan's rows, of the periods that were run."""
        run = int(self.path_row[0]["periods_run"])
        return [value.item() for value in self.rows[name][:run, plan]]


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Walk over a tree of mappings and lists: dotted path and value of everything else."""
    if isinstance(tree, dict | list) and tree:
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for step, value in items:
            yield from leaves(value, f"{path}.{step}" if path else str(step))
    else:
        yield path, tree


def scenario(changes: Mapping[str, Any] | None = None, base: Any = None) -> Scenario:
    """Make the small scenario, changed at some dotted paths."""
    return Scenario.model_validate(with_changes(base or BASE, changes or {}))


def pool(changes: Mapping[str, Any] | None = None, base: Any = None) -> Pool:
    """Set up a pool as it stands before period 0."""
    parameters = from_fields(arrays.parameters(scenario(changes, base)))
    return Pool(parameters, state.new_state(parameters))


def simulate(
    changes: Mapping[str, Any] | None = None, path: int = 0, base: Any = None, seed: Any = SEED
) -> Path:
    """Simulate one path of the small scenario, changed at some dotted paths."""
    chosen = scenario(changes, base)
    parameters = from_fields(arrays.parameters(chosen))
    outcome = events.new_outcome(parameters)
    cohort.simulate_path(parameters, seed, path, outcome)
    return Path(*outcome)


def group(health: int, band: int, sex: int) -> int:
    """Number a group of the small scenario."""
    return (health * 2 + band) * 2 + sex


def row() -> np.void:
    """Make the empty row of a period, a view into an array that is written through."""
    empty: np.void = np.zeros(1, PERIOD_ROW)[0]
    return empty


def left(pool_state: State, plan: int = 0) -> dict[str, int]:
    """Give who left a plan this period, by cause, without the causes that took nobody."""
    counts = zip(LAPSE_CAUSES, pool_state.left[plan], strict=True)
    return {cause: int(count) for cause, count in counts if count}


def rates(rate: float) -> dict[str, Any]:
    return {"name": "flat", "first_age": 0, "male": [rate] * LAST_AGE, "female": [rate] * LAST_AGE}


def people(members: int, **more: Any) -> dict[str, Any]:
    kind = {"age": 20, "sex": "male", "motive": "steady", "health": "standard"}
    return kind | {"tenure_periods": 50, "members": members} | more


HEALTHY = {"claims.incidence": rates(0.0)}
# A rate of 1 a year, a thousand times over: certain within a quarter.
DOOMED = {"claims.incidence": rates(1.0), "claims.level": 1e3}
TEN_A_PERIOD: dict[str, Any] = {
    "channels.all": CHANNEL
    | {
        "push": [{"from_period": 0, "value": 1e9}],
        "ages": [{"from_age": 0, "to_age": 29, "male": 0.5, "female": 0.5}],
        "health": {"standard": 1.0},
    },
    "joining.max_joins": 10,
}
