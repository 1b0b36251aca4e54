"""Draws of a posterior: points at every draw, policies that win, and what is refused."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from configs.draws import Draws
from configs.load import Config, digest, dump, load
from configs.sweep import (
    column_values,
    columns,
    engines,
    point_count,
    scenario_at,
    settings_at,
    swept_fields,
    values_at,
)

Write = Callable[[str, str], Path]
Refusal = Callable[..., str]

FEE, LEVEL, SPEED = "plans.main.fee_rate", "claims.level", "motives.bargain.education_speed"
ROWS = [(0.4, 0.01, 0.1, 5), (0.5, 0.02, 0.2, 6), (0.6, 0.03, 0.3, 7), (0.7, 0.04, 0.4, 8)]
POSTERIOR = f"{LEVEL},{FEE},{SPEED},periods\n" + "".join(
    ",".join(map(str, row)) + "\n" for row in ROWS
)
CROSSED = """
extends: small.yaml
sweep:
  policies: {as_it_was: {}, dear: {plans.main.fee_rate: 0.3}, slow: {motives.*.education_speed: 0}}
  worlds: {calm: {news.echo: 0}, tense: {news.echo: 0.5}}
  draws: {file: posterior.csv, take: 2}
  axes: {shock_cap: [2, 3, 4]}
"""


@pytest.fixture
def crossed(small: Path, write: Write) -> Config:
    """Three policies in two worlds at two of four draws, with three points of a grid."""
    write("posterior.csv", POSTERIOR)
    return load(write("top.yaml", CROSSED))


def test_points_are_policies_by_worlds_by_draws_by_the_design(crossed: Config) -> None:
    assert point_count(crossed) == 3 * 2 * 2 * 3
    found = [values_at(crossed, index) for index in range(point_count(crossed))]
    known = [(row["policy"], row["world"], row["draw"], row["shock_cap"]) for row in found]
    policies, worlds = ["as_it_was", "dear", "slow"], ["calm", "tense"]
    assert known == list(itertools.product(policies, worlds, [0, 2], [2, 3, 4]))
    assert {tuple(row) for row in found} == {columns(crossed)}
    assert columns(crossed) == (
        *("policy", "world", "draw", FEE, "motives.*.education_speed", "news.echo"),
        *(LEVEL, SPEED, "periods", "shock_cap"),
    )
    assert swept_fields(crossed.sweep) == columns(crossed)[3:]
    assert engines(crossed) == ("cohort",)


def test_scenario_of_a_point_has_the_values_of_its_draw(crossed: Config) -> None:
    point = scenario_at(crossed, 4)  # policy 0, world 0, draw 1, design 1
    assert (point.claims.level, point.plans["main"].fee_rate) == (0.6, 0.03)
    assert (point.motives["bargain"].education_speed, point.periods) == (0.3, 7)
    assert (point.news.echo, point.shock_cap) == (0, 3)
    assert type(settings_at(crossed, 4)["periods"]) is int


def test_a_policy_wins_over_the_draws(crossed: Config) -> None:
    dear, slow = 12 + 3, 24 + 3  # both at draw 1
    assert scenario_at(crossed, dear).plans["main"].fee_rate == 0.3
    assert values_at(crossed, dear)[FEE] == 0.3
    assert scenario_at(crossed, dear).claims.level == 0.6
    assert scenario_at(crossed, slow).motives["bargain"].education_speed == 0
    assert values_at(crossed, slow)[SPEED] is None
    assert values_at(crossed, slow)[FEE] == 0.03


def test_a_policy_that_sets_what_lies_around_a_drawn_field_wins(small: Path, write: Write) -> None:
    write("posterior.csv", POSTERIOR)
    config = load(
        small, ["sweep.draws=posterior.csv", "sweep.policies={own: {claims: {level: 3}}}"]
    )
    assert scenario_at(config, 1).claims.level == 3
    assert values_at(config, 1)[LEVEL] is None


def test_column_values_of_what_is_drawn_are_the_least_and_the_greatest(crossed: Config) -> None:
    known = column_values(crossed)
    assert tuple(known) == columns(crossed)
    assert (known["draw"], known[LEVEL], known["periods"]) == ((0, 2), (0.4, 0.6), (5, 7))
    assert known[FEE] == (0.3, 0.01, 0.03)


@pytest.mark.parametrize(("take", "rows"), [(1, [0]), (3, [0, 1, 2]), (4, [0, 1, 2, 3])])
def test_draws_are_taken_evenly_over_the_file(
    small: Path, write: Write, take: int, rows: list[int]
) -> None:
    write("posterior.csv", POSTERIOR)
    config = load(small, ["sweep.draws=posterior.csv", f"sweep.draws.take={take}"])
    found = [values_at(config, index) for index in range(point_count(config))]
    assert [row["draw"] for row in found] == rows
    assert [row[LEVEL] for row in found] == [ROWS[row][0] for row in rows]


def test_the_file_is_found_beside_the_one_that_names_it(small: Path, write: Write) -> None:
    write("fits/posterior.csv", POSTERIOR)
    base = write("fits/base.yaml", "extends: ../small.yaml\nsweep: {draws: posterior.csv}\n")
    assert point_count(load(base)) == 4
    assert (
        point_count(load(write("top.yaml", "extends: fits/base.yaml"), ["sweep.draws.take=2"])) == 2
    )


def test_resolved_draws_need_no_file_and_keep_their_digest(crossed: Config, write: Write) -> None:
    resolved = write("run/config.yaml", "")
    resolved.write_text(dump(crossed), encoding="utf-8")
    Path("posterior.csv").unlink()
    assert load(resolved) == crossed
    assert digest(load(resolved), 1) == digest(crossed, 1)
    assert Config.model_validate(crossed.model_dump(mode="json")) == crossed


def test_draws_count_in_the_digest_by_content(small: Path, write: Write) -> None:
    def of(name: str, text: str) -> str:
        write(name, text)
        return digest(load(small, [f"sweep.draws={name}"]), 1)

    first = of("posterior.csv", POSTERIOR)
    assert of("another_name.csv", POSTERIOR.replace("0.4,0.01", "0.40, 0.010")) == first
    assert of("posterior.csv", POSTERIOR.replace("0.6", "0.61")) != first
    assert first != digest(load(small), 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "sweep.draws: expected the dotted paths of fields as the first line of bad.csv"),
        (
            "claims.level\n\n",
            "sweep.draws: expected draws under the first line of bad.csv, got none",
        ),
        ("claims.levl\n1\n", "bad.csv: claims.levl: expected a field of the scenario"),
        ("claims.levl\n1\n", "did you mean claims.level?"),
        ("claims\n1\n", "bad.csv: claims: expected a single field of numbers"),
        ("motives.*.education_speed\n1\n", "expected a single field of numbers, without *"),
        (
            "claims.level,claims.level\n1,2\n",
            "line 1: expected each field once, got 'claims.level'",
        ),
        ("claims.level\n1\nx\n", "bad.csv line 3: claims.level: expected a number, got 'x'"),
        ("claims.level\ninf\n", "bad.csv line 2: claims.level: expected a number, got 'inf'"),
        ("claims.level\n1\n1,2\n", "bad.csv line 3: expected a cell for each of the fields, 1 in"),
        (
            "claims.level\n1\n-1\n",
            "bad.csv draw 1 (the first is 0): claims.level: expected at least",
        ),
        ("periods\n3\n3.5\n", "draw 1 (the first is 0): periods: expected a whole number"),
        (
            "plans.main.max_age\n59\n50\n",
            "draw 1 (the first is 0): plans.main.max_age: expected the last",
        ),
    ],
)
def test_bad_file_is_refused_by_line_and_field(
    small: Path, write: Write, refusal: Refusal, text: str, said: str
) -> None:
    Path("bad.csv").write_text(text, encoding="utf-8")
    message = refusal(write("top.yaml", "extends: small.yaml\nsweep: {draws: bad.csv}\n"))
    assert message.startswith("top.yaml: sweep.draws: ")
    assert said in message


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "sweep.draws=none.csv",
            "expected an existing CSV file, got 'none.csv'; CSV files there: p",
        ),
        ("sweep.draws=small.yaml", "expected an existing CSV file, got 'small.yaml'"),
        ("sweep.draws=5", "expected the path of a CSV file, or {file, take}, got 5"),
        ("sweep.draws={take: 2}", "sweep.draws.file: expected the path of a CSV file, got nothing"),
        ("sweep.draws={file: posterior.csv, tke: 2}", "sweep.draws.tke: expected file and take"),
        (
            "sweep.draws={file: posterior.csv, take: 0}",
            "take: expected a whole number of draws, at",
        ),
        ("sweep.draws={file: posterior.csv, take: 5}", "take: expected at most 4 draws, which po"),
    ],
)
def test_what_names_no_draws_is_refused(
    small: Path, write: Write, refusal: Refusal, override: str, said: str
) -> None:
    write("posterior.csv", POSTERIOR)
    assert said in refusal(small, override)


@pytest.mark.parametrize(
    "override", ["sweep.axes.claims.level=[1, 2]", "sweep.worlds={hard: {claims: {level: 2}}}"]
)
def test_a_drawn_field_that_an_axis_or_a_world_sets_is_refused(
    small: Path, write: Write, refusal: Refusal, override: str
) -> None:
    write("posterior.csv", POSTERIOR)
    message = refusal(small, "sweep.draws=posterior.csv", override)
    assert "expected fields that no other part of the sweep sets, got claims.level" in message


def test_embedded_draws_must_be_a_table() -> None:
    given = {"name": "p", "fields": ["claims.level"], "rows": 2, "values": ["1,2"]}
    with pytest.raises(
        ValueError, match=r"values\[0\]: expected a value of each of 1 fields, got 2"
    ):
        Draws.model_validate(given)
    with pytest.raises(ValueError, match="rows: expected at least 3, got 2"):
        Draws.model_validate({**given, "values": ["1", "2", "3"]})
