"""How long pools live, and what ends them: Kaplan-Meier, and incidences of competing causes.

Every path of a point runs to the same horizon, and one that is open there is censored at it; so
the part of the paths that is open is, before the horizon, the plain fraction S(t), and the
incidence of a cause (Aalen and Johansen 1978) the plain fraction closed by it: with no path
censored in between, Kaplan and Meier's product is that fraction. Intervals are Wilson's (1927),
which do not shrink to nothing where no path, or every path, has closed.

Where draws are pooled (`results.pooled`) the paths are not independent, and the interval is that of
fewer paths: as many independent ones as would make the part as uncertain as it is by
`results.standard_error`, p (1 - p) / error² (Korn and Graubard 1998, "Confidence intervals for
proportions with small expected number of positive counts estimated from survey data", Survey
Methodology 24, 193-201). That is no more than all paths and no fewer than the draws or, with common
random numbers, the paths of a draw if these are fewer; and that few where no path, or every path,
has closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from results.analysis.outcomes import asked, check_confidence, check_points
from results.pooled import PooledRun
from results.run import Run, RunError
from results.shapes import length_sql
from results.standard_error import crossed_sql

OPEN: Final = "open"
"""State of a path whose pool has not closed."""


def survival(
    run: Run,
    points: Sequence[int] | None = None,
    pool: str | None = None,
    confidence: float = 0.95,
) -> pa.Table:
    """Return the part of the paths that is open after each period, and closed, by cause.

    Parameters
    ----------
    run : Run
        The run.
    points : sequence of int, optional
        Points wanted; all without it. Those of which no path is finished have no rows.
    pool : str, optional
        A pool of the market; without it the market as a whole, which closes with its last pool.
    confidence : float
        Probability that an interval holds the part, 0 to 1.

    Returns
    -------
    pyarrow.Table
        point, period : int32; state : string, `OPEN` or a cause of closure; part, low, high :
        float64, 0 to 1; paths : int64; at_risk : int64, paths open before the period; closed :
        int64, those that close in it, by this cause, or `OPEN` by any. The parts of a point and
        period add to one. A closure in period p counts from p on. By point, state and period;
        causes that closed no path of these points are left out.

    Raises
    ------
    RunError
        There is no such point or pool, `confidence` is no probability, or a file is damaged.
    """
    check_points(run, points)
    check_confidence(confidence)
    _check_pool(run, pool)
    question, parameters = _question(run, points, pool)
    rows = asked(run, question, parameters)
    part = rows["standing"].to_numpy() / rows["paths"].to_numpy()
    figures = _wilson(part, rows["independent"].to_numpy(), confidence)
    columns = ["point", "period", "state", *figures, "paths", "at_risk", "closed"]
    for name, values in figures.items():
        rows = rows.append_column(name, pa.array(values, pa.float64()))
    return rows.select(columns)


def _check_pool(run: Run, pool: str | None) -> None:
    """Raise RunError where a pool is named that no row of `pools` is of."""
    if pool is None:
        return
    found = asked(run, "select distinct pool::varchar as pool from pools order by pool")
    names = found["pool"].to_pylist()
    if pool not in names:
        raise RunError(f"no pool {pool!r}; {run.folder.name} has {', '.join(names) or 'none yet'}")


def _question(run: Run, points: Sequence[int] | None, pool: str | None) -> tuple[str, list[object]]:
    """Return the SQL that counts the paths of each state by point and period, and its parameters.

    The horizon of a point is what its open paths lasted; where all have closed, its own length.
    """
    wanted = None if points is None else list(points)
    table, own = ("paths", "true") if pool is None else ("pools", "pool = $2")
    planned = length_sql(run.planned_shapes, "periods", run.origin_sql)
    counts = _COUNTS.format(open=OPEN, table=table, own=own, planned=planned)
    sql = f"{counts} select *, paths::double as independent from standing"
    if isinstance(run, PooledRun):
        sql = f"""{counts}, {_over_draws(run)}
            select standing.*, if(variance > 0, greatest(fewest, least(paths,
                    standing / paths * (1 - standing / paths) / variance)), fewest) as independent
            from standing join errors using (point, period, state)
            """
    return f"{sql} order by point, rank, state, period", [wanted, pool]


_COUNTS: Final = """
    with chosen as (
        select point, path, closure_cause::varchar as cause, closure_period as ended, periods_run,
            {planned} as planned
        from {table}
        where ($1::integer[] is null or point in (select unnest($1::integer[])))
            and ($2::varchar is null or {own})
    ), sizes as (
        select point, count(*) as paths,
            coalesce(max(periods_run) filter (ended is null),
                greatest(max(planned), max(periods_run)))
                as horizon
        from chosen group by point
    ), states as (
        select '{open}' as state, 0 as rank union all
        select distinct cause, 1 from chosen where ended is not null
    ), closures as (
        select point, ended as period, cause as state, count(*) as closed
        from chosen where ended is not null group by all
    ), every_closure as (
        from closures union all
        select point, period, '{open}', sum(closed)::bigint from closures group by all
    ), grid as (
        select point, paths, state, rank, unnest(range(horizon))::integer as period
        from sizes, states
    ), counted as (
        select point, period, state, rank, paths, coalesce(closed, 0) as closed,
            sum(coalesce(closed, 0)) over before::bigint as closed_so_far
        from grid left join every_closure using (point, period, state)
        window before as (partition by point, state order by period)
    ), standing as (
        select point, period, state, rank, paths,
            if(state = '{open}', paths - closed_so_far, closed_so_far) as standing,
            paths - max(closed_so_far - closed) filter (state = '{open}')
                over (partition by point, period) as at_risk, closed
        from counted
    )
    """


def _over_draws(run: PooledRun) -> str:
    """Return the SQL of the squared errors of the parts that have closed, where draws are pooled.

    The values of a table of draws by paths are 0 and 1, so that counts by draw, by path and
    altogether are the sums that an error is made of.
    """
    together = run.paths_together
    counted = "".join(
        f"""{word}s_closed as (
            select point, state, period, n, sum(coalesce(closed, 0)) over (
                partition by point, state, {word} order by period) as closed
            from by_{word} join grid using (point) left join (
                select point, {word}, state, ended as period, count(*) as closed
                from every_end group by all
            ) using (point, {word}, state, period)
        ), of_{word}s as (
            select point, state, period, count(*)::double as {word}s, sum(n) as n,
                sum(n * n) as {word}s_squared, sum(closed) as closed,
                sum(closed * closed / n) - sum(closed) ** 2 / sum(n) as of_{word}s,
                var_samp(closed / n) / count(*) as spread
            from {word}s_closed group by point, state, period
        ), """
        for word in ("draw", "path")
    )
    errors = "select point, state, period, spread as variance, draws as fewest from of_draws"
    if run.is_common:
        sums = """(
            select of_draws.* exclude (closed, spread), paths, paths_squared, of_paths,
                of_draws.closed * (1 - of_draws.closed / of_draws.n) as total,
                path_weight, cell_weight, least(draws, paths) as fewest
            from of_draws join of_paths using (point, state, period) join weights using (point)
            )"""
        errors = f"select * from ({crossed_sql(sums)})"
    return f"""cells as (
            select point, path // {together} as draw, path % {together} as path, cause, ended
            from chosen
        ), by_draw as (
            select point, draw, count(*)::double as n from cells group by all
        ), by_path as (
            select point, cells.path as path, count(*)::double as n, sum(1 / n) as weight
            from cells join by_draw using (point, draw) group by point, cells.path
        ), weights as (
            select point, squared / size ** 2 as path_weight, cell_weight
            from (select point, sum(1 / n) / count(*) ** 2 as cell_weight, count(*) as size
                from by_draw group by point)
            join (select point, sum(weight * weight) as squared from by_path group by point)
                using (point)
        ), every_end as (
            select point, draw, path, ended, unnest([cause, '{OPEN}']) as state
            from cells where ended is not null
        ), {counted} errors as ({errors})"""


def _wilson(
    part: npt.NDArray[np.float64], paths: npt.NDArray[np.float64], confidence: float
) -> dict[str, npt.NDArray[np.float64]]:
    """Return parts of independent paths and the ends of their Wilson intervals: float64[parts]."""
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    centre = (part + z**2 / (2 * paths)) / (1 + z**2 / paths)
    away = z * np.sqrt(part * (1 - part) / paths + z**2 / (4 * paths**2)) / (1 + z**2 / paths)
    # rounding must not put the end of an interval beyond the part that it is of
    low = np.clip(np.minimum(centre - away, part), 0, 1)
    high = np.clip(np.maximum(centre + away, part), 0, 1)
    return {"part": part, "low": low, "high": high}
