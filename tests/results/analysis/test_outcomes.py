"""Outcomes of paths: each against what its words say, worked by hand or by NumPy."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from results.analysis.outcomes import OUTCOMES, estimates, outcome_of, values
from results.run import Run, RunError, open_run
from results.schema import arrow_schema
from results.store import create_run
from tests.results.synthetic import a_manifest, a_run, close, filled, made_rows


def run_of(
    folder: Path, paths: int = 2, cells: list[dict[str, Any]] | None = None, **given: Any
) -> Run:
    """Write a run of one point, columns of `paths` as given."""
    keys = {"point": [0] * paths, "path": list(range(paths))} | given
    rows = filled("paths", keys, paths, np.random.default_rng(0))
    store = create_run(folder)
    files = [store.write_table("paths", rows, 0)]
    if cells:
        table = pa.Table.from_pylist(cells, arrow_schema("cells"))
        files.append(store.write_table("cells", table, 0))
    close(store, a_manifest(points=1, periods_per_year=12), files)
    return open_run(folder)


def value_of(run: Run, name: str) -> list[float]:
    return [float(value) for value in values(run, name)["value"].to_pylist()]


def test_a_yearly_share_counts_the_periods_until_the_closure(tmp_path: Path) -> None:
    # the last path closes in its 12th period and winds down for another six
    run = run_of(
        tmp_path,
        paths=3,
        share_total=[30.0, 30.0, 30.0],
        periods_run=[12, 18, 18],
        closure_period=[None, None, 11],
    )
    assert value_of(run, "share_a_year") == [30.0, 20.0, 30.0]


def test_what_only_some_paths_have_is_split_into_their_part_and_their_mean(tmp_path: Path) -> None:
    """The mean over all, 32.8, is near no path."""
    run = run_of(tmp_path, paths=5, uncovered_members=[0, 0, 0, 84, 80])
    part, those = estimates(run, ["uncovered_members_any", "uncovered_members_if_any"]).to_pylist()
    assert (part["mean"], part["paths"]) == (0.4, 5)
    # of 0, 0, 0, 1, 1 the sample's variance is 5 / 4 x 0.4 x 0.6 = 0.3
    assert part["standard_error"] == pytest.approx((0.3 / 5) ** 0.5, rel=1e-12)
    assert (those["mean"], those["paths"]) == (82.0, 2)
    assert those["standard_error"] == pytest.approx((8 / 2) ** 0.5, rel=1e-12)  # sd of 84, 80


def test_money_of_less_than_a_fen_is_none(tmp_path: Path) -> None:
    run = run_of(tmp_path, unfunded_benefits=[1e-9, 5.0])
    assert value_of(run, "unfunded_benefits_any") == [0.0, 1.0]
    assert value_of(run, "unfunded_benefits_if_any") == [5.0]


def test_a_pool_survives_that_is_open_at_the_horizon(tmp_path: Path) -> None:
    run = run_of(tmp_path, closure_cause=["none", "ruin"])
    assert value_of(run, "survived") == [1.0, 0.0]


def test_all_is_paid_where_less_than_a_fen_is_missing(tmp_path: Path) -> None:
    run = run_of(tmp_path, 3, unfunded_benefits=[0.0, 0.009, 0.01])
    assert value_of(run, "all_paid") == [1.0, 1.0, 0.0]


def cell(path: int, age: int, paid: float, expected: float, health: str = "standard") -> Any:
    keys = {"point": 0, "path": path, "plan": "main", "from_age": age, "to_age": age + 9}
    money = {"paid": paid, "received": 0.0, "expected": expected}
    return keys | money | {"sex": "male", "health": health, "exposure": 1, "cases": 0}


def test_cross_subsidy_is_what_was_moved_of_all_that_was_paid(tmp_path: Path) -> None:
    """Of 100 yuan 50 each were paid, 20 and 80 would have been fair: 30 were moved."""
    cells = [
        cell(0, 20, 50.0, 1.0),
        cell(0, 30, 25.0, 2.0),
        cell(0, 30, 25.0, 2.0, "impaired"),
        cell(0, 40, 99.0, 9.0, "padding"),
        cell(1, 20, 0.0, 1.0),
    ]
    found = values(run_of(tmp_path, cells=cells), "cross_subsidy").to_pylist()
    # on path 1 nothing was paid, so that nothing was moved
    assert [(row["path"], row["value"]) for row in found] == [(0, pytest.approx(0.3))]


def test_every_outcome_has_a_value_on_every_path(tmp_path: Path) -> None:
    cells = [cell(path, 20, 50.0, 1.0) for path in (0, 1)]
    run = run_of(tmp_path, cells=cells)
    found = estimates(run).to_pylist()
    assert [row["outcome"] for row in found] == list(OUTCOMES)
    assert {row["paths"] for row in found} == {2}


def test_estimates_agree_with_numpy(tmp_path: Path) -> None:
    made = made_rows(points=2, paths=9)
    found = estimates(a_run(tmp_path, made), ["benefits", "cases"]).to_pylist()
    assert [(r["point"], r["outcome"]) for r in found] == [
        (point, name) for point in (0, 1) for name in ("benefits", "cases")
    ]
    for row in found:
        rows = [r for r in made.paths.to_pylist() if r["point"] == row["point"]]
        own = np.array([float(r[row["outcome"]]) for r in rows])
        assert row["mean"] == pytest.approx(own.mean(), rel=1e-12)
        assert row["sd"] == pytest.approx(own.std(ddof=1), rel=1e-12)
        assert row["standard_error"] == pytest.approx(own.std(ddof=1) / 3, rel=1e-12)
        for name, level in (("q05", 0.05), ("q25", 0.25), ("q50", 0.5), ("q95", 0.95)):
            assert row[name] == pytest.approx(np.quantile(own, level), rel=1e-12)


def test_one_path_has_a_mean_and_no_error(tmp_path: Path) -> None:
    (row,) = estimates(run_of(tmp_path, 1, benefits=[5.0]), ["benefits"]).to_pylist()
    assert (row["mean"], row["q95"], row["sd"], row["standard_error"]) == (5.0, 5.0, None, None)


def test_only_the_points_asked_for_are_there(tmp_path: Path) -> None:
    run = a_run(tmp_path, made_rows(points=3, paths=2))
    assert values(run, "cases", [2, 0])["point"].to_pylist() == [0, 0, 2, 2]


def test_any_column_of_numbers_is_an_outcome_in_its_own_unit() -> None:
    assert outcome_of("returned_contributions").unit == "yuan"
    with pytest.raises(RunError, match="no outcome 'closure_cause'; did you mean"):
        outcome_of("closure_cause")
    with pytest.raises(RunError, match="no outcome 'share_max_'; did you mean share_max"):
        outcome_of("share_max_")
