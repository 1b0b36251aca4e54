"""How many paths a point has, and which draws they see."""

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.load import digest, load
from configs.sweep import StopWhen, Sweep, rounds, seed_at

Refusal = Callable[..., str]

RULE = "sweep.stop_when={outcome: members_end, half_width: 1e5"


def test_without_a_rule_there_is_one_round_of_all_paths(small: Path) -> None:
    assert rounds(load(small, ["sweep.paths=300"]).sweep) == (300,)


def test_rounds_double_and_end_at_the_most(small: Path) -> None:
    assert rounds(load(small, ["sweep.paths=300", f"{RULE}}}"]).sweep) == (50, 100, 200, 300)
    assert rounds(load(small, ["sweep.paths=200", f"{RULE}}}"]).sweep) == (50, 100, 200)
    assert rounds(load(small, ["sweep.paths=9", f"{RULE}, at_least: 9}}"]).sweep) == (9,)


@given(st.integers(2, 2**31 - 1), st.integers(2, 2**31 - 1))
def test_rounds_rise_from_at_least_to_paths(one: int, other: int) -> None:
    rule = StopWhen(outcome="x", half_width=1, at_least=min(one, other))
    found = rounds(Sweep(paths=max(one, other), stop_when=rule))
    assert (found[0], found[-1]) == (min(one, other), max(one, other))
    for before, after in itertools.pairwise(found):
        assert before < after <= 2 * before


def test_rule_has_its_defaults(small: Path) -> None:
    rule = load(small, [f"{RULE}}}"]).sweep.stop_when
    assert rule == StopWhen(outcome="members_end", half_width=1e5, confidence=0.95, at_least=50)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            "{outcome: members_end}",
            "stop_when: expected one of half_width and relative_half_width, got neither",
        ),
        (
            "{outcome: members_end, half_width: 1, relative_half_width: 0.1}",
            "stop_when: expected one of half_width and relative_half_width, got both",
        ),
        (
            "{half_width: 1}",
            "stop_when.outcome: expected text, got nothing "
            "(column of the table `paths` whose mean is asked for)",
        ),
        (
            "{outcome: members_end, half_width: 0}",
            "stop_when.half_width: expected above 0, got 0 "
            "(half the width of the interval, in the outcome's unit; default: null)",
        ),
        (
            "{outcome: members_end, half_width: 1, at_least: 1}",
            "stop_when.at_least: expected at least 2 and at most 2_147_483_647, got 1 "
            "(paths of a point before it is looked at; unit: paths; default: 50)",
        ),
        (
            "{outcome: members_end, half_width: 1, at_least: 101}",
            "stop_when.at_least: expected at most paths 100, got 101",
        ),
        (
            "{outcome: members_end, half_width: 1, confidence: 95}",
            "stop_when.confidence: expected above 0 and below 1, got 95 "
            "(probability that the interval holds the mean; default: 0.95)",
        ),
    ],
)
def test_bad_rule_is_refused_by_its_field(
    small: Path, refusal: Refusal, rule: str, message: str
) -> None:
    assert refusal(small, f"sweep.stop_when={rule}") == f"--set: sweep.{message}"


def test_all_points_have_the_run_s_seed_and_thus_common_draws(small: Path) -> None:
    config = load(small, ["sweep.seed=7", "sweep.axes.periods=[3, 4]"])
    assert [seed_at(config, index) for index in (0, 1)] == [7, 7]


def test_independent_points_have_the_first_64_bits_of_a_hash(small: Path) -> None:
    given = ["sweep.seed=7", "sweep.axes.periods=[3, 4]", "sweep.random_numbers=independent"]
    config = load(small, given)
    expected = int(hashlib.sha256(b"7 1").hexdigest()[:16], 16)
    assert seed_at(config, 1) == expected
    assert len({seed_at(config, index) for index in range(1000)}) == 1000
    assert seed_at(load(small, [*given, "sweep.seed=71"]), 0) not in (seed_at(config, 10), 71)
    assert all(0 <= seed_at(config, index) < 2**64 for index in range(1000))


@pytest.mark.parametrize(
    "field", ["random_numbers=independent", "stop_when={outcome: a, half_width: 1}"]
)
def test_digest_follows_what_decides_the_draws_and_the_paths(small: Path, field: str) -> None:
    assert digest(load(small, [f"sweep.{field}"]), 1) != digest(load(small), 1)
