"""`huzhu run` as a process of its own that can be watched, stopped and killed."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.flows.conftest import environment_of

MARK = "HUZHU_TEST_MARK"
SECONDS_TO_END = 15.0


def marked(mark: str, kind: str = "") -> list[int]:
    """Return every living process with a mark in its environment.

    With `kind`, those whose command line holds it.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                command = (folder / "cmdline").read_bytes().decode(errors="replace")
                found += [int(folder.name)] if kind in command else []
        except OSError:
            continue
    return found


class Running:
    """A command of huzhu, and every process that it starts."""

    def __init__(self, home: Path, *arguments: object, **variables: str) -> None:
        self.mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *map(str, arguments)],
            env=environment_of(home, **{MARK: self.mark, **variables}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, word: str) -> None:
        """Return when a line with `word` was written on standard error."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if word in line:
                return
        raise AssertionError(f"the run ended before it said {word!r}")

    def processes(self, kind: str = "") -> list[int]:
        """Return every living process that the run started, itself included.

        With `kind`, those whose command line holds it.
        """
        return marked(self.mark, kind)

    def workers(self) -> list[int]:
        """Return the worker processes of its own cluster."""
        return self.processes("spawn_main")

    def all_gone(self) -> bool:
        """Whether every process is gone, after a while."""
        return wait_until(lambda: not self.processes(), SECONDS_TO_END)

    def end(self) -> None:
        """Kill whatever is left of it."""
        self.process.kill()
        self.process.communicate()
        for process in self.processes():
            os.kill(process, signal.SIGKILL)


@contextmanager
def running(home: Path, *arguments: object, **variables: str) -> Iterator[Running]:
    """Run a command of huzhu, and end all that is left of it at the end."""
    run = Running(home, *arguments, **variables)
    try:
        yield run
    finally:
        run.end()


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Wait until something holds; whether it did in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def contents(folder: Path) -> Mapping[str, bytes]:
    """Return every table file of a run, by name."""
    files = sorted(folder.rglob("*.parquet"))
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


class Scheduler:
    """A Dask scheduler and its workers, each a process started by its own command."""

    def __init__(self, folder: Path, *options: str, scheme: str = "tcp") -> None:
        self._options, self._scheme = options, scheme
        self._folder = folder
        self._log = (folder / "dask.log").open("ab")
        self._processes: list[subprocess.Popen[bytes]] = []
        self.address = f"{scheme}://127.0.0.1:{free_port()}"

    def start(self, workers: int = 2, **variables: str) -> None:
        """Start the scheduler at its address, and some workers."""
        port = self.address.rpartition(":")[2]
        options = ("--host", "127.0.0.1", "--port", port, "--no-dashboard", "--no-show")
        protocol = ("--protocol", self._scheme)
        self._processes.append(self._command("scheduler", *options, *protocol))
        self.add_workers(workers, **variables)

    def add_workers(self, count: int, **variables: str) -> None:
        """Start more workers."""
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "30")
        space = ("--local-directory", str(self._folder))
        for _ in range(count):
            self._processes.append(
                self._command("worker", self.address, *options, *space, **variables)
            )

    def kill(self) -> None:
        """Kill the scheduler with -9, and then its workers, which would end by themselves."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes = []

    def end(self) -> None:
        """Kill what is left."""
        self.kill()
        self._log.close()

    def _command(self, *arguments: str, **variables: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments, *self._options],
            env={**os.environ, **environment_of(self._folder), **variables},
            cwd=self._folder,  # where no code of ours is found by accident
            stdout=self._log,
            stderr=self._log,
        )


def free_port() -> int:
    """Return a port that nobody listens on at present."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
