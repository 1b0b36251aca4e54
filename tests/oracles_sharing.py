"""Slow, obvious twins of `kernels/sharing.py`: member by member, in fractions or by other roads."""

import itertools
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Law = Mapping[int, Fraction]
"""Probability of each loss of a member, the loss 0 included."""


def law(probability: Fraction, benefit: int, severity: Mapping[Fraction, Fraction]) -> Law:
    """Give a member's law from that of his case; `severity` is fraction -> probability."""
    losses: dict[int, Fraction] = {0: 1 - probability}
    for part, chance in severity.items():
        loss = part * benefit
        assert loss.denominator == 1
        losses[int(loss)] = losses.get(int(loss), Fraction(0)) + probability * chance
    return losses


def mean(member: Law) -> Fraction:
    return sum((loss * chance for loss, chance in member.items()), Fraction(0))


def variance(member: Law) -> Fraction:
    squares = sum((loss**2 * chance for loss, chance in member.items()), Fraction(0))
    return squares - mean(member) ** 2


def sum_of(members: Sequence[Law]) -> Law:
    """Convolve the laws of independent members."""
    total: dict[int, Fraction] = {0: Fraction(1)}
    for member in members:
        following: dict[int, Fraction] = {}
        for (so_far, before), (loss, chance) in itertools.product(total.items(), member.items()):
            following[so_far + loss] = following.get(so_far + loss, Fraction(0)) + before * chance
        total = following
    return total


def conditional_mean(members: Sequence[Law], total: int) -> list[Fraction]:
    """Give each member's E[X | S = total]: from the law of the sum of all others."""
    found = []
    for place, member in enumerate(members):
        others = sum_of([*members[:place], *members[place + 1 :]])
        joint = {loss: chance * others.get(total - loss, 0) for loss, chance in member.items()}
        found.append(sum(loss * p for loss, p in joint.items()) / Fraction(sum(joint.values())))
    return found


def conditional_mean_by_enumeration(members: Sequence[Law], total: int) -> list[Fraction]:
    """Give the same by going through everything that can happen to everybody."""
    mass = Fraction(0)
    losses = [Fraction(0)] * len(members)
    for outcome in itertools.product(*(member.items() for member in members)):
        if sum(loss for loss, _ in outcome) == total:
            chance = math.prod((p for _, p in outcome), start=Fraction(1))
            mass += chance
            losses = [so_far + chance * x for so_far, (x, _) in zip(losses, outcome, strict=True)]
    return [loss / mass for loss in losses]


def linear(members: Sequence[Law], total: Fraction) -> list[Fraction]:
    surprise = total - sum(map(mean, members), Fraction(0))
    whole = sum(map(variance, members), Fraction(0))
    if whole == 0:
        return [mean(member) + surprise / len(members) for member in members]
    return [mean(member) + variance(member) / whole * surprise for member in members]


def minimum_variance_matrix(members: Sequence[Law]) -> list[list[Fraction]]:
    """Give the matrix of Feng, Liu and Taylor 2023: row i says what i pays of each one's loss."""
    people = len(members)
    average = sum(map(mean, members), Fraction(0)) / people
    scale = sum((mean(x) ** 2 / variance(x) for x in members if variance(x) > 0), Fraction(0))
    standing = [
        mean(one) / variance(one) / scale if variance(one) > 0 else Fraction(0) for one in members
    ]
    return [
        [Fraction(1, people) + (mean(i) - average) * part for part in standing] for i in members
    ]


def panjer(rate: float, severity: Sequence[float], most: int) -> list[float]:
    """Give the compound Poisson law on 0..most by Panjer's recursion; severity[k], k >= 1."""
    masses = [math.exp(-rate)]
    for total in range(1, most + 1):
        reach = range(1, min(total, len(severity) - 1) + 1)
        masses.append(rate / total * sum(k * severity[k] * masses[total - k] for k in reach))
    return masses


def compound_poisson_mean(
    rates: Sequence[float], severities: Sequence[Sequence[float]], total: int
) -> list[float]:
    """Give E[X_i | S = s] = rate_i sum_k k f_i(k) P(S = s - k) / P(S = s) (Denuit 2019)."""
    size = len(severities[0])
    mixed = [
        sum(rate * f[k] for rate, f in zip(rates, severities, strict=True)) / sum(rates)
        for k in range(size)
    ]
    masses = panjer(sum(rates), mixed, total)
    return [
        rate * sum(k * f[k] * masses[total - k] for k in range(1, min(total, size - 1) + 1))
        / masses[total]
        for rate, f in zip(rates, severities, strict=True)
    ]  # fmt: skip


def two_kinds(small: tuple[int, float], large: tuple[int, float], step: int, total: int) -> float:
    """Give E[cases of the first kind | a + step * b = total], a and b binomial (n, p).

    All terms are positive and summed in 50 digits, so nothing is lost in the tail.
    """
    with localcontext() as context:
        context.prec = 50
        first, second = binomial_weights(*small, total), binomial_weights(*large, total // step)
        joint = {
            total - step * b: first[total - step * b] * second[b] for b in range(total // step + 1)
        }
        return float(sum(a * weight for a, weight in joint.items()) / sum(joint.values()))


def binomial_weights(people: int, p: float, most: int) -> list[Decimal]:
    """Give the binomial masses of 0..most over that of 0."""
    odds = Decimal(p) / (1 - Decimal(p))
    weights = [Decimal(1)]
    for cases in range(most):
        weights.append(weights[-1] * odds * (people - cases) / (cases + 1))
    return weights


def law_by_fft(
    count: Sequence[int], laws: Sequence[Sequence[float]], size: int
) -> npt.NDArray[np.float64]:
    """Give the law of the sum of so many members of each law, by NumPy's FFT."""
    transform = np.ones(size, np.complex128)
    for people, masses in zip(count, laws, strict=True):
        transform *= np.fft.fft(masses, size) ** people
    return np.fft.ifft(transform).real


def conditional_mean_by_fft(
    count: Sequence[int], laws: Sequence[Sequence[float]], size: int, total: int
) -> list[float]:
    """Give E[X | S = total] of a member of each cell: one law of all, one of all others a cell."""
    everybody = law_by_fft(count, laws, size)[total]
    found = []
    for cell, masses in enumerate(laws):
        fewer = [people - (place == cell) for place, people in enumerate(count)]
        others = law_by_fft(fewer, laws, size)
        reach = range(min(total, len(masses) - 1) + 1)
        found.append(sum(x * masses[x] * others[total - x] for x in reach) / everybody)
    return found


def conditional_mean_by_subsets(
    probability: Sequence[float], benefit: Sequence[float], total: float
) -> npt.NDArray[np.float64]:
    """Give each member's E[X | S = total] from every set of members who can have had a case.

    Benefits may be any amounts: sums within half a fen of the total count. 2**members sets.
    """
    people, pays = np.array(probability), np.array(benefit)
    sets = (np.arange(2**people.size)[:, None] >> np.arange(people.size)) & 1
    sets = sets[abs(sets @ pays - total) <= 0.005]
    chance = np.where(sets == 1, people, 1.0 - people).prod(axis=1)
    return np.array(chance @ sets * pays / chance.sum())
