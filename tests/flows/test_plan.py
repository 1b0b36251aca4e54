"""What is known of a run before it starts: how much it will write, about."""

from pathlib import Path

import pytest

from flows import plan as planning
from flows import shard
from flows.layout import Shard
from results.store import create_run

MEMBERS = ["engine=member", "market_members=2_000_000"]


def size(file: Path, *overrides: str) -> int:
    return planning.plan(file, "runs", overrides=overrides).disk_bytes


def test_the_space_of_a_run_by_cells_follows_its_periods(small: Path) -> None:
    assert size(small) == 40 * 12 * planning.BYTES_A_ROW
    assert size(small, "market_members=2_000_000_000") == size(small)


@pytest.mark.parametrize("sample", [0.0, 0.1, 1.0])
def test_members_take_space_by_the_part_that_has_rows(small: Path, sample: float) -> None:
    members = size(small, *MEMBERS, f"sweep.members_sample={sample}") - size(small)
    assert members == 40 * round(2_000_000 * sample * planning.BYTES_A_MEMBER)


def test_of_two_engines_one_takes_space_for_members(small: Path) -> None:
    both = size(small, "market_members=2_000_000", "sweep.axes.engine=[cohort, member]")
    assert both == size(small) + size(small, *MEMBERS)


def test_members_take_about_the_space_that_was_expected(small: Path, tmp_path: Path) -> None:
    """Between a quarter and the whole: a frailty of one's own, and charges that are alike."""
    overrides = [*MEMBERS, "market_members=200_000", "channels.app.push.0.value=0.3"]
    frailty = "claims.frailty={law: gamma, variance: 0.5}"
    run = planning.plan(small, tmp_path, overrides=[*overrides, frailty])
    create_run(run.folder)
    planning.begin(run)
    (file,) = [
        entry
        for entry in shard.run(str(run.folder), Shard(0, 0, 0, 1)).files
        if entry.table == "members"
    ]
    expected = 200_000 * planning.BYTES_A_MEMBER
    assert expected / 4 < file.bytes < expected
