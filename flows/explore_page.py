"""The page of `huzhu explore`: one `Page` for each window that is opened.

On the left what is chosen, on the right what came out of it. A choice leads to a computed point; a
what-if starts at that point, and its answer is laid over it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any, Final

import panel as pn

from configs.dotted import choices, place_of
from configs.load import Config, ConfigError, digest
from configs.scenario import Scenario
from configs.sweep import settings_at
from flows import explore_text as text
from flows import whatif
from flows.explore_charts import CAUSE_COLOURS, CauseChart, FanChart, LapseChart, SurvivalChart
from flows.explore_kernels import Kernels
from flows.explore_template import TEMPLATE
from flows.explore_text import DARK, LIGHT, SERIES, Look, Told
from flows.simulation import PathError
from results.analysis import courses
from results.analysis.courses import Course, Estimate, Values
from results.analysis.outcomes import SHOWN
from results.analysis.settings import Axis, Settings, Value, settings
from results.atomic import StoreError
from results.brief import in_brief, told_apart, told_columns
from results.places import Folder
from results.run import Run, RunError, open_run
from results.schema import QUANTITIES
from results.table import short_names, value_text

MOST_STEPS: Final = 60
"""Values of an axis that a slider has a step for each; of more, it goes through their range."""

AS_IS: Final = "as in the scenario"
POINTS_KEPT: Final = 16
LOOK_EVERY_MS: Final = 200
WRONG: Final = (ConfigError, PathError, RunError, StoreError)


@dataclass(frozen=True)
class Explored:
    """A run as it was when a page was opened.

    Attributes
    ----------
    run : Run
        The run.
    config : Config
        Its sweep.
    settings : Settings
        What its points are known by.
    finished : mapping of int to int
        Paths that are finished of each point that has any.
    """

    run: Run
    config: Config
    settings: Settings
    finished: Mapping[int, int]

    @property
    def label(self) -> Mapping[str, str]:
        """The axes by the shortest names that tell them apart."""
        return short_names(axis.name for axis in self.settings.axes)

    @property
    def sweep(self) -> Mapping[str, Any]:
        """The section `sweep` of the configuration, as the manifest has it."""
        found: Mapping[str, Any] = self.run.manifest.config.get("sweep", {})
        return found

    @property
    def is_of_this_program(self) -> bool:
        """Whether this program gives the numbers of the run, by what its folder says."""
        return digest(self.config, self.run.manifest.seed) == self.run.manifest.digest

    @property
    def follow_from_names(self) -> frozenset[str]:
        """The axes that are none of their own: fields that a policy, a world or a draw sets."""
        sweep = self.config.sweep
        named = [*sweep.policies.values(), *sweep.worlds.values()]
        drawn = sweep.draws.fields if sweep.draws else ()
        fields = (path for fields in named for path in fields)
        return frozenset([*fields, *drawn]) - sweep.axes.keys()


def explored(folder: Folder | str) -> Explored:
    """Open a run to be explored.

    Raises
    ------
    RunError
        The run does not open, or a file is damaged.
    """
    run = open_run(folder)
    config = Config.model_validate(run.manifest.config)
    return Explored(run, config, settings(run), courses.finished_paths(run))


@dataclass(frozen=True)
class Shown:
    """What is drawn of one point, or of a what-if.

    Attributes
    ----------
    title : str
        What it is, in a few words.
    course : Course
        What its paths did.
    outcomes : mapping of str to Values
        What they came to.
    """

    title: str
    course: Course
    outcomes: Mapping[str, Values]


def shown(title: str, course: Course) -> Shown:
    """Return what is drawn of a course."""
    return Shown(title, course, courses.outcomes(course, SHOWN))


class Chooser:
    """Sliders and selectors that lead to a computed point."""

    def __init__(self, of: Explored, chosen: Callable[[], None]) -> None:
        self.of, self._chosen = of, chosen
        self._following = False
        self.sliders = {
            axis.name: _slider(axis, of.label[axis.name])
            for axis in of.settings.axes
            if axis.name not in of.follow_from_names
        }
        for slider in self.sliders.values():
            moved = "value_throttled" if "value_throttled" in slider.param else "value"
            slider.param.watch(self._on_slider, moved)
        self.number = pn.widgets.IntInput(
            label=f"point, 0 to {of.settings.points.size - 1}",
            start=0,
            end=int(of.settings.points.size) - 1,
            sizing_mode="stretch_width",
        )
        self.number.param.watch(self._on_number, "value")
        self.point = min(of.finished, default=0)
        self._follow()

    @property
    def wanted(self) -> dict[str, Value]:
        """What the sliders stand at."""
        return {name: slider.value for name, slider in self.sliders.items()}

    @property
    def column(self) -> list[Any]:
        """The widgets from top to bottom; of a single point there are none."""
        several = self.of.settings.points.size > 1
        return [*self.sliders.values(), self.number] if several else []

    def _on_slider(self, _event: Any) -> None:
        if self._following or not self.of.finished:
            return
        self.point = self.of.settings.nearest(self.wanted, list(self.of.finished))
        self._following = True
        self.number.value = self.point
        self._following = False
        self._chosen()

    def _on_number(self, event: Any) -> None:
        if self._following or event.new is None:
            return
        if event.new in self.of.finished:
            self.point = event.new
        self._follow()
        self._chosen()

    def _follow(self) -> None:
        """Set the widgets to the point."""
        self._following = True
        self.number.value = self.point
        values = self.of.settings.at(self.point)
        for name, slider in self.sliders.items():
            _set(slider, values[name])
        self._following = False

    def about(self) -> str:
        """Return which point is shown, as HTML; its values where they are not those asked for."""
        if not self.of.finished:
            return (
                '<div class="about">No path is finished yet; reload the page to look again.</div>'
            )
        points, paths = self.of.settings.points.size, self.of.finished[self.point]
        values = self.of.settings.at(self.point)
        exact = all(values[name] == value for name, value in self.wanted.items())
        told = [f"<b>Point {self.point}</b> of {points:,}, {paths:,} paths"]
        told += [] if exact else ["the nearest to these settings that is computed:"]
        shown = told_columns({name: [value] for name, value in values.items()}, self.of.sweep)
        told += [
            f"{escape(self.of.label[name])} = <b>{escape(value_text(in_brief(value)))}</b>"
            for name, (value,) in shown.items()
            if value is not None and (name not in self.sliders or not exact)
        ]
        return f'<div class="about">{"<br>".join(told)}</div>'


def _slider(axis: Axis, name: str) -> Any:
    """Return what an axis is chosen by."""
    label = f"{name}, {axis.unit}" if axis.unit not in ("1", "of the field") else name
    wide = {"label": label, "sizing_mode": "stretch_width"}
    words = map(value_text, told_apart(axis.values))
    options = {AS_IS if v is None else word: v for v, word in zip(axis.values, words, strict=True)}
    if not axis.is_number or not axis.given:
        return pn.widgets.Select(options=options, **wide)
    if len(axis.values) <= MOST_STEPS and len(options) == len(axis.values):
        return pn.widgets.DiscreteSlider(options=options, **wide)
    low, high = axis.given[0], axis.given[-1]
    if isinstance(low, int):
        return pn.widgets.IntSlider(start=low, end=high, **wide)
    step = (float(high or 0) - float(low or 0)) / 200
    return pn.widgets.FloatSlider(start=low, end=high, step=step, format="0.[0000]", **wide)


def _set(slider: Any, value: Value) -> None:
    """Set a slider, one of a range left as it is where the point has no value."""
    if value is not None or not hasattr(slider, "start"):
        slider.value = value


class Form:
    """The inputs of a what-if: the swept fields, any other field, and how many paths."""

    def __init__(self, of: Explored) -> None:
        self.of = of
        self.fields = {
            axis.name: field
            for axis in of.settings.axes
            if (field := _field(axis, of.label[axis.name])) is not None
        }
        self.more = pn.widgets.TextAreaInput(
            label="other fields, one a line",
            placeholder="dotted.field = value",
            rows=2,
            auto_grow=True,
            sizing_mode="stretch_width",
        )
        self.paths = pn.widgets.IntInput(label="paths", start=1, width=110)
        self.paths.end = of.config.sweep.paths
        self.run = pn.widgets.Button(
            label="Run", color="primary", disabled=True, sizing_mode="stretch_width"
        )
        self.state = pn.pane.HTML(sizing_mode="stretch_width")
        self.own: Mapping[str, Any] = {}

    def follow(self, point: int) -> None:
        """Set the inputs to what a point has."""
        given = settings_at(self.of.config, point)
        self.own = {name: given.get(name) for name in self.fields}
        for name, field in self.fields.items():
            field.value = self.own[name]

    def overrides(self) -> list[str]:
        """Return what was changed, as the command line's `--set` takes it."""
        changed = [
            f"{name}={json.dumps(field.value, ensure_ascii=False)}"
            for name, field in self.fields.items()
            if field.value is not None and field.value != self.own.get(name)
        ]
        lines = (self.more.value or "").splitlines()
        return [*changed, *(line.strip() for line in lines if line.strip())]

    def say(self, words: str, wrong: bool = False) -> None:
        """Tell the state of things."""
        kind = "wrong" if wrong else "state"
        self.state.object = f'<div class="{kind}">{escape(words)}</div>'


def _field(axis: Axis, name: str) -> Any:
    """Return the input of a swept field; None for one that is no number, word or choice."""
    place = place_of(Scenario, axis.name.split("."))
    if place is None:
        return None
    wide = {"label": name, "sizing_mode": "stretch_width"}
    if place.kind is float:
        return pn.widgets.FloatInput(value=None, format="0.[000000]", placeholder=AS_IS, **wide)
    if place.kind is int:
        return pn.widgets.IntInput(value=None, placeholder=AS_IS, **wide)
    words = (True, False) if place.kind is bool else choices(place.kind)
    if not words and place.kind is str:
        words = axis.given
    if not words:
        return None
    return pn.widgets.Select(options={AS_IS: None, **{value_text(w): w for w in words}}, **wide)


class Board:
    """Cards, charts and table."""

    def __init__(self, of: Explored, look: Look) -> None:
        self.look = look
        plans = list(of.run.shapes.plans)
        self.plan = pn.widgets.Select(
            label="plan, in the charts", options=plans, value=plans[0], sizing_mode="stretch_width"
        )
        names = [one.name for one in QUANTITIES if one.name not in ("share", "members")]
        self.quantity = pn.widgets.Select(
            options={text.words(name): name for name in names}, value="cases", width=150, margin=0
        )
        self.fans = {name: FanChart(look) for name in ("share", "members", "third")}
        self.survival, self.lapses, self.causes = (
            SurvivalChart(look),
            LapseChart(look),
            CauseChart(look),
        )
        sheet = [text.styles(look)]
        self.texts = {
            name: pn.pane.HTML(sizing_mode="stretch_width", stylesheets=sheet, margin=0)
            for name in ("legend", "cards", "table", "cause_legend")
        }

    def show(self, series: Mapping[str, Shown]) -> None:
        """Draw what there is of each series, and write its figures."""
        told = {
            name: _told(name, series) for name in ("point", "what_if", "pinned") if name in series
        }
        self.texts["legend"].object = text.legend(told)
        self.texts["cards"].object = text.cards(told)
        self.texts["table"].object = text.table(told)
        plans = list(dict.fromkeys(plan for one in series.values() for plan in one.course.plans))
        if plans and plans != self.plan.options:
            value = self.plan.value if self.plan.value in plans else plans[0]
            self.plan.param.update(options=plans, value=value)
        self.draw(series)

    def draw(self, series: Mapping[str, Shown]) -> None:
        """Draw what there is of each series, of the plan and the quantity chosen."""
        plan = self.plan.value
        quantities = {"share": "share", "members": "members", "third": self.quantity.value}
        drawn = {name: one.course for name, one in series.items() if plan in one.course.plans}
        for name in SERIES:
            course = drawn.get(name)
            year = course.periods_per_year if course else 1
            for chart, quantity in quantities.items():
                fan = courses.fan(course, quantity, plan) if course else None
                self.fans[chart].show(name, fan, year)
            self.survival.show(name, courses.survival(course, plan) if course else None, year)
        self._draw_lapses({name: (course, plan) for name, course in drawn.items()})

    def _draw_lapses(self, series: Mapping[str, tuple[Course, str]]) -> None:
        """Draw who left and why."""
        left = {name: courses.lapses(course, plan) for name, (course, plan) in series.items()}
        totals = {
            name: {cause: float(members.sum()) for cause, members in causes.items()}
            for name, causes in left.items()
        }
        first = "point" if "point" in series else "what_if"
        causes: Mapping[str, Any] = left.get(first, {})
        self.lapses.show(causes, series[first][0].periods_per_year if first in series else 1)
        self.texts["cause_legend"].object = text.causes(list(causes), CAUSE_COLOURS)
        self.causes.show(totals)


def _told(name: str, series: Mapping[str, Shown]) -> Told:
    """Return what is told of one series beside the others."""
    one, point = series[name], series.get("point")
    differences: Mapping[str, Estimate] = {}
    if point is not None and name == "what_if":
        differences = courses.differences(one.outcomes, point.outcomes)
    elif point is not None and name == "pinned":
        differences = courses.differences(point.outcomes, one.outcomes)
    heading = "what if" if name == "what_if" else one.title
    return Told(one.title, heading, courses.estimates(one.outcomes), differences)


class Page:
    """One window on a run."""

    def __init__(self, of: Explored, kernels: Kernels, look: Look) -> None:
        self.of, self.kernels, self.look = of, kernels, look
        self.series: dict[str, Shown] = {}
        self._kept: dict[int, Shown] = {}
        self.chooser = Chooser(of, self._show_point)
        self.form, self.board = Form(of), Board(of, look)
        self.about = pn.pane.HTML(
            sizing_mode="stretch_width",
            stylesheets=[text.styles(look)],
            css_classes=["about-point"],
        )
        self.form.state.stylesheets = [text.styles(look)]
        self.pin = pn.widgets.Button(label="Pin this point", sizing_mode="stretch_width")
        self.pin.on_click(self._pin)
        self.form.run.on_click(self._answer)
        self.board.plan.param.watch(lambda _: self.board.draw(self.series), "value")
        self.board.quantity.param.watch(lambda _: self.board.draw(self.series), "value")
        self._show_point()
        self._look_for_kernels()

    @property
    def point(self) -> int:
        """The point that is shown."""
        return self.chooser.point

    def _show_point(self) -> None:
        """Show the chosen point; an answer was to another one."""
        self.series.pop("what_if", None)
        if self.of.finished:
            try:
                self.series["point"] = self._shown(self.point)
            except RunError as error:
                self.about.object = f'<div class="wrong">{escape(str(error))}</div>'
                return
        self.form.follow(self.point)
        self.about.object = self.chooser.about()
        self.board.show(self.series)

    def _shown(self, point: int) -> Shown:
        """Return a computed point; the run is opened anew where its files were put together."""
        if point not in self._kept:
            if len(self._kept) >= POINTS_KEPT:
                self._kept.clear()
            try:
                course = courses.course(self.of.run, point)
            except RunError:
                course = courses.course(open_run(self.of.run.folder), point)
            self._kept[point] = shown(f"point {point}", course)
        return self._kept[point]

    def _pin(self, _event: Any) -> None:
        """Keep the point that is shown, to compare others with it; or let it go."""
        if "pinned" in self.series:
            del self.series["pinned"]
            self.pin.label = "Pin this point"
        elif "point" in self.series:
            point = self.series["point"]
            self.series["pinned"] = Shown(f"pinned: {point.title}", point.course, point.outcomes)
            self.pin.label = f"Unpin {point.title}"
        self.board.show(self.series)

    def _look_for_kernels(self) -> None:
        """Say how far the kernels are; once they are there, a what-if can be run."""
        if self.kernels.is_loading:
            self.form.say("Loading the kernels; compiling them, the first time on a machine …")
            self._looking = pn.state.add_periodic_callback(self._look_again, LOOK_EVERY_MS)
            return
        if self.kernels.error:
            self.form.say(self.kernels.error, wrong=True)
            return
        self.form.run.disabled = False
        self.form.paths.value = min(self.kernels.paths, self.of.config.sweep.paths)
        took = (
            f", in about {max(seconds, 0.1):.1f} s"
            if (seconds := self.kernels.paths_seconds)
            else ""
        )
        ready = f"Kernels loaded; ready for {self.form.paths.value} paths{took}."
        other = " The run is another version's: part of a difference may be the program's."
        self.form.say(ready + (other if not self.of.is_of_this_program else ""))

    def _look_again(self) -> None:
        if not self.kernels.is_loading:
            self._looking.stop()
            self._look_for_kernels()

    async def _answer(self, _event: Any) -> None:
        """Run the what-if, and lay it over the point that it starts from."""
        pressed, point, overrides = time.perf_counter(), self.point, self.form.overrides()
        self.form.run.disabled = True
        try:
            course = await self._simulated(point, overrides, self.form.paths.value or 1)
            answer = await asyncio.to_thread(shown, _title(overrides, self.of.label), course)
        except WRONG as error:
            told = f"path {error.path}: {error.error}" if isinstance(error, PathError) else error
            self.form.say(str(told), wrong=True)
            return
        finally:
            self.form.run.disabled = False
        # Charts are changed under the lock of their document, which was let go while waiting.
        pn.state.execute(partial(self._lay_over, answer, point, pressed), schedule=True)

    def _lay_over(self, answer: Shown, point: int, pressed: float) -> None:
        """Draw an answer over the point that it starts from."""
        if point != self.point:
            self.form.say("Another point was chosen meanwhile.")
            return
        self.series["what_if"] = answer
        self.board.show(self.series)
        paths, took = answer.course.paths.num_rows, time.perf_counter() - pressed
        self.form.say(f"{paths:,} paths in {took:.2f} s, on the draws of the run.")

    async def _simulated(self, point: int, overrides: Sequence[str], paths: int) -> Course:
        """Simulate some paths at a time, so that the page tells how far it is, and can be left."""
        parts: list[Course] = []
        for first in range(0, paths, self.kernels.paths):
            self.form.say(f"Simulating: {first:,} of {paths:,} paths …")
            some = range(first, min(first + self.kernels.paths, paths))
            source = self.of.run.folder
            found = await asyncio.to_thread(
                whatif.simulate_point, source, overrides, some, point=point
            )
            parts.append(found.course())
        return whatif.joined(parts)

    def servable(self) -> Any:
        """Return the page as Panel serves it."""
        template = pn.Template(TEMPLATE)
        for name, value in _variables(self.of, self.look).items():
            template.add_variable(name, value)
        form, board = self.form, self.board
        wide = {"sizing_mode": "stretch_width", "margin": 0}
        plan = [board.plan] if len(board.plan.options) > 1 else []
        pin = [self.pin] if self.of.settings.points.size > 1 else []
        panels = {
            "choice": pn.Column(*self.chooser.column, self.about, *pin, *plan, **wide),
            "form": pn.Column(
                *form.fields.values(),
                form.more,
                pn.Row(form.paths, **wide),
                form.run,
                form.state,
                **wide,
            ),
            **board.texts,
            **{name: chart.figure for name, chart in board.fans.items()},
            "quantity": board.quantity,
            "survival": board.survival.figure,
            "lapses": board.lapses.figure,
            "causes": board.causes.figure,
        }
        for name, panel in panels.items():
            template.add_panel(name, panel)
        return template


def _title(overrides: Sequence[str], label: Mapping[str, str]) -> str:
    """Return what a what-if asks, in a few words."""
    named = [override.partition("=") for override in overrides]
    asked = ", ".join(
        f"{label.get(path.strip(), path.strip())} = {v.strip()}" for path, _, v in named
    )
    return f"what if {asked}" if asked else "what if nothing changes"


def _variables(of: Explored, look: Look) -> dict[str, Any]:
    """Return the words of the template."""
    manifest = of.run.manifest
    paths, points = sum(of.finished.values()), of.settings.points.size
    state = f"{points:,} point{'s' if points > 1 else ''}, {paths:,} paths"
    if manifest.status != "complete":
        state = (
            f"not finished: {len(of.finished):,} of {points:,} points have paths, {paths:,} so far"
        )
    return {
        "name": of.run.folder.name,
        "subject": manifest.scenario_title,
        "run_state": state,
        "unfinished": manifest.status != "complete",
        "look": look,
        "dark": look is DARK,
        "swept": bool(of.settings.axes),
        "page_colour": "#111418" if look is DARK else "#f6f7f9",
        "other": "light" if look is DARK else "dark",
    }


def look_of(theme: str) -> Look:
    """Return the colours of a theme: dark, or else light."""
    return DARK if theme == "dark" else LIGHT
