"""Axes in a file: lists, ranges and conditions; what is refused, and where."""

from collections.abc import Callable
from pathlib import Path

import pytest

from configs.load import Config, ConfigError, dump, load
from configs.sweep import columns, engines, point_count, points, scenario_at, values_at

Write = Callable[[str, str], Path]
Refusal = Callable[..., str]

FEE, RULE = "plans.main.fee_rate", "plans.main.rule"
QUOTA = "plans.main.pooled_bands.quota"
BANDED = (
    "{plans: {main: {pooled_bands: {from_ages: [0, 20], quota: 0.1}}}, "
    "channels: {organic: {push: [{from_period: 0, value: 0}]}}}"
)
HELP = "(management fee on benefits; unit: share of benefits; default: 0.0)"


@pytest.fixture
def over(small: Path, write: Write) -> Callable[[str], Path]:
    """Write `top.yaml`, whose `sweep` is given and extends small.yaml."""

    def file(sweep: str) -> Path:
        return write("top.yaml", f"extends: {small}\nscenario: {BANDED}\nsweep: {{{sweep}}}\n")

    return file


def rows(config: Config) -> list[tuple[object, ...]]:
    return [tuple(values_at(config, index).values()) for index in range(point_count(config))]


def test_values_may_stand_in_a_mapping(over: Callable[[str], Path]) -> None:
    listed = load(over(f"axes: {{{FEE}: {{values: [0, 0.1]}}}}"))
    assert listed.sweep == load(over(f"axes: {{{FEE}: [0, 0.1]}}")).sweep


def test_conditional_axis_multiplies_only_the_points_where_it_is_applied(
    over: Callable[[str], Path],
) -> None:
    config = load(
        over(
            f"axes: {{{RULE}: [equal, pooled_bands, expected], "
            f"{QUOTA}: {{values: [0, 1], only_if: {{{RULE}: [pooled_bands]}}}}, {FEE}: [0, 0.5]}}"
        )
    )
    assert columns(config) == (RULE, QUOTA, FEE)
    assert rows(config) == [
        ("equal", None, 0.0),
        ("equal", None, 0.5),
        ("pooled_bands", 0.0, 0.0),
        ("pooled_bands", 0.0, 0.5),
        ("pooled_bands", 1.0, 0.0),
        ("pooled_bands", 1.0, 0.5),
        ("expected", None, 0.0),
        ("expected", None, 0.5),
    ]
    quotas = [point.scenario.plans["main"].pooled_bands for point in points(config)]
    assert [bands.quota for bands in quotas if bands] == [0.1, 0.1, 0, 0, 1, 1, 0.1, 0.1]


def test_condition_is_met_by_values_as_the_field_has_them(over: Callable[[str], Path]) -> None:
    """A whole number in the file is a number in the field; null is a value like others."""
    config = load(
        over(
            f"axes: {{{FEE}: [0, 0.1], periods: {{values: [3, 4], only_if: {{{FEE}: [0]}}}}, "
            "start_date: [null, 2018-10-16], "
            "shock_cap: {values: [2, 3], only_if: {start_date: [null]}}}"
        )
    )
    assert point_count(config) == (2 + 1) * (2 + 1)
    assert rows(config)[-1] == (0.1, None, "2018-10-16", None)


def test_tables_of_conditions_lie_beside_their_file(small: Path, write: Write) -> None:
    table = "age,male,female\n" + "".join(f"{age},0.001,0.002\n" for age in range(60))
    write("a/own.csv", table)
    write(
        "a/top.yaml",
        """
        extends: ../small.yaml
        sweep:
          axes:
            claims.mortality: {values: [null, own.csv]}
            periods: {values: [3, 4], only_if: {claims.mortality: [own.csv]}}
          policies: {cheap: {claims.incidence: own.csv}}
        """,
    )
    config = load("a/top.yaml")
    assert rows(config) == [
        ("cheap", "own", None, None),
        ("cheap", "own", "own", 3),
        ("cheap", "own", "own", 4),
    ]


def test_list_takes_the_values_in_turn(over: Callable[[str], Path]) -> None:
    config = load(over(f"design: list, axes: {{{FEE}: [0, 0.1, 0.1], periods: [3, 4, 4]}}"))
    assert rows(config) == [(0.0, 3), (0.1, 4), (0.1, 4)]


def test_values_of_a_list_need_fit_only_in_turn(over: Callable[[str], Path]) -> None:
    shares = "channels.organic.motives"
    config = load(
        over(f"design: list, axes: {{{shares}.bargain: [0.3, 0.6], {shares}.altruist: [0.7, 0.4]}}")
    )
    assert scenario_at(config, 1).channels["organic"].motives == {"bargain": 0.6, "altruist": 0.4}


def test_a_condition_holds_in_a_list_too(over: Callable[[str], Path]) -> None:
    config = load(
        over(
            f"design: list, axes: {{{RULE}: [equal, pooled_bands], "
            f"{QUOTA}: {{values: [0.5, 0.6], only_if: {{{RULE}: [pooled_bands]}}}}}}"
        )
    )
    assert rows(config) == [("equal", None), ("pooled_bands", 0.6)]


def test_a_part_of_an_axis_is_set_by_an_override(over: Callable[[str], Path]) -> None:
    file = over(f"design: random, points: 1, axes: {{{FEE}: {{low: 0, high: 0.1}}}}")
    config = load(file, [f"sweep.axes.{FEE}.low=0.5", f"sweep.axes.{FEE}.high=0.50001"])
    assert rows(config)[0][0] == pytest.approx(0.5, abs=1e-4)


def test_dumped_designs_load_to_themselves(over: Callable[[str], Path], write: Write) -> None:
    config = load(
        over(
            f"design: saltelli, points: 4, second_order: true, axes: {{{RULE}: [equal, "
            f"pooled_bands], {QUOTA}: {{low: 0, high: 1, only_if: {{{RULE}: [pooled_bands]}}}}, "
            f"{FEE}: {{low: 0.01, high: 0.1, scale: log}}}}, worlds: {{calm: {{periods: 3}}}}, "
            "stop_when: {outcome: members_end, half_width: 3}, paths: 60"
        )
    )
    again = load(write("again.yaml", dump(config)))
    assert again.sweep == config.sweep
    assert Config.model_validate(config.model_dump(mode="json")) == config
    assert rows(again) == rows(config)
    assert point_count(config) == 4 * (2 * 3 + 2)


def test_engines_of_an_axis_that_may_be_left_out_include_the_scenario_s(
    over: Callable[[str], Path],
) -> None:
    axis = "engine: {values: [member], only_if: {periods: [3]}}"
    assert engines(load(over(f"axes: {{periods: [3, 4], {axis}}}"))) == ("member", "cohort")
    assert engines(load(over(f"axes: {{periods: [3], {axis}}}"))) == ("member",)
    periods = f"periods: {{values: [3], only_if: {{{FEE}: [0]}}}}"
    chained = load(over(f"axes: {{{FEE}: [0, 0.1], {periods}, {axis}}}"))
    assert engines(chained) == ("member", "cohort")


def test_an_axis_is_not_applied_where_the_one_it_depends_on_is_not(
    over: Callable[[str], Path],
) -> None:
    """Weights would be refused with the rule that the scenario has."""
    config = load(
        over(
            f"axes: {{periods: [3, 4], {RULE}: {{values: [table], only_if: {{periods: [4]}}}}, "
            "plans.main.weights: {values: [[{from_age: 0}]], only_if: {plans.main.rule: [table]}}}"
        )
    )
    assert [row[:2] for row in rows(config)] == [(3, None), (4, "table")]


def test_values_of_a_conditional_axis_are_those_of_the_field(over: Callable[[str], Path]) -> None:
    config = load(
        over(f"axes: {{periods: [3], {FEE}: {{values: [0], only_if: {{periods: [3]}}}}}}")
    )
    assert [type(cell) for cell in rows(config)[0]] == [int, float]


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        (
            f"design: random, points: 9, axes: {{{FEE}: {{low: 0, high: 2}}}}",
            f"sweep.axes.{FEE}.high: expected at least 0 and below 1, got 2 {HELP}",
        ),
        (
            f"design: random, points: 9, axes: {{{FEE}: {{low: a, high: 0.5}}}}",
            f"sweep.axes.{FEE}.low: expected a number, at least 0 and below 1, got 'a'; "
            f"write a number without quotes, unit or % sign {HELP}",
        ),
        (
            f"design: random, points: 9, axes: {{{FEE}: {{low: 0.5, high: 0.5}}}}",
            f"sweep.axes.{FEE}.high: expected above low 0.5, got 0.5",
        ),
        (
            f"design: random, points: 9, axes: {{{FEE}: {{low: 0, high: 0.5, scale: log}}}}",
            f"sweep.axes.{FEE}.low: expected above 0 with the scale 'log', got 0.0",
        ),
        (
            f"design: random, points: 9, axes: {{{FEE}: {{low: 0, high: 0.5, scale: lgo}}}}",
            f"sweep.axes.{FEE}.scale: expected one of linear, log, got 'lgo'; did you mean log? "
            "(whether values are spread evenly, or their logarithms; default: 'linear')",
        ),
        (
            f"design: random, points: 9, axes: {{{FEE}: {{low: 0, hgih: 0.5}}}}",
            f"sweep.axes.{FEE}.high: expected a value, got nothing (greatest value)\n"
            f"top.yaml: sweep.axes.{FEE}.hgih: expected a known field, got 'hgih'; "
            "did you mean high?",
        ),
        (
            f"axes: {{{FEE}: {{value: [0]}}}}",
            f"sweep.axes.{FEE}.values: expected a list, got nothing (values of the swept field)\n"
            f"top.yaml: sweep.axes.{FEE}.value: expected a known field, got 'value'; "
            "did you mean values?",
        ),
        (
            "design: random, points: 9, axes: {plans.main.caps.per_year_yuan: "
            "{low: null, high: 5}}",
            "sweep.axes.plans.main.caps.per_year_yuan.low: expected a number, got null",
        ),
        (
            "design: random, points: 9, axes: {channels.organic.push.0.from_period: "
            "{low: 0, high: 9_007_199_254_740_993}}",
            "sweep.axes.channels.organic.push.0.from_period.high: expected at most "
            "9_007_199_254_740_992 in a range, got 9007199254740993",
        ),
        (
            f"design: random, points: 9, axes: {{{RULE}: {{low: 0, high: 2}}}}",
            f"sweep.axes.{RULE}: expected values, for the field is no number, got a range; "
            "list them",
        ),
        (
            f"axes: {{{FEE}: {{low: 0, high: 0.5}}}}",
            f"sweep.axes.{FEE}: expected values with the design 'grid', got a range; list "
            "values, or name a sampled design: random, latin_hypercube, sobol, saltelli, morris",
        ),
        (
            f"design: list, axes: {{{FEE}: [0, 0.1], periods: [3]}}",
            "sweep.axes.periods: expected 2 values with the design 'list', as many as "
            f"sweep.axes.{FEE} has, got 1",
        ),
        (
            f"axes: {{{RULE}: [equal, expected], "
            f"{FEE}: {{values: [0, 2], only_if: {{{RULE}: [expected]}}}}}}",
            f"sweep.axes.{FEE}.values[1]: expected at least 0 and below 1, got 2 {HELP}",
        ),
        (
            f"axes: {{{FEE}: {{values: [0], only_if: {{{RULE}: [equal]}}}}, {RULE}: [equal]}}",
            f"sweep.axes.{FEE}.only_if.{RULE}: expected an axis before this one, "
            "got one that comes later; axes before it: none",
        ),
        (
            f"axes: {{{RULE}: [equal], {FEE}: {{values: [0], only_if: {{plans.main.rul: [x]}}}}}}",
            f"sweep.axes.{FEE}.only_if.plans.main.rul: expected an axis before this one, "
            f"got 'plans.main.rul'; did you mean {RULE}?",
        ),
        (
            f"axes: {{{FEE}: {{values: [0], only_if: {{{FEE}: [0]}}}}}}",
            f"sweep.axes.{FEE}.only_if.{FEE}: expected an axis before this one, "
            "got this axis itself; axes before it: none",
        ),
        (
            f"axes: {{{RULE}: [equal], {FEE}: {{values: [0], only_if: {{{RULE}: [expected]}}}}}}",
            f"sweep.axes.{FEE}.only_if.{RULE}[0]: expected a value of sweep.axes.{RULE} "
            "[\"equal\"], got 'expected'",
        ),
        (
            f"design: random, points: 9, axes: {{shock_cap: {{low: 1, high: 2}}, "
            f"{FEE}: {{values: [0], only_if: {{shock_cap: [1]}}}}}}",
            f"sweep.axes.{FEE}.only_if.shock_cap: expected an axis with listed values, got a range",
        ),
        (
            f"axes: {{{RULE}: [equal, expected], "
            f"periods: {{values: [3, 4], only_if: {{{RULE}: [equal]}}}}, "
            f"{FEE}: {{values: [0], only_if: {{periods: [3], {RULE}: [expected]}}}}}}",
            f"sweep.axes.{FEE}.only_if: expected conditions that hold together, "
            f"got ones that leave no value of sweep.axes.{RULE}",
        ),
        (
            f"axes: {{{RULE}: [equal, expected], "
            "plans.main.max_age: {values: [59, 61], only_if: {plans.main.rule: [expected]}}}",
            "sweep.axes.plans.main.max_age.values[1]: expected the last age of a band "
            "(age_edges [0, 20, 40, 60]), got 61",
        ),
        (
            f"axes: {{{RULE}: [equal, expected], "
            "plans.main.max_age: {values: [61], only_if: {plans.main.rule: [expected]}}}",
            "sweep.axes.plans.main.max_age.values[0]: expected the last age of a band "
            "(age_edges [0, 20, 40, 60]), got 61",
        ),
        (
            "design: random, points: 9, axes: {plans.main.max_age: {low: 59, high: 60}}",
            "sweep.axes.plans.main.max_age.high: expected the last age of a band "
            "(age_edges [0, 20, 40, 60]), got 60",
        ),
        (
            "design: random, points: 2000, axes: {news.echo: {low: 0.3, high: 0.5}, "
            "news.persistence: {low: 0.8, high: 0.9}}",
            "sweep.axes: first values (news.echo=0.3, news.persistence=0.8): news.echo: "
            "expected echo * size / (1 - persistence) below 1, got 1.5; otherwise news explodes",
        ),
        (
            "axes: {news.echo: [0.5, 0.1], news.persistence: {values: [0, 0.6], "
            "only_if: {news.echo: [0.5]}}, shock_cap: {values: [2], only_if: {news.echo: [0.1]}}}",
            "sweep.axes.news.persistence.values[1]: news.echo: "
            "expected echo * size / (1 - persistence) below 1, got 1.25; otherwise news explodes",
        ),
        (
            "axes: {periods: [3, 4], news.echo: [0.1, 0.5], news.persistence: [0, 0.6], "
            "shock_cap: {values: [2], only_if: {periods: [4]}}}",
            "sweep.axes: point 3 (periods=3, news.echo=0.5, news.persistence=0.6): news.echo: "
            "expected echo * size / (1 - persistence) below 1, got 1.25; otherwise news explodes\n"
            "top.yaml: sweep.axes: point 7 (periods=4, news.echo=0.5, news.persistence=0.6, "
            "shock_cap=2.0): news.echo: "
            "expected echo * size / (1 - persistence) below 1, got 1.25; otherwise news explodes",
        ),
        (  # what is wrong with one axis is not laid to two that fit only together
            f"axes: {{{RULE}: [table], plans.main.weights: [[{{from_age: 0}}]], "
            "plans.main.max_age: [61]}",
            "sweep.axes.plans.main.max_age[0]: expected the last age of a band "
            "(age_edges [0, 20, 40, 60]), got 61",
        ),
        (
            "design: list, axes: {news.echo: [0.1, 0.5], news.persistence: [0, 0.6]}",
            "sweep.axes: point 1 (news.echo=0.5, news.persistence=0.6): news.echo: "
            "expected echo * size / (1 - persistence) below 1, got 1.25; otherwise news explodes",
        ),
    ],
)
def test_bad_axis_of_a_design_is_refused_by_its_part(
    over: Callable[[str], Path], refusal: Refusal, sweep: str, message: str
) -> None:
    assert refusal(over(sweep)) == f"top.yaml: {message}"


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("points: 8", "points: expected none with the design 'grid', got 8; name a sampled design"),
        ("design: list, points: 8", "points: expected none with the design 'list', got 8"),
        ("second_order: true", "second_order: expected false with the design 'grid', got true"),
        (
            "design: sobol, points: 8",
            "axes: expected at least one with the design 'sobol', got none",
        ),
        (
            "design: random, axes: {periods: [3]}",
            "points: expected a number of points with the design 'random', got none",
        ),
        (
            "design: sobol, points: 100, axes: {periods: [3]}",
            "points: expected a power of two with the design 'sobol', got 100; "
            "the nearest are 64 and 128",
        ),
        (
            "design: saltelli, points: 3, axes: {periods: [3]}",
            "points: expected a power of two with the design 'saltelli', got 3; "
            "the nearest are 2 and 4",
        ),
        (
            "design: saltelli, points: 524288, axes: {periods: [3]}",
            "points: expected at most 1_000_000 points of 1 axes in all, got 1_572_864; "
            "lower points",
        ),
        (
            "design: random, points: 1_000_001, axes: {periods: [3]}",
            "points: expected at least 1 and at most 1_000_000, got 1000001",
        ),
    ],
)
def test_design_without_what_it_needs_is_refused(
    over: Callable[[str], Path], refusal: Refusal, sweep: str, message: str
) -> None:
    assert refusal(over(sweep)).startswith(f"top.yaml: sweep.{message}")


def test_conditions_that_combine_without_end_are_refused(small: Path, refusal: Refusal) -> None:
    """Sixteen switches, each with an axis of its own: more sets of axes left out than are told."""
    pushes = ", ".join(f"{{from_period: {i}, value: 0}}" for i in range(32))
    given = [f"channels.organic.push=[{pushes}]"]
    push = "channels.organic.push"
    given += [f"sweep.axes.{push}.{i}.value=[0, 1]" for i in range(16)]
    given += [
        f"sweep.axes.{push}.{16 + i}.value={{values: [0, 1], only_if: {{{push}.{i}.value: [1]}}}}"
        for i in range(16)
    ]
    assert refusal(small, *given) == (
        f"--set: sweep.axes.{push}.13.value: expected conditions that combine in at most "
        "10_000 ways, got more; shorten the axes that they name"
    )


def test_points_of_a_sample_beyond_those_checked_are_refused_when_built(
    over: Callable[[str], Path],
) -> None:
    config = load(
        over(
            "design: random, points: 1001, axes: {news.echo: {low: 0, high: 0.9}, "
            "news.persistence: {low: 0, high: 0.9}}"
        )
    )
    with pytest.raises(ConfigError, match=r"^top: sweep.axes: point \d+ \(news.echo=0.*below 1"):
        points(config)


def test_all_points_of_a_small_sample_are_checked(
    over: Callable[[str], Path], refusal: Refusal
) -> None:
    message = refusal(
        over(
            "design: random, points: 50, axes: {news.echo: {low: 0, high: 0.9}, "
            "news.persistence: {low: 0, high: 0.9}}"
        )
    )
    assert message.startswith("top.yaml: sweep.axes: point ")
    assert "below 1" in message


def test_the_first_thousand_points_of_a_list_are_checked(
    over: Callable[[str], Path], refusal: Refusal
) -> None:
    echoes, many = [0.1] * 1100, 999
    assert point_count(load(over(f"design: list, axes: {{news.echo: {echoes}}}"))) == 1100
    echoes[many] = 2
    assert refusal(over(f"design: list, axes: {{news.echo: {echoes}}}")).startswith(
        f"top.yaml: sweep.axes: point {many} (news.echo=2.0): news.echo: expected echo"
    )
