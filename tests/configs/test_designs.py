"""Designs: the grid counts like nested loops, samples are those of their libraries."""

import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from SALib.analyze import sobol as sobol_indices
from SALib.sample import morris as morris_sample
from SALib.sample import sobol as saltelli_sample
from scipy import stats
from scipy.stats import qmc

from configs.axes import Choice, Listed, Range, dimensions
from configs.designs import (
    MAX_BRANCHES,
    MAX_TRAJECTORIES,
    BranchesError,
    Grid,
    Sampled,
    sampled_count,
    unit_sample,
)
from configs.load import Config, load
from configs.messages import ConfigError
from configs.sweep import point_count, values_at

Swept = Callable[..., Config]

RATES = ("education_speed", "payment_failure", "lapse.base", "lapse.first_bill", "lapse.growth")
FEE, RULE, GRACE = "plans.main.fee_rate", "plans.main.rule", "plans.main.grace_failures"
ECHO = "news.echo"
BANDS = "plans.main.pooled_bands={from_ages: [0, 20], quota: 0.1}"


@pytest.fixture
def sampled(small: Path) -> Swept:
    """Load small.yaml with axes in a sampled design."""

    def config(design: str, points: int, axes: dict[str, Any], **fields: Any) -> Config:
        given = {"design": design, "points": points, "axes": axes, **fields}
        return load(small, [BANDS, *(f"sweep.{name}={json.dumps(v)}" for name, v in given.items())])

    return config


def column(config: Config, name: str) -> list[Any]:
    """Return the values of all points in a column."""
    return [values_at(config, index)[name] for index in range(point_count(config))]


@st.composite
def conditional_axes(draw: st.DrawFn) -> dict[str, Listed]:
    """Draw axes of 1 to 3 values, some applied only with some values of axes before them."""
    axes: dict[str, Listed] = {}
    for name in "abcdef"[: draw(st.integers(0, 6))]:
        before = (
            draw(st.lists(st.sampled_from(sorted(axes)), max_size=2, unique=True)) if axes else []
        )
        only_if = {
            other: tuple(
                draw(st.lists(st.sampled_from(axes[other].values), min_size=1, unique=True))
            )
            for other in before
        }
        axes[name] = Listed(values=tuple(range(draw(st.integers(1, 3)))), only_if=only_if)
    return axes


def nested_loops(axes: dict[str, Listed]) -> Iterator[tuple[Choice | None, ...]]:
    """Yield the points of a grid by loops over all combinations, those that repeat left out."""
    seen = set()
    for values in itertools.product(*(axis.values for axis in axes.values())):
        point: dict[str, Any] = {}
        for (name, axis), value in zip(axes.items(), values, strict=True):
            holds = all(point[other] in some for other, some in axis.only_if.items())
            point[name] = value if holds else None
        if tuple(point.values()) not in seen:
            seen.add(tuple(point.values()))
            yield tuple(point.values())


@settings(deadline=None, max_examples=300)
@given(conditional_axes())
def test_grid_takes_the_combinations_of_nested_loops_in_their_order(
    axes: dict[str, Listed],
) -> None:
    grid = Grid(dimensions(axes))
    assert [grid.choices(index) for index in range(grid.count)] == list(nested_loops(axes))


def test_a_grid_of_many_conditions_is_counted_without_its_points() -> None:
    """Sixty switches, each with ten values of its own if it is on: 11 ** 60 points."""
    axes: dict[str, Any] = {}
    for i in range(60):
        axes[f"switch{i}"] = (False, True)
        axes[f"strength{i}"] = Listed(values=tuple(range(10)), only_if={f"switch{i}": (True,)})
    grid = Grid(dimensions(axes))
    assert grid.count == 11**60
    assert grid.choices(grid.count - 1) == (1, 9) * 60


def test_a_grid_whose_conditions_combine_without_end_is_refused() -> None:
    switches: dict[str, Any] = {f"switch{i}": (False, True) for i in range(20)}
    strengths = {
        f"strength{i}": Listed(values=(1, 2), only_if={f"switch{i}": (True,)}) for i in range(20)
    }
    assert MAX_BRANCHES < 2**20
    with pytest.raises(BranchesError, match=r"^switch13$"):
        Grid(dimensions(switches | strengths))


def test_conditional_axes_apply_in_a_sample_as_in_a_grid() -> None:
    axes: dict[str, Any] = {
        "a": (0, 1),
        "b": Listed(values=(0, 1), only_if={"a": (1,)}),
        "c": Listed(values=(0, 1), only_if={"b": (1,)}),
    }
    corners = np.array(list(itertools.product([0.0, 0.9], repeat=3)))
    design = Sampled(dimensions(axes), len(corners), lambda: corners)
    found = [design.choices(index) for index in range(design.count)]
    assert [*dict.fromkeys(found)] == list(nested_loops({**axes, "a": Listed(values=(0, 1))}))


@pytest.mark.parametrize("axes", [1, 3])
def test_random_sobol_and_latin_hypercube_are_those_of_numpy_and_scipy(axes: int) -> None:
    def rng() -> np.random.Generator:
        return np.random.default_rng(7)

    np.testing.assert_array_equal(
        unit_sample("random", axes, 16, 7, False, 4), rng().random((16, axes))
    )
    np.testing.assert_array_equal(
        unit_sample("sobol", axes, 16, 7, False, 4), qmc.Sobol(axes, rng=rng()).random(16)
    )
    np.testing.assert_array_equal(
        unit_sample("latin_hypercube", axes, 16, 7, False, 4),
        qmc.LatinHypercube(axes, rng=rng()).random(16),
    )


@pytest.mark.parametrize(("second_order", "rows"), [(False, 8 * 5), (True, 8 * 8)])
def test_saltelli_has_the_rows_of_salib_in_its_order(second_order: bool, rows: int) -> None:
    cube = {"num_vars": 3, "names": ["a", "b", "c"], "bounds": [[0, 1]] * 3}
    expected = saltelli_sample.sample(cube, 8, calc_second_order=second_order, seed=7)
    found = unit_sample("saltelli", 3, 8, 7, second_order, 4)
    np.testing.assert_array_equal(found, expected)
    assert len(found) == sampled_count("saltelli", 3, 8, second_order) == rows


def test_morris_has_the_rows_of_salib_in_its_order() -> None:
    """Only a rounding of sums of sixths is set right: well under 1e-15."""
    cube = {"num_vars": 3, "names": ["a", "b", "c"], "bounds": [[0, 1]] * 3}
    expected = morris_sample.sample(cube, 9, num_levels=6, seed=7)
    found = unit_sample("morris", 3, 9, 7, False, 6)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
    assert len(found) == sampled_count("morris", 3, 9, False) == 9 * 4


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5), st.integers(2, 9), st.integers(1, 20), st.integers(0, 2**64 - 1))
def test_each_step_of_a_morris_trajectory_moves_one_axis_over_half_of_the_levels(
    axes: int, trajectories: int, half: int, seed: int
) -> None:
    """Exact: shares are whole multiples of 1 / (levels - 1), and each axis moves once."""
    sample = unit_sample("morris", axes, trajectories, seed, False, 2 * half)
    places = sample.reshape(trajectories, axes + 1, axes) * (2 * half - 1)
    steps = np.abs(np.diff(np.rint(places), axis=1))
    assert sample.min() >= 0
    assert sample.max() <= 1
    np.testing.assert_array_equal(np.rint(places) / (2 * half - 1), sample.reshape(places.shape))
    np.testing.assert_array_equal(steps.sum(axis=1), np.full((trajectories, axes), half))
    np.testing.assert_array_equal(np.count_nonzero(steps, axis=2), 1)


def test_morris_takes_ranges_and_lists_at_their_levels(sampled: Swept) -> None:
    axes = {
        FEE: {"low": 0.1, "high": 0.4},
        ECHO: {"low": 0.001, "high": 0.1, "scale": "log"},
        GRACE: {"low": 1, "high": 4},
        RULE: ["equal", "expected"],
    }
    config = sampled("morris", 20, axes)
    assert point_count(config) == 20 * 5
    assert sorted(set(column(config, FEE))) == pytest.approx([0.1, 0.2, 0.3, 0.4], rel=1e-15)
    logs = np.log(sorted(set(column(config, ECHO)))) / math.log(10)
    np.testing.assert_allclose(logs, [-3, -7 / 3, -5 / 3, -1], rtol=1e-14)
    assert set(column(config, GRACE)) == {1, 2, 3, 4}
    assert set(column(config, RULE)) == {"equal", "expected"}


@pytest.mark.parametrize("names", range(2, 9))
@pytest.mark.parametrize("times", [1, 2, 3])
def test_morris_takes_each_value_of_a_list_equally_often_with_a_multiple_of_levels(
    names: int, times: int
) -> None:
    (axis,) = dimensions({RULE: tuple(range(names))})
    levels = names * times
    places = [axis.at(level / (levels - 1)) for level in range(levels)]
    assert places == sorted(list(range(names)) * times)


def test_other_levels_are_another_morris_sample(sampled: Swept) -> None:
    axes = {FEE: {"low": 0, "high": 0.5}}
    four, six = (column(sampled("morris", 8, axes, levels=n), FEE) for n in (4, 6))
    assert set(four) <= {0.5 * k / 3 for k in range(4)}
    assert not set(six) <= set(four)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"levels": 5}, r"sweep.levels: expected an even number, got 5"),
        (
            {"design": "random", "levels": 6},
            r"sweep.levels: expected 4 with the design 'random', got 6; write design: morris",
        ),
        ({"points": 1}, r"sweep.points: expected 2 to 10_000 with the design 'morris', got 1"),
        (
            {"points": MAX_TRAJECTORIES + 1},
            r"sweep.points: expected 2 to 10_000 with the design 'morris', got 10001",
        ),
    ],
)
def test_a_morris_design_that_cannot_be_is_refused(
    sampled: Swept, fields: dict[str, Any], message: str
) -> None:
    given = {"design": "morris", "points": 4, "axes": {FEE: {"low": 0, "high": 0.5}}} | fields
    with pytest.raises(ConfigError, match=message):
        sampled(**given)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 4), st.integers(1, 40), st.integers(0, 2**64 - 1))
def test_each_axis_of_a_latin_hypercube_has_one_point_a_stratum(
    axes: int, points: int, seed: int
) -> None:
    strata = np.ceil(unit_sample("latin_hypercube", axes, points, seed, False, 4) * points) - 1
    for k in range(axes):
        assert sorted(strata[:, k]) == list(range(points))


def test_latin_hypercube_takes_each_whole_number_and_each_value_equally_often(
    sampled: Swept,
) -> None:
    axes = {GRACE: {"low": 1, "high": 8}, RULE: ["equal", "expected", "linear"]}
    config = sampled("latin_hypercube", 24, axes)
    assert sorted(column(config, GRACE)) == sorted([*range(1, 9)] * 3)
    assert sorted(column(config, RULE)) == sorted(["equal", "expected", "linear"] * 8)


@pytest.mark.statistical
def test_whole_numbers_are_equally_likely_with_both_ends(sampled: Swept) -> None:
    """Chi-square, 8 numbers, 8000 points: false alarm 1e-6, and the seed is fixed."""
    config = sampled("random", 8000, {GRACE: {"low": 1, "high": 8}}, design_seed=1)
    numbers, counts = np.unique(column(config, GRACE), return_counts=True)
    assert numbers.tolist() == list(range(1, 9))
    assert stats.chisquare(counts).pvalue > 1e-6


@pytest.mark.statistical
def test_values_of_a_list_are_equally_likely_in_a_sample(sampled: Swept) -> None:
    """Chi-square, 3 values, 6000 points: false alarm 1e-6, and the seed is fixed."""
    config = sampled("random", 6000, {FEE: [0, 0.1, 0.2]}, design_seed=1)
    _, counts = np.unique(column(config, FEE), return_counts=True)
    assert len(counts) == 3
    assert stats.chisquare(counts).pvalue > 1e-6


@pytest.mark.statistical
def test_whole_numbers_on_a_log_scale_have_the_logarithm_s_parts(sampled: Swept) -> None:
    """Chi-square, 4 numbers, 8000 points: false alarm 1e-6, and the seed is fixed."""
    axes = {GRACE: {"low": 1, "high": 4, "scale": "log"}}
    config = sampled("random", 8000, axes, design_seed=1)
    numbers, counts = np.unique(column(config, GRACE), return_counts=True)
    assert numbers.tolist() == [1, 2, 3, 4]
    parts = np.log((numbers + 1) / numbers) / math.log(5)
    assert stats.chisquare(counts, 8000 * parts).pvalue > 1e-6


def test_numbers_of_a_range_are_spread_evenly_over_their_scale(sampled: Swept) -> None:
    """A latin hypercube has one point in each of 50 equal parts of the scale."""
    axes = {
        FEE: {"low": 0.1, "high": 0.6},
        ECHO: {"low": 0.001, "high": 0.1, "scale": "log"},
    }
    config = sampled("latin_hypercube", 50, axes)
    even = (np.array(column(config, FEE)) - 0.1) / 0.5
    logs = np.log(np.array(column(config, ECHO)) / 0.001) / math.log(100)
    for shares in (even, logs):
        assert sorted(np.floor(shares * 50).astype(int)) == list(range(50))


def test_a_range_of_whole_numbers_gives_whole_numbers_and_others_do_not(sampled: Swept) -> None:
    config = sampled("sobol", 8, {GRACE: {"low": 1, "high": 8}, FEE: {"low": 0, "high": 0.5}})
    assert {type(v) for v in column(config, GRACE)} == {int}
    assert {type(v) for v in column(config, FEE)} == {float}


@settings(max_examples=200)
@example(1.0, "linear", 1, 3)
@example(1.0, "log", 1, 3)
@given(st.floats(0, 1), st.sampled_from(["linear", "log"]), st.integers(1, 9), st.integers(1, 9))
def test_a_range_is_never_left(share: float, scale: str, low: int, width: int) -> None:
    span = Range.model_validate({"low": low, "high": low + width, "scale": scale})
    for axis in dimensions({GRACE: span, FEE: span}):
        assert low <= axis.at(share) <= low + width


def test_the_last_share_is_that_of_the_last_value() -> None:
    (axis,) = dimensions({FEE: (0.1, 0.2, 0.3)})
    assert [axis.value(axis.at(share)) for share in (0, 0.34, 0.99, 1)] == [0.1, 0.2, 0.3, 0.3]


def test_a_condition_on_a_later_axis_which_loading_refuses_leaves_nothing_out() -> None:
    grid = Grid(dimensions({"a": Listed(values=(1, 2), only_if={"b": (1,)}), "b": (1, 2)}))
    assert [grid.choices(index) for index in range(grid.count)] == [
        *itertools.product((0, 1), repeat=2)
    ]


def test_saltelli_points_give_the_indices_of_the_ishigami_function(sampled: Swept) -> None:
    """Indices of sin x1 + 7 sin² x2 + 0.1 x3⁴ sin x1, x uniform on -π to π, known exactly.

    With 4096 base samples the estimates stray by less than 0.01; 0.03 is allowed.
    """
    names = [FEE, "motives.bargain.education_speed", "motives.altruist.education_speed"]
    axes = {name: {"low": 0.0, "high": 0.5} for name in names}
    config = sampled("saltelli", 4096, axes, second_order=True)
    x = np.array(
        [[values_at(config, i)[name] for name in names] for i in range(point_count(config))]
    )
    x = 2 * math.pi * (x.astype(float) * 2) - math.pi
    y = np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])
    cube = {"num_vars": 3, "names": names, "bounds": [[0, 0.5]] * 3}
    found = sobol_indices.analyze(cube, y, calc_second_order=True, seed=1)
    one = 0.5 * (1 + 0.1 * math.pi**4 / 5) ** 2
    two, both = 49 / 8, 0.01 * math.pi**8 * 8 / 225
    total = one + two + both
    np.testing.assert_allclose(found["S1"], np.array([one, two, 0]) / total, atol=0.03)
    np.testing.assert_allclose(found["ST"], np.array([one + both, two, both]) / total, atol=0.03)
    assert found["S2"][0, 2] == pytest.approx(both / total, abs=0.03)


def test_another_design_seed_samples_other_points_and_another_seed_the_same(
    sampled: Swept,
) -> None:
    axes = {FEE: {"low": 0, "high": 0.5}}
    one, same, other = (
        sampled("random", 4, axes, **fields) for fields in ({}, {"seed": 5}, {"design_seed": 5})
    )
    assert column(one, FEE) == column(same, FEE)
    assert column(one, FEE) != column(other, FEE)


def test_a_sample_is_drawn_once_and_cannot_be_written_to() -> None:
    sample = unit_sample("sobol", 2, 8, 0, False, 4)
    assert unit_sample("sobol", 2, 8, 0, False, 4) is sample
    with pytest.raises(ValueError, match="read-only"):
        sample[0, 0] = 0


def test_points_are_known_fast_enough_for_a_worker_that_asks_for_each(sampled: Swept) -> None:
    """Ten axes: well under 50 µs a point after the first; ten times as much is allowed here."""
    names = [f"motives.{motive}.{field}" for motive in ("bargain", "altruist") for field in RATES]
    axes = {name: {"low": 0, "high": 0.1} for name in names}
    config = sampled("sobol", 1024, axes)
    values_at(config, 0)
    start = time.perf_counter()
    for index in range(1000):
        values_at(config, index)
    assert time.perf_counter() - start < 1000 * 500e-6
