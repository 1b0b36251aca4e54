"""From what the kernels filled to the rows of the tables: codes become names, keys are added."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from configs import arrays
from configs.scenario import SEXES, Scenario
from configs.shapes import shape_of
from kernels.dtypes import LAPSE_CAUSES
from kernels.events import Outcome
from kernels.platform import CLOSURE_CAUSES
from results.schema import POOL_CLOSED, arrow_schema

Rows = npt.NDArray[np.void]


@dataclass(frozen=True)
class Block:
    """Successive paths of one point, simulated.

    Attributes
    ----------
    point, first_path : int
        Which paths.
    scenario : Scenario
        The point's scenario.
    outcomes : Outcome
        What happened, each array with the paths as its first axis: PERIOD_ROW[paths, periods,
        plans], zeros after the end of a plan's pool; PATH_ROW[paths, 1], POOL_ROW[paths, pools],
        CELL_ROW[paths, plans, groups].
    kernel_seconds : float
        Time inside the kernels.
    """

    point: int
    first_path: int
    scenario: Scenario
    outcomes: Outcome
    kernel_seconds: float


def path_table(block: Block) -> pa.Table:
    """Return the rows of `paths` of a block."""
    rows = block.outcomes.path[:, 0]
    paths = np.arange(rows.size, dtype=np.int32)
    return _table("paths", _keys(block, paths) | _closure(rows), rows)


def pool_table(block: Block) -> pa.Table:
    """Return the rows of `pools` of a block: by path and pool."""
    paths, pools = np.indices(block.outcomes.pools.shape, np.int32)
    rows = block.outcomes.pools.ravel()
    keys = _keys(block, paths.ravel()) | {
        "pool": _names(shape_of(block.scenario).pools, pools.ravel())
    }
    return _table("pools", keys | _closure(rows), rows)


def period_table(block: Block) -> pa.Table:
    """Return the rows of `periods` of a block: up to a pool's end, by path, period and plan."""
    places: Rows = np.indices(block.outcomes.periods.shape, np.int32)
    paths, periods, plans = places[0], places[1], places[2]
    homes = list(arrays.pool_numbers(block.scenario))
    ran = periods < block.outcomes.pools["periods_run"][:, None, homes]
    keys = _keys(block, paths[ran]) | {
        "period": periods[ran],
        "plan": _names(tuple(block.scenario.plans), plans[ran]),
        "pool": _names(shape_of(block.scenario).pools, np.array(homes, np.int32)[plans[ran]]),
    }
    return _table("periods", keys, block.outcomes.periods[ran])


def cell_table(block: Block) -> pa.Table:
    """Return the rows of `cells` of a block: by path, plan and group ever at risk or billed."""
    rows = block.outcomes.cells
    used = (rows["exposure"] > 0) | (rows["paid"] != 0.0) | (rows["cases"] > 0)
    used |= rows["uncovered"] > 0
    paths, plans, numbers = (place.astype(np.int32) for place in np.nonzero(used))
    groups = arrays.groups(block.scenario)
    keys = _keys(block, paths) | {
        "plan": _names(tuple(block.scenario.plans), plans),
        "from_age": np.array([group.from_age for group in groups], np.int32)[numbers],
        "to_age": np.array([group.to_age for group in groups], np.int32)[numbers],
        "sex": _names(SEXES, np.array([SEXES.index(group.sex) for group in groups])[numbers]),
        "health": _names(tuple(group.health for group in groups), numbers),
    }
    return _table("cells", keys, rows[used])


@dataclass(frozen=True)
class MemberNames:
    """What the codes of a scenario's members stand for; by group, or by plan."""

    ages: npt.NDArray[np.int32]
    sexes: tuple[str, ...]
    health: tuple[str, ...]
    plans: tuple[str, ...]
    pools: tuple[str, ...]
    motives: tuple[str, ...]
    channels: tuple[str, ...]


def member_names(scenario: Scenario) -> MemberNames:
    """Return what the codes of a scenario's members stand for."""
    groups, pools = arrays.groups(scenario), shape_of(scenario).pools
    return MemberNames(
        np.array([group.from_age for group in groups], np.int32),
        tuple(group.sex for group in groups),
        tuple(group.health for group in groups),
        tuple(scenario.plans),
        tuple(pools[home] for home in arrays.pool_numbers(scenario)),
        tuple(scenario.motives),
        tuple(scenario.channels),
    )


def member_table(names: MemberNames, point: int, path: int, rows: Rows) -> pa.Table:
    """Return rows of `members` of one path."""
    keys = {
        "point": np.full(rows.size, point, np.int32),
        "path": np.full(rows.size, path, np.int32),
        "pool": _names(names.pools, rows["plan"]),
        "plan": _names(names.plans, rows["plan"]),
        "left": pa.array(rows["left"], mask=rows["left"] < 0),
        "cause": _names((*LAPSE_CAUSES, POOL_CLOSED), rows["cause"]),
        "age": names.ages[rows["group"]],
        "sex": _names(names.sexes, rows["group"]),
        "health": _names(names.health, rows["group"]),
        "motive": _names(names.motives, rows["motive"]),
        "channel": _names(names.channels, rows["channel"]),
    }
    return _table("members", keys, rows)


def _keys(block: Block, paths: npt.NDArray[np.int32]) -> dict[str, Any]:
    """Return the columns that say which point and path a row is of."""
    point = np.full(paths.size, block.point, np.int32)
    return {"point": point, "path": paths + np.int32(block.first_path)}


def _closure(rows: Rows) -> dict[str, Any]:
    """Return the columns that say why and when a pool, or the last of a path, closed."""
    period = rows["closure_period"]
    cause = _names(CLOSURE_CAUSES, rows["closure_cause"])
    return {"closure_cause": cause, "closure_period": pa.array(period, mask=period < 0)}


def _names(names: tuple[str, ...], codes: npt.NDArray[Any]) -> pa.DictionaryArray:
    """Return codes as the names they stand for, a code below 0 as none."""
    every = list(dict.fromkeys(names))
    missing = codes < 0
    if len(every) < len(names):  # groups share the names of their health classes
        codes = np.array([every.index(name) for name in names])[codes]
    places = pa.array(codes.astype(np.int32), mask=missing)
    return pa.DictionaryArray.from_arrays(places, pa.array(every, pa.string()))


def _table(name: str, keys: dict[str, Any], rows: Rows) -> pa.Table:
    """Return the columns of a table in order, from `keys` or else from the field of `rows`."""
    columns = arrow_schema(name).names
    return pa.table(
        {
            column: keys[column] if column in keys else np.ascontiguousarray(rows[column])
            for column in columns
        }
    )
