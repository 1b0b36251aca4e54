"""A temporary Prefect server for one command, which cannot outlive it.

Prefect itself starts one where none is configured, but only once Prefect is imported, and leaves
it behind when its parent is killed. This one can be the first thing a run starts, so that its
imports and migrations overlap with compiling and with ours; and it ends when its standard input
ends, which happens however its parent dies.

Run as a script (`python -P server.py DESCRIPTOR`), this file is the server itself.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

GRACE_SECONDS: Final = 5.0
"""Time that the server has to end of itself before it is killed."""

DISPENSABLE: Final[Mapping[str, Any]] = {
    # A heartbeat tells a server that outlives its flows when one has died; it costs a second.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": None,
    # The server runs from the same installation.
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": False,
    # One more try after 2 s: a busy database has answered by then, a server that was killed never
    # will, and a flow asks it three times more before it ends.
    "PREFECT_CLIENT_MAX_RETRIES": 1,
    "PREFECT_CLIENT_RETRY_JITTER_FACTOR": 0.0,
}
"""Settings for a client of a temporary server."""

MOST_RETRIES: Final = 2
"""How often a request to a server of the user's is tried again, after 2 and 4 s, unless they set
`PREFECT_CLIENT_MAX_RETRIES`."""


class ServerError(Exception):
    """The temporary Prefect server did not start."""


@dataclass(frozen=True)
class Server:
    """A temporary Prefect server, starting or started.

    Attributes
    ----------
    address : str
        Its API's address, on loopback.
    process : subprocess.Popen
        The process that serves it.
    log : binary file
        What it writes, to be shown only if it does not start.
    """

    address: str
    process: "subprocess.Popen[bytes]"
    log: IO[bytes]

    def wait(self, seconds: float) -> None:
        """Return once the server answers.

        Raises
        ------
        ServerError
            It has not answered within `seconds`, or has ended.
        """
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            # The socket has listened since before the process began: the first question is
            # answered as soon as there is someone to answer it.
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{self.address}/health", timeout=seconds),
            ):
                return
            time.sleep(0.05)
        ended = self.process.poll()
        how = f"no answer in {seconds:.0f} s" if ended is None else f"exit status {ended}"
        raise ServerError(
            f"the temporary Prefect server did not start ({how}{self._last_words()}); "
            "try again, or set PREFECT_API_URL to the address of a server of yours"
        )

    def _last_words(self) -> str:
        """Return the last line that the server wrote, as the end of a phrase."""
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return last and f", {last}"

    def stop(self) -> None:
        """End the server, and return when it is gone."""
        if self.process.stdin:
            self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def start() -> Server:
    """Start a server and return at once; `Server.wait` tells when it answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        descriptor = listening.fileno()
        log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `Server.stop`
        process = subprocess.Popen(
            # -P: the folder of this file must not come before the packages it imports
            [sys.executable, "-P", str(Path(__file__)), str(descriptor)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[descriptor],
            # Ctrl-C is for us; the server is still needed to record that the run was stopped.
            start_new_session=True,
        )
        return Server(f"http://127.0.0.1:{listening.getsockname()[1]}/api", process, log)


@contextmanager
def running() -> Iterator[Server | None]:
    """Run a server, unless the user has named one by `PREFECT_API_URL`; end it at the end."""
    if os.environ.get("PREFECT_API_URL"):
        yield None
        return
    server = start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def used(server: Server | None) -> Iterator[None]:
    """Have Prefect talk to `server`, unless its own settings name another.

    Raises
    ------
    ServerError
        The server does not answer in time.
    """
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import get_current_settings, temporary_settings

    settings = get_current_settings()
    if server is None or settings.api.url:
        retries = settings.client.max_retries
        if "PREFECT_CLIENT_MAX_RETRIES" not in os.environ:
            retries = min(retries, MOST_RETRIES)
        with temporary_settings({"PREFECT_CLIENT_MAX_RETRIES": retries}):
            yield
        return
    server.wait(settings.server.ephemeral.startup_timeout_seconds)
    with temporary_settings({"PREFECT_API_URL": server.address, **DISPENSABLE}):
        try:
            yield
        finally:
            # What flow and tasks have to tell their server must have reached it before it ends.
            if server.process.poll() is None:
                EventsWorker.drain_all(timeout=GRACE_SECONDS)
                APILogWorker.drain_all(timeout=GRACE_SECONDS)


def _serve(descriptor: int) -> None:
    """Be the server, on a socket that listens already."""
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    from flows import history

    lock = get_current_settings().home / "starting.lock"
    shared = history.database(get_current_settings())

    class OneAtATime(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            # Two runs at once share one SQLite file, and its migrations are not made for two.
            with lock.open("w") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                self.dead = history.abandoned(shared) if shared else ()
                await super().startup(sockets)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await super().shutdown(sockets)
            if shared:  # now that nobody waits for an answer
                await history.tidy(self.dead)

    app = create_app(ephemeral=True, final=True)
    server = OneAtATime(uvicorn.Config(app, log_level="error", lifespan="on"))
    with socket.socket(fileno=descriptor) as listening:
        asyncio.run(server.serve([listening]))


def end_with_parent() -> None:
    """End this process when standard input does: the parent holds its other end."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    os.nice(5)  # kernels, and their compiling above all, do not wait for it
    threading.Thread(target=end_with_parent, daemon=True).start()
    _serve(int(sys.argv[1]))
