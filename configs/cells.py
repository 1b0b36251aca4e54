"""Cells of members from a CSV file: among whom `huzhu apportion` shares a bill.

A line of the file (`configs.csv_text`) is a cell: members who are alike. Columns, in any order:

    cell          name, a different one in each line
    members       persons, 0 or more
    probability   of a case this period, 0 to 1
    benefit_yuan  what a case pays
    weight        optional, 1 without it: charge of a member beside others'
    band          optional, one band without it: name of the cell's band
    claims_yuan   optional: the cell's benefits this period; without it, the bill is taken to have
                  been claimed in proportion to expected losses
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from configs.csv_text import CsvError, misfit, read_csv
from configs.dotted import nearest
from configs.messages import MAX_COUNTED, ConfigError, Problem, shortened, value
from configs.numbers import NumberError, number_remedy, read_number, read_whole_number

REQUIRED: Final = ("cell", "members", "probability", "benefit_yuan")
OPTIONAL: Final = ("weight", "band", "claims_yuan")
MAX_MEMBERS: Final = 10_000_000_000
MAX_YUAN: Final = 1e12
MAX_WEIGHT: Final = 1e6
ONLY_BAND: Final = "all"

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


class _Kind(NamedTuple):
    """What a column of numbers takes: words for it, the largest number, whether whole."""

    words: str
    most: float
    whole: bool = False


_KINDS: Final = {
    "members": _Kind("a whole number of persons", MAX_MEMBERS, whole=True),
    "probability": _Kind("a probability (0.5 % is written 0.005)", 1),
    "benefit_yuan": _Kind("a number of yuan", MAX_YUAN),
    "weight": _Kind("a number", MAX_WEIGHT),
    "claims_yuan": _Kind("a number of yuan", MAX_YUAN),
}


@dataclass(frozen=True)
class CellTable:
    """Members, cell by cell.

    Parameters
    ----------
    cell : tuple of str
        Names, each once.
    members : int64[cells]
        Persons, 0 to 10**10; at least one in all.
    probability : float64[cells]
        Of a case this period, 0 to 1.
    benefit_yuan : float64[cells]
        Yuan that a case pays, 0 to 10**12.
    weight : float64[cells]
        Charge of a member beside others', 0 to 10**6.
    band : tuple of str
        Name of each cell's band.
    claims_yuan : float64[cells], optional
        Yuan, benefits of the period; None where nothing is known of whose they were.
    """

    cell: tuple[str, ...]
    members: Int64
    probability: Float64
    benefit_yuan: Float64
    weight: Float64
    band: tuple[str, ...]
    claims_yuan: Float64 | None = None

    @property
    def band_numbers(self) -> Int64:
        """Number of each cell's band, int64[cells], from 0 in the order of their first cells."""
        numbers = {name: number for number, name in enumerate(dict.fromkeys(self.band))}
        return np.array([numbers[name] for name in self.band], np.int64)


def read_cells(path: str | os.PathLike[str]) -> CellTable:
    """Read a CSV file of cells.

    Parameters
    ----------
    path : str or path-like
        CSV file in UTF-8 with the columns described above.

    Returns
    -------
    CellTable
        At least one cell, at least one member.

    Raises
    ------
    ConfigError
        The file is not such a table; the message names file, line, column, value and what would
        be right, for the first three problems.
    """
    path = Path(path)
    problems: list[str] = []
    rows: list[dict[str, Any]] = []
    first_lines: dict[str, int] = {}
    for number, cells in _records(path, problems):
        where = f"{path} line {number}"
        row = {column: _number(column, cells[column], where, problems)
               for column in _KINDS if column in cells}  # fmt: skip
        name = cells["cell"]
        if not name:
            problems.append(_line(where, "cell", "expected a name, got nothing"))
        elif name in first_lines:
            text = f"expected a name of its own, got {value(name)} again"
            problems.append(_line(where, "cell", f"{text}; line {first_lines[name]} has it"))
        first_lines.setdefault(name, number)
        rows.append({**cells, **row})
        if len(problems) >= MAX_COUNTED:
            break
    if not rows and not problems:
        raise ConfigError(
            f"{path}: expected a line of {','.join(REQUIRED)} for each cell, got none"
        )
    if not problems and sum(row["members"] for row in rows) == 0:
        problems.append(_line(str(path), "members", "expected at least 1 in all cells, got 0"))
    if problems:
        raise ConfigError(shortened(problems))
    return _table(rows)


def _table(rows: Sequence[Mapping[str, Any]]) -> CellTable:
    """Return the columns of checked rows."""

    def column(name: str, otherwise: float = math.nan) -> Float64:
        return np.array([row.get(name, otherwise) for row in rows], np.float64)

    return CellTable(
        cell=tuple(row["cell"] for row in rows),
        members=np.array([row["members"] for row in rows], np.int64),
        probability=column("probability"),
        benefit_yuan=column("benefit_yuan"),
        weight=column("weight", 1.0),
        band=tuple(row.get("band", ONLY_BAND) for row in rows),
        claims_yuan=column("claims_yuan") if "claims_yuan" in rows[0] else None,
    )


def _records(path: Path, problems: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (number of the line, cell by column) for each line of figures that is complete."""
    try:
        table = read_csv(path, str(path))
    except CsvError as error:
        raise ConfigError(str(error)) from None
    if not table.header.cells:
        return
    header = _header(table.header.cells, f"{path} line {table.header.number}")
    for line in table.lines:
        wrong = misfit(table, line)
        if wrong is None:
            yield line.number, dict(zip(header, line.cells, strict=True))
        else:
            problems.append(f"{path} line {line.number}: {wrong}")
            if len(problems) >= MAX_COUNTED:
                return


def _header(cells: list[str], where: str) -> list[str]:
    """Return the names of the columns."""
    known = (*REQUIRED, *OPTIONAL)
    for column in cells:
        if column not in known:
            near = nearest(column, known)
            remedy = f"; did you mean {near}?" if near else ""
            raise ConfigError(
                f"{where}: expected the columns {','.join(REQUIRED)} and of {','.join(OPTIONAL)} "
                f"what is known, got {value(column)}{remedy}"
            )
        if cells.count(column) > 1:
            raise ConfigError(f"{where}: {column}: expected one column of this name, got several")
    missing = [column for column in REQUIRED if column not in cells]
    if missing:
        raise ConfigError(
            f"{where}: expected the columns {','.join(REQUIRED)}, got no {','.join(missing)}"
        )
    return cells


def _number(column: str, cell: str, where: str, problems: list[str]) -> float:
    """Return the number that a cell holds; note what is wrong with it."""
    kind = _KINDS[column]
    try:
        found = read_whole_number(cell) if kind.whole else read_number(cell)
    except NumberError:
        found = math.nan
    if not 0 <= found <= kind.most:
        came = value(cell) if cell else "nothing"
        most = f"{kind.most:,.0f}".replace(",", "_")
        text = f"expected {kind.words} from 0 to {most}, got {came}{number_remedy(cell)}"
        problems.append(_line(where, column, text))
    return found


def _line(where: str, column: str, text: str) -> str:
    """Return the line of a message."""
    return Problem((column,), text).line(where)
