"""Inputs that are too large, too deep or no text at all: one line each, soon, in little memory."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from configs import yaml_text
from configs.cluster import local_of
from configs.load import ConfigError, load
from configs.yaml_text import TextError, parse

Write = Callable[[str, str], Path]
Refusal = Callable[..., str]
SOON = 5.0  # seconds; each takes some tenths of one


def of_aliases(form: str) -> str:
    """Return some 300 bytes whose eighth level stands for a hundred million values."""
    levels = [form.format(n=n, inner=", ".join([f"*a{n - 1}"] * 10)) for n in range(1, 8)]
    return "a0: &a0 {x: 1}\n" + "\n".join(levels)


def keys_of_aliases() -> str:
    levels = [
        f"a{n}: &a{n} {{{', '.join(f'k{k}: *a{n - 1}' for k in range(10))}}}" for n in range(1, 8)
    ]
    return "a0: &a0 {x: 1}\n" + "\n".join(levels)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (of_aliases("a{n}: &a{n} [{inner}]"), 5, "at most 10_000 keys and values, aliases"),
        (of_aliases("a{n}: &a{n} {{<<: [{inner}]}}"), 5, "at most 10_000 keys and values"),
        (keys_of_aliases(), 5, "at most 10_000 keys and values, aliases included"),
        (f"a: &a {'x' * 60_000}\nb: [{', '.join(['*a'] * 200)}]", 2, "at most 12_000_000 char"),
        ("a:\n" + "".join(f"  k{k}: 1\n" for k in range(6_000)), 5_001, "at most 10_000 keys"),
        (f"a: {'x' * 70_000}", 1, "expected text of at most 65_536 characters, got 70_000"),
        (f"a: {'9' * 4300}", 1, "expected a number of at most 400 digits, got 4_300"),
        (f"a: 0.{'1' * 4300}", 1, "expected a number of at most 400 digits, got 4_302"),
        ("a:\n  " + "{b: " * 60, 2, "expected at most 50 levels of nesting, got more"),
        (f"a: *{'b' * 70_000}", 1, "found undefined alias 'b{100,180}$"),
        (f"'{'b' * 300}': 1\n'{'b' * 300}': 1", 2, r"expected each key once, got 'b{58}… again"),
    ],
)
def test_yaml_beyond_a_limit_is_refused_with_its_line(
    text: str, line: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_text, "MAX_NODES", 10_000)
    begun = time.process_time()
    with pytest.raises(TextError, match=said) as caught:
        parse(text)
    assert caught.value.line == line
    assert len(str(caught.value)) < 300
    assert time.process_time() - begun < SOON


def test_aliases_and_merge_keys_below_the_limits_work() -> None:
    text = "a: &a {x: 1, y: &y [2, 3]}\nb: {<<: [*a, *a], z: *y}\nc: [*a, *y, *y]"
    both = {"x": 1, "y": [2, 3]}
    assert parse(text) == {"a": both, "b": {**both, "z": [2, 3]}, "c": [both, [2, 3], [2, 3]]}


def test_a_file_beyond_the_limits_is_refused(
    write: Write, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_text, "MAX_BYTES", 20)
    large = write("large.yaml", "name: " + "x" * 30)
    assert refusal(large) == "large.yaml: expected a YAML file of at most 20 bytes, got 36"
    monkeypatch.setattr(yaml_text, "MAX_BYTES", 200)
    monkeypatch.setattr(yaml_text, "MAX_CHARACTERS", 20)
    assert refusal(large) == "large.yaml line 1: expected at most 20 characters, got 36"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('extends: "a\\0b.yaml"', r"extends: expected an existing file, got 'a\x00b.yaml'"),
        ('extends: "a\\0/b.yaml"', r"got 'a\x00/b.yaml'; cannot look into the folder"),
        ("extends: /dev/zero", "extends: expected an existing file, got '/dev/zero'"),
        ("extends: pipe", "extends: expected an existing file, got 'pipe'"),
        ("extends: .", "extends: expected an existing file, got '.'"),
        ("extends: top.yaml", "do not extend one another in a circle, got top.yaml -> top.yaml"),
        ("extends: link.yaml", "do not extend one another in a circle, got top.yaml -> link.yaml"),
        ('sweep: {draws: "a\\0/b.csv"}', r"got 'a\x00/b.csv'; there is no folder 'a\x00'"),
        ("sweep: {draws: pipe.csv}", "sweep.draws: expected an existing CSV file, got 'pipe.csv'"),
        ("scenario: {title: 1e400}", "scenario.title: expected text"),
    ],
)
def test_files_that_cannot_be_are_refused(
    write: Write, refusal: Refusal, setting: str, said: str
) -> None:
    top = write("top.yaml", f"{setting}\n")
    os.mkfifo("pipe")
    os.mkfifo("pipe.csv")
    Path("link.yaml").symlink_to("top.yaml")
    message = refusal(top)
    assert message.startswith("top.yaml: ")
    assert said in message


def test_a_pipe_is_no_configuration(write: Write, refusal: Refusal) -> None:
    write("other.yaml", "")
    os.mkfifo("pipe.yaml")
    assert refusal("pipe.yaml") == "pipe.yaml: expected a YAML file, got a pipe or a device"


def test_long_chains_of_files_are_refused(write: Write, refusal: Refusal, small: Path) -> None:
    write("c0.yaml", "extends: small.yaml")
    for n in range(1, 30):
        write(f"c{n}.yaml", f"extends: c{n - 1}.yaml")
    assert load("c18.yaml") == load(small).model_copy(update={"name": "c18"})
    assert refusal("c19.yaml") == (
        "c0.yaml: extends: expected at most 20 files that extend one another, got more"
    )
    assert refusal("c29.yaml").startswith("c10.yaml: extends: expected at most 20 files")


def test_many_problems_are_counted_up_to_a_hundred(small_text: str, write: Write) -> None:
    known = {
        "wrong keys": "scenario:\n" + "".join(f"  wrong_{k}: 1\n" for k in range(3_000)),
        "wrong axes": "sweep:\n  axes:\n"
        + "".join(f"    claims.levl{k}: [1]\n" for k in range(3_000)),
        "wrong members": "scenario:\n  initial_members:\n"
        + "    - {age: 3, sex: male, motive: x, health: standard, members: 1}\n" * 3000,
    }
    write("small.yaml", small_text)
    for name, text in known.items():
        top = write("top.yaml", f"extends: small.yaml\n{text}")
        begun = time.process_time()
        with pytest.raises(ConfigError, match="expected") as caught:
            load(top)
        assert time.process_time() - begun < SOON, name
        assert str(caught.value).splitlines()[3:] == ["and at least 97 more"], name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"name: {'n' * 61}", "name: expected at least 1 and at most 60 characters, got 61"),
        (f"scenario: {{plans: {{? {'p' * 61} : {{}}}}}}", "expected at most 60 characters, got 61"),
        (f"scenario: {{title: {'t' * 501}}}", "title: expected at most 500 characters, got 501"),
        (f"scenario: {{? {'k' * 900} : 1}}", "expected a known field, got 'kkkkk"),
        (
            "sweep: {policies: {" + ", ".join(f"p{k}: {{}}" for k in range(1001)) + "}}",
            "sweep.policies: expected at most 1000 entries, got 1001",
        ),
        (f"sweep: {{paths: {'9' * 400}}}", "sweep.paths: expected at least 1 and at most"),
        ("sweep: {axes: {claims.level: [1], claims.trend_per_year: [.inf]}}", "got Infinity"),
    ],
)
def test_names_and_numbers_have_bounds(
    write: Write, refusal: Refusal, small: Path, text: str, said: str
) -> None:
    message = refusal(write("top.yaml", f"extends: small.yaml\n{text}\n"))
    assert said in message
    assert all(len(line) < 900 for line in message.splitlines())


def test_a_grid_of_a_trillion_points_is_refused(
    write: Write, refusal: Refusal, small: Path
) -> None:
    levels = ", ".join(f"{1 + k / 1000}" for k in range(1000))
    axes = ("claims.level", "claims.selection_years", "income_yuan_per_year", "shock_cap")
    text = "".join(f"    {axis}: [{levels}]\n" for axis in axes)
    message = refusal(write("top.yaml", f"extends: small.yaml\nsweep:\n  axes:\n{text}"))
    assert message.endswith("at most 10_000_000 points, got 1_000_000_000_000; shorten an axis")


@pytest.mark.parametrize("size", ["9" * 400, "9" * 400 + "GB", "1e9", "1_0", "1.2.3", "2e400"])
def test_a_memory_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(ConfigError, match="--memory: memory_bytes: expected a number of bytes"):
        local_of(1, size)


def test_a_memory_size_beyond_all_machines_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected at most 1000 TB, got '1001 TB'"):
        local_of(1, "1001 TB")


def test_overrides_have_the_same_limits(
    small: Path, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_text, "MAX_NODES", 10_000)
    bomb = "{a: &a [1,1,1,1,1,1,1,1,1,1]" + "".join(
        f", {b}: &{b} [{','.join([f'*{a}'] * 10)}]" for a, b in ("ab", "bc", "cd", "de", "ef")
    )
    said = refusal(small, f"scenario.title={bomb}}}")
    assert said.startswith("--set: scenario.title: expected at most 10_000 keys and values")
    assert len(refusal(small, f"scenario.{'x' * 60_000}=1")) < 300
    assert "'1_0'; group digits in threes" in refusal(small, "sweep.paths=1_0")
