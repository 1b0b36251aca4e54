"""`huzhu calibrate` with a real Dask cluster and a real Prefect server, from file to report."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from configs.calibration import load_calibration
from flows.calibration import STATE_NAME
from results.calibration.forecast_file import COLUMNS, forecast_rows
from results.calibration.report import report
from results.calibration.tables import TABLES, CalibrationRun, open_calibration
from results.run import RunError, open_run
from tests.flows.calibrations import written
from tests.flows.conftest import Huzhu, environment_of
from tests.flows.processes import wait_until

pytestmark = pytest.mark.end_to_end

TEXTS = ("posterior.csv", "scenario.yaml", "config.yaml")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("calibration"))


def last_line(answer: "subprocess.CompletedProcess[str]") -> Path:
    assert answer.returncode == 0, answer.stderr
    return Path(answer.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calibrations")


@pytest.fixture(scope="module")
def answer(file: Path, results: Path, huzhu: Huzhu) -> "subprocess.CompletedProcess[str]":
    """Calibrate, with one worker."""
    forecast = results / "forecast.csv"
    return huzhu("calibrate", file, "--results", results, "--workers", 1, "--forecast", forecast)


@pytest.fixture(scope="module")
def run(answer: "subprocess.CompletedProcess[str]") -> CalibrationRun:
    return open_calibration(last_line(answer))


def test_it_prints_what_was_fitted_and_what_could_not_be(
    answer: "subprocess.CompletedProcess[str]", run: CalibrationRun
) -> None:
    printed = answer.stdout
    assert "4 parameters fitted to 9 figures, until 2020-05-31; 2 held back" in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("rivals")]
    assert "not identified" in line
    (line,) = [line for line in printed.splitlines() if line.startswith("level")]
    assert "not identified" not in line
    assert "straight line" in printed
    assert f"huzhu run {run.folder.parent}/found_again.yaml" in printed
    assert "fitting, generation 3" in answer.stderr


def test_every_table_has_the_columns_that_are_documented(run: CalibrationRun) -> None:
    for name, columns in TABLES.items():
        table = run.table(name)
        assert table.column_names == [column.name for column in columns], name
        assert table.num_rows, name
        assert table.schema.field(0).metadata[b"meaning"], name
    posterior = run.table("posterior")
    assert posterior.column_names[3:] == ["level", "push", "rivals", "error"]
    assert posterior.num_rows == 120
    assert run.manifest["effective_samples"] > 20
    with run.duckdb() as asked:
        (draws,) = asked.execute("select count(distinct draw) from predictions").fetchall()[0]
    assert draws == 40
    with pytest.raises(RunError, match=r"expected a table of posterior, generations.* got 'draws'"):
        run.table("draws")


def test_the_forecast_file_holds_every_period_after_the_cut_off(
    run: CalibrationRun, results: Path
) -> None:
    with (results / "forecast.csv").open() as text:
        rows = list(csv.DictReader(text))
    assert tuple(rows[0]) == COLUMNS
    assert {row["date"] for row in rows} == {
        f"2020-{month:02}-{day}" for month in (6, 7, 8, 9) for day in (15, 31 - (month in (6, 9)))
    }
    for row in rows:
        levels = [float(row[name]) for name in ("q05", "q25", "q50", "q75", "q95")]
        assert levels == sorted(levels)
        assert levels[0] < levels[-1]
    june = [row for row in rows if (row["date"], row["quantity"]) == ("2020-06-30", "share_year")]
    assert len(june) == 1
    scandal = forecast_rows(run, "bad_news")
    assert scandal["q50"].to_list() != forecast_rows(run)["q50"].to_list()
    with pytest.raises(RunError, match="expected a world of known, bad_news, got 'good_news'"):
        forecast_rows(run, "good_news")


def test_what_was_held_back_is_scored_against_naive_forecasts(run: CalibrationRun) -> None:
    rows = run.table("scores").to_pylist()
    found = {(row["world"], row["forecaster"], row["quantity"]) for row in rows}
    for world in ("known", "bad_news"):
        for forecaster in ("model", "last_value", "linear_trend"):
            assert (world, forecaster, "claims") in found
    # nothing was known of a year's share before
    assert not [row for row in rows if row["quantity"] == "share_year"]
    held_back = run.polars("figures").filter(held_back=True)
    assert sorted(held_back["date"].to_list()) == [date(2020, 6, 28), date(2020, 6, 30)]


def test_a_sweep_draws_from_the_posterior(run: CalibrationRun, huzhu: Huzhu) -> None:
    newest = run.folder.parent / "found_again.yaml"
    runs = run.folder.parent / "runs"
    folder = last_line(huzhu("run", newest, "--results", runs, "--set", "sweep.draws.take=10"))
    points = open_run(folder).polars("points").collect()
    posterior = run.polars("posterior")
    assert points["draw"].to_list() == list(range(0, 120, 12))
    taken = posterior.filter(posterior["draw"].is_in(points["draw"].to_list()))
    assert points["claims.level"].to_list() == taken["level"].to_list()
    # what no figure tells of is drawn from its prior
    assert len(set(points["channels.app.push.1.value"].to_list())) == 10


def test_the_same_files_again_are_found_finished(
    file: Path, results: Path, run: CalibrationRun, huzhu: Huzhu, tmp_path: Path
) -> None:
    options = ("--figures", tmp_path, "--language", "zh")
    again = huzhu("calibrate", file, "--results", results, *options)
    assert last_line(again) == run.folder
    assert "nothing is left to compute" in again.stderr
    names = [figure.name for figure in report(run).figures]
    for ending in ("svg", "png", "csv"):
        assert all((tmp_path / f"{name}.{ending}").exists() for name in names), ending
    assert "先验与后验" in (tmp_path / "prior_and_posterior.svg").read_text()


def test_what_a_fit_promises_is_made_again(
    file: Path, results: Path, run: CalibrationRun, huzhu: Huzhu
) -> None:
    """Killed between its manifest and its report, or without files that it had made."""
    newest = results / f"{run.manifest['name']}.yaml"
    promised = (run.folder / "report.html", run.folder / "bands.svg", newest)
    before = [one.read_bytes() for one in promised]
    for one in promised:
        one.unlink()
    again = huzhu("calibrate", file, "--results", results)
    assert last_line(again) == run.folder
    assert f"A sweep of the posterior: huzhu run {newest}" in again.stdout
    assert f"{promised[0]}: missing or older than the fit; made again" in again.stderr
    assert [one.read_bytes() for one in promised] == before

    # a later calibration of the same name stands for the newest: this one's posterior is its own
    newest.write_text("extends: another/scenario.yaml\n")
    again = huzhu("calibrate", file, "--results", results)
    assert f"A sweep of the posterior: huzhu run {run.folder}/scenario.yaml" in again.stdout
    assert again.stderr == "The calibration is there; nothing is left to compute.\n"
    newest.write_bytes(before[2])


def test_a_damaged_file_of_a_fit_is_named_and_made_again(
    file: Path, run: CalibrationRun, huzhu: Huzhu, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(run.folder, tmp_path / run.folder.name))
    for name in (STATE_NAME, "forecast.parquet"):
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[:1000] + b"not what was there" + content[1018:])
    again = huzhu("calibrate", file, "--results", tmp_path, "--workers", 2)
    assert last_line(again) == copy
    assert f"{copy / 'forecast.parquet'}: missing or damaged; made again" in again.stderr
    assert f"{copy / STATE_NAME}: missing or damaged; the fit starts again" in again.stderr
    for name in (*TEXTS, *(f"{table}.parquet" for table in (*TABLES, "posterior"))):
        assert (copy / name).read_bytes() == (run.folder / name).read_bytes(), name


def test_another_number_of_workers_and_a_kill_give_the_same_bytes(
    file: Path, run: CalibrationRun, huzhu: Huzhu, tmp_path: Path, prefect_home: Path
) -> None:
    command = ["calibrate", str(file), "--results", str(tmp_path), "--workers", "2"]
    with (tmp_path / "log").open("w") as log:
        killed = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *command],
            env=environment_of(prefect_home),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            assert wait_until(lambda: any(tmp_path.glob(f"*/{STATE_NAME}")), 120)
        finally:
            os.killpg(killed.pid, signal.SIGKILL)
            killed.wait()
    (folder,) = (state.parent for state in tmp_path.glob(f"*/{STATE_NAME}"))
    assert json.loads((folder / "manifest.json").read_text())["status"] == "running"
    with pytest.raises(RunError, match="not done; `huzhu calibrate"):
        open_calibration(folder)
    again = huzhu(*command)
    assert last_line(again) == folder
    assert "is there, and goes on" in again.stderr
    for name in (*TEXTS, *(f"{table}.parquet" for table in (*TABLES, "posterior"))):
        assert (folder / name).read_bytes() == (run.folder / name).read_bytes(), name


def test_the_report_tells_of_all_of_it(run: CalibrationRun) -> None:
    page = (run.folder / "report.html").read_text()
    for words in ("Not identified, and therefore left as wide as they were: rivals", "a scandal"):
        assert words in page
    figures = {figure.name for figure in report(run).figures}
    assert figures == {"prior_and_posterior", "pairs", "bands", "trace"}
    assert "<svg" in (run.folder / "bands.svg").read_text()[:200]


def test_a_forecast_that_changes_the_past_is_refused(
    file: Path, huzhu: Huzhu, tmp_path: Path
) -> None:
    early = "forecast.worlds.bad_news={news.jumps: [{period: 2, size: 3}]}"
    quick = ("sampler.particles=10", "sampler.most_moves=1", "sampler.final_moves=0")
    sets = [word for setting in (early, *quick) for word in ("--set", setting)]
    refused = huzhu("calibrate", file, "--results", tmp_path, *sets)
    assert refused.returncode == 2
    assert "forecast.worlds.bad_news: expected fields that change nothing up to" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--world", "good"), "--world: expected one of known, bad_news, got 'good'"),
        (("--until", "2019-01-01"), "until: expected a date from 2020-01-28 on"),
        (("--set", "sampler.particles=7"), "particles: expected"),
        (("--results", "s3://bucket/there"), "--results: expected a folder that this machine"),
    ],
)
def test_bad_input_is_refused_before_anything_is_computed(
    file: Path, huzhu: Huzhu, tmp_path: Path, arguments: tuple[str, str], message: str
) -> None:
    refused = huzhu("calibrate", file, *arguments, "--forecast", tmp_path / "none.csv")
    assert refused.returncode == 2
    assert message in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_changed_figure_is_another_calibration(file: Path) -> None:
    from configs.calibration import calibration_digest

    before = calibration_digest(load_calibration(file))
    figures = file.parent / "published.csv"
    text = figures.read_text()
    try:
        figures.write_text(text.replace("2020-06-28,claims,", "2020-06-28,claims,1"))
        assert calibration_digest(load_calibration(file)) != before
    finally:
        figures.write_text(text)
