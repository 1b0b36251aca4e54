"""Where results lie: paths, URLs, and what is said of storage that is not to be had."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from upath import UPath

from results.atomic import StoreError
from results.places import place, read_whole, remove, sizes, write_whole
from results.run import RunError, list_runs, open_run
from results.store import RunStore, check_writable, create_run
from tests.results.synthetic import a_run

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("results/runs", Path("results/runs")),
        ("/srv/runs", Path("/srv/runs")),
        ("file:///srv/my%20runs", Path("/srv/my runs")),
        ("file://localhost/srv/runs", Path("/srv/runs")),
        (Path("a:b"), Path("a:b")),
    ],
)
def test_what_is_on_this_machine_is_a_path(name: str | Path, path: Path) -> None:
    found = place(name)
    assert isinstance(found, Path)
    assert found == path


def test_a_url_is_a_place_in_storage(tmp_path: Path) -> None:
    found = place("memory://runs/small/")
    assert isinstance(found, UPath)
    assert not isinstance(found, Path)
    assert str(found) == "memory://runs/small"
    assert place(found) is found


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nope://a/b", r"^nope://a/b: no storage is known as nope://; write a path, or a URL"),
        ("://a/b", "^://a/b: not a URL; write a path"),
        ("file://runs", "^file://runs: expected an absolute path after file://"),
        ("gs://a/b", r"^gs://a/b: what gs:// needs is not installed; .*gcsfs"),
    ],
)
def test_a_place_that_is_none_is_told(name: str, message: str) -> None:
    for ask, error in (
        (place, StoreError),
        (create_run, StoreError),
        (check_writable, StoreError),
        (open_run, RunError),
        (list_runs, RunError),
    ):
        with pytest.raises(error, match=message):
            ask(name)


WITHOUT_DRIVER = """
    import sys
    sys.modules["s3fs"] = None  # as where it is not installed
    from results.atomic import StoreError
    from results.places import place
    try:
        place("s3://runs/small")
    except StoreError as error:
        print(error)
"""


def test_a_driver_that_is_not_installed_is_told_with_the_command() -> None:
    command = [sys.executable, "-c", textwrap.dedent(WITHOUT_DRIVER)]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed == (
        "s3://runs/small: what s3:// needs is not installed; pip install 'huzhu[s3]'\n"
    )


def test_a_file_url_is_the_folder(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    assert open_run(run.folder.as_uri()) == run
    assert [found.folder for found in list_runs(tmp_path.as_uri()).runs] == [run.folder]


def test_files_are_found_with_their_sizes(tmp_path: Path) -> None:
    for folder in (tmp_path, place("memory://sizes/run")):
        for name in ("a.json", "paths/b.parquet"):
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            write_whole(folder / name, name.encode())
        assert sizes(folder, ["paths", "gone"]) == {"a.json": 6, "paths/b.parquet": 15}
        assert read_whole(folder / "a.json") == b"a.json"
        remove([folder / "a.json", folder / "gone"])
        assert sizes(folder, ["paths"]) == {"paths/b.parquet": 15}
        with pytest.raises(FileNotFoundError):
            read_whole(folder / "a.json")
    assert sizes(tmp_path / "gone", ["paths"]) == {}


def test_a_store_goes_to_another_process(tmp_path: Path) -> None:
    import pickle

    store = RunStore(place("memory://runs/small"))
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert again.folder.storage_options == {"use_listings_cache": False}
