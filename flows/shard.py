"""What a worker does: simulate a block of (point, path) pairs and write it down.

Plain functions, called by name on a Dask worker, which therefore imports neither Prefect nor Dask.
Configuration and seed are read from the run folder, once a process; the message that starts a
shard is its number, which pairs it holds, and which of its points are to be left out.

A shard is finished once its record is on disk. A point that cannot be simulated is left out of the
shard's files and told in its record, with all that is needed to run it again.
"""

import hashlib
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa

from configs.load import ConfigError
from configs.sweep import Config, engine_at, rounds, scenario_at, seed_at, values_at
from flows import pilot, rows, simulation
from flows.code import Code, code, short_code
from flows.layout import Cost, Shard, blocks
from flows.rows import Block
from flows.simulation import Keep, PathError
from results.atomic import StoreError
from results.manifest import Failure, FileRecord, ShardRecord
from results.places import place
from results.store import MANIFEST_NAME, RunStore, check_writable

TABLES = {
    "paths": rows.path_table,
    "pools": rows.pool_table,
    "periods": rows.period_table,
    "cells": rows.cell_table,
}
"""The tables of every shard, in the order in which they are written."""


class CodeError(Exception):
    """A worker would compute with other code than the run began with."""


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
class _Part:
    """The paths of one point in a shard."""

    point: int
    paths: range


def run(
    folder: str, shard: Shard, left_out: Sequence[int] = (), expected_code: str = ""
) -> ShardRecord:
    """Simulate a shard and write its files, the record that it is finished last.

    What is finished already is not simulated again: a worker may have died between its last file
    and its answer.

    Parameters
    ----------
    folder : str
        The run folder, a path or a URL; its manifest holds configuration and seed.
    shard : Shard
        Which pairs.
    left_out : sequence of int
        Points whose pairs are not simulated.
    expected_code : str
        What `flows.code.short_code` must say here; not asked without it.

    Returns
    -------
    ShardRecord
        Files with rows and checksums; what failed; details paths, kernel_seconds, wall_seconds.

    Raises
    ------
    CodeError
        This process runs other code, or other versions.
    StoreError
        A file cannot be written.
    """
    check_code(expected_code)
    started = time.perf_counter()
    work, store = _work(folder), RunStore(place(folder))
    parts = [
        _Part(point, paths)
        for point, paths in blocks(shard, rounds(work.config.sweep))
        if point not in left_out
    ]
    pairs = sum(len(part.paths) for part in parts)
    record = store.finished_shard(shard.index)
    if record is not None and not record.failures and record.details["paths"] == pairs:
        return record
    simulated = _simulate_cells(work, shard.index, parts)
    simulated += _simulate_members(work, store, shard.index, parts)
    found = sorted(simulated.blocks, key=lambda block: block.point)
    files = [
        store.write_table(name, pa.concat_tables(map(table, found)), shard.index)
        for name, table in TABLES.items()
        if found
    ]
    return store.finish_shard(
        shard.index,
        [*files, *simulated.files],
        simulated.failures,
        paths=pairs,
        kernel_seconds=sum(block.kernel_seconds for block in found),
        wall_seconds=time.perf_counter() - started,
    )


def measure(folder: str) -> Cost:
    """Return what the paths of a run cost, simulating a few of them; writes nothing."""
    return pilot.measure(_work(folder).config)


def look_around(folder: str) -> tuple[Code, str]:
    """Return what this process computes with, and the digest of the manifest that it sees.

    Parameters
    ----------
    folder : str
        The run folder, a path or a URL.

    Raises
    ------
    StoreError
        The folder cannot be read or written here.
    """
    run_folder = place(folder)
    manifest = run_folder / MANIFEST_NAME
    if not manifest.is_file():
        raise StoreError(f"{folder}: there is no such run folder there")
    check_writable(run_folder)
    return code(), hashlib.sha256(manifest.read_bytes()).hexdigest()


def check_code(expected: str) -> None:
    """Raise CodeError where this process runs other code than the run began with."""
    if expected and expected != short_code():
        raise CodeError(
            f"{socket.gethostname()}: this worker has other code or versions than the run began "
            "with; start it anew from the same installation"
        )


@dataclass(frozen=True)
class _Simulated:
    """What came of some parts of a shard: blocks, files that are written, and what failed."""

    blocks: tuple[Block, ...] = ()
    files: tuple[FileRecord, ...] = ()
    failures: tuple[Failure, ...] = ()

    def __add__(self, other: "_Simulated") -> "_Simulated":
        return _Simulated(
            self.blocks + other.blocks, self.files + other.files, self.failures + other.failures
        )


class _PointError(Exception):
    """A point of a shard could not be simulated."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


def _simulate_cells(work: Work, shard: int, parts: Sequence[_Part]) -> _Simulated:
    """Simulate the points by cells; one that fails does not keep the others."""
    simulated = _Simulated()
    for part in parts:
        if engine_at(work.config, part.point) == "member":
            continue
        try:
            simulated += _Simulated(blocks=(_simulate(work, shard, part, simulation.drop),))
        except _PointError as error:
            simulated += _Simulated(failures=(error.failure,))
    return simulated


def _simulate_members(
    work: Work, store: RunStore, shard: int, parts: Sequence[_Part]
) -> _Simulated:
    """Simulate the points member by member, whose rows are written meanwhile.

    When one fails its rows are in the file already: the file is begun anew without it.
    """
    left = [part for part in parts if engine_at(work.config, part.point) == "member"]
    failures: tuple[Failure, ...] = ()
    while left:
        try:
            with store.table_writer("members", shard) as members:
                found = tuple(_simulate(work, shard, part, members.write) for part in left)
            return _Simulated(found, (members.record,), failures)
        except _PointError as error:
            failures += (error.failure,)
            left = [part for part in left if part.point != error.failure.point]
    return _Simulated(failures=failures)


def _simulate(work: Work, shard: int, part: _Part, keep: Keep) -> Block:
    """Simulate the paths of one point; _PointError with all that is needed to do it again."""
    seed = seed_at(work.config, part.point)
    path, told, where = part.paths.start, "", ""
    try:
        return simulation.simulate(
            scenario_at(work.config, part.point),
            seed,
            part.point,
            part.paths,
            members_sample=work.config.sweep.members_sample,
            keep=keep,
        )
    except PathError as error:
        path, told, where = error.path, error.error, error.traceback
    except ConfigError as error:
        told = str(error)
    swept = values_at(work.config, part.point)
    raise _PointError(Failure(shard, part.point, path, seed, swept, told, where))


@lru_cache(maxsize=4)
def _work(folder: str) -> Work:
    """Read what a run is, once a process: the folder's name holds the digest of it."""
    manifest = RunStore(place(folder)).read_manifest()
    if manifest is None:
        raise StoreError(f"{folder}: no manifest in it; the folder was moved while the run goes on")
    return Work(Config.model_validate(manifest.config), manifest.seed)
