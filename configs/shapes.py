"""The shape of a sweep's points: which plans and pools each of them has, and for how long.

Policies, worlds and axes can set whole mappings of plans or pools, and the length of a path, so
that points of one run differ in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from configs.scenario import Scenario

SHAPING: Final = ("plans", "pools", "periods", "periods_per_year")
"""Fields of a scenario that decide the shape of a point; fields within plans or pools do not."""


@dataclass(frozen=True)
class Shape:
    """Plans, pools and length of a point.

    Attributes
    ----------
    plans : tuple of str
        Plans in order, the main plan first.
    pools : tuple of str
        Pools in order. A scenario that names none has one, called as its main plan.
    periods, periods_per_year : int
        Periods of a path that does not end early, and how many make a year.
    """

    plans: tuple[str, ...]
    pools: tuple[str, ...]
    periods: int
    periods_per_year: int

    @property
    def main_plan(self) -> str:
        """The first plan."""
        return self.plans[0]


@dataclass(frozen=True)
class Shapes:
    """The shapes of the points of a sweep.

    Attributes
    ----------
    distinct : tuple of Shape
        Each shape once, in the order of the first point that has it; at least one.
    numbers : tuple of int
        For each point, its position in `distinct`; empty where all points are alike.
    """

    distinct: tuple[Shape, ...]
    numbers: tuple[int, ...] = ()

    def at(self, point: int) -> Shape:
        """Return the shape of a point; IndexError where points differ and this one is not there."""
        return self.distinct[self.numbers[point] if self.numbers else 0]

    @cached_property
    def plans(self) -> tuple[str, ...]:
        """The plans of all points, each once."""
        return tuple(dict.fromkeys(plan for shape in self.distinct for plan in shape.plans))

    @cached_property
    def pools(self) -> tuple[str, ...]:
        """The pools of all points, each once."""
        return tuple(dict.fromkeys(pool for shape in self.distinct for pool in shape.pools))

    @property
    def periods(self) -> int:
        """The length of the longest point."""
        return max(shape.periods for shape in self.distinct)

    @property
    def have_same_plans(self) -> bool:
        """Whether all points have the same plans in the same order."""
        return len({shape.plans for shape in self.distinct}) == 1


def numbered(shapes: Iterable[Shape]) -> Shapes:
    """Return the shapes of points, given in the order of the points; there is at least one."""
    distinct: dict[Shape, int] = {}
    numbers = [distinct.setdefault(shape, len(distinct)) for shape in shapes]
    return Shapes(tuple(distinct), tuple(numbers) if len(distinct) > 1 else ())


def pool_names(plans: Iterable[str], pools: Iterable[str]) -> tuple[str, ...]:
    """Return the names of pools as the tables have them: without any, that of the first plan."""
    return tuple(pools) or (next(iter(plans)),)


def shape_of(scenario: Scenario) -> Shape:
    """Return the shape of a scenario."""
    return Shape(
        tuple(scenario.plans),
        pool_names(scenario.plans, scenario.pools),
        scenario.periods,
        scenario.periods_per_year,
    )


def is_shaped(columns: Iterable[str]) -> bool:
    """Return whether any of some swept fields can make points differ in shape."""
    return not set(SHAPING).isdisjoint(columns)


def with_settings(shape: Shape, named: tuple[str, ...], settings: Mapping[str, Any]) -> Shape:
    """Return a shape with what a point sets.

    Parameters
    ----------
    shape : Shape
        Shape of the scenario as it is written.
    named : tuple of str
        Pools that the scenario names; it may name none.
    settings : mapping of str to value
        What the point sets, by dotted path.
    """
    plans = tuple(settings.get("plans", shape.plans))
    pools = settings["pools"] or () if "pools" in settings else named
    numbers = {name: int(settings[name]) for name in SHAPING[2:] if name in settings}
    return replace(shape, plans=plans, pools=pool_names(plans, pools), **numbers)
