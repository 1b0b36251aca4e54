"""Bands are the table `summary`, whether it is written or not."""

from pathlib import Path
from typing import Any

import pytest

from results.analysis.bands import bands
from results.run import Run, RunError, open_run
from results.schema import QUANTITIES
from results.store import create_run
from tests.results.synthetic import Made, a_manifest, a_run, made_rows, write_shards

NAMES = [quantity.name for quantity in QUANTITIES]
MADE: dict[str, Any] = {"points": 3, "paths": 7, "periods": 6, "plans": ("main", "elder")}


def unfinished(folder: Path, made: Made, shards: int = 3) -> Run:
    """Write a run that goes on: some shards, no summary."""
    store = create_run(folder)
    store.write_manifest(a_manifest(plans=made.plans, points=9))
    write_shards(store, made, shards)
    return open_run(folder)


def test_an_unfinished_run_has_the_bands_that_it_will_have_finished(tmp_path: Path) -> None:
    made = made_rows(**MADE)
    done, going = a_run(tmp_path / "done", made), unfinished(tmp_path / "going", made)
    assert done.rows("summary")
    assert not going.rows("summary")
    found = bands(going, NAMES, [0, 1, 2])
    assert found.num_rows == 3 * 2 * 6 * len(NAMES)
    assert found.equals(bands(done, NAMES, [0, 1, 2]))


@pytest.mark.parametrize("going", [False, True])
def test_only_what_was_asked_for_is_there_in_its_order(tmp_path: Path, going: bool) -> None:
    made = made_rows(**MADE, closing=0.0)
    run = (unfinished if going else a_run)(tmp_path / "run", made)
    found = bands(run, ["share", "members"], [2, 0], "elder", every=3).to_pylist()
    keys = [(row["quantity"], row["point"], row["plan"], row["period"]) for row in found]
    assert keys == [
        (quantity, point, "elder", period)
        for quantity in ("share", "members")
        for point in (0, 2)
        for period in (0, 3)
    ]


@pytest.mark.parametrize("going", [False, True])
def test_the_figures_are_those_of_the_summary(tmp_path: Path, going: bool) -> None:
    made = made_rows(**MADE)
    summary = a_run(tmp_path / "done", made).arrow("summary").to_pylist()
    run = unfinished(tmp_path / "run", made) if going else open_run(tmp_path / "done")
    found = bands(run, ["cases"], [1], "main").to_pylist()
    wanted = [
        {name: row[name] for name in found[0]}
        for row in summary
        if (row["point"], row["plan"], row["quantity"]) == (1, "main", "cases")
    ]
    assert found == wanted


def test_a_point_without_paths_is_left_out(tmp_path: Path) -> None:
    run = unfinished(tmp_path, made_rows(**MADE))
    assert set(bands(run, ["share"], [1, 8])["point"].to_pylist()) == {1}
    assert bands(run, ["share"], [8]).num_rows == 0


def test_a_run_without_shards_has_no_bands(tmp_path: Path) -> None:
    store = create_run(tmp_path)
    store.write_manifest(a_manifest())
    assert bands(open_run(tmp_path), ["share"], [0, 1]).num_rows == 0


def test_what_there_is_none_of_is_refused(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    with pytest.raises(RunError, match="no quantity 'shares'; there are members"):
        bands(run, ["shares"], [0])
    with pytest.raises(RunError, match=r"no plan 'gold'; .* has main"):
        bands(run, ["share"], [0], "gold")
    with pytest.raises(RunError, match=r"no point 2; .* has points 0 to 1"):
        bands(run, ["share"], [2])
    with pytest.raises(RunError, match="every: expected a number of periods from 1 on, got 0"):
        bands(run, ["share"], [0], every=0)
