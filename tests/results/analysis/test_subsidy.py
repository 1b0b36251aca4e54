"""Who pays for whom: hand-worked cells, and nothing gained or lost in moving."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from results.analysis.subsidy import subsidy
from results.run import Run, RunError, open_run
from results.schema import arrow_schema
from results.store import create_run
from tests.results.synthetic import a_manifest, close

YOUNG, OLD = (20, 39), (40, 59)


def cell(path: int, band: tuple[int, int], **values: Any) -> dict[str, Any]:
    """Return a row of `cells`; two periods are a year."""
    return {
        "point": 0,
        "path": path,
        "plan": "main",
        "from_age": band[0],
        "to_age": band[1],
        "sex": "female",
        "health": "standard",
        "exposure": 0,
        "cases": 0,
        "paid": 0.0,
        "received": 0.0,
        "expected": 0.0,
        "uncovered": None,
        **values,
    }


def run_of(folder: Path, cells: list[dict[str, Any]], points: int = 1) -> Run:
    """Write a run that has nothing but cells."""
    store = create_run(folder)
    table = pa.Table.from_pylist(cells, arrow_schema("cells"))
    manifest = a_manifest(points=points, plans=("main", "elder"))
    close(store, manifest, [store.write_table("cells", table, 0)])
    return open_run(folder)


def test_two_cells_worked_by_hand(tmp_path: Path) -> None:
    """300 yuan paid; expected 1 to 3, so fair are 75 and 225, over 10 and 5 person-years."""
    run = run_of(
        tmp_path,
        [
            cell(0, YOUNG, exposure=20, paid=200.0, received=50.0, expected=100.0),
            cell(0, OLD, exposure=10, paid=100.0, received=200.0, expected=300.0),
        ],
    )
    young, old = subsidy(run, [0]).to_pylist()
    assert (young["from_age"], young["to_age"], young["sex"]) == (20, 39, "female")
    assert (young["person_years"], old["person_years"]) == (10.0, 5.0)
    assert (young["paid"], young["received"], young["expected"]) == (20.0, 5.0, 10.0)
    assert (young["fair"], old["fair"]) == (7.5, 45.0)
    assert (young["subsidy"], old["subsidy"]) == (12.5, -25.0)
    assert (young["moneys_worth"], old["moneys_worth"]) == (0.25, 2.0)
    assert (young["standard_error"], young["paid_error"], young["paths"]) == (None, None, 1)


def test_means_are_of_the_ratios_of_the_paths(tmp_path: Path) -> None:
    rows = [
        cell(0, YOUNG, exposure=2, paid=10.0, received=5.0, expected=10.0),
        cell(1, YOUNG, exposure=4, paid=60.0, received=15.0, expected=60.0),
        cell(2, YOUNG, exposure=0, paid=0.0),
    ]
    (found,) = subsidy(run_of(tmp_path, rows), [0]).to_pylist()
    assert found["paths"] == 2
    assert found["paid"] == 20.0
    assert found["paid_error"] == pytest.approx(np.std([10.0, 30.0], ddof=1) / np.sqrt(2))
    assert found["moneys_worth"] == pytest.approx((0.5 + 0.25) / 2)
    assert found["person_years"] == 1.5


def random_cells(seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        cell(
            0,
            band,
            sex=sex,
            plan=plan,
            health=health,
            exposure=int(rng.integers(1, 10**6)),
            paid=float(rng.lognormal(10)),
            expected=float(rng.lognormal(10)),
        )
        for band in (YOUNG, OLD)
        for sex in ("male", "female")
        for plan in ("main", "elder")
        for health in ("standard", "impaired")
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("plan", [None, "main", "elder"])
def test_subsidies_of_a_path_add_to_nothing(tmp_path: Path, seed: int, plan: str | None) -> None:
    found = subsidy(run_of(tmp_path, random_cells(seed)), [0], plan).to_pylist()
    moved = [row["subsidy"] * row["person_years"] for row in found]
    assert len(moved) == 4
    # four products and quotients of what was moved, each rounded a few times
    assert sum(moved) == pytest.approx(0.0, abs=1e-14 * sum(map(abs, moved)) * 8)
    assert max(map(abs, moved)) > 1.0


def test_padding_is_nobody(tmp_path: Path) -> None:
    rows = [cell(0, YOUNG, exposure=2, paid=10.0, expected=5.0)]
    padded = [*rows, cell(0, OLD, health="padding", exposure=9, paid=9.0, expected=9.0)]
    one, other = run_of(tmp_path / "one", rows), run_of(tmp_path / "other", padded)
    assert subsidy(other, [0]).equals(subsidy(one, [0]))


def test_a_plan_is_fair_within_itself(tmp_path: Path) -> None:
    rows = [
        cell(0, YOUNG, exposure=2, paid=10.0, expected=5.0),
        cell(0, OLD, plan="elder", exposure=2, paid=10.0, expected=15.0),
    ]
    run = run_of(tmp_path, rows)
    (main,) = subsidy(run, [0], "main").to_pylist()
    assert main["subsidy"] == 0.0
    assert [row["subsidy"] for row in subsidy(run, [0]).to_pylist()] == [5.0, -5.0]


def test_a_point_without_paths_is_left_out_and_one_that_is_none_refused(tmp_path: Path) -> None:
    run = run_of(tmp_path, [cell(0, YOUNG, exposure=2, paid=10.0, expected=5.0)], points=2)
    assert set(subsidy(run, [0, 1])["point"].to_pylist()) == {0}
    with pytest.raises(RunError, match="no point 2"):
        subsidy(run, [2])
    with pytest.raises(RunError, match="no plan 'gold'"):
        subsidy(run, [0], "gold")
