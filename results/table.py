"""What happened, as a table in plain text: of one run (a row a point), and of all runs."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from configs.shapes import Shapes
from results.analysis.outcomes import estimates, mean_with, part_with
from results.brief import told_points
from results.pooled import PooledRun, drawn_columns, pooled
from results.run import Run, RunList
from results.shapes import length_sql

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from configs.catalogue import Entry

POINTS_SHOWN: Final = 30
"""Points that the table of a run shows."""

YEARS_SHOWN: Final = 3
"""Years whose shares the table of a run shows, one column each."""

YEARS_OF_PLANS: Final = 6
"""Years whose shares the table of a run's plans shows."""

_NOTE: Final = (
    "{error}Share: what a member present "
    "throughout was billed\nin that year{plan}, over the paths whose pool was open all year."
)


_LEFT: Final = {
    "uncovered_members": ("members left\nwithout cover\n% of paths", "members\non these\npaths"),
    "unfunded_benefits": ("benefits\nunpaid\n% of paths", "yuan\non these\npaths"),
    "lost_deposits": ("deposits\nlost\n% of paths", "yuan\non these\npaths"),
}
"""Headings of what only some paths have: the part of the paths, and the mean over these."""


@dataclass(frozen=True)
class _Mean:
    """A mean over paths and its standard error; None where there is none."""

    value: float | None
    error: float | None


@dataclass(frozen=True)
class _Column:
    """One column of figures: heading lines, a mean a point, decimals if not by size."""

    heading: str
    means: Mapping[int, _Mean]
    scale: float = 1.0
    decimals: int | None = None

    def cell(self, point: int, between: str) -> str:
        """Return the figure of a point; `between` stands before its standard error."""
        mean = self.means.get(point)
        if mean is None or mean.value is None:
            return "–"
        digits = self._fitting_decimals() if self.decimals is None else self.decimals
        text = f"{mean.value / self.scale:,.{digits}f}"
        if mean.error is None:
            return text
        return f"{text}{between}{mean.error / self.scale:,.{digits}f}"

    def _fitting_decimals(self) -> int:
        """Return the decimals that show four figures of the largest mean."""
        largest = max((abs(m.value) for m in self.means.values() if m.value), default=0.0)
        return max(0, 3 - math.floor(math.log10(max(largest / self.scale, 1.0))))


def show_run(run: Run, width: int = 120) -> str:
    """Return what came out of a run, a row a point: swept values, means over paths, closures.

    Parameters
    ----------
    run : Run
        The run.
    width : int
        Characters a line may have; standard errors go to a line of their own where they must.

    Raises
    ------
    RunError
        A file of the run is damaged.
    """
    console = memory_console(width)
    console.print(_heading(run))
    run = pooled(run)
    points = run.arrow("points").to_pylist()
    columns, causes = _figures(run, [row["point"] for row in points[:POINTS_SHOWN]])
    shown = told_points(points, run.manifest.config.get("sweep", {}))[:POINTS_SHOWN]
    table = _points_table(shown, columns, causes, "±")
    if _natural_width(console, table) > width:
        table = _points_table(shown, columns, causes, "\n±")
    console.print("", table, "", sep="\n")
    for part in _parts(run, [row["point"] for row in shown]):
        console.print(part, "", sep="\n")
    for line in _closing_lines(run, len(points)):
        console.print(line)
    return printed_text(console)


def show_runs(listing: RunList, width: int = 120) -> str:
    """Return a list of runs, a row each, and what is wrong with those that do not open.

    Parameters
    ----------
    listing : RunList
        The runs (`results.run.list_runs`).
    width : int
        Characters a line may have.
    """
    console = memory_console(width)
    table = _table(("run", "status", "started", "points", "paths", "wall s", "scenario"))
    for run in listing.runs:
        manifest = run.manifest
        started = manifest.started[:16].replace("T", " ")
        wall = f"{manifest.wall_seconds:.0f}" if manifest.finished else "–"
        numbers = (str(manifest.points), str(run.rows("paths")), wall)
        cells = (run.folder.name, manifest.status, started, *numbers, manifest.scenario_title)
        table.add_row(*cells)
    console.print(table if listing.runs else "no runs yet; huzhu run CONFIG makes the first")
    for problem in listing.problems:
        console.print(problem)
    return printed_text(console)


def show_scenarios(entries: Sequence[Entry], width: int = 120) -> str:
    """Return the configurations that come with the program, a row each, scenarios first.

    Parameters
    ----------
    entries : sequence of Entry
        The configurations (`configs.catalogue.entries`).
    width : int
        Characters a line may have.
    """
    console = memory_console(width)
    for kind, heading in (("scenario", "system"), ("question", "question")):
        table = _table(("name", heading, "what it is" if kind == "scenario" else "about"))
        for entry in entries:
            if entry.kind == kind:
                size = f"{entry.points} × {entry.paths} paths"
                about = (entry.system, entry.title)
                cells = about if kind == "scenario" else (entry.title, f"{entry.system}; {size}")
                table.add_row(entry.name, *cells)
        console.print(table, "", sep="\n")
    console.print("huzhu run NAME runs one of them.")
    return printed_text(console)


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Return the shortest ending of each dotted path that tells it from the others.

    Parameters
    ----------
    paths : iterable of str
        Dotted paths, each once.
    """
    every = [path.split(".") for path in paths]
    return {".".join(path): _shortest_ending(path, every) for path in every}


def value_text(value: object) -> str:
    """Return a swept value as a person writes it: 0.08, 300,000, true."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    return "–" if value is None else str(value)


def _broken(name: str) -> str:
    """Return a long name in several lines, broken after its underscores and dots."""
    return re.sub(r"(?<=[_.])", "\n", name) if len(name) > 9 else name


def _shortest_ending(path: list[str], every: list[list[str]]) -> str:
    """Return the shortest ending of `path` that no other of `every` has."""
    for length in range(1, len(path)):
        ending = path[-length:]
        if sum(other[-length:] == ending for other in every) == 1:
            return ".".join(ending)
    return ".".join(path)


def _figures(run: Run, points: Sequence[int]) -> tuple[list[_Column], dict[int, str]]:
    """Return the columns of figures, and the main cause of closure of each point."""
    draw = _draw_sql(run)
    with run.duckdb() as connection:

        def means(expression: str) -> dict[int, _Mean]:
            """Return mean and standard error over the paths of each point."""
            sql = (
                f"select point, avg(x), stddev_samp(x) / sqrt(count(x)) from (select point, "
                f"avg(({expression})::double) as x from paths group by point, {draw}) "
                "group by point"
            )
            rows = connection.execute(sql).fetchall()
            return {point: _Mean(mean, error) for point, mean, error in rows}

        peak, end, when = means("peak_members"), means("members_end"), means("peak_period")
        # a fen is less than what rounding leaves of sums of benefits
        paid = means("100 * (unfunded_benefits < 0.01)::integer")
        closed = means("100 * (closure_cause <> 'none')::integer")
        columns = [
            _people("peak\nmembers", peak),
            _Column("at\nperiod", when, 1, 1),
            _people("members\nat end", end),
            *_share_columns(connection.execute(*_shares(run, points)).fetchall()),
            _Column("cases", means("cases")),
            _Column("all cases\npaid %", paid, 1, 0),
            _Column("closed\n%", closed, 1, 0),
        ]
        return columns, dict(connection.execute(_causes_sql()).fetchall())


def _parts(run: Run, points: Sequence[int]) -> list[Table]:
    """Return what closures leave behind; tables by plan and by pool where a run has several."""
    tables = [*_left_table(run, points)]
    shapes = [run.shapes.at(point) for point in points]
    if any(len(shape.plans) > 1 for shape in shapes) or not run.shapes.have_same_plans:
        tables.append(_plans_table(run, points))
    if any(len(shape.pools) > 1 for shape in shapes):
        tables.append(_pools_table(run, points))
    return tables


def _left_table(run: Run, points: Sequence[int]) -> Iterator[Table]:
    """Yield what closures leave behind by point, unless they leave nothing.

    A mean over all paths would be near no path, as most have nothing: it is the part of the paths
    with any, and the mean over these.
    """
    names = {name: (part_with(name), mean_with(name)) for name in _LEFT}
    found = {
        (row["point"], row["outcome"]): {"mean": row["mean"], "error": row["standard_error"]}
        for row in estimates(run, [part for parts in names.values() for part in parts]).to_pylist()
    }
    nothing: dict[str, float | None] = {"mean": None, "error": None}
    shown = [
        name
        for name, (part, _) in names.items()
        if any(found.get((point, part), nothing)["mean"] for point in points)
    ]
    if not shown:
        return
    table = _table(("point", *(heading for name in shown for heading in _LEFT[name])))
    for point in points:
        cells = []
        for part, those in (names[name] for name in shown):
            share = found.get((point, part), nothing)
            percent = {key: None if v is None else 100 * v for key, v in share.items()}
            cells += [_figure(percent, 0), _figure(found.get((point, those)), 0)]
        table.add_row(str(point), *cells)
    yield table


def _plans_table(run: Run, points: Sequence[int]) -> Table:
    """Return means over paths by point and plan: largest membership, cases, share by whole year."""
    draw = _draw_sql(run)
    with run.duckdb() as connection:
        rows = connection.execute(
            f"""
            with ends as (
                select point, path, plan, max(members) as peak, sum(cases) as cases
                from periods group by all
            ), draws as (
                select point, plan, avg(peak) as peak, avg(cases) as cases
                from ends group by point, plan, {draw}
            )
            select point, plan, {_mean_sql("peak")}, {_mean_sql("cases")} from draws group by all
            """
        ).fetchall()
        shares = connection.execute(
            f"""
            with years as ({_years_sql(run)}), draws as (
                select point, plan, year, avg(share) as share
                from years group by point, plan, year, {draw}
            )
            select point, plan, year, {_mean_sql("share")} from draws group by all
            """
        ).fetchall()
    found = {(point, plan): figures for point, plan, *figures in rows}
    share = {(point, plan, year): mean for point, plan, year, mean in shares}
    years = range(min(YEARS_OF_PLANS, _years_told(share)))
    names = (f"share\nyear {year + 1}\nyuan" for year in years)
    table = _table(("point", "plan", "peak\nmembers", "cases", *names))
    for point in points:
        for plan in run.shapes.at(point).plans:
            peak, cases = found.get((point, plan), (None, None))
            means = [share.get((point, plan, year)) for year in years]
            figures = [_figure(peak, 0), _figure(cases, 0), *(_figure(mean, 2) for mean in means)]
            table.add_row(str(point), plan, *figures)
    return table


def _pools_table(run: Run, points: Sequence[int]) -> Table:
    """Return means over paths by point and pool: membership, closure, what it left behind.

    What a closure leaves is the mean over the paths in which it does, beside the part of the paths.
    """
    expressions = (
        "peak_members",
        "100 * (closure_cause <> 'none')::integer",
        "closure_period",
        "case when closure_cause <> 'none' then uncovered_members end",
        "100 * (unfunded_benefits >= 0.01)::integer",
        "case when unfunded_benefits >= 0.01 then unfunded_benefits end",
    )
    means = ", ".join(_mean_sql(f"x{i}") for i in range(len(expressions)))
    of_draw = ", ".join(f"avg(({text})::double) as x{i}" for i, text in enumerate(expressions))
    with run.duckdb() as connection:
        rows = connection.execute(
            f"select point, pool, {means} from (select point, pool, {of_draw} from pools "
            f"group by point, pool, {_draw_sql(run)}) group by all"
        ).fetchall()
    found = {(point, pool): figures for point, pool, *figures in rows}
    headings = (
        *("peak\nmembers", "closed\n%", "then at\nperiod", "then without\ncover"),
        *("unpaid\n%", "then\nyuan"),
    )
    table = _table(("point", "pool", *headings))
    for point in points:
        for pool in run.shapes.at(point).pools:
            figures = found.get((point, pool), [None] * len(expressions))
            decimals = (0, 1, 1, 0, 1, 0)
            cells = [_figure(mean, digits) for mean, digits in zip(figures, decimals, strict=True)]
            table.add_row(str(point), pool, *cells)
    return table


def _draw_sql(run: Run) -> str:
    """Return the SQL of what is independent: a path, or its draw where draws are pooled."""
    return f"path // {run.paths_together}"


def _mean_sql(expression: str) -> str:
    """Return the SQL of a mean over draws or paths and its standard error, as a struct."""
    value = f"({expression})::double"
    error = f"stddev_samp({value}) / sqrt(count({value}))"
    return f"{{'mean': avg({value}), 'error': {error}}}"


def _figure(found: Mapping[str, float | None] | None, decimals: int) -> str:
    """Return a mean with its standard error below it, as it stands in a table of many columns."""
    if found is None or found["mean"] is None:
        return "–"
    mean = f"{found['mean']:,.{decimals}f}"
    return mean if found["error"] is None else f"{mean}\n±{found['error']:,.{decimals}f}"


def _people(heading: str, means: dict[int, _Mean]) -> _Column:
    """Return a column of people, in millions where that reads better."""
    largest = max((mean.value or 0 for mean in means.values()), default=0)
    return _Column(
        f"{heading}\nm" if largest >= 1e6 else heading, means, 1e6 if largest >= 1e6 else 1
    )


def _years_sql(run: Run) -> str:
    """Return the SQL of the share by point, path, plan and whole year that the pool was open."""
    a_year = length_sql(run.planned_shapes, "periods_per_year", run.origin_sql)
    return f"""
        select point, path, plan, year, sum(share) as share from (
            select *, {a_year} as a_year, period // {a_year} as year from periods
        ) left join (
            select point, path, pool, closure_period from pools
        ) as closures using (point, path, pool)
        where coalesce(period <= closure_period, true)
        group by point, path, plan, year, a_year having count(*) = a_year
        """


def _shares(run: Run, points: Sequence[int]) -> tuple[str, list[Any]]:
    """Return SQL and its parameters: point, year, mean and error of the main plan's share."""
    sql = f"""
        with mains as (
            select unnest($1::integer[]) as point, unnest($2::varchar[]) as plan
        ), draws as (
            select point, year, avg(share) as share from ({_years_sql(run)})
            join mains using (point, plan) group by point, year, {_draw_sql(run)}
        )
        select point, year, avg(share), stddev_samp(share) / sqrt(count(*))
        from draws group by all
        """
    return sql, [list(points), [run.shapes.at(point).main_plan for point in points]]


def _years_told(found: Mapping[tuple[Any, ...], object]) -> int:
    """Return how many years there are shares of, by keys that end with the year."""
    return 1 + max((key[-1] for key in found), default=-1)


def _causes_sql() -> str:
    """Return the SQL of each point's most frequent cause of closure, the first of equals."""
    return """
        with causes as (
            select point, closure_cause as cause, count(*) as times
            from paths where closure_cause <> 'none' group by all
        )
        select point, arg_max(cause, times order by cause) from causes group by point
        """


def _share_columns(rows: Sequence[tuple[Any, ...]]) -> list[_Column]:
    """Return one column for each whole year that there are shares of, `YEARS_SHOWN` at most."""
    found = {(point, year): _Mean(mean, error) for point, year, mean, error in rows}
    return [
        _Column(
            f"share\nyear {year + 1}\nyuan",
            {point: mean for (point, of), mean in found.items() if of == year},
        )
        for year in range(min(YEARS_SHOWN, _years_told(found)))
    ]


def _points_table(
    points: Sequence[Mapping[str, Any]],
    columns: Sequence[_Column],
    causes: Mapping[int, str],
    between: str,
) -> Table:
    """Return the table of a run; `between` stands between a mean and its standard error."""
    swept = [name for name in (points[0] if points else {}) if name != "point"]
    names = short_names(swept)
    headings = [_broken(names[path]) for path in swept] + [column.heading for column in columns]
    table = _table(("point", *headings, *(["main cause"] if causes else [])))
    for row in points:
        point = row["point"]
        values = [value_text(row[path]) for path in swept]
        figures = [column.cell(point, between) for column in columns]
        cause = [causes.get(point, "–")] if causes else []
        table.add_row(str(point), *values, *figures, *cause)
    return table


def _heading(run: Run) -> str:
    """Return two lines: what the run is, and how far and how long it ran."""
    manifest = run.manifest
    lengths = " or ".join(_lengths(run.shapes))
    size = (
        f"{_count(manifest.points, 'point')} × {_count(manifest.paths_per_point, 'path')} × "
        f"{lengths}"
    )
    seconds = (
        f"wall {manifest.wall_seconds:.1f} s, kernels {manifest.kernel_seconds:.1f} s, "
        f"overhead {manifest.overhead_seconds:.1f} s"
    )
    progress = f"{len(run.shards)} of {manifest.shards or '?'} shards finished"
    state = seconds if manifest.finished else progress
    return f"{manifest.scenario_title} [{run.folder.name}]\n{manifest.status}: {size}; {state}"


def _lengths(shapes: Shapes) -> list[str]:
    """Return the lengths that points have, for each number of periods that makes a year."""
    found: dict[int, list[int]] = {}
    for shape in shapes.distinct:
        found.setdefault(shape.periods_per_year, []).append(shape.periods)
    return [f"{_range(periods)} ({a_year} a year)" for a_year, periods in sorted(found.items())]


def _range(periods: Sequence[int]) -> str:
    """Return a number of periods, or the least and the greatest of several."""
    least, most = min(periods), max(periods)
    return _count(most, "period") if least == most else f"{least} to {most} periods"


def _count(number: int, word: str) -> str:
    """Return a number and its word, in the plural where it needs it."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _closing_lines(run: Run, points: int) -> list[str]:
    """Return what stands under the table of a run."""
    is_pooled = isinstance(run, PooledRun)
    error = "" if is_pooled else "± is the Monte-Carlo standard error of a mean over paths. "
    lines = [_NOTE.format(error=error, plan=_main_plan(run.shapes))]
    if isinstance(run, PooledRun):
        lines.append(_pooling(run))
    if points > POINTS_SHOWN:
        rows = "rows" if is_pooled else "points"
        lines.insert(
            0, f"The first {POINTS_SHOWN} of {points} {rows}; query the run for the others."
        )
    if run.manifest.failures:
        failed = _count(len({failure.point for failure in run.manifest.failures}), "point")
        lines.append(f"{failed} failed; manifest.json says which and why.")
    return lines


def _main_plan(shapes: Shapes) -> str:
    """Return whose share is shown, in brackets; nothing where no point has several plans."""
    if all(len(shape.plans) == 1 for shape in shapes.distinct):
        return ""
    mains = {shape.main_plan for shape in shapes.distinct}
    return f" (plan {mains.pop()})" if len(mains) == 1 else " (each point's first plan)"


def _pooling(run: PooledRun) -> str:
    """Return what a row of a run over draws is."""
    fields = len(drawn_columns(run.original)) - 1
    return (
        f"Each row is pooled over the {_count(run.draws, 'draw')} of {run.sample}; ± is the "
        f"standard deviation of the draws' means / √{run.draws}.\n"
        f"{_count(fields, 'drawn field')} left out; rows are numbered by policy, world and design."
    )


def _table(headings: Iterable[str]) -> Table:
    """Return an empty table with headings; figures are aligned right, words left."""
    from rich import box
    from rich.table import Table

    about_runs = ("run", "status", "started", "scenario", "main cause")
    words = (*about_runs, "name", "system", "question", "what it is", "about", "plan", "pool")
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(
            heading,
            justify="left" if heading in words else "right",
            overflow="fold",
            no_wrap=heading in ("run", "status", "started", "name"),
        )
    return table


def _natural_width(console: Console, table: Table) -> int:
    """Return the width of a table that nothing confines."""
    from rich.measure import Measurement

    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def memory_console(width: int) -> Console:
    """Return a console that writes plain text into memory."""
    from rich.console import Console

    return Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False)


def printed_text(console: Console) -> str:
    """Return what was printed, without blanks at the ends of lines."""
    printed = console.file.getvalue() if isinstance(console.file, io.StringIO) else ""
    return "\n".join(line.rstrip() for line in printed.splitlines()).strip("\n") + "\n"
