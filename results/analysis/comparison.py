"""Two settings compared, path by path where they saw the same draws.

Points of one run see the same draws on the same path unless its random numbers are independent;
points of two runs do if the seeds are the same. The difference of each path then holds none of the
luck that both had, and its mean has Student's interval with n-1 degrees of freedom. Otherwise the
samples are independent, and the interval is Welch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from results.analysis.outcomes import (
    OUTCOMES,
    asked,
    check_confidence,
    check_plan,
    check_points,
    values,
)
from results.run import Run, RunError
from results.schema import QUANTITIES

Float64 = npt.NDArray[np.float64]

_FIGURES: Final = (
    *((name, pa.float64()) for name in ("first", "second", "difference", "standard_error")),
    *((name, pa.float64()) for name in ("low", "high")),
    ("pairs", pa.int64()),
    ("paired", pa.bool_()),
    ("variance_ratio", pa.float64()),
)

_BY_OUTCOME: Final = pa.schema([("pair", pa.int64()), ("outcome", pa.string()), *_FIGURES])

_BY_PERIOD: Final = pa.schema([("period", pa.int32()), *_FIGURES])


@dataclass(frozen=True)
class Side:
    """One of two settings.

    Attributes
    ----------
    run : Run
        A run.
    point : int
        A point of it.
    """

    run: Run
    point: int


def are_paired(first: Side, second: Side) -> bool:
    """Return whether two settings saw the same draws on the same path."""
    return _seed(first) == _seed(second)


def _seed(side: Side) -> tuple[int, int | None]:
    """Return what a setting's seed is made of: the run's, and the point's number if it counts."""
    manifest = side.run.manifest
    common = manifest.config.get("sweep", {}).get("random_numbers", "common") == "common"
    return manifest.seed, None if common else side.point


def compare(
    first: Side,
    second: Side,
    names: Sequence[str] = tuple(OUTCOMES),
    confidence: float = 0.95,
) -> pa.Table:
    """Return how far outcomes of the second setting differ from those of the first.

    Parameters
    ----------
    first, second : Side
        The settings.
    names, confidence
        As for `compare_all`.

    Returns
    -------
    pyarrow.Table
        As `compare_all` returns it.

    Raises
    ------
    RunError
        There is no such outcome, or a file is damaged.
    """
    return compare_all([(first, second)], names, confidence)


def compare_all(
    pairs: Sequence[tuple[Side, Side]],
    names: Sequence[str] = tuple(OUTCOMES),
    confidence: float = 0.95,
) -> pa.Table:
    """Return how far, in every pair, outcomes of the second setting differ from the first's.

    Parameters
    ----------
    pairs : sequence of (Side, Side)
        The settings.
    names : sequence of str
        Names of outcomes (`results.analysis.outcomes`).
    confidence : float
        Probability that an interval holds the difference, 0 to 1.

    Returns
    -------
    pyarrow.Table
        pair : int64, place in `pairs`; outcome : string; first, second : float64, means;
        difference : float64, second less first; standard_error, low, high : float64, missing for
        fewer than two paths; pairs : int64, paths that both have, or, unpaired, the fewer of both;
        paired : bool; variance_ratio : float64, by how much an unpaired difference of as many
        paths would vary more, missing where it is unpaired or nothing varies. Outcomes that a
        side has no value of are left out.

    Raises
    ------
    RunError
        There is no such outcome or point, `confidence` is no probability, or a file is damaged.
    """
    check_confidence(confidence)
    for side in (side for pair in pairs for side in pair):
        check_points(side.run, [side.point])
    rows: list[dict[str, Any]] = []
    for name in names:
        samples = _samples(pairs, name)
        for number, (first, second) in enumerate(pairs):
            both = [samples.get((id(side.run), side.point)) for side in (first, second)]
            if both[0] is None or both[1] is None:
                continue
            found = _difference(both[0], both[1], are_paired(first, second), confidence)
            if found["pairs"]:
                rows.append({"pair": number, "outcome": name, **found})
    rows.sort(key=lambda row: row["pair"])
    return pa.Table.from_pylist(rows, _BY_OUTCOME)


def series(
    first: Side,
    second: Side,
    quantity: str,
    plan: str | None = None,
    confidence: float = 0.95,
) -> pa.Table:
    """Return how far a quantity under the second setting differs from the first's, by period.

    Parameters
    ----------
    first, second : Side
        The settings.
    quantity : str
        Of `results.schema.QUANTITIES`: a path that has closed counts zero, or is left out, as it
        is said there.
    plan : str, optional
        A plan of both points; the main plan of the first without it.
    confidence : float
        Probability that an interval holds the difference, 0 to 1.

    Returns
    -------
    pyarrow.Table
        period : int32; the other columns as of `compare_all`, in the quantity's unit. Periods
        that some path of either reached and both could reach; without those in which no pair of
        paths, or no path of a side, has a value.

    Raises
    ------
    RunError
        There is no such quantity, point or plan, periods of the two differ in length,
        `confidence` is no probability, or a file is damaged.
    """
    check_confidence(confidence)
    for side in (first, second):
        check_points(side.run, [side.point])
    shapes = [side.run.shapes.at(side.point) for side in (first, second)]
    plan = plan or shapes[0].main_plan
    for side in (first, second):
        check_plan(side.run, plan, side.point)
    if shapes[0].periods_per_year != shapes[1].periods_per_year:
        raise RunError(
            f"points {first.point} and {second.point} cannot be compared by period: "
            f"{shapes[0].periods_per_year} and {shapes[1].periods_per_year} periods make a year"
        )
    periods = _common_periods(first, second)
    here, there = (_by_period(side, quantity, plan, periods) for side in (first, second))
    paired = are_paired(first, second)
    rows = []
    for period in sorted(here.keys() & there.keys()):
        found = _difference(here[period], there[period], paired, confidence)
        if found["pairs"]:
            rows.append({"period": period, **found})
    return pa.Table.from_pylist(rows, _BY_PERIOD)


@dataclass(frozen=True)
class _Sample:
    """An outcome of the paths of a point: their numbers, int64, and its values, float64."""

    path: npt.NDArray[np.int64]
    value: Float64


def _common_periods(first: Side, second: Side) -> int:
    """Return how many periods to compare: what happened after the horizon of either is unknown."""
    sql = (
        "select max(periods_run) as longest, "
        "max(periods_run) filter (closure_period is null) as horizon from paths where point = $1"
    )
    found = [asked(side.run, sql, [side.point]).to_pylist()[0] for side in (first, second)]
    horizons = [row["horizon"] for row in found if row["horizon"] is not None]
    reached = min(horizons, default=max(row["longest"] or 0 for row in found))
    return min(reached, *(side.run.shapes.at(side.point).periods for side in (first, second)))


def _by_period(side: Side, quantity: str, plan: str, periods: int) -> dict[int, _Sample]:
    """Return a quantity of the paths of a setting by period, as `summary` takes it over paths."""
    known = {one.name: one.over for one in QUANTITIES}
    if quantity not in known:
        raise RunError(f"no quantity {quantity!r}; there are {', '.join(known)}")
    closed = "0" if known[quantity] == "all" else "null"
    counted = "period <= closure_period" if known[quantity] == "open" else "true"
    sql = f"""
        with own as (
            select path, period, {quantity}::double as value
            from periods left join (
                select point, path, pool, closure_period from pools
            ) as closures using (point, path, pool)
            where point = $1 and plan = $2 and coalesce({counted}, true)
        ), grid as (
            select path, period::integer as period
            from paths, range($3) as every(period) where point = $1
        )
        select period, path, coalesce(value, {closed}) as value
        from grid left join own using (path, period)
        where coalesce(value, {closed}) is not null order by period, path
        """
    rows = asked(side.run, sql, [side.point, plan, periods])
    period, path, value = (rows[name].to_numpy() for name in ("period", "path", "value"))
    numbers, starts = np.unique(period, return_index=True)
    parts = zip(
        numbers.tolist(), np.split(path, starts[1:]), np.split(value, starts[1:]), strict=True
    )
    if not path.size:
        return {}
    together = side.run.paths_together
    return {n: _by_draw(_Sample(paths, values), together) for n, paths, values in parts}


def _by_draw(sample: _Sample, together: int) -> _Sample:
    """Return the means of the paths that share a draw, numbered by it; else the paths as is."""
    if together == 1:
        return sample
    draws, places = np.unique(sample.path // together, return_inverse=True)
    return _Sample(draws, np.bincount(places, sample.value) / np.bincount(places))


def _samples(pairs: Sequence[tuple[Side, Side]], name: str) -> dict[tuple[int, int], _Sample]:
    """Return an outcome of every setting that has it, by run and point; a run is read once."""
    runs = {id(side.run): side.run for pair in pairs for side in pair}
    found = {}
    for key, run in runs.items():
        points = sorted({side.point for pair in pairs for side in pair if side.run is run})
        rows = values(run, name, points)
        of_point, path, value = (rows[column].to_numpy() for column in ("point", "path", "value"))
        for point in np.unique(of_point):
            here = of_point == point
            sample = _Sample(path[here], np.asarray(value[here], np.float64))
            found[key, int(point)] = _by_draw(sample, run.paths_together)
    return found


def _difference(first: _Sample, second: _Sample, paired: bool, confidence: float) -> dict[str, Any]:
    """Return what is told of a difference; `pairs` alone where there are none."""
    found = (_paired if paired else _unpaired)(first, second, confidence)
    return {"paired": paired, **found}


def _paired(first: _Sample, second: _Sample, confidence: float) -> dict[str, Any]:
    """Return the difference over the paths that both have."""
    _, here, there = np.intersect1d(first.path, second.path, return_indices=True)
    if not here.size:
        return {"pairs": 0}
    one, other = first.value[here], second.value[there]
    differences = other - one
    found = _estimate(float(differences.mean()), one, other)
    if here.size < 2:
        return found | {"pairs": int(here.size)}
    variance = float(differences.var(ddof=1))
    apart = float(one.var(ddof=1) + other.var(ddof=1))
    error = np.sqrt(variance / here.size)
    return (
        found
        | _interval(found["difference"], error, here.size - 1, confidence)
        | {"pairs": int(here.size), "variance_ratio": apart / variance if variance else None}
    )


def _unpaired(first: _Sample, second: _Sample, confidence: float) -> dict[str, Any]:
    """Return the difference of independent samples."""
    one, other = first.value, second.value
    found = _estimate(float(other.mean() - one.mean()), one, other)
    found["pairs"] = min(one.size, other.size)
    if min(one.size, other.size) < 2:
        return found
    parts = [sample.var(ddof=1) / sample.size for sample in (one, other)]
    error = np.sqrt(sum(parts))
    if not error:
        return found | _interval(found["difference"], 0.0, 1, confidence)
    freedom = sum(parts) ** 2 / sum(
        part**2 / (sample.size - 1) for part, sample in zip(parts, (one, other), strict=True)
    )
    return found | _interval(found["difference"], error, freedom, confidence)


def _estimate(difference: float, one: Float64, other: Float64) -> dict[str, Any]:
    """Return the means and their difference."""
    return {"first": float(one.mean()), "second": float(other.mean()), "difference": difference}


def _interval(
    difference: float, error: float, freedom: float, confidence: float
) -> dict[str, float]:
    """Return Student's interval."""
    from scipy.special import stdtrit

    away = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    return {
        "standard_error": float(error),
        "low": difference - away,
        "high": difference + away,
    }
