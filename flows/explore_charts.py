"""The charts of `huzhu explore`: drawn once, then given other figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    CustomJSTickFormatter,
    DataRange1d,
    FactorRange,
    HoverTool,
    NumeralTickFormatter,
)
from bokeh.plotting import figure

from flows.explore_text import SERIES, Look
from results.analysis.courses import LAPSES, Float64

HEIGHT: Final = 250
FONT: Final = "system-ui, 'Segoe UI', 'Noto Sans', sans-serif"
QUANTILES: Final = ("q05", "q25", "q50", "q75", "q95")
_CAUSE_COLOURS: Final = (
    *("#D55E00", "#F0E442", "#009E73", "#8FD0BE", "#E69F00", "#0072B2", "#332288", "#CC79A7"),
    *("#999999", "#BBBBBB", "#777777", "#DDDDDD", "#555555", "#AAAAAA", "#56B4E9", "#882255"),
)
CAUSE_COLOURS: Final = dict(zip(LAPSES, _CAUSE_COLOURS, strict=True))
"""One colour a cause of lapse, whichever causes there are."""


_SHORT: Final = """
    const size = Math.abs(tick)
    const steps = [[1e9, 1e9, " bn"], [1e6, 1e6, " M"], [1e4, 1e3, " k"], [0, 1, ""]]
    const [, step, word] = steps.find(([least]) => size >= least)
    return (tick / step).toLocaleString("en", {maximumFractionDigits: 4}) + word
"""
"""Writes a mark of an axis; 20 M, where 20000000 would take too much room."""


class FanChart:
    """The median of a quantity and its bands, 25 to 75 % and 5 to 95 %, over time."""

    def __init__(self, look: Look) -> None:
        self.figure = _blank(look)
        self.sources = {name: ColumnDataSource(_fan_columns(None, 1)) for name in SERIES}
        lines = [_fan_glyphs(self.figure, self.sources[name], look.series[name]) for name in SERIES]
        told = [("year", "@year{0.00}"), ("median", "@q50{0,0.[00]}")]
        bands = [("half within", ("q25", "q75")), ("9 of 10 within", ("q05", "q95"))]
        told += [(name, f"@{a}{{0,0.[00]}} – @{b}{{0,0.[00]}}") for name, (a, b) in bands]
        self.figure.add_tools(HoverTool(renderers=lines, tooltips=told, mode="vline"))

    def show(self, series: str, fan: Float64 | None, periods_per_year: int) -> None:
        """Draw quantiles, float64[levels, periods], or nothing."""
        self.sources[series].data = _fan_columns(fan, periods_per_year)


class SurvivalChart:
    """The part of the paths on which a pool is open, over time."""

    def __init__(self, look: Look) -> None:
        self.figure = _blank(look)
        self.figure.yaxis.formatter = NumeralTickFormatter(format="0 %")
        self.figure.y_range.end = 1.03  # the line at 1 is seen whole
        self.sources = {name: ColumnDataSource({"year": [], "open": []}) for name in SERIES}
        lines = [
            self.figure.step(
                "year",
                "open",
                source=source,
                mode="before",
                line_width=2.5,
                color=look.series[name],
            )
            for name, source in self.sources.items()
        ]
        told = [("year", "@year{0.00}"), ("open", "@open{0.0 %}")]
        self.figure.add_tools(HoverTool(renderers=lines, tooltips=told, mode="vline"))

    def show(self, series: str, survival: Float64 | None, periods_per_year: int) -> None:
        """Draw survival, float64[periods], or nothing.

        The part that is open after a period is drawn over the whole period, from 1 at the start:
        so the last period has a width as well.
        """
        values = np.array([]) if survival is None else np.concatenate([[1.0], survival])
        years = np.arange(values.size) / periods_per_year
        self.sources[series].data = {"year": years, "open": values}


class LapseChart:
    """Members who leave in each period, by cause, one cause on the other."""

    def __init__(self, look: Look) -> None:
        self.figure = _blank(look)
        self.source = ColumnDataSource(_lapse_columns({}, 1))
        self.areas = self.figure.varea_stack(
            list(LAPSES),
            x="year",
            source=self.source,
            color=[CAUSE_COLOURS[cause] for cause in LAPSES],
            fill_alpha=0.9,
        )

    def show(self, lapses: Mapping[str, Float64], periods_per_year: int) -> None:
        """Draw members a period by cause, float64[periods] each."""
        self.source.data = _lapse_columns(lapses, periods_per_year)


class CauseChart:
    """Members who left over the whole course, by cause, side by side."""

    def __init__(self, look: Look) -> None:
        self.figure = _blank(look, y_range=FactorRange(), x_range=DataRange1d(start=0))
        self.figure.xaxis.axis_label = "members over the whole course, on the mean"
        self.figure.xaxis.formatter = _short()
        self.figure.ygrid.grid_line_color = None
        self.sources = {name: ColumnDataSource(_bar_columns({}, [], 0.0)) for name in SERIES}
        self.bars = {
            name: self.figure.hbar("place", right="members", source=source, color=look.series[name])
            for name, source in self.sources.items()
        }
        told = [("cause", "@cause"), ("members", "@members{0,0}")]
        self.figure.add_tools(HoverTool(renderers=list(self.bars.values()), tooltips=told))

    def show(self, totals: Mapping[str, Mapping[str, float]]) -> None:
        """Draw members by series and cause."""
        every = {cause for of_series in totals.values() for cause in of_series}
        first = totals.get("point") or totals.get("what_if") or {}
        causes = sorted(every, key=lambda cause: (first.get(cause, 0.0), cause))
        self.figure.y_range.factors = [cause.replace("_", " ") for cause in causes]
        height = 0.78 / max(len(totals), 1)
        # the point above, where there are others
        drawn = [name for name in ("what_if", "pinned", "point") if name in totals]
        for name in SERIES:
            away = (drawn.index(name) - (len(drawn) - 1) / 2) * height if name in drawn else 0.0
            self.bars[name].glyph.height = 0.92 * height
            there = causes if name in drawn else []
            self.sources[name].data = _bar_columns(totals.get(name, {}), there, away)


def _short() -> CustomJSTickFormatter:
    """Return what writes large numbers as the text beside the charts does."""
    return CustomJSTickFormatter(code=_SHORT)


def _bar_columns(totals: Mapping[str, float], causes: Sequence[str], away: float) -> dict[str, Any]:
    """Return bars as columns, `away` from the middle of their cause's place."""
    words = [cause.replace("_", " ") for cause in causes]
    members = [totals.get(cause, 0.0) for cause in causes]
    return {"cause": words, "place": [(word, away) for word in words], "members": members}


def _blank(look: Look, **more: Any) -> Any:
    """Return an empty figure in the colours of the page."""
    drawn = figure(
        height=HEIGHT,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
        background_fill_color=look.paper,
        border_fill_color=look.paper,
        outline_line_color=None,
        min_border_right=14,
        **more,
    )
    for axis in drawn.axis:
        axis.update(**_axis_look(look))
    drawn.grid.grid_line_color = look.grid
    drawn.xaxis.axis_label = "years"
    if not more:
        drawn.yaxis.formatter = _short()
        drawn.y_range = DataRange1d(start=0)
    return drawn


def _axis_look(look: Look) -> dict[str, Any]:
    """Return how an axis is drawn."""
    lines = dict.fromkeys(("axis_line_color", "major_tick_line_color"), look.grid)
    words: dict[str, Any] = {}
    for kind in ("major_label", "axis_label"):
        words[f"{kind}_text_color"] = look.soft
        words[f"{kind}_text_font"] = FONT
        words[f"{kind}_text_font_size"] = "12px"
    return {
        **lines,
        **words,
        "minor_tick_line_color": None,
        "axis_label_text_font_style": "normal",
    }


def _fan_glyphs(drawn: Any, source: ColumnDataSource, colour: str) -> Any:
    """Draw the bands of a fan and its median; the line of the median."""
    for low, high, alpha in (("q05", "q95", 0.16), ("q25", "q75", 0.28)):
        drawn.varea("year", low, high, source=source, fill_color=colour, fill_alpha=alpha)
    return drawn.line("year", "q50", source=source, color=colour, line_width=2.2)


def _fan_columns(fan: Float64 | None, periods_per_year: int) -> dict[str, Any]:
    """Return a fan as columns; periods without a value are left out."""
    if fan is None:
        return {name: np.array([]) for name in ("year", *QUANTILES)}
    there = np.flatnonzero(~np.isnan(fan[0]))
    years = (there + 1) / periods_per_year
    return {"year": years, **dict(zip(QUANTILES, fan[:, there], strict=True))}


def _lapse_columns(lapses: Mapping[str, Float64], periods_per_year: int) -> dict[str, Any]:
    """Return lapses as columns, zeros for causes that there are none of."""
    periods = max((values.size for values in lapses.values()), default=0)
    years = (np.arange(periods) + 1) / periods_per_year
    return {"year": years, **{cause: lapses.get(cause, np.zeros(periods)) for cause in LAPSES}}
