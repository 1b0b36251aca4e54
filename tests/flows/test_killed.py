"""Killed with -9 in the midst of a sweep, again and again: nothing lost, nothing doubled.

Worker and scheduler are killed ten times each in one sweep, the flow, which is slow to begin again,
five times, at shards drawn at random (a fixed seed draws them); the results are those of a sweep
that nobody disturbed, byte for byte.
"""

import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.record import MISSING
from flows.server import Server
from results.report.files import REPORT_NAME, is_current, source_of
from results.run import open_run
from tests.flows.conftest import Huzhu
from tests.flows.processes import Scheduler, contents, running, wait_until

pytestmark = pytest.mark.end_to_end

KILLS = 10
KILLS_OF_THE_FLOW = 5
LONG = ("--set", "sweep.paths=12_000")
"""Some ten to twenty seconds of kernels, in shards of 0.4 s."""


def drawn_shards(results: Path, chance: random.Random) -> list[int]:
    """Return after how many finished shards somebody is to be killed; once the run is cut."""

    def shards() -> int:
        return sum(
            json.loads(file.read_text())["shards"] for file in results.glob("*/manifest.json")
        )

    assert wait_until(lambda: shards() > 0)
    return sorted(chance.sample(range(1, shards() * 3 // 4), KILLS))


def finished(results: Path) -> int:
    """Return how many shards are recorded as finished."""
    return len(list(results.glob("*/shards/shard-*.json")))


def reached(results: Path, shards: int) -> bool:
    """Whether so many shards were finished, in time."""
    return wait_until(lambda: finished(results) >= shards)


@pytest.fixture(scope="module")
def undisturbed(small: Path, huzhu: Huzhu, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the same sweep, done in one go."""
    results = tmp_path_factory.mktemp("undisturbed")
    done = huzhu("run", small, *LONG, "--results", results)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


def same(found: Path, expected: Path) -> bool:
    """Whether a run is complete and has the files of another, byte for byte."""
    assert open_run(found).manifest.status == "complete"
    assert open_run(found).manifest.rows == open_run(expected).manifest.rows
    return contents(found) == contents(expected)


def test_workers_killed_in_the_midst(
    small: Path, undisturbed: Path, tmp_path: Path, prefect_home: Path, prefect_server: Server
) -> None:
    chance = random.Random(1)
    arguments = ("run", small, *LONG, "--results", tmp_path)
    with running(prefect_home, *arguments, PREFECT_API_URL=prefect_server.address) as run:
        for shards in drawn_shards(tmp_path, chance):
            assert reached(tmp_path, shards)
            assert wait_until(lambda: bool(run.workers()))
            os.kill(chance.choice(run.workers()), signal.SIGKILL)
        out, told = run.process.communicate(timeout=300)
    assert run.process.returncode == 0, told
    assert same(Path(out.splitlines()[-1]), undisturbed)


def test_the_run_goes_on_without_a_prefect_server_that_is_killed_in_the_midst(
    small: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """Its data and its report are whole; two lines say what Prefect's record lacks."""
    home, results = tmp_path / ".huzhu" / "prefect", tmp_path / "runs"
    own = {"HOME": str(tmp_path), "PREFECT_API_URL": ""}
    with running(home, "run", small, *LONG, "--results", results, **own) as run:
        assert reached(results, 3)
        (own_server,) = run.processes("flows/server.py")
        os.kill(own_server, signal.SIGKILL)
        out, told = run.process.communicate(timeout=300)
    assert run.process.returncode == 0, told
    folder = Path(out.splitlines()[-1])
    assert same(folder, undisturbed)
    assert is_current(folder / REPORT_NAME, source_of(open_run(folder).manifest))
    assert "Traceback" not in told
    lost, missing = (line for line in told.splitlines() if "Prefect" in line or "API" in line)
    assert lost.startswith("Prefect's server was lost (")
    assert lost.endswith("; the run goes on without it")
    assert missing == MISSING


def test_the_flow_killed_in_the_midst_goes_on_by_the_same_command(
    small: Path,
    undisturbed: Path,
    tmp_path: Path,
    prefect_home: Path,
    prefect_server: Server,
    huzhu: Huzhu,
) -> None:
    chance = random.Random(2)
    arguments = ("run", small, *LONG, "--results", tmp_path)
    for _ in range(KILLS_OF_THE_FLOW):
        more = finished(tmp_path) + chance.randint(1, 4)
        with running(prefect_home, *arguments, PREFECT_API_URL=prefect_server.address) as run:
            assert reached(tmp_path, more)
            run.process.kill()
            run.process.wait()
            assert run.all_gone()
    done = huzhu(*arguments)
    assert done.returncode == 0, done.stderr
    assert "shards are finished" in done.stderr
    assert same(Path(done.stdout.splitlines()[-1]), undisturbed)


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Scheduler]:
    """Return a scheduler with two workers, each started by its own command."""
    folder = tmp_path / "dask"
    folder.mkdir()
    made = Scheduler(folder)
    made.start(2)
    try:
        yield made
    finally:
        made.end()


def test_the_scheduler_killed_in_the_midst_is_waited_for(
    small: Path,
    undisturbed: Path,
    tmp_path: Path,
    prefect_home: Path,
    prefect_server: Server,
    scheduler: Scheduler,
) -> None:
    chance = random.Random(3)
    results = tmp_path / "runs"
    arguments = ("run", small, *LONG, "--results", results, "--cluster", scheduler.address)
    with running(prefect_home, *arguments, PREFECT_API_URL=prefect_server.address) as run:
        for shards in drawn_shards(results, chance):
            assert reached(results, shards)
            scheduler.kill()
            scheduler.start(2)
        out, told = run.process.communicate(timeout=300)
    assert run.process.returncode == 0, told
    assert "Traceback" not in told
    assert same(Path(out.splitlines()[-1]), undisturbed)
