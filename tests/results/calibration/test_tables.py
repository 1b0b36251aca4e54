"""The tables of a calibration: written, checked, opened, and what is said when they cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from results.calibration.tables import TABLES, CalibrationRun, open_calibration, write
from results.run import RunError
from tests.results.calibration.synthetic import DRAWS, PRIORS, a_calibration

EVERY = ("posterior", *TABLES)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> CalibrationRun:
    return a_calibration(tmp_path_factory.mktemp("calibrations") / "made_up-0123456789ab")


@pytest.mark.parametrize("table", EVERY)
def test_arrow_polars_and_duckdb_agree(run: CalibrationRun, table: str) -> None:
    arrow = run.table(table)
    assert arrow.num_rows
    assert run.polars(table).rows(named=True) == arrow.to_pylist()
    with run.duckdb() as connection:
        found = connection.sql(f"from {table}").fetchall()
    assert found == [tuple(row.values()) for row in arrow.to_pylist()]


@pytest.mark.parametrize("table", EVERY)
def test_every_column_carries_its_unit_and_its_meaning(run: CalibrationRun, table: str) -> None:
    for field in run.table(table).schema:
        assert field.metadata[b"unit"], field.name
        assert field.metadata[b"meaning"], field.name


def test_the_posterior_has_a_column_for_each_parameter(run: CalibrationRun) -> None:
    posterior = run.table("posterior")
    assert posterior.column_names == ["draw", "path", "log_likelihood", *PRIORS]
    assert posterior.num_rows == DRAWS


def test_columns_come_in_their_order_however_they_are_given(tmp_path: Path) -> None:
    written = a_calibration(tmp_path / "one").table("trace")
    write(tmp_path, "trace", written.select(written.column_names[::-1]))
    moved = CalibrationRun(tmp_path, {}).table("trace")
    assert moved.column_names == [column.name for column in TABLES["trace"]]
    assert moved.to_pylist() == written.to_pylist()


@pytest.mark.parametrize("columns", [("generation",), ("generation", "parameter", "mode")])
def test_a_table_of_other_columns_is_refused(tmp_path: Path, columns: tuple[str, ...]) -> None:
    rows = pa.table({name: [1] for name in columns})
    with pytest.raises(ValueError, match=r"trace: expected columns \['generation', 'parameter'"):
        write(tmp_path, "trace", rows)
    assert list(tmp_path.iterdir()) == []


def test_a_calibration_is_found_by_the_beginning_of_its_name(run: CalibrationRun) -> None:
    assert open_calibration("made_up-01", run.folder.parent).folder == run.folder
    assert open_calibration(run.folder).manifest["name"] == "made_up"


def test_a_name_that_fits_none_or_several_is_refused(tmp_path: Path) -> None:
    for digest in ("aa", "ab"):
        a_calibration(tmp_path / f"pool-{digest}")
    with pytest.raises(RunError, match=r"beginning of one name in .* which fits pool-aa, pool-ab$"):
        open_calibration("pool-a", tmp_path)
    with pytest.raises(RunError, match=r"^lagoon: expected .* which fits none$"):
        open_calibration("lagoon", tmp_path)
    with pytest.raises(RunError, match=r"^pol-aa: .* fits none; did you mean pool-aa or pool-ab\?"):
        open_calibration("pol-aa", tmp_path)


def test_one_that_is_not_done_and_one_that_is_a_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"one: not done; `huzhu calibrate .*one` goes on with it"):
        a_calibration(tmp_path / "one", status="running")
    with pytest.raises(RunError, match="expected a calibration's folder, got that of a run"):
        a_calibration(tmp_path / "two", kind="sweep")


def test_a_table_that_there_is_not_is_refused(run: CalibrationRun) -> None:
    with pytest.raises(
        RunError, match=r"expected a table of posterior, generations,.* got 'draws'"
    ):
        run.table("draws")


def test_the_manifest_is_as_it_was_written(run: CalibrationRun) -> None:
    assert run.manifest == json.loads((run.folder / "manifest.json").read_text())


def test_a_file_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    run = a_calibration(tmp_path)
    (tmp_path / "trace.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(RunError, match=r"trace\.parquet: cannot be read .*--fresh"):
        run.table("trace")
    (tmp_path / "trace.parquet").unlink()
    with pytest.raises(RunError, match=r"trace\.parquet: cannot be read .*--fresh"):
        run.table("trace")
    with pytest.raises(RunError, match=r"trace\.parquet: cannot be read .*--fresh"):
        run.duckdb()
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(RunError, match=r"manifest\.json: cannot be read"):
        open_calibration(tmp_path)
