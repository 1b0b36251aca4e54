"""The directive `{run-tables}`: every table of a run and its columns, from their definition."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from results.schema import NAME, TABLES, Column, Table

HEADER = ("column", "type", "unit", "meaning")
WIDTHS = (24, 14, 18, 44)


def type_of(column: Column) -> str:
    """Return a column's Arrow type, a name for what is stored as a dictionary of strings."""
    kind = "string" if column.dtype == NAME else str(column.dtype)
    return f"{kind}, may be missing" if column.nullable else kind


class RunTables(SphinxDirective):
    """Every table of a run."""

    def run(self) -> list[nodes.Node]:
        """Return one section a table."""
        return [_section(table) for table in TABLES.values()]


def _section(table: Table) -> nodes.section:
    """Return a table's name, what one row is, and its columns."""
    section = nodes.section(ids=[f"table-{table.name}"], names=[table.name])
    section += nodes.title("", "", nodes.literal("", table.name))
    section += nodes.paragraph("", f"{table.meaning[0].upper()}{table.meaning[1:]}.")
    section += _columns(table)
    return section


def _columns(table: Table) -> nodes.table:
    """Return the columns of a table, a row each."""
    group = nodes.tgroup(cols=len(HEADER))
    group += [nodes.colspec(colwidth=width) for width in WIDTHS]
    group += nodes.thead("", _row(*(nodes.Text(name) for name in HEADER)))
    group += nodes.tbody("", *(_column(column) for column in table.columns))
    return nodes.table("", group)


def _column(column: Column) -> nodes.row:
    texts = (type_of(column), column.unit, column.meaning)
    return _row(nodes.literal("", column.name), *map(nodes.Text, texts))


def _row(*cells: nodes.Node) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Make the directive known."""
    app.add_directive("run-tables", RunTables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
