"""One writer a run folder, and what is set aside."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from results.atomic import StoreError
from results.lock import LOCK_NAME
from results.run import list_runs, open_run
from results.store import create_run, set_aside
from tests.results.synthetic import a_run

ROOT = Path(__file__).parents[2]

HOLDER = """
    import sys, time
    from results.store import create_run

    with create_run(sys.argv[1]).locked():
        print("held", flush=True)
        time.sleep(600)
"""


def a_holder(folder: Path) -> subprocess.Popen[str]:
    """Start a process that holds a folder until it is killed."""
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(folder)]
    holder = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_second_writer_is_told_who_the_first_is_until_that_one_dies(tmp_path: Path) -> None:
    store, holder = create_run(tmp_path / "run"), a_holder(tmp_path / "run")
    with holder:
        try:
            told = rf"run: another run is writing here \(process {holder.pid} on .+\); wait for it"
            with pytest.raises(StoreError, match=told), store.locked():
                pytest.fail("two hold it")
        finally:
            holder.send_signal(signal.SIGKILL)
            holder.communicate()
    with store.locked():
        assert (tmp_path / "run" / LOCK_NAME).read_text().startswith("process ")


def test_two_blocks_of_one_process_do_not_both_hold_a_folder(tmp_path: Path) -> None:
    store = create_run(tmp_path)
    with store.locked(), pytest.raises(StoreError, match="another run is writing"), store.locked():
        pytest.fail("two hold it")
    with pytest.raises(ZeroDivisionError), store.locked():
        raise ZeroDivisionError
    with store.locked():
        pass


def test_different_folders_are_held_by_different_writers(tmp_path: Path) -> None:
    one, other = create_run(tmp_path / "one"), create_run(tmp_path / "other")
    with one.locked(), other.locked():
        pass


def test_a_folder_that_is_not_there_cannot_be_held(tmp_path: Path) -> None:
    store = create_run(tmp_path / "run")
    store.folder.rmdir()
    with pytest.raises(StoreError, match=r"huzhu\.lock: cannot be written"), store.locked():
        pytest.fail("held")


def test_what_is_set_aside_is_all_there_under_a_name_that_says_since_when(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    rows = run.arrow("periods").to_pylist()
    with create_run(run.folder).locked():
        aside = set_aside(run.folder)
    assert re.fullmatch(r"run\.until-\d{8}T\d{6}", aside.name)
    assert not run.folder.exists()
    assert open_run(aside).arrow("periods").to_pylist() == rows
    assert [found.folder for found in list_runs(tmp_path).runs] == [aside]


def test_two_are_set_aside_within_a_second(tmp_path: Path) -> None:
    asides = {set_aside(a_run(tmp_path / "run").folder) for _ in range(3)}
    assert len(asides) == len(list_runs(tmp_path).runs) == 3


def test_a_folder_that_holds_nothing_is_left_where_it_is(tmp_path: Path) -> None:
    store = create_run(tmp_path / "run")
    with store.locked():
        assert set_aside(store.folder) == store.folder
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert set_aside(tmp_path / "gone") == tmp_path / "gone"
