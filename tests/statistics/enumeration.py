"""Every history of a pool of six: its exact law, in plain Python and without the kernels.

A period of such a pool (no waiting period, no delay, everybody is billed): members claim, the
cost is split equally over all present, claimants leave, the others lapse by what the bill does to
them, and those who stay learn what a share costs (MODEL sections 1, 3, 4, 6 and 7).
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

Counts = tuple[int, ...]


@dataclass(frozen=True)
class Kind:
    """Members of one motive: how many at first, and how they leave and learn."""

    members: int
    base: float
    first_bill: float
    bill_shock: float
    growth: float
    burden: float
    education_speed: float


@dataclass(frozen=True)
class SmallPool:
    """A pool small enough to follow all its histories; rates per period, money in yuan."""

    kinds: tuple[Kind, ...]
    hazard: float
    selection_start: float
    selection_periods: float
    acceptance: float
    severe: float
    mild_fraction: float
    benefit: float
    fee_rate: float
    advertised: float
    shock_cap: float
    income_period: float


class Standing(NamedTuple):
    """What the future depends on."""

    members: Counts
    expectations: tuple[float, ...]
    share: float
    billed_before: bool
    cases: int


class End(NamedTuple):
    """What is compared: members, cases of all periods, the last share in fen."""

    members: int
    cases: int
    share_fen: int


def in_fen(share: float) -> int:
    return round(share * 100.0)


def law_of_the_end(pool: SmallPool, periods: int) -> dict[End, float]:
    """Add up the probabilities of all histories by how they end."""
    start = Standing(
        members=tuple(kind.members for kind in pool.kinds),
        expectations=(pool.advertised,) * len(pool.kinds),
        share=0.0,
        billed_before=False,
        cases=0,
    )
    law = {start: 1.0}
    for period in range(periods):
        later: dict[Standing, float] = defaultdict(float)
        for standing, probability in law.items():
            for outcome, chance in after(pool, standing, period):
                later[outcome] += probability * chance
        law = dict(later)
    ends: dict[End, float] = defaultdict(float)
    for standing, probability in law.items():
        end = End(sum(standing.members), standing.cases, in_fen(standing.share))
        ends[end] += probability
    return dict(ends)


def binomial(n: int, p: float) -> list[float]:
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


def vectors(sizes: Counts, chances: list[float]) -> Iterator[tuple[Counts, float]]:
    """Yield how many of each kind something happens to, with the probability."""
    laws = [binomial(n, p) for n, p in zip(sizes, chances, strict=True)]
    for counts in itertools.product(*(range(n + 1) for n in sizes)):
        yield counts, math.prod(law[k] for law, k in zip(laws, counts, strict=True))


def after(pool: SmallPool, standing: Standing, period: int) -> Iterator[tuple[Standing, float]]:
    """Yield each way a period can go, with its probability."""
    selection = 1.0 - (1.0 - pool.selection_start) * math.exp(-period / pool.selection_periods)
    case = (1.0 - math.exp(-pool.hazard * selection)) * pool.acceptance
    present = sum(standing.members)
    for claimants, p_claims in vectors(standing.members, [case] * len(pool.kinds)):
        cases = sum(claimants)
        for severe, p_severe in enumerate(binomial(cases, pool.severe)):
            benefits = pool.benefit * (severe + pool.mild_fraction * (cases - severe))
            share = benefits * (1.0 + pool.fee_rate) / present if present else 0.0
            left = tuple(n - k for n, k in zip(standing.members, claimants, strict=True))
            for outcome, p_lapse in billed(pool, standing, left, share, cases):
                yield outcome, p_claims * p_severe * p_lapse


def billed(
    pool: SmallPool, standing: Standing, left: Counts, share: float, cases: int
) -> Iterator[tuple[Standing, float]]:
    """Yield each way that those who did not claim can answer their bill."""
    chances = [
        1.0 - math.exp(-intensity(pool, standing, kind, expected, share))
        for kind, expected in zip(pool.kinds, standing.expectations, strict=True)
    ]
    learnt = standing.expectations
    if sum(standing.members) > 0:
        learnt = tuple(
            expected + kind.education_speed * (share - expected)
            for kind, expected in zip(pool.kinds, standing.expectations, strict=True)
        )
    for leavers, probability in vectors(left, chances):
        stayed = tuple(n - k for n, k in zip(left, leavers, strict=True))
        known = standing.billed_before or share > 0.0
        yield Standing(stayed, learnt, share, known, standing.cases + cases), probability


def intensity(
    pool: SmallPool, standing: Standing, kind: Kind, expected: float, share: float
) -> float:
    gap = min(max(0.0, (share - expected) / expected), pool.shock_cap)
    growth = 0.0
    if standing.share > 0.0 and share > standing.share:
        growth = min(math.log(share / standing.share), pool.shock_cap)
    first = kind.first_bill if share > 0.0 and not standing.billed_before else 0.0
    burden = kind.burden * share / pool.income_period
    return kind.base + first + kind.bill_shock * gap + kind.growth * growth + burden
