"""Queries: the four formats hold the same answer, and errors are DuckDB's own."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results.atomic import StoreError
from results.query import FORMATS, ROWS_SHOWN, ask, query, save_query
from results.run import Run, RunError
from tests.results.synthetic import FEE, a_run, made_rows

# no mean or sum of floats: its last digit may differ from query to query
ANSWER = "select point, plan, sum(cases) as cases, max(share) as share from periods group by all"
SORTED = f"{ANSWER} order by all"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return a_run(tmp_path_factory.mktemp("runs") / "run", made_rows(points=3))


def test_a_sum_of_counts_is_a_whole_number(run: Run) -> None:
    answer = ask(run, SORTED)
    assert answer.schema.field("cases").type == pa.int64()
    cases = run.pandas("periods").groupby("point")["cases"].sum().tolist()
    assert answer["cases"].to_pylist() == cases


def test_a_decimal_that_is_not_whole_or_too_long_is_a_float(run: Run) -> None:
    answer = ask(run, "select 1.5 as half, 1e30::decimal(38, 0) as much")
    assert answer.to_pylist() == [{"half": 1.5, "much": 1e30}]


def test_json_gives_the_records(run: Run) -> None:
    assert json.loads(query(run, SORTED, "json")) == ask(run, SORTED).to_pylist()


def test_json_has_null_where_there_is_no_number(run: Run) -> None:
    text = query(run, "select 'nan'::double a, [1, 'inf'::double] b, {'c': null} d", "json")
    assert json.loads(text) == [{"a": None, "b": [1, None], "d": {"c": None}}]


def test_json_writes_dates_as_text(run: Run) -> None:
    assert json.loads(query(run, "select date '2026-01-02' as day", "json")) == [
        {"day": "2026-01-02"}
    ]


def test_csv_gives_every_digit(run: Run) -> None:
    text = query(run, SORTED, "csv")
    assert isinstance(text, str)
    rows = list(csv.DictReader(io.StringIO(text)))
    expected = ask(run, SORTED).to_pylist()
    assert [float(row["share"]) for row in rows] == [row["share"] for row in expected]
    assert [row["plan"] for row in rows] == [row["plan"] for row in expected]


def test_csv_leaves_missing_values_empty(run: Run) -> None:
    assert query(run, "select 1 as a, null as b", "csv") == "a,b\n1,\n"


def test_parquet_gives_the_same_table(run: Run) -> None:
    content = query(run, SORTED, "parquet")
    assert isinstance(content, bytes)
    assert pq.read_table(pa.BufferReader(content)).equals(ask(run, SORTED))


def test_an_answer_can_be_saved_whole(run: Run, tmp_path: Path) -> None:
    for format in FORMATS:
        save_query(run, SORTED, tmp_path / format, format)
        content = query(run, SORTED, format)
        expected = content if isinstance(content, bytes) else content.encode()
        assert (tmp_path / format).read_bytes() == expected
    with pytest.raises(StoreError, match="gone/answer"):
        save_query(run, SORTED, tmp_path / "gone" / "answer", "csv")


def test_swept_columns_are_named_in_double_quotes(run: Run) -> None:
    assert query(run, f'select "{FEE}" as fee from points order by 1', "csv") == (
        "fee\n0.0\n0.08\n0.16\n"
    )


def test_text_is_aligned_and_says_what_is_missing(run: Run) -> None:
    text = query(run, "select 'main' as plan, 12 as members union all select null, 3 order by 2")
    assert text == "plan  members\n────  ───────\n–           3\nmain       12\n"


def test_text_shows_the_first_rows_and_columns_and_says_so(run: Run) -> None:
    text = query(run, "select r.*, p.* from range(100) r, periods p limit 100", width=60)
    assert isinstance(text, str)
    lines = text.splitlines()
    assert len(lines) == 2 + ROWS_SHOWN + 1
    assert all(len(line) <= 60 for line in lines[:-1])
    assert lines[-1].startswith(f"({ROWS_SHOWN} of 100 rows, ")
    assert lines[-1].endswith("columns shown; --format csv, json or parquet gives all)")


def test_long_text_is_cut_in_the_text_form_alone(run: Run) -> None:
    sql = "select repeat('x', 100) as x"
    assert "x" * 39 + "…" in str(query(run, sql))
    assert "x" * 100 in str(query(run, sql, "csv"))


def test_columns_of_one_name_are_told_apart(run: Run) -> None:
    assert query(run, "select 1 as a, 2 as a, 3 as b", "csv") == "a,a_1,b\n1,2,3\n"


@pytest.mark.parametrize(
    ("sql", "records"),
    [
        ("select 1 as a; select 2 as b", [{"b": 2}]),
        ("create table t as select 1.5 as a; from t;", [{"a": 1.5}]),
        ("create table t as select 1 as a", [{"Count": 1}]),
        ("create table t (a int); insert into t values (3) returning a", [{"a": 3}]),
        ("create view v as select 1", []),
        ("set timezone = 'UTC'", []),
        ("pivot (select 'x' as k, 1.5 as v) on k using sum(v)", [{"x": 1.5}]),
        ("call generate_series(1, 2)", [{"generate_series": 1}, {"generate_series": 2}]),
    ],
)
def test_the_last_statement_is_answered_of_any_kind(
    run: Run, sql: str, records: list[object]
) -> None:
    assert json.loads(query(run, sql, "json")) == records
    assert ask(run, sql).to_pylist() == records


@pytest.mark.parametrize("sql", ["", " \n", ";", "-- why?", "/* why? */"])
def test_a_query_of_nothing_is_refused(run: Run, sql: str) -> None:
    with pytest.raises(
        RunError, match=r"^expected a query such as .* got (nothing|only a comment)$"
    ):
        ask(run, sql)


def test_an_empty_answer_has_its_headings(run: Run) -> None:
    sql = "select point, plan from periods where false"
    assert query(run, sql, "csv") == "point,plan\n"
    assert query(run, sql, "json") == "[]\n"
    assert query(run, sql) == "point  plan\n─────  ────\n"


def test_members_of_a_run_by_cells_are_an_empty_table(run: Run) -> None:
    header = ",".join(run.schema("members").names)
    assert query(run, "select * from members", "csv") == f"{header}\n"


@pytest.mark.parametrize(
    ("sql", "duckdb_says", "near"),
    [
        ("select memebers from periods", '"memebers" not found.*"members"', "members (in periods)"),
        ("select p.memebers from periods p", "column named", "members (in periods)"),
        ("select share from paths", '"share" not found', "share (in periods)"),
        ("select * exclude (quantty) from summary", "EXCLUDE", "quantity (in summary)"),
        ("from points join paths using (pont)", '"pont"', "point (in cells, members, paths, "),
        ("select fee_rate from points", "not found", f'"{FEE}" (in points)'),
        ("select plans.main.fee_rate from points", "Referenced table", f'"{FEE}" (in points)'),
        ("from period", "period does not exist.*periods", "periods (a table)"),
        ("from cell", "cell does not exist", "cells (a table)"),
    ],
)
def test_an_unknown_name_is_told_by_duckdb_and_with_the_nearest(
    run: Run, sql: str, duckdb_says: str, near: str
) -> None:
    with pytest.raises(RunError, match=f"(?s){duckdb_says}") as caught:
        query(run, sql)
    last = str(caught.value).splitlines()[-1]
    assert last.startswith("did you mean ")
    assert near in last


@pytest.mark.parametrize(
    ("sql", "duckdb_says"),
    [
        ("select zzzzzz from periods", '"zzzzzz" not found'),
        ("select plan, sum(cases) from periods", "must appear in the GROUP BY"),
        ("from periods('x')", "does not exist"),
        ("select plan::int from periods", "Could not convert"),
    ],
)
def test_nothing_is_guessed_where_no_name_is_missing_or_none_is_near(
    run: Run, sql: str, duckdb_says: str
) -> None:
    with pytest.raises(RunError, match=duckdb_says) as caught:
        query(run, sql)
    assert "did you mean" not in str(caught.value)


def test_the_run_says_what_it_is(run: Run) -> None:
    manifest = run.manifest
    assert ask(run, "from runs").to_pylist() == [
        {
            "run": "run",
            "name": "small",
            "seed": manifest.seed,
            "digest": manifest.digest,
            "status": "complete",
            "started": manifest.started,
            "points": 3,
            "paths_per_point": 5,
            "periods_per_year": 2,
            "scenario_title": "A small pool",
            "version": "0.1.0",
        }
    ]


def test_several_runs_are_asked_as_one(run: Run, tmp_path: Path) -> None:
    other = a_run(tmp_path / "other", made_rows(points=1, seed=3))
    sql = "select run, count(*) as paths from paths group by run order by run"
    assert query([run, other], sql, "csv") == "run,paths\nother,5\nrun,15\n"
    save_query([run, other], sql, tmp_path / "answer.csv", "csv")
    assert (tmp_path / "answer.csv").read_text() == "run,paths\nother,5\nrun,15\n"
    with pytest.raises(RunError, match=r"(?s)pths does not exist.*did you mean paths \(a table"):
        query([run, other], "from pths")


def test_broken_sql_is_told_as_duckdb_says_it(run: Run) -> None:
    with pytest.raises(RunError, match="Parser Error: syntax error"):
        query(run, "selct 1")


def test_an_unknown_format_is_told(run: Run) -> None:
    with pytest.raises(RunError, match="no format 'xml'; there are table, csv, json, parquet"):
        query(run, "select 1", "xml")  # type: ignore[arg-type]
