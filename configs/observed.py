"""Observed series: what was published of a real pool, and the calendar of its periods.

A file of them is a CSV table (`configs.csv_text`) with a line for each published figure. A
calibration compares them with what the model says of the period that a date lies in.
"""

import datetime
import math
import os
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import model_validator

from configs.csv_text import CsvError, misfit, read_csv
from configs.dotted import nearest
from configs.messages import ConfigError, value
from configs.numbers import NumberError, number_remedy, read_number
from configs.record import Record, model_field
from configs.text_file import brief

Quantity = Literal[
    "members",
    "payers",
    "share",
    "claims",
    "benefits",
    "share_year",
    "claims_year",
    "benefits_year",
    "claims_cumulative",
    "benefits_cumulative",
]
QUANTITIES: tuple[str, ...] = get_args(Quantity)
OF_ONE_PLAN = ("share", "share_year")
"""Quantities that plans do not add up to."""
REQUIRED = ("date", "quantity", "value", "scope", "error")
OPTIONAL = ("unit", "basis", "source")  # `unit` is for who reads the file
_DATE = re.compile(r"([0-9]{4})([-/])([0-9]{1,2})\2([0-9]{1,2})")
PERIODS_IN_MONTHS = {12: 1, 24: 2, 36: 3}
"""Periods a year that are parts of months, and how many a month has."""


class Observation(Record):
    """One published figure.

    `members` and `payers` are a count at the date's period; `share`, `claims` and `benefits` are
    of that period; `…_year` is the sum over the periods from the first of the calendar year to the
    date's, `…_cumulative` the sum from period 0.
    """

    date: datetime.date = model_field(..., "day that the figure is of", section=12)
    quantity: Quantity = model_field(..., "what was published", section=12)
    value: float = model_field(..., "the figure", section=12, ge=0)
    scope: str = model_field(..., "whom it counts, in free words", section=12, min_length=1)
    error: float = model_field(
        ..., "standard deviation of what was published", unit="that of the value", section=12, gt=0
    )
    source: str = model_field("", "where it was published", section=12)
    basis: str = model_field("", "whether it was read or derived", section=12)


class Observed(Record):
    """Published figures of one real pool, in the order of their file."""

    name: str = model_field(..., "stem of their file", section=12, min_length=1)
    rows: tuple[Observation, ...] = model_field(..., "the figures", section=12, min_length=1)

    @model_validator(mode="after")
    def _each_is_given_once(self) -> Self:
        first: dict[tuple[datetime.date, str, str], int] = {}
        for i, row in enumerate(self.rows):
            before = first.setdefault(_key(row), i)
            if before != i:
                raise ValueError(f"rows[{i}]: {_twice(row)} as in [{before}]")
        return self


def read_observed(path: str | os.PathLike[str]) -> Observed:
    """Read a CSV file of published figures.

    Parameters
    ----------
    path : str or path-like
        CSV file with the columns date, quantity, value, scope and error, and maybe unit, basis
        and source, in any order. `error` is one standard deviation, in the value's own unit.

    Returns
    -------
    Observed
        Named for the file.

    Raises
    ------
    ConfigError
        The message names file, line, column, value and what would be right.
    """
    path = Path(path)
    rows: list[Observation] = []
    lines: dict[tuple[datetime.date, str, str], str] = {}
    for where, cells in _records(path):
        row = _observation(cells, where)
        before = lines.setdefault(_key(row), where)
        if before != where:
            raise ConfigError(f"{where}: {_twice(row)} as in {before.removeprefix(f'{path} ')}")
        rows.append(row)
    if not rows:
        raise ConfigError(f"{path}: expected lines of {', '.join(REQUIRED)}, got none")
    return Observed(name=path.stem, rows=tuple(rows))


def _key(row: Observation) -> tuple[datetime.date, str, str]:
    return row.date, row.quantity, row.scope


def _twice(row: Observation) -> str:
    return f"expected each figure once, got {row.quantity} of {row.scope!r} on {row.date} again,"


def _records(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (file and line, cell by column) for each line that holds a figure."""
    try:
        table = read_csv(path, str(path))
    except CsvError as error:
        raise ConfigError(str(error)) from None
    if not table.header.cells:
        return
    header = _header(table.header.cells, f"{path} line {table.header.number}")
    for line in table.lines:
        where = f"{path} line {line.number}"
        wrong = misfit(table, line)
        if wrong is not None:
            raise ConfigError(f"{where}: {wrong}")
        yield where, dict(zip(header, line.cells, strict=True))


def _header(cells: Sequence[str], where: str) -> list[str]:
    """Return the columns of a file, as they are."""
    expected = f"expected the columns {', '.join(REQUIRED)} (and maybe {', '.join(OPTIONAL)})"
    for column in REQUIRED:
        if column not in cells:
            got = ", ".join(cells)
            raise ConfigError(f"{where}: {expected}, got none called {column!r}: {value(got)}")
    for i, column in enumerate(cells):
        if column not in (*REQUIRED, *OPTIONAL):
            raise ConfigError(f"{where}: {expected}, got {brief(column)}{_hint(column, OPTIONAL)}")
        if column in cells[:i]:
            raise ConfigError(f"{where}: {expected}, each once, got {column!r} again")
    return list(cells)


def _hint(name: str, known: Sequence[str]) -> str:
    near = nearest(name, known)
    return f"; did you mean {near}?" if near else ""


def _observation(cells: dict[str, str], where: str) -> Observation:
    """Return one line's figure."""
    quantity, scope = cells["quantity"], cells["scope"]
    if quantity not in QUANTITIES:
        near = _hint(quantity, QUANTITIES) or f"; known: {', '.join(QUANTITIES)}"
        raise ConfigError(f"{where}: quantity: expected a known one, got {brief(quantity)}{near}")
    if not scope:
        raise ConfigError(f"{where}: scope: expected whom the figure counts, got nothing")
    row: dict[str, Any] = {
        "date": _date(cells["date"], where),
        "quantity": quantity,
        "value": _number(cells["value"], "value", 0, where),
        "scope": scope,
        "error": _error(cells["error"], where),
        "source": cells.get("source", ""),
        "basis": cells.get("basis", ""),
    }
    return Observation(**row)


def _date(cell: str, where: str) -> datetime.date:
    """Return the day that a cell names, year first: spreadsheets write 2019/1/5 for 2019-01-05."""
    match = _DATE.fullmatch(cell)
    try:
        if match is not None:
            return datetime.date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:  # no such day
        pass
    raise ConfigError(
        f"{where}: date: expected a date such as 2018-10-16, got {brief(cell)}; "
        "write year, month and day in this order"
    )


def _number(cell: str, column: str, least: float, where: str) -> float:
    try:
        found = read_number(cell)
    except NumberError:
        found = math.nan
    if not found >= least:
        remedy = number_remedy(cell) or "; write it without unit, % sign or separators"
        raise ConfigError(
            f"{where}: {column}: expected a number of at least {least:.12g}, got {brief(cell)}"
            f"{remedy}"
        )
    return found


def _error(cell: str, where: str) -> float:
    try:
        error = read_number(cell)
    except NumberError:
        error = math.nan
    if not error > 0:
        remedy = number_remedy(cell) or (
            "; a figure that is sure to its last digit has half of that digit"
        )
        raise ConfigError(
            f"{where}: error: expected one standard deviation above 0, in the value's unit, "
            f"got {brief(cell)}{remedy}"
        )
    return error


def period_of(start: datetime.date, periods_per_year: int, day: datetime.date) -> int:
    """Return the period that a day lies in.

    With 24 periods a year they are the days 1 to 15 and 16 to the end of each month, with 12 the
    months, with 36 the days 1 to 10, 11 to 20 and 21 to the end; period 0 is the one in which
    `start` lies. With any other number they are equal parts of calendar years, from `start` on.

    Parameters
    ----------
    start : date
        Day in period 0.
    periods_per_year : int
        P, 1 to 366.
    day : date
        The day.

    Returns
    -------
    int
        Number of the period; negative before period 0.
    """
    if periods_per_year in PERIODS_IN_MONTHS:
        return _slot(day, periods_per_year) - _slot(start, periods_per_year)
    return math.floor((_years(day) - _years(start)) * periods_per_year)


def date_of(start: datetime.date, periods_per_year: int, period: int) -> datetime.date:
    """Return the last day of a period; parameters as in `period_of`.

    With 366 periods a year some lie within a day: such a one has the day before as its last.
    """
    if periods_per_year in PERIODS_IN_MONTHS:
        return _last_day(_slot(start, periods_per_year) + period, periods_per_year)
    end = _years(start) + Fraction(period + 1, periods_per_year)
    year = math.floor(end)
    days = math.ceil((end - year) * _days_in(year))
    return datetime.date(year, 1, 1) + datetime.timedelta(days - 1)


def first_of_year(start: datetime.date, periods_per_year: int, period: int) -> int:
    """Return the first period, from 0 on, that begins in the calendar year in which this one does.

    Parameters as in `period_of`.
    """
    year = _first_day(start, periods_per_year, period).year
    found = period_of(start, periods_per_year, datetime.date(year, 1, 1))
    if _first_day(start, periods_per_year, found).year < year:
        found += 1
    return max(0, found)


def _first_day(start: datetime.date, periods_per_year: int, period: int) -> datetime.date:
    return date_of(start, periods_per_year, period - 1) + datetime.timedelta(1)


def _slot(day: datetime.date, periods_per_year: int) -> int:
    """Return the number of a part of a month, counted from the year 0."""
    in_month = PERIODS_IN_MONTHS[periods_per_year]
    part = min((day.day - 1) // (30 // in_month), in_month - 1)
    return (day.year * 12 + day.month - 1) * in_month + part


def _last_day(slot: int, periods_per_year: int) -> datetime.date:
    """Return the last day of a part of a month."""
    in_month = PERIODS_IN_MONTHS[periods_per_year]
    months, part = divmod(slot, in_month)
    year, month = divmod(months, 12)
    if part < in_month - 1:
        return datetime.date(year, month + 1, (part + 1) * (30 // in_month))
    next_year, next_month = divmod(months + 1, 12)
    return datetime.date(next_year, next_month + 1, 1) - datetime.timedelta(1)


def _years(day: datetime.date) -> Fraction:
    """Return a day as years and the exact part of its year that has gone by."""
    return day.year + Fraction(day.timetuple().tm_yday - 1, _days_in(day.year))


def _days_in(year: int) -> int:
    return datetime.date(year, 12, 31).timetuple().tm_yday
