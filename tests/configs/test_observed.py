"""Observed series: what a file of them says, what is refused, and the calendar of periods."""

import datetime
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.messages import ConfigError
from configs.observed import (
    QUANTITIES,
    Observation,
    Observed,
    date_of,
    first_of_year,
    period_of,
    read_observed,
)

Write = Callable[[str, str], Path]
SHIPPED = sorted((Path(__file__).parents[2] / "configs" / "observed").glob("*.csv"))
LAUNCH = date(2018, 10, 16)
FILE = """\
# what a comment says does not count
scope,date,value,quantity,error,source

all plans,2019-01-21,27000000,members,810000,"press, 2019-01"
main plan,2019-01-28,0.03,share,0.02,
"""

starts = st.dates(date(2000, 1, 1), date(2050, 12, 31))
each_calendar = st.sampled_from([1, 4, 12, 24, 36, 52, 365])


def test_a_file_is_read_in_any_order_of_its_columns(write: Write) -> None:
    found = read_observed(write("pool.csv", FILE))
    assert found.name == "pool"
    assert found.rows == (
        Observation(
            date=date(2019, 1, 21),
            quantity="members",
            value=27e6,
            scope="all plans",
            error=810e3,
            source="press, 2019-01",
        ),
        Observation(
            date=date(2019, 1, 28), quantity="share", value=0.03, scope="main plan", error=0.02
        ),
    )


def test_scopes_that_were_guarded_against_spreadsheets_are_read_as_they_were(
    write: Write,
) -> None:
    file = write("pool.csv", FILE.replace("all plans", "'=all").replace("main plan", "'- main'"))
    assert [row.scope for row in read_observed(file).rows] == ["=all", "- main'"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("error,source", "fault,source", "line 2: expected the columns .*none called 'error'"),
        ("error,source", "error,sourc", "line 2: expected .*, got 'sourc'; did you mean source"),
        ("source", "scope", "line 2: .*each once, got 'scope' again"),
        ("2019-01-21", "21.1.2019", "line 4: date: .* such as 2018-10-16, got '21.1.2019'"),
        ("members", "member", "line 4: quantity: .*, got 'member'; did you mean members"),
        ("members", "apples", "line 4: quantity: .*, got 'apples'; known: members, payers"),
        ("27000000", "-1", "line 4: value: expected a number of at least 0, got '-1'"),
        ("27000000", "27 m", "line 4: value: expected a number .*, got '27 m'; write it without"),
        ("810000", "0", "line 4: error: expected one standard deviation above 0, .* got '0'"),
        ("0.02,", ",", "line 5: error: expected one standard deviation above 0, .* got ''"),
        ("0.02,", "nan,", "line 5: error: .* got 'nan'"),
        ("main plan", "", "line 5: scope: expected whom the figure counts, got nothing"),
        ('"press, 2019-01"', "press, 2019-01", "line 4: expected 6 cells .*, got 7: .* in quotes"),
        (
            "main plan,2019-01-28,0.03,share",
            "all plans,2019-01-21,5,members",
            "line 5: expected each figure once, got members of 'all plans' on 2019-01-21 again, "
            "as in line 4",
        ),
    ],
)
def test_what_is_wrong_is_named_by_file_line_and_column(
    write: Write, before: str, after: str, message: str
) -> None:
    path = write("pool.csv", FILE.replace(before, after, 1))
    with pytest.raises(ConfigError, match=f"^pool.csv {message}"):
        read_observed(path)


def test_a_file_without_figures_is_refused(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"^pool.csv: expected lines of date, .*, got none"):
        read_observed(write("pool.csv", "# nothing\n"))
    with pytest.raises(ConfigError, match=r"^none.csv: expected an existing CSV file"):
        read_observed("none.csv")


def test_figures_from_elsewhere_are_given_once_too(write: Write) -> None:
    row = read_observed(write("pool.csv", FILE)).rows[0]
    with pytest.raises(ValueError, match=r"rows\[1\]: expected each figure once"):
        Observed(name="twice", rows=(row, row))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_figures_are_read_with_a_source_each(path: Path) -> None:
    rows = read_observed(path).rows
    assert all(row.source and row.basis in ("read", "derived") for row in rows)
    assert all(row.error / row.value >= 0.01 - 1e-4 for row in rows)


def test_xianghubao_has_its_figures_and_their_errors() -> None:
    rows = read_observed(next(path for path in SHIPPED if path.stem == "xianghubao")).rows
    assert len(rows) == 35
    found = {(row.quantity, row.date.isoformat()): (row.value, row.error) for row in rows}
    assert found["payers", "2019-01-21"] == (23e6, 5.75e6)  # who shared is not told
    assert found["members", "2019-04-15"] == (50e6, 2.25e6)  # the month only: 1.5 times 3 %
    assert found["claims", "2019-05-14"] == (10, 3)  # derived: 1.5 times two cases
    assert found["share", "2019-01-28"] == (0.03, 0.02)
    assert found["benefits_cumulative", "2019-11-27"] == (
        1.875e9,
        150e6,
    )  # a settlement, half of it
    assert {quantity for quantity, _ in found} <= set(QUANTITIES)


@pytest.mark.parametrize(
    ("day", "period"),
    [
        ("2018-10-15", -1),
        ("2018-10-16", 0),
        ("2018-10-26", 0),
        ("2018-11-01", 1),
        ("2019-01-21", 6),
        ("2019-12-31", 28),
        ("2020-12-28", 52),
        ("2022-01-28", 78),
    ],
)
def test_half_months_are_counted_from_that_of_the_start(day: str, period: int) -> None:
    assert period_of(LAUNCH, 24, date.fromisoformat(day)) == period


@pytest.mark.parametrize(
    ("periods_per_year", "day", "period", "last"),
    [
        (12, "2019-02-01", 4, "2019-02-28"),
        (36, "2018-10-20", 0, "2018-10-20"),
        (36, "2018-10-21", 1, "2018-10-31"),
        (36, "2020-02-25", 49, "2020-02-29"),
        (1, "2019-10-15", 0, "2019-10-15"),
        (1, "2019-10-16", 1, "2020-10-15"),
    ],
)
def test_other_calendars(periods_per_year: int, day: str, period: int, last: str) -> None:
    assert period_of(LAUNCH, periods_per_year, date.fromisoformat(day)) == period
    assert date_of(LAUNCH, periods_per_year, period) == date.fromisoformat(last)


@given(start=starts, periods_per_year=each_calendar, period=st.integers(-50, 1000))
def test_the_last_day_of_a_period_is_in_it_and_the_next_is_not(
    start: date, periods_per_year: int, period: int
) -> None:
    last = date_of(start, periods_per_year, period)
    assert period_of(start, periods_per_year, last) == period
    assert period_of(start, periods_per_year, last + datetime.timedelta(1)) == period + 1


@given(start=starts, periods_per_year=each_calendar, period=st.integers(0, 1000))
def test_the_first_period_of_a_year_begins_in_it_and_the_one_before_does_not(
    start: date, periods_per_year: int, period: int
) -> None:
    def year(number: int) -> int:
        return (date_of(start, periods_per_year, number - 1) + datetime.timedelta(1)).year

    first = first_of_year(start, periods_per_year, period)
    assert 0 <= first <= period
    assert year(first) == year(period)
    assert first == 0 or year(first - 1) < year(first)


def test_years_of_a_pool_that_began_in_october() -> None:
    assert [first_of_year(LAUNCH, 24, period) for period in (0, 4, 5, 28, 29, 52)] == [
        *(0, 0, 5, 5, 29, 29)
    ]
