"""Randomness as an address, not a state: Philox uniforms and exact samplers on them.

Every draw is a pure function of (seed, path, purpose, period, cell, attempt). Nothing is carried
from one draw to the next, so shards, threads, order and retries cannot move a result, and two
points of a sweep see the same weather on the same path (MODEL section 9, "Randomness").

The generator is Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as
easy as 1, 2, 3"). Its 64-bit key holds seed and path, its four 32-bit counter words the rest:

    c0  low half of the cell        c2  period + 2**24 * purpose
    c1  high half of the cell       c3  attempt (rejection samplers count up from 0)

The low half of a cell is its number, the high half a sub-address (a category of a multinomial).
Words are kept in uint64 with the upper half empty: a product of two of them cannot overflow, and
the same lines run compiled and interpreted.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.compiling import kernel


class Purpose(IntEnum):
    """What a draw decides. A number is never reused, or old results could not be recomputed."""

    JOIN = 1
    JOIN_PLACE = 3
    DIAGNOSIS = 5
    OUTCOME = 6
    DELAY = 7
    SEVERITY = 8
    DISPUTE = 9
    AGEING = 10
    PAYMENT = 11
    LAPSE = 12
    LAPSE_CAUSE = 13
    NEWS = 14
    CLOSURE = 15
    CHANNEL = 16
    OWN_LAPSE_CAUSE = 17
    SHOCK = 18
    POOL = 19
    MIGRATION = 20
    TOP_UP = 21
    FRAILTY = 22
    SAMPLE = 23
    PARTICLE = 24
    PARTICLE_PATH = 25
    ACCEPTANCE = 26
    RESAMPLING = 27
    MODEL_ERROR = 28
    MISPRINT = 29
    FUTURE = 30


class Stream(NamedTuple):
    """All draws of one path, purpose and period; the cell picks one of them.

    Each field is an int64, the type a Python int takes in a kernel: key0 and key1 in
    0..2**32 - 1, the halves of the Philox key; period in 0..2**24 - 1; purpose in 0..255.
    """

    key0: np.int64
    key1: np.int64
    period: np.int64
    purpose: np.int64


Key = tuple[np.uint64, np.uint64]
Words = tuple[np.uint64, np.uint64, np.uint64, np.uint64]

LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)

# Salmon et al. 2011: the multipliers, and the Weyl increments of the key
MULTIPLIER0 = np.uint64(0xD2511F53)
MULTIPLIER1 = np.uint64(0xCD9E8D57)
WEYL0 = np.uint64(0x9E3779B9)
WEYL1 = np.uint64(0xBB67AE85)
ROUNDS = 10

# The 64-bit finaliser of SplitMix64 (Steele, Lea and Flood 2014), and its increment
MIX0 = np.uint64(0xBF58476D1CE4E5B9)
MIX1 = np.uint64(0x94D049BB133111EB)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)

MANTISSA_SHIFT_UP = np.uint64(20)
MANTISSA_SHIFT_DOWN = np.uint64(12)
GRID = 2.0**-52

# Below this mean a sampler walks up the distribution from zero, above it rejects.
INVERSION_BELOW = 10.0
# A count less likely than this cannot be told from rounding in a 53-bit uniform.
NEGLIGIBLE = 2.0**-60

# log k! - [(k + 1/2) log(k + 1) - (k + 1) + log(2 pi)/2] for k = 0..9
STIRLING_TAIL = np.array(
    [
        0.08106146679532726,
        0.04134069595540929,
        0.02767792568499834,
        0.02079067210376509,
        0.01664469118982119,
        0.01387612882307075,
        0.01189670994589177,
        0.01041126526197209,
        0.009255462182712733,
        0.008330563433362871,
    ]
)
HALF_LOG_TWO_PI = 0.9189385332046727

# Stadlober 1990: the table mountain over a discrete law, 2 sqrt(2/e) and 3 - 2 sqrt(3/e)
HAT_SLOPE = 1.7155277699214135
HAT_OFFSET = 0.8989161620588988


@kernel
def multiply_low(a: np.uint64, b: np.uint64) -> np.uint64:
    """Low 64 bits of a product of two uint64, without the overflow that NumPy warns of."""
    low = (a & LOW) * (b & LOW)
    middle = (((a >> HALF) * (b & LOW)) & LOW) + (((a & LOW) * (b >> HALF)) & LOW)
    high = ((low >> HALF) + middle) & LOW
    return (high << HALF) | (low & LOW)


@kernel
def mix64(x: np.uint64) -> np.uint64:
    """Scramble 64 bits one to one, so that neighbouring seeds give unrelated keys."""
    high = (x >> HALF) + (GOLDEN >> HALF)
    low = (x & LOW) + (GOLDEN & LOW)
    x = (((high + (low >> HALF)) & LOW) << HALF) | (low & LOW)
    x = multiply_low(x ^ (x >> np.uint64(30)), MIX0)
    x = multiply_low(x ^ (x >> np.uint64(27)), MIX1)
    return x ^ (x >> np.uint64(31))


@kernel
def stream(seed: int | np.uint64, path: int, purpose: int, period: int) -> Stream:
    """Address the draws of one path for one purpose in one period.

    The key is mix64(seed) xor path. For a fixed seed it is injective in the path. Two seeds can
    share a key only if their mixed values agree in the upper 32 bits, one pair in 2**32.

    Parameters
    ----------
    seed : uint64; as a plain int from Python only below 2**63
    path : 0..2**32 - 1
    purpose : a number of `Purpose`, 0..255
    period : 0..2**24 - 1

    Returns
    -------
    Stream
    """
    key = mix64(np.uint64(seed)) ^ np.uint64(path)
    return Stream(np.int64(key & LOW), np.int64(key >> HALF), np.int64(period), np.int64(purpose))


@kernel
def philox(counter: Words, key: Key) -> Words:
    """Turn a counter and a key into four random words of 32 bits: Philox4x32-10.

    Parameters
    ----------
    counter : four uint64 holding 0..2**32 - 1
    key : two uint64 holding 0..2**32 - 1

    Returns
    -------
    four uint64 holding 0..2**32 - 1
    """
    c0, c1, c2, c3 = counter
    key0, key1 = key
    for _ in range(ROUNDS):
        product0 = MULTIPLIER0 * c0
        product1 = MULTIPLIER1 * c2
        c0 = (product1 >> HALF) ^ c1 ^ key0
        c1 = product1 & LOW
        c2 = (product0 >> HALF) ^ c3 ^ key1
        c3 = product0 & LOW
        key0 = (key0 + WEYL0) & LOW
        key1 = (key1 + WEYL1) & LOW
    return c0, c1, c2, c3


@kernel
def open_uniform(high: np.uint64, low: np.uint64) -> float:
    """Make a double in (0, 1) of two words: (k + 1/2) 2**-52 with their 52 leading bits k."""
    # through int64, which every processor converts in one instruction; uint64 takes several
    k = np.int64((high << MANTISSA_SHIFT_UP) | (low >> MANTISSA_SHIFT_DOWN))
    return (float(k) + 0.5) * GRID


@kernel
def uniforms(stream: Stream, cell: int, attempt: int) -> tuple[float, float]:
    """Draw two independent uniforms, open at both ends, exact multiples of 2**-53.

    Parameters
    ----------
    stream : Stream
    cell : int64, >= 0, the cell's number, or its number + 2**32 * sub-address
    attempt : 0..2**32 - 1

    Returns
    -------
    u, v : float64, 2**-53 <= u, v <= 1 - 2**-53
    """
    place = np.uint64(cell)
    moment = np.uint64(stream.period | (stream.purpose << 24))
    counter = (place & LOW, place >> HALF, moment, np.uint64(attempt))
    w0, w1, w2, w3 = philox(counter, (np.uint64(stream.key0), np.uint64(stream.key1)))
    return open_uniform(w0, w1), open_uniform(w2, w3)


@kernel
def stirling_tail(k: float) -> float:
    """Give what Stirling's formula in k + 1 lacks of log k!, for a whole number k >= 0.

    From k = 10 on the series ends after three terms, which leaves under 4e-11 (1/1680 (k+1)**-7).
    """
    if k < 10.0:
        return float(STIRLING_TAIL[int(k)])
    x = 1.0 / (k + 1.0)
    xx = x * x
    return (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0) * xx) * xx) * x


@kernel
def log_factorial_ratio(a: float, b: float) -> float:
    """Take log(a! / b!) for whole a, b >= 0, accurate where the two are large and close.

    The differences are taken before the logarithms, so that the rounding is 1e-16 |a - b| times
    the logarithm of the larger, not 1e-16 times its log-factorial.
    """
    low, high = min(a, b), max(a, b)
    d = high - low
    bend = (low + 0.5) * math.log1p(d / (low + 1.0))
    ratio = d - d * math.log(high + 1.0) - bend + stirling_tail(low) - stirling_tail(high)
    return ratio if a <= b else -ratio


@kernel
def binomial_by_inversion(u: float, n: int, p: float) -> int:
    """Find the least k with P(X <= k) >= u, walking up from 0; for n p below 10, p <= 1/2."""
    if u <= 1.0 - n * p:
        return 0  # P(X = 0) >= 1 - n p: most cells of most periods end here, without a logarithm
    left = u
    odds = p / (1.0 - p)
    mass = math.exp(n * math.log1p(-p))
    k = 0.0
    remaining = float(n)
    while left > mass:
        left -= mass
        k += 1.0
        mass *= remaining / k * odds
        remaining -= 1.0
        if mass < NEGLIGIBLE:
            return int(k) - 1  # only rounding leads here; beyond n the mass is exactly 0
    return int(k)


@kernel
def binomial_accepts(k: float, n: float, p: float, bound: float) -> bool:
    """Ask whether bound <= f(k) / f(mode), f the binomial probabilities."""
    mode: float = np.floor((n + 1.0) * p)
    ratio = log_factorial_ratio(mode, k) + log_factorial_ratio(n - mode, n - k)
    return math.log(bound) <= ratio + (k - mode) * math.log(p / (1.0 - p))


@kernel
def binomial_by_rejection(stream: Stream, cell: int, n: int, p: float, side: float) -> int:
    """Draw a binomial count by transformed rejection; for n p >= 10, p <= 1/2.

    Algorithm BTRS of Hörmann 1993, "The generation of binomial random variates". The count rises
    with the first uniform where `side` is 1 and falls where it is -1.
    """
    size = float(n)
    spread = math.sqrt(size * p * (1.0 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    centre = size * p + 0.5
    quick = 0.92 - 4.2 / b
    attempt = 0
    while True:
        u, v = uniforms(stream, cell, attempt)
        u = side * (u - 0.5)
        edge = 0.5 - abs(u)
        k = np.floor((2.0 * a / edge + b) * u + centre)
        if edge >= 0.07 and v <= quick:
            return int(k)
        if 0.0 <= k <= size:
            alpha = (2.83 + 5.1 / b) * spread
            if binomial_accepts(k, size, p, v * alpha / (a / (edge * edge) + b)):
                return int(k)
        attempt += 1


@kernel
def binomial(stream: Stream, cell: int, n: int, p: float) -> int:
    """Draw the number of successes in n independent trials.

    The count rises with the first uniform of its address, whatever n and p. Below a mean of 10
    (of failures, where p > 1/2) it is the exact quantile, so it rises with n and p as well.

    Parameters
    ----------
    stream, cell : the address
    n : int64, up to 2e9; 0 or less gives 0
    p : float64; 0 or less gives 0, 1 or more gives n

    Returns
    -------
    int64, 0..n

    Raises
    ------
    ValueError
        p is nan.
    """
    if n <= 0 or p <= 0.0:
        return 0
    if p >= 1.0:
        return n
    if math.isnan(p):
        raise ValueError("binomial: the probability is nan")
    reflect = p > 0.5
    small = 1.0 - p if reflect else p
    if n * small < INVERSION_BELOW:
        u, _ = uniforms(stream, cell, 0)
        count = binomial_by_inversion(1.0 - u if reflect else u, n, small)
    else:
        count = binomial_by_rejection(stream, cell, n, small, -1.0 if reflect else 1.0)
    return n - count if reflect else count


@kernel
def poisson_by_inversion(u: float, mean: float) -> int:
    """Find the least k with P(X <= k) >= u, walking up from 0; for means below 10."""
    if u <= 1.0 - mean:
        return 0
    left = u
    mass = math.exp(-mean)
    k = 0.0
    while left > mass:
        left -= mass
        k += 1.0
        mass *= mean / k
        if mass < NEGLIGIBLE:
            return int(k) - 1
    return int(k)


@kernel
def poisson_log_mass(k: float, mean: float) -> float:
    """Take log P(X = k), the large terms taken together before they are rounded."""
    d = k + 1.0 - mean
    tail = HALF_LOG_TWO_PI + 0.5 * math.log(k + 1.0) + stirling_tail(k)
    return d - k * math.log1p(d / mean) - tail


@kernel
def poisson_by_rejection(stream: Stream, cell: int, mean: float) -> int:
    """Draw a Poisson count by transformed rejection; for means of 10 and more.

    Algorithm PTRS of Hörmann 1993, "The transformed rejection method for generating Poisson
    random variables".
    """
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    scale = 1.1239 + 1.1328 / (b - 3.4)
    quick = 0.9277 - 3.6224 / (b - 2.0)
    attempt = 0
    while True:
        u, v = uniforms(stream, cell, attempt)
        u -= 0.5
        edge = 0.5 - abs(u)
        k = np.floor((2.0 * a / edge + b) * u + mean + 0.43)
        if edge >= 0.07 and v <= quick:
            return int(k)
        bound = v * scale / (a / (edge * edge) + b)
        if k >= 0.0 and math.log(bound) <= poisson_log_mass(k, mean):
            return int(k)
        attempt += 1


@kernel
def poisson(stream: Stream, cell: int, mean: float) -> int:
    """Draw a Poisson count, which rises with the first uniform of its address.

    Parameters
    ----------
    stream, cell : the address
    mean : float64, up to 1e9; 0 or less gives 0

    Returns
    -------
    int64, >= 0

    Raises
    ------
    ValueError
        The mean is nan or infinite.
    """
    if mean <= 0.0:
        return 0
    if not mean < math.inf:
        raise ValueError("poisson: the mean is nan or infinite")
    if mean < INVERSION_BELOW:
        u, _ = uniforms(stream, cell, 0)
        return poisson_by_inversion(u, mean)
    return poisson_by_rejection(stream, cell, mean)


@kernel
def normal(stream: Stream, cell: int) -> float:
    """Draw a standard normal number (Box and Muller 1958).

    Parameters
    ----------
    stream : Stream
    cell : int64, 0..2**28 - 1

    Returns
    -------
    float64
    """
    radius, angle = uniforms(stream, cell, 0)
    return math.sqrt(-2.0 * math.log(radius)) * math.cos(2.0 * math.pi * angle)


@kernel
def gamma(stream: Stream, cell: int, shape: float) -> float:
    """Draw a gamma number of scale 1 by squeezed rejection.

    Marsaglia and Tsang 2000, "A simple method for generating gamma variables"; below a shape of 1
    a gamma of shape + 1 times a power of a uniform, as they say.

    Parameters
    ----------
    stream, cell : the address
    shape : float64, > 0

    Returns
    -------
    float64, >= 0
    """
    d = (shape + 1.0 if shape < 1.0 else shape) - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    attempt = 0
    while True:
        radius, angle = uniforms(stream, cell, attempt)
        u, boost = uniforms(stream, cell, attempt + 1)
        x = math.sqrt(-2.0 * math.log(radius)) * math.cos(2.0 * math.pi * angle)
        v = (1.0 + c * x) ** 3
        if v > 0.0 and math.log(u) < 0.5 * x * x + d * (1.0 - v + math.log(v)):
            return d * v * boost ** (1.0 / shape) if shape < 1.0 else d * v
        attempt += 2


@kernel
def multinomial(
    stream: Stream,
    cell: int,
    n: int,
    probabilities: npt.NDArray[np.float64],
    out: npt.NDArray[np.int64],
) -> None:
    """Split n over categories, one conditional binomial after another.

    Category i is drawn at sub-address cell + 2**32 * i. The last category whose probability is
    positive takes the rest, so that the counts add up to n and an impossible category stays empty.

    Parameters
    ----------
    stream, cell : the address; cell below 2**32
    n : int64, >= 0
    probabilities : float64[categories], >= 0, adding up to 1 within rounding
    out : int64[categories], filled
    """
    last = probabilities.size - 1
    while last > 0 and probabilities[last] <= 0.0:
        out[last] = 0
        last -= 1
    left = 1.0
    for i in range(last):
        out[i] = 0
        if n > 0 and probabilities[i] > 0.0:
            out[i] = binomial(stream, cell + (i << 32), n, probabilities[i] / left)
            n -= out[i]
        left -= probabilities[i]
    out[last] = n


class Urn(NamedTuple):
    """A draw without replacement, each field a whole float64: sample of good + bad."""

    good: float
    bad: float
    sample: float


@kernel
def hypergeometric_by_inversion(u: float, urn: Urn) -> int:
    """Find the least k with P(X <= k) >= u, walking up from 0; for means below 10."""
    good, bad, sample = urn
    rest = bad - sample
    left = u
    none_good = log_factorial_ratio(bad, rest) + log_factorial_ratio(good + rest, good + bad)
    mass = math.exp(none_good)
    k = 0.0
    while left > mass:
        left -= mass
        mass *= (good - k) / (k + 1.0) * ((sample - k) / (rest + k + 1.0))
        k += 1.0
        if mass < NEGLIGIBLE:
            return int(k) - 1
    return int(k)


@kernel
def hypergeometric_log_ratio(k: float, mode: float, urn: Urn) -> float:
    """Take log(f(k) / f(mode)), f the hypergeometric probabilities."""
    good, bad, sample = urn
    rest = bad - sample
    drawn = log_factorial_ratio(mode, k) + log_factorial_ratio(sample - mode, sample - k)
    left = log_factorial_ratio(good - mode, good - k) + log_factorial_ratio(rest + mode, rest + k)
    return drawn + left


@kernel
def hypergeometric_by_rejection(stream: Stream, cell: int, urn: Urn, side: float) -> int:
    """Draw a hypergeometric count by ratio of uniforms; for sample <= good <= bad.

    The hat of algorithm HRUA of Stadlober 1990, "The ratio of uniforms approach for generating
    discrete random variates". The count rises with the first uniform where `side` is 1 and falls
    where it is -1.
    """
    good, bad, sample = urn
    total = good + bad
    mean = sample * good / total
    spread = math.sqrt((total - sample) / (total - 1.0) * mean * (bad / total) + 0.5)
    width = side * (HAT_SLOPE * spread + HAT_OFFSET)
    mode = np.floor((sample + 1.0) * (good + 1.0) / (total + 2.0))
    attempt = 0
    while True:
        u, v = uniforms(stream, cell, attempt)
        k = np.floor(mean + 0.5 + width * (u - 0.5) / v)
        inside = 0.0 <= k <= sample
        if inside and 2.0 * math.log(v) <= hypergeometric_log_ratio(k, mode, urn):
            return int(k)
        attempt += 1


@kernel
def hypergeometric(stream: Stream, cell: int, good: int, bad: int, sample: int) -> int:
    """Draw how many good ones are in a sample taken without replacement.

    The law stays the same when the sample is exchanged with the rest, good with bad, or the
    sample with the good; so only its smallest case is ever drawn. The count rises with the first
    uniform of its address.

    Parameters
    ----------
    stream, cell : the address
    good, bad : int64, >= 0, together up to 4e9
    sample : int64, 0..good + bad

    Returns
    -------
    int64, max(0, sample - bad)..min(sample, good)
    """
    total = good + bad
    drawn = min(sample, total - sample)
    rare = min(good, bad)
    small, large = min(drawn, rare), max(drawn, rare)
    falls = (good > bad) != (drawn < sample)
    urn = Urn(float(large), float(total - large), float(small))
    if small <= 0:
        count = 0
    elif urn.good * urn.sample < INVERSION_BELOW * total:
        u, _ = uniforms(stream, cell, 0)
        count = hypergeometric_by_inversion(1.0 - u if falls else u, urn)
    else:
        count = hypergeometric_by_rejection(stream, cell, urn, -1.0 if falls else 1.0)
    if good > bad:
        count = drawn - count
    return good - count if drawn < sample else count
