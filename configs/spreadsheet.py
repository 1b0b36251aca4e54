"""Text in CSV files that a spreadsheet may open: no cell becomes a formula.

A spreadsheet runs a cell that begins with = + - @ (also in their full-width forms), a tab or a line
break. Such text gets an apostrophe in front, which a spreadsheet reads as "this is text"; huzhu
removes it when it reads the file. Numbers keep their sign.
"""

import re
from typing import Final

STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a formula may begin with."""

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+|inf|infinity)([eE][+-]?\d+)?")


def guarded(text: str) -> str:
    """Return text for a CSV cell: an apostrophe first where a formula could begin.

    >>> [guarded(text) for text in ("=1+1", "-5", "- none", "main", "'=1")]
    ["'=1+1", '-5', "'- none", 'main', "''=1"]
    """
    is_safe = not text.lstrip("'").startswith(STARTS) or _NUMBER.fullmatch(text)
    return text if is_safe else f"'{text}"


def unguarded(cell: str) -> str:
    """Return the text from which `guarded` made a cell.

    >>> [unguarded(cell) for cell in ("'=1+1", "-5", "'main'", "''=1")]
    ['=1+1', '-5', "'main'", "'=1"]
    """
    bare = cell.lstrip("'")
    return cell[1:] if len(bare) < len(cell) and bare.startswith(STARTS) else cell
