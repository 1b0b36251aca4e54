"""YAML as the configuration uses it: version 1.2's plain scalars, each key once.

PyYAML follows YAML 1.1, where `no` is false, `1e-3` is text and `010` is eight; editors and the
JSON Schema follow 1.2, and so does this module. Digits may be grouped in threes: `100_000_000`.
Sizes are limited, so that no text takes more than some seconds and 1 GB of memory; aliases count
as what they stand for.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import yaml

from configs.messages import ConfigError
from configs.numbers import LONGEST
from configs.text_file import FileError, brief, read_text

MAX_BYTES: Final = 30_000_000  # a character takes up to 3
MAX_CHARACTERS: Final = 12_000_000
MAX_NODES: Final = 100_000  # keys, values, lists and mappings
MAX_DEPTH: Final = 50
MAX_SCALAR: Final = 65_536  # characters
MAX_MESSAGE: Final = 200  # characters of what PyYAML says

_DIGITS = r"(?:[0-9]+|[1-9][0-9]{0,2}(?:_[0-9]{3})+)"
_INT = re.compile(rf"^(?:[-+]?{_DIGITS}|0o[0-7]+|0x[0-9a-fA-F]+)$")
_FLOAT = re.compile(
    rf"^(?:[-+]?(?:\.[0-9]+|{_DIGITS}(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_PLAIN = (
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("int", _INT, "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("merge", re.compile(r"^<<$"), "<"),
)


class TextError(ValueError):
    """Text that is not YAML as we use it; `line` counts from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Refuses sizes beyond the limits, a key given twice in a mapping, keys that are not text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._nodes = self._characters = 0
        self._sizes: dict[int, tuple[int, int]] = {}  # nodes and characters, by id of the node

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if self._depth == MAX_DEPTH:
            raise TextError(line, f"expected at most {MAX_DEPTH} levels of nesting, got more")
        nodes, characters = self._nodes, self._characters
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent):
            self._count(line, *self._sizes.get(id(node), (1, 0)))
            return node
        self._count(line, 1, _length(node, line) if isinstance(node, yaml.ScalarNode) else 0)
        if event.anchor is not None:
            self._sizes[id(node)] = (self._nodes - nodes, self._characters - characters)
        return node

    def _count(self, line: int, nodes: int, characters: int) -> None:
        """Add to the totals; refuse them beyond the limits."""
        self._nodes += nodes
        self._characters += characters
        if self._nodes > MAX_NODES:
            raise TextError(
                line, f"expected at most {MAX_NODES:_} keys and values, aliases included, got more"
            )
        if self._characters > MAX_CHARACTERS:
            raise TextError(
                line, f"expected at most {MAX_CHARACTERS:_} characters, aliases included, got more"
            )

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except TextError:
            raise
        except (ValueError, KeyError):  # a tag that does not fit, or digits without end
            line, kind = node.start_mark.line + 1, node.tag.rpartition(":")[2]
            raise TextError(line, f"expected a value of type {kind}, got another") from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        first: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.tag != "tag:yaml.org,2002:str":
                name = key.value if isinstance(key, yaml.ScalarNode) else "a mapping or a list"
                raise TextError(
                    line, f"expected text as a key, got {name[:MAX_MESSAGE]} (put it in quotes)"
                )
            if key.value in first:
                raise TextError(
                    line,
                    f"expected each key once, got {brief(key.value)} again "
                    f"(first in line {first[key.value]})",
                )
            first[key.value] = line
        return super().construct_mapping(node, deep=deep)


def _length(node: yaml.ScalarNode, line: int) -> int:
    """Return the characters of a scalar; refuse it beyond the limits."""
    length = len(node.value)
    if length > MAX_SCALAR:
        raise TextError(line, f"expected text of at most {MAX_SCALAR:_} characters, got {length:_}")
    if length > LONGEST and node.tag.endswith((":int", ":float")):
        raise TextError(line, f"expected a number of at most {LONGEST} digits, got {length:_}")
    return length


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 would read as anything but text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Left bare or in single quotes, these breaks would read back as a line feed.
    style = '"' if any(mark in text for mark in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node).replace("_", "")
    return int(text, 0 if text[:2] in ("0o", "0x") else 10)


_Loader.yaml_implicit_resolvers = {}
_Loader.yaml_constructors = {
    tag: constructor
    for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
    if tag is None
    or tag.rpartition(":")[2] in ("null", "bool", "int", "float", "str", "seq", "map")
}
for _tag, _pattern, _first in _PLAIN:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_first))
for _tag, _pattern, _first in _PLAIN[1:3]:
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
_Dumper.add_representer(str, _text)


def parse(text: str) -> Any:
    """Return what YAML text says: mappings, lists, text, numbers, booleans, None.

    Raises
    ------
    TextError
        The text is not YAML, is beyond the limits, or holds a key twice, a key that is not text, or
        a tag.
    """
    if len(text) > MAX_CHARACTERS:
        raise TextError(1, f"expected at most {MAX_CHARACTERS:_} characters, got {len(text):_}")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return None if node is None else loader.construct_object(node, deep=True)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise TextError(mark.line + 1 if mark else 1, _syntax(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        text = f"expected YAML, got the character {chr(error.character)!r}"
        raise TextError(line, text) from None


def read(path: Path) -> Any:
    """Return what a YAML file says, as `parse` does.

    Raises
    ------
    ConfigError
        The file cannot be read or is not YAML; the message names file and line.
    """
    try:
        return parse(read_text(path, MAX_BYTES, "YAML file", "UTF-8"))
    except FileError as error:
        raise ConfigError(f"{path}: {error}") from None
    except TextError as error:
        raise ConfigError(f"{path} line {error.line}: {error}") from None


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = (error.problem or error.context or "text that is not YAML")[:MAX_MESSAGE]
    remedy = " (indent with spaces)" if "\\t" in problem else ""
    context = f" {error.context}" if error.context and error.problem else ""
    return f"expected YAML, but {problem}{context}{remedy}"


def write(data: Any) -> str:
    """Return mappings, lists and scalars as YAML text that `parse` reads back unchanged."""
    return yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
        default_flow_style=None,
    )
