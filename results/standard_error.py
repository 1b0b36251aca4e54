"""The mean of a value over the paths of a point, and its standard error, as SQL.

Without draws the paths are independent: the error of a mean over n of them is sd / sqrt(n), sd the
sample's (n-1).

Where draws are pooled (`results.pooled`), Y[k, p] is the value of path p at draw k. All draws count
alike, so the mean is that of the means of the draws. With `random_numbers: independent` these are
independent, and the squared error is their sample variance divided by K, the number of draws. With
common random numbers path p shares its random numbers over all draws: rows and columns of a table
of draws by paths, with random effects of both,

    Y[k, p] = mean + draw[k] + path[p] + rest[k, p],

variances d, v and r. More draws do not average the paths out. Over all K draws of the same n paths
the squared error of the mean is

    d / K + v / n + r / (K n).

The variances are estimated by moments as in Gao and Owen (2017), "Efficient moment calculations for
variance components in large unbalanced crossed random effects models", Electronic Journal of
Statistics 11, 1235-1296: the sums of squares within draws, within paths and of all values are set
to their expectations, (N - K)(v + r), (N - P)(d + r) and d (N - S/N) + v (N - T/N) + r (N - 1),
with N values of K draws and P paths, S and T the sums of squares of the numbers of values by draw
and by path. In a whole table these are the estimators of the two-way analysis of variance (Searle,
Casella and McCulloch 1992, "Variance Components", chapter 4). A negative estimate counts as 0. In a
table with gaps (failed points, `stop_when`, paths without a value) the squared error is the sum of
each variance times the squared weights that the mean gives its effects. Gaps are taken as unrelated
to the values.

The degrees of freedom are Satterthwaite's (1946): the part of the squared error that is learnt from
the draws has K - 1, the part learnt from the paths P - 1. They are not fewer than the smaller of
these.

Some means are over only those paths that have something (a loss, a closure). Such a mean is the
ratio of two means over all paths: of the amount, and of whether there is any. Its error is that of
the mean of (value - ratio) / part, which is 0 for a path that has none (Woodruff 1971, "A simple
method for approximating the variance of a complicated estimate", Journal of the American
Statistical Association 66, 411-414). Where only one path has any, that error is 0. So its square is
multiplied by m / (m - 1) * (M - 1) / M, where m of M draws have any, or m of M paths where that
gives more. For independent paths this is sd / sqrt(m) over those that have any.

There is no error for one path or one draw, nor where several draws share a single path: the effect
of what they share cannot be separated from the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from results.pooled import PooledRun
from results.run import Run

SUMS: Final = (
    *("n", "draws", "paths", "draws_squared", "paths_squared"),
    *("total", "of_draws", "of_paths", "path_weight", "cell_weight"),
)
"""What an error is made of: N, K, P, S and T; the sum of squares of all values, and that of the
means by draw and by path, each times its number of values; the squared weights of paths and of
single values in the mean."""


def means_sql(run: Run, relation: str, keys: Sequence[str] = ("point",)) -> str:
    """Return the SQL of means over paths and their standard errors.

    Parameters
    ----------
    run : Run
        The run, its draws pooled or not.
    relation : str
        SQL of a relation with the keys, `path` as the run numbers it, and `value`, a float, of
        which missing ones are left out.
    keys : sequence of str
        Columns; a mean is over the paths of one combination of them.

    Returns
    -------
    str
        SQL of a relation with the keys and mean, standard_error, freedom : double, freedom the
        degrees of freedom of the error; both are null where there is no error.
    """
    key = ", ".join(keys)
    if not isinstance(run, PooledRun):
        return (
            f"select {key}, avg(value) as mean, "
            "stddev_samp(value) / sqrt(count(value)) as standard_error, "
            f"if(count(value) > 1, count(value) - 1, null)::double as freedom "
            f"from {relation} group by {key}"
        )
    cells = f"""cells as materialized (
            select {key}, path // {run.paths_together} as draw, path % {run.paths_together} as path,
                avg(value) over (partition by {key}) as centre,
                value - centre as away
            from {relation} where value is not null
        ), by_draw as (
            select {key}, draw, any_value(centre) as centre, count(*)::double as n,
                sum(away) as sum
            from cells group by {key}, draw
        )"""
    if not run.is_common:
        return f"""
        with {cells}
        select {key}, any_value(centre) + avg(sum / n) as mean,
            stddev_samp(sum / n) / sqrt(count(*)) as standard_error,
            if(count(*) > 1, count(*) - 1, null)::double as freedom
        from by_draw group by {key}
        """
    return f"""
        with {cells}, by_path as (
            select {key}, cells.path as path, count(*)::double as n, sum(away) as sum,
                sum(1 / by_draw.n) as weight
            from cells join by_draw using ({key}, draw) group by {key}, cells.path
        ), of_draws as (
            select {key}, any_value(centre) + avg(sum / n) as mean, sum(n) as n,
                count(*)::double as draws, sum(n * n) as draws_squared,
                sum(sum * sum / n) as of_draws, sum(1 / n) / count(*) ** 2 as cell_weight
            from by_draw group by {key}
        ), of_paths as (
            select {key}, count(*)::double as paths, sum(n * n) as paths_squared,
                sum(sum * sum / n) as of_paths, sum(weight * weight) as weights
            from by_path group by {key}
        ), of_all as (
            select {key}, sum(away * away) as total from cells group by {key}
        ), sums as (
            select * exclude (weights), weights / draws ** 2 as path_weight
            from of_draws join of_paths using ({key}) join of_all using ({key})
        )
        select {key}, mean, sqrt(variance) as standard_error, freedom
        from ({crossed_sql("sums")})
        """


def means_of_some_sql(run: Run, relation: str, keys: Sequence[str] = ("point",)) -> str:
    """Return the SQL of means over the paths that have a value, and their standard errors.

    All these paths count alike, in draws that have many and in draws that have few.

    Parameters
    ----------
    run : Run
        The run, its draws pooled or not.
    relation : str
        As of `means_sql`, with a row for each path; where it has none its value is missing.
    keys : sequence of str
        As of `means_sql`.

    Returns
    -------
    str
        SQL of a relation with the keys and mean, standard_error : double; the error is null where
        there is none. Combinations of keys without a value are left out.
    """
    key = ", ".join(keys)
    if not isinstance(run, PooledRun):
        return (
            f"select {key}, mean, standard_error from ({means_sql(run, relation, keys)}) "
            "where mean is not null"
        )
    shared = ("draw", "path") if run.is_common else ("draw",)
    fewest = ", ".join(f"count(distinct {one}) filter (value is not null)" for one in shared)
    larger = ", ".join(
        f"(1 - 1 / count(distinct {one})) "
        f"/ (1 - 1 / nullif(count(distinct {one}) filter (value is not null), 1))"
        for one in shared
    )
    return f"""
        with every as materialized (
            select {key}, path as number, path // {run.paths_together} as draw,
                path % {run.paths_together} as path, value,
                avg(value) over (partition by {key}) as centre,
                1 / count(*) over (partition by {key}, draw) as weight
            from {relation}
        ), ratios as (
            select {key}, any_value(centre) + sum((value - centre) * weight)
                    / sum(weight) filter (value is not null) as mean,
                sum(weight) filter (value is not null) / sum(weight) as part,
                if(least({fewest}) > 1, greatest({larger}), null) as larger
            from every group by {key} having count(value) > 0
        ), linear as (
            select {key}, number as path, coalesce(value - mean, 0) / part as value
            from every join ratios using ({key})
        )
        select {key}, ratios.mean as mean, standard_error * sqrt(larger) as standard_error
        from ratios join ({means_sql(run, "linear", keys)}) as errors using ({key})
        """


def crossed_sql(sums: str) -> str:
    """Return the SQL of the squared error of means of tables of draws by paths.

    Parameters
    ----------
    sums : str
        SQL of a relation with the columns `SUMS`, double, and any others but variance and freedom.

    Returns
    -------
    str
        SQL of a relation with the other columns, variance and freedom : double, null where there
        is no error.
    """
    return f"""
        with within as (
            select *, greatest(0, total - of_draws) / nullif(n - draws, 0) as in_draws,
                greatest(0, total - of_paths) / nullif(n - paths, 0) as in_paths,
                n + 1 - (draws_squared + paths_squared) / n as pairs
            from {sums}
        ), rests as (
            -- greatest() passes over null, so what is not known is asked for first
            select *, if(draws > 1 and paths > 1 and n > draws and n > paths and pairs > 1e-9,
                greatest(0, (in_paths * (n - draws_squared / n)
                    + in_draws * (n - paths_squared / n) - total) / pairs), null) as rest
            from within
        ), parts as (
            select *, greatest(0, in_paths - rest) / draws as by_draws,
                greatest(0, in_draws - rest) * path_weight as by_paths,
                rest * cell_weight as by_cells
            from rests
        ), squared as (
            select *, by_draws + by_paths + by_cells as variance from parts
        )
        select * exclude ({", ".join(SUMS)}, in_draws, in_paths, pairs, rest, by_draws, by_paths,
                by_cells),
            if(variance is null, null, greatest(least(draws, paths) - 1, coalesce(variance ** 2
                / nullif((by_draws + by_cells) ** 2 / nullif(draws - 1, 0)
                    + (by_paths + by_cells) ** 2 / nullif(paths - 1, 0), 0), 0))) as freedom
        from squared
        """
