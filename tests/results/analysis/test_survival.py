"""How pools end: hand-worked causes, closed forms, and SciPy's Kaplan-Meier."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from results.analysis.survival import OPEN, survival
from results.run import Run, RunError, open_run
from results.store import create_run
from tests.results.synthetic import a_manifest, a_run, close, filled, made_rows

HORIZON = 6

Ends = list[tuple[str, int] | None]


def run_of(folder: Path, *ends: Ends, table: str = "paths", **keys: Any) -> Run:
    """Write a run whose paths end as given, point by point: cause and period, or None for open."""
    each = [(point, path, end) for point, own in enumerate(ends) for path, end in enumerate(own)]
    given = {
        "point": [point for point, _, _ in each],
        "path": [path for _, path, _ in each],
        "closure_cause": [end[0] if end else "none" for _, _, end in each],
        "closure_period": [end[1] if end else None for _, _, end in each],
        "periods_run": [end[1] + 1 if end else HORIZON for _, _, end in each],
    }
    rng = np.random.default_rng(0)
    rows = filled(table, given | {n: [v] * len(each) for n, v in keys.items()}, len(each), rng)
    store = create_run(folder)
    close(store, a_manifest(points=len(ends)), [store.write_table(table, rows, 0)])
    return open_run(folder)


def parts(table: pa.Table, state: str, name: str = "part") -> list[float]:
    """Return a column for one state, by period."""
    return [row[name] for row in table.to_pylist() if row["state"] == state]


def test_competing_causes_worked_by_hand(tmp_path: Path) -> None:
    """Four paths: one too small in period 1, one too dear in 3, one too small in 3, one open."""
    ends: Ends = [("too_small", 1), ("share_limit", 3), ("too_small", 3), None]
    found = survival(run_of(tmp_path, ends))
    assert parts(found, OPEN) == [1, 0.75, 0.75, 0.25, 0.25, 0.25]
    assert parts(found, "too_small") == [0, 0.25, 0.25, 0.5, 0.5, 0.5]
    assert parts(found, "share_limit") == [0, 0, 0, 0.25, 0.25, 0.25]
    for state in (OPEN, "too_small", "share_limit"):
        assert parts(found, state, "at_risk") == [4, 4, 3, 3, 1, 1]
    assert parts(found, OPEN, "closed") == [0, 1, 0, 2, 0, 0]
    assert parts(found, "too_small", "closed") == [0, 1, 0, 1, 0, 0]
    assert parts(found, "share_limit", "closed") == [0, 0, 0, 1, 0, 0]


def test_open_and_closed_parts_add_to_one(tmp_path: Path) -> None:
    run = a_run(tmp_path, made_rows(points=4, paths=23, closing=0.7))
    totals: dict[tuple[int, int], float] = defaultdict(float)
    for row in survival(run).to_pylist():
        totals[row["point"], row["period"]] += row["part"]
        assert 0.0 <= row["low"] <= row["part"] <= row["high"] <= 1.0
    assert len(totals) == 4 * HORIZON
    # four quotients of small whole numbers: a rounding of 2**-53 each and of each sum
    assert max(abs(total - 1.0) for total in totals.values()) < 1e-15


@pytest.mark.parametrize("closing", [0.0, 0.5, 1.0])
def test_the_open_part_is_scipy_s_kaplan_meier(tmp_path: Path, closing: float) -> None:
    rng = np.random.default_rng(4)
    drawn = [(rng.random(), int(rng.integers(0, HORIZON))) for _ in range(40)]
    ends: Ends = [("regulation", period) if u < closing else None for u, period in drawn]
    times = np.array([end[1] if end else HORIZON for end in ends])
    is_open = np.array([end is None for end in ends])
    data = stats.CensoredData(uncensored=times[~is_open], right=times[is_open])
    expected = stats.ecdf(data).sf.evaluate(np.arange(HORIZON))
    found = parts(survival(run_of(tmp_path, ends)), OPEN)
    # SciPy's is a product of as many as six quotients
    assert found == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(("count", "paths"), [(0, 8), (3, 8), (8, 8), (1, 1)])
def test_intervals_are_wilson_s(tmp_path: Path, count: int, paths: int) -> None:
    ends: Ends = [("ruin", 0)] * count + [None] * (paths - count)
    last = survival(run_of(tmp_path, ends), confidence=0.9).to_pylist()[0]
    known = stats.binomtest(paths - count, paths).proportion_ci(0.9, method="wilson")
    assert (last["low"], last["high"]) == pytest.approx((known.low, known.high), abs=1e-14)
    assert last["low"] < last["high"]


def test_the_interval_holds_the_truth_about_as_often_as_it_says(tmp_path: Path) -> None:
    """400 points of 50 paths that close with probability 0.3.

    Wilson's 95 % interval holds 0.3 with probability 0.957 (binomial sum), so that fewer than 365
    of 400 have a probability below 1e-4, by the binomial law.
    """
    closes = np.random.default_rng(11).random((400, 50)) < 0.3
    ends: list[Ends] = [[("ruin", 2) if c else None for c in point] for point in closes]
    found = [r for r in survival(run_of(tmp_path, *ends)).to_pylist() if r["state"] == "ruin"]
    held = sum(row["low"] <= 0.3 <= row["high"] for row in found if row["period"] == 2)
    assert 365 <= held < 400


def test_a_pool_has_its_own_life(tmp_path: Path) -> None:
    ends: Ends = [("ruin", 2), None]
    run = run_of(tmp_path, ends, table="pools", pool="waterdrop")
    assert parts(survival(run, pool="waterdrop"), OPEN) == [1, 1, 0.5, 0.5, 0.5, 0.5]
    assert survival(run).num_rows == 0
    with pytest.raises(RunError, match=r"no pool 'waterdrip'; .* has waterdrop"):
        survival(run, pool="waterdrip")


def test_only_the_points_asked_for_are_there(tmp_path: Path) -> None:
    run = run_of(tmp_path, [None], [("ruin", 1)], [("regulation", 1)], [])
    found = survival(run, [1, 3])
    assert set(found["point"].to_pylist()) == {1}
    assert set(found["state"].to_pylist()) == {OPEN, "ruin"}
    with pytest.raises(RunError, match="no point 4"):
        survival(run, [4])
    with pytest.raises(RunError, match="confidence: expected a number above 0 and below 1, got 1"):
        survival(run, confidence=1.0)


def test_causes_come_in_one_order_at_every_point(tmp_path: Path) -> None:
    found = survival(run_of(tmp_path, [("ruin", 1)], [("insolvent", 1)]))
    told = [
        list(dict.fromkeys(r["state"] for r in found.to_pylist() if r["point"] == p))
        for p in (0, 1)
    ]
    assert told == [[OPEN, "insolvent", "ruin"]] * 2
