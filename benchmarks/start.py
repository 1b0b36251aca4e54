"""What a run costs besides its kernels: starting, compiling, and the flow around the shards."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.record import Figure, benchmark

HUZHU = str(Path(sys.executable).parent / "huzhu")
QUICKSTART = Path(__file__).parent.parent / "configs" / "quickstart.yaml"


def seconds(*command: str, **variables: str) -> float:
    """Time a command from outside, seconds of wall time; it must succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **variables})
    return time.perf_counter() - start


@benchmark("cli_help_s")
def cli_help_s() -> Figure:
    """Seconds until `huzhu --help` has printed."""
    value = statistics.median(seconds(HUZHU, "--help") for _ in range(5))
    baseline = statistics.median(seconds(sys.executable, "-c", "pass") for _ in range(5))
    return Figure(
        "cli_help_s", value, "s", baseline, value / baseline, "< 1 s", value < 1,
        "starting the interpreter",
    )  # fmt: skip


@benchmark("cold_start_s")
def cold_start_s() -> Figure:
    """Seconds of `huzhu warmup` with an empty cache; the baseline is the same from the cache."""
    with tempfile.TemporaryDirectory() as cache:
        value = seconds(HUZHU, "warmup", NUMBA_CACHE_DIR=cache)
        warm = statistics.median(seconds(HUZHU, "warmup", NUMBA_CACHE_DIR=cache) for _ in range(3))
    return Figure(
        "cold_start_s", value, "s", warm, value / warm, "< 30 s cold, baseline < 2 s",
        value < 30 and warm < 2, "the same with everything in the cache",
    )  # fmt: skip


@benchmark("run_overhead_s")
def run_overhead_s() -> Figure:
    """Wall seconds less kernel seconds a core of the quickstart, with nothing compiled before."""
    with tempfile.TemporaryDirectory() as folder:
        cache, results = Path(folder, "cache"), Path(folder, "results")
        command = (HUZHU, "run", str(QUICKSTART), "--results", str(results))
        wall = seconds(*command, NUMBA_CACHE_DIR=str(cache))
        manifest = json.loads(next(results.glob("*/manifest.json")).read_text())
    baseline = wall - manifest["overhead_seconds"]
    value = manifest["overhead_seconds"] + (wall - manifest["wall_seconds"])
    return Figure(
        "run_overhead_s", value, "s", baseline, value / baseline, "<= 20 s cold", value <= 20,
        "kernel seconds of the run over its workers",
    )  # fmt: skip
