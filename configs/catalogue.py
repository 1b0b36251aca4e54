"""The scenarios and questions that come with the program, and where each stands.

A file in this folder that describes a system is a scenario; one that sweeps over its rules is a
question. Each is known by the stem of its file.
"""

import os
from pathlib import Path
from typing import Literal, NamedTuple

from configs.load import load
from configs.sweep import columns, point_count

FOLDER = Path(__file__).parent


class Entry(NamedTuple):
    """One configuration that comes with the program.

    Attributes
    ----------
    name : str
        Stem of its file: `huzhu run NAME` runs it.
    kind : {"scenario", "question"}
        One pool or market as it is, or a sweep over its rules.
    system : str
        The real system, with its own name.
    title : str
        What it is or asks, in a line.
    points, paths : int
        Size of its sweep: settings, and paths of each.
    """

    name: str
    kind: Literal["scenario", "question"]
    system: str
    title: str
    points: int
    paths: int


def entries() -> tuple[Entry, ...]:
    """Return what comes with the program: scenarios, then questions, each by name.

    Raises
    ------
    ConfigError
        A file cannot be used.
    """
    every = [_entry(file) for file in sorted(FOLDER.glob("*.yaml"))]
    return tuple(sorted(every, key=lambda entry: (entry.kind != "scenario", entry.name)))


def locate(name: str) -> Path:
    """Return the file of a configuration: the one named, or else the one that comes with it.

    Parameters
    ----------
    name : str
        A file, or the name of an entry. What is neither is returned as it is, for `load` to say
        that there is no such file.
    """
    shipped = FOLDER / f"{name}.yaml"
    # unlike Path's, these functions take names of any length
    found = not os.path.exists(name) and os.path.isfile(shipped)
    return shipped if found else Path(name)


def _entry(file: Path) -> Entry:
    config = load(file)
    kind: Literal["scenario", "question"] = "question" if columns(config) else "scenario"
    scenario = config.scenario
    points = point_count(config)
    return Entry(file.stem, kind, scenario.system, scenario.title, points, config.sweep.paths)
