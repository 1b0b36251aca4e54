"""Slow twins of kernels/draws.py: plain integers, exact decimals, the laws as they are defined.

The generator is written from its definition. Where a sampler is a quantile, the twin sums exact
probabilities to fifty digits; where it rejects, the twin follows the published algorithm and takes
the ratio of two probabilities factor by factor.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, localcontext
from typing import NamedTuple

DIGITS = 50


class Address(NamedTuple):
    seed: int
    path: int
    purpose: int
    period: int
    cell: int


def splitmix64(state: int) -> int:
    """The number SplitMix64 gives from `state`."""
    z = (state + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def philox4x32(counter: Sequence[int], key: Sequence[int], rounds: int = 10) -> tuple[int, ...]:
    """Salmon et al. 2011, section 3.3."""
    l0, r0, l1, r1 = counter
    k0, k1 = key
    for _ in range(rounds):
        high0, low0 = divmod(0xD2511F53 * l0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * l1, 2**32)
        l0, r0, l1, r1 = high1 ^ r0 ^ k0, low1, high0 ^ r1 ^ k1, low0
        k0 = (k0 + 0x9E3779B9) % 2**32
        k1 = (k1 + 0xBB67AE85) % 2**32
    return l0, r0, l1, r1


def words(address: Address, attempt: int) -> tuple[int, ...]:
    high, low = divmod(splitmix64(address.seed) ^ address.path, 2**32)
    sub_address, number = divmod(address.cell, 2**32)
    moment = address.period + 2**24 * address.purpose
    return philox4x32((number, sub_address, moment, attempt), (low, high))


def uniforms(address: Address, attempt: int = 0) -> tuple[float, float]:
    w0, w1, w2, w3 = words(address, attempt)
    first = (2**32 * w0 + w1) // 2**12
    second = (2**32 * w2 + w3) // 2**12
    return (2 * first + 1) / 2**53, (2 * second + 1) / 2**53


def quantile(u: float, masses: Iterator[Decimal]) -> int:
    """The least k whose cumulated mass reaches u."""
    with localcontext() as context:
        context.prec = DIGITS
        target = Decimal(u)
        total = Decimal(0)
        for k, mass in enumerate(masses):
            total += mass
            if total >= target:
                return k
    raise AssertionError("the masses do not add up to 1")


def binomial_masses(n: int, p: float) -> Iterator[Decimal]:
    success = Decimal(p)
    mass = (1 - success) ** n
    for k in range(n + 1):
        yield mass
        mass = mass * (n - k) / (k + 1) * success / (1 - success)


def poisson_masses(mean: float) -> Iterator[Decimal]:
    mass = (-Decimal(mean)).exp()
    for k in range(10_000):
        yield mass
        mass = mass * Decimal(mean) / (k + 1)


def hypergeometric_masses(good: int, bad: int, sample: int) -> Iterator[Decimal]:
    ways = math.comb(good + bad, sample)
    for k in range(sample + 1):
        yield Decimal(math.comb(good, k) * math.comb(bad, sample - k)) / Decimal(ways)


def log_ratio(step: Callable[[int], float], mode: int, k: int) -> float:
    """log(f(k) / f(mode)) where step(j) = f(j + 1) / f(j)."""
    low, high = sorted((mode, k))
    total = math.fsum(math.log(step(j)) for j in range(low, high))
    return total if k > mode else -total


def hat(u: float, a: float, b: float) -> tuple[float, float]:
    """Where Hörmann's transformation takes u - 1/2, and the area that it stretches."""
    edge = 0.5 - abs(u)
    return (2 * a / edge + b) * u, a / edge**2 + b


def binomial_by_rejection(address: Address, n: int, p: float, side: int) -> int:
    """Hörmann 1993, algorithm BTRS, without its quick acceptance."""
    spread = math.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    alpha = (2.83 + 5.1 / b) * spread
    mode = math.floor((n + 1) * p)
    for attempt in range(1_000):
        u, v = uniforms(address, attempt)
        shift, area = hat(side * (u - 0.5), a, b)
        k = math.floor(shift + n * p + 0.5)
        ratio = -math.inf
        if 0 <= k <= n:
            ratio = log_ratio(lambda j: (n - j) / (j + 1) * p / (1 - p), mode, k)
        if math.log(v * alpha / area) <= ratio:
            return k
    raise AssertionError("nothing was accepted")


def binomial(address: Address, n: int, p: float) -> int:
    if n <= 0 or p <= 0:
        return 0
    if p >= 1:
        return n
    if n * min(p, 1 - p) >= 10:
        if p > 0.5:
            return n - binomial_by_rejection(address, n, 1 - p, -1)
        return binomial_by_rejection(address, n, p, 1)
    u = uniforms(address)[0]
    if p > 0.5:
        return n - quantile(1 - u, binomial_masses(n, 1 - p))
    return quantile(u, binomial_masses(n, p))


def poisson(address: Address, mean: float) -> int:
    """Hörmann 1993, algorithm PTRS, without its quick steps; below 10 the quantile."""
    if mean <= 0:
        return 0
    if mean < 10:
        return quantile(uniforms(address)[0], poisson_masses(mean))
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    scale = 1.1239 + 1.1328 / (b - 3.4)
    mode = math.floor(mean)
    log_mode = mode * math.log(mean) - mean - math.lgamma(mode + 1)
    for attempt in range(1_000):
        u, v = uniforms(address, attempt)
        shift, area = hat(u - 0.5, a, b)
        k = math.floor(shift + mean + 0.43)
        ratio = log_ratio(lambda j: mean / (j + 1), mode, k) if k >= 0 else -math.inf
        if math.log(v * scale / area) <= log_mode + ratio:
            return k
    raise AssertionError("nothing was accepted")


def multinomial(address: Address, n: int, probabilities: Sequence[float]) -> list[int]:
    possible = [i for i, p in enumerate(probabilities) if p > 0]
    counts = [0] * len(probabilities)
    left = 1.0
    for i in possible[:-1]:
        place = address._replace(cell=address.cell + 2**32 * i)
        counts[i] = binomial(place, n - sum(counts), probabilities[i] / left)
        left -= probabilities[i]
    counts[possible[-1]] = n - sum(counts)
    return counts


def hypergeometric(address: Address, good: int, bad: int, sample: int) -> int:
    """Draw from the rarer kind, by the smaller of sample and rest, and translate back."""
    drawn = min(sample, good + bad - sample)
    rare = min(good, bad)
    turned = (good > bad) != (drawn < sample)
    small, large = sorted((drawn, rare))
    count = 0
    if small > 0:
        count = hypergeometric_of_few(address, large, good + bad, small, -1 if turned else 1)
    of_good = drawn - count if good > bad else count
    return good - of_good if drawn < sample else of_good


def hypergeometric_of_few(address: Address, large: int, total: int, small: int, side: int) -> int:
    """For small <= large <= total / 2: the quantile, or Stadlober 1990, algorithm HRUA."""
    masses = list(hypergeometric_masses(large, total - large, small))
    if large * small < 10 * total:
        u = uniforms(address)[0]
        return quantile(u if side > 0 else 1 - u, iter(masses))
    mean = small * large / total
    variance = mean * (1 - large / total) * (total - small) / (total - 1)
    width = 2 * math.sqrt(2 / math.e) * math.sqrt(variance + 0.5) + 3 - 2 * math.sqrt(3 / math.e)
    mode = (small + 1) * (large + 1) // (total + 2)
    for attempt in range(1_000):
        u, v = uniforms(address, attempt)
        k = math.floor(mean + 0.5 + side * width * (u - 0.5) / v)
        if 0 <= k <= small and Decimal(v) ** 2 <= masses[k] / masses[mode]:
            return k
    raise AssertionError("nothing was accepted")
