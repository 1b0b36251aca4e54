"""A run over draws: pooled in the table, the report and the picture, compared draw by draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from configs import yaml_text
from configs.sweep import Config
from results.analysis.comparison import Side, compare
from results.analysis.factors import factors
from results.analysis.outcomes import estimates
from results.picture import draw
from results.pooled import PooledRun, pooled
from results.report import contents
from results.report.story import story
from results.run import Run
from results.table import show_run
from tests.configs.conftest import SMALL
from tests.results.synthetic import FEE, a_run, made_rows

LEVEL, BURDEN = "claims.level", "motives.bargain.lapse.burden"
DRAWN = [(0.4, 0.01, 1.0), (0.5, 0.02, 3.0), (0.6, 0.03, 2.0)]
POLICIES = {"as_it_was": {}, "dear": {FEE: 0.3}}
SHARED = 5
"""Paths of a draw."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
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
    sweep = {"paths": SHARED, "policies": POLICIES, "draws": draws, "axes": {"shock_cap": [2, 3]}}
    config = Config.model_validate({"name": "small", **yaml_text.parse(SMALL), "sweep": sweep})
    return a_run(
        tmp_path_factory.mktemp("runs") / "pooled",
        made_rows(points=12, paths=SHARED),
        swept,
        config=config.model_dump(mode="json"),
        axes={"policy": list(POLICIES), "draw": [0, 4], LEVEL: [0.4, 0.6], "shock_cap": [2, 3]},
    )


def members_by_draw(run: Run, policy: int, design: int) -> npt.NDArray[np.float64]:
    """Return the mean of `members_end` at each draw, by the numbers of the points."""
    paths = run.pandas("paths")
    points = [(policy * 3 + d) * 2 + design for d in range(3)]
    return np.array([paths.loc[paths["point"] == p, "members_end"].mean() for p in points])


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


def test_a_mean_is_over_draws_and_so_is_its_error(run: Run) -> None:
    rows = estimates(pooled(run), ["members_end"]).to_pylist()
    for policy, design in ((0, 0), (0, 1), (1, 0), (1, 1)):
        draws, row = members_by_draw(run, policy, design), rows[policy * 2 + design]
        assert (row["point"], row["paths"]) == (policy * 2 + design, 3 * SHARED)
        # sums of 15 numbers in another order
        assert row["mean"] == pytest.approx(draws.mean(), rel=1e-12)
        assert row["standard_error"] == pytest.approx(draws.std(ddof=1) / 3**0.5, rel=1e-12)


def test_policies_are_compared_draw_by_draw(run: Run) -> None:
    whole = pooled(run)
    (row,) = compare(Side(whole, 1), Side(whole, 3), ["members_end"]).to_pylist()
    differences = members_by_draw(run, 1, 1) - members_by_draw(run, 0, 1)
    assert (row["paired"], row["pairs"]) == (True, 3)
    assert row["difference"] == pytest.approx(differences.mean(), rel=1e-12)
    # a difference of means of 1e6 keeps 1e-9 of itself
    assert row["standard_error"] == pytest.approx(differences.std(ddof=1) / 3**0.5, rel=1e-9)


def test_the_table_has_a_row_a_policy_and_design_and_no_drawn_field(run: Run) -> None:
    text = show_run(run, width=160)
    lines = text.splitlines()
    assert "12 points × 5 paths" in lines[1]
    assert sum("as_it_was" in line or "dear" in line for line in lines) == 4
    assert "burden" not in text
    assert "Each row is pooled over the 3 draws of posterior; ± is the standard deviation" in text
    assert "2 drawn fields left out" in text
    means = members_by_draw(run, 1, 0) / 1e6
    row = next(number for number, line in enumerate(lines) if "dear" in line)
    assert f"{means.mean():.2f}" in lines[row]
    assert f"±{means.std(ddof=1) / 3**0.5:.2f}" in lines[row + 1]


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
