"""Rates by single year of age and sex: incidence of critical illness, mortality.

A table is a CSV file (`configs.csv_text`) with the columns age, male, female.
Ages follow one another without a gap; rates are per person-year, from 0 to 1. A configuration
names a table that ships with huzhu (the files in `configs/tables`) or a CSV file of one's own.
"""

import difflib
import math
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, GetJsonSchemaHandler, ValidationInfo, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from configs.csv_text import CsvError, misfit, read_csv
from configs.numbers import NumberError, number_remedy, read_number, read_whole_number
from configs.record import Record, model_field
from configs.text_file import brief

SHIPPED_FOLDER = Path(__file__).parent / "tables"
COLUMNS = ("age", "male", "female")
MAX_AGE = 150

Sex = Literal["male", "female"]
Rate = Annotated[float, Field(ge=0, le=1)]


class TableError(CsvError):
    """A table that cannot be used; the message names file, line, field, value and remedy."""


class AgeSexTable(Record):
    """Rates per person-year by single year of age and sex.

    Validating a string reads the table of that name, or the CSV file of that path; a relative
    path starts from the `folder` of the validation context (the working directory without one).
    """

    name: str = model_field(..., "name of the table: its file's, without .csv", section=3)
    first_age: int = model_field(
        ..., "age of the first rates", unit="years", section=3, ge=0, le=MAX_AGE
    )
    male: tuple[Rate, ...] = model_field(
        ..., "rates of men from first_age on", unit="per person-year", section=3, min_length=1
    )
    female: tuple[Rate, ...] = model_field(
        ..., "rates of women from first_age on", unit="per person-year", section=3, min_length=1
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            return _contents(find_table(value, (info.context or {}).get("folder", Path())))
        if isinstance(value, dict):  # a strict check of JSON takes the arrays of a dict for lists
            return {key: tuple(v) if isinstance(v, list) else v for key, v in value.items()}
        return value

    @model_validator(mode="after")
    def _sexes_have_equal_ages(self) -> Self:
        if len(self.male) != len(self.female):
            raise ValueError(
                f"female: expected as many rates as male ({len(self.male)}), got {len(self.female)}"
            )
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of what a file may hold: a name, a path, or the rates themselves."""
        rates = handler.resolve_ref_schema(handler(core_schema))
        name = {
            "type": "string",
            "description": "A shipped table or the path of a CSV file (age, male, female), "
            f"relative to the file that names it. Shipped: {', '.join(shipped_tables())}.",
        }
        return {"anyOf": [name, dict(rates)]}

    @property
    def last_age(self) -> int:
        """Last age with rates, years."""
        return self.first_age + len(self.male) - 1

    def covers(self, first_age: int, last_age: int) -> bool:
        """Whether there are rates for every age from first_age to last_age (years, included)."""
        return self.first_age <= first_age and last_age <= self.last_age

    def rate(self, age: int, sex: Sex) -> float:
        """Return the rate per person-year at an age.

        Parameters
        ----------
        age : int
            Years, first_age to last_age.
        sex : {"male", "female"}

        Returns
        -------
        float
            Per person-year, 0 to 1.

        Raises
        ------
        ValueError
            The table has no rates at this age.
        """
        if not self.covers(age, age):
            raise ValueError(f"{self.name}: expected an age of {self._ages()}, got {age}")
        rates = self.male if sex == "male" else self.female
        return rates[age - self.first_age]

    def band_means(self, edges: Sequence[int]) -> NDArray[np.float64]:
        """Return the mean of the single-year rates in each age band.

        Parameters
        ----------
        edges : sequence of int
            Rising ages, years; band i holds the ages edges[i] .. edges[i+1]-1.

        Returns
        -------
        float64[bands, 2]
            Per person-year; columns male, female.

        Raises
        ------
        ValueError
            The table does not cover the bands.
        """
        if not self.covers(edges[0], edges[-1] - 1):
            raise ValueError(
                f"{self.name}: expected bands within ages {self._ages()}, "
                f"got {edges[0]} to {edges[-1] - 1}"
            )
        rates = np.array([self.male, self.female]).T
        starts = np.asarray(edges) - self.first_age
        return np.array([rates[start:end].mean(0) for start, end in pairwise(starts)])

    def _ages(self) -> str:
        return f"{self.first_age} to {self.last_age}"


def shipped_tables() -> tuple[str, ...]:
    """Return the names of the tables that ship with huzhu, in alphabetical order."""
    return tuple(sorted(path.stem for path in SHIPPED_FOLDER.glob("*.csv")))


def find_table(name: str, folder: Path) -> Path:
    """Return the file of a table.

    Parameters
    ----------
    name : str
        A shipped table's name, or the path of a CSV file.
    folder : Path
        Where a relative path starts.

    Returns
    -------
    Path
        An existing file.

    Raises
    ------
    TableError
        There is no such table; the message lists the shipped ones, the nearest first.
    """
    shipped = shipped_tables()
    if name in shipped:
        return SHIPPED_FOLDER / f"{name}.csv"
    path = folder / name
    if os.path.isfile(path):  # unlike Path's, it takes names of any length
        return path
    if os.path.isdir(path):
        raise TableError(f"expected a CSV file, got the folder {name!r}")
    near = difflib.get_close_matches(Path(name).stem, shipped, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise TableError(
        f"expected a shipped table or an existing CSV file, got {name!r}; {hint}"
        f"shipped tables: {', '.join(shipped)}"
    )


def read_table(path: Path) -> AgeSexTable:
    """Read a CSV file of rates.

    Parameters
    ----------
    path : Path
        CSV file with the columns age, male, female.

    Returns
    -------
    AgeSexTable
        Named for the file.

    Raises
    ------
    CsvError
        The file is not a table; the message names file, line, field, value and remedy.
    """
    return AgeSexTable.model_validate(_contents(path))


def _contents(path: Path) -> dict[str, Any]:
    ages: list[int] = []
    rates: dict[str, list[float]] = {"male": [], "female": []}
    for where, cells in _records(path):
        ages.append(_age(cells["age"], ages, where))
        for sex, column in rates.items():
            column.append(_rate(cells[sex], f"{where}: {sex}"))
    if not ages:
        raise TableError(f"{path.name}: expected lines of age, male, female, got none")
    return {
        "name": path.stem,
        "first_age": ages[0],
        "male": tuple(rates["male"]),
        "female": tuple(rates["female"]),
    }


def _records(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (file and line, cell by column) for each line that holds figures."""
    table = read_csv(path, path.name)
    if not table.header.cells:
        return
    header = _header(table.header.cells, f"{path.name} line {table.header.number}")
    for line in table.lines:
        where = f"{path.name} line {line.number}"
        wrong = misfit(table, line)
        if wrong is not None:
            raise TableError(f"{where}: {wrong}")
        yield where, dict(zip(header, line.cells, strict=True))


def _header(cells: list[str], where: str) -> list[str]:
    if sorted(cells) != sorted(COLUMNS):
        raise TableError(
            f"{where}: expected the columns {','.join(COLUMNS)} as the first line, "
            f"got {brief(','.join(cells))}"
        )
    return cells


def _age(cell: str, ages: list[int], where: str) -> int:
    try:
        age = read_whole_number(cell)
    except NumberError:
        raise TableError(
            f"{where}: age: expected a whole number of years, got {brief(cell)}"
            f"{number_remedy(cell)}"
        ) from None
    if ages and age != ages[-1] + 1:
        raise TableError(
            f"{where}: age: expected {ages[-1] + 1}, got {age} "
            "(ages must follow one another without a gap)"
        )
    if not 0 <= age <= MAX_AGE:
        raise TableError(f"{where}: age: expected an age from 0 to {MAX_AGE}, got {age}")
    return age


def _rate(cell: str, where: str) -> float:
    try:
        rate = read_number(cell)
    except NumberError:
        rate = math.nan
    if not 0 <= rate <= 1:
        raise TableError(
            f"{where}: expected a rate per person-year from 0 to 1, got {brief(cell)} "
            f"(0.5 % is written 0.005){number_remedy(cell)}"
        )
    return rate
