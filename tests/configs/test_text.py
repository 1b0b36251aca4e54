"""Text that others wrote: visible on a terminal, and no formula in a spreadsheet."""

import doctest

import pytest

from configs import spreadsheet, visible
from configs.spreadsheet import guarded, unguarded


@pytest.mark.parametrize("module", [spreadsheet, visible])
def test_the_examples_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("over\rwritten\x08", r"over\rwritten\x08"),
        ("\u202egnp.exe\u2066\u200f", r"\u202egnp.exe\u2066\u200f"),
        ("\u2028\ufeff\udc80", r"\u2028\ufeff\udc80"),
        ("两 行\n三\t列 é 👩\u200d🚀 \u3000 עברית", "两 行\n三\t列 é 👩\u200d🚀 \u3000 עברית"),
    ],
)
def test_what_steers_a_terminal_is_written_as_its_code(text: str, seen: str) -> None:
    assert visible.visible(text) == seen
    assert visible.all_visible({"title": [text, 1]}) == {"title": [seen, 1]}


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+cmd|x", "'+1+cmd|x"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("＝1", "'＝1"),
        ("'=1", "''=1"),
        ("'quoted'", "'quoted'"),
        ("-5", "-5"),
        ("+1.5e-3", "+1.5e-3"),
        ("-infinity", "-infinity"),
        ("2020-01-01", "2020-01-01"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_text_that_a_spreadsheet_would_compute_is_guarded_and_read_back(
    text: str, cell: str
) -> None:
    assert guarded(text) == cell
    assert unguarded(cell) == text
