"""CSV files as spreadsheets save them, and what is refused with line and remedy."""

import csv
import datetime
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.age_sex_table import SHIPPED_FOLDER, read_table
from configs.cells import read_cells
from configs.csv_text import CsvError, misfit, read_csv
from configs.draws import Draws
from configs.messages import ConfigError
from configs.observed import read_observed

ROOT = Path(__file__).parents[2]
OBSERVED = ROOT / "configs" / "observed"
CELLS = """cell,members,probability,benefit_yuan,weight,band
under 30,200_000,0.00006,300_000,1,young
30 and more,180_000,0.00012,300_000,2,old
"""
DRAWS = "claims.level,claims.trend_per_year\n0.5,0.00001\n0.7,-0.02\n"


def in_a_spreadsheet(text: str) -> list[list[str]]:
    """Return the cells of a spreadsheet that opened a CSV file and shows its figures its way."""
    rows = [line.split(",") if line.startswith("#") else next(csv.reader([line]))
            for line in text.splitlines()]  # fmt: skip
    return [[shown(cell) for cell in row] for row in rows]


def shown(cell: str) -> str:
    """Return a cell as Excel shows it: 1.05E-05, 2019/1/5."""
    if re.fullmatch(r"\d+\.\d+", cell) and 0 < float(cell) < 1e-3:
        return f"{float(cell):.12E}".replace("0000E", "E")
    if re.fullmatch(r"\d{4}-\d\d-\d\d", cell):
        day = datetime.date.fromisoformat(cell)
        return f"{day.year}/{day.month}/{day.day}"
    return cell


def saved(rows: list[list[str]], **dialect: Any) -> str:
    """Return a spreadsheet as it is saved: every row as wide as the widest, and one column more."""
    width = max(map(len, rows)) + 1
    out = io.StringIO()
    writer = csv.writer(out, **{"lineterminator": "\r\n", **dialect})
    writer.writerows([*row, *[""] * (width - len(row))] for row in [*rows, [], []])
    return out.getvalue()


Read = Callable[[Path], Any]


def read_draws(path: Path) -> Any:
    return Draws.model_validate(str(path))


def cells_of(path: Path) -> Any:
    table = read_cells(path)
    return table.cell, table.members.tolist(), table.probability.tolist(), table.band


def files() -> list[tuple[str, str, Read]]:
    """Return name, text and reader of every kind of CSV file, with all that ship."""
    tables = [(path.name, path.read_text(encoding="utf-8"), read_table)
              for path in sorted(SHIPPED_FOLDER.glob("*.csv"))]  # fmt: skip
    series = [(path.name, path.read_text(encoding="utf-8"), read_observed)
              for path in sorted(OBSERVED.glob("*.csv"))]  # fmt: skip
    return [*tables, *series, ("cells.csv", CELLS, cells_of), ("draws.csv", DRAWS, read_draws)]


KINDS = pytest.mark.parametrize(
    ("name", "text", "read"), files(), ids=[name for name, *_ in files()]
)


def test_every_csv_file_that_ships_and_is_read_is_tried() -> None:
    known = {name for name, *_ in files()}
    assert {path.name for path in (ROOT / "configs").rglob("*.csv")} <= known


@KINDS
def test_a_file_saved_by_a_spreadsheet_reads_as_before(
    tmp_path: Path, name: str, text: str, read: Read
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    before = read(path)
    rows = in_a_spreadsheet(text)
    multiline = [["# a comment\nof two lines"], *rows]
    for written in (
        "\ufeff" + saved(rows),
        saved(rows, lineterminator="\r"),
        saved(multiline, quoting=csv.QUOTE_ALL),
        "sep=,\r\n" + saved(rows),
    ):
        path.write_bytes(written.encode())
        assert read(path) == before


@KINDS
def test_other_separators_and_encodings_are_refused_with_the_remedy(
    tmp_path: Path, name: str, text: str, read: Read
) -> None:
    path = tmp_path / name
    rows = in_a_spreadsheet(text)
    for written, said in (
        (saved(rows, delimiter=";").encode(), r" line \d+: expected commas .*, got semicolons"),
        (
            saved(rows, delimiter="\t").encode(),
            r" line \d+: expected commas .*, got tabs",
        ),
        (b"sep=;\r\n" + saved(rows, delimiter=";").encode(), "line 1: .* got semicolons"),
        (
            saved(rows, delimiter="\t").encode("utf-16"),
            f"{name}: .*got UTF-16 .* save it as CSV",
        ),
        (saved(rows).replace("\r\n", "\0\r\n", 3).encode(), f"{name}: .*a NUL character in line 1"),
        ("重大疾病".encode("gbk"), f"{name}: expected UTF-8 text, .* save the file as CSV UTF-8"),
    ):
        path.write_bytes(written)
        with pytest.raises((ValueError, ConfigError), match=said):
            read(path)


def test_the_field_table_with_a_quoted_comment_reads(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text('"# source: table, 2020 edition"\nage,male,female\n0,1E-04,0.00012\n')
    table = read_table(path)
    assert (table.first_age, table.male, table.female) == (0, (0.0001,), (0.00012,))


def test_cells_hold_commas_quotes_and_line_breaks_and_lines_are_those_of_the_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        b'# it\'s "odd", is it\n\na,"b\r\nc",,\n"x, ""y""\nz",1,,\n,,,\n'
        b'"# 1",2\n  # no line\n3,4,,5\n'
    )
    table = read_csv(path, "a.csv")
    assert table.header == (3, ["a", "b c"])
    assert table.lines == [(5, ['x, "y" z', "1"]), (10, ["3", "4", "", "5"])]
    assert misfit(table, table.lines[0]) is None
    assert misfit(table, table.lines[1]) == (
        "expected 2 cells (a, b c), got 4: '3,4,,5'; put a cell with a comma in quotes"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('a,b\n1,"2\n3,4\n', r'line 2: .*, got a quote that is not closed; .*twice \(""\)'),
        ('a,b\n1,"2"x\n', "line 2: .*, got text after a closing quote"),
        ("a,b\n" + "x" * 10_001 + ",1\n", "line 2: cell 1: .*at most 10_000 char.*, got 10_001"),
        ('a,b\n1,"' + "x" * 140_000 + '"\n', "line 2: expected cells of at most 10_000 char"),
        (",".join("a" * 1001) + "\n", "line 1: expected at most 1000 cells, got 1_001"),
    ],
)
def test_what_is_no_csv_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CsvError, match=f"^a.csv {said}"):
        read_csv(path, "a.csv")


def test_files_beyond_the_limits_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n" * 30, encoding="utf-8")
    monkeypatch.setattr("configs.csv_text.MAX_LINES", 20)
    with pytest.raises(CsvError, match=r"a\.csv line 21: expected at most 20 lines, got more"):
        read_csv(path, "a.csv")
    monkeypatch.setattr("configs.csv_text.MAX_BYTES", 50)
    with pytest.raises(CsvError, match=r"a\.csv: expected a CSV file of at most 50 bytes, got 60"):
        read_csv(path, "a.csv")
