"""The forecast as a file: no cell of it is a formula, and it reads back."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from configs.spreadsheet import unguarded
from results.calibration.forecast_file import forecast_rows, write_forecast_file
from tests.results.calibration import synthetic


def test_a_scope_may_look_like_a_formula(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series = (("members", "=cmd|x"), ("share_year", "- all"))
    monkeypatch.setattr(synthetic, "SERIES", series)
    run = synthetic.a_calibration(tmp_path / "made_up")
    write_forecast_file(run, tmp_path / "forecast.csv")
    with (tmp_path / "forecast.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["scope"] for row in rows} == {"'=cmd|x", "'- all"}
    assert [unguarded(row["scope"]) for row in rows] == forecast_rows(run)["scope"].to_list()
