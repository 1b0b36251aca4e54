"""Warnings: rates in other units, and people whose ages lie unevenly within their bands."""

from collections.abc import Callable
from pathlib import Path

import pytest

from configs.age_sex_table import SHIPPED_FOLDER, read_table, shipped_tables
from configs.catalogue import FOLDER
from configs.cells import read_cells
from configs.load import load
from configs.plausibility import MAX_WARNINGS, cell_warnings, warnings_of

Write = Callable[[str, str], Path]
Rates = Callable[[int], float]

SHIPPED = read_table(SHIPPED_FOLDER / "incidence_cn_2020_28_diseases.csv")
HIGHEST_30 = 0.000949  # men of 30, incidence_cn_2006_2010_25_diseases.csv


def table(write: Write, name: str, rates: Rates) -> str:
    """Write a table with the same rates of both sexes at ages 0 to 59."""
    rows = "".join(f"{age},{rates(age)!r},{rates(age)!r}\n" for age in range(60))
    write(name, f"age,male,female\n{rows}")
    return name


def warned(path: Path, *overrides: str) -> tuple[str, ...]:
    return warnings_of(load(path, overrides))


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_nothing_that_ships_gives_a_warning(name: str) -> None:
    assert warned(FOLDER / f"{name}.yaml") == ()


@pytest.mark.parametrize("name", [n for n in shipped_tables() if n.startswith("incidence_")])
def test_every_shipped_table_is_plausible(small: Path, name: str) -> None:
    assert warned(small, f"claims.incidence={name}") == ()


def test_rates_in_per_cent_are_named_with_age_value_and_the_shipped_rate(
    small: Path, write: Write
) -> None:
    table(write, "cent.csv", lambda age: 0.24 if age == 30 else 0.0)
    (text,) = warned(small, "claims.incidence=cent.csv")
    assert text == (
        f"claims.incidence: cent: male: 0.24 a year at age 30 is {0.24 / HIGHEST_30:,.0f} times "
        f"the highest shipped rate at age 30 ({HIGHEST_30}); 2 of 120 rates are more than 20 "
        "times as high; are they per cent? 0.5 % is written 0.005"
    )


@pytest.mark.parametrize(
    ("rates", "cause"),
    [
        (lambda age: min(1.0, 100 * SHIPPED.rate(age, "male")), "are they per cent?"),
        (lambda age: min(1.0, 1000 * SHIPPED.rate(age, "male")), "are they per mille?"),
        (lambda age: 0.99**age, "are they survivors (lx)?"),
    ],
)
def test_the_likely_cause_is_named(small: Path, write: Write, rates: Rates, cause: str) -> None:
    (text,) = warned(small, f"claims.incidence={table(write, 'my.csv', rates)}")
    assert cause in text
    assert "claims.incidence: my: " in text


def test_mortality_is_compared_with_the_shipped_mortality(small: Path, write: Write) -> None:
    mortality = read_table(SHIPPED_FOLDER / "mortality_cn_2010_2013_nonpension_1.csv")
    table(write, "cent.csv", lambda age: 100 * mortality.rate(age, "male"))
    (text,) = warned(small, "claims.mortality=cent.csv")
    assert text.startswith("claims.mortality: cent: ")
    assert warned(small, "claims.mortality=mortality_cn_2010_2013_nonpension_1") == ()


def test_a_level_below_one_that_makes_probabilities_of_rates_is_no_fault(
    small: Path, write: Write
) -> None:
    table(write, "mille.csv", lambda age: min(1.0, 1000 * SHIPPED.rate(age, "male")))
    assert warned(small, "claims.incidence=mille.csv", "claims.level=0.001") == ()
    (text,) = warned(small, "claims.incidence=mille.csv", "claims.level=0.5")
    # 1000 * 0.000985 at 32, half of it beside 0.001078
    assert "male: 0.985 a year at age 32, times the level 0.5, is 457 times" in text
    assert "are they per mille?" in text


def test_rates_within_twenty_times_of_the_shipped_ones_and_flat_ones_pass(
    small: Path, write: Write
) -> None:
    table(write, "high.csv", lambda age: 8 * SHIPPED.rate(age, "male"))
    table(write, "children.csv", lambda age: 0.01)
    assert warned(small, "claims.incidence=high.csv") == ()
    assert warned(small, "claims.incidence=children.csv") == ()


def test_one_fact_of_many_points_is_told_once_and_swept_tables_are_looked_at(
    small: Path, write: Write
) -> None:
    table(write, "cent.csv", lambda age: 50 * SHIPPED.rate(age, "male"))
    many = "sweep.axes={shock_cap: [1, 2, 3], claims.trend_per_year: [0, 0.1]}"
    assert len(warned(small, "claims.incidence=cent.csv", many)) == 1
    swept = "sweep.axes={claims.incidence: [incidence_cn_2020_28_diseases, cent.csv]}"
    assert len(warned(small, swept)) == 1
    policies = "sweep.policies={now: {}, then: {claims.incidence: cent.csv}}"
    assert len(warned(small, policies)) == 1
    worlds = "sweep.worlds={now: {}, then: {claims.incidence: cent.csv}}"
    assert len(warned(small, worlds)) == 1


def test_more_warnings_than_some_are_counted(small: Path, write: Write) -> None:
    names = [table(write, f"t{i}.csv", lambda age, i=i: 0.5 + i / 100) for i in range(8)]  # type: ignore[misc]
    found = warned(small, f"sweep.axes={{claims.incidence: [{', '.join(names)}]}}")
    assert len(found) == MAX_WARNINGS + 1
    assert found[-1] == "and 3 more"


MEMBERS = """
extends: small.yaml
scenario:
  age_edges: [0, 20, 30, 40, 60]
  claims: {incidence: steep.csv, level: 2}
  initial_members:
    - {age: 39, sex: male, motive: bargain, health: standard, members: 300}
    - {age: 30, sex: female, motive: altruist, health: standard, members: 100}
"""


@pytest.fixture
def steep(small: Path, write: Write) -> Path:
    """400 initial members of ages 30 and 39, where the rate is 0.01 at 39 and else 0.001."""
    table(write, "steep.csv", lambda age: 0.01 if age == 39 else 0.001)
    return write("top.yaml", MEMBERS)


def test_initial_members_whose_band_has_another_rate_are_named_with_the_remedy(
    steep: Path,
) -> None:
    # by hand: 300 * 0.02 + 100 * 0.002 = 6.2 of 400; the band's mean rate is 2 * 0.0019
    assert warned(steep) == (
        f"initial_members: {0.0038 * 400 / 6.2 - 1:+.0%} cases a year by bands of ages: the engine "
        "'cohort' gives everybody the mean rate of their band, 0.0038 a year on average, where the "
        "rates of the stated ages give 0.0155; write age_edges of one year around these ages, or "
        "engine: member",
    )


def test_bands_of_one_year_and_the_member_engine_are_no_fault(steep: Path) -> None:
    assert warned(steep, "age_edges=[0, 20, 30, 31, 39, 40, 60]") == ()
    assert warned(steep, "engine=member") == ()
    both = "sweep.axes={engine: [member, cohort]}"
    assert len(warned(steep, both)) == 1


def test_health_counts_and_small_differences_do_not(steep: Path) -> None:
    classes = "health={standard: {incidence_factor: 0}, frail: {}}"
    assert warned(steep, classes) == ()
    flat = "claims.incidence={name: flat, first_age: 0, male: [%s], female: [%s]}"
    rates = ", ".join("0.01052" if age == 39 else "0.01" for age in range(60))
    assert warned(steep, flat % (rates, rates)) == ()  # 300 * 0.052 / 400 less a tenth: 3.4 %
    rates = ", ".join("0.0109" if age == 39 else "0.01" for age in range(60))
    assert len(warned(steep, flat % (rates, rates))) == 1  # 5.5 %


def test_channels_that_draw_one_end_of_a_band_are_named(small: Path, write: Write) -> None:
    table(write, "steep.csv", lambda age: 0.01 if age == 39 else 0.001)
    ages = "channels.organic.ages=[{from_age: 39, to_age: 39, male: 0.5, female: 0.5}]"
    (text,) = warned(small, "claims.incidence=steep.csv", ages)
    banded = (19 * 0.001 + 0.01) / 20  # ages 20 to 39
    assert text.startswith(f"channels.organic.ages: {banded / 0.01 - 1:+.0%} cases a year by bands")
    assert f"{banded:.4g} a year on average, where the rates of the stated ages give 0.01;" in text


def test_deaths_are_compared_as_well(steep: Path, write: Write) -> None:
    table(write, "deaths.csv", lambda age: 0.002 if age == 39 else 0.001)
    found = warned(steep, "claims.mortality=deaths.csv")
    assert len(found) == 2
    assert found[1].startswith(f"initial_members: {0.0011 / 0.00175 - 1:+.0%} deaths a year")


def test_a_probability_above_every_yearly_rate_is_named_with_its_cell(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    head = "cell,members,probability,benefit_yuan\n"
    path.write_text(f"{head}a,9,0.19,1\nb,9,0.24,1\nc,9,0.9,1\n", encoding="utf-8")
    (text,) = cell_warnings(read_cells(path), "cells.csv")
    # 0.1977: men of 105, incidence_cn_2020_28_diseases.csv
    assert text.startswith(
        "cells.csv: probability: 0.24 of the cell 'b' and of 1 more cells is above every yearly "
        "rate of the shipped incidence tables (at most 0.1977, at age 105)"
    )
    path.write_text(f"{head}a,9,0.19,1\n", encoding="utf-8")
    assert cell_warnings(read_cells(path), "cells.csv") == ()
