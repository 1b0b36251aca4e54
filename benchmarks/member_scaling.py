"""`python -m benchmarks.member_scaling OUT.svg`: what a path of the member engine costs, and why.

Closed pools over a grid of members, intensities of lapse and periods: a table, a picture of the
seconds over events, members and periods, and what an event and a period cost, by least squares.
"""

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.members import MEBI, PERIODS, closed_pool, cost, ready, run_members
from results.picture import COLOURS, Spec

MEMBERS = (100_000, 300_000, 1_000_000, 3_000_000)
LAPSES = (0.0005, 0.002, 0.01, 0.03)
LENGTHS = (24, 72, 144)
REPEATS = 3
HUNDRED_MILLION = 100_000_000
FIT = "fit"


@dataclass(frozen=True)
class Measured:
    """What a path cost, the median of three.

    Attributes
    ----------
    members, periods : int
    lapse : float
        Intensity a period.
    events : int
        Members who left, by a claim or a lapse.
    lived : int
        Member-periods.
    seconds : float
        Processor time.
    """

    members: int
    lapse: float
    periods: int
    events: int
    lived: int
    seconds: float


@dataclass(frozen=True)
class Line:
    """Seconds as a sum over events and periods, by least squares.

    Attributes
    ----------
    event, period : float
        Seconds an event, and a period, whatever happens in it.
    r2 : float
        Part of the variance that this explains.
    """

    event: float
    period: float
    r2: float


def measure(members: int, lapse: float, periods: int) -> Measured:
    """Time paths of one pool."""
    pool, times = ready(closed_pool(members, lapse, periods)), []
    for path in range(REPEATS):
        start = time.process_time()
        rows = run_members(pool, path)[0].periods
        times.append(time.process_time() - start)
    events, lived = int(rows["lapses"].sum()), int(rows["members"].sum())
    return Measured(members, lapse, periods, events, lived, statistics.median(times))


def line_through(found: Sequence[Measured]) -> Line:
    """Fit seconds to events and periods."""
    counts = np.array([(one.events, one.periods) for one in found], np.float64)
    seconds = np.array([one.seconds for one in found])
    event, period = np.linalg.lstsq(counts, seconds)[0]
    residual = seconds - counts @ (event, period)
    return Line(float(event), float(period), float(1 - residual.var() / seconds.var()))


def table(found: Sequence[Measured]) -> Table:
    """Lay out what was measured as a table."""
    shown = Table(title="A path of the member engine: closed pools, processor time, medians of 3")
    for column in (
        "members", "lapse", "periods", "events", "member-periods", "seconds", "ns an event",
        "ns a member-period",
    ):  # fmt: skip
        shown.add_column(column, justify="right")
    for one in found:
        shown.add_row(
            f"{one.members:,}", f"{one.lapse:g}", f"{one.periods}", f"{one.events:,}",
            f"{one.lived:,}", f"{one.seconds:.4f}", f"{1e9 * one.seconds / one.events:.0f}",
            f"{1e9 * one.seconds / one.lived:.3f}",
        )  # fmt: skip
    return shown


def _axis(field: str, title: str, marks: Sequence[float]) -> Spec:
    """Return a logarithmic axis from its first mark to its last."""
    numbers = {"values": list(marks), "format": "~s", "gridColor": "#E6E6E6"}
    scale = {"type": "log", "domain": [marks[0], marks[-1]], "nice": False}
    return {"field": field, "type": "quantitative", "title": title, "axis": numbers, "scale": scale}


def _decades(values: Sequence[float]) -> list[float]:
    """Return the powers of ten around some values."""
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [10.0**power for power in range(first, last + 1)]


def _panel(data: str, x: Spec, y: Spec, *, joined: bool) -> Spec:
    """Return one panel: seconds over a quantity, a colour for each intensity of lapse."""
    lapses = {"domain": [f"{lapse:g}" for lapse in LAPSES], "range": COLOURS[: len(LAPSES)]}
    colour = {"field": "lapse", "type": "nominal", "title": "lapse a period", "scale": lapses}
    points = {"type": "point", "filled": True, "size": 45, "opacity": 0.9}
    measured = {
        "data": {"name": data},
        "mark": {"type": "line", "point": points} if joined else points,
        "encoding": {"x": x, "y": y, "color": colour},
    }
    line = {
        "data": {"name": FIT},
        "mark": {"type": "line", "color": "#222222", "strokeDash": [4, 3], "strokeWidth": 1},
        "encoding": {"x": x, "y": y},
    }
    return {"width": 270, "height": 240, "layer": [measured] if joined else [line, measured]}


def specification(found: Sequence[Measured], line: Line) -> Spec:
    """Return the picture as a Vega-Lite specification."""
    members, periods = max(MEMBERS), PERIODS
    seconds = _axis("seconds", "seconds a path", _decades([one.seconds for one in found]))
    events = _axis("events", "members who left", _decades([one.events for one in found]))
    rows = [asdict(one) | {"lapse": f"{one.lapse:g}"} for one in found]
    ends = np.geomspace(min(one.events for one in found), max(one.events for one in found), 60)
    steady = periods * line.period
    fit = [{"events": x, "seconds": steady + line.event * x} for x in ends.tolist()]
    return {
        "title": {
            "text": "What a path of the member engine costs",
            "subtitle": f"Closed pools. Dashed: {1e9 * line.event:.0f} ns an event and "
            f"{1e6 * line.period:.0f} µs a period (R² {line.r2:.4f}), {periods} periods. Members "
            f"at {periods} periods; periods at {members:,} members.",
            "anchor": "start",
            "offset": 16,
        },
        "hconcat": [
            _panel("all", events, seconds, joined=False),
            _panel("members", _axis("members", "members at first", MEMBERS), seconds, joined=True),
            _panel("periods", _axis("periods", "periods", LENGTHS), seconds, joined=True),
        ],
        "datasets": {
            "all": rows,
            "members": [row for row in rows if row["periods"] == periods],
            "periods": [row for row in rows if row["members"] == members],
            FIT: fit,
        },
        "config": {"background": "white", "padding": 16, "view": {"stroke": None}},
    }


def hundred_million() -> str:
    """Run one path with a hundred million members, and say what it cost."""
    once = cost(closed_pool, HUNDRED_MILLION)
    return (
        f"{HUNDRED_MILLION:,} members, {PERIODS} periods: {once.seconds:.1f} s, "
        f"{1e9 * once.seconds / once.lived:.3f} ns a member-period, "
        f"{once.growth / MEBI:,.0f} MiB at the peak, {once.growth / HUNDRED_MILLION:.1f} bytes "
        "a member"
    )


def main() -> None:
    """Measure the grid, print it, and draw it."""
    import vl_convert

    parser: Any = argparse.ArgumentParser(prog="python -m benchmarks.member_scaling")
    parser.add_argument("out", type=Path, nargs="?", help="picture of the grid, SVG")
    parser.add_argument("--hundred-million", action="store_true", help="run one path of that size")
    wanted = parser.parse_args()
    if wanted.out is None and not wanted.hundred_million:
        parser.error("expected OUT.svg or --hundred-million")
    if wanted.out is not None:
        run_members(ready(closed_pool(1000)), 0)  # compiles
        found = [measure(*point) for point in product(MEMBERS, LAPSES, LENGTHS)]
        line = line_through(found)
        Console(width=120).print(table(found))
        print(
            f"{1e9 * line.event:.1f} ns an event + {1e6 * line.period:.0f} µs a period, "
            f"R^2 = {line.r2:.5f}"
        )
        wanted.out.write_text(vl_convert.vegalite_to_svg(specification(found, line)))
    if wanted.hundred_million:
        print(hundred_million())


if __name__ == "__main__":
    main()
