"""A figure of a report: its data, and its chart in either language."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import pyarrow as pa

from configs.spreadsheet import guarded
from configs.visible import all_visible
from results.report.words import Language, Text

Spec = dict[str, Any]
"""A Vega-Lite specification or a part of one."""

TABLE: Final = "table"
"""Name under which a chart finds its data."""

INK: Final = "currentColor"
"""Colour of text and lines: that of the page around, which has a dark side and a printed one."""

INTERVAL: Final = 1.96
"""Standard errors on each side of a mean in an interval of 95 %."""

_SNIPPET: Final = "window.vegaEmbed = vegaEmbed;"
"""What the page asks of the program that draws."""

_DIGITS: Final = 7
_PNG_SCALE: Final = 2.0
_VEGA_LITE: Final = "6.4"
_FONT: Final = "DejaVu Sans, Noto Sans CJK SC, Microsoft YaHei, PingFang SC, sans-serif"


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes
    ----------
    name : str
        Its name, and that of its files.
    title : Text
        What it shows.
    reading : Text
        How it is read.
    data : pyarrow.Table
        What is drawn, a column a field of the chart.
    draw : callable
        Returns the chart in a language as Vega-Lite, its data under the name `TABLE`.
    """

    name: str
    title: Text
    reading: Text
    data: pa.Table
    draw: Callable[[Language], Spec]

    def rows(self) -> dict[str, list[Any]]:
        """Return the data by column, numbers to seven digits: what a page needs of them."""
        return {
            name: [_short(value) for value in column.to_pylist()]
            for name, column in zip(self.data.column_names, self.data.columns, strict=True)
        }

    def csv(self) -> str:
        """Return the data as CSV with a header; missing values are empty.

        Text that a spreadsheet takes for a formula is guarded (`configs.spreadsheet`).
        """
        from pyarrow import csv

        columns = [_guarded(column) for column in self.data.columns]
        table = pa.Table.from_arrays(columns, [guarded(name) for name in self.data.column_names])
        sink = io.BytesIO()
        csv.write_csv(table, sink, csv.WriteOptions(quoting_style="needed"))
        return sink.getvalue().decode()

    def svg(self, language: Language) -> str:
        """Return the figure as a drawing complete in itself, on white."""
        import vl_convert

        spec = self.draw(language)
        spec["datasets"] = {TABLE: self.data.to_pylist()}
        spec["title"] = self.title.of(language)
        spec["background"] = "white"
        spec["config"] = style("#222222")
        text = json.dumps(all_visible(spec))
        svg: str = vl_convert.vegalite_to_svg(text, vl_version=_VEGA_LITE)
        return svg

    def png(self, svg: str) -> bytes:
        """Return a drawing of the figure as pixels, two to a point."""
        import vl_convert

        pixels: bytes = vl_convert.svg_to_png(svg, scale=_PNG_SCALE)
        return pixels


def style(ink: str = INK) -> Spec:
    """Return type and ink of the house, as a Vega-Lite configuration.

    Parameters
    ----------
    ink : str
        Colour of text and lines.
    """
    faint = {"gridColor": ink, "gridOpacity": 0.13, "domainColor": ink, "tickColor": ink}
    text = {"labelColor": ink, "titleColor": ink, "labelFontSize": 11, "titleFontSize": 12}
    return {
        "background": "transparent",
        "font": _FONT,
        "view": {"stroke": None},
        "axis": {**faint, **text, "titleFontWeight": "normal", "domainOpacity": 0.5},
        "legend": {**text, "titleFontWeight": "normal", "symbolOpacity": 1},
        "header": {**text, "titleFontWeight": "normal", "labelFontSize": 12},
        "title": {"color": ink, "anchor": "start", "fontSize": 14, "subtitleColor": ink},
        "text": {"color": ink},
        "rule": {"color": ink},
    }


@cache
def javascript() -> str:
    """Return the program that draws charts in a page: Vega, Vega-Lite and Vega-Embed, whole."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle(_SNIPPET, vl_version=_VEGA_LITE)
    return bundle


def _guarded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column for a CSV file: text without formulas, anything else as it is."""
    is_name = pa.types.is_dictionary(column.type)
    kind = column.type.value_type if is_name else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return column
    texts = [None if text is None else guarded(text) for text in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _short(value: Any) -> Any:
    """Return a number to seven digits, what is no number as null, anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}")
