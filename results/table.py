"""What happened, as a table in plain text: of one run (a row a point), and of all runs."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from configs.shapes import Shapes
from configs.visible import visible
from results.analysis.outcomes import estimates, mean_with, part_with
from results.brief import told_points
from results.pooled import PooledRun, drawn_columns, pooled
from results.run import Run, RunList
from results.shapes import length_sql
from results.standard_error import means_of_some_sql

if TYPE_CHECKING:
    import duckdb
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

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
    with run.duckdb() as connection:

        def means(expression: str) -> dict[int, _Mean]:
            """Return mean and standard error over the paths of each point."""
            relation = f"(select point, path, ({expression})::double as value from paths)"
            return {point: mean for (point,), mean in _means(connection, run, relation).items()}

        peak, end, when = means("peak_members"), means("members_end"), means("peak_period")
        # a fen is less than what rounding leaves of sums of benefits
        paid = means("100 * (unfunded_benefits < 0.01)::integer")
        closed = means("100 * (closure_cause <> 'none')::integer")
        columns = [
            _people("peak\nmembers", peak),
            _Column("at\nperiod", when, 1, 1),
            _people("members\nat end", end),
            *_share_columns(run, points, _yearly_shares(connection, run)),
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

    Most paths have nothing, so a mean over all would be close to none of them. Shown are the part
    of the paths that have any, and the mean over these.
    """
    names = {name: (part_with(name), mean_with(name)) for name in _LEFT}
    found = {
        (row["point"], row["outcome"]): _Mean(row["mean"], row["standard_error"])
        for row in estimates(run, [part for parts in names.values() for part in parts]).to_pylist()
    }
    nothing = _Mean(None, None)
    shown = [
        name
        for name, (part, _) in names.items()
        if any(found.get((point, part), nothing).value for point in points)
    ]
    if not shown:
        return
    table = _table(("point", *(heading for name in shown for heading in _LEFT[name])))
    for point in points:
        cells = []
        for part, those in (names[name] for name in shown):
            cells.append(_figure(found.get((point, part)), 0, 100))
            cells.append(_figure(found.get((point, those)), 0))
        table.add_row(str(point), *cells)
    yield table


def _plans_table(run: Run, points: Sequence[int]) -> Table:
    """Return means over paths by point and plan: largest membership, cases, share by whole year."""
    with run.duckdb() as connection:
        peak, cases = (
            _means(
                connection,
                run,
                f"(select point, path, plan, {value}::double as value from periods group by all)",
                ("point", "plan"),
            )
            for value in ("max(members)", "sum(cases)")
        )
        share = _yearly_shares(connection, run)
    years = range(min(YEARS_OF_PLANS, _years_told(share)))
    names = (f"share\nyear {year + 1}\nyuan" for year in years)
    table = _table(("point", "plan", "peak\nmembers", "cases", *names))
    for point in points:
        for plan in run.shapes.at(point).plans:
            figures = [_figure(found.get((point, plan)), 0) for found in (peak, cases)]
            figures += [_figure(share.get((point, plan, year)), 2) for year in years]
            table.add_row(str(point), plan, *figures)
    return table


def _pools_table(run: Run, points: Sequence[int]) -> Table:
    """Return means over paths by point and pool: membership, closure, what it left behind.

    What a closure leaves is the mean over the paths in which it does, beside the part of the paths.
    """
    expressions = {
        "peak_members": 0,
        "100 * (closure_cause <> 'none')::integer": 1,
        "closure_period": 1,
        "case when closure_cause <> 'none' then uncovered_members end": 0,
        "100 * (unfunded_benefits >= 0.01)::integer": 1,
        "case when unfunded_benefits >= 0.01 then unfunded_benefits end": 0,
    }
    with run.duckdb() as connection:
        found = [
            _means(
                connection,
                run,
                f"(select point, path, pool, ({expression})::double as value from pools)",
                ("point", "pool"),
            )
            for expression in expressions
        ]
    headings = (
        *("peak\nmembers", "closed\n%", "then at\nperiod", "then without\ncover"),
        *("unpaid\n%", "then\nyuan"),
    )
    table = _table(("point", "pool", *headings))
    for point in points:
        for pool in run.shapes.at(point).pools:
            columns = zip(found, expressions.values(), strict=True)
            cells = [_figure(means.get((point, pool)), decimals) for means, decimals in columns]
            table.add_row(str(point), pool, *cells)
    return table


def _means(
    connection: duckdb.DuckDBPyConnection,
    run: Run,
    relation: str,
    keys: Sequence[str] = ("point",),
) -> dict[tuple[Any, ...], _Mean]:
    """Return the means of a relation's values over the paths that have one, by the keys' values."""
    names = ", ".join(keys)
    sql = f"select {names}, mean, standard_error from ({means_of_some_sql(run, relation, keys)})"
    rows = connection.execute(sql).fetchall()
    return {tuple(key): _Mean(mean, error) for *key, mean, error in rows}


def _yearly_shares(connection: duckdb.DuckDBPyConnection, run: Run) -> dict[tuple[Any, ...], _Mean]:
    """Return the mean share of a year by point, plan and year, over paths open throughout it."""
    a_year = length_sql(run.planned_shapes, "periods_per_year", run.origin_sql)
    relation = f"""(
        select point, path, plan, year, sum(share) as value from (
            select *, {a_year} as a_year, period // {a_year} as year from periods
        ) left join (
            select point, path, pool, closure_period from pools
        ) as closures using (point, path, pool)
        where coalesce(period <= closure_period, true)
        group by point, path, plan, year, a_year having count(*) = a_year
    )"""
    return _means(connection, run, relation, ("point", "plan", "year"))


def _figure(mean: _Mean | None, decimals: int, times: float = 1.0) -> str:
    """Return a mean with its standard error below it, as it stands in a table of many columns."""
    if mean is None or mean.value is None:
        return "–"
    text = f"{mean.value * times:,.{decimals}f}"
    return text if mean.error is None else f"{text}\n±{mean.error * times:,.{decimals}f}"


def _people(heading: str, means: dict[int, _Mean]) -> _Column:
    """Return a column of people, in millions where that reads better."""
    largest = max((mean.value or 0 for mean in means.values()), default=0)
    return _Column(
        f"{heading}\nm" if largest >= 1e6 else heading, means, 1e6 if largest >= 1e6 else 1
    )


def _years_told(shares: Mapping[tuple[Any, ...], _Mean]) -> int:
    """Return how many years there are shares of, by keys that end with the year."""
    return 1 + max((key[-1] for key in shares), default=-1)


def _causes_sql() -> str:
    """Return the SQL of each point's most frequent cause of closure, the first of equals."""
    return """
        with causes as (
            select point, closure_cause as cause, count(*) as times
            from paths where closure_cause <> 'none' group by all
        )
        select point, arg_max(cause, times order by cause) from causes group by point
        """


def _share_columns(
    run: Run, points: Sequence[int], shares: Mapping[tuple[Any, ...], _Mean]
) -> list[_Column]:
    """Return a column for each whole year that main plans have shares of, `YEARS_SHOWN` at most."""
    mains = {point: run.shapes.at(point).main_plan for point in points}
    found = {key: mean for key, mean in shares.items() if mains.get(key[0]) == key[1]}
    return [
        _Column(
            f"share\nyear {year + 1}\nyuan",
            {point: mean for (point, _, of), mean in found.items() if of == year},
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
    """Return what a row of a run over draws is, and what its errors hold."""
    fields = len(drawn_columns(run.original)) - 1
    return (
        f"Each row is pooled over the {_count(run.draws, 'draw')} of {run.sample}. {_error(run)}\n"
        f"{_count(fields, 'drawn field')} left out; rows are numbered by policy, world and design."
    )


def _error(run: PooledRun) -> str:
    """Return what ± is in a run over draws, or why there is none."""
    paths = run.paths_together
    if run.draws < 2:
        return "With one draw,\nthere is no standard error of a mean over draws."
    if not run.is_common:
        return (
            "± is the standard\nerror of the mean over the draws, each with random numbers of its "
            "own."
        )
    if paths < 2:
        return (
            "All draws share one\npath of random numbers, so the standard error is not known; "
            "set sweep.paths to 2 or more."
        )
    return (
        f"± is the standard\nerror of the mean over these draws and over the "
        f"{_count(paths, 'path')} of random numbers that they share."
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
    """Return a console that writes plain text into memory, with nothing that steers a terminal."""
    from rich.console import Console

    class VisibleText(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            """Return text as it is printed, in a cell or by itself."""
            return super().render_str(visible(text), **options)

    return VisibleText(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False)


def printed_text(console: Console) -> str:
    """Return what was printed, without blanks at the ends of lines."""
    printed = console.file.getvalue() if isinstance(console.file, io.StringIO) else ""
    return "\n".join(line.rstrip() for line in printed.splitlines()).strip("\n") + "\n"
