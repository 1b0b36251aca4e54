"""Designs: how axes make points, numbered from 0.

The grid takes every combination, the list one value of each axis in turn; the others sample the
unit cube, one column an axis, whose shares the axes turn into values.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from configs.axes import Choice, Dimension

DesignName = Literal["grid", "list", "random", "latin_hypercube", "sobol", "saltelli", "morris"]
SampledName = Literal["random", "latin_hypercube", "sobol", "saltelli", "morris"]
SAMPLED: Final[tuple[str, ...]] = get_args(SampledName)
POWERS_OF_TWO: Final = ("sobol", "saltelli")
"""Designs that are balanced only where the number of points is a power of two."""

# Each is a set of conditional axes that are left out together; most sweeps have a handful.
MAX_BRANCHES: Final = 10_000
MAX_AXES: Final[dict[str, int]] = {"sobol": 21_201, "saltelli": 10_600}
"""Most axes: SciPy's Sobol sequence has 21 201 dimensions, of which saltelli takes two an axis."""

MAX_TRAJECTORIES: Final = 10_000
"""Most trajectories of `morris`: SALib draws one after the other, and a few dozen are usual."""

NOTHING: Final[frozenset[int]] = frozenset()


class BranchesError(ValueError):
    """Conditions of a grid combine in too many ways to be counted."""


class Design(Protocol):
    """What axes and a rule make: so many points, and what each chooses of every axis."""

    @property
    def count(self) -> int:
        """Number of points."""

    def choices(self, index: int) -> tuple[Choice | None, ...]:
        """Return what a point chooses of each axis; None where an axis is not applied."""


class Grid:
    """Every combination, the last axis fastest; an axis that is not applied multiplies nothing.

    A *branch* is a set of axes, all from some axis on, that the values before it have left out.
    From a branch on the combinations are the same whatever these values were, so they are counted
    once for each branch.

    Parameters
    ----------
    axes : sequence of Dimension
        Listed axes.

    Raises
    ------
    BranchesError
        There are more than 10 000 branches at an axis.
    """

    def __init__(self, axes: Sequence[Dimension]) -> None:
        self._axes = tuple(axes)
        self._ways = [_ways(axis) for axis in axes]
        self._counts: list[dict[frozenset[int], int]] = self._counted(self._branches())
        self._starts: dict[tuple[int, frozenset[int]], tuple[int, ...]] = {}

    @property
    def count(self) -> int:
        """Number of points."""
        return self._counts[0][NOTHING]

    def choices(self, index: int) -> tuple[int | None, ...]:
        """Return the place of each axis's value; None where an axis is not applied."""
        rest = index

        def choose(k: int, left_out: frozenset[int]) -> int:
            nonlocal rest
            if self._axes[k].rules_out:
                starts = self._starts_at(k, left_out)
                choice = bisect_right(starts, rest) - 1
                rest -= starts[choice]
            else:
                choice, rest = divmod(rest, self._counts[k + 1][left_out])
            return choice

        return _chosen(self._axes, choose)  # type: ignore[return-value]

    def _branches(self) -> list[set[frozenset[int]]]:
        """Return the branches at each axis, and the one after the last."""
        found = [{NOTHING}]
        for k, axis in enumerate(self._axes):
            found.append({after for before in found[-1] for after, _ in self._onward(k, before)})
            if len(found[-1]) > MAX_BRANCHES:
                raise BranchesError(axis.path)
        return found

    def _onward(self, k: int, left_out: frozenset[int]) -> list[tuple[frozenset[int], int]]:
        """Return the branches after an axis, each with how many of its values lead there."""
        if k in left_out:
            return [(_without(self._axes[k], k, left_out), 1)]
        return [(left_out | more, values) for more, values in self._ways[k].items()]

    def _counted(self, branches: list[set[frozenset[int]]]) -> list[dict[frozenset[int], int]]:
        """Return how many combinations there are from each branch on."""
        counts = [dict[frozenset[int], int]() for _ in branches]
        counts[-1] = {NOTHING: 1}
        for k in reversed(range(len(self._axes))):
            for left_out in branches[k]:
                counts[k][left_out] = sum(
                    values * counts[k + 1][after] for after, values in self._onward(k, left_out)
                )
        return counts

    def _starts_at(self, k: int, left_out: frozenset[int]) -> tuple[int, ...]:
        """Return how many combinations come before each value of an axis in a branch."""
        found = self._starts.get((k, left_out))
        if found is None:
            sizes = [self._counts[k + 1][left_out | more] for more in self._axes[k].rules_out]
            found = tuple(accumulate(sizes[:-1], initial=0))
            self._starts[k, left_out] = found
        return found


class InTurn:
    """Point i takes the i-th value of each axis; all axes have equally many."""

    def __init__(self, axes: Sequence[Dimension]) -> None:
        self._axes = tuple(axes)
        self.count = min((len(axis.values) for axis in axes), default=1)

    def choices(self, index: int) -> tuple[Choice | None, ...]:
        """Return the point's number for each axis; None where an axis is not applied."""
        return _chosen(self._axes, lambda k, left_out: index)


class Sampled:
    """Point i takes what lies at the shares in row i of a sample, one column an axis.

    Parameters
    ----------
    axes : sequence of Dimension
        Axes.
    count : int
        Number of points.
    sample : callable
        Returns the shares, 0 to 1, as an array of float64 of shape (points, axes); called for
        each point, and not before the first.
    """

    def __init__(
        self, axes: Sequence[Dimension], count: int, sample: Callable[[], NDArray[np.float64]]
    ) -> None:
        self._axes = tuple(axes)
        self._sample = sample
        self.count = count

    def choices(self, index: int) -> tuple[Choice | None, ...]:
        """Return what the point takes of each axis; None where an axis is not applied."""
        shares = self._sample()[index].tolist()
        return _chosen(self._axes, lambda k, left_out: self._axes[k].at(shares[k]))


def sampled_count(design: str, axes: int, points: int, second_order: bool) -> int:
    """Return how many points a sampled design has.

    Parameters
    ----------
    design : str
        Name of the design.
    axes : int
        Number of axes, D.
    points : int
        Number of points; of the design `saltelli`, of its base samples, N; of `morris`, of its
        trajectories, N.
    second_order : bool
        Whether `saltelli` has the points for indices of second order.

    Returns
    -------
    int
        `points`; of `saltelli` N(D + 2), and N(2D + 2) with second order; of `morris` N(D + 1).
    """
    if design == "morris":
        return points * (axes + 1)
    if design != "saltelli":
        return points
    return points * (2 * axes + 2 if second_order else axes + 2)


@lru_cache(maxsize=4)
def unit_sample(
    design: str, axes: int, points: int, seed: int, second_order: bool, levels: int
) -> NDArray[np.float64]:
    """Return the sample of the unit cube that a design makes points of; computed once a process.

    Parameters
    ----------
    design : {"random", "latin_hypercube", "sobol", "saltelli", "morris"}
        Name of the design; Sobol sequences are scrambled.
    axes : int
        Number of axes, ≥ 1.
    points : int
        Number of points; of `saltelli`, of its base samples; of `morris`, of its trajectories. A
        power of two for `sobol` and `saltelli`.
    seed : int
        Seed of the design, 0 to 2**64 - 1.
    second_order : bool
        Whether `saltelli` has the points for indices of second order.
    levels : int
        Levels of an axis in `morris`, even.

    Returns
    -------
    array of float64, shape (sampled_count(...), axes)
        Shares, 0 to 1; not to be written to. The rows of `saltelli` and `morris` are in SALib's
        order; the shares of `morris` are multiples of 1 / (levels - 1).
    """
    sample = np.ascontiguousarray(_SAMPLERS[design](axes, points, seed, second_order, levels))
    sample.flags.writeable = False
    return sample


def _random(axes: int, points: int, seed: int, *_: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).random((points, axes))


def _latin_hypercube(axes: int, points: int, seed: int, *_: int) -> NDArray[np.float64]:
    from scipy.stats import qmc

    return _floats(qmc.LatinHypercube(axes, rng=np.random.default_rng(seed)).random(points))


def _sobol(axes: int, points: int, seed: int, *_: int) -> NDArray[np.float64]:
    from scipy.stats import qmc

    return _floats(qmc.Sobol(axes, rng=np.random.default_rng(seed)).random(points))


def _saltelli(axes: int, points: int, seed: int, second_order: int, _: int) -> NDArray[np.float64]:
    from SALib.sample import sobol

    return _floats(
        sobol.sample(_unit_cube(axes), points, calc_second_order=bool(second_order), seed=seed)
    )


def _morris(axes: int, points: int, seed: int, _: int, levels: int) -> NDArray[np.float64]:
    from SALib.sample import morris

    drawn = _floats(morris.sample(_unit_cube(axes), points, num_levels=levels, seed=seed))
    # Sums of fractions miss a level by a rounding, which would tell one level from itself.
    return np.rint(drawn * (levels - 1)) / (levels - 1)


def _unit_cube(axes: int) -> dict[str, Any]:
    """Return the problem that SALib samples."""
    return {
        "num_vars": axes,
        "names": [f"axis {k}" for k in range(axes)],
        "bounds": [[0.0, 1.0]] * axes,
    }


_SAMPLERS: Final[dict[str, Callable[[int, int, int, int, int], NDArray[np.float64]]]] = {
    "random": _random,
    "latin_hypercube": _latin_hypercube,
    "sobol": _sobol,
    "saltelli": _saltelli,
    "morris": _morris,
}


def _floats(sample: Any) -> NDArray[np.float64]:
    return np.asarray(sample, dtype=np.float64)


def _ways(axis: Dimension) -> Counter[frozenset[int]]:
    """Return which axes the values of an axis leave out, and how many values leave out the same."""
    return Counter(axis.rules_out) if axis.rules_out else Counter({NOTHING: len(axis.values)})


def _without(axis: Dimension, k: int, left_out: frozenset[int]) -> frozenset[int]:
    """Return what is left out after an axis that is itself left out."""
    return (left_out - {k}) | axis.followers


def _chosen(
    axes: Sequence[Dimension], choose: Callable[[int, frozenset[int]], Choice]
) -> tuple[Choice | None, ...]:
    """Return what is chosen of each axis that is applied; of the others None."""
    found: list[Choice | None] = []
    left_out = NOTHING
    for k, axis in enumerate(axes):
        if k in left_out:
            left_out = _without(axis, k, left_out)
            found.append(None)
        else:
            choice = choose(k, left_out)
            if axis.rules_out:
                left_out |= axis.rules_out[int(choice)]
            found.append(choice)
    return tuple(found)
