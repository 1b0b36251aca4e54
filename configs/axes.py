"""An axis of a sweep: which values one field of the scenario takes, and at which points.

An axis is a list of values, `{values: [...]}`, or a range `{low, high, scale}`. With `only_if` it
is applied only at points where an axis before it has one of some values.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, JsonValue, Tag, WithJsonSchema

from configs.age_sex_table import AgeSexTable
from configs.dotted import place_of
from configs.record import Record, model_field
from configs.scenario import Scenario

TABLE_FIELDS = frozenset(AgeSexTable.model_fields)

Values = Annotated[tuple[JsonValue, ...], Field(min_length=1)]
Conditions = dict[str, Values]
# What its field takes is known only where the axis's path is: it is checked there.
End = Annotated[JsonValue, WithJsonSchema({"type": "number"})]
Scalar = bool | int | float | str | None
Choice = int | float
"""What a design chooses of an axis: the place of a listed value, or a value of a range."""


class Listed(Record):
    """Values of an axis, with the condition on which it is applied."""

    values: Values = model_field(..., "values of the swept field", section=12)
    only_if: Conditions = model_field(
        dict,
        "axes before this one, each with the values at which this one is applied (all of them "
        "must hold)",
        section=12,
    )


class Range(Record):
    """A range that a sampled design draws the values of an axis from, both ends included."""

    low: End = model_field(..., "least value", section=12)
    high: End = model_field(..., "greatest value", section=12)
    scale: Literal["linear", "log"] = model_field(
        "linear", "whether values are spread evenly, or their logarithms", section=12
    )
    only_if: Conditions = model_field(
        dict,
        "axes before this one, each with the values at which this one is applied (all of them "
        "must hold)",
        section=12,
    )


def _form(axis: Any) -> str:
    """Return which of the three forms an axis has, by its shape alone."""
    if isinstance(axis, Listed):
        return "[values]"
    if isinstance(axis, Range) or (isinstance(axis, Mapping) and {"low", "high"} & axis.keys()):
        return "[range]"
    return "[values]" if isinstance(axis, Mapping) else "[list]"


Axis = Annotated[
    Annotated[Values, Tag("[list]")]
    | Annotated[Listed, Tag("[values]")]
    | Annotated[Range, Tag("[range]")],
    Discriminator(_form),
]
AnyAxis = tuple[JsonValue, ...] | Listed | Range


def values_of(axis: AnyAxis) -> tuple[JsonValue, ...]:
    """Return the listed values of an axis; of a range, its two ends."""
    if isinstance(axis, Listed):
        return axis.values
    return (axis.low, axis.high) if isinstance(axis, Range) else axis


def conditions_of(axis: AnyAxis) -> Conditions:
    """Return the condition of an axis: the values that other axes must have, by their paths."""
    return axis.only_if if isinstance(axis, Listed | Range) else {}


def can_be_left_out(axes: Mapping[str, AnyAxis], path: str) -> bool:
    """Return whether some values of other axes keep an axis from being applied."""
    return any(
        {key(setting) for setting in values_of(axes[other])} - {key(setting) for setting in some}
        or can_be_left_out(axes, other)
        for other, some in conditions_of(axes[path]).items()
    )


def label(setting: JsonValue) -> Scalar:
    """Return a value as the table `points` holds it.

    A table is given by its name, a list or a mapping as JSON text.
    """
    if isinstance(setting, dict) and setting.keys() == TABLE_FIELDS:
        return str(setting["name"])
    if isinstance(setting, dict | list):
        return json.dumps(setting, ensure_ascii=False, separators=(",", ":"))
    return setting


@dataclass(frozen=True)
class Dimension:
    """An axis as points are made of it.

    Attributes
    ----------
    path : str
        Dotted path of the field.
    values : tuple
        Listed values; empty for a range.
    labels : tuple
        The same as the table `points` holds them.
    span : Span or None
        The range, if it is one.
    rules_out : tuple of frozenset of int
        For each listed value the places of the axes after it that are not applied with it; empty
        if no axis depends on this one.
    followers : frozenset of int
        Places of the axes that are not applied where this one is not.
    """

    path: str
    values: tuple[JsonValue, ...]
    labels: tuple[Scalar, ...]
    span: "Span | None"
    rules_out: tuple[frozenset[int], ...]
    followers: frozenset[int]

    def at(self, share: float) -> Choice:
        """Return what lies at a share of the axis, 0 to 1."""
        if self.span is not None:
            return self.span.at(share)
        return min(int(share * len(self.values)), len(self.values) - 1)

    def value(self, choice: Choice) -> JsonValue:
        """Return the value that was chosen."""
        return self.values[int(choice)] if self.span is None else choice

    def label(self, choice: Choice) -> Scalar:
        """Return the value that was chosen as the table `points` holds it."""
        return self.labels[int(choice)] if self.span is None else choice


@dataclass(frozen=True)
class Span:
    """A range of numbers, both ends included.

    Attributes
    ----------
    low, high : float
        Its ends, low < high; whole numbers if `whole`.
    log : bool
        Whether the logarithms of values are spread evenly. A whole number n then has the part of
        the range that log((n + 1) / n) is of log((high + 1) / low).
    whole : bool
        Whether values are whole numbers; without `log`, each is equally likely.
    """

    low: float
    high: float
    log: bool
    whole: bool

    def at(self, share: float) -> Choice:
        """Return what lies at a share of the range, 0 to 1."""
        low, high = self.low, self.high + self.whole
        if self.log:
            value = low * math.exp(share * (math.log(high) - math.log(low)))
        else:
            value = low + share * (high - low)
        value = math.floor(value) if self.whole else value
        return max(self.low, min(value, self.high))


def dimensions(axes: Mapping[str, AnyAxis]) -> tuple[Dimension, ...]:
    """Return the axes as points are made of them, in their order.

    A condition on anything but an axis before its own, which loading refuses, does not count.
    """
    conditions = [conditions_of(axis) for axis in axes.values()]
    found = []
    for i, (path, axis) in enumerate(axes.items()):
        asking = {k: asked[path] for k, asked in enumerate(conditions) if k > i and path in asked}
        span = _span(path, axis) if isinstance(axis, Range) else None
        values = () if isinstance(axis, Range) else values_of(axis)
        found.append(
            Dimension(
                path=path,
                values=values,
                labels=tuple(label(setting) for setting in values),
                span=span,
                rules_out=_rules_out(values, asking) if asking else (),
                followers=frozenset(asking),
            )
        )
    return tuple(found)


def _span(path: str, axis: Range) -> Span:
    place = place_of(Scenario, path.split("."))
    whole = place is not None and place.kind is int
    assert isinstance(axis.low, int | float), path  # checked on loading
    assert isinstance(axis.high, int | float), path
    return Span(axis.low, axis.high, axis.scale == "log", whole)


def _rules_out(
    values: Sequence[JsonValue], asking: Mapping[int, Sequence[JsonValue]]
) -> tuple[frozenset[int], ...]:
    """Return for each value which of the axes that ask for some are not applied with it."""
    wanted = {k: {key(setting) for setting in some} for k, some in asking.items()}
    return tuple(
        frozenset(k for k, some in wanted.items() if key(setting) not in some) for setting in values
    )


def key(setting: JsonValue) -> str:
    """Return text that is the same for equal values, whatever the order of their names."""
    return json.dumps(setting, sort_keys=True)
