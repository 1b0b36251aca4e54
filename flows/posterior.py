"""From a sampled posterior to the files that tell of it."""

import csv
import io
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from configs import yaml_text
from configs.calibration import (
    Calibration,
    field_names,
    fitted,
    forecast_start,
    held_back,
    names,
    period_at,
    priors,
    settings_of,
    unknown_at,
    values_at,
)
from configs.load import Config, ConfigError, dump
from configs.observed import date_of
from flows import fitting
from flows.calibration import (
    SCENARIO_NAME,
    CalibrationPlan,
    digest_of,
    newest_of,
    now,
    write_manifest,
)
from flows.sampling import QUANTILES, Step, model_errors
from kernels import posterior
from kernels.draws import Purpose
from results.analysis import posterior as analysis
from results.analysis.forecasts import scores
from results.atomic import write_whole
from results.calibration.tables import write
from results.store import CONFIG_NAME

SAMPLE_NAME: Final = "posterior.csv"
DRAWS_OF_A_SWEEP: Final = 200
"""Draws that the scenario with the posterior takes, unless it is told otherwise."""

PRIOR_GRID: Final = 2000
"""Quantiles that a prior is told by."""

GENERATION_COLUMNS: Final = (
    *("generation", "exponent", "ess", "moves", "acceptance", "step", "correlation"),
    "simulations",
)
COUNTED: Final = {"generation": pa.int32(), "moves": pa.int32(), "simulations": pa.int64()}
TRACE_COLUMNS: Final = ("mean", "sd", *(f"q{100 * share:02.0f}" for share in QUANTILES))

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Forecast = Callable[[str, Floats, Counts], Floats]


def write_posterior(run: CalibrationPlan, step: Step) -> None:
    """Write the posterior sample, what it says of the parameters, and how it came about.

    Raises
    ------
    StoreError
        A file cannot be written.
    """
    calibration, state = run.calibration, step.state
    values = values_at(calibration, state.z)
    with_future = np.concatenate([values, _future(calibration, len(values))], axis=1)
    sample = {
        "draw": np.arange(len(values), dtype=np.int32),
        "path": state.path,
        "log_likelihood": state.log_likelihood,
        **dict(zip(names(calibration), values.T, strict=True)),
    }
    write(run.folder, "posterior", pa.table(sample))
    write(run.folder, "parameters", _parameters(calibration, step, values))
    write(run.folder, "generations", _generations(step))
    write(run.folder, "trace", _trace(calibration, step))
    run.store.write_file(SAMPLE_NAME, _sample(calibration, with_future))
    run.store.write_file(SCENARIO_NAME, _scenario(run, len(values)))


def _parameters(calibration: Calibration, step: Step, values: Floats) -> pa.Table:
    state, known = step.state, calibration.parameters
    midpoints = (np.arange(PRIOR_GRID) + 0.5) / PRIOR_GRID
    grid = np.stack([_standard_normal(midpoints)] * values.shape[1], axis=1)
    effective = posterior.effective_sample(state.z, state.families)
    told = analysis.parameter_columns(values_at(calibration, grid), state.z, values, effective)
    errors = calibration.model_errors
    return pa.table(
        {
            "parameter": list(names(calibration)),
            "meaning": [
                *(parameter.meaning for parameter in known.values()),
                *("what the model leaves out, relative" for _ in errors),
            ],
            "fields": [
                *(", ".join(parameter.fields) for parameter in known.values()),
                *(", ".join(error.quantities) for error in errors.values()),
            ],
            "how": [*(parameter.how for parameter in known.values()), *("error" for _ in errors)],
            "prior": [prior.describe() for prior in priors(calibration).values()],
            **told,
        }
    )


def _standard_normal(shares: Floats) -> Floats:
    from scipy.special import ndtri

    return np.asarray(ndtri(shares))


def _generations(step: Step) -> pa.Table:
    columns = dict(zip(GENERATION_COLUMNS, step.generations.T, strict=True))
    return pa.table(
        {
            name: pa.array(column).cast(COUNTED.get(name, pa.float64()))
            for name, column in columns.items()
        }
    )


def _trace(calibration: Calibration, step: Step) -> pa.Table:
    generations, parameters, _ = step.trace.shape
    told = step.trace.reshape(generations * parameters, -1)
    return pa.table(
        {
            "generation": np.repeat(np.arange(generations, dtype=np.int32), parameters),
            "parameter": list(names(calibration)) * generations,
            **dict(zip(TRACE_COLUMNS, told.T, strict=True)),
        }
    )


def _sample(calibration: Calibration, values: Floats) -> str:
    """Return the posterior as a CSV file that a sweep draws from."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(field_names(calibration))
    rows.writerows([repr(v) for v in settings_of(calibration, row).values()] for row in values)
    return text.getvalue()


def _scenario(run: CalibrationPlan, particles: int) -> str:
    """Return a configuration whose sweep draws from the posterior."""
    calibration = run.calibration
    config = Config(name=f"{calibration.name}_posterior", scenario=calibration.scenario)
    tree = yaml_text.parse(dump(config))
    assert isinstance(tree, dict)
    tree["sweep"] = {
        "paths": 1,
        "seed": calibration.sampler.seed,
        "draws": {"file": SAMPLE_NAME, "take": min(DRAWS_OF_A_SWEEP, particles)},
    }
    return yaml_text.write(tree)


def write_forecast(
    run: CalibrationPlan, step: Step, simulate: Forecast, tell: Callable[[int, int], None]
) -> None:
    """Simulate draws of the posterior on to the horizon, and write what comes of it.

    Parameters
    ----------
    run : CalibrationPlan
        The calibration.
    step : Step
        The sampler at its end.
    simulate : callable
        Takes world, values and paths; returns what they say of `fitting.every_period`.
    tell : callable
        Told how many worlds of how many are done.

    Raises
    ------
    ConfigError
        A world changes what happened before the cut-off.
    StoreError
        A file cannot be written.
    """
    calibration, state = run.calibration, step.state
    draws = min(calibration.forecast.draws, len(state.z))
    chosen = np.arange(draws) * len(state.z) // draws
    values = values_at(calibration, state.z[chosen])
    asked = np.concatenate([values, _future(calibration, len(state.z))[chosen]], axis=1)
    series, dates = fitting.series(calibration), _dates(calibration)
    worlds = list(calibration.forecast.worlds)
    every = [(figure.quantity, figure.scope) for figure in fitting.every_period(calibration)]
    of_model = model_errors(calibration, every)
    noise = _noise(calibration, Purpose.MODEL_ERROR, (draws, len(series)))[:, :, None]
    predictions, forecasts, scored = [], [], []
    for i, world in enumerate(worlds):
        tell(i, len(worlds))
        said = simulate(world, asked, state.path[chosen])
        sds = of_model(values, said).reshape(draws, len(series), len(dates))
        said = said.reshape(sds.shape)
        _check_past(run, world, said, state.figures[chosen])
        observable = np.maximum(said + sds * noise, 0.0)
        predictions.append(analysis.prediction_table(world, series, dates, said, observable))
        forecasts.append(analysis.forecast_table(world, series, dates, observable))
        at = _at_figures(calibration)
        published = _published(calibration, observable[:, *at])
        table = analysis.figure_table(_told(calibration), said[:, *at], published)
        scored += _scores(calibration, world, said[:, *at], sds[:, *at], published)
        if i == 0:
            write(run.folder, "figures", table)
    tell(len(worlds), len(worlds))
    write(run.folder, "predictions", pa.concat_tables(predictions))
    write(run.folder, "forecast", pa.concat_tables(forecasts))
    write(run.folder, "scores", scored)


def _noise(calibration: Calibration, purpose: Purpose, shape: tuple[int, int]) -> Floats:
    """Return standard normal numbers for a purpose: float64[draws, figures]."""
    seed = np.uint64(calibration.sampler.seed)
    return np.asarray(posterior.normals(seed, 0, 0, int(purpose), *shape))


def _future(calibration: Calibration, draws: int) -> Floats:
    """Return parameters of the future for every draw, from their priors: float64[draws, …]."""
    shape = (draws, len(calibration.forecast.unknown))
    return unknown_at(calibration, _noise(calibration, Purpose.FUTURE, shape))


def _dates(calibration: Calibration) -> list[date]:
    scenario = calibration.scenario
    assert scenario.start_date is not None, calibration.name  # checked on loading
    start, year = scenario.start_date, scenario.periods_per_year
    return [date_of(start, year, period) for period in range(scenario.periods)]


def _check_past(run: CalibrationPlan, world: str, said: Floats, figures: Floats) -> None:
    """Raise ConfigError where a world says other than the fit of what was before."""
    series = fitting.series(run.calibration)
    again = [
        said[:, series.index((one.quantity, one.scope)), one.period]
        for one in fitting.fitted(run.calibration)
    ]
    if not np.array_equal(np.stack(again, axis=1), figures):
        raise ConfigError(
            f"{run.folder / CONFIG_NAME}: forecast.worlds.{world}: expected fields that "
            f"change nothing up to the cut-off {run.calibration.until}, got such that do; begin "
            "their schedules after it"
        )


def _at_figures(calibration: Calibration) -> tuple[list[int], list[int]]:
    """Return the place in `fitting.series` and the period of each figure, held back or not."""
    series, rows = fitting.series(calibration), calibration.observations.rows
    places = [series.index((row.quantity, row.scope)) for row in rows]
    return places, [period_at(calibration, row.date) for row in rows]


def _published(calibration: Calibration, observable: Floats) -> Floats:
    """Return what would have been published at each figure's date, misprints included."""
    misprint = np.array([row.error for row in calibration.observations.rows])
    noise = _noise(calibration, Purpose.MISPRINT, (len(observable), len(misprint)))
    return np.maximum(observable + misprint * noise, 0.0)


def _told(calibration: Calibration) -> list[dict[str, Any]]:
    """Return what is known of each figure."""
    late = set(held_back(calibration))
    return [
        {
            "date": row.date,
            "period": period_at(calibration, row.date),
            "quantity": row.quantity,
            "scope": row.scope,
            "value": row.value,
            "error": row.error,
            "source": row.source,
            "held_back": row in late,
        }
        for row in calibration.observations.rows
    ]


def _scores(
    calibration: Calibration, world: str, said: Floats, sds: Floats, published: Floats
) -> list[dict[str, Any]]:
    """Return the rows of the table `scores` of a world; none where no figure is held back."""
    rows, late = calibration.observations.rows, set(held_back(calibration))
    places = [i for i, row in enumerate(rows) if row in late]
    if not places:
        return []
    misprint = np.array([rows[i].error for i in places])
    whole = np.hypot(misprint, sds[:, places])
    of_late = [rows[i] for i in places]
    return scores(world, of_late, said[:, places], whole, published[:, places], fitted(calibration))


def close(run: CalibrationPlan, manifest: dict[str, Any], step: Step, seconds: float) -> None:
    """Write the manifest of a calibration that is done: from then on it is found finished.

    Parameters
    ----------
    run : CalibrationPlan
        The calibration.
    manifest : dict
        As `flows.calibration.begin` returned it.
    step : Step
        The sampler at its end.
    seconds : float
        What it took since it was begun, or taken up.
    """
    state = step.state
    effective = posterior.effective_sample(state.z, state.families)
    files = sorted(
        file
        for file in run.folder.iterdir()
        if file.suffix in (".parquet", ".yaml", ".csv", ".npz")
    )
    write_manifest(
        run,
        {
            **manifest,
            "status": "complete",
            "finished": now(),
            "seconds": manifest["seconds"] + seconds,
            "simulations": state.simulations,
            "effective_samples": float(effective.min()),
            "log_evidence": state.log_evidence,
            "forecast_from": forecast_start(run.calibration).isoformat(),
            "files": {file.name: digest_of(file) for file in files},
        },
    )


def point_to_newest(run: CalibrationPlan) -> Path:
    """Write `NAME.yaml` beside the folder: a configuration that is always the newest posterior's.

    Raises
    ------
    StoreError
        It cannot be written.
    """
    file = newest_of(run.folder, run.calibration.name)
    text = (
        f"# Written by the newest calibration of this name; a sweep of it draws from its "
        f"posterior.\nextends: {json.dumps(f'{run.folder.name}/{SCENARIO_NAME}')}\n"
    )
    write_whole(file, text.encode())
    return file
