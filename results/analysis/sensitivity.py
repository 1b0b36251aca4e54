"""Which swept fields move an outcome: a tornado for any design, and indices for those made for it.

An outcome of a point is its mean over the point's paths. `tornado` and `delta` leave out points
that are not there; `sobol` and `morris` need every point of their design, and look at one world.
Indices are SALib's, their margins by bootstrap from a fixed seed, so the same run gives the same
figures.

A model of chance adds noise to the means, which indices take for the work of the axes together:
the first-order indices then add up to less, and total indices are too large. Their column `noise`
says how much that can be, and goes down as one over the number of paths.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from results.analysis.factors import Factor, design_points, factors, measured, swept
from results.analysis.outcomes import estimates, values
from results.pooled import PooledRun
from results.run import Run, RunError

if TYPE_CHECKING:
    from configs.sweep import Sweep

Floats = npt.NDArray[np.float64]

SEED: Final = 1
"""Seed of the bootstraps; SALib takes 0 for none."""

END: Final = 0.2
"""Part of the points that stands for one end of a range."""

MIN_POINTS: Final = 30
"""Fewest points from which `delta` tells distributions apart."""

MIN_VALUES: Final = 10
"""Fewest values of an axis for `delta`, which cuts it into parts by rank."""


@dataclass(frozen=True)
class _Paths:
    """An outcome of every path, and how its errors hang together.

    Attributes
    ----------
    point, path : int64[rows]
        Keys of the rows.
    value : float64[rows]
        The outcome.
    is_common : bool
        Whether path i of every point sees the same draws.
    is_sampled : bool
        Whether the points are a sample of all that the axes could be.
    design, draws : int
        Points of the design at each draw of a posterior, and the number of draws, 1 without any.
    """

    point: npt.NDArray[np.int64]
    path: npt.NDArray[np.int64]
    value: Floats
    is_common: bool
    is_sampled: bool
    design: int
    draws: int

    def draw_of(self, points: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the numbers of the draws that points are at."""
        return points // self.design % self.draws


def tornado(
    run: Run, outcome: str, confidence: float = 0.95, policy: str | None = None
) -> pa.Table:
    """Return what an outcome is at the two ends of each axis, all else averaged.

    The end of a listed axis is its first or last value, in order where they are numbers; that of a
    range the lowest or highest fifth of the points. A mean is that over the points' means. Its
    squared standard error is the sum of two parts: the variance over paths of the mean of all the
    end's points at that path, divided by the paths (common draws move all points together; of
    independent draws, the sum of the points' squared errors over points squared); and, where points
    are a sample, the variance of their means divided by the points. Draws of a posterior are a
    sample: there it is the variance of the draws' means divided by the draws. The second holds a
    share of the first, so the error is rather too large than too small. The paths are those that
    every point of the end has. The error of the swing is found likewise of differences by path, and
    by draw where both ends have the same draws.

    Parameters
    ----------
    run : Run
        The run, of any design; one whose draws are pooled is taken apart into them.
    outcome : str
        Name of the outcome.
    confidence : float
        Probability that the normal interval of the swing holds it, 0 to 1.
    policy : str, optional
        Policy to look at; the first without it. All worlds count, the world as an axis.

    Returns
    -------
    pyarrow.Table
        axis, low, high : string, the axis and its two ends in words; mean_low, mean_high,
        standard_error_low, standard_error_high, swing, standard_error, swing_low, swing_high :
        float64, in the outcome's unit, swing = mean_high - mean_low with its interval;
        points_low, points_high : int64. The largest swing, whatever its sign, first. A standard
        error is missing where one path, or one point of a sample, is all there is.

    Raises
    ------
    RunError
        Nothing varies, no point is there, no such outcome or policy, or a file is damaged.
    """
    if isinstance(run, PooledRun):
        run = run.original
    found, paths = factors(run, policy), _paths(run, outcome)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    there = np.isin(found.points, paths.point)
    rows = [
        {"axis": factor.name, **row}
        for factor in found.factors
        if (row := _swing(factor, found.points, there, paths, z))
    ]
    if not rows:
        raise RunError(f"{run.folder}: no axis has points at both ends with a value of {outcome}")
    rows.sort(key=lambda row: -abs(row["swing"]))
    return pa.Table.from_pylist(rows, schema=_TORNADO)


def sobol(
    run: Run,
    outcome: str,
    confidence: float = 0.95,
    policy: str | None = None,
    world: str | None = None,
) -> pa.Table:
    """Return the Sobol indices of an outcome: the part of its variance that each axis explains.

    Saltelli et al. (2010), "Variance based sensitivity analysis of model output", Computer Physics
    Communications 181, 259-270, as in SALib's `analyze.sobol`.

    Parameters
    ----------
    run : Run
        A run of the design `saltelli`, complete.
    outcome : str
        Name of the outcome.
    confidence : float
        Probability that a normal interval, estimate ± margin, holds the index, 0 to 1; over
        base samples, not over paths.
    policy, world : str, optional
        The repetition of the design to look at; the first without them.

    Returns
    -------
    pyarrow.Table
        axis : string; s1, st : float64, first and total index, of the variance; s1_margin,
        st_margin : float64; noise : float64, the same for each axis: the mean squared standard
        error of points' means over the variance of the means. By axis, in the sweep's order. With
        common draws part of the noise is the same at every point and does no harm; missing for one
        path.

    Raises
    ------
    RunError
        The design is another, points are not there, the outcome is the same at all of them, no
        such outcome, policy or world, or a file is damaged.
    """
    sweep, means, errors = _complete(run, outcome, "saltelli", policy, world)
    found = _sobol_indices(sweep, means, confidence)
    noise = float(np.mean(errors**2) / np.var(means))
    columns = {
        "axis": list(sweep.axes),
        "s1": found["S1"],
        "s1_margin": found["S1_conf"],
        "st": found["ST"],
        "st_margin": found["ST_conf"],
        "noise": [None if np.isnan(noise) else noise] * len(sweep.axes),
    }
    return _table(columns)


def sobol_pairs(
    run: Run,
    outcome: str,
    confidence: float = 0.95,
    policy: str | None = None,
    world: str | None = None,
) -> pa.Table:
    """Return the second-order Sobol indices: what two axes explain only together.

    Saltelli (2002), "Making best use of model evaluations to compute sensitivity indices", Computer
    Physics Communications 145, 280-297, as in SALib's `analyze.sobol`.

    Parameters
    ----------
    run, outcome, confidence, policy, world
        As in `sobol`; the design has `second_order: true`.

    Returns
    -------
    pyarrow.Table
        axis, other : string; s2, s2_margin : float64, of the variance; each pair once, in the
        sweep's order.

    Raises
    ------
    RunError
        As `sobol`; or the design is not of second order.
    """
    sweep, means, _ = _complete(run, outcome, "saltelli", policy, world)
    if not sweep.second_order:
        raise RunError(
            f"{run.folder}: second-order indices need second_order: true in the sweep, got false"
        )
    found = _sobol_indices(sweep, means, confidence)
    names = list(sweep.axes)
    first, second = np.triu_indices(len(names), 1)
    columns = {
        "axis": pa.array([names[k] for k in first], pa.string()),
        "other": pa.array([names[k] for k in second], pa.string()),
        "s2": found["S2"][first, second],
        "s2_margin": found["S2_conf"][first, second],
    }
    return _table(columns)


def morris(
    run: Run,
    outcome: str,
    confidence: float = 0.95,
    policy: str | None = None,
    world: str | None = None,
) -> pa.Table:
    """Return the elementary effects of each axis on an outcome, by the method of Morris.

    An elementary effect is the change of the outcome over a step of one axis, divided by the part
    of the axis that the step goes over: so much as over the whole axis, were it a line. Morris
    (1991), Technometrics 33, 161-174; mu_star of Campolongo, Cariboni and Saltelli (2007),
    Environmental Modelling & Software 22, 1509-1518; as in SALib's `analyze.morris`. Noise of the
    paths makes mu_star of an axis without effect larger than zero; with common draws it does not.
    Along a list an axis goes from the first value to the last, as they stand in the sweep.

    Parameters
    ----------
    run : Run
        A run of the design `morris`, complete.
    outcome : str
        Name of the outcome.
    confidence : float
        Probability that the normal interval mu_star ± mu_star_margin holds it, 0 to 1; over
        trajectories, not over paths.
    policy, world : str, optional
        The repetition of the design to look at; the first without them.

    Returns
    -------
    pyarrow.Table
        axis : string; mu, mu_star, sigma, mu_star_margin : float64, in the outcome's unit over the
        whole axis: mean, mean of absolute values and sample standard deviation of the effects, and
        the margin of mu_star. By axis, in the sweep's order.

    Raises
    ------
    RunError
        The design is another, points are not there, no such outcome, policy or world, or a file is
        damaged.
    """
    from SALib.analyze import morris as salib

    from configs.sweep import unit_sample_of

    sweep, means, _ = _complete(run, outcome, "morris", policy, world, may_be_constant=True)
    sample = unit_sample_of(sweep)
    _check_sample(run, sweep, sample, design_points(run, sweep, policy, world).start)
    with _quiet():
        found = salib.analyze(
            _cube(len(sweep.axes)),
            np.array(sample),
            means,
            conf_level=confidence,
            num_levels=sweep.levels,
            seed=SEED,
        )
    columns = {
        "axis": list(sweep.axes),
        **{name: found[name] for name in ("mu", "mu_star", "sigma")},
        "mu_star_margin": found["mu_star_conf"],
    }
    return _table(columns)


def delta(
    run: Run,
    outcome: str,
    confidence: float = 0.95,
    policy: str | None = None,
    resamples: int = 100,
) -> pa.Table:
    """Return how far knowing each axis moves the whole distribution of an outcome over the points.

    Borgonovo's delta is half the mean distance, in area, between the density of the outcome and
    its density at one value of the axis: 0 without influence, 1 at most. Borgonovo (2007),
    Reliability Engineering & System Safety 92, 771-784; estimated as in Plischke, Borgonovo and
    Smith (2013), European Journal of Operational Research 226, 536-550, SALib's `delta_raw`. From
    few points it is larger than 0 without influence, too.

    Parameters
    ----------
    run : Run
        A run of at least 30 points, of any design.
    outcome : str
        Name of the outcome.
    confidence : float
        Probability that the normal interval delta ± margin holds it, 0 to 1.
    policy : str, optional
        Policy to look at; the first without it.
    resamples : int
        Bootstrap samples, ≥ 2, that the estimate is freed from bias with, and its margin made of.

    Returns
    -------
    pyarrow.Table
        axis : string; delta, margin : float64; points : int64, how many were used. The largest
        first. Only axes of numbers that take 10 values at least are in it, each over the points at
        which it is applied.

    Raises
    ------
    RunError
        There are fewer points, no axis takes so many numbers, the outcome is the same at all
        points, no such outcome or policy, or a file is damaged.
    """
    found = factors(run, policy)
    there, y = measured(run, found, outcome)
    if y.size < MIN_POINTS:
        raise RunError(f"{run.folder}: delta needs {MIN_POINTS} finished points, got {y.size}")
    _check_spread(run, outcome, y)
    spread = {
        factor.name: factor.shares[there] for factor in found.factors if _is_spread(factor, there)
    }
    if not spread:
        raise RunError(
            f"{run.folder}: delta needs an axis of numbers that takes {MIN_VALUES} values at least "
            f"at {MIN_POINTS} points; give one as a range {{low, high}} in a sampled design"
        )
    rows = [
        {"axis": name, **_delta_of(run, x, y, confidence, resamples)} for name, x in spread.items()
    ]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: -row["delta"]), schema=_DELTA)


_TORNADO: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("axis", "low", "high")),
        *(
            (name, pa.float64())
            for name in (
                "mean_low",
                "mean_high",
                "standard_error_low",
                "standard_error_high",
                "swing",
                "standard_error",
                "swing_low",
                "swing_high",
            )
        ),
        *((name, pa.int64()) for name in ("points_low", "points_high")),
    ]
)
_DELTA: Final = pa.schema(
    [
        ("axis", pa.string()),
        ("delta", pa.float64()),
        ("margin", pa.float64()),
        ("points", pa.int64()),
    ]
)


def _paths(run: Run, outcome: str) -> _Paths:
    """Return an outcome of every path."""
    from configs.designs import SAMPLED

    table, sweep = values(run, outcome), swept(run)
    return _Paths(
        table["point"].to_numpy().astype(np.int64),
        table["path"].to_numpy().astype(np.int64),
        table["value"].to_numpy(),
        sweep.random_numbers == "common",
        sweep.design in SAMPLED,
        len(design_points(run, sweep, None, None)),
        sweep.draws.count if sweep.draws else 1,
    )


def _swing(
    factor: Factor,
    points: npt.NDArray[np.int64],
    there: npt.NDArray[np.bool_],
    paths: _Paths,
    z: float,
) -> dict[str, Any] | None:
    """Return a row of the tornado; None where one end has no points."""
    ends = _ends(factor, there)
    if ends is None:
        return None
    low, high = (points[end] for end in ends)
    (mean_low, error_low), (mean_high, error_high), (swing, error) = (
        _contrast(paths, chosen, z_of)
        for chosen, z_of in (([low], [1]), ([high], [1]), ([low, high], [-1, 1]))
    )
    return {
        "low": _in_words(factor, ends[0]),
        "high": _in_words(factor, ends[1]),
        "mean_low": mean_low,
        "mean_high": mean_high,
        "standard_error_low": error_low,
        "standard_error_high": error_high,
        "swing": swing,
        "standard_error": error,
        "swing_low": None if error is None else swing - z * error,
        "swing_high": None if error is None else swing + z * error,
        "points_low": low.size,
        "points_high": high.size,
    }


def _ends(
    factor: Factor, there: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]] | None:
    """Return which points are at the low and at the high end of an axis; None without both."""
    applied = there & ~np.isnan(factor.shares)
    ordered = np.sort(factor.shares[applied])
    if ordered.size < 2 or ordered[0] == ordered[-1]:
        return None
    count = max(1, round(END * ordered.size)) if factor.is_range else 1
    low, high = ordered[count - 1], ordered[-count]
    if low >= high:  # so few values that one fills more than a fifth at both ends
        low, high = ordered[0], ordered[-1]
    return applied & (factor.shares <= low), applied & (factor.shares >= high)


def _in_words(factor: Factor, at: npt.NDArray[np.bool_]) -> str:
    """Return the values of an axis at some points: one, or from the least to the greatest."""
    chosen = [factor.values[k] for k in np.flatnonzero(at)]
    if not factor.is_number:
        return str(chosen[0])
    ends = dict.fromkeys((min(chosen), max(chosen)))  # type: ignore[type-var]
    return " to ".join(f"{end:.6g}" if isinstance(end, float) else str(end) for end in ends)


def _contrast(
    paths: _Paths, sets: Sequence[npt.NDArray[np.int64]], signs: Sequence[int]
) -> tuple[float, float | None]:
    """Return a signed sum of the means of sets of points, and its standard error."""
    of_points = [_point_means(paths, chosen) for chosen in sets]
    estimate = sum(sign * m.mean() for sign, (m, _) in zip(signs, of_points, strict=True))
    variance = _path_variance(paths, sets, signs)
    if variance is None:
        variance = sum(float(squared.sum()) / squared.size**2 for _, squared in of_points)
    if paths.is_sampled:
        variance += sum(m.var(ddof=1) / m.size if m.size > 1 else np.nan for m, _ in of_points)
    if paths.draws > 1:
        variance += _draw_variance(paths, sets, signs, [m for m, _ in of_points])
    return float(estimate), None if np.isnan(variance) else float(np.sqrt(variance))


def _draw_variance(
    paths: _Paths,
    sets: Sequence[npt.NDArray[np.int64]],
    signs: Sequence[int],
    means: Sequence[Floats],
) -> float:
    """Return the variance of a contrast over draws, NaN where a set of points has but one of them.

    Sets of the same draws are contrasted draw by draw, others are independent of one another.
    """
    draws, of_draws = [], []
    for chosen, mean in zip(sets, means, strict=True):
        found, place = np.unique(paths.draw_of(chosen), return_inverse=True)
        draws.append(found)
        of_draws.append(np.bincount(place, mean) / np.bincount(place))
    if all(np.array_equal(found, draws[0]) for found in draws):
        contrast = sum(sign * mean for sign, mean in zip(signs, of_draws, strict=True))
        of_draws = [np.asarray(contrast, np.float64)]
    return sum(
        float(mean.var(ddof=1)) / mean.size if mean.size > 1 else np.nan for mean in of_draws
    )


def _point_means(paths: _Paths, chosen: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the mean of each point, and its squared standard error (NaN for one path)."""
    rows = np.isin(paths.point, chosen)
    place = np.searchsorted(chosen, paths.point[rows])
    count = np.bincount(place, minlength=chosen.size)
    mean = np.bincount(place, paths.value[rows], chosen.size) / count
    squares = np.bincount(place, (paths.value[rows] - mean[place]) ** 2, chosen.size)
    freedom = np.where(count > 1, count - 1.0, np.nan)
    return mean, squares / freedom / count


def _path_variance(
    paths: _Paths, sets: Sequence[npt.NDArray[np.int64]], signs: Sequence[int]
) -> float | None:
    """Return the variance of a contrast over common paths; None where there are not two of them."""
    if not paths.is_common:
        return None
    size = int(paths.path.max()) + 1
    whole, contrast = np.ones(size, np.bool_), np.zeros(size)
    for chosen, sign in zip(sets, signs, strict=True):
        rows = np.isin(paths.point, chosen)
        whole &= np.bincount(paths.path[rows], minlength=size) == chosen.size
        contrast += sign * np.bincount(paths.path[rows], paths.value[rows], size) / chosen.size
    if whole.sum() < 2:
        return None
    return float(contrast[whole].var(ddof=1) / whole.sum())


def _complete(
    run: Run,
    outcome: str,
    design: str,
    policy: str | None,
    world: str | None,
    may_be_constant: bool = False,
) -> tuple[Sweep, Floats, Floats]:
    """Return the sweep, and means and standard errors of all points of one repetition of it.

    Raises
    ------
    RunError
        The design is another, or points are not there.
    """
    sweep = swept(run)
    if sweep.design != design:
        raise RunError(
            f"{run.folder}: this analysis needs the design {design!r}, got {sweep.design!r}; write "
            f"design: {design} in the sweep, or see tornado, which takes any"
        )
    wanted = design_points(run, sweep, policy, world)
    table = estimates(run, [outcome])
    errors = [np.nan if e is None else e for e in table["standard_error"].to_pylist()]
    rows = zip(table["point"].to_pylist(), table["mean"].to_pylist(), errors, strict=True)
    found = {point: (mean, error) for point, mean, error in rows if point in wanted}
    if len(found) < len(wanted):
        raise RunError(
            f"{run.folder}: this analysis needs all {len(wanted)} points of the design; "
            f"{len(found)} have a value of {outcome}; huzhu retry runs again what failed"
        )
    means, deviations = np.array([found[point] for point in wanted]).T
    if not may_be_constant:
        _check_spread(run, outcome, means)
    return sweep, np.ascontiguousarray(means), deviations


def _check_spread(run: Run, outcome: str, means: Floats) -> None:
    """Raise RunError where an outcome is the same at all points."""
    if np.ptp(means) <= 1e-12 * np.abs(means).max():
        raise RunError(
            f"{run.folder}: {outcome} is {means[0]:g} at all {means.size} points; there is nothing "
            "to explain"
        )


def _check_sample(run: Run, sweep: Sweep, sample: Floats, start: int) -> None:
    """Raise RunError where the points of a run are not those of the sample drawn now."""
    from configs.axes import dimensions

    table = run.arrow("points")
    # A sample of another version of SALib differs from the first trajectory on.
    looked_at = range(min(len(sample), 10 * (len(sweep.axes) + 1)))
    for k, axis in enumerate(dimensions(sweep.axes)):
        stored = table[axis.path].slice(start, len(looked_at)).to_pylist()
        for index, there in zip(looked_at, stored, strict=True):
            drawn = axis.label(axis.at(sample[index, k]))
            if there is not None and not _is_same(there, drawn):
                raise RunError(
                    f"{run.folder}: point {start + index} has {axis.path} {there}, and the sample "
                    f"drawn now {drawn}; use the SALib that drew it: {run.manifest.versions}"
                )


def _is_same(stored: object, drawn: object) -> bool:
    """Whether a value is the one that was stored, to a rounding; of mixed kinds text is stored."""
    if isinstance(drawn, float) and isinstance(stored, int | float):
        return bool(np.isclose(stored, drawn, rtol=1e-9, atol=0))
    return type(stored) is not type(drawn) or stored == drawn


def _is_spread(factor: Factor, there: npt.NDArray[np.bool_]) -> bool:
    """Whether an axis takes numbers enough, at points enough."""
    shares = factor.shares[there & ~np.isnan(factor.shares)]
    return factor.is_number and shares.size >= MIN_POINTS and np.unique(shares).size >= MIN_VALUES


def _delta_of(run: Run, x: Floats, y: Floats, confidence: float, resamples: int) -> dict[str, Any]:
    """Return delta of one axis, its margin and points."""
    from SALib.analyze import delta as salib
    from threadpoolctl import threadpool_limits

    applied = ~np.isnan(x)
    # Above 0 SALib leaves out an estimate for switches, which we have no use for.
    given = x[applied, np.newaxis] + 1.0
    # densities of so few points cost more to share out than to compute
    with _quiet(), threadpool_limits(1):
        try:
            found = salib.analyze(
                _cube(1),
                given,
                y[applied],
                num_resamples=resamples,
                conf_level=confidence,
                seed=SEED,
                method="delta",
            )
        except ValueError as error:
            raise RunError(f"{run.folder}: no density of the outcome: {error}") from error
    return {
        "delta": float(found["delta_raw"][0]),
        "margin": float(found["delta_raw_conf"][0]),
        "points": int(applied.sum()),
    }


def _sobol_indices(sweep: Sweep, means: Floats, confidence: float) -> Mapping[str, Any]:
    """Return what SALib's `analyze.sobol` finds."""
    from SALib.analyze import sobol as salib

    with _quiet():
        found: Mapping[str, Any] = salib.analyze(
            _cube(len(sweep.axes)),
            means,
            calc_second_order=sweep.second_order,
            conf_level=confidence,
            seed=SEED,
        )
    return found


def _cube(axes: int) -> dict[str, Any]:
    """Return a problem of SALib's; its names are not the axes', some of which it refuses."""
    return {
        "num_vars": axes,
        "names": [f"x{k}" for k in range(axes)],
        "bounds": [[0.0, 1.0]] * axes,
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep SALib's warnings in, and put back what it sets for the whole process."""
    shown: Callable[..., str] = warnings.formatwarning
    state = np.random.get_state()  # noqa: NPY002
    try:
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("ignore")
            yield
    finally:
        warnings.formatwarning = shown
        np.random.set_state(state)  # noqa: NPY002


def _table(columns: Mapping[str, Any]) -> pa.Table:
    """Return columns as a table: names, and numbers as float64."""
    return pa.table(
        {
            name: pa.array(column, pa.string())
            if name == "axis" or isinstance(column, pa.Array)
            else pa.array(_numbers(column), pa.float64())
            for name, column in columns.items()
        }
    )


def _numbers(column: Any) -> list[float | None]:
    """Return numbers as Arrow takes them."""
    return [None if value is None else float(value) for value in column]
