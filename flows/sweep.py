"""The Prefect flow: plan, simulate, summarise, report.

Prefect is for what a person watches, retries and schedules: the flow and its four stages. The
shards within the stage `simulate` are Dask futures, for a Prefect task each would cost a hundred
times as much. What is finished is asked of the run folder alone, never of Prefect or Dask.
"""
# ruff: noqa: E402 - the environment is prepared before Prefect is imported

from flows import environment

environment.prepare()

import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, cast
from uuid import UUID

from distributed import KilledWorker, as_completed
from distributed.comm.core import CommClosedError
from prefect import flow, get_run_logger, tags, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from pydantic import Field

from configs.load import ConfigError
from configs.sweep import engines
from flows import plan as planning
from flows import session, shard
from flows.layout import Shard
from flows.plan import DIGITS, RESULTS_DIR, Plan
from flows.session import Progress, Session
from results.manifest import Manifest, ShardRecord
from results.picture import write_picture
from results.run import open_run
from results.summary import summarise as write_summary
from results.table import show_run

SHARDS_A_WORKER: Final = 3
"""Shards handed out ahead: no worker waits, and the scheduler need not remember the sweep."""

SECONDS_BETWEEN_UPDATES: Final = 3.0
"""How often the progress artifact is renewed."""


def _run_name() -> str:
    """Return the flow run's name: that of the run folder, where the configuration can be read."""
    given = flow_run.parameters
    try:
        return planning.plan(
            given["config"], given["results_dir"], given["seed"], given["overrides"]
        ).folder.name
    except ConfigError:
        return Path(given["config"]).stem


@flow(flow_run_name=_run_name)
def sweep(
    config: str,
    results_dir: str = RESULTS_DIR,
    seed: Annotated[int, Field(ge=0)] | None = None,
    overrides: Sequence[str] = (),
    workers: Annotated[int, Field(ge=1)] | None = None,
) -> str:
    """Run a sweep, or what is missing of it, and return its folder.

    Parameters
    ----------
    config : str
        Configuration file (YAML).
    results_dir : str
        Folder of the run folders.
    seed : int, optional
        Seed of every draw, in place of the configuration's.
    overrides : sequence of str
        `dotted.field=value` each, in place of the configuration's values.
    workers : int, optional
        Worker processes; without it one a usable core.

    Raises
    ------
    ConfigError
        The configuration cannot be used.
    StoreError
        The results cannot be written.
    ShardError
        A path could not be simulated.
    """
    run = planning.plan(config, results_dir, seed, overrides)
    if run.is_complete():
        get_run_logger().info("The run is there, whole: %s", run.folder)
        return str(run.folder)
    with session.joined(workers, engines(run.config)) as here, tags(run.config.name):
        manifest = prepare(run)
        seconds = simulate(run, here)
        manifest = summarise(run, here, manifest)
        report(run, here, manifest, seconds)
    return str(run.folder)


@task(name="plan", cache_policy=NO_CACHE)
def prepare(run: Plan) -> Manifest:
    """Make the run folder; its configuration, points and first manifest."""
    return planning.begin(run)


def _another_try_may_help(task: object, task_run: object, state: State[Any]) -> bool:
    """Whether a stage failed by its workers' death, and not by what they were given to do."""
    return isinstance(state.data, (KilledWorker, CommClosedError))


@task(
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=2,
    retry_condition_fn=_another_try_may_help,
)
def simulate(run: Plan, here: Session) -> float:
    """Simulate every shard that is not on disk; the seconds in kernels, over all workers."""
    missing = run.missing()
    done = run.paths - sum(shard.stop - shard.first for shard in missing)
    progress = _Watched(here, run)
    progress.say("compiling" if missing else "simulating", done)
    if missing:
        session.wait_for_kernels(here)
    seconds = 0.0
    for record in _records(here, run.folder, missing):
        seconds += record.details["kernel_seconds"]
        done += record.details["paths"]
        progress.say("simulating", done)
    return seconds


def _records(here: Session, folder: Path, shards: Sequence[Shard]) -> Iterator[ShardRecord]:
    """Yield the shards' records as workers finish them, a few shards a worker handed out ahead."""
    waiting = iter(shards)
    handed_out = as_completed()
    for next_shard in itertools.islice(waiting, SHARDS_A_WORKER * here.workers):
        handed_out.add(here.client.submit(shard.run, str(folder), next_shard, pure=False))
    for future in handed_out:
        yield future.result()
        for next_shard in itertools.islice(waiting, 1):
            handed_out.add(here.client.submit(shard.run, str(folder), next_shard, pure=False))


class _Watched:
    """Tells the screen of each step, and Prefect's progress artifact now and then."""

    def __init__(self, here: Session, run: Plan) -> None:
        self._show = here.show
        self._total = run.paths
        artifact = create_progress_artifact(
            0.0, key=f"progress-{run.digest[:DIGITS]}", description=f"Paths of {run.folder.name}"
        )
        self._artifact = cast(UUID, artifact)
        self._told = time.monotonic()

    def say(self, stage: str, done: int) -> None:
        """Tell that `done` paths are finished."""
        self._show(Progress(stage, done, self._total))
        if done == self._total or time.monotonic() - self._told > SECONDS_BETWEEN_UPDATES:
            update_progress_artifact(self._artifact, 100.0 * done / self._total)
            self._told = time.monotonic()


@task(cache_policy=NO_CACHE)
def summarise(run: Plan, here: Session, manifest: Manifest) -> Manifest:
    """Write `summary` from the finished shards; the manifest with the files known so far."""
    here.show(Progress("summarising", run.paths, run.paths))
    summary = write_summary(run.store, manifest.plans)
    summarised = dataclasses.replace(manifest, files=(*manifest.files, *summary))
    run.store.write_manifest(summarised)
    return summarised


@task(cache_policy=NO_CACHE)
def report(run: Plan, here: Session, manifest: Manifest, kernel_seconds: float) -> None:
    """Draw the picture, close the manifest, and leave the table in Prefect's UI."""
    here.show(Progress("drawing", run.paths, run.paths))
    pictures = write_picture(open_run(run.folder))
    wall = time.time() - here.started
    run.store.close_run(
        manifest,
        status="complete",
        finished=datetime.now().astimezone().isoformat(timespec="seconds"),
        files=(*manifest.files, *pictures),
        seconds={
            "wall_seconds": wall,
            "kernel_seconds": kernel_seconds,
            "overhead_seconds": wall - kernel_seconds / here.workers,
        },
    )
    table = show_run(open_run(run.folder))
    create_markdown_artifact(
        f"Folder: `{run.folder.resolve()}`\n\n```\n{table}```\n",
        key=f"summary-{run.digest[:DIGITS]}",
        description=f"What came out of {run.folder.name}",
    )
