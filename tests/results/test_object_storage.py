"""The run folder in object storage: a real S3 server on this machine, real requests."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pytest
import s3fs
from moto.server import ThreadedMotoServer
from upath import UPath

from results import places
from results.atomic import StoreError
from results.picture import write_picture
from results.places import Folder, place, write_whole
from results.precision import imprecise_points
from results.query import query
from results.run import Run, RunError, list_runs, open_run
from results.store import RunStore, check_writable, create_run, set_aside
from results.summary import summarise
from results.table import show_run
from tests.results.synthetic import (
    a_failure,
    a_manifest,
    a_run,
    close,
    compacted,
    made_members,
    made_rows,
    write_shards,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An S3 server on a free port of this machine; the environment points to it."""
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            environment.delenv(name)
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }.items():
            environment.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        yield f"http://{host}:{port}"
        s3fs.S3FileSystem.clear_instance_cache()
    running.stop()


@pytest.fixture
def bucket(server: str) -> str:
    """URL of a bucket of its own."""
    name = f"runs-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}"


def keys(folder: Folder) -> set[str]:
    """Return the names of the objects of a run, asked of the server by another client."""
    assert isinstance(folder, UPath)
    name, _, prefix = folder.path.partition("/")
    listed = boto3.client("s3").list_objects_v2(Bucket=name, Prefix=prefix)
    return {entry["Key"].removeprefix(prefix + "/") for entry in listed.get("Contents", [])}


@pytest.fixture
def run(bucket: str) -> Run:
    """A complete run of two shards."""
    return a_run(place(f"{bucket}/results/small-0123"), made_rows(plans=("main", "elder")))


def test_a_run_in_storage_is_as_one_in_a_folder(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "small-0123"
    local = a_run(folder, made_rows(plans=("main", "elder")))
    assert keys(run.folder) == {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    }
    assert run.manifest == local.manifest
    assert open_run(str(run.folder)) == run
    for table in run.tables:
        assert run.arrow(table).equals(local.arrow(table))
    assert show_run(run) == show_run(local)
    assert [record.sha256 for record in write_picture(run)] == [
        record.sha256 for record in write_picture(local)
    ]


@pytest.mark.parametrize("table", ["points", "paths", "periods", "members", "summary"])
def test_arrow_polars_pandas_and_duckdb_agree(run: Run, table: str) -> None:
    arrow = run.arrow(table)
    assert run.polars(table).collect().rows(named=True) == arrow.to_pylist()
    assert run.pandas(table)["point"].tolist() == arrow["point"].to_pylist()
    with run.duckdb() as connection:
        found = connection.sql(f"from {table}").fetchall()
    assert found == [tuple(row.values()) for row in arrow.to_pylist()]


def test_a_run_in_storage_is_asked_in_sql(run: Run) -> None:
    sql = "select point, count(*) as paths from paths group by point order by point"
    assert query(run, sql, "csv") == "point,paths\n0,5\n1,5\n"


def test_a_run_in_storage_is_asked_beside_one_in_a_folder(tmp_path: Path, run: Run) -> None:
    here = a_run(tmp_path / "here")
    sql = "select run, count(*) as paths from paths group by run order by run"
    assert query([run, here], sql, "csv") == "run,paths\nhere,10\nsmall-0123,10\n"


def test_a_name_that_looks_like_a_pattern_is_a_name(bucket: str) -> None:
    made = made_rows()
    store = create_run(f"{bucket}/it's [a] *run")
    store.write_manifest(a_manifest())
    write_shards(store, made, 3)
    assert len(store.finished_shards(verify=True)) == 3
    assert len(summarise(store, made.shapes)) == 1
    run = compacted(store, a_manifest())
    assert run.arrow("paths").num_rows == run.polars("paths").collect().height == 10
    assert not [key for key in keys(run.folder) if "shard-0000" in key and "summary" not in key]


def test_runs_are_listed_and_strangers_passed_over(bucket: str) -> None:
    for name, started in (("b", "2026-01-03"), ("a", "2026-01-05")):
        manifest = a_manifest(name=name, started=started)
        create_run(f"{bucket}/runs/{name}").write_manifest(manifest)
    write_whole(place(f"{bucket}/runs/notes/mine.txt"), b"mine")
    write_whole(place(f"{bucket}/runs/worse/manifest.json"), b"{")
    listing = list_runs(f"{bucket}/runs")
    assert [run.manifest.name for run in listing.runs] == ["b", "a"]
    assert [problem.split(": ")[0] for problem in listing.problems] == [
        f"{bucket}/runs/worse/manifest.json"
    ]


def test_a_shard_counts_once_its_record_and_all_its_files_are_there(bucket: str) -> None:
    store = create_run(f"{bucket}/run")
    write_shards(store, made_rows(), 3)
    assert list(store.finished_shards(verify=True)) == [0, 1, 2]
    size = len((store.folder / "periods/shard-00001.parquet").read_bytes())
    write_whole(store.folder / "periods/shard-00001.parquet", b"x" * size)
    assert list(store.finished_shards(verify=True)) == [0, 2]
    assert list(store.finished_shards(verify=False)) == [0, 1, 2]
    assert store.finished_shard(1) is None
    assert store.finished_shard(2) == store.finished_shards()[2]
    places.remove([store.folder / "periods/shard-00002.parquet"])
    write_whole(store.folder / "shards/shard-00000.json", b"{")
    assert list(store.finished_shards(verify=False)) == [1]
    assert store.finished_shard(2) is None


def test_failures_come_back(bucket: str) -> None:
    store = create_run(f"{bucket}/run")
    store.finish_shard(4, [], [a_failure(1, 4)], paths=2)
    assert store.failed_shards()[4].failures == (a_failure(1, 4),)


def test_rows_written_in_pieces_are_there_at_the_end_and_not_before(bucket: str) -> None:
    store, rows = create_run(f"{bucket}/run"), made_members(500)
    with store.table_writer("members", 3) as writer:
        writer.write(rows)
        assert keys(store.folder) == set()
    assert keys(store.folder) == {writer.record.path}
    assert store.is_whole(writer.record)
    odd = rows.drop_columns(["paid"])
    with (
        pytest.raises(ValueError, match="columns of members"),
        store.table_writer("members", 4) as writer,
    ):
        writer.write(odd)
    assert keys(store.folder) == {"members/shard-00003.parquet"}


WRITER = """
    import sys
    from results.store import create_run
    from tests.results.synthetic import made_rows, write_shards

    write_shards(create_run(sys.argv[1]), made_rows(), shards=2)
"""


def in_a_process(code: str, *arguments: object) -> int:
    """Run Python on `code` from the project's root; its exit status."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def test_a_shard_that_another_process_finished_is_seen(bucket: str) -> None:
    store = create_run(f"{bucket}/run")
    assert store.finished_shards() == {}
    assert store.finished_shard(1) is None
    assert in_a_process(WRITER, store.folder) == 0
    assert list(store.finished_shards()) == [0, 1]
    assert store.finished_shard(1) is not None


def test_compacting_gives_the_bytes_that_a_folder_gets(tmp_path: Path, bucket: str) -> None:
    made, runs = made_rows(points=3, paths=9), []
    for folder in (tmp_path / "run", place(f"{bucket}/run")):
        store = create_run(folder)
        write_shards(store, made, 5)
        runs.append(compacted(store, a_manifest()))
    assert runs[0].manifest == runs[1].manifest
    assert runs[1].arrow("periods").equals(runs[0].arrow("periods"))
    assert keys(runs[1].folder) == {
        "manifest.json",
        "paths/from_point=0/paths-00000.parquet",
        "periods/from_point=0/periods-00000.parquet",
        "summary/shard-00000.parquet",
    }


KILLED = """
    import itertools, os, sys
    import s3fs
    from results import store
    from results.places import place
    from tests.results.synthetic import compacted

    left = itertools.count(int(sys.argv[2]), -1)

    def dying(step):
        async def taken(self, *given, **named):
            if next(left) == 0:
                os._exit(9)
            return await step(self, *given, **named)
        return taken

    for name in ("_pipe_file", "_put_file", "_bulk_delete"):
        setattr(s3fs.S3FileSystem, name, dying(getattr(s3fs.S3FileSystem, name)))
    run = store.RunStore(place(sys.argv[1]))
    manifest = run.read_manifest()
    if manifest.compacted:
        run.remove_shards()
    else:
        compacted(run, manifest)
"""


@pytest.mark.parametrize("steps", range(7))
def test_a_kill_at_any_step_neither_loses_nor_doubles_a_row(bucket: str, steps: int) -> None:
    made = made_rows(points=2, paths=3, periods=5)
    store = create_run(f"{bucket}/run")
    store.write_manifest(a_manifest())
    write_shards(store, made, 3)
    expected = open_run(store.folder).arrow("periods").to_pylist()
    # two tables, the summary, the manifest; the shards' files, their records
    assert in_a_process(KILLED, store.folder, steps) == (9 if steps < 6 else 0)
    run = open_run(store.folder)
    assert run.manifest.compacted == (steps > 3)
    assert run.arrow("periods").to_pylist() == expected
    if steps < 6:
        assert in_a_process(KILLED, store.folder, 10**6) == 0
        again = open_run(store.folder)
        assert again.arrow("periods").to_pylist() == expected
    assert not [key for key in keys(store.folder) if key.startswith("shards/")]


def test_what_is_known_well_enough_is_read_from_storage(run: Run) -> None:
    def imprecise(half_width: float) -> frozenset[int]:
        return imprecise_points(
            RunStore(run.folder),
            None,
            5,
            outcome="cases",
            half_width=half_width,
            relative_half_width=None,
            confidence=0.95,
        )

    assert imprecise(1.0) == {0, 1}
    assert imprecise(1e12) == frozenset()


def test_what_is_set_aside_is_all_there(run: Run) -> None:
    rows, before = run.arrow("periods").to_pylist(), keys(run.folder)
    aside = set_aside(run.folder)
    assert aside.name.startswith("small-0123.until-")
    assert keys(aside) == before
    assert open_run(aside).arrow("periods").to_pylist() == rows
    with pytest.raises(RunError, match=r"small-0123: not a run folder \(no such folder\)"):
        open_run(run.folder)
    assert set_aside(run.folder) == run.folder


def test_nothing_is_locked_and_nothing_left_over(bucket: str) -> None:
    store = create_run(f"{bucket}/run")
    with store.locked(), store.locked():
        assert store.remove_leftovers() == []
    check_writable(f"{bucket}/deep/runs", needs_bytes=10**18)
    assert keys(place(bucket)) == set()


# What storage says


def test_a_bucket_that_is_not_there_is_told(server: str) -> None:
    with pytest.raises(StoreError, match=r"^s3://gone/runs/.*: no such place \(.*make the bucket"):
        check_writable("s3://gone/runs")
    with pytest.raises(StoreError, match=r"no such place \(The specified bucket does not exist\)"):
        create_run("s3://gone/run").write_table("paths", made_rows().paths, 0)
    with pytest.raises(RunError, match=r"^s3://gone/run: not a run folder"):
        open_run("s3://gone/run")
    with pytest.raises(RunError, match=r"^s3://gone/runs: no such folder"):
        list_runs("s3://gone/runs")


def test_a_file_that_went_away_or_is_damaged_is_told(run: Run) -> None:
    path = run.folder / "points/points.parquet"
    write_whole(path, b"x" * 1000)
    with pytest.raises(RunError, match=r"points\.parquet: cannot be read .*run the configuration"):
        run.arrow("points")
    places.remove([path])
    with pytest.raises(RunError, match=r"points\.parquet: missing; run the configuration again"):
        open_run(run.folder)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """What a process sees whose environment names another storage."""
    s3fs.S3FileSystem.clear_instance_cache()
    yield monkeypatch
    s3fs.S3FileSystem.clear_instance_cache()


def every_use(url: str) -> list[tuple[type[Exception], Any]]:
    """Return every way in which a run asks its storage, and the error that it raises."""
    store, rows = create_run(f"{url}/run"), pa.concat_tables([made_rows().paths])
    return [
        (StoreError, lambda: check_writable(url)),
        (StoreError, lambda: store.write_manifest(a_manifest())),
        (StoreError, lambda: store.write_table("paths", rows, 0)),
        (StoreError, store.read_manifest),
        (StoreError, store.finished_shards),
        (StoreError, lambda: store.finished_shard(0)),
        (RunError, lambda: open_run(store.folder)),
        (RunError, lambda: list_runs(url)),
    ]


def test_a_storage_that_does_not_answer_is_told(bucket: str, elsewhere: pytest.MonkeyPatch) -> None:
    elsewhere.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    elsewhere.setenv("AWS_MAX_ATTEMPTS", "1")
    for error, use in every_use(bucket):
        with pytest.raises(error, match=r"(?s)the storage does not answer \(.*AWS_ENDPOINT_URL"):
            use()


def test_a_storage_that_refuses_is_told(bucket: str, elsewhere: pytest.MonkeyPatch) -> None:
    elsewhere.delenv("AWS_ACCESS_KEY_ID")
    elsewhere.delenv("AWS_SECRET_ACCESS_KEY")
    elsewhere.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for error, use in every_use(bucket):
        with pytest.raises(error, match=r"(?s)the storage refuses \(.*AWS_ACCESS_KEY_ID"):
            use()


def test_close_and_reopen_keep_no_address_or_key(run: Run, server: str) -> None:
    text = (run.folder / "manifest.json").read_bytes().decode()
    assert server not in text
    assert "testing" not in text
    close(RunStore(run.folder), run.manifest, run.manifest.files)
    assert open_run(run.folder) == run
