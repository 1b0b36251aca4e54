"""DuckDB over the Parquet files of a run, and nothing from elsewhere."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb


def connect(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB that fetches no extensions.

    Parameters
    ----------
    threads : int, optional
        Threads it may use; without it, DuckDB's own choice.
    """
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    if threads is not None:
        settings["threads"] = threads
    return duckdb.connect(":memory:", config=settings)


def add_view(
    connection: duckdb.DuckDBPyConnection, name: str, files: Iterable[Path], schema: pa.Schema
) -> None:
    """Make the table `name` of a run known to a connection.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Where it becomes known.
    name : str
        Name of the table.
    files : iterable of Path
        Its Parquet files; rows come in their order.
    schema : pyarrow.Schema
        Its columns, for a table that has no file yet.
    """
    # Escaped twice over: DuckDB reads a file name as a pattern, within a string of SQL.
    paths = [glob.escape(str(path)).replace("'", "''") for path in files]
    if paths:
        listed = ", ".join(f"'{path}'" for path in paths)
        connection.execute(f'create view "{name}" as select * from read_parquet([{listed}])')
        return
    connection.register("no_rows", schema.empty_table())
    connection.execute(f'create table "{name}" as select * from no_rows')
    connection.unregister("no_rows")
