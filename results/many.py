"""Several runs in one DuckDB: a view for every table over all of them, and one of the runs.

The first column of each, `run`, names the run folder. Where runs differ in their columns, as
`points` of different sweeps do, a run has no values in those of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from results.run import Run, RunError
from results.schema import TABLES

if TYPE_CHECKING:
    import duckdb

RUNS: Final = "runs"
"""Name of the view of the runs."""

_RUNS_SCHEMA: Final = pa.schema(
    {
        "run": pa.string(),
        "name": pa.string(),
        "seed": pa.uint64(),
        "digest": pa.string(),
        "status": pa.string(),
        "started": pa.string(),
        "points": pa.int64(),
        "paths_per_point": pa.int64(),
        "periods_per_year": pa.int64(),
        "scenario_title": pa.string(),
        "version": pa.string(),
    }
)


def many(runs: Sequence[Run]) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB with a view of every table over all runs; the caller closes it.

    Parameters
    ----------
    runs : sequence of Run
        The runs, of one folder of results or of several.

    Returns
    -------
    duckdb.DuckDBPyConnection
        Views by the tables' names, rows in the order of `runs`, first column `run`; and `runs`
        (see `add_runs`).

    Raises
    ------
    RunError
        There is no run, one is given twice, or a file is damaged.
    """
    import duckdb

    from results.engine import connect

    names = _names(runs)
    connection = connect()
    try:
        for table in TABLES:
            _add_table(connection, table, dict(zip(names, runs, strict=True)))
        add_runs(connection, runs)
    except duckdb.Error as error:
        connection.close()
        raise RunError(f"{', '.join(names)}: {error}") from error
    except RunError:
        connection.close()
        raise
    return connection


def add_runs(connection: duckdb.DuckDBPyConnection, runs: Sequence[Run]) -> None:
    """Make `runs` known to a connection: a row a run, what it is and what made it.

    Columns: run, the folder's name (its whole path where two have one name); name, seed, digest,
    status ("running", "complete", "failed"), started (ISO 8601), points and paths_per_point as
    planned, periods_per_year, scenario_title, and version, of the huzhu that wrote it.
    """
    rows = [
        {
            **{field: getattr(run.manifest, field, None) for field in _RUNS_SCHEMA.names},
            "run": name,
            "version": run.manifest.versions.get("huzhu"),
        }
        for name, run in zip(_names(runs), runs, strict=True)
    ]
    connection.register("some_runs", pa.Table.from_pylist(rows, _RUNS_SCHEMA))
    connection.execute(f"create table {RUNS} as select * from some_runs")
    connection.unregister("some_runs")


def _names(runs: Sequence[Run]) -> list[str]:
    """Return what each run is called: its folder's name, the whole path where two have it."""
    if not runs:
        raise RunError("no run to ask; huzhu list shows the runs there are")
    folders = Counter(str(run.folder) for run in runs)
    twice = [folder for folder, count in folders.items() if count > 1]
    if twice:
        raise RunError(f"{twice[0]}: given twice; every row of it would count twice")
    known = Counter(run.folder.name for run in runs)
    return [run.folder.name if known[run.folder.name] == 1 else str(run.folder) for run in runs]


def _add_table(connection: duckdb.DuckDBPyConnection, table: str, runs: dict[str, Run]) -> None:
    """Make a table known over all runs; an empty one where no run has rows of it."""
    from results.engine import add_view, literal, quoted, relation

    parts = [
        f"select {literal(name)} as run, * "
        f"from ({relation(connection, run.files(table), *run.columns(table))})"
        for name, run in runs.items()
        if run.files(table)
    ]
    if parts:
        united = " union all by name ".join(parts)
        connection.execute(f"create view {quoted(table)} as {united}")
        return
    schema = next(iter(runs.values())).schema(table)
    with_run = pa.schema([pa.field("run", pa.string()), *schema])
    add_view(connection, table, (), with_run)
