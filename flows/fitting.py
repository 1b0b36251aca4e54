"""What a worker does for a calibration: simulate a path at each of some parameters' values.

Plain functions, called by name on a Dask worker, which imports neither Prefect nor Dask. The
calibration is read from its folder once a process; the message holds values and numbers of paths,
the answer what the model says of the figures.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from configs.calibration import (
    Calibration,
    load_calibration,
    period_at,
    scenario_of,
)
from configs.calibration import fitted as fitted_figures
from configs.messages import ProblemsError
from configs.observed import first_of_year
from flows import simulation
from flows.shard import check_code
from flows.simulation import PathError
from kernels.published import window_sums
from results.store import CONFIG_NAME

COLUMNS = {
    "members": "members",
    "payers": "payers",
    "share": "share",
    "claims": "cases",
    "benefits": "benefits",
}
"""Column of the periods that each quantity is a sum of."""

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Figure:
    """A figure that a path is asked for: a quantity of a scope at a period."""

    quantity: str
    scope: str
    period: int


@dataclass(frozen=True)
class Sums:
    """Figures as sums over plans and periods; a row each.

    Attributes
    ----------
    columns : tuple of str
        Column of the periods that is summed.
    plans : bool[sums, plans]
        The plans.
    windows : int64[sums, 2]
        First and last period.
    """

    columns: tuple[str, ...]
    plans: NDArray[np.bool_]
    windows: Counts


def fitted(calibration: Calibration) -> tuple[Figure, ...]:
    """Return the figures up to the cut-off date, as paths are asked for them."""
    return tuple(
        Figure(row.quantity, row.scope, period_at(calibration, row.date))
        for row in fitted_figures(calibration)
    )


def series(calibration: Calibration) -> tuple[tuple[str, str], ...]:
    """Return quantity and scope of everything that figures were published of, each once."""
    return tuple(dict.fromkeys((row.quantity, row.scope) for row in calibration.observations.rows))


def every_period(calibration: Calibration) -> tuple[Figure, ...]:
    """Return each of the `series` at every period of the scenario, series by series."""
    periods = range(calibration.scenario.periods)
    return tuple(Figure(*one, period) for one in series(calibration) for period in periods)


def sums_of(calibration: Calibration, figures: Iterable[Figure]) -> Sums:
    """Return figures as the sums that they are."""
    figures = tuple(figures)
    plans = list(calibration.scenario.plans)
    return Sums(
        tuple(COLUMNS[figure.quantity.split("_")[0]] for figure in figures),
        np.array([[p in calibration.scopes[figure.scope] for p in plans] for figure in figures]),
        np.array([_window(calibration, figure) for figure in figures], np.int64),
    )


def _window(calibration: Calibration, figure: Figure) -> tuple[int, int]:
    """Return first and last period of what a figure sums up."""
    scenario = calibration.scenario
    assert scenario.start_date is not None, calibration.name  # checked on loading
    if figure.quantity.endswith("_cumulative"):
        return 0, figure.period
    if figure.quantity.endswith("_year"):
        first = first_of_year(scenario.start_date, scenario.periods_per_year, figure.period)
        return first, figure.period
    return figure.period, figure.period


def simulated(
    calibration: Calibration, sums: Sums, values: Floats, paths: Counts, world: str | None = None
) -> Floats:
    """Simulate one path at each row of parameters, and return what it says.

    Parameters
    ----------
    calibration : Calibration
        The calibration.
    sums : Sums
        What is asked.
    values : float64[n, parameters]
        Parameters in the order of `configs.calibration.names`.
    paths : int64[n]
        Number of each path.
    world : str, optional
        World of the forecast.

    Returns
    -------
    float64[n, sums]
        NaN where the values do not make a scenario, or the path comes to no numbers.
    """
    found = np.full((len(values), len(sums.columns)), np.nan)
    # Draws are addressed by period: a path that ends earlier is the beginning of the whole one.
    until = {"periods": int(sums.windows.max()) + 1}
    seed = calibration.sampler.seed
    for i, (row, path) in enumerate(zip(values, paths.tolist(), strict=True)):
        try:
            scenario = scenario_of(calibration, row, world).model_copy(update=until)
            block = simulation.simulate(scenario, seed, 0, range(path, path + 1))
        except (ProblemsError, PathError):
            continue
        rows = block.outcomes.periods[0]
        found[i] = window_sums(rows, sums.columns, sums.plans, sums.windows)
    return found


def fit(folder: str, values: Floats, paths: Counts, expected_code: str) -> Floats:
    """Return what paths say of the figures up to the cut-off date; as `simulated`.

    Parameters
    ----------
    folder : str
        Folder of the calibration.
    values, paths
        As for `simulated`.
    expected_code : str
        What `flows.code.short_code` must say here.

    Raises
    ------
    CodeError
        This process runs other code, or other versions.
    """
    check_code(expected_code)
    calibration, sums, _ = _read(folder)
    return simulated(calibration, sums, values, paths)


def forecast(folder: str, world: str, values: Floats, paths: Counts, expected_code: str) -> Floats:
    """Return what paths say of `every_period` in a world; raises as `fit`."""
    check_code(expected_code)
    calibration, _, sums = _read(folder)
    return simulated(calibration, sums, values, paths, world)


@lru_cache(maxsize=4)
def _read(folder: str) -> tuple[Calibration, Sums, Sums]:
    """Read a calibration, once a process: the folder's name holds the digest of it."""
    calibration = load_calibration(Path(folder) / CONFIG_NAME)
    return (
        calibration,
        sums_of(calibration, fitted(calibration)),
        sums_of(calibration, every_period(calibration)),
    )
