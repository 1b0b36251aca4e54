"""The answer to a query as an Arrow table, in types that every format holds alike.

Types are converted once, at any depth, before a format sees them. What Arrow, Parquet, CSV and JSON
do not hold in common becomes text, as DuckDB writes it.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from results.engine import quoted

if TYPE_CHECKING:
    import duckdb

_SHARED: Final = frozenset(
    {
        *("boolean", "varchar", "uuid", "enum", "null", "decimal", "hugeint", "float", "double"),
        *("tinyint", "smallint", "integer", "bigint"),
        *("utinyint", "usmallint", "uinteger", "ubigint"),
        *("date", "time", "time_ns", "blob"),
        *("timestamp", "timestamp_ms", "timestamp_ns", "timestamp with time zone"),
    }
)
"""DuckDB's types that Arrow and Parquet hold."""

_NEAREST: Final = {
    "uhugeint": "DOUBLE",  # Arrow would take its upper half as negative
    "bignum": "DOUBLE",
    "timestamp_s": "TIMESTAMP_MS",  # Parquet has no seconds
}
"""What stands for types that have a near one in every format; others become text."""

_TEXT_IN_TEXT: Final = frozenset(
    {
        *("date", "time", "time_ns", "blob"),
        *("timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamp with time zone"),
    }
)
"""Types that text formats write as DuckDB does: Python holds no year after 9999 and none BC."""


def plain_table(answer: duckdb.DuckDBPyRelation, in_text: bool = False) -> pa.Table:
    """Return an answer with distinct column names and types that every format holds.

    Decimals without decimal places and 128-bit integers become int64 where all of a column fit,
    other decimals the nearest float64; unsigned 128-bit integers become float64. Intervals, times
    with a zone, bits, unions, variants and structs without fields become text. The same holds
    inside lists, structs and maps.

    Parameters
    ----------
    answer : duckdb.DuckDBPyRelation
        The answer.
    in_text : bool
        Whether it is written as text: dates, times and blobs become text too.
    """
    names = distinct_names(answer.columns)
    targets = [_target(kind, in_text) for kind in answer.types]
    if any(target != str(kind) for target, kind in zip(targets, answer.types, strict=True)):
        answer = answer.project(
            ", ".join(
                f"#{i}" if target == str(kind) else f"cast(#{i} as {target}) as c{i}"
                for i, (target, kind) in enumerate(zip(targets, answer.types, strict=True), start=1)
            )
        )
    columns = [_without_decimals(column) for column in answer.to_arrow_table().columns]
    return pa.Table.from_arrays(columns, names=names)


def distinct_names(names: Sequence[str]) -> list[str]:
    """Return column names in which no name occurs twice.

    The first column of a name keeps it; the others get the first free number: a, a_2, a gives
    a, a_2, a_1.
    """
    taken, distinct = set(names), list[str]()
    for name in names:
        free = name
        if name in distinct:
            free = next(f"{name}_{n}" for n in itertools.count(1) if f"{name}_{n}" not in taken)
            taken.add(free)
        distinct.append(free)
    return distinct


def _target(kind: Any, in_text: bool) -> str:
    """Return the SQL of the type that a column becomes; its own where it stays."""
    if kind.id in ("list", "array", "map", "struct", "tuple"):
        return _nested_target(kind, in_text)
    if in_text and kind.id in _TEXT_IN_TEXT:
        return "VARCHAR"
    return str(kind) if kind.id in _SHARED else _NEAREST.get(kind.id, "VARCHAR")


def _nested_target(kind: Any, in_text: bool) -> str:
    """Return the SQL of the type that lists, maps or structs become."""
    parts = [entry for entry in kind.children if entry[0] != "size"]
    if not parts:
        return "VARCHAR"  # Parquet has no struct without fields
    targets = [_target(part, in_text) for _, part in parts]
    if kind.id == "map" and parts[0][1].id == "null":
        targets[0] = "VARCHAR"  # that of map {}: Arrow has no keys of type null
    if targets == [str(part) for _, part in parts]:
        return str(kind)
    if kind.id == "list":
        return f"{targets[0]}[]"
    if kind.id == "array":
        return f"{targets[0]}[{dict(kind.children)['size']}]"
    if kind.id == "map":
        return f"MAP({', '.join(targets)})"
    names = [name or f"element{i}" for i, (name, _) in enumerate(parts, start=1)]
    fields = zip(names, targets, strict=True)
    return f"STRUCT({', '.join(f'{quoted(name)} {target}' for name, target in fields)})"


def _without_decimals(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with int64 and float64 in place of decimals, at any depth."""
    # By way of text: Arrow's own cast of 0.1 with 20 decimal places is 0.09999999999999999.
    texts = _mapped(column.type, lambda leaf: pa.string() if pa.types.is_decimal(leaf) else leaf)
    if texts == column.type:
        return column
    array = column.combine_chunks()
    return pa.chunked_array([array.cast(texts).cast(_plain_type(array))])


def _plain_type(array: pa.Array) -> pa.DataType:
    """Return the type of an array with the type that fits in place of each decimal one."""
    kind = array.type
    if pa.types.is_decimal(kind):
        return _number_type(array)
    if pa.types.is_map(kind):
        return pa.map_(_plain_type(array.keys), _plain_type(array.items))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(_plain_type(array.flatten())), kind.list_size)
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_plain_type(array.flatten())))
    if pa.types.is_struct(kind):
        parts = zip(kind, array.flatten(), strict=True)
        return pa.struct([field.with_type(_plain_type(part)) for field, part in parts])
    return kind


def _number_type(array: pa.Array) -> pa.DataType:
    """Return int64 where decimals have no decimal places and all fit, else float64."""
    if array.type.scale == 0:
        with contextlib.suppress(pa.ArrowInvalid):
            array.cast(pa.int64())
            return pa.int64()
    return pa.float64()


def _mapped(kind: pa.DataType, of: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """Return a type with a function applied to all that is not nested."""
    if pa.types.is_map(kind):
        return pa.map_(_mapped(kind.key_type, of), _mapped(kind.item_type, of))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(_mapped(kind.value_type, of)), kind.list_size)
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_mapped(kind.value_type, of)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_mapped(field.type, of)) for field in kind])
    return of(kind)
