"""Which points no other beats: those on the front of several outcomes at once.

A point beats another where it is at least as good in every outcome and better in one; equal points
do not beat each other. How sure a point's place on the front is comes from resampling paths with
replacement, the same paths at every point. So differences between points keep the precision that
common random numbers give them; this is also right where random numbers are independent. Where
draws of a posterior are pooled, draws are resampled, and with common random numbers paths as well,
independently of the draws: the pigeonhole bootstrap (Owen 2007, "The pigeonhole bootstrap", Annals
of Applied Statistics 1, 386-411), which errs on the side of too much spread. Where all draws share
a single path, it shows only the spread that comes from the draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from results.analysis.outcomes import Outcome, estimates, outcome_of, values
from results.pooled import PooledRun
from results.run import Run, RunError

Floats = npt.NDArray[np.float64]

SEED: Final = 1
"""Seed of the draws of paths."""


def pareto(
    run: Run,
    names: Sequence[str] = ("share_a_year", "survived", "cross_subsidy"),
    points: Sequence[int] | None = None,
    resamples: int = 200,
) -> pa.Table:
    """Return the means of outcomes at each point, and whether another point beats it.

    Parameters
    ----------
    run : Run
        The run. Its worlds are compared as its policies are: name the points of one, to compare
        what one decides.
    names : sequence of str
        Names of the outcomes; each has a way in which it improves.
    points : sequence of int, optional
        Points to compare; all without it.
    resamples : int
        How often paths are resampled for `probability`, ≥ 1.

    Returns
    -------
    pyarrow.Table
        point : int32; for each outcome its mean, by its name, and `<name>_standard_error` :
        float64, in its unit; on_front : bool; probability : float64, the part of the draws in which
        the point is on the front, over one path always `on_front`. By point; a point without a
        value of some outcome is left out.

    Raises
    ------
    RunError
        There is no such outcome, one has no better way, no point has a value of each, or a file
        is damaged.
    """
    signs = np.array([_sign(outcome_of(name)) for name in names])
    wanted = None if points is None else set(points)
    means, errors = _estimates(run, names, wanted)
    if not means:
        raise RunError(f"{run.folder}: no point has a value of {', '.join(names)}")
    numbers = np.array(sorted(means), np.int64)
    found = np.array([means[point] for point in numbers.tolist()])
    probability = _probability(run, names, numbers, signs, resamples)
    columns: dict[str, Any] = {"point": pa.array(numbers, pa.int32())}
    for k, name in enumerate(names):
        columns[name] = found[:, k]
        columns[f"{name}_standard_error"] = pa.array(
            [errors[point][k] for point in numbers.tolist()], pa.float64()
        )
    return pa.table({**columns, "on_front": front(found * signs), "probability": probability})


def front(costs: Floats) -> npt.NDArray[np.bool_]:
    """Return which points no other beats.

    Parameters
    ----------
    costs : float64[points, outcomes]
        What is the better the less it is; a point with NaN is not on the front and beats none.

    Returns
    -------
    bool[points]
        Takes a step for each point of the front, over the points that are left.
    """
    on_front = np.zeros(len(costs), np.bool_)
    # In the order of their sums of ranks no point is beaten by one after it.
    ranks = sum(np.unique(column, return_inverse=True)[1] for column in costs.T)
    left = np.argsort(ranks, kind="stable")
    left = left[~np.isnan(costs[left]).any(axis=1)]
    while left.size:
        first = costs[left[0]]
        equal = (costs[left] == first).all(axis=1)
        on_front[left[equal]] = True
        left = left[~(costs[left] >= first).all(axis=1)]
    return on_front


def _sign(outcome: Outcome) -> float:
    """Return 1 for an outcome that is the better the less it is, -1 for the other way."""
    if outcome.better == "neither":
        raise RunError(f"{outcome.name} is better neither more nor less; leave it out of the front")
    return 1.0 if outcome.better == "less" else -1.0


def _estimates(
    run: Run, names: Sequence[str], wanted: set[int] | None
) -> tuple[dict[int, list[float]], dict[int, list[float | None]]]:
    """Return means and standard errors by point, in the order of the names."""
    means: dict[int, list[float]] = {}
    errors: dict[int, list[float | None]] = {}
    for row in estimates(run, names).to_pylist():
        if wanted is None or row["point"] in wanted:
            means.setdefault(row["point"], []).append(row["mean"])
            errors.setdefault(row["point"], []).append(row["standard_error"])
    whole = {point: found for point, found in means.items() if len(found) == len(names)}
    return whole, errors


def _probability(
    run: Run,
    names: Sequence[str],
    points: npt.NDArray[np.int64],
    signs: Floats,
    resamples: int,
) -> Floats:
    """Return in which part of the draws of paths each point is on the front."""
    tables = [_by_path(run, name, points) for name in names]
    weights = [_weights(run, table) for table in tables]
    paths = max(len(table) for table in tables)
    rng = np.random.default_rng(SEED)
    hits = np.zeros(points.size)
    for _ in range(resamples):
        times = _times(run, paths, rng)
        means = np.column_stack(
            [_weighted(*pair, times[: len(pair[0])]) for pair in zip(tables, weights, strict=True)]
        )
        hits += front(means * signs)
    return hits / resamples


def _times(run: Run, paths: int, rng: np.random.Generator) -> Floats:
    """Return how often each path is drawn."""
    if not isinstance(run, PooledRun):
        return np.bincount(rng.integers(0, paths, paths), minlength=paths).astype(np.float64)
    draws, together = run.draws, run.paths_together
    of_draw = np.bincount(rng.integers(0, draws, draws), minlength=draws)
    of_path = np.ones(together, np.int64)
    if run.is_common:
        of_path = np.bincount(rng.integers(0, together, together), minlength=together)
    return np.outer(of_draw, of_path).ravel().astype(np.float64)


def _weights(run: Run, table: Floats) -> Floats:
    """Return the weight of each value in the mean of its point, 0 for none; draws count alike."""
    weights = (~np.isnan(table)).astype(np.float64)
    for start in range(0, len(table), run.paths_together) if isinstance(run, PooledRun) else ():
        of_draw = weights[start : start + run.paths_together]
        of_draw /= np.maximum(of_draw.sum(axis=0), 1.0)
    return weights


def _by_path(run: Run, name: str, points: npt.NDArray[np.int64]) -> Floats:
    """Return an outcome by path and point, NaN where it is missing."""
    table = values(run, name)
    point, path = (table[key].to_numpy().astype(np.int64) for key in ("point", "path"))
    rows = np.isin(point, points)
    found = np.full((int(path.max()) + 1, points.size), np.nan)
    found[path[rows], np.searchsorted(points, point[rows])] = table["value"].to_numpy()[rows]
    return found


def _weighted(table: Floats, weights: Floats, times: Floats) -> Floats:
    """Return the mean of each point over paths that count so many times; NaN without any."""
    count = times @ weights
    total = times @ (weights * np.nan_to_num(table))
    means: Floats = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return means
