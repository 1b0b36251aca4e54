"""One run on this machine, from nothing to results: a Prefect server, a Dask cluster, the flow.

In the order that overlaps what takes long: the server starts while the cluster does, the kernels
compile while Prefect is imported, and the flow waits for what it needs only.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from configs.cluster import Cluster
from flows import environment, forecast, named_server, record, screen, server, session, signals
from flows.calibration import CalibrationPlan
from flows.plan import Plan


@dataclass(frozen=True)
class Launched:
    """What a run was.

    Attributes
    ----------
    folder : str
        The run folder, a path or a URL.
    workers : int
        How many shards ran at once.
    """

    folder: str
    workers: int


def check(run: Plan | CalibrationPlan, settings: Cluster | None) -> None:
    """Make sure that nothing that can be known now will stop a run; starts and makes nothing.

    Parameters
    ----------
    run : Plan or CalibrationPlan
        The run.
    settings : Cluster, optional
        Which cluster; without it, processes of this machine.

    Raises
    ------
    ClusterError, CutError
        This machine cannot have such workers, or a path does not fit in one.
    ServerError
        The Prefect server that the user names does not answer.
    StoreError
        The results cannot be written.
    """
    environment.prepare()
    run.check_folder()
    forecast.check(run.config if isinstance(run, Plan) else run.calibration, settings)
    named_server.check()


def launch(
    config: str,
    results_dir: str,
    seed: int | None,
    overrides: Sequence[str],
    settings: Cluster | None,
    *,
    show: session.Show,
    started: float,
    engines: Sequence[str] = ("cohort",),
    fresh: bool = False,
    again: bool = False,
) -> Launched:
    """Run the flow `sweep` on a cluster and a server of its own, and end both.

    Parameters
    ----------
    config, results_dir, seed, overrides, fresh, again
        As for `flows.sweep.sweep`.
    settings : Cluster, optional
        Which cluster; without it, processes of this machine.
    show : callable
        Told of progress.
    started : float
        When the command began, in seconds of `time.time`.
    engines : sequence of str
        Those that the run has points of.

    Raises
    ------
    ServerError
        Prefect's server does not start.
    Exception
        Whatever the flow raises.
    """
    with at_work(settings, show, started, engines) as (prefect_server, here):
        with signals.later():
            from flows.sweep import PointsFailedError, finish, sweep

        given = (config, results_dir, seed, list(overrides))
        with server.used(prefect_server):
            try:
                folder = _recorded(
                    here,
                    lambda: sweep(*given, fresh=fresh, again=again),
                    lambda: finish(*given, here, fresh, again),
                )
            except PointsFailedError as error:
                folder = error.folder  # what failed is in the run's manifest
        _tell_what_is_missing(here)
        return Launched(folder, here.workers)


def launch_calibration(
    config: str,
    results_dir: str,
    until: str | None,
    seed: int | None,
    overrides: Sequence[str],
    settings: Cluster | None,
    *,
    show: session.Show,
    started: float,
    engines: Sequence[str] = ("cohort",),
    fresh: bool = False,
) -> str:
    """Run the flow `calibrate` on a cluster and a server of its own, and end both.

    Parameters are those of `flows.calibrate.calibrate`, and of `launch`; so is what it raises.

    Returns
    -------
    str
        The calibration's folder.
    """
    with at_work(settings, show, started, engines) as (prefect_server, here):
        with signals.later():
            from flows.calibrate import calibrate, finish

        given = (config, results_dir, until, seed, list(overrides))
        with server.used(prefect_server):
            folder = _recorded(
                here,
                lambda: calibrate(*given, fresh=fresh),
                lambda: finish(*given, here, fresh),
            )
        _tell_what_is_missing(here)
        return folder


def _recorded(here: session.Session, flow: Callable[[], str], finish: Callable[[], str]) -> str:
    """Run a flow; where it ended because Prefect's server was lost, do the rest without one."""
    try:
        return flow()
    except Exception as error:
        if not here.record.lost_by(error):
            raise
    return finish()


def _tell_what_is_missing(here: session.Session) -> None:
    """Say what Prefect's record lacks where its server was lost."""
    if here.record.is_lost:
        screen.say(record.MISSING)


@contextmanager
def at_work(
    settings: Cluster | None, show: session.Show, started: float, engines: Sequence[str]
) -> Iterator[tuple[server.Server | None, session.Session]]:
    """Start a Prefect server and a cluster, give both, and end both; parameters as for `launch`."""
    environment.prepare()
    environment.keep_screen_clear()
    opened = session.opened(settings, show, started, engines)
    with server.running() as prefect_server, opened as here:
        screen.say(f"Cluster: {here.connected.describe()}")
        yield prefect_server, here
