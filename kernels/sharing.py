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

import numpy as np

from kernels.cells import Cells, set_moments, split_in_proportion
from kernels.compiling import inlined_kernel, kernel
from kernels.conditional_mean import share_by_conditional_mean
from kernels.parameters import Float64

EQUAL = 0
TABLE = 1
EXPECTED = 2
LINEAR = 3
MINIMUM_VARIANCE = 4
CONDITIONAL_MEAN = 5
POOLED_BANDS = 6


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
