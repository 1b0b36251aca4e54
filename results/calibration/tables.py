"""The tables of a calibration, each column defined once; written, and opened again.

A calibration's folder holds `manifest.json`, `config.yaml`, `scenario.yaml` with `posterior.csv`
(a sweep that draws from the posterior), `state.npz` (the sampler after its last move), a report,
and one Parquet file for each table.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from results.parquet import table_bytes
from results.places import write_whole
from results.run import RunError
from results.schema import COUNT, INDEX, NAME, REAL, Column
from results.store import MANIFEST_NAME

if TYPE_CHECKING:
    import duckdb
    import polars

CALIBRATIONS_DIR: Final = "results/calibrations"

GENERATION: Final = Column("generation", INDEX, "1", "resamplings so far; 0 is the prior")
PARAMETER: Final = Column("parameter", NAME, "1", "name of a parameter, or of a model's error")
WORLD: Final = Column("world", NAME, "1", "named set of what the forecast takes as given")
PERIOD: Final = Column("period", INDEX, "period", "settlement, 0 the first")
DATE: Final = Column("date", pa.date32(), "day", "last day of the period")
QUANTITY: Final = Column("quantity", NAME, "1", "what is published; …_year is the year to date")
SCOPE: Final = Column("scope", NAME, "1", "whom it counts")
OWN_UNIT: Final = "that of the parameter"
AS_PUBLISHED: Final = "persons, cases or yuan, as the quantity"


def _quantiles(unit: str, of: str, shares: Sequence[int] = (5, 25, 50, 75, 95)) -> list[Column]:
    return [Column(f"q{share:02d}", REAL, unit, f"{share} % quantile {of}") for share in shares]


TABLES: Final[dict[str, tuple[Column, ...]]] = {
    "generations": (
        GENERATION,
        Column("exponent", REAL, "1", "power of the likelihood, 0 the prior, 1 the posterior"),
        Column("ess", REAL, "particles", "effective particles after the reweighting"),
        Column("moves", INDEX, "moves", "Metropolis moves of every particle"),
        Column("acceptance", REAL, "share of proposals", "proposals that were accepted"),
        Column("step", REAL, "1", "of the proposal: 0 stays, 1 is an independent draw"),
        Column("correlation", REAL, "1", "largest that is left with where particles were"),
        Column("simulations", COUNT, "paths", "paths simulated so far"),
    ),
    "trace": (
        GENERATION,
        PARAMETER,
        Column("mean", REAL, OWN_UNIT, "mean over particles"),
        Column("sd", REAL, OWN_UNIT, "standard deviation over particles"),
        *_quantiles(OWN_UNIT, "over particles"),
    ),
    "parameters": (
        PARAMETER,
        Column("meaning", pa.string(), "1", "what it stands for"),
        Column("fields", pa.string(), "1", "fields of the scenario that it sets"),
        Column("how", NAME, "1", "set, multiply, or error of the model"),
        Column("prior", pa.string(), "1", "the prior, in words"),
        Column("prior_mean", REAL, OWN_UNIT, "mean of the prior"),
        Column("prior_sd", REAL, OWN_UNIT, "standard deviation of the prior"),
        *(
            Column(f"prior_q{share:02d}", REAL, OWN_UNIT, f"{share} % quantile of the prior")
            for share in (5, 50, 95)
        ),
        Column("mean", REAL, OWN_UNIT, "mean of the posterior"),
        Column("sd", REAL, OWN_UNIT, "standard deviation of the posterior"),
        *_quantiles(OWN_UNIT, "of the posterior"),
        Column("contraction", REAL, "1", "1 - variance of the posterior over that of the prior"),
        Column("shift", REAL, "standard deviations of the prior", "distance of the two means"),
        Column("ess", REAL, "draws", "independent draws that the sample is worth"),
        Column("identified", pa.bool_(), "1", "whether the figures say anything of it"),
    ),
    "predictions": (
        WORLD,
        Column("draw", INDEX, "1", "number of the draw of the posterior"),
        QUANTITY,
        SCOPE,
        PERIOD,
        DATE,
        Column("value", REAL, AS_PUBLISHED, "what the model says"),
        Column("observable", REAL, AS_PUBLISHED, "the same with the model's own error"),
    ),
    "forecast": (
        WORLD,
        DATE,
        PERIOD,
        QUANTITY,
        SCOPE,
        Column("mean", REAL, AS_PUBLISHED, "mean over draws, the model's own error included"),
        *_quantiles(AS_PUBLISHED, "over draws, the model's own error included"),
    ),
    "figures": (
        Column("date", pa.date32(), "day", "day that the figure is of"),
        PERIOD,
        QUANTITY,
        SCOPE,
        Column("value", REAL, AS_PUBLISHED, "the figure as it was published"),
        Column("error", REAL, AS_PUBLISHED, "standard deviation of what was published"),
        Column("source", pa.string(), "1", "where it was published"),
        Column("held_back", pa.bool_(), "1", "whether it is later than the cut-off"),
        Column("mean", REAL, AS_PUBLISHED, "mean of what would have been published"),
        *_quantiles(AS_PUBLISHED, "of what would have been published, misprints included"),
        Column("fit_q50", REAL, AS_PUBLISHED, "median of what the model says"),
        Column("pit", REAL, "share of draws", "draws below the figure"),
    ),
    "scores": (
        WORLD,
        Column("forecaster", NAME, "1", "model, last_value or linear_trend"),
        Column("quantity", NAME, "1", "what was forecast; empty: all of it"),
        Column("figures", INDEX, "figures", "figures that were held back"),
        Column("log_score", REAL, "1", "mean of the log density at the figures; higher is better"),
        Column("coverage_50", REAL, "share of figures", "within the 50 % interval"),
        Column("coverage_90", REAL, "share of figures", "within the 90 % interval"),
        Column("error", REAL, "share of the figure", "mean distance of the median from the figure"),
    ),
}
"""Columns of each table; `posterior` has one for each parameter besides (`posterior_columns`)."""


def posterior_columns(parameters: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of the table `posterior`: equally weighted draws."""
    return (
        Column("draw", INDEX, "1", "number of the draw"),
        Column("path", COUNT, "1", "number of its path, which a simulation gives again"),
        Column("log_likelihood", REAL, "1", "logarithm of the figures' density"),
        *(Column(name, REAL, OWN_UNIT, "parameter, or error of the model") for name in parameters),
    )


def arrow_schema(table: str, columns: Sequence[str]) -> pa.Schema:
    """Return the schema of a table; `columns` are those of `posterior`, whose end is its own."""
    known = TABLES.get(table) or posterior_columns(columns[3:])
    return pa.schema([column.arrow_field() for column in known])


def write(folder: Path, table: str, rows: pa.Table | Sequence[Mapping[str, Any]]) -> None:
    """Write a table, whole or not at all.

    Parameters
    ----------
    folder : Path
        Folder of the calibration.
    table : str
        Name of the table.
    rows : pyarrow.Table or sequence of mapping
        With the columns that `TABLES` says, in any order.

    Raises
    ------
    ValueError
        Columns are missing or too many.
    StoreError
        The file cannot be written.
    """
    if not isinstance(rows, pa.Table):
        schema = arrow_schema(table, ())
        rows = pa.Table.from_pylist(list(rows), schema=schema)
    schema = arrow_schema(table, rows.column_names)
    if set(rows.column_names) != set(schema.names):
        raise ValueError(f"{table}: expected columns {schema.names}, got {rows.column_names}")
    conformed = rows.select(schema.names).cast(schema).combine_chunks().unify_dictionaries()
    write_whole(folder / f"{table}.parquet", table_bytes(conformed))


@dataclass(frozen=True)
class CalibrationRun:
    """A calibration that is done.

    Attributes
    ----------
    folder : Path
        Its folder.
    manifest : dict
        What the folder says of itself.
    """

    folder: Path
    manifest: dict[str, Any]

    def table(self, name: str) -> pa.Table:
        """Return a table.

        Raises
        ------
        RunError
            There is no such table, or its file is missing or damaged.
        """
        if name not in (*TABLES, "posterior"):
            known = ", ".join(("posterior", *TABLES))
            raise RunError(f"{self.folder}: expected a table of {known}, got {name!r}")
        file = self.folder / f"{name}.parquet"
        try:
            return pq.read_table(file, partitioning=None)
        except (OSError, pa.ArrowException) as error:
            _fail_on_damage(file, error)

    def polars(self, name: str) -> polars.DataFrame:
        """Return a table as a Polars frame; raises as `table`."""
        import polars

        frame = polars.from_arrow(self.table(name))
        assert isinstance(frame, polars.DataFrame), name
        return frame

    def duckdb(self) -> duckdb.DuckDBPyConnection:
        """Return an in-memory DuckDB with a view for each table; the caller closes it.

        Raises
        ------
        RunError
            A file is missing or damaged.
        """
        import duckdb

        from results.engine import add_view, connect

        connection = connect()
        try:
            for name in ("posterior", *TABLES):
                file = self.folder / f"{name}.parquet"
                add_view(connection, name, [file], arrow_schema(name, ()))
        except duckdb.Error as error:
            connection.close()
            _fail_on_damage(file, error)
        return connection


def open_calibration(
    name: Path | str, results_dir: Path | str = CALIBRATIONS_DIR
) -> CalibrationRun:
    """Open a calibration.

    Parameters
    ----------
    name : path or str
        Its folder, or the beginning of its name in `results_dir`.
    results_dir : path or str
        Folder of the calibrations.

    Raises
    ------
    RunError
        There is no such calibration, several begin so, it is not done, or its manifest is damaged.
    """
    folder = Path(name)
    if not (folder / MANIFEST_NAME).is_file():
        folder = _the_one(str(name), Path(results_dir))
    file = folder / MANIFEST_NAME
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        _fail_on_damage(file, error)
    if not isinstance(manifest, dict) or manifest.get("kind") != "calibration":
        raise RunError(f"{folder}: expected a calibration's folder, got that of a run")
    if manifest.get("status") != "complete":
        raise RunError(
            f"{folder}: not done; `huzhu calibrate {folder}` goes on with it where it was left"
        )
    return CalibrationRun(folder, manifest)


def _the_one(name: str, results_dir: Path) -> Path:
    """Return the only folder in `results_dir` whose name begins so; RunError without one."""
    beginning = Path(name).name
    every = {file.parent.name: file.parent for file in results_dir.glob(f"*/{MANIFEST_NAME}")}
    found = sorted(one for one in every if one.startswith(beginning))
    if len(found) == 1:
        return every[found[0]]
    near = difflib.get_close_matches(beginning, sorted(every), n=3, cutoff=0.4)
    fits = f"which fits {', '.join(found) or 'none'}"
    guess = f"; did you mean {' or '.join(near)}?" if near and not found else ""
    raise RunError(
        f"{name}: expected a calibration's folder, or the beginning of one name in "
        f"{results_dir}, {fits}{guess}"
    )


def _fail_on_damage(file: Path, error: Exception) -> NoReturn:
    """Raise the error for a file that does not read as what it should be."""
    reason = (str(error).splitlines() or [""])[0]
    raise RunError(
        f"{file}: cannot be read ({reason}); `huzhu calibrate --fresh` makes it again"
    ) from error
