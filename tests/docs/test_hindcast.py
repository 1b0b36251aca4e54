"""The forecast that stands in the documentation is whole, and made as its page says."""

import csv
from datetime import date
from pathlib import Path

from configs.calibration import load_calibration, period_at
from results.calibration.forecast_file import COLUMNS, QUANTITIES

ROOT = Path(__file__).parents[2]
CALIBRATION = "configs/calibrations/xianghubao.yaml"
FORECAST = "docs/hindcast/xianghubao_from_2020_12.csv"


def rows() -> list[dict[str, str]]:
    with (ROOT / FORECAST).open() as file:
        return list(csv.DictReader(file))


def test_every_period_of_2021_and_january_2022_is_forecast() -> None:
    calibration = load_calibration(ROOT / CALIBRATION)
    found = rows()
    assert tuple(found[0]) == COLUMNS
    series = {(row["quantity"], row["scope"]) for row in found}
    assert {quantity for quantity, _ in series} == set(QUANTITIES)
    for quantity, scope in series:
        of_one = [row for row in found if (row["quantity"], row["scope"]) == (quantity, scope)]
        assert [int(row["period"]) for row in of_one] == list(range(53, 79))
        assert (of_one[0]["date"], of_one[-1]["date"]) == ("2021-01-15", "2022-01-31")
        for row in of_one:
            assert period_at(calibration, date.fromisoformat(row["date"])) == int(row["period"])


def test_its_quantiles_rise_and_a_year_s_sum_grows_within_the_year() -> None:
    last: dict[tuple[str, str, str], float] = {}
    for row in rows():
        levels = [float(row[name]) for name in ("q05", "q25", "q50", "q75", "q95")]
        assert 0 <= levels[0] < levels[-1]
        assert levels == sorted(levels)
        if row["quantity"].endswith("_year"):
            key = (row["quantity"], row["scope"], row["date"][:4])
            assert float(row["q50"]) > last.get(key, 0.0)
            last[key] = float(row["q50"])


def test_its_page_names_the_command_that_writes_it() -> None:
    page = (ROOT / "docs/hindcast.md").read_text()
    assert f"huzhu calibrate {CALIBRATION} --forecast {FORECAST}" in page
