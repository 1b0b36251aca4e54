"""What if: one point with other settings, simulated here and now, on the draws of the run.

The paths are those that the run would have: the same seed, the same numbers, hence the same
weather. So an answer of a few paths is compared with the run path by path, and the settings of a
computed point give that point's rows, bit for bit.
"""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyarrow as pa

from configs.load import Config, ConfigError, dump, load
from configs.scenario import Scenario
from configs.sweep import Sweep, seed_at, settings_at
from flows import rows, simulation
from results.analysis.courses import Course
from results.places import Folder, place
from results.run import open_run
from results.schema import arrow_schema
from results.store import CONFIG_NAME, MANIFEST_NAME

TABLES: Final = {
    "paths": rows.path_table,
    "pools": rows.pool_table,
    "periods": rows.period_table,
    "cells": rows.cell_table,
}
"""What is made of the paths of a point."""

SECONDS: Final = 0.45
"""What the paths of an answer take: a second, less what is made of them."""

FEWEST_PATHS: Final = 2
"""Of one path there is no error."""

PROBES: Final = (1, 4, 4)
"""Paths that are simulated, one after the other, to learn what one takes; the first loads what is
loaded once."""


@dataclass(frozen=True)
class Origin:
    """The point that is changed.

    Attributes
    ----------
    config : Config
        The sweep as resolved.
    file : str
        The configuration in a file, that messages name.
    point : int
        Number of the point.
    """

    config: Config
    file: str
    point: int

    @property
    def seed(self) -> int:
        """Seed of the point's paths."""
        return seed_at(self.config, self.point)


@dataclass(frozen=True)
class Simulated:
    """A point that was simulated here.

    Attributes
    ----------
    scenario : Scenario
        What was simulated.
    seed : int
        Seed of its paths.
    tables : mapping of str to pyarrow.Table
        Rows of `paths`, `pools`, `periods` and `cells`, as a run has them.
    seconds : float
        What the paths and their rows took.
    """

    scenario: Scenario
    seed: int
    tables: Mapping[str, pa.Table]
    seconds: float

    def course(self) -> Course:
        """Return what its paths did."""
        found = {name: self.tables[name] for name in TABLES}
        scenario = self.scenario
        return Course(
            **found,
            plans=tuple(scenario.plans),
            horizon=scenario.periods,
            periods_per_year=scenario.periods_per_year,
        )


def simulate_point(
    source: Folder | str,
    overrides: Sequence[str] = (),
    paths: int | range = 1,
    *,
    point: int = 0,
) -> Simulated:
    """Simulate paths of one point with other settings, in this process.

    Parameters
    ----------
    source : path or URL
        A run folder, or a configuration file.
    overrides : sequence of str
        `dotted.field=value` each, a field of the scenario, over the settings of the point.
    paths : int or range
        How many, from path 0 on; or which, in steps of 1.
    point : int
        Number of the point that is changed.

    Raises
    ------
    ConfigError
        The settings do not make a scenario; the message is that of the command line.
    RunError
        The run does not open.
    PathError
        A path could not be simulated.
    IndexError
        There is no such point.
    """
    with origin(source, point) as start:
        scenario = scenario_of(start, overrides)
    started = time.perf_counter()
    wanted = paths if isinstance(paths, range) else range(paths)
    block = simulation.simulate(scenario, start.seed, point, wanted, members_sample=0.0)
    tables = {name: rows_of(block).cast(arrow_schema(name)) for name, rows_of in TABLES.items()}
    seconds = time.perf_counter() - started
    return Simulated(scenario, start.seed, tables, seconds)


@contextmanager
def origin(source: Folder | str, point: int) -> Iterator[Origin]:
    """Give the point that is changed; its file is there for the time of the block.

    Raises
    ------
    ConfigError
        The configuration cannot be used.
    RunError
        The run does not open.
    """
    folder = place(source)
    if not (folder / MANIFEST_NAME).is_file():
        yield Origin(load(str(source)), str(source), point)
        return
    config = Config.model_validate(open_run(folder).manifest.config)
    if isinstance(folder, Path) and (folder / CONFIG_NAME).is_file():
        yield Origin(config, str(folder / CONFIG_NAME), point)
        return
    with tempfile.TemporaryDirectory() as own:  # messages and `load` are of files
        file = Path(own) / CONFIG_NAME
        file.write_text(dump(config), encoding="utf-8")
        yield Origin(config, str(file), point)


def scenario_of(start: Origin, overrides: Sequence[str]) -> Scenario:
    """Return the scenario of a point with fields set, checked as a command line is.

    Raises
    ------
    ConfigError
        A setting is none of a scenario's fields, or they do not make a scenario.
    """
    for override in overrides:
        _check_field(override)
    own = [f"{path}={json.dumps(v)}" for path, v in settings_at(start.config, start.point).items()]
    # Without the axes, of which the point's values are set already.
    design = Sweep(paths=start.config.sweep.paths, seed=start.config.sweep.seed)
    return load(start.file, [*own, *overrides], design).scenario


def _check_field(override: str) -> None:
    """Raise ConfigError for a setting of the sweep, or of the file."""
    path = override.partition("=")[0].strip()
    if path.split(".")[0] == "sweep":
        raise ConfigError(
            f"--set: {path}: expected a field of the scenario, got one of the sweep; seed and "
            "paths are those of the run"
        )


def paths_within(seconds_a_path: float, most: int, seconds: float = SECONDS) -> int:
    """Return how many paths fit into some seconds: at least two where there are, at most `most`."""
    fit = int(seconds / seconds_a_path) if seconds_a_path > 0 else most
    return max(min(FEWEST_PATHS, most), min(fit, most))


def seconds_a_path(source: Folder | str, point: int, overrides: Sequence[str] = ()) -> float:
    """Return what a path of a point takes here: the least of a few, as others may be busy.

    Raises
    ------
    ConfigError, RunError, PathError, IndexError
        As `simulate_point`.
    """
    found: list[float] = []
    for paths in PROBES:
        if found and min(found) * paths > SECONDS:
            break
        taken = simulate_point(source, overrides, paths, point=point).seconds
        found.append(taken / paths)
    return min(found)


def joined(parts: Sequence[Course]) -> Course:
    """Return successive paths of one point, simulated in parts, as one course."""
    found = {name: pa.concat_tables([getattr(part, name) for part in parts]) for name in TABLES}
    return replace(parts[0], **found)
