"""How well the mean of an outcome over paths is known, point by point.

The two-sided confidence interval is Student's: mean ± t · sd / √n, with n - 1 degrees of freedom.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from results.atomic import StoreError
from results.places import answered, for_arrow
from results.run import RunError
from results.schema import arrow_schema
from results.store import RunStore

FEWEST_PATHS: Final = 2
"""With fewer there is no standard deviation."""

Float64 = npt.NDArray[np.float64]
_KEYS: Final = ("point", "path")


def check_outcome(name: str) -> None:
    """Make sure that an outcome is a column of numbers of `paths`.

    Parameters
    ----------
    name : str
        Name of the column.

    Raises
    ------
    RunError
        It is not; the message names the nearest ones.
    """
    known = [
        column.name
        for column in arrow_schema("paths")
        if column.name not in _KEYS and not pa.types.is_dictionary(column.type)
    ]
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.4) or known
        raise RunError(
            f"no outcome {name!r}: expected a column of numbers of paths, such as {', '.join(near)}"
        )


def imprecise_points(
    run_store: RunStore,
    points: Sequence[int] | None,
    paths: int,
    *,
    outcome: str,
    half_width: float | None,
    relative_half_width: float | None,
    confidence: float,
) -> frozenset[int]:
    """Return the points at which the mean of an outcome is not yet known as well as asked.

    Parameters
    ----------
    run_store : RunStore
        The run; its finished shards are read, and of them no more than three columns.
    points : sequence of int, optional
        Points that are asked about; without it, all of the run.
    paths : int
        How many paths of each point count, from path 0 on. One that has no value of the outcome is
        left out; a point with fewer than `FEWEST_PATHS` values is imprecise.
    outcome : str
        Column of `paths`.
    half_width : float, optional
        Half of the confidence interval that is narrow enough, in the unit of the outcome.
    relative_half_width : float, optional
        The same as a part of the mean's size. Where both are given both must be met.
    confidence : float
        Probability that the interval holds the mean, between 0 and 1.

    Returns
    -------
    frozenset of int
        The points. They depend on the rows alone, not on how these are spread over shards.

    Raises
    ------
    RunError
        There is no such outcome, or a file is damaged.
    StoreError
        The storage does not answer, or refuses.
    ValueError
        No width is given, or `confidence` is not between 0 and 1.
    """
    check_outcome(outcome)
    if half_width is None and relative_half_width is None:
        raise ValueError("expected half_width, relative_half_width or both, got neither")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, got {confidence}")
    found, mean, half = _intervals(run_store, paths, outcome, confidence)
    # A width that is no number is wide: not (NaN <= limit).
    precise = np.ones(found.size, bool)
    if half_width is not None:
        precise &= half <= half_width
    if relative_half_width is not None:
        precise &= half <= relative_half_width * np.abs(mean)
    asked = _every_point(run_store, found) if points is None else points
    return frozenset(asked) - frozenset(found[precise].tolist())


def _every_point(run_store: RunStore, found: npt.NDArray[np.int64]) -> Sequence[int]:
    """Return the points of a run: those of its manifest, or else those of which there are paths."""
    manifest = run_store.read_manifest()
    every: list[int] = found.tolist()
    return every if manifest is None else range(manifest.points)


def _intervals(
    run_store: RunStore, paths: int, outcome: str, confidence: float
) -> tuple[npt.NDArray[np.int64], Float64, Float64]:
    """Return the points that have any path, the mean of each, and half of its interval."""
    rows = _rows(run_store, paths, outcome)
    found, first = np.unique(rows["point"], return_index=True)
    if not found.size:
        return found, np.empty(0), np.empty(0)
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is wide, see above
        return found, *_mean_and_half(rows["value"], first, confidence)


def _mean_and_half(
    values: Float64, first: npt.NDArray[np.int64], confidence: float
) -> tuple[Float64, Float64]:
    """Return mean and half of its interval for each run of values, which begins at `first`."""
    from scipy.special import stdtrit

    known = ~np.isnan(values)
    count = np.add.reduceat(known.astype(np.int64), first)
    counted, freedom = np.maximum(count, 1), np.maximum(count - 1, 1)
    mean = np.add.reduceat(np.where(known, values, 0.0), first) / counted
    away = values - np.repeat(mean, np.diff([*first, values.size]))
    squares = np.add.reduceat(np.where(known, away, 0.0) ** 2, first)
    t = stdtrit(freedom, (1 + confidence) / 2)
    half = t * np.sqrt(squares / freedom / counted)
    return mean, np.where(count >= FEWEST_PATHS, half, np.inf)


def _rows(run_store: RunStore, paths: int, outcome: str) -> npt.NDArray[Any]:
    """Return point and value of every path that counts, in order of point and path."""
    shards = run_store.finished_shards(verify=False).values()
    files = [entry for shard in shards for entry in shard.files if entry.table == "paths"]
    tables = [_columns(run_store, entry.path, outcome) for entry in files]
    rows = np.empty(sum(table.num_rows for table in tables), _ROW)
    if tables:
        whole = pa.concat_tables(tables)
        for name in _KEYS:
            rows[name] = whole[name].to_numpy()
        rows["value"] = _numbers(whole[outcome])
    rows = rows[rows["path"] < paths]
    return rows[np.lexsort((rows["path"], rows["point"]))]


_ROW: Final = np.dtype([("point", np.int64), ("path", np.int64), ("value", np.float64)])


def _numbers(column: pa.ChunkedArray) -> Float64:
    """Return a column as floats, NaN where it has no value; false is 0 and true 1."""
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    numbers: Float64 = pc.fill_null(pc.cast(column, pa.float64(), safe=False), np.nan).to_numpy()
    return numbers


def _columns(run_store: RunStore, name: str, outcome: str) -> pa.Table:
    """Return keys and outcome of one file of `paths`."""
    path = run_store.folder / name
    source, filesystem = for_arrow(path)
    columns = [*_KEYS, outcome]
    try:
        with answered(path):
            return pq.read_table(source, columns=columns, partitioning=None, filesystem=filesystem)
    except StoreError:
        raise
    except (OSError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise RunError(
            f"{path}: cannot be read ({reason}); run the configuration again to make it"
        ) from error
