"""Who leaves and why, beside pandas on the same rows; who is left without cover, by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from results.analysis.leaving import CAUSES_TOLD, OTHERS, lapses, uncovered
from results.run import Run, open_run
from results.schema import LAPSE_CAUSES, arrow_schema
from results.store import create_run
from tests.results.synthetic import a_manifest, a_run, close, filled, made_rows


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of two plans on which some paths close early."""
    made = made_rows(paths=6, plans=("main", "elder"), closing=0.5, seed=3)
    return a_run(tmp_path_factory.mktemp("runs"), made)


def by_path(run: Run, point: int, columns: list[str]) -> pd.DataFrame:
    """Return who left by path and period: paths down, periods across, closed paths zero."""
    rows = run.pandas("periods")
    rows = rows[rows["point"] == point]
    rows = rows.assign(left=rows[columns].sum(axis=1))
    table = rows.pivot_table("left", "path", "period", aggfunc="sum", observed=True)
    return table.reindex(range(6)).fillna(0)


def test_means_are_over_all_paths_and_all_plans(run: Run) -> None:
    found = lapses(run, [0, 1]).to_pandas()
    told = [cause for cause in found["cause"].unique() if cause != OTHERS]
    assert len(told) == CAUSES_TOLD
    for point in (0, 1):
        for cause in told:
            rows = found[(found["point"] == point) & (found["cause"] == cause)]
            table = by_path(run, point, [f"lapses_{cause}"])
            np.testing.assert_allclose(rows["members"], table.mean(), rtol=1e-12)
            error = table.std(ddof=1) / np.sqrt(6)
            # the variance is the difference of sums that are up to some thousand times as large
            np.testing.assert_allclose(rows["standard_error"], error, rtol=1e-9)


def test_the_largest_causes_are_told_and_the_others_are_one(run: Run) -> None:
    found = lapses(run, [0]).to_pandas()
    rows = run.pandas("periods")
    rows = rows[rows["point"] == 0]
    totals = {cause: rows[f"lapses_{cause}"].sum() for cause in LAPSE_CAUSES}
    largest = sorted(totals, key=lambda cause: -totals[cause])
    first = found[found["period"] == 0].sort_values("rank")
    assert first["cause"].tolist() == [*largest[:CAUSES_TOLD], OTHERS]
    others = found[found["cause"] == OTHERS]["members"]
    rest = by_path(run, 0, [f"lapses_{cause}" for cause in largest[CAUSES_TOLD:]])
    np.testing.assert_allclose(others, rest.mean(), rtol=1e-12)


def test_where_nobody_leaves_there_are_no_rows(tmp_path: Path) -> None:
    made = made_rows()
    none = pa.array(np.zeros(made.periods.num_rows), pa.int64())
    for name in made.periods.column_names:
        if name.startswith("lapses_"):
            place = made.periods.column_names.index(name)
            kept = made.periods.schema.field(name)
            object.__setattr__(made, "periods", made.periods.set_column(place, kept, none))
    found = lapses(a_run(tmp_path, made), [0])
    assert found.num_rows == 0
    assert "standard_error" in found.column_names


def a_run_of_cells(folder: Path, cells: list[dict[str, Any]], closed: list[bool]) -> Run:
    """Write a run that has a row of `paths` for each path, and some cells."""
    rng = np.random.default_rng(0)
    keys = {
        "point": [0] * len(closed),
        "path": list(range(len(closed))),
        "uncovered_members": [10 if is_closed else 0 for is_closed in closed],
    }
    store = create_run(folder)
    schema = arrow_schema("cells")
    rows = [dict.fromkeys(schema.names, 0) | {"plan": "main"} | cell for cell in cells]
    files = [
        store.write_table("paths", filled("paths", keys, len(closed), rng), 0),
        store.write_table("cells", pa.Table.from_pylist(rows, schema), 0),
    ]
    close(store, a_manifest(points=1, paths_per_point=len(closed)), files)
    return open_run(folder)


def cell(path: int, from_age: int, sex: str, members: int | None, **more: Any) -> dict[str, Any]:
    ages = {"from_age": from_age, "to_age": from_age + 9}
    return {"path": path, "sex": sex, "health": "standard", **ages, "uncovered": members, **more}


def test_who_is_left_is_the_mean_over_the_paths_that_leave_anybody(tmp_path: Path) -> None:
    """Health classes are one, padding is nobody, a band without members in a path counts zero."""
    cells = [
        cell(0, 20, "male", 4),
        cell(0, 20, "male", 2, health="weak"),
        cell(0, 20, "male", 99, health="padding"),
        cell(0, 30, "female", 4),
        cell(1, 20, "male", 0),
        cell(2, 20, "male", 3),
    ]
    found = uncovered(a_run_of_cells(tmp_path, cells, [True, False, True]), [0]).to_pylist()
    young, old = found
    assert (young["from_age"], young["to_age"], young["sex"]) == (20, 29, "male")
    assert young["mean"] == pytest.approx((6 + 3) / 2, rel=1e-15)
    # of 6 and 3 the sample's variance is 4.5, and the error sqrt(4.5 / 2)
    assert young["standard_error"] == pytest.approx(1.5, rel=1e-15)
    assert (old["from_age"], old["sex"], old["closed"], old["paths"]) == (30, "female", 2, 3)
    assert old["mean"] == pytest.approx(4 / 2, rel=1e-15)


def test_a_run_that_does_not_say_who_is_left_has_no_rows(tmp_path: Path) -> None:
    run = a_run_of_cells(tmp_path, [cell(0, 20, "male", None)], [True])
    assert uncovered(run, [0]).num_rows == 0


def test_where_no_pool_closes_nobody_is_left(tmp_path: Path) -> None:
    run = a_run_of_cells(tmp_path, [cell(0, 20, "male", 0)], [False])
    assert uncovered(run, [0]).num_rows == 0
