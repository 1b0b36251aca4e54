"""The course of one point: what its paths did, period by period, and what they came to.

A course is a point's rows of `paths`, `periods` and `cells`, whether they were read from a run or
have just been simulated. Two courses of the same seed saw the same draws on the same path, so they
are compared path by path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from results.analysis.outcomes import OUTCOMES, RARE, mean_with, outcome_of
from results.engine import connect
from results.run import Run, RunError
from results.schema import LAPSE_CAUSES, QUANTITIES

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

LEVELS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The quantiles of a fan, as in `summary`."""

LAPSES: Final = {cause: f"lapses_{cause}" for cause in LAPSE_CAUSES}
"""Column of `periods` by the cause of a lapse."""

_COLUMNS: Final = {
    "paths": ("*",),
    "pools": ("path", "pool", "closure_period"),
    "periods": (
        *("path", "period", "plan", "pool"),
        *(quantity.name for quantity in QUANTITIES),
        *LAPSES.values(),
    ),
    "cells": ("*",),
}
"""Columns that are read of a point."""


@dataclass(frozen=True)
class Course:
    """What the paths of one point did.

    Attributes
    ----------
    paths, pools, periods, cells : pyarrow.Table
        The point's rows of these tables.
    plans : tuple of str
        Plans of the point, the main plan first.
    horizon : int
        Periods that a path can have.
    periods_per_year : int
        Periods of a year.
    """

    paths: pa.Table
    pools: pa.Table
    periods: pa.Table
    cells: pa.Table
    plans: tuple[str, ...]
    horizon: int
    periods_per_year: int


@dataclass(frozen=True)
class Values:
    """An outcome of the paths of a point.

    Attributes
    ----------
    path : int64[values]
        Numbers of the paths that have the outcome, in order.
    value : float64[values]
        In the outcome's unit.
    """

    path: Int64
    value: Float64


@dataclass(frozen=True)
class Estimate:
    """A mean over paths.

    Attributes
    ----------
    mean, standard_error : float
        In the outcome's unit; the error is sd / sqrt(paths), NaN for one path.
    low, high : float
        Interval of 95 %, by Student's t with paths - 1 degrees of freedom; NaN for one path.
    paths : int
        Paths that it is taken over.
    """

    mean: float
    standard_error: float
    low: float
    high: float
    paths: int


def finished_paths(run: Run) -> dict[int, int]:
    """Return how many paths are finished of each point that has any, by point.

    Raises
    ------
    RunError
        A file is damaged.
    """
    found = _asked(run, "select point, count(*) from paths group by point order by point")
    points, counts = (column.to_pylist() for column in found.columns)
    return dict(zip(points, counts, strict=True))


def course(run: Run, point: int) -> Course:
    """Return what the paths of a point did; of a run that goes on, its finished paths.

    Raises
    ------
    RunError
        No path of the point is finished, or a file is damaged.
    """
    tables = {
        table: _asked(run, f"select {', '.join(columns)} from {table} where point = $1", point)
        for table, columns in _COLUMNS.items()
    }
    if not tables["paths"].num_rows:
        raise RunError(f"{run.folder}: no path of point {point} is finished")
    shape = run.shapes.at(point)
    return Course(
        **tables,
        plans=shape.plans,
        horizon=shape.periods,
        periods_per_year=shape.periods_per_year,
    )


def fan(course: Course, quantity: str, plan: str) -> Float64:
    """Return quantiles of a quantity over the paths, period by period.

    As in `summary`: paths whose pool has ended count zero or are left out, and prices are taken
    over the paths whose pool is open (`results.schema.Quantity`). Linear between order statistics.

    Parameters
    ----------
    course : Course
        What the paths did.
    quantity : str
        One of `results.schema.QUANTITIES`.
    plan : str
        Name of the plan.

    Returns
    -------
    float64[levels, periods]
        In the quantity's unit; NaN in periods that no path has a value of.

    Raises
    ------
    RunError
        There is no such quantity or plan.
    """
    known = {one.name: one.over for one in QUANTITIES}
    if quantity not in known:
        raise RunError(f"no quantity {quantity!r}; there are {', '.join(known)}")
    if plan not in course.plans:
        raise RunError(f"no plan {plan!r}; the point has {', '.join(course.plans)}")
    rows = _of_plan(course, plan)
    if known[quantity] == "open":
        rows = _while_open(course, rows)
    missing = 0.0 if known[quantity] == "all" else np.nan
    grid = np.full((course.horizon, course.paths.num_rows), missing)
    numbers = np.sort(_whole(course.paths, "path"))
    places = np.searchsorted(numbers, _whole(rows, "path"))
    grid[_whole(rows, "period"), places] = rows[quantity].to_numpy()
    return np.array([_quantiles(values) for values in grid]).T


def lapses(course: Course, plan: str) -> dict[str, Float64]:
    """Return members who leave a plan in each period, by cause, on the mean over all paths.

    Returns
    -------
    dict of str to float64[periods]
        Members; causes that nobody left for are left out, closed paths count zero.
    """
    rows = _of_plan(course, plan)
    periods = _whole(rows, "period")
    means = {
        cause: np.bincount(periods, rows[column].to_numpy(), course.horizon) / course.paths.num_rows
        for cause, column in LAPSES.items()
    }
    return {cause: mean for cause, mean in means.items() if mean.any()}


def survival(course: Course, plan: str) -> Float64:
    """Return the part of the paths on which the pool of a plan is open after each period.

    Returns
    -------
    float64[periods]
        0 to 1, never rising.
    """
    endings = _endings(course, plan)
    closed = endings["closure_period"].drop_null().to_numpy().astype(np.int64)
    closures = np.bincount(closed, minlength=course.horizon)[: course.horizon]
    return np.asarray(1.0 - np.cumsum(closures) / course.paths.num_rows, np.float64)


def _while_open(course: Course, rows: pa.Table) -> pa.Table:
    """Return the rows of `periods` in which the pool has not closed in an earlier period."""
    closures = course.pools.select(["path", "pool", "closure_period"])
    with connect() as connection:
        connection.register("found", _plain(rows))
        connection.register("closures", _plain(closures))
        return connection.sql(
            "select found.* from found left join closures using (path, pool) "
            "where coalesce(period <= closure_period, true) order by period, path"
        ).to_arrow_table()


def _endings(course: Course, plan: str) -> pa.Table:
    """Return how the pool of a plan ended on each path."""
    home = _of_plan(course, plan)["pool"].slice(0, 1).cast(pa.string()).to_pylist()
    pools = course.pools["pool"].cast(pa.string())
    of_home = course.pools.filter(pc.is_in(pools, value_set=pa.array(home, pa.string())))
    return of_home if of_home.num_rows else course.paths


def outcomes(course: Course, names: Sequence[str] = tuple(OUTCOMES)) -> dict[str, Values]:
    """Return outcomes of the paths of a course, by name.

    Raises
    ------
    RunError
        There is no such outcome.
    """
    found = {}
    with connect() as connection:
        connection.register("paths", _plain(course.paths))
        connection.register("cells", _plain(course.cells))
        for name in names:
            relation = outcome_of(name).relation(course.periods_per_year)
            rows = connection.sql(f"select path, value from {relation} order by path").fetchnumpy()
            found[name] = Values(
                np.asarray(rows["path"], np.int64), np.asarray(rows["value"], np.float64)
            )
    return found


def estimates(found: Mapping[str, Values]) -> dict[str, Estimate]:
    """Return the means of outcomes over the paths, by name."""
    return {name: _estimate(values.value) for name, values in found.items()}


def differences(changed: Mapping[str, Values], base: Mapping[str, Values]) -> dict[str, Estimate]:
    """Return the mean differences of outcomes, changed less base, on the paths that both have.

    Path by path, so that what a path's weather does to both falls out where they share a seed. An
    outcome that only some paths have is left out: on each side different paths have it.
    """
    found = {}
    only_some = {mean_with(name) for name in RARE}
    for name in (name for name in changed if name in base and name not in only_some):
        first, second = changed[name], base[name]
        _, here, there = np.intersect1d(
            first.path, second.path, assume_unique=True, return_indices=True
        )
        found[name] = _estimate(first.value[here] - second.value[there])
    return found


def _estimate(values: Float64) -> Estimate:
    """Return the mean of a sample and its interval of 95 %."""
    paths = values.size
    mean = float(values.mean()) if paths else np.nan
    if paths < 2:
        return Estimate(mean, np.nan, np.nan, np.nan, paths)
    from scipy.special import stdtrit

    error = float(values.std(ddof=1)) / paths**0.5
    away = float(stdtrit(paths - 1, 0.975)) * error
    return Estimate(mean, error, mean - away, mean + away, paths)


def _quantiles(values: Float64) -> Float64:
    """Return the quantiles of one period's values, NaN left out."""
    given = values[~np.isnan(values)]
    return np.quantile(given, LEVELS) if given.size else np.full(len(LEVELS), np.nan)


def _of_plan(course: Course, plan: str) -> pa.Table:
    """Return the rows of `periods` of one plan."""
    names = course.periods["plan"].cast(pa.string())
    return course.periods.filter(pc.equal(names, plan))


def _plain(table: pa.Table) -> pa.Table:
    """Return a table with names as strings: to SQL a dictionary holds only its own names."""
    schema = pa.schema(
        pa.field(one.name, pa.string() if pa.types.is_dictionary(one.type) else one.type)
        for one in table.schema
    )
    return table.cast(schema)


def _whole(table: pa.Table, column: str) -> Int64:
    """Return a column of whole numbers."""
    return np.asarray(table[column].to_numpy(), np.int64)


def _asked(run: Run, sql: str, *parameters: Any) -> pa.Table:
    """Return an answer of a run's tables; RunError where a file does not read."""
    import duckdb

    try:
        with run.duckdb() as connection:
            return connection.sql(sql, params=list(parameters)).to_arrow_table()
    except duckdb.Error as error:
        raise RunError(f"{run.folder}: {error}") from error
