"""The account of a calibration on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from results.calibration.tables import CalibrationRun
from results.table import memory_console, printed_text

if TYPE_CHECKING:
    from rich.table import Table

FORECASTERS: Final = {
    "model": "huzhu",
    "last_value": "last value",
    "linear_trend": "straight line",
}
FEW_FIGURES: Final = (
    "There are no more figures than parameters: the intervals are wide, and should not be leant on."
)
NOT_IDENTIFIED: Final = (
    "not identified: the figures leave it about as the prior has it; no value of it was fitted"
)


def show(run: CalibrationRun, width: int = 120) -> str:
    """Return what was fitted to what, how well, and how it forecasts what was held back.

    Parameters
    ----------
    run : CalibrationRun
        The calibration.
    width : int
        Columns of the terminal.
    """
    parts = [_heading(run), _text(_parameters(run), width)]
    if not all(run.table("parameters")["identified"].to_pylist()):
        parts.append(f"{NOT_IDENTIFIED}\n")
    parts.append(_text(_figures(run), width))
    if run.table("scores").num_rows:
        parts.append(_text(_scores(run), width))
    return "\n".join(parts)


def _heading(run: CalibrationRun) -> str:
    said = run.manifest
    held = run.table("figures")["held_back"].to_pylist()
    until = f"until {said['until']}" if said["until"] else "all of them"
    return (
        f"{said['name']}: {said['title']}\n"
        f"{len(said['parameters'])} parameters fitted to {len(held) - sum(held)} figures, {until}; "
        f"{sum(held)} held back\n"
        f"{said['particles']:_} particles, {said['simulations']:_} paths simulated in "
        f"{said['seconds'] / 60:.1f} minutes; effective sample of {said['effective_samples']:.0f} "
        "or more for every parameter\n" + (f"{FEW_FIGURES}\n" if has_few_figures(run) else "")
    )


def has_few_figures(run: CalibrationRun) -> bool:
    """Tell whether there are no more figures than parameters that were fitted to them."""
    held = run.table("figures")["held_back"].to_pylist()
    fitted: int = len(held) - sum(held)
    return fitted <= len(run.manifest["parameters"])


def _parameters(run: CalibrationRun) -> Table:
    rows = run.table("parameters").to_pylist()
    cells = [
        (
            row["parameter"],
            _interval(row["prior_q50"], row["prior_q05"], row["prior_q95"]),
            _interval(row["q50"], row["q05"], row["q95"]),
            f"{row['contraction']:.2f}",
            f"{row['ess']:.0f}",
            "" if row["identified"] else "not identified",
        )
        for row in rows
    ]
    headings = ("parameter", "prior, 90 %", "posterior, 90 %", "contraction", "effective", "")
    return _table(headings, cells)


def _figures(run: CalibrationRun) -> Table:
    rows = [row for row in run.table("figures").to_pylist() if not row["held_back"]]
    cells = [
        (
            row["date"].isoformat(),
            row["quantity"],
            row["scope"],
            _number(row["value"]),
            _number(row["fit_q50"]),
            f"{100 * (row['fit_q50'] / row['value'] - 1):+.1f} %" if row["value"] else "",
            _interval(row["q50"], row["q05"], row["q95"]),
        )
        for row in rows
    ]
    return _table(("figure of", "what", "whose", "published", "fit", "", "to expect, 90 %"), cells)


def _scores(run: CalibrationRun) -> Table:
    rows = run.table("scores").to_pylist()
    cells = [
        (
            row["world"],
            FORECASTERS[row["forecaster"]],
            row["quantity"] or "all",
            str(row["figures"]),
            f"{row['log_score']:.2f}",
            f"{100 * row['coverage_50']:.0f} %",
            f"{100 * row['coverage_90']:.0f} %",
            f"{100 * row['error']:.1f} %",
        )
        for row in rows
        if not row["quantity"]
    ]
    headings = (
        "held back, in",
        "forecast",
        "of",
        "figures",
        "log score",
        "in 50 %",
        "in 90 %",
        "off by",
    )
    return _table(headings, cells)


def _interval(middle: float, low: float, high: float) -> str:
    return f"{_number(middle)} ({_number(low)} to {_number(high)})"


def _number(value: float) -> str:
    """Return a number to four digits, millions in words."""
    if abs(value) >= 1e9:
        return f"{value / 1e9:.4g} bn"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.4g} m"
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:_.0f}"


def _table(headings: Iterable[str], rows: Sequence[tuple[str, ...]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _text(table: Any, width: int) -> str:
    console = memory_console(width)
    console.print(table)
    return printed_text(console)
