"""A small real sweep, a Prefect server for the session, and `huzhu` as a user types it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from flows import environment, server

environment.prepare()

ROOT = Path(__file__).parent.parent.parent
SMALL = """
name: small
scenario:
  title: A small pool
  periods: 12
  market_members: 1_000_000
  age_edges: [0, 20, 40, 60]
  plans:
    main:
      max_age: 59
      wait_periods: 4
      benefit: [{from_age: 0, benefit_yuan: 300_000}]
      advertised_share_yuan: 0.5
  channels:
    app:
      push: [{from_period: 0, value: 0.05}]
      ages: [{from_age: 0, to_age: 59, male: 0.5, female: 0.5}]
      motives: {trying: 0.5, staying: 0.5}
      health: {standard: 1}
  motives:
    trying: {education_speed: 0.2, lapse: {base: 0.01, bill_shock: 0.02}}
    staying: {education_speed: 0.05, lapse: {base: 0.002}}
  closure: {share_limit_yuan: 40, share_limit_periods: 1}
sweep:
  paths: 10
  seed: 7
  axes:
    plans.main.fee_rate: [0.0, 0.08]
    motives.*.education_speed: [0.05, 0.2]
"""

Huzhu = Callable[..., "subprocess.CompletedProcess[str]"]


def environment_of(home: Path, **more: str) -> Mapping[str, str]:
    """Return the environment of a command whose Prefect home is a folder of ours."""
    own = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(ROOT), own] if own else [str(ROOT)])  # an empty part is the folder
    return {**os.environ, "PYTHONPATH": path, "PREFECT_HOME": str(home), "COLUMNS": "200", **more}


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="session")
def prefect_server(prefect_home: Path) -> Iterator[server.Server]:
    """Run one Prefect server for the session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(prefect_home))
        started = server.start()
    try:
        started.wait(120)
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def huzhu(prefect_home: Path, prefect_server: server.Server) -> Huzhu:
    """Return a function that runs `huzhu`, with the session's server as the user's own."""

    def run(*arguments: object, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "flows.cli", *map(str, arguments)],
            env=environment_of(prefect_home, **{"PREFECT_API_URL": prefect_server.address, **more}),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a sweep of 4 points and 10 paths, some of which close."""
    file = tmp_path_factory.mktemp("configs") / "small.yaml"
    file.write_text(dedent(SMALL))
    return file


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start a browser: the program that HUZHU_BROWSER names, or chromium if there is one."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = os.environ.get("HUZHU_BROWSER") or shutil.which("chromium")
    if program is None:
        pytest.skip("no browser: neither HUZHU_BROWSER nor chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
