"""Open a run: its manifest, and its tables as Arrow, Polars, pandas or DuckDB.

>>> from results.run import open_run
>>> run = open_run("results/runs/quickstart-0123456789ab")  # doctest: +SKIP
>>> run.pandas("summary").query("quantity == 'share'")  # doctest: +SKIP

A run that is still going on, or was stopped, opens as well: it shows its finished shards.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from results.atomic import StoreError
from results.manifest import FileRecord, Manifest, ShardRecord
from results.schema import TABLES, arrow_schema, points_schema
from results.store import MANIFEST_NAME, RunStore

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
    folder : Path
        The run folder.
    manifest : Manifest
        What the run is and what made it.
    shards : tuple of ShardRecord
        The shards that were finished when it was opened, in order.
    """

    folder: Path
    manifest: Manifest
    shards: tuple[ShardRecord, ...]

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables; one may be empty while the run is not complete."""
        return tuple(TABLES)

    def schema(self, table: str) -> pa.Schema:
        """Return the Arrow schema of a table, with unit and meaning of each column.

        Raises
        ------
        RunError
            There is no such table, or its file is damaged.
        """
        files = self.files(table)
        if not files:
            axes = self.manifest.axes
            return points_schema(axes) if table == "points" else arrow_schema(table)
        try:
            return pq.read_schema(files[0])
        except (OSError, pa.ArrowException) as error:
            _fail_on_damage(files[0], error)

    def files(self, table: str) -> tuple[Path, ...]:
        """Return the Parquet files of a table, in order of the shards.

        Raises
        ------
        RunError
            There is no such table.
        """
        if table not in TABLES:
            near = difflib.get_close_matches(str(table), TABLES, n=2, cutoff=0.4) or list(TABLES)
            raise RunError(f"no table {table!r}; did you mean {' or '.join(near)}?")
        sharded = [entry for shard in self.shards for entry in shard.files]
        return tuple(
            self.folder / entry.path
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
        schema = self.schema(table)
        names = schema.names if columns is None else list(columns)
        if unknown := [name for name in names if name not in schema.names]:
            near = difflib.get_close_matches(unknown[0], schema.names, n=3) or schema.names
            raise RunError(f"{table} has no column {unknown[0]!r}; it has {', '.join(near)}")
        wanted = pa.schema([schema.field(name) for name in names], schema.metadata)
        parts = [_read(path, names) for path in self.files(table)]
        return pa.concat_tables(parts or [wanted.empty_table()]).unify_dictionaries()

    def polars(self, table: str) -> polars.LazyFrame:
        """Return a table as a Polars LazyFrame, which reads only what a query needs.

        Raises
        ------
        RunError
            There is no such table.
        """
        import polars

        files = self.files(table)
        if files:
            return polars.scan_parquet(list(files), glob=False)
        empty = polars.from_arrow(self.schema(table).empty_table())
        return empty.lazy() if isinstance(empty, polars.DataFrame) else empty.to_frame().lazy()

    def pandas(self, table: str) -> pandas.DataFrame:
        """Return a table as a pandas DataFrame; names are categories.

        Raises
        ------
        RunError
            There is no such table, or a file is damaged.
        """
        frame: pandas.DataFrame = self.arrow(table).to_pandas()
        return frame

    def duckdb(self) -> duckdb.DuckDBPyConnection:
        """Return an in-memory DuckDB with one view a table; the caller closes it.

        Raises
        ------
        RunError
            A file is damaged.
        """
        import duckdb

        from results.engine import add_view, connect

        connection = connect()
        try:
            for table in self.tables:
                add_view(connection, table, self.files(table), self.schema(table))
        except duckdb.Error as error:
            connection.close()
            raise RunError(f"{self.folder}: {error}") from error
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


def open_run(folder: Path | str) -> Run:
    """Open a run for reading.

    Parameters
    ----------
    folder : path
        The run folder: what `huzhu run` prints last.

    Raises
    ------
    RunError
        It is no run folder, its manifest cannot be read, it was written in a newer format, or a
        file that the manifest names is missing.
    """
    path = Path(folder)
    if not (path / MANIFEST_NAME).is_file():
        state = f"no {MANIFEST_NAME} in it" if path.is_dir() else "no such folder"
        raise RunError(f"{path}: not a run folder ({state}); huzhu list shows the runs there are")
    store = RunStore(path)
    try:
        manifest = store.read_manifest()
    except StoreError as error:
        raise RunError(str(error)) from error
    if manifest is None:
        raise RunError(f"{path}: {MANIFEST_NAME} went away while it was read; try again")
    for entry in manifest.files:
        if not (path / entry.path).is_file():
            raise RunError(f"{path / entry.path}: missing; run the configuration again to make it")
    return Run(path, manifest, tuple(store.finished_shards(verify=False).values()))


def list_runs(results_dir: Path | str) -> RunList:
    """Return the runs in a folder, oldest first.

    Parameters
    ----------
    results_dir : path
        Folder of the run folders; whatever else is in it is passed over.

    Raises
    ------
    RunError
        There is no such folder.
    """
    folder = Path(results_dir)
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder; huzhu run CONFIG makes the first run")
    runs, problems = [], []
    for path in sorted(folder.iterdir()):
        if (path / MANIFEST_NAME).is_file():
            try:
                runs.append(open_run(path))
            except RunError as error:
                problems.append(str(error))
    return RunList(tuple(sorted(runs, key=lambda run: run.manifest.started)), tuple(problems))


def _is_parquet(entry: FileRecord) -> bool:
    """Whether a file of the run is part of a table."""
    return entry.path.endswith(".parquet")


def _read(path: Path, columns: list[str]) -> pa.Table:
    """Return some columns of one file."""
    try:
        return pq.read_table(path, columns=columns, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        _fail_on_damage(path, error)


def _fail_on_damage(path: Path, error: Exception) -> NoReturn:
    """Raise the error for a file that does not read as Parquet."""
    reason = (str(error).splitlines() or [""])[0]
    raise RunError(
        f"{path}: cannot be read ({reason}); run the configuration again to make it"
    ) from error
