"""Policies and worlds: named sets of fields that all points are run under."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from configs.load import ConfigError, digest, load
from configs.scenario import Scenario
from configs.sweep import (
    Sweep,
    column_values,
    columns,
    engine_at,
    engines,
    point_count,
    scenario_at,
    values_at,
)

Write = Callable[[str, str], Path]
Refusal = Callable[..., str]

FEE = "plans.main.fee_rate"
CROSSED = """
extends: small.yaml
sweep:
  policies:
    as_it_is: {}
    dear: {plans.main.fee_rate: 0.5, plans.main.smoothing: null}
  worlds:
    calm: {news.echo: 0}
    tense: {news.echo: 0.5, shock_cap: 2}
    tenser: {news.echo: 0.6}
  axes:
    periods: [3, 4]
"""


def test_points_are_policies_by_worlds_by_the_design(small: Path, write: Write) -> None:
    config = load(write("top.yaml", CROSSED))
    assert point_count(config) == 2 * 3 * 2
    found = [values_at(config, index) for index in range(12)]
    assert [(row["policy"], row["world"], row["periods"]) for row in found] == list(
        itertools.product(["as_it_is", "dear"], ["calm", "tense", "tenser"], [3, 4])
    )
    assert columns(config) == (
        *("policy", "world", FEE, "plans.main.smoothing", "news.echo", "shock_cap", "periods"),
    )
    assert {tuple(row) for row in found} == {columns(config)}
    assert found[3] == {
        **{"policy": "as_it_is", "world": "tense", FEE: None, "plans.main.smoothing": None},
        **{"news.echo": 0.5, "shock_cap": 2.0, "periods": 4},
    }


def test_columns_have_the_values_of_their_points_or_the_ends_of_a_range(
    small: Path, write: Write
) -> None:
    config = load(write("top.yaml", CROSSED))
    rows = [values_at(config, index) for index in range(point_count(config))]
    known = column_values(config)
    assert tuple(known) == columns(config)
    for name in columns(config):
        listed = {None, *known[name]}
        assert {row[name] for row in rows} | {None} == listed, name
    given = ["sweep.design=random", "sweep.points=1", "sweep.axes={periods: {low: 3, high: 9}}"]
    assert column_values(load(small, given)) == {"periods": (3, 9)}


def test_scenario_of_a_point_has_what_policy_world_and_axes_set(small: Path, write: Write) -> None:
    config = load(write("top.yaml", CROSSED))
    point, own = scenario_at(config, 9), config.scenario
    assert (point.plans["main"].fee_rate, point.news.echo, point.shock_cap) == (0.5, 0.5, 2)
    assert point.periods == 4
    point = scenario_at(config, 4)
    assert point.plans["main"].fee_rate == own.plans["main"].fee_rate == 0.08
    assert (point.news.echo, point.shock_cap, point.periods) == (0.6, own.shock_cap, 3)


def test_policies_alone_make_a_point_each_and_one_column_more(small: Path) -> None:
    config = load(small, [f"sweep.policies={{a: {{}}, b: {{{FEE}: 0}}}}"])
    assert [values_at(config, index) for index in range(point_count(config))] == [
        {"policy": "a", FEE: None},
        {"policy": "b", FEE: 0.0},
    ]


def test_override_sets_a_field_of_a_policy(small: Path, write: Write) -> None:
    config = load(write("top.yaml", CROSSED), [f"sweep.policies.dear.{FEE}=0.25"])
    assert values_at(config, 6)[FEE] == 0.25


def test_policies_may_set_the_same_field_as_one_another(small: Path) -> None:
    sets = "{a: {news.echo: 0.1}, b: {news: {echo: 0.2}}}"
    config = load(small, [f"sweep.policies={sets}"])
    assert [scenario_at(config, index).news.echo for index in (0, 1)] == [0.1, 0.2]


def test_policies_cross_the_points_of_a_sample(small: Path) -> None:
    given = ["sweep.design=sobol", "sweep.points=4", f"sweep.axes={{{FEE}: {{low: 0, high: 0.5}}}}"]
    alone = load(small, given)
    both = load(small, [*given, "sweep.policies={a: {periods: 3}, b: {periods: 4}}"])
    fees = [values_at(alone, index)[FEE] for index in range(4)]
    assert [values_at(both, index)[FEE] for index in range(8)] == fees * 2


def test_no_field_of_a_scenario_is_called_as_the_columns_of_policies_and_worlds() -> None:
    assert not {"policy", "world"} & Scenario.model_fields.keys()


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ("policies={a: {engine: member}, b: {}}", ("member", "cohort")),
        ("policies={a: {engine: member}}", ("member",)),
        ("worlds={a: {}, b: {engine: cohort}}", ("cohort",)),
    ],
)
def test_engines_are_those_that_policies_and_worlds_can_have(
    small: Path, sets: str, expected: tuple[str, ...]
) -> None:
    config = load(small, [f"sweep.{sets}"])
    assert engines(config) == expected
    assert {engine_at(config, index) for index in range(point_count(config))} == {*expected}
    assert {scenario_at(config, i).engine for i in range(point_count(config))} == {*expected}


def test_a_policy_that_names_no_engine_has_the_scenario_s(small: Path) -> None:
    config = load(small, ["engine=member", "sweep.policies={a: {engine: cohort}, b: {}}"])
    assert engines(config) == ("cohort", "member")
    assert [engine_at(config, index) for index in (0, 1)] == ["cohort", "member"]


def test_digest_follows_policies_and_their_order(small: Path) -> None:
    sets = [
        "{a: {}, b: {periods: 3}}",
        "{b: {periods: 3}, a: {}}",
        "{a: {}, b: {periods: 4}}",
        "{}",
    ]
    digests = {digest(load(small, [f"sweep.policies={some}"]), 1) for some in sets}
    assert len(digests) == 4


def test_a_design_given_takes_the_place_of_the_file_s_sweep(small: Path, write: Write) -> None:
    file = write("top.yaml", CROSSED)
    config = load(file, ["sweep.paths=7"], Sweep(axes={FEE: (0, 0.5)}))
    assert (columns(config), config.sweep.paths) == ((FEE,), 7)


def test_a_bad_design_that_is_given_is_refused_by_its_name(small: Path) -> None:
    with pytest.raises(ConfigError, match=r"^design: sweep.axes.nothing: expected a field of"):
        load(small, [], Sweep(axes={"nothing": (1,)}))


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        (
            f"{{policies: {{a: {{{FEE}: 2}}}}}}",
            f"sweep.policies.a.{FEE}: expected at least 0 and below 1, got 2 "
            "(management fee on benefits; unit: share of benefits; default: 0.0)",
        ),
        (
            "{worlds: {a: {plans.main.fee: 0}}}",
            "sweep.worlds.a.plans.main.fee: expected a field of the scenario, "
            f"got 'plans.main.fee'; did you mean {FEE}?",
        ),
        (
            "{policies: {a: {news.echo: 0}}, worlds: {b: {news: {}}}}",
            "sweep.worlds.b.news: expected fields that no other part of the sweep sets, got news; "
            "sweep.policies.a.news.echo sets it too",
        ),
        (
            "{policies: {a: {news.echo: 0}}, axes: {news.echo: [0]}}",
            "sweep.axes.news.echo: expected fields that no other part of the sweep sets, "
            "got news.echo; sweep.policies.a.news.echo sets it too",
        ),
        (
            "{policies: {a: {news.echo: 0, news: {}}}}",
            "sweep.policies.a.news: expected fields that no other part of the sweep sets, "
            "got news; sweep.policies.a.news.echo sets it too",
        ),
        (
            "{policies: {a.b: {}}}",
            "sweep.policies.a.b: expected a name of letters, digits, _ and -, got 'a.b'",
        ),
        (
            "{policies: {a: 3}}",
            "sweep.policies.a: expected a mapping of names, got 3 "
            "(named sets of fields, by their dotted paths; all points are run under each)",
        ),
        (
            "{policies: {a: {}, b: {plans.main.max_age: 61}}}",
            "sweep.policies.b.plans.main.max_age: expected the last age of a band "
            "(age_edges [0, 20, 40, 60]), got 61",
        ),
        (
            "{policies: {a: {plans.main.max_age: 61}, b: {}}}",
            "sweep.policies.a.plans.main.max_age: expected the last age of a band "
            "(age_edges [0, 20, 40, 60]), got 61",
        ),
        (
            "{policies: {a: {}, b: {engine: cohort, learns_from: own_bills}}}",
            "sweep.policies.b.learns_from: expected 'share' with the engine 'cohort', "
            "got 'own_bills'; write engine: member",
        ),
        (
            "{policies: {a: {}, b: {news.echo: 0.5}}, worlds: {c: {}, d: {news.persistence: 0.6}}}",
            "sweep.policies: point 3 (policy='b', world='d', news.echo=0.5, "
            "news.persistence=0.6): news.echo: expected echo * size / (1 - persistence) below 1, "
            "got 1.25; otherwise news explodes",
        ),
    ],
)
def test_bad_policy_or_world_is_refused_by_its_field(
    small: Path, write: Write, refusal: Refusal, sweep: str, message: str
) -> None:
    top = write("top.yaml", f"extends: {small}\nsweep: {sweep}\n")
    assert refusal(top) == f"top.yaml: {message}"
