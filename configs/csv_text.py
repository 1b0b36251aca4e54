"""The one reader of CSV files: as huzhu writes them, as people do, and as spreadsheets save them.

UTF-8 with or without a byte order mark, cells separated by commas, any line ends. A line whose
first cell starts with `#`, in quotes or not, is a comment. Empty lines, empty cells at the end of a
line, and a first line `sep=,` are ignored. A cell in quotes may hold commas and line breaks; a line
break counts as a space. The apostrophe that keeps text from being a formula
(`configs.spreadsheet`) is removed.
"""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Final, NamedTuple

from configs.spreadsheet import unguarded
from configs.text_file import FileError, brief, read_text

MAX_BYTES: Final = 32_000_000
MAX_LINES: Final = 1_000_000
MAX_COLUMNS: Final = 1000
MAX_CELL: Final = 10_000  # characters
SAVE_AS: Final = "CSV UTF-8"

_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}
_SEPARATOR_LINE = "sep="


class CsvError(ValueError):
    """A CSV file that cannot be used; the message names the file, the line, and the remedy."""


class Line(NamedTuple):
    """One line of cells: the number of its first line in the file, from 1, and its cells."""

    number: int
    cells: list[str]


class CsvTable(NamedTuple):
    """The lines of a CSV file that are not comments: the first one, and the others."""

    header: Line
    lines: list[Line]


def read_csv(path: Path, shown: str) -> CsvTable:
    """Read a CSV file.

    Parameters
    ----------
    path : Path
        The file.
    shown : str
        Its name in messages.

    Returns
    -------
    CsvTable
        The header, which has no cells if the file has no line; and the other lines. A line may
        have more or fewer cells than the header (see `misfit`).

    Raises
    ------
    CsvError
        The file cannot be read, or is not CSV; the message names file, line and remedy.
    """
    try:
        text = read_text(path, MAX_BYTES, "CSV file", SAVE_AS)
    except FileError as error:
        raise CsvError(f"{shown}: {error}") from None
    lines = _lines(text, shown)
    header = next(lines, Line(1, []))
    while header.cells and not header.cells[-1]:
        header.cells.pop()
    return CsvTable(header, [_fitted(line, len(header.cells)) for line in lines])


def misfit(table: CsvTable, line: Line) -> str | None:
    """Return what is wrong where a line has more or fewer cells than the header, None otherwise."""
    names, cells = table.header.cells, line.cells
    if len(cells) == len(names):
        return None
    remedy = "; put a cell with a comma in quotes" if len(cells) > len(names) else ""
    return (
        f"expected {len(names)} cells ({', '.join(names)}), got {len(cells)}: "
        f"{brief(','.join(cells))}{remedy}"
    )


def _fitted(line: Line, width: int) -> Line:
    """Return a line without the empty cells beyond the header, which spreadsheets write."""
    while len(line.cells) > width and not line.cells[-1]:
        line.cells.pop()
    return line


class _Source:
    """The lines of a text, counted; a comment that begins at a new line of cells is left out.

    Comments are left out before quotes are looked at, because they may hold quotes of their own.
    """

    def __init__(self, text: str) -> None:
        self._lines = StringIO(text, newline="")
        self.number = 0
        self.first = 0  # number of the line that the cells begin in
        self.current = ""

    def __iter__(self) -> "_Source":
        return self

    def __next__(self) -> str:
        self.current = next(self._lines)
        self.number += 1
        while self.first == 0 and self.current.startswith("#"):
            self.current = next(self._lines)
            self.number += 1
        if self.first == 0:
            self.first = self.number
        return self.current


def _lines(text: str, shown: str) -> Iterator[Line]:
    """Yield the lines that hold figures, cells stripped."""
    source = _Source(text)
    rows = csv.reader(source, strict=True)
    is_header, count = True, 0
    while True:
        source.first = 0
        try:
            cells = next(rows, None)
        except csv.Error as error:
            _refuse_other_separator(source.current, f"{shown} line {source.first}")
            raise CsvError(_not_csv(str(error), f"{shown} line {source.first}")) from None
        if cells is None:
            return
        where = f"{shown} line {source.first}"
        _check_sizes(cells, where)
        cells = [" ".join(cell.split()) if "\n" in cell or "\r" in cell else cell.strip()
                 for cell in cells]  # fmt: skip
        if not any(cells) or cells[0].startswith("#"):
            continue
        if is_header:
            if cells[0].startswith(_SEPARATOR_LINE) and source.first == 1:
                _refuse_other_separator(source.current, where)
                continue
            if len(cells) == 1:
                _refuse_other_separator(cells[0], where)
            is_header = False
        count += 1
        if count > MAX_LINES:
            raise CsvError(f"{where}: expected at most {MAX_LINES:_} lines, got more")
        yield Line(source.first, [unguarded(cell) for cell in cells])


def _check_sizes(cells: Sequence[str], where: str) -> None:
    if len(cells) > MAX_COLUMNS:
        raise CsvError(f"{where}: expected at most {MAX_COLUMNS} cells, got {len(cells):_}")
    longest = max(map(len, cells), default=0)
    if longest > MAX_CELL:
        place = [len(cell) for cell in cells].index(longest) + 1
        raise CsvError(
            f"{where}: cell {place}: expected at most {MAX_CELL:_} characters, got {longest:_}"
        )


def _refuse_other_separator(line: str, where: str) -> None:
    separator = max(_OTHER_SEPARATORS, key=line.count)
    if separator in line:
        raise CsvError(
            f"{where}: expected commas between cells, got {_OTHER_SEPARATORS[separator]}: "
            f"{brief(line.strip())}; save the file as {SAVE_AS} with commas between cells and "
            "decimal points in numbers"
        )


def _not_csv(problem: str, where: str) -> str:
    """Return the message for a line that Python's reader refuses."""
    if "field larger" in problem:
        return f"{where}: expected cells of at most {MAX_CELL:_} characters, got a longer one"
    got = "a quote that is not closed" if "end of data" in problem else "text after a closing quote"
    return (
        f"{where}: expected cells in quotes that end at a comma, got {got}; write a quote within a "
        'cell in quotes twice ("")'
    )
