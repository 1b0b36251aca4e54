"""Several runs in one DuckDB: every row once and named, missing columns missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from results.many import many
from results.run import Run, RunError, open_run
from results.schema import TABLES
from results.store import create_run
from tests.results.synthetic import FEE, SPEED, a_manifest, a_run, made_rows


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """Two runs of different sweeps: the one over a fee, the other over a speed and a name."""
    folder = tmp_path_factory.mktemp("runs")
    fees = a_run(folder / "fees", made_rows(points=2, seed=1))
    swept: list[dict[str, object]] = [{SPEED: 0.1 * i, "rule": "equal"} for i in range(3)]
    speeds = a_run(folder / "speeds", made_rows(points=3, seed=2), swept, seed=2**64 - 1)
    return fees, speeds


def test_every_table_has_the_rows_of_each_run_under_its_name(pair: tuple[Run, Run]) -> None:
    with many(pair) as connection:
        for table in TABLES:
            rows = connection.sql(f"select run, count(*) from {table} group by run").fetchall()
            assert dict(rows) == {
                run.folder.name: run.rows(table) for run in pair if run.rows(table)
            }
            assert connection.sql(f"from {table}").columns[0] == "run"


def test_the_rows_are_those_of_the_runs(pair: tuple[Run, Run]) -> None:
    with many(pair) as connection:
        for run in pair:
            found = connection.sql(
                f"select * exclude (run) from periods where run = '{run.folder.name}'"
            )
            assert found.columns == run.schema("periods").names
            rows = run.arrow("periods").to_pylist()
            assert found.fetchall() == [tuple(row.values()) for row in rows]


def test_points_have_the_swept_columns_of_all_and_values_of_their_own(
    pair: tuple[Run, Run],
) -> None:
    with many(pair) as connection:
        points = connection.sql("from points")
        assert points.columns == ["run", "point", FEE, SPEED, "rule"]
        assert points.fetchall() == [
            ("fees", 0, 0.0, None, None),
            ("fees", 1, 0.08, None, None),
            ("speeds", 0, None, 0.0, "equal"),
            ("speeds", 1, None, 0.1, "equal"),
            ("speeds", 2, None, 0.2, "equal"),
        ]


def test_a_table_that_no_run_has_rows_of_is_empty_and_has_its_columns(
    pair: tuple[Run, Run],
) -> None:
    with many(pair) as connection:
        members = connection.sql("from members")
        assert members.columns == ["run", *pair[0].schema("members").names]
        assert members.fetchall() == []


def test_the_runs_are_a_view(pair: tuple[Run, Run]) -> None:
    with many(pair) as connection:
        rows = connection.sql("select run, seed, points, version from runs").fetchall()
        assert rows == [("fees", 7, 2, "0.1.0"), ("speeds", 2**64 - 1, 3, "0.1.0")]


def test_a_run_that_has_just_begun_adds_no_rows(pair: tuple[Run, Run], tmp_path: Path) -> None:
    create_run(tmp_path / "begun").write_manifest(a_manifest())
    with many([open_run(tmp_path / "begun"), pair[0]]) as connection:
        assert connection.sql("select distinct run from paths").fetchall() == [("fees",)]
        status = connection.sql("select run, status from runs").fetchall()
        assert status == [("begun", "running"), ("fees", "complete")]


def test_runs_of_one_name_are_told_apart_by_their_folders(
    pair: tuple[Run, Run], tmp_path: Path
) -> None:
    other = a_run(tmp_path / "it's" / "fees")
    with many([*pair, other]) as connection:
        names = connection.sql("select distinct run from paths order by run").fetchall()
    expected = sorted([str(pair[0].folder), str(other.folder), "speeds"])
    assert names == [(name,) for name in expected]


def test_a_run_given_twice_is_refused(pair: tuple[Run, Run]) -> None:
    with pytest.raises(RunError, match=r"fees: given twice; every row of it would count twice"):
        many([*pair, pair[0]])


def test_no_run_at_all_is_refused() -> None:
    with pytest.raises(RunError, match="no run to ask; huzhu list shows"):
        many([])


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    path = tmp_path / "run" / "points" / "points.parquet"
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(RunError, match=r"points\.parquet: cannot be read"):
        many([run])
