"""The page: sections, figures and tables put together into one HTML file that opens offline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from results.report.charts import as_json
from results.report.figure import Figure, javascript, style
from results.report.words import LANGUAGES, Language, Text

_LABELS: Final = {
    "theme": Text("light / dark", "浅色／深色"),
    "language": Text("中文", "English"),
    "print": Text("print", "打印"),
    "contents": Text("contents", "目录"),
    "more": Text("show all rows", "显示全部"),
    "rows": Text("rows", "行"),
    "filter": Text("find", "查找"),
}


@dataclass(frozen=True)
class Heading:
    """The heading of a column of a table.

    Attributes
    ----------
    name : str
        Name of the column in the data.
    text : Text
        Its heading.
    error : str
        Column with the standard error that stands beside the figure; empty without one.
    number : bool
        Whether the column holds numbers.
    """

    name: str
    text: Text
    error: str = ""
    number: bool = True


@dataclass(frozen=True)
class Rows:
    """A table in the page; a click on a heading sorts it.

    Attributes
    ----------
    name : str
        Its name, and that of its file.
    title, reading : Text
        What it shows; how it is read.
    headings : sequence of Heading
        Its columns, in order.
    data : mapping of str to sequence
        Values by column, errors included; texts may be `Text`.
    """

    name: str
    title: Text
    reading: Text
    headings: Sequence[Heading]
    data: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes
    ----------
    name : str
        Its name, for links.
    title : Text
        Its heading.
    paragraphs : sequence of Text
        What is said first.
    parts : sequence of Figure or Rows
        Figures and tables, in order.
    """

    name: str
    title: Text
    paragraphs: Sequence[Text]
    parts: Sequence[Figure | Rows] = ()


@dataclass(frozen=True)
class Report:
    """A whole report.

    Attributes
    ----------
    title : Text
        Its heading.
    warnings : sequence of Text
        What must be known first.
    sections : sequence of Section
        Its parts.
    """

    title: Text
    warnings: Sequence[Text]
    sections: Sequence[Section]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures of all sections, in order."""
        return tuple(
            part for section in self.sections for part in section.parts if isinstance(part, Figure)
        )


def html(report: Report, language: Language = "en", source: str = "") -> str:
    """Return a report as one page with all it needs, in both languages.

    Parameters
    ----------
    report : Report
        The report.
    language : {"en", "zh"}
        The language it opens in.
    source : str
        Digest of what it was made from, written into its head; not written without it.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["both"] = _both
    environment.tests["figure"] = lambda part: isinstance(part, Figure)
    template = environment.from_string(_asset("page.html.j2"))
    figures = {figure.name: _embedded(figure) for figure in report.figures}
    tables = {
        part.name: _table(part)
        for section in report.sections
        for part in section.parts
        if isinstance(part, Rows)
    }
    page: str = template.render(
        report=report,
        language=language,
        source=source,
        labels=_LABELS,
        css=Markup(_asset("page.css")),
        vega=Markup(javascript().replace("</script", "<\\/script")),
        script=Markup(_asset("page.js")),
        figures=Markup(as_json(figures)),
        tables=Markup(as_json(tables)),
        style=Markup(as_json(style())),
    )
    return page


def _asset(name: str) -> str:
    """Return a file that lies beside this module."""
    return resources.files("results.report").joinpath(name).read_text("utf-8")


def _both(text: Text) -> Any:
    """Return a text as HTML in both languages, of which the page shows one."""
    from markupsafe import Markup, escape

    return Markup("").join(
        Markup('<span lang="{}">{}</span>').format(language, escape(text.of(language)))
        for language in LANGUAGES
    )


def _embedded(figure: Figure) -> dict[str, Any]:
    """Return what a page holds of a figure: its data once, a chart and a title a language."""
    from altair.utils.schemapi import debug_mode

    # that charts are valid is tested; to check each part of each again takes half of the time
    with debug_mode(False):
        specs = {language: figure.draw(language) for language in LANGUAGES}
    return {
        "data": figure.rows(),
        "spec": specs,
        "title": {language: figure.title.of(language) for language in LANGUAGES},
    }


def _table(rows: Rows) -> dict[str, Any]:
    """Return what a page holds of a table."""
    return {
        "headings": [
            {
                "name": heading.name,
                "error": heading.error,
                "number": heading.number,
                **{language: heading.text.of(language) for language in LANGUAGES},
            }
            for heading in rows.headings
        ],
        "data": {name: [_plain(value) for value in column] for name, column in rows.data.items()},
    }


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: texts by language, no infinities."""
    if isinstance(value, Text):
        return {language: value.of(language) for language in LANGUAGES}
    if isinstance(value, float):
        return float(f"{value:.7g}") if abs(value) < float("inf") else None
    return json.loads(json.dumps(value, default=str))
