"""The store: whole files or none, shards that are finished or not, and messages that help."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results import parquet
from results.atomic import StoreError, is_leftover, is_temporary, open_whole, write_whole
from results.manifest import FileRecord, Manifest
from results.places import Folder
from results.schema import RESULTS_FORMAT, arrow_schema, points_table
from results.store import MANIFEST_NAME, RunStore, check_writable, create_run
from tests.results.synthetic import (
    a_failure,
    a_manifest,
    a_run,
    made_members,
    made_rows,
    write_shards,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return create_run(tmp_path / "run")


def names(folder: Folder) -> set[str]:
    """Names of the files under a folder."""
    return {path.name for path in folder.rglob("*") if path.is_file()}


def in_a_process(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start Python on `code` from the project's root."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


# Tables


@pytest.mark.parametrize("table", ["paths", "periods", "summary"])
def test_a_table_comes_back_as_it_was_written(tmp_path: Path, table: str) -> None:
    run = a_run(tmp_path / "run")
    rows = run.arrow(table)
    again = create_run(tmp_path / "again")
    record = again.write_table(table, rows, shard=3)
    path = again.folder / record.path
    back = pq.read_table(path, partitioning=None)
    assert record.path == f"{table}/shard-00003.parquet"
    assert (record.rows, record.bytes) == (rows.num_rows, path.stat().st_size)
    assert back.to_pylist() == rows.to_pylist()
    assert back.schema.equals(arrow_schema(table), check_metadata=True)


def test_points_come_back_with_their_metadata(store: RunStore) -> None:
    points = points_table([{"a.b": 1.5, "rule": "equal"}], units={"a.b": "yuan"})
    record = store.write_table("points", points)
    back = pq.read_table(store.folder / record.path, partitioning=None)
    assert record.path == "points/points.parquet"
    assert back.equals(points, check_metadata=True)


def test_a_file_has_one_row_group_and_splits_its_floats(store: RunStore) -> None:
    record = store.write_table("periods", made_rows(points=20).periods, shard=0)
    file = pq.ParquetFile(store.folder / record.path)
    assert file.num_row_groups == 1
    columns = [file.metadata.row_group(0).column(i) for i in range(file.metadata.num_columns)]
    encodings = {column.path_in_schema: column.encodings for column in columns}
    assert "BYTE_STREAM_SPLIT" in encodings["share"]
    assert "DELTA_BINARY_PACKED" in encodings["members"]
    assert "RLE_DICTIONARY" in encodings["plan"]
    assert {column.compression for column in columns} == {"ZSTD"}


def test_plain_strings_are_taken_for_names(store: RunStore) -> None:
    rows = made_rows().paths
    plain = rows.set_column(3, "closure_cause", rows["closure_cause"].cast(pa.string()))
    record = store.write_table("paths", plain, shard=0)
    back = pq.read_table(store.folder / record.path, partitioning=None)
    assert back.to_pylist() == rows.to_pylist()
    assert back.schema.field("closure_cause").type == arrow_schema("paths").field(3).type


def test_a_table_without_rows_is_written(store: RunStore) -> None:
    record = store.write_table("paths", arrow_schema("paths").empty_table(), shard=0)
    assert pq.read_table(store.folder / record.path, partitioning=None).num_rows == 0


def test_columns_that_are_not_the_tables_are_refused(store: RunStore) -> None:
    with pytest.raises(ValueError, match=r"columns of paths differ from its schema: \['cases'\]"):
        store.write_table("paths", made_rows().paths.drop_columns(["cases"]), shard=0)
    rows = made_rows().paths
    with pytest.raises(ValueError, match="their order"):
        store.write_table("paths", rows.select(rows.column_names[::-1]), shard=0)
    with pytest.raises(ValueError, match="no table 'path'"):
        store.write_table("path", rows, shard=0)


def test_missing_values_are_refused_where_none_may_be(store: RunStore) -> None:
    rows = made_rows().paths
    holes = rows.set_column(10, "cases", pa.nulls(rows.num_rows, pa.int64()))
    with pytest.raises(ValueError, match=r"paths\.cases has missing values"):
        store.write_table("paths", holes, shard=0)


# Tables written while their rows come


def write_in_pieces(store: RunStore, rows: pa.Table, pieces: int) -> FileRecord:
    """Write rows of `members` so many at a time."""
    with store.table_writer("members", 3) as writer:
        for first in range(0, rows.num_rows, pieces):
            writer.write(rows.slice(first, pieces))
    return writer.record


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> int:
    """Make row groups of a hundred rows."""
    monkeypatch.setattr(parquet, "ROWS_OF_A_GROUP", 100)
    return 100


def test_a_table_written_in_pieces_comes_back_as_it_was(store: RunStore) -> None:
    rows = made_members(1000)
    record = write_in_pieces(store, rows, 300)
    path = store.folder / record.path
    back = pq.read_table(path, partitioning=None)
    assert record.path == "members/shard-00003.parquet"
    assert (record.rows, record.bytes) == (1000, path.stat().st_size)
    assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert back.to_pylist() == rows.to_pylist()
    assert back.schema.equals(arrow_schema("members"), check_metadata=True)
    store.finish_shard(3, [record])
    assert list(store.finished_shards(verify=True)) == [3]


@pytest.mark.parametrize("pieces", [1, 7, 99, 100, 101, 250, 1000])
def test_the_pieces_leave_no_trace_in_the_file(
    tmp_path: Path, small_groups: int, pieces: int
) -> None:
    rows = made_members(1000)
    whole = write_in_pieces(create_run(tmp_path / "whole"), rows, 10**6)
    assert write_in_pieces(create_run(tmp_path / "pieces"), rows, pieces) == whole


def test_neither_do_the_numbers_by_which_names_are_known(tmp_path: Path, small_groups: int) -> None:
    rows = made_members(250)
    names = rows["plan"].combine_chunks()
    others = pa.array(["unused", *reversed(names.dictionary.to_pylist())], pa.string())
    places = pa.array([others.to_pylist().index(name) for name in names.to_pylist()], pa.int32())
    other = rows.set_column(4, rows.schema.field(4), pa.DictionaryArray.from_arrays(places, others))
    records = [
        write_in_pieces(create_run(tmp_path / str(i)), table, 60)
        for i, table in enumerate((rows, other))
    ]
    assert records[0] == records[1]


@pytest.mark.parametrize(("rows", "last"), [(1, 1), (100, 100), (101, 1), (1000, 100), (1099, 99)])
def test_row_groups_are_of_one_size_but_the_last(
    store: RunStore, small_groups: int, rows: int, last: int
) -> None:
    file = pq.ParquetFile(store.folder / write_in_pieces(store, made_members(rows), 33).path)
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sizes == [100] * (len(sizes) - 1) + [last]
    assert sum(sizes) == rows


def test_a_writer_holds_less_than_a_group_and_what_came_last(
    store: RunStore, small_groups: int
) -> None:
    with store.table_writer("members", 0) as writer:
        sizes = []
        for seed in range(50):
            writer.write(made_members(30, seed))
            sizes.append(sum(piece.num_rows for piece in writer._waiting))
    assert max(sizes) < 100
    assert writer.record.rows == 1500


def test_a_table_written_in_pieces_is_stored_as_any_other(store: RunStore) -> None:
    rows = made_members(500)
    at_once = store.write_table("members", rows, 0)
    in_pieces = write_in_pieces(store, rows, 40)
    encodings = []
    for record in (at_once, in_pieces):
        group = pq.ParquetFile(store.folder / record.path).metadata.row_group(0)
        columns = [group.column(i) for i in range(group.num_columns)]
        encodings.append([(c.path_in_schema, c.encodings, c.compression) for c in columns])
    assert encodings[0] == encodings[1]


def test_without_rows_the_file_has_no_group(store: RunStore) -> None:
    with store.table_writer("members", 0) as writer:
        writer.write(arrow_schema("members").empty_table())
    assert writer.record.rows == 0
    back = pq.read_table(store.folder / writer.record.path, partitioning=None)
    assert back.equals(arrow_schema("members").empty_table(), check_metadata=True)


def test_pieces_with_other_columns_are_refused_and_leave_nothing(store: RunStore) -> None:
    def write() -> None:
        with store.table_writer("members", 0) as writer:
            writer.write(made_members(10))
            writer.write(made_members(10).drop_columns(["paid"]))

    with pytest.raises(ValueError, match=r"columns of members differ .*\['paid'\]"):
        write()
    assert names(store.folder) == set()


def test_a_file_that_is_not_whole_has_no_record(store: RunStore) -> None:
    with (
        store.table_writer("members", 0) as writer,
        pytest.raises(ValueError, match="the file of members is not whole yet"),
    ):
        assert writer.record
    assert writer.record.rows == 0


def test_whoever_fails_half_way_leaves_nothing_and_the_file_before(
    store: RunStore, small_groups: int
) -> None:
    def fail() -> None:
        with store.table_writer("members", 3) as writer:
            writer.write(made_members(250, seed=1))
            raise ZeroDivisionError

    before = write_in_pieces(store, made_members(10), 10)
    with pytest.raises(ZeroDivisionError):
        fail()
    content = (store.folder / before.path).read_bytes()
    assert hashlib.sha256(content).hexdigest() == before.sha256
    assert names(store.folder) == {"shard-00003.parquet"}


# Shards


def test_a_shard_is_finished_once_its_record_stands(store: RunStore) -> None:
    files = [store.write_table("paths", made_rows().paths, shard=4)]
    assert store.finished_shards() == {}
    record = store.finish_shard(4, files, kernel_seconds=1.25)
    assert store.finished_shards() == {4: record}
    assert store.finished_shards()[4].details == {"kernel_seconds": 1.25}


def test_finished_shards_come_in_order_of_their_numbers(store: RunStore) -> None:
    for shard in (12, 100_000, 3):
        store.finish_shard(shard, [])
    assert list(store.finished_shards()) == [3, 12, 100_000]


def test_a_changed_byte_makes_a_shard_unfinished(store: RunStore) -> None:
    write_shards(store, made_rows(), shards=2)
    path = store.folder / "periods" / "shard-00001.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert list(store.finished_shards()) == [0]
    assert list(store.finished_shards(verify=False)) == [0, 1]


def test_a_short_or_missing_file_makes_a_shard_unfinished_without_reading_it(
    store: RunStore,
) -> None:
    write_shards(store, made_rows(), shards=3)
    path = store.folder / "periods" / "shard-00001.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    (store.folder / "paths" / "shard-00002.parquet").unlink()
    assert list(store.finished_shards(verify=False)) == [0]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"shard": 0}', '{"shard": 1, "files": [], "details": {}}']
)
def test_a_damaged_record_makes_a_shard_unfinished(store: RunStore, content: str) -> None:
    store.finish_shard(0, [])
    (store.folder / "shards" / "shard-00000.json").write_text(content)
    assert store.finished_shards() == {}


def test_files_that_are_not_ours_are_left_alone(store: RunStore) -> None:
    write_shards(store, made_rows())
    strange = [
        store.folder / "notes.txt",
        store.folder / "shards" / "shard-x.json",
        store.folder / "periods" / ".shard-00009.parquet.tmp",
        store.folder / "periods" / ".shard-00000.parquet.huzhu-elsewhere~1~0123abcd.tmp",
    ]
    for path in strange:
        path.write_text("mine")
    assert list(store.finished_shards()) == [0, 1]
    assert store.remove_leftovers() == []
    assert all(path.read_text() == "mine" for path in strange)


# Writers that die


HANGING_WRITER = """
    import os, sys, time
    from results.store import create_run
    from tests.results.synthetic import made_rows

    store = create_run(sys.argv[1])
    store.write_table("paths", made_rows().paths, 0)

    def hang(handle):
        print("flushing", flush=True)
        time.sleep(600)

    os.fsync = hang
    store.write_table("paths", made_rows(seed=1).paths, int(sys.argv[2]))
"""


@pytest.mark.parametrize("shard", [0, 1])
def test_a_writer_killed_before_its_rename_leaves_what_was_there(
    tmp_path: Path, shard: int
) -> None:
    writer = in_a_process(HANGING_WRITER, tmp_path, shard)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "flushing\n"
    store = RunStore(tmp_path)
    assert store.leftovers() == [], "its writer is alive"
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert [path.name for path in (tmp_path / "paths").glob("*.parquet")] == ["shard-00000.parquet"]
    rows = pq.read_table(tmp_path / "paths" / "shard-00000.parquet", partitioning=None)
    assert rows.to_pylist() == made_rows().paths.to_pylist()
    assert len(store.leftovers()) == 1
    assert len(store.remove_leftovers()) == 1
    assert names(tmp_path) == {"shard-00000.parquet"}


BUSY_WRITER = """
    import itertools, sys
    from results.store import create_run
    from tests.results.synthetic import made_rows

    store, made = create_run(sys.argv[1]), made_rows(points=40, paths=20, periods=20)
    print("writing", flush=True)
    for shard in itertools.count():
        files = [store.write_table("periods", made.periods, shard)]
        store.finish_shard(shard, files)
        if shard == 2:
            print("three", flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_no_half_file(tmp_path: Path) -> None:
    writer = in_a_process(BUSY_WRITER, tmp_path)
    assert writer.stdout is not None
    assert [writer.stdout.readline() for _ in range(2)] == ["writing\n", "three\n"]
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    store = RunStore(tmp_path)
    finished = store.finished_shards()
    assert len(finished) >= 3
    for path in tmp_path.rglob("*.parquet"):
        assert pq.read_table(path, partitioning=None).num_rows > 0
    for path in tmp_path.rglob("shard-*.json"):
        assert json.loads(path.read_text())["shard"] in finished
    store.remove_leftovers()
    assert not any(is_temporary(name) for name in names(tmp_path))


STREAMING_WRITER = """
    import sys, time
    from results import parquet
    from results.store import create_run
    from tests.results.synthetic import made_members

    parquet.ROWS_OF_A_GROUP = 100
    with create_run(sys.argv[1]).table_writer("members", 0) as writer:
        writer.write(made_members(950))
        print("half way", flush=True)
        time.sleep(600)
"""


def test_a_writer_killed_half_way_through_its_pieces_leaves_a_leftover_alone(
    tmp_path: Path,
) -> None:
    writer = in_a_process(STREAMING_WRITER, tmp_path)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "half way\n"
    store = RunStore(tmp_path)
    assert store.leftovers() == [], "its writer is alive"
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert list(tmp_path.rglob("*.parquet")) == []
    assert len(store.remove_leftovers()) == 1
    assert names(tmp_path) == set()


def test_a_temporary_name_tells_whose_it_is() -> None:
    assert not is_temporary("shard-00000.parquet")
    assert not is_leftover("shard-00000.parquet")
    assert not is_leftover(".a.json.huzhu-elsewhere~1~0123abcd.tmp")
    own = f".a.json.huzhu-{os.uname().nodename}~{os.getpid()}~0123abcd.tmp"
    assert is_temporary(own)
    assert not is_leftover(own)
    assert is_leftover(own.replace(f"~{os.getpid()}~", f"~{2**22 + 1}~"))


# Disks and folders that refuse


FILLING_WRITER = """
    import resource, signal, sys
    from pathlib import Path
    from results.atomic import StoreError
    from results.store import create_run
    from tests.results.synthetic import made_rows

    store, made = create_run(sys.argv[1]), made_rows(points=20, paths=20)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        store.write_table("periods", made.periods, 0)
    except StoreError as error:
        print(error)
"""


def test_a_disk_that_fills_is_told_with_needs_free_and_remedy(tmp_path: Path) -> None:
    printed, _ = in_a_process(FILLING_WRITER, tmp_path).communicate()
    assert "shard-00000.parquet: disk full (File too large): needs " in printed
    assert "needs 0 bytes" not in printed
    assert ", free " in printed
    assert printed.endswith("; free space or use --results DIR\n")
    assert len(printed.splitlines()) == 1
    assert names(tmp_path) == set()


FILLING_IN_PIECES = """
    import resource, signal, sys
    from results import parquet
    from results.store import create_run
    from results.atomic import StoreError
    from tests.results.synthetic import made_members

    parquet.ROWS_OF_A_GROUP = 100
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    try:
        with create_run(sys.argv[1]).table_writer("members", 0) as writer:
            for seed in range(100):
                writer.write(made_members(100, seed))
                written = seed
    except StoreError as error:
        print(error)
    assert written < 20
"""


def test_a_disk_that_fills_ends_a_writer_at_once(tmp_path: Path) -> None:
    printed, _ = in_a_process(FILLING_IN_PIECES, tmp_path).communicate()
    assert "shard-00000.parquet: disk full (File too large): needs " in printed
    assert "needs 0 bytes" not in printed
    assert printed.endswith("; free space or use --results DIR\n")
    assert len(printed.splitlines()) == 1
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, r"a\.json: disk full: needs 5 bytes, free .*; free space or use --results"),
        (errno.EDQUOT, r"a\.json: your quota on this disk is used up \(.*\): needs 5 bytes; rem"),
        (errno.EROFS, r"a\.json: not writable \(Read-only file system\); use --results DIR"),
        (errno.EMFILE, r"a\.json: not writable \(Too many open files\); .*`ulimit -n 4096`"),
        (errno.ENFILE, r"a\.json: not writable \(Too many open files in system\); .*file-max"),
        (errno.ENAMETOOLONG, r"a\.json: not writable \(File name too long\); give a shorter"),
        (errno.EACCES, r"a\.json: not writable \(Permission denied\).*--results DIR"),
        (errno.EIO, r"a\.json: cannot be written \(Input/output error\); use --results DIR"),
    ],
)
def test_what_the_system_refuses_is_told_and_leaves_the_file_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    write_whole(tmp_path / "a.json", b"old")

    def refuse(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=message):
        write_whole(tmp_path / "a.json", b"newer")
    assert (tmp_path / "a.json").read_bytes() == b"old"
    assert names(tmp_path) == {"a.json"}


def test_an_interrupted_write_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a.json", b"new")
    assert names(tmp_path) == set()


def test_a_file_written_in_pieces_is_counted_and_hashed(tmp_path: Path) -> None:
    with open_whole(tmp_path / "a.bin") as stream:
        assert [stream.write(piece) for piece in (b"one ", b"", b"two")] == [4, 0, 3]
    assert (tmp_path / "a.bin").read_bytes() == b"one two"
    assert (stream.bytes, stream.sha256) == (7, hashlib.sha256(b"one two").hexdigest())


def test_a_file_where_the_results_folder_should_be_is_told(tmp_path: Path) -> None:
    file = tmp_path / "results"
    file.write_text("mine")
    with pytest.raises(StoreError, match=r"results: a file stands where a folder is needed"):
        check_writable(file)
    with pytest.raises(StoreError, match=r"results/runs: a file stands where a folder is needed"):
        check_writable(file / "runs")
    with pytest.raises(StoreError, match=r"a file stands where a folder is needed"):
        create_run(file)
    assert file.read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_told_with_a_remedy() -> None:
    with pytest.raises(StoreError, match=r"^/proc/huzhu.*use --results DIR"):
        check_writable("/proc/huzhu/runs")


def test_a_run_that_does_not_fit_is_told_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"runs: disk full: needs 1000000\.0 GB, free .* GB; free"):
        check_writable(tmp_path / "results" / "runs", needs_bytes=10**15)
    assert list(tmp_path.iterdir()) == [], "no folder is left behind"


def test_a_folder_that_is_writable_is_made_and_left_empty(tmp_path: Path) -> None:
    check_writable(tmp_path / "results" / "runs")
    check_writable(tmp_path / "results" / "runs")
    assert list((tmp_path / "results" / "runs").iterdir()) == []


# Manifest


def test_a_manifest_comes_back_as_it_was_written(store: RunStore) -> None:
    assert store.read_manifest() is None
    manifest = a_manifest(failures=(a_failure(1),), shard_pairs=8)
    store.write_manifest(manifest)
    assert store.read_manifest() == manifest


def test_closing_a_run_counts_its_rows_and_lists_its_files(tmp_path: Path) -> None:
    made = made_rows(points=3)
    run = a_run(tmp_path / "run", made)
    manifest = run.manifest
    assert manifest.status == "complete"
    assert manifest.rows["paths"] == manifest.paths == 15
    assert manifest.rows["periods"] == made.periods.num_rows
    assert manifest.rows["points"] == 3
    assert manifest.rows["summary"] == run.arrow("summary").num_rows
    assert [record.shard for record in manifest.shard_files] == [0, 1]
    assert (manifest.wall_seconds, manifest.kernel_seconds) == (3.5, 2.5)
    assert RunStore(run.folder).read_manifest() == manifest


def test_a_newer_manifest_is_not_guessed_at(store: RunStore) -> None:
    (store.folder / MANIFEST_NAME).write_text(json.dumps({"format": RESULTS_FORMAT + 1}))
    newer = rf"results format {RESULTS_FORMAT + 1}, .* install a newer huzhu"
    with pytest.raises(StoreError, match=newer):
        store.read_manifest()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": "1"}'])
def test_a_manifest_that_is_none_is_told(store: RunStore, content: str) -> None:
    (store.folder / MANIFEST_NAME).write_text(content)
    with pytest.raises(StoreError, match=r"manifest\.json: not a readable manifest"):
        store.read_manifest()


def test_a_manifest_ignores_what_it_does_not_know(store: RunStore) -> None:
    store.write_manifest(a_manifest())
    content = json.loads((store.folder / MANIFEST_NAME).read_text())
    assert Manifest.from_json(content | {"added_later": 1}) == a_manifest()


def test_not_a_number_is_not_written_as_json(store: RunStore) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write_manifest(a_manifest(wall_seconds=float("nan")))
    assert names(store.folder) == set()


# Weight


def test_a_worker_imports_nothing_heavier_than_arrow() -> None:
    code = """
        import sys
        import results.schema, results.store, results.run, results.query, results.table
        import results.summary, results.picture, results.places, results.precision
        heavy = {"duckdb", "polars", "pandas", "scipy", "s3fs", "aiohttp", "altair", "vl_convert"}
        heavy |= {"rich", "numba", "dask"}
        print(sorted(heavy & set(sys.modules)))
    """
    printed, _ = in_a_process(code).communicate()
    assert printed == "[]\n"
