"""What a path says of the figures that are published of a pool: sums over plans and periods."""

import numpy as np
from numpy.typing import NDArray

from kernels.events import Rows

Floats = NDArray[np.float64]


def window_sums(
    rows: Rows, fields: tuple[str, ...], plans: NDArray[np.bool_], windows: NDArray[np.int64]
) -> Floats:
    """Return sums of a path's rows, each of one field over some plans and successive periods.

    Parameters
    ----------
    rows : PERIOD_ROW[T, P]
        A path, as an engine leaves it.
    fields : tuple of str
        Name of a field for each sum.
    plans : bool[sums, P]
        The plans of each.
    windows : int64[sums, 2]
        First and last period of each, both counted; 0 <= first <= last < T.

    Returns
    -------
    float64[sums]
        In the field's unit. Of a count at a period, as members, first and last are this period.
    """
    found = np.empty(len(fields))
    for i, (name, (first, last)) in enumerate(zip(fields, windows, strict=True)):
        found[i] = rows[name][first : last + 1, plans[i]].sum(dtype=np.float64)
    return found
