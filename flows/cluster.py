"""A Dask cluster on this machine: one process a core, reachable from this machine alone."""

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flows import environment, signals

if TYPE_CHECKING:
    from distributed import Client


def usable_cores() -> int:
    """Return the cores this process may use: fewer than the machine has under a limit."""
    from dask.system import CPU_COUNT

    return int(CPU_COUNT)


@contextmanager
def local(workers: int | None = None) -> "Iterator[Client]":
    """Run a cluster of worker processes, and end them all at the end.

    Each worker is a process with one thread: a crash in a kernel takes one worker, not the run.
    Every port is on loopback.

    Parameters
    ----------
    workers : int, optional
        How many, ≥ 1; without it one a usable core.
    """
    import dask
    from distributed import Client, LocalCluster

    spawned_with = dask.config.get("distributed.nanny.pre-spawn-environ", {})
    settings = {"distributed.nanny.pre-spawn-environ": spawned_with | environment.for_workers()}
    with _quiet(), dask.config.set(settings), signals.later():
        cluster = LocalCluster(
            n_workers=workers or usable_cores(),
            threads_per_worker=1,
            processes=True,
            memory_limit="auto",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
    with _quiet(), cluster, Client(cluster) as client:
        yield client


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log off the screen: what goes wrong reaches the flow as an exception."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def has_dashboard() -> bool:
    """Whether Dask's dashboard can be shown: it needs Bokeh, which is not required."""
    return importlib.util.find_spec("bokeh") is not None
