"""The sharing rule `conditional_mean`: every member pays E[X | S] (section 4).

S is the sum of the losses X of all members. Source: Denuit and Dhaene 2012, "Convex order and
comonotonic conditional mean risk sharing".

The methods, in the order in which they are tried:

    inversion    exact: benefits on a lattice that has few enough points for the number of cells
    counts       exact: all numbers of cases that add up to S, whatever the benefits
    lattice      counts again, losses moved to a lattice: bills near S stand for S
    saddle point an approximation for many cases, of a relative error of about 1 / cases^2; it comes
                 before counts where the law of S is smooth
"""

import math

import numpy as np

from kernels.cells import Cells, split_in_proportion
from kernels.claim_counts import (
    CaseCounts,
    Kinds,
    bound_cases,
    charge_by_cases,
    count_cases,
    find_kinds,
    tilt_kinds,
)
from kernels.compiling import inlined_kernel, kernel
from kernels.inversion import (
    FEN_PER_YUAN,
    conditional_mean_by_inversion,
    is_smooth,
    set_steps,
)
from kernels.outcomes import (
    MOST_OUTCOMES,
    Outcomes,
    count_outcomes,
    enumerate_outcomes,
    match_on_lattice,
    set_outcomes,
)
from kernels.parameters import Float64
from kernels.saddle_point import TINY, conditional_mean_by_saddle_point, saddle_point, tilt

EXACT = 0
LATTICE = 1
SADDLE_POINT = 2
# Totals that no losses add up to: more or less than there can be, or between possible ones.
ABOVE = 3
BELOW = 4
BETWEEN = 5

# A total this close to the least or the largest possible loss is that loss.
ROUNDING = 1e-12
# Bills are rounded to the fen: sums of losses this close to the total, in yuan, are the total.
HALF_FEN = 0.005
# Where the smallest case pays little, only sums within this part of what it pays.
PART_OF_CASE = 0.25

# From so many cases on, where the law of S is smooth, the saddle point is near enough, and cheap.
MANY_CASES = 32.0
# Limits of the work for one total: some 20 ms each.
MOST_COUNTS = 2**20
MOST_STEPS = 2**23
MOST_MOVES = 2**24
MOST_POINTS = 2**14
# An outcome is moved to two points, forward, backward, and once more to add up.
MOVES = 6


@inlined_kernel
def smallest_case(cells: Cells, kinds: Kinds) -> float:
    """Give the least that a case pays, yuan."""
    smallest = math.inf
    for category in range(cells.severity.size):
        if cells.severity[category] * cells.fraction[category] > 0.0:
            smallest = min(smallest, cells.fraction[category] * kinds.benefit[-1])
    return smallest


@inlined_kernel
def match_total(
    cells: Cells, kinds: Kinds, law: Float64, bill: tuple[float, float], burden: Float64
) -> tuple[int, float]:
    """Go through all outcomes that add up to the total; on a lattice where they are too many.

    Parameters
    ----------
    cells : Cells
    kinds : Kinds
    law : float64[K, M], probability of each number of cases
    bill : yuan, the total; how far a sum may be from it
    burden : float64[K, M], filled by `enumerate_outcomes` or `match_on_lattice`

    Returns
    -------
    (method, mass) : EXACT, LATTICE, or SADDLE_POINT where both are too much work; probability of
        the total
    """
    total, tolerance = bill
    first = np.zeros(kinds.benefit.size + 1, np.int64)
    number = count_outcomes(kinds, first)
    if number > MOST_OUTCOMES:
        return SADDLE_POINT, 0.0
    outcomes = Outcomes(
        first,
        np.empty(first[-1], np.int64),
        np.empty(first[-1], np.float64),
        np.empty(first[-1], np.float64),
    )
    set_outcomes(cells, kinds, law, outcomes)
    mass = enumerate_outcomes(outcomes, total, tolerance, burden)
    if mass >= 0.0:
        return EXACT, mass
    points = int(min(MOST_POINTS, MOST_MOVES / (MOVES * number)))
    return LATTICE, match_on_lattice(outcomes, total, points, burden)


@kernel
def conditional_mean_by_counts(
    cells: Cells, total: float, theta: float, contribution: Float64
) -> int:
    """Charge everybody E[X | S = total] from the numbers of cases that add up to the total.

    Parameters
    ----------
    cells : Cells
    total : float64, yuan, between the least and the largest possible sum of losses
    theta : float64, per yuan, of `saddle_point`
    contribution : float64[cells], filled by the methods EXACT and LATTICE, yuan a member

    Returns
    -------
    EXACT; LATTICE; BETWEEN where no losses add up to the total; SADDLE_POINT where that is near
    enough, or all this would be too much work
    """
    kinds = find_kinds(cells)
    tilt_kinds(cells, kinds, theta)
    tolerance = min(HALF_FEN, PART_OF_CASE * smallest_case(cells, kinds)) + ROUNDING * total
    cases, steps = bound_cases(cells, kinds, total + tolerance)
    size = 1
    for most in kinds.most:
        size = max(size, most + 1)
    if steps > MOST_STEPS or kinds.kind.size * size > MOST_COUNTS:
        return SADDLE_POINT
    if cases >= MANY_CASES and is_smooth(cells, total, theta):
        return SADDLE_POINT
    counts = CaseCounts(
        np.empty((kinds.benefit.size, size), np.float64),
        np.empty((kinds.kind.size, size), np.float64),
        np.empty((kinds.kind.size, size), np.float64),
        np.empty(kinds.kind.size, np.int64),
    )
    count_cases(cells, kinds, counts)
    burden = np.empty((kinds.benefit.size, size), np.float64)
    method, mass = match_total(cells, kinds, counts.law, (total, tolerance), burden)
    if method == SADDLE_POINT:
        return SADDLE_POINT
    if mass <= 0.0:
        return BETWEEN
    charge_by_cases(cells, kinds, counts, burden, mass, contribution)
    split_in_proportion(cells.count, contribution, total, contribution)
    return method


@inlined_kernel
def set_extremes(cells: Cells, least: Float64, most: Float64) -> tuple[float, float]:
    """Fill in the least and the largest possible loss of a member, and give the sums over all.

    Parameters
    ----------
    cells : Cells
    least, most : float64[cells], filled, yuan a member

    Returns
    -------
    (floor, ceiling) : float64, yuan
    """
    floor = 0.0
    ceiling = 0.0
    for cell in range(cells.count.size):
        least[cell] = 0.0
        most[cell] = 0.0
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
    return floor, ceiling


@kernel
def share_by_conditional_mean(cells: Cells, total: float, contribution: Float64) -> int:
    """Charge every member their expected cost once S is known: E[X | S].

    A total outside the range of possible sums is split like the end of the range; one between
    possible sums is shared at the saddle point.

    Parameters
    ----------
    cells : Cells
    total : float64, yuan, >= 0
    contribution : float64[cells], filled, yuan a member

    Returns
    -------
    EXACT .. BETWEEN, the method that answered, or why there is no answer
    """
    least = np.empty(cells.count.size, np.float64)
    most = np.empty(cells.count.size, np.float64)
    floor, ceiling = set_extremes(cells, least, most)
    if total >= ceiling * (1.0 - ROUNDING):
        split_in_proportion(cells.count, most, total, contribution)
        return ABOVE if total > ceiling + HALF_FEN else EXACT
    if total <= floor * (1.0 + ROUNDING):
        split_in_proportion(cells.count, least, total, contribution)
        return BELOW if total < floor - HALF_FEN else EXACT
    theta = saddle_point(cells, total)
    if conditional_mean_by_inversion(cells, total, theta, contribution):
        return EXACT
    method = conditional_mean_by_counts(cells, total, theta, contribution)
    if method in (SADDLE_POINT, BETWEEN):
        conditional_mean_by_saddle_point(cells, total, theta, contribution)
    return method


@inlined_kernel
def likely_losses(cells: Cells, kinds: Kinds, tilted: Float64, losses: Float64) -> float:
    """Estimate how many losses of the kinds are likely, as if all of these were equally so.

    A kind with lambda cases of a category has about sqrt(1 + 4 lambda) likely numbers of them, and
    not more losses than there are steps of its own amounts within 2 sqrt(pi) standard deviations.

    Parameters
    ----------
    cells : Cells
    kinds : Kinds, `severity` is changed
    tilted : float64[cells, severities], of `tilt`
    losses : float64[K, 2], filled, yuan and yuan^2, mean and variance of the losses of each kind

    Returns
    -------
    float64, logarithm of the number
    """
    cases = kinds.severity
    unit = np.zeros(kinds.benefit.size, np.int64)
    steps = np.empty((cells.count.size, cells.severity.size), np.int64)
    common = set_steps(cells, steps)
    losses[:] = 0.0
    for slot in range(kinds.kind.size):
        cell, kind = kinds.member_cells[slot], kinds.kind[slot]
        mean = 0.0
        square = 0.0
        for category in range(cells.severity.size):
            pays = cells.benefit[cell] * cells.fraction[category]
            cases[kind, category] += cells.count[cell] * tilted[cell, category]
            mean += tilted[cell, category] * pays
            square += tilted[cell, category] * pays * pays
            step = steps[cell, category]
            while step > 0:
                unit[kind], step = step, unit[kind] % step
        losses[kind, 0] += cells.count[cell] * mean
        losses[kind, 1] += cells.count[cell] * max(0.0, square - mean * mean)
    likely = 0.0
    for kind in range(kinds.benefit.size):
        numbers = 0.0
        for category in range(cells.severity.size):
            numbers += 0.5 * math.log1p(4.0 * cases[kind, category])
        yuan = max(1, unit[kind] * common) / FEN_PER_YUAN
        spread = 2.0 * math.sqrt(math.pi * losses[kind, 1]) / yuan
        likely += min(numbers, math.log1p(spread))
    return likely


@kernel
def largest_error(cells: Cells, total: float, method: int, contribution: Float64) -> float:
    """Estimate how far the charges of an approximation may be from E[X | S = total], at most.

    An approximation takes all bills near the total together. Which kinds had the cases may still
    depend on the exact fen of the total, the more so the fewer losses of the kinds add up to it: if
    n do, the loss L of a kind, given S, is known to about sd(L) / sqrt(n) from the bills nearby.
    All likely losses together spread over 2 sqrt(pi) standard deviations of S. Nothing of it is
    left where the law of S is smooth. The saddle point adds a relative 1 / cases^2.

    Parameters
    ----------
    cells : Cells
    total : float64, yuan, between the least and the largest possible sum of losses
    method : LATTICE or SADDLE_POINT
    contribution : float64[cells], yuan a member

    Returns
    -------
    float64, yuan a member: two standard deviations, for the member with the largest
    """
    kinds = find_kinds(cells)
    tilted = np.empty((cells.count.size, cells.severity.size), np.float64)
    mean = np.empty(cells.count.size, np.float64)
    theta = saddle_point(cells, total)
    _, variance = tilt(cells, theta, tilted, mean)
    losses = np.empty((kinds.benefit.size, 2), np.float64)
    likely = likely_losses(cells, kinds, tilted, losses)
    steps = np.empty((cells.count.size, cells.severity.size), np.int64)
    unit = max(1, set_steps(cells, steps)) / FEN_PER_YUAN
    matching = math.exp(likely) * unit / (2.0 * math.sqrt(math.pi * variance))
    if is_smooth(cells, total, theta):
        matching = math.inf
    cases = 0.0
    for number in kinds.severity.reshape(-1):
        cases += number
    error = 0.0
    for slot in range(kinds.kind.size):
        expected, own = losses[kinds.kind[slot]]
        known = own * max(0.0, 1.0 - own / variance) / max(1.0, matching)
        relative = 2.0 * math.sqrt(known) / max(expected, TINY)
        if method == SADDLE_POINT:
            relative += 1.0 / (cases * cases)
        error = max(error, contribution[kinds.member_cells[slot]] * relative)
    return error
