"""The JSON Schemas of configurations and calibrations, for editors that complete YAML."""

import json
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel

from configs.age_sex_table import AgeSexTable
from configs.sweep import Config

Kind = Literal["configuration", "calibration"]

EXTENDS = {
    "type": "string",
    "description": "Another file of the kind, relative to this one: this file's mappings are "
    "merged into its, lists and scalars replace what was there.",
}
Schema = dict[str, Any]


def json_schema(of: Kind = "configuration") -> Schema:
    """Return the JSON Schema (draft 2020-12) of a kind of file.

    A mapping of a file may leave out anything, because the file that it `extends` may hold it; so
    no mapping requires a field here, and `configs.load` checks the whole. Lists replace one
    another as a whole, so what stands in a list still requires its fields.

    Parameters
    ----------
    of : {"configuration", "calibration"}
        A scenario with its sweep and cluster, or a scenario's fit to published figures.

    Returns
    -------
    dict
        Ready for json.dumps. Each field has its meaning, unit, default and the sections of the
        model in its description.
    """
    schema = _model(of).model_json_schema()
    definitions = schema["$defs"]
    whole = {*_names_in_lists(schema), AgeSexTable.__name__}
    for name, definition in [("", schema), *definitions.items()]:
        if name not in whole:
            definition.pop("required", None)
    for node in _schemas(schema):
        if "oneOf" in node:  # `{workers: 2}` fits more than one of them, none requiring its kind
            node["anyOf"] = node.pop("oneOf")
        for field in node.get("properties", {}).values():
            field["description"] = _description(field)
    _drop_titles(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"huzhu {of}",
        **schema,
        "properties": {"extends": EXTENDS, **schema["properties"]},
    }


def _model(of: Kind) -> type[BaseModel]:
    """Return what files of a kind hold."""
    if of == "configuration":
        return Config
    from configs.calibration import File  # which takes its priors from SciPy

    return File


def _description(field: Schema) -> str:
    """Return a field's meaning, unit, default and sections."""
    parts = [field.get("description", "")]
    if field.get("unit"):
        parts.append(f"unit: {field['unit']}")
    if field.get("default") not in (None, "", []):
        parts.append(f"default: {json.dumps(field['default'])}")
    sections = field.get("model_sections", [])
    if sections:
        parts.append(f"MODEL section {', '.join(map(str, sections))}")
    return "; ".join(part for part in parts if part)


def _names_in_lists(node: Any) -> Iterator[str]:
    """Yield the names of the definitions that stand in lists."""
    for inner in _schemas(node):
        reference = inner.get("items", {}).get("$ref", "")
        if reference:
            yield reference.rpartition("/")[2]


def _drop_titles(node: Any) -> None:
    """Remove the titles, which only repeat the fields' names."""
    for inner in _schemas(node):
        if isinstance(inner.get("title"), str):
            del inner["title"]


def _schemas(node: Any) -> Iterator[Schema]:
    if isinstance(node, dict):
        yield node
        for inner in list(node.values()):
            yield from _schemas(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _schemas(inner)
