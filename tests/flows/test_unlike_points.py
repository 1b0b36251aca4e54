"""Points of one run that differ in plans, pools, length, periods a year, ages and engine."""

from dataclasses import replace
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from configs.shapes import Shape
from flows.whatif import simulate_point
from results.analysis import courses
from results.analysis.bands import bands
from results.analysis.comparison import Side, compare, series
from results.analysis.money import cash_books
from results.analysis.outcomes import values
from results.analysis.subsidy import subsidy
from results.analysis.survival import survival
from results.picture import draw
from results.pooled import pooled
from results.report import contents
from results.run import Run, RunError
from results.schema import QUANTITIES
from results.table import show_run
from tests.flows.in_process import computed

PLAN = "{max_age: 49, advertised_share_yuan: 1, benefit: [{from_age: 0, benefit_yuan: 1000}]"
UNLIKE = f"""
name: unlike
scenario:
  title: unlike points
  periods: 4
  periods_per_year: 12
  market_members: 3000
  age_edges: [30, 40, 50]
  plans:
    main: {PLAN}}}
  motives: {{m: {{lapse: {{base: 0.5}}}}}}
  claims: {{level: 20, report_delay: [0.2, 0.4, 0.4]}}
  closure:
    wind_down_periods: 2
    wind_down_by: platform
    regulation_hazard: [{{from_period: 1, value: 6}}]
  initial_members:
    - {{age: 30, sex: male, motive: m, health: standard, members: 1000}}
    - {{age: 40, sex: male, motive: m, health: standard, members: 1000}}
sweep:
  paths: 12
  policies:
    one: {{}}
    pools:
      periods: 7
      pools: {{east: {{}}, west: {{}}}}
      plans: {{young: {PLAN}, pool: east}}, old: {PLAN}, pool: west}}}}
      motives: {{keen: {{lapse: {{base: 0.2}}}}}}
      initial_members:
        - {{age: 30, sex: male, motive: keen, health: standard, members: 1000}}
        - {{plan: old, age: 40, sex: male, motive: keen, health: standard, members: 1000}}
    half:
      periods: 2
      periods_per_year: 6
      age_edges: [30, 35, 40, 45, 50]
      engine: member
"""
PLANS = {0: ("main",), 1: ("young", "old"), 2: ("main",)}
POOLS = {0: ("main",), 1: ("east", "west"), 2: ("main",)}
LENGTHS = {0: 4, 1: 7, 2: 2}

DRAWN = f"""
name: drawn
scenario:
  title: length drawn
  periods: 3
  periods_per_year: 12
  market_members: 100
  age_edges: [30, 31]
  plans:
    main: {PLAN.replace("49", "30")}}}
  motives: {{m: {{}}}}
  claims: {{level: 0}}
  initial_members: [{{age: 30, sex: male, motive: m, health: standard, members: 100}}]
sweep:
  paths: 2
  draws: lengths.csv
  policies:
    one: {{}}
    other: {{plans: {{gold: {PLAN.replace("49", "30")}}}}}}}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("unlike")
    file, drawn = folder / "unlike.yaml", folder / "drawn.yaml"
    file.write_text(dedent(UNLIKE))
    drawn.write_text(dedent(DRAWN))
    (folder / "lengths.csv").write_text("periods\n2\n5\n")
    return SimpleNamespace(
        run=computed(file, folder),
        half=computed(file, folder / "half", finished=False),
        drawn=computed(drawn, folder),
    )


@pytest.fixture(scope="module")
def run(runs: SimpleNamespace) -> Run:
    found: Run = runs.run
    return found


def values_of(
    run: Run, point: int, period: int, plan: str, quantity: str, over: str
) -> list[float]:
    """Collect the values that a row of the summary is about from the rows of the paths."""
    closures = {
        (row["path"], row["pool"]): row["closure_period"]
        for row in run.arrow("pools").to_pylist()
        if row["point"] == point
    }
    rows = {
        row["path"]: row
        for row in run.arrow("periods").to_pylist()
        if (row["point"], row["period"], row["plan"]) == (point, period, plan)
    }
    if over == "all":
        return [float(rows[path][quantity]) if path in rows else 0.0 for path in range(12)]
    closed = {path: closures[path, row["pool"]] for path, row in rows.items()}
    return [
        float(row[quantity])
        for path, row in rows.items()
        if over == "running" or closed[path] is None or period <= closed[path]
    ]


def test_each_point_has_its_own_shape(run: Run) -> None:
    assert [run.shapes.at(point) for point in range(3)] == [
        Shape(PLANS[0], POOLS[0], 4, 12),
        Shape(PLANS[1], POOLS[1], 7, 12),
        Shape(PLANS[2], POOLS[2], 2, 6),
    ]
    assert run.manifest.plans == ("main", "young", "old")
    assert run.manifest.periods == 7


def test_the_summary_has_the_plans_and_the_periods_of_each_point(run: Run) -> None:
    found = run.arrow("summary").to_pylist()
    longest = max(run.arrow("paths")["periods_run"].to_pylist())
    assert longest > 4
    expected = {
        (point, period, plan, quantity.name)
        for point, plans in PLANS.items()
        for plan in plans
        for period in range(min(LENGTHS[point], longest))
        for quantity in QUANTITIES
    }
    keys = [(row["point"], row["period"], row["plan"], row["quantity"]) for row in found]
    assert len(keys) == len(expected)
    assert set(keys) == expected


def test_every_figure_of_the_summary_is_that_of_its_paths(run: Run) -> None:
    over = {quantity.name: quantity.over for quantity in QUANTITIES}
    rows = run.arrow("summary").to_pylist()
    for row in rows:
        if row["quantity"] not in ("members", "share", "expectation", "platform_cash", "billed"):
            continue
        key = (row["point"], row["period"], row["plan"], row["quantity"])
        held = values_of(run, *key, over[row["quantity"]])
        assert row["paths"] == len(held), key
        if held:
            # sums of twelve terms: a few roundings
            assert row["mean"] == pytest.approx(np.mean(held), rel=1e-12)
            assert row["q05"] == pytest.approx(np.percentile(held, 5), rel=1e-12)


def test_a_wind_down_does_not_pull_the_share_to_nothing(run: Run) -> None:
    """The platform pays for it, so that every share in it is 0; the paths without it owe more."""
    closures = {row["path"]: row["closure_period"] for row in rows_of(run, "pools", 0)}
    rows = rows_of(run, "periods", 0)
    winding = [row for row in rows if (closures[row["path"]] or 99) < row["period"]]
    assert winding
    assert all(row["share"] == 0 for row in winding)
    period = winding[0]["period"]
    still_open = [row for row in rows if row["period"] == period and row not in winding]
    (found,) = [row for row in bands(run, ["share"], [0]).to_pylist() if row["period"] == period]
    assert found["paths"] == len(still_open) < len(closures)
    assert found["q05"] >= min(row["share"] for row in still_open) > 0


def rows_of(run: Run, table: str, point: int) -> list[dict[str, Any]]:
    return [row for row in run.arrow(table).to_pylist() if row["point"] == point]


def test_an_unfinished_run_is_summarised_likewise(runs: SimpleNamespace) -> None:
    found = bands(runs.half, ["members"], [0, 1, 2])
    plans: dict[int, set[str]] = {}
    for row in found.to_pylist():
        plans.setdefault(row["point"], set()).add(row["plan"])
        assert row["period"] < LENGTHS[row["point"]]
    assert plans
    assert all(names == {*PLANS[point]} for point, names in plans.items())


def test_the_course_of_a_point_is_as_long_as_the_point(run: Run) -> None:
    for point, plans in PLANS.items():
        course = courses.course(run, point)
        assert course.plans == plans
        shares = courses.fan(course, "share", plans[0])
        assert shares.shape == (5, LENGTHS[point])
        told = {row["period"]: row for row in bands(run, ["share"], [point], plans[0]).to_pylist()}
        for period, figures in told.items():
            lowest = np.nan if figures["q05"] is None else figures["q05"]
            assert shares[0, period] == pytest.approx(lowest, rel=1e-12, nan_ok=True)
        assert courses.survival(course, plans[0]).size == LENGTHS[point]
    with pytest.raises(RunError, match="no plan 'main'; the point has young, old"):
        courses.fan(courses.course(run, 1), "share", "main")


def test_a_what_if_has_the_plans_of_its_point(run: Run) -> None:
    course = simulate_point(run.folder, ["plans.young.fee_rate=0.1"], 2, point=1).course()
    assert (course.plans, course.horizon) == (PLANS[1], LENGTHS[1])


def test_survival_ends_with_the_point(run: Run) -> None:
    for point, length in LENGTHS.items():
        # open paths last as long as the point; where none is open, it is the point's length
        assert {*survival(run, [point])["period"].to_pylist()} == {*range(length)}
    assert {*survival(run, None, "east")["point"].to_pylist()} == {1}


def test_years_have_the_periods_of_the_point(run: Run) -> None:
    totals = {(row["point"], row["path"]): row for row in run.arrow("paths").to_pylist()}
    for row in values(run, "share_a_year").to_pylist():
        path = totals[row["point"], row["path"]]
        closed = path["closure_period"]
        lived = path["periods_run"] if closed is None else closed + 1
        a_year = 6 if row["point"] == 2 else 12
        assert row["value"] == pytest.approx(path["share_total"] * a_year / lived, rel=1e-12)
    cells = rows_of(run, "cells", 2)
    by_path: dict[int, int] = {}
    for row in cells:
        if row["from_age"] == 30:
            by_path[row["path"]] = by_path.get(row["path"], 0) + row["exposure"]
    (band,) = [row for row in subsidy(run, [2]).to_pylist() if row["from_age"] == 30]
    assert band["to_age"] == 30  # the engine of members counts every age
    assert band["person_years"] == pytest.approx(np.mean([*by_path.values()]) / 6, rel=1e-12)


def test_the_books_of_every_point_balance(run: Run) -> None:
    for row in cash_books(run, [0, 1, 2]).to_pylist():
        came = sum(row[name] for name in ("funding", "collected", "cross_selling", "interest"))
        came += row["from_reserve"] + row["lent"]
        went = sum(row[name] for name in ("benefits", "custody", "to_reserve", "acquisition"))
        went += sum(row[name] for name in ("red_packets", "investigation", "operating"))
        went += row["returned_contributions"] + row["cash_left"]
        assert came == pytest.approx(went, abs=0.01)


def test_points_are_compared_by_period_only_where_they_can_be(run: Run) -> None:
    with pytest.raises(RunError, match=r"no plan 'main'; point 1 of unlike-\w+ has young, old"):
        series(Side(run, 0), Side(run, 1), "members")
    with pytest.raises(RunError, match="points 0 and 2 cannot be compared by period: 12 and 6"):
        series(Side(run, 0), Side(run, 2), "members")
    assert compare(Side(run, 0), Side(run, 1), ["cases"])["pairs"].to_pylist() == [12]


def test_the_table_has_the_plans_and_pools_of_each_point_and_no_mapping(run: Run) -> None:
    text = show_run(run)
    assert "2 periods (6 a year) or 4 to 7 periods (12 a year)" in text
    assert "benefit_yuan" not in text
    assert len(text.splitlines()) < 60
    words = [line.split() for line in text.splitlines()]
    named = [line[:2] for line in words if len(line) > 2 and line[1].isalpha()]
    told = {point: [name for number, name in named if number == point] for point in ("0", "1")}
    assert told == {
        "0": ["one", "main", "main"],
        "1": ["pools", "young", "old", "east", "west"],
    }


def test_the_report_and_the_picture_have_the_plans_of_each_point(run: Run) -> None:
    report = contents.report(run, replace(run))
    figures = {one.name: one for one in report.figures}
    chosen = {*figures["over_time"].data["course"].to_pylist()}
    assert chosen == {"0 main", "1 young", "1 old", "2 main"}
    assert "0 main" in str(figures["over_time"].draw("en"))
    ends = {(row["point"], row["year"]) for row in figures["over_time"].data.to_pylist()}
    assert max(year for point, year in ends if point == 2) == pytest.approx(2 / 6)
    started = [row for row in figures["survival"].data.to_pylist() if row["period"] == -1]
    assert {row["part"] for row in started if row["state"] == "open"} == {1.0}
    assert all(row["year"] == 0 for row in started)
    told = " ".join(text.en for section in report.sections for text in section.paragraphs)
    assert "#1 · Plan young" in told
    assert "benefit_yuan" not in told
    picture = draw(run).svg
    assert "plan young" in picture
    assert "Periods differ in length" in picture


def test_lengths_that_are_drawn_count_until_the_end_of_each_draw(runs: SimpleNamespace) -> None:
    """After period 2 only the draw of five periods is left; the others do not count as zero."""
    whole = pooled(runs.drawn)
    assert [whole.shapes.at(point).plans for point in (0, 1)] == [("main",), ("gold",)]
    found = bands(whole, ["members"], [0, 1]).to_pylist()
    assert [(row["point"], row["plan"], row["period"]) for row in found] == [
        (point, plan, period) for point, plan in enumerate(("main", "gold")) for period in range(5)
    ]
    assert [row["mean"] for row in found] == [100.0] * 10
    assert [row["paths"] for row in found] == [4, 4, 2, 2, 2] * 2


def test_the_explorer_offers_the_plans_of_the_points_that_are_shown(run: Run) -> None:
    from flows.explore_page import Board, explored, shown
    from flows.explore_text import LIGHT

    board = Board(explored(run.folder), LIGHT)
    first, second = (shown(f"point {point}", courses.course(run, point)) for point in (0, 1))
    board.show({"point": first})
    assert board.plan.options == ["main"]
    board.show({"point": second})
    assert (board.plan.options, board.plan.value) == (["young", "old"], "young")
    assert len(board.fans["members"].sources["point"].data["year"]) == LENGTHS[1]
    board.show({"point": second, "pinned": first})
    assert board.plan.options == ["young", "old", "main"]
    assert len(board.fans["members"].sources["pinned"].data["year"]) == 0  # it has no such plan
    steps = board.survival.sources["point"].data
    assert (steps["year"][0], steps["open"][0]) == (0.0, 1.0)
    assert (steps["year"][-1], len(steps["open"])) == (LENGTHS[1] / 12, LENGTHS[1] + 1)
