"""Who pays for whom: what each age and sex paid, beside what it would have cost on average.

Of every path, what all cells paid is shared out again in proportion to what each would have cost
on average (`cells.expected`): that is a cell's fair charge, and what it paid above it its subsidy
to the others. A path's subsidies add to nothing, each weighted with its person-years, as long as
whoever paid was at risk at some time. A figure of a path is a ratio of sums over its periods, plans
and health classes; means and standard errors (`results.standard_error`) are of these ratios over
the paths, a path in which nobody of the cell was at risk left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from results.analysis.outcomes import asked, check_plan, check_points
from results.run import Run
from results.shapes import length_sql
from results.standard_error import means_sql

_YEARLY: Final = """
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
    ), entries as materialized (
        unpivot (
            select point, path, from_age, to_age, sex, years as person_years, paid_a_year as paid,
                received_a_year as received, expected_a_year as expected, fair_a_year as fair,
                subsidy, moneys_worth from yearly
        ) on person_years, paid, received, expected, fair, subsidy, moneys_worth
        into name name value value
    ), counted as (
        select point, from_age, to_age, sex, count(*) as paths from yearly group by all
    )
    """

_KEYS: Final = ("point", "from_age", "to_age", "sex")

_FIGURES: Final = {
    **{
        name: ("mean", name)
        for name in ("person_years", "paid", "received", "expected", "fair", "subsidy")
    },
    "standard_error": ("standard_error", "subsidy"),
    "moneys_worth": ("mean", "moneys_worth"),
    "paths": ("paths", "subsidy"),
    **{
        f"{name}_error": ("standard_error", name)
        for name in ("person_years", "paid", "received", "expected", "fair", "moneys_worth")
    },
}
"""Columns of the answer: which figure it is, and of what."""


def _question(run: Run) -> str:
    """Return the SQL of `subsidy`; its parameters are points and plan."""
    keys = ", ".join(_KEYS)
    columns = ", ".join(
        f"any_value({figure}) filter (name = '{name}') as {column}"
        for column, (figure, name) in _FIGURES.items()
    )
    a_year = length_sql(run.planned_shapes, "periods_per_year", run.origin_sql)
    return f"""{_YEARLY.format(a_year=a_year)}
        select {keys}, {columns}
        from ({means_sql(run, "entries", (*_KEYS, "name"))}) join counted using ({keys})
        group by {keys} order by point, from_age, sex desc
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
    return asked(run, _question(run), [list(points), plan])
