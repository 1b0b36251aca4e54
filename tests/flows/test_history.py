"""The history of temporary servers: runs that were killed are ended in it, and it does not grow."""

import contextlib
import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from flows import history, server

pytestmark = pytest.mark.end_to_end

PICTURE = "data:image/png;base64," + 400_000 * "x"
"""What a run leaves besides: the artifact, its latest version and an event hold it once each."""

LATER = 12
"""Runs beyond those that are kept."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a user without settings, whose history lies in this folder."""
    folder = tmp_path / ".huzhu" / "prefect"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_HOME", str(folder))
    return folder


@contextmanager
def serving() -> Iterator[server.Server]:
    started = server.start()
    try:
        started.wait(120)
        yield started
        started.process.terminate()
        started.process.wait(60)  # on a busy machine longer than a command waits
    finally:
        started.stop()


def ask(here: server.Server, what: str, given: dict[str, Any]) -> Any:
    """Return what the server's API answers."""
    request = Request(
        f"{here.address}/{what}",
        data=json.dumps(given).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urlopen(request) as answer:
        return json.load(answer)


def run_of(here: server.Server, state: str) -> str:
    """Leave what a run leaves: itself, a task, a picture and their events."""
    flow = ask(here, "flows/", {"name": "sweep"})["id"]
    run = ask(here, "flow_runs/", {"flow_id": flow, "name": f"first {state}"})["id"]
    ask(here, f"flow_runs/{run}/set_state", {"state": {"type": "RUNNING"}, "force": True})
    task = {"flow_run_id": run, "task_key": "simulate", "dynamic_key": "0", "name": "simulate"}
    ask(here, "task_runs/", {**task, "state": {"type": "RUNNING", "name": "Running"}})
    picture = {"key": f"picture-{state.lower()}", "type": "image", "data": PICTURE}
    ask(here, "artifacts/", {**picture, "flow_run_id": run})
    if state != "RUNNING":
        ask(here, f"flow_runs/{run}/set_state", {"state": {"type": state}, "force": True})
    return str(run)


def clone(file: Path, run: str, number: int) -> None:
    """Leave the same once more, as a later run of its own."""
    later = datetime.now(UTC) + timedelta(minutes=number)
    own = {"name": f"run {number}", "created": f"{later:%Y-%m-%d %H:%M:%S.%f}", "state_id": None}
    other = str(uuid.uuid4())
    with contextlib.closing(sqlite3.connect(file, timeout=60)) as database:
        database.row_factory = sqlite3.Row
        for table, key in (("flow_run", "id"), ("task_run", "flow_run_id")):
            (row,) = database.execute(f"select * from {table} where {key} = ?", (run,))
            _insert(database, table, {**row, **own, "id": str(uuid.uuid4()), key: other})
        (row,) = database.execute("select * from artifact where flow_run_id = ?", (run,))
        artifact = {"id": str(uuid.uuid4()), "flow_run_id": other, "key": f"picture-{number}"}
        _insert(database, "artifact", {**row, **artifact})
        (row,) = database.execute("select * from artifact_collection where key = ?", (row["key"],))
        latest = {"id": str(uuid.uuid4()), "latest_id": artifact["id"], "key": artifact["key"]}
        _insert(database, "artifact_collection", {**row, **latest})
        database.commit()


def _insert(database: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    generated = {"estimated_run_time", "estimated_start_time_delta"}
    values = {name: value for name, value in row.items() if name not in generated}
    names = ", ".join(f'"{name}"' for name in values)
    places = ", ".join("?" * len(values))
    database.execute(f"insert into {table} ({names}) values ({places})", list(values.values()))


def asked(file: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return rows of the database, as another program reads them."""
    address = f"file:{file}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=30)) as database:
        return database.execute(sql).fetchall()


def size(home: Path) -> int:
    """Return the bytes of the database, with what is not yet written into it."""
    return sum(file.stat().st_size for file in home.glob("prefect.db*"))


def states(file: Path) -> dict[str, str]:
    """Return the state of each run by its name."""
    return dict(asked(file, "select name, state_type from flow_run"))


def test_killed_runs_are_ended_and_the_database_stays_small(home: Path) -> None:
    file = home / "prefect.db"
    kept = history.KEPT_RUNS
    killed = {3, kept + LATER - 1}
    with serving() as here:
        first = {state: run_of(here, state) for state in ("COMPLETED", "RUNNING")}
        for number in range(kept + LATER):
            clone(file, first["RUNNING" if number in killed else "COMPLETED"], number)
        assert size(home) > 2 * (kept + LATER) * len(PICTURE)
        with serving():  # of another run, while the first is at work
            pass
        going_on = {name for name, state in states(file).items() if state == "RUNNING"}
        assert going_on == {"first RUNNING", *(f"run {number}" for number in killed)}

    with serving():
        pass
    latest = {f"run {number}" for number in range(LATER, kept + LATER)}
    assert set(states(file)) == latest
    assert states(file)[f"run {kept + LATER - 1}"] == "CRASHED"
    assert set(states(file).values()) == {"COMPLETED", "CRASHED"}
    assert asked(file, "select count(*), sum(state_type = 'CRASHED') from task_run") == [(kept, 1)]
    for table in ("artifact", "artifact_collection"):
        assert asked(file, f"select count(*) from {table}") == [(kept,)], table
    assert asked(file, "select count(*) from events where event like '%artifact%'") == [(0,)]


def test_space_that_is_no_longer_used_is_given_back(tmp_path: Path) -> None:
    file = tmp_path / "prefect.db"
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("pragma journal_mode = wal")
        database.execute("create table flow_run (id, deployment_id, state_type)")
        database.execute("create table big (content)")
        database.executemany("insert into big values (?)", [(40 * PICTURE[:10_000],)] * 100)
        database.execute("delete from big where rowid > 10")
        database.commit()
    before = file.stat().st_size
    assert history.abandoned(file) == ()
    assert file.stat().st_size < before / 5


def test_a_database_that_the_user_has_chosen_is_left_alone(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import Settings

    monkeypatch.setitem(history.environment.DEFAULTS, "PREFECT_HOME", str(home))  # type: ignore[attr-defined]
    assert history.database(Settings()) == home / "prefect.db"
    url = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
    monkeypatch.setenv(url, "postgresql+asyncpg://somebody:secret@example.org/prefect")
    assert history.database(Settings()) is None
    monkeypatch.delenv(url)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    assert history.database(Settings()) is None
    assert history.abandoned(tmp_path / "none.db") == ()
    (tmp_path / "odd.db").write_text("no database")
    assert history.abandoned(tmp_path / "odd.db") == ()
