"""Numbers as people and spreadsheets write them: in cells of CSV files, in YAML, in options.

Underscores may group the digits before the decimal point in threes, as in 200_000. Any other
grouping is refused, because Python would read 0_001 as 1. A decimal comma, separators of thousands,
units and % signs are refused.
"""

import math
import re
from typing import Final

LONGEST: Final = 400  # characters; 1e308 written out has 309

_GROUPED = re.compile(r"[-+]?[1-9][0-9]{0,2}(?:_[0-9]{3})+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")
_COMMAS = re.compile(r"[-+]?[0-9]+(?:,[0-9]+)+")


class NumberError(ValueError):
    """Text that is not a number."""


def read_number(text: str) -> float:
    """Return the finite number that a text is.

    Raises
    ------
    NumberError
        The text is no number, or not a finite one.
    """
    if len(text) <= LONGEST and text.isascii() and is_well_grouped(text):
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if math.isfinite(found):
            return found
    raise NumberError(text[:LONGEST])


def read_whole_number(text: str) -> int:
    """Return the whole number that a text is; 3.0 and 1E+05, as spreadsheets write them, count.

    Raises
    ------
    NumberError
        The text is no whole number.
    """
    found = read_number(text)
    if not found.is_integer():
        raise NumberError(text)
    try:
        return int(text)
    except ValueError:
        return int(found)


def is_well_grouped(text: str) -> bool:
    """Return whether a text has no underscores, or only such as group digits in threes."""
    return "_" not in text or _GROUPED.fullmatch(text.strip()) is not None


def number_remedy(text: str) -> str:
    """Return how to write a number that was refused, after `; `; empty where it is not known."""
    text = text[:LONGEST].strip()
    if not text.isascii() and any(character.isdigit() for character in text):
        return "; write it with the digits 0 to 9"
    if "_" in text and any(character.isdigit() for character in text):
        return "; group digits in threes (200_000) or not at all"
    if _COMMAS.fullmatch(text):
        return "; write a decimal point, and no separators of thousands"
    return ""
