"""Answers in types that every format holds: the right values, worked out by hand, in all four."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results.answer import distinct_names
from results.query import ask, query, save_query
from results.run import Run
from tests.results.synthetic import a_run, made_rows


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return a_run(tmp_path_factory.mktemp("runs") / "run", made_rows(points=1))


UUID = "550e8400-e29b-41d4-a716-446655440000"
VALUES: list[tuple[str, str | None, Any]] = [
    # SQL, the type in which DuckDB reads it from Parquet, and the value in JSON
    ("1.5", "DOUBLE", 1.5),
    ("0.1::decimal(38, 20)", "DOUBLE", 0.1),
    ("7::decimal(20, 0)", "BIGINT", 7),
    ("(2::hugeint ** 100)::hugeint", "DOUBLE", 2.0**100),
    ("340282366920938463463374607431768211455::uhugeint", "DOUBLE", 2.0**128),
    ("18446744073709551615::ubigint", "UBIGINT", 2**64 - 1),
    ("[1.5, null, 2.5]", "DOUBLE[]", [1.5, None, 2.5]),
    ("[1.5, 2.5]::decimal(3, 1)[2]", "DOUBLE[]", [1.5, 2.5]),
    ("[9007199254740993::hugeint]", "BIGINT[]", [9007199254740993]),
    ("{'x': 1.25, 'y': 2::decimal(9, 0)}", "STRUCT(x DOUBLE, y BIGINT)", {"x": 1.25, "y": 2}),
    ("[{'x': [0.5]}]", "STRUCT(x DOUBLE[])[]", [{"x": [0.5]}]),
    ("map {'k': 1.5}", "MAP(VARCHAR, DOUBLE)", [["k", 1.5]]),
    ("map {'k': 'nan'::double}", "MAP(VARCHAR, DOUBLE)", [["k", None]]),
    ("map {0.5: map {1: 2.5}}", "MAP(DOUBLE, MAP(INTEGER, DOUBLE))", [[0.5, [[1, 2.5]]]]),
    ("map {{'x': 1}: [2]}", "MAP(STRUCT(x INTEGER), INTEGER[])", [[{"x": 1}, [2]]]),
    ("date '12026-01-02'", "DATE", "12026-01-02"),
    ("date '0044-03-15 (BC)'", "DATE", "0044-03-15 (BC)"),
    ("[date 'infinity']", "DATE[]", ["infinity"]),
    ("timestamp '12026-01-02 03:04:05'", "TIMESTAMP", "12026-01-02 03:04:05"),
    ("'2026-01-02 03:04:05'::timestamp_s", "TIMESTAMP", "2026-01-02 03:04:05"),
    ("'03:04:05.123456789'::time_ns", "TIME_NS", "03:04:05.123456789"),
    ("'12:34:56+08'::timetz", "VARCHAR", "12:34:56+08"),
    ("interval 3 month", "VARCHAR", "3 months"),
    ("{'i': [interval '1 day']}", "STRUCT(i VARCHAR[])", {"i": ["1 day"]}),
    ("'10101'::bit", "VARCHAR", "10101"),
    ("[union_value(number := 2)]", "VARCHAR[]", ["2"]),
    ("{}", "VARCHAR", "{}"),
    ("row(1, interval 2 day)", None, {"element1": 1, "element2": "2 days"}),
    ("'\\xAA\\x00b'::blob", "BLOB", "\\xAA\\x00b"),
    ("'x'::enum('x', 'y')", None, "x"),
    (f"'{UUID}'::uuid", "VARCHAR", UUID),
    ("[null]", None, [None]),
    ("map {}", None, []),
    ("[{'x': []}]", None, [{"x": []}]),
    ("true", "BOOLEAN", True),
    ("-0.0::double", "DOUBLE", -0.0),
]  # fmt: skip


@dataclass(frozen=True)
class Written:
    """The same answer in every format: a column for each of `VALUES`, one row."""

    json: dict[str, Any]
    csv: dict[str, str]
    parquet: pa.Table
    types: list[str]
    asked: pa.Table


@pytest.fixture(scope="module")
def written(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Written:
    sql = "select " + ", ".join(f"{value} as c{i}" for i, (value, _, _) in enumerate(VALUES))
    file = tmp_path_factory.mktemp("written") / "answer.parquet"
    save_query(run, sql, file, "parquet")
    (in_json,) = json.loads(query(run, sql, "json"))
    (in_csv,) = csv.DictReader(io.StringIO(str(query(run, sql, "csv"))))
    found = duckdb.sql(f"from '{file}'")
    assert found is not None
    types = [str(kind) for kind in found.types]
    return Written(in_json, in_csv, pq.read_table(file), types, ask(run, sql))


@pytest.mark.parametrize("number", range(len(VALUES)), ids=[sql for sql, _, _ in VALUES])
def test_a_value_is_the_same_in_every_format(written: Written, number: int) -> None:
    _, kind, value = VALUES[number]
    assert written.json[f"c{number}"] == value
    assert written.csv[f"c{number}"] == in_csv(value)
    assert kind is None or written.types[number] == kind
    # as text, for NaN is unlike itself; DuckDB calls an element of a list l
    asked = str(written.asked.column(number)).replace("list<l: ", "list<element: ")
    assert str(written.parquet.column(number)) == asked


def in_csv(value: Any) -> str:
    """Return a value of JSON as a cell of CSV holds it."""
    if isinstance(value, (list, dict, bool)):
        return json.dumps(value)
    return repr(value) if isinstance(value, float) else str(value)


def test_missing_values_stay_missing_at_any_depth(run: Run) -> None:
    sql = "select * from (values ([{'x': 1.5}]), (null), ([null, {'x': null}])) as t(a)"
    expected = [[{"x": 1.5}], None, [None, {"x": None}]]
    assert ask(run, sql)["a"].to_pylist() == expected
    assert [row["a"] for row in json.loads(query(run, sql, "json"))] == expected


def test_whole_numbers_of_a_column_stay_whole_only_where_all_fit(run: Run) -> None:
    sql = "select [1::hugeint] as a, [1::hugeint] as b union all select [2], [(2::hugeint ** 70)]"
    answer = ask(run, f"select * from ({sql}) order by a")
    assert answer.to_pylist() == [{"a": [1], "b": [1.0]}, {"a": [2], "b": [2.0**70]}]
    assert answer.schema.types == [pa.list_(pa.int64()), pa.list_(pa.float64())]


@pytest.mark.parametrize(
    ("given", "distinct"),
    [
        (["a", "a_2", "a"], ["a", "a_2", "a_1"]),
        (["a", "a", "a_1"], ["a", "a_2", "a_1"]),
        (["a", "a", "a"], ["a", "a_1", "a_2"]),
        (["a", "A"], ["a", "A"]),
        ([], []),
    ],
)
def test_no_column_loses_its_name_to_another(given: list[str], distinct: list[str]) -> None:
    assert distinct_names(given) == distinct


def test_columns_have_the_same_names_in_every_format(run: Run) -> None:
    sql = 'select 1 as a, 2 as a_2, 3 as a, 4 as "line\nbreak ""q"""'
    names = ["a", "a_2", "a_1", 'line\nbreak "q"']
    assert json.loads(query(run, sql, "json")) == [dict(zip(names, (1, 2, 3, 4), strict=True))]
    assert next(csv.reader(io.StringIO(str(query(run, sql, "csv"))))) == names
    assert ask(run, sql).column_names == names
    content = query(run, sql, "parquet")
    assert isinstance(content, bytes)
    assert pq.read_table(pa.BufferReader(content)).column_names == names
    heading = str(query(run, sql)).splitlines()[0]
    assert heading == 'a  a_2  a_1  line break "q"'


def test_rows_keep_their_order_where_types_are_converted(run: Run) -> None:
    sql = "select i, interval (i) day as d from range(200_000) t(i) order by hash(i)"
    plain = ask(run, "select i from range(200_000) t(i) order by hash(i)")["i"]
    assert ask(run, sql)["i"].equals(plain)


@pytest.mark.parametrize("rows", [0, 1, 70])
def test_every_format_but_text_on_a_screen_has_all_rows(run: Run, rows: int) -> None:
    sql = f"select null as a, interval 1 day as b from range({rows})"
    assert len(json.loads(query(run, sql, "json"))) == rows
    assert len([*csv.reader(io.StringIO(str(query(run, sql, "csv"))))]) == rows + 1
    content = query(run, sql, "parquet")
    assert isinstance(content, bytes)
    assert pq.read_table(pa.BufferReader(content)).num_rows == rows
    whole = query(run, sql, "table", width=None)
    assert isinstance(whole, str)
    assert len(whole.splitlines()) == rows + 2
