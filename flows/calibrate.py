"""The Prefect flow of a calibration: plan, fit, forecast, report.

As in the sweep, Prefect is for what a person watches, retries and schedules; what simulates are
Dask futures, a few a worker and move. What is finished is asked of the folder: a fit goes on at the
move that it was at, and one that is there, of the same files, is found finished.
"""
# ruff: noqa: E402 - the environment is prepared before Prefect is imported

from flows import environment

environment.prepare()

import base64
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, cast
from uuid import UUID
from zipfile import BadZipFile

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
from configs.plausibility import scenario_warnings
from flows import calibration as planning
from flows import forecast as foretelling
from flows import posterior as made
from flows import repair, sampling, screen, session
from flows.calibration import CALIBRATIONS_DIR, STATE_NAME, CalibrationPlan
from flows.cluster import ClusterError
from flows.plan import DIGITS
from flows.sampling import Step, Workers
from flows.session import Progress, Session
from results.calibration.report import PICTURE_NAME, REPORT_NAME, bands_svg, write_report
from results.calibration.show import show
from results.calibration.tables import open_calibration

environment.bypass_unusable_proxies(get_current_settings().api.url)

SECONDS_BETWEEN_UPDATES: Final = 3.0
"""How often the progress artifact is renewed."""


def _run_name() -> str:
    """Return the flow run's name: that of the folder, where the calibration can be read."""
    given = flow_run.parameters
    try:
        return planning.plan(
            given["config"],
            given["results_dir"],
            _sets(given["overrides"], given["seed"]),
            given["until"],
        ).folder.name
    except ConfigError:
        return Path(given["config"]).stem


def _sets(overrides: Sequence[str], seed: int | None) -> list[str]:
    return [*overrides, *([] if seed is None else [f"sampler.seed={seed}"])]


@flow(flow_run_name=_run_name)
def calibrate(
    config: str,
    results_dir: str = CALIBRATIONS_DIR,
    until: str | None = None,
    seed: Annotated[int, Field(ge=0, lt=2**64)] | None = None,
    overrides: Sequence[str] = (),
    cluster: Cluster | None = None,
    fresh: bool = False,
) -> str:
    """Fit a scenario to published figures, or what is missing of the fit, and return its folder.

    Parameters
    ----------
    config : str
        Calibration file (YAML), or a folder of one, to go on with it.
    results_dir : str
        Folder of the calibrations.
    until : str, optional
        Cut-off date, in place of the file's.
    seed : int, optional
        Seed of every draw, in place of the file's.
    overrides : sequence of str
        `dotted.field=value` each, in place of the file's values.
    cluster : Cluster, optional
        Where; this machine without it.
    fresh : bool
        Start over; what is there is moved aside.

    Raises
    ------
    ConfigError
        The calibration cannot be used.
    ClusterError, CodeError
        The cluster cannot be used, or not for this.
    StoreError
        The results cannot be written.
    """
    run = planning.plan(config, results_dir, _sets(overrides, seed), until)
    for text in scenario_warnings(run.calibration.scenario):
        get_run_logger().warning(text)
    if not fresh and repair.is_fitted(run, get_run_logger().warning):
        get_run_logger().info("The calibration is there, whole: %s", run.folder)
        return str(run.folder)
    return _carry_out(run, cluster, fresh)


def finish(
    config: str,
    results_dir: str,
    until: str | None,
    seed: int | None,
    overrides: Sequence[str],
    here: Session,
    fresh: bool = False,
) -> str:
    """Do what is left of a fit whose flow ended because Prefect's server was lost.

    Parameters and errors are those of `calibrate`, without Prefect; `here` is the session in which
    the flow ran, whose record is lost.
    """
    run = planning.plan(config, results_dir, _sets(overrides, seed), until)
    begun = planning.is_begun_since(run, here.started)
    if (begun or not fresh) and repair.is_fitted(run, screen.say):
        return str(run.folder)
    return _carry_out(run, None, fresh and not begun)


def _carry_out(run: CalibrationPlan, cluster: Cluster | None, fresh: bool) -> str:
    """Compute what is missing of a fit, and return its folder."""
    engines = (run.calibration.scenario.engine,)
    run.check_folder()
    if not session.is_open():
        foretelling.check(run.calibration, cluster)
    with session.joined(cluster, engines) as here:
        # of workers that others started, the memory is not known before
        foretelling.check_memory(run.calibration, here.memory_bytes)
        with planning.held(run, fresh), tags(run.calibration.name):
            stage = here.record.stage
            manifest = stage(prepare, run)
            fitted = stage(fit, run, here)
            stage(forecast, run, here, fitted)
            stage(report, run, here, manifest, fitted)
    return str(run.folder)


@task(name="plan", cache_policy=NO_CACHE)
def prepare(run: CalibrationPlan) -> dict[str, Any]:
    """Make the folder, with its configuration and a first manifest."""
    return planning.begin(run)


def _another_try_may_help(task: object, task_run: object, state: State[Any]) -> bool:
    """Whether a stage failed by its cluster, and not by what it was given to do."""
    return isinstance(state.data, ClusterError)


@task(
    cache_policy=NO_CACHE,
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=5),
    retry_jitter_factor=0.5,
    retry_condition_fn=_another_try_may_help,
)
def fit(run: CalibrationPlan, here: Session) -> Step:
    """Move the particles from the prior to the posterior, from where they were left."""
    here.show(Progress("compiling", 0, 1, "moves"))
    here.wait_for_kernels()
    begun = _begun(run.folder / STATE_NAME)
    watched, last = _Watched(here, run), begun
    for step in sampling.steps(run.calibration, Workers(here, run.address).fit, begun):
        run.store.write_file(STATE_NAME, sampling.packed(step))
        watched.say(step)
        last = step
    # A sampler that is not finished yields a step at least.
    assert last is not None, run.folder
    return last


def _begun(file: Path) -> Step | None:
    """Return the sampler as it was left, None where it was not begun or the file is damaged."""
    try:
        return sampling.unpacked(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        screen.say(f"{file}: cannot be read ({error}); the fit starts again")
        return None


class _Watched:
    """Tells the screen of each move, and Prefect's progress artifact now and then."""

    def __init__(self, here: Session, run: CalibrationPlan) -> None:
        self._show, self._leave = here.show, here.record.leave
        self._moves = run.calibration.sampler.most_moves
        self._final = run.calibration.sampler.final_moves
        self._artifact = self._leave(
            lambda: create_progress_artifact(
                0.0,
                key=f"progress-{run.digest[:DIGITS]}",
                description=f"Exponent of the likelihood of {run.folder.name}, in %",
            )
        )
        self._told = time.monotonic()

    def say(self, step: Step) -> None:
        """Tell of a move."""
        state = step.state
        stage = f"fitting, generation {state.generation} (exponent {state.exponent:.3g})"
        most = self._moves + (self._final if state.exponent == 1.0 else 0)
        self._show(Progress(stage, state.move, most, "moves"))
        if state.exponent == 1.0 or time.monotonic() - self._told > SECONDS_BETWEEN_UPDATES:
            artifact = cast(UUID, self._artifact)
            self._leave(lambda: update_progress_artifact(artifact, 100.0 * state.exponent))
            self._told = time.monotonic()


@task(cache_policy=NO_CACHE)
def forecast(run: CalibrationPlan, here: Session, fitted: Step) -> None:
    """Write what the posterior says: of the parameters, of the figures, and of what comes."""
    tell = here.show
    made.write_posterior(run, fitted)
    made.write_forecast(
        run,
        fitted,
        Workers(here, run.address).forecast,
        lambda done, total: tell(Progress("forecasting", done, total, "worlds")),
    )


@task(cache_policy=NO_CACHE)
def report(run: CalibrationPlan, here: Session, manifest: dict[str, Any], fitted: Step) -> None:
    """Close the manifest, write the report, and leave account and picture in Prefect's UI."""
    here.show(Progress("reporting", 0, 1, "report"))
    made.close(run, manifest, fitted, time.time() - here.started)
    done = open_calibration(run.folder)
    write_report(done)
    bands_svg(done, run.folder / PICTURE_NAME)
    made.point_to_newest(run)
    here.record.leave(lambda: _leave_artifacts(run))


def _leave_artifacts(run: CalibrationPlan) -> None:
    """Leave account, picture and the report's address in Prefect's UI."""
    key = run.digest[:DIGITS]
    create_markdown_artifact(
        f"Folder: `{run.folder}`\n\n```\n{show(open_calibration(run.folder))}```\n",
        key=f"calibration-{key}",
        description=f"What came out of {run.folder.name}",
    )
    picture = base64.b64encode((run.folder / PICTURE_NAME).read_bytes()).decode()
    create_image_artifact(
        f"data:image/svg+xml;base64,{picture}",
        key=f"bands-{key}",
        description=f"Figures and forecast of {run.folder.name}",
    )
    create_link_artifact(
        (run.folder.resolve() / REPORT_NAME).as_uri(),
        link_text=f"Report of {run.folder.name}",
        key=f"report-{key}",
        description="The calibration's report, in its folder",
    )
