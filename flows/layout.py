"""How a sweep is cut into shards: a function of its configuration, and of nothing else.

The cut decides files and pace, never a number: a path's random numbers depend on seed and path
(MODEL section 9). It depends on neither the machine nor the number of workers, so that a run can be
taken up elsewhere.
"""

import math
from dataclasses import dataclass
from typing import Final

from configs.scenario import SEXES, Scenario
from configs.sweep import Config, point_count

SECONDS_PER_CELL_PERIOD: Final = 120e-9
"""What the kernel needs for one cell in one period, about; only the size of shards hangs on it."""

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
    count = min(pairs, _shard_count(config.scenario, pairs))
    bounds = [pairs * i // count for i in range(count + 1)]
    return tuple(Shard(i, bounds[i], bounds[i + 1]) for i in range(count))


def _shard_count(scenario: Scenario, pairs: int) -> int:
    """Return how many shards: by time, and at least as many as memory asks for."""
    total_seconds = pairs * path_seconds(scenario)
    seconds = total_seconds / FEWEST_SHARDS
    seconds = min(max(seconds, SHORTEST_SHARD_SECONDS), LONGEST_SHARD_SECONDS)
    rows = pairs * scenario.periods * len(scenario.plans)
    return max(1, math.ceil(total_seconds / seconds), math.ceil(rows / MOST_ROWS))


def path_seconds(scenario: Scenario) -> float:
    """Return about how long one path takes: cost follows cells and periods, not members."""
    longest_wait = max(plan.wait_periods for plan in scenario.plans.values())
    risks = (len(scenario.age_edges) - 1) * len(SEXES)
    classes = len(scenario.motives) * len(scenario.health) * risks
    stages = longest_wait + scenario.tenure.bands
    cells = len(scenario.plans) * stages * classes
    return cells * scenario.periods * SECONDS_PER_CELL_PERIOD
