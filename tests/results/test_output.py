"""Files that users name: whole, of the format that their ending says, or refused."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from results.atomic import StoreError, check_output, check_output_folder, write_output
from results.query import format_of, query, save_query
from results.run import Run, RunError
from tests.results.synthetic import a_run, made_rows


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return a_run(tmp_path_factory.mktemp("runs") / "run", made_rows(points=6))


@pytest.mark.parametrize(
    ("file", "form"),
    [
        ("x.csv", "csv"),
        ("x.CSV", "csv"),
        ("a.b/x.Json", "json"),
        ("x.y.PARQUET", "parquet"),
        ("x.txt", "table"),
    ],
)
def test_the_ending_of_a_file_says_its_format_in_any_case(file: str, form: str) -> None:
    assert format_of(file) == form


@pytest.mark.parametrize(
    "file", ["x.tsv", "x.xlsx", "x.jsonl", "x.pq", "x.csv.gz", "x", ".csv", "csv", ""]
)
def test_an_unknown_ending_is_refused_with_the_known_ones_and_the_remedy(file: str) -> None:
    known = r"expected a name that ends in \.csv, \.json, \.parquet, \.txt; .* --format table, csv"
    with pytest.raises(RunError, match=f"^{re.escape(file)}: {known}"):
        format_of(file)


def test_a_table_in_a_file_is_whole(run: Run, tmp_path: Path) -> None:
    sql = "select *, repeat('x', 90) as long from periods"
    save_query(run, sql, tmp_path / "all.txt", "table")
    lines = (tmp_path / "all.txt").read_text().splitlines()
    rows = run.rows("periods")
    assert rows > 100  # more than a screen is given
    assert len(lines) == rows + 2
    assert all(name in lines[0] for name in (*run.schema("periods").names, "long"))
    assert lines[-1].endswith("x" * 90)
    assert "shown" in str(query(run, sql))


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("gone/x.csv", "expected a file in a folder that exists, got no folder .*gone; make the"),
        ("", "expected the name of a file, got nothing"),
        (".", "expected a file, got a folder; add the name of a file"),
        ("folder", "expected a file, got a folder; add the name of a file"),
        ("file/x.csv", "expected a folder at .*/file, got a file"),
        (
            f"{'x' * 300}.csv",
            r"x\.csv: not writable \(File name too long\); give a shorter name or name another",
        ),
        ("pipe", "expected an ordinary file, got a device or a pipe"),
        ("/dev/null", "expected an ordinary file, got a device or a pipe"),
    ],
)
def test_what_cannot_be_a_file_is_refused_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.rglob("*"))
    for refused in (check_output, lambda name: write_output(name, b"theirs")):
        with pytest.raises(StoreError, match=message) as caught:
            refused(file)
        assert "--results" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_that_may_not_be_written_has_its_own_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StoreError, match=r"x\.csv: not writable .*or name another file$"):
        check_output(tmp_path / "x.csv")
    with pytest.raises(StoreError, match=r"not writable .*or name another folder$"):
        check_output_folder(tmp_path / "new" / "figures")


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("there.csv")
    write_output(tmp_path / "link.csv", b"a\n")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "there.csv").read_bytes() == b"a\n"


@pytest.mark.parametrize(
    ("file", "endings", "fits"),
    [("x.HTML", (".html", ".htm"), True), ("x.pdf", (".html", ".htm"), False), ("x", (), True)],
)
def test_a_file_of_one_kind_has_its_ending(
    tmp_path: Path, file: str, endings: tuple[str, ...], fits: bool
) -> None:
    if fits:
        check_output(tmp_path / file, *endings)
        assert list(tmp_path.iterdir()) == []
        return
    with pytest.raises(StoreError, match=r"x\.pdf: expected a name that ends in \.html or \.htm"):
        check_output(tmp_path / file, *endings)


def test_a_folder_for_figures_may_be_new_but_no_file(tmp_path: Path) -> None:
    check_output_folder(tmp_path / "new" / "figures")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    for folder in ("file", "file/figures"):
        with pytest.raises(StoreError, match=r"expected a folder, got the file .*/file"):
            check_output_folder(tmp_path / folder)
