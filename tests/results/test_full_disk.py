"""A disk that is really full: a small file system of its own, in a namespace of its own."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from results.atomic import refusal

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


def on_a_small_disk(
    folder: Path, size_kb: int, code: str, inodes: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run Python on `code` with a file system of so many kB at a folder, which goes with it.

    It takes so many files and folders as there are inodes; without a number as many as fit.
    """
    script = 'mount -t tmpfs -o "$1" tmpfs "$2" && exec "$3" -c "$4" "$2"'
    options = f"size={size_kb}k,nr_inodes={inodes}"
    arguments = [options, str(folder), sys.executable, textwrap.dedent(code)]
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


@pytest.mark.parametrize("inodes", [2, 4, 12])
def test_a_disk_without_inodes_is_not_told_as_a_full_one(disk: Path, inodes: int) -> None:
    answer = on_a_small_disk(disk, 8000, WRITER, inodes)
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    (error,) = told["errors"]
    assert "the disk has no inodes left for another file or folder (free " in error
    assert error.endswith("; remove files or use --results DIR")
    assert "needs" not in error
    assert not [name for name in told["names"] if name.endswith(".tmp")]
    assert told["finished"] == told["records"]


def test_inodes_are_counted_where_the_file_system_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a file system of one's own: what the system says is made up."""
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    file = tmp_path / "not" / "there.json"
    found = os.statvfs(tmp_path)
    cases = {
        (1000, 0): "there.json: the disk has no inodes left for another file or folder (free ",
        (1000, 1): "there.json: disk full: needs 5 bytes, free ",
        (0, 0): "there.json: disk full: needs 5 bytes, free ",
    }
    for (files, left), expected in cases.items():
        said = (*found[:5], files, left, left, *found[8:])
        monkeypatch.setattr(os, "statvfs", lambda _path, said=said: os.statvfs_result(said))
        assert expected in refusal(error, file, 5)
    assert "there.json: disk full: free " in refusal(error, file)
