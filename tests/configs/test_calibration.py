"""Calibrations: what a file makes, the way back to YAML, and what is refused before a run."""

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.calibration import (
    Calibration,
    calibration_digest,
    dump_calibration,
    error_column,
    field_names,
    fitted,
    forecast_start,
    held_back,
    last_fitted_period,
    load_calibration,
    names,
    scenario_of,
    settings_of,
    unknown_at,
    values_at,
)
from configs.messages import ConfigError, ProblemsError
from configs.scenario import Scenario

Write = Callable[[str, str], Path]

FIGURES = """\
date,quantity,value,scope,error
2019-01-20,members,5000,everyone,100
2019-06-30,share_year,0.5,main plan,0.05
2019-12-31,members,9000,everyone,300
"""
FILE = """\
# a comment
scenario: ../small.yaml
settings: {start_date: 2019-01-01, periods: 48, motives.bargain.lapse: {burden: 0.5}}
observations: figures.csv
until: 2019-06-30
scopes: {everyone: [main], main plan: [main]}
parameters:
  level: {fields: [claims.level], prior: {law: log_normal, median: 0.4, factor: 1.5}}
  reaction:
    fields: ["motives.*.lapse.burden"]
    how: multiply
    prior: {law: log_normal, median: 1, factor: 2}
    meaning: how members answer to what they pay
  wait: {fields: [plans.main.wait_periods], prior: {law: uniform, low: 0, high: 12}}
model_errors:
  model_error: {quantities: [members, share], prior: {law: log_normal, median: 0.03, factor: 2}}
sampler: {particles: 20, seed: 7}
forecast:
  worlds:
    known: {}
    dearer: {plans.main.fee_rate: 0.2}
"""


@pytest.fixture
def path(write: Write, small_text: str) -> Path:
    """`fits/pool.yaml`, a calibration of small.yaml."""
    write("small.yaml", small_text)
    write("fits/figures.csv", FIGURES)
    return write("fits/pool.yaml", FILE)


@pytest.fixture
def fit(path: Path) -> Calibration:
    return load_calibration(path)


def test_a_file_makes_a_calibration(fit: Calibration) -> None:
    assert fit.name == "pool"
    assert fit.scenario.start_date == date(2019, 1, 1)
    assert fit.scenario.motives["bargain"].lapse.burden == 0.5
    assert fit.observations.name == "figures"
    assert fit.scopes["everyone"] == ("main",)
    assert (fit.sampler.particles, fit.sampler.ess_fraction) == (20, 0.5)
    assert names(fit) == ("level", "reaction", "wait", "model_error")
    assert [row.value for row in fitted(fit)] == [5000, 0.5]
    assert [row.value for row in held_back(fit)] == [9000]
    assert last_fitted_period(fit) == 11
    assert forecast_start(fit) == date(2019, 7, 1)


def test_without_a_cut_off_nothing_is_held_back(path: Path) -> None:
    fit = load_calibration(path, until="null")
    assert (fit.until, len(fitted(fit)), held_back(fit)) == (None, 3, ())
    assert forecast_start(fit) == date(2020, 1, 1)


def test_values_are_the_quantiles_of_the_priors(fit: Calibration) -> None:
    values = values_at(fit, np.array([[0.0, 0, 0, 0], [1, 1, 0, -1]]))
    expected = [[0.4, 1, 6, 0.03], [0.6, 2, 6, 0.015]]
    np.testing.assert_allclose(values, expected, rtol=1e-14)  # a rounding or two of each


def test_parameters_set_their_fields_and_multiply_what_is_there(fit: Calibration) -> None:
    values = np.array([0.7, 3.0, 4.6, 0.1])
    settings = settings_of(fit, values)
    assert settings == {
        "claims.level": 0.7,
        "motives.bargain.lapse.burden": 1.5,
        "plans.main.wait_periods": 5,
    }
    assert field_names(fit) == tuple(settings)
    scenario = scenario_of(fit, values)
    assert scenario.claims.level == 0.7
    assert scenario.motives["bargain"].lapse.burden == 1.5
    assert scenario.motives["altruist"].lapse.burden == 0
    assert scenario.plans["main"].wait_periods == 5


def test_nothing_but_the_fields_of_parameters_changes(fit: Calibration) -> None:
    own = {"claims.level": 1.0, "motives.bargain.lapse.burden": 1.0, "plans.main.wait_periods": 0}
    assert tuple(own) == field_names(fit)
    wait = fit.scenario.plans["main"].wait_periods
    assert scenario_of(fit, np.array([1.0, 1.0, wait, 0.5])) == fit.scenario


def test_a_world_has_the_last_word(path: Path) -> None:
    fit = load_calibration(path, ["forecast.worlds.dearer.claims.level=2"])
    values = values_at(fit, np.zeros((1, 4)))[0]
    assert scenario_of(fit, values, "known") == scenario_of(fit, values)
    dearer = scenario_of(fit, values, "dearer")
    assert (dearer.claims.level, dearer.plans["main"].fee_rate) == (2, 0.2)
    assert isinstance(dearer, Scenario)


def test_values_that_make_no_scenario_are_refused(fit: Calibration) -> None:
    with pytest.raises(ProblemsError, match=r"claims\.level: expected at least 0, got -1"):
        scenario_of(fit, np.array([-1.0, 1, 1, 1]))


def test_a_scenario_is_made_within_a_millisecond(fit: Calibration) -> None:
    values = values_at(fit, np.random.default_rng(1).standard_normal((50, 4)))
    times = []
    for row in values:
        start = time.perf_counter()
        scenario_of(fit, row, "dearer")
        times.append(time.perf_counter() - start)
    assert min(times) < 1e-3


def test_a_dump_is_read_back_to_the_same_calibration(fit: Calibration, write: Write) -> None:
    again = load_calibration(write("elsewhere/copy.yaml", dump_calibration(fit)))
    assert again == fit
    assert calibration_digest(again) == calibration_digest(fit)


def test_comments_names_and_the_order_of_fields_leave_the_digest(
    fit: Calibration, path: Path, write: Write
) -> None:
    lines = FILE.splitlines()[1:]
    moved = "\n".join([*lines[2:5], *lines[:2], *lines[5:], "name: another"])
    other = load_calibration(write("fits/other.yaml", moved))
    assert other.name == "another"
    assert calibration_digest(other) == calibration_digest(fit)


@pytest.mark.parametrize(
    "override",
    [
        "until=2019-12-31",
        "settings.periods=47",
        "sampler.particles=22",
        "model_errors={}",
        "parameters.level.prior.median=0.5",
        "forecast.worlds.dearer.plans.main.fee_rate=0.3",
        "scopes={main plan: [main], everyone: [main], nobody: [main]}",
    ],
)
def test_what_a_fit_depends_on_counts_in_the_digest(
    fit: Calibration, path: Path, override: str
) -> None:
    assert calibration_digest(load_calibration(path, [override])) != calibration_digest(fit)


def test_the_order_of_parameters_counts_in_the_digest(fit: Calibration, write: Write) -> None:
    lines = FILE.splitlines()
    level = next(i for i, line in enumerate(lines) if line.startswith("  level:"))
    lines.insert(level + 5, lines.pop(level))
    other = load_calibration(write("fits/pool.yaml", "\n".join(lines)))
    assert names(other) == ("reaction", "level", "wait", "model_error")
    assert other.parameters == fit.parameters
    assert calibration_digest(other) != calibration_digest(fit)


def test_overrides_reach_settings_and_the_cut_off(path: Path) -> None:
    fit = load_calibration(path, ["scenario.periods=30", "sampler.seed=8"], until="2019-01-31")
    assert (fit.scenario.periods, fit.sampler.seed) == (30, 8)
    assert len(fitted(fit)) == 1


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "claims.level]",
            "claims.levl]",
            r"parameters.level.fields\[0\]: expected a field of the scenario, got 'claims.levl'; "
            "did you mean claims.level",
        ),
        ("claims.level]", "claims.incidence]", r"fields\[0\]: expected a field that is a number"),
        ("claims.level]", "periods]", r"fields\[0\]: expected a field that leaves the calendar"),
        (
            "motives.*.lapse.burden",
            "motives.*.lapse.news",
            r"parameters.reaction.fields\[0\]: expected a field with a value to multiply, got "
            r"'motives.\*.lapse.news', which is 0.0; write how: set",
        ),
        (
            "plans.main.wait_periods]",
            "claims.level]",
            r"parameters.wait.fields\[0\]: expected fields that are set once, got claims.level; "
            r"parameters.level.fields\[0\] sets it too",
        ),
        (
            "[claims.level]",
            "[plans.main.fee_rate]",
            r"parameters.level.prior: expected values .*, got 1.793 as the 99.99 % quantile of a "
            r"prior log-normal, median 0.4, .*; give high. plans.main.fee_rate: .* below 1",
        ),
        (
            "{law: log_normal, median: 0.4, factor: 1.5}",
            "{law: normal, mean: 0.4, sd: 0.2}",
            r"parameters.level.prior: expected values .*, got -0.34 as the 0.01 % quantile of a "
            r"prior normal, .*; give low. claims.level: expected at least 0",
        ),
        (
            "{law: log_normal, median: 0.4, factor: 1.5}",
            "{law: normal, mean: -4, sd: 0.2}",
            "parameters.level.prior: at the medians of the priors: claims.level: .* got -4",
        ),
        (
            "{law: log_normal, median: 0.4, factor: 1.5}",
            "{law: log_normal, median: 0.4}",
            "parameters.level.prior.factor: expected a number with the law 'log_normal'",
        ),
        ("log_normal, median: 0.4", "lognormal, median: 0.4", "prior.law: .* did you mean log_"),
        (
            "  model_error: {",
            "  level: {",
            "model_errors.level: expected a name that no parameter has",
        ),
        ("{everyone: [main], ", "{", "scopes: expected a scope 'everyone', for members of .*; add"),
        (
            "  worlds:",
            "  taken_as_given: {fair: no rain}\n  worlds:",
            "taken_as_given: expected names of worlds .known, dearer., got 'fair'",
        ),
        ("everyone:", "everyon:", "scopes: expected a scope 'everyone', .*; did you mean everyon"),
        ("everyone: [main]", "everyone: [man]", r"scopes.everyone\[0\]: .* did you mean main"),
        ("everyone: [main]", "everyone: []", "scopes.everyone: expected plans .*, each once"),
        (
            "2019-06-30\n",
            "2019-01-19\n",
            "until: expected a date from 2019-01-20 on, .*, got 2019-01-19; nothing is left to fit",
        ),
        (
            "2019-06-30\n",
            "june\n",
            "until: expected a date such as 2018-10-16, or null, got 'june'",
        ),
        ("start_date: 2019-01-01, ", "", "scenario: expected a scenario with a start_date"),
        (
            "periods: 48",
            "periods: 12",
            r"observations: members of 'everyone' on 2019-12-31: expected a date from 2019-01-01 "
            r"\(start_date\) to 2019-06-30 \(the last of 12 periods\), .* settings.periods",
        ),
        (
            "2019-01-01, p",
            "2019-02-01, p",
            "observations: .* on 2019-01-20: .* settings.start_date",
        ),
        ("periods: 48", "period: 48", "settings.period: expected a field .* did you mean periods"),
        ("periods: 48", "periods: -1", "settings.periods: expected at least 1 .*, got -1"),
        (
            "plans.main.fee_rate",
            "plans.man.fee_rate",
            "forecast.worlds.dearer.plans.man.fee_rate: expected a field .*did you mean plans.main",
        ),
        ("fee_rate: 0.2", "fee_rate: 2", "forecast.worlds.dearer.plans.main.fee_rate: .*, got 2"),
        ("forecast:", "forecast:\n  first: 2019-06-30", "forecast.first: .* from 2019-07-01 to"),
        ("particles: 20", "particles: 21", "sampler.particles: expected an even number, got 21"),
        ("seed: 7", "sed: 7", "sampler.sed: expected a known field, .*; did you mean seed"),
        ("until:", "untl:", "untl: expected a known field, got 'untl'; did you mean until"),
        ("small.yaml", "smal.yaml", "scenario: expected an existing file, .* did you mean small"),
        ("figures.csv", "figure.csv", "observations: expected an existing file, .* figures.csv"),
        ("../small.yaml", "7", "scenario: expected the path of a scenario's file, or a mapping"),
        (
            "[members, share]",
            "[members, members]",
            r"model_errors.model_error.quantities\[1\]: expected each quantity once, got 'members'",
        ),
        (
            "{law: log_normal, median: 0.03, factor: 2}",
            "{law: normal, mean: 0, sd: 1}",
            "model_errors.model_error.prior: expected a prior of values above 0",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_a_run(
    path: Path, write: Write, before: str, after: str, message: str
) -> None:
    assert before in FILE
    write(str(path), FILE.replace(before, after, 1))
    with pytest.raises(ConfigError, match=f"^{path}: .*{message}"):
        load_calibration(path)


def test_a_share_is_of_one_plan(write: Write, path: Path) -> None:
    overrides: list[str] = [
        "settings.plans={main: {max_age: 59, benefit: [{from_age: 0, benefit_yuan: 5}], "
        "advertised_share_yuan: 1}, "
        "twin: {max_age: 59, benefit: [{from_age: 0, benefit_yuan: 5}], "
        "advertised_share_yuan: 1}}",
        "scopes={everyone: [main, twin], main plan: [main, twin]}",
    ]
    expected = r"^--set: scopes\.main plan: expected one plan, for share_year .* scope of its own"
    with pytest.raises(ConfigError, match=expected):
        load_calibration(path, overrides)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sampler.particle=20", "expected a field of the file, .*; did you mean sampler.particles"),
        ("sampler.particles", "expected dotted.field=value, got 'sampler.particles'"),
        ("sampler.particles=two", "sampler.particles: expected a whole number, .* got 'two'"),
        ("settings.period=2", "settings.period: .* did you mean periods"),
        ("observations=none.csv", "observations: expected an existing file, got 'none.csv'"),
    ],
)
def test_an_override_that_does_not_fit_is_told_as_such(
    path: Path, override: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^--set: {message}"):
        load_calibration(path, [override])


def test_a_cut_off_that_does_not_fit_is_told_as_such(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--until: until: expected a date .*, got 'never'"):
        load_calibration(path, until="never")


def test_paths_of_overrides_start_at_the_working_directory(path: Path, write: Write) -> None:
    write("mine.csv", FIGURES.replace("5000", "6000"))
    fit = load_calibration(path, ["observations=mine.csv"])
    assert (fit.observations.name, fitted(fit)[0].value) == ("mine", 6000)


def test_a_table_is_found_beside_the_calibration(path: Path, write: Write) -> None:
    ages = "".join(f"{age},0.001,0.002\n" for age in range(60))
    write("fits/rates.csv", f"age,male,female\n{ages}")
    changed = FILE.replace("periods: 48", "periods: 48, claims.incidence: rates.csv")
    fit = load_calibration(write("fits/pool.yaml", changed))
    assert fit.scenario.claims.incidence.name == "rates"


def test_a_problem_of_the_scenario_s_own_file_is_told_of_it(write: Write, path: Path) -> None:
    write("small.yaml", "scenario: {title: 5}")
    with pytest.raises(ConfigError, match=r"small\.yaml: scenario\.title: expected text, got 5"):
        load_calibration(path)


def test_a_calibration_extends_another_as_a_configuration_does(path: Path, write: Write) -> None:
    later = write(
        f"{path.parent.name}/later.yaml",
        f"extends: {path.name}\nuntil: 2019-01-31\nsampler: {{seed: 9}}\n",
    )
    fit = load_calibration(later)
    assert (fit.name, fit.until, fit.sampler.seed) == ("later", date(2019, 1, 31), 9)
    assert fit.sampler.particles == 20
    assert fit.parameters == load_calibration(path).parameters


def test_the_error_of_a_quantity_has_its_place_among_the_parameters(path: Path) -> None:
    fit = load_calibration(path)
    assert error_column(fit, "share") == 3
    assert error_column(fit, "claims") is None


def test_what_only_the_future_knows_is_set_behind_the_parameters(path: Path) -> None:
    prior = "{law: uniform, low: 0, high: 0.5}"
    fee = f"forecast.unknown={{fee: {{fields: [plans.main.fee_rate], prior: {prior}}}}}"
    fit = load_calibration(path, [fee, "forecast.worlds={known: {}}"])
    values = values_at(fit, np.zeros((1, 4)))[0]
    future = unknown_at(fit, np.zeros((1, 1)))[0]
    assert future.tolist() == [0.25]
    assert field_names(fit)[-1] == "plans.main.fee_rate"
    both = np.concatenate([values, future])
    assert settings_of(fit, both)["plans.main.fee_rate"] == 0.25
    assert scenario_of(fit, both, "known").plans["main"].fee_rate == 0.25
    assert scenario_of(fit, values).plans["main"].fee_rate == fit.scenario.plans["main"].fee_rate
    taken = f"forecast.unknown={{again: {{fields: [claims.level], prior: {prior}}}}}"
    with pytest.raises(ConfigError, match=r"forecast.unknown.again.*set once"):
        load_calibration(path, [taken])


def test_no_model_error_leaves_the_parameters_alone(path: Path) -> None:
    fit = load_calibration(path, ["model_errors={}"])
    assert names(fit) == ("level", "reaction", "wait")
    values: Any = values_at(fit, np.zeros((1, 3)))
    assert tuple(settings_of(fit, values[0])) == field_names(fit)
