"""Open a run: its manifest, and its tables as Arrow, Polars, pandas or DuckDB.

>>> from results.run import open_run
>>> run = open_run("results/runs/quickstart-0123456789ab")  # doctest: +SKIP
>>> run.pandas("summary").query("quantity == 'share'")  # doctest: +SKIP

A run that is still going on, or was stopped, opens as well: it shows its finished shards. A run
folder may lie in object storage: `open_run("s3://bucket/runs/quickstart-0123456789ab")`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from configs.shapes import Shapes
from results.atomic import StoreError
from results.manifest import FileRecord, Manifest, ShardRecord
from results.migration import absent, completed, current_schema
from results.places import Folder, answered, folders, for_arrow, place, sizes
from results.schema import TABLES, arrow_schema, points_schema
from results.shapes import shapes_of_run
from results.store import MANIFEST_NAME, SHARDS_FOLDER, RunStore

if TYPE_CHECKING:
    import duckdb
    import pandas
    import polars


class RunError(Exception):
    """A run cannot be opened or read as asked; the message says why in a line or a few."""


@dataclass(frozen=True)
class Run:
    """One run, open for reading.

    Attributes
    ----------
    folder : Path or UPath
        The run folder.
    manifest : Manifest
        What the run is and what made it.
    shards : tuple of ShardRecord
        The shards that were finished when it was opened, in order; none once their files are put
        together.
    """

    folder: Folder
    manifest: Manifest
    shards: tuple[ShardRecord, ...]

    @property
    def paths_together(self) -> int:
        """Paths that are not independent of one another: 1, unless draws are pooled."""
        return 1

    @property
    def origin_sql(self) -> str:
        """SQL of the point of a row of `paths` or `periods` in the sweep as it was planned."""
        return "point"

    @cached_property
    def shapes(self) -> Shapes:
        """Plans, pools and length of each point."""
        return shapes_of_run(self.manifest)

    @property
    def planned_shapes(self) -> Shapes:
        """The same of the points of the sweep as it was planned (see `origin_sql`)."""
        return self.shapes

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables; one may be empty while the run is not complete."""
        return tuple(TABLES)

    def schema(self, table: str) -> pa.Schema:
        """Return the Arrow schema of a table, with unit and meaning of each column.

        It is today's, whatever format the run was written in; a column that its files lack may be
        missing.

        Raises
        ------
        RunError
            There is no such table, or its file is damaged.
        """
        return self.columns(table)[0]

    def columns(self, table: str) -> tuple[pa.Schema, tuple[str, ...]]:
        """Return the schema of a table, and its columns that came after the run was written.

        These have no values in any row.

        Raises
        ------
        RunError
            There is no such table, or its file is damaged.
        """
        files = self.files(table)
        if not files:
            axes = self.manifest.axes
            return (points_schema(axes) if table == "points" else arrow_schema(table)), ()
        try:
            source, filesystem = for_arrow(files[0])
            with answered(files[0]):
                found = pq.read_schema(source, filesystem=filesystem)
        except StoreError as error:
            raise RunError(str(error)) from error
        except (OSError, pa.ArrowException) as error:
            _fail_on_damage(files[0], error)
        schema = current_schema(table, found)
        return schema, absent(found, schema)

    def rows(self, table: str) -> int:
        """Return how many rows of a table there are, by the records of its files.

        Raises
        ------
        RunError
            There is no such table.
        """
        return sum(entry.rows for entry in self._entries(table))

    def files(self, table: str) -> tuple[Folder, ...]:
        """Return the Parquet files of a table, in the order of its rows.

        Raises
        ------
        RunError
            There is no such table.
        """
        return tuple(self.folder / entry.path for entry in self._entries(table))

    def _entries(self, table: str) -> tuple[FileRecord, ...]:
        """Return the records of a table's files; RunError where there is no such table."""
        if table not in TABLES:
            near = difflib.get_close_matches(str(table), TABLES, n=2, cutoff=0.4) or list(TABLES)
            raise RunError(f"no table {table!r}; did you mean {' or '.join(near)}?")
        sharded = [entry for shard in self.shards for entry in shard.files]
        return tuple(
            entry
            for entry in (*self.manifest.files, *sharded)
            if entry.table == table and _is_parquet(entry)
        )

    def arrow(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a table as Arrow; names are dictionaries, metadata holds units and meanings.

        Parameters
        ----------
        table : str
            Name of the table.
        columns : sequence of str, optional
            Columns to read; all without it.

        Raises
        ------
        RunError
            There is no such table or column, or a file is damaged.
        """
        schema, lacking = self.columns(table)
        names = schema.names if columns is None else list(columns)
        if unknown := [name for name in names if name not in schema.names]:
            near = difflib.get_close_matches(unknown[0], schema.names, n=3) or schema.names
            raise RunError(f"{table} has no column {unknown[0]!r}; it has {', '.join(near)}")
        wanted = pa.schema([schema.field(name) for name in names], schema.metadata)
        stored = [name for name in names if name not in lacking]
        parts = [completed(_read(path, stored), wanted) for path in self.files(table)]
        return pa.concat_tables(parts or [wanted.empty_table()]).unify_dictionaries()

    def polars(self, table: str) -> polars.LazyFrame:
        """Return a table as a Polars LazyFrame, which reads only what a query needs.

        Raises
        ------
        RunError
            There is no such table, or its file is damaged.
        """
        import polars

        schema, lacking = self.columns(table)
        empty = polars.DataFrame(polars.from_arrow(schema.empty_table()))
        files = self.files(table)
        if not files:
            return empty.lazy()
        missing = [polars.lit(None, empty.schema[name]).alias(name) for name in lacking]
        return _scan(files).with_columns(missing).select(schema.names) if missing else _scan(files)

    def pandas(self, table: str) -> pandas.DataFrame:
        """Return a table as a pandas DataFrame; names are categories.

        Raises
        ------
        RunError
            There is no such table, or a file is damaged.
        """
        frame: pandas.DataFrame = self.arrow(table).to_pandas()
        return frame

    def duckdb(self, tables: Sequence[str] | None = None) -> duckdb.DuckDBPyConnection:
        """Return an in-memory DuckDB with one view a table; the caller closes it.

        Parameters
        ----------
        tables : sequence of str, optional
            The tables that are needed, each of which takes some milliseconds; all without it.

        Raises
        ------
        RunError
            There is no such table, or a file is damaged.
        """
        import duckdb

        from results.engine import add_view, connect

        connection = connect()
        try:
            for table in self.tables if tables is None else tables:
                add_view(connection, table, self.files(table), *self.columns(table))
        except duckdb.Error as error:
            connection.close()
            raise RunError(f"{self.folder}: {error}") from error
        except RunError:
            connection.close()
            raise
        return connection


@dataclass(frozen=True)
class RunList:
    """The runs of a folder.

    Attributes
    ----------
    runs : tuple of Run
        Those that open, the oldest first.
    problems : tuple of str
        Why the others do not, a message each.
    """

    runs: tuple[Run, ...]
    problems: tuple[str, ...]


def open_run(folder: Folder | str) -> Run:
    """Open a run for reading.

    Parameters
    ----------
    folder : path or URL
        The run folder: what `huzhu run` prints last.

    Raises
    ------
    RunError
        It is no run folder, its manifest cannot be read, it was written in a newer format, a file
        that the manifest names is missing, or its storage does not answer.
    """
    try:
        path = place(folder)
        run = _opened(path)
        if run is None:
            state = f"no {MANIFEST_NAME} in it" if path.is_dir() else "no such folder"
    except StoreError as error:
        raise RunError(str(error)) from error
    if run is None:
        raise RunError(f"{path}: not a run folder ({state}); huzhu list shows the runs there are")
    return run


def list_runs(results_dir: Folder | str) -> RunList:
    """Return the runs in a folder, oldest first.

    Parameters
    ----------
    results_dir : path or URL
        Folder of the run folders; whatever else is in it is passed over.

    Raises
    ------
    RunError
        There is no such folder, or its storage does not answer.
    """
    runs, problems = [], []
    try:
        candidates = folders(place(results_dir))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(
            f"{results_dir}: no such folder; huzhu run CONFIG makes the first run"
        ) from error
    except StoreError as error:
        raise RunError(str(error)) from error
    for path in candidates:
        try:
            run = _opened(path)
        except (StoreError, RunError) as error:
            problems.append(str(error))
        else:
            runs += [run] if run else []
    return RunList(tuple(sorted(runs, key=lambda run: run.manifest.started)), tuple(problems))


def _opened(folder: Folder) -> Run | None:
    """Return the run of a folder, None where there is none."""
    store = RunStore(folder)
    manifest = store.read_manifest()
    if manifest is None:
        return None
    shards: tuple[ShardRecord, ...] = ()
    if not manifest.compacted:
        shards = tuple(store.finished_shards(verify=False).values())
        # In the meantime they may have been put together, and removed while they were read.
        manifest = store.read_manifest() or manifest
        shards = () if manifest.compacted else shards
    there = sizes(folder, (*TABLES, SHARDS_FOLDER))
    for entry in manifest.files:
        if entry.path not in there:
            remedy = "run the configuration again to make it"
            raise RunError(f"{folder / entry.path}: missing; {remedy}")
    return Run(folder, manifest, shards)


def _scan(files: Sequence[Folder]) -> polars.LazyFrame:
    """Return files as a Polars LazyFrame."""
    import polars

    _, filesystem = for_arrow(files[0])
    if filesystem is None:
        return polars.scan_parquet(list(map(str, files)), glob=False, hive_partitioning=False)
    from pyarrow import dataset

    sources = [for_arrow(file)[0] for file in files]
    return polars.scan_pyarrow_dataset(
        dataset.dataset(sources, filesystem=filesystem, format="parquet")
    )


def _is_parquet(entry: FileRecord) -> bool:
    """Whether a file of the run is part of a table."""
    return entry.path.endswith(".parquet")


def _read(path: Folder, columns: list[str]) -> pa.Table:
    """Return some columns of one file."""
    source, filesystem = for_arrow(path)
    try:
        with answered(path):
            return pq.read_table(source, columns=columns, partitioning=None, filesystem=filesystem)
    except StoreError as error:
        raise RunError(str(error)) from error
    except (OSError, pa.ArrowException) as error:
        _fail_on_damage(path, error)


def _fail_on_damage(path: Folder, error: Exception) -> NoReturn:
    """Raise the error for a file that does not read as Parquet."""
    reason = (str(error).splitlines() or [""])[0]
    raise RunError(
        f"{path}: cannot be read ({reason}); run the configuration again to make it"
    ) from error
