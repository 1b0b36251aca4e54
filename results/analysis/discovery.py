"""In which worlds does a pool fail? Boxes of settings that hold most of the points of interest.

Scenario discovery by PRIM, the patient rule induction method (Friedman and Fisher 1999, Statistics
and Computing 9, 123-143; Bryant and Lempert 2010, Technological Forecasting and Social Change 77,
34-49), as in ema_workbench: from the box of all points a twentieth is peeled off at a time, where
that raises the part of interest most. A box is told by its *coverage*, the part of all points of
interest that is in it, and its *density*, the part of its points that are of interest.

A point is of interest where the mean of an outcome over its paths is beyond a threshold: it is
settings that are looked for, and chance is averaged out of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from results.analysis.factors import Factor, Factors, factors, measured
from results.analysis.outcomes import outcome_of
from results.run import Run, RunError

if TYPE_CHECKING:
    import pandas

Limits = tuple[float, float] | tuple[str, ...]
"""Least and greatest value of numbers, or names."""

MIN_POINTS: Final = 20
"""Fewest points from which a box tells more than the points do; a twentieth is one of them."""

MOST_BOXES: Final = 3
DENSITY: Final = 0.8
"""Density that is asked of a box, as far as there is one."""

PEEL: Final = 0.05
"""Part of a box that is peeled off at a time, and least part of the points that a box holds."""

PARTS: Final = "part of the paths"
"""Unit of the outcomes whose threshold is a half where none is given."""


@dataclass(frozen=True)
class Box:
    """Settings under which most points are of interest.

    Attributes
    ----------
    limits : mapping of str to limits
        By the name of each axis that it restricts, in the sweep's order: least and greatest value,
        both included, or names.
    quasi_p : mapping of str to float
        Of the same axes: the probability of a density as high by chance without this restriction
        (a one-sided binomial test; the larger of the two ends'). It is quasi, for the ends were
        chosen by the same points.
    coverage, density : float
        Part of all points of interest that is in it; part of its points that is of interest.
    points, cases : int
        Points in it, and those of interest among them; none that an earlier box holds.
    """

    limits: Mapping[str, Limits]
    quasi_p: Mapping[str, float]
    coverage: float
    density: float
    points: int
    cases: int


@dataclass(frozen=True)
class Discovery:
    """The boxes of a run.

    Attributes
    ----------
    boxes : tuple of Box
        At most three, each found among the points that those before it do not hold.
    outcome : str
        Name of the outcome.
    threshold : float
        In the outcome's unit.
    above : bool
        Whether means above the threshold are of interest, or those below.
    points, of_interest : int
        Points that were looked at, and those of interest among them.
    left_out : tuple of str
        Axes that do not apply at every point; no box restricts them.
    """

    boxes: tuple[Box, ...]
    outcome: str
    threshold: float
    above: bool
    points: int
    of_interest: int
    left_out: tuple[str, ...]


def discover(
    run: Run,
    outcome: str = "survived",
    threshold: float | None = None,
    above: bool | None = None,
    policy: str | None = None,
) -> Discovery:
    """Return the settings under which an outcome is beyond a threshold.

    Of the boxes that PRIM peels and pastes on its way the one is taken whose harmonic mean of
    coverage and density is largest, among those of density 0.8 and more, where there are such; of
    equals the one that restricts the fewest axes. The first box is given whatever its density; a
    second and a third only with 0.8. Without a box to improve on all points there is none.

    PRIM is greedy, and sees one axis at a time: of several regions apart from each other, beside
    axes of names that do not matter, it may see none. A first box of low density, or of large
    quasi-p, is no discovery.

    Parameters
    ----------
    run : Run
        The run, of any design; a sample says more than a grid. Points that are not there are left
        out.
    outcome : str
        Name of the outcome.
    threshold : float, optional
        In the outcome's unit; a half for a part of the paths. Another outcome needs one.
    above : bool, optional
        Whether means above it are of interest, or those below; without it, what is worse for the
        members.
    policy : str, optional
        Policy to look at; the first without it. All worlds count, the world as an axis.

    Raises
    ------
    RunError
        ema_workbench is not installed, there are fewer than 20 points, none or all of them are of
        interest, no threshold is known, nothing varies, no such outcome or policy, or a file is
        damaged.
    """
    found = factors(run, policy)
    there, y = measured(run, found, outcome)
    if y.size < MIN_POINTS:
        raise RunError(f"{run.folder}: boxes need {MIN_POINTS} finished points, got {y.size}")
    limit = _threshold(run, outcome, threshold, y)
    is_above = outcome_of(outcome).better != "more" if above is None else above
    of_interest = y > limit if is_above else y < limit
    _check_both(run, outcome, limit, is_above, of_interest)
    whole, left_out = _applied(run, found, there)
    return Discovery(
        _boxes(whole, there, of_interest),
        outcome,
        limit,
        is_above,
        y.size,
        int(of_interest.sum()),
        left_out,
    )


def _threshold(
    run: Run, outcome: str, threshold: float | None, y: npt.NDArray[np.float64]
) -> float:
    """Return the threshold; RunError where none is given or known."""
    if threshold is not None:
        return float(threshold)
    known = outcome_of(outcome)
    if known.unit == PARTS:
        return 0.5
    raise RunError(
        f"{run.folder}: {outcome} needs a threshold; its means go from {y.min():g} to {y.max():g} "
        f"{known.unit}"
    )


def _check_both(
    run: Run, outcome: str, limit: float, is_above: bool, of_interest: npt.NDArray[np.bool_]
) -> None:
    """Raise RunError where no point, or every point, is of interest."""
    if of_interest.any() and not of_interest.all():
        return
    how_many = "every" if of_interest.any() else "no"
    side = "above" if is_above else "below"
    raise RunError(
        f"{run.folder}: {how_many} point has a mean {outcome} {side} {limit:g}, so there are no "
        "two kinds to tell apart; give another threshold"
    )


def _applied(
    run: Run, found: Factors, there: npt.NDArray[np.bool_]
) -> tuple[tuple[Factor, ...], tuple[str, ...]]:
    """Return the factors that apply at every point, and the names of the others."""
    missing = {f.name: bool(np.isnan(f.shares[there]).any()) for f in found.factors}
    whole = tuple(factor for factor in found.factors if not missing[factor.name])
    if not whole:
        raise RunError(f"{run.folder}: no axis applies at every point; boxes need one")
    return whole, tuple(name for name, lacks in missing.items() if lacks)


def _boxes(
    whole: tuple[Factor, ...], there: npt.NDArray[np.bool_], of_interest: npt.NDArray[np.bool_]
) -> tuple[Box, ...]:
    """Return the boxes that PRIM finds, one after the other."""
    boxes: list[Box] = []
    with warnings.catch_warnings():
        # Those of the library are about itself: drawing that is not there, pandas of tomorrow.
        warnings.simplefilter("ignore")
        algorithm = _prim(_frame(whole, there), of_interest.astype(np.int64))
        while len(boxes) < MOST_BOXES:
            trajectory = algorithm.find_box()
            step = _chosen(trajectory)
            if step is None or (boxes and trajectory.peeling_trajectory["density"][step] < DENSITY):
                break
            trajectory.select(step)
            boxes.append(_box(trajectory, step, whole))
    return tuple(boxes)


def _prim(frame: pandas.DataFrame, y: npt.NDArray[np.int64]) -> Any:
    """Return the algorithm; RunError where it is not installed."""
    try:
        from ema_workbench.analysis.prim import Prim
    except ImportError as error:
        raise RunError("boxes need ema_workbench: pip install 'ema_workbench>=2.5,<3'") from error
    # Boxes are chosen by us, so any density is let through.
    return Prim(frame, y, threshold=1e-9, peel_alpha=PEEL, paste_alpha=PEEL, mass_min=PEEL)


def _frame(whole: tuple[Factor, ...], there: npt.NDArray[np.bool_]) -> pandas.DataFrame:
    """Return the points: numbers as floats, since PRIM peels whole numbers no other way."""
    import pandas

    places = np.flatnonzero(there)
    return pandas.DataFrame(
        {
            f"x{k}": np.array(
                [factor.values[place] for place in places],
                np.float64 if factor.is_number else np.str_,
            )
            for k, factor in enumerate(whole)
        }
    )


def _chosen(trajectory: Any) -> int | None:
    """Return the step of a trajectory whose box is taken; None where none restricts anything."""
    if trajectory is None:
        return None
    steps = [
        (float(density), float(coverage), int(restricted), step)
        for step, (density, coverage, restricted) in enumerate(
            trajectory.peeling_trajectory[["density", "coverage", "res_dim"]].to_numpy()
        )
        if restricted and coverage > 0
    ]
    dense = [row for row in steps if row[0] >= DENSITY] or steps
    if not dense:
        return None
    best = max(dense, key=lambda row: (row[0] * row[1] / (row[0] + row[1]), -row[2], -row[3]))
    return best[3]


def _box(trajectory: Any, step: int, whole: tuple[Factor, ...]) -> Box:
    """Return a step of a trajectory as a box."""
    told, quasi_p = trajectory.peeling_trajectory.iloc[step], trajectory.qp[step]
    lims = trajectory.box_lims[step]
    restricted = {f"x{k}": factor for k, factor in enumerate(whole) if f"x{k}" in quasi_p}
    return Box(
        {factor.name: _limits(factor, lims[column]) for column, factor in restricted.items()},
        {factor.name: float(max(quasi_p[column])) for column, factor in restricted.items()},
        float(told["coverage"]),
        float(told["density"]),
        int(told["n"]),
        int(told["k"]),
    )


def _limits(factor: Factor, ends: Any) -> Limits:
    """Return the limits of a box on one axis; names in the order in which they come up."""
    if factor.is_number:
        return float(ends.iloc[0]), float(ends.iloc[1])
    inside = set(ends.iloc[0])
    names = dict.fromkeys(str(value) for value in factor.values)
    return tuple(name for name in names if name in inside)
