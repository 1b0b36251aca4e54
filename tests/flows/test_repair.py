"""What a complete run promises is there after the same command again, or made again."""

import dataclasses
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flows import plan as planning
from flows import repair, shard, simulate
from flows.cli import huzhu as program
from flows.layout import Shard
from results.picture import PICTURE_NAME, write_picture
from results.report.files import REPORT_NAME
from results.run import open_run
from results.store import CONFIG_NAME, RunStore
from tests.flows.in_process import computed

PICTURE = f"{PICTURE_NAME}.png"
DERIVED = (REPORT_NAME, PICTURE, f"{PICTURE_NAME}.svg", CONFIG_NAME, "points/*", "summary/*")


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(program, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture(scope="module")
def whole(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that was killed between its manifest and its report."""
    run = computed(small, tmp_path_factory.mktemp("runs"))
    files = (*run.manifest.files, *write_picture(run))
    RunStore(run.folder).write_manifest(dataclasses.replace(run.manifest, files=files))
    assert isinstance(run.folder, Path)
    return run.folder


@pytest.fixture
def killed(whole: Path, tmp_path: Path) -> Path:
    """Return a copy of it."""
    return Path(shutil.copytree(whole, tmp_path / "its runs" / whole.name))


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder but the lock's."""
    found = (file for file in folder.rglob("*") if file.is_file() and file.suffix != ".lock")
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


def again(small: Path, run: Path) -> Result:
    """Run the same command again; everything that it says is there is there."""
    done = ask("run", small, "--results", run.parent)
    assert done.exit_code == 0, done.stderr
    assert "The run is there; nothing is left to compute." in done.stderr
    promised = re.findall(r"^(?:Report|Picture): (.*)$", done.stdout, re.MULTILINE)
    assert promised == [str(run / REPORT_NAME), str(run / PICTURE)]
    for file in promised:
        assert Path(file).stat().st_size > 0
    return done


def test_a_run_killed_before_its_report_has_one_after_the_same_command(
    small: Path, killed: Path, tmp_path: Path
) -> None:
    assert not (killed / REPORT_NAME).exists()
    before = files_of(killed)
    assert f"{killed / REPORT_NAME}: missing or older" in again(small, killed).stderr
    assert ask("report", killed, "--output", tmp_path / "other.html").exit_code == 0
    found = files_of(killed)
    assert found.pop(REPORT_NAME) == (tmp_path / "other.html").read_bytes()
    assert found == before

    assert again(small, killed).stderr == "The run is there; nothing is left to compute.\n"
    assert ask("retry", killed).exit_code == 0


def test_what_follows_from_the_tables_is_made_again_byte_for_byte(
    small: Path, killed: Path
) -> None:
    again(small, killed)
    before = files_of(killed)
    for pattern in DERIVED:
        (lost,) = killed.glob(pattern)
        lost.write_bytes(lost.read_bytes()[:-10])
        told, last = again(small, killed).stderr.splitlines()
        assert told.startswith(f"{lost}: missing or"), last
        assert files_of(killed) == before


def test_all_of_it_lost_at_once_is_made_again(small: Path, killed: Path) -> None:
    again(small, killed)
    before = files_of(killed)
    for pattern in DERIVED:
        next(killed.glob(pattern)).unlink()
    assert len(again(small, killed).stderr.splitlines()) == len(DERIVED) + 1
    assert files_of(killed) == before


def test_a_report_of_fewer_paths_is_made_again(small: Path, killed: Path, tmp_path: Path) -> None:
    half = computed(small, tmp_path / "half", finished=False)
    assert ask("report", half.folder).exit_code == 0
    shutil.copy(str(half.folder / REPORT_NAME), killed / REPORT_NAME)
    assert "older than the tables" in again(small, killed).stderr
    assert ask("report", killed, "--output", tmp_path / "other.html").exit_code == 0
    assert (killed / REPORT_NAME).read_bytes() == (tmp_path / "other.html").read_bytes()


def test_a_report_that_the_user_made_stays(small: Path, killed: Path) -> None:
    assert ask("report", killed, "--language", "zh").exit_code == 0
    before = files_of(killed)
    assert again(small, killed).stderr == "The run is there; nothing is left to compute.\n"
    assert files_of(killed) == before


def test_rows_that_are_damaged_are_named_and_simulated_again(small: Path, killed: Path) -> None:
    run, said = planning.plan(small, killed.parent), list[str]()
    (table,) = killed.glob("periods/from_point=*/*.parquet")
    content = table.read_bytes()
    table.write_bytes(content[:100] + b"not what was there" + content[118:])
    assert not repair.is_finished(run, said.append)
    assert said == [
        f"{table}: missing or damaged; all paths are simulated again, because its rows cannot be "
        "made from other files"
    ]


def test_a_damaged_file_of_a_shard_is_named_and_only_that_shard_is_done_again(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = computed(small, tmp_path, finished=False)
    run = planning.plan(small, tmp_path)
    assert half.shards[0].shard == 0
    file = tmp_path / run.folder.name / half.shards[0].files[0].path
    file.write_bytes(file.read_bytes()[::-1])
    tally = simulate._finished(run, again=False)
    assert sorted(tally.pairs) == [record.shard for record in half.shards[1:]]
    told = capsys.readouterr().err
    assert told == f"{file}: missing or damaged; its shard 0 is simulated again\n"
    shard.run(run.address, Shard(0, 0, 0, 8))
    assert sorted(simulate._finished(run, again=False).pairs) == [r.shard for r in half.shards]
    assert capsys.readouterr().err == ""


def test_the_report_says_the_command_that_repeats_the_run(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very command of the report finds the same run, by the digest of all that decides it."""
    monkeypatch.chdir(tmp_path)
    run = computed(small, Path("-a user's runs"), "sweep.seed=12", "sweep.paths=2", "sweep.axes={}")
    assert ask("report", "--", run.folder).exit_code == 0
    page = (run.folder / REPORT_NAME).read_text()
    said = re.search(r"bit for bit: (huzhu run .*?)\.</span>", page)
    assert said is not None
    typed = shlex.split(said[1].replace("&#39;", "'").replace("&#34;", '"'))
    assert Path(typed[-1]).samefile(str(run.folder / CONFIG_NAME))
    done = ask(*typed[1:], "--dry-run")
    assert done.exit_code == 0, done.stderr
    assert (
        Path(done.stdout.split()[-1]).name == run.folder.name == f"small-{run.manifest.digest[:12]}"
    )
    assert open_run(run.folder).manifest.seed == 12
