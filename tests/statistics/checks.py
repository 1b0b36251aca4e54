"""How a seeded sample is held to a law: z-tests and a chi-square, with one level for all.

Every check is a fixed computation: it passes always or never. A false alarm is that a correct
program would have failed under the seed chosen: 1e-6 a chi-square, 6e-7 a z-test at five standard
errors under a normal law.
"""

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

LEVEL = 1e-6
STANDARD_ERRORS = 5.0
LEAST_EXPECTED = 10.0

Floats = npt.NDArray[np.float64]


def assert_is_zero(found: npt.ArrayLike, variance: npt.ArrayLike) -> None:
    """Fail where a number is further from zero than five standard errors."""
    limit = STANDARD_ERRORS * np.sqrt(np.asarray(variance, np.float64))
    assert (np.abs(np.asarray(found, np.float64)) <= limit).all(), (found, limit)


def assert_has_mean(sample: npt.ArrayLike, mean: npt.ArrayLike, slack: float = 0.0) -> None:
    """Compare the mean over the first axis with the mean of the law, up to a known bias."""
    values = np.asarray(sample, np.float64)
    error = np.abs(values.mean(0) - np.asarray(mean, np.float64)) - slack
    spread = values.var(0, ddof=1) / len(values)
    assert_is_zero(np.maximum(error, 0.0), spread)


def assert_follows(outcomes: Iterable[Any], law: Mapping[Any, float]) -> None:
    """Hold outcomes to the probabilities of all that can happen, the rare ones together."""
    counts: dict[Hashable, int] = {}
    for outcome in outcomes:
        counts[outcome] = counts.get(outcome, 0) + 1
    impossible = [outcome for outcome in counts if law.get(outcome, 0.0) <= 0.0]
    assert not impossible, impossible[:5]
    assert_counts(np.array([counts.get(key, 0) for key in law]), np.array(list(law.values())))


def assert_counts(observed: npt.ArrayLike, probabilities: npt.ArrayLike) -> None:
    """Chi-square of counts by category; categories that expect under ten count together."""
    seen, law = np.asarray(observed, np.float64), np.asarray(probabilities, np.float64)
    assert math.isclose(law.sum(), 1.0, rel_tol=1e-9)
    expected = law / law.sum() * seen.sum()
    order = np.argsort(expected)
    seen, expected = seen[order], expected[order]
    # the rare ones, and as many more as make up ten
    rare = int(np.searchsorted(np.cumsum(expected), LEAST_EXPECTED)) + 1
    rare = max(rare, int(np.searchsorted(expected, LEAST_EXPECTED)))
    together = [[seen[:rare].sum(), *seen[rare:]], [expected[:rare].sum(), *expected[rare:]]]
    assert len(together[0]) > 1, "too few draws for a chi-square"
    assert stats.chisquare(*together).pvalue > LEVEL


def assert_binomial(counts: npt.ArrayLike, n: int, p: float) -> None:
    """Hold counts to the binomial law: chi-square over its values."""
    law = stats.binom(n, p).pmf(np.arange(n + 1))
    assert_counts(np.bincount(np.asarray(counts, np.int64), minlength=n + 1), law)
