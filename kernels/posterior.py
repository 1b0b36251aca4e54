"""A posterior sample by sequential Monte Carlo: particles that are reweighted, resampled and moved.

A particle is a point z, whose coordinates are independent and standard normal before anything was
observed, and the number of a simulated path. Its likelihood is that of the figures around what this
very path says: so the law that is sampled is the joint one of parameters and path given the
figures, and it is exact, with the observations' errors as the only tolerance (Wilkinson 2013,
*Approximate Bayesian computation gives exact results under the assumption of model error*).

The likelihood is raised to an exponent that goes from 0, the prior, to 1, the posterior, in steps
that leave a share of the particles effective (Del Moral, Doucet & Jasra 2006, *Sequential Monte
Carlo samplers*; 2012 for the adaptive steps). After each the particles are moved by Metropolis
steps: those that keep their path propose from the autoregression that leaves the normal law of the
particles as it is, the preconditioned Crank-Nicolson proposal (Cotter et al. 2013); the others keep
their point and take another path.

Every random number is a function of seed, generation and move: what comes out depends neither on
who evaluates the likelihood nor on when the sampler was stopped and taken up again. Linear algebra
is by `einsum`, whose sums have an order of their own, not by a threaded library.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kernels.compiling import kernel
from kernels.draws import Purpose, normal, stream, uniforms

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Evaluate = Callable[[Floats, Counts], tuple[Floats, Floats]]
"""Takes float64[n, parameters] and int64[n] paths; returns float64[n] log-likelihoods, -inf where
nothing can be simulated, and float64[n, figures] what the model says."""

PATHS = 2**31
NEW_PATH = 0.3  # of the particles, at each move, try another path in place of another point
FIRST_STEP, LAST_STEP = 0.5, 0.999
AIM = 0.25  # of the proposals that are accepted, near the best for random walks of many parameters
WIDER = 1.1  # the proposal's law is a little wider than that of the particles
RIDGE = 1e-6
ANCESTORS = 3  # resamplings back that families of particles are known


@dataclass(frozen=True)
class Settings:
    """How the sampler goes.

    Attributes
    ----------
    particles : int
        How many.
    seed : int
        Of all its random numbers, 0 to 2**64 - 1.
    ess_fraction : float
        Share of the particles that a new exponent leaves effective.
    correlation_left : float
        Moves go on until no coordinate is correlated more than this with where it began.
    most_moves, final_moves : int
        Most moves after a resampling; how many more there are at exponent 1, at least.
    """

    particles: int
    seed: int
    ess_fraction: float
    correlation_left: float
    most_moves: int
    final_moves: int


@dataclass(frozen=True)
class State:
    """The sampler after some move.

    Attributes
    ----------
    generation, move : int
        Number of resamplings, and of moves since the last.
    exponent : float
        Of the likelihood, 0 to 1.
    ess : float
        Effective particles of the last reweighting.
    step : float
        Of the proposal, 0 (stays) to 1 (an independent draw).
    accepted : float
        Share of proposals accepted since the resampling.
    simulations : int
        Paths simulated so far.
    log_evidence : float
        Logarithm of the figures' probability under the prior, raised to the exponent.
    z : float64[particles, parameters]
    path : int64[particles]
    log_likelihood : float64[particles]
    figures : float64[particles, figures]
        What the model says at each particle.
    start : float64[particles, parameters]
        Where the particles were after the resampling.
    families : int64[ANCESTORS, particles]
        Number of each particle's ancestor before the last resampling, the one before it, …
    """

    generation: int
    move: int
    exponent: float
    ess: float
    step: float
    accepted: float
    simulations: int
    log_evidence: float
    z: Floats
    path: Counts
    log_likelihood: Floats
    figures: Floats
    start: Floats
    families: Counts


def begin(settings: Settings, parameters: int, evaluate: Evaluate) -> State:
    """Draw the particles from the prior.

    Parameters
    ----------
    settings : Settings
    parameters : int
        Coordinates of a point.
    evaluate : callable

    Returns
    -------
    State
        Of generation 0 and exponent 0, finished.
    """
    n, place = settings.particles, (np.uint64(settings.seed), 0, 0)
    z = normals(*place, int(Purpose.PARTICLE), n, parameters)
    path = _paths(uniform(*place, int(Purpose.PARTICLE_PATH), n)[:, 1])
    log_likelihood, figures = evaluate(z, path)
    families = np.tile(np.arange(n), (ANCESTORS, 1))
    return State(
        0, 0, 0.0, float(n), FIRST_STEP, 1.0, n, 0.0, z, path, log_likelihood, figures, z, families
    )


def is_finished(state: State, settings: Settings) -> bool:
    """Tell whether the particles are a sample of the posterior."""
    return state.exponent == 1.0 and is_moved(state, settings)


def is_moved(state: State, settings: Settings) -> bool:
    """Tell whether the particles have forgotten where they were after the resampling."""
    more = settings.final_moves if state.exponent == 1.0 else 0
    if state.move >= settings.most_moves + more or state.exponent == 0.0:
        return True
    return state.move > more and correlation(state) < settings.correlation_left


def advance(state: State, settings: Settings, evaluate: Evaluate) -> State:
    """Take the particles one move further, reweighted and resampled first where they are moved.

    Parameters
    ----------
    state : State
        Not finished.
    settings : Settings
    evaluate : callable

    Returns
    -------
    State
        A new one.
    """
    if is_moved(state, settings):
        state = resampled(state, settings)
    return moved(state, settings.seed, evaluate)


def correlation(state: State) -> float:
    """Return the largest correlation of a coordinate with where it was after the resampling."""
    here, there = _standardised(state.z), _standardised(state.start)
    return float(np.abs(np.einsum("ij,ij->j", here, there) / len(here)).max())


def resampled(state: State, settings: Settings) -> State:
    """Raise the exponent, reweight, and resample.

    Raises
    ------
    ValueError
        No particle has a likelihood above 0.
    """
    if not np.isfinite(state.log_likelihood).any():
        raise ValueError("no draw of the prior could be simulated")
    exponent = next_exponent(state.log_likelihood, state.exponent, settings.ess_fraction)
    log_weights = _scaled(state.log_likelihood, exponent - state.exponent)
    weights = np.exp(log_weights - log_weights.max())
    place = (np.uint64(settings.seed), state.generation + 1, 0)
    chosen = systematic(weights, float(uniform(*place, int(Purpose.RESAMPLING), 1)[0, 0]))
    z = state.z[chosen]
    return replace(
        state,
        generation=state.generation + 1,
        move=0,
        exponent=exponent,
        ess=effective(weights),
        accepted=0.0,
        log_evidence=state.log_evidence + float(log_weights.max() + np.log(weights.mean())),
        z=z,
        path=state.path[chosen],
        log_likelihood=state.log_likelihood[chosen],
        figures=state.figures[chosen],
        start=z,
        families=np.concatenate([chosen[None], state.families[:-1, chosen]]),
    )


def moved(state: State, seed: int, evaluate: Evaluate) -> State:
    """Propose another point or another path for each particle, and accept by Metropolis' rule."""
    n, place = len(state.z), (np.uint64(seed), state.generation, state.move + 1)
    mean, root = reference(state.start)
    noise = normals(*place, int(Purpose.PARTICLE), *state.z.shape)
    chance = uniform(*place, int(Purpose.PARTICLE_PATH), n)
    takes_path = chance[:, 0] < NEW_PATH
    z = np.where(takes_path[:, None], state.z, propose(state.z, mean, root, state.step, noise))
    path = np.where(takes_path, _paths(chance[:, 1]), state.path)
    log_likelihood, figures = evaluate(z, path)
    # The proposal is reversible for the normal law of `reference`: what is left of the ratio is
    # target to reference here and there, 0 where the point stays.
    gain = _scaled(log_likelihood, state.exponent) - _scaled(state.log_likelihood, state.exponent)
    gain += _log_prior_ratio(z, mean, root) - _log_prior_ratio(state.z, mean, root)
    accepted = np.log(uniform(*place, int(Purpose.ACCEPTANCE), n)[:, 0]) < gain
    rate = float(accepted.mean())
    of_points = float(accepted[~takes_path].mean()) if not takes_path.all() else AIM
    return replace(
        state,
        move=state.move + 1,
        step=min(LAST_STEP, state.step * float(np.exp(of_points - AIM))),
        accepted=(state.accepted * state.move + rate) / (state.move + 1),
        simulations=state.simulations + n,
        z=np.where(accepted[:, None], z, state.z),
        path=np.where(accepted, path, state.path),
        log_likelihood=np.where(accepted, log_likelihood, state.log_likelihood),
        figures=np.where(accepted[:, None], figures, state.figures),
    )


def next_exponent(log_likelihood: Floats, exponent: float, ess_fraction: float) -> float:
    """Return the largest exponent up to 1 that leaves a share of the particles effective.

    Parameters
    ----------
    log_likelihood : float64[particles]
    exponent : float
        The one they are weighted by now, < 1.
    ess_fraction : float
        The share, above 0 and below 1.
    """

    def enough(change: float) -> bool:
        scaled = _scaled(log_likelihood, change)
        return effective(np.exp(scaled - scaled.max())) >= ess_fraction * len(log_likelihood)

    if enough(1.0 - exponent):
        return 1.0
    low, high = 0.0, 1.0 - exponent
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if enough(middle) else (low, middle)
    # Where hardly any particle can be simulated no exponent is small enough: go on all the same.
    return exponent + (low if low > 0.0 else high)


def effective(weights: Floats) -> float:
    """Return how many particles of equal weight are worth these: (sum w)^2 / sum w^2."""
    return float(weights.sum() ** 2 / np.square(weights).sum())


def systematic(weights: Floats, start: float) -> Counts:
    """Return the numbers of the particles that are drawn, by systematic resampling.

    Parameters
    ----------
    weights : float64[particles]
        Not all 0.
    start : float
        A uniform number, 0 <= start < 1.

    Returns
    -------
    int64[particles]
        Rising; particle i comes floor or ceil of n w_i / sum w times.
    """
    n, ends = len(weights), np.cumsum(weights)
    places = (start + np.arange(n)) * (ends[-1] / n)
    return np.minimum(np.searchsorted(ends, places, side="right"), n - 1).astype(np.int64)


def reference(z: Floats) -> tuple[Floats, Floats]:
    """Return mean and Cholesky factor of a normal law a little wider than that of the particles.

    Parameters
    ----------
    z : float64[particles, parameters]

    Returns
    -------
    float64[parameters], float64[parameters, parameters]
        The factor is lower triangular.
    """
    mean = z.mean(axis=0)
    apart = z - mean
    covariance = np.einsum("ij,ik->jk", apart, apart) / max(len(z) - 1, 1)
    return mean, np.linalg.cholesky(WIDER * covariance + RIDGE * np.eye(len(mean)))


def propose(z: Floats, mean: Floats, root: Floats, step: float, noise: Floats) -> Floats:
    """Return where an autoregression takes the particles: it leaves N(mean, root root') as it is.

    Parameters
    ----------
    z, noise : float64[particles, parameters]
        The points, and standard normal numbers.
    mean, root : float64[parameters], float64[parameters, parameters]
        As `reference` returns them.
    step : float
        0 (stays) to 1 (an independent draw).
    """
    kept = np.sqrt(1.0 - step * step)
    return np.asarray(mean + kept * (z - mean) + step * np.einsum("ij,kj->ik", noise, root))


def log_likelihoods(figures: Floats, observed: Floats, sd: Floats) -> Floats:
    """Return the log-likelihood of published figures around what the model says.

    Each is normal, independent of the others.

    Parameters
    ----------
    figures, sd : float64[n, figures]
        What the model says, and the standard deviation of what was published around it.
    observed : float64[figures]

    Returns
    -------
    float64[n]
        -inf where the model says nothing (NaN).
    """
    standard = (observed - figures) / sd
    terms = -0.5 * np.square(standard) - np.log(sd) - 0.5 * np.log(2.0 * np.pi)
    total = terms.sum(axis=1)
    return np.where(np.isfinite(total), total, -np.inf)


def effective_sample(z: Floats, families: Counts) -> Floats:
    """Return of how many independent draws the particles' means have the error.

    Particles of one ancestor are alike: the variance of a mean is that of sums over families, as of
    a sample in clusters (Lee & Whiteley 2018 for the estimator; Kish 1965 for the idea). Of the
    resamplings told the one that leaves least counts.

    Parameters
    ----------
    z : float64[particles, parameters]
    families : int64[resamplings, particles]
        Numbers of ancestors.

    Returns
    -------
    float64[parameters]
        At most the number of particles.
    """
    n, parameters = z.shape
    apart = z - z.mean(axis=0)
    spread = np.square(apart).sum(axis=0)
    found = np.full(parameters, float(n))
    for ancestors in families:
        sums = np.zeros((int(ancestors.max()) + 1, parameters))
        np.add.at(sums, ancestors, apart)
        between = np.square(sums).sum(axis=0)
        found = np.minimum(found, n * spread / np.maximum(between, 1e-300))
    return found


@kernel
def normals(
    seed: np.uint64, generation: int, move: int, purpose: int, particles: int, each: int
) -> Floats:
    """Draw standard normal numbers, each by its own address.

    Parameters
    ----------
    seed : uint64
    generation : int64, 0..2**32 - 1
    move : int64, 0..2**24 - 1
    purpose : a number of `Purpose`
    particles, each : int64, whose product is below 2**28

    Returns
    -------
    float64[particles, each]
    """
    place = stream(seed, generation, purpose, move)
    found = np.empty((particles, each))
    for i in range(particles):
        for k in range(each):
            found[i, k] = normal(place, i * each + k)
    return found


@kernel
def uniform(seed: np.uint64, generation: int, move: int, purpose: int, particles: int) -> Floats:
    """Draw pairs of uniforms, open at both ends; parameters as of `normals`.

    Returns
    -------
    float64[particles, 2]
    """
    place = stream(seed, generation, purpose, move)
    found = np.empty((particles, 2))
    for i in range(particles):
        found[i] = uniforms(place, i, 0)
    return found


def _paths(chance: Floats) -> Counts:
    """Return a number of a path for each uniform number."""
    return np.floor(chance * PATHS).astype(np.int64)


def _scaled(log_likelihood: Floats, exponent: float) -> Floats:
    """Return log-likelihoods times an exponent; -inf stays, at the prior too."""
    finite = np.isfinite(log_likelihood)
    return np.where(finite, np.where(finite, log_likelihood, 0.0) * exponent, -np.inf)


def _log_prior_ratio(z: Floats, mean: Floats, root: Floats) -> Floats:
    """Return the logarithm of prior over reference at points, but for a constant."""
    inverse = np.linalg.inv(root)
    white = np.einsum("ij,kj->ik", z - mean, inverse)
    return np.asarray(0.5 * (np.square(white).sum(axis=1) - np.square(z).sum(axis=1)))


def _standardised(z: Floats) -> Floats:
    sd = z.std(axis=0)
    return np.asarray((z - z.mean(axis=0)) / np.where(sd > 0, sd, 1.0))
