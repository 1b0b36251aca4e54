"""Whatever a file or an override says, it loads or is refused with a message: nothing else."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs import yaml_text
from configs.load import Config, ConfigError, load
from configs.scenario import Claims, Plan, Scenario
from configs.sweep import Sweep

FIELDS = [
    *("extends", *Config.model_fields, *Sweep.model_fields),
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


@settings(deadline=None)
@given(text=st.text(max_size=40))
def test_any_text_loads_or_is_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    assert is_refusal(refusal_lines(text, tmp_path_factory))
