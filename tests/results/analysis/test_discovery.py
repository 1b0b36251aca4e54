"""Discovery: a box that was planted is found again, and what cannot be told apart is refused."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.analysis.discovery import Discovery, discover
from results.run import Run, RunError
from tests.results.analysis.swept import swept_run

FEE, SPEED, RULE = "plans.main.fee_rate", "motives.*.education_speed", "plans.main.rule"
OUTCOME = "share_total"
POINTS = 500
SWEEP = {
    "design": "random",
    "points": POINTS,
    "axes": {
        FEE: {"low": 0.0, "high": 0.5},
        SPEED: {"low": 0.0, "high": 1.0},
        RULE: ["equal", "expected", "linear"],
        "periods": {"low": 1, "high": 72},
    },
}


def points(size: int = POINTS) -> list[dict[str, Any]]:
    rng = np.random.default_rng(7)
    return [
        {
            FEE: float(rng.uniform(0, 0.5)),
            SPEED: float(rng.random()),
            RULE: str(rng.choice(["equal", "expected", "linear"])),
            "periods": int(rng.integers(1, 73)),
        }
        for _ in range(size)
    ]


def planted(point: dict[str, Any]) -> bool:
    return bool(point[FEE] >= 0.2 and point[SPEED] <= 0.6 and point[RULE] != "expected")


def run_of(folder: Path, swept: list[dict[str, Any]], value: list[float], **more: Any) -> Run:
    return swept_run(folder, SWEEP, swept, {OUTCOME: np.array(value)[:, np.newaxis]}, **more)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Discovery:
    """A box planted among 500 points: inside the outcome is 10, outside 0."""
    swept = points()
    run = run_of(tmp_path_factory.mktemp("run"), swept, [10.0 * planted(p) for p in swept])
    return discover(run, OUTCOME, threshold=5, above=True)


def test_a_planted_box_is_found(found: Discovery) -> None:
    """Of 500 points of one seed; ends within a peel, a twentieth of the points that are left."""
    box = found.boxes[0]
    assert box.coverage > 0.9
    assert box.density > 0.9
    assert set(box.limits) == {FEE, SPEED, RULE}
    assert set(box.limits[RULE]) == {"equal", "linear"}
    assert box.limits[FEE][0] == pytest.approx(0.2, abs=0.03)
    assert box.limits[SPEED][1] == pytest.approx(0.6, abs=0.06)
    assert box.limits[FEE][1] == pytest.approx(0.5, abs=0.03)
    assert max(box.quasi_p.values()) < 1e-6


def test_what_is_said_of_a_box_is_so(found: Discovery) -> None:
    box = found.boxes[0]
    fee, speed = box.limits[FEE], box.limits[SPEED]
    inside = [
        point
        for point in points()
        if fee[0] <= point[FEE] <= fee[1]
        and speed[0] <= point[SPEED] <= speed[1]
        and point[RULE] in box.limits[RULE]
    ]
    cases = sum(map(planted, inside))
    assert (box.points, box.cases) == (len(inside), cases)
    assert box.density == pytest.approx(cases / len(inside))
    assert box.coverage == pytest.approx(cases / found.of_interest)
    assert (found.points, found.of_interest) == (POINTS, sum(map(planted, points())))


def test_a_second_box_is_found_outside_of_the_first(tmp_path: Path) -> None:
    """Two slabs are of interest, four tenths and three tenths of all points, and overlap."""
    swept = points()
    slabs = [1.0 * (p[FEE] > 0.3 or p[SPEED] > 0.7) for p in swept]
    found = discover(run_of(tmp_path / "run", swept, slabs), OUTCOME, threshold=0.5, above=True)
    first, second = found.boxes[:2]
    assert [tuple(box.limits) for box in (first, second)] == [(FEE,), (SPEED,)]
    assert first.limits[FEE][0] == pytest.approx(0.3, abs=0.03)
    assert second.limits[SPEED][0] == pytest.approx(0.7, abs=0.06)
    assert all(box.density >= 0.8 for box in found.boxes)
    assert 0.9 < sum(box.coverage for box in found.boxes) <= 1


def test_pools_that_do_not_survive_are_of_interest_where_nothing_is_said(tmp_path: Path) -> None:
    swept = points(60)
    closed = {"closure_cause": np.array([["too_small" if planted(p) else "none"] for p in swept])}
    found = discover(swept_run(tmp_path / "run", SWEEP, swept, closed))
    assert (found.outcome, found.threshold, found.above) == ("survived", 0.5, False)
    assert found.of_interest == sum(map(planted, swept))


def test_points_that_are_not_there_and_axes_that_do_not_apply_are_left_out(tmp_path: Path) -> None:
    swept = points(60)
    swept[3][SPEED] = None
    run = run_of(tmp_path / "run", swept, [p[FEE] for p in swept], missing=[0, 1])
    found = discover(run, OUTCOME, threshold=0.25, above=True)
    assert found.points == 58
    assert found.left_out == (SPEED,)
    assert all(SPEED not in box.limits for box in found.boxes)
    assert found.boxes[0].limits[FEE][0] == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize(("value", "how_many"), [(0.0, "no"), (9.0, "every")])
def test_points_all_of_one_kind_are_refused(tmp_path: Path, value: float, how_many: str) -> None:
    run = run_of(tmp_path / "run", points(30), [value] * 30)
    with pytest.raises(RunError, match=f"{how_many} point has a mean {OUTCOME} above 5, so"):
        discover(run, OUTCOME, threshold=5, above=True)


def test_few_points_are_refused(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", points(19), list(range(19)))
    with pytest.raises(RunError, match="boxes need 20 finished points, got 19"):
        discover(run, OUTCOME, threshold=5)


def test_an_outcome_without_a_known_threshold_needs_one(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", points(30), list(range(30)))
    with pytest.raises(RunError, match=f"{OUTCOME} needs a threshold; .* from 0 to 29 yuan"):
        discover(run, OUTCOME)


def test_without_the_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path / "run", points(30), list(range(30)))
    monkeypatch.setitem(sys.modules, "ema_workbench.analysis.prim", None)
    with pytest.raises(RunError, match="boxes need ema_workbench: pip install"):
        discover(run, OUTCOME, threshold=5)
