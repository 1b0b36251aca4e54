"""Two settings compared, path by path where they saw the same draws.

Points of one run see the same draws on the same path unless its random numbers are independent;
points of two runs do if the seeds are the same. The difference of each path then holds none of the
luck that both had, and its mean has Student's interval with n-1 degrees of freedom. Otherwise the
samples are independent, and the interval is Welch's.

Where draws are pooled (`results.pooled`), settings are compared path by path within each draw, and
the differences form a table of draws by paths: their mean and its error are those of
`results.standard_error`, draws counting alike. Against a run without draws, path i at every draw is
compared with its path i. With other random numbers on both sides the errors of the sides are put
together as Welch's are; this does not use that both may have the same draws, so the interval is
rather too wide than too narrow.
"""

from __future__ import annotations

import dataclasses
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
from results.engine import connect
from results.pooled import PooledRun
from results.run import Run, RunError
from results.schema import QUANTITIES
from results.standard_error import means_sql

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


def _seed(side: Side) -> tuple[int, tuple[int, ...] | None]:
    """Return what a setting's seed is made of: the run's, and the point's number if it counts.

    A pooled point stands for a point at every draw; which these are follows from two more numbers.
    """
    run, manifest = side.run, side.run.manifest
    if manifest.config.get("sweep", {}).get("random_numbers", "common") == "common":
        return manifest.seed, None
    draws = (run.draws, run.design) if isinstance(run, PooledRun) else ()
    return manifest.seed, (side.point, *draws)


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
        fewer than two paths, and of pooled draws also for a single draw and for a single path that
        the draws share; pairs : int64, paths that both have, or, unpaired, the fewer of both;
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
        there = {
            number: (samples[first], samples[second])
            for number, (first, second) in enumerate(map(_keys_of, pairs))
            if first in samples and second in samples
        }
        paired = [are_paired(*pairs[number]) for number in there]
        for number, found in zip(
            there, _differences([*there.values()], paired, confidence), strict=True
        ):
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
    both = sorted(here.keys() & there.keys())
    paired = [are_paired(first, second)] * len(both)
    differences = _differences([(here[n], there[n]) for n in both], paired, confidence)
    rows = [
        {"period": period, **found}
        for period, found in zip(both, differences, strict=True)
        if found["pairs"]
    ]
    return pa.Table.from_pylist(rows, _BY_PERIOD)


@dataclass(frozen=True)
class _Sample:
    """An outcome of the paths of a point: their numbers, int64, and its values, float64."""

    run: Run
    path: npt.NDArray[np.int64]
    value: Float64


@dataclass(frozen=True)
class _Mean:
    """A mean over paths, its squared error and the degrees of freedom of it, NaN without error."""

    value: float
    variance: float
    freedom: float


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
    return {n: _Sample(side.run, paths, values) for n, paths, values in parts}


def _keys_of(pair: tuple[Side, Side]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the keys of both sides among samples."""
    first, second = pair
    return (id(first.run), first.point), (id(second.run), second.point)


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
            found[key, int(point)] = _Sample(run, path[here], np.asarray(value[here], np.float64))
    return found


def _differences(
    samples: Sequence[tuple[_Sample, _Sample]], paired: Sequence[bool], confidence: float
) -> list[dict[str, Any]]:
    """Return what is told of the differences of samples; `pairs` alone where there are none."""
    matched = [
        _matched(*sides) if is_paired else sides
        for sides, is_paired in zip(samples, paired, strict=True)
    ]
    sizes = [min(first.path.size, second.path.size) for first, second in matched]
    some = [place for place, size in enumerate(sizes) if size]
    apart = [
        dataclasses.replace(first, value=second.value - first.value)
        for first, second in (matched[place] for place in some if paired[place])
    ]
    means = iter(_means([sample for place in some for sample in matched[place]]))
    differences = iter(_means(apart))
    found: list[dict[str, Any]] = [
        {"paired": is_paired, "pairs": size} for is_paired, size in zip(paired, sizes, strict=True)
    ]
    for place in some:
        one, other = next(means), next(means)
        difference = next(differences) if paired[place] else _unpaired(one, other)
        found[place] |= {"first": one.value, "second": other.value}
        found[place] |= _interval(difference, confidence)
        if paired[place] and difference.variance > 0:
            ratio = (one.variance + other.variance) / difference.variance
            found[place]["variance_ratio"] = ratio
    return found


def _matched(first: _Sample, second: _Sample) -> tuple[_Sample, _Sample]:
    """Return the values of two samples on the paths that both have, draw by draw where pooled."""
    # the numbers of the side with more paths to a draw have room for those of the other
    run = max(first.run, second.run, key=lambda r: (isinstance(r, PooledRun), r.paths_together))
    one, other = (_numbered_as_in(run, sample) for sample in (first, second))
    path, here, there = np.intersect1d(one.path, other.path, return_indices=True)
    return _Sample(run, path, one.value[here]), _Sample(run, path, other.value[there])


def _numbered_as_in(run: Run, sample: _Sample) -> _Sample:
    """Return a sample with the numbers that its paths have in a run, at every draw if it has none.

    The run's draws have as many paths at least as those of the sample.
    """
    if not isinstance(run, PooledRun):
        return sample
    together, path, value = run.paths_together, sample.path, sample.value
    if isinstance(sample.run, PooledRun):
        draw, path = np.divmod(path, sample.run.paths_together)
        return _Sample(run, draw * together + path, value)
    path, value = path[path < together], value[path < together]
    numbers = np.add.outer(np.arange(run.draws) * together, path).ravel()
    return _Sample(run, numbers, np.tile(value, run.draws))


def _means(samples: Sequence[_Sample]) -> list[_Mean]:
    """Return the means of samples; those of a pooled run are asked for together."""
    found: dict[int, _Mean] = {}
    pooled: dict[int, list[int]] = {}
    for place, sample in enumerate(samples):
        if isinstance(sample.run, PooledRun):
            pooled.setdefault(id(sample.run), []).append(place)
            continue
        n, value = sample.value.size, sample.value
        variance = float(value.var(ddof=1)) / n if n > 1 else np.nan
        found[place] = _Mean(float(value.mean()), variance, n - 1)
    for places in pooled.values():
        found |= zip(places, _means_over_draws([samples[place] for place in places]), strict=True)
    return [found[place] for place in range(len(samples))]


def _means_over_draws(samples: Sequence[_Sample]) -> list[_Mean]:
    """Return the means of samples of one pooled run, none of them empty."""
    sizes = [sample.path.size for sample in samples]
    cells = pa.table(
        {
            "sample": np.repeat(np.arange(len(samples)), sizes),
            "path": np.concatenate([sample.path for sample in samples]),
            "value": np.concatenate([sample.value for sample in samples]),
        }
    )
    with connect(threads=1) as connection:
        connection.register("cells", cells)
        sql = means_sql(samples[0].run, "cells", ["sample"])
        rows = connection.sql(f"from ({sql}) order by sample").fetchall()
    return [
        _Mean(mean, np.nan, np.nan) if error is None else _Mean(mean, error**2, freedom)
        for _, mean, error, freedom in rows
    ]


def _unpaired(one: _Mean, other: _Mean) -> _Mean:
    """Return the difference of the means of independent samples, with Welch's freedom."""
    variance = one.variance + other.variance
    parts = sum(mean.variance**2 / mean.freedom for mean in (one, other) if mean.variance)
    freedom = variance**2 / parts if parts else 1.0
    return _Mean(other.value - one.value, variance, freedom)


def _interval(difference: _Mean, confidence: float) -> dict[str, float]:
    """Return a difference and Student's interval, where it has an error."""
    from scipy.special import stdtrit

    found = {"difference": difference.value}
    if np.isnan(difference.variance):
        return found
    error = float(np.sqrt(difference.variance))
    away = float(stdtrit(difference.freedom, (1 + confidence) / 2)) * error
    interval = {"low": difference.value - away, "high": difference.value + away}
    return found | {"standard_error": error} | interval
