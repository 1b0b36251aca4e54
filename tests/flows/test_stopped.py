"""A run that is stopped leaves no process, and goes on from what is finished."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli import INTERRUPTED, TERMINATED
from flows.server import Server
from tests.flows.conftest import environment_of

pytestmark = pytest.mark.end_to_end

HUZHU = (sys.executable, "-m", "flows.cli")
A_MINUTE = ("--workers", "2", "--set", "sweep.paths=50_000")
MARK = "HUZHU_TEST_MARK"
SECONDS_TO_END = 15.0


class Running:
    """`huzhu run` of a sweep that takes minutes, with a Prefect server of its own."""

    def __init__(self, small: Path, results: Path, home: Path) -> None:
        self.results = results
        self.mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [*HUZHU, "run", str(small), "--results", str(results), *A_MINUTE],
            env=environment_of(home, **{MARK: self.mark, "PREFECT_API_URL": ""}),
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

    def processes(self) -> list[int]:
        """Return every living process that the run started, itself included."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    def all_gone(self) -> bool:
        """Whether every process is gone, after a while."""
        deadline = time.monotonic() + SECONDS_TO_END
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.processes()


@pytest.fixture
def running(
    small: Path, tmp_path: Path, prefect_home: Path, prefect_server: Server
) -> Iterator[Running]:
    # the session's server has made the database that this run's own server finds
    assert prefect_server.process.poll() is None
    run = Running(small, tmp_path / "runs", prefect_home)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.communicate()
        for process in run.processes():
            os.kill(process, signal.SIGKILL)


@pytest.mark.parametrize(
    ("stop", "status", "stage"),
    [
        (signal.SIGINT, INTERRUPTED, "simulating"),
        (signal.SIGTERM, TERMINATED, "compiling"),
        (signal.SIGKILL, -signal.SIGKILL, "compiling"),
    ],
)
def test_a_run_that_is_stopped_leaves_no_process(
    running: Running, stop: signal.Signals, status: int, stage: str
) -> None:
    running.wait_for(stage)
    # itself, two workers, the Prefect server, and Python's tracker of semaphores
    assert len(running.processes()) >= 5
    running.process.send_signal(stop)
    out, told = running.process.communicate(timeout=60)
    assert running.process.returncode == status
    assert out == ""
    assert running.all_gone()
    if stop != signal.SIGKILL:
        assert "Traceback" not in told


def test_ctrl_c_reaches_every_process_of_a_terminal_and_ends_them_once(running: Running) -> None:
    running.wait_for("paths in")
    time.sleep(1.0)
    os.killpg(running.process.pid, signal.SIGINT)
    out, told = running.process.communicate(timeout=60)
    assert running.process.returncode == INTERRUPTED
    assert told.strip() == "huzhu: stopped; the same command goes on from what is finished"
    assert out == ""
    assert running.all_gone()
