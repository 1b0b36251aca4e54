"""The files of many shards put together into few, row by row in the order of the shards.

What is held in memory is a group of rows and a file of a shard, or as many small ones as are
fetched together; the work is in proportion to the rows and the files. The bytes that come of it
depend on the rows and their order, not on where one shard ended and the next began.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from results.atomic import StoreError
from results.manifest import FileRecord
from results.parquet import TableWriter, open_table
from results.places import Folder, buffers, make_folder

ROWS_OF_A_FILE: Final = 2**24
"""Rows of a file, the last one of a table apart: some 2 GB of `periods`."""

_ROWS_AT_ONCE: Final = 2**16


def merge(
    folder: Folder, table: str, files: Sequence[FileRecord], tell: Callable[[], None]
) -> Iterator[FileRecord]:
    """Write the rows of a table's files into `TABLE/from_point=0/TABLE-00000.parquet` and so on.

    The folder is a Hive partition, named for the first point in the file; more than one file may
    begin with the same point.

    Parameters
    ----------
    folder : Path or UPath
        The run folder.
    table : str
        Name of the table.
    files : sequence of FileRecord
        Files of its shards, in order. They stay.
    tell : callable
        Called after each of them.

    Returns
    -------
    iterator of FileRecord
        What was written, as it is written; nothing for a table without rows.

    Raises
    ------
    StoreError
        A file is not what was written, or the new one cannot be written.
    """
    return write_files(folder, table, _pieces(folder, files, tell))


def write_files(folder: Folder, table: str, pieces: Iterator[pa.Table]) -> Iterator[FileRecord]:
    """Write rows, as they come, into the files of a table that `merge` names.

    Parameters
    ----------
    folder : Path or UPath
        The run folder.
    table : str
        Name of the table.
    pieces : iterator of pyarrow.Table
        Its rows in order; no piece is empty.

    Yields
    ------
    FileRecord
        What was written; nothing where there are no rows.

    Raises
    ------
    StoreError
        A file cannot be written.
    """
    first = next(pieces, None)
    for number in itertools.count():
        if first is None:
            return
        partition = f"from_point={first['point'][0].as_py()}"
        make_folder(folder / table / partition)
        with open_table(folder, table, f"{partition}/{table}-{number:05d}") as writer:
            first = _fill(writer, first, pieces)
        yield writer.record


def _fill(writer: TableWriter, first: pa.Table, others: Iterator[pa.Table]) -> pa.Table | None:
    """Write rows until a file is full; the rows that had no room, None where there are none."""
    room = ROWS_OF_A_FILE
    for piece in itertools.chain([first], others):
        if piece.num_rows > room:
            writer.write(piece.slice(0, room))
            return piece.slice(room)
        writer.write(piece)
        room -= piece.num_rows
    return None


def _pieces(
    folder: Folder, files: Sequence[FileRecord], tell: Callable[[], None]
) -> Iterator[pa.Table]:
    """Yield the rows of files a few at a time; every file must be as it was written."""
    contents = buffers(folder, [(entry.path, entry.bytes) for entry in files])
    for entry in files:
        try:
            content = next(contents)
            if hashlib.sha256(content).hexdigest() != entry.sha256:
                raise StoreError(_damage(folder, entry, "its checksum is another"))
            parquet = pq.ParquetFile(pa.BufferReader(content))
            for batch in parquet.iter_batches(_ROWS_AT_ONCE, use_threads=False):
                if batch.num_rows:
                    yield pa.Table.from_batches([batch])
        except (OSError, pa.ArrowException) as error:
            raise StoreError(_damage(folder, entry, str(error))) from error
        tell()


def _damage(folder: Folder, entry: FileRecord, reason: str) -> str:
    """Return the message for a file of a shard that is not what was written."""
    first_line = (reason.splitlines() or ["no reason given"])[0]
    return (
        f"{folder / entry.path}: cannot be read ({first_line}); run the configuration again, which "
        "makes its shard anew"
    )
