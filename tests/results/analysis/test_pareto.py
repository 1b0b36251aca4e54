"""The front: worked by hand, with ties, and as sure as its paths make it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.analysis.pareto import front, pareto
from results.pooled import pooled
from results.run import RunError
from tests.results.analysis.swept import swept_run

FEE = "plans.main.fee_rate"
NAMES = ("share_max", "peak_members")  # the less the better, the more the better
SHARE = np.array([1.0, 2.0, 3.0, 2.0, 9.0, 3.0])
PEAK = np.array([10, 20, 15, 20, 5, 30])
ON_FRONT = [True, True, False, True, False, True]  # 1 and 3 are equal; 1 beats 2, and all beat 4
NOISE = np.array([-0.01, 0.0, 0.01])


def test_a_front_worked_by_hand_with_ties(tmp_path: Path) -> None:
    swept = [{FEE: k / 10} for k in range(6)]
    outcomes = {NAMES[0]: SHARE[:, np.newaxis] + NOISE, NAMES[1]: np.tile(PEAK, (3, 1)).T}
    run = swept_run(tmp_path / "run", {}, swept, outcomes)
    found = pareto(run, NAMES, resamples=50)
    assert found["point"].to_pylist() == list(range(6))
    assert found["on_front"].to_pylist() == ON_FRONT
    np.testing.assert_allclose(found["share_max"], SHARE, rtol=1e-14)
    # the deviation of -0.01, 0, 0.01 is 0.01; over three paths 0.01 / √3
    np.testing.assert_allclose(found["share_max_standard_error"], 0.01 / 3**0.5, rtol=1e-10)
    # points in equal weather never change places
    assert found["probability"].to_pylist() == [float(place) for place in ON_FRONT]


def test_points_told_apart_by_chance_are_as_sure_as_the_draws_of_paths(tmp_path: Path) -> None:
    """Point 1 is better on one path of two, by 1 against 0.9: it beats point 0 unless it is worse
    on both paths drawn, which they are once in four; 0.08 is over five standard deviations of 800
    draws, false alarm 1e-7, and the seed is fixed. The last point is far from the front.
    """
    share = np.array([[2.0, 2.0], [1.0, 2.9], [50.0, 50.0]])
    swept = [{FEE: k / 10} for k in range(3)]
    run = swept_run(tmp_path / "run", {}, swept, {"share_max": share})
    found = pareto(run, ("share_max",), resamples=800)
    assert found["on_front"].to_pylist() == [False, True, False]
    assert found["probability"].to_pylist() == pytest.approx([0.25, 0.75, 0.0], abs=0.08)
    assert found["probability"][2].as_py() == 0
    assert pareto(run, ("share_max",), resamples=800).equals(found)


def test_paths_that_draws_share_are_drawn_together(tmp_path: Path) -> None:
    """Two points at ten draws; point 1 is better at path 0 and worse at path 1, by 1 against 0.9,
    whatever the draw. Draws do not tell more: point 0 is ahead where both paths drawn are path 1,
    once in four. 0.08 is over five standard deviations of 800 resamples, false alarm 1e-7, and the
    seed is fixed. Values counted as independent would give 0.41.
    """
    draws = {"name": "sample", "fields": ["claims.level"], "rows": 10}
    sweep = {"paths": 2, "draws": draws | {"values": [str(k) for k in range(10)]}}
    swept = [
        {"draw": draw, FEE: fee, "claims.level": float(draw)}
        for draw in range(10)
        for fee in (0.0, 0.1)
    ]
    share = np.tile([[2.0, 2.0], [1.0, 2.9]], (10, 1))
    run = pooled(swept_run(tmp_path / "run", sweep, swept, {"share_max": share}))
    found = pareto(run, ("share_max",), resamples=800)
    assert found["on_front"].to_pylist() == [False, True]
    assert found["probability"].to_pylist() == pytest.approx([0.25, 0.75], abs=0.08)


def test_only_points_asked_for_and_there_are_compared(tmp_path: Path) -> None:
    swept = [{FEE: k / 10} for k in range(6)]
    outcomes = {NAMES[0]: SHARE[:, np.newaxis], NAMES[1]: PEAK[:, np.newaxis]}
    run = swept_run(tmp_path / "run", {}, swept, outcomes, missing=[1])
    found = pareto(run, NAMES, points=[1, 2, 4], resamples=5)
    assert found["point"].to_pylist() == [2, 4]
    assert found["on_front"].to_pylist() == [True, False]
    assert found["share_max_standard_error"].to_pylist() == [None, None]
    with pytest.raises(RunError, match="no point has a value of share_max, peak_members"):
        pareto(run, NAMES, points=[1])


def test_an_outcome_that_is_better_neither_way_is_refused(tmp_path: Path) -> None:
    run = swept_run(tmp_path / "run", {}, [{FEE: 0.1}], {"cases": np.ones((1, 2), int)})
    with pytest.raises(RunError, match="cases is better neither more nor less"):
        pareto(run, ("cases",))


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_a_front_is_that_of_all_pairs(points: int, outcomes: int, seed: int) -> None:
    """Whole numbers from 0 to 4, so that there are ties."""
    costs = np.random.default_rng(seed).integers(0, 5, (points, outcomes)).astype(float)
    as_good = (costs[:, None] <= costs[None]).all(axis=2)
    better = (costs[:, None] < costs[None]).any(axis=2)
    np.testing.assert_array_equal(front(costs), ~(as_good & better).any(axis=0))


def test_a_point_without_a_value_is_on_no_front_and_beats_none() -> None:
    assert front(np.array([[np.nan, 0.0], [1.0, 1.0]])).tolist() == [False, True]
