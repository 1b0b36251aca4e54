"""`huzhu explore`: a page in a real browser, that nothing outside this machine is asked for."""

import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows import explore, explore_text
from flows.explore_text import LIGHT, Told
from results.analysis.courses import Estimate
from results.run import Run, RunError
from tests.flows.conftest import ROOT
from tests.flows.in_process import computed

FEE = "plans.main.fee_rate"
PATIENCE_MS = 15_000
SECONDS_TO_START = 30.0
SECONDS_TO_END = 10.0


@pytest.fixture(scope="module")
def runs(small: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Return a finished run of four points and one of which two are finished."""
    folder = tmp_path_factory.mktemp("runs")
    part = computed(small, folder / "part", finished=False)
    return SimpleNamespace(whole=computed(small, folder / "whole"), part=part)


# Words and figures.


@pytest.mark.parametrize(
    ("values", "unit", "error", "told"),
    [
        ([12_345_678.0, 21_000.0], "members", 21_000.0, ["12.346 M", "0.021 M"]),
        ([135_560.0, 440.0], "cases", 440.0, ["135.56 k", "0.44 k"]),
        ([1.5e9], "yuan", 1e8, ["1.50 bn"]),
        ([9_999.0], "members", 120.0, ["9,999"]),
        ([0.91, 0.0288], "part of the paths", 0.0288, ["91.0 %", "2.9 %"]),
        ([5.34], "yuan", 0.0, ["5.340"]),
        ([math.nan], "yuan", math.nan, ["–"]),
        ([-4.12], "yuan", 0.2, ["−4.12"]),
        ([3e-17, -1e-18], "part of all paid", 1e-18, ["0 %", "0 %"]),
    ],
)
def test_figures_are_told_with_two_digits_of_their_error(
    values: list[float], unit: str, error: float, told: list[str]
) -> None:
    assert explore_text.figures_text(values, unit, error) == told


def test_a_difference_has_its_sign() -> None:
    told = explore_text.figures_text([2.0, -1.0, 0.0], "yuan", 1.0, sign=True)
    assert told == ["+2.0", "−1.0", "0.0"]


@pytest.mark.parametrize(
    ("outcome", "low", "high", "verdict"),
    [
        ("share_max", 1.0, 2.0, "bad"),
        ("share_max", -2.0, -1.0, "good"),
        ("peak_members", 1.0, 2.0, "good"),
        ("peak_members", -1.0, 2.0, "same"),
        ("cases", 1.0, 2.0, "same"),
    ],
)
def test_a_difference_is_good_or_bad_where_its_interval_leaves_out_zero(
    outcome: str, low: float, high: float, verdict: str
) -> None:
    one = Estimate((low + high) / 2, 0.1, low, high, 9)
    cards = explore_text.table({"what_if": Told("what if", "what if", {}, {outcome: one})})
    assert re.findall(r'class="difference (\w+)"', cards) == [verdict]


def test_names_of_plans_and_settings_are_no_html() -> None:
    told = {"point": Told("<b>what if</b>", "<i>", {}, {})}
    page = explore_text.legend(told) + explore_text.table(told)
    assert "<b>what" not in page
    assert "&lt;b&gt;what if" in page


# The page without a browser.


def test_a_page_of_an_unfinished_run_says_so_and_shows_what_is_there(
    runs: SimpleNamespace,
) -> None:
    page = a_page(runs.part)
    assert sorted(page.of.finished) == [0, 1]
    page.chooser.sliders[FEE].value = 0.08
    page.chooser._on_slider(None)
    assert page.point in (0, 1)
    assert "nearest to these settings" in page.about.object
    assert explore_page()._variables(page.of, LIGHT)["unfinished"]


def test_a_page_of_a_run_without_a_path_waits_for_one(small: Path, tmp_path: Path) -> None:
    run = computed(small, tmp_path, finished=False)
    shutil.rmtree(str(run.folder / "shards"))
    page = a_page(run)
    assert "No path is finished yet" in page.about.object
    assert page.series == {}


def test_a_page_of_one_point_has_no_sliders(small: Path, tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    file.write_text(small.read_text().partition("  axes:")[0])
    page = a_page(computed(file, tmp_path, "sweep.paths=2"))
    assert page.chooser.column == []
    assert page.series["point"].course.paths.num_rows == 2


def test_what_a_policy_sets_is_shown_and_not_asked_for(small: Path, tmp_path: Path) -> None:
    sets = f"sweep.policies={{now: {{}}, dear: {{{FEE}: 0.2}}}}"
    run = computed(small, tmp_path, sets, "sweep.axes={}", "sweep.paths=2")
    page = a_page(run)
    assert list(page.chooser.sliders) == ["policy"]
    page.chooser.number.value = 1
    assert page.chooser.sliders["policy"].value == "dear"
    assert "fee_rate = <b>0.2</b>" in page.about.object


def test_a_what_if_sends_what_was_changed_and_nothing_else(runs: SimpleNamespace) -> None:
    form = a_page(runs.whole).form
    assert form.overrides() == []
    form.fields[FEE].value = 0.11
    form.more.value = " claims.level = 2 \n\n market_members=5_000 "
    assert form.overrides() == [f"{FEE}=0.11", "claims.level = 2", "market_members=5_000"]


def test_a_run_of_another_version_is_told(
    runs: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "another version" not in a_page(runs.whole).form.state.object
    monkeypatch.setattr("configs.load._version", lambda: "0.0.7")
    assert "The run is another version&#x27;s" in a_page(runs.whole).form.state.object


def test_kernels_are_loaded_behind_a_page_and_measured(runs: SimpleNamespace) -> None:
    found = loaded_kernels(runs.whole)
    assert (found.error, found.paths) == ("", 10)
    assert 0 < found.paths_seconds < 1


def test_kernels_that_cannot_be_used_are_told(
    runs: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise OSError("no room for the cache")

    monkeypatch.setattr("flows.explore_kernels.compile_kernels", fail)
    assert "no room for the cache" in loaded_kernels(runs.whole).error


def loaded_kernels(run: Run) -> Any:
    from flows.explore_kernels import Kernels

    kernels = Kernels(run.folder, explore_page().explored(run.folder).config, 0)
    ended = time.monotonic() + SECONDS_TO_START
    while kernels.is_loading and time.monotonic() < ended:
        time.sleep(0.01)
    assert not kernels.is_loading
    return kernels


def explore_page() -> Any:
    from flows import explore_page

    return explore_page


def a_page(run: Run) -> Any:
    """Return a page on a run as a window has it."""
    module = explore_page()
    kernels = SimpleNamespace(is_loading=False, error="", paths=5, paths_seconds=0.1)
    return module.Page(module.explored(run.folder), kernels, LIGHT)


# The server.


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        explore.serve(tmp_path, open_browser=False)


def test_a_port_that_is_taken_is_told(runs: SimpleNamespace) -> None:
    with socket.socket() as taken:
        taken.bind((explore.ADDRESS, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RunError, match=f"--port: expected a free port .* got {port}"):
            explore.serve(runs.whole.folder, port, open_browser=False)


@contextmanager
def served(run: Run) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Serve a run as a user does; its address and process."""
    code = f"from flows.explore import serve; serve({str(run.folder)!r}, open_browser=False)"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found, line or process.communicate(timeout=SECONDS_TO_START)[1]
        yield found[0], process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_order_when_it_is_stopped(runs: SimpleNamespace, number: signal.Signals) -> None:
    with served(runs.whole) as (_, process):
        process.send_signal(number)
        _, errors = process.communicate(timeout=SECONDS_TO_END)
        assert (process.returncode, errors) == (0, "")


# The page in a browser.


@dataclass
class Window:
    """A page in a browser, and all that it asked for and complained of."""

    page: Any
    address: str
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def card(self, outcome: str, series: str = "point") -> str:
        """Return the mean of an outcome as a card shows it."""
        return str(self.page.locator(f"[data-outcome={outcome}] .{series} b").inner_text())

    def wait_for_text(self, words: str) -> None:
        """Return when the page shows some words."""
        self.page.get_by_text(words).first.wait_for(timeout=PATIENCE_MS)

    def go_to(self, point: int) -> None:
        """Show a point by its number."""
        self.page.get_by_label("point, 0 to 3").fill(str(point))
        self.page.keyboard.press("Tab")
        self.wait_for_point(point)

    def wait_for_point(self, point: int) -> None:
        """Return when a point is shown, down to the table, which is written last."""
        words = re.compile(f"^point {point}$")
        shown = self.page.locator(".outcomes th.point", has_text=words)
        shown.wait_for(timeout=PATIENCE_MS)

    def press(self, button: str) -> None:
        """Press a button once it can be pressed."""
        self.page.get_by_role("button", name=button).click(timeout=PATIENCE_MS)

    def fill(self, name: str, value: str) -> None:
        """Fill an input of the what-if, and leave it."""
        self.page.get_by_label(name).last.fill(value)
        self.page.keyboard.press("Tab")


@pytest.fixture(scope="module")
def address(runs: SimpleNamespace) -> Iterator[str]:
    with served(runs.whole) as (address, _):
        yield address


@pytest.fixture(scope="module")
def opened(chromium: Any, address: str) -> Iterator[Window]:
    """Open the page as a user whose system is set to dark does."""
    page = chromium.new_page(color_scheme="dark")
    opened = Window(page, address)
    page.on("request", lambda request: opened.asked.append(request.url))
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.on(
        "console",
        lambda said: (
            opened.complaints.append(said.text) if said.type in ("error", "warning") else None
        ),
    )
    page.goto(address)
    page.locator("[data-outcome=cases] b").first.wait_for(timeout=PATIENCE_MS)
    opened.wait_for_text("Kernels loaded")
    yield opened
    page.close()


@pytest.fixture
def window(opened: Window) -> Window:
    """Return the page at point 0, without an answer."""
    for point in (1, 0):
        opened.go_to(point)
    return opened


def test_a_page_loads_without_complaint_and_asks_nobody_else(window: Window) -> None:
    assert window.complaints == []
    assert len(window.asked) > 5
    outside = [
        url
        for url in window.asked
        if not url.startswith((window.address, f"blob:{window.address}", "data:"))
    ]
    assert outside == []
    assert window.page.url.endswith("?theme=dark")
    assert window.page.locator("canvas").count() >= 6


def test_a_what_if_with_another_points_settings_gives_that_points_figures(
    window: Window,
) -> None:
    window.fill("fee_rate", "0.08")
    window.press("Run")
    window.page.locator("[data-outcome=cases] .difference").wait_for(timeout=PATIENCE_MS)
    outcomes = ("share_a_year", "members_end", "cases")
    answer = [window.card(outcome, "what_if") for outcome in outcomes]
    window.go_to(2)
    assert [window.card(outcome) for outcome in outcomes] == answer
    assert window.complaints == []


def test_a_wrong_setting_is_told_and_without_it_nothing_differs(window: Window) -> None:
    window.fill("other fields", "plans.main.fee_rte = 0.1")
    window.press("Run")
    window.wait_for_text("did you mean plans.main.fee_rate?")
    difference = window.page.locator("[data-outcome=share_a_year] .difference")
    assert difference.count() == 0
    window.fill("other fields", "")
    window.press("Run")
    difference.wait_for(timeout=PATIENCE_MS)
    assert difference.inner_text() == "the same on each path"


def test_a_slider_leads_to_another_point_beside_the_one_that_is_pinned(window: Window) -> None:
    before = window.card("share_a_year")
    window.press("Pin this point")
    window.page.locator("[data-outcome=cases] .pinned").wait_for(timeout=PATIENCE_MS)
    window.page.locator(".noUi-handle").first.focus()
    window.page.keyboard.press("ArrowRight")
    window.wait_for_point(2)
    assert window.page.get_by_label("point, 0 to 3").input_value() == "2"
    assert window.card("share_a_year", "pinned") == before
    assert window.card("share_a_year") != before
    window.press("Unpin point 0")
    window.page.locator("[data-outcome=cases] .pinned").wait_for(
        state="detached", timeout=PATIENCE_MS
    )
