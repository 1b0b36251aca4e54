"""Members who share a bill, and the sharing of it by a rule, as the tests set them up."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels import sharing
from kernels.cells import Cells
from kernels.inversion import conditional_mean_by_inversion
from kernels.saddle_point import conditional_mean_by_saddle_point, saddle_point
from tests import oracles_sharing as oracles

RULES = {
    "equal": sharing.EQUAL,
    "table": sharing.TABLE,
    "expected": sharing.EXPECTED,
    "linear": sharing.LINEAR,
    "minimum_variance": sharing.MINIMUM_VARIANCE,
    "conditional_mean": sharing.CONDITIONAL_MEAN,
    "pooled_bands": sharing.POOLED_BANDS,
}
# Sums over at most 10 members or cells of doubles: some 100 roundings of 2**-53.
ROUNDING = 1e-13
# An inversion adds up to about 1000 frequencies of modulus 1 and divides by a probability that is
# 0.01 or more under the tilted law: 1000 * 1e-16 / 0.01.
INVERSION = 1e-11

Array = npt.NDArray[Any]


def cells(
    count: Sequence[int],
    probability: Sequence[float],
    benefit: Sequence[float],
    severity: dict[float, float] | None = None,
    **more: Sequence[float],
) -> Cells:
    """Set up cells; `severity` is fraction -> probability."""
    size = len(count)
    severity = severity or {1.0: 1.0}
    return Cells(
        count=np.array(count, np.int64),
        probability=np.array(probability, np.float64),
        benefit=np.array(benefit, np.float64),
        weight=np.array(more.get("weight", np.ones(size)), np.float64),
        band=np.array(more.get("band", np.zeros(size)), np.int64),
        claims=np.array(more.get("claims", np.zeros(size)), np.float64),
        severity=np.array(list(severity.values()), np.float64),
        fraction=np.array(list(severity), np.float64),
    )


def share(rule: str, pool: Cells, total: float, quota: float = 0.0) -> Array:
    contribution = np.full(pool.count.size, np.nan)
    sharing.contributions(RULES[rule], pool, quota, total, contribution)
    return contribution


def inverted(pool: Cells, total: float, theta: float) -> tuple[bool, Array]:
    contribution = np.full(pool.count.size, np.nan)
    done = conditional_mean_by_inversion(pool, total, theta, contribution)
    return bool(done), contribution


def at_saddle_point(pool: Cells, total: float) -> Array:
    contribution = np.full(pool.count.size, np.nan)
    theta = saddle_point(pool, total)
    conditional_mean_by_saddle_point(pool, total, theta, contribution)
    return contribution


# 40 000 members for 100 000 yuan and 20 000 for 300 000 by age: 100 cases of 160 000 on average
YOUNG, OLD = (20_000, 0.0015), (40_000, 0.00175)
UNIT = 100_000.0
MEAN, DEVIATION = 160.0, np.sqrt(30 * 9 + 70)


def two_ages() -> Cells:
    return cells([OLD[0], YOUNG[0]], [OLD[1], YOUNG[1]], [UNIT, 3 * UNIT])


def exact(total: int) -> list[float]:
    """Give the contributions of the two ages, in yuan."""
    cases = oracles.two_kinds(OLD, YOUNG, 3, total)
    return [UNIT * cases / OLD[0], UNIT * (total - cases) / YOUNG[0]]


def away(deviations: float) -> int:
    return round(MEAN + deviations * float(DEVIATION))


SEVERITY = {Fraction(1): Fraction(3, 4), Fraction(1, 2): Fraction(1, 4)}
PEOPLE = [(3, Fraction(1, 16), 2), (2, Fraction(1, 4), 4), (2, Fraction(1, 2), 10)]
LOSSES = [[0, 0, 2], [4, 0], [0, 5]]


def small_pool() -> tuple[Cells, list[oracles.Law]]:
    """Give seven members as three cells and as a law each."""
    pool = cells(
        [count for count, _, _ in PEOPLE],
        [float(p) for _, p, _ in PEOPLE],
        [benefit for _, _, benefit in PEOPLE],
        {float(part): float(chance) for part, chance in SEVERITY.items()},
        claims=[float(sum(losses)) for losses in LOSSES],
    )
    members = [
        oracles.law(p, benefit, SEVERITY) for count, p, benefit in PEOPLE for _ in range(count)
    ]
    return pool, members


def firsts(members: Sequence[Fraction]) -> list[float]:
    """Pick one member of each cell; all of a cell must be alike."""
    found, start = [], 0
    for count, _, _ in PEOPLE:
        assert len(set(members[start : start + count])) == 1
        found.append(float(members[start]))
        start += count
    return found
