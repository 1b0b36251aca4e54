"""`huzhu`: arguments, messages, exit statuses, and nothing else.

Imports of weight stand inside the commands, so that `huzhu --help` answers at once and a worker,
which imports this module as the program's main one, does not pay for them.

Exit status: 0 done; 1 internal failure; 2 bad input, or a disk, cluster or server that cannot be
used; 3 done but for some points, which failed; 130 stopped by Ctrl-C; 141 the reader of the output
has gone; 143 stopped by SIGTERM.
"""

import io
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final, NoReturn

import click

from configs.visible import visible
from flows import streams
from flows.operands import Group

if TYPE_CHECKING:
    from configs.cluster import Cluster
    from configs.json_schema import Kind
    from flows.plan import Plan
    from results.places import Folder
    from results.query import Format
    from results.report.words import Language
    from results.run import Run

STARTED: Final = time.time()
RESULTS_DIR: Final = "results/runs"
CALIBRATIONS_DIR: Final = "results/calibrations"
FORMATS: Final = ("table", "csv", "json", "parquet")
CHARGE_FORMATS: Final = ("table", "csv", "json")
BAD_INPUT: Final = 2
POINTS_FAILED: Final = 3
INTERRUPTED: Final = 128 + signal.SIGINT
TERMINATED: Final = 128 + signal.SIGTERM
READER_GONE: Final = 128 + signal.SIGPIPE
FAILURES_SHOWN: Final = 5
EXAMPLE: Final = "select point, avg(members_end) as members_end from paths group by point"

results_option = click.option(
    "--results",
    "results_dir",
    metavar="DIR",
    default=RESULTS_DIR,
    show_default=True,
    help="Folder of the run folders.",
)


def _number(text: str) -> float:
    """Return the finite number of an option, written as in files: digits grouped in threes."""
    from configs.numbers import NumberError, number_remedy, read_number

    try:
        return read_number(text)
    except NumberError:
        remedy = number_remedy(text)
        raise click.BadParameter(f"expected a number, got {text!r}{remedy}") from None


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def huzhu() -> None:
    """Simulate mutual-aid pools: claims, shares, membership and closure."""


cluster_options = (
    click.option("--workers", type=click.IntRange(1), help="Processes here; one a core without."),
    click.option("--memory", metavar="SIZE", help="What each of them may use, as 4GB."),
    click.option(
        "--cluster",
        "where",
        metavar="ADDRESS|FILE",
        help="A Dask scheduler's address, or a YAML file that describes a cluster.",
    ),
)


def on_a_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where it computes."""
    for option in reversed(cluster_options):
        command = option(command)
    return command


@huzhu.command()
@click.argument("config")
@results_option
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="In place of the file's seed.")
@click.option(
    "--set",
    "overrides",
    metavar="FIELD=VALUE",
    multiple=True,
    help="In place of a value of the file, by its dotted path; may be repeated.",
)
@on_a_cluster
@click.option("--dry-run", is_flag=True, help="Only say what it would take.")
@click.option("--fresh", is_flag=True, help="Start over; what is there is moved aside.")
def run(
    config: str,
    results_dir: str,
    seed: int | None,
    overrides: tuple[str, ...],
    workers: int | None,
    memory: str | None,
    where: str | None,
    dry_run: bool,
    fresh: bool,
) -> None:
    """Run the sweep of CONFIG; the last line printed is the run's folder.

    CONFIG is a file, or the name of a configuration that comes with huzhu (`huzhu scenarios`).
    What is there already is not computed again: a run that was stopped goes on. A file that is
    missing or damaged is named and made again.
    """
    from configs.catalogue import locate
    from configs.plausibility import warnings_of
    from flows import plan, repair, screen

    config = str(locate(config))
    planned = plan.plan(config, results_dir, seed, overrides)
    screen.warn(warnings_of(planned.config))
    settings = _cluster(where, workers, memory) or planned.config.cluster
    if dry_run:
        _foretell(planned, settings)
        return
    if not fresh and repair.is_finished(planned, screen.say):
        screen.say("The run is there; nothing is left to compute.")
        _tell(planned.folder)
        return
    _carry_on(planned, (config, results_dir, seed, overrides), settings, fresh=fresh)


@huzhu.command()
@click.argument("run")
@results_option
@on_a_cluster
def retry(
    run: str, results_dir: str, workers: int | None, memory: str | None, where: str | None
) -> None:
    """Run again what failed of RUN: the shards that something failed in, and no others.

    RUN is a run folder, or the beginning of its name in the results folder.
    """
    from flows import plan, repair, screen

    folder = str(_opened(run, results_dir).folder)
    planned = plan.plan(folder)
    if repair.is_finished(planned, screen.say):
        screen.say("Nothing of it has failed.")
        _tell(planned.folder)
        return
    settings = _cluster(where, workers, memory) or planned.config.cluster
    _carry_on(planned, (folder, results_dir, None, ()), settings, again=True)


@huzhu.command()
@click.argument("config")
@click.option("--until", metavar="DATE", help="Cut-off in place of the file's; null: none.")
@click.option(
    "--results",
    "results_dir",
    metavar="DIR",
    default=CALIBRATIONS_DIR,
    show_default=True,
    help="Folder of the calibrations.",
)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="In place of the file's seed.")
@click.option(
    "--set",
    "overrides",
    metavar="FIELD=VALUE",
    multiple=True,
    help="In place of a value of the file, by its dotted path; may be repeated.",
)
@on_a_cluster
@click.option("--fresh", is_flag=True, help="Start over; what is there is moved aside.")
@click.option("--forecast", metavar="FILE", help="Write the forecast there too, as CSV.")
@click.option("--world", metavar="NAME", help="Of the forecast that is written; else the first.")
@click.option("--figures", metavar="DIR", help="Write every figure there too: SVG, PNG and CSV.")
@click.option("--language", type=click.Choice(("en", "zh")), default="en", show_default=True)
def calibrate(
    config: str,
    until: str | None,
    results_dir: str,
    seed: int | None,
    overrides: tuple[str, ...],
    workers: int | None,
    memory: str | None,
    where: str | None,
    fresh: bool,
    forecast: str | None,
    world: str | None,
    figures: str | None,
    language: "Language",
) -> None:
    """Fit the scenario of CONFIG to published figures; the last line printed is the fit's folder.

    CONFIG is a calibration's file (configs/calibrations), or the folder of one. What is there
    already is not computed again: a fit that was stopped goes on where it was.
    """
    from configs.plausibility import scenario_warnings
    from flows import calibration, repair, screen
    from results.atomic import check_output

    if forecast is not None:
        check_output(forecast, ".csv")
    _check_figures(figures)
    sets = [*overrides, *([] if seed is None else [f"sampler.seed={seed}"])]
    planned = calibration.plan(config, results_dir, sets, until)
    calibration.check_world(planned, world)
    screen.warn(scenario_warnings(planned.calibration.scenario))
    settings = _cluster(where, workers, memory)
    if not fresh and repair.is_fitted(planned, screen.say):
        screen.say("The calibration is there; nothing is left to compute.")
    else:
        from flows import launch

        launch.check(planned, settings)
        screen.say(calibration.intention(planned))
        engines = (planned.calibration.scenario.engine,)
        with screen.progress() as show:
            launch.launch_calibration(
                *(config, results_dir, until, seed, overrides, settings),
                show=show,
                started=STARTED,
                engines=engines,
                fresh=fresh,
            )
    if figures is not None:
        _draw_calibration(planned.folder, Path(figures), language)
    _tell_calibration(planned.folder, forecast, world)


def _check_figures(folder: str | None) -> None:
    """Refuse a folder for figures that cannot be written to."""
    from results.atomic import check_output_folder

    if folder is not None:
        check_output_folder(folder)


def _draw_calibration(folder: Path, figures: Path, language: "Language") -> None:
    """Write every figure of a calibration's report into a folder."""
    from flows import screen
    from flows.session import Progress
    from results.calibration.report import write_figures
    from results.calibration.tables import open_calibration

    with screen.progress() as show:
        write_figures(
            open_calibration(folder),
            figures,
            language,
            lambda done, total: show(Progress("drawing", done, total, "figures")),
        )


def _tell_calibration(folder: Path, forecast: str | None, world: str | None) -> None:
    """Print what came of a calibration, and its folder last."""
    from flows.calibration import sweep_of
    from results.calibration.forecast_file import write_forecast_file
    from results.calibration.report import REPORT_NAME
    from results.calibration.show import show
    from results.calibration.tables import open_calibration

    run = open_calibration(folder)
    _echo(show(run))
    if forecast is not None:
        write_forecast_file(run, Path(forecast), world)
        _echo(f"Forecast: {forecast}")
    _echo(f"Report: {folder / REPORT_NAME}")
    _echo(f"A sweep of the posterior: huzhu run {sweep_of(folder, run.manifest['name'])}")
    _echo(folder)


def _cluster(where: str | None, workers: int | None, memory: str | None) -> "Cluster | None":
    """Return the cluster that options describe; none where they say nothing."""
    from configs.cluster import cluster_of

    if where is not None:
        if workers is not None or memory is not None:
            raise click.UsageError("--workers and --memory are of this machine, not of --cluster")
        return cluster_of(where)
    if workers is None and memory is None:
        return None
    from configs.cluster import local_of

    return local_of(workers, memory)


def _foretell(planned: "Plan", settings: "Cluster | None") -> None:
    """Print what a run is going to take."""
    from flows import forecast, screen

    forecast.check(planned.config, settings)
    screen.say("Simulating a few paths to measure them; compiling first, if need be.")
    for name, what in forecast.told(forecast.forecast(planned, settings)):
        _echo(f"{name:9}{what}")


def _carry_on(
    planned: "Plan",
    given: tuple[str, str, int | None, Sequence[str]],
    settings: "Cluster | None",
    fresh: bool = False,
    again: bool = False,
) -> None:
    """Run what is missing, and print what came of it."""
    from configs.sweep import engines
    from flows import launch, screen
    from results.run import open_run

    launch.check(planned, settings)
    screen.say(_intention(planned))
    with screen.progress() as show:
        done = launch.launch(
            *given,
            settings,
            show=show,
            started=STARTED,
            engines=engines(planned.config),
            fresh=fresh,
            again=again,
        )
    opened = open_run(planned.folder)
    account = screen.account(time.time() - STARTED, opened.manifest.kernel_seconds, done.workers)
    _tell(planned.folder, account)
    if opened.manifest.failures:
        _tell_failures(opened)


def _tell_failures(run: "Run") -> NoReturn:
    """Say what failed, and exit with the status that says so."""
    failures = run.manifest.failures
    for failure in failures[:FAILURES_SHOWN]:
        _echo(f"failed: {failure.told()}", err=True)
    points = len({failure.point for failure in failures})
    _echo(
        f"huzhu: {points} of {run.manifest.points} points failed; {run.folder}/manifest.json has "
        f"all of it; `huzhu retry {run.folder}` runs them again",
        err=True,
    )
    raise SystemExit(POINTS_FAILED)


def _intention(planned: "Plan") -> str:
    """Return what a run is going to compute, in a line."""
    size = f"{planned.points} points, {planned.paths} paths"
    cut = planned.cut()
    if cut is None:
        return f"{planned.folder}: {size}"
    finished = planned.store.finished_shards(verify=False)
    failed = sum(bool(record.failures) for record in finished.values())
    told = f"{len(finished) - failed} of its {len(cut.shards)} shards are finished"
    return f"{planned.folder} is there ({size}); {told}" + (f", {failed} failed" if failed else "")


def _tell(folder: "Folder", *lines: str) -> None:
    """Print what came out of a run, and its folder last."""
    from results.picture import PICTURE_NAME
    from results.report.files import REPORT_NAME
    from results.run import open_run
    from results.table import show_run

    _echo(show_run(open_run(folder), _width()))
    for line in lines:
        _echo(line)
    _echo(f"Report: {folder / REPORT_NAME}")
    _echo(f"Picture: {folder / PICTURE_NAME}.png")
    _echo(f'Ask it: huzhu query {folder} "{EXAMPLE}"')
    _echo(folder)


@huzhu.command()
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
@click.argument("sql")
@click.option("--format", "form", type=click.Choice(FORMATS), help="table without --output.")
@click.option(
    "--output",
    metavar="FILE",
    help="Write all rows and columns to this file: .csv, .json, .parquet or .txt (a table).",
)
@results_option
def query(
    runs: tuple[str, ...], sql: str, form: "Format | None", output: str | None, results_dir: str
) -> None:
    """Ask one run or many in SQL.

    Tables are points, paths, pools, periods, cells, members (of the member engine), summary and
    runs; over many runs their first column is run. RUN is a run folder, or the beginning of its
    name in the results folder. SQL may begin with a comment.
    """
    from results import query as asking
    from results.atomic import check_output

    if output is not None:
        check_output(output)
        form = form or asking.format_of(output)
    form = form or "table"
    found = [_opened(run, results_dir) for run in runs]
    asked = found[0] if len(found) == 1 else found
    if output is not None:
        asking.save_query(asked, sql, output, form)
        return
    if form == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet is not text: name a file by --output, or redirect to one.")
    _print_data(asking.query(asked, sql, form, _width()), form)


@huzhu.command()
@click.argument("run")
@click.option("--against", metavar="RUN", help="Compare with this run, point by point.")
@click.option("--language", type=click.Choice(("en", "zh")), default="en", show_default=True)
@click.option("--figures", metavar="DIR", help="Write every figure there too: SVG, PNG and CSV.")
@click.option("--output", metavar="FILE", help="Write there, not into the run's folder.")
@results_option
def report(
    run: str,
    against: str | None,
    language: "Language",
    figures: str | None,
    output: str | None,
    results_dir: str,
) -> None:
    """Write the report of RUN: one HTML file that opens offline; its path is the last line.

    RUN is a run folder, or the beginning of its name in the results folder; it may still be
    running.
    """
    from flows import screen
    from flows.session import Progress
    from results.atomic import check_output
    from results.report import contents, files

    if output is not None:
        check_output(output, ".html", ".htm")
    _check_figures(figures)
    opened = _opened(run, results_dir)
    other = None if against is None else _opened(against, results_dir)
    with screen.progress() as show:
        show(Progress("reporting", 0, 1, "report"))
        made = contents.report(opened, other)
        target = files.write_report(opened, made, language, output)
        if figures is not None:
            files.write_figures(
                made,
                Path(figures),
                language,
                lambda done, total: show(Progress("drawing", done, total, "figures")),
            )
    _echo(target)


@huzhu.command()
@click.argument("run")
@results_option
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of 127.0.0.1; else any.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def explore(run: str, results_dir: str, port: int, no_browser: bool) -> None:
    """Explore RUN in the browser: sliders over its points, and a what-if that runs live."""
    from flows.explore import serve

    serve(_opened(run, results_dir).folder, port, not no_browser, _echo)


@huzhu.command()
@click.argument("file")
@click.option("--bill", "bill_yuan", type=_number, required=True, metavar="YUAN", help="Benefits.")
@click.option(
    "--rule",
    "rules",
    metavar="RULE",
    multiple=True,
    help="May be repeated; all of them without it.",
)
@click.option("--fee", "fee_rate", type=_number, default="0", metavar="RATE", help="On the bill.")
@click.option(
    "--quota", type=_number, default="0", metavar="Z", help="What pooled_bands pools, 0 to 1."
)
@click.option(
    "--format", "form", type=click.Choice(CHARGE_FORMATS), default="table", show_default=True
)
def apportion(
    file: str, bill_yuan: float, rules: tuple[str, ...], fee_rate: float, quota: float, form: str
) -> None:
    """Share a bill among the cells of members in FILE, by one or more rules.

    FILE is a CSV file with the columns cell, members, probability, benefit_yuan and, where they
    are known, weight, band, claims_yuan.
    """
    from configs.cells import read_cells
    from configs.plausibility import cell_warnings
    from flows import apportionment, screen
    from results import charges

    cells = read_cells(file)
    screen.warn(cell_warnings(cells, file))
    shared = [
        apportionment.apportion(cells, rule, bill_yuan, fee_rate, quota)
        for rule in dict.fromkeys(rules or apportionment.RULES)
    ]
    if form == "csv":
        text = charges.charges_csv(cells, shared)
    elif form == "json":
        text = charges.charges_json(cells, shared)
    else:
        text = visible(charges.charges_text(cells, shared))
    _print_data(text, form)
    if form != "table":
        for note in charges.notes(shared):
            _echo(f"huzhu: {note}", err=True)


@huzhu.command()
@click.option("--format", "form", type=click.Choice(("table", "json")), default="table")
def scenarios(form: str) -> None:
    """List the scenarios and questions that come with huzhu; `huzhu run NAME` runs one."""
    import json

    from configs.catalogue import entries
    from results.table import show_scenarios

    found = entries()
    if form == "json":
        records = [entry._asdict() for entry in found]
        _print_data(json.dumps(records, indent=2, ensure_ascii=False) + "\n", form)
    else:
        _echo(show_scenarios(found, _width()), nl=False)


@huzhu.command(name="list")
@results_option
def list_(results_dir: str) -> None:
    """List the runs, the oldest first."""
    from results.run import list_runs
    from results.table import show_runs

    _echo(show_runs(list_runs(results_dir), _width()), nl=False)


@huzhu.command()
@click.argument("run")
@results_option
def show(run: str, results_dir: str) -> None:
    """Show what came out of a run, a row a point."""
    from results.table import show_run

    _echo(show_run(_opened(run, results_dir), _width()), nl=False)


@huzhu.command()
@click.option(
    "--of",
    type=click.Choice(("configuration", "calibration")),
    default="configuration",
    show_default=True,
    help="Kind of the files.",
)
@click.option("--output", metavar="FILE", help="Write there.")
def schema(of: "Kind", output: str | None) -> None:
    """Print the JSON Schema of configuration files, with which editors complete them."""
    import json

    from configs.json_schema import json_schema

    text = json.dumps(json_schema(of), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        _print_data(text, "json")
        return
    from results.atomic import check_output, write_output

    check_output(output, ".json")
    write_output(output, text.encode())


@huzhu.command()
@click.option(
    "--engine",
    "engines",
    type=click.Choice(("cohort", "member")),
    multiple=True,
    default=("cohort",),
    show_default=True,
    help="Engine to compile; may be given twice.",
)
def warmup(engines: tuple[str, ...]) -> None:
    """Compile everything a run needs, ahead of the first run."""
    from flows.warmup import warm_up

    _echo(f"Kernels ready in {warm_up(engines):.1f} s.")


@huzhu.command()
def version() -> None:
    """Print the version."""
    from flows.plan import version_of

    _echo(version_of("huzhu"))


def _opened(run: str, results_dir: str) -> "Run":
    """Open a run by its folder, or by the beginning of its folder's name.

    A run that was moved aside is meant only where nothing else is.
    """
    from results.places import folders, place
    from results.run import RunError, open_run

    folder = place(run)
    if folder.is_dir():
        return open_run(folder)
    try:
        named = [path for path in folders(place(results_dir)) if path.name.startswith(run)]
    except FileNotFoundError:
        named = []
    current = [path for path in named if ".until-" not in path.name] or named
    if len(current) > 1:
        names = ", ".join(path.name for path in current)
        raise RunError(f"{run}: the beginning of more than one run ({names}); give more of it")
    return open_run(current[0] if current else run)


def _echo(message: object, nl: bool = True, err: bool = False) -> None:
    """Print a message; parts that came from a file cannot steer the terminal."""
    click.echo(visible(str(message)), nl=nl, err=err)


def _print_data(data: str | bytes, form: str) -> None:
    """Print data as they are; on a terminal, text is made visible."""
    if isinstance(data, str) and sys.stdout.isatty():
        data = visible(data)
    streams.write_data(data, form)


def _width() -> int:
    """Return the characters that a line of output may have."""
    return shutil.get_terminal_size((120, 24)).columns


def _terminate(signal_number: int, frame: FrameType | None) -> NoReturn:
    """End by way of the exception, so that everything started is ended too."""
    raise SystemExit(TERMINATED)


def _status_of(error: Exception) -> int:
    """Report an error, and return the exit status it stands for."""
    import traceback

    from configs.load import ConfigError
    from flows.cluster import ClusterError
    from flows.layout import CutError
    from flows.server import ServerError
    from results.atomic import StoreError
    from results.run import RunError

    if isinstance(error, streams.OutputError):
        streams.give_up_output()
        if error.is_closed:
            return READER_GONE
        streams.say(f"huzhu: {error}")
        return BAD_INPUT
    refusals = (ClusterError, ConfigError, CutError, RunError, ServerError, StoreError)
    if isinstance(error, refusals):
        _echo(f"huzhu: {error}", err=True)
        return BAD_INPUT
    _echo("".join(traceback.format_exception(error)), err=True)
    _echo(f"huzhu: internal failure: {error}", err=True)
    return 1


def carry_out(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows `huzhu`; without it, those of this process.
    """
    try:
        return int(huzhu(arguments, prog_name="huzhu", standalone_mode=False) or 0)
    except click.ClickException as error:
        text = io.StringIO()
        error.show(text)
        _echo(text.getvalue(), nl=False, err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _echo("huzhu: stopped; the same command goes on from what is finished", err=True)
        return INTERRUPTED
    except Exception as error:
        return _status_of(error)


def main() -> NoReturn:
    """Run `huzhu` and exit."""
    signal.signal(signal.SIGTERM, _terminate)
    streams.prepare()
    sys.exit(carry_out())


if __name__ == "__main__":
    main()
