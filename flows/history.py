"""The history of runs in the database of temporary servers: dead runs marked, old ones removed.

Every `huzhu run` without a server of the user's leaves one to three megabytes in
`~/.huzhu/prefect/prefect.db`, most of it the picture. A run that was killed stays *Running* there.
When a temporary server ends, it marks such runs as crashed and keeps the latest `KEPT_RUNS`; the
next one gives the space of the others back. Databases that the user has chosen (`PREFECT_HOME`, a
connection URL), and runs of deployments, are left alone.
"""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from flows import environment

if TYPE_CHECKING:
    from prefect.server.database import PrefectDBInterface
    from prefect.settings import Settings

KEPT_RUNS: Final = 30
"""How many runs are kept, the latest: some 50 to 100 MB."""

RUNS_AT_ONCE: Final = 10
"""Runs that are removed in one transaction, so that nobody waits long for the database."""

FREE_PAGES: Final = 2000
"""Unused pages, of 4 kB, from which on the file is made smaller, if they are half of it."""

ENDED: Final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
MESSAGE: Final = "The process of this run was killed, or lost its server."


def database(settings: "Settings") -> Path | None:
    """Return the file that temporary servers share; None where the user has chosen another.

    Parameters
    ----------
    settings : prefect.settings.Settings
        Settings of the server's process.
    """
    own = Path(environment.DEFAULTS["PREFECT_HOME"])
    file = own / "prefect.db"
    url = settings.server.database.connection_url
    chosen = None if url is None else url.get_secret_value()
    if settings.home != own or chosen not in (None, f"sqlite+aiosqlite:///{file}"):
        return None
    return file


def abandoned(file: Path) -> tuple[UUID, ...]:
    """Return the runs that no process carries on, and shrink the file where much of it is unused.

    A run that is not ended is carried on by a process with the database open, or by nobody. So none
    are returned while anybody has it open.

    Parameters
    ----------
    file : Path
        The database; it need not be there.
    """
    if not file.is_file():
        return ()
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as found:
            found.execute("pragma locking_mode = exclusive")
            found.execute("begin exclusive")  # fails while anybody else has the database open
            rows = found.execute(
                "select id from flow_run where deployment_id is null and "
                f"(state_type is null or state_type not in {ENDED})"
            ).fetchall()
            found.execute("commit")
            _shrink(found)
    except sqlite3.Error:  # in use, damaged, or of another version of Prefect, which will say so
        return ()
    return tuple(UUID(identity) for (identity,) in rows)


def _shrink(found: sqlite3.Connection) -> None:
    """Give unused pages back to the disk where they are many."""
    (pages,) = found.execute("pragma page_count").fetchone()
    (free,) = found.execute("pragma freelist_count").fetchone()
    if free > FREE_PAGES and 2 * free > pages:
        found.execute("vacuum")


async def tidy(dead: Sequence[UUID]) -> None:
    """Mark runs as crashed, and remove all but the latest ones with all that belongs to them.

    Parameters
    ----------
    dead : sequence of UUID
        Runs that nobody carries on.
    """
    from prefect.server.database import provide_database_interface
    from prefect.server.services.db_vacuum import vacuum_stale_artifact_collections

    db = provide_database_interface()
    for identity in dead:
        await _end(db, identity)
    removed = False
    while await _remove_oldest(db):
        removed = True
    if removed:
        await vacuum_stale_artifact_collections(db=db)


async def _end(db: "PrefectDBInterface", identity: UUID) -> None:
    """Mark a run and its tasks as crashed, where they are not ended."""
    import sqlalchemy as sa
    from prefect.server import models
    from prefect.server.schemas.states import State, StateType

    crashed: dict[str, Any] = {
        "state": State(type=StateType.CRASHED, name="Crashed", message=MESSAGE),
        "force": True,
    }
    async with db.session_context(begin_transaction=True, with_for_update=True) as session:
        going_on = sa.or_(db.TaskRun.state_type.is_(None), db.TaskRun.state_type.not_in(ENDED))
        tasks = await session.execute(
            sa.select(db.TaskRun.id).where(db.TaskRun.flow_run_id == identity, going_on)
        )
        for task in tasks.scalars().all():
            await models.task_runs.set_task_run_state(session, task, **crashed)
        await models.flow_runs.set_flow_run_state(session, identity, **crashed)


async def _remove_oldest(db: "PrefectDBInterface") -> bool:
    """Remove some of the runs that are not kept; whether there were any."""
    import sqlalchemy as sa

    own = (db.FlowRun.deployment_id.is_(None), db.FlowRun.state_type.in_(ENDED))
    latest_first = sa.select(db.FlowRun.id, db.FlowRun.created).where(*own)
    latest_first = latest_first.order_by(db.FlowRun.created.desc()).offset(KEPT_RUNS - 1)
    async with db.session_context(begin_transaction=True, with_for_update=True) as session:
        rows = (await session.execute(latest_first.limit(RUNS_AT_ONCE + 1))).all()
        old = [row.id for row in rows[1:]]
        if not old:
            return False
        for table in (db.Log, db.Artifact):
            await session.execute(sa.delete(table).where(table.flow_run_id.in_(old)))
        await session.execute(sa.delete(db.FlowRun).where(db.FlowRun.id.in_(old)))
        # events name their run in words only: those before the oldest run that is kept are old
        for events in (db.EventResource, db.Event):
            await session.execute(sa.delete(events).where(events.occurred < rows[0].created))
    return True
