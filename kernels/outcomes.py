"""What the cases of each kind can cost, and which of it adds up to S (section 4).

An *outcome* is a number of cases of each category in one kind: what they cost, and how likely they
are. `enumerate_outcomes` goes through all that add up to S. Where these are too many,
`match_on_lattice` moves losses to a lattice, so that bills near S stand for S.
"""

import math
from typing import NamedTuple

import numpy as np

from kernels.cells import Cells
from kernels.claim_counts import Kinds
from kernels.compiling import inlined_kernel, kernel
from kernels.parameters import Float64, Int64

# Beyond these an enumeration takes more than some 20 ms.
MOST_OUTCOMES = 2**14
MOST_SUMS = 2**18
MOST_VISITS = 2**22
# A loss this close to a point of the lattice, relative to it, is on it.
ON_POINT = 1e-9


class Outcomes(NamedTuple):
    """What the cases of each kind can cost.

    Parameters
    ----------
    first : int64[K + 1], the first outcome of each kind, and their number
    cases : int64[O], cases of the kind
    loss : float64[O], yuan
    chance : float64[O], probability, up to a factor of the kind
    """

    first: Int64
    cases: Int64
    loss: Float64
    chance: Float64


class Sums(NamedTuple):
    """Sums of the outcomes of some kinds, level by level: one more kind on each.

    Parameters
    ----------
    level : int64[kinds + 2], the first sum of each level; level 0 is the empty sum
    loss : float64[room], yuan
    chance : float64[room], probability
    parent : int64[room], the sum of the level before that it came from
    outcome : int64[room], the outcome that was added to it
    weight : float64[room], probability of it and the total
    """

    level: Int64
    loss: Float64
    chance: Float64
    parent: Int64
    outcome: Int64
    weight: Float64


@inlined_kernel
def count_outcomes(kinds: Kinds, first: Int64) -> float:
    """Fill in where the outcomes of each kind begin, and give their number.

    Of at most m cases in v categories there are (m + v) over v outcomes.

    Parameters
    ----------
    kinds : Kinds
    first : int64[K + 1], filled as far as there are not more than `MOST_OUTCOMES`
    """
    total = 0.0
    for kind in range(kinds.benefit.size):
        first[kind] = int(total)
        number = 1.0
        categories = 0.0
        for category in range(kinds.severity.shape[1]):
            if kinds.severity[kind, category] > 0.0:
                categories += 1.0
                number *= (kinds.most[kind] + categories) / categories
        total = min(total + math.floor(number + 0.5), 2.0 * MOST_OUTCOMES)
    first[-1] = int(total)
    return total


@inlined_kernel
def set_outcomes(cells: Cells, kinds: Kinds, law: Float64, outcomes: Outcomes) -> None:
    """Fill in the outcomes of each kind.

    Parameters
    ----------
    cells : Cells
    kinds : Kinds
    law : float64[K, most + 1], of `count_cases`
    outcomes : Outcomes, filled but for `first`
    """
    categories = kinds.severity.shape[1]
    number = np.empty(categories, np.int64)
    for kind in range(kinds.benefit.size):
        number[:] = 0
        for outcome in range(outcomes.first[kind], outcomes.first[kind + 1]):
            cases = 0
            loss = 0.0
            chance = 0.0
            for category in range(categories):
                here = number[category]
                cases += here
                loss += here * (kinds.benefit[kind] * cells.fraction[category])
                if here > 0:
                    chance += here * math.log(kinds.severity[kind, category])
                    chance -= math.lgamma(here + 1.0)
            outcomes.cases[outcome] = cases
            outcomes.loss[outcome] = loss
            outcomes.chance[outcome] = law[kind, cases] * math.exp(
                chance + math.lgamma(cases + 1.0)
            )
            # the next numbers of cases: count up, and carry where there would be too many
            category = 0
            while category < categories:
                if kinds.severity[kind, category] > 0.0:
                    if cases < kinds.most[kind]:
                        number[category] += 1
                        break
                    cases -= number[category]
                    number[category] = 0
                category += 1


@inlined_kernel
def set_reach(outcomes: Outcomes, reach: Float64) -> None:
    """Fill in the largest loss of each kind and all after it: float64[K + 1], yuan."""
    reach[-1] = 0.0
    for kind in range(reach.size - 2, -1, -1):
        largest = 0.0
        for outcome in range(outcomes.first[kind], outcomes.first[kind + 1]):
            largest = max(largest, outcomes.loss[outcome])
        reach[kind] = reach[kind + 1] + largest


@inlined_kernel
def middle_kind(outcomes: Outcomes) -> int:
    """Give the first kind of the second half, so that both halves have about as many sums."""
    kinds = outcomes.first.size - 1
    total = 0.0
    for kind in range(kinds):
        total += math.log(outcomes.first[kind + 1] - outcomes.first[kind])
    half = 0.0
    middle = 0
    while middle < kinds and half < 0.5 * total:
        half += math.log(outcomes.first[middle + 1] - outcomes.first[middle])
        middle += 1
    return middle


@kernel
def grow_sums(outcomes: Outcomes, start: int, low: Float64, high: float, sums: Sums) -> int:
    """List the sums of the outcomes of one kind after the other, with all that led to them.

    Parameters
    ----------
    outcomes : Outcomes
    start : int64, the first kind
    low : float64[kinds of the half + 1], yuan, the smallest sum that is of use after so many kinds
    high : float64, yuan, the largest
    sums : Sums, filled

    Returns
    -------
    int64, sums listed; -1 where there is no room for them
    """
    sums.level[0] = 0
    sums.level[1] = 1
    sums.loss[0] = 0.0
    sums.chance[0] = 1.0
    sums.parent[0] = -1
    found = 1
    for depth in range(low.size - 1):
        kind = start + depth
        for parent in range(sums.level[depth], sums.level[depth + 1]):
            for outcome in range(outcomes.first[kind], outcomes.first[kind + 1]):
                loss = sums.loss[parent] + outcomes.loss[outcome]
                chance = sums.chance[parent] * outcomes.chance[outcome]
                if loss > high or loss < low[depth + 1] or chance == 0.0:
                    continue
                if found == sums.loss.size:
                    return -1
                sums.loss[found] = loss
                sums.chance[found] = chance
                sums.parent[found] = parent
                sums.outcome[found] = outcome
                found += 1
        sums.level[depth + 2] = found
    return found


@kernel
def sort_order(value: Float64) -> Int64:
    """Give the order that sorts values, by merging ever longer runs: int64[size]."""
    size = value.size
    order = np.arange(size)
    merged = np.empty(size, np.int64)
    run = 1
    while run < size:
        for start in range(0, size, 2 * run):
            left = start
            right = min(start + run, size)
            middle = right
            end = min(start + 2 * run, size)
            for target in range(start, end):
                if left < middle and (right == end or value[order[left]] <= value[order[right]]):
                    merged[target] = order[left]
                    left += 1
                else:
                    merged[target] = order[right]
                    right += 1
        order, merged = merged, order
        run *= 2
    return order


@kernel
def match_sums(first: Sums, second: Sums, bill: tuple[float, float], most_visits: int) -> float:
    """Weigh the sums of one half with those of the other that make up the total with them.

    Parameters
    ----------
    first, second : Sums, `weight` filled
    bill : yuan, the total; how far a sum may be from it
    most_visits : int64, pairs to go through at most

    Returns
    -------
    float64, probability of the total; -1 where there is too much to go through
    """
    total, tolerance = bill
    a, a_end = first.level[-2], first.level[-1]
    b, b_end = second.level[-2], second.level[-1]
    upward = sort_order(first.loss[a:a_end])
    downward = sort_order(second.loss[b:b_end])[::-1]
    first.weight[:a_end] = 0.0
    second.weight[:b_end] = 0.0
    mass = 0.0
    visits = 0
    begin = 0
    for one in upward:
        # the partners of a larger sum are smaller: what is too large now stays so
        wanted = total - first.loss[a + one]
        while begin < downward.size and second.loss[b + downward[begin]] > wanted + tolerance:
            begin += 1
        other = begin
        while other < downward.size and second.loss[b + downward[other]] >= wanted - tolerance:
            partner = b + downward[other]
            joint = first.chance[a + one] * second.chance[partner]
            first.weight[a + one] += joint
            second.weight[partner] += joint
            mass += joint
            other += 1
            visits += 1
            if visits > most_visits:
                return -1.0
    return mass


@inlined_kernel
def trace_sums(outcomes: Outcomes, start: int, sums: Sums, burden: Float64) -> None:
    """Add to the burden what led to the sums that matched, from the last kind to the first."""
    for depth in range(sums.level.size - 2, 0, -1):
        kind = start + depth - 1
        for place in range(sums.level[depth], sums.level[depth + 1]):
            outcome = sums.outcome[place]
            cases = outcomes.cases[outcome]
            if cases > 0:
                burden[kind, cases] += sums.weight[place] * outcomes.loss[outcome] / cases
            sums.weight[sums.parent[place]] += sums.weight[place]


@inlined_kernel
def make_sums(kinds: int) -> Sums:
    """Make room for the sums of so many kinds."""
    return Sums(
        np.zeros(kinds + 2, np.int64),
        np.empty(MOST_SUMS, np.float64),
        np.empty(MOST_SUMS, np.float64),
        np.empty(MOST_SUMS, np.int64),
        np.empty(MOST_SUMS, np.int64),
        np.empty(MOST_SUMS, np.float64),
    )


@kernel
def enumerate_outcomes(
    outcomes: Outcomes, total: float, tolerance: float, burden: Float64
) -> float:
    """Go through all outcomes that add up to the total: the sums of two halves of the kinds meet.

    Parameters
    ----------
    outcomes : Outcomes
    total : float64, yuan
    tolerance : float64, yuan, how far a sum may be from the total
    burden : float64[K, M], filled, by kind and number of cases: yuan that a case costs on average,
        times the probability of that many cases and of the total

    Returns
    -------
    float64, probability of the total; -1 where there is too much to go through
    """
    kinds = outcomes.first.size - 1
    reach = np.empty(kinds + 1, np.float64)
    set_reach(outcomes, reach)
    middle = middle_kind(outcomes)
    first = make_sums(middle)
    second = make_sums(kinds - middle)
    high = total + tolerance
    found = grow_sums(outcomes, 0, total - tolerance - reach[: middle + 1], high, first)
    low = total - tolerance - reach[0] + reach[middle] - reach[middle:]
    if found < 0 or grow_sums(outcomes, middle, low, high, second) < 0:
        return -1.0
    mass = match_sums(first, second, (total, tolerance), MOST_VISITS)
    burden[:] = 0.0
    if mass > 0.0:
        trace_sums(outcomes, 0, first, burden)
        trace_sums(outcomes, middle, second, burden)
    return mass


@inlined_kernel
def move(outcomes: Outcomes, outcome: int, step: float) -> tuple[int, float]:
    """Give the lattice point below an outcome's loss, and the part that goes to the next one.

    The two points have the loss as their mean. A loss of whole steps stays where it is.
    """
    steps = outcomes.loss[outcome] / step
    point = math.floor(steps + 0.5)
    if abs(steps - point) > ON_POINT * (1.0 + point):
        point = math.floor(steps)
        return point, steps - point
    return point, 0.0


@kernel
def match_on_lattice(outcomes: Outcomes, total: float, points: int, burden: Float64) -> float:
    """Go through all outcomes whose losses, moved to a lattice, add up to the total.

    The lattice divides the total into equal steps. A loss between two points is moved to either,
    with the loss as the mean, so that the sum keeps its mean; its variance grows by at most a
    quarter of a squared step for each kind with cases.

    Parameters
    ----------
    outcomes : Outcomes
    total : float64, yuan, > 0
    points : int64, steps of the lattice up to the total
    burden : float64[K, most + 1], filled as by `enumerate_outcomes`

    Returns
    -------
    float64, probability of the total on the lattice
    """
    kinds = outcomes.first.size - 1
    step = total / points
    # one point more than the total, for what is moved beyond it
    after = np.zeros((kinds + 1, points + 2), np.float64)
    after[kinds, points] = 1.0
    for kind in range(kinds - 1, -1, -1):
        for outcome in range(outcomes.first[kind], outcomes.first[kind + 1]):
            point, part = move(outcomes, outcome, step)
            room = max(0, points + 1 - point)
            chance = outcomes.chance[outcome]
            low = after[kind + 1, point : point + room]
            high = after[kind + 1, point + 1 : point + 1 + room]
            after[kind, :room] += chance * ((1.0 - part) * low + part * high)
    burden[:] = 0.0
    before = np.zeros(points + 2, np.float64)
    before[0] = 1.0
    for kind in range(kinds):
        reached = np.zeros(points + 2, np.float64)
        for outcome in range(outcomes.first[kind], outcomes.first[kind + 1]):
            point, part = move(outcomes, outcome, step)
            room = max(0, points + 1 - point)
            chance = outcomes.chance[outcome]
            come = chance * before[:room]
            reached[point : point + room] += (1.0 - part) * come
            reached[point + 1 : point + 1 + room] += part * come
            low = after[kind + 1, point : point + room]
            high = after[kind + 1, point + 1 : point + 1 + room]
            cases = outcomes.cases[outcome]
            if cases > 0:
                mass = np.sum(come * ((1.0 - part) * low + part * high))
                burden[kind, cases] += mass * outcomes.loss[outcome] / cases
        before = reached
    return float(after[0, 0])
