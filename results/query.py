"""Ask a run, or several, a question in SQL; the answer as text, CSV, JSON or Parquet.

Each table of the run is a view by its name, and `runs` says what run it is; over several runs each
has the column `run` besides (`results.many`). Columns named by a dotted path, as those of swept
fields are, stand in double quotes: `select "plans.main.fee_rate" from points`.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from configs.spreadsheet import guarded
from configs.visible import visible
from results.answer import plain_table
from results.atomic import write_output
from results.engine import quoted
from results.many import add_runs, many
from results.run import Run, RunError

if TYPE_CHECKING:
    import duckdb

Format = Literal["table", "csv", "json", "parquet"]
"""How an answer is written."""

FORMATS: Final[tuple[Format, ...]] = get_args(Format)

ENDINGS: Final[Mapping[str, Format]] = {
    ".csv": "csv",
    ".json": "json",
    ".parquet": "parquet",
    ".txt": "table",
}
"""Which format the ending of a file's name stands for, in capitals or not."""

ROWS_SHOWN: Final = 60
"""Rows of an answer that the text form shows."""

_CELL_WIDTH: Final = 40

_MOST_WRITTEN_OUT: Final = 1e15
"""From here on a float in the text form has an exponent."""

_NAMES_TOLD: Final = 3

_NOT_FOUND: Final = re.compile(
    r'(?:column named|[Cc]olumn(?=.*(?:not found|does not exist))) "([^"]+)"'
    r'|[Tt]able (?:with name )?"?([^"\s]+?)"? (?:not found|does not exist)'
)
"""How DuckDB names what it does not know: a column, or a table."""


def ask(run: Run | Sequence[Run], sql: str) -> pa.Table:
    """Return the answer to a query as an Arrow table.

    Types and column names are those of every format (`results.answer.plain_table`): decimals, as
    which DuckDB returns a sum of counts, become int64 or float64; columns of one name are told
    apart by a number. Dates may lie beyond the years 1 to 9999 of Python's `datetime.date`.

    Parameters
    ----------
    run : Run or sequence of Run
        The run; or several, whose tables have the column `run` first.
    sql : str
        DuckDB SQL over the tables; of several statements, the answer is the last one's.

    Raises
    ------
    RunError
        DuckDB refuses the query: the message is DuckDB's, and the nearest names where it does not
        know one. Or there is no statement in it.
    """
    return _answer(run, sql)


def _answer(run: Run | Sequence[Run], sql: str, in_text: bool = False) -> pa.Table:
    """Return the answer to a query; `in_text` where it is written as text."""
    import duckdb

    with _opened(run) as connection:
        try:
            if not connection.extract_statements(sql):
                came = "only a comment" if sql.strip("; \t\r\n") else "nothing"
                raise RunError(f'expected a query such as "select * from paths", got {came}')
            answer = connection.sql(sql)
            # Some statements, such as "create view", have no answer.
            return pa.table({}) if answer is None else plain_table(answer, in_text)
        except duckdb.Error as error:
            raise RunError(f"{error}{_nearest(connection, str(error))}") from error


def query(
    run: Run | Sequence[Run], sql: str, format: Format = "table", width: int | None = 120
) -> str | bytes:
    """Return the answer to a query, written out.

    Parameters
    ----------
    run : Run or sequence of Run
        The run, or several; see `ask`.
    sql : str
        DuckDB SQL over the tables.
    format : {"table", "csv", "json", "parquet"}
        "table": aligned text of the first `ROWS_SHOWN` rows; "csv": with a header, missing values
        empty, no text that a spreadsheet takes for a formula (`configs.spreadsheet`); "json": a
        list of records, in which a map is a list of pairs; "parquet": the bytes of a file. Cells of
        "table" and "csv" that hold a list, struct or map hold it as JSON.
    width : int, optional
        Characters a line of the text form may have; columns that do not fit are left out. None:
        the text form has all rows and columns, and no cell is cut.

    Returns
    -------
    str or bytes
        Bytes for "parquet", text ending in a newline for the others.

    Raises
    ------
    RunError
        DuckDB refuses the query, or there is no such format.
    """
    if format not in FORMATS:
        raise RunError(f"no format {format!r}; there are {', '.join(FORMATS)}")
    answer = _answer(run, sql, in_text=format != "parquet")
    if format == "parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(answer, sink, compression="zstd")
        return bytes(sink.getvalue())
    if format == "csv":
        return _csv_text(answer)
    return _json_text(answer) if format == "json" else _table_text(answer, width)


def save_query(run: Run | Sequence[Run], sql: str, path: Path | str, format: Format) -> None:
    """Write the answer to a query to a file, whole or not at all.

    A file has all rows and columns in every format, in "table" as well.

    Parameters
    ----------
    run, sql, format
        As for `query`.
    path : path
        The file, replaced if it is there.

    Raises
    ------
    RunError
        DuckDB refuses the query, or there is no such format.
    StoreError
        The file cannot be written.
    """
    content = query(run, sql, format, width=None)
    write_output(path, content.encode() if isinstance(content, str) else content)


def format_of(file: Path | str) -> Format:
    """Return the format that the ending of a file's name stands for.

    Raises
    ------
    RunError
        It stands for none.
    """
    found = ENDINGS.get(Path(file).suffix.lower())
    if found is None:
        raise RunError(
            f"{file}: expected a name that ends in {', '.join(ENDINGS)}; name the file so, or say "
            f"what to write by --format {', '.join(FORMATS)}"
        )
    return found


def _opened(run: Run | Sequence[Run]) -> duckdb.DuckDBPyConnection:
    """Return a connection to one run, or to several."""
    if not isinstance(run, Run):
        return many(run)
    connection = run.duckdb()
    add_runs(connection, [run])
    return connection


def _nearest(connection: duckdb.DuckDBPyConnection, message: str) -> str:
    """Return a line with the names nearest to one that DuckDB did not find, or nothing."""
    found = _NOT_FOUND.search(message)
    if found is None:
        return ""
    where = _columns(connection)
    tables = {table: "a table" for names in where.values() for table in names}
    column, table = found.groups()
    known = {name: f"in {', '.join(names)}" for name, names in where.items()}
    near = _alike(column, known) if column else _alike(table, tables | _dotted(known))
    return f"\ndid you mean {' or '.join(near)}?" if near else ""


def _alike(name: str, known: Mapping[str, str]) -> list[str]:
    """Return the known names nearest to one, with what is known of them, as SQL writes them."""
    lower = {entry.lower(): entry for entry in known}
    parts = [entry for entry in known if f".{name.lower()}." in f".{entry.lower()}."]
    close = difflib.get_close_matches(name.lower(), lower, n=_NAMES_TOLD, cutoff=0.5)
    names = dict.fromkeys([*(lower[entry] for entry in close), *parts])
    return [
        f"{entry if entry.isidentifier() else quoted(entry)} ({known[entry]})"
        for entry in list(names)[:_NAMES_TOLD]
    ]


def _dotted(known: Mapping[str, str]) -> dict[str, str]:
    """Return the columns named by a dotted path, whose parts look like tables without quotes."""
    return {name: where for name, where in known.items() if "." in name}


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """Return the tables that have each column."""
    rows = connection.execute(
        "select column_name, list(table_name order by table_name) from duckdb_columns() "
        "where not internal group by column_name order by column_name"
    )
    return dict(rows.fetchall())


def _csv_text(answer: pa.Table) -> str:
    """Return a table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(guarded, answer.column_names))
    for batch in answer.to_batches():
        writer.writerows(zip(*(_csv_cells(column) for column in batch.columns), strict=True))
    return text.getvalue()


def _csv_cells(column: pa.Array) -> list[Any]:
    """Return a column as cells of a CSV file."""
    values: list[Any] = column.to_pylist()
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return values
    words = [_words(value) for value in values]
    return [guarded(word) if isinstance(word, str) else word for word in words]


def _words(value: Any) -> Any:
    """Return a value with JSON in place of lists, structs, maps, true and false."""
    return _json(value) if isinstance(value, (bool, dict, list)) else value


def _json_text(answer: pa.Table) -> str:
    """Return a table as JSON records, one a line."""
    batches = (batch.to_pylist() for batch in answer.to_batches())
    return "[" + ",\n ".join(_json(record) for batch in batches for record in batch) + "]\n"


def _json(value: Any) -> str:
    """Return a value as JSON; what JSON has no number for is null."""
    return json.dumps(_json_value(value), ensure_ascii=False, allow_nan=False)


def _json_value(value: Any) -> Any:
    """Return a value with NaN and infinities as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _json_value(entry) for name, entry in value.items()}
    # Arrow returns a map as a list of tuples.
    return [_json_value(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _table_text(answer: pa.Table, width: int | None) -> str:
    """Return the first rows of a table as aligned text, and how much was left out."""
    if not answer.column_names:
        return "(the statement has no answer)\n"
    shown = answer if width is None else answer.slice(0, ROWS_SHOWN)
    longest = None if width is None else _CELL_WIDTH
    columns = [
        _aligned(name, shown.column(i).to_pylist(), longest)
        for i, name in enumerate(answer.column_names)
    ]
    fitting = columns if width is None else _fitting(columns, width)
    lines = ["  ".join(cells).rstrip() for cells in zip(*fitting, strict=True)]
    left_out = []
    if answer.num_rows > shown.num_rows:
        left_out.append(f"{shown.num_rows} of {answer.num_rows} rows")
    if len(fitting) < len(columns):
        left_out.append(f"{len(fitting)} of {len(columns)} columns")
    if left_out:
        lines.append(f"({', '.join(left_out)} shown; --format csv, json or parquet gives all)")
    return "\n".join(lines) + "\n"


def _aligned(name: str, values: Sequence[Any], longest: int | None) -> list[str]:
    """Return heading, rule and cells of one column, all of one width."""
    cells = [_cell(name, longest), *(_cell(value, longest) for value in values)]
    width = max(map(len, cells))
    numbers = any(isinstance(value, (int, float)) for value in values)
    padded = [cell.rjust(width) if numbers else cell.ljust(width) for cell in cells]
    return [padded[0], "─" * width, *padded[1:]]


def _cell(value: Any, longest: int | None) -> str:
    """Return a value as the text form shows it: six digits of a float, long text cut."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.0f}" if 1e6 <= abs(value) < _MOST_WRITTEN_OUT else f"{value:.6g}"
    text = visible(" ".join(str(_words(value)).split()))
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"


def _fitting(columns: list[list[str]], width: int) -> list[list[str]]:
    """Return the leading columns that fit in a line, at least one."""
    used, count = 0, 0
    for column in columns:
        used += len(column[0]) + 2
        if count and used - 2 > width:
            break
        count += 1
    return columns[:count]
