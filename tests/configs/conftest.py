"""A small scenario on disk, and the file and message shorthand of these tests."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from configs.load import ConfigError, load

SMALL = """
scenario:
  title: A small pool
  market_members: 1_000_000
  age_edges: [0, 20, 40, 60]
  plans:
    main:
      max_age: 59
      benefit: [{from_age: 0, benefit_yuan: 300000}, {from_age: 40, benefit_yuan: 100000}]
      advertised_share_yuan: 0.1
      fee_rate: 0.08
  channels:
    organic:
      word_of_mouth: 0.1
      ages: [{from_age: 0, to_age: 59, male: 0.5, female: 0.5}]
      motives: {bargain: 0.5, altruist: 0.5}
      health: {standard: 1}
  motives:
    bargain: {education_speed: 0.2}
    altruist: {}
"""

Write = Callable[[str, str], Path]
Refusal = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file into the working directory, which is empty at first."""
    monkeypatch.chdir(tmp_path)

    def write_text(name: str, text: str) -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write_text


@pytest.fixture
def small(write: Write) -> Path:
    """`small.yaml`: the smallest scenario that says something."""
    return write("small.yaml", SMALL)


@pytest.fixture
def refusal() -> Refusal:
    """Return the message with which loading a file is refused."""

    def message(path: str | Path, *overrides: str) -> str:
        with pytest.raises(ConfigError, match="expected") as caught:
            load(path, overrides)
        return str(caught.value)

    return message


@pytest.fixture(scope="session")
def small_text() -> str:
    """Return the text of small.yaml."""
    return SMALL
