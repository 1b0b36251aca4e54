"""A calibration made up: three parameters, two years of months, and a world of scandal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from results.calibration.tables import CalibrationRun, open_calibration, write

NAME: Final = "made_up"
WORLDS: Final = ("known", "scandal")
DRAWS: Final = 40
UNTIL: Final = date(2020, 12, 31)
LAST: Final = date(2021, 12, 31)
QUANTILES: Final = {"q05": -1.645, "q25": -0.674, "q50": 0.0, "q75": 0.674, "q95": 1.645}
PRIORS: Final = {"level": (1.0, 0.3), "push": (0.05, 0.01), "rivals": (2.0, 0.5)}
"""Median and standard deviation of each prior; the figures say nothing of `rivals`."""

SERIES: Final = (("members", "everybody"), ("share_year", "main"))


def a_calibration(
    folder: Path,
    priors: Mapping[str, tuple[float, float]] = PRIORS,
    last: date = LAST,
    **changes: object,
) -> CalibrationRun:
    """Write every table and the manifest, and open them; `changes` are of the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in _tables(priors, last).items():
        write(folder, name, rows)
    manifest = {
        "kind": "calibration",
        "name": NAME,
        "title": "A pool made up",
        "status": "complete",
        "until": UNTIL.isoformat(),
        "parameters": list(priors),
        "particles": DRAWS,
        "simulations": 1200,
        "effective_samples": 31.5,
        "seconds": 90.0,
        "log_evidence": -12.25,
        "exogenous": {"known": "nothing new", "scandal": "bad news in March"},
        "forecast_from": "2021-01-01",
        "files": {},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))
    return open_calibration(folder)


def _tables(
    priors: Mapping[str, tuple[float, float]], last: date
) -> dict[str, Sequence[Mapping[str, Any]] | pa.Table]:
    return {
        "posterior": _posterior(priors),
        "parameters": [_parameter(name, *prior) for name, prior in priors.items()],
        "generations": [_generation(number) for number in range(3)],
        "trace": [
            {"generation": number, "parameter": name, **_spread(middle, sd / (1 + number))}
            for number in range(3)
            for name, (middle, sd) in priors.items()
        ],
        "predictions": [
            {**row, "draw": 0, "value": row["q50"], "observable": row["q50"]}
            for row in map(_named, _forecast(last)[:4])
        ],
        "forecast": _forecast(last),
        "figures": [
            _figure(date(2020, 6, 30), "members", "everybody", 1000.0),
            _figure(date(2020, 12, 31), "share_year", "main", 24.0),
            _figure(date(2021, 6, 30), "members", "everybody", 1500.0),
            _figure(date(2021, 12, 31), "share_year", "main", 25.0),
        ],
        "scores": [_score(world, who) for world in WORLDS for who in ("model", "last_value")],
    }


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("world", "quantity", "scope", "period", "date", "q50")}


def _posterior(priors: Mapping[str, tuple[float, float]]) -> pa.Table:
    chance = np.random.default_rng(4)
    columns = {
        name: middle + sd / 3 * chance.standard_normal(DRAWS)
        for name, (middle, sd) in priors.items()
    }
    counts = {"draw": np.arange(DRAWS), "path": np.arange(DRAWS) + 7}
    return pa.table({**counts, "log_likelihood": np.full(DRAWS, -3.0), **columns})


def _spread(middle: float, sd: float) -> dict[str, float]:
    return {"mean": middle, "sd": sd} | {name: middle + z * sd for name, z in QUANTILES.items()}


def _parameter(name: str, middle: float, sd: float) -> dict[str, Any]:
    is_identified = name != "rivals"
    prior = _spread(middle, sd)
    told = ("mean", "sd", "q05", "q50", "q95")
    return {
        "parameter": name,
        "meaning": f"what {name} stands for",
        "fields": f"claims.{name}",
        "how": "set",
        "prior": f"normal around {middle}",
        **{f"prior_{key}": prior[key] for key in told},
        **_spread(middle, sd / 3 if is_identified else sd),
        "contraction": 0.89 if is_identified else 0.0,
        "shift": 0.1,
        "ess": 33.0,
        "identified": is_identified,
    }


def _generation(number: int) -> dict[str, Any]:
    return {
        "generation": number,
        "exponent": number / 2,
        "ess": 20.0,
        "moves": 4,
        "acceptance": 0.3,
        "step": 0.5,
        "correlation": 0.4,
        "simulations": 400 * (number + 1),
    }


def _forecast(last: date) -> list[dict[str, Any]]:
    """Return the end of each month up to `last`: world, series and quantiles."""
    ends = [
        date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        for year in (2020, 2021)
        for month in range(1, 13)
    ]
    return [
        {
            "world": world,
            "date": day,
            "period": period,
            "quantity": quantity,
            "scope": scope,
            **_without_sd(_spread(_median(world, quantity, day), 1.0)),
        }
        for world in WORLDS
        for quantity, scope in SERIES
        for period, day in enumerate(ends)
        if day <= last
    ]


def _median(world: str, quantity: str, day: date) -> float:
    """Return 2 more for each month of a year, or 1000 members and 12 more; half in a scandal."""
    grown = 2.0 * day.month if quantity == "share_year" else 1000.0 + 12 * (day.year - 2020)
    return grown / 2 if world == "scandal" and day > UNTIL else grown


def _without_sd(row: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name != "sd"}


def _figure(day: date, quantity: str, scope: str, value: float) -> dict[str, Any]:
    middle = _median("known", quantity, day)
    return {
        "date": day,
        "period": (day.year - 2020) * 12 + day.month - 1,
        "quantity": quantity,
        "scope": scope,
        "value": value,
        "error": 0.5,
        "source": "a paper",
        "held_back": day > UNTIL,
        **_without_sd(_spread(middle, 2.0)),
        "fit_q50": middle,
        "pit": 0.5,
    }


def _score(world: str, forecaster: str) -> dict[str, Any]:
    return {
        "world": world,
        "forecaster": forecaster,
        "quantity": "",
        "figures": 2,
        "log_score": -1.5 if forecaster == "model" else -2.5,
        "coverage_50": 0.5,
        "coverage_90": 1.0,
        "error": 0.125,
    }
