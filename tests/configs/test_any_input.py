"""Whatever a file or an override says, it loads or is refused with a message: nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs import yaml_text
from configs.axes import Listed, Range
from configs.load import Config, ConfigError, load
from configs.scenario import Claims, Plan, Scenario
from configs.sweep import (
    StopWhen,
    Sweep,
    columns,
    engine_at,
    engines,
    point_count,
    scenario_at,
    values_at,
)

FIELDS = [
    *("extends", *Config.model_fields, *Sweep.model_fields),
    *(
        *Listed.model_fields,
        *Range.model_fields,
        *StopWhen.model_fields,
        "sobol",
        "list",
        "periods",
    ),
    *(*Scenario.model_fields, *Plan.model_fields, *Claims.model_fields),
    *("main", "0", "*", "a b", "", "a\nb"),
]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4)
    ),
    max_leaves=20,
)
paths = st.lists(st.sampled_from(FIELDS), min_size=1, max_size=5).map(".".join)


def refusal_lines(
    text: str, folder: pytest.TempPathFactory, overrides: tuple[str, ...] = ()
) -> list[str]:
    """Load some text; return the lines of the message if it is refused."""
    path = folder.mktemp("any") / "any.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        assert isinstance(load(path, overrides), Config)
    except ConfigError as refused:
        return str(refused).splitlines()
    return []


def is_refusal(lines: list[str]) -> bool:
    """Whether the lines are a message, or none."""
    problems = [line for line in lines if not line.startswith("and ")]
    return len(problems) <= 3 and all("expected" in line for line in problems)


@settings(deadline=None)
@given(tree=trees)
def test_any_mapping_loads_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, tree: Any
) -> None:
    assert is_refusal(refusal_lines(yaml_text.write(tree), tmp_path_factory))


@settings(deadline=None)
@given(path=paths, value=trees)
def test_any_override_of_a_good_file_loads_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, small_text: str, path: str, value: Any
) -> None:
    assert is_refusal(
        refusal_lines(small_text, tmp_path_factory, (f"{path}={yaml_text.write(value)}",))
    )


@settings(deadline=None)
@given(path=paths, values=trees)
def test_any_axis_on_a_good_file_loads_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, small_text: str, path: str, values: Any
) -> None:
    assert is_refusal(
        refusal_lines(
            small_text, tmp_path_factory, (f"sweep.axes.{path}={yaml_text.write(values)}",)
        )
    )


KNOWN: dict[str, list[Any]] = {
    "periods": [3, 4, 5],
    "shock_cap": [2, 3.5],
    "news.echo": [0, 0.2, 0.9],
    "engine": ["cohort", "member"],
    "claims.mortality": [None, "mortality_cn_2010_2013_nonpension_1"],
}
odd = st.sampled_from([10**400, -1, None, True, "x", [3], 3.0])


@st.composite
def sweeps(draw: st.DrawFn) -> dict[str, Any]:
    """Draw sweeps that are right in most parts, so that all of the checks are reached."""
    design = draw(st.sampled_from(["grid", "list", "random", "sobol", "saltelli", "morris"]))
    sampled = design not in ("grid", "list")
    names = draw(st.lists(st.sampled_from(sorted(KNOWN)), min_size=1, unique=True))
    split = draw(st.integers(1, len(names)))
    axes: dict[str, Any] = {}
    for name in names[:split]:
        known = KNOWN[name]
        many = 2 if design == "list" else draw(st.integers(1, len(known)))
        values = known[:many] if draw(st.integers(0, 9)) else [draw(odd)]
        axes[name] = {"values": values}
        if sampled and name in ("periods", "shock_cap") and draw(st.booleans()):
            axes[name] = {"low": known[0], "high": draw(st.just(known[-1]) | odd)}
        if len(axes) > 1 and draw(st.booleans()):
            other = draw(st.sampled_from([*axes][:-1]))
            axes[name]["only_if"] = {other: draw(st.permutations(KNOWN[other]))[:1]}
        elif "values" in axes[name] and draw(st.booleans()):
            axes[name] = values
    left = names[split:]
    sets = st.dictionaries(st.sampled_from(left), st.integers(0, 1)) if left else st.just({})
    named = st.dictionaries(st.sampled_from(["a", "b"]), sets, max_size=2)
    chosen = {section: draw(named) for section in ("policies", "worlds")}
    crossed = {
        section: {
            name: {path: KNOWN[path][i] for path, i in fields.items()}
            for name, fields in sets_by_name.items()
        }
        for section, sets_by_name in chosen.items()
    }
    return {"design": design, "axes": axes, **crossed, **({"points": 8} if sampled else {})}


@settings(deadline=None, max_examples=200)
@given(sweep=sweeps())
def test_any_sweep_of_a_good_file_makes_points_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, small_text: str, sweep: Any
) -> None:
    text = f"{small_text}\nsweep: {json.dumps(sweep)}"
    lines = refusal_lines(text, tmp_path_factory)
    assert is_refusal(lines)
    if lines:
        return
    path = tmp_path_factory.mktemp("good") / "good.yaml"
    path.write_text(text, encoding="utf-8")
    config = load(path)
    for index in range(min(point_count(config), 20)):
        assert tuple(values_at(config, index)) == columns(config)
        assert scenario_at(config, index).engine == engine_at(config, index)
        assert engine_at(config, index) in engines(config)


@settings(deadline=None)
@given(text=st.text(max_size=40))
def test_any_text_loads_or_is_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    assert is_refusal(refusal_lines(text, tmp_path_factory))
