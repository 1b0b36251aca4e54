"""Formulas as MathML, written into the page when the site is built; no script, no font, no host."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

LOGGER = logging.getLogger(__name__)
# What is left of a command or an alignment that the converter does not know.
LEFT_OVER = ("\\", "<mi>&</mi>")
# The converter writes the relation "is distributed as" as the accent of a letter, and as one.
TILDE, SIMILAR = "<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>"


def to_mathml(latex: str, display: str) -> str:
    r"""Return a formula as a MathML element.

    Parameters
    ----------
    latex : str
        The formula, without dollars.
    display : {"inline", "block"}
        In a line of text, or on lines of its own.

    Raises
    ------
    ValueError
        A command in it has no MathML; a page would show it as it stands, `\foo`.
    """
    found: str = convert(latex, display=display).replace(TILDE, SIMILAR)
    if any(part in found for part in LEFT_OVER):
        raise ValueError(f"expected LaTeX that is known as MathML, got {latex!r}")
    return found


def _written(latex: str, display: str, node: nodes.Element) -> str:
    try:
        return to_mathml(latex, display)
    except ValueError as error:
        LOGGER.warning(str(error), location=node)
        return ""


def _inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(_written(node.astext(), "inline", node))
    raise nodes.SkipNode


def _block(translator: HTML5Translator, node: nodes.math_block) -> None:
    formula = _written(node.astext(), "block", node)
    translator.body.append(f'<div class="formula">{formula}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    """Make `mathml` known as a way to show formulas."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
