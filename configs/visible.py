"""Text for a terminal or a drawing: characters that would steer it are made visible.

Titles and names come from files, which somebody else may have written. An escape sequence in them
could recolour or rewrite what stands on the screen, and a mark of writing direction could reorder
it. SVG cannot hold control characters at all.
"""

import re
from typing import Any, Final

_STEERING: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u206f\ufeff\ufff9-\ufffb"  # unseen, direction
    "\u2028-\u202e\ud800-\udfff\ufffe\uffff\U000e0000-\U000e007f]"  # line ends, no characters, tags
)


def visible(text: str) -> str:
    r"""Return text in which every control character and direction mark is written as its code.

    Line breaks and tabs stay, and so do the joiners that scripts and emoji need.

    >>> print(visible("red \x1b[31m, right to left \u202e"))
    red \x1b[31m, right to left \u202e
    """
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def all_visible(tree: Any) -> Any:
    """Return a tree of mappings and lists in which every text is `visible`."""
    if isinstance(tree, str):
        return visible(tree)
    if isinstance(tree, dict):
        return {all_visible(key): all_visible(value) for key, value in tree.items()}
    return [all_visible(value) for value in tree] if isinstance(tree, list) else tree
