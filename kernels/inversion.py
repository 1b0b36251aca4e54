"""E[X | S] on the lattice of all possible losses, by Fourier inversion at one point (section 4)."""

import math

import numpy as np

from kernels.cells import Cells, split_in_proportion
from kernels.compiling import inlined_kernel, kernel
from kernels.parameters import Float64, Int64
from kernels.saddle_point import tilt

FEN_PER_YUAN = 100.0
# What counts as whole: an amount this close to a number of fen, or of lattice units.
WHOLE = 1e-6
LIMIT = 2.0**53

# The inversion costs some 50 ns a cell and frequency; these keep it below some 15 ms.
MOST_CELL_FREQUENCIES = 2**18
MOST_FREQUENCIES = 2**16
# exp(-46) = 1e-20: a frequency that adds less cannot be told from the rounding of the others.
# Half a unit more, for the one member whose factor is divided out.
NEGLIGIBLE = 46.5
# Squared modulus given to a zero of a characteristic function, so that it can be divided out.
ZERO = 1e-60
# How far the contributions may miss the total, relative to it, before they are rejected.
MISS = 1e-9
NO_MASS = 1e-30
# A characteristic function is below exp(-46) beyond so many radians over the standard deviation,
# where the law is a smooth hump; what it has there, relative to the hump, is how far it is not.
HUMP = 9.6
SIDE_LOBES = 1e-4


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


@kernel
def is_smooth(cells: Cells, total: float, theta: float) -> bool:
    """Whether the law of S is one smooth hump on a lattice that the total is on.

    Between neighbouring points of the lattice the law, and E[X | S] with it, then changes little,
    as it does where claims are many and benefits have a large common divisor. The saddle point
    is near both.

    Parameters
    ----------
    cells : Cells
    total : float64, yuan
    theta : float64, per yuan, of `saddle_point`
    """
    steps = np.empty((cells.count.size, cells.severity.size), np.int64)
    tilted = np.empty((cells.count.size, cells.severity.size), np.float64)
    mean = np.empty(cells.count.size, np.float64)
    unit = set_steps(cells, steps) / FEN_PER_YUAN
    if unit == 0.0 or nearest_whole(total / unit) < 0:
        return False
    _, variance = tilt(cells, theta, tilted, mean)
    merged = np.empty(steps.size, np.int64)
    decay = np.empty(steps.size, np.float64)
    sorts = merge_steps(cells.count, steps, tilted, merged, decay)
    largest = 0
    for sort in range(sorts):
        largest = max(largest, merged[sort])
    deviation = math.sqrt(variance) / unit
    size = 12.0 * deviation + 30.0 * largest
    if size > MOST_FREQUENCIES:
        return False
    frequencies = 2 * int(0.5 * size) + 3
    turn = 2.0 * math.pi / frequencies
    hump = 0.5
    lobes = 0.0
    for frequency in range(1, (frequencies + 1) // 2):
        damping = 0.0
        for sort in range(sorts):
            half = 0.5 * turn * (frequency * merged[sort] % frequencies)
            damping += decay[sort] * 2.0 * math.sin(half) ** 2
        if turn * frequency * deviation <= HUMP:
            hump += math.exp(-damping)
        else:
            lobes += math.exp(-damping)
    return lobes <= SIDE_LOBES * hump
