"""Dotted paths: `plans.main.fee_rate`, `motives.*.education_speed`, `age_edges.0`.

A path names fields of a model; `*` stands for every name of a mapping (or item of a list), a
number for an item of a list. A *location* is a path without `*`, as a tuple of its steps.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import Tag
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from configs.age_sex_table import AgeSexTable
from configs.record import Record
from configs.text_file import brief

LIKE_ENOUGH = 0.6  # of difflib's ratio: `fee_rte` is like `fee_rate`, `fee` is not

Location = tuple[str | int, ...]


class PathError(ValueError):
    """A path that names nothing; the message says what is near."""


class Place(NamedTuple):
    """What a model declares at a location."""

    declared: Any  # the type as annotated, with its bounds
    field: FieldInfo | None  # the field itself, or the one whose items or values lie here

    @property
    def kind(self) -> Any:
        """The type without bounds and without None."""
        return _bare(self.declared)

    @property
    def nullable(self) -> bool:
        """Whether null is a value."""
        return NoneType in get_args(_unannotated(self.declared))

    @property
    def bounds(self) -> dict[str, Any]:
        """Bounds by Pydantic's names: ge, gt, le, lt, min_length, max_length."""
        return {
            name: getattr(item, name)
            for item in _metadata(self.declared)
            for name in ("ge", "gt", "le", "lt", "min_length", "max_length")
            if getattr(item, name, None) is not None
        }


def shown(location: Location) -> str:
    """Return a location as messages write it: `plans.main.benefit[0].from_age`."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def place_of(model: type[Record], location: Sequence[str | int]) -> Place | None:
    """Return what a model declares at a location (`*` may stand for any name), or None."""
    place = Place(model, None)
    for step in location:
        inner = _inner(place, step)
        if inner is None:
            return None
        place = inner
    return place


def expand(model: type[Record], tree: Any, path: str) -> tuple[Location, ...]:
    """Return the locations that a path names.

    Parameters
    ----------
    model : type of Record
        Model that the tree is, or is to be validated as.
    tree : Record or mapping
        An instance of the model, or its mappings and lists; what is left out has its default.
    path : str
        Dotted path, with or without `*`.

    Returns
    -------
    tuple of Location
        At least one, in the order of the tree.

    Raises
    ------
    PathError
        The path names nothing; the message says what is near.
    """
    found: list[tuple[Location, Place, Any]] = [((), Place(model, None), tree)]
    for head in path.split("."):
        found = [
            ((*location, step), inner, _child(node, step, place))
            for location, place, node in found
            for step in _steps(place, node, head)
            if (inner := _inner(place, step)) is not None
        ]
        if not found:
            raise PathError(_nothing_there(model, tree, path))
    return tuple(location for location, _, _ in found)


def with_value(model: type[Record], tree: Any, location: Location, value: Any) -> Any:
    """Return the tree with another value at a location, as mappings and lists down to it.

    Parameters
    ----------
    model : type of Record
        Model that the tree is, or is to be validated as.
    tree : Record or mapping
        As for `expand`; it is left as it is.
    location : Location
        One of those that `expand` returned.
    value : Any
        The value.

    Returns
    -------
    Any
        A new tree that shares all other branches with the old one; unless the location is empty,
        its top is a mapping.
    """
    return _with_value(Place(model, None), tree, location, value)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like this one (the first of equals), or None."""
    matcher = difflib.SequenceMatcher(b=name)
    best, likeness = None, LIKE_ENOUGH
    for candidate in known:
        matcher.set_seq1(candidate)
        if matcher.quick_ratio() > likeness and matcher.ratio() > likeness:
            best, likeness = candidate, matcher.ratio()
    return best


def _with_value(place: Place, node: Any, location: Location, value: Any) -> Any:
    if not location:
        return value
    step, *rest = location
    inner = _inner(place, step)
    assert inner is not None, location  # `expand` has seen it
    child = _with_value(inner, _child(node, step, place), tuple(rest), value)
    if isinstance(step, int):
        return [*node[:step], child, *node[step + 1 :]]
    fields = dict(node) if isinstance(node, Mapping | Record) else {}
    return {**fields, step: child}


def _inner(place: Place, step: str | int) -> Place | None:
    """Return the place one step further in."""
    forms = _forms(place.declared)
    if len(forms) > 1:
        named = [form for tag, form in forms if tag == step]
        inner = (
            (Place(form, place.field) for form in named)
            if named
            else (_inner(Place(form, place.field), step) for _, form in forms)
        )
        return next((found for found in inner if found is not None), None)
    kind, arguments = place.kind, get_args(place.kind)
    if _is_record(kind):
        return _field_place(kind, str(step))
    if get_origin(kind) is dict and isinstance(step, str):
        return Place(arguments[1], place.field)
    if get_origin(kind) is tuple and (isinstance(step, int) or step == "*" or step.isdecimal()):
        return Place(arguments[0], place.field)
    return None


def _forms(declared: Any) -> list[tuple[str | None, Any]]:
    """Return the types that a value may have, each with its tag in Pydantic's errors, if any."""
    declared = _unannotated(declared)
    if get_origin(declared) not in (Union, UnionType):
        return [(None, declared)]
    found: list[tuple[str | None, Any]] = []
    for form in get_args(declared):
        tag = next((item.tag for item in get_args(form)[1:] if isinstance(item, Tag)), None)
        within = _forms(form) if tag is None else []
        found += within if len(within) > 1 else [(tag, form)] if form is not NoneType else []
    return found


@cache
def _field_place(model: type[Record], name: str) -> Place | None:
    field = model.model_fields.get(name)
    return Place(field.rebuild_annotation(), field) if field else None


def _steps(place: Place, node: Any, head: str) -> list[str | int]:
    """Return the steps that one part of a path stands for at a place."""
    if _is_record(place.kind):
        return [head]
    if get_origin(place.kind) is dict and isinstance(node, Mapping):
        return [name for name in node if head in ("*", name)]
    if get_origin(place.kind) is tuple and isinstance(node, Sequence):
        return [i for i in range(len(node)) if head in ("*", str(i))]
    return []


def _child(node: Any, step: str | int, place: Place) -> Any:
    """Return what lies one step further in: what is given, else the field's default."""
    if isinstance(node, Record):
        return getattr(node, str(step))
    if isinstance(node, Mapping) and step in node:
        return node[step]
    if isinstance(step, int):
        return node[step]
    inner = _inner(place, step)
    default = (
        inner.field.get_default(call_default_factory=True)
        if _is_record(place.kind) and inner is not None and inner.field is not None
        else None
    )
    return None if default is PydanticUndefined else plain(default)


def plain(value: Any) -> Any:
    """Return models, and models in mappings and sequences, as JSON has them."""
    if isinstance(value, Record):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def _nothing_there(model: type[Record], tree: Any, path: str) -> str:
    known = list(_leaves(Place(model, None), tree, ()))
    last = path.rpartition(".")[2]
    near = nearest(path, known) or next((p for p in known if p.rpartition(".")[2] == last), None)
    if near is None:
        near = next((p for p in known if nearest(last, [p.rpartition(".")[2]])), None)
    hint = f"; did you mean {near}?" if near else ""
    return f"expected a field of the {model.__name__.lower()}, got {brief(path)}{hint}"


def _leaves(place: Place, node: Any, location: Location) -> Iterator[str]:
    """Yield the dotted path of everything that a tree holds or could hold."""
    yield ".".join(map(str, location))
    if _is_record(place.kind):
        steps: list[str | int] = list(place.kind.model_fields)
    else:
        steps = _steps(place, node, "*")
    for step in steps:
        inner = _inner(place, step)
        if inner is not None:
            yield from _leaves(inner, _child(node, step, place), (*location, step))


def _is_record(kind: Any) -> bool:
    """Whether a type has fields of its own; a table counts as one value."""
    return isinstance(kind, type) and issubclass(kind, Record) and kind is not AgeSexTable


def _unannotated(declared: Any) -> Any:
    while get_origin(declared) is Annotated:
        declared = get_args(declared)[0]
    return declared


def _bare(declared: Any) -> Any:
    declared = _unannotated(declared)
    if get_origin(declared) in (Union, UnionType):
        return _bare(next(a for a in get_args(declared) if a is not NoneType))
    return declared


def _metadata(declared: Any) -> Iterator[Any]:
    if get_origin(declared) is Annotated:
        inner, *items = get_args(declared)
        yield from _metadata(inner)
        for item in items:
            yield from item.metadata if isinstance(item, FieldInfo) else (item,)
    elif get_origin(declared) in (Union, UnionType):
        for argument in get_args(declared):
            yield from _metadata(argument)


def choices(kind: Any) -> tuple[Any, ...]:
    """Return the values of a Literal; empty for any other type."""
    return get_args(kind) if get_origin(kind) is Literal else ()
