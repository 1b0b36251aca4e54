"""What a worker does, in this process."""

import itertools
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from configs import arrays
from configs.sweep import scenario_at
from flows import plan as planning
from flows import shard, simulation
from flows.code import short_code
from flows.layout import Shard
from kernels import cohort, events, member
from kernels.dtypes import MEMBER_ROW
from results import parquet
from results.atomic import StoreError, is_temporary
from results.manifest import ShardRecord
from results.run import open_run
from results.schema import LAPSE_CAUSES, POOL_CLOSED, arrow_schema
from results.store import create_run
from tests.flows.conftest import ROOT


@pytest.fixture(scope="module")
def plan(small: Path, tmp_path_factory: pytest.TempPathFactory) -> planning.Plan:
    """Return a run whose folder is made, and which holds no shards."""
    run = planning.plan(small, tmp_path_factory.mktemp("runs"))
    create_run(run.folder)
    planning.begin(run)
    return run


def begun_alone(small: Path, folder: Path) -> planning.Plan:
    """Begin a run by cells that nobody else writes in."""
    run = planning.plan(small, folder)
    create_run(run.folder)
    planning.begin(run)
    return run


@pytest.fixture(scope="module")
def record(plan: planning.Plan) -> ShardRecord:
    """Return the record of a shard with the end of one point and the beginning of another."""
    return shard.run(str(plan.folder), Shard(2, 0, 17, 23))


def test_files_hold_the_columns_of_the_schema(plan: planning.Plan, record: ShardRecord) -> None:
    opened = open_run(plan.folder)
    assert [entry.path for entry in record.files] == [
        "paths/shard-00002.parquet",
        "pools/shard-00002.parquet",
        "periods/shard-00002.parquet",
        "cells/shard-00002.parquet",
    ]
    for table in ("paths", "pools", "periods", "cells"):
        assert opened.arrow(table).schema.equals(arrow_schema(table), check_metadata=True)


def test_every_figure_is_what_the_kernel_says(plan: planning.Plan, record: ShardRecord) -> None:
    opened = open_run(plan.folder)
    paths, periods = opened.arrow("paths").to_pylist(), opened.pandas("periods")
    cells = opened.pandas("cells")
    assert [(row["point"], row["path"]) for row in paths] == [
        *((1, path) for path in (7, 8, 9)),
        *((2, path) for path in (0, 1, 2)),
    ]
    for row in paths:
        pool = simulation.parameters(scenario_at(plan.config, row["point"]))
        seed: Any = np.uint64(7)
        outcome = events.new_outcome(pool)
        rows, path_row = outcome.periods, outcome.path
        cohort.simulate_path(pool, seed, row["path"], outcome)
        written = periods[(periods["point"] == row["point"]) & (periods["path"] == row["path"])]
        ran = int(path_row["periods_run"][0])
        assert list(written["period"]) == list(range(ran))
        for name in arrow_schema("periods").names[5:]:
            np.testing.assert_array_equal(written[name], rows[name][:ran, 0])
        for name in ("peak_members", "share_total", "cases", "benefits", "uncovered_members"):
            assert row[name] == path_row[name][0]
        by_cell = cells[(cells["point"] == row["point"]) & (cells["path"] == row["path"])]
        for name in ("exposure", "cases", "paid", "received", "expected", "uncovered"):
            np.testing.assert_allclose(by_cell[name].sum(), outcome.cells[name].sum(), rtol=1e-12)


def test_a_closed_path_names_its_cause_and_an_open_one_has_no_closure_period(
    plan: planning.Plan, record: ShardRecord
) -> None:
    paths = open_run(plan.folder).pandas("paths")
    is_open = paths["closure_cause"] == "none"
    assert set(paths["closure_cause"]) <= {"none", "share_limit"}
    assert paths["closure_period"].isna().equals(is_open)
    assert (paths.loc[is_open, "periods_run"] == 12).all()


def test_a_record_is_small_and_says_what_was_done(record: ShardRecord) -> None:
    assert record.details["paths"] == 6
    assert 0 < record.details["kernel_seconds"] <= record.details["wall_seconds"]
    assert len(pickle.dumps(record)) < 1500


Simulate = Callable[[Any, Any, int, Any], None]


def failing(monkeypatch: pytest.MonkeyPatch, fail: Simulate) -> None:
    """Have every path call `fail` before it is simulated by cells."""
    simulate_path = cohort.simulate_path

    def simulate(pool: Any, seed: Any, path: int, outcome: Any) -> None:
        simulate_path(pool, seed, path, outcome)
        fail(pool, seed, path, outcome)

    monkeypatch.setattr(cohort, "simulate_path", simulate)


def test_a_point_that_fails_is_recorded_and_the_others_of_its_shard_finish(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(pool: Any, seed: Any, path: int, outcome: Any) -> None:
        if path == 4 and pool.plans["fee_rate"][0] == 0:
            raise ZeroDivisionError("no members")

    run = begun_alone(small, tmp_path)
    with monkeypatch.context() as patch:
        failing(patch, fail)
        record = shard.run(str(run.folder), Shard(1, 0, 12, 27))
    (failure,) = record.failures
    assert (failure.shard, failure.point, failure.path, failure.seed) == (1, 1, 4, 7)
    assert failure.parameters == {
        "plans.main.fee_rate": 0.0,
        "motives.*.education_speed": 0.2,
    }
    assert failure.error == "ZeroDivisionError: no members"
    assert "in fail" in failure.traceback
    assert set(open_run(run.folder).pandas("paths")["point"]) == {2}
    assert run.store.failed_shards().keys() == {1}
    # and again, now that nothing fails
    again = shard.run(str(run.folder), Shard(1, 0, 12, 27))
    assert again.failures == ()
    assert set(open_run(run.folder).pandas("paths")["point"]) == {1, 2}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda outcome: outcome.periods["share"].__setitem__((3, 0), np.nan),
            "periods.share is nan at [3, 0]",
        ),
        (
            lambda outcome: outcome.path["benefits"].__setitem__(0, np.inf),
            "path.benefits is inf at [0]",
        ),
    ],
)
def test_a_figure_that_is_no_number_fails_its_point(
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Any], None],
    told: str,
) -> None:
    def fail(pool: Any, seed: Any, path: int, outcome: Any) -> None:
        if path == 8:
            spoil(outcome)

    run = begun_alone(small, tmp_path)
    failing(monkeypatch, fail)
    record = shard.run(str(run.folder), Shard(0, 0, 5, 15))
    assert [(failure.point, failure.path, failure.error) for failure in record.failures] == [
        (0, 8, told)
    ]


def test_points_that_are_left_out_have_no_rows(small: Path, tmp_path: Path) -> None:
    run = begun_alone(small, tmp_path)
    record = shard.run(str(run.folder), Shard(0, 0, 5, 35), left_out=(0, 2))
    assert record.details["paths"] == 15
    assert set(open_run(run.folder).pandas("paths")["point"]) == {1, 3}


def test_a_shard_that_is_finished_is_not_simulated_again(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun_alone(small, tmp_path)
    before = shard.run(str(run.folder), Shard(0, 0, 5, 8))

    def fail(*_: Any) -> None:
        raise AssertionError("simulated again")

    failing(monkeypatch, fail)
    assert shard.run(str(run.folder), Shard(0, 0, 5, 8)) == before
    with (run.folder / "paths" / "shard-00000.parquet").open("ab") as file:
        file.write(b"more")
    assert shard.run(str(run.folder), Shard(0, 0, 5, 8)).failures


def test_a_worker_with_other_code_refuses(small: Path, tmp_path: Path) -> None:
    run = begun_alone(small, tmp_path)
    with pytest.raises(shard.CodeError, match="other code or versions than the run began with"):
        shard.run(str(run.folder), Shard(0, 0, 5, 8), expected_code="0" * 16)
    assert (
        shard.run(str(run.folder), Shard(0, 0, 5, 8), expected_code=short_code()).details["paths"]
        == 3
    )


def test_a_run_by_cells_has_no_members_and_says_so_by_an_empty_table(
    plan: planning.Plan, record: ShardRecord
) -> None:
    assert open_run(plan.folder).arrow("members").num_rows == 0
    assert not (plan.folder / "members").exists()


@pytest.mark.parametrize(
    ("statement", "needed"),
    [
        ("import flows.shard", False),
        ("from flows.warmup import compile_kernels; compile_kernels()", False),
        ("from flows.warmup import compile_kernels; compile_kernels(['member'])", True),
    ],
)
def test_the_member_engine_is_imported_only_where_a_point_needs_it(
    statement: str, needed: bool
) -> None:
    code = f"import sys; {statement}; print('kernels.member' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{needed}\n"


# Member by member

FEW = ["market_members=4_000", "claims.level=40", "closure.share_limit_yuan=30"]
BOTH = [*FEW, "sweep.paths=3", "sweep.axes.engine=[cohort, member]"]


def begun(config: Path, folder: Path, *overrides: str) -> planning.Plan:
    """Begin a run whose points are of either engine in turn, three paths each."""
    run = planning.plan(config, folder, overrides=[*BOTH, *overrides])
    create_run(run.folder)
    planning.begin(run)
    return run


@pytest.fixture(scope="module")
def both(small: Path, tmp_path_factory: pytest.TempPathFactory) -> planning.Plan:
    """Return a run of which four points are done, in two shards that both engines are in."""
    run = begun(small, tmp_path_factory.mktemp("both"))
    shard.run(str(run.folder), Shard(0, 0, 0, 5))
    shard.run(str(run.folder), Shard(1, 0, 5, 12))
    return run


def members_of(run: planning.Plan) -> pd.DataFrame:
    return open_run(run.folder).pandas("members")


def test_members_have_rows_where_their_point_is_of_their_engine(both: planning.Plan) -> None:
    opened = open_run(both.folder)
    engines = [scenario_at(both.config, point).engine for point in range(8)]
    assert engines == ["cohort", "member"] * 4
    written = [entry.path for record in opened.shards for entry in record.files]
    assert [path for path in written if path.startswith("members")] == [
        "members/shard-00000.parquet",
        "members/shard-00001.parquet",
    ]
    assert opened.arrow("members").schema.equals(arrow_schema("members"), check_metadata=True)
    members, paths = members_of(both), opened.pandas("paths")
    assert sorted(set(members["point"])) == [1, 3]
    assert set(paths["point"]) == {0, 1, 2, 3}
    assert (members.groupby(["point", "path"]).size() > 500).all()


def test_every_row_is_what_the_kernel_says(both: planning.Plan) -> None:
    scenario = scenario_at(both.config, 1)
    pool, groups = simulation.parameters(scenario), arrays.groups(scenario)
    outcome, seed = events.new_outcome(pool), np.uint64(7)
    rows = np.concatenate(list(simulation.engine(scenario, pool)(seed, 2, outcome)))
    assert rows.dtype == MEMBER_ROW
    members = members_of(both)
    members = members[(members["point"] == 1) & (members["path"] == 2)]
    for name in ("member", "joined", "bills", "frailty", "paid", "received", "returned"):
        np.testing.assert_array_equal(members[name], rows[name])
    np.testing.assert_array_equal(members["left"].fillna(-1), rows["left"])
    chosen = [groups[group] for group in rows["group"]]
    assert list(members["age"]) == [group.from_age for group in chosen]
    assert list(members["sex"]) == [group.sex for group in chosen]
    assert list(members["health"]) == [group.health for group in chosen]
    causes = (*LAPSE_CAUSES, POOL_CLOSED)
    expected = [causes[cause] if cause >= 0 else None for cause in rows["cause"]]
    assert members["cause"].astype(object).where(members["cause"].notna(), None).tolist() == (
        expected
    )
    assert set(members["motive"]) == {"trying", "staying"}
    assert set(members["plan"]) == set(members["pool"]) == {"main"}
    assert set(members["channel"]) == {"app"}
    assert (members["frailty"] == 1).all()


def test_rows_of_members_add_up_to_the_periods(both: planning.Plan) -> None:
    opened = open_run(both.folder)
    members, periods = members_of(both), opened.pandas("periods")
    for one in opened.arrow("paths").to_pylist():
        if one["point"] not in {1, 3}:
            continue
        rows, settled = (
            table[(table["point"] == one["point"]) & (table["path"] == one["path"])]
            for table in (members, periods)
        )
        assert len(rows) == settled["joins"].sum()
        for cause in LAPSE_CAUSES:
            assert (rows["cause"] == cause).sum() == settled[f"lapses_{cause}"].sum(), cause
        still = rows["left"].isna() | (rows["cause"] == POOL_CLOSED)
        assert still.sum() == settled["members"].iloc[-1]
        assert rows["left"].isna().any() == (one["closure_cause"] == "none")
        np.testing.assert_allclose(rows["received"].sum(), settled["benefits"].sum(), rtol=1e-9)
        np.testing.assert_allclose(rows["paid"].sum(), settled["collected"].sum(), rtol=1e-9)


def test_rows_do_not_depend_on_the_cut_nor_on_when_they_are_written(
    both: planning.Plan, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = open_run(both.folder).arrow("members")
    monkeypatch.setattr(member, "ROWS_AT_A_TIME", 64)
    monkeypatch.setattr(parquet, "ROWS_OF_A_GROUP", 100)
    one = begun(small, tmp_path)
    shard.run(str(one.folder), Shard(0, 0, 0, 12))
    found = open_run(one.folder).arrow("members")
    assert sorted(found.to_pylist(), key=str) == sorted(expected.to_pylist(), key=str)
    (file,) = (one.folder / "members").iterdir()
    groups = pq.ParquetFile(file).metadata
    sizes = [groups.row_group(i).num_rows for i in range(groups.num_row_groups)]
    assert len(sizes) > 10
    assert set(sizes[:-1]) == {100}


def test_a_shard_computed_again_is_the_same_file(both: planning.Plan) -> None:
    first = {entry.path: entry for entry in shard.run(str(both.folder), Shard(1, 0, 5, 12)).files}
    (both.folder / "shards" / "shard-00001.json").unlink()
    again = {entry.path: entry for entry in shard.run(str(both.folder), Shard(1, 0, 5, 12)).files}
    assert first == again


def test_a_sample_of_the_members_changes_nothing_else(
    both: planning.Plan, small: Path, tmp_path: Path
) -> None:
    """Some tenth of about 5000 rows: 6 sigma are 130, a false alarm in 10**8."""
    sampled = begun(small, tmp_path, "sweep.members_sample=0.1")
    shard.run(str(sampled.folder), Shard(0, 0, 0, 12))
    every, some = members_of(both), members_of(sampled)
    keys = ["point", "path", "member", "plan", "joined"]
    assert some.merge(every, on=list(every.columns)).shape[0] == len(some)
    sigma = np.sqrt(len(every) * 0.1 * 0.9)
    assert abs(len(some) - 0.1 * len(every)) < 6 * sigma
    assert not some.duplicated(keys).any()
    tables = [open_run(run.folder).pandas("periods") for run in (both, sampled)]
    order = ["point", "path", "period"]
    one, other = (table.sort_values(order).reset_index(drop=True) for table in tables)
    pd.testing.assert_frame_equal(one, other)


def test_without_a_sample_there_is_a_file_without_rows(small: Path, tmp_path: Path) -> None:
    run = begun(small, tmp_path, "sweep.members_sample=0")
    files = shard.run(str(run.folder), Shard(0, 0, 3, 4)).files
    assert [(entry.path, entry.rows) for entry in files if entry.table == "members"] == [
        ("members/shard-00000.parquet", 0)
    ]
    assert members_of(run).empty


def test_members_before_the_first_period_came_by_no_channel(small: Path, tmp_path: Path) -> None:
    people = "[{age: 30, sex: male, motive: staying, health: standard, members: 7, "
    run = begun(small, tmp_path, f"initial_members={people}tenure_periods: 5}}]")
    shard.run(str(run.folder), Shard(0, 0, 3, 4))
    before = members_of(run).query("joined < 0")
    assert len(before) == 7
    assert before["channel"].isna().all()
    assert set(before["joined"]) == {-5}
    assert set(before["age"]) == {30}


def test_a_path_of_members_that_fails_leaves_none_of_its_point(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate_path = member.simulate_path

    def fail_half_way(pool: Any, individuals: Any, seed: Any, path: int, outcome: Any) -> Any:
        yield from itertools.islice(simulate_path(pool, individuals, seed, path, outcome), 2)
        if path == 1 and pool.plans["fee_rate"][0] == 0:
            raise ZeroDivisionError("no members")

    run = begun(small, tmp_path)
    monkeypatch.setattr(member, "ROWS_AT_A_TIME", 64)
    monkeypatch.setattr(parquet, "ROWS_OF_A_GROUP", 100)
    monkeypatch.setattr(member, "simulate_path", fail_half_way)
    record = shard.run(str(run.folder), Shard(0, 0, 3, 18))
    assert [(failure.point, failure.path) for failure in record.failures] == [(1, 1), (3, 1)]
    assert set(members_of(run)["point"]) == {5}
    assert set(open_run(run.folder).pandas("paths")["point"]) == {2, 4, 5}


def test_rows_that_cannot_be_written_are_told_as_such(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise StoreError("disk full")

    run = begun(small, tmp_path)
    monkeypatch.setattr(parquet.TableWriter, "write", refuse)
    with pytest.raises(StoreError, match=r"^disk full$"):
        shard.run(str(run.folder), Shard(0, 0, 3, 5))
    assert not any(is_temporary(path.name) for path in run.folder.rglob("*"))
