"""What the paths of a run came to: outcomes, and their means by point with Monte-Carlo errors.

An outcome is one number a path: a column of `paths`, or what is made of `paths` or `cells`. Means
are over the paths of a point; the standard error is sd / sqrt(paths), sd the sample's (n-1), and is
missing for one path. Where draws are pooled (`results.pooled`), each draw counts alike, and the
error is that of `results.standard_error`. A path whose outcome is missing (nothing was paid, so
nothing was moved) is left out, and `paths` says how many remain.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa
import pyarrow.types as kinds

from results.pooled import PooledRun
from results.run import Run, RunError
from results.schema import TABLES
from results.shapes import length_sql
from results.standard_error import means_of_some_sql

Better = Literal["less", "more", "neither"]
"""Which way an outcome improves for the members."""

CENT: Final = 0.01
"""Yuan; less than a fen is what rounding leaves of sums of benefits."""


@dataclass(frozen=True)
class Outcome:
    """One number of every path.

    Attributes
    ----------
    name : str
        Its name.
    unit : str
        Unit of its values, in words ("yuan", "members", "1" for a pure number).
    meaning : str
        What it says, in plain words.
    better : {"less", "more", "neither"}
        Which way it improves for the members.
    value : str
        SQL of its value on a row of `source`.
    source : str
        SQL of a relation with the columns point and path and a row for each path.
    """

    name: str
    unit: str
    meaning: str
    better: Better
    value: str
    source: str = "paths"

    def relation(self, periods_per_year: int | str, are_all: bool = False) -> str:
        """Return the SQL of a relation point, path, value.

        Parameters
        ----------
        periods_per_year : int or str
            Periods of a year, or their SQL on a row of `paths`.
        are_all : bool
            Whether rows whose value is missing are in it; they are left out otherwise.
        """
        value = self.value.format(periods_per_year=periods_per_year)
        known = "" if are_all else f" where ({value}) is not null"
        return f"(select point, path, ({value})::double as value from {self.source}{known})"


_MOVED: Final = """(
    with found as (
        select point, path, plan, from_age, sex, sum(paid) as paid, sum(expected) as expected
        from cells where health <> 'padding' group by all
    ), scaled as (
        select *, sum(paid) over whole as all_paid, sum(expected) over whole as all_expected
        from found window whole as (partition by point, path)
    )
    select point, path,
        sum(abs(paid - expected * all_paid / all_expected)) / 2 / any_value(all_paid) as moved
    from scaled where all_paid > 0 and all_expected > 0 group by point, path
)"""

OUTCOMES: Final = {
    outcome.name: outcome
    for outcome in (
        Outcome(
            "share_a_year",
            "yuan a year",
            "billed to a member present throughout, by year until the pool closes",
            "less",
            "share_total * {periods_per_year} "
            "/ nullif(coalesce(closure_period + 1, periods_run), 0)",
        ),
        Outcome("share_max", "yuan", "largest share of one period", "less", "share_max"),
        Outcome("peak_members", "members", "largest membership", "more", "peak_members"),
        Outcome("members_end", "members", "members at the end", "more", "members_end"),
        Outcome(
            "survived",
            "part of the paths",
            "the pool is open at the horizon",
            "more",
            "(closure_cause = 'none')::int",
        ),
        Outcome("periods_run", "periods", "periods that the pool lived", "more", "periods_run"),
        Outcome("cases", "cases", "claims accepted by assessment", "neither", "cases"),
        Outcome("benefits", "yuan", "paid on accepted claims", "more", "benefits"),
        Outcome(
            "all_paid",
            "part of the paths",
            "every benefit due was paid",
            "more",
            f"(unfunded_benefits < {CENT})::int",
        ),
        Outcome(
            "unfunded_benefits",
            "yuan",
            "benefits due that stayed unpaid",
            "less",
            "unfunded_benefits",
        ),
        Outcome(
            "uncovered_members",
            "members",
            "members left without cover by closure",
            "less",
            "uncovered_members",
        ),
        Outcome("lost_deposits", "yuan", "members' money lost", "less", "lost_deposits"),
        Outcome(
            "cross_subsidy",
            "part of all paid",
            "moved between plans, ages and sexes beyond what each would have cost on average",
            "less",
            "moved",
            _MOVED,
        ),
        Outcome(
            "price_slope_max",
            "yuan per yuan",
            "largest price slope of any period, signed",
            "neither",
            "price_slope_max",
        ),
        Outcome(
            "platform_cash_end",
            "yuan",
            "platform's cash at the end",
            "neither",
            "platform_cash_end",
        ),
    )
}
"""The outcomes of a path, by name and in their order."""

RARE: Final = ("uncovered_members", "unfunded_benefits", "lost_deposits")
"""Outcomes that are 0 on most paths (those whose pool stays open, mainly), large on the others.

Their mean over all paths is close to no path. They are shown as two figures: the part of the paths
with any, and the mean over these.
"""


def part_with(name: str) -> str:
    """Return the name of the outcome "whether there is any" of one of `RARE`."""
    return f"{name}_any"


def mean_with(name: str) -> str:
    """Return the name of the outcome that one of `RARE` is on the paths where there is any."""
    return f"{name}_if_any"


def _split(outcome: Outcome) -> tuple[Outcome, Outcome]:
    """Return a rare outcome as whether there is any, and how much where there is any."""
    there = f"{outcome.value} >= {CENT}"
    return (
        dataclasses.replace(
            outcome,
            name=part_with(outcome.name),
            unit="part of the paths",
            meaning=f"there are {outcome.meaning}",
            value=f"({there})::int",
        ),
        dataclasses.replace(
            outcome,
            name=mean_with(outcome.name),
            meaning=f"{outcome.meaning}, on the paths where there are any",
            value=f"case when {there} then {outcome.value} end",
        ),
    )


SPLIT: Final = {part.name: part for name in RARE for part in _split(OUTCOMES[name])}
"""The two figures of each of `RARE`, by name."""

SHOWN: Final = tuple(
    shown
    for name in OUTCOMES
    for shown in ((part_with(name), mean_with(name)) if name in RARE else (name,))
)
"""The outcomes that are shown as means with errors, in order: `OUTCOMES` with `RARE` ones split."""

_LEVELS: Final = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}


def outcome_of(name: str) -> Outcome:
    """Return an outcome by its name: one of `OUTCOMES`, or any column of numbers of `paths`.

    Raises
    ------
    RunError
        There is none of that name; the message has the nearest.
    """
    if name in OUTCOMES or name in SPLIT:
        return OUTCOMES.get(name) or SPLIT[name]
    columns = {
        column.name: column
        for column in TABLES["paths"].columns
        if column.name not in ("point", "path")
        and (kinds.is_integer(column.dtype) or kinds.is_floating(column.dtype))
    }
    if name in columns:
        column = columns[name]
        return Outcome(name, column.unit, column.meaning, "neither", name)
    known = [*OUTCOMES, *(column for column in columns if column not in OUTCOMES)]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or known
    raise RunError(f"no outcome {name!r}; did you mean {', '.join(near)}?")


def values(run: Run, name: str, points: Sequence[int] | None = None) -> pa.Table:
    """Return an outcome of every path.

    Parameters
    ----------
    run : Run
        The run.
    name : str
        Name of the outcome.
    points : sequence of int, optional
        Points wanted; all without it.

    Returns
    -------
    pyarrow.Table
        point, path : int32; value : float64, in the outcome's unit; by point and path.

    Raises
    ------
    RunError
        There is no such outcome, or a file is damaged.
    """
    relation = outcome_of(name).relation(_a_year(run))
    wanted = "" if points is None else "where point in (select unnest($1::integer[]))"
    sql = f"select point, path, value from {relation} {wanted} order by point, path"
    return asked(run, sql, [] if points is None else [list(points)])


def estimates(run: Run, names: Sequence[str] = tuple(OUTCOMES)) -> pa.Table:
    """Return the distribution of outcomes over the paths of every point.

    Parameters
    ----------
    run : Run
        The run.
    names : sequence of str
        Names of the outcomes.

    Returns
    -------
    pyarrow.Table
        point : int32; outcome : string; mean, sd, standard_error, q05, q25, q50, q75, q95 :
        float64, in the outcome's unit, quantiles interpolated linearly; paths : int64. By point,
        and within it in the order of `names`.

    Raises
    ------
    RunError
        There is no such outcome, or a file is damaged.
    """
    quantiles = ", ".join(
        f"quantile_cont(value, {level}) as {column}" for column, level in _LEVELS.items()
    )
    a_year = _a_year(run)
    parts = []
    for rank, name in enumerate(names):
        outcome = outcome_of(name)
        relation = outcome.relation(a_year)
        figures, source = "avg(value) as mean, stddev_samp(value) / sqrt(count(*))", relation
        if isinstance(run, PooledRun):
            means = means_of_some_sql(run, outcome.relation(a_year, are_all=True))
            figures = "any_value(mean) as mean, any_value(standard_error)"
            source = f"{relation} join ({means}) using (point)"
        parts.append(
            f"select point, {rank} as rank, '{name}' as outcome, {figures} as standard_error, "
            f"stddev_samp(value) as sd, {quantiles}, count(*) as paths from {source} group by point"
        )
    columns = f"point, outcome, mean, sd, standard_error, {', '.join(_LEVELS)}, paths"
    sql = f"select {columns} from ({' union all '.join(parts)}) order by point, rank"
    return asked(run, sql)


def _a_year(run: Run) -> str:
    """Return the SQL of the periods of a year on a row of `paths`."""
    return length_sql(run.planned_shapes, "periods_per_year", run.origin_sql)


def check_plan(run: Run, plan: str | None, point: int | None = None) -> None:
    """Raise RunError where a plan is named that the run, or one of its points, does not have."""
    plans = run.shapes.plans if point is None else run.shapes.at(point).plans
    if plan is not None and plan not in plans:
        of = run.folder.name if point is None else f"point {point} of {run.folder.name}"
        raise RunError(f"no plan {plan!r}; {of} has {', '.join(plans)}")


def check_points(run: Run, points: Sequence[int] | None) -> None:
    """Raise RunError for a point that is none of the run's, whether it has paths yet or not."""
    last = run.manifest.points - 1
    if unknown := [point for point in points or () if not 0 <= point <= last]:
        raise RunError(f"no point {unknown[0]}; {run.folder.name} has points 0 to {last}")


def check_confidence(confidence: float) -> None:
    """Raise RunError for a confidence that is no probability between 0 and 1."""
    if not 0 < confidence < 1:
        raise RunError(f"confidence: expected a number above 0 and below 1, got {confidence}")


def asked(run: Run, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
    """Return the answer to a question of our own to a run's tables, the same bit for bit each time.

    Parameters
    ----------
    run : Run
        The run.
    sql : str
        DuckDB SQL.
    parameters : sequence
        What stands for $1, $2, …

    Raises
    ------
    RunError
        A file is damaged.
    """
    import duckdb

    with run.duckdb(
        [table for table in run.tables if re.search(rf"\b{table}\b", sql)]
    ) as connection:
        try:
            # more threads would add up in another order each time
            connection.execute("set threads = 1")
            return connection.sql(sql, params=list(parameters)).to_arrow_table()
        except duckdb.Error as error:
            raise RunError(f"{run.folder}: {error}") from error
