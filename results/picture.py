"""One picture of a run: share and membership over time, with their bands over the paths.

The share of the main plan stands above its members on one time axis: the median, the middle half of
the paths and their middle nine tenths, from `summary`. Each point of the sweep has a panel of its
own on common scales, six points at most, with the medians of the others in grey behind it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from configs.visible import all_visible
from results.analysis.bands import bands, of_main_plans
from results.brief import told_points
from results.manifest import FileRecord
from results.pooled import PooledRun, pooled
from results.run import Run, RunError
from results.store import RunStore
from results.table import short_names, value_text

Spec = dict[str, Any]
"""A Vega-Lite specification or a part of one."""

PICTURE_NAME: Final = "share_and_members"

POINTS_DRAWN: Final = 6
"""Points that a picture shows."""

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette, told apart by colour-blind readers as well."""

_VEGA_LITE: Final = "5.20"
_PNG_SCALE: Final = 2.0
_PANEL_HEIGHT: Final = 180
_INK: Final = "#222222"
_GREY: Final = "#B5B5B5"
_FONT: Final = "DejaVu Sans, Verdana, Arial, sans-serif"


@dataclass(frozen=True)
class Picture:
    """A picture in both forms.

    Attributes
    ----------
    svg : str
        Vector graphics, complete in itself.
    png : bytes
        Raster graphics of the same.
    """

    svg: str
    png: bytes


@dataclass(frozen=True)
class _Panel:
    """What the panels of one quantity have in common."""

    quantity: str
    title: str
    top: float


@dataclass(frozen=True)
class _Look:
    """How a point is drawn: its colour and heading, and whether its panels carry value labels."""

    point: int
    colour: str
    heading: list[str]
    labelled: bool


@dataclass(frozen=True)
class _Scene:
    """What is drawn: rows of `summary` by quantity and point, and the time axis."""

    rows: Mapping[str, Mapping[int, list[dict[str, Any]]]]
    periods: int
    periods_per_year: int
    width: int


def draw(run: Run) -> Picture:
    """Draw the share and the members of a run's main plan.

    Parameters
    ----------
    run : Run
        The run; its `summary` must be written.

    Raises
    ------
    RunError
        There is no summary yet, or a file is damaged.
    """
    import vl_convert

    specification = all_visible(_specification(run))
    svg = vl_convert.vegalite_to_svg(specification, vl_version=_VEGA_LITE)
    return Picture(svg, vl_convert.svg_to_png(svg, scale=_PNG_SCALE))


def write_picture(run: Run) -> list[FileRecord]:
    """Draw a run and write the picture as SVG and PNG into its folder.

    Parameters
    ----------
    run : Run
        The run; its `summary` must be written.

    Returns
    -------
    list of FileRecord
        The files, for the manifest.

    Raises
    ------
    RunError
        There is no summary yet, or a file is damaged.
    StoreError
        A file cannot be written.
    """
    picture, store = draw(run), RunStore(run.folder)
    return [
        store.write_file(f"{PICTURE_NAME}.svg", picture.svg),
        store.write_file(f"{PICTURE_NAME}.png", picture.png),
    ]


def chosen_points(points: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the points that a picture shows: all, or up to six that span the sweep.

    Those at the ends of every axis, where there are four or more of them, otherwise all; from
    these, the first, the last and others evenly between.

    Parameters
    ----------
    points : sequence of mapping
        Rows of the `points` table.
    """
    if len(points) <= POINTS_DRAWN:
        return [row["point"] for row in points]
    swept = [name for name in points[0] if name != "point"]
    ends = {name: (points[0][name], points[-1][name]) for name in swept}
    corners = [row["point"] for row in points if all(row[name] in ends[name] for name in swept)]
    pool = corners if len(corners) >= 4 else [row["point"] for row in points]
    last, count = len(pool) - 1, min(len(pool), POINTS_DRAWN)
    return [pool[round(i * last / (count - 1))] for i in range(count)]


def _specification(run: Run) -> Spec:
    """Return the whole picture as a Vega-Lite specification."""
    run = pooled(run)
    points = {row["point"]: row for row in run.arrow("points").to_pylist()}
    scene = _scene(run, chosen_points(list(points.values())))
    drawn = list(scene.rows["share"])
    told = told_points(list(points.values()), run.manifest.config.get("sweep", {}))
    headings = _point_headings([row for row in told if row["point"] in drawn], run)
    looks = [
        _Look(point, COLOURS[place], headings[place], place % _across(len(drawn)) == 0)
        for place, point in enumerate(drawn)
    ]
    across = _across(len(drawn))
    blocks = [looks[start : start + across] for start in range(0, len(looks), across)]
    return {
        "title": {
            "text": run.manifest.scenario_title,
            "subtitle": _subtitle(run, drawn, len(points)),
            "offset": 20,
        },
        "vconcat": [_block(scene, block) for block in blocks],
        "spacing": 28,
        "datasets": {
            _data_name(quantity, point): found
            for quantity, rows in scene.rows.items()
            for point, found in rows.items()
        },
        "config": _style(),
    }


def _across(panels: int) -> int:
    """Return how many of `panels` stand side by side."""
    return {1: 1, 2: 2, 4: 2}.get(panels, 3)


def _scene(run: Run, chosen: Sequence[int]) -> _Scene:
    """Read what is drawn; RunError where there is nothing."""
    found = of_main_plans(run, bands(run, ("share", "members"), chosen)).to_pylist()
    if not found:
        raise RunError(f"{run.folder}: nothing to draw, no shard has been summarised yet")
    rows: dict[str, dict[int, list[dict[str, Any]]]] = {"share": {}, "members": {}}
    for row in found:
        rows[row["quantity"]].setdefault(row["point"], []).append(row)
    of_point = {point: run.shapes.at(point).periods_per_year for point in rows["share"]}
    a_year = max(of_point.values())
    if len({*of_point.values()}) > 1:  # all points are drawn on the same years
        for row in found:
            row["period"] *= a_year / of_point[row["point"]]
    periods = 1 + math.floor(max(row["period"] for row in found))
    width = {1: 640, 2: 360}.get(_across(len(rows["share"])), 250)
    return _Scene(rows, periods, a_year, width)


def _point_headings(points: Sequence[Mapping[str, Any]], run: Run) -> list[list[str]]:
    """Return the heading of each point: a line for every swept field that differs.

    Where points have different main plans, the plan that is drawn as well.
    """
    swept = [name for name in points[0] if name != "point"]
    differing = [name for name in swept if len({str(row[name]) for row in points}) > 1]
    names = short_names(swept)
    headings = [[f"{names[path]} {value_text(row[path])}" for path in differing] for row in points]
    mains = [run.shapes.at(row["point"]).main_plan for row in points]
    if len({*mains}) == 1:
        return headings
    return [[*lines, f"plan {main}"] for lines, main in zip(headings, mains, strict=True)]


def _subtitle(run: Run, chosen: Sequence[int], points: int) -> list[str]:
    """Return the lines under the title: how to read it, and which points these are."""
    manifest = run.manifest
    each = " a point" if points > 1 else ""
    shapes = [run.shapes.at(point) for point in chosen]
    mains = {shape.main_plan for shape in shapes}
    several = any(len(shape.plans) > 1 for shape in shapes)
    plan = f"Plan {mains.pop()}. " if several and len(mains) == 1 else ""
    reading = (
        f"{manifest.paths_per_point} paths{each}. "
        "Line: median; dark band: middle 50 % of the paths; light band: 5–95 %."
    )
    lines = [
        plan + (reading if manifest.paths_per_point > 1 else f"One path{each}."),
        "Share over the paths whose pool is open; members over all, a pool that has ended "
        "counting none.",
    ]
    if isinstance(run, PooledRun):
        lines.append(f"Paths of {run.draws} draws of {run.sample} together.")
    if len(chosen) > 1:
        lines[1] += " Grey: medians of the other panels."
    if len({shape.periods_per_year for shape in shapes}) > 1:
        lines.append("Periods differ in length; a share is that of the point's own period.")
    if len(chosen) < points:
        listed = ", ".join(map(str, chosen))
        lines.append(f"Points {listed} of {points}, spanning the axes of the sweep.")
    return lines


def _block(scene: _Scene, looks: Sequence[_Look]) -> Spec:
    """Return points side by side, the shares above the members.

    Panels are set by their frames, not by what is written around them, so that they stand in line.
    """
    share, members = _panels(scene)
    upper = [_panel(share, scene, look) for look in looks]
    for panel, look in zip(upper, looks, strict=True):
        if look.heading:
            heading = {"text": look.heading, "fontSize": 12, "offset": 8, "frame": "group"}
            panel["title"] = heading
    return {
        "concat": [*upper, *(_panel(members, scene, look) for look in looks)],
        "columns": len(looks),
        "bounds": "flush",
        "spacing": {"row": 22, "column": 36},
    }


def _panels(scene: _Scene) -> tuple[_Panel, _Panel]:
    """Return what the share panels and the members panels have in common, scales included."""

    def top(quantity: str) -> float:
        """Return the largest value drawn of a quantity."""
        found = (row["q95"] or 0.0 for rows in scene.rows[quantity].values() for row in rows)
        return max(found, default=0.0) or 1.0

    share = _Panel("share", "share of a period (yuan)", top("share"))
    return share, _Panel("members", "members", top("members"))


def _panel(panel: _Panel, scene: _Scene, look: _Look) -> Spec:
    """Return one panel: bands and median of a point over the grey medians of the others."""
    y = {"type": "quantitative", "axis": _value_axis(panel, look.labelled)}
    y["scale"] = {"domain": [0, panel.top], "nice": True}

    def layer(of: int, mark: Spec, low: str, high: str | None = None) -> Spec:
        """Return one mark over time: the line of a column, or the band between two."""
        encoding = {"x": _time(scene, panel.quantity == "members"), "y": {"field": low, **y}}
        if high:
            encoding["y2"] = {"field": high}
        return {
            "data": {"name": _data_name(panel.quantity, of)},
            "mark": mark,
            "encoding": encoding,
        }

    grey = {"type": "line", "color": _GREY, "strokeWidth": 1}
    points, colour = scene.rows[panel.quantity], look.colour
    others = [layer(point, grey, "q50") for point in points if point != look.point]
    own = [
        layer(look.point, {"type": "area", "color": colour, "opacity": 0.2}, "q05", "q95"),
        layer(look.point, {"type": "area", "color": colour, "opacity": 0.35}, "q25", "q75"),
        layer(look.point, {"type": "line", "color": colour, "strokeWidth": 2}, "q50"),
    ]
    return {"layer": others + own, "width": scene.width, "height": _PANEL_HEIGHT}


def _data_name(quantity: str, point: int) -> str:
    """Return the name under which the rows of a quantity and a point stand in the picture."""
    return f"{quantity}-{point}"


def _value_axis(panel: _Panel, labelled: bool) -> Spec:
    """Return the upright axis; large numbers are given in millions."""
    in_millions = panel.top >= 2e6
    millions = "datum.value == 0 ? '0' : format(datum.value / 1e6, ',') + ' million'"
    return {
        "title": panel.title if labelled else None,
        "labels": labelled,
        "ticks": labelled,
        "labelExpr": millions if in_millions else "format(datum.value, ',')",
        "tickCount": 5,
    }


def _time(scene: _Scene, labelled: bool) -> Spec:
    """Return the time axis: marks in periods, and under them whole years."""
    a_year = scene.periods_per_year
    count = f"datum.value / {a_year}"
    words = f"{count} + ({count} == 1 ? ' year' : ' years')"
    whole_year = f"datum.value > 0 && datum.value % {a_year} == 0"
    axis = {
        "title": f"settlement period ({a_year} a year)" if labelled else None,
        "values": list(range(0, scene.periods + 1, _step(scene))),
        "labels": labelled,
        "labelExpr": f"{whole_year} ? [datum.label, {words}] : datum.label",
        "labelFlush": False,
        "labelOverlap": False,
    }
    scale = {"domain": [0, scene.periods], "nice": False}
    return {"field": "period", "type": "quantitative", "axis": axis, "scale": scale}


def _step(scene: _Scene) -> int:
    """Return the periods between two marks, eight marks at most: part of a year or whole years."""
    a_year = scene.periods_per_year
    parts = [a_year // n for n in (12, 6, 4, 3, 2, 1) if a_year % n == 0]
    steps = [*parts, *(a_year * years for years in (2, 5, 10, 20, 50))]
    return next((step for step in steps if scene.periods <= step * 8), scene.periods)


def _style() -> Spec:
    """Return type and ink of the house."""
    return {
        "background": "white",
        "padding": 16,
        "font": _FONT,
        "view": {"stroke": None},
        "axis": {
            "labelFontSize": 11,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "labelColor": _INK,
            "titleColor": _INK,
            "gridColor": "#E6E6E6",
            "domainColor": "#888888",
            "tickColor": "#888888",
        },
        "title": {
            "anchor": "start",
            "fontSize": 17,
            "color": _INK,
            "subtitleFontSize": 12,
            "subtitleColor": "#555555",
            "subtitleLineHeight": 17,
            "subtitlePadding": 6,
        },
    }
