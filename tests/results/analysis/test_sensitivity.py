"""Sensitivity: indices are SALib's and those known exactly; a tornado is exact on a line."""

import itertools
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from SALib.analyze import sobol as salib

from configs.sweep import Sweep, unit_sample_of
from results.analysis.sensitivity import SEED, delta, morris, sobol, sobol_pairs, tornado
from results.pooled import pooled
from results.run import Run, RunError
from tests.results.analysis.swept import sampled_points, swept_run

FEE, SPEED, ECHO = "plans.main.fee_rate", "motives.*.education_speed", "news.echo"
RULE = "plans.main.rule"
NAMES = [FEE, SPEED, ECHO]
UNIT = {name: {"low": 0.0, "high": 1.0} for name in NAMES}
OUTCOME = "share_total"
SALTELLI = {"design": "saltelli", "points": 2048, "second_order": True, "axes": UNIT}
MORRIS = {"design": "morris", "points": 20, "levels": 6, "axes": UNIT}


def ishigami(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """sin x1 + 7 sin² x2 + 0.1 x3⁴ sin x1, x uniform on -π to π."""
    x = math.pi * (2 * shares - 1)
    value = np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])
    return np.asarray(value, np.float64)


def shares_of(sweep: dict[str, Any]) -> npt.NDArray[np.float64]:
    return unit_sample_of(Sweep.model_validate(sweep))


def run_of(folder: Path, sweep: dict[str, Any], value: npt.NDArray[np.float64], **more: Any) -> Run:
    """Return a run of a sampled design with an outcome of every point, or of every path."""
    table = value[:, np.newaxis] if value.ndim == 1 else value
    return swept_run(folder, sweep, sampled_points(sweep), {OUTCOME: table}, **more)


def by_axis(table: pa.Table) -> dict[str, dict[str, Any]]:
    return {row["axis"]: row for row in table.to_pylist()}


@pytest.fixture(scope="module")
def ishigami_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_of(tmp_path_factory.mktemp("run"), SALTELLI, ishigami(shares_of(SALTELLI)))


def test_sobol_indices_are_those_of_salib(ishigami_run: Run) -> None:
    """The same sums of the same numbers: 1e-12 is a thousand roundings."""
    cube = {"num_vars": 3, "names": NAMES, "bounds": [[0, 1]] * 3}
    expected = salib.analyze(cube, ishigami(shares_of(SALTELLI)), seed=SEED)
    found, pairs = sobol(ishigami_run, OUTCOME), sobol_pairs(ishigami_run, OUTCOME)
    assert found["axis"].to_pylist() == NAMES
    for name, theirs in {
        "s1": "S1",
        "s1_margin": "S1_conf",
        "st": "ST",
        "st_margin": "ST_conf",
    }.items():
        np.testing.assert_allclose(found[name].to_numpy(), expected[theirs], rtol=0, atol=1e-12)
    assert pairs.select(["axis", "other"]).to_pylist() == [
        {"axis": one, "other": two} for one, two in itertools.combinations(NAMES, 2)
    ]
    upper = np.triu_indices(3, 1)
    np.testing.assert_allclose(pairs["s2"].to_numpy(), expected["S2"][upper], rtol=0, atol=1e-12)


def test_sobol_indices_are_those_of_the_ishigami_function(ishigami_run: Run) -> None:
    """Known exactly. Over 40 other samples of this size estimates stray by 0.007 (one standard
    deviation) at most, and never by more than 0.026; 0.03 is allowed.
    """
    one = 0.5 * (1 + 0.1 * math.pi**4 / 5) ** 2
    two, both = 49 / 8, 0.01 * math.pi**8 * 8 / 225
    total = one + two + both
    found = sobol(ishigami_run, OUTCOME)
    np.testing.assert_allclose(found["s1"], np.array([one, two, 0]) / total, atol=0.03)
    np.testing.assert_allclose(found["st"], np.array([one + both, two, both]) / total, atol=0.03)
    s2 = sobol_pairs(ishigami_run, OUTCOME)["s2"]
    np.testing.assert_allclose(s2, np.array([0, both, 0]) / total, atol=0.03)


def test_noise_is_the_part_of_the_variance_that_chance_makes(tmp_path: Path) -> None:
    """By hand: means 0 and 1 in turn, variance 1/4; two paths ± 0.1, error 0.1: 0.01 / 0.25."""
    sweep = {"design": "saltelli", "points": 8, "axes": {FEE: UNIT[FEE]}}
    means = np.arange(24) % 2.0
    table = means[:, np.newaxis] + np.array([-0.1, 0.1])
    found = sobol(run_of(tmp_path / "run", sweep, table), OUTCOME)
    assert found["noise"].to_pylist() == pytest.approx([0.04], rel=1e-12)


def test_noise_of_one_path_is_missing(ishigami_run: Run) -> None:
    assert sobol(ishigami_run, OUTCOME)["noise"].to_pylist() == [None] * 3


def test_another_policy_and_world_are_another_repetition_of_the_design(tmp_path: Path) -> None:
    """The outcome follows the fee under one of four, number 3, and the speed under the others."""
    axes = {FEE: UNIT[FEE], SPEED: UNIT[SPEED]}
    named: dict[str, Any] = {"policies": {"a": {}, "b": {}}, "worlds": {"calm": {}, "tense": {}}}
    sweep = {"design": "saltelli", "points": 64, "axes": axes, **named}
    design = sampled_points(sweep)
    shares = shares_of(sweep)
    points = [
        {"policy": p, "world": w} | point
        for p in "ab"
        for w in ("calm", "tense")
        for point in design
    ]
    value = np.concatenate([shares[:, 1]] * 3 + [shares[:, 0]])[:, np.newaxis]
    run = swept_run(tmp_path / "run", sweep, points, {OUTCOME: value})
    assert leading(sobol(run, OUTCOME)) == SPEED
    assert leading(sobol(run, OUTCOME, policy="b", world="tense")) == FEE
    assert tornado(run, OUTCOME, policy="a")["axis"][0].as_py() == SPEED
    assert set(tornado(run, OUTCOME, policy="b")["axis"].to_pylist()) == {FEE, SPEED, "world"}
    with pytest.raises(RunError, match="no policy 'c'; it has a, b"):
        sobol(run, OUTCOME, policy="c")
    with pytest.raises(RunError, match="no world 'wild'; it has calm, tense"):
        sobol(run, OUTCOME, world="wild")


def leading(table: pa.Table) -> str:
    """Return the axis that explains all, the others nothing."""
    first: dict[str, float] = {row["axis"]: row["st"] for row in table.to_pylist()}
    assert sorted(first.values())[:-1] == pytest.approx([0] * (len(first) - 1), abs=1e-12)
    return max(first, key=lambda name: first[name])


def test_morris_of_a_line_has_its_slopes_exactly(tmp_path: Path) -> None:
    """Each effect is the slope; a difference of numbers below 10 over 0.6 rounds by 1e-14."""
    slopes = np.array([3.0, -2.0, 0.0])
    run = run_of(tmp_path / "run", MORRIS, shares_of(MORRIS) @ slopes + 5)
    found = morris(run, OUTCOME)
    assert found["axis"].to_pylist() == NAMES
    np.testing.assert_allclose(found["mu"], slopes, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found["mu_star"], np.abs(slopes), rtol=0, atol=1e-13)
    np.testing.assert_allclose(found["sigma"], 0, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found["mu_star_margin"], 0, rtol=0, atol=1e-13)


def test_morris_tells_an_interaction_by_its_spread(tmp_path: Path) -> None:
    """The effect of x1 in x1 x2 is x2, at levels 0 to 1: mean within 0 to 1, sigma above 0."""
    shares = shares_of(MORRIS)
    found = by_axis(morris(run_of(tmp_path / "run", MORRIS, shares[:, 0] * shares[:, 1]), OUTCOME))
    effects = shares.reshape(20, 4, 3)
    moved = np.abs(np.diff(effects[:, :, 0], axis=1)).argmax(axis=1)
    at = effects[np.arange(20), moved, 1]
    assert found[FEE]["mu"] == pytest.approx(at.mean(), abs=1e-13)
    assert found[FEE]["sigma"] == pytest.approx(at.std(ddof=1), abs=1e-13)
    assert found[ECHO]["mu_star"] == pytest.approx(0, abs=1e-13)


def test_morris_of_points_that_another_sampler_drew_is_refused(tmp_path: Path) -> None:
    points = sampled_points(MORRIS)
    swapped = [*points[4:8], *points[:4], *points[8:]]
    run = swept_run(tmp_path / "run", MORRIS, swapped, {OUTCOME: np.ones((80, 1))})
    with pytest.raises(RunError, match=r"point \d+ has .* and the sample drawn now"):
        morris(run, OUTCOME)


GRID: list[dict[str, Any]] = [
    {FEE: fee, RULE: rule, SPEED: speed}
    for fee, rule, speed in itertools.product([0.2, 0.0, 0.1], ["equal", "expected"], [1, 3])
]
GRID_SWEEP = {"axes": {FEE: [0.2, 0.0, 0.1], RULE: ["equal", "expected"], SPEED: [1, 3]}}
LINE = np.array([100 * p[FEE] + 7 * (p[RULE] == "expected") - 2 * p[SPEED] for p in GRID])
WEATHER = np.array([-1.0, 0.0, 4.0])


def test_tornado_of_a_line_on_a_grid_is_exact(tmp_path: Path) -> None:
    """Swings are slopes times ranges: 100 · 0.2, 7 and -2 · 2; common weather cancels in them.

    Its own error is that of the mean of three paths: their deviation is √7, so √(7/3).
    """
    table = LINE[:, np.newaxis] + WEATHER
    found = tornado(swept_run(tmp_path / "run", GRID_SWEEP, GRID, {OUTCOME: table}), OUTCOME)
    assert found["axis"].to_pylist() == [FEE, RULE, SPEED]
    np.testing.assert_allclose(found["swing"], [20, 7, -4], rtol=1e-13)
    np.testing.assert_allclose(found["mean_low"], [0.5, 7, 12.5], rtol=1e-13)
    np.testing.assert_allclose(found["standard_error"], 0, atol=1e-13)
    np.testing.assert_allclose(found["standard_error_low"], math.sqrt(7 / 3), rtol=1e-13)
    np.testing.assert_allclose(found["standard_error_high"], math.sqrt(7 / 3), rtol=1e-13)
    assert found.select(["low", "high"]).to_pylist() == [
        {"low": "0", "high": "0.2"},
        {"low": "equal", "high": "expected"},
        {"low": "1", "high": "3"},
    ]
    assert found["points_low"].to_pylist() == [4, 6, 6]


def test_tornado_adds_errors_of_points_with_draws_of_their_own(tmp_path: Path) -> None:
    """By hand: each point's squared error is 7/3, so 7/3/4 at an end of four, and twice that."""
    sweep = GRID_SWEEP | {"random_numbers": "independent"}
    run = swept_run(tmp_path / "run", sweep, GRID, {OUTCOME: LINE[:, np.newaxis] + WEATHER})
    row = by_axis(tornado(run, OUTCOME, confidence=0.5))[FEE]
    assert row["standard_error_low"] == pytest.approx(math.sqrt(7 / 12), rel=1e-13)
    assert row["standard_error"] == pytest.approx(math.sqrt(7 / 6), rel=1e-13)
    # half of a normal law lies within 0.6744897501960817 standard deviations
    assert row["swing_high"] - 20 == pytest.approx(0.6744897501960817 * math.sqrt(7 / 6))
    assert 20 - row["swing_low"] == pytest.approx(row["swing_high"] - 20)


def test_tornado_counts_draws_of_a_posterior_as_a_sample(tmp_path: Path) -> None:
    """By hand: 10 + k more at draw k = 0 … 3, whose variance is 5/3, over four draws; the weather
    of the three paths cancels. At the low end the draws are 0, 2, 4, 10, variance 56/3.
    """
    names = {"name": "sample", "fields": ["claims.level"], "rows": 4}
    sweep = {"axes": {FEE: [0.0, 0.1]}, "draws": names | {"values": ["1", "2", "3", "4"]}}
    points = [
        {"draw": k, FEE: fee, "claims.level": k + 1.0} for k in range(4) for fee in (0.0, 0.1)
    ]
    low = np.array([0.0, 2.0, 4.0, 10.0])
    value = np.column_stack([low, low + 10 + np.arange(4)]).reshape(8, 1) + WEATHER
    run = swept_run(tmp_path / "run", sweep, points, {OUTCOME: value})
    row = by_axis(tornado(run, OUTCOME))[FEE]
    assert row["swing"] == pytest.approx(11.5, rel=1e-13)
    assert row["standard_error"] == pytest.approx(math.sqrt(5 / 12), rel=1e-12)
    assert row["standard_error_low"] == pytest.approx(math.sqrt(7 / 3 + 56 / 12), rel=1e-12)
    assert tornado(pooled(run), OUTCOME).equals(tornado(run, OUTCOME))


def test_tornado_of_a_sample_takes_a_fifth_at_each_end_and_counts_its_spread(
    tmp_path: Path,
) -> None:
    """By hand, ten points of a line: ends {0, 1} and {8, 9}, each of deviation √½, variance ¼."""
    sweep = {"design": "random", "points": 10, "axes": {FEE: {"low": 0, "high": 0.9}}}
    points = [{FEE: k / 10} for k in (3, 0, 8, 1, 2, 9, 4, 5, 6, 7)]
    value = np.array([[10 * point[FEE]] * 3 for point in points]) + WEATHER
    (row,) = tornado(
        swept_run(tmp_path / "run", sweep, points, {OUTCOME: value}), OUTCOME
    ).to_pylist()
    assert (row["low"], row["high"]) == ("0 to 0.1", "0.8 to 0.9")
    assert row["mean_low"] == pytest.approx(0.5 + 1, rel=1e-13)
    assert row["swing"] == pytest.approx(8, rel=1e-13)
    assert row["standard_error_low"] == pytest.approx(math.sqrt(0.25 + 7 / 3), rel=1e-12)
    assert row["standard_error"] == pytest.approx(math.sqrt(0.5), rel=1e-12)


def test_tornado_leaves_out_points_that_are_not_there_and_values_not_applied(
    tmp_path: Path,
) -> None:
    points: list[dict[str, Any]] = [
        {FEE: 0.0, SPEED: None},
        {FEE: 0.0, SPEED: 1},
        {FEE: 0.1, SPEED: 2},
    ]
    points.append({FEE: 0.1, SPEED: 5})
    sweep = {"design": "list", "axes": {FEE: [0, 0, 0.1, 0.1], SPEED: [0, 1, 2, 5]}}
    value = np.array([[1.0], [3.0], [7.0], [100.0]])
    run = swept_run(tmp_path / "run", sweep, points, {OUTCOME: value}, missing=[3])
    found = by_axis(tornado(run, OUTCOME))
    assert found[FEE]["swing"] == 7 - 2
    assert found[SPEED]["swing"] == 7 - 3
    assert found[FEE]["standard_error"] is None


def test_delta_ranks_axes_and_is_small_without_influence(tmp_path: Path) -> None:
    """Of y = x near 1; of 126 points of this seed above 0.6, without influence below 0.25."""
    sweep = {"design": "sobol", "points": 128, "axes": UNIT | {RULE: ["equal", "expected"]}}
    run = run_of(tmp_path / "run", sweep, 10 * shares_of(sweep)[:, 1], missing=[0, 7])
    found = delta(run, OUTCOME, resamples=5)
    assert found["axis"][0].as_py() == SPEED
    assert set(found["axis"].to_pylist()) == set(NAMES)
    assert found["delta"][0].as_py() > 0.6
    assert max(found["delta"].to_pylist()[1:]) < 0.25
    assert found["points"].to_pylist() == [126] * 3


def test_analyses_leave_the_generator_and_the_warnings_of_the_process_alone(
    tmp_path: Path,
) -> None:
    sweep = SALTELLI | {"points": 8}
    run = run_of(tmp_path / "run", sweep, ishigami(shares_of(sweep)))
    state, shown = np.random.get_state(legacy=False), warnings.formatwarning  # noqa: NPY002
    filters = list(warnings.filters)
    first, _ = delta(run, OUTCOME, resamples=3), sobol(run, OUTCOME)
    np.testing.assert_equal(np.random.get_state(legacy=False), state)  # noqa: NPY002
    assert (warnings.formatwarning, warnings.filters) == (shown, filters)
    np.random.random()  # noqa: NPY002
    assert delta(run, OUTCOME, resamples=3).equals(first)


@pytest.mark.parametrize("analysis", [sobol, sobol_pairs, morris])
def test_indices_of_another_design_are_refused(
    tmp_path: Path, analysis: Callable[..., pa.Table]
) -> None:
    run = swept_run(tmp_path / "run", GRID_SWEEP, GRID, {OUTCOME: LINE[:, np.newaxis]})
    design = "morris" if analysis is morris else "saltelli"
    with pytest.raises(RunError, match=f"needs the design '{design}', got 'grid'"):
        analysis(run, OUTCOME)


@pytest.mark.parametrize(
    ("analysis", "sweep", "points"), [(sobol, SALTELLI, 16384), (morris, MORRIS, 80)]
)
def test_indices_of_a_design_with_points_missing_are_refused(
    tmp_path: Path, analysis: Callable[..., pa.Table], sweep: dict[str, Any], points: int
) -> None:
    run = run_of(tmp_path / "run", sweep, ishigami(shares_of(sweep)), missing=[0, points - 1])
    message = f"needs all {points} points of the design; {points - 2} have a value of {OUTCOME}"
    with pytest.raises(RunError, match=message):
        analysis(run, OUTCOME)


def test_pairs_of_a_design_of_first_order_are_refused(tmp_path: Path) -> None:
    sweep = SALTELLI | {"points": 8, "second_order": False}
    run = run_of(tmp_path / "run", sweep, ishigami(shares_of(sweep)))
    with pytest.raises(RunError, match="need second_order: true in the sweep, got false"):
        sobol_pairs(run, OUTCOME)


def test_an_outcome_that_is_the_same_everywhere_is_refused(tmp_path: Path) -> None:
    sweep = SALTELLI | {"points": 8}
    run = run_of(tmp_path / "run", sweep, np.full(64, 0.1))
    for analysis in (sobol, delta):
        with pytest.raises(RunError, match=f"{OUTCOME} is 0.1 at all 64 points"):
            analysis(run, OUTCOME)


def test_delta_of_few_points_or_few_values_is_refused(tmp_path: Path) -> None:
    few = swept_run(tmp_path / "few", GRID_SWEEP, GRID, {OUTCOME: LINE[:, np.newaxis]})
    with pytest.raises(RunError, match="delta needs 30 finished points, got 12"):
        delta(few, OUTCOME)
    points = [{FEE: 0.01 * (k % 9)} for k in range(36)]
    sweep = {"design": "list", "axes": {FEE: [p[FEE] for p in points]}}
    coarse = swept_run(
        tmp_path / "coarse", sweep, points, {OUTCOME: np.arange(36.0)[:, np.newaxis]}
    )
    with pytest.raises(RunError, match="an axis of numbers that takes 10 values at least"):
        delta(coarse, OUTCOME)


def test_a_run_in_which_nothing_varies_is_refused(tmp_path: Path) -> None:
    run = swept_run(tmp_path / "run", {}, [{}], {OUTCOME: np.ones((1, 2))})
    with pytest.raises(RunError, match="nothing varies from point to point"):
        tornado(run, OUTCOME)
