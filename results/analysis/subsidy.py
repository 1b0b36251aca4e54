"""Who pays for whom: what each age and sex paid, beside what it would have cost on average.

Of every path, what all cells paid is shared out again in proportion to what each would have cost
on average (`cells.expected`): that is a cell's fair charge, and what it paid above it its subsidy
to the others. A path's subsidies add to nothing, each weighted with its person-years, as long as
whoever paid was at risk at some time. A figure of a path is a ratio of sums over its periods, plans
and health classes; means and standard errors, sd / sqrt(paths), are of these ratios over the paths,
a path in which nobody of the cell was at risk left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from results.analysis.outcomes import asked, check_plan, check_points
from results.run import Run
from results.shapes import length_sql

_SQL = """
    with found as (
        select point, path, from_age, to_age, sex::varchar as sex,
            sum(exposure) / any_value({a_year}) as years,
            sum(paid) as paid, sum(received) as received, sum(expected) as expected
        from cells
        where point in (select unnest($1::integer[])) and health <> 'padding'
            and ($2::varchar is null or plan = $2)
        group by all
    ), shared as (
        select *, expected * sum(paid) over whole / nullif(sum(expected) over whole, 0) as fair
        from found window whole as (partition by point, path)
    ), yearly as (
        select *, paid / years as paid_a_year, received / years as received_a_year,
            expected / years as expected_a_year, fair / years as fair_a_year,
            (paid - fair) / years as subsidy, received / nullif(paid, 0) as moneys_worth
        from shared where years > 0
    )
    select point, from_age, to_age, sex, avg(years) as person_years, avg(paid_a_year) as paid,
        avg(received_a_year) as received, avg(expected_a_year) as expected,
        avg(fair_a_year) as fair, avg(subsidy) as subsidy,
        stddev_samp(subsidy) / sqrt(count(subsidy)) as standard_error,
        avg(yearly.moneys_worth) as moneys_worth, count(*) as paths,
        stddev_samp(years) / sqrt(count(years)) as person_years_error,
        stddev_samp(paid_a_year) / sqrt(count(paid_a_year)) as paid_error,
        stddev_samp(received_a_year) / sqrt(count(received_a_year)) as received_error,
        stddev_samp(expected_a_year) / sqrt(count(expected_a_year)) as expected_error,
        stddev_samp(fair_a_year) / sqrt(count(fair_a_year)) as fair_error,
        stddev_samp(yearly.moneys_worth) / sqrt(count(yearly.moneys_worth)) as moneys_worth_error
    from yearly group by all order by point, from_age, sex desc
    """


def subsidy(run: Run, points: Sequence[int], plan: str | None = None) -> pa.Table:
    """Return who subsidises whom at some points, by age and sex.

    Parameters
    ----------
    run : Run
        The run.
    points : sequence of int
        Points wanted.
    plan : str, optional
        One plan; without it all of them together, so that plans subsidise one another as well.

    Returns
    -------
    pyarrow.Table
        point : int32; from_age, to_age : int32, years; sex : string; person_years : float64, at
        risk past the waiting period, mean of a path; paid, received, expected, fair, subsidy :
        float64, yuan per person-year; standard_error : float64, of the subsidy; moneys_worth :
        float64, yuan received for each paid, missing where nothing is paid; paths : int64, those
        with anybody at risk; person_years_error, paid_error, received_error, expected_error,
        fair_error, moneys_worth_error : float64, standard errors, missing for one path. Padding is
        nobody and left out.

    Raises
    ------
    RunError
        There is no such point or plan, or a file is damaged.
    """
    check_points(run, points)
    check_plan(run, plan)
    a_year = length_sql(run.planned_shapes, "periods_per_year", run.origin_sql)
    return asked(run, _SQL.format(a_year=a_year), [list(points), plan])
