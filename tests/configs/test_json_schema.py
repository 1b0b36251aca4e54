"""The JSON Schema accepts the files that load, and says what every field means."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import jsonschema  # type: ignore[import-untyped, unused-ignore]
import pytest

from configs import yaml_text
from configs.calibration import File
from configs.cluster import Gateway, JobQueue, Kubernetes, Local, Scheduler, Tls
from configs.json_schema import Kind, json_schema
from configs.load import dump, load
from configs.scenario import Scenario
from configs.sweep import Config, Sweep

Write = Callable[[str, str], Path]
CALIBRATIONS = sorted((Path(__file__).parents[2] / "configs" / "calibrations").glob("*.yaml"))
SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema()


@pytest.fixture(scope="module")
def of_calibrations() -> dict[str, Any]:
    return json_schema("calibration")


def problems(schema: dict[str, Any], text: str) -> list[str]:
    found = jsonschema.Draft202012Validator(schema).iter_errors(yaml_text.parse(text))
    return [f"{error.json_path}: {error.message}" for error in found]


@pytest.mark.parametrize("of", get_args(Kind))
def test_schema_is_one_and_is_json(of: Kind) -> None:
    schema = json_schema(of)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    assert schema["title"] == f"huzhu {of}"


def test_file_that_loads_fits_the_schema(schema: dict[str, Any], small: Path) -> None:
    assert problems(schema, small.read_text()) == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_file_fits_the_schema(schema: dict[str, Any], path: Path) -> None:
    assert problems(schema, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", CALIBRATIONS, ids=lambda path: path.name)
def test_shipped_calibration_fits_its_schema(of_calibrations: dict[str, Any], path: Path) -> None:
    assert problems(of_calibrations, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("priors: {}", "$"),
        ("until: 3", "$.until"),
        ("parameters: {a: {fields: claims.level}}", "$.parameters.a.fields"),
        ("parameters: {a: {prior: {law: beta_binomial}}}", "$.parameters.a.prior.law"),
        ("parameters: {a: {how: add}}", "$.parameters.a.how"),
        ("sampler: {particles: 2}", "$.sampler.particles"),
        ("model_errors: {a: {relative_to: mean}}", "$.model_errors.a.relative_to"),
        ("forecast: {worlds: {a: 3}}", "$.forecast.worlds.a"),
    ],
)
def test_a_wrong_calibration_does_not_fit(
    of_calibrations: dict[str, Any], text: str, where: str
) -> None:
    assert [problem.split(": ")[0] for problem in problems(of_calibrations, text)] == [where]


def test_every_field_of_a_calibration_says_what_it_is(of_calibrations: dict[str, Any]) -> None:
    assert {"Prior", "Parameter", "Sampler", "Forecast"} <= set(of_calibrations["$defs"])
    assert set(of_calibrations["properties"]) == {"extends", *File.model_fields}
    for name, model in of_calibrations["$defs"].items():
        for field, declared in model.get("properties", {}).items():
            assert "MODEL section 12" in declared["description"], f"{name}.{field}"


def test_resolved_configuration_fits_the_schema(schema: dict[str, Any], small: Path) -> None:
    assert problems(schema, dump(load(small, ["sweep.axes.plans.main.fee_rate=[0, 0.1]"]))) == []


def test_part_of_a_configuration_fits_since_extends_gives_the_rest(schema: dict[str, Any]) -> None:
    text = """
    extends: base.yaml
    scenario: {plans: {main: {fee_rate: 0.1}}, claims: {severity: {mild: {probability: 0.2}}}}
    sweep: {axes: {plans.main.fee_rate: [0, 0.1]}}
    """
    assert problems(schema, text) == []


@pytest.mark.parametrize(
    "sweep",
    [
        "{design: sobol, points: 8, axes: {periods: {low: 3, high: 9, scale: log}}}",
        "{axes: {periods: {values: [3], only_if: {news.echo: [0]}}}}",
        "{policies: {a: {}, b: {news.echo: 0}}, worlds: {c: {news: {}}}}",
        "{stop_when: {outcome: members_end, half_width: 3}, random_numbers: independent}",
    ],
)
def test_designs_fit_the_schema(schema: dict[str, Any], sweep: str) -> None:
    assert problems(schema, f"sweep: {sweep}") == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("scenarios: {}", "$"),
        ("scenario: {plans: {main: {fee: 1}}}", "$.scenario.plans.main"),
        ("scenario: {plans: {main: {fee_rate: 1}}}", "$.scenario.plans.main.fee_rate"),
        ("scenario: {plans: {main: {fee_rate: no}}}", "$.scenario.plans.main.fee_rate"),
        ("scenario: {plans: {main: {rule: x}}}", "$.scenario.plans.main.rule"),
        (
            "scenario: {plans: {main: {benefit: [{from_age: 0}]}}}",
            "$.scenario.plans.main.benefit[0]",
        ),
        ("scenario: {claims: {incidence: 3}}", "$.scenario.claims.incidence"),
        ("sweep: {axes: {periods: []}}", "$.sweep.axes.periods"),
        ("sweep: {paths: 0}", "$.sweep.paths"),
        ("sweep: {axes: {periods: 3}}", "$.sweep.axes.periods"),
        ("sweep: {axes: {periods: {low: 3, hihg: 4}}}", "$.sweep.axes.periods"),
        ("sweep: {axes: {periods: {low: a, high: 4}}}", "$.sweep.axes.periods"),
        ("sweep: {policies: {a: [3]}}", "$.sweep.policies.a"),
        ("sweep: {stop_when: {width: 3}}", "$.sweep.stop_when"),
        ("extends: [a, b]", "$.extends"),
        ("cluster: {kind: cloud}", "$.cluster"),
        ("cluster: {kind: local, workers: many}", "$.cluster"),
    ],
)
def test_what_would_be_refused_does_not_fit(schema: dict[str, Any], text: str, where: str) -> None:
    (problem,) = problems(schema, text)
    assert problem.startswith(f"{where}: ")


def test_every_field_says_meaning_unit_default_and_section(schema: dict[str, Any]) -> None:
    plan = schema["$defs"]["Plan"]["properties"]
    assert plan["fee_rate"]["description"] == (
        "management fee on benefits; unit: share of benefits; default: 0.0; MODEL section 4"
    )
    of_no_number = {
        kind.__name__ for kind in (Local, Scheduler, Tls, JobQueue, Gateway, Kubernetes)
    }
    for name, model in schema["$defs"].items():
        for field, declared in model.get("properties", {}).items():
            assert declared["description"], f"{name}.{field}"
            if name not in of_no_number:
                assert "MODEL section" in declared["description"], f"{name}.{field}"


def test_schema_knows_every_field(schema: dict[str, Any]) -> None:
    for model in (Config, Scenario, Sweep):
        known = schema if model is Config else schema["$defs"][model.__name__]
        assert set(known["properties"]) - {"extends"} == set(model.model_fields)


def test_table_is_text_with_the_shipped_names(schema: dict[str, Any]) -> None:
    name, contents = schema["$defs"]["AgeSexTable"]["anyOf"]
    assert name["type"] == "string"
    assert "incidence_cn_2020_28_diseases" in name["description"]
    assert contents["required"] == ["name", "first_age", "male", "female"]
