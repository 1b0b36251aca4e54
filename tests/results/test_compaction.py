"""The shards put together: the same bytes for any cut, and no row lost or doubled on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import dataset

from results import compaction, parquet
from results.atomic import StoreError
from results.manifest import FileRecord
from results.run import Run, list_runs, open_run
from results.schema import arrow_schema
from results.store import RunStore, create_run
from results.summary import summarise
from results.table import show_run, show_runs
from tests.results.synthetic import (
    Made,
    a_failure,
    a_manifest,
    close,
    compacted,
    made_members,
    made_rows,
    write_shards,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make files of five hundred rows in groups of a hundred, read seventy at a time."""
    monkeypatch.setattr(parquet, "ROWS_OF_A_GROUP", 100)
    monkeypatch.setattr(compaction, "ROWS_OF_A_FILE", 500)
    monkeypatch.setattr(compaction, "_ROWS_AT_ONCE", 70)


def sharded(folder: Path, made: Made, shards: int = 3) -> RunStore:
    """Write rows as shards of a run that goes on."""
    store = create_run(folder)
    store.write_manifest(a_manifest(plans=made.plans, shards=shards))
    write_shards(store, made, shards)
    return store


def put_together(folder: Path, members: pa.Table, shards: int) -> tuple[FileRecord, ...]:
    """Write rows of `members` as shards of any size and put them together."""
    store = create_run(folder)
    rng = np.random.default_rng(shards)
    cuts = sorted(rng.integers(0, members.num_rows, shards - 1).tolist())
    for shard, (first, end) in enumerate(zip([0, *cuts], [*cuts, members.num_rows], strict=True)):
        part = members.slice(first, end - first)
        store.finish_shard(shard, [store.write_table("members", part, shard)])
    return store.compact()


@pytest.mark.parametrize("shards", [2, 3, 7, 40])
def test_the_shards_leave_no_trace_in_the_files(
    tmp_path: Path, small_files: None, shards: int
) -> None:
    rows = made_members(1234)
    one = put_together(tmp_path / "one", rows, 1)
    assert [record.path for record in one] == [
        f"members/from_point={rows['point'][500 * i].as_py()}/members-0000{i}.parquet"
        for i in range(3)
    ]
    assert [record.rows for record in one] == [500, 500, 234]
    assert put_together(tmp_path / "many", rows, shards) == one


def test_neither_do_the_numbers_by_which_a_shard_knows_names(
    tmp_path: Path, small_files: None
) -> None:
    rows = made_members(600)
    one = put_together(tmp_path / "one", rows, 1)
    store = create_run(tmp_path / "other")
    for shard in range(3):
        part = rows.slice(200 * shard, 200)
        names = sorted(set(part["plan"].to_pylist()), reverse=shard == 1)
        others = pa.array([f"unused{shard}", *names], pa.string())
        codes = [others.to_pylist().index(name) for name in part["plan"].to_pylist()]
        column = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), others)
        part = part.set_column(4, part.schema.field(4), column)
        store.finish_shard(shard, [store.write_table("members", part, shard)])
    assert store.compact() == one


@pytest.mark.parametrize("rows", [499, 500, 501, 1000])
def test_files_are_full_but_the_last(tmp_path: Path, small_files: None, rows: int) -> None:
    records = put_together(tmp_path, made_members(rows), 4)
    assert [record.rows for record in records] == [500] * (rows // 500) + [rows % 500] * (
        rows % 500 > 0
    )
    for record in records:
        file = pq.ParquetFile(tmp_path / record.path)
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        assert sizes[:-1] == [100] * (len(sizes) - 1)
        assert (tmp_path / record.path).stat().st_size == record.bytes


def test_a_table_without_rows_has_no_file(tmp_path: Path) -> None:
    assert put_together(tmp_path, arrow_schema("members").empty_table(), 1) == ()


def test_a_compacted_run_reads_as_one_of_a_single_shard(tmp_path: Path) -> None:
    made = made_rows(points=3, paths=9, plans=("main", "elder"))
    single = sharded(tmp_path / "single", made, 1)
    many = sharded(tmp_path / "many", made, 5)
    run = compacted(many, a_manifest(plans=made.plans))
    assert run.shards == ()
    assert not list(run.folder.rglob("shard-*.json"))
    for table in ("paths", "periods", "pools"):
        rows = open_run(single.folder).arrow(table).to_pylist()
        assert run.arrow(table).to_pylist() == rows
        assert run.arrow(table).schema.equals(arrow_schema(table), check_metadata=True)
        assert run.polars(table).collect().rows(named=True) == rows
        with run.duckdb() as connection:
            found = connection.sql(f"from {table}").fetchall()
        assert found == [tuple(row.values()) for row in rows]


def partitioned(folder: Path) -> Run:
    """Write a run whose `periods` lie in several partitions."""
    made = made_rows(points=40, paths=5, periods=10, plans=("main", "elder"), closing=0.0)
    return compacted(sharded(folder, made, 3), a_manifest(points=40, plans=made.plans))


def test_a_partition_is_named_for_its_first_point(tmp_path: Path, small_files: None) -> None:
    run = partitioned(tmp_path)
    paths = [entry.path for entry in run.manifest.files if entry.table == "periods"]
    # 100 rows a point, 500 a file
    assert paths == [f"periods/from_point={5 * i}/periods-{i:05d}.parquet" for i in range(8)]
    firsts = [pq.read_table(tmp_path / path, partitioning=None)["point"][0] for path in paths]
    assert [first.as_py() for first in firsts] == [0, 5, 10, 15, 20, 25, 30, 35]


def test_partitions_add_no_column_to_what_is_read_here(tmp_path: Path, small_files: None) -> None:
    run = partitioned(tmp_path)
    names = arrow_schema("periods").names
    assert run.arrow("periods").column_names == names
    assert run.polars("periods").collect_schema().names() == names
    assert run.pandas("periods").columns.tolist() == names
    with run.duckdb() as connection:
        assert connection.sql("from periods").columns == names
        assert connection.sql("select count(*) from periods").fetchall() == [(4000,)]


def opened_by_duckdb(folder: Path) -> list[tuple[object, ...]]:
    """Return the sums of a run's shares as DuckDB finds them."""
    with duckdb.connect() as connection:
        sql = (
            "select from_point, count(*), sum(point), max(share) "
            f"from read_parquet('{folder}/periods/**/*.parquet') group by 1 order by 1"
        )
        return connection.sql(sql).fetchall()


def opened_by_polars(folder: Path) -> list[tuple[object, ...]]:
    """Return the same as Polars finds it."""
    frame = polars.scan_parquet(f"{folder}/periods/")
    grouped = frame.group_by("from_point").agg(
        polars.len(), polars.sum("point"), polars.max("share")
    )
    return grouped.sort("from_point").collect().rows()


def opened_by_pandas(folder: Path) -> list[tuple[object, ...]]:
    """Return the same as pandas finds it."""
    frame = pandas.read_parquet(folder / "periods").astype({"from_point": int})
    grouped = frame.groupby("from_point").agg(
        rows=("point", "size"), points=("point", "sum"), most=("share", "max")
    )
    return list(grouped.itertuples(name=None))


def opened_by_pyarrow(folder: Path) -> list[tuple[object, ...]]:
    """Return the same as Arrow finds it."""
    found = dataset.dataset(folder / "periods", partitioning="hive").to_table()
    grouped = found.group_by("from_point").aggregate(
        [([], "count_all"), ("point", "sum"), ("share", "max")]
    )
    rows = grouped.sort_by("from_point").to_pylist()
    names = ("from_point", "count_all", "point_sum", "share_max")
    return [tuple(row[name] for name in names) for row in rows]


@pytest.mark.parametrize(
    "opened", [opened_by_duckdb, opened_by_polars, opened_by_pandas, opened_by_pyarrow]
)
def test_a_run_opens_without_huzhu(
    tmp_path: Path, small_files: None, opened: Callable[[Path], list[tuple[object, ...]]]
) -> None:
    frame = partitioned(tmp_path).pandas("periods")
    expected = [
        (first, len(part), int(part["point"].sum()), float(part["share"].max()))
        for first, part in frame.groupby(frame["point"] // 5 * 5)
    ]
    assert opened(tmp_path) == expected


def test_what_counts_shards_counts_rows_of_a_compacted_run(tmp_path: Path) -> None:
    made = made_rows(points=2, paths=6)
    run = compacted(sharded(tmp_path / "small-1", made), a_manifest())
    manifest = run.manifest
    assert manifest.shard_files == ()
    assert manifest.rows["paths"] == manifest.paths == run.rows("paths") == 12
    assert manifest.rows["periods"] == run.rows("periods") == made.periods.num_rows
    assert "complete: 2 points" in show_run(run)
    assert " 12 " in show_runs(list_runs(tmp_path))


def test_the_summary_is_the_same_from_shards_and_from_what_became_of_them(
    tmp_path: Path, small_files: None
) -> None:
    made = made_rows(points=9, paths=12, plans=("main", "elder"))
    store = sharded(tmp_path, made, 4)
    from_shards = summarise(store, made.shapes)
    files = store.compact()
    assert len(files) > 2
    close(store, a_manifest(plans=made.plans), files)
    store.remove_shards()
    assert summarise(store, made.shapes, files) == from_shards


def test_compacting_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    store = sharded(tmp_path, made_rows(), 3)
    store.compact(lambda done, total: told.append((done, total)))
    assert told == [(done, 6) for done in range(1, 7)]


def test_a_file_that_changed_is_told_and_not_put_in(tmp_path: Path) -> None:
    store = sharded(tmp_path, made_rows(), 3)
    path = tmp_path / "periods" / "shard-00001.parquet"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"shard-00001\.parquet: cannot be read \(its checksum is"):
        store.compact()
    assert not list((tmp_path / "periods").rglob("periods-*"))
    assert len(open_run(tmp_path).shards) == 3


def test_shards_are_not_removed_before_the_manifest_names_what_became_of_them(
    tmp_path: Path,
) -> None:
    store = sharded(tmp_path, made_rows(), 3)
    files = store.compact()
    with pytest.raises(ValueError, match="its shards are not put together in a complete run"):
        store.remove_shards()
    assert len(open_run(tmp_path).shards) == 3
    close(store, a_manifest(), files)
    (tmp_path / "periods" / "notes.txt").write_text("mine")
    (tmp_path / "shards" / "notes.txt").write_text("mine")
    summary = summarise(store, made_rows().shapes, files)
    store.remove_shards()
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"manifest.json", "notes.txt"} | {
        Path(record.path).name for record in (*files, *summary)
    }


def test_the_failures_of_a_run_are_gathered_in_order_of_shards(tmp_path: Path) -> None:
    store = create_run(tmp_path)
    for shard, points in ((1, [4]), (0, []), (2, [7, 8])):
        store.finish_shard(shard, [], [a_failure(point, shard) for point in points], paths=3)
    assert list(store.finished_shards()) == [0, 1, 2]
    assert list(store.failed_shards()) == [1, 2]
    closed = store.close_run(
        a_manifest(), status="failed", finished="2026-01-02", files=[], seconds={}
    )
    assert closed.failures == (a_failure(4, 1), a_failure(7, 2), a_failure(8, 2))
    assert open_run(tmp_path).manifest == closed
    assert a_failure(4, 1).told() == (
        "point 4, path 3 (plans.main.fee_rate=0.32), seed 7: ZeroDivisionError: division by zero"
    )


def test_a_record_from_before_there_were_failures_reads_as_one_without(tmp_path: Path) -> None:
    store = create_run(tmp_path)
    store.finish_shard(3, [], kernel_seconds=0.5)
    path = tmp_path / "shards" / "shard-00003.json"
    content = json.loads(path.read_text())
    del content["failures"]
    path.write_text(json.dumps(content))
    assert store.finished_shards()[3].failures == ()
    assert store.finished_shard(3) == store.finished_shards()[3]
    assert store.finished_shard(4) is None


# A kill at any moment

KILLED = """
    import itertools, os, sys
    from pathlib import Path
    from results import atomic, compaction, parquet, places, store
    from tests.results.synthetic import a_manifest, compacted

    parquet.ROWS_OF_A_GROUP, compaction.ROWS_OF_A_FILE = 20, 40
    left = itertools.count(int(sys.argv[2]), -1)

    def dying(step):
        def taken(*given, **named):
            if next(left) == 0:
                os._exit(9)
            return step(*given, **named)
        return taken

    # every step that changes the folder: a file takes its place, or goes
    Path.replace, Path.unlink = dying(Path.replace), dying(Path.unlink)
    folder = Path(sys.argv[1])
    run = store.RunStore(folder)
    manifest = run.read_manifest()
    if not manifest.compacted:
        compacted(run, manifest)
    elif manifest.status == "complete":
        run.remove_shards()
"""


def resumed(folder: Path, steps: int) -> int:
    """Put a run together in a process that dies after so many steps; its exit status."""
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(folder), str(steps)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def rows_of(run: Run) -> list[list[dict[str, object]]]:
    """Return what must never change: the rows of the tables."""
    return [run.arrow(table).to_pylist() for table in ("paths", "periods")]


def test_a_kill_at_any_step_neither_loses_nor_doubles_a_row(tmp_path: Path) -> None:
    made = made_rows(points=2, paths=3, periods=5)
    expected = rows_of(open_run(sharded(tmp_path / "whole", made, 3).folder))
    for steps in range(0, 60, 2):
        store = sharded(tmp_path / str(steps), made, 3)
        status = resumed(tmp_path / str(steps), steps)
        run = open_run(store.folder)
        assert rows_of(run) == expected, f"killed after {steps} steps"
        if status == 0:
            assert run.manifest.compacted
            assert list(run.folder.rglob("shard-*.json")) == []
            break
        assert status == 9
        assert resumed(tmp_path / str(steps), 10**6) == 0
        again = open_run(store.folder)
        assert again.manifest.compacted
        assert rows_of(again) == expected, f"resumed after {steps} steps"
        assert list(again.folder.rglob("shards/*")) == []
    else:
        pytest.fail("the run was never put together to its end")
    assert steps > 10


def test_a_reader_that_was_slow_sees_the_shards_where_they_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_rows()
    store = sharded(tmp_path, made, 3)
    expected = rows_of(open_run(tmp_path))
    finished = RunStore.finished_shards

    def meanwhile(self: RunStore, verify: bool = True) -> object:
        monkeypatch.setattr(RunStore, "finished_shards", finished)
        compacted(store, a_manifest())
        return self.finished_shards(verify)

    monkeypatch.setattr(RunStore, "finished_shards", meanwhile)
    assert rows_of(open_run(tmp_path)) == expected


def test_the_work_is_in_proportion_to_the_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings: list[object] = []
    scandir = os.scandir

    def counted(folder: str) -> object:
        listings.append(folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", counted)
    counts = []
    for shards in (2, 10):
        store = sharded(tmp_path / str(shards), made_rows(points=2, paths=10), shards)
        listings.clear()
        store.compact()
        counts.append(len(listings))
    assert counts[0] == counts[1]
