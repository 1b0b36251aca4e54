"""How many cases the members have had whose cases pay the same benefit (section 4).

Such members are a *kind*. Given the number of cases of a kind, its members differ only in their
chances of a case, whatever a case pays: so E[X | S] needs the law of these numbers and what a case
of the kind costs on average, given the number and S (`kernels.outcomes`).

The law of the losses given S is the same under every tilt; the one at the saddle point keeps all
probabilities within the range of doubles. Nothing is subtracted, so no digits are lost.
"""

import math
from typing import NamedTuple

import numpy as np

from kernels.cells import Cells
from kernels.compiling import inlined_kernel, kernel
from kernels.parameters import Float64, Int64

# A weight this small beside the largest is lost in the rounding of the sum.
NEGLIGIBLE_WEIGHT = 1e-25
# Cases beyond this many standard deviations and more are less likely than 1e-19 (Bernstein).
DEVIATIONS = 12.0
BEYOND = 30.0
# exp(700) is near the largest double.
LARGEST_EXPONENT = 700.0


class Kinds(NamedTuple):
    """Members by what their cases pay, the largest benefit first.

    Parameters
    ----------
    member_cells : int64[A], cells with members who can have a loss
    kind : int64[A], the kind of each, 0 .. K-1
    benefit : float64[K], yuan of a case of fraction 1
    most : int64[K], cases that the kind can have had
    odds : float64[A], of a case, under the tilt; inf for a certain one
    severity : float64[K, V], probability of each category of a case, under the tilt
    """

    member_cells: Int64
    kind: Int64
    benefit: Float64
    most: Int64
    odds: Float64
    severity: Float64


class CaseCounts(NamedTuple):
    """Probabilities of numbers of cases: of a kind, of a cell, of the cells of the kind before it.

    Parameters
    ----------
    law : float64[K, M], of the kind
    before : float64[A, M], of the cells of the kind before this one
    weight : float64[A, M], of the cell
    last : int64[A], the largest number of cases of the cell, -1 where there is none
    """

    law: Float64
    before: Float64
    weight: Float64
    last: Int64


@inlined_kernel
def find_kinds(cells: Cells) -> Kinds:
    """List who can have a loss, and the benefits that differ; most, odds, severity are not set."""
    size = cells.count.size
    member_cells = np.empty(size, np.int64)
    benefit = np.empty(size, np.float64)
    members = 0
    kinds = 0
    for cell in range(size):
        pays = cells.benefit[cell]
        if cells.count[cell] * cells.probability[cell] * pays <= 0.0:
            continue
        member_cells[members] = cell
        members += 1
        rank = 0
        while rank < kinds and benefit[rank] > pays:
            rank += 1
        if rank == kinds or benefit[rank] != pays:
            for later in range(kinds, rank, -1):
                benefit[later] = benefit[later - 1]
            benefit[rank] = pays
            kinds += 1
    kind = np.empty(members, np.int64)
    for slot in range(members):
        rank = 0
        while benefit[rank] != cells.benefit[member_cells[slot]]:
            rank += 1
        kind[slot] = rank
    return Kinds(
        member_cells[:members],
        kind,
        benefit[:kinds],
        np.zeros(kinds, np.int64),
        np.zeros(members, np.float64),
        np.zeros((kinds, cells.severity.size), np.float64),
    )


@inlined_kernel
def tilt_kinds(cells: Cells, kinds: Kinds, theta: float) -> None:
    """Fill in odds and severities under the tilt; a category that pays nothing is no case.

    Parameters
    ----------
    cells : Cells
    kinds : Kinds, `odds` and `severity` filled
    theta : float64, per yuan
    """
    harmless = 0.0
    for category in range(cells.severity.size):
        if cells.fraction[category] <= 0.0:
            harmless += cells.severity[category]
    shift = np.empty(kinds.benefit.size, np.float64)
    norm = np.empty(kinds.benefit.size, np.float64)
    for kind in range(kinds.benefit.size):
        rate = theta * kinds.benefit[kind]
        shift[kind] = -math.inf
        for category in range(cells.severity.size):
            if cells.severity[category] * cells.fraction[category] > 0.0:
                shift[kind] = max(shift[kind], rate * cells.fraction[category])
        norm[kind] = 0.0
        for category in range(cells.severity.size):
            if cells.severity[category] * cells.fraction[category] > 0.0:
                tilted = math.exp(rate * cells.fraction[category] - shift[kind])
                kinds.severity[kind, category] = cells.severity[category] * tilted
                norm[kind] += kinds.severity[kind, category]
        for category in range(cells.severity.size):
            kinds.severity[kind, category] /= norm[kind]
    for slot in range(kinds.kind.size):
        kind = kinds.kind[slot]
        p = cells.probability[kinds.member_cells[slot]]
        none = (1.0 - p) + p * harmless
        if none <= 0.0:
            kinds.odds[slot] = math.inf
        else:
            exponent = math.log(p / none * norm[kind]) + shift[kind]
            kinds.odds[slot] = math.exp(min(exponent, LARGEST_EXPONENT))


@inlined_kernel
def bound_cases(cells: Cells, kinds: Kinds, limit: float) -> tuple[float, float]:
    """Fill in how many cases each kind can have had; give their mean and the work of counting.

    Parameters
    ----------
    cells : Cells
    kinds : Kinds, `most` filled
    limit : float64, yuan, the largest total that counts as the total

    Returns
    -------
    (cases, steps) : float64, cases of all kinds under the tilt, on average; steps of adding up the
        cases of all cells
    """
    smallest = math.inf
    for category in range(cells.severity.size):
        if cells.severity[category] * cells.fraction[category] > 0.0:
            smallest = min(smallest, cells.fraction[category])
    mean = np.zeros(kinds.benefit.size, np.float64)
    members = np.zeros(kinds.benefit.size, np.float64)
    reach = np.empty(kinds.kind.size, np.float64)
    for slot in range(kinds.kind.size):
        count = float(cells.count[kinds.member_cells[slot]])
        odds = kinds.odds[slot]
        expected = count if odds == math.inf else count * odds / (1.0 + odds)
        reach[slot] = min(count, expected + DEVIATIONS * math.sqrt(expected) + BEYOND)
        mean[kinds.kind[slot]] += expected
        members[kinds.kind[slot]] += count
    cases = 0.0
    for kind in range(kinds.benefit.size):
        cases += mean[kind]
        likely = mean[kind] + DEVIATIONS * math.sqrt(mean[kind]) + BEYOND
        possible = min(members[kind], limit / (smallest * kinds.benefit[kind]))
        kinds.most[kind] = int(min(possible, likely))
    steps = 0.0
    for slot in range(kinds.kind.size):
        most = float(kinds.most[kinds.kind[slot]])
        steps += (most + 1.0) * (min(most, reach[slot]) + 1.0)
    return cases, steps


@kernel
def set_case_weights(count: int, odds: float, weight: Float64) -> int:
    """Fill in the binomial law of the cases of a cell, as far as there is room, with sum 1.

    Parameters
    ----------
    count : int64, persons, >= 1
    odds : float64, p / (1 - p); inf for certain cases
    weight : float64[cases], filled; the law given that there are not more cases than it has room
        for

    Returns
    -------
    int64, the largest number of cases whose weight is not 0; -1 where there is none
    """
    weight[:] = 0.0
    most = min(count, weight.size - 1)
    if odds == math.inf:
        if count > most:
            return -1
        weight[count] = 1.0
        return count
    mode = min(int((count + 1.0) * (odds / (1.0 + odds))), most)
    weight[mode] = 1.0
    total = 1.0
    last = mode
    while last < most and weight[last] > NEGLIGIBLE_WEIGHT:
        weight[last + 1] = weight[last] * odds * (count - last) / (last + 1.0)
        last += 1
        total += weight[last]
    lower = mode
    while lower > 0 and weight[lower] > NEGLIGIBLE_WEIGHT:
        weight[lower - 1] = weight[lower] * lower / (odds * (count - lower + 1.0))
        lower -= 1
        total += weight[lower]
    for cases in range(last + 1):
        weight[cases] /= total
    return last


@inlined_kernel
def count_cases(cells: Cells, kinds: Kinds, counts: CaseCounts) -> None:
    """Add up the cases of the cells of each kind.

    Parameters
    ----------
    cells : Cells
    kinds : Kinds
    counts : CaseCounts, filled
    """
    law = counts.law
    law[:] = 0.0
    law[:, 0] = 1.0
    for slot in range(kinds.kind.size):
        kind = kinds.kind[slot]
        most = kinds.most[kind]
        weight = counts.weight[slot, : most + 1]
        last = set_case_weights(cells.count[kinds.member_cells[slot]], kinds.odds[slot], weight)
        counts.last[slot] = last
        for cases in range(most + 1):
            counts.before[slot, cases] = law[kind, cases]
        for cases in range(most, -1, -1):
            total = 0.0
            for own in range(min(cases, last) + 1):
                total += weight[own] * counts.before[slot, cases - own]
            law[kind, cases] = total


@kernel
def charge_by_cases(
    cells: Cells,
    kinds: Kinds,
    counts: CaseCounts,
    burden: Float64,
    mass: float,
    contribution: Float64,
) -> None:
    """Charge every member their expected number of cases at what a case costs, given S.

    Cell by cell backwards, `burden` is carried from the cases of a kind to those of the cells
    before; what is left of it at no cases at all is never looked at.

    Parameters
    ----------
    cells : Cells
    kinds : Kinds
    counts : CaseCounts
    burden : float64[K, M], yuan that a case costs on average, times the probability of that many
        cases of the kind and of S; changed
    mass : float64, > 0, probability of S
    contribution : float64[cells], filled, yuan a member
    """
    contribution[:] = 0.0
    for kind in range(kinds.benefit.size):
        for cases in range(kinds.most[kind] + 1):
            if counts.law[kind, cases] > 0.0:
                burden[kind, cases] /= counts.law[kind, cases]
    for slot in range(kinds.kind.size - 1, -1, -1):
        kind = kinds.kind[slot]
        most = kinds.most[kind]
        charge = 0.0
        for earlier in range(most + 1):
            expected = 0.0
            carried = 0.0
            for own in range(min(counts.last[slot], most - earlier) + 1):
                part = counts.weight[slot, own] * burden[kind, earlier + own]
                expected += own * part
                carried += part
            charge += counts.before[slot, earlier] * expected
            burden[kind, earlier] = carried
        cell = kinds.member_cells[slot]
        contribution[cell] = charge / (mass * cells.count[cell])
