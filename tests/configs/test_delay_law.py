"""A reporting delay by two numbers is a gamma law rounded to whole periods."""

import math
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from configs.arrays import DELAY_LEFT, parameters, rounded_gamma
from configs.load import load
from configs.scenario import MAX_DELAY_PERIODS, Claims, DelayLaw


@pytest.mark.parametrize(
    ("mean", "sd"), [(4.0, 4.0), (8.0, 2.0), (6.0, 3.0), (12.0, 5.0), (30.0, 10.0)]
)
def test_a_rounded_delay_keeps_mean_and_spread(mean: float, sd: float) -> None:
    found = rounded_gamma(mean, sd)
    k = np.arange(len(found))
    assert found.min() >= 0
    assert abs(found.sum() - 1) < 1e-12
    # Rounding moves a smooth law's mean by next to nothing and adds a variance of 1/12; where
    # the law is as steep at 0 as the exponential one it moves the mean by 1/(24 mean).
    assert found @ k == pytest.approx(mean, abs=0.015)
    assert found @ (k - mean) ** 2 == pytest.approx(sd**2 + 1 / 12, rel=0.01)


def test_a_spread_equal_to_the_mean_is_the_exponential_law() -> None:
    found = rounded_gamma(3.0, 3.0)
    assert found[0] == pytest.approx(1 - math.exp(-0.5 / 3), rel=1.1 * DELAY_LEFT)
    ratios = found[2:20] / found[1:19]
    np.testing.assert_allclose(ratios, math.exp(-1 / 3), rtol=1e-10)  # each a period later
    assert math.exp(-(len(found) - 0.5) / 3) <= DELAY_LEFT


def test_a_narrow_law_is_one_period_and_a_wide_one_is_cut() -> None:
    assert rounded_gamma(5.0, 0.01).argmax() == 5
    assert rounded_gamma(5.0, 0.01).max() > 1 - 1e-9
    assert len(rounded_gamma(48.0, 48.0)) == MAX_DELAY_PERIODS


@pytest.mark.parametrize(("mean", "sd"), [(4.0, 4.0), (8.0, 2.0), (48.0, 48.0)])
def test_the_law_is_cut_where_the_documentation_says(mean: float, sd: float) -> None:
    """After the first k with at most 1e-4 of the law beyond k + 1/2, at the latest after 254."""
    law = stats.gamma((mean / sd) ** 2, scale=sd**2 / mean)
    last = next((k for k in range(254) if law.sf(k + 0.5) <= 1e-4), 254)
    assert len(rounded_gamma(mean, sd)) == last + 1
    kept = np.diff([0.0, *law.cdf(np.arange(last + 1) + 0.5)])
    np.testing.assert_allclose(rounded_gamma(mean, sd), kept / kept.sum(), rtol=1e-9, atol=1e-15)


def test_the_law_stands_in_place_of_the_probabilities(small: Path) -> None:
    law = {"mean_periods": 3.0, "sd_periods": 1.0}
    given = load(small).scenario.model_copy(
        update={"claims": Claims.model_validate({"report_delay": [0.0, 1.0], "delay_law": law})}
    )
    np.testing.assert_array_equal(parameters(given)["delay"], rounded_gamma(3.0, 1.0))
    without = given.model_copy(
        update={"claims": given.claims.model_copy(update={"delay_law": None})}
    )
    np.testing.assert_array_equal(parameters(without)["delay"], [0.0, 1.0])


def test_a_delay_needs_a_spread() -> None:
    with pytest.raises(ValidationError, match="sd_periods"):
        DelayLaw(mean_periods=3.0, sd_periods=0.0)
