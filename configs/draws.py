"""Draws of a posterior: fields of a scenario that are uncertain together, a row of values a draw.

A file of draws is CSV (`configs.csv_text`): its first line names fields by their dotted paths, and
each line after it is one draw. All draws count alike. A sweep runs all its points at every draw
(`configs.sweep`).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import (
    BeforeValidator,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from configs.csv_text import CsvTable, read_csv
from configs.numbers import NumberError, number_remedy, read_number
from configs.record import Record, model_field
from configs.text_file import SHOWN_FILES, FileError, brief, files_in

SUFFIX: Final = ".csv"
# A run's config.yaml holds them as text, which has limits of its own (`configs.yaml_text`).
MAX_VALUES: Final = 400_000  # of all draws together
MAX_DRAWS: Final = 50_000


class DrawsError(ValueError):
    """Draws that cannot be used; the message names file, line, field, value and remedy."""


def _numbers(row: Any) -> Any:
    """Return the numbers of a draw that is given as text, as a run's config.yaml has it."""
    if isinstance(row, str):
        return tuple(
            _number(cell, "expected numbers with commas between them") for cell in row.split(",")
        )
    return tuple(row) if isinstance(row, list) else row


# One text a draw: YAML reads it twenty times as fast as its numbers singly.
Row = Annotated[
    tuple[float, ...],
    BeforeValidator(_numbers),
    PlainSerializer(lambda row: ",".join(map(repr, row)), return_type=str, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "number"}}]}),
]


class Draws(Record):
    """A sample of values that fields of a scenario have together.

    Validating a text reads the CSV file of that path, and `{file, take}` so many draws evenly
    spread over it; a relative path starts from the working directory.
    """

    name: str = model_field(..., "name of the sample: its file's, without .csv", section=12)
    fields: tuple[str, ...] = model_field(
        ..., "dotted paths of the fields in the scenario", section=12, min_length=1
    )
    rows: int = model_field(
        ..., "draws of the file, of which these are taken evenly", unit="draws", section=12, ge=1
    )
    values: tuple[Row, ...] = model_field(
        ..., "draws, each with a value of every field", section=12, min_length=1
    )

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, given: Any) -> Any:
        if isinstance(given, str):
            return _contents(given, None)
        if isinstance(given, Mapping) and {"file", "take"} & given.keys():
            return _contents(*_file_and_take(given))
        if isinstance(
            given, Mapping
        ):  # a strict check of JSON takes the arrays of a dict for lists
            return {key: tuple(v) if isinstance(v, list) else v for key, v in given.items()}
        if isinstance(given, Draws):
            return given
        raise DrawsError(f"expected the path of a CSV file, or {{file, take}}, got {given!r}")

    @model_validator(mode="after")
    def _is_a_table(self) -> Self:
        if len(set(self.fields)) < len(self.fields):
            raise DrawsError("fields: expected each field once, got one twice")
        for number, row in enumerate(self.values):
            if len(row) != len(self.fields):
                raise DrawsError(
                    f"values[{number}]: expected a value of each of {len(self.fields)} fields, "
                    f"got {len(row)}"
                )
        if len(self.values) > self.rows:
            raise DrawsError(f"rows: expected at least {len(self.values)}, got {self.rows}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of what a file may hold: a path, `{file, take}`, or the draws."""
        draws = handler.resolve_ref_schema(handler(core_schema))
        path = {
            "type": "string",
            "description": "Path of a CSV file, relative to the file that names it: its first "
            "line has the dotted paths of fields, each line after it a draw.",
        }
        return {"anyOf": [path, _file_schema(), dict(draws)]}

    @property
    def count(self) -> int:
        """Number of draws."""
        return len(self.values)

    def row(self, draw: int) -> int:
        """Return the number of a draw in its file, the first being 0."""
        return draw * self.rows // self.count

    def where(self, draw: int) -> str:
        """Return which draw of the file one is, as messages say it; the first is number 0."""
        return f"{self.name}{SUFFIX} draw {self.row(draw)} (the first is 0)"

    def column(self, field: str) -> tuple[float, ...]:
        """Return the values of a field, one a draw."""
        place = self.fields.index(field)
        return tuple(row[place] for row in self.values)


def _file_schema() -> JsonSchemaValue:
    """Return the JSON Schema of `{file, take}`."""
    file = {
        "type": "string",
        "description": "path of a CSV file, relative to the file that names it: its first line "
        "has the dotted paths of fields, each line after it a draw",
        "model_sections": [12],
    }
    take = {
        "anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}],
        "default": None,
        "description": "draws taken of it, evenly spread over the file; all without it",
        "unit": "draws",
        "model_sections": [12],
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {"file": file, "take": take},
    }


def _file_and_take(given: Mapping[str, Any]) -> tuple[str, int | None]:
    """Return which file is named, and how many of its draws."""
    unknown = [name for name in given if name not in ("file", "take")]
    if unknown:
        raise DrawsError(f"{unknown[0]}: expected file and take alone, got {unknown[0]!r}")
    file, take = given.get("file"), given.get("take")
    if not isinstance(file, str):
        came = "nothing" if file is None else repr(file)
        raise DrawsError(f"file: expected the path of a CSV file, got {came}")
    if take is not None and (isinstance(take, bool) or not isinstance(take, int) or take < 1):
        raise DrawsError(f"take: expected a whole number of draws, at least 1, got {take!r}")
    return file, take


def _contents(file: str, take: int | None) -> dict[str, Any]:
    """Return the draws of a file, all of them or so many evenly spread over it."""
    path = Path(file)
    table = _table(path)
    fields, rows = table.header.cells, len(table.lines)
    if take is not None and take > rows:
        raise DrawsError(f"take: expected at most {rows} draws, which {path.name} has, got {take}")
    count = take or rows
    if count > MAX_DRAWS or count * len(fields) > MAX_VALUES:
        raise DrawsError(
            f"expected at most {MAX_DRAWS:_} draws and {MAX_VALUES:_} values, got {count:_} draws "
            f"of {len(fields)} fields; lower take"
        )
    values = tuple(_draw(table, i * rows // count, path.name) for i in range(count))
    return {"name": path.stem, "fields": tuple(fields), "rows": rows, "values": values}


def _table(path: Path) -> CsvTable:
    """Return the lines of a file of draws."""
    if path.suffix.lower() != SUFFIX or not os.path.isfile(path):
        raise DrawsError(f"expected an existing CSV file, got {brief(str(path))}{_beside(path)}")
    table = read_csv(path, path.name)
    fields = table.header.cells
    if not fields:
        raise DrawsError(
            f"expected the dotted paths of fields as the first line of {path.name}, got none"
        )
    twice = next((name for name in fields if fields.count(name) > 1), None)
    if twice is not None:
        raise DrawsError(
            f"{path.name} line {table.header.number}: expected each field once, "
            f"got {brief(twice)} again"
        )
    if not table.lines:
        raise DrawsError(f"expected draws under the first line of {path.name}, got none")
    return table


def _beside(path: Path) -> str:
    """Return a remedy: the CSV files where one was looked for."""
    try:
        files = files_in(path.parent, (SUFFIX,))
    except FileError:
        return f"; there is no folder {brief(str(path.parent))}"
    if not files:
        return f"; there are no CSV files in {brief(str(path.parent))}"
    more = ", …" if len(files) > SHOWN_FILES else ""
    return f"; CSV files there: {', '.join(files[:SHOWN_FILES])}{more}"


def _draw(table: CsvTable, row: int, name: str) -> tuple[float, ...]:
    """Return the values of one draw."""
    line, fields = table.lines[row], table.header.cells
    where = f"{name} line {line.number}"
    if len(line.cells) != len(fields):
        raise DrawsError(
            f"{where}: expected a cell for each of the fields, {len(fields)} in all, "
            f"got {len(line.cells)}"
        )
    return tuple(
        _number(cell, f"{where}: {field}: expected a number")
        for field, cell in zip(fields, line.cells, strict=True)
    )


def _number(cell: str, expected: str) -> float:
    """Return the number that a cell holds; raise DrawsError that says what was expected."""
    try:
        return read_number(cell)
    except NumberError:
        raise DrawsError(f"{expected}, got {brief(cell)}{number_remedy(cell)}") from None
