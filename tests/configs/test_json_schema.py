"""The JSON Schema accepts the files that load, and says what every field means."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped, unused-ignore]
import pytest

from configs import yaml_text
from configs.cluster import Gateway, JobQueue, Kubernetes, Local, Scheduler, Tls
from configs.json_schema import json_schema
from configs.load import dump, load
from configs.scenario import Scenario
from configs.sweep import Config, Sweep

Write = Callable[[str, str], Path]
SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema()


def problems(schema: dict[str, Any], text: str) -> list[str]:
    found = jsonschema.Draft202012Validator(schema).iter_errors(yaml_text.parse(text))
    return [f"{error.json_path}: {error.message}" for error in found]


def test_schema_is_one_and_is_json(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema


def test_file_that_loads_fits_the_schema(schema: dict[str, Any], small: Path) -> None:
    assert problems(schema, small.read_text()) == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_file_fits_the_schema(schema: dict[str, Any], path: Path) -> None:
    assert problems(schema, path.read_text(encoding="utf-8")) == []


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
