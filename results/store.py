"""The run folder on disk: whole files or none, a record for each finished shard, the manifest.

A run folder holds `manifest.json`, `config.yaml`, one folder a table with its Parquet files, and
`shards/`, where shard 3 is finished once `shards/shard-00003.json` stands there: the record is
written last and holds the checksums of the shard's files, so a run that was killed is taken up
again by reading the folder, without asking anyone.

Every file is whole or not there (`results.atomic`), and nothing finished is ever removed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from results.atomic import (
    StoreError,
    Stream,
    disk_full,
    is_leftover,
    make_folder,
    open_whole,
    write_whole,
)
from results.manifest import FileRecord, Manifest, ShardRecord, Status
from results.schema import RESULTS_FORMAT, TABLES, arrow_schema

MANIFEST_NAME: Final = "manifest.json"
SHARDS_FOLDER: Final = "shards"

ROWS_OF_A_GROUP: Final = 2**17
"""Rows of one group of a file that is written while its rows come: some 15 MB of memory."""

_SHARD_RECORD = re.compile(r"^shard-(\d{5,})\.json$")


def check_writable(results_dir: Path | str, needs_bytes: int = 0) -> None:
    """Make the folder of all runs, and make sure that a file can be written in it.

    Parameters
    ----------
    results_dir : path
        Folder that will hold the run folders.
    needs_bytes : int
        Space that the run is expected to take, if known.

    Raises
    ------
    StoreError
        The folder cannot be made or written, or has less space than needed; no folder that this
        call made is left behind.
    """
    folder = Path(results_dir)
    made = [parent for parent in (folder, *folder.parents) if not os.path.lexists(parent)]
    try:
        make_folder(folder)
        write_whole(folder / "probe", b"huzhu", keep=False)
        free = shutil.disk_usage(folder).free
        if free < needs_bytes:
            raise StoreError(disk_full(folder, needs_bytes, free))
    except StoreError:
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def create_run(folder: Path | str) -> RunStore:
    """Make the folder of a run, or take up the one that is there.

    Parameters
    ----------
    folder : path
        The run folder.

    Raises
    ------
    StoreError
        It cannot be made.
    """
    path = Path(folder)
    make_folder(path)
    return RunStore(path)


class TableWriter:
    """Writes one Parquet file of a table while its rows come, in groups of one size.

    What it holds in memory is less than a group and what it was given last. The bytes of the file
    depend on the rows and their order, not on the pieces in which they came. See
    `RunStore.table_writer`, which opens and ends it.
    """

    def __init__(self, table: str, stream: Stream) -> None:
        self._table, self._stream = table, stream
        self._rows = 0
        self._waiting: list[pa.Table] = []
        self._rows_waiting = 0
        self._record: FileRecord | None = None
        schema = arrow_schema(table)
        self._parquet = pq.ParquetWriter(stream, schema, **_parquet_settings(schema))

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
        self._waiting.append(_conformed(self._table, data))
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


@dataclass(frozen=True)
class RunStore:
    """Writes the files of one run. Holds nothing but the folder, so workers each make their own.

    Attributes
    ----------
    folder : Path
        The run folder.
    """

    folder: Path

    def write_table(self, table: str, data: pa.Table, shard: int | None = None) -> FileRecord:
        """Write one Parquet file of a table, in one row group.

        Parameters
        ----------
        table : str
            Name of the table (`results.schema.TABLES`).
        data : pyarrow.Table
            Its rows, with the columns of the table in order; plain strings are taken for names.
        shard : int, optional
            Number of the shard: the file is `TABLE/shard-NNNNN.parquet`, without it
            `TABLE/TABLE.parquet`.

        Raises
        ------
        StoreError
            The file cannot be written; nothing is left of it.
        ValueError
            The columns are not those of the table.
        """
        stem = table if shard is None else _shard_stem(shard)
        content = _parquet_bytes(_conformed(table, data))
        return self._write(f"{table}/{stem}.parquet", content, rows=data.num_rows)

    @contextlib.contextmanager
    def table_writer(self, table: str, shard: int) -> Iterator[TableWriter]:
        """Open the file of a table and shard, for more rows than fit in memory.

        The file is there, whole, once the block has ended; then the writer has its record. When
        the block raises nothing is left of it.

        Parameters
        ----------
        table : str
            Name of the table (`results.schema.TABLES`), not `points`.
        shard : int
            Number of the shard.

        Raises
        ------
        StoreError
            The file cannot be written.
        """
        name = f"{table}/{_shard_stem(shard)}.parquet"
        path = self.folder / name
        make_folder(path.parent)
        with open_whole(path) as stream:
            writer = TableWriter(table, stream)
            try:
                yield writer
                writer.finish(name)
            except BaseException:
                writer.abandon()
                raise

    def write_file(self, name: str, content: bytes | str) -> FileRecord:
        """Write a file that is no table (configuration, picture) in the run folder.

        Raises
        ------
        StoreError
            The file cannot be written; nothing is left of it.
        """
        raw = content.encode() if isinstance(content, str) else content
        return self._write(name, raw, rows=0)

    def finish_shard(
        self, shard: int, files: Iterable[FileRecord], **details: object
    ) -> ShardRecord:
        """Record a shard as finished, once all its files are written.

        Parameters
        ----------
        shard : int
            Number of the shard.
        files : iterable of FileRecord
            What `write_table` returned for it.
        **details
            Anything the run wants to know later, as JSON values (kernel_seconds, paths, …).

        Raises
        ------
        StoreError
            The record cannot be written; the shard then is not finished.
        """
        record = ShardRecord(shard, tuple(files), details)
        self.write_file(_record_name(shard), _json_text(dataclasses.asdict(record)))
        return record

    def finished_shards(self, verify: bool = True) -> dict[int, ShardRecord]:
        """Return the finished shards by number, in order.

        A shard is finished when its record is whole and every file named in it is there with the
        recorded size and, with `verify`, checksum. Whatever else lies in the folder is left alone.

        Parameters
        ----------
        verify : bool
            Read the files and compare their checksums.
        """
        records = (self._read_record(number, path) for number, path in self._record_files())
        return {
            record.shard: record
            for record in records
            if record and all(self._is_whole(entry, verify) for entry in record.files)
        }

    def write_manifest(self, manifest: Manifest) -> None:
        """Write `manifest.json`, replacing the one before.

        Raises
        ------
        StoreError
            It cannot be written; the one before stays.
        """
        self.write_file(MANIFEST_NAME, _json_text(dataclasses.asdict(manifest)))

    def read_manifest(self) -> Manifest | None:
        """Return the manifest, or None where there is none yet.

        Raises
        ------
        StoreError
            The file is there but is no manifest of this format.
        """
        path = self.folder / MANIFEST_NAME
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            written_as = content["format"]
            if written_as <= RESULTS_FORMAT:
                return Manifest.from_json(content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(
                f"{path}: not a readable manifest ({_first_line(error)}); "
                "move the folder away and run the configuration again"
            ) from error
        raise StoreError(
            f"{path}: written in results format {written_as}, this huzhu reads up to "
            f"{RESULTS_FORMAT}; install a newer huzhu"
        )

    def close_run(
        self,
        manifest: Manifest,
        *,
        status: Status,
        finished: str,
        files: Iterable[FileRecord],
        seconds: Mapping[str, float],
    ) -> Manifest:
        """Write the manifest of a run that has ended, with its counts, files and times.

        Parameters
        ----------
        manifest : Manifest
            The manifest the run started with.
        status : {"complete", "failed"}
            How it ended.
        finished : str
            When, in ISO 8601.
        files : iterable of FileRecord
            Files that belong to no shard.
        seconds : mapping of str to float
            `wall_seconds`, `kernel_seconds`, `overhead_seconds`.

        Returns
        -------
        Manifest
            The manifest as written.
        """
        loose = tuple(files)
        shards = tuple(self.finished_shards(verify=False).values())
        every = [*loose, *(entry for record in shards for entry in record.files)]
        rows = {
            table: sum(entry.rows for entry in every if entry.table == table) for table in TABLES
        }
        closed = dataclasses.replace(
            manifest,
            status=status,
            finished=finished,
            files=loose,
            shard_files=shards,
            rows=rows,
            paths=rows["paths"],
            **cast("dict[str, Any]", dict(seconds)),
        )
        self.write_manifest(closed)
        return closed

    def leftovers(self) -> list[Path]:
        """Return the temporary files of writers that are no longer alive, in order.

        Known by the name `results.atomic` gives them, and by a writer that was on this machine.
        """
        return sorted(path for path in self._every_file() if is_leftover(path.name))

    def remove_leftovers(self) -> list[Path]:
        """Remove the files of `leftovers`, and return them."""
        gone = self.leftovers()
        for path in gone:
            path.unlink(missing_ok=True)
        return gone

    def _write(self, name: str, content: bytes | pa.Buffer, rows: int) -> FileRecord:
        """Write one file of the run and return its record."""
        path = self.folder / name
        make_folder(path.parent)
        write_whole(path, content)
        size = memoryview(content).nbytes
        return FileRecord(name, rows, size, hashlib.sha256(content).hexdigest())

    def _record_files(self) -> list[tuple[int, Path]]:
        """Return number and path of every shard record, in order of the numbers."""
        folder = self.folder / SHARDS_FOLDER
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        matches = [match for match in map(_SHARD_RECORD.match, names) if match]
        return sorted((int(match[1]), folder / match[0]) for match in matches)

    def _read_record(self, number: int, path: Path) -> ShardRecord | None:
        """Return a shard's record, or None where the file is not one."""
        try:
            record = ShardRecord.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return record if record.shard == number else None

    def _is_whole(self, entry: FileRecord, verify: bool) -> bool:
        """Whether a file is there with the recorded size and, with `verify`, checksum."""
        path = self.folder / entry.path
        try:
            if path.stat().st_size != entry.bytes:
                return False
            if not verify:
                return True
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest() == entry.sha256
        except OSError:
            return False

    def _every_file(self) -> Iterator[Path]:
        """Yield the files of the run folder and of its folders."""
        for folder in (self.folder, *(self.folder / name for name in (*TABLES, SHARDS_FOLDER))):
            if folder.is_dir():
                yield from folder.iterdir()


def _shard_stem(shard: int) -> str:
    """Return the file name of a shard, without its ending."""
    return f"shard-{shard:05d}"


def _record_name(shard: int) -> str:
    """Return the path of a shard's record within the run folder."""
    return f"{SHARDS_FOLDER}/{_shard_stem(shard)}.json"


def _json_text(content: object) -> str:
    """Return JSON that a person can read; NaN is refused, for it is not JSON."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _conformed(table: str, data: pa.Table) -> pa.Table:
    """Return `data` in the schema of its table; ValueError where the columns differ."""
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


def _parquet_settings(schema: pa.Schema) -> dict[str, Any]:
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


def _parquet_bytes(data: pa.Table) -> pa.Buffer:
    """Return a table as one Parquet file of one row group."""
    sink = pa.BufferOutputStream()
    settings = _parquet_settings(data.schema)
    pq.write_table(data, sink, row_group_size=max(data.num_rows, 1), **settings)
    return sink.getvalue()
