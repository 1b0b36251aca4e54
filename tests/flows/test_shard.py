"""What a worker does, in this process."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.sweep import scenario_at
from flows import plan as planning
from flows import shard
from flows.layout import Shard
from kernels import cohort, events
from results.manifest import ShardRecord
from results.run import open_run
from results.schema import arrow_schema


@pytest.fixture(scope="module")
def plan(small: Path, tmp_path_factory: pytest.TempPathFactory) -> planning.Plan:
    """Return a run whose folder is made, and which holds no shards."""
    run = planning.plan(small, tmp_path_factory.mktemp("runs"))
    planning.begin(run)
    return run


@pytest.fixture(scope="module")
def record(plan: planning.Plan) -> ShardRecord:
    """Return the record of a shard with the end of one point and the beginning of another."""
    return shard.run(str(plan.folder), Shard(2, 17, 23))


def test_a_shard_is_taken_apart_by_point() -> None:
    assert list(shard.pairs_by_point(Shard(0, 17, 31), 10)) == [
        (1, range(7, 10)),
        (2, range(10)),
        (3, range(1)),
    ]


def test_a_shard_within_a_point_is_one_block() -> None:
    assert list(shard.pairs_by_point(Shard(0, 3, 5), 10)) == [(0, range(3, 5))]


def test_a_shard_that_ends_with_a_point_has_no_empty_block() -> None:
    assert list(shard.pairs_by_point(Shard(0, 10, 20), 10)) == [(1, range(10))]


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
        pool = shard.parameters(scenario_at(plan.config, row["point"]))
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
        for name in ("exposure", "cases", "paid", "received", "expected"):
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


def test_a_path_that_cannot_be_simulated_is_named_with_point_and_seed(
    plan: planning.Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_at_path_4(pool: Any, seed: Any, path: int, outcome: Any) -> None:
        if path == 4:
            raise ZeroDivisionError("no members")

    monkeypatch.setattr(cohort, "simulate_path", fail_at_path_4)
    message = (
        r"point 1 \(plans.main.fee_rate=0.0, motives.\*.education_speed=0.2\), path 4, seed 7: "
        "ZeroDivisionError: no members"
    )
    with pytest.raises(shard.ShardError, match=message):
        shard.run(str(plan.folder), Shard(1, 12, 17))
    assert not (plan.folder / "periods" / "shard-00001.parquet").exists()


def test_a_failure_survives_its_way_from_worker_to_flow() -> None:
    error = pickle.loads(pickle.dumps(shard.ShardError("point 1, path 4, seed 7: no members")))
    assert str(error) == "point 1, path 4, seed 7: no members"
