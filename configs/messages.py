"""Error messages: which file, which field, what was expected, what came, what to do.

Every message has the form `FILE: FIELD: expected …, got …; remedy`, one line for each of the
first three problems. The words come from the fields' own declarations.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, get_origin

from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails, PydanticUndefined

from configs.age_sex_table import AgeSexTable
from configs.csv_text import CsvError
from configs.dotted import Location, Place, choices, nearest, shown
from configs.numbers import number_remedy
from configs.record import Record
from configs.text_file import SHOWN_LENGTH, brief

MAX_PROBLEMS = 3
MAX_COUNTED = 100  # problems looked for; beyond them there are "at least" so many
MAX_LOCATION_LENGTH = 200
_BOUND_WORDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_BOUND_ERRORS = {
    "greater_than",
    "greater_than_equal",
    "less_than",
    "less_than_equal",
    "finite_number",
}
_LENGTH_ERRORS = {"too_short", "too_long", "string_too_short", "string_too_long"}
_KINDS = {
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    str: "text",
    date: "a date such as 2018-10-16",
    Path: "the path of a file",
    dict: "a mapping of names",
    tuple: "a list",
    JsonValue: "a value",
    AgeSexTable: "the name of a table or the path of a CSV file",
}
# A step of Pydantic's locations that says which form a value has, and is nothing in the file.
_FORM = re.compile(r"^\[[a-z]+\]$")
_FIELD_FIRST = re.compile(r"^([^\s:]+): (.*)$", re.DOTALL)


class ConfigError(Exception):
    """A configuration that cannot be used; str() says which file and field, why, and the remedy."""


class Problem(NamedTuple):
    """One thing that is wrong: where, and what was expected and came."""

    location: Location
    text: str

    def line(self, file: str) -> str:
        """Return the line of a message."""
        location = shown(self.location)
        if len(location) > MAX_LOCATION_LENGTH:
            location = f"{location[: MAX_LOCATION_LENGTH - 1]}…"
        where = f"{location}: " if location else ""
        return _printable(f"{file}: {where}{self.text}")


class ProblemsError(Exception):
    """Problems whose files are not known here; `configs.load` adds them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(report(problems, lambda _: "configuration"))
        self.problems = tuple(problems)


def report(problems: Sequence[Problem], file_of: Callable[[Location], str]) -> str:
    """Return the message for some problems: a line each for the first three, then how many more.

    Whoever looks for problems may stop at `MAX_COUNTED`.

    Parameters
    ----------
    problems : sequence of Problem
        At least one.
    file_of : callable
        Name of the file that gave what lies at a location.
    """
    first = [problem.line(file_of(problem.location)) for problem in problems[:MAX_PROBLEMS]]
    return shortened([*first, *(problem.text for problem in problems[MAX_PROBLEMS:])])


def shortened(lines: Sequence[str]) -> str:
    """Return a message of the first three lines, then how many more there are."""
    more = len(lines) - MAX_PROBLEMS
    if more <= 0:
        return "\n".join(lines)
    least = "at least " if len(lines) >= MAX_COUNTED else ""
    return "\n".join([*lines[:MAX_PROBLEMS], f"and {least}{more} more"])


def problems_of(
    error: ValidationError, place_at: Callable[[Location], Place | None]
) -> tuple[Problem, ...]:
    """Return Pydantic's complaints in our words, in its order.

    Parameters
    ----------
    error : ValidationError
        What Pydantic says.
    place_at : callable
        What is declared at a location of the error.

    Returns
    -------
    tuple of Problem
        At least one, at most `MAX_COUNTED`.
    """
    details = error.errors(include_url=False)
    around = {detail["loc"][:i] for detail in details for i in range(len(detail["loc"]))}
    found = (
        problem
        for detail in details
        # a list may only seem short because Pydantic left out its bad entries
        if not (detail["type"] == "too_short" and detail["loc"] in around)
        for problem in _problems(detail, place_at)
    )
    return tuple(islice(found, MAX_COUNTED))


def _problems(detail: ErrorDetails, place_at: Callable[[Location], Place | None]) -> list[Problem]:
    place_steps = tuple(step for step in detail["loc"] if step != "[key]")
    location = tuple(step for step in place_steps if not _FORM.match(str(step)))
    if detail["type"] == "value_error":
        error = detail["ctx"]["error"]
        if isinstance(error, CsvError):  # which starts with the name of a file
            return [Problem(location, str(error))]
        return [_own_words(location, text) for text in str(error).split("\n")]
    if detail["type"] == "extra_forbidden":
        return [Problem(location, _unknown(str(location[-1]), place_at(place_steps[:-1])))]
    place = place_at(place_steps)
    if place is None:
        return [Problem(location, f"{detail['msg']}, got {value(detail['input'])}")]
    return [Problem(location, _sentence(detail, place) + _help(place))]


def _own_words(location: Location, text: str) -> Problem:
    """Take apart what a validator of ours says: `expected …`, or `field.within: expected …`."""
    match = _FIELD_FIRST.match(text)
    if match and not text.startswith("expected") and match[2].startswith("expected"):
        return Problem((*location, *_steps(match[1])), match[2])
    return Problem(location, text)


def _steps(text: str) -> Location:
    parts = re.findall(r"[^.\[\]]+|\[\d+\]", text)
    return tuple(int(part[1:-1]) if part.startswith("[") else part for part in parts)


def _unknown(name: str, place: Place | None) -> str:
    known = list(place.kind.model_fields) if place else []
    near = nearest(name, known)
    remedy = f"did you mean {near}?" if near else f"known fields: {', '.join(known)}"
    return f"expected a known field, got {brief(name)}; {remedy}"


def _sentence(detail: ErrorDetails, place: Place) -> str:
    kind, came = detail["type"], detail["input"]
    if kind == "missing":
        return f"expected {expectation(place)}, got nothing"
    if kind in _BOUND_ERRORS:
        return f"expected {_bounds(place)}, got {value(came)}"
    if kind in _LENGTH_ERRORS:
        length = detail["ctx"].get("actual_length")  # none where Pydantic stopped counting
        if length is None:
            length = len(came) if hasattr(came, "__len__") else 0
        return f"expected {_length(place)}, got {length}"
    near = nearest(came, map(str, choices(place.kind))) if isinstance(came, str) else None
    return f"expected {expectation(place)}, got {value(came)}{_remedy(place, came, near)}"


def _remedy(place: Place, came: Any, near: str | None) -> str:
    if near:
        return f"; did you mean {near}?"
    if place.kind is int and isinstance(came, float) and came.is_integer():
        return f"; write {int(came)}"
    if place.kind in (int, float) and isinstance(came, str):
        return number_remedy(came) or "; write a number without quotes, unit or % sign"
    if place.kind is bool and str(came).lower() in ("yes", "no", "on", "off"):
        return "; write true or false"
    return ""


def expectation(place: Place) -> str:
    """Return what a place takes: `a number, at least 0 and below 1`, `one of …`, … or null."""
    allowed = choices(place.kind)
    if allowed:
        text = f"one of {', '.join(map(str, allowed))}"
    elif place.kind in _KINDS:
        text = _KINDS[place.kind]
    else:
        text = _KINDS.get(get_origin(place.kind), "a mapping")
    limits = _bounds(place)
    text = f"{text}, {limits}" if limits else text
    return f"{text}, or null" if place.nullable else text


def _bounds(place: Place) -> str:
    words = [
        f"{word} {_number(place.bounds[name])}"
        for name, word in _BOUND_WORDS.items()
        if name in place.bounds
    ]
    return " and ".join(words) or ("a finite number" if place.kind is float else "")


def _length(place: Place) -> str:
    bounds = place.bounds
    last = bounds.get("max_length", bounds.get("min_length"))
    of = "characters" if place.kind is str else "entry" if last == 1 else "entries"
    words = [
        f"{word} {bounds[name]}"
        for name, word in (("min_length", "at least"), ("max_length", "at most"))
        if name in bounds
    ]
    return f"{' and '.join(words)} {of}"


def _help(place: Place) -> str:
    """Return what the field at a place means, its unit and its default, in brackets."""
    field = place.field
    if field is None or not field.description:
        return ""
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, Mapping) else {}
    parts = [field.description]
    if extra.get("unit"):
        parts.append(f"unit: {extra['unit']}")
    if field.default is not PydanticUndefined and field.default not in ((), ""):
        parts.append(f"default: {value(field.default)}")
    return f" ({'; '.join(parts)})"


def value(came: Any) -> str:
    """Return a value as YAML writes it, in brief."""
    if isinstance(came, Record):
        came = came.model_dump(mode="json")
    if isinstance(came, str):
        return brief(came)
    text = _printable(json.dumps(came, ensure_ascii=False, default=str)[: SHOWN_LENGTH + 1])
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 1]}…"


def _number(bound: float) -> str:
    return f"{bound:_}" if isinstance(bound, int) and bound > 9999 else f"{bound:.12g}"


def _printable(text: str) -> str:
    """Return text on one line: what cannot be printed is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
