"""Numbers in text: the one rule for CSV files, YAML and options."""

from pathlib import Path

import pytest

from configs.age_sex_table import read_table
from configs.cells import read_cells
from configs.draws import Draws
from configs.messages import ConfigError
from configs.numbers import NumberError, number_remedy, read_number, read_whole_number
from configs.observed import read_observed
from configs.yaml_text import parse

WRONG_GROUPS = [
    "0_001",
    "1_0",
    "1__000",
    "_100",
    "100_",
    "10_00",
    "0.000_1",
    "1_000_00",
    "1_000.5_0",
]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("200_000", 200_000), ("1_000_000.25", 1_000_000.25), ("-12_000", -12_000)),
        *(("1E-04", 0.0001), ("1.2E+08", 120_000_000), ("007", 7), ("+3", 3), ("12_000e2", 1.2e6)),
    ],
)
def test_numbers_read_as_they_are_written(text: str, value: float) -> None:
    assert read_number(text) == value
    if float(value).is_integer():
        assert read_whole_number(text) == value


@pytest.mark.parametrize(
    "text",
    [*WRONG_GROUPS, "1,5", "1.5x", "", "inf", "nan", "1e400", "\uff11\uff12", "9" * 5000, "0x10"],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(NumberError):
        read_number(text)


def test_digits_beyond_those_of_a_float_are_kept_in_whole_numbers() -> None:
    assert read_whole_number("18446744073709551615") == 2**64 - 1
    with pytest.raises(NumberError):
        read_whole_number("3.5")


@pytest.mark.parametrize("text", WRONG_GROUPS)
def test_wrong_groups_are_text_in_yaml_and_a_remedy_is_known(text: str) -> None:
    assert parse(f"a: {text}") == {"a": text}
    assert number_remedy(text) == "; group digits in threes (200_000) or not at all"


def test_remedies_of_decimal_commas_and_wide_digits() -> None:
    assert number_remedy("0,5") == "; write a decimal point, and no separators of thousands"
    assert number_remedy("\uff11\uff12") == "; write it with the digits 0 to 9"
    assert number_remedy("12 a") == number_remedy("x") == number_remedy("") == ""


def test_every_kind_of_csv_file_refuses_wrong_groups(tmp_path: Path) -> None:
    path, remedy = tmp_path / "a.csv", "'0_001'.*; group digits in threes"
    path.write_text("age,male,female\n0,0_001,0\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"line 2: male: .*{remedy}"):
        read_table(path)
    path.write_text("age,male,female\n0_001,0,0\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"line 2: age: .*{remedy}"):
        read_table(path)
    path.write_text("claims.level\n0_001\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"line 2: claims.level: .*{remedy}"):
        Draws.model_validate(str(path))
    path.write_text("cell,members,probability,benefit_yuan\na,0_001,0,0\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"line 2: members: .*{remedy}"):
        read_cells(path)
    figures = "date,quantity,value,scope,error\n2019-01-05,members,0_001,all,1\n"
    path.write_text(figures, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"line 2: value: .*{remedy}"):
        read_observed(path)
    path.write_text(figures.replace("0_001,all,1", "5,all,0_001"), encoding="utf-8")
    with pytest.raises(ConfigError, match=f"line 2: error: .*{remedy}"):
        read_observed(path)


@pytest.mark.parametrize("day", ["2019/1/5", "2019-1-05", "2019/01/05"])
def test_dates_with_the_year_first_read(tmp_path: Path, day: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"date,quantity,value,scope,error\n{day},members,5,all,1\n", encoding="utf-8")
    assert read_observed(path).rows[0].date.isoformat() == "2019-01-05"


@pytest.mark.parametrize("day", ["1/5/2019", "05.01.2019", "2019/1-5", "2019-02-30", "43470"])
def test_other_dates_are_refused_with_the_remedy(tmp_path: Path, day: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"date,quantity,value,scope,error\n{day},members,5,all,1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 2: date: .*; write year, month and day"):
        read_observed(path)
