"""The report of a calibration: what it says, and the files beside it."""

from __future__ import annotations

import csv
import io
import math
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from results.calibration.report import bands_svg, on_prior, report, write_figures, write_report
from results.calibration.tables import CalibrationRun, write
from results.report.figure import Figure
from results.report.page import Report, Rows
from tests.results.calibration.synthetic import PRIORS, WORLDS, a_calibration


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> CalibrationRun:
    return a_calibration(tmp_path_factory.mktemp("made_up"))


@pytest.fixture(scope="module")
def made(run: CalibrationRun) -> Report:
    return report(run)


def figure(made: Report, name: str) -> Figure:
    (found,) = [one for one in made.figures if one.name == name]
    return found


def said(made: Report, section: str) -> str:
    (found,) = [one for one in made.sections if one.name == section]
    return " ".join(text.en for text in found.paragraphs)


def rows(made: Report, name: str) -> Rows:
    parts = [part for section in made.sections for part in section.parts]
    (found,) = [part for part in parts if isinstance(part, Rows) and part.name == name]
    return found


def test_it_says_what_each_forecast_takes_as_given(made: Report) -> None:
    assert "'known' takes as given: nothing new." in said(made, "what")
    assert "'scandal' takes as given: bad news in March." in said(made, "what")
    assert "the 2 published figures up to 2020-12-31" in said(made, "what")


def test_it_names_the_parameters_that_the_figures_say_nothing_of(made: Report) -> None:
    assert said(made, "parameters").endswith("left as wide as they were: rivals.")
    identified = rows(made, "parameters_table").data["identified"]
    assert [told.en for told in identified] == ["yes", "yes", "no: posterior = prior"]


def test_every_figure_is_drawn_in_both_languages(made: Report) -> None:
    for one in made.figures:
        for language in ("en", "zh"):
            assert one.draw(language)["$schema"], one.name


def test_bands_hold_every_world_and_every_figure(made: Report) -> None:
    told = figure(made, "bands").data.to_pylist()
    assert {row["world"] for row in told if row["kind"] == "band"} == set(WORLDS)
    figures = [row for row in told if row["kind"] == "figure"]
    assert [row["held_back"] for row in figures] == [False, False, True, True]
    assert [row["high"] - row["low"] for row in figures] == [2.0] * 4  # two errors either way


def test_priors_lie_between_minus_one_and_one_whatever_their_median(tmp_path: Path) -> None:
    run = a_calibration(
        tmp_path, {"below": (-3.0, 1.0), "nothing": (0.0, 2.0), "rivals": (2.0, 0.5)}
    )
    told = figure(report(run), "prior_and_posterior").data.to_pylist()
    for row in told:
        # a posterior a third as wide; of `rivals` it is the prior
        half = 1.0 if row["of"] == "prior" or row["parameter"] == "rivals" else 1 / 3
        # only rounding stands between them: some 10 units in the last place
        found = (row["low"], row["middle"], row["high"])
        assert found == pytest.approx((-half, 0.0, half), abs=1e-14)
    assert [row["parameter"] for row in told if not row["identified"]] == ["rivals"] * 2


def test_a_skewed_prior_is_drawn_by_its_logarithms() -> None:
    half = math.log(2.0)
    row = {"prior_q05": 1.0, "prior_q50": 2.0, "prior_q95": 4.0, "q05": 1.5}
    assert on_prior(row, 2.0 * math.exp(half / 2)) == pytest.approx(0.5, abs=1e-14)
    # values that have no logarithm are drawn as they are
    assert on_prior(row | {"q05": 0.0}, 0.0) == pytest.approx(-2.0 / 1.5, abs=1e-14)


def test_totals_are_those_of_whole_years_beside_what_was_published(made: Report) -> None:
    told = figure(made, "year_totals").data.to_pylist()
    bars = {(row["year"], row["world"]): row["q50"] for row in told if row["kind"] == "forecast"}
    assert bars == {
        ("2020", "known"): 24.0,
        ("2020", "scandal"): 24.0,
        ("2021", "known"): 24.0,
        ("2021", "scandal"): 12.0,
    }
    points = [(row["year"], row["value"], row["held_back"]) for row in told if row["value"]]
    assert points == [("2020", 24.0, False), ("2021", 25.0, True)]


def test_a_year_that_is_not_over_has_no_total(tmp_path: Path) -> None:
    run = a_calibration(tmp_path / "one", last=date(2021, 9, 30))
    told = figure(report(run), "year_totals").data.to_pylist()
    assert {row["year"] for row in told if row["kind"] == "forecast"} == {"2020"}
    run = a_calibration(tmp_path / "two", last=date(2020, 9, 30))
    assert "year_totals" not in {one.name for one in report(run).figures}


def test_the_trace_begins_with_the_exponent(made: Report) -> None:
    told = figure(made, "trace").data.to_pylist()
    assert [row["q50"] for row in told if row["parameter"] == "exponent"] == [0.0, 0.5, 1.0]
    assert list(dict.fromkeys(row["parameter"] for row in told)) == ["exponent", *PRIORS]


def test_pairs_leave_out_no_parameter_where_there_are_few(made: Report) -> None:
    assert set(figure(made, "pairs").data.column_names) == set(PRIORS)


def test_without_figures_held_back_nothing_is_scored(tmp_path: Path) -> None:
    run = a_calibration(tmp_path)
    assert "scores" in {section.name for section in report(run).sections}
    write(tmp_path, "scores", [])
    assert "scores" not in {section.name for section in report(run).sections}


def test_a_single_parameter_has_no_pairs(tmp_path: Path) -> None:
    run = a_calibration(tmp_path, {"level": PRIORS["level"]})
    assert "pairs" not in {one.name for one in report(run).figures}


def test_figures_are_written_as_svg_png_and_csv(run: CalibrationRun, tmp_path: Path) -> None:
    told: list[Any] = []
    files = write_figures(run, tmp_path, "en", lambda done, total: told.append((done, total)))
    names = [one.name for one in report(run).figures]
    assert {file.name for file in files} == {
        f"{name}.{ending}" for name in names for ending in ("svg", "png", "csv")
    }
    assert told == [(done, len(names)) for done in range(len(names))]
    table = list(csv.DictReader(io.StringIO((tmp_path / "trace.csv").read_text())))
    assert {"generation", "parameter", "q05", "q50", "q95"} <= set(table[0])
    assert (tmp_path / "bands.png").read_bytes().startswith(b"\x89PNG")


def test_the_report_is_one_page_that_fetches_nothing(run: CalibrationRun) -> None:
    page = write_report(run).read_text()
    assert page.startswith("<!doctype html>")
    assert re.findall(r'(?:src|href)="(?:https?:)?//', page) == []
    for name in PRIORS:
        assert name in page


def test_the_drawing_for_the_documentation_is_whole(run: CalibrationRun, tmp_path: Path) -> None:
    bands_svg(run, tmp_path / "bands.svg")
    drawing = (tmp_path / "bands.svg").read_text()
    assert drawing.startswith("<svg")
    for series in ("members, everybody", "share_year, main"):
        assert series in drawing
