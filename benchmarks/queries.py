"""What a question to a large run costs: a fan of quantiles over 10**8 rows of `periods`.

The rows are those of a real sweep (the quickstart, simulated first), again and again under other
numbers of points, in the files that a complete run has: some 10 GB, removed at the end.
"""

import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.record import Figure, benchmark
from results import compaction
from results.manifest import FileRecord
from results.run import Run, open_run
from results.store import create_run

HUZHU: Final = str(Path(sys.executable).parent / "huzhu")
QUICKSTART: Final = Path(__file__).parent.parent / "configs" / "quickstart.yaml"

ROWS: Final = int(os.environ.get("HUZHU_BENCHMARK_ROWS", str(10**8)))
"""Rows of `periods`, at least."""

FAN: Final = "quantile_cont(share, [0.05, 0.25, 0.5, 0.75, 0.95]) as fan"
GB: Final = 1e9


@lru_cache(maxsize=1)
def _place() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of everything, which goes when this process ends."""
    return tempfile.TemporaryDirectory(prefix="huzhu-queries-")


@lru_cache(maxsize=1)
def large_run() -> Run:
    """Return a run of `ROWS` rows, made once."""
    folder = Path(_place().name)
    command = [HUZHU, "run", str(QUICKSTART), "--results", str(folder / "runs")]
    subprocess.run(command, check=True, capture_output=True)
    small = open_run(next((folder / "runs").glob("quickstart-*")))
    began = time.perf_counter()
    store = create_run(folder / "large")
    files: list[FileRecord] = []
    for record in compaction.write_files(store.folder, "periods", repeated(small)):
        files.append(record)
        rows, size = sum(one.rows for one in files), sum(one.bytes for one in files)
        told = f"{rows:,} rows, {size / GB:.1f} GB, {time.perf_counter() - began:.0f} s"
        print(f"  wrote {told}", file=sys.stderr, flush=True)
    store.write_manifest(dataclasses.replace(small.manifest, files=tuple(files)))
    return open_run(store.folder)


def repeated(small: Run) -> Iterator[pa.Table]:
    """Yield the rows of a run again and again, under points of their own, in their order."""
    block, points = small.arrow("periods"), small.manifest.points
    number, place = block["point"], block.schema.get_field_index("point")
    for again in range(-(-ROWS // block.num_rows)):
        shifted = pc.add(number, pa.scalar(points * again, number.type))
        yield block.set_column(place, block.schema.field(place), shifted)


def _forgotten(run: Run) -> None:
    """Have the operating system forget a run's files, so that the next reader reads the disk."""
    for path in run.files("periods"):
        with open(str(path), "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _seconds(run: Run, sql: str) -> float:
    """Time a question from opening the run to its last row."""
    began = time.perf_counter()
    with run.duckdb() as connection:
        rows = connection.sql(sql).fetchall()
    assert rows
    return time.perf_counter() - began


def _cold_and_warm(run: Run, sql: str, times: int) -> tuple[float, float]:
    """Time a question from the disk, and with its files in memory if they fit, as a median."""
    _forgotten(run)
    cold = _seconds(run, sql)
    warm = statistics.median(_seconds(run, sql) for _ in range(times))
    print(f"  {cold:.2f} s from the disk, {warm:.2f} s after: {sql}", file=sys.stderr, flush=True)
    return cold, warm


def _fan(name: str, sql: str, plain: str, against: str, goal_s: float, times: int) -> Figure:
    """Measure a fan cold, beside a plain question to the same rows; told as a figure."""
    run = large_run()
    cold, _ = _cold_and_warm(run, sql, times)
    baseline, _ = _cold_and_warm(run, plain, times)
    goal = f"< {goal_s:g} s"
    return Figure(name, cold, "s", baseline, cold / baseline, goal, cold < goal_s, against)


@benchmark("query_fan_one_point_s")
def query_fan_one_point_s() -> Figure:
    """Seconds to the fan of share by period of one point among all, read from the disk."""
    point = large_run().rows("periods") // 14_400
    return _fan(
        "query_fan_one_point_s",
        f"select period, {FAN} from periods where point = {point} group by period order by period",
        f"select period, avg(share) from periods where point = {point} group by period",
        "the mean of the same rows",
        1.0,
        5,
    )


@benchmark("query_fan_all_points_s")
def query_fan_all_points_s() -> Figure:
    """Seconds to the fan of share by period of every point, read from the disk."""
    return _fan(
        "query_fan_all_points_s",
        f"select count(fan) from (select point, period, {FAN} from periods group by all)",
        "select count(point), count(period), sum(share) from periods",
        "reading the same columns",
        10.0,
        3,
    )
