"""A disk that is really full: a small file system of its own, in a namespace of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

UNSHARE = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--mount", "--map-root-user"]

WRITER = """
    import json, sys
    from pathlib import Path
    from results.atomic import StoreError
    from results import parquet
    from results.store import create_run
    from tests.results.synthetic import made_members, made_rows

    parquet.ROWS_OF_A_GROUP = 200
    folder, made, errors = Path(sys.argv[1]) / "run", made_rows(points=8, paths=8), []
    try:
        store = create_run(folder)
        for shard in range(1000):
            files = [store.write_table("periods", made.periods, shard)]
            with store.table_writer("members", shard) as writer:
                for seed in range(10):
                    writer.write(made_members(100, seed))
            store.finish_shard(shard, [*files, writer.record])
    except StoreError as error:
        errors.append(str(error))
    print(json.dumps({
        "errors": errors,
        "names": sorted(path.name for path in folder.rglob("*") if path.is_file()),
        "finished": len(store.finished_shards(verify=True)),
        "records": len(list((folder / "shards").glob("*.json"))),
    }))
"""


def on_a_small_disk(folder: Path, size_kb: int, code: str) -> subprocess.CompletedProcess[str]:
    """Run Python on `code` with a file system of so many kB at a folder, which goes with it."""
    script = 'mount -t tmpfs -o size="$1"k tmpfs "$2" && exec "$3" -c "$4" "$2"'
    arguments = [str(size_kb), str(folder), sys.executable, textwrap.dedent(code)]
    return subprocess.run(
        [*UNSHARE, "sh", "-c", script, "sh", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A folder to mount a small file system at."""
    if shutil.which("unshare") is None or on_a_small_disk(tmp_path, 64, "pass").returncode:
        pytest.skip("no file system can be mounted here: neither root nor user namespaces")
    return tmp_path


@pytest.mark.parametrize("size_kb", [60, 200, 333, 700, 1500])
def test_a_full_disk_leaves_whole_files_and_says_what_was_needed(disk: Path, size_kb: int) -> None:
    answer = on_a_small_disk(disk, size_kb, WRITER)
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert len(told["errors"]) == 1
    assert ": disk full: needs " in told["errors"][0]
    assert ", free " in told["errors"][0]
    assert told["errors"][0].endswith("; free space or use --results DIR")
    assert not [name for name in told["names"] if name.endswith(".tmp")]
    assert told["finished"] == told["records"]
    assert list(disk.iterdir()) == [], "what was mounted is gone with its process"


def test_a_larger_disk_takes_more_shards(disk: Path) -> None:
    finished = [
        json.loads(on_a_small_disk(disk, size_kb, WRITER).stdout)["finished"]
        for size_kb in (60, 700, 1500)
    ]
    assert finished[0] == 0
    assert 0 < finished[1] < finished[2]
