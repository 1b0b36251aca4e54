"""Cells of members who share a bill, and what the sharing rules have in common (section 4).

A cell holds members who are exchangeable: each has a case this period with the same probability p,
and a case pays benefit * fraction_v with probability severity_v. X is the loss of a member.
"""

from typing import NamedTuple

from kernels.compiling import kernel
from kernels.parameters import Float64, Int64

# A variance this small beside the second moment is rounding of a loss that is certain: the
# smallest p < 1 leaves 1 - p = 1e-16 of it.
CERTAIN = 1e-20


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
