"""Ask a run, or several, a question in SQL; the answer as text, CSV, JSON or Parquet.

Each table of the run is a view by its name, and `runs` says what run it is; over several runs each
has the column `run` besides (`results.many`). Columns named by a dotted path, as those of swept
fields are, stand in double quotes: `select "plans.main.fee_rate" from points`.
"""

from __future__ import annotations

import contextlib
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

from results.atomic import write_whole
from results.engine import quoted
from results.many import add_runs, many
from results.run import Run, RunError

if TYPE_CHECKING:
    import duckdb

Format = Literal["table", "csv", "json", "parquet"]
"""How an answer is written."""

FORMATS: Final[tuple[Format, ...]] = get_args(Format)

ROWS_SHOWN: Final = 60
"""Rows of an answer that the text form shows."""

_CELL_WIDTH: Final = 40

_NAMES_TOLD: Final = 3

_NOT_FOUND: Final = re.compile(
    r'(?:column named|[Cc]olumn(?=.*(?:not found|does not exist))) "([^"]+)"'
    r'|[Tt]able (?:with name )?"?([^"\s]+?)"? (?:not found|does not exist)'
)
"""How DuckDB names what it does not know: a column, or a table."""


def ask(run: Run | Sequence[Run], sql: str) -> pa.Table:
    """Return the answer to a query as an Arrow table.

    Decimals, as which DuckDB returns a sum of counts, become int64 where they are whole and fit,
    else float64; columns of one name are told apart by a number.

    Parameters
    ----------
    run : Run or sequence of Run
        The run; or several, whose tables have the column `run` first.
    sql : str
        DuckDB SQL over the tables.

    Raises
    ------
    RunError
        DuckDB refuses the query: the message is DuckDB's, and the nearest names where it does not
        know one.
    """
    import duckdb

    with _opened(run) as connection:
        try:
            answer = connection.sql(sql)
            # A statement that asks nothing (create, set) has no answer.
            return pa.table({}) if answer is None else _plain(answer.to_arrow_table())
        except duckdb.Error as error:
            raise RunError(f"{error}{_nearest(connection, str(error))}") from error


def query(
    run: Run | Sequence[Run], sql: str, format: Format = "table", width: int = 120
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
        empty; "json": a list of records; "parquet": the bytes of a file.
    width : int
        Characters a line of the text form may have; columns that do not fit are left out.

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
    answer = ask(run, sql)
    if format == "parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(answer, sink, compression="zstd")
        return bytes(sink.getvalue())
    if format == "csv":
        return _csv_text(answer)
    return _json_text(answer) if format == "json" else _table_text(answer, width)


def save_query(run: Run | Sequence[Run], sql: str, path: Path | str, format: Format) -> None:
    """Write the answer to a query to a file, whole or not at all.

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
    content = query(run, sql, format)
    write_whole(Path(path), content.encode() if isinstance(content, str) else content)


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


def _plain(answer: pa.Table) -> pa.Table:
    """Return an answer without decimals and with distinct column names."""
    names: list[str] = []
    for place, name in enumerate(answer.column_names):
        names.append(f"{name}_{place}" if name in names else name)
    columns = [_without_decimals(column) for column in answer.columns]
    return pa.Table.from_arrays(columns, names=names)


def _without_decimals(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of decimals as int64 or float64, any other as it is."""
    if not pa.types.is_decimal(column.type):
        return column
    if column.type.scale == 0:
        with contextlib.suppress(pa.ArrowInvalid):
            return column.cast(pa.int64())
    return column.cast(pa.float64())


def _csv_text(answer: pa.Table) -> str:
    """Return a table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(answer.column_names)
    for batch in answer.to_batches():
        writer.writerows(zip(*(column.to_pylist() for column in batch.columns), strict=True))
    return text.getvalue()


def _json_text(answer: pa.Table) -> str:
    """Return a table as JSON records, one a line; what JSON has no number for is null."""
    batches = (batch.to_pylist() for batch in answer.to_batches())
    records = (
        json.dumps(_json_value(record), ensure_ascii=False, allow_nan=False, default=str)
        for batch in batches
        for record in batch
    )
    return "[" + ",\n ".join(records) + "]\n"


def _json_value(value: Any) -> Any:
    """Return a value with NaN and infinities as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _json_value(entry) for name, entry in value.items()}
    return [_json_value(entry) for entry in value] if isinstance(value, list) else value


def _table_text(answer: pa.Table, width: int) -> str:
    """Return the first rows of a table as aligned text, and how much was left out."""
    shown = answer.slice(0, ROWS_SHOWN)
    columns = [
        _aligned(name, shown.column(i).to_pylist()) for i, name in enumerate(answer.column_names)
    ]
    fitting = _fitting(columns, width)
    lines = ["  ".join(cells).rstrip() for cells in zip(*fitting, strict=True)]
    left_out = []
    if answer.num_rows > shown.num_rows:
        left_out.append(f"{shown.num_rows} of {answer.num_rows} rows")
    if len(fitting) < len(columns):
        left_out.append(f"{len(fitting)} of {len(columns)} columns")
    if left_out:
        lines.append(f"({', '.join(left_out)} shown; --format csv, json or parquet gives all)")
    return "\n".join(lines) + "\n"


def _aligned(name: str, values: Sequence[Any]) -> list[str]:
    """Return heading, rule and cells of one column, all of one width."""
    cells = [_cell(name), *(_cell(value) for value in values)]
    width = max(map(len, cells))
    numbers = any(isinstance(value, (int, float)) for value in values)
    padded = [cell.rjust(width) if numbers else cell.ljust(width) for cell in cells]
    return [padded[0], "─" * width, *padded[1:]]


def _cell(value: Any) -> str:
    """Return a value as the text form shows it: six digits of a float, long text cut."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.0f}"
    text = " ".join(str(value).split())
    return text if len(text) <= _CELL_WIDTH else text[: _CELL_WIDTH - 1] + "…"


def _fitting(columns: list[list[str]], width: int) -> list[list[str]]:
    """Return the leading columns that fit in a line, at least one."""
    used, count = 0, 0
    for column in columns:
        used += len(column[0]) + 2
        if count and used - 2 > width:
            break
        count += 1
    return columns[:count]
