"""What if: a point simulated here gives the rows of a run, and differs from it as it is told to."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from configs.load import ConfigError
from configs.sweep import point_count, settings_at
from flows import plan as planning
from flows import whatif
from flows.simulation import PathError
from results.run import Run
from tests.flows.in_process import computed

TABLES = ("paths", "pools", "periods", "cells")
MEMBERS = ("engine=member", "market_members=20_000")


@pytest.fixture(scope="module")
def run(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return computed(small, tmp_path_factory.mktemp("runs"))


def rows_of(run: Run, table: str, point: int) -> pa.Table:
    """Return the rows of a point, without the column that numbers it."""
    rows = run.arrow(table)
    return plain(rows.filter(pc.equal(rows["point"], point)))


def plain(rows: pa.Table) -> pa.Table:
    """Return rows without their point and their metadata, names as strings, in one order."""
    named = {
        name: rows[name].cast(pa.string())
        if pa.types.is_dictionary(rows[name].type)
        else rows[name]
        for name in rows.column_names
        if name != "point"
    }
    keys = ("path", "period", "plan", "pool", "from_age", "sex", "health")
    by = [(name, "ascending") for name in keys if name in named]
    return pa.table(named).combine_chunks().sort_by(by)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("point", [0, 3])
def test_the_settings_of_a_computed_point_give_its_rows_bit_for_bit(
    run: Run, point: int, table: str
) -> None:
    found = whatif.simulate_point(run.folder, (), 10, point=point)
    assert plain(found.tables[table]).equals(rows_of(run, table, point))
    assert found.tables[table].num_rows > 0


@pytest.mark.parametrize("table", TABLES)
def test_changed_to_another_points_settings_a_point_gives_that_points_rows(
    run: Run, table: str
) -> None:
    config = planning.plan(str(run.folder)).config
    assert point_count(config) == 4
    to_last = [f"{path} = {value}" for path, value in settings_at(config, 3).items()]
    found = whatif.simulate_point(run.folder, to_last, 10, point=0)
    assert plain(found.tables[table]).equals(rows_of(run, table, 3))


def test_members_are_simulated_as_in_the_run(small: Path, tmp_path: Path) -> None:
    run = computed(small, tmp_path, *MEMBERS, "sweep.paths=2")
    found = whatif.simulate_point(run.folder, (), 2, point=1)
    for table in TABLES:
        assert plain(found.tables[table]).equals(rows_of(run, table, 1)), table


def test_some_paths_of_a_point_are_those_of_the_run(run: Run) -> None:
    found = whatif.simulate_point(run.folder, (), range(4, 6), point=2)
    every = rows_of(run, "periods", 2)
    assert plain(found.tables["periods"]).equals(
        every.filter(pc.is_in(every["path"], value_set=pa.array([4, 5], pa.int32())))
    )


def test_parts_of_a_point_join_to_the_whole(run: Run) -> None:
    parts = [whatif.simulate_point(run.folder, (), some).course() for some in _thirds()]
    whole = whatif.simulate_point(run.folder, (), 9).course()
    joined = whatif.joined(parts)
    assert plain(joined.periods).equals(plain(whole.periods))
    assert plain(joined.paths).equals(plain(whole.paths))


def _thirds() -> Iterator[range]:
    return (range(first, first + 3) for first in (0, 3, 6))


def test_seeds_of_a_points_own_are_kept(small: Path, tmp_path: Path) -> None:
    run = computed(small, tmp_path, "sweep.random_numbers=independent")
    first, last = (whatif.simulate_point(run.folder, (), 10, point=point) for point in (0, 3))
    assert first.seed != last.seed
    assert plain(last.tables["paths"]).equals(rows_of(run, "paths", 3))


def test_a_configuration_file_is_a_source_as_well(small: Path, run: Run) -> None:
    found = whatif.simulate_point(small, (), 10, point=3)
    assert plain(found.tables["paths"]).equals(rows_of(run, "paths", 3))


def test_a_run_in_storage_without_files_is_a_source_as_well(run: Run) -> None:
    storage = fsspec.filesystem("memory")
    storage.put(str(run.folder), "/whatif/run", recursive=True)
    found = whatif.simulate_point("memory://whatif/run", (), 10, point=3)
    assert plain(found.tables["paths"]).equals(rows_of(run, "paths", 3))


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("plans.main.fee_rte=0.1", "did you mean plans.main.fee_rate"),
        ("plans.main.fee_rate=1.5", "--set: scenario.plans.main.fee_rate: .* got 1.5"),
        ("plans.main.fee_rate", "--set: expected dotted.field=value"),
        ("sweep.seed=3", "--set: sweep.seed: expected a field of the scenario"),
    ],
)
def test_a_wrong_setting_is_told_as_at_the_command_line(run: Run, override: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        whatif.simulate_point(run.folder, [override], 1)


def test_the_message_of_a_wrong_setting_is_that_of_a_run(run: Run, small: Path) -> None:
    with pytest.raises(ConfigError, match="--set") as here:
        whatif.simulate_point(run.folder, ["plans.main.wait_periods=-1"], 1)
    with pytest.raises(ConfigError, match="--set") as there:
        planning.plan(small, overrides=["plans.main.wait_periods=-1"])
    assert str(here.value) == str(there.value)


def test_a_point_that_there_is_none_of_is_refused(run: Run) -> None:
    with pytest.raises(IndexError, match="expected a point from 0 to 3, got 4"):
        whatif.simulate_point(run.folder, (), 1, point=4)


def test_a_path_that_fails_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("flows.simulation.parameters", fail)
    with pytest.raises(PathError, match="ZeroDivisionError: division by zero"):
        whatif.simulate_point(run.folder, (), 1)


@pytest.mark.parametrize(
    ("seconds_a_path", "most", "paths"),
    [(0.1, 100, 6), (0.001, 100, 100), (5.0, 100, 2), (5.0, 1, 1), (0.0, 7, 7)],
)
def test_as_many_paths_as_fit_but_two_at_least(
    seconds_a_path: float, most: int, paths: int
) -> None:
    assert whatif.paths_within(seconds_a_path, most, seconds=0.65) == paths


@pytest.mark.parametrize(
    ("seconds", "least"), [([0.09, 0.16, 0.08], 0.02), ([0.2], 0.2), ([0.05, 0.6, 0.8], 0.05)]
)
def test_what_a_path_takes_is_the_least_of_a_few(
    run: Run, monkeypatch: pytest.MonkeyPatch, seconds: list[float], least: float
) -> None:
    left = iter(seconds)
    simulated = whatif.simulate_point(run.folder)
    monkeypatch.setattr(whatif, "SECONDS", 0.45)
    monkeypatch.setattr(
        whatif, "simulate_point", lambda *_, **__: replace(simulated, seconds=next(left))
    )
    assert whatif.seconds_a_path(run.folder, 0) == least
