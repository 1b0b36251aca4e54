"""Rooms that may not import each other use the same names, codes and limits."""

from collections.abc import Sequence
from enum import IntEnum
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest

from configs import arrays
from configs import scenario as limits
from configs.record import Record
from configs.scenario import (
    Caps,
    Claims,
    Closure,
    Frailty,
    InitialMembers,
    Plan,
    Platform,
    Scenario,
)
from kernels import apportion, dtypes, individuals, lapse, payment, platform, sharing, state
from kernels.draws import Purpose
from kernels.state import block_address, cell_address
from results import schema
from tests.kernels.pools import scenario

ARROW = {np.dtype(np.int64): pa.int64(), np.dtype(np.float64): pa.float64()}
# Columns of a result that the kernels know by number, and the rows' own places in a table.
NAMED = {"closure_cause"}
INDICES = {"periods_run", "closure_period", "peak_period"}


def columns(table: str, first: str) -> list[schema.Column]:
    names = [column.name for column in schema.TABLES[table].columns]
    return list(schema.TABLES[table].columns[names.index(first) :])


@pytest.mark.parametrize(
    ("table", "first", "row"),
    [
        ("periods", "members", dtypes.PERIOD_ROW),
        ("paths", "periods_run", dtypes.PATH_ROW),
        ("pools", "periods_run", dtypes.POOL_ROW),
        ("cells", "exposure", dtypes.CELL_ROW),
    ],
)
def test_a_rows_fields_are_the_tables_columns_in_their_order(
    table: str, first: str, row: np.dtype[np.void]
) -> None:
    found = columns(table, first)
    assert tuple(column.name for column in found) == row.names
    for column in found:
        if column.name not in NAMED | INDICES:
            assert column.dtype == ARROW[row[column.name]], column.name
        elif column.name in INDICES:
            assert (column.dtype, row[column.name]) == (pa.int32(), np.dtype(np.int64))


def test_a_member_s_row_has_the_table_s_columns_or_the_codes_behind_them() -> None:
    names = {column.name for column in schema.TABLES["members"].columns}
    of_group, of_plan, of_path = {"age", "sex", "health"}, {"pool"}, {"point", "path"}
    fields = set(dtypes.MEMBER_ROW.names or ())
    assert names - of_group - of_plan - of_path == fields - {"group"}
    for column in columns("members", "member"):
        if column.name in fields and column.dtype != schema.NAME:
            kind = ARROW.get(dtypes.MEMBER_ROW[column.name])
            wide = {"member": pa.int64(), "bills": pa.int64(), "frailty": pa.float64()}
            assert column.dtype == (kind or wide.get(column.name, pa.int32())), column.name


def test_a_member_s_row_holds_the_largest_scenario() -> None:
    def largest(field: str) -> int:
        return int(np.iinfo(dtypes.MEMBER_ROW[field]).max)

    groups = (limits.MAX_HEALTH_CLASSES + 1) * limits.MAX_AGES * len(limits.SEXES)
    assert groups - 1 <= largest("group")
    assert largest("plan") >= limits.MAX_PLANS - 1
    assert largest("channel") >= limits.MAX_CHANNELS - 1
    assert largest("motive") >= limits.MAX_MOTIVES - 1
    assert largest("cause") >= dtypes.POOL_CLOSED
    # a person may be a member of several plans or pools in turn, and keeps the number
    assert largest("member") >= 2_000_000_000 - 1
    assert largest("joined") >= limits.MAX_PERIODS + limits.MAX_TENURE_PERIODS


def test_whoever_was_a_member_when_the_pool_ended_has_a_cause_after_all_others() -> None:
    causes = (*schema.LAPSE_CAUSES, schema.POOL_CLOSED)
    assert causes[dtypes.POOL_CLOSED] == "pool_closed"
    assert dtypes.STILL_MEMBER < 0


def test_laws_of_frailty_are_the_codes_that_kernels_know() -> None:
    assert arrays.FRAILTY_LAWS == dtypes.FRAILTY_LAWS
    assert ("none", *get_args(Frailty.model_fields["law"].annotation)) == arrays.FRAILTY_LAWS
    codes = [individuals.NO_FRAILTY, individuals.GAMMA, individuals.DISCRETE]
    assert codes == list(range(len(arrays.FRAILTY_LAWS)))


def test_causes_of_lapse_are_the_same_in_every_room() -> None:
    assert schema.LAPSE_CAUSES == dtypes.LAPSE_CAUSES
    assert dtypes.LAPSE_CAUSES[: len(arrays.LAPSE_CAUSES)] == arrays.LAPSE_CAUSES
    assert tuple(limits.LapseIntensities.model_fields) == arrays.LAPSE_CAUSES
    assert len(arrays.LAPSE_CAUSES) == lapse.COMPETING - 1  # deaths come from a table


def test_an_open_path_has_the_cause_none() -> None:
    assert platform.CLOSURE_CAUSES[platform.OPEN] == "none"
    named = {
        "TOO_SMALL": "too_small",
        "SHARE_LIMIT": "share_limit",
        "INSOLVENT": "insolvent",
        "RUIN": "ruin",
        "NO_PROFIT": "no_profit",
        "ORDERED": "regulation",
    }
    assert len(platform.CLOSURE_CAUSES) == len(named) + 1
    for constant, name in named.items():
        assert platform.CLOSURE_CAUSES[getattr(platform, constant)] == name


@pytest.mark.parametrize(
    ("model", "field", "names", "module", "constants"),
    [
        (
            Plan,
            "rule",
            arrays.RULES,
            sharing,
            (
                "EQUAL",
                "TABLE",
                "EXPECTED",
                "LINEAR",
                "MINIMUM_VARIANCE",
                "CONDITIONAL_MEAN",
                "POOLED_BANDS",
            ),
        ),
        (
            Plan,
            "rounding",
            arrays.ROUNDINGS,
            apportion,
            ("EXACT", "NEXT_FEN", "LARGEST_REMAINDER"),
        ),
        (
            Caps,
            "excess_to",
            arrays.EXCESS_BEARERS,
            apportion,
            ("PLATFORM", "NEXT_PERIOD", "BENEFITS"),
        ),
        (
            Plan,
            "uncollected_to",
            arrays.UNCOLLECTED_BEARERS,
            payment,
            ("TO_PLATFORM", "TO_NEXT_PERIOD"),
        ),
    ],
)
def test_a_choice_of_the_scenario_is_the_code_that_kernels_know(
    model: type[Plan] | type[Caps],
    field: str,
    names: Sequence[str],
    module: object,
    constants: Sequence[str],
) -> None:
    assert set(get_args(model.model_fields[field].annotation)) == set(names)
    assert [getattr(module, constant) for constant in constants] == list(range(len(names)))
    for constant, name in zip(constants, names, strict=True):
        assert constant.removeprefix("TO_").lower() == name


@pytest.mark.parametrize(
    ("model", "field", "flag", "name_if_true"),
    [
        (Platform, "interest_to", "keeps_interest", "platform"),
        (Platform, "custody_from", "custody_from_platform", "platform"),
        (Closure, "wind_down_by", "platform_winds_down", "platform"),
    ],
)
def test_a_choice_between_members_and_platform_is_a_flag_of_the_pool(
    model: type[Platform] | type[Closure], field: str, flag: str, name_if_true: str
) -> None:
    place = model.__name__.lower()
    names = get_args(model.model_fields[field].annotation)
    assert set(names) == {"members", "platform"}
    for name in names:
        pools = arrays.parameters(scenario({f"{place}.{field}": name}))["pool"]
        assert pools[flag].tolist() == [name == name_if_true]


def test_the_largest_scenario_fits_into_the_addresses_of_the_draws() -> None:
    wait, bands = limits.MAX_WAIT_PERIODS, limits.MAX_TENURE_BANDS
    assert wait <= state.FIRST_BAND_CODE
    assert state.FIRST_BAND_CODE + bands <= 2**8
    last = block_address(
        limits.MAX_PLANS - 1, wait + bands - 1, limits.MAX_GRACE_FAILURES - 1, wait
    )
    group = (arrays.PADDING_CODE << 7) | (2 * limits.MAX_AGE_BANDS - 1)
    assert group < 2**10
    assert arrays.PADDING_CODE >= limits.MAX_HEALTH_CLASSES
    assert cell_address(last, limits.MAX_MOTIVES - 1, group) < 2**28
    # ages told apart by years may be more than bands, and stand above all of a cell's address
    assert limits.MAX_AGE_BANDS == arrays.BANDS_IN_CODE
    assert limits.MAX_AGES <= 2 * arrays.BANDS_IN_CODE
    assert arrays.HIGH_BAND_BIT == 28
    assert limits.MAX_MOTIVES < 2**4, "a motive's place stands beside its channel's number"
    assert limits.MAX_PERIODS < 2**24
    # migrations are drawn at the period with the pool they lead to above its 12 bits
    assert limits.MAX_PERIODS <= 2**12
    assert (limits.MAX_PERIODS - 1) | ((limits.MAX_POOLS - 1) << 12) < 2**24


def test_every_limit_is_the_bound_of_a_field() -> None:
    bounds: dict[tuple[type[Record], str], int] = {
        (Scenario, "plans"): limits.MAX_PLANS,
        (Scenario, "channels"): limits.MAX_CHANNELS,
        (Scenario, "motives"): limits.MAX_MOTIVES,
        (Scenario, "health"): limits.MAX_HEALTH_CLASSES,
        (Scenario, "pools"): limits.MAX_POOLS,
        (Scenario, "age_edges"): limits.MAX_AGE_BANDS + 1,
        (Scenario, "periods"): limits.MAX_PERIODS,
        (Plan, "wait_periods"): limits.MAX_WAIT_PERIODS,
        (Plan, "grace_failures"): limits.MAX_GRACE_FAILURES,
        (limits.Tenure, "bands"): limits.MAX_TENURE_BANDS,
        (Frailty, "values"): limits.MAX_FRAILTIES,
        (InitialMembers, "tenure_periods"): limits.MAX_TENURE_PERIODS,
    }
    for (model, field), bound in bounds.items():
        metadata = model.model_fields[field].metadata
        found = [getattr(item, name, None) for item in metadata for name in ("le", "max_length")]
        assert bound in found, field
    assert Claims.model_fields["report_delay"].metadata, "delays are bounded"


def test_purposes_have_numbers_of_their_own_that_fit_into_their_byte() -> None:
    assert issubclass(Purpose, IntEnum)
    numbers = [purpose.value for purpose in Purpose.__members__.values()]
    assert len(numbers) == len(set(numbers)) == len(Purpose)
    assert 0 <= min(numbers) <= max(numbers) < 2**8
