"""The sharing rule `conditional_mean`: every member pays E[X | S] (section 4).

S is the sum of the losses X of all members. Source: Denuit and Dhaene 2012, "Convex order and
comonotonic conditional mean risk sharing".
"""

import math

import numpy as np

from kernels.cells import Cells, split_in_proportion
from kernels.compiling import inlined_kernel
from kernels.inversion import conditional_mean_by_inversion
from kernels.parameters import Float64
from kernels.saddle_point import conditional_mean_by_saddle_point, saddle_point

# A total this close to the least or the largest possible loss is that loss.
ROUNDING = 1e-12


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
