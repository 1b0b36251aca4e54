"""One bill, shared among cells of members by any of the rules: a library call.

The rules and their sources are in `kernels.sharing`; `docs/apportionment.md` compares them.
"""

import math
from typing import Final

import numpy as np

from configs.cells import CellTable
from configs.dotted import nearest
from configs.messages import ConfigError, value
from kernels import conditional_mean, sharing
from kernels.cells import Cells
from results.charges import Charges, Float64, Method

RULES: Final = {
    "equal": sharing.EQUAL,
    "table": sharing.TABLE,
    "expected": sharing.EXPECTED,
    "linear": sharing.LINEAR,
    "minimum_variance": sharing.MINIMUM_VARIANCE,
    "conditional_mean": sharing.CONDITIONAL_MEAN,
    "pooled_bands": sharing.POOLED_BANDS,
}
"""Code of each rule in the kernels."""

METHODS: Final[dict[int, Method]] = {
    conditional_mean.EXACT: "exact",
    conditional_mean.LATTICE: "lattice",
    conditional_mean.SADDLE_POINT: "saddle_point",
    conditional_mean.ABOVE: "above",
    conditional_mean.BELOW: "below",
    conditional_mean.BETWEEN: "between",
}
"""Name of each method of the rule `conditional_mean`."""
APPROXIMATIONS: Final = (conditional_mean.LATTICE, conditional_mean.SADDLE_POINT)

MAX_BILL_YUAN: Final = 1e15
# Claims that add up to the bill but for this: sums of amounts rounded to the fen.
CLAIMS_MISS: Final = 1e-9
HALF_FEN: Final = 0.005


def apportion(
    cells: CellTable, rule: str, bill_yuan: float, fee_rate: float = 0.0, quota: float = 0.0
) -> Charges:
    """Share a period's benefits and the fee on them among cells of members.

    Parameters
    ----------
    cells : CellTable
        Members, from `configs.cells.read_cells` or from arrays.
    rule : str
        equal, table, expected, linear, minimum_variance, conditional_mean or pooled_bands.
    bill_yuan : float
        Yuan, benefits of the period, 0 to 10**15.
    fee_rate : float
        Fee as a share of benefits, 0 to 1.
    quota : float
        Rule `pooled_bands`: the part that bands pool, 0 (every band for itself) to 1.

    Returns
    -------
    Charges
        Arrays over the cells, in their order.

    Raises
    ------
    ConfigError
        An argument that is out of range, or claims that do not add up to the bill.

    Examples
    --------
    >>> import numpy as np
    >>> young_and_old = CellTable(
    ...     cell=("young", "old"),
    ...     members=np.array([60, 40]),
    ...     probability=np.array([0.01, 0.03]),
    ...     benefit_yuan=np.array([300.0, 100.0]),
    ...     weight=np.ones(2),
    ...     band=("all", "all"),
    ... )
    >>> charges = apportion(young_and_old, "equal", bill_yuan=600.0, fee_rate=0.1)
    >>> charges.charge.round(6).tolist(), round(charges.billed_yuan, 6)
    ([6.6, 6.6], 660.0)
    >>> apportion(young_and_old, "expected", bill_yuan=600.0).charge.round(6).tolist()
    [6.0, 6.0]
    """
    _check("bill_yuan", bill_yuan, MAX_BILL_YUAN, "a number of yuan")
    _check("fee_rate", fee_rate, 1, "a share of benefits")
    _check("quota", quota, 1, "a share")
    if rule not in RULES:
        near = nearest(rule, RULES)
        remedy = f"; did you mean {near}?" if near else ""
        raise ConfigError(f"rule: expected one of {', '.join(RULES)}, got {value(rule)}{remedy}")
    pool = _pool(cells)
    with_fee = 1.0 + fee_rate
    charge = np.empty(pool.count.size, np.float64)
    measure = np.empty(pool.count.size, np.float64)
    sharing.contributions(sharing.EXPECTED, pool, quota, bill_yuan, measure)
    if cells.claims_yuan is None:
        pool = pool._replace(claims=pool.count * measure)
    elif abs(pool.claims.sum() - bill_yuan) > HALF_FEN + CLAIMS_MISS * bill_yuan:
        raise ConfigError(
            f"claims_yuan: expected claims that add up to the bill of {bill_yuan:.2f} yuan, got "
            f"{pool.claims.sum():.2f}; correct one of the two, or leave the column out"
        )
    least, most = np.empty_like(charge), np.empty_like(charge)
    possible = conditional_mean.set_extremes(pool, least, most)
    method = conditional_mean.EXACT
    if rule == "conditional_mean":
        method = conditional_mean.share_by_conditional_mean(pool, bill_yuan, charge)
    else:
        sharing.contributions(RULES[rule], pool, quota, bill_yuan, charge)
    return Charges(
        rule=rule,
        charge=charge * with_fee,
        fair=pool.probability * pool.benefit * with_fee,
        cross_subsidy=(charge - measure) * with_fee,
        bill_yuan=bill_yuan,
        billed_yuan=bill_yuan * with_fee,
        method=METHODS[method],
        error=_error(pool, bill_yuan, method, charge * with_fee),
        possible_yuan=(float(possible[0]), float(possible[1])),
    )


def _error(pool: Cells, bill_yuan: float, method: int, charge: Float64) -> float | None:
    """Return the largest likely error of a charge, yuan a member; None for an impossible bill."""
    if method in APPROXIMATIONS:
        return float(conditional_mean.largest_error(pool, bill_yuan, method, charge))
    return 0.0 if method == conditional_mean.EXACT else None


def _check(name: str, number: float, most: float, words: str) -> None:
    """Refuse what is not a number from 0 to the most there may be."""
    if not (math.isfinite(number) and 0 <= number <= most):
        raise ConfigError(f"{name}: expected {words} from 0 to {most:.0f}, got {value(number)}")


def _pool(cells: CellTable) -> Cells:
    """Return the cells as kernels take them; their claims are 0 where they are not known."""
    members = np.asarray(cells.members, np.int64)
    if members.sum() < 1:
        raise ConfigError("members: expected at least 1 in all cells, got 0")
    claims = np.zeros(members.size) if cells.claims_yuan is None else cells.claims_yuan
    return Cells(
        count=members,
        probability=np.asarray(cells.probability, np.float64),
        benefit=np.asarray(cells.benefit_yuan, np.float64),
        weight=np.asarray(cells.weight, np.float64),
        band=cells.band_numbers,
        claims=np.asarray(claims, np.float64),
        severity=np.ones(1, np.float64),
        fraction=np.ones(1, np.float64),
    )
