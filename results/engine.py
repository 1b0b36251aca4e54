"""DuckDB over the Parquet files of a run, and nothing from elsewhere."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
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
    connection: duckdb.DuckDBPyConnection,
    name: str,
    files: Iterable[Folder],
    schema: pa.Schema,
    absent: Iterable[str] = (),
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
        Its columns.
    absent : iterable of str
        Columns that the files lack: they have no values.
    """
    places = list(files)
    if places:
        selected = relation(connection, places, schema, absent)
        connection.execute(f"create view {quoted(name)} as {selected}")
        return
    connection.register("no_rows", schema.empty_table())
    connection.execute(f"create table {quoted(name)} as select * from no_rows")
    connection.unregister("no_rows")


def relation(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[Folder],
    schema: pa.Schema,
    absent: Iterable[str] = (),
) -> str:
    """Return the SQL that selects the rows of files, as for `add_view`; there is at least one."""
    _add_storage(connection, files[0])
    # Escaped twice over: DuckDB reads a file name as a pattern, within a string of SQL.
    listed = ", ".join(literal(glob.escape(str(path))) for path in files)
    columns, lacking = "*", set(absent)
    if lacking:
        columns = ", ".join(
            f"null::{_sql_type(field.type)} as {quoted(field.name)}"
            if field.name in lacking
            else quoted(field.name)
            for field in schema
        )
    return f"select {columns} from read_parquet([{listed}], hive_partitioning = false)"


def quoted(name: str) -> str:
    """Return a name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def _sql_type(kind: pa.DataType) -> str:
    """Return DuckDB's name of the type in which it reads a column of a run."""
    if pa.types.is_dictionary(kind):
        return "varchar"
    return {pa.int32(): "integer", pa.int64(): "bigint", pa.float64(): "double"}[kind]


def _add_storage(connection: duckdb.DuckDBPyConnection, file: Folder) -> None:
    """Have a connection read what lies in the storage of a file, if that is not this machine."""
    _, filesystem = for_arrow(file)
    if filesystem is None:
        return
    protocols = filesystem.protocol
    first = protocols if isinstance(protocols, str) else protocols[0]
    if not connection.filesystem_is_registered(first):
        connection.register_filesystem(filesystem)
