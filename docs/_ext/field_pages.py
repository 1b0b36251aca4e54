"""The directive `{fields}`: every field of a configuration file, from the models that check it.

A field stands under the place it has in a file, by its dotted path; `*` is any name of a mapping,
or any item of a list.
"""

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from docutils import nodes
from myst_parser.slugs import github_slugify
from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_jsonable_python
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from configs.json_schema import EXTENDS
from configs.record import Record
from configs.sweep import Config

Schema = dict[str, Any]

# Names of a JSON Schema's types, for people who write YAML.
TYPES: Final = {
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "string": "text",
    "null": "none",
    "array": "list",
    "object": "mapping",
}
# What bounds a value, and how it is said; then what bounds how many there are, and of what.
BOUNDS: Final = (
    ("minimum", "at least"),
    ("exclusiveMinimum", "above"),
    ("maximum", "at most"),
    ("exclusiveMaximum", "below"),
    ("pattern", "matching"),
)
COUNTS: Final = (
    ("minLength", "maxLength", "character"),
    ("minItems", "maxItems", "item"),
    ("minProperties", "maxProperties", "name"),
)


@dataclass(frozen=True)
class Group:
    """The fields of one place in a file.

    Attributes
    ----------
    path : str
        Dotted path of the place, "" for the file itself.
    kind : str
        Which kind it is where a place takes mappings of several kinds, else "".
    model : str
        Name of the model that checks it.
    """

    path: str
    kind: str
    model: str


@cache
def schema() -> Schema:
    """Return the JSON Schema of a configuration, as the models give it."""
    found: Schema = Config.model_json_schema()
    return found


@cache
def section_anchors(page: Path) -> dict[int, str]:
    """Return the anchors of the numbered sections of a page: 4 is `4-apportionment`."""
    titles = re.findall(r"^## ((\d+)\. .*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {int(number): github_slugify(title) for title, number in titles}


@cache
def models() -> dict[str, type[BaseModel]]:
    """Return every model by its name."""
    found: list[type[BaseModel]] = [Record]
    for model in found:
        found += model.__subclasses__()
    return {model.__name__: model for model in found}


def properties(model: str) -> dict[str, Schema]:
    """Return the fields of a model, each by its name, as JSON Schema."""
    definition = schema() if model == "Config" else schema()["$defs"][model]
    # a table may be named instead of written out, and draws be read from a file
    forms = [definition, *definition.get("anyOf", ())]
    return {name: field for form in forms for name, field in form.get("properties", {}).items()}


def groups(path: str = "", model: str = "Config", kind: str = "") -> Iterator[Group]:
    """Yield the places of a file that have fields, each followed by those within it."""
    yield Group(path, kind, model)
    for name, field in properties(model).items():
        inner = list(_models_in(f"{path}.{name}".lstrip("."), field))
        for place, other in inner:
            yield from groups(place, other, _name_of_kind(other) if len(inner) > 1 else "")


def _name_of_kind(model: str) -> str:
    """Return what tells a model from the others that may stand in its place."""
    kind: str = properties(model).get("kind", {}).get("const", model.lower())
    return kind


def _models_in(path: str, node: Schema) -> Iterator[tuple[str, str]]:
    """Yield the models that a field holds, each with its dotted path."""
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        if name in models():
            yield path, name
    for inner in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        yield from _models_in(path, inner)
    for inner in ("items", "additionalProperties"):
        if isinstance(node.get(inner), dict):
            yield from _models_in(f"{path}.*", node[inner])


def kind_of(node: Schema) -> str:
    """Return what a field takes, in words."""
    choices = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    if choices:
        return ", or ".join(dict.fromkeys(map(kind_of, choices)))
    if "enum" in node or "const" in node:
        return " or ".join(f"`{_shown(c)}`" for c in node.get("enum") or [node["const"]])
    if "$ref" in node:
        return _kind_of_model(node["$ref"].rpartition("/")[2])
    kind = "date" if node.get("format") == "date" else TYPES.get(node.get("type", ""), "any value")
    inner = node.get("items") or node.get("additionalProperties")
    if inner and isinstance(inner, dict):
        kind += f", each {'item' if kind == 'list' else 'name with'} {_within(inner)}"
    return ", ".join([kind, *_bounds(node)])


def _kind_of_model(name: str) -> str:
    """Return what a model takes, in words."""
    if name == "AgeSexTable":
        return "name of a table, path of a CSV file, or mapping"
    if name == "Draws":
        return "path of a CSV file, or mapping"
    return "mapping" if name in models() else "any value"


def _within(node: Schema) -> str:
    """Return what is inside a list or mapping, with an article where words need one."""
    kind = kind_of(node)
    return kind if kind.startswith(("text", "true", "any")) else f"a {kind}"


def _bounds(node: Schema) -> list[str]:
    """Return what bounds a value, in words."""
    values = [f"{words} {_number(node[name])}" for name, words in BOUNDS if name in node]
    counts = [_count(node.get(low), node.get(high), what) for low, high, what in COUNTS]
    return [*values, *filter(None, counts)]


def _count(least: int | None, most: int | None, what: str) -> str:
    """Return how many there are, in words; nothing where that is free."""
    if least is None and most is None:
        return ""
    plural = what if (least if most is None else most) == 1 else f"{what}s"
    if most is None:
        return f"at least {least} {plural}"
    return f"at most {most} {plural}" if least is None else f"{least} to {most} {plural}"


def _number(bound: Any) -> str:
    return f"{bound:_}" if isinstance(bound, int) and bound >= 10_000 else f"{bound}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def default_of(model: str, name: str) -> str:
    """Return a field's default as a file would have it, or "required"."""
    field = models()[model].model_fields.get(name)
    if field is None:  # of what a file of draws is read with: a run keeps what was in it
        return "default none" if "default" in properties(model)[name] else "required"
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined:
        return "required"
    if default is None:
        return "default none"
    if isinstance(default, BaseModel):
        return "each field's own default"
    if default in ((), {}, ""):
        return "default empty"
    return f"default `{_shown(to_jsonable_python(default))}`"


class Fields(SphinxDirective):
    """Every field of a configuration file."""

    def run(self) -> list[nodes.Node]:
        """Return one section a place."""
        return [self._section(group) for group in groups()]

    def _section(self, group: Group) -> nodes.section:
        """Return the fields of one place."""
        title = group.path or "The file"
        words = f"{title} ({group.kind})" if group.kind else title
        section = nodes.section(ids=[_anchor(group.path or "file", group.kind)], names=[words])
        section += nodes.title("", "", nodes.Text(words))
        section += self._paragraph(_first_line(models()[group.model]))
        listed = nodes.definition_list()
        listed += [self._field(group, name, node) for name, node in _fields_of(group)]
        section += listed
        return section

    def _field(self, group: Group, name: str, node: Schema) -> nodes.definition_list_item:
        """Return one field: its path, its meaning, and what it takes."""
        path = f"{group.path}.{name}".lstrip(".")
        term = nodes.term("", "", nodes.literal("", path), ids=[_anchor(path, group.kind, "field")])
        takes = [kind_of(node)]
        if node.get("unit"):
            takes.append(f"unit: {node['unit']}")
        takes.append(default_of(group.model, name) if name != "extends" else "default none")
        details = self._paragraph("; ".join(takes))
        for number in node.get("model_sections", ()):
            details += [nodes.Text("; "), self._to_section(number)]
        body = nodes.definition("", self._paragraph(node.get("description", "")), details)
        return nodes.definition_list_item("", term, body)

    def _to_section(self, number: int) -> nodes.reference:
        """Return a link to a section of the mathematics."""
        page = self.env.srcdir / "mathematics.md"
        self.env.note_dependency(page)
        target = f"mathematics.html#{section_anchors(page)[number]}"
        return nodes.reference("", f"section {number}", internal=True, refuri=target)

    def _paragraph(self, markdown: str) -> nodes.paragraph:
        """Return a line of text in which backquotes mean code."""
        found = nodes.paragraph()
        for place, part in enumerate(markdown.split("`")):
            found += nodes.literal("", part) if place % 2 else nodes.Text(part)
        return found


def _fields_of(group: Group) -> Iterator[tuple[str, Schema]]:
    """Yield the fields of a place; the file's own first is `extends`, which no model has."""
    if not group.path:
        yield "extends", EXTENDS
    yield from properties(group.model).items()


def _anchor(path: str, kind: str, what: str = "fields") -> str:
    """Return the anchor of a place or a field: `field-scenario.plans.any.fee_rate`."""
    return "-".join(part for part in (what, kind, path.replace("*", "any")) if part)


def _first_line(model: type[BaseModel]) -> str:
    """Return what a model is, the first paragraph of its docstring."""
    text = inspect.getdoc(model) or ""
    return " ".join(text.split("\n\n")[0].split())


def setup(app: Sphinx) -> ExtensionMetadata:
    """Make the directive known."""
    app.add_directive("fields", Fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
