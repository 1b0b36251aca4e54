"""How a sweep is cut into shards: a function of its configuration, and of nothing else.

The cut decides files and pace, never a number: a path's random numbers depend on seed and path
(MODEL section 9). It depends on neither the machine nor the number of workers, so that a run can be
taken up elsewhere.
"""

import math
from dataclasses import dataclass
from typing import Final

from configs.scenario import SEXES, Scenario
from configs.sweep import Config, engines, point_count

SECONDS_PER_CELL_PERIOD: Final = 120e-9
"""What the kernel needs for one cell in one period, about; only the size of shards hangs on it."""

SECONDS_PER_MEMBER_PERIOD: Final = 5e-9
"""The same of the member engine, for one person of the market."""

LONGEST_SHARD_SECONDS: Final = 5.0
SHORTEST_SHARD_SECONDS: Final = 0.4
"""Below this a shard is mostly files and messages."""

FEWEST_SHARDS: Final = 48
"""So many even in a short sweep, as far as they are not too short: enough for many cores to end
together and for progress to be smooth."""

MOST_ROWS: Final = 200_000
"""Rows of `periods` a worker holds at once: some 150 MB with their Arrow copy."""


@dataclass(frozen=True)
class Shard:
    """A block of (point, path) pairs, counted point by point.

    Attributes
    ----------
    index : int
        Number of the shard, from 0.
    first, stop : int
        Pairs first .. stop-1; pair i is path i % paths of point i // paths.
    """

    index: int
    first: int
    stop: int


def shards(config: Config) -> tuple[Shard, ...]:
    """Return the shards of a sweep, in order; between them they hold every pair once.

    Parameters
    ----------
    config : Config
        The sweep as resolved.
    """
    pairs = point_count(config) * config.sweep.paths
    # where points differ in their engine, the dearest decides
    scenarios = [with_engine(config.scenario, engine) for engine in set(engines(config))]
    count = min(pairs, max(_shard_count(scenario, pairs) for scenario in scenarios))
    bounds = [pairs * i // count for i in range(count + 1)]
    return tuple(Shard(i, bounds[i], bounds[i + 1]) for i in range(count))


def _shard_count(scenario: Scenario, pairs: int) -> int:
    """Return how many shards: by time, and at least as many as memory asks for."""
    total_seconds = pairs * path_seconds(scenario)
    seconds = total_seconds / FEWEST_SHARDS
    seconds = min(max(seconds, SHORTEST_SHARD_SECONDS), LONGEST_SHARD_SECONDS)
    rows = pairs * rows_of_a_path(scenario)
    return max(1, math.ceil(total_seconds / seconds), math.ceil(rows / MOST_ROWS))


def with_engine(scenario: Scenario, engine: str) -> Scenario:
    """Return a scenario for another engine, not checked anew: to reckon its size."""
    return scenario.model_copy(update={"engine": engine})


def rows_of_a_path(scenario: Scenario) -> int:
    """Return how many rows of `periods` or, told apart by single years, of `cells` a path has."""
    rows = scenario.periods
    if scenario.engine == "member":
        ages = scenario.age_edges[-1] - scenario.age_edges[0]
        rows = max(rows, len(scenario.health) * ages * len(SEXES))
    return rows * len(scenario.plans)


def path_seconds(scenario: Scenario) -> float:
    """Return about how long one path takes.

    Cost follows cells and periods, not members; in the member engine the people of the market.
    """
    if scenario.engine == "member":
        return scenario.market_members * scenario.periods * SECONDS_PER_MEMBER_PERIOD
    longest_wait = max(plan.wait_periods for plan in scenario.plans.values())
    risks = (len(scenario.age_edges) - 1) * len(SEXES)
    classes = len(scenario.motives) * len(scenario.health) * risks
    stages = longest_wait + scenario.tenure.bands
    cells = len(scenario.plans) * stages * classes
    return cells * scenario.periods * SECONDS_PER_CELL_PERIOD
