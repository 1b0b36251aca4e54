"""Sharing a period's benefits by rules that know what each member was likely to cost (section 4).

A cell holds members who are exchangeable: each of them has a case this period with the same
probability p, and a case pays benefit * fraction_v with probability severity_v. X is the loss of a
member, mu and sigma^2 its mean and variance; S the benefits of all, m their mean, N the members:

    equal             S / N
    table             S w / sum(n w)
    expected          S mu / sum(n mu)
    linear            mu + sigma^2 / sum(n sigma^2) (S - m)
    minimum_variance  S / N + (mu - m / N) T / k, T = sum_j mu_j X_j / sigma_j^2,
                      k = sum_j mu_j^2 / sigma_j^2 (Feng, Liu and Taylor 2023, "Peer-to-peer risk
                      sharing with an application to flood risk pooling")
    conditional_mean  E[X | S] (Denuit and Dhaene 2012, "Convex order and comonotonic conditional
                      mean risk sharing")
    pooled_bands      bands keep a part 1 - quota of their claims and pool the rest

Laws: the sum of n * contribution is S, to the last digits of a float sum; who is in no cell is
charged nothing: a cell without members has the contribution 0. Only `linear` and
`minimum_variance` can be negative. Fees are for the callers to add.
"""

import math
from typing import NamedTuple

import numpy as np

from kernels.compiling import inlined_kernel, kernel
from kernels.parameters import Float64, Int64

EQUAL = 0
TABLE = 1
EXPECTED = 2
LINEAR = 3
MINIMUM_VARIANCE = 4
CONDITIONAL_MEAN = 5
POOLED_BANDS = 6

FEN_PER_YUAN = 100.0
# What counts as whole: an amount this close to a number of fen, or of lattice units.
WHOLE = 1e-6
LIMIT = 2.0**53
# A variance this small beside the second moment is rounding of a loss that is certain: the
# smallest p < 1 leaves 1 - p = 1e-16 of it.
CERTAIN = 1e-20
# A total this close to the least or the largest possible loss is that loss.
ROUNDING = 1e-12

# The inversion costs some 50 ns a cell and frequency; beyond these the saddle point answers, whose
# relative error is then about 1e-6 where cells are some dozens.
MOST_CELL_FREQUENCIES = 2**18
MOST_FREQUENCIES = 2**16
# exp(-46) = 1e-20: a frequency that adds less cannot be told from the rounding of the others.
# Half a unit more, for the one member whose factor is divided out.
NEGLIGIBLE = 46.5
# Squared modulus given to a zero of a characteristic function, so that it can be divided out.
ZERO = 1e-60
# How far the contributions may miss the total, relative to it, before they are not believed.
MISS = 1e-9
# Squared skewness of S up to which the second order of the saddle point is an improvement.
MOST_SKEWNESS = 0.25
NO_MASS = 1e-30

NEWTON_STEPS = 200
SOLVED = 1e-14
# Floor of means and variances that have run out of digits: far from the ends of the doubles.
TINY = 1e-200


class Cells(NamedTuple):
    """What a rule needs to know of the members, cell by cell.

    Parameters
    ----------
    count : int64[cells], persons, >= 0
    probability : float64[cells], of a case this period, 0..1
    benefit : float64[cells], yuan of a case of fraction 1, >= 0
    weight : float64[cells], >= 0, charge beside other members' (rule `table`), inside the band
        (rule `pooled_bands`)
    band : int64[cells], 0.., band of the rule `pooled_bands`
    claims : float64[cells], yuan, this period's benefits of the cell; they sum to the total
    severity : float64[severities], probability of each category of case, sums to 1
    fraction : float64[severities], >= 0, part of the benefit that a category pays
    """

    count: Int64  # type: ignore[assignment]  # the tuple's own method, which nobody needs here
    probability: Float64
    benefit: Float64
    weight: Float64
    band: Int64
    claims: Float64
    severity: Float64
    fraction: Float64


@kernel
def split_in_proportion(
    count: Int64, weight: Float64, amount: float, contribution: Float64
) -> None:
    """Split an amount in proportion to weights; equally where all who are there weigh nothing.

    Parameters
    ----------
    count : int64[cells], persons
    weight : float64[cells], >= 0; may be `contribution` itself
    amount : float64, yuan
    contribution : float64[cells], filled, yuan a member
    """
    members = 0
    total = 0.0
    for cell in range(count.size):
        members += count[cell]
        total += count[cell] * weight[cell]
    for cell in range(count.size):
        if count[cell] == 0:
            contribution[cell] = 0.0
        elif total > 0.0:
            # the share first: a product of amount and weight could leave the range of doubles
            contribution[cell] = amount * (weight[cell] / total)
        else:
            contribution[cell] = amount / members


@kernel
def set_moments(cells: Cells, mean: Float64, variance: Float64) -> None:
    """Fill in mean and variance of a member's loss.

    Variance = p b^2 (Var f + (1 - p) (E f)^2), which is exactly zero for a loss that is certain.

    Parameters
    ----------
    cells : Cells
    mean, variance : float64[cells], filled, yuan and yuan^2 a member
    """
    expected = 0.0
    for category in range(cells.severity.size):
        expected += cells.severity[category] * cells.fraction[category]
    spread = 0.0
    for category in range(cells.severity.size):
        spread += cells.severity[category] * (cells.fraction[category] - expected) ** 2
    for cell in range(cells.count.size):
        p = cells.probability[cell]
        benefit = cells.benefit[cell]
        mean[cell] = p * benefit * expected
        second = p * benefit * benefit * (spread + expected * expected)
        variance[cell] = p * benefit * benefit * (spread + (1.0 - p) * expected * expected)
        if variance[cell] <= CERTAIN * second:
            variance[cell] = 0.0


@inlined_kernel
def share_linearly(cells: Cells, total: float, contribution: Float64) -> None:
    """Charge everybody his mean and a part of the surprise S - m, in proportion to his variance.

    The best forecast of X that is linear in S. Where no loss is uncertain, the surprise is split
    equally. In a very good period it can be negative.

    Parameters
    ----------
    cells : Cells
    total : float64, yuan
    contribution : float64[cells], filled, yuan a member
    """
    mean = np.empty(cells.count.size, np.float64)
    variance = np.empty(cells.count.size, np.float64)
    set_moments(cells, mean, variance)
    expected = 0.0
    for cell in range(mean.size):
        expected += cells.count[cell] * mean[cell]
    split_in_proportion(cells.count, variance, total - expected, contribution)
    for cell in range(mean.size):
        if cells.count[cell] > 0:
            contribution[cell] += mean[cell]


@inlined_kernel
def share_with_least_variance(cells: Cells, total: float, contribution: Float64) -> None:
    """Charge by the peer-to-peer matrix that is fair and has the least variance.

    Feng, Liu and Taylor 2023, for independent members: contribution_i = S / N + (mu_i - m / N)
    T / k. Members whose loss is certain are left out of T and k; without any others the split is
    equal. It can be negative.

    Parameters
    ----------
    cells : Cells
    total : float64, yuan
    contribution : float64[cells], filled, yuan a member
    """
    mean = np.empty(cells.count.size, np.float64)
    variance = np.empty(cells.count.size, np.float64)
    set_moments(cells, mean, variance)
    members = 0
    expected = 0.0
    standing = 0.0
    scale = 0.0
    for cell in range(mean.size):
        count = cells.count[cell]
        members += count
        expected += count * mean[cell]
        if count > 0 and variance[cell] > 0.0:
            standing += cells.claims[cell] * (mean[cell] / variance[cell])
            scale += count * mean[cell] * (mean[cell] / variance[cell])
    ratio = standing / scale if scale > 0.0 else 0.0
    for cell in range(mean.size):
        contribution[cell] = 0.0
        if cells.count[cell] > 0:
            contribution[cell] = total / members + (mean[cell] - expected / members) * ratio


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


@kernel
def nearest_whole(value: float) -> int:
    """Give the whole number that a value >= 0 is but for rounding, or -1."""
    # above the limit neighbouring doubles are further apart than whole numbers
    if value >= LIMIT:
        return -1
    whole = math.floor(value + 0.5)
    return whole if abs(value - whole) <= WHOLE else -1


@inlined_kernel
def set_steps(cells: Cells, steps: Int64) -> int:
    """Fill in what each case pays on the lattice of all possible losses.

    Parameters
    ----------
    cells : Cells
    steps : int64[cells, severities], filled, units; 0 for what cannot happen

    Returns
    -------
    int64, fen, the unit: the greatest common divisor of all benefits. 0 where there are none, or
    one that is not in whole fen
    """
    unit = 0
    for cell in range(cells.count.size):
        for category in range(cells.severity.size):
            steps[cell, category] = 0
            if cells.count[cell] * cells.probability[cell] * cells.severity[category] > 0.0:
                pays = cells.benefit[cell] * cells.fraction[category] * FEN_PER_YUAN
                fen = nearest_whole(pays)
                if fen < 0:
                    return 0
                steps[cell, category] = fen
                while fen > 0:
                    unit, fen = fen, unit % fen
    if unit > 0:
        for cell in range(cells.count.size):
            for category in range(cells.severity.size):
                steps[cell, category] //= unit
    return unit


@inlined_kernel
def set_factor(
    steps: Int64, tilted: Float64, wave: Float64, frequency: int, factor: Float64
) -> None:
    """Work out a member's characteristic function at one frequency.

    Parameters
    ----------
    steps : int64[severities], units that a case of each category pays
    tilted : float64[severities], probability of each category
    wave : float64[L, 2], sine and versed sine (1 - cosine) of 2 pi r / L
    frequency : int64, 0..L-1
    factor : float64[6], filled: log modulus and angle of phi = E[e^(i w X)]; real and imaginary
        part of E[X e^(i w X)]; the same of phi / |phi|^2
    """
    missing = 0.0
    imaginary = 0.0
    mean_real = 0.0
    mean_imaginary = 0.0
    for category in range(steps.size):
        step = steps[category]
        turn = frequency * step % wave.shape[0]
        missing += tilted[category] * wave[turn, 1]
        imaginary += tilted[category] * wave[turn, 0]
        mean_real += step * tilted[category] * (1.0 - wave[turn, 1])
        mean_imaginary += step * tilted[category] * wave[turn, 0]
    real = 1.0 - missing
    square = real * real + imaginary * imaginary
    if square < ZERO:
        real, imaginary, square = math.sqrt(ZERO), 0.0, ZERO
    # with millions of members log |phi| counts to its last digit, which 1 - p would swallow
    if missing < 0.25:
        factor[0] = 0.5 * math.log1p(missing * (missing - 2.0) + imaginary * imaginary)
    else:
        factor[0] = 0.5 * math.log(square)
    factor[1] = math.atan2(imaginary, real)
    factor[2] = mean_real
    factor[3] = mean_imaginary
    factor[4] = real / square
    factor[5] = imaginary / square


@inlined_kernel
def merge_steps(count: Int64, steps: Int64, tilted: Float64, merged: Int64, decay: Float64) -> int:
    """List the steps that differ, each with the rate at which its cases damp frequencies.

    A member with cases q_v at steps k_v and none with probability q_0 has |phi|^2 <= 1 - 2 sum_v
    q_0 q_v (1 - cos(w k_v)), so that log |Phi| <= -sum n q_0 q_v (1 - cos(w k_v)).

    Parameters
    ----------
    count : int64[cells], persons
    steps : int64[cells, severities], units
    tilted : float64[cells, severities], probabilities
    merged : int64[cells * severities], filled as far as said, units
    decay : float64[cells * severities], filled as far, sum of n q_0 q_v over the cases of a step

    Returns
    -------
    int64, steps that differ
    """
    found = 0
    for cell in range(count.size):
        none = 1.0
        for category in range(steps.shape[1]):
            none -= tilted[cell, category]
        for category in range(steps.shape[1]):
            place = 0
            while place < found and merged[place] != steps[cell, category]:
                place += 1
            if place == found:
                merged[place] = steps[cell, category]
                decay[place] = 0.0
                found += 1
            decay[place] += count[cell] * max(0.0, none) * tilted[cell, category]
    return found


@inlined_kernel
def invert(
    count: Int64, steps: Int64, tilted: Float64, size: int, point: int, expected: Float64
) -> float:
    """Invert the characteristic function of S at one point of the lattice.

    With phi the characteristic function of a member and Phi that of S, the discrete Fourier
    transform of Phi at the point is P(S = point), that of Phi E[X e^(i w X)] / phi is E[X; S =
    point]. Of two conjugate frequencies one is summed.

    Parameters
    ----------
    count : int64[cells], persons
    steps : int64[cells, severities], units
    tilted : float64[cells, severities], probabilities
    size : int64, odd, L, the frequencies
    point : int64, units
    expected : float64[cells], filled, units, L E[X; S = point]

    Returns
    -------
    float64, L P(S = point)
    """
    turn = 2.0 * math.pi / size
    wave = np.empty((size, 2), np.float64)
    for place in range(size):
        wave[place, 0] = math.sin(turn * place)
        wave[place, 1] = 2.0 * math.sin(0.5 * turn * place) ** 2
    merged = np.empty(steps.size, np.int64)
    decay = np.empty(steps.size, np.float64)
    kinds = merge_steps(count, steps, tilted, merged, decay)
    factors = np.empty((count.size, 6), np.float64)
    expected[:] = 0.0
    mass = 0.0
    for frequency in range((size + 1) // 2):
        damping = 0.0
        for kind in range(kinds):
            damping += decay[kind] * wave[frequency * merged[kind] % size, 1]
        if damping > NEGLIGIBLE:
            continue
        log_modulus = 0.0
        phase = -turn * (frequency * (point % size) % size)
        for cell in range(count.size):
            set_factor(steps[cell], tilted[cell], wave, frequency, factors[cell])
            log_modulus += count[cell] * factors[cell, 0]
            phase += count[cell] * factors[cell, 1]
        modulus = math.exp(log_modulus) * (2.0 if frequency > 0 else 1.0)
        real = modulus * math.cos(phase)
        imaginary = modulus * math.sin(phase)
        mass += real
        for cell in range(count.size):
            a = factors[cell, 2] * factors[cell, 4] + factors[cell, 3] * factors[cell, 5]
            b = factors[cell, 3] * factors[cell, 4] - factors[cell, 2] * factors[cell, 5]
            expected[cell] += real * a - imaginary * b
    return mass


@kernel
def conditional_mean_by_inversion(
    cells: Cells, total: float, theta: float, contribution: Float64
) -> bool:
    """Charge everybody E[X | S = total], exactly, where losses lie on a lattice.

    The law of the losses given S is the same under every tilt, so the computation is done under
    the one given: at the saddle point the total is the mean of S, and no digits are lost however
    unlikely it was. Under theta = 0 they are lost beyond about 7 standard deviations.

    Parameters
    ----------
    cells : Cells
    total : float64, yuan
    theta : float64, per yuan
    contribution : float64[cells], filled, yuan a member

    Returns
    -------
    bool, whether the contributions hold: False where the total is not on the lattice of the
    benefits, where there would be too many frequencies, or where what came out misses the total
    """
    cell_count = cells.count.size
    steps = np.empty((cell_count, cells.severity.size), np.int64)
    tilted = np.empty((cell_count, cells.severity.size), np.float64)
    unit = set_steps(cells, steps) / FEN_PER_YUAN
    point = nearest_whole(total / unit) if unit > 0.0 else -1
    if point < 0:
        return False
    mean, variance = tilt(cells, theta, tilted, contribution)
    largest = 0.0
    most = 0.0
    for cell in range(cell_count):
        step = 0.0
        for category in range(steps.shape[1]):
            step = max(step, float(steps[cell, category]))
        largest = max(largest, step)
        most += cells.count[cell] * step
    # What lies L beyond the point is counted with it. By Bernstein's inequality, a sum of
    # independent losses of at most 1 step misses its mean by 12 sd + 30 steps with a probability
    # below exp(-t^2 / (2 sd^2 + 2 t / 3)) <= exp(-45) on either side: 1e-19, or nothing at all
    # where L covers every possible sum. A distance of the point from the mean comes on top.
    size = 12.0 * math.sqrt(variance) / unit + 30.0 * largest + abs(total - mean) / unit
    size = min(size, most)
    if size > MOST_FREQUENCIES or size * cell_count > MOST_CELL_FREQUENCIES:
        return False
    odd = 2 * int(0.5 * size) + 3
    mass = invert(cells.count, steps, tilted, odd, point, contribution)
    charged = 0.0
    for cell in range(cell_count):
        # a total that no claims add up to has no mass but rounding, and is found out below
        contribution[cell] = max(0.0, contribution[cell] / max(mass, NO_MASS) * unit)
        charged += cells.count[cell] * contribution[cell]
    if abs(charged - total) > MISS * total:
        return False
    split_in_proportion(cells.count, contribution, total, contribution)
    return True


@inlined_kernel
def share_by_conditional_mean(cells: Cells, total: float, contribution: Float64) -> None:
    """Charge everybody what he should be expected to have cost, once S is known: E[X | S].

    Exactly by inversion where that is possible, otherwise at the saddle point. A total out of the
    range of possible sums is split like the end of the range.

    Parameters
    ----------
    cells : Cells
    total : float64, yuan, >= 0
    contribution : float64[cells], filled, yuan a member
    """
    least = np.zeros(cells.count.size, np.float64)
    most = np.zeros(cells.count.size, np.float64)
    floor = 0.0
    ceiling = 0.0
    for cell in range(cells.count.size):
        if cells.probability[cell] > 0.0:
            smallest = math.inf
            for category in range(cells.severity.size):
                if cells.severity[category] > 0.0:
                    loss = cells.benefit[cell] * cells.fraction[category]
                    smallest = min(smallest, loss)
                    most[cell] = max(most[cell], loss)
            if cells.probability[cell] == 1.0:
                least[cell] = smallest
        floor += cells.count[cell] * least[cell]
        ceiling += cells.count[cell] * most[cell]
    if total >= ceiling * (1.0 - ROUNDING):
        split_in_proportion(cells.count, most, total, contribution)
    elif total <= floor * (1.0 + ROUNDING):
        split_in_proportion(cells.count, least, total, contribution)
    else:
        theta = saddle_point(cells, total)
        if not conditional_mean_by_inversion(cells, total, theta, contribution):
            conditional_mean_by_saddle_point(cells, total, theta, contribution)


@inlined_kernel
def share_between_bands(cells: Cells, quota: float, total: float, contribution: Float64) -> None:
    """Let bands keep a part of their claims and pool the rest at expected cost.

    Band k pays (1 - quota) of its own claims, and of the common pool a part m_k / m, m_k the mean
    losses of its members (its heads where all means are zero); members of a band pay by weight.
    What a band without members would pay goes to the pool.

    Parameters
    ----------
    cells : Cells
    quota : float64, 0 (every band for itself) .. 1 (one pool)
    total : float64, yuan
    contribution : float64[cells], filled, yuan a member
    """
    mean = np.empty(cells.count.size, np.float64)
    variance = np.empty(cells.count.size, np.float64)
    set_moments(cells, mean, variance)
    # by band: persons, mean losses, claims, weight
    last = 0
    for cell in range(mean.size):
        last = max(last, cells.band[cell])
    bands = np.zeros((last + 1, 4), np.float64)
    for cell in range(mean.size):
        band = cells.band[cell]
        bands[band, 0] += cells.count[cell]
        bands[band, 1] += cells.count[cell] * mean[cell]
        bands[band, 2] += cells.claims[cell]
        bands[band, 3] += cells.count[cell] * cells.weight[cell]
    members = 0.0
    expected = 0.0
    pooled = total
    for band in range(bands.shape[0]):
        members += bands[band, 0]
        expected += bands[band, 1]
        if bands[band, 0] > 0.0:
            pooled -= (1.0 - quota) * bands[band, 2]
    for cell in range(mean.size):
        contribution[cell] = 0.0
        band = cells.band[cell]
        if cells.count[cell] > 0:
            exposure = bands[band, 1] / expected if expected > 0.0 else bands[band, 0] / members
            owed = (1.0 - quota) * bands[band, 2] + pooled * exposure
            weight = bands[band, 3]
            share = cells.weight[cell] / weight if weight > 0.0 else 1.0 / bands[band, 0]
            contribution[cell] = owed * share


@kernel
def contributions(
    rule: int, cells: Cells, quota: float, total: float, contribution: Float64
) -> None:
    """Share a period's benefits by a rule.

    Parameters
    ----------
    rule : EQUAL .. POOLED_BANDS
    cells : Cells
    quota : float64, 0..1, the part that bands pool (rule POOLED_BANDS)
    total : float64, yuan, >= 0, the period's benefits
    contribution : float64[cells], filled, yuan a member; 0 in a cell without members
    """
    if rule == EQUAL:
        contribution[:] = 1.0
        split_in_proportion(cells.count, contribution, total, contribution)
    elif rule == TABLE:
        split_in_proportion(cells.count, cells.weight, total, contribution)
    elif rule == EXPECTED:
        set_moments(cells, contribution, np.empty(cells.count.size, np.float64))
        split_in_proportion(cells.count, contribution, total, contribution)
    elif rule == LINEAR:
        share_linearly(cells, total, contribution)
    elif rule == MINIMUM_VARIANCE:
        share_with_least_variance(cells, total, contribution)
    elif rule == CONDITIONAL_MEAN:
        share_by_conditional_mean(cells, total, contribution)
    else:
        share_between_bands(cells, quota, total, contribution)
