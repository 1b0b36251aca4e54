"""What a flow shares with whoever called it: the cluster, the screen and the clock.

`huzhu run` starts the cluster before Prefect is imported and shows progress on the terminal; it
opens a session, and the flow finds it. A deployed flow, or one called from Python, finds none and
opens its own.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows import cluster, warmup

if TYPE_CHECKING:
    from distributed import Client, Future


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    stage : str
        What is being done.
    done, total : int
        Paths finished and wanted.
    """

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Session:
    """A cluster at work for one run.

    Attributes
    ----------
    client : distributed.Client
        The cluster.
    workers : int
        How many workers it started with.
    warming : distributed.Future
        Its kernels being compiled, or read from the cache; the result is the seconds it took.
    show : callable
        Told of progress, from the thread that runs the flow.
    started : float
        When the run began, in seconds of `time.time`.
    """

    client: "Client"
    workers: int
    warming: "Future[float]"
    show: Callable[[Progress], None]
    started: float


_CURRENT: ContextVar[Session | None] = ContextVar("huzhu_session", default=None)


@contextmanager
def opened(
    workers: int | None = None,
    show: Callable[[Progress], None] = lambda progress: None,
    started: float | None = None,
    engines: Sequence[str] = ("cohort",),
) -> Iterator[Session]:
    """Open a session: start a cluster and have its kernels compiled meanwhile.

    Parameters
    ----------
    workers : int, optional
        Worker processes, ≥ 1; without it one a usable core.
    show : callable
        Told of progress.
    started : float, optional
        When the run began, if before now.
    engines : sequence of str
        Those whose kernels are compiled.
    """
    from distributed import fire_and_forget

    began = time.time() if started is None else started
    with cluster.local(workers) as client:
        names = sorted(client.nthreads())
        # Two compile, into the cache that all read; who does not compile imports meanwhile.
        warming = client.submit(
            warmup.compile_kernels, tuple(engines), workers=names[0], pure=False
        )
        others = [warmup.help_compiling] + [warmup.import_kernels] * len(names)
        for task, name in zip(others, names[1:], strict=False):
            fire_and_forget(client.submit(task, workers=name, pure=False))
        session = Session(client, len(names), warming, show, began)
        token = _CURRENT.set(session)
        try:
            yield session
        finally:
            _CURRENT.reset(token)


@contextmanager
def joined(workers: int | None = None, engines: Sequence[str] = ("cohort",)) -> Iterator[Session]:
    """Take part in the session that is open, or open one; as for `opened`."""
    current = _CURRENT.get()
    if current is not None:
        yield current
        return
    with opened(workers, engines=engines) as session:
        yield session


def wait_for_kernels(session: Session) -> float:
    """Return once the kernels are compiled, or found compiled: the seconds it took a worker."""
    return float(session.warming.result())
