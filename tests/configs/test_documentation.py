"""The examples of docs/sweeps.md load, and make as many points as they say."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from configs.load import load
from configs.sweep import point_count

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
(POSTERIOR,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)

Write = Callable[[str, str], Path]


def test_there_is_an_example_of_each_design() -> None:
    designs = {re.search(r"design: (\w+)", text) for text in EXAMPLES}
    assert {found[1] for found in designs if found} == {"list", "sobol", "saltelli", "morris"}
    assert len(EXAMPLES) == 9


@pytest.mark.parametrize("text", EXAMPLES)
def test_example_makes_as_many_points_as_it_says(write: Write, text: str) -> None:
    said = re.match(r"# (\d+) points", text)
    assert said is not None, text
    write("posterior.csv", POSTERIOR)
    file = write("example.yaml", f"extends: {ROOT / 'configs' / 'xianghubao.yaml'}\n{text}")
    assert point_count(load(file)) == int(said[1])
