"""The sampler: its steps one by one, and posteriors that are known in closed form."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from kernels import posterior
from kernels.posterior import PATHS, Settings, State

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

SETTINGS = Settings(
    particles=400,
    seed=5,
    ess_fraction=0.5,
    correlation_left=0.3,
    most_moves=30,
    final_moves=5,
)
FEW = replace(SETTINGS, particles=24, most_moves=4, final_moves=1)
"""For what holds of any number of particles; interpreted kernels take their time."""

NOISE = 0.6


def figures_of(z: Floats, paths: Counts) -> Floats:
    """Simulate two figures: of both coordinates, and of the second with the path's own noise."""
    own = stats.norm.ppf((paths.astype(np.float64) + 0.5) / PATHS)
    return np.stack([z[:, 0] + z[:, 1], z[:, 1] + NOISE * own], axis=1)


OBSERVED, ERRORS = np.array([1.5, -0.8]), np.array([0.3, 0.4])


def evaluate(z: Floats, paths: Counts) -> tuple[Floats, Floats]:
    figures = figures_of(z, paths)
    return posterior.log_likelihoods(figures, OBSERVED, np.tile(ERRORS, (len(z), 1))), figures


def exact() -> tuple[Floats, Floats, float]:
    """Return mean and covariance of the posterior, and the logarithm of the evidence."""
    design = np.array([[1.0, 1.0], [0.0, 1.0]])
    noise = np.diag(np.square(ERRORS) + np.array([0.0, NOISE**2]))
    precision = np.eye(2) + design.T @ np.linalg.inv(noise) @ design
    covariance = np.linalg.inv(precision)
    mean = covariance @ design.T @ np.linalg.inv(noise) @ OBSERVED
    evidence = stats.multivariate_normal(np.zeros(2), noise + design @ design.T)
    return mean, covariance, float(evidence.logpdf(OBSERVED))


def sampled(settings: Settings, evaluate: Any = evaluate, parameters: int = 2) -> State:
    state = posterior.begin(settings, parameters, evaluate)
    while not posterior.is_finished(state, settings):
        state = posterior.advance(state, settings, evaluate)
    return state


@pytest.mark.statistical
def test_a_normal_posterior_and_its_evidence_are_found() -> None:
    # Means of 2 coordinates, 3 second moments and the evidence at |z| <= 4.5 of their own errors:
    # 6 x 7e-6 false alarms.
    state = sampled(replace(SETTINGS, particles=4000))
    mean, covariance, evidence = exact()
    worth = posterior.effective_sample(state.z, state.families).min()
    assert worth > 2000
    sd = np.sqrt(np.diag(covariance))
    assert (np.abs(state.z.mean(axis=0) - mean) < 4.5 * sd / np.sqrt(worth)).all()
    found = np.cov(state.z.T)
    # the variance of a product of two normals: (s_ii s_jj + s_ij^2) / n
    error = np.sqrt((np.outer(sd**2, sd**2) + covariance**2) / worth)
    assert (np.abs(found - covariance) < 4.5 * error).all()
    # Each of the few reweightings leaves half of the particles: a relative error of 1 / sqrt(n).
    assert abs(state.log_evidence - evidence) < 4.5 * np.sqrt(2 * state.generation / 4000)


@pytest.mark.statistical
def test_the_path_is_sampled_with_the_parameters() -> None:
    # What the path adds to the second figure has, given the figures, a normal law of its own:
    # |z| <= 4.5, 7e-6 false alarms.
    state = sampled(replace(SETTINGS, particles=4000, seed=11))
    own = state.figures[:, 1] - state.z[:, 1]
    mean, covariance, _ = exact()
    # E[own] = NOISE^2 / (NOISE^2 + error^2) * E[observed - z_1], by the law of the total mean
    weight = NOISE**2 / (NOISE**2 + ERRORS[1] ** 2)
    expected = weight * (OBSERVED[1] - mean[1])
    variance = weight**2 * covariance[1, 1] + weight * ERRORS[1] ** 2
    assert abs(own.mean() - expected) < 4.5 * np.sqrt(variance / 1500)
    assert own.var() == pytest.approx(variance, rel=4.5 * np.sqrt(2 / 1500))


@pytest.mark.statistical
def test_ranks_of_the_truth_are_uniform() -> None:
    """Simulation-based calibration: a truth from the prior ranks anywhere among the draws.

    120 data sets, 2 parameters, 10 classes of ranks: chi-square with 9 degrees of freedom below its
    1 - 1e-4 quantile; 2e-4 false alarms.
    """
    random = np.random.default_rng(3)
    ranks = np.array([_rank(random, seed) for seed in range(120)])
    for of_one in ranks.T:
        counts = np.bincount(np.minimum((of_one * 10).astype(int), 9), minlength=10)
        assert stats.chisquare(counts).statistic < stats.chi2(9).ppf(1 - 1e-4), counts


def _rank(random: np.random.Generator, seed: int) -> Floats:
    truth, path = random.standard_normal((1, 2)), random.integers(PATHS, size=1)
    observed = figures_of(truth, path)[0] + ERRORS * random.standard_normal(2)

    def likelihood(z: Floats, paths: Counts) -> tuple[Floats, Floats]:
        figures = figures_of(z, paths)
        sds = np.tile(ERRORS, (len(z), 1))
        return posterior.log_likelihoods(figures, observed, sds), figures

    state = sampled(replace(SETTINGS, particles=100, seed=seed), likelihood)
    return np.asarray((state.z < truth).mean(axis=0))


@pytest.mark.statistical
def test_a_parameter_that_no_figure_depends_on_stays_as_its_prior_is() -> None:
    # Mean and variance of 2000 draws, worth 1000, at |z| <= 4.5: 1.4e-5 false alarms.
    state = sampled(replace(SETTINGS, particles=2000), parameters=3)
    assert abs(state.z[:, 2].mean()) < 4.5 / np.sqrt(1000)
    assert state.z[:, 2].var() == pytest.approx(1, abs=4.5 * np.sqrt(2 / 1000))


def test_a_sampler_that_is_stopped_goes_on_to_the_same_particles() -> None:
    whole = sampled(FEW)
    state = posterior.begin(FEW, 2, evaluate)
    for _ in range(7):
        state = posterior.advance(state, FEW, evaluate)
    state = replace(state, z=state.z.copy(), path=state.path.copy())  # as read from a file
    while not posterior.is_finished(state, FEW):
        state = posterior.advance(state, FEW, evaluate)
    np.testing.assert_array_equal(state.z, whole.z)
    np.testing.assert_array_equal(state.path, whole.path)
    assert state.log_evidence == whole.log_evidence


def test_another_seed_gives_other_particles() -> None:
    assert not np.array_equal(sampled(FEW).z, sampled(replace(FEW, seed=6)).z)


@given(
    st.lists(st.floats(-1e4, 0), min_size=2, max_size=50),
    st.floats(0, 0.999),
    st.floats(0.05, 0.95),
)
def test_the_next_exponent_leaves_as_many_effective_as_asked(
    log_likelihood: list[float], exponent: float, fraction: float
) -> None:
    found = np.array(log_likelihood)
    after = posterior.next_exponent(found, exponent, fraction)
    assert exponent < after <= 1
    change = (after - exponent) * found
    left = posterior.effective(np.exp(change - change.max()))
    assert left >= fraction * len(found) * (1 - 1e-6) or after - exponent < 1e-12
    if after < 1:
        more = 1.001 * change  # a little further fewer are left
        assert posterior.effective(np.exp(more - more.max())) <= fraction * len(found) * 1.01


@given(st.lists(st.floats(0, 10), min_size=1, max_size=60), st.floats(0, 1, exclude_max=True))
def test_systematic_resampling_takes_the_floor_or_the_ceiling(
    weights: list[float], start: float
) -> None:
    found = np.array(weights) + 1e-3
    chosen = posterior.systematic(found, start)
    expected = len(found) * found / found.sum()
    counts = np.bincount(chosen, minlength=len(found))
    assert counts.sum() == len(found)
    assert (np.abs(counts - expected) < 1 + 1e-6).all()
    assert (np.diff(chosen) >= 0).all()


def test_a_particle_without_a_likelihood_is_never_drawn() -> None:
    def half(z: Floats, paths: Counts) -> tuple[Floats, Floats]:
        log_likelihood, figures = evaluate(z, paths)
        return np.where(z[:, 0] > 0, log_likelihood, -np.inf), figures

    state = sampled(FEW, half)
    assert (state.z[:, 0] > 0).all()
    assert np.isfinite(state.log_likelihood).all()


def test_a_prior_that_cannot_be_simulated_is_refused() -> None:
    def nothing(z: Floats, paths: Counts) -> tuple[Floats, Floats]:
        return np.full(len(z), -np.inf), np.full((len(z), 1), np.nan)

    with pytest.raises(ValueError, match="no draw of the prior could be simulated"):
        sampled(FEW, nothing)


def test_the_proposal_leaves_its_reference_as_it_is() -> None:
    random = np.random.default_rng(1)
    z = random.standard_normal((200_000, 2)) @ np.array([[2.0, 0.0], [0.6, 0.5]]) + [3.0, -1.0]
    mean, root = posterior.reference(z)
    white = random.standard_normal(z.shape)
    start = mean + white @ root.T
    found = posterior.propose(start, mean, root, 0.6, random.standard_normal(z.shape))
    # 200 000 draws: 4.5 standard errors are 1 % of a standard deviation
    np.testing.assert_allclose(found.mean(axis=0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(found.T), root @ root.T, rtol=0.03, atol=0.03)
    np.testing.assert_array_equal(posterior.propose(start, mean, root, 0.0, white), start)


def test_log_likelihoods_are_those_of_normal_laws() -> None:
    figures = np.array([[1.0, 2.0], [np.nan, 0.0]])
    sds = np.array([[0.5, 2.0], [1.0, 1.0]])
    observed = np.array([1.2, 0.0])
    found = posterior.log_likelihoods(figures, observed, sds)
    np.testing.assert_allclose(found[0], stats.norm.logpdf(observed, figures[0], sds[0]).sum())
    assert found[1] == -np.inf


def test_an_effective_sample_counts_families() -> None:
    z = np.repeat(np.array([[-1.0], [1.0]] * 50), 4, axis=0)
    alone = np.arange(400)
    of_four = np.repeat(np.arange(100), 4)
    assert posterior.effective_sample(z, alone[None])[0] == pytest.approx(400)
    assert posterior.effective_sample(z, of_four[None])[0] == pytest.approx(100)
    assert posterior.effective_sample(z, np.stack([alone, of_four]))[0] == pytest.approx(100)
