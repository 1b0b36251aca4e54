"""Successive paths of one point, simulated in this process: the kernels between config and rows.

No Prefect, no Dask and no files: a worker's shard, the pilot and the warm-up all go through here.
"""

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from configs import arrays
from configs.scenario import Scenario
from flows.rows import Block, Rows, member_names, member_table
from kernels import cohort, events
from kernels.events import Outcome
from kernels.individuals import individuals_from_fields
from kernels.parameters import Parameters, from_fields
from results.atomic import StoreError

SimulatePath = Callable[[Any, int, Outcome], Iterator[Rows]]
Keep = Callable[[pa.Table], None]


class PathError(Exception):
    """A path could not be simulated, or came to figures that are no numbers.

    Attributes
    ----------
    path : int
        Number of the path.
    error : str
        What went wrong, in a line.
    traceback : str
        Where, as Python tells it.
    """

    def __init__(self, path: int, error: str, traceback: str = "") -> None:
        super().__init__(path, error, traceback)
        self.path, self.error, self.traceback = path, error, traceback


@dataclass
class _Clock:
    """Seconds within the kernels, as a timer counts them."""

    timer: Callable[[], float]
    seconds: float = 0.0
    _began: float = 0.0

    def start(self) -> None:
        self._began = self.timer()

    def stop(self) -> None:
        self.seconds += self.timer() - self._began


def drop(members: pa.Table) -> None:
    """Keep no rows of members."""


def simulate(
    scenario: Scenario,
    seed: int,
    point: int,
    paths: range,
    *,
    members_sample: float = 1.0,
    keep: Keep = drop,
    timer: Callable[[], float] = time.perf_counter,
) -> Block:
    """Simulate successive paths of one point.

    Parameters
    ----------
    scenario : Scenario
        The point's scenario.
    seed : int
        Seed of its draws, 0 to 2**64 - 1.
    point : int
        Number of the point, for the rows of members.
    paths : range
        The paths, in steps of 1.
    members_sample : float
        Part of the members who get a row, 0 to 1.
    keep : callable
        Takes rows of the table `members` while paths of the engine `member` are simulated.
    timer : callable
        Clock, in seconds, by which `kernel_seconds` is measured.

    Raises
    ------
    PathError
        A path could not be simulated, or holds a figure that is not finite.
    StoreError
        Rows of members could not be kept.
    """
    path, clock = paths.start, _Clock(timer)
    try:
        pool = parameters(scenario)
        outcomes = new_outcomes(pool, len(paths))
        simulate_path = engine(scenario, pool, members_sample)
        table = partial(member_table, member_names(scenario), point)
        key: Any = np.uint64(seed)
        for i, path in enumerate(paths):
            clock.start()
            for members in simulate_path(key, path, Outcome(*(rows[i] for rows in outcomes))):
                clock.stop()
                _check_members(path, members)
                keep(table(path, members))
                clock.start()
            clock.stop()
    except (PathError, StoreError):
        raise
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise PathError(path, told, traceback.format_exc()) from error
    _check_paths(outcomes, paths)
    return Block(point, paths.start, scenario, outcomes, clock.seconds)


def new_outcomes(pool: Parameters, paths: int) -> Outcome:
    """Return what some paths fill, zeros: each array with the paths as its first axis."""
    return Outcome(
        *(np.zeros((paths, *rows.shape), rows.dtype) for rows in events.new_outcome(pool))
    )


def _check_paths(outcomes: Outcome, paths: range) -> None:
    """Raise PathError for a path with a figure that is not finite."""
    for table, rows in outcomes._asdict().items():
        for name, place in _not_finite(rows):
            told = f"{table}.{name} is {rows[name][place]} at {list(place[1:])}"
            raise PathError(paths[place[0]], told)


def _check_members(path: int, rows: Rows) -> None:
    """Raise PathError for a member of a path with a figure that is not finite."""
    for name, place in _not_finite(rows):
        raise PathError(path, f"members.{name} is {rows[name][place]}")


def _not_finite(rows: Rows) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield field and first place of figures that are infinite or no numbers: no row may be."""
    for name in rows.dtype.names or ():
        if rows.dtype[name].kind == "f" and not (finite := np.isfinite(rows[name])).all():
            yield name, tuple(int(i) for i in np.argwhere(~finite)[0])


def parameters(scenario: Scenario) -> Parameters:
    """Return a scenario as the kernels take it."""
    return from_fields(arrays.parameters(scenario))


def engine(scenario: Scenario, pool: Parameters, members_sample: float = 1.0) -> SimulatePath:
    """Return what simulates a path of a scenario: by cells, or member by member.

    It takes seed, path and the outcome that it is to fill, and yields MEMBER_ROW while it does:
    rows of members who are gone, or, at the end, still there.

    Parameters
    ----------
    scenario : Scenario
        The scenario.
    pool : Parameters
        The same for the kernels.
    members_sample : float
        Part of the members who get a row, 0 to 1.
    """
    if scenario.engine == "cohort":
        return partial(_by_cells, pool)
    # compiled only where a point needs it
    from kernels import member

    individuals = individuals_from_fields(arrays.individuals(scenario, members_sample))
    return partial(member.simulate_path, pool, individuals)


def _by_cells(pool: Parameters, seed: Any, path: int, outcome: Outcome) -> Iterator[Rows]:
    """Simulate a path by cells, which have no rows of members."""
    cohort.simulate_path(pool, seed, path, outcome)
    return iter(())
