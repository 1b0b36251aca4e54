"""`huzhu` end to end on a real cluster and a real server, and what it says to bad input."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows import cli, warmup
from flows.server import Server
from results.lock import LOCK_NAME
from results.run import open_run
from tests.flows.conftest import Huzhu, environment_of
from tests.flows.processes import contents

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(huzhu: Huzhu, small: Path, results: Path) -> Path:
    """Return the folder of a run, which is the last line that `huzhu run` printed."""
    done = huzhu("run", small, "--results", results)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


@pytest.mark.end_to_end
def test_a_run_leaves_every_table_the_pictures_and_its_report(run: Path) -> None:
    opened = open_run(run)
    assert opened.manifest.status == "complete"
    assert opened.arrow("points").num_rows == 4
    assert opened.arrow("paths").num_rows == 40
    assert opened.arrow("periods").num_rows == opened.manifest.rows["periods"] > 0
    assert opened.arrow("summary").num_rows > 0
    assert (run / "share_and_members.svg").stat().st_size > 0
    assert (run / "share_and_members.png").stat().st_size > 0
    assert "<h2>" in (run / "report.html").read_text()
    assert [file.name for file in run.rglob(".*")] == [LOCK_NAME]
    tables = ("paths", "pools", "periods", "cells", "summary")
    assert {path for path in contents(run) if not path.startswith("points")} == {
        *(f"{table}/from_point=0/{table}-00000.parquet" for table in tables[:4]),
        "summary/shard-00000.parquet",
    }
    assert not list(run.glob("shards/*"))


@pytest.mark.end_to_end
def test_swept_fields_carry_their_unit_and_meaning(run: Path) -> None:
    field = pq.read_schema(run / "points" / "points.parquet").field("plans.main.fee_rate")
    assert field.metadata[b"unit"] == b"share of benefits"
    assert field.metadata[b"meaning"] == b"management fee on benefits"


@pytest.mark.end_to_end
def test_a_manifest_accounts_for_the_time(run: Path) -> None:
    manifest = open_run(run).manifest
    assert 0 < manifest.kernel_seconds < manifest.wall_seconds
    assert 0 < manifest.overhead_seconds < manifest.wall_seconds
    assert {"python", "huzhu", "numba", "prefect"} <= set(manifest.versions)


@pytest.mark.end_to_end
def test_the_same_again_says_that_it_is_there_and_computes_nothing(
    huzhu: Huzhu, small: Path, results: Path, run: Path
) -> None:
    before = (run / "manifest.json").read_bytes()
    done = huzhu("run", small, "--results", results, PREFECT_API_URL="http://127.0.0.1:1/api")
    assert done.returncode == 0
    assert "The run is there; nothing is left to compute." in done.stderr
    assert done.stdout.splitlines()[-1] == str(run)
    assert (run / "manifest.json").read_bytes() == before


@pytest.mark.end_to_end
def test_the_seed_of_the_command_is_the_seed_of_the_file(
    huzhu: Huzhu, small: Path, results: Path, run: Path
) -> None:
    done = huzhu("run", small, "--results", results, "--seed", 7)
    assert done.stdout.splitlines()[-1] == str(run)
    assert "nothing is left" in done.stderr


@pytest.mark.end_to_end
def test_what_is_lost_or_damaged_is_computed_again_byte_for_byte(
    huzhu: Huzhu, small: Path, run: Path, tmp_path: Path
) -> None:
    copy = tmp_path / run.name
    shutil.copytree(run, copy)
    with (copy / "periods" / "from_point=0" / "periods-00000.parquet").open("r+b") as file:
        file.seek(100)
        file.write(b"not what was there")
    (copy / "points" / "points.parquet").unlink()
    (copy / "share_and_members.svg").unlink()
    done = huzhu("run", small, "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    table = copy / "periods" / "from_point=0" / "periods-00000.parquet"
    assert f"{table}: missing or damaged; all paths are simulated again" in done.stderr
    assert f"{copy} is there (4 points, 40 paths)" in done.stderr
    assert done.stdout.splitlines()[-1] == str(copy)
    assert contents(copy) == contents(run)
    assert (copy / "share_and_members.svg").read_bytes() == (
        run / "share_and_members.svg"
    ).read_bytes()


@pytest.mark.end_to_end
def test_a_disk_that_fills_ends_the_run_with_a_message_and_no_half_file(
    prefect_home: Path, prefect_server: Server, small: Path, run: Path, tmp_path: Path
) -> None:
    assert (run / "periods" / "from_point=0" / "periods-00000.parquet").stat().st_size > 20 * 1024
    # no file may pass 20 KiB, which stands for a disk that is full by then
    limited = ["bash", "-c", 'ulimit -f 20; exec "$@"', "bash", sys.executable, "-m", "flows.cli"]
    done = subprocess.run(
        [*limited, "run", str(small), "--results", str(tmp_path), "--seed", "8"],
        env=environment_of(prefect_home, PREFECT_API_URL=prefect_server.address),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == cli.BAD_INPUT, done.stderr
    told = done.stderr.splitlines()[-1]
    assert re.search(r"huzhu: .*/periods/shard-00000\.parquet: disk full .*; free space or", told)
    assert "Traceback" not in done.stderr
    (folder,) = tmp_path.iterdir()
    assert not list(folder.glob("periods/*"))
    assert not list(folder.rglob("*.tmp"))


@pytest.mark.end_to_end
def test_the_printed_query_opens_the_result(
    run: Path, results: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.carry_out(["query", str(run), cli.EXAMPLE, "--format", "json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert [row["point"] for row in sorted(answer, key=lambda row: row["point"])] == [0, 1, 2, 3]


@pytest.mark.end_to_end
def test_a_run_is_found_by_the_beginning_of_its_name(
    run: Path, results: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--results", str(results)]
    assert cli.carry_out(["show", run.name[:8], *arguments]) == 0
    assert "A small pool" in capfd.readouterr().out
    assert cli.carry_out(["list", *arguments]) == 0
    assert run.name in capfd.readouterr().out


@pytest.mark.end_to_end
@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_an_answer_is_written_in_the_format_of_the_files_name(
    run: Path, tmp_path: Path, ending: str
) -> None:
    file = tmp_path / f"answer.{ending}"
    sql = "select point, path from paths order by all"
    assert cli.carry_out(["query", str(run), sql, "--output", str(file)]) == 0
    starts = {"csv": b"point,path\n0,0\n", "json": b'[{"point": 0', "parquet": b"PAR1"}
    assert file.read_bytes().startswith(starts[ending])


@pytest.mark.parametrize(
    ("options", "kind"), [([], "configuration"), (["--of", "calibration"], "calibration")]
)
def test_the_schema_of_files_is_json(
    options: list[str], kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.carry_out(["schema", *options]) == 0
    assert json.loads(capfd.readouterr().out)["title"] == f"huzhu {kind}"


def test_warmup_says_how_long_it_took(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.carry_out(["warmup"]) == 0
    assert "Kernels ready in " in capfd.readouterr().out


@pytest.mark.parametrize("engine", ["cohort", "member"])
def test_warmup_compiles_the_engine_that_it_is_told_to(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []

    def noted(engines: Sequence[str]) -> float:
        compiled.extend(engines)
        return 0.0

    monkeypatch.setattr(warmup, "compile_kernels", noted)
    assert cli.carry_out(["warmup", "--engine", engine]) == 0
    assert compiled == [engine]


def test_warmup_knows_its_engines(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.carry_out(["warmup", "--engine", "steam"]) != 0
    assert "'cohort', 'member'" in capfd.readouterr().err


def test_version_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.carry_out(["version"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 1


@pytest.fixture
def refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Refused:
    """Return a function that runs a command which is bad input, and returns what it says."""

    def run(*arguments: object) -> str:
        before = sorted(tmp_path.rglob("*"))
        assert cli.carry_out([*map(str, arguments)]) == cli.BAD_INPUT
        told = capfd.readouterr()
        assert told.out == ""
        assert "Traceback" not in told.err
        assert sorted(tmp_path.rglob("*")) == before
        return told.err

    return run


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("plans.main.fee_rate=-1", "plans.main.fee_rate: expected .* got -1"),
        ("plans.main.fee_rate=high", "plans.main.fee_rate: expected a number.* got 'high'"),
        ("plans.main.fee=0.1", "plans.main.fee.*did you mean"),
        ("channels.app.motives={trying: 0.5, staying: 0.4}", "sum"),
        ("claims.incidence=nowhere.csv", "nowhere.csv"),
        ("sweep.axes={plans.main.fee_rat: [0.1]}", "fee_rat'; did you mean plans.main.fee_rate"),
        ("sweep.paths=0", "sweep.paths: expected .* got 0"),
        ("fee_rate", "expected dotted.field=value, got 'fee_rate'"),
    ],
)
def test_a_bad_value_is_named_and_leaves_nothing(
    refused: Refused, small: Path, tmp_path: Path, setting: str, message: str
) -> None:
    told = refused("run", small, "--results", tmp_path / "runs", "--set", setting)
    assert len(told.splitlines()) <= 3
    assert re.search(message, told), told


def test_a_missing_file_is_named(refused: Refused, tmp_path: Path) -> None:
    assert "nothing.yaml: expected an existing file" in refused("run", tmp_path / "nothing.yaml")


def test_results_that_cannot_be_written_are_refused_before_anything_starts(
    refused: Refused, small: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    told = refused("run", small, "--results", tmp_path / "file" / "runs")
    assert "a file stands where a folder is needed" in told


def test_a_disk_too_small_is_refused_before_anything_starts(
    refused: Refused, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=9))
    told = refused("run", small, "--results", tmp_path / "runs")
    assert "disk full: needs 192.0 kB, free 9 bytes" in told


@pytest.mark.parametrize("option", [("--seed", -1), ("--workers", 0), ("--sed", 1)])
def test_a_bad_option_is_refused(refused: Refused, small: Path, option: tuple[str, int]) -> None:
    assert option[0] in refused("run", small, *option)


def test_a_run_that_is_not_there_is_named(refused: Refused, tmp_path: Path) -> None:
    told = refused("show", "xianghubao", "--results", tmp_path)
    assert "xianghubao: not a run folder" in told


def test_a_beginning_of_two_names_is_refused(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "small-1").mkdir()
    (tmp_path / "small-2").mkdir()
    told = refused("show", "small", "--results", tmp_path)
    assert "the beginning of more than one run (small-1, small-2)" in told


@pytest.mark.end_to_end
def test_a_wrong_query_is_answered_by_the_database(refused: Refused, run: Path) -> None:
    assert "no_such_column" in refused("query", run, "select no_such_column from paths")


def test_an_internal_failure_shows_where_it_happened(
    small: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("flows.plan.plan", fail)
    assert cli.carry_out(["run", str(small)]) == 1
    told = capfd.readouterr().err
    assert "Traceback" in told
    assert told.splitlines()[-1] == "huzhu: internal failure: a bug"


def test_warnings_come_before_the_run_a_line_each(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_foretell", lambda *_: None)
    rows = "".join(f"{age},0.24,0.24\n" for age in range(60))
    Path("my.csv").write_text(f"age,male,female\n{rows}", encoding="utf-8")
    settings = ("--set", "claims.incidence=my.csv", "--dry-run", "--results", str(tmp_path))
    assert cli.carry_out(["run", str(small), *settings]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("huzhu: warning: claims.incidence: my: ")
    assert "0.24 a year at age " in line
    assert cli.carry_out(["run", str(small), "--dry-run", "--results", str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "{}", "--dry-run"),
        ("run", "{}/config.yaml", "--dry-run"),
        ("run", "quickstart", "--dry-run", "--results", "{}"),
        ("run", "quickstart", "--dry-run", "--cluster", "{}"),
        ("calibrate", "{}"),
        ("show", "{}"),
        ("apportion", "{}", "--bill", "1"),
    ],
)
def test_a_name_that_no_file_system_takes_is_refused_in_a_line(
    arguments: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    name = "a" * 5000
    assert cli.carry_out([argument.format(name) for argument in arguments]) == cli.BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert "expected" in line
