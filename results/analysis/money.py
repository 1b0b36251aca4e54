"""Money by source and use over the life of a path: the platform's cash, and what members share.

The cash book: what members paid in, what the platform earned and what it began with is, to the fen,
what was paid out and what is left (MODEL sections 8 and 10): on every path the sources add to the
uses. What is left is a use; a platform that ends below nought has been lent that much by its
parent, a source.

The members' book: what members paid and owe and what the platform paid for them is what was shared
among them: benefits, fee, custody, what went into reserves. Of benefits that were charged and then
not paid, as there was no money, what had been charged stayed with the platform.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from results.analysis.outcomes import asked, check_plan, check_points
from results.engine import connect
from results.run import Run
from results.standard_error import means_sql

SOURCES: Final = (
    "funding",
    "collected",
    "cross_selling",
    "interest",
    "from_reserve",
    "lent",
)
"""Where money comes from, in order; `lent`: cash below nought at the end."""

USES: Final = (
    "benefits",
    "custody",
    "to_reserve",
    "acquisition",
    "red_packets",
    "investigation",
    "operating",
    "returned_contributions",
    "cash_left",
)
"""Where it goes, in order."""

MEMBERS_SOURCES: Final = ("collected", "subsidy", "outstanding", "carried")
"""Where money for what is shared comes from, in order.

`outstanding`: billed and not collected at the end; `carried`: not billed yet, a surplus negative.
"""

MEMBERS_USES: Final = ("benefits", "kept", "fee", "custody", "to_reserve")
"""What it is for, in order.

`kept`: charged for benefits that were then not paid; `to_reserve`: less what was taken out of it.
"""

TO_CASH, FROM_CASH = "to_cash", "from_cash"
"""Of a period, the use and the source that a change of the platform's cash is."""

_FLOWS: Final = (
    "collected",
    "cross_selling",
    "benefits",
    "custody",
    "acquisition",
    "red_packets",
    "investigation",
    "operating",
)


_SCHEMA: Final = pa.schema(
    {
        "point": pa.int32(),
        "side": pa.string(),
        "name": pa.string(),
        "mean": pa.float64(),
        "standard_error": pa.float64(),
    }
)


def money(run: Run, points: Sequence[int]) -> pa.Table:
    """Return the sources and uses of money at some points, all pools together.

    Parameters
    ----------
    run : Run
        The run.
    points : sequence of int
        Points wanted.

    Returns
    -------
    pyarrow.Table
        point : int32; side : string, source or use; name : string, of `SOURCES` or `USES`; mean,
        standard_error : float64, yuan over the whole life, over the paths; rows without any money
        are left out.

    Raises
    ------
    RunError
        There is no such point, or a file is damaged.
    """
    return _means(run, cash_books(run, points), SOURCES, USES)


def members_money(run: Run, points: Sequence[int], plan: str | None = None) -> pa.Table:
    """Return what was shared among the members at some points, and who paid it.

    Parameters
    ----------
    run : Run
        The run.
    points : sequence of int
        Points wanted.
    plan : str, optional
        One plan; all together without it.

    Returns
    -------
    pyarrow.Table
        As of `money`, name of `MEMBERS_SOURCES` or `MEMBERS_USES`.

    Raises
    ------
    RunError
        There is no such point or plan, or a file is damaged.
    """
    books = members_books(run, points, plan)
    return _means(run, books, MEMBERS_SOURCES, MEMBERS_USES)


def _means(run: Run, books: pa.Table, sources: Sequence[str], uses: Sequence[str]) -> pa.Table:
    """Return the means of books over the paths of a point, those of nothing left out."""
    sides = [("source", name) for name in sources] + [("use", name) for name in uses]
    relation = "(unpivot books on columns(* exclude (point, path)) into name name value value)"
    with connect(threads=1) as connection:
        connection.register("books", books)
        connection.register("sides", _ranked(sides))
        sql = f"""
            select point, side, name, mean, standard_error
            from ({means_sql(run, relation, ("point", "name"))}) join sides using (name)
            where mean <> 0 order by point, rank
            """
        return connection.sql(sql).to_arrow_table().cast(_SCHEMA)


def _ranked(sides: Sequence[tuple[str, str]]) -> pa.Table:
    """Return the sides and names of a book's rows with their rank."""
    columns = [pa.array(column, pa.string()) for column in zip(*sides, strict=True)]
    return pa.table([*columns, pa.array(range(len(sides)))], ["side", "name", "rank"])


def cash_books(run: Run, points: Sequence[int]) -> pa.Table:
    """Return the cash book of every path of some points.

    Parameters
    ----------
    run : Run
        The run.
    points : sequence of int
        Points wanted.

    Returns
    -------
    pyarrow.Table
        point, path : int32; float64, yuan, for each of `SOURCES` and `USES`, of which the first
        add to what the second add to. By point and path.

    Raises
    ------
    RunError
        There is no such point, or a file is damaged.
    """
    check_points(run, points)
    sums = ", ".join(f"sum({name}) as {name}" for name in _FLOWS)
    sql = f"""
        with began as (
            select unnest($2::integer[]) as point, unnest($3::double[]) as funding,
                unnest($4::varchar[][]) as keepers
        ), flows as (
            select point, path, {sums}, sum(to_reserve) as reserved,
                coalesce(sum(interest) filter (list_contains(keepers, pool)), 0) as interest
            from periods join began using (point) where list_contains($1, point) group by all
        )
        select point, path, funding, flows.* exclude (point, path, reserved),
            greatest(0, -reserved) as from_reserve, greatest(0, reserved) as to_reserve,
            greatest(0, -platform_cash_end) as lent, greatest(0, platform_cash_end) as cash_left,
            returned_contributions
        from paths join flows using (point, path) join began using (point) order by point, path
        """
    funding, keepers = _platforms(run, points)
    return asked(run, sql, [list(points), list(points), funding, keepers])


def members_books(run: Run, points: Sequence[int], plan: str | None = None) -> pa.Table:
    """Return the members' book of every path of some points.

    Parameters
    ----------
    run : Run
        The run.
    points : sequence of int
        Points wanted.
    plan : str, optional
        One plan; all together without it.

    Returns
    -------
    pyarrow.Table
        point, path : int32; float64, yuan, for each of `MEMBERS_SOURCES` and `MEMBERS_USES`, of
        which the first add to what the second add to. By point and path.

    Raises
    ------
    RunError
        There is no such point or plan, or a file is damaged.
    """
    check_points(run, points)
    check_plan(run, plan)
    sums = ", ".join(f"sum({name}) as {name}" for name in (*MEMBERS_SOURCES, *MEMBERS_USES))
    sql = f"{_SHARED} select point, path, {sums} from booked group by all order by point, path"
    return asked(run, sql, [list(points), plan])


_SHARED: Final = """
    with rows as (
        select point, path, collected, subsidy, benefits, fee, to_reserve, cost, defaulted,
            custody as all_custody, lag(carried, 1, 0) over life as carried_in,
            outstanding - lag(outstanding, 1, 0) over life as outstanding,
            carried - lag(carried, 1, 0) over life as carried
        from periods
        where point in (select unnest($1::integer[])) and ($2::varchar is null or plan = $2)
        window life as (partition by point, path, plan order by period)
    ), shared as (
        -- custody is in the cost where members pay it
        select *, if(cost - benefits - defaulted - fee - carried_in > all_custody / 2,
            all_custody, 0) as custody
        from rows
    ), booked as (
        -- a fund's own default was charged to nobody, so that nobody keeps it
        select *, greatest(0, least(defaulted, collected + subsidy + outstanding + carried
            - benefits - fee - custody - to_reserve)) as kept
        from shared
    )
    """


def money_over_time(run: Run, points: Sequence[int]) -> pa.Table:
    """Return the sources and uses of the platform's cash at some points by period.

    Parameters
    ----------
    run : Run
        The run.
    points : sequence of int
        Points wanted.

    Returns
    -------
    pyarrow.Table
        point, period : int32; side : string, source or use; name : string, as of `money`, but
        `FROM_CASH` and `TO_CASH` for a change of the platform's cash; mean, standard_error :
        float64, yuan in the period, over all paths, one that has closed counting zero. In every
        period the sources add to what the uses add to; names without any money at a point are
        left out.

    Raises
    ------
    RunError
        There is no such point, or a file is damaged.
    """
    check_points(run, points)
    funding, keepers = _platforms(run, points)
    return asked(run, _over_time(run), [list(points), funding, keepers])


def _over_time(run: Run) -> str:
    """Return the SQL of `money_over_time`; its parameters are points, funding and keepers."""
    sources = [*SOURCES[:-1], FROM_CASH]
    uses = [*USES[:-1], TO_CASH]
    sums = ", ".join(f"sum({name}) as {name}" for name in _FLOWS)
    ranked = [("source", name) for name in sources] + [("use", name) for name in uses]
    names = ", ".join(name for _, name in ranked)
    filled = ", ".join(f"coalesce({name}, 0)::double as {name}" for _, name in ranked)
    sides = ", ".join(f"('{side}', '{name}', {rank})" for rank, (side, name) in enumerate(ranked))
    return f"""{_CASH_FLOWS.format(sums=sums)}, booked as (
            select grid.point, grid.path, grid.period, {filled}
            from grid left join flows using (point, path, period)
        ), entries as materialized (
            unpivot booked on {names} into name name value value
        ), used as (
            select point, name from entries group by all having sum(abs(value)) > 0
        )
        select point, period, side, name, mean, standard_error
        from ({means_sql(run, "entries", ("point", "period", "name"))})
        join used using (point, name)
        join (values {sides}) as sides (side, name, rank) using (name)
        order by point, rank, period
        """


_CASH_FLOWS: Final = """
    with began as (
        select unnest($1::integer[]) as point, unnest($2::double[]) as funding,
            unnest($3::varchar[][]) as keepers
    ), grid as (
        select point, path, unnest(range(max(periods_run) over (partition by point)))::integer
            as period
        from paths where point in (select unnest($1::integer[]))
    ), plans as (
        select point, path, period, {sums}, sum(to_reserve) as reserved,
            coalesce(sum(interest) filter (list_contains(keepers, pool)), 0) as interest
        from periods join began using (point) group by point, path, period
    ), stood as (
        select point, path, pool, period, max(platform_cash) as cash
        from periods where point in (select unnest($1::integer[])) group by all
    ), changed as (
        select point, path, period, cash - lag(cash, 1, 0) over (
            partition by point, path, pool order by period) as change
        from stood
    ), moved as (
        select point, path, period, sum(change) as change from changed group by all
    ), given as (
        select point, path, closure_period as period, sum(returned_contributions) as returned
        from pools where closure_period is not null group by all
    ), flows as (
        select plans.*, if(period = 0, funding, 0) as funding,
            greatest(0, -reserved) as from_reserve, greatest(0, reserved) as to_reserve,
            coalesce(returned, 0) as returned_contributions,
            greatest(0, -change) as from_cash, greatest(0, change) as to_cash
        from plans join moved using (point, path, period) join began using (point)
        left join given using (point, path, period)
    )"""


def _platforms(run: Run, points: Sequence[int]) -> tuple[list[float], list[list[str]]]:
    """Return what platforms began with at each point, and the pools whose platform keeps interest.

    Read from the point's own scenario: either may be swept.
    """
    from configs.scenario import pools_of
    from configs.sweep import Config, scenario_at, settings_at

    config = Config.model_validate(run.manifest.config)
    funding, keepers = [], []
    for point in points:
        # only where it matters: a scenario is built in milliseconds, and there may be 10**4 points
        fields = {path.split(".")[0] for path in settings_at(config, point)}
        own = fields & {"platform", "pools"}
        scenario = scenario_at(config, point) if own else config.scenario
        names = run.shapes.at(point).pools
        platforms = [pool.platform or scenario.platform for pool in pools_of(scenario)]
        funding.append(float(sum(platform.funding_yuan for platform in platforms)))
        keepers.append(
            [n for n, p in zip(names, platforms, strict=True) if p.interest_to == "platform"]
        )
    return funding, keepers
