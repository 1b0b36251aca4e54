"""The cut of a sweep into shards."""

from pathlib import Path

import pytest

from configs.load import load
from flows import layout


def cut(file: Path, *overrides: str) -> tuple[layout.Shard, ...]:
    return layout.shards(load(file, overrides))


@pytest.mark.parametrize("paths", [1, 2, 999, 100_000])
def test_every_pair_of_point_and_path_is_in_one_shard(small: Path, paths: int) -> None:
    shards = cut(small, f"sweep.paths={paths}")
    assert [shard.index for shard in shards] == list(range(len(shards)))
    assert [shards[0].first, *(shard.stop for shard in shards)] == [
        *(shard.first for shard in shards),
        4 * paths,
    ]
    assert all(shard.first < shard.stop for shard in shards)


def test_shards_of_one_sweep_differ_by_one_pair_at_most(small: Path) -> None:
    sizes = {shard.stop - shard.first for shard in cut(small, "sweep.paths=99_999")}
    assert max(sizes) - min(sizes) <= 1


def test_a_sweep_of_a_minute_has_enough_shards_to_keep_workers_even(small: Path) -> None:
    seconds = layout.path_seconds(load(small).scenario)
    shards = cut(small, f"sweep.paths={round(60 / seconds / 4)}")
    assert len(shards) == layout.FEWEST_SHARDS


def test_a_long_sweep_has_shards_of_the_longest_time(small: Path) -> None:
    config = load(small, ["sweep.paths=2_000_000"])
    seconds = layout.path_seconds(config.scenario)
    longest = max(shard.stop - shard.first for shard in layout.shards(config)) * seconds
    # one path more or less, for a shard holds whole paths
    assert longest <= layout.LONGEST_SHARD_SECONDS + seconds


def test_a_shard_holds_no_more_rows_than_fit_in_memory(small: Path) -> None:
    config = load(small, ["periods=4000", "tenure.bands=1", "sweep.paths=10_000"])
    rows = max(shard.stop - shard.first for shard in layout.shards(config)) * 4000
    assert rows <= layout.MOST_ROWS + 4000


def test_the_cut_depends_on_nothing_but_the_sweep(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cut(small, "sweep.paths=50_000")
    monkeypatch.setattr("os.cpu_count", lambda: 1000)
    assert cut(small, "sweep.paths=50_000", "sweep.seed=99") == before


MEMBERS = ["engine=member", "market_members=500_000_000"]


def test_a_path_of_many_members_is_a_shard_of_its_own(small: Path) -> None:
    config = load(small, MEMBERS)
    assert layout.path_seconds(config.scenario) > layout.LONGEST_SHARD_SECONDS
    assert len(layout.shards(config)) == 40


def test_of_two_engines_the_dearer_decides_on_the_shards(small: Path) -> None:
    few, many = "market_members=2000", "market_members=500_000_000"
    engines = "sweep.axes.engine=[cohort, member]"
    by_cells = len(cut(small, "sweep.paths=20", many))
    assert len(cut(small, "sweep.paths=10", many, engines)) == 80
    assert len(cut(small, "sweep.paths=10", few, engines)) == by_cells


def test_a_shard_holds_no_more_rows_by_single_ages_than_fit_in_memory(small: Path) -> None:
    config = load(small, ["engine=member", "market_members=10", "sweep.paths=10_000"])
    by_age = max(shard.stop - shard.first for shard in layout.shards(config)) * 60 * 2
    assert by_age <= layout.MOST_ROWS + 60 * 2
