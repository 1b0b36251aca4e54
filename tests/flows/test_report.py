"""The report of a run: what it says, the files beside it, and the page in a real browser."""

import copy
import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from flows.cli import huzhu as program
from kernels.platform import CLOSURE_CAUSES
from results.analysis.money import MEMBERS_SOURCES, MEMBERS_USES, SOURCES, USES
from results.analysis.outcomes import OUTCOMES, estimates
from results.report import contents
from results.report.figure import Figure
from results.report.files import REPORT_NAME
from results.report.page import Heading, Report, Rows, Section, html
from results.report.words import TERMS, Text
from results.run import RunError
from results.schema import LAPSE_CAUSES
from tests.flows.conftest import SMALL
from tests.flows.in_process import computed
from tests.results.synthetic import a_failure

PATIENCE_MS = 20_000
SWEPT = """
sweep:
  paths: 4
  seed: 7
  design: saltelli
  points: 8
  axes:
    motives.*.education_speed: {low: 0.02, high: 0.4, scale: log}
    plans.main.wait_periods: {low: 0, high: 6}
    closure.share_limit_yuan: {low: 5, high: 60}
  policies:
    with_fee: {plans.main.fee_rate: 0.3}
    without: {plans.main.fee_rate: 0.0}
"""
OF_EVERY_RUN = ("over_time", "lapses", "bills", "money", "subsidy", "survival", "uncovered")


@pytest.fixture(scope="module")
def runs(small: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Return a run of four points, half of it, one of other rules, and a sample of 80 points."""
    folder = tmp_path_factory.mktemp("runs")
    swept = folder / "swept.yaml"
    swept.write_text(dedent(SMALL).split("sweep:")[0] + SWEPT)
    return SimpleNamespace(
        grid=computed(small, folder / "grid"),
        half=computed(small, folder / "half", finished=False),
        other=computed(small, folder / "other", "closure.share_limit_yuan=20"),
        one=computed(small, folder / "one", "sweep.axes={}"),
        swept=computed(swept, folder / "swept"),
    )


@pytest.fixture(scope="module")
def reports(runs: SimpleNamespace) -> dict[str, Report]:
    return {name: contents.report(run) for name, run in vars(runs).items()}


def said(report: Report, language: str = "en") -> str:
    """Return all that a report says, apart from its figures."""
    paragraphs = [text for section in report.sections for text in section.paragraphs]
    return " ".join(getattr(text, language) for text in [*report.warnings, *paragraphs])


def figure(report: Report, name: str) -> Any:
    return next(one for one in report.figures if one.name == name)


# What it holds.


def test_every_run_has_its_course_its_money_and_its_end(reports: dict[str, Report]) -> None:
    for report in reports.values():
        assert {*OF_EVERY_RUN} <= {one.name for one in report.figures}


def test_a_sweep_has_what_its_design_can_tell(reports: dict[str, Report]) -> None:
    common = {*OF_EVERY_RUN, "side_by_side", "plane", "tornado", "pareto", "differences"}
    assert {one.name for one in reports["grid"].figures} == common
    assert {one.name for one in reports["swept"].figures} >= common | {"sobol", "worlds"}
    assert {one.name for one in reports["one"].figures} == {*OF_EVERY_RUN}


def test_a_sample_for_no_index_has_the_influence_on_whole_distributions(
    small: Path, tmp_path: Path
) -> None:
    swept = tmp_path / "random.yaml"
    text = SWEPT.replace("saltelli", "random").replace("points: 8", "points: 30")
    swept.write_text(dedent(SMALL).split("sweep:")[0] + text.split("  policies:")[0])
    names = {one.name for one in contents.report(computed(swept, tmp_path)).figures}
    assert "delta" in names
    assert not names & {"sobol", "morris"}


def test_the_table_of_outcomes_has_the_estimates_with_their_errors(
    runs: SimpleNamespace, reports: dict[str, Report]
) -> None:
    table = reports["grid"].sections[1].parts[0]
    assert not isinstance(table, Figure)
    for row in estimates(runs.grid).to_pylist():
        if row["outcome"] in table.data:
            assert table.data[row["outcome"]][row["point"]] == row["mean"]
            error = table.data[f"{row['outcome']}_standard_error"][row["point"]]
            assert error == row["standard_error"]


def test_a_run_half_finished_says_so_and_shows_what_is_there(
    runs: SimpleNamespace, reports: dict[str, Report]
) -> None:
    there = runs.half.rows("paths")
    assert 0 < there < 40
    assert f"not finished: {there} of 40 planned paths" in said(reports["half"])
    assert not reports["grid"].warnings
    points = set(figure(reports["half"], "over_time").data["point"].to_pylist())
    assert points == set(runs.half.arrow("paths")["point"].to_pylist()) < {0, 1, 2, 3}


def test_points_that_failed_are_named(runs: SimpleNamespace) -> None:
    manifest = replace(runs.half.manifest, failures=(a_failure(2), a_failure(3)))
    told = said(contents.report(replace(runs.half, manifest=manifest)))
    assert "2 of 4 points failed (2, 3)" in told


def test_warnings_of_the_configuration_are_in_the_report(
    runs: SimpleNamespace, reports: dict[str, Report]
) -> None:
    config = copy.deepcopy(dict(runs.one.manifest.config))
    config["scenario"]["claims"]["incidence"]["male"][30] = 0.24
    manifest = replace(runs.one.manifest, config=config)
    told = said(contents.report(replace(runs.one, manifest=manifest)))
    assert "Warning: claims.incidence: incidence_cn_2020_28_diseases: male: 0.24 a year at" in told
    assert "Warning: " not in said(reports["one"])


def test_a_run_without_a_path_has_nothing_to_report(runs: SimpleNamespace) -> None:
    nothing = replace(runs.half, shards=())
    with pytest.raises(RunError, match="nothing to report, no path is finished"):
        contents.report(nothing)


def test_policies_are_compared_in_the_same_world(
    runs: SimpleNamespace, reports: dict[str, Report]
) -> None:
    assert "policy with_fee" in said(reports["swept"])
    rows = figure(reports["swept"], "differences").data.to_pylist()
    means = {
        row["point"]: row["mean"] for row in estimates(runs.swept, ["share_a_year"]).to_pylist()
    }
    worlds = len(means) // 2
    shares = [row for row in rows if row["outcome"] == "share_a_year"]
    assert [row["pair"] for row in shares] == [*range(worlds)]
    for row in shares:
        assert row["paired"]
        assert row["first"] == pytest.approx(means[row["pair"]], rel=1e-12)
        assert row["second"] == pytest.approx(means[row["pair"] + worlds], rel=1e-12)


def test_two_runs_are_compared_point_by_point(runs: SimpleNamespace) -> None:
    report = contents.report(runs.grid, runs.other)
    assert runs.other.folder.name in said(report)
    rows = figure(report, "differences").data.to_pylist()
    assert {row["pair"] for row in rows} == {0, 1, 2, 3}
    assert all(row["paired"] for row in rows)


def test_runs_of_other_seeds_are_no_pairs(runs: SimpleNamespace) -> None:
    manifest = replace(runs.other.manifest, seed=99)
    told = said(contents.report(runs.grid, replace(runs.other, manifest=manifest)))
    assert "the seeds differ" in told
    assert "Welch" in told


def test_everything_is_said_in_both_languages(reports: dict[str, Report]) -> None:
    for report in reports.values():
        for section in report.sections:
            texts = [section.title, *section.paragraphs]
            texts += [text for part in section.parts for text in (part.title, part.reading)]
            for text in texts:
                assert text.en
                assert text.zh
                assert re.search("[\u4e00-\u9fff]", text.zh) or text.en == text.zh


def test_names_of_causes_and_outcomes_have_words() -> None:
    books = (*SOURCES, *USES, *MEMBERS_SOURCES, *MEMBERS_USES)
    for name in (*LAPSE_CAUSES, *CLOSURE_CAUSES, *OUTCOMES, *books):
        assert name in TERMS, name


def test_what_a_scenario_is_called_is_no_html(runs: SimpleNamespace) -> None:
    title = "</script><b>bold & \u201cquoted\u201d</b>"
    page = html(
        contents.report(
            replace(runs.one, manifest=replace(runs.one.manifest, scenario_title=title))
        )
    )
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page


# What a browser and a spreadsheet make of text.

ODD = Text("<!--<script> \u2028 </script>", "<!--<script>")
TEXTS = ["=cmd|x", "'=1", "-2+3", "-5", "main", "a\rb", '@"q"']
GUARDED = ["'=cmd|x", "''=1", "'-2+3", "-5", "main", "a\rb", '\'@"q"']


def odd_report(reports: dict[str, Report]) -> Report:
    """Return a report of one figure and one table, with text that is HTML or a formula."""
    chart = replace(figure(reports["one"], "survival"), title=ODD)
    headings = (Heading("name", ODD, number=False), Heading("number", ODD))
    data: dict[str, list[Any]] = {"name": TEXTS, "number": [-5, -0.5, 1, 2, 3, 4, None]}
    table = Rows("odd", ODD, ODD, headings, data)
    return Report(ODD, (ODD,), (Section("odd", ODD, (ODD,), (chart, table)),))


def test_text_of_any_kind_leaves_a_page_whole(
    reports: dict[str, Report], chromium: Any, tmp_path: Path
) -> None:
    page = html(odd_report(reports))
    for data in re.findall(r'<script type="application/json" id="\w+">(.*?)</script>', page, re.S):
        assert "<" not in data
        json.loads(data)
    (tmp_path / REPORT_NAME).write_text(page)
    window = Window(chromium.new_page())
    window.page.on("pageerror", lambda error: window.complaints.append(str(error)))
    window.page.goto((tmp_path / REPORT_NAME).as_uri())
    window.drawn("en")
    assert window.page.locator("#figure-survival svg .mark-area path, svg .mark-line path").count()
    assert window.page.locator("h1").inner_text() == ODD.en
    rows = csv.reader(io.StringIO(window.saved("odd", "csv").decode("utf-8-sig"), newline=""))
    assert [*rows] == [
        ["name", "number"],
        *map(list, zip(GUARDED, ["-5", "-0.5", "1", "2", "3", "4", ""], strict=True)),
    ]
    assert window.complaints == []
    window.page.close()


def test_a_figures_file_has_no_formulas(reports: dict[str, Report]) -> None:
    names = pa.array(TEXTS).dictionary_encode()
    data = pa.table({"=a": TEXTS, "name": names, "x": [-5, -0.5, 1, 2, 3, 4, None]})
    text = replace(figure(reports["one"], "survival"), data=data).csv()
    heading, *rows = csv.reader(io.StringIO(text, newline=""))
    assert heading == ["'=a", "name", "x"]
    assert [row[0] for row in rows] == [row[1] for row in rows] == GUARDED
    assert [row[2] for row in rows] == ["-5", "-0.5", "1", "2", "3", "4", ""]


# Files.


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(program, ["report", *map(str, arguments)], catch_exceptions=False)


def test_the_command_writes_the_page_and_every_figure(
    runs: SimpleNamespace, reports: dict[str, Report], tmp_path: Path
) -> None:
    done = ask(runs.grid.folder, "--figures", tmp_path / "figures", "--language", "zh")
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == str(runs.grid.folder / REPORT_NAME)
    page = (runs.grid.folder / REPORT_NAME).read_text()
    assert '<html lang="zh" data-language="zh">' in page
    for one in reports["grid"].figures:
        svg, png, data = (tmp_path / "figures" / f"{one.name}.{e}" for e in ("svg", "png", "csv"))
        assert one.title.zh in svg.read_text()
        assert png.read_bytes().startswith(b"\x89PNG")
        rows = list(csv.DictReader(io.StringIO(data.read_text())))
        assert len(rows) == one.data.num_rows > 0
        assert [*rows[0]] == one.data.column_names


def test_a_report_is_made_again_byte_for_byte(runs: SimpleNamespace, tmp_path: Path) -> None:
    pages = []
    for name in ("first.html", "second.html"):
        assert ask(runs.swept.folder, "--output", tmp_path / name).exit_code == 0
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]


def test_a_run_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        ask(tmp_path / "nothing")


# The page.


@dataclass
class Window:
    """A page, all that it asked for, and all that it complained of."""

    page: Any
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def drawn(self, language: str) -> None:
        """Return when all is drawn in a language."""
        self.page.wait_for_function(
            f"document.documentElement.dataset.drawn === '{language}'", timeout=PATIENCE_MS
        )

    def chart(self, name: str) -> str:
        """Return a chart as it stands."""
        return str(self.page.locator(f"#figure-{name} .chart svg").first.inner_html())

    def changed(self, name: str, before: str) -> None:
        """Return when a chart is another."""
        self.page.wait_for_function(
            "([name, before]) => document.querySelector(`#figure-${name} .chart svg`)"
            ".innerHTML !== before",
            arg=[name, before],
            timeout=PATIENCE_MS,
        )

    def column(self, number: int) -> list[str]:
        """Return a column of the table of outcomes as it is shown."""
        cells = self.page.locator(f"#figure-outcomes td:nth-child({number})")
        return [str(text).split(" ±")[0] for text in cells.all_inner_texts()]

    def saved(self, name: str, ending: str) -> bytes:
        """Return the file that a button of a figure gives."""
        with self.page.expect_download() as download:
            self.page.locator(f"#figure-{name} button[data-as={ending}]").click()
        assert download.value.suggested_filename == f"{name}.{ending}"
        return Path(download.value.path()).read_bytes()


@pytest.fixture(scope="module", params=["grid", "swept"])
def opened(
    request: pytest.FixtureRequest,
    chromium: Any,
    reports: dict[str, Report],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Window]:
    """Open a report from a file, by a reader without a network."""
    file = tmp_path_factory.mktemp("pages") / REPORT_NAME
    file.write_text(html(reports[request.param]))
    context = chromium.new_context(offline=True, viewport={"width": 1000, "height": 900})
    window = Window(context.new_page())
    window.page.on("request", lambda sent: window.asked.append(sent.url))
    window.page.on("pageerror", lambda error: window.complaints.append(str(error)))
    window.page.on("console", lambda told: window.complaints.append(told.text))
    window.page.goto(file.as_uri())
    window.drawn("en")
    yield window
    context.close()


@pytest.fixture
def window(opened: Window) -> Iterator[Window]:
    """Return the page in English; whatever a test does, it must not complain or ask anybody."""
    yield opened
    if opened.page.locator("html").get_attribute("data-language") == "zh":
        opened.page.click("#language")
        opened.drawn("en")
    assert opened.complaints == []
    assert [url for url in opened.asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_every_figure_is_drawn(window: Window) -> None:
    figures = window.page.locator("figure:has(.chart)")
    assert figures.count() >= len(OF_EVERY_RUN)
    for one in figures.all():
        name = one.get_attribute("data-name")
        marks = one.locator("svg .mark-area path, svg .mark-rect path, svg .mark-symbol path")
        assert marks.count() > 0, name


def test_the_language_is_changed_in_text_and_charts(window: Window) -> None:
    before = window.chart("survival")
    assert window.page.locator("h2").nth(1).inner_text() == "What came out"
    window.page.click("#language")
    window.drawn("zh")
    assert window.page.locator("h2").nth(1).inner_text() == "结果一览"
    assert "路径占比" in window.chart("survival") != before


def test_dark_and_light_differ_and_print_is_light(window: Window) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    window.page.emulate_media(color_scheme="light")
    assert window.page.evaluate(colour) == "rgb(255, 255, 255)"
    window.page.emulate_media(color_scheme="dark")
    assert window.page.evaluate(colour) == "rgb(22, 24, 28)"
    window.page.emulate_media(media="print", color_scheme="dark")
    assert window.page.evaluate(colour) == "rgb(255, 255, 255)"
    assert not window.page.locator("#theme").is_visible()
    window.page.emulate_media(media="screen", color_scheme="light")


def test_the_table_is_sorted_by_a_click(window: Window) -> None:
    headings = window.page.locator("#figure-outcomes th").all_inner_texts()
    number = 1 + next(i for i, text in enumerate(headings) if text.startswith("share a year"))
    for descending in (True, False):
        window.page.locator(f"#figure-outcomes th:nth-child({number})").click()
        found = [float(text.replace(",", "")) for text in window.column(number)]
        assert found == sorted(found, reverse=descending)
    assert len({*found}) > 1


def test_another_setting_is_chosen(window: Window) -> None:
    before = window.chart("subsidy")
    window.page.locator("#figure-subsidy select").select_option(index=1)
    window.changed("subsidy", before)


def test_another_axis_and_outcome_are_chosen(window: Window) -> None:
    for number in range(3):
        before = window.chart("plane")
        window.page.locator("#figure-plane select").nth(number).select_option(index=1)
        window.changed("plane", before)


def test_years_are_chosen_by_dragging(window: Window) -> None:
    before = window.chart("over_time")
    window.page.locator("#figure-over_time svg").scroll_into_view_if_needed()
    box = window.page.locator("#figure-over_time svg").bounding_box()
    height = box["y"] + box["height"] - 60
    window.page.mouse.move(box["x"] + 200, height)
    window.page.mouse.down()
    window.page.mouse.move(box["x"] + 400, height, steps=4)
    window.page.mouse.up()
    window.changed("over_time", before)


def test_a_figure_is_saved_in_every_form(window: Window, opened: Window) -> None:
    assert window.saved("survival", "svg").startswith(b"<svg")
    assert window.saved("survival", "png").startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO(window.saved("survival", "csv").decode("utf-8-sig"))))
    embedded = json.loads(window.page.locator("#figures").text_content())["survival"]["data"]
    assert [*rows[0]] == [*embedded]
    assert [float(row["part"]) for row in rows] == embedded["part"]
