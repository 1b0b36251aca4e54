"""Points by their settings: of a grid the one asked for, of a sample the nearest."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from results.analysis.settings import Settings, Value, settings
from results.run import RunError
from tests.results.synthetic import FEE, SPEED, a_run, made_rows

RULE = "plans.main.rule"
GRID: list[dict[str, Value]] = [
    {FEE: fee, SPEED: speed, RULE: rule}
    for fee in (0.0, 0.08, 0.16)
    for speed in (1, 10)
    for rule in ("equal", "weighted")
]


def settings_of(folder: Path, swept: Sequence[dict[str, Value]]) -> Settings:
    return settings(a_run(folder, made_rows(points=len(swept), paths=1), list(map(dict, swept))))


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_of(tmp_path_factory.mktemp("grid"), GRID)


def test_an_axis_has_its_values_once_numbers_in_order(tmp_path: Path) -> None:
    found = settings_of(tmp_path, [{FEE: fee} for fee in (0.16, None, 0.0, 0.16)])
    assert found.axes[0].values == (0.0, 0.16, None)
    assert found.axes[0].given == (0.0, 0.16)
    assert found.axes[0].is_number


def test_words_are_no_numbers(grid: Settings) -> None:
    assert [axis.is_number for axis in grid.axes] == [True, True, False]
    assert grid.axes[2].values == ("equal", "weighted")


def test_every_point_of_a_grid_is_nearest_to_its_own_settings(grid: Settings) -> None:
    assert [grid.at(point) for point in range(len(GRID))] == GRID
    assert [grid.nearest(values) for values in GRID] == list(range(len(GRID)))


def test_whole_numbers_come_back_whole(grid: Settings) -> None:
    assert [type(value) for value in grid.at(0).values()] == [float, int, str]


def test_distances_are_parts_of_an_axis_range(grid: Settings) -> None:
    """0.08 is half the range of fees; 4 is a third of that of speeds, nearer to 1 than to 10."""
    assert grid.at(grid.nearest({FEE: 0.079, SPEED: 4, RULE: "equal"})) == {
        FEE: 0.08,
        SPEED: 1,
        RULE: "equal",
    }


def test_the_first_of_equally_near_points_is_taken(grid: Settings) -> None:
    assert grid.nearest({FEE: 0.04}) == 0


def test_only_points_among_those_given_are_taken(grid: Settings) -> None:
    assert grid.nearest({FEE: 0.0}, among=[9, 5]) == 5


def test_a_sample_answers_by_the_nearest_of_its_points(tmp_path: Path) -> None:
    """By hand: to (0.5, 50) the distances squared are 0.25 + 0.25, 0.01 + 0.04 and 0.25 + 0.25."""
    sample: list[dict[str, Value]] = [
        {FEE: 0.0, SPEED: 0.0},
        {FEE: 0.6, SPEED: 70.0},
        {FEE: 1.0, SPEED: 100.0},
    ]
    assert settings_of(tmp_path, sample).nearest({FEE: 0.5, SPEED: 50.0}) == 1


def test_none_is_near_to_none_only(tmp_path: Path) -> None:
    found = settings_of(tmp_path, [{FEE: 0.0}, {FEE: None}, {FEE: 0.2}])
    assert [found.nearest({FEE: value}) for value in (None, 0.19)] == [1, 2]


def test_a_sweep_without_axes_has_one_point(tmp_path: Path) -> None:
    found = settings_of(tmp_path, [{}])
    assert found.axes == ()
    assert found.nearest({}) == 0


def test_of_no_finished_point_there_is_no_nearest(grid: Settings) -> None:
    with pytest.raises(RunError, match="no point is finished yet"):
        grid.nearest({FEE: 0.0}, among=[])


def test_an_unknown_axis_is_refused(grid: Settings) -> None:
    with pytest.raises(RunError, match=r"no axis 'fee'; the sweep has plans\.main\.fee_rate"):
        grid.nearest({"fee": 0.1})


def test_a_point_that_there_is_none_of_is_refused(grid: Settings) -> None:
    with pytest.raises(RunError, match="no point 12; there are 12, from 0 on"):
        grid.at(12)
