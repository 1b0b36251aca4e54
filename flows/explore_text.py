"""The words and figures of `huzhu explore`: cards, the table of outcomes, the legend; as HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from string import Template
from typing import Final

from results.analysis.courses import Estimate
from results.analysis.outcomes import (
    OUTCOMES,
    RARE,
    SHOWN,
    SPLIT,
    mean_with,
    outcome_of,
    part_with,
)
from results.report.words import term

CARDS: Final = (
    *("share_a_year", "peak_members", "members_end", "survived", "cases", "uncovered_members"),
)
"""Outcomes that have a card; the table has all of them."""

SERIES: Final = ("pinned", "point", "what_if")
"""What is drawn over one another, the last on top."""


MINUS: Final = "−"
MOST_DECIMALS: Final = 6
STEPS: Final = ((1e9, 1e9, " bn"), (1e6, 1e6, " M"), (1e4, 1e3, " k"))
"""From which size on figures are told in which unit, and its word."""
AS_PERCENT: Final = ("part of the paths", "part of all paid")


@dataclass(frozen=True)
class Look:
    """Colours of a page, light or dark.

    Attributes
    ----------
    paper, ink, soft, grid : str
        Background, text, lesser text, lines of the grid.
    series : mapping of str to str
        Colour of each of `SERIES`: Okabe and Ito's, told apart by colour-blind readers as well.
    good, bad : str
        Of differences, for the members.
    """

    paper: str
    ink: str
    soft: str
    grid: str
    series: Mapping[str, str]
    good: str
    bad: str


LIGHT: Final = Look(
    "#ffffff",
    "#1f2328",
    "#656d76",
    "#e6e8eb",
    {"point": "#0072B2", "pinned": "#009E73", "what_if": "#D55E00"},
    "#1a7f37",
    "#b3261e",
)
DARK: Final = Look(
    "#1b1f24",
    "#e6e8eb",
    "#9aa4ae",
    "#30363d",
    {"point": "#56B4E9", "pinned": "#2CC295", "what_if": "#F0833A"},
    "#3fb950",
    "#ff7b72",
)


@dataclass(frozen=True)
class Told:
    """What is told of one series.

    Attributes
    ----------
    title, heading : str
        What it is, and the same in a word or two.
    estimates : mapping of str to Estimate
        Its outcomes by name.
    differences : mapping of str to Estimate
        Less those of the point shown; for the pinned point, the point shown less its own.
    """

    title: str
    heading: str
    estimates: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]


def figures_text(values: Sequence[float], unit: str, error: float, sign: bool = False) -> list[str]:
    """Return figures as a person reads them, alike: 12.30 M and 0.02 M, 92.0 % and 2.7 %.

    Parameters
    ----------
    values : sequence of float
        In the unit; NaN is a dash.
    unit : str
        Their unit, which tells parts from amounts.
    error : float
        Their error, of which two figures are written; without one, four of the largest.
    sign : bool
        Whether a plus is written.
    """
    sizes = [abs(value) for value in values if not math.isnan(value)]
    largest = max(sizes, default=0.0)
    step, word = next(((s, w) for least, s, w in STEPS if largest >= least), (1.0, ""))
    if unit in AS_PERCENT:
        step, word = 0.01, " %"
    decimals = _decimals(largest / step, (0.0 if math.isnan(error) else error) / step)
    return [_written(value / step, decimals, sign, word) for value in values]


def _decimals(largest: float, error: float) -> int:
    """Return the decimals that tell two figures of an error, or four of a size."""
    if largest < 0.5 / 10**MOST_DECIMALS:  # what rounding leaves of nothing
        return 0
    if error > 0:
        wanted = 1 - math.floor(math.log10(error))
    elif largest > 0 and largest != int(largest):
        wanted = 3 - math.floor(math.log10(largest))
    else:
        wanted = 0
    return min(max(wanted, 0), MOST_DECIMALS)


def _written(value: float, decimals: int, sign: bool, word: str) -> str:
    """Return a number with so many decimals and a word; a rounded minus zero is zero."""
    if math.isnan(value):
        return "–"
    rounded = round(value, decimals) + 0.0
    text = f"{rounded:{'+' if sign and rounded else ''},.{decimals}f}"
    return text.replace("-", MINUS) + word


def cards(told: Mapping[str, Told]) -> str:
    """Return the cards: mean and standard error of a few outcomes of each series."""
    return f'<div class="cards">{"".join(_card(name, told) for name in CARDS)}</div>'


def _card(name: str, told: Mapping[str, Told]) -> str:
    """Return one card."""
    outcome = OUTCOMES[name]
    head = f'<div class="name">{words(name)}<span>{escape(outcome.unit)}</span></div>'
    differing = part_with(name) if name in RARE else name
    lines = [
        f'<div class="value {series}">{_value(name, one)}</div>'
        + (_difference(differing, one) if series == "what_if" else "")
        for series, one in told.items()
    ]
    card = f'<div class="card" title="{escape(outcome.meaning)}" data-outcome="{name}">'
    return f"{card}{head}<div>{''.join(lines)}</div></div>"


def _value(name: str, told: Told) -> str:
    """Return what a card shows: a mean, or the part of the paths with any and their mean."""
    if name not in RARE:
        return _mean(told.estimates.get(name), OUTCOMES[name].unit)
    part, those = part_with(name), mean_with(name)
    lines = [f"{_mean(told.estimates.get(part), SPLIT[part].unit)} <small>of the paths</small>"]
    if (found := told.estimates.get(those)) is not None and found.paths:
        lines.append(f"{_mean(found, SPLIT[those].unit)} <small>on these</small>")
    return "<br>".join(lines)


def _mean(estimate: Estimate | None, unit: str) -> str:
    """Return a mean with its standard error."""
    if estimate is None or not estimate.paths:
        return "<b>–</b>"
    error = estimate.standard_error
    mean, around = figures_text([estimate.mean, error], unit, error)
    return f"<b>{mean}</b><small>± {around}</small>"


def _difference(name: str, told: Told) -> str:
    """Return a difference with its interval, coloured where the interval leaves out zero."""
    found = told.differences.get(name)
    if found is None or not found.paths:
        return ""
    if found.low == found.high == 0.0:
        return '<div class="difference same">the same on each path</div>'
    ends = [found.mean, found.low, found.high]
    unit, error = outcome_of(name).unit, found.standard_error
    mean, low, high = figures_text(ends, unit, error, sign=True)
    word = mean.lstrip("+−0123456789.,")  # the same of all three
    interval = f"<small>({low.removesuffix(word)} … {high.removesuffix(word)})</small>"
    return f'<div class="difference {_verdict(name, found)}">{mean} {interval}</div>'


def _verdict(name: str, found: Estimate) -> str:
    """Return whether a difference is good or bad for the members, or may be chance."""
    better = outcome_of(name).better
    if not (found.low > 0 or found.high < 0) or better == "neither":
        return "same"
    return "good" if (found.mean > 0) == (better == "more") else "bad"


def table(told: Mapping[str, Told]) -> str:
    """Return the table of all outcomes: a mean a series, and the paired differences."""
    heads = "<th>outcome</th>"
    for series, one in told.items():
        heads += f'<th class="{series}">{escape(one.heading)}</th>'
        if one.differences:
            against = "what if less point" if series == "what_if" else "point less pinned"
            heads += f"<th>{against}</th>"
    rows = "".join(_row(name, told) for name in SHOWN)
    return f'<table class="outcomes"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def _row(name: str, told: Mapping[str, Told]) -> str:
    """Return the row of one outcome."""
    outcome = outcome_of(name)
    title = term(name).en if name in SPLIT else words(name)
    cells = f'<td title="{escape(outcome.meaning)}">{title}<small>{outcome.unit}</small></td>'
    for one in told.values():
        cells += f"<td>{_mean(one.estimates.get(name), outcome.unit)}</td>"
        if one.differences:
            cells += f"<td>{_difference(name, one)}</td>"
    return f"<tr>{cells}</tr>"


def legend(told: Mapping[str, Told]) -> str:
    """Return which colour is what."""
    items = (
        f'<span class="item"><i class="{series}"></i>{escape(one.title)}</span>'
        for series, one in told.items()
    )
    note = "line: median; bands: middle half and middle nine tenths of the paths"
    return f'<div class="legend">{"".join(items)}<span class="note">{note}</span></div>'


def causes(names: Sequence[str], colours: Mapping[str, str]) -> str:
    """Return the legend of the causes of lapse that there are."""
    items = (
        f'<span class="item"><i style="background:{colours[name]}"></i>{words(name)}</span>'
        for name in names
    )
    return f'<div class="legend small">{"".join(items)}</div>'


def words(name: str) -> str:
    """Return a name as words."""
    return name.replace("_", " ")


def styles(look: Look) -> str:
    """Return the style sheet of what is above, in the colours of the page."""
    colours = "\n".join(
        f".{name} {{ color: {colour}; }} i.{name} {{ background: {colour}; }}"
        for name, colour in look.series.items()
    )
    return _SHEET.substitute(asdict(look), colours=colours)


_SHEET: Final = Template("""
:host { color: $ink; font-size: 14px; }
small { color: $soft; font-weight: 400; font-size: 12px; }
.cards { display: grid; gap: 12px;
    grid-template-columns: repeat(auto-fill, minmax(290px, 1fr)); }
.card { background: $paper; border: 1px solid $grid; border-radius: 8px;
    padding: 10px 14px; display: flex; justify-content: space-between; gap: 10px; }
.name { font-weight: 600; padding-top: 4px; }
.name span { display: block; color: $soft; font-size: 12px; font-weight: 400; }
.value, .card .difference { white-space: nowrap; line-height: 1.4; text-align: right; }
.value b { font-size: 21px; font-weight: 600; margin-right: 7px; }
.value:not(:first-child) b { font-size: 16px; }
$colours
.difference { font-size: 13px; font-weight: 600; white-space: nowrap; }
.good { color: $good; } .bad { color: $bad; }
.same { color: $soft; font-weight: 400; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; align-items: center; }
.legend.small { font-size: 12px; gap: 2px 12px; color: $soft; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px;
    margin-right: 6px; vertical-align: -1px; }
.legend .note { color: $soft; font-size: 12px; margin-left: auto; }
.outcomes { border-collapse: collapse; width: 100%; font-size: 13px; color: $ink; }
.outcomes th, .outcomes td { text-align: right; padding: 4px 8px;
    border-bottom: 1px solid $grid; white-space: nowrap; }
.outcomes th { font-weight: 600; font-size: 12px; }
.outcomes td:first-child, .outcomes th:first-child { text-align: left; }
.outcomes td:first-child small { display: block; }
.outcomes .difference small { display: block; }
.outcomes b { font-weight: 500; margin-right: 6px; }
.about { line-height: 1.5; } .about code { font-size: 12px; }
.wrong { color: $bad; white-space: pre-wrap; overflow-wrap: anywhere;
    font-family: ui-monospace, monospace; font-size: 12px; }
.state { color: $soft; font-size: 13px; }
""")
