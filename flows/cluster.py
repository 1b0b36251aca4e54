"""A Dask cluster from its description: processes of this machine, or the user's own.

What we start we end; of a scheduler that was there we close our connection only. Workers that we
start are processes of one thread each: a crash in a kernel takes one worker, not the run.
"""

import contextlib
import importlib
import logging
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any, Final

from configs.cluster import Cluster, Gateway, JobQueue, Kubernetes, Local, Scheduler, Tls
from flows import environment, signals
from flows.code import Code, differences
from flows.layout import PROCESS_BYTES

if TYPE_CHECKING:
    from distributed import Client, Security

SECONDS_TO_NOTICE: Final = 15
"""After so long without an answer a connection counts as lost."""

SECONDS_TO_BEGIN_ANEW: Final = 10
"""So long is waited, before a cluster is left, for a worker that is being replaced."""

WORKERS_A_CORE: Final = 4
"""Workers of this machine for each usable core, at most: more than one make nothing faster."""

QUEUES: Final = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
    "local": "local.LocalCluster",
}
"""Class of dask-jobqueue for each batch system."""


_KEPT: Final[list[Any]] = []
"""Connections to gateways: collected before the program's end, they complain of being closed."""


class ClusterError(Exception):
    """A cluster cannot be used; the message says why in a line or a few, and what would help."""


@dataclass(frozen=True)
class Connected:
    """A cluster at work.

    Attributes
    ----------
    client : distributed.Client
        Our connection to it.
    name : str
        What it is, for messages.
    ours : bool
        Whether we started it, and end it.
    """

    client: "Client"
    name: str
    ours: bool

    @property
    def workers(self) -> int:
        """Processes, at present."""
        return len(self._workers())

    @property
    def threads(self) -> int:
        """How many shards run at once, at present."""
        return sum(worker["nthreads"] for worker in self._workers().values())

    @property
    def memory_bytes(self) -> int | None:
        """What a shard may use on the smallest worker; None where no worker has a limit."""
        limits = [
            worker["memory_limit"] // worker["nthreads"]
            for worker in self._workers().values()
            if worker["memory_limit"]
        ]
        return min(limits, default=None)

    def describe(self) -> str:
        """Return what it is, in a line."""
        size = "1 worker" if self.threads == 1 else f"{self.threads} workers"
        memory = self.memory_bytes
        each = f" of {memory / 1e9:.1f} GB" if memory else ""
        return f"{self.name}: {size}{each}"

    def _workers(self) -> Mapping[str, Any]:
        return _workers_of(self.client)


def usable_cores() -> int:
    """Return the cores this process may use: fewer than the machine has under a limit."""
    from dask.system import CPU_COUNT

    return int(CPU_COUNT)


def local_size(settings: Local) -> tuple[int, int]:
    """Return how many processes of this machine there will be, and the memory of each in bytes.

    Raises
    ------
    ClusterError
        It does not have the cores or the memory for so many.
    """
    from distributed.system import MEMORY_LIMIT

    cores, machine = usable_cores(), int(MEMORY_LIMIT)
    room = max(1, machine // PROCESS_BYTES)
    workers, most = settings.workers or min(cores, room), min(WORKERS_A_CORE * cores, room)
    if workers > most:
        raise ClusterError(
            f"workers: expected at most {most} on this machine ({WORKERS_A_CORE} for each of "
            f"{cores} usable cores, {PROCESS_BYTES / 1e6:.0f} MB for each worker), got {workers}"
        )
    own = settings.memory_bytes or machine // max(workers, cores)
    return workers, min(own, machine)


@contextmanager
def connected(settings: Cluster) -> Iterator[Connected]:
    """Connect to a cluster, started first unless it is there, and leave it as it was found.

    Parameters
    ----------
    settings : Cluster
        Which one.

    Raises
    ------
    ClusterError
        There is no way to it, or what it needs is not installed.
    """
    with _quiet(), _configured(settings), contextlib.ExitStack() as stack:
        if isinstance(settings, Scheduler):
            client = stack.enter_context(_client_of(settings))
            yield Connected(client, settings.address, ours=False)
            return
        if isinstance(settings, Local):
            client, name = stack.enter_context(_local(settings)), "this machine"
        else:
            client, name = stack.enter_context(_started(settings)), f"a {settings.kind} cluster"
        yield Connected(client, name, ours=True)


@contextmanager
def _configured(settings: Cluster) -> Iterator[None]:
    """Have Dask notice lost connections soon, and give workers of ours their environment."""
    import dask

    spawned_with = dask.config.get("distributed.nanny.pre-spawn-environ", {})
    changes: dict[str, Any] = {
        "distributed.nanny.pre-spawn-environ": spawned_with | environment.for_workers(),
        "distributed.comm.timeouts.connect": f"{SECONDS_TO_NOTICE} s",
        "distributed.comm.timeouts.tcp": f"{SECONDS_TO_NOTICE} s",
    }
    if isinstance(settings, Local):
        # A worker that dies comes back, on a busy machine late; one that is away for longer than
        # this is never begun again, and a run without workers would wait for ever.
        changes["distributed.deploy.lost-worker-timeout"] = "365 days"
        # a shard that kills its worker is tried again by ourselves, alone
        changes["distributed.scheduler.allowed-failures"] = 2
        # Workers hold no data of Dask's to put on disk, and one that is only made to pause would
        # wait for ever: it is within its limit, or ended and begun anew.
        changes |= {f"distributed.worker.memory.{at}": False for at in ("target", "spill", "pause")}
    with dask.config.set(changes):
        yield


@contextmanager
def _local(settings: Local) -> "Iterator[Client]":
    """Run worker processes of this machine, every port on loopback."""
    workers, memory = local_size(settings)
    # a nanny sets its worker's variables in this process, and does not put them back
    with (
        environment.changed(environment.for_workers()),
        _no_main_module(),
        _processes(workers, memory) as client,
    ):
        yield client


@contextmanager
def _processes(workers: int, memory: int) -> "Iterator[Client]":
    """Run some worker processes of this machine, each with its memory in bytes."""
    from distributed import Client, LocalCluster

    with signals.later():
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=memory,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
    with cluster, Client(cluster) as client:
        try:
            yield client
        finally:
            # told to end while it begins a process anew, a nanny fails, and the others are left
            with contextlib.suppress(TimeoutError, OSError):
                client.wait_for_workers(workers, timeout=SECONDS_TO_BEGIN_ANEW)


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Keep processes that the block starts from running the program's main module.

    `multiprocessing` runs it again in each of them, for functions that it may define. Workers need
    none of these, and a script that calls `sweep` at its top would do so in every worker.
    `multiprocessing.spawn.prepare` leaves out a module named `….__main__`.
    """
    main = sys.modules["__main__"]
    before = getattr(main, "__spec__", None)
    main.__spec__ = ModuleSpec("huzhu.__main__", None)
    try:
        yield
    finally:
        main.__spec__ = before


@contextmanager
def _client_of(settings: Scheduler) -> "Iterator[Client]":
    """Connect to a scheduler that is there, and wait for its workers."""
    from distributed import Client

    try:
        client = Client(
            settings.address,
            timeout=settings.wait_seconds,
            security=_security(settings.tls),
            set_as_default=False,
        )
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise ClusterError(_unreachable(settings, _reason(error))) from error
    with client:
        seconds, remedy = settings.wait_seconds, "start some with `dask worker`, one thread each"
        _wait_for_workers(client, settings.address, settings.least_workers, seconds, remedy)
        yield client


def _unreachable(settings: Scheduler, reason: str) -> str:
    """Return what is to be said of a scheduler that there is no way to."""
    if "SSL" in reason:
        return (
            f"{settings.address}: scheduler and client do not accept one another's certificates "
            f"({reason}); name those of the scheduler's own authority in cluster.tls"
        )
    return (
        f"{settings.address}: no Dask scheduler answers within {settings.wait_seconds:.0f} s "
        f"({reason}); start one with `dask scheduler`, or leave --cluster out"
    )


def _security(tls: Tls | None) -> "Security | None":
    """Return the certificates as Dask takes them."""
    from distributed import Security

    if tls is None:
        return None
    for name, file in tls:
        if not file.is_file():
            raise ClusterError(f"cluster.tls.{name}: expected a file of this machine, got {file}")
    return Security(
        require_encryption=True,
        tls_ca_file=str(tls.ca_file),
        tls_client_cert=str(tls.certificate_file),
        tls_client_key=str(tls.key_file),
    )


def _wait_for_workers(client: "Client", name: str, least: int, seconds: float, remedy: str) -> None:
    """Wait until a cluster has some workers."""
    try:
        client.wait_for_workers(least, timeout=seconds)
    except TimeoutError:
        there = len(_workers_of(client))
        raise ClusterError(
            f"{name}: {there} of {least} workers within {seconds:.0f} s; {remedy}"
        ) from None


@contextmanager
def _started(settings: JobQueue | Gateway | Kubernetes) -> "Iterator[Client]":
    """Start a cluster through its own class, and end it at the end."""
    make, remedy = {
        "jobqueue": (_job_queue, "look at the queue, and at its jobs' logs"),
        "gateway": (_gateway, "look at the gateway's log"),
        "kubernetes": (_kubernetes, "look at the pods of the cluster"),
    }[settings.kind]
    name = f"a {settings.kind} cluster"
    with contextlib.ExitStack() as stack:
        try:
            cluster = stack.enter_context(make(settings))
            cluster.scale(settings.jobs if isinstance(settings, JobQueue) else settings.workers)
            client = stack.enter_context(cluster.get_client())
        except ClusterError:
            raise
        except Exception as error:
            raise ClusterError(f"cannot start {name}: {_reason(error)}") from error
        _wait_for_workers(client, name, 1, settings.wait_seconds, remedy)
        yield client


def _job_queue(settings: Any) -> Any:
    """Return a cluster of jobs of a batch system; options of the user's win over ours."""
    module, _, kind = f"dask_jobqueue.{QUEUES[settings.system]}".rpartition(".")
    given = {"cores": 1, "processes": 1, "python": sys.executable, **settings.options}
    # a job has a log of its own, which is read when it does not start
    quiet = {"DASK_LOGGING__DISTRIBUTED"}
    variables = (
        f"{name}={value}" for name, value in environment.for_workers().items() if name not in quiet
    )
    given["python"] = " ".join(["env", *variables, given["python"]])
    # else it would take a port that others use, open to everybody
    given["scheduler_options"] = {
        "dashboard_address": "127.0.0.1:0",
        **given.get("scheduler_options", {}),
    }
    queue = getattr(_module(module, "jobqueue"), kind)
    _check_command(queue.job_cls.submit_command or "")
    return queue(**given)


def _check_command(command: str) -> None:
    """Make sure that jobs can be submitted from here: otherwise a log would say so, nobody else."""
    program = command.partition(" ")[0]
    if program and shutil.which(program) is None:
        raise ClusterError(
            f"cannot start a jobqueue cluster: there is no `{program}` on this machine; start "
            "huzhu on one from which jobs are submitted"
        )


def _gateway(settings: Any) -> Any:
    """Return a cluster of a gateway's."""
    made = _module("dask_gateway", "gateway").GatewayCluster(
        settings.address, settings.proxy_address, shutdown_on_close=True, **settings.options
    )
    _KEPT.append(made.gateway)
    return made


def _kubernetes(settings: Any) -> Any:
    """Return a cluster of the Dask operator's."""
    given = {"name": settings.name, "image": settings.image, "namespace": settings.namespace}
    options = {"env": environment.for_workers(), "n_workers": 0, **settings.options}
    return _module("dask_kubernetes.operator", "kubernetes").KubeCluster(**given, **options)


def _module(name: str, extra: str) -> Any:
    """Import what a kind of cluster needs, of one of huzhu's extras."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.split(".", maxsplit=1)[0].replace("_", "-")
        raise ClusterError(
            f"{package} is not installed ({error}); pip install 'huzhu[{extra}]'"
        ) from error


def _reason(error: BaseException) -> str:
    """Return what an error says, in a line."""
    cause = error.__cause__ or error
    return (str(cause).splitlines() or [""])[0] or type(cause).__name__


def _workers_of(client: "Client") -> Mapping[str, Any]:
    """Return what the scheduler knows of each worker, by address."""
    # a scheduler that is away just now has said nothing
    found: Mapping[str, Any] = client.scheduler_info(n_workers=-1).get("workers", {})
    return found


def workers_by_host(client: "Client") -> Mapping[str, Sequence[str]]:
    """Return the addresses of the workers on each machine, in order."""
    found = defaultdict[str, list[str]](list)
    for address, worker in sorted(_workers_of(client).items()):
        found[worker["host"]].append(address)
    return found


def lost(error: BaseException, client: "Client | None" = None) -> bool:
    """Whether an error says that scheduler or connection went away, not that a task failed.

    When a scheduler dies every future is cancelled at once. What is handed out after that waits
    until the client is connected again, or is cancelled when it gives up, after the time that it
    had for connecting at first. A machine that is gone without a word is noticed after
    SECONDS_TO_NOTICE. A task over which workers died is no loss: it raises KilledWorker.

    Parameters
    ----------
    error : BaseException
        What a future, or the client, raised.
    client : distributed.Client, optional
        The client, whose own failures without a connection have no type of theirs.
    """
    from asyncio import CancelledError

    from distributed.client import ClosedClientError, FutureCancelledError, FuturesCancelledError
    from distributed.comm.core import CommClosedError

    kinds = (
        *(CommClosedError, ClosedClientError, CancelledError),
        *(FutureCancelledError, FuturesCancelledError),
    )
    return isinstance(error, kinds) or (client is not None and client.status != "running")


def check_workers(client: "Client", folder: str) -> None:
    """Make sure that every worker runs this code and reads and writes the results' folder.

    Parameters
    ----------
    client : distributed.Client
        The cluster.
    folder : str
        The run folder, which is there: its whole path, or a URL.

    Raises
    ------
    ClusterError
        The message names every worker that cannot be used, and why.
    """
    from flows import shard

    here = shard.look_around(folder)
    answers = client.run(shard.look_around, folder, on_error="return")
    told = [
        f"worker {address}: {what}"
        for address, answer in sorted(answers.items())
        for what in _complaints(answer, here, folder)
    ]
    if told:
        raise ClusterError(
            "\n".join(
                [
                    *told,
                    "start workers from the same installation (constraints.txt pins "
                    "it), with results in a folder that all of them share, or at a URL",
                ]
            )
        )


def _complaints(answer: Any, here: tuple[Code, str], folder: str) -> list[str]:
    """Return what is wrong with a worker, by what it answered."""
    if isinstance(answer, BaseException):
        why = _reason(answer)
        # what cannot even be unpickled there comes back as text
        absent = isinstance(answer, ModuleNotFoundError) or why.startswith("ModuleNotFoundError")
        return [f"huzhu is not installed there ({why})" if absent else why]
    theirs, manifest = answer
    told = differences(theirs, here[0])
    return told if manifest == here[1] else [*told, f"{folder} is another folder there"]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log off the screen: what goes wrong reaches the flow as an exception."""
    # its loggers are there, each with a level of its own, once it is imported
    importlib.import_module("distributed")
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
