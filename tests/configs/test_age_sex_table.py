"""Tables of rates: the shipped ones, a user's own, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from configs.age_sex_table import (
    SHIPPED_FOLDER,
    AgeSexTable,
    TableError,
    find_table,
    read_table,
    shipped_tables,
)
from configs.csv_text import CsvError

HEADER = "age,male,female\n"
rates = st.floats(min_value=0, max_value=1)
Write = Callable[[str, str], Path]


def table(male: list[float], female: list[float], first_age: int = 0) -> AgeSexTable:
    return AgeSexTable(name="t", first_age=first_age, male=tuple(male), female=tuple(female))


def test_four_published_tables_are_shipped() -> None:
    assert shipped_tables() == (
        "incidence_cn_2006_2010_25_diseases",
        "incidence_cn_2006_2010_6_diseases",
        "incidence_cn_2020_28_diseases",
        "mortality_cn_2010_2013_nonpension_1",
    )


@pytest.mark.parametrize("name", shipped_tables())
def test_shipped_table_covers_every_age_and_names_its_source(name: str) -> None:
    path = SHIPPED_FOLDER / f"{name}.csv"
    shipped = read_table(path)
    assert shipped.name == name
    assert shipped.covers(0, 105)
    assert "# Source: China Life Insurance" in path.read_text(encoding="utf-8")
    assert f"`{name}`" in (SHIPPED_FOLDER / "README.md").read_text(encoding="utf-8")


def test_shipped_figures_are_the_published_ones() -> None:
    incidence = AgeSexTable.model_validate("incidence_cn_2020_28_diseases")
    mortality = AgeSexTable.model_validate("mortality_cn_2010_2013_nonpension_1")
    assert (incidence.rate(0, "male"), incidence.rate(105, "female")) == (0.000438, 0.131754)
    assert (mortality.rate(0, "male"), mortality.rate(0, "female")) == (0.000867, 0.000620)
    assert (mortality.rate(105, "male"), mortality.rate(105, "female")) == (1, 1)


def test_rate_is_that_of_the_age_and_sex() -> None:
    own = table([0.1, 0.2], [0.3, 0.4], first_age=30)
    assert [own.rate(age, "male") for age in (30, 31)] == [0.1, 0.2]
    assert [own.rate(age, "female") for age in (30, 31)] == [0.3, 0.4]


@pytest.mark.parametrize("age", [29, 32])
def test_rate_of_an_age_outside_the_table_is_refused(age: int) -> None:
    with pytest.raises(ValueError, match=f"t: expected an age of 30 to 31, got {age}"):
        table([0.1, 0.2], [0.3, 0.4], first_age=30).rate(age, "male")


def test_band_means_are_means_of_the_single_years() -> None:
    own = table([0.1, 0.2, 0.6], [0.0, 0.5, 1.0], first_age=30)
    means = own.band_means([30, 32, 33])
    assert means.dtype == np.float64
    np.testing.assert_allclose(means, [[0.15, 0.25], [0.6, 1.0]], rtol=1e-15)


@settings(deadline=None)
@given(st.lists(st.tuples(rates, rates), min_size=1, max_size=20))
def test_bands_of_one_year_have_the_rates_themselves(pairs: list[tuple[float, float]]) -> None:
    own = table([male for male, _ in pairs], [female for _, female in pairs], first_age=7)
    np.testing.assert_array_equal(own.band_means(range(7, 8 + len(pairs))), pairs)


def test_bands_outside_the_table_are_refused() -> None:
    with pytest.raises(ValueError, match="expected bands within ages 0 to 1, got 0 to 2"):
        table([0.1, 0.2], [0.3, 0.4]).band_means([0, 3])


def test_own_table_may_have_comments_blank_lines_and_another_order_of_columns(write: Write) -> None:
    text = "# a source\n\nfemale, age, male\n0.3,30,0.1\n# a note\n0.4,31,0.2\n,,\n"
    own = read_table(write("own.csv", text))
    assert own == AgeSexTable(name="own", first_age=30, male=(0.1, 0.2), female=(0.3, 0.4))


def test_spreadsheet_marks_and_line_ends_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_bytes(b"\xef\xbb\xbfage,male,female\r\n0,0.1,0.2\r\n")
    assert read_table(path).rate(0, "female") == 0.2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEADER + "29,0,0\n31,0,0\n",
            "my.csv line 3: age: expected 30, got 31 (ages must follow one another without a gap)",
        ),
        (
            HEADER + "29,0,0\n29,0,0\n",
            "my.csv line 3: age: expected 30, got 29 (ages must follow one another without a gap)",
        ),
        (
            "# source\n" + HEADER + "0,0,1.5\n",
            "my.csv line 3: female: expected a rate per person-year from 0 to 1, got '1.5' "
            "(0.5 % is written 0.005)",
        ),
        (
            HEADER + "0,-0.1,0\n",
            "my.csv line 2: male: expected a rate per person-year from 0 to 1, got '-0.1' "
            "(0.5 % is written 0.005)",
        ),
        (
            HEADER + "0,nan,0\n",
            "my.csv line 2: male: expected a rate per person-year from 0 to 1, got 'nan' "
            "(0.5 % is written 0.005)",
        ),
        (
            HEADER + "0,0.5%,0\n",
            "my.csv line 2: male: expected a rate per person-year from 0 to 1, got '0.5%' "
            "(0.5 % is written 0.005)",
        ),
        (HEADER + "-1,0,0\n", "my.csv line 2: age: expected an age from 0 to 150, got -1"),
        (HEADER + "x,0,0\n", "my.csv line 2: age: expected a whole number of years, got 'x'"),
        (
            HEADER + "0,0\n",
            "my.csv line 2: expected 3 cells (age, male, female), got 2: '0,0'",
        ),
        (
            "age,men,women\n0,0,0\n",
            "my.csv line 1: expected the columns age,male,female as the first line, "
            "got 'age,men,women'",
        ),
        (HEADER, "my.csv: expected lines of age, male, female, got none"),
        ("", "my.csv: expected lines of age, male, female, got none"),
    ],
)
def test_bad_table_is_refused_by_line_and_field(write: Write, text: str, message: str) -> None:
    with pytest.raises(TableError, match=r"my\.csv") as caught:
        read_table(write("my.csv", text))
    assert str(caught.value) == message


def test_table_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_bytes("# 重大疾病\nage,male,female\n0,0,0\n".encode("gbk"))
    with pytest.raises(CsvError, match=r"my\.csv: expected UTF-8 text, got the byte 0xd6 at"):
        read_table(path)


def test_missing_table_lists_the_shipped_ones_and_the_nearest() -> None:
    with pytest.raises(
        TableError,
        match=r"expected a shipped table or an existing CSV file, "
        r"got 'incidence_cn_2021_28_diseases'; did you mean incidence_cn_2020_28_diseases\? "
        r"shipped tables: .*, mortality_cn_2010_2013_nonpension_1",
    ):
        find_table("incidence_cn_2021_28_diseases", Path())


def test_folder_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with pytest.raises(TableError, match="expected a CSV file, got the folder 'sub'"):
        find_table("sub", tmp_path)


def test_sexes_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"female: .* as many rates as male \(1\), got 2"):
        table([0.1], [0.1, 0.2])


def test_relative_path_starts_at_the_folder_of_the_context(write: Write, tmp_path: Path) -> None:
    write("deep/own.csv", HEADER + "0,0.1,0.2\n")
    own = AgeSexTable.model_validate("own.csv", context={"folder": tmp_path / "deep"})
    assert own.name == "own"


def test_table_survives_json() -> None:
    own = table([0.1, 1 / 3], [0.3, 0.4], first_age=5)
    assert AgeSexTable.model_validate_json(own.model_dump_json(), strict=True) == own
