"""What the points of a run vary: its factors, each with its value at every point.

A factor is an axis of the sweep. Designs are run under each policy in each world (docs/sweeps.md),
and one policy is looked at, since a policy is decided and not a chance: the first one where none is
named. Worlds are uncertain as axes are, so with several of them the world is a factor as well,
unless one is named. So are the fields of a posterior's draws. Fields that policies and worlds set
themselves are no factors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from results.analysis.outcomes import estimates
from results.analysis.settings import Axis, Settings, Value, settings
from results.run import Run, RunError

if TYPE_CHECKING:
    from configs.sweep import Sweep

POLICY: Final = "policy"
WORLD: Final = "world"


@dataclass(frozen=True)
class Factor:
    """One thing that varies over the points.

    Attributes
    ----------
    name : str
        Dotted path of the field, or `world`.
    unit, meaning : str
        Unit of its values, and what they say.
    values : tuple of value
        The value of each point; None where the axis is not applied.
    shares : float64[points]
        The same within 0..1: where a number lies in its range (by its logarithm, where the axis is
        one of logarithms), the place of a name over the last place; NaN for None.
    is_number, is_range : bool
        Whether values are numbers, and whether they come from a range and not from a list.
    """

    name: str
    unit: str
    meaning: str
    values: tuple[Value, ...]
    shares: npt.NDArray[np.float64]
    is_number: bool
    is_range: bool


@dataclass(frozen=True)
class Factors:
    """The factors of a run's points.

    Attributes
    ----------
    design : str
        Name of the sweep's design.
    policy, world : str or None
        The one that is looked at; None where the sweep has none, or where all worlds are.
    points : int64[points]
        Numbers of the points, in order.
    factors : tuple of Factor
        In the order of the sweep's axes, then of its draws, the world last; each has two values at
        least.
    """

    design: str
    policy: str | None
    world: str | None
    points: npt.NDArray[np.int64]
    factors: tuple[Factor, ...]


def factors(run: Run, policy: str | None = None, world: str | None = None) -> Factors:
    """Return what the points of a run vary under one policy.

    Parameters
    ----------
    run : Run
        The run.
    policy : str, optional
        Name of the policy; the first of the sweep without it.
    world : str, optional
        Name of the world; all of them without it, the world a factor.

    Raises
    ------
    RunError
        There is no such policy or world, nothing varies, or a file is damaged.
    """
    sweep, known = swept(run), settings(run)
    policy = _named(run, POLICY, policy, sweep.policies) or next(iter(sweep.policies), None)
    world = _named(run, WORLD, world, sweep.worlds)
    there = _at(known, POLICY, policy) & _at(known, WORLD, world)
    drawn = sweep.draws.fields if sweep.draws else ()
    names = [*sweep.axes, *drawn, *([WORLD] if sweep.worlds else [])]
    axes = {axis.name: axis for axis in known.axes}
    found = [_factor(sweep, axes[name], known, there) for name in names if name in axes]
    varying = tuple(factor for factor in found if len(set(factor.values) - {None}) > 1)
    if not varying:
        raise RunError(f"{run.folder}: nothing varies from point to point; sweep an axis")
    return Factors(sweep.design, policy, world, known.points[there], varying)


def measured(
    run: Run, found: Factors, outcome: str
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Return at which points an outcome has a value, and its mean over paths at each of them.

    Parameters
    ----------
    run : Run
        The run.
    found : Factors
        Its factors.
    outcome : str
        Name of the outcome.

    Returns
    -------
    bool[points], float64[points with a value]
        The means in the outcome's unit, in the order of the points.

    Raises
    ------
    RunError
        There is no such outcome, or a file is damaged.
    """
    table = estimates(run, [outcome])
    means = dict(zip(table["point"].to_pylist(), table["mean"].to_pylist(), strict=True))
    there = np.isin(found.points, list(means))
    return there, np.array([means[point] for point in found.points[there].tolist()], np.float64)


def swept(run: Run) -> Sweep:
    """Return the sweep of a run as its manifest has it.

    Raises
    ------
    RunError
        It is not one that can be read.
    """
    from pydantic import ValidationError

    from configs.sweep import Sweep

    try:
        return Sweep.model_validate_json(json.dumps(run.manifest.config.get("sweep", {})))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["sweep", *map(str, first["loc"])])
        raise RunError(f"{run.folder}: cannot read {where} of the run: {first['msg']}") from error


def design_points(run: Run, sweep: Sweep, policy: str | None, world: str | None) -> range:
    """Return the points of one repetition of the design, in its order.

    Parameters
    ----------
    run : Run
        The run.
    sweep : Sweep
        Its sweep.
    policy, world : str or None
        Names; the first of the sweep without them. Of several draws it is the first; of a run with
        its draws pooled, what all of them say.

    Raises
    ------
    RunError
        There is no such policy or world.
    """
    given = (_named(run, POLICY, policy, sweep.policies), _named(run, WORLD, world, sweep.worlds))
    places = [
        list(sets).index(name) if name else 0
        for name, sets in zip(given, (sweep.policies, sweep.worlds), strict=True)
    ]
    draws = sweep.draws.count if sweep.draws else 1
    repetitions = (len(sweep.policies) or 1) * (len(sweep.worlds) or 1) * draws
    size = run.manifest.points // repetitions
    start = (places[0] * (len(sweep.worlds) or 1) + places[1]) * draws * size
    return range(start, start + size)


def _named(run: Run, kind: str, name: str | None, sets: Mapping[str, Any]) -> str | None:
    """Return the name of a policy or a world; RunError where the sweep has none of that name."""
    if name is not None and name not in sets:
        there = f"it has {', '.join(sets)}" if sets else "it has none"
        raise RunError(f"{run.folder}: no {kind} {name!r}; {there}")
    return name


def _at(known: Settings, kind: str, name: str | None) -> npt.NDArray[np.bool_]:
    """Return which points belong to a policy or world; all of them for None."""
    axis = next((axis for axis in known.axes if axis.name == kind), None)
    if axis is None or name is None:
        return np.ones(known.points.size, np.bool_)
    return np.asarray(known.columns[kind] == axis.values.index(name))


def _factor(sweep: Sweep, axis: Axis, known: Settings, there: npt.NDArray[np.bool_]) -> Factor:
    """Return an axis at some points."""
    from configs.axes import Range

    column = np.asarray(known.columns[axis.name], np.float64)[there]
    spread = sweep.axes.get(axis.name)
    is_range = isinstance(spread, Range)
    ends = [float(end) for end in axis.given if axis.is_number and end is not None]
    if is_range:
        ends = [float(spread.low), float(spread.high)]  # type: ignore[arg-type, union-attr]
    elif sweep.draws is not None and axis.name in sweep.draws.fields:
        is_range = True
    if not axis.is_number:
        missing = np.array([axis.values[int(place)] is None for place in column], np.bool_)
        column = np.where(missing, np.nan, column)
        ends = [0.0, len(axis.given) - 1.0]
    is_log = isinstance(spread, Range) and spread.scale == "log"
    return Factor(
        axis.name,
        axis.unit,
        axis.meaning,
        _values(axis, column),
        _shares(np.log(column), *np.log(ends)) if is_log else _shares(column, ends[0], ends[-1]),
        axis.is_number,
        is_range,
    )


def _values(axis: Axis, column: npt.NDArray[np.float64]) -> tuple[Value, ...]:
    """Return values as the table `points` has them."""
    if not axis.is_number:
        return tuple(None if np.isnan(place) else axis.values[int(place)] for place in column)
    kind = int if isinstance(axis.given[0], int) else float
    return tuple(None if np.isnan(value) else kind(value) for value in column)


def _shares(column: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.float64]:
    """Return where values lie between two ends, 0 to 1."""
    return (column - low) / ((high - low) or 1.0)
