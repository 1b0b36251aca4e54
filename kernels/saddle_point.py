"""The saddle point of the law of S, the sum of all members' losses (section 4).

Under the tilt by e^(theta x) the law of the losses given S stays as it is. At the saddle point the
tilted mean of S is the total that is to be shared, so that no probability is lost to rounding,
however unlikely the total was. It also gives an approximation to E[X | S] where claims are many.
"""

import math

import numpy as np

from kernels.cells import Cells, split_in_proportion
from kernels.compiling import kernel
from kernels.parameters import Float64

# Squared skewness of S up to which the second order of the saddle point is an improvement.
MOST_SKEWNESS = 0.25

NEWTON_STEPS = 200
SOLVED = 1e-14
# Floor of means and variances that have run out of digits: far from the ends of the doubles.
TINY = 1e-200


@kernel
def tilt(cells: Cells, theta: float, tilted: Float64, mean: Float64) -> tuple[float, float]:
    """Tilt the law of every loss by e^(theta x), and give mean and variance of S under it.

    They are K'(theta) and K''(theta), K the cumulant function of S. The largest exponent of each
    cell is taken out of it, so that no power overflows.

    Parameters
    ----------
    cells : Cells
    theta : float64, per yuan; 0 leaves the law as it is
    tilted : float64[cells, severities], filled, probability of a case of each category
    mean : float64[cells], filled, yuan, mean loss of a member

    Returns
    -------
    (mean, variance) : float64, yuan and yuan^2, of the sum of all losses
    """
    total = 0.0
    variance = 0.0
    for cell in range(cells.count.size):
        p = cells.probability[cell]
        rate = theta * cells.benefit[cell]
        shift = 0.0 if p < 1.0 else -math.inf
        for category in range(cells.severity.size):
            if p * cells.severity[category] > 0.0:
                shift = max(shift, rate * cells.fraction[category])
        none = (1.0 - p) * math.exp(-shift) if p < 1.0 else 0.0
        norm = none
        for category in range(cells.severity.size):
            chance = p * cells.severity[category]
            if chance > 0.0:
                chance *= math.exp(rate * cells.fraction[category] - shift)
            tilted[cell, category] = chance
            norm += chance
        expected = 0.0
        for category in range(cells.severity.size):
            tilted[cell, category] /= norm
            loss = cells.benefit[cell] * cells.fraction[category]
            expected += tilted[cell, category] * loss
        spread = none / norm * expected * expected
        for category in range(cells.severity.size):
            loss = cells.benefit[cell] * cells.fraction[category]
            spread += tilted[cell, category] * (loss - expected) ** 2
        mean[cell] = expected
        total += cells.count[cell] * expected
        variance += cells.count[cell] * spread
    return total, variance


@kernel
def saddle_point(cells: Cells, total: float) -> float:
    """Find the theta under which the total is the mean of S: K'(theta) = total.

    Newton's method on log K', which is nearly linear where claims are rare; a step never leaves
    the bracket found so far, and the bracket is halved where a step brings little.

    Parameters
    ----------
    cells : Cells
    total : float64, yuan, between the least and the largest possible sum of losses

    Returns
    -------
    float64, per yuan
    """
    tilted = np.empty((cells.count.size, cells.severity.size), np.float64)
    mean = np.empty(cells.count.size, np.float64)
    largest = 0.0
    for cell in range(cells.count.size):
        largest = max(largest, cells.benefit[cell])
    # in units of the largest benefit: steps of about 1, whatever the amounts
    theta = 0.0
    following = 0.0
    low = -math.inf
    high = math.inf
    miss = math.inf
    tries = 0
    while tries < NEWTON_STEPS and miss > SOLVED * total and low < following < high:
        tries += 1
        theta = following
        before = miss
        reached, variance = tilt(cells, theta / largest, tilted, mean)
        miss = abs(reached - total)
        if reached < total:
            low = theta
        else:
            high = theta
        most = 1.0 + abs(theta)
        slope = max(variance, TINY) / max(reached, TINY) / largest
        step = (math.log(total) - math.log(max(reached, TINY))) / slope
        following = theta + min(max(step, -most), most)
        if high - low < math.inf and (miss > 0.5 * before or not low < following < high):
            following = 0.5 * (low + high)
    return theta / largest


@kernel
def conditional_mean_by_saddle_point(
    cells: Cells, total: float, theta: float, contribution: Float64
) -> None:
    """Charge everybody E[X | S] by the saddle-point approximation of the law of S.

    To the first order it is the mean loss under the tilted law, c1 = sum_v b f_v p severity_v
    e^(theta b f_v) / M(theta), which sums to the total at the saddle point. The second order adds
    -(c3 - C3 c2/C2) / (2 C2), c2 and c3 the next cumulants of the member's tilted loss and C2 and
    C3 those of S: the derivative of log C2 in the member's own tilt. It sums to zero, and leaves an
    error of the order of one over the square of the number of cases. It is added where S is near
    enough to normal for it (`MOST_SKEWNESS`), as it is wherever cases are many.

    Parameters
    ----------
    cells : Cells
    total : float64, yuan
    theta : float64, per yuan, of `saddle_point`
    contribution : float64[cells], filled, yuan a member
    """
    cell_count = cells.count.size
    tilted = np.empty((cell_count, cells.severity.size), np.float64)
    second = np.empty(cell_count, np.float64)
    third = np.empty(cell_count, np.float64)
    _, variance = tilt(cells, theta, tilted, contribution)
    skewness = 0.0
    for cell in range(cell_count):
        expected = contribution[cell]
        none = 1.0
        second[cell] = 0.0
        third[cell] = 0.0
        for category in range(cells.severity.size):
            chance = tilted[cell, category]
            gap = cells.benefit[cell] * cells.fraction[category] - expected
            none -= chance
            second[cell] += chance * gap * gap
            third[cell] += chance * gap * gap * gap
        second[cell] += none * expected * expected
        third[cell] -= none * expected * expected * expected
        skewness += cells.count[cell] * third[cell]
    if variance > 0.0 and skewness * skewness <= MOST_SKEWNESS * variance * variance * variance:
        for cell in range(cell_count):
            bend = third[cell] - skewness * second[cell] / variance
            contribution[cell] = max(0.0, contribution[cell] - 0.5 * bend / variance)
    split_in_proportion(cells.count, contribution, total, contribution)
