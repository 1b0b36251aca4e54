"""Command lines: words with a dash first, files that cannot be written, text of other people's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flows import cli, screen
from results.run import Run, RunList, open_run
from results.table import show_run, show_runs
from tests.results.synthetic import a_run, made_rows

COMMENTED = "-- which points are there?\nselect point from points order by point"
Answer = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two runs, the name of one of which begins with a dash."""
    folder = tmp_path_factory.mktemp("runs")
    a_run(folder / "-odd-1234", made_rows(points=2))
    a_run(folder / "plain-1234", made_rows(points=2, seed=1))
    return folder


@pytest.fixture
def answer(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Answer:
    """Return a function that carries out a command in the folder of the runs."""
    monkeypatch.chdir(folder)

    def carried_out(*arguments: str, status: int = 0) -> str:
        assert cli.carry_out(arguments) == status
        told = capfd.readouterr()
        assert (told.out if status else told.err) == ""
        assert "Traceback" not in told.err
        return told.err if status else told.out

    return carried_out


# Words with a dash first.


@pytest.mark.parametrize(
    "arguments",
    [
        ("plain-1234", COMMENTED, "--format", "csv"),
        ("--format", "csv", "plain-1234", COMMENTED),
        ("plain-1234", "--format=csv", COMMENTED),
        ("plain-1234", COMMENTED, "--results", "-odd-1234", "--format", "csv"),
        ("--format", "csv", "plain-1234", "--", COMMENTED),
        ("--format", "csv", "--", "plain-1234", COMMENTED),
        ("-odd-1234", COMMENTED, "--format", "csv"),
        ("-odd", COMMENTED, "--results", ".", "--format", "csv"),
        ("--results=.", "-odd", COMMENTED, "--format", "csv"),
        ("plain-1234", "--a\nselect point from points order by point", "--format", "csv"),
        ("plain-1234", "--a=1\nselect point from points where point >= 0", "--format", "csv"),
    ],
)
def test_sql_and_runs_may_begin_with_a_dash(answer: Answer, arguments: tuple[str, ...]) -> None:
    assert answer("query", *arguments) == "point\n0\n1\n"


def test_several_runs_stay_in_their_order(answer: Answer) -> None:
    sql = "-- which?\nfrom runs select run"
    told = answer("query", "plain-1234", "-odd-1234", sql, "--format", "json")
    assert [row["run"] for row in json.loads(told)] == ["plain-1234", "-odd-1234"]


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("run", ["--set", "-x=-1", "--dry-run"]),
        ("retry", ["--workers", "2"]),
        ("calibrate", ["--until", "-", "--fresh"]),
        ("report", ["--language", "zh"]),
        ("explore", ["--no-browser"]),
        ("show", ["--results", "-r"]),
        ("apportion", ["--bill", "-5"]),
    ],
)
def test_every_command_takes_a_path_that_begins_with_a_dash(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: str, options: list[str]
) -> None:
    monkeypatch.chdir(folder)
    parsed = cli.huzhu.commands[command]
    named = {param.name for param in parsed.params if param.param_type_name == "argument"}
    for path in ("-odd-1234", "-r/x.yaml", "-x.csv"):
        for words in ([path, *options], [*options, path], [*options, "--", path]):
            found = parsed.make_context(command, words).params
            assert [found[name] for name in named] == [path]
            for option in options[1::2]:
                given = [*found.values(), *found.get("overrides", ())]
                assert option in map(str, given) or f"{option}.0" in map(str, given)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("plain-1234", COMMENTED, "--fromat", "csv"), "'--fromat'. Did you mean '--format'?"),
        (("--outptu=x.csv", "plain-1234", COMMENTED), "'--outptu'. Did you mean '--output'?"),
        (("plain-1234", COMMENTED, "--format"), "Option '--format' requires an argument."),
        (("plain-1234", ""), 'expected a query such as "select * from paths", got nothing'),
        (("plain-1234", " \n"), "got nothing"),
        (("plain-1234", "-- why?"), "got only a comment"),
        (("plain-1234", "/* why? */ ;"), "got only a comment"),
    ],
)
def test_a_misspelt_option_and_a_query_of_nothing_are_refused(
    answer: Answer, words: tuple[str, ...], message: str
) -> None:
    assert message in answer("query", *words, status=cli.BAD_INPUT)


# Files that users name.


def test_an_answer_is_whole_whatever_the_case_of_the_ending(answer: Answer, tmp_path: Path) -> None:
    sql = "select r, p.* from range(100) r, points p"
    assert answer("query", "plain-1234", sql, "--output", str(tmp_path / "x.CSV")) == ""
    assert len((tmp_path / "x.CSV").read_text().splitlines()) == 201


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("query", "none", "selct", "--output", "x.tsv"), "x.tsv: expected a name that ends in"),
        (("query", "none", "selct", "--output", "no/x.csv"), "make the folder first"),
        (("query", "none", "selct", "--output", "x", "--format", "csv"), "x: expected a file, got"),
        (("report", "none", "--output", "x.pdf"), "x.pdf: expected a name that ends in .html or"),
        (("report", "none", "--output", "no/x.html"), "make the folder first"),
        (("report", "none", "--figures", "file"), "file: expected a folder, got the file"),
        (("schema", "--output", "no/x.json"), "make the folder first"),
        (("schema", "--output", "x.yaml"), "x.yaml: expected a name that ends in .json"),
        (
            ("calibrate", "none", "--forecast", "x.json"),
            "x.json: expected a name that ends in .csv",
        ),
        (("calibrate", "none", "--figures", "file"), "file: expected a folder, got the file"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_read(
    answer: Answer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "x").mkdir()
    told = answer(*words, status=cli.BAD_INPUT)
    assert message in told
    assert "--results" not in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "x"]


# Text of other people's.

STEERING = "\x1b[2J\u202e"
SEEN = r"\x1b[2J\u202e"


def test_the_terminal_is_not_steered_by_what_is_printed(
    answer: Answer, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sql = f"select '{STEERING}' as \"{STEERING}\", 1 as one"
    assert answer("query", "plain-1234", sql).splitlines() == [
        f"{SEEN}  one",
        f"{'─' * len(SEEN)}  ───",
        f"{SEEN}    1",
    ]
    assert STEERING in answer("query", "plain-1234", sql, "--format", "csv")
    for words in (("show", f"no{STEERING}"), ("show", "a", f"b{STEERING}"), (f"no{STEERING}",)):
        told = answer(*words, status=cli.BAD_INPUT)
        assert r"\u202e" in told
        assert not {"\x1b", "\u202e"} & {*told}
    screen.say(f"{STEERING}: 1 point")
    assert capfd.readouterr().err == f"{SEEN}: 1 point\n"


def test_data_is_as_it_is_but_on_a_terminal(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("query", "plain-1234", f"select '{STEERING}' as a", "--format")
    assert answer(*words, "csv") == f"a\n{STEERING}\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert answer(*words, "csv") == f"a\n{SEEN}\n"
    assert json.loads(answer(*words, "json")) == [{"a": STEERING}]
    assert "name a file by --output" in answer(*words, "parquet", status=cli.BAD_INPUT)


def test_the_table_of_a_run_shows_a_title_with_its_control_characters(folder: Path) -> None:
    run = open_run(folder / "plain-1234")
    steering: Run = replace(run, manifest=replace(run.manifest, scenario_title=STEERING))
    assert show_run(steering).startswith(f"{SEEN} [plain-1234]\n")
    heading, rule, row = show_runs(RunList((steering,), ())).splitlines()
    assert row.endswith(SEEN)
    assert len(rule) >= len(row) > len(heading)


def test_a_bill_is_shared_among_cells_with_any_name(answer: Answer, tmp_path: Path) -> None:
    file = tmp_path / "cells.csv"
    file.write_text(
        f'cell,members,probability,benefit_yuan\n"=cmd|x{STEERING}",1,0.1,5\n-60,1,0.1,5\n', "utf-8"
    )
    words = ("apportion", str(file), "--bill", "4", "--rule", "equal", "--format")
    assert f"\n=cmd|x{SEEN}  " in answer(*words, "table")
    lines = answer(*words, "csv").splitlines()
    assert [line.split(",")[1] for line in lines] == ["cell", f"'=cmd|x{STEERING}", "-60"]
    charges = json.loads(answer(*words, "json"))["charges"]
    assert [charge["cell"] for charge in charges] == [f"=cmd|x{STEERING}", "-60"]
