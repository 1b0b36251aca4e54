"""How long pools live, and what ends them: Kaplan-Meier, and incidences of competing causes.

Every path of a point runs to the same horizon, and one that is open there is censored at it; so
the part of the paths that is open is, before the horizon, the plain fraction S(t), and the
incidence of a cause (Aalen and Johansen 1978) the plain fraction closed by it: with no path
censored in between, Kaplan and Meier's product is that fraction. Intervals are Wilson's (1927),
which do not shrink to nothing where no path, or every path, has closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from results.analysis.outcomes import asked, check_confidence, check_points
from results.run import Run, RunError
from results.shapes import length_sql

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
    rows = asked(run, *_question(run, points, pool))
    counts = rows["standing"].to_numpy(), rows["paths"].to_numpy()
    figures = _wilson(*counts, confidence)
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
    return _COUNTS.format(open=OPEN, table=table, own=own, planned=planned), [wanted, pool]


_COUNTS: Final = """
    with chosen as (
        select point, closure_cause::varchar as cause, closure_period as ended, periods_run,
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
    )
    select point, period, state, paths,
        if(state = '{open}', paths - closed_so_far, closed_so_far) as standing,
        paths - max(closed_so_far - closed) filter (state = '{open}')
            over (partition by point, period) as at_risk, closed
    from counted order by point, rank, state, period
    """


def _wilson(
    counts: npt.NDArray[np.int64], paths: npt.NDArray[np.int64], confidence: float
) -> dict[str, npt.NDArray[np.float64]]:
    """Return parts and the ends of their Wilson intervals: float64[counts] each."""
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    part = counts / paths
    centre = (part + z**2 / (2 * paths)) / (1 + z**2 / paths)
    away = z * np.sqrt(part * (1 - part) / paths + z**2 / (4 * paths**2)) / (1 + z**2 / paths)
    # rounding must not put the end of an interval beyond the part that it is of
    low = np.clip(np.minimum(centre - away, part), 0, 1)
    high = np.clip(np.maximum(centre + away, part), 0, 1)
    return {"part": part, "low": low, "high": high}
