"""The YAML dialect of configuration files."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from configs.yaml_text import TextError, parse, write

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
keys = st.text("aé重.-1e ~", max_size=5)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@example({"a": "x\x85y\u2028z\u2029\r\n\ufeff", "b\x85": " x"})
@given(trees)
def test_what_is_written_reads_back_unchanged(tree: Any) -> None:
    assert parse(write(tree)) == tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.5E2", 150.0),
        (".5", 0.5),
        ("100_000_000", 100_000_000),
        ("010", 10),
        ("0x1F", 31),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("2018-10-16", "2018-10-16"),
        ("1:30", "1:30"),
        ("~", None),
        ("", None),
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    read = parse(text)
    assert read == value
    assert type(read) is type(value)


def test_merge_keys_and_anchors_work() -> None:
    assert parse("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}")["b"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3", 3, r"expected each key once, got 'a' again \(first in line 1\)"),
        ("a:\n  - {b: 1, b: 2}", 2, "expected each key once, got 'b' again"),
        ("a:\n\tb: 1", 2, r"found character '\\t' .* \(indent with spaces\)"),
        ("a: [1, 2", 1, "expected YAML, but expected ',' or ']'"),
        ("a: b: c", 1, "expected YAML, but mapping values are not allowed here"),
        ("1: x", 1, r"expected text as a key, got 1 \(put it in quotes\)"),
        ("true: x", 1, "expected text as a key, got true"),
        ("? [a]\n: 1", 1, "expected text as a key, got a mapping or a list"),
        ("a: !!python/object:os.system x", 1, "could not determine a constructor for the tag"),
        ("a: 1\nb: !!set {x}", 2, "could not determine a constructor for the tag"),
        ("a: !!binary eA==", 1, "could not determine a constructor for the tag"),
        ("a: 1\nb: !!int x", 2, "expected a value of type int, got another"),
        ("a: !!bool x", 1, "expected a value of type bool, got another"),
        (f"a: {'9' * 5000}", 1, "expected a number of at most 400 digits, got 5_000"),
        ("a: &a [*a]", 1, "found unconstructable recursive node"),
        ("a: 1\n---\nb: 2", 2, "expected a single document"),
        ("a: 1\nb: \x01", 2, r"got the character '\\x01'"),
        ("a:\n " + "[" * 3000, 2, "expected at most 50 levels of nesting, got more"),
    ],
)
def test_text_that_is_not_our_yaml_is_refused_with_its_line(
    text: str, line: int, message: str
) -> None:
    with pytest.raises(TextError, match=message) as caught:
        parse(text)
    assert caught.value.line == line
