"""Opening runs: every form of every table, and what is said when there is none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from results.run import Run, RunError, list_runs, open_run
from results.store import MANIFEST_NAME, RunStore, create_run
from tests.results.synthetic import a_manifest, a_run, made_rows, write_shards

TABLES = ("points", "paths", "periods", "members", "summary")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return a_run(tmp_path / "run", made_rows(plans=("main", "elder")))


@pytest.mark.parametrize("table", TABLES)
def test_arrow_polars_pandas_and_duckdb_agree(run: Run, table: str) -> None:
    arrow = run.arrow(table)
    assert run.polars(table).collect().rows(named=True) == arrow.to_pylist()
    frame = run.pandas(table)
    assert frame.shape == (arrow.num_rows, arrow.num_columns)
    assert frame["point"].tolist() == arrow["point"].to_pylist()
    with run.duckdb() as connection:
        assert connection.sql(f"from {table}").fetchall() == [
            tuple(row.values()) for row in arrow.to_pylist()
        ]


def test_tables_come_back_as_they_were_made(run: Run) -> None:
    made = made_rows(plans=("main", "elder"))
    assert run.arrow("periods").to_pylist() == made.periods.to_pylist()
    assert run.arrow("paths").to_pylist() == made.paths.to_pylist()


def test_columns_can_be_chosen(run: Run) -> None:
    assert run.arrow("periods", ["share", "plan"]).column_names == ["share", "plan"]


def test_units_are_there_to_read(run: Run) -> None:
    assert run.schema("periods").field("share").metadata[b"unit"] == b"yuan per payer"
    assert run.arrow("periods").schema.field("cost").metadata[b"unit"] == b"yuan"


@pytest.mark.parametrize("table", TABLES)
def test_a_run_that_has_just_started_has_empty_tables(tmp_path: Path, table: str) -> None:
    store = create_run(tmp_path / "run")
    store.write_manifest(a_manifest())
    run = open_run(store.folder)
    assert run.arrow(table).num_rows == 0
    assert run.polars(table).collect().height == 0
    with run.duckdb() as connection:
        assert connection.sql(f"select count(*) from {table}").fetchall() == [(0,)]


def test_a_run_going_on_shows_its_finished_shards(tmp_path: Path) -> None:
    store = create_run(tmp_path / "run")
    store.write_manifest(a_manifest())
    write_shards(store, made_rows(closing=0.0), shards=2)
    (store.folder / "shards" / "shard-00000.json").unlink()
    assert set(open_run(store.folder).arrow("paths")["point"].to_pylist()) == {1}


def test_a_folder_with_odd_characters_opens(tmp_path: Path) -> None:
    run = a_run(tmp_path / "it's [a] *run?")
    with run.duckdb() as connection:
        assert connection.sql("select count(*) from points").fetchall() == [(2,)]
    assert run.polars("points").collect().height == 2
    assert run.arrow("points").num_rows == 2


def test_an_unknown_table_is_told_with_the_nearest(run: Run) -> None:
    with pytest.raises(RunError, match=r"no table 'period'; did you mean periods"):
        run.arrow("period")
    with pytest.raises(RunError, match=r"no table 'x'; did you mean points or paths or"):
        run.polars("x")


def test_an_unknown_column_is_told_with_the_nearest(run: Run) -> None:
    with pytest.raises(RunError, match="periods has no column 'member'; it has members"):
        run.arrow("periods", ["member"])


def test_what_is_no_run_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"not a run folder \(no manifest\.json in it\); huzhu list"):
        open_run(tmp_path)
    with pytest.raises(RunError, match=r"gone: not a run folder \(no such folder\)"):
        open_run(tmp_path / "gone")


def test_a_manifest_that_cannot_be_read_is_told(run: Run) -> None:
    (run.folder / MANIFEST_NAME).write_text("{")
    with pytest.raises(RunError, match=r"manifest\.json: not a readable manifest"):
        open_run(run.folder)


def test_a_newer_format_is_told(run: Run) -> None:
    (run.folder / MANIFEST_NAME).write_text(json.dumps({"format": 99}))
    with pytest.raises(RunError, match=r"results format 99, .*install a newer huzhu"):
        open_run(run.folder)


def test_a_missing_file_of_the_manifest_is_told(run: Run) -> None:
    (run.folder / "points" / "points.parquet").unlink()
    with pytest.raises(RunError, match=r"points\.parquet: missing; run the configuration again"):
        open_run(run.folder)


def test_a_damaged_file_is_told(run: Run) -> None:
    path = run.folder / "points" / "points.parquet"
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(RunError, match=r"points\.parquet: cannot be read .*run the configuration"):
        open_run(run.folder).arrow("points")
    with pytest.raises(RunError, match=r"points\.parquet: cannot be read"):
        open_run(run.folder).duckdb()


def test_runs_are_listed_by_their_start_and_strangers_passed_over(tmp_path: Path) -> None:
    for name, started in (("b", "2026-01-03"), ("a", "2026-01-05"), ("c", "2026-01-04")):
        create_run(tmp_path / name).write_manifest(a_manifest(name=name, started=started))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    listing = list_runs(tmp_path)
    assert [run.manifest.name for run in listing.runs] == ["b", "c", "a"]
    assert listing.problems == ()


def test_a_run_that_does_not_open_is_listed_with_its_reason(tmp_path: Path, run: Run) -> None:
    shutil.copytree(str(run.folder), tmp_path / "worse")
    (tmp_path / "worse" / MANIFEST_NAME).write_text("{}")
    listing = list_runs(tmp_path)
    assert [entry.folder.name for entry in listing.runs] == ["run"]
    assert len(listing.problems) == 1
    assert "worse" in listing.problems[0]


def test_a_results_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="gone: no such folder; huzhu run CONFIG makes the first"):
        list_runs(tmp_path / "gone")


def test_reading_changes_nothing(run: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    run.pandas("summary")
    run.duckdb().close()
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before
    assert RunStore(run.folder).leftovers() == []
