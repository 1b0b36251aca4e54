"""Priors: closed forms, both tails, the way back to z, and what is refused."""

import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from configs.priors import Prior

NORMAL = Prior(law="normal", mean=1.0, sd=2.0)
LOG_NORMAL = Prior(law="log_normal", median=0.4, factor=2.0)
UNIFORM = Prior(law="uniform", low=-1.0, high=3.0)
LOG_UNIFORM = Prior(law="log_uniform", low=0.01, high=1.0)
CUT = Prior(law="normal", mean=1.0, sd=2.0, low=0.0, high=3.0)
CUT_BELOW = Prior(law="normal", mean=1.0, sd=2.0, low=0.0)
LOG_CUT = Prior(law="log_normal", median=0.4, factor=2.0, high=1.0)
FAR = Prior(law="normal", mean=0.0, sd=1.0, low=7.0)
EVERY = {
    "normal": (NORMAL, stats.norm(1, 2)),
    "log-normal": (LOG_NORMAL, stats.lognorm(math.log(2), scale=0.4)),
    "uniform": (UNIFORM, stats.uniform(-1, 4)),
    "log-uniform": (LOG_UNIFORM, stats.loguniform(0.01, 1)),
    "cut": (CUT, stats.truncnorm(-0.5, 1, 1, 2)),
    "cut below": (CUT_BELOW, stats.truncnorm(-0.5, np.inf, 1, 2)),
    "far out": (FAR, stats.truncnorm(7, np.inf)),
}
each = pytest.mark.parametrize(("prior", "law"), EVERY.values(), ids=list(EVERY))
Z = np.linspace(-8.0, 8.0, 801)


def test_closed_forms() -> None:
    z = np.array([-3.0, 0.0, 1.0, 7.5])
    # A rounding or two of each.
    np.testing.assert_allclose(NORMAL.at(z), 1 + 2 * z, rtol=1e-15)
    np.testing.assert_allclose(LOG_NORMAL.at(z), 0.4 * 2**z, rtol=1e-14)
    np.testing.assert_allclose(UNIFORM.at(np.zeros(1)), [1.0], rtol=1e-15)
    np.testing.assert_allclose(LOG_UNIFORM.at(np.zeros(1)), [0.1], rtol=1e-14)


@each
def test_quantiles_are_those_of_the_law(prior: Prior, law: Any) -> None:
    z = np.linspace(-5.0, 5.0, 101)
    lower = z <= 0
    # The law's own quantiles lose digits of the upper tail unless asked for from that side.
    expected = np.where(lower, law.ppf(stats.norm.cdf(z)), law.isf(stats.norm.sf(z)))
    # SciPy's truncated laws are good to some 1e-9 themselves.
    np.testing.assert_allclose(prior.at(z), expected, rtol=1e-8, atol=1e-12)


@pytest.mark.statistical
@each
def test_draws_pass_for_the_law(prior: Prior, law: Any) -> None:
    # Seven seeded tests at 1e-3 each: a right program fails one of them for 0.7 % of the seeds.
    z = np.random.default_rng(5).standard_normal(4000)
    assert stats.kstest(prior.at(z), law.cdf).pvalue > 1e-3


@pytest.mark.parametrize("prior", [prior for prior, _ in EVERY.values()] + [LOG_CUT])
def test_values_rise_and_stay_finite_and_within_their_ends_far_out(prior: Prior) -> None:
    found = prior.at(Z)
    assert np.isfinite(found).all()
    # to a rounding, where two branches meet
    assert (np.diff(found) >= -4e-16 * np.abs(found[1:])).all()
    assert found[-1] > found[0]
    assert prior.low is None or found.min() >= prior.low
    assert prior.high is None or found.max() <= prior.high


def test_a_truncated_law_is_told_apart_in_both_tails() -> None:
    low, high = CUT.at(np.array([-8.0, 8.0]))
    # Near its ends the law is flat: a probability p lies within p * mass / density of the end.
    mass = stats.norm.cdf(1) - stats.norm.cdf(-0.5)
    p = stats.norm.sf(8.0)
    assert low == pytest.approx(p * mass * 2 / stats.norm.pdf(-0.5), rel=0.05)
    assert 3.0 - high == pytest.approx(p * mass * 2 / stats.norm.pdf(1.0), rel=0.2)


@pytest.mark.parametrize("prior", [prior for prior, _ in EVERY.values()] + [LOG_CUT])
def test_z_of_undoes_at(prior: Prior) -> None:
    z = np.linspace(-4.0, 4.0, 33)
    back = [prior.z_of(float(value)) for value in prior.at(z)]
    # At z = 4 a rounding of the value moves the share 3e-5 that is left by 1e-16 / 3e-5; far out,
    # 7 is known to 1e-15 where the law's own scale is 1 / 7.
    np.testing.assert_allclose(back, z, rtol=0, atol=1e-8)


def test_the_ends_are_infinitely_far_out() -> None:
    assert (UNIFORM.z_of(-1.0), UNIFORM.z_of(3.0)) == (-math.inf, math.inf)
    assert (CUT.z_of(0.0), CUT.z_of(3.0)) == (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("prior", "value"), [(UNIFORM, 3.1), (CUT, -0.1), (LOG_NORMAL, 0.0), (LOG_NORMAL, -1.0)]
)
def test_a_value_that_the_prior_lacks_has_no_z(prior: Prior, value: float) -> None:
    with pytest.raises(ValueError, match=r"expected a value of the prior .*, got -?\d"):
        prior.z_of(value)


def test_priors_are_told_in_words() -> None:
    assert LOG_NORMAL.describe() == "log-normal, median 0.4, 68 % within 0.2 to 0.8"
    assert NORMAL.describe() == "normal, mean 1, standard deviation 2"
    assert CUT.describe() == "normal, mean 1, standard deviation 2, not below 0, not above 3"
    assert UNIFORM.describe() == "uniform from -1 to 3"
    assert LOG_UNIFORM.describe() == "log-uniform from 0.01 to 1"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"law": "normal", "mean": 1}, "sd: expected a number with the law 'normal', got nothing"),
        ({"law": "normal", "mean": 1, "sd": 0}, "sd: expected above 0 .*, got 0"),
        (
            {"law": "uniform", "low": 0, "high": 1, "median": 2},
            "median: expected none with the law 'uniform', got 2.*; its fields: low, high",
        ),
        ({"law": "uniform", "low": 1, "high": 1}, "high: expected above low 1.0, got 1.0"),
        ({"law": "log_uniform", "low": 0, "high": 1}, "low: expected above 0 .*, got 0"),
        ({"law": "log_normal", "median": 1, "factor": 1}, "greater than 1"),
        ({"law": "log_normal", "median": 1, "factor": 2, "high": 0}, "high: expected above 0"),
        (
            {"law": "normal", "mean": 0, "sd": 1, "low": 9},
            "low: expected an end within 8 standard deviations of the law, got 9",
        ),
        ({"law": "normal", "mean": 0, "sd": 1, "high": -9}, "high: expected an end within 8"),
    ],
)
def test_fields_that_make_no_law_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Prior(**fields)
