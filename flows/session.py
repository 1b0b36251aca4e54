"""What a flow shares with whoever called it: cluster, screen, clock and Prefect's record.

`huzhu run` connects to the cluster before Prefect is imported and shows progress on the terminal;
it opens a session, and the flow finds it. A deployed flow, or one called from Python, finds none
and opens its own.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from configs.cluster import Cluster, Local
from flows import cluster, warmup
from flows.cluster import ClusterError, Connected
from flows.record import Record

if TYPE_CHECKING:
    from distributed import Client, Future

SECONDS_BETWEEN_TRIES: Final = 1.0
"""How long after a try to connect again the next one is made."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    stage : str
        What is being done.
    done, total : int
        Units finished and wanted.
    unit : str
        What is counted.
    """

    stage: str
    done: int
    total: int
    unit: str = "paths"


Show = Callable[[Progress], None]


class Session:
    """A cluster at work for one run.

    Attributes
    ----------
    started : float
        When the run began, in seconds of `time.time`.
    engines : tuple of str
        Those whose kernels are compiled.
    record : Record
        Prefect's record of the run.
    """

    def __init__(
        self, settings: Cluster, show: Show, started: float, engines: Sequence[str]
    ) -> None:
        self.started, self.engines = started, tuple(engines)
        self.record = Record()
        self._settings, self._show = settings, show
        self._shown = Progress("starting", 0, 0)
        self._open = contextlib.ExitStack()
        self._warming: list[Future[float]] = []
        self._connect()

    @property
    def client(self) -> "Client":
        """The client of the cluster; another one once the connection was lost."""
        return self._connected.client

    @property
    def workers(self) -> int:
        """How many shards run at once."""
        return self._connected.threads

    @property
    def memory_bytes(self) -> int | None:
        """What a worker may use, if known."""
        return self._connected.memory_bytes

    @property
    def connected(self) -> Connected:
        """The cluster."""
        return self._connected

    def show(self, progress: Progress) -> None:
        """Tell whoever opened the session how far the run is."""
        self._shown = progress
        self._show(progress)

    def wait_for_kernels(self) -> float:
        """Return once the kernels are compiled, or found compiled: the seconds it took a worker."""
        return max(float(future.result()) for future in self._warming)

    @property
    def is_alive(self) -> bool:
        """Whether the connection stands."""
        return self.client.status == "running"

    def connect_again(self) -> None:
        """Connect to a scheduler that went away and is back, or comes back in time.

        Raises
        ------
        ClusterError
            It does not come back.
        """
        self._show(replace(self._shown, stage="waiting for the scheduler"))
        ended = time.monotonic() + getattr(self._settings, "wait_seconds", 0.0)
        while True:
            self._open.close()
            try:
                self._connect()
                return
            except Exception as error:  # it may go away again in the midst of any step
                if time.monotonic() > ended:
                    raise ClusterError(f"the cluster went away: {error}") from error
            time.sleep(SECONDS_BETWEEN_TRIES)

    def close(self) -> None:
        """End what was started, or leave alone what was there."""
        self._open.close()

    def _connect(self) -> None:
        """Connect, and have kernels compiled meanwhile: once a machine, for its cache."""
        from distributed import fire_and_forget

        self._connected = self._open.enter_context(cluster.connected(self._settings))
        client, self._warming = self.client, []
        is_small = (self.memory_bytes or warmup.COMPILING_BYTES) < warmup.COMPILING_BYTES
        compile_kernels = warmup.compile_apart if is_small else warmup.compile_kernels
        for names in cluster.workers_by_host(client).values():
            # Two compile, into the cache that all read; who does not compile imports meanwhile.
            self._warming.append(
                client.submit(compile_kernels, self.engines, workers=names[0], pure=False)
            )
            others = [warmup.help_compiling] + [warmup.import_kernels] * len(names)
            for task, name in zip(others, names[1:], strict=False):
                fire_and_forget(client.submit(task, workers=name, pure=False))


_CURRENT: ContextVar[Session | None] = ContextVar("huzhu_session", default=None)


@contextmanager
def opened(
    settings: Cluster | None = None,
    show: Show = lambda progress: None,
    started: float | None = None,
    engines: Sequence[str] = ("cohort",),
) -> Iterator[Session]:
    """Open a session: connect to a cluster, or start one, and have its kernels compiled meanwhile.

    Parameters
    ----------
    settings : Cluster, optional
        Which cluster; without it processes of this machine, one a usable core.
    show : callable
        Told of progress.
    started : float, optional
        When the run began, if before now.
    engines : sequence of str
        Those whose kernels are compiled.

    Raises
    ------
    ClusterError
        There is no way to the cluster.
    """
    began = time.time() if started is None else started
    session = Session(settings or Local(), show, began, engines)
    token = _CURRENT.set(session)
    try:
        yield session
    finally:
        _CURRENT.reset(token)
        session.close()


def is_open() -> bool:
    """Whether a session is open that `joined` takes part in."""
    return _CURRENT.get() is not None


@contextmanager
def joined(
    settings: Cluster | None = None, engines: Sequence[str] = ("cohort",)
) -> Iterator[Session]:
    """Take part in the session that is open, or open one; as for `opened`."""
    current = _CURRENT.get()
    if current is not None:
        yield current
        return
    with opened(settings, engines=engines) as session:
        yield session
