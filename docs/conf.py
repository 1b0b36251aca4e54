"""Settings of the documentation's site: `python -m sphinx -W -b html docs OUT`.

Everything is made from this tree and nothing is fetched: formulas become MathML when the site is
built, fonts are the reader's own, and no page asks another host for anything.
"""

import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

project = "huzhu 互助"
author = "The huzhu founders"
release = metadata.version("huzhu")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "mathml",
    "field_pages",
    "table_pages",
    "module_pages",
]
exclude_patterns = ["_ext", "_static"]
myst_enable_extensions = ["attrs_inline", "deflist", "dollarmath"]
# so that `page.md#a-heading` is the same link here and on a code host
myst_heading_anchors = 3

# In docstrings a single backquote is code.
default_role = "code"
# Types in docstrings are plain words, and a word may be the name of more than one attribute.
suppress_warnings = ["ref.python"]
autodoc_member_order = "bysource"
napoleon_google_docstring = False

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["formulas.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_copyright = False
