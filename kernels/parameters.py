"""What a path depends on besides its seed.

Axes by name: pools Q (one, unless a scenario is of an industry), plans P, stages S (of tenure: the
waiting periods one by one, then the bands past them), arrears K (consecutive failed bills, 0 ..
K-1), motives C, groups G (one for each health class, age band and sex, in this order of nesting:
group = (health * bands + band) * 2 + sex, sex 0 male, 1 female; where there is padding it is the
last health class), channels J, delays D, severities V, periods T. Intensities and probabilities are
per period.

What is a property of the market, a pool, a plan, a group, a channel, a motive or a period stands in
one structured array each; its fields, their units and meaning are in `kernels.dtypes`.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.dtypes import (
    CHANNEL_PARAMETERS,
    GROUP_PARAMETERS,
    MARKET_PARAMETERS,
    MOTIVE_PARAMETERS,
    PERIOD_PARAMETERS,
    PLAN_PARAMETERS,
    POOL_PARAMETERS,
    POOL_PERIOD_PARAMETERS,
)

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Records = npt.NDArray[np.void]

RECORDS = {
    "market": MARKET_PARAMETERS,
    "pool": POOL_PARAMETERS,
    "plans": PLAN_PARAMETERS,
    "groups": GROUP_PARAMETERS,
    "channels": CHANNEL_PARAMETERS,
    "motives": MOTIVE_PARAMETERS,
    "periods": PERIOD_PARAMETERS,
    "pool_periods": POOL_PERIOD_PARAMETERS,
}


class Parameters(NamedTuple):
    """Everything a path depends on besides seed and path number.

    market : MARKET_PARAMETERS[1]
    pool : POOL_PARAMETERS[Q]
    plans : PLAN_PARAMETERS[P]
    groups : GROUP_PARAMETERS[G]
    channels : CHANNEL_PARAMETERS[J]
    motives : MOTIVE_PARAMETERS[C]
    periods : PERIOD_PARAMETERS[T]
    pool_periods : POOL_PERIOD_PARAMETERS[Q, T]
    push : float64[J, T], a_j(t), share of the market that joins
    channel_motives, channel_groups : float64[J, C], [J, G], each row sums to 1
    delay : float64[D], probability of a report d periods after the diagnosis, sums to 1
    severity, fraction : float64[V], probability (sums to 1) and fraction of the benefit
    benefit : float64[P, G], yuan, of a case of fraction 1
    weights : float64[P, G], of the rule `table`
    share_band : int64[P, G], band of the rule `pooled_bands`
    platform_share : float64[P, T], part of the cost that the platform pays
    spill : float64[Q, Q], part of a pool's fresh news that another hears
    migration : float64[Q, Q], part of a closing pool's members who join another
    failure : float64[C, G], probability that a bill fails
    grace : int64[P, G], failures in succession that end a membership
    lapse : float64[C, 8], coefficient of each cause
    initial_members : int64[P, S, C, G], persons
    initial_wear : float64[P, S], mean of exp(-d/tau), d the time past waiting
    initial_loyalty : float64[P, S], mean of exp(-l d), d the time since joining
    """

    market: Records
    pool: Records
    plans: Records
    groups: Records
    channels: Records
    motives: Records
    periods: Records
    pool_periods: Records
    push: Float64
    channel_motives: Float64
    channel_groups: Float64
    delay: Float64
    severity: Float64
    fraction: Float64
    benefit: Float64
    weights: Float64
    share_band: Int64
    platform_share: Float64
    spill: Float64
    migration: Float64
    failure: Float64
    grace: Int64
    lapse: Float64
    initial_members: Int64
    initial_wear: Float64
    initial_loyalty: Float64


def from_fields(fields: Mapping[str, Any]) -> Parameters:
    """Pack named arrays and numbers into `Parameters`.

    Parameters
    ----------
    fields : for each structured array its name -> field name -> array or number; for each other
        array its name -> array of the dtype documented above

    Returns
    -------
    Parameters of a path.

    Raises
    ------
    ValueError
        A field of a structured array is missing, or there is one too many.
    TypeError
        The same of an array.
    """
    packed = {name: to_records(name, dtype, fields[name]) for name, dtype in RECORDS.items()}
    return Parameters(**{**fields, **packed})


def to_records(name: str, dtype: np.dtype[Any], columns: Mapping[str, Any]) -> Records:
    """Pack columns, arrays or numbers, into one structured array.

    Parameters
    ----------
    name : what the array is called in messages
    dtype : its dtype
    columns : by field: a number, or an array of the shape of the whole

    Raises
    ------
    ValueError
        A field is missing, or there is one too many.
    """
    if set(columns) != set(dtype.names or ()):
        differing = sorted(set(columns) ^ set(dtype.names or ()))
        raise ValueError(f"{name}: expected the fields of its dtype, but {differing} differ")
    shape = max((np.shape(column) for column in columns.values()), key=math.prod)
    # there may be no channels and no initial members at all; of all else there is one at least
    empty = name in ("channels", "vintages")
    records = np.zeros(np.shape(columns["plan"]) if empty else shape or 1, dtype)
    for field, column in columns.items():
        records[field] = column
    return records
