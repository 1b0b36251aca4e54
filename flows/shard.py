"""What a worker does: simulate a block of (point, path) pairs and write it down.

Plain functions, called by name on a Dask worker, which therefore imports neither Prefect nor Dask.
Configuration and seed are read from the run folder, once a process; the message that starts a
shard is its number and which pairs it holds.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from configs import arrays
from configs.scenario import Scenario
from configs.sweep import Config, scenario_at, values_at
from flows.layout import Shard
from kernels import cohort
from kernels.dtypes import PATH_ROW, PERIOD_ROW
from kernels.parameters import Parameters, from_fields
from kernels.platform import CLOSURE_CAUSES
from results.atomic import StoreError
from results.manifest import ShardRecord
from results.schema import arrow_schema
from results.store import RunStore

Rows = npt.NDArray[np.void]


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
    plans : tuple of str
        Plans of the point's scenario, in order.
    periods : PERIOD_ROW[paths, periods, plans]
        What happened; zeros after a path's closure.
    paths : PATH_ROW[paths]
        The paths in a line each.
    kernel_seconds : float
        Time inside the kernels.
    """

    point: int
    first_path: int
    plans: tuple[str, ...]
    periods: Rows
    paths: Rows
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
    blocks = [
        simulate(work, point, range(paths[0], paths[-1] + 1))
        for point, paths in pairs_by_point(shard, work.config.sweep.paths)
    ]
    store = RunStore(Path(folder))
    files = [
        store.write_table("paths", pa.concat_tables(map(_path_table, blocks)), shard.index),
        store.write_table("periods", pa.concat_tables(map(_period_table, blocks)), shard.index),
    ]
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


def simulate(work: Work, point: int, paths: range) -> Block:
    """Simulate successive paths of one point.

    Parameters
    ----------
    work : Work
        The run.
    point : int
        Number of the point.
    paths : range
        The paths, in steps of 1.

    Raises
    ------
    ShardError
        A path could not be simulated.
    """
    path = paths.start
    try:
        scenario = scenario_at(work.config, point)
        pool = parameters(scenario)
        shape = (len(paths), scenario.periods, len(scenario.plans))
        rows, path_rows = np.zeros(shape, PERIOD_ROW), np.zeros(len(paths), PATH_ROW)
        seed: Any = np.uint64(work.seed)
        seconds = 0.0
        for i, path in enumerate(paths):
            began = time.perf_counter()
            cohort.simulate_path(pool, seed, path, rows[i], path_rows[i : i + 1])
            seconds += time.perf_counter() - began
    except Exception as error:
        raise ShardError(_failure(work, point, path, error)) from error
    return Block(point, paths.start, tuple(scenario.plans), rows, path_rows, seconds)


def parameters(scenario: Scenario) -> Parameters:
    """Return a scenario as the kernels take it."""
    return from_fields(arrays.parameters(scenario))


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
    closure = block.paths["closure_period"]
    keys = {
        "point": np.full(block.paths.size, block.point, np.int32),
        "path": np.arange(block.first_path, block.first_path + block.paths.size, dtype=np.int32),
        "closure_cause": _names(CLOSURE_CAUSES, block.paths["closure_cause"]),
        "closure_period": pa.array(closure, mask=closure < 0),
    }
    return _table("paths", keys, block.paths)


def _period_table(block: Block) -> pa.Table:
    """Return the rows of `periods` of a block: up to each path's end, by path, period and plan."""
    place = np.indices(block.periods.shape, np.int32)
    paths, periods, plans = place[0], place[1], place[2]
    ran = periods < block.paths["periods_run"][:, None, None]
    keys = {
        "point": np.full(np.count_nonzero(ran), block.point, np.int32),
        "path": paths[ran] + np.int32(block.first_path),
        "period": periods[ran],
        "plan": _names(block.plans, plans[ran]),
    }
    return _table("periods", keys, block.periods[ran])


def _names(names: tuple[str, ...], codes: npt.NDArray[Any]) -> pa.DictionaryArray:
    """Return codes as the names they stand for."""
    return pa.DictionaryArray.from_arrays(codes.astype(np.int32), list(names))


def _table(name: str, keys: dict[str, Any], rows: Rows) -> pa.Table:
    """Return the columns of a table in order, from `keys` or else from the field of `rows`."""
    columns = arrow_schema(name).names
    return pa.table(
        {
            column: keys[column] if column in keys else np.ascontiguousarray(rows[column])
            for column in columns
        }
    )
