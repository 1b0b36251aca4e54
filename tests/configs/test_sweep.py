"""Sweeps: axes, points and their order, and what is refused."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.load import Config, ConfigError, load
from configs.scenario import Scenario
from configs.sweep import (
    Sweep,
    engine_at,
    engines,
    point_at,
    point_count,
    points,
    scenario_at,
    values_at,
)

Write = Callable[[str, str], Path]
Refusal = Callable[..., str]

FEE, SPEED, BENEFIT = (
    "plans.main.fee_rate",
    "motives.*.education_speed",
    "plans.main.benefit.0.benefit_yuan",
)


@pytest.fixture
def swept(small: Path) -> Callable[..., Config]:
    """Load small.yaml with axes."""

    def config(**axes: str) -> Config:
        return load(small, [f"sweep.axes.{path}={values}" for path, values in axes.items()])

    return config


def with_axes(config: Config, axes: dict[str, Any]) -> Config:
    """Return a configuration with axes that `load` has not seen."""
    return Config(name=config.name, scenario=config.scenario, sweep=Sweep(axes=axes))


def test_no_axes_make_one_point_that_is_the_scenario(small: Path) -> None:
    config = load(small)
    (point,) = points(config)
    assert (point.index, point.values) == (0, {})
    assert point.scenario == config.scenario


def test_grid_takes_every_combination_with_the_last_axis_fastest(
    swept: Callable[..., Config],
) -> None:
    config = swept(**{FEE: "[0, 0.1]", SPEED: "[0.1, 0.2, 0.3]", BENEFIT: "[5]"})
    assert point_count(config) == 6
    found = points(config)
    assert [point.index for point in found] == list(range(6))
    assert [tuple(point.values.values()) for point in found] == list(
        itertools.product([0.0, 0.1], [0.1, 0.2, 0.3], [5.0])
    )
    assert list(found[0].values) == [FEE, SPEED, BENEFIT]


def test_scenario_of_a_point_has_its_values_and_nothing_else_changed(
    swept: Callable[..., Config],
) -> None:
    config = swept(**{FEE: "[0, 0.1]", SPEED: "[0.1, 0.3]", BENEFIT: "[5, 6]"})
    for point in points(config):
        main = point.scenario.plans["main"]
        assert main.fee_rate == point.values[FEE]
        assert main.benefit[0].benefit_yuan == point.values[BENEFIT]
        speeds = {motive.education_speed for motive in point.scenario.motives.values()}
        assert speeds == {point.values[SPEED]}
        tree = point.scenario.model_dump()
        for motive, before in config.scenario.motives.items():
            tree["motives"][motive]["education_speed"] = before.education_speed
        tree["plans"]["main"]["fee_rate"] = config.scenario.plans["main"].fee_rate
        before_benefit = config.scenario.plans["main"].benefit[0].benefit_yuan
        tree["plans"]["main"]["benefit"][0]["benefit_yuan"] = before_benefit
        assert tree == config.scenario.model_dump()


def test_star_in_a_list_sets_every_item(swept: Callable[..., Config]) -> None:
    config = swept(**{"plans.*.benefit.*.benefit_yuan": "[1, 2]"})
    benefit = scenario_at(config, 1).plans["main"].benefit
    assert [step.benefit_yuan for step in benefit] == [2, 2]


def test_point_alone_equals_the_point_among_all(swept: Callable[..., Config]) -> None:
    config = swept(**{FEE: "[0, 0.1]", SPEED: "[0.1, 0.3]"})
    assert tuple(point_at(config, i) for i in range(4)) == points(config)


@pytest.mark.parametrize("index", [-1, 2])
def test_point_that_is_not_there_is_refused(swept: Callable[..., Config], index: int) -> None:
    config = swept(**{FEE: "[0, 0.1]"})
    with pytest.raises(IndexError, match=f"expected a point from 0 to 1, got {index}"):
        scenario_at(config, index)


def test_values_are_those_of_the_field(swept: Callable[..., Config]) -> None:
    config = swept(**{FEE: "[0, 0.5]", "periods": "[3, 4]", "start_date": "[null, 2018-10-16]"})
    assert config.sweep.axes[FEE] == (0.0, 0.5)
    assert all(isinstance(fee, float) for fee in config.sweep.axes[FEE])
    assert values_at(config, 7) == {FEE: 0.5, "periods": 4, "start_date": "2018-10-16"}


def test_tables_are_swept_by_name_and_kept_by_content(swept: Callable[..., Config]) -> None:
    names = ["incidence_cn_2020_28_diseases", "incidence_cn_2006_2010_6_diseases"]
    config = swept(**{"claims.incidence": f"[{', '.join(names)}]"})
    found = points(config)
    assert [point.values["claims.incidence"] for point in found] == names
    assert [point.scenario.claims.incidence.name for point in found] == names
    assert found[0].scenario.claims.incidence == config.scenario.claims.incidence


def test_whole_lists_are_swept_and_labelled_as_json(swept: Callable[..., Config]) -> None:
    config = swept(**{"plans.main.benefit": "[[{from_age: 0, benefit_yuan: 9}]]"})
    (point,) = points(config)
    assert point.values["plans.main.benefit"] == '[{"from_age":0,"benefit_yuan":9.0}]'
    assert point.scenario.plans["main"].benefit[0].benefit_yuan == 9


def test_fields_that_only_fit_together_may_be_swept_together(small: Path) -> None:
    """Each value is wrong with the file's other values, but right with the other axis's."""
    axes = [
        "sweep.axes.channels.organic.motives.bargain=[0.3]",
        "sweep.axes.channels.organic.motives.altruist=[0.7]",
    ]
    assert point_count(load(small, axes)) == 1


def test_hundred_thousand_points_are_planned_at_once_and_built_singly(
    swept: Callable[..., Config],
) -> None:
    fees = [i / 1000 for i in range(500)]
    speeds = [i / 1000 for i in range(200)]
    config = swept(**{FEE: str(fees), SPEED: str(speeds)})
    assert point_count(config) == 100_000
    start = time.perf_counter()
    assert values_at(config, 99_999) == {FEE: fees[-1], SPEED: speeds[-1]}
    assert scenario_at(config, 99_999).plans["main"].fee_rate == fees[-1]
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (
            "{plans.main.fee_rate: [0, 0.1, -1]}",
            "sweep.axes.plans.main.fee_rate[2]: expected at least 0 and below 1, got -1 "
            "(management fee on benefits; unit: share of benefits; default: 0.0)",
        ),
        (
            "{plans.main.fee_rate: [0, '0.1']}",
            "sweep.axes.plans.main.fee_rate[1]: expected a number, at least 0 and below 1, "
            "got '0.1'; write a number without quotes, unit or % sign "
            "(management fee on benefits; unit: share of benefits; default: 0.0)",
        ),
        (
            "{motives.*.education_speed: [2]}",
            "sweep.axes.motives.*.education_speed[0]: expected at least 0 and at most 1, got 2 "
            "(e: share of the gap between bill and expectation learnt in a period; "
            "unit: per period; default: 0.1)",
        ),
        (
            "{plans.main.fee: [0]}",
            "sweep.axes.plans.main.fee: expected a field of the scenario, got 'plans.main.fee'; "
            "did you mean plans.main.fee_rate?",
        ),
        (
            "{fee_rate: [0]}",
            "sweep.axes.fee_rate: expected a field of the scenario, got 'fee_rate'; "
            "did you mean plans.main.fee_rate?",
        ),
        (
            "{initial_members.*.members: [0]}",
            "sweep.axes.initial_members.*.members: expected a field of the scenario, "
            "got 'initial_members.*.members'; did you mean initial_members?",
        ),
        (
            "{plans.main.fee_rate: []}",
            "sweep.axes.plans.main.fee_rate: expected at least 1 entry, got 0 "
            "(values of each swept field, by its dotted path in the scenario (`*`: every name): "
            "a list, {values}, or {low, high} in a sampled design; no axes: one point)",
        ),
        (
            "{plans.main.fee_rate: 0.1}",
            "sweep.axes.plans.main.fee_rate: expected a list, got 0.1 "
            "(values of each swept field, by its dotted path in the scenario (`*`: every name): "
            "a list, {values}, or {low, high} in a sampled design; no axes: one point)",
        ),
        (
            "{plans.main.fee_rate: [0, 0.1, 0.0]}",
            "sweep.axes.plans.main.fee_rate[2]: expected values that differ, got 0.0 as in [0]",
        ),
        (
            "{plans.main.fee_rate: [0], plans.*.fee_rate: [0]}",
            "sweep.axes.plans.*.fee_rate: expected fields that no other axis sets, "
            "got plans.main.fee_rate; sweep.axes.plans.main.fee_rate sets it too",
        ),
        (
            "{news: [{}], news.echo: [0]}",
            "sweep.axes.news.echo: expected fields that no other axis sets, got news.echo; "
            "sweep.axes.news sets it too",
        ),
        (
            "{plans.main.max_age: [59, 61]}",
            "sweep.axes.plans.main.max_age[1]: expected the last age of a band "
            "(age_edges [0, 20, 40, 60]), got 61",
        ),
        (
            "{news.echo: [0, 0.5], news.persistence: [0, 0.6]}",
            "sweep.axes: point 3 (news.echo=0.5, news.persistence=0.6): news.echo: "
            "expected echo * size / (1 - persistence) below 1, got 1.25; otherwise news explodes",
        ),
        (
            "{news.size: [3, 4], news.echo: [0.5]}",
            "sweep.axes: point 0 (news.size=3.0, news.echo=0.5): news.echo: "
            "expected echo * size / (1 - persistence) below 1, got 1.5; otherwise news explodes",
        ),
        (
            "{channels.organic.motives.bargain: [0.5, 0.6]}",
            "sweep.axes.channels.organic.motives.bargain[1]: channels.organic.motives: "
            "expected probabilities that sum to 1, got a sum of 1.1",
        ),
        (
            "{engine: [member, cohort], learns_from: [own_bills]}",
            "sweep.axes.engine[1]: learns_from: "
            "expected 'share' with the engine 'cohort', got 'own_bills'; write engine: member",
        ),
        (
            "{claims.incidence: [nowhere.csv]}",
            "sweep.axes.claims.incidence[0]: expected a shipped table or an existing CSV file, "
            "got 'nowhere.csv'; shipped tables: incidence_cn_2006_2010_25_diseases, "
            "incidence_cn_2006_2010_6_diseases, incidence_cn_2020_28_diseases, "
            "mortality_cn_2010_2013_nonpension_1",
        ),
    ],
)
def test_bad_axis_is_refused_by_its_value(
    small: Path, write: Write, refusal: Refusal, axes: str, message: str
) -> None:
    top = write("top.yaml", f"extends: {small}\nsweep: {{axes: {axes}}}\n")
    assert refusal(top) == f"top.yaml: {message}"


def test_grid_of_too_many_points_is_refused(small: Path, refusal: Refusal) -> None:
    many = str([i / 10_000 for i in range(4000)])
    overrides = [f"sweep.axes.{path}={many}" for path in (FEE, SPEED)]
    assert refusal(small, *overrides) == (
        "--set: sweep.axes: expected at most 10_000_000 points, got 16_000_000; shorten an axis"
    )


def test_points_beyond_those_checked_at_load_are_refused_when_built(small: Path) -> None:
    echoes = str([i / 10_000 for i in range(1500)])
    config = load(small, [f"sweep.axes.news.echo={echoes}", "sweep.axes.news.size=[1, 7]"])
    assert scenario_at(config, 0).news.size == 1
    with pytest.raises(
        ConfigError,
        match=r"small: sweep.axes: point 2859 \(news.echo=0.1429, news.size=7.0\): news.echo: "
        r"expected echo .* below 1, got 1",
    ):
        points(config)


def test_axes_that_were_never_loaded_are_refused_when_built(small: Path) -> None:
    config = with_axes(load(small), {"plans.main.fee": (0,)})
    with pytest.raises(ConfigError, match=r"small: sweep.axes.*expected a field of the scenario"):
        scenario_at(config, 0)


def test_scenario_without_swept_values_is_not_built_again(small: Path) -> None:
    config = load(small)
    assert isinstance(config.scenario, Scenario)
    assert scenario_at(config, 0) is config.scenario


def test_points_may_differ_in_their_engine(small: Path) -> None:
    config = load(small, ["sweep.axes.engine=[cohort, member]", "sweep.axes.news.base=[0, 1]"])
    assert [point.scenario.engine for point in points(config)] == ["cohort"] * 2 + ["member"] * 2
    assert [engine_at(config, i) for i in range(4)] == ["cohort"] * 2 + ["member"] * 2
    assert engines(config) == ("cohort", "member")


def test_without_an_axis_the_engine_is_the_scenario_s(small: Path) -> None:
    config = load(small, ["engine=member"])
    assert (engines(config), engine_at(config, 0)) == (("member",), "member")
    assert engines(load(small)) == ("cohort",)


@pytest.mark.parametrize("sample", [-0.1, 1.1])
def test_a_sample_that_is_no_share_is_refused(small: Path, refusal: Refusal, sample: float) -> None:
    assert refusal(small, f"sweep.members_sample={sample}").startswith(
        f"--set: sweep.members_sample: expected at least 0 and at most 1, got {sample} "
    )
