"""What a posterior sample says: of each parameter, of the figures it was fitted to, of the future.

Rows of the tables of a calibration, from arrays; nothing is read or written here.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]

QUANTILES: Final = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}

LEAST_CONTRACTION: Final = 0.2
LEAST_SHIFT: Final = 0.5
"""A parameter is identified where the figures take this much of its prior's variance away, or move
its mean by this many of its prior's standard deviations. Below both, posterior and prior can hardly
be told apart by eye. Where draws are few, chance alone does as much: `could_be_chance`."""

FALSE_ALARM: Final = 0.01
"""Chance at which draws of the prior itself pass for those of an identified parameter, at most."""


def described(values: Floats) -> dict[str, Floats]:
    """Return mean and quantiles over draws.

    Parameters
    ----------
    values : float64[draws, n]

    Returns
    -------
    dict of str to float64[n]
        mean, q05, q25, q50, q75, q95.
    """
    found = np.quantile(values, list(QUANTILES.values()), axis=0)
    return {"mean": values.mean(axis=0), **dict(zip(QUANTILES, found, strict=True))}


def could_be_chance(effective: Floats) -> tuple[Floats, Floats]:
    """Return which contraction and which shift so many draws of the prior itself reach by chance.

    Each is passed with half of `FALSE_ALARM`: the variance of n draws of a standard normal is chi
    square over its n - 1 degrees of freedom, their mean normal with variance 1 / n.

    Parameters
    ----------
    effective : float64[parameters]
        Independent draws.

    Returns
    -------
    float64[parameters], float64[parameters]
        Contraction and shift.
    """
    from scipy import stats

    freedom = np.maximum(effective - 1.0, 1.0)
    contraction = 1.0 - stats.chi2(freedom).ppf(FALSE_ALARM / 2) / freedom
    shift = stats.norm.ppf(1.0 - FALSE_ALARM / 4) / np.sqrt(np.maximum(effective, 1.0))
    return contraction, shift


def parameter_columns(
    prior: Floats, z: Floats, values: Floats, effective: Floats
) -> dict[str, Any]:
    """Return what the figures say of each parameter.

    Parameters
    ----------
    prior : float64[k, parameters]
        Quantiles of the priors at the midpoints of k equal shares.
    z, values : float64[draws, parameters]
        Draws of the posterior: on the scale where priors are standard normal, and in their units.
    effective : float64[parameters]
        Effective sample size of each.

    Returns
    -------
    dict of str to sequence
        Columns of the table `parameters`: prior_mean … identified.
    """
    before, after = described(prior), described(values)
    contraction = 1.0 - z.var(axis=0, ddof=1)
    shift = np.abs(z.mean(axis=0))
    by_chance = could_be_chance(effective)
    contracted = contraction >= np.maximum(LEAST_CONTRACTION, by_chance[0])
    shifted = shift >= np.maximum(LEAST_SHIFT, by_chance[1])
    return {
        "prior_mean": before["mean"],
        "prior_sd": prior.std(axis=0),
        **{f"prior_{name}": before[name] for name in ("q05", "q50", "q95")},
        "mean": after["mean"],
        "sd": values.std(axis=0, ddof=1),
        **{name: after[name] for name in QUANTILES},
        "contraction": contraction,
        "shift": shift,
        "ess": effective,
        "identified": contracted | shifted,
    }


def prediction_table(
    world: str,
    series: Sequence[tuple[str, str]],
    dates: Sequence[date],
    values: Floats,
    observable: Floats,
) -> pa.Table:
    """Return rows of the table `predictions`: each draw, series and period of a world.

    Parameters
    ----------
    world : str
        Name of the world.
    series : sequence of (str, str)
        Quantity and scope.
    dates : sequence of date
        Last day of each period.
    values, observable : float64[draws, series, periods]
        What the model says, and what would be published without misprint.
    """
    draws, count, periods = values.shape
    one = count * periods
    quantity = np.repeat([quantity for quantity, _ in series], periods)
    scope = np.repeat([scope for _, scope in series], periods)
    return pa.table(
        {
            "world": pa.array([world] * (draws * one), pa.string()),
            "draw": np.repeat(np.arange(draws, dtype=np.int32), one),
            "quantity": np.tile(quantity, draws),
            "scope": np.tile(scope, draws),
            "period": np.tile(np.arange(periods, dtype=np.int32), draws * count),
            "date": pa.array(list(dates) * (draws * count), pa.date32()),
            "value": values.ravel(),
            "observable": observable.ravel(),
        }
    )


def forecast_table(
    world: str, series: Sequence[tuple[str, str]], dates: Sequence[date], observable: Floats
) -> pa.Table:
    """Return rows of the table `forecast`: mean and quantiles over draws; as `prediction_table`."""
    draws, count, periods = observable.shape
    told = described(observable.reshape(draws, count * periods))
    return pa.table(
        {
            "world": pa.array([world] * (count * periods), pa.string()),
            "date": pa.array(list(dates) * count, pa.date32()),
            "period": np.tile(np.arange(periods, dtype=np.int32), count),
            "quantity": np.repeat([quantity for quantity, _ in series], periods),
            "scope": np.repeat([scope for _, scope in series], periods),
            **told,
        }
    )


def figure_table(
    figures: Sequence[Mapping[str, Any]], values: Floats, published: Floats
) -> pa.Table:
    """Return rows of the table `figures`: what was published beside what would have been.

    Parameters
    ----------
    figures : sequence of mapping
        date, period, quantity, scope, value, error, source, held_back of each.
    values, published : float64[draws, figures]
        What the model says; and what would have been published, misprints included.
    """
    columns = {name: [figure[name] for figure in figures] for name in figures[0]}
    observed = np.array(columns["value"])
    return pa.table(
        {
            **columns,
            **described(published),
            "fit_q50": np.median(values, axis=0),
            "pit": (published < observed).mean(axis=0),
        }
    )
