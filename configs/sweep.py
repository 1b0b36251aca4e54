"""A sweep: which points of a scenario are run, and with how many paths each.

A design turns the axes into points, numbered from 0 (`configs.designs`). They are run under each
policy in each world at each draw: the number of a point is
((policy * worlds + world) * draws + draw) * design points + its number in the design.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, JsonValue, ValidationError, model_validator

from configs.axes import (
    Axis,
    Choice,
    Dimension,
    Scalar,
    can_be_left_out,
    dimensions,
    label,
    values_of,
)
from configs.cluster import Cluster
from configs.designs import (
    MAX_AXES,
    MAX_TRAJECTORIES,
    POWERS_OF_TWO,
    SAMPLED,
    Design,
    DesignName,
    Grid,
    InTurn,
    Sampled,
    sampled_count,
    unit_sample,
)
from configs.dotted import Location, PathError, expand, place_of, shown, with_value
from configs.draws import Draws
from configs.messages import ConfigError, Problem, ProblemsError, problems_of, report, value
from configs.record import Record, model_field
from configs.scenario import Name, Scenario
from configs.shapes import Shapes, is_shaped, numbered, shape_of, with_settings

MAX_POINTS = 10_000_000
MAX_SAMPLED_POINTS = 1_000_000
MAX_SAMPLED_VALUES = 50_000_000  # of all axes together; 400 MB
MAX_LEVELS = 1000
MAX_NAMED = 1000  # policies; worlds
MAX_SEED = 2**64 - 1
MAX_PATHS = 2**31 - 1
MAX_NAME_LENGTH = 60  # a folder's name takes 255 bytes: 60 Chinese characters and a digest

DRAW = "draw"
"""Column of the table `points`: the number of a draw in its file."""

Settings = Mapping[str, JsonValue]


class StopWhen(Record):
    """When a point has paths enough: its interval of confidence is narrow enough."""

    outcome: str = model_field(
        ..., "column of the table `paths` whose mean is asked for", section=12, min_length=1
    )
    half_width: float | None = model_field(
        None, "half the width of the interval, in the outcome's unit", section=12, gt=0
    )
    relative_half_width: float | None = model_field(
        None, "half the width of the interval", unit="share of the mean", section=12, gt=0
    )
    confidence: float = model_field(
        0.95, "probability that the interval holds the mean", section=12, gt=0, lt=1
    )
    at_least: int = model_field(
        50, "paths of a point before it is looked at", unit="paths", section=12, ge=2, le=MAX_PATHS
    )

    @model_validator(mode="after")
    def _has_one_width(self) -> Self:
        given = [width for width in (self.half_width, self.relative_half_width) if width]
        if len(given) != 1:
            raise ValueError(
                "expected one of half_width and relative_half_width, "
                f"got {'both' if given else 'neither'}"
            )
        return self


class Sweep(Record):
    """Which points are run, with how many paths each, from which seed."""

    paths: int = model_field(
        100,
        "paths of each point; with `stop_when`, the most",
        unit="paths",
        section=9,
        ge=1,
        le=MAX_PATHS,
    )
    stop_when: StopWhen | None = model_field(
        None, "when a point has paths enough before that", section=12
    )
    seed: int = model_field(0, "seed of the random numbers", section=9, ge=0, le=MAX_SEED)
    random_numbers: Literal["common", "independent"] = model_field(
        "common",
        "common: path i of every point sees the same draws; independent: each point has a seed "
        "of its own",
        section=9,
    )
    members_sample: float = model_field(
        1.0,
        "part of the members, drawn at random, who get a row in the table `members` "
        "(engine `member`)",
        unit="share of members",
        section=12,
        ge=0,
        le=1,
    )
    design: DesignName = model_field(
        "grid",
        "how axes make points: every combination (grid), the values in turn (list), or a sample",
        section=12,
    )
    points: int | None = model_field(
        None,
        "points of a sampled design; of `saltelli` base samples N, for N(D + 2) points with D "
        "axes; of `morris` trajectories N, for N(D + 1) points",
        unit="points",
        section=12,
        ge=1,
        le=MAX_SAMPLED_POINTS,
    )
    design_seed: int = model_field(
        0, "seed of a sampled design, apart from that of the paths", section=12, ge=0, le=MAX_SEED
    )
    second_order: bool = model_field(
        False,
        "whether `saltelli` makes N(2D + 2) points, for indices of second order",
        section=12,
    )
    levels: int = model_field(
        4,
        "levels that `morris` takes an axis at, an even number; a step is half of them",
        section=12,
        ge=2,
        le=MAX_LEVELS,
    )
    axes: dict[str, Axis] = model_field(
        dict,
        "values of each swept field, by its dotted path in the scenario (`*`: every name): a "
        "list, {values}, or {low, high} in a sampled design; no axes: one point",
        section=12,
    )
    policies: dict[Name, dict[str, JsonValue]] = model_field(
        dict,
        "named sets of fields, by their dotted paths; all points are run under each",
        section=12,
        max_length=MAX_NAMED,
    )
    worlds: dict[Name, dict[str, JsonValue]] = model_field(
        dict,
        "named sets of fields, by their dotted paths; all policies are run in each",
        section=12,
        max_length=MAX_NAMED,
    )
    draws: Draws | None = model_field(
        None,
        "a sample of values that fields have together, such as a posterior: a CSV file, or {file, "
        "take}; all points are run at every draw, and where a policy sets a drawn field, the "
        "policy wins",
        section=12,
    )

    @model_validator(mode="after")
    def _fields_fit_together(self) -> Self:
        problems = [*_stop_problems(self), *_design_problems(self)]
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _stop_problems(sweep: Sweep) -> Iterator[str]:
    if sweep.stop_when is not None and sweep.stop_when.at_least > sweep.paths:
        yield (
            f"stop_when.at_least: expected at most paths {sweep.paths}, "
            f"got {sweep.stop_when.at_least}"
        )


def _design_problems(sweep: Sweep) -> Iterator[str]:
    """Say what is wrong with the fields of a design."""
    with_design = f"with the design {sweep.design!r}"
    if sweep.second_order and sweep.design != "saltelli":
        yield f"second_order: expected false {with_design}, got true; write design: saltelli"
    yield from _levels_problems(sweep, with_design)
    if sweep.design not in SAMPLED:
        if sweep.points is not None:
            yield (
                f"points: expected none {with_design}, got {sweep.points}; "
                f"name a sampled design: {', '.join(SAMPLED)}"
            )
    elif not sweep.axes:
        yield f"axes: expected at least one {with_design}, got none"
    elif sweep.points is None:
        yield f"points: expected a number of points {with_design}, got none"
    else:
        yield from _sample_problems(sweep, sweep.points, with_design)


def _levels_problems(sweep: Sweep, with_design: str) -> Iterator[str]:
    """Say what is wrong with the levels of an axis."""
    default = type(sweep).model_fields["levels"].default
    if sweep.design != "morris" and sweep.levels != default:
        yield (
            f"levels: expected {default} {with_design}, got {sweep.levels}; write design: morris"
        )
    if sweep.levels % 2:
        yield f"levels: expected an even number, got {sweep.levels}"


def _sample_problems(sweep: Sweep, points: int, with_design: str) -> Iterator[str]:
    """Say what is wrong with the size of a sample."""
    axes = len(sweep.axes)
    if sweep.design in POWERS_OF_TWO and points & (points - 1):
        below = 1 << (points.bit_length() - 1)
        yield (
            f"points: expected a power of two {with_design}, got {points}; "
            f"the nearest are {below} and {2 * below}"
        )
    if sweep.design == "morris" and not 2 <= points <= MAX_TRAJECTORIES:
        yield f"points: expected 2 to {MAX_TRAJECTORIES:_} {with_design}, got {points}"
    if axes > MAX_AXES.get(sweep.design, axes):
        yield f"axes: expected at most {MAX_AXES[sweep.design]} {with_design}, got {axes}"
    count = sampled_count(sweep.design, axes, points, sweep.second_order)
    most = min(MAX_SAMPLED_POINTS, MAX_SAMPLED_VALUES // axes)
    if count > most:
        yield (
            f"points: expected at most {most:_} points of {axes} axes in all, got {count:_}; "
            "lower points"
        )


def names_a_folder(name: str) -> str:
    """Return a name; raise ValueError if it cannot be a folder's."""
    if name.startswith(".") or name != name.strip() or not name.isprintable() or {*name} & {*"/\\"}:
        raise ValueError(f"expected a name that can be a folder's, without / and \\, got {name!r}")
    return name


class Config(Record):
    """Everything a run depends on: a scenario, and the points of it that are run."""

    name: Annotated[str, AfterValidator(names_a_folder)] = model_field(
        ..., "name of the run's folder", section=12, min_length=1, max_length=MAX_NAME_LENGTH
    )
    scenario: Scenario = model_field(..., "the pool and its market", section=12)
    sweep: Sweep = model_field(Sweep, "the points that are run", section=12)
    cluster: Cluster | None = Field(default=None, description="where; without it on this machine")


@dataclass(frozen=True)
class Point:
    """One point of a sweep: its number, the values it is known by, and its scenario."""

    index: int
    values: dict[str, Scalar]
    scenario: Scenario


def point_count(config: Config) -> int:
    """Return how many points a sweep has; 1 when it has no axes, policies, worlds and draws."""
    return _layout(config).count


def columns(config: Config) -> tuple[str, ...]:
    """Return the names of `values_at`, without computing a point.

    They are `policy`, `world` and `draw`, where the sweep has such, then the fields that policies,
    worlds, draws and axes set, in the file's order.
    """
    return tuple(dict.fromkeys([*_names(config.sweep), *swept_fields(config.sweep)]))


def column_values(config: Config) -> dict[str, tuple[Scalar, ...]]:
    """Return by the names of `columns` the values that points can have.

    Of a range and of what is drawn, the least and the greatest. None, for a field that a point
    leaves as the scenario has it, is not told.
    """
    found: dict[str, list[Scalar]] = {name: [] for name in columns(config)}
    for column, named in _named_sets(config.sweep).items():
        for name, fields in named.items():
            found[column].append(name)
            for path, setting in fields.items():
                found[path].append(label(setting))
    draws = config.sweep.draws
    if draws is not None:
        found[DRAW] += (0, draws.row(draws.count - 1))
        for field in draws.fields:
            drawn = draws.column(field)
            found[field] += (drawn_value(field, min(drawn)), drawn_value(field, max(drawn)))
    for path, axis in config.sweep.axes.items():
        found[path] += map(label, values_of(axis))
    return {name: tuple(dict.fromkeys(values)) for name, values in found.items()}


def swept_fields(sweep: Sweep) -> tuple[str, ...]:
    """Return the dotted paths of the fields that policies, worlds, draws and axes set."""
    sets = [fields for named in _named_sets(sweep).values() for fields in named.values()]
    drawn = sweep.draws.fields if sweep.draws else ()
    named_fields = (path for fields in sets for path in fields)
    return tuple(dict.fromkeys([*named_fields, *drawn, *sweep.axes]))


def values_at(config: Config, index: int) -> dict[str, Scalar]:
    """Return the values that a point is known by, as the table `points` holds them.

    Parameters
    ----------
    config : Config
        A configuration.
    index : int
        Number of the point, 0 to point_count(config) - 1.

    Returns
    -------
    dict of str to scalar
        By the names of `columns`: the same for every point. `draw` is the number of a row of the
        file of draws, from 0; a table is given by its name, a list or a mapping as JSON text; None
        is a field that the point leaves as the scenario has it.

    Raises
    ------
    IndexError
        There is no such point.
    """
    layout = _layout(config)
    policy, world, draw, choices = layout.parts(index)
    found = {**layout.blank, **layout.drawn(draw, policy), **policy.labels, **world.labels}
    if layout.draws is not None:
        found[DRAW] = layout.draws.row(draw)
    for axis, choice in zip(layout.axes, choices, strict=True):
        if choice is not None:
            found[axis.path] = axis.label(choice)
    return found


def settings_at(config: Config, index: int) -> dict[str, JsonValue]:
    """Return what a point sets in the scenario, by dotted path; raises as `values_at`."""
    layout = _layout(config)
    policy, world, draw, choices = layout.parts(index)
    return {
        **layout.drawn(draw, policy),
        **policy.fields,
        **world.fields,
        **{
            axis.path: axis.value(choice)
            for axis, choice in zip(layout.axes, choices, strict=True)
            if choice is not None
        },
    }


def engines(config: Config) -> tuple[str, ...]:
    """Return the engines that points of a sweep can have, each once, in the order they come up."""
    sweep, own = config.sweep, config.scenario.engine
    for named in _named_sets(sweep).values():
        if any("engine" in fields for fields in named.values()):
            return _distinct(fields.get("engine", own) for fields in named.values())
    axis = sweep.axes.get("engine")
    if axis is None:
        return (own,)
    return _distinct([*values_of(axis), *([own] if can_be_left_out(sweep.axes, "engine") else [])])


def shapes_of(config: Config) -> Shapes:
    """Return the plans, pools and length of the points of a sweep, without their scenarios."""
    own = shape_of(config.scenario)
    if not is_shaped(swept_fields(config.sweep)):
        return Shapes((own,))
    named, points = tuple(config.scenario.pools), range(point_count(config))
    return numbered(with_settings(own, named, settings_at(config, point)) for point in points)


def _distinct(names: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(str, names)))


def engine_at(config: Config, index: int) -> str:
    """Return the engine of a point, without building its scenario."""
    return str(values_at(config, index).get("engine") or config.scenario.engine)


def rounds(sweep: Sweep) -> tuple[int, ...]:
    """Return the numbers of paths after which a point is looked at, the last of them `paths`.

    From `stop_when.at_least` on each is twice the one before; without `stop_when` there is one.
    """
    found = []
    if sweep.stop_when is not None:
        paths = sweep.stop_when.at_least
        while paths < sweep.paths:
            found.append(paths)
            paths *= 2
    return (*found, sweep.paths)


def seed_at(config: Config, index: int) -> int:
    """Return the seed of a point's paths, 0 to 2**64 - 1.

    It is the run's, so that all points see the same draws; with `random_numbers: independent`, the
    first 64 bits of the SHA-256 of the run's seed and the point's number.
    """
    seed = config.sweep.seed
    if config.sweep.random_numbers == "common":
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed} {index}".encode()).digest()[:8], "big")


def sample_digest(sweep: Sweep) -> str | None:
    """Return the SHA-256 of a sampled design's shares, as 64 hexadecimal digits; else None."""
    if sweep.design not in SAMPLED:
        return None
    return hashlib.sha256(unit_sample_of(sweep).astype("<f8").tobytes()).hexdigest()


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
    settings = settings_at(config, index)
    try:
        return scenario_with(config, settings)
    except ProblemsError as error:
        problems = [at_point(problem, config, index) for problem in error.problems]
        raise ConfigError(report(problems, lambda _: config.name)) from None


def point_at(config: Config, index: int) -> Point:
    """Return one point of a sweep, without building any other; raises as `scenario_at`."""
    return Point(index, values_at(config, index), scenario_at(config, index))


def points(config: Config) -> tuple[Point, ...]:
    """Return all points of a sweep in their order; raises as `scenario_at`."""
    return tuple(point_at(config, index) for index in range(point_count(config)))


def scenario_with(config: Config, settings: Settings) -> Scenario:
    """Return a scenario with fields set; only the models on the way to them are checked anew.

    Raises
    ------
    ProblemsError
        A path names no field, or the values do not make a scenario.
    """
    scenario = config.scenario
    if not settings:
        return scenario
    tree: Any = scenario
    try:
        for path, setting in settings.items():
            for location in expand(Scenario, scenario, path):
                tree = with_value(Scenario, tree, location, setting)
        return Scenario.model_validate(tree)
    except PathError as error:
        raise ProblemsError([Problem(_owner(config.sweep, path), str(error))]) from None
    except ValidationError as error:
        raise ProblemsError(problems_of(error, partial(place_of, Scenario))) from None


def at_point(problem: Problem, config: Config, index: int) -> Problem:
    """Return a problem of a point's scenario as one of the sweep, with the point's values."""
    settings, drawn = settings_at(config, index), _fields_drawn(config.sweep)
    chosen = ", ".join(
        f"{name}={value(v)}"
        for name, v in values_at(config, index).items()
        if name not in drawn and (v is not None or settings.get(name, ...) is None)
    )
    where = "" if problem.location[:1] == ("sweep",) else f"{shown(problem.location)}: "
    of = "axes" if config.sweep.axes else next(_sections_used(config.sweep), "axes")
    return Problem(("sweep", of), f"point {index} ({chosen}): {where}{problem.text}")


def _sections_used(sweep: Sweep) -> Iterator[str]:
    return (section for section in ("policies", "worlds", "draws") if getattr(sweep, section))


def _fields_drawn(sweep: Sweep) -> frozenset[str]:
    """Return the fields that draws alone set; the number of the draw stands for them."""
    if sweep.draws is None:
        return frozenset()
    return frozenset(sweep.draws.fields).difference(*sweep.policies.values())


def _owner(sweep: Sweep, path: str) -> Location:
    """Return where a swept field's values are given."""
    for section, named in (("policies", sweep.policies), ("worlds", sweep.worlds)):
        for name, fields in named.items():
            if path in fields:
                return ("sweep", section, name, path)
    if sweep.draws is not None and path in sweep.draws.fields:
        return ("sweep", "draws", path)
    return ("sweep", "axes", path)


@dataclass(frozen=True)
class _Named:
    """A policy or a world: what it sets, and its part of the table `points`.

    Attributes
    ----------
    fields : mapping of str to value
        What it sets, by dotted path.
    labels : mapping of str to scalar
        The same, and its name, as the table `points` holds them.
    instead : frozenset of str
        Drawn fields that it sets, itself or with what lies around them.
    """

    fields: dict[str, JsonValue]
    labels: dict[str, Scalar]
    instead: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Layout:
    """A sweep as its points are made of it."""

    blank: dict[str, Scalar]  # the columns of the table `points`, all None
    policies: tuple[_Named, ...]
    worlds: tuple[_Named, ...]
    draws: Draws | None
    axes: tuple[Dimension, ...]
    design: Design

    @property
    def count(self) -> int:
        """Number of points."""
        named = len(self.policies) * len(self.worlds)
        return named * (self.draws.count if self.draws else 1) * self.design.count

    def parts(self, index: int) -> tuple[_Named, _Named, int, tuple[Choice | None, ...]]:
        """Return a point's policy, world, draw, and what it chooses of each axis."""
        if not 0 <= index < self.count:
            raise IndexError(f"expected a point from 0 to {self.count - 1}, got {index}")
        drawn, in_design = divmod(index, self.design.count)
        named, draw = divmod(drawn, self.draws.count if self.draws else 1)
        policy, world = divmod(named, len(self.worlds))
        return self.policies[policy], self.worlds[world], draw, self.design.choices(in_design)

    def drawn(self, draw: int, policy: _Named) -> dict[str, Any]:
        """Return the fields of a draw, without those that the policy sets instead."""
        if self.draws is None:
            return {}
        return draw_of(self.draws, draw, policy.instead)


class _ThisSweep:
    """A sweep as a key: this very object, since one that holds mappings has no hash."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep

    def __hash__(self) -> int:
        return id(self.sweep)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ThisSweep) and other.sweep is self.sweep


def _layout(config: Config) -> _Layout:
    return _layout_of(_ThisSweep(config.sweep))


# Workers ask for one point after the other, of one sweep.
@lru_cache(maxsize=8)
def _layout_of(this: _ThisSweep) -> _Layout:
    sweep = this.sweep
    policies, worlds = (
        tuple(
            _Named(
                fields,
                {column: name, **{path: label(v) for path, v in fields.items()}},
                set_instead(sweep.draws, fields),
            )
            for name, fields in named.items()
        )
        or (_Named({}, {}),)
        for column, named in _named_sets(sweep).items()
    )
    blank = dict.fromkeys([*_names(sweep), *swept_fields(sweep)])
    axes = dimensions(sweep.axes)
    return _Layout(dict(blank), policies, worlds, sweep.draws, axes, _design(sweep, axes))


def draw_of(draws: Draws, draw: int, without: Set[str] = frozenset()) -> dict[str, Scalar]:
    """Return the values of a draw as their fields have them, by dotted path.

    Parameters
    ----------
    draws : Draws
        The draws.
    draw : int
        Number of the draw among them, from 0.
    without : set of str
        Fields to leave out.
    """
    return {
        path: drawn_value(path, number)
        for path, number in zip(draws.fields, draws.values[draw], strict=True)
        if path not in without
    }


def set_instead(draws: Draws | None, fields: Iterable[str]) -> frozenset[str]:
    """Return the drawn fields that some fields set, themselves or with what lies around them."""
    if draws is None:
        return frozenset()
    return frozenset(path for path in draws.fields if any(_is_within(path, f) for f in fields))


def _is_within(path: str, other: str) -> bool:
    """Return whether one dotted path lies at or within another, which may have `*`."""
    steps, around = path.split("."), other.split(".")
    return len(around) <= len(steps) and all(
        step in ("*", own) for own, step in zip(steps, around, strict=False)
    )


@lru_cache(maxsize=1024)
def _is_whole(path: str) -> bool:
    """Return whether a field takes whole numbers only."""
    place = place_of(Scenario, path.split("."))
    return place is not None and place.kind is int


def drawn_value(path: str, number: float) -> float:
    """Return a drawn number as its field has it: 3.0 of a field of whole numbers is 3."""
    return int(number) if _is_whole(path) and number.is_integer() else number


def _names(sweep: Sweep) -> list[str]:
    """Return the columns that say of which policy, world and draw a point is."""
    named = [column for column, sets in _named_sets(sweep).items() if sets]
    return [*named, DRAW] if sweep.draws else named


def _named_sets(sweep: Sweep) -> dict[str, dict[str, dict[str, JsonValue]]]:
    """Return policies and worlds by the name of their column."""
    return {"policy": sweep.policies, "world": sweep.worlds}


def _design(sweep: Sweep, axes: tuple[Dimension, ...]) -> Design:
    if sweep.design == "grid":
        return Grid(axes)
    if sweep.design == "list":
        return InTurn(axes)
    assert sweep.points is not None, sweep.design  # the model has checked it
    count = sampled_count(sweep.design, len(axes), sweep.points, sweep.second_order)
    return Sampled(axes, count, partial(unit_sample_of, sweep))


def unit_sample_of(sweep: Sweep) -> NDArray[np.float64]:
    """Return the shares, 0 to 1, that a sampled design's points take of the axes.

    Parameters
    ----------
    sweep : Sweep
        A sweep with a sampled design.

    Returns
    -------
    array of float64, shape (design points, axes)
        Not to be written to.
    """
    assert sweep.points is not None, sweep.design
    return unit_sample(
        sweep.design,
        len(sweep.axes),
        sweep.points,
        sweep.design_seed,
        sweep.second_order,
        sweep.levels,
    )
