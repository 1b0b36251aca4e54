"""How good a forecast was: coverage and log score, beside two naive forecasts.

A forecast of a figure is a sample of what would be published. The naive ones are normal laws
around what was known at the cut-off: the last value, and the straight line through the last two
years. They are as wide as their own errors in the past say.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVELS: Final = {"coverage_50": 0.5, "coverage_90": 0.9}
DAYS_OF_A_TREND: Final = 731
FEWEST_FOR_A_TREND: Final = 3
LEAST_SPREAD: Final = 0.01
"""A naive forecast is never surer than this share of its value: figures are misprinted, too."""

NORMAL_QUANTILES: Final = {0.5: 0.6744897501960817, 0.9: 1.6448536269514722}
"""Half the width of a central interval of a normal law, in standard deviations."""


class Published(Protocol):
    """A figure as it was published."""

    @property
    def date(self) -> date:
        """Day that it is of."""

    @property
    def quantity(self) -> str:
        """What was published."""

    @property
    def scope(self) -> str:
        """Whom it counts."""

    @property
    def value(self) -> float:
        """The figure."""


@dataclass(frozen=True)
class Normal:
    """A forecast that is a normal law."""

    mean: float
    sd: float

    def log_density(self, figure: float) -> float:
        """Return the logarithm of the density at a figure."""
        return float(_log_normal(figure, np.array([self.mean]), np.array([self.sd]))[0])

    def covers(self, figure: float, level: float) -> bool:
        """Tell whether the central interval of a level, 0.5 or 0.9, holds a figure."""
        return abs(figure - self.mean) <= NORMAL_QUANTILES[level] * self.sd


def log_score(centres: Floats, sds: Floats, figure: float) -> float:
    """Return the logarithm of a forecast's density at a figure; higher is better.

    The forecast is the mixture of normal laws around its draws, so no bandwidth has to be chosen.

    Parameters
    ----------
    centres, sds : float64[draws]
        What the model says, and the standard deviation of what is published around it, > 0.
    figure : float
        What was published.
    """
    terms = _log_normal(figure, centres, sds)
    most = float(terms.max())
    return most + math.log(float(np.exp(terms - most).mean()))


def covers(published: Floats, figure: float, level: float) -> bool:
    """Tell whether the central interval of a sample holds a figure.

    Parameters
    ----------
    published : float64[draws]
        What would be published.
    figure : float
        What was.
    level : float
        Probability of the interval, above 0 and below 1.
    """
    low, high = np.quantile(published, [(1 - level) / 2, (1 + level) / 2])
    return bool(low <= figure <= high)


def last_value(history: Sequence[tuple[date, float]], day: date) -> Normal:
    """Return the naive forecast that nothing changes.

    Its spread is that of a random walk whose relative steps are those between the figures before;
    where there is but one figure nothing is known of its steps, and it is as wide as its value.

    Parameters
    ----------
    history : sequence of (date, float)
        Figures before, at least one, by date.
    day : date
        Of the forecast, after them.
    """
    when, last = history[-1]
    steps = [
        (math.log(after / before), (later - earlier).days)
        for (earlier, before), (later, after) in pairwise(history)
        if before > 0 and after > 0 and later > earlier
    ]
    if not steps:
        return Normal(last, max(abs(last), LEAST_SPREAD))
    a_day = sum(change**2 for change, _ in steps) / sum(days for _, days in steps)
    return Normal(last, _at_least(last, abs(last) * math.sqrt(a_day * (day - when).days)))


def linear_trend(history: Sequence[tuple[date, float]], day: date) -> Normal:
    """Return the naive forecast that figures go on in a straight line.

    It is the least-squares line through the figures of the last two years before the last, with the
    error of prediction of a linear regression. With fewer than three it is `last_value`.

    Parameters
    ----------
    history : sequence of (date, float)
        Figures before, at least one, by date.
    day : date
        Of the forecast, after them.
    """
    last = history[-1][0]
    recent = [(when, value) for when, value in history if (last - when).days <= DAYS_OF_A_TREND]
    if len(recent) < FEWEST_FOR_A_TREND or recent[0][0] == last:
        return last_value(history, day)
    days = np.array([(when - last).days for when, _ in recent], np.float64)
    values = np.array([value for _, value in recent])
    centre, spread = days.mean(), float(np.square(days - days.mean()).sum())
    slope = float(((days - centre) * (values - values.mean())).sum() / spread)
    ahead = (day - last).days - centre
    left = values - values.mean() - slope * (days - centre)
    variance = float(np.square(left).sum()) / (len(recent) - 2)
    mean = float(values.mean()) + slope * float(ahead)
    wider = 1.0 + 1.0 / len(recent) + float(ahead) ** 2 / spread
    return Normal(mean, _at_least(mean, math.sqrt(variance * wider)))


NAIVE: Final = {"last_value": last_value, "linear_trend": linear_trend}


def scores(
    world: str,
    late: Sequence[Published],
    centres: Floats,
    sds: Floats,
    published: Floats,
    before: Sequence[Published],
) -> list[dict[str, Any]]:
    """Return how the model and the naive forecasts did on figures that were held back.

    Parameters
    ----------
    world : str
        World of the forecast.
    late : sequence of figures
        Those held back.
    centres, sds, published : float64[draws, figures]
        What the model says of them, the standard deviation of what is published around that, and
        draws of it.
    before : sequence of figures
        Those that the model was fitted to. One that has none of its quantity and scope among them
        is scored for nobody.

    Returns
    -------
    list of dict
        Rows of the table `scores`: for each forecaster each quantity, and all of them under "".
    """
    told: dict[tuple[str, str], list[dict[str, float]]] = {}
    for i, figure in enumerate(late):
        history = sorted(
            (one.date, one.value)
            for one in before
            if (one.quantity, one.scope) == (figure.quantity, figure.scope)
        )
        if not history:
            continue
        model = {
            "log_score": log_score(centres[:, i], sds[:, i], figure.value),
            **{
                name: float(covers(published[:, i], figure.value, level))
                for name, level in LEVELS.items()
            },
            "error": _error(float(np.median(published[:, i])), figure.value),
        }
        of_each = {"model": model}
        for name, forecast in NAIVE.items():
            of_each[name] = _of_normal(forecast(history, figure.date), figure.value)
        for forecaster, row in of_each.items():
            for quantity in ("", figure.quantity):
                told.setdefault((forecaster, quantity), []).append(row)
    return [_mean(world, *key, rows) for key, rows in told.items()]


def _of_normal(forecast: Normal, figure: float) -> dict[str, float]:
    return {
        "log_score": forecast.log_density(figure),
        **{name: float(forecast.covers(figure, level)) for name, level in LEVELS.items()},
        "error": _error(forecast.mean, figure),
    }


def _mean(
    world: str, forecaster: str, quantity: str, rows: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    means = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
    return {
        "world": world,
        "forecaster": forecaster,
        "quantity": quantity,
        "figures": len(rows),
        **means,
    }


def _error(middle: float, figure: float) -> float:
    return abs(middle / figure - 1.0) if figure else math.inf


def _at_least(mean: float, sd: float) -> float:
    return max(sd, LEAST_SPREAD * abs(mean), 1e-12)


def _log_normal(figure: float, means: Floats, sds: Floats) -> Floats:
    standard = (figure - means) / sds
    return np.asarray(-0.5 * np.square(standard) - np.log(sds) - 0.5 * math.log(2 * math.pi))
