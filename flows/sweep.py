"""The Prefect flow: plan, measure, simulate, compact, summarise, report.

Prefect is for what a person watches, retries and schedules: the flow and its stages. The shards
within the stage `simulate` are Dask futures, for a Prefect task each would cost a hundred times as
much. What is finished is asked of the run folder alone, never of Prefect or Dask.
"""
# ruff: noqa: E402 - the environment is prepared before Prefect is imported

from flows import environment

environment.prepare()

import base64
import dataclasses
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, cast
from uuid import UUID

from prefect import flow, get_run_logger, tags, task
from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.settings import get_current_settings
from prefect.tasks import exponential_backoff
from pydantic import Field

from configs.cluster import Cluster
from configs.load import ConfigError
from configs.plausibility import warnings_of
from configs.sweep import Sweep, engines, shapes_of
from flows import forecast as foretelling
from flows import plan as planning
from flows import repair, screen, session
from flows import simulate as simulating
from flows.cluster import ClusterError, check_workers
from flows.layout import Cut
from flows.plan import DIGITS, RESULTS_DIR, Plan
from flows.session import Progress, Session
from flows.simulate import Tally
from results.atomic import StoreError
from results.manifest import Failure, FileRecord, Manifest
from results.picture import PICTURE_NAME, write_picture
from results.report import contents
from results.report.files import REPORT_NAME, write_report
from results.run import open_run
from results.summary import summarise as write_summary
from results.table import show_run

environment.bypass_unusable_proxies(get_current_settings().api.url)

SECONDS_BETWEEN_UPDATES: Final = 3.0
"""How often the progress artifact is renewed."""


class PointsFailedError(Exception):
    """Some points of a sweep could not be simulated; the others are there.

    Attributes
    ----------
    folder : str
        The run folder.
    failures : tuple of Failure
        What failed, in order of shards.
    """

    def __init__(self, folder: str, failures: Sequence[Failure]) -> None:
        points = {failure.point for failure in failures}
        super().__init__(
            f"{len(points)} points failed, the first: {failures[0].told()}; "
            f"`huzhu retry {folder}` runs them again"
        )
        self.folder, self.failures = folder, tuple(failures)


def _run_name() -> str:
    """Return the flow run's name: that of the run folder, where the configuration can be read."""
    given = flow_run.parameters
    try:
        return planning.plan(
            given["config"],
            given["results_dir"],
            given["seed"],
            given["overrides"],
            given["design"],
        ).folder.name
    except (ConfigError, StoreError):
        return Path(given["config"]).stem


@flow(flow_run_name=_run_name)
def sweep(
    config: str,
    results_dir: str = RESULTS_DIR,
    seed: Annotated[int, Field(ge=0, lt=2**64)] | None = None,
    overrides: Sequence[str] = (),
    design: Sweep | None = None,
    cluster: Cluster | None = None,
    fresh: bool = False,
    again: bool = False,
) -> str:
    """Run a sweep, or what is missing of it, and return its folder.

    Parameters
    ----------
    config : str
        Configuration file (YAML), or a run folder, to go on with that run.
    results_dir : str
        Folder of the run folders, a path or a URL.
    seed : int, optional
        Seed of every draw, in place of the configuration's.
    overrides : sequence of str
        `dotted.field=value` each, in place of the configuration's values.
    design : Sweep, optional
        Which points are run and how often, in place of the configuration's section `sweep`.
    cluster : Cluster, optional
        Where, in place of the configuration's section `cluster`; this machine without either.
    fresh : bool
        Start over; what is there is moved aside.
    again : bool
        Run again what failed.

    Raises
    ------
    ConfigError
        The configuration cannot be used.
    ClusterError, CodeError, CutError
        The cluster cannot be used, or not for this.
    PointsFailedError
        Some points failed; the others are there.
    StoreError
        The results cannot be written.
    """
    run = planning.plan(config, results_dir, seed, overrides, design)
    for text in warnings_of(run.config):
        get_run_logger().warning(text)
    if not fresh and repair.is_finished(run, get_run_logger().warning):
        get_run_logger().info("The run is there, whole: %s", run.folder)
        return str(run.folder)
    return _carry_out(run, cluster, fresh, again)


def finish(
    config: str,
    results_dir: str,
    seed: int | None,
    overrides: Sequence[str],
    here: Session,
    fresh: bool = False,
    again: bool = False,
) -> str:
    """Do what is left of a sweep whose flow ended because Prefect's server was lost.

    Parameters and errors are those of `sweep`, without Prefect; `here` is the session in which the
    flow ran, whose record is lost.
    """
    run = planning.plan(config, results_dir, seed, overrides)
    begun = planning.is_begun_since(run, here.started)
    if (begun or not fresh) and repair.is_finished(run, screen.say):
        return str(run.folder)
    return _carry_out(run, None, fresh and not begun, again)


def _carry_out(run: Plan, cluster: Cluster | None, fresh: bool, again: bool) -> str:
    """Compute what is missing of a run, and return its folder."""
    settings = cluster or run.config.cluster
    run.check_folder()
    if not session.is_open():
        foretelling.check(run.config, settings)
    with session.joined(settings, engines(run.config)) as here:
        # of workers that others started, the memory is not known before
        foretelling.check_memory(run.config, here.memory_bytes)
        with planning.held(run, fresh), tags(run.config.name):
            tally = _stages(run, here, again)
    failures = [failure for _, found in sorted(tally.failures.items()) for failure in found]
    if failures:
        raise PointsFailedError(str(run.folder), failures)
    return str(run.folder)


def _stages(run: Plan, here: Session, again: bool) -> Tally:
    """Run one stage after another."""
    stage = here.record.stage
    manifest = stage(prepare, run)
    cut, manifest = stage(measure, run, here, manifest)
    tally: Tally = stage(simulate, run, here, cut, again)
    compacted = () if tally.failures else stage(compact, run, here)
    manifest = stage(summarise, run, here, manifest, compacted)
    stage(report, run, here, manifest, compacted, tally)
    return tally


@task(name="plan", cache_policy=NO_CACHE)
def prepare(run: Plan) -> Manifest:
    """Make the run folder; its configuration, points and first manifest."""
    return planning.begin(run)


def _another_try_may_help(task: object, task_run: object, state: State[Any]) -> bool:
    """Whether a stage failed by its cluster, and not by what it was given to do."""
    return isinstance(state.data, ClusterError)


@task(cache_policy=NO_CACHE)
def measure(run: Plan, here: Session, manifest: Manifest) -> tuple[Cut, Manifest]:
    """Look at the workers, have kernels compiled, and cut the sweep into shards."""
    check_workers(here.client, run.address)
    here.show(Progress("compiling", 0, run.paths))
    here.wait_for_kernels()
    here.show(Progress("measuring", 0, run.paths))
    return simulating.cut_of(run, here, manifest)


@task(
    cache_policy=NO_CACHE,
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=5),
    retry_jitter_factor=0.5,
    retry_condition_fn=_another_try_may_help,
)
def simulate(run: Plan, here: Session, cut: Cut, again: bool) -> Tally:
    """Simulate every shard that is not on disk."""
    watched = _Watched(here, run)
    return simulating.simulate(run, here, cut, again=again, tell=watched.say)


class _Watched:
    """Tells the screen of each step, and Prefect's progress artifact now and then."""

    def __init__(self, here: Session, run: Plan) -> None:
        self._show, self._leave = here.show, here.record.leave
        self._total = run.paths
        self._artifact = self._leave(
            lambda: create_progress_artifact(
                0.0,
                key=f"progress-{run.digest[:DIGITS]}",
                description=f"Paths of {run.folder.name}",
            )
        )
        self._told = time.monotonic()

    def say(self, done: int) -> None:
        """Tell that `done` paths are finished."""
        self._show(Progress("simulating", done, self._total))
        if done == self._total or time.monotonic() - self._told > SECONDS_BETWEEN_UPDATES:
            artifact, part = cast(UUID, self._artifact), 100.0 * done / self._total
            self._leave(lambda: update_progress_artifact(artifact, part))
            self._told = time.monotonic()


@task(cache_policy=NO_CACHE)
def compact(run: Plan, here: Session) -> tuple[FileRecord, ...]:
    """Put the shards' files together; the files that came of it."""

    def tell(done: int, total: int) -> None:
        here.show(Progress("compacting", done, total, "files"))

    return run.store.compact(tell)


@task(cache_policy=NO_CACHE)
def summarise(
    run: Plan, here: Session, manifest: Manifest, compacted: Sequence[FileRecord]
) -> Manifest:
    """Write `summary` from the finished paths; the manifest with its files."""
    here.show(Progress("summarising", run.paths, run.paths))
    summary = write_summary(run.store, shapes_of(run.config), compacted)
    summarised = dataclasses.replace(manifest, files=(*manifest.files, *summary))
    run.store.write_manifest(summarised)
    return summarised


@task(cache_policy=NO_CACHE)
def report(
    run: Plan, here: Session, manifest: Manifest, compacted: Sequence[FileRecord], tally: Tally
) -> None:
    """Draw the picture, close the manifest, write the report, and leave them in Prefect's UI.

    Once the manifest names the files that were put together the shards' own are no longer needed.
    """
    here.show(Progress("drawing", run.paths, run.paths))
    pictures = write_picture(open_run(run.folder))
    wall = time.time() - here.started
    run.store.close_run(
        manifest,
        status="failed" if tally.failures else "complete",
        finished=datetime.now().astimezone().isoformat(timespec="seconds"),
        files=(*manifest.files, *compacted, *pictures),
        seconds={
            "wall_seconds": wall,
            "kernel_seconds": tally.kernel_seconds,
            "overhead_seconds": wall - tally.kernel_seconds / here.workers,
        },
    )
    if not tally.failures:
        run.store.remove_shards()
    here.show(Progress("reporting", run.paths, run.paths))
    there = open_run(run.folder)
    write_report(there, contents.report(there))
    here.record.leave(lambda: _leave_artifacts(run))


def _leave_artifacts(run: Plan) -> None:
    """Leave table, picture and the folder's address in Prefect's UI."""
    key = run.digest[:DIGITS]
    place = run.folder if "://" in str(run.folder) else run.folder.resolve().as_uri()
    create_markdown_artifact(
        f"Folder: `{place}`\n\n```\n{show_run(open_run(run.folder))}```\n",
        key=f"summary-{key}",
        description=f"What came out of {run.folder.name}",
    )
    picture = base64.b64encode((run.folder / f"{PICTURE_NAME}.png").read_bytes()).decode()
    create_image_artifact(
        f"data:image/png;base64,{picture}",
        key=f"picture-{key}",
        description=f"Share and members of {run.folder.name}",
    )
    create_link_artifact(
        f"{place}/{REPORT_NAME}",
        link_text=f"Report of {run.folder.name}",
        key=f"results-{key}",
        description="The run's report, in its folder",
    )
