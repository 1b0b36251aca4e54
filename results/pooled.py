"""A run over draws of a posterior as if it had none: each point's paths are those of all its draws.

A draw is an uncertain world, and all draws count alike, so what a policy comes to is the mean over
the draws and their paths. `pooled` gives a run whose points are policies x worlds x design points
and whose path d * paths + i is the path i at the draw d. These paths are not independent of one
another: those of a draw share the draw, and with common random numbers those of the same i share
their random numbers. `results.standard_error` says what that makes of the error of a mean.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from configs.shapes import Shapes, numbered
from results.manifest import FileRecord
from results.run import Run
from results.schema import TABLES

if TYPE_CHECKING:
    import duckdb

POINT: Final = "point"
DRAW: Final = "draw"
PATH: Final = "path"


@dataclass(frozen=True)
class PooledRun(Run):
    """A run whose points are pooled over draws.

    Attributes
    ----------
    original : Run
        The run as it is, a point for every draw.
    sample : str
        Name of the sample that the draws are of.
    draws : int
        Number of draws.
    design : int
        Points of the design, which follow one another at every draw.
    """

    original: Run
    sample: str
    draws: int
    design: int

    @property
    def paths_together(self) -> int:
        """Paths of a point that share a draw."""
        return self.original.manifest.paths_per_point

    @property
    def origin_sql(self) -> str:
        """SQL of the point by draw that a row of `paths` or `periods` is of."""
        draw = f"{POINT} // {self.design} * {self.draws} + {PATH} // {self.paths_together}"
        return f"({draw}) * {self.design} + {POINT} % {self.design}"

    @cached_property
    def shapes(self) -> Shapes:
        """Plans, pools and length of each pooled point; its length is that of its longest draw."""
        by_draw = self.planned_shapes
        if not by_draw.numbers:
            return by_draw
        block = self.draws * self.design
        firsts = (
            point // self.design * block + point % self.design
            for point in range(self.manifest.points)
        )
        return numbered(
            max(
                (by_draw.at(first + draw * self.design) for draw in range(self.draws)),
                key=lambda shape: shape.periods,
            )
            for first in firsts
        )

    @property
    def planned_shapes(self) -> Shapes:
        """The shapes of the points by draw."""
        return self.original.shapes

    @property
    def is_common(self) -> bool:
        """Whether path i has the same random numbers at every draw."""
        sweep = self.manifest.config.get("sweep", {})
        return bool(sweep.get("random_numbers", "common") == "common")

    def arrow(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a table as Arrow, its points pooled; see `Run.arrow`."""
        if table == "points":
            found = self._points()
            return found if columns is None else found.select(list(columns))
        every = self.original.arrow(table)
        if POINT in every.column_names:
            every = self._renumbered(every)
        return every if columns is None else every.select(list(columns))

    def _entries(self, table: str) -> tuple[FileRecord, ...]:
        """Return the records of a table's files; a summary by draw says nothing of all of them."""
        return () if table == "summary" else super()._entries(table)

    def _renumbered(self, table: pa.Table) -> pa.Table:
        """Return a table with the numbers of pooled points and paths."""
        point = table[POINT].to_numpy()
        block = self.draws * self.design
        pooled_points = point // block * self.design + point % self.design
        table = _replaced(table, POINT, pooled_points)
        if PATH in table.column_names:
            draw = point // self.design % self.draws
            path = draw * self.paths_together + table[PATH].to_numpy()
            table = _replaced(table, PATH, path)
        return table

    def _points(self) -> pa.Table:
        """Return the points of the first draw, without what is drawn."""
        every = self.original.arrow("points")
        draw = every[POINT].to_numpy() // self.design % self.draws
        firsts = self._renumbered(every.filter(pa.array(draw == 0)))
        for name, rows in _drawn_rows(self.original, firsts).items():
            column = pc.if_else(pa.array(rows), pa.scalar(None, firsts[name].type), firsts[name])
            firsts = _replaced(firsts, name, column)
        left_out = [name for name in drawn_columns(self.original) if name in firsts.column_names]
        return firsts.drop_columns(left_out)

    def duckdb(self, tables: Sequence[str] | None = None) -> duckdb.DuckDBPyConnection:
        """Return a DuckDB with one view a table, its points pooled; see `Run.duckdb`."""
        connection = super().duckdb(tables)
        for table in self.tables if tables is None else tables:
            names = {column.name for column in TABLES[table].columns}
            if {POINT, PATH} <= names:
                _pool(connection, self, table)
            elif table == "points":
                connection.execute("drop view points")
                connection.register("pooled_points", self._points())
                connection.execute("create view points as select * from pooled_points")
        return connection


def pooled(run: Run) -> Run:
    """Return a run with its points pooled over draws; a run without draws as it is."""
    sweep = run.manifest.config.get("sweep", {})
    drawn = sweep.get("draws")
    if not drawn or isinstance(run, PooledRun):
        return run
    manifest, draws = run.manifest, len(drawn["values"])
    named = (len(sweep.get("policies", {})) or 1) * (len(sweep.get("worlds", {})) or 1)
    left_out = set(drawn_columns(run))
    changed = dataclasses.replace(
        manifest,
        config={**manifest.config, "sweep": {**sweep, "draws": None}},
        points=manifest.points // draws,
        paths_per_point=manifest.paths_per_point * draws,
        axes={name: values for name, values in manifest.axes.items() if name not in left_out},
    )
    design = manifest.points // (named * draws)
    return PooledRun(run.folder, changed, run.shards, run, drawn["name"], draws, design)


def _pool(connection: duckdb.DuckDBPyConnection, run: PooledRun, table: str) -> None:
    """Put the view of a table with pooled points in place of the one by draw."""
    kind = "view" if run.files(table) else "table"
    connection.execute(f"alter {kind} {table} rename to {table}_by_draw")
    block = run.draws * run.design
    connection.execute(
        f"create view {table} as select * replace ("
        f"(point // {block} * {run.design} + point % {run.design})::integer as point, "
        f"((point // {run.design}) % {run.draws} * {run.paths_together} + path)::integer "
        f"as path) from {table}_by_draw"
    )


def drawn_columns(run: Run) -> tuple[str, ...]:
    """Return the columns of `points` that draws alone set: the draw's number and its fields."""
    sweep = run.manifest.config.get("sweep", {})
    drawn = sweep.get("draws")
    if not drawn:
        return ()
    set_by_policies = {path for fields in sweep.get("policies", {}).values() for path in fields}
    return (DRAW, *(path for path in drawn["fields"] if path not in set_by_policies))


def _drawn_rows(run: Run, points: pa.Table) -> dict[str, list[bool]]:
    """Return, of the drawn fields that some policies set, in which rows no policy sets them."""
    sweep: Mapping[str, Any] = run.manifest.config["sweep"]
    drawn = [path for path in sweep["draws"]["fields"] if path not in drawn_columns(run)]
    policies = points["policy"].to_pylist() if drawn else []
    return {path: [path not in sweep["policies"][name] for name in policies] for path in drawn}


def _replaced(table: pa.Table, name: str, values: Any) -> pa.Table:
    """Return a table with other values in a column, which keeps its type and its meaning."""
    field = table.schema.field(name)
    if not isinstance(values, (pa.Array, pa.ChunkedArray)):
        values = pa.array(values)
    return table.set_column(table.column_names.index(name), field, values.cast(field.type))
