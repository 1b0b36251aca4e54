"""A sweep: which points of a scenario are run, and with how many paths each.

A design turns the axes into points, numbered from 0. The grid takes every combination of the
axes' values; the last axis varies fastest, as in nested loops written in the file's order.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, JsonValue, ValidationError, create_model

from configs.age_sex_table import AgeSexTable
from configs.dotted import Location, PathError, expand, place_of, shown, with_value
from configs.messages import ConfigError, Problem, ProblemsError, problems_of, report, value
from configs.record import Record, model_field
from configs.scenario import Scenario

MAX_POINTS = 10_000_000
MAX_SEED = 2**64 - 1
MAX_PATHS = 2**31 - 1
MAX_NAME_LENGTH = 60  # a folder's name takes 255 bytes: 60 Chinese characters and a digest
# A point costs about 0.1 ms to check, so this many cost well under a second before a run.
MAX_CHECKED_POINTS = 1000
TABLE_FIELDS = frozenset(AgeSexTable.model_fields)

Values = Annotated[tuple[JsonValue, ...], Field(min_length=1)]
Axes = Mapping[str, tuple[JsonValue, ...]]
Scalar = bool | int | float | str | None


class Sweep(Record):
    """Which points are run, with how many paths each, from which seed."""

    paths: int = model_field(
        100, "paths of each point", unit="paths", section=9, ge=1, le=MAX_PATHS
    )
    seed: int = model_field(0, "seed of the random numbers", section=9, ge=0, le=MAX_SEED)
    members_sample: float = model_field(
        1.0,
        "part of the members, drawn at random, who get a row in the table `members` "
        "(engine `member`)",
        unit="share of members",
        section=12,
        ge=0,
        le=1,
    )
    design: Literal["grid"] = model_field(
        "grid", "how axes make points: every combination, the last axis fastest", section=12
    )
    axes: dict[str, Values] = model_field(
        dict,
        "values of each swept field, by its dotted path in the scenario (`*`: every name); "
        "no axes: one point",
        section=12,
    )


def _names_a_folder(name: str) -> str:
    if name.startswith(".") or name != name.strip() or not name.isprintable() or {*name} & {*"/\\"}:
        raise ValueError(f"expected a name that can be a folder's, without / and \\, got {name!r}")
    return name


class Config(Record):
    """Everything a run depends on: a scenario, and the points of it that are run."""

    name: Annotated[str, AfterValidator(_names_a_folder)] = model_field(
        ..., "name of the run's folder", section=12, min_length=1, max_length=MAX_NAME_LENGTH
    )
    scenario: Scenario = model_field(..., "the pool and its market", section=12)
    sweep: Sweep = model_field(Sweep, "the points that are run", section=12)


@dataclass(frozen=True)
class Point:
    """One point of a sweep: its number, the swept values by dotted path, and its scenario."""

    index: int
    values: dict[str, Scalar]
    scenario: Scenario


class Design(NamedTuple):
    """How axes make points: how many there are, and the values of each."""

    count: Callable[[Axes], int]
    combination: Callable[[Axes, int], tuple[JsonValue, ...]]


def _grid_count(axes: Axes) -> int:
    return math.prod(len(values) for values in axes.values())


def _grid_combination(axes: Axes, index: int) -> tuple[JsonValue, ...]:
    chosen = []
    for values in reversed(list(axes.values())):
        index, i = divmod(index, len(values))
        chosen.append(values[i])
    return tuple(reversed(chosen))


DESIGNS = {"grid": Design(_grid_count, _grid_combination)}


def point_count(config: Config) -> int:
    """Return how many points a sweep has; 1 when it has no axes."""
    return DESIGNS[config.sweep.design].count(config.sweep.axes)


def values_at(config: Config, index: int) -> dict[str, Scalar]:
    """Return the swept values of a point by dotted path, as the table `points` holds them.

    A table is given by its name, a list or a mapping as JSON text.
    """
    return {path: _label(v) for path, v in _combination(config, index).items()}


def engines(config: Config) -> tuple[str, ...]:
    """Return the engine of each value of the axis `engine`; without it, that of the scenario."""
    return tuple(map(str, config.sweep.axes.get("engine", (config.scenario.engine,))))


def engine_at(config: Config, index: int) -> str:
    """Return the engine of a point, without building its scenario."""
    return str(values_at(config, index).get("engine", config.scenario.engine))


def scenario_at(config: Config, index: int) -> Scenario:
    """Return the scenario of a point, without building any other.

    Parameters
    ----------
    config : Config
        A configuration.
    index : int
        Number of the point, 0 to point_count(config) - 1.

    Returns
    -------
    Scenario
        The configuration's own with the point's values.

    Raises
    ------
    ConfigError
        An axis names no field, or the point's values do not make a scenario.
    IndexError
        There is no such point.
    """
    try:
        return _scenario_with(config.scenario, _combination(config, index))
    except ProblemsError as error:
        problems = [_at_point(problem, config, index) for problem in error.problems]
        raise ConfigError(report(problems, lambda _: config.name)) from None


def point_at(config: Config, index: int) -> Point:
    """Return one point of a sweep, without building any other; raises as `scenario_at`."""
    return Point(index, values_at(config, index), scenario_at(config, index))


def points(config: Config) -> tuple[Point, ...]:
    """Return all points of a sweep in their order; raises as `scenario_at`."""
    return tuple(point_at(config, index) for index in range(point_count(config)))


def with_checked_axes(config: Config) -> Config:
    """Return the configuration with each axis's values as its field has them, all checked.

    Every value is checked against its field, then in a scenario with the other axes' first
    values, then in combination with all of them as long as the points are few.

    Raises
    ------
    ProblemsError
        An axis names no field, a value is out of bounds or given twice, two axes set one field,
        there are too many points, or some do not make a scenario.
    """
    axes = dict(config.sweep.axes)
    problems = [*_path_problems(config.scenario, axes)]
    if not problems:
        for path, values in axes.items():
            axes[path], found = _typed(path, values)
            problems += found
    if not problems:
        config = config.model_copy(update={"sweep": config.sweep.model_copy(update={"axes": axes})})
        problems += _point_problems(config)
    if problems:
        raise ProblemsError(problems)
    return config


def axis_location(path: str, index: int | None = None) -> Location:
    """Return where an axis, or one of its values, lies in a configuration."""
    return ("sweep", "axes", path, *(() if index is None else (index,)))


def _combination(config: Config, index: int) -> dict[str, JsonValue]:
    count = point_count(config)
    if not 0 <= index < count:
        raise IndexError(f"expected a point from 0 to {count - 1}, got {index}")
    axes = config.sweep.axes
    return dict(zip(axes, DESIGNS[config.sweep.design].combination(axes, index), strict=True))


def _scenario_with(scenario: Scenario, values: Mapping[str, JsonValue]) -> Scenario:
    """Set swept values in a scenario; only the models on the way to them are checked anew."""
    if not values:
        return scenario
    tree: Any = scenario
    try:
        for path, setting in values.items():
            for location in expand(Scenario, scenario, path):
                tree = with_value(Scenario, tree, location, setting)
        return Scenario.model_validate(tree)
    except PathError as error:
        raise ProblemsError([Problem(axis_location(path), str(error))]) from None
    except ValidationError as error:
        raise ProblemsError(problems_of(error, partial(place_of, Scenario))) from None


def _label(setting: JsonValue) -> Scalar:
    if isinstance(setting, dict) and setting.keys() == TABLE_FIELDS:
        return str(setting["name"])
    if isinstance(setting, dict | list):
        return json.dumps(setting, ensure_ascii=False, separators=(",", ":"))
    return setting


def _path_problems(scenario: Scenario, axes: Axes) -> list[Problem]:
    """Find axes that name nothing, or set what another axis sets."""
    problems, owners = [], dict[Location, str]()
    for path in axes:
        try:
            found = expand(Scenario, scenario, path)
        except PathError as error:
            problems.append(Problem(axis_location(path), str(error)))
            continue
        for location in found:
            problems += _overlaps(path, location, owners)
            owners[location] = path
    return problems


def _overlaps(path: str, location: Location, owners: Mapping[Location, str]) -> list[Problem]:
    return [
        Problem(
            axis_location(path),
            f"expected fields that no other axis sets, got {shown(location)}; "
            f"sweep.axes.{owner} sets it too",
        )
        for other, owner in owners.items()
        if other[: len(location)] == location[: len(other)]
    ][:1]


def _typed(path: str, values: tuple[JsonValue, ...]) -> tuple[tuple[JsonValue, ...], list[Problem]]:
    """Return an axis's values as its field has them, and what is wrong with them."""
    steps = path.split(".")
    place = place_of(Scenario, steps)
    assert place is not None, path  # `expand` has found it
    axis = create_model("Axis", __base__=Record, values=(tuple[place.declared, ...], ...))  # type: ignore[name-defined]
    try:
        # As JSON, so that text is not taken for a number, nor true for 1.
        checked = axis.model_validate_json(json.dumps({"values": values}), strict=True)
    except ValidationError as error:
        found = problems_of(error, lambda location: place_of(Scenario, (*steps, *location[2:])))
        return values, [
            Problem((*axis_location(path), *problem.location[1:]), problem.text)
            for problem in found
        ]
    typed = tuple(checked.model_dump(mode="json")["values"])
    return typed, _repeats(path, typed)


def _repeats(path: str, values: tuple[JsonValue, ...]) -> list[Problem]:
    first: dict[str, int] = {}
    problems = []
    for i, setting in enumerate(values):
        before = first.setdefault(json.dumps(setting, sort_keys=True), i)
        if before != i:
            text = f"expected values that differ, got {value(_label(setting))} as in [{before}]"
            problems.append(Problem(axis_location(path, i), text))
    return problems


def _point_problems(config: Config) -> list[Problem]:
    """Find what is wrong with points: along each axis, then, if they are few, all of them."""
    axes, count = config.sweep.axes, point_count(config)
    if count > MAX_POINTS:
        text = f"expected at most {MAX_POINTS:_} points, got {count:_}; shorten an axis"
        return [Problem(("sweep", "axes"), text)]
    first = {path: values[0] for path, values in axes.items()}
    at_first = _problems_with(config, first)
    if at_first:
        alone = [p for path in axes for p in _along_axis(config, path, 0, {})]
        return alone or [_at_point(problem, config, 0) for problem in at_first]
    problems = [
        problem
        for path, values in axes.items()
        for i in range(1, min(len(values), MAX_CHECKED_POINTS))
        for problem in _along_axis(config, path, i, first)
    ]
    if not problems and count <= MAX_CHECKED_POINTS:
        problems = [
            _at_point(problem, config, index)
            for index in range(count)
            for problem in _problems_with(config, _combination(config, index))
        ]
    return problems


def _problems_with(config: Config, values: Mapping[str, JsonValue]) -> tuple[Problem, ...]:
    try:
        _scenario_with(config.scenario, values)
    except ProblemsError as error:
        return error.problems
    return ()


def _along_axis(
    config: Config, path: str, i: int, others: Mapping[str, JsonValue]
) -> list[Problem]:
    """Find what is wrong with one value of an axis, the other axes at the values given."""
    own = expand(Scenario, config.scenario, path)
    found = _problems_with(config, {**others, path: config.sweep.axes[path][i]})
    return [
        Problem(
            axis_location(path, i),
            problem.text
            if problem.location in own
            else f"{shown(problem.location)}: {problem.text}",
        )
        for problem in found
    ]


def _at_point(problem: Problem, config: Config, index: int) -> Problem:
    chosen = ", ".join(f"{path}={value(v)}" for path, v in values_at(config, index).items())
    where = "" if problem.location[:1] == ("sweep",) else f"{shown(problem.location)}: "
    return Problem(("sweep", "axes"), f"point {index} ({chosen}): {where}{problem.text}")
