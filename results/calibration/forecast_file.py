"""A calibration's forecast as a CSV file: a row for each period, quantity and scope."""

from pathlib import Path
from typing import Final

import polars

from configs.spreadsheet import guarded
from results.atomic import write_output
from results.calibration.tables import CalibrationRun
from results.run import RunError

COLUMNS: Final = (
    *("date", "period", "quantity", "scope"),
    *("mean", "q05", "q25", "q50", "q75", "q95"),
)
QUANTITIES: Final = ("members", "share", "claims", "share_year", "claims_year")
DIGITS: Final = 6
"""Of figures in the file; a forecast has no more."""


def forecast_rows(run: CalibrationRun, world: str | None = None) -> polars.DataFrame:
    """Return the forecast from the first period after the cut-off on.

    Parameters
    ----------
    run : CalibrationRun
        The calibration.
    world : str, optional
        World of the forecast; the first without it.

    Returns
    -------
    DataFrame
        The columns `COLUMNS`, by period, and within it by quantity as in `QUANTITIES`. A figure of
        a year is the sum from its first period to this one.

    Raises
    ------
    RunError
        There is no such world.
    """
    rows = run.polars("forecast").with_columns(polars.col("world", "quantity", "scope").cast(str))
    worlds = rows["world"].unique(maintain_order=True).to_list()
    if world is not None and world not in worlds:
        raise RunError(f"{run.folder}: expected a world of {', '.join(worlds)}, got {world!r}")
    order = {quantity: place for place, quantity in enumerate(QUANTITIES)}
    first = polars.lit(run.manifest["forecast_from"]).str.to_date()
    return (
        rows.filter(
            polars.col("world") == (world or worlds[0]),
            polars.col("quantity").is_in(QUANTITIES),
            polars.col("date") >= first,
        )
        .sort("period", polars.col("quantity").replace_strict(order), "scope")
        .select(COLUMNS)
        .with_columns(polars.col(COLUMNS[4:]).round_sig_figs(DIGITS))
    )


def write_forecast_file(run: CalibrationRun, file: Path, world: str | None = None) -> None:
    """Write `forecast_rows` as a CSV file, whole or not at all.

    Scopes that a spreadsheet takes for a formula are guarded (`configs.spreadsheet`).

    Raises
    ------
    RunError
        There is no such world.
    StoreError
        The file cannot be written.
    """
    rows = forecast_rows(run, world)
    scopes = polars.Series("scope", map(guarded, rows["scope"]), polars.String)
    text = rows.with_columns(scopes).write_csv(date_format="%Y-%m-%d")
    write_output(file, text.encode())
