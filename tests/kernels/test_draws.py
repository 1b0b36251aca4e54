"""An address gives one draw, the same in plain Python, compiled and in any order."""

import inspect
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kernels import draws
from kernels.compiling import kernel
from kernels.draws import Purpose, Stream
from tests import oracles
from tests import oracles_draws as oracle
from tests.oracles_draws import Address

EXAMPLES = settings(max_examples=200, deadline=None, derandomize=True, database=None)

# Random123, kat_vectors, lines "philox4x32 10": counter, key, words
KNOWN_ANSWERS = {
    "zeros": ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    "ones": (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    "digits of pi": (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
}
# Vigna's splitmix64.c started at 1234567: its first five numbers
SPLITMIX_1234567 = (
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
)
GOLDEN = 0x9E3779B97F4A7C15

HOME = Address(seed=20190101, path=17, purpose=Purpose.LAPSE, period=41, cell=2015)
ELSEWHERE = {
    "seed": HOME._replace(seed=20190102),
    "path": HOME._replace(path=18),
    "purpose": HOME._replace(purpose=Purpose.LAPSE_CAUSE),
    "period": HOME._replace(period=42),
    "cell": HOME._replace(cell=2016),
    "sub-address": HOME._replace(cell=2015 + 2**32),
}

addresses = st.builds(
    Address,
    seed=st.integers(0, 2**64 - 1),
    path=st.integers(0, 2**32 - 1),
    purpose=st.sampled_from(Purpose),
    period=st.integers(0, 2**24 - 1),
    cell=st.integers(0, 2**63 - 1),
)
cells = addresses.map(lambda address: address._replace(cell=address.cell % 2**32))
small_probabilities = st.floats(1e-12, 0.5)


def stream_of(address: Address) -> Stream:
    return draws.stream(np.uint64(address.seed), address.path, address.purpose, address.period)


def binomials(p: float, n: int, count: int = 4_000) -> np.ndarray:
    """The draws of `count` cells at one setting."""
    stream = stream_of(HOME)
    return np.array([draws.binomial(stream, cell, n, p) for cell in range(count)], dtype=np.int64)


def split(address: Address, n: int, probabilities: list[float]) -> list[int]:
    out = np.full(len(probabilities), -1, dtype=np.int64)
    draws.multinomial(stream_of(address), address.cell, n, np.array(probabilities), out)
    return [int(count) for count in out]


# Known answers: the plain twin first, then the compiled one.


@pytest.mark.parametrize("name", KNOWN_ANSWERS)
def test_plain_philox_gives_the_published_words(name: str) -> None:
    counter, key, words = KNOWN_ANSWERS[name]
    assert oracle.philox4x32(counter, key) == words


@pytest.mark.parametrize("name", KNOWN_ANSWERS)
def test_philox_gives_the_published_words(name: str) -> None:
    counter, key, words = KNOWN_ANSWERS[name]
    c0, c1, c2, c3, key0, key1 = (np.uint64(word) for word in counter + key)
    assert [int(word) for word in draws.philox((c0, c1, c2, c3), (key0, key1))] == list(words)


def test_mixing_a_seed_gives_the_published_splitmix_numbers() -> None:
    states = [(1234567 + i * GOLDEN) % 2**64 for i in range(5)]
    assert tuple(oracle.splitmix64(state) for state in states) == SPLITMIX_1234567
    assert tuple(int(draws.mix64(np.uint64(state))) for state in states) == SPLITMIX_1234567


# Uniforms


def test_uniforms_are_open_at_both_ends() -> None:
    zero, ones = np.uint64(0), np.uint64(2**32 - 1)
    assert draws.open_uniform(zero, zero) == 2.0**-53
    assert draws.open_uniform(ones, ones) == 1.0 - 2.0**-53
    assert 0.0 < 2.0**-53 < 1.0 - 2.0**-53 < 1.0


def test_uniforms_use_52_leading_bits_and_no_others() -> None:
    high, low = np.uint64(0x12345678), np.uint64(0x9ABCDEF0)
    assert draws.open_uniform(high, low) == (0x123456789ABCD + 0.5) / 2**52
    assert draws.open_uniform(high, low | np.uint64(0xFFF)) == draws.open_uniform(high, low)


@EXAMPLES
@given(address=addresses, attempt=st.integers(0, 2**32 - 1))
def test_uniforms_equal_their_twin(address: Address, attempt: int) -> None:
    found = draws.uniforms(stream_of(address), address.cell, attempt)
    assert tuple(found) == oracle.uniforms(address, attempt)


@pytest.mark.parametrize("part", ELSEWHERE)
def test_each_part_of_an_address_changes_every_word(part: str) -> None:
    other = ELSEWHERE[part]
    here, there = oracle.words(HOME, 0), oracle.words(other, 0)
    assert all(a != b for a, b in zip(here, there, strict=True))
    assert draws.uniforms(stream_of(other), other.cell, 0) == oracle.uniforms(other)
    assert draws.uniforms(stream_of(other), other.cell, 0) != oracle.uniforms(HOME)


def test_each_attempt_gives_new_uniforms() -> None:
    pairs = [draws.uniforms(stream_of(HOME), HOME.cell, attempt) for attempt in range(100)]
    assert len({u for pair in pairs for u in pair}) == 200


def test_paths_of_one_seed_never_share_a_key() -> None:
    paths = [*range(500), *(2**32 - 1 - i for i in range(500))]
    keys = {stream_of(HOME._replace(path=path))[:2] for path in paths}
    assert len(keys) == len(paths)


def test_a_stream_made_outside_a_kernel_equals_one_taken_apart_and_put_together() -> None:
    made = stream_of(HOME)
    parts = (np.int64(part) for part in made)
    assert draws.uniforms(Stream(*parts), 5, 0) == draws.uniforms(made, 5, 0)


def test_purposes_keep_their_numbers() -> None:
    assert {purpose.name: int(purpose) for purpose in Purpose}.items() >= {
        "JOIN": 1,
        "JOIN_PLACE": 3,
        "DIAGNOSIS": 5,
        "OUTCOME": 6,
        "DELAY": 7,
        "SEVERITY": 8,
        "DISPUTE": 9,
        "AGEING": 10,
        "PAYMENT": 11,
        "LAPSE": 12,
        "LAPSE_CAUSE": 13,
        "NEWS": 14,
        "CLOSURE": 15,
    }.items()


def test_purposes_have_numbers_of_their_own_in_eight_bits() -> None:
    numbers = [int(purpose) for purpose in Purpose.__members__.values()]
    assert len(set(numbers)) == len(numbers)
    assert all(0 <= number < 256 for number in numbers)


# Order and repetition


def test_draws_do_not_depend_on_order_or_repetition() -> None:
    stream = stream_of(HOME)
    forward = [draws.binomial(stream, cell, 5_000, 0.01) for cell in range(50)]
    backward = [draws.binomial(stream, cell, 5_000, 0.01) for cell in reversed(range(50))]
    assert forward == backward[::-1]
    assert forward == [draws.binomial(stream, cell, 5_000, 0.01) for cell in range(50)]


# Binomial


@pytest.mark.parametrize(
    ("n", "p", "count"),
    [
        (0, 0.5, 0),
        (-3, 0.5, 0),
        (10, 0.0, 0),
        (10, -1e-9, 0),
        (10, 1.0, 10),
        (10, 1.5, 10),
        (0, 1.0, 0),
        (2_000_000_000, 5e-324, 0),
        (2_000_000_000, 1e-300, 0),
        (2_000_000_000, 1.0, 2_000_000_000),
        (1, 1.0 - 2.0**-53, 1),
    ],
)
def test_binomial_is_certain_at_the_edges(n: int, p: float, count: int) -> None:
    assert draws.binomial(stream_of(HOME), HOME.cell, n, p) == count


@pytest.mark.parametrize("p", [1e-10, 4.9e-9, 5.1e-9, 0.3, 0.5, 0.7, 1 - 1e-9])
def test_binomial_stays_within_two_billion_trials(p: float) -> None:
    n = 2_000_000_000
    deviation = math.sqrt(n * p * (1 - p)) + 1
    for cell in range(100):
        count = draws.binomial(stream_of(HOME), cell, n, p)
        assert 0 <= count <= n
        assert abs(count - n * p) < 10 * deviation


def test_binomial_refuses_nan() -> None:
    with pytest.raises(ValueError, match="binomial: the probability is nan"):
        draws.binomial(stream_of(HOME), 0, 5, math.nan)


@EXAMPLES
@given(address=addresses, n=st.integers(1, 2_000_000_000), mean=st.floats(1e-6, 9.999))
def test_rare_binomial_equals_its_twin(address: Address, n: int, mean: float) -> None:
    p = min(mean / n, 0.5)
    found = draws.binomial(stream_of(address), address.cell, n, p)
    assert found == oracle.binomial(address, n, p)


@EXAMPLES
@given(address=addresses, n=st.integers(1, 3_000), p=st.floats(0.0, 1.0))
def test_binomial_equals_its_twin(address: Address, n: int, p: float) -> None:
    found = draws.binomial(stream_of(address), address.cell, n, p)
    assert found == oracle.binomial(address, n, p)


@EXAMPLES
@given(address=addresses, n=st.integers(1, 2_000), fraction=st.floats(1e-9, 0.999))
def test_binomial_of_small_mean_is_the_quantile(address: Address, n: int, fraction: float) -> None:
    p = fraction * min(10 / n, 1.0)
    if n * min(p, 1 - p) >= 10:
        return
    u, _ = oracle.uniforms(address)
    assert draws.binomial(stream_of(address), address.cell, n, p) == stats.binom.ppf(u, n, p)


@pytest.mark.parametrize("u", [2.0**-53, 1.0 - 2.0**-53])
@pytest.mark.parametrize("p", [1e-15, 1e-6, 0.01, 0.3, 0.5])
@pytest.mark.parametrize("n", [1, 2, 19, 900, 2_000_000_000])
def test_inversion_ends_at_the_extreme_uniforms(u: float, p: float, n: int) -> None:
    p = min(p, 9.99 / n)
    count = draws.binomial_by_inversion(u, n, p)
    law = stats.binom(n, p)
    rounding = 2.0**-48  # under 32 steps, each rounded to 2**-53
    assert 0 <= count <= n
    assert law.cdf(count - 1) - rounding < u < law.cdf(count) + rounding
    assert law.sf(count - 1) > 2.0**-61


def test_inversion_stops_where_only_rounding_is_left() -> None:
    # 1 is no uniform of ours; it stands for cumulated masses that fall short of 1
    few = draws.binomial_by_inversion(1.0, 3, 0.5)
    assert few == 3
    rare = draws.binomial_by_inversion(1.0, 1_000, 0.005)
    assert stats.binom(1_000, 0.005).sf(rare - 1) > 2.0**-61
    events = draws.poisson_by_inversion(1.0, 5.0)
    assert stats.poisson(5.0).sf(events - 1) > 2.0**-61
    drawn = draws.hypergeometric_by_inversion(1.0, draws.Urn(900.0, 1_100.0, 20.0))
    assert drawn == 20
    # the largest uniform there is, where the masses walked over add up to less
    last = 1.0 - 2.0**-53
    assert draws.poisson_by_inversion(last, 1.6) == 22
    assert draws.hypergeometric_by_inversion(last, draws.Urn(546.0, 95_119.0, 235.0)) == 20


# Coupling: common random numbers


@EXAMPLES
@given(
    address=addresses,
    n=st.integers(1, 10_000),
    more=st.integers(0, 100),
    p=small_probabilities,
    dearer=st.floats(1.0, 1.1),
)
def test_rare_binomial_rises_with_trials_and_probability(
    address: Address, n: int, more: int, p: float, dearer: float
) -> None:
    p = min(p, 5 / n)
    p_more, n_more = p * dearer, n + more
    if n_more * p_more >= 10:
        return
    stream = stream_of(address)
    few = draws.binomial(stream, address.cell, n, p)
    assert draws.binomial(stream, address.cell, n_more, p) >= few
    assert draws.binomial(stream, address.cell, n, min(p_more, 1.0)) >= few


@pytest.mark.parametrize(
    ("n", "p", "least"),
    [
        (100, 0.01, 0.93),
        (500, 0.01, 0.93),
        (1_000, 0.012, 0.8),
        (44_000, 0.01, 0.93),
        (20, 0.48, 0.93),
        (1_000, 0.48, 0.9),
    ],
)
def test_eight_percent_more_probability_keeps_the_draws_correlated(
    n: int, p: float, least: float
) -> None:
    # Measured over 200 000 cells: 0.965, 0.977, 0.892, 0.980, 0.982, 0.964. One correlation over
    # 4 000 cells has a standard error below 0.01; the bounds leave three and more of them. The two
    # of mean near 10 pay for attempts that one setting accepts and the other does not.
    found = np.corrcoef(binomials(p, n), binomials(1.08 * p, n))[0, 1]
    assert found > least


def test_draws_stay_correlated_across_the_change_of_algorithm() -> None:
    # Measured 0.600 over 200 000 cells; both algorithms rise with the first uniform.
    found = np.corrcoef(binomials(0.00995, 1_000), binomials(0.01005, 1_000))[0, 1]
    assert found > 0.5


# Poisson


@pytest.mark.parametrize("mean", [0.0, -1.0, 5e-324, 1e-300])
def test_poisson_of_no_mean_is_zero(mean: float) -> None:
    assert draws.poisson(stream_of(HOME), HOME.cell, mean) == 0


@pytest.mark.parametrize("mean", [math.nan, math.inf])
def test_poisson_refuses_a_mean_that_is_no_number(mean: float) -> None:
    with pytest.raises(ValueError, match="poisson: the mean is nan or infinite"):
        draws.poisson(stream_of(HOME), 0, mean)


@EXAMPLES
@given(address=addresses, mean=st.floats(1e-9, 12.0) | st.floats(10.0, 3_000.0))
def test_poisson_equals_its_twin(address: Address, mean: float) -> None:
    found = draws.poisson(stream_of(address), address.cell, mean)
    assert found == oracle.poisson(address, mean)


def test_poisson_stays_near_a_mean_of_a_billion() -> None:
    counts = [draws.poisson(stream_of(HOME), cell, 1e9) for cell in range(100)]
    assert all(abs(count - 1e9) < 10 * math.sqrt(1e9) for count in counts)
    assert len(set(counts)) > 90


# Multinomial


@EXAMPLES
@given(
    address=cells,
    n=st.integers(0, 3_000),
    weights=st.lists(st.just(0.0) | st.floats(1e-6, 1.0), min_size=1, max_size=9),
)
def test_multinomial_equals_its_twin_and_adds_up(
    address: Address, n: int, weights: list[float]
) -> None:
    total = sum(weights)
    probabilities = [w / total for w in weights] if total > 0 else [*weights[1:], 1.0]
    counts = split(address, n, probabilities)
    assert counts == oracle.multinomial(address, n, probabilities)
    assert sum(counts) == n
    assert min(counts) >= 0
    assert all(c == 0 for c, p in zip(counts, probabilities, strict=True) if p == 0.0)


@pytest.mark.parametrize("probabilities", [[1.0], [0.0, 1.0, 0.0], [1.0, 0.0], [0.0, 0.0, 1.0]])
def test_multinomial_puts_everyone_where_alone_is_room(probabilities: list[float]) -> None:
    assert split(HOME, 12_345, probabilities) == [int(12_345 * p) for p in probabilities]


def test_multinomial_gives_rounding_to_no_impossible_category() -> None:
    # 1 - 0.1 - 0.2 is 0.7000000000000001, one rounding more than the third probability
    for cell in range(200):
        assert split(HOME._replace(cell=cell), 10**9, [0.1, 0.2, 0.7, 0.0])[3] == 0


def test_multinomial_categories_are_drawn_at_addresses_of_their_own() -> None:
    probabilities = [0.25, 0.25, 0.5]
    counts = split(HOME, 1_000, probabilities)
    stream = stream_of(HOME)
    first = draws.binomial(stream, HOME.cell, 1_000, 0.25)
    second = draws.binomial(stream, HOME.cell + 2**32, 1_000 - first, 0.25 / 0.75)
    assert counts == [first, second, 1_000 - first - second]


# Hypergeometric


@EXAMPLES
@given(
    address=addresses, good=st.integers(0, 400), bad=st.integers(0, 400), part=st.floats(0.0, 1.0)
)
def test_hypergeometric_equals_its_twin(address: Address, good: int, bad: int, part: float) -> None:
    sample = round(part * (good + bad))
    count = draws.hypergeometric(stream_of(address), address.cell, good, bad, sample)
    assert count == oracle.hypergeometric(address, good, bad, sample)
    assert max(0, sample - bad) <= count <= min(good, sample)


@pytest.mark.parametrize(
    ("good", "bad", "sample", "count"),
    [(0, 9, 4, 0), (9, 0, 4, 4), (5, 6, 0, 0), (5, 6, 11, 5), (0, 0, 0, 0)],
)
def test_hypergeometric_is_certain_at_the_edges(
    good: int, bad: int, sample: int, count: int
) -> None:
    assert draws.hypergeometric(stream_of(HOME), HOME.cell, good, bad, sample) == count


def test_hypergeometric_stays_near_its_mean_in_a_pool_of_two_billion() -> None:
    law = stats.hypergeom(2_000_000_000, 700_000_000, 1_200_000_000)
    for cell in range(100):
        count = draws.hypergeometric(
            stream_of(HOME), cell, 700_000_000, 1_300_000_000, 1_200_000_000
        )
        assert abs(count - law.mean()) < 10 * law.std()


# Logarithms of factorials


def test_stirling_tail_is_what_the_formula_lacks() -> None:
    # the lacking part is at most 1/1680 11**-7 = 3e-11; lgamma itself is good to 4e-15 here
    for k in range(100):
        formula = (k + 0.5) * math.log(k + 1) - (k + 1) + 0.5 * math.log(2 * math.pi)
        assert draws.stirling_tail(float(k)) == pytest.approx(
            math.lgamma(k + 1) - formula, rel=0, abs=4e-11 + 1e-15 * (1 + abs(formula))
        )


@pytest.mark.parametrize("a", [0, 3, 9, 10, 5_000, 10**8, 2 * 10**9])
@pytest.mark.parametrize("d", [0, 1, 7, 1_000, 20_000])
def test_log_factorial_ratio_adds_up_logarithms(a: int, d: int) -> None:
    exact = -math.fsum(math.log(j) for j in range(a + 1, a + d + 1))
    # two Stirling tails, and four roundings to 2**-53 of terms up to d log(a + d + 1)
    tolerance = 8e-11 + 4 * 2.0**-53 * d * math.log(a + d + 1)
    assert abs(draws.log_factorial_ratio(float(a), float(a + d)) - exact) <= tolerance
    assert abs(draws.log_factorial_ratio(float(a + d), float(a)) + exact) <= tolerance


# The normal law


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(address=cells)
def test_a_normal_number_is_box_and_mullers_of_the_addresss_two_uniforms(address: Address) -> None:
    slow = oracles.standard_normal(*oracle.uniforms(address))
    # a logarithm, a root, a cosine and their products: some ulp of numbers below 9
    assert draws.normal(stream_of(address), address.cell) == pytest.approx(
        slow, rel=1e-13, abs=1e-13
    )


@pytest.mark.statistical
def test_normal_numbers_have_the_moments_of_their_law() -> None:
    """Mean, variance and fourth moment within 5 standard errors: false alarm below 1e-5."""
    n = 20_000
    numbers = np.array([draws.normal(stream_of(HOME), cell) for cell in range(n)])
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        error = 5 * np.sqrt(variance / n)
        assert (numbers**power).mean() == pytest.approx(moment, abs=error)


# The gamma law

GAMMA_SHAPES = [0.5, 1.0, 3.0]
GAMMA_DRAWS = 20_000 if inspect.isfunction(draws.gamma) else 200_000


def slow_gamma(address: Address, shape: float) -> float:
    """Marsaglia and Tsang 2000, figure 1, without the squeeze; below a shape of 1 their boost."""
    boosted = shape + 1.0 if shape < 1.0 else shape
    d = boosted - 1.0 / 3.0
    attempt = 0
    while True:
        x = oracles.standard_normal(*oracle.uniforms(address, attempt))
        u, boost = oracle.uniforms(address, attempt + 1)
        v = (1.0 + x / math.sqrt(9.0 * d)) ** 3
        if v > 0.0 and math.log(u) < x * x / 2.0 + d - d * v + d * math.log(v):
            return d * v * (boost ** (1.0 / shape) if shape < 1.0 else 1.0)
        attempt += 2


@kernel
def fill_gammas(place: Stream, shape: float, out: npt.NDArray[np.float64]) -> None:
    for cell in range(out.size):
        out[cell] = draws.gamma(place, cell, shape)


@EXAMPLES
@given(address=cells, shape=st.sampled_from(GAMMA_SHAPES) | st.floats(0.05, 50.0))
def test_a_gamma_number_equals_its_twin(address: Address, shape: float) -> None:
    found = draws.gamma(stream_of(address), address.cell, shape)
    # where a normal number is far out, v is small and its rounding relatively larger
    assert found == pytest.approx(slow_gamma(address, shape), rel=1e-9)
    assert found >= 0.0


@pytest.mark.statistical
@pytest.mark.parametrize("shape", GAMMA_SHAPES)
def test_gamma_numbers_follow_their_law(shape: float) -> None:
    """A chi-square over 40 quantiles and z-tests of mean and variance: false alarm under 3e-6."""
    numbers = np.empty(GAMMA_DRAWS)
    fill_gammas(stream_of(HOME), shape, numbers)
    law = stats.gamma(shape)
    places = np.searchsorted(law.ppf(np.arange(1, 40) / 40), numbers)
    assert stats.chisquare(np.bincount(places, minlength=40)).pvalue > 1e-6
    mean, variance, excess = (float(moment) for moment in law.stats("mvk"))
    error = 5 * math.sqrt(variance / GAMMA_DRAWS)
    assert numbers.mean() == pytest.approx(mean, abs=error)
    error = 5 * variance * math.sqrt((excess + 2.0) / GAMMA_DRAWS)
    assert ((numbers - mean) ** 2).mean() == pytest.approx(variance, abs=error)
