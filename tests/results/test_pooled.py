"""A run over draws: pooled in the table, the report and the picture, compared draw by draw."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from configs import yaml_text
from configs.sweep import Config
from results.analysis.bands import bands
from results.analysis.comparison import Side, compare
from results.analysis.factors import factors
from results.analysis.leaving import lapses
from results.analysis.outcomes import estimates, mean_with, part_with
from results.analysis.survival import OPEN, survival
from results.picture import draw
from results.pooled import PooledRun, pooled
from results.report import contents
from results.report.story import story
from results.run import Run
from results.table import show_run
from tests.configs.conftest import SMALL
from tests.results.crossed import squared_error
from tests.results.synthetic import FEE, Made, a_run, made_rows

LEVEL, BURDEN = "claims.level", "motives.bargain.lapse.burden"
DRAWN = [(0.4, 0.01, 1.0), (0.5, 0.02, 3.0), (0.6, 0.03, 2.0)]
POLICIES = {"as_it_was": {}, "dear": {FEE: 0.3}}
SHARED = 5
"""Paths of a draw."""


def a_run_over_draws(folder: Path, paths: int, made: Made | None = None) -> Run:
    """Return a run of two policies at three draws, with two points of a grid at each."""
    swept = [
        {
            **{"policy": name, "draw": 2 * d, FEE: sets.get(FEE, fee)},
            **{LEVEL: level, BURDEN: burden, "shock_cap": cap},
        }
        for name, sets in POLICIES.items()
        for d, (level, fee, burden) in enumerate(DRAWN)
        for cap in (2.0, 3.0)
    ]
    draws = {
        **{"name": "posterior", "fields": [LEVEL, FEE, BURDEN], "rows": 6},
        "values": [",".join(map(str, row)) for row in DRAWN],
    }
    sweep = {"paths": paths, "policies": POLICIES, "draws": draws, "axes": {"shock_cap": [2, 3]}}
    config = Config.model_validate({"name": "small", **yaml_text.parse(SMALL), "sweep": sweep})
    return a_run(
        folder,
        made or made_rows(points=12, paths=paths),
        swept,
        config=config.model_dump(mode="json"),
        paths_per_point=paths,
        axes={"policy": list(POLICIES), "draw": [0, 4], LEVEL: [0.4, 0.6], "shock_cap": [2, 3]},
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return a_run_over_draws(tmp_path_factory.mktemp("runs") / "pooled", SHARED)


def test_a_run_without_draws_is_pooled_to_itself(tmp_path: Path) -> None:
    plain = a_run(tmp_path / "plain")
    assert pooled(plain) is plain


def test_points_are_those_of_policies_and_design(run: Run) -> None:
    whole = pooled(run)
    assert isinstance(whole, PooledRun)
    assert whole.arrow("points").to_pylist() == [
        {"point": 0, "policy": "as_it_was", FEE: None, "shock_cap": 2.0},
        {"point": 1, "policy": "as_it_was", FEE: None, "shock_cap": 3.0},
        {"point": 2, "policy": "dear", FEE: 0.3, "shock_cap": 2.0},
        {"point": 3, "policy": "dear", FEE: 0.3, "shock_cap": 3.0},
    ]
    with whole.duckdb() as connection:
        numbers = connection.execute("select point, path from paths order by all").fetchall()
    assert numbers == [(point, path) for point in range(4) for path in range(3 * SHARED)]
    keys = whole.arrow("paths", ["point", "path"]).to_pylist()
    assert sorted((key["point"], key["path"]) for key in keys) == numbers


def values_by_draw(run: Run, policy: int, design: int) -> npt.NDArray[np.float64]:
    """Return `members_end` by draw and path, by the numbers of the points."""
    paths = run.pandas("paths").sort_values("path")
    points = [(policy * 3 + d) * 2 + design for d in range(3)]
    ends = [paths.loc[paths["point"] == p, "members_end"].to_numpy(float) for p in points]
    return np.array(ends)


def crossed_error(y: npt.NDArray[np.float64]) -> float:
    """Return the error of the mean of a table of draws by paths, by its analysis of variance."""
    draws, paths = y.shape
    left = y - y.mean(1, keepdims=True) - y.mean(0, keepdims=True) + y.mean()
    rest = (left**2).sum() / ((draws - 1) * (paths - 1))
    of_draws = max(0.0, y.mean(1).var(ddof=1) - rest / paths)
    of_paths = max(0.0, y.mean(0).var(ddof=1) - rest / draws)
    return float(np.sqrt(of_draws / draws + of_paths / paths + rest / y.size))


def test_a_mean_is_over_draws_and_its_error_holds_what_they_share(run: Run) -> None:
    rows = estimates(pooled(run), ["members_end"]).to_pylist()
    for policy, design in ((0, 0), (0, 1), (1, 0), (1, 1)):
        values, row = values_by_draw(run, policy, design), rows[policy * 2 + design]
        assert (row["point"], row["paths"]) == (policy * 2 + design, 3 * SHARED)
        # sums of 15 numbers in another order
        assert row["mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert row["standard_error"] == pytest.approx(crossed_error(values), rel=1e-10)


def test_what_only_some_paths_have_is_their_part_and_the_mean_over_these(tmp_path: Path) -> None:
    """Three figures of 0 and amounts, of which the mean over all is the product of the others."""
    made = made_rows(points=12, paths=SHARED)
    amounts = [5 * (path % 3) for path in range(made.paths.num_rows)]
    place = made.paths.schema.get_field_index("uncovered_members")
    column = pa.array(amounts, made.paths.schema.field(place).type)
    paths = made.paths.set_column(place, made.paths.schema.field(place), column)
    run = a_run_over_draws(tmp_path / "rare", SHARED, dataclasses.replace(made, paths=paths))
    name = "uncovered_members"
    rows = estimates(pooled(run), [name, part_with(name), mean_with(name)]).to_pylist()
    every, part, those = rows[:3]
    table = np.array([amounts[2 * d * SHARED : (2 * d + 1) * SHARED] for d in range(3)], float)
    assert every["mean"] == pytest.approx(table.mean(), rel=1e-12)
    assert (part["mean"], part["paths"]) == (pytest.approx((table > 0).mean()), 3 * SHARED)
    assert (those["mean"], those["paths"]) == (pytest.approx(table[table > 0].mean()), 10)
    linear: npt.NDArray[np.float64] = np.where(table > 0, table - those["mean"], 0.0)
    linear /= (table > 0).mean()
    there = (table > 0).astype(np.float64)
    assert part["standard_error"] == pytest.approx(crossed_error(there), rel=1e-9)
    assert those["standard_error"] == pytest.approx(crossed_error(linear), rel=1e-9)
    text = show_run(run, width=160)
    assert f"{100 * part['mean']:.0f}" in text
    assert f"±{those['standard_error']:.0f}" in text


def test_policies_are_compared_draw_by_draw(run: Run) -> None:
    whole = pooled(run)
    (row,) = compare(Side(whole, 1), Side(whole, 3), ["members_end"]).to_pylist()
    differences = values_by_draw(run, 1, 1) - values_by_draw(run, 0, 1)
    assert (row["paired"], row["pairs"]) == (True, 3 * SHARED)
    assert row["difference"] == pytest.approx(differences.mean(), rel=1e-12)
    # a difference of means of 1e6 keeps 1e-9 of itself
    assert row["standard_error"] == pytest.approx(crossed_error(differences), rel=1e-9)
    assert row["high"] - row["low"] > 2 * 2.776 * row["standard_error"]  # t of four degrees


def without_draws(run: Run, folder: Path) -> Run:
    """Return a run of one point, with the paths of the point 0."""
    made = made_rows(points=1, paths=SHARED)
    ends = run.pandas("paths").query("point == 0").sort_values("path")["members_end"]
    column = made.paths.schema.get_field_index("members_end")
    paths = made.paths.set_column(column, made.paths.field(column), pa.array(ends, pa.int64()))
    return a_run(folder, dataclasses.replace(made, paths=paths))


def test_a_run_without_draws_is_compared_at_every_draw(run: Run, tmp_path: Path) -> None:
    plain, whole = without_draws(run, tmp_path / "plain"), pooled(run)
    (row,) = compare(Side(plain, 0), Side(whole, 0), ["members_end"]).to_pylist()
    values = values_by_draw(run, 0, 0)
    differences = values - values[0]  # the point 0 is the first draw
    assert (row["paired"], row["pairs"]) == (True, 3 * SHARED)
    assert row["difference"] == pytest.approx(differences.mean(), rel=1e-12)
    assert row["standard_error"] == pytest.approx(crossed_error(differences), rel=1e-9)
    (back,) = compare(Side(whole, 0), Side(plain, 0), ["members_end"]).to_pylist()
    assert back["difference"] == pytest.approx(-row["difference"], rel=1e-12)


def test_of_other_random_numbers_the_errors_of_both_sides_are_put_together(
    run: Run, tmp_path: Path
) -> None:
    plain, whole = without_draws(run, tmp_path / "plain"), pooled(run)
    other = dataclasses.replace(plain, manifest=dataclasses.replace(plain.manifest, seed=8))
    (row,) = compare(Side(other, 0), Side(whole, 0), ["members_end"]).to_pylist()
    values = values_by_draw(run, 0, 0)
    squared = crossed_error(values) ** 2 + values[0].var(ddof=1) / SHARED
    assert (row["paired"], row["pairs"]) == (False, SHARED)
    assert row["difference"] == pytest.approx(values.mean() - values[0].mean(), rel=1e-9)
    assert row["standard_error"] == pytest.approx(squared**0.5, rel=1e-9)


@pytest.mark.parametrize("quantity", ["members", "share"])
def test_errors_over_time_hold_what_draws_share(run: Run, quantity: str) -> None:
    """The last period, in which some paths have closed: members count 0 there, shares are left out
    and leave gaps, for which dense matrices give the error.
    """
    found = {row["point"]: row for row in bands(pooled(run), [quantity], [1, 2]).to_pylist()}
    rows = run.pandas("periods").query("period == 5").set_index(["point", "path"])[quantity]
    for policy, design in ((0, 1), (1, 0)):
        points = [(policy * 3 + d) * 2 + design for d in range(3)]
        table = np.array([[rows.get((p, i), np.nan) for i in range(SHARED)] for p in points])
        if quantity == "members":
            table = np.nan_to_num(table)
        row = found[policy * 2 + design]
        assert row["period"] == 5
        assert row["mean"] == pytest.approx(np.nanmean(table, axis=1).mean(), rel=1e-12)
        assert row["standard_error"] == pytest.approx(squared_error(table) ** 0.5, rel=1e-9)


def test_draws_with_random_numbers_of_their_own_have_the_error_of_their_means(run: Run) -> None:
    sweep = {**run.manifest.config["sweep"], "random_numbers": "independent"}
    config = {**run.manifest.config, "sweep": sweep}
    own = dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, config=config))
    whole, draws = pooled(own), values_by_draw(run, 0, 1).mean(axis=1)
    row = estimates(whole, ["members_end"]).to_pylist()[1]
    assert row["mean"] == pytest.approx(draws.mean(), rel=1e-12)
    assert row["standard_error"] == pytest.approx(draws.std(ddof=1) / 3**0.5, rel=1e-12)
    assert "each with random numbers of its own" in show_run(own)
    ended = run.pandas("paths").set_index(["point", "path"])["closure_period"].isna()
    parts = np.array([[ended[2 * d + 1, i] for i in range(SHARED)] for d in range(3)]).mean(axis=1)
    n = parts.mean() * (1 - parts.mean()) / (parts.var(ddof=1) / 3)
    interval = [row for row in survival(whole, [1]).to_pylist() if row["state"] == OPEN][-1]
    z = 1.959963984540054
    n = np.clip(n, 3, 3 * SHARED)
    centre = (parts.mean() + z**2 / (2 * n)) / (1 + z**2 / n)
    assert (interval["low"] + interval["high"]) / 2 == pytest.approx(centre, rel=1e-9)


def test_members_who_leave_have_the_same_error(run: Run) -> None:
    found = lapses(pooled(run), [1]).to_pylist()
    row = next(row for row in found if (row["period"], row["rank"]) == (5, 0))
    left = run.pandas("periods").query("period == 5").set_index(["point", "path"])
    points = [2 * d + 1 for d in range(3)]
    column = left[f"lapses_{row['cause']}"]
    table = np.array([[column.get((p, i), 0.0) for i in range(SHARED)] for p in points])
    assert row["members"] == pytest.approx(table.mean(), rel=1e-12)
    assert row["standard_error"] == pytest.approx(crossed_error(table), rel=1e-9)


def test_the_interval_of_the_open_part_is_of_as_many_independent_paths(run: Run) -> None:
    """Wilson's interval, centre and half-width by hand, with p (1 - p) / error² paths."""
    ended = run.pandas("paths").set_index(["point", "path"])["closure_period"].isna()
    found = survival(pooled(run), [1], confidence=0.9)
    row = [row for row in found.to_pylist() if row["state"] == OPEN][-1]
    points = [2 * d + 1 for d in range(3)]
    table = np.array([[float(ended[p, i]) for i in range(SHARED)] for p in points])
    part = table.mean()
    assert 0 < part < 1
    assert row["part"] == pytest.approx(part, rel=1e-12)
    n = part * (1 - part) / crossed_error(table) ** 2
    assert 3 < n < 3 * SHARED
    z = 1.6448536269514722
    centre = (part + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (part * (1 - part) / n + z**2 / (4 * n**2)) ** 0.5
    assert (row["low"], row["high"]) == pytest.approx((centre - half, centre + half), rel=1e-9)
    none = next(row for row in found.to_pylist() if row["part"] == 0.0)
    high = z**2 / 3 / (1 + z**2 / 3)  # of three paths, the number of draws, and no more
    assert (none["low"], none["high"]) == (0.0, pytest.approx(high, rel=1e-12))


def test_the_table_has_a_row_a_policy_and_design_and_no_drawn_field(run: Run) -> None:
    text = show_run(run, width=160)
    lines = text.splitlines()
    assert "12 points × 5 paths" in lines[1]
    assert sum("as_it_was" in line or "dear" in line for line in lines) == 4
    assert "burden" not in text
    assert "Each row is pooled over the 3 draws of posterior. ± is the standard" in text
    assert "these draws and over the 5 paths of random numbers that they share" in text
    assert "2 drawn fields left out" in text
    values = values_by_draw(run, 1, 0) / 1e6
    row = next(number for number, line in enumerate(lines) if "dear" in line)
    assert f"{values.mean():.2f}" in lines[row]
    assert f"±{crossed_error(values):.2f}" in lines[row + 1]


def test_draws_that_share_one_path_have_no_error_and_it_says_so(tmp_path: Path) -> None:
    single = a_run_over_draws(tmp_path / "single", 1)
    text = show_run(single, width=160)
    assert "±" not in text
    assert "All draws share one\npath of random numbers" in text
    assert "set sweep.paths to 2 or more" in text
    rows = estimates(pooled(single), ["members_end"]).to_pylist()
    assert [row["standard_error"] for row in rows] == [None] * 4
    made = contents.report(single)
    assert "no standard error is given" in " ".join(text.en for text in story(single))
    money = next(figure for figure in made.figures if figure.name == "money")
    assert money.data["low"].null_count == money.data.num_rows > 0  # no interval of no width
    assert "<svg" in money.svg("en")


def test_what_is_drawn_is_a_factor_and_worlds_are_of_it(run: Run) -> None:
    found = factors(run)
    assert [factor.name for factor in found.factors] == ["shock_cap", LEVEL, FEE, BURDEN]
    assert [factor.is_range for factor in found.factors] == [False, True, True, True]
    level = found.factors[1]
    assert level.values == (0.4, 0.4, 0.5, 0.5, 0.6, 0.6)
    assert level.shares == pytest.approx([0, 0, 0.5, 0.5, 1, 1], abs=1e-12)
    assert [factor.name for factor in factors(run, "dear").factors] == ["shock_cap", LEVEL, BURDEN]


def test_a_report_is_of_policies_and_names_the_draws(run: Run) -> None:
    made = contents.report(run)
    parts: dict[str, Any] = {p.name: p for section in made.sections for p in section.parts}
    assert "precision" not in parts
    assert parts["outcomes"].data["policy"] == ["as_it_was", "as_it_was", "dear", "dear"]
    assert set(parts["over_time"].data["point"].to_pylist()) == {0, 1, 2, 3}
    assert {"level", "burden"} <= set(parts["tornado"].data["axis"].to_pylist())
    told = " ".join(text.en for text in story(run))
    assert f"at each of 3 draws of posterior, which has values of {LEVEL}, {BURDEN}" in told


def test_a_picture_has_a_panel_a_pooled_point(run: Run) -> None:
    svg = draw(run).svg
    assert "Paths of 3 draws of posterior together." in svg
    assert "burden" not in svg
