"""Rows to the bytes of a Parquet file: how columns are stored, and groups of rows of one size.

The bytes depend on the rows and their order alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from results.atomic import Stream
from results.manifest import FileRecord
from results.places import Folder, make_folder, open_whole
from results.schema import TABLES, arrow_schema

ROWS_OF_A_GROUP: Final = 2**17
"""Rows of one group of a file that is written while its rows come: some 15 MB of memory."""


class TableWriter:
    """Writes one Parquet file of a table while its rows come, in groups of one size.

    What it holds in memory is less than a group and what it was given last. The bytes of the file
    depend on the rows and their order, not on the pieces in which they came. See
    `open_table`, which opens and ends it.
    """

    def __init__(self, table: str, stream: Stream) -> None:
        self._table, self._stream = table, stream
        self._rows = 0
        self._waiting: list[pa.Table] = []
        self._rows_waiting = 0
        self._record: FileRecord | None = None
        schema = arrow_schema(table)
        self._parquet = pq.ParquetWriter(stream, schema, **_settings(schema))

    @property
    def record(self) -> FileRecord:
        """What was written.

        Raises
        ------
        ValueError
            The file is not whole yet.
        """
        if self._record is None:
            raise ValueError(f"the file of {self._table} is not whole yet")
        return self._record

    def write(self, data: pa.Table) -> None:
        """Write rows.

        Parameters
        ----------
        data : pyarrow.Table
            Rows with the columns of the table in order; plain strings are taken for names.

        Raises
        ------
        StoreError
            The file cannot be written.
        ValueError
            The columns are not those of the table.
        """
        self._waiting.append(conformed(self._table, data))
        self._rows_waiting += data.num_rows
        if self._rows_waiting < ROWS_OF_A_GROUP:
            return
        rows = pa.concat_tables(self._waiting)
        whole = rows.num_rows - rows.num_rows % ROWS_OF_A_GROUP
        for first in range(0, whole, ROWS_OF_A_GROUP):
            self._write_group(rows.slice(first, ROWS_OF_A_GROUP))
        self._waiting = [rows.slice(whole)]
        self._rows_waiting -= whole

    def finish(self, name: str) -> None:
        """Write the rest; `name` is the path of the file within the run folder."""
        if self._rows_waiting:
            self._write_group(pa.concat_tables(self._waiting))
        self._parquet.close()
        stream = self._stream
        self._record = FileRecord(name, self._rows, stream.bytes, stream.sha256)

    def abandon(self) -> None:
        """End without a file: Arrow may write the end of one, which goes nowhere."""
        self._stream.abandon()
        self._parquet.close()

    def _write_group(self, rows: pa.Table) -> None:
        """Write some rows as one group, the names in the order of their first appearance."""
        columns = [
            column.cast(column.type.value_type).combine_chunks().dictionary_encode()
            if pa.types.is_dictionary(column.type)
            else column.combine_chunks()
            for column in rows.columns
        ]
        group = pa.Table.from_arrays(columns, schema=rows.schema)
        self._parquet.write_table(group, row_group_size=ROWS_OF_A_GROUP)
        self._rows += group.num_rows


@contextlib.contextmanager
def open_table(folder: Folder, table: str, stem: str) -> Iterator[TableWriter]:
    """Open the file `TABLE/STEM.parquet` of a run, for more rows than fit in memory.

    The file is there, whole, once the block has ended; then the writer has its record. When the
    block raises nothing is left of it.

    Parameters
    ----------
    folder : Path or UPath
        The run folder.
    table : str
        Name of the table (`results.schema.TABLES`), not `points`.
    stem : str
        Name of the file without its ending.

    Raises
    ------
    StoreError
        The file cannot be written.
    """
    name = f"{table}/{stem}.parquet"
    make_folder(folder / table)
    with open_whole(folder / name) as stream:
        writer = TableWriter(table, stream)
        try:
            yield writer
            writer.finish(name)
        except BaseException:
            writer.abandon()
            raise


def conformed(table: str, data: pa.Table) -> pa.Table:
    """Return rows in the schema of their table, as one chunk.

    Parameters
    ----------
    table : str
        Name of the table.
    data : pyarrow.Table
        The rows; plain strings are taken for names.

    Raises
    ------
    ValueError
        There is no such table, its columns are others, or values are missing that may not be.
    """
    if table not in TABLES:
        raise ValueError(f"no table {table!r}; known: {', '.join(TABLES)}")
    schema = data.schema if table == "points" else arrow_schema(table)
    if data.column_names != schema.names:
        odd = sorted(set(data.column_names) ^ set(schema.names)) or "their order"
        raise ValueError(f"columns of {table} differ from its schema: {odd}")
    for column in schema:
        if not column.nullable and data.column(column.name).null_count:
            raise ValueError(f"{table}.{column.name} has missing values and may not")
    columns = [data.column(column.name).cast(column.type) for column in schema]
    return pa.Table.from_arrays(columns, schema=schema).combine_chunks().unify_dictionaries()


def table_bytes(data: pa.Table) -> pa.Buffer:
    """Return rows, as `conformed` gives them, as one Parquet file of one row group."""
    sink = pa.BufferOutputStream()
    settings = _settings(data.schema)
    pq.write_table(data, sink, row_group_size=max(data.num_rows, 1), **settings)
    return sink.getvalue()


def _settings(schema: pa.Schema) -> dict[str, Any]:
    """Return how the columns of a table are stored.

    Floats are split by byte and counts stored as differences before zstd sees them; the keys and
    names, which repeat, as dictionaries.
    """
    kinds = {column.name: column.type for column in schema}
    encodings = {name: "BYTE_STREAM_SPLIT" for name, kind in kinds.items() if kind == pa.float64()}
    encodings |= {name: "DELTA_BINARY_PACKED" for name, kind in kinds.items() if kind == pa.int64()}
    return {
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": [name for name in kinds if name not in encodings],
        "column_encoding": encodings,
    }
