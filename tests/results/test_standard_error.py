"""Errors of means over draws and paths: by hand, by dense matrices, and in simulated worlds."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from scipy import stats

from results.pooled import PooledRun
from results.run import Run
from results.standard_error import means_of_some_sql, means_sql
from tests.results.crossed import squared_error
from tests.results.synthetic import a_manifest

Floats = npt.NDArray[np.float64]

PATHS = 8
"""Paths of a draw in these runs; a table may have fewer."""


def a_pooled_run(random_numbers: str = "common") -> PooledRun:
    """Return a run of draws without files, which is all that the SQL asks for."""
    config = {"scenario": {}, "sweep": {"random_numbers": random_numbers}}
    manifest = a_manifest(config=config, paths_per_point=PATHS)
    original = Run(Path("run"), manifest, ())
    pooled = dataclasses.replace(manifest, paths_per_point=20 * PATHS)
    return PooledRun(original.folder, pooled, (), original, "sample", 20, 1)


def means(run: Run, tables: Floats) -> dict[str, Floats]:
    """Return mean, standard_error and freedom of float64[tables, draws, paths], NaN for a gap."""
    table, draw, path = np.nonzero(~np.isnan(tables))
    cells = pa.table(
        {"point": table, "path": draw * PATHS + path, "value": tables[table, draw, path]}
    )
    with duckdb.connect() as connection:
        connection.register("cells", cells)
        rows = connection.sql(f"select * from ({means_sql(run, 'cells')}) order by point")
        found: dict[str, Any] = rows.to_arrow_table().to_pydict()
    return {name: np.array(column, np.float64) for name, column in found.items()}


def means_of_some(run: Run, tables: Floats) -> dict[str, Floats]:
    """Return mean and standard_error of the same, NaN for a path that has none."""
    table, draw, path = np.indices(tables.shape).reshape(3, -1)
    value = pa.array(tables.ravel(), mask=np.isnan(tables.ravel()))
    cells = pa.table({"point": table, "path": draw * PATHS + path, "value": value})
    with duckdb.connect() as connection:
        connection.register("cells", cells)
        rows = connection.sql(f"select * from ({means_of_some_sql(run, 'cells')}) order by point")
        found: dict[str, Any] = rows.to_arrow_table().to_pydict()
    return {name: np.array(column, np.float64) for name, column in found.items()}


def drawn(
    rng: np.random.Generator, size: tuple[int, int, int], sds: tuple[float, float, float]
) -> Floats:
    """Return tables of 10 + draw + path + rest, normal with these standard deviations."""
    tables, draws, paths = size
    by_draw, by_path, rest = sds
    return np.asarray(
        10
        + by_draw * rng.standard_normal((tables, draws, 1))
        + by_path * rng.standard_normal((tables, 1, paths))
        + rest * rng.standard_normal(size)
    )


def test_over_a_whole_table_the_error_is_that_of_the_analysis_of_variance() -> None:
    tables = drawn(np.random.default_rng(1), (3, 7, 5), (2.0, 3.0, 1.0))
    found = means(a_pooled_run(), tables)
    for k, y in enumerate(tables):
        left = y - y.mean(1, keepdims=True) - y.mean(0, keepdims=True) + y.mean()
        rest = (left**2).sum() / (6 * 4)
        variance = y.mean(1).var(ddof=1) / 7 + y.mean(0).var(ddof=1) / 5 - rest / 35
        assert found["mean"][k] == pytest.approx(y.mean(), rel=1e-13)
        # sums of 35 squares in another order
        assert found["standard_error"][k] ** 2 == pytest.approx(variance, rel=1e-11)


def test_a_table_with_gaps_has_the_error_that_dense_matrices_give() -> None:
    """Draws of 8, 5 and 3 paths as `stop_when` leaves them, one path without a value, one draw
    that failed.
    """
    rng = np.random.default_rng(4)
    table = drawn(rng, (1, 9, PATHS), (2.0, 3.0, 1.0))
    table[0, :3, 5:], table[0, 5:7, 3:], table[0, 8, 1], table[0, 4] = (
        np.nan,
        np.nan,
        np.nan,
        np.nan,
    )
    found = means(a_pooled_run(), table)
    draws = np.nanmean(np.delete(table[0], 4, axis=0), axis=1)
    assert found["mean"][0] == pytest.approx(draws.mean(), rel=1e-13)
    assert found["standard_error"][0] ** 2 == pytest.approx(squared_error(table[0]), rel=1e-10)


@pytest.mark.parametrize(
    "sds", [(1.0, 1.5, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (2.0, 1.0, 3.0)]
)
def test_in_simulated_worlds_the_error_is_as_large_as_said(sds: tuple[float, float, float]) -> None:
    """4000 tables of 12 draws and 6 paths from a known model. The mean of (estimate - 10)² over
    the known variance is 1, with standard deviation √(2 / 4000): |z| ≤ 4.5, false alarm 7e-6. The
    mean of the squared errors is the variance or, where estimates below 0 are cut off, up to 5 %
    more. The 95 % interval holds 10 in 94 to 99 % of the tables: Satterthwaite's degrees of freedom
    err on the safe side; 94 % is 2.9 standard deviations of 4000 tables below 95 %, false alarm
    2e-3, and the seed is fixed.
    """
    size = (4000, 12, 6)
    found = means(a_pooled_run(), drawn(np.random.default_rng(11), size, sds))
    draws, paths, rest = np.square(sds)
    variance = draws / 12 + paths / 6 + rest / 72
    away = (found["mean"] - 10.0) ** 2 / variance
    assert abs(away.mean() - 1) <= 4.5 * (2 / 4000) ** 0.5
    squared = found["standard_error"] ** 2 / variance
    bound = 4.5 * squared.std() / 4000**0.5
    assert 1 - bound <= squared.mean() <= 1.05 + bound
    half = stats.t.ppf(0.975, found["freedom"]) * found["standard_error"]
    held = (np.abs(found["mean"] - 10.0) <= half).mean()
    assert 0.94 <= held <= 0.99


def test_of_draws_that_move_nothing_the_error_is_that_of_the_paths() -> None:
    """Cases of four paths, the same at all draws, Poisson with mean 10: what is known is the mean
    of four numbers, error s / √4 with 3 degrees of freedom. √(10 / 4) = 1.58 is the true one.
    """
    cases = np.array([9.0, 8.0, 13.0, 9.0])
    found = means(a_pooled_run(), np.tile(cases, (1, 50, 1)))
    assert found["mean"][0] == 9.75
    assert found["standard_error"][0] == pytest.approx(cases.std(ddof=1) / 2, rel=1e-7)
    assert found["freedom"][0] == pytest.approx(3.0, rel=1e-7)


def test_with_independent_random_numbers_the_error_is_that_of_the_means_of_the_draws() -> None:
    table = drawn(np.random.default_rng(2), (1, 6, 4), (1.0, 2.0, 1.0))
    table[0, 2, 1:] = np.nan
    found = means(a_pooled_run("independent"), table)
    draws = np.nanmean(table[0], axis=1)
    assert found["mean"][0] == pytest.approx(draws.mean(), rel=1e-13)
    assert found["standard_error"][0] == pytest.approx(stats.sem(draws), rel=1e-12)
    assert found["freedom"][0] == 5


@pytest.mark.parametrize("size", [(1, 5, 1), (1, 1, 5), (1, 1, 1)])
def test_one_path_or_one_draw_has_no_error(size: tuple[int, int, int]) -> None:
    found = means(a_pooled_run(), drawn(np.random.default_rng(3), size, (1.0, 1.0, 1.0)))
    assert np.isnan([found["standard_error"][0], found["freedom"][0]]).all()
    assert np.isfinite(found["mean"][0])


def test_draws_of_a_path_each_share_nothing_that_can_be_told_apart() -> None:
    table = np.full((1, 5, 5), np.nan)
    table[0, range(5), range(5)] = np.arange(5.0)
    assert np.isnan(means(a_pooled_run(), table)["standard_error"][0])


@pytest.mark.parametrize("random_numbers", ["common", "independent"])
def test_where_all_paths_have_some_it_is_the_mean_over_all(random_numbers: str) -> None:
    run, tables = (
        a_pooled_run(random_numbers),
        drawn(np.random.default_rng(5), (2, 7, 5), (2, 3, 1)),
    )
    some, every = means_of_some(run, tables), means(run, tables)
    for name in ("mean", "standard_error"):
        assert some[name] == pytest.approx(every[name], rel=1e-9)


def test_a_mean_over_some_paths_is_a_ratio_with_the_error_of_its_linear_part() -> None:
    """Draws with 3, 1, 0 and 2 paths of 4 that have any: 6 of 16."""
    table = np.full((1, 4, 4), np.nan)
    table[0, 0, :3], table[0, 1, 1], table[0, 3, 1:3] = (5.0, 7.0, 6.0), 9.0, (4.0, 2.0)
    found = means_of_some(a_pooled_run("independent"), table)
    assert found["mean"][0] == pytest.approx(33 / 6, rel=1e-12)
    of_draws = np.array([18 - 3 * 5.5, 9 - 5.5, 0.0, 6 - 2 * 5.5]) / 4 / (6 / 16)
    squared = of_draws.var(ddof=1) / 4 * (3 / 2) * (3 / 4)
    assert found["standard_error"][0] == pytest.approx(squared**0.5, rel=1e-12)


def test_in_simulated_worlds_a_mean_over_some_paths_has_the_error_that_is_said() -> None:
    """z is normal, a third of its variance each of draws, paths and rest; a path has 10 + 2 z where
    z > 1/2 (31 %), of which the mean is 10 + 2 φ(1/2) / (1 - Φ(1/2)) = 12.28. A ratio is not
    linear, so that over 16 draws of 8 paths it is a little too small, by 0.05; the mean of the
    means of the draws is by 0.18. On average over 2000 tables the squared error is within a quarter
    of the mean squared distance.
    """
    z = drawn(np.random.default_rng(7), (2000, 16, PATHS), (3**-0.5,) * 3) - 10
    right = 10 + 2 * stats.norm.pdf(0.5) / stats.norm.sf(0.5)
    found = means_of_some(a_pooled_run(), np.where(z > 0.5, 10 + 2 * z, np.nan))
    away = found["mean"] - right
    assert abs(away.mean()) < 0.08
    assert np.nanmean(found["standard_error"] ** 2) == pytest.approx((away**2).mean(), rel=0.25)
    assert (np.abs(away) <= 2.365 * found["standard_error"]).mean() > 0.9  # t of 7 degrees


@pytest.mark.parametrize("there", [([2], [3]), ([1, 1], [0, 4]), ([0, 4], [2, 2])])
def test_one_draw_or_one_path_that_has_any_gives_no_error(there: tuple[list[int], ...]) -> None:
    table = np.full((1, 6, 5), np.nan)
    table[0, there[0], there[1]] = np.arange(4.0, 4.0 + len(there[0]))
    found = means_of_some(a_pooled_run(), table)
    assert np.isfinite(found["mean"][0])
    assert np.isnan(found["standard_error"][0])


def test_without_any_path_that_has_some_there_is_no_mean() -> None:
    assert means_of_some(a_pooled_run(), np.full((1, 3, 4), np.nan))["mean"].size == 0
