"""A run that is stopped leaves no process, and goes on from what is finished."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli import INTERRUPTED, TERMINATED
from flows.server import Server
from tests.flows import processes
from tests.flows.processes import Running

pytestmark = pytest.mark.end_to_end

A_MINUTE = ("--workers", "2", "--set", "sweep.paths=50_000")


@pytest.fixture
def running(
    small: Path, tmp_path: Path, prefect_home: Path, prefect_server: Server
) -> Iterator[Running]:
    """Run a sweep that takes minutes, with a Prefect server of its own."""
    # the session's server has made the database that this run's own server finds
    assert prefect_server.process.poll() is None
    arguments = ("run", small, "--results", tmp_path / "runs", *A_MINUTE)
    with processes.running(prefect_home, *arguments, PREFECT_API_URL="") as run:
        yield run


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
    running.wait_for(" points, ")
    time.sleep(1.0)
    os.killpg(running.process.pid, signal.SIGINT)
    out, told = running.process.communicate(timeout=60)
    assert running.process.returncode == INTERRUPTED
    assert told.strip() == "huzhu: stopped; the same command goes on from what is finished"
    assert out == ""
    assert running.all_gone()
