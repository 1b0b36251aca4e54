"""What a sweep must be so that every point of it makes a scenario; checked before any is run.

Fields first, then each value in its field, then in a scenario, then, if they are few, all points.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache, partial
from itertools import chain, islice
from typing import Any, NamedTuple

from pydantic import JsonValue, ValidationError, create_model

from configs.axes import (
    AnyAxis,
    Dimension,
    Listed,
    Range,
    conditions_of,
    dimensions,
    key,
    label,
    values_of,
)
from configs.designs import MAX_BRANCHES, SAMPLED, BranchesError
from configs.dotted import Location, PathError, expand, nearest, place_of, shown
from configs.draws import SUFFIX, Draws
from configs.messages import MAX_COUNTED, Problem, ProblemsError, problems_of, value
from configs.record import Record
from configs.scenario import Scenario
from configs.sweep import (
    MAX_POINTS,
    Config,
    Settings,
    Sweep,
    at_point,
    draw_of,
    drawn_value,
    point_count,
    scenario_with,
    set_instead,
    settings_at,
)

# A point costs about 0.1 ms to check, so this many cost well under a second before a run.
MAX_CHECKED_POINTS = 1000
MAX_WHOLE = 2**53  # all whole numbers up to it are floats, too
MAX_NUMBER = 1e300

Axes = dict[str, AnyAxis]
Sets = dict[str, dict[str, JsonValue]]


def with_checked_axes(config: Config) -> Config:
    """Return the configuration with each swept value as its field has it, all checked.

    Every value is checked against its field, then in a scenario with the first values of the
    other axes, then in combination with all of them as long as the points are few.

    Raises
    ------
    ProblemsError
        A path names no field, a value is out of bounds or given twice, a field is set in two
        places, a condition is never met, there are too many points, or some do not make a
        scenario.
    """
    raise_any = partial(_raise_any, config.sweep.draws)
    raise_any(_path_problems(config))
    raise_any(_draw_problems(config.sweep.draws))
    raise_any(_form_problems(config))
    config, problems = _typed_config(config)
    raise_any(problems)
    raise_any([*_range_problems(config), *_condition_problems(config)])
    raise_any(_count_problems(config))
    raise_any(_point_problems(config))
    return config


def _raise_any(draws: Draws | None, problems: Iterable[Problem]) -> None:
    found = [_in_file(draws, problem) for problem in islice(problems, MAX_COUNTED)]
    if found:
        raise ProblemsError(found)


def axis_location(path: str, *within: str | int) -> Location:
    """Return where an axis, or a part of it, lies in a configuration."""
    return ("sweep", "axes", path, *within)


def value_location(path: str, axis: AnyAxis, i: int) -> Location:
    """Return where the value with a number (of a range 0 low, 1 high) lies in a configuration."""
    if isinstance(axis, Range):
        return axis_location(path, ("low", "high")[i])
    return axis_location(path, *(("values", i) if isinstance(axis, Listed) else (i,)))


def _named(sweep: Sweep) -> Iterator[tuple[str, str, dict[str, JsonValue]]]:
    """Yield section, name and fields of each policy, then of each world."""
    for section, sets in (("policies", sweep.policies), ("worlds", sweep.worlds)):
        for name, fields in sets.items():
            yield section, name, fields


class _Owner(NamedTuple):
    """Who sets a field."""

    where: Location
    location: Location

    def is_apart_from(self, other: "_Owner") -> bool:
        """Whether no point has both: they belong to two policies, or to two worlds.

        Nor does a point have a drawn field that its policy sets instead.
        """
        (_, section, name, *_), (_, other_section, other_name, *_) = self.where, other.where
        if {section, other_section} == {"draws", "policies"}:
            return True
        return section == other_section and section != "axes" and name != other_name


class _Owners:
    """Who sets which fields, to be found by what lies around a field or within it."""

    def __init__(self) -> None:
        self._at = defaultdict[Location, list[_Owner]](list)
        self._within = defaultdict[Location, list[_Owner]](list)

    def add(self, owner: _Owner) -> None:
        self._at[owner.location].append(owner)
        for length in range(len(owner.location) + 1):
            self._within[owner.location[:length]].append(owner)

    def overlapping(self, owner: _Owner) -> Iterator[_Owner]:
        """Yield those that set the same field, one around it, or one within it."""
        around = [self._at.get(owner.location[:i], ()) for i in range(len(owner.location))]
        for other in chain(*around, self._within.get(owner.location, ())):
            if not owner.is_apart_from(other):
                yield other


def _path_problems(config: Config) -> Iterator[Problem]:
    """Find paths that name nothing, or set what something else sets at the same point."""
    sweep, owners = config.sweep, _Owners()
    wheres: list[Location] = [
        ("sweep", section, name, path) for section, name, fields in _named(sweep) for path in fields
    ]
    drawn = [draws_location(path) for path in sweep.draws.fields] if sweep.draws else []
    for where in [*wheres, *drawn, *map(axis_location, sweep.axes)]:
        try:
            found = expand(Scenario, config.scenario, str(where[-1]))
        except PathError as error:
            yield Problem(where, str(error))
            continue
        for location in found:
            owner = _Owner(where, location)
            other = next(owners.overlapping(owner), None)
            if other is not None:
                yield Problem(where, _overlap(owner, other))
            owners.add(owner)


def _overlap(owner: _Owner, other: _Owner) -> str:
    return (
        f"expected fields that no other {_kind(owner.where, other.where)} sets, "
        f"got {shown(owner.location)}; {shown(other.where)} sets it too"
    )


def _kind(one: Location, other: Location) -> str:
    """Return what two places that set fields both are."""
    return "axis" if one[1] == other[1] == "axes" else "part of the sweep"


def draws_location(*within: str | int) -> Location:
    """Return where draws, a field of theirs, or the draw with a number lie in a configuration."""
    return ("sweep", "draws", *within)


def _in_file(draws: Draws | None, problem: Problem) -> Problem:
    """Return a problem of a drawn field, or of a draw, as one of its file; others unchanged."""
    at, within = problem.location[:2], problem.location[2:]
    if draws is None or at != draws_location() or not within:
        return problem
    line = draws.where(within[0]) if isinstance(within[0], int) else f"{draws.name}{SUFFIX}"
    fields = "".join(f"{step}: " for step in within if isinstance(step, str))
    return Problem(draws_location(), f"{line}: {fields}{problem.text}")


def _draw_problems(draws: Draws | None) -> Iterator[Problem]:
    """Find drawn fields that take no numbers, and numbers that their fields do not take."""
    for path in draws.fields if draws else ():
        assert draws is not None
        place = place_of(Scenario, path.split("."))
        if place is None or "*" in path.split(".") or place.kind not in (int, float):
            text = "expected a single field of numbers, without *, got another"
            yield Problem(draws_location(path), text)
            continue
        values = tuple(drawn_value(path, number) for number in draws.column(path))
        yield from _typed(path, values, lambda i, *_, at=path: draws_location(i, at))[1]


def _form_problems(config: Config) -> Iterator[Problem]:
    """Find axes whose form, or number of values, does not go with the design."""
    sweep = config.sweep
    first = next(iter(sweep.axes), "")
    for path, axis in sweep.axes.items():
        if isinstance(axis, Range):
            if sweep.design not in SAMPLED:
                yield Problem(
                    axis_location(path),
                    f"expected values with the design {sweep.design!r}, got a range; "
                    f"list values, or name a sampled design: {', '.join(SAMPLED)}",
                )
            yield from _number_problems(path)
        elif sweep.design == "list":
            many, wanted = len(values_of(axis)), len(values_of(sweep.axes[first]))
            if many != wanted:
                yield Problem(
                    axis_location(path),
                    f"expected {wanted} values with the design 'list', as many as "
                    f"sweep.axes.{first} has, got {many}",
                )


def _number_problems(path: str) -> Iterator[Problem]:
    """Find a range of what is not a number."""
    place = place_of(Scenario, path.split("."))
    if place is not None and place.kind not in (int, float):
        text = "expected values, for the field is no number, got a range; list them"
        yield Problem(axis_location(path), text)


def _typed_config(config: Config) -> tuple[Config, list[Problem]]:
    """Return the configuration with swept values as their fields have them."""
    sweep, problems = config.sweep, list[Problem]()
    axes: Axes = {}
    for path, axis in sweep.axes.items():
        axes[path], found = _typed_axis(sweep, path, axis)
        problems += found
    sets: dict[str, Sets] = {"policies": {}, "worlds": {}}
    for section, name, fields in _named(sweep):
        sets[section][name], found = _typed_fields(("sweep", section, name), fields)
        problems += found
    if not problems:
        for path, axis in axes.items():
            axes[path], found = _typed_conditions(axes, path, axis)
            problems += found
    return config.model_copy(update={"sweep": sweep.model_copy(update={"axes": axes, **sets})}), (
        problems
    )


def _typed_axis(sweep: Sweep, path: str, axis: AnyAxis) -> tuple[AnyAxis, list[Problem]]:
    """Return an axis with its values as their field has them, and what is wrong with them."""
    values, problems = _typed(
        path, values_of(axis), lambda i, *within: (*value_location(path, axis, i), *within)
    )
    if isinstance(axis, Range):
        if not problems:
            axis = axis.model_copy(update={"low": values[0], "high": values[1]})
        return axis, problems
    if not problems and sweep.design != "list":
        problems = _repeats(path, axis, values)
    if isinstance(axis, Listed) and axis.only_if:
        return axis.model_copy(update={"values": values}), problems
    return values, problems


def _typed_fields(
    where: Location, fields: Mapping[str, JsonValue]
) -> tuple[dict[str, JsonValue], list[Problem]]:
    """Return what a policy or world sets as the fields have it, and what is wrong with it."""
    typed, problems = dict(fields), list[Problem]()
    for path, setting in fields.items():
        # the one value has no number
        (typed[path],), found = _typed(path, (setting,), partial(_within, (*where, path)))
        problems += found
    return typed, problems


def _within(where: Location, _: int, *rest: str | int) -> Location:
    return (*where, *rest)


def _typed(
    path: str, values: tuple[JsonValue, ...], location_of: Any
) -> tuple[tuple[JsonValue, ...], list[Problem]]:
    """Return values as their field has them, and what is wrong with them.

    `location_of` returns where the value with a number, or a part of it, lies.
    """
    steps = path.split(".")
    try:
        # As JSON, so that text is not taken for a number, nor true for 1.
        checked = _values_model(path).model_validate_json(
            json.dumps({"values": values}), strict=True
        )
    except ValidationError as error:
        found = problems_of(error, lambda location: place_of(Scenario, (*steps, *location[2:])))
        return values, [
            Problem(location_of(*problem.location[1:]), problem.text) for problem in found
        ]
    return tuple(checked.model_dump(mode="json")["values"]), []


@lru_cache(maxsize=1024)
def _values_model(path: str) -> type[Record]:
    """Return a model of values of the field that a path names."""
    place = place_of(Scenario, path.split("."))
    assert place is not None, path  # `expand` has found it
    return create_model("Axis", __base__=Record, values=(tuple[place.declared, ...], ...))  # type: ignore[name-defined]


def _repeats(path: str, axis: AnyAxis, values: Iterable[JsonValue]) -> list[Problem]:
    first: dict[str, int] = {}
    problems = []
    for i, setting in enumerate(values):
        before = first.setdefault(key(setting), i)
        if before != i:
            text = f"expected values that differ, got {value(label(setting))} as in [{before}]"
            problems.append(Problem(value_location(path, axis, i), text))
    return problems


def _typed_conditions(axes: Axes, path: str, axis: AnyAxis) -> tuple[AnyAxis, list[Problem]]:
    """Return an axis with the values of its conditions as the other axes have them."""
    if isinstance(axis, tuple) or not axis.only_if:
        return axis, []
    typed, problems = dict(axis.only_if), list[Problem]()
    for other, some in axis.only_if.items():
        where = axis_location(path, "only_if", other)
        found = list(_other_axis_problems(axes, path, other, where))
        if not found:
            typed[other], found = _typed(
                other, some, lambda i, *within, at=where: (*at, i, *within)
            )
        problems += found or _value_problems(axes[other], other, typed[other], where)
    return axis.model_copy(update={"only_if": typed}), problems


def _other_axis_problems(axes: Axes, path: str, other: str, where: Location) -> Iterator[Problem]:
    """Find a condition on what is no axis, comes later, or has no listed values."""
    before = list(axes)[: list(axes).index(path)]
    listed = [name for name in before if not isinstance(axes[name], Range)]
    if other not in before:
        near = nearest(other, before)
        hint = f"did you mean {near}?" if near else f"axes before it: {', '.join(before) or 'none'}"
        came = "one that comes later" if other in axes else repr(other)
        came = "this axis itself" if other == path else came
        yield Problem(where, f"expected an axis before this one, got {came}; {hint}")
    elif other not in listed:
        yield Problem(where, "expected an axis with listed values, got a range")


def _value_problems(
    axis: AnyAxis, path: str, some: Iterable[JsonValue], where: Location
) -> list[Problem]:
    """Find values of a condition that the other axis does not have."""
    known = {key(setting) for setting in values_of(axis)}
    shown_values = value([label(setting) for setting in values_of(axis)])
    return [
        Problem(
            (*where, i),
            f"expected a value of sweep.axes.{path} {shown_values}, got {value(label(setting))}",
        )
        for i, setting in enumerate(some)
        if key(setting) not in known
    ]


def _range_problems(config: Config) -> Iterator[Problem]:
    """Find ranges that are empty, too wide, or have no logarithm."""
    for path, axis in config.sweep.axes.items():
        if isinstance(axis, Range):
            for end, text in _end_problems(axis):
                yield Problem(axis_location(path, end), text)


def _end_problems(axis: Range) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with an end of a range, and which end it is."""
    for end, number in (("low", axis.low), ("high", axis.high)):
        most = MAX_WHOLE if isinstance(number, int) else MAX_NUMBER
        if not isinstance(number, int | float):
            yield end, f"expected a number, got {value(number)}"
        elif abs(number) > most:
            yield end, f"expected at most {most:_} in a range, got {value(number)}"
    low, high = axis.low, axis.high
    if isinstance(low, int | float) and isinstance(high, int | float):
        if low >= high:
            yield "high", f"expected above low {value(low)}, got {value(high)}"
        if axis.scale == "log" and low <= 0:
            yield "low", f"expected above 0 with the scale 'log', got {value(low)}"


def _condition_problems(config: Config) -> Iterator[Problem]:
    """Find axes that are applied nowhere, since their conditions contradict one another."""
    axes = config.sweep.axes
    for path in axes:
        for other, some in _needed(axes, path).items():
            if not some:
                yield Problem(
                    axis_location(path, "only_if"),
                    "expected conditions that hold together, got ones that leave no value of "
                    f"sweep.axes.{other}",
                )


def _needed(axes: Mapping[str, AnyAxis], path: str) -> dict[str, list[int]]:
    """Return which places of other axes' values let an axis be applied."""
    needed: dict[str, list[int]] = {}
    asking = [path]
    while asking:
        for other, some in conditions_of(axes[asking.pop()]).items():
            wanted = {key(setting) for setting in some}
            values = values_of(axes[other])
            places = needed.get(other, range(len(values)))
            needed[other] = [i for i in places if key(values[i]) in wanted]
            asking.append(other)
    return needed


def _count_problems(config: Config) -> Iterator[Problem]:
    """Find too many points, or too many ways in which conditions combine."""
    try:
        count = point_count(config)
    except BranchesError as error:
        text = f"expected conditions that combine in at most {MAX_BRANCHES:_} ways, got more"
        yield Problem(axis_location(str(error)), f"{text}; shorten the axes that they name")
        return
    if count > MAX_POINTS:
        text = f"expected at most {MAX_POINTS:_} points, got {count:_}; shorten an axis"
        yield Problem(("sweep", "axes"), text)


def _point_problems(config: Config) -> list[Problem]:
    """Find what is wrong with points: value by value, then, if they are few, all of them."""
    problems = _single_problems(config)
    if problems:
        return problems
    checked = point_count(config)
    if checked > MAX_CHECKED_POINTS:  # values of a list were not looked at singly
        checked = MAX_CHECKED_POINTS if config.sweep.design == "list" else 0
    return [
        at_point(problem, config, index)
        for index in range(checked)
        for problem in _problems_with(config, settings_at(config, index))
    ]


class _Part(NamedTuple):
    """One value of an axis, or one policy or world: what it sets, and in whose place."""

    where: Location
    of: str  # the axis, or the section
    settings: dict[str, JsonValue]
    places: dict[str, int]  # which value of its axis, and of those that it is applied with


def _single_problems(config: Config) -> list[Problem]:
    """Find what is wrong with single values, the other axes at their first ones."""
    axes, parts = dimensions(config.sweep.axes), list(_parts(config))
    settings = _settings(config, axes)
    firsts = {part.of: part for part in reversed(parts)}.values()
    applied = [part for part in parts if part in firsts and part.settings.keys() <= settings.keys()]
    at_first = _problems_with(config, settings)
    if at_first:
        alone = _along(config, ((part, part.settings) for part in applied), at_first)
        return alone or [_first_problem(problem, config, settings) for problem in at_first]
    others = [part for part in parts if part not in applied]
    return _along(config, ((part, _settings(config, axes, part)) for part in others))


def _parts(config: Config) -> Iterator[_Part]:
    """Yield each policy, each world, and the first values of each axis."""
    sweep = config.sweep
    for section, name, fields in _named(sweep):
        yield _Part(("sweep", section, name), section, fields, {})
    yield from _draw_parts(sweep.draws)
    if sweep.design == "list":  # an axis's values need not fit to the others' first ones
        return
    for path, axis in sweep.axes.items():
        needed = {other: places[0] for other, places in _needed(sweep.axes, path).items()}
        for i, setting in enumerate(values_of(axis)[:MAX_CHECKED_POINTS]):
            yield _Part(value_location(path, axis, i), path, {path: setting}, {**needed, path: i})


def _draw_parts(draws: Draws | None) -> Iterator[_Part]:
    """Yield each draw, or the first of very many."""
    for i in range(min(draws.count, MAX_CHECKED_POINTS) if draws else 0):
        assert draws is not None
        yield _Part(draws_location(i), "draws", dict(draw_of(draws, i)), {})


def _settings(
    config: Config, axes: Iterable[Dimension], part: _Part | None = None
) -> dict[str, JsonValue]:
    """Return what a part sets with the first of all others, as far as these are applied."""
    sweep, settings, left_out = config.sweep, dict[str, JsonValue](), frozenset[int]()
    for section, sets in (("policies", sweep.policies), ("worlds", sweep.worlds)):
        of_part = part is not None and part.of == section
        settings |= part.settings if part and of_part else next(iter(sets.values()), {})
    if sweep.draws is not None:  # first, so that a policy wins over them
        drawn = part.settings if part and part.of == "draws" else draw_of(sweep.draws, 0)
        instead = set_instead(sweep.draws, settings)
        settings = {path: v for path, v in drawn.items() if path not in instead} | settings
    places = part.places if part else {}
    for k, axis in enumerate(axes):
        if k in left_out:
            left_out |= axis.followers
            continue
        place = places.get(axis.path, 0)
        settings[axis.path] = values_of(sweep.axes[axis.path])[place]
        if axis.rules_out:
            left_out |= axis.rules_out[place]
    return settings


def _along(
    config: Config,
    cases: Iterable[tuple[_Part, Settings]],
    known: tuple[Problem, ...] | None = None,
) -> list[Problem]:
    """Find what is wrong with parts, other fields as they are set; only what is known, if given.

    A condition that a part meets may bring in an axis whose own value is at fault: it is told of
    that axis alone.
    """
    found = [
        (part, _own_fields(config, part), problem)
        for part, settings in cases
        for problem in _problems_with(config, settings)
        if known is None or problem in known
    ]
    told = {problem for _, own, problem in found if problem.location in own}
    return [
        Problem(own[problem.location], problem.text)
        if problem.location in own
        else Problem(part.where, f"{shown(problem.location)}: {problem.text}")
        for part, own, problem in found
        if problem.location in own or problem not in told
    ]


def _own_fields(config: Config, part: _Part) -> dict[Location, Location]:
    """Return where in the configuration a part gives each field that it sets."""
    named = part.of in ("policies", "worlds", "draws")
    return {
        location: (*part.where, path) if named else part.where
        for path in part.settings
        for location in expand(Scenario, config.scenario, path)
    }


def _first_problem(problem: Problem, config: Config, settings: Settings) -> Problem:
    """Return a problem of the first values of all axes as one of the sweep."""
    if config.sweep.design not in SAMPLED:
        return at_point(problem, config, 0)
    chosen = ", ".join(f"{path}={value(label(v))}" for path, v in settings.items())
    text = f"first values ({chosen}): {shown(problem.location)}: {problem.text}"
    return Problem(("sweep", "axes"), text)


def _problems_with(config: Config, settings: Settings) -> tuple[Problem, ...]:
    try:
        scenario_with(config, settings)
    except ProblemsError as error:
        return error.problems
    return ()
