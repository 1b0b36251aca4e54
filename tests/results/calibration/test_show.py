"""The account of a calibration on a terminal."""

from pathlib import Path

import pytest

from results.calibration.show import FEW_FIGURES, NOT_IDENTIFIED, show
from results.calibration.tables import write
from tests.results.calibration.synthetic import a_calibration


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return show(a_calibration(tmp_path_factory.mktemp("made_up"))).splitlines()


def the_line(lines: list[str], beginning: str) -> str:
    (line,) = [line for line in lines if line.startswith(beginning)]
    return line


def test_it_says_what_was_fitted_to_how_many_figures_until_when(lines: list[str]) -> None:
    assert lines[0] == "made_up: A pool made up"
    assert lines[1] == "3 parameters fitted to 2 figures, until 2020-12-31; 2 held back"
    assert "40 particles, 1_200 paths simulated in 1.5 minutes" in lines[2]


def test_a_fit_to_no_more_figures_than_parameters_says_so(lines: list[str], tmp_path: Path) -> None:
    assert FEW_FIGURES in lines  # two figures, three parameters
    assert FEW_FIGURES not in show(a_calibration(tmp_path, parameters=["level"]))


def test_a_parameter_that_the_figures_say_nothing_of_is_named_so(lines: list[str]) -> None:
    assert the_line(lines, "rivals").endswith("not identified")
    assert NOT_IDENTIFIED in lines
    level = the_line(lines, "level")
    assert "1 (0.5065 to 1.494)" in level  # the prior
    assert "1 (0.8355 to 1.164)" in level  # a third as wide
    assert not level.endswith("identified")


def test_only_figures_that_were_fitted_stand_beside_their_fit(lines: list[str]) -> None:
    assert "+0.0 %" in the_line(lines, "2020-06-30")
    assert not [line for line in lines if line.startswith("2021-06-30")]


def test_scores_stand_beside_those_of_a_naive_forecast(lines: list[str]) -> None:
    first = [line for line in lines if line.startswith("known")]
    assert [line.split()[1:3] for line in first] == [["huzhu", "all"], ["last", "value"]]
    assert all("12.5 %" in line for line in first)


def test_without_figures_held_back_there_are_no_scores(tmp_path: Path) -> None:
    run = a_calibration(tmp_path)
    write(tmp_path, "scores", [])
    assert "log score" not in show(run)
