"""Every table and column of a run, defined once: name, Arrow dtype, unit, meaning.

The tables are those of MODEL section 12. `points` has one column for each swept field, so its
schema is built from the sweep's axes (`points_schema`); the others are fixed. Unit and meaning
travel with the data, as metadata of each Parquet field.

One dtype a quantity: indices are int32 (no sweep has 2**31 points, paths or periods); counts of
people and cases are int64 (a sum over paths passes 2**31); money, prices and indices of mood are
float64; names are dictionaries of strings, because a handful of names repeat millions of times.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa

RESULTS_FORMAT: Final = 3
"""Version of the run folder's layout: raised when an older reader could no longer read it."""

LAPSE_CAUSES: Final = (
    "base",
    "first_bill",
    "bill_shock",
    "growth",
    "burden",
    "news",
    "competitor",
    "regulation",
    "died",
    "aged_out",
    "moved",
    "early_diagnosis",
    "claimed",
    "rejected",
    "arrears",
    "balance_exhausted",
)
"""Causes of a lapse, in the order of their columns (MODEL sections 1, 3, 5 and 6)."""

POOL_CLOSED: Final = "pool_closed"
"""Cause in `members` of whoever was a member when the pool ended: no lapse of one's own."""

INDEX: Final = pa.int32()
COUNT: Final = pa.int64()
REAL: Final = pa.float64()
NAME: Final = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
        Name as it stands in files and queries.
    dtype : pyarrow.DataType
        Arrow type of the values.
    unit : str
        Unit of the values, in words ("yuan", "members", "1" for a pure number).
    meaning : str
        What the value says, in plain words.
    nullable : bool
        Whether a value may be missing.
    """

    name: str
    dtype: Any
    unit: str
    meaning: str
    nullable: bool = False

    def arrow_field(self) -> pa.Field:
        """Return the Arrow field of this column, unit and meaning in its metadata."""
        metadata = {"unit": self.unit, "meaning": self.meaning}
        return pa.field(self.name, self.dtype, nullable=self.nullable, metadata=metadata)


@dataclass(frozen=True)
class Table:
    """One table of a run.

    Attributes
    ----------
    name : str
        Name of its folder, and of its view in a query.
    meaning : str
        What one row is, in plain words.
    columns : tuple of Column
        The columns in order. For `points` only the first: the sweep adds its own.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Quantity:
    """One quantity of `periods` whose distribution over the paths `summary` describes.

    Attributes
    ----------
    name : str
        A column of `periods`.
    over : {"all", "running", "open"}
        The paths it is taken over. "all": every path of the point, one whose pool has ended
        counting zero, for what such a pool has none of (members, cases, money moving). "running":
        the paths whose pool has not ended, its wind-down included, for what it has no value of
        afterwards (reserve, news, the platform's cash). "open": the paths whose pool has not
        closed before the period, for prices: while a pool winds down nobody is covered, so there is
        no price of cover.
    """

    name: str
    over: Literal["all", "running", "open"]


QUANTITIES: Final = (
    Quantity("members", "all"),
    Quantity("payers", "all"),
    Quantity("joins", "all"),
    Quantity("lapses", "all"),
    Quantity("cases", "all"),
    Quantity("benefits", "all"),
    Quantity("cost", "all"),
    Quantity("billed", "all"),
    Quantity("collected", "all"),
    Quantity("outstanding", "all"),
    Quantity("subsidy", "all"),
    Quantity("reserve", "running"),
    Quantity("share", "open"),
    Quantity("expectation", "open"),
    Quantity("price_slope", "open"),
    Quantity("news", "running"),
    Quantity("platform_cash", "running"),
)
"""The quantities of `summary`, in the order of its rows."""

_POINT = Column("point", INDEX, "index", "parameter setting of the sweep, counted from 0")
_PATH = Column("path", INDEX, "index", "random realisation of the whole history, counted from 0")
_PERIOD = Column("period", INDEX, "period", "settlement step, counted from 0")
_PLAN = Column("plan", NAME, "name", "apportionment group of the pool")
_POOL = Column("pool", NAME, "name", "pool of the market")


def _ending_columns() -> tuple[Column, ...]:
    """Return what `paths` says of a whole path and `pools` of each of its pools."""
    return (
        Column("periods_run", INDEX, "periods", "periods simulated, wind-down included"),
        Column("closure_cause", NAME, "name", "why the (last) pool closed; none while open"),
        Column("closure_period", INDEX, "period", "period of the closure, if any", True),
        Column("peak_members", COUNT, "members", "largest membership of any period"),
        Column("peak_period", INDEX, "period", "first period with the largest membership"),
        Column("members_end", COUNT, "members", "members after the last period"),
        Column("share_max", REAL, "yuan", "largest share of one period"),
        Column("share_total", REAL, "yuan", "billed to a member present throughout"),
        Column("cases", COUNT, "cases", "claims accepted by assessment"),
        Column("benefits", REAL, "yuan", "paid on accepted claims"),
        Column("unfunded_benefits", REAL, "yuan", "benefits due that stayed unpaid"),
        Column("platform_cash_end", REAL, "yuan", "platform's cash after the last period"),
        Column("platform_cash_min", REAL, "yuan", "lowest cash of any period"),
        Column("price_slope_max", REAL, "yuan per yuan", "largest price_slope, signed"),
        Column("uncovered_members", COUNT, "members", "members without cover by closure"),
        Column("lost_deposits", REAL, "yuan", "members' money that went down with the platform"),
        Column("returned_contributions", REAL, "yuan", "given back to members at the closure"),
    )


def _lapse_columns() -> tuple[Column, ...]:
    """Return one column a lapse cause."""
    return tuple(
        Column(f"lapses_{cause}", COUNT, "members", f"members who left, cause {cause}")
        for cause in LAPSE_CAUSES
    )


TABLES: Final = {
    table.name: table
    for table in (
        Table("points", "one row a parameter setting and its swept values", (_POINT,)),
        Table(
            "paths",
            "one row a point and path: the whole history in a line",
            (
                _POINT,
                _PATH,
                *_ending_columns(),
            ),
        ),
        Table(
            "pools",
            "one row a point, path and pool of the market: its history in a line",
            (_POINT, _PATH, _POOL, *_ending_columns()),
        ),
        Table(
            "periods",
            "one row a point, path, period and plan; none after the end of its pool",
            (
                _POINT,
                _PATH,
                _PERIOD,
                _PLAN,
                _POOL,
                Column("members", COUNT, "members", "members after this period's lapses"),
                Column("payers", COUNT, "members", "members who owe a share of this period"),
                Column("joins", COUNT, "members", "members who came, moved_in included"),
                Column("moved_in", COUNT, "members", "members who came from another plan"),
                Column("lapses", COUNT, "members", "members who left, all causes"),
                *_lapse_columns(),
                Column("diagnoses", COUNT, "diagnoses", "first covered diagnoses"),
                Column("cases", COUNT, "cases", "claims accepted by assessment"),
                Column("rejections", COUNT, "claims", "claims rejected by assessment"),
                Column("disputes", COUNT, "claims", "rejected claims that were disputed"),
                Column("benefits", REAL, "yuan", "paid on accepted claims"),
                Column("unfunded", REAL, "yuan", "benefits due that were cut or stayed unpaid"),
                Column("cost", REAL, "yuan", "benefits, fee, custody and deficit carried in"),
                Column("fee", REAL, "yuan", "part of the cost that is the management fee"),
                Column("custody", REAL, "yuan", "part of the cost that is the custodian's"),
                Column("billed", REAL, "yuan", "charged to the payers this period"),
                Column("collected", REAL, "yuan", "received from members this period"),
                Column("outstanding", REAL, "yuan", "billed and not yet collected, at the end"),
                Column("written_off", REAL, "yuan", "given up as never to be collected"),
                Column("subsidy", REAL, "yuan", "part of the cost paid by the platform"),
                Column("free_bills", REAL, "yuan", "part of the subsidy: first bills it paid"),
                Column("defaulted", REAL, "yuan", "benefits charged and not paid: no money left"),
                Column("carried", REAL, "yuan", "carried to the next period; surplus negative"),
                Column("credited", REAL, "yuan", "charges below zero, credited to members"),
                Column("to_reserve", REAL, "yuan", "put into the plan's reserve; negative: taken"),
                Column("reserve", REAL, "yuan", "members' money held by the plan, at the end"),
                Column("paid_in", REAL, "yuan", "paid into prepaid balances"),
                Column("paid_back", REAL, "yuan", "paid back to who left, of prepaid balances"),
                Column("balances", REAL, "yuan", "prepaid balances, at the end"),
                Column("interest", REAL, "yuan", "interest on reserve and balances"),
                Column("cross_selling", REAL, "yuan", "commissions on what members buy besides"),
                Column("acquisition", REAL, "yuan", "paid by the platform for sign-ups"),
                Column("red_packets", REAL, "yuan", "presents of the platform to sign-ups"),
                Column("investigation", REAL, "yuan", "paid by the platform to assess claims"),
                Column("operating", REAL, "yuan", "paid by the platform to operate"),
                Column("share", REAL, "yuan per payer", "what one payer owes for this period"),
                Column("expectation", REAL, "yuan per payer", "share that members think normal"),
                Column("expected_cost", REAL, "yuan per payer", "mean expected cost, fee included"),
                Column(
                    "price_slope",
                    REAL,
                    "yuan per yuan",
                    "dAC/dP, signed: change of the mean cost of those who stay, per yuan that "
                    "every share of a year is dearer; 0 where all payers cost or react alike",
                ),
                Column("news", REAL, "1", "level of bad news, 0 when quiet"),
                Column("shock", REAL, "1", "common shock to incidence, 1 on average"),
                Column("platform_cash", REAL, "yuan", "platform's cash at the end of the period"),
            ),
        ),
        Table(
            "cells",
            "one row a point, path, plan, age band, sex and health: what it paid and received",
            (
                _POINT,
                _PATH,
                _PLAN,
                Column("from_age", INDEX, "years", "youngest age of the band"),
                Column("to_age", INDEX, "years", "oldest age of the band"),
                Column("sex", NAME, "name", "male or female"),
                Column("health", NAME, "name", "health class; padding for those who are nobody"),
                Column("exposure", COUNT, "member-periods", "at risk past the waiting period"),
                Column("cases", COUNT, "cases", "claims accepted by assessment"),
                Column("paid", REAL, "yuan", "charged to its members"),
                Column("received", REAL, "yuan", "benefits of its cases, as settled"),
                Column("expected", REAL, "yuan", "what it would cost on average, fee included"),
                Column("uncovered", COUNT, "members", "its members without cover by closure", True),
            ),
        ),
        Table(
            "members",
            "one row a point, path, person and membership (engine member): who, when and how much",
            (
                _POINT,
                _PATH,
                Column("member", COUNT, "index", "person of the path; kept in another plan"),
                _POOL,
                _PLAN,
                Column("joined", INDEX, "period", "period of joining; negative: before the first"),
                Column("left", INDEX, "period", "period of leaving; none: still a member", True),
                Column("cause", NAME, "name", "cause of leaving; none: still a member", True),
                Column("age", INDEX, "years", "age at joining"),
                Column("sex", NAME, "name", "male or female"),
                Column("health", NAME, "name", "health class; padding for those who are nobody"),
                Column("motive", NAME, "name", "why the person joined"),
                Column("channel", NAME, "name", "way of joining; none: before the first", True),
                Column("frailty", REAL, "1", "own incidence relative to others of one kind"),
                Column("bills", COUNT, "bills", "bills other than zero, paid or not"),
                Column("paid", REAL, "yuan", "paid of bills, from purse or balance"),
                Column("received", REAL, "yuan", "benefits of own cases, as settled"),
                Column("returned", REAL, "yuan", "paid back of the prepaid balance"),
            ),
        ),
        Table(
            "summary",
            "one row a point, period, plan and quantity: its distribution over the paths",
            (
                _POINT,
                _PERIOD,
                _PLAN,
                Column("quantity", NAME, "name", "column of periods that is described"),
                Column("mean", REAL, "of the quantity", "mean over the paths", True),
                Column("sd", REAL, "of the quantity", "sample sd (n-1); none for one path", True),
                Column("standard_error", REAL, "of the quantity", "sd / sqrt(paths)", True),
                Column("q05", REAL, "of the quantity", "5 % quantile, linear interpolation", True),
                Column("q25", REAL, "of the quantity", "25 % quantile, likewise", True),
                Column("q50", REAL, "of the quantity", "50 % quantile, the median", True),
                Column("q75", REAL, "of the quantity", "75 % quantile, likewise", True),
                Column("q95", REAL, "of the quantity", "95 % quantile, likewise", True),
                Column("paths", INDEX, "paths", "paths that the figures are taken over"),
            ),
        ),
    )
}
"""Every table by name, in the order a run writes them."""

SHARDED_TABLES: Final = ("paths", "pools", "periods", "cells", "members")
"""Tables whose rows are written by shards, and put together when all of them are there."""


def arrow_schema(table: str) -> pa.Schema:
    """Return the Arrow schema of a fixed table, with units and meanings as metadata.

    Parameters
    ----------
    table : {"paths", "periods", "summary"}
        Name of the table; `points` depends on the sweep, see `points_schema`.

    Raises
    ------
    ValueError
        The table is unknown, or is `points`.
    """
    if table not in TABLES or table == "points":
        raise ValueError(f"no fixed schema for table {table!r}; points has points_schema(axes)")
    return _schema(TABLES[table].columns, table)


def points_schema(
    axes: Mapping[str, Iterable[object]],
    units: Mapping[str, str] | None = None,
    meanings: Mapping[str, str] | None = None,
) -> pa.Schema:
    """Return the schema of `points`: the index, then one column a swept field.

    Parameters
    ----------
    axes : mapping of str to values
        Dotted path of each swept field, and the values it takes: all bool make a bool column, all
        int an int64 one, int and float a float64 one, anything else strings (lists and mappings as
        JSON).
    units, meanings : mapping of str to str, optional
        Unit and meaning of a swept field by its dotted path, where known.
    """
    swept = tuple(
        Column(
            name,
            _value_dtype(list(values)),
            (units or {}).get(name, "of the field"),
            (meanings or {}).get(name, f"value of the swept field {name}"),
            nullable=True,
        )
        for name, values in axes.items()
    )
    return _schema((*TABLES["points"].columns, *swept), "points")


def points_table(
    points: Iterable[Mapping[str, object]],
    units: Mapping[str, str] | None = None,
    meanings: Mapping[str, str] | None = None,
) -> pa.Table:
    """Return the `points` table of a sweep.

    Parameters
    ----------
    points : iterable of mapping
        For each point, in order, its swept fields by dotted path; the same fields in each.
    units, meanings : mapping of str to str, optional
        As in `points_schema`.
    """
    rows = list(points)
    axes = {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}
    schema = points_schema(axes, units, meanings)
    arrays = [pa.array(range(len(rows)), INDEX)]
    for name, values in axes.items():
        dtype = schema.field(name).type
        arrays.append(pa.array([_stored_value(value, dtype) for value in values], dtype))
    return pa.Table.from_arrays(arrays, schema=schema)


def _schema(columns: Iterable[Column], table: str) -> pa.Schema:
    """Return the schema of `columns`, the table's name and meaning as its metadata."""
    metadata = {
        "table": table,
        "meaning": TABLES[table].meaning,
        "results_format": str(RESULTS_FORMAT),
    }
    return pa.schema([column.arrow_field() for column in columns], metadata=metadata)


def _value_dtype(values: list[object]) -> Any:
    """Return the narrowest dtype that holds every value that is not None."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    if kinds and kinds <= {int, float}:
        return pa.float64()
    return pa.string()


def _stored_value(value: object, dtype: Any) -> object:
    """Return a swept value as its column stores it."""
    if value is None:
        return None
    if dtype == pa.float64() and isinstance(value, int):
        return float(value)
    if dtype == pa.string() and not isinstance(value, str):
        return json.dumps(value, sort_keys=True, default=str)
    return value
