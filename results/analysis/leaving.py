"""Who leaves and why, period by period; and who is left without cover when a pool closes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from results.analysis.outcomes import asked
from results.pooled import PooledRun
from results.run import Run
from results.schema import LAPSE_CAUSES
from results.standard_error import means_of_some_sql, means_sql

OTHERS: Final = "others"
"""Stands for the causes beyond the largest ones."""

CAUSES_TOLD: Final = 7
"""Causes that are told apart."""

_NOBODY: Final = pa.schema(
    {
        "point": pa.int32(),
        "period": pa.int32(),
        "cause": pa.string(),
        "rank": pa.int32(),
        "members": pa.float64(),
        "standard_error": pa.float64(),
    }
)


def lapses(run: Run, points: Sequence[int]) -> pa.Table:
    """Return how many members leave in each period by cause, all plans together.

    Parameters
    ----------
    run : Run
        The run.
    points : sequence of int
        Points wanted.

    Returns
    -------
    pyarrow.Table
        point, period : int32; cause : string, the `CAUSES_TOLD` largest by members who left for
        them over these points, and `OTHERS` together; rank : int32, 0 for the largest; members,
        standard_error : float64, mean over the point's paths, one that has closed counting zero.

    Raises
    ------
    RunError
        A file is damaged.
    """
    told, rest = _largest(run, points)
    parts = [(cause, f"lapses_{cause}") for cause in told]
    if rest:
        parts.append((OTHERS, " + ".join(f"lapses_{cause}" for cause in rest)))
    if not parts:
        return _NOBODY.empty_table()
    rows = " union all ".join(
        f"select point, path, period, '{cause}' as cause, {rank} as rank, "
        f"sum({sql})::double as went from chosen group by point, path, period"
        for rank, (cause, sql) in enumerate(parts)
    )
    sql = _over_draws(run, rows) if isinstance(run, PooledRun) else _over_paths(rows)
    return asked(run, sql, [list(points)])


_CHOSEN: Final = """
    with chosen as (select * from periods where list_contains($1, point)),
    sizes as (select point, count(*) as paths from paths group by point)
    """


def _over_paths(rows: str) -> str:
    """Return the SQL of means over independent paths; `rows` are those with members who leave."""
    return f"""{_CHOSEN}
        select point, period, cause, rank::integer as rank, sum(went) / paths as members,
            case when paths > 1 then sqrt(greatest(0, sum(went * went) / paths
                - (sum(went) / paths) ** 2) / (paths - 1)) end as standard_error
        from ({rows}) join sizes using (point)
        group by point, period, cause, rank, paths order by point, period, rank
        """


def _over_draws(run: Run, rows: str) -> str:
    """Return the SQL of means over pooled draws, whose errors need the paths that have closed."""
    return f"""{_CHOSEN}, gone as materialized ({rows}), filled as (
            select point, path, period, cause, rank, coalesce(went, 0) as value
            from paths join (select distinct point, period, cause, rank from gone) using (point)
            left join gone using (point, path, period, cause, rank)
        )
        select point, period, cause, rank::integer as rank, mean as members, standard_error
        from ({means_sql(run, "filled", ("point", "period", "cause", "rank"))})
        order by point, period, rank
        """


def _largest(run: Run, points: Sequence[int]) -> tuple[list[str], list[str]]:
    """Return the causes most left for, the largest first, and the others that anybody left for."""
    sums = ", ".join(f"sum(lapses_{cause})::double as {cause}" for cause in LAPSE_CAUSES)
    sql = f"select {sums} from periods where list_contains($1, point)"
    left = {
        cause: count
        for cause, count in asked(run, sql, [list(points)]).to_pylist()[0].items()
        if count
    }
    causes = sorted(left, key=lambda cause: -left[cause])
    # one cause beyond is told as well: it would stand alone among the others
    told = len(causes) if len(causes) <= CAUSES_TOLD + 1 else CAUSES_TOLD
    return causes[:told], causes[told:]


def uncovered(run: Run, points: Sequence[int]) -> pa.Table:
    """Return who is left without cover by closure, by age and sex, all plans together.

    Parameters
    ----------
    run : Run
        The run.
    points : sequence of int
        Points wanted.

    Returns
    -------
    pyarrow.Table
        point : int32; from_age, to_age : int32, years; sex : string; mean, standard_error, q95 :
        float64, members, over the paths of the point whose closure leaves anybody without cover;
        closed : int64, how many these are; paths : int64, paths of the point. Fictitious accounts
        are left out. Without rows where nobody is left.

    Raises
    ------
    RunError
        A file is damaged.
    """
    sql = f"""
        with found as (
            select point, path, from_age, to_age, sex, sum(uncovered)::double as members
            from cells where health <> 'padding' and list_contains($1, point) group by all
            having sum(uncovered) is not null
        ), bands as (
            select distinct point, from_age, to_age, sex from found
        ), grid as (
            select point, path, from_age, to_age, sex,
                case when uncovered_members > 0 then coalesce(members, 0) end as value
            from paths join bands using (point)
            left join found using (point, path, from_age, to_age, sex)
        ), closures as (
            select point, count(*) filter (uncovered_members > 0) as closed, count(*) as paths
            from paths group by point
        )
        select point, from_age, to_age, sex::varchar as sex, any_value(mean) as mean,
            any_value(standard_error) as standard_error,
            quantile_cont(value, 0.95) as q95, any_value(closed) as closed,
            any_value(paths) as paths
        from grid join closures using (point)
        join ({means_of_some_sql(run, "grid", ("point", "from_age", "to_age", "sex"))})
            using (point, from_age, to_age, sex)
        where closed > 0 group by all order by point, from_age, sex desc
        """
    return asked(run, sql, [list(points)])
