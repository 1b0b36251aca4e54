"""How a sweep is cut into shards, and what it is going to take.

The cut decides files and pace, never a number: a path's random numbers depend on seed and path
(MODEL section 9), and the files are put together in the end. How many pairs a shard holds follows
from what a path was measured to cost; it is measured once, kept in the manifest, and so the same
however often the run is taken up, and wherever.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

LONGEST_SHARD_SECONDS: Final = 20.0
LONG_SHARD_SECONDS: Final = 5.0
SHORTEST_SHARD_SECONDS: Final = 0.4
"""Below this a shard is mostly files and messages."""

FEWEST_SHARDS: Final = 48
"""So many even in a short sweep, as far as they are not too short: enough for many cores to end
together and for progress to be smooth."""

MANY_SHARDS: Final = 2000
"""From so many on shards grow longer than `LONG_SHARD_SECONDS`: files and messages cost as well."""

PROCESS_BYTES: Final = 400_000_000
"""What a worker takes besides its paths: Python, the libraries, the compiled kernels, a file being
written; measured as 340 MB, and as 400 with the member engine."""

PART_OF_MEMORY: Final = 0.6
"""Part of a worker's memory that shards are cut for: from 0.7 on Dask holds a worker back."""

PART_BEFORE_END: Final = 0.95
"""Part of a worker's memory at which Dask ends it."""

COPIES: Final = 4
"""How often a row is in memory while a shard is written: as the kernels filled it, twice as Arrow
columns, and as the file; measured as 3 to 4."""

MOST_SHARD_BYTES: Final = 500_000_000
"""What a shard holds at most, however much memory there is: more makes nothing faster."""


class CutError(Exception):
    """A path does not fit in a worker's memory; the message says what would."""


@dataclass(frozen=True)
class Cost:
    """What paths of a sweep take, as measured on a few and reckoned from their sizes.

    Attributes
    ----------
    seconds_a_path : float
        In kernels, on average over points.
    bytes_a_path : int
        Held while a path is simulated, whatever else the shard holds.
    bytes_a_pair : int
        Held from a path's end until its shard is written.
    """

    seconds_a_path: float
    bytes_a_path: int
    bytes_a_pair: int

    def memory(self, pairs: int) -> int:
        """Return what a worker takes for a shard of some pairs, in bytes."""
        return PROCESS_BYTES + self.bytes_a_path + pairs * self.bytes_a_pair


@dataclass(frozen=True)
class Shard:
    """A block of (point, path) pairs of one round, counted point by point.

    Attributes
    ----------
    index : int
        Number of the shard, from 0.
    round : int
        Which round of paths, from 0; all points have as many paths in a round.
    first, stop : int
        Pairs first .. stop-1 of the round.
    """

    index: int
    round: int
    first: int
    stop: int


@dataclass(frozen=True)
class Cut:
    """A sweep as cut into shards.

    Attributes
    ----------
    points : int
        Points of the sweep.
    rounds : tuple of int
        Paths of a point by the end of each round, increasing.
    pairs_a_shard : int
        At most, ≥ 1.
    """

    points: int
    rounds: tuple[int, ...]
    pairs_a_shard: int

    @cached_property
    def shards(self) -> tuple[Shard, ...]:
        """All shards, in order; between them they hold every pair once."""
        numbers = itertools.count()
        return tuple(
            Shard(next(numbers), place, first, stop)
            for place in range(len(self.rounds))
            for first, stop in _bounds(self.pairs_of(place), self.pairs_a_shard)
        )

    @property
    def pairs(self) -> int:
        """Pairs of point and path over all rounds."""
        return self.points * self.rounds[-1]

    def pairs_of(self, place: int) -> int:
        """Return the pairs of one round."""
        before = self.rounds[place - 1] if place else 0
        return self.points * (self.rounds[place] - before)

    def of_round(self, place: int) -> tuple[Shard, ...]:
        """Return the shards of one round, in order."""
        return tuple(shard for shard in self.shards if shard.round == place)


def _bounds(pairs: int, at_most: int) -> Iterator[tuple[int, int]]:
    """Yield first and stop of shards that differ by one pair at most."""
    count = math.ceil(pairs / at_most)
    bounds = (pairs * i // count for i in range(count + 1))
    return itertools.pairwise(bounds)


def blocks(shard: Shard, rounds: Sequence[int]) -> Iterator[tuple[int, range]]:
    """Yield each point of a shard with its paths in it, in order.

    Parameters
    ----------
    shard : Shard
        The shard.
    rounds : sequence of int
        As of `Cut`.
    """
    before = (0, *rounds)[shard.round]
    paths = rounds[shard.round] - before
    for point in range(shard.first // paths, math.ceil(shard.stop / paths)):
        origin = point * paths - before
        yield (
            point,
            range(max(shard.first - origin, before), min(shard.stop - origin, before + paths)),
        )


def pairs_a_shard(cost: Cost, pairs: int, memory_bytes: int | None) -> int:
    """Return how many pairs a shard should hold: by time, and no more than memory allows.

    Parameters
    ----------
    cost : Cost
        What a path takes.
    pairs : int
        Pairs of the whole sweep, ≥ 1.
    memory_bytes : int, optional
        What a worker may use; without it, unknown.

    Raises
    ------
    CutError
        Not even one path fits.
    """
    total = pairs * cost.seconds_a_path
    seconds = min(max(total / FEWEST_SHARDS, SHORTEST_SHARD_SECONDS), LONG_SHARD_SECONDS)
    seconds = min(max(seconds, total / MANY_SHARDS), LONGEST_SHARD_SECONDS)
    by_time = math.floor(seconds / max(cost.seconds_a_path, 1e-9))
    return max(1, min(by_time, pairs, _pairs_that_fit(cost, memory_bytes)))


def check_memory(cost: Cost, memory_bytes: int | None) -> None:
    """Make sure that a worker can simulate one path.

    Parameters
    ----------
    cost : Cost
        What a path takes.
    memory_bytes : int, optional
        What a worker may use; without it, unknown.

    Raises
    ------
    CutError
        It cannot.
    """
    if memory_bytes is None or cost.memory(1) <= PART_BEFORE_END * memory_bytes:
        return
    raise CutError(
        f"one path needs about {_size(cost.memory(1))} of memory, a worker has "
        f"{_size(memory_bytes)}, of which it may use {PART_BEFORE_END:.0%}: give each more "
        "(--workers with a smaller number, or --memory), or simulate fewer members"
    )


def _size(count: int) -> str:
    """Return a number of bytes as a person reads it."""
    return f"{count / 1e9:.1f} GB" if count >= 10**9 else f"{count / 1e6:.0f} MB"


def _pairs_that_fit(cost: Cost, memory_bytes: int | None) -> int:
    """Return how many pairs a worker's memory holds."""
    check_memory(cost, memory_bytes)
    room = MOST_SHARD_BYTES
    if memory_bytes is not None:
        room = min(room, round(PART_OF_MEMORY * memory_bytes) - cost.memory(0))
    return max(1, room // max(1, cost.bytes_a_pair))
