"""Swept values in brief: a mapping or a list, which `points` holds as JSON text, by what is in it.

A policy that sets a mapping of plans has a name, and the name is enough. An axis over mappings has
none, so its values are told apart by their names and, where these are alike, by a number.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

LONGEST: Final = 24
"""Characters up to which a mapping or a list is written out."""

NAMES_TOLD: Final = 3


def in_brief(value: object) -> object:
    """Return a value as it is; of a mapping or a list that is long, what is in it."""
    inside = _inside(value)
    if inside is None or len(str(value)) <= LONGEST:
        return value
    if isinstance(inside, list):
        return f"[{len(inside)} item{'s' if len(inside) != 1 else ''}]"
    more = ", …" if len(inside) > NAMES_TOLD else ""
    return f"{{{', '.join(list(inside)[:NAMES_TOLD])}{more}}}"


def told_apart(values: Iterable[object]) -> list[object]:
    """Return values in brief, numbered from 1 where two that differ would read alike."""
    every = list(values)
    distinct = list(dict.fromkeys(every))
    brief = [in_brief(value) for value in distinct]
    times, seen = Counter(brief), Counter[object]()
    words: dict[object, object] = {}
    for value, short in zip(distinct, brief, strict=True):
        seen[short] += 1
        words[value] = f"{short} #{seen[short]}" if times[short] > 1 else short
    return [words[value] for value in every]


def told_points(
    rows: Sequence[Mapping[str, Any]], sweep: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return rows of `points` as they are shown.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of the table.
    sweep : mapping
        The section `sweep` of the configuration, as the manifest has it.

    Returns
    -------
    list of dict
        The rows without the mappings and lists that policies and worlds set, whose names are
        columns; other mappings and lists in brief.
    """
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}
    told = {name: told_apart(values) for name, values in told_columns(columns, sweep).items()}
    return [{name: values[i] for name, values in told.items()} for i in range(len(rows))]


def told_columns(
    columns: Mapping[str, Sequence[Any]], sweep: Mapping[str, Any]
) -> dict[str, Sequence[Any]]:
    """Return the columns of `points` without the mappings and lists that named sets have."""
    sets = [*sweep.get("policies", {}).values(), *sweep.get("worlds", {}).values()]
    named = {path for fields in sets for path in fields} - set(sweep.get("axes", {}))
    return {
        name: values
        for name, values in columns.items()
        if name not in named or all(_inside(value) is None for value in dict.fromkeys(values))
    }


def _inside(value: object) -> dict[str, Any] | list[Any] | None:
    """Return the mapping or list that a text is of, None for any other value."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return None
    try:
        found = json.loads(value)
    except ValueError:
        return None
    return found if isinstance(found, (dict, list)) else None
