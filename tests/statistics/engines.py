"""The two engines side by side: paths of the member engine, and how two samples of paths differ.

Two samples of equal size of one law differ by something symmetric, so that a difference over its
own standard error has the tails of a normal law, or lighter ones, even where events are few.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from configs import arrays
from configs.scenario import Scenario
from kernels import events, member
from kernels.dtypes import MEMBER_ROW
from kernels.individuals import individuals_from_fields
from kernels.platform import CLOSURE_CAUSES
from tests.scenarios import History, Rows, as_seed, changed, parameters

Floats = npt.NDArray[np.float64]

LIMIT = 4.5
LEAST_EVENTS = 30
DIGITS = 6  # of a yuan; what summing in another order changes is below


class MemberHistory(NamedTuple):
    """What simulated paths of the member engine left behind.

    history : History
    people : MEMBER_ROW[] of each path, in the order in which members left
    """

    history: History
    people: list[Rows]


def simulate_members(
    scenario: Scenario, seed: int, paths: int | Iterable[int] = 1, sample: float = 0.0
) -> MemberHistory:
    """Simulate paths with the member engine the way a run does; `sample` of all leave a row."""
    numbers = range(paths) if isinstance(paths, int) else paths
    scenario = changed(scenario, engine="member")
    pool = parameters(scenario)
    individuals = individuals_from_fields(arrays.individuals(scenario, sample))
    outcomes, people = [], []
    for path in numbers:
        outcome = events.new_outcome(pool)
        rows = list(member.simulate_path(pool, individuals, as_seed(seed), path, outcome))
        outcomes.append(outcome)
        people.append(np.concatenate(rows) if rows else np.zeros(0, MEMBER_ROW))
    periods, ends, pools, cells = (np.array(rows) for rows in zip(*outcomes, strict=True))
    return MemberHistory(History(periods, ends[:, 0], pools, cells), people)


class Sample(NamedTuple):
    """What is measured on each of many paths.

    names : of what is measured, K of them
    values : float64[paths, K]
    """

    names: list[str]
    values: Floats


def measure(history: History) -> Sample:
    """Give all columns of the rows of periods, pools and cells, each period a measurement."""
    measured: dict[str, Rows] = {}
    for kind in ("rows", "pools", "cells"):
        rows = getattr(history, kind)
        measured |= {f"{kind}.{name}": rows[name] for name in rows.dtype.names}
    causes = measured.pop("pools.closure_cause")
    for code, cause in enumerate(CLOSURE_CAUSES):
        measured[f"pools.closure_cause.{cause}"] = causes == code
    names, columns = [], []
    for name, values in measured.items():
        for place in np.ndindex(values.shape[1:]):
            names.append(f"{name}{list(place)}")
            columns.append(values[(slice(None), *place)])
    return Sample(names, np.array(columns, np.float64).T.round(DIGITS))


class Comparison(NamedTuple):
    """How two samples differ.

    names : of what was compared, one for each z
    z : float64[], differences over their standard errors, of means and then of variances
    """

    names: list[str]
    z: Floats

    def beyond(self) -> list[str]:
        """Name what differs by more than the limit, the worst first."""
        order = np.argsort(-np.abs(self.z))
        return [f"{self.names[i]}: {self.z[i]:.1f}" for i in order if abs(self.z[i]) > LIMIT]


def compare(one: History, other: History, leave_out: tuple[str, ...] = ()) -> Comparison:
    """Compare means and variances of all that two samples of as many paths measure.

    What is alike on nearly all paths is left out: there are too few events for a normal law.
    """
    names, values = measure(one)
    others = measure(other).values
    assert others.shape == values.shape
    both = np.concatenate([values, others])
    assert np.isfinite(both).all()
    events_seen = (both != np.median(both, 0)).sum(0)
    wanted = np.array([not name.startswith(leave_out) for name in names])
    kept = np.flatnonzero((events_seen >= LEAST_EVENTS) & wanted)
    center = both[:, kept].mean(0)
    first, second = moments(values[:, kept] - center), moments(others[:, kept] - center)
    z = [
        over(first.mean - second.mean, first.mean_error + second.mean_error),
        over(first.variance - second.variance, first.variance_error + second.variance_error),
    ]
    kinds = [f"{kind} of {names[k]}" for kind in ("mean", "variance") for k in kept]
    return Comparison(kinds, np.concatenate(z))


class Moments(NamedTuple):
    """Mean and variance of samples, and the variances of these two, each float64[K]."""

    mean: Floats
    mean_error: Floats
    variance: Floats
    variance_error: Floats


def moments(sample: Floats) -> Moments:
    """Estimate moments over the first axis: var(s^2) = (m4 - s^4 (n-3)/(n-1)) / n."""
    n = len(sample)
    variance = sample.var(0, ddof=1)
    fourth = ((sample - sample.mean(0)) ** 4).mean(0)
    error = np.maximum(0.0, fourth - variance**2 * (n - 3) / (n - 1)) / n
    return Moments(sample.mean(0), variance / n, variance, error)


def over(difference: Floats, variance: Floats) -> Floats:
    """Divide differences by their standard errors; what is certain may not differ at all."""
    certain = np.where(np.abs(difference) > 0.1**DIGITS, np.inf, 0.0)
    uncertain = difference / np.sqrt(np.maximum(variance, np.finfo(np.float64).tiny))
    return np.where(variance > 0.0, uncertain, certain)
