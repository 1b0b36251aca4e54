"""What a worker does: simulate a block of (point, path) pairs and write it down.

Plain functions, called by name on a Dask worker, which therefore imports neither Prefect nor Dask.
Configuration and seed are read from the run folder, once a process; the message that starts a
shard is its number and which pairs it holds.
"""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from configs import arrays
from configs.scenario import SEXES, Scenario
from configs.sweep import Config, engine_at, scenario_at, values_at
from flows.layout import Shard
from kernels import cohort, events
from kernels.dtypes import LAPSE_CAUSES
from kernels.events import Outcome
from kernels.individuals import individuals_from_fields
from kernels.parameters import Parameters, from_fields
from kernels.platform import CLOSURE_CAUSES
from results.atomic import StoreError
from results.manifest import ShardRecord
from results.schema import POOL_CLOSED, arrow_schema
from results.store import RunStore

Rows = npt.NDArray[np.void]
SimulatePath = Callable[[Any, int, Outcome], Iterator[Rows]]
Keep = Callable[[pa.Table], None]


class ShardError(Exception):
    """A path could not be simulated; the message names point, path and seed."""


@dataclass(frozen=True)
class Work:
    """What every shard of a run needs to know.

    Attributes
    ----------
    config : Config
        The sweep as resolved.
    seed : int
        Seed of the run.
    """

    config: Config
    seed: int


@dataclass(frozen=True)
class Block:
    """Successive paths of one point, simulated.

    Attributes
    ----------
    point, first_path : int
        Which paths.
    scenario : Scenario
        The point's scenario.
    outcomes : Outcome
        What happened, each array with the paths as its first axis: PERIOD_ROW[paths, periods,
        plans], zeros after the end of a plan's pool; PATH_ROW[paths, 1], POOL_ROW[paths, pools],
        CELL_ROW[paths, plans, groups].
    kernel_seconds : float
        Time inside the kernels.
    """

    point: int
    first_path: int
    scenario: Scenario
    outcomes: Outcome
    kernel_seconds: float


def run(folder: str, shard: Shard) -> ShardRecord:
    """Simulate a shard and write its files, the record that it is finished last.

    Parameters
    ----------
    folder : str
        The run folder; its manifest holds configuration and seed.
    shard : Shard
        Which pairs.

    Returns
    -------
    ShardRecord
        Files with rows and checksums; details paths, kernel_seconds, wall_seconds.

    Raises
    ------
    ShardError
        A path could not be simulated; nothing is written.
    StoreError
        A file cannot be written.
    """
    started = time.perf_counter()
    work = _work(folder)
    store = RunStore(Path(folder))
    pairs = list(pairs_by_point(shard, work.config.sweep.paths))
    with contextlib.ExitStack() as stack:
        members = None
        if any(engine_at(work.config, point) == "member" for point, _ in pairs):
            members = stack.enter_context(store.table_writer("members", shard.index))
        blocks = [
            simulate(work, point, paths, _drop if members is None else members.write)
            for point, paths in pairs
        ]
    tables = {"paths": _path_table, "pools": _pool_table, "periods": _period_table}
    tables["cells"] = _cell_table
    files = [
        store.write_table(name, pa.concat_tables(map(table, blocks)), shard.index)
        for name, table in tables.items()
    ]
    files += [] if members is None else [members.record]
    return store.finish_shard(
        shard.index,
        files,
        paths=shard.stop - shard.first,
        kernel_seconds=sum(block.kernel_seconds for block in blocks),
        wall_seconds=time.perf_counter() - started,
    )


def pairs_by_point(shard: Shard, paths_per_point: int) -> Iterator[tuple[int, range]]:
    """Yield each point of a shard with its paths in it, in order."""
    first_point = shard.first // paths_per_point
    for point in itertools.count(first_point):
        origin = point * paths_per_point
        if origin >= shard.stop:
            return
        yield point, range(max(shard.first - origin, 0), min(shard.stop - origin, paths_per_point))


def _drop(rows: pa.Table) -> None:
    """Keep no rows of members."""


def simulate(work: Work, point: int, paths: range, keep: Keep = _drop) -> Block:
    """Simulate successive paths of one point.

    Parameters
    ----------
    work : Work
        The run.
    point : int
        Number of the point.
    paths : range
        The paths, in steps of 1.
    keep : callable
        Takes rows of the table `members` while paths of the engine `member` are simulated.

    Raises
    ------
    ShardError
        A path could not be simulated.
    StoreError
        Rows of members could not be kept.
    """
    path = paths.start
    seconds = 0.0
    try:
        scenario = scenario_at(work.config, point)
        pool = parameters(scenario)
        one = events.new_outcome(pool)
        outcomes = Outcome(*(np.zeros((len(paths), *rows.shape), rows.dtype) for rows in one))
        simulate_path = engine(scenario, pool, work.config.sweep.members_sample)
        table = partial(_member_table, _member_names(scenario), point)
        seed: Any = np.uint64(work.seed)
        for i, path in enumerate(paths):
            began = time.perf_counter()
            for rows in simulate_path(seed, path, Outcome(*(rows[i] for rows in outcomes))):
                seconds += time.perf_counter() - began
                keep(table(path, rows))
                began = time.perf_counter()
            seconds += time.perf_counter() - began
    except StoreError:
        raise
    except Exception as error:
        raise ShardError(_failure(work, point, path, error)) from error
    return Block(point, paths.start, scenario, outcomes, seconds)


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


@lru_cache(maxsize=4)
def _work(folder: str) -> Work:
    """Read what a run is, once a process: the folder's name holds the digest of it."""
    manifest = RunStore(Path(folder)).read_manifest()
    if manifest is None:
        raise StoreError(f"{folder}: no manifest in it; the folder was moved while the run goes on")
    return Work(Config.model_validate(manifest.config), manifest.seed)


def _failure(work: Work, point: int, path: int, error: Exception) -> str:
    """Return the message for a path that could not be simulated."""
    swept = ", ".join(f"{name}={value}" for name, value in values_at(work.config, point).items())
    where = f"point {point}" + (f" ({swept})" if swept else "")
    return f"{where}, path {path}, seed {work.seed}: {type(error).__name__}: {error}"


def _path_table(block: Block) -> pa.Table:
    """Return the rows of `paths` of a block."""
    rows = block.outcomes.path[:, 0]
    paths = np.arange(rows.size, dtype=np.int32)
    return _table("paths", _keys(block, paths) | _closure(rows), rows)


def _pool_table(block: Block) -> pa.Table:
    """Return the rows of `pools` of a block: by path and pool."""
    paths, pools = np.indices(block.outcomes.pools.shape, np.int32)
    rows = block.outcomes.pools.ravel()
    keys = _keys(block, paths.ravel()) | {"pool": _names(_pools(block.scenario), pools.ravel())}
    return _table("pools", keys | _closure(rows), rows)


def _period_table(block: Block) -> pa.Table:
    """Return the rows of `periods` of a block: up to a pool's end, by path, period and plan."""
    places: Rows = np.indices(block.outcomes.periods.shape, np.int32)
    paths, periods, plans = places[0], places[1], places[2]
    homes = list(arrays.pool_numbers(block.scenario))
    ran = periods < block.outcomes.pools["periods_run"][:, None, homes]
    keys = _keys(block, paths[ran]) | {
        "period": periods[ran],
        "plan": _names(tuple(block.scenario.plans), plans[ran]),
        "pool": _names(_pools(block.scenario), np.array(homes, np.int32)[plans[ran]]),
    }
    return _table("periods", keys, block.outcomes.periods[ran])


def _cell_table(block: Block) -> pa.Table:
    """Return the rows of `cells` of a block: by path, plan and group that ever paid or claimed."""
    rows = block.outcomes.cells
    used = (rows["exposure"] > 0) | (rows["paid"] != 0.0) | (rows["cases"] > 0)
    paths, plans, numbers = (place.astype(np.int32) for place in np.nonzero(used))
    groups = arrays.groups(block.scenario)
    keys = _keys(block, paths) | {
        "plan": _names(tuple(block.scenario.plans), plans),
        "from_age": np.array([group.from_age for group in groups], np.int32)[numbers],
        "to_age": np.array([group.to_age for group in groups], np.int32)[numbers],
        "sex": _names(SEXES, np.array([SEXES.index(group.sex) for group in groups])[numbers]),
        "health": _names(tuple(group.health for group in groups), numbers),
    }
    return _table("cells", keys, rows[used])


@dataclass(frozen=True)
class _MemberNames:
    """What the codes of a scenario's members stand for; by group, or by plan."""

    ages: npt.NDArray[np.int32]
    sexes: tuple[str, ...]
    health: tuple[str, ...]
    plans: tuple[str, ...]
    pools: tuple[str, ...]
    motives: tuple[str, ...]
    channels: tuple[str, ...]


def _member_names(scenario: Scenario) -> _MemberNames:
    """Return what the codes of a scenario's members stand for."""
    groups, pools = arrays.groups(scenario), _pools(scenario)
    return _MemberNames(
        np.array([group.from_age for group in groups], np.int32),
        tuple(group.sex for group in groups),
        tuple(group.health for group in groups),
        tuple(scenario.plans),
        tuple(pools[home] for home in arrays.pool_numbers(scenario)),
        tuple(scenario.motives),
        tuple(scenario.channels),
    )


def _member_table(names: _MemberNames, point: int, path: int, rows: Rows) -> pa.Table:
    """Return rows of `members` of one path."""
    keys = {
        "point": np.full(rows.size, point, np.int32),
        "path": np.full(rows.size, path, np.int32),
        "pool": _names(names.pools, rows["plan"]),
        "plan": _names(names.plans, rows["plan"]),
        "left": pa.array(rows["left"], mask=rows["left"] < 0),
        "cause": _names((*LAPSE_CAUSES, POOL_CLOSED), rows["cause"]),
        "age": names.ages[rows["group"]],
        "sex": _names(names.sexes, rows["group"]),
        "health": _names(names.health, rows["group"]),
        "motive": _names(names.motives, rows["motive"]),
        "channel": _names(names.channels, rows["channel"]),
    }
    return _table("members", keys, rows)


def _keys(block: Block, paths: npt.NDArray[np.int32]) -> dict[str, Any]:
    """Return the columns that say which point and path a row is of."""
    point = np.full(paths.size, block.point, np.int32)
    return {"point": point, "path": paths + np.int32(block.first_path)}


def _closure(rows: Rows) -> dict[str, Any]:
    """Return the columns that say why and when a pool, or the last of a path, closed."""
    period = rows["closure_period"]
    cause = _names(CLOSURE_CAUSES, rows["closure_cause"])
    return {"closure_cause": cause, "closure_period": pa.array(period, mask=period < 0)}


def _pools(scenario: Scenario) -> tuple[str, ...]:
    """Return the names of the pools of a scenario; of a single one, that of its first plan."""
    return tuple(scenario.pools) or (next(iter(scenario.plans)),)


def _names(names: tuple[str, ...], codes: npt.NDArray[Any]) -> pa.DictionaryArray:
    """Return codes as the names they stand for, a code below 0 as none."""
    every = list(dict.fromkeys(names))
    missing = codes < 0
    if len(every) < len(names):  # groups share the names of their health classes
        codes = np.array([every.index(name) for name in names])[codes]
    places = pa.array(codes.astype(np.int32), mask=missing)
    return pa.DictionaryArray.from_arrays(places, pa.array(every, pa.string()))


def _table(name: str, keys: dict[str, Any], rows: Rows) -> pa.Table:
    """Return the columns of a table in order, from `keys` or else from the field of `rows`."""
    columns = arrow_schema(name).names
    return pa.table(
        {
            column: keys[column] if column in keys else np.ascontiguousarray(rows[column])
            for column in columns
        }
    )
