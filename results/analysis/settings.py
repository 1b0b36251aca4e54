"""Points of a sweep by their settings: what each axis takes, and the point that lies nearest.

Of a grid every combination is there; of a sample only the points themselves are, and what is asked
for is answered by the nearest one. Distances are Euclidean, each axis of numbers scaled by its
range to 0..1; another name, or a value where there is none, is at distance 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from results.run import Run, RunError

Value = bool | int | float | str | None

POINT: Final = "point"


@dataclass(frozen=True)
class Axis:
    """One swept field, or the names of policies or worlds.

    Attributes
    ----------
    name : str
        Dotted path of the field; `policy` or `world`.
    unit, meaning : str
        Unit of its values, and what they say.
    values : tuple of value
        Those that points have, each once: numbers in order, names as they come up; None last,
        where a point leaves the field as the scenario has it.
    is_number : bool
        Whether they are numbers.
    """

    name: str
    unit: str
    meaning: str
    values: tuple[Value, ...]
    is_number: bool

    @property
    def given(self) -> tuple[Value, ...]:
        """The values other than None."""
        return tuple(value for value in self.values if value is not None)


@dataclass(frozen=True)
class Settings:
    """What the points of a run are known by.

    Attributes
    ----------
    axes : tuple of Axis
        The axes, in the order of the table.
    points : int64[points]
        Numbers of the points.
    columns : mapping of str to array
        By the name of an axis, a value of each point: float64 with NaN for none, or an index into
        the axis' values.
    """

    axes: tuple[Axis, ...]
    points: npt.NDArray[np.int64]
    columns: Mapping[str, npt.NDArray[Any]]

    def at(self, point: int) -> dict[str, Value]:
        """Return the values of a point by the names of the axes.

        Raises
        ------
        RunError
            There is no such point.
        """
        place = np.flatnonzero(self.points == point)
        if not place.size:
            raise RunError(f"no point {point}; there are {self.points.size}, from 0 on")
        return {axis.name: _value(axis, self.columns[axis.name][place[0]]) for axis in self.axes}

    def nearest(self, wanted: Mapping[str, Value], among: Sequence[int] | None = None) -> int:
        """Return the point whose values are nearest to those wanted, the first of equals.

        Parameters
        ----------
        wanted : mapping of str to value
            By the names of axes; an axis that is not named does not count.
        among : sequence of int, optional
            The points to choose from; all without it.

        Raises
        ------
        RunError
            There is no point to choose from, or no such axis.
        """
        known = {axis.name: axis for axis in self.axes}
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise RunError(f"no axis {unknown[0]!r}; the sweep has {', '.join(known) or 'none'}")
        distance = np.zeros(self.points.size)
        for name, value in wanted.items():
            distance += _distance(known[name], self.columns[name], value) ** 2
        if among is not None:
            distance[~np.isin(self.points, np.asarray(among, np.int64))] = np.inf
        if not np.isfinite(distance).any():
            raise RunError("no point is finished yet; there is none to choose from")
        return int(self.points[np.argmin(distance)])


def settings(run: Run) -> Settings:
    """Return what the points of a run are known by.

    Raises
    ------
    RunError
        A file is damaged.
    """
    table = run.arrow("points")
    axes = tuple(_axis(table, name) for name in table.column_names if name != POINT)
    columns = {axis.name: _column(axis, table[axis.name]) for axis in axes}
    return Settings(axes, table[POINT].to_numpy().astype(np.int64), columns)


def _axis(table: pa.Table, name: str) -> Axis:
    """Return an axis of the table `points`."""
    told = {k.decode(): v.decode() for k, v in (table.schema.field(name).metadata or {}).items()}
    kind = table[name].type
    is_number = kinds.is_integer(kind) or kinds.is_floating(kind)
    values = pc.unique(table[name]).to_pylist()
    given = [value for value in values if value is not None]
    ordered = sorted(given) if is_number else given
    return Axis(
        name,
        told.get("unit", "1"),
        told.get("meaning", name),
        (*ordered, *([None] if len(given) < len(values) else [])),
        is_number,
    )


def _column(axis: Axis, values: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return the values of an axis, a number a point."""
    if axis.is_number:
        return np.asarray(values.cast(pa.float64()).to_numpy(), np.float64)
    places = {value: place for place, value in enumerate(axis.values)}
    return np.array([places[value] for value in values.to_pylist()], np.int64)


def _value(axis: Axis, stored: Any) -> Value:
    """Return a value as the table `points` has it."""
    if not axis.is_number:
        return axis.values[int(stored)]
    if np.isnan(stored):
        return None
    return int(stored) if isinstance(axis.given[0], int) else float(stored)


def _distance(axis: Axis, column: npt.NDArray[Any], value: Value) -> npt.NDArray[np.float64]:
    """Return how far each point is from a value on one axis, 0 to 1 within the axis' range."""
    if not axis.is_number:
        at = axis.values.index(value) if value in axis.values else -1
        return np.asarray(column != at, np.float64)
    missing = np.isnan(column)
    if value is None:
        return np.asarray(~missing, np.float64)
    ends = [float(end) for end in (axis.given[0], axis.given[-1]) if end is not None]
    span = (ends[-1] - ends[0]) or 1.0
    away: npt.NDArray[np.float64] = np.abs(column - float(value)) / span
    return np.where(missing, 1.0, away)
