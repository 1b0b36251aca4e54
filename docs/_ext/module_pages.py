"""The directive `{modules}`: a section with the public names of each module of some packages.

A module that is added to a package is on the page without anybody listing it.
"""

import importlib
import pkgutil
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

CODE = re.compile(r"(`[^`]*`)")
# Marks of reStructuredText that our docstrings mean as they stand.
MARKS = re.compile(r"([|*]|(?<=\w)_(?!\w))")
BEFORE_NAPOLEON = 400


def modules_in(names: list[str]) -> list[str]:
    """Return modules by their dotted names; of a package, every module in it."""
    found = []
    for name in names:
        path = getattr(importlib.import_module(name), "__path__", None)
        inner = [name] if path is None else [f"{name}.{m.name}" for m in pkgutil.iter_modules(path)]
        found += inner
    return found


class Modules(SphinxDirective):
    """The public names of modules, a section a module."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the sections, in the order of the names given."""
        return [self._section(name) for name in modules_in(list(self.content))]

    def _section(self, name: str) -> nodes.section:
        """Return what autodoc says of a module."""
        section = nodes.section(ids=[f"api-{name}"], names=[name])
        section += nodes.title("", "", nodes.literal("", name))
        section += self.parse_text_to_nodes(
            f"```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n"
        )
        return section


def plain(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Let the marks of reStructuredText in a docstring stand for themselves, outside code."""
    for number, line in enumerate(lines):
        parts = CODE.split(line)
        parts[::2] = [MARKS.sub(r"\\\1", part) for part in parts[::2]]
        lines[number] = "".join(parts)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Make the directive known."""
    app.add_directive("modules", Modules)
    app.connect("autodoc-process-docstring", plain, priority=BEFORE_NAPOLEON)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
