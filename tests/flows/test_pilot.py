"""A few paths are timed before a sweep is cut: one slow second must not decide the cut."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from configs.load import Config, load
from flows import layout, pilot, simulation
from flows.layout import Cut

PATHS = 7000
TRUE_SECONDS = 0.002
"""Of a path: 200 of them make a shard of 0.4 s, the shortest, and 7 000 of them 35 shards."""

SHARDS = 35
MOST_TIMINGS = 1 + 2 * pilot.PILOT_POINTS
"""One that loads the kernels, and two of each point."""


@pytest.fixture(params=["one point", "four points"])
def config(small: Path, request: pytest.FixtureRequest) -> Config:
    axes = ["sweep.axes={}"] if request.param == "one point" else []
    return load(small, axes)


def shards_of(
    config: Config, monkeypatch: pytest.MonkeyPatch, timings: dict[int, float]
) -> tuple[int, int]:
    """Return the shards of 7 000 paths, and how many timings were taken.

    Every timing is `TRUE_SECONDS`, except those in `timings`, by their number.
    """
    taken = 0

    def simulate(*_: object, **__: object) -> SimpleNamespace:
        nonlocal taken
        taken += 1
        return SimpleNamespace(kernel_seconds=timings.get(taken - 1, TRUE_SECONDS))

    with monkeypatch.context() as patch:
        patch.setattr(simulation, "simulate", simulate)
        cost = pilot.measure(config)
    return len(Cut(1, (PATHS,), layout.pairs_a_shard(cost, PATHS, None)).shards), taken


def test_one_slow_second_does_not_decide_the_cut(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slow in range(MOST_TIMINGS):
        for seconds in (0.5, 1.0, 5.0):
            assert shards_of(config, monkeypatch, {slow: seconds})[0] == SHARDS


def test_a_long_path_is_timed_once(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    every = dict.fromkeys(range(MOST_TIMINGS), 60.0)
    assert shards_of(config, monkeypatch, every) == (PATHS, 2)


def test_waiting_is_no_time_of_a_path(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path whose thread is held up for half a second costs what its processor time says."""
    config = load(small, ["sweep.axes={}"])
    unpatched = simulation.engine

    def slow_engine(*arguments: object) -> simulation.SimulatePath:
        simulate_path = unpatched(*arguments)  # type: ignore[arg-type]

        def held_up(*given: object) -> object:
            time.sleep(0.5)
            return simulate_path(*given)  # type: ignore[arg-type]

        return held_up  # type: ignore[return-value]

    monkeypatch.setattr(simulation, "engine", slow_engine)
    assert pilot.measure(config).seconds_a_path < 0.25
