"""The text tables: their figures, and that they fit a terminal."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from results.run import Run, RunList, list_runs, open_run
from results.store import MANIFEST_NAME, create_run
from results.table import POINTS_SHOWN, short_names, show_run, show_runs, value_text
from tests.results.synthetic import (
    FEE,
    SPEED,
    a_failure,
    a_manifest,
    a_run,
    made_rows,
    write_shards,
)


def row_of(text: str, point: int) -> list[str]:
    """Return the cells of a point's line."""
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [str(point)])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return a_run(tmp_path / "small-0123456789ab", made_rows(paths=9))


def test_the_heading_says_what_ran_and_how_long(run: Run) -> None:
    lines = show_run(run).splitlines()
    assert lines[0] == "A small pool [small-0123456789ab]"
    assert lines[1] == (
        "complete: 2 points × 5 paths × 6 periods (2 a year); "
        "wall 3.5 s, kernels 2.5 s, overhead 1.0 s"
    )


def test_members_are_means_over_paths_in_millions_with_their_errors(run: Run) -> None:
    paths = run.pandas("paths")
    peaks = paths[paths["point"] == 1]["peak_members"].to_numpy() / 1e6
    error = peaks.std(ddof=1) / math.sqrt(len(peaks))
    cells = row_of(show_run(run, width=200), 1)
    assert cells[1] == "0.08"
    assert cells[2] == f"{peaks.mean():.2f}±{error:.2f}"


def test_shares_of_a_year_are_over_the_paths_that_ran_it_through(run: Run) -> None:
    periods = run.pandas("periods")
    periods = periods[(periods["point"] == 0) & (periods["period"] // 2 == 1)]
    years = periods.groupby("path")["share"].agg(["sum", "count"])
    billed = years[years["count"] == 2]["sum"].to_numpy()
    assert 1 < len(billed) < 9
    cell = row_of(show_run(run, width=200), 0)[6]
    mean, error = (float(part.replace(",", "")) for part in cell.split("±"))
    assert mean == pytest.approx(billed.mean(), rel=1e-2)
    assert error == pytest.approx(np.std(billed, ddof=1) / math.sqrt(len(billed)), rel=2e-2)


def test_what_closures_leave_is_the_part_of_the_paths_and_the_mean_of_these(tmp_path: Path) -> None:
    made = made_rows(points=1, paths=5)
    place = made.paths.schema.get_field_index("uncovered_members")
    left = pa.array([0, 0, 0, 84, 80], pa.int64())
    paths = made.paths.set_column(place, made.paths.schema.field(place), left)
    text = show_run(a_run(tmp_path, dataclasses.replace(made, paths=paths)), width=200)
    below = text.split("members left")[1].splitlines()
    # two of five paths: sqrt(0.3 / 5) is 24 %; 84 and 80 are 82, give or take sqrt(8 / 2)
    place = next(i for i, line in enumerate(below) if line.split()[:1] == ["0"])
    assert below[place].split()[:3] == ["0", "40", "82"]
    assert below[place + 1].split()[:2] == ["±24", "±2"]


def test_closures_are_counted_with_their_main_cause(run: Run) -> None:
    paths = run.pandas("paths")
    causes = paths[(paths["point"] == 0) & (paths["closure_cause"] != "none")]["closure_cause"]
    *_, closed, cause = row_of(show_run(run, width=160), 0)
    assert closed.split("±")[0] == f"{100 * len(causes) / 9:.0f}"
    assert cause in causes.mode().tolist()


def test_a_run_where_none_closes_names_no_cause(tmp_path: Path) -> None:
    text = show_run(a_run(tmp_path / "run", made_rows(closing=0.0)))
    assert "main cause" not in text


def test_a_plan_is_named_where_there_are_several(tmp_path: Path) -> None:
    text = show_run(a_run(tmp_path / "run", made_rows(plans=("main", "elder"))))
    assert "(plan main)" in text


@pytest.mark.parametrize("width", [100, 120])
def test_lines_fit_the_width(tmp_path: Path, width: int) -> None:
    swept: list[dict[str, object]] = [
        {FEE: 0.08 * point, SPEED: 0.1, "plans.main.benefit_yuan": 3e5} for point in range(2)
    ]
    text = show_run(a_run(tmp_path / "run", made_rows(paths=9), swept), width)
    assert max(map(len, text.splitlines())) <= width
    assert "±" in text


def test_one_path_has_no_errors_to_show(tmp_path: Path) -> None:
    text = show_run(a_run(tmp_path / "run", made_rows(paths=1, closing=0.0)))
    assert all("±" not in cell for cell in row_of(text, 0))


def test_many_points_are_cut_and_it_says_so(tmp_path: Path) -> None:
    points = POINTS_SHOWN + 2
    text = show_run(a_run(tmp_path / "run", made_rows(points=points, paths=2)))
    assert f"The first {POINTS_SHOWN} of {points} points" in text
    assert row_of(text, POINTS_SHOWN - 1)
    with pytest.raises(StopIteration):
        row_of(text, POINTS_SHOWN)


def test_a_run_going_on_says_how_far_it_is(tmp_path: Path) -> None:
    store = create_run(tmp_path / "run")
    store.write_manifest(a_manifest(shards=5))
    write_shards(store, made_rows(), shards=2)
    text = show_run(open_run(store.folder))
    assert "running: 2 points" in text
    assert "2 of 5 shards finished" in text


def test_failed_points_are_counted(run: Run) -> None:
    failed = dataclasses.replace(run.manifest, failures=(a_failure(1), a_failure(1, shard=1)))
    text = show_run(dataclasses.replace(run, manifest=failed))
    assert "1 point failed; manifest.json says which and why." in text


def test_brackets_in_a_title_are_kept(tmp_path: Path) -> None:
    text = show_run(a_run(tmp_path / "run", scenario_title="Pool [bold]x[/bold] :smile:"))
    assert text.startswith("Pool [bold]x[/bold] :smile: [run]")


def test_runs_are_listed_a_row_each_with_what_does_not_open(tmp_path: Path, run: Run) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / MANIFEST_NAME).write_text("{")
    text = show_runs(list_runs(tmp_path))
    row = next(line for line in text.splitlines() if line.startswith("small-0123456789ab"))
    assert row.split()[1:4] == ["complete", "2026-01-02", "03:04"]
    assert "A small pool" in row
    assert "broken" in text.splitlines()[-1] or "broken" in text
    assert show_runs(RunList((), ())) == "no runs yet; huzhu run CONFIG makes the first\n"


def test_dotted_paths_are_shortened_while_they_can_be_told_apart() -> None:
    assert short_names(["plans.main.fee", "plans.elder.fee", "pool.growth", "seed"]) == {
        "plans.main.fee": "main.fee",
        "plans.elder.fee": "elder.fee",
        "pool.growth": "growth",
        "seed": "seed",
    }
    assert short_names(["a.b", "b"]) == {"a.b": "a.b", "b": "b"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.08, "0.08"),
        (0.0, "0"),
        (300000.0, "300,000"),
        (120_000_000, "120,000,000"),
        (True, "true"),
        ("equal", "equal"),
        (None, "–"),
    ],
)
def test_swept_values_read_as_a_person_writes_them(value: object, text: str) -> None:
    assert value_text(value) == text


def test_plans_and_pools_have_rows_of_their_own_where_there_are_several(tmp_path: Path) -> None:
    rows = made_rows(plans=("main", "elder"), closing=0.0)
    scenario = {"title": "Two plans", "pools": {"main": {}, "other": {}}}
    run = a_run(tmp_path / "run", rows, config={"scenario": scenario, "sweep": {"paths": 5}})
    periods = run.pandas("periods")
    mine = periods[(periods["plan"] == "elder") & (periods["point"] == 1)]
    by_path = mine.groupby("path", observed=True)
    peak, cases = by_path["members"].max().mean(), by_path["cases"].sum().mean()
    first_year = mine[mine["period"] < 2].groupby("path", observed=True)["share"].sum().mean()
    text = show_run(run, 160)
    row = next(line.split() for line in text.splitlines() if line.split()[:2] == ["1", "elder"])
    assert row[2:5] == [f"{peak:,.0f}", f"{cases:,.0f}", f"{first_year:,.2f}"]
    assert "unpaid" in text
    # no pool of the made rows is called so
    other = next(line.split() for line in text.splitlines() if line.split()[:2] == ["1", "other"])
    assert other[2:] == ["–"] * 6


def test_one_plan_and_one_pool_have_no_tables_of_their_own(run: Run) -> None:
    assert not re.search("^point +(plan|pool)", show_run(run), re.MULTILINE)
    assert not any(line.split()[:2] == ["0", "main"] for line in show_run(run).splitlines())
