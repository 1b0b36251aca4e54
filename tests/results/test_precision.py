"""Which points are known well enough: the law of the interval, and what is missing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from results.precision import check_outcome, imprecise_points
from results.run import RunError
from results.schema import arrow_schema
from results.store import RunStore, create_run
from tests.results.synthetic import a_manifest, filled

OUTCOME = "benefits"


def written(
    folder: Path, values: np.ndarray[Any, Any], shards: int = 1, outcome: str = OUTCOME
) -> RunStore:
    """Write an outcome of [points, paths], NaN where there is none, as shards of a run."""
    points, paths = np.indices(values.shape)
    keys = {"point": points.ravel(), "path": paths.ravel()}
    column = pa.array(values.ravel(), mask=np.isnan(values.ravel()))
    rows = filled("paths", keys | {outcome: column}, values.size, np.random.default_rng(0))
    store = create_run(folder)
    order = np.random.default_rng(shards).permutation(values.size)
    for shard, chosen in enumerate(np.array_split(order, shards)):
        store.finish_shard(shard, [store.write_table("paths", rows.take(pa.array(chosen)), shard)])
    return store


def imprecise(
    store: RunStore,
    paths: int,
    *,
    half_width: float | None = None,
    relative: float | None = None,
    points: list[int] | None = None,
    outcome: str = OUTCOME,
    confidence: float = 0.95,
) -> set[int]:
    """Ask for the points that are not yet known well enough."""
    found = imprecise_points(
        store,
        points,
        paths,
        outcome=outcome,
        half_width=half_width,
        relative_half_width=relative,
        confidence=confidence,
    )
    return set(found)


def half_widths(values: np.ndarray[Any, Any], confidence: float) -> list[float]:
    """Return half of each point's interval, as SciPy has it."""
    halves = []
    for row in values:
        known = row[~np.isnan(row)]
        low, high = stats.t.interval(confidence, known.size - 1, known.mean(), stats.sem(known))
        halves.append((high - low) / 2)
    return halves


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_the_interval_is_students(tmp_path: Path, confidence: float) -> None:
    values = np.random.default_rng(1).normal(1e3, 50, (4, 9))
    store = written(tmp_path, values)
    for point, half in enumerate(half_widths(values, confidence)):
        mean = abs(values[point].mean())
        # a part in a million more or less than the interval decides
        for factor, wide in ((1 - 1e-6, True), (1 + 1e-6, False)):
            limits = ({"half_width": half * factor}, {"relative": half / mean * factor})
            for limit in limits:
                answer = imprecise(store, 9, points=[point], confidence=confidence, **limit)
                assert answer == ({point} if wide else set())


def test_both_limits_must_be_met(tmp_path: Path) -> None:
    store = written(tmp_path, np.array([[9.0, 11.0] * 8]))
    assert imprecise(store, 16, half_width=1.0, relative=0.1) == set()
    assert imprecise(store, 16, half_width=0.1, relative=0.1) == {0}
    assert imprecise(store, 16, half_width=1.0, relative=0.01) == {0}


def test_paths_beyond_those_asked_about_do_not_count(tmp_path: Path) -> None:
    steady, later = np.full((1, 8), 5.0), np.array([[0.0, 1e6] * 4])
    store = written(tmp_path, np.hstack([steady, later]))
    assert imprecise(store, 8, half_width=0.1) == set()
    assert imprecise(store, 9, half_width=0.1) == {0}


def test_an_outcome_that_never_varies_is_known(tmp_path: Path) -> None:
    store = written(tmp_path, np.zeros((1, 3)))
    assert imprecise(store, 3, relative=0.01) == set()


def test_a_mean_of_nothing_is_not_known_in_proportion(tmp_path: Path) -> None:
    store = written(tmp_path, np.array([[-1.0, 1.0] * 50]))
    assert imprecise(store, 100, relative=0.5) == {0}


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        ([5.0, math.nan, 5.0, math.nan], set()),
        ([5.0, math.nan, math.nan, math.nan], {0}),
        ([math.nan, math.nan, math.nan, math.nan], {0}),
        ([5.0, math.nan, 5.0, 900.0], {0}),
    ],
)
def test_paths_without_a_value_are_left_out(
    tmp_path: Path, values: list[float], answer: set[int]
) -> None:
    store = written(tmp_path, np.array([values]), outcome="closure_period")
    assert imprecise(store, 4, half_width=1.0, outcome="closure_period") == answer


def test_what_is_no_finite_number_is_not_known(tmp_path: Path) -> None:
    store = written(tmp_path, np.array([[1.0, math.inf, 1.0]]))
    assert imprecise(store, 3, half_width=1e9) == {0}


def test_one_path_tells_nothing_of_its_spread(tmp_path: Path) -> None:
    store = written(tmp_path, np.full((2, 5), 3.0))
    assert imprecise(store, 1, half_width=1e9) == {0, 1}


def test_without_points_all_of_the_run_are_asked_about(tmp_path: Path) -> None:
    store = written(tmp_path, np.full((2, 5), 3.0))
    assert imprecise(store, 5, half_width=1.0) == set()
    store.write_manifest(a_manifest(points=4))
    assert imprecise(store, 5, half_width=1.0) == {2, 3}
    assert imprecise(store, 5, half_width=1.0, points=[0, 3]) == {3}


@pytest.mark.parametrize("shards", [2, 5, 30])
def test_the_shards_do_not_change_what_is_known(tmp_path: Path, shards: int) -> None:
    values = np.random.default_rng(3).lognormal(3, 2, (6, 40))
    one, many = written(tmp_path / "one", values), written(tmp_path / "many", values, shards)
    for half in half_widths(values, 0.95):
        # at the very limit the last bit of the sums decides
        assert imprecise(one, 40, half_width=half) == imprecise(many, 40, half_width=half)


@pytest.mark.statistical
@pytest.mark.parametrize("paths", [2, 5, 20])
def test_the_interval_holds_the_mean_as_often_as_it_says(tmp_path: Path, paths: int) -> None:
    # An outcome of mean 0 is outside its interval where the interval is narrower than the mean's
    # size: precise for a relative half-width of 1. That is so in a part 1 - confidence of the
    # points. A false alarm of a test at 4.9 standard deviations: one in a million.
    points, confidence = 20_000, 0.9
    values = np.random.default_rng(11).normal(0.0, 7.0, (points, paths))
    missed = points - len(
        imprecise(written(tmp_path, values), paths, relative=1.0, confidence=confidence)
    )
    expected = (1 - confidence) * points
    assert abs(missed - expected) < 4.9 * math.sqrt(expected * confidence)


@pytest.mark.parametrize(
    "column",
    [c.name for c in arrow_schema("paths") if not pa.types.is_dictionary(c.type)][2:],
)
def test_every_column_of_numbers_is_an_outcome(tmp_path: Path, column: str) -> None:
    check_outcome(column)
    store = written(tmp_path, np.full((1, 3), 2.0), outcome=column)
    assert imprecise(store, 3, half_width=0.1, outcome=column) == set()


@pytest.mark.parametrize("name", ["member_end", "closure_cause", "point", "path", "share"])
def test_what_is_no_outcome_is_told_with_the_nearest(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match=rf"no outcome '{name}': expected a column of numbers of"):
        check_outcome(name)
    with pytest.raises(RunError, match=f"no outcome '{name}'"):
        imprecise(create_run(tmp_path), 3, half_width=1.0, outcome=name)
    with pytest.raises(RunError, match="such as members_end"):
        check_outcome("member_end")


def test_a_question_that_is_none_is_told(tmp_path: Path) -> None:
    store = create_run(tmp_path)
    with pytest.raises(ValueError, match="expected half_width, relative_half_width or both"):
        imprecise(store, 3)
    with pytest.raises(ValueError, match=r"confidence: expected .* between 0 and 1, got 95"):
        imprecise(store, 3, half_width=1.0, confidence=95)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    store = written(tmp_path, np.full((1, 3), 2.0))
    path = tmp_path / "paths" / "shard-00000.parquet"
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(RunError, match=r"shard-00000\.parquet: cannot be read"):
        imprecise(store, 3, half_width=1.0)
