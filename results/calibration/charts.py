"""How the figures of a calibration's report are drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from results.report.charts import KINDS, MAIN, amounts, chart_data, spec_of
from results.report.figure import Spec
from results.report.words import Language

PANEL: Final = 250
"""Width of a small panel, in pixels."""

COLUMNS: Final = 2
WORLDS: Final = (MAIN, KINDS[3], KINDS[2], KINDS[5], KINDS[1])
"""Colours of the worlds, the first the forecast's."""

EXPONENT: Final = "exponent"
"""Name under which the power of the likelihood stands among the parameters of the trace."""

SHADES: Final = {"q05": 0.18, "q25": 0.35}
UPPER: Final = {"q05": "q95", "q25": "q75"}


def intervals(language: Language) -> Spec:
    """Draw prior and posterior of each parameter, one above the other; say what tells nothing."""
    import altair as alt

    words = {"prior": ("prior", "先验"), "posterior": ("posterior", "后验")}
    colour = alt.Color("of:N", title=None, sort=list(words)).scale(
        domain=list(words), range=[KINDS[-1], MAIN]
    )
    base = alt.Chart(chart_data()).encode(
        y=alt.Y("parameter:N", title=None, sort=None),
        yOffset=alt.YOffset("of:N", sort=list(words)),
        color=colour,
    )
    title = (
        "prior's median 0, its 90 % interval about −1 to 1"
        if language == "en"
        else "先验中位数为 0，其 90 % 区间约为 −1 至 1"
    )
    told = "not identified" if language == "en" else "不可识别"
    unknown = base.transform_filter("datum.of === 'posterior' && !datum.identified")
    return spec_of(
        alt.layer(
            base.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", title=title), x2="high:Q"),
            base.mark_point(filled=True, size=45).encode(x="middle:Q"),
            unknown.mark_text(align="left", dx=6, fontSize=11).encode(
                x="high:Q", text=alt.value(told), color=alt.value("currentColor")
            ),
        ).properties(width=520)
    )


def pairs(language: Language, priors: Mapping[str, tuple[float, float]]) -> Spec:
    """Draw every parameter against every other, and how often each value was drawn.

    Parameters
    ----------
    language : {"en", "zh"}
        Language.
    priors : mapping of str to (float, float)
        90 % interval of the prior of each parameter that is drawn.
    """
    import altair as alt

    names = list(priors)
    size = max(70, 640 // len(names))
    rows = [
        alt.hconcat(
            *(_pair(language, across, down, size, names[0]) for across in names[:i]),
            _marginal(language, down, priors[down], size, names[0]),
        )
        for i, down in enumerate(names)
    ]
    return spec_of(alt.vconcat(*rows))


def _pair(language: Language, across: str, down: str, size: int, first: str) -> Any:
    """Return one parameter against another; only beside `first` stands what goes upwards."""
    import altair as alt

    axis = _axis(language, titleFontSize=10)
    upwards = _axis(language, titleFontSize=10, minExtent=40) if across == first else None
    return (
        alt.Chart(chart_data(), width=size, height=size)
        .mark_circle(size=8, opacity=0.35, color=MAIN)
        .encode(
            x=alt.X(_field(across), type="quantitative", title=across, axis=axis).scale(zero=False),
            y=alt.Y(_field(down), type="quantitative", title=down, axis=upwards).scale(zero=False),
        )
    )


def _marginal(
    language: Language, name: str, prior: tuple[float, float], size: int, first: str
) -> Any:
    """Return how often each value of a parameter was drawn, its prior's 90 % interval below."""
    import altair as alt

    # the first row's panel stands above others that have something at their left
    extent = {"minExtent": 40, "labels": False} if name == first else {"labels": False}
    upwards = alt.Axis(title=None, ticks=False, domain=False, grid=False, **extent)
    base = alt.Chart(chart_data(), width=size, height=size)
    # Vega knows bins by the name of what comes out: each panel needs its own
    start, end = f"from {name}", f"to {name}"
    bars = (
        base.transform_bin([start, end], field=_field(name), bin=alt.Bin(maxbins=20))
        .transform_aggregate(draws="count()", groupby=[start, end])
        .mark_bar(color=MAIN, opacity=0.6, binSpacing=0)
        .encode(
            x=alt.X(
                _field(start),
                type="quantitative",
                title=name,
                axis=_axis(language, titleFontSize=10),
            ).scale(zero=False),
            x2=_field(end),
            y=alt.Y("draws:Q", axis=upwards),
            y2=alt.datum(0),
        )
    )
    low, high = prior
    ends = base.mark_rule(color=KINDS[-1], strokeWidth=5).encode(
        x=alt.datum(low), x2=alt.datum(high), y=alt.datum(0)
    )
    return alt.layer(bars, ends)


def _field(name: str) -> str:
    """Return the name of a column as Vega-Lite has it: dots and brackets are not paths."""
    for sign in ("\\", ".", "[", "]"):
        name = name.replace(sign, f"\\{sign}")
    return name


def trace(language: Language, names: Sequence[str]) -> Spec:
    """Draw the exponent and each parameter over the generations, a panel each.

    Parameters
    ----------
    language : {"en", "zh"}
        Language.
    names : sequence of str
        The panels, in order.
    """
    import altair as alt

    base = alt.Chart(chart_data()).encode(
        x=alt.X("generation:Q", title="generation" if language == "en" else "代")
    )
    bands = [
        base.mark_area(opacity=shade, color=MAIN).encode(
            y=alt.Y(f"{low}:Q", title=None, axis=_axis(language)).scale(zero=False),
            y2=f"{UPPER[low]}:Q",
        )
        for low, shade in SHADES.items()
    ]
    line = base.mark_line(color=MAIN).encode(y="q50:Q")
    facet = alt.Facet("parameter:N", title=None, sort=list(names))
    return spec_of(
        alt.layer(*bands, line)
        .properties(width=190, height=90)
        .facet(facet=facet, columns=3)
        .resolve_scale(y="independent")
    )


def year_totals(language: Language, series: Sequence[str], worlds: Sequence[str]) -> Spec:
    """Draw the sum of each whole year with its 90 % interval, and what was published.

    Parameters
    ----------
    language : {"en", "zh"}
        Language.
    series, worlds : sequence of str
        A panel each; a bar each in it.
    """
    import altair as alt

    panels = [_year_panel(language, one, worlds) for one in series]
    rows = [alt.hconcat(*panels[i : i + COLUMNS]) for i in range(0, len(panels), COLUMNS)]
    return spec_of(alt.vconcat(*rows))


def _year_panel(language: Language, series: str, worlds: Sequence[str]) -> Any:
    """Return the totals of one series."""
    import altair as alt

    base = (
        alt.Chart(chart_data())
        .transform_filter(f"datum.series === {json.dumps(series)}")
        .encode(x=alt.X("year:O", title=None, axis=alt.Axis(labelAngle=0)))
    )
    y = alt.Y("q50:Q", title=None, axis=_axis(language))
    modelled = base.transform_filter("datum.kind === 'forecast'").encode(
        xOffset=alt.XOffset("world:N", sort=list(worlds))
    )
    bars = modelled.mark_bar(opacity=0.55).encode(y=y, color=_worlds(worlds))
    spread = modelled.mark_rule(strokeWidth=2).encode(y="q05:Q", y2="q95:Q")
    figures = base.transform_filter("datum.kind === 'figure'").encode(y="value:Q")
    fitted = figures.transform_filter("!datum.held_back")
    late = figures.transform_filter("datum.held_back")
    return alt.layer(
        bars,
        spread,
        fitted.mark_point(filled=True, size=60, color="currentColor", opacity=1),
        late.mark_point(filled=False, size=60, color="currentColor", opacity=1),
    ).properties(width=PANEL, height=150, title=series)


def _worlds(worlds: Sequence[str]) -> Any:
    """Return the colours of the worlds; a legend where there are several."""
    import altair as alt

    scale = alt.Scale(
        domain=list(worlds), range=[WORLDS[i % len(WORLDS)] for i in range(len(worlds))]
    )
    legend = alt.Legend(orient="bottom", labelLimit=300) if len(worlds) > 1 else None
    return alt.Color("world:N", title=None, scale=scale, legend=legend)


def bands(
    language: Language, series: Sequence[str], worlds: Sequence[str], until: str | None
) -> Spec:
    """Draw the forecast of each series with the published figures in it.

    Parameters
    ----------
    language : {"en", "zh"}
        Language.
    series : sequence of str
        A panel each.
    worlds : sequence of str
        The first with its bands, the others by their medians.
    until : str, optional
        Cut-off date.
    """
    import altair as alt

    panels = [_panel(language, one, worlds, until) for one in series]
    rows = [alt.hconcat(*panels[i : i + COLUMNS]) for i in range(0, len(panels), COLUMNS)]
    return spec_of(alt.vconcat(*rows))


def _panel(language: Language, series: str, worlds: Sequence[str], until: str | None) -> Any:
    """Return the bands of one series, the medians of all worlds, and the figures."""
    import altair as alt

    day = alt.X("date:T", title=None, axis=alt.Axis(format="%Y", tickCount="year"))
    base = (
        alt.Chart(chart_data())
        .transform_filter(f"datum.series === {json.dumps(series)}")
        .encode(x=day)
    )
    forecasts = base.transform_filter("datum.kind === 'band'")
    first = forecasts.transform_filter(f"datum.world === {json.dumps(worlds[0])}")
    figures = base.transform_filter("datum.kind === 'figure'")
    fitted = figures.transform_filter("!datum.held_back").encode(y="value:Q")
    late = figures.transform_filter("datum.held_back").encode(y="value:Q")
    dashes = alt.condition(
        f"datum.world === {json.dumps(worlds[0])}", alt.value([1, 0]), alt.value([5, 3])
    )
    layers = [
        *([] if until is None else _after(base, until)),
        *(
            first.mark_area(opacity=shade, color=MAIN).encode(
                y=alt.Y(f"{low}:Q", title=None, axis=_axis(language)), y2=f"{UPPER[low]}:Q"
            )
            for low, shade in SHADES.items()
        ),
        forecasts.mark_line().encode(y="q50:Q", color=_worlds(worlds), strokeDash=dashes),
        figures.mark_rule(color="currentColor").encode(y="low:Q", y2="high:Q"),
        fitted.mark_point(filled=True, color="currentColor", opacity=1),
        late.mark_point(filled=False, color="currentColor", opacity=1),
    ]
    return alt.layer(*layers).properties(width=PANEL, height=150, title=series)


def _after(base: Any, until: str) -> list[Any]:
    """Return the ground under what is forecast, and the line where it begins."""
    rows = base.transform_aggregate(end="max(date)").transform_calculate(
        date=f"toDate({until!r})", end="toDate(datum.end)"
    )
    return [
        rows.mark_rect(color=KINDS[-1], opacity=0.15).encode(x="date:T", x2="end:T"),
        rows.mark_rule(strokeDash=[2, 2], color="currentColor").encode(x="date:T"),
    ]


def _axis(language: Language, **options: Any) -> Any:
    return amounts(language, **options)
