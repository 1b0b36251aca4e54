"""A few paths of a sweep, simulated to learn what it is going to take.

A machine that is busy for a second must not decide how a sweep is cut: each path is timed
twice, in processor time of its thread, and the shorter time counts.
"""

import time

import numpy as np

from configs.load import ConfigError
from configs.scenario import Scenario
from configs.sweep import Config, engine_at, engines, point_count, scenario_at, seed_at
from flows import simulation
from flows.layout import COPIES, Cost
from flows.simulation import PathError

PILOT_POINTS = 8
"""Points of which a path is simulated, drawn at random: the mean over points is what counts."""

PILOT_SECONDS = 3.0
"""No further point is begun after this many seconds of processor time."""

LONG_SECONDS = 10.0
"""A path that takes longer is timed once: a busy second is a small part of it."""

BYTES_A_MEMBER = 14
"""What the member engine holds for a person of the market: slots, classes, rows on their way."""

UNKNOWN_SECONDS = 0.1
"""Taken for a path where none could be simulated; the shards will tell why."""


def measure(config: Config) -> Cost:
    """Return what a sweep's paths cost; simulates one path of a few points, keeps nothing.

    Parameters
    ----------
    config : Config
        The sweep as resolved; its kernels are compiled already, or compiling counts.
    """
    seconds: list[float] = []
    loaded = set[str]()
    for point in _some_points(config):
        if 2 * sum(seconds) > PILOT_SECONDS:
            break
        engine = engine_at(config, point)
        if engine not in loaded:
            _seconds_of(config, point)  # the first path of an engine loads its kernels
            loaded.add(engine)
        seconds += _shortest(config, point)
    return cost(config, float(np.mean(seconds)) if seconds else UNKNOWN_SECONDS)


def _shortest(config: Config, point: int) -> list[float]:
    """Return the shortest time of one path of a point; none if it fails."""
    timings = _seconds_of(config, point)
    if timings and timings[0] < LONG_SECONDS:
        timings += _seconds_of(config, point)
    return [min(timings)] if timings else []


def _some_points(config: Config) -> list[int]:
    """Return a few points, the same ones each time."""
    drawn = np.random.default_rng(0).integers(0, point_count(config), PILOT_POINTS)
    return list(dict.fromkeys(map(int, drawn)))


def _seconds_of(config: Config, point: int) -> list[float]:
    """Return the processor seconds of one path of a point; none if it fails."""
    try:
        scenario, seed = scenario_at(config, point), seed_at(config, point)
        block = simulation.simulate(scenario, seed, point, range(1), timer=time.thread_time)
    except (ConfigError, PathError):
        return []
    return [block.kernel_seconds]


def cost(config: Config, seconds_a_path: float) -> Cost:
    """Return what a sweep's paths cost, with their time given.

    Point 0 stands for all in the memory that they take.
    """
    return cost_of(scenario_at(config, 0), "member" in engines(config), seconds_a_path)


def cost_of(scenario: Scenario, by_member: bool, seconds_a_path: float = UNKNOWN_SECONDS) -> Cost:
    """Return what a scenario's paths cost, with their time given.

    Parameters
    ----------
    scenario : Scenario
        The scenario.
    by_member : bool
        Whether it is simulated member by member, or may be.
    seconds_a_path : float
        In kernels.
    """
    outcomes = simulation.new_outcomes(simulation.parameters(scenario), 1)
    return Cost(
        seconds_a_path=seconds_a_path,
        bytes_a_path=scenario.market_members * by_member * BYTES_A_MEMBER,
        bytes_a_pair=COPIES * sum(rows.nbytes for rows in outcomes),
    )
