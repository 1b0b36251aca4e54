"""How a quantity is distributed over the paths, period by period: mean, error, quantiles.

The figures are those of the table `summary`, which is read where it is written; of a run that is
not finished they are computed from its finished paths by the same SQL. Where draws are pooled, each
counts alike in the mean, and its error is that of `results.standard_error`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from results.analysis.outcomes import asked, check_plan, check_points
from results.pooled import PooledRun
from results.run import Run, RunError
from results.schema import QUANTITIES, arrow_schema
from results.standard_error import means_sql
from results.summary import described

if TYPE_CHECKING:
    import duckdb


def bands(
    run: Run,
    quantities: Sequence[str],
    points: Sequence[int],
    plan: str | None = None,
    every: int = 1,
) -> pa.Table:
    """Return the distribution of quantities over the paths of some points.

    Parameters
    ----------
    run : Run
        The run.
    quantities : sequence of str
        Of `results.schema.QUANTITIES`.
    points : sequence of int
        Points wanted; those of which no path is finished have no rows.
    plan : str, optional
        One plan; all of them without it.
    every : int
        Of every so many periods one, from period 0 on.

    Returns
    -------
    pyarrow.Table
        point, period : int32; plan, quantity : string; mean, standard_error, q05, q25, q50, q75,
        q95 : float64, in the quantity's unit, missing where no path has a value; paths : int32. By
        quantity, point, plan and period.

    Raises
    ------
    RunError
        There is no such quantity, point or plan, `every` is below 1, or a file is damaged.
    """
    import duckdb

    check_plan(run, plan)
    check_points(run, points)
    if every < 1:
        raise RunError(f"every: expected a number of periods from 1 on, got {every}")
    known = [quantity.name for quantity in QUANTITIES]
    if unknown := [name for name in quantities if name not in known]:
        raise RunError(f"no quantity {unknown[0]!r}; there are {', '.join(known)}")
    plans = list(run.shapes.plans) if plan is None else [plan]
    wanted: list[object] = [list(quantities), list(points), plans, every]
    if run.rows("summary"):
        return asked(run, _chosen("summary"), wanted)
    with run.duckdb() as connection:
        try:
            return _computed(connection, run, quantities, points, wanted)
        except duckdb.Error as error:
            raise RunError(f"{run.folder}: {error}") from error


def of_main_plans(run: Run, table: pa.Table) -> pa.Table:
    """Return the rows of a table with points and plans that are of each point's main plan."""
    mains = {point: run.shapes.at(point).main_plan for point in table["point"].unique().to_pylist()}
    keys = zip(table["point"].to_pylist(), table["plan"].to_pylist(), strict=True)
    return table.filter(pa.array([mains[point] == plan for point, plan in keys], pa.bool_()))


def _chosen(rows: str) -> str:
    """Return the SQL of the rows wanted, of a relation like `summary`."""
    return f"""
        select point, period, plan::varchar as plan, quantity::varchar as quantity, mean,
            standard_error, q05, q25, q50, q75, q95, paths
        from {rows}
        where list_contains($1, quantity) and point in (select unnest($2::integer[]))
            and list_contains($3, plan) and period % $4 = 0
        order by list_position($1, quantity), point, list_position($3, plan), period
        """


def _computed(
    connection: duckdb.DuckDBPyConnection,
    run: Run,
    quantities: Sequence[str],
    points: Sequence[int],
    wanted: list[object],
) -> pa.Table:
    """Return the same from the finished paths, on one thread as the table was written."""
    connection.execute("set threads = 1")
    parts = described(connection, run.planned_shapes, points, run.origin_sql)
    if isinstance(run, PooledRun):
        parts = (_over_draws(connection, run, part, quantities) for part in parts)
    connection.register(
        "described", pa.concat_tables([*parts] or [arrow_schema("summary").empty_table()])
    )
    return connection.sql(_chosen("described"), params=wanted).to_arrow_table()


def _over_draws(
    connection: duckdb.DuckDBPyConnection, run: Run, part: pa.Table, quantities: Sequence[str]
) -> pa.Table:
    """Return some quantities of a part of a summary with means and errors over pooled draws.

    What the part was made of is still laid out.
    """
    names = ", ".join(dict.fromkeys(quantities))
    relation = f"""(
        unpivot (select point, path, period, plan, {names} from laid_out) on {names}
        into name quantity value value
    )"""
    keys = ("point", "period", "plan", "quantity")
    connection.register("part", part)
    sql = f"""
        select point, period, plan, quantity, figures.mean as mean, sd,
            figures.standard_error as standard_error, q05, q25, q50, q75, q95, paths
        from part left join ({means_sql(run, relation, keys)}) as figures using ({", ".join(keys)})
        where list_contains($1, quantity)
        """
    found = connection.sql(sql, params=[list(quantities)]).to_arrow_table()
    connection.unregister("part")
    return found
