"""Scores of forecasts against closed forms."""

import math
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pytest
from scipy import stats

from results.analysis.forecasts import (
    LEAST_SPREAD,
    Normal,
    covers,
    last_value,
    linear_trend,
    log_score,
    scores,
)

START = date(2019, 1, 1)


@dataclass(frozen=True)
class Figure:
    """A figure as it was published."""

    date: date
    quantity: str
    scope: str
    value: float


def after(days: int) -> date:
    return START + timedelta(days)


def test_the_log_score_of_draws_is_that_of_their_mixture() -> None:
    centres, sds = np.array([1.0, 2.0, 4.0]), np.array([0.5, 1.0, 0.1])
    expected = math.log(stats.norm.pdf(2.2, centres, sds).mean())
    assert log_score(centres, sds, 2.2) == pytest.approx(expected)
    assert log_score(centres, sds, 900.0) == pytest.approx(  # no underflow far away
        stats.norm.logpdf(900.0, 2.0, 1.0) - math.log(3)
    )


@pytest.mark.statistical
def test_intervals_of_a_true_forecast_cover_as_often_as_they_say() -> None:
    # 2000 forecasts of 500 draws: at 4.5 standard errors of a binomial, and what 500 draws leave
    # of a quantile (half a per cent), 2e-5 false alarms.
    random = np.random.default_rng(4)
    for level in (0.5, 0.9):
        hits = [covers(random.normal(size=500), random.normal(), level) for _ in range(2000)]
        error = 4.5 * math.sqrt(level * (1 - level) / 2000) + 0.005
        assert abs(np.mean(hits) - level) < error


def test_a_normal_forecast_has_the_intervals_of_its_law() -> None:
    forecast = Normal(10.0, 2.0)
    for level in (0.5, 0.9):
        edge = 10 + 2 * stats.norm.ppf((1 + level) / 2)
        assert forecast.covers(edge - 1e-9, level)
        assert not forecast.covers(edge + 1e-9, level)
    assert forecast.log_density(11.0) == pytest.approx(stats.norm.logpdf(11, 10, 2))


def test_the_last_value_spreads_like_its_own_steps() -> None:
    history = [(after(0), 100.0), (after(10), 110.0), (after(30), 99.0)]
    found = last_value(history, after(90))
    a_day = (math.log(1.1) ** 2 + math.log(0.9) ** 2) / 30
    assert found.mean == 99
    assert found.sd == pytest.approx(99 * math.sqrt(60 * a_day))


def test_one_value_says_nothing_of_its_steps() -> None:
    assert last_value([(after(0), 29.0)], after(300)) == Normal(29.0, 29.0)


def test_a_naive_forecast_is_never_surer_than_a_misprint() -> None:
    history = [(after(0), 100.0), (after(10), 100.0)]
    assert last_value(history, after(20)).sd == 100 * LEAST_SPREAD


def test_a_straight_line_goes_on() -> None:
    history = [(after(day), 5.0 + 0.25 * day) for day in (0, 30, 70, 200)]
    found = linear_trend(history, after(400))
    assert found.mean == pytest.approx(105)
    assert found.sd == pytest.approx(105 * LEAST_SPREAD)


def test_a_straight_line_has_the_error_of_prediction_of_a_regression() -> None:
    days, values = np.array([0, 50, 100, 200, 300]), np.array([1.0, 1.8, 2.1, 4.4, 5.0])
    found = linear_trend(
        list(zip(map(after, days.tolist()), values.tolist(), strict=True)), after(500)
    )
    design = np.stack([np.ones(5), days], axis=1)
    inverse = np.linalg.inv(design.T @ design)
    line = inverse @ design.T @ values
    variance = np.square(values - design @ line).sum() / 3
    new = np.array([1.0, 500.0])
    assert found.mean == pytest.approx(new @ line)
    assert found.sd == pytest.approx(math.sqrt(variance * (1 + new @ inverse @ new)))


def test_figures_of_years_ago_are_no_trend() -> None:
    old = [(after(0), 900.0), (after(10), 800.0)]
    recent = [(after(1000 + day), 5.0 + day) for day in (0, 100, 200)]
    assert linear_trend([*old, *recent], after(1300)).mean == pytest.approx(305)
    assert linear_trend(recent[:2], after(1300)) == last_value(recent[:2], after(1300))


def test_scores_are_means_over_the_figures_that_were_known_before() -> None:
    before = [Figure(after(day), "share", "main", 1 + day / 100) for day in (0, 100, 200)]
    late = [
        Figure(after(300), "share", "main", 4.0),
        Figure(after(400), "share", "main", 4.5),
        Figure(after(400), "claims", "main", 7.0),  # of which nothing was known
    ]
    centres = np.tile([4.0, 5.0, 7.0], (50, 1))
    sds = np.full((50, 3), 0.1)
    published = centres + np.linspace(-0.2, 0.2, 50)[:, None]
    rows = scores("w", late, centres, sds, published, before)
    found = {(row["forecaster"], row["quantity"]): row for row in rows}
    assert set(found) == {
        (f, q) for f in ("model", "last_value", "linear_trend") for q in ("", "share")
    }
    model = found["model", "share"]
    assert (model["world"], model["figures"]) == ("w", 2)
    assert (model["coverage_50"], model["coverage_90"]) == (0.5, 0.5)
    expected = np.mean([stats.norm.logpdf(4, 4, 0.1), stats.norm.logpdf(4.5, 5, 0.1)])
    assert model["log_score"] == pytest.approx(expected)
    assert model["error"] == pytest.approx((0 + 0.5 / 4.5) / 2)
    assert found["linear_trend", ""]["error"] == pytest.approx(0.5 * (0 + 0.5 / 4.5))
    assert found["last_value", ""]["error"] == pytest.approx(0.5 * (1 / 4 + 1.5 / 4.5))
