"""The cut of a sweep into shards."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows import layout
from flows.layout import Cost, Cut, CutError, blocks

GB = 10**9
increasing = st.lists(st.integers(1, 30), min_size=1, max_size=4, unique=True).map(
    lambda paths: tuple(sorted(paths))
)


def cost(seconds: float = 0.01, path: int = 0, pair: int = 100_000) -> Cost:
    return Cost(seconds_a_path=seconds, bytes_a_path=path, bytes_a_pair=pair)


@given(st.integers(1, 20), increasing, st.integers(1, 50))
def test_every_pair_of_point_and_path_is_in_one_shard(
    points: int, rounds: tuple[int, ...], at_most: int
) -> None:
    cut = Cut(points, rounds, at_most)
    assert [shard.index for shard in cut.shards] == list(range(len(cut.shards)))
    found = [
        (point, path)
        for shard in cut.shards
        for point, paths in blocks(shard, rounds)
        for path in paths
    ]
    assert len(found) == cut.pairs
    assert set(found) == set(itertools.product(range(points), range(rounds[-1])))


@given(st.integers(1, 20), increasing, st.integers(1, 50))
def test_a_shard_is_of_one_round_and_its_pairs_are_in_order(
    points: int, rounds: tuple[int, ...], at_most: int
) -> None:
    cut = Cut(points, rounds, at_most)
    for shard in cut.shards:
        before = (0, *rounds)[shard.round]
        pairs = [(point, path) for point, paths in blocks(shard, rounds) for path in paths]
        assert pairs == sorted(pairs)
        assert 1 <= len(pairs) <= at_most
        assert all(before <= path < rounds[shard.round] for _, path in pairs)


@pytest.mark.parametrize(
    ("first", "stop", "expected"),
    [
        (17, 31, [(1, range(7, 10)), (2, range(10)), (3, range(1))]),
        (3, 5, [(0, range(3, 5))]),
        (10, 20, [(1, range(10))]),
    ],
)
def test_a_shard_is_taken_apart_by_point(
    first: int, stop: int, expected: list[tuple[int, range]]
) -> None:
    assert list(blocks(layout.Shard(0, 0, first, stop), (10,))) == expected


def test_a_later_round_goes_on_where_the_one_before_ended() -> None:
    shard = layout.Shard(0, 1, 8, 25)
    assert list(blocks(shard, (5, 15))) == [
        (0, range(13, 15)),
        (1, range(5, 15)),
        (2, range(5, 10)),
    ]


def test_shards_of_one_round_differ_by_one_pair_at_most() -> None:
    sizes = {shard.stop - shard.first for shard in Cut(7, (1423,), 100).shards}
    assert max(sizes) - min(sizes) == 1


def test_a_sweep_of_a_minute_has_enough_shards_to_keep_workers_even() -> None:
    pairs = layout.pairs_a_shard(cost(seconds=0.01), 6000, None)
    assert len(Cut(60, (100,), pairs).shards) == layout.FEWEST_SHARDS


@pytest.mark.parametrize(("pairs", "seconds"), [(10**5, 5.0), (2 * 10**6, 10.0), (10**8, 20.0)])
def test_shards_of_a_long_sweep_take_5_to_20_seconds(pairs: int, seconds: float) -> None:
    assert layout.pairs_a_shard(cost(seconds=0.01), pairs, None) == seconds / 0.01


def test_a_path_that_takes_long_is_a_shard_of_its_own() -> None:
    assert layout.pairs_a_shard(cost(seconds=60), 1000, None) == 1


@pytest.mark.parametrize("memory", [1 * GB, 2 * GB, 16 * GB, None])
def test_a_shard_holds_no_more_than_fits_in_memory(memory: int | None) -> None:
    what = cost(seconds=1e-6, pair=10**6)
    pairs = layout.pairs_a_shard(what, 10**9, memory)
    room = layout.MOST_SHARD_BYTES + what.memory(0)
    allowed = room if memory is None else min(room, layout.PART_OF_MEMORY * memory)
    assert what.memory(pairs) <= allowed < what.memory(pairs + 1)


def test_a_path_that_fits_in_no_worker_is_refused_with_what_it_needs() -> None:
    with pytest.raises(
        CutError, match=r"one path needs about 5\.4 GB of memory, a worker has 2\.0"
    ):
        layout.pairs_a_shard(cost(path=5 * GB), 100, 2 * GB)
