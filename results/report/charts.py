"""How each figure of a report is drawn: its columns to marks, in Altair.

Every chart takes its data by name (`figure.TABLE`), so that a page holds them once for both
languages. Colours are Okabe and Ito's for kinds, cividis for amounts and blue to orange for signs:
told apart by colour-blind readers as well, on white and on black.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from results.report.figure import TABLE, Spec
from results.report.words import Language, labels, term, titled

if TYPE_CHECKING:
    import altair as alt

KINDS: Final = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
    "#F0E442",
    "#999999",
)
"""Okabe and Ito's palette; the last, grey, for all others."""

MAIN: Final = KINDS[0]
WIDTH: Final = 680
_LOW_AND_HIGH: Final = (KINDS[0], KINDS[1])
_SEXES: Final = ("male", "female")


@cache
def chart_data() -> alt.NamedData:
    """Return the data of every chart: one object, or parts of a chart would each have their own."""
    import altair as alt

    return alt.NamedData(name=TABLE)


def spec_of(chart: Any) -> Spec:
    """Return a chart as Vega-Lite; what it is drawn with in print and page is set there."""
    from altair.utils import schemapi

    spec: Spec = chart.to_dict(validate=schemapi.DEBUG_MODE)
    spec.pop("config", None)
    return spec


def _chooser(
    name: str, field: str, options: Sequence[Any], words: Sequence[str], label: str
) -> Any:
    """Return a parameter with a list to choose from, for the rows of one value of `field`."""
    import altair as alt

    bind = alt.binding_select(options=list(options), labels=list(words), name=f"{label} ")
    return alt.param(name=name, bind=bind, value=options[0])


def _chosen(chart: Any, field: str, options: Mapping[Any, str], label: str) -> Any:
    """Return a chart of the rows of one value of `field`, with a list to choose it from."""
    if len(options) < 2:
        return chart
    name = f"chosen_{field}"
    param = _chooser(name, field, list(options), list(options.values()), label)
    return chart.add_params(param).transform_filter(f"datum.{field} === {name}")


_IN_SHORT: Final = {
    "en": ((1e9, "bn"), (1e6, "m"), (1e3, "k")),
    "zh": ((1e8, "亿"), (1e4, "万")),
}


def amounts(language: Language, **options: Any) -> Any:
    """Return an axis of numbers of any size, large ones in the short form of the language."""
    import altair as alt

    words = "format(datum.value, '~g')"
    for size, unit in reversed(_IN_SHORT[language]):
        large = f"format(datum.value / {size:.0f}, '~g') + '{unit}'"
        words = f"abs(datum.value) >= {size:.0f} ? {large} : {words}"
    return alt.Axis(labelExpr=words, tickCount=5, **options)


def _number(language: Language, value: str, title: str, **options: Any) -> Any:
    """Return an upright axis of numbers."""
    import altair as alt

    return alt.Y(f"{value}:Q", title=title, axis=amounts(language), **options)


def _years(language: Language, **options: Any) -> Any:
    """Return the time axis, in years."""
    import altair as alt

    return alt.X("year:Q", title=term("year").of(language), axis=alt.Axis(tickMinStep=1), **options)


def _tips(language: Language, *fields: str) -> list[Any]:
    """Return what is shown under the pointer: fields with their words; numbers to four digits."""
    import altair as alt

    named = [field.split(":") for field in fields]
    short: dict[str, Any] = {"format": ",.4~g"}
    return [
        alt.Tooltip(
            f"{name}:{kind}", title=term(name).of(language), **(short if kind == "Q" else {})
        )
        for name, kind in named
    ]


def fans(
    language: Language,
    quantities: Sequence[str],
    choices: Mapping[str, Mapping[Any, str]],
) -> Spec:
    """Draw bands over time, one panel a quantity; a brush over the lowest chooses the years.

    Parameters
    ----------
    language : {"en", "zh"}
        Language.
    quantities : sequence of str
        What is drawn, from the top.
    choices : mapping of str to mapping
        Columns that rows are chosen by: `plan` and `point`, or `course` for both together; and
        the words of each value.
    """
    import altair as alt

    brush = alt.selection_interval(encodings=["x"], name="brush")
    panels = [
        _fan(language, quantity, _years(language, scale=alt.Scale(domain=brush)))
        for quantity in quantities
    ]
    overview = (
        alt.Chart(chart_data(), width=WIDTH, height=44)
        .transform_filter(f"datum.quantity === '{quantities[-1]}'")
        .mark_area(color=MAIN, opacity=0.35)
        .encode(_years(language), alt.Y("q50:Q", axis=None))
        .add_params(brush)
    )
    chart = alt.vconcat(*panels, overview, spacing=14)
    words = {"plan": "plan", "point": "setting", "course": "setting"}
    for column, options in choices.items():
        chart = _chosen(chart, column, options, term(words[column]).of(language))
    return spec_of(chart)


def _fan(language: Language, quantity: str, x: Any) -> Any:
    """Return bands, median and what is under the pointer, of one quantity."""
    import altair as alt

    hover = alt.selection_point(
        name=f"at_{quantity}", nearest=True, on="pointerover", fields=["year"], empty=False
    )
    base = (
        alt.Chart(chart_data(), width=WIDTH, height=150)
        .transform_filter(f"datum.quantity === '{quantity}'")
        .encode(x)
    )
    title = titled(quantity).of(language)
    tips = [
        alt.Tooltip("year:Q", title=term("year").of(language), format=".2f"),
        *(alt.Tooltip(f"{q}:Q", format=",.4~g") for q in ("q05", "q25", "q50", "q75", "q95")),
        *_tips(language, "mean:Q", "standard_error:Q", "paths:Q"),
    ]
    return alt.layer(
        base.mark_area(color=MAIN, opacity=0.18, clip=True).encode(
            _number(language, "q05", title), y2="q95"
        ),
        base.mark_area(color=MAIN, opacity=0.32, clip=True).encode(y="q25:Q", y2="q75"),
        base.mark_line(color=MAIN, strokeWidth=2, clip=True).encode(y="q50:Q"),
        base.mark_rule(clip=True)
        .encode(opacity=alt.condition(hover, alt.value(0.5), alt.value(0)), tooltip=tips)
        .add_params(hover),
    )


def multiples(language: Language, quantities: Sequence[str], settings: Sequence[str]) -> Spec:
    """Draw bands over time, a row a quantity and a column a setting, on common scales.

    Parameters
    ----------
    language : {"en", "zh"}
        Language.
    quantities, settings : sequence of str
        What is drawn, and for which settings; in order.
    """
    import altair as alt

    across = min(3, len(settings))
    rows = []
    for quantity in quantities:
        base = alt.Chart(chart_data(), width=(WIDTH - 60) // across - 20, height=120).encode(
            _years(language)
        )
        title = titled(quantity).of(language)
        layers = alt.layer(
            base.mark_area(color=MAIN, opacity=0.18).encode(
                _number(language, "q05", title), y2="q95"
            ),
            base.mark_area(color=MAIN, opacity=0.32).encode(y="q25:Q", y2="q75"),
            base.mark_line(color=MAIN).encode(
                y="q50:Q", tooltip=_tips(language, "setting:N", "year:Q", "mean:Q")
            ),
        )
        header = alt.Header(labelExpr="split(datum.label, ' · ')", labelFontSize=11)
        facet = alt.Facet("setting:N", sort=list(settings), title=None, header=header)
        chosen = layers.transform_filter(f"datum.quantity === '{quantity}'")
        panel = chosen.facet(facet=facet, columns=across)
        rows.append(panel)
    return spec_of(alt.vconcat(*rows))


def lapses(language: Language, causes: Sequence[str], points: Mapping[int, str]) -> Spec:
    """Draw who left, by cause, as areas upon one another; the largest cause lowest."""
    import altair as alt

    picked = alt.selection_point(fields=["cause"], bind="legend", name="cause")
    chart = (
        alt.Chart(chart_data(), width=WIDTH, height=260)
        .mark_area()
        .encode(
            _years(language),
            _number(language, "members", term("left").of(language), stack="zero"),
            _kinds(language, "cause", causes),
            alt.Order("rank:O"),
            opacity=alt.condition(picked, alt.value(0.9), alt.value(0.15)),
            tooltip=_tips(language, "cause:N", "year:Q", "members:Q", "standard_error:Q"),
        )
        .add_params(picked)
    )
    return spec_of(_chosen(chart, "point", points, term("setting").of(language)))


def _kinds(language: Language, field: str, kinds: Sequence[str]) -> Any:
    """Return colours by kind, and a legend in words; "others" and "open" are grey."""
    import altair as alt

    colours = [KINDS[-1] if kind in ("others", "open") else None for kind in kinds]
    free = iter([*KINDS[:-1]] * (1 + len(kinds) // len(KINDS[:-1])))
    scale = alt.Scale(domain=list(kinds), range=[colour or next(free) for colour in colours])
    legend = alt.Legend(labelExpr=labels(kinds, language), orient="bottom", columns=4)
    return alt.Color(f"{field}:N", title=None, scale=scale, legend=legend)


def money(language: Language, names: Sequence[str], points: Mapping[int, str]) -> Spec:
    """Draw sources above uses of money, as bars with their 95 % intervals."""
    import altair as alt

    sides = [_side_of_money(language, side, names) for side in ("source", "use")]
    chart = alt.vconcat(*sides, spacing=8).resolve_scale(x="shared")
    return spec_of(_chosen(chart, "point", points, term("setting").of(language)))


def _side_of_money(language: Language, side: str, names: Sequence[str]) -> Any:
    """Return the bars of one side."""
    import altair as alt

    axis = _worded(language, names, labelLimit=180, minExtent=170)
    base = (
        alt.Chart(
            chart_data(), width=WIDTH - 190, height=alt.Step(22), title=term(side).of(language)
        )
        .transform_filter(f"datum.side === '{side}'")
        .encode(alt.Y("name:N", title=None, sort=list(names), axis=axis))
    )
    x = alt.X("mean:Q", title=term("yuan").of(language), axis=amounts(language))
    bars = base.mark_bar(color=KINDS[2] if side == "source" else KINDS[1]).encode(
        x, tooltip=_tips(language, "mean:Q", "standard_error:Q")
    )
    return alt.layer(bars, base.mark_rule(strokeWidth=2).encode(alt.X("low:Q"), x2="high"))


def _worded(language: Language, names: Sequence[str], **options: Any) -> Any:
    """Return an axis of names in words."""
    import altair as alt

    return alt.Axis(labelExpr=labels(names, language), **options)


def subsidy(language: Language, strongest: float, points: Mapping[int, str]) -> Spec:
    """Draw who pays for whom: age by sex, orange who pays above the own cost, blue who below.

    Parameters
    ----------
    language : {"en", "zh"}
        Language.
    strongest : float
        Largest subsidy of any field, either way, in yuan a person-year.
    points : mapping of int to str
        Points that can be chosen, and their settings.
    """
    import altair as alt

    colour = alt.Color(
        "subsidy:Q",
        title=term("paid_above").of(language),
        scale=alt.Scale(scheme="blueorange", domain=[-strongest, strongest]),
        legend=alt.Legend(orient="bottom", gradientLength=300, titleLimit=400),
    )
    sexes = alt.Y(
        "sex:N", title=None, sort=list(_SEXES), axis=_worded(language, _SEXES, ticks=False)
    )
    ages = alt.X("ages:N", title=term("age").of(language), sort=None, axis=alt.Axis(labelAngle=0))
    base = alt.Chart(chart_data(), width=WIDTH - 60, height=110).encode(ages, sexes)
    cells = base.mark_rect().encode(
        colour,
        tooltip=[
            *_tips(language, "ages:N"),
            alt.Tooltip("subsidy:Q", title=term("paid_above").of(language), format=",.2f"),
            *_tips(language, "standard_error:Q"),
        ],
    )
    # the ends of the scale are dark
    dark = alt.condition(
        f"abs(datum.subsidy) > {0.55 * strongest}", alt.value("#ffffff"), alt.value("#111111")
    )
    figures = base.mark_text(fontSize=11).encode(
        text=alt.Text("subsidy:Q", format="+.0f"), color=dark
    )
    chart = alt.layer(cells, figures)
    return spec_of(_chosen(chart, "point", points, term("setting").of(language)))


def survival(
    language: Language, causes: Sequence[str], points: Mapping[int, str], pools: Sequence[str]
) -> Spec:
    """Draw the part of the paths that is open, and closed by cause, with the interval of the first.

    The parts add to one at every period. What holds after a period is drawn over the whole of it:
    the data begin with the start, where every path is open.
    """
    import altair as alt

    states = ["open", *causes]
    base = alt.Chart(chart_data(), width=WIDTH, height=240).encode(_years(language))
    parts = base.mark_area(interpolate="step-before", opacity=0.85).encode(
        alt.Y(
            "part:Q",
            title=term("part_of_paths").of(language),
            stack="zero",
            axis=alt.Axis(format=".0%"),
        ),
        _kinds(language, "state", states),
        alt.Order("rank:O"),
        tooltip=[
            alt.Tooltip("year:Q", title=term("year").of(language), format=".2f"),
            *(alt.Tooltip(f"{name}:Q", format=".1%") for name in ("part", "low", "high")),
        ],
    )
    open_ones = base.transform_filter("datum.state === 'open'")
    bounds = [
        open_ones.mark_line(interpolate="step-before", strokeDash=[4, 3], strokeWidth=1).encode(
            y=f"{bound}:Q", color=alt.value("currentColor")
        )
        for bound in ("low", "high")
    ]
    chart = alt.layer(parts, *bounds)
    chart = _chosen(chart, "pool", terms_of(language, pools), term("pool").of(language))
    return spec_of(_chosen(chart, "point", points, term("setting").of(language)))


def uncovered(language: Language, points: Mapping[int, str]) -> Spec:
    """Draw who is left without cover by closure, by age and sex, means with 95 % intervals."""
    import altair as alt

    base = alt.Chart(chart_data(), width=WIDTH, height=220).encode(
        alt.X("ages:N", title=term("age").of(language), sort=None, axis=alt.Axis(labelAngle=0)),
        alt.XOffset("sex:N", sort=list(_SEXES)),
    )
    bars = base.mark_bar().encode(
        _number(language, "mean", term("uncovered_members_if_any").of(language)),
        _kinds(language, "sex", _SEXES),
        tooltip=_tips(language, "ages:N", "mean:Q", "standard_error:Q"),
    )
    errors = base.mark_rule(strokeWidth=2).encode(y="low:Q", y2="high")
    chart = alt.layer(bars, errors)
    return spec_of(_chosen(chart, "point", points, term("setting").of(language)))


def plane(language: Language, axes: Mapping[str, str], outcomes: Sequence[str]) -> Spec:
    """Draw an outcome over two axes of a sweep; axes and outcome are chosen.

    Parameters
    ----------
    language : {"en", "zh"}
        Language.
    axes : mapping of str to str
        Field of each axis in the data, and its name; at least two. Beside a field `a0` with the
        words of its values stands `a0_rank` with their order.
    outcomes : sequence of str
        Fields of the outcomes in the data.
    """
    import altair as alt

    fields, names = list(axes), list(axes.values())
    across = _chooser("across", "", fields, names, term("horizontal").of(language))
    down = _chooser(
        "down", "", [*fields[1:], fields[0]], [*names[1:], names[0]], term("vertical").of(language)
    )
    words = [term(name).of(language) for name in outcomes]
    shown = _chooser("shown", "", list(outcomes), words, term("outcome").of(language))
    base = (
        alt.Chart(chart_data(), width=WIDTH - 120, height=300)
        .transform_calculate(
            x="datum[across]",
            x_rank="datum[across + '_rank']",
            y="datum[down]",
            y_rank="datum[down + '_rank']",
            value="datum[shown]",
        )
        .transform_aggregate(
            mean="mean(value)", settings="count()", groupby=["x", "x_rank", "y", "y_rank"]
        )
        .encode(
            alt.X(
                "x:N",
                title=None,
                sort=alt.EncodingSortField("x_rank", op="min"),
                axis=alt.Axis(labelAngle=0, labelOverlap=True),
            ),
            alt.Y(
                "y:N",
                title=None,
                sort=alt.EncodingSortField("y_rank", op="min", order="descending"),
            ),
        )
    )
    cells = base.mark_rect().encode(
        alt.Color(
            "mean:Q",
            title=None,
            scale=alt.Scale(scheme="cividis"),
            legend=alt.Legend(format="~s", gradientLength=280),
        ),
        tooltip=_tips(language, "x:N", "y:N", "mean:Q", "settings:Q"),
    )
    return spec_of(cells.add_params(shown, across, down))


def tornado(language: Language, outcomes: Sequence[str]) -> Spec:
    """Draw how far each axis moves an outcome, from its low end to its high end."""
    import altair as alt

    ends = ["low_end", "high_end"]
    base = alt.Chart(chart_data(), width=WIDTH - 220, height=alt.Step(30)).encode(
        alt.Y(
            "axis:N",
            title=None,
            sort=alt.EncodingSortField("swing", op="max", order="descending"),
            axis=alt.Axis(labelLimit=220),
        ),
    )
    scale = alt.Scale(domain=ends, range=list(_LOW_AND_HIGH))
    legend = alt.Legend(labelExpr=labels(ends, language), orient="bottom", title=None)
    x = alt.X("mean:Q", title=None, axis=amounts(language), scale=alt.Scale(zero=False))
    spans = base.mark_rule(strokeWidth=8, opacity=0.25).encode(alt.X("least:Q"), x2="most")
    ends_marked = base.mark_point(filled=True, size=110, opacity=1).encode(
        x,
        alt.Color("end:N", scale=scale, legend=legend),
        tooltip=_tips(language, "axis:N", "at:N", "mean:Q", "standard_error:Q"),
    )
    errors = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high")
    chart = alt.layer(spans, errors, ends_marked)
    words = terms_of(language, outcomes)
    return spec_of(_chosen(chart, "outcome", words, term("outcome").of(language)))


def terms_of(language: Language, names: Sequence[str]) -> dict[str, str]:
    """Return names with their words, for a list to choose from."""
    return {name: term(name).of(language) for name in names}


def indices(language: Language, kinds: Sequence[str], outcomes: Sequence[str], title: str) -> Spec:
    """Draw sensitivity indices with their intervals, a bar an axis and kind."""
    import altair as alt

    base = alt.Chart(chart_data(), width=WIDTH - 220, height=alt.Step(16)).encode(
        alt.Y(
            "axis:N",
            title=None,
            sort=alt.EncodingSortField("index", op="max", order="descending"),
            axis=alt.Axis(labelLimit=220),
        ),
        alt.YOffset("kind:N", sort=list(kinds)),
    )
    bars = base.mark_bar().encode(
        alt.X("index:Q", title=title),
        _kinds(language, "kind", kinds),
        tooltip=_tips(language, "axis:N", "kind:N", "index:Q", "low:Q", "high:Q"),
    )
    errors = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high")
    chart = alt.layer(bars, errors)
    words = terms_of(language, outcomes)
    return spec_of(_chosen(chart, "outcome", words, term("outcome").of(language)))


def differences(language: Language, outcomes: Sequence[str]) -> Spec:
    """Draw differences from a base with their intervals, a row a setting; the outcome is chosen."""
    import altair as alt

    base = alt.Chart(chart_data(), width=WIDTH - 320, height=alt.Step(24)).encode(
        alt.Y("setting:N", title=None, sort=None, axis=alt.Axis(labelLimit=400)),
    )
    zero = alt.Chart(chart_data()).mark_rule(strokeDash=[4, 3], opacity=0.6).encode(x=alt.datum(0))
    x = alt.X("difference:Q", title=term("difference").of(language), axis=amounts(language))
    dots = base.mark_point(filled=True, size=90, color=MAIN, opacity=1).encode(
        x, tooltip=_tips(language, "setting:N", "difference:Q", "low:Q", "high:Q", "pairs:Q")
    )
    errors = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high")
    chart = alt.layer(errors, dots, zero)
    words = terms_of(language, outcomes)
    return spec_of(_chosen(chart, "outcome", words, term("outcome").of(language)))


def front(language: Language, outcomes: Sequence[str]) -> Spec:
    """Draw points by two outcomes, a third as colour; those that no other dominates are ringed."""
    import altair as alt

    across, down, coloured = outcomes
    x_axis = alt.X(f"{across}:Q", title=term(across).of(language), scale=alt.Scale(zero=False))
    base = alt.Chart(chart_data(), width=WIDTH - 110, height=300).encode(x_axis)
    y = _number(language, down, term(down).of(language), scale=alt.Scale(zero=False))
    colour = alt.Color(
        f"{coloured}:Q", scale=alt.Scale(scheme="cividis"), title=term(coloured).of(language)
    )
    numbers = [f"{name}:Q" for name in outcomes]
    dots = base.mark_point(filled=True, size=90, opacity=1).encode(
        y, colour, tooltip=_tips(language, "setting:N", *numbers, "on_front:N")
    )
    rings = (
        base.transform_filter("datum.on_front")
        .mark_point(size=190, strokeWidth=2, color=KINDS[3])
        .encode(y)
    )
    return spec_of(alt.layer(dots, rings))


def boxes(language: Language) -> Spec:
    """Draw the worlds in which it fails: the part of each axis's range that a box keeps."""
    import altair as alt

    y = alt.Y("box:N", title=None, sort=None, axis=alt.Axis(labelLimit=260))
    base = alt.Chart(chart_data(), width=WIDTH - 280, height=alt.Step(34)).encode(y)
    x = alt.X(
        "from:Q",
        title=term("part_of_range").of(language),
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%"),
    )
    tips = _tips(language, "axis:N", "limits:N", "coverage:Q", "density:Q", "quasi_p:Q")
    bars = base.mark_bar(color=KINDS[3], height=10, minBandSize=4).encode(x, x2="to", tooltip=tips)
    words = base.mark_text(align="left", dx=2, dy=-12, fontSize=10).encode(
        alt.X("from:Q"), text="limits:N"
    )
    return spec_of(alt.layer(bars, words))


def as_json(spec: Spec) -> str:
    """Return a specification as JSON that may stand in a page.

    No `<` is left in it: `<!--` and `<script` change how a browser reads what follows.
    """
    return json.dumps(spec, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
