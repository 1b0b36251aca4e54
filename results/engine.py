"""DuckDB over the Parquet files of a run, and nothing from elsewhere."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa

from results.places import Folder, for_arrow

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
    connection: duckdb.DuckDBPyConnection, name: str, files: Iterable[Folder], schema: pa.Schema
) -> None:
    """Make the table `name` of a run known to a connection.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Where it becomes known.
    name : str
        Name of the table.
    files : iterable of Path or UPath
        Its Parquet files; rows come in their order. What lies in object storage is read through
        fsspec.
    schema : pyarrow.Schema
        Its columns, for a table that has no file yet.
    """
    # Escaped twice over: DuckDB reads a file name as a pattern, within a string of SQL.
    places = list(files)
    paths = [glob.escape(str(path)).replace("'", "''") for path in places]
    if paths:
        _add_storage(connection, places[0])
        listed = ", ".join(f"'{path}'" for path in paths)
        connection.execute(f'create view "{name}" as select * from read_parquet([{listed}])')
        return
    connection.register("no_rows", schema.empty_table())
    connection.execute(f'create table "{name}" as select * from no_rows')
    connection.unregister("no_rows")


def _add_storage(connection: duckdb.DuckDBPyConnection, file: Folder) -> None:
    """Have a connection read what lies in the storage of a file, if that is not this machine."""
    _, filesystem = for_arrow(file)
    if filesystem is None:
        return
    protocols = filesystem.protocol
    first = protocols if isinstance(protocols, str) else protocols[0]
    if not connection.filesystem_is_registered(first):
        connection.register_filesystem(filesystem)
