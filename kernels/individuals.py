"""What only the member engine needs to know of a scenario, besides `kernels.parameters`.

In this engine age bands are of one year: group = (health * ages + age - youngest) * 2 + sex.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels.dtypes import INDIVIDUAL_PARAMETERS, INITIAL_VINTAGE
from kernels.parameters import Float64, Int64, Records, to_records

NO_FRAILTY = 0
GAMMA = 1
DISCRETE = 2


class Individuals(NamedTuple):
    """What individuals have that a cell has not; axes as in `kernels.parameters`.

    settings : INDIVIDUAL_PARAMETERS[1]
    frailty, frailty_chance : float64[L], values and probabilities of the law discrete, else empty
    vintages : INITIAL_VINTAGE[I], members before the first period by plan and tenure
    vintage_members : int64[I, C, G], persons; over the vintages they are `initial_members`
    """

    settings: Records
    frailty: Float64
    frailty_chance: Float64
    vintages: Records
    vintage_members: Int64


def individuals_from_fields(fields: Mapping[str, Any]) -> Individuals:
    """Turn the fields of `Individuals`, each a mapping of columns or an array, into arrays.

    Parameters
    ----------
    fields : Mapping
        By field: for `settings` and `vintages` a mapping of column to value or array.

    Returns
    -------
    Individuals
    """
    return Individuals(
        to_records("settings", INDIVIDUAL_PARAMETERS, fields["settings"]),
        np.ascontiguousarray(fields["frailty"], np.float64),
        np.ascontiguousarray(fields["frailty_chance"], np.float64),
        to_records("vintages", INITIAL_VINTAGE, fields["vintages"]),
        np.ascontiguousarray(fields["vintage_members"], np.int64),
    )
