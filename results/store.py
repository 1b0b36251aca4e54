"""The run folder: whole files or none, a record for each finished shard, the manifest.

A run folder, on this machine or in object storage (`results.places`), holds `manifest.json`,
`config.yaml`, one folder a table with its Parquet files, and `shards/`, where shard 3 is finished
once `shards/shard-00003.json` stands there: the record is written last and holds the checksums of
the shard's files, so a run that was killed is taken up again by reading the folder, without asking
anyone.

When all shards are there their files are put together, `periods/from_point=0/periods-00000.parquet`
and so on, so that anything that knows Hive partitions reads the folder `periods`. What counts is
what the manifest names: until it names these files they count for nothing, and from then on the
shards' own do. Every file is whole or not there, and nothing else that is finished is ever removed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

import pyarrow as pa

from results import compaction, lock
from results.atomic import StoreError, is_leftover
from results.manifest import Failure, FileRecord, Manifest, ShardRecord, Status
from results.migration import upgraded
from results.parquet import TableWriter, conformed, open_table, table_bytes
from results.places import (
    Folder,
    buffers,
    check_space,
    is_there,
    make_folder,
    place,
    read_whole,
    remove,
    rename,
    sizes,
    small_files,
    write_whole,
)
from results.schema import RESULTS_FORMAT, SHARDED_TABLES, TABLES

MANIFEST_NAME: Final = "manifest.json"
CONFIG_NAME: Final = "config.yaml"
SHARDS_FOLDER: Final = "shards"

_SHARD_RECORD = re.compile(rf"^{SHARDS_FOLDER}/shard-(\d{{5,}})\.json$")
_SHARD_TABLE = re.compile(rf"^(?:{'|'.join(SHARDED_TABLES)})/shard-\d{{5,}}\.parquet$")


def check_writable(results_dir: Folder | str, needs_bytes: int = 0) -> None:
    """Make the folder of all runs, and make sure that a file can be written in it.

    Parameters
    ----------
    results_dir : path or URL
        Folder that will hold the run folders.
    needs_bytes : int
        Space that the run is expected to take, if known; object storage has no end.

    Raises
    ------
    StoreError
        The folder cannot be made or written, or has less space than needed; no folder that this
        call made is left behind.
    """
    folder = place(results_dir)
    made = []
    if isinstance(folder, Path):
        made = [parent for parent in (folder, *folder.parents) if not os.path.lexists(parent)]
    try:
        make_folder(folder)
        check_space(folder, needs_bytes)
    except StoreError:
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def create_run(folder: Folder | str) -> RunStore:
    """Make the folder of a run, or take up the one that is there.

    Parameters
    ----------
    folder : path or URL
        The run folder.

    Raises
    ------
    StoreError
        It cannot be made.
    """
    store = RunStore(place(folder))
    make_folder(store.folder)
    return store


def set_aside(folder: Folder | str) -> Folder:
    """Move a run folder to `NAME.until-YYYYMMDDTHHMMSS` beside it; nothing is removed.

    Parameters
    ----------
    folder : path or URL
        The run folder. One that holds nothing stays where it is.

    Returns
    -------
    Path or UPath
        Where it is now.

    Raises
    ------
    StoreError
        It cannot be moved.
    """
    old = place(folder)
    if not set(sizes(old, (*TABLES, SHARDS_FOLDER))) - {lock.LOCK_NAME}:
        return old
    stem = f"{old.name}.until-{datetime.now():%Y%m%dT%H%M%S}"
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    free = next(name for name in names if not (old.parent / name).exists())
    return rename(old, free, MANIFEST_NAME)


@dataclass(frozen=True)
class RunStore:
    """Writes the files of one run. Holds nothing but the folder, so workers each make their own.

    Attributes
    ----------
    folder : Path or UPath
        The run folder.
    """

    folder: Folder

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
        content = table_bytes(conformed(table, data))
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
        with open_table(self.folder, table, _shard_stem(shard)) as writer:
            yield writer

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
        self,
        shard: int,
        files: Iterable[FileRecord],
        failures: Iterable[Failure] = (),
        **details: object,
    ) -> ShardRecord:
        """Record a shard as finished, once all its files are written.

        Parameters
        ----------
        shard : int
            Number of the shard.
        files : iterable of FileRecord
            What `write_table` returned for it.
        failures : iterable of Failure
            What of it could not be simulated, and is not in the files.
        **details
            Anything the run wants to know later, as JSON values (kernel_seconds, paths, …).

        Raises
        ------
        StoreError
            The record cannot be written; the shard then is not finished.
        """
        record = ShardRecord(shard, tuple(files), details, tuple(failures))
        self.write_file(_record_name(shard), _json_text(dataclasses.asdict(record)))
        return record

    def finished_shards(
        self,
        verify: bool = True,
        tell: Callable[[int, FileRecord], None] = lambda _shard, _file: None,
    ) -> dict[int, ShardRecord]:
        """Return the finished shards by number, in order; those that something failed in as well.

        A shard is finished when its record is whole and every file named in it is there with the
        recorded size and, with `verify`, checksum. Whatever else lies in the folder is left alone.

        Parameters
        ----------
        verify : bool
            Read the files and compare their checksums.
        tell : callable
            Called with the shard's number and the file where one that a record names is missing or
            damaged: the shard is not finished.

        Raises
        ------
        StoreError
            The storage does not answer, or refuses.
        """
        found = self._sizes()
        finished: dict[int, ShardRecord] = {}
        for record in self._records(found):
            lost = [entry for entry in record.files if found.get(entry.path) != entry.bytes]
            if not lost and verify and self._damaged(record.files):
                lost = [entry for entry in record.files if self._damaged([entry])]
            for entry in lost:
                tell(record.shard, entry)
            if not lost:
                finished[record.shard] = record
        return finished

    def finished_shard(self, shard: int) -> ShardRecord | None:
        """Return the record of a shard, None where it is not finished; its files are read.

        Parameters
        ----------
        shard : int
            Number of the shard.

        Raises
        ------
        StoreError
            The storage does not answer, or refuses.
        """
        try:
            record = _shard_record(shard, read_whole(self.folder / _record_name(shard)))
        except OSError:
            return None
        return None if record is None or self._damaged(record.files) else record

    def failed_shards(self) -> dict[int, ShardRecord]:
        """Return the finished shards that something failed in, by number, in order."""
        finished = self.finished_shards(verify=False)
        return {number: record for number, record in finished.items() if record.failures}

    def is_whole(self, entry: FileRecord, verify: bool = True) -> bool:
        """Whether a file is there with the recorded size and, with `verify`, checksum.

        Raises
        ------
        StoreError
            The storage does not answer, or refuses.
        """
        if verify:
            return not self._damaged([entry])
        return is_there(self.folder / entry.path, entry.bytes)

    def compact(
        self, tell: Callable[[int, int], None] = lambda _done, _total: None
    ) -> tuple[FileRecord, ...]:
        """Put the files of the finished shards together, table by table, in order of the shards.

        The bytes depend on the rows and their order alone. The shards' own files stay: see
        `remove_shards`.

        Parameters
        ----------
        tell : callable
            Told, after each file, how many files are done and how many there are.

        Returns
        -------
        tuple of FileRecord
            What was written, for the manifest; nothing for a table without rows.

        Raises
        ------
        StoreError
            A shard's file is not what was written, or a file cannot be written.
        """
        shards = self.finished_shards(verify=False).values()
        every = [entry for record in shards for entry in record.files]
        done = itertools.count(1)

        def tell_one() -> None:
            tell(next(done), len(every))

        merged: list[FileRecord] = []
        for table in SHARDED_TABLES:
            files = [entry for entry in every if entry.table == table]
            merged += compaction.merge(self.folder, table, files, tell_one)
        return tuple(merged)

    def remove_shards(self) -> None:
        """Remove the files and records of the shards, which the manifest no longer counts.

        Raises
        ------
        ValueError
            The manifest does not name the files that their rows were put together into, and is not
            that of a complete run: nothing is removed.
        StoreError
            A file cannot be removed.
        """
        manifest = self.read_manifest()
        if manifest is None or manifest.status != "complete" or not manifest.compacted:
            raise ValueError(f"{self.folder}: its shards are not put together in a complete run")
        found = sorted(self._sizes())
        remove(self.folder / name for name in found if _SHARD_TABLE.match(name))
        remove(self.folder / name for name in found if _SHARD_RECORD.match(name))
        if isinstance(self.folder, Path):
            with contextlib.suppress(OSError):
                (self.folder / SHARDS_FOLDER).rmdir()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against other writers while the block runs; in object storage it is not.

        Raises
        ------
        StoreError
            Somebody holds it: the message says which process. One that dies holds nothing.
        """
        if isinstance(self.folder, Path):
            with lock.held(self.folder):
                yield
        else:
            yield

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
            The file is there but is no manifest of this format, nor of an older one.
        """
        path = self.folder / MANIFEST_NAME
        written_as = RESULTS_FORMAT
        try:
            content = json.loads(read_whole(path))
            written_as = content["format"]
            if written_as <= RESULTS_FORMAT:
                return Manifest.from_json(upgraded(content))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{path}: {_unreadable(written_as, error)}") from error
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
        """Write the manifest of a run that has ended: its counts, files, failures and times.

        Parameters
        ----------
        manifest : Manifest
            The manifest the run started with.
        status : {"complete", "failed"}
            How it ended.
        finished : str
            When, in ISO 8601.
        files : iterable of FileRecord
            Files that belong to no shard; what `compact` returned among them.
        seconds : mapping of str to float
            `wall_seconds`, `kernel_seconds`, `overhead_seconds`.

        Returns
        -------
        Manifest
            The manifest as written.
        """
        closed = dataclasses.replace(
            manifest,
            status=status,
            finished=finished,
            files=tuple(files),
            **cast("dict[str, Any]", dict(seconds)),
        )
        shards = tuple(self.finished_shards(verify=False).values())
        counted = () if closed.compacted else shards
        every = [*closed.files, *(entry for record in counted for entry in record.files)]
        rows = {
            table: sum(entry.rows for entry in every if entry.table == table) for table in TABLES
        }
        closed = dataclasses.replace(
            closed,
            shard_files=counted,
            rows=rows,
            paths=rows["paths"],
            failures=tuple(failure for record in shards for failure in record.failures),
        )
        self.write_manifest(closed)
        return closed

    def leftovers(self) -> list[Path]:
        """Return the temporary files of writers that are no longer alive, in order.

        Known by the name `results.atomic` gives them, and by a writer that was on this machine. In
        object storage there are none.
        """
        if not isinstance(self.folder, Path):
            return []
        return sorted(self.folder / name for name in self._sizes() if is_leftover(Path(name).name))

    def remove_leftovers(self) -> list[Path]:
        """Remove the files of `leftovers`, and return them."""
        gone = self.leftovers()
        remove(gone)
        return gone

    def _write(self, name: str, content: bytes | pa.Buffer, rows: int) -> FileRecord:
        """Write one file of the run and return its record."""
        path = self.folder / name
        make_folder(path.parent)
        write_whole(path, content)
        size = memoryview(content).nbytes
        return FileRecord(name, rows, size, hashlib.sha256(content).hexdigest())

    def _sizes(self) -> dict[str, int]:
        """Return the size of each file of the run by its path within the folder."""
        return sizes(self.folder, (*TABLES, SHARDS_FOLDER))

    def _records(self, found: Mapping[str, int]) -> Iterator[ShardRecord]:
        """Yield the shard records among the files found, in order; what is none is passed over."""
        matches = filter(None, map(_SHARD_RECORD.match, found))
        numbers = {match[0]: int(match[1]) for match in matches}
        for name, content in small_files(self.folder, sorted(numbers, key=numbers.__getitem__)):
            record = _shard_record(numbers[name], content)
            if record:
                yield record

    def _damaged(self, files: Iterable[FileRecord]) -> bool:
        """Whether a file is not there or not what was written; all of them are read."""
        entries = tuple(files)
        contents = buffers(self.folder, [(entry.path, entry.bytes) for entry in entries])
        try:
            return any(
                hashlib.sha256(content).hexdigest() != entry.sha256
                for entry, content in zip(entries, contents, strict=True)
            )
        except (OSError, pa.ArrowException):
            return True


def _shard_record(number: int, content: bytes) -> ShardRecord | None:
    """Return a shard's record, or None where the content is not one."""
    try:
        record = ShardRecord.from_json(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return record if record.shard == number else None


def _shard_stem(shard: int) -> str:
    """Return the file name of a shard, without its ending."""
    return f"shard-{shard:05d}"


def _record_name(shard: int) -> str:
    """Return the path of a shard's record within the run folder."""
    return f"{SHARDS_FOLDER}/{_shard_stem(shard)}.json"


def _unreadable(written_as: object, error: Exception) -> str:
    """Return why a manifest does not read, and the remedy."""
    if written_as in range(RESULTS_FORMAT):
        return (
            f"written in results format {written_as} without what this huzhu (format "
            f"{RESULTS_FORMAT}) needs ({_first_line(error)}); read it with the huzhu that wrote "
            "it, or run the folder's config.yaml anew"
        )
    return (
        f"not a readable manifest ({_first_line(error)}); "
        "move the folder away and run the configuration again"
    )


def _json_text(content: object) -> str:
    """Return JSON that a person can read; NaN is refused, for it is not JSON."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]
