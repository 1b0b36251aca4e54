"""One run on this machine, from nothing to results: a Prefect server, a Dask cluster, the flow.

In the order that overlaps what takes long: the server starts while the cluster does, the kernels
compile while Prefect is imported, and the flow waits for what it needs only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows import cluster, environment, screen, server, session, signals


@dataclass(frozen=True)
class Launched:
    """What a run was.

    Attributes
    ----------
    folder : Path
        The run folder.
    workers : int
        How many workers it had.
    """

    folder: Path
    workers: int


def launch(
    config: str,
    results_dir: str,
    seed: int | None,
    overrides: Sequence[str],
    workers: int | None,
    *,
    show: screen.Show,
    started: float,
    engines: Sequence[str] = ("cohort",),
) -> Launched:
    """Run the flow `sweep` on a cluster and a server of its own, and end both.

    Parameters
    ----------
    config, results_dir, seed, overrides, workers
        As for `flows.sweep.sweep`.
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
    environment.prepare()
    environment.keep_screen_clear()
    opened = session.opened(workers, show, started, engines)
    with server.running() as prefect_server, opened as here:
        if cluster.has_dashboard():
            screen.say(f"Dask dashboard: {here.client.dashboard_link}")
        with signals.later():
            from flows.sweep import sweep

        with server.used(prefect_server):
            folder = sweep(config, results_dir, seed, list(overrides), workers)
        return Launched(Path(folder), here.workers)
