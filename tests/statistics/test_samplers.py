"""The samplers against their laws: chi-square, mean, variance and independence, all seeded.

Every check here is a fixed computation: it passes always or never. The false-alarm rate that a
docstring states is the chance that a correct sampler would have failed under the seed chosen.
A chi-square test fails below the level 1e-6, a z-test beyond five standard errors (6e-7 under a
normal law; up to 1e-5 in the interpreted leg, where the rarest setting expects twenty events).
"""

import inspect
import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from scipy.stats._distn_infrastructure import rv_discrete_frozen

from kernels import draws
from kernels.compiling import kernel
from kernels.draws import Purpose, Stream

pytestmark = pytest.mark.statistical

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# interpreted, the samplers cost a thousand times more
DRAWS = 20_000 if inspect.isfunction(draws.binomial) else 400_000
LEVEL = 1e-6
STANDARD_ERRORS = 5.0
LEAST_EXPECTED = 10.0

BINOMIALS = {
    "n p = 1e-3": (1_000, 1e-6),
    "n p = 0.05": (50, 1e-3),
    "n p = 1": (100, 0.01),
    "n p = 4": (44_000, 1e-4),
    "just below 10": (990, 0.01),
    "just above 10": (1_010, 0.01),
    "below 10, one half": (19, 0.5),
    "10, one half": (20, 0.5),
    "n p = 40": (120, 1 / 3),
    "n p = 440": (44_000, 0.01),
    "n p = 1000": (3_000, 1 / 3),
    "a hundred million": (100_000_000, 2e-5),
    "two billion": (2_000_000_000, 0.4),
    "failures below 10": (500, 0.99),
    "failures above 10": (500, 0.97),
    "many failures": (10_000, 0.7),
}
POISSON_MEANS = [0.01, 1.0, 9.9, 10.1, 10_000.0]
URNS = {
    "inversion": (5, 10, 4),
    "most are good": (300, 20, 60),
    "most are taken": (30, 90, 100),
    "long inversion": (21, 60, 30),
    "rejection": (400, 600, 300),
    "rejection, mirrored": (600, 400, 700),
    "a large pool": (1_000_000, 1_000_000_000, 100_000),
}
STEPS = {
    "path": [1, 0, 0, 0, 0],
    "purpose": [0, 1, 0, 0, 0],
    "period": [0, 0, 1, 0, 0],
    "cell": [0, 0, 0, 1, 0],
    "sub-address": [0, 0, 0, 2**32, 0],
    "attempt": [0, 0, 0, 0, 1],
}
MULTINOMIAL = np.array([0.05, 0.3, 0.0, 0.45, 0.2])


@kernel
def binomials(stream: Stream, n: int, p: float, out: Counts) -> None:
    for cell in range(out.size):
        out[cell] = draws.binomial(stream, cell, n, p)


@kernel
def poissons(stream: Stream, mean: float, out: Counts) -> None:
    for cell in range(out.size):
        out[cell] = draws.poisson(stream, cell, mean)


@kernel
def hypergeometrics(stream: Stream, good: int, bad: int, sample: int, out: Counts) -> None:
    for cell in range(out.size):
        out[cell] = draws.hypergeometric(stream, cell, good, bad, sample)


@kernel
def multinomials(stream: Stream, n: int, probabilities: Floats, out: Counts) -> None:
    for cell in range(out.shape[0]):
        draws.multinomial(stream, cell, n, probabilities, out[cell])


@kernel
def walk(seed: int, step: Counts, out: Floats) -> None:
    """Uniforms of addresses `step` apart in path, purpose, period, cell and attempt."""
    for i in range(out.shape[0]):
        stream = draws.stream(seed, i * step[0], i * step[1], i * step[2])
        out[i] = draws.uniforms(stream, i * step[3], i * step[4])


def stream_for(seed: int) -> Stream:
    return draws.stream(seed, 5, Purpose.DIAGNOSIS, 30)


def bins_of(law: rv_discrete_frozen) -> tuple[Floats, Floats]:
    """Upper edges, and the probability up to each, every bin expecting enough draws to count."""
    levels = np.concatenate([[1e-4, 1e-3, 0.01], np.linspace(0.025, 0.975, 39), [0.99, 0.999]])
    candidates = np.unique(law.ppf([*levels, 0.9999]))
    edges, cumulated = [], [0.0]
    for edge in candidates:
        reached = float(law.cdf(edge))
        if min(reached - cumulated[-1], 1.0 - reached) * DRAWS >= LEAST_EXPECTED:
            edges.append(float(edge))
            cumulated.append(reached)
    return np.array(edges), np.diff([*cumulated, 1.0])


def assert_follows(law: rv_discrete_frozen, counts: Counts) -> None:
    """Chi-square over bins, then z-tests of the mean and of the variance about the true mean."""
    edges, probabilities = bins_of(law)
    if edges.size > 0:
        places = np.searchsorted(edges, counts, side="left")
        observed = np.bincount(places, minlength=edges.size + 1)
        assert stats.chisquare(observed, probabilities * counts.size).pvalue > LEVEL
    mean, variance, excess = (float(x) for x in law.stats("mvk"))
    deviations = counts - mean
    assert_is_zero(deviations.mean(), variance / counts.size)
    spread = variance**2 * (excess + 2.0)
    assert_is_zero((deviations**2).mean() - variance, spread / counts.size)


def assert_is_zero(found: float, variance: float) -> None:
    assert abs(found) < STANDARD_ERRORS * math.sqrt(variance)


@pytest.mark.parametrize("case", BINOMIALS)
def test_binomial_follows_its_law(case: str) -> None:
    """False alarm: three checks, under 3e-6 together, for each of 16 settings."""
    n, p = BINOMIALS[case]
    counts = np.empty(DRAWS, dtype=np.int64)
    binomials(stream_for(101), n, p, counts)
    assert_follows(stats.binom(n, p), counts)


@pytest.mark.parametrize("mean", POISSON_MEANS)
def test_poisson_follows_its_law(mean: float) -> None:
    """False alarm: three checks, under 3e-6 together, for each of 5 means."""
    counts = np.empty(DRAWS, dtype=np.int64)
    poissons(stream_for(102), mean, counts)
    assert_follows(stats.poisson(mean), counts)


@pytest.mark.parametrize("case", URNS)
def test_hypergeometric_follows_its_law(case: str) -> None:
    """False alarm: three checks, under 3e-6 together, for each of 7 urns."""
    good, bad, sample = URNS[case]
    counts = np.empty(DRAWS, dtype=np.int64)
    hypergeometrics(stream_for(103), good, bad, sample, counts)
    assert_follows(stats.hypergeom(good + bad, good, sample), counts)


@pytest.mark.parametrize("n", [7, 1_000])
def test_each_category_of_a_multinomial_is_binomial(n: int) -> None:
    """False alarm: four categories of three checks, under 1.2e-5, for each of 2 sizes."""
    out = np.empty((DRAWS, MULTINOMIAL.size), dtype=np.int64)
    multinomials(stream_for(104), n, MULTINOMIAL, out)
    assert (out.sum(axis=1) == n).all()
    assert (out[:, 2] == 0).all()
    for i in np.flatnonzero(MULTINOMIAL):
        assert_follows(stats.binom(n, MULTINOMIAL[i]), out[:, i])


def test_small_multinomial_follows_its_joint_law() -> None:
    """False alarm: 1e-6; 35 outcomes of four people in four categories that can happen."""
    out = np.empty((DRAWS, MULTINOMIAL.size), dtype=np.int64)
    multinomials(stream_for(105), 4, MULTINOMIAL, out)
    law = stats.multinomial(4, MULTINOMIAL)
    digits = 5 ** np.arange(MULTINOMIAL.size)
    observed = np.bincount(out @ digits, minlength=5**MULTINOMIAL.size)
    outcomes = [x for x in itertools.product(range(5), repeat=5) if sum(x) == 4 and x[2] == 0]
    expected = np.array([law.pmf(outcome) for outcome in outcomes]) * DRAWS
    seen = observed[np.array(outcomes) @ digits]
    enough = expected >= LEAST_EXPECTED
    rest_seen, rest_expected = seen[~enough].sum(), expected[~enough].sum()
    result = stats.chisquare([*seen[enough], rest_seen], [*expected[enough], rest_expected])
    assert result.pvalue > LEVEL


@pytest.mark.parametrize("part", STEPS)
def test_neighbouring_addresses_are_uniform_and_independent(part: str) -> None:
    """False alarm: three chi-squares over 16 x 16 squares, 3e-6 together, for each of 6 parts."""
    # purposes end at 255, so many short walks, each under a seed of its own
    uniforms = np.empty((DRAWS // 200, 200, 2))
    for seed, out in enumerate(uniforms):
        walk(seed, np.array(STEPS[part]), out)
    # pairs that do not overlap, or their counts would not be a chi-square
    here, next_door = uniforms[:, 0::2].reshape(-1, 2), uniforms[:, 1::2].reshape(-1, 2)
    pairs = [(here[:, 0], next_door[:, 0]), (here[:, 0], here[:, 1]), (here[:, 1], next_door[:, 0])]
    for x, y in pairs:
        table, _, _ = np.histogram2d(x, y, bins=16, range=[[0, 1], [0, 1]])
        assert stats.chisquare(table.ravel()).pvalue > LEVEL
