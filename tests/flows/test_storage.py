"""A whole run where its results do not fit, and where they are no files: the real path."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from flows import cli
from flows.server import Server
from results.run import open_run
from tests.flows.conftest import Huzhu, environment_of
from tests.flows.processes import contents

pytestmark = pytest.mark.end_to_end

UNSHARE = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--mount", "--map-root-user"]

# A run on a disk of so many kB; the same again on a larger one; then both are copied out.
ON_A_SMALL_DISK = """
mount -t tmpfs -o size="$1"k tmpfs "$2" || exit 99
shift 2
"$@"; first=$?
find "$RESULTS" -name '*.tmp' | wc -l >"$OUT/left"
mount -o remount,size=64m "$RESULTS" && "$@"; second=$?
echo "$first $second" >"$OUT/statuses"
cp -r "$RESULTS" "$OUT/runs"
"""


def test_a_run_on_a_full_disk_goes_on_once_there_is_space(
    small: Path, huzhu: Huzhu, tmp_path: Path, prefect_home: Path, prefect_server: Server
) -> None:
    results, out = tmp_path / "disk", tmp_path / "out"
    results.mkdir()
    out.mkdir()
    if shutil.which("unshare") is None:
        pytest.skip("no file system can be mounted here")
    long = ("run", small, "--set", "sweep.paths=400")
    variables = {"PREFECT_API_URL": prefect_server.address, "RESULTS": str(results)}
    command = [sys.executable, "-m", "flows.cli", *map(str, long), "--results", str(results)]
    done = subprocess.run(
        [*UNSHARE, "sh", "-c", ON_A_SMALL_DISK, "sh", "2000", str(results), *command],
        env=environment_of(prefect_home, OUT=str(out), **variables),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode == 99:
        pytest.skip("no file system can be mounted here: neither root nor user namespaces")
    assert (out / "statuses").read_text().split() == ["2", "0"], done.stderr
    assert (out / "left").read_text().strip() == "0"
    assert "disk full: needs " in done.stderr
    assert "Traceback" not in done.stderr
    expected = huzhu(*long, "--results", tmp_path / "other")
    (found,) = (out / "runs").iterdir()
    assert contents(found) == contents(Path(expected.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def storage() -> Iterator[Mapping[str, str]]:
    """Run a server that speaks S3, with a bucket in it; the variables that lead there."""
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="pools")
    yield variables
    running.stop()


def test_a_run_in_object_storage_is_that_of_a_folder(
    small: Path, huzhu: Huzhu, tmp_path: Path, storage: Mapping[str, str]
) -> None:
    there = huzhu("run", small, "--results", "s3://pools/runs", **storage)
    assert there.returncode == 0, there.stderr
    folder = there.stdout.splitlines()[-1]
    assert folder.startswith("s3://pools/runs/small-")
    here = Path(huzhu("run", small, "--results", tmp_path).stdout.splitlines()[-1])

    again = huzhu("run", small, "--results", "s3://pools/runs", **storage)
    assert "nothing is left to compute" in again.stderr
    sql = "select * from summary order by all"
    answers = [
        huzhu("query", run, sql, "--format", "csv", **storage).stdout for run in (folder, here)
    ]
    assert answers[0] == answers[1]
    assert len(answers[0].splitlines()) > 100
    listed = huzhu("list", "--results", "s3://pools/runs", **storage).stdout
    assert here.name in listed
    shown = huzhu("show", "small", "--results", "s3://pools/runs", **storage)
    assert "A small pool" in shown.stdout


def test_a_bucket_that_is_not_there_is_told_before_anything_starts(
    small: Path, huzhu: Huzhu, storage: Mapping[str, str]
) -> None:
    done = huzhu("run", small, "--results", "s3://nowhere/runs", **storage)
    assert done.returncode == cli.BAD_INPUT
    assert "s3://nowhere/runs" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_points_that_fail_end_the_command_with_a_status_of_their_own(
    small: Path, huzhu: Huzhu, tmp_path: Path
) -> None:
    """A benefit of 1e308 yuan has a bill beyond all numbers."""
    benefits = "sweep.axes={plans.main.benefit.0.benefit_yuan: [300_000, 1.0e+308]}"
    done = huzhu("run", small, "--results", tmp_path, "--set", benefits)
    assert done.returncode == cli.POINTS_FAILED, done.stderr
    assert "1 of 2 points failed" in done.stderr
    assert "benefit_yuan=1e+308" in done.stderr
    assert "Traceback" not in done.stderr
    folder = done.stdout.splitlines()[-1]
    run = open_run(folder)
    assert run.manifest.status == "failed"
    assert set(run.pandas("paths")["point"]) == {0}
    (failure, *_) = run.manifest.failures
    assert failure.parameters == {"plans.main.benefit.0.benefit_yuan": 1e308}
    # the same command does not try again, retry does, and each says so
    for command in (("run", small, "--set", benefits), ("retry", Path(folder).name)):
        again = huzhu(*command, "--results", tmp_path)
        assert again.returncode == cli.POINTS_FAILED, again.stderr
        assert "1 of 2 points failed" in again.stderr
    assert json.loads((Path(folder) / "manifest.json").read_text())["status"] == "failed"


def test_a_dry_run_says_what_it_would_take_and_leaves_nothing(
    small: Path, huzhu: Huzhu, tmp_path: Path
) -> None:
    done = huzhu("run", small, "--dry-run", "--results", tmp_path / "runs", "--workers", 2)
    assert done.returncode == 0, done.stderr
    told = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert told["points"] == "4"
    assert told["paths"] == "40 (10 of each point)"
    assert told["shards"].startswith("1 of 40 paths")
    assert told["time"].endswith("on 2 workers")
    assert told["disk"].startswith("0.1 MB")
    assert told["memory"].endswith("GB a worker")
    assert told["folder"].startswith(str(tmp_path / "runs" / "small-"))
    assert not (tmp_path / "runs").exists()


def test_a_path_that_fits_in_no_worker_is_refused(
    small: Path, huzhu: Huzhu, tmp_path: Path
) -> None:
    members = ("--set", "engine=member", "--set", "market_members=100_000_000")
    done = huzhu("run", small, *members, "--results", tmp_path, "--dry-run", "--memory", "1GB")
    assert done.returncode == cli.BAD_INPUT, done.stderr
    assert "one path needs about 1.8 GB of memory, a worker has 1.0 GB" in done.stderr
