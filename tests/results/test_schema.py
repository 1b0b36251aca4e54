"""The tables' definitions: what MODEL section 12 asks for, and words for every column."""

from __future__ import annotations

import pyarrow as pa
import pytest

from results.schema import (
    LAPSE_CAUSES,
    POOL_CLOSED,
    QUANTITIES,
    RESULTS_FORMAT,
    TABLES,
    arrow_schema,
    points_schema,
    points_table,
)

PROMISED = {
    "paths": "point path periods_run closure_cause closure_period peak_members peak_period "
    "members_end share_max share_total cases benefits unfunded_benefits platform_cash_end "
    "uncovered_members",
    "periods": "point path period plan members joins lapses diagnoses cases benefits cost billed "
    "collected outstanding written_off share expectation news platform_cash",
    "members": "point path member pool plan joined left cause age sex health motive channel "
    "frailty bills paid received returned",
    "summary": "point period plan quantity mean sd standard_error q05 q25 q50 q75 q95 paths",
}


@pytest.mark.parametrize("table", PROMISED)
def test_every_promised_column_is_there(table: str) -> None:
    assert set(PROMISED[table].split()) <= set(arrow_schema(table).names)


def test_every_column_says_its_unit_and_meaning() -> None:
    for table in TABLES.values():
        for column in table.columns:
            assert column.unit, column.name
            assert len(column.meaning.split()) >= 3, column.name


def test_no_table_names_a_column_twice() -> None:
    for table in TABLES.values():
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names))


def test_periods_has_one_column_a_lapse_cause_in_their_order() -> None:
    names = [name for name in arrow_schema("periods").names if name.startswith("lapses_")]
    assert names == [f"lapses_{cause}" for cause in LAPSE_CAUSES]


def test_a_membership_may_go_on_and_may_have_begun_before_the_first_period() -> None:
    columns = TABLES["members"].columns
    assert [column.name for column in columns if column.nullable] == ["left", "cause", "channel"]
    assert POOL_CLOSED not in LAPSE_CAUSES


def test_summarised_quantities_are_columns_of_periods() -> None:
    assert {quantity.name for quantity in QUANTITIES} <= set(arrow_schema("periods").names)


def test_schema_carries_units_and_meanings_as_metadata() -> None:
    schema = arrow_schema("periods")
    assert schema.field("share").metadata[b"unit"] == b"yuan per payer"
    assert schema.metadata[b"table"] == b"periods"
    assert schema.metadata[b"results_format"] == str(RESULTS_FORMAT).encode()


@pytest.mark.parametrize("table", ["points", "peroids"])
def test_a_table_without_fixed_schema_is_refused(table: str) -> None:
    with pytest.raises(ValueError, match=f"no fixed schema for table '{table}'"):
        arrow_schema(table)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([True, False], pa.bool_()),
        ([1, 2], pa.int64()),
        ([0.0, 0.08], pa.float64()),
        ([0, 0.08], pa.float64()),
        ([1, None], pa.int64()),
        (["equal", "table"], pa.string()),
        ([[1, 2], [3]], pa.string()),
        ([1, "equal"], pa.string()),
        ([True, 1], pa.string()),
    ],
)
def test_a_swept_column_takes_the_narrowest_dtype(values: list[object], dtype: pa.DataType) -> None:
    assert points_schema({"a.b": values}).field("a.b").type == dtype


def test_points_table_keeps_values_units_and_meanings() -> None:
    rows: list[dict[str, object]] = [{"a.b": 0, "a.c": "equal"}, {"a.b": 0.08, "a.c": [1, 2]}]
    table = points_table(rows, units={"a.b": "1"}, meanings={"a.b": "management fee"})
    assert table.to_pylist() == [
        {"point": 0, "a.b": 0.0, "a.c": "equal"},
        {"point": 1, "a.b": 0.08, "a.c": "[1, 2]"},
    ]
    assert table.schema.field("a.b").metadata == {b"unit": b"1", b"meaning": b"management fee"}


def test_points_table_of_a_sweep_without_axes_has_its_one_point() -> None:
    assert points_table([{}]).to_pylist() == [{"point": 0}]
