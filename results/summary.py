"""The `summary` table: how each quantity of `periods` is distributed over the paths of a point.

One row for each point, period, plan and quantity (`results.schema.QUANTITIES`): for the plans that
the point has, and for every period of the point that any path of the run reached. A quantity taken
over all paths counts zero for a path that has ended; one taken over the running paths leaves it
out, and one taken over the open paths leaves it out from its closure on, so that a wind-down does
not count. `paths` says how many paths remain; where none remains the figures are missing. The
standard deviation is the sample's (n-1), missing for one path; quantiles interpolate linearly
between order statistics (position q(n-1), SQL quantile_cont).

The same paths give the same bits, however they were spread over shards: points are taken in
order, a bounded number of rows at a time, and DuckDB sums them on one thread in order of the path.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from configs.shapes import Shapes
from results.engine import add_view, connect
from results.manifest import FileRecord
from results.schema import QUANTITIES, Quantity, arrow_schema
from results.shapes import number_sql
from results.store import RunStore

if TYPE_CHECKING:
    import duckdb

ROWS_AT_ONCE: Final = 500_000
"""Rows of `periods` summarised together: some 200 MB of memory."""

_LEVELS: Final = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}


def summarise(
    store: RunStore, shapes: Shapes, files: Sequence[FileRecord] = ()
) -> list[FileRecord]:
    """Write the `summary` table of a run from its finished paths.

    Parameters
    ----------
    store : RunStore
        The run.
    shapes : Shapes
        The plans of each point, in the order their rows shall have, and its length.
    files : sequence of FileRecord
        What `RunStore.compact` returned; the finished shards' own files are read without it.

    Returns
    -------
    list of FileRecord
        The files written, for the manifest.

    Raises
    ------
    StoreError
        A file cannot be written.
    """
    parts = enumerate(_summaries(store, shapes, files))
    return [store.write_table("summary", part, number) for number, part in parts]


@dataclass(frozen=True)
class _Part:
    """Points and periods that are summarised together, both ends included."""

    points: tuple[int, int]
    periods: tuple[int, int]


def _summaries(store: RunStore, shapes: Shapes, files: Sequence[FileRecord]) -> Iterator[pa.Table]:
    """Yield the summary part by part; one empty part where there are no paths."""
    with connect(threads=1) as connection:
        _add_tables(connection, store, files or _shard_files(store))
        yield from described(connection, shapes)


def described(
    connection: duckdb.DuckDBPyConnection,
    shapes: Shapes,
    points: Collection[int] | None = None,
    origin: str = "point",
) -> Iterator[pa.Table]:
    """Yield rows of `summary` from `paths`, `pools` and `periods` of a connection, in order.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Where the tables are; on one thread sums are the same bit for bit.
    shapes : Shapes
        The shapes of the points that `origin` finds.
    points : collection of int, optional
        Parts with none of these are passed over; all are described without it.
    origin : str
        SQL of the point whose shape a path has, on a row of `paths`.
    """
    _add_horizon(connection)
    _add_plans(connection, shapes, origin)
    for part in _parts(connection):
        first, last = part.points
        if points is None or any(first <= point <= last for point in points):
            _lay_out(connection, part)
            yield connection.sql(_summary_sql()).to_arrow_table()


def _shard_files(store: RunStore) -> list[FileRecord]:
    """Return the files of the finished shards, in order."""
    shards = store.finished_shards(verify=False).values()
    return [entry for shard in shards for entry in shard.files]


def _add_tables(
    connection: duckdb.DuckDBPyConnection, store: RunStore, files: Sequence[FileRecord]
) -> None:
    """Make `paths`, `pools` and `periods` known to the connection."""
    for table in ("paths", "pools", "periods"):
        places = [store.folder / entry.path for entry in files if entry.table == table]
        add_view(connection, table, places, arrow_schema(table))


def _add_horizon(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the periods that any path reached known to the connection."""
    connection.execute(
        "create table horizon as select period::integer as period from "
        "range((select coalesce(max(periods_run), 0) from paths)) as every(period)"
    )


def _add_plans(connection: duckdb.DuckDBPyConnection, shapes: Shapes, origin: str) -> None:
    """Make the shape of each path, and the ranked plans of each shape, known to the connection."""
    number = number_sql(shapes, origin)
    connection.execute(
        f"create table lives as select point, path, ({number})::integer as shape from paths"
    )
    connection.execute(
        "create table plans (shape integer, plan varchar, rank integer, periods integer)"
    )
    connection.executemany(
        "insert into plans values (?, ?, ?, ?)",
        [
            [number, plan, rank, shape.periods]
            for number, shape in enumerate(shapes.distinct)
            for rank, plan in enumerate(shape.plans)
        ],
    )


def _parts(connection: duckdb.DuckDBPyConnection) -> Iterator[_Part]:
    """Yield parts of at most `ROWS_AT_ONCE` rows, or of a single period where that has more.

    They depend on the paths alone, never on the shards. Without paths, one part without points.
    """
    last_period, sizes = _sizes(connection)
    first, last, held = 0, -1, 0
    for point, rows in sizes:
        if held and held + rows > ROWS_AT_ONCE:
            yield from _slices(_Part((first, last), (0, last_period)), held)
            first, held = point, 0
        last, held = point, held + rows
    yield from _slices(_Part((first, last), (0, last_period)), held)


def _sizes(connection: duckdb.DuckDBPyConnection) -> tuple[int, list[tuple[int, int]]]:
    """Return the last period that any path reached, and how many rows each point is laid out in."""
    reached = connection.execute("select count(*) from horizon").fetchall()[0][0]
    sizes = connection.execute(
        "select point, sum(least(periods, $1)) from lives join plans using (shape) "
        "group by point order by point",
        [reached],
    ).fetchall()
    return reached - 1, [(point, int(rows)) for point, rows in sizes]


def _slices(part: _Part, rows: int) -> Iterator[_Part]:
    """Yield a part of `rows` rows in slices of some periods each, if it is too large."""
    end = part.periods[1] + 1
    slices = min(max(1, math.ceil(rows / ROWS_AT_ONCE)), max(1, end))
    bounds = [end * i // slices for i in range(slices + 1)]
    for start, stop in itertools.pairwise(bounds):
        yield _Part(part.points, (start, stop - 1))


def _lay_out(connection: duckdb.DuckDBPyConnection, part: _Part) -> None:
    """Lay out one row a point, period, plan and path in that order, closed paths included."""
    values = ", ".join(_value_sql(quantity) for quantity in QUANTITIES)
    points = f"point between {part.points[0]} and {part.points[1]}"
    periods = f"period between {part.periods[0]} and {part.periods[1]}"
    connection.execute(
        f"""
        create or replace temp table laid_out as
        select grid.point, grid.path, grid.period, grid.plan, grid.rank, {values}
        from (
            select point, path, period, plan, rank from lives join plans using (shape), horizon
            where {points} and {periods} and period < periods
        ) as grid
        left join (
            select periods.*, coalesce(period <= closure_period, true) as is_open
            from periods left join (
                select point, path, pool, closure_period from pools
                where {points} and closure_period is not null
            ) as closures using (point, path, pool)
            where {points} and {periods}
        ) as found
        using (point, path, period, plan)
        order by grid.point, grid.period, grid.rank, grid.path
        """
    )


def _value_sql(quantity: Quantity) -> str:
    """Return the SQL of one quantity's value on one path: number, or null where left out."""
    value = f"found.{quantity.name}::double"
    counted = {
        "all": f"coalesce({value}, 0)",
        "running": value,
        "open": f"case when found.is_open then {value} end",
    }
    return f"{counted[quantity.over]} as {quantity.name}"


def _summary_sql() -> str:
    """Return the SQL that turns what is laid out into rows of `summary`."""
    levels = list(_LEVELS.values())
    figures = ", ".join(
        f"{{'mean': avg({name}), 'sd': stddev_samp({name}), 'paths': count({name}), "
        f"'q': quantile_cont({name}, {levels})}} as {name}"
        for name in (quantity.name for quantity in QUANTITIES)
    )
    quantiles = ", ".join(f"figure.q[{i}] as {name}" for i, name in enumerate(_LEVELS, start=1))
    rows = " union all ".join(
        f"select point, period, plan, rank, {order} as place, '{quantity.name}' as quantity, "
        f"{quantity.name} as figure from wide"
        for order, quantity in enumerate(QUANTITIES)
    )
    return f"""
        with wide as materialized (
            select point, period, plan, rank, {figures} from laid_out group by all
        )
        select point, period, plan, quantity, figure.mean as mean, figure.sd as sd,
            figure.sd / sqrt(figure.paths) as standard_error, {quantiles},
            figure.paths::integer as paths
        from ({rows}) order by point, period, rank, place
        """
