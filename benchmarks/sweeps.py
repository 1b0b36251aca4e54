"""What a sweep costs beyond its kernels: shards, scheduler, and a peer beside them."""

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.record import Figure, benchmark
from configs.cluster import Local
from configs.load import load
from configs.sweep import scenario_at, seed_at
from flows import layout, pilot, session, shard, simulate, simulation
from flows import plan as planning
from flows.layout import Cut, Shard
from flows.session import Session
from flows.simulate import Tally, Task
from kernels.events import new_outcome
from kernels.parameters import Parameters
from results.manifest import FileRecord, ShardRecord

TOP: Final = Path(__file__).parent.parent
HUZHU: Final = str(Path(sys.executable).parent / "huzhu")
QUICKSTART: Final = TOP / "configs" / "quickstart.yaml"
WORKERS: Final = 2

KERNEL_SECONDS: Final = float(os.environ.get("HUZHU_BENCHMARK_SECONDS", "1100"))
"""How long the kernels of the efficiency's sweep take, about, over all workers: some 210 shards."""

TINY_SHARDS: Final = 500
MANY_SHARDS: Final = 100_000
FEW_SHARDS: Final = 1_000
EXPERIMENTS: Final = 10_000

TINY: Final[dict[str, dict[str, Any]]] = {
    "scenario": {
        "title": "A path of a millisecond",
        "periods": 12,
        "market_members": 1_000_000,
        "age_edges": [0, 20, 40, 60],
        "plans": {
            "main": {
                "max_age": 59,
                "benefit": [{"from_age": 0, "benefit_yuan": 300_000}],
                "advertised_share_yuan": 0.5,
            }
        },
        "channels": {
            "app": {
                "push": [{"from_period": 0, "value": 0.05}],
                "ages": [{"from_age": 0, "to_age": 59, "male": 0.5, "female": 0.5}],
                "motives": {"staying": 1.0},
                "health": {"standard": 1},
            }
        },
        "motives": {"staying": {"education_speed": 0.05, "lapse": {"base": 0.002}}},
    },
    "sweep": {"seed": 7},
}


def tiny_config(folder: Path, paths: int) -> Path:
    """Write the configuration of a sweep of one point and some paths of a millisecond."""
    file = folder / "tiny.yaml"
    sweep = {**TINY["sweep"], "paths": paths}
    file.write_text(json.dumps({**TINY, "sweep": sweep}))
    return file


def _seconds_of_paths(config: Path, seconds: float) -> float:
    """Simulate paths for a while, in this process alone: seconds of kernels a path."""
    loaded = load(config)
    spent, done, ended = 0.0, 0, time.perf_counter() + seconds
    while time.perf_counter() < ended:
        point = done % 18
        block = simulation.simulate(
            scenario_at(loaded, point), seed_at(loaded, point), point, range(done, done + 5)
        )
        spent, done = spent + block.kernel_seconds, done + 5
    return spent / done


@benchmark("sweep_efficiency")
def sweep_efficiency() -> Figure:
    """Kernel seconds over wall times cores, of the whole command from outside."""
    pilot.measure(load(QUICKSTART))  # compiles what is not compiled
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool:
        told = list(pool.map(_seconds_of_paths, [QUICKSTART] * WORKERS, [10.0] * WORKERS))
    alone = sum(told) / WORKERS
    paths = round(KERNEL_SECONDS / alone / 18)
    with tempfile.TemporaryDirectory() as folder:
        command = [HUZHU, "run", str(QUICKSTART), "--results", folder, "--workers", str(WORKERS)]
        began = time.perf_counter()
        subprocess.run([*command, "--set", f"sweep.paths={paths}"], check=True, capture_output=True)
        wall = time.perf_counter() - began
        manifest = json.loads(next(Path(folder).glob("*/manifest.json")).read_text())
    value = manifest["kernel_seconds"] / (wall * WORKERS)
    baseline = 18 * paths * alone / (wall * WORKERS)
    print(f"{manifest['shards']} shards, {wall:.0f} s wall", file=sys.stderr)
    return Figure(
        "sweep_efficiency", value, "1", baseline, value / baseline, ">= 0.90", value >= 0.9,
        f"the same by the kernels' time in {WORKERS} bare processes at once",
    )  # fmt: skip


def _cut_of_tiny(folder: Path, shards: int) -> tuple[planning.Plan, Cut]:
    """Begin a run of shards of one tiny path each."""
    from results.store import create_run

    run = planning.plan(tiny_config(folder, shards), folder / "runs")
    create_run(run.folder)
    manifest = planning.begin(run)
    cut = Cut(1, (shards,), 1)
    planning.keep_cut(run, manifest, cut)
    return run, cut


@benchmark("overhead_ms_per_shard")
def overhead_ms_per_shard() -> Figure:
    """Milliseconds of a worker that a shard takes beyond its kernels, files included."""
    with tempfile.TemporaryDirectory() as name:
        run, cut = _cut_of_tiny(Path(name), TINY_SHARDS)
        with session.opened(Local(workers=WORKERS)) as here:
            here.wait_for_kernels()
            here.client.run(shard.measure, run.address)
            began = time.perf_counter()
            tally = simulate.simulate(run, here, cut, again=False, tell=lambda done: None)
            wall = time.perf_counter() - began
        value = 1000 * (wall * WORKERS - tally.kernel_seconds) / TINY_SHARDS
    with tempfile.TemporaryDirectory() as name:
        run, cut = _cut_of_tiny(Path(name), TINY_SHARDS)
        began = time.perf_counter()
        records = [shard.run(run.address, one) for one in cut.shards]
        wall = time.perf_counter() - began
    kernels = sum(record.details["kernel_seconds"] for record in records)
    baseline = 1000 * (wall - kernels) / TINY_SHARDS
    return Figure(
        "overhead_ms_per_shard", value, "ms", baseline, value / baseline, "<= 50 ms", value <= 50,
        "writing the same shards in a plain loop",
    )  # fmt: skip


def no_work(folder: str, one: Shard) -> ShardRecord:
    """Return the record of a shard with four files, as one that was simulated has it."""
    names = ("paths", "pools", "periods", "cells")
    files = [
        FileRecord(f"{name}/shard-{one.index:05d}.parquet", 1000, 12345, "0" * 64) for name in names
    ]
    return ShardRecord(one.index, tuple(files), {"paths": 1, "kernel_seconds": 0.0})


def _peak_mb(shards: int) -> float:
    """Hand out shards of no work; the peak of this process's memory, client and scheduler in it."""
    tally = Tally({}, {})
    with session.opened(Local(workers=WORKERS)) as here:
        here.wait_for_kernels()
        tasks = [Task(one, (), 1) for one in Cut(1, (shards,), 1).shards]
        began = time.perf_counter()
        for _, future in simulate.fan_out(here, tasks, _handing_out(here)):
            tally.add(future.result())
        each = 1000 * (time.perf_counter() - began) / shards
    assert len(tally.pairs) == shards
    print(f"{shards} shards of no work: {each:.2f} ms each", file=sys.stderr)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def _handing_out(here: Session) -> Callable[[Task], Any]:
    return lambda task: here.client.submit(no_work, "folder", task.shard, pure=False)


def _peak_in_a_process(shards: int) -> float:
    """Return the peak of a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_peak_mb, shards).result()


@benchmark("scheduler_mb_100k_shards")
def scheduler_mb_100k_shards() -> Figure:
    """Peak memory of client and scheduler, which share a process, over 100 000 shards."""
    value, baseline = _peak_in_a_process(MANY_SHARDS), _peak_in_a_process(FEW_SHARDS)
    return Figure(
        "scheduler_mb_100k_shards", value, "MB", baseline, value / baseline, "< 2000 MB",
        value < 2000, "the same with 1 000 shards",
    )  # fmt: skip


@lru_cache(maxsize=1)
def _tiny_pool() -> tuple[Parameters, simulation.SimulatePath]:
    """Return what the paths of the peer's have in common, made once a process."""
    from configs.scenario import Scenario

    scenario = Scenario.model_validate(TINY["scenario"])
    pool = simulation.parameters(scenario)
    return pool, simulation.engine(scenario, pool)


def one_path(path: int = 0) -> dict[str, float]:
    """Simulate one tiny path, as a model function of the peer's: its outcomes, and its seconds."""
    pool, simulate_path = _tiny_pool()
    outcome = new_outcome(pool)
    began = time.perf_counter()
    list(simulate_path(np.uint64(7), int(path), outcome))
    seconds = time.perf_counter() - began
    row = outcome.path[0]
    return {
        "members_end": float(row["members_end"]),
        "share_total": float(row["share_total"]),
        "kernel_seconds": seconds,
    }


def _theirs() -> tuple[float, dict[int, float]]:
    """Run the experiments with the peer: its overhead in ms an experiment, and the outcomes."""
    try:
        import ema_workbench as ema
    except ModuleNotFoundError as error:
        raise SystemExit(f"{error}; pip install 'ema_workbench>=2.5,<3'") from error

    model = ema.Model("tiny", function=one_path)
    model.uncertainties = [ema.IntegerParameter("path", 0, EXPERIMENTS - 1)]
    model.outcomes = [
        ema.ScalarOutcome(name) for name in ("members_end", "share_total", "kernel_seconds")
    ]
    designs = [ema.Scenario(f"{path}", path=path) for path in range(EXPERIMENTS)]
    with ema.MultiprocessingEvaluator(model, n_processes=WORKERS) as evaluator:
        evaluator.perform_experiments(scenarios=designs[: 2 * WORKERS])  # imports, compiled kernels
        began = time.perf_counter()
        experiments, outcomes = evaluator.perform_experiments(scenarios=designs)
        wall = time.perf_counter() - began
    kernels = float(outcomes["kernel_seconds"].sum())
    found = dict(zip(experiments["path"].astype(int), outcomes["share_total"], strict=True))
    return 1000 * (wall * WORKERS - kernels) / EXPERIMENTS, found


def _ours() -> tuple[float, dict[int, float]]:
    """Run the experiments as a sweep: its overhead in ms an experiment, and the outcomes."""
    from results.run import open_run

    with tempfile.TemporaryDirectory() as name:
        run, _ = _cut_of_tiny(Path(name), EXPERIMENTS)
        with session.opened(Local(workers=WORKERS)) as here:
            here.wait_for_kernels()
            here.client.run(shard.measure, run.address)
            began = time.perf_counter()
            cost = here.client.submit(shard.measure, run.address, pure=False).result()
            cut = Cut(1, (EXPERIMENTS,), layout.pairs_a_shard(cost, EXPERIMENTS, None))
            tally = simulate.simulate(run, here, cut, again=False, tell=lambda done: None)
            wall = time.perf_counter() - began
        paths = open_run(run.folder).pandas("paths")
    found = dict(zip(paths["path"], paths["share_total"], strict=True))
    return 1000 * (wall * WORKERS - tally.kernel_seconds) / EXPERIMENTS, found


@benchmark("peer_sweep_overhead_ratio")
def peer_sweep_overhead_ratio() -> Figure:
    """Overhead an experiment of ours, on disk, over that of EMA Workbench, in memory."""
    (theirs, expected), (ours, found) = _theirs(), _ours()
    assert found == expected, "the same paths came to other figures"
    return Figure(
        "peer_sweep_overhead_ratio", ours / theirs, "1", 1.0, ours / theirs, "< 1", ours < theirs,
        f"EMA Workbench's pool, {theirs:.2f} ms an experiment; ours {ours:.2f} ms",
    )  # fmt: skip
