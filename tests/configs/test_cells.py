"""A CSV file of cells is read as it is meant, or refused by line, column, value and remedy."""

from pathlib import Path

import pytest

from configs.cells import read_cells
from configs.messages import ConfigError

HEAD = "cell,members,probability,benefit_yuan"
FULL = f"{HEAD},weight,band,claims_yuan"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cells.csv"


def refused(file: Path, *lines: str) -> list[str]:
    """Return the lines of the message, without the folder of the file."""
    file.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="expected") as caught:
        read_cells(file)
    return str(caught.value).replace(str(file), file.name).splitlines()


def test_columns_may_stand_in_any_order_and_may_be_left_out(file: Path) -> None:
    file.write_text(
        "# a comment\nprobability,cell,benefit_yuan,members\n0.5,一,300_000,7\n,,,\n1,b,0,0\n"
    )
    cells = read_cells(file)
    assert cells.cell == ("一", "b")
    assert cells.members.tolist() == [7, 0]
    assert cells.probability.tolist() == [0.5, 1.0]
    assert cells.benefit_yuan.tolist() == [300_000.0, 0.0]
    assert cells.weight.tolist() == [1.0, 1.0]
    assert cells.band_numbers.tolist() == [0, 0]
    assert cells.claims_yuan is None


def test_weights_bands_and_claims_are_taken_where_they_are_given(file: Path) -> None:
    file.write_text(f"\ufeff{FULL}\na,1,0.1,9,2,old,0\nb,1,0.1,9,0.5,young,9\nc,1,0.1,9,1,old,0\n")
    cells = read_cells(str(file))
    assert cells.weight.tolist() == [2.0, 0.5, 1.0]
    assert cells.band_numbers.tolist() == [0, 1, 0]
    assert cells.claims_yuan is not None
    assert cells.claims_yuan.tolist() == [0.0, 9.0, 0.0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a,1.5,0,0,1,x,0", "members: expected a whole number of persons from 0 to 10_000_000_000, "
         "got '1.5'"),
        ("a,-1,0,0,1,x,0", "members: expected a whole number of persons from 0 to 10_000_000_000, "
         "got '-1'"),
        ("a,1,0.5 %,0,1,x,0", "probability: expected a probability (0.5 % is written 0.005) from 0 "
         "to 1, got '0.5 %'"),
        ("a,1,1.01,0,1,x,0", "probability: expected a probability (0.5 % is written 0.005) from 0 "
         "to 1, got '1.01'"),
        ("a,1,0,nan,1,x,0", "benefit_yuan: expected a number of yuan from 0 to 1_000_000_000_000, "
         "got 'nan'"),
        ("a,1,0,0,inf,x,0", "weight: expected a number from 0 to 1_000_000, got 'inf'"),
        ("a,1,0,0,1,x,", "claims_yuan: expected a number of yuan from 0 to 1_000_000_000_000, got "
         "nothing"),
        (",1,0,0,1,x,0", "cell: expected a name, got nothing"),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_with_line_and_column(file: Path, line: str, said: str) -> None:
    assert refused(file, FULL, "good,1,0,0,1,x,0", line) == [f"cells.csv line 3: {said}"]


def test_all_problems_are_found_at_once_and_three_are_told(file: Path) -> None:
    assert refused(file, HEAD, "a,x,2,0", "a,1,0", "a,1,0,-5") == [
        "cells.csv line 2: members: expected a whole number of persons from 0 to 10_000_000_000, "
        "got 'x'",
        "cells.csv line 2: probability: expected a probability (0.5 % is written 0.005) from 0 to "
        "1, got '2'",
        f"cells.csv line 3: expected 4 cells ({HEAD.replace(',', ', ')}), got 3: 'a,1,0'",
        "and 2 more",
    ]


def test_a_name_that_comes_twice_is_refused(file: Path) -> None:
    assert refused(file, HEAD, "a,1,0,0", "b,1,0,0", "a,1,0,0") == [
        "cells.csv line 4: cell: expected a name of its own, got 'a' again; line 2 has it"
    ]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (f"{HEAD},wieght", f"expected the columns {HEAD} and of weight,band,claims_yuan what is "
         "known, got 'wieght'; did you mean weight?"),
        (f"{HEAD};band", f"expected the columns {HEAD} and of weight,band,claims_yuan what is "
         "known, got 'benefit_yuan;band'; did you mean benefit_yuan?"),
        (f"{HEAD},zz", f"expected the columns {HEAD} and of weight,band,claims_yuan what is "
         "known, got 'zz'"),
        (f"{HEAD},cell", "cell: expected one column of this name, got several"),
        ("cell,members", f"expected the columns {HEAD}, got no probability,benefit_yuan"),
    ],
)  # fmt: skip
def test_a_bad_header_is_refused(file: Path, header: str, said: str) -> None:
    assert refused(file, header, "a,1,0,0") == [f"cells.csv line 1: {said}"]


def test_a_file_needs_cells_and_members(file: Path) -> None:
    assert refused(file, HEAD) == [f"cells.csv: expected a line of {HEAD} for each cell, got none"]
    assert refused(file, "") == [f"cells.csv: expected a line of {HEAD} for each cell, got none"]
    assert refused(file, HEAD, "a,0,0,0") == [
        "cells.csv: members: expected at least 1 in all cells, got 0"
    ]


def test_what_is_no_text_file_is_refused(file: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"cells\.csv: expected an existing CSV file, got no such"
    ):
        read_cells(file)
    with pytest.raises(ConfigError, match="expected a CSV file, got a folder"):
        read_cells(file.parent)
    file.write_bytes(b"cell\xff")
    with pytest.raises(ConfigError, match="expected UTF-8 text, got the byte 0xff at position 4"):
        read_cells(file)
    with pytest.raises(ConfigError, match="expected a readable file, got: "):
        read_cells("/proc/self/mem")


def test_names_that_were_guarded_against_spreadsheets_are_read_as_they_were(file: Path) -> None:
    file.write_text(f"{HEAD},band\n'=cmd|x,1,0.1,9,'- old\n-60,1,0.1,9,'new'\n")
    cells = read_cells(file)
    assert cells.cell == ("=cmd|x", "-60")
    assert cells.band == ("- old", "'new'")
